"""Names that come up after planning, and links and git pointers that lead elsewhere by the time all is denied."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.grants.scenes import ABOVE, ROOT, applied, disk, marked, plan_of, state_of, workspace, write_bits
from winsandbox import grants
from winsandbox._apply import Applied, apply
from winsandbox._state import State
from winsandbox.errors import AclError
from winsandbox.policy import Policy, Protect
from winsandbox.sandbox import Sandbox
from winsandbox.testing import SimulatedHost

GIT = ROOT + r"\.git"
HOOK = r"\hooks\post-checkout"
HOOKS = Policy.workspace(ROOT, protected_subpaths=Protect.GIT_HOOKS)


@pytest.fixture
def host() -> Iterator[SimulatedHost]:
    """Without a repository; two directories that git could take for one."""
    with workspace() as made:
        made.remove(GIT)
        for name in ("a", "b"):
            made.write_file(f"{ROOT}\\{name}{HOOK}", b"")
        yield made


@pytest.fixture
def state(host: SimulatedHost) -> Iterator[State]:
    with state_of(host) as opened:
        yield opened


def pointer(to: str) -> Callable[[SimulatedHost], None]:
    return lambda host: host.write_file(GIT, f"gitdir: {to}\n".encode())


def junction(to: str) -> Callable[[SimulatedHost], None]:
    return lambda host: host.junction(to, GIT)


def closed(host: SimulatedHost, done: Applied, name: str) -> bool:
    return not write_bits(host.descriptor(ROOT + name), done, directory=False)


# -- created between two commands -----------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [pointer("a"), junction(ROOT + r"\a")], ids=["file", "link"])
def test_a_git_that_leads_elsewhere_is_a_violation_and_its_target_is_denied_where_only_parts_are_protected(
    host: SimulatedHost, state: State, make: Callable[[SimulatedHost], None]
) -> None:
    _, done = applied(host, state, HOOKS)
    before = done.snapshot()
    make(host)
    assert [(found.path, found.kind) for found in done.violations(before)] == [(GIT, "created")]
    since = done.secure_new()
    assert done.secured == (GIT,)
    assert done.violations(since) == ()
    assert closed(host, done, r"\a" + HOOK)
    assert not write_bits(host.descriptor(ROOT + r"\a"), done, directory=True), "nor can hooks be made there anew"
    assert not closed(host, done, r"\b" + HOOK)
    with pytest.raises(PermissionError):
        host.files.open(GIT, 0x10000)
    done.close()
    grants.forget_all(host=host)
    assert not marked(host)


def test_an_ordinary_repository_is_no_violation_but_its_parts_are_denied(host: SimulatedHost, state: State) -> None:
    """The positive twin."""
    _, done = applied(host, state, HOOKS)
    host.mkdir(GIT + r"\objects")
    assert done.violations() == ()
    done.secure_new()
    assert done.secured == ()
    host.write_file(GIT + r"\hooks\h", b"")
    assert [found.path for found in done.violations()] == [GIT + r"\hooks"]
    done.secure_new()
    assert closed(host, done, r"\.git\hooks\h")
    assert write_bits(host.descriptor(GIT + r"\objects"), done, directory=True)
    done.close()


@pytest.mark.parametrize(
    "make",
    [pointer("later"), junction(ROOT + r"\later"), pointer("."), junction(ROOT), junction(ABOVE)],
    ids=["pointer to nothing", "link to nothing", "pointer to the root", "link to the root", "link above the root"],
)
def test_after_a_git_that_leads_to_nothing_deniable_no_command_starts(
    host: SimulatedHost, state: State, make: Callable[[SimulatedHost], None]
) -> None:
    _, done = applied(host, state, HOOKS)
    make(host)
    for _ in range(2):
        with pytest.raises(AclError, match="nothing could be denied") as caught:
            done.secure_new()
        assert caught.value.remedy
    done.close()


def test_a_link_that_leads_into_a_protected_place_or_out_of_all_roots_is_denied_as_a_link_only(
    host: SimulatedHost, state: State
) -> None:
    outside = r"C:\Users\alice\outside"
    host.mkdir(outside)
    for target in (outside, ROOT + r"\.codex"):
        _, done = applied(host, state, Policy.workspace(ROOT, protected_subpaths=[".codex", r"way\x"]))
        before = disk(host, target)
        host.junction(target, ROOT + r"\way")
        done.secure_new()
        assert done.secured == (ROOT + r"\way",)
        assert disk(host, target) == before
        done.close()
        host.remove(ROOT + r"\way")


def test_a_file_on_the_way_to_a_watched_name_is_denied(host: SimulatedHost, state: State) -> None:
    _, done = applied(host, state, Policy.workspace(ROOT, protected_subpaths=[r"way\x"]))
    host.write_file(ROOT + r"\way", b"")
    assert [found.path for found in done.violations()] == [ROOT + r"\way"]
    done.secure_new()
    assert closed(host, done, r"\way")
    done.close()


def test_a_command_that_makes_a_git_file_does_not_get_a_second_one_to_write_hooks(host: SimulatedHost) -> None:
    def point(process: Any) -> int:
        process.write(GIT, b"gitdir: a\n")
        return 0

    host.add_program(r"C:\tools\point.exe", point)

    def evil(process: Any) -> int:
        process.write(f"{ROOT}\\b{HOOK}", b"fine")
        process.write(f"{ROOT}\\a{HOOK}", b"evil")
        return 0

    host.add_program(r"C:\tools\evil.exe", evil)
    with Sandbox(HOOKS, host=host) as sandbox:
        with sandbox.spawn([r"C:\tools\point.exe"]) as process:
            process.wait()
        assert [str(found) for found in process.violations] == [f"{GIT} was created"]
        assert sandbox.run([r"C:\tools\evil.exe"]).returncode != 0
    assert host.read_file(f"{ROOT}\\b{HOOK}") == b"fine"
    assert host.read_file(f"{ROOT}\\a{HOOK}") == b""


# -- changed between planning and denying ---------------------------------------------------------------------------


@pytest.mark.parametrize("policy", [Policy.workspace(ROOT), HOOKS], ids=["all", "parts"])
def test_a_git_file_that_was_rewritten_after_planning_is_followed_again(
    host: SimulatedHost, state: State, policy: Policy
) -> None:
    pointer("a")(host)
    plan = plan_of(host, state, policy)
    pointer("b")(host)
    done = apply(host, plan, state)
    assert closed(host, done, r"\b" + HOOK)
    assert not closed(host, done, r"\README.md")
    with pytest.raises(PermissionError):
        host.files.open(ROOT + r"\b", 0x10000)
    done.close()


def test_a_link_that_was_turned_after_planning_is_followed_again(host: SimulatedHost, state: State) -> None:
    junction(ROOT + r"\a")(host)
    plan = plan_of(host, state)
    host.junction(ROOT + r"\b", GIT)  # in place: the same object
    done = apply(host, plan, state)
    assert closed(host, done, r"\b" + HOOK)
    done.close()


def test_a_link_that_was_planted_where_a_place_would_have_been_made_is_followed(
    host: SimulatedHost, state: State
) -> None:
    plan = plan_of(host, state)
    assert ".codex" in plan.grants[0].create
    host.junction(ROOT + r"\b", ROOT + r"\.codex")
    done = apply(host, plan, state)
    assert closed(host, done, r"\b" + HOOK)
    done.close()


def test_a_git_file_that_was_turned_to_the_root_after_planning_stops_the_start(
    host: SimulatedHost, state: State
) -> None:
    pointer("a")(host)
    plan = plan_of(host, state)
    pointer(".")(host)
    with pytest.raises(AclError, match="leave nothing to write"):
        apply(host, plan, state)
    assert not state.ledger.leases()


def test_where_a_git_file_leads_to_nothing_yet_is_watched(host: SimulatedHost, state: State) -> None:
    pointer("later")(host)
    plan, done = applied(host, state)
    assert ROOT + r"\later" in plan.grants[0].watch
    host.write_file(ROOT + r"\later" + HOOK, b"")
    assert [found.path for found in done.violations()] == [ROOT + r"\later"]
    done.secure_new()
    assert closed(host, done, r"\later" + HOOK)
    done.close()


def test_without_links_and_pointers_nothing_is_looked_for_again(host: SimulatedHost, state: State) -> None:
    host.mkdir(GIT)
    applied(host, state)[1].close()
    plan = plan_of(host, state)
    before = host.counts["entries"]
    apply(host, plan, state).close()
    places = len(plan.grants[0].protected)
    # Each place is listed for its fingerprint and for the snapshot.
    assert host.counts["entries"] - before == 2 * places
