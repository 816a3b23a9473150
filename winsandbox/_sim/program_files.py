"""What a simulated program can do with files: the calls of SimulatedProcess that have a path."""

from __future__ import annotations

import ntpath
from typing import TYPE_CHECKING, Final

from .. import _rights
from .._asked import DISKS, device
from .._host import (
    ATTRIBUTE_READONLY,
    REPARSE_MOUNT_POINT,
    REPARSE_SYMLINK,
    SHARE_ALL,
    SHARE_READ,
    SHARE_WRITE,
    FileInfo,
)
from .._security import mask
from .._security.descriptor import SecurityDescriptor
from ..errors import WinError
from . import defaults, names
from .disk import Node, Reparse, size
from .filesystem import WIN32_ACCESS, FileObject
from .handles import NullFile, SimulatedFile
from .tokens import CREATE_SYMBOLIC_LINK, SimulatedToken

if TYPE_CHECKING:
    from types import TracebackType

    from .jobs import ProcessRecord

__all__ = ["FileCalls"]

# What CPython's mkdir(mode=0o700) passes since 3.12.4: the owner's rights, and nothing inherited.
_PRIVATE: Final = "D:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;FA;;;OW)"


class FileCalls:
    """The files of a process. Names are taken as the Win32 layer takes them, relative to ``cwd``."""

    cwd: str

    def __init__(self, record: ProcessRecord) -> None:
        self._record = record
        self._machine = record.machine
        self.cwd = record.cwd

    @property
    def token(self) -> SimulatedToken:
        """The token that every call is made with."""
        return self._record.token.token

    def open(
        self,
        path: str,
        mode: str = "r",
        *,
        access: int | None = None,
        share: int = SHARE_READ | SHARE_WRITE,
        descriptor: str | None = None,
    ) -> SimulatedFile:
        """Open as CPython's ``open`` does: r, w, a or x, with +; always bytes.

        Args:
            access: what to ask for instead of what the mode means.
            share: what others may do meanwhile; the C runtime lets them read and write, not delete.
            descriptor: SDDL for a new file.
        """
        letters = set(mode) - {"b", "t"}
        kind = letters & set("rwax")
        if len(kind) != 1 or letters - set("rwax+"):
            raise ValueError(f"invalid mode: {mode!r}")
        (first,) = kind
        rights = mask.FILE_GENERIC_READ if first == "r" or "+" in letters else 0
        rights |= mask.FILE_GENERIC_WRITE if first != "r" or "+" in letters else 0
        rights = (rights if access is None else access) | WIN32_ACCESS
        made = None if descriptor is None else self._sddl(descriptor)
        with self._step():
            filesystem = self._machine.filesystem
            if name := self._device(path):
                if name != "NUL":
                    disk = DISKS.fullmatch(name) is not None
                    raise WinError(5 if disk else 2, "CreateFileW", path, message="a device that the model has not")
                filesystem.monitor.demand(defaults.null_device(), self.token, rights, "CreateFileW", path)
                return NullFile(self._record)
            full = self._path(path, "CreateFileW")
            directory, name, stream, link = filesystem.find(full, self.token, "CreateFileW", follow=True)
            missing = link is None or (stream != "" and link.node.stream(stream) is None)
            container = None if stream else False  # NTFS has named streams on directories too
            if link is not None and first == "x" and not (stream and missing):
                raise WinError(80, "CreateFileW", path)
            if missing and first == "r":
                raise WinError(2, "CreateFileW", path)
            if link is None:
                if directory is None:
                    raise WinError(5, "CreateFileW", path)
                opened = filesystem.create(
                    directory,
                    name,
                    self.token,
                    rights,
                    container=False,
                    stream=stream,
                    descriptor=made,
                    share=share,
                    attributes=0x20,
                )
                return SimulatedFile(self._record, opened)
            if missing:
                # A new stream of an existing file takes the right to write data to the file, nothing of the directory.
                right = rights | mask.FILE_WRITE_DATA
                filesystem.open(link, self.token, right, share=share, directory=container).closed()
                link.node.add_stream(stream)
            opened = filesystem.open(link, self.token, rights, stream=stream, share=share, directory=container)
            result = SimulatedFile(self._record, opened)
            if first == "w":
                filesystem.truncate(opened)
            elif first == "a":
                opened.position = size(link.node) if not stream else len(link.node.stream(stream) or b"")
            return result

    def read(self, path: str) -> bytes:
        """The content of a file."""
        with self.open(path) as file:
            return file.read()

    def write(self, path: str, data: bytes | str = b"") -> None:
        """Make or replace the content of a file."""
        with self.open(path, "w") as file:
            file.write(data)

    def append(self, path: str, data: bytes | str) -> None:
        """Add to the end of a file."""
        with self.open(path, "a") as file:
            file.write(data)

    def mkdir(self, path: str, mode: int = 0o777, *, descriptor: str | None = None) -> None:
        """Make a directory; mode 0o700 passes a descriptor of its own, as CPython does since 3.12.4."""
        function = "CreateDirectoryW"
        if descriptor is None and mode == 0o700:
            descriptor = _PRIVATE
        made = None if descriptor is None else self._sddl(descriptor)
        with self._step():
            full = self._path(path, function, directory=True)
            filesystem = self._machine.filesystem
            directory, name, stream, link = filesystem.find(full, self.token, function, follow=False)
            if stream:
                raise WinError(267, function, path)
            if link is not None or directory is None:
                raise WinError(183, function, path)
            opened = filesystem.create(
                directory,
                name,
                self.token,
                mask.FILE_LIST_DIRECTORY,
                container=True,
                descriptor=made,
                function=function,
            )
            opened.closed()

    def makedirs(self, path: str) -> None:
        """Make a directory and those above it that are missing."""
        missing = []
        full = self._path(path, "CreateDirectoryW")
        while not self.exists(full):
            missing.append(full)
            full = ntpath.dirname(full)
        for step in reversed(missing):
            self.mkdir(step)

    def listdir(self, path: str = ".") -> list[str]:
        """The names in a directory."""
        function = "FindFirstFileW"
        try:
            with self._opened(path, mask.FILE_LIST_DIRECTORY, function, directory=True, follow=True) as opened:
                return [entry.name for entry in self._machine.filesystem.entries(opened)]
        except FileNotFoundError as error:
            # What is asked for is "path\\*": a path that is not there, where other calls miss a file.
            raise WinError(3, function, path) from error

    def remove(self, path: str) -> None:
        """Delete a file, or a link (a junction too), never what it leads to."""
        with self._opened(path, _rights.REMOVE, "DeleteFileW", bare=True) as opened:
            if opened.node.directory and opened.node.reparse is None:
                raise WinError(5, "DeleteFileW", path)
            self._machine.filesystem.delete(opened)

    def rmdir(self, path: str) -> None:
        """Delete an empty directory, or a junction."""
        with self._opened(path, _rights.REMOVE, "RemoveDirectoryW", directory=True, bare=True) as opened:
            self._machine.filesystem.delete(opened)

    def rename(self, source: str, target: str) -> None:
        """Give another name or place on the same volume; 183 where the name is taken."""
        self._move(source, target, replace=False)

    def replace(self, source: str, target: str) -> None:
        """Rename over an existing file."""
        self._move(source, target, replace=True)

    def link(self, source: str, target: str, *, native: bool = False) -> None:
        """Give the file `source` the further name `target`.

        CreateHardLinkW asks for FILE_WRITE_ATTRIBUTES on the file; the native call (`native`) asks for nothing.
        """
        function = "CreateHardLinkW"
        access = 0 if native else mask.FILE_WRITE_ATTRIBUTES
        with self._opened(source, access, function) as opened:
            directory, name = self._new_name(target, function)
            self._machine.filesystem.hard_link(opened.link, directory, name, self.token, function)

    def symlink(self, target: str, path: str, *, directory: bool = False) -> None:
        """Make a symbolic link: needs SeCreateSymbolicLinkPrivilege or developer mode (1314)."""
        if not self._machine.developer_mode and not self.token.has(CREATE_SYMBOLIC_LINK):
            raise WinError(1314, "CreateSymbolicLinkW", path)
        self._make_link(path, Reparse(REPARSE_SYMLINK, target), directory, "CreateSymbolicLinkW")

    def junction(self, target: str, path: str) -> None:
        """Make a junction: an empty directory that leads to the directory `target`. Takes no privilege."""
        full = self._path(target, "DeviceIoControl")
        self._make_link(path, Reparse(REPARSE_MOUNT_POINT, full), True, "CreateDirectoryW")

    def stat(self, path: str, *, follow: bool = True) -> FileInfo:
        """What lies at `path`."""
        with self._opened(path, mask.FILE_READ_ATTRIBUTES, "CreateFileW", follow=follow) as opened:
            return self._machine.filesystem.info(opened.node)

    def exists(self, path: str) -> bool:
        """Whether `stat` finds something."""
        try:
            self.stat(path)
        except OSError:
            return False
        return True

    def security(self, path: str) -> SecurityDescriptor:
        """The descriptor of an object (READ_CONTROL)."""
        with self._opened(path, mask.READ_CONTROL, "GetFileSecurityW") as opened:
            return SecurityDescriptor.from_bytes(self._machine.filesystem.security(opened))

    def set_security(self, path: str, sddl: str, *, label: bool = False) -> None:
        """Store the DACL of `sddl` (WRITE_DAC); with `label` the label instead (WRITE_OWNER)."""
        given = self._sddl(sddl)
        right = mask.WRITE_OWNER if label else mask.WRITE_DAC
        with self._opened(path, right, "SetFileSecurityW") as opened:
            self._machine.filesystem.set_security(opened, given, dacl=not label, label=label)

    def set_readonly(self, path: str, readonly: bool = True) -> None:
        """Set or clear the read-only attribute (FILE_WRITE_ATTRIBUTES)."""
        with self._opened(path, mask.FILE_WRITE_ATTRIBUTES, "SetFileAttributesW") as opened:
            if readonly:
                opened.node.attributes |= ATTRIBUTE_READONLY
            else:
                opened.node.attributes &= ~ATTRIBUTE_READONLY

    # Machinery

    def _step(self) -> Step:
        return Step(self._record)

    def _path(self, path: str, function: str, *, directory: bool = False) -> str:
        if self._device(path):
            raise WinError(267 if directory else 87, function, path, message="it is the name of a device")
        return names.win32(path, self.cwd, function, directory=directory)

    def _device(self, path: str) -> str:
        """The device that a name leads to whatever directory it stands in, or ""."""
        return device(path if path.startswith("\\\\?\\") else path.replace("/", "\\"))

    def _sddl(self, text: str) -> bytes:
        return self._machine.descriptor(text)

    def _opened(
        self,
        path: str,
        access: int,
        function: str,
        *,
        directory: bool | None = None,
        follow: bool = False,
        bare: bool = False,
    ) -> _Opened:
        """`bare`: nothing is asked for besides `access`."""
        return _Opened(self, path, access if bare else access | WIN32_ACCESS, function, directory, follow)

    def _new_name(self, path: str, function: str) -> tuple[Node, str]:
        """The directory and the name for something that is to appear at `path`."""
        full = self._path(path, function)
        directory, name, stream, _ = self._machine.filesystem.find(full, self.token, function, follow=False)
        if directory is None or stream:
            raise WinError(5 if directory is None else 123, function, path)
        return directory, name

    def _move(self, source: str, target: str, *, replace: bool) -> None:
        function = "MoveFileExW"
        with self._opened(source, _rights.REMOVE, function, bare=True) as opened:
            directory, name = self._new_name(target, function)
            self._machine.filesystem.rename(opened, directory, name, self.token, replace=replace, function=function)

    def _make_link(self, path: str, reparse: Reparse, directory: bool, function: str) -> None:
        with self._step():
            parent, name = self._new_name(path, function)
            filesystem = self._machine.filesystem
            opened = filesystem.create(
                parent,
                name,
                self.token,
                mask.FILE_WRITE_ATTRIBUTES | mask.DELETE,
                container=directory,
                attributes=0 if directory else 0x20,
                function=function,
            )
            try:
                filesystem.set_reparse(opened, reparse)
            except OSError:
                filesystem.delete(opened)
                raise
            finally:
                opened.closed()


class Step:
    """One call of a program: nothing happens in between, and nothing at all once the process was ended."""

    def __init__(self, record: ProcessRecord) -> None:
        self._record = record

    def __enter__(self) -> None:
        self._record.machine.lock.acquire()
        try:
            self._record.check()
        except BaseException:
            self._record.machine.lock.release()
            raise
        self._record.machine.clock.activity += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._record.machine.lock.release()


class _Opened:
    """An object opened for one call."""

    def __init__(
        self, process: FileCalls, path: str, access: int, function: str, directory: bool | None, follow: bool
    ) -> None:
        self._process = process
        self._path = path
        self._access = access
        self._function = function
        self._directory = directory
        self._follow = follow
        self._step = process._step()
        self._opened: FileObject | None = None

    def __enter__(self) -> FileObject:
        process = self._process
        self._step.__enter__()
        try:
            full = process._path(self._path, self._function)
            filesystem = process._machine.filesystem
            link, stream = filesystem.existing(full, process.token, self._function, follow=self._follow)
            self._opened = filesystem.open(
                link,
                process.token,
                self._access,
                stream=stream,
                share=SHARE_ALL,
                directory=self._directory,
                function=self._function,
            )
        except BaseException:
            self._step.__exit__(None, None, None)
            raise
        return self._opened

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._opened is not None:
            self._opened.closed()
        self._step.__exit__(None, None, None)
