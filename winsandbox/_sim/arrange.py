"""How a test arranges a simulated disk and looks at it: outside of all counting, failing and crashing."""

from __future__ import annotations

import ntpath
from typing import TYPE_CHECKING

from .._host import ATTRIBUTE_READONLY, REPARSE_MOUNT_POINT, REPARSE_SYMLINK
from .._security.descriptor import SecurityDescriptor
from . import mirror
from .disk import Link, Node, Reparse, content
from .names import folded
from .tokens import SimulatedToken

if TYPE_CHECKING:
    import os

    from .machine import Machine

__all__ = ["Arranging"]


class Arranging:
    """The part of SimulatedHost that makes and shows files.

    What is made belongs to the user, as if he had made it himself, unless ``as_system`` says otherwise; nobody's rights
    are asked. In SDDL the letter U stands for the user's SID: ``(A;OICI;FA;;;U)``.
    """

    _machine: Machine

    def mkdir(self, path: str, sddl: str | None = None, *, as_system: bool = False) -> None:
        """Make a directory and those above it that are missing; of an existing one only the descriptor is set."""
        with self._machine.lock:
            self._machine.add_directory(path, sddl, as_user=not as_system)

    def write_file(self, path: str, data: bytes = b"", sddl: str | None = None, *, as_system: bool = False) -> None:
        """Make or replace a file, and make the directories above it; ``file:stream`` writes a stream."""
        with self._machine.lock:
            self._machine.add_file(path, data, sddl, as_user=not as_system)

    def read_file(self, path: str) -> bytes:
        """The content of a file; links are followed. ``FileNotFoundError`` where there is none."""
        with self._machine.lock:
            link, stream = self._machine.filesystem.existing(path, self._machine.system, "read", follow=True)
            if stream:
                return bytes(link.node.stream(stream) or b"")
            return bytes(content(link.node))

    def exists(self, path: str) -> bool:
        """Whether there is something of that name; a link is something."""
        with self._machine.lock:
            try:
                self._link(path)
            except OSError:
                return False
            return True

    def remove(self, path: str) -> None:
        """Take away a file, a link or a directory with all that is in it."""
        with self._machine.lock:
            self._machine.filesystem.unlink(self._link(path))

    def rename(self, source: str, target: str) -> None:
        """Move something on its volume, with its descriptors; the target must be free."""
        with self._machine.lock:
            link = self._link(source)
            directory = self._machine.add_directory(ntpath.dirname(target))
            if link.parent is None or directory.volume is not link.node.volume:
                raise ValueError("only below the root of one volume")
            link.parent.detach(link)
            directory.attach(ntpath.basename(target), link.node)

    def link(self, source: str, target: str) -> None:
        """Give the file `source` the further name `target` (a hard link)."""
        with self._machine.lock:
            node = self._link(source).node
            self._machine.add_directory(ntpath.dirname(target)).attach(ntpath.basename(target), node)

    def junction(self, target: str, path: str) -> None:
        """Make a junction at `path` that leads to the directory `target`."""
        self._make_link(path, Reparse(REPARSE_MOUNT_POINT, target), directory=True)

    def symlink(self, target: str, path: str, *, directory: bool = False) -> None:
        """Make a symbolic link at `path`; a relative `target` is taken from the link's directory."""
        self._make_link(path, Reparse(REPARSE_SYMLINK, target), directory=directory)

    def reparse(self, path: str, tag: int) -> None:
        """Make a reparse point of another kind (a cloud file, an app alias) of what lies at `path`."""
        with self._machine.lock:
            self._link(path).node.set_reparse(Reparse(tag, "?"))

    def set_attributes(self, path: str, attributes: int, *, clear: int = 0) -> None:
        """Set attribute bits (ATTRIBUTE_*), and clear others."""
        with self._machine.lock:
            node = self._link(path).node
            node.attributes = (node.attributes & ~clear) | attributes

    def set_readonly(self, path: str, readonly: bool = True) -> None:
        """Set or clear the read-only attribute."""
        self.set_attributes(path, ATTRIBUTE_READONLY if readonly else 0, clear=0 if readonly else ATTRIBUTE_READONLY)

    def case_sensitive(self, path: str) -> None:
        """Make an empty directory case-sensitive (``fsutil file setCaseSensitiveInfo``)."""
        with self._machine.lock:
            node = self._link(path).node
            if node.children:
                raise ValueError("only an empty directory can be made case-sensitive")
            node.case_sensitive = True

    def short_name(self, path: str, name: str) -> None:
        """Give something an 8.3 name."""
        with self._machine.lock:
            link = self._link(path)
            if link.parent is None:
                raise ValueError("the root of a volume has no name")
            link.node.volume.short[(link.parent.number, folded(name))] = link

    def descriptor(self, path: str) -> SecurityDescriptor:
        """The stored descriptor, owner, group, DACL and label; links are not followed."""
        return SecurityDescriptor.from_bytes(self.descriptor_bytes(path))

    def descriptor_bytes(self, path: str) -> bytes:
        """The stored descriptor, byte for byte. ``ValueError`` on a volume without ACLs."""
        with self._machine.lock:
            found = self._link(path).node.descriptor
        if found is None:
            raise ValueError(f"{path} lies on a volume without ACLs")
        return found

    def sddl(self, path: str) -> str:
        """The stored descriptor as text."""
        return self.descriptor(path).to_sddl()

    def set_sddl(self, path: str, sddl: str) -> None:
        """Replace the descriptor of this one object; owner and group are the user where the text names none."""
        with self._machine.lock:
            node = self._link(path).node
            node.descriptor = self._machine.stored(sddl, path)
            node.changed = self._machine.filetime()

    def tree(self, path: str, *, descriptors: bool = False) -> dict[str, str]:
        """Everything at and below `path`: relative name ("" is itself) -> SDDL, or the kind of object.

        Links are shown, not followed. Two trees are equal if and only if nothing was made, removed or (with
        ``descriptors``) changed.
        """
        with self._machine.lock:
            found: dict[str, str] = {}
            pending = [("", self._link(path).node)]
            while pending:
                name, node = pending.pop()
                found[name] = _shown(node, descriptors)
                if node.reparse is None:
                    for link in (node.children or {}).values():
                        pending.append((f"{name}\\{link.name}" if name else link.name, link.node))
            return dict(sorted(found.items()))

    def allowed(self, path: str, access: int, token: SimulatedToken) -> bool:
        """Whether `token` may open `path` with `access`, the parent's say included; nothing is opened."""
        with self._machine.lock:
            try:
                self._machine.monitor.open(self._link(path), token, access, "allowed")
            except PermissionError:
                return False
            return True

    def mirror(self, source: str | os.PathLike[str], at: str = r"C:\src\project", sddl: str | None = None) -> int:
        """Take over a real directory tree's names, kinds, sizes, times and links (no content); returns how many.

        Every object inherits from the directory that it lies in, as if the user had made it there. The content of
        ``.git`` *files* and of ``commondir`` is kept, because they say where a repository really is.

        Raises:
            FileNotFoundError, NotADirectoryError: `source` is no directory.
        """
        with self._machine.lock:
            return mirror.take(self._machine, source, at, sddl)

    def _make_link(self, path: str, reparse: Reparse, *, directory: bool) -> None:
        with self._machine.lock:
            if directory:
                node = self._machine.add_directory(path, as_user=True)
            else:
                node = self._machine.add_file(path, as_user=True).node
            node.set_reparse(reparse)

    def _link(self, path: str) -> Link:
        return self._machine.filesystem.existing(path, self._machine.system, "arrange", follow=False)[0]


def _shown(node: Node, descriptors: bool) -> str:
    if descriptors:
        return "" if node.descriptor is None else SecurityDescriptor.from_bytes(node.descriptor).to_sddl()
    if node.reparse is not None:
        return f"link to {node.reparse.target}"
    return "directory" if node.directory else "file"
