"""The command prove; what it finds is tested with the conformance cases."""

from __future__ import annotations

import json

import pytest

from tests.capabilities import elevation, needs
from tests.cli.commandline import winsandbox


@needs("no windows")
def test_elsewhere_than_on_windows_it_says_that_nothing_can_be_proven() -> None:
    done = winsandbox("prove")
    assert done.returncode == 125
    assert "enforces a policy on Windows only" in done.stderr
    assert "Traceback" not in done.stderr


@needs("wine")
@pytest.mark.slow
def test_under_wine_it_says_what_got_through() -> None:
    done = winsandbox("prove", "--json", "--elevated", elevation())
    found = json.loads(done.stdout)
    assert done.returncode == 1
    assert found["holds"] is False
    assert found["recorded"] is False


@needs("real windows")
def test_on_windows_everything_holds() -> None:
    done = winsandbox("prove", "--no-record", "--elevated", elevation())
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.rstrip().endswith("nothing was recorded")
