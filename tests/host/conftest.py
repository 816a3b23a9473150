"""The hosts under contract: the simulated one everywhere, the machine's own where it is a Windows (or Wine).

Each test gets a `Place`: a host, an empty directory of its own on it, and a program that does what its arguments say.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import capabilities
from tests.host.place import PROGRAM, Place, simulated_program
from winsandbox._host import default_host
from winsandbox.testing import SimulatedHost

_SCRATCH = r"C:\Users\alice\scratch"
_TOOL = r"C:\tools\tool.exe"


@pytest.fixture(params=["simulated", pytest.param("this machine", marks=capabilities.needs("windows"))])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    if request.param == "simulated":
        with SimulatedHost() as host:
            host.mkdir(_SCRATCH)
            host.add_program(_TOOL, simulated_program)
            yield Place(host, _SCRATCH, _TOOL, ("tool",), stores=True, restricts=True, limits=True)
            assert host.running() == []
        return
    real = capabilities.has("real windows")
    command = (sys.executable, "-I", "-c", PROGRAM)
    yield Place(
        default_host(),
        str(tmp_path),
        sys.executable,
        command,
        stores=capabilities.stores_acls(os.fspath(tmp_path)),
        restricts=capabilities.has("restricting tokens"),
        limits=real,
    )
