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
from typing import TYPE_CHECKING, Final, NamedTuple

from . import _edits
from ._edits import Recipe, Role
from ._findings import Findings, ObjectError, closed
from ._host import Entry, FileId, Host
from ._ledger import GrantRow, LabelRow, Ledger
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
    """The context of an object for a Giver: its role, and whether a protected DACL above keeps inheritance out."""

    role: Role
    sealed: bool


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
        self._cache: dict[tuple[bytes, Role, bool, bool, bool, frozenset[Sid]], _Decision] = {}
        self._stale = stale_logons(ledger, recipe.logon)
        self._lock = threading.Lock()

    def place(self, above: Where, entry: Entry, path: str) -> Where | None:
        if above.role in ("protected", "inside"):
            role: Role = "inside"
        else:
            role = self._roles.get(entry.identity, "plain")
            if role == "plain" and above.role != "root" and entry.name.upper() == ".GIT":
                self._findings.nested.add(path)
        strict = role in ("protected", "inside")
        if self._guards_only and (entry.reparse or not entry.directory):
            return None
        if entry.reparse and role != "protected" and not strict:
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
        return Where(role, above.sealed and role != "protected")

    def look(self, item: Item) -> bool:
        where: Where = item.context
        findings = self._findings
        findings.objects += 1
        strict = where.role in ("protected", "inside")
        if where.role in ("protected", "between"):
            self.visited.add(item.info.identity)
        directory = item.info.directory
        shared = not directory and item.info.links > 1
        if shared and not strict:
            # Its other names may lie outside: a grant would reach them too. It stays unwritable, and is listed.
            findings.hard_links.add(item.path)
            return False
        decision = self._decide(self._files.security(item.handle), where, directory, shared and where.role == "inside")
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
        item.below = Where("inside" if strict else where.role, decision.sealed)
        if self._labels and not decision.null and not (decision.sealed and where.role not in ("root", "protected")):
            return self._writable(item, strict, decision)
        return decision.new is not None and self._writable(item, strict, decision)

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

    def _decide(self, raw: bytes, where: Where, directory: bool, check_only: bool) -> _Decision:
        key = (raw, where.role, where.sealed, directory, check_only, self._stale)
        found = self._cache.get(key)
        if found is None:
            found = self._decided(raw, where, directory, check_only, None)
            with self._lock:
                # A tree has few different descriptors; one that has many must not fill the memory.
                if len(self._cache) >= _CACHE:
                    self._cache.clear()
                self._cache[key] = found
        return found

    def _decided(self, raw: bytes, where: Where, directory: bool, check_only: bool, level: int | None) -> _Decision:
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
        if wanted.label is not None and level is not None:
            wanted = _edits.Want(wanted.sid, wanted.aces, wanted.exact, label(level, flags=wanted.label.flags))
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
        return _edits.open_bits(descriptor, self._token, directory=directory, guarded=guarded)

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
        self._findings.errors.add(ObjectError(item.path, 1344, "Its access control list is full; tidy it up."))

    def _write(self, item: Item) -> None:
        where: Where = item.context
        directory = item.info.directory
        shared = not directory and item.info.links > 1 and where.role == "inside"
        raw = self._files.security(item.handle)
        if self._labels:
            level = max((row.level for row in self._ledger.labels(item.info.identity)), default=None)
            decision = self._decided(raw, where, directory, shared, level)
        else:
            decision = self._decide(raw, where, directory, shared)
        if decision.open_to:
            raise closed(item.path, f"a deny entry does not close it (access 0x{decision.open_to:x} stays granted)")
        if decision.new is None:
            return
        self._files.set_security(item.handle, decision.new, dacl=True, label=self._labels)
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
        self._findings.error(path, error)


def stale_logons(ledger: Ledger, mine: Sid | None) -> frozenset[Sid]:
    """The logon sessions that guards were placed for and that no running sandbox belongs to."""
    if mine is None:
        return frozenset()
    live = {lease.logon for lease in ledger.leases()} | {str(mine)}
    return frozenset(Sid.parse(logon) for logon in ledger.logons() if logon not in live)
