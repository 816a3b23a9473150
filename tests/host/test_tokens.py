"""Tokens, as every host must make and read them."""

from __future__ import annotations

import pytest

from tests.host.place import Place
from winsandbox._security import ace, acl, mask
from winsandbox._security.descriptor import DACL_PRESENT, SecurityDescriptor
from winsandbox._security.sid import EVERYONE, SYSTEM, Sid
from winsandbox._security.token import GROUP_ENABLED, GROUP_USE_FOR_DENY_ONLY
from winsandbox.errors import WinError

STRANGER = Sid.parse("S-1-5-21-1-2-3-4")
OTHER = Sid.parse("S-1-5-21-4-3-2-1")
DISABLE_MAX_PRIVILEGE, WRITE_RESTRICTED = 0x1, 0x8


def descriptor(owner: Sid, *entries: ace.Ace) -> bytes:
    return SecurityDescriptor(owner, owner, DACL_PRESENT, acl.Acl(entries)).to_bytes()


def test_the_callers_token_tells_who_he_is(place: Place) -> None:
    with place.host.tokens.current() as token:
        info = place.host.tokens.inspect(token)
    assert str(info.token.user).startswith("S-1-5-21-")
    assert EVERYONE.raw in info.token.allows
    assert info.logon is not None
    assert info.logon.raw in info.token.allows
    assert str(info.logon).startswith("S-1-5-5-")
    assert info.token.restricting is None
    assert info.restricted in (False, None)
    assert not info.app_container
    assert info.token.integrity in (0x1000, 0x2000, 0x3000, 0x4000)
    assert "SeChangeNotifyPrivilege" in info.token.privileges
    assert info.default_dacl is not None
    assert acl.Acl.from_bytes(info.default_dacl) == info.token.default_dacl
    assert (info.token.owner, info.token.primary_group) == (info.owner, info.primary_group)


def test_a_disabled_group_is_deny_only_in_the_new_token_and_untouched_in_the_old(place: Place) -> None:
    tokens = place.host.tokens
    with tokens.current() as token, tokens.restrict(token, flags=0, disable=[EVERYONE]) as made:
        groups = {group.sid: group.attributes for group in tokens.inspect(made).token.groups}
        assert groups[EVERYONE] & (GROUP_ENABLED | GROUP_USE_FOR_DENY_ONLY) == GROUP_USE_FOR_DENY_ONLY
        assert EVERYONE.raw in tokens.inspect(token).token.allows


def test_a_deleted_privilege_is_gone(place: Place) -> None:
    tokens = place.host.tokens
    with tokens.current() as token:
        with tokens.restrict(token, flags=0, delete=["SeShutdownPrivilege"]) as made:
            tokens.enable_only(made, ["SeChangeNotifyPrivilege"])
            assert tokens.inspect(made).token.privileges == {"SeChangeNotifyPrivilege"}
            with pytest.raises(WinError) as error:
                tokens.enable_only(made, ["SeShutdownPrivilege"])
        assert error.value.winerror == 1300
        assert "SeChangeNotifyPrivilege" in tokens.inspect(token).token.privileges


def test_a_default_list_is_stored_as_it_is(place: Place) -> None:
    tokens = place.host.tokens
    with tokens.current() as token, tokens.restrict(token, flags=0) as made:
        before = tokens.inspect(token).default_dacl
        wanted = acl.Acl([ace.allow(SYSTEM, mask.GENERIC_ALL), ace.allow(STRANGER, mask.GENERIC_ALL)]).to_bytes()
        tokens.set_default_dacl(made, wanted)
        assert tokens.inspect(made).default_dacl == wanted
        assert tokens.inspect(token).default_dacl == before


def test_restricting_sids_are_told_in_their_order(place: Place) -> None:
    place.need(restricts=True)
    tokens = place.host.tokens
    flags = DISABLE_MAX_PRIVILEGE | WRITE_RESTRICTED
    with tokens.current() as token, tokens.restrict(token, flags=flags, restrict=[STRANGER, EVERYONE]) as made:
        info = tokens.inspect(made)
    assert info.restricted is True
    assert info.token.restricting == (STRANGER, EVERYONE)
    assert info.token.write_restricted
    assert info.token.privileges == {"SeChangeNotifyPrivilege"}


def test_a_second_list_leaves_what_is_in_both(place: Place) -> None:
    place.need(restricts=True)
    tokens = place.host.tokens
    with (
        tokens.current() as token,
        tokens.restrict(token, flags=WRITE_RESTRICTED, restrict=[STRANGER, EVERYONE]) as once,
        tokens.restrict(once, flags=WRITE_RESTRICTED, restrict=[EVERYONE, OTHER]) as twice,
    ):
        assert tokens.inspect(twice).token.restricting == (EVERYONE,)


def test_a_capability_sid_is_no_restricting_sid(place: Place) -> None:
    place.need(restricts=True)
    tokens = place.host.tokens
    with tokens.current() as token, pytest.raises(WinError) as error:
        tokens.restrict(token, flags=WRITE_RESTRICTED, restrict=[Sid.parse("S-1-15-3-1")])
    assert error.value.winerror == 87


def test_the_integrity_level_goes_down_and_not_up(place: Place) -> None:
    place.need(restricts=True)
    tokens = place.host.tokens
    with tokens.current() as token, tokens.restrict(token, flags=0) as made:
        tokens.set_integrity(made, 0x1000)
        assert tokens.inspect(made).token.integrity == 0x1000
        with pytest.raises(WinError):
            tokens.set_integrity(made, 0x4000)
        assert tokens.inspect(made).token.integrity == 0x1000


def test_the_owner_is_the_user_or_an_error(place: Place) -> None:
    place.need(restricts=True)
    tokens = place.host.tokens
    with tokens.current() as token, tokens.restrict(token, flags=0) as made:
        user = tokens.inspect(made).token.user
        tokens.set_owner(made, user)
        assert tokens.inspect(made).owner == user
        with pytest.raises(WinError) as error:
            tokens.set_owner(made, STRANGER)
    assert error.value.winerror == 1307


def test_access_is_what_the_entries_grant(place: Place) -> None:
    tokens = place.host.tokens
    with tokens.current() as token:
        granted = tokens.access(token, descriptor(SYSTEM, ace.allow(EVERYONE, 0x120089)), 0x120089)
        denied = tokens.access(token, descriptor(SYSTEM, ace.allow(EVERYONE, 0x120089)), 0x120116)
        stranger = tokens.access(token, descriptor(SYSTEM, ace.allow(STRANGER, 0x1F01FF)), 0x1)
        generic = tokens.access(token, descriptor(SYSTEM, ace.allow(EVERYONE, 0x120089)), mask.GENERIC_READ)
    assert (granted, denied, stranger, generic) == (0x120089, None, None, 0x120089)


def test_a_descriptor_without_owner_is_no_descriptor_to_check(place: Place) -> None:
    bare = SecurityDescriptor(control=DACL_PRESENT, dacl=acl.Acl([ace.allow(EVERYONE, 0x1F01FF)])).to_bytes()
    with place.host.tokens.current() as token, pytest.raises(WinError) as error:
        place.host.tokens.access(token, bare, 0x1)
    assert error.value.winerror == 1338


@pytest.mark.parametrize(
    ("desired", "granted"),
    [
        (0x120089, True),  # reading is not asked of the restricting SIDs
        (0x120116, False),
        (mask.DELETE, False),
        (mask.FILE_DELETE_CHILD, True),  # no write bit: the hole that pins and guards are for
    ],
)
def test_a_write_restricted_token_needs_its_restricting_sids_for_write_bits(
    place: Place, desired: int, granted: bool
) -> None:
    place.need(restricts=True)
    tokens = place.host.tokens
    with tokens.current() as token, tokens.restrict(token, flags=WRITE_RESTRICTED, restrict=[STRANGER]) as made:
        user = tokens.inspect(made).token.user
        outside = descriptor(user, ace.allow(user, 0x1F01FF))
        inside = descriptor(user, ace.allow(STRANGER, 0x1301BF), ace.allow(user, 0x1F01FF))
        assert (tokens.access(made, outside, desired) is not None) == granted
        assert tokens.access(made, inside, desired & 0x1301BF) == desired & 0x1301BF
