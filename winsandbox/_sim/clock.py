"""Simulated time: it stands still while anything runs, and leaps to the next deadline when everything waits.

A program that sleeps and a caller that waits with a timeout both wait here. As soon as no program runs, no waiter is
ready and every thread of the callers that has ever called the host waits here too, time goes to the earliest deadline;
so a timeout of an hour costs nothing, and which of two things happens first does not depend on the machine's load.

Two kinds of waiting cannot be seen from here: a program blocked in a real pipe, which the caller's own threads feed or
drain, and a caller's thread that is busy with something else than the host, reading such a pipe for one. Then time goes
on only after ``patience`` *real* seconds (five times as many for pipes) in which nothing happened.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final, Protocol

__all__ = ["Clock"]

# FILETIME of 1970-01-01.
_EPOCH: Final = 116444736000000000


# A pump of the caller's may be kept off the processor on a loaded machine: wait longer before a pipe counts as idle.
_PIPES: Final = 5


class Participant(Protocol):
    """A program's process."""

    @property
    def ended(self) -> bool: ...


class Waiter:
    """Somebody who waits until something is true or a point of time is reached."""

    __slots__ = ("deadline", "program", "until")

    def __init__(self, until: Callable[[], bool], deadline: float | None, program: Participant | None) -> None:
        self.until = until
        self.deadline = deadline
        self.program = program


class Clock:
    """The time of one machine. All methods are called with the machine's lock held, which is the condition's lock."""

    def __init__(self, condition: threading.Condition, epoch: float, patience: float) -> None:
        self.condition = condition
        self.now = 0.0
        self.epoch = epoch
        self.patience = patience
        self.activity = 0
        self._running: set[Participant] = set()
        self._piped: dict[Participant, Callable[[], bool]] = {}
        self._waiters: list[Waiter] = []
        self._threads: set[threading.Thread] = set()

    @property
    def filetime(self) -> int:
        """The system time, 100 ns since 1601."""
        return _EPOCH + int((self.epoch + self.now) * 10_000_000)

    def called(self) -> None:
        """The current thread is a caller's: time does not leap while it is busy."""
        self._threads.add(threading.current_thread())

    def runs(self, program: Participant) -> None:
        """`program` is on the processor."""
        self._running.add(program)
        self.activity += 1

    def stops(self, program: Participant) -> None:
        """`program` has ended or waits."""
        self._running.discard(program)
        self._piped.pop(program, None)
        self.activity += 1
        self.condition.notify_all()

    def blocks(self, program: Participant, ready: Callable[[], bool]) -> None:
        """`program` waits for a pipe; `ready` tells whether the pipe has become ready meanwhile."""
        self.stops(program)
        self._piped[program] = ready

    def happened(self) -> None:
        """Something that waiters may wait for."""
        self.activity += 1
        self.condition.notify_all()

    def wait(self, until: Callable[[], bool], timeout: float | None, program: Participant | None = None) -> bool:
        """Wait, as `program` or as a caller, until `until` is true (True) or `timeout` seconds are over (False)."""
        if until():
            return True
        if timeout is not None and timeout <= 0:
            return False
        waiter = Waiter(until, None if timeout is None else self.now + timeout, program)
        self._waiters.append(waiter)
        thread = threading.current_thread()
        if program is None:
            self._threads.discard(thread)
        else:
            self._running.discard(program)
        self.happened()
        try:
            while True:
                if until():
                    return True
                if waiter.deadline is not None and self.now >= waiter.deadline:
                    return False
                self._turn()
        finally:
            self._waiters.remove(waiter)
            if program is None:
                self._threads.add(thread)
            elif not program.ended:
                self._running.add(program)
            self.happened()

    def advance(self, seconds: float) -> None:
        """Let time go on by hand; whoever waits for a moment that is passed now goes on."""
        self._leap(self.now + seconds)

    def _turn(self) -> None:
        """Let the time go on if it may; else wait until something happens."""
        deadline = self._next()
        if deadline is None:
            self.condition.wait()
        elif not self._piped and not self._busy():
            self._leap(deadline)
        else:
            seen = self.activity
            self.condition.wait(self.patience * (_PIPES if self._piped else 1))
            if seen == self.activity and self._next() == deadline and not any(f() for f in self._piped.values()):
                self._leap(deadline)

    def _busy(self) -> bool:
        """Whether a thread that has called the host is doing something else."""
        self._threads = {thread for thread in self._threads if thread.is_alive()}
        return bool(self._threads)

    def _next(self) -> float | None:
        """The point of time to leap to; None while something runs or is about to."""
        if self._running:
            return None
        deadlines = []
        for waiter in self._waiters:
            if waiter.until():
                return None
            if waiter.deadline is not None:
                if waiter.deadline <= self.now:
                    return None
                deadlines.append(waiter.deadline)
        return min(deadlines, default=None)

    def _leap(self, deadline: float) -> None:
        self.now = deadline
        self.happened()
