"""Descriptors as NTFS keeps them: what a write leaves, whose owner and label may be given."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from .._security import ace, inherit
from .._security.acl import Acl
from .._security.descriptor import (
    DACL_AUTO_INHERITED,
    DACL_DEFAULTED,
    DACL_PRESENT,
    DACL_PROTECTED,
    SACL_AUTO_INHERITED,
    SACL_DEFAULTED,
    SACL_PRESENT,
    SACL_PROTECTED,
    SecurityDescriptor,
)
from .._security.errors import SecurityDataError
from .._security.sid import EVERYONE
from ..errors import WinError
from .monitor import parse
from .tokens import RELABEL, RESTORE, SimulatedToken

__all__ = ["WORLD", "check_label", "check_owner", "merged", "parsed", "shown"]

_DACL_CONTROL: Final = DACL_PRESENT | DACL_DEFAULTED | DACL_PROTECTED | DACL_AUTO_INHERITED
_SACL_CONTROL: Final = SACL_PRESENT | SACL_DEFAULTED | SACL_PROTECTED | SACL_AUTO_INHERITED

# What the I/O manager shows of an object on a volume without ACLs: everybody's, with no list at all.
WORLD: Final = SecurityDescriptor(EVERYONE, EVERYONE, DACL_PRESENT).to_bytes()


@lru_cache(maxsize=4096)
def merged(old: bytes, given: bytes, dacl: bool, label: bool) -> bytes:
    """What is stored when `given` is written to an object that has `old`. Remembered: the same edit goes to many."""
    before = parse(old)
    new = inherit.stored(SecurityDescriptor.from_bytes(given))
    control = before.control
    changed_dacl, changed_sacl = before.dacl, before.sacl
    if dacl:
        control = (control & ~_DACL_CONTROL) | (new.control & _DACL_CONTROL)
        changed_dacl = new.dacl
    if label:
        labels = [entry for entry in new.sacl or () if entry.type == ace.LABEL]
        others = [entry for entry in before.sacl or () if entry.type != ace.LABEL]
        changed_sacl = Acl([*others, *labels]) if labels or others else None
        # The list of a label has its own AUTO_INHERITED and PROTECTED, as the DACL has.
        control = (control & ~_SACL_CONTROL) | (new.control & _SACL_CONTROL if changed_sacl is not None else 0)
    return SecurityDescriptor(before.owner, before.group, control, changed_dacl, changed_sacl).to_bytes()


def check_owner(descriptor: SecurityDescriptor, token: SimulatedToken, function: str) -> None:
    """Whom the token may make the owner of what it creates: itself, or its default owner; else winerror 1307."""
    owners = {token.model.user, token.model.owner or token.model.user}
    if descriptor.owner is not None and descriptor.owner not in owners and not token.has(RESTORE):
        raise WinError(1307, function)


def check_label(descriptor: SecurityDescriptor, token: SimulatedToken, function: str) -> None:
    """A label above the writer's own level takes SeRelabelPrivilege (MS-DTYP 2.5.3.3)."""
    for entry in descriptor.sacl or ():
        if entry.type == ace.LABEL and entry.sid is not None and not token.has(RELABEL):
            level = entry.sid.subauthorities[0] if entry.sid.subauthorities else 0
            if level > token.model.integrity:
                raise WinError(1314, function)


def parsed(descriptor: bytes, function: str) -> SecurityDescriptor:
    try:
        return SecurityDescriptor.from_bytes(descriptor)
    except SecurityDataError:
        raise WinError(1338, function) from None


def shown(descriptor: bytes) -> bytes:
    """What a reader without SeSecurityPrivilege sees: of the SACL nothing but the label."""
    whole = parse(descriptor)
    if whole.sacl is None or all(entry.type == ace.LABEL for entry in whole.sacl):
        return descriptor
    labels = [entry for entry in whole.sacl if entry.type == ace.LABEL]
    return whole.replace(sacl=whole.sacl.with_aces(labels)).to_bytes()
