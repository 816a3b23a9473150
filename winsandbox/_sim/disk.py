"""What a volume stores: nodes (file records), the links by which directories name them, and nothing about who may.

A mirrored tree may have 100,000 nodes, so they are small: ``__slots__``, one shared bytes object for equal
descriptors, no content, no dictionary where there is nothing to keep.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, NamedTuple

from .._host import ATTRIBUTE_DIRECTORY, ATTRIBUTE_REPARSE_POINT, VOLUME_PERSISTENT_ACLS, FileId, VolumeKind
from .names import folded

if TYPE_CHECKING:
    from .filesystem import FileObject

# GetVolumeInformation's flags of NTFS besides the ACLs: case preserved and searched, unicode, streams, reparse points,
# hard links. FAT has the first three only.
_NAMES_KEPT: Final = 0x7
_NTFS_FEATURES: Final = VOLUME_PERSISTENT_ACLS | 0x40000 | 0x80 | 0x400000


class Reparse(NamedTuple):
    """A reparse point's tag and, for links, where it leads (relative only in a symbolic link)."""

    tag: int
    target: str = ""


class Link:
    """One name of a node in a directory. The root of a volume has a link without a parent.

    ``pending`` says that the name goes when the last handle that was opened by it is closed.
    """

    __slots__ = ("name", "node", "parent", "pending")

    def __init__(self, name: str, node: Node, parent: Node | None) -> None:
        self.name = name
        self.node = node
        self.parent = parent
        self.pending = False


class Node:
    """A file or directory. ``descriptor`` is None on a volume without ACLs; ``children`` is None for a file.

    ``opens`` are the open file objects on it; ``backing`` is a real file that holds the content of a database.
    """

    __slots__ = (
        "attributes",
        "backing",
        "case_sensitive",
        "changed",
        "children",
        "data",
        "descriptor",
        "links",
        "modified",
        "number",
        "opens",
        "reparse",
        "size",
        "streams",
        "volume",
    )

    def __init__(
        self, volume: Disk, *, directory: bool, descriptor: bytes | None, now: int, attributes: int = 0
    ) -> None:
        self.volume = volume
        self.number = next(volume.numbers)
        self.attributes = attributes | (ATTRIBUTE_DIRECTORY if directory else 0)
        self.descriptor = descriptor
        self.children: dict[str, Link] | None = {} if directory else None
        self.case_sensitive = False
        self.data: bytes | bytearray = b""
        self.size = 0
        self.streams: dict[str, tuple[str, bytearray]] | None = None
        self.reparse: Reparse | None = None
        self.links: tuple[Link, ...] = ()
        self.modified = now
        self.changed = now
        self.opens: list[FileObject] | None = None
        self.backing: str | None = None

    @property
    def directory(self) -> bool:
        return self.children is not None

    @property
    def identity(self) -> FileId:
        return FileId(self.volume.serial, self.number)

    def key(self, name: str) -> str:
        """How this directory files `name`: without case, unless it was made case-sensitive."""
        return name if self.case_sensitive else folded(name)

    def find(self, name: str) -> Link | None:
        """The entry called `name`; short names (8.3) are the volume's matter."""
        if self.children is None:
            return None
        link = self.children.get(self.key(name))
        return link if link is not None else self.volume.short.get((self.number, folded(name)))

    def attach(self, name: str, node: Node) -> Link:
        """Name `node` in this directory. The name must be free."""
        if self.children is None:
            raise TypeError("a file has no entries")
        link = Link(name, node, self)
        self.children[self.key(name)] = link
        node.links += (link,)
        return link

    def detach(self, link: Link) -> None:
        """Take a name away; the node lives while it is linked or open."""
        if self.children is not None:
            self.children.pop(self.key(link.name), None)
        for key in [key for key, value in self.volume.short.items() if value is link]:
            del self.volume.short[key]
        link.node.links = tuple(other for other in link.node.links if other is not link)

    def set_reparse(self, reparse: Reparse | None) -> None:
        self.reparse = reparse
        if reparse is None:
            self.attributes &= ~ATTRIBUTE_REPARSE_POINT
        else:
            self.attributes |= ATTRIBUTE_REPARSE_POINT

    def stream(self, name: str) -> bytearray | None:
        """The content of the stream `name` to be changed in place; None where there is no such stream."""
        if not name:
            if not isinstance(self.data, bytearray):
                self.data = bytearray(self.data)
            return self.data
        found = (self.streams or {}).get(folded(name))
        return None if found is None else found[1]

    def link(self) -> Link:
        """Its name, the first one of several."""
        return self.links[0]

    def add_stream(self, name: str) -> bytearray:
        if self.streams is None:
            self.streams = {}
        return self.streams.setdefault(folded(name), (name, bytearray()))[1]


class Disk:
    """A volume. ``remote`` disks judge with the user's plain token, because restricting SIDs do not travel.

    ``root`` is how its paths begin: ``C:`` or ``\\\\server\\share``.
    """

    def __init__(
        self,
        root: str,
        serial: int,
        *,
        filesystem: str = "NTFS",
        kind: VolumeKind = "fixed",
        remote: bool = False,
        descriptor: bytes | None,
        now: int,
    ) -> None:
        self.root = root
        self.serial = serial
        self.filesystem = filesystem
        self.kind: VolumeKind = "remote" if remote else kind
        self.remote = remote
        self.acls = descriptor is not None
        self.streams = self.acls  # what stands for FAT here has neither
        self.flags = _NAMES_KEPT | (_NTFS_FEATURES if self.acls else 0)
        # Numbers as NTFS gives them: the root is record 5, records of ordinary files follow behind the reserved
        # ones; the sequence number in the upper 16 bits makes a reused record another identity. Never reused here.
        self.numbers: Iterator[int] = itertools.chain((0x5000000000005,), itertools.count(0x1000000000018))
        self.short: dict[tuple[int, str], Link] = {}
        self.node = Node(self, directory=True, descriptor=descriptor, now=now)
        self.node.links = (Link(root, self.node, None),)


def path_of(link: Link) -> str:
    """The path of a link now: true case, no links, no short names, on the volume's own letter or share."""
    names: list[str] = []
    step = link
    while step.parent is not None:
        names.append(step.name)
        step = step.parent.links[0] if step.parent.links else step.parent.volume.node.links[0]
    return step.name + "\\" + "\\".join(reversed(names))


def chain(link: Link) -> Iterator[Node]:
    """The node of `link` and every directory above it, innermost first."""
    yield link.node
    parent = link.parent
    while parent is not None:
        yield parent
        parent = parent.links[0].parent if parent.links else None


def content(node: Node) -> bytes | bytearray:
    """The content of a file; a database's lies in a real file."""
    if node.backing is None:
        return node.data
    with open(node.backing, "rb") as file:
        return file.read()


def size(node: Node) -> int:
    """Bytes; of a mirrored file the real one's, although there is no content."""
    if node.backing is not None:
        return os.stat(node.backing).st_size
    return node.size or len(node.data)


def stream(node: Node, name: str) -> bytearray | None:
    """The content of a stream to be changed in place and then kept by :func:`keep`; None where there is none."""
    if not name and node.backing is not None:
        node.data = bytearray(content(node))
    return node.stream(name)


def keep(node: Node, name: str) -> None:
    """Store what was changed."""
    if name:
        return
    node.size = 0
    if node.backing is not None:
        with open(node.backing, "wb") as file:
            file.write(node.data)
