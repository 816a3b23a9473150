# Private, but part of signatures: hosts are made by this library (testing.SimulatedHost), not by its users.
from dataclasses import dataclass
from typing import Any, Protocol

def __getattr__(name: str) -> Any: ...

class Handle:
    @property
    def value(self) -> int: ...
    @property
    def closed(self) -> bool: ...
    def close(self) -> None: ...
    def __getattr__(self, name: str) -> Any: ...

@dataclass(frozen=True, slots=True)
class Usage:
    user_time: float | None
    kernel_time: float | None
    peak_memory: int | None
    read_bytes: int | None
    written_bytes: int | None
    processes: int
    limit_hit: str | None

class Host(Protocol):
    @property
    def files(self) -> Any: ...
    @property
    def tokens(self) -> Any: ...
    @property
    def processes(self) -> Any: ...
    def capabilities(self) -> Any: ...
