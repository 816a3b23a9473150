"""Runs the command line as a user does: in an interpreter of its own, with -P, and reads what it printed."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.packaging.interpreter import run

ROOT = Path(__file__).resolve().parents[2]

START = """
import runpy
sys.argv = ["winsandbox", *sys.argv[1:]]
runpy.run_module("winsandbox", run_name="__main__", alter_sys=True)
"""


def winsandbox(*arguments: str, flags: tuple[str, ...] = ("-P",)) -> subprocess.CompletedProcess[str]:
    """`python -P -m winsandbox ARGUMENTS` of this checkout."""
    return run(START, *flags, path=ROOT, arguments=arguments)
