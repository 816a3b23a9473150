"""Resource attributes: the claim behind the SID of an entry of type RA, text and binary.

Binary: CLAIM_SECURITY_ATTRIBUTE_RELATIVE_V1, MS-DTYP 2.4.10.1: a head with offsets, then name and values in this order
without gaps, then zeros up to a multiple of four (so Windows lays it out, as recorded by Samba's authors). Text:
MS-DTYP 2.5.1.1, ``("name",TS,0x0,"a",...)``: TI and TU are numbers of 64 bits, TS strings, TD SIDs, TX octets, TB
0 or 1.
Octets are read with and without the ``#`` in front, as Windows does.

A SID value is the binary SID with its length in front. MS-DTYP calls it "a SID string" there; the tools that show real
entries (NtObjectManager, FileTest) read the binary form, which is also the one of a token's attributes. No recording
settles it.

As in ``conditional``, what text cannot say exactly has no text: each is read again and compared. Numbers are written in
decimal: how they were given, the binary form does not remember.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from itertools import pairwise
from typing import Final

from .conditional import MAX_SIZE, is_text, unescaped
from .conditional_text import escaped
from .errors import SecurityDataError
from .sid import Sid, sid_at

__all__ = ["parse", "text"]

_HEAD: Final = struct.Struct("<IHHII")  # offset of the name, value type, reserved, flags, number of values
_TYPES: Final = {"TI": 0x01, "TU": 0x02, "TS": 0x03, "TD": 0x05, "TB": 0x06, "TX": 0x10}
_TYPE_NAMES: Final = {code: name for name, code in _TYPES.items()}

_BLANKS: Final = r"[\t-\r ]*+"
_START: Final = re.compile(
    rf'{_BLANKS}\({_BLANKS}"([^!&()<>=|"\t-\r ]++)"{_BLANKS},{_BLANKS}(T[IUSDXB]){_BLANKS},{_BLANKS}'
    rf"(0[xX][0-9a-fA-F]{{1,16}}|0[0-7]{{0,22}}|[1-9][0-9]{{0,19}}){_BLANKS}"
)
_COMMA: Final = re.compile(rf",{_BLANKS}")
_END: Final = re.compile(rf"{_BLANKS}\)")
_GAP: Final = re.compile(_BLANKS)
_VALUES: Final = {
    0x01: re.compile(r"[+-]?(?:0[xX][0-9a-fA-F]{1,16}|0[0-7]{0,22}|[1-9][0-9]{0,19})"),
    0x02: re.compile(r"\+?(?:0[xX][0-9a-fA-F]{1,16}|0[0-7]{0,22}|[1-9][0-9]{0,19})"),
    0x03: re.compile(r'"[^"]*+"'),
    0x05: re.compile(r"[A-Za-z0-9-]++"),
    0x06: re.compile(r"[01](?![0-9])"),
    0x10: re.compile(r"#[0-9a-fA-F#]*+|[0-9a-fA-F][0-9a-fA-F#]*+"),
}


def _number(source: str) -> int:
    sign = -1 if source.startswith("-") else 1
    digits = source.lstrip("+-")
    if digits[:2] in ("0x", "0X"):
        return sign * int(digits, 16)
    return sign * (int(digits, 8) if digits.startswith("0") else int(digits))


def parse(source: str, at: int, domain: Sid | None = None) -> tuple[bytes, int]:
    """Read the attribute whose opening parenthesis stands at ``at``.

    Returns:
        The binary form, padded, and the position behind the closing parenthesis.

    Raises:
        SecurityDataError: malformed, or too long for an entry; the place is a position in ``source``.
    """
    head = _START.match(source, at)
    if head is None:
        raise SecurityDataError(
            'expected ("name",T?,flags,...) with T? one of TI, TU, TS, TD, TX, TB', f"position {at}"
        )
    kind, flags = _TYPES[head[2]], _number(head[3])
    values: list[bytes] = []
    size = 0
    at = head.end()
    try:
        name = unescaped(head[1])
        if flags > 0xFFFFFFFF:
            raise SecurityDataError("flags that do not fit in 32 bits")
        while (comma := _COMMA.match(source, at)) is not None:
            at = comma.end()
            found = _VALUES[kind].match(source, at)
            if found is None:
                raise SecurityDataError(f"expected a value of type {head[2]}")
            values.append(_packed(kind, found[0], domain))
            size += 4 + len(values[-1])
            if size > MAX_SIZE:
                raise SecurityDataError(f"the attribute is longer than an entry can be ({MAX_SIZE} bytes)")
            gap = _GAP.match(source, found.end())
            at = gap.end() if gap else found.end()
    except SecurityDataError as error:
        raise error.within(f"position {at}") from None
    end = _END.match(source, at)
    if end is None:
        raise SecurityDataError("expected a comma or a closing parenthesis", f"position {at}")
    return _laid_out(kind, flags, name, values), end.end()


def _packed(kind: int, source: str, domain: Sid | None) -> bytes:
    """One value from its text."""
    if kind == 0x03:
        if not is_text(source[1:-1]):
            raise SecurityDataError("a string with something in it that is no character")
        return source[1:-1].encode("utf-16-le") + b"\0\0"
    if kind == 0x05:
        raw = Sid.parse(source, domain).raw
        return struct.pack("<I", len(raw)) + raw
    if kind == 0x10:
        digits = source.removeprefix("#").replace("#", "0")
        octets = bytes.fromhex("0" * (len(digits) % 2) + digits)
        return struct.pack("<I", len(octets)) + octets
    try:
        return struct.pack("<q" if kind == 0x01 else "<Q", _number(source))
    except struct.error:
        raise SecurityDataError("a number that does not fit in 64 bits") from None


def _laid_out(kind: int, flags: int, name: str, values: list[bytes]) -> bytes:
    raw_name = name.encode("utf-16-le", "surrogatepass") + b"\0\0"
    name_at = _HEAD.size + 4 * len(values)
    at = name_at + len(raw_name)
    offsets = []
    for value in values:
        offsets.append(at)
        at += len(value)
    head = _HEAD.pack(name_at, kind, 0, flags, len(values)) + struct.pack(f"<{len(values)}I", *offsets)
    return b"".join((head, raw_name, *values, bytes(-at % 4)))


def text(data: bytes) -> str:
    """The text of an attribute, parentheses included.

    Raises:
        SecurityDataError: it is none, or has no text that would give the same bytes again.
    """
    try:
        result = _written(data)
        same = parse(result, 0) == (data, len(result))
    except SecurityDataError as error:
        raise SecurityDataError(f"a resource attribute that has no text: {error}") from None
    except (IndexError, UnicodeError, struct.error):
        raise SecurityDataError("a resource attribute that is damaged") from None
    if not same:
        raise SecurityDataError("a resource attribute that text cannot say exactly")
    return result


def _written(data: bytes) -> str:
    name_at, kind, _, flags, count = _HEAD.unpack_from(data)
    if kind not in _TYPE_NAMES:
        raise SecurityDataError(f"value type {kind:#x}")
    if name_at >= len(data) or count > len(data):
        raise SecurityDataError("offsets that point outside of it")
    bounds = (*struct.unpack_from(f"<{count}I", data, _HEAD.size), len(data))
    if any(end <= at for at, end in pairwise(bounds)):  # else many values could share the same bytes
        raise SecurityDataError("values that are out of order")
    write = _WRITERS[kind]
    words = [f'"{escaped(_string(data[name_at:]))}"', _TYPE_NAMES[kind], f"{flags:#x}"]
    words += [write(data[at:end]) for at, end in pairwise(bounds)]
    return f"({','.join(words)})"


def _string(data: bytes) -> str:
    """The string that ends before its NUL."""
    end = 0
    while data[end : end + 2] != b"\0\0":
        end += 2
        if end >= len(data):
            raise SecurityDataError("a string without an end")
    return data[:end].decode("utf-16-le", "surrogatepass")


def _octets(data: bytes) -> bytes:
    (length,) = struct.unpack_from("<I", data)
    return data[4 : 4 + length]


def _sid_text(data: bytes) -> str:
    raw = _octets(data)
    sid = sid_at(raw, 0, len(raw))
    return sid.alias or str(sid)


def _unsigned(data: bytes) -> str:
    return str(struct.unpack_from("<Q", data)[0])


_WRITERS: Final[dict[int, Callable[[bytes], str]]] = {
    0x01: lambda data: str(struct.unpack_from("<q", data)[0]),
    0x02: _unsigned,
    0x03: lambda data: f'"{_string(data)}"',
    0x05: _sid_text,
    0x06: _unsigned,
    0x10: lambda data: f"#{_octets(data).hex()}",
}
