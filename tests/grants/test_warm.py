"""What a warm start finds in protected places, what it leaves alone, and what it admits not to know."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

import winsandbox._watch as watch_module
from tests.grants.scenes import ABOVE, ROOT, applied, disk, state_of, workspace, write_bits
from winsandbox import _placing, grants
from winsandbox._apply import Applied
from winsandbox._fingerprint import ALONE, LARGE, LOOK, UNREADABLE, Fingerprint, fingerprint, settled
from winsandbox._pins import open_below
from winsandbox._placing import Placing
from winsandbox._state import State
from winsandbox._verdicts import with_exceptions
from winsandbox._violations import take_snapshot
from winsandbox.enforcement import Aspect, Basis, Enforcement, Level, Verdict
from winsandbox.errors import AclError
from winsandbox.policy import Policy, Protect
from winsandbox.sandbox import Sandbox
from winsandbox.testing import SimulatedHost

GIT = ROOT + r"\.git"


@pytest.fixture
def host() -> SimulatedHost:
    return workspace()


@pytest.fixture
def state(host: SimulatedHost) -> Iterator[State]:
    with state_of(host) as found:
        yield found


def once(host: SimulatedHost, state: State, policy: Policy | None = None) -> None:
    applied(host, state, policy)[1].close()


def start(host: SimulatedHost, state: State, policy: Policy | None = None) -> tuple[Applied, int, int]:
    """A start, and how many descriptors it read and wrote."""
    before = host.counts.copy()
    _, done = applied(host, state, policy)
    used = host.counts - before
    return done, used["security"], used["set_security"]


def bits(host: SimulatedHost, done: Applied, *names: str) -> int:
    found = 0
    for name in names:
        path = f"{GIT}\\{name}"
        found |= write_bits(host.descriptor(path), done, directory=host.tree(path)[""].startswith("directory"))
    return found


# -- what came in, or was opened, between two starts ----------------------------------------------------------------


def test_a_tree_that_was_moved_into_a_protected_place_is_denied_by_the_next_start(
    host: SimulatedHost, state: State
) -> None:
    host.write_file(ROOT + r"\sub\hooks\pre-commit", b"")
    once(host, state)
    host.rename(ROOT + r"\sub", GIT + r"\sub")
    done, _, _ = start(host, state)
    assert not bits(host, done, "sub", r"sub\hooks", r"sub\hooks\pre-commit")
    assert done.exceptions == ()
    assert write_bits(host.descriptor(ROOT + r"\src"), done, directory=True), "the root itself is still granted"
    done.close()


def test_an_object_whose_own_list_was_opened_is_denied_by_the_next_start(host: SimulatedHost, state: State) -> None:
    once(host, state)
    host.set_sddl(GIT + r"\config", "D:P(A;;FA;;;WD)")
    done, _, written = start(host, state)
    assert not bits(host, done, "config", "hooks", r"hooks\pre-commit")
    assert written == 1, "nothing else needed anything"
    done.close()


@pytest.mark.parametrize("first", ["one", "both"])
def test_what_another_root_granted_a_file_that_was_moved_in_does_not_open_it_to_a_later_sandbox_of_both(
    host: SimulatedHost, first: str
) -> None:
    """The start in the middle has a token without the other grant: it must not note as checked what that one opens."""
    other = ABOVE + r"\two"
    host.write_file(other + r"\f", b"")
    both, one = Policy.workspace(ROOT, writable_roots=[other]), Policy.workspace(ROOT)
    hook = GIT + r"\hooks\f"

    def evil(process: Any) -> int:
        process.write(ROOT + r"\ours", b"")
        process.write(hook, b"evil")
        return 0

    host.add_program(r"C:\tools\evil.exe", evil)
    for policy in (both, one) if first == "both" else (one, both):
        with Sandbox(policy, host=host):
            pass
    host.rename(other + r"\f", hook)
    with Sandbox(one, host=host):
        pass
    with Sandbox(both, host=host) as sandbox:
        assert sandbox.run([r"C:\tools\evil.exe"]).returncode != 0
    assert host.exists(ROOT + r"\ours"), "the root itself is granted"
    assert host.read_file(hook) == b""


def test_what_only_another_grants_deny_closes_is_denied_for_this_one_too(host: SimulatedHost, state: State) -> None:
    other = ABOVE + r"\two"
    host.write_file(other + r"\.git\hooks\f", b"", "D:P(A;;FA;;;WD)")
    both = Policy.workspace(ROOT, writable_roots=[other])
    once(host, state, both)
    host.rename(other + r"\.git\hooks\f", GIT + r"\hooks\f")
    for policy in (both, None):
        done, _, _ = start(host, state, policy)
        assert not bits(host, done, r"hooks\f")
        done.close()


def test_a_list_that_says_nothing_for_the_child_is_not_touched(host: SimulatedHost, state: State) -> None:
    once(host, state)
    host.set_sddl(GIT + r"\config", "D:P(A;;FA;;;U)")
    before = disk(host)
    done, _, written = start(host, state)
    assert written == 0
    assert done.warm
    assert disk(host) == before
    assert not bits(host, done, "config")
    done.close()


@pytest.mark.parametrize("what", ["write", "create", "remove", "rename"])
def test_ordinary_work_between_two_starts_costs_reads_and_no_write(
    host: SimulatedHost, state: State, what: str
) -> None:
    once(host, state)
    if what == "write":
        host.write_file(GIT + r"\config", b"[user]")
    elif what == "create":
        host.write_file(GIT + r"\objects\cc\dd", b"")
    elif what == "remove":
        host.remove(GIT + r"\objects\aa\bb")
    else:
        host.rename(GIT + r"\objects\aa", GIT + r"\objects\ab")
    done, reads, written = start(host, state)
    assert written == 0
    assert reads > 4, "the place was walked"
    assert done.warm
    done.close()
    again, fewer, written = start(host, state)
    assert (fewer, written) == (len(again._placing.placed[str(again._plan.grants[0].sid)]) + 2, 0) or fewer < reads
    again.close()


def test_an_unchanged_place_is_not_walked_again(host: SimulatedHost, state: State) -> None:
    once(host, state)
    done, reads, written = start(host, state)
    assert written == 0
    done.close()
    again, same, _ = start(host, state)
    assert same == reads
    again.close()
    assert reads < len(host.tree(GIT)), "less than a walk of .git alone"


def test_each_policy_of_a_root_keeps_a_fingerprint_of_its_own(host: SimulatedHost, state: State) -> None:
    hooks = Policy.workspace(ROOT, protected_subpaths=Protect.GIT_HOOKS)
    for policy in (None, hooks, None, hooks):
        once(host, state, policy)
    for policy in (None, hooks):
        done, _, written = start(host, state, policy)
        assert written == 0
        assert done.warm
        done.close()
    host.write_file(ROOT + r"\evil", b"")
    host.rename(ROOT + r"\evil", GIT + r"\hooks\evil")
    for policy in (hooks, None):
        done, _, _ = start(host, state, policy)
        assert not bits(host, done, r"hooks\evil")
        done.close()


def test_an_older_ledger_gets_the_table_and_the_places_are_walked_once(host: SimulatedHost) -> None:
    with state_of(host) as state:
        once(host, state)
        state.ledger.run("DROP TABLE seen")
    with state_of(host) as state:
        first, reads, written = start(host, state)
        first.close()
        second, fewer, _ = start(host, state)
        second.close()
    assert written == 0
    assert fewer < reads


def test_what_is_forgotten_leaves_no_fingerprint(host: SimulatedHost, state: State) -> None:
    once(host, state)
    assert state.ledger.run("SELECT count(*) FROM seen")[0][0]
    grants.forget_all(host=host)
    assert state.ledger.run("SELECT count(*) FROM seen")[0][0] == 0


# -- what cannot be known ---------------------------------------------------------------------------------------------


def test_a_place_too_large_to_be_looked_through_is_an_exception_of_the_warm_start(
    host: SimulatedHost, state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_placing, "LIMIT", 3)
    _, done = applied(host, state)
    assert done.exceptions == (), "it has just been walked"
    done.close()
    done, _, written = start(host, state)
    assert written == 0
    assert [GIT in text for text in done.exceptions] == [True]
    done.close()


def test_the_report_of_a_sandbox_says_what_its_warm_start_left_out(
    host: SimulatedHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = Policy.workspace(ROOT)
    with Sandbox(policy, host=host):
        pass
    with Sandbox(policy, host=host) as sandbox:
        assert sandbox.enforcement[Aspect.PROTECTED_PLACES].level is Level.ENFORCED
    monkeypatch.setattr(_placing, "LIMIT", 3)
    for _ in range(2):  # the first one walks, because it looked otherwise before
        with Sandbox(policy, host=host) as sandbox:
            verdict = sandbox.enforcement[Aspect.PROTECTED_PLACES]
    assert verdict.level is Level.PARTIAL
    assert any(GIT in text for text in verdict.exceptions)


def test_a_place_that_changes_under_the_walk_is_walked_again(
    host: SimulatedHost, state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("late", "later"):
        host.write_file(f"{ROOT}\\{name}\\file", b"")
    once(host, state)
    host.rename(ROOT + r"\late", GIT + r"\late")
    moved = _after_first_walk(monkeypatch, lambda: host.rename(ROOT + r"\later", GIT + r"\later"))
    done, _, _ = start(host, state)
    assert moved
    assert not bits(host, done, r"late\file", r"later\file")
    assert done.exceptions == ()
    done.close()


@pytest.mark.parametrize("limit", [20_000, 3], ids=["small", "large"])
def test_a_place_that_never_stands_still_is_an_exception_and_walked_by_the_next_start(
    host: SimulatedHost, state: State, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    once(host, state)
    host.write_file(GIT + r"\new", b"")
    count = iter(range(100))
    with monkeypatch.context() as patched:
        _after_walks(patched, lambda: host.write_file(f"{GIT}\\{next(count)}", b""))
        done, _, _ = start(host, state)
    assert [GIT in text for text in done.exceptions] == [True]
    done.close()
    monkeypatch.setattr(_placing, "LIMIT", limit)
    done, reads, _ = start(host, state)
    assert done.exceptions == ()
    assert reads > len(host.tree(GIT))
    done.close()


def _after_walks(monkeypatch: pytest.MonkeyPatch, action: Callable[[], object]) -> None:
    real = Placing._walk_once

    def walk(self: Placing, giver: Any, place: Any, counter: Any) -> None:
        real(self, giver, place, counter)
        if place.path == GIT:
            action()

    monkeypatch.setattr(Placing, "_walk_once", walk)


def _after_first_walk(monkeypatch: pytest.MonkeyPatch, action: Callable[[], object]) -> list[bool]:
    moved: list[bool] = []

    def once_only() -> None:
        if not moved:
            moved.append(True)
            action()

    _after_walks(monkeypatch, once_only)
    return moved


def test_a_deep_tree_is_looked_through_without_recursion(host: SimulatedHost, state: State) -> None:
    deep = GIT + r"\d" * 1100
    host.mkdir(deep)
    once(host, state)
    done, _, written = start(host, state)
    assert written == 0
    done.close()
    host.write_file(deep + r"\x", b"", "D:P(A;;FA;;;WD)")
    done, _, written = start(host, state)
    assert written == 1
    done.close()
    assert not [handle for handle in host.open_handles() if ".git" in handle]


def test_settled_law() -> None:
    one, other = Fingerprint(b"n", b"1"), Fingerprint(b"n", b"2")
    assert settled(one, one, wrote=False)
    assert not settled(one, other, wrote=False), "somebody changed something meanwhile"
    assert settled(one, other, wrote=True), "we did"
    assert not settled(one, Fingerprint(b"m", b"2"), wrote=True)
    assert not settled(UNREADABLE, UNREADABLE, wrote=False)
    assert not settled(LARGE, LARGE, wrote=True)
    assert not settled(LARGE, one, wrote=True)
    assert settled(ALONE, ALONE, wrote=True)


def test_a_fingerprint_does_not_depend_on_the_order_of_a_listing_and_tells_every_change(host: SimulatedHost) -> None:
    def look(**options: Any) -> Fingerprint:
        with host.files.open(GIT, LOOK) as handle:
            return fingerprint(host, handle, lambda path: None, GIT, **options)

    real = host.files.entries
    first = look()
    host.files.entries = lambda handle: iter(list(real(handle))[::-1])  # type: ignore[method-assign]
    assert look() == first
    host.files.entries = real  # type: ignore[method-assign]
    count = len(host.tree(GIT)) - 1
    assert look(limit=count) == first
    assert look(limit=count - 1) == LARGE
    host.set_sddl(GIT + r"\config", host.sddl(GIT + r"\config"))
    second = look()
    assert second.names == first.names
    assert second.state != first.state
    host.rename(GIT + r"\objects\aa\bb", GIT + r"\objects\bb")  # the same entry in another directory
    assert look().names != first.names


def test_the_guards_of_a_new_logon_do_not_make_checked_what_came_into_a_large_place(
    host: SimulatedHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    with state_of(host) as state:
        once(host, state)
    host.write_file(GIT + r"\hooks\open", b"", "D:P(A;;FA;;;WD)")
    new = host.restart(new_logon=True)
    monkeypatch.setattr(_placing, "LIMIT", 3)
    with state_of(new) as state:
        done, _, _ = start(new, state)
        assert not bits(new, done, r"hooks\open"), "the walk that places the guards looks at all of it"
        done.close()


def test_exceptions_make_partial_what_was_enforced_and_nothing_else() -> None:
    enforced = Verdict(Level.ENFORCED, Basis.SIMULATED, "because.")
    none = Verdict(Level.NONE, Basis.SIMULATED, "no.")
    report = Enforcement(((Aspect.PROTECTED_PLACES, enforced), (Aspect.READS, none)), "host")
    assert with_exceptions(report, Aspect.PROTECTED_PLACES, ()) == report
    found = with_exceptions(report, Aspect.PROTECTED_PLACES, ["x"])
    assert (found[Aspect.PROTECTED_PLACES].level, found[Aspect.PROTECTED_PLACES].exceptions) == (Level.PARTIAL, ("x",))
    assert found[Aspect.READS] == none
    assert with_exceptions(report, Aspect.READS, ["x"]) == report, "nothing is promised there"


# -- before each command -----------------------------------------------------------------------------------------------


@pytest.fixture
def bare(host: SimulatedHost) -> SimulatedHost:
    """Without a repository: the name .git is only watched."""
    host.remove(GIT)
    return host


def test_two_threads_that_start_commands_deny_a_new_name_once(
    bare: SimulatedHost, state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, done = applied(bare, state)
    bare.write_file(GIT + r"\hooks\evil", b"")
    both = threading.Barrier(2)
    real = open_below

    def slow(*arguments: Any) -> Any:
        found = real(*arguments)
        with suppress(threading.BrokenBarrierError):
            both.wait(0.3)
        return found

    monkeypatch.setattr(watch_module, "open_below", slow)
    snapshots: list[object] = []
    threads = [threading.Thread(target=lambda: snapshots.append(done.secure_new())) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(snapshots) == 2, "no thread failed"
    assert done.secured == (GIT,)
    assert not bits(bare, done, "hooks", r"hooks\evil")
    done.close()
    assert len(bare.open_handles()) == 1, "the state directory's pin"


def test_secure_new_returns_what_the_next_command_is_measured_against(bare: SimulatedHost, state: State) -> None:
    _, done = applied(bare, state)
    bare.write_file(GIT + r"\config", b"")
    since = done.secure_new()
    assert done.violations(since) == ()
    bare.write_file(GIT + r"\other", b"")
    assert [(found.path, found.kind) for found in done.violations(since)] == [(GIT + r"\other", "added")]
    done.close()


def test_a_spawn_looks_once(host: SimulatedHost, monkeypatch: pytest.MonkeyPatch) -> None:
    host.add_program(r"C:\tools\tool.exe", lambda process: 0)
    looks: list[object] = []
    real = take_snapshot

    def counted(*arguments: Any) -> Any:
        looks.append(arguments)
        return real(*arguments)

    with Sandbox(Policy.workspace(ROOT), host=host) as sandbox:
        monkeypatch.setattr(watch_module, "take_snapshot", counted)
        sandbox.run([r"C:\tools\tool.exe"])
    assert len(looks) == 2, "before and after the command"


def test_where_a_created_link_leads_is_denied_too(bare: SimulatedHost, state: State) -> None:
    bare.write_file(ROOT + r"\evil\hooks\post-checkout", b"")
    bare.write_file(ROOT + r"\good\file", b"")
    _, done = applied(bare, state)
    bare.junction(ROOT + r"\evil", GIT)
    done.secure_new()
    for name, directory in ((r"\evil", True), (r"\evil\hooks", True), (r"\evil\hooks\post-checkout", False)):
        assert not write_bits(bare.descriptor(ROOT + name), done, directory=directory)
    assert write_bits(bare.descriptor(ROOT + r"\good\file"), done, directory=False)
    with pytest.raises(PermissionError):
        bare.files.open(ROOT + r"\evil", 0x10000)
    done.close()


def test_where_a_created_git_file_points_is_denied_too(bare: SimulatedHost, state: State) -> None:
    bare.write_file(ROOT + r"\src\store\hooks\x", b"")
    _, done = applied(bare, state)
    bare.write_file(GIT, b"gitdir: src/store\n")
    done.secure_new()
    assert done.secured == (GIT,)
    assert not write_bits(bare.descriptor(ROOT + r"\src\store\hooks\x"), done, directory=False)
    assert write_bits(bare.descriptor(ROOT + r"\src\main.py"), done, directory=False)
    with pytest.raises(PermissionError):
        bare.files.open(ROOT + r"\src", 0x10000)
    done.close()


@pytest.mark.parametrize("text", [b"gitdir: later", b"gitdir: C:/nowhere/at/all", b"no pointer"])
def test_after_a_created_git_file_that_leads_to_nothing_deniable_no_command_starts(
    bare: SimulatedHost, state: State, text: bytes
) -> None:
    _, done = applied(bare, state)
    bare.write_file(GIT, text)
    for _ in range(2):
        with pytest.raises(AclError, match="nothing could be denied") as caught:
            done.secure_new()
        rows = [row for rows in done._placing.placed.values() for row in rows]
        assert len(rows) == len(set(rows))
        assert caught.value.remedy
    done.close()


def test_a_pointer_that_leads_nowhere_is_not_excused_by_a_link_that_leads_somewhere(
    bare: SimulatedHost, state: State
) -> None:
    bare.mkdir(ROOT + r"\good")
    _, done = applied(bare, state, Policy.workspace(ROOT, protected_subpaths=[".git", r"way\link"]))
    bare.write_file(GIT, b"gitdir: later")
    bare.junction(ROOT + r"\good", ROOT + r"\way\link")
    with pytest.raises(AclError, match="nothing could be denied"):
        done.secure_new()
    done.close()


def test_a_created_link_that_leads_out_of_the_root_is_denied_as_a_link_only(bare: SimulatedHost, state: State) -> None:
    outside = r"C:\Users\alice\outside"
    bare.mkdir(outside)
    before = disk(bare, outside)
    _, done = applied(bare, state)
    bare.junction(outside, GIT)
    done.secure_new()
    assert done.secured == (GIT,)
    assert disk(bare, outside) == before
    done.close()
