"""The script that runs Windows' Python, .ci/wine, from the side of the machine that calls it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.capabilities import needs

pytestmark = needs("wine lab")

RUNNER = Path(__file__).resolve().parents[2] / ".ci" / "wine"


def start(*arguments: str, cwd: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        ["bash", str(RUNNER), *arguments], cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    output, complaints = process.communicate(timeout=120)
    return process.returncode, output + complaints


def test_the_exit_code_is_the_programs(tmp_path: Path) -> None:
    code, output = finish(start("--python", "-c", "import sys; print(sys.platform); sys.exit(7)", cwd=tmp_path))
    assert (code, output) == (7, "win32\n")


def test_a_failing_test_fails_the_run(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text("def test_right(): pass\ndef test_wrong(): assert False\n", "utf-8")
    code, output = finish(start("-q", cwd=tmp_path))
    assert code == 1, output
    assert output.splitlines()[-1].startswith("1 failed, 1 passed"), output


def test_a_programs_own_124_is_no_timeout(tmp_path: Path) -> None:
    assert finish(start("--python", "-c", "raise SystemExit(124)", cwd=tmp_path)) == (124, "")


@pytest.mark.slow
def test_the_end_of_one_run_does_not_end_another(tmp_path: Path) -> None:
    # Both use one Wine server; the first one to end must leave it to the other.
    short = start("--python", "-c", "print('short')", cwd=tmp_path)
    long = start("--python", "-c", "import time; time.sleep(8); print('long')", cwd=tmp_path)
    assert finish(short) == (0, "short\n")
    assert long.poll() is None
    assert finish(long) == (0, "long\n")


@pytest.mark.slow
def test_a_run_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    process = subprocess.Popen(
        ["env", "WINSANDBOX_WINE_TIMEOUT=3", "bash", str(RUNNER), "--python", "-c", "import time; time.sleep(100)"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    code, output = finish(process)
    assert code == 124
    assert "ended after 3 seconds" in output
