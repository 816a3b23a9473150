"""What each operation on a file needs, in one place: the simulated host carries out what ``explain`` foretells.

Sources: MS-FSA 2.1.5.1.2.1 (rights through the parent), 2.1.5.1.1 (creation), 2.1.5.15.3 (disposition);
"CreateFileW", "RemoveDirectoryW", "SetFileInformationByHandle" (Microsoft Learn).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from ._security.mask import (
    DELETE,
    FILE_ADD_FILE,
    FILE_ADD_SUBDIRECTORY,
    FILE_APPEND_DATA,
    FILE_DELETE_CHILD,
    FILE_GENERIC_EXECUTE,
    FILE_GENERIC_READ,
    FILE_GENERIC_WRITE,
    FILE_LIST_DIRECTORY,
    FILE_READ_ATTRIBUTES,
    FILE_READ_DATA,
    FILE_WRITE_DATA,
    MAXIMUM_ALLOWED,
    SYNCHRONIZE,
)

# What CreateFileW asks for besides, whatever its caller says.
WIN32: Final = SYNCHRONIZE | FILE_READ_ATTRIBUTES
READ: Final = FILE_GENERIC_READ | WIN32
WRITE: Final = FILE_GENERIC_WRITE | WIN32
LIST: Final = FILE_LIST_DIRECTORY | WIN32
EXECUTE: Final = FILE_GENERIC_EXECUTE | FILE_READ_DATA | WIN32
# DeleteFileW asks for FILE_READ_ATTRIBUTES too, but goes on without where that is refused, and never for SYNCHRONIZE.
# RemoveDirectoryW and MoveFileExW do ask for SYNCHRONIZE, which the native calls need not: a file whose own list denies
# everything is taken away through its directory (KB Q238018). What errs here errs towards "it can be deleted".
REMOVE: Final = DELETE

_THROUGH_PARENT: Final = ((DELETE, FILE_DELETE_CHILD), (FILE_READ_ATTRIBUTES, FILE_LIST_DIRECTORY))
_CHANGES: Final = FILE_WRITE_DATA | FILE_APPEND_DATA


class Obstacle(NamedTuple):
    """What stands in the way besides access lists: the code of the call that fails, a word for it, a sentence."""

    winerror: int
    rule: str
    text: str


READ_ONLY: Final = Obstacle(5, "read-only", "it has the read-only attribute")
DIRECTORY: Final = Obstacle(5, "directory", "it is a directory, which has no content of its own")
NO_DIRECTORY: Final = Obstacle(267, "file", "it is no directory")
NOT_EMPTY: Final = Obstacle(145, "not-empty", "it is a directory that is not empty")
VOLUME: Final = Obstacle(5, "volume", "it is the root of a volume")
BELOW_FILE: Final = Obstacle(3, "below-file", "what should hold it is a file and no directory")
NO_STREAMS: Final = Obstacle(123, "no-streams", "its volume has no named streams")


class Combined(NamedTuple):
    """What an open gets from the object's own list together with its directory's; ``through`` is the latter's part."""

    granted: int | None
    through: int


def combined(desired: int, own: Callable[[int], int | None], parent: Callable[[int], bool] | None) -> Combined:
    """What an open of an existing object is granted.

    Args:
        desired: mapped rights.
        own: what the object's own list grants of a mask, None where it refuses.
        parent: whether the directory grants a right; None for the root of a volume.
    """
    granted = own(desired)
    everything = desired & MAXIMUM_ALLOWED
    through = 0
    if parent is not None and (granted is None or everything):
        for wanted, right in _THROUGH_PARENT:
            if (desired & wanted or everything) and parent(right):
                through |= wanted
    if granted is None and through:
        rest = desired & ~through
        granted = own(rest) if rest else 0
    return Combined(None if granted is None else granted | through, through)


def to_add(*, container: bool) -> int:
    """The right on a directory for a new entry in it."""
    return FILE_ADD_SUBDIRECTORY if container else FILE_ADD_FILE


def kind(*, directory: bool, wanted: bool) -> Obstacle | None:
    """What keeps a directory from being opened as a file, and the other way round."""
    if directory == wanted:
        return None
    return NO_DIRECTORY if wanted else DIRECTORY


def opening(desired: int, *, directory: bool, readonly: bool) -> Obstacle | None:
    """What keeps an existing object from being opened for `desired`, whatever its list says."""
    if readonly and not directory and desired & _CHANGES:
        return READ_ONLY
    return None


def deleting(*, volume: bool, readonly: bool, empty: Callable[[], bool]) -> Obstacle | None:
    """What keeps an object from being deleted by one who may. Renaming it away is not kept by the last two."""
    if volume:
        return VOLUME
    if readonly:
        return READ_ONLY
    return None if empty() else NOT_EMPTY
