from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

__all__ = ["Aspect", "Basis", "Enforcement", "Level", "Verdict"]

class Aspect(StrEnum):
    WRITES_OUTSIDE = "writes outside"
    DELETES_OUTSIDE = "deletes outside"
    PROTECTED_PLACES = "protected places"
    READS = "reads"
    NETWORK = "network"
    NETWORK_SHARES = "network shares"
    REGISTRY = "registry"
    OTHER_PROCESSES = "other processes"
    CONSOLE = "console"
    USER_INTERFACE = "user interface"
    LIMITS = "limits"

class Level(StrEnum):
    ENFORCED = "enforced"
    PARTIAL = "partial"
    ADVISORY = "advisory"
    NONE = "none"
    UNKNOWN = "unknown"

    @property
    def holds(self) -> bool: ...

class Basis(StrEnum):
    PROVEN = "proven"
    DOCUMENTED = "documented"
    OBSERVED = "observed"
    SIMULATED = "simulated"

@dataclass(frozen=True, slots=True)
class Verdict:
    level: Level
    basis: Basis
    reason: str
    exceptions: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]: ...

@dataclass(frozen=True, slots=True)
class Enforcement(Mapping[Aspect, Verdict]):
    verdicts: tuple[tuple[Aspect, Verdict], ...]
    host: str
    notes: tuple[str, ...] = ()

    def __getitem__(self, aspect: Aspect) -> Verdict: ...
    def __iter__(self) -> Iterator[Aspect]: ...
    def __len__(self) -> int: ...
    def to_dict(self) -> dict[str, Any]: ...
    def to_text(self) -> str: ...
