"""A real tree's metadata in the simulation."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from tests.capabilities import needs
from winsandbox._host import REPARSE_SYMLINK
from winsandbox.testing import SimulatedHost

AT = r"C:\src\project"


def test_names_kinds_sizes_and_times_are_taken_and_no_content(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "a.py").write_bytes(b"12345")
    os.utime(tmp_path / "src" / "a.py", (1_700_000_000, 1_700_000_000))
    host = SimulatedHost()
    assert host.mirror(tmp_path, AT) == 3
    assert host.tree(AT) == {"": "directory", "src": "directory", r"src\a.py": "file"}
    info = host.files.query(AT + r"\src\a.py")
    assert info is not None
    assert (info.size, info.modified) == (5, 116444736000000000 + 1_700_000_000 * 10_000_000)
    assert host.read_file(AT + r"\src\a.py") == b""


def test_everything_inherits_as_if_the_user_had_made_it(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "f").touch()
    host = SimulatedHost()
    host.mirror(tmp_path, r"C:\Users\alice\project")
    host.mkdir(r"C:\Users\alice\made\d")
    host.write_file(r"C:\Users\alice\made\d\f")
    for name in ("d", r"d\f"):
        assert host.sddl(rf"C:\Users\alice\project\{name}") == host.sddl(rf"C:\Users\alice\made\{name}")


def test_hard_links_stay_one_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x")
    os.link(tmp_path / "a", tmp_path / "b")
    host = SimulatedHost()
    host.mirror(tmp_path, AT)
    first, second = host.files.query(AT + r"\a"), host.files.query(AT + r"\b")
    assert first is not None
    assert second is not None
    assert first.identity == second.identity
    assert first.links == 2


@needs("symlinks")
def test_links_stay_links(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "f").touch()
    (tmp_path / "inside").symlink_to("real", target_is_directory=True)
    (tmp_path / "absolute").symlink_to(tmp_path / "real", target_is_directory=True)
    (tmp_path / "outside").symlink_to(tmp_path.parent, target_is_directory=True)
    (tmp_path / "dangling").symlink_to("nowhere")
    host = SimulatedHost()
    host.mirror(tmp_path, AT)
    for name in ("inside", "absolute", "outside", "dangling"):
        info = host.files.query(f"{AT}\\{name}", follow=False)
        assert info is not None
        assert info.reparse_tag == REPARSE_SYMLINK
    for name in ("inside", "absolute"):
        with host.files.open(f"{AT}\\{name}", 0x80, follow=True) as opened:
            assert host.files.final_path(opened) == AT + r"\real"
        assert host.files.query(f"{AT}\\{name}\\f") is not None
    assert host.files.query(f"{AT}\\outside") is None
    assert host.files.query(f"{AT}\\dangling") is None


def test_the_pointer_of_a_worktree_is_kept_in_the_mirrors_words(tmp_path: Path) -> None:
    (tmp_path / "main" / ".git" / "worktrees" / "w").mkdir(parents=True)
    (tmp_path / "w").mkdir()
    (tmp_path / "w" / ".git").write_text(f"gitdir: {tmp_path}/main/.git/worktrees/w\n")
    (tmp_path / "main" / ".git" / "worktrees" / "w" / "commondir").write_bytes(b"../..\n")
    (tmp_path / "main" / "notes.txt").write_text("gitdir: secret")
    host = SimulatedHost()
    host.mirror(tmp_path, AT)
    assert host.read_file(AT + r"\w\.git") == rb"gitdir: C:\src\project\main\.git\worktrees\w" + b"\n"
    assert host.read_file(AT + r"\main\.git\worktrees\w\commondir") == b"../..\n"
    assert host.read_file(AT + r"\main\notes.txt") == b""


@needs("posix")
def test_names_that_windows_cannot_have_are_left_out(tmp_path: Path) -> None:
    for name in ("fine", "a:b", "what?", "case", "CASE"):
        (tmp_path / name).touch()
    host = SimulatedHost()
    host.mirror(tmp_path, AT)
    found = set(host.tree(AT)) - {""}
    assert len(found) == 2
    assert "fine" in found
    assert {name.lower() for name in found} == {"fine", "case"}


def test_what_is_no_directory_is_not_taken_for_an_empty_one(tmp_path: Path) -> None:
    host = SimulatedHost()
    (tmp_path / "file").touch()
    with pytest.raises(FileNotFoundError, match="nothing is no directory"):
        host.mirror(tmp_path / "nothing", AT)
    with pytest.raises(NotADirectoryError):
        host.mirror(tmp_path / "file", AT)
    assert not host.exists(AT)
    (tmp_path / "empty").mkdir()
    assert host.mirror(tmp_path / "empty", AT) == 1


@pytest.mark.slow
def test_a_hundred_thousand_objects_in_seconds(tmp_path: Path) -> None:
    for outer in range(100):
        directory = tmp_path / f"{outer}"
        directory.mkdir()
        for inner in range(999):
            os.close(os.open(directory / f"{inner}.py", os.O_CREAT))
    begun = time.process_time()
    assert SimulatedHost().mirror(tmp_path, AT) == 100_001
    assert time.process_time() - begun < 20
