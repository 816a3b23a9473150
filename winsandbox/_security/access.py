"""Windows' access check: which rights a token is granted by a descriptor.

The steps, in Windows' order (MS-DTYP 2.5.3.2 and 2.5.3.3; Microsoft Learn, "SeAccessCheck routine", "How AccessCheck
Works", "Restricted Tokens"; J. Forshaw, Windows Security Internals, chapter 7):

0. No generic bit may be asked for (ERROR_GENERIC_NOT_MAPPED), owner and group must be present
   (ERROR_INVALID_SECURITY_DESCR): measured by Wine's AccessCheck tests on Windows.
1. Process trust labels and access filters: not modelled, ordinary objects have none.
2. Integrity label: no label means Medium, no-write-up. A lower token keeps only the rights in the read and execute
   mappings that the policy leaves it; anything else asked for is denied before the DACL is looked at, so that a NULL
   DACL does not help (MS-DTYP 2.5.3.3). With MAXIMUM_ALLOWED the passes look for these rights only.
3. Privileges: ACCESS_SYSTEM_SECURITY needs SeSecurityPrivilege whatever the DACL says; WRITE_OWNER is granted by
   SeTakeOwnershipPrivilege or SeRelabelPrivilege. What a privilege grants is asked of neither pass. With
   MAXIMUM_ALLOWED privileges count only for bits that are named besides.
4. Owner: READ_CONTROL and WRITE_DAC, if the owner is an enabled SID of the token, for a restricted token a
   restricting SID too, and no effective entry names OWNER RIGHTS (smbtorture OWNER-RIGHTS on Windows 2016). A deny
   entry for the owner does not take the two away. Whether an inherit-only OWNER RIGHTS entry counts is documented
   nowhere; here, as in Samba, it does not. Nor whether one counts that is conditional, for an object type or no allow
   or deny entry at all: for :func:`check` it does, for :func:`could` it does not.
5. Nothing left: granted.
6. Normal pass over the DACL, entries as they stand. An absent or NULL DACL grants everything, an empty one nothing.
   An allow entry takes its bits off what remains; a deny entry with a bit that still remains ends it (smbtorture
   DENY1). With MAXIMUM_ALLOWED the first matching entry decides each bit (smbtorture DENY1, OWNER-RIGHTS-DENY1).
   Disabled groups match nothing, deny-only ones deny entries alone ("SID Attributes in an Access Token").
7. Restricted pass over the same DACL with the restricting SIDs, from the same remaining bits; for a write-restricted
   token only if a write bit is among them (see ``mask``). FILE_DELETE_CHILD alone makes none: measured on
   Windows Server 2022 and 2025, Windows 11.

Two readings of step 7 for write-restricted tokens are compatible with all that has been published. ``"whole"``: once
a write bit is asked for, the restricting SIDs must grant the whole remaining request. ``"write-bits"``: only its
write bits. They differ in whether a request for both kinds is refused, never in whether it can write more than
"write-bits" says: so the first answers "will it work?", and :func:`could` takes the second.
With MAXIMUM_ALLOWED, "whole" intersects both passes as soon as the normal one grants a write bit; no measurement.
So a token at Low may find more rights to read than the same token at Medium: step 2 leaves no write bit to come up.

Conditional entries are not evaluated and object entries have no type list to be matched with: for :func:`check` they
only deny, for :func:`could` they only allow. Generic bits in stored entries grant nothing (Windows maps them when a
descriptor is stored); :func:`could` counts them as mapped in allow entries. ``AccessResult.warnings`` names such
entries. Central access policies and app containers are not modelled; SeBackupPrivilege and SeRestorePrivilege are no
matter of the access check but of opens with backup intent.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final, Literal

from . import reasons
from .ace import NO_EXECUTE_UP, NO_READ_UP, NO_WRITE_UP
from .acl import Acl, Step
from .descriptor import SecurityDescriptor
from .errors import SecurityDataError, is_number, shown
from .mask import (
    ACCESS_SYSTEM_SECURITY,
    FILE,
    GENERIC,
    MAXIMUM_ALLOWED,
    READ_CONTROL,
    WRITE_DAC,
    WRITE_OWNER,
    GenericMapping,
)
from .reasons import Asked, Pass, Why
from .sid import OWNER_RIGHTS
from .token import MEDIUM, POLICY_NO_WRITE_UP, Token

__all__ = ["AccessResult", "Status", "check", "could"]

_OWNER_BITS: Final = READ_CONTROL | WRITE_DAC
_GRANTABLE: Final = 0x00FFFFFF  # by entries: specific and standard rights, never ACCESS_SYSTEM_SECURITY or generic bits
_EVERYTHING: Final = 0xFFFFFFFF
_OW: Final = frozenset((OWNER_RIGHTS.raw,))
_READINGS: Final = {"whole": False, "write-bits": True}


class Status(IntEnum):
    """How a check ended: the NTSTATUS of SeAccessCheck. ``winerror`` is what AccessCheck's caller sees."""

    SUCCESS = 0
    ACCESS_DENIED = 0xC0000022
    PRIVILEGE_NOT_HELD = 0xC0000061
    INVALID_SECURITY_DESCR = 0xC0000079
    GENERIC_NOT_MAPPED = 0xC00000E6

    @property
    def winerror(self) -> int:
        """The Win32 error code."""
        return _WINERRORS[self]


_WINERRORS: Final = {
    Status.SUCCESS: 0,
    Status.ACCESS_DENIED: 5,
    Status.PRIVILEGE_NOT_HELD: 1314,
    Status.INVALID_SECURITY_DESCR: 1338,
    Status.GENERIC_NOT_MAPPED: 1360,
}
_SUCCESS: Final = Status.SUCCESS
_DENIED: Final = Status.ACCESS_DENIED


class AccessResult:
    """The answer of a check. True in a condition if access is allowed.

    Attributes:
        allowed: whether the request is granted.
        granted: the granted mask; for MAXIMUM_ALLOWED all that could be had; 0 when denied.
        status: a Status.
    """

    __slots__ = ("_asked", "_why", "allowed", "granted", "status")

    def __init__(self, allowed: bool, granted: int, status: Status, asked: Asked, why: Why) -> None:
        self.allowed = allowed
        self.granted = granted
        self.status = status
        self._asked = asked
        self._why = why

    def __bool__(self) -> bool:
        return self.allowed

    def __repr__(self) -> str:
        return f"<AccessResult {self.status.name} granted={self.granted:#x}: {self.reason}>"

    @property
    def reason(self) -> str:
        """One sentence for people: which step, which pass, which entry (from 0), which SID. Built when read."""
        return reasons.sentence(self._asked, self._why)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What in the DACL makes the answer less than certain, one sentence an entry. Built when read."""
        descriptor, generous = self._asked[0], self._asked[4]
        return reasons.warnings(descriptor.dacl or Acl(), generous)


def check(
    descriptor: SecurityDescriptor,
    token: Token,
    desired: int,
    mapping: GenericMapping = FILE,
    *,
    second_pass: Literal["whole", "write-bits"] = "whole",  # noqa: S107 - no password
) -> AccessResult:
    """What Windows' access check answers.

    Args:
        descriptor: of the object.
        token: who asks.
        desired: the rights, already mapped (:meth:`GenericMapping.map`); may include MAXIMUM_ALLOWED.
        mapping: of the object's type.
        second_pass: "whole" or "write-bits"; see the module's docstring.

    Raises:
        SecurityDataError: ``desired`` is no number of 32 bits.
        ValueError: any other ``second_pass``.
    """
    per_bit = _READINGS.get(second_pass)
    if per_bit is None:
        raise ValueError(f"second_pass must be 'whole' or 'write-bits', not {second_pass!r}")
    return _decide(descriptor, token, desired, mapping, per_bit, False)


def could(descriptor: SecurityDescriptor, token: Token, desired: int, mapping: GenericMapping = FILE) -> AccessResult:
    """The most that Windows may answer: the audit question "could it write?".

    Whatever is not known for sure (the reading of the second pass, conditions, object types, generic bits in allow
    entries, whether an uncertain entry for OWNER RIGHTS counts) is taken in favour of access, so that a refusal here
    is a refusal on Windows.

    Raises:
        SecurityDataError: ``desired`` is no number of 32 bits.
    """
    return _decide(descriptor, token, desired, mapping, True, True)


def _decide(
    descriptor: SecurityDescriptor, token: Token, desired: int, mapping: GenericMapping, per_bit: bool, generous: bool
) -> AccessResult:
    if not is_number(desired, _EVERYTHING):
        raise SecurityDataError(f"the desired access {shown(desired)} is no number of 32 bits")
    asked = (descriptor, token, desired, mapping, generous)
    owner = descriptor.owner
    dacl = descriptor.dacl
    sacl = descriptor.sacl

    # Step 0.
    if desired & GENERIC:
        return AccessResult(False, 0, Status.GENERIC_NOT_MAPPED, asked, ("generic", desired & GENERIC))
    if owner is None or descriptor.group is None:
        return AccessResult(False, 0, Status.INVALID_SECURITY_DESCR, asked, ("descriptor",))
    maximum = desired & MAXIMUM_ALLOWED
    remaining = desired ^ maximum

    # Step 2.
    surviving = _EVERYTHING
    if token.integrity < MEDIUM or sacl is not None:
        surviving = _surviving(sacl, token, mapping)
        if remaining & ~surviving or (maximum and not surviving):
            return AccessResult(False, 0, _DENIED, asked, ("integrity", remaining & ~surviving))

    # Step 3. The rights that are asked of neither pass are collected in `before`.
    before = 0
    if remaining & (ACCESS_SYSTEM_SECURITY | WRITE_OWNER):
        privileges = token.privileges
        if remaining & ACCESS_SYSTEM_SECURITY:
            if "SeSecurityPrivilege" not in privileges:
                return AccessResult(False, 0, Status.PRIVILEGE_NOT_HELD, asked, ("privilege",))
            before = ACCESS_SYSTEM_SECURITY
        if remaining & WRITE_OWNER and ("SeTakeOwnershipPrivilege" in privileges or "SeRelabelPrivilege" in privileges):
            before |= WRITE_OWNER

    # Step 4, with the SIDs of both passes; OWNER RIGHTS stands for the owner in each pass.
    allows = token.allows
    denies = token.denies
    restricts = token.restricts
    owner_raw = owner.raw
    owned = owner_raw in allows and (restricts is None or owner_raw in restricts)
    if dacl is not None and dacl.owner_rights != "none":
        owned = owned and generous and dacl.owner_rights == "uncertain"
        denies = denies | _OW if owner_raw in denies else denies - _OW
        allows = allows | _OW if owner_raw in allows else allows - _OW
        if restricts is not None:
            restricts = restricts | _OW if owner_raw in restricts else restricts - _OW
    if owned:
        before |= _OWNER_BITS & surviving

    # Step 5.
    remaining &= ~before
    if not maximum:
        if not remaining:
            return AccessResult(True, desired, _SUCCESS, asked, ("before", before))
        if dacl is None:
            return AccessResult(True, desired, _SUCCESS, asked, ("no dacl", before))

    steps: tuple[Step, ...] = ()
    if dacl is not None:
        steps = _generous(dacl, mapping) if generous else dacl.strict_steps
    if maximum:
        return _maximum(asked, dacl is None, steps, allows, denies, restricts, remaining, before, surviving, per_bit)

    # Step 6.
    missing, index = _pass(steps, remaining, allows, denies)
    if missing:
        return AccessResult(False, 0, _DENIED, asked, ("refused", "normal", missing, index))

    # Step 7.
    if restricts is None:
        return AccessResult(True, desired, _SUCCESS, asked, ("granted", before, index, None, 0))
    second = remaining
    if token.write_restricted:
        written = remaining & mapping.write_mask
        if not written:
            return AccessResult(True, desired, _SUCCESS, asked, ("granted", before, index, None, remaining))
        if per_bit:
            second = written
    missing, second_index = _pass(steps, second, restricts, restricts)
    if missing:
        return AccessResult(False, 0, _DENIED, asked, ("refused", "restricted", missing, second_index))
    return AccessResult(True, desired, _SUCCESS, asked, ("granted", before, index, second_index, 0))


def _pass(
    steps: tuple[Step, ...], remaining: int, allows: frozenset[bytes], denies: frozenset[bytes]
) -> tuple[int, int]:
    """One pass: (bits still missing, number of the entry that decided; -1 when the list ended first)."""
    for mask, sid, is_deny, index in steps:
        if mask & remaining:
            if is_deny:
                if sid in denies:
                    return remaining, index
            elif sid in allows:
                remaining &= ~mask
                if not remaining:
                    return 0, index
    return remaining, -1


def _maximum(
    asked: Asked,
    no_dacl: bool,
    steps: tuple[Step, ...],
    allows: frozenset[bytes],
    denies: frozenset[bytes],
    restricts: frozenset[bytes] | None,
    named: int,
    before: int,
    surviving: int,
    per_bit: bool,
) -> AccessResult:
    """Steps 6 and 7 with MAXIMUM_ALLOWED: ``named`` bits must be among what is granted.

    Step 2 comes first: the passes are about what the label leaves, so that a write bit which it takes away cannot
    start the second pass of a write-restricted token.
    """
    token, mapping = asked[1], asked[3]
    wanted = _GRANTABLE & surviving & ~before
    second = 0  # the bits that the restricting SIDs have to grant too
    if no_dacl:
        granted = (mapping.all & surviving) | before | named
    else:
        granted = before | _most(steps, wanted, allows, denies)
        if restricts is not None:
            written = granted & ~before & mapping.write_mask
            if not token.write_restricted or (written and not per_bit):
                second = wanted
            elif written:
                second = wanted & mapping.write_mask
            granted &= ~second | _most(steps, second, restricts, restricts)
    passes: tuple[Pass, ...] = (Pass("normal", wanted, allows, denies),)
    if restricts is not None:
        passes += (Pass("restricted", second, restricts, restricts),)
    if not granted or named & ~granted:
        return AccessResult(False, 0, _DENIED, asked, ("maximum refused", named & ~granted, surviving, steps, passes))
    return AccessResult(
        True, granted, _SUCCESS, asked, ("maximum", granted, before, surviving, None if no_dacl else steps, passes)
    )


def _most(steps: tuple[Step, ...], undecided: int, allows: frozenset[bytes], denies: frozenset[bytes]) -> int:
    """Those of the ``undecided`` bits that one pass grants: for each, the first matching entry decides."""
    granted = 0
    for mask, sid, is_deny, _ in steps:
        if mask & undecided:
            if is_deny:
                if sid in denies:
                    undecided &= ~mask
            elif sid in allows:
                granted |= mask & undecided
                undecided &= ~mask
    return granted


def _generous(dacl: Acl, mapping: GenericMapping) -> tuple[Step, ...]:
    """The steps for could(): generic bits of allow entries count as mapped, those of deny entries do not count."""
    steps = dacl.generous_steps
    if any(mask & GENERIC for mask, _, _, _ in steps):
        return tuple((mask if deny else mapping.map(mask), sid, deny, index) for mask, sid, deny, index in steps)
    return steps


def _surviving(sacl: Acl | None, token: Token, mapping: GenericMapping) -> int:
    """Step 2: the bits that the label leaves to the token."""
    level, policy = (sacl.integrity_label if sacl is not None else None) or (MEDIUM, NO_WRITE_UP)
    if token.integrity >= level or not token.mandatory_policy & POLICY_NO_WRITE_UP:
        return _EVERYTHING
    surviving = 0
    if not policy & NO_READ_UP:
        surviving |= mapping.read
    if not policy & NO_WRITE_UP:
        surviving |= mapping.write
    if not policy & NO_EXECUTE_UP:
        surviving |= mapping.execute
    if "SeRelabelPrivilege" in token.privileges:
        surviving |= WRITE_OWNER
    return surviving
