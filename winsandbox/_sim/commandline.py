"""How a program makes argv of its command line: the Microsoft C runtime's rules.

Source: "Parsing C command-line arguments" (Microsoft Learn). The first argument knows quotes only; in the others 2n
backslashes before a quote are n backslashes, one more escapes the quote, and a doubled quote inside quotes is a quote.
"""

from __future__ import annotations

__all__ = ["split"]


def split(line: str) -> tuple[str, ...]:
    """The arguments of `line`, the program's name first."""
    arguments: list[str] = []
    at = 0
    quoted = False
    word = ""
    while at < len(line) and (quoted or line[at] not in " \t"):
        if line[at] == '"':
            quoted = not quoted
        else:
            word += line[at]
        at += 1
    arguments.append(word)
    while True:
        while at < len(line) and line[at] in " \t":
            at += 1
        if at >= len(line):
            return tuple(arguments)
        word, at = _argument(line, at)
        arguments.append(word)


def _argument(line: str, at: int) -> tuple[str, int]:
    word = ""
    quoted = False
    while at < len(line) and (quoted or line[at] not in " \t"):
        slashes = 0
        while at < len(line) and line[at] == "\\":
            slashes += 1
            at += 1
        if at < len(line) and line[at] == '"':
            word += "\\" * (slashes // 2)
            if slashes % 2:
                word += '"'
            elif quoted and line[at + 1 : at + 2] == '"':
                word += '"'
                at += 1
            else:
                quoted = not quoted
            at += 1
            continue
        word += "\\" * slashes
        if at < len(line) and (quoted or line[at] not in " \t"):
            word += line[at]
            at += 1
    return word, at
