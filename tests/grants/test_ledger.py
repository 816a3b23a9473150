"""The ledger and the state directory: what is refused, and how the user goes on."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from tests.grants import racer
from tests.grants.scenes import ABOVE, ROOT, applied, disk, marked, plan_of, state_of, workspace, write_bits
from winsandbox import grants
from winsandbox._ledger import Ledger
from winsandbox._security.mask import DELETE
from winsandbox._security.sid import Sid
from winsandbox._state import State
from winsandbox.audit import audit
from winsandbox.enforcement import Aspect
from winsandbox.errors import LedgerError
from winsandbox.policy import Policy
from winsandbox.testing import SimulatedHost

STATE = r"C:\Users\alice\AppData\Local\winsandbox"
FILE = STATE + r"\ledger-1.sqlite"


@pytest.fixture
def host() -> Iterator[SimulatedHost]:
    with workspace() as made:
        yield made


def database(host: SimulatedHost) -> sqlite3.Connection:
    return host.files.database(FILE)


# -- the secret and the schema ------------------------------------------------------------------------------------


def test_the_secret_is_made_once(host: SimulatedHost) -> None:
    with state_of(host) as first, state_of(host.second_process()) as second:
        assert first.secret() == second.secret()
        secret = first.secret()
        assert len(secret) == 32
    with state_of(host.restart()) as third:
        assert third.secret() == secret


def test_looking_makes_nothing(host: SimulatedHost) -> None:
    before = disk(host, r"C:\Users\alice")
    assert not grants.list(host=host)
    assert State.peek_secret(host, STATE) is None
    assert grants.forget_all(host=host).to_text() == "nothing to forget"
    assert grants.recover(host=host).to_text() == "nothing to recover"
    assert disk(host, r"C:\Users\alice") == before


def test_peeking_gives_the_secret_that_is_there(host: SimulatedHost) -> None:
    with state_of(host) as state:
        secret = state.secret()
    assert State.peek_secret(host, STATE) == secret


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE meta SET value=zeroblob(32) WHERE key='secret'",
        "DELETE FROM meta WHERE key='secret'",
        "DELETE FROM meta WHERE key='secret-check'",
        "UPDATE meta SET value='text' WHERE key='secret'",
    ],
)
def test_a_damaged_secret_is_an_error_and_never_made_anew(host: SimulatedHost, damage: str) -> None:
    with state_of(host) as state:
        applied(host, state)[1].close()
    with database(host) as connection:
        connection.execute(damage)
    connection.close()
    with pytest.raises(LedgerError, match="secret") as caught:
        with state_of(host) as state:
            state.secret()
    assert caught.value.code == "ledger.secret"
    assert "rebuild" in caught.value.remedy


def test_a_file_that_is_no_database_is_an_error_and_a_rebuild_goes_on(host: SimulatedHost) -> None:
    original = disk(host)
    with state_of(host) as state:
        applied(host, state)[1].close()
        old = state.secret()
    host.remove(FILE)
    host.write_file(FILE, b"not a database at all, but long enough to look at " * 30)
    with pytest.raises(LedgerError) as caught:
        grants.list(host=host)
    assert caught.value.code == "ledger.damaged"
    assert "rebuild" in caught.value.remedy
    found = grants.rebuild([ABOVE], host=host)
    assert [record.root for record in found] == [ROOT]
    assert found[0].state == "partial"
    assert ROOT + r"\.git" in found[0].protected
    with state_of(host) as state:
        assert state.secret() != old
    assert [name for name in host.tree(STATE) if "damaged" in name]
    grants.forget_all(host=host)
    left = disk(host)
    # The two empty directories that we made are not known to be ours any more.
    assert {name: left[name] for name in original} == original
    assert not marked(host)


def test_a_rebuild_of_a_ledger_that_is_well_adds_what_it_lacks(host: SimulatedHost) -> None:
    with state_of(host) as state:
        plan, done = applied(host, state)
        done.close()
        state.ledger.drop_grant(plan.grants[0].sid)
    assert not grants.list(host=host)
    assert [record.sid for record in grants.rebuild([ROOT], host=host)] == [str(plan.grants[0].sid)]
    grants.recover(host=host)
    assert not marked(host)


def test_another_programs_database_is_left_alone(host: SimulatedHost) -> None:
    host.mkdir(STATE, "D:P(A;OICI;FA;;;SY)(A;OICI;0x1f01bf;;;U)")
    connection = database(host)
    connection.execute("CREATE TABLE theirs (x)")
    connection.close()
    with pytest.raises(LedgerError, match="another program"):
        state_of(host)
    connection = database(host)
    assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("theirs",)]
    connection.close()


def test_a_later_schema_is_an_error_that_says_so(host: SimulatedHost) -> None:
    state_of(host).close()
    connection = database(host)
    connection.execute("PRAGMA user_version=7")
    connection.close()
    with pytest.raises(LedgerError, match="newer version"):
        state_of(host)


def test_columns_and_tables_that_a_later_minor_adds_are_no_trouble(host: SimulatedHost) -> None:
    with state_of(host) as state:
        applied(host, state)[1].close()
    connection = database(host)
    for table in ("meta", "grants", "proof"):
        connection.execute(f"ALTER TABLE {table} ADD COLUMN later TEXT DEFAULT 'x'")
    connection.execute("CREATE TABLE later (x)")
    connection.close()
    with state_of(host) as state:
        applied(host, state)[1].close()
        assert state.secret()
    grants.forget_all(host=host)
    assert not marked(host)


# -- the lock -----------------------------------------------------------------------------------------------------


def test_a_lock_that_is_never_released_is_an_error_that_names_processes(tmp_path: Path) -> None:
    host = cast(Any, racer.make(tmp_path))
    first = racer.ledger_of(host)
    second = Ledger(host, first.path, timeout=0.3)
    host.processes.begin()
    first.add_lease("one", "", [])
    first.run("UPDATE lease SET pid=4242")
    (tmp_path / "alive-4242").touch()
    with first.transaction():
        with pytest.raises(LedgerError, match=r"stayed locked for 0\.3 seconds.*4242") as caught:
            second.add_lease("two", "", [])
    assert caught.value.code == "ledger.locked"
    second.add_lease("two", "", [])
    assert {lease.id for lease in second.leases()} == {"one", "two"}
    (tmp_path / "alive-4242").unlink()
    assert {lease.id for lease in second.leases()} == {"two"}
    first.close()
    second.close()


def test_a_transaction_that_fails_takes_everything_back(tmp_path: Path) -> None:
    ledger = racer.ledger_of(racer.make(tmp_path))

    def fail() -> None:
        with ledger.transaction():
            ledger.add_logon("S-1-5-5-0-1")
            with ledger.transaction():
                ledger.add_logon("S-1-5-5-0-2")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert ledger.logons() == []
    with ledger.transaction():
        ledger.add_logon("S-1-5-5-0-3")
    assert ledger.logons() == ["S-1-5-5-0-3"]
    ledger.close()


def test_threads_of_one_ledger_take_turns(tmp_path: Path) -> None:
    ledger = racer.ledger_of(racer.make(tmp_path))
    inside, most = 0, 0

    def work() -> None:
        nonlocal inside, most
        for _ in range(25):
            with ledger.transaction():
                inside += 1
                most = max(most, inside)
                ledger.add_logon("S-1-5-5-0-1")
                inside -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1
    ledger.close()


def test_a_closed_ledger_says_so(tmp_path: Path) -> None:
    ledger = racer.ledger_of(racer.make(tmp_path))
    ledger.close()
    ledger.close()
    with pytest.raises(LedgerError, match="closed"):
        ledger.logons()


# -- the state directory ------------------------------------------------------------------------------------------


def test_the_state_directory_is_closed_to_the_child_and_pinned(host: SimulatedHost) -> None:
    with state_of(host) as state:
        _, done = applied(host, state)
        for name in ("", r"\ledger-1.sqlite"):
            assert not write_bits(host.descriptor(STATE + name), done, directory=not name)
        for path in (STATE, FILE):
            with pytest.raises(PermissionError):
                host.files.open(path, DELETE)
        done.close()
    host.files.open(STATE, DELETE).close()


@pytest.mark.parametrize(
    ("sddl", "reason"),
    [
        ("D:(A;OICI;FA;;;U)", "inherits"),
        ("D:P(A;OICI;FA;;;U)", "delete through it"),
        ("D:P(A;OICI;0x1f01bf;;;U)(A;;FR;;;WD)", "grants access to S-1-1-0"),
        ("O:BUG:BUD:P(A;OICI;0x1f01bf;;;U)", "belongs to"),
        ("D:NO_ACCESS_CONTROL", "everyone"),
    ],
)
def test_a_state_directory_that_others_may_change_is_refused(host: SimulatedHost, sddl: str, reason: str) -> None:
    host.mkdir(STATE, sddl)
    with pytest.raises(LedgerError, match=reason) as caught:
        state_of(host)
    assert caught.value.code == "state.unsafe"
    assert caught.value.remedy
    assert not host.exists(FILE)
    assert not host.open_handles()


def test_a_state_directory_that_is_a_link_is_refused(host: SimulatedHost) -> None:
    host.mkdir(r"C:\Users\alice\elsewhere")
    host.junction(r"C:\Users\alice\elsewhere", STATE)
    with pytest.raises(LedgerError, match="link"):
        state_of(host)
    assert list(host.tree(r"C:\Users\alice\elsewhere")) == [""]


@pytest.mark.parametrize("path", ["state", r"\state", "C:state", r"C:\missing\state"])
def test_a_state_directory_that_cannot_be_is_an_error_with_a_remedy(host: SimulatedHost, path: str) -> None:
    with pytest.raises(LedgerError) as caught:
        State.open(host, path)
    assert caught.value.remedy


def test_private_directories_are_the_childs_or_closed_to_it(host: SimulatedHost) -> None:
    with state_of(host) as state:
        plan, done = applied(host, state)
        scratch = state.scratch(
            session=plan.session,
            user=plan.user,
            logon=plan.logon,
            stubs={"ssh.cmd": b"exit 1"},
            child_files={"sitecustomize.py": b"", "helper/main.py": b"x"},
        )
        assert scratch.denybin is not None
        assert scratch.child is not None
        assert write_bits(host.descriptor(scratch.temp), done, directory=True) & 0x10106 == 0x106
        for path in (scratch.denybin, scratch.denybin + r"\ssh.cmd", scratch.child + r"\helper\main.py"):
            assert not write_bits(host.descriptor(path), done, directory="." not in path.rpartition("\\")[2]), path
        host.write_file(scratch.temp + r"\left\by\a\child.txt", b"x", "D:P(A;;FX;;;U)")
        host.junction(ROOT, scratch.temp + r"\junction")
        scratch.remove()
        scratch.remove()
        assert host.exists(ROOT)
        assert not host.exists(scratch.temp)
        assert [name for name in host.tree(STATE) if name and "ledger" not in name] == []
        assert state.ledger.scratches() == []
        done.close()


def test_what_is_in_use_in_a_private_directory_goes_later(host: SimulatedHost) -> None:
    with state_of(host) as state:
        plan = plan_of(host, state)
        scratch = state.scratch(session=plan.session, user=plan.user, stubs={}, child_files={}, low=True)
        assert "ML;OICI;NW;;;LW" in host.sddl(scratch.temp)
        host.write_file(scratch.temp + r"\held")
        held = host.files.open(scratch.temp + r"\held", 0x1, share=1)
        scratch.remove()
        assert scratch.left.count
        held.close()
    after = host.restart()
    assert grants.recover(host=after).leftovers.count == 0
    assert not after.exists(scratch.temp)


def test_proofs_are_remembered_for_their_configuration(host: SimulatedHost) -> None:
    policy = Policy.workspace(ROOT)
    with state_of(host) as state:
        assert state.proven(policy) == {}
        state.remember_proof(policy, {Aspect.WRITES_OUTSIDE: "proven on a Monday"})
        assert state.proven(policy) == {Aspect.WRITES_OUTSIDE: "proven on a Monday"}
        assert state.proven(Policy.workspace(ROOT, guards=False)) == {}


def test_an_audit_is_remembered_for_a_day(host: SimulatedHost) -> None:
    host.mkdir(r"C:\ProgramData\open", "D:(A;OICI;FA;;;WD)")
    with state_of(host) as state:
        assert state.open_places() is None
        state.remember_open_places(audit(host=host))
        assert [text for reason, text in state.open_places() or () if reason == "everyone" and "ProgramData" in text]
        host.advance(86_401)
        assert state.open_places() is None


def test_the_same_root_and_exclusions_have_the_same_sid(host: SimulatedHost) -> None:
    assert isinstance(plan_sid(host), Sid)


def plan_sid(host: SimulatedHost) -> Sid:
    """The same root and exclusions have the same SID in every process; another state directory gives another."""
    with state_of(host) as state:
        first = plan_of(host, state).grants[0].sid
        assert plan_of(host, state).grants[0].sid == first
    host.mkdir(r"C:\Users\alice\other")
    with State.open(host, r"C:\Users\alice\other\state") as state:
        assert plan_of(host, state).grants[0].sid != first
    return first
