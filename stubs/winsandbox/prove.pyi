import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ._host import Host
from .enforcement import Aspect, Level
from .policy import Policy

__all__ = ["AspectProof", "CaseProof", "Proof", "prove"]

@dataclass(frozen=True, slots=True)
class CaseProof:
    name: str
    text: str
    result: str
    details: tuple[str, ...] = ()
    def to_dict(self) -> dict[str, Any]: ...

@dataclass(frozen=True, slots=True)
class AspectProof:
    aspect: Aspect
    level: Level
    proven: bool
    cases: tuple[CaseProof, ...]
    def to_dict(self) -> dict[str, Any]: ...

@dataclass(frozen=True, slots=True)
class Proof:
    host: str
    volume: str
    aspects: tuple[AspectProof, ...]
    recorded: bool
    seconds: float
    notes: tuple[str, ...] = ()
    @property
    def holds(self) -> bool: ...
    def to_dict(self) -> dict[str, Any]: ...
    def to_text(self) -> str: ...

def prove(
    policy: Policy | None = None,
    *,
    host: Host | None = None,
    state_dir: str | os.PathLike[str] | None = None,
    record: bool = True,
    progress: Callable[[int, int, str], object] | None = None,
) -> Proof: ...
