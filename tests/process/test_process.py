"""Process beyond Popen: the tree and its end, limits, what the host refused, consoles, what the output says."""

from __future__ import annotations

import gc
import subprocess
import threading
import warnings
from collections.abc import Iterator
from subprocess import DEVNULL, PIPE
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.effort import every
from tests.process.launchers import SLOW, Sandboxed, Simulated, eventually, launcher
from winsandbox._host import JobLimits
from winsandbox._pipes import Pump
from winsandbox._spawn import UI_LIMITS
from winsandbox.errors import CommandRefused, EnforcementError, PolicyError, SpawnError, WinError, WorkingDirectoryError
from winsandbox.limits import Limits
from winsandbox.process import decode, explain_exit, run
from winsandbox.testing import SimulatedProcess

QUIET: dict[str, Any] = {"stdin": DEVNULL, "stdout": DEVNULL, "stderr": DEVNULL}


@pytest.fixture
def slow() -> Iterator[Simulated]:
    """As `simulated`, but its time stands still while this process does anything for less than a minute."""
    with launcher("simulated", patience=60) as made:
        assert isinstance(made, Simulated)
        yield made
        assert eventually(lambda: made.left() == []), made.left()


# --- the tree -------------------------------------------------------------------------------------------------------


def test_run_ends_what_the_command_left_behind(slow: Simulated) -> None:
    simulated = slow
    done = simulated.run("leave_child", capture_output=True)
    assert done.returncode == 0
    assert int(done.stdout.split()[0]) > 0
    assert simulated.machine.running() == []


def test_a_descendant_with_the_pipe_does_not_hold_communicate_up_and_lives_until_kill(
    slow: Simulated, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulated = slow
    monkeypatch.setattr("winsandbox.process.DRAIN_SECONDS", 0.2)
    process = simulated.start("leave_child", stdout=PIPE)
    output, _ = process.communicate()
    assert output.split()[0].isdigit()
    assert process.wait() == 0
    assert len(simulated.machine.running()) == 1
    process.kill()
    process.close()
    assert simulated.machine.running() == []


def test_the_end_of_a_block_ends_the_tree(simulated: Simulated) -> None:
    with simulated.start("leave_child", stdout=PIPE) as process:
        process.stdout.readline()
        assert process.wait() == 0
        assert len(simulated.machine.running()) == 1
    assert simulated.machine.running() == []


def test_an_exception_in_the_block_ends_the_tree_at_once(simulated: Simulated) -> None:
    with pytest.raises(KeyError), simulated.start("hang", "", "") as process:
        raise KeyError
    assert process.returncode == 1


def test_kill_ends_the_descendants_too(simulated: Simulated) -> None:
    process = simulated.start("leave_child", stdout=PIPE)
    process.stdout.readline()
    process.kill()
    assert simulated.machine.running() == []
    process.close()
    process.close()


@pytest.mark.parametrize("limits", [Limits(), Limits(wall_time=SLOW)])
def test_a_forgotten_process_is_ended_and_nothing_stays(simulated: Simulated, limits: Limits) -> None:
    process = simulated.start("hang", "", "", stdin=DEVNULL, stdout=PIPE, limits=limits)
    stdout = process.stdout
    with pytest.warns(ResourceWarning, match="still running"):
        del process
    assert simulated.machine.running() == []
    assert stdout.read() == b""
    stdout.close()
    assert eventually(lambda: simulated.left() == [])


def test_a_forgotten_process_is_ended_even_where_warnings_are_errors(
    simulated: Simulated, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Any] = []
    monkeypatch.setattr("sys.unraisablehook", told.append)
    process = simulated.start("hang", "", "", **QUIET)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        del process
    assert [type(one.exc_value) for one in told] == [ResourceWarning]
    assert simulated.machine.running() == []
    told.clear()


def test_a_process_of_a_host_that_is_gone_is_forgotten_without_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Any] = []
    monkeypatch.setattr("sys.unraisablehook", told.append)
    with launcher("simulated") as made:
        assert isinstance(made, Simulated)
        process = made.start("hang", "", "", **QUIET, limits=Limits(wall_time=SLOW))
        made.machine.crash()
        assert made.machine.running() == []  # kill on close
        del process
    assert told == []


def test_a_process_that_ended_is_forgotten_without_a_word(simulated: Simulated) -> None:
    process = simulated.start("exit", "0", **QUIET)
    assert eventually(lambda: simulated.machine.running() == [])
    del process
    assert simulated.left() == []


def test_finished_is_called_once_when_the_tree_is_over(simulated: Simulated) -> None:
    calls: list[Any] = []

    def finished(process: Any) -> None:
        calls.append(process)
        process.violations = ("found",)

    process = simulated.start("exit", "3", **QUIET, finished=finished)
    assert process.violations == ()
    assert process.wait() == 3
    assert calls == [process]
    assert process.violations == ("found",)
    process.close()
    process.poll()
    process = simulated.start("leave_child", stdin=DEVNULL, stdout=DEVNULL, finished=finished)
    assert process.wait() == 0
    assert len(calls) == 1  # something of the tree still runs
    process.close()
    assert calls[1:] == [process]


def test_run_calls_finished_after_the_end(simulated: Simulated) -> None:
    states: list[list[Any]] = []
    simulated.run("leave_child", **QUIET, finished=lambda _: states.append(simulated.machine.running()))
    assert states == [[]]


def test_handles_that_were_given_back_are_not_closed_again(
    simulated: Simulated, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = simulated.start("exit", "0", **QUIET)
    assert process.wait() == 0
    closed: list[int] = []
    monkeypatch.setattr(process._tree, "_close", lambda: closed.append(1))
    assert (process.wait(), process.poll(), process.limit) == (0, 0, None)
    process.kill()
    process.close()
    assert closed == []


def test_usage_stays_after_the_end(simulated: Simulated) -> None:
    def work(p: SimulatedProcess) -> None:
        p.compute(2.5)
        p.allocate(1000)

    simulated.machine.add_program("C:\\work\\work.exe", work)
    process = simulated.spawn(["C:\\work\\work.exe"], **QUIET)
    process.wait()
    usage = process.usage
    assert usage is not None
    assert (usage.user_time, usage.peak_memory, usage.processes, process.limit) == (2.5, 1000, 1, None)


def test_a_host_that_does_not_tell_usage_is_no_error(simulated: Simulated) -> None:
    simulated.machine.fail("job_usage", 1, 50)
    process = simulated.start("exit", "0", **QUIET)
    assert process.wait() == 0
    assert process.usage is None
    assert process.limit is None


def test_poll_sees_the_end_without_waiting(simulated: Simulated) -> None:
    process = simulated.start("upper", stdin=PIPE, stdout=DEVNULL)
    assert process.poll() is None
    process.stdin.close()
    assert eventually(lambda: process.poll() == 0)
    assert repr(process) == "<Process: returned 0 args: ['upper']>"


# --- time -----------------------------------------------------------------------------------------------------------


def test_timeouts_are_simulated_seconds(simulated: Simulated) -> None:
    clock = simulated.host.processes.clock
    began = clock()
    with simulated.start("hang", "", "", **QUIET) as process:
        with pytest.raises(subprocess.TimeoutExpired) as caught:
            process.wait(600)
        process.kill()
    assert caught.value.timeout == 600
    assert clock() - began >= 600


@pytest.mark.parametrize("who", ["wait", "nobody", "communicate"])
def test_wall_time_ends_the_tree_whoever_waits(simulated: Simulated, who: str) -> None:
    process = simulated.start("hang", "", "", stdin=DEVNULL, stdout=PIPE, limits=Limits(wall_time=5))
    if who == "wait":
        assert process.wait() == 1816
    elif who == "communicate":
        assert process.communicate() == (b"", None)
    else:
        assert eventually(lambda: simulated.machine.running() == [])
        assert process.poll() == 1816
    assert process.limit == "wall_time"
    assert "limit" in (explain_exit(process.returncode or 0) or "")
    process.close()


@pytest.mark.parametrize("who", ["wait", "nobody"])
def test_a_wall_time_that_cannot_be_held_at_once_is_told_and_tried_again(
    simulated: Simulated, who: str, caplog: pytest.LogCaptureFixture
) -> None:
    simulated.machine.fail("terminate_job", 1, 5)
    process = simulated.start("hang", "", "", **QUIET, limits=Limits(wall_time=5))
    if who == "nobody":
        assert eventually(lambda: simulated.machine.running() == [])
    assert process.wait() == 1816
    process.close()
    assert process.limit == "wall_time"
    assert any("could not be held at once" in note for note in process.notes)
    (record,) = [record for record in caplog.records if getattr(record, "event", "") == "limit-failed"]
    assert record.levelname == "WARNING"


def test_a_tree_is_not_said_to_have_been_ended_before_it_was(simulated: Simulated) -> None:
    processes: Any = simulated.machine.processes
    terminate = processes.terminate_job

    def refuse(job: object, code: int) -> None:
        raise WinError(5, "TerminateJobObject")

    processes.terminate_job = refuse
    process = simulated.start("hang", "", "", **QUIET, limits=Limits(wall_time=5))
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(60)
    assert process.limit is None
    processes.terminate_job = terminate
    assert process.wait() == 1816
    assert process.limit == "wall_time"


def test_wall_time_covers_what_the_first_process_left(simulated: Simulated) -> None:
    process = simulated.start("leave_child", **QUIET, limits=Limits(wall_time=5))
    assert process.wait() == 0
    assert eventually(lambda: simulated.machine.running() == [])
    process.close()
    assert process.limit == "wall_time"


def test_wall_time_that_is_not_reached_leaves_no_thread(simulated: Simulated) -> None:
    before = threading.active_count()
    process = simulated.start("exit", "0", **QUIET, limits=Limits(wall_time=SLOW))
    assert process.wait() == 0
    assert process.limit is None
    assert eventually(lambda: threading.active_count() <= before)


# --- limits ---------------------------------------------------------------------------------------------------------


def _allocate(p: SimulatedProcess) -> int:
    try:
        p.allocate(2_000_000)
    except OSError:
        return 8
    return 0


def _compute(p: SimulatedProcess) -> None:
    p.compute(100)


def _breed(p: SimulatedProcess) -> int:
    try:
        p.spawn(["C:\\Program Files\\programs\\exit.exe", "0"])
    except OSError:
        return 9
    return 0


@pytest.mark.parametrize(
    ("program", "limits", "name", "code"),
    [
        (_allocate, Limits(memory=1_000_000), "memory", 8),
        (_compute, Limits(cpu_time=3), "cpu_time", 1816),
        (_breed, Limits(processes=1), "processes", 9),
    ],
)
def test_the_job_holds_each_limit_and_the_process_says_which(
    simulated: Simulated, program: Any, limits: Limits, name: str, code: int
) -> None:
    simulated.machine.add_program("C:\\work\\try.exe", program)
    process = simulated.spawn(["C:\\work\\try.exe"], **QUIET, limits=limits)
    assert process.wait() == code
    process.close()
    assert process.limit == name
    twin = simulated.spawn(["C:\\work\\try.exe"], **QUIET)
    assert twin.wait() == 0
    twin.close()
    assert twin.limit is None


def test_a_refused_limit_is_an_error_or_a_note_and_the_others_hold(simulated: Simulated) -> None:
    limits = Limits(memory=1_000_000, processes=1)
    # Refused together, then: the bare job, memory alone (refused), processes alone.
    simulated.machine.fail("create_job", 1, 50)
    simulated.machine.fail("create_job", 3, 50)
    with pytest.raises(EnforcementError, match="'memory' cannot be set") as caught:
        simulated.start("exit", "0", **QUIET, limits=limits)
    assert "best-effort" in caught.value.remedy
    assert simulated.left() == []
    simulated.machine.fail("create_job", 1, 50)
    simulated.machine.fail("create_job", 3, 50)
    simulated.machine.add_program("C:\\work\\try.exe", lambda p: max(_allocate(p), _breed(p)))
    process = simulated.spawn(["C:\\work\\try.exe"], **QUIET, limits=limits, require="best-effort")
    assert process.wait() == 9
    assert len(process.notes) == 1
    assert "memory" in process.notes[0]


def test_a_job_that_cannot_be_made_at_all_is_a_spawn_error(simulated: Simulated) -> None:
    for limits in (Limits(), Limits(processes=3)):
        simulated.machine.fail("create_job", 1, 8)
        simulated.machine.fail("create_job", 2, 8)
        with pytest.raises(SpawnError, match="job object"):
            simulated.start("exit", "0", **QUIET, limits=limits, require="best-effort")
        simulated.machine.fail("create_job", 1, 8)  # uses up what the first round left
        with pytest.raises(SpawnError):
            simulated.start("exit", "0", **QUIET)


@pytest.mark.parametrize("known", [True, None])
def test_limits_of_the_user_interface_in_a_nested_job(known: bool | None) -> None:
    with launcher("simulated", job_ui_limits=known) as made:
        assert isinstance(made, Simulated)
        if known is None:
            made.machine.fail("start", 1, 5)
            made.machine.fail("start", 2, 5)
        with pytest.raises(EnforcementError if known else SpawnError):
            made.start("exit", "0", **QUIET, ui_limits=("handles",))
        process = made.start("exit", "0", **QUIET, ui_limits=("handles",), require="best-effort")
        assert process.wait() == 0
        assert len(process.notes) == 1
        assert "user interface" in process.notes[0]
        assert made.left() == []


@pytest.fixture
def asked(simulated: Simulated) -> dict[str, list[Any]]:
    """What spawn asks of the host: the limits of its jobs, the requests to start."""
    seen: dict[str, list[Any]] = {"create_job": [], "start": []}
    processes: Any = simulated.machine.processes

    def watch(name: str) -> None:
        real = getattr(processes, name)

        def remember(given: Any) -> Any:
            seen[name].append(given)
            return real(given)

        setattr(processes, name, remember)

    for name in seen:
        watch(name)
    return seen


def test_limits_of_the_user_interface_reach_the_job_by_name(simulated: Simulated, asked: dict[str, list[Any]]) -> None:
    process = simulated.start("exit", "0", **QUIET, ui_limits=("clipboard-read", "clipboard-write", "handles"))
    assert process.wait() == 0
    assert process.notes == ()
    assert asked["create_job"] == [JobLimits(ui=0x1 | 0x2 | 0x4)]
    assert UI_LIMITS["handles"] | UI_LIMITS["clipboard-read"] | UI_LIMITS["clipboard-write"] == 0x7
    assert sorted(UI_LIMITS.values()) == [1 << bit for bit in range(8)]
    with pytest.raises(ValueError, match="clipbord"):
        simulated.start("exit", "0", **QUIET, ui_limits=("clipbord-read",))


def test_warnings_about_the_command_become_notes(simulated: Simulated) -> None:
    simulated.machine.add_program("C:\\Windows\\System32\\curl.exe", lambda _: 0)
    process = simulated.spawn(["C:\\Windows\\System32\\curl.exe"], **QUIET)
    assert process.wait() == 0
    assert "Schannel" in process.notes[0]


# --- consoles -------------------------------------------------------------------------------------------------------


def _streams(p: SimulatedProcess) -> int:
    p.stdout.write(p.stdin.readline().upper())
    p.stderr.write("err")
    return sum(bool(getattr(stream, "console", False)) << bit for bit, stream in enumerate(p._record.streams))


@pytest.mark.parametrize(("console", "code"), [("private", 0), ("shared", 7)])
def test_no_console_handle_reaches_the_child_unless_shared(console: str, code: int) -> None:
    with launcher("simulated", console=True, stdin=b"typed\n") as made:
        assert isinstance(made, Simulated)
        made.machine.add_program("C:\\work\\streams.exe", _streams)
        process = made.spawn(["C:\\work\\streams.exe"], console=console)
        assert process.wait(60) == code
        # All of it is there as soon as wait returns.
        assert made.machine.stdout == b"TYPED\n"
        assert made.machine.stderr == b"err"
        process.close()
        assert eventually(lambda: made.left() == [])


@pytest.mark.parametrize(("console", "flags"), [("private", 0x8000000), ("shared", 0x200)])
def test_a_private_console_is_no_window_and_a_shared_one_a_group(
    simulated: Simulated, asked: dict[str, list[Any]], console: str, flags: int
) -> None:
    assert simulated.start("exit", "0", **QUIET, console=console, limits=Limits(processes=3)).wait() == 0
    assert [request.flags for request in asked["start"]] == [flags]
    assert asked["create_job"] == [JobLimits(processes=3)]


def test_a_descendant_with_the_console_is_waited_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    join = Pump.join

    def counted(pump: Pump, timeout: float) -> None:
        waits.append(timeout)
        join(pump, timeout)

    monkeypatch.setattr(Pump, "join", counted)
    monkeypatch.setattr("winsandbox.process.DRAIN_SECONDS", 0.2)
    with launcher("simulated", console=True, patience=60) as made:
        assert isinstance(made, Simulated)
        process = made.start("leave_child", stdin=DEVNULL)
        assert process.poll() in (None, 0)
        assert eventually(lambda: process.poll() == 0)
        assert (process.wait(0), waits) == (0, []), "a look waits for nothing"
        assert process.wait() == 0
        assert len(waits) == 1, "both streams together have one deadline"
        assert waits[0] <= 0.2
        assert (process.wait(), process.wait(5), process.poll(), len(waits)) == (0, 0, 0, 1), "and only once"
        process.close()
        assert eventually(lambda: made.left() == [])


def test_streams_that_are_no_console_are_handed_on(simulated: Simulated) -> None:
    simulated.machine.add_program("C:\\work\\streams.exe", _streams)
    process = simulated.spawn(["C:\\work\\streams.exe"])
    assert process.wait() == 0
    assert simulated.machine.stderr == b"err"


def test_a_caller_without_streams_gives_the_null_device() -> None:
    with launcher("simulated") as made:
        assert isinstance(made, Simulated)
        made.machine.processes.standard = lambda number: None  # type: ignore[method-assign]
        assert made.run("say", "out", "err", "5", stdin=None).returncode == 5
        assert made.left() == []


def test_control_break_needs_a_shared_console() -> None:
    def polite(p: SimulatedProcess) -> int:
        asked = []
        p.on_break(lambda: asked.append(1))
        p.stdout.write("ready\n")
        while not asked:
            p.sleep(0.1)
        return 42

    with launcher("simulated", console=True) as made:
        assert isinstance(made, Simulated)
        made.machine.add_program("C:\\work\\polite.exe", polite)
        with made.spawn(["C:\\work\\polite.exe"], **{**QUIET, "stdout": PIPE}, console="shared") as process:
            process.stdout.readline()
            process.send_signal(1)
            assert process.wait() == 42
            process.send_signal(1)  # to a process that has ended: nothing
        with made.start("hang", "", "", **QUIET) as process:
            for sig in (0, 1):
                with pytest.raises(ValueError, match='console="shared"'):
                    process.send_signal(sig)
            with pytest.raises(ValueError, match="unsupported signal"):
                process.send_signal(9)
            process.kill()
        assert made.left() == []


# --- refusals -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("args", ["git status", b"git", 5, None, ("git", 1), [b"git"], {"git": 1}])
def test_args_must_be_a_sequence_of_text(simulated: Simulated, args: Any) -> None:
    with pytest.raises(TypeError, match="args must"):
        simulated.spawn(args, **QUIET)


def test_no_command_and_unknown_words_are_told(simulated: Simulated) -> None:
    with pytest.raises(ValueError, match="empty"):
        simulated.spawn([], **QUIET)
    with pytest.raises(ValueError, match="console"):
        simulated.start("exit", "0", **QUIET, console="mine")
    with pytest.raises(LookupError):
        simulated.start("exit", "0", **QUIET, encoding="no-such-encoding")
    with pytest.warns(RuntimeWarning, match="line buffering"):
        simulated.start("exit", "0", **QUIET, bufsize=1).close()


@pytest.mark.parametrize(("winerror", "says"), [(740, "administrator"), (1312, "Store"), (1260, "policy"), (4242, "")])
def test_a_start_that_windows_refuses_says_what_to_do(simulated: Simulated, winerror: int, says: str) -> None:
    simulated.machine.fail("start", 1, winerror)
    with pytest.raises(SpawnError, match="could not be started") as caught:
        simulated.start("exit", "0", stdin=PIPE, stdout=PIPE, stderr=PIPE)
    assert caught.value.winerror == winerror
    assert says in caught.value.remedy
    assert simulated.left() == []


@pytest.mark.parametrize(("cwd", "what"), [("C:\\nowhere", "does not exist"), ("C:\\work\\f.txt", "no directory")])
def test_a_missing_working_directory_is_told_by_its_name(simulated: Simulated, cwd: str, what: str) -> None:
    simulated.machine.write_file("C:\\work\\f.txt", b"")
    with pytest.raises(WorkingDirectoryError, match=what) as caught:
        simulated.start("exit", "0", **QUIET, cwd=cwd)
    error = caught.value
    assert isinstance(error, SpawnError | NotADirectoryError)
    assert isinstance(error, FileNotFoundError)
    assert (error.filename, error.winerror) == (cwd, 267)
    assert simulated.left() == []
    assert simulated.start("exit", "0", **QUIET, cwd="C:\\work").wait() == 0
    simulated.machine.fail("query", 1, 5)  # it cannot be looked at, and goes away a moment later
    simulated.machine.fail("start", 1, 267)
    with pytest.raises(NotADirectoryError) as gone:
        simulated.start("exit", "0", **QUIET, cwd="C:\\work")
    assert gone.value.filename == "C:\\work"


@pytest.mark.parametrize(
    ("env", "error"),
    [
        ({"A": 1}, TypeError),
        ({"A": None}, TypeError),
        ({1: "A"}, TypeError),
        ({b"A": b"1"}, TypeError),
        ([("A", "1")], TypeError),
        ({"A=B": "1"}, PolicyError),
        ({"A": "1\0"}, PolicyError),
        ({"": "1"}, ValueError),
    ],
)
def test_an_environment_that_windows_cannot_hold_is_refused_on_every_host(
    simulated: Simulated, env: Any, error: type[Exception]
) -> None:
    with pytest.raises(error):
        simulated.spawn(
            ["exit", "0"], **QUIET, env={**simulated.environment(), **env} if isinstance(env, dict) else env
        )
    assert simulated.left() == []


def test_a_line_for_cmd_that_goes_on_after_its_end_has_a_note(simulated: Simulated) -> None:
    simulated.machine.add_program("C:\\Windows\\System32\\cmd.exe", lambda _: 0)
    for line, notes in (("echo a\necho b", 1), ("echo a & echo b", 0)):
        with simulated.spawn(["cmd", "/c", line], **QUIET) as process:
            assert process.wait() == 0
            assert ["first line end" in note for note in process.notes] == [True] * notes


def test_batch_files_are_started_by_windows_own_cmd(simulated: Simulated) -> None:
    def cmd(p: SimulatedProcess) -> None:
        p.stdout.write("\n".join(p.argv))

    simulated.machine.add_program("C:\\Windows\\System32\\cmd.exe", cmd)
    simulated.machine.write_file("C:\\work\\x.cmd", b"@echo %*")
    env = {**simulated.environment(), "COMSPEC": "C:\\work\\evil.exe"}
    process = simulated.spawn([".\\x.cmd", "a b"], stdin=DEVNULL, stdout=PIPE, env=env)
    assert process.communicate()[0].startswith(b"cmd.exe\n/d\n/v:off\n/s\n/c\n")
    with pytest.raises(CommandRefused):
        simulated.spawn([".\\x.cmd", '" & calc'], **QUIET)


def test_run_gives_the_arguments_back_as_they_were(simulated: Simulated) -> None:
    args = ("exit", "0")
    assert run(simulated.spawn(args, **QUIET)).args is args


# --- nothing is left ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", [{}, {"console": True, "stdin": b"typed\n"}])
def test_a_failure_at_any_step_leaves_nothing(host: dict[str, Any]) -> None:
    steps = every(range(1, 45))
    failures = sum(fails_at(step, host, Limits(processes=5)) for step in steps)
    assert failures > len(steps) // 5


def test_a_failure_leaves_nothing_of_the_thread_for_the_wall_time() -> None:
    # That thread calls the host as well, so which call fails is not known.
    for step in every(range(1, 45), quick=4):
        fails_at(step, {}, Limits(wall_time=SLOW))


def fails_at(step: int, host: dict[str, Any], limits: Limits) -> bool:
    """Let the step-th call to the host fail; whether anybody noticed. Nothing may be left in any case."""
    failed = False
    with launcher("simulated", **host) as made:
        assert isinstance(made, Simulated)
        threads = threading.active_count()
        made.machine.fail("all", step, 5)
        streams = {} if host else {"stdin": PIPE, "stdout": PIPE, "stderr": PIPE}
        process = None
        try:
            process = made.start("say", "out", "err", "0", **streams, limits=limits)
            process.communicate()
        except OSError:
            failed = True
        if process is not None:
            process.close()
        del process
        gc.collect()
        assert eventually(lambda: made.left() == []), (step, made.left())
        assert eventually(lambda: threading.active_count() <= threads), (step, threading.enumerate())
    return failed


def test_a_thread_that_cannot_be_started_ends_the_process(
    simulated: Simulated, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if "wall time" in thread.name:
            raise RuntimeError("can't start new thread")
        ours(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with pytest.raises(RuntimeError):
        simulated.start("hang", "", "", stdin=PIPE, stdout=PIPE, limits=Limits(wall_time=5))
    assert simulated.machine.running() == []


def test_no_patience_is_used_up_for_a_command_that_leaves_nothing(
    simulated: Simulated, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Whoever waited one of these out would not come back.
    for name in ("DRAIN_SECONDS", "GRACE_SECONDS", "END_SECONDS"):
        monkeypatch.setattr(f"winsandbox.process.{name}", 1e6)
    assert simulated.run("say", "", "", "0", capture_output=True).returncode == 0
    assert simulated.start("exit", "3", **QUIET).wait() == 3


def test_fifty_at_once(simulated: Simulated) -> None:
    threads = threading.active_count()
    processes = [simulated.start("upper", stdin=PIPE, stdout=PIPE) for _ in range(50)]
    for number, process in enumerate(processes):
        assert process.communicate(b"text %d" % number)[0] == b"TEXT %d" % number
    assert simulated.left() == []
    assert eventually(lambda: threading.active_count() <= threads)


# --- what comes out -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "oem", "text"),
    [
        (b"", None, ""),
        ("größe €𝄞".encode(), 850, "größe €𝄞"),
        (b"gr\x94\xe1e", 850, "größe"),
        (b"gr\x94\xe1e", 437, "größe"),
        (b"\xef\xbb\xbfx", 850, "x"),
        ("é€".encode()[:-1], 850, "é\ufffd"),
        ("\ufeffx€".encode()[:-1], 850, "x\ufffd"),
        (b"Gru\xe1", 850, "Gruß"),
        (b"Gru\xe1\r\n", 850, "Gruß\r\n"),
        ("größe".encode("utf-16"), 850, "größe"),
        (b"\xff", 99999, "\ufffd"),
    ],
)
def test_output_is_utf8_or_the_oem_code_page(data: bytes, oem: int | None, text: str) -> None:
    assert decode(data, oem) == text


@given(st.binary(), st.none() | st.sampled_from([437, 850, 932, 65001, 0]))
def test_decoding_never_fails_and_keeps_utf8(data: bytes, oem: int | None) -> None:
    assert isinstance(decode(data, oem), str)


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\ufeff")))
def test_utf8_is_kept(text: str) -> None:
    assert decode(text.encode(), 850) == text


def test_known_exit_codes_are_explained_whatever_their_sign() -> None:
    assert "console" in (explain_exit(0xC0000142) or "")
    assert explain_exit(0xC0000142 - 2**32) == explain_exit(0xC0000142)
    assert "DLL" in (explain_exit(0xC0000135) or "")
    assert "denied" in (explain_exit(0xC0000022) or "")
    assert explain_exit(0) is None
    assert explain_exit(1) is None


def test_a_child_without_its_desktop_is_explained(simulated: Simulated) -> None:
    process = simulated.start("exit", "0", **QUIET, desktop="WinSta0\\gone")
    assert "desktop" in (explain_exit(process.wait()) or "")
    assert isinstance(simulated, Sandboxed)
    assert process.poll() == 0xC0000142
    assert [note.split(":")[0] for note in process.notes] == ["exit code 3221225794 (0xC0000142)"]
    twin = simulated.start("exit", "1816", **QUIET)
    assert twin.wait() == 1816
    assert twin.notes == (), "its own code, and no limit"
