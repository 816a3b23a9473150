"""The ledger: what lies on disk because of us, written down before it is put there. SQLite, shared by all processes.

Every change of a descriptor is announced first: a grant's row (its SID finds every ACE of it), rows by object only for
the labels that were there before ours. Leases say which processes use which grants.

One lock, the database's own: ``BEGIN IMMEDIATE``. Whoever reads a descriptor to write it back holds it meanwhile, so
two of our processes never lose each other's ACEs. No named mutex: the sandboxed child could hold one. The child can
read this file, so it can lock it too; hence every wait has an end, and ends in an error, never in going on without.

Majors: tables ``meta``, ``lease`` and ``lease_grant`` of ledger-1 are frozen. A later major keeps its own file, takes
this one's lock first and enters its leases here, so that old and new copies, vendored or not, see each other.
"""

from __future__ import annotations

import hashlib
import hmac
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

from .errors import LedgerError

if TYPE_CHECKING:
    import sqlite3

    from ._host import Host

MAJOR: Final = 1
NAME: Final = f"ledger-{MAJOR}.sqlite"
LOCK_TIMEOUT: Final = 30.0  # seconds that a transaction waits for other processes
_APPLICATION: Final = 0x57534258
_POLL: Final = 0.004
_DAMAGE: Final = (11, 18, 26)  # SQLITE_CORRUPT, SQLITE_TOOBIG (a length that is none), SQLITE_NOTADB
_ERROR: Final = 1  # SQLITE_ERROR: of all kinds, of which these are ours to call damage
_MISSING: Final = ("no such table", "no such column", "has no column")
# A long walk gives others a turn: after so many seconds of holding the lock it stays away for one longer than _POLL.
_TURN: Final = 0.2
_GAP: Final = 0.01

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS lease (id TEXT PRIMARY KEY, pid INTEGER NOT NULL, created INTEGER NOT NULL,
    started REAL NOT NULL, logon TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS lease_grant (lease TEXT NOT NULL, sid TEXT NOT NULL, PRIMARY KEY (lease, sid));
CREATE TABLE IF NOT EXISTS grants (sid TEXT PRIMARY KEY, object TEXT NOT NULL, path TEXT NOT NULL,
    exclusions TEXT NOT NULL, state TEXT NOT NULL, keep TEXT NOT NULL, low INTEGER NOT NULL,
    objects INTEGER NOT NULL DEFAULT 0, errors INTEGER NOT NULL DEFAULT 0, made REAL NOT NULL, used REAL NOT NULL,
    pid INTEGER NOT NULL DEFAULT 0, created INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS place (sid TEXT NOT NULL, object TEXT NOT NULL, kind TEXT NOT NULL, path TEXT NOT NULL,
    directory INTEGER NOT NULL, link INTEGER NOT NULL, done INTEGER NOT NULL, PRIMARY KEY (sid, object, kind));
CREATE INDEX IF NOT EXISTS place_object ON place (object);
CREATE TABLE IF NOT EXISTS guard (object TEXT NOT NULL, kind TEXT NOT NULL, logon TEXT NOT NULL, done INTEGER NOT NULL,
    PRIMARY KEY (object, kind, logon));
CREATE TABLE IF NOT EXISTS logon (sid TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS placeholder (path TEXT PRIMARY KEY, sid TEXT NOT NULL, object TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS label (object TEXT NOT NULL, sid TEXT NOT NULL, path TEXT NOT NULL, prior BLOB NOT NULL,
    level INTEGER NOT NULL, PRIMARY KEY (object, sid)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS seen (sid TEXT NOT NULL, object TEXT NOT NULL, state BLOB NOT NULL,
    PRIMARY KEY (sid, object));
CREATE TABLE IF NOT EXISTS nested (sid TEXT NOT NULL, path TEXT NOT NULL, PRIMARY KEY (sid, path));
CREATE TABLE IF NOT EXISTS scratch (name TEXT PRIMARY KEY, pid INTEGER NOT NULL, created INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS proof (key TEXT PRIMARY KEY, data TEXT NOT NULL, at REAL NOT NULL);
"""

_REBUILD: Final = (
    f"Call grants.rebuild([your workspaces]) (python -P -m {__package__} recover --rebuild ROOT...): it sets this "
    "ledger aside, makes a new one and lists in it the grants that it finds on disk."
)


class Database:
    """An open ledger. Thread-safe. Everything but ``close`` raises LedgerError when it is damaged or stays locked."""

    def __init__(self, host: Host, path: str, *, timeout: float = LOCK_TIMEOUT, used: bool = False) -> None:
        """Open it, or make it. `used`: there was one here before (see _installation), so an empty one has been lost."""
        self.host = host
        self.path = path
        self._used = used
        self._timeout = timeout
        self._lock = threading.RLock()
        self._depth = 0
        self._held = 0.0
        self._closed = False
        # A module that every `import` of the package would load costs; the connection's errors are needed here only.
        import sqlite3

        self._errors: type[sqlite3.Error] = sqlite3.Error
        try:
            self._db = host.files.database(path)
        except sqlite3.Error as error:
            raise self._damaged(error) from error
        try:
            self._prepare()
        except BaseException:
            self.close()
            raise

    # -- opening ----------------------------------------------------------------------------------------------------

    def _prepare(self) -> None:
        self.run("PRAGMA journal_mode=PERSIST")
        # Rows must be on the disk before the ACEs they announce. A simulated machine loses its power in memory only.
        simulated = self.host.capabilities().kind == "simulated"
        self.run("PRAGMA synchronous=OFF" if simulated else "PRAGMA synchronous=FULL")
        application = self.run("PRAGMA application_id")[0][0]
        version = self.run("PRAGMA user_version")[0][0]
        if (application, version) == (_APPLICATION, MAJOR) and self.run("SELECT 1 FROM meta WHERE key='secret'"):
            if self.run("SELECT count(*) FROM sqlite_master WHERE name IN ('seen', 'nested')")[0][0] < 2:
                self._make_tables()  # made by an older copy, which needs no tables that came later
            return
        with self.transaction():
            application = self.run("PRAGMA application_id")[0][0]
            version = self.run("PRAGMA user_version")[0][0]
            tables = self.run("SELECT count(*) FROM sqlite_master")[0][0]
            if application != _APPLICATION and tables:
                if self._used:
                    raise self._damaged("its first page is not ours")
                raise LedgerError(
                    f"{self.path} is a database of another program.",
                    remedy="Move it away, or name another state directory.",
                    code="ledger.foreign",
                )
            if version > MAJOR:
                raise LedgerError(
                    f"the ledger {self.path} was written by a newer version (schema {version}; "
                    f"this one knows {MAJOR}).",
                    remedy="Use that version, or name another state directory.",
                    code="ledger.newer",
                )
            if not tables and self._used:
                # Emptied, or deleted and made anew by our own opening of it. A ledger that was never finished is empty
                # too, but then nothing beside it says that there was one.
                raise self.lost()
            self._make_tables()
            # Made with the tables, in one transaction: a crash leaves both or neither. A ledger that has rows but no
            # secret lost it, and a new one would give every root another SID: never silently.
            if not self.run("SELECT 1 FROM meta WHERE key='secret'"):
                if self._used or self.run("SELECT 1 FROM grants LIMIT 1"):
                    raise self.lost_secret("is missing")
                secret = self.host.processes.random(32)
                self._put_secret(secret)
            self.run(f"PRAGMA application_id={_APPLICATION}")
            self.run(f"PRAGMA user_version={MAJOR}")

    def _make_tables(self) -> None:
        with self.transaction():
            for statement in filter(str.strip, _SCHEMA.split(";")):
                self.run(statement)

    def _put_secret(self, secret: bytes) -> None:
        self.run(
            "INSERT OR REPLACE INTO meta VALUES ('secret', ?), ('secret-check', ?)",
            (secret, hashlib.sha256(b"winsandbox secret" + secret).digest()),
        )

    def secret(self) -> bytes:
        """The installation's secret: 32 random bytes, made once. LedgerError when it is damaged; never made anew."""
        found = dict(self.run("SELECT key, value FROM meta WHERE key IN ('secret', 'secret-check')"))
        secret, check = found.get("secret"), found.get("secret-check")
        if not isinstance(secret, bytes) or not isinstance(check, bytes) or len(secret) != 32:
            raise self.lost_secret("is missing")
        if not hmac.compare_digest(hashlib.sha256(b"winsandbox secret" + secret).digest(), check):
            raise self.lost_secret("is damaged")
        return secret

    def lost_secret(self, what: str) -> LedgerError:
        """The error for a secret that is not the one under which what lies on disk was made."""
        return LedgerError(
            f"the secret in {self.path} {what}; a new one would give every root a new SID and orphan the old ACEs.",
            remedy=_REBUILD,
            code="ledger.secret",
        )

    def lost(self) -> LedgerError:
        """The error for a ledger that was there once."""
        return LedgerError(
            f"the ledger {self.path} was emptied or deleted; what it listed may still lie on disk, and a new one would "
            "neither list it nor give any root the SID that it had.",
            remedy="Put the file back if you have it. Else: " + _REBUILD,
            code="ledger.lost",
        )

    def _damaged(self, error: object) -> LedgerError:
        return LedgerError(
            f"the ledger {self.path} cannot be read: {error}.",
            remedy="Nothing was changed. " + _REBUILD,
            code="ledger.damaged",
        )

    def _broken(self, error: Exception, code: int | None) -> LedgerError:
        missing = code == _ERROR and any(words in str(error) for words in _MISSING)
        return self._damaged(error) if code is None or code & 0xFF in _DAMAGE or missing else self._io(error)

    def _io(self, error: Exception) -> LedgerError:
        return LedgerError(
            f"the ledger {self.path} cannot be used: {error}.",
            remedy="Nothing was changed. Look at the free space of the disk and at your rights to that directory.",
            code="ledger.io",
        )

    def close(self) -> None:
        """Close the database; a second call does nothing."""
        self._closed = True
        try:
            self._db.close()
        except (AttributeError, self._errors):  # never opened; or a statement of another thread is still running
            return

    # -- the lock ---------------------------------------------------------------------------------------------------

    def _clock(self) -> float:
        return self.host.processes.clock()

    def run(self, sql: str, values: Sequence[object] = ()) -> list[Any]:
        """One statement, waiting (bounded) while others write."""
        with self._lock:
            return self._waiting(lambda: self._db.execute(sql, values).fetchall())

    def _waiting(self, action: Callable[[], list[Any]]) -> list[Any]:
        begun, slept = self._clock(), 0.0
        while True:
            try:
                return action()
            except self._errors as error:
                code = getattr(error, "sqlite_errorcode", None)
                if self._closed:
                    raise LedgerError("the ledger was closed.", code="ledger.closed") from error
                if code is None or code & 0xFF not in (5, 6):  # SQLITE_BUSY, SQLITE_LOCKED with their extended forms
                    raise self._broken(error, code) from error
                # Both clocks: a simulated one stands still while this thread sleeps.
                if max(self._clock() - begun, slept) >= self._timeout:
                    raise LedgerError(
                        f"the ledger {self.path} stayed locked for {self._timeout:g} seconds{self._holder()}.",
                        remedy="Nothing was done. Try again when that process is done, or end it.",
                        code="ledger.locked",
                    ) from error
            time.sleep(_POLL)
            slept += _POLL

    def _holder(self) -> str:
        """Who may hold the lock, as far as the leases tell (reading is still possible in most cases)."""
        me = self.host.processes.current().pid
        try:
            pids = sorted({row[0] for row in self._db.execute("SELECT pid FROM lease") if row[0] != me})
        except self._errors:
            return ""
        return f"; processes with leases: {', '.join(map(str, pids))}" if pids else ""

    def _begin(self) -> list[Any]:
        self._roll_back()  # of a second Ctrl+C, in the middle of a rollback
        return self._db.execute("BEGIN IMMEDIATE").fetchall()

    def _roll_back(self) -> None:
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Alone: no other thread and no other process changes the ledger, or a descriptor, meanwhile. Nests.

        What is written is certain when the outermost block has ended; an exception there takes all of it back.
        """
        pause = False
        with self._lock:
            if self._depth:
                yield
                return
            try:
                # Inside: Ctrl+C may come right behind it, and a transaction that nobody ends keeps everybody out.
                self._waiting(self._begin)
                begun = self._clock()
                self._depth = 1
                yield
                self._waiting(lambda: self._db.execute("COMMIT").fetchall())
            except BaseException:
                # Whatever was wrong: if even this fails, the connection is gone and the transaction with it.
                with suppress(self._errors):
                    self._roll_back()
                raise
            finally:
                self._depth = 0
            self._held += self._clock() - begun
            if self._held > _TURN:
                self._held, pause = 0.0, True
        if pause:
            time.sleep(_GAP)
