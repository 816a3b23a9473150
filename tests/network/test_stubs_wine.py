"""The stubs as Windows' cmd and CreateProcess run them (on Windows, or in Windows' Python under Wine).

``ssh.exe`` in these tests is a copy of cmd.exe that lies behind the stubs in PATH: it exits as it is told, so that a
test sees which of the two ran.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.capabilities import needs
from winsandbox.network import NetworkShim

pytestmark = pytest.mark.skipif(sys.platform != "win32", reason="stubs for cmd need Windows, or Wine")

SHIM = NetworkShim(stubs=("ssh", "scp"))


@pytest.fixture
def places(tmp_path: Path) -> tuple[Path, Path]:
    denybin, real = tmp_path / "denybin", tmp_path / "real"
    denybin.mkdir()
    real.mkdir()
    for name, content in SHIM.stub_files().items():
        (denybin / name).write_bytes(content)
    for name in ("ssh.exe", "other.exe"):
        shutil.copyfile(os.environ["COMSPEC"], real / name)
    return denybin, real


@pytest.fixture
def environment(places: tuple[Path, Path]) -> dict[str, str]:
    denybin, real = places
    base = {name: value for name, value in os.environ.items() if name.upper() not in {"PATH", "PATHEXT"}}
    system = str(Path(os.environ["COMSPEC"]).parent)
    return SHIM.environment(base | {"Path": f"{real};{system}", "PATHEXT": ".COM;.EXE;.BAT;.CMD"}, denybin=str(denybin))


def cmd(line: str, environment: dict[str, str], cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        f'"{os.environ["COMSPEC"]}" /d /c {line}',
        env=environment, cwd=cwd, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL, check=False,
    )  # fmt: skip


def assert_refused(done: subprocess.CompletedProcess[str], name: str = "ssh") -> None:
    assert done.returncode == 1
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert f"winsandbox: {name} is a stub" in done.stderr
    assert f'leave "{name}" out of NetworkShim stubs' in done.stderr


@pytest.mark.parametrize("name", ["ssh", "scp", "ssh.cmd", "ssh.bat", "SSH"])
def test_the_stub_is_found_in_path_and_fails(name: str, environment: dict[str, str], tmp_path: Path) -> None:
    assert_refused(cmd(f"{name} user@host", environment, tmp_path), name.lower().split(".")[0])


def test_twin_another_program_and_the_real_one_without_the_shim_run(
    environment: dict[str, str], places: tuple[Path, Path], tmp_path: Path
) -> None:
    assert cmd("other /d /c exit 7", environment, tmp_path).returncode == 7
    unshimmed = environment | {"PATH": str(places[1]), "PATHEXT": ".COM;.EXE;.BAT;.CMD"}
    assert cmd("ssh /d /c exit 7", unshimmed, tmp_path).returncode == 7


def test_a_batch_file_sees_the_failure_and_keeps_its_echo(environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "a.bat").write_bytes(b"@call ssh host\r\n@echo code=%errorlevel%\r\n@exit /b 5\r\n")
    done = cmd("a.bat", environment, tmp_path)
    assert "code=1" in done.stdout

    (tmp_path / "b.bat").write_bytes(b"call ssh host\r\nrem still-echoed\r\n")
    assert "still-echoed" in cmd("b.bat", environment, tmp_path).stdout


def test_a_batch_file_that_hands_over_to_the_stub_ends_with_its_code(
    environment: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "a.bat").write_bytes(b"@echo before\r\n@ssh host\r\n@exit /b 5\r\n")
    done = cmd("a.bat", environment, tmp_path)
    assert done.stdout.split() == ["before"]
    assert done.returncode == 1


def test_create_process_runs_the_stub_that_the_childs_path_gives(
    environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATHEXT", environment["PATHEXT"])
    command = shutil.which("ssh", path=environment["PATH"])
    assert command is not None
    assert Path(command).name.lower() == "ssh.cmd"
    done = subprocess.run(
        [command, "user@host"],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    assert_refused(done)


@needs("real windows")  # Wine 8's cmd runs both branches after any batch file
def test_a_stub_ends_a_chain(environment: dict[str, str], tmp_path: Path) -> None:
    assert "after" not in cmd("ssh host && echo after", environment, tmp_path).stdout
    assert "otherwise" in cmd("ssh host || echo otherwise", environment, tmp_path).stdout


def test_bypass_create_process_without_extension_looks_for_an_exe_only(
    environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", environment["PATH"])  # CreateProcess searches the PATH of the caller
    done = subprocess.run("ssh /d /c exit 7", env=environment, cwd=tmp_path, timeout=60, check=False)
    assert done.returncode == 7


def test_bypass_an_explicit_extension_in_cmd(environment: dict[str, str], tmp_path: Path) -> None:
    assert_refused(cmd("ssh user@host", environment, tmp_path))
    assert cmd("ssh.exe /d /c exit 7", environment, tmp_path).returncode == 7
