"""The simulated machines on which the cases run, and their results, each computed once."""

from __future__ import annotations

import functools
from typing import Any

from winsandbox._casebook import VARIANTS, Case
from winsandbox._cases import CASES
from winsandbox._host import Handle
from winsandbox._scene import Scene, executor_for
from winsandbox._trial import CaseResult, run_case
from winsandbox.testing import SimulatedHost

SCRATCH = r"C:\Users\alice\scratch"
BY_NAME = {case.name: case for case in CASES}


class _Plain:
    """Tokens as Wine makes them: every call succeeds, and nothing is restricted."""

    def __init__(self, tokens: Any) -> None:
        self._tokens = tokens

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tokens, name)

    def restrict(self, token: Handle, **given: Any) -> Handle:
        made: Handle = self._tokens.restrict(token, flags=0)
        return made


class Unrestricted(SimulatedHost):
    """A host on which every sandbox is made, and holds nothing back but what needs no token."""

    @property
    def tokens(self) -> Any:
        return _Plain(super().tokens)


_PLACES = {"FAT": "E:", "SHARE": r"\\server\share", "VOLUME": "D:\\", "PROXY": "127.0.0.1:8888"}
# What C:\Windows\Temp has, and the right to list it besides: nothing is left that the audit cannot look into.
_READABLE = "O:SYG:SYD:PAI(A;OICIIO;FA;;;CO)(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;CI;0x1200af;;;BU)"


def machine(case: Case, kind: type[SimulatedHost] = SimulatedHost) -> SimulatedHost:
    """A machine that has what the case needs, and no more: a mounted FAT drive changes every sandbox's report.

    An audit of it finds nothing and misses nothing, so that no report is cautious for a reason beside the case.
    """
    host = kind(developer_mode="symlinks" in case.needs, console=True)
    host.set_sddl(r"C:\Windows\Temp", _READABLE)
    user = host.token.model.user
    if "no acls" in case.needs:
        host.add_volume("E:", acls=False)
    if "share" in case.needs:
        host.add_share(r"\\server\share")
    if "proxy" in case.needs:
        host.listen(8888)
    if "model" in case.needs:
        host.add_key(r"HKCU\Software\Open", "D:(A;;KA;;;WD)")
        host.add_pipe_server("of-the-user", f"D:(A;;GA;;;{user})")
        logon = next(group.sid for group in host.token.model.groups if str(group.sid).startswith("S-1-5-5-"))
        host.add_pipe_server("of-the-session", f"D:(A;;GA;;;{user})(A;;GA;;;{logon})S:(ML;;NW;;;LW)")
    return host


@functools.cache
def result(name: str, variant: str) -> CaseResult:
    """What becomes of a case in one of the configurations."""
    return run(BY_NAME[name], variant)


def run(case: Case, variant: str, kind: type[SimulatedHost] = SimulatedHost) -> CaseResult:
    """Run a case on a machine of its own."""
    with machine(case, kind) as host:
        executor, scene = executor_for(host), Scene(host, SCRATCH)
        scene.make_directory(scene.tools)
        executor.install(scene)
        return run_case(executor, scene, case, VARIANTS[variant], more_places=_PLACES)


def story(found: CaseResult) -> str:
    """For the message of a failed test."""
    lines = [
        f"{row.operation}: wanted {row.wanted}, got {row.outcome.verdict} ({row.outcome.reason})" for row in found.rows
    ]
    return "\n".join([found.case.name, *lines, *found.mistakes])
