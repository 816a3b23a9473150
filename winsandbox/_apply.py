"""Carry out a plan's ACL work through the ledger, and hold what has to be held while the sandbox lives.

The order, and why it is this one:

1. the lease and the intent rows: from here on nothing is on disk that the ledger does not know, and nobody forgets it;
2. the pins: what was planned for is what lies there now, and it can no longer be renamed or replaced;
3. the warm check: a grant noted as complete costs one descriptor read for its root and each protected place, and the
   listings of the protected places: one that looks as it did after its last check (``_fingerprint``) is left alone;
4. else one walk a root or place; after it, every object in a protected place has passed the check by ``_security``.

The token does not exist for the child before all of this is done, so the order of ACEs within it does not matter for
this sandbox; and what another sandbox of the same grant needs is only added to, never taken away.

Above 500 lines because the steps share one state (pins, places, what was announced) and are read in this order.
"""

from __future__ import annotations

import ntpath
import threading
import time
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Literal

from . import _edits, _undo
from ._count import survey_walk
from ._edits import Recipe, Role
from ._findings import Findings, closed
from ._fingerprint import ALONE, LARGE, LOOK, UNREADABLE, Fingerprint, fingerprint, settled
from ._give import Giver, Where
from ._host import FileId, Handle, Host
from ._ledger import GrantRow, Keep, PlaceRow
from ._paths import is_at_or_below
from ._pins import Pins, create_placeholder, open_below
from ._plan import Grant, Plan, model_token
from ._security.descriptor import SecurityDescriptor
from ._security.mask import FILE_LIST_DIRECTORY, FILE_READ_ATTRIBUTES
from ._security.sid import EVERYONE
from ._security.token import MEDIUM, Token
from ._state import State
from ._survey import survey
from ._violations import Snapshot, Violation, compare, take_snapshot
from ._walk import Cancel, Counter, Item, Progress, Walk
from .errors import AclError, LedgerError

if TYPE_CHECKING:
    from ._host import TokenInfo

__all__ = ["Applied", "Violation", "apply", "survey_walk"]

_PATIENCE: Final = 30.0
_POLL: Final = 0.05
_ATTEMPTS: Final = 3  # walks of a protected place that somebody keeps changing


def check_token(plan: Plan, caller: Token) -> Token:
    """The token that protected places are checked for: the plan's, and whatever a later plan of the same grant may add.

    A grant's SID depends on its root and exclusions only. So that a later sandbox can go without the check, it is made
    for the widest token that may carry the SID: Everyone and the logon SID restricting, no integrity level to help.
    """
    token = model_token(plan, caller)
    restricting = [*(token.restricting or ()), EVERYONE]
    if plan.logon is not None:
        restricting.append(plan.logon)
    return replace(token, restricting=tuple(dict.fromkeys(restricting)), integrity=max(token.integrity, MEDIUM))


def apply(
    host: Host,
    plan: Plan,
    state: State,
    *,
    keep: Literal["forever", "session"] = "forever",
    progress: Progress | None = None,
    cancel: Cancel | None = None,
    time_limit: float | None = None,
    threads: int | None = None,
) -> Applied:
    """Put the plan's grants on disk, or find them there, and pin what must not move.

    Args:
        keep: whether the grants stay, or go when the last sandbox that asked for this ends.
        progress: called as ``progress(done, total or None, path, seconds)``, at most ten times a second.
        cancel: when it is set the walk ends with AclError (code ``acl.cancelled``); the next run goes on from there.
        time_limit: seconds, by the host's clock (code ``acl.time-limit``).
        threads: workers of a walk; None: chosen for the host.

    Raises:
        AclError: a place is not what was planned for, or a protected place could not be denied. Nothing is held then.
        LedgerError: the ledger is damaged, or another process keeps it too long.
    """
    counter = Counter(host, progress, cancel, time_limit)
    threads = _undo.threads_for(host, threads)
    with host.tokens.current() as handle:
        caller: TokenInfo = host.tokens.inspect(handle)
    applied = Applied(host, plan, state, keep, check_token(plan, caller.token), threads)
    try:
        applied._announce()
        # Behind dead processes, now that our own places are noted: what we are about to pin must not be taken away.
        undone = _undo.recover(host, state, counter, partial=False, threads=threads)
        applied._notes += [removal.note for removal in undone if removal.note]
        applied._pin()
        for grant in plan.grants:
            applied._give(grant, counter)
        counter.step("", last=True)
        applied.snapshot()
    except BaseException:
        with suppress(Exception):
            applied._abandon()
        raise
    return applied


class Applied:
    """A plan that was carried out: its pins, its lease, its report. Close it when no process of the sandbox runs.

    Attributes:
        report: what the walks met, as :class:`~._visits.Findings`; empty after a warm start.
        warm: whether nothing had to be written.
        secured: the protected names that came into being since the start, and were then denied.
        exceptions: what of the protected places could not be made sure of: PROTECTED_PLACES is partial then.
    """

    def __init__(self, host: Host, plan: Plan, state: State, keep: Keep, token: Token, threads: int) -> None:
        self.report = Findings()
        self.warm = True
        self._host = host
        self._plan = plan
        self._state = state
        self._ledger = state.ledger
        self._keep: Keep = keep
        self._token = token
        self._threads = threads
        self._lease = host.processes.random(8).hex()
        self._pins = Pins(host)
        self._fresh: list[GrantRow] = []
        self._placed: dict[str, list[PlaceRow]] = {}
        self._watch: dict[str, Grant] = {path: grant for grant in plan.grants for path in grant.watch}
        self._latest = Snapshot()
        self._notes: list[str] = []
        self._exceptions: list[str] = []
        self.secured: tuple[str, ...] = ()
        self._securing = threading.Lock()
        self._closed = False

    @property
    def notes(self) -> tuple[str, ...]:
        """What the report of enforcement should say besides."""
        notes = list(self._notes)
        found = self.report
        for count, text in (
            (found.hard_links.count, "files with several names are not writable (their other names may lie outside)"),
            (found.protected_dacls.count, "objects that inherit nothing are left as they are, with all below them"),
            (found.nested.count, "nested repositories are not protected"),
            (found.placeholders.count, "cloud placeholders were not touched"),
            (found.errors.count, "objects could not be granted; Sandbox.grant_report names them"),
        ):
            if count:
                notes.append(f"{count} {text}")
        return tuple(notes)

    @property
    def exceptions(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(self._exceptions))

    # -- 1: the ledger first ------------------------------------------------------------------------------------------

    def _announce(self) -> None:
        """Lease and intent rows, in one transaction, when no other process is removing one of these grants."""
        waited = 0.0
        while True:
            with self._ledger.transaction():
                busy = self._busy()
                if busy is None:
                    self._announce_all()
                    return
            if waited >= _PATIENCE:
                raise LedgerError(
                    f"process {busy.process.pid} is still removing the grant of {busy.path}.",
                    remedy="Wait for it, or end it and run again.",
                    code="ledger.busy",
                )
            time.sleep(_POLL)
            waited += _POLL

    def _busy(self) -> GrantRow | None:
        for grant in self._plan.grants:
            row = self._ledger.grant(grant.sid)
            if row is None or row.state != "removing" or row.process == _undo.NOBODY:
                continue
            # This very process can be at it too, in another thread.
            if self._host.processes.alive(row.process):
                return row
        return None

    def _announce_all(self) -> None:
        plan, ledger = self._plan, self._ledger
        now = self._host.processes.time()
        logon = "" if plan.logon is None else str(plan.logon)
        ledger.add_lease(self._lease, logon, [grant.sid for grant in plan.grants])
        live = {lease.logon for lease in ledger.leases()}
        for grant in plan.grants:
            row = ledger.grant(grant.sid)
            if row is None:
                row = GrantRow(
                    grant.sid,
                    grant.root.identity,
                    grant.root.path,
                    grant.exclusions,
                    "applying",
                    self._keep,
                    plan.low,
                    0,
                    0,
                    now,
                    now,
                    _undo.NOBODY,
                )
                self._fresh.append(row)
            else:
                complete = row.state == "complete" and (row.low or not plan.low)
                row = row._replace(
                    path=grant.root.path,
                    state="complete" if complete else "applying",
                    keep="forever" if "forever" in (row.keep, self._keep) else "session",
                    low=row.low or plan.low,
                    used=now,
                    process=_undo.NOBODY,
                )
            ledger.put_grant(row)
            for outer, path in ledger.protected_paths():
                if outer != str(grant.sid) and is_at_or_below(grant.root.path, path):
                    self._notes.append(f"{grant.root.path} lies in {path}, which another sandbox's policy protects")
            places = _places(grant)
            self._placed[str(grant.sid)] = places
            ledger.drop_ghosts(places)
            noted = {(place.object, place.kind): place for place in ledger.places(grant.sid)}
            for place in places:
                self._announce_place(place, noted.get((place.object, place.kind)), logon, live)

    def _announce_place(self, place: PlaceRow, noted: PlaceRow | None, logon: str, live: set[str]) -> None:
        self._ledger.put_place(place._replace(done=noted is not None and noted.done))
        guards = self._ledger.guards(place)
        for old in guards:
            if old not in live:
                # What is left of an ended session: the walk that places ours takes it away in the same write.
                self._ledger.drop_guard(place, old)
        if self._plan.guards and place.directory and not place.link and logon not in guards:
            self._ledger.put_guard(place, logon, done=False)

    # -- 2: pins ------------------------------------------------------------------------------------------------------

    def _pin(self) -> None:
        for grant in self._plan.grants:
            self._pins.add(grant.root.path, grant.root.identity)
            for place in self._placed[str(grant.sid)]:
                self._pins.add(place.path, place.object)

    # -- 3 and 4: give ------------------------------------------------------------------------------------------------

    def _recipe(self, grant: Grant) -> Recipe:
        return Recipe(grant.sid, self._plan.logon if self._plan.guards else None, self._plan.low)

    def _give(self, grant: Grant, counter: Counter) -> None:
        row = self._ledger.grant(grant.sid)
        if row is None:
            raise AclError("the grant was forgotten by another process.", path=grant.root.path, code="acl.forgotten")
        recipe = self._recipe(grant)
        if row.low and row.state != "complete":
            # Its walk was interrupted. Finished without the labels it would pass for complete for the next one at Low.
            recipe = replace(recipe, low=True)
        self._create_missing(grant)
        places = self._placed[str(grant.sid)]
        if row.state == "complete" and self._has(grant.root.identity, recipe, "root"):
            for place in places:
                self._give_place(grant, recipe, place, counter)
            return
        counter.total = (counter.total or 0) + row.objects if row.objects else counter.total
        self._walk_root(grant, recipe, places, row, counter)

    def _has(self, identity: FileId, recipe: Recipe, role: Role, *, directory: bool = True) -> bool:
        """The warm check of one object, through its pin: one read."""
        descriptor = SecurityDescriptor.from_bytes(self._host.files.security(self._pins.handle(identity)))
        if descriptor.dacl is None:
            return False  # the walk says what is wrong
        return _edits.give(descriptor, _edits.want(recipe, role, directory, False)) is None

    def _give_place(self, grant: Grant, recipe: Recipe, place: PlaceRow, counter: Counter) -> None:
        noted = next(row for row in self._ledger.places(grant.sid) if row[1:3] == place[1:3])
        guards = self._ledger.guards(place)
        mine = str(recipe.logon)
        needs_guard = mine in guards and not guards[mine]
        bare = recipe if mine in guards and not needs_guard else replace(recipe, logon=None)
        if place.kind == "between":
            ready = noted.done
        else:
            ready = noted.done and self._has(place.object, bare, "protected", directory=place.directory)
        if not ready:
            self._walk_place(grant, recipe, place, counter)
            return
        now, then = self._look(place, counter), self._ledger.seen(place)
        if not now or now.state != then:
            # Something was moved in or got another list, or git was at work: the walk tells, and writes what it must.
            self._walk_place(grant, recipe, place, counter, again=True)
            return
        if now == LARGE:
            self._exceptions.append(
                f"{place.path} is too large to be looked through at every start: what was moved into it, or opened "
                "there by its own list, since it was first denied"
            )
        if needs_guard:
            self._walk_place(grant, recipe, place, counter, guards_only=True)

    def _look(self, place: PlaceRow, counter: Counter) -> Fingerprint:
        """What lies in a protected place; reads no descriptor."""
        if place.kind == "between" or place.link or not place.directory:
            return ALONE
        try:
            handle = self._host.files.open(place.path, LOOK)
        except OSError:
            return UNREADABLE  # the walk says what is wrong
        with handle:
            return fingerprint(self._host, handle, counter.check, place.path)

    def _walk_root(self, grant: Grant, recipe: Recipe, places: list[PlaceRow], row: GrantRow, counter: Counter) -> None:
        self.warm = False
        findings = Findings()
        giver = Giver(
            self._host, self._ledger, recipe, {place.object: place.kind for place in places}, self._token, findings
        )
        before = [self._look(place, counter) for place in places]
        handle = self._open(grant.root.path, grant.root.identity, giver.access | FILE_LIST_DIRECTORY)
        Walk(self._host, giver, counter, threads=self._threads).run(handle, grant.root.path, Where("root", False))
        checked: list[tuple[PlaceRow, Fingerprint]] = []
        for place, old in zip(places, before, strict=True):
            now = self._look(place, counter)
            # Whatever kept the walk from it (an unreadable directory on the way): a protected place is never left out.
            if place.object in giver.visited and settled(old, now, wrote=findings.written > 0):
                checked.append((place, now))
            else:
                self._walk_place(grant, recipe, place, counter)
        self.report.add(findings)
        with self._ledger.transaction():
            current = self._ledger.grant(grant.sid)
            if current is None or current.state not in ("applying", "complete"):
                raise AclError("the grant was forgotten while it was applied.", path=row.path, code="acl.forgotten")
            self._ledger.put_grant(
                current._replace(state="complete", objects=findings.objects, errors=findings.errors.count)
            )
            for place, now_seen in checked:
                self._done(place, recipe, now_seen)

    def _walk_place(
        self,
        grant: Grant,
        recipe: Recipe,
        place: PlaceRow,
        counter: Counter,
        *,
        guards_only: bool = False,
        again: bool = False,
    ) -> None:
        """Deny one place and what lies in it, or place the guards of this logon there.

        `again`: it was complete once. What changes under the walk's hands is walked once more, a few times.
        """
        self.warm = self.warm and again
        for _ in range(_ATTEMPTS):
            before = self._look(place, counter)
            wrote = self._walk_once(place, recipe, counter, guards_only, again) > 0
            self.warm = self.warm and not wrote
            after = self._look(place, counter)
            if settled(before, after, wrote=wrote):
                break
            guards_only = False
        else:
            after = UNREADABLE  # so the next start walks it again
            self._exceptions.append(f"{place.path} kept changing while it was checked: what was moved in meanwhile")
        with self._ledger.transaction():
            self._done(place, recipe, after)

    def _walk_once(self, place: PlaceRow, recipe: Recipe, counter: Counter, guards_only: bool, again: bool) -> int:
        """One walk of :meth:`_walk_place`; returns how many descriptors it wrote."""
        findings = Findings()
        giver = Giver(
            self._host,
            self._ledger,
            recipe,
            {place.object: place.kind},
            self._token,
            findings,
            guards_only=guards_only,
            again=again,
        )
        listing = FILE_LIST_DIRECTORY if place.directory and not place.link else 0
        handle = self._open(place.path, place.object, giver.access | listing)
        if place.kind == "between":
            with handle:
                sealed = False  # what a sealed one would lack here is its allow, which it has or never had
                item = Item(handle, place.path, self._host.files.info(handle), Where("between", sealed))
                if giver.look(item):
                    giver.write([item])
        else:
            Walk(self._host, giver, counter, threads=self._threads).run(handle, place.path, Where("protected", False))
        self.report.add(findings)
        return findings.written

    def _done(self, place: PlaceRow, recipe: Recipe, seen: Fingerprint) -> None:
        self._ledger.put_place(place._replace(done=True))
        self._ledger.put_seen(place, seen.state)
        if recipe.logon is not None and str(recipe.logon) in self._ledger.guards(place):
            self._ledger.put_guard(place, str(recipe.logon), done=True)

    def _open(self, path: str, identity: FileId, access: int) -> Handle:
        """By path: the object is pinned, so its name and those above it lead to it and to nothing else."""
        try:
            handle = self._host.files.open(path, access)
        except OSError as error:
            raise AclError(
                f"{path} cannot be opened to change its access control list: {error}.",
                cause=error,
                path=path,
                remedy=f'Let its owner or an administrator run:  icacls "{path}" /grant "%USERNAME%:(RC,WDAC)"',
                code="acl.write-dac",
            ) from error
        if self._host.files.info(handle).identity != identity:
            handle.close()
            raise closed(path, "it is not the object that was planned for", remedy="Run again.")
        return handle

    def _create_missing(self, grant: Grant) -> None:
        """Protected names that do not exist are made empty under the pinned root, so that the child cannot be first."""
        for name in grant.create:
            path, handle, identity = create_placeholder(
                self._host, self._ledger, self._pins, grant.root, name, grant.sid
            )
            info = self._host.files.info(handle)
            self._pins.take(path, identity, handle)
            self._enter(grant, PlaceRow(grant.sid, identity, "protected", path, info.directory, info.reparse, False))

    def _enter(self, grant: Grant, place: PlaceRow) -> None:
        """A protected place that came up after planning."""
        with self._ledger.transaction():
            logon = "" if self._plan.logon is None else str(self._plan.logon)
            live = {lease.logon for lease in self._ledger.leases()}
            self._announce_place(place, None, logon, live)
        places = self._placed[str(grant.sid)]
        if place not in places:  # a second attempt
            places.append(place)

    # -- while commands run -------------------------------------------------------------------------------------------

    def snapshot(self) -> Snapshot:
        """What protected places look like now: names, times, sizes of the first few thousand entries. Reads only."""
        places = [place for rows in self._placed.values() for place in rows if place.kind == "protected"]
        self._latest = take_snapshot(self._host, places, tuple(self._watch))
        return self._latest

    def violations(self, since: Snapshot | None = None) -> tuple[Violation, ...]:
        """What changed in protected places, and which protected names came into being, since a snapshot.

        None: since the latest one, which every :meth:`secure_new` takes. What the user himself did meanwhile shows
        too: metadata does not say who.
        """
        before = self._latest if since is None else since
        return compare(before, take_snapshot(self._host, before.places, before.watched))

    def secure_new(self) -> Snapshot:
        """Deny the protected names that were created since; call before each command, from any thread.

        Their paths are in :attr:`secured` afterwards. Returns what protected places look like now, as
        :meth:`snapshot` does. Its creator, if it still runs, may hold a handle from the creation, which no later deny
        takes away: that is why a created name is a violation and not only an event.

        Raises:
            AclError: one could not be denied, or leads to what cannot be: no further command may start.
        """
        # Two threads that start commands at once would both find a new name, and one would miss the other's pin.
        with self._securing:
            counter = Counter(self._host)
            for path, grant in list(self._watch.items()):
                handle = open_below(self._host, self._pins, grant.root, path)
                if handle is None:
                    continue
                info = self._host.files.info(handle)
                self._pins.take(path, info.identity, handle)
                place = PlaceRow(grant.sid, info.identity, "protected", path, info.directory, info.reparse, False)
                self._enter(grant, place)
                self._walk_place(grant, self._recipe(grant), place, counter)
                if info.reparse or (ntpath.basename(path).upper() == ".GIT" and not info.directory):
                    self._secure_target(path, info.reparse, counter)
                del self._watch[path]
                self.secured += (path,)
            return self.snapshot()

    def _secure_target(self, path: str, link: bool, counter: Counter) -> None:
        """Deny what a created link or git pointer leads to, as it would have been if it had been there at the start.

        Raises:
            AclError: nothing was found to deny, so that the child could still write, or make, what git then uses.
        """
        denied = False
        facts = survey(self._host, self._plan.policy, state_path=self._state.path)
        pointed = {place.identity for place in facts.protected if place.origin == "git pointer"}
        for grant in self._plan.grants:
            places = self._placed[str(grant.sid)]
            below = tuple(place for place in facts.protected if is_at_or_below(place.path, grant.root.path))
            for place in _places(replace(grant, protected=below)):
                if any(place.object == row.object and row.kind in (place.kind, "protected") for row in places):
                    continue
                self._pins.add(place.path, place.object)
                self._enter(grant, place)
                self._walk_place(grant, self._recipe(grant), place, counter)
                denied = denied or place.object in pointed
        if not (self._harmless(path) if link else denied):
            raise AclError(
                f"{path} was created, and nothing could be denied where it leads.",
                path=path,
                remedy="Look at it; if it is not yours, remove it. No further command is started in this sandbox.",
                code="acl.new",
            )

    def _harmless(self, path: str) -> bool:
        """Whether a link leads out of every root, or into a protected place."""
        try:
            with self._host.files.open(path, FILE_READ_ATTRIBUTES, follow=True) as handle:
                final = self._host.files.final_path(handle)
        except OSError:
            return False  # to nothing: the child could still make it
        places = [place.path for rows in self._placed.values() for place in rows if place.kind == "protected"]
        return any(is_at_or_below(final, place) for place in places) or not any(
            is_at_or_below(final, grant.root.path) for grant in self._plan.grants
        )

    # -- the end ------------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Release pins and lease; with ``keep="session"`` take the grants off the disk. Twice is once.

        Raises:
            AclError: a grant for this session could not be taken away in full; it stays listed and ``recover`` goes on.
        """
        if self._closed:
            return
        self._closed = True
        self._pins.close()
        self._ledger.drop_lease(self._lease)
        left: list[str] = []
        for grant in self._plan.grants:
            row = self._ledger.grant(grant.sid)
            # Kept denies: forgotten by force while we ran; the last sandbox of the grant takes the rest away.
            if row is None or (row.keep != "session" and row.state != "kept denies"):
                continue
            claimed = _undo.claim(self._host, self._ledger, grant.sid, only_dead=True)
            if claimed is None:
                continue
            counter = Counter(self._host)
            done = _undo.remove(self._host, self._ledger, claimed, counter, threads=self._threads)
            if not done.complete:
                left.append(f"{row.path} ({done.findings.errors.count} objects)")
        if left:
            raise AclError(
                "the grant could not be taken away everywhere: " + ", ".join(left) + ".",
                remedy="It stays listed in `grants`; `recover` tries again.",
                code="acl.left",
            )

    def _abandon(self) -> None:
        """An error on the way: nothing is held. What is on disk stays listed; intents nothing was done for go."""
        self._closed = True
        self._pins.close()
        with self._ledger.transaction():
            self._ledger.drop_lease(self._lease)
            if self.warm:
                for fresh in self._fresh:
                    if not self._ledger.leases(fresh.sid) and not self._ledger.placeholders(fresh.sid):
                        self._ledger.drop_grant(fresh.sid)
        if self._keep == "session":
            for grant in self._plan.grants:
                row = self._ledger.grant(grant.sid)
                if row is not None and row.keep == "session":
                    claimed = _undo.claim(self._host, self._ledger, grant.sid, only_dead=True)
                    if claimed is not None:
                        _undo.remove(self._host, self._ledger, claimed, Counter(self._host), threads=self._threads)


def _places(grant: Grant) -> list[PlaceRow]:
    """The rows of a grant's places. One below another protected place needs none: it is inside that one."""
    outer = [place for place in grant.protected if place.identity is not None]
    kept = [
        place
        for place in outer
        if not any(
            other is not place
            and not other.link
            and is_at_or_below(place.path, other.path)
            and place.path != other.path
            for other in outer
        )
    ]
    rows: dict[tuple[FileId, str], PlaceRow] = {}
    for place in kept:
        if place.identity is None:
            continue
        row = PlaceRow(grant.sid, place.identity, "protected", place.path, place.directory, place.link, False)
        rows[row.object, row.kind] = row
        for between in place.between:
            row = PlaceRow(grant.sid, between.identity, "between", between.path, True, False, False)
            if (row.object, "protected") not in rows:
                rows.setdefault((row.object, row.kind), row)
    return list(rows.values())
