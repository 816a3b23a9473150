"""Files, as every host must have them."""

from __future__ import annotations

import sqlite3

import pytest

from tests.host.place import Place
from winsandbox._host import SHARE_READ, SHARE_WRITE, FileInfo
from winsandbox._security import ace, acl, inherit, mask
from winsandbox._security.descriptor import SecurityDescriptor
from winsandbox._security.sid import EVERYONE, Sid
from winsandbox.errors import WinError

STRANGER = Sid.parse("S-1-5-21-1-2-3-4")


def code(error: pytest.ExceptionInfo[WinError]) -> int:
    return error.value.winerror


def test_what_is_made_through_a_parents_handle_is_found_through_it_and_by_path(place: Place) -> None:
    files = place.host.files
    with place.open() as parent:
        with files.create_directory(parent, "made", mask.FILE_LIST_DIRECTORY) as made:
            identity = files.info(made).identity
        with files.open_at(parent, "made", mask.FILE_READ_ATTRIBUTES) as again:
            assert files.info(again).identity == identity
            assert files.info(again).directory
    with place.open("made") as by_path:
        assert files.info(by_path).identity == identity


def test_the_new_handle_can_be_used_as_a_parent_at_once(place: Place) -> None:
    files = place.host.files
    with place.open() as parent, files.create_directory(parent, "a", mask.FILE_LIST_DIRECTORY) as outer:
        files.create_directory(outer, "b", mask.FILE_LIST_DIRECTORY).close()
    with place.open("a\\b") as found:
        assert files.final_path(found).endswith("\\a\\b")


@pytest.mark.parametrize("kind", ["create_file", "create_directory"])
def test_making_what_exists_is_an_error_whatever_its_kind(place: Place, kind: str) -> None:
    place.make_file("there")
    with place.open() as parent, pytest.raises(FileExistsError) as error:
        getattr(place.host.files, kind)(parent, "THERE", mask.FILE_LIST_DIRECTORY)
    assert getattr(error.value, "winerror", 0) in (80, 183)


def test_a_missing_entry_is_code_2_and_a_missing_directory_code_3(place: Place) -> None:
    with place.open() as parent, pytest.raises(WinError) as entry:
        place.host.files.open_at(parent, "missing", mask.FILE_READ_ATTRIBUTES)
    with pytest.raises(WinError) as file:
        place.open("missing")
    with pytest.raises(WinError) as directory:
        place.open("missing\\below")
    assert (code(entry), code(file), code(directory)) == (2, 2, 3)


def test_a_failing_open_tells_the_path(place: Place) -> None:
    with pytest.raises(FileNotFoundError) as error:
        place.open("missing")
    assert error.value.filename == f"{place.path}\\missing"


def test_query_tells_what_lies_at_a_path_and_none_for_nothing(place: Place) -> None:
    place.make_file("file", b"12345")
    files = place.host.files
    found = files.query(f"{place.path}\\file")
    assert isinstance(found, FileInfo)
    assert (found.size, found.directory, found.links) == (5, False, 1)
    assert files.query(f"{place.path}\\nothing") is None
    assert files.query(f"{place.path}\\nothing\\below") is None


def test_names_compare_without_case_and_keep_theirs(place: Place) -> None:
    place.make_file("ReadMe.TXT")
    with place.open("readme.txt") as found:
        assert place.host.files.final_path(found).endswith("\\ReadMe.TXT")
    with place.open() as parent:
        assert [entry.name for entry in place.host.files.entries(parent)] == ["ReadMe.TXT"]


@pytest.mark.parametrize("name", ["", ".", "..", "a\\b", "a/b", "a:b", "a*", "a?", "a\0b", 'a"b', "a|b", "<a>"])
def test_a_name_that_is_no_single_component_is_refused(place: Place, name: str) -> None:
    files = place.host.files
    with place.open() as parent:
        for call in (files.open_at, files.create_file, files.create_directory):
            with pytest.raises(WinError) as error:
                call(parent, name, mask.FILE_READ_ATTRIBUTES)
            assert code(error) == 123
        assert list(files.entries(parent)) == []


def test_two_objects_have_two_identities_on_one_volume(place: Place) -> None:
    place.make_file("a")
    place.make_file("b")
    with place.open("a") as first, place.open("b") as second:
        one, other = place.host.files.info(first).identity, place.host.files.info(second).identity
    assert one.volume == other.volume
    assert one.file != other.file


def test_what_is_written_is_read_in_order_and_its_size_is_told(place: Place) -> None:
    place.make_file("file", b"one two")
    with place.open("file") as opened:
        assert place.host.files.info(opened).size == 7
        assert place.host.files.read(opened, 3) == b"one"
        assert place.host.files.read(opened, 100) == b" two"
        assert place.host.files.read(opened, 100) == b""


def test_a_handle_does_only_what_it_was_opened_for(place: Place) -> None:
    place.make_file("file", b"x")
    files = place.host.files
    with place.open("file", mask.FILE_GENERIC_READ) as reading, pytest.raises(WinError) as writing:
        files.write(reading, b"y")
    with place.open("file", mask.FILE_READ_DATA) as plain, pytest.raises(WinError) as deleting:
        files.delete(plain)
    with place.open("file", mask.FILE_WRITE_DATA) as writer, pytest.raises(WinError) as read:
        files.read(writer, 1)
    assert (code(writing), code(deleting), code(read)) == (5, 5, 5)
    assert files.query(f"{place.path}\\file") is not None


def test_a_deleted_object_goes_when_its_handle_is_closed(place: Place) -> None:
    place.make_file("file")
    files = place.host.files
    with place.open("file", mask.DELETE) as doomed:
        files.delete(doomed)
    assert files.query(f"{place.path}\\file") is None
    place.make_file("file")


def test_a_directory_with_something_in_it_is_not_deleted(place: Place) -> None:
    place.make_directory("full")
    with place.open("full") as full:
        place.host.files.create_file(full, "in", mask.FILE_READ_ATTRIBUTES).close()
    with place.open("full", mask.DELETE) as doomed, pytest.raises(WinError) as error:
        place.host.files.delete(doomed)
    assert code(error) == 145
    with place.open("full\\in", mask.DELETE) as doomed:
        place.host.files.delete(doomed)
    with place.open("full", mask.DELETE) as doomed:
        place.host.files.delete(doomed)
    assert place.host.files.query(f"{place.path}\\full") is None


def test_a_handle_that_does_not_share_deleting_keeps_the_object(place: Place) -> None:
    place.make_directory("pinned")
    with place.open("pinned", mask.FILE_LIST_DIRECTORY, share=SHARE_READ | SHARE_WRITE):
        with pytest.raises(WinError) as error:
            place.open("pinned", mask.DELETE)
        assert code(error) == 32
    with place.open("pinned", mask.DELETE) as doomed:
        place.host.files.delete(doomed)


def test_a_handle_that_shares_everything_keeps_nobody_out(place: Place) -> None:
    place.make_file("file")
    with place.open("file", mask.FILE_GENERIC_READ), place.open("file", mask.DELETE) as other:
        assert not other.closed


def test_a_directorys_entries_are_told_with_kind_size_and_identity(place: Place) -> None:
    place.make_file("file", b"123")
    place.make_directory("directory")
    with place.open() as parent:
        found = {entry.name: entry for entry in place.host.files.entries(parent)}
    assert set(found) == {"file", "directory"}
    assert (found["file"].directory, found["file"].size, found["file"].reparse) == (False, 3, False)
    assert found["directory"].directory
    with place.open("file") as opened:
        info = place.host.files.info(opened)
    assert (found["file"].identity.file, found["file"].modified) == (info.identity.file, info.modified)


def test_many_entries_are_each_told_once(place: Place) -> None:
    names = [f"a rather long name, so that several blocks are needed {number:04}" for number in range(300)]
    with place.open() as parent:
        for name in names:
            place.host.files.create_file(parent, name, mask.FILE_READ_ATTRIBUTES).close()
        assert sorted(entry.name for entry in place.host.files.entries(parent)) == names


def test_a_file_has_no_entries(place: Place) -> None:
    place.make_file("file")
    with place.open("file") as opened, pytest.raises(OSError):
        list(place.host.files.entries(opened))


def test_a_final_path_is_absolute_and_without_prefix(place: Place) -> None:
    with place.open() as opened:
        path = place.host.files.final_path(opened)
    assert path[1:3] == ":\\"
    with place.host.files.open(path, mask.FILE_READ_ATTRIBUTES) as again, place.open() as opened:
        assert place.host.files.info(again).identity == place.host.files.info(opened).identity


def test_a_volume_is_among_the_drives(place: Place) -> None:
    with place.open() as opened:
        volume = place.host.files.volume(opened)
        assert place.host.files.final_path(opened).upper().startswith(volume.root.upper())
    assert volume.root in {drive.root for drive in place.host.files.drives()}
    assert volume.persistent_acls
    assert volume.kind == "fixed"


def test_the_known_folders_exist_and_lie_as_windows_lays_them(place: Place) -> None:
    files = place.host.files
    folders = files.known_folders()
    for path in (folders.windows, folders.system, folders.program_data, folders.profile, folders.local_app_data):
        found = files.query(path)
        assert found is not None
        assert found.directory
    assert folders.system.lower().startswith(folders.windows.lower() + "\\")
    assert folders.local_app_data.lower().startswith(folders.profile.lower() + "\\")
    assert folders.program_files


# --- handles


def test_a_closed_handle_names_nothing(place: Place) -> None:
    handle = place.open()
    handle.close()
    handle.close()
    with pytest.raises((ValueError, OSError)):
        place.host.files.info(handle)


def test_a_handle_of_another_kind_is_refused(place: Place) -> None:
    with place.host.tokens.current() as token, pytest.raises(OSError):
        place.host.files.info(token)


# --- descriptors


def descriptor_of(place: Place, name: str = "") -> SecurityDescriptor:
    with place.open(name, mask.READ_CONTROL) as opened:
        return SecurityDescriptor.from_bytes(place.host.files.security(opened))


def test_a_descriptor_has_owner_group_and_a_list(place: Place) -> None:
    found = descriptor_of(place)
    assert found.owner is not None
    assert found.group is not None
    assert found.dacl is not None
    assert all(entry.type == ace.LABEL for entry in found.sacl or ())


def test_a_descriptor_is_read_only_with_the_right(place: Place) -> None:
    with place.open("", mask.FILE_READ_ATTRIBUTES) as opened, pytest.raises(WinError) as error:
        place.host.files.security(opened)
    assert code(error) == 5


def test_a_written_list_is_read_back_byte_for_byte_and_nothing_else_changes(place: Place) -> None:
    place.need(stores=True)
    place.make_directory("d")
    before = descriptor_of(place, "d")
    assert before.dacl is not None
    wanted = before.rewritten(
        dacl=acl.add(before.dacl, [ace.deny(STRANGER, 0xD0156, 3), ace.allow(STRANGER, 0x1201BF)])
    )
    with place.open("d", mask.READ_CONTROL | mask.WRITE_DAC) as opened:
        place.host.files.set_security(opened, wanted.to_bytes())
    after = descriptor_of(place, "d")
    assert wanted.dacl is not None
    assert after.dacl is not None
    assert after.dacl.to_bytes() == wanted.dacl.to_bytes()
    assert (after.owner, after.group, after.control) == (before.owner, before.group, before.control)


def test_writing_a_list_takes_the_right_to(place: Place) -> None:
    place.need(stores=True)
    found = descriptor_of(place)
    with place.open("", mask.READ_CONTROL) as opened, pytest.raises(WinError) as error:
        place.host.files.set_security(opened, found.to_bytes())
    assert code(error) == 5


def test_what_lies_below_does_not_change_when_a_list_is_written(place: Place) -> None:
    place.need(stores=True)
    place.make_directory("d")
    with place.open("d") as parent:
        place.host.files.create_file(parent, "old", mask.FILE_READ_ATTRIBUTES).close()
    before = descriptor_of(place, "d\\old")
    found = descriptor_of(place, "d")
    assert found.dacl is not None
    with place.open("d", mask.READ_CONTROL | mask.WRITE_DAC) as opened:
        changed = found.rewritten(dacl=acl.add(found.dacl, [ace.allow(STRANGER, 0x1301BF, 3)]))
        place.host.files.set_security(opened, changed.to_bytes())
    assert descriptor_of(place, "d\\old") == before
    with place.open("d") as parent:
        place.host.files.create_file(parent, "new", mask.FILE_READ_ATTRIBUTES).close()
    assert [entry.sid for entry in descriptor_of(place, "d\\new").dacl or ()].count(STRANGER) == 1


@pytest.mark.parametrize("directory", [False, True])
def test_a_new_object_inherits_what_the_model_says(place: Place, directory: bool) -> None:
    place.need(stores=True)
    (place.make_directory if directory else place.make_file)("new")
    with place.host.tokens.current() as token:
        model = place.host.tokens.inspect(token).token
    expected = inherit.child(descriptor_of(place), is_container=directory, token=model)
    found = descriptor_of(place, "new")
    assert found.dacl == expected.dacl
    assert (found.owner, found.control & 0x1404) == (expected.owner, expected.control & 0x1404)


def test_an_explicit_descriptor_inherits_nothing(place: Place) -> None:
    place.need(stores=True)
    with place.host.tokens.current() as token:
        user = place.host.tokens.inspect(token).token.user
    given = SecurityDescriptor(dacl=acl.Acl([ace.allow(user, 0x1F01FF), ace.allow(EVERYONE, 0x120089)]))
    with place.open() as parent:
        place.host.files.create_directory(parent, "own", mask.FILE_LIST_DIRECTORY, descriptor=given.to_bytes()).close()
    assert descriptor_of(place, "own").dacl == given.dacl


def test_a_label_is_written_and_read(place: Place) -> None:
    place.need(stores=True)
    place.make_directory("low")
    before = descriptor_of(place, "low")
    with place.open("low", mask.READ_CONTROL | mask.WRITE_OWNER) as opened:
        given = SecurityDescriptor(sacl=acl.Acl([ace.label(0x1000, flags=3)]))
        place.host.files.set_security(opened, given.to_bytes(), dacl=False, label=True)
    found = descriptor_of(place, "low")
    assert found.sacl is not None
    assert found.sacl[0].mask == ace.NO_WRITE_UP
    assert str(found.sacl[0].sid) == "S-1-16-4096"
    assert found.dacl == before.dacl


# --- databases


def test_a_second_connection_waits_for_nobody_and_sees_what_was_committed(place: Place) -> None:
    path = f"{place.path}\\ledger.sqlite"
    first, second = place.host.files.database(path), place.host.files.database(path)
    try:
        first.execute("CREATE TABLE t (a)")
        first.execute("BEGIN IMMEDIATE")
        first.execute("INSERT INTO t VALUES (1)")
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            second.execute("BEGIN IMMEDIATE")
        first.execute("COMMIT")
        second.execute("BEGIN IMMEDIATE")
        assert second.execute("SELECT a FROM t").fetchall() == [(1,)]
        second.execute("ROLLBACK")
    finally:
        first.close()
        second.close()
    assert place.host.files.query(path) is not None


def test_a_database_in_no_directory_is_sqlites_error(place: Place) -> None:
    with pytest.raises(sqlite3.OperationalError):
        place.host.files.database(f"{place.path}\\nowhere\\ledger.sqlite").execute("SELECT 1")


def test_an_open_database_is_not_deleted_by_others(place: Place) -> None:
    path = f"{place.path}\\ledger.sqlite"
    connection = place.host.files.database(path)
    try:
        connection.execute("CREATE TABLE t (a)")
        with pytest.raises(WinError) as error:
            place.host.files.open(path, mask.DELETE)
        assert code(error) == 32
    finally:
        connection.close()
    with place.host.files.open(path, mask.DELETE) as doomed:
        place.host.files.delete(doomed)
    assert place.host.files.query(path) is None
