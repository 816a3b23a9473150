"""The arguments of the calls that decide, as they crossed the ABI: Wine's relay trace, held as golden sequences.

Wine ignores restricting SIDs, integrity levels and job limits, but its trace shows what was asked for, with the numbers
that came out of the calling convention. Addresses and handles differ from run to run: of them only what they share, or
that they are there, is asserted.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.capabilities import needs

pytestmark = needs("wine lab")

ROOT = Path(__file__).resolve().parents[2]
RELAYED = ("CreateRestrictedToken", "SetTokenInformation", "CreateProcessAsUserW", "SetInformationJobObject")
DEBUG_KEY = r"HKCU\Software\Wine\Debug"

PROGRAM = """
import sys
sys.path.insert(0, {root!r})
from winsandbox import _host
from winsandbox._security.descriptor import SecurityDescriptor
from winsandbox._security.sid import EVERYONE, USERS, Sid
from winsandbox._win32.host import WindowsHost

host = WindowsHost()
tokens, processes = host.tokens, host.processes
grants = [Sid.parse("S-1-5-21-1-2-3-4"), Sid.parse("S-1-5-21-1-2-3-5")]
with tokens.current() as own:
    info = tokens.inspect(own)
    token = tokens.restrict(own, flags=0xD, disable=[USERS], delete=["SeShutdownPrivilege"],
                            restrict=[*grants, info.logon, EVERYONE])
tokens.set_default_dacl(token, SecurityDescriptor.from_sddl("D:(A;;GA;;;SY)(A;;GA;;;S-1-5-21-1-2-3-4)").dacl.to_bytes())
tokens.set_integrity(token, 0x1000)
plain = processes.create_job(_host.JobLimits())
job = processes.create_job(_host.JobLimits(memory=1 << 30, processes=7, cpu_time=2.5, ui=0x43))
with processes.null(write=False) as null:
    for desktop, flags, handles in (
        (None, 0, (None, None, None)),
        ("WinSta0\\\\Default", 0x08000000, (null, null, null)),
    ):
        started = processes.start(_host.StartRequest(
            host.files.known_folders().system + "\\\\cmd.exe", "cmd /c exit 5",
            {{"SystemRoot": "C:\\\\windows"}}, "C:\\\\", token, job, handles, flags, desktop))
        processes.wait(started.process, 30)
        print("exit code", processes.exit_code(started.process))
"""


def wine(*arguments: str, debug: str = "-all", cwd: Path) -> str:
    done = subprocess.run(
        ["bash", str(ROOT / ".ci" / "wine"), "--python", *arguments],
        cwd=cwd,
        env={**os.environ, "WINEDEBUG": debug},
        capture_output=True,
        text=True,
        errors="replace",
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def registry(*words: str) -> str:
    """A program for Windows' Python that runs reg.exe."""
    return (
        f"import subprocess, sys; sys.exit(subprocess.run({['reg', *words]!r}, stdout=subprocess.DEVNULL).returncode)"
    )


def calls(trace: str) -> list[tuple[str, list[str]]]:
    """The relayed calls of winsandbox's own process, in order: name and arguments as Wine prints them."""
    found = []
    for line in trace.splitlines():
        match = re.match(r"[0-9a-f]+:Call (\w+)\.(\w+)\((.*)\) ret=", line)
        # advapi32 hands some of these on to kernelbase: the first of the two is ours
        if match and match[2] in RELAYED and match[1] in {"advapi32", "KERNEL32", "kernel32"}:
            found.append((match[2], match[3].split(",")))
    return found


@pytest.fixture(scope="module")
def trace(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, list[str]]]:
    folder = tmp_path_factory.mktemp("relay")
    (folder / "program.py").write_text(PROGRAM.format(root="Z:" + str(ROOT).replace("/", "\\")), encoding="utf-8")
    include = ";".join(f"{dll}.{name}" for name in RELAYED for dll in ("advapi32", "kernel32"))
    wine("-c", registry("add", DEBUG_KEY, "/v", "RelayInclude", "/d", include, "/f"), cwd=folder)
    try:
        printed = wine("program.py", debug="-all,+relay", cwd=folder)
    finally:
        wine("-c", registry("delete", DEBUG_KEY, "/v", "RelayInclude", "/f"), cwd=folder)
    assert printed.count("exit code 5") == 2, printed[-3000:]
    return calls(printed)


def numbers(words: list[str], *places: int) -> list[int]:
    return [int(words[place], 16) for place in places]


def of(trace: list[tuple[str, list[str]]], name: str) -> list[list[str]]:
    return [words for called, words in trace if called == name]


def test_the_order_of_the_calls(trace: list[tuple[str, list[str]]]) -> None:
    assert [name for name, _ in trace] == [
        "CreateRestrictedToken",
        "SetTokenInformation",  # default DACL
        "SetTokenInformation",  # integrity
        "SetInformationJobObject",  # the plain job's limits
        "SetInformationJobObject",  # the other's completion port
        "SetInformationJobObject",  # its limits
        "SetInformationJobObject",  # its user interface
        "CreateProcessAsUserW",
        "CreateProcessAsUserW",
    ]


def test_create_restricted_token(trace: list[tuple[str, list[str]]]) -> None:
    # token, flags, count and address of: SIDs to disable, privileges to delete, restricting SIDs; address of the result
    (words,) = of(trace, "CreateRestrictedToken")
    assert len(words) == 9
    assert numbers(words, 1, 2, 4, 6) == [0xD, 1, 1, 4]
    assert all(numbers(words, 0, 3, 5, 7, 8))


def test_set_token_information(trace: list[tuple[str, list[str]]]) -> None:
    # token, class, address, size: TokenDefaultDacl with one pointer, TokenIntegrityLevel with a structure and its SID
    dacl, integrity = of(trace, "SetTokenInformation")
    assert (len(dacl), numbers(dacl, 1, 3)) == (4, [6, 8])
    assert (len(integrity), numbers(integrity, 1, 3)) == (4, [25, 16 + 12])
    assert all(numbers(dacl, 0, 2) + numbers(integrity, 0, 2))


def test_set_information_job_object(trace: list[tuple[str, list[str]]]) -> None:
    # job, class, address, size: extended limits 9 (144 bytes), completion port 7, user interface 4
    every = of(trace, "SetInformationJobObject")
    assert [numbers(words, 1, 3) for words in every] == [[9, 144], [7, 16], [9, 144], [4, 4]]
    assert every[0][0] != every[1][0]
    assert len({words[0] for words in every[1:]}) == 1


def test_create_process_as_user(trace: list[tuple[str, list[str]]]) -> None:
    # token, application, command line, two security attributes, inherit, flags, environment, directory, startup, result
    bare, full = of(trace, "CreateProcessAsUserW")
    for words in (bare, full):
        assert len(words) == 11
        assert words[1].lower().endswith('cmd.exe"')
        assert words[1].lower().partition('"')[2].startswith("c:\\\\windows\\\\system32")
        assert words[2].endswith('L"cmd /c exit 5"')
        assert words[8].endswith('L"C:\\\\"')
        assert numbers(words, 3, 4) == [0, 0]
        assert all(int(words[place], 16) for place in (0, 7, 9, 10))
    # Without a stream nothing is inherited; CREATE_UNICODE_ENVIRONMENT | EXTENDED_STARTUPINFO_PRESENT are always there,
    # CREATE_BREAKAWAY_FROM_JOB and CREATE_SUSPENDED never.
    assert numbers(bare, 5, 6) == [0, 0x00080400]
    assert numbers(full, 5, 6) == [1, 0x08080400]
    assert bare[0] == full[0]


def test_the_trace_can_differ() -> None:
    line = "0024:Call advapi32.SetTokenInformation(0000005c,00000006,0035f8a0,00000008) ret=1"
    assert calls(line) == [("SetTokenInformation", ["0000005c", "00000006", "0035f8a0", "00000008"])]
    assert calls("0024:Ret  advapi32.SetTokenInformation() retval=00000001 ret=1") == []
