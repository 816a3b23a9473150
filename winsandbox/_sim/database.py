"""SQLite databases of a simulated machine: real ones, in a temporary file that goes with the machine.

A real file, because locking between connections has to be the true one, WAL mode included. The connection dies with the
process that opened it: a transaction that was not committed is rolled back, every later call raises SimulatedCrash. A
simulated file stands for it, which is open without FILE_SHARE_DELETE as long as the connection is (SQLite's Windows VFS
shares reading and writing only), so nobody deletes or replaces it meanwhile.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

from .._host import SHARE_READ, SHARE_WRITE
from .._security import mask
from ..errors import WinError

if TYPE_CHECKING:
    from .filesystem import FileObject
    from .gate import Caller

__all__ = ["SimulatedConnection", "open_database"]


class _Cursor(sqlite3.Cursor):
    def execute(self, sql: str, parameters: Any = ()) -> Self:
        _statement(self.connection)
        return super().execute(sql, parameters)

    def executemany(self, sql: str, parameters: Iterable[Any]) -> Self:
        _statement(self.connection)
        return super().executemany(sql, parameters)

    def executescript(self, sql_script: str) -> sqlite3.Cursor:
        _statement(self.connection)
        return super().executescript(sql_script)


class SimulatedConnection(sqlite3.Connection):
    """A connection that counts its statements as the caller's operations, and ends with the caller."""

    enter: Callable[[], None] | None = None
    opened: FileObject | None = None

    def cursor(self, factory: Any = _Cursor) -> Any:
        return super().cursor(factory)

    def execute(self, sql: str, parameters: Any = ()) -> sqlite3.Cursor:
        return self.cursor().execute(sql, parameters)  # type: ignore[no-any-return]

    def executemany(self, sql: str, parameters: Iterable[Any]) -> sqlite3.Cursor:
        return self.cursor().executemany(sql, parameters)  # type: ignore[no-any-return]

    def executescript(self, sql_script: str) -> sqlite3.Cursor:
        return self.cursor().executescript(sql_script)  # type: ignore[no-any-return]

    def commit(self) -> None:
        _statement(self)
        super().commit()

    def rollback(self) -> None:
        _statement(self)
        super().rollback()

    def close(self) -> None:
        super().close()
        opened, self.opened = self.opened, None
        if opened is not None:
            with opened.filesystem.machine.lock:
                opened.closed()

    def closed(self) -> None:
        """The process is gone: what it had not committed is, too."""
        self.enter = None
        self.close()


def _statement(connection: sqlite3.Connection) -> None:
    if isinstance(connection, SimulatedConnection) and connection.enter is not None:
        connection.enter()


@contextmanager
def _sqlite_errors(path: str) -> Iterator[None]:
    """What SQLite says when it cannot open its file."""
    try:
        yield
    except WinError as error:
        raise sqlite3.OperationalError(f"unable to open database file {path}: {error}") from error


def open_database(caller: Caller, path: str) -> sqlite3.Connection:
    """See Files.database."""
    machine = caller.machine
    filesystem = machine.filesystem
    token = caller.process.token.token
    rights = mask.FILE_GENERIC_READ | mask.FILE_GENERIC_WRITE
    share = SHARE_READ | SHARE_WRITE
    with machine.lock, _sqlite_errors(path):
        directory, name, _, link = filesystem.find(path, token, "CreateFileW", follow=True)
        if link is not None:
            opened = filesystem.open(link, token, rights, share=share, directory=False)
        elif directory is not None:
            opened = filesystem.create(directory, name, token, rights, container=False, share=share, attributes=0x20)
        else:
            raise WinError(5, "CreateFileW", path)
        node = opened.node
        if node.backing is None:
            real = machine.directory() / f"{node.volume.serial:x}-{node.number:x}.sqlite"
            real.write_bytes(bytes(node.data))
            node.backing = str(real)
    try:
        connection = sqlite3.connect(
            node.backing, timeout=0, isolation_level=None, check_same_thread=False, factory=SimulatedConnection
        )
    except BaseException:
        opened.closed()
        raise
    connection.opened = opened
    connection.enter = lambda: caller.enter("sql")
    caller.connections.add(connection)
    return connection
