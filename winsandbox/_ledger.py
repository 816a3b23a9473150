"""The rows of the ledger: leases, grants, protected places, guards, labels, private directories, proofs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, Literal, NamedTuple

from ._database import MAJOR, NAME, Database
from ._host import FileId, ProcessId
from ._security.sid import Sid

__all__ = ["MAJOR", "NAME", "GrantRow", "Keep", "Kind", "LabelRow", "Lease", "Ledger", "PlaceRow", "State"]

# applying: begun, perhaps partly on disk. complete. removing: a process takes it off the disk. kept denies: forgotten
# by force under a running sandbox: its allows are gone, its denies go when that sandbox has ended.
State = Literal["applying", "complete", "removing", "kept denies"]
Keep = Literal["forever", "session"]
Kind = Literal["protected", "between"]


class GrantRow(NamedTuple):
    """One grant. ``process`` is the one that removes it, where the state says so; times are seconds since the epoch."""

    sid: Sid
    object: FileId
    path: str
    exclusions: tuple[str, ...]
    state: State
    keep: Keep
    low: bool
    objects: int
    errors: int
    made: float
    used: float
    process: ProcessId


class PlaceRow(NamedTuple):
    """A protected place of a grant, or a directory between it and the root. ``done``: its denies are on disk."""

    sid: Sid
    object: FileId
    kind: Kind
    path: str
    directory: bool
    link: bool
    done: bool


class Lease(NamedTuple):
    """A running sandbox: its process, its logon session and the grants in its token."""

    id: str
    process: ProcessId
    started: float
    logon: str
    sids: tuple[str, ...]


class LabelRow(NamedTuple):
    """The label that an object had before ours (``prior``: see _edits.pack_label) and the level that `sid` wants."""

    object: FileId
    sid: str
    path: str
    prior: bytes
    level: int


def parse_object(text: str) -> FileId:
    volume, _, file = text.partition(":")
    return FileId(int(volume, 16), int(file, 16))


class Ledger(Database):
    """An open ledger. Thread-safe. Everything but ``close`` raises LedgerError when it is damaged or stays locked."""

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
            for name, pid, created, started, logon in self.run("SELECT * FROM lease ORDER BY started, id"):
                process = ProcessId(pid, created)
                if not self.host.processes.alive(process):
                    self.drop_lease(name)
                    continue
                sids = tuple(row[0] for row in self.run("SELECT sid FROM lease_grant WHERE lease=?", (name,)))
                if sid is None or str(sid) in sids:
                    found.append(Lease(name, process, started, logon, sids))
            return found

    # -- grants -----------------------------------------------------------------------------------------------------

    def grants(self) -> list[GrantRow]:
        return [_grant(row) for row in self.run(_ALL_GRANTS)]

    def grant(self, sid: Sid) -> GrantRow | None:
        rows = self.run(_ONE_GRANT, (str(sid),))
        return _grant(rows[0]) if rows else None

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
        rows = self.run("SELECT sid, object, kind, path, directory, link, done FROM place WHERE sid=?", (str(sid),))
        return [
            PlaceRow(Sid.parse(row[0]), parse_object(row[1]), row[2], row[3], bool(row[4]), bool(row[5]), bool(row[6]))
            for row in rows
        ]

    def put_place(self, row: PlaceRow) -> None:
        values = (str(row.sid), str(row.object), row.kind, row.path, row.directory, row.link, row.done)
        self.run("INSERT OR REPLACE INTO place VALUES (?, ?, ?, ?, ?, ?, ?)", values)

    def drop_place(self, row: PlaceRow) -> None:
        self.run("DELETE FROM place WHERE sid=? AND object=? AND kind=?", (str(row.sid), str(row.object), row.kind))

    def seen(self, place: PlaceRow) -> bytes:
        """The ``_fingerprint`` of a place when all in it had passed the check; b"" where none is known."""
        rows = self.run("SELECT state FROM seen WHERE sid=? AND object=?", (str(place.sid), str(place.object)))
        return bytes(rows[0][0]) if rows else b""

    def put_seen(self, place: PlaceRow, state: bytes) -> None:
        values = (str(place.sid), str(place.object), state)
        self.run("INSERT OR REPLACE INTO seen VALUES (?, ?, ?)", values)

    def nested(self, sid: Sid) -> list[str]:
        """Repositories deeper in the root that the last walk of all of it met; the first ones if there were many."""
        return [row[0] for row in self.run("SELECT path FROM nested WHERE sid=? ORDER BY path", (str(sid),))]

    def put_nested(self, sid: Sid, paths: Iterable[str]) -> None:
        with self.transaction():
            self.run("DELETE FROM nested WHERE sid=?", (str(sid),))
            for path in paths:
                self.run("INSERT OR IGNORE INTO nested VALUES (?, ?)", (str(sid), path))

    def needed_by_others(self, sid: Sid) -> tuple[dict[FileId, str], set[FileId], bool]:
        """What grants other than `sid`, and not being removed, have: (protected place -> path, between, any low)."""
        rows = self.run(
            "SELECT place.object, kind, place.path FROM place JOIN grants USING (sid) "
            "WHERE sid<>? AND state<>'removing'",
            (str(sid),),
        )
        protected = {parse_object(row[0]): str(row[2]) for row in rows if row[1] == "protected"}
        between = {parse_object(row[0]) for row in rows if row[1] == "between"}
        low = self.run("SELECT 1 FROM grants WHERE sid<>? AND low=1 AND state<>'removing' LIMIT 1", (str(sid),))
        return protected, between, bool(low)

    def add_logon(self, logon: str) -> None:
        self.run("INSERT OR IGNORE INTO logon VALUES (?)", (logon,))

    def protected_paths(self) -> list[tuple[str, str]]:
        """(grant's SID, path) of every protected place."""
        return [(row[0], row[1]) for row in self.run("SELECT sid, path FROM place WHERE kind='protected'")]

    def heir(self, object_: FileId, sid: Sid) -> Sid | None:
        """Another grant that protects this place too."""
        rows = self.run(
            "SELECT sid FROM place JOIN grants USING (sid) WHERE place.object=? AND kind='protected' AND sid<>? "
            "AND state<>'removing' LIMIT 1",
            (str(object_), str(sid)),
        )
        return Sid.parse(rows[0][0]) if rows else None

    def logons(self) -> list[str]:
        """The logon sessions that guards were ever placed for."""
        return [row[0] for row in self.run("SELECT sid FROM logon")]

    def guards(self, place: PlaceRow) -> dict[str, bool]:
        """Logon SID -> whether the guard is on disk in full, for one place."""
        rows = self.run("SELECT logon, done FROM guard WHERE object=? AND kind=?", (str(place.object), place.kind))
        return {logon: bool(done) for logon, done in rows}

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
        rows = self.run("SELECT path, object FROM placeholder WHERE sid=?", (str(sid),))
        return [(path, parse_object(object_) if object_ else None) for path, object_ in rows]

    def put_placeholder(self, path: str, sid: Sid, object_: FileId | None) -> None:
        """Before it is made (None), and after."""
        noted = "" if object_ is None else str(object_)
        self.run("INSERT OR REPLACE INTO placeholder VALUES (?, ?, ?)", (path, str(sid), noted))

    def drop_placeholder(self, path: str) -> None:
        self.run("DELETE FROM placeholder WHERE path=?", (path,))

    # -- labels -----------------------------------------------------------------------------------------------------

    def labels(self, object_: FileId) -> list[LabelRow]:
        rows = self.run("SELECT object, sid, path, prior, level FROM label WHERE object=?", (str(object_),))
        return [LabelRow(object_, row[1], row[2], row[3], row[4]) for row in rows]

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
        return [(name, ProcessId(pid, created)) for name, pid, created in self.run("SELECT * FROM scratch")]

    def put_proof(self, key: str, data: str) -> None:
        """Keep what a proof found (JSON text) under `key`, with the time."""
        with self.transaction():
            self.run("INSERT OR REPLACE INTO proof VALUES (?, ?, ?)", (key, data, self.host.processes.time()))

    def proofs(self) -> dict[str, tuple[str, float]]:
        """Key -> (JSON text, seconds since the epoch)."""
        return {key: (data, at) for key, data, at in self.run("SELECT key, data, at FROM proof")}


_ALL_GRANTS: Final = (
    "SELECT sid, object, path, exclusions, state, keep, low, objects, errors, made, used, pid, created "
    "FROM grants ORDER BY path, made, sid"
)
_ONE_GRANT: Final = (
    "SELECT sid, object, path, exclusions, state, keep, low, objects, errors, made, used, pid, created "
    "FROM grants WHERE sid=?"
)
_PUT_GRANT: Final = (
    "INSERT OR REPLACE INTO grants "
    "(sid, object, path, exclusions, state, keep, low, objects, errors, made, used, pid, created) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)


def _grant(row: Sequence[Any]) -> GrantRow:
    sid, object_, path, exclusions, state, keep, low, objects, errors, made, used, pid, created = row
    return GrantRow(
        Sid.parse(sid),
        parse_object(object_),
        path,
        tuple(filter(None, exclusions.split("\n"))),
        state,
        keep,
        bool(low),
        objects,
        errors,
        made,
        used,
        ProcessId(pid, created),
    )
