"""Who may: the access rules of the file system in one place, each answer from ``_security.access``.

Beyond the access check itself (MS-DTYP 2.5.3.2) the file system adds, from MS-FSA 2.1.5.1.2.1 and 2.1.4.12 (what an
operation asks for, and what a directory gives, stands in ``_rights``, where ``explain`` has it from too):

* DELETE on an object is granted when its *parent* grants FILE_DELETE_CHILD, which is no write right: a write-restricted
  token passes there without its restricting SIDs. FILE_READ_ATTRIBUTES likewise through FILE_LIST_DIRECTORY.
* Objects on a volume without ACLs grant everything to everybody.
* A file server checks with a token that it makes from the user's credentials: restricting SIDs do not travel.
* Traversing directories is not checked while SeChangeNotifyPrivilege is enabled, which CreateRestrictedToken keeps.

Two opens of one file go together if each one's sharing allows what the other does; only opens that read, write or
delete take part (MS-FSA 2.1.5.1.2.2, IoCheckShareAccess).

SeBackupPrivilege and SeRestorePrivilege are not modelled for opens: no token that this library makes keeps them.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from .. import _rights
from .._host import SHARE_DELETE, SHARE_READ, SHARE_WRITE
from .._security import access, mask
from .._security.descriptor import SecurityDescriptor
from ..errors import WinError
from .disk import path_of
from .tokens import CHANGE_NOTIFY, SimulatedToken

if TYPE_CHECKING:
    from .disk import Disk, Link, Node
    from .filesystem import FileObject

_READS: Final = mask.FILE_READ_DATA | mask.FILE_EXECUTE
_WRITES: Final = mask.FILE_WRITE_DATA | mask.FILE_APPEND_DATA
_REMEMBERED: Final = 1 << 16


@lru_cache(maxsize=8192)
def parse(descriptor: bytes) -> SecurityDescriptor:
    """A stored descriptor, read once."""
    return SecurityDescriptor.from_bytes(descriptor)


class Monitor:
    """The reference monitor of one machine."""

    def __init__(self) -> None:
        self._answers: dict[tuple[bytes, int, int, int], int | None] = {}
        self._plain: dict[int, SimulatedToken] = {}

    def check(
        self, descriptor: bytes, token: SimulatedToken, desired: int, mapping: mask.GenericMapping = mask.FILE
    ) -> int | None:
        """The access check: the granted mask, or None."""
        key = (descriptor, token.serial, desired, mapping.all)
        try:
            return self._answers[key]
        except KeyError:
            pass
        result = access.check(parse(descriptor), token.model, desired, mapping)
        if len(self._answers) >= _REMEMBERED:
            self._answers.clear()
        answer = self._answers[key] = result.granted if result.allowed else None
        return answer

    def judged(self, disk: Disk, token: SimulatedToken) -> SimulatedToken:
        """The token that decides on `disk`."""
        if not disk.remote:
            return token
        if token.serial not in self._plain:
            self._plain[token.serial] = token.plain()
        return self._plain[token.serial]

    def node(self, node: Node, token: SimulatedToken, desired: int) -> int | None:
        """What `node`'s own descriptor says; on a volume without ACLs: yes."""
        if node.descriptor is None:
            everything = mask.FILE_ALL_ACCESS if desired & mask.MAXIMUM_ALLOWED else 0
            return everything | (desired & ~mask.MAXIMUM_ALLOWED)
        return self.check(node.descriptor, self.judged(node.volume, token), desired)

    def open(self, link: Link, token: SimulatedToken, desired: int, function: str) -> int:
        """The access that an open of an existing object gets; winerror 5 where it is refused."""
        desired = mask.FILE.map(desired)
        above = link.parent
        granted, through = _rights.combined(
            desired,
            lambda wanted: self.node(link.node, token, wanted),
            None if above is None else lambda right: self.node(above, token, right) is not None,
        )
        if granted is None:
            raise WinError(5, function, path_of(link), message=self.why(link.node, token, desired & ~through))
        return granted

    def demand(self, descriptor: bytes, token: SimulatedToken, desired: int, function: str, path: str) -> None:
        """Winerror 5, with the reason, where `descriptor` refuses."""
        desired = mask.FILE.map(desired)
        if self.check(descriptor, token, desired) is None:
            reason = access.check(parse(descriptor), token.model, desired).reason
            raise WinError(5, function, path, message=f"Access is denied: {reason}")

    def add_entry(self, directory: Node, name: str, token: SimulatedToken, *, container: bool, function: str) -> None:
        """Whether a name may be added to `directory`: FILE_ADD_SUBDIRECTORY for directories, else FILE_ADD_FILE."""
        right = _rights.to_add(container=container)
        if self.node(directory, token, right) is None:
            path = path_of(directory.link()).rstrip("\\") + "\\" + name
            raise WinError(5, function, path, message=self.why(directory, token, right))

    def remove_entry(self, link: Link, token: SimulatedToken, function: str) -> None:
        """Whether the object may be deleted: DELETE on it, or FILE_DELETE_CHILD on its directory."""
        self.open(link, token, mask.DELETE, function)

    def traverse(self, directory: Node, token: SimulatedToken, function: str, path: str) -> None:
        """Whether a path may lead through `directory`."""
        if not token.has(CHANGE_NOTIFY) and self.node(directory, token, mask.FILE_TRAVERSE) is None:
            raise WinError(5, function, path, message=self.why(directory, token, mask.FILE_TRAVERSE))

    def why(self, node: Node, token: SimulatedToken, desired: int) -> str:
        """Why the descriptor refuses, for people: the program's author sees it in the error's text."""
        if node.descriptor is None:
            return ""
        result = access.check(parse(node.descriptor), self.judged(node.volume, token).model, desired)
        return f"Access is denied: {result.reason}"

    def share(self, link: Link, stream: str, granted: int, share: int, function: str) -> None:
        """Winerror 32 where an open with `granted` and `share` does not go with those that there are."""
        node = link.node
        if not takes_part(granted) or not node.opens:
            return
        for other in node.opens:
            if not takes_part(other.granted):
                continue
            here = _sharing(granted)
            there = _sharing(other.granted)
            if other.stream != stream:
                # Streams are shared each on its own, but the whole file goes when it is deleted.
                here &= SHARE_DELETE
                there &= SHARE_DELETE
            if here & ~other.share or there & ~share:
                raise WinError(32, function, path_of(link))

    def shares_delete(self, opens: list[FileObject] | None) -> bool:
        """Whether every open that takes part lets others delete."""
        return all(other.share & SHARE_DELETE or not takes_part(other.granted) for other in opens or ())


def takes_part(granted: int) -> bool:
    """Whether an open with this access counts for sharing."""
    return bool(granted & (_READS | _WRITES | mask.DELETE))


def _sharing(granted: int) -> int:
    """What others must share with an open that has this access."""
    return (
        (SHARE_READ if granted & _READS else 0)
        | (SHARE_WRITE if granted & _WRITES else 0)
        | (SHARE_DELETE if granted & mask.DELETE else 0)
    )
