"""WindowsHost's files: every object through a handle, descriptors written raw, nothing followed that was not asked for.

Sources: Microsoft Learn, "CreateFileW function", "NtCreateFile function", "GetFileInformationByHandleEx function",
"NtSetSecurityObject" (Windows Driver Kit), "FILE_DISPOSITION_INFO_EX structure".
"""

from __future__ import annotations

import ctypes
import ntpath
import struct
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from .. import _host
from .._host import FileId, FileInfo
from ..errors import WinError
from .advapi32 import GetKernelObjectSecurity
from .constants import (
    SEM_FAILCRITICALERRORS,
    Disposition,
    DispositionFlags,
    DriveType,
    FileAttributes,
    FileFlags,
    FileInfoByHandleClass,
    FileRights,
    FsInformationClass,
    NtCreateOptions,
    NtDisposition,
    ObjectFlags,
    SecurityInformation,
    StandardRights,
    SystemError_,
)
from .constants import DeviceCharacteristics as Characteristics
from .ffi import Struct, offset_of, size_of
from .handles import any_handle, own, own_taken, sized
from .host_folders import known_folders
from .kernel32 import (
    CreateFileW,
    GetDriveTypeW,
    GetFileInformationByHandle,
    GetFileInformationByHandleEx,
    GetFinalPathNameByHandleW,
    GetLogicalDrives,
    GetVolumeInformationByHandleW,
    GetVolumeInformationW,
    GetVolumePathNameW,
    ReadFile,
    SetFileInformationByHandle,
    SetThreadErrorMode,
    WriteFile,
)
from .ntdll import NtCreateFile, NtQueryVolumeInformationFile, NtSetSecurityObject
from .structs import (
    BY_HANDLE_FILE_INFORMATION,
    FILE_ATTRIBUTE_TAG_INFO,
    FILE_BASIC_INFO,
    FILE_DISPOSITION_INFO,
    FILE_DISPOSITION_INFO_EX,
    FILE_FS_DEVICE_INFORMATION,
    FILE_ID_BOTH_DIR_INFO,
    FILE_ID_EXTD_DIR_INFO,
    FILE_ID_INFO,
    FILE_STANDARD_INFO,
    IO_STATUS_BLOCK,
    OBJECT_ATTRIBUTES,
    UNICODE_STRING,
)

if TYPE_CHECKING:
    import sqlite3

# What a host says when it does not know a class of information (Wine, older Windows, other file systems).
_UNKNOWN_CLASS: Final = (
    SystemError_.ERROR_INVALID_FUNCTION,
    SystemError_.ERROR_NOT_SUPPORTED,
    SystemError_.ERROR_INVALID_PARAMETER,
    SystemError_.ERROR_CALL_NOT_IMPLEMENTED,
)
_NOTHING_THERE: Final = (SystemError_.ERROR_FILE_NOT_FOUND, SystemError_.ERROR_PATH_NOT_FOUND)
_KINDS: Final[dict[int, _host.VolumeKind]] = {
    DriveType.DRIVE_REMOVABLE: "removable",
    DriveType.DRIVE_FIXED: "fixed",
    DriveType.DRIVE_REMOTE: "remote",
    DriveType.DRIVE_CDROM: "cdrom",
    DriveType.DRIVE_RAMDISK: "ramdisk",
}
# CreateFileW adds these two to every request; NtCreateFile does not, and a handle without SYNCHRONIZE cannot be read.
_ALWAYS: Final = StandardRights.SYNCHRONIZE | FileRights.FILE_READ_ATTRIBUTES
_LISTING_SIZE: Final = 64 * 1024
_LONGEST_NAME: Final = 32767  # UTF-16 code units that a UNICODE_STRING can count


def verbatim(path: str) -> str:
    """The path behind ``\\\\?\\``: beyond 260 characters, and taken literally.

    Without it Windows drops trailing dots and spaces and takes ``con`` for the console: the object opened would not be
    the one whose name was checked.
    """
    drive, rest = ntpath.splitdrive(path)
    if len(drive) == 2 and rest[:1] in {"\\", "/"}:
        return f"\\\\?\\{ntpath.normpath(path)}"
    return path


class HostFiles:
    """``Files`` on Windows."""

    def open(self, path: str, access: int, *, share: int = _host.SHARE_ALL, follow: bool = False) -> _host.Handle:
        flags = FileFlags.FILE_FLAG_BACKUP_SEMANTICS  # or a directory could not be opened; uses no privilege by itself
        if not follow:
            flags |= FileFlags.FILE_FLAG_OPEN_REPARSE_POINT
        # A link that leads to a pipe must not let its server act as the caller.
        flags |= FileFlags.SECURITY_SQOS_PRESENT | FileFlags.SECURITY_IDENTIFICATION
        try:
            return own(CreateFileW(verbatim(path), access, share, None, Disposition.OPEN_EXISTING, flags, None))
        except WinError as error:
            error.filename = path
            raise

    def open_at(self, parent: _host.Handle, name: str, access: int, *, share: int = _host.SHARE_ALL) -> _host.Handle:
        return _at(parent, name, access, share, NtDisposition.FILE_OPEN, NtCreateOptions(0), None)

    def create_directory(
        self,
        parent: _host.Handle,
        name: str,
        access: int,
        *,
        descriptor: bytes | None = None,
        share: int = _host.SHARE_ALL,
    ) -> _host.Handle:
        directory = NtCreateOptions.FILE_DIRECTORY_FILE
        return _at(parent, name, access, share, NtDisposition.FILE_CREATE, directory, descriptor)

    def create_file(
        self,
        parent: _host.Handle,
        name: str,
        access: int,
        *,
        descriptor: bytes | None = None,
        share: int = _host.SHARE_ALL,
    ) -> _host.Handle:
        file = NtCreateOptions.FILE_NON_DIRECTORY_FILE
        return _at(parent, name, access, share, NtDisposition.FILE_CREATE, file, descriptor)

    def read(self, handle: _host.Handle, size: int) -> bytes:
        if size <= 0:
            return b""
        buffer, done = ctypes.create_string_buffer(min(size, 1 << 26)), ctypes.c_uint32()
        try:
            ReadFile(any_handle(handle), buffer, len(buffer), done, None)
        except WinError as error:
            if error.winerror in (SystemError_.ERROR_HANDLE_EOF, SystemError_.ERROR_BROKEN_PIPE):
                return b""
            raise
        return buffer.raw[: done.value]

    def write(self, handle: _host.Handle, data: bytes) -> None:
        left, done = memoryview(data), ctypes.c_uint32()
        while left:
            portion = bytes(left[: 1 << 26])
            WriteFile(any_handle(handle), portion, len(portion), done, None)
            if not done.value:
                raise WinError(SystemError_.ERROR_NO_DATA, "WriteFile", message="nothing was taken")
            left = left[done.value :]

    def delete(self, handle: _host.Handle) -> None:
        # Git makes its objects read-only; Windows refuses to delete such files unless told to look past that. With
        # POSIX semantics the name is gone at once, though others (an antivirus, an indexer) still have the file open;
        # without, the directory above could not be removed until they close it. Not every file system knows that.
        plain = (
            DispositionFlags.FILE_DISPOSITION_FLAG_DELETE
            | DispositionFlags.FILE_DISPOSITION_FLAG_IGNORE_READONLY_ATTRIBUTE
        )
        for flags in (plain | DispositionFlags.FILE_DISPOSITION_FLAG_POSIX_SEMANTICS, plain):
            information = FILE_DISPOSITION_INFO_EX()
            information.Flags = flags
            try:
                _set(handle, FileInfoByHandleClass.FileDispositionInfoEx, information)
            except WinError as error:
                if error.winerror not in (*_UNKNOWN_CLASS, SystemError_.ERROR_ACCESS_DENIED):
                    raise
            else:
                return
        _delete_as_before(handle)

    def info(self, handle: _host.Handle) -> FileInfo:
        basic, standard = FILE_BASIC_INFO(), FILE_STANDARD_INFO()
        _get(handle, FileInfoByHandleClass.FileBasicInfo, basic)
        _get(handle, FileInfoByHandleClass.FileStandardInfo, standard)
        tag = 0
        if basic.FileAttributes & FileAttributes.FILE_ATTRIBUTE_REPARSE_POINT:
            tagged = FILE_ATTRIBUTE_TAG_INFO()
            _get(handle, FileInfoByHandleClass.FileAttributeTagInfo, tagged)
            tag = tagged.ReparseTag
        return FileInfo(
            identity=_identity(handle),
            attributes=basic.FileAttributes,
            reparse_tag=tag,
            links=standard.NumberOfLinks,
            size=standard.EndOfFile,
            modified=basic.LastWriteTime,
            changed=basic.ChangeTime,
        )

    def final_path(self, handle: _host.Handle) -> str:
        size = 512
        for _ in range(8):
            buffer = ctypes.create_unicode_buffer(size)
            needed = GetFinalPathNameByHandleW(any_handle(handle), buffer, size, 0)
            if needed < size:
                return _plain(buffer.value)
            size = needed + 1  # the object may be renamed in between
        raise WinError(SystemError_.ERROR_INSUFFICIENT_BUFFER, "GetFinalPathNameByHandleW")

    def volume(self, handle: _host.Handle) -> _host.Volume:
        serial, flags = ctypes.c_uint32(), ctypes.c_uint32()
        filesystem = ctypes.create_unicode_buffer(261)
        GetVolumeInformationByHandleW(any_handle(handle), None, 0, serial, None, flags, filesystem, len(filesystem))
        root = _volume_root(self.final_path(handle))
        kind = _KINDS.get(GetDriveTypeW(root), "unknown")
        if _is_remote(handle):
            kind = "remote"  # a drive letter made by SUBST, or a link, for a share
        return _host.Volume(root, serial.value, filesystem.value, flags.value, kind)

    def entries(self, handle: _host.Handle) -> Iterator[_host.Entry]:
        volume = _identity(handle).volume
        buffer = ctypes.create_string_buffer(_LISTING_SIZE)
        extended = restart = True
        while True:
            try:
                GetFileInformationByHandleEx(any_handle(handle), _listing_class(extended, restart), buffer, len(buffer))
            except WinError as error:
                if error.winerror in _LISTED_ALL:
                    return
                if not (restart and extended and error.winerror in _UNKNOWN_CLASS):
                    raise
                extended = False
                continue
            restart = False
            yield from _listed(buffer.raw, volume, extended=extended)

    def security(self, handle: _host.Handle) -> bytes:
        wanted = (
            SecurityInformation.OWNER_SECURITY_INFORMATION
            | SecurityInformation.GROUP_SECURITY_INFORMATION
            | SecurityInformation.DACL_SECURITY_INFORMATION
            | SecurityInformation.LABEL_SECURITY_INFORMATION
        )
        length = ctypes.c_uint32()

        def call(buffer: ctypes.Array[ctypes.c_char] | None, size: int) -> int | None:
            try:
                GetKernelObjectSecurity(any_handle(handle), wanted, buffer, size, length)
            except WinError as error:
                if error.winerror != SystemError_.ERROR_INSUFFICIENT_BUFFER:
                    raise
                return length.value
            return None

        return sized(call, 1024)[: length.value]

    def set_security(self, handle: _host.Handle, descriptor: bytes, *, dacl: bool = True, label: bool = False) -> None:
        what = SecurityInformation(0)
        if dacl:
            what |= SecurityInformation.DACL_SECURITY_INFORMATION
        if label:
            what |= SecurityInformation.LABEL_SECURITY_INFORMATION
        # The native call: what the descriptor says is stored as it stands, on this object and no other. The functions
        # of aclapi.h would compute inherited entries anew and walk the tree below.
        NtSetSecurityObject(any_handle(handle), what, descriptor)

    def query(self, path: str, *, follow: bool = True) -> FileInfo | None:
        try:
            with self.open(path, FileRights.FILE_READ_ATTRIBUTES, follow=follow) as handle:
                return self.info(handle)
        except WinError as error:
            if error.winerror in _NOTHING_THERE:
                return None
            raise

    def known_folders(self) -> _host.KnownFolders:
        return known_folders()

    def drives(self) -> tuple[_host.Volume, ...]:
        letters = GetLogicalDrives()
        found = []
        previous = ctypes.c_uint32()
        SetThreadErrorMode(SEM_FAILCRITICALERRORS, previous)  # no "insert a disk" window for an empty drive
        try:
            for number in range(26):
                if letters & 1 << number:
                    volume = _drive(f"{chr(ord('A') + number)}:\\")
                    if volume is not None:
                        found.append(volume)
        finally:
            SetThreadErrorMode(previous.value, None)
        return tuple(found)

    def database(self, path: str) -> sqlite3.Connection:
        import sqlite3

        return sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)


# --- opening ---------------------------------------------------------------------------------------------------------


def _at(
    parent: _host.Handle,
    name: str,
    access: int,
    share: int,
    disposition: NtDisposition,
    options: NtCreateOptions,
    descriptor: bytes | None,
) -> _host.Handle:
    """NtCreateFile with RootDirectory: whatever is done to the path above meanwhile, the object lies in `parent`."""
    encoded = name.encode("utf-16-le", "surrogatepass")
    # One component and nothing else: a separator would walk, ``:`` would name a stream, ``..`` does not exist here.
    if name in {"", ".", ".."} or set(name) & set('\\/:*?"<>|\0') or len(encoded) > 2 * _LONGEST_NAME:
        raise WinError(SystemError_.ERROR_INVALID_NAME, "NtCreateFile", name, message="not the name of an entry")
    characters = ctypes.create_string_buffer(encoded, len(encoded))
    text = UNICODE_STRING()
    text.Length = text.MaximumLength = len(encoded)
    text.Buffer = ctypes.addressof(characters)
    attributes = OBJECT_ATTRIBUTES()
    attributes.Length = size_of(attributes)
    attributes.RootDirectory = parent.value
    attributes.ObjectName = ctypes.addressof(text)
    attributes.Attributes = ObjectFlags.OBJ_CASE_INSENSITIVE
    security = None if descriptor is None else ctypes.create_string_buffer(descriptor, len(descriptor))
    if security is not None:
        attributes.SecurityDescriptor = ctypes.addressof(security)
    options |= NtCreateOptions.FILE_OPEN_REPARSE_POINT | NtCreateOptions.FILE_SYNCHRONOUS_IO_NONALERT
    out, status = ctypes.c_void_p(), IO_STATUS_BLOCK()
    try:
        NtCreateFile(
            out,
            access | _ALWAYS,
            attributes,
            status,
            None,
            FileAttributes.FILE_ATTRIBUTE_NORMAL,
            share,
            disposition,
            options,
            None,
            0,
        )
    except WinError as error:
        error.filename = name
        raise
    return own_taken(out)


def _plain(path: str) -> str:
    if path.startswith("\\\\?\\UNC\\"):
        return "\\\\" + path[8:]
    return path.removeprefix("\\\\?\\")


# --- information -----------------------------------------------------------------------------------------------------


def _get(handle: _host.Handle, kind: FileInfoByHandleClass, into: Struct) -> None:
    GetFileInformationByHandleEx(any_handle(handle), kind, into, size_of(into))


def _set(handle: _host.Handle, kind: FileInfoByHandleClass, value: Struct) -> None:
    SetFileInformationByHandle(any_handle(handle), kind, value, size_of(value))


def _delete_as_before(handle: _host.Handle) -> None:
    """Deletion where the newer class is not known; a read-only file needs FILE_WRITE_ATTRIBUTES on the handle too."""
    information = FILE_DISPOSITION_INFO()
    information.DeleteFile = 1
    try:
        _set(handle, FileInfoByHandleClass.FileDispositionInfo, information)
    except PermissionError:
        basic = FILE_BASIC_INFO()
        _get(handle, FileInfoByHandleClass.FileBasicInfo, basic)
        if not basic.FileAttributes & FileAttributes.FILE_ATTRIBUTE_READONLY:
            raise
        writable = FILE_BASIC_INFO()  # zeros: the times stay
        writable.FileAttributes = basic.FileAttributes & ~FileAttributes.FILE_ATTRIBUTE_READONLY or (
            FileAttributes.FILE_ATTRIBUTE_NORMAL
        )
        _set(handle, FileInfoByHandleClass.FileBasicInfo, writable)
        _set(handle, FileInfoByHandleClass.FileDispositionInfo, information)


def _identity(handle: _host.Handle) -> FileId:
    identity = FILE_ID_INFO()
    try:
        _get(handle, FileInfoByHandleClass.FileIdInfo, identity)
    except WinError as error:
        if error.winerror not in _UNKNOWN_CLASS:
            raise
        # FAT and older redirectors: 32 bits of serial number, 64 bits of index
        older = BY_HANDLE_FILE_INFORMATION()
        GetFileInformationByHandle(any_handle(handle), older)
        return FileId(older.dwVolumeSerialNumber, older.nFileIndexHigh << 32 | older.nFileIndexLow)
    return FileId(identity.VolumeSerialNumber, int.from_bytes(bytes(identity.FileId), "little"))


def _volume_root(path: str) -> str:
    path = verbatim(path)  # as everywhere: beyond 260 characters only this form is taken
    buffer = ctypes.create_unicode_buffer(len(path) + 2)
    GetVolumePathNameW(path, buffer, len(buffer))
    root = buffer.value
    return root[4:] if root[:4] == "\\\\?\\" and root[5:6] == ":" else root


def _is_remote(handle: _host.Handle) -> bool:
    device, status = FILE_FS_DEVICE_INFORMATION(), IO_STATUS_BLOCK()
    NtQueryVolumeInformationFile(
        any_handle(handle), status, device, size_of(device), FsInformationClass.FileFsDeviceInformation
    )
    return bool(device.Characteristics & Characteristics.FILE_REMOTE_DEVICE)


def _drive(root: str) -> _host.Volume | None:
    kind = _KINDS.get(GetDriveTypeW(root), "unknown")
    if kind == "remote":
        return _host.Volume(root, 0, "", 0, kind)  # not asked: a server that is gone would be waited for
    serial, flags = ctypes.c_uint32(), ctypes.c_uint32()
    filesystem = ctypes.create_unicode_buffer(261)
    try:
        GetVolumeInformationW(root, None, 0, serial, None, flags, filesystem, len(filesystem))
    except WinError as error:
        if error.winerror == SystemError_.ERROR_NOT_READY:
            return None  # a drive without a medium
        return _host.Volume(root, 0, "", 0, kind)
    return _host.Volume(root, serial.value, filesystem.value, flags.value, kind)


# --- directories -----------------------------------------------------------------------------------------------------

_LISTED_ALL: Final = (SystemError_.ERROR_NO_MORE_FILES, SystemError_.ERROR_FILE_NOT_FOUND)
_HEAD: Final = struct.Struct("<IIqqqqqqIII")  # up to EaSize, the same in both structures
_TAG: Final = struct.Struct("<I")
_TAG_AT: Final = offset_of(FILE_ID_EXTD_DIR_INFO, "ReparsePointTag")


def _listing_class(extended: bool, restart: bool) -> FileInfoByHandleClass:
    """The extended class has the 128-bit ids of ReFS; where it is not known, the older one has 64 bits."""
    if extended:
        if restart:
            return FileInfoByHandleClass.FileIdExtdDirectoryRestartInfo
        return FileInfoByHandleClass.FileIdExtdDirectoryInfo
    if restart:
        return FileInfoByHandleClass.FileIdBothDirectoryRestartInfo
    return FileInfoByHandleClass.FileIdBothDirectoryInfo


def _listed(block: bytes, volume: int, *, extended: bool) -> Iterator[_host.Entry]:
    kind = FILE_ID_EXTD_DIR_INFO if extended else FILE_ID_BOTH_DIR_INFO
    id_at, id_size, name_at = offset_of(kind, "FileId"), 16 if extended else 8, offset_of(kind, "FileName")
    start = 0
    while True:
        following, _, _, _, modified, changed, size, _, attributes, length, ea_size = _HEAD.unpack_from(block, start)
        name = block[start + name_at : start + name_at + length].decode("utf-16-le", "surrogatepass")
        if name not in {".", ".."}:
            # The older structure has the tag of a reparse point where others have the size of extended attributes.
            tag = _TAG.unpack_from(block, start + _TAG_AT)[0] if extended else ea_size
            number = int.from_bytes(block[start + id_at : start + id_at + id_size], "little")
            yield _host.Entry(
                name=name,
                identity=FileId(volume, number),
                attributes=attributes,
                reparse_tag=tag if attributes & FileAttributes.FILE_ATTRIBUTE_REPARSE_POINT else 0,
                size=size,
                modified=modified,
                changed=changed,
            )
        if not following:
            return
        start += following
