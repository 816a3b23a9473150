"""The open questions that only a Windows machine can settle, and the file in which its answers are kept.

Each probe adds a *vector*: the question, the answer, what this project assumes meanwhile, and the command that made it.
All of them are printed at the end of the run and written to the file that ``WINSANDBOX_PROBES`` names (else to
``probes.json`` in pytest's own temporary directory), so that whoever runs the suite on Windows can send it in.

The probes run on the simulated host too, where the model asks them: a probe that cannot be carried out would be noticed
there. Its answers are not recorded.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests import capabilities
from winsandbox._host import Host, default_host
from winsandbox._scene import Executor, Scene, executor_for
from winsandbox.prove import _Scratch
from winsandbox.testing import SimulatedHost

_RECORDED: list[dict[str, Any]] = []


@dataclass
class Probe:
    """A host with a scratch directory in the user's profile, and the place where answers go."""

    host: Host
    scene: Scene
    executor: Executor
    real: bool
    command: str
    number: int = 0
    policy: dict[str, Any] = field(default_factory=dict)

    def record(self, probe: str, question: str, answer: object, assumed: object, **more: object) -> None:
        """Keep an answer of a real machine."""
        if not self.real:
            return
        system = self.host.capabilities()
        vector = {"probe": probe, "question": question, "answer": answer, "assumed": assumed, **more}
        vector |= {"system": system.system, "build": system.build, "machine": system.machine}
        vector |= {"elevated": capabilities.has("elevated"), "python": sys.version.split()[0]}
        _RECORDED.append({**vector, "command": self.command})

    def next_number(self) -> int:
        self.number += 1
        return self.number


@contextmanager
def _probe(host: Host, node: str, *, real: bool) -> Iterator[Probe]:
    notes: list[str] = []
    with _Scratch(host, notes) as scene:
        executor = executor_for(host)
        scene.make_directory(scene.tools)
        executor.install(scene)
        policy = {"elevated": capabilities.elevation()} if real else {}
        yield Probe(host, scene, executor, real, f"python -m pytest {node}", policy=policy)
    assert notes == []


@pytest.fixture(params=["simulated", pytest.param("this machine", marks=capabilities.needs("real windows"))])
def probe(request: pytest.FixtureRequest) -> Iterator[Probe]:
    """The simulated host, and this machine where it is a Windows."""
    if request.param == "simulated":
        with SimulatedHost() as host, _probe(host, request.node.nodeid, real=False) as made:
            yield made
    else:
        with _probe(default_host(), request.node.nodeid, real=True) as made:
            yield made


@pytest.fixture
def machine(request: pytest.FixtureRequest) -> Iterator[Probe]:
    """This machine, for what the model does not have; the test says ``needs("real windows")``."""
    with _probe(default_host(), request.node.nodeid, real=True) as made:
        yield made


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print the vectors, and write them."""
    if not _RECORDED:
        return
    terminalreporter.section("probes")
    for vector in _RECORDED:
        terminalreporter.write_line(json.dumps(vector))
    factory = getattr(terminalreporter.config, "_tmp_path_factory", None)
    given = os.environ.get("WINSANDBOX_PROBES")
    place = Path(given) if given else None if factory is None else Path(factory.getbasetemp()) / "probes.json"
    if place is not None:
        place.write_text(json.dumps({"format": 1, "vectors": _RECORDED}, indent=1) + "\n", "utf-8")
        terminalreporter.write_line(f"written to {place}")
