"""What a sandbox says of itself: before it is prepared, while it lives, and what its own command then comes to."""

from __future__ import annotations

import pytest

from winsandbox import Policy, PolicyError, Sandbox, UnsupportedHost, explain
from winsandbox.testing import SimulatedHost, SimulatedProcess

ROOT = r"C:\src\project"
TOOL = r"C:\tools\tool.exe"
POLICY = Policy.workspace(ROOT)


@pytest.fixture
def host() -> SimulatedHost:
    host = SimulatedHost()
    for path in (rf"{ROOT}\src", rf"{ROOT}\.agents", r"C:\outside"):
        host.mkdir(path)
    host.write_file(rf"{ROOT}\src\a.txt", b"x")
    host.write_file(r"C:\Users\alice\notes.txt", b"x")
    return host


def codes(host: SimulatedHost, sandbox: Sandbox, **calls: str) -> dict[str, int]:
    """Name -> 0 or the winerror of `method path`, done by a command of the sandbox."""
    seen: dict[str, int] = {}

    def tool(process: SimulatedProcess) -> None:
        for name, call in calls.items():
            method, path = call.split(" ", 1)
            path = path.replace("%TEMP%", process.env["TEMP"])
            try:
                getattr(process, method)(path)
                seen[name] = 0
            except OSError as error:
                seen[name] = getattr(error, "winerror", -1)

    host.add_program(TOOL, tool)
    sandbox.run([TOOL], check=True)
    return seen


def test_a_live_sandbox_knows_its_own_temp(host: SimulatedHost) -> None:
    with Sandbox(POLICY, host=host) as sandbox:
        temp: list[str] = []
        host.add_program(TOOL, lambda process: temp.append(process.env["TEMP"]))
        sandbox.run([TOOL], check=True)
        for path in (temp[0] + r"\x", r"%TEMP%\x", r"%tmp%/x"):
            decision = sandbox.explain(path)
            assert (decision.allowed, decision.rule, decision.target) == (True, "temp", temp[0] + r"\x"), decision
        assert temp[0] in decision.instead[-1]
        assert sandbox.explain("%TEMP%", "delete").rule == "pinned"
        assert sandbox.explain(r"%TEMP%\..\x").allowed is False
        wanted = {"write": 0, "above": 5}
        assert codes(host, sandbox, write=r"write %TEMP%\x", above=r"write %TEMP%\..\x") == wanted
        assert sandbox.explain(r"%TEMP%\x", "delete").allowed
        with Sandbox(POLICY, host=host) as other:
            assert other.explain(temp[0] + r"\x").allowed is False, "another sandbox's TEMP is none of its own"


def test_before_it_lives_temp_is_what_it_will_be(host: SimulatedHost) -> None:
    for access, allowed, rule in (("write", True, "temp"), ("create", True, "temp"), ("read", False, "missing")):
        decision = explain(POLICY, r"%TEMP%\x", access, host=host)
        assert (decision.allowed, decision.rule, decision.path) == (allowed, rule, r"%TEMP%\x")
    for access, allowed, rule in (("read", True, "temp"), ("write", False, "directory"), ("delete", False, "pinned")):
        decision = explain(POLICY, "%TMP%", access, host=host)
        assert (decision.allowed, decision.rule) == (allowed, rule)
    assert not host.exists(ROOT + r"\%TEMP%")
    with pytest.raises(ValueError, match="variable of the child's"):
        explain(POLICY, r"%USERPROFILE%\x", host=host)
    assert explain(POLICY, r".\%USERPROFILE%\x", host=host).target == ROOT + r"\%USERPROFILE%\x"


def test_it_speaks_of_its_own_state_directory_and_token(host: SimulatedHost) -> None:
    host.mkdir(r"C:\Users\alice\states")
    state = r"C:\Users\alice\states\one"
    with Sandbox(POLICY, host=host, state_dir=state) as sandbox:
        sid = str(sandbox.plan().grants[0].sid)
        assert sid in sandbox.explain(r"src\new").reason
        assert sandbox.explain(r"src\new").reason == sandbox.explain(r"src\new").reason
        assert sandbox.explain(state + r"\x").allowed is False
    assert sid in Sandbox(POLICY, host=host, state_dir=state).explain(r"src\new").reason


def test_it_tells_what_is_on_disk_and_not_what_was_planned(host: SimulatedHost) -> None:
    with Sandbox(POLICY, host=host) as sandbox:
        host.write_file(r"C:\Users\alice\moved.txt", b"x")
        host.rename(r"C:\Users\alice\moved.txt", rf"{ROOT}\moved.txt")
        decision = sandbox.explain("moved.txt")
        assert (decision.allowed, decision.rule) == (False, "root")
        for name in (r".codex\x", r".agents\x"):
            assert sandbox.explain(name).rule == "protected"
            assert sandbox.explain(name).allowed is False
        assert sandbox.explain(".codex", "delete").rule == "pinned"
        assert sandbox.explain(r".git\config").rule == "watched"
        seen = codes(
            host, sandbox, moved="write moved.txt", codex=r"write .codex\x", away="rmdir .codex", git="mkdir .git"
        )
        assert seen == {"moved": 5, "codex": 5, "away": 5, "git": 0}
        # It is denied before the next command, and so it is explained from then on.
        codes(host, sandbox, nothing="listdir src")
        decision = sandbox.explain(r".git\config")
        assert (decision.allowed, decision.rule) == (False, "protected")
        gone = sandbox.explain(".git", "delete").allowed
        seen = codes(host, sandbox, write=r"write .git\config", away="rmdir .git")
        assert (seen["write"], seen["away"] == 0) == (5, gone)


def test_a_closed_sandbox_answers_as_before_it_lived(host: SimulatedHost) -> None:
    with Sandbox(POLICY, host=host, keep="session") as sandbox:
        pass
    assert sandbox.explain(r"src\new").allowed
    assert sandbox.explain(r"%TEMP%\x").target == r"%TEMP%\x"


def test_what_the_user_may_not_look_at_gets_an_answer_too(host: SimulatedHost) -> None:
    host.mkdir(r"C:\Users\alice\closed", "O:SYG:SYD:P(A;;FA;;;SY)", as_system=True)
    host.mkdir(r"C:\Users\alice\readable", "O:SYG:SYD:P(A;;0x100089;;;U)", as_system=True)
    for path, access, allowed in (
        (r"C:\Windows\Temp\x", "write", False),
        (r"C:\Windows\Temp", "read", False),
        (r"C:\Users\alice\closed", "read", False),
        (r"C:\Users\alice\closed\x", "write", False),
        (r"C:\Users\alice\readable", "read", True),
    ):
        decision = explain(POLICY, path, access, host=host)
        assert decision.allowed is allowed, decision
        assert "cannot be read" in decision.reason
        assert decision.rule == ("outside" if allowed else "unreadable")
    # Deleting it takes nothing of its own list.
    decision = explain(POLICY, r"C:\Users\alice\closed", "delete", host=host)
    assert (decision.allowed, decision.rule) == (True, "delete-child")
    with Sandbox(POLICY, host=host) as sandbox:
        calls = {"temp": r"write C:\Windows\Temp\x", "away": r"rmdir C:\Users\alice\closed"}
        assert codes(host, sandbox, **calls) == {"temp": 5, "away": 0}


@pytest.mark.parametrize("access", ["read", "write", "create", "delete", "execute"])
def test_a_share_is_as_open_as_to_the_user(host: SimulatedHost, access: str) -> None:
    decision = explain(POLICY, r"\\server\share\x", access, host=host)
    assert (decision.allowed, decision.rule) == (True, "share")
    assert "was not asked" in decision.reason


def test_a_share_of_the_model_is_asked(host: SimulatedHost) -> None:
    host.add_share(r"\\server\share", letter="S:", sddl="O:SYG:SYD:P(A;OICI;FA;;;SY)(A;OICI;0x1200a9;;;U)")
    host.add_share(r"\\server\open")
    for path, allowed in (
        (r"\\server\share\x", False),
        (r"\\?\UNC\server\open\x", True),
        (r"S:\x", False),
        ("//server/open/x", True),
    ):
        decision = explain(POLICY, path, host=host)
        assert (decision.allowed, decision.rule) == (allowed, "share"), decision


def test_a_real_share_is_never_connected_to(host: SimulatedHost, monkeypatch: pytest.MonkeyPatch) -> None:
    real = host.capabilities().__class__("windows", "Windows", 26100, "AMD64", None, None)
    monkeypatch.setattr(host, "capabilities", lambda: real)
    before = host.counts["open"], host.counts["query"]
    assert explain(POLICY, "src", "read", host=host).allowed
    between = host.counts["open"] - before[0]
    assert explain(POLICY, r"\\evil\share\x", host=host).rule == "share"
    assert host.counts["open"] - before[0] - between < between, "a plan's opens and no more"


def test_devices_are_answered_for(host: SimulatedHost) -> None:
    for path in ("NUL", r"src\nul", r"\\.\NUL", "nul:"):
        assert explain(POLICY, path, host=host).allowed, "Everyone may write there"
    strict = Policy.workspace(ROOT, restricting=("logon",))
    assert not explain(strict, "NUL", host=host).allowed
    assert explain(strict, "NUL", "read", host=host).allowed
    with Sandbox(strict, host=host) as sandbox:
        assert codes(host, sandbox, write="write NUL", read="read NUL") == {"write": 5, "read": 0}
    for path in (r"\\.\PhysicalDrive0", r"\\.\C:"):
        assert not explain(POLICY, path, host=host).allowed
    for path in (r"\\.\pipe\docker_engine", "COM1", "CON"):
        decision = explain(POLICY, path, host=host)
        assert decision.allowed, "what is not known is not called closed"
        assert "not known" in decision.reason
    for access in ("delete", "execute"):
        assert explain(POLICY, "NUL", access, host=host).rule == "device"


def test_a_stream_is_as_its_file(host: SimulatedHost) -> None:
    decision = explain(POLICY, r"src\a.txt:s", host=host)
    assert (decision.allowed, decision.target) == (True, ROOT + r"\src\a.txt:s")
    assert explain(POLICY, r"src\a.txt::$DATA", host=host).target == ROOT + r"\src\a.txt"
    assert explain(POLICY, r"src\a.txt:s", "read", host=host).rule == "missing"
    assert not explain(POLICY, r"C:\Users\alice\notes.txt:s", host=host).allowed
    host.add_volume("E:", acls=False)
    assert explain(POLICY, r"E:\x", host=host).allowed
    assert explain(POLICY, r"E:\x:s", host=host).rule == "no-streams"


@pytest.mark.parametrize("path", ["", "a\0b", "C:\\a|b", "/home/me", r"\\server", "a:b:c:d", r"D:x"])
def test_what_is_no_path_is_a_value_error(host: SimulatedHost, path: str) -> None:
    with pytest.raises(ValueError):
        explain(POLICY, path, host=host)


def test_a_low_caller_is_told_so() -> None:
    host = SimulatedHost.low()
    host.mkdir(ROOT)
    for call in (lambda: explain(POLICY, "x", host=host), Sandbox(POLICY, host=host).prepare):
        with pytest.raises(UnsupportedHost, match=r"caller.* runs at Low integrity"):
            call()


def test_the_line_that_a_refused_root_names_suffices(host: SimulatedHost) -> None:
    """icacls, as the remedy writes it, by hand: the entry on everything that is there already."""
    policy = Policy.workspace(ROOT, integrity="low")
    with pytest.raises(PolicyError) as caught:
        Sandbox(policy, host=host).plan()
    user = str(host.token.model.user)
    assert f'icacls "{ROOT}" /grant "*{user}:(OI)(CI)(RC,WDAC,WO)" /T' in str(caught.value)
    for name, sddl in host.tree(ROOT, descriptors=True).items():
        path = rf"{ROOT}\{name}".rstrip("\\")
        kind = host.files.query(path)
        flags = "OICI" if kind is not None and kind.directory else ""
        at = sddl.index("(")
        host.set_sddl(path, f"{sddl[:at]}(A;{flags};RCWDWO;;;{user}){sddl[at:]}")
    with Sandbox(policy, host=host) as sandbox:
        assert codes(host, sandbox, write=r"write src\a.txt", outside=r"write C:\outside\x") == {
            "write": 0,
            "outside": 5,
        }
