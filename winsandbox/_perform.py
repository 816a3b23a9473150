"""How an operation is carried out: by a simulated program, by a batch file for System32's cmd.exe, or by Python.

Each tells what happened by an exit code of its own (70 allowed, 77 denied, 76 discouraged, 78 failed), so that a
program that did not start, and ends with whatever code Windows gives it, is never taken for a denial. What can be seen
on disk is judged there as well, by whoever runs the operation (``_trial``).

The batch file knows the operations that a shell has; the rest needs calls that no program of System32 makes for us, so
a Python child makes them where this process's own interpreter can be started. Arguments go to both through environment
variables: cmd.exe reads no quoting that could carry every name.

Sources: "cmd", "OpenProcess", "Process Security and Access Rights", "GetConsoleProcessList" (Microsoft Learn).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from ._operations import Operation, Outcome, Verdict

if TYPE_CHECKING:
    from ._sim.program import SimulatedProcess

__all__ = ["BATCH", "BATCH_VERBS", "CODES", "HOST", "PYTHON", "PYTHON_VERBS", "TEXT", "perform", "simulated_tool"]

CODES: Final[Mapping[int, Verdict]] = {70: "allowed", 77: "denied", 76: "discouraged", 78: "failed"}
_CODE_OF: Final = {verdict: code for code, verdict in CODES.items()}

# The variables that carry what does not fit through a command line: two arguments, the text to write, the host's pid.
FIRST, SECOND, TEXT, HOST = "OPERATION_FIRST", "OPERATION_SECOND", "OPERATION_TEXT", "OPERATION_HOST"

# Access denied, sharing violation (a pin), privilege not held, and the job's limit of processes.
_DENIED: Final = frozenset({5, 32, 1314, 1816})
_REFUSED_CONNECTION: Final = 10061

_RIGHTS: Final = {
    "query": 0x1000,  # PROCESS_QUERY_LIMITED_INFORMATION
    "terminate": 0x1,
    "vm-read": 0x10,
    "vm-write": 0x20,
    "create-thread": 0x2,
    "dup-handle": 0x40,
}


# -- a simulated program


def simulated_tool(process: SimulatedProcess, *, host: int = 0) -> int:
    """A program for a simulated host: one operation from its arguments, the reason on stdout, the verdict as exit code.

    `host` is the process id of whoever made the sandbox, unless a variable says it. Further processes of ``spawn`` are
    this program again.
    """
    verb, *arguments = process.argv[1:]
    text = process.env.get(TEXT) or "simulated"
    outcome = perform(process, Operation(verb, tuple(arguments)), text=text, host=int(process.env.get(HOST) or host))
    process.stdout.write(outcome.reason)
    return _CODE_OF[outcome.verdict]


def perform(process: SimulatedProcess, operation: Operation, *, text: str, host: int) -> Outcome:
    """Carry out one operation as a simulated program; `host` is the process id of whoever made the sandbox."""
    operation = operation.expanded(process.env)
    try:
        return _performed(process, operation, text, host)
    except OSError as error:
        code = getattr(error, "winerror", 0)
        if operation.verb == "http" and code == _REFUSED_CONNECTION:
            return Outcome("discouraged", "the client went to the shim's proxy, where nobody listens")
        return Outcome("denied" if code in _DENIED else "failed", str(error))


def _performed(process: SimulatedProcess, operation: Operation, text: str, host: int) -> Outcome:
    verb = operation.verb
    first, second = (*operation.arguments, "", "")[:2]
    if verb in ("write", "append", "read", "delete") and _directory(process, first):
        return Outcome("failed", "it is a directory")
    match verb:
        case "write":
            process.write(first, text)
        case "append":
            process.append(first, text)
        case "read":
            process.read(first)
        case "delete":
            process.remove(first)
        case "mkdir":
            process.mkdir(first)
        case "rmdir":
            process.rmdir(first)
        case "list":
            process.listdir(first)
        case "rename":
            process.rename(first, second)
        case "replace":
            process.replace(first, second)
        case "link":
            process.link(first, second)
        case "junction":
            process.junction(first, second)
        case "symlink":
            process.symlink(first, second)
        case "dirlink":
            process.symlink(first, second, directory=True)
        case "open-up":
            process.set_security(first, "D:(A;;FA;;;WD)")
            return Outcome("allowed", "its list gives WRITE_DAC to a restricting SID too")
        case "registry-read":
            process.registry_open(first)
            return Outcome("allowed", "reading takes no write right: the user's own rights decide")
        case "registry-set":
            process.registry_open(first, 0x2).set(second, "1")  # KEY_SET_VALUE
            return Outcome("allowed", "the key's list gives KEY_SET_VALUE to a restricting SID too, such as Everyone")
        case "process" | "own-process":
            process.open_process(host if verb == "process" else process.pid, _RIGHTS[first])
            return Outcome("allowed", _why_opened(verb, first))
        case "pipe":
            process.open_pipe(first)
            return Outcome("allowed", "the pipe's list names a restricting SID too")
        case "connect":
            process.connect(first, int(second))
            return Outcome("allowed", "the shim is advisory: nothing holds back a program that opens a socket itself")
        case "http":
            process.http_get(first)
            return Outcome("allowed", "no proxy variable stood in the way")
        case "spawn":
            return _spawned(process, int(first))
        case "sleep":
            process.sleep(float(first))
            return Outcome(
                "allowed", "waiting takes no right; wall-clock time has a limit only where the policy sets one"
            )
        case "console":
            same = host in process.console_processes()
            return Outcome("allowed" if same else "denied", f"it is on {'the same' if same else 'another'} console")
        case "desktop":
            same = process.desktop == "Default"
            return Outcome("allowed" if same else "denied", f"it is on {'the same' if same else 'another'} desktop")
    return Outcome("allowed", "nothing that it takes was refused")


def _why_opened(verb: str, right: str) -> str:
    if verb == "own-process":
        return "the token's default list gives its own objects to the session SID"
    if right in ("query", "terminate", "vm-read"):
        return f"{right} is no write right: it is asked of the user's own rights only"
    return "the process's list gives it to a restricting SID too"


def _spawned(process: SimulatedProcess, count: int) -> Outcome:
    if count <= 1:
        return Outcome("allowed", "the policy sets no lower limit of processes")
    done = process.run([process.argv[0], "spawn", str(count - 1)])
    return Outcome(CODES.get(done.returncode, "failed"), done.stdout.decode("utf-8", "replace"))


def _directory(process: SimulatedProcess, path: str) -> bool:
    if ":" in path.rpartition("\\")[2]:
        return False  # a stream of it is none
    try:
        return process.stat(path, follow=False).directory and not process.stat(path, follow=False).reparse
    except OSError:
        return False


# -- cmd.exe

BATCH_VERBS: Final = frozenset(
    {"write", "append", "read", "delete", "mkdir", "rmdir", "list", "rename", "replace", "link", "junction", "symlink"}
    | {"dirlink", "open-up", "registry-read", "registry-set", "spawn"}
)

# ``del`` says success whatever happened, so it is followed by a look. Each block ends with ``exit``, never by running
# on into the next one. ``goto`` takes the verb, which is one of the words above. Where another program does it, only
# the code with which that one says "access denied" counts (icacls: 5, reg: 1): one that did not start, or was ended by
# the loader (a negative code: an NTSTATUS), has been refused nothing.
BATCH: Final = f"""@echo off
goto %1
:write
>"%{FIRST}%" echo %{TEXT}%&& exit 70
exit 77
:append
>>"%{FIRST}%" echo %{TEXT}%&& exit 70
exit 77
:read
type "%{FIRST}%" && exit 70
exit 77
:delete
del /q /a "%{FIRST}%"
if exist "%{FIRST}%" exit 77
exit 70
:mkdir
md "%{FIRST}%" && exit 70
exit 77
:rmdir
rd "%{FIRST}%" && exit 70
exit 77
:list
dir /b /a "%{FIRST}%" && exit 70
exit 77
:rename
if exist "%{SECOND}%" exit 78
move "%{FIRST}%" "%{SECOND}%" && exit 70
exit 77
:replace
move /y "%{FIRST}%" "%{SECOND}%" && exit 70
exit 77
:link
mklink /h "%{SECOND}%" "%{FIRST}%" && exit 70
exit 77
:junction
mklink /j "%{SECOND}%" "%{FIRST}%" && exit 70
exit 77
:symlink
mklink "%{SECOND}%" "%{FIRST}%" && exit 70
exit 77
:dirlink
mklink /d "%{SECOND}%" "%{FIRST}%" && exit 70
exit 77
:open-up
"%SystemRoot%\\System32\\icacls.exe" "%{FIRST}%" /grant *S-1-1-0:F
if %errorlevel%==0 exit 70
if %errorlevel%==5 exit 77
exit 78
:registry-read
"%SystemRoot%\\System32\\reg.exe" query "%{FIRST}%"
if %errorlevel%==0 exit 70
if %errorlevel%==1 exit 77
exit 78
:registry-set
"%SystemRoot%\\System32\\reg.exe" add "%{FIRST}%" /v "%{SECOND}%" /d 1 /f
if %errorlevel%==0 exit 70
if %errorlevel%==1 exit 77
exit 78
:registry-unset
"%SystemRoot%\\System32\\reg.exe" delete "%{FIRST}%" /v "%{SECOND}%" /f
if %errorlevel%==0 exit 70
if %errorlevel%==1 exit 77
exit 78
:spawn
if %{FIRST}%==1 exit 70
set /a {FIRST}=%{FIRST}%-1
"%SystemRoot%\\System32\\cmd.exe" /d /v:off /s /c ""%~f0" spawn"
if %errorlevel%==70 exit 70
if %errorlevel% lss 0 exit 78
exit 77
""".replace("\n", "\r\n")


# -- Python

PYTHON_VERBS: Final = frozenset({"process", "own-process", "console", "desktop", "connect", "pipe", "http"})

PYTHON: Final = f"""
import ctypes, os, sys
verb = sys.argv[1]
first, second = os.environ.get("{FIRST}", ""), os.environ.get("{SECOND}", "")
host = int(os.environ["{HOST}"])
kernel32 = ctypes.WinDLL("kernel32", use_last_error=True)
user32 = ctypes.WinDLL("user32", use_last_error=True)
rights = {dict(_RIGHTS)!r}
def done(ok, code=0):
    os._exit(70 if ok else 77 if code in {sorted(_DENIED)!r} else 78)
if verb in ("process", "own-process"):
    kernel32.OpenProcess.restype = ctypes.c_void_p
    pid = host if verb == "process" else os.getpid()
    done(kernel32.OpenProcess(rights[first], False, pid), ctypes.get_last_error())
if verb == "console":
    pids = (ctypes.c_uint32 * 64)()
    count = kernel32.GetConsoleProcessList(pids, 64)
    os._exit(70 if host in pids[:count] else 77)
if verb == "desktop":
    user32.GetThreadDesktop.restype = ctypes.c_void_p
    desktop = ctypes.c_void_p(user32.GetThreadDesktop(kernel32.GetCurrentThreadId()))
    name = ctypes.create_unicode_buffer(256)
    if not user32.GetUserObjectInformationW(desktop, 2, name, 512, None):
        os._exit(78)
    os._exit(70 if name.value == "Default" else 77)
if verb == "connect":
    import socket
    try:
        socket.create_connection((first, int(second)), 5).close()
    except OSError:
        os._exit(78)
    os._exit(70)
if verb == "http":
    import urllib.error, urllib.request
    try:
        urllib.request.urlopen(first, timeout=5).close()
    except urllib.error.URLError as error:
        refused = isinstance(error.reason, ConnectionRefusedError) and urllib.request.getproxies()
        os._exit(76 if refused else 78)
    os._exit(70)
if verb == "pipe":
    kernel32.CreateFileW.restype = ctypes.c_void_p
    opened = kernel32.CreateFileW("\\\\\\\\.\\\\pipe\\\\" + first, 0xC0000000, 0, None, 3, 0, None)
    done(opened not in (None, ctypes.c_void_p(-1).value), ctypes.get_last_error())
os._exit(78)
"""


def variables(operation: Operation, *, text: str, host: int) -> dict[str, str]:
    """What the batch file and the Python child are given."""
    first, second = (*operation.arguments, "", "")[:2]
    return {FIRST: first, SECOND: second, TEXT: text, HOST: str(host)}
