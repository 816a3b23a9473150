from dataclasses import dataclass
from os import PathLike
from typing import Any, Literal

from ._host import Host
from .policy import Policy

__all__ = ["Decision", "explain"]

@dataclass(frozen=True, slots=True)
class Decision:
    allowed: bool
    access: Literal["read", "write", "create", "delete", "execute"]
    path: str
    target: str
    rule: str
    reason: str
    instead: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]: ...
    def to_text(self) -> str: ...

def explain(
    policy: Policy,
    path: str | PathLike[str],
    access: str = "write",
    *,
    host: Host | None = None,
    state_dir: str | PathLike[str] | None = None,
) -> Decision: ...
