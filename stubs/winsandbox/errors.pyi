from dataclasses import dataclass

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

class WinError(OSError):
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
    ) -> WinError: ...
    def __init__(
        self,
        winerror: int,
        function: str,
        path: str | None = None,
        *,
        message: str = "",
        status: int | None = None,
    ) -> None: ...
    def __reduce__(self) -> tuple[object, ...]: ...

class SandboxError(Exception):
    code: str
    remedy: str
    message: str
    def __init__(self, message: str, *, remedy: str = "", code: str = "") -> None: ...
    def __reduce__(self) -> tuple[object, ...]: ...

@dataclass(frozen=True, slots=True)
class Mistake:
    path: str
    reason: str
    remedy: str
    code: str = "policy"

class PolicyError(SandboxError, ValueError):
    mistakes: tuple[Mistake, ...]
    def __init__(self, mistakes: tuple[Mistake, ...] | list[Mistake], *, code: str = "") -> None: ...

class RootRefused(PolicyError): ...
class ScriptError(PolicyError): ...
class UnsupportedHost(SandboxError, RuntimeError): ...
class EnforcementError(SandboxError, RuntimeError): ...
class LedgerError(SandboxError, RuntimeError): ...
class GrantInUse(SandboxError, RuntimeError): ...
class SandboxClosed(SandboxError, RuntimeError): ...

class _HostCallError(SandboxError, OSError):
    winerror: int
    function: str
    def __init__(
        self,
        message: str,
        *,
        cause: OSError | None = None,
        path: str | None = None,
        remedy: str = "",
        code: str = "",
    ) -> None: ...
    def __reduce__(self) -> tuple[object, ...]: ...

class AclError(_HostCallError): ...
class TokenError(_HostCallError): ...
class SpawnError(_HostCallError): ...
class WorkingDirectoryError(SpawnError, FileNotFoundError, NotADirectoryError): ...
class CommandNotFound(_HostCallError, FileNotFoundError): ...
class CommandRefused(_HostCallError, PermissionError): ...
