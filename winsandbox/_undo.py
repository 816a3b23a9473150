"""Take a grant off the disk: what ``forget``, ``recover`` and the end of a ``keep="session"`` sandbox share.

A grant's row goes last. Until every object has been visited without an error it stays, as "removing", so that nothing
is on disk that ``grants`` does not list, and the next run takes it up again.

A root is known by its volume and file id. It is gone only if its volume answers and no longer has it where it was, nor
under another name of one of the directories on the way; what was moved elsewhere keeps its entries, which ``scan``
finds. A volume that does not answer may come back with our entries and labels on it: its grants stay listed.
"""

from __future__ import annotations

import ntpath
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from ._counter import Spool
from ._findings import Findings, ObjectError, rights_remedy
from ._host import FileId, Handle, Host, ProcessId
from ._ledger import GrantRow, Lease, Ledger
from ._paths import is_at_or_below
from ._security.errors import SecurityDataError
from ._security.mask import DELETE, FILE_LIST_DIRECTORY, FILE_READ_ATTRIBUTES, SYNCHRONIZE
from ._take import Taker
from ._walk import EDIT, RELABEL, Counter, Listing, Walk
from .errors import AclError, GrantInUse, LedgerError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ._security.sid import Sid
    from ._state import State

NOBODY: Final = ProcessId(0, 0)
_PATIENCE: Final = 30.0  # seconds to wait for another process that is removing the same grant
_POLL: Final = 0.05
_NOT_READY: Final = 21  # ERROR_NOT_READY


@dataclass(slots=True)
class Removal:
    """What one removal did. ``missing``: no such root any more; ``kept``: denies stay until a sandbox has ended."""

    row: GrantRow
    findings: Findings = field(default_factory=Findings)
    placeholders: Listing = field(default_factory=Listing)
    missing: bool = False
    kept: bool = False

    @property
    def complete(self) -> bool:
        return not self.kept and self.findings.errors.count == 0

    @property
    def note(self) -> str:
        """For the report of a sandbox that starts beside it: what is left of this grant; empty when nothing is."""
        count = self.findings.errors.count
        if not count:
            return ""
        return (
            f"the grant of {self.row.path}, left by a process that ended, could not be taken away yet ({count} errors)"
        )


def claim(host: Host, ledger: Ledger, sid: Sid, *, force: bool = False, only_dead: bool = False) -> GrantRow | None:
    """Mark a grant as being removed by this process. None: it is gone, or (`only_dead`) somebody uses it.

    In one transaction with the look at the leases: a sandbox that starts now either has its lease already, or finds
    the mark and waits.

    Raises:
        GrantInUse: a running sandbox holds it and `force` was not given.
        LedgerError: another process is still removing it after half a minute.
    """
    me = host.processes.current()
    waited = 0.0
    while True:
        with ledger.transaction():
            row = ledger.grant(sid)
            if row is None:
                return None
            leases = ledger.leases(sid)
            if not being_removed(host, row):
                if leases and only_dead:
                    return None
                if leases and not force:
                    raise in_use(row, leases)
                row = row._replace(state="kept denies" if leases else "removing", process=me)
                ledger.put_grant(row)
                return row
        if only_dead:
            return None
        waited = wait_for_remover(row, waited)


def being_removed(host: Host, row: GrantRow) -> bool:
    """Whether a live process is taking a grant off the disk; it can be this very one, in another thread."""
    return row.state == "removing" and row.process != NOBODY and host.processes.alive(row.process)


def wait_for_remover(row: GrantRow, waited: float) -> float:
    """Sleep a moment outside of the ledger's transactions; returns how long was waited by now, in seconds.

    Raises:
        LedgerError: that was half a minute.
    """
    if waited >= _PATIENCE:
        raise LedgerError(
            f"process {row.process.pid} is still removing the grant of {row.path}.",
            remedy="Wait for it, or end it and run again.",
            code="ledger.busy",
        )
    time.sleep(_POLL)
    return waited + _POLL


def in_use(row: GrantRow, leases: list[Lease]) -> GrantInUse:
    pids = ", ".join(str(lease.process.pid) for lease in leases)
    return GrantInUse(
        f"a running sandbox uses the grant of {row.path} (process {pids}).",
        remedy="Close it first, or force it: the sandbox then can write there no longer; its protections stay until it "
        "has ended.",
    )


def remove(host: Host, ledger: Ledger, row: GrantRow, counter: Counter, *, threads: int = 1) -> Removal:
    """Remove a claimed grant. Errors by object are in the result.

    Raises:
        AclError: cancelled, out of time, taken over, or the root could not be opened or read. The row stays.
    """
    try:
        try:
            return _remove(host, ledger, row, counter, threads)
        except (OSError, SecurityDataError) as error:
            if isinstance(error, AclError):
                raise
            raise AclError(
                f"the grant of {row.path} could not be taken away: {error}.",
                cause=error if isinstance(error, OSError) else None,
                path=row.path,
                remedy="It stays listed in `grants`; `recover` tries again.",
                code="acl.left",
            ) from error
    except BaseException:
        # Interrupted: whoever comes next, be it this very process, may take it up at once.
        with suppress(Exception), ledger.transaction():
            now = ledger.grant(row.sid)
            if now is not None and now.state == "removing" and now.process == row.process:
                ledger.put_grant(now._replace(process=NOBODY))
        raise


def _remove(host: Host, ledger: Ledger, row: GrantRow, counter: Counter, threads: int) -> Removal:
    done = Removal(row)
    done.kept = row.state == "kept denies"
    found = _open_root(host, row)
    if found is None and not _volume_answers(host, row):
        remedy = "Its volume is not there; connect it and run again."
        done.findings.errors.add(ObjectError(row.path, _NOT_READY, remedy))
        ledger.put_grant(row._replace(process=NOBODY, errors=1))
        return done
    if found is None:
        # Deleted with all its ACEs, or moved away with them: then `scan` of the new place finds them.
        done.missing = True
        done.kept = False
        ledger.drop_grant(row.sid)
        return done
    root, path = found
    if path != row.path:
        row, old = row._replace(path=path), row.path
        for made, identity in ledger.placeholders(row.sid):
            if is_at_or_below(made, old):
                with ledger.transaction():
                    ledger.drop_placeholder(made)
                    ledger.put_placeholder(path + made[len(old) :], row.sid, identity)
        done.row = row
    if not done.kept:
        with ledger.transaction():
            # Before the first guard goes: who enters one of these places from now on finds no guard noted, and looks.
            kept, between, _ = ledger.needed_by_others(row.sid)
            for place in ledger.places(row.sid):
                if place.object not in (kept if place.kind == "protected" else between):
                    for logon in ledger.guards(place):
                        ledger.drop_guard(place, logon)
    spool = Spool(counter.kept, None if counter.touched is None else counter.tell)
    done.findings.touched, counter.after_write = spool, spool.drain
    taker = Taker(host, ledger, row.sid, row.path, row.object, done.findings, low=row.low, allows_only=done.kept)
    Walk(host, taker, counter, threads=threads).run(root, row.path, taker.start(root))
    if done.kept:
        return done
    _remove_placeholders(host, ledger, row, done)
    for path in done.placeholders.items:
        counter.tell(path)
    with ledger.transaction():
        if done.findings.errors.count == 0:
            ledger.drop_grant(row.sid)
        else:
            ledger.put_grant(row._replace(state="removing", process=NOBODY, errors=done.findings.errors.count))
    return done


def _open_root(host: Host, row: GrantRow) -> tuple[Handle, str] | None:
    """The root and its path now; None: it is not where it was, nor found under another name."""
    handle = _open_same(host, row.path, row)
    if handle is not None:
        return handle, row.path
    for path in _other_names(host, row):
        handle = _open_same(host, path, row)
        if handle is not None:
            return handle, path
    return None


def _open_same(host: Host, path: str, row: GrantRow) -> Handle | None:
    access = (RELABEL if row.low else EDIT) | FILE_LIST_DIRECTORY
    try:
        handle = host.files.open(path, access)
    except PermissionError as error:
        raise AclError(
            f"{path} cannot be opened to take the grant away: {error}.",
            cause=error,
            path=path,
            remedy=rights_remedy(path, label=row.low),
            code="acl.write-dac",
        ) from error
    except OSError as error:
        if isinstance(error, FileNotFoundError) or not _volume_answers(host, row):
            return None
        raise
    try:
        same = host.files.info(handle).identity == row.object
    except BaseException:
        handle.close()
        raise
    if same:
        return handle
    handle.close()
    return None


def _other_names(host: Host, row: GrantRow) -> Iterator[str]:
    """Where the root is if just one of the directories on its path, or itself, has another name now."""
    above, rest = ntpath.dirname(row.path), ""
    name = ntpath.basename(row.path)
    while name:
        try:
            with host.files.open(above, FILE_LIST_DIRECTORY | FILE_READ_ATTRIBUTES | SYNCHRONIZE) as directory:
                entries = [entry for entry in host.files.entries(directory) if entry.directory and not entry.reparse]
        except OSError:
            entries = []
        for entry in entries:
            path = ntpath.join(above, entry.name) + rest
            if (entry.identity if not rest else _identity(host, path)) == row.object:
                yield path
        above, rest, name = ntpath.dirname(above), f"\\{name}{rest}", ntpath.basename(above)


def _identity(host: Host, path: str) -> FileId | None:
    try:
        with host.files.open(path, FILE_READ_ATTRIBUTES | SYNCHRONIZE) as handle:
            return host.files.info(handle).identity
    except OSError:
        return None


def _volume_answers(host: Host, row: GrantRow) -> bool:
    """Whether the root's volume is mounted where it was: the nearest directory above that still exists is on it."""
    path = row.path
    while (above := ntpath.dirname(path)) != path:
        path = above
        identity = _identity(host, path)
        if identity is not None:
            return identity.volume == row.object.volume
    return False


def _remove_placeholders(host: Host, ledger: Ledger, row: GrantRow, done: Removal) -> None:
    """Directories that we made go if they are still empty and the same; one that another grant has is left to it."""
    rights = DELETE | FILE_LIST_DIRECTORY | FILE_READ_ATTRIBUTES | SYNCHRONIZE
    for path, identity in ledger.placeholders(row.sid):
        if identity is not None and (heir := ledger.heir(identity, row.sid)) is not None:
            ledger.put_placeholder(path, heir, identity)
            continue
        try:
            with host.files.open(path, rights) as handle:
                info = host.files.info(handle)
                if info.reparse or not info.directory or (identity is not None and info.identity != identity):
                    continue
                if next(iter(host.files.entries(handle)), None) is None:
                    host.files.delete(handle)
                    done.placeholders.add(path)
        except OSError:
            continue  # gone, not empty, or in use: an empty directory that stays does no harm


def recover(host: Host, state: State, counter: Counter, *, partial: bool, threads: int = 1) -> list[Removal]:
    """Take up what dead processes left: interrupted removals, grants for a session, private directories.

    `partial`: also undo grants whose application was never finished. A sandbox that starts leaves those: they are
    listed, their SID is in no token, and the walk that was interrupted goes on where it stopped when they are needed.

    What is wrong with one grant is in its result and keeps nobody else from anything: a sandbox that starts has nothing
    to do with it, and the time spent here is not taken from its own limit (each has the whole of it).

    Raises:
        AclError: cancelled; out of time, if `partial`.
        LedgerError: as ever.
    """
    ledger = state.ledger
    ledger.leases()  # drops those of dead processes
    done: list[Removal] = []
    own = counter if partial else Counter(host, counter.progress, counter.cancel, counter.time_limit)
    begun = host.processes.clock()
    rows = [
        row
        for row in ledger.grants()
        if row.state in ("removing", "kept denies") or row.keep == "session" or (partial and row.state == "applying")
    ]
    own.total = sum(row.objects for row in rows) or None
    for row in rows:
        claimed = claim(host, ledger, row.sid, only_dead=True)
        if claimed is None:
            continue
        try:
            done.append(remove(host, ledger, claimed, own, threads=threads))
        except AclError as error:
            late = error.code == "acl.time-limit"
            if error.code == "acl.cancelled" or (late and partial):
                raise
            failed = Removal(claimed)
            failed.findings.errors.add(ObjectError(claimed.path, getattr(error, "winerror", 0) or 0, str(error)))
            done.append(failed)
            if late:
                break  # the rest stays listed for the next one
    if not partial:
        counter.begun += host.processes.clock() - begun
    state.remove_left_overs()
    return done


def threads_for(host: Host, asked: int | None) -> int:
    """How many workers a walk gets: one in memory, where they would only share Python's lock; four on a disk."""
    if asked is not None:
        return max(1, asked)
    return 4 if host.capabilities().kind == "windows" else 1
