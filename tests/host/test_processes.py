"""Processes, jobs and pipes, as every host must have them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.host.place import Place
from winsandbox._host import JobLimits, ProcessId
from winsandbox.errors import WinError


@pytest.mark.parametrize("value", [0, 1, 77, 255])
def test_the_exit_code_is_the_programs(place: Place, value: int) -> None:
    with place.started("exit", str(value)) as run:
        assert place.host.processes.wait(run.process, 60)
        assert place.host.processes.exit_code(run.process) == value


def test_a_process_that_runs_has_the_code_259_and_waiting_ends_in_time(place: Place) -> None:
    processes = place.host.processes
    with place.started("sleep", "600") as run:
        before = processes.clock()
        assert not processes.wait(run.process, 0)
        assert not processes.wait(run.process, 0.5)
        assert processes.clock() - before >= 0.4
        assert processes.exit_code(run.process) == 259
        assert not processes.wait_job(run.job, 0)


def test_terminating_a_job_ends_the_process_with_the_code_given(place: Place) -> None:
    processes = place.host.processes
    with place.started("sleep", "600") as run:
        assert run.pid in processes.job_processes(run.job)
        processes.terminate_job(run.job, 99)
        assert processes.wait(run.process, 60)
        assert processes.exit_code(run.process) == 99
        assert processes.wait_job(run.job, 60)
        assert processes.job_processes(run.job) == ()


def test_closing_the_job_ends_the_process(place: Place) -> None:
    processes = place.host.processes
    with place.started("sleep", "600") as run:
        run.job.close()
        assert processes.wait(run.process, 60)


def test_a_job_holds_what_its_processes_start(place: Place) -> None:
    processes = place.host.processes
    with place.started("child", "600") as run:
        assert processes.wait(run.process, 60)
        assert not processes.wait_job(run.job, 0.2)
        # Not exactly one: a console's own host process may be counted too.
        left = processes.job_processes(run.job)
        assert left
        assert run.pid not in left
        processes.terminate_job(run.job, 1)
        assert processes.wait_job(run.job, 60)
        assert processes.job_usage(run.job).processes >= 2


def test_input_reaches_the_process_and_its_output_comes_back(place: Place) -> None:
    data = bytes(range(256)) * 2000
    assert place.output("copy", data=data) == data


def test_arguments_arrive_as_they_were_quoted(place: Place) -> None:
    value = 'a "b" \\"c\\\\ d\\'
    assert place.output("say", value).decode() == value


def test_the_environment_is_exactly_the_one_given(place: Place) -> None:
    environment = {"WINSANDBOX_TEST": "grüße", "winsandbox_other": "="}
    assert place.output("variable", "winsandbox_TEST", environment={"WINSANDBOX_TEST": "x=y"}) == b"x=y"
    assert place.output("variable", "WINSANDBOX_OTHER", environment=environment) == b"="
    assert place.output("variable", "WINSANDBOX_NONE", environment=environment) == b"(none)"


def test_the_working_directory_is_the_one_given(place: Place) -> None:
    place.make_directory("here")
    printed = place.output("cwd", cwd=f"{place.path}\\here").decode()
    assert printed.lower() == f"{place.path}\\here".lower()


def test_a_missing_program_is_code_2(place: Place) -> None:
    place.program = f"{place.path}\\missing.exe"
    with pytest.raises(FileNotFoundError) as error, place.started("exit", "0"):
        pass
    assert getattr(error.value, "winerror", 0) == 2


def test_a_working_directory_that_is_none_is_code_267(place: Place) -> None:
    with pytest.raises(WinError) as error, place.started("exit", "0", cwd=f"{place.path}\\missing"):
        pass
    assert error.value.winerror == 267


def test_a_file_that_is_no_program_is_code_193(place: Place) -> None:
    place.make_file("text.exe", b"nothing of a program" * 100)
    place.program = f"{place.path}\\text.exe"
    with pytest.raises(WinError) as error, place.started("exit", "0"):
        pass
    assert error.value.winerror in (193, 216)


def test_output_to_the_callers_own_file(place: Place, tmp_path: Path) -> None:
    target = tmp_path / "output"
    with target.open("wb") as file, place.host.processes.duplicate_descriptor(file.fileno()) as handle:
        with place.started("say", "hello", handles=(None, handle, None)) as run:
            assert place.host.processes.wait(run.process, 60)
    assert target.read_bytes() == b"hello"


def test_a_descriptor_that_is_not_open_is_refused(place: Place) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    os.close(writer)
    with pytest.raises(OSError):
        place.host.processes.duplicate_descriptor(reader)


def test_a_pipe_ends_when_its_last_writer_is_closed(place: Place) -> None:
    ours, theirs = place.host.processes.pipe(child_reads=False)
    with theirs:
        place.host.files.write(theirs, b"last words")
    with os.fdopen(place.host.processes.descriptor(ours, write=False), "rb") as reader:
        assert reader.read() == b"last words"
    assert ours.closed


def test_the_caller_is_alive_and_nobody_else_of_its_number(place: Place) -> None:
    processes = place.host.processes
    me = processes.current()
    assert processes.alive(me)
    assert not processes.alive(ProcessId(me.pid, me.created + 1))


def test_clocks_and_random_bytes(place: Place) -> None:
    processes = place.host.processes
    first = processes.clock()
    assert processes.clock() >= first
    assert processes.time() > 1_700_000_000
    assert len(processes.random(32)) == 32
    assert processes.random(32) != processes.random(32)


def test_the_environment_of_the_caller_has_windows_own_variables(place: Place) -> None:
    names = {name.upper() for name in place.host.processes.environment()}
    assert {"SYSTEMROOT", "PATH"} <= names


def test_more_processes_than_the_limit_are_not_started(place: Place) -> None:
    place.need(limits=True)
    processes = place.host.processes
    with place.started("child", "0", limits=JobLimits(processes=1)) as run:
        assert processes.wait(run.process, 60)
        assert processes.exit_code(run.process) != 0
        assert processes.job_usage(run.job).processes >= 1
    with place.started("child", "0", limits=JobLimits(processes=2)) as run:
        assert processes.wait(run.process, 60)
        assert processes.exit_code(run.process) == 0


def test_usage_is_told_while_it_runs_and_afterwards(place: Place) -> None:
    processes = place.host.processes
    with place.started("sleep", "600") as run:
        assert processes.job_usage(run.job).processes >= 1
        processes.terminate_job(run.job, 1)
        assert processes.wait_job(run.job, 60)
        assert processes.job_usage(run.job).processes >= 1


def test_a_process_runs_with_a_restricted_token(place: Place) -> None:
    with place.host.tokens.current() as token:
        made = place.host.tokens.restrict(token, flags=0, delete=["SeShutdownPrivilege"])
    with place.started("exit", "5", token=made) as run:
        assert place.host.processes.wait(run.process, 60)
        assert place.host.processes.exit_code(run.process) == 5
