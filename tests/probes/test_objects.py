"""P4 to P8, P15: pins, moves, guards, deletes on a real volume; what a new object inherits, what a stored one keeps."""

from __future__ import annotations

import ntpath

import pytest

from tests.probes.conftest import Probe
from winsandbox._cases import CASES
from winsandbox._operations import Operation
from winsandbox._security.ace import CONTAINER_INHERIT, INHERITED, OBJECT_INHERIT, allow
from winsandbox._security.acl import Acl
from winsandbox._security.descriptor import DACL_AUTO_INHERIT_REQ, DACL_AUTO_INHERITED, SecurityDescriptor
from winsandbox._security.mask import (
    FILE_ADD_FILE,
    FILE_ADD_SUBDIRECTORY,
    FILE_ALL_ACCESS,
    FILE_LIST_DIRECTORY,
    FILE_READ_ATTRIBUTES,
    FILE_TRAVERSE,
    READ_CONTROL,
    WRITE_DAC,
)
from winsandbox._security.sid import EVERYONE, Sid
from winsandbox._trial import run_case

_OPEN = (
    FILE_LIST_DIRECTORY | FILE_TRAVERSE | FILE_READ_ATTRIBUTES | READ_CONTROL | FILE_ADD_FILE | FILE_ADD_SUBDIRECTORY
)
STRANGER = Sid.parse("S-1-5-21-1-2-3-4")


@pytest.mark.parametrize(
    ("number", "name", "guards"),
    [
        ("P4", "delete an empty protected directory", True),
        ("P4", "rename a protected directory", True),
        ("P4", "rename a directory above a protected place", True),
        ("P5", "move into the workspace", True),
        ("P6", "delete inside a protected directory", True),
        ("P6", "delete inside a protected directory", False),
    ],
)
def test_pins_moves_and_guards(probe: Probe, number: str, name: str, guards: bool) -> None:
    case = next(case for case in CASES if case.name == name)
    found = run_case(probe.executor, probe.scene, case, {**probe.policy, "guards": guards}, number=probe.next_number())
    answer = {str(row.attempt.operation): row.outcome.verdict for row in found.rows}
    assumed = {str(row.attempt.operation): row.wanted for row in found.rows}
    probe.record(number, f"{name}, guards {'on' if guards else 'off'}", answer, assumed)
    assert found.ran, answer
    assert answer == assumed


@pytest.mark.parametrize("sddl", ["D:P(A;;FA;;;SY)", "D:P(D;;FA;;;%USER%)"], ids=["not named", "denied"])
def test_what_denies_everything_is_deleted_through_its_directory(probe: Probe, sddl: str) -> None:
    above = _directory(probe, f"p15-{probe.next_number()}")
    answer = {}
    for verb, *words in (("rename", "a", "b"), ("delete", "c")):
        names = [ntpath.join(above, word) for word in words]
        probe.scene.make_file(names[0], b"x")
        probe.scene.set_descriptor(names[0], sddl)
        answer[verb] = probe.executor.by_user(Operation(verb, tuple(names)), above, "").verdict
        for name in names:  # the scratch directory is removed by handles, which ask for more
            probe.executor.by_user(Operation("delete", (name,)), above, "")
    assumed = {"rename": "allowed", "delete": "allowed"}
    probe.record("P15", f"{sddl} in a directory of full control, by its user", answer, assumed)
    assert answer["delete"] == "allowed"
    assert probe.real or answer == assumed


def _directory(probe: Probe, name: str) -> str:
    path = ntpath.join(probe.scene.path, name)
    probe.scene.make_directory(path)
    return path


def _stored(probe: Probe, path: str) -> SecurityDescriptor:
    with probe.host.files.open(path, READ_CONTROL) as handle:
        return SecurityDescriptor.from_bytes(probe.host.files.security(handle))


def test_an_explicit_descriptor_at_creation_keeps_inherited_entries_out(probe: Probe) -> None:
    above = _directory(probe, "p7")
    with probe.host.tokens.current() as own:
        user = probe.host.tokens.inspect(own).token.user
    tree = OBJECT_INHERIT | CONTAINER_INHERIT
    given = SecurityDescriptor(dacl=Acl([allow(user, FILE_ALL_ACCESS, tree), allow(STRANGER, 0x1200A9, tree)]))
    with (
        probe.host.files.open(above, _OPEN) as handle,
        probe.host.files.create_directory(handle, "made", _OPEN, descriptor=given.to_bytes()) as made,
    ):
        stored = SecurityDescriptor.from_bytes(probe.host.files.security(made))
        plain = probe.host.files.create_directory(handle, "plain", _OPEN)
    with plain:
        inherited = SecurityDescriptor.from_bytes(probe.host.files.security(plain))
    answer = [str(ace.sid) for ace in stored.dacl or ()]
    probe.record("P7", "the entries of a directory made with a list of its own", stored.to_sddl(), given.to_sddl())
    assert answer == [str(user), str(STRANGER)]
    assert any(ace.flags & INHERITED for ace in inherited.dacl or ()), inherited.to_sddl()


@pytest.mark.parametrize("asked", [True, False], ids=["AUTO_INHERIT_REQ", "without"])
def test_a_raw_write_keeps_auto_inherited_only_with_the_request(probe: Probe, asked: bool) -> None:
    path = _directory(probe, f"p8-{asked}")
    before = _stored(probe, path)
    assert before.dacl is not None
    extra = allow(EVERYONE, 0x1200A9, OBJECT_INHERIT | CONTAINER_INHERIT)
    control = DACL_AUTO_INHERITED | (DACL_AUTO_INHERIT_REQ if asked else 0)
    given = before.replace(dacl=Acl([extra, *before.dacl]), control=before.control | control)
    with probe.host.files.open(path, READ_CONTROL | WRITE_DAC) as handle:
        probe.host.files.set_security(handle, given.to_bytes())
    stored = _stored(probe, path)
    child = _directory(probe, rf"p8-{asked}\child")
    flags = [ace.flags & INHERITED for ace in _stored(probe, child).dacl or () if ace.sid == EVERYONE]
    answer = {"stored": bool(stored.control & DACL_AUTO_INHERITED), "child carries ID": all(flags) and bool(flags)}
    assumed = {"stored": asked, "child carries ID": asked}
    probe.record("P8", f"raw write with AUTO_INHERITED, request {asked}", answer, assumed)
    assert flags, "the child inherited nothing"
    assert answer == assumed
