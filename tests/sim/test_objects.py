"""Registry keys, processes, events and pipes, for the user and for a write-restricted program."""

from __future__ import annotations

import pytest

from tests.sim.tools import Call, attempt, restricted
from winsandbox._security import ace, acl, mask
from winsandbox.testing import SimulatedHost, SimulatedProcess

RUN = r"HKCU\Software\Microsoft\Windows\CurrentVersion\Run"


@pytest.mark.parametrize(
    ("call", "user", "child"),
    [
        (lambda p: p.registry_open(RUN, 0x20019), 0, 0),
        (lambda p: p.registry_open(RUN, 0x2), 0, 5),
        (lambda p: p.registry_open(r"HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Run", 0x20019), 0, 0),
        (lambda p: p.registry_open(r"HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Run", 0x2), 5, 5),
        (lambda p: p.registry_open(r"HKCU\Software\Nothing", 0x20019), 2, 2),
        (lambda p: p.registry_open(RUN.replace("HKCU", "HKEY_CURRENT_USER"), 0x2), 0, 5),
        (lambda p: p.registry_open(r"hkey_local_machine\SOFTWARE\Microsoft", 0x20019), 0, 0),
        (lambda p: p.registry_open(r"HKEY_NOBODY\Software", 0x20019), 2, 2),
        (lambda p: p.open_event("session", 0x100000), 0, 0),
        (lambda p: p.open_event("session", 0x2), 0, 5),
        (lambda p: p.open_event("missing", 0x2), 2, 2),
        (lambda p: p.open_pipe("server", mask.GENERIC_READ), 0, 0),
        (lambda p: p.open_pipe("server"), 0, 5),
        (lambda p: p.pipe(), 0, 5),
        (lambda p: p.open_process(99999, 0x1), 87, 87),
    ],
)
def test_what_the_user_and_a_restricted_child_may_open(call: Call, user: int, child: int) -> None:
    host = SimulatedHost()
    host.add_event("session")
    host.add_pipe_server("server")
    with restricted(host) as token:
        assert (attempt(host, call), attempt(host, call, token)) == (user, child)


def test_a_key_is_made_under_either_name_of_its_hive() -> None:
    host = SimulatedHost()
    host.add_key(r"HKEY_CURRENT_USER\Software\Mine")
    assert attempt(host, lambda p: p.registry_open(r"HKCU\Software\Mine", 0x2)) == 0
    with pytest.raises(ValueError, match="HKCU, HKLM"):
        host.add_key(r"HKEY_NOBODY\Software")


def test_an_own_event_works_when_the_default_list_names_a_restricting_sid() -> None:
    host = SimulatedHost()

    def own_event(process: SimulatedProcess) -> None:
        process.create_event(f"mine {process.pid}")
        process.open_event(f"mine {process.pid}", 0x2)

    def own_pipe(process: SimulatedProcess) -> None:
        process.create_pipe_server("mine")
        process.open_pipe("mine")

    with restricted(host) as token:
        assert attempt(host, own_event, token) == 5
        info = host.tokens.inspect(token)
        entries = [ace.allow(info.token.user, mask.GENERIC_ALL)]
        entries += [ace.allow(sid, mask.GENERIC_ALL) for sid in info.token.restricting or ()]
        host.tokens.set_default_dacl(token, acl.Acl(entries).to_bytes())
        assert attempt(host, own_event, token) == 0
        assert attempt(host, lambda p: p.pipe(), token) == 0
        # A named pipe's built-in list asks no default list: its clients may read.
        assert attempt(host, own_pipe, token) == 5


@pytest.mark.parametrize(
    ("access", "plain", "low"),
    [(0x1, 0, 0), (0x10, 0, 5), (0x20, 5, 5), (0x40, 5, 5), (0x2, 5, 5), (0x1000, 0, 0)],
)
def test_the_users_other_processes_can_be_ended_and_read_but_not_written(access: int, plain: int, low: int) -> None:
    host = SimulatedHost()
    pid = host.processes.current().pid
    assert attempt(host, lambda p: p.open_process(pid, access)) == 0
    with restricted(host) as token:
        assert attempt(host, lambda p: p.open_process(pid, access), token) == plain
    with restricted(host, low=True) as token:
        assert attempt(host, lambda p: p.open_process(pid, access), token) == low


def test_a_value_is_set_through_a_handle_that_may_and_a_subkey_inherits() -> None:
    host = SimulatedHost()

    def program(process: SimulatedProcess) -> None:
        key = process.registry_open(RUN, 0x2001F)
        key.set("tool", "x")
        assert key.get("TOOL") == "x"
        key.create("sub")
        process.registry_open(RUN + r"\sub", 0x2)
        with pytest.raises(PermissionError):
            process.registry_open(RUN, 0x20019).set("tool", "y")
        with pytest.raises(FileNotFoundError):
            key.get("other")

    host.run_program(program)


def test_a_process_is_ended_by_who_may() -> None:
    host = SimulatedHost()
    host.add_program(r"C:\tools\t.exe", lambda p: p.sleep(1e6))
    codes: list[int | None] = []

    def program(process: SimulatedProcess) -> None:
        other = process.spawn([r"C:\tools\t.exe"])
        with pytest.raises(PermissionError):
            process.open_process(other.pid, 0x1000).terminate()
        process.open_process(other.pid, 0x1).terminate(9)
        codes.append(other.wait())

    host.run_program(program)
    assert codes == [9]
