"""SimulatedProcess: what a simulated program, a Python function, is given to act on the simulated Windows.

Its calls do what the Win32 functions of that name do, with the process's token, and raise ``OSError`` (WinError) with
the code that Windows gives. Names of files are taken as the Win32 layer takes them: relative to ``cwd``, slashes
turned, dots and spaces at the end dropped.
"""

from __future__ import annotations

import ntpath
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from .._security import mask
from ..errors import WinError
from . import jobs, objects
from .handles import Completed, Environment, SpawnedProcess, StandardStream
from .program_files import FileCalls

if TYPE_CHECKING:
    from .jobs import ProcessRecord, StreamObject

__all__ = ["SimulatedProcess"]


class SimulatedProcess(FileCalls):
    """A running simulated program.

    Attributes:
        argv: the arguments, the program's name first.
        env: the environment; names compare without case.
        cwd: the working directory; may be set.
        pid: the process id.
        stdin, stdout, stderr: the standard streams.
        desktop: the name of its desktop: ``"Default"`` is the user's.
    """

    def __init__(self, record: ProcessRecord) -> None:
        super().__init__(record)
        self.argv = record.argv
        self.env = Environment(record.environment)
        self.pid = record.pid
        self.desktop = record.desktop
        self.stdin = StandardStream(record, 0)
        self.stdout = StandardStream(record, 1)
        self.stderr = StandardStream(record, 2)

    # Processes and time

    def spawn(
        self,
        argv: Sequence[str],
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        *,
        stdin: objects.PipeReader | None = None,
        stdout: objects.PipeWriter | None = None,
        stderr: objects.PipeWriter | None = None,
    ) -> SpawnedProcess:
        """Start another program in the same job with the same token; it has this one's streams unless others are given.

        The program is found as CreateProcess finds it, in the directories of PATH, with ``.exe`` added.
        """
        with self._step():
            streams: list[StreamObject | None] = []
            for number, given in enumerate((stdin, stdout, stderr)):
                stream = self._record.streams[number] if given is None else given.end
                streams.append(jobs.duplicate(stream))
            try:
                record = jobs.start(
                    self._machine,
                    self.token,
                    image=self.which(argv[0]),
                    argv=argv,
                    environment=dict(self.env) if env is None else env,
                    cwd=self.cwd if cwd is None else self._path(cwd, "CreateProcessW"),
                    streams=streams,
                    jobs=self._record.jobs,
                    opener=self.token,
                    desktop=self.desktop,
                    console=self._record.console,
                )
            except BaseException:
                for stream in streams:
                    if stream is not None:
                        stream.closed()
                raise
            return SpawnedProcess(self._record, record)

    def run(self, argv: Sequence[str], env: Mapping[str, str] | None = None, cwd: str | None = None) -> Completed:
        """Spawn, collect what it prints through a pipe of this process's own, and wait."""
        reader, writer = self.pipe()
        try:
            spawned = self.spawn(argv, env, cwd, stdout=writer)
        finally:
            writer.close()
        try:
            output = reader.read()
        finally:
            reader.close()
        return Completed(spawned.wait(), output)

    def which(self, name: str) -> str:
        """The absolute path of a program; winerror 2 where there is none."""
        candidates = [name] if ntpath.splitext(name)[1] else [name + ".exe", name]
        places = [""] if ntpath.dirname(name) else (self.env.get("PATH", "")).split(";")
        for place in places:
            for candidate in candidates:
                full = self._path(ntpath.join(place, candidate), "CreateProcessW")
                try:
                    if not self.stat(full).directory:
                        return full
                except OSError:
                    continue
        raise WinError(2, "CreateProcessW", name)

    def pipe(self) -> tuple[objects.PipeReader, objects.PipeWriter]:
        """CreatePipe: the write end is *opened*, so the token's default DACL must let this process in (5)."""
        with self._step():
            return objects.create_pipe(self._record)

    def sleep(self, seconds: float) -> None:
        """Simulated seconds."""
        with self._step():
            self._machine.clock.wait(lambda: self._record.ended, seconds, self._record)
            self._record.check()

    def compute(self, seconds: float) -> None:
        """Use CPU time, which a job may limit; the clock goes on as much."""
        with self._step():
            left = self._record.cpu_left()
            used = seconds if left is None else min(seconds, max(left, 0.0))
            self._machine.clock.wait(lambda: self._record.ended, used, self._record)
            self._record.check()
            self._record.used_cpu(used)
            self._record.check()

    def allocate(self, size: int) -> None:
        """Commit memory, bytes; winerror 1455 at the job's limit."""
        with self._step():
            self._record.allocate(size)

    def free(self, size: int) -> None:
        """Give memory back."""
        with self._step():
            self._record.free(size)

    def console_processes(self) -> list[int]:
        """GetConsoleProcessList: the processes on this one's console; none where it has no console."""
        with self._step():
            mine = self._record.console
            return [pid for pid, other in sorted(self._machine.processes.items()) if mine and other.console == mine]

    def exit(self, code: int = 0) -> None:
        """End the process at once."""
        raise SystemExit(code)

    def on_break(self, function: Callable[[], object] | None) -> None:
        """What to call (in another thread, as Windows does) when CTRL+BREAK comes; without it the process ends."""
        with self._step():
            self._record.on_break = function

    # Network

    def connect(self, host: str, port: int) -> None:
        """A connection by a program that asks nobody: it is recorded in ``SimulatedHost.connections``.

        On the loopback somebody must listen, else it is refused (10061).
        """
        with self._step():
            self._machine.connect(self._record, host, port)

    def http_get(self, url: str) -> bytes:
        """A request by a well-behaved client: HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY are honoured."""
        parts = urlsplit(url)
        host = parts.hostname or ""
        port = parts.port or (443 if parts.scheme == "https" else 80)
        proxy = self.env.get(f"{parts.scheme}_PROXY") or self.env.get("ALL_PROXY", "")
        spared = [name.strip() for name in self.env.get("NO_PROXY", "").split(",") if name.strip()]
        if proxy and not any(name in ("*", host) or host.endswith("." + name.lstrip(".")) for name in spared):
            parts = urlsplit(proxy if "//" in proxy else "//" + proxy)
            host = parts.hostname or ""
            port = parts.port or 80
        with self._step():
            return self._machine.connect(self._record, host, port, url)

    # Other objects

    def registry_open(self, key: str, access: int = 0x20019) -> objects.RegistryHandle:
        r"""Open a registry key, ``HKCU\Software\...``; `access` defaults to KEY_READ."""
        with self._step():
            return self._machine.objects.open_key(key, self._record, access)

    def open_process(self, pid: int, access: int) -> objects.OpenProcess:
        """Open a process for `access` (PROCESS_TERMINATE 0x1, VM_READ 0x10, VM_WRITE 0x20 ...)."""
        with self._step():
            return self._machine.objects.open_process(pid, self._record, access)

    def create_event(self, name: str, descriptor: str | None = None) -> None:
        """Make a named event, with the token's default DACL unless a descriptor is given. 183: it exists."""
        with self._step():
            self._machine.objects.create_event(name, self._record, descriptor)

    def open_event(self, name: str, access: int) -> None:
        """Open a named event: SYNCHRONIZE, EVENT_MODIFY_STATE 0x2 ..."""
        with self._step():
            self._machine.objects.open_event(name, self._record, access)

    def create_pipe_server(self, name: str, descriptor: str | None = None) -> None:
        r"""Make the named pipe ``\\.\pipe\name``; without a descriptor it has named pipes' built-in DACL."""
        with self._step():
            self._machine.objects.create_pipe_server(name, self._record, descriptor)

    def open_pipe(self, name: str, access: int = mask.GENERIC_READ | mask.GENERIC_WRITE) -> None:
        """Open a named pipe as a client."""
        with self._step():
            self._machine.objects.open_pipe(name, self._record, access)
