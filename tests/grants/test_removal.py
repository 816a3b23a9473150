"""A removal takes what is its own and no more: guards that others need stay, what cannot be reached stays listed."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations
from typing import Any

import pytest

from tests.grants.scenes import ABOVE, ROOT, applied, disk, marked, state_of, workspace, write_bits
from winsandbox import grants
from winsandbox._apply import Applied
from winsandbox._host import ATTRIBUTE_OFFLINE, ATTRIBUTE_RECALL_ON_DATA_ACCESS, ATTRIBUTE_RECALL_ON_OPEN, Handle
from winsandbox._state import State
from winsandbox.errors import AclError, WinError
from winsandbox.policy import Policy, Protect
from winsandbox.testing import SimulatedHost

OTHER_STATE = r"C:\Users\alice\state"


@pytest.fixture
def host() -> Iterator[SimulatedHost]:
    with workspace() as made:
        yield made


@pytest.fixture
def state(host: SimulatedHost) -> Iterator[State]:
    with state_of(host) as made:
        yield made


def opened(host: SimulatedHost, done: Applied) -> dict[str, int]:
    """What is open at and below each protected place of a living sandbox; nothing is wanted."""
    found = {}
    for grant in done._plan.grants:
        for place in grant.protected:
            for name in host.tree(place.path):
                path = f"{place.path}\\{name}" if name else place.path
                info = host.files.query(path, follow=False)
                assert info is not None
                bits = write_bits(host.descriptor(path), done, directory=info.directory)
                if bits:
                    found[path] = bits
    return found


# Each with another relation to the places of the others: the same, above, below, beside, with directories between.
POLICIES = {
    "git": Policy.workspace(ROOT),
    "hooks": Policy.workspace(ROOT, protected_subpaths=Protect.GIT_HOOKS),
    "deep": Policy.workspace(ROOT, protected_subpaths=[".git\\objects\\aa", "src\\deep"]),
    "above": Policy.workspace(ABOVE, protected_subpaths=["project\\.git", "project\\src"]),
    "below": Policy.workspace(ROOT + r"\src", protected_subpaths=["deep\\er"]),
    "low": Policy.workspace(ROOT, protected_subpaths=[".git\\hooks", "src\\deep\\er"], integrity="low"),
}


@pytest.mark.parametrize(("kept", "gone"), list(permutations(POLICIES, 2)))
def test_a_removal_opens_nothing_in_the_protected_places_of_another_grant(
    host: SimulatedHost, state: State, kept: str, gone: str
) -> None:
    """Law: after any removal nothing is open below a protected place of a remaining grant, guards included."""
    # What inherits nothing there has just the guard that somebody placed first, whoever that was.
    for name in (r"\.git\objects\aa\sealed\in", r"\.git\hooks\sealed\in", r"\src\deep\er\sealed"):
        host.mkdir(ROOT + name)
    for name in (r"\.git\objects\aa\sealed", r"\.git\hooks\sealed", r"\src\deep\er\sealed"):
        host.set_sddl(ROOT + name, "D:P(A;OICI;FA;;;U)(A;OICI;FA;;;SY)")
    original = disk(host)
    for first, second in ((kept, gone), (gone, kept)):
        done = {name: applied(host, state, POLICIES[name])[1] for name in (first, second)}
        assert not opened(host, done[kept])
        assert not opened(host, done[gone])
        done[gone].close()
        assert grants.prune(0, host=host).roots  # all that no sandbox uses: the one
        assert len(grants.list(host=host)) == 1
        assert not opened(host, done[kept]), (first, second)
        done[kept].close()
        grants.forget_all(host=host)
        assert disk(host) == original


@pytest.mark.parametrize(("kept", "gone"), list(permutations(POLICIES, 2)))
def test_the_end_of_a_session_opens_nothing_in_the_protected_places_of_another_grant(
    host: SimulatedHost, state: State, kept: str, gone: str
) -> None:
    original = disk(host)
    for first, second in ((kept, gone), (gone, kept)):
        done = {
            name: applied(host, state, POLICIES[name], keep="session" if name == gone else "forever")[1]
            for name in (first, second)
        }
        done[gone].close()
        assert len(grants.list(host=host)) == 1
        assert not opened(host, done[kept]), (first, second)
        done[kept].close()
        _, again = applied(host, state, POLICIES[kept])
        assert again.warm
        assert not opened(host, again)
        again.close()
        grants.forget_all(host=host)
        assert disk(host) == original


def test_guards_that_nobody_else_needs_go_with_their_grant(host: SimulatedHost, state: State) -> None:
    """The positive twin: a removal beside a living sandbox takes the guards of its own places."""
    _, done = applied(host, state)
    policy = Policy.workspace(ROOT, protected_subpaths=[".git\\hooks", "src\\deep"])
    _, session = applied(host, state, policy, keep="session")
    assert "S-1-5-5-" in host.sddl(ROOT + r"\src\deep\er")
    session.close()
    assert "S-1-5-5-" not in host.sddl(ROOT + r"\src\deep\er")
    assert "S-1-5-5-" not in host.sddl(ROOT + r"\src")
    assert "S-1-5-5-" in host.sddl(ROOT + r"\.git\hooks")
    done.close()


def test_a_root_in_another_grants_place_that_was_renamed_keeps_its_guards(host: SimulatedHost, state: State) -> None:
    """By identity: the ledger's path of the outer place is no longer where it lies."""
    inner = Policy.workspace(ROOT + r"\src", protected_subpaths=["deep"])
    applied(host, state, inner)[1].close()
    applied(host, state, Policy.workspace(ABOVE, protected_subpaths=["project"]))[1].close()
    host.rename(ROOT, ABOVE + r"\renamed")
    before = host.sddl(ABOVE + r"\renamed\src\deep\er")
    assert "S-1-5-5-" in before
    grants.forget(ABOVE + r"\renamed\src", host=host)
    assert "S-1-5-5-" in host.sddl(ABOVE + r"\renamed\src\deep\er")


@pytest.mark.parametrize("theirs", ["git", "hooks", "deep", "above"])
@pytest.mark.parametrize("ours", ["git", "hooks", "deep", "above"])
def test_a_removal_leaves_the_guards_of_another_state_directory(host: SimulatedHost, theirs: str, ours: str) -> None:
    original = disk(host)
    with State.open(host, OTHER_STATE) as other, state_of(host) as state:
        _, live = applied(host, other, POLICIES[theirs])
        _, ending = applied(host, state, POLICIES[ours], keep="session")
        assert not opened(host, live)
        ending.close()
        assert not grants.list(host=host)
        assert not opened(host, live)
        live.close()
    grants.forget_all(host=host, state_dir=OTHER_STATE)
    assert not marked(host)
    # The positive twin: whoever goes last takes all of it.
    assert disk(host) == original


def no_volume(host: SimulatedHost, letter: str) -> Any:
    """Take a drive away: whatever is opened on it fails as on Windows. Returns what brings it back."""
    real = host.files.open

    def missing(path: str, access: int, **options: Any) -> Handle:
        if path.upper().startswith(letter):
            raise WinError(3, "CreateFileW", path)
        return real(path, access, **options)

    host.files.open = missing  # type: ignore[method-assign]
    return real


def test_a_grant_on_a_volume_that_is_not_there_stays_listed(host: SimulatedHost) -> None:
    host.add_volume("E:", sddl="O:BAG:BAD:(A;OICI;FA;;;AU)")
    host.write_file(r"E:\project\a\file", b"x")
    original = disk(host, r"E:\project")
    policy = Policy.workspace(r"E:\project", integrity="low")
    with state_of(host) as state:
        applied(host, state, policy, keep="session")
    host.crash()
    host = host.restart()
    real = no_volume(host, "E:")
    with state_of(host) as state:
        applied(host, state)[1].close()  # another sandbox starts, and its recovery meets the grant
    left = [record for record in grants.list(host=host) if record.root == r"E:\project"]
    assert [(record.low, record.state) for record in left] == [(True, "removing")]
    found = grants.recover(host=host).finished
    assert found.left == (r"E:\project",)
    assert not found.missing
    assert "connect it" in found.errors.items[0]
    assert grants.forget(r"E:\project", host=host).left == (r"E:\project",)
    # The volume is back, and the labels are known still.
    host.files.open = real  # type: ignore[method-assign]
    assert grants.recover(host=host).finished.roots == (r"E:\project",)
    assert disk(host, r"E:\project") == original


def test_another_volume_under_the_same_letter_is_not_taken_for_it(host: SimulatedHost) -> None:
    host.add_volume("E:")
    host.mkdir(r"E:\project")
    with state_of(host) as state:
        applied(host, state, Policy.workspace(r"E:\project"))[1].close()
    host.remove_volume("E:")
    host.add_volume("E:")
    host.mkdir(r"E:\project")
    assert grants.forget_all(host=host).left == (r"E:\project",)
    assert [record.root for record in grants.list(host=host)] == [r"E:\project"]


@pytest.mark.parametrize(
    ("old", "new"),
    [(ROOT, ABOVE + r"\renamed"), (ABOVE, r"C:\Users\alice\code"), (r"C:\Users\alice\src", r"C:\Users\alice\s")],
)
def test_a_renamed_root_is_found_by_its_identity(host: SimulatedHost, old: str, new: str) -> None:
    with state_of(host) as state:
        applied(host, state, Policy.workspace(ROOT, integrity="low"))[1].close()
    host.rename(old, new)
    host.mkdir(ROOT)  # another directory has its name now
    moved = new + ROOT[len(old) :]
    assert host.descriptor(moved).sacl
    result = grants.forget_all(host=host)
    assert result.roots == (moved,)
    assert not marked(host, r"C:\Users\alice")
    assert not host.descriptor(moved).sacl
    assert not host.exists(moved + r"\.codex")
    assert not grants.list(host=host)


def test_a_root_that_is_gone_from_its_volume_is_forgotten(host: SimulatedHost) -> None:
    """The positive twin: nothing stays listed that is known to be gone."""
    with state_of(host) as state:
        applied(host, state)[1].close()
    host.remove(ABOVE)
    assert grants.forget_all(host=host).missing == (ROOT,)
    assert not grants.list(host=host)


def dead_session(host: SimulatedHost, *roots: str) -> SimulatedHost:
    for root in roots:
        host.write_file(root + r"\file", b"x")
        with state_of(host) as state:
            applied(host, state, Policy.workspace(root), keep="session")
    host.crash()
    return host.restart()


def test_a_dead_grant_that_cannot_be_opened_stops_no_other_sandbox(host: SimulatedHost) -> None:
    shut, fine = ABOVE + r"\a", ABOVE + r"\b"
    host = dead_session(host, shut, fine)
    before = host.sddl(shut)
    host.set_sddl(shut, "O:BAG:BAD:P(A;OICI;0x1200a9;;;WD)")
    with state_of(host) as state:
        _, done = applied(host, state)
        assert not opened(host, done)
        assert any(shut in note and "could not be taken away" in note for note in done.notes)
        done.close()
    assert {record.root: record.state for record in grants.list(host=host)} == {shut: "removing", ROOT: "complete"}
    assert not marked(host, fine)  # the one after it was taken away all the same
    found = grants.recover(host=host).finished
    assert found.left == (shut,)
    assert "icacls" in found.errors.items[0]
    with pytest.raises(AclError, match="icacls"):
        grants.forget(shut, host=host)
    host.set_sddl(shut, before)
    assert grants.recover(host=host).finished.roots == (shut,)
    assert not marked(host, shut)


@pytest.mark.parametrize("code", [21, 1117, 1392])
def test_no_error_of_the_disk_in_a_dead_grant_reaches_another_sandbox(host: SimulatedHost, code: int) -> None:
    dead = ABOVE + r"\a"
    host = dead_session(host, dead)
    real = host.files.open

    def broken(path: str, access: int, **options: Any) -> Handle:
        if path == dead:
            raise WinError(code, "CreateFileW", path)
        return real(path, access, **options)

    host.files.open = broken  # type: ignore[method-assign]
    with state_of(host) as state:
        applied(host, state)[1].close()
    assert grants.recover(host=host).finished.left == (dead,)
    with pytest.raises(AclError, match="recover"):
        grants.forget(dead, host=host)
    host.files.open = real  # type: ignore[method-assign]
    assert grants.recover(host=host).finished.roots == (dead,)


def test_the_time_that_a_dead_grant_takes_is_not_the_new_sandboxes(host: SimulatedHost) -> None:
    dead = ABOVE + r"\a"
    host = dead_session(host, dead)
    real = host.files.open

    def slow(path: str, access: int, **options: Any) -> Handle:
        if path == dead:
            host.advance(100)
        return real(path, access, **options)

    host.files.open = slow  # type: ignore[method-assign]
    with state_of(host) as state:
        applied(host, state, time_limit=50)[1].close()
    assert {record.root for record in grants.list(host=host)} == {dead, ROOT}
    # The positive twin: its own time is counted.
    below = host.files.open_at

    def slower(parent: Handle, name: str, access: int, **options: Any) -> Handle:
        host.advance(100)
        return below(parent, name, access, **options)

    host.write_file(ABOVE + r"\new\file", b"x")
    with state_of(host) as state:
        host.files.open_at = slower  # type: ignore[method-assign]
        with pytest.raises(AclError, match="not done within"):
            applied(host, state, Policy.workspace(ABOVE + r"\new"), time_limit=50)


@pytest.mark.parametrize("attribute", [ATTRIBUTE_OFFLINE, ATTRIBUTE_RECALL_ON_DATA_ACCESS])
def test_an_attribute_that_a_child_can_set_hides_nothing(host: SimulatedHost, attribute: int) -> None:
    original = disk(host)
    with state_of(host) as state:
        applied(host, state)[1].close()
    host.set_attributes(ROOT + r"\src", attribute)
    host.set_attributes(ROOT + r"\README.md", attribute)
    found = grants.scan(ABOVE, host=host)
    assert found.marked == len(marked(host))
    assert found.objects == len(host.tree(ABOVE))
    assert grants.forget_all(host=host).roots == (ROOT,)
    assert disk(host) == original


def test_what_would_have_to_be_fetched_is_left_and_keeps_the_grant_listed(host: SimulatedHost) -> None:
    original = disk(host)
    with state_of(host) as state:
        applied(host, state)[1].close()
    host.set_attributes(ROOT + r"\src", ATTRIBUTE_RECALL_ON_OPEN)
    assert grants.scan(ABOVE, host=host).errors.count == 1
    result = grants.forget_all(host=host)
    assert result.left == (ROOT,)
    assert not result.roots
    assert "Always keep on this device" in result.errors.items[0]
    assert [record.state for record in grants.list(host=host)] == ["removing"]
    host.set_attributes(ROOT + r"\src", 0, clear=ATTRIBUTE_RECALL_ON_OPEN)
    assert grants.recover(host=host).finished.roots == (ROOT,)
    assert disk(host) == original


@pytest.mark.parametrize("tag", [0x9000001A, 0x9000601A, 0x10000099])
def test_a_directory_that_became_a_reparse_point_keeps_the_grant_listed(host: SimulatedHost, tag: int) -> None:
    with state_of(host) as state:
        applied(host, state)[1].close()
    host.reparse(ROOT + r"\src", tag)
    assert ROOT + r"\src" in grants.scan(ABOVE, host=host).errors.items[0]
    for _ in range(2):
        result = grants.forget_all(host=host)
        assert result.left == (ROOT,)
        assert ROOT + r"\src" in result.errors.items[0]
    assert set(marked(host)) == {name for name in marked(host) if name.startswith(r"project\src")}
    assert grants.list(host=host)


def test_a_reparse_point_without_our_entries_keeps_nothing(host: SimulatedHost) -> None:
    """The positive twins: a link, and a cloud directory that was one before."""
    host.reparse(ROOT + r"\odd\noncanonical", 0x9000001A)
    host.symlink(r"C:\Users", ROOT + r"\link", directory=True)
    with state_of(host) as state:
        applied(host, state)[1].close()
    assert grants.scan(ABOVE, host=host).marked
    result = grants.forget_all(host=host)
    assert (result.roots, result.errors.count) == ((ROOT,), 0)
    assert not grants.scan(ABOVE, host=host).marked
