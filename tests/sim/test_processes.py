"""Simulated programs: time, ends, limits, streams, and what they start."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.capabilities import needs
from tests.host.place import Place, Run
from winsandbox._host import JobLimits
from winsandbox._security.descriptor import SecurityDescriptor
from winsandbox._sim import commandline
from winsandbox._sim.clock import Clock, Waiter
from winsandbox._sim.jobs import Program
from winsandbox.testing import SimulatedHost, SimulatedProcess

TOOL = r"C:\tools\tool.exe"


def place_of(host: SimulatedHost) -> Place:
    return Place(host, r"C:\Users\alice", TOOL, ("tool",), stores=True, restricts=True, limits=True)


@contextmanager
def running(host: SimulatedHost, program: Program, limits: JobLimits | None = None) -> Iterator[Run]:
    host.add_program(TOOL, program)
    with place_of(host).started("", limits=limits) as run:
        yield run


# --- the clock


def test_an_hour_of_waiting_takes_no_time() -> None:
    host = SimulatedHost()
    begun = time.monotonic()
    with running(host, lambda p: p.sleep(3600)) as run:
        assert host.processes.wait(run.process, None)
    assert host.processes.clock() == 3600
    assert time.monotonic() - begun < 10


@pytest.mark.parametrize(("sleeps", "waits", "ended"), [(1.0, 2.0, True), (2.0, 1.0, False)])
def test_the_earlier_of_two_deadlines_comes_first(sleeps: float, waits: float, ended: bool) -> None:
    host = SimulatedHost()
    with running(host, lambda p: p.sleep(sleeps)) as run:
        assert host.processes.wait(run.process, waits) == ended
        assert host.processes.clock() == min(sleeps, waits)


def test_time_stands_still_while_a_program_works() -> None:
    host = SimulatedHost()

    def busy(process: SimulatedProcess) -> None:
        time.sleep(0.5)
        process.sleep(1)

    with running(host, busy) as run:
        assert host.processes.wait(run.process, 1.5)
    assert host.processes.clock() == 1


def test_time_stands_still_while_the_caller_works() -> None:
    host = SimulatedHost(patience=60)
    with running(host, lambda p: p.sleep(10)) as run:
        time.sleep(0.1)
        assert not host.processes.wait(run.process, 9)


def test_two_programs_meet_in_time() -> None:
    host = SimulatedHost()
    order: list[str] = []

    def program(process: SimulatedProcess) -> None:
        other = process.spawn([TOOL, "x"]) if len(process.argv) == 3 and process.argv[1] == "first" else None
        for step in range(3):
            process.sleep(2.0 if other else 1.5)
            order.append(("a" if other else "b") + str(step))
        if other:
            other.wait()

    host.add_program(TOOL, program)
    with place_of(host).started("first", "") as run:
        assert host.processes.wait(run.process, None)
    assert order == ["b0", "a0", "b1", "a1", "b2", "a2"]


def test_the_clock_goes_on_with_patience_while_the_caller_reads_a_pipe() -> None:
    host = SimulatedHost(patience=0.05)

    def program(process: SimulatedProcess) -> int:
        process.sleep(30)
        process.stdout.write("late")
        return 0

    host.add_program(TOOL, program)
    assert place_of(host).output("") == b"late"
    assert host.processes.clock() == 30


def test_a_program_that_waits_for_input_can_be_timed_out() -> None:
    host = SimulatedHost(patience=0.05)
    ours, theirs = host.processes.pipe(child_reads=True)
    host.add_program(TOOL, lambda p: len(p.stdin.read()))
    with theirs, place_of(host).started("", handles=(theirs, None, None)) as run:
        assert not host.processes.wait(run.process, 5)
        with os.fdopen(host.processes.descriptor(ours, write=True), "wb") as feed:
            feed.write(b"1234")
        theirs.close()
        assert host.processes.wait(run.process, 5)
        assert host.processes.exit_code(run.process) == 4


def test_a_wait_in_another_thread_sees_the_end() -> None:
    host = SimulatedHost()
    seen: list[bool] = []
    with running(host, lambda p: p.sleep(5)) as run:
        thread = threading.Thread(target=lambda: seen.append(host.processes.wait(run.process, None)))
        thread.start()
        assert host.processes.wait(run.process, 100)
        thread.join(20)
    assert seen == [True]
    assert host.processes.clock() == 5


def test_time_does_not_leap_over_somebody_who_is_ready_and_not_yet_awake() -> None:
    clock = Clock(threading.Condition(), 0.0, 0.0)
    with clock.condition:
        clock._waiters.append(Waiter(lambda: False, 5.0, None))
        assert clock._next() == 5.0
        clock._waiters.append(Waiter(lambda: True, None, None))
        assert clock._next() is None


# --- ends


@pytest.mark.parametrize(
    ("program", "code", "said"),
    [
        (lambda p: None, 0, b""),
        (lambda p: 7, 7, b""),
        (lambda p: -1, 0xFFFFFFFF, b""),
        (lambda p: p.exit(9), 9, b""),
        (lambda p: p.exit(), 0, b""),
        (lambda p: p.read("missing"), 1, b"[WinError 2]"),
        (lambda p: int(p.env["missing"]), 1, b"KeyError"),
    ],
)
def test_how_a_program_ends(program: Program, code: int, said: bytes) -> None:
    host = SimulatedHost()
    host.add_program(TOOL, program)
    with host.processes.standard(2) as errors, place_of(host).started("", handles=(None, None, errors)) as run:  # type: ignore[union-attr]
        assert host.processes.wait(run.process, 5)
        assert host.processes.exit_code(run.process) == code
    assert said in host.stderr
    assert bool(said) == bool(host.stderr)


def test_a_text_as_exit_code_is_printed() -> None:
    host = SimulatedHost()

    def program(process: SimulatedProcess) -> int:
        raise SystemExit("gave up")

    host.add_program(TOOL, program)
    with host.processes.standard(2) as errors, place_of(host).started("", handles=(None, None, errors)) as run:  # type: ignore[union-attr]
        host.processes.wait(run.process, 5)
        assert host.processes.exit_code(run.process) == 1
    assert host.stderr == b"gave up\n"


def test_a_killed_program_does_nothing_any_more_and_holds_nothing() -> None:
    host = SimulatedHost()
    host.mkdir(r"D:\work", "D:(A;OICI;FA;;;U)")
    release, done = threading.Event(), threading.Event()
    caught: list[BaseException] = []

    def program(process: SimulatedProcess) -> None:
        process.open(r"D:\work\held", "w")
        process.stdout.write("ready")
        release.wait(20)
        try:
            process.write(r"D:\work\after", b"")
        except BaseException as error:
            caught.append(error)
            raise
        finally:
            done.set()

    host.add_program(TOOL, program)
    ours, theirs = host.processes.pipe(child_reads=False)
    with place_of(host).started("", handles=(None, theirs, None)) as run:
        theirs.close()
        with os.fdopen(host.processes.descriptor(ours, write=False), "rb") as reader:
            assert reader.read(5) == b"ready"
            host.processes.terminate_job(run.job, 3)
            # The function still runs, but the process is dead: its pipe is closed, its file is free.
            assert reader.read() == b""
        assert host.processes.wait(run.process, 0)
        with host.files.open(r"D:\work\held", 0x10000) as doomed:
            host.files.delete(doomed)
        release.set()
        assert done.wait(20)
    assert len(caught) == 1
    assert not isinstance(caught[0], Exception)
    assert not host.exists(r"D:\work\after")


@pytest.mark.parametrize("blocked", ["sleep", "read", pytest.param("write", marks=needs("posix")), "wait"])
def test_a_blocked_program_is_ended_at_once(blocked: str) -> None:
    host = SimulatedHost()
    before = threading.active_count()

    def program(process: SimulatedProcess) -> None:
        if blocked == "sleep":
            process.sleep(1e9)
        elif blocked == "read":
            process.stdin.read()
        elif blocked == "write":
            process.stdout.write(b"x" * 10_000_000)
        elif process.argv[1] == "":
            process.spawn([TOOL, "other", ""]).wait()
        else:
            process.sleep(1e9)

    host.add_program(TOOL, program)
    feed, child_in = host.processes.pipe(child_reads=True)
    out, child_out = host.processes.pipe(child_reads=False)
    with feed, child_in, out, child_out, place_of(host).started("", handles=(child_in, child_out, None)) as run:
        time.sleep(0.05)
        host.processes.terminate_job(run.job, 5)
        assert host.processes.wait(run.process, 0)
        assert host.processes.exit_code(run.process) == 5
        assert host.processes.job_processes(run.job) == ()
        # Its threads end too, although nobody closes the other ends of its pipes.
        for _ in range(500):
            if threading.active_count() == before:
                break
            time.sleep(0.01)
        assert threading.active_count() == before
    assert host.open_handles() == []


@needs("posix")
def test_no_descriptor_is_left_when_programs_have_ended() -> None:
    host = SimulatedHost()
    host.add_program(TOOL, lambda p: p.stdout.write(p.stdin.read()) and None)
    place = place_of(host)
    place.output("", data=b"x")
    count = len(os.listdir("/proc/self/fd")) if os.path.exists("/proc/self/fd") else None
    for _ in range(20):
        place.output("", data=b"x")
    time.sleep(0.05)
    assert count is None or len(os.listdir("/proc/self/fd")) <= count
    assert host.open_handles() == []


def test_a_reader_that_left_breaks_the_writers_pipe() -> None:
    host = SimulatedHost()
    codes: list[int] = []

    def program(process: SimulatedProcess) -> None:
        process.sleep(1)
        try:
            process.stdout.write("anybody?")
        except OSError as error:
            codes.append(getattr(error, "winerror", -1))

    host.add_program(TOOL, program)
    ours, theirs = host.processes.pipe(child_reads=False)
    with place_of(host).started("", handles=(None, theirs, None)) as run:
        theirs.close()
        ours.close()
        assert host.processes.wait(run.process, 5)
    assert codes == [232]


# --- limits and what belongs to a job


def test_memory_beyond_the_limit_is_not_given() -> None:
    host = SimulatedHost()

    def program(process: SimulatedProcess) -> int:
        process.allocate(600)
        process.free(600)
        process.allocate(900)
        process.allocate(200)
        return 0

    with running(host, program, JobLimits(memory=1000)) as run:
        assert host.processes.wait(run.process, 5)
        assert host.processes.exit_code(run.process) == 1
        usage = host.processes.job_usage(run.job)
    assert (usage.limit_hit, usage.peak_memory) == ("memory", 900)
    with running(host, program, JobLimits(memory=1100)) as run:
        assert host.processes.wait(run.process, 5)
        assert host.processes.exit_code(run.process) == 0
        assert host.processes.job_usage(run.job).limit_hit is None


def test_cpu_time_of_all_processes_together_ends_the_job() -> None:
    host = SimulatedHost()

    def program(process: SimulatedProcess) -> int:
        if process.argv[1] == "":
            child = process.spawn([TOOL, "child", ""])
            process.compute(3)
            child.wait()
        else:
            process.compute(30)
        return 0

    host.add_program(TOOL, program)
    with place_of(host).started("", limits=JobLimits(cpu_time=10)) as run:
        assert host.processes.wait_job(run.job, 100)
        assert host.processes.exit_code(run.process) == 1816
        usage = host.processes.job_usage(run.job)
    assert usage.limit_hit == "cpu_time"
    assert usage.user_time is not None
    assert usage.user_time >= 10


def test_a_spawned_program_has_the_same_token_and_job_and_streams() -> None:
    host = SimulatedHost()

    def program(process: SimulatedProcess) -> int:
        if process.argv[1] == "":
            process.stdout.write("one ")
            return process.spawn([TOOL, "child", ""], env={"A": "b"}).wait()
        process.stdout.write("two " + process.env["a"])
        process.write(r"C:\Windows\x")
        return 0

    host.add_program(TOOL, program)
    assert place_of(host).output("") == b"one two b"
    assert host.started == 2


def test_programs_are_found_on_the_path_with_exe_added() -> None:
    host = SimulatedHost()
    host.add_program(r"C:\tools\other.exe", lambda p: 5)
    got: list[object] = []

    def program(process: SimulatedProcess) -> None:
        process.env["PATH"] = r"C:\nothing;C:\tools"
        got.append(process.which("other"))
        got.append(process.run(["other"]).returncode)
        with pytest.raises(FileNotFoundError):
            process.spawn(["nobody"])

    host.run_program(program)
    assert got == [r"C:\tools\other.exe", 5]


def test_a_program_is_the_content_of_its_file() -> None:
    host = SimulatedHost()
    host.add_program(r"C:\tools\other.exe", lambda p: 5)
    got: list[int] = []

    def program(process: SimulatedProcess) -> None:
        process.write(r"D:\planted.exe", process.read(r"C:\tools\other.exe"))
        got.append(process.spawn([r"D:\planted.exe"]).wait())
        process.write(r"D:\planted.exe", b"text")
        with pytest.raises(OSError) as error:
            process.spawn([r"D:\planted.exe"])
        got.append(getattr(error.value, "winerror", 0))

    host.run_program(program)
    assert got == [5, 193]


def test_capture_inside_a_program_works_for_the_user() -> None:
    host = SimulatedHost()
    host.add_program(r"C:\tools\other.exe", lambda p: p.stdout.write("inner") and None)
    got: list[bytes] = []
    host.run_program(lambda p: got.append(p.run([r"C:\tools\other.exe"]).stdout))
    assert got == [b"inner"]


def test_a_desktop_that_is_gone_ends_the_process() -> None:
    host = SimulatedHost()
    host.add_program(TOOL, lambda p: 0)
    from winsandbox._host import StartRequest

    def start(name: str | None) -> int:
        with host.tokens.current() as token, host.processes.create_job(JobLimits()) as job:
            request = StartRequest(TOOL, "tool", {}, "C:\\", token, job, (None, None, None), desktop=name)
            started = host.processes.start(request)
            with started.process:
                assert host.processes.wait(started.process, 5)
                return host.processes.exit_code(started.process)

    assert start(None) == 0
    assert start("WinSta0\\mine") == 0xC0000142
    user = host.token.model.user
    descriptor = SecurityDescriptor.from_sddl(f"O:{user}G:{user}D:(A;;0xf01ff;;;{user})").to_bytes()
    with host.processes.create_desktop("mine", descriptor):
        assert start("WinSta0\\Mine") == 0
    assert start("WinSta0\\mine") == 0xC0000142


def test_a_program_knows_its_desktop_and_who_is_on_its_console() -> None:
    from winsandbox._host import StartRequest

    seen: list[tuple[str, bool]] = []
    for console in (False, True):
        host = SimulatedHost(console=console)
        me = host.processes.current().pid

        def program(process: SimulatedProcess, me: int = me) -> None:
            seen.append((process.desktop, me in process.console_processes()))
            if process.argv[1:]:
                return
            process.env["PATH"] = r"C:\tools"
            process.spawn(["tool", "again"]).wait()

        host.add_program(TOOL, program)
        user = host.token.model.user
        descriptor = SecurityDescriptor.from_sddl(f"O:{user}G:{user}D:(A;;0xf01ff;;;{user})").to_bytes()
        with (
            host.processes.create_desktop("mine", descriptor),
            host.tokens.current() as token,
            host.processes.create_job(JobLimits()) as job,
        ):
            for flags, name in ((0, None), (0x8000000, "WinSta0\\mine"), (0x8, None), (0x10, None)):
                request = StartRequest(
                    TOOL, "tool", {}, "C:\\", token, job, (None, None, None), flags=flags, desktop=name
                )
                with host.processes.start(request).process as started:
                    assert host.processes.wait(started, 5)
        host.run_program(program, "program", "alone")
    # A spawned one is where its parent is. Only without any flag is it on the caller's console, if there is one.
    twice = [("Default", False), ("mine", False), ("Default", False), ("Default", False)]
    without = [place for place in twice for _ in range(2)] + [("Default", False)]
    assert seen == [*without, ("Default", True), ("Default", True), *without[2:-1], ("Default", True)]


def test_the_station_is_that_of_the_session() -> None:
    assert SimulatedHost().processes.station() == ("WinSta0", True, "Default")
    name, visible, desktop = SimulatedHost.service().processes.station()
    assert name.startswith("Service-0x")
    assert (visible, desktop) == (False, "Default")
    assert SimulatedHost.service(logon=False).processes.station().name == "Service-0x0-3e7$"


def test_control_break_reaches_a_group_on_the_callers_console_only() -> None:
    host = SimulatedHost(console=True)
    host.add_program(TOOL, lambda p: p.sleep(1e6))
    from winsandbox._host import StartRequest

    for flags, code in ((0x200, None), (0x200 | 0x8000000, 87), (0, 87)):
        with host.tokens.current() as token, host.processes.create_job(JobLimits()) as job:
            request = StartRequest(TOOL, "tool", {}, "C:\\", token, job, (None, None, None), flags=flags)
            started = host.processes.start(request)
            with started.process:
                if code is None:
                    host.processes.control_break(started.pid)
                    assert host.processes.wait(started.process, 1)
                    assert host.processes.exit_code(started.process) == 0xC000013A
                else:
                    with pytest.raises(OSError) as error:
                        host.processes.control_break(started.pid)
                    assert getattr(error.value, "winerror", 0) == code
                    assert not host.processes.wait(started.process, 0)
    with pytest.raises(OSError):
        SimulatedHost().processes.control_break(1)


# --- the network


def test_a_program_that_asks_nobody_gets_out_and_is_recorded() -> None:
    host = SimulatedHost()
    host.serve("https://example.com/", b"content")
    got: list[bytes] = []

    def program(process: SimulatedProcess) -> None:
        process.env["HTTPS_PROXY"] = "http://127.0.0.1:9"
        process.connect("example.com", 443)
        with pytest.raises(ConnectionRefusedError):
            process.http_get("https://example.com/")
        process.env["no_proxy"] = "localhost,.com"
        got.append(process.http_get("https://example.com/"))

    host.run_program(program)
    assert [(where.host, where.port, where.loopback) for where in host.connections] == [("example.com", 443, False)] * 2
    assert got == [b"content"]


def test_a_proxy_on_the_loopback_is_used() -> None:
    host = SimulatedHost()
    host.listen(3128, lambda url: b"through the proxy: " + url.encode())
    got: list[bytes] = []

    def program(process: SimulatedProcess) -> None:
        process.env["http_PROXY"] = "127.0.0.1:3128"
        got.append(process.http_get("http://example.com/"))

    host.run_program(program)
    assert got == [b"through the proxy: http://example.com/"]
    assert all(where.loopback for where in host.connections)


# --- command lines: Microsoft's own table


@pytest.mark.parametrize(
    ("line", "arguments"),
    [
        (r'"a b c" d e', ("a b c", "d", "e")),
        (r'x "ab\"c" "\\" d', ("x", 'ab"c', "\\", "d")),
        (r'x a\\\b d"e f"g h', ("x", r"a\\\b", "de fg", "h")),
        (r"x a\\\"b c d", ("x", r"a\"b", "c", "d")),
        (r'x a\\\\"b c" d e', ("x", r"a\\b c", "d", "e")),
        ('x a"b"" c d', ("x", 'ab" c d')),
        (r'"C:\a\"b c', ("C:\\a\\b", "c")),
        ('x ""', ("x", "")),
        ("x ", ("x",)),
        ("", ("",)),
    ],
)
def test_a_command_line_is_split_as_the_c_runtime_does(line: str, arguments: tuple[str, ...]) -> None:
    assert commandline.split(line) == arguments
