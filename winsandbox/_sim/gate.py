"""The one gate through which every call of a host goes: counting, failing, crashing, and the caller's handle table."""

from __future__ import annotations

import itertools
import weakref
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from .._host import Files, Handle, Processes, Tokens
from ..errors import WinError

if TYPE_CHECKING:
    from .database import SimulatedConnection
    from .jobs import ProcessRecord
    from .machine import Machine

__all__ = ["Caller", "SimulatedCrash"]


# What is counted, and so can be made to fail: the protocol's calls but for those that look at the caller alone, each
# name that is listed, each SQL statement; "all" counts each of them.
_UNCOUNTED: Final = frozenset({"current", "known_folders", "environment", "has_console", "job_refuses_ui_limits"})
KINDS: Final = (
    frozenset(name for part in (Files, Tokens, Processes) for name in vars(part) if not name.startswith("_"))
    - _UNCOUNTED
    - {"clock", "time", "random"}
) | {"all", "current_token", "entry", "sql"}


class SimulatedCrash(BaseException):
    """The calling process is gone for good; no ``except Exception`` of the code under test sees it go.

    What follows is what Windows does: its handles are closed, its jobs' processes are dead, a transaction that was not
    committed is lost; files and descriptors stay as they were. ``SimulatedHost.restart()`` gives the next process.
    """


class KernelObject(Protocol):
    """What a handle can name: it is told when a handle to it is closed."""

    def closed(self) -> None: ...


Kind = TypeVar("Kind", bound=KernelObject)


class Caller:
    """A process outside the sandbox that calls the host: its handles, and what is to go wrong in it."""

    def __init__(self, machine: Machine, process: ProcessRecord) -> None:
        self.machine = machine
        self.process = process
        self.counts: Counter[str] = Counter()
        self.dead = False
        self._numbers = itertools.count(4, 4)
        self._handles: dict[int, KernelObject] = {}
        # (kind, number) -> the error to fail with, or what to do before; None: crash.
        self._planned: dict[tuple[str, int], int | Callable[[], object] | None] = {}
        self.connections: weakref.WeakSet[SimulatedConnection] = weakref.WeakSet()

    def enter(self, kind: str) -> None:
        """Count one operation of `kind` and let it happen, fail or crash.

        Raises:
            SimulatedCrash: this was the operation at which the process ends, or it has ended already.
            WinError: the failure that ``fail`` asked for.
        """
        with self.machine.lock:
            if self.dead:
                raise SimulatedCrash(kind)
            self.machine.clock.called()
            counts = self.counts
            counts[kind] += 1
            counts["all"] += 1
            if self._planned:
                self._go_wrong(kind)

    def _go_wrong(self, kind: str) -> None:
        """Fail or crash if that was planned for this operation."""
        for key in ((kind, self.counts[kind]), ("all", self.counts["all"])):
            if key not in self._planned:
                continue
            planned = self._planned.pop(key)
            if planned is None:
                self.crash()
                raise SimulatedCrash(f"{kind}, operation {key[1]} of {key[0]}")
            if isinstance(planned, int):
                raise WinError(planned, kind, message="made to fail by SimulatedHost.fail")
            planned()

    def alive(self, what: str) -> None:
        """Let a call pass that is not counted: it looks at nothing but the caller itself."""
        with self.machine.lock:
            if self.dead:
                raise SimulatedCrash(what)
            self.machine.clock.called()

    def fail(self, kind: str, n: int, winerror: int) -> None:
        """Make the n-th operation of `kind` from now on fail once."""
        self._plan(kind, n, winerror)

    def meanwhile(self, kind: str, n: int, action: Callable[[], object]) -> None:
        """Do something just before the n-th operation of `kind` from now on."""
        self._plan(kind, n, action)

    def crash_at(self, kind: str, n: int) -> None:
        """Make the process end at the n-th operation of `kind` from now on."""
        self._plan(kind, n, None)

    def _plan(self, kind: str, n: int, what: int | Callable[[], object] | None) -> None:
        """ValueError where it could never come to that: a test would pass without having tested anything."""
        if kind not in KINDS:
            raise ValueError(f"there is no operation {kind!r} to go wrong; there are: {', '.join(sorted(KINDS))}")
        if n < 1:
            raise ValueError(f"operations are counted from 1, not {n}")
        self._planned[(kind, self.counts[kind] + n)] = what

    def crash(self) -> None:
        """End the calling process now, as TerminateProcess does from outside."""
        with self.machine.lock:
            if self.dead:
                return
            self.dead = True
            for connection in list(self.connections):
                connection.closed()
            for value in list(self._handles):
                self._close(value)
            self.machine.caller_ended(self)

    def own(self, thing: KernelObject) -> Handle:
        """A new handle of this process to `thing`."""
        with self.machine.lock:
            value = next(self._numbers)
            self._handles[value] = thing
        return Handle(value, self._close)

    def object(self, handle: Handle, kind: type[Kind]) -> Kind:
        """What `handle` names, of the kind that is needed; else winerror 6."""
        found = self.named(handle)
        if not isinstance(found, kind):
            raise WinError(6, kind.__name__, message="no handle of this kind")
        return found

    def named(self, handle: Handle) -> KernelObject | None:
        """What `handle` names in this process."""
        try:
            return self._handles.get(handle.value)
        except ValueError:
            raise WinError(6, "NtClose", message="the handle is closed") from None

    def open_handles(self) -> list[KernelObject]:
        with self.machine.lock:
            return list(self._handles.values())

    def _close(self, value: int) -> None:
        # Called by Handle.__del__ too, at any time and in any thread: an unknown number is none of a caller's faults,
        # it belongs to a process that crashed.
        with self.machine.lock:
            thing = self._handles.pop(value, None)
            if thing is not None:
                thing.closed()
