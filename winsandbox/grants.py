r"""What lies on disk because of winsandbox: list it, forget it, find it again.

A *grant* is a writable root together with what a policy excludes in it; its entries in access control lists name a SID
that is in no token but a sandbox's. Grants stay between sandboxes, so that the next one starts without any write; they
are *forgotten* here, which takes exactly our entries off the disk and leaves every other one as it is.

All functions take ``host`` (another host than this machine) and ``state_dir`` (another state directory). Results are
frozen records with ``to_dict()`` for programs and ``to_text()`` for people; lists of objects keep the first
:data:`KEPT` entries and the count of all. Of the objects that were changed the first 100,000 are kept, and ``touched``
is called with each of them, however many there are.

One state directory a user is what is meant. Two do not lock each other out, so their sandboxes should not share a root
at the same time. Forgetting leaves the guards where entries of the other's grants stand; those die with the session.
"""

from __future__ import annotations

import builtins
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from . import _rebuild, _undo
from ._grant_records import (
    Forgotten,
    Found,
    GrantList,
    GrantRecord,
    Recovered,
    Scanned,
    Some,
    User,
    forgotten,
    record,
    some,
)
from ._host import FileId, Host, default_host
from ._installation import used
from ._ledger import GrantRow
from ._paths import is_at_or_below, normal
from ._scan import Finding, scan_tree
from ._state import State
from ._walk import KEPT, LISTED, Counter
from .errors import LedgerError, PolicyError

if TYPE_CHECKING:
    import os

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


@contextmanager
def _opened(
    host: Host | None, state_dir: str | os.PathLike[str] | None, *, verify: bool = False
) -> Iterator[tuple[Host, State | None]]:
    """The host and its state; None where winsandbox has never been used. Looking must not make a state directory.

    `verify`: read all of the ledger first. A grant whose places cannot be read would be forgotten without them.
    """
    host = default_host() if host is None else host
    path = State.location(host, None if state_dir is None else str(state_dir))
    if not used(host, path):
        yield host, None
        return
    with State.open(host, path) as state:
        if verify:
            state.ledger.verify()
        yield host, state


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
            return GrantList(tuple(record(state.ledger, row, leases) for row in state.ledger.grants()))


def _counter(
    host: Host, progress: Progress | None, cancel: Cancel | None, time_limit: float | None, touched: Touched | None
) -> Counter:
    return Counter(host, progress, cancel, time_limit, touched=touched, kept=LISTED)


def _forget(
    host: Host,
    state: State,
    rows: Iterable[GrantRow],
    *,
    force: bool,
    counter: Counter,
) -> Forgotten:
    rows = builtins.list(rows)
    if not force:
        # All or none: a refusal in the middle would leave some roots forgotten and the caller with an error.
        for row in rows:
            leases = state.ledger.leases(row.sid)
            if leases:
                raise _undo.in_use(row, leases)
    counter.total = sum(row.objects for row in rows) or None
    removals = []
    for row in rows:
        claimed = _undo.claim(host, state.ledger, row.sid, force=force)
        if claimed is not None:
            threads = _undo.threads_for(host, None)
            removals.append(_undo.remove(host, state.ledger, claimed, counter, threads=threads))
    counter.end()
    return forgotten(removals)


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
) -> Forgotten:
    """Take every grant of `root` off the disk: entries, guards, labels, empty directories that we made.

    Args:
        root: the root's path, as :func:`list` shows it or any path that leads to the same directory. A root that
            exists no more is forgotten from the ledger; one on a drive that is not there stays listed.
        force: also while a sandbox runs: it can then write there no longer, and its protections stay until it ends.
        progress: called as ``progress(done, total or None, path, seconds)``.
        touched: called with the path of every object that was changed and of every directory that was removed, soon
            after it was, from one thread at a time. What it raises is raised when all is done; it is not called again.
        cancel, time_limit: end the walk early (AclError); the next call goes on.

    Raises:
        GrantInUse: a running sandbox holds it (the message names its process).
        PolicyError: `root` is no absolute path.
        LedgerError, AclError, UnsupportedHost.
    """
    text = _path(root)
    with _opened(host, state_dir, verify=True) as (real, state):
        if state is None:
            return Forgotten()
        info = real.files.query(text)
        identity: FileId | None = None if info is None else info.identity
        rows = [
            row
            for row in state.ledger.grants()
            if row.object == identity or (is_at_or_below(row.path, text) and is_at_or_below(text, row.path))
        ]
        return _forget(real, state, rows, force=force, counter=_counter(real, progress, cancel, time_limit, touched))


def forget_all(
    *,
    force: bool = False,
    progress: Progress | None = None,
    touched: Touched | None = None,
    cancel: Cancel | None = None,
    time_limit: float | None = None,
    host: Host | None = None,
    state_dir: str | os.PathLike[str] | None = None,
) -> Forgotten:
    """Take all grants off the disk. Arguments and errors as for :func:`forget`."""
    with _opened(host, state_dir, verify=True) as (real, state):
        if state is None:
            return Forgotten()
        rows = state.ledger.grants()
        return _forget(real, state, rows, force=force, counter=_counter(real, progress, cancel, time_limit, touched))


def prune(
    unused_for: timedelta | float = timedelta(days=30),
    *,
    progress: Progress | None = None,
    touched: Touched | None = None,
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
    with _opened(host, state_dir, verify=True) as (real, state):
        if state is None:
            return Forgotten()
        now = real.processes.time()
        rows = [row for row in state.ledger.grants() if now - row.used >= seconds and not state.ledger.leases(row.sid)]
        return _forget(real, state, rows, force=False, counter=_counter(real, progress, cancel, time_limit, touched))


def recover(
    *,
    progress: Progress | None = None,
    touched: Touched | None = None,
    cancel: Cancel | None = None,
    time_limit: float | None = None,
    host: Host | None = None,
    state_dir: str | os.PathLike[str] | None = None,
) -> Recovered:
    """Clean up behind processes that ended in the middle: crashes, power loss, a killed host.

    Grants whose application or removal was interrupted are taken away, so are grants kept for a session that is over,
    and private directories of sandboxes that are gone. What a running sandbox uses is not touched.
    """
    with _opened(host, state_dir, verify=True) as (real, state):
        if state is None:
            return Recovered(Forgotten())
        counter = _counter(real, progress, cancel, time_limit, touched)
        removals = _undo.recover(real, state, counter, partial=True, threads=_undo.threads_for(real, None))
        left = state.remove_left_overs()
        counter.end()
        return Recovered(forgotten(removals), some(left))


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
    protected place lacks the deny. With a damaged or lost ledger every entry is one that it does not know.

    Raises:
        PolicyError: `path` is no absolute path, or does not exist.
    """
    try:
        with _opened(host, state_dir) as (real, state):
            known = [] if state is None else state.ledger.grants()
            places = [] if state is None else [place for row in known for place in state.ledger.places(row.sid)]
    except LedgerError as error:
        if error.code not in _rebuild.DAMAGE:
            raise
        real, known, places = default_host() if host is None else host, [], []
    counter = Counter(real, progress, cancel, time_limit)
    found = scan_tree(real, _existing(real, path), places, counter, max_objects=max_objects)
    roots = {str(row.sid): row.path for row in known}
    return Scanned(
        path=found.path,
        objects=found.objects,
        complete=found.complete,
        tops=tuple(_found(top, roots) for top in found.tops(roots)),
        marked=found.marked,
        sids=tuple(sorted(found.sids)),
        uncovered=some(found.uncovered),
        errors=some(found.errors),
    )


def _found(top: Finding, roots: dict[str, str]) -> Found:
    return Found(
        top.path,
        top.sids,
        any(sid not in roots for sid in top.sids),
        any(sid in roots and not is_at_or_below(top.path, roots[sid]) for sid in top.sids),
    )


def _path(path: str | os.PathLike[str]) -> str:
    try:
        return normal(path)
    except PolicyError as error:
        raise error._about("path") from None


def _existing(host: Host, path: str | os.PathLike[str]) -> str:
    text = _path(path)
    if host.files.query(text) is None:
        from .errors import Mistake

        mistake = Mistake(text, "does not exist.", "Name an existing directory.", "path.missing")
        raise PolicyError([mistake])._about("path")
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

    A ledger in which SQLite finds nothing wrong and every row can be read is kept, and what it does not know is added.
    Any other is set aside first: a copy named ``ledger-1.sqlite.damaged-...`` stays in the state directory, every row
    of it that is whole is taken over, and the roots that it knew are looked through besides `paths`. The grants are
    then listed as partial, so that :func:`forget` and :func:`recover` take them away, and new ones are made under a new
    secret. Prior integrity labels whose rows are lost are not restored. ``notes`` of the result say what was looked
    through, what could not be read, and where the old ledger is.

    Until it has ended without an error every other use of the ledger is refused.

    Raises:
        LedgerError: another process keeps the damaged ledger open.
        PolicyError: a path is not absolute or does not exist.
        AclError: cancelled, or not done within `time_limit`.
    """
    real = default_host() if host is None else host
    place = State.location(real, None if state_dir is None else str(state_dir))
    starts = [_existing(real, path) for path in paths]
    state, notes = _rebuild.rebuild(real, place, starts, Counter(real, progress, cancel, time_limit))
    with state:
        leases = state.ledger.leases()
        return GrantList(tuple(record(state.ledger, row, leases) for row in state.ledger.grants()), notes)
