"""What :mod:`doctor` looks at: the host's session, token, console, volumes, PATH and policies, and one command."""

from __future__ import annotations

import ntpath
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Final

from ._resolve import path_directories, resolve, runtime_beside, variable
from ._surroundings import directory
from .doctor import Finding
from .errors import SandboxError
from .network import shim_active

if TYPE_CHECKING:
    from ._host import Host, TokenInfo

_ORDER: Final = {"error": 0, "warning": 1, "info": 2}
_MEDIUM: Final = 0x2000

# What users of write-restricted tokens report about programs that start well. By the program's name without ".exe".
_KNOWN: Final = {
    "python": (
        "tempfile.mkdtemp, pytest's tmp_path, multiprocessing and asyncio's subprocesses fail in Python children.",
        "Set python_shim=True in the policy.",
    ),
    "pytest": ("its tmp_path and process pools fail under the token.", "Set python_shim=True in the policy."),
    "node": (
        "children started with stdio: 'pipe' fail (EPERM), because of the descriptor of Node's named pipes.",
        "Let them inherit their streams (stdio: 'inherit'), or run that step outside.",
    ),
    "git": (
        "hooks, rebase -i and credential helpers are run by MSYS2's shell, which does not start.",
        "Use the other commands, or set core.hooksPath to an empty directory.",
    ),
    "msbuild": ("its worker processes talk over a named pipe and fail.", "Run it with -m:1 -nr:false."),
    "dotnet": ("its build servers talk over a named pipe and fail.", "Build with -m:1 -nr:false --no-restore."),
    "ninja": ("it waits on a named pipe that it cannot open.", "Run it outside of the sandbox."),
    "docker": ("its daemon's pipe is not open to the token, and would lead out of the sandbox.", "Run it outside."),
    "powershell": (
        "it may come up in ConstrainedLanguage mode, and writes its output in the OEM code page.",
        "Start it with -NoProfile -NonInteractive, and read the output with process.decode.",
    ),
    "ssh": ("it cannot write known_hosts, and refuses keys whose list of rights was changed.", "Run it outside."),
}
_KNOWN_ALSO: Final = {"npm": "node", "npx": "node", "pnpm": "node", "yarn": "node", "pythonw": "python", "py": "python"}


def findings(host: Host, command: Sequence[str] | None, cwd: str | os.PathLike[str] | None) -> list[Finding]:
    """Everything found, the worst first; what could not be looked at is a finding too."""
    found: list[Finding] = []
    checks: list[Callable[[Host], Iterator[Finding]]] = [_system, _token, _console, _volumes, _path, _policies, _shim]
    if command:
        checks.append(lambda where: _command(where, command[0], cwd))
    for check in checks:
        try:
            found += check(host)
        except OSError as error:
            what = check.__name__.strip("_<>")
            found.append(Finding("warning", "not readable", f"{what} could not be looked at: {error}"))
    return sorted(found, key=lambda finding: _ORDER[finding.severity])


# --- the host --------------------------------------------------------------------------------------------------------


def _system(host: Host) -> Iterator[Finding]:
    kind = host.capabilities().kind
    if kind == "wine":
        yield Finding(
            "error",
            "Wine",
            "Wine ignores restricting SIDs and keeps no ACLs of files: nothing would be confined.",
            'Use Windows; for tests of the plumbing, require="best-effort".',
        )
    elif kind == "simulated":
        yield Finding("info", "simulated", "this is a model of Windows: what it tells is expected, not observed.")


def _token(host: Host) -> Iterator[Finding]:
    with host.tokens.current() as token:
        own = host.tokens.inspect(token)
    yield from _confined(own)
    if own.elevated:
        yield Finding(
            "warning",
            "elevated",
            "this process is elevated; a sandbox refuses to start from it.",
            'Start it as an ordinary user, or accept a lowered token with elevated="lower".',
        )
    if own.session == 0:
        yield Finding(
            "warning",
            "session 0",
            "a service, scheduled task or SSH session has a window station without a display: programs that use "
            "windows may end with 0xC0000142 there.",
            "Start it from the user's session.",
        )
    if own.logon is None:
        yield Finding(
            "warning",
            "logon session",
            "the token has no logon SID: protected places get no guards, and PowerShell may not start.",
            "Start it from an interactive logon.",
        )


def _confined(own: TokenInfo) -> Iterator[Finding]:
    if own.restricted or own.app_container:
        what = "an AppContainer" if own.app_container else "a restricted token"
        yield Finding(
            "error",
            "already sandboxed",
            f"this process runs with {what}: a sandbox in a sandbox could write nothing.",
            "Start the host outside of the other sandbox.",
        )
    elif own.token.integrity < _MEDIUM:
        yield Finding(
            "error",
            "low integrity",
            "this process runs below Medium integrity and cannot grant anything to a child.",
            "Start it from an ordinary program, not from a browser's or another sandbox's.",
        )


def _console(host: Host) -> Iterator[Finding]:
    if not host.processes.has_console():
        yield Finding(
            "warning",
            "no console",
            "this process has no console; on some systems a console program under the token then ends with 0xC0000142.",
            "If that happens, start the host from a console.",
        )
    if host.processes.job_refuses_ui_limits():
        yield Finding(
            "info",
            "job",
            "the job that this process runs in (a terminal, an editor, a CI runner) allows no job with limits of the "
            "user interface inside.",
            "Leave ui_limits out of the policy here.",
        )


def _volumes(host: Host) -> Iterator[Finding]:
    for volume in host.files.drives():
        if volume.kind == "remote":
            yield Finding(
                "warning",
                f"drive {volume.root}",
                "a network share: a child writes there as the user, whatever the policy says, and it cannot be a root.",
                "Work on a local copy; disconnect the drive if it must be safe.",
            )
        elif not volume.persistent_acls and volume.kind != "cdrom":
            yield Finding(
                "warning",
                f"drive {volume.root}",
                f"{volume.filesystem or 'this volume'} keeps no ACLs: a child can write everywhere on it, and it "
                "cannot be a root.",
                "Work on an NTFS or ReFS volume; take the medium out if it must be safe.",
            )


def _path(host: Host) -> Iterator[Finding]:
    environment = host.processes.environment()
    directories, skipped = path_directories(environment)
    if skipped:
        yield Finding(
            "info",
            "PATH",
            "commands are not looked for in entries that are not absolute paths on a drive: "
            + ", ".join(map(repr, skipped))
            + ".",
        )
    emulated = [directory for directory in directories if runtime_beside(host.files, directory)]
    if emulated:
        yield Finding(
            "warning",
            "MSYS",
            "MSYS2 or Cygwin programs do not start under the token; they lie in " + ", ".join(emulated) + ".",
            "Put native tools before these directories in PATH.",
        )
    for name in ("python", "pwsh"):
        try:
            resolve(host, name, environment, cwd=host.files.known_folders().windows)
        except SandboxError as error:
            if error.code == "command.store-app":
                yield Finding("warning", f"Store {name}", error.message, error.remedy)


def _policies(host: Host) -> Iterator[Finding]:
    if variable(host.processes.environment(), "__PSLOCKDOWNPOLICY"):
        yield Finding(
            "warning",
            "PowerShell",
            "__PSLockdownPolicy is set: PowerShell runs in ConstrainedLanguage mode.",
            "Use cmd or Python, or ask whoever set it.",
        )
    if host.capabilities().kind != "simulated":
        for kind in _applocker():
            yield Finding(
                "warning",
                "AppLocker",
                f"this machine has AppLocker rules for {kind}: programs in writable places may not start.",
                "Keep tools where the rules allow them.",
            )


def _shim(host: Host) -> Iterator[Finding]:
    if shim_active(host.processes.environment()):
        yield Finding(
            "info",
            "network shim",
            "this process runs under a network shim: tools that cannot reach the network were asked to stay offline "
            "(advisory).",
            "If they need it, start this process from outside that sandbox, or with NetworkShim.off there.",
        )


if sys.platform == "win32":

    def _applocker() -> Iterator[str]:
        import winreg

        for key, kind in (("Exe", "programs"), ("Script", "scripts"), ("Dll", "DLLs")):
            path = rf"SOFTWARE\Policies\Microsoft\Windows\SrpV2\{key}"
            try:
                with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, path) as opened:
                    if winreg.QueryInfoKey(opened)[0]:  # one subkey a rule
                        yield kind
            except OSError:
                continue  # none of that kind, or not readable for this user

else:

    def _applocker() -> Iterator[str]:
        return iter(())


# --- the command -----------------------------------------------------------------------------------------------------


def _command(host: Host, name: str, cwd: str | os.PathLike[str] | None) -> Iterator[Finding]:
    environment = host.processes.environment()
    simulated = host.capabilities().kind == "simulated"
    here = host.files.known_folders().profile if simulated else os.getcwd()
    try:
        found = resolve(host, name, environment, cwd=directory(cwd, here) or here)
    except SandboxError as error:
        yield Finding("error", f"command {name}", error.message, error.remedy)
        return
    except ValueError as error:
        yield Finding("error", f"command {name!r}", f"{error}.", "Name a program.")
        return
    yield Finding("info", f"command {name}", f"it is {found.application}.")
    for warning in found.warnings:
        yield Finding("warning", f"command {name}", warning)
    stem = ntpath.splitext(ntpath.basename(found.application))[0].lower()
    known = _KNOWN.get(_KNOWN_ALSO.get(stem, stem))
    if known is not None:
        yield Finding("warning", f"command {name}", known[0], known[1])
    if found.kind == "batch":
        yield Finding(
            "info",
            f"command {name}",
            "it is a batch file: arguments with % or double quotes are refused, because cmd.exe would change them.",
            "Start the program behind it where such arguments are needed.",
        )
