"""The access rules of the file system: each refusal beside the same call where it is allowed."""

from __future__ import annotations

import pytest

from tests.sim.tools import GRANT, PROTECTED, ROOT, WORK, Call, attempt, host_with_root, restricted
from winsandbox import Policy, PolicyError, Sandbox, explain
from winsandbox.testing import SimulatedHost, SimulatedProcess

OUTSIDE = r"C:\Users\alice\Documents"


@pytest.mark.parametrize(
    ("call", "inside", "outside"),
    [
        (lambda p, d: p.write(d + r"\new", b"x"), 0, 5),
        (lambda p, d: p.append(d + r"\file", b"x"), 0, 5),
        (lambda p, d: p.mkdir(d + r"\sub"), 0, 5),
        (lambda p, d: p.read(d + r"\file"), 0, 0),
        (lambda p, d: p.listdir(d), 0, 0),
        (lambda p, d: p.set_readonly(d + r"\file"), 0, 5),
        (lambda p, d: p.write(d + r"\file:stream", b"x"), 0, 5),
        (lambda p, d: p.junction(r"C:\Windows", d + r"\link"), 0, 5),
        (lambda p, d: p.rename(d + r"\file", d + r"\other"), 0, 5),
        (lambda p, d: p.replace(d + r"\file", d + r"\target"), 0, 5),
        (lambda p, d: p.link(d + r"\file", d + r"\second"), 0, 5),
        (lambda p, d: p.set_security(d + r"\file", "D:(A;;FA;;;WD)"), 5, 5),
        # The user has Full Control of his own directories: FILE_DELETE_CHILD is no write bit.
        (lambda p, d: p.remove(d + r"\file"), 0, 0),
        (lambda p, d: p.rmdir(d + r"\empty"), 0, 0),
    ],
)
def test_what_a_write_restricted_program_may_do_inside_and_outside(call: object, inside: int, outside: int) -> None:
    results = []
    for place in (WORK, OUTSIDE):
        host = host_with_root()
        for name in ("file", "target"):
            host.write_file(f"{place}\\{name}")
        host.mkdir(f"{place}\\empty")
        with restricted(host) as token:
            results.append(attempt(host, lambda p, d=place: call(p, d), token))  # type: ignore[operator, misc]
    assert results == [inside, outside]


def test_the_user_himself_may_do_all_of_that_outside() -> None:
    host = host_with_root()
    host.write_file(OUTSIDE + r"\file")

    def program(process: SimulatedProcess) -> None:
        process.append(OUTSIDE + r"\file", b"x")
        process.set_security(OUTSIDE + r"\file", "D:(A;;FA;;;WD)")
        process.rename(OUTSIDE + r"\file", OUTSIDE + r"\other")
        process.remove(OUTSIDE + r"\other")

    assert attempt(host, program) == 0


@pytest.mark.parametrize(
    ("call", "code"),
    [
        (lambda p: p.write(r".git\config", b"x"), 5),
        (lambda p: p.write(r".git\hooks\pre-commit", b"x"), 5),
        (lambda p: p.read(r".git\config"), 0),
        # Through the parent, which gives the user FILE_DELETE_CHILD: what pins and guards are for.
        (lambda p: p.rename(".git", "moved"), 0),
        (lambda p: p.remove(r".git\config"), 0),
    ],
)
def test_a_protected_place_without_guard(call: Call, code: int) -> None:
    host = host_with_root()
    host.mkdir(WORK + r"\.git", PROTECTED)
    host.write_file(WORK + r"\.git\config", b"", PROTECTED)
    host.mkdir(WORK + r"\.git\hooks", PROTECTED)
    with restricted(host) as token:
        assert attempt(host, call, token) == code


def test_the_guard_keeps_what_is_in_it_and_the_user_may_still_delete() -> None:
    host = SimulatedHost()
    logon = host.token.logon
    host.mkdir(WORK, ROOT)
    host.mkdir(WORK + r"\.git", PROTECTED.replace("D:AI", f"D:AI(D;;0x40;;;{logon})"))
    host.write_file(WORK + r"\.git\config", b"", PROTECTED)
    with restricted(host) as token:
        assert attempt(host, lambda p: p.remove(r".git\config"), token) == 5
    assert attempt(host, lambda p: p.remove(r".git\config")) == 0


def test_low_integrity_closes_the_hole_but_where_the_directory_is_low() -> None:
    host = host_with_root()
    low = r"C:\Users\alice\AppData\LocalLow"
    for place in (OUTSIDE, low):
        host.write_file(place + r"\file")
    with restricted(host, low=True) as token:
        assert attempt(host, lambda p: p.remove(OUTSIDE + r"\file"), token) == 5
        assert attempt(host, lambda p: p.write(low + r"\new"), token) == 5
        assert attempt(host, lambda p: p.remove(low + r"\file"), token) == 0


def test_a_low_program_writes_only_what_is_labelled_low() -> None:
    host = host_with_root()
    with restricted(host, low=True) as token:
        assert attempt(host, lambda p: p.write("new"), token) == 5
        host.set_sddl(WORK, ROOT + "S:(ML;OICI;NW;;;LW)")
        assert attempt(host, lambda p: p.write("new"), token) == 0
    assert "ML;" in host.sddl(WORK + r"\new")


def test_deleting_is_not_given_by_a_directory_without_delete_child() -> None:
    host = host_with_root()
    host.mkdir(r"D:\other", "D:(A;OICI;0x1301bf;;;U)")
    host.write_file(r"D:\other\file")
    with restricted(host) as token:
        assert attempt(host, lambda p: p.remove(r"D:\other\file"), token) == 5
    assert attempt(host, lambda p: p.remove(r"D:\other\file")) == 0


def test_attributes_may_be_read_through_the_directorys_list_right() -> None:
    host = host_with_root()
    host.write_file(WORK + r"\secret", b"12", "D:(A;;FA;;;SY)")
    assert attempt(host, lambda p: p.read("secret")) == 5
    # CreateFileW asks for SYNCHRONIZE too, which the directory does not give ...
    assert attempt(host, lambda p: p.stat("secret")) == 5
    # ... but a query that asks for the attributes alone is answered.
    found = host.files.query(WORK + r"\secret")
    assert found is not None
    assert found.size == 2


def test_moving_into_a_root_takes_delete_there_and_is_refused_out_of_it() -> None:
    host = host_with_root()
    host.write_file(r"D:\mine\file", b"x", "D:(A;;FA;;;U)")
    host.set_sddl(r"D:\mine", "D:(A;OICI;FA;;;U)")
    host.write_file(WORK + r"\inside")
    with restricted(host) as token:
        assert attempt(host, lambda p: p.rename("inside", r"D:\mine\stolen"), token) == 5
        # FILE_DELETE_CHILD of the outside directory gives DELETE, the root gives FILE_ADD_FILE.
        assert attempt(host, lambda p: p.rename(r"D:\mine\file", "taken"), token) == 0


def test_a_moved_file_keeps_its_descriptor_and_a_new_one_inherits() -> None:
    host = host_with_root()
    host.write_file(WORK + r"\a")
    host.mkdir(r"D:\elsewhere", "D:(A;OICI;FA;;;U)")
    before = host.sddl(WORK + r"\a")
    assert str(GRANT) in before
    assert attempt(host, lambda p: p.rename("a", r"D:\elsewhere\a")) == 0
    assert host.sddl(r"D:\elsewhere\a") == before
    with restricted(host) as token:
        assert attempt(host, lambda p: p.write(r"D:\elsewhere\a", b"still writable"), token) == 0
        assert attempt(host, lambda p: p.write(r"D:\elsewhere\b", b""), token) == 5


def test_hard_links_share_one_descriptor_and_the_native_call_asks_nothing_of_the_file() -> None:
    host = host_with_root()
    host.write_file(r"D:\other\file", b"x", "D:(A;;FA;;;U)")
    with restricted(host) as token:
        assert attempt(host, lambda p: p.link(r"D:\other\file", "link"), token) == 5
        assert attempt(host, lambda p: p.link(r"D:\other\file", "link", native=True), token) == 0
        assert attempt(host, lambda p: p.write("link", b"y"), token) == 5
    assert host.descriptor(WORK + r"\link") == host.descriptor(r"D:\other\file")
    assert attempt(host, lambda p: p.write("link", b"y")) == 0
    assert host.read_file(r"D:\other\file") == b"y"


def test_a_directory_has_streams_of_its_own_under_its_own_descriptor() -> None:
    host = SimulatedHost()
    host.mkdir(r"C:\Users\alice\mine")
    host.mkdir(r"C:\Users\alice\theirs", "D:P(A;OICI;0x1200a9;;;U)")
    got: list[bytes | int] = []

    def program(process: SimulatedProcess) -> None:
        process.write(r"C:\Users\alice\mine:stream", b"one")
        process.append(r"C:\Users\alice\mine:stream", b", two")
        got.append(process.read(r"C:\Users\alice\mine:stream"))
        for path in (r"C:\Users\alice\mine", r"C:\Users\alice\theirs:stream"):
            try:
                process.write(path, b"x")
            except OSError as error:
                got.append(int(getattr(error, "winerror", 0)))

    host.run_program(program)
    assert got == [b"one, two", 5, 5]
    assert host.tree(r"C:\Users\alice\mine") == {"": "directory"}


def test_streams_are_checked_with_the_files_descriptor() -> None:
    host = host_with_root()
    host.mkdir(WORK + r"\.git", PROTECTED)
    host.write_file(WORK + r"\.git\config", b"", PROTECTED)
    with restricted(host) as token:
        assert attempt(host, lambda p: p.write(r".git\config:hidden", b""), token) == 5
        assert attempt(host, lambda p: p.write("file:hidden", b"x"), token) == 0
    assert host.read_file(WORK + r"\file:hidden") == b"x"
    assert host.read_file(WORK + r"\file") == b""


def test_a_volume_without_acls_lets_everybody_write() -> None:
    host = SimulatedHost()
    host.add_volume("E:", acls=False)
    with restricted(host) as token:
        assert attempt(host, lambda p: p.write(r"E:\file", b""), token) == 0
        assert attempt(host, lambda p: p.write(r"D:\file", b""), token) == 5
    with host.files.open("E:\\", 0x40000) as root:
        before = host.files.security(host.files.open("E:\\", 0x20000))
        host.files.set_security(root, host.descriptor_bytes("D:\\"))
        assert host.files.security(host.files.open("E:\\", 0x20000)) == before
        assert not host.files.volume(root).persistent_acls


def test_a_share_does_not_see_restricting_sids() -> None:
    host = SimulatedHost()
    host.add_share(r"\\server\share", letter="S:", sddl="D:(A;OICI;FA;;;U)")
    host.mkdir(r"D:\local", "D:(A;OICI;FA;;;U)")
    with restricted(host, low=True) as token:
        assert attempt(host, lambda p: p.write(r"\\server\share\file", b""), token) == 0
        assert attempt(host, lambda p: p.write(r"S:\other", b""), token) == 0
        assert attempt(host, lambda p: p.write(r"D:\local\file", b""), token) == 5
    with host.files.open("S:\\", 0x80) as mapped:
        assert host.files.volume(mapped).kind == "remote"
        assert host.files.final_path(mapped) == "\\\\server\\share\\"


def test_without_the_traverse_privilege_directories_on_the_way_are_checked() -> None:
    host = host_with_root()
    host.write_file(WORK + r"\closed\file", b"x", "D:(A;;FA;;;U)")
    host.set_sddl(WORK + r"\closed", "D:(A;;0x1;;;U)")
    with host.tokens.current() as token, host.tokens.restrict(token, flags=0) as made:
        assert attempt(host, lambda p: p.read(r"closed\file"), made) == 0
        host.tokens.enable_only(made, [])
        assert attempt(host, lambda p: p.read(r"closed\file"), made) == 5


@pytest.mark.parametrize(
    ("path", "code"),
    [
        (r"C:\Users\Public\Documents\x", 0),
        (r"C:\Windows\x", 5),
        (r"C:\Windows\Temp\x", 0),
        (r"C:\Program Files\x", 5),
        (r"C:\ProgramData\x", 0),
        (r"C:\x", 5),
        (r"D:\x", 0),
        (r"C:\Users\alice\Desktop\x", 0),
        (r"C:\Users\alice\AppData\LocalLow\x", 0),
    ],
)
def test_where_a_standard_user_may_make_a_file_on_a_default_installation(path: str, code: int) -> None:
    assert attempt(SimulatedHost(), lambda p: p.write(path, b"")) == code


def test_only_the_elevated_administrator_writes_to_windows() -> None:
    assert attempt(SimulatedHost.administrator(), lambda p: p.write(r"C:\Windows\x", b"")) == 5
    assert attempt(SimulatedHost.administrator(elevated=True), lambda p: p.write(r"C:\Windows\x", b"")) == 0
    assert attempt(SimulatedHost.administrator(uac=False), lambda p: p.write(r"C:\Windows\x", b"")) == 0


def test_a_low_caller_writes_to_locallow_alone() -> None:
    host = SimulatedHost.low()
    assert attempt(host, lambda p: p.write(r"C:\Users\alice\AppData\LocalLow\x", b"")) == 0
    assert attempt(host, lambda p: p.write(r"C:\Users\alice\AppData\Local\x", b"")) == 5


def test_recorded_descriptors_can_be_begun_with() -> None:
    host = SimulatedHost(recorded={r"D:\shared": "O:BAG:SYD:PAI(A;OICI;FA;;;WD)"})
    assert host.sddl(r"D:\shared") == "O:BAG:SYD:PAI(A;OICI;FA;;;WD)"


def test_recorded_descriptors_speak_of_the_user_whose_sid_is_given() -> None:
    sid = "S-1-5-21-3623811015-3361044348-30300820-1013"
    recorded = {r"D:\recorded": f"O:{sid}G:{sid}D:PAI(A;OICI;FA;;;{sid})(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)"}
    policy = Policy.workspace(r"D:\recorded")
    with pytest.raises(PolicyError, match="Access is denied"):
        Sandbox(policy, host=SimulatedHost(recorded=recorded)).plan()
    host = SimulatedHost(recorded=recorded, user_sid=sid)
    assert str(host.token.model.user) == sid
    assert attempt(host, lambda p: p.write(r"D:\recorded\x", b"")) == 0
    assert explain(policy, "x", host=host).allowed


def test_text_that_is_no_descriptor_or_sid_is_told_with_its_path() -> None:
    with pytest.raises(ValueError, match=r"D:\\shared"):
        SimulatedHost(recorded={r"D:\shared": "O:BAG:SYD:PAI(A;OICI;FA;;;nobody)"})
    with pytest.raises(ValueError, match=r"D:\\x"):
        SimulatedHost().mkdir(r"D:\x", "D:(A")
    with pytest.raises(ValueError, match="alice"):
        SimulatedHost(user_sid="alice")


def test_the_mode_0o700_of_python_leaves_no_grant() -> None:
    host = host_with_root()
    with restricted(host) as token:
        assert attempt(host, lambda p: p.mkdir("private", 0o700), token) == 0
        assert attempt(host, lambda p: p.write(r"private\x", b""), token) == 5
        assert attempt(host, lambda p: p.mkdir("ordinary"), token) == 0
        assert attempt(host, lambda p: p.write(r"ordinary\x", b""), token) == 0


def test_a_refusal_says_why() -> None:
    host = host_with_root()
    said: list[str] = []

    def program(process: SimulatedProcess) -> None:
        with pytest.raises(PermissionError) as error:
            process.write(OUTSIDE + r"\x", b"")
        said.append(str(error.value))

    with restricted(host) as token:
        host.run_program(program, token=token)
    assert "restricted pass" in said[0]
    assert str(GRANT) in said[0]
