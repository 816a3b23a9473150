"""Reads from a Host the facts that a plan needs, and repeats on the real objects every refusal made on a root's text.

Read-only: nothing is created or changed. A root is judged by its final path and its file id, because a text can hide
what it names: a SUBST drive, an 8.3 name, a junction on the way. What is refused is collected, not raised, so that a
user sees all of it at once.

Protected places are found by listing their parent, not by opening the name: a directory can be case-sensitive
(``fsutil file setCaseSensitiveInfo``), and then ``.git`` and ``.GIT`` are two objects that both have to be protected.
"""

from __future__ import annotations

import ntpath
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from ._host import (
    ATTRIBUTE_OFFLINE,
    ATTRIBUTE_RECALL_ON_DATA_ACCESS,
    ATTRIBUTE_RECALL_ON_OPEN,
    Capabilities,
    Entry,
    FileId,
    FileInfo,
    Handle,
    Host,
    KnownFolders,
    TokenInfo,
    Volume,
)
from ._plan import Origin, Place, Protected
from ._security.descriptor import SecurityDescriptor
from ._security.mask import (
    FILE_LIST_DIRECTORY,
    FILE_READ_ATTRIBUTES,
    FILE_READ_DATA,
    READ_CONTROL,
    WRITE_DAC,
    WRITE_OWNER,
)
from .errors import Mistake, PolicyError
from .policy import Places, is_below, normal, root_mistakes

if TYPE_CHECKING:
    from ._state import State
    from .policy import Policy

_PLACEHOLDER: Final = ATTRIBUTE_OFFLINE | ATTRIBUTE_RECALL_ON_OPEN | ATTRIBUTE_RECALL_ON_DATA_ACCESS
_LOOK: Final = FILE_LIST_DIRECTORY | FILE_READ_ATTRIBUTES | READ_CONTROL

# A .git file or a commondir file holds one path. Longer than any path Windows takes means: not a pointer.
_POINTER_LIMIT: Final = 70_000

# What a share answers that cannot be reached: no such server or share, no network, a name that was taken away, a server
# that does not answer or does not know this user. ERROR_BAD_NETPATH, ERROR_BAD_NET_NAME and their kin.
_UNREACHABLE: Final = frozenset({53, 55, 59, 64, 65, 67, 121, 1219, 1222, 1225, 1231, 1232, 1311, 1326})

# Names whose creation inside .git turns other directories into configuration (git reads hooks and config from where
# commondir and gitdir point, and config.worktree beside config); Protect.GIT_HOOKS cannot deny them in advance.
GIT_REDIRECTS: Final = ("commondir", "config.worktree", "gitdir")


@dataclass(frozen=True, slots=True)
class RootFacts:
    """One writable root as it lies on disk.

    ``missing`` are protected names that do not exist in it; ``folded`` the other roots of the policy that lie below it,
    relative to it: they are no roots of their own, but their protected names count.
    """

    asked: str
    place: Place
    volume: Volume
    workspace: bool
    missing: tuple[str, ...] = ()
    folded: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Facts:
    """All that a plan needs to know about a host.

    ``protected`` are the protected places of all roots, with their origin; ``watch`` absolute paths that do not exist
    and must not appear; ``mistakes`` what is wrong with the roots; ``open_places`` sentences about what an audit found
    writable by everyone, None where none was made.
    """

    capabilities: Capabilities
    caller: TokenInfo
    folders: KnownFolders
    roots: tuple[RootFacts, ...]
    protected: tuple[Protected, ...]
    watch: tuple[str, ...]
    drives: tuple[Volume, ...]
    mistakes: tuple[Mistake, ...]
    notes: tuple[str, ...]
    open_places: tuple[str, ...] | None = None


class _Candidate(NamedTuple):
    path: str
    identity: FileId
    directory: bool
    link: bool
    origin: Origin


@dataclass(slots=True)
class _Found:
    roots: list[RootFacts] = field(default_factory=list)
    candidates: list[_Candidate] = field(default_factory=list)
    leads: list[tuple[str, Origin]] = field(default_factory=list)
    watch: list[str] = field(default_factory=list)
    mistakes: list[Mistake] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def open_places(host: Host, state: State, policy: Policy) -> tuple[str, ...]:
    """What everyone may write, in sentences, as far as it is known: remembered, or looked for now, for a second.

    Without Everyone among the restricting SIDs only what has no list at all is open. What the search did not get to is
    named as well: not looked at is not closed.
    """
    known = state.open_places()
    if known is None:
        from .audit import audit

        state.remember_open_places(audit(host=host, time_limit=1.0))
        known = state.open_places() or ()
    return tuple(text for reason, text in known if reason != "everyone" or "everyone" in policy.restricting)


def places_of(folders: KnownFolders) -> Places:
    """The host's real folders as the policy's refusals take them."""
    return Places(
        windows=folders.windows,
        program_files=folders.program_files,
        program_data=folders.program_data,
        profiles_directory=folders.profiles,
        profile=folders.profile,
        app_data=(folders.local_app_data, folders.roaming_app_data, folders.local_app_data_low),
        startup=folders.startup,
    )


def survey(host: Host, policy: Policy, *, state_path: str, open_places: tuple[str, ...] | None = None) -> Facts:
    """Look at everything that `policy` names on `host`.

    `state_path` is the state directory (it need not exist): no root may be, hold or lie in it.
    Raises WinError only for what has nothing to do with a single root (the token, the known folders).
    """
    files = host.files
    with host.tokens.current() as token:
        caller = host.tokens.inspect(token)
    folders = files.known_folders()
    found = _Found()
    with ExitStack() as handles:
        opened: list[tuple[str, Place, Handle, Volume]] = []
        for asked in policy.writable_roots:
            before = len(found.mistakes)
            root = _open_root(host, asked, policy, folders, state_path, found, handles)
            if root is not None and len(found.mistakes) == before:
                opened.append((asked, *root))
        # One directory under two names is one root.
        opened = list({item[1].identity: item for item in reversed(opened)}.values())[::-1]
        outer = _disjoint(opened)
        for asked, place, handle, volume in opened:
            workspace = bool(policy.cwd) and asked == policy.writable_roots[0]
            missing = _find_protected(host, place, handle, policy, found)
            inside = tuple(
                ntpath.relpath(other.path, place.path)
                for _, other, _, _ in opened
                if other is not place and is_below(other.path, place.path) and other.identity != place.identity
            )
            if place in outer:
                found.roots.append(RootFacts(asked, place, volume, workspace, tuple(missing), inside))
            else:  # folded into another root, but its protected names still count
                found.watch.extend(ntpath.join(place.path, name) for name in missing)
        _add_targets(host, found)
        protected = tuple(_attached(host, found))
    return Facts(
        capabilities=host.capabilities(),
        caller=caller,
        folders=folders,
        roots=tuple(found.roots),
        protected=protected,
        watch=tuple(dict.fromkeys(found.watch)),
        drives=files.drives(),
        mistakes=tuple(found.mistakes),
        notes=tuple(dict.fromkeys(found.notes)),
        open_places=open_places,
    )


def _open_root(
    host: Host,
    asked: str,
    policy: Policy,
    folders: KnownFolders,
    state_path: str,
    found: _Found,
    handles: ExitStack,
) -> tuple[Place, Handle, Volume] | None:
    files = host.files

    def refuse(code: str, reason: str, remedy: str) -> None:
        found.mistakes.append(Mistake(asked, reason, remedy, code))

    try:
        handle = handles.enter_context(files.open(asked, _LOOK))
    except FileNotFoundError:
        refuse("root.missing", "does not exist.", "Create the directory first; roots are existing directories.")
        return None
    except OSError as error:
        refuse("root.unreadable", f"cannot be opened: {error}.", "Name a directory that you may change.")
        return None
    info = files.info(handle)
    if info.reparse:
        # An ACE on a link would land on the link or on its target, as the call likes: neither is what was asked.
        refuse("root.link", "is a link (a reparse point).", "Name the directory that it leads to.")
        return None
    if not info.directory:
        refuse("root.file", "is a file.", "Name a directory.")
        return None
    final = files.final_path(handle)
    found.mistakes.extend(
        Mistake(asked, f"leads to {final}, which {mistake.reason}", mistake.remedy, mistake.code)
        for mistake in root_mistakes(final, places_of(folders))
    )
    volume = files.volume(handle)
    if volume.kind == "remote":
        refuse(
            "root.remote",
            "lies on a network share, where the server checks access without the restricting SIDs.",
            "Use a directory on a local NTFS or ReFS volume.",
        )
    elif not volume.persistent_acls:
        refuse(
            "root.no-acls",
            f"lies on a volume without access control lists ({volume.filesystem}): nothing there can be protected.",
            "Use a directory on a local NTFS or ReFS volume.",
        )
    _refuse_by_identity(host, asked, final, info.identity, folders, state_path, found)
    if volume.kind == "remote" or not volume.persistent_acls:
        pass  # refused already; its descriptor is made up
    elif SecurityDescriptor.from_bytes(files.security(handle)).dacl is None:
        refuse(
            "root.null-dacl",
            "has no access control list at all (a NULL DACL: everyone may do everything); adding to it would take "
            "everybody's access away.",
            f'Give it a list first, for example:  icacls "{final}" /inheritance:e /reset',
        )
    else:
        _refuse_without_rights(host, asked, final, policy, found)
    if info.attributes & _PLACEHOLDER:
        found.notes.append(f"{final} holds cloud placeholders; files that are not on this machine are not touched")
    return Place(final, info.identity), handle, volume


def _refuse_by_identity(
    host: Host, asked: str, final: str, identity: FileId, folders: KnownFolders, state_path: str, found: _Found
) -> None:
    """Compare file ids: the same directory can be reached under a name that no text rule knows."""
    forbidden = {
        "the user's profile": folders.profile,
        "the profiles directory": folders.profiles,
        "Windows": folders.windows,
        "ProgramData": folders.program_data,
        "the user's local AppData": folders.local_app_data,
        "the user's roaming AppData": folders.roaming_app_data,
    }
    for name, path in forbidden.items():
        if _local_identity(host, path, found) == identity:
            found.mistakes.append(
                Mistake(asked, f"is {name} under another name.", "Name a directory of its own.", "root.system")
            )
    for path in _upwards(state_path):
        if _local_identity(host, path, found) == identity:
            found.mistakes.append(
                Mistake(
                    asked,
                    "holds winsandbox's own state directory.",
                    "A child that can write there could undo the sandbox; name another root.",
                    "root.state",
                )
            )
    state = _local_identity(host, state_path, found)
    if state is not None and any(_identity(host, path) == state for path in list(_upwards(final))[1:]):
        found.mistakes.append(
            Mistake(
                asked, "lies in winsandbox's own state directory.", "Name a directory of your project.", "root.state"
            )
        )


def _refuse_without_rights(host: Host, asked: str, final: str, policy: Policy, found: _Found) -> None:
    wanted = [(WRITE_DAC, "WRITE_DAC", "WDAC")]
    if policy.integrity == "low":
        wanted.append((WRITE_OWNER, "WRITE_OWNER", "WO"))
    with host.tokens.current() as token:
        user = host.tokens.inspect(token).token.user
    for right, name, letters in wanted:
        try:
            host.files.open(asked, READ_CONTROL | right).close()
        except PermissionError:
            found.mistakes.append(
                Mistake(
                    asked,
                    f"cannot be granted: you do not hold {name} on it.",
                    # Every object below is written to as well, those that inherit nothing too (/T). By SID, since no
                    # two shells write a variable alike.
                    f'Let its owner or an administrator run:  icacls "{final}" /grant "*{user}:(OI)(CI)({letters})" /T',
                    "root.write-dac",
                )
            )


def _find_protected(host: Host, root: Place, handle: Handle, policy: Policy, found: _Found) -> list[str]:
    """Add the protected places of one root; return the names that do not exist."""
    missing: list[str] = []
    for name in policy.protected_subpaths:
        before = len(found.candidates)
        with ExitStack() as opened:
            _descend(host, root.path, handle, name.split("\\"), found, opened)
        if len(found.candidates) == before:
            missing.append(name)
    parts = [name.upper().split("\\") for name in policy.protected_subpaths]
    if any(part[0] == ".GIT" for part in parts) and [".GIT"] not in parts:
        found.watch.extend(ntpath.join(root.path, ".git", name) for name in GIT_REDIRECTS)
    return missing


def _descend(host: Host, above: str, handle: Handle, parts: list[str], found: _Found, opened: ExitStack) -> None:
    rest = parts[1:]
    for entry in _matching(host, handle, parts[0]):
        path = ntpath.join(above, entry.name)
        if rest and entry.directory and not entry.reparse:
            child = opened.enter_context(host.files.open_at(handle, entry.name, _LOOK))
            _descend(host, path, child, rest, found, opened)
            continue
        # Where the way to a protected place leads through a link or a .git file, that is protected, so that it cannot
        # be turned; what lies behind it is found as its target.
        found.candidates.append(_Candidate(path, entry.identity, entry.directory, entry.reparse, "policy"))
        if entry.reparse:
            found.leads.append((ntpath.join(path, *rest), "link target"))
        elif entry.name.upper() == ".GIT" and not entry.directory:
            found.leads += [
                (ntpath.join(target, *rest), "git pointer")
                for target in _git_targets(host, above, handle, entry, found)
            ]


def _matching(host: Host, handle: Handle, name: str) -> list[Entry]:
    return [entry for entry in host.files.entries(handle) if entry.name.upper() == name.upper()]


def _git_targets(host: Host, above: str, parent: Handle, entry: Entry, found: _Found) -> Iterator[str]:
    """A .git file names the real directory (worktree, submodule); that directory may name a common one."""
    with host.files.open_at(parent, entry.name, FILE_READ_DATA | FILE_READ_ATTRIBUTES) as handle:
        text = _text(host, handle)
    if not text.startswith("gitdir:"):
        found.notes.append(f"{ntpath.join(above, entry.name)} is a file but no git pointer; it is protected as a file")
        return
    target = _local(host, above, text.removeprefix("gitdir:").strip(), found)
    if target is None:
        return
    yield target
    try:
        with host.files.open(ntpath.join(target, "commondir"), FILE_READ_DATA | FILE_READ_ATTRIBUTES) as handle:
            text = _text(host, handle)
    except OSError:
        return  # no common directory: the pointer's target is all there is
    common = _local(host, target, text, found) if text else None
    if common is not None:
        yield common


def _local(host: Host, above: str, text: str, found: _Found) -> str | None:
    """A path that a file in a root names, made absolute; None, with a note, where it is not on a local drive.

    The file may be the child's, or come out of an archive. Opening a share that it names would send this user's
    credentials there, unsandboxed, and wait for a server of somebody's choice.
    """
    try:
        path = normal(ntpath.join(above, text.replace("/", "\\")))
    except PolicyError:
        found.notes.append(f"{above} names {text[:200]!r}, which is no path on a local drive; it is not followed")
        return None
    drive = path[:2].upper()
    if any(volume.root[:2].upper() == drive and volume.kind != "remote" for volume in host.files.drives()):
        return path
    found.notes.append(f"{above} names {path}, which is not on a local drive; it is not followed")
    return None


def _text(host: Host, handle: Handle) -> str:
    if host.files.info(handle).size > _POINTER_LIMIT:
        return ""
    return host.files.read(handle, _POINTER_LIMIT).decode("utf-8", "replace").strip()


def _add_targets(host: Host, found: _Found) -> None:
    """What links and git pointers lead to is protected as well, where it lies in a root."""
    for path, origin in found.leads:
        try:
            handle = host.files.open(path, FILE_READ_ATTRIBUTES, follow=True)
        except OSError:
            found.notes.append(f"{path} leads nowhere that can be opened; nothing more is protected for it")
            continue
        with handle:
            info, final = host.files.info(handle), host.files.final_path(handle)
        if any(is_below(final, root.place.path) for root in found.roots):
            found.candidates.append(_Candidate(final, info.identity, info.directory, False, origin))
        else:
            found.notes.append(f"{path} leads to {final}, outside every root; it is not writable there")


def _attached(host: Host, found: _Found) -> Iterator[Protected]:
    """Each candidate once, with the directories between its root and it."""
    seen: set[FileId] = set()
    for item in found.candidates:
        root = next((root.place for root in found.roots if is_below(item.path, root.place.path)), None)
        if root is None or item.identity in seen:
            continue
        seen.add(item.identity)
        between: list[Place] = []
        for above in list(_upwards(item.path))[1:]:
            if above.upper() == root.path.upper():
                break
            info = host.files.query(above, follow=False)
            if info is not None:
                between.insert(0, Place(above, info.identity))
        yield Protected(
            name=ntpath.relpath(item.path, root.path),
            path=item.path,
            identity=item.identity,
            directory=item.directory,
            link=item.link,
            between=tuple(between),
            origin=item.origin,
        )


def _disjoint(opened: Iterable[tuple[str, Place, Handle, Volume]]) -> list[Place]:
    """The outermost places: a root that is, or lies below, another one is covered by that one's grant."""
    kept: list[Place] = []
    for _, place, _, _ in sorted(opened, key=lambda item: (len(item[1].path), item[1].path.upper())):
        if not any(place.identity == other.identity or is_below(place.path, other.path) for other in kept):
            kept.append(place)
    return kept


def _identity(host: Host, path: str) -> FileId | None:
    info: FileInfo | None = host.files.query(path)
    return None if info is None else info.identity


def _local_identity(host: Host, path: str, found: _Found) -> FileId | None:
    """The same for a directory that may have been redirected to a server: what is not local is no local root.

    A share is not asked at all (a server that is away is waited for); a drive letter or link may still lead to one.
    """
    if path.startswith("\\\\"):
        found.notes.append(f"{path} lies on a network share; it was not compared with the roots")
        return None
    try:
        return _identity(host, path)
    except OSError as error:
        if getattr(error, "winerror", None) not in _UNREACHABLE:
            raise
        found.notes.append(f"{path} cannot be reached ({error}), so it is no directory of a local root")
        return None


def _upwards(path: str) -> Iterator[str]:
    """`path` and every directory above it, innermost first."""
    while True:
        yield path
        above = ntpath.dirname(path)
        if above == path:
            return
        path = above
