"""The edits of an ACL writer: places, presence, removal; examples beside the laws of test_laws.py."""

from __future__ import annotations

import pytest

from winsandbox._security import acl, sddl
from winsandbox._security.ace import INHERITED, allow, deny, label
from winsandbox._security.acl import Acl
from winsandbox._security.descriptor import SecurityDescriptor
from winsandbox._security.errors import SecurityDataError
from winsandbox._security.sid import EVERYONE, SYSTEM, Sid

GRANT = Sid.parse("S-1-5-21-11-22-33-44")
G = str(GRANT)


def dacl(text: str) -> Acl:
    result = SecurityDescriptor.from_sddl("D:" + text).dacl
    assert result is not None
    return result


def text(items: Acl) -> str:
    return "".join(map(sddl.format_ace, items))


PROFILE = "(A;OICIID;FA;;;SY)(A;OICIID;FA;;;BA)"


def test_explicit_denies_open_the_list_and_allows_close_the_explicit_block() -> None:
    old = dacl("(D;;SD;;;WD)(A;;FA;;;BU)" + PROFILE)
    new = acl.add(old, [allow(GRANT, 0x1201BF), allow(GRANT, 0x1301BF, 0xB), deny(GRANT, 0x40)])
    assert text(new) == (f"(D;;DT;;;{G})(D;;SD;;;WD)(A;;FA;;;BU)(A;;0x1201bf;;;{G})(A;OICIIO;0x1301bf;;;{G}){PROFILE}")
    assert acl.is_canonical(new)


def test_without_inherited_entries_allows_come_last() -> None:
    assert text(acl.add(dacl("(A;;FA;;;BU)"), [allow(GRANT, 1)])) == f"(A;;FA;;;BU)(A;;CC;;;{G})"
    assert text(acl.add(Acl(), [allow(GRANT, 1), deny(GRANT, 2)])) == f"(D;;DC;;;{G})(A;;CC;;;{G})"


def test_inherited_copies_open_the_inherited_block_denies_first() -> None:
    new = acl.add(dacl("(A;;FA;;;BU)" + PROFILE), [allow(GRANT, 1, INHERITED), deny(GRANT, 2, INHERITED)])
    assert text(new) == f"(A;;FA;;;BU)(D;ID;DC;;;{G})(A;ID;CC;;;{G}){PROFILE}"
    assert text(acl.add(dacl("(A;;FA;;;BU)"), [deny(GRANT, 2, INHERITED)])) == f"(A;;FA;;;BU)(D;ID;DC;;;{G})"


def test_an_odd_order_stays_odd() -> None:
    odd = dacl("(A;ID;FA;;;SY)(A;;FA;;;BU)(D;;SD;;;WD)(A;ID;FA;;;BA)")
    assert not acl.is_canonical(odd)
    new = acl.add(odd, [allow(GRANT, 1), deny(GRANT, 2)])
    assert text(new) == f"(D;;DC;;;{G})(A;;CC;;;{G})" + text(odd)
    assert acl.remove(new, {GRANT}).to_bytes() == odd.to_bytes()


def test_adding_nothing_and_removing_nobody_give_the_same_object() -> None:
    old = dacl(PROFILE)
    assert acl.add(old, []) is old
    assert acl.remove(old, {GRANT}) is old


def test_labels_have_no_place_in_a_dacl() -> None:
    with pytest.raises(SecurityDataError, match="no place"):
        acl.add(Acl(), [label(0x1000)])


def test_a_list_that_would_overflow_is_refused_before_it_is_made() -> None:
    full = Acl([allow(GRANT, 1)] * 1819)
    assert len(full.to_bytes()) == full.size <= acl.MAX_ACL_SIZE
    with pytest.raises(SecurityDataError, match="in 1821 ACEs; the limit is 65535 bytes"):
        acl.add(full, [allow(GRANT, 2), allow(GRANT, 4)])


OURS = f"(D;OICI;0xd0156;;;{G})"


@pytest.mark.parametrize(
    ("items", "ace", "is_present"),
    [
        (OURS + "(A;;FA;;;BU)" + PROFILE, OURS, True),
        ("(D;;SD;;;WD)" + OURS + "(A;;FA;;;BU)", OURS, True),  # only denies stand before it
        ("(A;;FA;;;BU)" + OURS, OURS, False),  # an allow comes first: the deny is too late
        (PROFILE + OURS, OURS, False),  # behind inherited entries
        (f"(D;OICI;0xd0157;;;{G})", OURS, False),
        (f"(D;CI;0xd0156;;;{G})", OURS, False),
        (f"(A;OICI;0xd0156;;;{G})", OURS, False),
        (f"(D;OICIID;0xd0156;;;{G})", OURS, False),
        ("(A;;FA;;;BU)" + f"(A;;CC;;;{G})" + PROFILE, f"(A;;CC;;;{G})", True),
        (f"(A;;CC;;;{G})(A;;FA;;;BU)" + PROFILE, f"(A;;CC;;;{G})", True),
        (PROFILE + f"(A;;CC;;;{G})", f"(A;;CC;;;{G})", False),
        ("(A;;FA;;;BU)" + f"(D;ID;DC;;;{G})" + PROFILE, f"(D;ID;DC;;;{G})", True),
        (PROFILE + f"(D;ID;DC;;;{G})", f"(D;ID;DC;;;{G})", False),
        (PROFILE + f"(A;ID;CC;;;{G})", f"(A;ID;CC;;;{G})", True),
        ("", OURS, False),
    ],
)
def test_presence_is_exact_and_looks_at_the_place(items: str, ace: str, is_present: bool) -> None:
    assert acl.present(dacl(items), sddl.parse_ace(ace)) is is_present


def test_removal_takes_every_entry_of_the_sid_whatever_its_type() -> None:
    items = dacl(f"(D;OICI;0xd0156;;;{G})(A;;FA;;;SY)(OA;;CC;;;{G})(A;ID;FA;;;{G})(A;ID;FA;;;BA)")
    assert text(acl.remove(items, {GRANT})) == "(A;;FA;;;SY)(A;ID;FA;;;BA)"
    assert text(acl.remove(items, {GRANT}, inherited=True)) == text(Acl(items[:3])) + "(A;ID;FA;;;BA)"
    assert text(acl.remove(items, {GRANT}, inherited=False)) == f"(A;;FA;;;SY)(A;ID;FA;;;{G})(A;ID;FA;;;BA)"
    assert acl.remove(items, {GRANT}).revision == items.revision == 4
    assert acl.remove(items, {EVERYONE, SYSTEM}) == tuple(ace for ace in items if ace.sid != SYSTEM)


@pytest.mark.parametrize(
    ("items", "canonical"),
    [
        ("", True),
        ("(D;;SD;;;WD)(A;;FA;;;BU)(A;ID;FA;;;SY)", True),
        ("(A;;FA;;;BU)(D;;SD;;;WD)", False),
        ("(A;ID;FA;;;BU)(A;;FA;;;WD)", False),
        ("(A;ID;FA;;;BU)(D;;FA;;;WD)", False),
        ("(A;ID;FA;;;BU)(D;ID;FA;;;WD)", True),  # two ancestors
        ("(OD;;CC;;;WD)(D;;SD;;;WD)(OA;;CC;;;WD)", True),
        ("(OA;;CC;;;WD)(OD;;CC;;;WD)", False),
    ],
)
def test_canonical_order(items: str, canonical: bool) -> None:
    assert acl.is_canonical(dacl(items)) is canonical


def test_remove_takes_any_iterable_and_removes_all_of_it() -> None:
    gone = [EVERYONE, Sid.parse("S-1-5-32-544")]
    for sids in (gone, tuple(gone), iter(gone)):
        left = acl.remove(dacl("(A;;FA;;;SY)(A;;FA;;;WD)(A;;FA;;;BA)"), sids)  # type: ignore[arg-type]
        assert text(left) == "(A;;FA;;;SY)"
