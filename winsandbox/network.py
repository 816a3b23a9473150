"""The network shim: environment variables and stub commands that make common tools give up on the network at once.

*Advisory.* An unelevated process cannot take the network from its child: any program that opens a socket itself,
unsets the variables or calls ssh by its full path gets through. The shim answers accidents (a ``git fetch`` in a hook,
a test that downloads), and says of each tool what stops it, how that was tested and what gets around it:
:meth:`NetworkShim.explain`. The rows stand in ``_network_table.py``.

Everything here is pure and works on every OS. Names of variables compare without case, as on Windows. The proxy
variables are written in lower case: Windows does not care, and where names have case it is the only spelling that
every tool reads (curl ignores an upper-case ``HTTP_PROXY``, which a CGI client could set).

A refused connection fails at once on Linux. Windows asks a closed port several times before it gives up, which takes a
second or two ("Winsock TCP Connection Performance to Unused Ports", Microsoft KB 175523).
"""

from __future__ import annotations

import ntpath
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Final, Literal

from ._network_table import DEFAULT_STUBS, ROWS, Variable
from ._network_tested import TESTED
from .environment import _Variables, entry_mistakes, folded, from_mapping, merged, nearest, strings, type_mistake
from .errors import Mistake, PolicyError

__all__ = ["ALL", "MARKER", "NetworkShim", "ToolNote", "shim_active"]

ALL: Final[tuple[str, ...]] = tuple(row.tool for row in ROWS if row.variables)
"""The names of all tools for which the shim has variables."""

MARKER: Final = "WINSANDBOX_NETWORK_SHIM"
"""The variable by which a child learns that the shim is active; its value is the version of the shim's meaning."""

_VERSION: Final = "1"
_PROXY = re.compile(
    r"http://(?P<host>[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\]):(?P<port>[0-9]{1,5})/?"
)
_COMMAND = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")
_DEVICES = frozenset({"CON", "PRN", "AUX", "NUL", *(f"{name}{n}" for name in ("COM", "LPT") for n in range(1, 10))})
_EXTENSIONS = (".cmd", ".bat")
# The shim builds these from the denybin directory; keeping or replacing them would silently leave the stubs out.
_RESERVED = frozenset({"PATH", "PATHEXT", MARKER})


def shim_active(environ: Mapping[str, str] | None = None) -> bool:
    """Whether `environ` (default: this process' own environment) was made by a shim, of whatever version."""
    source = os.environ if environ is None else environ
    return any(folded(name) == MARKER and value not in {"", "0"} for name, value in source.items())


@dataclass(frozen=True, slots=True)
class ToolNote:
    """What the shim does about one tool.

    Attributes:
        tool: its name, as in ``NetworkShim(tools=...)``.
        covered: False where the shim does nothing about it: no means exists, it was left out, or all is kept.
        means: by what it is stopped.
        variables: the names and values that are set for it, as in the child's environment.
        stubs: the commands that are replaced by a stub.
        bypass: what gets around it; variables that are kept are named here.
        tested: the program and version that was seen to be stopped, or "untested".
        source: where the variables are documented.
        note: what else should be known.
    """

    tool: str
    covered: bool
    means: str
    variables: tuple[tuple[str, str], ...]
    stubs: tuple[str, ...]
    bypass: str
    tested: str
    source: str
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkShim:
    """Advisory network suppression by environment variables and stub commands.

    Attributes:
        proxy: ``http://host:port`` that the tools are pointed to. The default is a port on which nothing listens.
        allow_loopback: whether ``localhost``, ``127.0.0.1`` and ``::1`` may be reached past the proxy.
        stubs: commands to replace by a stub that fails; without extension.
        tools: names out of :data:`ALL` whose variables are set.
        keep: names of variables in which the user's value is left; see :meth:`kept`.
        extra: further variables to set; one that the shim sets too gets this value instead.
        enabled: False for a shim that changes nothing; see :meth:`off`.

    Raises:
        PolicyError: with every mistake of the arguments.
    """

    proxy: str = "http://127.0.0.1:9"
    allow_loopback: bool = True
    stubs: tuple[str, ...] = DEFAULT_STUBS
    tools: tuple[str, ...] = ALL
    keep: tuple[str, ...] = ()
    extra: Mapping[str, str] = _Variables({})
    enabled: bool = True

    def __post_init__(self) -> None:
        mistakes: list[Mistake] = []
        for name in ("enabled", "allow_loopback"):
            if not isinstance(getattr(self, name), bool):
                mistakes.append(type_mistake(f"network.{name}", getattr(self, name), "true or false"))
        mistakes += _proxy_mistakes(self.proxy)
        for name, check in (("stubs", _stub_mistake), ("tools", _tool_mistake), ("keep", _keep_mistake)):
            words = tuple(dict.fromkeys(strings(getattr(self, name), f"network.{name}", mistakes)))
            mistakes += [found for word in words if (found := check(word, f"network.{name}[{word!r}]"))]
            mistakes += _twice(words, f"network.{name}")
            object.__setattr__(self, name, words)
        mistakes += _extra_mistakes(self.extra, {folded(name) for name in self.keep})
        if mistakes:
            raise PolicyError(mistakes)
        object.__setattr__(self, "extra", _Variables(self.extra))

    @classmethod
    def off(cls) -> NetworkShim:
        """A shim that changes nothing: the child has the user's network."""
        return cls(enabled=False)

    @property
    def guarantee(self) -> Literal["advisory"]:
        """Always "advisory": a program that wants the network gets it."""
        return "advisory"

    def environment(self, base: Mapping[str, str], *, denybin: str | None = None) -> dict[str, str]:
        """`base` with the shim applied, one spelling of each name; applying it twice gives the same.

        Args:
            base: the environment that the child would have.
            denybin: the directory that holds :meth:`stub_files`; it becomes the first entry of PATH. With a Windows
                path PATHEXT gets .CMD and .BAT in front, so that also a program that looks for each extension in all
                directories, before it tries the next extension, meets a stub before the real program's .EXE.

        Raises:
            PolicyError: `denybin` is not absolute, or PATH cannot hold it.
        """
        current = merged(base, {})
        if not self.enabled:
            return current
        kept = {folded(name) for name in self.keep}
        changes: dict[str, str | None] = {}
        for variable in self._variables():
            if variable.how == "set":
                changes[variable.name] = variable.value or None
            elif variable.how == "append":
                changes[variable.name] = _appended(_get(current, variable.name), variable.value)
        changes |= _git_config(current, [(v.name, v.value) for v in self._variables() if v.how == "git-config"], kept)
        changes = {name: value for name, value in changes.items() if folded(name) not in kept}
        changes |= dict(self.extra)
        changes[MARKER] = _VERSION
        if denybin is not None and self.stubs:
            changes |= _paths(current, denybin)
        return merged(current, changes)

    def kept(self, base: Mapping[str, str]) -> Mapping[str, str]:
        """The variables of `base` that the shim would have changed and leaves because of ``keep``: report them."""
        if not self.enabled:
            return MappingProxyType({})
        names = {folded(name) for name in self.keep}
        return MappingProxyType({name: value for name, value in merged(base, {}).items() if folded(name) in names})

    def explain(self) -> tuple[ToolNote, ...]:
        """What is done about each tool that the shim knows, in the order of the table."""
        kept = {folded(name) for name in self.keep}
        stubs = {folded(name) for name in self.stubs}
        notes = []
        for row in ROWS:
            variables: list[tuple[str, str]] = []
            bypass = [row.bypass]
            for v in self._rendered(row.variables) if self.enabled and row.tool in self.tools else ():
                name = "GIT_CONFIG_COUNT" if v.how == "git-config" else v.name
                if folded(name) in kept:
                    bypass.append(f"{name}, which is kept as the user has it")
                else:
                    variables.append((f"{v.name} (git configuration)" if v.how == "git-config" else v.name, v.value))
            present = tuple(name for name in row.stubs if self.enabled and folded(name) in stubs)
            notes.append(
                ToolNote(
                    tool=row.tool,
                    covered=bool(variables or present),
                    means=row.means,
                    variables=tuple(variables),
                    stubs=present,
                    bypass="; ".join(bypass),
                    tested=TESTED.get(row.tool, "untested"),
                    source=row.source,
                    note=row.note,
                )
            )
        return tuple(notes)

    def stub_files(self) -> Mapping[str, bytes]:
        """The files of the denybin directory: names and contents.

        .cmd and .bat for cmd, PowerShell and whatever follows PATHEXT, with CRLF (cmd mistakes lines that end in LF);
        without extension for git and MSYS shells, which look for such a file, with LF (sh takes CR for a part of the
        word). Each prints one line to stderr and exits with 1; not with ssh's own 255, which callers try again.
        """
        files: dict[str, bytes] = {}
        for name in self.stubs if self.enabled else ():
            text = (
                f"winsandbox: {name} is a stub of the network shim and does nothing, as the sandbox policy discourages"
                f' the network. To allow it leave "{name}" out of NetworkShim stubs, or use NetworkShim.off.'
            )
            # "@" on each line and no "echo off": that would outlive the stub in a batch file that called it.
            # A command that fails stands last, no "exit /b 1": "ssh host && next" looks at the last command of the
            # batch file, and to cmd "exit /b 1" is a command that succeeded.
            for extension in _EXTENSIONS:
                files[name + extension] = f'@echo {text} 1>&2\r\n@"%ComSpec%" /d /c exit 1\r\n'.encode("ascii")
            files[name] = f"#!/bin/sh\necho '{text}' >&2\nexit 1\n".encode("ascii")
        return MappingProxyType(files)

    def to_dict(self) -> dict[str, object]:
        """Plain data for JSON or TOML; ``tools`` is "all" where all are chosen, so that later rows are included."""
        return {
            "enabled": self.enabled,
            "proxy": self.proxy,
            "allow_loopback": self.allow_loopback,
            "stubs": list(self.stubs),
            "tools": "all" if set(self.tools) == set(ALL) else list(self.tools),
            "keep": list(self.keep),
            "extra": dict(self.extra),
        }

    @classmethod
    def from_dict(cls, mapping: Mapping[str, object], *, field: str = "network") -> NetworkShim:
        """The shim that :meth:`to_dict` described; what is missing has its default.

        Raises:
            PolicyError: with all mistakes; their paths begin with `field`.
        """
        known = tuple(item.name for item in fields(cls))
        given: object = mapping
        if isinstance(given, Mapping) and given.get("tools") == "all":
            given = {**given, "tools": ALL}
        return from_mapping(cls, known, given, field)

    def _variables(self) -> tuple[Variable, ...]:
        """Every variable of the chosen tools, once, with its value."""
        return self._rendered(dict.fromkeys(v for row in ROWS if row.tool in self.tools for v in row.variables))

    def _rendered(self, variables: Iterable[Variable]) -> tuple[Variable, ...]:
        match = _PROXY.fullmatch(self.proxy)
        host, port = match.group("host", "port") if match else ("", "")
        words = {
            "proxy": self.proxy.rstrip("/"),
            "authority": self.proxy.removeprefix("http://").rstrip("/"),
            "host": host.strip("[]"),
            "port": port,
            "no_proxy": "localhost,127.0.0.1,::1" if self.allow_loopback else "",
            "java_no_proxy": "localhost" if self.allow_loopback else "",
        }
        given = {folded(name): value for name, value in self.extra.items()}
        return tuple(
            variable._replace(value=given.get(folded(variable.name), variable.value.format_map(words)))
            for variable in variables
        )


def _get(environment: Mapping[str, str], name: str) -> str:
    """The value of `name` in whatever spelling, or ""."""
    return next((value for key, value in environment.items() if folded(key) == folded(name)), "")


def _appended(value: str, options: str) -> str:
    """`value` with `options` behind it, once; in option lists of a JVM or of Maven the last one wins."""
    if value == options or value.endswith(" " + options):
        return value
    return f"{value} {options}" if value.strip() else options


def _git_config(current: Mapping[str, str], entries: list[tuple[str, str]], kept: set[str]) -> dict[str, str | None]:
    """Entries behind the user's own ``GIT_CONFIG_KEY_n``; git lets the last one win."""
    if not entries or "GIT_CONFIG_COUNT" in kept:
        return {}
    text = _get(current, "GIT_CONFIG_COUNT").strip() or "0"
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        return {}  # git refuses to run with such a count; taking it away would make it run
    count = int(text)

    def pair(index: int) -> tuple[str, str]:
        return _get(current, f"GIT_CONFIG_KEY_{index}"), _get(current, f"GIT_CONFIG_VALUE_{index}")

    first = count - len(entries)
    if first < 0 or [pair(first + index) for index in range(len(entries))] != entries:
        first = count
    changes: dict[str, str | None] = {"GIT_CONFIG_COUNT": str(first + len(entries))}
    for index, (key, value) in enumerate(entries, first):
        changes[f"GIT_CONFIG_KEY_{index}"] = key
        changes[f"GIT_CONFIG_VALUE_{index}"] = value
    return changes


def _paths(current: Mapping[str, str], denybin: str) -> dict[str, str | None]:
    """PATH with `denybin` in front and, for a Windows path, PATHEXT with the stubs' extensions in front."""
    windows = bool(ntpath.splitdrive(denybin)[0]) and ntpath.isabs(denybin)
    separator = ";" if windows else ":"
    if not (windows or denybin.startswith("/")) or any(c in denybin for c in (separator, '"', "\0")):
        # A relative entry would be searched in the working directory, where the child writes.
        remedy = "Use an absolute path without quotes and separators of PATH."
        raise PolicyError([Mistake(denybin, "PATH cannot hold this directory of stubs.", remedy, "network.denybin")])
    path = _get(current, "PATH")
    if path != denybin and not path.startswith(denybin + separator):
        path = denybin + separator + path if path else denybin
    changes: dict[str, str | None] = {"PATH": path}
    if windows:
        present = (_get(current, "PATHEXT") or ".COM;.EXE;.BAT;.CMD").split(";")
        first = [extension.upper() for extension in _EXTENSIONS]
        changes["PATHEXT"] = ";".join([*first, *(e for e in present if e.strip().upper() not in first)])
    return changes


def _proxy_mistakes(value: object) -> list[Mistake]:
    if not isinstance(value, str):
        return [type_mistake("network.proxy", value, '"http://host:port"')]
    match = _PROXY.fullmatch(value)
    if match and 0 < int(match["port"]) < 65536:
        return []
    # Credentials are refused too: every child would see them, and reports print the address.
    reason = "it is not of the form http://host:port."
    return [Mistake("network.proxy", reason, 'Write "http://127.0.0.1:9".', "network.proxy")]


def _stub_mistake(name: str, path: str) -> Mistake | None:
    if not _COMMAND.fullmatch(name) or name.endswith("."):
        return Mistake(path, "it is no name of a command.", "Use letters, digits and . _ + - only.", "network.stub")
    if name.lower().endswith((".exe", ".com", *_EXTENSIONS)):
        return Mistake(path, "a stub is named without extension.", "Leave the extension out.", "network.stub")
    if name.upper().split(".")[0] in _DEVICES:
        return Mistake(path, "it is the name of a device.", "Leave it out.", "network.stub")
    return None


def _tool_mistake(name: str, path: str) -> Mistake | None:
    if name in ALL:
        return None
    remedy = f"Use ALL or names out of it{nearest(name, ALL)}"
    return Mistake(path, "the shim knows no such tool.", remedy, "network.tool")


def _keep_mistake(name: str, path: str) -> Mistake | None:
    if folded(name) in _RESERVED:
        return Mistake(path, "the shim builds it itself.", "Use stubs=() to do without stubs.", "network.keep")
    known = {folded(v.name): v.name for row in ROWS for v in row.variables if v.how != "git-config"}
    known["GIT_CONFIG_COUNT"] = "GIT_CONFIG_COUNT"
    if folded(name) in known:
        return None
    remedy = f"Name a variable out of explain(){nearest(name, known.values())}"
    return Mistake(path, "the shim never sets this variable.", remedy, "network.keep")


def _twice(words: tuple[str, ...], path: str) -> list[Mistake]:
    seen: dict[str, str] = {}
    mistakes = []
    for word in words:
        if folded(word) in seen:
            reason = f"it stands there twice, also as {seen[folded(word)]!r}; Windows ignores case."
            mistakes.append(Mistake(f"{path}[{word!r}]", reason, "Keep one of the two.", "network.duplicate"))
        seen[folded(word)] = word
    return mistakes


def _extra_mistakes(value: object, kept: set[str]) -> list[Mistake]:
    if not isinstance(value, Mapping):
        return [type_mistake("network.extra", value, "a table of names and values")]
    mistakes: list[Mistake] = []
    for name, text in value.items():
        where = f"network.extra[{name!r}]"
        if not isinstance(name, str) or not isinstance(text, str):
            mistakes.append(type_mistake(where, text, "a string for a string"))
            continue
        mistakes += entry_mistakes(name, text, "network.extra")
        key = folded(name)
        if key in _RESERVED or key.startswith("GIT_CONFIG_"):
            mistakes.append(Mistake(where, "the shim builds it itself.", "Leave it out.", "network.extra"))
        elif key in kept:
            mistakes.append(Mistake(where, "keep names it as well.", "Write it in one of the two.", "network.extra"))
    return mistakes + _twice(tuple(name for name in value if isinstance(name, str)), "network.extra")
