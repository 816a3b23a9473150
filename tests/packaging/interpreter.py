"""A clean interpreter for what cannot be tried in this one: pytest has loaded half the standard library already."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any


def run(code: str, *flags: str, path: Path, arguments: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    """Runs *code* with *path* in front on sys.path; by a statement: -I and an embeddable Python take no other way."""
    start = f"import sys\nsys.path.insert(0, {str(path)!r})\n"
    command = [sys.executable, "-X", "utf8", *flags, "-c", start + code, *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, encoding="utf-8", timeout=600, check=False, stdin=subprocess.DEVNULL
    )


def answer(code: str, *flags: str, path: Path) -> Any:
    """What *code* prints, read as JSON; an AssertionError with its traceback where it fails."""
    done = run(code, *flags, path=path)
    if done.returncode != 0:
        raise AssertionError(f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}")
    return json.loads(done.stdout)
