# mypy: disable-error-code="empty-body"
"""advapi32.dll: tokens, security descriptors, registry keys.

Each docstring names the header; the page on Microsoft Learn is ``windows/win32/api/<header>/nf-<header>-<function>``,
in small letters.
"""

from __future__ import annotations

from ctypes import c_int32
from typing import Annotated

from .ffi import Library, plain
from .structs import GENERIC_MAPPING, LUID, PROCESS_INFORMATION, SECURITY_ATTRIBUTES, STARTUPINFO
from .types import (
    ACL,
    BOOL,
    DESCRIPTOR,
    DWORD,
    ERROR_CODE,
    HANDLE,
    HKEY,
    LENGTH,
    OPTIONAL_OUT_ADDRESS,
    OPTIONAL_OUT_DWORD,
    OPTIONAL_PATH,
    OPTIONAL_STR,
    OPTIONAL_TEXT_BUFFER,
    OPTIONAL_TOKEN,
    OUT_ADDRESS,
    OUT_BOOL,
    OUT_DWORD,
    OUT_HANDLE,
    PATH,
    POINTER_TO,
    PROCESS,
    SID,
    STR,
    SUCCEEDS,
    THREAD,
    TOKEN,
)

advapi32 = Library("advapi32")


# --- tokens ----------------------------------------------------------------------------------------------------------


@advapi32.function
def OpenProcessToken(process: PROCESS, access: DWORD, token: OUT_HANDLE, /) -> SUCCEEDS:
    """processthreadsapi.h"""


@advapi32.function
def OpenThreadToken(thread: THREAD, access: DWORD, as_self: BOOL, token: OUT_HANDLE, /) -> SUCCEEDS:
    """processthreadsapi.h"""


@advapi32.function
def GetTokenInformation(token: TOKEN, kind: DWORD, buffer: POINTER_TO, size: DWORD, needed: OUT_DWORD, /) -> SUCCEEDS:
    """securitybaseapi.h"""


@advapi32.function
def SetTokenInformation(token: TOKEN, kind: DWORD, information: POINTER_TO, size: DWORD, /) -> SUCCEEDS:
    """securitybaseapi.h"""


@advapi32.function
def CreateRestrictedToken(
    token: TOKEN,
    flags: DWORD,
    disabled: DWORD,
    to_disable: POINTER_TO,
    deleted: DWORD,
    to_delete: POINTER_TO,
    restricting: DWORD,
    to_restrict: POINTER_TO,
    made: OUT_HANDLE,
    /,
) -> SUCCEEDS:
    """securitybaseapi.h"""


@advapi32.function
def DuplicateTokenEx(
    token: TOKEN, access: DWORD, security: SECURITY_ATTRIBUTES | None, level: DWORD, kind: DWORD, made: OUT_HANDLE, /
) -> SUCCEEDS:
    """securitybaseapi.h"""


@advapi32.function
def AdjustTokenPrivileges(
    token: TOKEN, disable_all: BOOL, new: POINTER_TO, size: DWORD, previous: POINTER_TO, needed: OPTIONAL_OUT_DWORD, /
) -> SUCCEEDS:
    """securitybaseapi.h; success with last_error() 1300 if not all were assigned"""


@advapi32.function
def IsTokenRestricted(
    token: TOKEN, /
) -> Annotated[int, plain(c_int32, "FALSE is an answer and a failure: clear_last_error() before, last_error() after")]:
    """securitybaseapi.h"""


@advapi32.function
def CheckTokenMembership(token: OPTIONAL_TOKEN, sid: SID, member: OUT_BOOL, /) -> SUCCEEDS:
    """securitybaseapi.h"""


@advapi32.function
def LookupPrivilegeValueW(system: OPTIONAL_STR, name: STR, luid: LUID, /) -> SUCCEEDS:
    """winbase.h"""


@advapi32.function
def LookupPrivilegeNameW(
    system: OPTIONAL_STR, luid: LUID, buffer: OPTIONAL_TEXT_BUFFER, size: OUT_DWORD, /
) -> SUCCEEDS:
    """winbase.h"""


@advapi32.function
def ImpersonateLoggedOnUser(token: TOKEN, /) -> SUCCEEDS:
    """securitybaseapi.h"""


@advapi32.function
def RevertToSelf() -> SUCCEEDS:
    """securitybaseapi.h"""


@advapi32.function
def CreateProcessAsUserW(
    token: OPTIONAL_TOKEN,
    application: OPTIONAL_PATH,
    command_line: OPTIONAL_TEXT_BUFFER,
    process: SECURITY_ATTRIBUTES | None,
    thread: SECURITY_ATTRIBUTES | None,
    inherit: BOOL,
    flags: DWORD,
    environment: POINTER_TO,
    directory: OPTIONAL_STR,
    startup: STARTUPINFO,
    made: PROCESS_INFORMATION,
    /,
) -> SUCCEEDS:
    """processthreadsapi.h"""


# --- access checks ---------------------------------------------------------------------------------------------------


@advapi32.function
def AccessCheck(
    descriptor: DESCRIPTOR,
    token: TOKEN,
    desired: DWORD,
    mapping: GENERIC_MAPPING,
    privileges: POINTER_TO,
    privileges_size: OUT_DWORD,
    granted: OUT_DWORD,
    allowed: OUT_BOOL,
    /,
) -> SUCCEEDS:
    """securitybaseapi.h"""


@advapi32.function
def MapGenericMask(mask: OUT_DWORD, mapping: GENERIC_MAPPING, /) -> Annotated[None, plain(None, "returns nothing")]:
    """securitybaseapi.h"""


# --- security descriptors --------------------------------------------------------------------------------------------


@advapi32.function
def GetKernelObjectSecurity(
    handle: HANDLE, information: DWORD, descriptor: POINTER_TO, size: DWORD, needed: OUT_DWORD, /
) -> SUCCEEDS:
    """securitybaseapi.h"""


@advapi32.function
def SetKernelObjectSecurity(handle: HANDLE, information: DWORD, descriptor: DESCRIPTOR, /) -> SUCCEEDS:
    """securitybaseapi.h"""


@advapi32.function
def GetSecurityInfo(
    handle: HANDLE,
    kind: DWORD,
    information: DWORD,
    owner: OPTIONAL_OUT_ADDRESS,
    group: OPTIONAL_OUT_ADDRESS,
    dacl: OPTIONAL_OUT_ADDRESS,
    sacl: OPTIONAL_OUT_ADDRESS,
    descriptor: OPTIONAL_OUT_ADDRESS,
    /,
) -> ERROR_CODE:
    """aclapi.h; the descriptor is freed by LocalFree"""


@advapi32.function
def SetSecurityInfo(
    handle: HANDLE, kind: DWORD, information: DWORD, owner: SID, group: SID, dacl: ACL, sacl: ACL, /
) -> ERROR_CODE:
    """aclapi.h"""


@advapi32.function
def SetNamedSecurityInfoW(
    name: PATH, kind: DWORD, information: DWORD, owner: SID, group: SID, dacl: ACL, sacl: ACL, /
) -> ERROR_CODE:
    """aclapi.h; recomputes and propagates inherited entries"""


@advapi32.function
def GetSecurityDescriptorLength(descriptor: DESCRIPTOR, /) -> LENGTH:
    """securitybaseapi.h"""


@advapi32.function
def ConvertStringSecurityDescriptorToSecurityDescriptorW(
    text: STR, revision: DWORD, descriptor: OUT_ADDRESS, size: OPTIONAL_OUT_DWORD, /
) -> SUCCEEDS:
    """sddl.h; freed by LocalFree"""


@advapi32.function
def ConvertSecurityDescriptorToStringSecurityDescriptorW(
    descriptor: DESCRIPTOR, revision: DWORD, information: DWORD, text: OUT_ADDRESS, size: OPTIONAL_OUT_DWORD, /
) -> SUCCEEDS:
    """sddl.h; freed by LocalFree"""


@advapi32.function
def ConvertStringSidToSidW(text: STR, sid: OUT_ADDRESS, /) -> SUCCEEDS:
    """sddl.h; freed by LocalFree"""


@advapi32.function
def ConvertSidToStringSidW(sid: SID, text: OUT_ADDRESS, /) -> SUCCEEDS:
    """sddl.h; freed by LocalFree"""


@advapi32.function
def GetLengthSid(sid: SID, /) -> LENGTH:
    """securitybaseapi.h"""


@advapi32.function
def LookupAccountSidW(
    system: OPTIONAL_STR,
    sid: SID,
    name: OPTIONAL_TEXT_BUFFER,
    name_size: OUT_DWORD,
    domain: OPTIONAL_TEXT_BUFFER,
    domain_size: OUT_DWORD,
    use: OUT_DWORD,
    /,
) -> SUCCEEDS:
    """winbase.h"""


# --- registry keys ---------------------------------------------------------------------------------------------------


@advapi32.function
def RegOpenKeyExW(key: HKEY, name: OPTIONAL_STR, options: DWORD, access: DWORD, opened: OUT_HANDLE, /) -> ERROR_CODE:
    """winreg.h"""


@advapi32.function
def RegCreateKeyExW(
    key: HKEY,
    name: STR,
    reserved: DWORD,
    kind: OPTIONAL_STR,
    options: DWORD,
    access: DWORD,
    security: SECURITY_ATTRIBUTES | None,
    made: OUT_HANDLE,
    disposition: OPTIONAL_OUT_DWORD,
    /,
) -> ERROR_CODE:
    """winreg.h"""


@advapi32.function
def RegDeleteKeyW(key: HKEY, name: STR, /) -> ERROR_CODE:
    """winreg.h"""


@advapi32.function
def RegCloseKey(key: HKEY, /) -> ERROR_CODE:
    """winreg.h"""


@advapi32.function
def RegGetKeySecurity(key: HKEY, information: DWORD, descriptor: POINTER_TO, size: OUT_DWORD, /) -> ERROR_CODE:
    """winreg.h"""


@advapi32.function
def RegSetKeySecurity(key: HKEY, information: DWORD, descriptor: DESCRIPTOR, /) -> ERROR_CODE:
    """winreg.h"""
