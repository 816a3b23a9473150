"""Security identifiers: text, binary, and the two-letter names that SDDL has for them.

Binary form: MS-DTYP 2.4.2.2 (revision 1, at most 15 sub-authorities, a 48-bit big-endian authority, little-endian
sub-authorities). Text form: MS-DTYP 2.4.2.1; an authority of 2**32 or more is written in hex with twelve digits, as
that grammar wants. (Windows itself leaves the leading zeros out and has capital letters; both are read.)
Two-letter names: Microsoft Learn, "SID Strings"; the numbers behind them: "Well-known SIDs" and winnt.h.

A SID without sub-authorities is legal in binary (RtlValidSid asks only for at most 15), so ``S-1-5`` is read and
written too: else a descriptor that holds one could not be shown.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from functools import lru_cache, total_ordering
from operator import index
from typing import Final, NoReturn

from .errors import SecurityDataError, as_bytes

__all__ = [
    "ADMINISTRATORS",
    "ALIASES",
    "ANONYMOUS",
    "AUTHENTICATED_USERS",
    "CREATOR_GROUP",
    "CREATOR_OWNER",
    "DOMAIN_ALIASES",
    "EVERYONE",
    "INTERACTIVE",
    "LABEL_AUTHORITY",
    "LOCAL_SERVICE",
    "MAX_SUBAUTHORITIES",
    "NETWORK_SERVICE",
    "OWNER_RIGHTS",
    "RESTRICTED",
    "SYSTEM",
    "USERS",
    "WRITE_RESTRICTED",
    "Sid",
    "from_raw",
    "integrity_sid",
    "sid_at",
]

MAX_SUBAUTHORITIES: Final = 15
LABEL_AUTHORITY: Final = 16  # SECURITY_MANDATORY_LABEL_AUTHORITY

# Lengths are bounded in the pattern itself: int() of an unbounded run of digits costs quadratic time, and a text
# that comes from a descriptor on disk must not be able to ask for that.
_TEXT: Final = re.compile(r"[Ss]-1-(0[xX][0-9a-fA-F]{1,12}|[0-9]{1,15})((?:-(?:0[xX][0-9a-fA-F]{1,8}|[0-9]{1,10}))*)")
_LONGEST_TEXT: Final = 256  # 15 sub-authorities of 10 digits need 191 characters

# Revision, count, an authority below 256, sub-authorities.
_USUAL: Final = tuple(struct.Struct(f"<BB5xB{count}I") for count in range(MAX_SUBAUTHORITIES + 1))
_TAILS: Final = tuple(struct.Struct(f"<{count}I") for count in range(MAX_SUBAUTHORITIES + 1))


@total_ordering
class Sid:
    """A security identifier. Immutable, hashable, ordered by authority, then sub-authorities as numbers.

    ``Sid(5, 32, 544)`` is ``S-1-5-32-544``. ``raw`` is the binary form; it is what access checks compare.

    Raises:
        SecurityDataError: an authority above 48 bits, a sub-authority above 32 bits, more than 15 of them.
        TypeError: one of them is no int.
    """

    __slots__ = ("raw",)
    raw: bytes

    def __init__(self, authority: int, *subauthorities: int) -> None:
        if not 0 <= index(authority) < 1 << 48:
            raise SecurityDataError(f"SID authority {authority:#x} does not fit in 48 bits")
        if len(subauthorities) > MAX_SUBAUTHORITIES:
            raise SecurityDataError(f"SID with {len(subauthorities)} sub-authorities; the limit is 15")
        for value in subauthorities:
            if not 0 <= index(value) < 1 << 32:
                raise SecurityDataError(f"SID sub-authority {value:#x} does not fit in 32 bits")
        count = len(subauthorities)
        _put_raw(self, bytes((1, count)) + authority.to_bytes(6, "big") + _TAILS[count].pack(*subauthorities))

    @classmethod
    def parse(cls, text: str, domain: Sid | None = None) -> Sid:
        """Read ``S-1-...`` or one of SDDL's two-letter names.

        Args:
            text: the text; the letters in any case, numbers decimal or hex with ``0x``.
            domain: the SID of the machine or domain that LA, DA, EA ... are relative to. The forest's root domain
                for EA, SA, RO and EK, the machine for LA and LG: the caller chooses, the text does not tell.

        Raises:
            SecurityDataError: not a SID; or a domain-relative name without ``domain``.
        """
        if not isinstance(text, str):
            raise SecurityDataError(f"a SID's text must be a str, not {type(text).__name__}")
        return parse(text) if domain is None else _parse_in(text, domain)

    @classmethod
    def from_bytes(cls, data: bytes | bytearray | memoryview) -> Sid:
        """Read the binary form; the whole of ``data`` must be the SID.

        Raises:
            SecurityDataError: truncated, followed by other bytes, wrong revision or more than 15 sub-authorities.
        """
        data = as_bytes(data)
        sid = sid_at(data, 0, len(data))
        if len(sid.raw) != len(data):
            raise SecurityDataError(f"{len(data) - len(sid.raw)} bytes follow the SID", f"offset {len(sid.raw)}")
        return sid

    def to_bytes(self) -> bytes:
        """The binary form (MS-DTYP 2.4.2.2), 8 to 68 bytes."""
        return self.raw

    @property
    def authority(self) -> int:
        """The identifier authority, 0 to 2**48 - 1."""
        return int.from_bytes(self.raw[2:8], "big")

    @property
    def subauthorities(self) -> tuple[int, ...]:
        """The sub-authorities, 0 to 15 numbers of 32 bits."""
        return _TAILS[self.raw[1]].unpack_from(self.raw, 8)

    @property
    def alias(self) -> str | None:
        """SDDL's two-letter name where it means the same SID on every machine, else None."""
        return _NAMES.get(self.raw)

    def relative(self, *subauthorities: int) -> Sid:
        """This SID with more sub-authorities behind it: a domain's account, a logon session's SID."""
        return Sid(self.authority, *self.subauthorities, *subauthorities)

    def __str__(self) -> str:
        return _text(self.raw)

    def __repr__(self) -> str:
        return f"Sid.parse({_text(self.raw)!r})"

    def __eq__(self, other: object) -> bool:
        return self.raw == other.raw if isinstance(other, Sid) else NotImplemented

    def __lt__(self, other: object) -> bool:
        if not isinstance(other, Sid):
            return NotImplemented
        return (self.authority, self.subauthorities) < (other.authority, other.subauthorities)

    def __hash__(self) -> int:
        return hash(self.raw)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"a Sid is immutable: {name} cannot be set")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"a Sid is immutable: {name} cannot be deleted")

    def __reduce__(self) -> tuple[object, tuple[bytes]]:
        return (Sid.from_bytes, (self.raw,))


# The slot's own setter, which the guard in __setattr__ does not see: one call instead of three.
_new: Final = object.__new__
_put_raw: Final[Callable[[Sid, bytes], None]] = Sid.raw.__set__  # type: ignore[attr-defined, misc]


def from_raw(raw: bytes) -> Sid:
    """The Sid of bytes that were checked already."""
    sid = _new(Sid)
    _put_raw(sid, raw)
    return sid


@lru_cache(maxsize=4096)
def _text(raw: bytes) -> str:
    authority = int.from_bytes(raw[2:8], "big")
    head = f"S-1-{authority}" if authority < 1 << 32 else f"S-1-0x{authority:012x}"
    return "".join([head, *(f"-{value}" for value in _TAILS[raw[1]].unpack_from(raw, 8))])


def sid_at(data: bytes, offset: int, end: int) -> Sid:
    """The SID that begins at ``offset`` and must end at or before ``end`` (both in bytes of ``data``).

    Raises:
        SecurityDataError: it does not, or is none. The place is the offset in ``data``.
    """
    if end - offset < 8:
        raise SecurityDataError("truncated SID: fewer than 8 bytes", f"offset {offset}")
    if data[offset] != 1:
        raise SecurityDataError(f"SID revision {data[offset]}, not 1", f"offset {offset}")
    count = data[offset + 1]
    if count > MAX_SUBAUTHORITIES:
        raise SecurityDataError(f"SID with {count} sub-authorities; the limit is 15", f"offset {offset}")
    stop = offset + 8 + 4 * count
    if stop > end:
        raise SecurityDataError(f"truncated SID: {count} sub-authorities do not fit", f"offset {offset}")
    return from_raw(data[offset:stop])


@lru_cache(maxsize=4096)
def parse(text: str) -> Sid:
    # What nearly every SID looks like, read without the regular expression. int() also takes signs, blanks and other
    # scripts' digits, hence the tests before it.
    numbers = text[4:]
    only_digits = len(text) <= _LONGEST_TEXT and numbers.isascii() and numbers.replace("-", "").isdigit()
    if only_digits and text.startswith("S-1-"):
        parts = numbers.split("-")
        count = len(parts) - 1
        try:
            return from_raw(_USUAL[count].pack(1, count, *map(int, parts)))
        except (ValueError, IndexError, struct.error):
            pass  # two dashes, too many numbers, one above 32 bits, a large authority: the careful form tells
    return _parse_in(text, None)


def _parse_in(text: str, domain: Sid | None) -> Sid:
    if len(text) == 2 and text.isascii():  # upper() makes ASCII of a few other letters
        name = text.upper()
        if name in ALIASES:
            return ALIASES[name]
        if name in DOMAIN_ALIASES:
            if not isinstance(domain, Sid):
                raise SecurityDataError(
                    f"{name} is relative to a machine or domain: pass its SID as domain=", f"in {text!r}"
                )
            return domain.relative(DOMAIN_ALIASES[name])
        raise SecurityDataError("not one of SDDL's two-letter SID names", f"in {text!r}")
    found = _TEXT.fullmatch(text) if len(text) <= _LONGEST_TEXT else None
    if found is None:
        raise SecurityDataError("not a SID: expected S-1-authority-subauthority-...", f"in {text[:80]!r}")
    numbers = [_number(part) for part in found[2].split("-")[1:]]
    try:
        sid = Sid(_number(found[1]), *numbers)
    except SecurityDataError as error:
        raise error.within(f"in {text!r}") from None
    return from_raw(sid.raw)


def _number(text: str) -> int:
    return int(text[2:], 16) if text[:2] in ("0x", "0X") else int(text)


def integrity_sid(level: int) -> Sid:
    """The SID of a mandatory integrity level: 0x1000 Low, 0x2000 Medium, 0x3000 High, 0x4000 System."""
    return from_raw(Sid(LABEL_AUTHORITY, level).raw)


def _nt(*subauthorities: int) -> Sid:
    return from_raw(Sid(5, *subauthorities).raw)


EVERYONE: Final = from_raw(Sid(1, 0).raw)
CREATOR_OWNER: Final = from_raw(Sid(3, 0).raw)
CREATOR_GROUP: Final = from_raw(Sid(3, 1).raw)
OWNER_RIGHTS: Final = from_raw(Sid(3, 4).raw)
INTERACTIVE: Final = _nt(4)
ANONYMOUS: Final = _nt(7)
AUTHENTICATED_USERS: Final = _nt(11)
RESTRICTED: Final = _nt(12)
SYSTEM: Final = _nt(18)
LOCAL_SERVICE: Final = _nt(19)
NETWORK_SERVICE: Final = _nt(20)
WRITE_RESTRICTED: Final = _nt(33)
ADMINISTRATORS: Final = _nt(32, 544)
USERS: Final = _nt(32, 545)

# The names whose SID is the same everywhere. Microsoft Learn, "SID Strings".
ALIASES: Final[dict[str, Sid]] = {
    "AA": _nt(32, 579),  # access control assistance operators
    "AC": from_raw(Sid(15, 2, 1).raw),  # all application packages
    "AN": ANONYMOUS,
    "AO": _nt(32, 548),  # account operators
    "AS": from_raw(Sid(18, 1).raw),  # authentication authority asserted identity
    "AU": AUTHENTICATED_USERS,
    "BA": ADMINISTRATORS,
    "BG": _nt(32, 546),  # guests
    "BO": _nt(32, 551),  # backup operators
    "BU": USERS,
    "CD": _nt(32, 574),  # certificate service DCOM access
    "CG": CREATOR_GROUP,
    "CO": CREATOR_OWNER,
    "CY": _nt(32, 569),  # cryptographic operators
    "ED": _nt(9),  # enterprise domain controllers
    "ER": _nt(32, 573),  # event log readers
    "ES": _nt(32, 576),  # RDS endpoint servers
    "HA": _nt(32, 578),  # Hyper-V administrators
    "HI": integrity_sid(0x3000),
    "HO": _nt(32, 584),  # user-mode hardware operators
    "IS": _nt(32, 568),  # IIS users
    "IU": INTERACTIVE,
    "LS": LOCAL_SERVICE,
    "LU": _nt(32, 559),  # performance log users
    "LW": integrity_sid(0x1000),
    "ME": integrity_sid(0x2000),
    "MP": integrity_sid(0x2100),
    "MS": _nt(32, 577),  # RDS management servers
    "MU": _nt(32, 558),  # performance monitor users
    "NO": _nt(32, 556),  # network configuration operators
    "NS": NETWORK_SERVICE,
    "NU": _nt(2),  # network logon
    "OW": OWNER_RIGHTS,
    "PO": _nt(32, 550),  # print operators
    "PS": _nt(10),  # principal self
    "PU": _nt(32, 547),  # power users
    "RA": _nt(32, 575),  # RDS remote access servers
    "RC": RESTRICTED,
    "RD": _nt(32, 555),  # remote desktop users
    "RE": _nt(32, 552),  # replicator
    "RM": _nt(32, 580),  # remote management users
    "RU": _nt(32, 554),  # pre-Windows 2000 compatible access
    "SH": _nt(32, 585),  # OpenSSH users
    "SI": integrity_sid(0x4000),
    "SO": _nt(32, 549),  # server operators
    "SS": from_raw(Sid(18, 2).raw),  # service asserted identity
    "SU": _nt(6),  # service logon
    "SY": SYSTEM,
    "UD": _nt(84, 0, 0, 0, 0, 0),  # user-mode drivers
    "WD": EVERYONE,
    "WR": WRITE_RESTRICTED,
}

# The names that mean an account of a machine or domain, with the relative identifier.
DOMAIN_ALIASES: Final[dict[str, int]] = {
    "AP": 525,  # protected users
    "CA": 517,  # certificate publishers
    "CN": 522,  # cloneable controllers
    "DA": 512,  # domain administrators
    "DC": 515,  # domain computers
    "DD": 516,  # domain controllers
    "DG": 514,  # domain guests
    "DU": 513,  # domain users
    "EA": 519,  # enterprise administrators
    "EK": 527,  # enterprise key administrators
    "KA": 526,  # key administrators
    "LA": 500,  # local administrator
    "LG": 501,  # local guest
    "PA": 520,  # group policy creators
    "RO": 498,  # enterprise read-only domain controllers
    "RS": 553,  # RAS servers
    "SA": 518,  # schema administrators
}

# SH and HO are read but not written: only recent Windows versions know them.
_NAMES: Final[dict[bytes, str]] = {sid.raw: name for name, sid in ALIASES.items() if name not in ("HO", "SH")}
