"""The public functions: what they find, what they say, and what they refuse."""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator
from datetime import timedelta

import pytest

from tests.grants.scenes import ABOVE, ROOT, applied, disk, marked, plan_of, state_of, workspace
from winsandbox import grants
from winsandbox._apply import apply
from winsandbox._findings import GrantReport
from winsandbox._host import default_host
from winsandbox.errors import AclError, GrantInUse, LedgerError, PolicyError, UnsupportedHost
from winsandbox.policy import Policy
from winsandbox.sandbox import Sandbox
from winsandbox.testing import SimulatedCrash, SimulatedHost


@pytest.fixture
def host() -> Iterator[SimulatedHost]:
    with workspace() as made:
        yield made


def use(host: SimulatedHost, policy: Policy | None = None) -> None:
    with state_of(host) as state:
        applied(host, state, policy)[1].close()


def test_the_list_says_what_lies_where_and_who_uses_it(host: SimulatedHost) -> None:
    assert grants.list(host=host).to_text() == "no grants on this machine"
    with state_of(host) as state:
        plan, done = applied(host, state)
        (record,) = grants.list(host=host)
        assert record.root == ROOT
        assert record.sid == str(plan.grants[0].sid)
        assert record.state == "complete"
        assert record.objects == len(host.tree(ROOT))
        assert [user.pid for user in record.users] == [host.processes.current().pid]
        assert set(record.created) == {ROOT + r"\.codex", ROOT + r"\.agents"}
        assert ROOT + r"\.git" in record.protected
        done.close()
    (record,) = grants.list(host=host)
    assert record.users == ()
    data = json.loads(json.dumps(grants.list(host=host).to_dict()))
    assert data["version"] == 1
    assert data["grants"][0]["root"] == ROOT
    assert ROOT in grants.list(host=host).to_text()


def test_forgetting_lists_every_object_and_leaves_the_rest(host: SimulatedHost) -> None:
    original = disk(host)
    use(host)
    use(host, Policy.workspace(ROOT, protected_subpaths=[".git"]))
    result = grants.forget(ROOT + "\\", host=host)
    assert result.roots == (ROOT, ROOT)
    assert result.removed.count == 2
    assert result.changed.count >= len(marked(host))
    assert disk(host) == original
    assert "forgotten: " + ROOT in result.to_text()
    json.dumps(result.to_dict())
    assert grants.forget(ROOT, host=host).to_text() == "nothing to forget"


def test_every_object_that_is_changed_is_told_however_many_there_are(
    host: SimulatedHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(grants.KEPT + 50):
        host.write_file(rf"{ROOT}\many\{n}")
    use(host)
    changed = {f"{ABOVE}\\{name}" for name in marked(host)}
    told: list[str] = []
    result = grants.forget(ROOT, touched=told.append, host=host)
    assert len(changed) > grants.KEPT
    assert set(result.changed.items) == changed
    assert sorted(told) == sorted([*changed, *result.removed.items])
    monkeypatch.setattr(grants, "LISTED", 30)
    use(host)
    told.clear()
    result = grants.forget_all(touched=told.append, host=host)
    assert len(result.changed.items) == 30
    assert result.changed.count == len(changed)
    assert len(told) == result.changed.count + result.removed.count
    use(host)
    assert grants.prune(0, touched=told.append, host=host).roots == (ROOT,)


def test_who_is_told_may_take_his_time_and_look_himself(host: SimulatedHost) -> None:
    """Not under the ledger's lock: other processes go on meanwhile."""
    use(host)
    second = host.second_process()
    states: set[str] = set()

    def look(path: str) -> None:
        states.update(record.state for record in grants.list(host=second))
        with state_of(second) as state, state.ledger.transaction():
            pass

    grants.forget(ROOT, touched=look, host=host)
    assert states == {"removing"}


@pytest.mark.parametrize(
    ("raised", "seen"),
    [(BrokenPipeError(32, "the reader is gone"), AclError), (UnicodeEncodeError("cp1252", "я", 0, 1, "x"), ValueError)],
)
def test_a_telling_that_fails_does_not_leave_the_removal_half_done(
    host: SimulatedHost, raised: Exception, seen: type[Exception]
) -> None:
    original = disk(host)
    use(host)
    told = []

    def fail(path: str) -> None:
        told.append(path)
        raise raised

    with pytest.raises(seen) as caught:
        grants.forget(ROOT, touched=fail, host=host)
    assert raised in (caught.value, caught.value.__cause__)
    assert len(told) == 1
    assert disk(host) == original
    assert grants.list(host=host).to_text() == "no grants on this machine"


def test_a_path_that_is_wrong_is_not_called_a_policy(host: SimulatedHost) -> None:
    for call in (lambda: grants.scan(r"C:\nope", host=host), lambda: grants.forget("nope", host=host)):
        with pytest.raises(PolicyError, match=r"^the path has a mistake:") as caught:
            call()
        assert "policy" not in str(pickle.loads(pickle.dumps(caught.value)))


def test_what_could_not_be_granted_is_in_the_sandboxs_report(host: SimulatedHost) -> None:
    host.set_sddl(ROOT + r"\README.md", "O:SYG:SYD:AI(A;;FR;;;U)(A;ID;FA;;;SY)")
    host.link(ROOT + r"\src\main.py", ROOT + r"\src\second-name.py")
    host.write_file(ROOT + r"\src\other\.git\config")
    sandbox = Sandbox(Policy.workspace(ROOT), host=host)
    assert sandbox.grant_report == GrantReport()
    assert sandbox.grant_report.to_text() == ""
    with sandbox:
        found = sandbox.grant_report
        assert [(error.path, error.winerror) for error in found.errors] == [(ROOT + r"\README.md", 5)]
        assert "icacls" in found.errors[0].remedy
        assert set(found.hard_links) == {ROOT + r"\src\main.py", ROOT + r"\src\second-name.py"}
        assert ROOT + r"\odd\protected.txt" in found.protected_dacls
        assert found.nested == (ROOT + r"\src\other\.git",)
        assert found.counts["errors"] == 1
        assert found.written
        assert "README.md" in found.to_text()
        assert json.loads(json.dumps(found.to_dict()))["errors"]["items"][0]["winerror"] == 5
        assert any("grant_report" in note for note in sandbox.enforcement.notes)
    with Sandbox(Policy.workspace(ROOT), host=host) as again:
        assert again.grant_report.objects == 0, "a warm start walks no root"


def test_a_protected_place_that_is_made_anew_again_and_again_is_listed_once(host: SimulatedHost) -> None:
    policy = Policy.workspace(ROOT, protected_subpaths=[".git"])
    for n in range(10):
        use(host, policy)
        host.rename(ROOT + r"\.git", rf"{ROOT}\old{n}")
        host.write_file(ROOT + r"\.git\config", b"x")
    use(host, policy)
    assert grants.list(host=host)[0].protected == (ROOT + r"\.git",)
    with state_of(host) as state:
        assert len(state.ledger.places(state.ledger.grants()[0].sid)) < 6
    grants.forget(ROOT, host=host)
    assert not marked(host)


@pytest.mark.parametrize("where", [r"\src\new", r"\.git\new"])
@pytest.mark.parametrize("directory", [False, True])
def test_a_label_that_a_new_object_got_from_ours_is_not_put_back(
    host: SimulatedHost, where: str, directory: bool
) -> None:
    """It was made while the root was labelled Low, and met by a second walk, as after a crash."""
    low = Policy.workspace(ROOT, integrity="low")
    use(host, low)
    host.mkdir(ROOT + where) if directory else host.write_file(ROOT + where)
    with state_of(host) as state:
        (row,) = state.ledger.grants()
        state.ledger.put_grant(row._replace(state="applying"))
    use(host, low)
    grants.forget(ROOT, host=host)
    assert "ML;" not in host.sddl(ROOT + where)


def test_an_interrupted_walk_at_low_is_finished_with_its_labels(host: SimulatedHost) -> None:
    """Also by a sandbox that needs none of them: the grant passes for complete afterwards."""
    low = Policy.workspace(ROOT, integrity="low")
    host.crash_at("set_security", 7)
    with pytest.raises(SimulatedCrash):
        use(host, low)
    after = host.restart()
    use(after)
    use(after, low)
    for name in ("", r"\README.md", r"\src\deep\er\module.py"):
        assert "NW;;;LW" in after.sddl(ROOT + name), name
    grants.forget(ROOT, host=after)
    assert "ML;" not in after.sddl(ROOT + r"\README.md")


def test_forgetting_one_root_leaves_another(host: SimulatedHost) -> None:
    other = ABOVE + r"\other"
    host.write_file(other + r"\file")
    use(host, Policy.workspace(ROOT, writable_roots=[other]))
    grants.forget(other, host=host)
    assert [record.root for record in grants.list(host=host)] == [ROOT]
    assert not marked(host, other)
    assert marked(host, ROOT)


def test_a_root_is_found_under_any_name(host: SimulatedHost) -> None:
    use(host)
    host.rename(ROOT, ABOVE + r"\renamed")
    result = grants.forget(ABOVE + r"\renamed", host=host)
    assert result.roots == (ABOVE + r"\renamed",)
    assert not result.missing
    assert not marked(host)
    assert not host.exists(ABOVE + r"\renamed\.codex")


def test_a_root_that_moved_is_used_and_forgotten_where_it_is_now(host: SimulatedHost) -> None:
    use(host)
    moved = ABOVE + r"\renamed"
    host.rename(ROOT, moved)
    with state_of(host) as state:
        plan = plan_of(host, state, Policy.workspace(moved))
        apply(host, plan, state).close()
    assert [record.root for record in grants.list(host=host)] == [moved]
    grants.forget(moved, host=host)
    assert not marked(host)


def test_a_deleted_root_is_forgotten(host: SimulatedHost) -> None:
    use(host)
    host.remove(ROOT)
    result = grants.forget(ROOT, host=host)
    assert result.missing == (ROOT,)
    assert "no longer there" in result.to_text()
    assert not grants.list(host=host)


def test_a_placeholder_with_something_in_it_stays(host: SimulatedHost) -> None:
    use(host)
    host.write_file(ROOT + r"\.codex\config.toml", b"mine")
    result = grants.forget(ROOT, host=host)
    assert host.exists(ROOT + r"\.codex\config.toml")
    assert result.removed.items == (ROOT + r"\.agents",)
    assert not marked(host)


def test_what_cannot_be_changed_stays_listed(host: SimulatedHost) -> None:
    use(host)
    raw = host.descriptor(ROOT + r"\README.md")
    host.set_sddl(
        ROOT + r"\README.md", "O:SYG:SYD:AI(A;;FR;;;U)(A;ID;0x1301bf;;;" + grants.list(host=host)[0].sid + ")"
    )
    result = grants.forget(ROOT, host=host)
    assert result.left == (ROOT,)
    assert not result.roots
    assert "icacls" in result.errors.items[0]
    assert [record.state for record in grants.list(host=host)] == ["removing"]
    host.set_sddl(ROOT + r"\README.md", raw.to_sddl())
    assert grants.recover(host=host).finished.roots == (ROOT,)
    assert not marked(host)
    assert not grants.list(host=host)


def test_a_cancelled_forget_goes_on(host: SimulatedHost) -> None:
    use(host)
    with pytest.raises(AclError, match="not done within"):
        grants.forget(ROOT, time_limit=-1, host=host)
    assert [record.state for record in grants.list(host=host)] == ["removing"]
    assert grants.forget(ROOT, host=host).roots == (ROOT,)
    assert not marked(host)


def test_forget_all_is_all_or_nothing_about_running_sandboxes(host: SimulatedHost) -> None:
    other = ABOVE + r"\other"
    host.write_file(other + r"\file")
    use(host, Policy.workspace(other))
    with state_of(host) as state:
        _, done = applied(host, state)
        before = disk(host)
        with pytest.raises(GrantInUse):
            grants.forget_all(host=host)
        assert disk(host) == before
        done.close()


def test_prune_takes_the_unused_and_leaves_the_used(host: SimulatedHost) -> None:
    other = ABOVE + r"\other"
    host.write_file(other + r"\file")
    use(host)
    assert not grants.prune(timedelta(days=1), host=host).roots
    host.advance(86_400 * 2)
    use(host, Policy.workspace(other))
    assert grants.prune(timedelta(days=1), host=host).roots == (ROOT,)
    with state_of(host) as state:
        _, done = applied(host, state, Policy.workspace(other))
        assert not grants.prune(0, host=host).roots
        done.close()
    assert grants.prune(0.0, host=host).roots == (other,)
    with pytest.raises(ValueError, match="negative"):
        grants.prune(-1, host=host)


def test_scan_finds_what_moved_out_and_what_moved_in(host: SimulatedHost) -> None:
    use(host)
    host.rename(ROOT + r"\README.md", ABOVE + r"\moved.md")
    host.rename(ROOT + r"\src", ROOT + r"\.git\src")
    found = grants.scan(ABOVE, host=host)
    assert found.complete
    assert found.objects == len(host.tree(ABOVE))
    strayed = [top.path for top in found.tops if top.strayed]
    assert strayed == [ABOVE + r"\moved.md"]
    assert ROOT + r"\.git\src\main.py" in found.uncovered.items
    assert found.sids == (grants.list(host=host)[0].sid,)
    assert "moved out of its root" in found.to_text()
    json.dumps(found.to_dict())
    assert not grants.scan(ABOVE, max_objects=3, host=host).complete


def test_scan_needs_no_ledger(host: SimulatedHost) -> None:
    use(host)
    for name in [name for name in host.tree(r"C:\Users\alice\AppData\Local\winsandbox") if "sqlite" in name]:
        host.remove(r"C:\Users\alice\AppData\Local\winsandbox" + "\\" + name)
    found = grants.scan(ABOVE, host=host)
    assert found.marked == len(marked(host))
    assert {top.path for top in found.tops if top.unknown} >= {ROOT, ROOT + r"\.git"}
    grants.rebuild([ABOVE], host=host)
    grants.forget_all(host=host)
    assert not marked(host)


@pytest.mark.parametrize("path", ["", "relative", r"\\server\share\x", r"C:\missing"])
def test_a_path_that_cannot_be_scanned_is_an_error(host: SimulatedHost, path: str) -> None:
    with pytest.raises(PolicyError):
        grants.scan(path, host=host)


def test_a_state_directory_of_ones_own(host: SimulatedHost) -> None:
    from winsandbox._state import State

    with State.open(host, r"C:\Users\alice\state") as state:
        applied(host, state)[1].close()
    assert not grants.list(host=host)
    assert len(grants.list(host=host, state_dir=r"C:\Users\alice\state")) == 1
    grants.forget_all(host=host, state_dir=r"C:\Users\alice\state")
    assert not marked(host)
    with pytest.raises(LedgerError):
        grants.list(host=host, state_dir="relative")


def test_without_windows_and_without_a_host_there_is_nothing_to_list() -> None:
    try:
        default_host()
    except UnsupportedHost:
        with pytest.raises(UnsupportedHost):
            grants.list()
    else:
        assert isinstance(grants.list(), grants.GrantList)
