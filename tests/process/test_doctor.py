"""doctor: each thing that stands in the way is found, with a remedy; and is not found where it is not."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.capabilities import needs
from winsandbox._host import REPARSE_APPEXECLINK
from winsandbox.doctor import Diagnosis, Finding, doctor
from winsandbox.testing import SimulatedHost

APPS = "C:\\Users\\alice\\AppData\\Local\\Microsoft\\WindowsApps"


def subjects(diagnosis: Diagnosis, severity: str | None = None) -> set[str]:
    return {finding.subject for finding in diagnosis.findings if severity in (None, finding.severity)}


def examine(host: SimulatedHost, command: list[str] | None = None) -> Diagnosis:
    try:
        diagnosis = doctor(command, host=host)
        assert len(host.open_handles()) == 0
        return diagnosis
    finally:
        host.close()


def test_an_ordinary_user_with_a_console_has_nothing_in_the_way() -> None:
    diagnosis = examine(SimulatedHost(console=True))
    assert subjects(diagnosis) == {"simulated"}
    assert diagnosis.ok
    assert "Windows 11" in diagnosis.to_text()


@pytest.mark.parametrize(
    ("make", "subject", "severity"),
    [
        (SimulatedHost.sandboxed, "already sandboxed", "error"),
        (SimulatedHost.low, "low integrity", "error"),
        (lambda: SimulatedHost.administrator(elevated=True), "elevated", "warning"),
        (SimulatedHost.service, "session 0", "warning"),
        (lambda: SimulatedHost(logon=False), "logon session", "warning"),
        (lambda: SimulatedHost(console=False), "no console", "warning"),
        (lambda: SimulatedHost(job_ui_limits=True), "job", "info"),
        (lambda: SimulatedHost(environment={"__PSLockdownPolicy": "4"}), "PowerShell", "warning"),
        (lambda: SimulatedHost(environment={"winsandbox_network_shim_v1": "1"}), "network shim", "info"),
        (lambda: SimulatedHost(environment={"PATH": "bin;C:\\Windows\\System32"}), "PATH", "info"),
    ],
)
def test_each_is_found_with_its_severity(make: Callable[[], SimulatedHost], subject: str, severity: str) -> None:
    diagnosis = examine(make())
    assert subject in subjects(diagnosis, severity)
    assert diagnosis.ok == (severity != "error")
    assert subject not in subjects(examine(SimulatedHost(console=True)))


def test_drives_that_keep_no_acls_and_shares_are_found() -> None:
    host = SimulatedHost()
    host.add_volume("E:", acls=False, filesystem="exFAT", kind="removable")
    host.add_share("\\\\server\\share", letter="N:")
    found = {finding.subject[:8]: finding.text for finding in examine(host).findings}
    assert "no ACLs" in found["drive E:"]
    assert "share" in found["drive N:"]
    assert "drive C:" not in found
    assert "drive D:" not in found


def test_msys_and_store_programs_in_path_are_found() -> None:
    host = SimulatedHost(environment={"PATH": f"{APPS};C:\\msys64\\usr\\bin;C:\\Windows\\System32"})
    host.write_file("C:\\msys64\\usr\\bin\\msys-2.0.dll")
    host.write_file(f"{APPS}\\python.exe")
    host.reparse(f"{APPS}\\python.exe", REPARSE_APPEXECLINK)
    diagnosis = examine(host)
    assert {"MSYS", "Store python"} <= subjects(diagnosis, "warning")
    assert "Store pwsh" not in subjects(diagnosis)


def command_host() -> SimulatedHost:
    host = SimulatedHost(console=True, environment={"PATH": "C:\\tools;C:\\Windows\\System32"})
    for name in ("git.exe", "python.exe", "npm.cmd", "tool.exe"):
        host.write_file(f"C:\\tools\\{name}", b"MZ")
    host.write_file("C:\\tools\\x.ps1")
    return host


@pytest.mark.parametrize(
    ("command", "severity", "says"),
    [
        (["git", "commit"], "warning", "hooks"),
        (["python", "-c", "1"], "warning", "python_shim"),
        (["npm", "ci"], "info", "batch file"),
        (["npm", "ci"], "info", "C:\\tools\\npm.cmd"),
        (["tool"], "info", "C:\\tools\\tool.exe"),
        (["nothing"], "error", "no command 'nothing'"),
        (["x.ps1"], "error", "powershell"),
        ([""], "error", "empty"),
        (["a\0b"], "error", "NUL"),
    ],
)
def test_a_command_is_looked_at(command: list[str], severity: str, says: str) -> None:
    diagnosis = examine(command_host(), command)
    assert any(says in str(finding) and finding.severity == severity for finding in diagnosis.findings)
    assert diagnosis.ok == (severity != "error")


def test_a_relative_command_is_taken_from_the_directory_that_is_given() -> None:
    host = SimulatedHost(console=True)
    host.mkdir("C:\\src\\project")
    host.write_file("C:\\src\\project\\tool.exe", b"MZ")
    assert doctor([".\\tool.exe"], cwd="C:\\src\\project", host=host).ok
    assert not doctor([".\\tool.exe"], host=host).ok
    host.close()


@needs("windows")
def test_a_relative_command_is_taken_from_the_current_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tool.cmd").write_bytes(b"@exit 0\r\n")
    monkeypatch.chdir(tmp_path)
    found = doctor([".\\tool.cmd"]).findings
    assert any(str(tmp_path / "tool.cmd").lower() in str(finding).lower() for finding in found)


@pytest.mark.parametrize("command", [[b"git"], [5], {"git"}, 5, b"git"])
def test_what_is_no_command_is_a_type_error(command: Any) -> None:
    with pytest.raises(TypeError, match="args must"):
        doctor(command, host=SimulatedHost())


def test_what_cannot_be_read_is_a_finding_and_no_error() -> None:
    for kind, check in (("inspect", "token"), ("drives", "volumes")):
        host = SimulatedHost(console=True)
        host.fail(kind, 1, 5)
        found = [finding for finding in examine(host).findings if finding.subject == "not readable"]
        assert [check in finding.text for finding in found] == [True]


def test_the_worst_comes_first_and_json_says_the_same() -> None:
    diagnosis = examine(SimulatedHost.sandboxed(session=0))
    order = [finding.severity for finding in diagnosis.findings]
    assert order == sorted(order, key=["error", "warning", "info"].index)
    data: dict[str, Any] = json.loads(json.dumps(diagnosis.to_dict()))
    assert data["version"] == 1
    assert data["ok"] is False
    assert [Finding(**finding) for finding in data["findings"]] == list(diagnosis.findings)
    assert len(diagnosis.to_text().splitlines()) == 1 + len(diagnosis.findings)


def test_a_string_is_no_command() -> None:
    with pytest.raises(TypeError, match="sequence"):
        doctor("git status")


def test_without_a_host_it_tells_of_this_machine() -> None:
    diagnosis = doctor(["cmd", "/c", "exit"])
    if sys.platform == "win32":
        assert any(finding.subject == "command cmd" for finding in diagnosis.findings)
    else:
        assert [finding.subject for finding in diagnosis.findings] == ["operating system"]
        assert not diagnosis.ok


def test_nothing_is_changed_or_started() -> None:
    host = command_host()
    doctor(["git"], host=host)
    changing = {"set_security", "create_file", "create_directory", "write", "delete", "start", "restrict", "create_job"}
    assert changing & set(host.counts) == set()
    host.close()
