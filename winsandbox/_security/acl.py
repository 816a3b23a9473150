"""Access control lists: a tuple of entries that keeps its revision and every byte it was read from.

Layout: MS-DTYP 2.4.5 (8-byte header; size and count are 16 bits each). Canonical order: Microsoft Learn, "Order of
ACEs in a DACL": explicit entries before inherited ones, in each block denies before allows. Windows itself never
asks for that order: the access check takes the entries as they stand.

The edits add or remove exactly the entries given and leave every other entry, the revision and any slack behind the
last entry as they are: a DACL that somebody else ordered oddly stays ordered oddly. Places of added entries:

* explicit deny: index 0;
* explicit allow: just before the first inherited entry, else last;
* inherited deny, then inherited allow: just before the first inherited entry, else last, so that they open that block.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterable
from functools import cached_property
from typing import Any, Final, Literal, NoReturn

from .ace import (
    ALLOW,
    ALLOW_TYPES,
    DENY,
    DENY_TYPES,
    INHERIT_ONLY,
    INHERITED,
    LABEL,
    OBJECT_TYPES,
    SIMPLE_TYPES,
    Ace,
    decode,
)
from .errors import SecurityDataError, as_bytes
from .sid import LABEL_AUTHORITY, OWNER_RIGHTS, Sid

__all__ = ["MAX_ACL_SIZE", "REVISION", "REVISION_DS", "Acl", "add", "is_canonical", "present", "remove"]

REVISION: Final = 2
REVISION_DS: Final = 4  # needed as soon as an object entry is in the list
MAX_ACL_SIZE: Final = 0xFFFF  # AclSize is 16 bits. Entries are multiples of four; only slack can bring it above 0xFFFC

Step = tuple[int, bytes, bool, int]
"""What the access check needs of one entry: mask, binary SID, whether it denies, its number in the list."""

_ACE: Final = struct.Struct("<BBHI")  # type, flags, size, mask
_HEADER: Final = struct.Struct("<BBHHH")  # revision, sbz1, size, count, sbz2


class Acl(tuple[Ace, ...]):
    """A list of entries. Immutable, its attributes too; equal to any tuple of the same entries.

    Attributes:
        revision: AclRevision, 2 to 4; None at construction means what the entries need.
        reserved: the bytes Sbz1 and Sbz2 as numbers, carried unchanged.
        slack: bytes between the last entry and AclSize, carried unchanged.
    """

    revision: int
    reserved: tuple[int, int]
    slack: bytes

    def __new__(
        cls,
        aces: Iterable[Ace] = (),
        *,
        revision: int | None = None,
        reserved: tuple[int, int] = (0, 0),
        slack: bytes = b"",
    ) -> Acl:
        self = super().__new__(cls, aces)
        if revision is None:
            revision = REVISION_DS if any(ace[0] in OBJECT_TYPES for ace in self) else REVISION
        elif not 2 <= revision <= 4:
            raise SecurityDataError(f"ACL revision {revision}, not 2 to 4")
        fields = self.__dict__  # past __setattr__, which refuses
        fields["revision"] = revision
        fields["reserved"] = reserved
        fields["slack"] = slack
        return self

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"an Acl is immutable: {name} cannot be set")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"an Acl is immutable: {name} cannot be deleted")

    @classmethod
    def from_bytes(cls, data: bytes | bytearray | memoryview) -> Acl:
        """Read one list; the whole of ``data`` must be it.

        Raises:
            SecurityDataError: it is not.
        """
        data = as_bytes(data)
        acl = acl_at(data, 0, len(data))
        size = struct.unpack_from("<H", data, 2)[0]
        if size != len(data):
            raise SecurityDataError(f"{len(data) - size} bytes follow the ACL", f"offset {size}")
        return acl

    def to_bytes(self) -> bytes:
        """The binary form.

        Raises:
            SecurityDataError: larger than 64 KiB, or an entry has no binary form.
        """
        body = b"".join(self._packed())
        size = 8 + len(body) + len(self.slack)
        if size > MAX_ACL_SIZE:
            raise too_large(size, len(self))
        if not (0 <= self.reserved[0] <= 0xFF and 0 <= self.reserved[1] <= 0xFFFF):
            raise SecurityDataError(f"reserved fields {self.reserved} do not fit")
        return _HEADER.pack(self.revision, self.reserved[0], size, len(self), self.reserved[1]) + body + self.slack

    def _packed(self) -> list[bytes]:
        parts: list[bytes] = []
        append, pack = parts.append, _ACE.pack
        for kind, flags, mask, sid, data, part in self:
            if data or sid is None or part is not None or kind not in SIMPLE_TYPES:
                append(Ace(kind, flags, mask, sid, data, part).to_bytes())
            else:
                raw = sid.raw
                append(pack(kind, flags, 8 + len(raw), mask))
                append(raw)
        return parts

    @property
    def size(self) -> int:
        """Bytes in the binary form."""
        return 8 + sum(ace.size for ace in self) + len(self.slack)

    def with_aces(self, aces: Iterable[Ace]) -> Acl:
        """Other entries under the same revision, reserved fields and slack.

        Raises:
            SecurityDataError: the list would not fit in 64 KiB, so that no such descriptor can be written.
        """
        acl = Acl(aces, revision=self.revision, reserved=self.reserved, slack=self.slack)
        if acl.size > MAX_ACL_SIZE:
            raise too_large(acl.size, len(acl))
        return acl

    @property
    def sameness(self) -> tuple[object, ...]:
        """What has to be equal for two lists to have the same bytes; ``==`` compares the entries alone."""
        return (self.revision, self.reserved, self.slack, tuple(self))

    @cached_property
    def strict_steps(self) -> tuple[Step, ...]:
        """What one pass of the access check looks at, for the question "will this surely be granted?".

        Inherit-only entries and types other than allow and deny are left out (MS-DTYP 2.5.3.2). No condition is
        evaluated and no object-type list given, so conditional and object entries only deny. Made once: one list is
        checked for many tokens and masks.
        """
        return self._steps(allows=(ALLOW,), denies=DENY_TYPES)

    @cached_property
    def generous_steps(self) -> tuple[Step, ...]:
        """The same for "might this be granted?": conditional and object entries only allow."""
        return self._steps(allows=ALLOW_TYPES, denies=(DENY,))

    def _steps(self, *, allows: Collection[int], denies: Collection[int]) -> tuple[Step, ...]:
        return tuple(
            (ace.mask, ace.sid.raw, ace.type in denies, index)
            for index, ace in enumerate(self)
            if ace.sid is not None and not ace.flags & INHERIT_ONLY and (ace.type in allows or ace.type in denies)
        )

    @cached_property
    def owner_rights(self) -> Literal["none", "uncertain", "certain"]:
        """Whether an entry that is not inherit-only names OWNER RIGHTS (S-1-3-4).

        "certain" if one does that plainly allows or denies; "uncertain" if it is conditional, for an object type, or
        of any other type, where nobody says whether the owner's implicit rights are lost by it.
        """
        found: Literal["none", "uncertain"] = "none"
        for ace in self:
            if ace.sid == OWNER_RIGHTS and not ace.flags & INHERIT_ONLY:
                if ace.type in (ALLOW, DENY):
                    return "certain"
                found = "uncertain"
        return found

    @cached_property
    def integrity_label(self) -> tuple[int, int] | None:
        """(level, policy) of the first mandatory label that is not inherit-only; None if there is none."""
        for ace in self:
            sid = ace.sid
            if ace.type == LABEL and not ace.flags & INHERIT_ONLY and sid is not None:
                levels = sid.subauthorities
                if sid.authority == LABEL_AUTHORITY and levels:
                    return levels[-1], ace.mask
        return None

    # Slices and sums are plain tuples of entries: they have no revision of their own.
    def __repr__(self) -> str:
        return f"Acl({tuple(self)!r}, revision={self.revision})"

    def __reduce__(self) -> tuple[object, tuple[Any, ...]]:
        return (_rebuilt, (tuple(self), self.revision, self.reserved, self.slack))


def too_large(size: int, count: int) -> SecurityDataError:
    """The error for a list that AclSize cannot express."""
    return SecurityDataError(f"an ACL of {size} bytes in {count} ACEs; the limit is {MAX_ACL_SIZE} bytes")


def _rebuilt(aces: tuple[Ace, ...], revision: int, reserved: tuple[int, int], slack: bytes) -> Acl:
    return Acl(aces, revision=revision, reserved=reserved, slack=slack)


def acl_at(data: bytes, offset: int, end: int) -> Acl:
    """The list that begins at ``offset`` and must end at or before ``end``.

    Raises:
        SecurityDataError: malformed; the place is the entry's number and the offset in ``data``.
    """
    if end - offset < 8:
        raise SecurityDataError("truncated ACL: fewer than 8 bytes", f"offset {offset}")
    revision, sbz1, size, count, sbz2 = _HEADER.unpack_from(data, offset)
    if not 2 <= revision <= 4:
        raise SecurityDataError(f"ACL revision {revision}, not 2 to 4", f"offset {offset}")
    if size < 8 or offset + size > end:
        raise SecurityDataError(f"AclSize {size} does not fit in {end - offset} bytes", f"offset {offset}")
    stop = offset + size
    at = offset + 8
    aces: list[Ace] = []
    for index in range(count):
        if stop - at < 4:
            raise SecurityDataError(f"truncated ACL: {count} ACEs announced", f"ACE {index}, offset {at}")
        ace_size = data[at + 2] | data[at + 3] << 8
        if ace_size < 4 or ace_size & 3 or at + ace_size > stop:
            raise SecurityDataError(f"AceSize {ace_size} is impossible here", f"ACE {index}, offset {at}")
        try:
            aces.append(decode(data[at : at + ace_size]))
        except SecurityDataError as error:
            raise error.within(f"ACE {index} at offset {at}") from None
        at += ace_size
    return Acl(aces, revision=revision, reserved=(sbz1, sbz2), slack=data[at:stop])


def _first_inherited(acl: Acl) -> int:
    for index, ace in enumerate(acl):
        if ace.flags & INHERITED:
            return index
    return len(acl)


def is_canonical(acl: Acl) -> bool:
    """Whether explicit entries precede inherited ones and explicit denies precede explicit allows.

    The order among inherited entries is not looked at: it depends on which ancestor each came from, which the list
    does not say. Entries that are neither allow nor deny may stand anywhere in their block.
    """
    block = 0  # 0 explicit denies, 1 explicit allows, 2 inherited
    for ace in acl:
        if ace.flags & INHERITED:
            block = 2
        elif ace.type in DENY_TYPES:
            if block > 0:
                return False
        elif ace.type in ALLOW_TYPES:
            if block > 1:
                return False
            block = 1
        elif block > 1:
            return False
    return True


def _in_place(acl: Acl, index: int) -> bool:
    """Whether the entry stands where its effect is the one that add() would give it.

    Explicit: in front of the first inherited entry; inherited: behind no explicit allow or deny that would come
    first anyway. A deny moreover behind no allow of its block that matters: one that it was meant to precede.
    """
    ace = acl[index]
    inherited = ace.flags & INHERITED
    if not inherited and index > _first_inherited(acl):
        return False
    if ace.type not in DENY_TYPES:
        return True
    return not any(other.type in ALLOW_TYPES and other.flags & INHERITED == inherited for other in acl[:index])


def present(acl: Acl, ace: Ace) -> bool:
    """Whether exactly this entry (type, flags, mask, SID, data) stands in the list, at a place where it has the
    effect that :func:`add` would give it: so that writing it again would change nothing.
    """
    return any(other == ace and _in_place(acl, index) for index, other in enumerate(acl))


def add(acl: Acl, aces: Iterable[Ace]) -> Acl:
    """The list with ``aces`` added at the places that the module's docstring names, in the order given.

    What is in the list already is added again: ask :func:`present` first, or :func:`remove` ours and add them anew.

    Raises:
        SecurityDataError: the list would not fit in 64 KiB; an entry that neither allows nor denies.
    """
    groups: tuple[list[Ace], list[Ace], list[Ace], list[Ace]] = ([], [], [], [])
    for ace in aces:
        if ace.type not in ALLOW_TYPES and ace.type not in DENY_TYPES:
            raise SecurityDataError(f"an ACE of type {ace.type:#x} has no place in the order of a DACL")
        groups[(2 if ace.flags & INHERITED else 0) + (ace.type in ALLOW_TYPES)].append(ace)
    denies, allows, inherited_denies, inherited_allows = groups
    if not (denies or allows or inherited_denies or inherited_allows):
        return acl
    at = _first_inherited(acl)
    return acl.with_aces((*denies, *acl[:at], *allows, *inherited_denies, *inherited_allows, *acl[at:]))


def remove(acl: Acl, sids: Collection[Sid], *, inherited: bool | None = None) -> Acl:
    """The list without the entries for ``sids``; the same object if there are none.

    Args:
        sids: the trustees, preferably a set.
        inherited: True removes only entries with INHERITED_ACE, False only those without, None both.
    """
    sids = frozenset(sids)  # an iterator would be used up by the first `in`
    kept = [
        ace
        for ace in acl
        if ace.sid is None
        or ace.sid not in sids
        or (inherited is not None and bool(ace.flags & INHERITED) is not inherited)
    ]
    return acl if len(kept) == len(acl) else acl.with_aces(kept)
