"""Entries, lists and descriptors in binary; the three kinds of no list; control bits."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from winsandbox._security import access
from winsandbox._security.ace import Ace, ObjectPart, allow, deny, label
from winsandbox._security.acl import MAX_ACL_SIZE, Acl
from winsandbox._security.descriptor import (
    DACL_AUTO_INHERIT_REQ,
    DACL_AUTO_INHERITED,
    DACL_PRESENT,
    DACL_PROTECTED,
    SACL_AUTO_INHERIT_REQ,
    SACL_AUTO_INHERITED,
    SELF_RELATIVE,
    SecurityDescriptor,
)
from winsandbox._security.errors import SecurityDataError
from winsandbox._security.mask import GenericMapping
from winsandbox._security.sid import ADMINISTRATORS, EVERYONE, SYSTEM, USERS, Sid
from winsandbox._security.token import Token

# A descriptor as NTFS gives it: SACL none, DACL in front of the owner, auto-inherited; two entries.
NTFS = bytes.fromhex(
    "01000484 48000000 58000000 00000000 14000000"
    "02003400 02000000"
    "00131400 ff011f00 010100000000000512000000"
    "00131800 a9001200 01020000000000052000000021020000"
    "01020000000000052000000020020000"
    "010100000000000512000000"
)


def test_a_descriptor_in_windows_layout_is_read() -> None:
    descriptor = SecurityDescriptor.from_bytes(NTFS)
    assert descriptor.owner == ADMINISTRATORS
    assert descriptor.group == SYSTEM
    assert descriptor.control == SELF_RELATIVE | DACL_PRESENT | DACL_AUTO_INHERITED
    assert descriptor.dacl == (allow(SYSTEM, 0x1F01FF, 0x13), allow(USERS, 0x1200A9, 0x13))
    assert descriptor.sacl is None
    assert descriptor.to_sddl() == "O:BAG:SYD:AI(A;OICIID;FA;;;SY)(A;OICIID;0x1200a9;;;BU)"
    assert SecurityDescriptor.from_bytes(descriptor.to_bytes()) == descriptor
    assert SecurityDescriptor.from_bytes(NTFS + b"trailing") == descriptor


def test_absent_null_and_empty_lists_are_three_things() -> None:
    absent, null, empty = (SecurityDescriptor.from_sddl(text) for text in ("O:BA", "O:BAD:NO_ACCESS_CONTROL", "O:BAD:"))
    assert absent.dacl is None
    assert not absent.control & DACL_PRESENT
    assert null.dacl is None
    assert null.control & DACL_PRESENT
    assert empty.dacl == ()
    assert len({absent, null, empty}) == 3
    for descriptor in (absent, null, empty):
        assert SecurityDescriptor.from_bytes(descriptor.to_bytes()) == descriptor
        assert SecurityDescriptor.from_sddl(descriptor.to_sddl()) == descriptor


def test_a_list_that_is_not_marked_present_is_ignored_as_windows_does() -> None:
    raw = bytearray(NTFS)
    raw[2] &= ~DACL_PRESENT
    assert SecurityDescriptor.from_bytes(bytes(raw)).dacl is None


@pytest.mark.parametrize(
    ("at", "value", "says"),
    [
        (0, 2, "revision 2"),
        (3, 0x04, "not a self-relative"),
        (4, 0xFF, "points outside"),
        (4, 1, "points outside"),
        (4, 0x60, "owner"),
        (16, 0x48, "DACL"),
        (20, 1, "ACL revision 1"),
        (22, 0xFF, "AclSize"),
        (22, 7, "AclSize 7"),
        (24, 3, "3 ACEs announced"),
        (30, 0x13, "AceSize 19"),
        (30, 0, "AceSize 0"),
        (30, 0xF0, "AceSize 240"),
        (30, 0x10, "1 sub-authorities do not fit"),
        (30, 0x0C, "no room for a mask and a SID"),
        (36, 3, "SID revision 3"),
        (37, 16, "16 sub-authorities"),
    ],
)
def test_damage_is_named_with_its_place(at: int, value: int, says: str) -> None:
    raw = bytearray(NTFS)
    raw[at] = value
    with pytest.raises(SecurityDataError, match=says) as caught:
        SecurityDescriptor.from_bytes(bytes(raw))
    assert isinstance(caught.value, ValueError)


def test_an_error_says_list_and_entry() -> None:
    raw = bytearray(NTFS)
    raw[48 + 8] = 9  # the revision of the second entry's SID
    with pytest.raises(SecurityDataError, match=r"SID revision 9, not 1 \(DACL, ACE 1 at offset 48, offset 8\)"):
        SecurityDescriptor.from_bytes(bytes(raw))


EVERY_TYPE = [
    Ace(kind, 0x13, 0x1F01FF, SYSTEM)
    for kind in (0x00, 0x01, 0x02, 0x03, 0x09, 0x0A, 0x0D, 0x0E, 0x11, 0x12, 0x13, 0x14, 0x15)
] + [
    Ace(kind, 0x02, 0x1, USERS, b"", ObjectPart(3, b"a" * 16, b"b" * 16))
    for kind in (0x05, 0x06, 0x07, 0x08, 0x0B, 0x0C, 0x0F, 0x10)
]


@pytest.mark.parametrize("ace", EVERY_TYPE, ids=lambda ace: f"{ace.type:#04x}")
def test_every_known_type_with_more_bytes_behind_the_sid(ace: Ace) -> None:
    for data in (b"", b"artx" + bytes(300)):
        one = ace._replace(data=data)
        acl = Acl([one, allow(EVERYONE, 1)])
        assert Acl.from_bytes(acl.to_bytes()) == (one, allow(EVERYONE, 1))
        assert Ace.from_bytes(one.to_bytes()) == one


def test_unknown_and_compound_types_are_carried_as_bytes() -> None:
    for kind in (0x04, 0x16, 0x63, 0xFF):
        raw = bytes((kind, 0x1B, 12, 0)) + b"whatever"
        ace = Ace.from_bytes(raw)
        assert (ace.type, ace.sid, ace.mask, ace.data) == (kind, None, 0, b"whatever")
        assert ace.to_bytes() == raw


def test_object_flags_that_mean_nothing_are_kept() -> None:
    ace = Ace(0x05, 0, 0x1, USERS, b"", ObjectPart(0x80000004, None, None))
    assert Ace.from_bytes(ace.to_bytes()) == ace
    one = Ace(0x05, 0, 0x1, USERS, b"", ObjectPart(2, None, b"b" * 16))
    assert Ace.from_bytes(one.to_bytes()) == one


@pytest.mark.parametrize(
    ("ace", "says"),
    [
        (Ace(0, 0, 1, None), "do not belong"),
        (Ace(0, 0, 1, SYSTEM, b"", ObjectPart(0, None, None)), "do not belong"),
        (Ace(5, 0, 1, SYSTEM), "do not belong"),
        (Ace(0x63, 0, 0, SYSTEM), "do not belong"),
        (Ace(0x63, 0, 1, None, b"1234"), "no mask of its own"),
        (Ace(0, 0, 1, SYSTEM, b"123"), "no multiple of four"),
        (Ace(9, 0, 1, SYSTEM, bytes(0xFFFC)), "the limit is 65532"),
        (Ace(5, 0, 1, SYSTEM, b"", ObjectPart(1, None, None)), "do not say which GUIDs"),
        (Ace(5, 0, 1, SYSTEM, b"", ObjectPart(0, b"a" * 16, None)), "do not say which GUIDs"),
        (Ace(5, 0, 1, SYSTEM, b"", ObjectPart(1, b"a" * 12, None)), "do not say which GUIDs"),
    ],
)
def test_entries_that_cannot_exist_are_not_written(ace: Ace, says: str) -> None:
    with pytest.raises(SecurityDataError, match=says):
        ace.to_bytes()
    with pytest.raises(SecurityDataError, match=says):
        Acl([ace]).to_bytes()


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ((0, 0, -1, SYSTEM), "the mask -0x1 of an ACE is no number from 0 to 0xffffffff"),
        ((0, 0, 1 << 32, SYSTEM), "the mask 0x100000000"),
        ((0, 0, 16**5000, SYSTEM), r"the mask 0x10{37}\.\.\."),
        ((0, 0, "FA", SYSTEM), "the mask 'FA'"),
        ((0, 0, 1.0, SYSTEM), r"the mask 1\.0"),
        ((0, 0, None, SYSTEM), "the mask None"),
        ((0, 256, 1, SYSTEM), "the flags 0x100 of an ACE is no number from 0 to 0xff"),
        ((0, -1, 1, SYSTEM), "the flags -0x1"),
        ((256, 0, 0, None), "the type 0x100"),
        ((b"A", 0, 0, None), "the type b'A'"),
    ],
    ids=range(10),
)
def test_numbers_that_do_not_fit_are_refused_at_construction(fields: tuple[Any, ...], says: str) -> None:
    with pytest.raises(SecurityDataError, match=says):
        Ace(*fields)
    good = allow(SYSTEM, 1)
    with pytest.raises(SecurityDataError, match=says):
        good._replace(type=fields[0], flags=fields[1], mask=fields[2])
    if "mask" in says:
        for value in (Ace.from_bytes(good.to_bytes()), pickle.loads(pickle.dumps(good))):
            assert value == good
            with pytest.raises(SecurityDataError, match=says):
                value._replace(mask=fields[2])
        with pytest.raises(SecurityDataError, match="no number of 32 bits"):
            GenericMapping(1, 2, fields[2], 7)
        descriptor = SecurityDescriptor(SYSTEM, SYSTEM, 0, Acl())
        for ask in (access.check, access.could):
            with pytest.raises(SecurityDataError, match=r"the desired access .* is no number of 32 bits"):
                ask(descriptor, Token(SYSTEM), fields[2])


def test_a_list_cannot_be_changed() -> None:
    acl = Acl([allow(SYSTEM, 1)])
    for name in ("revision", "reserved", "slack", "anything"):
        with pytest.raises(AttributeError, match="immutable"):
            setattr(acl, name, 99)
    with pytest.raises(AttributeError, match="immutable"):
        del acl.revision
    assert acl.strict_steps  # remembered all the same
    assert acl.strict_steps is acl.strict_steps
    assert (acl.revision, acl.reserved, acl.slack) == (2, (0, 0), b"")


def test_lists_stop_at_64_kib() -> None:
    ace = allow(Sid(5, 21, 1, 2, 3, 4), 1)
    fits = (MAX_ACL_SIZE - 8) // ace.size
    largest = Acl([ace] * fits)
    assert len(Acl.from_bytes(largest.to_bytes())) == fits
    with pytest.raises(SecurityDataError, match=f"in {fits + 1} ACEs; the limit is 65535 bytes"):
        Acl([ace] * (fits + 1)).to_bytes()
    with pytest.raises(SecurityDataError, match="DACL"):
        SecurityDescriptor(dacl=Acl([ace] * (fits + 1))).to_bytes()
    with pytest.raises(SecurityDataError, match="limit"):
        largest.with_aces((*largest, ace))


def test_the_limit_of_a_list_is_the_one_that_its_error_names() -> None:
    """A list with slack may be read with an odd size, and is written again: 16 bits are the limit for both."""
    acl = Acl([allow(SYSTEM, 1)])
    most = MAX_ACL_SIZE - acl.size
    largest = Acl(acl, slack=bytes(most))
    assert len(largest.to_bytes()) == MAX_ACL_SIZE
    assert Acl.from_bytes(largest.to_bytes()).sameness == largest.sameness
    assert largest.with_aces(acl).size == MAX_ACL_SIZE
    for slack in (most + 1, most + 2, 70_000):
        with pytest.raises(
            SecurityDataError, match=f"an ACL of {acl.size + slack} bytes.* the limit is {MAX_ACL_SIZE}"
        ):
            Acl(acl, slack=bytes(slack)).to_bytes()


def test_a_text_with_a_list_that_is_too_large_is_refused() -> None:
    entry = "(A;;FA;;;S-1-5-21-1-2-3-1001)"
    size = allow(Sid.parse("S-1-5-21-1-2-3-1001"), 1).size
    fits = (MAX_ACL_SIZE - 8) // size
    for part, says in (("D", "DACL"), ("S", "SACL")):
        kind = entry if part == "D" else entry.replace("(A;;", "(AU;SA;")
        assert SecurityDescriptor.from_sddl(f"{part}:{kind * fits}").to_bytes()
        with pytest.raises(SecurityDataError, match=f"an ACL of {8 + size * (fits + 1)} bytes .*{says}"):
            SecurityDescriptor.from_sddl(f"{part}:{kind * (fits + 1)}")
    # The entries that say most with the fewest letters.
    domain = Sid(5, *range(14))
    shortest = "(A;;;;;LA)"
    fits = (MAX_ACL_SIZE - 8) // (8 + len(domain.relative(500).raw))
    assert len(SecurityDescriptor.from_sddl(f"D:{shortest * fits}", domain).dacl or ()) == fits
    with pytest.raises(SecurityDataError, match="the limit is"):
        SecurityDescriptor.from_sddl(f"D:{shortest * (fits + 1)}", domain)


def test_a_list_keeps_revision_reserved_fields_and_slack() -> None:
    raw = bytes.fromhex("0407 2800 0100 3412") + allow(SYSTEM, 0x1F01FF).to_bytes() + b"slack---" + bytes(4)
    acl = Acl.from_bytes(raw)
    assert (acl.revision, acl.reserved, acl.slack) == (4, (7, 0x1234), b"slack---" + bytes(4))
    assert acl.to_bytes() == raw
    assert acl.with_aces([]).reserved == (7, 0x1234)
    assert acl.with_aces([]).slack == b"slack---" + bytes(4)
    assert SecurityDescriptor(dacl=acl) != SecurityDescriptor(dacl=Acl(acl))


def test_a_list_with_odd_slack_leaves_the_next_one_aligned() -> None:
    sacl = Acl([label(0x1000)], slack=b"abc")
    descriptor = SecurityDescriptor(SYSTEM, SYSTEM, 0, Acl([allow(SYSTEM, 1)]), sacl)
    raw = descriptor.to_bytes()
    assert SecurityDescriptor.from_bytes(raw) == descriptor
    assert int.from_bytes(raw[16:20], "little") % 4 == 0


@pytest.mark.parametrize(
    "make",
    [
        lambda: Acl(revision=1),
        lambda: Acl(revision=300),
        lambda: Acl(reserved=(300, 0)).to_bytes(),
        lambda: SecurityDescriptor(control=0x10000),
        lambda: SecurityDescriptor(control=-1),
        lambda: SecurityDescriptor(rm_control=256),
    ],
    ids=range(6),
)
def test_fields_out_of_range_are_refused(make: object) -> None:
    assert callable(make)
    with pytest.raises(SecurityDataError):
        make()


def test_object_entries_raise_the_revision_of_a_new_list() -> None:
    assert Acl([allow(SYSTEM, 1)]).revision == 2
    assert Acl([Ace(5, 0, 1, SYSTEM, b"", ObjectPart(0, None, None))]).revision == 4


def test_rewritten_keeps_control_bits_and_asks_for_what_ntfs_would_drop() -> None:
    descriptor = SecurityDescriptor.from_sddl("O:BAG:BAD:PAI(A;;FA;;;BA)S:AI(ML;;NW;;;LW)")
    new = Acl([deny(USERS, 2), *(descriptor.dacl or ())])
    written = descriptor.rewritten(dacl=new)
    assert written.dacl == new
    assert written.control == descriptor.control | DACL_AUTO_INHERIT_REQ | SACL_AUTO_INHERIT_REQ
    assert written.control & (DACL_AUTO_INHERITED | DACL_PROTECTED | SACL_AUTO_INHERITED)
    plain = SecurityDescriptor.from_sddl("O:BAG:BAD:(A;;FA;;;BA)")
    assert plain.rewritten(dacl=new).control == plain.control
    assert plain.rewritten(sacl=Acl([label(0x1000)])).dacl == plain.dacl


@pytest.mark.parametrize("text", ["O:BAG:BA", "O:BAG:BAD:NO_ACCESS_CONTROL"])
def test_no_list_is_never_turned_into_one(text: str) -> None:
    with pytest.raises(SecurityDataError, match="absent or NULL"):
        SecurityDescriptor.from_sddl(text).rewritten(dacl=Acl([allow(SYSTEM, 1)]))
    assert SecurityDescriptor.from_sddl(text).rewritten(sacl=Acl()).dacl is None


def test_replace_leaves_what_is_not_named() -> None:
    descriptor = SecurityDescriptor.from_bytes(NTFS)
    assert descriptor.replace() == descriptor
    assert descriptor.replace(owner=SYSTEM).group == descriptor.group
    assert descriptor.replace(owner=None).owner is None
    null = descriptor.replace(dacl=None)
    assert null.dacl is None
    assert null.control & DACL_PRESENT
    assert descriptor.replace(dacl=None, control=0).control == SELF_RELATIVE
    with pytest.raises(AttributeError):
        descriptor.owner = SYSTEM  # type: ignore[misc]


def test_a_plain_tuple_becomes_a_list() -> None:
    descriptor = SecurityDescriptor(SYSTEM, SYSTEM, 0, (allow(SYSTEM, 1),))  # type: ignore[arg-type]
    assert isinstance(descriptor.dacl, Acl)
    assert SecurityDescriptor.from_bytes(descriptor.to_bytes()) == descriptor
