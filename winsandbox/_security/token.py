"""What a token is, as a value: as far as access checks and new objects look at it.

Microsoft Learn, "Access Tokens", "SID Attributes in an Access Token", "Restricted Tokens"; MS-DTYP 2.5.2.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from .ace import Ace
from .acl import Acl
from .sid import Sid

__all__ = [
    "GROUP_ENABLED",
    "GROUP_USE_FOR_DENY_ONLY",
    "HIGH",
    "LOW",
    "MEDIUM",
    "POLICY_NO_WRITE_UP",
    "SYSTEM_LEVEL",
    "UNTRUSTED",
    "Group",
    "Token",
]

GROUP_ENABLED: Final = 0x4
GROUP_USE_FOR_DENY_ONLY: Final = 0x10

UNTRUSTED: Final = 0x0000
LOW: Final = 0x1000
MEDIUM: Final = 0x2000
HIGH: Final = 0x3000
SYSTEM_LEVEL: Final = 0x4000

POLICY_NO_WRITE_UP: Final = 0x1  # TOKEN_MANDATORY_POLICY_NO_WRITE_UP


@dataclass(frozen=True, slots=True)
class Group:
    """A group of a token. ``attributes``: 0x4 enabled (allows and denies), 0x10 deny-only; neither: no effect."""

    sid: Sid
    attributes: int = GROUP_ENABLED


@dataclass(frozen=True, slots=True)
class Token:
    """An access token.

    Attributes:
        user: the user's SID.
        groups: Group values.
        restricting: the restricting SIDs; None: the token is not restricted; empty: nothing passes the second pass.
        write_restricted: the second pass is made for writes only. Without ``restricting`` the list is empty.
        privileges: names such as "SeTakeOwnershipPrivilege"; those that are enabled.
        integrity: the level, 0x1000 Low, 0x2000 Medium, 0x3000 High.
        user_deny_only: the user's SID matches deny entries only.
        owner, primary_group: of new objects; the user when None.
        default_dacl: of new objects that inherit nothing; None: they get a NULL DACL.
        mandatory_policy: without NO_WRITE_UP labels are not looked at.
    """

    user: Sid
    groups: tuple[Group, ...] = ()
    restricting: tuple[Sid, ...] | None = None
    write_restricted: bool = False
    privileges: frozenset[str] = frozenset()
    integrity: int = MEDIUM
    user_deny_only: bool = False
    owner: Sid | None = None
    primary_group: Sid | None = None
    default_dacl: Acl | None = None
    mandatory_policy: int = POLICY_NO_WRITE_UP
    # Binary SIDs, ready for the access check: matched by allow entries, by deny entries, in the second pass.
    allows: frozenset[bytes] = field(init=False, repr=False, compare=False)
    denies: frozenset[bytes] = field(init=False, repr=False, compare=False)
    restricts: frozenset[bytes] | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        groups = tuple(self.groups)
        restricting: Iterable[Sid] | None = self.restricting
        if restricting is None and self.write_restricted:
            restricting = ()
        enabled = {group.sid.raw for group in groups if group.attributes & GROUP_ENABLED}
        deny_only = {group.sid.raw for group in groups if group.attributes & GROUP_USE_FOR_DENY_ONLY}
        (deny_only if self.user_deny_only else enabled).add(self.user.raw)
        put = object.__setattr__
        put(self, "groups", groups)
        put(self, "restricting", None if restricting is None else tuple(restricting))
        names: Iterable[str] | None = self.privileges
        # A single name is a name, not its letters: they would be privileges that nobody asks for.
        put(self, "privileges", frozenset((names,) if isinstance(names, str) else names or ()))
        entries: Iterable[Ace] | None = self.default_dacl
        if entries is not None and not isinstance(entries, Acl):
            put(self, "default_dacl", Acl(entries))
        put(self, "allows", frozenset(enabled - deny_only))
        put(self, "denies", frozenset(enabled | deny_only))
        put(self, "restricts", None if self.restricting is None else frozenset(sid.raw for sid in self.restricting))

    @property
    def is_restricted(self) -> bool:
        """As IsTokenRestricted: there is a list of restricting SIDs, be it empty; write-restricted included."""
        return self.restricting is not None
