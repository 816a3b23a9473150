"""With real processes on this Windows: nothing grows, nothing leaks, and the tree ends with its parent."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from subprocess import DEVNULL, PIPE
from typing import Any

import pytest

from tests.capabilities import elevation, has, needs
from tests.process.launchers import Sandboxed, eventually, launcher
from winsandbox import Policy, Sandbox
from winsandbox._host import Handle, ProcessId, default_host
from winsandbox.limits import Limits

pytestmark = needs("windows")

CMD = ["cmd", "/d", "/c", "exit 5"]


@pytest.fixture
def real() -> Iterator[Sandboxed]:
    with launcher("windows") as made:
        assert isinstance(made, Sandboxed)
        yield made


def handles() -> int:
    """How many handles this process has."""
    count = ctypes.c_uint32()
    kernel32 = getattr(ctypes, "WinDLL")("kernel32.dll", winmode=0x800)  # noqa: B009 - typeshed has it on one platform
    kernel32.GetCurrentProcess.restype = ctypes.c_void_p
    kernel32.GetProcessHandleCount.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
    assert kernel32.GetProcessHandleCount(kernel32.GetCurrentProcess(), ctypes.byref(count))
    return count.value


def memory() -> int:
    """The private bytes of this process."""
    counters = (ctypes.c_size_t * 10)()
    counters[0] = ctypes.sizeof(counters)
    kernel32 = getattr(ctypes, "WinDLL")("kernel32.dll", winmode=0x800)  # noqa: B009
    kernel32.GetCurrentProcess.restype = ctypes.c_void_p
    kernel32.K32GetProcessMemoryInfo.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint32]
    assert kernel32.K32GetProcessMemoryInfo(kernel32.GetCurrentProcess(), counters, ctypes.sizeof(counters))
    # PROCESS_MEMORY_COUNTERS: two DWORDs, then SIZE_Ts; the one but last is PagefileUsage.
    return int(counters[8])


def test_two_hundred_spawns_leave_handles_threads_and_memory_as_they_were(real: Sandboxed) -> None:
    def one() -> None:
        process = real.spawn(CMD, stdin=PIPE, stdout=PIPE, stderr=PIPE, limits=Limits(wall_time=600))
        assert process.communicate(b"") == (b"", b"")
        assert process.returncode == 5

    for _ in range(20):
        one()
    before = handles(), threading.active_count(), memory()
    for _ in range(1000 if os.environ.get("WINSANDBOX_DEEP") else 200):
        one()
    assert eventually(lambda: threading.active_count() <= before[1])
    # A few for what the runtime opens lazily; one kept in each spawn would be 200.
    assert handles() <= before[0] + 10
    assert memory() <= before[2] + 2_000_000


def test_fifty_at_once_from_threads(real: Sandboxed) -> None:
    together = threading.Barrier(50)

    def one(number: int) -> bytes:
        together.wait(120)
        process = real.spawn(["cmd", "/d", "/v:on", "/c", "set /p x=& echo [!x!]"], stdin=PIPE, stdout=PIPE)
        together.wait(120)  # all fifty run, and every pipe of theirs is open
        return bytes(process.communicate(b"%d\r\n" % number)[0])

    with ThreadPoolExecutor(50) as pool:
        assert list(pool.map(one, range(50))) == [b"[%d]\r\n" % number for number in range(50)]


@pytest.mark.parametrize(
    "line",
    [
        'echo "a b" & echo c',
        'if 1==1 (echo "yes 1") else (echo no)',
        '"%SystemRoot%\\system32\\cmd.exe" /c echo "x y"',
        'echo "q" "r" && exit 3',
        "echo ^& & cd",
        "",
    ],
)
def test_a_line_for_the_shell_arrives_as_with_subprocess(real: Sandboxed, line: str) -> None:
    theirs = subprocess.run(line, shell=True, capture_output=True, stdin=DEVNULL, check=False)
    for command in (["cmd", "/c", line], ["CMD.EXE", "/D", "/C", line]):
        process = real.spawn(command, stdin=DEVNULL, stdout=PIPE, stderr=PIPE)
        assert process.communicate() == (theirs.stdout, theirs.stderr)
        assert process.returncode == theirs.returncode


def test_a_script_with_blanks_in_its_path_is_a_line_too(real: Sandboxed, tmp_path: Path) -> None:
    script = tmp_path / "with space.cmd"
    script.write_bytes(b"@echo ran %1\r\n")
    for line in (str(script), f'"{script}"', f'"{script}" "a b"'):
        process = real.spawn(["cmd", "/c", line], stdin=DEVNULL, stdout=PIPE)
        assert process.communicate()[0].startswith(b"ran")


def test_a_crash_cannot_show_a_dialog_and_nothing_leaves_the_job(
    real: Sandboxed, monkeypatch: pytest.MonkeyPatch
) -> None:
    from winsandbox._win32 import host_jobs

    flags = []
    own = host_jobs._set

    def remember(job: Handle, kind: Any, information: Any) -> None:
        if hasattr(information, "BasicLimitInformation"):
            flags.append(information.BasicLimitInformation.LimitFlags)
        own(job, kind, information)

    monkeypatch.setattr(host_jobs, "_set", remember)
    assert real.spawn(CMD, stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL).wait() == 5
    assert flags == [0x2000 | 0x400]  # KILL_ON_JOB_CLOSE, DIE_ON_UNHANDLED_EXCEPTION; no breakaway


def test_there_is_one_host_and_so_one_desktop_for_this_process() -> None:
    with ThreadPoolExecutor(8) as pool:
        assert len({id(host) for host in pool.map(lambda _: default_host(), range(50))}) == 1
    place = Path.home() / f"winsandbox-test-{os.urandom(6).hex()}"
    os.mkdir(place)
    require: Any = "full" if has("restricting tokens") else "best-effort"
    (place / "root").mkdir()
    policy = Policy.workspace(place / "root", elevated=elevation())
    try:
        with ExitStack() as open_ones:
            made = [Sandbox(policy, require=require, keep="session", state_dir=place / "state") for _ in range(3)]
            for sandbox in made:
                open_ones.enter_context(sandbox)
            assert len({sandbox._ready.desktop for sandbox in made if sandbox._ready}) == 1
            assert made[0].run(CMD).returncode == 5
    finally:
        shutil.rmtree(place)


def test_the_child_has_the_three_handles_and_no_other_of_ours(real: Sandboxed, tmp_path: Path) -> None:
    # An inheritable handle of this process must not reach a child: only the listed ones do.
    file = (tmp_path / "secret").open("wb")
    os.set_inheritable(file.fileno(), True)
    source = (
        "import ctypes, sys; k = ctypes.WinDLL('kernel32.dll'); n = ctypes.c_uint32();"
        "k.GetHandleInformation.argtypes = [ctypes.c_void_p, ctypes.c_void_p];"
        "k.GetFileType.argtypes = [ctypes.c_void_p];"
        "print(k.GetFileType(int(sys.argv[1])))"
    )
    if sys.platform == "win32":
        import msvcrt

        value = msvcrt.get_osfhandle(file.fileno())
    else:
        value = 0
    command = [sys.executable, "-c", source, str(value)]
    passed = subprocess.run(command, close_fds=False, capture_output=True, text=True, check=True)
    assert int(passed.stdout) == 1  # FILE_TYPE_DISK: this is how a leak would look
    process = real.spawn(command, stdin=DEVNULL, stdout=PIPE, text=True)
    assert int(process.communicate()[0]) != 1
    file.close()


_PARENT = """
import sys
sys.path[:0] = {path!r}
from subprocess import DEVNULL, PIPE
from tests.process.launchers import launcher
from winsandbox._host import default_host
with launcher("windows") as made:
    process = made.start("leave_child", stdout=PIPE)
    child = int(process.stdout.readline())
    print(child, flush=True)
    sys.stdin.read()
"""


def test_the_tree_ends_when_its_parent_is_killed() -> None:
    script = _PARENT.format(path=[os.getcwd()])
    with subprocess.Popen([sys.executable, "-c", script], stdin=PIPE, stdout=PIPE, text=True) as parent:
        assert parent.stdout is not None
        grandchild = int(parent.stdout.readline())
        assert alive(grandchild)
        parent.kill()
        parent.wait(60)
        assert eventually(lambda: not alive(grandchild))


if sys.platform == "win32":

    def alive(pid: int) -> bool:
        import _winapi

        try:
            handle = _winapi.OpenProcess(0x100000, False, pid)  # SYNCHRONIZE
        except OSError:
            return False
        try:
            return bool(_winapi.WaitForSingleObject(handle, 0) == _winapi.WAIT_TIMEOUT)
        finally:
            _winapi.CloseHandle(handle)

else:

    def alive(pid: int) -> bool:
        raise AssertionError("these tests need Windows")


def test_run_and_wall_time_end_grandchildren(real: Sandboxed) -> None:
    done = real.run("leave_child", capture_output=True)
    assert not alive(int(done.stdout))
    process = real.start("hang", "", "", stdout=DEVNULL, stderr=DEVNULL, limits=Limits(wall_time=1))
    assert process.wait(60) == 1816
    assert process.limit == "wall_time"
    process.close()


def test_usage_counts_the_processes(real: Sandboxed) -> None:
    process = real.start("leave_child", stdout=PIPE)
    process.stdout.readline()
    process.close()
    assert process.usage is not None
    assert process.usage.processes >= 2


def test_batch_files_get_their_arguments(real: Sandboxed, tmp_path: Path) -> None:
    script = tmp_path / "with space & more.cmd"
    # With %~1 the script would take the quotes off itself, and cmd would then read what was between them.
    script.write_bytes(b"@echo off\r\necho [%1][%2][%3]\r\nexit /b 6\r\n")
    arguments = ["a b", "x&y|z^w", "(1)<2>"]
    process = real.spawn([script, *arguments], stdin=DEVNULL, stdout=PIPE, text=True, cwd=str(tmp_path))
    output, _ = process.communicate()
    assert process.returncode == 6
    assert output.strip() == '["a b"]["x&y|z^w"]["(1)<2>"]'
    assert [path.name for path in tmp_path.iterdir()] == [script.name], "a redirection got out of its quotes"


def test_a_program_is_not_found_in_the_working_directory(real: Sandboxed, tmp_path: Path) -> None:
    (tmp_path / "planted.cmd").write_bytes(b"@exit 0\r\n")
    with pytest.raises(FileNotFoundError):
        real.spawn(["planted"], stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL, cwd=str(tmp_path))
    twin = real.spawn([".\\planted"], stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL, cwd=str(tmp_path))
    assert twin.wait() == 0


def test_a_process_is_known_by_more_than_its_number() -> None:
    host = default_host()
    own = host.processes.current()
    assert host.processes.alive(own)
    assert not host.processes.alive(ProcessId(own.pid, own.created + 1))
