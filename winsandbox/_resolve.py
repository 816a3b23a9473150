"""Which file a command is, and the command line that gives it its arguments.

CreateProcess with a bare name searches the directory of *this* program, the working directory and *this* process's
PATH, and runs batch files through cmd.exe with a command line that cmd reads by other rules than those it was quoted
by. So nothing is left to it: the file is looked for here, with the child's PATH and PATHEXT only, and what is known not
to work under a write-restricted token is told before anything is started.

Sources: "CreateProcessW", "CommandLineToArgvW", "Parsing C command-line arguments" and "cmd" (Microsoft Learn); the
class of mistakes in quoting for batch files that was published in 2024 as CVE-2024-24576 and its siblings.
"""

from __future__ import annotations

import ntpath
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from ._host import REPARSE_APPEXECLINK
from .environment import folded
from .errors import CommandNotFound, CommandRefused, SpawnError, WinError

if TYPE_CHECKING:
    from ._host import FileInfo, Files, Host

__all__ = ["Resolved", "command_line", "resolve", "shell_line"]

MAX_COMMAND_LINE: Final = 32_766  # UTF-16 code units without the ending NUL (CreateProcessW: 32,767 with it)
MAX_CMD_LINE: Final = 8_191  # what cmd.exe reads ("Command prompt line string limitation")

_PATHEXT: Final = (".COM", ".EXE", ".BAT", ".CMD")
_PROGRAMS: Final = (".com", ".exe", ".scr")
_BATCH: Final = (".bat", ".cmd")
_NO_SHELL: Final = "Git's and MSYS2's shells do not start under such a token: write it for cmd, PowerShell or Python."
# Files that Windows starts through another program. That program is not guessed, because it would be found by an
# association that anything running as this user can change.
_INTERPRETED: Final = {
    ".ps1": 'Start the interpreter: ["powershell", "-NoProfile", "-NonInteractive", "-File", path, ...].',
    ".py": 'Start the interpreter: ["python", path, ...], or sys.executable.',
    ".pyw": 'Start the interpreter: ["pythonw", path, ...].',
    ".pyz": 'Start the interpreter: ["python", path, ...].',
    ".js": 'Start the interpreter: ["node", path, ...], or ["cscript", "//nologo", path, ...].',
    ".mjs": 'Start the interpreter: ["node", path, ...].',
    ".vbs": 'Start the interpreter: ["cscript", "//nologo", path, ...].',
    ".vbe": 'Start the interpreter: ["cscript", "//nologo", path, ...].',
    ".jse": 'Start the interpreter: ["cscript", "//nologo", path, ...].',
    ".wsf": 'Start the interpreter: ["cscript", "//nologo", path, ...].',
    ".jar": 'Start the interpreter: ["java", "-jar", path, ...].',
    ".rb": 'Start the interpreter: ["ruby", path, ...].',
    ".pl": 'Start the interpreter: ["perl", path, ...] (a native one, such as Strawberry Perl).',
    ".sh": _NO_SHELL,
    ".bash": _NO_SHELL,
    ".msi": "Windows Installer does its work in a service outside of any sandbox: install it beforehand.",
    ".msc": "It is a console for administrators, which cannot work in a sandbox.",
    ".lnk": "A shortcut is opened by the shell, outside of any sandbox: name the program that it points to.",
    ".url": "A link is opened by the shell, outside of any sandbox.",
}
_EMULATORS: Final = ("msys-2.0.dll", "cygwin1.dll")
# Programs that speak TLS through Schannel, which gets no credentials under a restricted token
# (SEC_E_NO_CREDENTIALS, 0x8009030E). The names are lower case; curl only where it is Windows' own.
_SCHANNEL: Final = {
    "curl.exe": "Use Git for Windows' curl (mingw64\\bin), which has OpenSSL.",
    "nuget.exe": "Restore packages before, outside of the sandbox.",
    "dotnet.exe": "Restore packages before, outside of the sandbox, and run it with --no-restore.",
    "cargo.exe": "Fetch before, outside of the sandbox, and run it with --offline.",
    "bitsadmin.exe": "Its downloads are made by a service outside of any sandbox.",
}
_INSTALLER: Final = re.compile(r"setup|install|update", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Resolved:
    """A command that was found.

    Attributes:
        application: the absolute path of the program or batch file.
        kind: ``"batch"`` is run by cmd.exe, see :func:`command_line`.
        warnings: what is known to go wrong with it in a sandbox, and what to use instead.
    """

    application: str
    kind: Literal["program", "batch"]
    warnings: tuple[str, ...] = ()


def resolve(host: Host, command: str, environment: Mapping[str, str], *, cwd: str) -> Resolved:
    """Find `command` with the child's PATH and PATHEXT.

    A command without a separator is looked for in the absolute directories of PATH, and nowhere else: not in `cwd`, not
    in relative or empty entries. One with a separator (``.\\tool``, ``C:\\x\\tool.exe``) is that file, relative to
    `cwd`. In both cases the extensions of PATHEXT are tried.

    Raises:
        CommandNotFound: there is no such file.
        CommandRefused: there is, but it cannot be started, or cannot work, under a write-restricted token.
        ValueError: an empty command, or one with a NUL.
    """
    if not command or "\0" in command:
        raise ValueError("the command is empty" if not command else "the command holds a NUL character")
    extensions = _extensions(environment)
    if ntpath.dirname(command) or ntpath.splitdrive(command)[0]:
        return _explicit(host, command, extensions, cwd)
    _refuse_odd_name(command, command)
    directories, skipped = path_directories(environment)
    aliases = []
    for directory in directories:
        for path in _candidates(ntpath.join(directory, command), extensions):
            found = _look(host.files, path)
            if found is None or found.directory:
                continue
            if _is_alias(path, found):
                # Windows' search would stop here; but since an alias can only fail, the next real program of that
                # name is what its user means.
                aliases.append(path)
                continue
            warnings = [f"{alias} was passed over: it is an app-execution alias." for alias in aliases]
            return _judged(host, path, warnings)
    if aliases:
        raise _refused_alias(aliases[0])
    remedy = "Give its full path, or add its directory to PATH in the child's environment."
    if skipped:
        remedy += (
            " Not searched, because they are not absolute paths on a drive: " + ", ".join(map(repr, skipped)) + "."
        )
    raise CommandNotFound(
        f"no command {command!r} on the child's PATH (the working directory is not searched).",
        cause=WinError(2, "CreateProcessAsUserW", command),
        path=command,
        remedy=remedy,
    )


def command_line(application: str, arguments: Sequence[str]) -> str:
    """The command line by which the program at `application` gets exactly `arguments`.

    By the rules of the C runtime and CommandLineToArgvW, as :func:`subprocess.list2cmdline` has them; arguments with
    line ends are put in quotes too, since some parsers split there. For a batch file the line is one for cmd.exe, and
    arguments that cmd.exe, or the batch file with ``"%~1"``, could read as anything else are refused. What follows
    cmd.exe's own ``/c`` or ``/k`` as a single item is the caller's line for the shell, see :func:`shell_line`.

    Raises:
        CommandRefused: an argument cannot be given to a batch file safely.
        SpawnError: the line is longer than Windows (32,766 characters) or cmd.exe (8,191) can take.
        ValueError: an argument holds a NUL.
    """
    for argument in arguments:
        if "\0" in argument:
            raise ValueError(f"an argument holds a NUL character: {argument!r}")
    if application.lower().endswith(_BATCH):
        line, most, reader = _batch_line(application, arguments), MAX_CMD_LINE, "cmd.exe"
    elif (line_for_cmd := shell_line(application, arguments)) is not None:
        line, most, reader = line_for_cmd, MAX_CMD_LINE, "cmd.exe"
    else:
        # The first word is read by other rules (a backslash escapes nothing), and no path of a file holds a quote.
        first = f'"{application}"' if re.search(r"[ \t]", application) else application
        line, most, reader = " ".join([first, *map(quoted, arguments)]), MAX_COMMAND_LINE, "Windows"
    length = len(line.encode("utf-16-le", "surrogatepass")) // 2
    if length > most:
        raise SpawnError(
            f"the command line has {length:,} characters; {reader} takes {most:,}.",
            cause=WinError(206, "CreateProcessAsUserW", application),
            remedy="Pass the long part through a file or standard input.",
            code="spawn.command-line",
        )
    return line


def shell_line(application: str, arguments: Sequence[str]) -> str | None:
    """The command line for ``["cmd", "/c", line]``, with `line` as it is; None where that is not what was asked for.

    cmd.exe knows no backslash before a quote: with the C runtime's quoting ``echo "a b"`` would arrive with the
    backslashes in it. So, as ``subprocess`` does for ``shell=True``, the line stands verbatim in one more pair of
    quotes, which cmd.exe takes off. Without /s, by which it would take them off a path with blanks too (``cmd /?``).
    """
    directory, name = ntpath.split(application.lower())
    if name != "cmd.exe" or ntpath.basename(directory) not in _SYSTEM_NAMES or len(arguments) < 2:
        return None
    *switches, last, line = arguments
    if last.lower() not in ("/c", "/k") or not all(map(_SWITCH.fullmatch, switches)):
        return None
    return " ".join(["cmd.exe", *switches, last, f'"{line}"'])


def quoted(argument: str) -> str:
    """One argument as the C runtime reads it back: backslashes are special before a quote only."""
    escaped = re.sub(r'(\\*)"', r'\1\1\\"', argument)
    if argument and not re.search(r"[ \t\n\v\f\r]", argument):
        return escaped
    return '"' + re.sub(r"(\\+)\Z", r"\1\1", escaped) + '"'


_SYSTEM_NAMES: Final = ("system32", "syswow64", "sysnative")
# A switch of cmd.exe before its /c or /k, which end the switches: /d, /v:off, /t:0a.
_SWITCH: Final = re.compile(r"/[abd-jl-z](:[a-z0-9]+)?", re.ASCII | re.IGNORECASE)


# --- batch files ---------------------------------------------------------------------------------------------------

_BATCH_PLAIN: Final = re.compile(r"[A-Za-z0-9_.:/\\@+#$~-]+", re.ASCII)
_BATCH_REFUSED: Final = (
    (re.compile(r'"'), "a double quote, which ends cmd.exe's own quotes"),
    (re.compile(r"%"), "a percent sign, which cmd.exe expands even between quotes"),
    (re.compile(r"[\x00-\x08\x0a-\x1f\x7f]"), "a line end or control character, at which cmd.exe cuts the command"),
    (re.compile(r"\\\Z"), "a backslash at its end, which would escape the quote that batch files put after it"),
)


def _batch_line(script: str, arguments: Sequence[str]) -> str:
    # /s: the outermost quotes go, the rest stays as it is. /d: no AutoRun command from the registry.
    # /v:off: no !NAME! expansion, which the registry can switch on for everybody.
    # Between quotes & | < > ^ ( ) are ordinary characters, and since no argument holds a quote, the quotes are always
    # the ones written here. Left open: a batch file that takes the quotes off itself (unquoted %~1).
    words = [f'"{_batch_safe(script, "its path", script)}"']
    for argument in arguments:
        _batch_safe(argument, f"the argument {argument!r}", script)
        words.append(argument if _BATCH_PLAIN.fullmatch(argument) else f'"{argument}"')
    return f'cmd.exe /d /v:off /s /c "{" ".join(words)}"'


def _batch_safe(text: str, what: str, script: str) -> str:
    for pattern, reason in _BATCH_REFUSED:
        if pattern.search(text):
            raise CommandRefused(
                f"{script} is a batch file, and {what} holds {reason}.",
                path=script,
                remedy="Start the program that the batch file starts, or pass the text through a file or a variable of "
                "the environment.",
                code="command.batch-argument",
            )
    return text


# --- searching -----------------------------------------------------------------------------------------------------


def variable(environment: Mapping[str, str], name: str) -> str:
    """The variable's value, its name compared as Windows does; "" where it is missing."""
    found = ""
    for key, value in environment.items():
        if folded(key) == name:
            found = value  # the last spelling wins, as in environment.merged
    return found


def _extensions(environment: Mapping[str, str]) -> tuple[str, ...]:
    listed = variable(environment, "PATHEXT")
    parts = (part.strip() for part in listed.split(";"))
    return tuple(part for part in parts if re.fullmatch(r"\.[^\\/:*?\"<>|.\s]+", part)) or _PATHEXT


def path_directories(environment: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """PATH as (directories to search, entries not to search). Empty entries mean the working directory: never."""
    directories, skipped = [], []
    for entry in _entries(variable(environment, "PATH")):
        path = plain(entry)
        if re.match(r"[A-Za-z]:[\\/]", path) and "\0" not in path:
            directories.append(ntpath.normpath(path))
        elif entry:
            skipped.append(entry)
    return directories, skipped


def _entries(path: str) -> Iterator[str]:
    # An entry may be quoted, and may then hold a semicolon.
    for match in re.finditer(r'((?:"[^"]*"?|[^;"])*)(?:;|\Z)', path):
        yield match[1].replace('"', "").strip()


def plain(path: str) -> str:
    """`path` without the ``\\\\?\\`` prefix where a drive follows: cmd.exe and many programs cannot use it."""
    return path[4:] if re.match(r"\\\\\?\\[A-Za-z]:\\", path) else path


def _candidates(path: str, extensions: Iterable[str]) -> Iterator[str]:
    # A file without an extension of these kinds is never taken for a program: beside npm.cmd lies npm, a shell script.
    own = ntpath.splitext(path)[1].lower()
    known = {extension.lower() for extension in extensions}
    if own and (own in known or own in _PROGRAMS or own in _BATCH or own in _INTERPRETED):
        yield path
    for extension in extensions:
        yield path + extension.lower()


def _explicit(host: Host, command: str, extensions: tuple[str, ...], cwd: str) -> Resolved:
    path = plain(command.replace("/", "\\"))
    drive, rest = ntpath.splitdrive(path)
    if drive and not rest.startswith("\\"):
        raise CommandRefused(
            f"{command!r} depends on the working directory of drive {drive}.",
            path=command,
            remedy="Write the whole path.",
            code="command.drive-relative",
        )
    path = ntpath.normpath(ntpath.join(plain(cwd), path))
    if not re.match(r"[A-Za-z]:\\", path):
        raise CommandRefused(
            f"{command!r} is no path on a drive.",
            path=command,
            remedy="Copy the program to a local drive: a share or a device path cannot be checked or protected.",
            code="command.not-local",
        )
    _refuse_odd_name(path[2:], command)
    there = None
    for candidate in (path, *_candidates(path, extensions)):
        found = _look(host.files, candidate)
        if found is None or found.directory:
            continue
        if _is_alias(candidate, found):
            raise _refused_alias(candidate)
        if candidate != path or ntpath.splitext(path)[1].lower() in {*_PROGRAMS, *_BATCH, *_INTERPRETED}:
            return _judged(host, candidate, [])
        there = candidate
    if there is not None:
        raise CommandRefused(
            f"{there} is no program by its name ({', '.join(extensions)}).",
            path=there,
            remedy="Start its interpreter with this path as an argument.",
            code="command.not-a-program",
        )
    raise CommandNotFound(
        f"there is no program {path}.",
        cause=WinError(2, "CreateProcessAsUserW", path),
        path=path,
        remedy="Check the path; a relative one is taken from the command's working directory.",
    )


def _refuse_odd_name(name: str, command: str) -> None:
    # "x.exe:stream" starts a hidden stream, "x." and "x " are stripped by Windows: the file checked would not be the
    # file started. The rest cannot be in a name at all.
    if re.search(r'[:*?"<>|\x00-\x1f]', name) or any(part.rstrip(". ") != part for part in re.split(r"[\\/]", name)):
        raise CommandNotFound(
            f"{command!r} is no name of a file.",
            cause=WinError(123, "CreateProcessAsUserW", command),
            path=command,
            remedy="Give the program and its arguments as separate items.",
        )


def _look(files: Files, path: str) -> FileInfo | None:
    try:
        found = files.query(path, follow=False)
        if found is not None and found.reparse and found.reparse_tag != REPARSE_APPEXECLINK:
            found = files.query(path)
    except OSError:
        return None  # what cannot be looked at cannot be started either; the search goes on as Windows' does
    return found


def _is_alias(path: str, found: FileInfo) -> bool:
    return found.reparse_tag == REPARSE_APPEXECLINK or _in_windows_apps(path)


def _in_windows_apps(path: str) -> bool:
    return "\\windowsapps\\" in path.lower()


def _refused_alias(path: str) -> CommandRefused:
    return CommandRefused(
        f"{path} is an app-execution alias or packaged app (Microsoft Store), which Windows does not start with a "
        "restricted token.",
        path=path,
        remedy="Install the ordinary version (python.org's Python, the MSI of PowerShell 7) and put it before "
        "WindowsApps in PATH, or name its full path.",
        code="command.store-app",
    )


# --- what is known about programs ------------------------------------------------------------------------------------


def _judged(host: Host, path: str, warnings: list[str]) -> Resolved:
    extension = ntpath.splitext(path)[1].lower()
    if extension in _BATCH:
        return Resolved(path, "batch", tuple(warnings))
    if extension not in _PROGRAMS:
        raise CommandRefused(
            f"{path} is not started by itself.",
            path=path,
            remedy=_INTERPRETED.get(extension, "Start its interpreter with this path as an argument."),
            code="command.not-a-program",
        )
    final = _final(host.files, path)
    if _in_windows_apps(final):
        raise _refused_alias(path)
    directory, name = ntpath.split(final)
    name = name.lower()
    windows_own = name in ("bash.exe", "wsl.exe", "wslg.exe", "curl.exe") and _in_system(host.files, directory)
    if name in ("wsl.exe", "wslg.exe") or (name == "bash.exe" and windows_own):
        raise CommandRefused(
            f"{path} starts a Linux system outside of the sandbox (WSL).",
            path=path,
            remedy="Use cmd, PowerShell or Python; a sandbox for Linux belongs inside WSL.",
            code="command.wsl",
        )
    if _emulated(host.files, directory, name):
        raise CommandRefused(
            f"{path} is an MSYS2, Git Bash or Cygwin program: their runtime does not start under a write-restricted "
            "token.",
            path=path,
            remedy="Use cmd, PowerShell or Python, or a native build of the tool (git.exe itself is one).",
            code="command.msys",
        )
    if name in _SCHANNEL and (windows_own or name != "curl.exe"):
        warnings.append(f"{path} uses Schannel, which has no TLS under a restricted token. {_SCHANNEL[name]}")
    if _INSTALLER.search(name) and _may_be_32_bit(host.files, path):
        warnings.append(
            f"{path} is an installer by its name: Windows may ask for elevation instead of starting it "
            "(error 740). Rename it, or run it outside of the sandbox."
        )
    return Resolved(path, "program", tuple(warnings))


def _in_system(files: Files, directory: str) -> bool:
    """Whether Windows' own programs lie there: System32, its 32-bit twin, or its name for 32-bit programs."""
    folders = files.known_folders()
    places = (folders.system, *(ntpath.join(folders.windows, name) for name in _SYSTEM_NAMES))
    return folded(directory) in map(folded, places)


def _final(files: Files, path: str) -> str:
    try:
        with files.open(path, 0x80, follow=True) as handle:  # FILE_READ_ATTRIBUTES
            return files.final_path(handle)
    except OSError:
        return path


def runtime_beside(files: Files, directory: str) -> bool:
    """Whether the runtime of MSYS2 or Cygwin lies in `directory`: then its programs need it."""
    return any(_look(files, ntpath.join(directory, library)) is not None for library in _EMULATORS)


def _emulated(files: Files, directory: str, name: str) -> bool:
    if runtime_beside(files, directory):
        return True
    if name in ("bash.exe", "sh.exe", "git-bash.exe"):
        # Git for Windows' launchers in bin and at the top start the shell of usr\bin.
        places = (ntpath.normpath(ntpath.join(directory, up, "usr", "bin")) for up in (".", ".."))
        return any(runtime_beside(files, place) for place in places)
    return False


def _may_be_32_bit(files: Files, path: str) -> bool:
    """Windows takes only 32-bit programs without a manifest for installers; unreadable counts as 32-bit."""
    try:
        with files.open(path, 0x120089, follow=True) as handle:  # FILE_GENERIC_READ
            head = files.read(handle, 4096)
    except OSError:
        return True
    start = int.from_bytes(head[0x3C:0x40], "little")
    machine = head[start + 4 : start + 6]
    return not (head.startswith(b"MZ") and head[start : start + 4] == b"PE\0\0" and machine != b"\x4c\x01")
