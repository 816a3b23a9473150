"""SIDs: text, binary, names, limits, order."""

from __future__ import annotations

from typing import Any

import pytest

from winsandbox._security.errors import SecurityDataError
from winsandbox._security.sid import ALIASES, DOMAIN_ALIASES, Sid, integrity_sid


@pytest.mark.parametrize(
    ("text", "raw"),
    [
        ("S-1-1-0", "010100000000000100000000"),
        ("S-1-5-32-544", "01020000000000052000000020020000"),
        ("S-1-5-21-1-2-3-1001", "010500000000000515000000010000000200000003000000e9030000"),
        ("S-1-16-8192", "010100000000001000200000"),
        ("S-1-4294967295-7", "01010000ffffffff07000000"),
        ("S-1-0x000100000000-1", "010100010000000001000000"),
        ("S-1-0xffffffffffff-4294967295", "0101ffffffffffffffffffff"),
        ("S-1-5", "0100000000000005"),
        (
            "S-1-0-1-2-3-4-5-6-7-8-9-10-11-12-13-14-15",
            "010f000000000000" + "".join(f"{n:02x}000000" for n in range(1, 16)),
        ),
    ],
)
def test_text_and_binary_are_the_same_sid(text: str, raw: str) -> None:
    sid = Sid.parse(text)
    assert sid.to_bytes().hex() == raw
    assert Sid.from_bytes(bytes.fromhex(raw)) == sid
    assert str(sid) == text


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("s-1-5-32-544", "S-1-5-32-544"),
        ("S-1-0x5-0x20-0x220", "S-1-5-32-544"),
        ("S-1-0X5-32-544", "S-1-5-32-544"),
        ("S-1-281474976710655-1", "S-1-0xffffffffffff-1"),
        ("S-1-5-032-544", "S-1-5-32-544"),
        ("ba", "S-1-5-32-544"),
    ],
)
def test_other_spellings(text: str, same: str) -> None:
    assert Sid.parse(text) == Sid.parse(same)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "not a SID"),
        ("S", "not a SID"),
        ("S-1", "not a SID"),
        ("S-1-", "not a SID"),
        ("S-1-5-", "not a SID"),
        ("S-1-5--1", "not a SID"),
        ("S-2-5-32", "not a SID"),
        (" S-1-5-32", "not a SID"),
        ("S-1-5-32 ", "not a SID"),
        ("S-1-5-32\n", "not a SID"),
        ("S-1-5-+1", "not a SID"),
        ("S-1-5-1_0", "not a SID"),
        ("S-1-5-\u0663", "not a SID"),
        ("S-1-5-\u00b2", "not a SID"),
        ("S-1-5-0x", "not a SID"),
        ("S-1-5-4294967296", "does not fit in 32 bits"),
        ("S-1-281474976710656-1", "does not fit in 48 bits"),
        ("S-1-0x1000000000000-1", "not a SID"),
        ("S-1-5" + "-1" * 16, "16 sub-authorities"),
        ("XX", "two-letter"),
        ("\u00dfA", "not a SID"),
        ("\u017fy", "not a SID"),  # upper() makes SY of it
    ],
)
def test_malformed_text_is_refused_in_words(text: str, says: str) -> None:
    with pytest.raises(SecurityDataError, match=says):
        Sid.parse(text)


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        ("", "fewer than 8 bytes"),
        ("01010000000000", "fewer than 8 bytes"),
        ("0101000000000001", "1 sub-authorities do not fit"),
        ("010100000000000100000000ff", "1 bytes follow"),
        ("020100000000000100000000", "revision 2"),
        ("0110000000000001" + "00" * 64, "16 sub-authorities"),
        ("01ff000000000001" + "00" * 1020, "255 sub-authorities"),
    ],
)
def test_malformed_binary_is_refused_in_words(raw: str, says: str) -> None:
    with pytest.raises(SecurityDataError, match=says) as caught:
        Sid.from_bytes(bytes.fromhex(raw))
    assert caught.value.where.startswith("offset")


@pytest.mark.parametrize("data", [7, 10**12, "S-1-1-0", None, [1, 2]])
def test_what_is_not_bytes_is_refused(data: object) -> None:
    with pytest.raises(SecurityDataError, match="expected bytes"):
        Sid.from_bytes(data)  # type: ignore[arg-type]
    assert Sid.from_bytes(bytearray.fromhex("010100000000000100000000")) == Sid(1, 0)
    assert Sid.from_bytes(memoryview(bytes.fromhex("010100000000000100000000"))) == Sid(1, 0)


@pytest.mark.parametrize("parts", [(-1, 0), (1 << 48, 0), (5, -1), (5, 1 << 32), (5, *range(16))])
def test_numbers_out_of_range_are_refused(parts: tuple[int, ...]) -> None:
    with pytest.raises(SecurityDataError):
        Sid(*parts)


@pytest.mark.parametrize("parts", [("5", 32), (5, 1.5), (5, None)])
def test_what_is_no_int_is_a_type_error(parts: tuple[Any, ...]) -> None:
    with pytest.raises(TypeError, match="integer"):
        Sid(*parts)


def test_domain_names_need_a_domain() -> None:
    machine = Sid.parse("S-1-5-21-1-2-3")
    for name, rid in DOMAIN_ALIASES.items():
        assert Sid.parse(name, domain=machine) == machine.relative(rid)
        with pytest.raises(SecurityDataError, match=f"{name} is relative to a machine or domain"):
            Sid.parse(name)
        with pytest.raises(SecurityDataError, match="pass its SID as domain="):
            Sid.parse(name, domain="S-1-5-21-1-2-3")  # type: ignore[arg-type]
    assert str(Sid.parse("LA", domain=machine)) == "S-1-5-21-1-2-3-500"
    assert Sid.parse("BA", domain=machine) == Sid.parse("BA")
    with pytest.raises(SecurityDataError, match="16 sub-authorities"):
        Sid.parse("LA", domain=Sid(5, *range(15)))


def test_names_are_distinct_and_come_back() -> None:
    assert len(set(ALIASES.values())) == len(ALIASES)
    assert not set(ALIASES) & set(DOMAIN_ALIASES)
    unwritten = {name for name, sid in ALIASES.items() if sid.alias != name}
    assert unwritten == {"HO", "SH"}  # read, but too new to be written
    assert Sid.parse("S-1-5-21-1-2-3-500").alias is None


def test_order_is_numeric_and_a_set_of_sids_is_one() -> None:
    texts = ["S-1-1-0", "S-1-5-2", "S-1-5-11", "S-1-5-32-544", "S-1-5-32-545", "S-1-16-4096"]
    assert [str(sid) for sid in sorted(map(Sid.parse, reversed(texts)))] == texts
    assert len({Sid(5, 18), Sid.parse("SY"), Sid.from_bytes(Sid(5, 18).to_bytes())}) == 1
    assert Sid(5, 18) != "S-1-5-18"
    with pytest.raises(TypeError):
        _ = Sid(5, 18) < "S-1-5-18"


def test_sids_cannot_be_changed() -> None:
    sid = Sid(5, 18)
    with pytest.raises(AttributeError, match="immutable"):
        sid.raw = b""
    with pytest.raises(AttributeError, match="immutable"):
        del sid.raw
    assert repr(sid) == "Sid.parse('S-1-5-18')"
    assert integrity_sid(0x1000) == Sid.parse("LW")
