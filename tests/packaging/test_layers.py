"""The layer rules and the rules for vendored code, on the real package and on packages that break each of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.packaging.checks import CHECKS, LAYERS, PACKAGE, modules, problems


def test_the_package_keeps_the_rules() -> None:
    assert "\n".join(problems(PACKAGE)) == ""


def test_every_module_is_looked_at() -> None:
    names = {module.name for module in modules(PACKAGE)}
    assert {"", "errors", "policy", "_host", "_win32.ffi", "_security.sid"} <= names
    assert len(names) == len(list(PACKAGE.rglob("*.py")))


def test_every_layer_of_the_table_exists() -> None:
    # A rule about a module that was renamed guards nothing.
    layers = {module.layer for module in modules(PACKAGE)}
    gone = [rule for rule in LAYERS if not any(layer.startswith(rule.rstrip("*")) for layer in layers)]
    assert gone == []


def package(tmp_path: Path, path: str, source: str) -> Path:
    """A package that is called as ours and has one module with the given source, and two to import."""
    root = tmp_path / "winsandbox"
    for name in ("__init__.py", "errors.py", "_apply.py", "_security/__init__.py", "_win32/__init__.py", path):
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("", "utf-8")
    (root / path).write_text(source, "utf-8")
    return root


WRONG = {
    "layers": [
        ("_security/sid.py", "from ..errors import WinError"),
        ("_security/sid.py", "from .. import errors"),
        ("_security/sid.py", "import os.path"),
        ("_security/sid.py", "import ctypes"),
        ("errors.py", "from . import policy"),
        ("enforcement.py", "from .errors import Mistake"),
        ("policy.py", "from ._host import Host"),
        ("policy.py", "def f():\n    from ._win32.host import WindowsHost"),
        ("environment.py", "from .policy import Policy"),
        ("limits.py", "from .network import NetworkShim"),
        ("_network_table.py", "from .network import NetworkShim"),
        ("_plan.py", "from ._win32 import host"),
        ("_plan.py", "import os"),
        ("_host.py", "from .policy import Policy"),
        ("_win32/host.py", "from ..policy import Policy"),
        ("_spawn.py", "from ctypes import wintypes"),
        ("_sim/world.py", "def f():\n    import ctypes.wintypes"),
    ],
    "relative_imports": [
        ("_plan.py", "import winsandbox.errors"),
        ("_plan.py", "from winsandbox.errors import Mistake"),
        ("_plan.py", "import numpy"),
        ("_spawn.py", "try:\n    from win32api import X\nexcept ImportError:\n    pass"),
        ("__init__.py", "from importlib.metadata import version"),
        ("__init__.py", "from importlib import resources"),
        ("__init__.py", "import pkgutil"),
    ],
    "own_name": [
        ("_spawn.py", "import importlib\nimportlib.import_module('winsandbox._apply')"),
        ("_spawn.py", "import importlib\nimportlib.import_module('winsandbox')"),
        ("_spawn.py", "import logging\nlog = logging.getLogger('winsandbox')"),
        ("_spawn.py", "import sys\ncommand = [sys.executable, '-m', 'winsandbox', 'run']"),
        ("_spawn.py", "remedy = 'say python -P -m winsandbox forget'"),
        ("_spawn.py", "x = 1\nremedy = f'see winsandbox.errors, {x}'"),
    ],
    "rewritable": [
        ("_spawn.py", '"""Text.\n\n    import winsandbox\n"""'),
        ("_spawn.py", '"""A file that came\nfrom winsandbox and elsewhere."""'),
    ],
    "foreign_attributes": [
        ("_win32/user32.py", "import ctypes\nctypes.windll.user32.CloseDesktop.argtypes = []"),
        ("_spawn.py", "import subprocess as s\ns._active = []"),
        ("_spawn.py", "import os\nos.environ['TEMP'] = 'x'"),
        ("_spawn.py", "import os\nsetattr(os, 'fork', None)"),
        ("_spawn.py", "import os\na, os.fork = 1, 2"),
        ("_spawn.py", "import sys\ndel sys.path[0]"),
        ("_spawn.py", "from . import _apply\n_apply.done = True"),
    ],
    "survives_optimisation": [
        ("_spawn.py", "def f(x):\n    assert x, 'not restricted'"),
        ("_spawn.py", "def f():\n    return f.__doc__"),
        ("_spawn.py", "text = __doc__"),
        ("_spawn.py", "def f(g):\n    f.text = g.__doc__"),
    ],
    "platform_tests": [
        ("_spawn.py", "import os\nif os.name == 'nt':\n    x = 1"),
        ("_spawn.py", "import platform\nx = platform.system() == 'Windows'"),
    ],
    "size": [("_spawn.py", '"""A module."""\n' + "x = 1\n" * 500)],
    "finished": [("_spawn.py", "# TO" + "DO: the token"), ("_spawn.py", "raise NotImplemented" + "Error")],
}


@pytest.mark.parametrize(
    ("check", "path", "source"), [(check, *case) for check, cases in WRONG.items() for case in cases]
)
def test_a_wrong_module_is_reported(tmp_path: Path, check: str, path: str, source: str) -> None:
    found = problems(package(tmp_path, path, source))
    assert [line for line in found if line.startswith(f"{path}:") and f" {check}: " in line], found


def test_every_check_is_shown_to_fail() -> None:
    assert set(WRONG) == {check.__name__ for check in CHECKS}


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("_security/sid.py", "import struct\nfrom .mask import FILE\nfrom . import ace"),
        ("policy.py", "from .errors import PolicyError\nfrom . import limits, network\nimport ntpath"),
        ("network.py", "from ._network_table import ROWS"),
        ("_plan.py", "from ._security import acl\nfrom .policy import Policy"),
        (
            "_win32/host.py",
            "import ctypes\nfrom .ffi import Library\nfrom ..errors import WinError\nfrom .. import _host",
        ),
        ("sandbox.py", "def f():\n    from ._win32.host import WindowsHost"),
        ("_spawn.py", '"""Started with python -P -m winsandbox; see winsandbox.errors."""'),
        ("_spawn.py", "def f(g):\n    f.__doc__ = g.__doc__"),
        ("_spawn.py", "state = 'winsandbox'\nname = 'winsandbox.toml'"),
        ("_spawn.py", "class C:\n    def __init__(self):\n        self.errors = []\n        self.errors[0] = 1"),
        ("_spawn.py", '"""Text.\n\nThis module is long\nbecause one table is one table."""\n' + "x = 1\n" * 500),
    ],
)
def test_a_right_module_is_not_reported(tmp_path: Path, path: str, source: str) -> None:
    assert problems(package(tmp_path, path, source)) == []
