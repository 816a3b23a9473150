import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ._host import Host

__all__ = ["Diagnosis", "Finding", "doctor"]

@dataclass(frozen=True, slots=True)
class Finding:
    severity: Literal["error", "warning", "info"]
    subject: str
    text: str
    remedy: str = ""

@dataclass(frozen=True, slots=True)
class Diagnosis:
    system: str
    findings: tuple[Finding, ...]
    @property
    def ok(self) -> bool: ...
    def to_dict(self) -> dict[str, Any]: ...
    def to_text(self) -> str: ...

def doctor(
    command: Sequence[str | os.PathLike[str]] | None = None,
    *,
    cwd: str | os.PathLike[str] | None = None,
    host: Host | None = None,
) -> Diagnosis: ...
