"""A ledger that is damaged, emptied, deleted or another one: an error with a way out, never a new secret quietly."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.effort import every
from tests.grants.scenes import ABOVE, ROOT, applied, disk, marked, state_of, workspace
from winsandbox import grants
from winsandbox._ledger import Ledger
from winsandbox._state import State
from winsandbox.enforcement import Aspect
from winsandbox.errors import AclError, LedgerError
from winsandbox.policy import Policy
from winsandbox.sandbox import Sandbox
from winsandbox.testing import SimulatedCrash, SimulatedHost

STATE = r"C:\Users\alice\AppData\Local\winsandbox"
FILE = STATE + r"\ledger-1.sqlite"
MARK = STATE + r"\ledger-mark"
PAGE = 4096


@pytest.fixture
def host() -> Iterator[SimulatedHost]:
    with workspace() as made:
        yield made


def use(host: SimulatedHost, *policies: Policy) -> bytes:
    with state_of(host) as state:
        for policy in policies or (Policy.workspace(ROOT),):
            applied(host, state, policy)[1].close()
        return state.secret()


def statement(host: SimulatedHost, *sql: str) -> None:
    connection = host.files.database(FILE)
    try:
        for one in sql:
            connection.execute(one)
    finally:
        connection.close()


def real_file(host: SimulatedHost) -> Path:
    connection = host.files.database(FILE)
    try:
        return Path(connection.execute("PRAGMA database_list").fetchone()[2])
    finally:
        connection.close()


def code_of(action: Callable[[], object]) -> str:
    with pytest.raises(LedgerError) as caught:
        action()
    assert "rebuild" in caught.value.remedy
    return caught.value.code


def code_or_nothing(action: Callable[[], object]) -> str:
    try:
        action()
    except LedgerError as error:
        return error.code if "rebuild" in error.remedy else f"{error.code}, without a way out"
    return ""


def emptied(host: SimulatedHost) -> None:
    real_file(host).write_bytes(b"")


def deleted(host: SimulatedHost) -> None:
    host.remove(FILE)


def without_tables(host: SimulatedHost) -> None:
    statement(host, *(f"DROP TABLE {name}" for name in tables(host)), "PRAGMA application_id=0")


def tables(host: SimulatedHost) -> list[str]:
    connection = host.files.database(FILE)
    try:
        found = connection.execute("SELECT name FROM sqlite_master WHERE type='table'").fetchall()
    finally:
        connection.close()
    return [row[0] for row in found]


def start(host: SimulatedHost) -> None:
    with Sandbox(Policy.workspace(ROOT), host=host):
        pass


def open_handles(host: SimulatedHost) -> list[str]:
    """But the desktop, which a process keeps."""
    return [name for name in host.open_handles() if "desktop" not in name]


def another(host: SimulatedHost) -> None:
    with State.open(host, r"C:\Users\alice\other"):
        pass
    connection = host.files.database(r"C:\Users\alice\other\ledger-1.sqlite")
    try:
        theirs = Path(connection.execute("PRAGMA database_list").fetchone()[2])
    finally:
        connection.close()
    real_file(host).write_bytes(theirs.read_bytes())


# -- lost ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lose", [emptied, deleted, without_tables, another])
def test_a_lost_ledger_never_gets_a_new_secret_quietly(
    host: SimulatedHost, lose: Callable[[SimulatedHost], None]
) -> None:
    old = use(host)
    lose(host)
    for _ in range(2):  # the first attempt must not make the second one succeed
        for action in (
            lambda: grants.list(host=host),
            lambda: grants.forget_all(host=host),
            lambda: grants.recover(host=host),
            lambda: Sandbox(Policy.workspace(ROOT), host=host).prepare(),
            lambda: Sandbox(Policy.workspace(ROOT), host=host).plan(),
        ):
            assert code_of(action) in ("ledger.lost", "ledger.secret")
    assert [found.path for found in grants.scan(ABOVE, host=host).tops if found.unknown], "looking needs no ledger"
    listed = grants.rebuild([ROOT], host=host)
    assert [record.root for record in listed] == [ROOT]
    grants.forget_all(host=host)
    assert not marked(host)
    assert use(host) != old


def test_a_deleted_state_directory_is_a_first_use(host: SimulatedHost) -> None:
    """The twin: nothing is left that could tell."""
    old = use(host)
    for name in sorted(host.tree(STATE), reverse=True):
        host.remove(f"{STATE}\\{name}" if name else STATE)
    assert use(host) != old


def test_a_ledger_without_a_mark_gets_one(host: SimulatedHost) -> None:
    """A crash came between the two, or an older copy made the ledger."""
    old = use(host)
    for content in (None, b"", bytes(64), b"abc"):
        host.remove(MARK)
        if content is not None:
            host.write_file(MARK, content)
        assert use(host) == old
        assert len(host.read_file(MARK)) == 64
    emptied(host)
    assert code_of(lambda: grants.list(host=host)) == "ledger.lost"


def test_an_unfinished_mark_beside_no_ledger_counts(host: SimulatedHost) -> None:
    use(host)
    host.remove(MARK)
    host.write_file(MARK, b"")
    deleted(host)
    assert code_of(lambda: grants.list(host=host)) == "ledger.lost"


def test_a_crash_at_any_operation_of_the_first_use_is_harmless(host: SimulatedHost) -> None:
    before = host.counts["all"]
    with state_of(host):
        total = host.counts["all"] - before
    for n in every(range(1, total + 1)):
        with workspace() as fresh:
            fresh.crash_at(n)
            with pytest.raises(SimulatedCrash):
                state_of(fresh).ledger.leases()
            after = fresh.restart()
            secret = use(after)
            assert use(after.restart()) == secret
            assert len(after.read_file(MARK)) == 64


# -- damaged ------------------------------------------------------------------------------------------------------

DAMAGES = [
    *(f"DROP TABLE {name}" for name in ("place", "grants", "label", "guard", "lease", "scratch", "meta")),
    "ALTER TABLE place RENAME COLUMN path TO road",
    "UPDATE grants SET sid='garbage'",
    "UPDATE grants SET object='zz'",
    "UPDATE grants SET object='-1:2'",
    "UPDATE grants SET path='..'",
    "UPDATE grants SET exclusions=x'ff'",
    "UPDATE grants SET state='done'",
    "UPDATE grants SET keep=7",
    "UPDATE grants SET low=2",
    "UPDATE grants SET used='never'",
    "UPDATE grants SET pid='x'",
    "UPDATE place SET object='zz'||object",
    "UPDATE place SET sid=x'00'",
    "UPDATE place SET kind='other'",
    "UPDATE seen SET state='text'",
    "UPDATE logon SET sid='garbage'",
    "UPDATE guard SET done='x'",
    "UPDATE placeholder SET object='zz'",
    "INSERT INTO lease VALUES ('one', 'pid', 0, 0, '')",
    "INSERT INTO scratch VALUES ('one', 'pid', 0)",
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_whatever_is_wrong_is_damage_and_a_rebuild_goes_on(host: SimulatedHost, damage: str) -> None:
    original = disk(host)
    use(host)
    statement(host, damage)
    codes = set()
    for action in (
        lambda: grants.list(host=host),
        lambda: start(host),
        lambda: grants.forget_all(host=host),
        lambda: grants.recover(host=host),
    ):
        codes.add(code_or_nothing(action))
    # Not each of them reads what is wrong; whatever does gives the one documented error, before it changes anything.
    assert "ledger.damaged" in codes
    assert codes <= {"", "ledger.damaged"}
    assert not open_handles(host)
    grants.rebuild([ROOT], host=host)
    grants.forget_all(host=host)
    assert not marked(host)
    left = disk(host)
    assert {name: left[name] for name in original} == original
    use(host)


def test_a_sound_ledger_is_kept_by_a_rebuild(host: SimulatedHost) -> None:
    """The twin."""
    secret = use(host)
    grants.rebuild([ROOT], host=host)
    assert use(host) == secret
    assert [record.state for record in grants.list(host=host)] == ["complete"]
    assert not [name for name in host.tree(STATE) if "damaged" in name]


@pytest.mark.parametrize("filler", [b"\x00", b"Qz7"])
def test_any_page_may_be_overwritten(filler: bytes) -> None:
    """Each page at a time. Afterwards nothing of ours is left, below any root that was known or asked for."""
    with workspace() as host:
        original = disk(host)
        other = ABOVE + r"\other"
        host.write_file(other + r"\file")
        use(
            host,
            Policy.workspace(ROOT),
            Policy.workspace(ROOT, protected_subpaths=[".git"], integrity="low"),
            Policy.workspace(other),
        )
        sound = real_file(host).read_bytes()
        on_disk = disk(host)
    pages = len(sound) // PAGE
    assert pages > 20
    quiet = 0
    for number in range(pages):
        with workspace() as host:
            host.write_file(other + r"\file")
            use(
                host,
                Policy.workspace(ROOT),
                Policy.workspace(ROOT, protected_subpaths=[".git"], integrity="low"),
                Policy.workspace(other),
            )
            assert disk(host).keys() == on_disk.keys()
            file = real_file(host)
            raw = bytearray(file.read_bytes())
            raw[number * PAGE : (number + 1) * PAGE] = (filler * PAGE)[:PAGE]
            file.write_bytes(raw)
            code = code_or_nothing(lambda: grants.list(host=host))
            assert code in ("", "ledger.damaged", "ledger.secret", "ledger.lost"), (number, code)
            quiet += not code
            grants.rebuild([ROOT, other], host=host)
            result = grants.forget_all(host=host)
            assert not result.left, (number, result.to_text())
            assert not marked(host), number
            left = disk(host)
            changed = [name for name in original if left[name] != original[name]]
            if changed:
                # Prior labels may have been on that page; every entry is gone all the same.
                assert all("ML;" in host.sddl(f"{ABOVE}\\{name}") for name in changed), (number, changed)
            assert not grants.list(host=host)
            assert not open_handles(host)
    assert quiet < pages - 3, "damage is noticed where it is read"


@pytest.mark.parametrize("size", [1, 100, PAGE, 3 * PAGE, 10 * PAGE + 7])
def test_a_truncated_ledger_is_rebuilt(host: SimulatedHost, size: int) -> None:
    use(host)
    file = real_file(host)
    file.write_bytes(file.read_bytes()[:size])
    with pytest.raises(LedgerError):
        grants.forget_all(host=host)
    grants.rebuild([ROOT], host=host)
    grants.forget_all(host=host)
    assert not marked(host)


def test_what_a_damaged_ledger_still_knows_is_taken_over(host: SimulatedHost) -> None:
    """Roots that nobody named, labels as they were before, and the empty directories that we made."""
    original = disk(host)
    other = ABOVE + r"\other"
    host.write_file(other + r"\file")
    host.set_sddl(ROOT + r"\README.md", host.sddl(ROOT + r"\README.md") + "S:(ML;;NR;;;ME)")
    original = disk(host)
    use(host, Policy.workspace(other), Policy.workspace(ROOT, integrity="low"))
    statement(host, "UPDATE guard SET done='x'")
    listed = grants.rebuild([ROOT], host=host)
    assert [record.root for record in listed] == [other, ROOT]
    assert {record.state for record in listed} == {"partial"}
    assert any("damaged" in note for note in listed.notes)
    assert [note for note in listed.notes if other in note]
    assert all(note in listed.to_text() for note in listed.notes)
    grants.forget_all(host=host)
    assert disk(host) == original


def test_until_a_rebuild_has_ended_nothing_else_goes_on(host: SimulatedHost) -> None:
    use(host)
    statement(host, "DROP TABLE place")
    with pytest.raises(AclError, match="not done within"):
        grants.rebuild([ABOVE], time_limit=-1, host=host)
    assert code_of(lambda: grants.list(host=host)) == "ledger.secret"
    assert code_of(lambda: Sandbox(Policy.workspace(ROOT), host=host).prepare()) == "ledger.secret"
    grants.rebuild([ABOVE], host=host)
    grants.forget_all(host=host)
    assert not marked(host)


def test_a_crash_at_any_operation_of_a_rebuild_leaves_it_to_be_done_again(host: SimulatedHost) -> None:
    def damaged() -> SimulatedHost:
        made = SimulatedHost()
        made.write_file(ROOT + r"\.git\config", b"x")
        use(made)
        statement(made, "DROP TABLE place")
        return made

    with damaged() as made:
        before = made.counts["all"]
        grants.rebuild([ROOT], host=made)
        total = made.counts["all"] - before
    for n in every(range(1, total + 1), quick=5):
        with damaged() as made:
            made.crash_at(n)
            with pytest.raises(SimulatedCrash):
                grants.rebuild([ROOT], host=made)
            after = made.restart()
            unlisted = False
            try:
                unlisted = not set().union(*marked(after).values()) <= {found.sid for found in grants.list(host=after)}
            except LedgerError:
                grants.rebuild([ROOT], host=after)
            assert not unlisted, n
            grants.forget_all(host=after)
            assert not marked(after), n


# -- proofs -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", ["'not json'", "'[1]'", "x'ff'", "NULL", "'{\"places\": 3}'", "7"])
def test_an_unreadable_proof_proves_nothing(host: SimulatedHost, data: str) -> None:
    policy = Policy.workspace(ROOT)
    with state_of(host) as state:
        state.remember_proof(policy, {Aspect.WRITES_OUTSIDE: "proven"})
        state.ledger.put_proof("open places", "{}")
    statement(host, "CREATE TABLE p2 AS SELECT * FROM proof", "DROP TABLE proof", "ALTER TABLE p2 RENAME TO proof")
    statement(host, f"UPDATE proof SET data={data}")
    with state_of(host) as state:
        assert state.proven(policy) == {}
        assert state.open_places() is None
    with Sandbox(policy, host=host) as sandbox:
        assert sandbox.enforcement


# -- the lock -----------------------------------------------------------------------------------------------------


def test_an_interrupt_right_behind_begin_leaves_no_transaction(
    host: SimulatedHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    with state_of(host) as state:
        ledger = state.ledger
        times = iter([0.0])

        def clock() -> float:
            # Asked before BEGIN, and again behind it.
            for now in times:
                return now
            raise KeyboardInterrupt

        monkeypatch.setattr(ledger, "_clock", clock)
        with pytest.raises(KeyboardInterrupt):
            _transact(ledger)
        monkeypatch.undo()
        _transact(ledger)
        with state_of(host.second_process()) as other:
            _transact(other.ledger)


def _transact(ledger: Ledger) -> None:
    with ledger.transaction():
        pass


def test_an_error_that_is_no_damage_is_not_called_so(host: SimulatedHost) -> None:
    with state_of(host) as state:
        for sql, code in (("SELEC 1", "ledger.io"), ("SELECT * FROM nowhere", "ledger.damaged")):
            with pytest.raises(LedgerError) as caught:
                state.ledger.run(sql)
            assert caught.value.code == code
            assert isinstance(caught.value.__cause__, sqlite3.Error)
