"""Policy and facts -> plan: what is decided, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.plan.facts import LOGON, ROOT, SECRET, USER, caller, facts, identity, protected, root
from winsandbox._plan import Place, Plan, default_dacl, grant_sid, is_tagged, make_plan, model_token, session_sid
from winsandbox._security import access
from winsandbox._security.acl import Acl
from winsandbox._security.descriptor import SecurityDescriptor
from winsandbox._security.mask import EVENT, FILE_GENERIC_WRITE, GENERIC_ALL
from winsandbox._security.sid import ADMINISTRATORS, EVERYONE, SYSTEM, USERS
from winsandbox._security.token import GROUP_ENABLED, GROUP_USE_FOR_DENY_ONLY, Group, Token
from winsandbox._survey import Facts
from winsandbox.errors import Mistake, RootRefused, UnsupportedHost
from winsandbox.policy import Policy, Protect

SESSION = session_sid(b"0123456789ab")


def plan(policy: Policy | None = None, found: Facts | None = None) -> Plan:
    return make_plan(policy or Policy.workspace(ROOT), found or facts(), secret=SECRET, session=SESSION)


def test_the_token_names_the_grants_the_session_the_logon_and_everyone_and_nobody_else() -> None:
    made = plan()
    assert made.token.restricting == (made.grants[0].sid, SESSION, LOGON, EVERYONE)
    assert made.token.flags == 0xD
    assert made.token.privileges == ("SeChangeNotifyPrivilege",)


@pytest.mark.parametrize("left", [("logon",), ("everyone",), ()])
def test_logon_and_everyone_can_be_left_out(left: tuple[str, ...]) -> None:
    made = plan(Policy.workspace(ROOT, restricting=left))
    assert (LOGON in made.token.restricting) == ("logon" in left)
    assert (EVERYONE in made.token.restricting) == ("everyone" in left)
    assert USER not in made.token.restricting


def test_a_read_only_policy_has_no_grant_and_a_session() -> None:
    made = plan(Policy.read_only(ROOT), facts(roots=(), protected=()))
    assert made.grants == ()
    assert made.token.restricting[0] == SESSION


def test_missing_codex_and_agents_are_created_in_the_workspace_only_and_git_never() -> None:
    other = root(r"C:\other", 20, workspace=False, missing=(".git", ".codex", ".agents"))
    found = facts(roots=(root(missing=(".git", ".codex", ".agents")), other), protected=())
    first, second = plan(Policy.workspace(ROOT, writable_roots=[r"C:\other"]), found).grants
    assert first.create == (".codex", ".agents")
    assert first.watch == (rf"{ROOT}\.git",)
    assert second.create == ()
    assert second.watch == (r"C:\other\.git", r"C:\other\.codex", r"C:\other\.agents")


def test_every_grant_excludes_every_protected_place_below_its_root() -> None:
    found = facts(
        roots=(root(missing=(), folded=("sub",)),), protected=(protected(".git", 11), protected(r"sub\.git", 12))
    )
    (grant,) = plan(found=found).grants
    assert {place.path for place in grant.protected} == {rf"{ROOT}\.git", rf"{ROOT}\sub\.git"}
    assert r"sub\.git" in grant.exclusions


def test_other_exclusions_make_another_sid_and_order_and_case_do_not() -> None:
    one = grant_sid(SECRET, identity(1), (".git", ".codex"))
    assert one == grant_sid(SECRET, identity(1), (".CODEX", ".git"))
    assert one != grant_sid(SECRET, identity(1), (".git",))
    assert one != grant_sid(SECRET, identity(2), (".git", ".codex"))
    assert one != grant_sid(bytes(32), identity(1), (".git", ".codex"))
    assert is_tagged(one)
    assert not is_tagged(USER)


@given(st.sets(st.text(min_size=1, max_size=8), max_size=4), st.sets(st.text(min_size=1, max_size=8), max_size=4))
def test_law_equal_sids_mean_equal_exclusions(one: set[str], other: set[str]) -> None:
    def key(names: set[str]) -> list[str]:
        return sorted({name.upper() for name in names})

    def clean(names: set[str]) -> set[str]:
        return {name.replace("\0", "x").encode("utf-16-le", "replace").decode("utf-16-le") for name in names}

    one, other = clean(one), clean(other)
    same = grant_sid(SECRET, identity(1), one) == grant_sid(SECRET, identity(1), other)
    assert same == (key(one) == key(other))


def test_a_root_at_or_below_a_protected_place_is_refused_with_its_name() -> None:
    found = facts(roots=(root(rf"{ROOT}\.git\modules\x", 30, workspace=False), root()))
    with pytest.raises(RootRefused) as caught:
        plan(found=found)
    (mistake,) = caught.value.mistakes
    assert mistake.code == "root.protected"
    assert rf"{ROOT}\.git" in mistake.reason


def test_all_refused_roots_are_reported_together() -> None:
    wrong = tuple(Mistake(rf"C:\r{n}", "does not exist.", "Create it.", "root.missing") for n in range(3))
    with pytest.raises(RootRefused) as caught:
        plan(found=facts(mistakes=wrong))
    assert caught.value.mistakes == wrong
    assert all(mistake.path in str(caught.value) for mistake in wrong)


ADMINISTRATOR = Token(
    user=USER,
    groups=(Group(EVERYONE, GROUP_ENABLED), Group(USERS, GROUP_ENABLED), Group(ADMINISTRATORS, GROUP_ENABLED)),
    integrity=0x3000,
    owner=ADMINISTRATORS,
)


def elevated() -> Facts:
    return facts(caller=caller(token=ADMINISTRATOR, elevated=True, elevation="full", owner=ADMINISTRATORS))


def test_an_elevated_caller_is_refused_and_told_how_to_go_on() -> None:
    with pytest.raises(UnsupportedHost, match="elevated='lower'"):
        plan(found=elevated())


def test_an_elevated_caller_is_lowered_on_request() -> None:
    recipe = plan(Policy.workspace(ROOT, elevated="lower"), elevated()).token
    assert recipe.deny_only == (ADMINISTRATORS,)
    assert recipe.integrity == 0x2000
    assert recipe.owner == USER


def test_a_standard_caller_is_not_touched_by_lowering() -> None:
    recipe = plan(Policy.workspace(ROOT, elevated="lower")).token
    assert (recipe.deny_only, recipe.integrity, recipe.owner) == ((), None, None)


@pytest.mark.parametrize(
    ("changes", "code"),
    [({"restricted": True}, "host.nested"), ({"app_container": True}, "host.app-container")],
)
def test_a_caller_already_confined_is_refused(changes: dict[str, bool], code: str) -> None:
    with pytest.raises(UnsupportedHost) as caught:
        plan(found=facts(caller=caller(**changes)))
    assert caught.value.code == code


def test_the_default_dacl_lets_the_child_use_its_own_objects_and_its_size_does_not_grow_with_the_roots() -> None:
    made = plan()
    dacl = Acl.from_bytes(made.token.default_dacl)
    assert [(ace.sid, ace.mask) for ace in dacl] == [(sid, GENERIC_ALL) for sid in (USER, SYSTEM, SESSION, LOGON)]
    event = SecurityDescriptor(USER, USER, dacl=Acl(ace._replace(mask=EVENT.all) for ace in dacl))
    child = model_token(made, caller().token)
    assert access.check(event, child, EVENT.all, EVENT).allowed
    foreign = replace(child, restricting=(*made.token.restricting[:1], EVERYONE))
    assert not access.check(event, foreign, EVENT.all, EVENT).allowed, (
        "a sandbox of another logon opened it for writing"
    )


def test_without_the_logon_sid_no_other_sandbox_can_open_the_childs_objects() -> None:
    made = plan(Policy.workspace(ROOT, restricting=("everyone",)))
    dacl = Acl.from_bytes(made.token.default_dacl)
    assert [ace.sid for ace in dacl] == [USER, SYSTEM, SESSION]
    assert default_dacl(USER, SESSION) == made.token.default_dacl


def test_the_model_token_writes_only_where_a_grant_is() -> None:
    made = plan()
    child = model_token(made, caller().token)
    granted = SecurityDescriptor.from_sddl(f"O:{USER}G:{USER}D:(A;;0x1301bf;;;{made.grants[0].sid})(A;;FA;;;{USER})")
    ordinary = SecurityDescriptor.from_sddl(f"O:{USER}G:{USER}D:(A;;FA;;;{USER})")
    assert access.check(granted, child, FILE_GENERIC_WRITE).allowed
    assert not access.check(ordinary, child, FILE_GENERIC_WRITE).allowed


def test_model_token_makes_administrators_deny_only() -> None:
    found = elevated()
    child = model_token(plan(Policy.workspace(ROOT, elevated="lower"), found), found.caller.token)
    assert Group(ADMINISTRATORS, GROUP_USE_FOR_DENY_ONLY) in child.groups


def test_a_plan_is_plain_data_and_reads_well() -> None:
    made = plan()
    data = json.loads(json.dumps(made.to_dict()))
    assert data["grants"][0]["root"] == ROOT
    assert data["token"]["flags"] == "0xd"
    text = made.to_text()
    for wanted in (ROOT, rf"protected directory {ROOT}\.git", ".codex", "deletes outside"):
        assert wanted in text


def test_git_hooks_lets_git_work_and_is_partial_at_most() -> None:
    between = (Place(rf"{ROOT}\.git", identity(11)),)
    found = facts(protected=(protected(r".git\hooks", 12, between=between),), watch=(rf"{ROOT}\.git\commondir",))
    made = plan(Policy.workspace(ROOT, protected_subpaths=Protect.GIT_HOOKS), found)
    from winsandbox.enforcement import Aspect, Level

    verdict = made.enforcement[Aspect.PROTECTED_PLACES]
    assert verdict.level is Level.PARTIAL
    assert any("commondir" in exception for exception in verdict.exceptions)
