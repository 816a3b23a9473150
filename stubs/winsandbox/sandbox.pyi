import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from types import TracebackType
from typing import IO, Any, Final, Literal, Self

from ._async import AsyncProcess
from ._count import Survey
from ._findings import GrantReport
from ._host import Host
from ._plan import Plan
from .enforcement import Enforcement
from .explain import Decision
from .limits import Limits
from .policy import Policy
from .process import Process

__all__ = ["Sandbox"]

class Sandbox:
    policy: Final[Policy]
    def __init__(
        self,
        policy: Policy,
        *,
        require: Literal["best-effort", "full", "proven"] = "full",
        keep: Literal["forever", "session"] = "forever",
        progress: Callable[[int, int | None, str, float], object] | None = None,
        state_dir: str | PathLike[str] | None = None,
        audit_log: bool = False,
        host: Host | None = None,
    ) -> None: ...
    def plan(self) -> Plan: ...
    @property
    def enforcement(self) -> Enforcement: ...
    @property
    def grant_report(self) -> GrantReport: ...
    def measure(self, *, time_limit: float | None = 5.0) -> tuple[Survey, ...]: ...
    def explain(self, path: str | PathLike[str], access: str = "write") -> Decision: ...
    def prepare(self, *, cancel: threading.Event | None = None, time_limit: float | None = None) -> None: ...
    def close(self) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
    async def __aenter__(self) -> Self: ...
    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
    def spawn(
        self,
        args: Sequence[str | PathLike[str]],
        *,
        stdin: int | IO[Any] | None = None,
        stdout: int | IO[Any] | None = None,
        stderr: int | IO[Any] | None = None,
        cwd: str | PathLike[str] | None = None,
        env: Mapping[str, str] | None = None,
        text: bool | None = None,
        encoding: str | None = None,
        errors: str | None = None,
        universal_newlines: bool | None = None,
        bufsize: int = -1,
        limits: Limits | None = None,
        shell: Literal[False] = False,
    ) -> Process: ...
    def run(
        self,
        args: Sequence[str | PathLike[str]],
        *,
        input: str | bytes | None = None,
        capture_output: bool = False,
        timeout: float | None = None,
        check: bool = False,
        stdin: int | IO[Any] | None = None,
        stdout: int | IO[Any] | None = None,
        stderr: int | IO[Any] | None = None,
        cwd: str | PathLike[str] | None = None,
        env: Mapping[str, str] | None = None,
        text: bool | None = None,
        encoding: str | None = None,
        errors: str | None = None,
        universal_newlines: bool | None = None,
        bufsize: int = -1,
        limits: Limits | None = None,
        shell: Literal[False] = False,
    ) -> subprocess.CompletedProcess[Any]: ...
    async def spawn_async(
        self,
        args: Sequence[str | PathLike[str]],
        *,
        stdin: int | IO[Any] | None = None,
        stdout: int | IO[Any] | None = None,
        stderr: int | IO[Any] | None = None,
        cwd: str | PathLike[str] | None = None,
        env: Mapping[str, str] | None = None,
        limits: Limits | None = None,
        shell: Literal[False] = False,
    ) -> AsyncProcess: ...
