"""The whole path in memory: policy, plan, ACLs, token, process; and what is left when any step fails."""

from __future__ import annotations

import asyncio
import gc
import json
import subprocess
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path, PureWindowsPath
from typing import Any, Literal

import pytest

from tests.packaging.interpreter import run as run_python
from winsandbox import (
    Aspect,
    Basis,
    CommandNotFound,
    EnforcementError,
    Environment,
    LedgerError,
    Level,
    Limits,
    NetworkShim,
    Policy,
    PolicyError,
    RootRefused,
    Sandbox,
    SandboxClosed,
    SandboxError,
    SpawnError,
    UnsupportedHost,
    WinError,
    WorkingDirectoryError,
)
from winsandbox.testing import SimulatedHost, SimulatedProcess

REPOSITORY = Path(__file__).resolve().parents[2]
ROOT = r"C:\src\project"
TOOL = r"C:\tools\tool.exe"
POLICY = Policy.workspace(ROOT)


@pytest.fixture
def host() -> SimulatedHost:
    host = SimulatedHost()
    for path in (rf"{ROOT}\src", rf"{ROOT}\.git\hooks", r"C:\outside"):
        host.mkdir(path)
    host.write_file(rf"{ROOT}\.git\HEAD", b"ref: refs/heads/main\n")
    host.write_file(r"C:\outside\mine.txt", b"mine")
    return host


def attempt(action: Callable[[], object]) -> int:
    """0, or the Windows error code of a refusal."""
    try:
        action()
    except WinError as error:
        return error.winerror
    return 0


def outcomes(
    host: SimulatedHost, policy: Policy, actions: dict[str, Callable[[SimulatedProcess], object]]
) -> dict[str, int]:
    """What happens when a sandboxed program does each of these."""
    seen: dict[str, int] = {}

    def tool(process: SimulatedProcess) -> int:
        for name, action in actions.items():
            seen[name] = attempt(lambda action=action: action(process))  # type: ignore[misc]
        return 0

    host.add_program(TOOL, tool)
    with Sandbox(policy, host=host) as sandbox:
        assert sandbox.run([TOOL]).returncode == 0
    assert seen.keys() == actions.keys(), "the program did not run to its end"
    return seen


def test_the_child_writes_in_the_root_and_nowhere_else(host: SimulatedHost) -> None:
    seen = outcomes(
        host,
        POLICY,
        {
            "new": lambda child: child.write(r"src\new.py", b"x"),
            "temp": lambda child: child.write(child.env["TEMP"] + r"\t.txt", b"x"),
            "hook": lambda child: child.write(r".git\hooks\pre-commit", b"x"),
            "head": lambda child: child.write(r".git\HEAD", b"x"),
            "outside": lambda child: child.write(r"C:\outside\new.txt", b"x"),
            "mine": lambda child: child.append(r"C:\outside\mine.txt", b"x"),
            "read": lambda child: child.read(r"C:\outside\mine.txt"),
        },
    )
    assert seen == {"new": 0, "temp": 0, "hook": 5, "head": 5, "outside": 5, "mine": 5, "read": 0}
    assert host.read_file(rf"{ROOT}\src\new.py") == b"x"
    assert host.read_file(rf"{ROOT}\.git\HEAD") == b"ref: refs/heads/main\n"


def make_and_remove(child: SimulatedProcess) -> None:
    child.write("own.txt", b"")
    child.remove("own.txt")


def test_protected_places_are_neither_deleted_nor_renamed(host: SimulatedHost) -> None:
    seen = outcomes(
        host,
        POLICY,
        {
            "delete head": lambda child: child.remove(r".git\HEAD"),
            "rename git": lambda child: child.rename(".git", "git2"),
            "remove codex": lambda child: child.rmdir(".codex"),
            "rename root": lambda child: child.rename(ROOT, r"C:\src\other"),
            "delete own": make_and_remove,
        },
    )
    assert seen.pop("delete own") == 0
    assert all(seen.values()), seen
    assert host.exists(rf"{ROOT}\.git\HEAD")
    assert host.exists(rf"{ROOT}\.codex")


def test_what_the_plain_design_leaves_open_is_open_and_said(host: SimulatedHost) -> None:
    folders = host.files.known_folders()
    host.write_file(rf"{folders.profile}\diary.txt", b"dear")
    seen = outcomes(host, POLICY, {"delete": lambda child: child.remove(rf"{folders.profile}\diary.txt")})
    assert seen == {"delete": 0}
    with Sandbox(POLICY, host=host) as sandbox:
        assert sandbox.enforcement[Aspect.DELETES_OUTSIDE].level is Level.NONE


def test_low_integrity_keeps_deletes_inside(host: SimulatedHost) -> None:
    folders = host.files.known_folders()
    host.write_file(rf"{folders.profile}\diary.txt", b"dear")
    host.mkdir(rf"{folders.profile}\project")  # where the user has full control: labels need WRITE_OWNER
    seen = outcomes(
        host,
        Policy.workspace(rf"{folders.profile}\project", integrity="low"),
        {
            "delete outside": lambda child: child.remove(rf"{folders.profile}\diary.txt"),
            "write": lambda child: child.write("own.txt", b"x"),
            "delete": lambda child: child.remove("own.txt"),
        },
    )
    assert seen == {"delete outside": 5, "write": 0, "delete": 0}


def test_a_read_only_policy_writes_its_temp_alone(host: SimulatedHost) -> None:
    seen = outcomes(
        host,
        Policy.read_only(ROOT),
        {
            "workspace": lambda child: child.write(r"src\new.py", b"x"),
            "temp": lambda child: child.write(child.env["TMP"] + r"\t.txt", b"x"),
        },
    )
    assert seen == {"workspace": 5, "temp": 0}


def test_another_policys_grant_does_not_open_a_root(host: SimulatedHost) -> None:
    host.mkdir(r"C:\other")
    assert outcomes(host, Policy.workspace(r"C:\other"), {"w": lambda child: child.write(r"C:\other\x", b"")}) == {
        "w": 0
    }
    assert outcomes(host, POLICY, {"w": lambda child: child.write(r"C:\other\y", b"")}) == {"w": 5}


def test_a_second_start_writes_no_descriptor_and_reads_few(host: SimulatedHost) -> None:
    with Sandbox(POLICY, host=host):
        pass
    before = host.counts.copy()
    with Sandbox(POLICY, host=host):
        pass
    used = host.counts - before
    assert used["set_security"] == 0
    places = 1 + 3  # the root, .git, .codex and .agents
    assert used["security"] <= 2 * places + 1, "the survey's look at the root and the warm check"


def test_temp_is_private_and_gone_at_the_end(host: SimulatedHost) -> None:
    seen: list[str] = []

    def tool(process: SimulatedProcess) -> int:
        seen.extend([process.env["TEMP"], process.env["TMP"]])
        process.write(process.env["TEMP"] + r"\left.txt", b"x")
        process.mkdir(process.env["TEMP"] + r"\left")
        return 0

    host.add_program(TOOL, tool)
    for _ in range(2):
        with Sandbox(POLICY, host=host) as sandbox:
            sandbox.run([TOOL], check=True)
    assert seen[0] == seen[1]
    assert seen[0] != seen[2], "a TEMP of its own for each sandbox"
    assert seen[0].lower().startswith(host.files.known_folders().local_app_data.lower())
    assert not any(map(host.exists, seen))


def test_nothing_is_held_after_close(host: SimulatedHost) -> None:
    host.add_program(TOOL, lambda process: 0)
    with Sandbox(POLICY, host=host) as sandbox:
        sandbox.run([TOOL])
    assert [handle for handle in host.open_handles() if not handle.startswith("<desktop")] == []
    assert host.running() == []


@pytest.mark.parametrize(
    "kind",
    [
        *("open", "open_at", "query", "info", "entries", "security", "set_security", "create_directory", "create_file"),
        *("write", "delete", "database", "sql", "current_token", "inspect", "restrict", "set_default_dacl"),
        *("create_job", "start", "standard", "create_desktop"),
    ],
)
def test_a_failure_at_any_step_leaves_nothing_held(host: SimulatedHost, kind: str) -> None:
    host.add_program(TOOL, lambda process: 0)
    before = host.counts[kind]
    for n in range(1, 12):
        host.fail(kind, n, 5)
        with suppress(SandboxError, OSError), Sandbox(POLICY, host=host) as sandbox:
            sandbox.run([TOOL])
        left = [handle for handle in host.open_handles() if not handle.startswith("<desktop")]
        assert left == [], f"after the failure of {kind} {n}"
        assert host.running() == []
    assert host.counts[kind] > before, "nothing of this kind was done, so nothing failed"


# -- the interface


def test_making_a_sandbox_touches_nothing_and_off_windows_it_is_refused_when_it_is_used() -> None:
    sandbox = Sandbox(POLICY)
    if not hasattr(subprocess, "STARTUPINFO"):
        with pytest.raises(UnsupportedHost, match="SimulatedHost"):
            sandbox.prepare()


@pytest.mark.parametrize("args", ["git status", b"git"])
def test_a_command_as_a_string_is_a_type_error_that_names_the_remedy(host: SimulatedHost, args: str) -> None:
    with Sandbox(POLICY, host=host) as sandbox, pytest.raises(TypeError, match=r'\["cmd", "/c", line\]'):
        sandbox.run(args)


@pytest.mark.parametrize(
    ("args", "error"),
    [
        ([], ValueError),
        (None, TypeError),
        ({"git"}, TypeError),
        ((word for word in "a"), TypeError),
        ([b"a"], TypeError),
    ],
)
def test_what_is_no_command_is_refused_by_its_type(host: SimulatedHost, args: Any, error: type[Exception]) -> None:
    sandbox = Sandbox(POLICY, host=host)
    for call in (sandbox.spawn, sandbox.run):
        with pytest.raises(error, match="args"):
            call(args)
    with pytest.raises(error, match="args"):
        asyncio.run(sandbox.spawn_async(args))


def test_the_shell_is_refused_with_what_to_write_instead(host: SimulatedHost) -> None:
    sandbox = Sandbox(POLICY, host=host)
    for call in (sandbox.spawn, sandbox.run):
        with pytest.raises(TypeError, match=r'\["cmd", "/c", line\]'):
            call(["git"], shell=True)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r'\["cmd", "/c", line\]'):
        asyncio.run(sandbox.spawn_async(["git"], shell=True))  # type: ignore[arg-type]


def test_run_takes_a_buffer_size(host: SimulatedHost) -> None:
    host.add_program(TOOL, lambda process: process.stdout.write(b"x") and 0)
    with Sandbox(POLICY, host=host) as sandbox:
        assert sandbox.run([TOOL], bufsize=0, capture_output=True).stdout == b"x"
        with pytest.raises(TypeError, match="bufsize"):
            sandbox.run([TOOL], bufsize="0")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("cwd", "expected"),
    [
        (None, ROOT),
        ("src", rf"{ROOT}\src"),
        (PureWindowsPath("src/../src"), rf"{ROOT}\src"),
        ("..", r"C:\src"),
        ("C:/outside", r"C:\outside"),
        ("", ValueError),
        ("a\0b", ValueError),
        (r"\outside", ValueError),
        ("C:outside", ValueError),
        (b"src", TypeError),
        (5, TypeError),
        ("nowhere", WorkingDirectoryError),
        (r".git\HEAD", NotADirectoryError),
        (r"C:\nowhere", FileNotFoundError),
    ],
)
def test_the_working_directory_is_relative_to_the_workspace(host: SimulatedHost, cwd: Any, expected: Any) -> None:
    seen: list[str] = []
    host.add_program(TOOL, lambda process: seen.append(process.cwd))
    with Sandbox(POLICY, host=host) as sandbox:
        if isinstance(expected, str):
            sandbox.run([TOOL], cwd=cwd)
            assert seen == [expected]
        else:
            with pytest.raises(expected):
                sandbox.run([TOOL], cwd=cwd)
            assert seen == []


@pytest.mark.parametrize("env", [{"A": 1}, {1: "A"}, {b"A": b"1"}, {"A=B": "1"}, {"A": "\0"}, [("A", "1")], "A=1"])
def test_an_environment_that_cannot_be_is_refused(host: SimulatedHost, env: Any) -> None:
    host.add_program(TOOL, lambda process: 0)
    with Sandbox(POLICY, host=host) as sandbox, pytest.raises((TypeError, PolicyError), match=r"env|string"):
        sandbox.run([TOOL], env=env)


@pytest.mark.parametrize(
    ("keywords", "error"),
    [({"require": "yes"}, ValueError), ({"keep": "no"}, ValueError), ({"policy": "x"}, TypeError)],
)
def test_wrong_arguments_are_named(keywords: dict[str, str], error: type[Exception]) -> None:
    with pytest.raises(error, match="must be"):
        Sandbox(**{"policy": POLICY, **keywords})  # type: ignore[arg-type]


def test_a_closed_sandbox_says_so_and_close_is_idempotent(host: SimulatedHost) -> None:
    sandbox = Sandbox(POLICY, host=host)
    sandbox.prepare()
    sandbox.close()
    sandbox.close()
    with pytest.raises(SandboxClosed):
        sandbox.run([TOOL])


def test_spawn_prepares_by_itself(host: SimulatedHost) -> None:
    host.add_program(TOOL, lambda process: 7)
    sandbox = Sandbox(POLICY, host=host)
    with sandbox.spawn([TOOL]) as process:
        assert process.wait() == 7
    sandbox.close()


def test_run_has_subprocess_results_and_errors(host: SimulatedHost) -> None:
    def tool(process: SimulatedProcess) -> int:
        data = process.stdin.read()
        process.stdout.write(data.upper())
        process.stderr.write(b"warned\r\n")
        return len(process.argv)

    host.add_program(TOOL, tool)
    with Sandbox(POLICY, host=host) as sandbox:
        done = sandbox.run([TOOL, "a b", 'c"d'], input="text\n", capture_output=True, text=True)
        assert (done.returncode, done.stdout, done.stderr) == (3, "TEXT\n", "warned\n")
        with pytest.raises(subprocess.CalledProcessError) as caught:
            sandbox.run([TOOL], stdin=subprocess.DEVNULL, check=True)
        assert caught.value.returncode == 1
        with pytest.raises(ValueError, match="stdin and input"):
            sandbox.run([TOOL], input=b"", stdin=subprocess.PIPE)
        with pytest.raises(ValueError, match="capture_output"):
            sandbox.run([TOOL], capture_output=True, stdout=subprocess.PIPE)


def test_a_timeout_that_is_no_number_is_told_before_anything_starts(host: SimulatedHost) -> None:
    with Sandbox(POLICY, host=host) as sandbox:
        before = host.started
        with pytest.raises(TypeError, match="timeout is a number of seconds"):
            sandbox.run([TOOL], timeout="x")  # type: ignore[arg-type]
        assert host.started == before


def test_a_timeout_ends_the_whole_tree_and_keeps_the_output(host: SimulatedHost) -> None:
    def child(process: SimulatedProcess) -> int:
        process.sleep(10_000)
        return 0

    def tool(process: SimulatedProcess) -> int:
        process.stdout.write(b"begun")
        process.spawn([r"C:\tools\child.exe"])
        process.sleep(10_000)
        return 0

    host.add_program(TOOL, tool)
    host.add_program(r"C:\tools\child.exe", child)
    with Sandbox(POLICY, host=host) as sandbox:
        with pytest.raises(subprocess.TimeoutExpired) as caught:
            sandbox.run([TOOL], capture_output=True, timeout=5)
        assert caught.value.stdout == b"begun"
        assert host.running() == []


def test_close_ends_what_still_runs(host: SimulatedHost) -> None:
    host.add_program(TOOL, lambda process: process.sleep(10_000))
    sandbox = Sandbox(POLICY, host=host)
    process = sandbox.spawn([TOOL])
    assert process.poll() is None
    sandbox.close()
    assert host.running() == []
    assert process.poll() is not None


def test_async_has_the_same_surface(host: SimulatedHost) -> None:
    host.add_program(TOOL, lambda process: process.stdout.write(b"hello") and 4)

    async def main() -> tuple[bytes | None, int | None]:
        async with Sandbox(POLICY, host=host) as sandbox:
            process = await sandbox.spawn_async([TOOL], stdout=subprocess.PIPE)
            out, _ = await process.communicate()
            return out, process.returncode

    assert asyncio.run(main()) == (b"hello", 4)


# -- the child's environment


def environment(host: SimulatedHost, policy: Policy, env: dict[str, str] | None = None) -> dict[str, str]:
    seen: dict[str, str] = {}

    def tool(process: SimulatedProcess) -> int:
        seen.update(process.env)
        return 0

    host.add_program(TOOL, tool)
    with Sandbox(policy, host=host) as sandbox:
        sandbox.run([TOOL], env=env, check=True)
    return {name.upper(): value for name, value in seen.items()}


def test_env_is_the_whole_environment_but_for_temp_and_the_shim(host: SimulatedHost) -> None:
    given = {"SystemRoot": r"C:\Windows", "FOO": "1", "temp": r"C:\Windows", "http_proxy": "http://mine:1"}
    seen = environment(host, POLICY, given)
    assert seen["FOO"] == "1"
    assert "USERPROFILE" not in seen
    assert seen["TEMP"] == seen["TMP"] != r"C:\Windows"
    assert "127.0.0.1:9" in seen["HTTP_PROXY"]
    assert seen["NODEFAULTCURRENTDIRECTORYINEXEPATH"] == "1"


def test_without_env_the_policy_chooses_from_ours(host: SimulatedHost) -> None:
    host = SimulatedHost(environment={"MY_TOKEN": "secret", "KEEP": "1"})
    host.mkdir(ROOT)
    policy = Policy.workspace(
        ROOT, environment=Environment(exclude=Environment.SECRETS, set={"X": "y"}, redirect_caches=True)
    )
    seen = environment(host, policy)
    assert "MY_TOKEN" not in seen
    assert (seen["KEEP"], seen["X"]) == ("1", "y")
    assert seen["PIP_CACHE_DIR"].startswith(seen["TEMP"])


def test_the_network_shim_can_be_left_out(host: SimulatedHost) -> None:
    assert "HTTP_PROXY" not in environment(host, Policy.workspace(ROOT, network=NetworkShim.off()))
    assert environment(host, POLICY)["PATH"].lower().split(";")[0].endswith("denybin")


def test_a_stub_wins_over_the_real_command_at_the_top_level_too(host: SimulatedHost) -> None:
    ran: list[str] = []
    host.add_program(r"C:\Windows\System32\OpenSSH\ssh.exe", lambda process: ran.append("ssh.exe"))
    host.add_program(r"C:\Windows\System32\cmd.exe", lambda process: ran.append(" ".join(process.argv)))
    with Sandbox(POLICY, host=host) as sandbox:
        sandbox.run(["ssh", "host"])
        assert len(ran) == 1
        assert r"denybin\ssh." in ran[0]
    with Sandbox(Policy.workspace(ROOT, network=NetworkShim.off()), host=host) as sandbox:
        sandbox.run(["ssh", "host"], env={"PATH": r"C:\Windows\System32\OpenSSH"})
        with pytest.raises(CommandNotFound):
            sandbox.run(["no-such-command"])
    assert ran[1:] == ["ssh.exe"]


# -- what is required


def test_a_host_whose_token_does_not_restrict_is_refused_unless_best_effort(
    host: SimulatedHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = host.tokens
    inspect = tokens.inspect
    from dataclasses import replace

    def lying(token: object) -> object:
        return replace(inspect(token), restricted=False)  # type: ignore[arg-type]

    monkeypatch.setattr(type(tokens), "inspect", lambda self, token: lying(token))
    host.add_program(TOOL, lambda process: 0)
    with pytest.raises(EnforcementError, match="not restricted"):
        Sandbox(POLICY, host=host).prepare()
    assert host.descriptor(ROOT).to_sddl().count("1465074264") == 0, "nothing was written for a sandbox that cannot be"
    with Sandbox(POLICY, host=host, require="best-effort") as sandbox:
        verdict = sandbox.enforcement[Aspect.WRITES_OUTSIDE]
        assert (verdict.level, verdict.basis) == (Level.NONE, Basis.OBSERVED)
        assert sandbox.run([TOOL]).returncode == 0


def test_proven_is_refused_where_nothing_was_proven(host: SimulatedHost) -> None:
    with pytest.raises(EnforcementError, match="prove"):
        Sandbox(POLICY, host=host, require="proven").prepare()


@pytest.mark.parametrize(
    ("made", "code"),
    [
        (SimulatedHost.sandboxed, "host.nested"),
        (lambda: SimulatedHost.administrator(elevated=True), "host.elevated"),
        (lambda: SimulatedHost.administrator(uac=False), "host.elevated"),
    ],
)
def test_a_caller_that_cannot_be_confined_is_refused(made: Callable[[], SimulatedHost], code: str) -> None:
    host = made()
    host.mkdir(ROOT)
    with pytest.raises(UnsupportedHost) as caught:
        Sandbox(POLICY, host=host).prepare()
    assert caught.value.code == code


def test_an_elevated_caller_is_lowered_on_request() -> None:
    host = SimulatedHost.administrator(elevated=True)
    host.mkdir(ROOT)
    seen = outcomes(
        host,
        Policy.workspace(ROOT, elevated="lower"),
        {
            "root": lambda child: child.write("own.txt", b"x"),
            "windows": lambda child: child.write(r"C:\Windows\x.dll", b"x"),
            "delete": lambda child: child.remove(r"C:\Windows\System32\cmd.exe"),
        },
    )
    assert seen == {"root": 0, "windows": 5, "delete": 5}


def test_a_limit_for_one_command(host: SimulatedHost) -> None:
    host.add_program(TOOL, lambda process: process.sleep(10_000))
    with Sandbox(POLICY, host=host) as sandbox, sandbox.spawn([TOOL], limits=Limits(wall_time=3)) as process:
        process.wait()
        assert process.limit == "wall_time"


def test_a_git_that_appears_is_a_violation_and_closed_before_the_next_command() -> None:
    host = SimulatedHost()
    host.mkdir(ROOT)

    def tool(process: SimulatedProcess) -> int:
        try:
            process.mkdir(r".git\hooks") if process.argv[1:] == ("2",) else process.mkdir(".git")
        except WinError as error:
            return error.winerror
        return 0

    host.add_program(TOOL, tool)
    with Sandbox(POLICY, host=host) as sandbox:
        with sandbox.spawn([TOOL]) as process:
            assert process.wait() == 0
        assert any(rf"{ROOT}\.git" in str(violation) for violation in process.violations)
        assert sandbox.run([TOOL, "2"]).returncode == 5


def test_two_sandboxes_side_by_side_keep_their_own_rules(host: SimulatedHost) -> None:
    other = Policy.workspace(ROOT, protected_subpaths=["src"])
    seen: dict[str, int] = {}

    def tool(process: SimulatedProcess) -> int:
        seen[process.argv[1]] = attempt(lambda: process.write(r"src\x", b""))
        return 0

    host.add_program(TOOL, tool)
    with Sandbox(POLICY, host=host) as one, Sandbox(other, host=host) as two:
        one.run([TOOL, "one"], check=True)
        two.run([TOOL, "two"], check=True)
    assert seen == {"one": 0, "two": 5}


def test_a_place_that_everyone_may_write_is_found_once_and_named(host: SimulatedHost) -> None:
    host.mkdir(r"C:\open", "D:(A;OICI;FA;;;WD)")
    with Sandbox(POLICY, host=host) as sandbox:
        verdict = sandbox.enforcement[Aspect.WRITES_OUTSIDE]
    assert verdict.level is Level.PARTIAL
    assert any(exception.startswith(r"C:\open") for exception in verdict.exceptions)
    assert outcomes(host, POLICY, {"write": lambda child: child.write(r"C:\open\x", b"")}) == {"write": 0}
    closed = Policy.workspace(ROOT, restricting=("logon",))
    assert outcomes(host, closed, {"write": lambda child: child.write(r"C:\open\y", b"")}) == {"write": 5}
    with Sandbox(closed, host=host) as sandbox:
        verdict = sandbox.enforcement[Aspect.WRITES_OUTSIDE]
    assert not any(r"C:\open" in exception for exception in verdict.exceptions)


def test_a_place_without_a_list_is_open_whatever_restricts(host: SimulatedHost) -> None:
    host.mkdir(r"C:\null", "D:NO_ACCESS_CONTROL")
    closed = Policy.workspace(ROOT, restricting=("logon",))
    assert outcomes(host, closed, {"write": lambda child: child.write(r"C:\null\y", b"")}) == {"write": 0}
    with Sandbox(closed, host=host) as sandbox:
        verdict = sandbox.enforcement[Aspect.WRITES_OUTSIDE]
    assert verdict.level is Level.PARTIAL
    assert any(r"C:\null" in exception for exception in verdict.exceptions)


@pytest.mark.parametrize("path", ["E:\\", r"C:\a\b\c\open.txt"])
def test_open_places_on_sticks_and_deep_files_are_found(host: SimulatedHost, path: str) -> None:
    everyone = "D:(A;OICI;FA;;;WD)"
    if path.endswith("txt"):
        host.write_file(path, b"", everyone)
    else:
        host.add_volume("E:", kind="removable", sddl=f"O:SY{everyone}")
    with Sandbox(POLICY, host=host) as sandbox:
        verdict = sandbox.enforcement[Aspect.WRITES_OUTSIDE]
    assert any(path in exception for exception in verdict.exceptions)


def test_what_an_audit_found_is_forgotten_after_a_day(host: SimulatedHost, monkeypatch: pytest.MonkeyPatch) -> None:
    with Sandbox(POLICY, host=host) as sandbox:
        before = sandbox.enforcement[Aspect.WRITES_OUTSIDE].exceptions
    host.mkdir(r"C:\later", "D:(A;OICI;FA;;;WD)")
    with Sandbox(POLICY, host=host) as sandbox:
        assert sandbox.enforcement[Aspect.WRITES_OUTSIDE].exceptions == before
    now = host.processes.time()
    monkeypatch.setattr(type(host.processes), "time", lambda self: now + 90_000)
    with Sandbox(POLICY, host=host) as sandbox:
        exceptions = sandbox.enforcement[Aspect.WRITES_OUTSIDE].exceptions
    assert any(r"C:\later" in exception for exception in exceptions)


@pytest.mark.parametrize("state", [r"F:\state", r"Z:\state"])
def test_a_state_directory_that_nothing_protects_is_refused_at_once(host: SimulatedHost, state: str) -> None:
    host.add_volume("F:", acls=False)
    host.add_share(r"\\server\share", letter="Z:")
    with pytest.raises(LedgerError, match="nothing protects it"):
        Sandbox(POLICY, host=host, state_dir=state).prepare()


# -- what is recorded


def test_the_audit_log_has_a_line_for_each_command_and_no_child_can_change_it(host: SimulatedHost) -> None:
    def tool(process: SimulatedProcess) -> int:
        place = process.env["TEMP"].rsplit("\\", 2)[0] + r"\audit.jsonl"
        codes = [
            attempt(lambda: process.append(place, b"x")),
            attempt(lambda: process.remove(place)),
            attempt(lambda: process.rename(place, place + "2")),
        ]
        return 0 if all(codes) else 1

    host.add_program(TOOL, tool)
    for _ in range(2):
        with Sandbox(POLICY, host=host, audit_log=True) as sandbox:
            assert sandbox.run([TOOL, "a b"]).returncode == 0
    state = host.files.known_folders().local_app_data + r"\winsandbox"
    lines = [json.loads(line) for line in host.read_file(state + r"\audit.jsonl").decode().splitlines()]
    assert [line["argv"] for line in lines] == [[TOOL, "a b"]] * 2
    first = lines[0]
    assert (first["returncode"], first["cwd"], first["policy"]) == (0, ROOT, POLICY.id)
    assert first["seconds"] >= 0
    assert first["enforcement"]["aspects"]["reads"]["level"] == "none"


def audit_lines(host: SimulatedHost) -> list[dict[str, Any]]:
    place = host.files.known_folders().local_app_data + r"\winsandbox\audit.jsonl"
    return [json.loads(line) for line in host.read_file(place).decode().splitlines()]


def events(caplog: pytest.LogCaptureFixture, name: str) -> list[dict[str, Any]]:
    return [vars(record)["facts"] for record in caplog.records if vars(record).get("event") == name]


@pytest.mark.parametrize("then", ["next command", "close"])
def test_a_process_that_is_forgotten_is_recorded_like_any_other(caplog: pytest.LogCaptureFixture, then: str) -> None:
    host = SimulatedHost()
    host.mkdir(ROOT)

    def tool(process: SimulatedProcess) -> None:
        process.mkdir(".git")
        process.stdout.write(b"made")
        process.sleep(10_000)

    host.add_program(TOOL, tool)
    host.add_program(r"C:\tools\other.exe", lambda process: 0)
    with caplog.at_level("INFO"), Sandbox(POLICY, host=host, audit_log=True) as sandbox:
        process = sandbox.spawn([TOOL], stdout=subprocess.PIPE)
        stdout = process.stdout
        assert stdout is not None
        assert stdout.read(4) == b"made"
        with pytest.warns(ResourceWarning, match="still running"):
            del process
        assert host.running() == []
        assert stdout.read() == b""
        stdout.close()
        if then == "next command":
            sandbox.run([r"C:\tools\other.exe"])
            assert [line["argv"] for line in audit_lines(host)] == [[TOOL], [r"C:\tools\other.exe"]]
    line = audit_lines(host)[0]
    assert (line["argv"], line["returncode"]) == ([TOOL], 1)
    assert line["violations"] == [rf"{ROOT}\.git was created"]
    assert [facts["argv"] for facts in events(caplog, "ended")].count([TOOL]) == 1
    assert [facts["path"] for facts in events(caplog, "violation")] == [rf"{ROOT}\.git"]


def test_a_process_that_is_collected_in_a_cycle_is_recorded_too(host: SimulatedHost) -> None:
    # The finalizers of its handles may run before its own: the job is closed then, and its processes are gone.
    host.add_program(TOOL, lambda process: process.sleep(10_000))
    with Sandbox(POLICY, host=host, audit_log=True) as sandbox:
        for _ in range(5):
            process = sandbox.spawn([TOOL], stdin=subprocess.DEVNULL)
            cycle: list[object] = [process]
            cycle.append(cycle)
            del process, cycle
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ResourceWarning)
                gc.collect()
            assert host.running() == []
    assert [line["argv"] for line in audit_lines(host)] == [[TOOL]] * 5


def test_a_command_that_was_not_started_is_recorded_with_its_error(
    host: SimulatedHost, caplog: pytest.LogCaptureFixture
) -> None:
    host.add_program(TOOL, lambda process: 0)
    with caplog.at_level("INFO"), Sandbox(POLICY, host=host, audit_log=True) as sandbox:
        with pytest.raises(CommandNotFound):
            sandbox.run(["no-such-command", "x"])
        with pytest.raises(CommandNotFound):
            asyncio.run(sandbox.spawn_async(["no-such-command"]))
        host.fail("start", 1, 740)
        with pytest.raises(SpawnError):
            sandbox.run([TOOL], cwd="src")
        with pytest.raises(PolicyError):
            sandbox.run([TOOL], env={"A": "\0"})
        assert sandbox.run([TOOL]).returncode == 0
        host.fail("write", 1, 112)  # the audit log, on a full disk: the command's own error is what is raised
        with pytest.raises(CommandNotFound):
            sandbox.run(["no-such-command"])
    lines = audit_lines(host)
    assert [line.get("code") for line in lines] == ["command.not-found"] * 2 + ["spawn", "policy", None]
    assert (lines[0]["argv"], lines[0]["cwd"], lines[0]["returncode"]) == (["no-such-command", "x"], ROOT, None)
    assert (lines[2]["winerror"], lines[2]["cwd"]) == (740, rf"{ROOT}\src")
    assert "no-such-command" in lines[0]["error"]
    failed = events(caplog, "spawn-failed")
    assert [facts["code"] for facts in failed] == ["command.not-found"] * 2 + ["spawn", "policy", "command.not-found"]
    assert len(events(caplog, "audit-log-failed")) == 1


def test_grants_and_refused_limits_are_logged(host: SimulatedHost, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        for event in ("grants-written", "grants-found"):
            with Sandbox(POLICY, host=host):
                pass
            assert [list(facts["roots"]) for facts in events(caplog, event)] == [[ROOT]]
    host.fail("create_job", 1, 87)
    host.fail("create_job", 3, 87)
    with caplog.at_level("INFO"), pytest.raises(EnforcementError):
        Sandbox(Policy.workspace(ROOT, limits=Limits(memory=1 << 30)), host=host).prepare()
    assert [facts["limit"] for facts in events(caplog, "limit-refused")] == ["memory"]


def test_events_are_logged_with_their_facts(host: SimulatedHost, caplog: pytest.LogCaptureFixture) -> None:
    host.add_program(TOOL, lambda process: 3)
    with caplog.at_level("INFO"), Sandbox(POLICY, host=host) as sandbox:
        sandbox.run([TOOL], env={"SECRET": "hidden"})
    facts = {vars(record)["event"]: vars(record)["facts"] for record in caplog.records if "event" in vars(record)}
    assert facts["prepared"]["roots"] == [ROOT]
    assert facts["ended"]["returncode"] == 3
    assert "hidden" not in caplog.text
    caplog.clear()
    with caplog.at_level("INFO"), pytest.raises(UnsupportedHost):
        Sandbox(POLICY, host=SimulatedHost.sandboxed()).prepare()
    (record,) = [record for record in caplog.records if "event" in vars(record)]
    assert (vars(record)["event"], record.levelname) == ("prepare-failed", "WARNING")


# -- ends that must not be lost


def test_close_ends_everything_although_a_step_fails(host: SimulatedHost) -> None:
    host.add_program(TOOL, lambda process: process.sleep(10_000))
    sandbox = Sandbox(POLICY, host=host, audit_log=True)
    running = [sandbox.spawn([TOOL]) for _ in range(3)]
    host.fail("write", 1, 112)  # the audit log, on a full disk
    host.fail("query", 1, 5)  # the look for violations
    with suppress(SandboxError, OSError):
        sandbox.close()
    assert host.running() == []
    assert all(process.poll() is not None for process in running)
    assert [handle for handle in host.open_handles() if not handle.startswith("<desktop")] == []


def test_a_process_that_is_forgotten_is_ended(host: SimulatedHost) -> None:
    host.add_program(TOOL, lambda process: process.sleep(10_000))
    with Sandbox(POLICY, host=host) as sandbox:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            sandbox.spawn([TOOL])
            gc.collect()
        assert any("still running" in str(warning.message) for warning in caught)
        assert host.running() == []


def test_a_violation_is_reported_to_the_command_that_did_it_although_others_run_meanwhile() -> None:
    host = SimulatedHost()
    host.mkdir(ROOT)

    def tool(process: SimulatedProcess) -> int:
        if process.argv[1:] == ("make",):
            process.mkdir(".git")
            process.sleep(100)
        return 0

    host.add_program(TOOL, tool)
    with Sandbox(POLICY, host=host) as sandbox, sandbox.spawn([TOOL, "make"]) as slow:
        while not host.exists(rf"{ROOT}\.git"):
            slow.poll()
        sandbox.run([TOOL, "other"], check=True)
        slow.wait()
        assert [str(violation) for violation in slow.violations] == [rf"{ROOT}\.git was created"]


def test_temp_can_be_written_at_low_integrity(host: SimulatedHost) -> None:
    place = host.files.known_folders().profile + r"\project"
    host.mkdir(place)
    seen = outcomes(
        host,
        Policy.workspace(place, integrity="low"),
        {"temp": lambda child: child.write(child.env["TEMP"] + r"\x", b"x")},
    )
    assert seen == {"temp": 0}


def test_a_desktop_that_cannot_be_made_is_an_error_or_a_report_entry(host: SimulatedHost) -> None:
    host.fail("create_desktop", 1, 8)
    with pytest.raises(EnforcementError, match="desktop='shared'"):
        Sandbox(POLICY, host=host).prepare()
    host.fail("create_desktop", 1, 8)
    with Sandbox(POLICY, host=host, require="best-effort") as sandbox:
        assert sandbox.enforcement[Aspect.USER_INTERFACE].level is Level.NONE
    host.fail("create_desktop", 1, 8)
    with Sandbox(Policy.workspace(ROOT, desktop="shared"), host=host):
        pass


@pytest.mark.parametrize(
    ("args", "cwd", "kind"),
    [
        ([], None, ValueError),
        ([""], None, ValueError),
        ([TOOL, "a\0b"], None, ValueError),
        ([TOOL, 5], None, TypeError),
        ([TOOL], "", ValueError),
        ([TOOL], r"\src", ValueError),
        ([TOOL], "C:src", ValueError),
        ([TOOL], b"src", TypeError),
    ],
)
def test_a_call_that_cannot_work_is_refused_before_anything_is_written(
    host: SimulatedHost, args: Any, cwd: Any, kind: type[Exception]
) -> None:
    host.add_program(TOOL, lambda process: 0)
    sandbox = Sandbox(POLICY, host=host)
    before = host.counts["descriptor-write"]
    with pytest.raises(kind):
        sandbox.run(args, cwd=cwd)
    assert host.counts["descriptor-write"] == before
    with sandbox:
        assert sandbox.run([TOOL]).returncode == 0


def test_a_relative_working_directory_lies_in_the_workspace(host: SimulatedHost) -> None:
    seen: list[str] = []
    host.add_program(TOOL, lambda process: seen.append(process.cwd))
    with Sandbox(POLICY, host=host) as sandbox:
        for cwd in ("src", r".\src\.", ROOT + r"\src"):
            sandbox.run([TOOL], cwd=cwd)
        with pytest.raises(SpawnError, match=r"working directory C:\\src\\project\\nope does not exist") as caught:
            sandbox.run([TOOL], cwd="nope")
        assert caught.value.winerror == 267
        assert caught.value.filename == ROOT + r"\nope"
        with pytest.raises(SpawnError, match="is no directory"):
            sandbox.run([TOOL], cwd=r".git\HEAD")
    assert set(seen) == {ROOT + r"\src", ROOT + r"\src\."} or seen == [ROOT + r"\src"] * 3
    with Sandbox(Policy.read_only(), host=host) as sandbox, pytest.raises(ValueError, match="cwd must be absolute"):
        sandbox.run([TOOL], cwd="src")


def test_a_root_that_is_missing_is_refused_in_words_the_second_time_too(host: SimulatedHost) -> None:
    for _ in range(2):
        with pytest.raises(RootRefused, match="does not exist"):
            Sandbox(Policy.workspace(r"C:\src\none"), host=host).prepare()
        with Sandbox(POLICY, host=host):
            pass


def test_a_failure_is_not_printed_beside_the_exception(host: SimulatedHost) -> None:
    # In an interpreter of its own: pytest listens to every logger.
    name = Sandbox.__module__.rpartition(".")[0]
    code = (
        f"from {name} import Policy, Sandbox\nfrom {name}.testing import SimulatedHost\n"
        "try:\n    Sandbox(Policy.workspace('C:\\\\none'), host=SimulatedHost()).prepare()\n"
        "except ValueError as error:\n    print(error)\n"
    )
    done = run_python(code, "-P", path=REPOSITORY)
    assert "does not exist" in done.stdout
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("desktop", ["private", "shared"])
@pytest.mark.parametrize("restricting", [("logon", "everyone"), ("everyone",)])
@pytest.mark.parametrize("session", [0, 1])
def test_a_child_is_on_a_desktop_of_the_station_that_its_sandbox_is_in(
    session: int, restricting: tuple[str, ...], desktop: Literal["private", "shared"]
) -> None:
    # A service's, a task's or an SSH session's station is not WinSta0, and a child that is sent there does not start.
    host = SimulatedHost(session=session)
    host.mkdir(ROOT)
    host.add_program(TOOL, lambda process: 7)
    policy = Policy.workspace(ROOT, desktop=desktop, restricting=restricting)
    with Sandbox(policy, host=host) as sandbox:
        assert sandbox.run([TOOL]).returncode == 7
        unseen = [note for note in sandbox.enforcement.notes if "window station without a display" in note]
        assert len(unseen) == (session == 0 and desktop == "private")


@pytest.mark.parametrize("require", ["full", "best-effort"])
def test_without_a_window_station_the_desktop_is_inherited_or_refused(
    host: SimulatedHost, require: Literal["full", "best-effort"]
) -> None:
    host.add_program(TOOL, lambda process: 7)
    host.fail("station", 1, 1459)
    with Sandbox(Policy.workspace(ROOT, desktop="shared"), host=host) as sandbox:
        assert sandbox.run([TOOL]).returncode == 7
    host.fail("station", 1, 1459)
    sandbox = Sandbox(POLICY, host=host, require=require)
    if require == "full":
        with pytest.raises(EnforcementError, match="no private desktop"):
            sandbox.prepare()
    else:
        with sandbox:
            assert sandbox.run([TOOL]).returncode == 7
            assert sandbox.enforcement[Aspect.USER_INTERFACE].level is Level.NONE


def test_limits_that_the_host_refuses_are_an_error_or_taken_back(host: SimulatedHost) -> None:
    policy = Policy.workspace(ROOT, limits=Limits(memory=1 << 30, processes=5), ui_limits=["clipboard-read"])
    nested = SimulatedHost(job_ui_limits=True)
    nested.mkdir(ROOT)
    with pytest.raises(EnforcementError, match="user interface"):
        Sandbox(policy, host=nested).prepare()
    with Sandbox(policy, host=nested, require="best-effort") as sandbox:
        verdict = sandbox.enforcement[Aspect.USER_INTERFACE]
        assert any("user interface cannot be set" in exception for exception in verdict.exceptions)
        assert sandbox.enforcement[Aspect.LIMITS].level is Level.ENFORCED
    host.fail("create_job", 1, 87)  # all of them together, then ...
    host.fail("create_job", 3, 87)  # ... the first one by itself
    with Sandbox(policy, host=host, require="best-effort") as sandbox:
        verdict = sandbox.enforcement[Aspect.LIMITS]
        assert verdict.level is Level.PARTIAL
        assert "memory" in verdict.exceptions[0]
    with Sandbox(policy, host=host) as sandbox:
        assert sandbox.enforcement[Aspect.LIMITS].level is Level.ENFORCED
