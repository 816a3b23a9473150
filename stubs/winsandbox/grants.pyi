import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, Literal

from ._host import Host
from ._walk import Cancel, Progress, Touched

__all__ = [
    "KEPT",
    "Forgotten",
    "Found",
    "GrantList",
    "GrantRecord",
    "Recovered",
    "Scanned",
    "Some",
    "User",
    "forget",
    "forget_all",
    "list",
    "prune",
    "rebuild",
    "recover",
    "scan",
]

KEPT: Final = 200

@dataclass(frozen=True, slots=True)
class Some:
    items: tuple[str, ...] = ()
    count: int = 0
    def __add__(self, other: Some) -> Some: ...
    def to_dict(self) -> dict[str, Any]: ...
    def lines(self, title: str) -> Iterator[str]: ...

@dataclass(frozen=True, slots=True)
class User:
    pid: int
    started: float

@dataclass(frozen=True, slots=True)
class GrantRecord:
    root: str
    sid: str
    exclusions: tuple[str, ...]
    state: Literal["complete", "partial", "removing", "kept denies"]
    keep: Literal["forever", "session"]
    low: bool
    objects: int
    errors: int
    made: float
    used: float
    protected: tuple[str, ...]
    created: tuple[str, ...]
    users: tuple[User, ...]
    def to_dict(self) -> dict[str, Any]: ...
    def to_text(self) -> str: ...

@dataclass(frozen=True, slots=True)
class GrantList(Sequence[GrantRecord]):
    records: tuple[GrantRecord, ...] = ()
    notes: tuple[str, ...] = ()
    def __len__(self) -> int: ...
    def __getitem__(self, index: Any) -> Any: ...
    def __iter__(self) -> Iterator[GrantRecord]: ...
    def to_dict(self) -> dict[str, Any]: ...
    def to_text(self) -> str: ...

@dataclass(frozen=True, slots=True)
class Forgotten:
    roots: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    objects: int = 0
    changed: Some = ...
    removed: Some = ...
    errors: Some = ...
    def to_dict(self) -> dict[str, Any]: ...
    def to_text(self) -> str: ...

@dataclass(frozen=True, slots=True)
class Recovered:
    finished: Forgotten
    leftovers: Some = ...
    def to_dict(self) -> dict[str, Any]: ...
    def to_text(self) -> str: ...

@dataclass(frozen=True, slots=True)
class Found:
    path: str
    sids: tuple[str, ...]
    unknown: bool
    strayed: bool

@dataclass(frozen=True, slots=True)
class Scanned:
    path: str
    objects: int
    complete: bool
    tops: tuple[Found, ...]
    marked: int
    sids: tuple[str, ...]
    uncovered: Some
    errors: Some
    def to_dict(self) -> dict[str, Any]: ...
    def to_text(self) -> str: ...

def list(*, host: Host | None = None, state_dir: str | os.PathLike[str] | None = None) -> GrantList: ...
def forget(
    root: str | os.PathLike[str],
    *,
    force: bool = False,
    progress: Progress | None = None,
    touched: Touched | None = None,
    cancel: Cancel | None = None,
    time_limit: float | None = None,
    host: Host | None = None,
    state_dir: str | os.PathLike[str] | None = None,
) -> Forgotten: ...
def forget_all(
    *,
    force: bool = False,
    progress: Progress | None = None,
    touched: Touched | None = None,
    cancel: Cancel | None = None,
    time_limit: float | None = None,
    host: Host | None = None,
    state_dir: str | os.PathLike[str] | None = None,
) -> Forgotten: ...
def prune(
    unused_for: timedelta | float = ...,
    *,
    progress: Progress | None = None,
    touched: Touched | None = None,
    cancel: Cancel | None = None,
    time_limit: float | None = None,
    host: Host | None = None,
    state_dir: str | os.PathLike[str] | None = None,
) -> Forgotten: ...
def recover(
    *,
    progress: Progress | None = None,
    touched: Touched | None = None,
    cancel: Cancel | None = None,
    time_limit: float | None = None,
    host: Host | None = None,
    state_dir: str | os.PathLike[str] | None = None,
) -> Recovered: ...
def scan(
    path: str | os.PathLike[str],
    *,
    time_limit: float | None = None,
    max_objects: int | None = None,
    progress: Progress | None = None,
    cancel: Cancel | None = None,
    host: Host | None = None,
    state_dir: str | os.PathLike[str] | None = None,
) -> Scanned: ...
def rebuild(
    paths: Iterable[str | os.PathLike[str]],
    *,
    progress: Progress | None = None,
    cancel: Cancel | None = None,
    time_limit: float | None = None,
    host: Host | None = None,
    state_dir: str | os.PathLike[str] | None = None,
) -> GrantList: ...
