"""Applying a plan: what is written, what is not, what is refused, and what is seen while commands run."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from tests.grants.scenes import ABOVE, ROOT, applied, disk, marked, plan_of, state_of, workspace, write_bits, writes
from winsandbox import _placing, _undo, grants
from winsandbox._apply import Applied, apply, check_token, survey_walk
from winsandbox._edits import open_bits
from winsandbox._host import ATTRIBUTE_RECALL_ON_OPEN, Handle
from winsandbox._plan import is_tagged
from winsandbox._security.token import Token
from winsandbox._state import State
from winsandbox.errors import AclError, GrantInUse
from winsandbox.policy import Policy, Protect
from winsandbox.testing import SimulatedHost

GIT = ROOT + r"\.git"


@pytest.fixture
def host() -> Iterator[SimulatedHost]:
    with workspace() as made:
        yield made


@pytest.fixture
def state(host: SimulatedHost) -> Iterator[State]:
    with state_of(host) as opened:
        yield opened


def start_and_stop(host: SimulatedHost, state: State, policy: Policy | None = None) -> None:
    applied(host, state, policy)[1].close()


def objects(host: SimulatedHost) -> int:
    return len(host.tree(ROOT))


# -- what it costs ------------------------------------------------------------------------------------------------


def test_a_cold_start_writes_each_object_once(host: SimulatedHost, state: State) -> None:
    plan = plan_of(host, state)
    made = writes(host, lambda: apply(host, plan, state).close())
    assert made == objects(host) - 1  # protected.txt inherits nothing and is left as it is


def test_a_cold_start_at_low_writes_each_object_once_too(host: SimulatedHost, state: State) -> None:
    plan = plan_of(host, state, Policy.workspace(ROOT, integrity="low"))
    made = writes(host, lambda: apply(host, plan, state).close())
    assert made == objects(host) - 1


def test_a_warm_start_writes_nothing_and_reads_once_a_root_and_place(host: SimulatedHost, state: State) -> None:
    applied(host, state)[1].close()
    before = host.counts.copy()
    plan, done = applied(host, state)
    assert done.warm
    assert host.counts["set_security"] == before["set_security"]
    assert host.counts["security"] - before["security"] == 1 + len(plan.grants[0].protected)
    done.close()


@pytest.mark.parametrize(
    "other",
    [
        Policy.workspace(ROOT, protected_subpaths=Protect.GIT_HOOKS),
        Policy.workspace(ROOT, protected_subpaths=[".git", "docs"]),
        Policy.workspace(ROOT, integrity="low"),
        Policy.workspace(ABOVE, protected_subpaths=[r"project\.git", r"project\src"]),
    ],
    ids=["parts", "more", "low", "above"],
)
def test_changing_between_applied_policies_costs_one_read_a_root_and_place(
    host: SimulatedHost, state: State, other: Policy
) -> None:
    """Although the first walk for the other one wrote in the places of the first."""
    host.mkdir(ROOT + r"\docs")
    for policy in (None, None, other):
        start_and_stop(host, state, policy)
    for policy in (None, other, None, other):
        before = host.counts.copy()
        plan, done = applied(host, state, policy)
        used = host.counts - before
        assert used["set_security"] == 0
        assert used["security"] == sum(1 + len(grant.protected) for grant in plan.grants)
        assert done.warm
        done.close()


def test_the_guards_of_a_new_logon_leave_the_places_of_other_policies_checked(
    host: SimulatedHost, state: State
) -> None:
    more = Policy.workspace(ROOT, protected_subpaths=[".git", "src"])
    for policy in (None, more, None):
        start_and_stop(host, state, policy)
    state.close()
    new = host.restart(new_logon=True)
    with state_of(new) as again:
        start_and_stop(new, again)
        before = new.counts.copy()
        _, done = applied(new, again, more)
        used = new.counts - before
        # .git has the guards already, and was not looked through again; the three directories of src get theirs.
        assert (used["security"], used["set_security"]) == (1 + 2 + 2 * 3, 3)
        done.close()


@pytest.mark.parametrize(
    ("what", "sddl"),
    [("closed", "D:P(A;;FA;;;U)"), ("left without a list of ours", "D:AI(A;ID;FA;;;U)"), ("open", "D:P(A;;FA;;;WD)")],
)
def test_a_walk_for_one_policy_vouches_for_another_only_where_nothing_is_open_to_that(
    host: SimulatedHost, state: State, what: str, sddl: str
) -> None:
    """Something came into .git of the first policy; the walk for the second meets it as an ordinary object."""
    start_and_stop(host, state)
    host.write_file(GIT + r"\objects\new", b"", sddl)
    hooks = Policy.workspace(ROOT, protected_subpaths=Protect.GIT_HOOKS)
    applied(host, state, hooks)[1].close()
    _, done = applied(host, state)
    assert not write_bits(host.descriptor(GIT + r"\objects\new"), done, directory=False), what
    done.close()
    # Later even in one token, as when the one root was moved out of the other meanwhile.
    allowed = {ace.sid for ace in host.descriptor(GIT + r"\objects\new").dacl or () if ace.sid and is_tagged(ace.sid)}
    token = replace(_token(host, done), restricting=tuple(allowed | {done._plan.grants[0].sid}))
    assert not open_bits(
        host.descriptor(GIT + r"\objects\new"), token, done._plan.grants[0].sid, directory=False, guarded=False
    )


def _token(host: SimulatedHost, done: Applied) -> Token:
    with host.tokens.current() as handle:
        return check_token(done._plan, host.tokens.inspect(handle).token)


def test_changing_between_policies_that_were_applied_writes_nothing(host: SimulatedHost, state: State) -> None:
    hooks = Policy.workspace(ROOT, protected_subpaths=Protect.GIT_HOOKS)
    applied(host, state)[1].close()
    applied(host, state, hooks)[1].close()
    assert writes(host, start_and_stop, host, state) == 0
    assert writes(host, start_and_stop, host, state, hooks) == 0


def test_guards_are_placed_once_per_logon_on_directories_alone(host: SimulatedHost, state: State) -> None:
    applied(host, state)[1].close()
    state.close()
    new = host.restart(new_logon=True)
    protected = [name for name, kind in new.tree(ROOT).items() if kind == "directory" and name[:1] == "."]
    with state_of(new) as again:
        assert writes(new, start_and_stop, new, again) == len(protected)
        assert writes(new, start_and_stop, new, again) == 0
    guards = [ace for ace in new.descriptor(GIT).dacl or () if str(ace.sid).startswith("S-1-5-5-")]
    assert len(guards) == 1  # the one of the ended session is gone


def test_two_live_logons_keep_their_guards(host: SimulatedHost, state: State) -> None:
    _, first = applied(host, state)
    other = host.second_process().restart(new_logon=True)
    with state_of(other) as second_state:
        _, second = applied(other, second_state)
        guards = {str(ace.sid) for ace in host.descriptor(GIT).dacl or () if str(ace.sid).startswith("S-1-5-5-")}
        assert guards == {str(first._plan.logon), str(second._plan.logon)}
        for one in (first, second):
            assert not write_bits(host.descriptor(GIT), one, directory=True)
        second.close()
    first.close()


def test_one_list_reset_by_somebody_is_found_and_given_again(host: SimulatedHost, state: State) -> None:
    applied(host, state)[1].close()
    host.set_sddl(GIT, "D:AI(A;OICIID;FA;;;U)")
    _, done = applied(host, state)
    assert not done.warm
    assert not write_bits(host.descriptor(GIT), done, directory=True)
    done.close()
    host.set_sddl(ROOT, "D:AI(A;OICIID;FA;;;U)")
    _, done = applied(host, state)
    assert not done.warm
    assert write_bits(host.descriptor(ROOT), done, directory=True) & 0x6 == 0x6
    done.close()


def test_a_run_that_was_cut_short_goes_on(host: SimulatedHost, state: State) -> None:
    plan = plan_of(host, state)
    stop = threading.Event()
    seen: list[int] = []

    def progress(done: int, total: int | None, path: str, seconds: float) -> None:
        seen.append(done)
        stop.set()

    with pytest.raises(AclError, match="cancelled") as caught:
        apply(host, plan, state, progress=progress, cancel=stop)
    assert caught.value.code == "acl.cancelled"
    assert [record.state for record in grants.list(host=host)] in (["partial"], [])
    stop.clear()
    with pytest.raises(AclError, match="not done within"):
        apply(host, plan_of(host, state), state, time_limit=-1)
    done = apply(host, plan_of(host, state), state, progress=lambda *_: None)
    assert write_bits(host.descriptor(ROOT + r"\README.md"), done, directory=False)
    done.close()
    assert seen
    grants.forget_all(host=host)


def test_progress_knows_the_last_count(host: SimulatedHost, state: State) -> None:
    applied(host, state)[1].close()
    grants_before = grants.list(host=host)[0].objects
    calls: list[tuple[int, int | None]] = []
    host.set_sddl(ROOT, "D:AI(A;OICIID;FA;;;U)")
    applied(host, state, progress=lambda *call: calls.append((call[0], call[1])))[1].close()
    assert calls[0][1] == grants_before
    assert calls[-1][0] == calls[-1][1] == objects(host)


# -- what is closed, and what stays as it was ---------------------------------------------------------------------


def test_everyones_explicit_allow_inside_a_protected_place_is_closed(host: SimulatedHost, state: State) -> None:
    host.set_sddl(GIT + r"\config", "D:AI(A;;FA;;;WD)(A;ID;FA;;;U)")
    host.set_sddl(GIT + r"\hooks", "D:P(A;OICI;FA;;;WD)")
    _, done = applied(host, state)
    assert not write_bits(host.descriptor(GIT + r"\config"), done, directory=False)
    assert not write_bits(host.descriptor(GIT + r"\hooks"), done, directory=True)
    done.close()
    grants.forget_all(host=host)
    assert host.sddl(GIT + r"\hooks").endswith("D:P(A;OICI;FA;;;WD)")


def test_the_users_explicit_allow_does_not_open_the_guard(host: SimulatedHost, state: State) -> None:
    host.set_sddl(GIT + r"\hooks", "D:AI(A;OICI;FA;;;U)")
    _, done = applied(host, state)
    assert not write_bits(host.descriptor(GIT + r"\hooks"), done, directory=True)
    done.close()


def test_a_null_dacl_stays_one_and_inside_a_protected_place_stops_the_start(host: SimulatedHost, state: State) -> None:
    host.set_sddl(ROOT + r"\src\main.py", "D:NO_ACCESS_CONTROL")
    _, done = applied(host, state)
    assert host.descriptor(ROOT + r"\src\main.py").dacl is None
    assert done.report.null_dacls.items == [ROOT + r"\src\main.py"]
    done.close()
    host.set_sddl(GIT + r"\config", "D:NO_ACCESS_CONTROL")
    grants.forget_all(host=host)
    with pytest.raises(AclError, match="NULL DACL"):
        applied(host, state)
    assert host.descriptor(GIT + r"\config").dacl is None


def test_a_place_that_cannot_be_denied_stops_the_start(host: SimulatedHost, state: State) -> None:
    host.write_file(GIT + r"\locked", b"", "O:SYG:SYD:P(A;;FA;;;WD)", as_system=True)
    host.set_sddl(GIT + r"\locked", "O:SYG:SYD:P(A;;0x1301bf;;;WD)")
    with pytest.raises(AclError, match="cannot be denied") as caught:
        applied(host, state)
    assert caught.value.code == "acl.protected"
    assert "icacls" in caught.value.remedy
    assert not state.ledger.leases()


def test_what_cannot_be_written_but_is_closed_anyway_is_reported_only(host: SimulatedHost, state: State) -> None:
    host.write_file(GIT + r"\theirs", b"", as_system=True)
    host.set_sddl(GIT + r"\theirs", "O:SYG:SYD:AI(A;;FA;;;SY)(A;;FR;;;WD)")
    host.write_file(ROOT + r"\theirs", b"", as_system=True)
    host.set_sddl(ROOT + r"\theirs", "O:SYG:SYD:AI(A;;FA;;;SY)(A;;FR;;;WD)")
    _, done = applied(host, state)
    assert [error.path for error in done.report.errors.items] == [GIT + r"\theirs", ROOT + r"\theirs"]
    assert all(error.winerror == 5 and "icacls" in error.remedy for error in done.report.errors.items)
    assert not write_bits(host.descriptor(GIT + r"\theirs"), done, directory=False)
    done.close()


def test_a_protected_dacl_keeps_the_grant_out_with_all_below(host: SimulatedHost, state: State) -> None:
    host.mkdir(ROOT + r"\sealed", "D:P(A;OICI;FA;;;U)")
    host.write_file(ROOT + r"\sealed\inner\file.txt", b"")
    before = disk(host, ROOT + r"\sealed")
    _, done = applied(host, state)
    assert disk(host, ROOT + r"\sealed") == before
    assert ROOT + r"\sealed" in done.report.protected_dacls.items
    done.close()


def test_links_and_files_with_other_names_are_left_alone(host: SimulatedHost, state: State) -> None:
    outside = r"C:\Users\alice\outside"
    host.write_file(outside + r"\file.txt", b"")
    host.junction(outside, ROOT + r"\junction")
    host.link(outside + r"\file.txt", ROOT + r"\hard.txt")
    before = disk(host, outside)
    _, done = applied(host, state)
    assert disk(host, outside) == before
    assert done.report.links.items == [ROOT + r"\junction"]
    assert done.report.hard_links.items == [ROOT + r"\hard.txt"]
    done.close()


def test_a_protected_place_that_is_a_link_is_denied_as_a_link(host: SimulatedHost, state: State) -> None:
    outside = r"C:\Users\alice\outside"
    host.mkdir(outside)
    host.junction(outside, ROOT + r"\.agents")
    before = disk(host, outside)
    plan, done = applied(host, state)
    assert any(place.link for place in plan.grants[0].protected)
    assert not write_bits(host.descriptor(ROOT + r"\.agents"), done, directory=True)
    assert disk(host, outside) == before
    done.close()
    assert writes(host, start_and_stop, host, state) == 0


def test_directories_between_cannot_be_renamed_away(host: SimulatedHost, state: State) -> None:
    _, done = applied(host, state, Policy.workspace(ROOT, protected_subpaths=[r"src\deep\er"]))
    for name in (r"\src", r"\src\deep"):
        bits = write_bits(host.descriptor(ROOT + name), done, directory=True)
        assert bits & 0x6 == 0x6  # files can be made there
        assert not bits & 0x10040  # but neither it nor what lies in it goes away through it
    assert not write_bits(host.descriptor(ROOT + r"\src\deep\er"), done, directory=True)
    done.close()


def test_a_cloud_placeholder_is_not_opened(host: SimulatedHost, state: State) -> None:
    host.set_attributes(ROOT + r"\src\main.py", ATTRIBUTE_RECALL_ON_OPEN)
    before = host.descriptor_bytes(ROOT + r"\src\main.py")
    _, done = applied(host, state)
    assert host.descriptor_bytes(ROOT + r"\src\main.py") == before
    assert done.report.placeholders.items == [ROOT + r"\src\main.py"]
    done.close()
    host.set_attributes(GIT + r"\config", ATTRIBUTE_RECALL_ON_OPEN)
    grants.forget_all(host=host)
    with pytest.raises(AclError, match="cloud placeholder"):
        applied(host, state)


def test_nested_repositories_are_reported(host: SimulatedHost, state: State) -> None:
    host.write_file(ROOT + r"\vendor\lib\.git\config", b"")
    _, done = applied(host, state)
    assert done.report.nested.items == [ROOT + r"\vendor\lib\.git"]
    assert any("nested" in note for note in done.notes)
    done.close()


def test_a_nested_repository_is_an_exception_at_warm_starts_too_until_the_grant_is_forgotten(
    host: SimulatedHost, state: State
) -> None:
    host.write_file(ROOT + r"\vendor\lib\.git\config", b"")
    for warm in (False, True, True):
        _, done = applied(host, state)
        assert done.warm is warm
        assert done.exceptions == (ROOT + r"\vendor\lib\.git: a nested repository, which is not protected",)
        done.close()
    _, other = applied(host, state, Policy.workspace(ROOT, protected_subpaths=("secret",)))
    assert other.exceptions == ()  # its policy protects no repository at all
    other.close()
    host.remove(ROOT + r"\vendor")
    grants.forget_all(host=host)
    _, again = applied(host, state)
    assert again.exceptions == ()
    again.close()


def test_a_protected_place_that_the_walk_of_the_root_did_not_come_to_is_denied_all_the_same(
    host: SimulatedHost, state: State
) -> None:
    host.set_attributes(ROOT + r"\src", ATTRIBUTE_RECALL_ON_OPEN)  # the walk goes round it
    _, done = applied(host, state, Policy.workspace(ROOT, protected_subpaths=[r"src\deep"]))
    assert ROOT + r"\src" in done.report.placeholders.items
    for name, directory in ((r"\src\deep", True), (r"\src\deep\er", True), (r"\src\deep\er\module.py", False)):
        assert not write_bits(host.descriptor(ROOT + name), done, directory=directory), name
    assert write_bits(host.descriptor(ROOT + r"\README.md"), done, directory=False)
    done.close()


def test_what_is_moved_into_a_protected_place_behind_the_back_of_the_first_walk_is_denied(
    host: SimulatedHost, state: State
) -> None:
    plan = plan_of(host, state)
    real = host.files.set_security
    moved: list[str] = []

    def write(handle: Handle, *arguments: Any, **options: Any) -> None:
        real(handle, *arguments, **options)
        path = host.files.final_path(handle)
        if path == ROOT + r"\src\deep\er" and not moved:  # long after .git was walked
            moved.append(path)
            host.rename(ROOT + r"\src\main.py", GIT + r"\hooks\main.py")

    host.files.set_security = write  # type: ignore[method-assign]
    done = apply(host, plan, state)
    assert moved
    assert not write_bits(host.descriptor(GIT + r"\hooks\main.py"), done, directory=False)
    assert done.exceptions == ()
    done.close()


def test_a_place_of_any_size_is_looked_through_before_and_after_its_first_walk(
    host: SimulatedHost, state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The twin with more entries than a warm start looks at."""
    monkeypatch.setattr(_placing, "LIMIT", 3)
    test_what_is_moved_into_a_protected_place_behind_the_back_of_the_first_walk_is_denied(host, state)


# -- labels -------------------------------------------------------------------------------------------------------


def test_labels_go_with_the_session_that_asked_for_them(host: SimulatedHost, state: State) -> None:
    before = disk(host)
    applied(host, state, keep="forever")[1].close()
    _, done = applied(host, state, Policy.workspace(ROOT, integrity="low"), keep="session")
    assert "ML" in host.sddl(ROOT)
    done.close()
    assert not [name for name in host.tree(ABOVE) if host.descriptor(f"{ABOVE}\\{name}".rstrip("\\")).sacl]
    _, done = applied(host, state)
    assert done.warm
    done.close()
    assert [(record.low, record.keep) for record in grants.list(host=host)] == [(False, "forever")]
    grants.forget_all(host=host)
    assert disk(host) == before


def test_what_only_its_owner_may_edit_is_granted_and_taken_from_without_a_label(
    host: SimulatedHost, state: State
) -> None:
    """An owner may write the list, but not the label: that needs WRITE_OWNER."""
    for name in (r"\README.md", r"\.git\config"):
        host.set_sddl(ROOT + name, "D:AI(A;ID;0x1301bf;;;AU)(A;ID;FA;;;SY)(A;ID;FA;;;BA)")
    before = disk(host)
    applied(host, state)[1].close()
    _, done = applied(host, state, Policy.workspace(ROOT, integrity="low"))
    assert not write_bits(host.descriptor(GIT + r"\config"), done, directory=False)
    assert [error.path for error in done.report.errors.items] == [GIT + r"\config", ROOT + r"\README.md"]
    assert all("WO" in error.remedy for error in done.report.errors.items)
    assert str(done._plan.grants[0].sid) in host.sddl(ROOT + r"\README.md")
    done.close()
    result = grants.forget_all(host=host)
    assert not result.left
    assert disk(host) == before


def test_a_label_that_can_no_longer_be_taken_away_keeps_the_grant_listed_but_no_access(
    host: SimulatedHost, state: State
) -> None:
    applied(host, state, Policy.workspace(ROOT, integrity="low"))[1].close()
    old = host.sddl(ROOT + r"\README.md")
    host.set_sddl(ROOT + r"\README.md", old.replace("ID;FA;;;S-1-5-21-", "ID;0x1301bf;;;S-1-5-21-"))
    result = grants.forget_all(host=host)
    assert result.left == (ROOT,)
    assert "WO" in result.errors.items[0]
    assert set(marked(host)) == set()
    host.set_sddl(ROOT + r"\README.md", host.sddl(ROOT + r"\README.md").replace("0x1301bf", "FA"))
    assert grants.recover(host=host).finished.roots == (ROOT,)
    assert "ML" not in host.sddl(ROOT + r"\README.md")


def test_what_was_planned_for_must_still_be_there(host: SimulatedHost, state: State) -> None:
    plan = plan_of(host, state)
    host.rename(GIT, ROOT + r"\old")
    host.mkdir(GIT)
    before = disk(host)
    with pytest.raises(AclError, match="no longer what it was"):
        apply(host, plan, state)
    assert disk(host) == before
    assert not grants.list(host=host)
    assert not state.ledger.leases()


# -- several at once ----------------------------------------------------------------------------------------------


def test_two_policies_on_one_root_do_not_disturb_each_other(host: SimulatedHost, state: State) -> None:
    _, strict = applied(host, state)
    _, loose = applied(host, state, Policy.workspace(ROOT, protected_subpaths=[r".git\hooks"]))
    config = host.descriptor(GIT + r"\config")
    assert not write_bits(config, strict, directory=False)
    assert write_bits(config, loose, directory=False)
    for one in (strict, loose):
        assert not write_bits(host.descriptor(GIT + r"\hooks\pre-commit"), one, directory=False)
    loose.close()
    original = disk(host)
    strict.close()
    grants.forget_all(host=host)
    assert original != disk(host)
    assert not marked(host)


def test_a_session_ends_with_its_last_sandbox(host: SimulatedHost, state: State) -> None:
    original = disk(host)
    _, first = applied(host, state, keep="session")
    _, second = applied(host, state, keep="session")
    first.close()
    assert marked(host)
    second.close()
    assert disk(host) == original
    assert not grants.list(host=host)


def test_a_session_does_not_take_away_what_is_kept_forever(host: SimulatedHost, state: State) -> None:
    applied(host, state)[1].close()
    applied(host, state, keep="session")[1].close()
    assert marked(host)
    assert [record.keep for record in grants.list(host=host)] == ["forever"]


def test_forgetting_under_a_running_sandbox_needs_force_and_opens_nothing(host: SimulatedHost, state: State) -> None:
    original = disk(host)
    _, done = applied(host, state)
    pid = str(host.processes.current().pid)
    with pytest.raises(GrantInUse, match=pid):
        grants.forget(ROOT, host=host)
    result = grants.forget(ROOT, force=True, host=host)
    assert result.kept == (ROOT,)
    assert not write_bits(host.descriptor(ROOT + r"\README.md"), done, directory=False)
    assert not write_bits(host.descriptor(GIT), done, directory=True)
    done.close()
    assert disk(host) == original


def test_the_guards_of_another_grant_stay_when_a_session_ends(host: SimulatedHost, state: State) -> None:
    _, kept = applied(host, state)
    more = Policy.workspace(ROOT, protected_subpaths=[".git", r"src\deep\er"])
    applied(host, state, more, keep="session")[1].close()
    for name in (r"\.git", r"\.git\hooks"):
        assert not write_bits(host.descriptor(ROOT + name), kept, directory=True)
    assert "S-1-5-5-" not in host.sddl(ROOT + r"\src\deep\er")
    kept.close()


class Meddling:
    """Does something once, when the walk of `host` reads the descriptor of `path` outside of the lock."""

    def __init__(self, host: SimulatedHost, at: int, action: Callable[[], object]) -> None:
        self.real, self.left, self.action = host.files.security, at, action
        host.files.security = self  # type: ignore[method-assign]

    def __call__(self, handle: Handle) -> bytes:
        self.left -= 1
        if self.left == 0:
            self.action()
        return self.real(handle)


def test_a_grant_forgotten_by_force_while_it_is_applied_is_not_given_behind_the_back(
    host: SimulatedHost, state: State
) -> None:
    other = host.second_process()
    plan = plan_of(host, state)
    Meddling(host, 6, lambda: grants.forget_all(force=True, host=other))
    with pytest.raises(AclError, match="forgotten by another process"):
        apply(host, plan, state)
    listed = {record.sid for record in grants.list(host=other)}
    assert set().union(*marked(host).values()) <= listed
    grants.forget_all(host=other)
    assert not marked(host)


def test_a_grant_that_comes_while_another_is_forgotten_keeps_its_guards(host: SimulatedHost, state: State) -> None:
    """The other one starts in the middle of the walk, on the places that are just being taken from."""
    applied(host, state)[1].close()
    other = host.second_process()
    with state_of(other) as second:
        started: list[Applied] = []
        policy = Policy.workspace(ROOT, protected_subpaths=[".git"])
        Meddling(host, 5, lambda: started.append(applied(other, second, policy)[1]))
        grants.forget(ROOT, host=host)
        for name in (r"\.git", r"\.git\hooks", r"\.git\objects"):
            assert not write_bits(host.descriptor(ROOT + name), started[0], directory=True), name
        started[0].close()


def test_a_removal_that_was_taken_over_stops(host: SimulatedHost, state: State) -> None:
    applied(host, state)[1].close()
    other = host.second_process()
    with state_of(other) as second:

        def take_over() -> None:
            row = second.ledger.grants()[0]
            second.ledger.put_grant(row._replace(state="complete"))

        Meddling(host, 5, take_over)
        with pytest.raises(AclError, match="another process took over"):
            grants.forget(ROOT, host=host)


def test_a_lease_that_comes_at_the_last_moment_is_respected(host: SimulatedHost, state: State) -> None:
    plan, done = applied(host, state)
    sid = plan.grants[0].sid
    with pytest.raises(GrantInUse):
        _undo.claim(host, state.ledger, sid)
    assert _undo.claim(host, state.ledger, sid, only_dead=True) is None
    done.close()
    claimed = _undo.claim(host, state.ledger, sid)
    assert claimed is not None
    assert claimed.state == "removing"


@pytest.mark.parametrize("integrity", ["medium", "low"])
def test_every_descriptor_write_happens_under_the_lock(host: SimulatedHost, state: State, integrity: Any) -> None:
    """Another connection cannot get the lock at the moment of any write: so no two processes write one list at once."""
    path = state.ledger.path
    real = host.files.set_security
    written = 0

    def watched(handle: Handle, descriptor: bytes, *, dacl: bool = True, label: bool = False) -> None:
        nonlocal written
        written += 1
        other = host.files.database(path)
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("BEGIN IMMEDIATE")
        other.close()
        real(handle, descriptor, dacl=dacl, label=label)

    host.files.set_security = watched  # type: ignore[method-assign]
    policy = Policy.workspace(ROOT, integrity=integrity)
    applied(host, state, policy)[1].close()
    assert written > 10
    grants.forget_all(host=host)
    assert written > 20
    assert not marked(host)


def test_the_pins_keep_roots_and_places_where_they_are(host: SimulatedHost, state: State) -> None:
    from winsandbox._security.mask import DELETE

    _, done = applied(host, state)
    for path in (ROOT, GIT, ROOT + r"\.codex"):
        with pytest.raises(PermissionError):
            host.files.open(path, DELETE)
    done.close()
    host.files.open(GIT, DELETE).close()


def test_a_place_that_somebody_keeps_open_is_an_error_with_a_remedy(host: SimulatedHost, state: State) -> None:
    plan = plan_of(host, state)
    with host.files.open(GIT, 0x1, share=0), pytest.raises(AclError, match="cannot be held open") as caught:
        apply(host, plan, state)
    assert "Close the program" in caught.value.remedy
    assert not state.ledger.leases()


# -- while commands run -------------------------------------------------------------------------------------------


def test_a_created_protected_name_is_a_violation_and_denied_before_the_next_command(
    host: SimulatedHost, state: State
) -> None:
    host.remove(GIT)
    _, done = applied(host, state)
    assert done.secure_new().existing == frozenset()
    host.write_file(GIT + r"\hooks\evil", b"")
    assert [(found.path, found.kind) for found in done.violations()] == [(GIT, "created")]
    done.secure_new()
    assert done.secured == (GIT,)
    assert not write_bits(host.descriptor(GIT + r"\hooks\evil"), done, directory=False)
    assert done.violations() == ()
    with pytest.raises(PermissionError):
        host.files.open(GIT, 0x10000)
    done.close()
    grants.forget_all(host=host)
    assert not marked(host)


def test_a_planted_link_on_the_way_to_a_watched_name_leads_nowhere(host: SimulatedHost, state: State) -> None:
    outside = r"C:\Users\alice\outside"
    host.write_file(outside + r"\secret\file", b"")
    _, done = applied(host, state, Policy.workspace(ROOT, protected_subpaths=[r"way\secret"]))
    host.junction(outside, ROOT + r"\way")
    before = disk(host, outside)
    done.secure_new()
    assert disk(host, outside) == before
    done.close()


def test_changes_of_a_protected_tree_are_violations(host: SimulatedHost, state: State) -> None:
    _, done = applied(host, state)
    assert done.violations() == ()
    host.remove(GIT + r"\config")
    host.write_file(GIT + r"\hooks\pre-commit", b"something longer")
    host.write_file(GIT + r"\new", b"")
    found = {(violation.path, violation.kind) for violation in done.violations()}
    assert found == {
        (GIT + r"\config", "removed"),
        (GIT + r"\hooks\pre-commit", "changed"),
        (GIT + r"\new", "added"),
    }
    done.secure_new()
    assert done.violations() == ()
    done.close()


def test_a_descriptor_write_that_fails_is_reported_or_stops_the_start(host: SimulatedHost, state: State) -> None:
    plan = plan_of(host, state)
    host.fail("set_security", 3, 5)
    with pytest.raises(AclError):
        apply(host, plan, state)
    assert len(host.open_handles()) == 1  # the state directory's pin
    done = apply(host, plan_of(host, state), state)
    assert not write_bits(host.descriptor(GIT), done, directory=True)
    done.close()


def test_counting_writes_nothing_and_finds_what_a_walk_would(host: SimulatedHost, state: State) -> None:
    host.write_file(ROOT + r"\vendor\lib\.git\config", b"")
    plan = plan_of(host, state)
    before = disk(host)
    known = [place.identity for place in plan.grants[0].protected if place.identity]
    found = survey_walk(host, plan.grants[0].root, known=known)
    assert disk(host) == before
    assert found.complete
    assert found.findings.objects == objects(host)
    assert found.findings.nested.items == [ROOT + r"\vendor\lib\.git"]
    assert not survey_walk(host, plan.grants[0].root, max_objects=3).complete
