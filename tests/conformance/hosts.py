"""The simulated machines on which the cases run, and their results, each computed once."""

from __future__ import annotations

import functools

from winsandbox._casebook import VARIANTS, Case
from winsandbox._cases import CASES
from winsandbox._scene import Scene, executor_for
from winsandbox._trial import CaseResult, run_case
from winsandbox.testing import SimulatedHost

SCRATCH = r"C:\Users\alice\scratch"
BY_NAME = {case.name: case for case in CASES}
_PLACES = {"FAT": "E:", "SHARE": r"\\server\share"}


def machine(case: Case) -> SimulatedHost:
    """A machine that has what the case needs, and no more: a mounted FAT drive changes every sandbox's report."""
    host = SimulatedHost(developer_mode="symlinks" in case.needs)
    user = host.token.model.user
    if "no acls" in case.needs:
        host.add_volume("E:", acls=False)
    if "share" in case.needs:
        host.add_share(r"\\server\share")
    if "model" in case.needs:
        host.add_key(r"HKCU\Software\Open", "D:(A;;KA;;;WD)")
        host.add_pipe_server("of-the-user", f"D:(A;;GA;;;{user})")
        logon = next(group.sid for group in host.token.model.groups if str(group.sid).startswith("S-1-5-5-"))
        host.add_pipe_server("of-the-session", f"D:(A;;GA;;;{user})(A;;GA;;;{logon})S:(ML;;NW;;;LW)")
    return host


def offered(case: Case) -> bool:
    """Whether the model has what the case tries."""
    with SimulatedHost() as host:
        executor = executor_for(host)
        return all(executor.offers(verb) for verb in case.verbs())


@functools.cache
def result(name: str, variant: str) -> CaseResult:
    """What becomes of a case in one of the configurations."""
    case = BY_NAME[name]
    with machine(case) as host:
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
