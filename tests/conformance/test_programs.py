"""What programs come to that the cases cannot say: real ones on Windows, and simulated ones with more than one step."""

from __future__ import annotations

import ntpath
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest

from tests.capabilities import elevation, needs
from winsandbox import Policy, Sandbox
from winsandbox._host import default_host
from winsandbox._scene import Scene
from winsandbox.prove import _Scratch
from winsandbox.testing import SimulatedHost, SimulatedProcess

ROOT = r"C:\Users\alice\project"
TOOL = r"C:\tools\tool.exe"


class Program(NamedTuple):
    """A program that writes the file {path}, by each way in which such programs write."""

    name: str
    words: tuple[str, ...]


_POWERSHELL = ("powershell", "-NoProfile", "-NonInteractive", "-Command")
_WRITE_ALL = "[IO.File]::WriteAllBytes('{path}', [byte[]](1,2))"
PROGRAMS = (
    Program("cmd", ("cmd", "/d", "/c", "echo x> {path}")),
    Program("cmd append", ("cmd", "/d", "/c", "echo x>> {path}")),
    Program(
        "cmd, what another one printed", ("cmd", "/d", "/c", "for /f %i in ('cmd /c echo hi') do @echo %i> {path}")
    ),
    Program("cmd copy", ("cmd", "/d", "/c", r"copy /y %SystemRoot%\win.ini {path}")),
    Program("powershell", (*_POWERSHELL, "Set-Content -Path '{path}' -Value x")),
    Program(
        "powershell, a pipeline", (*_POWERSHELL, "1..3 | ForEach-Object {{ $_ * 2 }} | Set-Content -Path '{path}'")
    ),
    Program("powershell, .NET", (*_POWERSHELL, _WRITE_ALL)),
    Program("pwsh", ("pwsh", "-NoProfile", "-NonInteractive", "-Command", "Set-Content -Path '{path}' -Value x")),
    Program("python", (sys.executable, "-I", "-c", "open(r'{path}', 'w').write('x')")),
    Program(
        "python, what another one printed",
        (
            *(sys.executable, "-I", "-c"),
            "import subprocess, sys; open(r'{path}', 'wb').write(subprocess.run([sys.executable, '-I', '-c', "
            "'print(1)'], capture_output=True, check=True).stdout)",
        ),
    ),
    Program("robocopy", ("robocopy", r"%SystemRoot%", "{directory}", "{file}", "/r:0", "/w:0")),
)


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    notes: list[str] = []
    with _Scratch(default_host(), notes) as made:
        made.make_directory(made.path + r"\root")
        made.make_directory(made.path + r"\outside")
        yield made
    assert notes == []


@needs("real windows")
@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.name)
def test_a_real_program_writes_inside_and_not_outside(scene: Scene, program: Program) -> None:
    if shutil.which(program.words[0]) is None:
        pytest.skip(f"there is no {program.words[0]} here")
    root, outside = scene.path + r"\root", scene.path + r"\outside"
    name = "win.ini" if program.name == "robocopy" else f"{PROGRAMS.index(program)}.txt"
    policy = Policy.workspace(root, elevated=elevation())
    with Sandbox(policy, state_dir=scene.state, keep="session") as sandbox:
        windows = scene.host.files.known_folders().windows

        def start(directory: str) -> subprocess.CompletedProcess[bytes]:
            words = [
                word.format(path=ntpath.join(directory, name), directory=directory, file=name).replace(
                    "%SystemRoot%", windows
                )
                for word in program.words
            ]
            return sandbox.run(words, stdin=subprocess.DEVNULL, capture_output=True, timeout=120)

        allowed, denied = start(root), start(outside)
    assert scene.look(ntpath.join(root, name)) is not None, (allowed.returncode, allowed.stdout, allowed.stderr)
    assert scene.look(ntpath.join(outside, name)) is None
    assert denied.returncode != 0 or program.name.startswith("cmd, what")


@needs("real windows")
@pytest.mark.parametrize("words", [("curl", "--version"), ("git", "--version"), ("where", "cmd"), ("whoami",)])
def test_programs_that_write_nothing_start(scene: Scene, words: tuple[str, ...]) -> None:
    if shutil.which(words[0]) is None:
        pytest.skip(f"there is no {words[0]} here")
    with Sandbox(Policy.read_only(elevated=elevation()), state_dir=scene.state, keep="session") as sandbox:
        done = sandbox.run(words, stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout


# -- on the model


def outcome(
    policy: Policy, host: SimulatedHost, program: Callable[[SimulatedProcess], int]
) -> subprocess.CompletedProcess[str]:
    host.add_program(TOOL, program)
    with Sandbox(policy, host=host) as sandbox:
        return sandbox.run([TOOL], capture_output=True, text=True, timeout=30)


@pytest.fixture
def host() -> Iterator[SimulatedHost]:
    with SimulatedHost() as made:
        made.mkdir(ROOT + r"\.git")
        yield made


def test_more_than_two_hundred_roots_leave_room_for_the_childs_own_objects(host: SimulatedHost) -> None:
    roots = [rf"{ROOT}-{number}" for number in range(210)]
    for root in roots:
        host.mkdir(root)

    def program(process: SimulatedProcess) -> int:
        if process.argv[1:]:
            process.stdout.write("from the pipe")
            return 0
        process.env["PATH"] = ntpath.dirname(TOOL)
        process.write(roots[-1] + r"\file.txt", process.run(["tool", "again"]).stdout)
        return 0

    done = outcome(Policy.workspace(ROOT, writable_roots=roots), host, program)
    assert (done.returncode, done.stderr) == (0, "")
    assert host.read_file(roots[-1] + r"\file.txt") == b"from the pipe"


def test_after_a_timeout_nothing_of_the_tree_is_left_to_write(host: SimulatedHost) -> None:
    def program(process: SimulatedProcess) -> int:
        if process.argv[1:]:
            process.sleep(20)
            process.write(ROOT + r"\late.txt", b"late")
            return 0
        process.write(ROOT + r"\early.txt", b"early")
        process.env["PATH"] = ntpath.dirname(TOOL)
        process.spawn(["tool", "descendant"])
        process.sleep(20)
        process.write(ROOT + r"\late.txt", b"late")
        return 0

    host.add_program(TOOL, program)
    with Sandbox(Policy.workspace(ROOT), host=host) as sandbox:
        with pytest.raises(subprocess.TimeoutExpired):
            sandbox.run([TOOL], timeout=5)
        assert host.running() == []
        host.run_program(lambda process: process.sleep(60))
    assert host.exists(ROOT + r"\early.txt")
    assert not host.exists(ROOT + r"\late.txt")


def test_a_directory_of_mode_0o700_is_closed_to_the_child_that_made_it(host: SimulatedHost) -> None:
    def program(process: SimulatedProcess) -> int:
        process.mkdir("plain")
        process.write(r"plain\file.txt", b"x")
        process.mkdir("private", mode=0o700)
        try:
            process.write(r"private\file.txt", b"x")
        except OSError as error:
            return int(getattr(error, "winerror", 0)) + 100
        return 0

    assert outcome(Policy.workspace(ROOT), host, program).returncode == 105
    assert host.exists(ROOT + r"\plain\file.txt")
    assert not host.exists(ROOT + r"\private\file.txt")
