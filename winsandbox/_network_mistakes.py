"""What is wrong with the arguments of a network shim, each with its remedy; used by :mod:`.network` alone."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Final

from ._network_changes import EXTENSIONS
from ._network_table import ROWS
from .environment import entry_mistakes, folded, is_text, nearest, type_mistake
from .errors import Mistake

__all__ = ["extra_mistakes", "is_marker", "keep_mistake", "proxy_mistakes", "repeated", "stub_mistake", "tool_mistake"]

_PROXY: Final = re.compile(r"http://(?P<host>[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\]):(?P<port>[0-9]{1,5})/?")
_LABEL: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
_COMMAND: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")
# With the extension it is the last part of a path, which begins with the user's directory and has 260 characters.
_LONGEST: Final = 64
_DEVICES: Final = frozenset(
    {"CON", "PRN", "AUX", "NUL", *(f"{name}{n}" for name in ("COM", "LPT") for n in range(1, 10))}
)
# What Windows starts by its name alone: the file without extension that is made of each stub would be such a file.
_STARTED: Final = (
    *EXTENSIONS,
    *[".exe", ".com", ".pif", ".scr", ".cpl", ".msc", ".msi", ".lnk", ".url", ".hta", ".reg"],
    *[".js", ".jse", ".vbs", ".vbe", ".wsf", ".wsh", ".ps1", ".psm1", ".psd1", ".py", ".pyw", ".pyz", ".jar"],
)
_MARKER: Final = re.compile(r"WINSANDBOX_NETWORK_SHIM_V[0-9]+")
# The shim builds these from the denybin directory and from the user's entries; another value would leave the stubs or
# the user's entries out.
_RESERVED: Final = re.compile(r"PATH|PATHEXT|GIT_CONFIG_(?:COUNT|PARAMETERS|KEY_[0-9]+|VALUE_[0-9]+)")
_KEPT_TOO: Final = ("GIT_CONFIG_COUNT", "GIT_CONFIG_PARAMETERS")


def is_marker(name: str) -> bool:
    """Whether it is the name of a marker, of whatever version, in whatever spelling."""
    return bool(_MARKER.fullmatch(folded(name)))


def proxy_mistakes(value: object) -> list[Mistake]:
    """Credentials are refused too: every child would see them, and reports print the address."""
    if not isinstance(value, str):
        return [type_mistake("network.proxy", value, '"http://host:port"')]
    match = _PROXY.fullmatch(value)
    if not match or not 0 < int(match["port"]) < 65536:
        reason = "it is not of the form http://host:port."
    elif not _is_host(match["host"]):
        reason = "its host is neither a name nor an address."
    else:
        return []
    return [Mistake("network.proxy", reason, 'Write "http://127.0.0.1:9".', "network.proxy")]


def _is_host(host: str) -> bool:
    from ipaddress import IPv4Address, IPv6Address

    labels = host.split(".")
    try:
        if host.startswith("["):
            IPv6Address(host[1:-1])
        elif labels[-1].isdigit():  # such a name is an address to every program, or nothing
            IPv4Address(host)
        else:
            return len(host) <= 253 and all(_LABEL.fullmatch(label) for label in labels)
    except ValueError:
        return False
    return True


def stub_mistake(name: str, path: str) -> Mistake | None:
    """A stub is named as the command is typed, and becomes a file with that name and several extensions."""
    if not _COMMAND.fullmatch(name) or name.endswith("."):
        return Mistake(path, "it is no name of a command.", "Use letters, digits and . _ + - only.", "network.stub")
    if len(name) > _LONGEST:
        remedy = f"Leave it out; {_LONGEST} characters are the most."
        return Mistake(path, "it is too long for the name of a file of ours.", remedy, "network.stub")
    if name.lower().endswith(_STARTED):
        return Mistake(path, "a stub is named without extension.", "Leave the extension out.", "network.stub")
    if name.upper().split(".")[0] in _DEVICES:
        return Mistake(path, "it is the name of a device.", "Leave it out.", "network.stub")
    return None


def tool_mistake(name: str, path: str) -> Mistake | None:
    """A tool is one of those that have variables."""
    known = [row.tool for row in ROWS if row.means]
    if name in known:
        return None
    remedy = f"Use ALL or names out of it{nearest(name, known)}"
    return Mistake(path, "the shim knows no such tool.", remedy, "network.tool")


def keep_mistake(name: str, path: str) -> Mistake | None:
    """Only what the shim would set can be kept."""
    if folded(name) in {"PATH", "PATHEXT"} or is_marker(name):
        return Mistake(path, "the shim builds it itself.", "Use stubs=() to do without stubs.", "network.keep")
    known = {folded(v.name): v.name for row in ROWS for v in row.variables if v.how != "git-config"}
    known |= {name: name for name in _KEPT_TOO}
    if folded(name) in known:
        return None
    remedy = f"Name a variable out of explain(){nearest(name, known.values())}"
    return Mistake(path, "the shim never sets this variable.", remedy, "network.keep")


def repeated(words: tuple[str, ...], path: str) -> list[Mistake]:
    """The same word in two spellings."""
    seen: dict[str, str] = {}
    mistakes = []
    for word in words:
        if folded(word) in seen:
            reason = f"it stands there twice, also as {seen[folded(word)]!r}; Windows ignores case."
            mistakes.append(Mistake(f"{path}[{word!r}]", reason, "Keep one of the two.", "network.duplicate"))
        seen[folded(word)] = word
    return mistakes


def extra_mistakes(value: object, kept: Collection[str]) -> list[Mistake]:
    """`kept`: the folded names of ``keep``."""
    if not isinstance(value, Mapping):
        return [type_mistake("network.extra", value, "a table of names and values")]
    mistakes: list[Mistake] = []
    for name, text in value.items():
        where = f"network.extra[{name!r}]"
        if not isinstance(name, str) or not isinstance(text, str):
            wrong, wanted = (text, "a string as value") if isinstance(name, str) else (name, "a string as name")
            mistakes.append(type_mistake(where, wrong, wanted))
            continue
        mistakes += entry_mistakes(name, text, "network.extra")
        if not is_text(name + text):
            reason = "it holds an unpaired surrogate, which no policy file can carry."
            mistakes.append(Mistake(where, reason, "Remove the character.", "network.text"))
        if _RESERVED.fullmatch(folded(name)) or is_marker(name):
            mistakes.append(Mistake(where, "the shim builds it itself.", "Leave it out.", "network.extra"))
        elif folded(name) in kept:
            mistakes.append(Mistake(where, "keep names it as well.", "Write it in one of the two.", "network.extra"))
    return mistakes + repeated(tuple(name for name in value if isinstance(name, str)), "network.extra")
