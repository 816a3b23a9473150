"""What a command may do: :class:`Policy`, a frozen value, checked when it is made, by Windows' rules on every OS.

A policy names directories; it does not look at them. What is refused on the text of a path stands in ``_paths.py``.

Every mistake of an input is reported, all in one ``PolicyError``. Each has a stable code: for paths ``root.``, ``cwd.``
or ``protected.`` and a key of :data:`REFUSALS` behind it; ``type``, ``choice``, ``key``, ``key.duplicate``,
``version``, ``syntax`` and ``deny-read`` for the rest; those of the parts begin with ``environment.``, ``limits.`` or
``network``.

Source: "JOBOBJECT_BASIC_UI_RESTRICTIONS" (Microsoft Learn).
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import ClassVar, Final, Literal

from ._paths import (
    REFUSALS,
    AnyPath,
    Places,
    disjoint_roots,
    is_at_or_below,
    is_below,
    normal,
    parsed,
    parsed_protected,
    parsed_root,
    path_text,
    refusal,
    root_mistakes,
)
from .environment import Environment, choice_mistake, flag_mistakes, folded, from_mapping, strings, type_mistake
from .errors import Mistake, PolicyError
from .limits import Limits
from .network import NetworkShim

__all__ = [
    "REFUSALS",
    "UI_LIMITS",
    "Places",
    "Policy",
    "Protect",
    "disjoint_roots",
    "is_at_or_below",
    "is_below",
    "normal",
    "root_mistakes",
]

UI_LIMITS: Final = (
    *("handles", "clipboard-read", "clipboard-write", "system-parameters"),
    *("display-settings", "global-atoms", "desktop", "exit-windows"),
)
"""The names for `ui_limits`, in the order of their bits in JOB_OBJECT_UILIMIT (0x01 to 0x80)."""

VERSION: Final = 1
"""The version that dict, JSON and TOML carry."""


class Protect:
    """Presets for `protected_subpaths`: plain tuples, so that ``(*Protect.DEFAULT, "secrets")`` adds to one."""

    DEFAULT: ClassVar[tuple[str, ...]] = (".git", ".codex", ".agents")
    """The repository's data and the agents' instructions. ``git commit`` fails inside."""

    GIT_HOOKS: ClassVar[tuple[str, ...]] = (
        *(".git\\hooks", ".git\\config", ".git\\info", ".git\\modules"),
        *(".codex", ".agents"),
    )
    """Only what makes git run something later; ``git commit`` works. Reported as `partial` at most."""

    NONE: ClassVar[tuple[str, ...]] = ()


def _path_list(
    values: object, field: str, kind: str, parse: Callable[[str], tuple[str, list[str]]], mistakes: list[Mistake]
) -> tuple[str, ...]:
    """`values` in normal form, each once; what is wrong goes into `mistakes`."""
    if isinstance(values, (str, bytes, os.PathLike)) or not isinstance(values, Iterable):
        mistakes.append(type_mistake(field, values, "a list of paths"))
        return ()
    found: dict[str, str] = {}
    for value in dict.fromkeys(map(path_text, values)):
        if value is None:
            mistakes.append(Mistake(field, "it holds something that is no path.", "Give str or path objects.", "type"))
            continue
        path, rules = parse(value)
        mistakes += [refusal(kind, rule, value) for rule in rules]
        if not rules:
            found.setdefault(folded(path), path)
    return tuple(found.values())


def _words(value: object, field: str, choices: tuple[str, ...], mistakes: list[Mistake]) -> tuple[str, ...]:
    """`value`'s words, each once and in the order of `choices`, so that equal policies are equal."""
    words = strings(value, field, mistakes)
    mistakes += [choice_mistake(field, word, choices) for word in words if word not in choices]
    return tuple(choice for choice in choices if choice in words)


@dataclass(frozen=True, slots=True)
class Policy:
    r"""What a command may write, and how it runs. Make one with :meth:`workspace` or :meth:`read_only`.

    Paths may be given as ``str`` or path objects and are kept as text in normal form (:func:`normal`).

    Attributes:
        cwd: the working directory of commands; ``""`` for a read-only policy without one.
        writable_roots: the directories in which the child may write, the workspace first. A root in another root is
            allowed and folded into it.
        protected_subpaths: paths relative to each root, at any depth, that stay unwritable; see :class:`Protect`.
        integrity: ``"low"`` also closes deletes outside the roots, at a price: every Low process may write the roots,
            and tools that need Medium fail.
        guards: place guard entries in protected places, against deletes through the parent directory.
        restricting: well-known SIDs that restrict beside the grants. Without "everyone" no place that all may write is
            open, and Windows PowerShell does not start; without "logon" most programs with a window or console fail.
        environment: what the child inherits.
        limits: memory, processes and time.
        ui_limits: names out of :data:`UI_LIMITS`. Some programs fail under some of them; a host may refuse all.
        console: ``"shared"`` lets the child read and type in the caller's console.
        desktop: ``"private"`` keeps the child from the user's windows; ``"shared"`` is the user's own desktop.
        network: the advisory network shim.
        python_shim: help Python children with directories of mode 0o700 and with named pipes.
        elevated: what an elevated caller gets: ``"refuse"``, or ``"lower"``, a token without administrative rights.

    Raises:
        PolicyError: with every mistake of the arguments.
    """

    cwd: str = ""
    writable_roots: tuple[str, ...] = ()
    protected_subpaths: tuple[str, ...] = Protect.DEFAULT
    integrity: Literal["medium", "low"] = "medium"
    guards: bool = True
    restricting: tuple[str, ...] = ("logon", "everyone")
    ui_limits: tuple[str, ...] = ()
    console: Literal["private", "shared"] = "private"
    desktop: Literal["private", "shared"] = "private"
    python_shim: bool = False
    elevated: Literal["refuse", "lower"] = "refuse"
    environment: Environment = field(default_factory=Environment)
    limits: Limits = field(default_factory=Limits)
    network: NetworkShim = field(default_factory=NetworkShim)

    def __post_init__(self) -> None:
        mistakes: list[Mistake] = []
        given: dict[str, object] = {name: getattr(self, name) for name in _FIELDS}
        roots = _path_list(given["writable_roots"], "writable_roots", "root", parsed_root, mistakes)
        protected = _path_list(
            given["protected_subpaths"], "protected_subpaths", "protected", parsed_protected, mistakes
        )
        for root in roots:
            places = [f"{other}\\{name}" for other in roots for name in protected]
            inside = next((place for place in places if is_at_or_below(root, place)), None)
            if inside is not None:
                mistakes.append(refusal("root", "protected", root, inside))
        changes: dict[str, object] = {
            "writable_roots": roots,
            "protected_subpaths": protected,
            "cwd": self._working_directory(mistakes),
            "restricting": _words(given["restricting"], "restricting", ("logon", "everyone"), mistakes),
            "ui_limits": _words(given["ui_limits"], "ui_limits", UI_LIMITS, mistakes),
        }
        for name, choices in _CHOICES.items():
            if given[name] not in choices:
                mistakes.append(choice_mistake(name, given[name], choices))
        for name in ("guards", "python_shim"):
            mistakes += flag_mistakes(name, given[name])
        for name, kind in _PARTS.items():
            if not isinstance(given[name], kind):
                mistakes.append(type_mistake(name, given[name], f"an object of class {kind.__name__}"))
        if mistakes:
            raise PolicyError(mistakes)
        for name, value in changes.items():
            object.__setattr__(self, name, value)

    def _working_directory(self, mistakes: list[Mistake]) -> str:
        text = path_text(self.cwd)
        if text is None:
            mistakes.append(type_mistake("cwd", self.cwd, "a str or a path"))
            return ""
        if not text:
            return ""
        path, rules = parsed(text)
        # A workspace that is refused as a root is not reported a second time.
        if not any(mistake.path == text and mistake.code.startswith("root.") for mistake in mistakes):
            mistakes += [refusal("cwd", rule, text) for rule in rules]
        return path

    @classmethod
    def workspace(
        cls,
        cwd: AnyPath,
        *,
        writable_roots: Iterable[AnyPath] = (),
        protected_subpaths: Iterable[AnyPath] = Protect.DEFAULT,
        integrity: Literal["medium", "low"] = "medium",
        guards: bool = True,
        restricting: Iterable[str] = ("logon", "everyone"),
        ui_limits: Iterable[str] = (),
        console: Literal["private", "shared"] = "private",
        desktop: Literal["private", "shared"] = "private",
        python_shim: bool = False,
        elevated: Literal["refuse", "lower"] = "refuse",
        environment: Environment | None = None,
        limits: Limits | None = None,
        network: NetworkShim | None = None,
        deny_read: None = None,
    ) -> Policy:
        """The child works in `cwd` and may write there and in `writable_roots`, but for `protected_subpaths`.

        Args:
            deny_read: always refused: a write-restricted token does not check reads.
        """
        return _made(
            deny_read=deny_read,
            cwd=cwd,
            writable_roots=_with_workspace(cwd, writable_roots),
            protected_subpaths=protected_subpaths,
            integrity=integrity,
            guards=guards,
            restricting=restricting,
            ui_limits=ui_limits,
            console=console,
            desktop=desktop,
            python_shim=python_shim,
            elevated=elevated,
            environment=environment,
            limits=limits,
            network=network,
        )

    @classmethod
    def read_only(
        cls,
        cwd: AnyPath | None = None,
        *,
        integrity: Literal["medium", "low"] = "medium",
        restricting: Iterable[str] = ("logon", "everyone"),
        ui_limits: Iterable[str] = (),
        console: Literal["private", "shared"] = "private",
        desktop: Literal["private", "shared"] = "private",
        python_shim: bool = False,
        elevated: Literal["refuse", "lower"] = "refuse",
        environment: Environment | None = None,
        limits: Limits | None = None,
        network: NetworkShim | None = None,
        deny_read: None = None,
    ) -> Policy:
        """The child may write nowhere but in its private TEMP."""
        return _made(
            deny_read=deny_read,
            cwd=cwd,
            integrity=integrity,
            restricting=restricting,
            ui_limits=ui_limits,
            console=console,
            desktop=desktop,
            python_shim=python_shim,
            elevated=elevated,
            environment=environment,
            limits=limits,
            network=network,
        )

    def replace(self, **changes: object) -> Policy:
        """A copy with some attributes changed, checked anew. `cwd` and `writable_roots` do not follow each other.

        Raises:
            PolicyError: with every mistake, unknown names among them.
        """
        return _from({name: getattr(self, name) for name in _FIELDS} | changes)

    @property
    def id(self) -> str:
        """Sixteen hexadecimal digits that name this policy in logs: equal for equal policies, on every machine."""
        import hashlib
        import json

        text = json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode("ascii")).hexdigest()[:16]

    def to_dict(self) -> dict[str, object]:
        """Plain values for JSON and TOML (no None); :meth:`from_dict` makes an equal policy from them."""
        plain: dict[str, object] = {"version": VERSION}
        for name in _FIELDS:
            value = getattr(self, name)
            plain[name] = value.to_dict() if name in _PARTS else list(value) if isinstance(value, tuple) else value
        return plain

    @classmethod
    def from_dict(cls, mapping: Mapping[str, object]) -> Policy:
        """The reverse of :meth:`to_dict`. ``version`` is required; other keys that are missing have their defaults.

        `writable_roots` lists all of them, the workspace too and first: `cwd` alone makes nothing writable. Without
        `protected_subpaths` those of :data:`Protect.DEFAULT` are protected.

        Raises:
            PolicyError: with every unknown key, wrong type and wrong value.
        """
        return _read(mapping, [])

    def to_json(self) -> str:
        """A JSON text, ASCII only, that :meth:`from_json` reads."""
        import json

        return json.dumps(self.to_dict(), indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Policy:
        """The policy in a JSON text.

        Raises:
            PolicyError: no JSON, a key that stands twice in one object, or what :meth:`from_dict` refuses.
        """
        import json

        mistakes: list[Mistake] = []

        def table(pairs: list[tuple[str, object]]) -> dict[str, object]:
            # json keeps the last of two equal keys in silence; which one was meant nobody can know.
            made: dict[str, object] = {}
            for key, value in pairs:
                if key in made:
                    mistakes.append(
                        Mistake(key, "the key stands there twice.", "Keep one of the two.", "key.duplicate")
                    )
                made[key] = value
            return made

        return _read(_loaded(lambda text: json.loads(text, object_pairs_hook=table), text, "JSON"), mistakes)

    def to_toml(self) -> str:
        """A TOML text that :meth:`from_toml` reads."""
        return "\n".join(_toml_lines(self.to_dict(), ())) + "\n"

    @classmethod
    def from_toml(cls, text: str) -> Policy:
        """The policy in a TOML text.

        Raises:
            PolicyError: no TOML, or what :meth:`from_dict` refuses.
        """
        import tomllib

        return _read(_loaded(tomllib.loads, text, "TOML"), [])


_FIELDS = tuple(item.name for item in fields(Policy))
_PARTS: Final[Mapping[str, type[Environment | Limits | NetworkShim]]] = {
    "environment": Environment,
    "limits": Limits,
    "network": NetworkShim,
}
_CHOICES: Final = {
    "integrity": ("medium", "low"),
    "console": ("private", "shared"),
    "desktop": ("private", "shared"),
    "elevated": ("refuse", "lower"),
}
# Names under which people ask for it; they get the explanation, not "there is no such key".
_DENY_READ: Final = ("deny_read", "deny_reads", "denied_read", "denied_reads", "no_read", "unreadable", "hidden_paths")


def _with_workspace(cwd: object, roots: object) -> object:
    if isinstance(roots, (str, bytes, os.PathLike)) or not isinstance(roots, Iterable):
        return roots  # a mistake, which Policy reports
    return (cwd, *roots)


def _made(**values: object) -> Policy:
    """A policy from a constructor's arguments; of some of them None stands for the default."""
    optional = ("cwd", "deny_read", *_PARTS)
    return _from({name: value for name, value in values.items() if value is not None or name not in optional})


def _from(values: Mapping[str, object], mistakes: Iterable[Mistake] = ()) -> Policy:
    reason = "reads cannot be denied: a write-restricted token is checked against its restricting SIDs for writes only."
    remedy = "Leave it out; where reads matter use a virtual machine, an AppContainer or a separate account."
    denied = [Mistake(name, reason, remedy, "deny-read") for name in values if name in _DENY_READ]
    rest = {name: value for name, value in values.items() if name not in _DENY_READ}
    return from_mapping(Policy, _FIELDS, rest, "", [*mistakes, *denied])


def _read(mapping: object, mistakes: list[Mistake]) -> Policy:
    """A policy from plain values, which may be anything; every mistake in them goes into one error."""
    if not isinstance(mapping, Mapping):
        raise PolicyError([*mistakes, type_mistake("policy", mapping, "a table of keys and values")])
    values = dict(mapping)
    version = values.pop("version", None)
    if version != VERSION or not isinstance(version, int) or isinstance(version, bool):
        reason = "there is none." if version is None else "it is unknown here."
        remedy = f"This winsandbox reads version {VERSION}: write version = {VERSION}, or use a newer winsandbox."
        mistakes.append(Mistake("version", reason, remedy, "version"))
    for name, kind in _PARTS.items():
        if name in values:
            try:
                values[name] = kind.from_dict(values[name])
            except PolicyError as error:
                mistakes += error.mistakes
                del values[name]
    return _from(values, mistakes)


def _loaded(load: Callable[[str], object], text: object, language: str) -> object:
    if not isinstance(text, str):
        raise PolicyError([type_mistake("policy", text, f"a str that holds {language}")])
    try:
        return load(text.removeprefix("\ufeff"))  # the byte order mark that Windows' editors put first
    except (ValueError, RecursionError) as error:
        reason = f"this is no {language}: {error}."
        raise PolicyError([Mistake("policy", reason, "Correct the text.", "syntax")]) from None


def _toml_lines(table: Mapping[str, object], path: tuple[str, ...]) -> list[str]:
    """The lines of one table: its plain values first, as TOML wants it, then the tables in it."""
    lines = [
        f"{_toml_key(key)} = {_toml_value(value)}" for key, value in table.items() if not isinstance(value, Mapping)
    ]
    if path:
        lines = ["", f"[{'.'.join(map(_toml_key, path))}]", *lines]
    for key, value in table.items():
        if isinstance(value, Mapping):
            lines += _toml_lines(value, (*path, key))
    return lines


def _toml_key(key: str) -> str:
    return key if re.fullmatch("[A-Za-z0-9_-]+", key) else _toml_string(key)


def _toml_value(value: object) -> str:
    if isinstance(value, str):
        return _toml_string(value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_toml_value, value))}]"
    return repr(value)


def _toml_string(text: str) -> str:
    if "'" not in text and not re.search("[\x00-\x1f\x7f]", text):
        return f"'{text}'"  # a literal string: paths stay readable
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + re.sub("[\x00-\x1f\x7f]", lambda found: f"\\u{ord(found[0]):04x}", escaped) + '"'
