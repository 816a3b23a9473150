"""The network shim: environment variables and stub commands that make common tools give up on the network at once.

*Advisory.* An unelevated process cannot take the network from its child: any program that opens a socket itself,
unsets the variables or calls ssh by its full path gets through. The shim answers accidents (a ``git fetch`` in a hook,
a test that downloads), and says of each tool what makes it give up, how that was tested and what gets around it:
:meth:`NetworkShim.explain`. The rows stand in ``_network_table.py``.

Everything here is pure and works on every OS. Names of variables compare without case, as on Windows. The proxy
variables are written in lower case: Windows does not care, and where names have case it is the only spelling that
every tool reads (curl ignores an upper-case ``HTTP_PROXY``, which a CGI client could set).

A refused connection fails at once on Linux. Windows asks a closed port several times before it gives up, which takes a
second or two ("Winsock TCP Connection Performance to Unused Ports", Microsoft KB 175523).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Final, Literal

from ._network_changes import EXTENSIONS, appended, git_config, paths, value_of, words
from ._network_force import InForce
from ._network_mistakes import (
    extra_mistakes,
    is_marker,
    keep_mistake,
    proxy_mistakes,
    repeated,
    stub_mistake,
    tool_mistake,
)
from ._network_table import DEFAULT_STUBS, ROWS, Row, Variable
from ._network_tested import TESTED
from .environment import _Variables, folded, from_mapping, merged, strings, type_mistake
from .errors import Mistake, PolicyError

__all__ = ["ALL", "MARKER", "NetworkShim", "ToolNote", "shim_active"]

ALL: Final[tuple[str, ...]] = tuple(row.tool for row in ROWS if row.means)
"""The names of all tools for which the shim has variables."""

MARKER: Final = "WINSANDBOX_NETWORK_SHIM_V1"
"""The variable by which a child learns that the shim is active. Its name has the version of the shim's meaning, so that
a reader that knows a version asks for one name; its value is "1"."""

_DEFAULT_PROXY: Final = "http://127.0.0.1:9"


def shim_active(environ: Mapping[str, str] | None = None) -> bool:
    """Whether `environ` (default: this process' own environment) was made by a shim, of whatever version."""
    source = os.environ if environ is None else environ
    return any(is_marker(name) and value not in {"", "0"} for name, value in source.items())


@dataclass(frozen=True, slots=True)
class ToolNote:
    """What the shim does about one tool, as read from the environment that it makes.

    Attributes:
        tool: its name, as in ``NetworkShim(tools=...)``.
        covered: whether something that makes the tool give up is in force. False where no means exists, and where those
            left only spare prompts and the like, are kept or overridden, or lead to a proxy that may let the tool
            through.
        means: what makes it give up. What is kept or overridden stands in brackets behind the means that it undoes.
        variables: the names and values that the child's environment has for it, for whatever tool they were set.
        stubs: the commands that are replaced by a stub.
        bypass: what gets around it; variables that are kept or overridden are named here.
        tested: the program and version that was seen to give up under the default shim, or "untested".
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
        allow_loopback: whether ``localhost``, ``127.0.0.1`` and ``::1`` may be reached past the proxy. It is a matter
            of the proxies only: what switches a tool offline (git's transports, ``UV_OFFLINE``, ``PIP_NO_INDEX`` and so
            on) refuses a server on this machine too. Leave the tool out of `tools`, `keep` the variable or give it
            another value in `extra`, to let it through.
        stubs: commands to replace by a stub that fails; without extension.
        tools: names out of :data:`ALL` whose variables are set; in whatever order, it is that of the table then.
            Variables that several tools read are set if one of them is chosen.
        keep: names of variables in which the user's value is left; the report of the sandbox names them.
        extra: further variables to set; one that the shim sets too gets this value instead, which is reported.
        enabled: False for a shim that changes nothing; see :meth:`off`.

    Raises:
        PolicyError: with every mistake of the arguments.
    """

    proxy: str = _DEFAULT_PROXY
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
        mistakes += proxy_mistakes(self.proxy)
        for name, check in (("stubs", stub_mistake), ("tools", tool_mistake), ("keep", keep_mistake)):
            given = tuple(dict.fromkeys(strings(getattr(self, name), f"network.{name}", mistakes)))
            mistakes += [found for word in given if (found := check(word, f"network.{name}[{word!r}]"))]
            mistakes += repeated(given, f"network.{name}")
            object.__setattr__(self, name, given)
        mistakes += extra_mistakes(self.extra, {folded(name) for name in self.keep})
        if mistakes:
            raise PolicyError(mistakes)
        # One order, so that two shims that do the same are equal, and stay so through to_dict's "all".
        object.__setattr__(self, "tools", tuple(tool for tool in ALL if tool in self.tools))
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

        A shim with neither tools nor stubs sets `extra` only, and not :data:`MARKER`.

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
        ours: list[tuple[str, str]] = []
        for variable, value in self._variables().items():
            if variable.how == "set":
                changes[variable.name] = value or None
            elif variable.how == "append":
                changes[variable.name] = appended(value_of(current, variable.name), value, variable.value)
            else:
                ours.append((variable.name, value))
        changes |= git_config(current, ours, kept)
        changes = {name: value for name, value in changes.items() if folded(name) not in kept}
        changes |= dict(self.extra)
        if self.tools or self.stubs:
            changes[MARKER] = "1"
        if denybin is not None and self.stubs:
            changes |= paths(current, denybin)
        return merged(current, changes)

    def explain(self) -> tuple[ToolNote, ...]:
        """What is done about each tool that the shim knows, in the order of the table.

        It speaks of an environment that has nothing of its own but what ``keep`` may leave in it.
        """
        force = self._in_force()
        stubs = {folded(name) for name in self.stubs} if self.enabled else set()
        return tuple(self._note(row, force, tuple(n for n in row.stubs if folded(n) in stubs)) for row in ROWS)

    def _note(self, row: Row, force: InForce, stubs: tuple[str, ...]) -> ToolNote:
        texts, covered = force.means(row)
        bypass = [row.bypass]
        if stubs:
            texts.append("stubs in front of PATH")
            bypass += [f"{name}, which has no stub" for name in row.stubs if name not in stubs]
        bypass += [f"{name}, which is kept as the user has it" for name in force.named(row, force.kept)]
        bypass += [f"{name}, to which extra gives another value" for name in force.named(row, force.overridden)]
        if not self._proxy_is_dead and any(self.proxy in text for text in texts):
            bypass.append(f"whatever the proxy {self.proxy} lets through")
        nothing = "none" if not (row.means or row.stubs) else "none: left out" if self.enabled else "none: it is off"
        return ToolNote(
            tool=row.tool,
            covered=covered or row.tool in stubs,
            means="; ".join(texts) or nothing,
            variables=force.variables(row),
            stubs=stubs,
            bypass="; ".join(bypass),
            tested=TESTED.get(row.tool, "untested"),
            source=row.source,
            note=row.note,
        )

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
            for extension in EXTENSIONS:
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
            "tools": "all" if self.tools == ALL else list(self.tools),
            "keep": list(self.keep),
            "extra": dict(self.extra),
        }

    @classmethod
    def from_dict(cls, mapping: Mapping[str, object]) -> NetworkShim:
        """The shim that :meth:`to_dict` described; what is missing has its default.

        Raises:
            PolicyError: with all mistakes; their paths begin with "network".
        """
        known = tuple(item.name for item in fields(cls))
        given: object = mapping
        if isinstance(given, Mapping) and given.get("tools") == "all":
            given = {**given, "tools": ALL}
        return from_mapping(cls, known, given, "network")

    @property
    def _proxy_is_dead(self) -> bool:
        """Whether it is the one of which it is known; of any other it is not."""
        return self.proxy.rstrip("/") == _DEFAULT_PROXY

    def _variables(self) -> dict[Variable, str]:
        """Every variable of the chosen tools, once, with its value."""
        texts = words(self.proxy, allow_loopback=self.allow_loopback)
        chosen = (v for row in ROWS if row.tool in self.tools for v in row.variables) if self.enabled else ()
        return {variable: variable.value.format_map(texts) for variable in chosen}

    def _in_force(self) -> InForce:
        proxy = None if self._proxy_is_dead else self.proxy
        made, extra = self.environment({}), self.extra if self.enabled else {}
        texts = words(self.proxy, allow_loopback=self.allow_loopback)
        return InForce(made, self._variables(), texts, self.keep if self.enabled else (), extra, proxy)

    def _reservations(self) -> Iterator[str]:
        """What takes something away from the shim's ordinary effect: for the report of a sandbox."""
        force = self._in_force()
        for name in self.keep:
            if force.chosen(name):
                yield f"{name} is kept as the user has it"
        for name in self.extra:
            if force.overridden(name):
                yield f"{name} has the value that extra gives it, not the shim's"
        if not self._proxy_is_dead and self.tools:
            yield f"tools are led to the proxy {self.proxy}, which may let them through"
        left = [tool for tool in ALL if tool not in self.tools]
        if not self.tools:
            yield "no tool's variables are set"
        elif left:
            few = len(left) <= len(self.tools)
            yield f"left out: {', '.join(left)}" if few else f"variables are set for {', '.join(self.tools)} only"
        open_ = [name for name in DEFAULT_STUBS if folded(name) not in {folded(stub) for stub in self.stubs}]
        if open_:
            yield f"commands without a stub: {', '.join(open_)}"
