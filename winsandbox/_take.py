"""Take one grant off one tree: what is done to each object. How it meets a Giver: see ``_give``.

Entries name their grant, so each grant's are told from every other's. Guards name the logon session only: one guard may
serve several grants, and where it is taken away under a live sandbox its child can delete what it may not. So:

* a guard is taken in or at a protected place of the grant that goes, and only where no place of another grant is that
  object or lies above it, be it above the root. By identity, and asked again in the transaction of each write;
* entries of a grant that this ledger does not know are another state directory's (or a lost ledger's). Nothing tells
  when that one ends, so at and below its denies all guards stay: they die with the logon session.

The second rule reads what is on disk, without the other ledger's lock: a sandbox of another state directory that starts
in the same moment can still lose a guard. One state directory a user is what is meant; the rule limits the damage.
"""

from __future__ import annotations

import ntpath
from typing import Final, NamedTuple

from . import _edits
from ._findings import Findings, ObjectError
from ._host import ATTRIBUTE_RECALL_ON_OPEN, Entry, FileId, Handle, Host
from ._ledger import Ledger, PlaceRow
from ._paths import is_at_or_below
from ._plan import is_tagged
from ._security.ace import CONTAINER_INHERIT, DENY, INHERITED, label
from ._security.descriptor import SecurityDescriptor
from ._security.errors import SecurityDataError
from ._security.sid import Sid
from ._walk import EDIT, RELABEL, Item
from .errors import AclError

REPARSE_POINT_ENCOUNTERED: Final = 4395  # ERROR_REPARSE_POINT_ENCOUNTERED
NOT_HERE: Final = "Its content is not on this machine: choose 'Always keep on this device' for it, and run again."
NOT_ENTERED: Final = "It became a reparse point that can have objects below it: take that away, and run again."
_NAME_SURROGATE: Final = 0x20000000  # IsReparseTagNameSurrogate: a link; a directory that is one has nothing below it
_CACHE: Final = 4096
_GUARD_TREE: Final = (CONTAINER_INHERIT, CONTAINER_INHERIT | INHERITED)
_GUARD_BETWEEN: Final = 0


class Region(NamedTuple):
    """The context of an object for a Taker.

    ``place``: our place that it is or lies in. ``chain``: the object, and all that is above it, from the drive down.
    ``foreign``: it lies below a deny of a grant that this ledger does not know.
    """

    place: PlaceRow | None
    chain: tuple[FileId, ...]
    foreign: bool


class _Taken(NamedTuple):
    new: bytes | None
    foreign: bool


def hides(item: Item) -> bool:
    """Whether it is a directory with objects below it that no walk enters: a reparse point, but no link.

    Tags with bit 0x10000000 may be set on a directory that is not empty (Microsoft Learn, "Reparse Point Tags"), also
    by a child.
    """
    info = item.info
    return info.directory and info.reparse and not info.reparse_tag & _NAME_SURROGATE


class Taker:
    """Takes one grant off one tree: its ACEs, the guards that no other grant needs, its labels.

    ``allows_only``: a sandbox still runs; its denies and guards stay until it has ended.
    """

    def __init__(
        self,
        host: Host,
        ledger: Ledger,
        sid: Sid,
        root: str,
        root_id: FileId,
        findings: Findings,
        *,
        low: bool,
        allows_only: bool = False,
    ) -> None:
        self.access = RELABEL if low else EDIT
        self._files = host.files
        self._ledger = ledger
        self._sid = sid
        self._root = root
        self._known: frozenset[Sid] = frozenset()
        self._findings = findings
        self._low = low and not allows_only
        self._allows_only = allows_only
        self._places = {place.object: place for place in ledger.places(sid)}
        self._guards = frozenset(map(Sid.parse, ledger.logons()))
        self._cache: dict[tuple[bytes, tuple[int, ...], frozenset[Sid]], _Taken] = {}
        # Where the root had an inheritable label before ours, a new object's inherited one may be that.
        self._root_id = root_id
        rows = ledger.labels(root_id)
        self._new_labels_are_ours = bool(rows) and not any(_edits.passes_on(row.prior) for row in rows)
        self._refresh()

    def _refresh(self) -> None:
        """What other grants need: their places, and whether one of them labels. Asked again in each transaction."""
        self._kept, self._kept_between, self._other_low = self._ledger.needed_by_others(self._sid)
        # The whole root may lie in another grant's protected place: then all guards in it are that grant's too. By
        # identity in `chain`; by path for what above the root cannot be looked at.
        self._keep_all = any(is_at_or_below(self._root, path) for path in self._kept.values())
        self._known = frozenset(row.sid for row in self._ledger.grants()) | {self._sid}

    def start(self, root: Handle) -> Region:
        """The context of the root, behind `root`: also what lies above it is part of its chain."""
        chain: list[FileId] = []
        above = self._files.final_path(root)
        while (parent := ntpath.dirname(above)) != above:
            above = parent
            try:
                info = self._files.query(above, follow=False)
            except OSError:
                continue  # not ours to look at; `_keep_all` goes by the path
            if info is not None:
                chain.append(info.identity)
        return self.region(Region(None, tuple(reversed(chain)), False), self._root_id)

    def place(self, above: Region, entry: Entry, path: str) -> Region | None:
        # Only what the mere opening would fetch is left; of every other "offline" file the list can be read as it is. A
        # child can set FILE_ATTRIBUTE_OFFLINE, and must not hide with it. What is left counts: the grant's row stays.
        if entry.attributes & ATTRIBUTE_RECALL_ON_OPEN:
            self._findings.placeholders.add(path)
            self._findings.errors.add(ObjectError(path, REPARSE_POINT_ENCOUNTERED, NOT_HERE))
            return None
        return self.region(above, entry.identity)

    def region(self, above: Region, identity: FileId) -> Region:
        """Where an object below `above` lies."""
        inside = above.place is not None and above.place.kind == "protected"
        place = above.place if inside else self._places.get(identity)
        return Region(place, (*above.chain, identity), above.foreign)

    def look(self, item: Item) -> bool:
        self._findings.objects += 1
        region: Region = item.context
        # A file with several names is not left out here: what is taken is ours alone, wherever else it is named.
        raw = self._files.security(item.handle)
        changes = self._taken(raw, item) is not None
        item.below = region._replace(foreign=region.foreign or self._entries_taken(raw, region).foreign)
        if changes and item.refused is not None:
            self._findings.error(item.path, item.refused)
            return False
        if item.unlabelled is not None and self._label_stays(raw, item):
            self._findings.error(item.path, item.unlabelled, label=True)
        if changes and hides(item):
            # It was an ordinary directory when it got our entries, so what lies in it has them too. They stay on it as
            # well: the next run sees by them that it is not done.
            self._findings.errors.add(ObjectError(item.path, REPARSE_POINT_ENCOUNTERED, NOT_ENTERED))
            return False
        return changes

    def _shapes(self, region: Region) -> tuple[int, ...]:
        """Which guards go from an object: see the module's docstring."""
        if region.place is None or self._allows_only or self._keep_all or region.foreign:
            return ()
        if any(identity in self._kept for identity in region.chain):
            return ()
        # In a protected place of ours also what a grant forgotten earlier had to leave, because ours needed it.
        between = () if region.chain[-1] in self._kept_between else (_GUARD_BETWEEN,)
        return between if region.place.kind == "between" else (*_GUARD_TREE, *between)

    def _entries_taken(self, raw: bytes, region: Region) -> _Taken:
        """The descriptor without our entries, None where there are none; and whether others' denies are inherited."""
        shapes = self._shapes(region)
        key = (raw, shapes, self._known)
        found = self._cache.get(key)
        if found is None:
            old = SecurityDescriptor.from_bytes(raw)
            foreign = [
                ace
                for ace in old.dacl or ()
                if ace.type == DENY and ace.sid is not None and is_tagged(ace.sid) and ace.sid not in self._known
            ]
            inherited = any(ace.flags & CONTAINER_INHERIT for ace in foreign)
            if inherited:
                shapes = ()
            elif foreign:
                shapes = tuple(shape for shape in shapes if shape != _GUARD_BETWEEN)
            if self._allows_only:
                new = _edits.take_allows(old, self._sid)
            else:
                new = _edits.take(old, (self._sid,), self._guards if shapes else (), shapes)
            found = _Taken(None if new is None else new.to_bytes(), inherited)
            if len(self._cache) >= _CACHE:
                self._cache.clear()
            self._cache[key] = found
        return found

    def _taken(self, raw: bytes, item: Item) -> bytes | None:
        taken = self._entries_taken(raw, item.context).new
        return self._unlabelled(raw, taken, item) if self._low and item.unlabelled is None else taken

    def _label_stays(self, raw: bytes, item: Item) -> bool:
        """Whether it has a label of ours, which cannot be written."""
        new = self._unlabelled(raw, None, item)
        old = SecurityDescriptor.from_bytes(raw)
        return new is not None and _edits.pack_label(SecurityDescriptor.from_bytes(new)) != _edits.pack_label(old)

    def _unlabelled(self, raw: bytes, taken: bytes | None, item: Item) -> bytes | None:
        """The label as it was, or as the other grants want it; a new object loses the one it inherited from ours."""
        now = SecurityDescriptor.from_bytes(raw if taken is None else taken)
        rows = self._ledger.labels(item.info.identity)
        mine = next((row for row in rows if row.sid == str(self._sid)), None)
        others = [row for row in rows if row.sid != str(self._sid)]
        if mine is not None and others:
            level = max(row.level for row in others)
            if level == _edits.level_of(now):
                return taken if taken is not None else raw
            flags = next((ace.flags for ace in now.sacl or () if ace.type == 0x11), 0)
            return now.rewritten(sacl=_edits.one_label(now, label(level, flags=flags))).to_bytes()
        if mine is not None:
            return _edits.restored_label(now, mine.prior).to_bytes()
        if (
            not rows
            and self._new_labels_are_ours
            and not self._other_low
            and _edits.is_session_label(now, item.info.directory)
        ):
            return _edits.restored_label(now, _edits.NO_LABEL).to_bytes()
        return taken

    def write(self, items: list[Item]) -> None:
        with self._ledger.transaction():
            self._refresh()
            self._still_mine()
            for item in items:
                try:
                    raw = self._files.security(item.handle)
                    new = self._taken(raw, item)
                    labels = self._low and item.unlabelled is None
                    if new is not None and new != raw:
                        self._files.set_security(item.handle, new, dacl=True, label=labels)
                        self._findings.written += 1
                        self._findings.touched.add(item.path)
                    # The root's row stays to the end: a removal that is taken up again has to know what it says.
                    if labels and item.info.identity != self._root_id:
                        self._ledger.drop_label(item.info.identity, self._sid)
                except (OSError, SecurityDataError) as error:
                    self.failed(item.path, item.context, error)

    def _still_mine(self) -> None:
        row = self._ledger.grant(self._sid)
        # A start that came in between has made it "applying" again: what it has just granted must not be taken away.
        if row is None or row.state != ("kept denies" if self._allows_only else "removing"):
            raise AclError(
                "another process took over this grant while it was being forgotten.",
                remedy="Look at `grants`, and run it again if it is still there.",
                code="acl.taken-over",
            )

    def failed(self, path: str, context: Region, error: OSError | SecurityDataError) -> None:
        self._findings.error(path, error if isinstance(error, OSError) else OSError(str(error)))
