"""Simulated processes and the jobs that hold them: start, end, limits, accounting.

A program runs in a thread of its own. A process that is ended is dead at once for everybody else: its handles and
streams are closed and nothing that its function calls afterwards has an effect; the thread itself ends at its next
call. A function that computes for ever without calling anything keeps its (daemon) thread, which no Python program can
end, but it can do no more harm.

Sources: "Job Objects", "JOBOBJECT_BASIC_LIMIT_INFORMATION", "JOBOBJECT_EXTENDED_LIMIT_INFORMATION" (Microsoft Learn).
"""

from __future__ import annotations

import contextlib
import os
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from .._host import JobLimits, ProcessId, Usage
from ..errors import WinError
from .filesystem import FileObject
from .streams import DescriptorEnd, NullEnd

if TYPE_CHECKING:
    from .machine import Machine
    from .program import SimulatedProcess
    from .tokens import SimulatedToken, TokenObject

__all__ = ["DesktopObject", "JobObject", "ProcessObject", "ProcessRecord", "Program", "ProgramEnded", "StreamObject"]

Program = Callable[["SimulatedProcess"], "int | None"]
StreamObject = DescriptorEnd | NullEnd | FileObject

_NOT_ENOUGH_QUOTA: Final = 1816
DEFAULT_DESKTOP: Final = "Default"
# What keeps a process off the console of the one that starts it. Without a window there is a console all the same, but
# one of the process's own.
NEW_CONSOLE: Final = 0x8000000 | 0x10  # CREATE_NO_WINDOW, CREATE_NEW_CONSOLE
DETACHED: Final = 0x8  # DETACHED_PROCESS
CONTROL_BREAK_EXIT: Final = 0xC000013A  # STATUS_CONTROL_C_EXIT
DLL_INIT_FAILED: Final = 0xC0000142  # what a process ends with that cannot get its desktop


class ProgramEnded(BaseException):
    """Unwinds the thread of a process that was ended; programs must let it pass."""


class ProcessRecord:
    """A process: what its program was given, and what became of it."""

    def __init__(
        self,
        machine: Machine,
        token: TokenObject,
        *,
        image: str = "",
        argv: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        cwd: str = "C:\\",
        jobs: Sequence[JobObject] = (),
        flags: int = 0,
        desktop: str = DEFAULT_DESKTOP,
        console: int = 0,
    ) -> None:
        self.machine = machine
        self.token = token
        self.image = image
        self.argv = tuple(argv)
        self.environment = dict(environment or {})
        self.cwd = cwd
        self.jobs = tuple(jobs)
        self.flags = flags
        self.identity: ProcessId = machine.new_process_id()
        self.desktop = desktop
        self.console = console  # the pid of the process that it was made for; 0: none
        self.exit_code: int | None = None
        self.descriptor = machine.process_descriptor(token.token)
        self.files: set[FileObject] = set()
        self.streams: list[StreamObject | None] = [None, None, None]
        self.extra_streams: set[DescriptorEnd] = set()
        self.cpu = 0.0
        self.memory = 0
        self.on_break: Callable[[], object] | None = None
        self.read_bytes = 0
        self.written_bytes = 0
        self._wake: tuple[int, int] | None = None

    @property
    def pid(self) -> int:
        return self.identity.pid

    @property
    def ended(self) -> bool:
        return self.exit_code is not None

    def __repr__(self) -> str:
        return f"<process {self.pid} {self.image!r} {'running' if not self.ended else self.exit_code}>"

    def closed(self) -> None:
        """A handle to a process does not keep it alive."""

    def check(self) -> None:
        """Unwind the thread if the process was ended."""
        if self.exit_code is not None:
            raise ProgramEnded

    def wake_descriptor(self) -> int:
        """Readable as soon as the process is ended."""
        with self.machine.lock:
            self.check()
            if self._wake is None:
                self._wake = os.pipe()
            return self._wake[0]

    def start(self, program: Program) -> None:
        """Run `program` in a thread."""
        self.machine.clock.runs(self)
        threading.Thread(target=self._main, args=(program,), name=f"simulated {self.pid}", daemon=True).start()

    def _main(self, program: Program) -> None:
        from .program import SimulatedProcess

        process = SimulatedProcess(self)
        code: object = 1
        with contextlib.suppress(ProgramEnded):
            try:
                code = program(process)
            except SystemExit as error:
                code = error.code
            except OSError as error:
                process.stderr._complain(f"{self.argv[0] if self.argv else self.image}: {error}\n")
                code = 1
            except ProgramEnded:
                raise
            except BaseException:
                # A mistake in the program itself, such as a failing assert: as the interpreter, say where and exit 1.
                process.stderr._complain(traceback.format_exc())
                code = 1
            if isinstance(code, str):
                process.stderr._complain(code + "\n")
                code = 1
        self.end((code if isinstance(code, int) else 0) & 0xFFFFFFFF)
        with self.machine.lock:
            wake, self._wake = self._wake, None
        for fd in wake or ():
            os.close(fd)

    def end(self, code: int) -> None:
        """The process is no more; the first one to say so decides the exit code."""
        with self.machine.lock:
            if self.exit_code is not None:
                return
            self.exit_code = code & 0xFFFFFFFF
            for opened in list(self.files):
                opened.closed()
            self.files.clear()
            for stream in (*self.streams, *self.extra_streams):
                if stream is not None:
                    stream.closed()
            self.extra_streams.clear()
            if self._wake is not None:
                os.write(self._wake[1], b"!")
            for job in self.jobs:
                job.left(self)
            self.machine.forget_process(self)
            self.machine.clock.stops(self)

    # Resources

    def allocate(self, size: int) -> None:
        """Commit memory; winerror 1455 (and the job notes it) where a job's limit is reached."""
        for job in self.jobs:
            if job.limits.memory is not None and job.memory + size > job.limits.memory:
                job.limit_hit = job.limit_hit or "memory"
                raise WinError(1455, "VirtualAlloc")
        self.memory += size
        for job in self.jobs:
            job.memory += size
            job.peak = max(job.peak, job.memory)

    def free(self, size: int) -> None:
        size = min(size, self.memory)
        self.memory -= size
        for job in self.jobs:
            job.memory -= size

    def cpu_left(self) -> float | None:
        """Seconds of CPU time until a job ends everything in it."""
        left = [job.limits.cpu_time - job.cpu for job in self.jobs if job.limits.cpu_time is not None]
        return min(left, default=None)

    def used_cpu(self, seconds: float) -> None:
        self.cpu += seconds
        for job in self.jobs:
            job.cpu += seconds
            if job.limits.cpu_time is not None and job.cpu >= job.limits.cpu_time:
                job.limit_hit = job.limit_hit or "cpu_time"
                job.terminate(_NOT_ENOUGH_QUOTA)


class ProcessObject:
    """What a process handle names; it outlives the process."""

    def __init__(self, record: ProcessRecord) -> None:
        self.record = record

    def closed(self) -> None:
        """The process goes on."""

    def __repr__(self) -> str:
        return f"<handle of {self.record!r}>"


class JobObject:
    """A job: kill on close, no breakaway."""

    def __init__(self, machine: Machine, limits: JobLimits) -> None:
        self.machine = machine
        self.limits = limits
        self.members: dict[int, ProcessRecord] = {}
        self.total = 0
        self.cpu = 0.0
        self.memory = 0
        self.peak = 0
        self.read_bytes = 0
        self.written_bytes = 0
        self.limit_hit: str | None = None

    def __repr__(self) -> str:
        return f"<job of {sorted(self.members)}>"

    def admit(self) -> None:
        """Whether one more process may be started; winerror 1816 else."""
        if self.limits.processes is not None and len(self.members) >= self.limits.processes:
            self.limit_hit = self.limit_hit or "processes"
            raise WinError(_NOT_ENOUGH_QUOTA, "CreateProcessAsUserW")

    def joined(self, record: ProcessRecord) -> None:
        self.members[record.pid] = record
        self.total += 1

    def left(self, record: ProcessRecord) -> None:
        if self.members.pop(record.pid, None) is not None:
            self.memory -= record.memory
            self.read_bytes += record.read_bytes
            self.written_bytes += record.written_bytes

    def terminate(self, code: int) -> None:
        """End all processes in it."""
        for record in list(self.members.values()):
            record.end(code)

    def closed(self) -> None:
        """Kill on close: the last handle is gone."""
        self.terminate(0)

    def usage(self) -> Usage:
        members = list(self.members.values())
        return Usage(
            user_time=self.cpu,
            kernel_time=0.0,
            peak_memory=self.peak,
            read_bytes=self.read_bytes + sum(record.read_bytes for record in members),
            written_bytes=self.written_bytes + sum(record.written_bytes for record in members),
            processes=self.total,
            limit_hit=self.limit_hit,
        )


class DesktopObject:
    """A desktop that the caller made; it goes with its last handle."""

    def __init__(self, machine: Machine, name: str, descriptor: bytes) -> None:
        self.machine = machine
        self.name = name
        self.descriptor = descriptor

    def __repr__(self) -> str:
        return f"<desktop {self.name!r}>"

    def closed(self) -> None:
        """Windows takes a desktop away with its last handle."""
        self.machine.desktops.pop(self.name.upper(), None)


def duplicate(stream: StreamObject | None) -> StreamObject | None:
    """Another end on the same stream, for a process of its own."""
    if isinstance(stream, FileObject):
        return FileObject(stream.filesystem, stream.link, stream.stream, stream.granted, stream.share, stream.token)
    return None if stream is None else stream.duplicate()


def start(
    machine: Machine,
    token: SimulatedToken,
    *,
    image: str,
    argv: Sequence[str],
    environment: Mapping[str, str],
    cwd: str,
    streams: Sequence[StreamObject | None],
    jobs: Sequence[JobObject],
    flags: int = 0,
    opener: SimulatedToken,
    desktop: str | None = DEFAULT_DESKTOP,
    console: int = 0,
) -> ProcessRecord:
    """Start the program at `image`; `opener` is who opens its file. The streams become the process's own.

    `desktop` is None where the process cannot be connected to the one that was asked for; `console` is its starter's,
    which it shares unless `flags` say otherwise.

    Winerror 2 or 3 where there is no such file, 5 where it may not be executed, 193 where it is no program, 267 where
    the working directory is none.
    """
    from .._security import mask
    from .tokens import TokenObject

    function = "CreateProcessAsUserW"
    with machine.lock:
        filesystem = machine.filesystem
        link, _ = filesystem.existing(image, opener, function, follow=True)
        opened = filesystem.open(
            link, opener, mask.FILE_GENERIC_EXECUTE | mask.FILE_READ_DATA, directory=False, function=function
        )
        opened.closed()
        program = machine.programs.get(bytes(link.node.data))
        if program is None:
            raise WinError(193, function, image)
        directory = filesystem.find(cwd, opener, function, follow=True)[3]
        if directory is None or not directory.node.directory:
            raise WinError(267, function, cwd)
        for job in jobs:
            job.admit()
        record = ProcessRecord(
            machine,
            TokenObject(token),
            image=image,
            argv=argv,
            environment=environment,
            cwd=cwd,
            jobs=jobs,
            flags=flags,
            desktop=desktop or "",
            console=0 if flags & DETACHED else console,
        )
        if flags & NEW_CONSOLE:
            record.console = record.pid
        record.streams = list(streams)
        machine.processes[record.pid] = record
        for job in jobs:
            job.joined(record)
        machine.started += 1
        record.start(_no_desktop if desktop is None else program)
        return record


def _no_desktop(process: SimulatedProcess) -> int:
    """What happens to a process that cannot be connected to its desktop."""
    return DLL_INIT_FAILED
