"""How two implementations are compared: every known difference has a name, an explanation and a test of its own.

A *filter* is a predicate over cases that says where the other implementation is known to answer differently. Cases
that no filter names must come out equal. A *translation* turns their answer into what it means here, where the case
alone does not tell. A filter that explains no difference by itself any more, and a translation that changes no answer,
fail the test, so that the list of excuses cannot outlive its reasons.

Neither looks at our own answer: what we answer is what is being compared.

``REPORT`` collects what was compared; tests/conftest.py shows it at the end of each run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

C = TypeVar("C")

REPORT: list[str] = []


@dataclass(frozen=True)
class Filter(Generic[C]):
    """A known difference: where it shows, and whose fault it is."""

    name: str
    why: str
    applies: Callable[[C], bool]


@dataclass(frozen=True)
class Translation(Generic[C]):
    """A known difference that their answer shows: ``change`` gives the answer that Windows would have given."""

    name: str
    why: str
    change: Callable[[C, object], object]


def compare(
    title: str,
    filters: Iterable[Filter[C]],
    answers: Iterable[tuple[C, object, object]],
    *,
    at_least: int,
    show: Callable[[C], str],
    translations: Iterable[Translation[C]] = (),
) -> None:
    """Assert that ours equals theirs wherever no filter applies, in at least ``at_least`` cases; report the counts."""
    filters, translations = tuple(filters), tuple(translations)
    fired: Counter[str] = Counter()
    excused: Counter[str] = Counter()
    clean = total = 0
    wrong: list[str] = []
    for case, ours, theirs in answers:
        total += 1
        for translation in translations:
            changed = translation.change(case, theirs)
            fired[translation.name] += changed != theirs
            theirs = changed  # noqa: PLW2901 - from here on it is the translated one
        excuses = [excuse.name for excuse in filters if excuse.applies(case)]
        if not excuses:
            clean += 1
            if ours != theirs:
                wrong.append(f"{show(case)}: ours {ours}, theirs {theirs}")
        elif len(excuses) == 1:
            excused[excuses[0]] += 1
            fired[excuses[0]] += ours != theirs
    REPORT.append(f"{title}: {clean} of {total} cases left after the filters, {len(wrong)} of them differ")
    for excuse in filters:
        REPORT.append(f"  {excuse.name}: {excused[excuse.name]} cases, {fired[excuse.name]} differ ({excuse.why})")
    for translation in translations:
        REPORT.append(f"  {translation.name}: {fired[translation.name]} answers translated ({translation.why})")
    assert not wrong, f"{len(wrong)} of {clean} differ, the first: " + "; ".join(wrong[:5])
    assert clean >= at_least, f"only {clean} cases are left"
    names = [*(excuse.name for excuse in filters), *(translation.name for translation in translations)]
    idle = [name for name in names if not fired[name]]
    assert not idle, f"no difference is explained any more by: {', '.join(idle)}"
