import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ._host import Handle, Host
from ._security.token import Token

__all__ = ["AuditReport", "OpenPlace", "audit"]

@dataclass(frozen=True, slots=True)
class OpenPlace:
    path: str
    reason: str
    rights: int = 0
    def to_dict(self) -> dict[str, Any]: ...

@dataclass(frozen=True, slots=True)
class AuditReport:
    places: tuple[OpenPlace, ...]
    looked: tuple[str, ...]
    objects: int
    unreadable: int
    complete: bool
    seconds: float
    time_limit: float
    max_objects: int
    basis: str
    @property
    def gaps(self) -> tuple[str, ...]: ...
    def to_dict(self) -> dict[str, Any]: ...
    def to_text(self) -> str: ...

def audit(
    *,
    host: Host | None = None,
    places: Iterable[str | os.PathLike[str]] | None = None,
    time_limit: float = 2.0,
    max_objects: int = 50_000,
    token: Handle | Token | None = None,
) -> AuditReport: ...
