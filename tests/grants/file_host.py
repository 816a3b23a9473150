"""The least of a Host that the grants need, kept in real files, so that real processes can race for it.

Descriptors lie in files beside the tree and are read and written without any care: whatever serialises the processes
has to come from the ledger, which is the real one on a real SQLite database.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar

from winsandbox._host import Capabilities, Entry, FileId, FileInfo, Handle, ProcessId
from winsandbox._security.descriptor import SecurityDescriptor
from winsandbox._security.sid import Sid
from winsandbox._security.token import Group, Token
from winsandbox.errors import WinError

T = TypeVar("T")
USER = Sid(5, 21, 1, 2, 3, 1001)
LOGON = Sid(5, 5, 0, 4711)
FIRST = SecurityDescriptor.from_sddl(f"O:{USER}G:{USER}D:AI(A;ID;FA;;;SY)(A;ID;FA;;;{USER})").to_bytes()


def patiently(action: Callable[[], T]) -> T:
    """On Windows a file that somebody has open cannot be replaced, and one that is being replaced not opened."""
    for _ in range(200):
        try:
            return action()
        except PermissionError:
            time.sleep(0.005)
    return action()


class FileHost:
    """``C:\\...`` lies in `base`/tree; descriptors in `base`/security, named by file id."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.tree = base / "tree"
        self.security_of = base / "security"
        self.files: Any = Files(self)
        self.processes: Any = Processes(self)
        token = Token(USER, (Group(LOGON),))
        info = SimpleNamespace(token=token)
        self.tokens: Any = SimpleNamespace(current=lambda: Handle(0, lambda _: None), inspect=lambda _: info)

    def capabilities(self) -> Capabilities:
        return Capabilities("wine", "files", 0, "AMD64", False, False)


class Files:
    def __init__(self, host: FileHost) -> None:
        self._host = host
        self._paths: dict[int, str] = {}
        self._next = 0

    def _real(self, path: str) -> Path:
        return self._host.tree.joinpath(*path.split("\\")[1:])

    def _handle(self, path: str) -> Handle:
        if not self._real(path).exists():
            raise WinError(2, "open", path)
        self._next += 1
        self._paths[self._next] = path
        return Handle(self._next, self._close)

    def _close(self, value: int) -> None:
        self._paths.pop(value, None)

    def open(self, path: str, access: int, *, share: int = 7, follow: bool = False) -> Handle:
        return self._handle(path)

    def open_at(self, parent: Handle, name: str, access: int, *, share: int = 7) -> Handle:
        return self._handle(self._paths[parent.value] + "\\" + name)

    def create_directory(self, parent: Handle, name: str, access: int, **rest: Any) -> Handle:
        path = self._paths[parent.value] + "\\" + name
        try:
            self._real(path).mkdir()
        except FileExistsError:
            raise WinError(183, "create", path) from None
        return self._handle(path)

    def delete(self, handle: Handle) -> None:
        self._real(self._paths[handle.value]).rmdir()

    def info(self, handle: Handle) -> FileInfo:
        return self._info(self._real(self._paths[handle.value]))

    def _info(self, real: Path) -> FileInfo:
        stat = real.stat()
        return FileInfo(FileId(1, stat.st_ino), 0x10 if real.is_dir() else 0x20, 0, 1, 0, 0, 0)

    def query(self, path: str, *, follow: bool = True) -> FileInfo | None:
        try:
            return self._info(self._real(path))
        except OSError:
            return None

    def final_path(self, handle: Handle) -> str:
        return self._paths[handle.value]

    def entries(self, handle: Handle) -> Iterator[Entry]:
        for found in sorted(os.listdir(self._real(self._paths[handle.value]))):
            real = self._real(self._paths[handle.value] + "\\" + found)
            info = self._info(real)
            yield Entry(found, info.identity, info.attributes, 0, 0, 0, 0)

    def _record(self, handle: Handle) -> Path:
        return self._host.security_of / str(self.info(handle).identity.file)

    def security(self, handle: Handle) -> bytes:
        try:
            return patiently(self._record(handle).read_bytes)
        except FileNotFoundError:
            return FIRST

    def set_security(self, handle: Handle, descriptor: bytes, *, dacl: bool = True, label: bool = False) -> None:
        # As NTFS keeps it: the request bits are not stored.
        new = SecurityDescriptor.from_bytes(descriptor)
        record = self._record(handle)
        temporary = record.with_suffix(f".{os.getpid()}")
        temporary.write_bytes(new.replace(control=new.control & ~0x300).to_bytes())
        patiently(lambda: os.replace(temporary, record))

    def database(self, path: str) -> sqlite3.Connection:
        return sqlite3.connect(self._real(path), timeout=0, isolation_level=None, check_same_thread=False)

    def known_folders(self) -> Any:
        return SimpleNamespace(local_app_data="C:\\local")


class Processes:
    """A process lives as long as its file is there."""

    def __init__(self, host: FileHost) -> None:
        self._host = host

    def _file(self, pid: int) -> Path:
        return self._host.base / f"alive-{pid}"

    def begin(self) -> None:
        self._file(os.getpid()).touch()

    def end(self) -> None:
        self._file(os.getpid()).unlink()

    def current(self) -> ProcessId:
        return ProcessId(os.getpid(), 1)

    def alive(self, process: ProcessId) -> bool:
        return self._file(process.pid).exists()

    def clock(self) -> float:
        return time.monotonic()

    def time(self) -> float:
        return time.time()

    def random(self, size: int) -> bytes:
        return os.urandom(size)
