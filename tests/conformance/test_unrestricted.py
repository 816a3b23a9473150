"""With the restriction switched off, what the cases say is denied must get through: else it shows nothing about it."""

from __future__ import annotations

import pytest

from tests.capabilities import needs
from tests.conformance.hosts import BY_NAME, Unrestricted, run, story
from winsandbox._cases import CASES

# Why something is refused without any restricted token: the reason, what the refusal says, what it holds back.
_HELD = {
    "a pin: the library holds it open without FILE_SHARE_DELETE": (
        ("WinError 32", "it is open"),
        {
            "the state directory": {r"delete %STATE%\ledger-1.sqlite", r"rename %STATE% %BASE%\away"},
            "delete an empty protected directory": {"rmdir .git"},
            "rename a protected directory": {"rename .git .old", r"rename .git another\.git"},
            "rename a directory above a protected place": {
                *("rename config elsewhere", r"rename config\deep config\shallow", r"rmdir config\deep\secret"),
            },
            "a protected file": {
                *("replace free.txt settings.txt", "rename settings.txt old.txt", "delete settings.txt"),
            },
            "the root itself": {
                *(r"rename %ROOT% %SECOND%\moved", r"rename %ROOT% %BASE%\moved", "rmdir %SECOND%"),
            },
            ".codex and .agents": {"rmdir .agents", "rename .agents other"},
            "a repository that is made while the sandbox lives": {"rmdir .git"},
            "a .git file": {"delete .git", "rename store other"},
            "a .git link": {"rmdir .git", "rename .git other"},
            "hooks only": {
                *(r"replace settings.txt .git\config", r"delete .git\config"),
                *(r"rename .git\hooks .git\old", "rename .git .old"),
            },
        },
    ),
    "the job's limit": (("WinError 1816",), {"a limit of processes": {"spawn 8"}}),
    "CREATE_NO_WINDOW": (("another console",), {"the console": {"console"}, "a shared console": {"console"}}),
    "the desktop is named when the process is made": (("another desktop",), {"the desktop": {"desktop"}}),
}


@needs("not wine")
@pytest.mark.parametrize("name", [case.name for case in CASES])
def test_what_is_denied_gets_through_without_restriction(name: str) -> None:
    found = run(BY_NAME[name], "default", Unrestricted)
    held = {operation: marks for marks, cases in _HELD.values() for operation in cases.get(name, ())}
    denied = {
        str(row.attempt.operation): row.outcome.reason
        for row in found.rows
        if row.expected == "denied" and row.outcome.verdict != "allowed"
    }
    assert set(denied) == set(held), story(found)
    for operation, reason in denied.items():
        assert any(mark in reason for mark in held[operation]), (operation, reason)
    assert [row for row in found.rows if row.outcome.verdict == "failed"] == [], story(found)
    assert found.mistakes == ()
