"""The tables of the ledger: leases, grants, protected places, guards, labels, private directories, proofs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any, Final, TypeVar

from . import _rows
from ._database import MAJOR, NAME, Database
from ._host import FileId, ProcessId
from ._rows import GrantRow, Keep, Kind, LabelRow, Lease, PlaceRow, State
from ._security.sid import Sid

__all__ = ["MAJOR", "NAME", "GrantRow", "Keep", "Kind", "LabelRow", "Lease", "Ledger", "PlaceRow", "State"]

T = TypeVar("T")
_GHOSTS: Final = 3
_PUT_GRANT: Final = (
    "INSERT OR REPLACE INTO grants "
    "(sid, object, path, exclusions, state, keep, low, objects, errors, made, used, pid, created) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)


class Ledger(Database):
    """An open ledger. Thread-safe. Everything but ``close`` raises LedgerError when it is damaged or stays locked."""

    def read(self, sql: str, values: Sequence[object], reader: Callable[[Sequence[Any]], T]) -> list[T]:
        """The rows of a query, each through `reader`, whose ValueError is the damage of the ledger that it found."""
        rows = self.run(sql, values)
        try:
            return [reader(row) for row in rows]
        except ValueError as error:
            raise self._damaged(error) from error

    def verify(self) -> None:
        """Raise LedgerError (``ledger.damaged``) unless SQLite finds all in order and every row can be read."""
        with self.transaction():
            found = self.run("PRAGMA integrity_check(1)")
            if found != [("ok",)]:
                raise self._damaged("; ".join(str(row[0]) for row in found))
            for query, reader in _rows.READERS.items():
                self.read(query, (), reader)
            self.run("SELECT key, data, at FROM proof")

    # -- leases -----------------------------------------------------------------------------------------------------

    def add_lease(self, lease: str, logon: str, sids: Iterable[Sid]) -> None:
        me = self.host.processes.current()
        now = self.host.processes.time()
        with self.transaction():
            self.run("INSERT INTO lease VALUES (?, ?, ?, ?, ?)", (lease, me.pid, me.created, now, logon))
            for sid in sids:
                self.run("INSERT OR IGNORE INTO lease_grant VALUES (?, ?)", (lease, str(sid)))

    def drop_lease(self, lease: str) -> None:
        with self.transaction():
            self.run("DELETE FROM lease WHERE id=?", (lease,))
            self.run("DELETE FROM lease_grant WHERE lease=?", (lease,))

    def leases(self, sid: Sid | None = None) -> list[Lease]:
        """The leases of processes that still run; those of dead ones are dropped on the way."""
        with self.transaction():
            found: list[Lease] = []
            for lease in self.read(_rows.LEASES + " ORDER BY started, id", (), _rows.lease):
                if not self.host.processes.alive(lease.process):
                    self.drop_lease(lease.id)
                    continue
                sids = tuple(self.read("SELECT sid FROM lease_grant WHERE lease=?", (lease.id,), _sid_text))
                if sid is None or str(sid) in sids:
                    found.append(lease._replace(sids=sids))
            return found

    # -- grants -----------------------------------------------------------------------------------------------------

    def grants(self) -> list[GrantRow]:
        return self.read(_rows.GRANTS + " ORDER BY path, made, sid", (), _rows.grant)

    def grant(self, sid: Sid) -> GrantRow | None:
        rows = self.read(_rows.GRANTS + " WHERE sid=?", (str(sid),), _rows.grant)
        return rows[0] if rows else None

    def put_grant(self, row: GrantRow) -> None:
        values = (
            str(row.sid),
            str(row.object),
            row.path,
            "\n".join(row.exclusions),
            row.state,
            row.keep,
            int(row.low),
            row.objects,
            row.errors,
            row.made,
            row.used,
            row.process.pid,
            row.process.created,
        )
        self.run(_PUT_GRANT, values)

    def drop_grant(self, sid: Sid) -> None:
        """The grant and all that was noted for it; guards go with the last grant that has their place."""
        text = str(sid)
        with self.transaction():
            self.run("DELETE FROM grants WHERE sid=?", (text,))
            self.run("DELETE FROM place WHERE sid=?", (text,))
            self.run("DELETE FROM placeholder WHERE sid=?", (text,))
            self.run("DELETE FROM seen WHERE sid=?", (text,))
            self.run("DELETE FROM nested WHERE sid=?", (text,))
            self.run("DELETE FROM label WHERE sid=?", (text,))
            self.drop_guards_without_place()
            if not self.run("SELECT 1 FROM grants LIMIT 1"):
                self.run("DELETE FROM logon")

    # -- protected places, guards, placeholders -----------------------------------------------------------------------

    def places(self, sid: Sid) -> list[PlaceRow]:
        return self.read(_rows.PLACES + " WHERE sid=?", (str(sid),), _rows.place)

    def put_place(self, row: PlaceRow) -> None:
        values = (str(row.sid), str(row.object), row.kind, row.path, row.directory, row.link, row.done)
        self.run("INSERT OR REPLACE INTO place VALUES (?, ?, ?, ?, ?, ?, ?)", values)

    def drop_ghosts(self, places: Iterable[PlaceRow]) -> None:
        """Drop what was noted for earlier objects under the paths of these places: a repository that was made anew.

        The latest few stay. Such an object may live on under another name, and by its row a removal knows that the
        guards in it are ours; those of a forgotten one die with the logon session.
        """
        for place in places:
            older = self.read(
                _rows.PLACES + " WHERE sid=? AND kind=? AND path=? AND object<>? ORDER BY rowid DESC",
                (str(place.sid), place.kind, place.path, str(place.object)),
                _rows.place,
            )
            for ghost in older[_GHOSTS:]:
                values = (str(ghost.sid), str(ghost.object))
                self.run("DELETE FROM place WHERE sid=? AND object=? AND kind=?", (*values, ghost.kind))
                self.run("DELETE FROM seen WHERE sid=? AND object=?", values)
        self.drop_guards_without_place()

    def seen(self, place: PlaceRow) -> bytes:
        """The ``_fingerprint`` of a place when all in it had passed the check; b"" where none is known."""
        values = (str(place.sid), str(place.object))
        rows = self.read(_rows.SEEN + " WHERE sid=? AND object=?", values, _rows.seen)
        return rows[0][2] if rows else b""

    def put_seen(self, place: PlaceRow, state: bytes) -> None:
        values = (str(place.sid), str(place.object), state)
        self.run("INSERT OR REPLACE INTO seen VALUES (?, ?, ?)", values)

    def nested(self, sid: Sid) -> list[str]:
        """Repositories deeper in the root that the last walk of all of it met; the first ones if there were many."""
        return [row[1] for row in self.read(_rows.NESTED + " WHERE sid=? ORDER BY path", (str(sid),), _rows.nested)]

    def put_nested(self, sid: Sid, paths: Iterable[str]) -> None:
        with self.transaction():
            self.run("DELETE FROM nested WHERE sid=?", (str(sid),))
            for path in paths:
                self.run("INSERT OR IGNORE INTO nested VALUES (?, ?)", (str(sid), path))

    def needed_by_others(self, sid: Sid) -> tuple[dict[FileId, str], set[FileId], bool]:
        """What grants other than `sid`, and not being removed, have: (protected place -> path, between, any low)."""
        rows = self.read(
            "SELECT place.object, kind, place.path FROM place JOIN grants USING (sid) "
            "WHERE sid<>? AND state<>'removing'",
            (str(sid),),
            lambda row: (_rows.object_id(row[0]), _rows.kind(row[1]), _rows.path(row[2])),
        )
        protected = {object_: path for object_, kind, path in rows if kind == "protected"}
        between = {object_ for object_, kind, _ in rows if kind == "between"}
        low = self.run("SELECT 1 FROM grants WHERE sid<>? AND low=1 AND state<>'removing' LIMIT 1", (str(sid),))
        return protected, between, bool(low)

    def add_logon(self, logon: str) -> None:
        self.run("INSERT OR IGNORE INTO logon VALUES (?)", (logon,))

    def protected_paths(self) -> list[tuple[str, str]]:
        """(grant's SID, path) of every protected place."""
        return self.read(
            "SELECT sid, path FROM place WHERE kind='protected'",
            (),
            lambda row: (_rows.sid_text(row[0]), _rows.path(row[1])),
        )

    def heir(self, object_: FileId, sid: Sid) -> Sid | None:
        """Another grant that protects this place too."""
        rows = self.read(
            "SELECT sid FROM place JOIN grants USING (sid) WHERE place.object=? AND kind='protected' AND sid<>? "
            "AND state<>'removing' LIMIT 1",
            (str(object_), str(sid)),
            lambda row: _rows.sid(row[0]),
        )
        return rows[0] if rows else None

    def logons(self) -> list[str]:
        """The logon sessions that guards were ever placed for."""
        return self.read(_rows.LOGONS, (), _sid_text)

    def guards(self, place: PlaceRow) -> dict[str, bool]:
        """Logon SID -> whether the guard is on disk in full, for one place."""
        values = (str(place.object), place.kind)
        rows = self.read(_rows.GUARDS + " WHERE object=? AND kind=?", values, _rows.guard)
        return {logon: done for _, _, logon, done in rows}

    def put_guard(self, place: PlaceRow, logon: str, *, done: bool) -> None:
        self.add_logon(logon)
        self.run("INSERT OR REPLACE INTO guard VALUES (?, ?, ?, ?)", (str(place.object), place.kind, logon, done))

    def drop_guard(self, place: PlaceRow, logon: str) -> None:
        self.run("DELETE FROM guard WHERE object=? AND kind=? AND logon=?", (str(place.object), place.kind, logon))

    def drop_guards_without_place(self) -> None:
        self.run(
            "DELETE FROM guard WHERE NOT EXISTS "
            "(SELECT 1 FROM place WHERE place.object=guard.object AND place.kind=guard.kind)"
        )

    def placeholders(self, sid: Sid) -> list[tuple[str, FileId | None]]:
        """Empty directories that we made for `sid`: (path, identity or None where a crash kept it from being noted)."""
        rows = self.read(_rows.PLACEHOLDERS + " WHERE sid=?", (str(sid),), _rows.placeholder)
        return [(path, object_) for path, _, object_ in rows]

    def put_placeholder(self, path: str, sid: Sid, object_: FileId | None) -> None:
        """Before it is made (None), and after."""
        noted = "" if object_ is None else str(object_)
        self.run("INSERT OR REPLACE INTO placeholder VALUES (?, ?, ?)", (path, str(sid), noted))

    def drop_placeholder(self, path: str) -> None:
        self.run("DELETE FROM placeholder WHERE path=?", (path,))

    # -- labels -----------------------------------------------------------------------------------------------------

    def labels(self, object_: FileId) -> list[LabelRow]:
        return self.read(_rows.LABELS + " WHERE object=?", (str(object_),), _rows.label)

    def labels_of(self, sid: Sid) -> int:
        return int(self.run("SELECT count(*) FROM label WHERE sid=?", (str(sid),))[0][0])

    def put_label(self, row: LabelRow) -> None:
        values = (str(row.object), row.sid, row.path, row.prior, row.level)
        self.run("INSERT OR REPLACE INTO label VALUES (?, ?, ?, ?, ?)", values)

    def drop_label(self, object_: FileId, sid: Sid) -> None:
        self.run("DELETE FROM label WHERE object=? AND sid=?", (str(object_), str(sid)))

    # -- scratch directories, proofs ----------------------------------------------------------------------------------

    def add_scratch(self, name: str) -> None:
        me = self.host.processes.current()
        self.run("INSERT INTO scratch VALUES (?, ?, ?)", (name, me.pid, me.created))

    def drop_scratch(self, name: str) -> None:
        self.run("DELETE FROM scratch WHERE name=?", (name,))

    def scratches(self) -> list[tuple[str, ProcessId]]:
        return self.read(_rows.SCRATCH, (), _rows.scratch)

    def put_proof(self, key: str, data: str) -> None:
        """Keep what a proof found (JSON text) under `key`, with the time."""
        with self.transaction():
            self.run("INSERT OR REPLACE INTO proof VALUES (?, ?, ?)", (key, data, self.host.processes.time()))

    def proofs(self) -> dict[str, tuple[str, float]]:
        """Key -> (JSON text, seconds since the epoch). What cannot be read proves nothing, and is left out."""
        found: dict[str, tuple[str, float]] = {}
        for key, data, at in self.run("SELECT key, data, at FROM proof"):
            with suppress(ValueError):
                found[_rows.text(key)] = _rows.text(data), _rows.seconds(at)
        return found


def _sid_text(row: Sequence[Any]) -> str:
    return _rows.sid_text(row[0])
