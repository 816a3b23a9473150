"""The public surface: every public name is documented, and stubs/ says the same as the code (mypy's stubtest)."""

from __future__ import annotations

import enum
import functools
import importlib
import inspect
import os
import subprocess
import sys
import tempfile
import types
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.capabilities import needs
from tests.packaging.checks import PACKAGE, ROOT, modules

# __main__ is the command line: its surface is its options, which tests/cli holds.
PUBLIC = [
    module.name
    for module in modules(PACKAGE)
    if not any(part.startswith("_") for part in module.name.split(".") if part)
]


def load(name: str) -> types.ModuleType:
    return importlib.import_module(".".join(filter(None, [PACKAGE.name, name])))


def members(cls: type) -> Iterator[tuple[str, object]]:
    """What a class itself offers by a public name and can document; data (fields, enum members) stands in its text."""
    for name, member in vars(cls).items():
        plain = member.__func__ if isinstance(member, classmethod | staticmethod) else member
        if name.startswith("_") or isinstance(plain, enum.Enum):
            continue
        if inspect.isfunction(plain) or isinstance(plain, property | functools.cached_property):
            yield name, plain


def undocumented(module: types.ModuleType) -> list[str]:
    """The public names of *module* without a docstring of their own, and what is wrong with its ``__all__``."""
    if not inspect.getdoc(module):
        return [f"{module.__name__} has no docstring"]
    if not hasattr(module, "__all__"):
        return [f"{module.__name__} has no __all__"]
    found = []
    for name in module.__all__:
        value = getattr(module, name, None)
        where = f"{module.__name__}.{name}"
        if value is None:
            found.append(f"{where} does not exist")
        elif isinstance(value, type):
            own = value.__dict__.get("__doc__") or ""
            # Without a text of its own a dataclass gets its signature for one.
            if not own or own.startswith(f"{value.__name__}("):
                found.append(f"{where} has no docstring")
            found += [
                f"{where}.{each} has no docstring" for each, member in members(value) if not inspect.getdoc(member)
            ]
        elif inspect.isroutine(value) and not inspect.getdoc(value):
            found.append(f"{where} has no docstring")
    return found


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_is_documented(name: str) -> None:
    module = load(name)
    assert undocumented(module) == []
    assert len(set(module.__all__)) == len(module.__all__)


def test_the_package_offers_names_that_a_user_starts_with() -> None:
    package = load("")
    assert {"Policy", "Sandbox", "Protect", "Enforcement", "Process", "PolicyError"} <= set(package.__all__)
    assert isinstance(package.__version__, str)


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("__all__ = []", "m has no docstring"),
        ('"""M."""', "m has no __all__"),
        ('"""M."""\n__all__ = ["f"]', "m.f does not exist"),
        ('"""M."""\n__all__ = ["f"]\ndef f(): ...', "m.f has no docstring"),
        ('"""M."""\n__all__ = ["C"]\nclass C: ...', "m.C has no docstring"),
        (
            '"""M."""\nfrom dataclasses import dataclass\n__all__ = ["C"]\n@dataclass\nclass C:\n  a: int',
            "m.C has no docstring",
        ),
        ('"""M."""\n__all__ = ["C"]\nclass C(ValueError): ...', "m.C has no docstring"),
        ('"""M."""\n__all__ = ["C"]\nclass C:\n  "C."\n  def f(self): ...', "m.C.f has no docstring"),
        ('"""M."""\n__all__ = ["C"]\nclass C:\n  "C."\n  @classmethod\n  def f(cls): ...', "m.C.f has no docstring"),
        ('"""M."""\n__all__ = ["C"]\nclass C:\n  "C."\n  @property\n  def f(self): ...', "m.C.f has no docstring"),
    ],
)
def test_a_name_without_a_docstring_is_noticed(monkeypatch: pytest.MonkeyPatch, source: str, complaint: str) -> None:
    module = types.ModuleType("m")
    monkeypatch.setitem(sys.modules, "m", module)  # dataclass looks its class's module up
    exec(source, vars(module))  # one of the texts above
    assert undocumented(module) == [complaint]


# -- stubs -------------------------------------------------------------------------------------------------------------


def stubtest(name: str, stubs: Path, code: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "MYPYPATH": str(stubs), "PYTHONPATH": str(code)}
    # A stub of a private module holds only what the public signatures name, so what it leaves out is no mistake.
    with tempfile.TemporaryDirectory() as folder:
        allowed = Path(folder, "allowed")
        allowed.write_text(rf"{name}\.(\w+\.)*_\w*(\..*)?" + "\n", "utf-8")
        options = ["--allowlist", str(allowed), "--ignore-unused-allowlist"]
        command = [sys.executable, "-m", "mypy.stubtest", name, *options]
        return subprocess.run(command, cwd=stubs, env=environment, capture_output=True, text=True, check=False)


def test_every_public_module_has_a_stub() -> None:
    stubs = {module.name for module in modules(PACKAGE)} & {
        ".".join(
            part for part in path.relative_to(ROOT / "stubs/winsandbox").with_suffix("").parts if part != "__init__"
        )
        for path in (ROOT / "stubs/winsandbox").rglob("*.pyi")
    }
    assert set(PUBLIC) - stubs == set()


@needs("mypy")
def test_the_stubs_say_what_the_code_says() -> None:
    done = stubtest("winsandbox", ROOT / "stubs", ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


@needs("mypy")
@pytest.mark.parametrize(
    ("code", "passes"),
    [("def f(path: str, /) -> int: return 1\n", True), ("def f(path: str) -> int: return 1\n", False)],
)
def test_a_stub_that_says_something_else_is_noticed(tmp_path: Path, code: str, passes: bool) -> None:
    for folder, suffix, text in (("stubs", "pyi", "def f(path: str, /) -> int: ...\n"), ("code", "py", code)):
        (tmp_path / folder / "small").mkdir(parents=True)
        (tmp_path / folder / "small" / f"__init__.{suffix}").write_text(text, "utf-8")
    assert (stubtest("small", tmp_path / "stubs", tmp_path / "code").returncode == 0) is passes


# -- a typed program ---------------------------------------------------------------------------------------------------


@needs("mypy")
def test_the_typed_uses_are_right_and_wrong_for_the_stubs_too(tmp_path: Path) -> None:
    # Against the code they are checked by every run of mypy: tests/typing is among its files.
    environment = {**os.environ, "MYPYPATH": str(ROOT / "stubs")}
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--cache-dir", str(tmp_path / "cache")]
    done = subprocess.run(
        [*command, str(ROOT / "tests/typing/api.py")],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
