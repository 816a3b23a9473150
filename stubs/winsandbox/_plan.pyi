# Private, but Sandbox.plan() returns it: what of it may be relied on.
from dataclasses import dataclass
from typing import Any

from .enforcement import Enforcement
from .policy import Policy

def __getattr__(name: str) -> Any: ...

@dataclass(frozen=True, slots=True)
class Plan:
    policy: Policy
    grants: tuple[Any, ...]
    user: Any
    logon: Any
    session: Any
    guards: bool
    low: bool
    token: Any
    desktop: str | None
    enforcement: Enforcement
    notes: tuple[str, ...] = ()
    def to_dict(self) -> dict[str, Any]: ...
    def to_text(self) -> str: ...
