"""The text form of security descriptors.

Grammar and rights: MS-DTYP 2.5.1.1; Microsoft Learn, "Security Descriptor String Format" and "ACE Strings". Read:
the four parts in any order and each at most once, masks as rights letters or as numbers (hex with ``0x``, decimal,
octal with a leading 0). As Windows does (recorded by Samba's authors with ConvertStringSecurityDescriptorTo...): the
letters of types, flags, rights and SIDs in any case, those of parts and lists in upper case; blanks around parts,
lists' letters and entries, in front of an entry's type, flags, rights and SID, and behind a SID of two letters.

Written the way Windows writes: a mask that has a name of its own by it (FA, KR, ...), else by the letters of its
bits if every bit has letters (of no bits: nothing), else in hex; a SID by its two letters where they mean the same on
each machine. Conditions (XA, XD, XU, ZA) are in ``conditional``, resource attributes (RA) in ``claims``.

Windows refuses an audit entry in a DACL (recorded as above). Here an entry that allows or denies in a SACL is refused
as well: it would have no effect, and who writes it means something else.

What SDDL cannot say is an error and never a silent change: types without a name, entries in the wrong list, bytes
behind the SID that are no condition or attribute. All of them are carried unchanged by the binary form. Control bits
other than protection and auto-inheritance have no text (as on Windows) and are left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from . import claims, conditional, conditional_text
from .ace import LABEL, OBJECT_TYPES, Ace, ObjectPart, unchecked
from .acl import MAX_ACL_SIZE, Acl, too_large
from .errors import SecurityDataError
from .sddl_names import (
    ALL_BITS,
    BITS,
    CONTROL,
    FLAGS,
    LABEL_BITS,
    MASK_NAMES,
    PLACES,
    PRESENT,
    RIGHTS,
    TYPE_NAMES,
    TYPES,
    USUAL_FLAGS,
)
from .sid import Sid
from .sid import parse as parse_sid

__all__ = ["Parts", "format_ace", "format_parts", "parse_ace", "parse_parts"]


class Parts(NamedTuple):
    """What a text says: the parts of a descriptor. A part that the text does not have is None."""

    owner: Sid | None
    group: Sid | None
    control: int
    dacl: Acl | None
    sacl: Acl | None


class _Expression(NamedTuple):
    """What follows the SID in some types, and is their data in binary."""

    parse: Callable[[str, int, Sid | None], tuple[bytes, int]]
    text: Callable[[bytes], str]


_CONDITION: Final = _Expression(conditional.parse, conditional_text.text)
_EXPRESSIONS: Final = {
    **{TYPES[name]: _CONDITION for name in ("XA", "XD", "XU", "ZA")},
    TYPES["RA"]: _Expression(claims.parse, claims.text),
}

_NULL_ACL: Final = "NO_ACCESS_CONTROL"
_RUN: Final = re.compile(r"(?:\([^()]*+\) *+)*+")
_ENTRY: Final = re.compile(r"\(([^()]*)\)")
_HEAD: Final = re.compile(r"\(([^();]*);([^();]*);([^();]*);([^();]*);([^();]*);([^();]*);")
_TAIL: Final = re.compile(r"[\t-\r ]*\) *")
_GUID: Final = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
_LONGEST_REMEMBERED: Final = 256
# A SID up to the next part or the end. The look-ahead settles "0x1D:", where D could be a digit or the next part.
_SID: Final = re.compile(r" *([Ss]-[0-9A-Fa-fxX-]+|[A-Za-z]{2})(?= *(?:[OGDS]:|\Z))")
_ACL_FLAGS: Final = re.compile(r" *(?:P|AR|AI|NO_ACCESS_CONTROL)* *")
_ONE_FLAG: Final = re.compile(r"P|AR|AI|NO_ACCESS_CONTROL")
_NUMBER: Final = re.compile(r"0[xX]([0-9a-fA-F]{1,16})|([1-9][0-9]{0,19})|0([0-7]{0,21})")


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
        control |= PRESENT[part]
        found = _ACL_FLAGS.match(text, at)
        is_null = False
        for flag in _ONE_FLAG.findall(found[0]) if found else ():
            if flag == _NULL_ACL:
                is_null = True
            else:
                control |= CONTROL[part][flag]
        if found:
            at = found.end()
        aces, at = _aces(text, at, domain)
        if is_null and aces:
            raise SecurityDataError(f"{_NULL_ACL} and entries exclude each other", f"position {at}")
        acls[part] = None if is_null else _acl(aces, part, len(text))
    return Parts(sids.get("O"), sids.get("G"), control, acls.get("D"), acls.get("S"))


def _acl(aces: list[Ace], part: str, letters: int) -> Acl:
    if not PLACES[part].issuperset([ace[0] for ace in aces]):
        for index, ace in enumerate(aces):
            try:
                _placed(ace, part)
            except SecurityDataError as error:
                raise error.within(f"ACE {index} of the {part}ACL") from None
    acl = Acl(aces)
    # Adding the sizes up takes as long as reading a short text, and a letter stands for less than 32 bytes.
    if letters > MAX_ACL_SIZE // 32 and acl.size > MAX_ACL_SIZE:
        raise too_large(acl.size, len(acl)).within(f"{part}ACL")
    return acl


def _placed(ace: Ace, part: str) -> None:
    """Refuse an entry in the wrong list, as Windows refuses audit entries in a DACL. Those of types that have no text
    are refused for that.
    """
    if ace.type in TYPE_NAMES and ace.type not in PLACES[part]:
        raise SecurityDataError(f"{TYPE_NAMES[ace.type]} entries cannot stand in a {part}ACL")


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
    aces: list[Ace] = []
    while True:
        found = _RUN.match(text, at)
        run = found[0] if found is not None else ""
        if run:
            aces += _plain(run, at, domain)
            at += len(run)
        if not text.startswith("(", at):
            return aces, at
        ace, at = _with_expression(text, at, domain)
        aces.append(ace)


def _plain(run: str, at: int, domain: Sid | None) -> list[Ace]:
    """A run of entries without parentheses in them, which stands at ``at``."""
    if not run.isascii():  # upper() makes ASCII of a few other letters
        raise SecurityDataError("only ASCII characters can stand in an entry", f"position {at}")
    aces: list[Ace] = []
    bodies = _ENTRY.findall(run) if " " in run else run[1:-1].split(")(")
    try:
        if domain is None:
            # Whole entries are remembered: the descriptors of a tree repeat them. Long ones are not, so that nobody
            # can fill the memory through the cache.
            for body in bodies:
                aces.append(_remembered(body) if len(body) <= _LONGEST_REMEMBERED else _read(body))
        else:
            for body in bodies:
                aces.append(_read(body, domain))
    except SecurityDataError as error:
        starts = [entry.start() for entry in _ENTRY.finditer(run)]
        raise error.within(f"position {at + starts[len(aces)]}") from None
    return aces


def _read(body: str, domain: Sid | None = None) -> Ace:
    """One entry from what stands between its parentheses."""
    fields = body.split(";")
    kind = TYPES.get(fields[0])
    if kind is None:
        kind = _kind(fields[0])
    if kind in _EXPRESSIONS:
        raise SecurityDataError(f"{TYPE_NAMES[kind]} entries have an expression in parentheses behind the SID")
    if len(fields) != 6:
        raise SecurityDataError("expected (type;flags;rights;object;inherited object;SID)")
    return _made(kind, fields, domain, b"")


_remembered: Final = lru_cache(maxsize=4096)(_read)


def _with_expression(text: str, at: int, domain: Sid | None) -> tuple[Ace, int]:
    """The entry at ``at``, which has parentheses in it, and the position behind it and the blanks that follow."""
    head = _HEAD.match(text, at)
    if head is None or not head[0].isascii():
        raise SecurityDataError("parentheses inside an entry, or none at its end", f"position {at}")
    try:
        kind = _kind(head[1])
        expression = _EXPRESSIONS.get(kind)
        if expression is None:
            raise SecurityDataError(f"{TYPE_NAMES[kind]} entries have no expression behind the SID")
        data, end = expression.parse(text, head.end(), domain)
        ace = _made(kind, head.groups(), domain, data)
    except SecurityDataError as error:
        raise error.within(f"entry at position {at}") from None
    tail = _TAIL.match(text, end)
    if tail is None:
        raise SecurityDataError("expected the end of the entry", f"position {end}")
    return ace, tail.end()


def _kind(name: str) -> int:
    kind = TYPES.get(name.lstrip(" ").upper())
    if kind is None:
        raise SecurityDataError(f"unknown ACE type {name[:8]!r}")
    return kind


def _made(kind: int, fields: Sequence[str], domain: Sid | None, data: bytes) -> Ace:
    _, flags_text, rights, object_guid, inherited_guid, sid = fields
    object_part = None
    if kind in OBJECT_TYPES:
        first, second = _guid(object_guid), _guid(inherited_guid)
        object_part = ObjectPart((first is not None) | (second is not None) << 1, first, second)
    elif (object_guid or inherited_guid) and (object_guid + inherited_guid).strip(" "):
        raise SecurityDataError(f"{TYPE_NAMES[kind]} entries have no object type")
    flags = USUAL_FLAGS.get(flags_text)
    if flags is None:
        flags = _flags(flags_text.lstrip(" "))
    mask = RIGHTS.get(rights)
    if mask is None:
        mask = _remembered_mask(rights) if len(rights) <= _LONGEST_REMEMBERED else _mask(rights)
    if " " in sid:
        sid = sid.lstrip(" ")
        if not sid[2:].strip(" "):
            sid = sid[:2]
    trustee = parse_sid(sid) if domain is None else Sid.parse(sid, domain)
    return unchecked((kind, flags, mask, trustee, data, object_part))


def _sid(text: str, domain: Sid | None, at: int) -> Sid:
    try:
        return Sid.parse(text, domain)
    except SecurityDataError as error:
        raise error.within(f"position {at}") from None


def _flags(text: str) -> int:
    value = 0
    for index in range(0, len(text), 2):
        bit = FLAGS.get(text[index : index + 2].upper())
        if bit is None:
            raise SecurityDataError(f"unknown ACE flag {text[index : index + 2]!r}")
        value |= bit
    return value


def _mask(text: str) -> int:
    text = text.lstrip(" ")
    found = _NUMBER.fullmatch(text)
    if found is not None:
        hexadecimal, decimal, octal = found.groups()
        value = int(hexadecimal, 16) if hexadecimal else int(decimal) if decimal else int(octal or "0", 8)
        if value > 0xFFFFFFFF:
            raise SecurityDataError(f"access mask {text} does not fit in 32 bits")
        return value
    value = 0
    for index in range(0, len(text), 2):
        bits = RIGHTS.get(text[index : index + 2].upper())
        if bits is None:
            raise SecurityDataError(f"unknown right {text[index : index + 2]!r}")
        value |= bits
    return value


_remembered_mask: Final = lru_cache(maxsize=1024)(_mask)


def _guid(text: str) -> bytes | None:
    if not text.strip(" "):
        return None
    if _GUID.fullmatch(text) is None:
        raise SecurityDataError(f"not a GUID: {text[:40]!r}")
    return _swapped(bytes.fromhex(text.replace("-", "")))


def _guid_text(guid: bytes | None) -> str:
    if guid is None:
        return ""
    digits = _swapped(guid).hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def _swapped(guid: bytes) -> bytes:
    """A GUID's first three numbers are little-endian as stored and big-endian in text."""
    return guid[3::-1] + guid[5:3:-1] + guid[7:5:-1] + guid[8:]


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
        if not parts.control & PRESENT[part]:
            continue
        words.append(part + ":")
        words += [flag for flag, bit in CONTROL[part].items() if parts.control & bit]
        if acl is None:
            words.append(_NULL_ACL)
            continue
        for index, ace in enumerate(acl):
            try:
                _placed(ace, part)
                words.append(format_ace(ace))
            except SecurityDataError as error:
                raise error.within(f"ACE {index} of the {part}ACL") from None
    return "".join(words)


def format_ace(ace: Ace) -> str:
    """Write one entry, parentheses included.

    Raises:
        SecurityDataError: it has no text here.
    """
    name = TYPE_NAMES.get(ace.type)
    expression = _EXPRESSIONS.get(ace.type)
    if name is None or ace.sid is None or (ace.data and expression is None):
        raise SecurityDataError(f"an ACE of type {ace.type:#x} with {len(ace.data)} more bytes has no SDDL text")
    behind = "" if expression is None else ";" + expression.text(ace.data)
    object_text = inherited_text = ""
    if ace.object_part is not None:
        flags, first, second = ace.object_part
        if flags != ((first is not None) | (second is not None) << 1):
            raise SecurityDataError(f"object flags {flags:#x} have no SDDL text")
        object_text, inherited_text = _guid_text(first), _guid_text(second)
    rights = _label_text(ace.mask) if ace.type == LABEL else _mask_text(ace.mask)
    sid = ace.sid.alias or ace.sid
    return f"({name};{_flags_text(ace.flags)};{rights};{object_text};{inherited_text};{sid}{behind})"


@lru_cache(maxsize=256)
def _flags_text(flags: int) -> str:
    return "".join(name for name, bit in FLAGS.items() if flags & bit)


@lru_cache(maxsize=1024)
def _mask_text(mask: int) -> str:
    name = MASK_NAMES.get(mask)
    if name is not None:
        return name
    if not mask & ~ALL_BITS:  # of no bits too: the field is empty
        return "".join(name for name, bit in BITS.items() if mask & bit)
    return f"{mask:#x}"


def _label_text(mask: int) -> str:
    if not mask & ~0x7:
        return "".join(name for name, bit in LABEL_BITS.items() if mask & bit)
    return f"{mask:#x}"
