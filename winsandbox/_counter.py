"""What a walk tells its caller and what ends it: progress, cancellation, time limit; lists of bounded length."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from ._host import Host
from .errors import AclError

KEPT: Final = 200  # entries that a report's lists keep; counts go on
LISTED: Final = 100_000  # the same for the objects that a removal changed, all of which the user may want to see
_PACE: Final = 0.1  # seconds between two calls of progress

Progress = Callable[[int, "int | None", str, float], object]
Touched = Callable[[str], object]


class Cancel(Protocol):
    """What ``cancel=`` takes: a threading.Event, or anything with its ``is_set``."""

    def is_set(self) -> bool: ...


def call_back(told: Callable[..., object], *arguments: object) -> None:
    """A callback of the caller's. Its OSError (a closed pipe) is not one of the object that is being walked."""
    try:
        told(*arguments)
    except OSError as error:
        raise AclError(
            f"the callback failed: {error}; what was written stays, and the next run goes on from there.",
            cause=error,
            code="acl.callback",
        ) from error


class Listing:
    """Some of many: the first ones, and how many there were. Thread-safe by the list's own atomic append."""

    __slots__ = ("_kept", "count", "items")

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self.items: list[Any] = []
        self.count = 0

    def add(self, item: Any) -> None:
        self.count += 1
        if len(self.items) < self._kept:
            self.items.append(item)

    def extend(self, other: Listing) -> None:
        self.count += other.count
        self.items.extend(other.items[: self._kept - len(self.items)])


class Spool(Listing):
    """A listing that also hands on every entry, not before it is asked to: entries are added under the ledger's lock,
    and what the caller does with one may take its time."""

    __slots__ = ("_lock", "_tell", "_waiting")

    def __init__(self, kept: int, tell: Touched | None) -> None:
        super().__init__(kept)
        self._tell = tell
        self._waiting: deque[str] = deque()
        self._lock = threading.Lock()

    def add(self, item: Any) -> None:
        super().add(item)
        if self._tell is not None:
            self._waiting.append(item)

    def drain(self) -> None:
        """Tell the caller what was added since."""
        if self._tell is None or not self._waiting:
            return
        with self._lock:
            while self._waiting:
                self._tell(self._waiting.popleft())


@dataclass(slots=True)
class Counter:
    """Progress and limits of one or several walks in a row."""

    host: Host
    progress: Progress | None = None
    cancel: Cancel | None = None
    time_limit: float | None = None
    total: int | None = None
    touched: Touched | None = None  # with every object that is changed or removed
    kept: int = KEPT  # how many of these a result lists
    after_write: Callable[[], None] | None = None
    done: int = 0
    seen: int = 0
    failed: Exception | None = field(init=False, default=None)  # what `touched` raised
    begun: float = field(init=False)
    _last: float = field(init=False, default=-1.0)
    _lock: Any = field(init=False, default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.begun = self.host.processes.clock()

    def check(self, path: str) -> None:
        """Raise AclError if the walk is to end here: cancelled, or out of time. What is done stays done."""
        if self.cancel is not None and self.cancel.is_set():
            raise AclError(
                "cancelled; what was written stays, and the next run goes on from there.",
                path=path,
                remedy="Run it again to finish, or forget the root.",
                code="acl.cancelled",
            )
        if self.time_limit is not None and self.host.processes.clock() - self.begun > self.time_limit:
            raise AclError(
                f"not done within {self.time_limit:g} seconds ({self.done} objects); the next run goes on from there.",
                path=path,
                remedy="Allow more time (time_limit), or name a smaller root.",
                code="acl.time-limit",
            )

    def tell(self, path: str) -> None:
        """Tell the caller of an object that was changed.

        A failure (a closed pipe, a name that cannot be printed) ends the telling and not the removal, which would
        otherwise stay half done for the sake of a line of output: :meth:`end` raises it.
        """
        if self.touched is None or self.failed is not None:
            return
        try:
            self.touched(path)
        except Exception as error:
            self.failed = error

    def end(self) -> None:
        """The last call of progress; then what `touched` raised, now that all is done."""
        self.step("", last=True)
        if isinstance(self.failed, OSError):
            raise AclError(
                f"the callback failed: {self.failed}; it was called no more, and the work was done to its end.",
                cause=self.failed,
                code="acl.callback",
            ) from self.failed
        if self.failed is not None:
            raise self.failed

    def step(self, path: str, *, last: bool = False) -> None:
        """Count one object; tell the caller now and then."""
        with self._lock:
            if not last:
                self.done += 1
            if self.progress is None:
                return
            now = self.host.processes.clock()
            if not last and self._last >= 0 and now - self._last < _PACE:
                return
            self._last = now
            known = max(self.total or 0, self.seen, self.done)
            call_back(self.progress, self.done, self.done if last else known or None, path, now - self.begun)
