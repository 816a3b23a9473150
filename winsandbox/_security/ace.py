"""One access control entry, of any type.

Layout: MS-DTYP 2.4.4.1 (header) and 2.4.4.2 to 2.4.4.17 (bodies). Three shapes are told apart:

* *simple* types: mask, SID, and whatever follows up to the size (conditions of callback types, resource attributes);
* *object* types: mask, flags, up to two GUIDs, SID, and what follows;
* everything else (compound, or a type that a later Windows brings): carried as bytes and never interpreted.

What is not interpreted is carried unchanged, so each entry that was read is written byte for byte.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from functools import lru_cache, partial
from typing import Any, Final, NamedTuple, Self

from .errors import SecurityDataError, as_bytes, is_number, shown
from .sid import Sid, integrity_sid, sid_at

__all__ = [
    "ALLOW",
    "ALLOW_CALLBACK",
    "ALLOW_CALLBACK_OBJECT",
    "ALLOW_OBJECT",
    "ALLOW_TYPES",
    "AUDIT",
    "CONTAINER_INHERIT",
    "CRITICAL",
    "DENY",
    "DENY_CALLBACK",
    "DENY_CALLBACK_OBJECT",
    "DENY_OBJECT",
    "DENY_TYPES",
    "INHERITED",
    "INHERIT_ONLY",
    "LABEL",
    "NO_EXECUTE_UP",
    "NO_PROPAGATE",
    "NO_READ_UP",
    "NO_WRITE_UP",
    "OBJECT_INHERIT",
    "OBJECT_TYPES",
    "SIMPLE_TYPES",
    "Ace",
    "ObjectPart",
    "allow",
    "decode",
    "deny",
    "label",
    "unchecked",
]

ALLOW: Final = 0x00
DENY: Final = 0x01
AUDIT: Final = 0x02
ALLOW_OBJECT: Final = 0x05
DENY_OBJECT: Final = 0x06
ALLOW_CALLBACK: Final = 0x09
DENY_CALLBACK: Final = 0x0A
ALLOW_CALLBACK_OBJECT: Final = 0x0B
DENY_CALLBACK_OBJECT: Final = 0x0C
LABEL: Final = 0x11

ALLOW_TYPES: Final = frozenset((ALLOW, ALLOW_OBJECT, ALLOW_CALLBACK, ALLOW_CALLBACK_OBJECT))
DENY_TYPES: Final = frozenset((DENY, DENY_OBJECT, DENY_CALLBACK, DENY_CALLBACK_OBJECT))
OBJECT_TYPES: Final = frozenset((0x05, 0x06, 0x07, 0x08, 0x0B, 0x0C, 0x0F, 0x10))
SIMPLE_TYPES: Final = frozenset((0x00, 0x01, 0x02, 0x03, 0x09, 0x0A, 0x0D, 0x0E, 0x11, 0x12, 0x13, 0x14, 0x15))

OBJECT_INHERIT: Final = 0x01
CONTAINER_INHERIT: Final = 0x02
NO_PROPAGATE: Final = 0x04
INHERIT_ONLY: Final = 0x08
INHERITED: Final = 0x10
CRITICAL: Final = 0x20

# Policy bits in the mask of a mandatory label entry (MS-DTYP 2.4.4.13).
NO_WRITE_UP: Final = 0x1
NO_READ_UP: Final = 0x2
NO_EXECUTE_UP: Final = 0x4

_HEADER: Final = struct.Struct("<BBHI")  # type, flags, size, mask
_LONGEST_REMEMBERED: Final = 128
_MAX_SIZE: Final = 0xFFFC  # AceSize is 16 bits and a multiple of four


class ObjectPart(NamedTuple):
    """What an object entry has besides: MS-DTYP 2.4.4.3. GUIDs are 16 bytes as stored, or None."""

    flags: int
    object_type: bytes | None
    inherited_type: bytes | None


class _Fields(NamedTuple):
    type: int
    flags: int
    mask: int
    sid: Sid | None
    data: bytes = b""
    object_part: ObjectPart | None = None


class Ace(_Fields):
    """An access control entry.

    Attributes:
        type: AceType, 0 to 255.
        flags: AceFlags: inheritance, INHERITED, audit bits.
        mask: the access mask, or for a label its policy bits; 0 for a type that is not interpreted.
        sid: the trustee; None for a type that is not interpreted.
        data: the bytes behind the SID; for a type that is not interpreted, all bytes behind the four-byte header.
        object_part: what object types have besides, else None.

    Raises:
        SecurityDataError: type, flags or mask are no numbers of 8, 8 and 32 bits. Whether the fields belong together
            is said when the entry is written.
    """

    __slots__ = ()

    def __new__(
        cls,
        type: int,
        flags: int,
        mask: int,
        sid: Sid | None,
        data: bytes = b"",
        object_part: ObjectPart | None = None,
    ) -> Self:
        for name, value, largest in (("type", type, 0xFF), ("flags", flags, 0xFF), ("mask", mask, 0xFFFFFFFF)):
            if not is_number(value, largest):
                raise SecurityDataError(f"the {name} {shown(value)} of an ACE is no number from 0 to {largest:#x}")
        return tuple.__new__(cls, (type, flags, mask, sid, data, object_part))

    @classmethod
    def _make(cls, iterable: Iterable[Any]) -> Self:  # type: ignore[override]
        """What ``_replace`` calls: checked as well."""
        return cls(*iterable)

    @property
    def size(self) -> int:
        """Bytes in the binary form."""
        if self.sid is None:
            return 4 + len(self.data)
        size = 8 + len(self.sid.raw) + len(self.data)
        if self.object_part is not None:
            size += 4 + sum(16 for guid in self.object_part[1:] if guid is not None)
        return size

    @classmethod
    def from_bytes(cls, data: bytes | bytearray | memoryview) -> Ace:
        """Read one entry; the whole of ``data`` must be it.

        Raises:
            SecurityDataError: it is not.
        """
        data = as_bytes(data)
        if len(data) < 4:
            raise SecurityDataError("truncated ACE: fewer than 4 bytes", "offset 0")
        if data[2] | data[3] << 8 != len(data):
            raise SecurityDataError(f"AceSize {data[2] | data[3] << 8}, but {len(data)} bytes", "offset 2")
        if len(data) & 3:
            raise SecurityDataError(f"an ACE of {len(data)} bytes is no multiple of four", "offset 2")
        return decode(data)

    def to_bytes(self) -> bytes:
        """The binary form.

        Raises:
            SecurityDataError: the size is no multiple of four or exceeds 16 bits, or the fields do not belong to the
                type.
        """
        sid = self.sid
        if sid is not None and self.object_part is None and self.type in SIMPLE_TYPES:
            body = sid.raw + self.data if self.data else sid.raw
            size = 8 + len(body)
            if size <= _MAX_SIZE and not size & 3:
                return _HEADER.pack(self.type, self.flags, size, self.mask) + body
        return _encode(self)


unchecked: Final[Callable[[tuple[int, int, int, Sid | None, bytes, ObjectPart | None]], Ace]] = partial(
    tuple.__new__, Ace
)
"""An Ace of fields that are known to fit: for those who just read them."""


def _encode(ace: Ace) -> bytes:
    """The general, checking form of Ace.to_bytes."""
    size = ace.size
    if size > _MAX_SIZE:
        raise SecurityDataError(f"an ACE of {size} bytes; the limit is {_MAX_SIZE}")
    if size & 3:
        raise SecurityDataError(f"an ACE of {size} bytes is no multiple of four")
    if (ace.type in OBJECT_TYPES) != (ace.object_part is not None) or (
        (ace.type in SIMPLE_TYPES or ace.type in OBJECT_TYPES) != (ace.sid is not None)
    ):
        raise SecurityDataError(f"the fields of the ACE do not belong to type {ace.type:#x}")
    if ace.sid is None:
        if ace.mask:
            raise SecurityDataError(f"an ACE of type {ace.type:#x} has no mask of its own: it is in its data")
        return struct.pack("<BBH", ace.type, ace.flags, size) + ace.data
    middle = b""
    if ace.object_part is not None:
        flags, object_type, inherited_type = ace.object_part
        guids = [guid for guid in (object_type, inherited_type) if guid is not None]
        if (object_type is not None, inherited_type is not None) != (bool(flags & 1), bool(flags & 2)) or any(
            len(guid) != 16 for guid in guids
        ):
            raise SecurityDataError(f"object flags {flags:#x} do not say which GUIDs are present")
        middle = struct.pack("<I", flags & 0xFFFFFFFF) + b"".join(guids)
    return _HEADER.pack(ace.type, ace.flags, size, ace.mask) + middle + ace.sid.raw + ace.data


def decode(data: bytes) -> Ace:
    """The entry that these bytes are, whose size field the caller has compared with their number.

    Remembered for entries of usual length: the descriptors of a tree repeat them. Long ones are not, so that nobody
    can fill the memory through the cache.

    Raises:
        SecurityDataError: malformed. The place is the offset in ``data``.
    """
    return _remembered(data) if len(data) <= _LONGEST_REMEMBERED else _decode(data)


def _decode(data: bytes) -> Ace:
    kind = data[0]
    end = len(data)
    if kind in SIMPLE_TYPES:
        if end < 16:
            raise SecurityDataError("truncated ACE: no room for a mask and a SID", "offset 0")
        _, flags, _, mask = _HEADER.unpack_from(data)
        sid = sid_at(data, 8, end)
        return unchecked((kind, flags, mask, sid, data[8 + len(sid.raw) :], None))
    if kind not in OBJECT_TYPES:
        return unchecked((kind, data[1], 0, None, data[4:], None))
    if end < 12:
        raise SecurityDataError("truncated object ACE", "offset 0")
    _, flags, _, mask = _HEADER.unpack_from(data)
    (object_flags,) = struct.unpack_from("<I", data, 8)
    at = 12
    guids: list[bytes | None] = [None, None]
    for index in (0, 1):
        if object_flags & (1 << index):
            if end - at < 16:
                raise SecurityDataError("truncated object ACE: no room for its GUIDs", "offset 0")
            guids[index] = data[at : at + 16]
            at += 16
    sid = sid_at(data, at, end)
    part = ObjectPart(object_flags, guids[0], guids[1])
    return unchecked((kind, flags, mask, sid, data[at + len(sid.raw) :], part))


_remembered: Final = lru_cache(maxsize=4096)(_decode)


def allow(sid: Sid, mask: int, flags: int = 0) -> Ace:
    """An entry that grants ``mask`` to ``sid``."""
    return Ace(ALLOW, flags, mask, sid)


def deny(sid: Sid, mask: int, flags: int = 0) -> Ace:
    """An entry that denies ``mask`` to ``sid``."""
    return Ace(DENY, flags, mask, sid)


def label(level: int, policy: int = NO_WRITE_UP, flags: int = 0) -> Ace:
    """A mandatory label: ``level`` 0x1000 Low, 0x2000 Medium ...; it stands in the SACL."""
    return Ace(LABEL, flags, policy, integrity_sid(level))
