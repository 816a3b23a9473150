"""Conditions and resource attributes: text and bytes, what is refused, and any damage to either.

The bytes are put together by hand from the tables of MS-DTYP 2.4.4.17 and 2.4.10.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import strategies as own
from winsandbox._security import claims, conditional, conditional_text
from winsandbox._security.ace import Ace, ObjectPart
from winsandbox._security.acl import Acl
from winsandbox._security.descriptor import SecurityDescriptor
from winsandbox._security.errors import SecurityDataError
from winsandbox._security.sid import ALIASES, EVERYONE, SYSTEM, Sid

ARTX = b"artx"
BA = "5110000000 01020000000000052000000020020000"  # the token of SID(BA)
WD = "510c000000 010100000000000100000000"


def u(text: str) -> str:
    """The length and the letters of a string token, in hex."""
    raw = text.encode("utf-16-le")
    return len(raw).to_bytes(4, "little").hex() + raw.hex()


def number(value: int, sign: int, base: int) -> str:
    return "04" + (value & (1 << 64) - 1).to_bytes(8, "little").hex() + f"{sign:02x}{base:02x}"


def padded(tokens: str) -> bytes:
    raw = ARTX + bytes.fromhex(tokens)
    return raw + bytes(-len(raw) % 4)


@pytest.mark.parametrize(
    ("source", "tokens", "written"),
    [
        ("(a)", "f8" + u("a"), "(a)"),
        ("( a )", "f8" + u("a"), "(a)"),
        ("(((a)))", "f8" + u("a"), "(a)"),
        ("(WIN://SYSAPPID)", "f8" + u("WIN://SYSAPPID"), "(WIN://SYSAPPID)"),
        ("(@user.a)", "f9" + u("a"), "(@USER.a)"),
        ("(@Resource.a)", "fa" + u("a"), "(@RESOURCE.a)"),
        ("(@DEVICE.a)", "fb" + u("a"), "(@DEVICE.a)"),
        ("(@user.a%0020b%0022)", "f9" + u('a b"'), "(@USER.a%0020b%0022)"),
        ("(@user.\u00e4)", "f9" + u("\u00e4"), "(@USER.%00e4)"),
        ("(@user.\U0001f600)", "f9" + u("\U0001f600"), "(@USER.%d83d%de00)"),
        ("(@user.%d83d%de00)", "f9" + u("\U0001f600"), "(@USER.%d83d%de00)"),
        ("(@user.a;b,c{d}@e)", "f9" + u("a;b,c{d}@e"), "(@USER.a;b,c{d}@e)"),
        # Comparisons, one a code.
        ("(a == 1)", "f8" + u("a") + number(1, 3, 2) + "80", "(a == 1)"),
        ("(a!=1)", "f8" + u("a") + number(1, 3, 2) + "81", "(a != 1)"),
        ("(a<1)", "f8" + u("a") + number(1, 3, 2) + "82", "(a < 1)"),
        ("(a<=1)", "f8" + u("a") + number(1, 3, 2) + "83", "(a <= 1)"),
        ("(a>1)", "f8" + u("a") + number(1, 3, 2) + "84", "(a > 1)"),
        ("(a>=1)", "f8" + u("a") + number(1, 3, 2) + "85", "(a >= 1)"),
        ("(a CONTAINS 1)", "f8" + u("a") + number(1, 3, 2) + "86", "(a Contains 1)"),
        ("(a any_of 1)", "f8" + u("a") + number(1, 3, 2) + "88", "(a Any_of 1)"),
        ("(a Not_Contains 1)", "f8" + u("a") + number(1, 3, 2) + "8e", "(a Not_Contains 1)"),
        ("(a Not_Any_of 1)", "f8" + u("a") + number(1, 3, 2) + "8f", "(a Not_Any_of 1)"),
        ("(Exists a)", "f8" + u("a") + "87", "(Exists a)"),
        ("(not_exists @user.a)", "f9" + u("a") + "8d", "(Not_Exists @USER.a)"),
        ("(Member_of SID(BA))", BA + "89", "(Member_of SID(BA))"),
        ("(Member_of(SID(BA)))", BA + "89", "(Member_of SID(BA))"),
        ("(Member_of((sid(ba))))", BA + "89", "(Member_of SID(BA))"),
        ("(Device_Member_of{SID(BA)})", "5015000000" + BA + "8a", "(Device_Member_of {SID(BA)})"),
        ("(MEMBER_OF_ANY{SID(S-1-1-0)})", "5011000000" + WD + "8b", "(Member_of_any {SID(WD)})"),
        ("(Device_Member_of_Any SID(WD))", WD + "8c", "(Device_Member_of_Any SID(WD))"),
        ("(Not_Member_of SID(WD))", WD + "90", "(Not_Member_of SID(WD))"),
        ("(Not_Device_Member_of SID(WD))", WD + "91", "(Not_Device_Member_of SID(WD))"),
        ("(Not_Member_of_Any SID(WD))", WD + "92", "(Not_Member_of_Any SID(WD))"),
        ("(Not_Device_Member_of_Any SID(WD))", WD + "93", "(Not_Device_Member_of_Any SID(WD))"),
        ("(Member_of {SID(BA) ,\tSID(WD)})", "5026000000" + BA + WD + "89", "(Member_of {SID(BA), SID(WD)})"),
        # Literals.
        ("(a == -5)", "f8" + u("a") + number(-5, 2, 2) + "80", "(a == -5)"),
        ("(a == +5)", "f8" + u("a") + number(5, 1, 2) + "80", "(a == +5)"),
        ("(a == 0x1F)", "f8" + u("a") + number(31, 3, 3) + "80", "(a == 0x1f)"),
        ("(a == -0x1f)", "f8" + u("a") + number(-31, 2, 3) + "80", "(a == -0x1f)"),
        ("(a == 017)", "f8" + u("a") + number(15, 3, 1) + "80", "(a == 017)"),
        ("(a == 00)", "f8" + u("a") + number(0, 3, 1) + "80", "(a == 00)"),
        ("(a == 0)", "f8" + u("a") + number(0, 3, 2) + "80", "(a == 0)"),
        ("(a == -0)", "f8" + u("a") + number(0, 2, 2) + "80", "(a == -0)"),
        ("(a == 0xffffffffffffffff)", "f8" + u("a") + number(-1, 3, 3) + "80", "(a == 0xffffffffffffffff)"),
        ("(a == 9223372036854775807)", "f8" + u("a") + number((1 << 63) - 1, 3, 2) + "80",
         "(a == 9223372036854775807)"),
        ("(a == -9223372036854775808)", "f8" + u("a") + number(-1 << 63, 2, 2) + "80", "(a == -9223372036854775808)"),
        ("(a == -0x8000000000000000)", "f8" + u("a") + number(-1 << 63, 2, 3) + "80", "(a == -0x8000000000000000)"),
        ('(a == "")', "f8" + u("a") + "10" + u("") + "80", '(a == "")'),
        ('(a == "(x); \u00e4%")', "f8" + u("a") + "10" + u("(x); \u00e4%") + "80", '(a == "(x); \u00e4%")'),
        ("(a == #0aFF)", "f8" + u("a") + "1802000000" + "0aff" + "80", "(a == #0aff)"),
        ("(a == #1#2#)", "f8" + u("a") + "1802000000" + "1020" + "80", "(a == #1020)"),
        ("(a == {})", "f8" + u("a") + "5000000000" + "80", "(a == {})"),
        ('(a == {1,"b", #00})', "f8" + u("a") + "5018000000" + number(1, 3, 2) + "10" + u("b") + "180100000000" + "80",
         '(a == {1, "b", #00})'),
        ("(a == @user.b)", "f8" + u("a") + "f9" + u("b") + "80", "(a == @USER.b)"),
        # Precedence, parentheses.
        ("(!(a))", "f8" + u("a") + "a2", "(!(a))"),
        ("(! ( !(a)))", "f8" + u("a") + "a2a2", "(!(!(a)))"),
        ("(!@user.a)", "f9" + u("a") + "a2", "(!(@USER.a))"),
        ("(!@user.a == 1)", "f9" + u("a") + number(1, 3, 2) + "80a2", "(!(@USER.a == 1))"),
        ("(a||b&&c)", "".join("f8" + u(x) for x in "abc") + "a0a1", "((a) || ((b) && (c)))"),
        ("(a&&b||c)", "f8" + u("a") + "f8" + u("b") + "a0" + "f8" + u("c") + "a1", "(((a) && (b)) || (c))"),
        ("(a&&b&&c)", "f8" + u("a") + "f8" + u("b") + "a0" + "f8" + u("c") + "a0", "(((a) && (b)) && (c))"),
        ("(a&&(b&&c))", "".join("f8" + u(x) for x in "abc") + "a0a0", "((a) && ((b) && (c)))"),
        ("(!(a)&&b)", "f8" + u("a") + "a2" + "f8" + u("b") + "a0", "((!(a)) && (b))"),
        ("(!(a&&b))", "f8" + u("a") + "f8" + u("b") + "a0a2", "(!((a) && (b)))"),
        ("(a && !(b || Exists c))", "".join("f8" + u(x) for x in "abc") + "87a1a2a0",
         "((a) && (!((b) || (Exists c))))"),
        ("(Member_of SID(WD) || a == 1)", WD + "89" + "f8" + u("a") + number(1, 3, 2) + "80a1",
         "((Member_of SID(WD)) || (a == 1))"),
        ("((a) == 1)", "f8" + u("a") + number(1, 3, 2) + "80", "(a == 1)"),
        ("(a == @user.b == @device.c)", "f8" + u("a") + "f9" + u("b") + "80fb" + u("c") + "80",
         "((a == @USER.b) == @DEVICE.c)"),
        # Words that look like something else.
        ("(7 == 7)", "f8" + u("7") + number(7, 3, 2) + "80", "(7 == 7)"),
        ("(SID == 7)", "f8" + u("SID") + number(7, 3, 2) + "80", "(SID == 7)"),
        ("(Member_ofs)", "f8" + u("Member_ofs"), "(Member_ofs)"),
    ],
)  # fmt: skip
def test_conditions(source: str, tokens: str, written: str) -> None:
    data, end = conditional.parse(source, 0)
    assert end == len(source)
    assert data == padded(tokens)
    assert conditional_text.text(data) == written
    assert conditional.parse(conditional_text.text(data), 0)[0] == data
    text = f"D:(XA;;FX;;;WD;{conditional_text.text(data)})"
    descriptor = SecurityDescriptor.from_sddl(f"D:(XA; ;FX;;;S-1-1-0; {source} )")
    assert descriptor.dacl is not None
    assert descriptor.dacl[0] == Ace(0x09, 0, 0x1200A0, EVERYONE, data)
    assert descriptor.to_sddl() == text
    assert SecurityDescriptor.from_bytes(descriptor.to_bytes()) == descriptor


def test_odd_numbers_of_octet_digits_get_a_leading_zero() -> None:
    """Microsoft's own example writes #1#2#3## for #01020300."""
    for digits in ("1#2#3##", "01020300", "#1#2#3##", "1020300"):
        data, _ = conditional.parse(f"(a == #{digits})", 0)
        assert conditional_text.text(data) == "(a == #01020300)"


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("", "begins with a parenthesis"),
        ("a", "begins with a parenthesis"),
        ("()", "expected an attribute or a condition"),
        ("(", "expected an attribute or a condition"),
        ("(a", "closing parenthesis"),
        ("(a))b", None),
        ("(a b)", "closing parenthesis"),
        ("(a = 1)", "closing parenthesis"),
        ("(a ==", "expected a literal"),
        ("(a ==)", "expected a literal"),
        ("(== 1)", "expected an attribute or a condition"),
        ("(Contains 1)", "Contains has nothing on its left"),
        ("(a == b)", "expected a literal"),
        ("(a == (@user.b))", "expected a literal"),
        ("(a == (1)", "closing parenthesis"),
        ("(a == ((1))", "closing parenthesis"),
        ('("a" == 1)', "expected an attribute or a condition"),
        ("(a == 1 == 1)", "closing parenthesis"),
        ("(Member_of SID(BA) == 1)", "closing parenthesis"),
        ("(!a)", "expected a parenthesis or an @ attribute behind !"),
        ("(!)", "expected a parenthesis or an @ attribute behind !"),
        ("(!!(a))", "expected a parenthesis or an @ attribute behind !"),
        ("(! Member_of SID(BA))", "expected a parenthesis or an @ attribute behind !"),
        ("(a &&)", "expected an attribute or a condition"),
        ("(a && && b)", "expected an attribute or a condition"),
        ("(a & b)", "closing parenthesis"),
        ("(&& a)", "expected an attribute or a condition"),
        ("(Member_of)", "expected a literal"),
        ("(Member_of @user.a)", "expected a literal"),
        ("(Member_of a)", "expected a literal"),
        ("(Member_ofSID(BA))", "closing parenthesis"),
        ("(Member_of {SID(BA),})", "expected a literal"),
        ("(Member_of {SID(BA) SID(WD)})", "expected a comma"),
        ("(Member_of {,})", "expected a literal"),
        ("(Member_of {SID(BA)", "expected a comma"),
        ("(Member_of {{SID(BA)}})", "expected a literal"),
        ("(Member_of SID(QQ))", "two-letter"),
        ("(Member_of SID(LA))", "relative to a machine"),
        ("(Member_of SID(S-1-))", "not a SID"),
        ("(Member_of SID())", "expected a literal"),
        ("(Member_of SID(BA)", "closing parenthesis"),
        ("(Exists)", "expected an attribute behind Exists"),
        ("(Exists 1 1)", "closing parenthesis"),
        ("(Exists Exists)", "expected an attribute behind Exists"),
        ("(@user.)", "expected @User"),
        ("(@nobody.a)", "expected @User"),
        ("(@user)", "expected @User"),
        ("(@\u017fer.a)", "expected @User"),
        ("(@user.%12)", "no escape"),
        ("(@user.%zzzz)", "no escape"),
        ("(@user.%0041)", "no escape"),
        ("(@user.%0000)", "no escape"),
        ("(@user.%003a)", "no escape"),
        ("(a-b)", "closing parenthesis"),
        ("(a == 08)", "expected a literal"),
        ("(a == 0x)", "expected a literal"),
        ("(a == 1a)", "expected a literal"),
        ("(a == - 1)", "expected a literal"),
        ("(a == \u0661)", "expected a literal"),
        ("(a == 9223372036854775808)", "does not fit in 64 bits"),
        ("(a == -9223372036854775809)", "does not fit in 64 bits"),
        ("(a == +0x8000000000000000)", "does not fit in 64 bits"),
        ("(a == 0x10000000000000000)", "does not fit in 64 bits"),
        ("(a == 99999999999999999999)", "expected a literal"),
        ('(a == "b)', "expected a literal"),
        ('(a == "\ud800")', "no character"),
        ('(a == "\0")', "no character"),
        ("(a == #zz)", "closing parenthesis"),
    ],
)
def test_conditions_that_are_none(source: str, says: str | None) -> None:
    if says is None:
        assert conditional.parse(source, 0)[1] < len(source)
        return
    with pytest.raises(SecurityDataError, match=says) as caught:
        conditional.parse(source, 0)
    assert "position" in caught.value.where
    for text in (f"D:(XA;;FX;;;WD;{source})", f"S:(XU;;FX;;;WD;{source}"):
        with pytest.raises(SecurityDataError):
            SecurityDescriptor.from_sddl(text)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"none",
        ARTX,
        padded("f8" + u("a")) + bytes(4),
        padded("f8" + u("a"))[:-1],
        padded("00f8" + u("a")),
        padded("f8" + u("a") + "f8" + u("b")),
        padded("a2"),
        padded("a0"),
        padded("f8" + u("a") + "80"),
        padded("f8" + u("")),
        padded("f8" + u("a-b")),
        padded("f8" + u("Exists")),
        padded("f8ff000000"),
        padded("f803000000610061"),
        padded("f9" + u("a\0b")),
        padded("f8" + u("a") + "0101000000000000000302" + "80"),
        padded("f8" + u("a") + "0301000000000000000302" + "80"),
        padded("f8" + u("a") + number(1, 0, 2) + "80"),
        padded("f8" + u("a") + number(1, 3, 4) + "80"),
        padded("f8" + u("a") + number(-1, 3, 2) + "80"),
        padded("f8" + u("a") + number(5, 2, 2) + "80"),
        padded("f8" + u("a") + "10" + u('"') + "80"),
        padded("f8" + u("a") + "100200000000d8" + "80"),
        padded("f8" + u("a") + "5100000000" + "80"),
        padded("f8" + u("a") + "510d000000" + "01010000000000010000000000" + "80"),
        padded("f8" + u("a") + "50050000005000000000" + "80"),
        padded("f8" + u("a") + "5004000000aabbccdd" + "80"),
        padded("f8" + u("a") + "f8" + u("b") + "80"),
        padded(number(1, 3, 2) + number(1, 3, 2) + "80"),
        padded("f8" + u("a") + "89"),
        padded("f8" + u("a") + "a2" + number(1, 3, 2) + "80"),
        padded("ee"),
    ],
    ids=range(33),
)
def test_bytes_that_text_cannot_say_exactly_are_carried_and_not_written(data: bytes) -> None:
    with pytest.raises(SecurityDataError):
        conditional_text.text(data)
    data = data + bytes(-len(data) % 4)
    descriptor = SecurityDescriptor(SYSTEM, SYSTEM, 0, Acl([Ace(0x0A, 0, 1, SYSTEM, data)]))
    assert SecurityDescriptor.from_bytes(descriptor.to_bytes()) == descriptor
    assert descriptor.to_bytes() == SecurityDescriptor.from_bytes(descriptor.to_bytes()).to_bytes()


def test_every_type_that_has_an_expression() -> None:
    text = (
        "O:BAG:SYD:PAI(D;;FA;;;BG)(XD;OICI;FX;;;WD;((@USER.a == 1) && (!(b))))(A;;FA;;;SY)"
        "(ZA;CI;CC;bf967aba-0de6-11d0-a285-00aa003049e2;;AU;(Member_of {SID(BA)}))(XA;;;;;WD;(a))"
        'S:AI(ML;;NW;;;LW)(XU;SAFA;FA;;;WD;(a))(RA;OICI;;;;WD;("colour",TS,0x0,"blue","red"))(AU;SA;FA;;;WD)'
    )
    descriptor = SecurityDescriptor.from_sddl(text)
    assert descriptor.to_sddl() == text
    assert SecurityDescriptor.from_bytes(descriptor.to_bytes()) == descriptor
    assert descriptor.dacl is not None
    assert [ace.type for ace in descriptor.dacl] == [1, 0x0A, 0, 0x0B, 0x09]
    assert descriptor.dacl.revision == 4
    assert descriptor.dacl[3].object_part == ObjectPart(1, bytes.fromhex("ba7a96bfe60dd011a28500aa003049e2"), None)
    assert [ace.type for ace in descriptor.sacl or ()] == [0x11, 0x0D, 0x12, 0x02]
    domain = Sid(5, 21, 1, 2, 3)
    one = SecurityDescriptor.from_sddl('D:(XA;;FA;;;DA;(Member_of SID(LA)))S:(RA;;;;;WD;("a",TD,0,DU))', domain)
    assert one.to_sddl() == (
        "D:(XA;;FA;;;S-1-5-21-1-2-3-512;(Member_of SID(S-1-5-21-1-2-3-500)))"
        'S:(RA;;;;;WD;("a",TD,0x0,S-1-5-21-1-2-3-513))'
    )


# Resource attributes.


@pytest.mark.parametrize(
    ("source", "data", "written"),
    [
        ('("colour",TS,0,"blue", "red")',
         "18000000 0300 0000 00000000 02000000 26000000 30000000" + "colour\0blue\0red\0".encode("utf-16-le").hex(),
         '("colour",TS,0x0,"blue","red")'),
        ('( "n" , TI , 0x10 , -1 )', "14000000 0100 0000 10000000 01000000 18000000 6e000000 ffffffffffffffff",
         '("n",TI,0x10,-1)'),
        ('("n",TU,0,0xffffffffffffffff)', "14000000 0200 0000 00000000 01000000 18000000 6e000000 ffffffffffffffff",
         '("n",TU,0x0,18446744073709551615)'),
        ('("nn",TU,16,017)', "14000000 0200 0000 10000000 01000000 1a000000 6e006e000000 0f00000000000000 0000",
         '("nn",TU,0x10,15)'),
        ('("n",TB,0,1,0)', "18000000 0600 0000 00000000 02000000 1c000000 24000000 6e000000"
         "0100000000000000 0000000000000000", '("n",TB,0x0,1,0)'),
        ('("n",TX,0,#0aff,00)', "18000000 1000 0000 00000000 02000000 1c000000 22000000 6e000000"
         "02000000 0aff 01000000 00 00", '("n",TX,0x0,#0aff,#00)'),
        ('("n",TX,0,#)', "14000000 1000 0000 00000000 01000000 18000000 6e000000 00000000", '("n",TX,0x0,#)'),
        ('("n",TD,0,WD)', "14000000 0500 0000 00000000 01000000 18000000 6e000000 0c000000 010100000000000100000000",
         '("n",TD,0x0,WD)'),
        ('("n%0020",TI,0)', "10000000 0100 0000 00000000 00000000 6e0020000000 0000", '("n%0020",TI,0x0)'),
    ],
)  # fmt: skip
def test_resource_attributes(source: str, data: str, written: str) -> None:
    raw = bytes.fromhex(data)
    assert claims.parse(source, 0) == (raw, len(source))
    text = claims.text(raw)
    assert text == written
    assert claims.parse(text, 0)[0] == raw
    descriptor = SecurityDescriptor.from_sddl(f"S:(RA;;;;;WD; {source} )")
    assert descriptor.sacl == (Ace(0x12, 0, 0, EVERYONE, raw),)
    assert descriptor.to_sddl() == f"S:(RA;;;;;WD;{text})"


@pytest.mark.parametrize(
    "source",
    [
        "",
        "x",
        "()",
        '("n")',
        '("n",TI)',
        '("",TI,0,1)',
        '("n",TZ,0,1)',
        '("n",ti,0,1)',
        '("n",TI,,1)',
        '("n",TI,-1,1)',
        '("n",TI,0x100000000,1)',
        '("n",TI,0,)',
        '("n",TI,0,1,)',
        '("n",TI,0,1',
        '("n",TI,0 1)',
        '("n",TI,0,9223372036854775808)',
        '("n",TI,0,a)',
        '("n",TI,0,08)',
        '("n",TU,0,-1)',
        '("n",TU,0,18446744073709551616)',
        '("n",TB,0,2)',
        '("n",TB,0,10)',
        '("n",TS,0,a)',
        '("n",TS,0,"a)',
        '("n",TS,0,"\0")',
        '("n",TS,0,"\ud800")',
        '("n",TD,0,ZZ)',
        '("n",TD,0,SID(WD))',
        '("n",TX,0,)',
        '("n",TX,0,zz)',
        '("n%0041",TI,0,1)',
        '("n%",TI,0,1)',
        '("a b",TI,0,1)',
        '("n",TI,0,1)x',
    ],
)
def test_resource_attributes_that_are_none(source: str) -> None:
    with pytest.raises(SecurityDataError):
        SecurityDescriptor.from_sddl(f"S:(RA;;;;;WD;{source})")


@pytest.mark.parametrize(
    "data",
    [
        "",
        "10000000 0100 0000 00000000 0000",
        "10000000 0900 0000 00000000 00000000 6e000000",
        "10000000 0100 0100 00000000 00000000 6e000000",  # Reserved is not zero
        "10000000 0100 0000 00000000 00000000 6e006e00",  # no NUL
        "10000000 0100 0000 00000000 00000000 00000000",  # no name
        "ff000000 0100 0000 00000000 00000000 6e000000",
        "10000000 0100 0000 00000000 ffffffff 6e000000",
        "14000000 0100 0000 00000000 01000000 ff000000 6e000000",
        "14000000 0100 0000 00000000 01000000 18000000 6e000000 0100000000",
        "18000000 0100 0000 00000000 02000000 1c000000 1c000000 6e000000 0100000000000000",  # shared
        "14000000 0600 0000 00000000 01000000 18000000 6e000000 0200000000000000",
        "14000000 0500 0000 00000000 01000000 18000000 6e000000 05000000 532d312d30000000",
        "14000000 0300 0000 00000000 01000000 18000000 6e000000 2200000000",
        "14000000 0300 0000 00000000 01000000 18000000 6e000000 00d80000",
        "14000000 1000 0000 00000000 01000000 18000000 6e000000 ffffffff",
        "10000000 0100 0000 00000000 00000000 6e000000 00000000",  # more padding
    ],
    ids=range(17),
)
def test_attributes_that_text_cannot_say_exactly(data: str) -> None:
    raw = bytes.fromhex(data)
    with pytest.raises(SecurityDataError):
        claims.text(raw)


# Laws and fuzzing.

names = st.text(st.characters(codec="utf-16"), min_size=1, max_size=6).map(lambda name: name.replace("\0", "x"))
simple_names = st.from_regex(r"[A-Za-z0-9:./_]{1,8}", fullmatch=True)
strings = st.text(st.characters(codec="utf-16", exclude_characters='"\0'), max_size=6).map(lambda text: f'"{text}"')
numbers = st.one_of(
    st.builds(str, st.integers(-(1 << 63), (1 << 63) - 1)),
    st.builds(hex, st.integers(0, (1 << 64) - 1)),
    st.builds(lambda sign, value: f"{sign}0{value:o}", st.sampled_from(("", "+", "-")), st.integers(0, (1 << 63) - 1)),
)
octets = st.binary(max_size=5).map(lambda raw: f"#{raw.hex()}")
scalars = st.one_of(strings, numbers, octets, st.sampled_from(sorted(ALIASES)).map("SID({})".format))
literals = scalars | st.lists(scalars, max_size=3).map(lambda items: f"{{{', '.join(items)}}}")
classed = st.builds(
    lambda kind, name: f"@{kind}.{conditional_text.escaped(name)}",
    st.sampled_from(("User", "DEVICE", "resource")),
    names,
)
attributes = classed | simple_names.filter(lambda word: word.lower() not in conditional._BY_NAME)
terms = st.one_of(
    attributes,
    st.builds("{} {}".format, st.sampled_from(sorted(conditional.EXISTENCE)), attributes),
    st.builds("{} {}".format, st.sampled_from(sorted(conditional.MEMBERSHIP)), literals),
    st.builds("{} {} {}".format, attributes, st.sampled_from(sorted(conditional.COMPARISONS)), literals | classed),
)
expressions = st.recursive(
    terms,
    lambda inner: st.one_of(
        inner.map("({})".format),
        inner.map("!({})".format),
        st.builds("{} && {}".format, inner, inner),
        st.builds("{} ||{}".format, inner, inner),
    ),
    max_leaves=5,
).map("({})".format)


@given(expressions)
def test_what_was_read_is_written_and_means_the_same(source: str) -> None:
    data, end = conditional.parse(source, 0)
    assert end == len(source)
    text = conditional_text.text(data)
    assert conditional.parse(text, 0) == (data, len(text))
    assert conditional_text.text(conditional.parse(text, 0)[0]) == text
    whole = f"D:(A;;FA;;;SY)(XD;CI;FX;;;WD;{source})S:(XU;SA;FA;;;WD;{source})"
    descriptor = SecurityDescriptor.from_sddl(whole)
    assert SecurityDescriptor.from_sddl(descriptor.to_sddl()) == descriptor
    assert SecurityDescriptor.from_bytes(descriptor.to_bytes()) == descriptor


claim_values = {
    "TI": st.integers(-(1 << 63), (1 << 63) - 1).map(str),
    "TU": st.integers(0, (1 << 64) - 1).map(str),
    "TS": strings,
    "TD": own.sids.map(str),
    "TX": octets,
    "TB": st.sampled_from("01"),
}
attribute_texts = st.sampled_from(sorted(claim_values)).flatmap(
    lambda kind: st.builds(
        lambda name, flags, values: (
            f'("{",".join((conditional_text.escaped(name) + chr(34), kind, hex(flags), *values))})'
        ),
        names,
        own.U32,
        st.lists(claim_values[kind], max_size=4),
    )
)


@given(attribute_texts)
def test_an_attribute_survives_both_ways(source: str) -> None:
    data, end = claims.parse(source, 0)
    assert end == len(source)
    assert claims.text(data) == claims.text(claims.parse(claims.text(data), 0)[0])
    descriptor = SecurityDescriptor.from_sddl(f"S:(RA;;;;;WD;{source})")
    assert SecurityDescriptor.from_sddl(descriptor.to_sddl()) == descriptor


def only_documented(ace: Ace) -> None:
    descriptor = SecurityDescriptor(SYSTEM, SYSTEM, 0, None, Acl([ace]))
    if ace.type != 0x12:
        descriptor = SecurityDescriptor(SYSTEM, SYSTEM, 0, Acl([ace]))
    assert SecurityDescriptor.from_bytes(descriptor.to_bytes()) == descriptor
    try:
        text = descriptor.to_sddl()
    except SecurityDataError as error:
        message = str(error)
    else:
        message = ""
        assert SecurityDescriptor.from_sddl(text) == descriptor
    assert len(message) < 1000


damages = st.lists(st.tuples(st.integers(0, 10000), st.integers(0, 255)), max_size=4)


def damaged(raw: bytes, damage: list[tuple[int, int]]) -> bytes:
    data = bytearray(raw)
    for at, value in damage:
        data[at % len(data)] = value
    return bytes(data) + bytes(-len(data) % 4)


@given(expressions, damages, st.binary(max_size=9))
def test_damaged_conditions_are_carried_and_written_only_if_exact(
    source: str, damage: list[tuple[int, int]], tail: bytes
) -> None:
    only_documented(Ace(0x09, 0, 1, SYSTEM, damaged(conditional.parse(source, 0)[0] + tail, damage)))


@given(attribute_texts, damages, st.binary(max_size=9))
def test_damaged_attributes_are_carried_and_written_only_if_exact(
    source: str, damage: list[tuple[int, int]], tail: bytes
) -> None:
    only_documented(Ace(0x12, 0, 1, SYSTEM, damaged(claims.parse(source, 0)[0] + tail, damage)))


tokens = st.one_of(
    st.sampled_from((0x80, 0x86, 0x87, 0x89, 0x8D, 0x93, 0xA0, 0xA1, 0xA2, 0x00, 0xEE)).map(
        lambda code: bytes((code,))
    ),
    st.builds(
        lambda code, raw, more: bytes((code,)) + (len(raw) + more).to_bytes(4, "little", signed=False) + raw,
        st.sampled_from((0x10, 0x18, 0x50, 0x51, 0xF8, 0xF9, 0xFA, 0xFB)),
        st.binary(max_size=12) | st.just("a".encode("utf-16-le")),
        st.sampled_from((0, 0, 0, 1, 1 << 31)),
    ),
    st.binary(min_size=10, max_size=10).map(lambda raw: b"\x04" + raw),
)


@given(st.lists(tokens, max_size=8).map(b"".join))
def test_any_tokens(raw: bytes) -> None:
    only_documented(Ace(0x09, 0, 1, SYSTEM, ARTX + raw + bytes(-len(raw) % 4)))


PIECES = ("", "(", ")", "!", "&&", '"', "{", "}", ",", "@User.", "#", "SID(", "%", "0x", "-", ";", " ==")


@given(
    expressions | attribute_texts,
    st.lists(
        st.tuples(
            st.integers(0, 10000),
            st.integers(0, 4),
            st.sampled_from(PIECES) | st.text(max_size=2),
        ),
        min_size=1,
        max_size=4,
    ),
)  # fmt: skip
def test_damaged_text_gives_the_documented_error(source: str, damage: list[tuple[int, int, str]]) -> None:
    for place, upto, piece in damage:
        at = place % (len(source) + 1)
        source = source[:at] + piece + source[at + upto :]
    for text in (f"D:(XA;;FA;;;WD;{source})", f"S:(RA;;;;;WD;{source})(AU;SA;FA;;;WD)"):
        try:
            descriptor = SecurityDescriptor.from_sddl(text)
        except SecurityDataError as error:
            message = str(error)
        else:
            message = ""
            assert SecurityDescriptor.from_sddl(descriptor.to_sddl()) == descriptor
        assert len(message) < 1000


# These would take minutes, or end the interpreter, if any step were quadratic or recursive; nothing is timed.


@pytest.mark.parametrize(
    ("source", "fits"),
    [
        ("(" * 100_000 + "a" + ")" * 100_000, True),
        ("(" * 100_000, False),
        ("!(" * 60_000 + "a" + ")" * 60_000, False),
        ("(" + "!(" * 60_000 + "a" + ")" * 60_001, True),
        ("(" + "!(" * 70_000 + "a" + ")" * 70_001, False),
        ("(" + "a&&" * 8_000 + "a)", True),
        ("(" + "a&&" * 80_000 + "a)", False),
        ("(" + "(a||" * 8_000 + "a)" + ")" * 8_000, True),
        ("(a == " + "(" * 50_000 + "1" + ")" * 50_001, True),
        ("(a == {" + "1," * 5_000 + "1})", True),
        ("(a == {" + "1," * 50_000 + "1})", False),
        ('(a == "' + "x" * 32_000 + '")', True),
        ('(a == "' + "x" * 300_000 + '")', False),
        ("(a == #" + "1" * 300_000 + ")", False),
        ("(a == " + "1" * 300_000 + ")", False),
        ("(@user." + "%0020" * 30_000 + ")", True),
        ("(@user." + "%" * 300_000 + ")", False),
        ("(" + "a" * 300_000 + ")", False),
    ],
    ids=range(18),
)
def test_long_and_deep_conditions(source: str, fits: bool) -> None:
    try:
        descriptor = SecurityDescriptor.from_sddl(f"D:(XA;;FA;;;WD;{source})")
    except SecurityDataError:
        assert not fits
    else:
        assert fits
        assert SecurityDescriptor.from_sddl(descriptor.to_sddl()) == descriptor


def test_long_attributes() -> None:
    for source, fits in (
        ('("n",TI,0' + ",1" * 5_000 + ")", True),
        ('("n",TI,0' + ",1" * 50_000 + ")", False),
        ('("n",TS,0,"' + "x" * 300_000 + '")', False),
        ('("' + "x" * 300_000 + '",TI,0)', False),
    ):
        try:
            descriptor = SecurityDescriptor.from_sddl(f"S:(RA;;;;;WD;{source})")
        except SecurityDataError:
            assert not fits
        else:
            assert fits
            assert SecurityDescriptor.from_sddl(descriptor.to_sddl()) == descriptor
    # Offsets that all point to the same long string.
    count = 8_000
    raw = (16 + 4 * count).to_bytes(4, "little") + b"\3\0\0\0\0\0\0\0" + count.to_bytes(4, "little")
    raw += (16 + 4 * count).to_bytes(4, "little") * count + b"x\0" * 8_000 + bytes(4)
    only_documented(Ace(0x12, 0, 0, EVERYONE, raw))
