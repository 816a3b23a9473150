# Private, but Sandbox.measure() returns it: what of it may be relied on.
from dataclasses import dataclass
from typing import Any

def __getattr__(name: str) -> Any: ...

@dataclass(frozen=True, slots=True)
class Survey:
    root: str
    findings: Any
    complete: bool
    seconds: float
    def to_dict(self) -> dict[str, Any]: ...
