"""explain says beforehand what a command then comes to: the same question asked of the rules and of the whole path."""

from __future__ import annotations

import pytest

from winsandbox import Policy
from winsandbox._simulate import simulate
from winsandbox.explain import explain
from winsandbox.policy import Protect
from winsandbox.testing import SimulatedHost

ROOT = r"C:\Users\alice\project"
OUTSIDE = r"C:\Users\alice\other"
# access -> the operation that needs just that, for a file and for a directory
_FILE = {"write": "append", "read": "read", "delete": "delete"}
_DIRECTORY = {"read": "list", "delete": "rmdir"}
_NEW = {"create": "mkdir", "write": "write"}

POLICIES = {
    "default": Policy.workspace(ROOT),
    "low": Policy.workspace(ROOT, integrity="low"),
    "unguarded": Policy.workspace(ROOT, guards=False),
    "hooks only": Policy.workspace(ROOT, protected_subpaths=Protect.GIT_HOOKS),
    "without Everyone": Policy.workspace(ROOT, restricting=("logon",)),
    "read-only": Policy.read_only(ROOT),
    "protected file": Policy.workspace(ROOT, protected_subpaths=(r"src\a.py", "empty", r"deep\er")),
}
PATHS = [
    *(
        (rf"{ROOT}\{name}", _FILE)
        for name in (r"src\a.py", r".git\config", r".git\hooks\hook", r".git\index", "sealed.txt")
    ),
    *((rf"{ROOT}\{name}", _DIRECTORY) for name in ("empty", r".git\empty", r"deep\er", "link")),
    *(
        (rf"{ROOT}\{name}", _NEW)
        for name in ("new", r"src\new", r".git\new", r".git\commondir", r".agents\new", r"leads\new")
    ),
    *((rf"{OUTSIDE}\{name}", _FILE) for name in ("notes.txt", r"open\file.txt", r"modify\file.txt", r"null\file.txt")),
    (rf"{OUTSIDE}\empty", _DIRECTORY),
    *((rf"{OUTSIDE}\{name}", _NEW) for name in ("new", r"open\new", r"null\new", r"low\new")),
    *((path, _NEW) for path in (r"E:\new", r"D:\new", r"C:\Users\Public\new", r"C:\Windows\new")),
    (r"C:\Windows\System32\kernel32.dll", _FILE),
]
# All of them are tried on one machine, so none may be in another's way: deleting comes last, and what is made as a
# directory has another name than what is made as a file.
QUESTIONS = [
    (path + "-made" if access == "create" else path, access, verb)
    for path, verbs in PATHS
    for access, verb in verbs.items()
]


def machine() -> SimulatedHost:
    host = SimulatedHost()
    for name in (".agents", "empty", r".git\empty", r".git\info", r".git\modules", r"deep\er"):
        host.mkdir(rf"{ROOT}\{name}")
    for name in (r"src\a.py", r".git\config", r".git\hooks\hook", r".git\index"):
        host.write_file(rf"{ROOT}\{name}", b"x")
    host.write_file(ROOT + r"\sealed.txt", b"x", "D:P(A;;FA;;;U)")
    host.mkdir(OUTSIDE + r"\empty")
    for name in ("leads", "link"):
        host.junction(OUTSIDE, rf"{ROOT}\{name}")
    host.mkdir(OUTSIDE + r"\open", "D:P(A;OICI;FA;;;WD)(A;OICI;FA;;;U)")
    host.mkdir(OUTSIDE + r"\modify", "D:P(A;OICI;0x1301bf;;;U)")
    host.mkdir(OUTSIDE + r"\null", "D:NO_ACCESS_CONTROL")
    host.mkdir(OUTSIDE + r"\low", "D:P(A;OICI;FA;;;U)S:(ML;OICI;NW;;;LW)")
    for name in ("notes.txt", r"open\file.txt", r"modify\file.txt", r"null\file.txt"):
        host.write_file(rf"{OUTSIDE}\{name}", b"x")
    host.add_volume("E:", acls=False)
    return host


@pytest.mark.parametrize("name", POLICIES)
def test_what_is_explained_is_what_happens(name: str) -> None:
    with machine() as host:
        decisions = [explain(POLICIES[name], path, access, host=host) for path, access, _ in QUESTIONS]
        report = simulate(POLICIES[name], "\n".join(f'{verb} "{path}"' for path, _, verb in QUESTIONS), host=host)
    different = [
        f"{row.operation}: explained {decision.allowed}: {decision.reason}; {row.verdict}: {row.reason}"
        for row, decision in zip(report.rows, decisions, strict=True)
        if row.verdict != ("allowed" if decision.allowed else "denied")
    ]
    assert different == []
    assert {decision.allowed for decision in decisions} == {True, False}
