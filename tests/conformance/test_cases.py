"""Every case in every configuration on a simulated host; and on Windows every case that it can be asked, for real."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

from tests.capabilities import elevation, has, needs
from tests.conformance.hosts import BY_NAME, result, story
from winsandbox._casebook import VARIANTS, Case, flags_of
from winsandbox._cases import CASES
from winsandbox._host import default_host
from winsandbox._scene import Executor, Scene, executor_for
from winsandbox._trial import CaseResult, run_case
from winsandbox.enforcement import Aspect, Level
from winsandbox.policy import Policy
from winsandbox.prove import _Scratch

_EVERYWHERE = [
    # Two switches together: nothing is known that only the pair of them shows, so it is left to the deep run.
    pytest.param(name, variant, marks=[pytest.mark.slow] if variant == "low, without Everyone" else [])
    for name in BY_NAME
    for variant in VARIANTS
]


@needs("not wine")
@pytest.mark.parametrize(("name", "variant"), _EVERYWHERE)
def test_each_operation_comes_to_what_it_must(name: str, variant: str) -> None:
    found = result(name, variant)
    assert found.as_expected, story(found)
    assert found.rows


@needs("not wine")
@pytest.mark.parametrize(("name", "variant"), _EVERYWHERE)
def test_no_report_says_enforced_where_a_case_got_through_and_each_names_it(name: str, variant: str) -> None:
    found = result(name, variant)
    assert found.claims, story(found)
    assert list(untold(found)) == []


def untold(found: CaseResult) -> Iterator[str]:
    """What got through and is not told: an aspect that says "enforced", or a report that does not name the hole."""
    for row in found.through:
        claim = found.claims[row.phase]
        texts = claim.exceptions if claim.level.holds else (claim.reason,)
        if claim.level is Level.ENFORCED:
            yield f"{row.operation}: {found.case.aspect} is said to be enforced"
        elif not any(word in text for word in row.attempt.named for text in texts):
            yield f"{row.operation}: {claim.level}, and nothing names {row.attempt.named} in {texts}"


@needs("not wine")
def test_the_machines_are_clean_so_that_no_report_is_cautious_for_another_reason() -> None:
    (claim,) = result("write outside", "default").claims.values()
    assert claim.level is Level.PARTIAL
    assert [text.partition(" ")[0] for text in claim.exceptions] == ["files", "places"]  # moved away; made meanwhile


# Of what stands on exceptions that no policy and no machine is without, nothing can be enforced; the rest promises
# nothing that holds.
_ENFORCEABLE = {Aspect.PROTECTED_PLACES, Aspect.LIMITS}
_HOLDING = _ENFORCEABLE | {
    *(Aspect.WRITES_OUTSIDE, Aspect.DELETES_OUTSIDE, Aspect.REGISTRY, Aspect.OTHER_PROCESSES),
    *(Aspect.CONSOLE, Aspect.USER_INTERFACE),
}


@needs("not wine")
def test_each_level_that_an_aspect_can_have_was_claimed_where_denials_were_checked() -> None:
    checked: Counter[tuple[Aspect, Level]] = Counter()
    opened: Counter[Aspect] = Counter()
    for case in CASES:
        for variant in VARIANTS:
            if variant == "low, without Everyone":
                continue
            found = result(case.name, variant)
            for row in found.rows:
                if row.phase in found.claims and row.expected == "denied" and row.outcome.verdict == "denied":
                    checked[case.aspect, found.claims[row.phase].level] += 1
                opened[case.aspect] += row.through
    for (aspect, level), count in sorted(checked.items()):
        print(f"{aspect}: {count} denials while it said {level}")
    assert {aspect for (aspect, level), count in checked.items() if level is Level.ENFORCED and count} == _ENFORCEABLE
    assert {aspect for (aspect, level) in checked if level.holds} == _HOLDING
    assert {aspect for aspect in Aspect if not opened[aspect]} <= _ENFORCEABLE


@pytest.mark.parametrize("name", BY_NAME)
def test_what_is_denied_is_allowed_elsewhere_in_the_same_case(name: str) -> None:
    case = BY_NAME[name]
    tries = [attempt for phase in case.phases for attempt in phase.tries]
    for variant in VARIANTS.values():
        flags = flags_of(Policy.workspace(r"C:\src", **variant))
        expected = {attempt.expectation(flags) for attempt in tries if not attempt.user}
        assert "allowed" in expected, f"{name}: nothing shows that anything works"
        allowed = {_kind(attempt.operation.verb) for attempt in tries if attempt.expectation(flags) == "allowed"}
        refused = {_kind(attempt.operation.verb) for attempt in tries if attempt.expectation(flags) == "denied"}
        assert refused <= allowed, f"{name}: {sorted(refused - allowed)} without a positive twin"


def _kind(verb: str) -> str:
    """Operations that fail for the same reasons where nothing works."""
    kinds = {"append": "write", "replace": "rename", "rmdir": "delete", "registry-set": "registry"}
    # That of the console and of the desktop is that their program starts, which is the one of `process`.
    kinds |= {"registry-read": "registry", "console": "process", "desktop": "process", "own-process": "process"}
    return kinds.get(verb, verb)


def test_the_cases_have_names_of_their_own_and_touch_every_aspect_that_can_hold() -> None:
    assert len(BY_NAME) == len(CASES)
    aspects = {case.aspect for case in CASES}
    assert aspects == set(Aspect)
    # What a default policy promises to hold must be provable, or require="proven" could never be met.
    quick = {case.aspect for case in CASES if case.quick}
    assert quick >= {
        *(Aspect.WRITES_OUTSIDE, Aspect.DELETES_OUTSIDE, Aspect.PROTECTED_PLACES, Aspect.REGISTRY),
        *(Aspect.OTHER_PROCESSES, Aspect.CONSOLE, Aspect.USER_INTERFACE, Aspect.LIMITS),
    }


@needs("not wine")
def test_the_known_holes_are_shown_open_and_closed() -> None:
    def verdicts(name: str, variant: str, operation: str) -> set[str]:
        return {
            row.outcome.verdict
            for row in result(name, variant).rows
            if str(row.attempt.operation).startswith(operation)
        }

    assert verdicts("delete outside", "default", "delete %OUTSIDE%") == {"allowed"}
    assert verdicts("delete outside", "low", "delete %OUTSIDE%") == {"denied"}
    inside = ("delete inside a protected directory", r"delete .git\HEAD")
    assert verdicts(inside[0], "unguarded", inside[1]) == {"allowed"}
    assert verdicts(inside[0], "default", inside[1]) == {"denied"}
    assert verdicts("delete an empty protected directory", "unguarded", "rmdir .git") == {"denied"}


# -- the machine at hand


@pytest.fixture(scope="module")
def scene() -> Iterator[tuple[Executor, Scene]]:
    notes: list[str] = []
    host = default_host()
    with _Scratch(host, notes) as made:
        executor = executor_for(host)
        made.make_directory(made.tools)
        executor.install(made)
        yield executor, made
    assert notes == []


def _asked(executor: Executor, case: Case) -> str:
    available = executor.needs | ({"symlinks"} if has("symlinks") else set())
    lacking: list[str] = sorted(case.needs - available)
    missing = lacking or sorted(verb for verb in case.verbs() if not executor.offers(verb))
    return ", ".join(missing)


@needs("real windows")
@pytest.mark.parametrize("name", BY_NAME)
@pytest.mark.parametrize("variant", VARIANTS)
def test_each_operation_comes_to_that_on_windows(name: str, variant: str, scene: tuple[Executor, Scene]) -> None:
    executor, place = scene
    case = BY_NAME[name]
    number = list(BY_NAME).index(name) + 1000 * list(VARIANTS).index(variant)
    if missing := _asked(executor, case):
        pytest.skip(f"this machine cannot be asked: {missing}")
    found = run_case(executor, place, case, {**VARIANTS[variant], "elevated": elevation()}, number=number)
    assert found.as_expected, story(found)
    assert list(untold(found)) == []


@needs("wine")
@pytest.mark.parametrize("name", ["write outside", "delete outside", "write in a protected directory"])
def test_wine_comes_out_as_not_enforced(name: str, scene: tuple[Executor, Scene]) -> None:
    executor, place = scene
    case = BY_NAME[name]
    found = run_case(executor, place, case, {"elevated": elevation()}, number=sorted(BY_NAME).index(name))
    assert found.ran, story(found)  # what is allowed works, so what follows is no failure to start
    assert found.through, story(found)
    assert {claim.level for claim in found.claims.values()} <= {Level.NONE, Level.UNKNOWN, Level.PARTIAL}
