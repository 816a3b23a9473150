"""What comes up after planning: protected names that are created, and what links and git pointers lead to by now.

Two moments count. Once everything is denied, and before each command. Until the first, a child of another sandbox may
have written a ``.git`` file to another pointer or turned a link: what they lead to is looked for again. Until the
second, a command may have created a name that is protected but did not exist; a link or a file on the way to one is as
good as the name, because whoever reads ``.git\\hooks`` goes where ``.git`` leads.
"""

from __future__ import annotations

import ntpath
import threading
from typing import TYPE_CHECKING

from ._ledger import PlaceRow
from ._paths import is_at_or_below
from ._pins import Pins, open_below
from ._places import Searched, find_places, points
from ._placing import ATTEMPTS, Placing, rows_of
from ._security.mask import FILE_READ_ATTRIBUTES
from ._violations import Snapshot, Violation, Watched, compare, take_snapshot
from ._walk import Counter
from .errors import AclError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ._host import Host
    from ._plan import Grant, Plan, Protected


class Watch:
    """The names of one plan that must not appear, and its places that lead elsewhere.

    Attributes:
        secured: the paths that came into being since the start, and were then denied.
    """

    def __init__(self, host: Host, plan: Plan, pins: Pins, placing: Placing) -> None:
        self.secured: tuple[str, ...] = ()
        self._host = host
        self._plan = plan
        self._pins = pins
        self._placing = placing
        self._roots = [grant.root for grant in plan.grants]
        self._names: dict[str, Grant] = {path: grant for grant in plan.grants for path in grant.watch}
        self._latest = Snapshot()
        self._lock = threading.Lock()

    # -- seen ---------------------------------------------------------------------------------------------------------

    def snapshot(self) -> Snapshot:
        """What protected places look like now: names, times, sizes of the first few thousand entries. Reads only."""
        watched = tuple(Watched(path, grant.root.path) for path, grant in self._names.items())
        self._latest = take_snapshot(self._host, self._placing.protected(), watched)
        return self._latest

    def violations(self, since: Snapshot | None = None) -> tuple[Violation, ...]:
        """What changed in protected places, and which protected names came into being, since a snapshot.

        None: since the latest one, which every :meth:`secure_new` takes. What the user himself did meanwhile shows
        too: metadata does not say who.
        """
        before = self._latest if since is None else since
        return compare(before, take_snapshot(self._host, before.places, before.watched))

    # -- after the deny -----------------------------------------------------------------------------------------------

    def follow(self, counter: Counter) -> None:
        """Look again where the denied links and pointers lead, and deny what was not found before.

        Nobody in a sandbox of these grants can change them any more. What this leaves open: a handle for writing that
        the child of another sandbox opened before the deny.

        Raises:
            AclError: they lead to what cannot be denied, or to something else each time.
        """
        for _ in range(ATTEMPTS):
            rows = self._placing.protected()
            if not any(points(row.path, directory=row.directory, link=row.link) for row in rows):
                return
            found = find_places(self._host, map(self._searched, self._plan.grants), self._roots)
            if found.mistakes:
                raise AclError(f"{found.mistakes[0]}", path=found.mistakes[0].path, code="acl.changed")
            self._placing.exceptions += [text for text in found.exceptions if text not in self._known_exceptions()]
            for path in found.watch:
                for grant in self._plan.grants:
                    if is_at_or_below(path, grant.root.path):
                        self._names.setdefault(path, grant)
            if not self._protect(found.protected, counter):
                return
        raise AclError(
            "what the protected links and .git files lead to kept changing.",
            path=rows[0].path,
            remedy="Close what writes there, and run again.",
            code="acl.changed",
        )

    def _known_exceptions(self) -> tuple[str, ...]:
        return tuple(text for _, verdict in self._plan.enforcement.verdicts for text in verdict.exceptions)

    def _searched(self, grant: Grant) -> Searched:
        return Searched(grant.root, self._pins.handle(grant.root.identity), grant.exclusions)

    def _protect(self, protected: Iterable[Protected], counter: Counter) -> bool:
        """Pin and deny what is not yet; whether there was anything."""
        protected = tuple(protected)
        new = False
        for grant in self._plan.grants:
            below = [place for place in protected if is_at_or_below(place.path, grant.root.path)]
            for place in rows_of(grant, below):
                if self._denied(grant, place):
                    continue
                new = True
                self._pins.add(place.path, place.object)
                self._placing.add(grant, place, counter)
        return new

    def _denied(self, grant: Grant, place: PlaceRow) -> bool:
        for row in self._placing.placed[str(grant.sid)]:
            if row.object == place.object and row.kind in (place.kind, "protected"):
                return True
            if row.kind == "protected" and not row.link and is_at_or_below(place.path, row.path):
                return True
        return False

    # -- before each command ------------------------------------------------------------------------------------------

    def secure_new(self) -> Snapshot:
        """Deny the protected names that were created since; call before each command, from any thread.

        Their paths are in :attr:`secured` afterwards. Returns what protected places look like now, as
        :meth:`snapshot` does. Its creator, if it still runs, may hold a handle from the creation, which no later deny
        takes away: that is why a created name is a violation and not only an event.

        Raises:
            AclError: one could not be denied, or leads to what cannot be: no further command may start.
        """
        # Two threads that start commands at once would both find a new name, and one would miss the other's pin.
        with self._lock:
            counter = Counter(self._host)
            for name, grant in list(self._names.items()):
                found = open_below(self._host, self._pins, grant.root, name) if name in self._names else None
                if found is None:
                    continue
                path, handle = found
                info = self._host.files.info(handle)
                self._pins.take(path, info.identity, handle)
                place = PlaceRow(grant.sid, info.identity, "protected", path, info.directory, info.reparse, False)
                self._placing.add(grant, place, counter)
                self._placing.look_through(place, counter, self._refuse_way_out)
                if points(path, directory=info.directory, link=info.reparse):
                    self._secure_targets(grant, place, counter)
                elif ntpath.basename(path).upper() == ".GIT":
                    self._secure_targets(grant, place, counter, needed=False)  # it may hold a commondir
                for other in [other for other in self._names if is_at_or_below(other, path)]:
                    del self._names[other]
                self.secured += (path,)
            return self.snapshot()

    def _refuse_way_out(self, link: str) -> None:
        """A link that was created inside a new protected directory must not lead to where the child may write."""
        try:
            with self._host.files.open(link, FILE_READ_ATTRIBUTES, follow=True) as handle:
                final = self._host.files.final_path(handle)
        except OSError as error:
            raise _created(link) from error  # to nothing: the child could still make it
        if any(is_at_or_below(final, root.path) for root in self._roots):
            raise _created(link)

    def _secure_targets(self, grant: Grant, place: PlaceRow, counter: Counter, *, needed: bool = True) -> None:
        """Deny all of what a created link or git pointer leads to, whatever part of it the policy names.

        `needed`: it must lead somewhere; else what leads nowhere is no pointer.

        Raises:
            AclError: nothing was found to deny, so that the child could still write, or make, what git then uses.
        """
        name = ntpath.relpath(place.path, grant.root.path)
        searched = Searched(grant.root, self._pins.handle(grant.root.identity), (name,))
        found = find_places(self._host, [searched], self._roots)
        targets = [target for target in found.protected if target.origin != "policy"]
        self._protect(targets, counter)
        nowhere = not (targets or (place.link and found.outside))
        if found.mistakes or found.exceptions or (nowhere if needed else bool(found.watch)):
            raise _created(place.path)


def _created(path: str) -> AclError:
    return AclError(
        f"{path} was created, and nothing could be denied where it leads.",
        path=path,
        remedy="Look at it; if it is not yours, remove it. No further command is started in this sandbox.",
        code="acl.new",
    )
