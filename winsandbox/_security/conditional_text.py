"""Conditions of callback entries: from binary to text. ``conditional`` has the other direction and the sources.

Written as Windows writes them (recorded by Samba's authors): ``Member_of`` but ``Member_of_any``, ``@USER.``,
parentheses around each binary operator and each Member_of, and around what ``!``, ``&&`` and ``||`` apply to, save
where it has them already. What text cannot say exactly (numbers of 8 to 32 bits, lists within lists, other padding,
tokens nobody knows) is an error and never a silent change: each text is compiled again and compared.

Without recursion, and in time that is linear in the length but for the merging of texts (n log n).
"""

from __future__ import annotations

import re
import struct
from collections import deque
from typing import Final

from .conditional import (
    AND,
    CLASSES,
    COMPARISONS,
    COMPOSITE,
    EXISTENCE,
    INT64,
    INTEGER,
    LENGTH,
    LOCAL,
    LOGICAL,
    MEMBERSHIP,
    NOT,
    OCTETS,
    OR,
    SID,
    SIGNATURE,
    STRING,
    parse,
)
from .errors import SecurityDataError
from .sid import sid_at

__all__ = ["escaped", "text"]

_BINARY: Final = {code: name for name, code in (*COMPARISONS.items(), *LOGICAL.items())}
_UNARY: Final = {code: name for name, code in (*EXISTENCE.items(), *MEMBERSHIP.items())}
_MEMBERS: Final = frozenset(MEMBERSHIP.values())
_CLASS_NAMES: Final = {code: f"@{name.upper()}." for name, code in CLASSES.items()} | {LOCAL: ""}

# MS-DTYP 2.5.1.1: all but these are written as %XXXX in the name of an attribute. Other scripts need not be, but may.
_ESCAPED: Final = re.compile(r"[^A-Za-z0-9#$'*+,\-./:;?@\[\\\]^_`{}~]")


def escaped(name: str) -> str:
    """The name of an attribute as it stands in text."""

    def code_units(found: re.Match[str]) -> str:
        raw = found[0].encode("utf-16-le", "surrogatepass")
        return "".join(f"%{raw[at] | raw[at + 1] << 8:04x}" for at in range(0, len(raw), 2))

    return _ESCAPED.sub(code_units, name)


def text(data: bytes) -> str:
    """The text of a condition, parentheses included, as Windows writes it.

    Raises:
        SecurityDataError: it is none, or has no text that would give the same bytes again.
    """
    if not data.startswith(SIGNATURE):
        raise SecurityDataError("the bytes behind the SID are no condition")
    try:
        result = _decompiled(data)
        same = parse(result, 0) == (data, len(result))
    except SecurityDataError as error:
        raise SecurityDataError(f"a condition that has no text: {error}") from None
    except (IndexError, UnicodeError, struct.error):
        raise SecurityDataError("a condition that is damaged") from None
    if not same:
        raise SecurityDataError("a condition that text cannot say exactly")
    return result


_Part = tuple[deque[str], bool]  # the pieces of an expression, and whether it stands in parentheses by itself


def _decompiled(data: bytes) -> str:
    stack: list[_Part] = []
    at = len(SIGNATURE)
    while at < len(data):
        code = data[at]
        if code == 0:  # padding; that nothing else follows shows when the text is compiled again
            break
        if code in _BINARY:
            right, left = _operand(stack.pop(), code), _operand(stack.pop(), code)
            left.appendleft("(")
            left.append(f" {_BINARY[code]} ")
            # The shorter text moves, so that long chains do not cost the square of their length.
            if len(left) >= len(right):
                left.extend(right)
                joined = left
            else:
                right.extendleft(reversed(left))
                joined = right
            joined.append(")")
            stack.append((joined, True))
            at += 1
        elif code == NOT:
            pieces = _operand(stack.pop(), code)
            pieces.appendleft("!")
            stack.append((pieces, False))
            at += 1
        elif code in _UNARY:
            pieces, _ = stack.pop()
            pieces.appendleft(f"{_UNARY[code]} ")
            member = code in _MEMBERS
            if member:
                pieces.appendleft("(")
                pieces.append(")")
            stack.append((pieces, member))
            at += 1
        else:
            word, at = _word(data, at)
            stack.append((deque((word,)), False))
    if len(stack) != 1:
        raise SecurityDataError("its tokens are not one expression")
    pieces, wrapped = stack[0]
    result = "".join(pieces)
    return result if wrapped else f"({result})"


def _operand(part: _Part, code: int) -> deque[str]:
    """What a binary operator or ! applies to, with parentheses where it needs them."""
    pieces, wrapped = part
    if code in (AND, OR, NOT) and not wrapped:
        pieces.appendleft("(")
        pieces.append(")")
    return pieces


def _word(data: bytes, at: int) -> tuple[str, int]:
    """The text of one attribute or literal token and the offset behind it."""
    code = data[at]
    if code == INT64:
        _, bits, sign, base = INTEGER.unpack_from(data, at)
        return _number_text(bits, sign, base), at + INTEGER.size
    _, length = LENGTH.unpack_from(data, at)
    at += LENGTH.size
    end = at + length
    if end > len(data):
        raise SecurityDataError(f"token {code:#x} is truncated")
    value = data[at:end]
    if code == COMPOSITE:
        words = []
        inside = 0
        while inside < length:
            if value[inside] == COMPOSITE:
                raise SecurityDataError("a list within a list")
            word, inside = _word(value, inside)
            words.append(word)
        return f"{{{', '.join(words)}}}", end
    if code == STRING:
        return f'"{value.decode("utf-16-le", "surrogatepass")}"', end
    if code == OCTETS:
        return f"#{value.hex()}", end
    if code == SID:
        sid = sid_at(value, 0, len(value))
        return f"SID({sid.alias or sid})", end
    if code in _CLASS_NAMES:
        return _CLASS_NAMES[code] + escaped(value.decode("utf-16-le", "surrogatepass")), end
    raise SecurityDataError(f"token {code:#x} is not known here")


def _number_text(bits: int, sign: int, base: int) -> str:
    value = bits - (1 << 64) if bits >> 63 and (sign != 3 or base == 2) else bits
    digits = {1: f"0{abs(value):o}", 2: str(abs(value)), 3: f"{abs(value):#x}"}.get(base, "")
    return ("-" if value < 0 or sign == 2 else "+" if sign == 1 else "") + digits
