# Private, but part of signatures: what may be passed as `progress`, `touched` and `cancel`.
from collections.abc import Callable
from typing import Any, Protocol

def __getattr__(name: str) -> Any: ...

Progress = Callable[[int, int | None, str, float], object]
Touched = Callable[[str], object]

class Cancel(Protocol):
    def is_set(self) -> bool: ...
