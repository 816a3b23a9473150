"""What the tests on real (or Wine's) Windows share: spawning a program, counting handles, objects to put ACLs on."""

from __future__ import annotations

import ctypes
import gc
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from winsandbox import _host
from winsandbox._security.sid import EVERYONE, Sid
from winsandbox._win32 import handles
from winsandbox._win32.advapi32 import RegCreateKeyExW, RegDeleteKeyW
from winsandbox._win32.constants import HKEY_CURRENT_USER, REG_OPTION_VOLATILE, KeyRights
from winsandbox._win32.host import WindowsHost
from winsandbox._win32.kernel32 import GetCurrentProcess, GetProcessHandleCount, kernel32
from winsandbox._win32.types import Handle, KeyHandle

GRANT = Sid.parse("S-1-5-21-1-2-3-4")
# DISABLE_MAX_PRIVILEGE | LUA_TOKEN | WRITE_RESTRICTED
FLAGS = 0xD


def handle_count() -> int:
    """How many handles this process has open. Wine 8 answers 0, so there each number is asked whether it is one."""
    gc.collect()
    count = ctypes.c_uint32()
    GetProcessHandleCount(GetCurrentProcess(), count)
    return count.value or _asked_one_by_one()


def _asked_one_by_one() -> int:
    # The bare function, because hundreds of exceptions take long. A new handle gets the lowest free number, so the
    # first numbers are enough to see a leak.
    is_handle = kernel32.export("GetHandleInformation")
    is_handle.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
    flags = ctypes.c_uint32()
    return sum(bool(is_handle(number, ctypes.byref(flags))) for number in range(4, 4 * 512, 4))


@contextmanager
def no_new_handles() -> Iterator[None]:
    """Fails if more handles are open afterwards than before."""
    before = handle_count()
    yield
    after = handle_count()
    assert after <= before, f"{after - before} handles are left open"


def restricted(host: WindowsHost) -> _host.Handle:
    with host.tokens.current() as own:
        logon = host.tokens.inspect(own).logon
        sids = [GRANT, EVERYONE] if logon is None else [GRANT, logon, EVERYONE]
        return host.tokens.restrict(own, flags=FLAGS, restrict=sids)


@contextmanager
def registry_key(name: str) -> Iterator[_host.Handle]:
    """A key of this test under HKEY_CURRENT_USER, gone afterwards."""
    root = KeyHandle(Handle(HKEY_CURRENT_USER))
    path = f"Software\\winsandbox-test-{os.getpid()}-{name}"
    out = ctypes.c_void_p()
    RegCreateKeyExW(root, path, 0, None, REG_OPTION_VOLATILE, KeyRights.KEY_ALL_ACCESS, None, out, None)
    try:
        with handles.own_key(out) as key:
            yield key
    finally:
        RegDeleteKeyW(root, path)


@dataclass(frozen=True)
class Ended:
    code: int
    output: bytes


def run(
    host: WindowsHost,
    line: str,
    *,
    application: str | None = None,
    environment: Mapping[str, str] | None = None,
    cwd: str = "C:\\",
    limits: _host.JobLimits | None = None,
    timeout: float = 60,
) -> Ended:
    """Start a command with a restricted token in a job, read its output to the end, wait for both."""
    files, processes = host.files, host.processes
    with (
        restricted(host) as token,
        processes.create_job(limits or _host.JobLimits()) as job,
        processes.null(write=False) as null,
    ):
        ours, child = processes.pipe(child_reads=False)
        with ours:
            with child:
                started = processes.start(
                    _host.StartRequest(
                        application=application or cmd(host),
                        command_line=line,
                        environment=system_root() if environment is None else environment,
                        cwd=cwd,
                        token=token,
                        job=job,
                        handles=(null, child, child),
                    )
                )
            with started.process as process:
                parts = []
                while data := files.read(ours, 65536):
                    parts.append(data)
                assert processes.wait(process, timeout)
                assert processes.wait_job(job, timeout)
                return Ended(processes.exit_code(process), b"".join(parts))


def cmd(host: WindowsHost) -> str:
    return f"{host.files.known_folders().system}\\cmd.exe"


def python_line(code: str) -> str:
    """A command line for this interpreter; `code` has no quotes and no backslashes at its end."""
    assert '"' not in code
    return f'"{sys.executable}" -X utf8 -c "{code}"'


def run_python(host: WindowsHost, code: str, arguments: Sequence[str] = ()) -> Ended:
    return run(host, " ".join([python_line(code), *arguments]), application=sys.executable)


def system_root() -> dict[str, str]:
    return {"SystemRoot": os.environ["SYSTEMROOT"]}
