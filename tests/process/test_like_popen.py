"""What subprocess.Popen does, Process does: each case is run against both, on a simulated host and on this Windows."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from subprocess import DEVNULL, PIPE, STDOUT
from typing import Any

import pytest

from tests.process.launchers import Launcher, Sandboxed, Simulated
from winsandbox.errors import SpawnError


def test_exit_code_and_both_outputs(launch: Launcher) -> None:
    done = launch.run("say", "out", "err", "3", capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (3, b"out", b"err")


def test_nothing_is_captured_without_pipes(launch: Launcher) -> None:
    done = launch.run("say", "", "", "0", stdout=DEVNULL, stderr=DEVNULL)
    assert (done.returncode, done.stdout, done.stderr) == (0, None, None)


def test_stderr_into_stdout(launch: Launcher) -> None:
    done = launch.run("say", "out", "err", "0", stdout=PIPE, stderr=STDOUT)
    assert sorted([done.stdout[:3], done.stdout[3:]]) == [b"err", b"out"]
    assert done.stderr is None


@pytest.mark.parametrize("size", [0, 1, 65_536, 300_000])
def test_input_of_any_size_comes_back(launch: Launcher, size: int) -> None:
    data = (b"x" * 99 + b"\n") * (size // 100) + b"y" * (size % 100)
    done = launch.run("cat", input=data, capture_output=True)
    assert done.stdout == data


def test_both_outputs_of_any_size_do_not_block(launch: Launcher) -> None:
    done = launch.run("flood", "400", capture_output=True)
    assert done.stdout == b"o" * 400_000
    assert done.stderr == b"e" * 400_000


def test_input_that_nobody_reads(launch: Launcher) -> None:
    done = launch.run("say", "done", "", "0", input=b"x" * 1_000_000, capture_output=True)
    assert done.stdout == b"done"


def test_text_input_and_universal_newlines(launch: Launcher) -> None:
    for options in ({"text": True}, {"universal_newlines": True}, {"encoding": "utf-8"}, {"errors": "strict"}):
        done = launch.run("raw", b"a\r\nb\rc\nd".hex(), capture_output=True, **options)
        assert done.stdout == "a\nb\nc\nd"
        assert done.stderr == ""
    done = launch.run("cat", input="grüße\n€", capture_output=True, encoding="utf-8")
    assert done.stdout == "grüße\n€"


def test_the_error_handler_is_used(launch: Launcher) -> None:
    assert launch.run("raw", "61ff", capture_output=True, encoding="utf-8", errors="replace").stdout == "a�"


def test_text_and_universal_newlines_must_agree(launch: Launcher) -> None:
    with pytest.raises(subprocess.SubprocessError):
        launch.start("say", "", "", "0", text=True, universal_newlines=False)


@pytest.mark.parametrize(
    "arguments",
    [
        ["", "a b", 'say "hi"', "C:\\dir\\", "C:\\a b\\", '\\"', "%PATH%", "^&|<>", "é€𝄞"],
        ["line\nend", "\ttab", "'single'", "*.txt", "~", "--", "-c"],
        ['"', '""', "\\", "\\\\", '\\\\"', ' " '],
    ],
)
def test_arguments_arrive_as_they_were_given(launch: Launcher, arguments: list[str]) -> None:
    import json

    assert json.loads(launch.run("arguments", *arguments, capture_output=True).stdout) == arguments


def test_environment_and_directory(launch: Launcher, tmp_path: Path) -> None:
    env: dict[str, str] = {**(launch.environment() if isinstance(launch, Sandboxed) else os.environ), "X": "größer"}
    where = "D:\\" if isinstance(launch, Simulated) else str(tmp_path)
    done = launch.run("variable", "X", env=env, cwd=where, capture_output=True, encoding="utf-8")
    assert done.stdout == f"größer|{where}"


def test_check_raises_with_everything(launch: Launcher) -> None:
    with pytest.raises(subprocess.CalledProcessError) as caught:
        launch.run("say", "out", "err", "7", capture_output=True, check=True)
    assert (caught.value.returncode, caught.value.stdout, caught.value.stderr) == (7, b"out", b"err")
    assert launch.run("say", "", "", "0", capture_output=True, check=True).returncode == 0


def patiently(case: Callable[[float], None]) -> None:
    """Run a case that must let a program come to print something first: again with more time on a slow machine."""
    for seconds in (1, 5):
        try:
            case(seconds)
        except AssertionError:
            continue
        return
    case(25)


@pytest.mark.parametrize("text", [False, True])
def test_timeout_of_run_has_the_output_so_far(launch: Launcher, text: bool) -> None:
    def case(seconds: float) -> None:
        with pytest.raises(subprocess.TimeoutExpired) as caught:
            launch.run("hang", "partial", "also", capture_output=True, timeout=seconds, text=text)
        assert caught.value.timeout == seconds
        output: Any = caught.value.stdout
        error: Any = caught.value.stderr
        # On POSIX subprocess gives bytes in text mode too; on Windows, which is the model here, str.
        if text and not isinstance(output, str):
            assert not isinstance(launch, Sandboxed)
            output, error = (output or b"").decode(), (error or b"").decode()
        assert (output, error) == (("partial", "also") if text else (b"partial", b"also"))

    patiently(case)


def test_communicate_can_be_called_again_after_a_timeout(launch: Launcher) -> None:
    def case(seconds: float) -> None:
        with launch.start("hang", "partial", "", stdout=PIPE, stdin=PIPE) as process:
            with pytest.raises(subprocess.TimeoutExpired) as caught:
                process.communicate(b"input", timeout=seconds)
            with pytest.raises(ValueError, match="Cannot send input"):
                process.communicate(b"more", timeout=seconds)
            process.kill()
            assert process.communicate() == (b"partial", None)
            assert not isinstance(launch, Sandboxed) or caught.value.output == b"partial"

    patiently(case)


def test_wait_times_out_and_the_process_goes_on(launch: Launcher) -> None:
    with launch.start("cat", stdin=PIPE, stdout=PIPE) as process:
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.2)
        assert process.poll() is None
        assert process.communicate(b"still here") == (b"still here", None)
        assert process.wait(0) == process.returncode == process.poll() == 0


def test_kill_and_what_comes_after_it(launch: Launcher) -> None:
    process = launch.start("hang", "", "")
    assert process.returncode is None
    process.kill()
    assert process.wait(30) != 0
    for method in (process.kill, process.terminate, lambda: process.send_signal(signal.SIGTERM)):
        method()  # nothing happens to a process that has ended
    code = process.returncode
    assert process.wait() == code


def test_terminate_and_sigterm_end_it(launch: Launcher) -> None:
    for end in ("terminate", "signal"):
        with launch.start("hang", "", "") as process:
            if end == "terminate":
                process.terminate()
            else:
                process.send_signal(signal.SIGTERM)
            assert process.wait(30) != 0


def test_lines_can_be_exchanged(launch: Launcher) -> None:
    with launch.start("upper", stdin=PIPE, stdout=PIPE, text=True, bufsize=1) as process:
        for word in ("one", "two"):
            process.stdin.write(word + "\n")
            assert process.stdout.readline() == word.upper() + "\n"
        process.stdin.close()
        assert process.stdout.read() == ""
    assert process.returncode == 0


def test_unbuffered_pipes(launch: Launcher) -> None:
    with launch.start("upper", stdin=PIPE, stdout=PIPE, bufsize=0) as process:
        process.stdin.write(b"x\n")
        assert process.stdout.read(2) == b"X\n"
        process.stdin.write(b"more\n")
        assert process.communicate()[0] == b"MORE\n"


@pytest.mark.parametrize("text", [False, True])
def test_communicate_after_some_output_was_read(launch: Launcher, text: bool) -> None:
    with launch.start("upper", stdin=PIPE, stdout=PIPE, text=text) as process:
        process.stdin.write("one\n" if text else b"one\n")
        process.stdin.flush()
        assert process.stdout.readline() == ("ONE\n" if text else b"ONE\n")
        # What readline has read ahead is lost to Popen's communicate on some systems: so nothing was there to read.
        rest, _ = process.communicate("two\n" if text else b"two\n")
    assert rest == ("TWO\n" if text else b"TWO\n")


def test_files_and_descriptors(launch: Launcher, tmp_path: Path) -> None:
    source, sink, errors = (tmp_path / name for name in ("in", "out", "err"))
    source.write_bytes(b"from the file\n")
    with source.open("rb") as stdin, sink.open("wb") as stdout, errors.open("wb") as stderr:
        assert launch.run("cat", stdin=stdin, stdout=stdout.fileno(), stderr=stderr).returncode == 0
        stdout.write(b"and after")  # the caller's file is still open
    # Where the file's position is shared the second text follows; nothing is lost in any case.
    assert b"and after" in sink.read_bytes()
    with errors.open("ab") as both:
        assert launch.run("say", "out", "err", "0", stdout=both, stderr=STDOUT).returncode == 0
    assert sorted(errors.read_bytes().decode()) == sorted("outerr")


def test_wrong_streams_are_told(launch: Launcher) -> None:
    with pytest.raises((OSError, ValueError)):
        launch.start("cat", stdout=98765)
    with pytest.raises((TypeError, AttributeError)):
        launch.start("cat", stdout=object())
    with pytest.raises((OSError, ValueError)):
        launch.start("cat", stdin=STDOUT)
    with pytest.raises(TypeError):
        launch.start("cat", bufsize="big")


def test_a_command_that_does_not_exist(launch: Launcher) -> None:
    with pytest.raises(FileNotFoundError):
        launch.missing()


def test_a_directory_that_does_not_exist(launch: Launcher, tmp_path: Path) -> None:
    where = "C:\\nowhere" if isinstance(launch, Simulated) else str(tmp_path / "nowhere")
    with pytest.raises(OSError):
        launch.start("say", "", "", "0", cwd=where)


def test_nul_in_arguments(launch: Launcher) -> None:
    with pytest.raises(ValueError, match=r"(?i)null|NUL"):
        launch.start("say", "a\0b", "", "0")


def test_the_block_waits_and_closes(launch: Launcher) -> None:
    with launch.start("exit", "4", stdout=PIPE, stdin=PIPE) as process:
        pass
    assert process.returncode == 4
    assert process.stdin.closed
    assert process.stdout.closed


def test_a_child_that_closes_its_outputs_is_waited_for(launch: Launcher) -> None:
    assert launch.run("closed_outputs", capture_output=True).returncode == 0


def test_wrong_kind_of_input(launch: Launcher) -> None:
    with launch.start("cat", stdin=PIPE, stdout=PIPE) as process:
        with pytest.raises(TypeError):
            process.communicate("text")
        process.kill()
    if isinstance(launch, Sandboxed):  # Popen on POSIX fails with AttributeError here
        with launch.start("cat", stdin=PIPE, stdout=PIPE, text=True) as process:
            with pytest.raises(TypeError):
                process.communicate(b"bytes")
            process.kill()


def test_threads_that_start_at_once_leak_no_pipe_into_each_other(launch: Launcher) -> None:
    # A child that had got the write end of another one's stdin would keep that one from seeing the end of its input.
    codes: list[int] = []

    def one() -> None:
        codes.append(launch.run("cat", input=b"x" * 1000, capture_output=True, timeout=120).returncode)

    threads = [threading.Thread(target=one) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(180)
    assert codes == [0] * 12


def test_a_forgotten_process_warns(launch: Launcher) -> None:
    process: Any = launch.start("hang", "", "")
    if not isinstance(launch, Sandboxed):
        process.kill()  # Popen leaves it to run on
    with pytest.warns(ResourceWarning, match="still running"):
        del process


def test_a_long_command_line(launch: Launcher) -> None:
    done = launch.run("arguments", "x" * 20_000, capture_output=True)
    assert len(done.stdout) == 20_004
    if isinstance(launch, Sandboxed):  # Windows refuses with the same number, Wine takes it
        with pytest.raises(SpawnError) as caught:
            launch.run("arguments", "x" * 40_000, capture_output=True)
        assert caught.value.winerror == 206


def test_a_missing_working_directory_is_popens_error(launch: Launcher) -> None:
    with pytest.raises((FileNotFoundError, NotADirectoryError)) as caught:
        launch.start("exit", "0", cwd=os.path.join(launch.cwd, "no-such-directory"))
    assert not isinstance(launch, Sandboxed) or str(caught.value.filename).endswith("no-such-directory")
