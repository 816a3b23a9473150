"""Tokens: values that are replaced, never changed, and CreateRestrictedToken's rules.

Sources: "CreateRestrictedToken", "SetTokenInformation", "TOKEN_INFORMATION_CLASS" (Microsoft Learn); MS-DTYP 2.5.2.
What DISABLE_MAX_PRIVILEGE leaves and how lists of restricting SIDs meet stands in the first of them. LUA_TOKEN is
documented by its name alone; it changes nothing here, so that nothing can lean on it.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from .._host import Elevation, Handle, TokenInfo
from .._security import access, mask
from .._security.acl import Acl
from .._security.descriptor import SecurityDescriptor
from .._security.errors import SecurityDataError
from .._security.sid import ADMINISTRATORS, Sid
from .._security.token import GROUP_ENABLED, GROUP_USE_FOR_DENY_ONLY, Group, Token
from ..errors import WinError
from .gate import Caller

__all__ = ["DISABLE_MAX_PRIVILEGE", "LUA_TOKEN", "WRITE_RESTRICTED", "SimTokens", "SimulatedToken", "TokenObject"]

DISABLE_MAX_PRIVILEGE: Final = 0x1
SANDBOX_INERT: Final = 0x2
LUA_TOKEN: Final = 0x4
WRITE_RESTRICTED: Final = 0x8

CHANGE_NOTIFY: Final = "SeChangeNotifyPrivilege"
CREATE_SYMBOLIC_LINK: Final = "SeCreateSymbolicLinkPrivilege"
RELABEL: Final = "SeRelabelPrivilege"
RESTORE: Final = "SeRestorePrivilege"

# SE_GROUP_OWNER: such a group may own new objects.
GROUP_OWNER: Final = 0x8

_serial = itertools.count(1)


@dataclass(frozen=True, slots=True)
class SimulatedToken:
    """A token: the model for access checks, and what Windows tells about it besides.

    ``privileges`` are all it has; those of ``model.privileges`` are enabled. ``serial`` is another for each value, so
    that answers of the access check can be remembered by it.
    """

    model: Token
    privileges: frozenset[str]
    logon: Sid | None
    elevated: bool = False
    elevation: Elevation = "default"
    session: int = 1
    serial: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "serial", next(_serial))

    def with_model(self, **changes: object) -> SimulatedToken:
        """The same token with other fields of its model."""
        return replace(self, model=replace(self.model, **changes))  # type: ignore[arg-type]

    def plain(self) -> SimulatedToken:
        """The token that a file server makes of the same user's credentials: nothing restricting travels."""
        return self.with_model(restricting=None, write_restricted=False, integrity=max(self.model.integrity, 0x2000))

    def has(self, privilege: str) -> bool:
        """Whether a privilege is enabled."""
        return privilege in self.model.privileges


class TokenObject:
    """The kernel object: what handles name. Setting an information class replaces the value."""

    __slots__ = ("token",)

    def __init__(self, token: SimulatedToken) -> None:
        self.token = token

    def closed(self) -> None:
        """Nothing to release."""

    def __repr__(self) -> str:
        return f"<token of {self.token.model.user}>"


def restricted(
    token: SimulatedToken, *, flags: int, disable: Sequence[Sid], delete: Sequence[str], restrict: Sequence[Sid]
) -> SimulatedToken:
    """CreateRestrictedToken."""
    if flags & ~(DISABLE_MAX_PRIVILEGE | SANDBOX_INERT | LUA_TOKEN | WRITE_RESTRICTED):
        raise WinError(87, "CreateRestrictedToken")
    if any(sid.authority == 15 for sid in restrict):
        raise WinError(87, "CreateRestrictedToken")  # app container and capability SIDs are refused
    model = token.model
    off = set(disable)
    groups = tuple(
        Group(group.sid, (group.attributes & ~GROUP_ENABLED) | GROUP_USE_FOR_DENY_ONLY) if group.sid in off else group
        for group in model.groups
    )
    kept = token.privileges - set(delete)
    if flags & DISABLE_MAX_PRIVILEGE:
        kept &= {CHANGE_NOTIFY}
    restricting = model.restricting
    write = model.write_restricted
    if restrict or flags & WRITE_RESTRICTED:
        asked = tuple(dict.fromkeys(restrict))
        # A second list never widens the first one. A token that is restricted in all accesses stays so.
        write = bool(flags & WRITE_RESTRICTED) and (restricting is None or write)
        restricting = asked if restricting is None else tuple(sid for sid in restricting if sid in asked)
    changed = replace(
        model,
        groups=groups,
        restricting=restricting,
        write_restricted=write,
        privileges=model.privileges & kept,
        user_deny_only=model.user_deny_only or model.user in off,
    )
    return replace(token, model=changed, privileges=kept)


class SimTokens:
    """The Tokens protocol for one caller."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def current(self) -> Handle:
        """See Tokens.current."""
        self._caller.enter("current_token")
        return self._caller.own(self._caller.process.token)

    def inspect(self, token: Handle) -> TokenInfo:
        """See Tokens.inspect."""
        self._caller.enter("inspect")
        value = self._token(token).token
        model = value.model
        return TokenInfo(
            token=model,
            logon=value.logon,
            owner=model.owner or model.user,
            primary_group=model.primary_group or model.user,
            default_dacl=None if model.default_dacl is None else model.default_dacl.to_bytes(),
            restricted=model.is_restricted,
            elevated=value.elevated,
            elevation=value.elevation,
            app_container=False,
            session=value.session,
        )

    def restrict(
        self,
        token: Handle,
        *,
        flags: int,
        disable: Sequence[Sid] = (),
        delete: Sequence[str] = (),
        restrict: Sequence[Sid] = (),
    ) -> Handle:
        """See Tokens.restrict."""
        self._caller.enter("restrict")
        base = self._token(token).token
        made = restricted(base, flags=flags, disable=disable, delete=delete, restrict=restrict)
        return self._caller.own(TokenObject(made))

    def set_default_dacl(self, token: Handle, dacl: bytes) -> None:
        """See Tokens.set_default_dacl."""
        self._caller.enter("set_default_dacl")
        try:
            acl = Acl.from_bytes(dacl)
        except SecurityDataError:
            raise WinError(1336, "SetTokenInformation") from None
        held = self._token(token)
        held.token = held.token.with_model(default_dacl=acl)

    def set_owner(self, token: Handle, owner: Sid) -> None:
        """See Tokens.set_owner; winerror 1307 where the SID may not own the token's objects."""
        self._caller.enter("set_owner")
        held = self._token(token)
        model = held.token.model
        groups = {group.sid for group in model.groups if group.attributes & GROUP_ENABLED}
        if owner != model.user and not (owner in groups and owner == ADMINISTRATORS):
            raise WinError(1307, "SetTokenInformation")
        held.token = held.token.with_model(owner=owner)

    def set_integrity(self, token: Handle, level: int) -> None:
        """See Tokens.set_integrity; raising the level takes a privilege that nobody here has (1314)."""
        self._caller.enter("set_integrity")
        held = self._token(token)
        if level > held.token.model.integrity:
            raise WinError(1314, "SetTokenInformation")
        held.token = held.token.with_model(integrity=level)

    def enable_only(self, token: Handle, privileges: Sequence[str]) -> None:
        """See Tokens.enable_only."""
        self._caller.enter("enable_only")
        held = self._token(token)
        if not held.token.privileges.issuperset(privileges):
            raise WinError(1300, "AdjustTokenPrivileges")
        held.token = held.token.with_model(privileges=frozenset(privileges))

    def access(self, token: Handle, descriptor: bytes, desired: int) -> int | None:
        """See Tokens.access."""
        self._caller.enter("access")
        parsed = _parsed(descriptor, "AccessCheck")
        if parsed.owner is None or parsed.group is None:
            raise WinError(1338, "AccessCheck")
        result = access.check(parsed, self._token(token).token.model, mask.FILE.map(desired))
        return result.granted if result.allowed else None

    def _token(self, handle: Handle) -> TokenObject:
        return self._caller.object(handle, TokenObject)


def _parsed(descriptor: bytes, function: str) -> SecurityDescriptor:
    try:
        return SecurityDescriptor.from_bytes(descriptor)
    except SecurityDataError:
        raise WinError(1338, function) from None
