"""Counting, failing, crashing, going on afterwards; two processes on one machine."""

from __future__ import annotations

import gc
import os
import re
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.host.place import Place
from winsandbox import Policy, Sandbox, _sim
from winsandbox._host import SHARE_READ
from winsandbox._security import mask
from winsandbox._sim.gate import KINDS
from winsandbox.errors import WinError
from winsandbox.testing import SimulatedCrash, SimulatedHost, SimulatedProcess

WORK = r"D:\work"
TOOL = r"C:\tools\tool.exe"


def made() -> SimulatedHost:
    host = SimulatedHost()
    host.mkdir(WORK, "D:(A;OICI;FA;;;U)")
    return host


def test_operations_are_counted_by_kind() -> None:
    host = made()
    for name in ("a", "b", "c"):
        host.write_file(f"{WORK}\\{name}")
    with host.files.open(WORK, mask.FILE_LIST_DIRECTORY | mask.READ_CONTROL | mask.WRITE_DAC) as opened:
        assert len(list(host.files.entries(opened))) == 3
        host.files.set_security(opened, host.files.security(opened))
    expected = {"open": 1, "entries": 1, "entry": 3, "security": 1, "set_security": 1, "all": 7}
    assert dict(host.counts) == expected


def test_the_nth_operation_of_a_kind_fails_once() -> None:
    host = made()
    host.fail("open", 2, 1450)
    host.files.open(WORK, mask.READ_CONTROL).close()
    with pytest.raises(WinError) as error:
        host.files.open(WORK, mask.READ_CONTROL)
    assert error.value.winerror == 1450
    host.files.open(WORK, mask.READ_CONTROL).close()


def test_a_crash_ends_the_caller_for_good_and_leaves_the_disk() -> None:
    host = made()
    with host.files.open(WORK, mask.FILE_LIST_DIRECTORY, share=SHARE_READ) as parent:
        host.crash_at("create_file", 2)
        host.files.create_file(parent, "first", mask.READ_CONTROL).close()
        with pytest.raises(SimulatedCrash):
            host.files.create_file(parent, "second", mask.READ_CONTROL)
        for call in (lambda: host.files.query(WORK), host.tokens.current, host.processes.clock, host.capabilities):
            with pytest.raises(SimulatedCrash):
                call()
    assert host.tree(WORK) == {"": "directory", "first": "file"}
    assert host.open_handles() == []


def test_a_crash_at_any_operation_counts_all() -> None:
    host = made()
    host.crash_at(3)
    host.files.query(WORK)
    host.files.query(WORK)
    with pytest.raises(SimulatedCrash):
        host.files.query(WORK)


def test_what_can_never_go_wrong_is_a_mistake_of_the_test() -> None:
    host = made()
    plans: list[Callable[[], object]] = [
        lambda: host.fail("nonsense", 1, 5),
        lambda: host.fail("open", 0, 5),
        lambda: host.meanwhile("known_folders", 1, list),
        lambda: host.crash_at("opn"),
    ]
    for plan in plans:
        with pytest.raises(ValueError, match=r"there is no operation .*open_at|counted from 1"):
            plan()
    for n in (0, -1):
        with pytest.raises(ValueError, match="counted from 1"):
            host.crash_at(n)


def test_the_kinds_that_can_go_wrong_are_those_that_are_counted() -> None:
    folder = Path(_sim.__file__).parent
    found = re.findall(r'(?:enter|_create)\("(\w+)"', "".join(path.read_text("utf-8") for path in folder.glob("*.py")))
    assert set(found) | {"all"} == KINDS


def test_a_drive_is_a_free_letter() -> None:
    host = made()
    for letter in ("e", "C:", "d:", "E:\\", "EE:"):
        for mount in (
            host.add_volume,
            lambda letter: host.subst(letter, WORK),
            lambda letter: host.add_share(r"\\server\share", letter=letter),
        ):
            with pytest.raises(ValueError, match=r"such as 'E:'|there are C:, D:"):
                mount(letter)
    with pytest.raises(ValueError, match="server"):
        host.add_share("share")
    host.add_volume("e:")
    host.mkdir(r"E:\x")
    host.remove_volume("E:")
    assert not host.exists(r"E:\x")
    for letter in ("E:", "C:"):
        with pytest.raises(ValueError, match="there are D:"):
            host.remove_volume(letter)


def test_a_child_that_ends_its_host_has_crashed_it() -> None:
    host = made()
    seen: list[int] = []

    def program(process: SimulatedProcess) -> None:
        process.open_process(begun.pid, 0x1).terminate(9)
        seen.append(1)  # never: the job went with its last handle

    host.add_program(TOOL, program)
    host.mkdir(r"C:\src\project")
    begun = host.processes.current()
    with pytest.raises(SimulatedCrash), Sandbox(Policy.workspace(r"C:\src\project"), host=host) as sandbox:
        sandbox.run([TOOL])
    assert (seen, host.running(), host.open_handles()) == ([], [], [])
    with pytest.raises(SimulatedCrash):
        host.files.query(WORK)
    again = host.restart()
    assert not again.processes.alive(begun)
    with Sandbox(Policy.workspace(r"C:\src\project"), host=again) as sandbox:
        assert sandbox.explain("x").allowed


def test_a_crash_is_no_exception_that_code_would_handle() -> None:
    assert not issubclass(SimulatedCrash, Exception)


def test_the_next_process_finds_what_the_crashed_one_left() -> None:
    host = made()
    old = host.processes.current()
    logon = host.token.logon
    pin = host.files.open(WORK, mask.FILE_LIST_DIRECTORY, share=SHARE_READ)
    again = host.restart()
    assert not again.processes.alive(old)
    assert again.processes.alive(again.processes.current())
    assert again.token.logon == logon
    again.files.open(WORK, mask.DELETE).close()
    with pytest.raises(SimulatedCrash):
        host.files.query(WORK)
    pin.close()
    assert again.restart(new_logon=True).token.logon != logon


def test_what_was_not_committed_is_lost_with_the_process() -> None:
    host = made()
    path = WORK + r"\db"
    first = host.files.database(path)
    first.execute("CREATE TABLE t (a)")
    first.execute("BEGIN IMMEDIATE")
    first.execute("INSERT INTO t VALUES (1)")
    first.execute("COMMIT")
    first.execute("BEGIN IMMEDIATE")
    first.execute("INSERT INTO t VALUES (2)")
    host.crash_at("sql", 1)
    with pytest.raises(SimulatedCrash):
        first.execute("COMMIT")
    with pytest.raises((sqlite3.ProgrammingError, SimulatedCrash)):
        first.execute("ROLLBACK")
    again = host.restart()
    second = again.files.database(path)
    second.execute("BEGIN IMMEDIATE")
    assert second.execute("SELECT a FROM t").fetchall() == [(1,)]
    second.close()


def test_statements_are_counted_and_can_fail() -> None:
    host = made()
    connection = host.files.database(WORK + r"\db")
    connection.execute("CREATE TABLE t (a)")
    cursor = connection.cursor()
    cursor.execute("INSERT INTO t VALUES (1)")
    assert host.counts["sql"] == 2
    host.fail("sql", 1, 112)
    with pytest.raises(OSError):
        connection.execute("SELECT 1")
    connection.close()


def test_a_crash_ends_the_programs_of_its_jobs() -> None:
    host = made()
    host.add_program(TOOL, lambda p: p.sleep(1e6))
    place = Place(host, WORK, TOOL, ("tool",), stores=True, restricts=True, limits=True)
    with place.started("") as run:
        assert host.running() == [(run.pid, ("tool", "", ""))]
        host.crash()
        assert host.running() == []


def test_a_handle_that_is_forgotten_is_closed() -> None:
    host = made()
    host.files.open(WORK, mask.READ_CONTROL)
    gc.collect()
    assert host.open_handles() == []
    kept = host.files.open(WORK, mask.READ_CONTROL)
    assert len(host.open_handles()) == 1
    assert "D:" in host.open_handles()[0]
    kept.close()


def test_two_processes_share_the_machine_and_nothing_else() -> None:
    host = made()
    other = host.second_process()
    assert host.processes.current() != other.processes.current()
    assert host.token.logon == other.token.logon
    handle = host.files.open(WORK, mask.FILE_LIST_DIRECTORY, share=SHARE_READ)
    with pytest.raises(WinError) as error:
        other.files.open(WORK, mask.DELETE)
    assert error.value.winerror == 32
    assert other.counts["open"] == 1
    assert other.open_handles() == []
    handle.close()
    with other.files.open(WORK, mask.DELETE):
        host.crash()
    assert other.processes.alive(other.processes.current())


def test_two_processes_wait_for_the_same_lock() -> None:
    host = made()
    other = host.second_process()
    first, second = host.files.database(WORK + r"\db"), other.files.database(WORK + r"\db")
    first.execute("BEGIN IMMEDIATE")
    with pytest.raises(sqlite3.OperationalError):
        second.execute("BEGIN IMMEDIATE")
    host.crash()
    second.execute("BEGIN IMMEDIATE")
    second.close()


def test_a_damaged_database_is_what_the_file_says() -> None:
    host = made()
    host.write_file(WORK + r"\db", b"no database at all, but long enough to be looked at" * 20)
    connection = host.files.database(WORK + r"\db")
    with pytest.raises(sqlite3.DatabaseError):
        connection.execute("SELECT * FROM sqlite_master")
    connection.close()
    host.write_file(WORK + r"\other", b"")
    connection = host.files.database(WORK + r"\other")
    connection.execute("CREATE TABLE t (a)")
    connection.close()
    assert host.read_file(WORK + r"\other").startswith(b"SQLite format 3")


def test_nothing_real_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with made() as host:
        connection = host.files.database(WORK + r"\db")
        connection.execute("CREATE TABLE t (a)")
        assert os.listdir(tmp_path) != []
    assert os.listdir(tmp_path) == []
    host = made()
    host.files.database(WORK + r"\db").close()
    del host, connection
    gc.collect()
    assert os.listdir(tmp_path) == []


# --- who calls


@pytest.mark.parametrize(
    ("host", "elevated", "elevation", "integrity", "session"),
    [
        (SimulatedHost(), False, "default", 0x2000, 1),
        (SimulatedHost.administrator(), False, "limited", 0x2000, 1),
        (SimulatedHost.administrator(elevated=True), True, "full", 0x3000, 1),
        (SimulatedHost.administrator(uac=False), True, "default", 0x3000, 1),
        (SimulatedHost.low(), False, "default", 0x1000, 1),
        (SimulatedHost.service(), False, "default", 0x2000, 0),
    ],
)
def test_presets(host: SimulatedHost, elevated: bool, elevation: str, integrity: int, session: int) -> None:
    with host.tokens.current() as token:
        info = host.tokens.inspect(token)
    assert (info.elevated, info.elevation, info.token.integrity, info.session) == (
        elevated,
        elevation,
        integrity,
        session,
    )
    administrators = {str(group.sid): group.attributes for group in info.token.groups}.get("S-1-5-32-544")
    if elevation == "limited":
        assert administrators == 0x10
    else:
        assert (administrators is not None) == elevated


def test_a_caller_in_a_sandbox_is_restricted_already() -> None:
    host = SimulatedHost.sandboxed()
    with host.tokens.current() as token:
        assert host.tokens.inspect(token).restricted
    host = SimulatedHost(logon=False)
    assert host.token.logon is None


def test_elevated_without_administrator_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="administrator=True"):
        SimulatedHost(elevated=True)


def test_the_same_seed_gives_the_same_random_bytes() -> None:
    assert SimulatedHost(seed=1).processes.random(8) == SimulatedHost(seed=1).processes.random(8)
    assert SimulatedHost(seed=1).processes.random(8) != SimulatedHost(seed=2).processes.random(8)


def test_something_can_be_done_in_between() -> None:
    host = made()
    host.mkdir(WORK + r"\d")
    host.meanwhile("open_at", 2, lambda: host.rename(WORK + r"\d", WORK + r"\e"))
    with host.files.open(WORK, mask.FILE_LIST_DIRECTORY) as parent:
        host.files.open_at(parent, "d", mask.READ_CONTROL).close()
        with pytest.raises(FileNotFoundError):
            host.files.open_at(parent, "d", mask.READ_CONTROL)
        host.files.open_at(parent, "e", mask.READ_CONTROL).close()


def test_time_can_be_advanced_by_hand() -> None:
    host = made()
    host.advance(7.5)
    assert host.processes.clock() == 7.5


def test_a_databases_file_is_read_and_written_like_any_other() -> None:
    host = made()
    connection = host.files.database(WORK + r"\db")
    connection.execute("CREATE TABLE t (a)")
    connection.close()
    got: list[bytes] = []

    def program(process: SimulatedProcess) -> None:
        got.append(process.read(WORK + r"\db"))
        process.write(WORK + r"\db", b"spoiled, and long enough to be no database any more" * 30)

    host.run_program(program)
    assert got[0].startswith(b"SQLite format 3")
    info = host.files.query(WORK + r"\db")
    assert info is not None
    assert info.size == 51 * 30
    connection = host.files.database(WORK + r"\db")
    with pytest.raises(sqlite3.DatabaseError):
        connection.execute("SELECT * FROM t")
    connection.close()
