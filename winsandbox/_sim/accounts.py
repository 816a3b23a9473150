"""Who logs on: the tokens of a standard user, an administrator with and without UAC, a service.

Sources: "Access Tokens", "How User Account Control works", "Well-known SIDs", "Mandatory Integrity Control" (Microsoft
Learn). The default DACL of an ordinary token, (A;;GA;;;user)(A;;GA;;;SY)(A;;GXGR;;;logon), is general knowledge.
"""

from __future__ import annotations

from typing import Final

from .._host import Elevation
from .._security.acl import Acl
from .._security.descriptor import SecurityDescriptor
from .._security.sid import ADMINISTRATORS, AUTHENTICATED_USERS, EVERYONE, INTERACTIVE, SYSTEM, USERS, Sid
from .._security.token import GROUP_ENABLED, GROUP_USE_FOR_DENY_ONLY, Group, Token
from .tokens import CHANGE_NOTIFY, CREATE_SYMBOLIC_LINK, RELABEL, RESTORE, SimulatedToken

__all__ = ["MACHINE", "logon_sid", "system_token", "user_sid", "user_token"]

MACHINE: Final = Sid.parse("S-1-5-21-1004336348-1177238915-682003330")
_FIRST_USER: Final = 1001
_SERVICE: Final = Sid.parse("S-1-5-6")
_LOCAL: Final = Sid.parse("S-1-2-0")
_CONSOLE_LOGON: Final = Sid.parse("S-1-2-1")
_THIS_ORGANIZATION: Final = Sid.parse("S-1-5-15")
_LOCAL_ACCOUNT: Final = Sid.parse("S-1-5-113")
_LOCAL_ADMINISTRATOR: Final = Sid.parse("S-1-5-114")
_NONE_GROUP: Final = MACHINE.relative(513)

_LOGON_ID: Final = 0xC0000000  # SE_GROUP_LOGON_ID

_ORDINARY: Final = frozenset(
    {
        CHANGE_NOTIFY,
        "SeShutdownPrivilege",
        "SeUndockPrivilege",
        "SeIncreaseWorkingSetPrivilege",
        "SeTimeZonePrivilege",
    }
)
_ADMINISTRATIVE: Final = _ORDINARY | {
    CREATE_SYMBOLIC_LINK,
    RESTORE,
    "SeBackupPrivilege",
    "SeDebugPrivilege",
    "SeImpersonatePrivilege",
    "SeIncreaseQuotaPrivilege",
    "SeLoadDriverPrivilege",
    "SeRemoteShutdownPrivilege",
    "SeSecurityPrivilege",
    "SeSystemtimePrivilege",
    "SeTakeOwnershipPrivilege",
}
# Of an administrator's privileges these are enabled from the beginning.
_ENABLED: Final = frozenset({CHANGE_NOTIFY, "SeImpersonatePrivilege"})


def user_sid(number: int = 0) -> Sid:
    """A local account: S-1-5-21-machine-1001 and on."""
    return MACHINE.relative(_FIRST_USER + number)


def logon_sid(number: int) -> Sid:
    """The SID of one logon session: another one at each logon."""
    return Sid(5, 5, 0, 0x2A1F0 + number * 0x1234)


def user_token(
    user: Sid,
    logon: Sid | None,
    *,
    administrator: bool = False,
    elevated: bool = False,
    uac: bool = True,
    integrity: int | None = None,
    session: int = 1,
) -> SimulatedToken:
    """The primary token of a process of `user`.

    An administrator with UAC runs filtered (Administrators deny-only, Medium) unless `elevated`; without UAC, and the
    built-in one, always with everything (High), which Windows calls neither full nor limited.
    """
    full = administrator and (elevated or not uac)
    elevation: Elevation = "default"
    if administrator and uac:
        elevation = "full" if elevated else "limited"
    groups = [_NONE_GROUP, EVERYONE]
    if administrator:
        groups += [_LOCAL_ADMINISTRATOR, ADMINISTRATORS]
    groups += [USERS]
    groups += [INTERACTIVE, _CONSOLE_LOGON] if session else [_SERVICE]
    groups += [AUTHENTICATED_USERS, _THIS_ORGANIZATION, _LOCAL_ACCOUNT, _LOCAL]
    if logon is not None:
        groups.append(logon)
    administrative = (ADMINISTRATORS, _LOCAL_ADMINISTRATOR)
    filtered = () if full else administrative
    attributes = {
        sid: GROUP_USE_FOR_DENY_ONLY if sid in filtered else GROUP_ENABLED | (0x8 if sid == ADMINISTRATORS else 0) | 0x3
        for sid in groups
    }
    if logon is not None:
        attributes[logon] |= _LOGON_ID
    owner = ADMINISTRATORS if full else user
    privileges = _ADMINISTRATIVE if full else _ORDINARY
    sddl = f"D:(A;;GA;;;{owner})(A;;GA;;;SY)" + (f"(A;;GXGR;;;{logon})" if logon is not None else "")
    model = Token(
        user,
        tuple(Group(sid, attributes[sid]) for sid in groups),
        privileges=privileges & _ENABLED,
        integrity=integrity if integrity is not None else (0x3000 if full else 0x2000),
        owner=owner,
        primary_group=_NONE_GROUP,
        default_dacl=SecurityDescriptor.from_sddl(sddl).dacl,
    )
    return SimulatedToken(model, privileges, logon, elevated=full, elevation=elevation, session=session)


def system_token() -> SimulatedToken:
    """SYSTEM, which may do everything: tests arrange things with it, and services are."""
    privileges = _ADMINISTRATIVE | {RELABEL}
    groups = (Group(ADMINISTRATORS, 0xE), Group(EVERYONE, 0x7), Group(AUTHENTICATED_USERS, 0x7))
    dacl: Acl | None = SecurityDescriptor.from_sddl("D:(A;;GA;;;SY)(A;;GRGX;;;BA)").dacl
    model = Token(
        SYSTEM,
        groups,
        privileges=frozenset(privileges),
        integrity=0x4000,
        owner=ADMINISTRATORS,
        primary_group=SYSTEM,
        default_dacl=dacl,
    )
    return SimulatedToken(model, frozenset(privileges), None, elevated=True, session=0)
