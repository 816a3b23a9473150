"""What gets around the shim, shown: it is advisory. Each of these reaches the sink although the shim is active."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.network.sinks import Sink, find, run
from tests.network.test_real_tools import plain, stubs
from tests.network.tools import PYTHON
from winsandbox.network import NetworkShim, shim_active

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="starts POSIX programs, in sessions of their own")


@pytest.fixture
def sink() -> Iterator[Sink]:
    with Sink() as server:
        yield server


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    shim = NetworkShim()
    shimmed = shim.environment(plain(tmp_path), denybin=stubs(tmp_path, shim))
    assert shim_active(shimmed)
    return shimmed


def test_bypass_a_raw_socket(sink: Sink, environment: dict[str, str], tmp_path: Path) -> None:
    code = f"import socket; socket.create_connection(('127.0.0.2', {sink.port})).sendall(b'hello')"
    assert run([PYTHON, "-c", code], environment, tmp_path, 20).returncode == 0
    assert sink.reached() == [b"hello"]


def test_bypass_unsetting_the_variables(sink: Sink, environment: dict[str, str], tmp_path: Path) -> None:
    if find("curl") is None:
        pytest.skip("curl is not installed")
    unset = [word for name in ("http_proxy", "all_proxy") for word in ("-u", name)]
    ended = run(["env", *unset, "curl", "-sS", f"http://{sink.address}/"], environment, tmp_path, 20)
    assert ended.returncode == 0, ended.output
    assert sink.reached()


def test_bypass_a_variable_of_git_for_one_command(sink: Sink, environment: dict[str, str], tmp_path: Path) -> None:
    if find("git") is None:
        pytest.skip("git is not installed")
    unset = ["env", "-u", "GIT_CONFIG_COUNT", "-u", "http_proxy", "-u", "all_proxy", "GIT_ALLOW_PROTOCOL=http"]
    run([*unset, "git", "ls-remote", f"http://{sink.address}/r.git"], environment, tmp_path, 20)
    assert sink.reached()


def test_bypass_an_absolute_path_to_ssh(sink: Sink, environment: dict[str, str], tmp_path: Path) -> None:
    path = find("ssh")
    if path is None:
        pytest.skip("ssh is not installed")
    arguments = ["-o", "BatchMode=yes", "-p", str(sink.port), "u@127.0.0.2"]
    stub = shutil.which("ssh", path=environment["PATH"])
    assert stub is not None
    assert run([stub, *arguments], environment, tmp_path, 20).returncode == 1
    assert sink.reached() == []
    run([path, *arguments], environment, tmp_path, 20)
    assert sink.reached()[0].startswith(b"SSH-")


def test_bypass_aiohttp_without_trust_env(sink: Sink, environment: dict[str, str], tmp_path: Path) -> None:
    if importlib.util.find_spec("aiohttp") is None:
        pytest.skip("this Python has no aiohttp")
    code = (
        "import aiohttp, asyncio\nasync def main():\n    async with aiohttp.ClientSession() as session:\n"
        f"        await session.get('http://{sink.address}/')\nasyncio.run(main())"
    )
    assert run([PYTHON, "-c", code], environment, tmp_path, 20).returncode == 0
    assert sink.reached()


def test_bypass_http_client_which_knows_no_proxies(sink: Sink, environment: dict[str, str], tmp_path: Path) -> None:
    code = (
        f"import http.client; c = http.client.HTTPConnection('{sink.address}'); c.request('GET', '/'); c.getresponse()"
    )
    assert run([PYTHON, "-c", code], environment, tmp_path, 20).returncode == 0
    assert sink.reached()


def test_bypass_an_option_of_the_tool(sink: Sink, environment: dict[str, str], tmp_path: Path) -> None:
    if find("curl") is None:
        pytest.skip("curl is not installed")
    assert run(["curl", "--noproxy", "*", f"http://{sink.address}/"], environment, tmp_path, 20).returncode == 0
    assert sink.reached()
