"""Make the ledger anew: from what can still be read of the old one, and from the entries that lie on disk.

A damaged ledger is never repaired in place. SQLite's own check and the reading of every row decide; then each row that
is whole is taken over, the old file is kept beside under another name, and the paths that it knew are looked through
together with those that were asked for. What was taken over is listed as partial, so that ``recover`` and ``forget``
take it off the disk: under the new secret no sandbox will use it again.
"""

from __future__ import annotations

import ntpath
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeVar

from . import _installation, _rows
from ._edits import NO_LABEL
from ._host import FileId, Host, ProcessId
from ._ledger import NAME, GrantRow, LabelRow, PlaceRow
from ._paths import is_at_or_below
from ._scan import Scan, scan_tree
from ._security.sid import Sid
from ._security.token import LOW
from ._state import State, open_directory
from .errors import AclError, LedgerError

if TYPE_CHECKING:
    import sqlite3

    from ._walk import Counter

T = TypeVar("T")
_NOBODY: Final = ProcessId(0, 0)
DAMAGE: Final = ("ledger.damaged", "ledger.secret", "ledger.lost")


@dataclass(slots=True)
class Salvage:
    """The rows of a damaged ledger that are whole."""

    grants: list[GrantRow] = field(default_factory=list)
    places: list[PlaceRow] = field(default_factory=list)
    labels: list[LabelRow] = field(default_factory=list)
    placeholders: list[tuple[str, Sid, FileId | None]] = field(default_factory=list)
    logons: list[Sid] = field(default_factory=list)


def rebuild(host: Host, place: str, starts: Sequence[str], counter: Counter) -> tuple[State, tuple[str, ...]]:
    """The state with a ledger that lists all that was found, and what the user should know. Close the state.

    Raises:
        LedgerError: another process keeps the damaged ledger open; or it is damaged in no way that this mends.
        AclError: cancelled, or out of time. The next call begins anew; until one has ended, nothing else goes on.
    """
    notes: list[str] = []
    old = Salvage()
    try:
        state, anew = _sound(host, place), False
    except LedgerError as error:
        if error.code not in DAMAGE:
            raise
        old = _set_aside(host, place, notes)
        state, anew = State.open(host, place, rebuilding=True), True
    try:
        _take_over(state, old)
        known = {str(row.sid) for row in state.ledger.grants()} if not anew else set()
        for start in _paths(host, starts, old):
            try:
                found = scan_tree(host, start, [], counter, max_objects=None)
            except OSError as error:
                if isinstance(error, AclError) or start in starts:
                    raise
                notes.append(f"{start}, which the old ledger knew, cannot be looked through: {error}")
                continue
            if found.cut is not None:
                raise found.cut
            _enter(state, found, known)
            notes.append(f"looked through: {found.path}, {found.objects} objects")
            if found.errors.count:
                notes.append(
                    f"{found.errors.count} objects below {found.path} could not be read, the first: "
                    f"{found.errors.items[0].path}; what lies there may carry entries that are in no list"
                )
        if anew:
            state.confirm_rebuilt()
    except BaseException:
        state.close()
        raise
    return state, tuple(notes)


def _sound(host: Host, place: str) -> State:
    state = State.open(host, place)
    try:
        state.ledger.verify()
    except BaseException:
        state.close()
        raise
    return state


def _set_aside(host: Host, place: str, notes: list[str]) -> Salvage:
    with host.tokens.current() as token:
        user = host.tokens.inspect(token).token.user
    with open_directory(host, place, user) as directory:
        real = host.files.final_path(directory)
        old = salvage(host, ntpath.join(real, NAME))
        copy = _installation.set_aside(host, directory, real)
    if copy is not None:
        notes.append(f"the old ledger is kept as {copy}; {len(old.grants)} grants could be read in it")
    return old


def salvage(host: Host, path: str) -> Salvage:
    """Read what can be read; changes nothing."""
    import sqlite3

    found = Salvage()
    if host.files.query(path) is None:
        return found
    try:
        database = host.files.database(path)
    except sqlite3.Error:
        return found
    try:
        # A text that is none comes back as bytes, which no reader takes for text: this row is lost, and no other.
        database.text_factory = _text
        _read(database, _rows.GRANTS, _rows.grant, found.grants)
        _read(database, _rows.PLACES, _rows.place, found.places)
        _read(database, _rows.LABELS, _rows.label, found.labels)
        _read(database, _rows.PLACEHOLDERS, _rows.placeholder, found.placeholders)
        _read(database, _rows.LOGONS, lambda row: _rows.sid(row[0]), found.logons)
    finally:
        database.close()
    return found


def _text(raw: bytes) -> str | bytes:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw


def _read(database: sqlite3.Connection, query: str, reader: Callable[[Sequence[Any]], T], into: list[T]) -> None:
    # Up to the page that cannot be read.
    with suppress(database.Error, MemoryError):
        for row in database.execute(query):
            with suppress(ValueError):
                into.append(reader(row))


def _paths(host: Host, starts: Sequence[str], old: Salvage) -> list[str]:
    """What was asked for, and the roots that the old ledger knew, as far as they are still there; each once."""
    paths = list(starts)
    for row in old.grants:
        if not any(is_at_or_below(row.path, path) for path in paths):
            with suppress(OSError):
                if host.files.query(row.path) is not None:
                    paths.append(row.path)
    return paths


def _take_over(state: State, old: Salvage) -> None:
    ledger = state.ledger
    sids = {row.sid for row in old.grants}
    with ledger.transaction():
        for row in old.grants:
            begun = row.state in ("applying", "complete")
            ledger.put_grant(row._replace(state="applying" if begun else "removing", process=_NOBODY))
        for place in old.places:
            if place.sid in sids:
                ledger.put_place(place._replace(done=False))
        for label in old.labels:
            if Sid.parse(label.sid) in sids:
                ledger.put_label(label)
        for path, sid, identity in old.placeholders:
            if sid in sids:
                ledger.put_placeholder(path, sid, identity)
        for logon in old.logons:
            ledger.add_logon(str(logon))


def _enter(state: State, found: Scan, known: set[str]) -> None:
    """List what a scan found of grants that are not in `known`."""
    ledger = state.ledger
    with ledger.transaction():
        for logon in found.logons:
            ledger.add_logon(logon)
        for row in found.grants(state.ledger.host):
            if str(row.sid) in known:
                continue
            if ledger.grant(row.sid) is None:
                ledger.put_grant(row)
            noted = {(place.object, place.kind) for place in ledger.places(row.sid)}
            for place in found.places(row.sid):
                if (place.object, place.kind) not in noted:
                    ledger.put_place(place)
            if row.low and not any(label.sid == str(row.sid) for label in ledger.labels(row.object)):
                # What it had before is not known: most objects have none.
                ledger.put_label(LabelRow(row.object, str(row.sid), row.path, NO_LABEL, LOW))
