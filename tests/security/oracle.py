"""How two implementations are compared: every known difference has a name, an explanation and a test of its own.

A *filter* is a predicate over cases that says where the other implementation is known to answer differently. Cases
that no filter names must come out equal. A filter that explains no difference by itself any more fails the test, so
that the list of excuses cannot outlive its reasons.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

C = TypeVar("C")


@dataclass(frozen=True)
class Filter(Generic[C]):
    """A known difference: where it shows, and whose fault it is."""

    name: str
    why: str
    applies: Callable[[C], bool]


def compare(
    title: str,
    filters: Iterable[Filter[C]],
    answers: Iterable[tuple[C, object, object]],
    *,
    at_least: int,
    show: Callable[[C], str],
) -> None:
    """Assert that ours equals theirs wherever no filter applies, in at least ``at_least`` cases; print the counts."""
    filters = tuple(filters)
    fired: Counter[str] = Counter()
    excused: Counter[str] = Counter()
    clean = total = 0
    wrong: list[str] = []
    for case, ours, theirs in answers:
        total += 1
        names = [known.name for known in filters if known.applies(case)]
        if not names:
            clean += 1
            if ours != theirs:
                wrong.append(f"{show(case)}: ours {ours}, theirs {theirs}")
        elif len(names) == 1:
            excused[names[0]] += 1
            fired[names[0]] += ours != theirs
    print(f"{title}: {clean} of {total} cases left after the filters, {len(wrong)} of them differ")
    for known in filters:
        print(f"  {known.name}: {excused[known.name]} cases, {fired[known.name]} differ ({known.why})")
    assert not wrong, f"{len(wrong)} of {clean} differ, the first: " + "; ".join(wrong[:5])
    assert clean >= at_least, f"only {clean} cases are left"
    idle = [known.name for known in filters if not fired[known.name]]
    assert not idle, f"no difference is explained any more by: {', '.join(idle)}"
