"""What the command line prints, where its output is a pipe that is closed, or lacks the letters; and its help."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.commandline import ROOT, START, winsandbox
from winsandbox._terminal import reader_gone
from winsandbox.errors import AclError, TokenError, WinError

pytestmark = pytest.mark.usefixtures("_here")


@pytest.fixture
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def command(*arguments: str) -> list[str]:
    start = f"import sys\nsys.path.insert(0, {str(ROOT)!r})\n{START}"
    return [sys.executable, "-P", "-c", start, *arguments]


@pytest.mark.parametrize("arguments", [("plan",), ("check", "x"), ("plan", "--json"), ("enforcement", "--json")])
def test_a_code_page_without_the_letters_is_no_error(
    arguments: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "cp1252")
    root = tmp_path / "\u043f\u0440\u043e\u0435\u043a\u0442"
    root.mkdir()
    where = ["--root", r"C:\\" + root.name] if sys.platform == "win32" else ["--root", str(root)]
    done = subprocess.run(command(*arguments, *where), capture_output=True, timeout=120, check=False)
    assert b"codec" not in done.stderr
    if sys.platform != "win32":
        assert done.returncode in (0, 1), done.stderr
        assert b"\\u043f" in done.stdout
        if "--json" in arguments:
            assert root.name in str(json.loads(done.stdout)["mapping"])


@pytest.mark.parametrize("arguments", [("simulate", "--operations"), ("--help",)])
def test_a_reader_that_is_gone_is_no_failure_to_be_told(arguments: tuple[str, ...]) -> None:
    process = subprocess.Popen(command(*arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    said = process.stderr.read()
    process.stderr.close()
    # argparse itself says nothing of a write that fails.
    assert process.wait(120) in ((0, 141) if "--help" in arguments else (141,))
    assert said == b""


def test_only_the_outputs_own_end_is_silent() -> None:
    pipe = BrokenPipeError(32, "Broken pipe")
    failed = AclError("the callback failed", cause=pipe, code="acl.callback")
    failed.__cause__ = pipe
    assert reader_gone(pipe)
    assert reader_gone(failed)
    for other in (
        *(WinError(109, "ReadFile"), OSError(28, "No space left"), ValueError("x"), AclError("cancelled")),
        # OSErrors with the number that Windows' C runtime gives for a closed pipe, and with a pipe's own.
        TokenError("not made", cause=WinError(1, "SetTokenInformation")),
        TokenError("not made", cause=WinError(109, "SetTokenInformation")),
    ):
        assert not reader_gone(other)


def test_the_help_has_the_exit_codes_and_the_commands_place() -> None:
    whole = " ".join(winsandbox("--help").stdout.split())
    for said in ("124 timeout", "125 winsandbox failed", "127 not found", "2 wrong usage or policy"):
        assert said in whole
    usage = " ".join(winsandbox("run", "--help").stdout.split())
    assert "[--report] -- COMMAND ... run a command" in usage
    assert "126 not startable" in usage


def test_a_missing_expectation_is_not_called_a_script() -> None:
    done = winsandbox("simulate", "--expect", "nofile")
    assert done.returncode == 2
    assert done.stderr.startswith("winsandbox: the expectation has a mistake:\n  nofile: cannot be read")
