r"""What lies on disk because of winsandbox: list it, forget it, find it again.

A *grant* is a writable root together with what a policy excludes in it; its entries in access control lists name a SID
that is in no token but a sandbox's. Grants stay between sandboxes, so that the next one starts without any write; they
are *forgotten* here, which takes exactly our entries off the disk and leaves every other one as it is.

All functions take ``host`` (another host than this machine) and ``state_dir`` (another state directory). Results are
frozen records with ``to_dict()`` for programs and ``to_text()`` for people; lists of objects keep the first
:data:`KEPT` entries and the count of all.

One state directory a user is what is meant. Two do not lock each other out, so their sandboxes should not share a root
at the same time. Forgetting leaves the guards where entries of the other's grants stand; those die with the session.

This module is long because half of it is those records, and because its functions document their failures each.
"""

from __future__ import annotations

import builtins
import ntpath
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal

from . import _undo
from ._edits import NO_LABEL
from ._findings import ObjectError
from ._host import FileId, Host, default_host
from ._ledger import NAME, GrantRow, LabelRow, Lease, PlaceRow
from ._paths import is_at_or_below, normal
from ._scan import Finding, scan_tree
from ._security.mask import DELETE, FILE_READ_DATA, FILE_WRITE_DATA, SYNCHRONIZE
from ._security.token import LOW
from ._state import State, open_directory
from ._walk import KEPT, Counter, Listing
from .errors import LedgerError, PolicyError

if TYPE_CHECKING:
    import os

    from ._walk import Cancel, Progress

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


@dataclass(frozen=True, slots=True)
class Some:
    """The first of many, as texts, and how many there were."""

    items: tuple[str, ...] = ()
    count: int = 0

    def __add__(self, other: Some) -> Some:
        return Some((self.items + other.items)[:KEPT], self.count + other.count)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {"count": self.count, "items": builtins.list(self.items)}

    def lines(self, title: str) -> Iterator[str]:
        """For a terminal: the title with the count, then the entries, indented."""
        if not self.count:
            return
        yield f"  {title}: {self.count}"
        for item in self.items[:10]:
            yield f"    {item}"
        if self.count > min(len(self.items), 10):
            yield f"    and {self.count - min(len(self.items), 10)} more"


def _some(listing: Listing) -> Some:
    return Some(tuple(map(_text, listing.items)), listing.count)


def _text(item: object) -> str:
    if isinstance(item, ObjectError):
        return f"{item.path}: winerror {item.winerror}. {item.remedy}"
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
            "exclusions": builtins.list(self.exclusions),
            "state": self.state,
            "keep": self.keep,
            "low": self.low,
            "objects": self.objects,
            "errors": self.errors,
            "made": self.made,
            "used": self.used,
            "protected": builtins.list(self.protected),
            "created": builtins.list(self.created),
            "users": [{"pid": user.pid, "started": user.started} for user in self.users],
        }

    def to_text(self) -> str:
        """For a terminal."""
        parts = [self.state, f"{self.objects} objects", f"last used {_day(self.used)}"]
        if self.keep == "session":
            parts.append("for one session")
        if self.low:
            parts.append("labelled Low: every Low process may write there")
        if self.errors:
            parts.append(f"{self.errors} objects could not be changed")
        lines = [self.root, f"  {', '.join(parts)}", f"  {self.sid}"]
        lines.extend(f"  protected: {path}" for path in self.protected)
        lines.extend(f"  made empty by us: {path}" for path in self.created)
        lines.extend(f"  in use by process {user.pid} since {_day(user.started)}" for user in self.users)
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class GrantList(Sequence[GrantRecord]):
    """All grants, by path."""

    records: tuple[GrantRecord, ...] = ()

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: Any) -> Any:
        return self.records[index]

    def __iter__(self) -> Iterator[GrantRecord]:
        return iter(self.records)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {"version": 1, "grants": [record.to_dict() for record in self.records]}

    def to_text(self) -> str:
        """For a terminal."""
        return "\n".join(record.to_text() for record in self.records) or "no grants on this machine"


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What was taken off the disk.

    Attributes:
        roots: the roots forgotten in full.
        kept: roots whose protections stay until a running sandbox has ended (``force``).
        missing: roots that are no longer where they were: deleted, or moved with their entries (see :func:`scan`).
        left: roots where objects could not be changed; they stay listed.
        objects: objects seen. ``changed``: objects written.
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
            "roots": builtins.list(self.roots),
            "kept": builtins.list(self.kept),
            "missing": builtins.list(self.missing),
            "left": builtins.list(self.left),
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
                {"path": top.path, "sids": builtins.list(top.sids), "unknown": top.unknown, "strayed": top.strayed}
                for top in self.tops
            ],
            "marked": self.marked,
            "sids": builtins.list(self.sids),
            "uncovered": self.uncovered.to_dict(),
            "errors": self.errors.to_dict(),
        }

    def to_text(self) -> str:
        """For a terminal."""
        cut = "" if self.complete else " (not all: the limit was reached)"
        lines = [f"{self.path}: {self.objects} objects seen{cut}, {self.marked} with entries of winsandbox"]
        lines.extend(f"  {top}" for top in self.tops)
        lines.extend(self.uncovered.lines("in a protected place, but without its deny (moved in)"))
        lines.extend(self.errors.lines("could not be read"))
        return "\n".join(lines)


def _forgotten(removals: Iterable[_undo.Removal]) -> Forgotten:
    result = Forgotten()
    for done in removals:
        path = (done.row.path,)
        result = Forgotten(
            result.roots + (path if done.complete and not done.missing else ()),
            result.kept + (path if done.kept else ()),
            result.missing + (path if done.missing else ()),
            result.left + (path if done.findings.errors.count else ()),
            result.objects + done.findings.objects,
            result.changed + _some(done.findings.touched),
            result.removed + _some(done.placeholders),
            result.errors + _some(done.findings.errors),
        )
    return result


def _day(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, tz=UTC).strftime("%Y-%m-%d %H:%M UTC")


@contextmanager
def _opened(host: Host | None, state_dir: str | os.PathLike[str] | None) -> Iterator[tuple[Host, State | None]]:
    """The host and its state; None where winsandbox has never been used. Looking must not make a state directory."""
    host = default_host() if host is None else host
    path = State.location(host, None if state_dir is None else str(state_dir))
    if host.files.query(ntpath.join(path, NAME)) is None:
        yield host, None
        return
    with State.open(host, path) as state:
        yield host, state


def _record(state: State, row: GrantRow, leases: Sequence[Lease]) -> GrantRecord:
    places = state.ledger.places(row.sid)
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
        protected=tuple(place.path for place in places if place.kind == "protected"),
        created=tuple(path for path, _ in state.ledger.placeholders(row.sid)),
        users=tuple(User(lease.process.pid, lease.started) for lease in leases if str(row.sid) in lease.sids),
    )


def list(*, host: Host | None = None, state_dir: str | os.PathLike[str] | None = None) -> GrantList:
    """All grants that lie on this machine's disks, finished or not.

    Raises:
        UnsupportedHost: not Windows, and no `host`.
        LedgerError: the ledger is damaged or locked.
    """
    with _opened(host, state_dir) as (_, state):
        if state is None:
            return GrantList()
        with state.ledger.transaction():
            leases = state.ledger.leases()
            return GrantList(tuple(_record(state, row, leases) for row in state.ledger.grants()))


def _forget(
    host: Host,
    state: State,
    rows: Iterable[GrantRow],
    *,
    force: bool,
    progress: Progress | None,
    cancel: Cancel | None,
    time_limit: float | None,
) -> Forgotten:
    rows = builtins.list(rows)
    counter = Counter(host, progress, cancel, time_limit)
    if not force:
        # All or none: a refusal in the middle would leave some roots forgotten and the caller with an error.
        for row in rows:
            leases = state.ledger.leases(row.sid)
            if leases:
                raise _undo.in_use(row, leases)
    removals = []
    for row in rows:
        claimed = _undo.claim(host, state.ledger, row.sid, force=force)
        if claimed is not None:
            threads = _undo.threads_for(host, None)
            removals.append(_undo.remove(host, state.ledger, claimed, counter, threads=threads))
    counter.step("", last=True)
    return _forgotten(removals)


def forget(
    root: str | os.PathLike[str],
    *,
    force: bool = False,
    progress: Progress | None = None,
    cancel: Cancel | None = None,
    time_limit: float | None = None,
    host: Host | None = None,
    state_dir: str | os.PathLike[str] | None = None,
) -> Forgotten:
    """Take every grant of `root` off the disk: entries, guards, labels, empty directories that we made.

    Args:
        root: the root's path, as :func:`list` shows it or any path that leads to the same directory. A root that
            exists no more is forgotten from the ledger; one on a drive that is not there stays listed.
        force: also while a sandbox runs: it can then write there no longer, and its protections stay until it ends.
        progress: called as ``progress(done, total or None, path, seconds)``.
        cancel, time_limit: end the walk early (AclError); the next call goes on.

    Raises:
        GrantInUse: a running sandbox holds it (the message names its process).
        PolicyError: `root` is no absolute path.
        LedgerError, AclError, UnsupportedHost.
    """
    text = normal(root)
    with _opened(host, state_dir) as (real, state):
        if state is None:
            return Forgotten()
        info = real.files.query(text)
        identity: FileId | None = None if info is None else info.identity
        rows = [
            row
            for row in state.ledger.grants()
            if row.object == identity or (is_at_or_below(row.path, text) and is_at_or_below(text, row.path))
        ]
        return _forget(real, state, rows, force=force, progress=progress, cancel=cancel, time_limit=time_limit)


def forget_all(
    *,
    force: bool = False,
    progress: Progress | None = None,
    cancel: Cancel | None = None,
    time_limit: float | None = None,
    host: Host | None = None,
    state_dir: str | os.PathLike[str] | None = None,
) -> Forgotten:
    """Take all grants off the disk. Arguments and errors as for :func:`forget`."""
    with _opened(host, state_dir) as (real, state):
        if state is None:
            return Forgotten()
        rows = state.ledger.grants()
        return _forget(real, state, rows, force=force, progress=progress, cancel=cancel, time_limit=time_limit)


def prune(
    unused_for: timedelta | float = timedelta(days=30),
    *,
    progress: Progress | None = None,
    cancel: Cancel | None = None,
    time_limit: float | None = None,
    host: Host | None = None,
    state_dir: str | os.PathLike[str] | None = None,
) -> Forgotten:
    """Forget the grants that no sandbox used for so long (a timedelta, or seconds); those in use are left alone.

    Raises:
        ValueError: a negative time. Else as for :func:`forget`.
    """
    seconds = unused_for.total_seconds() if isinstance(unused_for, timedelta) else float(unused_for)
    if not seconds >= 0:
        raise ValueError(f"unused_for must not be negative, and is {seconds:g} seconds")
    with _opened(host, state_dir) as (real, state):
        if state is None:
            return Forgotten()
        now = real.processes.time()
        rows = [row for row in state.ledger.grants() if now - row.used >= seconds and not state.ledger.leases(row.sid)]
        return _forget(real, state, rows, force=False, progress=progress, cancel=cancel, time_limit=time_limit)


def recover(
    *,
    progress: Progress | None = None,
    cancel: Cancel | None = None,
    time_limit: float | None = None,
    host: Host | None = None,
    state_dir: str | os.PathLike[str] | None = None,
) -> Recovered:
    """Clean up behind processes that ended in the middle: crashes, power loss, a killed host.

    Grants whose application or removal was interrupted are taken away, so are grants kept for a session that is over,
    and private directories of sandboxes that are gone. What a running sandbox uses is not touched.
    """
    with _opened(host, state_dir) as (real, state):
        if state is None:
            return Recovered(Forgotten())
        counter = Counter(real, progress, cancel, time_limit)
        removals = _undo.recover(real, state, counter, partial=True, threads=_undo.threads_for(real, None))
        counter.step("", last=True)
        left = state.remove_left_overs()
        return Recovered(_forgotten(removals), _some(left))


def scan(
    path: str | os.PathLike[str],
    *,
    time_limit: float | None = None,
    max_objects: int | None = None,
    progress: Progress | None = None,
    cancel: Cancel | None = None,
    host: Host | None = None,
    state_dir: str | os.PathLike[str] | None = None,
) -> Scanned:
    """Find entries of ours below `path` by their SIDs, without the ledger; then compare with it. Changes nothing.

    Finds what moved: a file keeps its entries when it is moved out of a root, and a tree that is moved into a
    protected place lacks the deny.

    Raises:
        PolicyError: `path` is no absolute path, or does not exist.
    """
    with _opened(host, state_dir) as (real, state):
        known = [] if state is None else state.ledger.grants()
        places: builtins.list[PlaceRow] = []
        if state is not None:
            for row in known:
                places.extend(state.ledger.places(row.sid))
        found = scan_tree(
            real,
            _existing(real, path),
            places,
            Counter(real, progress, cancel, time_limit),
            max_objects=max_objects,
        )
        roots = {str(row.sid): row.path for row in known}
        return Scanned(
            path=found.path,
            objects=found.objects,
            complete=found.complete,
            tops=tuple(_found(top, roots) for top in found.tops(roots)),
            marked=found.marked,
            sids=tuple(sorted(found.sids)),
            uncovered=_some(found.uncovered),
            errors=_some(found.errors),
        )


def _found(top: Finding, roots: dict[str, str]) -> Found:
    return Found(
        top.path,
        top.sids,
        any(sid not in roots for sid in top.sids),
        any(sid in roots and not is_at_or_below(top.path, roots[sid]) for sid in top.sids),
    )


def _existing(host: Host, path: str | os.PathLike[str]) -> str:
    text = normal(path)
    if host.files.query(text) is None:
        from .errors import Mistake

        raise PolicyError([Mistake(text, "does not exist.", "Name an existing directory.", "path.missing")])
    return text


def rebuild(
    paths: Iterable[str | os.PathLike[str]],
    *,
    progress: Progress | None = None,
    cancel: Cancel | None = None,
    time_limit: float | None = None,
    host: Host | None = None,
    state_dir: str | os.PathLike[str] | None = None,
) -> GrantList:
    """Make the ledger anew from the entries that lie on disk below `paths`: after it was damaged or lost.

    A ledger that still opens is kept, and what it does not know is added. A damaged one is set aside first (a copy
    named ``ledger-1.sqlite.damaged-...`` stays in the state directory). The grants found are listed as partial, so that
    :func:`forget` and :func:`recover` take them away; prior integrity labels that only the old ledger knew are not
    restored.

    Raises:
        LedgerError: another process keeps the damaged ledger open.
        PolicyError: a path is not absolute or does not exist.
    """
    real = default_host() if host is None else host
    place = State.location(real, None if state_dir is None else str(state_dir))
    starts = [_existing(real, path) for path in paths]
    try:
        state = State.open(real, place)
        state.secret()
    except LedgerError as error:
        if error.code not in ("ledger.damaged", "ledger.secret"):
            raise
        _set_aside(real, place)
        state = State.open(real, place)
    with state:
        for start in starts:
            found = scan_tree(real, start, [], Counter(real, progress, cancel, time_limit), max_objects=None)
            for row in found.grants(real):
                with state.ledger.transaction():
                    if state.ledger.grant(row.sid) is None:
                        state.ledger.put_grant(row)
                        for protected in found.places(row.sid):
                            state.ledger.put_place(protected)
                        if row.low:
                            for top in found.found:
                                if top.identity == row.object:
                                    state.ledger.put_label(
                                        LabelRow(top.identity, str(row.sid), top.path, NO_LABEL, LOW)
                                    )
                        for logon in found.logons:
                            state.ledger.add_logon(logon)
        leases = state.ledger.leases()
        return GrantList(tuple(_record(state, row, leases) for row in state.ledger.grants()))


_SET_ASIDE: Final = 1 << 20


def _set_aside(host: Host, place: str) -> None:
    """Copy the damaged ledger under another name, then delete it (a Host has no rename)."""
    files = host.files
    with host.tokens.current() as token:
        user = host.tokens.inspect(token).token.user
    with open_directory(host, place, user) as directory:
        for name in (NAME, NAME + "-journal"):
            try:
                with files.open_at(directory, name, FILE_READ_DATA | DELETE | SYNCHRONIZE) as old:
                    kept = f"{name}.damaged-{int(host.processes.time())}"
                    with files.create_file(directory, kept, FILE_WRITE_DATA | SYNCHRONIZE) as new:
                        while data := files.read(old, _SET_ASIDE):
                            files.write(new, data)
                    files.delete(old)
            except FileNotFoundError:
                continue
            except OSError as error:
                raise LedgerError(
                    f"the damaged ledger {ntpath.join(place, name)} could not be set aside: {error}.",
                    remedy="Close every running sandbox, and run it again.",
                    code="ledger.in-use",
                ) from error
