"""The package as somebody else's private copy: another name, from a folder and a zip, optimised, beside the original.

The copy is made as the vendoring tools make it: the folder as it is, and nothing else (no metadata of a distribution).
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import winsandbox
from tests.capabilities import needs
from tests.packaging.checks import PACKAGE, ROOT, modules
from tests.packaging.interpreter import answer, run

NAME = "tool._vendor.winsandbox"

IMPORT_ALL = """
import importlib, json
for name in {names!r}:
    importlib.import_module(name)
print(json.dumps([name for name in sys.modules if name.partition(".")[0] == "winsandbox"]))
"""


def vendored(place: Path, package: Path = PACKAGE) -> Path:
    """Makes *place*/tool/_vendor/winsandbox, a copy of *package*; returns the folder."""
    copy = place.joinpath(*NAME.split("."))
    shutil.copytree(package, copy, ignore=shutil.ignore_patterns("__pycache__"))
    for folder in (place / "tool", place / "tool" / "_vendor"):
        (folder / "__init__.py").write_text("", "utf-8")
    return copy


@pytest.fixture(scope="module", params=["folder", "zip"])
def copy(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a vendored copy can be imported from: a folder, or a zip file."""
    folder = tmp_path_factory.mktemp("vendored")
    vendored(folder)
    if request.param == "folder":
        return folder
    return zipped(folder, tmp_path_factory.mktemp("zipped") / "tool.zip")


def zipped(folder: Path, archive: Path) -> Path:
    with zipfile.ZipFile(archive, "w") as file:
        for path in sorted(folder.rglob("*")):
            file.write(path, path.relative_to(folder))
    return archive


@pytest.mark.parametrize("flags", [("-I", "-W", "error"), ("-I", "-W", "error", "-OO")], ids=["plain", "optimised"])
def test_every_module_of_a_copy_imports_without_the_original(copy: Path, flags: tuple[str, ...]) -> None:
    names = [".".join(filter(None, [NAME, module.name])) for module in modules(PACKAGE)]
    assert answer(IMPORT_ALL.format(names=names), *flags, path=copy) == []


def test_the_command_line_of_a_copy_knows_its_own_name(copy: Path) -> None:
    code = f"import runpy\nrunpy.run_module({NAME!r}, run_name='__main__', alter_sys=True)"
    version = run(code, "-I", path=copy, arguments=("--version",))
    assert (version.returncode, version.stdout) == (0, f"winsandbox {winsandbox.__version__}\n"), version.stderr
    usage = run(code, "-I", path=copy, arguments=("--help",))
    assert f"python -P -m {NAME}" in usage.stdout


def test_a_copy_that_reaches_for_the_original_is_noticed(tmp_path: Path) -> None:
    broken = vendored(tmp_path)
    (broken / "errors.py").write_text("import winsandbox\n", "utf-8")
    (tmp_path / "winsandbox").mkdir()
    (tmp_path / "winsandbox" / "__init__.py").write_text("", "utf-8")
    assert answer(IMPORT_ALL.format(names=[f"{NAME}.errors"]), "-I", path=tmp_path) == ["winsandbox"]


def test_the_folder_is_complete_alone(tmp_path: Path) -> None:
    files = {path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*") if path.is_file()}
    files = {name for name in files if "__pycache__" not in name}
    assert {"LICENSE", "py.typed"} <= files
    assert {name for name in files if not name.endswith(".py")} == {"LICENSE", "py.typed"}


# -- the quick tests, against the copy ---------------------------------------------------------------------------------

# The layers between them, without the tests that start processes or ask an oracle.
QUICK = ("errors", "plan", "policy", "sandbox", "security")

GUARD = """
from __future__ import annotations

import sys


def pytest_sessionfinish() -> None:
    original = sorted(name for name in sys.modules if name.partition(".")[0] == "winsandbox")
    if original:
        raise SystemExit(f"the tests of the copy imported the original: {original}")
"""


def rewritten(source: str) -> str:
    """*source* with its imports of the package turned to the copy, line by line as the vendoring tools do it."""
    source = re.sub(r"(?m)^(\s*)from winsandbox(?=[. ])", rf"\1from {NAME}", source)
    source = re.sub(r"(?m)^(\s*)import winsandbox$", rf"\1from {NAME.rpartition('.')[0]} import winsandbox", source)
    return re.sub(r"(?m)^(\s*)import winsandbox as", rf"\1import {NAME} as", source)


def quick_tests(place: Path) -> list[str]:
    """Copies the quick tests to *place*, their imports rewritten; returns their folders."""
    shutil.copy(ROOT / "pyproject.toml", place)
    (place / "conftest.py").write_text(GUARD, "utf-8")
    for path in sorted((ROOT / "tests").rglob("*")):
        inside = path.relative_to(ROOT)
        # Not whole folders only: tests share what stands beside them and what stands at the top.
        if (
            path.is_dir()
            or "__pycache__" in inside.parts
            or (path.name.startswith("test_") and inside.parts[1] not in QUICK)
        ):
            continue
        (place / inside).parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".py":
            (place / inside).write_text(rewritten(path.read_text("utf-8")), "utf-8")
        else:
            shutil.copy(path, place / inside)
    return [f"tests/{name}" for name in QUICK]


def run_tests(place: Path, folders: list[str], *, package: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Runs the tests in *place*; the copy lies there too, or in *package*."""
    code = f"import pytest\nsys.path.insert(0, {str(package or place)!r})\nsys.exit(pytest.main(sys.argv[1:]))"
    options = ("--rootdir", str(place), "-c", str(place / "pyproject.toml"), "-q", "-x", "-p", "no:cacheprovider")
    folders = [str(place / folder) for folder in folders]
    arguments = (*options, "-m", "not slow and not oracle", *folders)
    return run(code, path=place, arguments=arguments)


@needs("not wine")
def test_the_quick_tests_pass_against_the_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HYPOTHESIS_PROFILE", "wine")
    monkeypatch.setenv("PYTEST_ADDOPTS", "")
    vendored(tmp_path)
    done = run_tests(tmp_path, quick_tests(tmp_path))
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    assert int(re.findall(r"(\d+) passed", done.stdout)[-1]) > 100, done.stdout[-1000:]


@needs("not wine")
def test_a_part_of_the_quick_tests_passes_against_a_copy_in_a_zip(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HYPOTHESIS_PROFILE", "wine")
    monkeypatch.setenv("PYTEST_ADDOPTS", "")
    vendored(tmp_path / "copy")
    archive = zipped(tmp_path / "copy", tmp_path / "tool.zip")
    shutil.rmtree(tmp_path / "copy")
    (tmp_path / "tests of it").mkdir()
    quick_tests(tmp_path / "tests of it")
    done = run_tests(tmp_path / "tests of it", ["tests/plan/test_plan.py"], package=archive)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    assert int(re.findall(r"(\d+) passed", done.stdout)[-1]) > 20, done.stdout[-1000:]


# The tests themselves are assert statements, which -O takes out; so what has to hold there is raised by hand.
SMOKE = """
from {name} import Environment, Level, Aspect, Policy, PolicyError, Protect, Sandbox, SpawnError, explain, grants
from {name}.testing import SimulatedHost

def hold(true, what):
    if not true:
        raise SystemExit(what)

try:
    Policy.workspace("", protected_subpaths=["", "C:/x"], integrity="lw")
except PolicyError as error:
    hold(len(error.mistakes) == 4, f"mistakes: {{error}}")
else:
    raise SystemExit("a wrong policy was taken")
root = r"C:\\src\\project"
policy = Policy.workspace(root, environment=Environment(exclude=Environment.SECRETS))
hold(Policy.from_json(policy.to_json()) == policy == Policy.from_toml(policy.to_toml()), "JSON and TOML")
host = SimulatedHost()
host.mkdir(root + r"\\.git\\hooks")
seen = {{}}

def tool(process):
    for path in ("a.txt", r".git\\hooks\\x", r"C:\\src\\other.txt"):
        try:
            process.write(path, b"x")
            seen[path] = 0
        except OSError as error:
            seen[path] = error.winerror

host.add_program(r"C:\\tools\\tool.exe", tool)
with Sandbox(policy, host=host) as sandbox:
    hold(sandbox.run([r"C:\\tools\\tool.exe"]).returncode == 0, "exit code")
    hold(sandbox.enforcement[Aspect.NETWORK].level is Level.ADVISORY, "levels")
hold(list(seen.values()) == [0, 5, 5], f"outcomes {{seen}}")
hold(not explain(policy, r".git\\config", "write", host=host).allowed, "explain")
hold(explain(policy, "b.txt", "write", host=host).allowed, "its twin")
hold(len(grants.list(host=host)) == 1, "grants")
hold(grants.forget(root, host=host).to_dict(), "forget")
hold(len(grants.list(host=host)) == 0, "forgotten")
print("all held", __debug__)
"""


def test_the_main_job_is_done_by_an_optimised_copy(copy: Path) -> None:
    done = run(SMOKE.format(name=NAME), "-I", "-W", "error", "-OO", path=copy)
    assert (done.returncode, done.stdout) == (0, "all held False\n"), done.stdout + done.stderr


def test_a_copy_that_does_not_do_it_is_noticed(tmp_path: Path) -> None:
    mask = vendored(tmp_path) / "_paths.py"
    mask.write_text(mask.read_text("utf-8").replace('return "", ["empty"]', 'return "C:\\\\x", []'), "utf-8")
    assert run(SMOKE.format(name=NAME), "-I", "-OO", path=tmp_path).returncode == 1


@needs("not wine")
def test_a_copy_that_behaves_differently_fails_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HYPOTHESIS_PROFILE", "wine")
    errors = vendored(tmp_path) / "errors.py"
    errors.write_text(errors.read_text("utf-8").replace("5: errno.EACCES", "5: errno.ENOENT"), "utf-8")
    quick_tests(tmp_path)
    assert run_tests(tmp_path, ["tests/errors"]).returncode == 1


# -- a program that has a copy -----------------------------------------------------------------------------------------

CONSUMER = """
from ._vendor.winsandbox.errors import Mistake, PolicyError

def first(error: PolicyError) -> str:
    mistake: Mistake = error.mistakes[0]
    return mistake.remedy
"""


def consumer_is_typed(place: Path, source: str) -> subprocess.CompletedProcess[str]:
    (place / "tool" / "use.py").write_text(source, "utf-8")
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--platform", "win32", "-p", "tool"]
    return subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)


@needs("mypy")
def test_a_strict_program_with_a_copy_is_clean_without_our_configuration(tmp_path: Path) -> None:
    vendored(tmp_path)
    done = consumer_is_typed(tmp_path, CONSUMER)
    assert done.returncode == 0, done.stdout
    done = consumer_is_typed(tmp_path, CONSUMER.replace("-> str", "-> int"))
    assert done.returncode == 1
    assert "use.py" in done.stdout
