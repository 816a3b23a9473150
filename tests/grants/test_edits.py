"""What one object gets and loses: exact entries at exact places, and everything else to the byte as it was."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from winsandbox import _edits
from winsandbox._edits import Recipe, Role, explicit, give, open_bits, take, want
from winsandbox._security.ace import Ace, allow, deny
from winsandbox._security.acl import Acl
from winsandbox._security.descriptor import SecurityDescriptor
from winsandbox._security.inherit import inherited_aces, stored
from winsandbox._security.mask import FILE
from winsandbox._security.sid import Sid
from winsandbox._security.token import Group, Token

G = Sid.parse("S-1-5-21-1465074264-1-2-3")
LOGON = Sid.parse("S-1-5-5-0-4711")
OLD_LOGON = Sid.parse("S-1-5-5-0-42")
USER = Sid.parse("S-1-5-21-9-9-9-1001")
RECIPE = Recipe(G, LOGON, False)
LOW = Recipe(G, LOGON, True)
TOKEN = Token(
    USER, (Group(LOGON), Group(Sid.parse("WD"))), restricting=(G, Sid.parse("WD"), LOGON), write_restricted=True
)
ROLES: tuple[Role, ...] = ("root", "plain", "between", "protected", "inside")


def sd(text: str) -> SecurityDescriptor:
    return SecurityDescriptor.from_sddl(
        text.replace("USER", str(USER)).replace("GRANT", str(G)).replace("LOGON", str(LOGON))
    )


def text(descriptor: SecurityDescriptor | None) -> str:
    assert descriptor is not None
    shown = SecurityDescriptor(control=descriptor.control, dacl=descriptor.dacl, sacl=descriptor.sacl).to_sddl()
    return shown.replace(str(USER), "USER").replace(str(G), "GRANT").replace(str(LOGON), "LOGON")


BEFORE = "D:AI(A;;FA;;;USER)(A;OICIID;FA;;;SY)"


@pytest.mark.parametrize(
    ("role", "directory", "after"),
    [
        ("root", True, "D:AI(A;;FA;;;USER)(A;;0x1201bf;;;GRANT)(A;OICIIO;0x1301bf;;;GRANT)(A;OICIID;FA;;;SY)"),
        ("plain", True, "D:AI(A;;FA;;;USER)(A;OICIID;0x1301bf;;;GRANT)(A;OICIID;FA;;;SY)"),
        ("plain", False, "D:AI(A;;FA;;;USER)(A;ID;0x1301bf;;;GRANT)(A;OICIID;FA;;;SY)"),
        (
            "between",
            True,
            "D:AI(D;;SD;;;GRANT)(D;;DT;;;LOGON)(A;;FA;;;USER)(A;OICIID;0x1301bf;;;GRANT)(A;OICIID;FA;;;SY)",
        ),
        ("protected", True, "D:AI(D;OICI;0xd0156;;;GRANT)(D;CI;DT;;;LOGON)(A;;FA;;;USER)(A;OICIID;FA;;;SY)"),
        ("protected", False, "D:AI(D;;0xd0156;;;GRANT)(A;;FA;;;USER)(A;OICIID;FA;;;SY)"),
        ("inside", True, "D:AI(A;;FA;;;USER)(D;OICIID;0xd0156;;;GRANT)(D;CIID;DT;;;LOGON)(A;OICIID;FA;;;SY)"),
        ("inside", False, "D:AI(A;;FA;;;USER)(D;ID;0xd0156;;;GRANT)(A;OICIID;FA;;;SY)"),
    ],
)
def test_each_role_gets_its_entries_at_their_places(role: Role, directory: bool, after: str) -> None:
    new = give(sd(BEFORE), want(RECIPE, role, directory, False))
    assert new is not None
    assert stored(new).dacl == sd(after).dacl, text(new)
    assert text(stored(new))[:5] == "D:AI("


def test_inherited_copies_are_what_windows_would_make_of_the_parents_entries() -> None:
    """So that a propagation by Explorer changes nothing."""
    for above, below in (("root", "plain"), ("protected", "inside")):
        for directory in (True, False):
            top: Role = above  # type: ignore[assignment]
            bottom: Role = below  # type: ignore[assignment]
            parent = Acl(want(RECIPE, top, True, False).aces)
            made = inherited_aces(
                parent, is_container=directory, owner=USER, group=USER, mapping=FILE, auto_inherited=True
            )
            assert set(made) == set(want(RECIPE, bottom, directory, False).aces)


def test_an_allow_stands_behind_the_deny_of_a_place_that_the_object_lies_in_whoever_came_first() -> None:
    other = Recipe(Sid.parse("S-1-5-21-1465074264-7-7-7"), None, False)
    for order in ([(RECIPE, "inside"), (other, "plain")], [(other, "plain"), (RECIPE, "inside")]):
        now = sd("O:USERG:USER" + BEFORE)
        for recipe, role in order:
            now = stored(give(now, want(recipe, role, False, False)) or now)
        assert now.dacl is not None
        ours = [ace.type for ace in now.dacl if ace.sid in (G, other.sid)]
        assert ours == [1, 0], order
        assert not open_bits(now, TOKEN, G, directory=False, guarded=False)


SIDS = st.sampled_from(
    [USER, Sid.parse("SY"), Sid.parse("BA"), Sid.parse("WD"), Sid.parse("S-1-5-21-1465074264-7-7-7"), OLD_LOGON]
)
ACES = st.builds(
    Ace,
    st.sampled_from([0, 1]),
    st.sampled_from([0, 0x3, 0xB, 0x10, 0x13, 0x1B, 0x2, 0x12]),
    st.sampled_from([0x1F01FF, 0x40, 0x1200A9, 0x116, 0x10000000]),
    SIDS,
)
DESCRIPTORS = st.builds(
    SecurityDescriptor,
    st.just(USER),
    st.just(USER),
    st.sampled_from([0, 0x400, 0x1000, 0x1400, 0x8]),
    st.lists(ACES, max_size=6).map(Acl),
)


@given(DESCRIPTORS, st.sampled_from(ROLES), st.booleans(), st.booleans())
def test_giving_and_taking_is_the_identity(old: SecurityDescriptor, role: Role, directory: bool, sealed: bool) -> None:
    new = give(old, want(RECIPE, role, directory, sealed))
    if new is None:
        return
    after = take(stored(new), [G], [LOGON], (0, 2, 0x12))
    assert after is not None
    assert stored(after).dacl == stored(old).dacl
    assert stored(after).control == old.control


@given(DESCRIPTORS, st.sampled_from(ROLES), st.booleans(), st.booleans(), st.booleans())
def test_giving_twice_writes_once(
    old: SecurityDescriptor, role: Role, directory: bool, sealed: bool, low: bool
) -> None:
    wanted = want(LOW if low else RECIPE, role, directory, sealed)
    new = give(old, wanted)
    if new is not None:
        assert give(stored(new), wanted) is None


@given(DESCRIPTORS, st.sampled_from(ROLES), st.sampled_from(ROLES), st.booleans())
def test_whatever_was_there_of_ours_the_role_decides(
    old: SecurityDescriptor, before: Role, role: Role, directory: bool
) -> None:
    """A file that was moved from a protected place into the open, and the other way round."""
    moved = stored(give(old, want(RECIPE, before, directory, False)) or old)
    wanted = want(RECIPE, role, directory, False)
    now = stored(give(moved, wanted) or moved)
    assert now.dacl is not None
    assert _edits.satisfied(now.dacl, wanted)
    if role in ("root", "plain", "between"):
        assert sorted(ace for ace in now.dacl if ace.sid == G) == sorted(ace for ace in wanted.aces if ace.sid == G)


@given(DESCRIPTORS, st.booleans())
def test_protected_roles_never_add_an_allow(old: SecurityDescriptor, directory: bool) -> None:
    for role in ("protected", "inside"):
        wanted = want(RECIPE, role, directory, False)
        assert all(ace.type == 1 for ace in wanted.aces)


@given(DESCRIPTORS, st.booleans())
def test_explicit_denies_close_what_inherited_ones_leave_open(old: SecurityDescriptor, directory: bool) -> None:
    given_ = stored(give(old, want(RECIPE, "inside", directory, False)) or old)
    bits = open_bits(given_, TOKEN, G, directory=directory, guarded=True)
    if bits:
        shut = stored(give(given_, explicit(RECIPE, directory, bits)) or given_)
        assert open_bits(shut, TOKEN, G, directory=directory, guarded=True) == 0, text(shut)


def test_an_explicit_allow_of_everyone_is_open_and_the_users_own_is_not() -> None:
    everyone = give(sd("O:USERG:USERD:AI(A;;FA;;;WD)(A;ID;FA;;;USER)"), want(RECIPE, "inside", False, False))
    own = give(sd("O:USERG:USERD:AI(A;;FA;;;USER)"), want(RECIPE, "inside", False, False))
    assert everyone is not None
    assert own is not None
    assert open_bits(everyone, TOKEN, G, directory=False, guarded=True)
    assert not open_bits(own, TOKEN, G, directory=False, guarded=True)


def test_an_explicit_allow_of_the_user_lets_deletes_through_the_inherited_guard() -> None:
    own = give(sd("O:USERG:USERD:AI(A;OICI;FA;;;USER)"), want(RECIPE, "inside", True, False))
    assert own is not None
    assert open_bits(own, TOKEN, G, directory=True, guarded=True) == 0x40
    assert open_bits(own, TOKEN, G, directory=True, guarded=False) == 0


def test_a_null_dacl_is_never_turned_into_a_list() -> None:
    for control in (0, 4):
        null = SecurityDescriptor(USER, USER, control)
        for role in ROLES:
            assert give(null, want(RECIPE, role, True, False)) is None
        low = give(null, want(LOW, "plain", True, False))
        assert low is not None
        assert low.dacl is None
        assert take(null, [G], [LOGON], (0,)) is None


def test_guards_of_ended_sessions_go_in_the_same_write() -> None:
    old = sd(f"D:AI(D;OICI;0xd0156;;;GRANT)(D;CI;DT;;;{OLD_LOGON})(A;;FA;;;USER)")
    new = give(old, _edits.guard_only(RECIPE, "protected"), {OLD_LOGON})
    assert text(new) == "D:ARAI(D;CI;DT;;;LOGON)(D;OICI;DCLCRPDTCRSDWDWO;;;GRANT)(A;;FA;;;USER)"


def test_somebody_elses_entry_for_a_logon_session_is_no_guard() -> None:
    for entry in (f"(D;CI;WD;;;{OLD_LOGON})", f"(A;CI;DT;;;{OLD_LOGON})", f"(D;OI;DT;;;{OLD_LOGON})"):
        old = sd(f"D:{entry}(A;;FA;;;USER)")
        assert take(old, [G], [OLD_LOGON], (0, 2, 0x12)) is None


LABELS = st.sampled_from(
    ["", "S:(ML;;NW;;;LW)", "S:(ML;OICI;NRNX;;;HI)", "S:AI(ML;OICIID;NW;;;ME)", "S:P(ML;;NW;;;SI)"]
)


@given(LABELS, st.sampled_from(ROLES), st.booleans())
def test_labels_come_back_as_they_were(before: str, role: Role, directory: bool) -> None:
    old = sd("O:USERG:USERD:AI(A;;FA;;;USER)" + before)
    new = stored(give(old, want(LOW, role, directory, False)) or old)
    assert _edits.level_of(new) == (0x2000 if role in ("protected", "inside") else 0x1000)
    back = stored(_edits.restored_label(stored(take(new, [G], [LOGON], (0, 2, 0x12)) or new), _edits.pack_label(old)))
    assert back.control | 0x10 == old.control | 0x10
    assert tuple(back.sacl or ()) == tuple(old.sacl or ())
    assert back.dacl == old.dacl


def test_a_full_list_is_an_error_and_not_a_wrapped_size() -> None:
    from winsandbox._security.errors import SecurityDataError

    full = SecurityDescriptor(USER, USER, 4, Acl([deny(USER, 1)] * 1790 + [allow(USER, 1)] * 30))
    with pytest.raises(SecurityDataError):
        give(full, want(RECIPE, "root", True, False))
