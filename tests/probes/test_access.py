"""P1 to P3: which rights the second pass of a write-restricted token takes in, and what an owner keeps."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple

import pytest

from tests.probes.conftest import Probe
from winsandbox._host import Handle
from winsandbox._security.access import check
from winsandbox._security.descriptor import SecurityDescriptor
from winsandbox._security.sid import ADMINISTRATORS, EVERYONE, Sid
from winsandbox._security.token import LOW

MAXIMUM_ALLOWED = 0x2000000
CAP = Sid.parse("S-1-5-21-11-22-33-44")
VECTORS: dict[str, Any] = json.loads((Path(__file__).parent.parent / "vectors" / "access.json").read_text("utf-8"))
# The kinds of token of the vectors that can be made from anybody's own: restricting SIDs beside the capability, flags.
_WRITE_RESTRICTED = 0x1 | 0x4 | 0x8
SEMANTICS: dict[str, Literal["whole", "write-bits"]] = {"A": "whole", "B": "write-bits"}
TOKENS = ("plain", "r", "w", "w_user", "w_low")


class Asked(NamedTuple):
    probe: str
    name: str
    token: str
    sddl: str
    desired: int


OPEN = (
    Asked("P1", "write bits only, FILE_GENERIC_WRITE asked", "w", "D:(A;;0x116;;;C1)(A;;FA;;;U)", 0x120116),
    Asked("P1", "write bits only, the same asked", "w", "D:(A;;0x116;;;C1)(A;;FA;;;U)", 0x116),
    Asked(
        "P1", "a read bit denied, read and write asked", "w", "D:(D;;0x1;;;C1)(A;;0x1301bf;;;C1)(A;;FA;;;U)", 0x12019F
    ),
    Asked("P1", "0x40 denied, all asked", "w", "D:(D;;0x40;;;C1)(A;;FA;;;C1)(A;;FA;;;U)", 0x1F01FF),
    Asked("P1", "a root, MAXIMUM_ALLOWED", "w", "D:(A;;0x1301bf;;;C1)(A;;FA;;;U)", MAXIMUM_ALLOWED),
    Asked("P1", "a profile, MAXIMUM_ALLOWED", "w", "D:(A;;FA;;;U)", MAXIMUM_ALLOWED),
    Asked("P2", "empty list, owner, READ_CONTROL", "w", "D:", 0x20000),
    Asked("P2", "empty list, owner, WRITE_DAC", "w", "D:", 0x40000),
    Asked("P2", "empty list, owner, READ_CONTROL, restricted", "r", "D:", 0x20000),
    Asked("P3", "inherit-only OWNER RIGHTS, WRITE_DAC", "plain", "D:(A;IO;FR;;;OW)", 0x40000),
)


@contextmanager
def token_of(probe: Probe, kind: str) -> Iterator[Handle]:
    """The caller's token, restricted as the vectors' tokens are; administrators deny-only, as theirs."""
    tokens = probe.host.tokens
    with tokens.current() as own:
        info = tokens.inspect(own)
        restricting = [] if kind == "plain" else [EVERYONE, CAP, *([] if info.logon is None else [info.logon])]
        if kind == "w_user":
            restricting.append(info.token.user)
        flags = _WRITE_RESTRICTED if kind.startswith("w") else 0x1
        with tokens.restrict(own, flags=flags, disable=[ADMINISTRATORS], restrict=restricting) as made:
            if kind == "w_low":
                tokens.set_integrity(made, LOW)
            yield made


def descriptor_for(probe: Probe, sddl: str) -> bytes:
    """With the vectors' users replaced by this machine's."""
    with probe.host.tokens.current() as own:
        info = probe.host.tokens.inspect(own)
    user, logon = str(info.token.user), str(info.logon)
    for old, new in ((VECTORS["sids"]["user"], user), (VECTORS["sids"]["logon"], logon), (";;;C1)", f";;;{CAP})")):
        sddl = sddl.replace(old, new)
    sddl = sddl.replace(";;;U)", f";;;{user})")
    return SecurityDescriptor.from_sddl(sddl if sddl.startswith("O:") else f"O:{user}G:BU{sddl}").to_bytes()


@pytest.mark.parametrize("asked", OPEN, ids=lambda asked: f"{asked.probe}-{asked.name}")
def test_open_questions_of_the_access_check(probe: Probe, asked: Asked) -> None:
    descriptor = descriptor_for(probe, asked.sddl)
    with token_of(probe, asked.token) as token:
        granted = probe.host.tokens.access(token, descriptor, asked.desired)
        model = probe.host.tokens.inspect(token).token
    parsed = SecurityDescriptor.from_bytes(descriptor)
    whole = check(parsed, model, asked.desired, second_pass="whole")
    bits = check(parsed, model, asked.desired, second_pass="write-bits")
    answers = {name: result.granted if result.allowed else None for name, result in (("A", whole), ("B", bits))}
    probe.record(
        asked.probe,
        f"{asked.name}: {asked.sddl} asked 0x{asked.desired:x}",
        None if granted is None else f"0x{granted:x}",
        {name: None if answer is None else f"0x{answer:x}" for name, answer in answers.items()},
        token=asked.token,
    )
    assert granted in answers.values(), f"neither semantics: {granted} {answers}"


def test_one_semantics_explains_every_answer(probe: Probe) -> None:
    explained = dict.fromkeys(SEMANTICS, True)
    for asked in OPEN:
        descriptor = descriptor_for(probe, asked.sddl)
        with token_of(probe, asked.token) as token:
            granted = probe.host.tokens.access(token, descriptor, asked.desired)
            model = probe.host.tokens.inspect(token).token
        parsed = SecurityDescriptor.from_bytes(descriptor)
        for name, second in SEMANTICS.items():
            result = check(parsed, model, asked.desired, second_pass=second)
            if (result.granted if result.allowed else None) != granted:
                explained[name] = False
    probe.record("P1", "which semantics explains all answers of P1 to P3", explained, "A")
    assert any(explained.values()), explained


def test_the_vectors_are_answered_as_written(probe: Probe) -> None:
    wrong, asked = [], 0
    with probe.host.tokens.current() as own:
        administrator = any(group.sid == ADMINISTRATORS for group in probe.host.tokens.inspect(own).token.groups)
    for line in VECTORS["access"]:
        if line["type"] != "file" or line["token"] not in TOKENS or line.get("undetermined"):
            continue
        if f"(D;;0x2;;;{ADMINISTRATORS})" in line["sddl"] and not administrator:
            continue  # it is about a member, whose group is deny-only
        asked += 1
        with token_of(probe, line["token"]) as token:
            granted = probe.host.tokens.access(token, descriptor_for(probe, line["sddl"]), int(line["desired"], 16))
        expected = [line["expect"], line.get("expect_if_semantics_B", line["expect"])]
        if not any(_fits(granted, expect) for expect in expected):
            wrong.append({"id": line["id"], "granted": granted, "expect": line["expect"]})
    probe.record("vectors", f"{asked} lines of access.json", {"wrong": wrong}, {"wrong": []})
    assert asked > 25
    assert wrong == []


def _fits(granted: int | None, expect: dict[str, Any]) -> bool:
    if (granted is not None) != expect["ok"]:
        return False
    return "granted" not in expect or granted == int(expect["granted"], 16)
