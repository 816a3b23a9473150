"""A run of the proofs with real programs says which tools it has seen, and which it could not see."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.network.sinks import find

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="starts POSIX programs, in sessions of their own")


def proofs(word: str, **environment: str) -> str:
    """The output of a run of its own of the proofs that bear `word`, slow ones too."""
    argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "", "-k", word]
    done = subprocess.run(
        [*argv, "tests/network/test_real_tools.py"],
        env={name: value for name, value in os.environ.items() if name != "WINSANDBOX_NETWORK_RECORD"} | environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_what_gave_up_is_printed_with_its_version() -> None:
    if find("git") is None:
        pytest.skip("git is not installed")
    assert "\ngit: gave up: git " in proofs("shim_only and git-http]")


def test_what_is_not_installed_is_printed_too(tmp_path: Path) -> None:
    said = proofs("shim_only and (composer or pnpm)", PATH=str(tmp_path), WINSANDBOX_NETWORK_TOOLS="")
    assert "\ncomposer: not installed here: composer\n" in said
    assert "\npnpm: not installed here: pnpm-10, pnpm-12\n" in said
    assert "gave up" not in said


def test_the_deep_run_installs_the_tools_and_the_tests_find_them() -> None:
    script = (ROOT / ".ci" / "test").read_text("utf-8")
    assert "tests/network/install_tools.sh" in script
    assert 'export WINSANDBOX_NETWORK_TOOLS="$venv/network/bin"' in script
    assert os.access(ROOT / "tests" / "network" / "install_tools.sh", os.X_OK)
