"""The small language of operations in which the conformance cases, ``simulate`` and its users say what is tried.

One operation a line, a verb and its arguments::

    # comments and empty lines do not count
    write src\\a.py
    rename "a file" b
    connect example.com 443

Paths are Windows paths, relative to the working directory of the command; backslashes are backslashes. Double quotes
hold a name with spaces together (no Windows name has a quote in it). ``%NAME%`` stands for a variable of the child's
environment, as in ``write %TEMP%\\x``.

What an operation comes to is one of four verdicts:

* ``allowed``: it happened;
* ``denied``: the system refused it;
* ``discouraged``: a well-behaved client found the network shim's dead end and gave up, which is no refusal;
* ``failed``: neither, such as a file that is not there. It never counts as a denial.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple, get_args

from .errors import Mistake, ScriptError

__all__ = ["VERBS", "VERDICTS", "Operation", "Outcome", "Verb", "Verdict", "parse", "parse_line"]

Verdict = Literal["allowed", "denied", "discouraged", "failed"]
VERDICTS: Final[tuple[Verdict, ...]] = get_args(Verdict)

_PORT_MOST: Final = 65_535
_SPAWN_MOST: Final = 32
_SLEEP_MOST: Final = 86_400
RIGHTS: Final = ("query", "terminate", "vm-read", "vm-write", "create-thread", "dup-handle")
# A word: pieces without blanks and pieces in quotes, next to each other. A quote that no other one ends is a word too.
_WORD: Final = re.compile(r'(?:[^\s"]|"[^"]*")+|"')
_VARIABLE: Final = re.compile(r"%([^%\s\\/:]+)%")


class Outcome(NamedTuple):
    """What became of an operation, and why as far as is known."""

    verdict: Verdict
    reason: str = ""


class Verb(NamedTuple):
    """One verb: the names of its arguments, what it means, and what checks an argument that is no path."""

    parameters: tuple[str, ...]
    text: str
    check: Callable[[tuple[str, ...]], str] = lambda arguments: ""


def _number(index: int, least: int, most: int) -> Callable[[tuple[str, ...]], str]:
    def check(arguments: tuple[str, ...]) -> str:
        given = arguments[index]
        if given.isascii() and given.isdigit() and least <= int(given) <= most:
            return ""
        return f"{given!r} is no whole number from {least} to {most}."

    return check


def _right(arguments: tuple[str, ...]) -> str:
    return "" if arguments[0] in RIGHTS else f"{arguments[0]!r} is none of {', '.join(RIGHTS)}."


def _url(arguments: tuple[str, ...]) -> str:
    return "" if arguments[0].startswith(("http://", "https://")) else f"{arguments[0]!r} is no http or https URL."


VERBS: Final[Mapping[str, Verb]] = {
    "write": Verb(("FILE",), "make a file, or replace its content"),
    "append": Verb(("FILE",), "add to the end of a file"),
    "read": Verb(("FILE",), "read a file"),
    "delete": Verb(("FILE",), "delete a file or a link"),
    "mkdir": Verb(("DIRECTORY",), "make a directory"),
    "rmdir": Verb(("DIRECTORY",), "delete an empty directory or a junction"),
    "list": Verb(("DIRECTORY",), "list a directory"),
    "rename": Verb(("FROM", "TO"), "rename or move; TO must be free"),
    "replace": Verb(("FROM", "TO"), "rename over an existing file"),
    "link": Verb(("FILE", "NEW"), "give a file a second name (a hard link)"),
    "junction": Verb(("DIRECTORY", "NEW"), "make a junction NEW that leads to a directory"),
    "symlink": Verb(("TARGET", "NEW"), "make a symbolic link NEW to a file"),
    "dirlink": Verb(("TARGET", "NEW"), "make a symbolic link NEW to a directory"),
    "open-up": Verb(("PATH",), "let Everyone do everything with it (WRITE_DAC)"),
    "connect": Verb(("HOST", "PORT"), "a connection by a program that asks nobody", _number(1, 1, _PORT_MOST)),
    "http": Verb(("URL",), "a request by a client that honours proxy variables", _url),
    "registry-read": Verb(("KEY",), "read a registry key"),
    "registry-set": Verb(("KEY", "NAME"), "set a value of a registry key"),
    "process": Verb(("RIGHT",), "open the process that started the sandbox, for " + ", ".join(RIGHTS), _right),
    "own-process": Verb(("RIGHT",), "open the command's own process", _right),
    "pipe": Verb(("NAME",), "open a named pipe for reading and writing"),
    "spawn": Verb(("COUNT",), "start that many processes, one from the other", _number(0, 1, _SPAWN_MOST)),
    "console": Verb((), "be on the console of the process that started the sandbox"),
    "desktop": Verb((), "be on the desktop of the process that started the sandbox"),
    "sleep": Verb(("SECONDS",), "do nothing for a while", _number(0, 0, _SLEEP_MOST)),
}


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation. ``line`` is where it stands in the script, 0 where it was not read from one."""

    verb: str
    arguments: tuple[str, ...]
    line: int = 0

    def __str__(self) -> str:
        return " ".join([self.verb, *(f'"{word}"' if re.search(r"[\s#]", word) else word for word in self.arguments)])

    def expanded(self, values: Mapping[str, str]) -> Operation:
        """With ``%NAME%`` replaced where `values` has the name (without case); others stay."""
        known = {name.upper(): value for name, value in values.items()}

        def value(found: re.Match[str]) -> str:
            return known.get(found[1].upper(), found[0])

        return Operation(self.verb, tuple(_VARIABLE.sub(value, word) for word in self.arguments), self.line)


def parse(text: str) -> tuple[Operation, ...]:
    """All operations of a script.

    Raises:
        ScriptError: with every line that is none: its number, the column, what is wrong and the nearest operation.
    """
    found: list[Operation] = []
    mistakes: list[Mistake] = []
    for number, line in enumerate(text.removeprefix("\ufeff").splitlines(), 1):
        read = _read(line, number)
        if isinstance(read, Operation):
            found.append(read)
        elif read is not None:
            mistakes.append(read)
    if mistakes:
        raise ScriptError(mistakes)
    return tuple(found)


def parse_line(line: str) -> Operation:
    """The operation in one line.

    Raises:
        ScriptError: there is none in it.
    """
    read = _read(line, 0)
    if isinstance(read, Operation):
        return read
    raise ScriptError([read or _mistake(0, 1, "there is no operation.", _usage())])


def _read(line: str, number: int) -> Operation | Mistake | None:
    """The operation, what is wrong with it, or None for a line without one."""
    words: list[tuple[int, str]] = []
    for found in _WORD.finditer(line):
        word = found[0]
        if word.startswith("#"):
            break
        if word == '"' or "\0" in word:
            reason = "a quote without its end." if word == '"' else "a NUL character."
            return _mistake(number, found.start() + 1, reason, 'Write "a name with spaces".')
        if word.replace('"', "") == "":
            return _mistake(number, found.start() + 1, "an empty name.", "Leave it out, or write the name.")
        words.append((found.start() + 1, word.replace('"', "")))
    if not words:
        return None
    (column, name), *rest = words
    verb = VERBS.get(name)
    if verb is None:
        return _mistake(number, column, f"there is no operation {name!r}.", _nearest(name))
    arguments = tuple(word for _, word in rest)
    if len(arguments) != len(verb.parameters):
        at = rest[len(verb.parameters)][0] if len(rest) > len(verb.parameters) else len(line.rstrip()) + 1
        count = len(verb.parameters)
        wanted = f"{count} argument{'' if count == 1 else 's'}"
        return _mistake(
            number,
            at,
            f"{name} takes {wanted}, not {len(arguments)}.",
            f"Write: {_form(name)} (quote names with spaces).",
        )
    if wrong := verb.check(arguments):
        return _mistake(number, rest[0][0], wrong, f"Write: {_form(name)}.")
    return Operation(name, arguments, number)


def _mistake(line: int, column: int, reason: str, remedy: str) -> Mistake:
    return Mistake(f"line {line}, column {column}" if line else f"column {column}", reason, remedy, "script")


def _form(name: str) -> str:
    return " ".join((name, *VERBS[name].parameters))


def _nearest(name: str) -> str:
    import difflib

    near = difflib.get_close_matches(name.lower(), VERBS, n=1, cutoff=0.5)
    return f"Did you mean: {_form(near[0])}?" if near else _usage()


def _usage() -> str:
    return "There are: " + ", ".join(VERBS) + "."
