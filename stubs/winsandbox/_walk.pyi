# Private, but part of signatures: what may be passed as `progress` and `cancel`.
from collections.abc import Callable
from typing import Any, Protocol

def __getattr__(name: str) -> Any: ...

Progress = Callable[[int, int | None, str, float], object]

class Cancel(Protocol):
    def is_set(self) -> bool: ...
