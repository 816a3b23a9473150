"""The text form of security descriptors.

Grammar and rights: MS-DTYP 2.5.1.1; Microsoft Learn, "Security Descriptor String Format" and "ACE Strings". Read:
the four parts in any order and each at most once, masks as rights letters or as numbers (hex with ``0x``, decimal,
octal with a leading 0). As Windows does (recorded by Samba's authors with ConvertStringSecurityDescriptorTo...): the
letters of types, flags, rights and SIDs in any case, those of parts and lists in upper case; blanks around parts,
lists' letters and entries, in front of an entry's type, flags, rights and SID, and behind a SID of two letters.

Written the way Windows writes: a mask that has a name of its own by it (FA, KR, ...), else by the letters of its
bits if every bit has letters, else in hex; a SID by its two letters where they mean the same on each machine.

What SDDL cannot say, or what is not offered here, is an error and never a silent change: conditional entries
(XA, XD, XU, ZA) and resource attributes (RA), whose text is a language of its own, types that are not interpreted,
bytes behind the SID. All of them are carried unchanged by the binary form. Control bits other than protection and
auto-inheritance have no text (as on Windows) and are left out.
"""

from __future__ import annotations

import re
import uuid
from functools import lru_cache
from typing import Final, NamedTuple

from .ace import OBJECT_TYPES, Ace, ObjectPart
from .acl import Acl
from .errors import SecurityDataError
from .sid import Sid

__all__ = ["Parts", "format_ace", "format_parts", "parse_ace", "parse_parts"]


class Parts(NamedTuple):
    """What a text says: the parts of a descriptor. A part that the text does not have is None."""

    owner: Sid | None
    group: Sid | None
    control: int
    dacl: Acl | None
    sacl: Acl | None


_TYPES: Final = {
    "A": 0x00,
    "D": 0x01,
    "AU": 0x02,
    "AL": 0x03,
    "OA": 0x05,
    "OD": 0x06,
    "OU": 0x07,
    "OL": 0x08,
    "ML": 0x11,
    "SP": 0x13,
    "TL": 0x14,
}
_TYPE_NAMES: Final = {value: name for name, value in _TYPES.items()}
_NOT_OFFERED_TEXT: Final = "{} entries (conditions, resource attributes) are read in binary only"
_NOT_OFFERED: Final = ("XA", "XD", "XU", "ZA", "RA", "FL")

# In the order in which Windows writes them.
_FLAGS: Final = {
    "OI": 0x01,
    "CI": 0x02,
    "NP": 0x04,
    "IO": 0x08,
    "ID": 0x10,
    "CR": 0x20,
    "SA": 0x40,
    "FA": 0x80,
}

_USUAL_FLAGS: Final = {"": 0, "ID": 0x10, "OICI": 0x3, "OICIID": 0x13, "OICIIO": 0xB, "OICIIOID": 0x1B}

# Bit order, which is the order in which Windows writes them.
_BITS: Final = {
    "CC": 0x1,
    "DC": 0x2,
    "LC": 0x4,
    "SW": 0x8,
    "RP": 0x10,
    "WP": 0x20,
    "DT": 0x40,
    "LO": 0x80,
    "CR": 0x100,
    "SD": 0x10000,
    "RC": 0x20000,
    "WD": 0x40000,
    "WO": 0x80000,
    "GA": 0x10000000,
    "GX": 0x20000000,
    "GW": 0x40000000,
    "GR": 0x80000000,
}
_WHOLE: Final = {
    "FA": 0x1F01FF,
    "FR": 0x120089,
    "FW": 0x120116,
    "FX": 0x1200A0,
    "KA": 0xF003F,
    "KR": 0x20019,
    "KW": 0x20006,
    "KX": 0x20019,
}
_LABEL_BITS: Final = {"NW": 0x1, "NR": 0x2, "NX": 0x4}
_RIGHTS: Final = {**_BITS, **_WHOLE, **_LABEL_BITS}
_NAMES: Final = {value: name for name, value in reversed([*_BITS.items(), *_WHOLE.items()])}
_ALL_BITS: Final = sum(_BITS.values())

_NULL_ACL: Final = "NO_ACCESS_CONTROL"
_RUN: Final = re.compile(r"(?:\([^()]*+\) *+)*+")
_ENTRY: Final = re.compile(r"\(([^()]*)\)")
_LONGEST_REMEMBERED: Final = 256
# A SID up to the next part or the end. The look-ahead settles "0x1D:", where D could be a digit or the next part.
_SID: Final = re.compile(r" *([Ss]-[0-9A-Fa-fxX-]+|[A-Za-z]{2})(?= *(?:[OGDS]:|\Z))")
_ACL_FLAGS: Final = re.compile(r" *(?:P|AR|AI|NO_ACCESS_CONTROL)* *")
_ONE_FLAG: Final = re.compile(r"P|AR|AI|NO_ACCESS_CONTROL")
_NUMBER: Final = re.compile(r"0[xX]([0-9a-fA-F]{1,16})|([1-9][0-9]{0,19})|0([0-7]{0,21})")

_PRESENT: Final = {"D": 0x0004, "S": 0x0010}
_CONTROL: Final = {
    "D": {"P": 0x1000, "AR": 0x0100, "AI": 0x0400},
    "S": {"P": 0x2000, "AR": 0x0200, "AI": 0x0800},
}


def parse_parts(text: str, domain: Sid | None = None) -> Parts:
    """Read a descriptor's text.

    Raises:
        SecurityDataError: malformed; the place is the position in the text.
    """
    if not isinstance(text, str):
        raise SecurityDataError(f"SDDL must be a str, not {type(text).__name__}")
    sids: dict[str, Sid] = {}
    acls: dict[str, Acl | None] = {}
    control = 0
    at = 0
    end = len(text)
    while at < end:
        part = text[at]
        if part == " ":
            at += 1
            continue
        if part not in "OGDS" or text[at + 1 : at + 2] != ":":
            raise SecurityDataError("expected O:, G:, D: or S:", f"position {at}")
        if part in sids or part in acls:
            raise SecurityDataError(f"{part}: twice", f"position {at}")
        at += 2
        if part in "OG":
            found = _SID.match(text, at)
            if found is None:
                raise SecurityDataError(f"no SID behind {part}:", f"position {at}")
            sids[part] = _sid(found[1], domain, found.start(1))
            at = found.end()
            continue
        control |= _PRESENT[part]
        found = _ACL_FLAGS.match(text, at)
        is_null = False
        for flag in _ONE_FLAG.findall(found[0]) if found else ():
            if flag == _NULL_ACL:
                is_null = True
            else:
                control |= _CONTROL[part][flag]
        if found:
            at = found.end()
        aces, at = _aces(text, at, domain)
        if is_null and aces:
            raise SecurityDataError(f"{_NULL_ACL} and entries exclude each other", f"position {at}")
        acls[part] = None if is_null else Acl(aces)
    return Parts(sids.get("O"), sids.get("G"), control, acls.get("D"), acls.get("S"))


def parse_ace(text: str, domain: Sid | None = None) -> Ace:
    """Read one entry, parentheses included.

    Raises:
        SecurityDataError: malformed.
    """
    aces, end = _aces(text, 0, domain)
    if len(aces) != 1 or end != len(text):
        raise SecurityDataError("expected one entry in parentheses", f"position {end}")
    return aces[0]


def _aces(text: str, at: int, domain: Sid | None) -> tuple[list[Ace], int]:
    """The entries at ``at`` and the position behind them."""
    found = _RUN.match(text, at)
    run = found[0] if found is not None else ""
    aces: list[Ace] = []
    if run:
        bodies = _ENTRY.findall(run) if " " in run else run[1:-1].split(")(")
        try:
            for body in bodies:
                # Whole entries are remembered: the descriptors of a tree repeat them. Long ones are not, so that
                # nobody can fill the memory through the cache.
                known = domain is None and len(body) <= _LONGEST_REMEMBERED
                aces.append(_ace(body) if known else _read_ace(body, domain))
        except SecurityDataError as error:
            starts = [entry.start() for entry in _ENTRY.finditer(run)]
            raise error.within(f"position {at + starts[len(aces)]}") from None
    at += len(run)
    if text.startswith("(", at):
        kind = text[at + 1 : at + 12].partition(";")[0].strip(" ").upper()
        if kind in _NOT_OFFERED:
            raise SecurityDataError(_NOT_OFFERED_TEXT.format(kind), f"position {at}")
        raise SecurityDataError("parentheses inside an entry, or none at its end", f"position {at}")
    return aces, at


def _read_ace(body: str, domain: Sid | None) -> Ace:
    """One entry from what stands between its parentheses."""
    if not body.isascii():  # upper() makes ASCII of a few other letters
        raise SecurityDataError("only ASCII characters can stand in an entry")
    fields = body.split(";")
    name = fields[0].lstrip(" ").upper()
    if name in _NOT_OFFERED or len(fields) == 7:
        raise SecurityDataError(_NOT_OFFERED_TEXT.format(name[:8]))
    if len(fields) != 6:
        raise SecurityDataError("expected (type;flags;rights;object;inherited object;SID)")
    _, flags, rights, object_guid, inherited_guid, sid = fields
    kind = _TYPES.get(name)
    if kind is None:
        raise SecurityDataError(f"unknown ACE type {fields[0][:8]!r}")
    object_part = None
    if kind in OBJECT_TYPES:
        first, second = _guid(object_guid), _guid(inherited_guid)
        object_part = ObjectPart((first is not None) | (second is not None) << 1, first, second)
    elif (object_guid + inherited_guid).strip(" "):
        raise SecurityDataError(f"{name} entries have no object type")
    sid = sid.lstrip(" ")
    if not sid[2:].strip(" "):
        sid = sid[:2]
    return Ace(kind, _flags(flags.lstrip(" ")), _mask(rights.lstrip(" ")), Sid.parse(sid, domain), b"", object_part)


@lru_cache(maxsize=4096)
def _ace(body: str) -> Ace:
    return _read_ace(body, None)


def _sid(text: str, domain: Sid | None, at: int) -> Sid:
    try:
        return Sid.parse(text, domain)
    except SecurityDataError as error:
        raise error.within(f"position {at}") from None


def _flags(text: str) -> int:
    value = _USUAL_FLAGS.get(text)
    if value is not None:
        return value
    value = 0
    for index in range(0, len(text), 2):
        bit = _FLAGS.get(text[index : index + 2].upper())
        if bit is None:
            raise SecurityDataError(f"unknown ACE flag {text[index : index + 2]!r}")
        value |= bit
    return value


def _mask(text: str) -> int:
    bits = _RIGHTS.get(text)
    if bits is not None:
        return bits
    found = _NUMBER.fullmatch(text)
    if found is not None:
        hexadecimal, decimal, octal = found.groups()
        value = int(hexadecimal, 16) if hexadecimal else int(decimal) if decimal else int(octal or "0", 8)
        if value > 0xFFFFFFFF:
            raise SecurityDataError(f"access mask {text} does not fit in 32 bits")
        return value
    value = 0
    for index in range(0, len(text), 2):
        bits = _RIGHTS.get(text[index : index + 2].upper())
        if bits is None:
            raise SecurityDataError(f"unknown right {text[index : index + 2]!r}")
        value |= bits
    return value


def _guid(text: str) -> bytes | None:
    if not text.strip(" "):
        return None
    try:
        if len(text) != 36:
            raise ValueError(text)
        return uuid.UUID(text).bytes_le
    except ValueError:
        raise SecurityDataError(f"not a GUID: {text[:40]!r}") from None


def format_parts(parts: Parts) -> str:
    """Write a descriptor's parts as text.

    Raises:
        SecurityDataError: it holds what has no text here; see the module's docstring.
    """
    words = []
    if parts.owner is not None:
        words.append(f"O:{parts.owner.alias or parts.owner}")
    if parts.group is not None:
        words.append(f"G:{parts.group.alias or parts.group}")
    for part, acl in (("D", parts.dacl), ("S", parts.sacl)):
        if not parts.control & _PRESENT[part]:
            continue
        words.append(part + ":")
        words += [flag for flag, bit in _CONTROL[part].items() if parts.control & bit]
        if acl is None:
            words.append(_NULL_ACL)
            continue
        for index, ace in enumerate(acl):
            try:
                words.append(format_ace(ace))
            except SecurityDataError as error:
                raise error.within(f"ACE {index} of the {part}ACL") from None
    return "".join(words)


def format_ace(ace: Ace) -> str:
    """Write one entry, parentheses included.

    Raises:
        SecurityDataError: it has no text here.
    """
    name = _TYPE_NAMES.get(ace.type)
    if name is None or ace.sid is None or ace.data:
        raise SecurityDataError(f"an ACE of type {ace.type:#x} with {len(ace.data)} more bytes has no SDDL text here")
    object_text = inherited_text = ""
    if ace.object_part is not None:
        flags, first, second = ace.object_part
        if flags != ((first is not None) | (second is not None) << 1):
            raise SecurityDataError(f"object flags {flags:#x} have no SDDL text")
        object_text = str(uuid.UUID(bytes_le=first)) if first else ""
        inherited_text = str(uuid.UUID(bytes_le=second)) if second else ""
    rights = _label_text(ace.mask) if name == "ML" else _mask_text(ace.mask)
    sid = ace.sid.alias or ace.sid
    return f"({name};{_flags_text(ace.flags)};{rights};{object_text};{inherited_text};{sid})"


@lru_cache(maxsize=256)
def _flags_text(flags: int) -> str:
    return "".join(name for name, bit in _FLAGS.items() if flags & bit)


@lru_cache(maxsize=1024)
def _mask_text(mask: int) -> str:
    name = _NAMES.get(mask)
    if name is not None:
        return name
    if mask and not mask & ~_ALL_BITS:
        return "".join(name for name, bit in _BITS.items() if mask & bit)
    return f"{mask:#x}"


def _label_text(mask: int) -> str:
    if mask and not mask & ~0x7:
        return "".join(name for name, bit in _LABEL_BITS.items() if mask & bit)
    return f"{mask:#x}"
