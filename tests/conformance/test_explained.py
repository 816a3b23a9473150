"""explain says beforehand what a command then comes to: the same question asked of the rules and of the whole path."""

from __future__ import annotations

import pytest

from winsandbox import Policy
from winsandbox._simulate import simulate
from winsandbox.explain import Decision, explain
from winsandbox.policy import Protect
from winsandbox.testing import SimulatedHost

ROOT = r"C:\Users\alice\project"
OUTSIDE = r"C:\Users\alice\other"
# access -> the operation that needs just that, for a file and for a directory
_FILE = {"write": "append", "read": "read", "delete": "delete"}
_DIRECTORY = {"write": "write", "read": "list", "delete": "rmdir"}
_NEW = {"create": "mkdir", "write": "write"}
_KEPT = {"write": "append", "read": "read"}
# What holds an operation back besides access lists: it fails, which the script's verdicts tell from a denial.
_FAILING = {"below-file", "directory", "exists", "missing", "no-streams", "not-empty"}

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
    *((rf"{base}\{name}", _FILE) for base in (ROOT, OUTSIDE) for name in ("read-only.txt", "closed.txt")),
    *((rf"{base}\full", _DIRECTORY) for base in (ROOT, OUTSIDE)),
    *((rf"{base}\full\file.txt\below", _NEW | {"read": "read"}) for base in (ROOT, OUTSIDE)),
    *((path + ":stream", _KEPT) for path in (rf"{ROOT}\full\file.txt", rf"{ROOT}\.git\kept", rf"{OUTSIDE}\kept.txt")),
    *((path, {"write": "write"}) for path in (r"E:\file.txt:stream", r"C:\Windows\Temp\new", r"\\server\share\new")),
    *((path, {"write": "write"}) for path in (r"\\server\share\open\file.txt", r"S:\open\new", r"%TEMP%\new")),
    (r"C:\Windows\Temp", {"read": "list"}),
    ("NUL", _KEPT),
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
    for base in (ROOT, OUTSIDE):
        host.write_file(base + r"\read-only.txt", b"x")
        host.set_readonly(base + r"\read-only.txt")
        host.write_file(base + r"\closed.txt", b"x", "D:P(D;;FA;;;U)")
        host.write_file(base + r"\full\file.txt", b"x")
    for name in (rf"{ROOT}\full\file.txt", rf"{ROOT}\.git\kept", rf"{OUTSIDE}\kept.txt"):
        host.write_file(name + ":stream", b"x")
    host.add_volume("E:", acls=False)
    host.write_file(r"E:\file.txt", b"x")
    host.add_share(r"\\server\share", letter="S:")
    host.write_file(r"\\server\share\open\file.txt", b"x")
    return host


def _verdicts(decision: Decision, reason: str) -> set[str]:
    if decision.allowed:
        return {"allowed"}
    # Whoever writes to a directory is told so whatever its list says.
    return {"denied", "failed"} if decision.rule in _FAILING or reason == "it is a directory" else {"denied"}


@pytest.mark.parametrize("name", POLICIES)
def test_what_is_explained_is_what_happens(name: str) -> None:
    with machine() as host:
        decisions = [explain(POLICIES[name], path, access, host=host) for path, access, _ in QUESTIONS]
        report = simulate(POLICIES[name], "\n".join(f'{verb} "{path}"' for path, _, verb in QUESTIONS), host=host)
    different = [
        f"{row.operation}: explained {decision.allowed}, {decision.rule}: {decision.reason}; "
        f"{row.verdict}: {row.reason}"
        for row, decision in zip(report.rows, decisions, strict=True)
        if row.verdict not in _verdicts(decision, row.reason)
    ]
    assert different == []
    assert {decision.allowed for decision in decisions} == {True, False}
