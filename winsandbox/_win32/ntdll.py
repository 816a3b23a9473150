# mypy: disable-error-code="empty-body"
"""ntdll.dll: opens relative to a parent's handle, directory listings, descriptors of open objects.

Each docstring names the header; the page on Microsoft Learn is ``windows/win32/api/<header>/nf-<header>-<function>``,
in small letters.
The native functions are documented in the Windows Driver Kit (``ntifs.h``, under their Zw names) and in winternl.h.
"""

from __future__ import annotations

import ctypes
from ctypes import c_uint32
from typing import Annotated

from .ffi import Library, plain
from .structs import IO_STATUS_BLOCK, OBJECT_ATTRIBUTES, OSVERSIONINFOEXW, UNICODE_STRING
from .types import (
    BOOLEAN,
    DESCRIPTOR,
    DWORD,
    HANDLE,
    NT_STATUS,
    NTSTATUS,
    OPTIONAL_HANDLE,
    OPTIONAL_LARGE_INTEGER,
    OUT_DWORD,
    OUT_HANDLE,
    POINTER_TO,
    ULONG,
)

ntdll = Library("ntdll")


@ntdll.function
def NtCreateFile(
    file: OUT_HANDLE,
    access: DWORD,
    attributes: OBJECT_ATTRIBUTES,
    status: IO_STATUS_BLOCK,
    allocation: OPTIONAL_LARGE_INTEGER,
    file_attributes: ULONG,
    share: ULONG,
    disposition: ULONG,
    options: ULONG,
    ea: POINTER_TO,
    ea_size: ULONG,
    /,
) -> NT_STATUS:
    """winternl.h"""


@ntdll.function
def NtClose(handle: HANDLE, /) -> NT_STATUS:
    """winternl.h"""


@ntdll.function
def NtQueryDirectoryFile(
    directory: HANDLE,
    event: OPTIONAL_HANDLE,
    routine: POINTER_TO,
    context: POINTER_TO,
    status: IO_STATUS_BLOCK,
    buffer: POINTER_TO,
    size: ULONG,
    kind: DWORD,
    single: BOOLEAN,
    name: UNICODE_STRING | None,
    restart: BOOLEAN,
    /,
) -> NT_STATUS:
    """ntifs.h"""


@ntdll.function
def NtQueryInformationFile(
    file: HANDLE, status: IO_STATUS_BLOCK, buffer: POINTER_TO, size: ULONG, kind: DWORD, /
) -> NT_STATUS:
    """ntifs.h"""


@ntdll.function
def NtSetInformationFile(
    file: HANDLE, status: IO_STATUS_BLOCK, information: POINTER_TO, size: ULONG, kind: DWORD, /
) -> NT_STATUS:
    """ntifs.h"""


@ntdll.function
def NtQueryVolumeInformationFile(
    file: HANDLE, status: IO_STATUS_BLOCK, buffer: POINTER_TO, size: ULONG, kind: DWORD, /
) -> NT_STATUS:
    """ntifs.h"""


@ntdll.function
def NtQuerySecurityObject(
    handle: HANDLE, information: DWORD, descriptor: POINTER_TO, size: ULONG, needed: OUT_DWORD, /
) -> NT_STATUS:
    """ntifs.h"""


@ntdll.function
def NtSetSecurityObject(handle: HANDLE, information: DWORD, descriptor: DESCRIPTOR, /) -> NT_STATUS:
    """ntifs.h"""


@ntdll.function
def RtlNtStatusToDosError(status: NTSTATUS, /) -> Annotated[int, plain(c_uint32, "the result is the answer")]:
    """winternl.h"""


@ntdll.function
def RtlGetVersion(version: OSVERSIONINFOEXW, /) -> NT_STATUS:
    """wdm.h (Windows Driver Kit); not subject to the program's manifest, as GetVersionEx is"""


@ntdll.function
def wine_get_version() -> Annotated[
    bytes | None, plain(ctypes.c_char_p, "text; there under Wine only, so ask exists() first")
]:
    """Wine's own"""
