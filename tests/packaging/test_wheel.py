"""The built wheel: the package, its licence and type marker, nothing else; it imports where there is no checkout."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.capabilities import needs
from tests.packaging.checks import PACKAGE, ROOT
from tests.packaging.interpreter import answer

pytestmark = needs("flit_core")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    code = "import sys; from flit_core.buildapi import build_wheel; build_wheel(sys.argv[1])"
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    (built,) = folder.iterdir()
    return built


def test_the_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as file:
        names = {name for name in file.namelist() if ".dist-info/" not in name}
    files = {path.relative_to(ROOT).as_posix() for path in PACKAGE.rglob("*") if path.is_file()}
    assert names == {name for name in files if "__pycache__" not in name}
    assert {"winsandbox/LICENSE", "winsandbox/py.typed"} <= names


def test_the_metadata_asks_for_nothing_and_names_the_licence(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as file:
        (name,) = (name for name in file.namelist() if name.endswith("/METADATA"))
        lines = file.read(name).decode("utf-8").partition("\n\n")[0].splitlines()
    needed = [line for line in lines if line.startswith("Requires-Dist:") and "extra ==" not in line]
    assert needed == []
    assert "License-Expression: MIT" in lines
    assert "Requires-Python: >=3.11" in lines


def test_there_is_no_console_script(wheel: Path) -> None:
    # pywinsandbox owns the command's name; and -P cannot be given to a script.
    with zipfile.ZipFile(wheel) as file:
        assert [name for name in file.namelist() if name.endswith("/entry_points.txt")] == []


def test_the_wheel_imports_by_itself(wheel: Path) -> None:
    code = "import json, winsandbox; print(json.dumps([winsandbox.__file__, winsandbox.__version__]))"
    where, version = answer(code, "-I", path=wheel)
    assert where.startswith(str(wheel))
    assert wheel.name.startswith(f"winsandbox-{version}-")
