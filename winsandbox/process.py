"""Process: what ``spawn`` returns, with the surface of :class:`subprocess.Popen`.

What differs from Popen, and why:

* the unit is the tree. ``kill``, ``terminate``, the end of a ``with`` block and the sandbox's ``close`` end the first
  process *and everything that it started* (its job); so does the end of the process that made the sandbox;
* ``communicate`` is never held up for good by a descendant that outlives the first process and holds a pipe: after
  ``DRAIN_SECONDS`` (2) it returns what has come;
* ``TimeoutExpired`` carries the partial output from ``communicate`` too, not from ``run`` only.
"""

from __future__ import annotations

import signal
import subprocess
import threading
import time
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Any, Final, Self

from ._outcome import decode, explain_exit
from ._pipes import DRAIN_SECONDS, Collector, Feeder, Pump, close_quietly
from ._tree import WALL_TIME_EXIT

if TYPE_CHECKING:
    import os
    from types import TracebackType

    from _typeshed import ReadableBuffer

    from ._host import Host, Usage
    from ._pipes import TextMode
    from ._tree import Tree

__all__ = ["DRAIN_SECONDS", "Process", "decode", "explain_exit", "run"]

# signal has these two on Windows only, and a simulated process takes them everywhere.
CTRL_C_EVENT: Final = 0
CTRL_BREAK_EVENT: Final = 1

# How long the end of a tree is waited for after TerminateJobObject: it is asynchronous, and a process in a driver's
# call ends only when that returns.
END_SECONDS: Final = 10.0
# A console's host process outlives the last program of the console by a moment.
GRACE_SECONDS: Final = 0.25

Arguments = Sequence["str | os.PathLike[str]"]


class ProcessBase(ABC):
    """What a process and its asyncio twin have in common.

    Attributes:
        args: the arguments as given.
        notes: what the host refused, what is known to go wrong with this command, and what a telling exit code means;
            for people.
        violations: what the sandbox found that the command should not have done; empty until the tree is over.
    """

    def __init__(
        self,
        host: Host,
        tree: Tree,
        args: Arguments,
        *,
        pumps: Sequence[Pump] = (),
        notes: Sequence[str] = (),
        shared_console: bool = False,
        finished: Callable[[Any], None] | None = None,
        forgotten: Callable[[Any], None] | None = None,
    ) -> None:
        self.args = args
        self.notes: tuple[str, ...] = tuple(notes)
        self.violations: tuple[Any, ...] = ()
        self._host = host
        self._tree = tree
        self._pumps = tuple(pumps)
        self._shared_console = shared_console
        self._finished = finished
        self._forgotten = forgotten
        self._finishing = threading.RLock()
        self._reported = False
        self._explained = False
        self._patience = DRAIN_SECONDS  # what waits for the output to a console may still take, all together

    @property
    def pid(self) -> int:
        """The process id of the first process."""
        return self._tree.pid

    @property
    def returncode(self) -> int | None:
        """The exit code of the first process (unsigned 32 bits) once its end was seen; None while it runs."""
        return self._tree.returncode

    @property
    def usage(self) -> Usage | None:
        """What the whole tree has used: seconds, bytes, processes. None where the host does not tell."""
        return self._tree.usage()

    @property
    def limit(self) -> str | None:
        """The limit that the tree ran against: "wall_time", "cpu_time", "memory", "processes"; None: none, or untold.

        The first two have ended it. The others made some allocation or start fail, which the program may have coped
        with; the one that was met first is named.
        """
        return self._tree.limit

    def send_signal(self, sig: int) -> None:
        """Send a signal to a process that still runs.

        SIGTERM ends the tree; CTRL_BREAK_EVENT is passed on, which Windows can do only on a console that both share
        (``console="shared"``). Such a command is a process group of its own, in which Ctrl+C does nothing until the
        program asks for it: whoever presses it ends the host program alone, and that ends the tree.

        Raises:
            ValueError: another signal, or a console event without a shared console.
            OSError: Windows refused.
        """
        if self._tree.wait(0):
            return
        if sig == signal.SIGTERM:
            self.terminate()
        elif sig not in (CTRL_BREAK_EVENT, CTRL_C_EVENT):
            raise ValueError(f"unsupported signal: {sig}")
        elif not self._shared_console or sig == CTRL_C_EVENT:
            raise ValueError(
                'a console event needs console="shared", and CTRL_C_EVENT cannot be sent to one process at all: '
                "use CTRL_BREAK_EVENT there, or terminate()"
            )
        else:
            self._host.processes.control_break(self.pid)

    def kill(self) -> None:
        """End the whole tree at once (TerminateJobObject), with exit code 1. Nothing happens when it has ended."""
        self._tree.end()

    def terminate(self) -> None:
        """The same as :meth:`kill`: Windows has no polite way that works for every program."""
        self.kill()

    def close(self) -> None:
        """End the tree, wait until nothing of it is left, and take back files and threads. May be called again.

        ``with`` does this at its end and the sandbox when it is closed. If Windows cannot end a process within
        ``END_SECONDS`` (10), a note says so.
        """
        try:
            over = self._tree.over or self._end_tree()
        finally:
            self._patience = DRAIN_SECONDS  # with the tree the pipes have ended: this is soon done
            self._flush(DRAIN_SECONDS)
            self._release()
        if over:
            self._finish()

    def _end_tree(self) -> bool:
        try:
            self._tree.end()
        except OSError as error:
            self.notes = (*self.notes, f"the tree could not be ended: {error}")
        over = (self._tree.wait(END_SECONDS) or self._tree.over) and self._tree.settle(END_SECONDS)
        if not over:
            self.notes = (*self.notes, f"some process did not end within {END_SECONDS:g} seconds")
        return over

    @abstractmethod
    def _release(self) -> None:
        """Close our ends of the pipes, once the tree is ended."""

    def _flush(self, most: float) -> None:
        """Wait until the output has reached the console, all waits together no longer than the patience that is left.

        Real seconds, as the console's; a descendant that holds the stream is not waited for again and again.
        """
        begun = time.monotonic()
        most = min(most, self._patience)
        for pump in self._pumps:
            left = begun + most - time.monotonic()
            if pump.output and left > 0:
                pump.join(left)
        self._patience -= time.monotonic() - begun

    def _code(self) -> int:
        code = self._tree.returncode
        return 0 if code is None else code

    def _ended(self, timeout: float | None) -> None:
        """After the end of the first process: flush what goes to a console, and see whether all is over.

        For a caller who gave `timeout` seconds; 0 waits for nothing.
        """
        self._flush(DRAIN_SECONDS if timeout is None else min(DRAIN_SECONDS, timeout))
        self._explain()
        if self._tree.settle(GRACE_SECONDS if timeout is None else max(0.0, min(GRACE_SECONDS, timeout))):
            self._finish()

    def _explain(self) -> None:
        """Once, what the exit code tells of the sandbox; but a time limit's code is a limit only if there was one."""
        code = self._tree.returncode
        if self._explained or code is None:
            return
        self._explained = True
        said = explain_exit(code)
        if said is not None and (code != WALL_TIME_EXIT or self.limit is not None):
            self.notes = (*self.notes, f"exit code {code} (0x{code:X}): {said}")

    def _finish(self) -> None:
        with self._finishing:  # whoever comes second returns when the first has looked for violations
            finished, self._finished = self._finished, None
            if self._reported:
                return
            self._explain()
            self.notes = (*self.notes, *self._tree.trouble)
            self._reported = True
            if finished is not None:
                finished(self)

    def __repr__(self) -> str:
        state = "running" if self.returncode is None else f"returned {self.returncode}"
        return f"<{type(self).__name__}: {state} args: {self.args!r}>"

    def __del__(self, _warn: Callable[..., None] = warnings.warn) -> None:
        tree = self.__dict__.get("_tree")
        if tree is None or tree.over:
            return
        running = False
        with suppress(BaseException):  # the host may be gone already, and its jobs with it
            running = tree.returncode is None and not tree.wait(0)
        try:
            if running:
                text = f"subprocess {tree.pid} is still running: it is ended"
                _warn(text, ResourceWarning, source=self, stacklevel=2)
        finally:  # also where warnings are errors
            with suppress(BaseException):
                self._leave(tree)

    def _leave(self, tree: Tree) -> None:
        """End the tree for good; its record is left to somebody who may wait, which ``__del__`` may not."""
        if self._finished is None or self._forgotten is None:
            tree.abandon()
            return
        with suppress(OSError):  # then whoever takes it over tries again
            tree.end()
        self._forgotten(_Forgotten(self._host, tree, self.args, notes=self.notes, finished=self._finished))


class _Forgotten(ProcessBase):
    """Stands in for a process that its owner forgot, until its end is recorded."""

    def _release(self) -> None:
        """Its pipes went with the process."""


class Process(ProcessBase):
    """A running command, with the names of :class:`subprocess.Popen`.

    As a context manager it closes the pipes and waits for the first process, as Popen does, then ends whatever that
    left behind; after an exception the tree is ended at once.

    Attributes:
        stdin, stdout, stderr: the files of the pipes asked for with PIPE, else None.
    """

    def __init__(
        self,
        host: Host,
        tree: Tree,
        args: Arguments,
        files: tuple[IO[Any] | None, IO[Any] | None, IO[Any] | None],
        mode: TextMode | None,
        *,
        pumps: Sequence[Pump] = (),
        notes: Sequence[str] = (),
        shared_console: bool = False,
        finished: Callable[[Any], None] | None = None,
        forgotten: Callable[[Any], None] | None = None,
    ) -> None:
        super().__init__(
            host,
            tree,
            args,
            pumps=pumps,
            notes=notes,
            shared_console=shared_console,
            finished=finished,
            forgotten=forgotten,
        )
        self.stdin, self.stdout, self.stderr = files
        self._mode = mode
        self._feeder: Feeder | None = None
        self._collectors: tuple[Collector | None, Collector | None] | None = None

    @property
    def universal_newlines(self) -> bool:
        """Whether the streams are text."""
        return self._mode is not None

    def poll(self) -> int | None:
        """The exit code if the first process has ended, else None."""
        if self._tree.wait(0):
            self._ended(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the first process and return its exit code. What it started may run on.

        Raises:
            subprocess.TimeoutExpired: it still runs after `timeout` seconds. It goes on running.
        """
        if not self._tree.wait(timeout):
            raise subprocess.TimeoutExpired(self.args, timeout or 0.0)
        self._ended(timeout)
        return self._code()

    def communicate(self, input: str | ReadableBuffer | None = None, timeout: float | None = None) -> tuple[Any, Any]:
        """Send `input`, close stdin, read both outputs to their ends, and wait for the first process.

        Where descendants outlive it and hold a pipe, their output is read for up to ``DRAIN_SECONDS`` more and dropped
        afterwards.

        Returns:
            (stdout, stderr): bytes, or str in text mode; None for a stream that is no pipe.

        Raises:
            subprocess.TimeoutExpired: with the output so far. The process goes on running, and ``communicate`` can be
                called again without losing anything.
            ValueError: input at a second call.
            TypeError: str for a binary stream, or bytes for a text stream.
            UnicodeError: text mode, and the output is no text in that encoding.
        """
        return self._communicate(input, timeout, end_tree=False)

    def _communicate(
        self, data: str | ReadableBuffer | None, timeout: float | None, *, end_tree: bool
    ) -> tuple[Any, Any]:
        self._start_threads(data)
        if not self._tree.wait(timeout):
            partial = self._output(final=False)
            raise subprocess.TimeoutExpired(self.args, timeout or 0.0, output=partial[0], stderr=partial[1])
        collectors = [one for one in self._collectors or () if one is not None]
        patience = time.monotonic() + DRAIN_SECONDS
        left = [one for one in collectors if not one.join(max(0.0, patience - time.monotonic()))]
        if end_tree:
            self.close()
        else:
            for one in left:
                one.drop()
            self._ended(timeout)
        if self._feeder is not None:
            self._feeder.join(DRAIN_SECONDS)
            if self._feeder.error is not None:
                raise self._feeder.error
        return self._output(final=True)

    def _start_threads(self, data: str | ReadableBuffer | None) -> None:
        if self._collectors is not None:
            if data:
                raise ValueError("Cannot send input after starting communication")
            return
        if data and self.stdin is not None and isinstance(data, str) != (self._mode is not None):
            wanted = "str" if self._mode is not None else "a bytes-like object"
            raise TypeError(f"input must be {wanted}, not {type(data).__name__}")
        self._collectors = (self._collector(self.stdout), self._collector(self.stderr))
        if self.stdin is not None and not self.stdin.closed:
            if data:
                self._feeder = Feeder(self.stdin, data)
            else:
                close_quietly(self.stdin)

    def _collector(self, stream: IO[Any] | None) -> Collector | None:
        return None if stream is None else Collector(stream, self._mode)

    def _output(self, *, final: bool) -> tuple[Any, Any]:
        first, second = self._collectors or (None, None)
        return (
            None if first is None else first.result(final=final),
            None if second is None else second.result(final=final),
        )

    def _release(self) -> None:
        for collector in self._collectors or ():
            if collector is not None:
                collector.join(DRAIN_SECONDS)
        self._close_files()

    def _close_files(self) -> None:
        if self._collectors is None:
            for stream in (self.stdout, self.stderr):
                if stream is not None:
                    close_quietly(stream)
        if self.stdin is not None and self._feeder is None:
            close_quietly(self.stdin)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._close_files()  # before the wait: a child that fills a pipe nobody reads would never end
                self._tree.wait(None)
        finally:
            self.close()


def run(
    process: Process,
    *,
    input: str | ReadableBuffer | None = None,
    timeout: float | None = None,
    check: bool = False,
) -> subprocess.CompletedProcess[Any]:
    """Carry a fresh process through, as :func:`subprocess.run` does; its tree is ended before this returns or raises.

    Raises:
        subprocess.TimeoutExpired: with all output until the tree was ended.
        subprocess.CalledProcessError: `check` is set and the exit code is not 0.
    """
    with process:
        try:
            stdout, stderr = process._communicate(input, timeout, end_tree=True)
        except subprocess.TimeoutExpired as expired:
            process.close()
            expired.stdout, expired.stderr = process._output(final=True)
            raise
    code = process._code()
    if check and code:
        raise subprocess.CalledProcessError(code, process.args, stdout, stderr)
    return subprocess.CompletedProcess(process.args, code, stdout, stderr)
