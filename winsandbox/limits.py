"""Limits of a command: memory, processes, CPU time and wall-clock time.

The first three are held by the job object that the command runs in, each spawn in its own; the wall-clock time by this
process, which ends the job. What a host refused is said in the report, never dropped.

Source: "JOBOBJECT_EXTENDED_LIMIT_INFORMATION" and "JOBOBJECT_BASIC_LIMIT_INFORMATION" (Microsoft Learn).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields

from .environment import from_mapping, type_mistake
from .errors import Mistake, PolicyError

__all__ = ["Limits"]

_MAX_MEMORY = 2**63 - 1  # JobMemoryLimit is a SIZE_T; TOML's integers end here, long after any machine's memory
_MAX_PROCESSES = 2**32 - 1  # ActiveProcessLimit is a DWORD
_TICKS = 10_000_000  # PerJobUserTimeLimit counts 100 ns
_MAX_CPU_TIME = (2**63 - 1) // _TICKS  # ... in a LARGE_INTEGER
_MAX_WALL_TIME = (2**32 - 2) // 1000  # the longest wait of WaitForSingleObject; INFINITE is 2**32 - 1 milliseconds

_SIZE = re.compile(r"(\d{1,19}) ?(B|KiB|MiB|GiB|TiB)", re.ASCII)
_UNITS = {"B": 0, "KiB": 10, "MiB": 20, "GiB": 30, "TiB": 40}


@dataclass(frozen=True, slots=True)
class Limits:
    """What one command, with all the processes that it starts, may use. None: no limit.

    Attributes:
        memory: bytes of committed memory of all its processes together (JobMemoryLimit). An allocation beyond it
            fails; the job is not ended, and ``Process.limit`` names it even if the program copes.
        processes: how many of its processes may live at once (ActiveProcessLimit), the first one counted. The start of
            one more fails; else as `memory`. The console host (conhost.exe) that Windows starts for a console program
            may count as well, one for each console: not shown on a real machine, so leave room for it.
        cpu_time: seconds of user-mode CPU time of all its processes together (PerJobUserTimeLimit); then the job ends.
            Kernel-mode time does not count.
        wall_time: seconds from the spawn until the job is ended.

    Raises:
        PolicyError: with every value that is not positive and finite, or beyond what Windows can hold.
    """

    memory: int | None = None
    processes: int | None = None
    cpu_time: float | None = None
    wall_time: float | None = None

    def __post_init__(self) -> None:
        mistakes: list[Mistake] = []
        mistakes += _count_mistakes("limits.memory", self.memory, _MAX_MEMORY, "a number of bytes")
        mistakes += _count_mistakes("limits.processes", self.processes, _MAX_PROCESSES, "a number of processes")
        mistakes += _seconds_mistakes("limits.cpu_time", self.cpu_time, 1 / _TICKS, _MAX_CPU_TIME)
        mistakes += _seconds_mistakes("limits.wall_time", self.wall_time, 0.001, _MAX_WALL_TIME)
        if mistakes:
            raise PolicyError(mistakes)
        for name in ("cpu_time", "wall_time"):
            value = getattr(self, name)
            object.__setattr__(self, name, None if value is None else float(value))

    def to_dict(self) -> dict[str, object]:
        """The limits that are set, as plain values for JSON and TOML (which knows no null)."""
        return {name: getattr(self, name) for name in _FIELDS if getattr(self, name) is not None}

    @classmethod
    def from_dict(cls, mapping: Mapping[str, object]) -> Limits:
        """The reverse of :meth:`to_dict`. `memory` may also be text such as ``"512MiB"`` (B, KiB, MiB, GiB or TiB).

        Raises:
            PolicyError: with every unknown key, wrong type and wrong value.
        """
        source: object = mapping
        mistakes = []
        if isinstance(source, Mapping) and isinstance(text := source.get("memory"), str):
            size = _SIZE.fullmatch(text)
            if size is None:
                remedy = 'Write a number of bytes, or text such as "512MiB" or "2GiB".'
                mistakes.append(Mistake("limits.memory", f"{text!r} is no size.", remedy, "limits.size"))
            source = {**source, "memory": int(size[1]) << _UNITS[size[2]] if size else None}
        return from_mapping(cls, _FIELDS, source, "limits", mistakes)


_FIELDS = tuple(field.name for field in fields(Limits))


def _count_mistakes(field: str, value: object, most: int, wanted: str) -> list[Mistake]:
    if value is None:
        return []
    if not isinstance(value, int) or isinstance(value, bool):
        return [type_mistake(field, value, f"{wanted} (an integer)")]
    if 1 <= value <= most:
        return []
    return [Mistake(field, "it is out of range.", f"Give {wanted} from 1 to {most}.", "limits.range")]


def _seconds_mistakes(field: str, value: object, least: float, most: int) -> list[Mistake]:
    if value is None:
        return []
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return [type_mistake(field, value, "a number of seconds")]
    if least <= value <= most:  # false for NaN; an integer of any size compares exactly
        return []
    return [Mistake(field, "it is out of range.", f"Give seconds from {least:g} to {most}.", "limits.range")]
