"""What the functions of ``grants`` return: frozen records with ``to_dict()`` for programs and ``to_text()`` for people.

They are public as ``grants.GrantRecord`` and so on; here so that the functions can be read without them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from ._findings import counted
from ._walk import LISTED, Listing

if TYPE_CHECKING:
    from ._ledger import GrantRow, Lease, Ledger
    from ._undo import Removal


@dataclass(frozen=True, slots=True)
class Some:
    """The first of many, as texts, and how many there were."""

    items: tuple[str, ...] = ()
    count: int = 0

    def __add__(self, other: Some) -> Some:
        return Some((self.items + other.items)[:LISTED], self.count + other.count)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {"count": self.count, "items": list(self.items)}

    def lines(self, title: str) -> Iterator[str]:
        """For a terminal: the title with the count, then the entries, indented."""
        if not self.count:
            return
        yield f"  {title}: {self.count}"
        for item in self.items[:10]:
            yield f"    {item}"
        if self.count > min(len(self.items), 10):
            yield f"    and {self.count - min(len(self.items), 10)} more"


def some(listing: Listing) -> Some:
    return Some(tuple(map(_text, listing.items)), listing.count)


def _text(item: object) -> str:
    if isinstance(item, tuple):
        return ": ".join(map(str, item))
    return str(item)


@dataclass(frozen=True, slots=True)
class User:
    """A running sandbox that uses a grant: its process id and when it began (seconds since the epoch)."""

    pid: int
    started: float


@dataclass(frozen=True, slots=True)
class GrantRecord:
    """One grant.

    Attributes:
        root: the writable root's path when the grant was last used.
        sid: the SID that its entries name.
        exclusions: the protected names of the policy.
        state: ``"complete"``; ``"partial"`` (applying it was interrupted); ``"removing"`` (taking it away was
            interrupted, or goes on now); ``"kept denies"`` (forgotten by force while a sandbox ran; the rest goes with
            that sandbox).
        keep: ``"forever"`` or ``"session"``.
        low: whether objects in the root carry our Low label.
        objects: how many objects its last walk saw. ``errors``: how many of them could not be changed.
        made, used: seconds since the epoch.
        protected: the protected places. ``created``: directories that were made empty to be protected.
        users: the running sandboxes that hold it.
    """

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

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "root": self.root,
            "sid": self.sid,
            "exclusions": list(self.exclusions),
            "state": self.state,
            "keep": self.keep,
            "low": self.low,
            "objects": self.objects,
            "errors": self.errors,
            "made": self.made,
            "used": self.used,
            "protected": list(self.protected),
            "created": list(self.created),
            "users": [{"pid": user.pid, "started": user.started} for user in self.users],
        }

    def to_text(self) -> str:
        """For a terminal."""
        parts = [self.state, counted(self.objects, "object", "objects"), f"last used {day(self.used)}"]
        if self.keep == "session":
            parts.append("for one session")
        if self.low:
            parts.append("labelled Low: every Low process may write there")
        if self.errors:
            parts.append(counted(self.errors, "object", "objects") + " could not be changed")
        lines = [self.root, f"  {', '.join(parts)}", f"  {self.sid}"]
        lines.extend(f"  protected: {path}" for path in self.protected)
        lines.extend(f"  made empty by us: {path}" for path in self.created)
        lines.extend(f"  in use by process {user.pid} since {day(user.started)}" for user in self.users)
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class GrantList(Sequence[GrantRecord]):
    """All grants, by path. ``notes``: what a :func:`rebuild` has to say about them."""

    records: tuple[GrantRecord, ...] = ()
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: Any) -> Any:
        return self.records[index]

    def __iter__(self) -> Iterator[GrantRecord]:
        return iter(self.records)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "version": 1,
            "grants": [record.to_dict() for record in self.records],
            "notes": list(self.notes),
        }

    def to_text(self) -> str:
        """For a terminal."""
        lines = [record.to_text() for record in self.records] or ["no grants on this machine"]
        return "\n".join([*lines, *self.notes])


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What was taken off the disk.

    Attributes:
        roots: the roots forgotten in full.
        kept: roots whose protections stay until a running sandbox has ended (``force``).
        missing: roots that are no longer where they were: deleted, or moved with their entries (see :func:`scan`).
        left: roots where objects could not be changed; they stay listed.
        objects: objects seen. ``changed``: objects written, the first 100,000 of them.
        removed: empty directories of ours that were removed.
        errors: objects that could not be changed, each with its code and remedy.
    """

    roots: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    objects: int = 0
    changed: Some = Some()
    removed: Some = Some()
    errors: Some = Some()

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "version": 1,
            "roots": list(self.roots),
            "kept": list(self.kept),
            "missing": list(self.missing),
            "left": list(self.left),
            "objects": self.objects,
            "changed": self.changed.to_dict(),
            "removed": self.removed.to_dict(),
            "errors": self.errors.to_dict(),
        }

    def to_text(self) -> str:
        """For a terminal."""
        lines = [f"forgotten: {path}" for path in self.roots]
        lines.extend(f"forgotten, but protected until its sandbox ends: {path}" for path in self.kept)
        lines.extend(f"no longer there (deleted, or moved: scan finds it): {path}" for path in self.missing)
        lines.extend(f"NOT forgotten in full: {path}" for path in self.left)
        if not lines:
            return "nothing to forget"
        lines.append(f"  objects seen: {self.objects}")
        lines.extend(self.changed.lines("objects changed"))
        lines.extend(self.removed.lines("empty directories removed"))
        lines.extend(self.errors.lines("errors"))
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class Recovered:
    """What :func:`recover` found of processes that had ended.

    Attributes:
        finished: what was taken off the disk.
        leftovers: files in private directories that could not be deleted yet.
    """

    finished: Forgotten
    leftovers: Some = Some()

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {"version": 1, "finished": self.finished.to_dict(), "leftovers": self.leftovers.to_dict()}

    def to_text(self) -> str:
        """For a terminal."""
        text = self.finished.to_text()
        lines = ["nothing to recover" if text == "nothing to forget" else text]
        lines.extend(self.leftovers.lines("private files that are still in use"))
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class Found:
    """Entries of ours on one object, found without the ledger.

    Attributes:
        path: the object. ``sids``: the SIDs of ours in its list, in text.
        unknown: those that the ledger does not know.
        strayed: it lies outside the root of that grant: it was moved, and kept its entries; a sandbox of that root can
            write it (or, where only a deny is left, a sandbox whose root it lies in cannot).
    """

    path: str
    sids: tuple[str, ...]
    unknown: bool
    strayed: bool

    def __str__(self) -> str:
        what = "unknown to the ledger" if self.unknown else "moved out of its root" if self.strayed else "known"
        return f"{self.path} ({what}): {', '.join(self.sids)}"


@dataclass(frozen=True, slots=True)
class Scanned:
    """What :func:`scan` found below a path.

    Attributes:
        path: where. ``objects``: objects seen. ``complete``: it saw all of them within its limits.
        tops: objects with explicit entries of ours (roots and protected places), and strayed ones.
        marked: how many objects carry an entry of ours at all.
        sids: all SIDs of ours that were met.
        uncovered: objects in protected places of known grants that lack the deny: trees moved in.
        errors: objects that could not be read.
    """

    path: str
    objects: int
    complete: bool
    tops: tuple[Found, ...]
    marked: int
    sids: tuple[str, ...]
    uncovered: Some
    errors: Some

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "version": 1,
            "path": self.path,
            "objects": self.objects,
            "complete": self.complete,
            "tops": [
                {"path": top.path, "sids": list(top.sids), "unknown": top.unknown, "strayed": top.strayed}
                for top in self.tops
            ],
            "marked": self.marked,
            "sids": list(self.sids),
            "uncovered": self.uncovered.to_dict(),
            "errors": self.errors.to_dict(),
        }

    def to_text(self) -> str:
        """For a terminal."""
        cut = "" if self.complete else " (not all: the limit was reached)"
        lines = [
            f"{self.path}: {counted(self.objects, 'object', 'objects')} seen{cut}, "
            f"{self.marked} with entries of winsandbox"
        ]
        lines.extend(f"  {top}" for top in self.tops)
        lines.extend(self.uncovered.lines("in a protected place, but without its deny (moved in)"))
        lines.extend(self.errors.lines("could not be read"))
        return "\n".join(lines)


def forgotten(removals: Iterable[Removal]) -> Forgotten:
    result = Forgotten()
    for done in removals:
        path = (done.row.path,)
        result = Forgotten(
            result.roots + (path if done.complete and not done.missing else ()),
            result.kept + (path if done.kept else ()),
            result.missing + (path if done.missing else ()),
            result.left + (path if done.findings.errors.count else ()),
            result.objects + done.findings.objects,
            result.changed + some(done.findings.touched),
            result.removed + some(done.placeholders),
            result.errors + some(done.findings.errors),
        )
    return result


def record(ledger: Ledger, row: GrantRow, leases: Sequence[Lease]) -> GrantRecord:
    places = ledger.places(row.sid)
    return GrantRecord(
        root=row.path,
        sid=str(row.sid),
        exclusions=row.exclusions,
        state="partial" if row.state == "applying" else row.state,
        keep=row.keep,
        low=row.low,
        objects=row.objects,
        errors=row.errors,
        made=row.made,
        used=row.used,
        # A place that was made anew has a row for each of its objects.
        protected=tuple(dict.fromkeys(place.path for place in places if place.kind == "protected")),
        created=tuple(path for path, _ in ledger.placeholders(row.sid)),
        users=tuple(User(lease.process.pid, lease.started) for lease in leases if str(row.sid) in lease.sids),
    )


def day(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, tz=UTC).strftime("%Y-%m-%d %H:%M UTC")
