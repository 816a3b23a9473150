"""Find what has to be protected in roots: the names of a policy, and what links and git pointers among them lead to.

Read-only. Used by the survey before anything is planned, and again once everything is denied: until then a child of
another sandbox may write a ``.git`` file to another pointer or turn a link, and what was found first is no longer what
git would use.

Protected places are found by listing their parent, not by opening the name: a directory can be case-sensitive
(``fsutil file setCaseSensitiveInfo``), and then ``.git`` and ``.GIT`` are two objects that both have to be protected.

What this leaves open: a link that leads through another link is followed to its end, and only the first and the end are
protected, because the host does not tell what lies in between.
"""

from __future__ import annotations

import ntpath
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from ._host import Entry, FileId, Handle, Host
from ._plan import Origin, Place, Protected
from ._security.mask import FILE_LIST_DIRECTORY, FILE_READ_ATTRIBUTES, FILE_READ_DATA, READ_CONTROL
from .errors import Mistake, PolicyError
from .policy import is_below, normal

LOOK: Final = FILE_LIST_DIRECTORY | FILE_READ_ATTRIBUTES | READ_CONTROL

# A .git file or a commondir file holds one path. Longer than any path Windows takes means: not a pointer.
_POINTER_LIMIT: Final = 70_000

# Names whose creation inside .git turns other directories into configuration (git reads hooks and config from where
# commondir and gitdir point, and config.worktree beside config); Protect.GIT_HOOKS cannot deny them in advance.
GIT_REDIRECTS: Final = ("commondir", "config.worktree", "gitdir")


class Searched(NamedTuple):
    """One root to look in: what it is, open with :data:`LOOK`, and the protected names, relative to it."""

    root: Place
    handle: Handle
    names: Sequence[str]


@dataclass(slots=True)
class Found:
    """What a search found.

    Attributes:
        protected: the places that exist, each once.
        missing: by the path of a root, its names that do not exist.
        watch: further absolute paths in a root that do not exist and must not appear.
        outside: whether something leads out of every root.
        mistakes: what leads to a root itself: protecting that would leave nothing to write.
        exceptions: what leads to a directory that holds a root, which stays writable there; what is not followed.
        chains: links and pointers that lead into a root through a name of their own, with what may be between.
        notes: what is not followed, or leads out.
    """

    protected: tuple[Protected, ...] = ()
    missing: dict[str, list[str]] = field(default_factory=dict)
    watch: list[str] = field(default_factory=list)
    outside: bool = False
    mistakes: list[Mistake] = field(default_factory=list)
    exceptions: list[str] = field(default_factory=list)
    chains: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    candidates: list[_Candidate] = field(default_factory=list)
    leads: list[tuple[str, Origin]] = field(default_factory=list)


class _Candidate(NamedTuple):
    path: str
    identity: FileId
    directory: bool
    link: bool
    origin: Origin


def find_places(host: Host, searched: Iterable[Searched], roots: Sequence[Place]) -> Found:
    """Look for the protected names of `searched`; what they lead to is protected where it lies in one of `roots`.

    Raises:
        WinError: a directory on the way to a name cannot be listed.
    """
    found = Found()
    for root, handle, names in searched:
        _find_names(host, root, handle, names, found)
    _add_targets(host, found, roots)
    found.protected = tuple(_attached(host, found, roots))
    return found


def points(path: str, *, directory: bool, link: bool) -> bool:
    """Whether a protected place may say that another one matters: a link, or a .git file."""
    return link or (not directory and ntpath.basename(path).upper() == ".GIT")


def _find_names(host: Host, root: Place, handle: Handle, names: Sequence[str], found: Found) -> None:
    missing = found.missing.setdefault(root.path, [])
    for name in (*names, *_redirects(names)):
        before = len(found.candidates)
        with ExitStack() as opened:
            _descend(host, root.path, handle, name.split("\\"), found, opened)
        if len(found.candidates) > before:
            continue
        if name in names:
            missing.append(name)
        else:
            found.watch.append(ntpath.join(root.path, name))


def _redirects(names: Sequence[str]) -> list[str]:
    """The names that redirect a repository of which only parts are protected."""
    found: dict[str, None] = {}
    whole = {name.upper() for name in names}
    for name in names:
        parts = name.split("\\")
        for index, part in enumerate(parts[:-1]):
            above = "\\".join(parts[: index + 1])
            if part.upper() == ".GIT" and above.upper() not in whole:
                found.update(dict.fromkeys(f"{above}\\{redirect}" for redirect in GIT_REDIRECTS))
    return [name for name in found if name.upper() not in whole]


def _descend(host: Host, above: str, handle: Handle, parts: list[str], found: Found, opened: ExitStack) -> None:
    rest = parts[1:]
    for entry in [entry for entry in host.files.entries(handle) if entry.name.upper() == parts[0].upper()]:
        path = ntpath.join(above, entry.name)
        if entry.directory and not entry.reparse and entry.name.upper() == ".GIT":
            # With a commondir in it git takes hooks and configuration from there.
            found.leads += [(ntpath.join(common, *rest), "git pointer") for common in _common(host, path, found)]
        if rest and entry.directory and not entry.reparse:
            child = opened.enter_context(host.files.open_at(handle, entry.name, LOOK))
            _descend(host, path, child, rest, found, opened)
            continue
        # Where the way to a protected place leads through a link or a .git file, that is protected, so that it cannot
        # be turned; what lies behind it is found as its target.
        found.candidates.append(_Candidate(path, entry.identity, entry.directory, entry.reparse, "policy"))
        if entry.reparse:
            found.leads.append((ntpath.join(path, *rest), "link target"))
        elif points(path, directory=entry.directory, link=False):
            found.leads += [
                (ntpath.join(target, *rest), "git pointer")
                for target in _git_targets(host, above, handle, entry, found)
            ]


def _git_targets(host: Host, above: str, parent: Handle, entry: Entry, found: Found) -> Iterator[str]:
    """A .git file names the real directory (worktree, submodule); that directory may name a common one."""
    with host.files.open_at(parent, entry.name, FILE_READ_DATA | FILE_READ_ATTRIBUTES) as handle:
        text = _text(host, handle)
    named = text.removeprefix("gitdir:").strip()
    if named == text or not named:
        found.notes.append(f"{ntpath.join(above, entry.name)} is a file but no git pointer; it is protected as a file")
        return
    target = _local(host, above, named, found)
    if target is None:
        return
    yield target
    yield from _common(host, target, found)


def _common(host: Host, repository: str, found: Found) -> Iterator[str]:
    """The common directory that a repository's own directory names, if it does."""
    try:
        with host.files.open(ntpath.join(repository, "commondir"), FILE_READ_DATA | FILE_READ_ATTRIBUTES) as handle:
            text = _text(host, handle)
    except OSError:
        return  # there is none: the directory itself is all there is
    common = _local(host, repository, text, found) if text else None
    if common is not None:
        yield common


def _local(host: Host, above: str, text: str, found: Found) -> str | None:
    """A path that a file in a root names, made absolute; None, with an exception, where it is not on a local drive.

    The file may be the child's, or come out of an archive. Opening a share that it names would send this user's
    credentials there, unsandboxed, and wait for a server of somebody's choice.
    """
    try:
        path = normal(ntpath.join(above, text.replace("/", "\\")))
    except PolicyError:
        found.exceptions.append(f"{above} names {text[:200]!r}, which is no path on a local drive; it is not followed")
        return None
    drive = path[:2].upper()
    if any(volume.root[:2].upper() == drive and volume.kind != "remote" for volume in host.files.drives()):
        return path
    found.exceptions.append(f"{above} names {path}, which is not on a local drive; it is not followed")
    return None


def _text(host: Host, handle: Handle) -> str:
    if host.files.info(handle).size > _POINTER_LIMIT:
        return ""
    # Git reads it as a C string: what stands behind a NUL does not count.
    return host.files.read(handle, _POINTER_LIMIT).partition(b"\0")[0].decode("utf-8", "replace").strip()


def _add_targets(host: Host, found: Found, roots: Sequence[Place]) -> None:
    """What links and git pointers lead to is protected as well, where it lies in a root."""
    for path, origin in found.leads:
        try:
            handle = host.files.open(path, FILE_READ_ATTRIBUTES, follow=True)
        except OSError:
            # Nothing can be denied yet, but in a root the child could make it.
            rest = _resolved(host, path)
            if any(is_below(rest, root.path) for root in roots):
                found.watch.append(rest)
            if ntpath.basename(path) not in GIT_REDIRECTS:
                found.notes.append(f"{path} leads nowhere that can be opened; nothing more is protected for it")
            continue
        with handle:
            info, final = host.files.info(handle), host.files.final_path(handle)
        if any(root.identity == info.identity for root in roots):
            found.mistakes.append(
                Mistake(
                    final,
                    f"is where the protected {path} leads: protecting that would leave nothing to write.",
                    "Remove the link or pointer, or take its name out of the policy.",
                    "root.protected",
                )
            )
        elif held := [root.path for root in roots if is_below(root.path, final)]:
            found.exceptions.append(f"{path} leads to {final}, in which {', '.join(held)} stays writable")
        elif any(is_below(final, root.path) for root in roots):
            found.candidates.append(_Candidate(final, info.identity, info.directory, False, origin))
            if path.upper() != final.upper():
                # The host cannot read where a link leads first, so one between the two may be the child's to turn.
                found.chains.append(f"{path} leads to {final}: links on the way there are not protected")
        else:
            found.outside = True
            found.notes.append(f"{path} leads to {final}, outside every root; it is not writable there")


def _resolved(host: Host, path: str) -> str:
    """Where a path that does not exist would lie: the final path of what exists of it, and the rest."""
    for above in list(upwards(path))[1:]:
        try:
            with host.files.open(above, FILE_READ_ATTRIBUTES, follow=True) as handle:
                return host.files.final_path(handle) + path[len(above.rstrip("\\")) :]
        except OSError:
            continue
    return path


def _attached(host: Host, found: Found, roots: Sequence[Place]) -> Iterator[Protected]:
    """Each candidate once, with the directories between its root and it."""
    seen: set[FileId] = set()
    for item in found.candidates:
        root = next((root for root in roots if is_below(item.path, root.path)), None)
        if root is None or item.identity in seen:
            continue
        seen.add(item.identity)
        between: list[Place] = []
        for above in list(upwards(item.path))[1:]:
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


def upwards(path: str) -> Iterator[str]:
    """`path` and every directory above it, innermost first."""
    while True:
        yield path
        above = ntpath.dirname(path)
        if above == path:
            return
        path = above
