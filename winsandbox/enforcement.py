"""What is enforced: for each aspect of a sandbox a level, what that level stands on, and what is excepted. Data only.

The levels, from strong to weak:

* ``enforced``: the kernel refuses, and no exception is known;
* ``partial``: the kernel refuses, but not in the cases listed under ``exceptions``;
* ``advisory``: the child is asked, and may decline (the network shim);
* ``none``: nothing stands in the way;
* ``unknown``: this host does not tell. It never counts as enforced.

The basis says where the level comes from: ``proven`` (the conformance cases of that aspect ran on this machine, in this
configuration), ``documented`` (Windows' documented rules and recorded measurements say so), ``simulated`` (the host is
a model of Windows), ``observed`` (read back from this very sandbox, such as a token that is not restricted).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

__all__ = ["Aspect", "Basis", "Enforcement", "Level", "Verdict"]


class Aspect(StrEnum):
    """What a sandbox can or cannot hold back."""

    WRITES_OUTSIDE = "writes outside"
    DELETES_OUTSIDE = "deletes outside"
    PROTECTED_PLACES = "protected places"
    READS = "reads"
    NETWORK = "network"
    NETWORK_SHARES = "network shares"
    REGISTRY = "registry"
    OTHER_PROCESSES = "other processes"
    CONSOLE = "console"
    USER_INTERFACE = "user interface"
    LIMITS = "limits"


class Level(StrEnum):
    """How firmly; compare with :attr:`holds`, never by order of the names."""

    ENFORCED = "enforced"
    PARTIAL = "partial"
    ADVISORY = "advisory"
    NONE = "none"
    UNKNOWN = "unknown"

    @property
    def holds(self) -> bool:
        """Whether the kernel refuses at least the ordinary case."""
        return self in (Level.ENFORCED, Level.PARTIAL)


class Basis(StrEnum):
    """What a level stands on."""

    PROVEN = "proven"
    DOCUMENTED = "documented"
    OBSERVED = "observed"
    SIMULATED = "simulated"


@dataclass(frozen=True, slots=True)
class Verdict:
    """One aspect's answer.

    Attributes:
        level: how firmly.
        basis: what that stands on.
        reason: why, in one or two sentences.
        exceptions: the places or cases in which the level does not hold.
    """

    level: Level
    basis: Basis
    reason: str
    exceptions: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "level": str(self.level),
            "basis": str(self.basis),
            "reason": self.reason,
            "exceptions": list(self.exceptions),
        }


@dataclass(frozen=True, slots=True)
class Enforcement(Mapping[Aspect, Verdict]):
    """The verdict for each aspect: ``enforcement[Aspect.NETWORK].level``.

    Attributes:
        verdicts: every aspect exactly once.
        host: the host that this speaks of, such as ``"Windows 10.0.22631"`` or ``"simulated"``.
        notes: what else the user should know: names of missing protected places, hard links skipped, features that this
            host refused.
    """

    verdicts: tuple[tuple[Aspect, Verdict], ...]
    host: str
    notes: tuple[str, ...] = ()

    def __getitem__(self, aspect: Aspect) -> Verdict:
        for known, verdict in self.verdicts:
            if known == aspect:
                return verdict
        raise KeyError(aspect)

    def __iter__(self) -> Iterator[Aspect]:
        return (aspect for aspect, _ in self.verdicts)

    def __len__(self) -> int:
        return len(self.verdicts)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; ``version`` rises when a reader of the old form would misread the new one."""
        return {
            "version": 1,
            "host": self.host,
            "aspects": {str(aspect): verdict.to_dict() for aspect, verdict in self.verdicts},
            "notes": list(self.notes),
        }

    def to_text(self) -> str:
        """A table for a terminal."""
        width = max(len(aspect) for aspect in Aspect)
        lines = [f"on {self.host}:"]
        for aspect, verdict in self.verdicts:
            lines.append(f"  {aspect:<{width}}  {verdict.level:<8}  ({verdict.basis}) {verdict.reason}")
            lines.extend(f"  {'':<{width}}  except:   {exception}" for exception in verdict.exceptions)
        lines.extend(f"  note: {note}" for note in self.notes)
        return "\n".join(lines)
