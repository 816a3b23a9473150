from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["Limits"]

@dataclass(frozen=True, slots=True)
class Limits:
    memory: int | None = None
    processes: int | None = None
    cpu_time: float | None = None
    wall_time: float | None = None
    def __post_init__(self) -> None: ...
    def to_dict(self) -> dict[str, object]: ...
    @classmethod
    def from_dict(cls, mapping: Mapping[str, object]) -> Limits: ...
