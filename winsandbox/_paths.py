r"""Windows' rules for the paths of a policy: what is refused as text, on every OS, and why.

The text of a path is all that is looked at. Short names (``PROGRA~1``), SUBST drives and links show what they are only
on the host, so the planner asks :func:`root_mistakes` again with the final path and the host's real :class:`Places`.

Sources: "Naming Files, Paths, and Namespaces", "Maximum Path Length Limitation" and "KNOWNFOLDERID" (Microsoft Learn).
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from .environment import folded, type_mistake
from .errors import Mistake, PolicyError

_WHOLE = r'Write the whole path with its drive, such as "C:\src\project".'
_PROJECT = r'Choose a directory made for the work, such as "C:\src\project".'
_INSIDE = r'Write it relative to the root, such as ".git" or "docs\plans".'

# Each reason reads on behind the path: "C:\Windows\Temp: is the Windows directory, ..."
REFUSALS: Final[Mapping[str, tuple[str, str]]] = {
    # the text of a path
    "empty": ("is empty.", _WHOLE),
    "relative": ("is relative, and what it means would depend on the working directory.", _WHOLE),
    "drive-relative": ("is relative to the working directory of its drive.", "Write a backslash behind the colon."),
    "no-drive": ("has no drive.", _WHOLE),
    "posix": ("is a POSIX path, or one without a drive.", _WHOLE),
    "unc": ("is on a network share, where the restrictions of a local token do not count.", "Use a local disk."),
    "device": ("is a path of a device or of the NT namespace.", _WHOLE),
    "dot-dot": ('leads above its drive with "..".', 'Take the ".." out.'),
    "stream": ('holds ":", which names a stream of a file.', "Name the file or directory itself."),
    "reserved": ("holds the name of a device (CON, NUL, COM1 ...).", "Use another name."),
    "trailing": ("holds a name that ends with a dot or a space, which Windows takes off.", "Write it without."),
    "character": ('holds a control character, an unpaired surrogate or one of < > " | ? *.', "No Windows name does."),
    "too-long": ("is longer than Windows allows (255 a name, 32,767 in all).", "Use a shorter path."),
    # where a writable root would make too much writable
    "drive": ("is the root of a drive.", _PROJECT),
    "windows": ("is the Windows directory, or lies in it or above it.", _PROJECT),
    "program-files": ("is a directory for installed programs, or lies in one or above one.", _PROJECT),
    "program-data": ("is ProgramData, which programs of all users trust, or lies in it or above it.", _PROJECT),
    "profiles": ("is the directory of the users' profiles, or lies above it.", "Choose a directory inside a profile."),
    "profile": ("is a user's profile, or lies above it.", r'Choose a directory inside it, such as "src\project".'),
    "app-data": (
        "is AppData, where the user's programs keep what they run and trust, or lies in it or above it.",
        "Choose another directory; for temporary files the sandbox has its own.",
    ),
    "startup": ("is a Startup folder, where everything runs at the next logon, or lies in it or above it.", _PROJECT),
    # protected places
    "protected": ("lies at or below {0}, which is to be protected.", "Take one of the two out of the policy."),
    "absolute": ("is absolute, but a protected path is relative to each root.", _INSIDE),
    "root-itself": ("is the root itself, which would leave nothing to write.", "Use Policy.read_only, or a name."),
    "outside": ('leads out of the root with "..".', "Leave it out: what lies outside the roots is not writable."),
    "glob": ("is a pattern, but an access list protects what exists, not what a name may match.", "Write the name."),
}
"""Why a path is refused and what to write instead, by the second half of the mistake's code."""

_DRIVE = re.compile(r"[A-Za-z]:")
_DEVICE_PREFIXES = ("\\\\?\\", "\\\\.\\", "\\??\\")
_NOT_IN_NAMES = re.compile('[\x00-\x1f<>"|?*\ud800-\udfff]')
# With the superscript digits, which Windows takes for 1 to 3 in these names.
RESERVED = frozenset(
    {"CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"}
    | {f"{port}{digit}" for port in ("COM", "LPT") for digit in "123456789\xb9\xb2\xb3"}
)

AnyPath = str | os.PathLike[str]


@dataclass(frozen=True, slots=True)
class Places:
    r"""Directories that are no writable root, nor lie in one. The planner fills it from the host's known folders.

    Attributes:
        windows: the Windows directory.
        program_files: the directories for programs, of every architecture.
        program_data: ProgramData.
        profiles_directory: the directory that holds the profiles (``C:\Users``).
        profile: the user's profile; directories inside it may be roots.
        app_data: the user's AppData directories (the parent of Local, LocalLow and Roaming, or each of them).
        startup: the Startup folders of the user and of all users.
    """

    windows: str
    program_files: tuple[str, ...]
    program_data: str
    profiles_directory: str
    profile: str
    app_data: tuple[str, ...]
    startup: tuple[str, ...]

    DEFAULT: ClassVar[Places]
    """For checks of the text alone: the usual names on any drive and for any user (``*`` stands for one component)."""

    def _table(self) -> tuple[tuple[str, tuple[str, ...], bool], ...]:
        """The key in REFUSALS, the directories, and whether what lies in them is refused too."""
        return (
            ("windows", (self.windows,), True),
            ("program-files", self.program_files, True),
            ("startup", self.startup, True),
            ("program-data", (self.program_data,), True),
            ("app-data", self.app_data, True),
            ("profiles", (self.profiles_directory,), False),
            ("profile", (self.profile,), False),
        )


_STARTUP = r"Microsoft\Windows\Start Menu\Programs\Startup"
Places.DEFAULT = Places(
    windows=r"*:\Windows",
    program_files=(r"*:\Program Files", r"*:\Program Files (x86)", r"*:\Program Files (Arm)"),
    program_data=r"*:\ProgramData",
    profiles_directory=r"*:\Users",
    profile=r"*:\Users\*",
    app_data=(r"*:\Users\*\AppData",),
    startup=(rf"*:\Users\*\AppData\Roaming\{_STARTUP}", rf"*:\ProgramData\{_STARTUP}"),
)


def normal(path: AnyPath) -> str:
    r"""The one spelling of an absolute local path: upper-case drive, single backslashes, no ``.``, ``..`` or ``\\?\``.

    Names keep their case. Purely lexical, as Windows itself resolves ``..``; links are not looked at.

    Raises:
        PolicyError: it is no such path, for every reason in the first part of :data:`REFUSALS`.
    """
    text = path_text(path)
    if text is None:
        raise PolicyError([type_mistake("path", path, "a str or a path")])
    result, rules = parsed(text)
    if rules:
        raise PolicyError([refusal("path", rule, text) for rule in rules])
    return result


def is_at_or_below(path: str, ancestor: str) -> bool:
    """Whether `path` is `ancestor` or lies in it. Both in the form of :func:`normal`; by components, without case."""
    above = _parts(ancestor)
    return _parts(path)[: len(above)] == above


def is_below(path: str, ancestor: str) -> bool:
    """Whether `path` lies in `ancestor` and is not itself. Both in the form of :func:`normal`."""
    return is_at_or_below(path, ancestor) and not is_at_or_below(ancestor, path)


def root_mistakes(path: str, places: Places = Places.DEFAULT) -> list[Mistake]:
    """Why `path` is no writable root, empty where it may be: all faults of the text, or else the first place hit."""
    return [refusal("root", rule, path) for rule in parsed_root(path, places)[1]]


def parsed_root(text: str, places: Places = Places.DEFAULT) -> tuple[str, list[str]]:
    """A writable root in normal form, or what is wrong with it, as keys of REFUSALS."""
    path, rules = parsed(text)
    return path, rules or _place_rules(_parts(path), places)


def disjoint_roots(roots: Sequence[str], protected: Sequence[str]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    r"""`roots` with those that lie in another one folded into it, each with its protected paths, all in normal form.

    A root in a root keeps its protected names: for ``C:\a`` and ``C:\a\b`` and the name ``.git`` the result is ``C:\a``
    with ``.git`` and ``b\.git``. Roots stand in the order in which they, or what was folded into them, were given, so
    that the workspace stays first.
    """
    names: dict[str, dict[str, str]] = {}
    for root in roots:
        outermost = min((other for other in roots if is_at_or_below(root, other)), key=lambda other: len(_parts(other)))
        inside = root[len(outermost) :]
        for path in (f"{inside}\\{name}".removeprefix("\\") for name in protected):
            names.setdefault(outermost, {}).setdefault(folded(path), path)
        names.setdefault(outermost, {})
    return tuple((root, tuple(paths.values())) for root, paths in names.items())


def refusal(kind: str, rule: str, path: str, *details: str) -> Mistake:
    """The mistake for a rule of REFUSALS; `kind` is the first half of its code."""
    reason, remedy = REFUSALS[rule]
    if (kind, rule) == ("protected", "empty"):
        remedy = _INSIDE  # a protected path has no drive
    return Mistake(path, reason.format(*details), remedy, f"{kind}.{rule}")


def path_text(value: object) -> str | None:
    """The text of a str or a path object; None for anything else (bytes too: what they mean depends on a code page)."""
    if isinstance(value, os.PathLike):
        value = value.__fspath__()
    return value if isinstance(value, str) else None


def _parts(path: str) -> list[str]:
    return folded(path).replace("/", "\\").rstrip("\\").split("\\")


def _covers(ancestor: list[str], path: list[str]) -> bool:
    """Whether `path` begins with `ancestor`; in a component of either "*" stands for any, and "*:" for any drive."""
    if len(ancestor) > len(path):
        return False
    pairs = zip(ancestor, path, strict=False)
    return all(
        one == other or "*" in (one, other) or ("*:" in (one, other) and one[1:] == other[1:]) for one, other in pairs
    )


def _place_rules(root: list[str], places: Places) -> list[str]:
    if len(root) == 1:
        return ["drive"]
    table = [(rule, [_parts(path) for path in paths if path], inside) for rule, paths, inside in places._table()]
    for rule, known, inside in table:
        if any(_covers(place, root) and (inside or len(place) == len(root)) for place in known):
            return [rule]
    # Profiles may lie anywhere, so this name is refused wherever it stands.
    if "APPDATA" in root:
        return ["app-data"]
    for rule, known, _ in reversed(table):
        if any(_covers(root, place) for place in known):
            return [rule]
    return []


def parsed(text: str) -> tuple[str, list[str]]:
    """An absolute local path in normal form, or what is wrong with it, as keys of REFUSALS."""
    if not text:
        return "", ["empty"]
    body = text.replace("/", "\\")
    if body.startswith(_DEVICE_PREFIXES):
        rest = text[4:]
        if re.match(r"UNC\\", rest, re.IGNORECASE):
            return "", ["unc"]
        # Behind \\?\ Windows takes names as they are: "/", "." and ".." would be parts of names there.
        literal = text.startswith("\\\\?\\") and "/" not in rest and not {".", ".."} & set(rest.split("\\"))
        if not literal or not re.match(r"[A-Za-z]:\\", rest):
            return "", ["device"]
        body = rest
    if body.startswith("\\\\"):
        return "", ["unc"]
    if body.startswith("\\"):
        return "", ["posix" if text.startswith("/") else "no-drive"]
    if not _DRIVE.match(body):
        return "", ["relative"]
    if body[2:3] != "\\":
        return "", ["drive-relative"]
    names, rules = _names(body[3:], "dot-dot")
    result = f"{body[0].upper()}:\\" + "\\".join(names)
    if _units(result) > 32767 and "too-long" not in rules:
        rules.append("too-long")
    return result, rules


def _names(body: str, above: str) -> tuple[list[str], list[str]]:
    """The components of `body` with "." and ".." resolved, and what is wrong; `above`: it has more ".." than names."""
    names: list[str] = []
    rules: dict[str, None] = {}
    for name in body.split("\\"):
        if name == "..":
            if names:
                names.pop()
            else:
                rules[above] = None
        elif name not in ("", "."):
            rules |= dict.fromkeys(_name_rules(name))
            names.append(name)
    return names, list(rules)


def _name_rules(name: str) -> list[str]:
    # A name is reserved with any extension and with spaces before it: "nul .txt" is the null device to old Windows.
    stem = folded(re.split("[.:]", name)[0].rstrip(" "))
    checks = (
        ("character", _NOT_IN_NAMES.search(name)),
        ("stream", ":" in name),
        ("trailing", name[-1] in ". "),
        ("reserved", stem in RESERVED),
        ("too-long", _units(name) > 255),
    )
    return [rule for rule, wrong in checks if wrong]


def _units(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def parsed_protected(text: str) -> tuple[str, list[str]]:
    """A path relative to a root in normal form, or what is wrong with it."""
    body = text.replace("/", "\\")
    if not body:
        return "", ["empty"]
    if body.startswith("\\") or _DRIVE.match(body):
        return "", ["absolute"]
    names, rules = _names(body, "outside")
    if re.search(r"[*?]", body):
        rules = ["glob", *(rule for rule in rules if rule != "character" or re.search('[\x00-\x1f<>"|]', body))]
    if not names and not rules:
        rules = ["root-itself"]
    result = "\\".join(names)
    if _units(result) > 32767 and "too-long" not in rules:
        rules.append("too-long")
    return result, rules
