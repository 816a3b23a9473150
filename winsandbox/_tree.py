"""A running command as Windows has it: one job with its first process, until nothing of it is left.

Everything that waits, ends or counts goes through :class:`Tree`, from whatever thread: the handles stay open for as
long as somebody uses them (a wait on a closed number could be a wait on somebody else's new object), and are closed as
soon as the job is empty, however long the caller keeps his :class:`~.process.Process`.

Sources: "Job Objects", "TerminateJobObject function" and "GetExitCodeProcess function" (Microsoft Learn).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from . import _log

if TYPE_CHECKING:
    from ._host import Handle, Host, Started, Usage

# Longest single wait of the main thread: a wait in the kernel is not interrupted by Ctrl+C, Python reacts between two.
_SLICE: Final = 0.25
# ERROR_NOT_ENOUGH_QUOTA: the code with which Windows itself ends processes whose job has used up its time.
WALL_TIME_EXIT: Final = 1816
_RETRY: Final = 1.0  # seconds until the next attempt to end a tree whose time is over, when one has failed
_PAUSE: Final = 0.1  # real seconds; a wait that fails comes back at once
KILLED: Final = 1  # subprocess.Popen's kill() on Windows ends with this code too


class Tree:
    """One spawn's job and first process. Safe to use from several threads.

    Attributes:
        pid: of the first process.
        returncode: its exit code, unsigned, once its end was seen; else None.
        over: whether nothing of the tree is left and the handles are given back.
        ended: when that was seen, on the host's clock.
        trouble: what went wrong with the wall-clock limit, for people.
    """

    def __init__(self, host: Host, job: Handle, started: Started, wall_time: float | None) -> None:
        self.pid = started.pid
        self.returncode: int | None = None
        self.over = False
        self.ended: float | None = None
        self.trouble: tuple[str, ...] = ()
        self._host = host
        self._job = job
        self._process = started.process
        # Re-entrant: a garbage collection inside of it may collect the process, whose finalizer comes back here.
        self._lock = threading.RLock()
        self._users = 0
        self._usage: Usage | None = None
        self._expired = False  # the tree was ended for its time
        self._interruptible = host.capabilities().kind != "simulated"
        self._deadline = None if wall_time is None else host.processes.clock() + wall_time

    # --- handles -------------------------------------------------------------------------------------------------

    @contextmanager
    def using(self) -> Iterator[bool]:
        """Keep the handles open meanwhile; gives False when they are closed already."""
        with self._lock:
            if self._job.closed or self._process.closed:
                # Collected in a cycle, where the handles' finalizers may come first; closing the job ended the tree.
                self._is_over()
            usable = not self.over
            self._users += usable
        try:
            yield usable
        finally:
            with self._lock:
                self._users -= usable
                # Only somebody who used them: a second close could hit a handle that was made meanwhile.
                last = usable and self.over and not self._users
            if last:
                self._close()

    def process_handle(self) -> int:
        """The first process's handle as a number; only within :meth:`using`."""
        return self._process.value

    def _close(self) -> None:
        self._process.close()
        self._job.close()

    # --- the first process ---------------------------------------------------------------------------------------

    def wait(self, timeout: float | None) -> bool:
        """Wait for the first process (seconds on the host's clock; 0: look only); False when the time is over first."""
        processes = self._host.processes
        deadline = None if timeout is None else processes.clock() + timeout
        while self.returncode is None:
            left = None if deadline is None else max(0.0, deadline - processes.clock())
            nap = self._until(deadline)
            with self.using() as usable:
                if not usable:
                    break
                if processes.wait(self._process, nap):
                    self._seen()
                    break
            self._enforce_wall_time()
            if left is not None and (left <= 0 or (deadline is not None and processes.clock() >= deadline)):
                return False
        return self.returncode is not None

    def _until(self, deadline: float | None) -> float | None:
        """How long to wait in one go: not beyond the caller's time, the wall time, or Ctrl+C's patience."""
        ends = [moment for moment in (deadline, self._deadline) if moment is not None and not self._expired]
        if deadline is not None and deadline not in ends:
            ends.append(deadline)
        left = min((max(0.0, moment - self._host.processes.clock()) for moment in ends), default=None)
        if self._interruptible and threading.current_thread() is threading.main_thread():
            left = _SLICE if left is None else min(left, _SLICE)
        return left

    def _seen(self) -> None:
        self.returncode = self._host.processes.exit_code(self._process) & 0xFFFFFFFF

    # --- the whole tree ------------------------------------------------------------------------------------------

    def end(self, code: int = KILLED) -> None:
        """End every process of the tree (TerminateJobObject); does nothing when there is none left."""
        with self.using() as usable:
            if usable:
                self._host.processes.terminate_job(self._job, code)

    def settle(self, timeout: float) -> bool:
        """Whether nothing of the tree is left, after at most `timeout` seconds; if so, give the handles back."""
        processes = self._host.processes
        with self.using() as usable:
            if not usable:
                return True
            if not processes.wait_job(self._job, timeout):
                return False
            # The job counts a process out a moment before its handle is signalled.
            if self.returncode is None and processes.wait(self._process, 5.0):
                self._seen()
            usage = self._read_usage()
            with self._lock:
                self._usage = self._usage or usage
                self._is_over()
        return True

    def abandon(self) -> None:
        """The way out when nobody is left to wait: end the tree and give the handles back at once."""
        with suppress(OSError):  # closing the last handle of the job ends it as well (kill on close)
            self.end()
        with self.using() as usable:
            if usable:
                with self._lock:
                    self._is_over()

    def _is_over(self) -> None:
        if not self.over:
            self.over, self.ended = True, self._host.processes.clock()

    def usage(self) -> Usage | None:
        """The job's accounting: live while it runs, the last word afterwards; None where the host does not tell."""
        with self.using() as usable:
            return self._read_usage() if usable else self._usage

    def _read_usage(self) -> Usage | None:
        try:
            return self._host.processes.job_usage(self._job)
        except OSError:
            return None

    # --- limits --------------------------------------------------------------------------------------------------

    @property
    def limit(self) -> str | None:
        """The wall time if it ended the tree; else the limit that the job has told of first."""
        if self._expired:
            return "wall_time"
        usage = self.usage()
        return None if usage is None else usage.limit_hit

    def watch(self) -> None:
        """Hold the wall-clock limit even while nobody waits. A thread, because a job has no such limit of its own."""
        if self._deadline is not None:
            threading.Thread(target=self._watch, name=f"winsandbox wall time {self.pid}", daemon=True).start()

    def _watch(self) -> None:
        # The host may go away meanwhile (the interpreter ends, a simulated process crashed), and its jobs with it. A
        # thread has nobody to raise to.
        with suppress(BaseException):
            while not self._expired and not self.over:
                try:
                    if self._ends_in_time():
                        return
                    self._enforce_wall_time()
                except OSError as error:
                    self._failed(error)
                    time.sleep(_PAUSE)

    def _ends_in_time(self) -> bool:
        """Wait for the first process, then for what it left behind, up to the same moment."""
        processes = self._host.processes
        with self.using() as usable:
            if not usable:
                return True
            return processes.wait(self._process, self._time_left()) and processes.wait_job(self._job, self._time_left())

    def _time_left(self) -> float:
        return 0.0 if self._deadline is None else max(0.0, self._deadline - self._host.processes.clock())

    def _enforce_wall_time(self) -> None:
        """End the tree if its time is over. A failure is told and tried again, by whoever waits or by the thread."""
        deadline = self._deadline
        if deadline is None or self._expired or self._host.processes.clock() < deadline:
            return
        with self.using() as usable:
            if not usable:
                return
            try:
                self._host.processes.terminate_job(self._job, WALL_TIME_EXIT)
            except OSError as error:
                self._failed(error)
                self._deadline = self._host.processes.clock() + _RETRY
            else:
                self._expired = True

    def _failed(self, error: OSError) -> None:
        said = f"the limit wall_time could not be held at once: {error}"
        if said not in self.trouble:
            self.trouble += (said,)
            _log.record("limit-failed", said, weight="warning", pid=self.pid, limit="wall_time")
