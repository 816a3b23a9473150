import os
import subprocess
from abc import ABC
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import IO, Any, Final, Self

from _typeshed import ReadableBuffer

from ._host import Host, Usage
from ._pipes import Pump, TextMode
from ._tree import Tree

__all__ = ["DRAIN_SECONDS", "Process", "decode", "explain_exit", "run"]

DRAIN_SECONDS: Final = 2.0

class ProcessBase(ABC):
    args: Sequence[str | os.PathLike[str]]
    notes: tuple[str, ...]
    violations: tuple[Any, ...]
    def __init__(
        self,
        host: Host,
        tree: Tree,
        args: Sequence[str | os.PathLike[str]],
        *,
        pumps: Sequence[Pump] = (),
        notes: Sequence[str] = (),
        shared_console: bool = False,
        finished: Callable[[Any], None] | None = None,
        forgotten: Callable[[Any], None] | None = None,
    ) -> None: ...
    @property
    def pid(self) -> int: ...
    @property
    def returncode(self) -> int | None: ...
    @property
    def usage(self) -> Usage | None: ...
    @property
    def limit(self) -> str | None: ...
    def send_signal(self, sig: int) -> None: ...
    def kill(self) -> None: ...
    def terminate(self) -> None: ...
    def close(self) -> None: ...
    def __del__(self, _warn: Callable[..., None] = ...) -> None: ...

class Process(ProcessBase):
    stdin: IO[Any] | None
    stdout: IO[Any] | None
    stderr: IO[Any] | None
    def __init__(
        self,
        host: Host,
        tree: Tree,
        args: Sequence[str | os.PathLike[str]],
        files: tuple[IO[Any] | None, IO[Any] | None, IO[Any] | None],
        mode: TextMode | None,
        *,
        pumps: Sequence[Pump] = (),
        notes: Sequence[str] = (),
        shared_console: bool = False,
        finished: Callable[[Any], None] | None = None,
        forgotten: Callable[[Any], None] | None = None,
    ) -> None: ...
    @property
    def universal_newlines(self) -> bool: ...
    def poll(self) -> int | None: ...
    def wait(self, timeout: float | None = None) -> int: ...
    def communicate(
        self, input: str | ReadableBuffer | None = None, timeout: float | None = None
    ) -> tuple[Any, Any]: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

def run(
    process: Process,
    *,
    input: str | ReadableBuffer | None = None,
    timeout: float | None = None,
    check: bool = False,
) -> subprocess.CompletedProcess[Any]: ...
def decode(data: bytes, oem: int | None = None) -> str: ...
def explain_exit(code: int) -> str | None: ...
