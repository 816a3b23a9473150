"""Real programs give up quickly under the shim and do not reach the network; without it the same command does.

The network is a sink on 127.0.0.2, which no_proxy does not name. Only loopback is ever contacted: what is not the sink
is the dead port of the shim. The variables have the same meaning on every OS, so this runs where the tools are.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.network.sinks import Sink, find, run, search_path, version
from tests.network.tools import ALONE, CASES, FETCH, HTTP, Case
from winsandbox.network import NetworkShim, shim_active

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="starts POSIX programs, in sessions of their own")

FOUND: dict[str, set[str]] = {}
"""Row -> programs with versions that this run has seen to work; conftest.py prints it and can write it down."""
MISSING: dict[str, set[str]] = {}
"""Row -> programs that are not installed here, so that this run says nothing about them."""


@pytest.fixture(autouse=True, scope="module")
def dead_port() -> None:
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", 9)) == 0:
            pytest.skip("something listens on port 9 of this machine, so the shim's default proxy is not dead")


@pytest.fixture
def sink() -> Iterator[Sink]:
    with Sink() as server:
        yield server


def plain(directory: Path) -> dict[str, str]:
    """An environment that knows neither this machine's settings nor its caches, nor any real server."""
    home = directory / "home"
    home.mkdir(exist_ok=True)
    kept = {name: os.environ[name] for name in ("LANG", "JAVA_HOME") if name in os.environ}
    return kept | {
        "PATH": search_path(),
        "HOME": str(home),
        "TMPDIR": str(directory),
        "GIT_CONFIG_NOSYSTEM": "1",
        "PIP_CONFIG_FILE": os.devnull,
        "npm_config_globalconfig": str(home / "npmrc"),
        "RUSTUP_HOME": os.environ.get("RUSTUP_HOME") or str(Path.home() / ".rustup"),
        "CARGO_HOME": str(home / "cargo"),
        "GOENV": "off",
        "GOFLAGS": "-mod=mod",
        "GOPATH": str(home / "go"),
        "GOTOOLCHAIN": "local",
        "UV_NO_CONFIG": "1",
        "UV_PYTHON": sys.executable,
        "CI": "1",
    }


def stubs(directory: Path, shim: NetworkShim) -> str:
    denybin = directory / "denybin"
    denybin.mkdir()
    for name, content in shim.stub_files().items():
        (denybin / name).write_bytes(content)
        (denybin / name).chmod(0o755)
    return str(denybin)


def prepared(case: Case, sink: Sink, tmp_path: Path) -> tuple[list[str], dict[str, str], Path]:
    program = find(case.program)
    if program is None:
        MISSING.setdefault(case.row, set()).add(case.program)
        pytest.skip(f"{case.program} is not installed")
    if case.module and importlib.util.find_spec(case.module) is None:
        MISSING.setdefault(case.row, set()).add(f"the module {case.module}")
        pytest.skip(f"this Python has no {case.module}")
    work = tmp_path / "work"
    work.mkdir()
    words = {"url": f"http://{sink.address}/", "address": sink.address, "port": str(sink.port), "dir": str(work)}
    for name, text in case.files.items():
        (work / name).parent.mkdir(parents=True, exist_ok=True)
        (work / name).write_text(text.format_map(words))
    environment = plain(tmp_path) | {name: value.format_map(words) for name, value in case.environment.items()}
    if case.user_proxy:
        environment |= {"HTTP_PROXY": words["url"], "http_proxy": words["url"], "HTTPS_PROXY": words["url"]}
    return [word.format_map(words) for word in case.argv], environment, work


def resolved(argv: list[str], environment: dict[str, str]) -> list[str]:
    """The command with the program that the child's own PATH gives, as the sandbox resolves it."""
    return [shutil.which(argv[0], path=environment["PATH"]) or argv[0], *argv[1:]]


@pytest.mark.parametrize(
    "case", [pytest.param(case, id=case.id, marks=[pytest.mark.slow] if case.slow else []) for case in CASES]
)
def test_the_tool_reaches_the_network_without_the_shim_only(case: Case, sink: Sink, tmp_path: Path) -> None:
    argv, environment, work = prepared(case, sink, tmp_path)

    twin = run(resolved(argv, environment), environment, work, 90 if case.slow else 30, sink)
    assert sink.reached(), f"the command does not go to the network, so it proves nothing:\n{twin.output}"

    shim = NetworkShim()
    shimmed = shim.environment(environment, denybin=stubs(tmp_path, shim))
    assert shim_active(shimmed)
    ended = run(resolved(argv, shimmed), shimmed, work, 3 * case.limit)

    assert sink.reached() == [], f"it got through:\n{ended.output}"
    assert ended.returncode not in {0, None}, ended.output
    assert ended.seconds < case.limit, f"it took {ended.seconds:.1f} s to give up\n{ended.output}"
    note(case)


BY_ID = {case.id: case for case in CASES}


@pytest.mark.parametrize(
    ("case", "names"),
    [
        pytest.param(case, names, id=f"{case.id}-{names[0]}", marks=[pytest.mark.slow] if case.slow else [])
        for case, names in ((BY_ID[id_], names) for id_, names in ALONE)
    ],
)
def test_the_variable_is_enough_by_itself(case: Case, names: tuple[str, ...], sink: Sink, tmp_path: Path) -> None:
    argv, environment, work = prepared(case, sink, tmp_path)
    twin = run(resolved(argv, environment), environment, work, 90 if case.slow else 30, sink)
    assert sink.reached(), f"the command does not go to the network, so it proves nothing:\n{twin.output}"

    shimmed = NetworkShim().environment(environment)
    ended = run(resolved(argv, environment), environment | {n: shimmed[n] for n in names}, work, 3 * case.limit)
    assert sink.reached() == [], f"it got through:\n{ended.output}"
    assert ended.returncode not in {0, None}, ended.output
    assert ended.seconds < case.limit, f"it took {ended.seconds:.1f} s to give up\n{ended.output}"


def note(case: Case) -> None:
    if case.module and case.module != "pip":
        program, number = case.module, importlib.metadata.version(case.module)
    else:
        program = case.version[0] if case.version else case.program
        number = version([find(program) or program, *(case.version[1:] or ("--version",))])
        # "pnpm-10", "python3": what follows the name is no part of it
        program = "pip" if case.module else re.sub(r"(-?[\d.]+)$", "", Path(program).name)
    key = f"{program} {number}" + (f" ({case.only})" if case.only else "")
    FOUND.setdefault(case.row, set()).add(key)


@pytest.mark.parametrize(
    "program",
    ["node", *(pytest.param(f"node-{major}", marks=pytest.mark.slow) for major in ("20", "22", "24.0", "24", "26"))],
)
@pytest.mark.parametrize("code", [FETCH, HTTP], ids=["fetch", "http"])
def test_node_uses_the_dead_proxy_from_22_21_and_24_on_as_the_table_says_and_reaches_the_network_before(
    program: str, code: str, sink: Sink, tmp_path: Path
) -> None:
    path = find(program)
    if path is None:
        MISSING.setdefault("node", set()).add(program)
        pytest.skip(f"{program} is not installed")
    number = version([path, "--version"])
    major, minor = map(int, number.split(".")[:2])
    case = Case("node", (program, "-e", code))
    argv, environment, work = prepared(case, sink, tmp_path)
    run(argv, environment, work, 20, sink)
    assert sink.reached()

    ended = run(argv, NetworkShim().environment(environment), work, 20)
    # fetch from 22.21 and 24.0 on, http and https from 22.21 and 24.5 on
    if (major, minor) >= ((24, 0) if code is FETCH else (24, 5)) or (major == 22 and minor >= 21):
        assert sink.reached() == [], ended.output
        assert ended.returncode == 1, ended.output
        assert ended.seconds < 5
        only = " (fetch only)" if (major, minor) < (24, 5) and major != 22 else ""
        FOUND.setdefault("node", set()).add(f"node {number}{only}")
    else:
        assert sink.reached(), "this Node honours the proxy: the table should say so"
        assert ended.returncode == 0


def test_git_goes_on_working_with_local_repositories(sink: Sink, tmp_path: Path) -> None:
    if find("git") is None:
        pytest.skip("git is not installed")
    environment = NetworkShim().environment(
        plain(tmp_path)
        | {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "init.defaultBranch", "GIT_CONFIG_VALUE_0": "trunk"}
    )
    for argv in (
        ["git", "init", "-q", "a"],
        ["git", "clone", "-q", "a", "b"],
        ["git", "clone", "-q", "file://" + str(tmp_path / "a"), "c"],
    ):
        ended = run(argv, environment, tmp_path, 20)
        assert ended.returncode == 0, ended.output
    ended = run(["git", "-C", "a", "symbolic-ref", "HEAD"], environment, tmp_path, 20)
    assert ended.output.strip() == "refs/heads/trunk", "the user's own GIT_CONFIG_* entry was lost"
    ended = run(["git", "config", "--get-all", "http.proxy"], environment, tmp_path, 20)
    assert ended.output.strip() == "http://127.0.0.1:9"


@pytest.mark.parametrize(
    "count",
    ["", "0", "-0", "1", "+1", "0000000001", " 1", "\t1", "1 ", "1\n", " ", "+", "-1", "0x1", "2147483648", "x"],
)
def test_git_refuses_a_count_with_the_shim_exactly_where_it_does_without(count: str, tmp_path: Path) -> None:
    if find("git") is None:
        pytest.skip("git is not installed")
    user = {"GIT_CONFIG_COUNT": count, "GIT_CONFIG_KEY_0": "a.b", "GIT_CONFIG_VALUE_0": "c"}
    argv = ["git", "config", "--list"]
    before = run(argv, plain(tmp_path) | user, tmp_path, 20)
    after = run(argv, NetworkShim().environment(plain(tmp_path) | user), tmp_path, 20)
    assert (before.returncode == 0) == (after.returncode == 0), after.output
    assert ("http.proxy=http://127.0.0.1:9" in after.output.splitlines()) == (after.returncode == 0)
    assert ("a.b=c" in before.output) == ("a.b=c" in after.output)


@pytest.mark.parametrize("form", ["'http.proxy=http://{}' 'a.b=c'", "'http.proxy'='http://{}' 'a.b'='c'"])
def test_a_proxy_given_with_git_minus_c_loses_and_the_rest_stays(form: str, sink: Sink, tmp_path: Path) -> None:
    if find("git") is None:
        pytest.skip("git is not installed")
    user = plain(tmp_path) | {"GIT_CONFIG_PARAMETERS": form.format(sink.address)}
    # Without GIT_ALLOW_PROTOCOL, which would stop it by itself.
    shim = NetworkShim(keep=("GIT_ALLOW_PROTOCOL",))
    argv = ["git", "ls-remote", "http://elsewhere.invalid/r.git"]
    run(argv, user, tmp_path, 20, sink)
    assert sink.reached()
    ended = run(argv, shim.environment(user), tmp_path, 20)
    assert sink.reached() == []
    assert ended.returncode not in {0, None}
    assert run(["git", "config", "a.b"], shim.environment(user), tmp_path, 20).output.strip() == "c"


def test_loopback_does_not_except_what_is_switched_off(tmp_path: Path) -> None:
    if find("git") is None:
        pytest.skip("git is not installed")
    with Sink("127.0.0.1") as server:
        argv = ["git", "ls-remote", f"http://{server.address}/r.git"]
        assert run(argv, NetworkShim().environment(plain(tmp_path)), tmp_path, 20).returncode not in {0, None}
        assert server.reached() == []
        run(argv, NetworkShim(keep=("GIT_ALLOW_PROTOCOL",)).environment(plain(tmp_path)), tmp_path, 20)
        assert server.reached()


@pytest.mark.parametrize("name", ["ssh", "scp", "sftp"])
def test_a_stub_says_on_one_line_of_stderr_why_and_how_to_allow_it(name: str, tmp_path: Path) -> None:
    shim = NetworkShim()
    environment = shim.environment(plain(tmp_path), denybin=stubs(tmp_path, shim))
    done = subprocess.run(["sh", "-c", f"{name} host"], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert name in done.stderr
    assert "NetworkShim" in done.stderr


def test_loopback_stays_reachable_when_it_is_allowed(tmp_path: Path) -> None:
    if find("curl") is None:
        pytest.skip("curl is not installed")
    with Sink("127.0.0.1") as server:
        argv = ["curl", "-sS", "-o", os.devnull, f"http://127.0.0.1:{server.port}/"]
        run(argv, NetworkShim().environment(plain(tmp_path)), tmp_path, 10)
        assert server.reached()
        ended = run(argv, NetworkShim(allow_loopback=False).environment(plain(tmp_path)), tmp_path, 10)
        assert server.reached() == []
        assert ended.returncode == 7, ended.output
