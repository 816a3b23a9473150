"""Find our entries on disk without any record: every SID of ours carries the tag of ``_plan.SID_TAG``. Reads only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from . import _edits
from ._findings import ObjectError, remedy_for
from ._host import ATTRIBUTE_RECALL_ON_OPEN, Entry, FileId, Host, ProcessId
from ._ledger import GrantRow, Kind, PlaceRow
from ._plan import is_tagged
from ._security.ace import ALLOW, DENY, INHERITED, Ace
from ._security.descriptor import DACL_PROTECTED, SecurityDescriptor
from ._security.mask import FILE_DELETE_CHILD, FILE_LIST_DIRECTORY
from ._security.sid import Sid
from ._security.token import MEDIUM
from ._take import NOT_ENTERED, NOT_HERE, REPARSE_POINT_ENCOUNTERED, hides
from ._walk import LOOK, Counter, Item, Listing, Walk
from .errors import AclError

_TOPS: Final = 2000


class Finding(NamedTuple):
    """An object with explicit entries of ours, or with a SID of ours that its parent has not."""

    path: str
    identity: FileId
    directory: bool
    link: bool
    sids: tuple[str, ...]
    root_of: tuple[str, ...]
    protected_for: tuple[str, ...]
    between_for: tuple[str, ...]
    labelled: bool


class _Context(NamedTuple):
    """Where an object lies: the SIDs of ours on its parent, and the known protected place around it."""

    sids: frozenset[str]
    place: PlaceRow | None


@dataclass(slots=True)
class Scan:
    """What was found below ``path``; also the walk's visitor."""

    host: Host
    path: str
    known: Mapping[FileId, PlaceRow]
    max_objects: int | None
    objects: int = 0
    marked: int = 0
    complete: bool = True
    cut: AclError | None = None  # the limit that ended it
    found: list[Finding] = field(default_factory=list)
    _listed: set[str] = field(default_factory=set)  # the SIDs of `found`
    sids: set[str] = field(default_factory=set)
    logons: set[str] = field(default_factory=set)
    uncovered: Listing = field(default_factory=Listing)
    errors: Listing = field(default_factory=Listing)
    access: int = LOOK

    def place(self, above: _Context, entry: Entry, path: str) -> _Context | None:
        if self.max_objects is not None and self.objects >= self.max_objects:
            raise AclError(f"more than {self.max_objects} objects.", path=path, code="acl.limit")
        if entry.attributes & ATTRIBUTE_RECALL_ON_OPEN:
            self.errors.add(ObjectError(path, REPARSE_POINT_ENCOUNTERED, NOT_HERE))
            return None
        return _Context(above.sids, above.place or self.known.get(entry.identity))

    def look(self, item: Item) -> bool:
        self.objects += 1
        if hides(item):
            self.errors.add(ObjectError(item.path, REPARSE_POINT_ENCOUNTERED, NOT_ENTERED))
        context: _Context = item.context
        old = SecurityDescriptor.from_bytes(self.host.files.security(item.handle))
        ours = [ace for ace in old.dacl or () if ace.sid is not None and is_tagged(ace.sid)]
        sids = frozenset(str(ace.sid) for ace in ours)
        item.below = _Context(sids, context.place)
        place = context.place
        denied = place is not None and any(ace.type == DENY and ace.sid == place.sid for ace in ours)
        if place is not None and not denied and not old.control & DACL_PROTECTED:
            self.uncovered.add(item.path)
        if not ours:
            return False
        self.marked += 1
        self.sids |= sids
        for ace in old.dacl or ():
            if _is_guard(ace):
                self.logons.add(str(ace.sid))
        if any(not ace.flags & INHERITED for ace in ours) or not sids <= context.sids:
            # Bounded, but never without one object of each grant: a rebuild lists the grants by these.
            if len(self.found) >= _TOPS and sids <= self._listed:
                self.complete = False
            else:
                self._listed |= sids
                self.found.append(_finding(item, old, ours))
        return False

    def write(self, items: list[Item]) -> None:
        """Nothing: look never asks for it."""

    def failed(self, path: str, context: Any, error: OSError) -> None:
        code = int(getattr(error, "winerror", 0) or 0)
        self.errors.add(ObjectError(path, code, remedy_for(path, code)))

    def tops(self, roots: Mapping[str, str]) -> Iterable[Finding]:
        """What a reader wants to see: roots and places of unknown grants, and whatever strayed; else just the roots."""
        for finding in self.found:
            if finding.root_of or finding.protected_for or not finding.between_for:
                yield finding

    def grants(self, host: Host) -> list[GrantRow]:
        """A ledger row for each SID that was found: at its root, or else at the first object that has it."""
        now = host.processes.time()
        tops: dict[str, Finding] = {}
        for finding in self.found:
            for sid in finding.sids:
                if sid not in tops or (sid in finding.root_of and sid not in tops[sid].root_of):
                    tops[sid] = finding
        return [
            GrantRow(
                Sid.parse(sid),
                finding.identity,
                finding.path,
                (),
                "applying",
                "forever",
                finding.labelled,
                0,
                0,
                now,
                now,
                ProcessId(0, 0),
            )
            for sid, finding in sorted(tops.items())
        ]

    def places(self, sid: Sid) -> list[PlaceRow]:
        """The protected places and directories between that were found for one SID."""
        text = str(sid)
        rows = []
        for finding in self.found:
            kind: Kind
            if text in finding.protected_for:
                kind = "protected"
            elif text in finding.between_for:
                kind = "between"
            else:
                continue
            rows.append(PlaceRow(sid, finding.identity, kind, finding.path, finding.directory, finding.link, False))
        return rows


def _is_guard(ace: Ace) -> bool:
    return (
        ace.type == DENY
        and ace.mask == FILE_DELETE_CHILD
        and ace.sid is not None
        and ace.sid.authority == 5
        and ace.sid.subauthorities[:1] == (5,)
        and len(ace.sid.subauthorities) == 3
    )


def _finding(item: Item, old: SecurityDescriptor, ours: list[Ace]) -> Finding:
    explicit = [ace for ace in ours if not ace.flags & INHERITED]

    def of(kind: int, mask: int) -> tuple[str, ...]:
        return tuple(sorted({str(ace.sid) for ace in explicit if ace.type == kind and ace.mask == mask}))

    return Finding(
        item.path,
        item.info.identity,
        item.info.directory,
        item.info.reparse,
        tuple(sorted({str(ace.sid) for ace in ours})),
        of(ALLOW, _edits.ROOT_MASK),
        of(DENY, _edits.DENY_MASK),
        of(DENY, _edits.BETWEEN_MASK),
        _edits.level_of(old) < MEDIUM,
    )


def scan_tree(host: Host, path: str, places: Iterable[PlaceRow], counter: Counter, *, max_objects: int | None) -> Scan:
    """Look at everything below `path`. Limits end it early with ``complete`` False; a cancellation raises."""
    known = {place.object: place for place in places if place.kind == "protected"}
    handle = host.files.open(path, LOOK | FILE_LIST_DIRECTORY)
    info = host.files.info(handle)
    result = Scan(host, host.files.final_path(handle), known, max_objects)
    try:
        Walk(host, result, counter).run(handle, result.path, _Context(frozenset(), known.get(info.identity)))
    except AclError as error:
        if error.code not in ("acl.limit", "acl.time-limit"):
            raise
        result.complete, result.cut = False, error
    return result
