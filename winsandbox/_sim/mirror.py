"""Taking over a real directory tree's metadata, so that a policy can be checked against the user's own project."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

from .._host import REPARSE_MOUNT_POINT, REPARSE_SYMLINK
from .disk import Link, Node, Reparse
from .names import check

if TYPE_CHECKING:
    from .machine import Machine

__all__ = ["take"]

# Small files whose content planning reads: where a worktree's or submodule's repository is.
_POINTERS: Final = frozenset({".git", "commondir", "gitdir"})
_LARGEST_POINTER: Final = 4096
_EPOCH: Final = 116444736000000000


def take(machine: Machine, source: str | os.PathLike[str], at: str, sddl: str | None) -> int:
    """Mirror `source` below `at`; see ``SimulatedHost.mirror``.

    Names that Windows cannot have are left out, as a checkout there would. A link that leads out of the tree keeps its
    target as text and leads nowhere in the simulation; one inside leads to its mirrored target. Whatever cannot be
    read is left out.
    """
    base = os.path.realpath(source)
    if not os.path.isdir(base):
        wrong = FileNotFoundError if not os.path.exists(base) else NotADirectoryError
        raise wrong(f"{os.fspath(source)} is no directory here; there is nothing to mirror")
    top = machine.add_directory(at, sddl, as_user=True)
    known: dict[tuple[int, int], Node] = {}
    pending = [(base, top)]
    count = 1
    while pending:
        directory, node = pending.pop()
        try:
            with os.scandir(directory) as found:
                entries = list(found)
        except OSError:
            continue
        children = node.children
        if children is None:
            continue
        inner = machine.filesystem.descriptor_for(node, machine.plain, container=True)
        outer = machine.filesystem.descriptor_for(node, machine.plain, container=False)
        for entry in entries:
            try:
                name = check(entry.name, "mirror")
                status = entry.stat(follow_symlinks=False)
                link = _target(entry, status, base, at)
                folder = entry.is_dir() if link is not None else stat.S_ISDIR(status.st_mode)
                if sys.platform == "win32" and not folder:
                    status = os.lstat(entry.path)  # what Windows lists of a directory tells nothing of hard links
            except OSError:
                continue
            key = node.key(name)
            if key in children:
                continue  # differs in case only
            twin = known.get((status.st_dev, status.st_ino)) if status.st_nlink > 1 and not folder else None
            if twin is not None:
                node.attach(name, twin)
                count += 1
                continue
            when = _EPOCH + status.st_mtime_ns // 100
            made = Node(node.volume, directory=folder, descriptor=inner if folder else outer, now=when)
            children[key] = named = Link(name, made, node)
            made.links = (named,)
            count += 1
            if link is not None:
                made.set_reparse(Reparse(REPARSE_SYMLINK, link))
            elif folder:
                if getattr(status, "st_reparse_tag", 0) == REPARSE_MOUNT_POINT:
                    made.set_reparse(Reparse(REPARSE_MOUNT_POINT, _placed(os.path.realpath(entry.path), base, at)))
                else:
                    pending.append((entry.path, made))
            else:
                made.size = status.st_size
                if status.st_nlink > 1:
                    known[(status.st_dev, status.st_ino)] = made
                if name in _POINTERS and status.st_size <= _LARGEST_POINTER:
                    made.data = _content(entry.path, base, at)
                    made.size = 0
    return count


def _target(entry: os.DirEntry[str], status: os.stat_result, base: str, at: str) -> str | None:
    """Where a symbolic link leads in the mirror."""
    if not stat.S_ISLNK(status.st_mode):
        return None
    target = os.readlink(entry.path)
    return _placed(target, base, at) if os.path.isabs(target) else target.replace("/", "\\")


def _placed(path: str, base: str, at: str) -> str:
    """A real path as it is called in the mirror; outside of the tree: below ``C:\\`` in the same words."""
    try:
        inside = os.path.relpath(path, base)
    except ValueError:  # another drive
        inside = os.pardir
    if inside == os.curdir:
        return at
    if inside.split(os.sep)[0] != os.pardir:
        return at + "\\" + inside.replace("/", "\\")
    if os.sep == "\\":
        return path
    return "C:" + str(PurePosixPath("/", path)).replace("/", "\\")


def _content(path: str, base: str, at: str) -> bytes:
    """A pointer file, with an absolute path in it as it is called in the mirror."""
    try:
        with open(path, "rb") as file:
            data = file.read(_LARGEST_POINTER)
        text = data.decode()
    except (OSError, UnicodeDecodeError):
        return b""
    prefix, value = ("gitdir: ", text[8:]) if text.startswith("gitdir: ") else ("", text)
    value = value.strip()
    return (prefix + _placed(value, base, at) + "\n").encode() if os.path.isabs(value) else data
