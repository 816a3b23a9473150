"""Compared with Windows' own functions through the bindings: AccessCheck, and SDDL conversion both ways.

In Wine, whose AccessCheck and SDDL functions are an implementation of their own, the known faults of Wine are filters.
On Windows the access check runs without them: there it is no oracle but the thing itself.
"""

from __future__ import annotations

import ctypes
import random
import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.capabilities import has, needs
from tests.security.cases import GRANTS, OTHER, Case, rich_descriptor, some_desired, some_mask
from tests.security.oracle import Filter, compare
from winsandbox._security import access
from winsandbox._security.ace import ALLOW, DENY, INHERIT_ONLY, Ace
from winsandbox._security.acl import Acl
from winsandbox._security.descriptor import DACL_PRESENT, SecurityDescriptor
from winsandbox._security.mask import FILE, KEY, MAXIMUM_ALLOWED, PROCESS
from winsandbox._security.mask import GenericMapping as Mapping
from winsandbox._security.sid import CREATOR_OWNER, OWNER_RIGHTS, SYSTEM, Sid
from winsandbox._security.token import Group, Token
from winsandbox._win32 import advapi32, kernel32
from winsandbox._win32.structs import GENERIC_MAPPING, LUID
from winsandbox._win32.types import TokenHandle, taken

pytestmark = [pytest.mark.oracle]

TOKEN_DUPLICATE_AND_QUERY = 0xA
TOKEN_USER, TOKEN_GROUPS, TOKEN_PRIVILEGES, TOKEN_INTEGRITY = 1, 2, 3, 25
POINTER = ctypes.sizeof(ctypes.c_void_p)


@contextmanager
def impersonation_token() -> Iterator[TokenHandle]:
    """A copy of the process's token of the kind that AccessCheck takes."""
    primary, copy = ctypes.c_void_p(), ctypes.c_void_p()
    advapi32.OpenProcessToken(kernel32.GetCurrentProcess(), TOKEN_DUPLICATE_AND_QUERY, primary)
    try:
        advapi32.DuplicateTokenEx(TokenHandle(taken(primary)), TOKEN_DUPLICATE_AND_QUERY, None, 2, 2, copy)
    finally:
        kernel32.CloseHandle(taken(primary))
    try:
        yield TokenHandle(taken(copy))
    finally:
        kernel32.CloseHandle(taken(copy))


def information(token: TokenHandle, kind: int) -> ctypes.Array[ctypes.c_char]:
    buffer, needed = ctypes.create_string_buffer(16384), ctypes.c_uint32()
    advapi32.GetTokenInformation(token, kind, buffer, len(buffer), needed)
    return buffer


def sid_behind(buffer: ctypes.Array[ctypes.c_char], offset: int) -> Sid:
    """The SID whose address stands at the offset."""
    address = int.from_bytes(buffer.raw[offset : offset + POINTER], "little")
    return Sid.from_bytes(ctypes.string_at(address, advapi32.GetLengthSid(address)))


def as_value(token: TokenHandle) -> Token:
    """The token as the model sees it."""
    user = sid_behind(information(token, TOKEN_USER), 0)
    listed = information(token, TOKEN_GROUPS)
    groups = []
    for index in range(int.from_bytes(listed.raw[:4], "little")):
        at = POINTER + index * 2 * POINTER
        attributes = int.from_bytes(listed.raw[at + POINTER : at + POINTER + 4], "little")
        groups.append(Group(sid_behind(listed, at), attributes))
    raw = information(token, TOKEN_PRIVILEGES).raw
    privileges = set()
    for index in range(int.from_bytes(raw[:4], "little")):
        luid = LUID.from_buffer_copy(raw, 4 + 12 * index)
        if raw[12 + 12 * index] & 2:  # SE_PRIVILEGE_ENABLED
            name, size = ctypes.create_unicode_buffer(128), ctypes.c_uint32(128)
            advapi32.LookupPrivilegeNameW(None, luid, name, size)
            privileges.add(name.value)
    level = sid_behind(information(token, TOKEN_INTEGRITY), 0).subauthorities[-1]
    return Token(user, tuple(groups), privileges=frozenset(privileges), integrity=level)


def ask(token: TokenHandle, case: Case, mapping: Mapping) -> int | None:
    """AccessCheck's answer; minus the error code where the call itself fails."""
    generic = GENERIC_MAPPING()
    generic.GenericRead, generic.GenericWrite = mapping.read, mapping.write
    generic.GenericExecute, generic.GenericAll = mapping.execute, mapping.all
    privileges, size = ctypes.create_string_buffer(1024), ctypes.c_uint32(1024)
    granted, allowed = ctypes.c_uint32(), ctypes.c_int32()
    raw = case.descriptor.to_bytes()
    try:
        advapi32.AccessCheck(raw, token, case.desired, generic, privileges, size, granted, allowed)
    except OSError as error:
        return -(getattr(error, "winerror", None) or 0)
    return granted.value if allowed.value else None


def ours(case: Case, mapping: Mapping) -> int | None:
    result = access.check(case.descriptor, case.token, case.desired, mapping)
    if result.status in (access.Status.INVALID_SECURITY_DESCR, access.Status.GENERIC_NOT_MAPPED):
        return -result.status.winerror
    return result.granted if result.allowed else None


def cases_for(token: Token, seed: int, count: int) -> list[Case]:
    """Cases around this token's own SIDs."""
    rng = random.Random(seed)
    people = [token.user, *(group.sid for group in token.groups), OTHER, *GRANTS, SYSTEM]
    found = []
    for _ in range(count):
        aces = []
        for _ in range(rng.choice((0, 1, 2, 3, 4, 6))):
            roll = rng.random()
            sid = OWNER_RIGHTS if roll < 0.03 else CREATOR_OWNER if roll < 0.05 else rng.choice(people)
            kind = DENY if rng.random() < 0.3 else ALLOW
            aces.append(Ace(kind, rng.choice((0, 0, 0, 0x3, 0x10, 0x8, 0xB)), some_mask(rng), sid))
        if rng.random() < 0.05:
            aces.insert(0, Ace(DENY, 0, rng.choice((0x20000, 0x40000, 0x60000)), rng.choice(people)))
        owner = rng.choice((token.user, OTHER, SYSTEM, rng.choice(people)))
        descriptor = SecurityDescriptor(owner, rng.choice(people), 0, Acl(aces))
        roll = rng.random()
        if roll < 0.03:
            descriptor = descriptor.replace(dacl=None, control=DACL_PRESENT)
        elif roll < 0.04:
            descriptor = descriptor.replace(owner=None)
        elif roll < 0.05:
            descriptor = descriptor.replace(group=None)
        desired = some_desired(rng) | (0x80000000 if rng.random() < 0.01 else 0)
        found.append(Case(descriptor, token, desired))
    return found


def names_owner_rights(case: Case) -> bool:
    return any(ace.sid == OWNER_RIGHTS for ace in case.descriptor.dacl or ())


def maximum_meets_a_deny(case: Case) -> bool:
    return bool(case.desired & MAXIMUM_ALLOWED) and any(
        ace.type == DENY and not ace.flags & INHERIT_ONLY and ace.sid is not None and ace.sid.raw in case.token.denies
        for ace in case.descriptor.dacl or ()
    )


def owner_wants_more(case: Case) -> bool:
    """An enabled SID of the token is the owner, and standard rights beyond READ_CONTROL and WRITE_DAC are asked for."""
    owner = case.descriptor.owner
    asked = bool(case.desired & (0x190000 | MAXIMUM_ALLOWED))
    return asked and owner is not None and owner.raw in case.token.allows


def denies_the_owners_rights(case: Case) -> bool:
    owner = case.descriptor.owner
    return (
        bool(case.desired & 0x60000)
        and owner is not None
        and owner.raw in case.token.allows
        and any(
            ace.type == DENY and ace.mask & 0x60000 and ace.sid is not None and ace.sid.raw in case.token.denies
            for ace in case.descriptor.dacl or ()
        )
    )


def names_rights_beside_maximum(case: Case) -> bool:
    return bool(case.desired & MAXIMUM_ALLOWED) and case.desired != MAXIMUM_ALLOWED


WINE_FILTERS: tuple[Filter[Case], ...] = (
    Filter("owner-standard-rights", "Wine gives the owner all standard rights, not just two", owner_wants_more),
    Filter(
        "owner-denied", "Wine lets a deny entry take the owner's implicit rights (vector P23)", denies_the_owners_rights
    ),
    Filter("maximum-named", "Wine does not insist on rights named beside MAXIMUM_ALLOWED", names_rights_beside_maximum),
    Filter("owner-rights", "Wine does not know OWNER RIGHTS", names_owner_rights),
    Filter(
        "maximum-order", "Wine takes every denied bit off MAXIMUM_ALLOWED, whatever the order", maximum_meets_a_deny
    ),
)


def show(case: Case) -> str:
    return f"{case.descriptor.to_sddl()} {case.desired:#x}"


@needs("windows")
@pytest.mark.parametrize("mapping", [FILE, KEY, PROCESS], ids=["file", "key", "process"])
def test_access_check(mapping: Mapping) -> None:
    with impersonation_token() as handle:
        token = as_value(handle)
        assert token.groups
        some = cases_for(token, seed=20240608, count=6000)
        if not has("wine"):
            some = [case for case in some if not inherit_only_owner_rights(case)]
        compare(
            f"{'Wine' if has('wine') else 'Windows'}, AccessCheck of a plain token",
            WINE_FILTERS if has("wine") else (),
            [(case, ours(case, mapping), ask(handle, case, mapping)) for case in some],
            at_least=2000,
            show=show,
        )


def inherit_only_owner_rights(case: Case) -> bool:
    """No source determines whether such an entry counts; not asserted on Windows."""
    return any(ace.sid == OWNER_RIGHTS and ace.flags & INHERIT_ONLY for ace in case.descriptor.dacl or ())


def windows_bytes(text: str) -> SecurityDescriptor | None:
    """What ConvertStringSecurityDescriptorToSecurityDescriptorW makes of a text; None where it refuses."""
    address, size = ctypes.c_void_p(), ctypes.c_uint32()
    try:
        advapi32.ConvertStringSecurityDescriptorToSecurityDescriptorW(text, 1, address, size)
    except OSError:
        return None
    try:
        return SecurityDescriptor.from_bytes(ctypes.string_at(address.value or 0, size.value))
    finally:
        kernel32.LocalFree(address.value)


def windows_text(descriptor: SecurityDescriptor) -> str | None:
    """What ConvertSecurityDescriptorToStringSecurityDescriptorW writes: owner, group, DACL and SACL."""
    address = ctypes.c_void_p()
    try:
        advapi32.ConvertSecurityDescriptorToStringSecurityDescriptorW(descriptor.to_bytes(), 1, 0xF, address, None)
    except OSError:
        return None
    try:
        return ctypes.wstring_at(address.value or 0)
    finally:
        kernel32.LocalFree(address.value)


def comparable(descriptor: SecurityDescriptor | None) -> object:
    """Without the revision of its lists: Wine writes its own."""
    if descriptor is None:
        return None
    lists = [None if acl is None else tuple(acl) for acl in (descriptor.dacl, descriptor.sacl)]
    return (descriptor.owner, descriptor.group, descriptor.control, *lists)


RECENT_NAMES = Filter[str](
    "recent-names", "Wine does not know the names IS and WR", lambda text: bool(re.search("[:;](IS|WR)", text))
)
READ_FLAGS = Filter[str](
    "sacl-flags", "Wine reads the flags of the SACL into the DACL's", lambda text: bool(re.search("S:[PA]", text))
)
WRITTEN_FLAGS = Filter[str](
    "sacl-flags",
    "Wine writes the flags of the DACL in front of the SACL too, and those of the SACL nowhere",
    lambda text: bool(re.search("S:[PA]|D:[PA].*S:", text)),
)
BIG_AUTHORITY = Filter[str](
    "big-authority", "Wine takes an authority for a signed number", lambda text: "S-1-4294967295" in text
)


def descriptors(seed: int, count: int) -> Iterator[SecurityDescriptor]:
    """Without object entries, which Wine refuses; two of three without flags on their lists, where Wine errs."""
    rng = random.Random(seed)
    for index in range(count):
        descriptor = rich_descriptor(rng, objects=False)
        yield descriptor.replace(control=descriptor.control & ~0x3F00) if index % 3 else descriptor


@needs("wine")
def test_sddl_to_binary() -> None:
    texts = [descriptor.to_sddl() for descriptor in descriptors(20240609, 4000)]
    compare(
        "Wine, SDDL to binary",
        (READ_FLAGS, RECENT_NAMES),
        [(text, comparable(SecurityDescriptor.from_sddl(text)), comparable(windows_bytes(text))) for text in texts],
        at_least=2000,
        show=str,
    )


@needs("wine")
def test_binary_to_sddl() -> None:
    compare(
        "Wine, binary to SDDL",
        (WRITTEN_FLAGS, RECENT_NAMES, BIG_AUTHORITY),
        ((one.to_sddl(), one.to_sddl(), windows_text(one)) for one in descriptors(20240610, 5000)),
        at_least=2000,
        show=str,
    )
