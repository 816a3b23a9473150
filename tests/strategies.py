"""Hypothesis strategies for the security model.

Two worlds. The *wide* one has every SID, entry type, flag and control bit: for round trips. The *small* one has few
SIDs and few bits, so that entries, owners and tokens meet: for laws of the access check and of inheritance.
"""

from __future__ import annotations

from hypothesis import strategies as st

from winsandbox._security.ace import ALLOW, DENY, OBJECT_TYPES, SIMPLE_TYPES, Ace, ObjectPart, label
from winsandbox._security.acl import Acl
from winsandbox._security.descriptor import DACL_PRESENT, SecurityDescriptor
from winsandbox._security.mask import MAXIMUM_ALLOWED
from winsandbox._security.sid import ALIASES, CREATOR_GROUP, CREATOR_OWNER, EVERYONE, OWNER_RIGHTS, Sid
from winsandbox._security.token import GROUP_ENABLED, GROUP_USE_FOR_DENY_ONLY, Group, Token

U32 = st.integers(0, 0xFFFFFFFF)

# The wide world.

sids: st.SearchStrategy[Sid] = st.one_of(
    st.sampled_from(sorted(ALIASES.values())),
    st.builds(
        lambda authority, tail: Sid(authority, *tail),
        st.one_of(st.integers(0, 20), st.integers(0, (1 << 48) - 1)),
        st.lists(U32, max_size=15),
    ),
)
ace_flags = st.integers(0, 0xFF)
blobs = st.binary(max_size=24).map(lambda data: data + bytes(-len(data) % 4))
guids = st.none() | st.binary(min_size=16, max_size=16)


def _object_part(flags: int, first: bytes | None, second: bytes | None) -> ObjectPart:
    return ObjectPart(flags & ~3 | (first is not None) | (second is not None) << 1, first, second)


def _ace(  # hypothesis fills the defaulted fields of a NamedTuple by itself; a function's it leaves alone
    kind: int, flags: int, mask: int, sid: Sid, data: bytes = b"", part: ObjectPart | None = None
) -> Ace:
    return Ace(kind, flags, mask, sid, data, part)


simple_aces = st.builds(_ace, st.sampled_from(sorted(SIMPLE_TYPES)), ace_flags, U32, sids, st.just(b"") | blobs)
object_aces = st.builds(
    _ace,
    st.sampled_from(sorted(OBJECT_TYPES)),
    ace_flags,
    U32,
    sids,
    st.just(b"") | blobs,
    st.builds(_object_part, st.just(0) | U32, guids, guids),
)
other_aces = st.builds(
    lambda kind, flags, data: Ace(kind, flags, 0, None, data),
    st.sampled_from(sorted(set(range(256)) - SIMPLE_TYPES - OBJECT_TYPES)),
    ace_flags,
    blobs,
)
aces = st.one_of(simple_aces, simple_aces, object_aces, other_aces)
acls = st.builds(
    lambda items, revision, sbz1, sbz2, slack: Acl(items, revision=revision, reserved=(sbz1, sbz2), slack=slack),
    st.lists(aces, max_size=6),
    st.sampled_from((None, 2, 3, 4)),
    st.sampled_from((0, 0, 7)),
    st.sampled_from((0, 0, 0x1234)),
    st.just(b"") | blobs,
)
descriptors = st.builds(
    SecurityDescriptor,
    st.none() | sids,
    st.none() | sids,
    st.integers(0, 0xFFFF),
    st.none() | acls,
    st.none() | acls,
    st.sampled_from((0, 0, 0xA5)),
)


# What SDDL can say: entries in the list where they belong.
def _text_aces(kinds: tuple[int, ...], object_kinds: tuple[int, ...]) -> st.SearchStrategy[Ace]:
    return st.one_of(
        st.builds(_ace, st.sampled_from(kinds), ace_flags, st.just(0) | U32, sids),
        st.builds(
            _ace,
            st.sampled_from(object_kinds),
            ace_flags,
            st.just(0) | U32,
            sids,
            st.just(b""),
            st.builds(lambda first, second: _object_part(0, first, second), guids, guids),
        ),
    )


text_dacls = st.lists(_text_aces((0x00, 0x01), (0x05, 0x06)), max_size=6).map(Acl)
text_sacls = st.lists(_text_aces((0x02, 0x03, 0x11, 0x13, 0x14), (0x07, 0x08)), max_size=6).map(Acl)


@st.composite
def text_descriptors(draw: st.DrawFn) -> SecurityDescriptor:
    """Only control bits that have letters, and those only beside a list that is there or NULL."""
    control = 0
    lists: list[Acl | None] = []
    for present, bits, acls_there in (
        (0x0004, (0x0100, 0x0400, 0x1000), text_dacls),
        (0x0010, (0x0200, 0x0800, 0x2000), text_sacls),
    ):
        acl = draw(st.none() | acls_there)
        if acl is not None or draw(st.booleans()):
            control |= present
            for bit in bits:
                control |= draw(st.sampled_from((0, bit)))
        lists.append(acl)
    owner, group = draw(st.none() | sids), draw(st.none() | sids)
    return SecurityDescriptor(owner, group, control, lists[0], lists[1])


# The small world.

USER = Sid.parse("S-1-5-21-1-2-3-1001")
OTHER = Sid.parse("S-1-5-21-1-2-3-1002")
LOGON = Sid.parse("S-1-5-5-0-12345")
GRANT = Sid.parse("S-1-5-21-11-22-33-44")
GRANT_2 = Sid.parse("S-1-5-21-11-22-33-55")
PEOPLE = (USER, OTHER, LOGON, EVERYONE, GRANT, GRANT_2)
BITS = (0x1, 0x2, 0x20, 0x40, 0x100, 0x10000, 0x20000, 0x40000, 0x80000, 0x100000)

people = st.sampled_from(PEOPLE)
trustees = st.sampled_from((*PEOPLE, *PEOPLE, OWNER_RIGHTS, CREATOR_OWNER, CREATOR_GROUP))
masks = st.one_of(
    st.sampled_from((0x1F01FF, 0x120089, 0x120116, 0x1200A0, 0x1301BF, 0xD0156)),
    st.lists(st.sampled_from(BITS), min_size=1, max_size=4, unique=True).map(sum),
)
inheritance = st.sampled_from((0, 0, 0x3, 0x10, 0x13, 0x8, 0xB, 0x1, 0x2, 0x1B))


def _filled(ace: Ace) -> Ace:
    """Object types get their object part; a type nobody knows becomes bytes."""
    if ace.type in OBJECT_TYPES:
        return ace._replace(object_part=ObjectPart(0, None, None))
    if ace.type not in SIMPLE_TYPES:
        return Ace(ace.type, ace.flags, 0, None, b"1234")
    return ace


small_aces = st.builds(
    _ace, st.sampled_from((ALLOW, ALLOW, DENY, 0x5, 0x6, 0x9, 0xA, 0x63)), inheritance, masks, trustees
).map(_filled)


plain_aces = st.builds(_ace, st.sampled_from((ALLOW, ALLOW, DENY)), inheritance, masks, trustees)
small_acls = st.lists(small_aces, max_size=6).map(Acl)
levels = st.sampled_from((0x0000, 0x1000, 0x2000, 0x3000))
labels = st.builds(label, levels, st.integers(0, 7), st.sampled_from((0, 0, 0x8)))
small_descriptors = st.builds(
    SecurityDescriptor,
    people,
    people,
    st.sampled_from((0, DACL_PRESENT, 0x400, 0x1000)),
    st.one_of(small_acls, small_acls, small_acls, st.none()),
    st.none() | st.none() | st.lists(labels, max_size=2).map(Acl),
)
groups = st.builds(Group, people, st.sampled_from((GROUP_ENABLED, GROUP_ENABLED, GROUP_USE_FOR_DENY_ONLY, 0)))
privileges = st.frozensets(
    st.sampled_from(("SeSecurityPrivilege", "SeTakeOwnershipPrivilege", "SeRelabelPrivilege")), max_size=2
)
unrestricted_tokens = st.builds(
    Token,
    st.just(USER),
    st.lists(groups, max_size=4).map(tuple),
    privileges=privileges,
    integrity=levels,
    user_deny_only=st.sampled_from((False, False, False, True)),
)
restricting_lists = st.lists(people, max_size=3).map(tuple)
rights = st.one_of(masks, masks, st.sampled_from((0x1000000, 0x1120089)))
desired = st.one_of(rights, rights, st.just(MAXIMUM_ALLOWED), rights.map(lambda mask: mask | MAXIMUM_ALLOWED))
