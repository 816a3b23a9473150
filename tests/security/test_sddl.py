"""SDDL: what is read, what is written, what is refused and with which words."""

from __future__ import annotations

import pytest

from winsandbox._security import sddl
from winsandbox._security.ace import ALLOW_CALLBACK, Ace, allow
from winsandbox._security.acl import Acl
from winsandbox._security.descriptor import SecurityDescriptor
from winsandbox._security.errors import SecurityDataError
from winsandbox._security.sid import EVERYONE, SYSTEM, Sid


@pytest.mark.parametrize(
    ("rights", "mask"),
    [
        ("", 0),
        ("FA", 0x1F01FF),
        ("FR", 0x120089),
        ("FW", 0x120116),
        ("FX", 0x1200A0),
        ("KA", 0xF003F),
        ("KR", 0x20019),
        ("KW", 0x20006),
        ("KX", 0x20019),
        ("GA", 0x10000000),
        ("GRGX", 0xA0000000),
        ("CCDCLCSWRPWPDTLOCRSDRCWDWO", 0xF01FF),
        ("FRSD", 0x130089),
        ("NWNRNX", 0x7),
        ("0x1301bf", 0x1301BF),
        ("0X1301BF", 0x1301BF),
        ("1245631", 0x1301BF),
        ("04600677", 0x1301BF),
        ("0", 0),
        ("0xffffffff", 0xFFFFFFFF),
    ],
)
def test_rights(rights: str, mask: int) -> None:
    assert sddl.parse_ace(f"(A;;{rights};;;WD)").mask == mask


@pytest.mark.parametrize(
    ("mask", "text"),
    [
        (0x1F01FF, "FA"),
        (0x20019, "KR"),
        (0x1, "CC"),
        (0xF01FF, "CCDCLCSWRPWPDTLOCRSDRCWDWO"),
        (0x10000000, "GA"),
        (0xA0000000, "GXGR"),
        (0x1200A9, "0x1200a9"),
        (0, ""),
        (0x2000000, "0x2000000"),
        (0x1F, "CCDCLCSWRP"),
        (0xE00F0000, "SDRCWDWOGXGWGR"),
    ],
)
def test_masks_are_written_as_windows_writes_them(mask: int, text: str) -> None:
    assert sddl.format_ace(allow(EVERYONE, mask)) == f"(A;;{text};;;WD)"


def test_everything_at_once() -> None:
    text = (
        "O:S-1-5-21-1-2-3-500G:SYD:PARAI(D;OICI;DCLCRPDTCRSDWDWO;;;S-1-5-21-7-7-7-7)(A;OICIID;FA;;;BA)"
        "(OA;CI;CC;bf967aba-0de6-11d0-a285-00aa003049e2;4828cc14-1437-45bc-9b07-ad6f015e5f28;AU)"
        "S:AI(ML;OICI;NWNR;;;LW)(AU;SAFA;WD;;;WD)(SP;;GA;;;S-1-17-1-2)"
    )
    descriptor = SecurityDescriptor.from_sddl(text)
    assert descriptor.to_sddl() == text
    assert descriptor.control == 0x8000 | 0x4 | 0x10 | 0x1000 | 0x100 | 0x400 | 0x800
    assert descriptor.dacl is not None
    assert descriptor.dacl.revision == 4
    part = descriptor.dacl[2].object_part
    assert part is not None
    assert part.object_type == bytes.fromhex("ba7a96bfe60dd011a28500aa003049e2")


def test_parts_in_any_order_and_domain_names() -> None:
    text = "D:(A;;FA;;;LA)O:LAG:DU"
    descriptor = SecurityDescriptor.from_sddl(text, domain=Sid.parse("S-1-5-21-1-2-3"))
    assert str(descriptor.owner) == "S-1-5-21-1-2-3-500"
    assert str(descriptor.group) == "S-1-5-21-1-2-3-513"
    assert descriptor.dacl == (allow(Sid.parse("S-1-5-21-1-2-3-500"), 0x1F01FF),)
    with pytest.raises(SecurityDataError, match=r"LA is relative to a machine or domain: pass its SID as domain="):
        SecurityDescriptor.from_sddl(text)


def test_a_hex_number_before_a_part_ends_where_the_part_begins() -> None:
    assert str(SecurityDescriptor.from_sddl("O:S-1-5-0x1D:").owner) == "S-1-5-1"
    assert str(SecurityDescriptor.from_sddl("O:S-1-5-0x1DD:").owner) == "S-1-5-29"
    assert str(SecurityDescriptor.from_sddl("O:S-1-5-0x1D").owner) == "S-1-5-29"


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("  O:BA  G:SY D:(A;;GA;;;WD) ", "O:BAG:SYD:(A;;GA;;;WD)"),
        (
            "O:S-1-5-18 D: PAI (A;;GA;;;WD)  (D;;GA;;;SY) S: (ML;;NW;;;LW)",
            "O:SYD:PAI(A;;GA;;;WD)(D;;GA;;;SY)S:(ML;;NW;;;LW)",
        ),
        ("D: S:", "D:S:"),
        ("D:( a; oici; ga; ; ; wd )", "D:(A;OICI;GA;;;WD)"),
        ("D:(A; ; 0x1;;; S-1-3-4)", "D:(A;;CC;;;OW)"),
        ("D:(oa;ci;ccdc;;;ba)", "D:(OA;CI;CCDC;;;BA)"),
        ("D:(A;;fr;;;WD)S:(ml;;nwnr;;;lw)", "D:(A;;FR;;;WD)S:(ML;;NWNR;;;LW)"),
    ],
)
def test_blanks_and_small_letters_where_windows_takes_them(text: str, same: str) -> None:
    assert SecurityDescriptor.from_sddl(text).to_sddl() == SecurityDescriptor.from_sddl(same).to_sddl()
    assert SecurityDescriptor.from_sddl(text) == SecurityDescriptor.from_sddl(same)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("X:", r"expected O:, G:, D: or S: \(position 0\)"),
        ("o:BA", "expected O:"),
        ("O:", r"no SID behind O: \(position 2\)"),
        ("O:BAG", "no SID behind O:"),
        ("O:QQ", "two-letter"),
        ("O:BAO:BA", "O: twice"),
        ("D:D:", "D: twice"),
        ("D:Q", r"expected O:, G:, D: or S: \(position 2\)"),
        ("D:PP(A;;GA;;;WD", r"parentheses inside an entry, or none at its end \(position 4\)"),
        ("D:(A;;GA;;;WD)x", r"position 14"),
        ("D:(A;;GA;;WD)", r"expected \(type;flags;rights;object;inherited object;SID\) \(position 2\)"),
        ("D:(A;;GA;;;WD)(Q;;GA;;;WD)", r"unknown ACE type 'Q' \(position 14\)"),
        ("D :(A;;GA;;;WD)", r"expected O:, G:, D: or S: \(position 0\)"),
        ("d:(A;;GA;;;WD)", "expected O:"),
        ("D:(A;;GA;;;WD)  (q;;GA;;;WD)", r"unknown ACE type 'q' \(position 16\)"),
        ("D:(A;XX;GA;;;WD)", "unknown ACE flag 'XX'"),
        ("D:(A;OIC;GA;;;WD)", "unknown ACE flag 'C'"),
        ("D:(A;;GQ;;;WD)", "unknown right 'GQ'"),
        ("D:(A;;G;;;WD)", "unknown right 'G'"),
        ("D:(A;;GA ;;;WD)", "unknown right"),
        ("D:(A;;1 ;;;WD)", "unknown right"),
        ("D:(A;;GR GW;;;WD)", "unknown right"),
        ("D:(A;;\u017fd;;;WD)", r"ASCII characters can stand in an entry \(position 2\)"),
        ("D:(A;;GA;;;S-1-1-0 )", "not a SID"),
        ("D:(A;;GA;;;\tWD)", "not a SID"),
        ("D:(OA;;GA; bf967aba-0de6-11d0-a285-00aa003049e2;;WD)", "not a GUID"),
        ("D:(A;;0x;;;WD)", "unknown right '0x'"),
        ("D:(A;;08;;;WD)", "unknown right"),
        ("D:(A;;0x100000000;;;WD)", "does not fit in 32 bits"),
        ("D:(A;;4294967296;;;WD)", "does not fit in 32 bits"),
        ("D:(A;;GA;x;;WD)", "no object type"),
        ("D:(OA;;GA;bf967aba;;WD)", "not a GUID"),
        ("D:(OA;;GA;{f967aba-0de6-11d0-a285-00aa003049e2};;WD)", "not a GUID"),
        ("D:(A;;GA;;;)", "not a SID"),
        ("D:(A;;GA;;;S-1-5-99999999999)", r"position 2"),
        ("D:NO_ACCESS_CONTROL(A;;GA;;;WD)", "exclude each other"),
        ("D:(XA;;GA;;;WD)", "XA entries have an expression in parentheses behind the SID"),
        ("D:(XA;;GA;;;WD;x)", "XA entries have an expression in parentheses behind the SID"),
        ("D:(A;;GA;;;WD;x)", r"expected \(type;flags;rights"),
        ("D:(A;;GA;;;WD;(a))", r"A entries have no expression behind the SID \(entry at position 2\)"),
        ("D:(FL;;GA;;;WD;(a))", "unknown ACE type 'FL'"),
        ("D:(XA;;GA;;;WD;(a)", r"expected the end of the entry \(position 18\)"),
        ("D:(XA;;GA;;;WD;(a) x)", "expected the end of the entry"),
        ("D:(A;;FA;;;WD)(XA;;GA;;;WD;(a ==))", r"expected a literal.* \(entry at position 14, position 32\)"),
        # GUIDs that are none, some of which Python's uuid would take.
        ("D:(OA;;GA;bf967aba0de611d0a28500aa003049e2;;WD)", "not a GUID"),
        ("D:(OA;;GA;bf967aba0de6-11d0-a285-00aa-003049e2;;WD)", "not a GUID"),
        ("D:(OA;;GA;urn:uuid:bf967aba0de611d0a28500aa00;;WD)", "not a GUID"),
        ("D:(OA;;GA;{bf967aba0de611d0a28500aa003049e2}aa;;WD)", "not a GUID"),
        ("D:(OA;;GA;bf967aba-0de6-11d0-a285-00aa003049eg;;WD)", "not a GUID"),
        ("D:(OA;;GA;+f967aba-0de6-11d0-a285-00aa003049e2;;WD)", "not a GUID"),
        ("D:(OA;;GA;0xf967ab-0de6-11d0-a285-00aa003049e2;;WD)", "not a GUID"),
        ("D:(OA;;GA;;bf967aba-0de6-11d0-a285-00aa003049e2\n;WD)", "not a GUID"),
        # Entries in the wrong list.
        ("D:(AU;SA;CR;;;BA)", r"AU entries cannot stand in a DACL \(ACE 0 of the DACL\)"),
        ("D:(A;;RP;;;WD)(AU;SA;CR;;;BA)", "ACE 1 of the DACL"),
        ("D:(OU;SA;CR;;;BA)", "OU entries cannot stand in a DACL"),
        ("D:(ML;;NW;;;LW)", "ML entries cannot stand in a DACL"),
        ('D:(RA;;;;;WD;("a",TI,0,1))', "RA entries cannot stand in a DACL"),
        ("D:(XU;;GA;;;WD;(a))", "XU entries cannot stand in a DACL"),
        ("S:(A;;FA;;;WD)", "A entries cannot stand in a SACL"),
        ("S:(ML;;NW;;;LW)(D;;FA;;;WD)", r"D entries cannot stand in a SACL \(ACE 1 of the SACL\)"),
        ("S:(XA;;GA;;;WD;(a))", "XA entries cannot stand in a SACL"),
    ],
)
def test_refusals_name_the_place(text: str, says: str) -> None:
    with pytest.raises(SecurityDataError, match=says):
        SecurityDescriptor.from_sddl(text)


def test_what_is_no_text_is_refused() -> None:
    with pytest.raises(SecurityDataError, match="must be a str"):
        SecurityDescriptor.from_sddl(b"D:")  # type: ignore[arg-type]
    with pytest.raises(SecurityDataError, match="must be a str"):
        Sid.parse(b"BA")  # type: ignore[arg-type]
    with pytest.raises(SecurityDataError, match="one entry"):
        sddl.parse_ace("(A;;GA;;;WD)(A;;GA;;;WD)")


@pytest.mark.parametrize(
    "ace",
    [
        Ace(ALLOW_CALLBACK, 0, 1, SYSTEM, b"artx"),
        Ace(0x12, 0, 0, EVERYONE, b"claim..."),
        Ace(0x63, 0, 0, None, b"1234"),
        Ace(0, 0, 1, SYSTEM, b"more"),
    ],
    ids=["conditional", "resource attribute", "unknown", "bytes behind the SID"],
)
def test_what_has_no_text_is_refused_and_survives_in_binary(ace: Ace) -> None:
    descriptor = SecurityDescriptor(SYSTEM, SYSTEM, 0, Acl([allow(SYSTEM, 1), ace]))
    with pytest.raises(SecurityDataError, match=r"ACE 1 of the DACL"):
        descriptor.to_sddl()
    assert SecurityDescriptor.from_bytes(descriptor.to_bytes()) == descriptor


@pytest.mark.parametrize("text", ["D:(A;;;;;BO)", "D:(D;;;;;WD)(OA;;;;;AU)", "S:(ML;;;;;LW)(AU;SA;;;;WD)"])
def test_a_mask_of_nothing_is_written_as_nothing(text: str) -> None:
    """As Windows writes it: recorded for (A;;;;;BO)."""
    descriptor = SecurityDescriptor.from_sddl(text)
    assert descriptor.to_sddl() == text
    for spelling in ("0", "0x0", "00"):
        entries = text.replace(";;;;WD", f";{spelling};;;WD").replace(";;;;;", f";;{spelling};;;")
        assert SecurityDescriptor.from_sddl(entries) == descriptor


def test_an_entry_in_the_wrong_list_is_carried_in_binary_only() -> None:
    audit, allowing = Ace(0x02, 0x40, 1, SYSTEM), allow(SYSTEM, 1)
    for descriptor, says in (
        (SecurityDescriptor(SYSTEM, SYSTEM, 0, Acl([allowing, audit])), r"AU entries .*\(ACE 1 of the DACL"),
        (SecurityDescriptor(SYSTEM, SYSTEM, 0, None, Acl([allowing])), r"A entries .*\(ACE 0 of the SACL"),
    ):
        assert SecurityDescriptor.from_bytes(descriptor.to_bytes()) == descriptor
        with pytest.raises(SecurityDataError, match=says):
            descriptor.to_sddl()


def test_control_bits_without_letters_are_left_out() -> None:
    descriptor = SecurityDescriptor(SYSTEM, SYSTEM, 0x4000 | 0x8 | 0x1, Acl())
    assert descriptor.to_sddl() == "O:SYG:SYD:"
    assert SecurityDescriptor.from_bytes(descriptor.to_bytes()).control == 0xC00D
