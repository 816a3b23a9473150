"""What got through: protected names that came into being, protected trees that changed. Metadata only, bounded.

Cheap enough for each command: directory listings, no file is opened. It finds what the known holes let through (a name
that cannot be denied in advance, a delete or rename through the parent), not a change that keeps size and time. It does
not say who: what the user did himself meanwhile shows as well.
"""

from __future__ import annotations

import ntpath
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from ._host import FileId, Host
from ._security.mask import FILE_LIST_DIRECTORY, FILE_READ_ATTRIBUTES, SYNCHRONIZE

if TYPE_CHECKING:
    from ._ledger import PlaceRow

LIMIT: Final = 4000  # entries of all protected places together; breadth first, so hooks and config come before objects
REPORTED: Final = 100
_LIST: Final = FILE_LIST_DIRECTORY | FILE_READ_ATTRIBUTES | SYNCHRONIZE


@dataclass(frozen=True, slots=True)
class Violation:
    """Something in a protected place that a command should not have been able to do.

    Attributes:
        path: where.
        kind: ``"created"`` (a protected name that did not exist), ``"added"``, ``"changed"``, ``"removed"`` or
            ``"replaced"`` (in a protected tree).
    """

    path: str
    kind: Literal["created", "added", "changed", "removed", "replaced"]

    def __str__(self) -> str:
        return f"{self.path} was {self.kind}" + (" although it is protected" if self.kind != "created" else "")

    def to_dict(self) -> dict[str, Any]:
        return {"path": self.path, "kind": self.kind}


class Watched(NamedTuple):
    """A path that does not exist and must not appear, and the root that it would lie in."""

    path: str
    root: str


class _Seen(NamedTuple):
    identity: FileId
    directory: bool
    size: int
    modified: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Protected places as they looked at one moment. ``complete``: all of them fitted within the limit.

    ``existing`` are the watched paths at which something lies, or the link or file that lies on the way to one.
    """

    places: tuple[PlaceRow, ...] = ()
    watched: tuple[Watched, ...] = ()
    existing: frozenset[str] = frozenset()
    entries: Mapping[str, _Seen] = field(default_factory=dict)
    complete: bool = True


def take_snapshot(host: Host, places: Sequence[PlaceRow], watched: Sequence[Watched]) -> Snapshot:
    """Look at the places and the watched names; what cannot be looked at is left out, as if it were not there."""
    existing = {path for path in (_there(host, watch) for watch in watched) if path is not None}
    entries: dict[str, _Seen] = {}
    waiting: deque[str] = deque()
    for place in places:
        try:
            info = host.files.query(place.path, follow=False)
        except OSError:
            continue
        if info is None:
            continue
        entries[place.path] = _seen(info.identity, info.directory, info.size, info.modified)
        if info.directory and not info.reparse:
            waiting.append(place.path)
    complete = True
    while waiting:
        above = waiting.popleft()
        try:
            # By path, in a place that the child cannot change: its directories are denied and its top is pinned. Where
            # that failed, the worst that a link planted here can do is a wrong entry in this report.
            with host.files.open(above, _LIST) as handle:
                for entry in host.files.entries(handle):
                    if len(entries) >= LIMIT:
                        complete = False
                        waiting.clear()
                        break
                    path = f"{above}\\{entry.name}"
                    entries[path] = _seen(entry.identity, entry.directory, entry.size, entry.modified)
                    if entry.directory and not entry.reparse:
                        waiting.append(path)
        except OSError:
            continue
    return Snapshot(tuple(places), tuple(watched), frozenset(existing), entries, complete)


def _there(host: Host, watch: Watched) -> str | None:
    """The watched path if something lies there, or what on the way leads elsewhere: a link, or a file (``.git``)."""
    at = watch.root
    for part in watch.path[len(watch.root) :].strip("\\").split("\\"):
        at = ntpath.join(at, part)
        try:
            info = host.files.query(at, follow=False)
        except OSError:
            return at  # there, but closed to us: the child made it so
        if info is None:
            return None
        if info.reparse or not info.directory:
            return at
    return at


def _seen(identity: FileId, directory: bool, size: int, modified: int) -> _Seen:
    # A directory's size says nothing; its time tells what the names in it tell as well.
    return _Seen(identity, directory, 0 if directory else size, 0 if directory else modified)


def compare(before: Snapshot, after: Snapshot) -> tuple[Violation, ...]:
    """What differs, at most :data:`REPORTED` entries. Beyond an incomplete snapshot's edge nothing is concluded."""
    found = [Violation(path, "created") for path in sorted(after.existing - before.existing)]
    for path, old in before.entries.items():
        new = after.entries.get(path)
        if new is None:
            if after.complete:
                found.append(Violation(path, "removed"))
        elif new.identity != old.identity:
            found.append(Violation(path, "replaced"))
        elif new != old:
            found.append(Violation(path, "changed"))
    if before.complete:
        found.extend(Violation(path, "added") for path in after.entries if path not in before.entries)
    return tuple(found[:REPORTED])
