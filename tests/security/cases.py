"""Cases for the comparisons with other implementations: seeded, small worlds in which SIDs and bits collide often."""

from __future__ import annotations

import random
from dataclasses import dataclass

from winsandbox._security.ace import ALLOW, DENY, OBJECT_TYPES, Ace, ObjectPart
from winsandbox._security.acl import Acl
from winsandbox._security.descriptor import DACL_PRESENT, SecurityDescriptor
from winsandbox._security.mask import MAXIMUM_ALLOWED
from winsandbox._security.sid import CREATOR_OWNER, EVERYONE, OWNER_RIGHTS, Sid
from winsandbox._security.token import GROUP_ENABLED, GROUP_USE_FOR_DENY_ONLY, Group, Token

USER = Sid.parse("S-1-5-21-1-2-3-1001")
OTHER = Sid.parse("S-1-5-21-1-2-3-1002")
GROUPS = tuple(map(Sid.parse, ("S-1-1-0", "S-1-5-32-545", "S-1-5-11", "S-1-5-5-0-12345", "S-1-5-32-544")))
GRANTS = tuple(map(Sid.parse, ("S-1-5-21-11-22-33-44", "S-1-5-21-11-22-33-55")))
PEOPLE = (USER, OTHER, *GROUPS, *GRANTS)

# Few bits, so that entries meet: some of files, the standard ones, and whole masks.
BITS = (0x1, 0x2, 0x4, 0x10, 0x20, 0x40, 0x80, 0x100, 0x10000, 0x20000, 0x40000, 0x80000, 0x100000)
MASKS = (0x1F01FF, 0x120089, 0x120116, 0x1200A0, 0x1301BF, 0xD0156, 0x60000)


@dataclass(frozen=True)
class Case:
    """One question to two implementations."""

    descriptor: SecurityDescriptor
    token: Token
    desired: int


def some_mask(rng: random.Random) -> int:
    if rng.random() < 0.3:
        return rng.choice(MASKS)
    mask = 0
    for bit in rng.sample(BITS, rng.randint(1, 4)):
        mask |= bit
    return mask


def some_ace(rng: random.Random) -> Ace:
    kind = DENY if rng.random() < 0.35 else ALLOW
    roll = rng.random()
    sid = OWNER_RIGHTS if roll < 0.04 else CREATOR_OWNER if roll < 0.06 else rng.choice(PEOPLE)
    flags = rng.choice((0, 0, 0, 0x3, 0x10, 0x13, 0xB, 0x8))
    return Ace(kind, flags, some_mask(rng), sid)


def some_descriptor(rng: random.Random) -> SecurityDescriptor:
    owner = rng.choice((USER, USER, OTHER, GROUPS[0], GRANTS[0], GROUPS[4]))
    roll = rng.random()
    if roll < 0.03:
        return SecurityDescriptor(owner, EVERYONE, DACL_PRESENT)  # a NULL DACL
    dacl = Acl(some_ace(rng) for _ in range(rng.choice((0, 1, 2, 3, 4, 5, 6, 8))))
    return SecurityDescriptor(owner, EVERYONE, 0, dacl)


def some_token(rng: random.Random, *, states: bool = False, restricted: bool = False) -> Token:
    """A token of USER; ``states`` makes some groups deny-only or disabled, ``restricted`` adds restricting SIDs."""
    groups = []
    for sid in GROUPS:
        attributes = rng.choice((GROUP_ENABLED, GROUP_USE_FOR_DENY_ONLY, 0)) if states else GROUP_ENABLED
        if rng.random() < 0.8:
            groups.append(Group(sid, attributes))
    restricting = None
    write_restricted = False
    if restricted:
        restricting = tuple(rng.sample((*GRANTS, GROUPS[0], GROUPS[3], USER), rng.randint(1, 4)))
        write_restricted = rng.random() < 0.5
    privileges = frozenset({"SeTakeOwnershipPrivilege"} if rng.random() < 0.1 else ())
    return Token(USER, tuple(groups), restricting, write_restricted, privileges)


def some_desired(rng: random.Random) -> int:
    roll = rng.random()
    if roll < 0.15:
        return MAXIMUM_ALLOWED
    if roll < 0.2:
        return MAXIMUM_ALLOWED | some_mask(rng)
    return some_mask(rng)


def cases(seed: int, count: int, *, states: bool = False, restricted: bool = False) -> list[Case]:
    """``count`` cases; the same seed gives the same ones everywhere."""
    rng = random.Random(seed)
    return [
        Case(some_descriptor(rng), some_token(rng, states=states, restricted=restricted), some_desired(rng))
        for _ in range(count)
    ]


RICH_SIDS = (
    *PEOPLE,
    *map(Sid.parse, ("S-1-0-0", "S-1-2-0", "S-1-3-1", "S-1-5-2", "S-1-5-7", "S-1-5-12", "S-1-5-18", "S-1-5-33")),
    *map(Sid.parse, ("S-1-5-32-568", "S-1-5-80-1-2-3-4-5", "S-1-5-1", "S-1-5-21-1-2-3-500", "S-1-5-21-1-2-3-513")),
    *map(Sid.parse, ("S-1-5-64-10", "S-1-4294967295-7", "S-1-15-2-1", "S-1-5-4294967295")),
)
TEXT_BITS = (*BITS, 0x8, 0x200, 0x1000000, 0x10000000, 0x20000000, 0x40000000, 0x80000000)


def rich_mask(rng: random.Random) -> int:
    roll = rng.random()
    if roll < 0.05:
        return 0
    if roll < 0.2:
        return rng.choice((*MASKS, 0x20019, 0xF003F, 0x20006, 0x10000000, 0xFFFFFFFF))
    if roll < 0.4:
        return rng.randint(1, 0xFFFFFFFF)
    mask = 0
    for bit in rng.sample(TEXT_BITS, rng.randint(1, 6)):
        mask |= bit
    return mask


def rich_descriptor(rng: random.Random, *, objects: bool = True) -> SecurityDescriptor:
    """A descriptor of everything that SDDL can say and that the other implementations know: for conversions."""
    acls: list[Acl | None] = [None, None]
    for index, kinds in ((0, (ALLOW, DENY, 0x05, 0x06)), (1, (0x02, 0x07))):
        if rng.random() < 0.2:
            continue
        aces = []
        for _ in range(rng.choice((0, 1, 2, 3, 6))):
            kind = rng.choice(kinds if objects else kinds[: 2 - index])
            part = None
            if kind in OBJECT_TYPES:
                guids = [rng.randbytes(16) if rng.random() < 0.6 else None for _ in range(2)]
                part = ObjectPart((guids[0] is not None) | (guids[1] is not None) << 1, guids[0], guids[1])
            flags = rng.choice((0, 0, 0x3, 0x13, 0x1B, 0x5, 0x1F))
            if index:
                flags |= rng.choice((0x40, 0x80, 0xC0))
            aces.append(Ace(kind, flags, rich_mask(rng), rng.choice(RICH_SIDS), b"", part))
        acls[index] = Acl(aces)
    control = 0
    for acl, bits in ((acls[0], (0x0100, 0x0400, 0x1000)), (acls[1], (0x0200, 0x0800, 0x2000))):
        for bit in bits:
            if acl is not None and rng.random() < 0.3:
                control |= bit
    owner = rng.choice((*RICH_SIDS, None))
    group = rng.choice((*RICH_SIDS, None))
    return SecurityDescriptor(owner, group, control, acls[0], acls[1])
