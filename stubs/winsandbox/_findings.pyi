# Private, but Sandbox.grant_report returns it.
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

def __getattr__(name: str) -> Any: ...

@dataclass(frozen=True, slots=True)
class ObjectError:
    path: str
    winerror: int
    remedy: str
    def to_dict(self) -> dict[str, Any]: ...

@dataclass(frozen=True, slots=True)
class GrantReport:
    objects: int = 0
    written: int = 0
    errors: tuple[ObjectError, ...] = ()
    hard_links: tuple[str, ...] = ()
    protected_dacls: tuple[str, ...] = ()
    null_dacls: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    placeholders: tuple[str, ...] = ()
    nested: tuple[str, ...] = ()
    counts: Mapping[str, int] = ...
    def to_dict(self) -> dict[str, Any]: ...
    def to_text(self, most: int = 5) -> str: ...
