"""SimulatedHost: the Host protocol, and what a test arranges and looks at besides."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Self

from .._host import Capabilities, Handle, Station, VolumeKind
from .._security.descriptor import SecurityDescriptor
from .._security.sid import EVERYONE, Sid
from ..environment import folded
from . import accounts, defaults
from .arrange import Arranging
from .files import SimFiles
from .gate import Caller
from .handles import Connection
from .jobs import ProcessRecord, Program, ProgramEnded
from .machine import Machine
from .processes import SimProcesses
from .program import SimulatedProcess
from .streams import DescriptorEnd
from .tokens import DISABLE_MAX_PRIVILEGE, WRITE_RESTRICTED, SimTokens, SimulatedToken, TokenObject, restricted

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

__all__ = ["SimulatedHost"]


class SimulatedHost(Arranging):
    """A Windows in memory, for tests on any OS: it is given to ``Sandbox(policy, host=...)`` in place of the real one.

    It has a system drive with a default installation's directories and descriptors, the user's profile, a data drive
    ``D:``, tokens, processes, jobs, registry keys and a clock of its own. Programs are Python functions
    (:meth:`add_program`). What it refuses, it refuses by Windows' rules with Windows' codes, and says why.

    Args:
        user: the name of the user and of his profile.
        user_sid: his SID, such as the one that ``whoami /user`` prints where the descriptors for `recorded` come from:
            with it they speak of this user. None: one that is made up.
        administrator: a member of Administrators; filtered by UAC unless ``elevated``, or ``uac`` is off.
        elevated: started with "Run as administrator"; only an administrator is.
        uac: whether User Account Control is on.
        integrity: the caller's integrity level, such as 0x1000 for Low; None: what the account has.
        already_sandboxed: the caller itself runs with a write-restricted token.
        session: the terminal-services session; 0: a service, with a window station that nobody sees.
        logon: whether the caller's token has a logon SID.
        console: whether the caller has a console.
        developer_mode: whether anybody may make symbolic links.
        job_ui_limits: whether the caller runs in a job that lets no nested job have limits of the user interface.
        environment: the caller's variables, over those that Windows sets.
        stdin: what the caller's own standard input holds.
        recorded: descriptors by path, as SDDL recorded elsewhere (``(Get-Acl PATH).Sddl``); missing directories are
            made. The SIDs in it are taken as they are, but for the letter U, which stands for the user: so give
            `user_sid` too, or write U for it.
        seed: of everything random.
        patience: real seconds without any event after which simulated time goes on although a caller's thread is busy;
            five times as many where a program waits for a pipe.

    Raises:
        ValueError: ``elevated`` without ``administrator``; text that is no SID or no SDDL, with its path.
    """

    def __init__(
        self,
        *,
        user: str = "alice",
        user_sid: str | None = None,
        administrator: bool = False,
        elevated: bool = False,
        uac: bool = True,
        integrity: int | None = None,
        already_sandboxed: bool = False,
        session: int = 1,
        logon: bool = True,
        console: bool = False,
        developer_mode: bool = False,
        job_ui_limits: bool | None = False,
        environment: Mapping[str, str] | None = None,
        stdin: bytes = b"",
        recorded: Mapping[str, str] | None = None,
        seed: int = 0,
        patience: float = 0.2,
    ) -> None:
        if elevated and not administrator:
            raise ValueError("only an administrator can be elevated: pass administrator=True too")
        self.console = console
        self.job_ui_limits = job_ui_limits
        self._stdin = stdin
        self._account = {"administrator": administrator, "elevated": elevated, "uac": uac, "session": session}
        self._integrity = integrity
        self._already_sandboxed = already_sandboxed
        self._has_logon = logon
        sid = None if user_sid is None else Sid.parse(user_sid)
        self._machine = Machine(user, user_sid=sid, seed=seed, patience=patience, developer_mode=developer_mode)
        machine = self._machine
        machine.add_disk("C:", descriptor=defaults.expand(defaults.SYSTEM_DRIVE, str(machine.user)))
        machine.add_disk("D:", descriptor=defaults.expand(defaults.DATA_DRIVE, str(machine.user)))
        defaults.install(machine)
        defaults.make_profile(machine, machine.profile)
        for path, sddl in (recorded or {}).items():
            machine.add_directory(path, sddl)
        self._environment = _environment(machine, environment or {})
        self._begin(machine.new_logon() if logon else None)

    @classmethod
    def standard_user(cls, **options: Any) -> Self:
        """A user who is no administrator: the ordinary case, and what the constructor makes."""
        return cls(**options)

    @classmethod
    def administrator(cls, *, elevated: bool = False, uac: bool = True, **options: Any) -> Self:
        """An administrator: filtered by UAC, elevated, or with UAC off."""
        return cls(administrator=True, elevated=elevated, uac=uac, **options)

    @classmethod
    def low(cls, **options: Any) -> Self:
        """A caller at Low integrity."""
        return cls(integrity=0x1000, **options)

    @classmethod
    def sandboxed(cls, **options: Any) -> Self:
        """A caller that is in a sandbox of this kind already."""
        return cls(already_sandboxed=True, **options)

    @classmethod
    def service(cls, **options: Any) -> Self:
        """A caller in session 0, without anybody logged on interactively."""
        return cls(session=0, **options)

    def _begin(self, logon: Sid | None) -> None:
        """A new calling process."""
        machine = self._machine
        self._logon = logon
        token = accounts.user_token(machine.user, logon, integrity=self._integrity, **self._account)  # type: ignore[arg-type]
        if self._already_sandboxed:
            restricting = [EVERYONE, Sid(5, 21, 1, 2, 3, 4)] + ([logon] if logon is not None else [])
            token = restricted(
                token, flags=DISABLE_MAX_PRIVILEGE | WRITE_RESTRICTED, disable=(), delete=(), restrict=restricting
            )
        self._attach(token)

    def _attach(self, token: SimulatedToken) -> None:
        machine = self._machine
        with machine.lock:
            record = ProcessRecord(
                machine,
                TokenObject(token),
                image=r"C:\Program Files\host.exe",
                argv=("host",),
                environment=self._environment,
                cwd=machine.profile,
            )
            if self.console:
                record.console = record.pid
            machine.processes[record.pid] = record
        self._caller = Caller(machine, record)
        machine.callers.append(self._caller)
        self._files = SimFiles(self._caller)
        self._tokens = SimTokens(self._caller)
        self._processes = SimProcesses(self, self._caller)

    # The protocol

    @property
    def files(self) -> SimFiles:
        """See Host."""
        return self._files

    @property
    def tokens(self) -> SimTokens:
        """See Host."""
        return self._tokens

    @property
    def processes(self) -> SimProcesses:
        """See Host."""
        return self._processes

    def capabilities(self) -> Capabilities:
        """A Windows 11 that keeps its rules."""
        self._caller.alive("capabilities")
        return Capabilities("simulated", "Windows 11 (simulated)", 22631, "AMD64", True, True)

    @property
    def _station(self) -> Station:
        """Where the caller has its windows; only that of a session with a display is WinSta0."""
        if self._account["session"]:
            return Station("WinSta0", True, "Default")
        high, low = self._logon.subauthorities[-2:] if self._logon is not None else (0, 0x3E7)
        return Station(f"Service-0x{high:x}-{low:x}$", False, "Default")

    # Programs

    def add_program(self, path: str, program: Program) -> None:
        """Put a program at `path`: a function that is called with a :class:`SimulatedProcess` for each start.

        What it returns is the exit code (None: 0). ``SystemExit`` is honoured; an ``OSError`` that it lets pass is
        printed on its standard error and ends it with 1. The program is the content of the file: it can be copied,
        moved or planted elsewhere.
        """
        machine = self._machine
        with machine.lock:
            content = f"MZ simulated program {len(machine.programs)}".encode()
            machine.programs[content] = program
            machine.add_file(path, content)

    def run_program(
        self, program: Callable[[SimulatedProcess], int | None], *argv: str, token: Handle | None = None
    ) -> int:
        """Run a function as a program of the user, in no job, to its end; returns the exit code.

        Unsandboxed, for the other half of a test: what the user may do himself; or with `token`. What the function
        raises is raised here too.
        """
        machine = self._machine
        raised: list[BaseException] = []

        def keeping(process: SimulatedProcess) -> int | None:
            try:
                return program(process)
            except (ProgramEnded, SystemExit):
                raise
            except BaseException as error:
                raised.append(error)
                return 1

        with machine.lock:
            held = self._caller.process.token if token is None else self._caller.object(token, TokenObject)
            record = ProcessRecord(
                machine,
                TokenObject(held.token),
                image="(function)",
                argv=argv or ("program",),
                environment=self._environment,
                cwd=machine.profile,
                console=self._caller.process.console,
            )
            record.streams = [self._standard_stream(number) for number in (0, 1, 2)]
            machine.processes[record.pid] = record
            record.start(keeping)
            machine.clock.called()
            machine.clock.wait(lambda: record.ended, None)
        if raised:
            raise raised[0]
        return record.exit_code or 0

    # What happened

    @property
    def counts(self) -> Counter[str]:
        """How often each operation of the protocol was called: ``open``, ``open_at``, ``security`` (descriptor reads),
        ``set_security`` (descriptor writes), ``entry`` (names listed), ``start``, ``sql`` and so on; ``all``: together.
        """
        return self._caller.counts

    @property
    def connections(self) -> list[Connection]:
        """Every connection that programs made."""
        return list(self._machine.connections)

    @property
    def started(self) -> int:
        """How many processes were started on the machine."""
        return self._machine.started

    @property
    def stdout(self) -> bytes:
        """What was written to the caller's own standard output."""
        return self._standard_file(1).read_bytes()

    @property
    def stderr(self) -> bytes:
        """What was written to the caller's own standard error."""
        return self._standard_file(2).read_bytes()

    def open_handles(self) -> list[str]:
        """The caller's handles that are not closed, described; for leak tests."""
        return [repr(thing) for thing in self._caller.open_handles()]

    def running(self) -> list[tuple[int, tuple[str, ...]]]:
        """(pid, argv) of the programs that run."""
        with self._machine.lock:
            return [
                (record.pid, record.argv)
                for record in self._machine.processes.values()
                if all(record is not caller.process for caller in self._machine.callers)
            ]

    # What goes wrong

    def fail(self, kind: str, n: int, winerror: int) -> None:
        """Make the n-th operation of `kind` (a key of :attr:`counts`) from now on fail, once, with `winerror`.

        Raises:
            ValueError: no such kind, or an `n` below 1. So do the two below.
        """
        self._caller.fail(kind, n, winerror)

    def meanwhile(self, kind: str, n: int, action: Callable[[], object]) -> None:
        """Call `action` just before the n-th operation of `kind` from now on: what somebody else does in between.

        It is called by the thread that makes the operation, and must not wait for another one.
        """
        self._caller.meanwhile(kind, n, action)

    def advance(self, seconds: float) -> None:
        """Let simulated time go on by hand."""
        with self._machine.lock:
            self._machine.clock.advance(seconds)

    def crash_at(self, kind: str | int, n: int = 1) -> None:
        """Make the calling process end at its n-th operation of `kind` from now on; a number alone: of any kind.

        That call and every later one raises :class:`SimulatedCrash`. Its handles are closed, its jobs' processes are
        dead, an SQLite transaction that was not committed is lost; files and descriptors are as they were.
        """
        if isinstance(kind, int):
            self._caller.crash_at("all", kind)
        else:
            self._caller.crash_at(kind, n)

    def crash(self) -> None:
        """End the calling process now."""
        self._caller.crash()

    def restart(self, *, new_logon: bool = False) -> Self:
        """The next process of the same user on the same machine, in the same logon session or a new one."""
        self._caller.crash()
        return self._another(self._machine.new_logon() if new_logon and self._has_logon else self._logon)

    def second_process(self) -> Self:
        """Another process of the same user in the same logon session, beside this one."""
        return self._another(self._logon)

    def _another(self, logon: Sid | None) -> Self:
        other = type(self).__new__(type(self))
        other.__dict__.update(self.__dict__)
        other._begin(logon)
        return other

    def close(self) -> None:
        """End the caller and every program, and remove what is real (a database's file)."""
        self._caller.crash()
        with self._machine.lock:
            for record in list(self._machine.processes.values()):
                record.end(1)
        self._machine.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # The caller's own streams

    def _standard_stream(self, number: int) -> DescriptorEnd | None:
        """A new end on the caller's standard stream."""
        path = self._standard_file(number)
        flags = os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_APPEND
        fd = os.open(path, flags | getattr(os, "O_BINARY", 0))
        return DescriptorEnd(self._machine, fd, console=self.console, writes=number != 0)

    def _standard_file(self, number: int) -> Path:
        path = self._machine.directory() / f"standard-{number}"
        if not path.exists():
            path.write_bytes(self._stdin if number == 0 else b"")
        return path

    # More machine

    def listen(self, port: int, handler: Callable[[str], bytes] = lambda url: b"") -> None:
        """Let somebody listen on the loopback: `handler` gets the URL asked for (of a proxy's client too)."""
        self._machine.listeners[port] = handler

    def serve(self, url: str, content: bytes) -> None:
        """What the world outside answers to ``http_get(url)``."""
        self._machine.web[url] = content

    def add_volume(
        self,
        letter: str,
        *,
        acls: bool = True,
        kind: VolumeKind = "fixed",
        filesystem: str | None = None,
        sddl: str | None = None,
    ) -> None:
        """Mount a volume at `letter` (``E:``): NTFS with the descriptor of a data drive, or FAT without ACLs.

        Raises:
            ValueError: no drive letter with its colon, or one that is taken (``C:`` and ``D:`` are from the start).
        """
        letter = self._free_letter(letter)
        descriptor = defaults.expand(sddl or defaults.DATA_DRIVE, str(self._machine.user)) if acls else None
        name = filesystem or ("NTFS" if acls else "FAT32")
        self._machine.add_disk(letter, descriptor=descriptor, filesystem=name, kind=kind)

    def remove_volume(self, letter: str) -> None:
        """Take a volume away, or a mapped or SUBST letter, as when a stick is pulled; ``C:`` stays.

        Raises:
            ValueError: there is none, or it is the system drive.
        """
        roots = self._machine.filesystem.roots
        taken = sorted(root for root in roots if len(root) == 2 and root != "C:")
        if letter.upper() not in taken:
            raise ValueError(f"there is no {letter!r} to take away; there are {', '.join(taken)}")
        del roots[letter.upper()]

    def add_share(self, path: str, *, letter: str | None = None, sddl: str | None = None) -> None:
        r"""Make a share ``\\server\share``, and map it to a letter. It does not see restricting SIDs."""
        if not re.fullmatch(r"\\\\[^\\/:]+\\[^\\/:]+", path):
            raise ValueError(rf"a share is written \\server\share, not {path!r}")
        letter = None if letter is None else self._free_letter(letter)
        descriptor = defaults.expand(sddl or defaults.DATA_DRIVE, str(self._machine.user))
        disk = self._machine.add_disk(path, descriptor=descriptor, remote=True)
        if letter is not None:
            self._machine.filesystem.mount(letter, disk.node.link())

    def subst(self, letter: str, path: str) -> None:
        """Let `letter` lead to a directory, as SUBST does."""
        self._machine.filesystem.mount(self._free_letter(letter), self._link(path))

    def _free_letter(self, letter: str) -> str:
        """``E:``, or ValueError: what is mounted under another name is never found, and hides nothing that is there."""
        taken = sorted(root for root in self._machine.filesystem.roots if len(root) == 2)
        if not re.fullmatch("[A-Za-z]:", letter):
            raise ValueError(f"a drive is written as a letter with its colon, such as 'E:', not {letter!r}")
        if letter.upper() in taken:
            raise ValueError(f"{letter.upper()} is taken; there are {', '.join(taken)}")
        return letter.upper()

    def add_key(self, path: str, sddl: str | None = None) -> None:
        r"""Make a registry key, ``HKCU\Software\...``."""
        self._machine.objects.add_key(path, sddl)

    def add_pipe_server(self, name: str, sddl: str | None = None) -> None:
        """A named pipe of the caller's."""
        self._machine.objects.create_pipe_server(name, self._caller.process, sddl)

    def add_event(self, name: str, sddl: str | None = None) -> None:
        """A named event of the caller's."""
        self._machine.objects.create_event(name, self._caller.process, sddl)

    @property
    def token(self) -> SimulatedToken:
        """The caller's token."""
        return self._caller.process.token.token

    def token_of(self, pid: int) -> SimulatedToken:
        """The token of a running process."""
        return self._machine.processes[pid].token.token

    def descriptor_of_process(self, pid: int) -> SecurityDescriptor:
        """The descriptor of a running process."""
        return SecurityDescriptor.from_bytes(self._machine.processes[pid].descriptor)


def _environment(machine: Machine, changes: Mapping[str, str]) -> dict[str, str]:
    profile = machine.profile
    base = {
        "ALLUSERSPROFILE": r"C:\ProgramData",
        "APPDATA": profile + r"\AppData\Roaming",
        "COMPUTERNAME": "SIMULATED",
        "ComSpec": r"C:\Windows\System32\cmd.exe",
        "HOMEDRIVE": "C:",
        "HOMEPATH": profile[2:],
        "LOCALAPPDATA": profile + r"\AppData\Local",
        "NUMBER_OF_PROCESSORS": "2",
        "OS": "Windows_NT",
        "Path": r"C:\Windows\System32;C:\Windows;C:\Windows\System32\WindowsPowerShell\v1.0;C:\Program Files\Git\cmd",
        "PATHEXT": ".COM;.EXE;.BAT;.CMD",
        "PROCESSOR_ARCHITECTURE": "AMD64",
        "ProgramData": r"C:\ProgramData",
        "ProgramFiles": r"C:\Program Files",
        "ProgramFiles(x86)": r"C:\Program Files (x86)",
        "PUBLIC": r"C:\Users\Public",
        "SystemDrive": "C:",
        "SystemRoot": r"C:\Windows",
        "TEMP": profile + r"\AppData\Local\Temp",
        "TMP": profile + r"\AppData\Local\Temp",
        "USERNAME": machine.user_name,
        "USERPROFILE": profile,
        "windir": r"C:\Windows",
    }
    spelled = {folded(name): name for name in changes}
    return {name: value for name, value in base.items() if folded(name) not in spelled} | dict(changes)
