"""WindowsHost's processes, jobs and pipes, with real programs. What Wine ignores is asserted on Windows alone."""

from __future__ import annotations

import asyncio
import ctypes
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.capabilities import has, needs
from tests.win32.live import (
    cmd,
    handle_count,
    no_new_handles,
    python_line,
    restricted,
    run,
    run_python,
    system_root,
)
from winsandbox import _host
from winsandbox._security.descriptor import SecurityDescriptor
from winsandbox._win32 import handles
from winsandbox._win32.constants import HandleFlags
from winsandbox._win32.host import WindowsHost
from winsandbox._win32.kernel32 import GetHandleInformation, OpenProcess, SetHandleInformation, WaitForSingleObject
from winsandbox.errors import PolicyError, WinError

pytestmark = needs("windows")

ANYONES_DESKTOP = SecurityDescriptor.from_sddl("D:(A;;0xf01ff;;;WD)").to_bytes()


@pytest.fixture(scope="module")
def host() -> WindowsHost:
    made = WindowsHost()
    # What the first use of each opens for good (in Wine, the folders of named objects) is no leak.
    run(made, "cmd /c exit 0")
    made.processes.create_desktop(f"winsandbox-first-{os.getpid()}", ANYONES_DESKTOP).close()
    return made


@pytest.fixture(autouse=True)
def no_handle_is_left_open(host: WindowsHost) -> Iterator[None]:
    with no_new_handles():
        yield


@pytest.mark.parametrize("code", [0, 1, 7, 0xFFFFFFFF, 0xC0000142])
def test_the_exit_code_is_the_childs(host: WindowsHost, code: int) -> None:
    assert run(host, f"cmd /c exit {code - (1 << 32) if code >= 1 << 31 else code}").code == code


def test_output_comes_through_the_pipe_whole(host: WindowsHost) -> None:
    ended = run_python(host, "import sys; sys.stdout.write('x' * 300000); sys.stderr.write('end')")
    assert ended.output == b"x" * 300000 + b"end"


def test_input_goes_through_the_pipe_whole(host: WindowsHost) -> None:
    processes = host.processes
    right = "data == b'ab' * (len(data) // 2)"
    code = f"import sys; data = sys.stdin.buffer.read(); sys.exit(len(data) % 251 if {right} else 255)"
    with restricted(host) as token, processes.create_job(_host.JobLimits()) as job, ExitStack() as closing:
        ours, child = map(closing.enter_context, processes.pipe(child_reads=True))
        null = closing.enter_context(processes.null(write=True))
        started = processes.start(
            _host.StartRequest(
                sys.executable, python_line(code), system_root(), "C:\\", token, job, (child, null, null)
            )
        )
        closing.enter_context(started.process)
        child.close()
        host.files.write(ours, b"ab" * 100000)
        ours.close()
        assert processes.wait(started.process, 60)
        assert processes.exit_code(started.process) == 200000 % 251


def test_the_environment_is_exactly_the_given_one(host: WindowsHost) -> None:
    given = {**system_root(), "EINS": "ä€😀", "Zwei": "a=b", "LEER ": " x "}
    code = "import os, sys; sys.stdout.buffer.write(repr(sorted(os.environ.items())).encode())"
    ended = run(host, python_line(code), application=sys.executable, environment=given)
    found = dict(eval(ended.output))
    # Wine adds variables of its own; Python shows names in capitals
    assert {name: found.get(name.upper()) for name in given} == given
    leaked = {name for name in os.environ if name.upper() in found} - {name.upper() for name in given}
    assert {name for name in leaked if not name.startswith("WINE")} <= {"PROCESSOR_ARCHITECTURE", "SYSTEMDRIVE"}


def test_a_mistake_in_the_environment_starts_nothing(host: WindowsHost) -> None:
    with pytest.raises(PolicyError):
        run(host, "cmd /c exit 0", environment={"A": "x\0y"})


def test_the_working_directory_is_the_given_one(host: WindowsHost, tmp_path: Path) -> None:
    (tmp_path / "mit Umläuten").mkdir()
    code = "import os, sys; sys.stdout.buffer.write(os.getcwd().encode())"
    ended = run(host, python_line(code), application=sys.executable, cwd=str(tmp_path / "mit Umläuten"))
    assert ended.output.decode().lower() == str(tmp_path / "mit Umläuten").lower()


def test_arguments_arrive_as_quoted(host: WindowsHost) -> None:
    arguments = ["", "a b", 'say "hi"', "back\\slash\\", "C:\\x y\\", "ä€😀", "tab\there"]
    ended = run_python(
        host,
        "import sys; sys.stdout.buffer.write(ascii(sys.argv[1:]).encode())",
        [subprocess.list2cmdline(arguments)],
    )
    assert eval(ended.output) == arguments


@pytest.mark.parametrize(
    ("line", "winerror"), [("cmd /c echo \0", 87), ("cmd /c rem " + "x" * 32767, 206)], ids=["nul", "too-long"]
)
def test_a_command_line_that_windows_would_cut_off_is_refused(host: WindowsHost, line: str, winerror: int) -> None:
    with pytest.raises(WinError) as caught:
        run(host, line)
    assert caught.value.winerror == winerror


def test_the_longest_command_line_arrives(host: WindowsHost) -> None:
    head = python_line("import sys; sys.exit(len(sys.argv[1]) % 251)") + " "
    length = 32766 - len(head)
    assert run(host, head + "x" * length, application=sys.executable).code == length % 251


def test_a_program_that_does_not_exist_is_named(host: WindowsHost) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        run(host, "nothing", application="C:\\nothing.exe")
    assert caught.value.filename == "C:\\nothing.exe"


def test_only_the_listed_handles_arrive(host: WindowsHost) -> None:
    processes = host.processes
    with ExitStack() as closing:
        others = [processes.null(write=True) for _ in range(3)]
        for other in others:
            closing.enter_context(other)
            inherit = HandleFlags.HANDLE_FLAG_INHERIT
            SetHandleInformation(handles.any_handle(other), inherit, inherit)
        numbers = ",".join(str(other.value) for other in others)
        # In the child: which of the inheritable handles of the parent are handles of the same kind there?
        code = (
            "import ctypes, sys; k = ctypes.WinDLL('kernel32'); k.GetFileType.argtypes = [ctypes.c_void_p]; "
            f"sys.stdout.write(str([k.GetFileType(n) for n in ({numbers},)]))"
        )
        # They do arrive where everything is inherited: else this test could not fail.
        inherits = subprocess.run([sys.executable, "-c", code], close_fds=False, capture_output=True, check=True)
        assert inherits.stdout == b"[2, 2, 2]"
        ended = run_python(host, code)
    assert ended.output == b"[0, 0, 0]"


def test_no_handle_that_is_made_here_is_inheritable(host: WindowsHost) -> None:
    processes = host.processes
    with ExitStack() as closing:
        made = [
            *processes.pipe(child_reads=True),
            *processes.pipe(child_reads=False),
            *processes.pipe(child_reads=True, overlapped=True),
            *processes.pipe(child_reads=False, overlapped=True),
            processes.null(write=True),
            processes.create_job(_host.JobLimits()),
            restricted(host),
        ]
        for handle in made:
            closing.enter_context(handle)
            flags = ctypes.c_uint32()
            GetHandleInformation(handles.any_handle(handle), flags)
            assert not flags.value & HandleFlags.HANDLE_FLAG_INHERIT


def test_a_stream_may_be_missing_and_two_may_be_one(host: WindowsHost) -> None:
    processes = host.processes
    with restricted(host) as token, processes.create_job(_host.JobLimits()) as job:
        started = processes.start(
            _host.StartRequest(cmd(host), "cmd /c exit 3", system_root(), "C:\\", token, job, (None, None, None))
        )
        with started.process:
            assert processes.wait(started.process, 60)
            assert processes.exit_code(started.process) == 3


def sleeping(host: WindowsHost, job: _host.Handle, seconds: int = 100) -> _host.Started:
    """A child that has started a grandchild, both asleep; its output says when both run."""
    processes = host.processes
    code = (
        "import subprocess, sys, time; "
        f"p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep({seconds})']); "
        f"sys.stdout.write('up'); sys.stdout.flush(); time.sleep({seconds})"
    )
    with restricted(host) as token, processes.null(write=True) as null:
        ours, child = processes.pipe(child_reads=False)
        with ours:
            with child:
                started = processes.start(
                    _host.StartRequest(
                        sys.executable, python_line(code), system_root(), "C:\\", token, job, (None, child, null)
                    )
                )
            assert host.files.read(ours, 2) == b"up"
    return started


def test_a_wait_ends_with_its_time_and_the_tree_with_its_job(host: WindowsHost) -> None:
    processes = host.processes
    with processes.create_job(_host.JobLimits()) as job:
        started = sleeping(host, job)
        with started.process:
            assert len(processes.job_processes(job)) == 2
            assert started.pid in processes.job_processes(job)
            began = time.monotonic()
            assert not processes.wait(started.process, 0.3)
            assert not processes.wait_job(job, 0.3)
            assert 0.5 < time.monotonic() - began < 10
            processes.terminate_job(job, 9)
            assert processes.wait_job(job, 30)
            assert processes.wait(started.process, 30)
            assert processes.exit_code(started.process) == 9
            assert processes.job_processes(job) == ()
            assert processes.job_usage(job).processes == 2


def test_closing_the_job_ends_the_tree(host: WindowsHost) -> None:
    processes = host.processes
    job = processes.create_job(_host.JobLimits())
    started = sleeping(host, job)
    with started.process:
        others = [pid for pid in processes.job_processes(job) if pid != started.pid]
        job.close()
        assert processes.wait(started.process, 30)
        deadline = time.monotonic() + 30
        while any(_runs(pid) for pid in others) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert [pid for pid in others if _runs(pid)] == []


def _runs(pid: int) -> bool:
    try:
        with handles.own(OpenProcess(0x100000, 0, pid)) as process:
            return WaitForSingleObject(handles.any_handle(process), 0) == 258
    except WinError:
        return False


PARENT = """
import sys, time
from tests.win32.live import python_line, restricted, system_root
from winsandbox._host import JobLimits, StartRequest
from winsandbox._win32.host import WindowsHost

host = WindowsHost()
job = host.processes.create_job(JobLimits())
line = python_line("import time; time.sleep(100)")
nothing = (None, None, None)
request = StartRequest(sys.executable, line, system_root(), "C:\\\\", restricted(host), job, nothing)
print(host.processes.start(request).pid, flush=True)
time.sleep(100)
"""


def test_the_tree_ends_when_the_parent_is_killed(host: WindowsHost, tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(PARENT, encoding="utf-8")
    root = str(Path(__file__).resolve().parents[2])
    with subprocess.Popen(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {root!r}); exec(open({str(script)!r}).read())"],
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert _runs(pid)
        parent.kill()
        deadline = time.monotonic() + 30
        while _runs(pid) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert not _runs(pid)


def test_limits_that_do_not_fit_are_refused_and_not_cut_off(host: WindowsHost) -> None:
    for limits in (
        _host.JobLimits(memory=1 << 64),
        _host.JobLimits(processes=1 << 32),
        _host.JobLimits(cpu_time=1e15),
        _host.JobLimits(memory=-1),
        _host.JobLimits(ui=1 << 40),
    ):
        with pytest.raises(WinError) as caught:
            host.processes.create_job(limits)
        assert caught.value.winerror == 87


def test_a_job_with_every_limit_runs_a_command(host: WindowsHost) -> None:
    limits = _host.JobLimits(memory=1 << 32, processes=10, cpu_time=60.0)
    assert run(host, "cmd /c exit 4", limits=limits).code == 4


@needs("real windows")
def test_the_limits_hold_and_are_named(host: WindowsHost) -> None:
    processes = host.processes
    for limits, code, name in (
        (_host.JobLimits(cpu_time=0.2), "while True: pass", "cpu_time"),
        (_host.JobLimits(memory=64 << 20), "x = bytearray(1 << 30)", "memory"),
        (_host.JobLimits(processes=1), "import subprocess; subprocess.run('cmd /c exit')", "processes"),
    ):
        with restricted(host) as token, processes.create_job(limits) as job, processes.null(write=True) as null:
            started = processes.start(
                _host.StartRequest(
                    sys.executable, python_line(code), system_root(), "C:\\", token, job, (null, null, null)
                )
            )
            with started.process:
                assert processes.wait(started.process, 60)
                assert processes.exit_code(started.process) != 0
            assert processes.job_usage(job).limit_hit == name


def test_handles_stay_flat_over_200_spawns(host: WindowsHost) -> None:
    before = handle_count()
    for number in range(200):
        assert run(host, f"cmd /c exit {number % 50}").code == number % 50
    assert handle_count() <= before


def test_failed_spawns_leave_no_handle(host: WindowsHost) -> None:
    processes = host.processes
    with restricted(host) as token, processes.create_job(_host.JobLimits()) as job, processes.null(write=True) as null:
        with no_new_handles():
            for _ in range(50):
                with pytest.raises(FileNotFoundError):
                    processes.start(
                        _host.StartRequest(
                            "C:\\nothing.exe", "nothing", system_root(), "C:\\", token, job, (null, null, null)
                        )
                    )
                with pytest.raises(WinError):
                    processes.start(
                        _host.StartRequest(
                            cmd(host), "cmd", system_root(), "C:\\does not exist", token, job, (null, null, null)
                        )
                    )


def test_a_pipe_end_becomes_a_descriptor(host: WindowsHost) -> None:
    ours, child = host.processes.pipe(child_reads=True)
    with child:
        with open(host.processes.descriptor(ours, write=True), "wb") as file:
            assert ours.closed
            file.write(b"line\nline\r\n")
        assert host.files.read(child, 100) == b"line\nline\r\n"
        assert host.files.read(child, 100) == b""


def test_a_descriptor_is_duplicated_and_not_taken(host: WindowsHost, tmp_path: Path) -> None:
    with (tmp_path / "out").open("wb", buffering=0) as file:
        with host.processes.duplicate_descriptor(file.fileno()) as copy:
            host.files.write(copy, b"one")
        file.write(b"two")
    assert (tmp_path / "out").read_bytes() == b"onetwo"
    with pytest.raises(OSError, match="descriptor"):
        host.processes.duplicate_descriptor(9999)


def test_pipes_and_null_are_no_console(host: WindowsHost) -> None:
    ours, child = host.processes.pipe(child_reads=False)
    with ours, child, host.processes.null(write=True) as null:
        assert [host.processes.is_console(handle) for handle in (ours, child, null)] == [False] * 3


def test_an_overlapped_pipe_serves_the_proactor(host: WindowsHost) -> None:
    async def both_ways() -> bytes:
        loop = asyncio.get_running_loop()
        writing, child_reads = host.processes.pipe(child_reads=True, overlapped=True)
        reading, child_writes = host.processes.pipe(child_reads=False, overlapped=True)
        reader = asyncio.StreamReader()
        transport, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), host.processes.endpoint(reading)
        )
        sender, _ = await loop.connect_write_pipe(asyncio.Protocol, host.processes.endpoint(writing))
        data = b"0123456789" * 20000

        def child() -> None:
            with child_reads, child_writes:
                while part := host.files.read(child_reads, 65536):
                    host.files.write(child_writes, part)

        work = loop.run_in_executor(None, child)
        sender.write(data)
        sender.close()
        received = await reader.read()
        await work
        transport.close()
        assert received == data
        return received

    assert len(asyncio.run(both_ways())) == 200000


def test_this_process_is_alive_and_no_other_takes_its_place(host: WindowsHost) -> None:
    me = host.processes.current()
    assert me.pid == os.getpid()
    assert host.processes.alive(me)
    assert not host.processes.alive(me._replace(created=me.created + 1))
    assert not host.processes.alive(_host.ProcessId(0x7FFFFFF0, me.created))
    with subprocess.Popen([sys.executable, "-c", "pass"]) as child:
        pid = child.pid
        child.wait()
        assert not host.processes.alive(_host.ProcessId(pid, me.created))


def test_a_desktop_can_be_made(host: WindowsHost) -> None:
    with host.processes.create_desktop(f"winsandbox-test-{os.getpid()}", ANYONES_DESKTOP) as desktop:
        assert desktop.value


def test_the_station_and_desktop_have_names(host: WindowsHost) -> None:
    station = host.processes.station()
    assert station.name
    assert station.desktop
    if station.name == "WinSta0":
        assert station.visible or has("wine")


def test_the_callers_job_is_told(host: WindowsHost) -> None:
    # asked of a child in a job of ours: there, further limits of the user interface cannot be set
    root = str(Path(__file__).resolve().parents[2])
    code = (
        f"import sys; sys.path.insert(0, {root!r}); from winsandbox._win32.host import WindowsHost; "
        "sys.stdout.write(str(WindowsHost().processes.job_refuses_ui_limits()))"
    )
    assert run_python(host, code).output == b"True"
