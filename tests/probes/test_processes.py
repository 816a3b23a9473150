"""P9 to P14: the host's process and token, registry links, shares, nested jobs, and the console, seen from a child."""

from __future__ import annotations

import ntpath
import subprocess
import sys

import pytest

from tests.capabilities import needs
from tests.probes.conftest import Probe
from winsandbox import Policy, Sandbox
from winsandbox._cases import CASES
from winsandbox._trial import run_case

# What a child tries. Each prints one word or number; the host's process id comes as the argument.
IMPERSONATE = """
import ctypes, sys
k, a = ctypes.WinDLL("kernel32", use_last_error=True), ctypes.WinDLL("advapi32", use_last_error=True)
P = ctypes.c_void_p
k.OpenProcess.restype = k.GetCurrentThread.restype = P
a.OpenProcessToken.argtypes = [P, ctypes.c_uint32, P]
a.DuplicateTokenEx.argtypes = [P, ctypes.c_uint32, P, ctypes.c_int, ctypes.c_int, P]
a.SetThreadToken.argtypes = [P, P]
a.OpenThreadToken.argtypes = [P, ctypes.c_uint32, ctypes.c_int, P]
a.GetTokenInformation.argtypes = [P, ctypes.c_int, P, ctypes.c_uint32, P]
process = k.OpenProcess(0x1000, False, int(sys.argv[1]))
primary, token, mine, level, size = P(), P(), P(), ctypes.c_uint32(), ctypes.c_uint32()
def stop(step):
    print(step, ctypes.get_last_error())
    sys.exit(0)
process or stop("OpenProcess")
a.OpenProcessToken(process, 0x2 | 0x8, ctypes.byref(primary)) or stop("OpenProcessToken")
a.DuplicateTokenEx(primary, 0x4 | 0x8, None, 2, 2, ctypes.byref(token)) or stop("DuplicateTokenEx")
a.SetThreadToken(None, token) or stop("SetThreadToken")
a.OpenThreadToken(k.GetCurrentThread(), 0x8, True, ctypes.byref(mine)) or stop("OpenThreadToken")
a.GetTokenInformation(mine, 9, ctypes.byref(level), 4, ctypes.byref(size)) or stop("GetTokenInformation")
print("level", level.value)
"""

CREATE_LINK = """
import ctypes
a = ctypes.WinDLL("advapi32", use_last_error=True)
key = ctypes.c_void_p()
a.RegOpenKeyExW.argtypes = [ctypes.c_void_p, ctypes.c_wchar_p, ctypes.c_uint32, ctypes.c_uint32, ctypes.c_void_p]
print("link", a.RegOpenKeyExW(ctypes.c_void_p(0x80000001), "Environment", 0, 0x20, ctypes.byref(key)))
print("value", a.RegOpenKeyExW(ctypes.c_void_p(0x80000001), "Environment", 0, 0x2, ctypes.byref(key)))
print("read", a.RegOpenKeyExW(ctypes.c_void_p(0x80000001), "Environment", 0, 0x20019, ctypes.byref(key)))
"""

TYPE = """
import ctypes, sys
k = ctypes.WinDLL("kernel32", use_last_error=True)
k.CreateFileW.restype = ctypes.c_void_p
D, P = ctypes.c_uint32, ctypes.c_void_p
k.CreateFileW.argtypes = [ctypes.c_wchar_p, D, D, P, D, D, P]
k.WriteConsoleInputW.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint32, ctypes.c_void_p]
if sys.argv[2] == "attach":
    k.FreeConsole()
    if not k.AttachConsole(int(sys.argv[1])):
        print("AttachConsole", ctypes.get_last_error())
        sys.exit(0)
handle = k.CreateFileW("CONIN$", 0xC0000000, 3, None, 3, 0, None)
if handle in (None, ctypes.c_void_p(-1).value):
    print("CONIN$", ctypes.get_last_error())
    sys.exit(0)
# A record of a focus event: it types nothing, and shows that any record could be written.
record = (ctypes.c_uint32 * 5)(0x10, 1, 0, 0, 0)
written = ctypes.c_uint32()
done = k.WriteConsoleInputW(handle, record, 1, ctypes.byref(written))
print("typed" if done and written.value else "WriteConsoleInputW %d" % ctypes.get_last_error())
"""


def child(probe: Probe, policy: Policy, code: str, *arguments: str) -> list[str]:
    """What a Python child of a sandbox prints, by lines."""
    with Sandbox(policy, host=probe.host, state_dir=probe.scene.state, keep="session") as sandbox:
        done = sandbox.run(
            [sys.executable, "-I", "-c", code, *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert done.returncode == 0, done.stderr
    return str(done.stdout).split("\n")[:-1]


def host_pid(probe: Probe) -> str:
    return str(probe.host.processes.current().pid)


def read_only(probe: Probe) -> Policy:
    return Policy.read_only(**probe.policy)


def test_what_a_child_may_do_with_the_process_of_its_host(probe: Probe) -> None:
    case = next(case for case in CASES if case.name == "change another process")
    found = run_case(probe.executor, probe.scene, case, probe.policy, number=probe.next_number())
    answer = {str(row.operation): row.outcome.verdict for row in found.rows}
    assumed = {str(row.operation): row.wanted for row in found.rows}
    probe.record("P9", "OpenProcess of the host from the child", answer, assumed)
    assert found.ran, answer
    assert answer == assumed


@needs("real windows")
def test_impersonating_the_host_comes_out_as_identification(machine: Probe) -> None:
    (answer,) = child(machine, read_only(machine), IMPERSONATE, host_pid(machine))
    machine.record(
        "P10",
        "SetThreadToken with the host's token: the level (1: Identification) or the refused step",
        answer,
        "level 1",
    )
    # Impersonation (2) or Delegation (3) would let a child act with the unrestricted token.
    assert answer == "level 1" or answer.endswith(" 5")


@needs("real windows")
def test_registry_links(machine: Probe) -> None:
    answer = dict(line.split() for line in child(machine, read_only(machine), CREATE_LINK))
    machine.record(
        "P11", r"RegOpenKeyEx(HKCU\Environment): error codes by right", answer, {"link": "0", "value": "5", "read": "0"}
    )
    assert answer["read"] == "0"
    assert answer["value"] == "5"


@needs("real windows")
def test_a_share_of_this_machine(machine: Probe) -> None:
    """Where the user himself reaches his files through a share, can the sandboxed child write there?"""
    outside = ntpath.join(machine.scene.path, "shared")
    machine.scene.make_directory(outside)
    drive, rest = ntpath.splitdrive(outside)
    share = rf"\\localhost\{drive[0]}$" + rest
    code = (
        "import sys\ntry:\n    open(sys.argv[1], 'w').close()\nexcept OSError as error:\n    print(error.winerror)\n"
        "else:\n    print('written')\n"
    )
    command = [sys.executable, "-I", "-c", code]
    own = subprocess.run([*command, rf"{share}\user.txt"], capture_output=True, text=True, timeout=60, check=True)
    if own.stdout.strip() != "written":
        pytest.skip(f"the user himself cannot write to {share}: error {own.stdout.strip()} (it takes an administrator)")
    (answer,) = child(machine, read_only(machine), code, rf"{share}\child.txt")
    (direct,) = child(machine, read_only(machine), code, rf"{outside}\child.txt")
    machine.record("P12", f"writing to {share[:15]}... where the user may", answer, "written")
    assert direct == "5"


def test_nested_jobs_with_limits_of_the_user_interface(probe: Probe) -> None:
    told = probe.host.processes.job_refuses_ui_limits()
    policy = Policy.read_only(**probe.policy, ui_limits=("exit-windows",))
    error = ""
    try:
        with Sandbox(policy, host=probe.host, state_dir=probe.scene.state, keep="session") as sandbox:
            done = sandbox.run(probe.executor.where_temp(), stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
            code = done.returncode
    except (OSError, RuntimeError) as refused:
        error, code = str(refused), -1
    answer = {"told": told, "started": code == 0, "error": error}
    probe.record("P13", "a job with UI limits in the caller's own job", answer, {"told": "not started if true"})
    assert code == 0 or error
    if told is False:
        assert code == 0, answer


@needs("real windows")
@pytest.mark.parametrize("console", ["private", "shared"])
def test_the_hosts_console_input(machine: Probe, console: str) -> None:
    if not machine.host.processes.has_console():
        pytest.skip("this process has no console")
    policy = Policy.read_only(**machine.policy, console="shared" if console == "shared" else "private")
    direct = child(machine, policy, TYPE, host_pid(machine), "open")[0]
    attached = child(machine, policy, TYPE, host_pid(machine), "attach")[0]
    answer = {"its own CONIN$": direct, "after AttachConsole to the host": attached}
    assumed = {"private": "typed on a console of its own; AttachConsole is not refused", "shared": "typed"}[console]
    machine.record("P14", f"WriteConsoleInput from the child, console={console}", answer, assumed)
    assert all(
        word.split()[0] in ("typed", "CONIN$", "AttachConsole", "WriteConsoleInputW") for word in answer.values()
    )
