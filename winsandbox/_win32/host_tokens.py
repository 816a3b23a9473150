"""WindowsHost's tokens: made by CreateRestrictedToken, and read back as the model that access checks take.

Sources: Microsoft Learn, "CreateRestrictedToken function", "TOKEN_INFORMATION_CLASS enumeration", "AccessCheck
function"; for what Wine answers (error 1 to some classes) the optional fields of TokenInfo are None.
"""

from __future__ import annotations

import ctypes
import functools
import struct
from collections.abc import Sequence

from .. import _host
from .._security.acl import Acl
from .._security.mask import FILE
from .._security.sid import Sid
from .._security.token import MEDIUM, POLICY_NO_WRITE_UP, Group, Token
from ..errors import WinError
from .advapi32 import (
    AccessCheck,
    AdjustTokenPrivileges,
    CreateRestrictedToken,
    DuplicateTokenEx,
    GetTokenInformation,
    LookupPrivilegeNameW,
    LookupPrivilegeValueW,
    OpenProcessToken,
    SetTokenInformation,
)
from .constants import (
    GroupAttributes,
    ImpersonationLevel,
    PrivilegeAttributes,
    SystemError_,
    TokenFlags,
    TokenInformationClass,
    TokenRights,
    TokenType,
)
from .ffi import last_error, offset_of, size_of
from .handles import own_taken, token_handle
from .kernel32 import GetCurrentProcess
from .structs import (
    GENERIC_MAPPING,
    LUID,
    LUID_AND_ATTRIBUTES,
    SID_AND_ATTRIBUTES,
    TOKEN_ACCESS_INFORMATION,
    TOKEN_DEFAULT_DACL,
    TOKEN_MANDATORY_LABEL,
    TOKEN_OWNER,
    TOKEN_PRIVILEGES,
)

# A restricted token has the access of the handle it was made from: query and duplicate for reading back and access
# checks, assign-primary to start a process with it, adjust for its default DACL, owner, integrity and privileges.
_OWN_ACCESS = (
    TokenRights.TOKEN_QUERY
    | TokenRights.TOKEN_DUPLICATE
    | TokenRights.TOKEN_ASSIGN_PRIMARY
    | TokenRights.TOKEN_ADJUST_DEFAULT
    | TokenRights.TOKEN_ADJUST_PRIVILEGES
)
_ELEVATIONS: dict[int, _host.Elevation] = {1: "default", 2: "full", 3: "limited"}
_SIZE_ERRORS = (SystemError_.ERROR_INSUFFICIENT_BUFFER, 24)  # 24: ERROR_BAD_LENGTH, for classes of a fixed size
# What Wine, an older Windows or the layer for 32-bit programs says to a class that it does not know.
_UNKNOWN_CLASS = (
    SystemError_.ERROR_INVALID_FUNCTION,
    SystemError_.ERROR_INVALID_PARAMETER,
    SystemError_.ERROR_NOT_SUPPORTED,
    SystemError_.ERROR_CALL_NOT_IMPLEMENTED,
)
_POINTER = ctypes.sizeof(ctypes.c_void_p)


class HostTokens:
    """``Tokens`` on Windows."""

    def current(self) -> _host.Handle:
        out = ctypes.c_void_p()
        OpenProcessToken(GetCurrentProcess(), _OWN_ACCESS, out)
        return own_taken(out)

    def inspect(self, token: _host.Handle) -> _host.TokenInfo:
        kinds = TokenInformationClass
        user, user_attributes = _read(token, kinds.TokenUser).sid_and_attributes(0)
        groups = tuple(Group(sid, attributes) for sid, attributes in _read(token, kinds.TokenGroups).groups())
        restricting = _optional(token, kinds.TokenRestrictedSids)
        access = _optional(token, kinds.TokenAccessInformation)
        policy = _optional(token, kinds.TokenMandatoryPolicy)
        app_container = _optional(token, kinds.TokenIsAppContainer)
        default_dacl = _read(token, kinds.TokenDefaultDacl).acl()
        owner = _read(token, kinds.TokenOwner).sid()
        primary_group = _read(token, kinds.TokenPrimaryGroup).sid()
        label, _ = _read(token, kinds.TokenIntegrityLevel).sid_and_attributes(0)
        sids = None if restricting is None else tuple(sid for sid, _ in restricting.groups())
        flags = 0 if access is None else access.number(offset_of(TOKEN_ACCESS_INFORMATION, "Flags"))
        model = Token(
            user=user,
            groups=groups,
            # The list itself is the definition of "restricted" (IsTokenRestricted); an empty one is no restriction.
            restricting=sids or None,
            write_restricted=bool(sids) and bool(flags & TokenFlags.TOKEN_WRITE_RESTRICTED),
            privileges=_enabled_privileges(token),
            integrity=label.subauthorities[-1] if label.subauthorities else MEDIUM,
            user_deny_only=bool(user_attributes & GroupAttributes.SE_GROUP_USE_FOR_DENY_ONLY),
            owner=owner,
            primary_group=primary_group,
            default_dacl=None if default_dacl is None else Acl.from_bytes(default_dacl),
            mandatory_policy=POLICY_NO_WRITE_UP if policy is None else policy.number(0),
        )
        logon = GroupAttributes.SE_GROUP_LOGON_ID
        return _host.TokenInfo(
            token=model,
            logon=next((group.sid for group in groups if group.attributes & logon == logon), None),
            owner=owner,
            primary_group=primary_group,
            default_dacl=default_dacl,
            restricted=None if sids is None else bool(sids),
            elevated=bool(_read(token, kinds.TokenElevation).number(0)),
            elevation=_ELEVATIONS.get(_read(token, kinds.TokenElevationType).number(0), "default"),
            app_container=app_container is not None and bool(app_container.number(0)),
            session=_read(token, kinds.TokenSessionId).number(0),
        )

    def restrict(
        self,
        token: _host.Handle,
        *,
        flags: int,
        disable: Sequence[Sid] = (),
        delete: Sequence[str] = (),
        restrict: Sequence[Sid] = (),
    ) -> _host.Handle:
        disabled, restricting = _SidArray(disable), _SidArray(restrict)
        deleted = (LUID_AND_ATTRIBUTES * len(delete))()
        for entry, name in zip(deleted, delete, strict=True):
            entry.Luid = _luid(name)
        out = ctypes.c_void_p()
        CreateRestrictedToken(
            token_handle(token),
            flags,
            len(disable),
            disabled.array,
            len(delete),
            deleted if delete else None,
            len(restrict),
            restricting.array,
            out,
        )
        return own_taken(out)

    def set_default_dacl(self, token: _host.Handle, dacl: bytes) -> None:
        Acl.from_bytes(dacl)  # the call takes an address without a length: a wrong size inside would be read beyond
        buffer = ctypes.create_string_buffer(dacl, len(dacl))
        information = TOKEN_DEFAULT_DACL()
        information.DefaultDacl = ctypes.addressof(buffer)
        SetTokenInformation(
            token_handle(token), TokenInformationClass.TokenDefaultDacl, information, size_of(information)
        )

    def set_owner(self, token: _host.Handle, owner: Sid) -> None:
        buffer = ctypes.create_string_buffer(owner.raw, len(owner.raw))
        information = TOKEN_OWNER()
        information.Owner = ctypes.addressof(buffer)
        SetTokenInformation(token_handle(token), TokenInformationClass.TokenOwner, information, size_of(information))

    def set_integrity(self, token: _host.Handle, level: int) -> None:
        sid = Sid(16, level)
        buffer = ctypes.create_string_buffer(sid.raw, len(sid.raw))
        information = TOKEN_MANDATORY_LABEL()
        information.Label.Sid = ctypes.addressof(buffer)
        information.Label.Attributes = GroupAttributes.SE_GROUP_INTEGRITY
        SetTokenInformation(
            token_handle(token),
            TokenInformationClass.TokenIntegrityLevel,
            information,
            size_of(information) + len(sid.raw),
        )

    def enable_only(self, token: _host.Handle, privileges: Sequence[str]) -> None:
        wanted = {_number(_luid(name)) for name in privileges}
        held = _read(token, TokenInformationClass.TokenPrivileges).privileges()
        if not wanted <= held.keys():
            raise WinError(
                SystemError_.ERROR_NOT_ALL_ASSIGNED,
                "AdjustTokenPrivileges",
                message="The token does not have all of the privileges",
            )
        if not held:
            return
        # One TOKEN_PRIVILEGES with as many entries as the token has: all of them are set in the same call, so there is
        # no moment in which others are enabled than before or after.
        new = b"".join(
            struct.pack("<QI", luid, PrivilegeAttributes.SE_PRIVILEGE_ENABLED if luid in wanted else 0) for luid in held
        )
        block = struct.pack("<I", len(held)) + new
        AdjustTokenPrivileges(token_handle(token), 0, block, len(block), None, None)
        if last_error() == SystemError_.ERROR_NOT_ALL_ASSIGNED:  # told beside a success
            raise WinError(SystemError_.ERROR_NOT_ALL_ASSIGNED, "AdjustTokenPrivileges")

    def access(self, token: _host.Handle, descriptor: bytes, desired: int) -> int | None:
        mapping = GENERIC_MAPPING()
        mapping.GenericRead, mapping.GenericWrite = FILE.read, FILE.write
        mapping.GenericExecute, mapping.GenericAll = FILE.execute, FILE.all
        out = ctypes.c_void_p()
        DuplicateTokenEx(
            token_handle(token),
            TokenRights.TOKEN_QUERY,
            None,
            ImpersonationLevel.SecurityIdentification,
            TokenType.TokenImpersonation,
            out,
        )
        used = ctypes.create_string_buffer(1024)  # PRIVILEGE_SET
        used_size, granted, allowed = ctypes.c_uint32(1024), ctypes.c_uint32(), ctypes.c_int32()
        with own_taken(out) as copy:
            AccessCheck(
                # AccessCheck knows no generic rights; they mean for a file what the mapping says
                *(descriptor, token_handle(copy), FILE.map(desired), mapping),
                *(used, used_size, granted, allowed),
            )
        return granted.value if allowed.value else None


# --- token information -----------------------------------------------------------------------------------------------


class _Information:
    """What GetTokenInformation wrote: structures whose pointers lead into the same block."""

    def __init__(self, block: ctypes.Array[ctypes.c_char]) -> None:
        self._block = block.raw
        self._address = ctypes.addressof(block)  # only to turn the pointers inside into offsets

    def number(self, offset: int) -> int:
        return int(struct.unpack_from("<I", self._block, offset)[0])

    def _pointer(self, offset: int) -> int:
        return int.from_bytes(self._block[offset : offset + _POINTER], "little")

    def _bytes(self, address: int, size: int) -> bytes:
        offset = address - self._address
        if not 0 <= offset <= len(self._block) - size:
            raise OSError("a token holds a pointer that leads out of what was read")
        return self._block[offset : offset + size]

    def sid(self, offset: int = 0) -> Sid:
        address = self._pointer(offset)
        count = self._bytes(address, 2)[1]
        return Sid.from_bytes(self._bytes(address, 8 + 4 * count))

    def sid_and_attributes(self, offset: int) -> tuple[Sid, int]:
        return self.sid(offset), self.number(offset + _POINTER)

    def groups(self) -> list[tuple[Sid, int]]:
        size = size_of(SID_AND_ATTRIBUTES)
        return [self.sid_and_attributes(_POINTER + size * place) for place in range(self.number(0))]

    def privileges(self) -> dict[int, int]:
        """LUID as one number -> attributes."""
        start, size = offset_of(TOKEN_PRIVILEGES, "Privileges"), size_of(LUID_AND_ATTRIBUTES)
        entries = (struct.unpack_from("<QI", self._block, start + size * place) for place in range(self.number(0)))
        return dict(entries)

    def acl(self) -> bytes | None:
        address = self._pointer(0)
        if not address:
            return None
        return self._bytes(address, struct.unpack_from("<H", self._bytes(address, 8), 2)[0])


# Classes that are one DWORD: asked with exactly that length, since Windows may refuse any other for them.
_NUMBERS = (
    TokenInformationClass.TokenElevation,
    TokenInformationClass.TokenElevationType,
    TokenInformationClass.TokenIsAppContainer,
    TokenInformationClass.TokenMandatoryPolicy,
    TokenInformationClass.TokenSessionId,
)


def _read(token: _host.Handle, kind: TokenInformationClass) -> _Information:
    needed = ctypes.c_uint32()
    size = 4 if kind in _NUMBERS else 512
    for _ in range(8):  # groups may be added to a token between two calls; bounded all the same
        block = ctypes.create_string_buffer(size)
        try:
            GetTokenInformation(token_handle(token), kind, block, size, needed)
        except WinError as error:
            if error.winerror not in _SIZE_ERRORS or needed.value <= size:
                raise
            size = needed.value
        else:
            return _Information(block)
    raise WinError(SystemError_.ERROR_INSUFFICIENT_BUFFER, "GetTokenInformation")


def _optional(token: _host.Handle, kind: TokenInformationClass) -> _Information | None:
    """The same for classes that a host may not know; None then. Every other failure is one."""
    try:
        return _read(token, kind)
    except WinError as error:
        if error.winerror not in _UNKNOWN_CLASS:
            raise
        return None


def _enabled_privileges(token: _host.Handle) -> frozenset[str]:
    held = _read(token, TokenInformationClass.TokenPrivileges).privileges()
    return frozenset(
        _privilege_name(luid)
        for luid, attributes in held.items()
        if attributes & PrivilegeAttributes.SE_PRIVILEGE_ENABLED
    )


def _number(luid: LUID) -> int:
    return int.from_bytes(bytes(luid), "little")


@functools.cache
def _privilege_name(number: int) -> str:
    """The name of a privilege; cached, since each look-up asks the security service and the numbers are fixed."""
    luid = LUID.from_buffer_copy(number.to_bytes(8, "little"))
    buffer = ctypes.create_unicode_buffer(256)
    size = ctypes.c_uint32(256)
    LookupPrivilegeNameW(None, luid, buffer, size)
    return buffer.value


def _luid(name: str) -> LUID:
    luid = LUID()
    LookupPrivilegeValueW(None, name, luid)
    return luid


class _SidArray:
    """SID_AND_ATTRIBUTES[] with the SIDs that it points to; the attributes stay 0, as CreateRestrictedToken demands."""

    def __init__(self, sids: Sequence[Sid]) -> None:
        self._raw = [ctypes.create_string_buffer(sid.raw, len(sid.raw)) for sid in sids]
        self.array = (SID_AND_ATTRIBUTES * len(sids))() if sids else None
        for entry, raw in zip(self.array or (), self._raw, strict=True):
            entry.Sid = ctypes.addressof(raw)
