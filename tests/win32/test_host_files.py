"""WindowsHost's files on real volumes. Descriptors are asserted only where files keep them (not in Wine)."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.capabilities import has, needs
from tests.win32.live import no_new_handles
from winsandbox import _host
from winsandbox._host import SHARE_ALL, SHARE_READ, SHARE_WRITE
from winsandbox._security.ace import allow
from winsandbox._security.acl import Acl
from winsandbox._security.descriptor import SecurityDescriptor
from winsandbox._security.mask import (
    DELETE,
    FILE_ADD_FILE,
    FILE_ADD_SUBDIRECTORY,
    FILE_ALL_ACCESS,
    FILE_LIST_DIRECTORY,
    FILE_READ_ATTRIBUTES,
    FILE_READ_DATA,
    FILE_WRITE_DATA,
    READ_CONTROL,
    WRITE_DAC,
)
from winsandbox._security.sid import EVERYONE, Sid
from winsandbox._win32.host import WindowsHost
from winsandbox._win32.host_files import HostFiles, verbatim
from winsandbox.errors import WinError

pytestmark = needs("windows")

FOLDER = FILE_LIST_DIRECTORY | FILE_ADD_FILE | FILE_ADD_SUBDIRECTORY


@pytest.fixture
def files() -> _host.Files:
    return WindowsHost().files


@pytest.fixture(autouse=True)
def no_handle_is_left_open() -> Iterator[None]:
    with no_new_handles():
        yield


@pytest.fixture
def folder(tmp_path: Path, files: _host.Files) -> Iterator[_host.Handle]:
    with files.open(str(tmp_path), FOLDER) as handle:
        yield handle


def test_a_file_is_made_written_read_and_deleted(files: _host.Files, folder: _host.Handle, tmp_path: Path) -> None:
    data = bytes(range(256)) * 1000
    with files.create_file(folder, "a.bin", FILE_WRITE_DATA) as handle:
        files.write(handle, data)
        assert files.info(handle).size == len(data)
    with files.open_at(folder, "A.BIN", FILE_READ_DATA | DELETE) as handle:
        assert files.read(handle, 10) == data[:10]
        assert files.read(handle, len(data)) == data[10:]
        assert files.read(handle, 10) == b""
        files.delete(handle)
    assert list(tmp_path.iterdir()) == []


def test_an_existing_name_is_refused_and_kept(files: _host.Files, folder: _host.Handle, tmp_path: Path) -> None:
    (tmp_path / "there").write_bytes(b"old")
    for make in (files.create_file, files.create_directory):
        with pytest.raises(FileExistsError) as caught:
            make(folder, "There", FILE_READ_ATTRIBUTES)
        assert getattr(caught.value, "winerror", 0) in (80, 183)
        assert caught.value.filename == "There"
    assert (tmp_path / "there").read_bytes() == b"old"


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a\\b", "a/b", "\\a", "a:stream", "a::$DATA", "a\0b", "a*", "C:", "x" * 40000]
)
def test_a_name_that_is_more_than_an_entry_is_refused(
    files: _host.Files, folder: _host.Handle, tmp_path: Path, name: str
) -> None:
    for make in (files.create_file, files.create_directory, files.open_at):
        with pytest.raises(WinError) as caught:
            make(folder, name, FILE_READ_ATTRIBUTES)
        assert caught.value.winerror == 123
    assert list(tmp_path.iterdir()) == []


def test_an_entry_stays_below_its_parent_when_the_path_is_moved(files: _host.Files, tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    with files.open(str(tmp_path / "one"), FOLDER, share=SHARE_ALL) as parent:
        (tmp_path / "one").rename(tmp_path / "two")
        (tmp_path / "one").mkdir()
        files.create_file(parent, "x", FILE_READ_ATTRIBUTES).close()
    assert not (tmp_path / "one" / "x").exists()
    assert (tmp_path / "two" / "x").exists()


def test_a_directory_lists_every_entry_once_and_starts_anew_each_time(
    files: _host.Files, folder: _host.Handle, tmp_path: Path
) -> None:
    # More than one buffer of entries, so that a listing goes on where the last portion ended
    names = {f"entry {number:04} {'x' * 120} ä€😀" for number in range(700)}
    for name in names:
        (tmp_path / name).touch()
    (tmp_path / "directory").mkdir()
    for _ in range(2):
        found = list(files.entries(folder))
        assert len(found) == len(names) + 1
        assert {entry.name for entry in found} == names | {"directory"}
        assert [entry.name for entry in found if entry.directory] == ["directory"]


def test_an_entry_and_its_object_have_one_identity(files: _host.Files, folder: _host.Handle, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"12345")
    (tmp_path / "b").mkdir()
    entries = {entry.name: entry for entry in files.entries(folder)}
    assert entries.keys() == {"a", "b"}
    for name, entry in entries.items():
        with files.open_at(folder, name, FILE_READ_ATTRIBUTES) as handle:
            info = files.info(handle)
            assert info.identity == entry.identity
            assert (info.attributes, info.size, info.modified) == (entry.attributes, entry.size, entry.modified)
    assert entries["a"].identity != entries["b"].identity
    assert entries["a"].size == 5


def test_hard_links_are_counted(files: _host.Files, tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    os.link(tmp_path / "a", tmp_path / "b")
    first, second = files.query(str(tmp_path / "a")), files.query(str(tmp_path / "b"))
    assert first is not None
    assert second is not None
    assert first.links == second.links == 2
    assert first.identity == second.identity


def test_a_read_only_file_can_be_deleted(files: _host.Files, folder: _host.Handle, tmp_path: Path) -> None:
    (tmp_path / "object").write_bytes(b"git")
    (tmp_path / "object").chmod(0o444)
    with files.open_at(folder, "object", DELETE | 0x100) as handle:  # FILE_WRITE_ATTRIBUTES
        files.delete(handle)
    assert not (tmp_path / "object").exists()


def test_a_directory_with_entries_is_not_deleted(files: _host.Files, folder: _host.Handle, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    with files.open_at(folder, "full", DELETE) as handle, pytest.raises(WinError) as caught:
        files.delete(handle)
    assert caught.value.winerror == 145
    assert (tmp_path / "full" / "x").exists()


def test_what_is_held_without_sharing_deletes_is_neither_deleted_nor_renamed(
    files: _host.Files, tmp_path: Path
) -> None:
    (tmp_path / "kept").mkdir()
    with files.open(str(tmp_path / "kept"), FILE_LIST_DIRECTORY, share=SHARE_READ | SHARE_WRITE):
        with pytest.raises(PermissionError) as caught:
            (tmp_path / "kept").rmdir()
        assert getattr(caught.value, "winerror", 0) in (5, 32)
        with pytest.raises(PermissionError) as caught:
            (tmp_path / "kept").rename(tmp_path / "gone")
        assert getattr(caught.value, "winerror", 0) in (5, 32)
        (tmp_path / "kept" / "inside").touch()
    (tmp_path / "kept" / "inside").unlink()
    (tmp_path / "kept").rename(tmp_path / "gone")
    assert (tmp_path / "gone").is_dir()


def test_final_paths_have_their_true_case_and_no_prefix(files: _host.Files, tmp_path: Path) -> None:
    (tmp_path / "MixedCase").mkdir()
    with files.open(str(tmp_path / "mixedcase"), FILE_READ_ATTRIBUTES, follow=True) as handle:
        path = files.final_path(handle)
    assert path.endswith("\\MixedCase")
    assert path[1:3] == ":\\"


def test_a_path_beyond_260_characters(files: _host.Files, folder: _host.Handle, tmp_path: Path) -> None:
    path, parents = str(tmp_path), [files.open(str(tmp_path), FOLDER)]
    try:
        for _ in range(4):
            path += "\\" + "d" * 80
            parents.append(files.create_directory(parents[-1], "d" * 80, FOLDER | DELETE))
        assert len(path) > 320
        found = files.query(path)
        assert found is not None
        assert found.directory
        if not has("wine"):  # error 234 there, beyond 260 characters
            assert files.final_path(parents[-1]).endswith("\\" + "d" * 80)
        for handle in reversed(parents[1:]):
            files.delete(handle)
            handle.close()
    finally:
        for handle in parents:
            handle.close()


def test_query_tells_nothing_from_a_failure(files: _host.Files, tmp_path: Path) -> None:
    assert files.query(str(tmp_path / "no")) is None
    assert files.query(str(tmp_path / "no" / "no")) is None
    there = files.query(str(tmp_path))
    assert there is not None
    assert there.directory
    assert not there.reparse
    with pytest.raises(WinError) as caught:
        files.query(str(tmp_path / "a*b"))
    assert caught.value.winerror == 123


def test_a_failure_names_the_path_as_it_was_given(files: _host.Files, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        files.open(str(tmp_path / "no"), FILE_READ_DATA)
    assert caught.value.filename == str(tmp_path / "no")


@pytest.mark.parametrize(
    ("path", "literal"),
    [
        ("C:\\", "\\\\?\\C:\\"),
        ("C:\\a", "\\\\?\\C:\\a"),
        ("C:/a/b", "\\\\?\\C:\\a\\b"),
        ("C:\\a\\", "\\\\?\\C:\\a"),
        ("C:\\a.", "\\\\?\\C:\\a."),
        ("C:\\a\\con", "\\\\?\\C:\\a\\con"),
        ("\\\\server\\share\\x", "\\\\server\\share\\x"),
        ("\\\\?\\C:\\a", "\\\\?\\C:\\a"),
        ("NUL", "NUL"),
    ],
)
def test_paths_with_a_drive_are_taken_literally(path: str, literal: str) -> None:
    assert verbatim(path) == literal


def test_volumes_and_drives(files: _host.Files, tmp_path: Path) -> None:
    with files.open("C:\\", FILE_READ_ATTRIBUTES) as handle:
        volume = files.volume(handle)
        assert files.info(handle).identity.volume & 0xFFFFFFFF == volume.serial
    assert volume.root.upper() == "C:\\"
    assert volume.kind == "fixed"
    assert volume.persistent_acls
    drives = {drive.root: drive for drive in files.drives()}
    assert drives["C:\\"] == volume


def test_known_folders_are_directories_and_do_not_come_from_the_environment(
    files: _host.Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("USERPROFILE", "C:\\elsewhere")
    monkeypatch.setenv("LOCALAPPDATA", "C:\\elsewhere")
    folders = files.known_folders()
    for path in (folders.windows, folders.system, *folders.program_files, folders.profile, folders.local_app_data):
        found = files.query(path)
        assert found is not None, path
        assert found.directory
        assert "elsewhere" not in path
    assert len(folders.startup) == 2


def test_security_is_a_descriptor_of_any_size(files: _host.Files, folder: _host.Handle, tmp_path: Path) -> None:
    with files.create_file(folder, "a", READ_CONTROL) as handle:
        descriptor = SecurityDescriptor.from_bytes(files.security(handle))
    assert descriptor.owner is not None
    assert descriptor.dacl is not None


@needs("stored acls")
def test_a_dacl_on_a_file_comes_back_to_the_byte(files: _host.Files, folder: _host.Handle) -> None:
    sids = [Sid(5, 21, 1, 2, 3, number) for number in range(200)]  # more than the first buffer holds
    dacl = Acl([allow(EVERYONE, FILE_ALL_ACCESS), *(allow(sid, FILE_READ_DATA) for sid in sids)])
    with files.create_file(folder, "a", READ_CONTROL | WRITE_DAC) as handle:
        files.set_security(handle, SecurityDescriptor(dacl=dacl).to_bytes())
        assert SecurityDescriptor.from_bytes(files.security(handle)).dacl == dacl


def test_writing_a_descriptor_needs_the_right_on_the_handle(files: _host.Files, folder: _host.Handle) -> None:
    descriptor = SecurityDescriptor(dacl=Acl([allow(EVERYONE, FILE_ALL_ACCESS)])).to_bytes()
    with files.create_file(folder, "a", READ_CONTROL) as handle, pytest.raises(PermissionError):
        files.set_security(handle, descriptor)
    with files.open_at(folder, "a", READ_CONTROL | WRITE_DAC) as handle:
        files.set_security(handle, descriptor)


def test_the_database_is_the_files(files: _host.Files, tmp_path: Path) -> None:
    first = files.database(str(tmp_path / "ledger.sqlite"))
    second = files.database(str(tmp_path / "ledger.sqlite"))
    try:
        first.execute("CREATE TABLE t (x)")
        first.execute("BEGIN IMMEDIATE")
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            second.execute("BEGIN IMMEDIATE")
        first.execute("COMMIT")
        second.execute("BEGIN IMMEDIATE")
        second.execute("COMMIT")
    finally:
        first.close()
        second.close()


def test_failures_leave_no_handle(files: _host.Files, folder: _host.Handle) -> None:
    files.create_file(folder, "a", READ_CONTROL).close()
    with files.open_at(folder, "a", READ_CONTROL) as handle, no_new_handles():
        for _ in range(20):
            with pytest.raises(WinError):
                files.write(handle, b"x")
            with pytest.raises(WinError):
                list(files.entries(handle))
            with pytest.raises(WinError):
                files.open_at(folder, "missing", FILE_READ_DATA)
            assert files.query("C:\\missing") is None


def test_a_closed_handle_is_refused(files: _host.Files, tmp_path: Path) -> None:
    handle = HostFiles().open(str(tmp_path), FILE_READ_ATTRIBUTES)
    handle.close()
    with pytest.raises(ValueError, match="closed"):
        files.info(handle)
