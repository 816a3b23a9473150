"""Put one plan's entries on its roots and protected places, and know which of them still stand from before.

A grant noted as complete costs one descriptor read for its root (the survey's) and each protected place, and the
listings of the protected places: one that looks as it did after its last check (``_fingerprint``) is left alone. Else
one walk a root or place; after it, every object in a protected place has passed the check by ``_security``.

What a walk writes renews change times, also in the protected places of other grants that lie in the same tree. So it
checks what it writes there for those grants too, and where nothing is open to them the new look is theirs as well:
else each change between two policies would cost a walk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from . import _edits
from ._edits import Recipe, Role
from ._findings import Findings, closed, rights_remedy
from ._fingerprint import ALONE, LARGE, LIMIT, LOOK, UNREADABLE, Fingerprint, fingerprint, settled
from ._give import Giver
from ._ledger import GrantRow, PlaceRow
from ._paths import is_at_or_below
from ._pins import Pins, create_placeholder
from ._security.descriptor import SecurityDescriptor
from ._security.mask import FILE_LIST_DIRECTORY
from ._walk import Counter, Item, Walk
from .errors import AclError

if TYPE_CHECKING:
    from ._host import FileId, Handle, Host
    from ._ledger import Ledger
    from ._plan import Grant, Plan, Protected
    from ._security.sid import Sid
    from ._security.token import Token

_NAMED: Final = 20  # nested repositories, and links, that reports name; more would bury the rest
ATTEMPTS: Final = 3  # walks of a protected place that somebody keeps changing


class Placing:
    """The roots and protected places of one plan. ``pins`` holds all of them when ``give`` is called.

    Attributes:
        placed: the rows of each grant's places, by its SID; grows while commands run.
        report: what the walks met.
        warm: whether nothing had to be written.
        exceptions: what of the protected places could not be made sure of.
        links: the paths of the first links that lie in protected directories. A link is denied as such and never
            followed: what it leads to in a root stays writable under the protected name.
    """

    def __init__(self, host: Host, ledger: Ledger, plan: Plan, token: Token, pins: Pins, threads: int) -> None:
        self.placed: dict[str, list[PlaceRow]] = {}
        self.report = Findings()
        self.warm = True
        self.exceptions: list[str] = []
        self.links: dict[str, None] = {}
        self._host = host
        self._ledger = ledger
        self._plan = plan
        self._token = token
        self._pins = pins
        self._threads = threads

    def protected(self) -> list[PlaceRow]:
        """The places themselves, without the directories between."""
        return [place for rows in self.placed.values() for place in rows if place.kind == "protected"]

    # -- the ledger first ---------------------------------------------------------------------------------------------

    def announce(self, grant: Grant, live: set[str]) -> None:
        """Enter a grant's places and the guards that will be placed. In the caller's transaction."""
        places = rows_of(grant, grant.protected)
        self.placed[str(grant.sid)] = places
        self._ledger.drop_ghosts(places)
        noted = {(place.object, place.kind): place for place in self._ledger.places(grant.sid)}
        for place in places:
            self._announce_place(place, noted.get((place.object, place.kind)), live)

    def _announce_place(self, place: PlaceRow, noted: PlaceRow | None, live: set[str]) -> None:
        logon = "" if self._plan.logon is None else str(self._plan.logon)
        self._ledger.put_place(place._replace(done=noted is not None and noted.done))
        guards = self._ledger.guards(place)
        for old in guards:
            if old not in live:
                # What is left of an ended session: the walk that places ours takes it away in the same write.
                self._ledger.drop_guard(place, old)
        if self._plan.guards and place.directory and not place.link and logon not in guards:
            self._ledger.put_guard(place, logon, done=False)

    def add(self, grant: Grant, place: PlaceRow, counter: Counter) -> None:
        """Deny a protected place that came up after planning, and is pinned."""
        with self._ledger.transaction():
            self._announce_place(place, None, {lease.logon for lease in self._ledger.leases()})
        places = self.placed[str(grant.sid)]
        if place not in places:  # a second attempt
            places.append(place)
        self._walk_place(self._recipe(grant), place, counter)

    # -- give ---------------------------------------------------------------------------------------------------------

    def _recipe(self, grant: Grant) -> Recipe:
        return Recipe(grant.sid, self._plan.logon if self._plan.guards else None, self._plan.low)

    def give(self, grant: Grant, counter: Counter) -> None:
        """Have a grant on disk: its root open, its places denied, each object in them checked."""
        row = self._ledger.grant(grant.sid)
        if row is None:
            raise AclError("the grant was forgotten by another process.", path=grant.root.path, code="acl.forgotten")
        recipe = self._recipe(grant)
        self._create_missing(grant)
        places = self.placed[str(grant.sid)]
        # The survey's read will do for the root. What was taken from it since by a process of ours shows in the row;
        # where somebody else did it, less is open than there should be.
        raw = grant.descriptor or self._host.files.security(self._pins.handle(grant.root.identity))
        if row.state == "complete" and _has(raw, recipe, "root", True):
            for place in places:
                self._give_place(recipe, place, counter)
            return
        counter.total = (counter.total or 0) + row.objects if row.objects else counter.total
        self._walk_root(grant, recipe, places, row, counter)

    def _create_missing(self, grant: Grant) -> None:
        """Protected names that do not exist are made empty under the pinned root, so that the child cannot be first."""
        for name in grant.create:
            path, handle, identity = create_placeholder(
                self._host, self._ledger, self._pins, grant.root, name, grant.sid
            )
            info = self._host.files.info(handle)
            self._pins.take(path, identity, handle)
            place = PlaceRow(grant.sid, identity, "protected", path, info.directory, info.reparse, False)
            with self._ledger.transaction():
                self._announce_place(place, None, {lease.logon for lease in self._ledger.leases()})
            self.placed[str(grant.sid)].append(place)

    def _give_place(self, recipe: Recipe, place: PlaceRow, counter: Counter) -> None:
        noted = next(row for row in self._ledger.places(recipe.sid) if row[1:3] == place[1:3])
        guards = self._ledger.guards(place)
        mine = str(recipe.logon)
        needs_guard = mine in guards and not guards[mine]
        bare = recipe if mine in guards and not needs_guard else replace(recipe, logon=None)
        ready = noted.done
        if ready and place.kind == "protected":
            raw = self._host.files.security(self._pins.handle(place.object))
            ready = _has(raw, bare, "protected", place.directory)
        if not ready:
            self._walk_place(recipe, place, counter)
            return
        now, then = self._look(place, counter, limit=LIMIT), self._ledger.seen(place)
        if now == LARGE and then:
            self.exceptions.append(
                f"{place.path} is too large to be looked through at every start: what was moved into it, or opened "
                "there by its own list, since it was last checked"
            )
        elif not now or now.state != then:
            # Something was moved in or got another list, or git was at work: the walk tells, and writes what it must.
            self._walk_place(recipe, place, counter, again=True)
            return
        if needs_guard:
            self._walk_place(recipe, place, counter, guards_only=True)

    def look_through(self, place: PlaceRow, counter: Counter, links: Callable[[str], object]) -> None:
        """Call `links` with the path of each link in a protected place; an error of its own comes through.

        Raises:
            AclError: it could not be looked through.
        """
        if not self._look(place, counter, links=links):
            raise closed(place.path, "it cannot be looked through", remedy="Close what writes there, and run again.")

    def _name_link(self, path: str) -> None:
        if len(self.links) < _NAMED:
            self.links[path] = None

    def _look(
        self,
        place: PlaceRow,
        counter: Counter,
        *,
        limit: int | None = None,
        links: Callable[[str], object] | None = None,
    ) -> Fingerprint:
        """What lies in a protected place; reads no descriptor."""
        if place.kind == "between" or place.link or not place.directory:
            return ALONE
        try:
            handle = self._host.files.open(place.path, LOOK)
        except OSError:
            return UNREADABLE  # the walk says what is wrong
        # Those of this plan only: what other grants protect is their reports' matter.
        if links is None and str(place.sid) in self.placed:
            links = self._name_link
        with handle:
            return fingerprint(self._host, handle, counter.check, place.path, limit=limit, links=links)

    def _neighbours(self, sid: Sid, top: str) -> list[PlaceRow]:
        """The protected directories of other complete grants in a tree that were looked through before."""
        return [
            place
            for row in self._ledger.grants()
            if row.sid != sid and row.state == "complete"
            for place in self._ledger.places(row.sid)
            if place.kind == "protected" and place.directory and not place.link and is_at_or_below(place.path, top)
            if self._ledger.seen(place)
        ]

    def _walk_root(self, grant: Grant, recipe: Recipe, places: list[PlaceRow], row: GrantRow, counter: Counter) -> None:
        self.warm = False
        findings = Findings()
        others = self._neighbours(grant.sid, grant.root.path)
        roles: dict[FileId, Role] = {place.object: place.kind for place in places}
        giver = self._giver(recipe, roles, findings, others)
        before = [self._look(place, counter) for place in (*places, *others)]
        handle = self._open(grant.root.path, grant.root.identity, giver.access | FILE_LIST_DIRECTORY)
        start = giver.start(grant.root.identity, "root")
        Walk(self._host, giver, counter, threads=self._threads).run(handle, grant.root.path, start)
        checked: list[tuple[PlaceRow, Fingerprint]] = []
        passed: list[tuple[PlaceRow, Fingerprint]] = []
        for place, old in zip((*places, *others), before, strict=True):
            now = self._look(place, counter)
            stood = settled(old, now, wrote=findings.written > 0)
            if place.sid != grant.sid:
                if stood and giver.checked(place):
                    passed.append((place, now))
            # Whatever kept the walk from it (an unreadable directory on the way): a protected place is never left out.
            elif stood and place.object in giver.visited:
                checked.append((place, now))
            else:
                self._walk_place(recipe, place, counter)
        self.report.add(findings)
        with self._ledger.transaction():
            current = self._ledger.grant(grant.sid)
            if current is None or current.state not in ("applying", "complete"):
                raise AclError("the grant was forgotten while it was applied.", path=row.path, code="acl.forgotten")
            self._ledger.put_grant(
                current._replace(state="complete", objects=findings.objects, errors=findings.errors.count)
            )
            self._ledger.put_nested(grant.sid, findings.nested.items[:_NAMED])
            for place, now_seen in checked:
                self._done(place, recipe, now_seen)
            self._refresh(passed)

    def _giver(
        self,
        recipe: Recipe,
        roles: dict[FileId, Role],
        findings: Findings,
        others: Iterable[PlaceRow],
        *,
        guards_only: bool = False,
        again: bool = False,
    ) -> Giver:
        neighbours: dict[FileId, frozenset[Sid]] = {}
        for place in others:
            neighbours[place.object] = neighbours.get(place.object, frozenset()) | {place.sid}
        return Giver(
            self._host,
            self._ledger,
            recipe,
            roles,
            self._token,
            findings,
            guards_only=guards_only,
            again=again,
            neighbours=neighbours,
        )

    def _walk_place(
        self,
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
        others = self._neighbours(recipe.sid, place.path)
        passed: list[tuple[PlaceRow, Fingerprint]] = []
        for _ in range(ATTEMPTS):
            before = [self._look(one, counter) for one in (place, *others)]
            if guards_only and before[0].state != self._ledger.seen(place):
                # Guards alone leave unchecked what has come, or was opened, since the last check.
                guards_only, again = False, True
            findings = Findings()
            giver = self._giver(
                recipe, {place.object: place.kind}, findings, others, guards_only=guards_only, again=again
            )
            self._walk_once(giver, place, counter)
            self.report.add(findings)
            wrote = findings.written > 0
            self.warm = self.warm and not wrote
            after = [self._look(one, counter) for one in (place, *others)]
            passed = [
                (one, now)
                for one, old, now in zip(others, before[1:], after[1:], strict=True)
                if settled(old, now, wrote=wrote)
                # Guards only add denies: what had been checked before still is.
                and (old.state == self._ledger.seen(one) if guards_only else giver.checked(one))
            ]
            if settled(before[0], after[0], wrote=wrote):
                seen = after[0]
                break
        else:
            seen = UNREADABLE  # so the next start walks it again
            self.exceptions.append(f"{place.path} kept changing while it was checked: what was moved in meanwhile")
        with self._ledger.transaction():
            self._done(place, recipe, seen)
            self._refresh(passed)

    def _walk_once(self, giver: Giver, place: PlaceRow, counter: Counter) -> None:
        listing = FILE_LIST_DIRECTORY if place.directory and not place.link else 0
        handle = self._open(place.path, place.object, giver.access | listing)
        start = giver.start(place.object, place.kind)
        if place.kind == "between":
            # Alone. What a sealed one would lack here is its allow, which it has or never had.
            with handle:
                item = Item(handle, place.path, self._host.files.info(handle), start)
                if giver.look(item):
                    giver.write([item])
        else:
            Walk(self._host, giver, counter, threads=self._threads).run(handle, place.path, start)

    def _done(self, place: PlaceRow, recipe: Recipe, seen: Fingerprint) -> None:
        self._ledger.put_place(place._replace(done=True))
        self._ledger.put_seen(place, seen.state)
        if recipe.logon is not None and str(recipe.logon) in self._ledger.guards(place):
            self._ledger.put_guard(place, str(recipe.logon), done=True)

    def _refresh(self, passed: Iterable[tuple[PlaceRow, Fingerprint]]) -> None:
        """What other grants' places look like now that we wrote there; not of one that is being forgotten."""
        for place, seen in passed:
            row = self._ledger.grant(place.sid)
            if row is not None and row.state == "complete":
                self._ledger.put_seen(place, seen.state)

    def _open(self, path: str, identity: FileId, access: int) -> Handle:
        """By path: the object is pinned, so its name and those above it lead to it and to nothing else."""
        try:
            handle = self._host.files.open(path, access)
        except OSError as error:
            raise AclError(
                f"{path} cannot be opened to change its access control list: {error}.",
                cause=error,
                path=path,
                remedy=rights_remedy(path, user=self._plan.user, label=self._plan.low),
                code="acl.write-dac",
            ) from error
        if self._host.files.info(handle).identity != identity:
            handle.close()
            raise closed(path, "it is not the object that was planned for", remedy="Run again.")
        return handle


def _has(raw: bytes, recipe: Recipe, role: Role, directory: bool) -> bool:
    """The warm check of one object."""
    descriptor = SecurityDescriptor.from_bytes(raw)
    if descriptor.dacl is None:
        return False  # the walk says what is wrong
    return _edits.give(descriptor, _edits.want(recipe, role, directory, False)) is None


def rows_of(grant: Grant, protected: Iterable[Protected]) -> list[PlaceRow]:
    """The rows of a grant's places. One below another protected place needs none: it is inside that one."""
    outer = [place for place in protected if place.identity is not None]
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
