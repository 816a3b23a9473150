"""The error tree of winsandbox.

Three kinds, told apart by class:

* a mistake of the caller: :class:`PolicyError` (a ``ValueError``), with every mistake of the input in one exception;
* a host that cannot do what was asked: :class:`UnsupportedHost`, :class:`EnforcementError`;
* a call to Windows that failed: :class:`WinError` (an ``OSError``) below, wrapped where the step is known by
  :class:`AclError`, :class:`TokenError`, :class:`SpawnError`, :class:`CommandNotFound` and so on.

Every :class:`SandboxError` has ``code`` (a stable word for programs), ``remedy`` (a sentence for people) and prints
what went wrong as well as what to do. A command's own end is told with the classes of :mod:`subprocess`
(``TimeoutExpired``, ``CalledProcessError``), not with these.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Self

__all__ = [
    "AclError",
    "CommandNotFound",
    "CommandRefused",
    "EnforcementError",
    "GrantInUse",
    "LedgerError",
    "Mistake",
    "PolicyError",
    "RootRefused",
    "SandboxClosed",
    "SandboxError",
    "ScriptError",
    "SpawnError",
    "TokenError",
    "UnsupportedHost",
    "WinError",
    "WorkingDirectoryError",
]


# Windows' own mapping of the codes that this library meets (the C runtime's _dosmaperr); kept here because
# CPython offers it on Windows only and the same exceptions have to be raised by a simulated host on any OS.
_ERRNO = {
    2: errno.ENOENT,  # ERROR_FILE_NOT_FOUND
    3: errno.ENOENT,  # ERROR_PATH_NOT_FOUND
    4: errno.EMFILE,  # ERROR_TOO_MANY_OPEN_FILES
    5: errno.EACCES,  # ERROR_ACCESS_DENIED
    6: errno.EBADF,  # ERROR_INVALID_HANDLE
    8: errno.ENOMEM,  # ERROR_NOT_ENOUGH_MEMORY
    15: errno.ENOENT,  # ERROR_INVALID_DRIVE
    17: errno.EXDEV,  # ERROR_NOT_SAME_DEVICE
    19: errno.EACCES,  # ERROR_WRITE_PROTECT
    32: errno.EACCES,  # ERROR_SHARING_VIOLATION
    33: errno.EACCES,  # ERROR_LOCK_VIOLATION
    80: errno.EEXIST,  # ERROR_FILE_EXISTS
    87: errno.EINVAL,  # ERROR_INVALID_PARAMETER
    109: errno.EPIPE,  # ERROR_BROKEN_PIPE
    112: errno.ENOSPC,  # ERROR_DISK_FULL
    123: errno.EINVAL,  # ERROR_INVALID_NAME
    145: errno.ENOTEMPTY,  # ERROR_DIR_NOT_EMPTY
    161: errno.ENOENT,  # ERROR_BAD_PATHNAME
    183: errno.EEXIST,  # ERROR_ALREADY_EXISTS
    206: errno.ENOENT,  # ERROR_FILENAME_EXCED_RANGE
    232: errno.EPIPE,  # ERROR_NO_DATA
    267: errno.ENOTDIR,  # ERROR_DIRECTORY
    1314: errno.EACCES,  # ERROR_PRIVILEGE_NOT_HELD
    10061: errno.ECONNREFUSED,  # WSAECONNREFUSED
}

# What the codes say, for a host that has no FormatMessage to ask.
_TEXTS = {
    1: "Not supported here",
    2: "There is no such file",
    3: "There is no such directory on the way",
    5: "Access is denied",
    6: "The handle is not valid",
    17: "The two are on different volumes",
    32: "Another process has it open",
    80: "The file exists already",
    87: "A parameter is wrong",
    109: "The pipe has ended",
    123: "The name is not valid",
    145: "The directory is not empty",
    183: "It exists already",
    193: "It is no program for this Windows",
    206: "The name is too long",
    231: "All instances of the pipe are busy",
    232: "The pipe is being closed",
    267: "It is no directory",
    1142: "The file has as many hard links as it can have",
    1300: "Not all of the privileges are held",
    1307: "This SID may not be the owner",
    1314: "A privilege that this takes is not held",
    1336: "The access control list is not valid",
    1338: "The security descriptor is not valid",
    1455: "There is too little memory",
    1816: "The quota is used up",
    1920: "The file cannot be accessed",
    1921: "The link cannot be followed",
    10061: "The connection was refused",
}


class WinError(OSError):
    """A Windows call that failed.

    ``WinError(5, "OpenProcessToken")`` makes the subclass that fits the code (here also a
    ``PermissionError``), on every OS.

    Attributes:
        winerror: the Win32 error code (System Error Codes, Microsoft Learn), or the NTSTATUS mapped to one.
        function: the function that failed, by its Windows name.
        filename: the path concerned, or None.
        status: the NTSTATUS where the native call gave a finer one, else None.
    """

    winerror: int
    function: str
    status: int | None

    def __new__(
        cls,
        winerror: int,
        function: str,
        path: str | None = None,
        *,
        message: str = "",
        status: int | None = None,
    ) -> WinError:
        number = _ERRNO.get(winerror, errno.EINVAL)
        chosen = _BY_ERRNO.get(number, cls) if cls is WinError else cls
        # OSError takes errno, strerror and filename here: its __init__ does nothing for a class with a __new__.
        return super().__new__(chosen, number, message or f"{function} failed", path)

    def __init__(
        self,
        winerror: int,
        function: str,
        path: str | None = None,
        *,
        message: str = "",
        status: int | None = None,
    ) -> None:
        self.winerror = winerror
        self.function = function
        self.status = status
        self._message = message

    def __str__(self) -> str:
        what = self._message.strip().rstrip(".") or _TEXTS.get(self.winerror, "")
        text = f"{self.function}: [WinError {self.winerror}]" + (f" {what}" if what else "")
        if self.status is not None:
            text += f" (NTSTATUS 0x{self.status & 0xFFFFFFFF:08X})"
        if self.filename is None:
            return text
        # As it is written elsewhere, with single backslashes; what would break the line or the output is escaped.
        return f"{text}: '{self.filename}'" if str(self.filename).isprintable() else f"{text}: {self.filename!r}"

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild_win_error, (self.winerror, self.function, self.filename, self._message, self.status)


def _rebuild_win_error(winerror: int, function: str, path: str | None, message: str, status: int | None) -> WinError:
    return WinError(winerror, function, path, message=message, status=status)


class _NotFound(WinError, FileNotFoundError):
    pass


class _Denied(WinError, PermissionError):
    pass


class _Exists(WinError, FileExistsError):
    pass


class _NotADirectory(WinError, NotADirectoryError):
    pass


class _BrokenPipe(WinError, BrokenPipeError):
    pass


class _Refused(WinError, ConnectionRefusedError):
    pass


_BY_ERRNO: dict[int, type[WinError]] = {
    errno.ENOENT: _NotFound,
    errno.EACCES: _Denied,
    errno.EEXIST: _Exists,
    errno.ENOTDIR: _NotADirectory,
    errno.EPIPE: _BrokenPipe,
    errno.ECONNREFUSED: _Refused,
}


class SandboxError(Exception):
    """Base of all errors that winsandbox raises itself.

    Attributes:
        code: a stable word for programs, such as ``"policy"`` or ``"acl.write-dac"``.
        remedy: what the reader can do, one sentence, or ``""``.
    """

    code: str = "sandbox"
    remedy: str = ""

    def __init__(self, message: str, *, remedy: str = "", code: str = "") -> None:
        super().__init__(message)
        self.message = message
        if remedy:
            self.remedy = remedy
        if code:
            self.code = code

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}" if self.remedy else self.message

    def __reduce__(self) -> tuple[object, ...]:
        # Exceptions cross process boundaries (multiprocessing, concurrent.futures): keep every field.
        return _rebuild, (type(self), self.args, self.__dict__)


def _rebuild(cls: type[SandboxError], args: tuple[object, ...], fields: dict[str, object]) -> SandboxError:
    error = cls.__new__(cls)
    error.args = args
    for name, value in fields.items():
        setattr(error, name, value)
    return error


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing that is wrong with a policy.

    Attributes:
        path: the path, or the field's name (``"limits.memory"``), that is wrong, as the caller wrote it.
        reason: why it is refused.
        remedy: what to write instead.
        code: a stable word for programs.
    """

    path: str
    reason: str
    remedy: str
    code: str = "policy"

    def __str__(self) -> str:
        return f"{self.path or '(empty)'}: {self.reason} {self.remedy}".rstrip()


class PolicyError(SandboxError, ValueError):
    """A policy is wrong. ``mistakes`` holds *all* of its mistakes, not the first one only."""

    code = "policy"
    _subject = "policy"

    def __init__(self, mistakes: tuple[Mistake, ...] | list[Mistake], *, code: str = "") -> None:
        self.mistakes: tuple[Mistake, ...] = tuple(mistakes)
        count = len(self.mistakes)
        head = f"the {self._subject} has " + ("a mistake" if count == 1 else f"{count} mistakes")
        super().__init__("\n  ".join([head + ":", *map(str, self.mistakes)]), code=code)

    def _about(self, subject: str) -> Self:
        """The same, of something else that was read by the same rules: a path, where there is no policy at all."""
        self.message = self.message.replace(f"the {self._subject} has", f"the {subject} has", 1)
        self.args, self._subject = (self.message,), subject
        return self


class RootRefused(PolicyError):
    """A writable root that reads well but, on this host, is refused: a link, a volume without ACLs, no WRITE_DAC ..."""

    code = "root"


class ScriptError(PolicyError):
    """A script of operations (``simulate``), or the verdicts expected of it, cannot be read; every mistake of it."""

    code = "script"
    _subject = "script"


class UnsupportedHost(SandboxError, RuntimeError):
    """This host cannot enforce the policy: another OS, an elevated or already sandboxed caller, an unknown Windows."""

    code = "host"


class EnforcementError(SandboxError, RuntimeError):
    """What ``require`` demands is not given: a token that is not restricted, an aspect not proven, a limit refused."""

    code = "enforcement"


class LedgerError(SandboxError, RuntimeError):
    """The ledger or the secret in the state directory is damaged, of another version, or cannot be locked in time."""

    code = "ledger"


class GrantInUse(SandboxError, RuntimeError):
    """A grant cannot be forgotten because a running sandbox holds it."""

    code = "grants.in-use"


class SandboxClosed(SandboxError, RuntimeError):
    """The sandbox was closed."""

    code = "closed"


class _HostCallError(SandboxError, OSError):
    """A step that failed because a call to Windows failed; carries that call's code, function and path."""

    def __init__(
        self,
        message: str,
        *,
        cause: OSError | None = None,
        path: str | None = None,
        remedy: str = "",
        code: str = "",
    ) -> None:
        SandboxError.__init__(self, message, remedy=remedy, code=code)
        self.winerror = getattr(cause, "winerror", None) or 0
        self.function: str = getattr(cause, "function", "")
        self.errno = cause.errno if cause is not None else None
        self.strerror = message
        self.filename = path if path is not None else getattr(cause, "filename", None)
        self.__cause__ = cause

    def __reduce__(self) -> tuple[object, ...]:
        # OSError keeps these outside of __dict__ (winerror on Windows only).
        outside = {name: getattr(self, name) for name in ("errno", "strerror", "filename", "winerror")}
        return _rebuild, (type(self), self.args, self.__dict__ | outside)


class AclError(_HostCallError):
    """A security descriptor could not be read or written; the sandbox was not started."""

    code = "acl"


class TokenError(_HostCallError):
    """The restricted token could not be made as planned."""

    code = "token"


class SpawnError(_HostCallError):
    """The process could not be started."""

    code = "spawn"


class WorkingDirectoryError(SpawnError, FileNotFoundError, NotADirectoryError):
    """The command's working directory does not exist or is no directory; ``filename`` is that directory.

    Of both classes because Popen raises NotADirectoryError for it on Windows and FileNotFoundError elsewhere.
    """

    code = "spawn.cwd"


class CommandNotFound(_HostCallError, FileNotFoundError):
    """No such command on the child's PATH (the working directory is never searched)."""

    code = "command.not-found"


class CommandRefused(_HostCallError, PermissionError):
    """The command exists but cannot work, or cannot be started safely, in this sandbox; the message says why."""

    code = "command.refused"
