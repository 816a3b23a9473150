"""The Processes protocol for one caller."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, Final, Literal

from .._host import Handle, JobLimits, ProcessId, Started, StartRequest, Station, Usage
from .._security import mask
from ..errors import WinError
from . import commandline, jobs
from .filesystem import FileObject
from .gate import Caller
from .jobs import CONTROL_BREAK_EXIT, DesktopObject, JobObject, ProcessObject, StreamObject
from .monitor import parse
from .streams import DescriptorEnd, NullEnd
from .tokens import SimulatedToken, TokenObject

if TYPE_CHECKING:
    from .host import SimulatedHost

__all__ = ["SimProcesses"]

_NO_CONSOLE_OF_CALLER: Final = jobs.NEW_CONSOLE | jobs.DETACHED
_NEW_GROUP: Final = 0x200
_DESKTOP: Final = mask.GenericMapping(0x20041, 0x200BE, 0x20100, 0xF01FF)
_DESKTOP_USE: Final = 0x83  # read and write objects, create windows: what user32 needs to start


class SimProcesses:
    """See ``_host.Processes`` for each method; here stands only what is the simulation's own."""

    def __init__(self, host: SimulatedHost, caller: Caller) -> None:
        self._host = host
        self._caller = caller
        self._machine = caller.machine

    def environment(self) -> dict[str, str]:
        """The simulated caller's."""
        self._caller.alive("environment")
        return dict(self._caller.process.environment)

    # Streams

    def pipe(self, *, child_reads: bool, overlapped: bool = False) -> tuple[Handle, Handle]:
        """A pipe of this machine's own system."""
        self._caller.enter("pipe")
        reader, writer = _real_pipe(child_reads, overlapped)
        ends = [DescriptorEnd(self._machine, reader), DescriptorEnd(self._machine, writer, writes=True)]
        if child_reads:
            ends.reverse()
        ends[0].overlapped = overlapped
        return self._caller.own(ends[0]), self._caller.own(ends[1])

    def descriptor(self, handle: Handle, *, write: bool) -> int:
        """The pipe's own descriptor."""
        self._caller.enter("descriptor")
        end = self._stream(handle)
        if isinstance(end, FileObject):
            raise WinError(6, "open_osfhandle", message="a simulated file has no descriptor")
        fd = os.open(os.devnull, os.O_RDWR) if isinstance(end, NullEnd) else end.give_up()
        handle.close()
        return fd

    def endpoint(self, handle: Handle) -> object:
        """A file object for a Unix loop; a pipe handle for Windows' proactor."""
        self._caller.enter("endpoint")
        end = self._caller.object(handle, DescriptorEnd)
        writes, overlapped = end.writes, end.overlapped
        fd = end.give_up()
        handle.close()
        if sys.platform == "win32" and overlapped:
            from asyncio.windows_utils import PipeHandle

            return PipeHandle(fd)
        return os.fdopen(fd, "wb" if writes else "rb", buffering=0)

    def null(self, *, write: bool) -> Handle:
        """The null device."""
        self._caller.enter("null")
        return self._caller.own(NullEnd())

    def duplicate_descriptor(self, fd: int) -> Handle:
        """Of a real file or pipe."""
        self._caller.enter("duplicate_descriptor")
        try:
            return self._caller.own(DescriptorEnd(self._machine, os.dup(fd), writes=True))
        except OSError:
            raise WinError(6, "DuplicateHandle") from None

    def standard(self, number: Literal[0, 1, 2]) -> Handle | None:
        """A duplicate of what ``SimulatedHost.stdin``, ``stdout`` and ``stderr`` show."""
        self._caller.enter("standard")
        end = self._host._standard_stream(number)
        return None if end is None else self._caller.own(end)

    def is_console(self, handle: Handle) -> bool:
        """Whether the host was made with a console and this is a stream of it."""
        self._caller.enter("is_console")
        end = self._stream(handle)
        return isinstance(end, DescriptorEnd) and end.console

    def has_console(self) -> bool:
        """As the host was made."""
        self._caller.alive("has_console")
        return self._host.console

    # Jobs

    def create_job(self, limits: JobLimits) -> Handle:
        """A job; limits of the user interface are refused when a process is put into it, as by Windows."""
        self._caller.enter("create_job")
        for value in (limits.memory, limits.processes, limits.cpu_time):
            if value is not None and value <= 0:
                raise WinError(87, "SetInformationJobObject")
        return self._caller.own(JobObject(self._machine, limits))

    def terminate_job(self, job: Handle, code: int) -> None:
        """All of it is dead when this returns."""
        self._caller.enter("terminate_job")
        with self._machine.lock:
            self._job(job).terminate(code)

    def job_processes(self, job: Handle) -> tuple[int, ...]:
        """In the order of their start."""
        self._caller.enter("job_processes")
        with self._machine.lock:
            return tuple(sorted(self._job(job).members))

    def wait_job(self, job: Handle, timeout: float | None) -> bool:
        """Simulated seconds."""
        self._caller.enter("wait_job")
        with self._machine.lock:
            held = self._job(job)
            return self._wait(lambda: not held.members, timeout)

    def job_usage(self, job: Handle) -> Usage:
        """CPU time is what programs said they computed."""
        self._caller.enter("job_usage")
        with self._machine.lock:
            return self._job(job).usage()

    # Processes

    def start(self, request: StartRequest) -> Started:
        """Run the program, a function, in a thread. The application's file is opened with the new token."""
        self._caller.enter("start")
        function = "CreateProcessAsUserW"
        with self._machine.lock:
            token = self._caller.object(request.token, TokenObject).token
            mine = self._caller.process.token.token
            if token.model.user != mine.model.user or token.model.integrity > mine.model.integrity:
                raise WinError(1314, function)
            job = self._job(request.job)
            if job.limits.ui and self._host.job_ui_limits:
                raise WinError(5, function, message="the caller's own job allows no nested job with UI limits")
            given = [None if handle is None else self._stream(handle) for handle in request.handles]
            streams = [jobs.duplicate(stream) for stream in given]
            try:
                record = jobs.start(
                    self._machine,
                    token,
                    image=request.application,
                    argv=commandline.split(request.command_line),
                    environment=request.environment,
                    cwd=request.cwd,
                    streams=streams,
                    jobs=(job,),
                    flags=request.flags,
                    opener=token,
                    desktop=self._desktop(request.desktop, token),
                    console=self._caller.process.console,
                )
            except BaseException:
                for stream in streams:
                    if stream is not None:
                        stream.closed()
                raise
            return Started(self._caller.own(ProcessObject(record)), record.pid)

    def _desktop(self, name: str | None, token: SimulatedToken) -> str | None:
        """The desktop that a process with `token` is connected to, or None where it cannot be."""
        if name is None:
            return self._caller.process.desktop
        own = self._host._station
        station, _, bare = name.upper().rpartition("\\")
        if station not in ("", own.name.upper()):
            return None
        if bare == own.desktop.upper():
            return own.desktop
        desktop = self._machine.desktops.get(bare)
        if desktop is None:
            return None
        granted = self._machine.monitor.check(desktop.descriptor, token, _DESKTOP_USE, _DESKTOP)
        return None if granted is None else desktop.name

    def wait(self, process: Handle, timeout: float | None) -> bool:
        """Simulated seconds."""
        self._caller.enter("wait")
        with self._machine.lock:
            record = self._caller.object(process, ProcessObject).record
            return self._wait(lambda: record.ended, timeout)

    def _wait(self, until: Any, timeout: float | None) -> bool:
        ended = self._machine.clock.wait(lambda: until() or self._caller.dead, timeout)
        self._caller.alive("wait")
        return ended

    def exit_code(self, process: Handle) -> int:
        """259 (STILL_ACTIVE) while it runs."""
        self._caller.enter("exit_code")
        code = self._caller.object(process, ProcessObject).record.exit_code
        return 259 if code is None else code

    def control_break(self, pid: int) -> None:
        """Reaches processes of the group on the caller's own console only: 6 without one, 87 where there are none."""
        self._caller.enter("control_break")
        function = "GenerateConsoleCtrlEvent"
        if not self._host.console:
            raise WinError(6, function)
        with self._machine.lock:
            record = self._machine.processes.get(pid)
            if record is None or not record.flags & _NEW_GROUP or record.flags & _NO_CONSOLE_OF_CALLER:
                raise WinError(87, function)
            group = {member.pid: member for job in record.jobs for member in job.members.values()} or {pid: record}
            handlers = []
            for member in group.values():
                if member.on_break is None:
                    member.end(CONTROL_BREAK_EXIT)
                else:
                    handlers.append(member.on_break)
        for handler in handlers:
            handler()

    def station(self) -> Station:
        """WinSta0, or in session 0 one that nobody sees, named after the logon session."""
        self._caller.enter("station")
        return self._host._station

    def create_desktop(self, name: str, descriptor: bytes) -> Handle:
        """Without the window station, as CreateDesktopW wants it."""
        self._caller.enter("create_desktop")
        if not name or "\\" in name:
            raise WinError(123, "CreateDesktopW", name)
        with self._machine.lock:
            parse(descriptor)
            desktop = DesktopObject(self._machine, name, descriptor)
            self._machine.desktops[name.upper()] = desktop
            return self._caller.own(desktop)

    def job_refuses_ui_limits(self) -> bool | None:
        """As the host was made."""
        self._caller.alive("job_refuses_ui_limits")
        return self._host.job_ui_limits

    # The caller and the clock

    def current(self) -> ProcessId:
        """The calling process."""
        self._caller.alive("current_process")
        return self._caller.process.identity

    def alive(self, process: ProcessId) -> bool:
        """Of any process of the machine."""
        self._caller.enter("alive")
        with self._machine.lock:
            record = self._machine.processes.get(process.pid)
            return record is not None and record.identity == process

    def clock(self) -> float:
        """Simulated seconds; looking at it does not make it go on."""
        self._caller.alive("clock")
        with self._machine.lock:
            return self._machine.clock.now

    def time(self) -> float:
        """Seconds since the epoch on the simulated clock, which began on a fixed day."""
        self._caller.alive("time")
        with self._machine.lock:
            return self._machine.clock.epoch + self._machine.clock.now

    def random(self, size: int) -> bytes:
        """From a seeded generator."""
        self._caller.alive("random")
        with self._machine.lock:
            return self._machine.random.randbytes(size)

    def _job(self, handle: Handle) -> JobObject:
        return self._caller.object(handle, JobObject)

    def _stream(self, handle: Handle) -> StreamObject:
        found = self._caller.named(handle)
        if not isinstance(found, DescriptorEnd | NullEnd | FileObject):
            raise WinError(6, "DuplicateHandle")
        return found


if sys.platform == "win32":

    def _real_pipe(child_reads: bool, overlapped: bool) -> tuple[int, int]:
        """(read end, write end); an overlapped end of ours stays a handle, since the C runtime cannot use one."""
        if not overlapped:
            return os.pipe()
        import msvcrt
        from asyncio.windows_utils import pipe

        reader, writer = pipe(overlapped=(not child_reads, child_reads))
        if child_reads:
            return msvcrt.open_osfhandle(reader, os.O_RDONLY), writer
        return reader, msvcrt.open_osfhandle(writer, 0)

else:

    def _real_pipe(child_reads: bool, overlapped: bool) -> tuple[int, int]:
        """(read end, write end)."""
        return os.pipe()
