"""The file system of a machine: open, create, delete, rename, link, in the order in which Windows looks at things.

Every operation is made for a token; the decisions are the monitor's. Errors have the Win32 codes of the NTSTATUS that
NTFS gives. Sources: MS-FSA 2.1.5.1 (open), 2.1.5.5 (close), 2.1.5.15.3 (disposition), 2.1.5.15.6 (link),
2.1.5.15.12 (rename), 2.1.5.10.37 (reparse point), 2.1.5.17 (security).
"""

from __future__ import annotations

import ntpath
from typing import TYPE_CHECKING, Final

from .. import _rights
from .._host import (
    ATTRIBUTE_READONLY,
    REPARSE_MOUNT_POINT,
    REPARSE_SYMLINK,
    SHARE_ALL,
    Entry,
    FileInfo,
)
from .._security import inherit, mask
from .._security.errors import SecurityDataError
from ..errors import WinError
from . import names
from .descriptors import WORLD, check_label, check_owner, merged, parsed, shown
from .disk import Disk, Link, Node, Reparse, chain, content, keep, path_of, size, stream
from .monitor import Monitor, parse
from .tokens import SimulatedToken

if TYPE_CHECKING:
    from .machine import Machine

_REPARSES: Final = 63  # so many links in one path, then ERROR_CANT_RESOLVE_FILENAME
_MOST_LINKS: Final = 1024

WIN32_ACCESS: Final = _rights.WIN32


class FileObject:
    """One open of a file or directory: what it may do was decided when it was opened."""

    __slots__ = ("filesystem", "granted", "link", "node", "position", "share", "stream", "token")

    def __init__(
        self, filesystem: FileSystem, link: Link, stream: str, granted: int, share: int, token: SimulatedToken
    ) -> None:
        self.filesystem = filesystem
        self.link = link
        self.node = link.node
        self.stream = stream
        self.granted = granted
        self.share = share
        self.token = token
        self.position = 0
        if self.node.opens is None:
            self.node.opens = []
        self.node.opens.append(self)
        filesystem.opened.add(self)

    def closed(self) -> None:
        """The handle was closed; a name that was to go goes with its last handle."""
        self.filesystem.opened.discard(self)
        opens = self.node.opens or []
        if self in opens:
            opens.remove(self)
        if not opens:
            self.node.opens = None
        if self.link.pending and not any(other.link is self.link for other in opens):
            self.filesystem.unlink(self.link)

    def need(self, right: int, function: str) -> None:
        """Winerror 5 where the handle was not opened for any of `right`."""
        if not self.granted & right:
            raise WinError(5, function, path_of(self.link), message=f"the handle lacks access {right:#x}")

    def __repr__(self) -> str:
        return f"<open {path_of(self.link)!r} access={self.granted:#x} share={self.share}>"


class FileSystem:
    """All volumes, and what drive letters and shares lead to."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.monitor: Monitor = machine.monitor
        self.disks: list[Disk] = []
        self.roots: dict[str, Link] = {}
        self.opened: set[FileObject] = set()
        self._children: dict[tuple[bytes | None, bool, int], bytes] = {}
        self._same: dict[bytes, bytes] = {}

    # Finding

    def mount(self, root: str, link: Link) -> None:
        """Let paths that begin with `root` (``X:``, a share) lead to a directory."""
        self.roots[names.folded(root)] = link

    def find(
        self, path: str, token: SimulatedToken, function: str, *, follow: bool
    ) -> tuple[Node | None, str, str, Link | None]:
        """(directory, name, stream, link): the link is None where the directory has no such entry.

        Winerror 3 where a directory on the way is missing, 123 for an impossible name.
        """
        given = path
        hops = 0
        while True:
            root, parts = names.split(path, function)
            link = self.roots.get(names.folded(root))
            if link is None:
                raise WinError(53 if root.startswith("\\\\") else 3, function, given)
            directory: Node | None = None
            name = stream = ""
            leads: str | None = None
            for index, part in enumerate(parts):
                last = index == len(parts) - 1
                directory = link.node if link is not None else None
                if directory is None or not directory.directory:
                    raise WinError(_rights.BELOW_FILE.winerror, function, given, message=_rights.BELOW_FILE.text)
                self.monitor.traverse(directory, token, function, given)
                name, stream = names.split_stream(part, function) if last else (part, "")
                names.check(name, function)
                link = directory.find(name)
                if link is None and not last:
                    raise WinError(3, function, given)
                if link is not None and link.node.reparse is not None and (follow or not last):
                    leads = self._leads(link, parts[index + 1 :], last, function, given)
                    if leads is not None:
                        break
            if leads is None:
                if stream and directory is not None and not directory.volume.streams:
                    raise WinError(_rights.NO_STREAMS.winerror, function, given, message=_rights.NO_STREAMS.text)
                return directory, name, stream, link
            hops += 1
            if hops > _REPARSES:
                raise WinError(1921, function, given)
            path = leads + (":" + stream if stream else "")

    def _leads(self, link: Link, rest: list[str], last: bool, function: str, path: str) -> str | None:
        """Where a reparse point sends a path; None where it is passed over (cloud files and the like)."""
        reparse = link.node.reparse
        if reparse is None:
            return None
        if reparse.tag not in (REPARSE_MOUNT_POINT, REPARSE_SYMLINK):
            if last and not link.node.directory and reparse.target:
                raise WinError(1920, function, path)
            return None
        parent = link.parent.link() if link.parent is not None else link
        target = ntpath.normpath(ntpath.join(path_of(parent), reparse.target))
        return target.rstrip("\\") + "\\" + "\\".join(rest)

    def existing(self, path: str, token: SimulatedToken, function: str, *, follow: bool) -> tuple[Link, str]:
        """The link at `path` and the stream asked for; winerror 2 where there is none."""
        _, _, stream, link = self.find(path, token, function, follow=follow)
        if link is None:
            raise WinError(2, function, path)
        return link, stream

    # Opening and creating

    def open(
        self,
        link: Link,
        token: SimulatedToken,
        access: int,
        *,
        stream: str = "",
        share: int = SHARE_ALL,
        directory: bool | None = None,
        function: str = "CreateFileW",
    ) -> FileObject:
        """Open what `link` names. `directory`: it must be one (267), must not be one (5), either."""
        node = link.node
        if link.pending:
            raise WinError(5, function, path_of(link), message="it is being deleted", status=0xC0000056)
        if directory is not None and (kind := _rights.kind(directory=node.directory, wanted=directory)) is not None:
            raise WinError(kind.winerror, function, path_of(link), message=kind.text)
        if stream and (node.streams is None or names.folded(stream) not in node.streams):
            raise WinError(2, function, path_of(link))
        granted = self.monitor.open(link, token, access, function)
        readonly = bool(node.attributes & ATTRIBUTE_READONLY)
        obstacle = _rights.opening(mask.FILE.map(access), directory=node.directory, readonly=readonly)
        if obstacle is not None:
            raise WinError(obstacle.winerror, function, path_of(link), message=obstacle.text)
        if readonly and not node.directory:
            granted &= ~(mask.FILE_WRITE_DATA | mask.FILE_APPEND_DATA)
        self.monitor.share(link, stream, granted, share, function)
        return FileObject(self, link, stream, granted, share, token)

    def create(
        self,
        directory: Node,
        name: str,
        token: SimulatedToken,
        access: int,
        *,
        container: bool,
        stream: str = "",
        descriptor: bytes | None = None,
        share: int = SHARE_ALL,
        attributes: int = 0,
        function: str = "CreateFileW",
    ) -> FileObject:
        """Make a file or directory that must not exist. Its handle has all that was asked for, whatever its DACL."""
        names.check(name, function)
        if not directory.directory:
            raise WinError(3, function, name)
        path = path_of(directory.link()).rstrip("\\") + "\\" + name
        if directory.links and directory.link().pending:
            raise WinError(5, function, path, message="its directory is being deleted", status=0xC0000056)
        taken = directory.find(name)
        if taken is not None:
            if taken.pending:
                raise WinError(5, function, path, message="it is being deleted", status=0xC0000056)
            raise WinError(80 if function == "CreateFileW" else 183, function, path)
        if directory.reparse is not None and directory.reparse.tag in (REPARSE_MOUNT_POINT, REPARSE_SYMLINK):
            raise WinError(5, function, path, message="its directory is a link")
        self.monitor.add_entry(directory, name, token, container=container, function=function)
        node = Node(
            directory.volume,
            directory=container,
            descriptor=self.descriptor_for(directory, token, container=container, explicit=descriptor),
            now=self.machine.filetime(),
            attributes=attributes,
        )
        link = directory.attach(name, node)
        if stream:
            node.add_stream(stream)
        directory.modified = directory.changed = node.changed
        granted = mask.FILE.map(access)
        if granted & mask.MAXIMUM_ALLOWED:
            granted = mask.FILE_ALL_ACCESS
        return FileObject(self, link, stream, granted, share, token)

    def descriptor_for(
        self, directory: Node, token: SimulatedToken, *, container: bool, explicit: bytes | None = None
    ) -> bytes | None:
        """The descriptor of a new object in `directory`."""
        if directory.descriptor is None:
            return None
        judged = self.monitor.judged(directory.volume, token)
        if explicit is not None:
            given = parsed(explicit, "NtCreateFile")
            check_owner(given, judged, "NtCreateFile")
            check_label(given, judged, "NtCreateFile")
            made = inherit.child(
                parse(directory.descriptor), is_container=container, token=judged.model, explicit=given
            )
            return self.shared(made.to_bytes())
        key = (directory.descriptor, container, judged.serial)
        found = self._children.get(key)
        if found is None:
            made = inherit.child(parse(directory.descriptor), is_container=container, token=judged.model)
            found = self._children[key] = self.shared(made.to_bytes())
        return found

    def shared(self, descriptor: bytes) -> bytes:
        """One object for equal descriptors: a tree of 100,000 has a handful of them."""
        return self._same.setdefault(descriptor, descriptor)

    # Changing

    def delete(self, opened: FileObject, *, readonly: bool = False, function: str = "NtSetInformationFile") -> None:
        """Mark for deletion; with `readonly` look past that attribute (FILE_DISPOSITION_IGNORE_READONLY_ATTRIBUTE)."""
        opened.need(mask.DELETE, function)
        node, link = opened.node, opened.link
        path = path_of(link)
        if opened.stream:
            if node.streams is not None:
                node.streams.pop(names.folded(opened.stream), None)
            return
        obstacle = _rights.deleting(
            volume=link.parent is None,
            readonly=bool(node.attributes & ATTRIBUTE_READONLY) and not readonly,
            empty=lambda: not node.children,
        )
        if obstacle is not None:
            status = 0xC0000121 if obstacle.winerror == 5 else None  # STATUS_CANNOT_DELETE
            raise WinError(obstacle.winerror, function, path, message=obstacle.text, status=status)
        link.pending = True

    def unlink(self, link: Link) -> None:
        """Take a name away for good."""
        if link.parent is None:
            return
        parent = link.parent
        parent.detach(link)
        parent.modified = parent.changed = link.node.changed = self.machine.filetime()

    def rename(
        self, opened: FileObject, directory: Node, name: str, token: SimulatedToken, *, replace: bool, function: str
    ) -> None:
        """Move what is open (with DELETE) to `name` in `directory`; its descriptor goes with it unchanged."""
        opened.need(mask.DELETE, function)
        names.check(name, function)
        node, link = opened.node, opened.link
        path = path_of(link)
        if directory.volume is not node.volume:
            raise WinError(17, function, path)
        if link.parent is None or link.pending:
            raise WinError(5, function, path)
        if node.directory and any(step is node for step in chain(directory.link())):
            raise WinError(32, function, path)
        self.monitor.add_entry(directory, name, token, container=node.directory, function=function)
        if node.directory:
            self._nothing_open_below(node, function, path)
        target = directory.find(name)
        if target is not None and target is not link:
            self._give_way(target, token, replace=replace, function=function)
        old = link.parent
        if old.children is not None:
            old.children.pop(old.key(link.name), None)
        for key in [key for key, value in node.volume.short.items() if value is link]:
            del node.volume.short[key]
        link.name, link.parent = name, directory
        if directory.children is not None:
            directory.children[directory.key(name)] = link
        now = self.machine.filetime()
        for changed in (old, directory):
            changed.modified = changed.changed = now
        node.changed = now

    def _nothing_open_below(self, node: Node, function: str, path: str) -> None:
        """A directory stays where it is while anything below it is open: what pins lean on (MS-FSA 2.1.5.15.12)."""
        for opened in self.opened:
            link = opened.link
            if link.node is not node and link in link.node.links and any(step is node for step in chain(link)):
                raise WinError(5, function, path, message=f"{path_of(link)} is open")

    def _give_way(self, target: Link, token: SimulatedToken, *, replace: bool, function: str) -> None:
        """Take away what stands at the new name of a rename, or refuse."""
        path = path_of(target)
        if not replace:
            raise WinError(183, function, path)
        node = target.node
        if node.directory or node.attributes & ATTRIBUTE_READONLY or target.pending:
            raise WinError(5, function, path)
        if not self.monitor.shares_delete(node.opens):
            raise WinError(5, function, path, message="it is open")
        self.monitor.remove_entry(target, token, function)
        self.unlink(target)

    def hard_link(self, link: Link, directory: Node, name: str, token: SimulatedToken, function: str) -> None:
        """Give a file one more name. The kernel asks nothing of the file, only FILE_ADD_FILE of the directory."""
        names.check(name, function)
        node = link.node
        path = path_of(link)
        if directory.volume is not node.volume:
            raise WinError(17, function, path)
        if node.directory:
            raise WinError(5, function, path)
        if not node.volume.acls:
            raise WinError(1, function, path)  # FAT has no hard links
        if len(node.links) >= _MOST_LINKS:
            raise WinError(1142, function, path)
        if directory.find(name) is not None:
            raise WinError(183, function, path)
        self.monitor.add_entry(directory, name, token, container=False, function=function)
        directory.attach(name, node)
        directory.modified = directory.changed = node.changed = self.machine.filetime()

    def set_reparse(self, opened: FileObject, reparse: Reparse, function: str = "DeviceIoControl") -> None:
        """Make a link of an empty directory or a file. A junction takes no privilege."""
        opened.need(mask.FILE_WRITE_DATA | mask.FILE_WRITE_ATTRIBUTES, function)
        if not opened.node.volume.acls:
            raise WinError(1, function, path_of(opened.link))
        if opened.node.children:
            raise WinError(145, function, path_of(opened.link))
        opened.node.set_reparse(reparse)
        opened.node.changed = self.machine.filetime()

    def read(self, opened: FileObject, size: int) -> bytes:
        """From the handle's position on."""
        opened.need(mask.FILE_READ_DATA, "ReadFile")
        if opened.node.directory and not opened.stream:
            raise WinError(1, "ReadFile", path_of(opened.link))
        content = self._content(opened)
        data = bytes(content[opened.position : opened.position + size])
        opened.position += len(data)
        return data

    def _content(self, opened: FileObject) -> bytes | bytearray:
        if not opened.stream:
            return content(opened.node)
        return opened.node.stream(opened.stream) or b""

    def write(self, opened: FileObject, data: bytes) -> None:
        """At the handle's position; at the end if it was opened for appending only."""
        opened.need(mask.FILE_WRITE_DATA | mask.FILE_APPEND_DATA, "WriteFile")
        node = opened.node
        stored = stream(node, opened.stream)
        if stored is None or (node.directory and not opened.stream):
            raise WinError(1, "WriteFile", path_of(opened.link))
        if not opened.granted & mask.FILE_WRITE_DATA:
            opened.position = len(stored)
        if opened.position > len(stored):
            stored.extend(bytes(opened.position - len(stored)))
        stored[opened.position : opened.position + len(data)] = data
        opened.position += len(data)
        keep(node, opened.stream)
        node.modified = node.changed = self.machine.filetime()

    def truncate(self, opened: FileObject) -> None:
        """End the file at the handle's position."""
        opened.need(mask.FILE_WRITE_DATA, "SetEndOfFile")
        stored = stream(opened.node, opened.stream)
        if stored is not None:
            del stored[opened.position :]
            keep(opened.node, opened.stream)

    # Looking

    def info(self, node: Node) -> FileInfo:
        """What GetFileInformationByHandle and its kin tell."""
        return FileInfo(
            node.identity,
            node.attributes or 0x80,
            node.reparse.tag if node.reparse is not None else 0,
            max(len(node.links), 1),
            size(node),
            node.modified,
            node.changed,
        )

    def entries(self, opened: FileObject) -> list[Entry]:
        """The entries as they are now, in NTFS's order."""
        opened.need(mask.FILE_LIST_DIRECTORY, "NtQueryDirectoryFile")
        children = opened.node.children
        if children is None:
            raise WinError(267, "NtQueryDirectoryFile", path_of(opened.link))
        return [
            Entry(
                link.name,
                link.node.identity,
                link.node.attributes or 0x80,
                link.node.reparse.tag if link.node.reparse is not None else 0,
                size(link.node),
                link.node.modified,
                link.node.changed,
            )
            for _, link in sorted(children.items())
        ]

    # Security

    def security(self, opened: FileObject) -> bytes:
        """Owner, group, DACL and label."""
        opened.need(mask.READ_CONTROL, "NtQuerySecurityObject")
        return WORLD if opened.node.descriptor is None else shown(opened.node.descriptor)

    def set_security(self, opened: FileObject, given: bytes, *, dacl: bool, label: bool) -> None:
        """Store on this object; nothing below it changes. On a volume without ACLs: nothing, and no error."""
        function = "NtSetSecurityObject"
        if dacl:
            opened.need(mask.WRITE_DAC, function)
        if label:
            opened.need(mask.WRITE_OWNER, function)
        node = opened.node
        if label:
            check_label(parsed(given, function), opened.token, function)
        if node.descriptor is None:
            parsed(given, function)
            return
        try:
            node.descriptor = self.shared(merged(node.descriptor, given, dacl, label))
        except SecurityDataError as error:
            raise WinError(1338, function, path_of(opened.link), message=str(error)) from None
        node.changed = self.machine.filetime()
