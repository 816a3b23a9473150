"""Access rights, generic mappings, and what counts as a write for a write-restricted token.

Bits: winnt.h and Microsoft Learn, "Access Mask Format", "File Access Rights Constants", "Registry Key Security and
Access Rights", "Process Security and Access Rights", "Thread Security and Access Rights", "Access Rights for
Access-Token Objects", "Synchronization Object Security and Access Rights", "File-Mapping Security and Access Rights".
Generic mappings of file, key, process, event, mutant and section: measured on Windows by Wine's conformance tests.

The write mask is ``0x010D0000 | (GenericWrite & ~(GenericRead | GenericExecute))``: DELETE, WRITE_DAC, WRITE_OWNER,
ACCESS_SYSTEM_SECURITY and what only the write mapping has (J. Forshaw's NtObjectManager, Test-NtAccessMask
-WriteRestricted). It agrees with every published measurement; notably FILE_DELETE_CHILD and PROCESS_TERMINATE are
*not* in it, which is why a write-restricted token can delete through a parent directory and end other processes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from .errors import SecurityDataError, is_number, shown

__all__ = [
    "ACCESS_SYSTEM_SECURITY",
    "DELETE",
    "EVENT",
    "FILE",
    "FILE_ADD_FILE",
    "FILE_ADD_SUBDIRECTORY",
    "FILE_ALL_ACCESS",
    "FILE_APPEND_DATA",
    "FILE_DELETE_CHILD",
    "FILE_EXECUTE",
    "FILE_GENERIC_EXECUTE",
    "FILE_GENERIC_READ",
    "FILE_GENERIC_WRITE",
    "FILE_LIST_DIRECTORY",
    "FILE_READ_ATTRIBUTES",
    "FILE_READ_DATA",
    "FILE_READ_EA",
    "FILE_TRAVERSE",
    "FILE_WRITE_ATTRIBUTES",
    "FILE_WRITE_DATA",
    "FILE_WRITE_EA",
    "GENERIC",
    "GENERIC_ALL",
    "GENERIC_EXECUTE",
    "GENERIC_READ",
    "GENERIC_WRITE",
    "KEY",
    "MAXIMUM_ALLOWED",
    "MUTANT",
    "PROCESS",
    "READ_CONTROL",
    "SECTION",
    "SYNCHRONIZE",
    "THREAD",
    "TOKEN",
    "WRITE_DAC",
    "WRITE_OWNER",
    "GenericMapping",
]

DELETE: Final = 0x00010000
READ_CONTROL: Final = 0x00020000
WRITE_DAC: Final = 0x00040000
WRITE_OWNER: Final = 0x00080000
SYNCHRONIZE: Final = 0x00100000
ACCESS_SYSTEM_SECURITY: Final = 0x01000000
MAXIMUM_ALLOWED: Final = 0x02000000
GENERIC_ALL: Final = 0x10000000
GENERIC_EXECUTE: Final = 0x20000000
GENERIC_WRITE: Final = 0x40000000
GENERIC_READ: Final = 0x80000000
GENERIC: Final = 0xF0000000  # all four

FILE_READ_DATA: Final = 0x1
FILE_LIST_DIRECTORY: Final = 0x1
FILE_WRITE_DATA: Final = 0x2
FILE_ADD_FILE: Final = 0x2
FILE_APPEND_DATA: Final = 0x4
FILE_ADD_SUBDIRECTORY: Final = 0x4
FILE_READ_EA: Final = 0x8
FILE_WRITE_EA: Final = 0x10
FILE_EXECUTE: Final = 0x20
FILE_TRAVERSE: Final = 0x20
FILE_DELETE_CHILD: Final = 0x40
FILE_READ_ATTRIBUTES: Final = 0x80
FILE_WRITE_ATTRIBUTES: Final = 0x100
FILE_GENERIC_READ: Final = 0x120089
FILE_GENERIC_WRITE: Final = 0x120116
FILE_GENERIC_EXECUTE: Final = 0x1200A0
FILE_ALL_ACCESS: Final = 0x1F01FF

_ALWAYS_WRITE: Final = DELETE | WRITE_DAC | WRITE_OWNER | ACCESS_SYSTEM_SECURITY


@dataclass(frozen=True, slots=True)
class GenericMapping:
    """What the four generic rights mean for one type of object (GENERIC_MAPPING, winnt.h).

    ``write_mask`` is derived: the rights that a write-restricted token must also be granted by its restricting SIDs.

    Raises:
        SecurityDataError: one of the four is no number of 32 bits.
    """

    read: int
    write: int
    execute: int
    all: int
    write_mask: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for value in (self.read, self.write, self.execute, self.all):
            if not is_number(value, 0xFFFFFFFF):
                raise SecurityDataError(f"the access mask {shown(value)} of a generic right is no number of 32 bits")
        write = _ALWAYS_WRITE | (self.write & ~(self.read | self.execute))
        object.__setattr__(self, "write_mask", write)

    def map(self, mask: int) -> int:
        """``mask`` with its generic bits replaced by what they stand for (MapGenericMask)."""
        if not mask & GENERIC:
            return mask
        mapped = mask & ~GENERIC
        if mask & GENERIC_READ:
            mapped |= self.read
        if mask & GENERIC_WRITE:
            mapped |= self.write
        if mask & GENERIC_EXECUTE:
            mapped |= self.execute
        if mask & GENERIC_ALL:
            mapped |= self.all
        return mapped


FILE: Final = GenericMapping(FILE_GENERIC_READ, FILE_GENERIC_WRITE, FILE_GENERIC_EXECUTE, FILE_ALL_ACCESS)
"""Files, directories and pipes."""
KEY: Final = GenericMapping(0x20019, 0x20006, 0x20019, 0xF003F)
PROCESS: Final = GenericMapping(0x21410, 0x23BEA, 0x121001, 0x1FFFFF)
THREAD: Final = GenericMapping(0x20048, 0x20437, 0x120800, 0x1FFFFF)
"""Since Windows Vista; 0x400 (THREAD_SET_LIMITED_INFORMATION) is documented, its place in the mapping not measured."""
TOKEN: Final = GenericMapping(0x2001A, 0x201E0, 0x20005, 0xF01FF)
EVENT: Final = GenericMapping(0x20001, 0x20002, 0x120000, 0x1F0003)
MUTANT: Final = GenericMapping(0x20001, 0x20000, 0x120000, 0x1F0001)
SECTION: Final = GenericMapping(0x20005, 0x20002, 0x20008, 0xF001F)
