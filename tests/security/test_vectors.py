"""Every line of vectors/access.json (see vectors/README.md)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from winsandbox._security import access, inherit, mask, sddl
from winsandbox._security.ace import INHERITED
from winsandbox._security.descriptor import (
    DACL_AUTO_INHERIT_REQ,
    DACL_AUTO_INHERITED,
    DACL_PROTECTED,
    SecurityDescriptor,
)
from winsandbox._security.sid import Sid
from winsandbox._security.token import GROUP_ENABLED, GROUP_USE_FOR_DENY_ONLY, Group, Token

VECTORS: dict[str, Any] = json.loads((Path(__file__).parent.parent / "vectors" / "access.json").read_text("utf-8"))
MAPPINGS = {
    "file": mask.FILE,
    "key": mask.KEY,
    "process": mask.PROCESS,
    "event": mask.EVENT,
    "mutant": mask.MUTANT,
    "section": mask.SECTION,
    "token": mask.TOKEN,
}
STATES = {"on": GROUP_ENABLED, "deny": GROUP_USE_FOR_DENY_ONLY, "off": 0}


def make_token(recipe: dict[str, Any]) -> Token:
    restricting = recipe.get("restricting")
    return Token(
        Sid.parse(recipe["user"]),
        tuple(Group(Sid.parse(sid), STATES[state]) for sid, state in recipe["groups"]),
        restricting=None if restricting is None else tuple(map(Sid.parse, restricting)),
        write_restricted=recipe.get("write_restricted", False),
        privileges=frozenset(recipe.get("privileges", ())),
        integrity=recipe.get("integrity", 0x2000),
    )


TOKENS = {name: make_token(recipe) for name, recipe in VECTORS["tokens"].items()}
DETERMINED = [line for line in VECTORS["access"] if not line.get("undetermined")]
UNDETERMINED = [line for line in VECTORS["access"] if line.get("undetermined")]


def ask(line: dict[str, Any], second_pass: Any) -> access.AccessResult:
    descriptor = SecurityDescriptor.from_sddl(line["sddl"])
    return access.check(
        descriptor, TOKENS[line["token"]], int(line["desired"], 16), MAPPINGS[line["type"]], second_pass=second_pass
    )


def matches(result: access.AccessResult, expect: dict[str, Any]) -> bool:
    if result.allowed != expect["ok"]:
        return False
    return "granted" not in expect or result.granted == int(expect["granted"], 16)


def test_the_file_is_the_one_described() -> None:
    assert VECTORS["format"] == 1
    assert len(DETERMINED) + len(UNDETERMINED) == len(VECTORS["access"]) > 70
    assert {line["type"] for line in VECTORS["access"]} <= set(MAPPINGS)


@pytest.mark.parametrize("line", DETERMINED, ids=lambda line: line["id"])
def test_access(line: dict[str, Any]) -> None:
    whole = ask(line, "whole")
    assert matches(whole, line["expect"]), (line["why"], whole)
    per_bit = ask(line, "write-bits")
    assert matches(per_bit, line.get("expect_if_semantics_B", line["expect"])), (line["why"], per_bit)
    assert whole.reason
    assert whole.reason.startswith("step")
    could = access.could(
        SecurityDescriptor.from_sddl(line["sddl"]),
        TOKENS[line["token"]],
        int(line["desired"], 16),
        MAPPINGS[line["type"]],
    )
    assert could.allowed == (whole.allowed or per_bit.allowed)


@pytest.mark.parametrize("line", UNDETERMINED, ids=lambda line: line["id"])
def test_undetermined_access_has_the_two_published_readings(line: dict[str, Any]) -> None:
    """No source says which is right: asserted is only that the model can say both."""
    readings = [line["expect"], line.get("expect_if_semantics_B", line["expect"])]
    answers = [ask(line, "whole"), ask(line, "write-bits")]
    print(line["id"], "undetermined:", [f"{answer.allowed} {answer.granted:#x}" for answer in answers])
    assert all(any(matches(answer, reading) for reading in readings) for answer in answers)


@pytest.mark.parametrize("name", sorted(MAPPINGS))
def test_generic_mapping_and_write_mask(name: str) -> None:
    mapping = MAPPINGS[name]
    expected = [int(value, 16) for value in VECTORS["generic_mapping"][name]]
    assert [mapping.read, mapping.write, mapping.execute, mapping.all] == expected
    assert mapping.write_mask == int(VECTORS["write_restricted_mask"][name], 16)


OWNER = Sid.parse(VECTORS["sids"]["user"])


def inherit_text(parent: str, *, is_container: bool) -> list[str]:
    aces = inherit.inherited_aces(
        [sddl.parse_ace(parent)],
        is_container=is_container,
        owner=OWNER,
        group=OWNER,
        mapping=mask.FILE,
        auto_inherited=True,
    )
    return [sddl.format_ace(ace) for ace in aces]


def same(texts: list[str]) -> list[str]:
    return [sddl.format_ace(sddl.parse_ace(text)) for text in texts]


@pytest.mark.parametrize("line", VECTORS["inheritance"], ids=lambda line: line["parent_flags"] or "none")
def test_inherited_flags(line: dict[str, Any]) -> None:
    parent = f"(A;{line['parent_flags']};0x1200a9;;;BU)"
    for key, is_container in (("child_file", False), ("child_dir", True)):
        expected = [] if line[key] is None else [f"(A;{line[key]};0x1200a9;;;BU)"]
        assert inherit_text(parent, is_container=is_container) == same(expected), key


@pytest.mark.parametrize("line", VECTORS["inheritance_extra"], ids=lambda line: line["parent"])
def test_inherited_pairs(line: dict[str, Any]) -> None:
    file = [] if line["child_file"] is None else [line["child_file"]]
    assert inherit_text(line["parent"], is_container=False) == same(file), line["why"]
    assert inherit_text(line["parent"], is_container=True) == same(line["child_dir"]), line["why"]


@pytest.mark.parametrize("line", VECTORS["control_bits"], ids=lambda line: "".join(map(str, line["set"].values())))
def test_control_bits(line: dict[str, Any]) -> None:
    given = line["set"]
    control = (
        given["auto_inherited"] * DACL_AUTO_INHERITED
        | given["auto_inherit_req"] * DACL_AUTO_INHERIT_REQ
        | given["protected"] * DACL_PROTECTED
    )
    parent = SecurityDescriptor.from_sddl("O:BAG:BAD:(A;OICI;FA;;;BU)")
    stored = inherit.stored(parent.replace(control=parent.control | control))
    assert bits(stored) == line["stored"]
    token = Token(OWNER)
    for is_container in (False, True):
        child = inherit.child(stored, is_container=is_container, token=token)
        assert child.dacl
        assert {
            "auto_inherited": bits(child)["auto_inherited"],
            "protected": bits(child)["protected"],
            "ace_inherited_flag": int(bool(child.dacl[0].flags & INHERITED)),
        } == line["child"]


def bits(descriptor: SecurityDescriptor) -> dict[str, int]:
    return {
        "auto_inherited": int(bool(descriptor.control & DACL_AUTO_INHERITED)),
        "auto_inherit_req": int(bool(descriptor.control & DACL_AUTO_INHERIT_REQ)),
        "protected": int(bool(descriptor.control & DACL_PROTECTED)),
    }
