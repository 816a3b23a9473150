"""What may stand in the repository: the top level of the design, text only, and no path of a developer's machine."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

from tests.capabilities import needs
from tests.packaging.checks import ROOT

TOP = {"pyproject.toml", "README.md", "CHANGELOG.md", "winsandbox", "tests", "stubs"}
PATHS = re.compile(r"(?<![\w/.])/(?:work|farm|opt/venv|root/\.cache|tmp/win\w+)/")


def tracked() -> list[Path]:
    """The files that git knows."""
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    return [Path(name) for name in done.stdout.decode().split("\0") if name and (ROOT / name).is_file()]


@needs("git checkout")
def test_the_top_level_is_that_of_the_design() -> None:
    names = {path.parts[0] for path in tracked()}
    assert {name for name in names - TOP if not name.startswith(".")} == set()
    assert names >= TOP


@needs("git checkout")
def test_everything_is_text_and_names_no_machine() -> None:
    wrong = []
    for path in tracked():
        content = (ROOT / path).read_bytes()
        if b"\0" in content or len(content) > 1_000_000:
            wrong.append(f"{path}: binary, or too large to be read")
        wrong += [f"{path}: {match[0]}" for match in PATHS.finditer(content.decode("utf-8", "replace"))]
    assert wrong == []


def test_paths_of_machines_are_recognised() -> None:
    path = "/".join(("", "work", "project", "main"))
    assert PATHS.search(f"cd {path}") is not None
    assert PATHS.search(f"see https://host{path}") is None


def test_the_changelog_has_the_version() -> None:
    (version,) = re.findall(r'^__version__(?:: \S+)? = "(.+)"$', (ROOT / "winsandbox/__init__.py").read_text(), re.M)
    headings = re.findall(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.M)
    assert headings[0] == "Unreleased" or headings[0] == version


def test_the_package_has_no_dependencies() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["dependencies"] == []
    assert set(project["optional-dependencies"]) == {"test", "oracles", "network"}
