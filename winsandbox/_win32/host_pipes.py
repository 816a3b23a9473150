"""WindowsHost's pipes and standard streams.

No handle made here is inheritable: what a child gets is decided by the handle list of its own start alone.
Sources: Microsoft Learn, "CreatePipe function", "CreateNamedPipeW function", "Named Pipe Security and Access Rights",
"GetStdHandle function".
"""

from __future__ import annotations

import ctypes
import functools
import os
import sys
from typing import Final, Literal

from .. import _host
from .._security.ace import allow
from .._security.acl import Acl
from .._security.descriptor import SecurityDescriptor
from .._security.mask import FILE_ALL_ACCESS
from ..errors import UnsupportedHost, WinError
from .constants import (
    DeviceType,
    Disposition,
    FileFlags,
    FileType,
    FsInformationClass,
    PipeMode,
    ShareMode,
    StandardHandle,
    StandardRights,
    SystemError_,
)
from .ffi import size_of
from .handles import any_handle, duplicate, own, own_taken
from .host_tokens import HostTokens
from .kernel32 import (
    CreateFileW,
    CreateNamedPipeW,
    CreatePipe,
    GetConsoleCP,
    GetConsoleMode,
    GetFileType,
    GetStdHandle,
)
from .ntdll import NtQueryVolumeInformationFile
from .structs import FILE_FS_DEVICE_INFORMATION, IO_STATUS_BLOCK, SECURITY_ATTRIBUTES
from .types import INVALID_HANDLE, Handle

_BUFFER: Final = 64 * 1024  # bytes a pipe holds before its writer waits
_STANDARD: Final = (
    StandardHandle.STD_INPUT_HANDLE,
    StandardHandle.STD_OUTPUT_HANDLE,
    StandardHandle.STD_ERROR_HANDLE,
)


class HostPipes:
    """The pipes and standard streams of ``Processes`` on Windows."""

    def pipe(self, *, child_reads: bool, overlapped: bool = False) -> tuple[_host.Handle, _host.Handle]:
        if overlapped:
            return _overlapped_pipe(child_reads)
        reading, writing = ctypes.c_void_p(), ctypes.c_void_p()
        CreatePipe(reading, writing, None, _BUFFER)
        reader, writer = own_taken(reading), own_taken(writing)
        return (writer, reader) if child_reads else (reader, writer)

    def descriptor(self, handle: _host.Handle, *, write: bool) -> int:
        if sys.platform == "win32":
            import msvcrt

            flags = (os.O_WRONLY if write else os.O_RDONLY) | os.O_BINARY | os.O_NOINHERIT
            number = msvcrt.open_osfhandle(handle.value, flags)
            handle.detach()  # only now: had the call failed, the handle would still be owned
            return number
        else:  # noqa: RET505 - mypy calls what follows an if for a platform unreachable
            raise _not_windows()

    def endpoint(self, handle: _host.Handle) -> object:
        if sys.platform == "win32":
            from asyncio.windows_utils import PipeHandle

            return PipeHandle(handle.detach())
        else:  # noqa: RET505 - mypy calls what follows an if for a platform unreachable
            raise _not_windows()

    def null(self, *, write: bool) -> _host.Handle:
        access = StandardRights.GENERIC_WRITE if write else StandardRights.GENERIC_READ
        share = ShareMode.FILE_SHARE_READ | ShareMode.FILE_SHARE_WRITE
        return own(CreateFileW("NUL", access, share, None, Disposition.OPEN_EXISTING, 0, None))

    def duplicate_descriptor(self, fd: int) -> _host.Handle:
        if sys.platform == "win32":
            import msvcrt

            return duplicate(Handle(msvcrt.get_osfhandle(fd)))
        else:  # noqa: RET505 - mypy calls what follows an if for a platform unreachable
            raise _not_windows()

    def standard(self, number: Literal[0, 1, 2]) -> _host.Handle | None:
        found = GetStdHandle(_STANDARD[number])
        if not found or found == INVALID_HANDLE:
            return None
        try:
            return duplicate(found)
        except WinError as error:
            if error.winerror != SystemError_.ERROR_INVALID_HANDLE:
                raise
            return None  # closed long ago by somebody, the number is left over (pythonw.exe, services)

    def is_console(self, handle: _host.Handle) -> bool:
        if GetFileType(any_handle(handle)) != FileType.FILE_TYPE_CHAR:
            return False
        # Asked of the device, which answers whatever access the handle has; GetConsoleMode refuses a handle that can
        # only write, and such a one must not reach the child either.
        device, status = FILE_FS_DEVICE_INFORMATION(), IO_STATUS_BLOCK()
        try:
            NtQueryVolumeInformationFile(
                any_handle(handle), status, device, size_of(device), FsInformationClass.FileFsDeviceInformation
            )
            if device.DeviceType == DeviceType.FILE_DEVICE_CONSOLE:
                return True
        except WinError:
            pass  # a device that does not say; the second question decides
        try:
            GetConsoleMode(any_handle(handle), ctypes.c_uint32())
        except WinError:
            return False
        return True

    def has_console(self) -> bool:
        try:
            GetConsoleCP()
        except WinError:
            return False
        return True


def _overlapped_pipe(child_reads: bool) -> tuple[_host.Handle, _host.Handle]:
    """A named pipe, because anonymous ones know no overlapped mode; closed to everybody but the user.

    The name is random and ours is the first and only instance, so nobody can have made the pipe before; somebody who
    finds the name and connects first makes our own connection fail, and with it this call.
    """
    name = f"\\\\.\\pipe\\winsandbox-{os.getpid()}-{os.urandom(16).hex()}"
    buffer = _user_only()
    security = SECURITY_ATTRIBUTES()
    security.nLength = size_of(security)
    security.lpSecurityDescriptor = ctypes.addressof(buffer)
    # The proactor watches a pipe that it writes to by reading from it, so that end must be open for both.
    direction = PipeMode.PIPE_ACCESS_DUPLEX if child_reads else PipeMode.PIPE_ACCESS_INBOUND
    ours = own(
        CreateNamedPipeW(
            name,
            direction | FileFlags.FILE_FLAG_FIRST_PIPE_INSTANCE | FileFlags.FILE_FLAG_OVERLAPPED,
            PipeMode.PIPE_TYPE_BYTE | PipeMode.PIPE_WAIT | PipeMode.PIPE_REJECT_REMOTE_CLIENTS,
            *(1, _BUFFER, _BUFFER, 0, security),
        )
    )
    try:
        access = StandardRights.GENERIC_READ if child_reads else StandardRights.GENERIC_WRITE
        flags = FileFlags.SECURITY_SQOS_PRESENT | FileFlags.SECURITY_IDENTIFICATION
        child = own(CreateFileW(name, access, 0, None, Disposition.OPEN_EXISTING, flags, None))
    except BaseException:
        ours.close()
        raise
    # Connected by the client's open: ConnectNamedPipe would only say so (535).
    return ours, child


@functools.cache
def _user_only() -> ctypes.Array[ctypes.c_char]:
    """A descriptor that grants the pipe to the caller's user alone.

    Without one, everybody may read a named pipe. The user himself includes his sandboxed children, but those write
    only what names a restricting SID too.
    """
    tokens = HostTokens()
    with tokens.current() as token:
        user = tokens.inspect(token).token.user
    raw = SecurityDescriptor(dacl=Acl([allow(user, FILE_ALL_ACCESS)])).to_bytes()
    return ctypes.create_string_buffer(raw, len(raw))


def _not_windows() -> UnsupportedHost:
    return UnsupportedHost("Handles exist on Windows only.", code="host.os")
