"""How the network shim's variables are laid over an environment: pure functions, used by :mod:`.network` alone."""

from __future__ import annotations

import ntpath
import re
from collections.abc import Collection, Mapping
from typing import Final

from .environment import folded
from .errors import Mistake, PolicyError

__all__ = ["EXTENSIONS", "appended", "entries", "git_config", "paths", "value_of", "words"]

EXTENSIONS: Final = (".cmd", ".bat")
"""Those of the stubs for Windows."""

# What strtoul takes, as git calls it: blanks and a sign in front, nothing behind, and the empty text for 0. (A negative
# number wraps around; all but a few absurd ones are then too large for git.)
_COUNT: Final = re.compile(r"(?:[ \t\n\v\f\r]*(?:-0+|\+?([0-9]+)))?")
_MOST: Final = 2**31 - 1


def words(proxy: str, *, allow_loopback: bool) -> dict[str, str]:
    """What the words in braces of the table stand for; `proxy` is of the form that the shim checks."""
    authority = proxy.removeprefix("http://").rstrip("/")
    host, _, port = authority.rpartition(":")
    return {
        "proxy": f"http://{authority}",
        "authority": authority,
        "host": host.strip("[]"),
        "port": port,
        "no_proxy": "localhost,127.0.0.1,::1" if allow_loopback else "",
        "java_no_proxy": "localhost" if allow_loopback else "",
    }


def value_of(environment: Mapping[str, str], name: str) -> str:
    """The value of `name` in whatever spelling, or ""."""
    return next((value for key, value in environment.items() if folded(key) == folded(name)), "")


def appended(value: str, options: str, template: str = "") -> str:
    """`value` with `options` behind it, once; in the option lists of a JVM, of Maven and of git the last one wins.

    What a former shim appended by the same `template`, with other words, is replaced; only a template with words in
    it, which nobody else can have written.
    """
    rest = value.removesuffix(options) if f" {value}".endswith(f" {options}") else f"{value} "
    if "{" in template:
        parts = re.split(r"(\{\w+\})", template)
        former = "".join(r"\S*" if part.startswith("{") else re.escape(part) for part in parts)
        rest = re.sub(rf"(?<!\S){former} ", "", rest)
    return rest + options if rest.strip() else options


def entries(environment: Mapping[str, str]) -> list[tuple[str, str]]:
    """The git configuration entries in ``GIT_CONFIG_KEY_n`` and ``GIT_CONFIG_VALUE_n`` of an environment of ours."""
    return [_pair(environment, index) for index in range(_counted(value_of(environment, "GIT_CONFIG_COUNT")) or 0)]


def git_config(current: Mapping[str, str], ours: list[tuple[str, str]], kept: Collection[str]) -> dict[str, str | None]:
    """Entries behind the user's own ``GIT_CONFIG_KEY_n``, and behind those of his ``git -c``; the last one wins."""
    if not ours or "GIT_CONFIG_COUNT" in kept:
        return {}
    changes: dict[str, str | None] = {}
    # Git reads this one, by which "git -c" reaches the git commands below it, after the numbered entries. In the old
    # form, which every git takes; where the user's text is no good, git refuses it with our entry behind it too.
    parameters = value_of(current, "GIT_CONFIG_PARAMETERS")
    if parameters.strip() and "GIT_CONFIG_PARAMETERS" not in kept:
        quoted = " ".join(f"'{key}={value}'" for key, value in ours)
        changes["GIT_CONFIG_PARAMETERS"] = appended(parameters, quoted)
    count = _counted(value_of(current, "GIT_CONFIG_COUNT"))
    if count is None:
        return changes  # git refuses to run with such a count; taking it away would make it run
    first = count - len(ours)
    if first < 0 or [_pair(current, first + index) for index in range(len(ours))] != ours:
        first = count
    changes["GIT_CONFIG_COUNT"] = str(first + len(ours))
    for index, (key, value) in enumerate(ours, first):
        changes[f"GIT_CONFIG_KEY_{index}"] = key
        changes[f"GIT_CONFIG_VALUE_{index}"] = value
    return changes


def _counted(text: str) -> int | None:
    """The number of entries as git reads it; None: git refuses it."""
    match = _COUNT.fullmatch(text)
    if match is None:
        return None
    digits = (match[1] or "").lstrip("0") or "0"
    return int(digits) if len(digits) <= len(str(_MOST)) and int(digits) <= _MOST else None


def _pair(environment: Mapping[str, str], index: int) -> tuple[str, str]:
    return value_of(environment, f"GIT_CONFIG_KEY_{index}"), value_of(environment, f"GIT_CONFIG_VALUE_{index}")


def paths(current: Mapping[str, str], denybin: str) -> dict[str, str | None]:
    """PATH with `denybin` in front and, for a Windows path, PATHEXT with the stubs' extensions in front."""
    windows = bool(ntpath.splitdrive(denybin)[0]) and ntpath.isabs(denybin)
    separator = ";" if windows else ":"
    if not (windows or denybin.startswith("/")) or any(c in denybin for c in (separator, '"', "\0")):
        # A relative entry would be searched in the working directory, where the child writes.
        remedy = "Use an absolute path without quotes and separators of PATH."
        raise PolicyError([Mistake(denybin, "PATH cannot hold this directory of stubs.", remedy, "network.denybin")])
    path = value_of(current, "PATH")
    if path != denybin and not path.startswith(denybin + separator):
        path = denybin + separator + path if path else denybin
    changes: dict[str, str | None] = {"PATH": path}
    if windows:
        present = (value_of(current, "PATHEXT") or ".COM;.EXE;.BAT;.CMD").split(";")
        first = [extension.upper() for extension in EXTENSIONS]
        changes["PATHEXT"] = ";".join([*first, *(e for e in present if e.strip().upper() not in first)])
    return changes
