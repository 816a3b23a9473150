"""Carry out a plan's ACL work through the ledger, and hold what has to be held while the sandbox lives.

The order, and why it is this one:

1. the lease and the intent rows: from here on nothing is on disk that the ledger does not know, and nobody forgets it;
2. the pins: what was planned for is what lies there now, and it can no longer be renamed or replaced;
3. the entries, or the check that they are there (``_placing``);
4. what the denied links and git pointers lead to, looked for again now that nobody can turn them (``_watch``).

The token does not exist for the child before all of this is done, so the order of ACEs within it does not matter for
this sandbox; and what another sandbox of the same grant needs is only added to, never taken away.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from . import _undo
from ._count import survey_walk
from ._findings import counted
from ._ledger import GrantRow, Keep
from ._paths import is_at_or_below
from ._pins import Pins
from ._placing import Placing
from ._plan import Plan, model_token
from ._security.sid import EVERYONE
from ._security.token import MEDIUM, Token
from ._violations import Snapshot, Violation
from ._walk import Cancel, Counter, Progress
from ._watch import Watch
from .errors import AclError

if TYPE_CHECKING:
    from ._findings import Findings
    from ._host import Host, TokenInfo
    from ._state import State

__all__ = ["Applied", "Violation", "apply", "survey_walk"]


def check_token(plan: Plan, caller: Token) -> Token:
    """The token that protected places are checked for: the plan's, and whatever a later plan of the same grant may add.

    A grant's SID depends on its root and exclusions only. So that a later sandbox can go without the check, it is made
    for the widest token that may carry the SID: Everyone and the logon SID restricting, no integrity level to help. The
    other grants that it may carry are added object by object, as the lists name them (``_edits.open_bits``).
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
            applied._placing.give(grant, counter)
        applied._watch.follow(counter)
        counter.step("", last=True)
        applied.snapshot()
    except BaseException:
        with suppress(Exception):
            applied._abandon()
        raise
    return applied


class Applied:
    """A plan that was carried out: its pins, its lease, its report. Close it when no process of the sandbox runs."""

    def __init__(self, host: Host, plan: Plan, state: State, keep: Keep, token: Token, threads: int) -> None:
        self._host = host
        self._plan = plan
        self._ledger = state.ledger
        self._keep: Keep = keep
        self._threads = threads
        self._lease = host.processes.random(8).hex()
        self._pins = Pins(host)
        self._placing = Placing(host, state.ledger, plan, token, self._pins, threads)
        self._watch = Watch(host, plan, self._pins, self._placing)
        self._fresh: list[GrantRow] = []
        self._notes: list[str] = []
        self._closed = False

    @property
    def report(self) -> Findings:
        """What the walks met; empty after a warm start."""
        return self._placing.report

    @property
    def warm(self) -> bool:
        """Whether nothing had to be written."""
        return self._placing.warm

    @property
    def secured(self) -> tuple[str, ...]:
        """The protected names that came into being since the start, and were then denied."""
        return self._watch.secured

    @property
    def notes(self) -> tuple[str, ...]:
        """What the report of enforcement should say besides."""
        notes = list(self._notes)
        found = self.report
        for count, one, many in (
            (
                found.hard_links.count,
                "file with several names is not writable (its other names may lie outside)",
                "files with several names are not writable (their other names may lie outside)",
            ),
            (
                found.protected_dacls.count,
                "object that inherits nothing is left as it is, with all below it",
                "objects that inherit nothing are left as they are, with all below them",
            ),
            (found.nested.count, "nested repository is not protected", "nested repositories are not protected"),
            (found.placeholders.count, "cloud placeholder was not touched", "cloud placeholders were not touched"),
            (
                found.errors.count,
                "object could not be granted; Sandbox.grant_report names it",
                "objects could not be granted; Sandbox.grant_report names them",
            ),
        ):
            if count:
                notes.append(counted(count, one, many))
        return tuple(notes)

    @property
    def exceptions(self) -> tuple[str, ...]:
        """What of the protected places could not be made sure of: PROTECTED_PLACES is partial then.

        Nested repositories by what the walk of the root met, however long ago that was."""
        nested = [
            f"{path}: a nested repository, which is not protected"
            for grant in self._plan.grants
            if any(name.upper().split("\\")[0] == ".GIT" for name in grant.exclusions)
            for path in self._ledger.nested(grant.sid)
        ]
        links = [f"{path}: a link; what it leads to is not protected with it" for path in self._placing.links]
        return tuple(dict.fromkeys((*self._placing.exceptions, *nested, *links)))

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
            waited = _undo.wait_for_remover(busy, waited)

    def _busy(self) -> GrantRow | None:
        for grant in self._plan.grants:
            row = self._ledger.grant(grant.sid)
            if row is not None and _undo.being_removed(self._host, row):
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
                row = row._replace(
                    path=grant.root.path,
                    state="complete" if row.state == "complete" else "applying",
                    keep="forever" if "forever" in (row.keep, self._keep) else "session",
                    used=now,
                    process=_undo.NOBODY,
                )
            ledger.put_grant(row)
            for outer, path in ledger.protected_paths():
                if outer != str(grant.sid) and is_at_or_below(grant.root.path, path):
                    self._notes.append(f"{grant.root.path} lies in {path}, which another sandbox's policy protects")
            self._placing.announce(grant, live)

    # -- 2: pins ------------------------------------------------------------------------------------------------------

    def _pin(self) -> None:
        for grant in self._plan.grants:
            self._pins.add(grant.root.path, grant.root.identity)
            for place in self._placing.placed[str(grant.sid)]:
                self._pins.add(place.path, place.object)

    # -- while commands run -------------------------------------------------------------------------------------------

    def snapshot(self) -> Snapshot:
        """See :meth:`~._watch.Watch.snapshot`."""
        return self._watch.snapshot()

    def violations(self, since: Snapshot | None = None) -> tuple[Violation, ...]:
        """See :meth:`~._watch.Watch.violations`."""
        return self._watch.violations(since)

    def secure_new(self) -> Snapshot:
        """See :meth:`~._watch.Watch.secure_new`."""
        return self._watch.secure_new()

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
