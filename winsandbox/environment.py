"""The child's environment: what it inherits, what is kept from it, and how Windows puts names together.

Names of variables compare without case on Windows, and a block that holds one name in two spellings is legal but
breaks programs (.NET refuses to start a process from it). Everything here therefore compares names by
:func:`folded` and keeps exactly one spelling of each name, on every OS, so that a policy gives the same environment
where it is tested and where it runs.

The order at a spawn: `env` or ``os.environ``; :meth:`Environment.apply` (only where the caller gave no `env`); TEMP and
TMP of the sandbox; :data:`ALWAYS`; the network shim.

Sources: "Environment Variables", "CreateProcessW" and "NeedCurrentDirectoryForExePathW" (Microsoft Learn).
"""

from __future__ import annotations

import ntpath
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import ClassVar, Final, Literal, TypeVar

from .errors import Mistake, PolicyError

__all__ = ["ALWAYS", "Environment", "block", "check", "folded", "merged"]

_Part = TypeVar("_Part")


def folded(text: str) -> str:
    """Upper-case `text` as Windows does for names of files and variables: character by character, without language.

    Windows' table (l_intl.nls) maps one UTF-16 code unit to one, and a letter only to the capital whose small letter
    it is, so that "ß", "ı" and "ſ" stay as they are; ``str.upper`` would make "SS", "I" and "S" of them.
    """
    return text.upper() if text.isascii() else "".join(map(_upper, text))


def _upper(char: str) -> str:
    for mapped in (char.upper(), char.title()):
        if len(mapped) == 1 and mapped.lower() == char and char <= "\uffff":
            return mapped
    return char


def merged(base: Mapping[str, str], changes: Mapping[str, str | None]) -> dict[str, str]:
    """`base` with `changes` laid over it, by Windows' rules: names compare without case, the later one wins.

    A value of None removes the name, in whatever spelling. The result holds one spelling of each name, the last one
    given; names of `base` keep their place, new ones follow in their order.
    """
    result: dict[str, tuple[str, str]] = {}
    for source in (base, changes):
        for name, value in source.items():
            if value is None:
                result.pop(folded(name), None)
            else:
                result[folded(name)] = (name, value)
    return dict(result.values())


def block(environment: Mapping[str, str]) -> str:
    """The text of the environment block that CreateProcess takes, ready to be encoded as UTF-16.

    ``NAME=value`` entries sorted by upper-cased name in the order of UTF-16 code units, each ended by a NUL, the whole
    by one more; an empty environment is two NULs (after one alone CreateProcess would read on behind the block). Two
    spellings of one name become one, as in :func:`merged`. Encode with ``errors="surrogatepass"``: Windows' strings
    may hold unpaired surrogates.

    Raises:
        TypeError: a name or value is not a ``str`` (as :class:`subprocess.Popen` does).
        PolicyError: an empty name, "=" in a name (but for the hidden names such as ``=C:`` that keep the working
            directory of a drive), or a NUL anywhere. All of them together.
    """
    check(environment)
    single = merged({}, environment)
    names = sorted(single, key=lambda name: folded(name).encode("utf-16-be", "surrogatepass"))
    return "".join(f"{name}={single[name]}\0" for name in names) + ("\0" if names else "\0\0")


def check(environment: object) -> None:
    """Refuse what :func:`block` refuses, without making the text.

    Raises:
        TypeError, PolicyError: see there.
    """
    if not isinstance(environment, Mapping):
        raise TypeError(f"env must be a mapping of str to str, not {type(environment).__name__}")
    mistakes: list[Mistake] = []
    for name, value in environment.items():
        if not isinstance(name, str) or not isinstance(value, str):
            raise TypeError("the environment can only contain strings")
        mistakes += entry_mistakes(name, value, "env")
    if mistakes:
        raise PolicyError(mistakes)


class _Variables(Mapping[str, str]):
    """A mapping that cannot be changed, can be hashed and pickled; what a frozen dataclass needs and dict is not."""

    __slots__ = ("_items",)

    def __init__(self, items: Mapping[str, str]) -> None:
        self._items = dict(items)

    def __getitem__(self, name: str) -> str:
        return self._items[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __hash__(self) -> int:
        return hash(frozenset(self._items.items()))

    def __repr__(self) -> str:
        # Names only: what is printed ends in logs, and values are where secrets are.
        return repr(dict.fromkeys(self._items, "..."))

    def __reduce__(self) -> tuple[object, ...]:
        return _Variables, (self._items,)


ALWAYS: Final[Mapping[str, str]] = _Variables({"NoDefaultCurrentDirectoryInExePath": "1"})
"""What every child gets. With this variable cmd.exe and SearchPath do not look for a command in the working directory,
where an earlier command of the model may have planted one; Windows checks that it exists, not its value."""

# What Windows' own components and the C runtimes look for, and what says where the user's things are; nothing that a
# user sets by habit. TEMP and TMP are missing on purpose: the sandbox sets them to its private directory.
_CORE = (
    *("SystemRoot", "windir", "SystemDrive", "ComSpec", "OS", "PATH", "PATHEXT", "PSModulePath", "DriverData"),
    *("ALLUSERSPROFILE", "ProgramData", "PUBLIC", "USERPROFILE", "APPDATA", "LOCALAPPDATA", "HOMEDRIVE", "HOMEPATH"),
    *("ProgramFiles", "ProgramFiles(x86)", "ProgramFiles(Arm)", "ProgramW6432"),
    *("CommonProgramFiles", "CommonProgramFiles(x86)", "CommonProgramFiles(Arm)", "CommonProgramW6432"),
    *("USERNAME", "USERDOMAIN", "USERDOMAIN_ROAMINGPROFILE", "COMPUTERNAME", "LOGONSERVER", "SESSIONNAME"),
    *("NUMBER_OF_PROCESSORS", "PROCESSOR_*", "LANG", "LANGUAGE", "LC_*", "TZ"),
)

_SECRETS = (
    *("*TOKEN*", "*SECRET*", "*PASSWORD*", "*PASSWD*", "*PASSPHRASE*", "*_PASS", "*_PWD", "*CREDENTIAL*", "*_CREDS"),
    *("*_KEY", "*API_KEY*", "*APIKEY*", "*ACCESS_KEY*", "*PRIVATE_KEY*", "*_PAT", "*_AUTH", "*BEARER*", "*COOKIE*"),
    *("*JWT*", "*CONNECTION_STRING*", "*CONNECTIONSTRING*", "*DATABASE_URL*", "*_DSN"),
)

# The caches that tools keep under %LOCALAPPDATA%, where the child cannot write, each with its documented variable. Not
# here: directories that also hold configuration or installed programs (CARGO_HOME, GOMODCACHE, POETRY_CACHE_DIR,
# PRE_COMMIT_HOME, NUGET_PACKAGES); and stores whose files are hard-linked into the project (pnpm, bun, Deno), as a link
# takes the private directory's permissions along and the next sandbox could not write those files. uv is told to copy.
_CACHES = {
    "PIP_CACHE_DIR": "pip",
    "UV_CACHE_DIR": "uv",
    "NPM_CONFIG_CACHE": "npm",
    "YARN_CACHE_FOLDER": "yarn",  # Yarn 1
    "YARN_GLOBAL_FOLDER": "yarn-global",  # Yarn 2 and later, whose shared cache lies in this folder
    "GOCACHE": "go-build",
}


@dataclass(frozen=True, slots=True)
class Environment:
    """Which of the caller's variables the child inherits.

    First `inherit` and `include` choose, then `exclude` takes away (it beats `include`), then `set` is laid over.
    Patterns are those of :mod:`fnmatch` (``*``, ``?``, ``[...]``) and ignore case, as the names themselves do.

    This is no boundary: a child can read other processes of the same user, and files that hold secrets. It keeps
    secrets out of what a well-meaning program prints, logs or sends.

    Attributes:
        inherit: ``"all"``; ``"core"``, the variables that Windows programs need (system and profile directories, PATH,
            user and machine names, locale), or ``"none"``, where even SystemRoot is missing and many programs fail.
        include: patterns of further names to inherit, with "core" or "none".
        exclude: patterns of names to leave out, for example :data:`Environment.SECRETS`.
        set: names and values for the child.
        redirect_caches: send the caches of pip, uv, npm, Yarn and Go to the sandbox's private directory (see
            :meth:`caches`); `set` still wins.

    Raises:
        PolicyError: with every mistake of the arguments.
    """

    inherit: Literal["all", "core", "none"] = "all"
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    set: Mapping[str, str] = _Variables({})
    redirect_caches: bool = False

    CORE: ClassVar[tuple[str, ...]] = _CORE
    """The patterns that ``inherit="core"`` stands for."""

    SECRETS: ClassVar[tuple[str, ...]] = _SECRETS
    """Names that usually hold secrets, as patterns for `exclude`. A guess by name: it can miss some and hit others."""

    def __post_init__(self) -> None:
        mistakes: list[Mistake] = []
        if self.inherit not in ("all", "core", "none"):
            mistakes.append(choice_mistake("environment.inherit", self.inherit, ("all", "core", "none")))
        for field in ("include", "exclude"):
            patterns = strings(getattr(self, field), f"environment.{field}", mistakes)
            for pattern in patterns:
                if not pattern or "=" in pattern or "\0" in pattern or not is_text(pattern):
                    mistakes.append(
                        Mistake(
                            f"environment.{field}[{pattern!r}]",
                            'a pattern for names cannot be empty nor hold "=" or a NUL.',
                            'Write a name or a pattern such as "AWS_*".',
                            "environment.pattern",
                        )
                    )
            object.__setattr__(self, field, patterns)
        if self.include and self.inherit == "all":
            mistakes.append(
                Mistake(
                    "environment.include",
                    'with inherit="all" every name is inherited already, so "include" would change nothing.',
                    'Use inherit="core" or "none" to inherit only what "include" adds.',
                    "environment.include",
                )
            )
        mistakes += _set_mistakes(self.set)
        mistakes += flag_mistakes("environment.redirect_caches", self.redirect_caches)
        if mistakes:
            raise PolicyError(mistakes)
        object.__setattr__(self, "set", _Variables(self.set))

    def apply(self, base: Mapping[str, str]) -> dict[str, str]:
        """The child's environment made from `base` (usually ``os.environ``), with one spelling of each name.

        Pure: TEMP, TMP, the redirected caches, :data:`ALWAYS` and the network shim are laid over it at the spawn.
        """
        from fnmatch import fnmatchcase

        taken = {"all": ("*",), "core": _CORE, "none": ()}[self.inherit] + self.include

        def matches(name: str, patterns: Iterable[str]) -> bool:
            return any(fnmatchcase(folded(name), folded(pattern)) for pattern in patterns)

        single = merged({}, base)
        kept = {n: value for n, value in single.items() if matches(n, taken) and not matches(n, self.exclude)}
        return merged(kept, self.set)

    @staticmethod
    def caches(directory: str) -> dict[str, str]:
        """The variables that send each tool's cache below `directory` (an absolute Windows path; the tools make it)."""
        variables = {name: ntpath.join(directory, folder) for name, folder in _CACHES.items()}
        # Hard links from the cache would carry the private directory's permissions into the project.
        return variables | {"UV_LINK_MODE": "copy"}

    def to_dict(self) -> dict[str, object]:
        """Plain values for JSON and TOML; :meth:`from_dict` gives an equal object."""
        return {
            "inherit": self.inherit,
            "include": list(self.include),
            "exclude": list(self.exclude),
            "redirect_caches": self.redirect_caches,
            "set": dict(self.set),
        }

    @classmethod
    def from_dict(cls, mapping: Mapping[str, object]) -> Environment:
        """The reverse of :meth:`to_dict`; keys that are missing have their defaults.

        Raises:
            PolicyError: with every unknown key, wrong type and wrong value.
        """
        return from_mapping(cls, _FIELDS, mapping, "environment")


_FIELDS = tuple(field.name for field in fields(Environment))


def _set_mistakes(variables: object) -> list[Mistake]:
    if not isinstance(variables, Mapping):
        return [type_mistake("environment.set", variables, "a table of names and values")]
    mistakes: list[Mistake] = []
    seen: dict[str, str] = {}
    for name, value in variables.items():
        where = f"environment.set[{name!r}]"
        if not isinstance(name, str) or not isinstance(value, str):
            mistakes.append(type_mistake(where, value if isinstance(name, str) else name, "strings only"))
            continue
        mistakes += entry_mistakes(name, value, "environment.set")
        if not is_text(name + value):
            reason = "it holds an unpaired surrogate, which no policy file can carry."
            mistakes.append(Mistake(where, reason, "Remove the character.", "environment.text"))
        if folded(name) in seen:
            reason = f"the name stands there twice, also as {seen[folded(name)]!r}; Windows ignores case."
            mistakes.append(Mistake(where, reason, "Keep one of the two.", "environment.duplicate"))
        seen[folded(name)] = name
    return mistakes


def is_text(text: str) -> bool:
    """Whether UTF-8, and so a policy file, can hold it: there is no unpaired surrogate in it."""
    return not any("\ud800" <= char <= "\udfff" for char in text)


def entry_mistakes(name: str, value: str, field: str) -> list[Mistake]:
    """What no environment block can hold; `field` is where the variable came from ("env", "environment.set")."""
    where = f"{field}[{name!r}]"
    mistakes = []
    if not name:
        mistakes.append(Mistake(where, "the name is empty.", "Leave the entry out.", "environment.name"))
    if name == "=" or "=" in name[1:]:
        remedy = 'Only the value may hold "=".'
        mistakes.append(Mistake(where, 'a name cannot hold "=".', remedy, "environment.name"))
    if "\0" in name or "\0" in value:
        reason = "it holds a NUL, which would end the entry."
        mistakes.append(Mistake(where, reason, "Remove the NUL.", "environment.nul"))
    return mistakes


# What the parts of a policy share when they read input that may be anything.


def type_mistake(field: str, value: object, wanted: str) -> Mistake:
    """`value` is of a wrong type; only its type is printed, since it may be a secret."""
    got = "null" if value is None else type(value).__name__
    return Mistake(field, f"it is of the wrong type ({got}).", f"Give {wanted}.", "type")


def choice_mistake(field: str, value: object, choices: tuple[str, ...]) -> Mistake:
    """`value` is none of the words allowed."""
    words = ", ".join(f'"{choice}"' for choice in choices)
    if not isinstance(value, str):
        return type_mistake(field, value, f"one of {words}")
    return Mistake(field, f"{value!r} is no choice{nearest(value, choices)}", f"Give one of {words}.", "choice")


def nearest(word: object, known: Iterable[str]) -> str:
    """The end of a sentence that hints at the nearest of the `known` words, if one is near."""
    from difflib import get_close_matches

    near = get_close_matches(word.casefold(), list(known), 1, 0.6) if isinstance(word, str) else []
    return f'; did you mean "{near[0]}"?' if near else "."


def flag_mistakes(field: str, value: object) -> list[Mistake]:
    """Nothing where `value` is a bool."""
    return [] if isinstance(value, bool) else [type_mistake(field, value, "true or false")]


def strings(value: object, field: str, mistakes: list[Mistake]) -> tuple[str, ...]:
    """`value` as a tuple of strings; what is not goes into `mistakes`. A lone string is a mistake, not its letters."""
    if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
        mistakes.append(type_mistake(field, value, "a list of strings"))
        return ()
    result = tuple(value)
    wrong = [item for item in result if not isinstance(item, str)]
    mistakes += [type_mistake(field, item, "a list of strings only") for item in wrong]
    return tuple(item for item in result if isinstance(item, str))


def key_mistakes(mapping: Mapping[str, object], known: tuple[str, ...], field: str) -> list[Mistake]:
    """One mistake for each key that is not `known`, with the nearest that is."""
    prefix = f"{field}." if field else ""
    return [
        Mistake(f"{prefix}{key}", f"there is no such key{nearest(key, known)}", f"Known: {', '.join(known)}.", "key")
        for key in mapping
        if key not in known
    ]


def from_mapping(
    make: Callable[..., _Part], known: tuple[str, ...], mapping: object, field: str, mistakes: Iterable[Mistake] = ()
) -> _Part:
    """``make(**mapping)``, with the mistakes found before, those of the keys and those of `make` in one error."""
    if not isinstance(mapping, Mapping):
        raise PolicyError([*mistakes, type_mistake(field, mapping, "a table of keys and values")])
    found = [*mistakes, *key_mistakes(mapping, known, field)]
    try:
        made = make(**{name: mapping[name] for name in known if name in mapping})
    except PolicyError as error:
        raise PolicyError([*found, *error.mistakes]) from None
    if found:
        raise PolicyError(found)
    return made
