"""Reads from a Host the facts that a plan needs, and repeats on the real objects every refusal made on a root's text.

Read-only: nothing is created or changed. A root is judged by its final path and its file id, because a text can hide
what it names: a SUBST drive, an 8.3 name, a junction on the way. What is refused is collected, not raised, so that a
user sees all of it at once.
"""

from __future__ import annotations

import ntpath
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from ._findings import rights_remedy
from ._host import (
    ATTRIBUTE_OFFLINE,
    ATTRIBUTE_RECALL_ON_DATA_ACCESS,
    ATTRIBUTE_RECALL_ON_OPEN,
    Capabilities,
    FileId,
    FileInfo,
    Handle,
    Host,
    KnownFolders,
    TokenInfo,
    Volume,
)
from ._places import LOOK, Searched, find_places, upwards
from ._plan import Place, Protected
from ._security.descriptor import SecurityDescriptor
from ._security.mask import (
    READ_CONTROL,
    WRITE_DAC,
    WRITE_OWNER,
)
from .errors import Mistake
from .policy import Places, is_below, root_mistakes

if TYPE_CHECKING:
    from ._state import State
    from .policy import Policy

_PLACEHOLDER: Final = ATTRIBUTE_OFFLINE | ATTRIBUTE_RECALL_ON_OPEN | ATTRIBUTE_RECALL_ON_DATA_ACCESS

# What a share answers that cannot be reached: no such server or share, no network, a name that was taken away, a server
# that does not answer or does not know this user. ERROR_BAD_NETPATH, ERROR_BAD_NET_NAME and their kin.
_UNREACHABLE: Final = frozenset({53, 55, 59, 64, 65, 67, 121, 1219, 1222, 1225, 1231, 1232, 1311, 1326})


@dataclass(frozen=True, slots=True)
class RootFacts:
    """One writable root as it lies on disk.

    ``missing`` are protected names that do not exist in it; ``folded`` the other roots of the policy that lie below it,
    relative to it: they are no roots of their own, but their protected names count. ``descriptor`` is its security
    descriptor as it was read here, so that a warm start need not read it again.
    """

    asked: str
    place: Place
    volume: Volume
    workspace: bool
    missing: tuple[str, ...] = ()
    folded: tuple[str, ...] = ()
    descriptor: bytes = field(default=b"", repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Facts:
    """All that a plan needs to know about a host.

    ``protected`` are the protected places of all roots, with their origin; ``watch`` absolute paths that do not exist
    and must not appear; ``mistakes`` what is wrong with the roots; ``open_places`` sentences about what an audit found
    writable by everyone, None where none was made; ``exceptions`` sentences about what of the protected places cannot
    be protected.
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
    exceptions: tuple[str, ...] = ()


@dataclass(slots=True)
class _Found:
    mistakes: list[Mistake] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class _Opened(NamedTuple):
    asked: str
    place: Place
    handle: Handle
    volume: Volume
    descriptor: bytes


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
    roots: list[RootFacts] = []
    with ExitStack() as handles:
        opened: list[_Opened] = []
        for asked in policy.writable_roots:
            before = len(found.mistakes)
            root = _open_root(host, asked, policy, folders, state_path, found, handles)
            if root is not None and len(found.mistakes) == before:
                opened.append(root)
        # One directory under two names is one root.
        opened = list({root.place.identity: root for root in reversed(opened)}.values())[::-1]
        outer = _disjoint(root.place for root in opened)
        searched = [Searched(root.place, root.handle, policy.protected_subpaths) for root in opened]
        places = find_places(host, searched, outer)
        watch: list[str] = []
        for root in opened:
            missing = tuple(places.missing[root.place.path])
            if root.place not in outer:  # folded into another root, but its protected names still count
                watch.extend(ntpath.join(root.place.path, name) for name in missing)
                continue
            workspace = bool(policy.cwd) and root.asked == policy.writable_roots[0]
            inside = tuple(
                ntpath.relpath(other.place.path, root.place.path)
                for other in opened
                if is_below(other.place.path, root.place.path) and other.place.identity != root.place.identity
            )
            roots.append(RootFacts(root.asked, root.place, root.volume, workspace, missing, inside, root.descriptor))
    return Facts(
        capabilities=host.capabilities(),
        caller=caller,
        folders=folders,
        roots=tuple(roots),
        protected=places.protected,
        watch=tuple(dict.fromkeys(watch + places.watch)),
        drives=files.drives(),
        mistakes=(*found.mistakes, *places.mistakes),
        notes=tuple(dict.fromkeys(found.notes + places.notes)),
        open_places=open_places,
        exceptions=tuple(dict.fromkeys((*places.exceptions, *places.chains))),
    )


def _open_root(
    host: Host,
    asked: str,
    policy: Policy,
    folders: KnownFolders,
    state_path: str,
    found: _Found,
    handles: ExitStack,
) -> _Opened | None:
    files = host.files

    def refuse(code: str, reason: str, remedy: str) -> None:
        found.mistakes.append(Mistake(asked, reason, remedy, code))

    try:
        handle = handles.enter_context(files.open(asked, LOOK))
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
    descriptor = b""
    if volume.kind == "remote" or not volume.persistent_acls:
        pass  # refused already; its descriptor is made up
    elif SecurityDescriptor.from_bytes(descriptor := files.security(handle)).dacl is None:
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
    return _Opened(asked, Place(final, info.identity), handle, volume, descriptor)


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
    for path in upwards(state_path):
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
    if state is not None and any(_identity(host, path) == state for path in list(upwards(final))[1:]):
        found.mistakes.append(
            Mistake(
                asked, "lies in winsandbox's own state directory.", "Name a directory of your project.", "root.state"
            )
        )


def _refuse_without_rights(host: Host, asked: str, final: str, policy: Policy, found: _Found) -> None:
    low = policy.integrity == "low"
    wanted = [(WRITE_DAC, "WRITE_DAC"), *([(WRITE_OWNER, "WRITE_OWNER")] if low else [])]
    with host.tokens.current() as token:
        user = host.tokens.inspect(token).token.user
    for right, name in wanted:
        try:
            host.files.open(asked, READ_CONTROL | right).close()
        except PermissionError:
            found.mistakes.append(
                Mistake(
                    asked,
                    f"cannot be granted: you do not hold {name} on it.",
                    # For the tree: what lies in it has to be written too, and mostly came from the same hand.
                    rights_remedy(final, user=user, label=low, tree=True),
                    "root.write-dac",
                )
            )
            return


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


def _disjoint(places: Iterable[Place]) -> list[Place]:
    """The outermost places: a root that is, or lies below, another one is covered by that one's grant."""
    kept: list[Place] = []
    for place in sorted(places, key=lambda place: (len(place.path), place.path.upper())):
        if not any(place.identity == other.identity or is_below(place.path, other.path) for other in kept):
            kept.append(place)
    return kept
