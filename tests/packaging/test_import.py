"""What importing costs and what it does: few modules, and nothing at all to the process or the disk."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.capabilities import needs
from tests.packaging.checks import PACKAGE, ROOT, modules
from tests.packaging.interpreter import answer

# Heavy, or with consequences of their own; whoever needs one imports it inside a function.
LAZY = ["ctypes", "sqlite3", "asyncio", "tomllib", "logging", "json", "socket", "tempfile", "argparse", "inspect"]
# What a program that starts processes has loaded anyway: the yardstick of the benchmark, too.
BASELINE = "import subprocess, dataclasses, enum, typing"

LOADED = """
import json
{baseline}
before = set(sys.modules)
import {name}
print(json.dumps(sorted(set(sys.modules) - before)))
"""


def loaded(name: str, path: Path = ROOT) -> list[str]:
    """The modules that ``import name`` brings beyond the baseline."""
    found = answer(LOADED.format(baseline=BASELINE, name=name), "-I", path=path)
    return [str(each) for each in found]


def test_import_loads_nothing_heavy() -> None:
    assert [name for name in loaded("winsandbox") if name.partition(".")[0] in LAZY] == []


def test_import_does_not_bring_the_bindings_or_the_simulation() -> None:
    brought = loaded("winsandbox")
    assert [name for name in brought if name.startswith(("winsandbox._win32", "winsandbox._sim"))] == []


def test_a_heavy_import_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "heavy.py").write_text("import sqlite3\n", "utf-8")
    assert "sqlite3" in loaded("heavy", tmp_path)


# Python tells an audit hook about every file opened, process started, library loaded (Python's audit events table).
EFFECTS = """
import atexit, json, os, signal, threading, warnings
effects = []
quiet = {names!r}

def hook(event, arguments):
    if event == "open":
        mode, flags = arguments[1], arguments[2]
        if isinstance(mode, str) and set(mode) & set("wax+") or isinstance(flags, int) and flags & (
            os.O_WRONLY | os.O_RDWR | os.O_CREAT
        ):
            effects.append(f"{{event}} {{arguments[0]!r}}")
    elif event.startswith(quiet):
        effects.append(event)

def state():
    return {{
        "environment": dict(os.environ), "directory": os.getcwd(), "path": list(sys.path), "hooks": repr(sys.meta_path),
        "excepthook": repr(sys.excepthook), "displayhook": repr(sys.displayhook), "threads": threading.active_count(),
        "exit functions": atexit._ncallbacks(), "filters": repr(warnings.filters),
        "signals": repr([signal.getsignal(n) for n in signal.valid_signals()]),
        "switch interval": sys.getswitchinterval(), "recursion limit": sys.getrecursionlimit(),
    }}

import importlib
for name in {before!r}:
    importlib.import_module(name)
sys.dont_write_bytecode = True
before = state()
sys.addaudithook(hook)
for name in {modules!r}:
    importlib.import_module(name)
after = state()
print(json.dumps(effects + [key for key in before if before[key] != after[key]]))
"""

EVENTS = (
    *("os.", "shutil.", "subprocess.", "socket.", "_thread.start", "ctypes.dlopen", "ctypes.dlsym", "tempfile."),
    *("winreg.", "sqlite3.", "_winapi.", "msvcrt.", "sys.setprofile", "sys.settrace", "signal."),
)
# Python's own: finding modules lists directories, and these modules do such things themselves when they are imported.
HARMLESS = ("os.listdir", "os.scandir")
STANDARD = [*LAZY, "concurrent.futures", "multiprocessing", "secrets", "uuid", "ctypes.wintypes"]


def effects(names: list[str], path: Path) -> list[str]:
    code = EFFECTS.format(names=EVENTS, before=STANDARD, modules=names)
    return [str(each) for each in answer(code, "-I", path=path) if str(each) not in HARMLESS]


def test_importing_every_module_has_no_side_effect() -> None:
    names = [".".join(filter(None, ["winsandbox", module.name])) for module in modules(PACKAGE)]
    assert effects(names, ROOT) == []


@pytest.mark.parametrize(
    ("source", "effect"),
    [
        ("open('left behind', 'w').close()", "open 'left behind'"),
        ("import os; os.environ['TEMP'] = 'x'", "environment"),
        ("import os; os.mkdir('left')", "os.mkdir"),
        ("import threading, time; threading.Thread(target=time.sleep, args=(60,), daemon=True).start()", "threads"),
        ("import atexit; atexit.register(int)", "exit functions"),
        ("import ctypes, sys; ctypes.CDLL('kernel32' if sys.platform == 'win32' else None)", "ctypes.dlopen"),
        ("import warnings; warnings.simplefilter('ignore')", "filters"),
        ("import sys; sys.path.append('x')", "path"),
    ],
)
def test_each_side_effect_would_be_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, effect: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "guilty.py").write_text(f"{source}\n", "utf-8")
    found = effects(["guilty"], tmp_path)
    assert [each for each in found if each.startswith(effect)], json.dumps(found)


# -- python -m without -P ---------------------------------------------------------------------------------------------

# What the package's own imports would bring in; what Python's -m imports by itself (runpy) nobody can refuse in time.
PLANTED = ("__future__", "dataclasses", "enum", "typing", "subprocess", "os", "re", "ntpath", "abc", "json", "argparse")


def start(place: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    environment.pop("PYTHONSAFEPATH", None)
    command = [sys.executable, *words]
    return subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture
def planted(tmp_path: Path) -> Path:
    for name in PLANTED:
        (tmp_path / f"{name}.py").write_text("import sys\nsys.stderr.write(f'{__name__} was run')\n", "utf-8")
    return tmp_path


@needs("not wine")
@pytest.mark.parametrize(
    "words", [("-m", "winsandbox"), ("-Bsm", "winsandbox.__main__"), ("-W", "ignore", "-mwinsandbox")]
)
def test_what_lies_in_the_working_directory_is_not_run_before_the_refusal(
    planted: Path, words: tuple[str, ...]
) -> None:
    done = start(planted, *words, "--version")
    assert done.returncode == 125
    assert "python -P -m winsandbox" in done.stderr
    assert "was run" not in done.stderr


@needs("not wine")
def test_with_safe_path_it_starts_among_the_same_files(planted: Path) -> None:
    done = start(planted, "-P", "-m", "winsandbox", "--version")
    assert (done.returncode, done.stderr) == (0, "")


@needs("not wine")
def test_a_program_that_uses_the_package_is_started_as_ever(tmp_path: Path) -> None:
    (tmp_path / "program").mkdir()
    (tmp_path / "program" / "__init__.py").write_text("import winsandbox\n", "utf-8")
    (tmp_path / "program" / "__main__.py").write_text("import winsandbox\n", "utf-8")
    done = start(tmp_path, "-m", "program", "-m", "winsandbox")
    assert (done.returncode, done.stderr) == (0, "")
