"""Place one grant on one tree: what is done to each object.

Two of our processes and one object's DACL. A descriptor is read without any lock first, and if nothing has to be
written that is all. Else it is read again and written inside one ledger transaction, so no other process of ours can
write between the two. What may be written is decided there as well, from rows that others must have changed before:

* a Giver looks whether its grant is still to be applied: a forced ``forget`` first marks the row, so what it has taken
  away is not given again behind its back;
* a Taker (``_take``) looks which other grants share a protected place: a new grant enters its places before it looks at
  the disk, so a guard is either kept by the Taker, or gone before the new grant looks and so placed again (a guard that
  the ledger has as done is believed only for a place that this very grant had before, and then the Taker kept it);
* a guard counts as left over only while no lease names its logon session: leases are entered before the disk is read.

Other programs take part in none of this: an Explorer that rewrites the same DACL in the same millisecond can lose an
ACE of ours or its own, as with any two programs on Windows. The warm check finds ours missing on roots and places.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple

from . import _edits
from ._edits import Recipe, Role
from ._findings import Findings, ObjectError, closed, rights_remedy
from ._host import Entry, FileId, Host
from ._ledger import GrantRow, LabelRow, Ledger, PlaceRow
from ._security.ace import label
from ._security.descriptor import DACL_PROTECTED, SecurityDescriptor
from ._security.errors import SecurityDataError
from ._security.sid import Sid
from ._walk import EDIT, PLACEHOLDER, RELABEL, Item
from .errors import AclError

if TYPE_CHECKING:
    from ._security.token import Token

_CACHE: Final = 4096


class Where(NamedTuple):
    """The context of an object for a Giver.

    ``role``: what it is for our grant. ``sealed``: whether a protected DACL above keeps inheritance out. ``others``:
    the other grants in whose protected places it lies.
    """

    role: Role
    sealed: bool = False
    others: frozenset[Sid] = frozenset()


_NOBODY: Final[frozenset[Sid]] = frozenset()


class _Decision(NamedTuple):
    new: bytes | None
    sealed: bool
    null: bool
    protected: bool
    open_to: int


class Giver:
    """Places one grant on one tree, or (``guards_only``) this logon's guards in protected places that are denied.

    ``again``: the tree was complete once. What lies inside protected places is then written only where it is open:
    another policy's entries between ours, or an object with a list of its own, are no reason.

    ``neighbours``: protected places of other grants, with their SIDs. Our writes renew the change times in them, so
    each object there is checked for those grants too, as it is when we leave it: where :meth:`checked` is true
    afterwards, they need not look again.
    """

    def __init__(
        self,
        host: Host,
        ledger: Ledger,
        recipe: Recipe,
        roles: dict[FileId, Role],
        token: Token,
        findings: Findings,
        *,
        guards_only: bool = False,
        again: bool = False,
        neighbours: Mapping[FileId, frozenset[Sid]] | None = None,
    ) -> None:
        self.access = RELABEL if recipe.low and not guards_only else EDIT
        self.visited: set[FileId] = set()
        self._files = host.files
        self._ledger = ledger
        self._recipe = recipe
        self._roles = roles
        self._token = token
        self._findings = findings
        self._guards_only = guards_only
        self._again = again
        self._labels = recipe.low and not guards_only
        self._neighbours = neighbours or {}
        self._doubtful: set[Sid] = set()
        self._passed: set[tuple[bytes, bool, frozenset[Sid]]] = set()
        self._cache: dict[tuple[bytes, Role, bool, bool, bool, bool, frozenset[Sid]], _Decision] = {}
        self._stale = stale_logons(ledger, recipe.logon)
        self._lock = threading.Lock()

    def start(self, identity: FileId, role: Role) -> Where:
        """The context of the top of a walk."""
        return Where(role, False, self._neighbours.get(identity, _NOBODY))

    def checked(self, place: PlaceRow) -> bool:
        """Whether the walk saw all of this place and found nothing that is open to its grant."""
        return place.object in self.visited and place.sid not in self._doubtful

    def place(self, above: Where, entry: Entry, path: str) -> Where | None:
        others = above.others | self._neighbours.get(entry.identity, _NOBODY) if self._neighbours else _NOBODY
        role = self._role(above, entry, path)
        if role is None:
            self._doubtful |= others
            return None
        return Where(role, above.sealed and role != "protected", others)

    def _role(self, above: Where, entry: Entry, path: str) -> Role | None:
        """What an entry is for our grant; None: it is left as it is."""
        if above.role in ("protected", "inside"):
            role: Role = "inside"
        else:
            role = self._roles.get(entry.identity, "plain")
            if role == "plain" and above.role != "root" and entry.name.upper() == ".GIT":
                self._findings.nested.add(path)
        strict = role in ("protected", "inside")
        if self._guards_only and (entry.reparse or not entry.directory):
            return None
        if entry.reparse and not strict:
            self._findings.links.add(path)
            return None
        if entry.attributes & PLACEHOLDER:
            if strict:
                raise closed(
                    path,
                    "its content is not on this machine (a cloud placeholder), so it cannot be denied safely",
                    remedy="Choose 'Always keep on this device' for it, or move the workspace elsewhere.",
                )
            self._findings.placeholders.add(path)
            return None
        return role

    def look(self, item: Item) -> bool:
        where: Where = item.context
        findings = self._findings
        findings.objects += 1
        strict = where.role in ("protected", "inside")
        if where.role in ("protected", "between") or item.info.identity in self._neighbours:
            self.visited.add(item.info.identity)
        directory = item.info.directory
        shared = not directory and item.info.links > 1
        if shared and not strict:
            # Its other names may lie outside: a grant would reach them too. It stays unwritable, and is listed.
            findings.hard_links.add(item.path)
            self._doubtful |= where.others
            return False
        raw = self._files.security(item.handle)
        decision = self._decide(raw, where, directory, shared and where.role == "inside", item.unlabelled is None)
        if decision.null:
            if strict:
                raise closed(
                    item.path,
                    "it has no access control list (a NULL DACL), so everyone may change it",
                    remedy=f'Give it a list:  icacls "{item.path}" /reset',
                )
            if where.role == "root":
                raise AclError(
                    f"{item.path} has no access control list (a NULL DACL); making one would shut everybody else out.",
                    path=item.path,
                    remedy=f'Give it one:  icacls "{item.path}" /reset',
                    code="acl.null-dacl",
                )
            findings.null_dacls.add(item.path)
        elif decision.protected and where.role in ("plain", "between", "inside"):
            findings.protected_dacls.add(item.path)
        if strict and decision.open_to:
            raise closed(item.path, f"a deny entry does not close it (access 0x{decision.open_to:x} stays granted)")
        item.below = Where("inside" if strict else where.role, decision.sealed, where.others)
        changes = decision.new is not None
        if self._labels and not decision.null and not (decision.sealed and where.role not in ("root", "protected")):
            if item.unlabelled is None:
                changes = True
            elif where.role == "protected":
                remedy = rights_remedy(item.path, label=True)
                raise closed(item.path, "its integrity label cannot be written", item.unlabelled, remedy)
            else:
                # Without a label it is Medium: not writable for a Low child, which is safe.
                findings.error(item.path, item.unlabelled, label=True)
        changes = changes and self._writable(item, strict, decision)
        if not changes:
            self._check_for_others(raw, where, directory)
        return changes

    def _check_for_others(self, raw: bytes, where: Where, directory: bool) -> None:
        """Whether an object, as we leave it, is closed to the other grants in whose protected places it lies."""
        key = (raw, directory, where.others)
        if not where.others or key in self._passed:
            return
        old = SecurityDescriptor.from_bytes(raw)
        for sid in where.others - self._doubtful:
            # Guarded, whatever that grant asks: at worst it looks again.
            if old.dacl is None or _edits.open_bits(old, self._token, sid, directory=directory, guarded=True):
                self._doubtful.add(sid)
        if not where.others & self._doubtful and len(self._passed) < _CACHE:
            self._passed.add(key)

    def _writable(self, item: Item, strict: bool, decision: _Decision) -> bool:
        if item.refused is None:
            return True
        if strict:
            # Without WRITE_DAC it cannot be denied. If it is not writable for the child as it is, that is enough.
            where: Where = item.context
            old = SecurityDescriptor.from_bytes(self._files.security(item.handle))
            bits = self._open(old, item.info.directory)
            if where.role == "protected" or bits:
                raise closed(item.path, "it cannot be denied", item.refused)
        if decision.new is not None:
            self._findings.error(item.path, item.refused)
        return False

    def _decide(self, raw: bytes, where: Where, directory: bool, check_only: bool, labels: bool = True) -> _Decision:
        key = (raw, where.role, where.sealed, directory, check_only, labels, self._stale)
        found = self._cache.get(key)
        if found is None:
            found = self._decided(raw, where, directory, check_only, None, labels)
            with self._lock:
                # A tree has few different descriptors; one that has many must not fill the memory.
                if len(self._cache) >= _CACHE:
                    self._cache.clear()
                self._cache[key] = found
        return found

    def _decided(
        self, raw: bytes, where: Where, directory: bool, check_only: bool, level: int | None, labels: bool = True
    ) -> _Decision:
        role = where.role
        old = SecurityDescriptor.from_bytes(raw)
        protected = bool(old.control & DACL_PROTECTED)
        sealed = where.sealed or (protected and role not in ("root", "protected"))
        if old.dacl is None:
            return _Decision(None, sealed, True, False, 0)
        if self._guards_only:
            wanted = _edits.guard_only(self._recipe, role)
            if sealed and role == "inside":
                wanted = _edits.Want(wanted.sid, (), False, None)
        else:
            wanted = _edits.want(self._recipe, role, directory, sealed)
            if self._again and role == "inside" and not self._open(old, directory):
                wanted = _edits.Want(wanted.sid, (), False, wanted.label)
        if not labels:
            wanted = replace(wanted, label=None)
        elif wanted.label is not None and level is not None:
            wanted = replace(wanted, label=label(level, flags=wanted.label.flags))
        new = None if check_only else _edits.give(old, wanted, self._stale)
        bits = 0
        if role in ("protected", "inside"):
            now = new or old
            bits = self._open(now, directory)
            if bits:
                # Something explicit, or moved in, still grants a write: an explicit deny goes in front of it.
                new = _edits.give(now, _edits.explicit(self._recipe, directory, bits)) or now
                bits = self._open(new, directory)
        return _Decision(None if new is None else new.to_bytes(), sealed, False, protected, bits)

    def _open(self, descriptor: SecurityDescriptor, directory: bool) -> int:
        guarded = self._recipe.logon is not None
        return _edits.open_bits(descriptor, self._token, self._recipe.sid, directory=directory, guarded=guarded)

    def write(self, items: list[Item]) -> None:
        if self._labels:
            self._note_labels(items)
        with self._ledger.transaction():
            self._still_wanted()
            self._stale = stale_logons(self._ledger, self._recipe.logon)
            for item in items:
                try:
                    self._write(item)
                except OSError as error:
                    if isinstance(error, AclError):
                        raise
                    self.failed(item.path, item.context, error)
                except SecurityDataError as error:
                    self._full(item, error)

    def _full(self, item: Item, error: SecurityDataError) -> None:
        if item.context.role in ("protected", "inside", "root"):
            raise closed(item.path, f"its access control list has no room for our entries ({error})") from error
        self._doubtful |= item.context.others
        self._findings.errors.add(ObjectError(item.path, 1344, "Its access control list is full; tidy it up."))

    def _write(self, item: Item) -> None:
        where: Where = item.context
        directory = item.info.directory
        shared = not directory and item.info.links > 1 and where.role == "inside"
        raw = self._files.security(item.handle)
        labels = self._labels and item.unlabelled is None
        if labels:
            level = max((row.level for row in self._ledger.labels(item.info.identity)), default=None)
            decision = self._decided(raw, where, directory, shared, level)
        else:
            decision = self._decide(raw, where, directory, shared, item.unlabelled is None)
        if decision.open_to:
            raise closed(item.path, f"a deny entry does not close it (access 0x{decision.open_to:x} stays granted)")
        self._check_for_others(decision.new or raw, where, directory)
        if decision.new is None:
            return
        self._files.set_security(item.handle, decision.new, dacl=True, label=labels)
        self._findings.written += 1
        self._findings.touched.add(item.path)

    def _note_labels(self, items: list[Item]) -> None:
        """Enter the labels that are there before ours. A transaction of its own: it must be certain before the write.

        Only a process of ours could change a label between the two, and that one enters a row here too, with the same
        prior label, because it finds this row.
        """
        sid = str(self._recipe.sid)
        with self._ledger.transaction():
            root = self._ledger.labels(self._still_wanted().object)
            # What was made below a root that we had labelled before, and it had no label to hand down, got its label
            # from ours: it is not the user's, and is not put back.
            ours = bool(root) and not any(_edits.passes_on(row.prior) for row in root)
            for item in items:
                if item.unlabelled is not None:
                    continue
                where: Where = item.context
                rows = self._ledger.labels(item.info.identity)
                if any(row.sid == sid for row in rows):
                    continue
                old = SecurityDescriptor.from_bytes(self._files.security(item.handle))
                sealed = where.sealed or (
                    bool(old.control & DACL_PROTECTED) and where.role not in ("root", "protected")
                )
                wanted = _edits.want(self._recipe, where.role, item.info.directory, sealed).label
                if wanted is None or wanted.sid is None or old.dacl is None:
                    continue
                copied = ours and _edits.is_session_label(old, item.info.directory)
                prior = rows[0].prior if rows else _edits.NO_LABEL if copied else _edits.pack_label(old)
                level = wanted.sid.subauthorities[-1]
                self._ledger.put_label(LabelRow(item.info.identity, sid, item.path, prior, level))

    def _still_wanted(self) -> GrantRow:
        row = self._ledger.grant(self._recipe.sid)
        if row is None or row.state not in ("applying", "complete"):
            raise AclError(
                "the grant was forgotten by another process while it was being applied.",
                remedy="Start the sandbox again.",
                code="acl.forgotten",
            )
        return row

    def failed(self, path: str, context: Where, error: OSError) -> None:
        if context.role in ("protected", "inside", "root"):
            raise closed(path, f"it cannot be denied ({error})", error) from error
        self._doubtful |= context.others
        self._findings.error(path, error)


def stale_logons(ledger: Ledger, mine: Sid | None) -> frozenset[Sid]:
    """The logon sessions that guards were placed for and that no running sandbox belongs to."""
    if mine is None:
        return frozenset()
    live = {lease.logon for lease in ledger.leases()} | {str(mine)}
    return frozenset(Sid.parse(logon) for logon in ledger.logons() if logon not in live)
