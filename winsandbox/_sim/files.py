"""The Files protocol for one caller."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from .._host import SHARE_ALL, Entry, FileInfo, Handle, KnownFolders, Volume
from .._security import mask
from ..errors import WinError
from . import names
from .disk import Disk, path_of
from .filesystem import WIN32_ACCESS, FileObject
from .gate import Caller
from .streams import DescriptorEnd, NullEnd

if TYPE_CHECKING:
    import sqlite3

    from .tokens import SimulatedToken

__all__ = ["SimFiles"]


class SimFiles:
    """See ``_host.Files`` for each method; here stands only what is the simulation's own."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self._machine = caller.machine
        self._filesystem = caller.machine.filesystem

    @property
    def _token(self) -> SimulatedToken:
        return self._caller.process.token.token

    def open(self, path: str, access: int, *, share: int = SHARE_ALL, follow: bool = False) -> Handle:
        """As CreateFileW, which asks for SYNCHRONIZE and FILE_READ_ATTRIBUTES besides."""
        self._caller.enter("open")
        with self._machine.lock:
            link, stream = self._filesystem.existing(names.verbatim(path), self._token, "CreateFileW", follow=follow)
            return self._caller.own(
                self._filesystem.open(link, self._token, access | WIN32_ACCESS, stream=stream, share=share)
            )

    def open_at(self, parent: Handle, name: str, access: int, *, share: int = SHARE_ALL) -> Handle:
        """As NtCreateFile with RootDirectory and FILE_OPEN_REPARSE_POINT."""
        self._caller.enter("open_at")
        function = "NtCreateFile"
        with self._machine.lock:
            directory = self._caller.object(parent, FileObject).node
            names.check(name, function)
            if not directory.directory:
                raise WinError(267, function, name)
            self._filesystem.monitor.traverse(directory, self._token, function, name)
            link = directory.find(name)
            if link is None:
                raise WinError(2, function, name)
            return self._caller.own(
                self._filesystem.open(link, self._token, access | WIN32_ACCESS, share=share, function=function)
            )

    def create_directory(
        self, parent: Handle, name: str, access: int, *, descriptor: bytes | None = None, share: int = SHARE_ALL
    ) -> Handle:
        """As NtCreateFile with FILE_CREATE."""
        return self._create("create_directory", parent, name, access, descriptor, share, directory=True)

    def create_file(
        self, parent: Handle, name: str, access: int, *, descriptor: bytes | None = None, share: int = SHARE_ALL
    ) -> Handle:
        """As NtCreateFile with FILE_CREATE."""
        return self._create("create_file", parent, name, access, descriptor, share, directory=False)

    def _create(
        self,
        kind: str,
        parent: Handle,
        name: str,
        access: int,
        descriptor: bytes | None,
        share: int,
        *,
        directory: bool,
    ) -> Handle:
        self._caller.enter(kind)
        with self._machine.lock:
            opened = self._filesystem.create(
                self._caller.object(parent, FileObject).node,
                name,
                self._token,
                access | WIN32_ACCESS,
                container=directory,
                descriptor=descriptor,
                share=share,
                attributes=0 if directory else 0x20,
                function="NtCreateFile",
            )
            return self._caller.own(opened)

    def read(self, handle: Handle, size: int) -> bytes:
        """Of a file, or of a stream (which blocks as it does in reality)."""
        self._caller.enter("read")
        if size <= 0:
            return b""
        stream = self._stream(handle)
        if stream is not None:
            return stream.read(size, None)
        with self._machine.lock:
            return self._filesystem.read(self._file(handle), size)

    def write(self, handle: Handle, data: bytes) -> None:
        """To a file or a stream."""
        self._caller.enter("write")
        stream = self._stream(handle)
        if stream is not None:
            stream.write(data, None)
            return
        with self._machine.lock:
            self._filesystem.write(self._file(handle), data)

    def delete(self, handle: Handle) -> None:
        """As SetFileInformationByHandle with FileDispositionInfoEx: a read-only file too."""
        self._caller.enter("delete")
        with self._machine.lock:
            self._filesystem.delete(self._file(handle), readonly=True)

    def info(self, handle: Handle) -> FileInfo:
        """Needs FILE_READ_ATTRIBUTES, which every open here has."""
        self._caller.enter("info")
        with self._machine.lock:
            return self._filesystem.info(self._file(handle).node)

    def final_path(self, handle: Handle) -> str:
        """The path by which the handle was opened, as it is now."""
        self._caller.enter("final_path")
        with self._machine.lock:
            return path_of(self._file(handle).link)

    def volume(self, handle: Handle) -> Volume:
        """As GetVolumeInformationByHandleW."""
        self._caller.enter("volume")
        with self._machine.lock:
            return _volume(self._file(handle).node.volume, None)

    def entries(self, handle: Handle) -> Iterator[Entry]:
        """Each entry is counted as ``entry``; the names are those at the first one."""
        self._caller.enter("entries")
        with self._machine.lock:
            found = self._filesystem.entries(self._file(handle))
        for entry in found:
            self._caller.enter("entry")
            yield entry

    def security(self, handle: Handle) -> bytes:
        """As NtQuerySecurityObject."""
        self._caller.enter("security")
        with self._machine.lock:
            return self._filesystem.security(self._file(handle))

    def set_security(self, handle: Handle, descriptor: bytes, *, dacl: bool = True, label: bool = False) -> None:
        """As NtSetSecurityObject; a volume without ACLs says yes and stores nothing."""
        self._caller.enter("set_security")
        with self._machine.lock:
            self._filesystem.set_security(self._file(handle), descriptor, dacl=dacl, label=label)

    def query(self, path: str, *, follow: bool = True) -> FileInfo | None:
        """Opens with FILE_READ_ATTRIBUTES alone, which the parent's FILE_LIST_DIRECTORY gives too."""
        self._caller.enter("query")
        with self._machine.lock:
            try:
                link, stream = self._filesystem.existing(
                    names.verbatim(path), self._token, "CreateFileW", follow=follow
                )
                opened = self._filesystem.open(link, self._token, mask.FILE_READ_ATTRIBUTES, stream=stream)
            except FileNotFoundError as error:
                if getattr(error, "winerror", 0) in (2, 3):
                    return None
                raise
            try:
                return self._filesystem.info(opened.node)
            finally:
                opened.closed()

    def known_folders(self) -> KnownFolders:
        """Of the simulated user."""
        self._caller.alive("known_folders")
        profile = self._machine.profile
        menu = r"\Microsoft\Windows\Start Menu\Programs\Startup"
        return KnownFolders(
            windows=r"C:\Windows",
            system=r"C:\Windows\System32",
            program_files=(r"C:\Program Files", r"C:\Program Files (x86)"),
            program_data=r"C:\ProgramData",
            profiles=r"C:\Users",
            profile=profile,
            local_app_data=profile + r"\AppData\Local",
            roaming_app_data=profile + r"\AppData\Roaming",
            local_app_data_low=profile + r"\AppData\LocalLow",
            startup=(profile + r"\AppData\Roaming" + menu, r"C:\ProgramData" + menu),
            public=r"C:\Users\Public",
        )

    def drives(self) -> tuple[Volume, ...]:
        """Every letter, those of SUBST and of mapped shares included."""
        self._caller.enter("drives")
        with self._machine.lock:
            roots = sorted(self._filesystem.roots.items())
            return tuple(_drive(link.node.volume, root) for root, link in roots if len(root) == 2)

    def database(self, path: str) -> sqlite3.Connection:
        """See ``database``: each statement is counted as ``sql``."""
        self._caller.enter("database")
        from .database import open_database

        return open_database(self._caller, names.verbatim(path))

    def _file(self, handle: Handle) -> FileObject:
        return self._caller.object(handle, FileObject)

    def _stream(self, handle: Handle) -> DescriptorEnd | NullEnd | None:
        found = self._caller.named(handle)
        return found if isinstance(found, DescriptorEnd | NullEnd) else None


def _drive(disk: Disk, root: str) -> Volume:
    """As `drives` tells it: a server is not asked, it may be gone."""
    return Volume(root + "\\", 0, "", 0, "remote") if disk.remote else _volume(disk, root)


def _volume(disk: Disk, root: str | None) -> Volume:
    return Volume((disk.root if root is None else root) + "\\", disk.serial, disk.filesystem, disk.flags, disk.kind)
