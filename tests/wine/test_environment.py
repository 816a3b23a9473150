"""How the suite stands in Windows' Python under Wine: what the runner promises to every test, and what Wine is not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests import capabilities
from tests.capabilities import needs

pytestmark = needs("wine")

ROOT = Path(__file__).resolve().parents[2]


def test_this_is_windows_python() -> None:
    # Spelled with getattr because mypy knows the function on Windows only.
    version = getattr(sys, "getwindowsversion", lambda: None)()
    assert sys.platform == "win32"
    assert version is not None
    assert version.major == 10


def test_what_wine_only_pretends_is_not_taken_for_real() -> None:
    # CreateRestrictedToken and SetFileSecurity succeed in Wine and change nothing. If one of these fails, Wine learnt
    # it: then tests that were skipped here begin to run, and this test tells why.
    assert not capabilities.has("restricting tokens")
    assert not capabilities.has("stored acls")
    assert not capabilities.has("real windows")


def test_policies_of_an_elevated_process_say_so() -> None:
    assert capabilities.elevation() == ("lower" if capabilities.has("elevated") else "refuse")


def test_a_child_python_finds_the_checkout_from_anywhere(tmp_path: Path) -> None:
    code = "import winsandbox; print(winsandbox.__file__)"
    done = subprocess.run([sys.executable, "-P", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()) == ROOT / "winsandbox" / "__init__.py"


def test_no_bytecode_goes_into_the_checkout() -> None:
    assert sys.pycache_prefix is not None
    assert [path for path in (ROOT / "winsandbox").rglob("*.pyc") if "cpython-313" in path.name] == []


def test_standard_input_is_at_its_end() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import sys; print(len(sys.stdin.read()))"], capture_output=True, check=True
    )
    assert done.stdout.strip() == b"0"
