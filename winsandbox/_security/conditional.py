"""Conditions of callback entries: from text to binary. ``conditional_text`` has the other direction.

Binary: MS-DTYP 2.4.4.17.4 to 2.4.4.17.7: the bytes "artx", then tokens in postfix order, then zeros up to a multiple of
four. Text: MS-DTYP 2.5.1.1 and Microsoft Learn, "Security Descriptor Definition Language for Conditional ACEs". Where
both are silent, Windows' own answers as Samba's authors recorded them (ConvertStringSecurityDescriptorTo...):

* names of operators, of the classes User, Device and Resource, and SID( in any case;
* numbers always become 64-bit tokens, which remember sign and base; a hex or octal number without a sign may use all
  64 bits; ``#`` is a hex digit 0 of an octet string, and an odd number of digits gets a 0 in front;
* parentheses may stand around a literal behind an operator, and around any expression; ``!`` wants parentheses or an
  ``@`` attribute behind it; a simple attribute cannot stand on the right of an operator, nor a literal on the left.

``!`` binds tighter than ``&&``, that tighter than ``||``; all others bind tighter still, from left to right. Read
without recursion and in linear time: nesting needs no bound but the 64 KiB of an entry. Conditions are not evaluated.
"""

from __future__ import annotations

import re
import struct
from typing import Final

from .errors import SecurityDataError
from .sid import Sid

__all__ = [
    "AND",
    "CLASSES",
    "COMPARISONS",
    "COMPOSITE",
    "EXISTENCE",
    "INT64",
    "INTEGER",
    "LENGTH",
    "LOCAL",
    "LOGICAL",
    "MAX_SIZE",
    "MEMBERSHIP",
    "NOT",
    "OCTETS",
    "OR",
    "SID",
    "SIGNATURE",
    "STRING",
    "is_text",
    "parse",
    "unescaped",
]

SIGNATURE: Final = b"artx"
MAX_SIZE: Final = 0xFFFC  # of a whole entry; no condition can be longer

INT64: Final = 0x04
STRING: Final = 0x10
OCTETS: Final = 0x18
COMPOSITE: Final = 0x50
SID: Final = 0x51
LOCAL: Final = 0xF8
CLASSES: Final = {"user": 0xF9, "resource": 0xFA, "device": 0xFB}
COMPARISONS: Final = {
    "==": 0x80,
    "!=": 0x81,
    "<": 0x82,
    "<=": 0x83,
    ">": 0x84,
    ">=": 0x85,
    "Contains": 0x86,
    "Any_of": 0x88,
    "Not_Contains": 0x8E,
    "Not_Any_of": 0x8F,
}
EXISTENCE: Final = {"Exists": 0x87, "Not_Exists": 0x8D}
MEMBERSHIP: Final = {
    "Member_of": 0x89,
    "Device_Member_of": 0x8A,
    "Member_of_any": 0x8B,
    "Device_Member_of_Any": 0x8C,
    "Not_Member_of": 0x90,
    "Not_Device_Member_of": 0x91,
    "Not_Member_of_Any": 0x92,
    "Not_Device_Member_of_Any": 0x93,
}
AND: Final = 0xA0
OR: Final = 0xA1
NOT: Final = 0xA2
_OPEN: Final = -1  # on the stack of operators only
_BINDING: Final = {_OPEN: 0, OR: 1, AND: 2, NOT: 3}

LOGICAL: Final = {"&&": AND, "||": OR}
_BY_NAME: Final = {name.lower(): code for name, code in (*COMPARISONS.items(), *EXISTENCE.items(), *MEMBERSHIP.items())}

_BLANKS: Final = re.compile(r"[\t-\r ]*+")
_WORD: Final = re.compile(r"[A-Za-z0-9:./_][A-Za-z0-9:./_@]*+")  # a simple attribute or the name of an operator
_ATTRIBUTE: Final = re.compile(r"@(user|device|resource)\.([^!&()<>=|\"\t-\r ]++)", re.IGNORECASE | re.ASCII)
_SYMBOL: Final = re.compile(r"&&|\|\||[=!<>]=|[<>]")
_NUMBER: Final = re.compile(
    r"([+-]?)(?:0[xX]([0-9a-fA-F]{1,32})|0([0-7]{1,32})|(0|[1-9][0-9]{0,18}))(?![A-Za-z0-9:./_])"
)
_QUOTED: Final = re.compile(r'"([^"]*+)"')
_HEX: Final = re.compile(r"#([0-9a-fA-F#]*+)")
_SID_TEXT: Final = re.compile(r"SID\(([A-Za-z0-9-]++)\)", re.IGNORECASE | re.ASCII)

_SIGNS: Final = {"+": 1, "-": 2, "": 3}
LENGTH: Final = struct.Struct("<BI")
INTEGER: Final = struct.Struct("<BQBB")

# MS-DTYP 2.5.1.1: in the names of attributes, these characters must stand for themselves, and others may be %XXXX.
_ESCAPE: Final = re.compile(r"%([0-9a-fA-F]{4})|%")
_NEVER_ESCAPED: Final = re.compile(r"[A-Za-z0-9#$'*+\-./:;?@\[\\\]^_`{}~\0]")


def is_text(value: str) -> bool:
    """Whether a string can stand between quotes: no quote, no NUL, and nothing that is no character."""
    return '"' not in value and "\0" not in value and not any("\ud800" <= one <= "\udfff" for one in value)


def unescaped(name: str) -> str:
    """The name of an attribute that stands so in text.

    Raises:
        SecurityDataError: a ``%`` without four hex digits, or one of a character that must not be escaped.
    """
    if "%" not in name:
        return name

    def character(found: re.Match[str]) -> str:
        one = chr(int(found[1] or "0", 16))
        if _NEVER_ESCAPED.match(one):
            raise SecurityDataError(f"{found[0]!r} in the name of an attribute is no escape of a special character")
        return one

    name = _ESCAPE.sub(character, name)
    # Two escapes may be the halves of one character.
    return name.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def parse(source: str, at: int, domain: Sid | None = None) -> tuple[bytes, int]:
    """Compile the condition whose opening parenthesis stands at ``at``.

    Returns:
        The binary form, padded, and the position behind the closing parenthesis.

    Raises:
        SecurityDataError: malformed, or too long for an entry; the place is a position in ``source``.
    """
    return _Compiler(source, at, domain).run()


class _Compiler:
    """One run over the text: ``out`` gets the tokens in postfix order, ``waiting`` has operators not yet written."""

    def __init__(self, source: str, at: int, domain: Sid | None) -> None:
        self.source = source
        self.at = at
        self.domain = domain
        self.out = bytearray(SIGNATURE)
        self.waiting: list[int] = []

    def error(self, problem: str) -> SecurityDataError:
        return SecurityDataError(problem, f"position {self.at}")

    def skip(self) -> str:
        """The next character that is no blank, where ``at`` then stands; empty at the end."""
        found = _BLANKS.match(self.source, self.at)
        self.at = found.end() if found else self.at
        return self.source[self.at : self.at + 1]

    def take(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        found = pattern.match(self.source, self.at)
        if found is not None:
            self.at = found.end()
        return found

    def run(self) -> tuple[bytes, int]:
        if self.skip() != "(":
            raise self.error("a condition begins with a parenthesis")
        self.at += 1
        self.waiting.append(_OPEN)
        comparable = self.operand()
        while self.waiting:
            comparable = self.operator(comparable)
            if len(self.out) > MAX_SIZE:
                raise self.error(f"the condition is longer than an entry can be ({MAX_SIZE} bytes)")
        return bytes(self.out) + bytes(-len(self.out) % 4), self.at

    def operand(self) -> bool:
        """Read up to the end of an attribute, Exists or Member_of; True where a comparison may follow."""
        while True:
            one = self.skip()
            if one == "(":
                self.waiting.append(_OPEN)
            elif one == "!":
                self.waiting.append(NOT)
            else:
                break
            self.at += 1
            if one == "!" and self.skip() not in ("(", "@"):
                raise self.error("expected a parenthesis or an @ attribute behind !")
        if one == "@":
            self.attribute()
            return True
        word = self.take(_WORD)
        if word is None:
            raise self.error("expected an attribute or a condition")
        code = _BY_NAME.get(word[0].lower())
        if code is None:
            self.put(LOCAL, word[0].encode("utf-16-le"))
            return True
        if code in EXISTENCE.values():
            if self.skip() == "@":
                self.attribute()
            else:
                name = self.take(_WORD)
                if name is None or name[0].lower() in _BY_NAME:
                    raise self.error(f"expected an attribute behind {word[0]}")
                self.put(LOCAL, name[0].encode("utf-16-le"))
        elif code in MEMBERSHIP.values():
            self.literal()
        else:
            self.at -= len(word[0])
            raise self.error(f"{word[0]} has nothing on its left")
        self.out.append(code)
        return code in EXISTENCE.values()

    def operator(self, comparable: bool) -> bool:
        """Read a closing parenthesis, or an operator with what stands on its right."""
        one = self.skip()
        if one == ")":
            self.at += 1
            self.flush(_BINDING[_OPEN] + 1)
            self.waiting.pop()
            return True
        found = self.take(_SYMBOL) or self.take(_WORD)
        name = found[0] if found else ""
        logical = LOGICAL.get(name)
        if logical is not None:
            self.flush(_BINDING[logical])
            self.waiting.append(logical)
            return self.operand()
        code = COMPARISONS.get(name) or _BY_NAME.get(name.lower())
        if code not in COMPARISONS.values() or code is None or not comparable:
            self.at -= len(name)
            raise self.error("expected && or || or a closing parenthesis" + (" or a comparison" if comparable else ""))
        if self.skip() == "@":
            self.attribute()
            comparable = True
        else:
            self.literal()
            comparable = False
        self.out.append(code)
        return comparable

    def flush(self, binding: int) -> None:
        """Write the waiting operators that bind at least as tightly, back to the last open parenthesis."""
        while _BINDING[self.waiting[-1]] >= binding:
            self.out.append(self.waiting.pop())

    def put(self, code: int, data: bytes) -> None:
        self.out += LENGTH.pack(code, len(data)) + data

    def attribute(self) -> None:
        start = self.at
        found = self.take(_ATTRIBUTE)
        if found is None:
            raise self.error("expected @User., @Device. or @Resource. and a name")
        try:
            name = unescaped(found[2])
        except SecurityDataError as error:
            raise error.within(f"position {start}") from None
        self.put(CLASSES[found[1].lower()], name.encode("utf-16-le", "surrogatepass"))

    def literal(self) -> None:
        """One literal or list of literals, perhaps in parentheses."""
        depth = 0
        while self.skip() == "(":
            self.at += 1
            depth += 1
        if self.skip() == "{":
            self.composite()
        else:
            self.scalar()
        for _ in range(depth):
            if self.skip() != ")":
                raise self.error("expected a closing parenthesis behind the literal")
            self.at += 1

    def composite(self) -> None:
        self.at += 1
        start = len(self.out)
        self.put(COMPOSITE, b"")
        more = self.skip() != "}"
        while more:
            self.skip()
            self.scalar()
            more = self.skip() == ","
            if more:
                self.at += 1
            elif self.skip() != "}":
                raise self.error("expected a comma or the end of the list")
            if len(self.out) > MAX_SIZE:
                raise self.error(f"the condition is longer than an entry can be ({MAX_SIZE} bytes)")
        self.at += 1
        LENGTH.pack_into(self.out, start, COMPOSITE, len(self.out) - start - LENGTH.size)

    def scalar(self) -> None:
        start = self.at
        if found := self.take(_QUOTED):
            if not is_text(found[1]):
                self.at = start
                raise self.error("a string with something in it that is no character")
            self.put(STRING, found[1].encode("utf-16-le"))
        elif found := self.take(_HEX):
            digits = found[1].replace("#", "0")
            self.put(OCTETS, bytes.fromhex("0" * (len(digits) % 2) + digits))
        elif found := self.take(_SID_TEXT):
            try:
                self.put(SID, Sid.parse(found[1], self.domain).raw)
            except SecurityDataError as error:
                raise error.within(f"position {start}") from None
        elif found := self.take(_NUMBER):
            self.number(found, start)
        else:
            raise self.error('expected a literal: a number, "text", #octets, SID(...) or a list in braces')

    def number(self, found: re.Match[str], start: int) -> None:
        sign, hexadecimal, octal, decimal = found.groups()
        value = int(hexadecimal, 16) if hexadecimal else int(octal, 8) if octal else int(decimal)
        base = 3 if hexadecimal else 1 if octal else 2
        # Without a sign hex and octal digits are bits; with one they are a magnitude, as decimal ones always are.
        limit = 1 << 63 if sign == "-" else (1 << 63) - 1 if sign or decimal else (1 << 64) - 1
        if value > limit:
            self.at = start
            raise self.error("a number that does not fit in 64 bits")
        bits = -value & 0xFFFFFFFFFFFFFFFF if sign == "-" else value
        self.out += INTEGER.pack(INT64, bits, _SIGNS[sign], base)
