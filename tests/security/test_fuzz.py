"""Damaged input: only the documented error comes out, and what is read can be written and read again.

Everything here is data that somebody else wrote: descriptors from disk, texts from configuration.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import strategies as own
from winsandbox._security import sddl
from winsandbox._security.ace import Ace
from winsandbox._security.acl import Acl
from winsandbox._security.descriptor import SecurityDescriptor
from winsandbox._security.errors import SecurityDataError
from winsandbox._security.sid import Sid

SEEDS = (
    "O:BAG:SYD:PAI(A;OICI;FA;;;SY)(D;OICIIO;0xd0156;;;S-1-5-21-1-2-3-44)(A;ID;0x1200a9;;;BU)S:AI(ML;OICI;NW;;;LW)",
    "O:S-1-5-21-1-2-3-500G:BUD:AR(OA;CI;CCDC;bf967aba-0de6-11d0-a285-00aa003049e2;;AU)S:(AU;SAFA;GA;;;WD)",
    "D:NO_ACCESS_CONTROL",
    "O:LAG:DUD:(A;;GA;;;CO)",
    'D:(XA;OICI;FX;;;WD;((@USER.a == {1, "b"}) && (!(Member_of SID(BA)))))(A;;FA;;;SY)S:(RA;;;;;WD;("a",TS,0x0,"b"))',
)
PIECES = ("O:", "G:", "D:", "S:", "(", ")", ";", "A", "D", "OA", "ML", "OICI", "ID", "FA", "GA", "0x", "S-1-", "-", "5")


T = TypeVar("T")
D = TypeVar("D")


def attempt(read: Callable[[D], T], data: D) -> T | None:
    """What is read, or None if it was refused in the documented way; any other exception fails the test."""
    try:
        return read(data)
    except SecurityDataError as error:
        problem, message = error.problem, str(error)
    assert problem
    assert len(message) < 1000
    return None


def read_text(text: str) -> None:
    descriptor = attempt(SecurityDescriptor.from_sddl, text)
    if descriptor is not None:
        assert SecurityDescriptor.from_sddl(descriptor.to_sddl()) == descriptor
        assert SecurityDescriptor.from_bytes(descriptor.to_bytes()) == descriptor


def read_bytes(raw: bytes) -> None:
    descriptor = attempt(SecurityDescriptor.from_bytes, raw)
    if descriptor is None:
        return
    assert SecurityDescriptor.from_bytes(descriptor.to_bytes()) == descriptor
    text = attempt(SecurityDescriptor.to_sddl, descriptor)
    if text is not None:
        assert SecurityDescriptor.from_sddl(text).to_sddl() == text


@given(st.one_of(st.text(max_size=60), st.lists(st.sampled_from(PIECES), max_size=20).map("".join)))
def test_any_text(text: str) -> None:
    read_text(text)
    attempt(Sid.parse, text)
    attempt(sddl.parse_ace, text)


def _mutated_text(text: str, at: int, upto: int, piece: str) -> str:
    at, upto = at % (len(text) + 1), upto % 6
    return text[:at] + piece + text[at + upto :]


@given(
    st.sampled_from(SEEDS) | own.text_descriptors().map(SecurityDescriptor.to_sddl),
    st.lists(
        st.tuples(st.integers(0, 10000), st.integers(0, 5), st.sampled_from(("", *PIECES)) | st.text(max_size=3)),
        min_size=1,
        max_size=4,
    ),
)
def test_damaged_text(text: str, damage: list[tuple[int, int, str]]) -> None:
    for at, upto, piece in damage:
        text = _mutated_text(text, at, upto, piece)
    read_text(text)


@given(st.binary(max_size=120))
def test_any_bytes(raw: bytes) -> None:
    readers: tuple[Callable[[bytes], object], ...] = (Sid.from_bytes, Ace.from_bytes, Acl.from_bytes)
    for read in readers:
        attempt(read, raw)
    read_bytes(raw)
    read_bytes(b"\x01\x00\x14\x80" + raw)


@given(
    own.descriptors.map(SecurityDescriptor.to_bytes),
    st.lists(
        st.tuples(st.integers(0, 100000), st.sampled_from((0, 1, 2, 4, 8, 0x7F, 0x80, 0xFF)) | st.integers(0, 255)),
        max_size=4,
    ),
    st.integers(0, 100000),
    st.binary(max_size=8),
)
def test_damaged_bytes(raw: bytes, damage: list[tuple[int, int]], cut: int, tail: bytes) -> None:
    data = bytearray(raw)
    for at, value in damage:
        data[at % len(data)] = value
    read_bytes(bytes(data))
    read_bytes(bytes(data[: cut % (len(data) + 1)]) + tail)


def test_every_prefix_of_a_descriptor_is_refused() -> None:
    raw = SecurityDescriptor.from_sddl(SEEDS[0]).to_bytes()
    for length in range(len(raw)):
        with pytest.raises(SecurityDataError):
            SecurityDescriptor.from_bytes(raw[:length])
    assert SecurityDescriptor.from_bytes(raw).to_bytes() == raw


def test_every_single_byte_change_is_read_or_refused() -> None:
    """Exhaustive where it is cheap: each byte of a small descriptor set to each of some values."""
    raw = SecurityDescriptor.from_sddl("O:BAG:SYD:P(A;OICI;FA;;;SY)(OA;;CC;;;BU)S:(ML;;NW;;;LW)").to_bytes()
    refused = 0
    for at in range(len(raw)):
        for value in (0, 1, 2, 3, 4, 5, 7, 8, 0x10, 0x14, 0x40, 0x7F, 0x80, 0xFE, 0xFF):
            data = bytearray(raw)
            data[at] = value
            try:
                SecurityDescriptor.from_bytes(bytes(data))
            except SecurityDataError:
                refused += 1
    assert 200 < refused < 15 * len(raw)


# These would take minutes if any step were quadratic; nothing is timed.
LONG = 300_000


@pytest.mark.parametrize(
    "text",
    [
        "D:" + "(" * LONG,
        "D:" + "()" * LONG,
        "D:" + "P" * LONG,
        "D:" + "AI" * LONG + "X",
        "D:" + "(A;;GA;;;WD)" * (LONG // 10) + "(",
        "D:(A;;" + "GA" * LONG + ";;;WD)",
        "D:(A;" + "OI" * LONG + "X;GA;;;WD)",
        "D:(A;;0x" + "f" * LONG + ";;;WD)",
        "D:(A;;" + "9" * LONG + ";;;WD)",
        "O:S-1-" + "5" * LONG,
        "O:S-1-5" + "-1" * LONG,
        "O:S-1-5" + "-1" * LONG + "G:BA",
        "S-1-5" + "-1" * LONG,
        "D:(XA;;GA;;;WD;" + "(" * LONG,
    ],
    ids=range(14),
)
def test_long_texts_are_refused_in_no_time(text: str) -> None:
    assert attempt(Sid.parse, text) is None
    descriptor = attempt(SecurityDescriptor.from_sddl, text)
    assert descriptor is None or text.startswith(("D:PP", "D:(A;;GAGA"))  # repetition is legal


def test_long_lists_are_read_in_linear_time_and_never_written() -> None:
    """65535 entries of four bytes do not fit in 64 KiB, whatever the count says."""
    many = random.Random(5).randbytes(60_000)
    raw = b"\x01\x00\x04\x80" + bytes(12) + (20).to_bytes(4, "little") + b"\x02\x00\xfc\xff\xff\xff\x00\x00" + many
    read_bytes(raw)
    entries = b"\x77\x00\x04\x00" * 16381
    full = (
        b"\x02\x00" + (8 + len(entries)).to_bytes(2, "little") + (16381).to_bytes(2, "little") + b"\x00\x00" + entries
    )
    acl = Acl.from_bytes(full)
    assert acl.to_bytes() == full
    with pytest.raises(SecurityDataError, match="an ACL of 65536 bytes"):
        Acl((*acl, acl[0])).to_bytes()
