"""Which ACEs one object is to have for one grant, and the one new descriptor that gives or takes them. Pure functions.

    root        (A;;0x1201bf;;;G)(A;OICIIO;0x1301bf;;;G)      DELETE below the root only, never FILE_DELETE_CHILD
    plain       the inherited copy of the second; nothing in or below an object with a protected DACL
    between     the same, and (D;;DELETE;;;G)(D;;0x40;;;LOGON), not inherited: it cannot be renamed away
    protected   (D;OICI;0xd0156;;;G)(D;CI;0x40;;;LOGON), explicit; a file gets the first, without flags
    inside      the inherited copies of those

With labels (`low`) the root is Low and a protected place Medium, explicitly; what lies below has inherited copies.

Why 0x40 is denied to the logon SID: FILE_DELETE_CHILD is no write bit, so a write-restricted token is asked for it in
the normal pass only, where G stands for nothing (Microsoft Learn, "Restricted Tokens"; MS-FSA 2.1.5.1.2.1).
"""

from __future__ import annotations

import struct
from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final, Literal

from ._plan import is_tagged
from ._security import access, acl, descriptor
from ._security.ace import (
    ALLOW_TYPES,
    CONTAINER_INHERIT,
    DENY,
    INHERIT_ONLY,
    INHERITED,
    LABEL,
    OBJECT_INHERIT,
    Ace,
    allow,
    deny,
    label,
)
from ._security.acl import Acl
from ._security.descriptor import SecurityDescriptor
from ._security.mask import DELETE, FILE, FILE_DELETE_CHILD, MAXIMUM_ALLOWED
from ._security.sid import Sid
from ._security.token import LOW, MEDIUM, Token

ROOT_MASK: Final = 0x1201BF
BELOW_MASK: Final = 0x1301BF
DENY_MASK: Final = 0x000D0156
BETWEEN_MASK: Final = DELETE
_TREE: Final = OBJECT_INHERIT | CONTAINER_INHERIT
_SACL_BITS: Final = 0x2A30  # SACL_PRESENT, DEFAULTED, AUTO_INHERITED, PROTECTED

Role = Literal["root", "plain", "between", "protected", "inside"]


@dataclass(frozen=True, slots=True)
class Recipe:
    """What one grant puts on its tree: its SID, whose guards (None: none), and whether labels."""

    sid: Sid
    logon: Sid | None
    low: bool


@dataclass(frozen=True, slots=True)
class Want:
    """What one object is to have. ``exact``: every other entry of ``sid`` goes; else allows of it are tolerated."""

    sid: Sid
    aces: tuple[Ace, ...]
    exact: bool
    label: Ace | None


@lru_cache(maxsize=4096)
def want(recipe: Recipe, role: Role, directory: bool, sealed: bool) -> Want:
    """What an object in this role is to have. ``sealed``: its DACL, or one above it, is protected from inheritance."""
    sid, logon = recipe.sid, recipe.logon
    guard = () if logon is None or not directory else (logon,)
    flags = _TREE if directory else 0
    aces: tuple[Ace, ...]
    if role == "root":
        aces = (allow(sid, ROOT_MASK), allow(sid, BELOW_MASK, _TREE | INHERIT_ONLY))
    elif role == "protected":
        aces = (deny(sid, DENY_MASK, flags), *(deny(who, FILE_DELETE_CHILD, CONTAINER_INHERIT) for who in guard))
    elif sealed and role != "between":
        aces = ()
    elif role == "inside":
        copy = CONTAINER_INHERIT | INHERITED
        aces = (deny(sid, DENY_MASK, flags | INHERITED), *(deny(who, FILE_DELETE_CHILD, copy) for who in guard))
    else:
        aces = () if sealed else (allow(sid, BELOW_MASK, flags | INHERITED),)
        if role == "between":
            aces = (deny(sid, BETWEEN_MASK), *(deny(who, FILE_DELETE_CHILD) for who in guard), *aces)
    return Want(sid, aces, role in ("root", "plain", "between"), _label(recipe, role, flags, sealed))


def _label(recipe: Recipe, role: Role, flags: int, sealed: bool) -> Ace | None:
    # What a protected DACL keeps the grant out of is not writable for the child anyway; it keeps its label.
    if not recipe.low or (sealed and role not in ("root", "protected")):
        return None
    level = MEDIUM if role in ("protected", "inside") else LOW
    return label(level, flags=flags | (0 if role in ("root", "protected") else INHERITED))


def guard_only(recipe: Recipe, role: Role) -> Want:
    """The guard alone, for a directory whose denies are on disk already: the pass once per logon."""
    full = want(recipe, role, True, False)
    return Want(full.sid, tuple(ace for ace in full.aces if ace.sid == recipe.logon), False, None)


def satisfied(dacl: Acl, wanted: Want) -> bool:
    """Whether the list has all of it, each entry where it works."""
    if not all(acl.present(dacl, ace) for ace in wanted.aces):
        return False
    return not wanted.exact or _count(dacl, wanted.sid) == _count(wanted.aces, wanted.sid)


def _count(aces: Collection[Ace], sid: Sid) -> int:
    return sum(ace.sid == sid for ace in aces)


def is_stale(ace: Ace, stale: Collection[Sid]) -> bool:
    """Whether it is a guard, of any of the three shapes, for one of these logon SIDs."""
    return (
        ace.type == DENY
        and ace.mask == FILE_DELETE_CHILD
        and ace.flags in (0, CONTAINER_INHERIT, CONTAINER_INHERIT | INHERITED)
        and ace.sid in stale
    )


def give(old: SecurityDescriptor, wanted: Want, stale: Collection[Sid] = ()) -> SecurityDescriptor | None:
    """The descriptor to write so that the object has what is wanted; None where nothing has to be written.

    A NULL DACL stays one: only the label can change there.
    """
    dacl = old.dacl
    if dacl is not None:
        kept = [ace for ace in dacl if not is_stale(ace, stale)] if stale else list(dacl)
        if not satisfied(dacl, wanted):
            ours = set(wanted.aces)
            kept = [ace for ace in kept if ace not in ours and not (wanted.exact and ace.sid == wanted.sid)]
            dacl = _added(dacl.with_aces(kept), wanted.aces)
        elif len(kept) != len(dacl):
            dacl = dacl.with_aces(kept)
    sacl = None
    if wanted.label is not None and _labels(old.sacl) != (wanted.label,):
        sacl = one_label(old, wanted.label)
    if dacl is old.dacl and sacl is None:
        return None
    new = old.rewritten(dacl=dacl if dacl is not old.dacl else None, sacl=sacl)
    if sacl is not None:
        # So that what is made here later has a label with INHERITED_ACE, which tells it from one that somebody set
        # (smbtorture INHERITFLAGS: the flag comes only from a parent with this bit). Restored with the label.
        new = new.replace(control=new.control | descriptor.SACL_AUTO_INHERITED | descriptor.SACL_AUTO_INHERIT_REQ)
    return new


def _added(dacl: Acl, aces: Collection[Ace]) -> Acl:
    """`acl.add`, but an inherited allow stands behind the denies that open the inherited block.

    They may be another grant's, in whose protected place the object lies: no order of applying the two may let the
    allow come first. Windows' own propagation gives the same order, because the place is nearer than the root.
    """
    behind = [ace for ace in aces if ace.flags & INHERITED and ace.type in ALLOW_TYPES]
    dacl = acl.add(dacl, [ace for ace in aces if ace not in behind])
    at = next((index for index, ace in enumerate(dacl) if ace.flags & INHERITED), len(dacl))
    while at < len(dacl) and dacl[at].type == DENY:
        at += 1
    return dacl.with_aces((*dacl[:at], *behind, *dacl[at:]))


def take(
    old: SecurityDescriptor, sids: Collection[Sid], guards: Collection[Sid], shapes: Collection[int]
) -> SecurityDescriptor | None:
    """The descriptor without our entries: those for `sids`, and guards for the logon SIDs `guards` with these flags.

    None where there are none.
    """
    if old.dacl is None:
        return None
    kept = [
        ace
        for ace in old.dacl
        if ace.sid not in sids and not (guards and is_stale(ace, guards) and ace.flags in shapes)
    ]
    return None if len(kept) == len(old.dacl) else old.rewritten(dacl=old.dacl.with_aces(kept))


def take_allows(old: SecurityDescriptor, sid: Sid) -> SecurityDescriptor | None:
    """The descriptor without what `sid` is granted; its denies stay."""
    if old.dacl is None:
        return None
    kept = [ace for ace in old.dacl if ace.sid != sid or ace.type == DENY]
    return None if len(kept) == len(old.dacl) else old.rewritten(dacl=old.dacl.with_aces(kept))


# -- labels ---------------------------------------------------------------------------------------------------------


def _labels(sacl: Acl | None) -> tuple[Ace, ...]:
    return tuple(ace for ace in sacl or () if ace.type == LABEL)


def _others(sacl: Acl | None) -> tuple[Ace, ...]:
    return tuple(ace for ace in sacl or () if ace.type != LABEL)


def level_of(old: SecurityDescriptor) -> int:
    """The integrity level that the label says; Medium without one."""
    found = _labels(old.sacl)
    return found[0].sid.subauthorities[-1] if found and found[0].sid is not None else MEDIUM


def pack_label(old: SecurityDescriptor) -> bytes:
    """The label part of a descriptor as the ledger keeps it: control bits, then the SACL's bytes if there is one."""
    return struct.pack("<H", old.control & _SACL_BITS) + (b"" if old.sacl is None else old.sacl.to_bytes())


def restored_label(old: SecurityDescriptor, packed: bytes) -> SecurityDescriptor:
    """`old` with the label part that :func:`pack_label` kept.

    Where there was none, an empty list is written: that is how a label is taken away (Microsoft Learn,
    "SetSecurityInfo", LABEL_SECURITY_INFORMATION).
    """
    (control,) = struct.unpack_from("<H", packed)
    sacl = Acl.from_bytes(packed[2:]) if len(packed) > 2 else Acl()
    old = old.rewritten()
    if control & descriptor.SACL_AUTO_INHERITED:
        control |= descriptor.SACL_AUTO_INHERIT_REQ
    return old.replace(control=(old.control & ~_SACL_BITS) | control, sacl=sacl)


NO_LABEL: Final = struct.pack("<H", 0)
"""What pack_label keeps of a descriptor without a label."""


def one_label(old: SecurityDescriptor, ace: Ace) -> Acl:
    """The SACL with this label in place of the one that is there."""
    return Acl([*_others(old.sacl), ace])


def is_session_label(old: SecurityDescriptor, directory: bool) -> bool:
    """Whether the label is the copy that a new object got from a root that we labelled Low, or from a place Medium."""
    flags = (_TREE if directory else 0) | INHERITED
    return _labels(old.sacl) in ((label(LOW, flags=flags),), (label(MEDIUM, flags=flags),))


def passes_on(packed: bytes) -> bool:
    """Whether a label that :func:`pack_label` kept is inherited by new objects."""
    return any(ace.flags & _TREE for ace in _labels(Acl.from_bytes(packed[2:]) if len(packed) > 2 else None))


# -- the check inside protected places --------------------------------------------------------------------------------


def open_bits(old: SecurityDescriptor, token: Token, sid: Sid, *, directory: bool, guarded: bool) -> int:
    """The write bits (and FILE_DELETE_CHILD where guards are asked for) that a token with `sid` might get; 0 is wanted.

    What is not known for sure counts as granted (``access.could``). Nor is it known which other grants a later token
    will hold beside `sid`: a file that was moved in from another root brings along what it was granted there. So every
    allow for a SID of ours counts as if it were in the token, and no deny does but that of `sid` itself.
    """
    token, old = _widest(old, token, sid)
    if old.owner is None or old.group is None:
        # The check refuses such a descriptor; here that would count as safe. NTFS always has both.
        old = old.replace(owner=old.owner or token.user, group=old.group or token.user)
    watched = FILE.write_mask | (FILE_DELETE_CHILD if directory and guarded else 0)
    return access.could(old, token, MAXIMUM_ALLOWED).granted & watched


def _widest(old: SecurityDescriptor, token: Token, sid: Sid) -> tuple[Token, SecurityDescriptor]:
    """The token with `sid` and all SIDs of ours that the list allows something, and the list without others' denies."""
    dacl = old.dacl or Acl()
    others = {ace.sid for ace in dacl if ace.sid is not None and ace.sid != sid and is_tagged(ace.sid)}
    allowed = {sid} | {ace.sid for ace in dacl if ace.sid is not None and ace.sid in others and ace.type in ALLOW_TYPES}
    added = sorted(allowed.difference(token.restricting or ()))
    if added:
        token = replace(token, restricting=(*(token.restricting or ()), *added))
    if others and old.dacl is not None:
        kept = [ace for ace in dacl if ace.sid not in others or ace.type in ALLOW_TYPES]
        old = old.replace(dacl=old.dacl.with_aces(kept))
    return token, old


def explicit(recipe: Recipe, directory: bool, bits: int) -> Want:
    """The explicit denies that close `bits` on an object whose inherited ones do not."""
    flags = _TREE if directory else 0
    aces: tuple[Ace, ...] = ()
    if bits & ~FILE_DELETE_CHILD:
        aces += (deny(recipe.sid, DENY_MASK, flags),)
    if bits & FILE_DELETE_CHILD and recipe.logon is not None:
        aces += (deny(recipe.logon, FILE_DELETE_CHILD, CONTAINER_INHERIT),)
    return Want(recipe.sid, aces, False, None)
