"""What the ledger's rows are, and how they are read.

SQLite checks neither types nor values, and a damaged file may give back any. A row is read strictly, so that what is
wrong with it is one ValueError here, which the ledger reports as its own damage, and not some other error, or an act
upon a wrong path, later on.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple, TypeVar, get_args

from ._host import FileId, ProcessId
from ._security.sid import Sid

__all__ = ["READERS", "GrantRow", "Keep", "Kind", "LabelRow", "Lease", "PlaceRow", "State"]

# applying: begun, perhaps partly on disk. complete. removing: a process takes it off the disk. kept denies: forgotten
# by force under a running sandbox: its allows are gone, its denies go when that sandbox has ended.
State = Literal["applying", "complete", "removing", "kept denies"]
Keep = Literal["forever", "session"]
Kind = Literal["protected", "between"]

T = TypeVar("T")


class GrantRow(NamedTuple):
    """One grant. ``process`` is the one that removes it, where the state says so; times are seconds since the epoch."""

    sid: Sid
    object: FileId
    path: str
    exclusions: tuple[str, ...]
    state: State
    keep: Keep
    low: bool
    objects: int
    errors: int
    made: float
    used: float
    process: ProcessId


class PlaceRow(NamedTuple):
    """A protected place of a grant, or a directory between it and the root. ``done``: its denies are on disk."""

    sid: Sid
    object: FileId
    kind: Kind
    path: str
    directory: bool
    link: bool
    done: bool


class Lease(NamedTuple):
    """A running sandbox: its process, its logon session and the grants in its token."""

    id: str
    process: ProcessId
    started: float
    logon: str
    sids: tuple[str, ...]


class LabelRow(NamedTuple):
    """The label that an object had before ours (``prior``: see _edits.pack_label) and the level that `sid` wants."""

    object: FileId
    sid: str
    path: str
    prior: bytes
    level: int


# -- single values --------------------------------------------------------------------------------------------------


def text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is no text")
    return value


def number(value: object) -> int:
    if not isinstance(value, int) or value < 0:
        raise ValueError(f"{value!r} is no count")
    return value


def flag(value: object) -> bool:
    if value not in (0, 1):
        raise ValueError(f"{value!r} is neither 0 nor 1")
    return bool(value)


def seconds(value: object) -> float:
    if not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{value!r} is no time")
    return float(value)


def data(value: object) -> bytes:
    if not isinstance(value, bytes):
        raise ValueError(f"{value!r} is no data")
    return value


def sid(value: object) -> Sid:
    return Sid.parse(text(value))


def sid_text(value: object) -> str:
    return str(sid(value))


def path(value: object) -> str:
    """What is opened later on must lead to a drive."""
    found = text(value)
    if found[1:3] != ":\\" or not found[0].isalpha() or "\0" in found:
        raise ValueError(f"{found!r} is no absolute path")
    return found


def object_id(value: object) -> FileId:
    volume, _, file = text(value).partition(":")
    found = FileId(int(volume, 16), int(file, 16))
    if str(found) != value:
        raise ValueError(f"{value!r} is no file id")
    return found


def object_or_none(value: object) -> FileId | None:
    return object_id(value) if value != "" else None


def _one_of(value: object, choices: Sequence[T]) -> T:
    for choice in choices:
        if choice == value:
            return choice
    raise ValueError(f"{value!r} is none of {', '.join(map(repr, choices))}")


def kind(value: object) -> Kind:
    return _one_of(value, get_args(Kind))


# -- rows -----------------------------------------------------------------------------------------------------------

# Columns are always named: a later minor may add some.
GRANTS: Final = (
    "SELECT sid, object, path, exclusions, state, keep, low, objects, errors, made, used, pid, created FROM grants"
)
PLACES: Final = "SELECT sid, object, kind, path, directory, link, done FROM place"
LABELS: Final = "SELECT object, sid, path, prior, level FROM label"
PLACEHOLDERS: Final = "SELECT path, sid, object FROM placeholder"
LEASES: Final = "SELECT id, pid, created, started, logon FROM lease"
LEASE_GRANTS: Final = "SELECT lease, sid FROM lease_grant"
GUARDS: Final = "SELECT object, kind, logon, done FROM guard"
LOGONS: Final = "SELECT sid FROM logon"
SEEN: Final = "SELECT sid, object, state FROM seen"
NESTED: Final = "SELECT sid, path FROM nested"
SCRATCH: Final = "SELECT name, pid, created FROM scratch"


def grant(row: Sequence[Any]) -> GrantRow:
    return GrantRow(
        sid(row[0]),
        object_id(row[1]),
        path(row[2]),
        tuple(filter(None, text(row[3]).split("\n"))),
        _one_of(row[4], get_args(State)),
        _one_of(row[5], get_args(Keep)),
        flag(row[6]),
        number(row[7]),
        number(row[8]),
        seconds(row[9]),
        seconds(row[10]),
        ProcessId(number(row[11]), number(row[12])),
    )


def place(row: Sequence[Any]) -> PlaceRow:
    return PlaceRow(
        sid(row[0]), object_id(row[1]), kind(row[2]), path(row[3]), flag(row[4]), flag(row[5]), flag(row[6])
    )


def label(row: Sequence[Any]) -> LabelRow:
    return LabelRow(object_id(row[0]), sid_text(row[1]), path(row[2]), data(row[3]), number(row[4]))


def placeholder(row: Sequence[Any]) -> tuple[str, Sid, FileId | None]:
    return path(row[0]), sid(row[1]), object_or_none(row[2])


def lease(row: Sequence[Any]) -> Lease:
    """Without its grants, which stand in another table."""
    return Lease(text(row[0]), ProcessId(number(row[1]), number(row[2])), seconds(row[3]), text(row[4]), ())


def scratch(row: Sequence[Any]) -> tuple[str, ProcessId]:
    return text(row[0]), ProcessId(number(row[1]), number(row[2]))


def guard(row: Sequence[Any]) -> tuple[FileId, Kind, str, bool]:
    return object_id(row[0]), kind(row[1]), text(row[2]), flag(row[3])


def seen(row: Sequence[Any]) -> tuple[Sid, FileId, bytes]:
    return sid(row[0]), object_id(row[1]), data(row[2])


def nested(row: Sequence[Any]) -> tuple[Sid, str]:
    return sid(row[0]), path(row[1])


# Everything that is read, for `Ledger.verify`. Proofs are missing: an unreadable one proves nothing, and costs no more.
READERS: Final[Mapping[str, Callable[[Sequence[Any]], object]]] = {
    LEASES: lease,
    LEASE_GRANTS: lambda row: (text(row[0]), sid(row[1])),
    GRANTS: grant,
    PLACES: place,
    GUARDS: guard,
    LOGONS: lambda row: sid(row[0]),
    PLACEHOLDERS: placeholder,
    LABELS: label,
    SEEN: seen,
    NESTED: nested,
    SCRATCH: scratch,
}
