"""Everything that winsandbox asks of an operating system: three Protocols, ``Files``, ``Tokens``, ``Processes``.

There are two implementations, WindowsHost in ``_win32.host`` and SimulatedHost in ``_sim``, and one contract suite that
both must pass. The planner, the walker, the token maker and the launcher know only what stands here; so each of them
runs, unchanged, in memory on any OS.

Rules for every implementation

* Paths are Windows paths with a drive letter, without the ``\\\\?\\`` prefix; the host adds it where a call needs it.
* A failing call raises ``errors.WinError`` with the code that Windows gives, and leaves no handle open.
* Nothing here follows a reparse point in the last component unless ``follow=True`` is said; the relative calls
  (``open_at``, ``create_directory``, ``create_file``) never do. A path-based call is only for places that the sandboxed
  child cannot change while the call runs; everything below a writable root goes through a parent's handle.
* Access masks are Windows' own bits (``_security.mask``); security descriptors are self-relative bytes, ACLs ACL bytes.
* Every method may be called from several threads at once.

Above 500 lines because it is one contract, read as a whole; there is next to no code in it.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, Protocol, Self

from .errors import UnsupportedHost

if TYPE_CHECKING:
    import sqlite3
    from types import TracebackType

    from ._security.sid import Sid
    from ._security.token import Token

SHARE_READ: Final = 0x1
SHARE_WRITE: Final = 0x2
SHARE_DELETE: Final = 0x4
SHARE_ALL: Final = 0x7

ATTRIBUTE_READONLY: Final = 0x1
ATTRIBUTE_DIRECTORY: Final = 0x10
ATTRIBUTE_REPARSE_POINT: Final = 0x400
ATTRIBUTE_OFFLINE: Final = 0x1000
ATTRIBUTE_RECALL_ON_OPEN: Final = 0x40000
ATTRIBUTE_RECALL_ON_DATA_ACCESS: Final = 0x400000

REPARSE_MOUNT_POINT: Final = 0xA0000003
REPARSE_SYMLINK: Final = 0xA000000C
REPARSE_APPEXECLINK: Final = 0x8000001B

VOLUME_PERSISTENT_ACLS: Final = 0x8


class Handle:
    """One owned handle: closed once, by ``close``, at the end of a ``with`` block, or when it is forgotten.

    ``value`` is the host's own number (a HANDLE on Windows); a closed handle's value raises ``ValueError`` instead of
    naming whatever object got the number next.
    """

    __slots__ = ("__weakref__", "_cell", "_close")

    def __init__(self, value: int, close: Callable[[int], None]) -> None:
        # A list, because its pop is atomic: two threads that close at once must not close a number twice, which
        # would close somebody else's new handle.
        self._cell = [value]
        self._close = close

    @property
    def value(self) -> int:
        try:
            return self._cell[0]
        except IndexError:
            raise ValueError("the handle is closed") from None

    @property
    def closed(self) -> bool:
        return not self._cell

    def close(self) -> None:
        """Close the handle; a second call does nothing."""
        try:
            value = self._cell.pop()
        except IndexError:
            return
        self._close(value)

    def detach(self) -> int:
        """Give the number, and the duty to close it, to the caller."""
        try:
            return self._cell.pop()
        except IndexError:
            raise ValueError("the handle is closed") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self, _finalizing: Callable[[], bool] = sys.is_finalizing) -> None:
        # At the end of the interpreter the modules that would close it may be gone; the system closes it then.
        if not _finalizing():
            self.close()

    def __repr__(self) -> str:
        return f"<Handle {self._cell[0]:#x}>" if self._cell else "<Handle closed>"


class FileId(NamedTuple):
    """What stays the same whatever an object is called: FILE_ID_INFO's volume serial number and 128-bit file id."""

    volume: int
    file: int

    def __str__(self) -> str:
        return f"{self.volume:016x}:{self.file:032x}"


@dataclass(frozen=True, slots=True)
class FileInfo:
    """An open object. Times are FILETIMEs (100 ns since 1601-01-01 UTC); ``links`` counts hard links."""

    identity: FileId
    attributes: int
    reparse_tag: int
    links: int
    size: int
    modified: int
    changed: int

    @property
    def directory(self) -> bool:
        return bool(self.attributes & ATTRIBUTE_DIRECTORY)

    @property
    def reparse(self) -> bool:
        return bool(self.attributes & ATTRIBUTE_REPARSE_POINT)


@dataclass(frozen=True, slots=True)
class Entry:
    """One name in a directory, as the directory lists it (never ``.`` or ``..``)."""

    name: str
    identity: FileId
    attributes: int
    reparse_tag: int
    size: int
    modified: int
    changed: int

    @property
    def directory(self) -> bool:
        return bool(self.attributes & ATTRIBUTE_DIRECTORY)

    @property
    def reparse(self) -> bool:
        return bool(self.attributes & ATTRIBUTE_REPARSE_POINT)


VolumeKind = Literal["fixed", "removable", "remote", "ramdisk", "cdrom", "unknown"]


@dataclass(frozen=True, slots=True)
class Volume:
    """The volume of an open object, or a mounted drive. ``flags`` are GetVolumeInformation's."""

    root: str
    serial: int
    filesystem: str
    flags: int
    kind: VolumeKind

    @property
    def persistent_acls(self) -> bool:
        return bool(self.flags & VOLUME_PERSISTENT_ACLS)


@dataclass(frozen=True, slots=True)
class KnownFolders:
    """SHGetKnownFolderPath's answers for the caller; ``startup`` holds the user's and the common Startup folder."""

    windows: str
    system: str
    program_files: tuple[str, ...]
    program_data: str
    profiles: str
    profile: str
    local_app_data: str
    roaming_app_data: str
    local_app_data_low: str
    startup: tuple[str, ...]
    public: str


class Files(Protocol):
    """Objects on volumes, through handles."""

    def open(self, path: str, access: int, *, share: int = SHARE_ALL, follow: bool = False) -> Handle:
        """Open an existing file or directory by its absolute path (backup semantics, as directories need)."""
        ...

    def open_at(self, parent: Handle, name: str, access: int, *, share: int = SHARE_ALL) -> Handle:
        """Open the entry `name` (one component) of the directory `parent`; a reparse point is opened itself."""
        ...

    def create_directory(
        self, parent: Handle, name: str, access: int, *, descriptor: bytes | None = None, share: int = SHARE_ALL
    ) -> Handle:
        """Make a directory that must not exist (winerror 183) with the descriptor given, or by inheritance."""
        ...

    def create_file(
        self, parent: Handle, name: str, access: int, *, descriptor: bytes | None = None, share: int = SHARE_ALL
    ) -> Handle:
        """Make a file that must not exist (winerror 80 or 183)."""
        ...

    def read(self, handle: Handle, size: int) -> bytes:
        """Read at most `size` bytes from the handle's position; ``b""`` at the end."""
        ...

    def write(self, handle: Handle, data: bytes) -> None:
        """Write all of `data` at the handle's position."""
        ...

    def delete(self, handle: Handle) -> None:
        """Mark the object (opened with DELETE) for deletion; it goes when its last handle is closed. 145: not empty."""
        ...

    def info(self, handle: Handle) -> FileInfo: ...

    def final_path(self, handle: Handle) -> str:
        """The path with links, 8.3 names, SUBST drives and case resolved (GetFinalPathNameByHandleW, DOS form)."""
        ...

    def volume(self, handle: Handle) -> Volume: ...

    def entries(self, handle: Handle) -> Iterator[Entry]:
        """The names in a directory opened with FILE_LIST_DIRECTORY; streamed, in the volume's order."""
        ...

    def security(self, handle: Handle) -> bytes:
        """Owner, group, DACL and mandatory label (READ_CONTROL). No SACL but the label."""
        ...

    def set_security(self, handle: Handle, descriptor: bytes, *, dacl: bool = True, label: bool = False) -> None:
        """Store the DACL (WRITE_DAC) and/or label (WRITE_OWNER) on this one object in one call; nothing propagates."""
        ...

    def query(self, path: str, *, follow: bool = True) -> FileInfo | None:
        """What lies at `path`, or None where nothing does; other failures raise."""
        ...

    def known_folders(self) -> KnownFolders: ...

    def drives(self) -> tuple[Volume, ...]:
        """The mounted drive letters, those without persistent ACLs and network drives included."""
        ...

    def database(self, path: str) -> sqlite3.Connection:
        """Open (or make) the SQLite database at `path`: ``isolation_level=None``, any thread, busy timeout 0."""
        ...


Elevation = Literal["default", "full", "limited"]


@dataclass(frozen=True, slots=True)
class TokenInfo:
    """A token as read back. None in an optional field means: this host does not tell (Wine), and never counts as yes.

    ``token`` is the model that access checks take; ``restricted`` is TokenIsRestricted / IsTokenRestricted;
    ``elevated`` TokenElevation; ``elevation`` TokenElevationType; ``session`` the terminal-services session id.
    """

    token: Token
    logon: Sid | None
    owner: Sid
    primary_group: Sid
    default_dacl: bytes | None
    restricted: bool | None
    elevated: bool
    elevation: Elevation
    app_container: bool
    session: int


class Tokens(Protocol):
    """Access tokens."""

    def current(self) -> Handle:
        """The caller's own primary token, opened for query, duplicate, assign-primary and adjust."""
        ...

    def inspect(self, token: Handle) -> TokenInfo: ...

    def restrict(
        self,
        token: Handle,
        *,
        flags: int,
        disable: Sequence[Sid] = (),
        delete: Sequence[str] = (),
        restrict: Sequence[Sid] = (),
    ) -> Handle:
        """CreateRestrictedToken: flags as there, SIDs made deny-only, privileges removed, restricting SIDs added."""
        ...

    def set_default_dacl(self, token: Handle, dacl: bytes) -> None: ...

    def set_owner(self, token: Handle, owner: Sid) -> None: ...

    def set_integrity(self, token: Handle, level: int) -> None:
        """Lower the integrity level: 0x1000 Low, 0x2000 Medium."""
        ...

    def enable_only(self, token: Handle, privileges: Sequence[str]) -> None:
        """Enable exactly these privileges (AdjustTokenPrivileges); a missing one is winerror 1300."""
        ...

    def access(self, token: Handle, descriptor: bytes, desired: int) -> int | None:
        """AccessCheck with an impersonation copy of `token` for a file: the granted mask, or None when denied."""
        ...


@dataclass(frozen=True, slots=True)
class JobLimits:
    """Limits of one job. Bytes, seconds; None: no limit. ``ui`` holds JOB_OBJECT_UILIMIT_* bits.

    Kill on close is always set and breakaway never allowed; they are no options.
    """

    memory: int | None = None
    processes: int | None = None
    cpu_time: float | None = None
    ui: int = 0


@dataclass(frozen=True, slots=True)
class Usage:
    """Job accounting after or while it runs: seconds and bytes. None: the host does not tell."""

    user_time: float | None
    kernel_time: float | None
    peak_memory: int | None
    read_bytes: int | None
    written_bytes: int | None
    processes: int
    limit_hit: str | None


@dataclass(frozen=True, slots=True)
class StartRequest:
    """One CreateProcessAsUserW: everything resolved, nothing left to a search order.

    ``application`` is an absolute path; ``handles`` are exactly the three standard handles (None: no handle at all);
    ``flags`` are process creation flags besides the ones the host must add; ``desktop`` is ``station\\name``, or None
    for that of the caller.
    """

    application: str
    command_line: str
    environment: Mapping[str, str]
    cwd: str
    token: Handle
    job: Handle
    handles: tuple[Handle | None, Handle | None, Handle | None]
    flags: int = 0
    desktop: str | None = None


@dataclass(frozen=True, slots=True)
class Started:
    process: Handle
    pid: int


class Station(NamedTuple):
    """Where the calling process has its windows.

    ``name`` is its window station (``WinSta0``; in a service, a task without a logon or an SSH session one such as
    ``Service-0x0-3e7$``), ``visible`` whether that has a display, ``desktop`` the calling thread's desktop in it.
    """

    name: str
    visible: bool
    desktop: str


class ProcessId(NamedTuple):
    """A process that cannot be mistaken for a later one with the same number: pid and creation time (FILETIME)."""

    pid: int
    created: int


class Processes(Protocol):
    """Processes, jobs, pipes, desktops, and the clock that their time limits run on."""

    def environment(self) -> dict[str, str]:
        """The caller's own environment (``os.environ``; a simulated one in memory)."""
        ...

    def pipe(self, *, child_reads: bool, overlapped: bool = False) -> tuple[Handle, Handle]:
        """A pipe as (our end, the child's end), neither inheritable; `overlapped`: ours is for asyncio's proactor."""
        ...

    def descriptor(self, handle: Handle, *, write: bool) -> int:
        """Turn our end of a pipe into a C file descriptor; the handle is given up to it."""
        ...

    def endpoint(self, handle: Handle) -> object:
        """Turn our overlapped end into what ``loop.connect_read_pipe`` (or write) takes; the handle is given up."""
        ...

    def null(self, *, write: bool) -> Handle: ...

    def duplicate_descriptor(self, fd: int) -> Handle:
        """A handle of our own to the object below the C file descriptor `fd`."""
        ...

    def standard(self, number: Literal[0, 1, 2]) -> Handle | None:
        """A duplicate of the caller's own standard handle, None when it has none."""
        ...

    def is_console(self, handle: Handle) -> bool: ...

    def has_console(self) -> bool:
        """Whether the calling process is attached to a console."""
        ...

    def create_job(self, limits: JobLimits) -> Handle:
        """A job with kill-on-close, no breakaway, and `limits`. A limit that the host refuses raises."""
        ...

    def terminate_job(self, job: Handle, code: int) -> None: ...

    def job_processes(self, job: Handle) -> tuple[int, ...]: ...

    def wait_job(self, job: Handle, timeout: float | None) -> bool:
        """Wait (seconds) until no process is left in the job; False when the time is over first."""
        ...

    def job_usage(self, job: Handle) -> Usage: ...

    def start(self, request: StartRequest) -> Started:
        """CreateProcessAsUserW with STARTUPINFOEX: the job list and exactly the handles of the request."""
        ...

    def wait(self, process: Handle, timeout: float | None) -> bool:
        """Wait (seconds; 0 polls) for a process to end; False when the time is over first."""
        ...

    def exit_code(self, process: Handle) -> int:
        """The exit code (unsigned 32 bits) of a process that has ended."""
        ...

    def control_break(self, pid: int) -> None:
        """GenerateConsoleCtrlEvent(CTRL_BREAK_EVENT) for the process group of `pid`."""
        ...

    def station(self) -> Station:
        """The window station and desktop of the caller; WinError where it has none."""
        ...

    def create_desktop(self, name: str, descriptor: bytes) -> Handle:
        """Make a desktop in the caller's window station, wherever that is; `name` is without the station."""
        ...

    def job_refuses_ui_limits(self) -> bool | None:
        """Whether the caller's own job keeps a nested job from having UI limits; None: cannot be told."""
        ...

    def current(self) -> ProcessId: ...

    def alive(self, process: ProcessId) -> bool:
        """Whether that very process still runs."""
        ...

    def clock(self) -> float:
        """Monotonic seconds; simulated time on a simulated host."""
        ...

    def time(self) -> float:
        """Seconds since the epoch."""
        ...

    def random(self, size: int) -> bytes:
        """Bytes from the operating system's generator (``os.urandom``; seeded on a simulated host)."""
        ...


HostKind = Literal["windows", "wine", "simulated"]


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What kind of host this is, as far as it can be told without trying.

    ``restricts`` says whether a write-restricted token is known to restrict here: False for Wine, True for a simulated
    host, None on Windows, where the token is read back each time.
    """

    kind: HostKind
    system: str
    build: int
    machine: str
    restricts: bool | None
    stores_acls: bool | None


class Host(Protocol):
    """An operating system, or a model of one."""

    @property
    def files(self) -> Files: ...

    @property
    def tokens(self) -> Tokens: ...

    @property
    def processes(self) -> Processes: ...

    def capabilities(self) -> Capabilities: ...


_default: Host | None = None
_default_lock = threading.Lock()


def default_host() -> Host:
    """The operating system that this process runs on: one object for the process, since sandboxes share what it made.

    Raises:
        UnsupportedHost: anywhere but on Windows (Wine counts as Windows, and says of itself what it does not enforce).
    """
    if sys.platform == "win32":
        from ._win32.host import WindowsHost

        global _default
        with _default_lock:
            if _default is None:
                _default = WindowsHost()
            return _default
    else:  # mypy follows a platform test only with both branches in place
        raise UnsupportedHost(
            f"winsandbox enforces a policy on Windows only; this is {sys.platform}.",
            remedy="Here a policy can be checked, explained and simulated: give a SimulatedHost, or run "
            f"`python -P -m {__package__} check`.",
            code="host.platform",
        )
