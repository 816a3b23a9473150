"""WindowsHost's tokens, on Windows and Wine; what Wine only pretends is asserted on Windows alone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.capabilities import needs
from tests.win32.live import FLAGS, GRANT, no_new_handles, restricted
from winsandbox._security.acl import Acl
from winsandbox._security.descriptor import SecurityDescriptor
from winsandbox._security.mask import FILE_ALL_ACCESS, FILE_READ_DATA, FILE_WRITE_DATA, GENERIC_READ, MAXIMUM_ALLOWED
from winsandbox._security.sid import ADMINISTRATORS, EVERYONE, USERS
from winsandbox._win32.host import WindowsHost
from winsandbox.errors import WinError

pytestmark = needs("windows")

CHANGE_NOTIFY = "SeChangeNotifyPrivilege"


@pytest.fixture
def host() -> WindowsHost:
    return WindowsHost()


@pytest.fixture(autouse=True)
def no_handle_is_left_open(host: WindowsHost) -> Iterator[None]:
    host.tokens.current().close()  # what the first call opens for good is no leak
    with no_new_handles():
        yield


def test_the_callers_token_reads_back(host: WindowsHost) -> None:
    with host.tokens.current() as token:
        info = host.tokens.inspect(token)
    sids = {group.sid for group in info.token.groups}
    assert EVERYONE in sids
    assert info.logon in sids
    assert str(info.token.user).startswith("S-1-5-21-")
    assert CHANGE_NOTIFY in info.token.privileges
    assert info.default_dacl is not None
    assert info.token.default_dacl == Acl.from_bytes(info.default_dacl)
    assert info.token.integrity in (0x1000, 0x2000, 0x2100, 0x3000, 0x4000)
    assert info.restricted in (False, None)
    assert info.token.restricting is None


@needs("restricting tokens")
def test_a_write_restricted_token_reads_back_as_one(host: WindowsHost) -> None:
    with restricted(host) as token:
        info = host.tokens.inspect(token)
    assert info.restricted
    assert info.token.write_restricted
    assert {GRANT, EVERYONE} <= set(info.token.restricting or ())
    assert info.token.privileges <= {CHANGE_NOTIFY}


@needs("wine")
def test_a_host_that_does_not_tell_is_not_taken_for_restricting(host: WindowsHost) -> None:
    with restricted(host) as token:
        info = host.tokens.inspect(token)
    assert info.restricted is None
    assert not info.token.write_restricted
    assert host.capabilities().restricts is False
    assert host.capabilities().stores_acls is False


def test_a_disabled_group_is_deny_only(host: WindowsHost) -> None:
    with host.tokens.current() as own, host.tokens.restrict(own, flags=0, disable=[USERS]) as token:
        before = {group.sid: group.attributes for group in host.tokens.inspect(own).token.groups}
        after = {group.sid: group.attributes for group in host.tokens.inspect(token).token.groups}
    assert before[USERS] & 0x4
    assert after[USERS] & 0x10
    assert not after[USERS] & 0x4
    assert {sid: value for sid, value in after.items() if sid != USERS} == {
        sid: value for sid, value in before.items() if sid != USERS
    }


def test_a_deleted_privilege_is_gone(host: WindowsHost) -> None:
    with host.tokens.current() as own, host.tokens.restrict(own, flags=0, delete=[CHANGE_NOTIFY]) as token:
        assert CHANGE_NOTIFY not in host.tokens.inspect(token).token.privileges
        with pytest.raises(WinError) as caught:
            host.tokens.enable_only(token, [CHANGE_NOTIFY])
        assert caught.value.winerror == 1300


def test_exactly_the_privileges_asked_for_are_enabled(host: WindowsHost) -> None:
    with restricted(host) as token:
        host.tokens.enable_only(token, [CHANGE_NOTIFY])
        assert host.tokens.inspect(token).token.privileges == {CHANGE_NOTIFY}
        host.tokens.enable_only(token, [])
        assert host.tokens.inspect(token).token.privileges == frozenset()
        host.tokens.enable_only(token, [CHANGE_NOTIFY])
        assert host.tokens.inspect(token).token.privileges == {CHANGE_NOTIFY}


def test_an_unknown_privilege_is_refused(host: WindowsHost) -> None:
    with host.tokens.current() as own:
        with pytest.raises(WinError) as caught:
            host.tokens.restrict(own, flags=0, delete=["SeNoSuchPrivilege"])
        assert caught.value.winerror == 1313


@pytest.mark.parametrize("sddl", ["D:(A;;GA;;;SY)(A;;GA;;;S-1-5-21-1-2-3-4)", "D:(A;;GR;;;WD)", "D:"])
def test_the_default_dacl_reads_back_to_the_byte(host: WindowsHost, sddl: str) -> None:
    dacl = SecurityDescriptor.from_sddl(sddl).dacl
    assert dacl is not None
    with restricted(host) as token:
        host.tokens.set_default_dacl(token, dacl.to_bytes())
        assert host.tokens.inspect(token).default_dacl == dacl.to_bytes()


def test_a_default_dacl_whose_size_lies_is_refused(host: WindowsHost) -> None:
    lying = b"\x02\x00\x00\x10\x01\x00\x00\x00" + bytes(8)  # says 4096 bytes
    with restricted(host) as token:
        before = host.tokens.inspect(token).default_dacl
        with pytest.raises(ValueError, match="AclSize"):
            host.tokens.set_default_dacl(token, lying)
        assert host.tokens.inspect(token).default_dacl == before


@needs("real windows")
@pytest.mark.parametrize("level", [0x2000, 0x1000])
def test_the_integrity_level_can_be_lowered(host: WindowsHost, level: int) -> None:
    with restricted(host) as token:
        host.tokens.set_integrity(token, level)
        assert host.tokens.inspect(token).token.integrity == level


@pytest.mark.parametrize(
    ("sddl", "desired", "granted"),
    [
        ("O:SYG:SYD:(A;;FA;;;WD)", FILE_WRITE_DATA, FILE_WRITE_DATA),
        ("O:SYG:SYD:(A;;FR;;;WD)", FILE_WRITE_DATA, None),
        ("O:SYG:SYD:(A;;FR;;;WD)", FILE_READ_DATA, FILE_READ_DATA),
        ("O:SYG:SYD:(A;;FR;;;WD)", GENERIC_READ, 0x120089),
        ("O:SYG:SYD:(D;;FW;;;WD)(A;;FA;;;WD)", FILE_WRITE_DATA, None),
        ("O:SYG:SYD:(A;;FR;;;WD)", MAXIMUM_ALLOWED, 0x120089),
        ("O:SYG:SYD:", FILE_READ_DATA, None),
    ],
)
def test_access_is_windows_own_answer(host: WindowsHost, sddl: str, desired: int, granted: int | None) -> None:
    descriptor = SecurityDescriptor.from_sddl(sddl).to_bytes()
    with host.tokens.current() as token:
        assert host.tokens.access(token, descriptor, desired) == granted


def test_a_deny_only_group_grants_nothing(host: WindowsHost) -> None:
    descriptor = SecurityDescriptor.from_sddl("O:SYG:SYD:(A;;FA;;;BU)").to_bytes()
    with host.tokens.current() as own, host.tokens.restrict(own, flags=0, disable=[USERS, ADMINISTRATORS]) as token:
        assert host.tokens.access(own, descriptor, FILE_ALL_ACCESS) == FILE_ALL_ACCESS
        assert host.tokens.access(token, descriptor, FILE_ALL_ACCESS) is None


def test_failures_leave_no_handle(host: WindowsHost) -> None:
    with host.tokens.current() as own:
        for _ in range(20):
            with pytest.raises(WinError):
                host.tokens.restrict(own, flags=FLAGS, delete=["SeNoSuchPrivilege"])
            with pytest.raises(WinError):
                host.tokens.access(own, b"\x01\x00\x00\x80" + bytes(16), FILE_READ_DATA)  # no owner
