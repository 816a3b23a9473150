"""Which file a command is: the child's PATH and nothing else, and what is told before anything is started."""

from __future__ import annotations

import ntpath
from collections.abc import Mapping
from typing import Any, cast

import pytest

from winsandbox._host import REPARSE_APPEXECLINK, REPARSE_SYMLINK, FileId, FileInfo, Host
from winsandbox._resolve import Resolved, resolve
from winsandbox.errors import CommandNotFound, CommandRefused, WinError

SYSTEM = "C:\\Windows\\System32"
ENV = {"Path": f"{SYSTEM};C:\\tools", "PATHEXT": ".COM;.EXE;.BAT;.CMD"}


class Disk:
    """As much of a host as looking for a command needs."""

    def __init__(self, *paths: str, **special: FileInfo) -> None:
        self.found = {path.lower(): info(0) for path in paths}
        self.links: dict[str, str] = {}
        self.denied: set[str] = set()
        self.heads: dict[str, bytes] = {}
        self.asked: list[str] = []

    @property
    def files(self) -> Disk:
        return self

    def query(self, path: str, *, follow: bool = True) -> FileInfo | None:
        self.asked.append(path)
        if path.lower() in self.denied:
            raise WinError(5, "CreateFileW", path)
        if path.lower() in self.links and follow:
            return self.found.get(self.links[path.lower()].lower())
        return self.found.get(path.lower())

    def open(self, path: str, access: int, *, follow: bool = False) -> Any:
        target = self.links.get(path.lower(), path)

        class Opened:
            def __enter__(self) -> str:
                return target

            def __exit__(self, *_: object) -> None:
                return

        return Opened()

    def final_path(self, handle: str) -> str:
        return handle

    def read(self, handle: str, size: int) -> bytes:
        return self.heads.get(handle.lower(), b"")[:size]

    def known_folders(self) -> Any:
        return type("Folders", (), {"system": SYSTEM, "windows": "C:\\Windows"})


def info(attributes: int, tag: int = 0) -> FileInfo:
    return FileInfo(FileId(1, 2), attributes, tag, 1, 0, 0, 0)


def find(disk: Disk, command: str, env: Mapping[str, str] = ENV, cwd: str = "C:\\work") -> Resolved:
    return resolve(cast("Host", disk), command, env, cwd=cwd)


def test_the_first_directory_of_path_wins_and_pathext_gives_the_order() -> None:
    disk = Disk("C:\\tools\\git.cmd", "C:\\tools\\git.exe", f"{SYSTEM}\\cmd.exe")
    assert find(disk, "git") == Resolved("C:\\tools\\git.exe", "program")
    assert find(disk, "git.cmd") == Resolved("C:\\tools\\git.cmd", "batch")
    assert find(disk, "CMD.EXE").application == f"{SYSTEM}\\CMD.EXE"
    assert find(disk, "git", {**ENV, "PATHEXT": ".CMD;.EXE"}).kind == "batch"
    assert find(disk, "git", {"path": "C:\\tools", "pathext": ""}).application == "C:\\tools\\git.exe"


@pytest.mark.parametrize("entry", ["", ".", "bin", "\\bin", "C:", "C:bin", "%BIN%", "\\\\server\\share", "\\\\.\\C:"])
def test_the_working_directory_and_entries_that_depend_on_it_are_never_searched(entry: str) -> None:
    disk = Disk("C:\\work\\git.exe", "C:\\work\\bin\\git.exe", "C:\\bin\\git.exe", "\\\\server\\share\\git.exe")
    with pytest.raises(CommandNotFound) as caught:
        find(disk, "git", {"PATH": f"{entry};C:\\tools"})
    assert all(path.lower().startswith("c:\\tools\\") for path in disk.asked)
    if entry:
        assert repr(entry) in caught.value.remedy
    # The twin: the same file is found as soon as its directory is written out.
    assert find(disk, "git", {"PATH": f"{entry};C:\\work"}).application == "C:\\work\\git.exe"


def test_an_entry_in_quotes_may_hold_a_semicolon() -> None:
    disk = Disk("C:\\a;b\\x.exe")
    assert find(disk, "x", {"PATH": 'C:\\none;"C:\\a;b";C:\\tools'}).application == "C:\\a;b\\x.exe"


def test_a_file_without_a_known_extension_is_no_program() -> None:
    disk = Disk("C:\\tools\\npm", "C:\\tools\\npm.cmd", "C:\\tools\\python3.11.exe", "C:\\tools\\plain")
    assert find(disk, "npm").application == "C:\\tools\\npm.cmd"
    assert find(disk, "python3.11").application == "C:\\tools\\python3.11.exe"
    with pytest.raises(CommandNotFound):
        find(disk, "plain")
    with pytest.raises(CommandRefused, match="no program by its name"):
        find(disk, "C:\\tools\\plain")


@pytest.mark.parametrize(
    ("command", "file"),
    [
        (".\\tool", "C:\\work\\tool.exe"),
        ("./tool.exe", "C:\\work\\tool.exe"),
        ("sub\\..\\tool", "C:\\work\\tool.exe"),
        ("\\other\\tool", "C:\\other\\tool.exe"),
        ("c:/other/tool.exe", "c:\\other\\tool.exe"),
        ("\\\\?\\C:\\other\\tool.exe", "C:\\other\\tool.exe"),
    ],
)
def test_a_command_with_a_separator_is_that_file(command: str, file: str) -> None:
    assert find(Disk("C:\\work\\tool.exe", "C:\\other\\tool.exe"), command).application == file


@pytest.mark.parametrize(
    ("command", "error", "code"),
    [
        ("C:tool.exe", CommandRefused, "command.drive-relative"),
        ("\\\\server\\share\\tool.exe", CommandRefused, "command.not-local"),
        ("\\\\.\\pipe\\tool.exe", CommandRefused, "command.not-local"),
        ("C:\\tools\\tool.exe:hidden.exe", CommandNotFound, "command.not-found"),
        ("tool.exe ", CommandNotFound, "command.not-found"),
        ("tool.exe.", CommandNotFound, "command.not-found"),
        ("C:\\tools.\\tool.exe", CommandNotFound, "command.not-found"),
        ("git status", CommandNotFound, "command.not-found"),
        ('"C:\\tools\\tool.exe"', CommandNotFound, "command.not-found"),
        ("..", CommandNotFound, "command.not-found"),
        ("C:\\tools", CommandNotFound, "command.not-found"),
        ("\ud800", CommandNotFound, "command.not-found"),
    ],
)
def test_what_is_no_local_file_is_refused(command: str, error: type[Exception], code: str) -> None:
    disk = Disk("C:\\tools\\tool.exe", "\\\\server\\share\\tool.exe")
    disk.found["c:\\tools"] = info(0x10)
    with pytest.raises(error) as caught:
        find(disk, command)
    assert caught.value.code == code  # type: ignore[attr-defined]
    assert caught.value.remedy  # type: ignore[attr-defined]


@pytest.mark.parametrize("command", ["", "a\0b", "\0"])
def test_no_command_and_nul_are_value_errors(command: str) -> None:
    with pytest.raises(ValueError, match=r"empty|NUL"):
        find(Disk(), command)


def test_not_found_is_a_file_not_found_error_with_its_number() -> None:
    with pytest.raises(FileNotFoundError) as caught:
        find(Disk(), "nothing")
    assert isinstance(caught.value, CommandNotFound)
    assert caught.value.winerror == 2
    assert caught.value.filename == "nothing"


def test_an_alias_is_passed_over_for_a_real_program_and_refused_without_one() -> None:
    alias = "C:\\Users\\u\\AppData\\Local\\Microsoft\\WindowsApps\\python.exe"
    env = {"PATH": ntpath.dirname(alias) + ";C:\\tools"}
    disk = Disk("C:\\tools\\python.exe")
    disk.found[alias.lower()] = info(0x400, REPARSE_APPEXECLINK)
    found = find(disk, "python", env)
    assert found.application == "C:\\tools\\python.exe"
    assert "app-execution alias" in found.warnings[0]
    del disk.found["c:\\tools\\python.exe"]
    for command in ("python", alias):
        with pytest.raises(CommandRefused, match=r"python\.org") as caught:
            find(disk, command, env)
        assert caught.value.code == "command.store-app"


def test_an_alias_elsewhere_and_a_link_into_windowsapps_are_refused() -> None:
    disk = Disk("C:\\Program Files\\WindowsApps\\pwsh_1\\pwsh.exe")
    disk.found["c:\\tools\\python.exe"] = info(0x400, REPARSE_APPEXECLINK)
    disk.found["c:\\tools\\pwsh.exe"] = info(0x400, REPARSE_SYMLINK)
    disk.links["c:\\tools\\pwsh.exe"] = "C:\\Program Files\\WindowsApps\\pwsh_1\\pwsh.exe"
    for command in ("python", "pwsh"):
        with pytest.raises(CommandRefused) as caught:
            find(disk, command)
        assert caught.value.code == "command.store-app"


def test_a_broken_link_is_passed_over_and_a_working_one_used() -> None:
    disk = Disk("C:\\real\\x.exe")
    for name, target in (("x", "C:\\real\\x.exe"), ("y", "C:\\gone\\y.exe")):
        disk.found[f"c:\\tools\\{name}.exe"] = info(0x400, REPARSE_SYMLINK)
        disk.links[f"c:\\tools\\{name}.exe"] = target
    assert find(disk, "x").application == "C:\\tools\\x.exe"
    with pytest.raises(CommandNotFound):
        find(disk, "y")


def test_a_place_that_cannot_be_looked_at_does_not_end_the_search() -> None:
    disk = Disk("C:\\tools\\x.exe")
    disk.denied.add(f"{SYSTEM}\\x.exe".lower())
    assert find(disk, "x").application == "C:\\tools\\x.exe"


@pytest.mark.parametrize(
    ("files", "command"),
    [
        (["C:\\msys64\\usr\\bin\\make.exe", "C:\\msys64\\usr\\bin\\msys-2.0.dll"], "C:\\msys64\\usr\\bin\\make.exe"),
        (["C:\\Git\\bin\\bash.exe", "C:\\Git\\usr\\bin\\msys-2.0.dll"], "C:\\Git\\bin\\bash.exe"),
        (["C:\\Git\\git-bash.exe", "C:\\Git\\usr\\bin\\msys-2.0.dll"], "C:\\Git\\git-bash.exe"),
        (["C:\\cygwin64\\bin\\ls.exe", "C:\\cygwin64\\bin\\cygwin1.dll"], "C:\\cygwin64\\bin\\ls.exe"),
    ],
)
def test_msys_and_cygwin_programs_are_refused_and_a_native_neighbour_is_not(files: list[str], command: str) -> None:
    with pytest.raises(CommandRefused) as caught:
        find(Disk(*files), command)
    assert caught.value.code == "command.msys"
    assert find(Disk(*files, "C:\\Git\\cmd\\git.exe"), "C:\\Git\\cmd\\git.exe").warnings == ()


@pytest.mark.parametrize("name", ["wsl", "bash"])
def test_the_wsl_launcher_is_refused_and_another_bash_is_not(name: str) -> None:
    with pytest.raises(CommandRefused) as caught:
        find(Disk(f"{SYSTEM}\\{name}.exe"), name)
    assert caught.value.code == "command.wsl"
    assert find(Disk("C:\\tools\\bash.exe"), "bash").application == "C:\\tools\\bash.exe"


def test_schannel_clients_are_warned_about() -> None:
    disk = Disk(f"{SYSTEM}\\curl.exe", "C:\\tools\\curl.exe", "C:\\tools\\cargo.exe")
    for name in ("System32", "SysWOW64", "Sysnative"):
        disk.found[f"c:\\windows\\{name}\\curl.exe".lower()] = info(0)
        assert "OpenSSL" in find(disk, f"C:\\Windows\\{name}\\curl.exe").warnings[0]
    assert find(disk, "C:\\tools\\curl.exe").warnings == ()
    assert "--offline" in find(disk, "cargo").warnings[0]


def test_installers_by_name_are_warned_about_unless_they_are_64_bit() -> None:
    disk = Disk("C:\\tools\\Setup-1.exe", "C:\\tools\\myupdate.exe", "C:\\tools\\tool.exe")
    disk.heads["c:\\tools\\myupdate.exe"] = pe(0x8664)
    disk.heads["c:\\tools\\setup-1.exe"] = pe(0x14C)
    assert "740" in find(disk, "setup-1").warnings[0]
    assert find(disk, "myupdate").warnings == ()
    assert find(disk, "tool").warnings == ()
    disk.heads["c:\\tools\\myupdate.exe"] = b"MZ"
    assert find(disk, "myupdate").warnings != ()


def pe(machine: int) -> bytes:
    return b"MZ" + bytes(0x3A) + (0x80).to_bytes(4, "little") + bytes(0x40) + b"PE\0\0" + machine.to_bytes(2, "little")


@pytest.mark.parametrize(
    ("name", "says"),
    [("x.ps1", "powershell"), ("x.py", "python"), ("x.js", "node"), ("x.sh", "cmd"), ("x.lnk", "shell"), ("x.msi", "")],
)
def test_scripts_are_not_started_and_the_error_names_the_interpreter(name: str, says: str) -> None:
    for command in (name, f".\\{name}"):
        with pytest.raises(CommandRefused, match="not started by itself") as caught:
            find(Disk(f"C:\\tools\\{name}", f"C:\\work\\{name}"), command)
        assert says in caught.value.remedy
        assert caught.value.code == "command.not-a-program"


def test_an_extension_of_pathext_that_is_no_program_is_refused_too() -> None:
    with pytest.raises(CommandRefused, match="interpreter"):
        find(Disk("C:\\tools\\x.foo"), "x", {"PATH": "C:\\tools", "PATHEXT": ".FOO"})
