"""Names, links, sharing, deletion and renaming as NTFS has them."""

from __future__ import annotations

import pytest

from tests.sim.tools import WORK, Call, attempt
from winsandbox._host import SHARE_READ, SHARE_WRITE
from winsandbox._security import mask
from winsandbox._security.descriptor import SecurityDescriptor
from winsandbox.testing import SimulatedHost, SimulatedProcess


def made() -> SimulatedHost:
    host = SimulatedHost()
    host.mkdir(WORK, "D:AI(A;OICI;FA;;;U)")
    host.write_file(WORK + r"\file", b"content")
    host.write_file(WORK + r"\sub\inner", b"")
    host.mkdir(WORK + r"\empty")
    host.add_volume("E:", acls=False)
    return host


@pytest.mark.parametrize(
    ("call", "code"),
    [
        (lambda p: p.read("missing"), 2),
        (lambda p: p.read(r"missing\x"), 3),
        (lambda p: p.read(r"file\x"), 3),
        (lambda p: p.read(r"Q:\x"), 3),
        (lambda p: p.read(r"\\nobody\share\x"), 53),
        (lambda p: p.read("sub"), 5),
        (lambda p: p.write("sub", b""), 5),
        (lambda p: p.open("file", "x"), 80),
        (lambda p: p.mkdir("file"), 183),
        (lambda p: p.mkdir(r"no\such"), 3),
        (lambda p: p.rmdir("sub"), 145),
        (lambda p: p.rmdir("file"), 267),
        (lambda p: p.listdir("file"), 267),
        (lambda p: p.listdir("missing"), 3),
        (lambda p: p.listdir(r"missing\below"), 3),
        (lambda p: p.write(r"E:\file:stream", b""), 123),
        (lambda p: p.write(r"E:\file", b""), 0),
        (lambda p: p.write("NUL", b"x"), 0),
        (lambda p: p.append(r"sub\nul", b"x"), 0),
        (lambda p: p.write(r"\\.\NUL", b"x"), 0),
        (lambda p: p.write("CON", b"x"), 2),
        (lambda p: p.write("COM1", b"x"), 2),
        (lambda p: p.write(r"\\.\C:", b"x"), 5),
        (lambda p: p.mkdir("NUL"), 267),
        (lambda p: p.remove("NUL"), 87),
        (lambda p: p.remove("empty"), 5),
        (lambda p: p.remove("missing"), 2),
        (lambda p: p.rename("file", "empty"), 183),
        (lambda p: p.rename("file", r"sub\inner"), 183),
        (lambda p: p.rename("missing", "x"), 2),
        (lambda p: p.replace("file", "empty"), 5),
        (lambda p: p.rename("sub", r"sub\below"), 32),
        (lambda p: p.rename("file", r"C:\Users\alice\file"), 17),
        (lambda p: p.link("sub", "other"), 5),
        (lambda p: p.link("file", "empty"), 183),
        (lambda p: p.symlink("file", "link"), 1314),
        (lambda p: p.write("a<b", b""), 123),
        (lambda p: p.write("n" * 256, b""), 3),
        (lambda p: p.write("\\\\?\\D:\\work\\" + "n" * 256, b""), 123),
        (lambda p: p.mkdir("d" * 245), 206),
        (lambda p: p.write("\\\\?\\D:\\work\\" + "n" * 250, b""), 0),
        (lambda p: p.write("file", b""), 0),
        (lambda p: p.write("file. .", b""), 0),
        (lambda p: p.read("./sub/../FILE"), 0),
        (lambda p: p.rename("file", "FILE"), 0),
        (lambda p: p.replace("file", r"sub\inner"), 0),
        (lambda p: p.rename("sub", r"empty\sub"), 0),
    ],
)
def test_windows_codes(call: Call, code: int) -> None:
    assert attempt(made(), call) == code


def test_trailing_dots_are_dropped_by_the_win32_layer_and_kept_behind_the_prefix() -> None:
    host = made()
    attempt(host, lambda p: p.write("name. ", b""))
    assert "name" in host.tree(WORK)
    attempt(host, lambda p: p.write("\\\\?\\D:\\work\\other. ", b""))
    assert "other. " in host.tree(WORK)


def test_a_case_sensitive_directory_holds_both() -> None:
    host = made()
    host.case_sensitive(WORK + r"\empty")
    attempt(host, lambda p: p.write(r"empty\name", b"1"))
    attempt(host, lambda p: p.write(r"empty\NAME", b"2"))
    assert host.read_file(WORK + r"\empty\name") == b"1"
    attempt(host, lambda p: p.write(r"sub\name", b"1"))
    attempt(host, lambda p: p.write(r"sub\NAME", b"2"))
    assert host.read_file(WORK + r"\sub\name") == b"2"


def test_a_junction_leads_on_the_way_and_is_itself_at_the_end() -> None:
    host = made()
    host.junction(WORK + r"\sub", r"D:\link")
    files = host.files
    with files.open(r"D:\link\inner", mask.FILE_READ_DATA) as opened:
        assert files.final_path(opened) == r"D:\work\sub\inner"
    with files.open(r"D:\link", mask.FILE_READ_ATTRIBUTES) as opened:
        assert files.info(opened).reparse
        assert files.final_path(opened) == r"D:\link"
    with files.open(r"D:\link", mask.FILE_READ_ATTRIBUTES, follow=True) as opened:
        assert files.final_path(opened) == r"D:\work\sub"
    assert attempt(host, lambda p: p.rmdir(r"D:\link")) == 0
    assert host.exists(WORK + r"\sub\inner")


def test_a_relative_symbolic_link_is_taken_from_its_directory() -> None:
    host = SimulatedHost(developer_mode=True)
    host.mkdir(WORK, "D:(A;OICI;FA;;;U)")
    host.write_file(WORK + r"\a\target", b"here")
    assert attempt(host, lambda p: p.symlink(r"..\a\target", "a\\..\\link")) == 0
    host.symlink(r"..\a\target", WORK + r"\b\link")
    assert host.read_file(WORK + r"\b\link") == b"here"


def test_links_in_a_circle_are_code_1921() -> None:
    host = made()
    host.junction(r"D:\two", r"D:\one")
    host.junction(r"D:\one", r"D:\two")
    assert attempt(host, lambda p: p.read(r"D:\one\x")) == 1921


def test_a_short_name_and_a_subst_drive_resolve_to_the_true_path() -> None:
    host = made()
    host.short_name(WORK + r"\sub", "SUBFOL~1")
    host.subst("X:", WORK)
    with host.files.open(r"X:\subfol~1\INNER", mask.FILE_READ_DATA) as opened:
        assert host.files.final_path(opened) == r"D:\work\sub\inner"
    assert [name for name in host.tree(WORK) if "~" in name] == []
    assert {"C:\\", "D:\\", "X:\\"} <= {volume.root for volume in host.files.drives()}


# --- sharing


READ = mask.FILE_READ_DATA


@pytest.mark.parametrize(
    ("first", "first_share", "second", "second_share", "code"),
    [
        (READ, SHARE_READ, READ, SHARE_READ, 0),
        (READ, SHARE_READ, mask.FILE_WRITE_DATA, 7, 32),
        (READ, SHARE_READ | SHARE_WRITE, mask.FILE_WRITE_DATA, 7, 0),
        (READ, SHARE_READ | SHARE_WRITE, mask.FILE_WRITE_DATA, SHARE_WRITE, 32),
        (READ, SHARE_READ | SHARE_WRITE, mask.DELETE, 7, 32),
        (READ, 7, mask.DELETE, 7, 0),
        # Attributes and descriptors alone take no part, on either side.
        (mask.FILE_READ_ATTRIBUTES, 0, mask.DELETE, 7, 0),
        (READ, 0, mask.READ_CONTROL, 0, 0),
        (mask.WRITE_DAC, 0, READ, 0, 0),
        (mask.FILE_EXECUTE, 0, READ, 7, 32),
    ],
)
def test_two_opens_go_together_if_each_allows_the_other(
    first: int, first_share: int, second: int, second_share: int, code: int
) -> None:
    host = made()
    path = WORK + r"\file"
    with host.files.open(path, first, share=first_share):
        got = 0
        try:
            host.files.open(path, second, share=second_share).close()
        except OSError as error:
            got = getattr(error, "winerror", -1)
    assert got == code
    host.files.open(path, second, share=second_share).close()


def test_a_pinned_directory_is_neither_deleted_nor_renamed_nor_its_parents() -> None:
    host = made()
    host.mkdir(WORK + r"\sub\deep\pinned")
    pin = host.files.open(WORK + r"\sub\deep\pinned", mask.FILE_LIST_DIRECTORY, share=SHARE_READ | SHARE_WRITE)
    with pin:
        assert attempt(host, lambda p: p.rmdir(r"sub\deep\pinned")) == 32
        assert attempt(host, lambda p: p.rename(r"sub\deep\pinned", "x")) == 32
        assert attempt(host, lambda p: p.rename(r"sub\deep", "x")) == 5
        assert attempt(host, lambda p: p.rename("sub", "x")) == 5
        assert attempt(host, lambda p: p.write(r"sub\deep\pinned\new", b"")) == 0
    assert attempt(host, lambda p: p.rename("sub", "x")) == 0


def test_a_target_that_is_open_is_not_replaced_unless_it_shares_deleting() -> None:
    host = made()
    host.write_file(WORK + r"\target")
    with host.files.open(WORK + r"\target", READ, share=SHARE_READ | SHARE_WRITE):
        assert attempt(host, lambda p: p.replace("file", "target")) == 5
    with host.files.open(WORK + r"\target", READ) as old:
        assert attempt(host, lambda p: p.replace("file", "target")) == 0
        assert host.files.read(old, 10) == b""
    assert host.read_file(WORK + r"\target") == b"content"


def test_replacing_takes_the_right_to_delete_the_target() -> None:
    host = SimulatedHost()
    host.mkdir(WORK, "D:AI(A;;0x1201bf;;;U)(A;OICIIO;0x1f01bf;;;U)")
    host.write_file(WORK + r"\file", b"new")
    host.write_file(WORK + r"\target", b"old", "D:(A;;0x1201bf;;;U)")
    assert attempt(host, lambda p: p.replace("file", "target")) == 5
    assert host.read_file(WORK + r"\target") == b"old"
    host.set_sddl(WORK + r"\target", "D:(A;;0x1301bf;;;U)")
    assert attempt(host, lambda p: p.replace("file", "target")) == 0
    assert host.read_file(WORK + r"\target") == b"new"


# --- deletion


def test_a_name_goes_with_the_last_handle_and_is_blocked_until_then() -> None:
    host = made()
    path = WORK + r"\file"
    with host.files.open(path, READ), host.files.open(path, mask.DELETE) as doomed:
        host.files.delete(doomed)
        doomed.close()
        assert attempt(host, lambda p: p.read("file")) == 5
        assert attempt(host, lambda p: p.write("file", b"")) == 5
    assert not host.exists(path)
    assert attempt(host, lambda p: p.write("file", b"")) == 0


def test_a_read_only_file_is_neither_written_nor_deleted_by_a_program() -> None:
    host = made()
    host.set_readonly(WORK + r"\file")
    assert attempt(host, lambda p: p.write("file", b"")) == 5
    assert attempt(host, lambda p: p.remove("file")) == 5
    with pytest.raises(PermissionError):
        host.files.open(WORK + r"\file", mask.FILE_WRITE_DATA)
    assert attempt(host, lambda p: p.set_readonly("file", False)) == 0
    assert attempt(host, lambda p: p.write("file", b"")) == 0
    assert attempt(host, lambda p: p.remove("file")) == 0


@pytest.mark.parametrize("sddl", ["D:P(A;;FA;;;SY)", "D:P(D;;FA;;;U)", "D:P"])
@pytest.mark.parametrize(("above", "code"), [("D:(A;OICI;FA;;;U)", 0), ("D:(A;OICI;0x1f01bf;;;U)", 5)])
def test_a_directory_that_grants_delete_child_gives_away_what_denies_everything(
    sddl: str, above: str, code: int
) -> None:
    """KB Q238018. DeleteFileW asks for no SYNCHRONIZE, which nobody could give but the file's own list."""
    host = made()
    host.set_sddl(WORK, above)
    for name in ("removed", "renamed"):
        host.write_file(rf"{WORK}\{name}", b"x", sddl)
    host.mkdir(WORK + r"\sealed", sddl)
    assert attempt(host, lambda p: p.read("removed")) == 5
    assert attempt(host, lambda p: p.remove("removed")) == code
    assert attempt(host, lambda p: p.rename("renamed", "other")) == code
    assert attempt(host, lambda p: p.rmdir("sealed")) == code


def test_the_null_device_swallows_and_makes_no_file() -> None:
    host = made()

    def program(process: SimulatedProcess) -> None:
        process.write("NUL", b"x")
        assert process.read(r"sub\NUL") == b""
        with process.open("nul", "r+") as file:
            assert file.write(b"abc") == 3
            file.seek(0)
            assert file.read() == b""
        for name in ("CON", "con", r"sub\AUX", "lpt1"):
            with pytest.raises(FileNotFoundError):
                process.write(name, b"x")

    before = host.tree("D:\\")
    assert attempt(host, program) == 0
    assert host.tree("D:\\") == before


def test_one_of_two_hard_links_goes_and_the_other_stays() -> None:
    host = made()
    host.link(WORK + r"\file", WORK + r"\second")
    info = host.files.query(WORK + r"\file")
    assert info is not None
    assert info.links == 2
    assert attempt(host, lambda p: p.remove("file")) == 0
    assert host.read_file(WORK + r"\second") == b"content"
    info = host.files.query(WORK + r"\second")
    assert info is not None
    assert info.links == 1


def test_nothing_is_made_in_a_directory_that_is_being_deleted() -> None:
    host = made()
    with host.files.open(WORK + r"\empty", mask.DELETE | mask.FILE_LIST_DIRECTORY) as doomed:
        host.files.delete(doomed)
        with pytest.raises(PermissionError):
            host.files.create_file(doomed, "late", READ)
    assert not host.exists(WORK + r"\empty")


# --- handles follow


def test_a_handle_follows_its_object_through_a_rename() -> None:
    host = made()
    with host.files.open(WORK + r"\file", READ) as opened:
        assert attempt(host, lambda p: p.rename("file", r"sub\moved")) == 0
        assert host.files.final_path(opened) == r"D:\work\sub\moved"
        assert host.files.read(opened, 7) == b"content"


def test_a_parents_handle_is_that_directory_wherever_it_is() -> None:
    host = made()
    with host.files.open(WORK + r"\empty", READ) as parent:
        assert attempt(host, lambda p: p.rename("empty", "renamed")) == 0
        host.files.create_file(parent, "made", READ).close()
    assert host.exists(WORK + r"\renamed\made")


def test_a_new_file_of_a_program_can_be_rewritten_through_its_own_handle_only() -> None:
    """Its creator has all the access he asked for, whatever the DACL that it inherited."""
    host = SimulatedHost()
    host.mkdir(WORK, "D:AI(A;;FA;;;U)(A;OIIO;0x2;;;U)")

    def program(process: SimulatedProcess) -> None:
        with process.open("new", "w", access=mask.GENERIC_ALL) as file:
            file.write(b"x")
            file.set_security("D:(A;;FR;;;U)")
        with pytest.raises(PermissionError):
            process.write("new", b"y")

    assert attempt(host, program) == 0
    assert "FR" in host.sddl(WORK + r"\new")


def test_the_tree_shows_everything_once_and_follows_nothing() -> None:
    host = made()
    host.junction("C:\\", WORK + r"\junction")
    assert host.tree(WORK) == {
        "": "directory",
        "empty": "directory",
        "file": "file",
        "junction": "link to C:\\",
        "sub": "directory",
        r"sub\inner": "file",
    }


def test_a_label_above_the_writers_own_is_refused() -> None:
    for host, code in ((SimulatedHost.low(), 1314), (SimulatedHost(), 0)):
        low = r"C:\Users\alice\AppData\LocalLow\mine"
        host.mkdir(low)
        medium = SecurityDescriptor.from_sddl("S:(ML;;NW;;;ME)").to_bytes()
        got = 0
        with host.files.open(low, mask.WRITE_OWNER) as opened:
            try:
                host.files.set_security(opened, medium, dacl=False, label=True)
            except OSError as error:
                got = getattr(error, "winerror", -1)
        assert got == code
        assert ("ML;;NW;;;ME" in host.sddl(low)) == (code == 0)


def test_nobody_makes_files_that_belong_to_others() -> None:
    host = made()
    assert attempt(host, lambda p: p.mkdir("theirs", descriptor="O:BAD:(A;;FA;;;U)")) == 1307
    assert attempt(host, lambda p: p.mkdir("mine", descriptor="O:UD:(A;;FA;;;U)")) == 0


def test_a_query_hides_no_failure_but_that_nothing_is_there() -> None:
    host = made()
    with pytest.raises(OSError) as error:
        host.files.query("D:\\" + "x\\" * 20000)
    assert getattr(error.value, "winerror", 0) == 206
    assert host.files.query(r"D:\nothing\at\all") is None
