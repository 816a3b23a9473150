"""What the calls that decide are given, read where it arrives: behind the C calling convention, out of raw memory.

A C function pointer of the test's own stands in the place of the export, declared with plain addresses and numbers. So
the contents of SID arrays and access lists are held on every OS; Wine's relay trace (tests/wine) has the real exports,
but shows addresses only.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from typing import Any

import pytest

from winsandbox import _host
from winsandbox._security.ace import allow
from winsandbox._security.acl import Acl
from winsandbox._security.sid import EVERYONE, SYSTEM, USERS, Sid
from winsandbox._win32 import advapi32, host_files, host_tokens
from winsandbox._win32.constants import DispositionFlags, FileInfoByHandleClass, SystemError_, TokenInformationClass
from winsandbox._win32.ffi import Struct
from winsandbox._win32.host_files import HostFiles
from winsandbox._win32.host_tokens import HostTokens
from winsandbox.errors import WinError

if sys.platform == "win32":
    FUNCTION = ctypes.WINFUNCTYPE
else:
    FUNCTION = ctypes.CFUNCTYPE

GRANTS = [Sid.parse("S-1-5-21-1465074264-11-12-13"), Sid.parse("S-1-5-21-1465074264-21-22-23")]
LOGON = Sid.parse("S-1-5-5-0-77777")
NUMBER, ADDRESS = ctypes.c_uint32, ctypes.c_size_t
Export = Callable[[str, tuple[Any, ...], Callable[..., int]], None]


@pytest.fixture
def export(monkeypatch: pytest.MonkeyPatch) -> Export:
    """Puts a function in the place of one of advapi32's exports."""
    exports: dict[str, Any] = {}
    monkeypatch.setattr(advapi32.advapi32, "_dll", exports)

    def put(name: str, kinds: tuple[Any, ...], function: Callable[..., int]) -> None:
        exports[name] = FUNCTION(ctypes.c_int32, *kinds)(function)
        monkeypatch.setattr(getattr(advapi32, name), "_foreign", None)  # bound anew, with its declared prototype

    return put


def handle(value: int) -> _host.Handle:
    return _host.Handle(value, lambda _: None)


def number_at(address: int, size: int) -> int:
    return int.from_bytes(ctypes.string_at(address, size), "little")


def sid_at(address: int) -> Sid:
    return Sid.from_bytes(ctypes.string_at(address, 8 + 4 * number_at(address + 1, 1)))


def sids_at(address: int, count: int) -> list[tuple[Sid, int]]:
    """SID_AND_ATTRIBUTES[count]: a pointer and a DWORD each, aligned as a pointer."""
    pointer = ctypes.sizeof(ctypes.c_void_p)
    entries = range(address, address + 2 * pointer * count, 2 * pointer)
    return [(sid_at(number_at(entry, pointer)), number_at(entry + pointer, 4)) for entry in entries]


def test_the_sids_to_restrict_and_to_disable_arrive_whole_and_in_order(export: Export) -> None:
    arrived: dict[str, Any] = {}

    def create(
        token: int,
        flags: int,
        disabled: int,
        disable: int,
        deleted: int,
        delete: int,
        restricted: int,
        restrict: int,
        out: int,
    ) -> int:
        arrived.update(token=token, flags=flags, deleted=(deleted, delete))
        arrived["disable"] = sids_at(disable, disabled)
        arrived["restrict"] = sids_at(restrict, restricted)
        ctypes.memmove(out, ctypes.byref(ctypes.c_size_t(0x5678)), ctypes.sizeof(ctypes.c_size_t))
        return 1

    kinds = (ADDRESS, NUMBER, NUMBER, ADDRESS, NUMBER, ADDRESS, NUMBER, ADDRESS, ADDRESS)
    export("CreateRestrictedToken", kinds, create)
    wanted = [*GRANTS, LOGON, EVERYONE]
    made = HostTokens().restrict(handle(0x1234), flags=0xD, disable=[USERS], restrict=wanted)
    assert made.detach() == 0x5678
    assert arrived == {
        "token": 0x1234,
        "flags": 0xD,
        "deleted": (0, 0),
        "disable": [(USERS, 0)],
        "restrict": [(sid, 0) for sid in wanted],  # attributes must be 0
    }


def test_the_default_dacl_and_the_integrity_level_arrive_to_the_byte(export: Export) -> None:
    arrived: list[tuple[int, int, Any]] = []

    def set_information(token: int, kind: int, address: int, size: int) -> int:
        inner = number_at(address, ctypes.sizeof(ctypes.c_void_p))
        # TokenDefaultDacl has one pointer to an ACL, whose size is its second word; the others begin with one to a SID.
        content = ctypes.string_at(inner, number_at(inner + 2, 2)) if kind == 6 else sid_at(inner)
        arrived.append((token, kind, content))
        return 1

    export("SetTokenInformation", (ADDRESS, NUMBER, ADDRESS, NUMBER), set_information)
    dacl = Acl([allow(sid, 0x10000000) for sid in (LOGON, SYSTEM, GRANTS[0])]).to_bytes()
    tokens = HostTokens()
    tokens.set_default_dacl(handle(0x1234), dacl)
    tokens.set_integrity(handle(0x1234), 0x1000)
    tokens.set_owner(handle(0x1234), LOGON)
    assert arrived == [(0x1234, 6, dacl), (0x1234, 25, Sid(16, 0x1000)), (0x1234, 4, LOGON)]


def test_an_export_that_refuses_is_an_error(export: Export) -> None:
    export("SetTokenInformation", (ADDRESS, NUMBER, ADDRESS, NUMBER), lambda *_: 0)
    with pytest.raises(WinError, match="SetTokenInformation"):
        HostTokens().set_integrity(handle(1), 0x1000)


@pytest.mark.parametrize("code", [1, 50, 87, 120, 5])
def test_a_class_that_the_host_does_not_know_is_told_from_a_failure(monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    # What is None then (the restricting SIDs, whether it is write-restricted) is a difference that _token refuses.
    def read(token: _host.Handle, kind: TokenInformationClass) -> None:
        raise WinError(code, "GetTokenInformation")

    monkeypatch.setattr(host_tokens, "_read", read)
    if code == 5:
        with pytest.raises(PermissionError):
            host_tokens._optional(handle(1), TokenInformationClass.TokenAccessInformation)
    else:
        assert host_tokens._optional(handle(1), TokenInformationClass.TokenAccessInformation) is None


# -- deletion

POSIX = DispositionFlags.FILE_DISPOSITION_FLAG_POSIX_SEMANTICS
FLAGS = DispositionFlags.FILE_DISPOSITION_FLAG_DELETE | DispositionFlags.FILE_DISPOSITION_FLAG_IGNORE_READONLY_ATTRIBUTE


@pytest.mark.parametrize(
    ("refused", "asked"),
    [
        ([], [FLAGS | POSIX]),
        ([SystemError_.ERROR_INVALID_PARAMETER], [FLAGS | POSIX, FLAGS]),
        ([SystemError_.ERROR_NOT_SUPPORTED, SystemError_.ERROR_INVALID_PARAMETER], [FLAGS | POSIX, FLAGS, None]),
        ([SystemError_.ERROR_ACCESS_DENIED] * 2, [FLAGS | POSIX, FLAGS, None]),
    ],
)
def test_a_name_is_taken_away_at_once_where_the_file_system_can(
    monkeypatch: pytest.MonkeyPatch, refused: list[int], asked: list[int | None]
) -> None:
    seen: list[int | None] = []
    answers = iter(refused)

    def set_(handle: _host.Handle, kind: FileInfoByHandleClass, value: Struct) -> None:
        extended = kind == FileInfoByHandleClass.FileDispositionInfoEx
        seen.append(int(value.Flags) if extended else None)  # type: ignore[attr-defined]
        if (code := next(answers, 0)) and extended:
            raise WinError(code, "SetFileInformationByHandle")

    monkeypatch.setattr(host_files, "_set", set_)
    HostFiles().delete(handle(1))
    assert seen == asked


def test_a_deletion_that_fails_for_another_reason_is_not_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def set_(handle: _host.Handle, kind: FileInfoByHandleClass, value: Struct) -> None:
        raise WinError(SystemError_.ERROR_DIR_NOT_EMPTY, "SetFileInformationByHandle")

    monkeypatch.setattr(host_files, "_set", set_)
    with pytest.raises(WinError, match="145"):
        HostFiles().delete(handle(1))
