"""What standard streams can be: pipes (real ones, so that the caller's own pumps work on them), files, nothing.

A program that waits for a pipe must be seen by the clock and must be woken when it is ended; so it never blocks in
``os.read`` itself but waits, together with a wake-up pipe of its own, until the descriptor is ready.
"""

from __future__ import annotations

import os
import select
import sys
from typing import TYPE_CHECKING

from ..errors import WinError

if TYPE_CHECKING:
    from .jobs import ProcessRecord
    from .machine import Machine

__all__ = ["DescriptorEnd", "NullEnd"]

# Not more at once: a pipe that is said to be writable takes this much without blocking (POSIX: PIPE_BUF).
_CHUNK = 512


class NullEnd:
    """The null device."""

    def __repr__(self) -> str:
        return "<the null device>"

    def duplicate(self) -> NullEnd:
        return self

    def closed(self) -> None:
        """Nothing to release."""

    def read(self, size: int, process: ProcessRecord | None) -> bytes:
        return b""

    def write(self, data: bytes, process: ProcessRecord | None) -> None:
        """Gone."""


class DescriptorEnd:
    """A real file descriptor: one end of a pipe, or a file of the caller's."""

    def __init__(self, machine: Machine, fd: int, *, console: bool = False, writes: bool = False) -> None:
        self.machine = machine
        self.fd = fd
        self.console = console
        self.writes = writes
        self.overlapped = False
        self._busy = 0
        self._gone = False

    def __repr__(self) -> str:
        return f"<stream {self.fd}>"

    def duplicate(self) -> DescriptorEnd:
        """Another end on the same pipe or file, closed on its own."""
        return DescriptorEnd(self.machine, os.dup(self.fd), console=self.console, writes=self.writes)

    def closed(self) -> None:
        """Close the descriptor; not while a thread waits on it, or its number could name another file meanwhile."""
        with self.machine.lock:
            if self._gone:
                return
            self._gone = True
            if not self._busy:
                os.close(self.fd)

    def give_up(self) -> int:
        """The descriptor, which is the receiver's to close from now on."""
        with self.machine.lock:
            if self._gone:
                raise WinError(6, "open_osfhandle")
            self._gone = True
            return self.fd

    def read(self, size: int, process: ProcessRecord | None) -> bytes:
        """At most `size` bytes, waiting for the first; ``b""`` at the end."""
        self._enter()
        try:
            self._await(process, write=False)
            return os.read(self.fd, size)
        except OSError as error:
            raise WinError(109, "ReadFile", message=str(error)) from None
        finally:
            self._leave()

    def write(self, data: bytes, process: ProcessRecord | None) -> None:
        """All of `data`; winerror 232 when nobody reads any more."""
        self._enter()
        try:
            view = memoryview(data)
            while view:
                self._await(process, write=True)
                if process is not None:
                    process.check()
                view = view[os.write(self.fd, view[:_CHUNK]) :]
        except OSError as error:
            raise WinError(232, "WriteFile", message=str(error)) from None
        finally:
            self._leave()

    def _enter(self) -> None:
        with self.machine.lock:
            if self._gone:
                raise WinError(6, "ReadFile")
            self._busy += 1

    def _leave(self) -> None:
        with self.machine.lock:
            self._busy -= 1
            if self._gone and not self._busy:
                os.close(self.fd)

    def _await(self, process: ProcessRecord | None, *, write: bool) -> None:
        """Wait until the descriptor is ready; a program is seen by the clock meanwhile, and may end here."""
        if process is None:
            return  # a caller blocks as callers do
        if _ready(self.fd, None, write, 0):
            return
        wake = process.wake_descriptor()
        with self.machine.lock:
            process.check()
            self.machine.clock.blocks(process, lambda: _ready(self.fd, None, write, 0))
        try:
            while not _ready(self.fd, wake, write, None):
                pass
        finally:
            with self.machine.lock:
                if not process.ended:
                    self.machine.clock.stops(process)
                    self.machine.clock.runs(process)
                process.check()


if sys.platform == "win32":

    def _ready(fd: int, wake: int | None, write: bool, timeout: float | None) -> bool:
        """Pipes of Windows cannot be selected on: look again and again."""
        import _winapi
        import msvcrt
        import time

        def holds(one: int) -> bool:
            try:
                return bool(_winapi.PeekNamedPipe(msvcrt.get_osfhandle(one), 0)[0])
            except OSError:
                return True  # no pipe, or its other end is gone: reading tells

        # Whether a pipe takes more cannot be asked at all. So on Windows a program that has filled one counts as
        # working, and the thread of one that was ended there stays until somebody reads or closes the other end.
        while not (write or holds(fd) or (wake is not None and holds(wake))):
            if timeout is not None:
                return False
            time.sleep(0.002)
        return True

else:

    def _ready(fd: int, wake: int | None, write: bool, timeout: float | None) -> bool:
        """Whether `fd` can be read (or written) without blocking, or somebody rang; waits if `timeout` is None."""
        poll = select.poll()
        poll.register(fd, select.POLLOUT if write else select.POLLIN)
        if wake is not None:
            poll.register(wake, select.POLLIN)
        return bool(poll.poll(timeout))
