"""Laws that hold whatever a sandboxed program tries."""

from __future__ import annotations

import contextlib

from hypothesis import given
from hypothesis import strategies as st

from tests.sim.tools import GRANT, PROTECTED, ROOT, WORK, restricted
from winsandbox.testing import SimulatedHost, SimulatedProcess

OUTSIDE = r"D:\outside"
NAMES = [WORK + r"\a", WORK + r"\d\b", WORK + r"\.git\config", WORK + r"\.git", OUTSIDE + r"\a", OUTSIDE + r"\d\b"]
NAMES += [OUTSIDE, WORK + r"\new", OUTSIDE + r"\new", WORK + r"\link\a", WORK + r"\d\new"]
PATHS = st.sampled_from(NAMES)
OPERATIONS = st.one_of(
    st.tuples(st.sampled_from(["write", "append", "mkdir", "remove", "rmdir", "read", "listdir"]), PATHS, st.just("")),
    st.tuples(st.sampled_from(["rename", "replace", "link", "native link", "junction", "security"]), PATHS, PATHS),
)


def perform(process: SimulatedProcess, operation: str, path: str, other: str) -> None:
    if operation in ("write", "append"):
        getattr(process, operation)(path, b"changed")
    elif operation == "native link":
        process.link(path, other, native=True)
    elif operation == "junction":
        process.junction(other, path)
    elif operation == "security":
        process.set_security(path, "D:(A;;FA;;;WD)")
    elif other:
        getattr(process, operation)(path, other)
    else:
        getattr(process, operation)(path)


def prepared() -> SimulatedHost:
    host = SimulatedHost()
    host.mkdir(WORK, ROOT)
    host.mkdir(OUTSIDE, "D:AI(A;OICI;FA;;;U)")
    host.mkdir(WORK + r"\.git", PROTECTED)
    host.write_file(WORK + r"\.git\config", b"kept", PROTECTED)
    for place in (WORK, OUTSIDE):
        host.write_file(place + r"\a", b"kept")
        host.write_file(place + r"\d\b", b"kept")
    host.junction(OUTSIDE, WORK + r"\link")
    return host


@given(st.lists(OPERATIONS, max_size=12))
def test_nothing_appears_or_changes_outside_whatever_is_tried(operations: list[tuple[str, str, str]]) -> None:
    host = prepared()
    before = host.tree(OUTSIDE, descriptors=True)

    def program(process: SimulatedProcess) -> None:
        for operation, path, other in operations:
            with contextlib.suppress(OSError):
                perform(process, operation, path, other)

    with restricted(host) as token:
        host.run_program(program, token=token)
    # Things may vanish (FILE_DELETE_CHILD), and a whole directory too: that is the known hole. Nothing else happens.
    after = host.tree(OUTSIDE, descriptors=True) if host.exists(OUTSIDE) else {}
    assert after.items() <= before.items()
    for name in after:
        if name in ("a", r"d\b"):
            assert host.read_file(f"{OUTSIDE}\\{name}") == b"kept"


@given(st.lists(OPERATIONS, max_size=12))
def test_with_low_integrity_nothing_vanishes_outside_either(operations: list[tuple[str, str, str]]) -> None:
    host = prepared()
    host.set_sddl(WORK, ROOT + "S:(ML;OICI;NW;;;LW)")
    before = host.tree(OUTSIDE, descriptors=True)

    def program(process: SimulatedProcess) -> None:
        for operation, path, other in operations:
            with contextlib.suppress(OSError):
                perform(process, operation, path, other)

    with restricted(host, low=True) as token:
        host.run_program(program, token=token)
    assert host.tree(OUTSIDE, descriptors=True) == before


@given(st.lists(OPERATIONS, max_size=12))
def test_no_protected_content_changes_whatever_is_tried(operations: list[tuple[str, str, str]]) -> None:
    host = prepared()
    identity = host.files.query(WORK + r"\.git\config")
    assert identity is not None

    def program(process: SimulatedProcess) -> None:
        for operation, path, other in operations:
            with contextlib.suppress(OSError):
                perform(process, operation, path, other)

    with restricted(host) as token:
        host.run_program(program, token=token)
    for name, kind in host.tree(WORK).items():
        if kind == "file":
            info = host.files.query(f"{WORK}\\{name}")
            if info is not None and info.identity == identity.identity:
                assert host.read_file(f"{WORK}\\{name}") == b"kept"


@given(st.lists(OPERATIONS, max_size=12))
def test_a_failing_call_leaves_no_handle_and_the_tree_consistent(operations: list[tuple[str, str, str]]) -> None:
    host = prepared()

    def program(process: SimulatedProcess) -> None:
        for operation, path, other in operations:
            with contextlib.suppress(OSError):
                perform(process, operation, path, other)

    host.run_program(program)
    assert host.open_handles() == []
    for place in (WORK, OUTSIDE):
        for name in host.tree(place) if host.exists(place) else ():
            path = f"{place}\\{name}" if name else place
            # Nothing that is still there is held open or waits for its deletion: it can be opened for everything.
            assert host.files.query(path, follow=False) is not None
            assert host.allowed(path, 0x80, host.token)


def test_the_laws_would_see_a_wider_token() -> None:
    host = prepared()
    before = host.tree(OUTSIDE, descriptors=True)
    with restricted(host, GRANT, host.token.model.user) as token:
        host.run_program(lambda p: p.write(OUTSIDE + r"\new", b""), token=token)
    assert not host.tree(OUTSIDE, descriptors=True).items() <= before.items()
