"""A simulated Windows, so that a policy can be tested where there is none.

    host = SimulatedHost()
    host.mkdir(r"C:\\src\\project\\.git\\hooks")
    host.add_program(r"C:\\tools\\agent.exe", lambda process: process.write("hello.txt", b"hi"))
    with Sandbox(Policy.workspace(r"C:\\src\\project"), host=host) as sandbox:
        sandbox.run([r"C:\\tools\\agent.exe"], check=True)

It stands on the library's model of Windows' access check, runs every line of the library itself but the calls to
Windows, and raises ``OSError`` with Windows' codes. It is a model: what it says is what the documentation and recorded
measurements say, and a sandbox on it reports the basis "simulated".
"""

from __future__ import annotations

from ._sim.gate import SimulatedCrash
from ._sim.handles import Completed, Connection, SimulatedFile, SpawnedProcess, StandardStream
from ._sim.host import SimulatedHost
from ._sim.objects import OpenProcess, PipeReader, PipeWriter, RegistryHandle
from ._sim.program import SimulatedProcess
from ._sim.tokens import SimulatedToken

__all__ = [
    "Completed",
    "Connection",
    "OpenProcess",
    "PipeReader",
    "PipeWriter",
    "RegistryHandle",
    "SimulatedCrash",
    "SimulatedFile",
    "SimulatedHost",
    "SimulatedProcess",
    "SimulatedToken",
    "SpawnedProcess",
    "StandardStream",
]
