"""The access check step by step: what each step says, in which order, and the corners of the rules."""

from __future__ import annotations

import dataclasses

import pytest

from winsandbox._security import access
from winsandbox._security.access import Status, check, could
from winsandbox._security.ace import DENY_CALLBACK, Ace, ObjectPart, allow, deny
from winsandbox._security.acl import Acl
from winsandbox._security.descriptor import SecurityDescriptor
from winsandbox._security.mask import FILE, GENERIC_ALL, GENERIC_READ, MAXIMUM_ALLOWED, THREAD, GenericMapping
from winsandbox._security.sid import EVERYONE, OWNER_RIGHTS, SYSTEM, Sid
from winsandbox._security.token import Group, Token

USER = Sid.parse("S-1-5-21-1-2-3-1001")
LOGON = Sid.parse("S-1-5-5-0-12345")
GRANT = Sid.parse("S-1-5-21-11-22-33-44")
PLAIN = Token(USER, (Group(EVERYONE), Group(LOGON), Group(Sid.parse("BU"))))
RESTRICTED = dataclasses.replace(PLAIN, restricting=(EVERYONE, LOGON, GRANT))
WRITES = dataclasses.replace(RESTRICTED, write_restricted=True)
U, G = str(USER), str(GRANT)


def sd(text: str, owner: str = U) -> SecurityDescriptor:
    return SecurityDescriptor.from_sddl(f"O:{owner}G:BU{text}")


@pytest.mark.parametrize(
    ("text", "token", "desired", "status", "says"),
    [
        ("D:(A;;FA;;;WD)", PLAIN, GENERIC_READ, Status.GENERIC_NOT_MAPPED, "step 0: generic rights 0x80000000"),
        ("D:(A;;FA;;;WD)", dataclasses.replace(PLAIN, integrity=0x1000), 0x2, Status.ACCESS_DENIED,
         "step 2, integrity: a token at level 0x1000 is below the object's 0x2000, whose policy (0x1) "
         "does not leave it 0x2"),
        ("D:(A;;FA;;;WD)", PLAIN, 0x1000000, Status.PRIVILEGE_NOT_HELD, "step 3, privileges: ACCESS_SYSTEM_SECURITY"),
        ("D:", PLAIN, 0x60000, Status.SUCCESS,
         f"step 4, owner: 0x60000 is granted to {U}, which owns the object, before the DACL is looked at"),
        ("D:", PLAIN, 0, Status.SUCCESS, "step 5: no right was asked for"),
        ("", PLAIN, 0x2, Status.SUCCESS, "step 6: the object has no DACL"),
        ("D:(A;;FR;;;WD)", PLAIN, 0x2, Status.ACCESS_DENIED,
         f"step 6, normal pass: no entry of the 1 grants 0x2 to the token's SIDs (user {U})"),
        (f"D:(A;;FR;;;WD)(D;;FW;;;{U})(A;;FA;;;WD)", PLAIN, 0x3, Status.ACCESS_DENIED,
         f"step 6, normal pass: ACE 1 (deny 0x120116 for {U}) denies 0x2"),
        ("D:(A;;FR;;;WD)(A;ID;FA;;;BU)", PLAIN, 0x3, Status.SUCCESS,
         "step 6, normal pass: ACE 1 (allow inherited 0x1f01ff for S-1-5-32-545) grants what was still missing"),
        (f"D:(A;;FA;;;{U})", RESTRICTED, 0x1, Status.ACCESS_DENIED,
         f"step 7, restricted pass: no entry of the 1 grants 0x1 to a restricting SID (S-1-1-0, {LOGON}, {G})"),
        (f"D:(A;;FA;;;{U})(D;;SD;;;{G})(A;;FA;;;WD)", WRITES, 0x10000, Status.ACCESS_DENIED,
         f"step 7, restricted pass: ACE 1 (deny 0x10000 for {G}) denies 0x10000"),
        (f"D:(A;;FA;;;{U})(A;;0x1301bf;;;{G})", WRITES, 0x2, Status.SUCCESS,
         f"grants what was still missing; step 7, restricted pass: ACE 1 (allow 0x1301bf for {G}) does so too"),
        (f"D:(A;;FA;;;{U})", WRITES, 0x41, Status.SUCCESS,
         "step 7, restricted pass: not made, 0x41 has no write bit of 0x10d0116"),
        (f"D:(A;;FA;;;{U})", dataclasses.replace(WRITES, restricting=()), 0x2, Status.ACCESS_DENIED,
         "to a restricting SID (there is none)"),
        ("D:(A;;FR;;;WD)", PLAIN, MAXIMUM_ALLOWED | 0x2, Status.ACCESS_DENIED,
         f"step 6, normal pass: no entry of the 1 grants 0x2 to the token's SIDs (user {U}), "
         "which was named besides MAXIMUM_ALLOWED"),
        ("D:", PLAIN, MAXIMUM_ALLOWED, Status.SUCCESS, "the first matching entry for each bit gives 0x60000"),
        (f"D:(D;;SD;;;{U})(A;;FA;;;{U})(A;;FR;;;SY)(A;;FR;;;WD)(A;;0x1301bf;;;{G})", RESTRICTED, MAXIMUM_ALLOWED,
         Status.SUCCESS,
         f"gives 0x1201bf; normal pass: ACE 1 (allow 0x1f01ff for {U}); restricted pass: "
         f"ACE 3 (allow 0x120089 for S-1-1-0), ACE 4 (allow 0x1301bf for {G})"),
        (f"D:(A;;FR;;;{U})(A;;FR;;;WD)", dataclasses.replace(WRITES, user_deny_only=True), MAXIMUM_ALLOWED,
         Status.SUCCESS, "gives 0x120089; normal pass: ACE 1 (allow 0x120089 for S-1-1-0)"),
        ("", PLAIN, MAXIMUM_ALLOWED, Status.SUCCESS, "the object has no DACL, so 0x1f01ff"),
    ],
)  # fmt: skip
def test_the_reason_names_step_pass_entry_and_sid(
    text: str, token: Token, desired: int, status: Status, says: str
) -> None:
    result = check(sd(text), token, desired)
    assert result.status is status
    assert says in result.reason
    assert says in repr(result)


def test_nothing_at_all_for_maximum_allowed_is_a_denial() -> None:
    result = check(sd("D:", owner="SY"), PLAIN, MAXIMUM_ALLOWED)
    assert (result.allowed, result.granted) == (False, 0)
    assert f"no right at all is granted to the token's SIDs (user {U})" in result.reason
    restricted = check(sd(f"D:(A;;FA;;;{U})", owner="SY"), RESTRICTED, MAXIMUM_ALLOWED)
    assert f"(user {U}) and a restricting SID (S-1-1-0, {LOGON}, {G})" in restricted.reason


@pytest.mark.parametrize("missing", ["owner", "group"])
def test_a_descriptor_without_owner_or_group_is_refused(missing: str) -> None:
    whole = sd("D:(A;;FA;;;WD)")
    assert check(whole, PLAIN, 1)
    broken = whole.replace(owner=None) if missing == "owner" else whole.replace(group=None)
    result = check(broken, PLAIN, 1)
    assert result.status is Status.INVALID_SECURITY_DESCR
    assert result.status.winerror == 1338
    assert "step 0" in result.reason


def test_an_unknown_reading_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="whole"):
        check(sd("D:"), PLAIN, 1, second_pass="both")  # type: ignore[arg-type]


# Step 2.


@pytest.mark.parametrize(
    ("sacl", "level", "desired", "allowed"),
    [
        ("", 0x1000, 0x120089, True),
        ("", 0x1000, 0x1200A0, True),
        ("", 0x1000, 0x40, False),
        ("", 0x1000, 0x10000, False),
        ("", 0x1000, 0x40000, False),
        ("S:(ML;;NW;;;LW)", 0x1000, 0x1F01FF, True),
        ("S:(ML;;NW;;;HI)", 0x2000, 0x2, False),
        ("S:(ML;;NW;;;HI)", 0x2000, 0x1, True),
        ("S:(ML;;NR;;;HI)", 0x2000, 0x1, False),
        ("S:(ML;;NR;;;HI)", 0x2000, 0x2, True),
        ("S:(ML;;NX;;;HI)", 0x2000, 0x20, False),
        ("S:(ML;IO;NW;;;HI)", 0x2000, 0x2, True),
        ("S:(ML;IO;NW;;;HI)(ML;;NW;;;LW)", 0x1000, 0x2, True),
        ("S:(ML;;NW;;;LW)(ML;;NW;;;HI)", 0x1000, 0x2, True),
        ("S:(AU;SA;FA;;;WD)", 0x1000, 0x2, False),
        ("S:(ML;;NW;;;WD)", 0x1000, 0x2, False),
        ("S:(ML;;NW;;;WD)", 0x2000, 0x2, True),
    ],
)
def test_labels(sacl: str, level: int, desired: int, allowed: bool) -> None:
    token = dataclasses.replace(PLAIN, integrity=level)
    descriptor = sd("D:(A;;FA;;;WD)" + sacl)
    assert check(descriptor, token, desired).allowed is allowed
    # No DACL does not help a lower token, and the policy of the token can switch the label off.
    assert check(sd("" + sacl), token, desired).allowed is allowed
    assert check(descriptor, dataclasses.replace(token, mandatory_policy=0), desired).allowed


def test_relabelling_gives_the_owner_bit_back_and_the_owner_bits_go() -> None:
    low = dataclasses.replace(PLAIN, integrity=0x1000)
    assert not check(sd("D:"), low, 0x40000)
    assert check(sd("D:"), low, 0x20000)
    relabel = dataclasses.replace(low, privileges=frozenset({"SeRelabelPrivilege"}))
    assert not check(sd("D:"), low, 0x80000)
    assert check(sd("D:"), relabel, 0x80000)
    assert check(sd("D:(A;;FA;;;WD)"), low, MAXIMUM_ALLOWED).granted == 0x1200A9


# Step 3.


def test_privileges_count_only_for_what_is_named() -> None:
    token = dataclasses.replace(PLAIN, privileges=frozenset({"SeSecurityPrivilege", "SeTakeOwnershipPrivilege"}))
    descriptor = sd("D:(A;;FR;;;WD)", owner="SY")
    assert check(descriptor, token, MAXIMUM_ALLOWED).granted == 0x120089
    assert check(descriptor, token, MAXIMUM_ALLOWED | 0x1080000).granted == 0x11A0089
    assert check(descriptor, token, 0x1080000).granted == 0x1080000
    assert not check(descriptor, token, 0x1080002)
    assert check(sd("D:(A;;0x1000000;;;WD)"), PLAIN, 0x1000000).status is Status.PRIVILEGE_NOT_HELD
    assert check(sd("D:(A;;0x10f0001;;;WD)"), PLAIN, MAXIMUM_ALLOWED).granted == 0xF0001


def test_what_a_privilege_grants_is_asked_of_neither_pass() -> None:
    token = dataclasses.replace(WRITES, privileges=frozenset({"SeTakeOwnershipPrivilege"}))
    descriptor = sd(f"D:(A;;FR;;;{U})", owner="SY")
    assert check(descriptor, token, 0x80000)
    assert check(descriptor, token, 0x80001)  # the rest is a read: no second pass
    assert not check(descriptor, WRITES, 0x80000)


# Step 4.


@pytest.mark.parametrize(
    ("text", "token", "allowed"),
    [
        ("D:", PLAIN, True),
        ("D:(D;;WD;;;WD)", PLAIN, True),
        ("D:(A;;FR;;;OW)", PLAIN, False),
        ("D:(D;;FR;;;OW)", PLAIN, False),
        ("D:(A;;WD;;;OW)", PLAIN, True),
        ("D:(A;OICIIO;FR;;;OW)", PLAIN, True),
        ("D:", dataclasses.replace(PLAIN, user_deny_only=True), False),
        ("D:", RESTRICTED, False),
        ("D:", WRITES, False),
        ("D:", dataclasses.replace(WRITES, restricting=(USER,)), True),
    ],
)
def test_the_owners_write_dac(text: str, token: Token, allowed: bool) -> None:
    assert check(sd(text), token, 0x40000).allowed is allowed


def test_a_group_owns_too_if_it_is_enabled() -> None:
    for attributes, allowed in ((0x4, True), (0x10, False), (0x14, False), (0, False)):
        token = Token(USER, (Group(SYSTEM, attributes),))
        assert check(sd("D:", owner="SY"), token, 0x40000).allowed is allowed


def test_owner_rights_stands_for_the_owner_in_each_pass_by_itself() -> None:
    descriptor = sd("D:(A;;FA;;;OW)")
    assert check(descriptor, PLAIN, 0x2)
    assert not check(descriptor, RESTRICTED, 0x2)
    assert check(descriptor, dataclasses.replace(RESTRICTED, restricting=(USER,)), 0x2)
    assert not check(sd("D:(A;;FA;;;OW)", owner="SY"), PLAIN, 0x2)
    assert not check(sd("D:(D;;FA;;;OW)(A;;FA;;;WD)"), PLAIN, 0x2)
    assert check(sd("D:(D;;FA;;;OW)(A;;FA;;;WD)", owner="SY"), PLAIN, 0x2)
    # A token that has the SID itself gains nothing by it.
    assert not check(sd("D:(A;;FA;;;OW)", owner="SY"), Token(USER, (Group(OWNER_RIGHTS),)), 0x2)


# Step 6.


def test_states_of_sids() -> None:
    allowing, denying = sd("D:(A;;FA;;;SY)", owner="BA"), sd("D:(D;;FA;;;SY)(A;;FA;;;WD)", owner="BA")
    for attributes, allows, denies in ((0x4, True, True), (0x7, True, True), (0x10, False, True), (0, False, False)):
        token = Token(USER, (Group(EVERYONE), Group(SYSTEM, attributes)))
        assert check(allowing, token, 0x1).allowed is allows
        assert check(denying, token, 0x1).allowed is not denies
    deny_only_user = dataclasses.replace(PLAIN, user_deny_only=True)
    assert not check(sd(f"D:(A;;FA;;;{U})"), deny_only_user, 0x1)
    assert not check(sd(f"D:(D;;FA;;;{U})(A;;FA;;;WD)"), deny_only_user, 0x1)


def test_a_bit_once_granted_is_safe_from_a_later_deny() -> None:
    assert check(sd("D:(A;;FR;;;WD)(D;;FA;;;WD)"), PLAIN, 0x1)
    assert not check(sd("D:(A;;FR;;;WD)(D;;FA;;;WD)"), PLAIN, 0x3)
    assert check(sd("D:(A;;FR;;;WD)(D;;FA;;;WD)"), PLAIN, MAXIMUM_ALLOWED).granted == 0x160089  # and the owner's


def test_inherit_only_entries_neither_grant_nor_deny() -> None:
    assert not check(sd("D:(A;OICIIO;FA;;;WD)", owner="SY"), PLAIN, 0x1)
    assert not check(sd("D:(A;OICIIO;FA;;;WD)", owner="SY"), PLAIN, MAXIMUM_ALLOWED)
    assert check(sd("D:(D;OICIIO;FA;;;WD)(A;;FA;;;WD)"), PLAIN, 0x1)
    assert not could(sd("D:(A;OICIIO;FA;;;WD)", owner="SY"), PLAIN, 0x1)


def test_without_a_dacl_named_rights_join_what_maximum_allowed_finds() -> None:
    assert check(sd(""), PLAIN, MAXIMUM_ALLOWED | 0x200).granted == 0x1F03FF
    assert check(sd(""), WRITES, MAXIMUM_ALLOWED).granted == 0x1F01FF


# Step 7, the two readings.


@pytest.mark.parametrize(
    ("text", "desired", "whole", "per_bit"),
    [
        (f"D:(A;;FA;;;{U})(A;;0x116;;;{G})", 0x120116, False, True),
        (f"D:(A;;FA;;;{U})(A;;FW;;;{G})", 0x120116, True, True),
        (f"D:(A;;FA;;;{U})(A;;FW;;;{G})", 0x156, False, True),
        (f"D:(A;;FA;;;{U})(A;;FR;;;{G})", 0x120116, False, False),
        (f"D:(A;;FR;;;{U})(A;;FA;;;{G})", 0x120116, False, False),
    ],
)
def test_two_readings(text: str, desired: int, whole: bool, per_bit: bool) -> None:
    assert check(sd(text), WRITES, desired).allowed is whole
    assert check(sd(text), WRITES, desired, second_pass="write-bits").allowed is per_bit
    assert could(sd(text), WRITES, desired).allowed is per_bit


def test_maximum_allowed_in_both_readings() -> None:
    descriptor = sd(f"D:(A;;FA;;;{U})(A;;0x1301bf;;;{G})")
    assert check(descriptor, WRITES, MAXIMUM_ALLOWED).granted == 0x1301BF
    assert check(descriptor, WRITES, MAXIMUM_ALLOWED, second_pass="write-bits").granted == 0x1301FF
    assert check(descriptor, RESTRICTED, MAXIMUM_ALLOWED).granted == 0x1301BF
    reading = sd(f"D:(A;;FR;;;{U})", owner="SY")
    assert check(reading, WRITES, MAXIMUM_ALLOWED).granted == 0x120089
    assert "restricted pass" not in check(reading, WRITES, MAXIMUM_ALLOWED).reason  # none was made
    assert f"restricted pass: ACE 1 (allow 0x1301bf for {G})" in check(descriptor, WRITES, MAXIMUM_ALLOWED).reason
    assert not check(reading, RESTRICTED, MAXIMUM_ALLOWED)


def test_the_owners_implicit_write_dac_starts_no_second_pass() -> None:
    """It is granted before the passes; here the owner is a restricting SID, so that it is granted at all."""
    owner_too = dataclasses.replace(WRITES, restricting=(USER,))
    descriptor = sd("D:(A;;FR;;;WD)")
    assert check(descriptor, owner_too, MAXIMUM_ALLOWED).granted == 0x160089
    assert check(descriptor, owner_too, 0x40001)
    assert not check(descriptor, owner_too, 0x40003)


# What is not known for sure.

OBJECT = ObjectPart(0, None, None)


@pytest.mark.parametrize(
    ("ace", "sure", "possible"),
    [
        (Ace(0x09, 0, 0x1F01FF, EVERYONE, b"artx"), False, True),
        (Ace(0x05, 0, 0x1F01FF, EVERYONE, b"", OBJECT), False, True),
        (Ace(0x0B, 0, 0x1F01FF, EVERYONE, b"", OBJECT), False, True),
        (allow(EVERYONE, GENERIC_ALL), False, True),
        (Ace(0x63, 0, 0, None, b"1234"), False, False),
        (Ace(0x02, 0, 0x1F01FF, EVERYONE), False, False),
    ],
    ids=["conditional", "object", "conditional object", "generic", "unknown", "audit"],
)
def test_uncertain_allows(ace: Ace, sure: bool, possible: bool) -> None:
    descriptor = SecurityDescriptor(SYSTEM, SYSTEM, 0, Acl([ace]))
    assert check(descriptor, PLAIN, 0x2).allowed is sure
    assert could(descriptor, PLAIN, 0x2).allowed is possible
    assert bool(check(descriptor, PLAIN, 0x2).warnings) is (ace.type != 0x02)


def test_generic_bits_of_deny_entries_are_never_taken_for_mapped() -> None:
    never_mapped = Acl([deny(EVERYONE, GENERIC_ALL), allow(EVERYONE, GENERIC_ALL)])
    assert could(SecurityDescriptor(SYSTEM, SYSTEM, 0, never_mapped), PLAIN, 0x2)


@pytest.mark.parametrize("kind", [0x06, DENY_CALLBACK, 0x0C])
def test_uncertain_denies(kind: int) -> None:
    part = None if kind == DENY_CALLBACK else OBJECT
    denying = Ace(kind, 0, 0x2, EVERYONE, b"", part)
    descriptor = SecurityDescriptor(SYSTEM, SYSTEM, 0, Acl([denying, allow(EVERYONE, 0x1F01FF)]))
    sure, possible = check(descriptor, PLAIN, 0x2), could(descriptor, PLAIN, 0x2)
    assert not sure
    assert f"ACE 0 (deny (type {kind:#x})" in sure.reason
    assert possible
    assert "against access" in sure.warnings[0]
    assert "in favour of access" in possible.warnings[0]
    assert check(descriptor, PLAIN, 0x1)


def test_an_ordinary_list_has_no_warnings() -> None:
    assert check(sd("D:(A;;FA;;;WD)(D;;FA;;;SY)"), PLAIN, 1).warnings == ()
    assert check(sd(""), PLAIN, 1).warnings == ()


# Mappings and tokens.


def test_mapping_replaces_generic_bits() -> None:
    assert FILE.map(GENERIC_ALL) == 0x1F01FF
    assert FILE.map(GENERIC_READ | 0x10000) == 0x130089
    assert FILE.map(0xF0000000) == FILE.all | FILE.read | FILE.write | FILE.execute
    assert FILE.map(0x1) == 0x1
    assert GenericMapping(1, 2, 4, 7).write_mask == 0x010D0002
    assert GenericMapping(1, 0x1F, 0x14, 7).write_mask == 0x010D000A
    assert GenericMapping(1, 2, 4, 7) == GenericMapping(1, 2, 4, 7)


def test_thread_write_bits() -> None:
    """TERMINATE, SUSPEND_RESUME, SET_CONTEXT, SET_INFORMATION, ALERT and SET_LIMITED_INFORMATION."""
    assert THREAD.write_mask == 0x010D0000 | 0x37 | 0x400


def test_a_token_is_a_value() -> None:
    token = Token(USER, [Group(EVERYONE)], restricting=[GRANT])  # type: ignore[arg-type]
    assert token == Token(USER, (Group(EVERYONE),), (GRANT,))
    assert hash(token) == hash(Token(USER, (Group(EVERYONE),), (GRANT,)))
    assert token.is_restricted
    assert not PLAIN.is_restricted
    assert Token(USER, write_restricted=True).restricting == ()
    assert dataclasses.replace(token, restricting=(LOGON,)).restricts == frozenset((LOGON.to_bytes(),))
    assert access.check(sd(f"D:(A;;FA;;;{U})"), Token(USER), 0x2)


def test_a_token_takes_plain_sequences_and_a_single_privilege() -> None:
    entry = SecurityDescriptor.from_sddl("D:(A;;GA;;;SY)").dacl
    assert entry is not None
    token = Token(SYSTEM, [Group(EVERYONE)], privileges="SeTakeOwnershipPrivilege", default_dacl=list(entry))  # type: ignore[arg-type]
    assert token.privileges == {"SeTakeOwnershipPrivilege"}
    assert token.default_dacl == entry
    assert check(SecurityDescriptor.from_sddl("O:BAG:BAD:"), token, 0x80000).allowed
