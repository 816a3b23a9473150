"""simulate: scripts on a model of Windows, their verdicts and reasons, and the comparison with what is expected."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.capabilities import needs
from tests.cli.commandline import ROOT, winsandbox
from winsandbox import Policy, PolicyError, UnsupportedHost
from winsandbox._host import default_host
from winsandbox._operations import RIGHTS, VERBS
from winsandbox._simulate import ExpectedRow, expectation, simulate
from winsandbox.errors import ScriptError
from winsandbox.testing import SimulatedHost

WORKSPACE = r"C:\src\project"
POLICY = Policy.workspace(WORKSPACE)
SCRIPT = r"""
# what an agent does, and what it must not
mkdir src
write src\a.py
rename src\a.py "src\a b.py"
write .git\hooks\pre-commit
delete .git\HEAD
write C:\src\other.txt
delete missing.txt
connect example.com 443
http http://example.com/
"""
VERDICTS = ["allowed", "allowed", "allowed", "denied", "denied", "denied", "failed", "allowed", "discouraged"]


@pytest.fixture
def host() -> SimulatedHost:
    host = SimulatedHost()
    host.mkdir(WORKSPACE + r"\.git\hooks")
    host.write_file(WORKSPACE + r"\.git\HEAD", b"ref")
    return host


def test_each_operation_gets_its_verdict_and_a_reason(host: SimulatedHost) -> None:
    report = simulate(POLICY, SCRIPT, host=host)
    assert [row.verdict for row in report.rows] == VERDICTS
    assert [row.line for row in report.rows] == list(range(3, 12))
    reasons = {row.operation: row.reason for row in report.rows}
    assert "writable root" in reasons[r"write src\a.py"]
    assert "protected place" in reasons[r"write .git\hooks\pre-commit"]
    assert "outside every writable root" in reasons[r"write C:\src\other.txt"]
    assert "WinError 2" in reasons["delete missing.txt"]
    assert "advisory" in reasons["connect example.com 443"]
    text = report.to_text()
    assert "denied       write C:\\src\\other.txt" in text
    assert text.splitlines()[-1] == "together: 4 allowed, 3 denied, 1 discouraged, 1 failed"
    # It really was done, on the model.
    assert host.exists(WORKSPACE + r"\src\a b.py")
    assert host.read_file(WORKSPACE + r"\.git\HEAD") == b"ref"


def test_whatever_is_allowed_or_denied_has_a_reason(host: SimulatedHost) -> None:
    host.write_file(WORKSPACE + r"\open.txt", b"", "D:(A;;FA;;;WD)(A;;FA;;;U)")
    host.add_key(r"HKCU\Software\Open", "D:(A;;KA;;;WD)")
    logon = next(str(group.sid) for group in host.token.model.groups if str(group.sid).startswith("S-1-5-5-"))
    host.add_pipe_server("pipe", f"D:(A;;GA;;;U)(A;;GA;;;{logon})")
    lines = [
        *(r"write %TEMP%\a.txt", "write a.txt", "append a.txt", "read a.txt", "list .", "mkdir d", "rmdir d"),
        *("rename a.txt b.txt", "write c.txt", "replace b.txt c.txt", "link c.txt e.txt", "delete e.txt"),
        *(r"junction C:\Windows j", "open-up open.txt", r"open-up C:\Windows", "connect example.com 443"),
        *(r"registry-read HKCU\Environment", r"registry-set HKCU\Software\Open a", r"registry-set HKCU\Environment a"),
        *(f"{verb} {right}" for verb in ("process", "own-process") for right in RIGHTS if right != "terminate"),
        *("process terminate", "pipe pipe", "spawn 2", "sleep 1", "console", "desktop"),
        *(r"symlink c.txt s", r"dirlink C:\Windows s"),
    ]
    report = simulate(POLICY, "\n".join(lines), host=host)
    assert {line.split()[0] for line in lines} >= set(VERBS) - {"http"}
    for row in report.rows:
        assert row.verdict in ("allowed", "denied"), row
        assert row.reason, row


def test_what_the_library_does_between_two_commands_shows(host: SimulatedHost) -> None:
    host.remove(WORKSPACE + r"\.git")
    made, written = simulate(POLICY, "mkdir .git\nwrite .git\\config\n", host=host).rows
    assert made.verdict == "allowed"
    assert made.violations == (WORKSPACE + r"\.git was created",)
    assert written.verdict == "denied"


def test_the_same_script_under_a_stricter_policy(host: SimulatedHost) -> None:
    verdicts = [row.verdict for row in simulate(Policy.read_only(WORKSPACE), SCRIPT, host=host).rows]
    assert verdicts == [*["denied", "failed", "failed"], *VERDICTS[3:]][: len(verdicts)]


def test_without_a_host_the_policys_directories_are_made_on_a_model() -> None:
    policy = Policy.workspace(r"F:\work\project", writable_roots=[r"D:\cache"])
    report = simulate(policy, "write a.txt\nwrite D:\\cache\\b.txt\nwrite F:\\work\\c.txt\nwrite %TEMP%\\d.txt\n")
    assert [row.verdict for row in report.rows] == ["allowed", "allowed", "denied", "allowed"]


def test_an_empty_script_has_no_verdicts(host: SimulatedHost) -> None:
    report = simulate(POLICY, "# nothing\n", host=host)
    assert report.rows == ()
    assert report.to_text().endswith("together: no operations")


def test_mistakes_are_told_before_anything_is_done(host: SimulatedHost) -> None:
    with pytest.raises(ScriptError, match="line 2, column 1"):
        simulate(POLICY, "write a.txt\nwrte b.txt\n", host=host)
    assert not host.exists(WORKSPACE + r"\a.txt")


@needs("windows")
def test_a_real_machine_is_refused() -> None:
    with pytest.raises(UnsupportedHost, match="never on a real machine"):
        simulate(POLICY, "write a.txt\n", host=default_host())


# -- what is expected


def test_a_former_report_is_an_expectation_and_any_difference_is_told(host: SimulatedHost) -> None:
    report = simulate(POLICY, SCRIPT, host=host)
    expected = expectation(json.dumps(report.to_dict()))
    assert report.differences(expected) == ()
    assert report.differences(expectation("\n".join(VERDICTS))) == ()
    assert report.differences(expected[:-1]) == ("8 verdicts are expected, the script has 9 operations",)
    other = (ExpectedRow("denied", expected[0].operation), ExpectedRow("allowed", "write other"), *expected[2:])
    assert report.differences(other) == (
        "line 3: mkdir src: expected denied, is allowed",
        r"line 4: write src\a.py: expected was another operation, write other",
    )


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("alowed\n", "line 1, column 1: 'alowed' is no verdict."),
        ("# x\nallowed write\n", "line 2: write takes 1 argument"),
        ("{not json", "no report of a simulation"),
        ('{"rows": [{"verdict": "perhaps", "operation": "write a"}]}', "an unknown verdict"),
        ('{"rows": 3}', "no report of a simulation"),
        ('{"rows": [[]]}', "no report of a simulation"),
    ],
)
def test_an_expectation_that_is_none_is_told(text: str, told: str) -> None:
    with pytest.raises(ScriptError) as caught:
        expectation(text)
    assert told in str(caught.value)
    assert isinstance(caught.value, PolicyError)


def test_expectations_may_name_the_operation_or_not() -> None:
    assert expectation("\ufeff# head\nallowed\n\ndenied  write   a.txt\n") == (
        ExpectedRow("allowed"),
        ExpectedRow("denied", "write a.txt"),
    )


# -- the command line


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "project" / ".git" / "hooks").mkdir(parents=True)
    return tmp_path / "project"


@needs("no windows")
def test_the_command_reads_a_file_and_compares(project: Path, tmp_path: Path) -> None:
    script, expected = tmp_path / "script", tmp_path / "expected"
    script.write_text("write a.txt\nwrite .git/hooks/x\n", "utf-8")
    done = winsandbox("simulate", str(script), "--root", str(project), "--json")
    assert done.returncode == 0, done.stderr
    assert [row["verdict"] for row in json.loads(done.stdout)["rows"]] == ["allowed", "denied"]
    expected.write_text(done.stdout, "utf-8")
    same = winsandbox("simulate", str(script), "--root", str(project), "--expect", str(expected))
    assert (same.returncode, same.stderr) == (0, "")
    expected.write_text("allowed\nallowed\n", "utf-8")
    other = winsandbox("simulate", str(script), "--root", str(project), "--expect", str(expected))
    assert other.returncode == 1
    assert other.stderr == "different: line 2: write .git/hooks/x: expected allowed, is denied\n"
    assert not (project / "a.txt").exists()


@needs("no windows")
def test_the_command_reads_standard_input(project: Path) -> None:
    code = (
        f"import sys, runpy; sys.path.insert(0, {str(ROOT)!r}); sys.argv = ['winsandbox', *sys.argv[1:]]; "
        "runpy.run_module('winsandbox', run_name='__main__', alter_sys=True)"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code, "simulate", "--root", str(project)],
        input=b"\xef\xbb\xbfdelete .git\\hooks\n",
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert b"failed" in done.stdout


def test_wrong_scripts_are_wrong_usage(project: Path, tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("wrte a.txt\n", "utf-8")
    done = winsandbox("simulate", str(script), "--root", str(project))
    assert done.returncode == 2
    assert "line 1, column 1: there is no operation 'wrte'. Did you mean: write FILE?" in done.stderr
    assert "Traceback" not in done.stderr
    missing = winsandbox("simulate", str(tmp_path / "missing"), "--root", str(project))
    assert missing.returncode == 2
    assert "cannot be read" in missing.stderr


def test_the_operations_can_be_listed() -> None:
    done = winsandbox("simulate", "--operations")
    assert done.returncode == 0
    assert "rename FROM TO" in done.stdout
