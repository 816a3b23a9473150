"""Security descriptors: self-relative binary form, SDDL, control bits.

Layout: MS-DTYP 2.4.6. A DACL that is *absent*, one that is *NULL* (both: everybody may do everything) and one that
is *empty* (nobody may) are three things: ``dacl`` is None for the first two, which SE_DACL_PRESENT in ``control``
tells apart, and an empty Acl for the third.

Written in one fixed order: header, owner, group, SACL, DACL, which is that of the fields in the header. Windows'
MakeSelfRelativeSD puts SACL and DACL in front of the owner; the offsets differ, the value is the same: Windows gives
the offsets no meaning. A descriptor that came in another order has the same parts afterwards, each byte for byte.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from . import sddl
from .acl import Acl, acl_at
from .errors import SecurityDataError, as_bytes
from .sid import Sid, sid_at

__all__ = [
    "DACL_AUTO_INHERITED",
    "DACL_AUTO_INHERIT_REQ",
    "DACL_DEFAULTED",
    "DACL_PRESENT",
    "DACL_PROTECTED",
    "GROUP_DEFAULTED",
    "OWNER_DEFAULTED",
    "RM_CONTROL_VALID",
    "SACL_AUTO_INHERITED",
    "SACL_AUTO_INHERIT_REQ",
    "SACL_DEFAULTED",
    "SACL_PRESENT",
    "SACL_PROTECTED",
    "SELF_RELATIVE",
    "SecurityDescriptor",
]

OWNER_DEFAULTED: Final = 0x0001
GROUP_DEFAULTED: Final = 0x0002
DACL_PRESENT: Final = 0x0004
DACL_DEFAULTED: Final = 0x0008
SACL_PRESENT: Final = 0x0010
SACL_DEFAULTED: Final = 0x0020
DACL_AUTO_INHERIT_REQ: Final = 0x0100
SACL_AUTO_INHERIT_REQ: Final = 0x0200
DACL_AUTO_INHERITED: Final = 0x0400
SACL_AUTO_INHERITED: Final = 0x0800
DACL_PROTECTED: Final = 0x1000
SACL_PROTECTED: Final = 0x2000
RM_CONTROL_VALID: Final = 0x4000
SELF_RELATIVE: Final = 0x8000

_HEADER: Final = struct.Struct("<BBHIIII")  # revision, sbz1, control, owner, group, SACL, DACL


class _Keep:
    """The default of replace(): leave the field as it is. None would mean: take it away."""


_KEEP: Final = _Keep()


@dataclass(frozen=True, slots=True, eq=False)
class SecurityDescriptor:
    """A security descriptor. Immutable; equal when the binary forms are equal.

    ``control`` always has SELF_RELATIVE, and DACL_PRESENT or SACL_PRESENT where that list is given: a descriptor with
    a list that Windows would ignore cannot be made.

    Attributes:
        owner, group: SIDs, or None.
        control: the SE_* control bits.
        dacl, sacl: the lists, or None (absent or NULL: see ``control``).
        rm_control: the resource manager's byte (Sbz1), carried unchanged.
    """

    owner: Sid | None = None
    group: Sid | None = None
    control: int = 0
    dacl: Acl | None = None
    sacl: Acl | None = None
    rm_control: int = 0

    def __post_init__(self) -> None:
        control = self.control | SELF_RELATIVE
        if self.dacl is not None:
            control |= DACL_PRESENT
        if self.sacl is not None:
            control |= SACL_PRESENT
        if not 0 <= control <= 0xFFFF:
            raise SecurityDataError(f"control bits {self.control:#x} do not fit in 16 bits")
        if not 0 <= self.rm_control <= 0xFF:
            raise SecurityDataError(f"resource manager control {self.rm_control:#x} does not fit in 8 bits")
        object.__setattr__(self, "control", control)
        for name in ("dacl", "sacl"):
            acl = getattr(self, name)
            if acl is not None and not isinstance(acl, Acl):
                object.__setattr__(self, name, Acl(acl))

    @classmethod
    def from_sddl(cls, text: str, domain: Sid | None = None) -> SecurityDescriptor:
        """Read SDDL. ``domain`` resolves names such as LA and DA (see :meth:`Sid.parse`).

        Raises:
            SecurityDataError: malformed, or a list of more than 64 KiB.
        """
        return cls(*sddl.parse_parts(text, domain))

    def to_sddl(self) -> str:
        """The SDDL text. Control bits that SDDL has no letters for are left out, as Windows does.

        Raises:
            SecurityDataError: an entry has no text here (see the docstring of ``sddl``).
        """
        return sddl.format_parts(sddl.Parts(self.owner, self.group, self.control, self.dacl, self.sacl))

    @classmethod
    def from_bytes(cls, data: bytes | bytearray | memoryview) -> SecurityDescriptor:
        """Read the self-relative binary form. Bytes that belong to no part are ignored, as Windows does.

        Raises:
            SecurityDataError: truncated, not self-relative, or a malformed part; the place is an offset in ``data``.
        """
        data = as_bytes(data)
        end = len(data)
        if end < 20:
            raise SecurityDataError(f"truncated security descriptor: {end} bytes, the header has 20")
        revision, rm_control, control, owner_at, group_at, sacl_at, dacl_at = _HEADER.unpack_from(data)
        if revision != 1:
            raise SecurityDataError(f"security descriptor revision {revision}, not 1", "offset 0")
        if not control & SELF_RELATIVE:
            raise SecurityDataError("not a self-relative security descriptor: its fields are pointers", "offset 2")
        for at in (owner_at, group_at, sacl_at, dacl_at):
            if at and not 20 <= at < end:
                raise SecurityDataError(f"offset {at} points outside of {end} bytes")
        try:
            part = "owner"
            owner = sid_at(data, owner_at, end) if owner_at else None
            part = "group"
            group = sid_at(data, group_at, end) if group_at else None
            part = "SACL"
            sacl = acl_at(data, sacl_at, end) if sacl_at and control & SACL_PRESENT else None
            part = "DACL"
            dacl = acl_at(data, dacl_at, end) if dacl_at and control & DACL_PRESENT else None
        except SecurityDataError as error:
            raise error.within(part) from None
        return cls(owner, group, control, dacl, sacl, rm_control)

    def to_bytes(self) -> bytes:
        """The self-relative binary form.

        Raises:
            SecurityDataError: a list is larger than 64 KiB, or a part has no binary form.
        """
        at = 20
        offsets = [0, 0, 0, 0]
        parts = [b""]
        for index, sid in enumerate((self.owner, self.group)):
            if sid is not None:
                offsets[index] = at
                parts.append(sid.raw)
                at += len(sid.raw)
        for index, acl in ((2, self.sacl), (3, self.dacl)):
            if acl is not None:
                try:
                    raw = acl.to_bytes()
                except SecurityDataError as error:
                    raise error.within("SACL" if index == 2 else "DACL") from None
                if at & 3:  # a SACL with odd slack before; lists are aligned to four bytes
                    parts.append(bytes(-at & 3))
                    at += -at & 3
                offsets[index] = at
                parts.append(raw)
                at += len(raw)
        parts[0] = _HEADER.pack(1, self.rm_control, self.control, *offsets)
        return b"".join(parts)

    def replace(
        self,
        *,
        owner: Sid | _Keep | None = _KEEP,
        group: Sid | _Keep | None = _KEEP,
        control: int | _Keep = _KEEP,
        dacl: Acl | _Keep | None = _KEEP,
        sacl: Acl | _Keep | None = _KEEP,
    ) -> SecurityDescriptor:
        """A copy with the given fields; the control bits stay unless given.

        A list set to None leaves its PRESENT bit: that makes a *NULL* list. Give ``control`` too for an absent one.
        """
        return SecurityDescriptor(
            self.owner if isinstance(owner, _Keep) else owner,
            self.group if isinstance(group, _Keep) else group,
            self.control if isinstance(control, _Keep) else control,
            self.dacl if isinstance(dacl, _Keep) else dacl,
            self.sacl if isinstance(sacl, _Keep) else sacl,
            self.rm_control,
        )

    def rewritten(self, *, dacl: Acl | None = None, sacl: Acl | None = None) -> SecurityDescriptor:
        """What to hand to a raw write so that the object has the new list and all its control bits as before.

        NTFS stores AUTO_INHERITED only if AUTO_INHERIT_REQ is written with it (smbtorture INHERITFLAGS on Windows
        2016), so that bit is added for each list that has it. A list given as None stays.

        Raises:
            SecurityDataError: a new DACL for an absent or NULL one. Everybody has all access to such an object, and
                any list would take that away: it is never turned into one.
        """
        if dacl is not None and self.dacl is None:
            raise SecurityDataError("the DACL is absent or NULL and is not turned into a list")
        control = self.control
        if control & DACL_AUTO_INHERITED:
            control |= DACL_AUTO_INHERIT_REQ
        if control & SACL_AUTO_INHERITED:
            control |= SACL_AUTO_INHERIT_REQ
        return self.replace(
            control=control,
            dacl=self.dacl if dacl is None else dacl,
            sacl=self.sacl if sacl is None else sacl,
        )

    def _key(self) -> tuple[object, ...]:
        return (
            self.owner,
            self.group,
            self.control,
            None if self.dacl is None else self.dacl.sameness,
            None if self.sacl is None else self.sacl.sameness,
            self.rm_control,
        )

    def __eq__(self, other: object) -> bool:
        return self._key() == other._key() if isinstance(other, SecurityDescriptor) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._key())
