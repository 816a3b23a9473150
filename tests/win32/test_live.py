"""The declarations against the real DLLs: exports are there, errors carry their codes, text and handles go through."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Iterator

import pytest

from tests.capabilities import needs
from tests.win32.live import GRANT, handle_count, no_new_handles, registry_key
from winsandbox import _host
from winsandbox._security.descriptor import SecurityDescriptor
from winsandbox._security.sid import ADMINISTRATORS, EVERYONE, SYSTEM
from winsandbox._win32 import advapi32, ffi, handles, kernel32, ntdll, shell32, user32
from winsandbox._win32.constants import (
    EventRights,
    HandleFlags,
    SecurityInformation,
    SeObjectType,
    TokenInformationClass,
    TokenRights,
    Wait,
)
from winsandbox._win32.structs import SECURITY_ATTRIBUTES
from winsandbox._win32.types import Handle, TokenHandle
from winsandbox.errors import WinError

pytestmark = needs("windows")

LIBRARIES = (kernel32.kernel32, advapi32.advapi32, ntdll.ntdll, user32.user32, shell32.shell32, shell32.ole32)
DACL = SecurityInformation.DACL_SECURITY_INFORMATION


@pytest.fixture(autouse=True)
def no_handle_is_left_open() -> Iterator[None]:
    # What the first named object opens for good (in Wine, the folder of all of them) is no leak.
    event("D:(A;;0x1f0003;;;WD)", f"winsandbox-first-{kernel32.GetCurrentProcessId()}").close()
    with no_new_handles():
        yield


def test_every_declared_export_exists_but_wines_own_on_windows() -> None:
    absent = {name for library in LIBRARIES for name, function in library.functions.items() if not function.exists()}
    assert absent <= {"wine_get_version"}


def test_a_library_is_our_own_and_shares_no_prototypes() -> None:
    windll = getattr(ctypes, "windll").kernel32  # noqa: B009 - typeshed has it on Windows only
    kernel32.CloseHandle.exists()
    assert windll.CloseHandle.argtypes is None


def test_a_failure_carries_code_function_and_message() -> None:
    with pytest.raises(WinError) as caught:
        kernel32.CloseHandle(Handle(0xDEAD0))
    assert (caught.value.winerror, caught.value.function) == (6, "CloseHandle")
    assert caught.value._message  # what Windows says of it, in the user's language


def test_a_failure_names_the_path() -> None:
    with pytest.raises(FileNotFoundError) as caught:
        kernel32.GetFileAttributesW("C:\\does not exist")
    assert caught.value.filename == "C:\\does not exist"
    assert kernel32.GetFileAttributesW("C:\\") & 0x10


def test_a_path_with_a_nul_never_reaches_windows() -> None:
    with pytest.raises(ctypes.ArgumentError):
        kernel32.GetFileAttributesW("C:\\\0nothing")


def test_a_status_is_mapped_by_windows() -> None:
    assert ffi.status_to_winerror(ctypes.c_int32(0xC0000022).value) == 5
    with pytest.raises(WinError) as caught:
        ntdll.NtClose(Handle(0xDEAD0))
    assert (caught.value.winerror, caught.value.status) == (6, 0xC0000008)


def test_an_error_code_as_result_is_raised() -> None:
    with pytest.raises(WinError) as caught:
        advapi32.SetNamedSecurityInfoW("C:\\does not exist", SeObjectType.SE_FILE_OBJECT, DACL, None, None, None, None)
    assert (caught.value.winerror, caught.value.filename) == (2, "C:\\does not exist")


def test_codes_are_kept_per_thread() -> None:
    codes: list[int] = []

    def run() -> None:
        for _ in range(200):
            try:
                kernel32.CloseHandle(Handle(0xDEAD0))
            except WinError as error:
                codes.append(error.winerror)

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(200):
        with pytest.raises(FileNotFoundError):
            kernel32.GetFileAttributesW("C:\\does not exist")
    for thread in threads:
        thread.join()
    assert set(codes) == {6}
    assert len(codes) == 600


def test_a_token_handle_without_access_is_refused() -> None:
    out = ctypes.c_void_p()
    advapi32.OpenProcessToken(kernel32.GetCurrentProcess(), TokenRights.TOKEN_QUERY, out)
    made = ctypes.c_void_p()
    with handles.own_taken(out) as token, pytest.raises(PermissionError) as caught:
        advapi32.CreateRestrictedToken(handles.token_handle(token), 0, 0, None, 0, None, 0, None, made)
    assert caught.value.filename is None
    assert made.value is None


def test_a_buffer_that_is_too_small_is_told_with_the_size_needed() -> None:
    out, needed = ctypes.c_void_p(), ctypes.c_uint32()
    advapi32.OpenProcessToken(kernel32.GetCurrentProcess(), TokenRights.TOKEN_QUERY, out)
    with handles.own_taken(out) as token:
        handle = handles.token_handle(token)
        with pytest.raises(WinError) as caught:
            advapi32.GetTokenInformation(handle, TokenInformationClass.TokenUser, None, 0, needed)
        assert caught.value.winerror == 122
        buffer = ctypes.create_string_buffer(needed.value)
        advapi32.GetTokenInformation(handle, TokenInformationClass.TokenUser, buffer, len(buffer), needed)


def test_text_comes_back_from_windows_and_memory_is_freed() -> None:
    for sid in (EVERYONE, SYSTEM, ADMINISTRATORS, GRANT):
        out, text = ctypes.c_void_p(), ctypes.c_void_p()
        advapi32.ConvertStringSidToSidW(str(sid), out)
        with handles.LocalMemory(out) as address:
            assert ctypes.string_at(address, advapi32.GetLengthSid(address)) == sid.raw
        advapi32.ConvertSidToStringSidW(sid.raw, text)
        with handles.LocalMemory(text) as address:
            assert ctypes.wstring_at(address) == str(sid)


@pytest.mark.parametrize(
    "sddl",
    ["D:P(A;;GA;;;SY)", "D:(D;OICI;0xd0156;;;S-1-5-21-1-2-3-4)(A;;FA;;;WD)", "O:BAG:SYD:AI(A;OICIID;FR;;;BU)"],
)
def test_windows_and_the_model_read_sddl_alike(sddl: str) -> None:
    out, size = ctypes.c_void_p(), ctypes.c_uint32()
    advapi32.ConvertStringSecurityDescriptorToSecurityDescriptorW(sddl, 1, out, size)
    with handles.LocalMemory(out) as address:
        raw = ctypes.string_at(address, advapi32.GetSecurityDescriptorLength(address))
    assert len(raw) <= size.value
    assert SecurityDescriptor.from_bytes(raw) == SecurityDescriptor.from_sddl(sddl)


def security_of(handle: Handle) -> SecurityDescriptor:
    length = ctypes.c_uint32()
    with pytest.raises(WinError):
        advapi32.GetKernelObjectSecurity(handle, DACL, None, 0, length)
    buffer = ctypes.create_string_buffer(length.value)
    advapi32.GetKernelObjectSecurity(handle, DACL, buffer, len(buffer), length)
    return SecurityDescriptor.from_bytes(buffer.raw)


def event(sddl: str, name: str | None = None) -> _host.Handle:
    raw = SecurityDescriptor.from_sddl(sddl).to_bytes()
    buffer = ctypes.create_string_buffer(raw, len(raw))
    security = SECURITY_ATTRIBUTES()
    security.nLength = ffi.size_of(security)
    security.lpSecurityDescriptor = ctypes.addressof(buffer)
    return handles.own(kernel32.CreateEventW(security, 1, 0, name))


@pytest.mark.parametrize(
    "sddl",
    [
        "D:(A;;0x1f0003;;;WD)(A;;0x1f0003;;;SY)",
        "D:(D;;0x2;;;S-1-5-21-1-2-3-4)(A;;0x1f0003;;;WD)",
        "D:P(A;;0x1f0003;;;WD)",
    ],
)
def test_a_kernel_objects_dacl_comes_back(sddl: str) -> None:
    wanted = SecurityDescriptor.from_sddl(sddl)
    with event(sddl) as made:
        assert security_of(handles.any_handle(made)).dacl == wanted.dacl
    with event("D:(A;;0x1f0003;;;WD)") as made:
        advapi32.SetKernelObjectSecurity(handles.any_handle(made), DACL, wanted.to_bytes())
        assert security_of(handles.any_handle(made)).dacl == wanted.dacl
        ntdll.NtSetSecurityObject(
            handles.any_handle(made), DACL, SecurityDescriptor.from_sddl("D:(A;;0x1f0003;;;SY)").to_bytes()
        )
        assert security_of(handles.any_handle(made)).dacl == SecurityDescriptor.from_sddl("D:(A;;0x1f0003;;;SY)").dacl


def test_a_dacl_on_a_kernel_object_refuses_and_allows() -> None:
    for sddl, allowed in (("D:(A;;0x1f0003;;;WD)", True), ("D:(A;;0x100000;;;WD)", False)):
        name = f"winsandbox-test-{kernel32.GetCurrentProcessId()}-{allowed}"
        with event(sddl, name):
            if allowed:
                handles.own(kernel32.OpenEventW(EventRights.EVENT_MODIFY_STATE, 0, name)).close()
            else:
                with pytest.raises(PermissionError):
                    kernel32.OpenEventW(EventRights.EVENT_MODIFY_STATE, 0, name)


@pytest.mark.parametrize(
    "sddl",
    [
        "D:P(A;OICI;KA;;;WD)",
        "D:P(D;;0x2;;;S-1-5-21-1-2-3-4)(A;OICI;KA;;;WD)(A;;KR;;;S-1-5-21-1-2-3-4)",
    ],
)
def test_a_registry_keys_dacl_comes_back(sddl: str) -> None:
    wanted = SecurityDescriptor.from_sddl(sddl)
    with registry_key("dacl") as key:
        advapi32.RegSetKeySecurity(handles.key_handle(key), DACL, wanted.to_bytes())
        size = ctypes.c_uint32(4096)
        buffer = ctypes.create_string_buffer(size.value)
        advapi32.RegGetKeySecurity(handles.key_handle(key), DACL, buffer, size)
        assert SecurityDescriptor.from_bytes(buffer.raw[: size.value]).dacl == wanted.dacl


def test_an_owned_handle_is_closed_once() -> None:
    before = handle_count()
    made = event("D:(A;;0x1f0003;;;WD)")
    assert handle_count() == before + 1
    copy = handles.duplicate(handles.any_handle(made))
    flags = ctypes.c_uint32()
    kernel32.GetHandleInformation(handles.any_handle(copy), flags)
    assert not flags.value & HandleFlags.HANDLE_FLAG_INHERIT
    made.close()
    made.close()
    with pytest.raises(ValueError, match="closed"):
        _ = made.value
    kernel32.SetEvent(handles.any_handle(copy))
    assert kernel32.WaitForSingleObject(handles.any_handle(copy), 0) == Wait.WAIT_OBJECT_0
    copy.close()


def test_a_forgotten_handle_is_closed() -> None:
    before = handle_count()
    made = event("D:(A;;0x1f0003;;;WD)")
    assert handle_count() == before + 1
    del made
    assert handle_count() == before


def test_adjusting_to_a_privilege_that_is_missing_succeeds_with_a_code() -> None:
    out = ctypes.c_void_p()
    access = TokenRights.TOKEN_QUERY | TokenRights.TOKEN_ADJUST_PRIVILEGES
    advapi32.OpenProcessToken(kernel32.GetCurrentProcess(), access, out)
    with handles.own_taken(out) as token:
        # SeCreateTokenPrivilege (2), which no user's token has
        block = bytes([1, 0, 0, 0]) + (2).to_bytes(8, "little") + (2).to_bytes(4, "little")
        advapi32.AdjustTokenPrivileges(handles.token_handle(token), 0, block, len(block), None, None)
        assert ffi.last_error() == 1300


def test_a_pseudo_handle_is_a_handle() -> None:
    assert kernel32.GetCurrentProcess() == Handle(2**64 - 1)
    out = ctypes.c_void_p()
    advapi32.OpenProcessToken(kernel32.GetCurrentProcess(), TokenRights.TOKEN_QUERY, out)
    handles.own_taken(out).close()


def test_a_result_that_needs_judgement_is_handed_out_with_its_code() -> None:
    ffi.clear_last_error()
    assert advapi32.IsTokenRestricted(TokenHandle(Handle(0xDEAD0))) == 0
    assert ffi.last_error() != 0
