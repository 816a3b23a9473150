"""prove: what it shows, what it records, and that it leaves nothing behind, whatever happens in the middle."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress

import pytest

from tests.capabilities import elevation, needs
from tests.cli.commandline import ROOT
from tests.conformance.hosts import Unrestricted
from tests.packaging.interpreter import answer
from winsandbox import (
    Aspect,
    Basis,
    EnforcementError,
    Level,
    Policy,
    Sandbox,
    UnsupportedHost,
    WinError,
    _cases,
    _scene,
)
from winsandbox._host import default_host
from winsandbox._state import State
from winsandbox.prove import Proof, prove
from winsandbox.testing import SimulatedCrash, SimulatedHost

PROFILE = r"C:\Users\alice"
WORKSPACE = PROFILE + r"\project"


@pytest.fixture
def host() -> Iterator[SimulatedHost]:
    with SimulatedHost() as made:
        made.mkdir(WORKSPACE + r"\.git")
        yield made


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only some of the cases, for what does not depend on their number."""
    names = ("write outside", "write in a protected directory", "a grant that is on disk but not in the token")
    monkeypatch.setattr(_cases, "CASES", tuple(case for case in _cases.CASES if case.name in names))


def lying(host: SimulatedHost) -> dict[str, str]:
    """What lies in the profile but for the state directory, which the user's own ledger may have made."""
    state = r"AppData\Local\winsandbox"
    return {name: kind for name, kind in host.tree(PROFILE).items() if not name.startswith(state)}


def result_of(proof: Proof, name: str) -> str:
    return next(case.result for entry in proof.aspects for case in entry.cases if case.name == name)


def level_of(proof: Proof, aspect: Aspect) -> tuple[Level, bool]:
    return next((entry.level, entry.proven) for entry in proof.aspects if entry.aspect is aspect)


def recorded(host: SimulatedHost, policy: Policy) -> set[Aspect]:
    with State.open(host) as state:
        return set(state.proven(policy))


@needs("not wine")
def test_a_proof_is_what_require_proven_asks_for(host: SimulatedHost) -> None:
    policy = Policy.workspace(WORKSPACE)
    with pytest.raises(EnforcementError, match="not proven"), Sandbox(policy, host=host, require="proven"):
        pass
    before, handles = lying(host), host.open_handles()
    seen: list[tuple[int, int, str]] = []
    proof = prove(policy, host=host, progress=lambda *given: seen.append(given))
    assert proof.holds
    assert proof.recorded
    assert proof.notes == ()
    assert lying(host) == before
    # The private desktop is made once and serves every later sandbox of the process.
    assert [handle for handle in host.open_handles() if "desktop" not in handle] == handles
    assert host.running() == []
    assert [number for number, _, _ in seen] == list(range(len(seen)))
    assert len(seen) == sum(len(entry.cases) for entry in proof.aspects)
    with Sandbox(policy, host=host, require="proven") as sandbox:
        assert sandbox.enforcement[Aspect.WRITES_OUTSIDE].basis is Basis.PROVEN
        assert sandbox.enforcement[Aspect.READS].basis is not Basis.PROVEN


@needs("not wine")
def test_a_proof_shows_the_known_holes_and_promises_nothing_about_them(host: SimulatedHost) -> None:
    proof = prove(host=host)
    assert result_of(proof, "write outside") == "held"
    assert result_of(proof, "delete outside") == "open"
    assert level_of(proof, Aspect.DELETES_OUTSIDE) == (Level.NONE, False)
    assert level_of(proof, Aspect.PROTECTED_PLACES) == (Level.PARTIAL, True)
    assert level_of(proof, Aspect.LIMITS) == (Level.ENFORCED, True)
    assert level_of(proof, Aspect.CONSOLE) == (Level.PARTIAL, True)
    assert level_of(proof, Aspect.USER_INTERFACE) == (Level.PARTIAL, True)
    text = proof.to_text()
    assert "delete %OUTSIDE%" in text
    assert "recorded" in text.splitlines()[-1]
    assert json.loads(json.dumps(proof.to_dict()))["holds"] is True
    low = prove(Policy.read_only(integrity="low"), host=host)
    assert result_of(low, "delete outside") == "held"
    assert level_of(low, Aspect.DELETES_OUTSIDE) == (Level.PARTIAL, True)


@pytest.mark.usefixtures("few")
def test_a_proof_counts_for_its_configuration_and_kind_of_volume_only(host: SimulatedHost) -> None:
    host.add_volume("E:", filesystem="ReFS")
    host.mkdir(r"E:\project")
    elsewhere = Policy.workspace(r"E:\project")
    proof = prove(elsewhere, host=host)
    assert proof.recorded
    assert any("E:" in note for note in proof.notes)
    assert Aspect.WRITES_OUTSIDE in recorded(host, Policy.workspace(WORKSPACE))
    assert Aspect.WRITES_OUTSIDE in recorded(host, Policy.read_only())
    assert recorded(host, elsewhere) == set()
    assert recorded(host, Policy.workspace(WORKSPACE, integrity="low")) == set()
    assert recorded(host, Policy.workspace(WORKSPACE, guards=False)) == set()


@pytest.mark.usefixtures("few")
def test_a_proof_can_be_shown_without_being_kept(host: SimulatedHost) -> None:
    proof = prove(host=host, record=False)
    assert proof.holds
    assert not proof.recorded
    assert not host.exists(PROFILE + r"\AppData\Local\winsandbox")


@pytest.mark.usefixtures("few")
def test_a_host_that_restricts_nothing_is_not_believed() -> None:
    with Unrestricted() as host:
        proof = prove(host=host)
        assert not proof.holds
        assert not proof.recorded
        assert result_of(proof, "write outside") == "got through"
        assert level_of(proof, Aspect.WRITES_OUTSIDE) == (Level.NONE, False)
        assert "does not enforce" in proof.to_text()
        assert recorded(host, Policy.read_only()) == set()
        assert [name for name in lying(host) if "prove" in name] == []


@pytest.mark.usefixtures("few")
def test_a_host_on_which_nothing_starts_proves_nothing(host: SimulatedHost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_scene, "simulated_tool", lambda process: 0xC0000142)
    proof = prove(host=host)
    assert not proof.holds
    assert not proof.recorded
    assert {case.result for entry in proof.aspects for case in entry.cases} == {"not shown"}
    assert level_of(proof, Aspect.WRITES_OUTSIDE) == (Level.UNKNOWN, False)


@needs("not wine")
@pytest.mark.usefixtures("few")
@pytest.mark.parametrize(
    ("kind", "n"),
    [
        *(("create_directory", n) for n in (1, 2, 5, 9)),
        *(("create_file", n) for n in (1, 2)),
        *(("set_security", n) for n in (1, 4)),
        *(("start", n) for n in (1, 3)),
        *(("open", n) for n in (1, 2, 20)),
        *(("restrict", n) for n in (1, 2)),
        *(("query", n) for n in (1, 30)),
    ],
)
def test_nothing_is_left_when_a_step_fails(host: SimulatedHost, kind: str, n: int) -> None:
    before = lying(host)
    host.fail(kind, n, 5)
    with suppress(WinError):  # a step of prove's own; what a case needs makes that case "not shown"
        proof = prove(host=host)
        assert proof.to_text()
    assert lying(host) == before
    assert host.running() == []


@needs("not wine")
@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("n", [20, 60, 150, 400, 800])
def test_what_a_crash_leaves_is_removed_by_the_next_proof(host: SimulatedHost, n: int) -> None:
    before = lying(host)
    host.crash_at(n)
    with pytest.raises(SimulatedCrash):
        prove(host=host)
    after = host.restart()
    proof = prove(host=after)
    assert proof.holds
    assert proof.notes == ()
    assert lying(after) == before


@pytest.mark.usefixtures("few")
def test_a_proof_that_still_runs_is_left_alone(host: SimulatedHost) -> None:
    process = host.processes.current()
    running = rf"{PROFILE}\winsandbox-prove-{process.pid}-{process.created}"
    other = host.second_process()
    host.mkdir(running + r"\case-0")
    host.mkdir(PROFILE + r"\winsandbox-prove-mine")
    prove(host=other, record=False)
    assert host.exists(running + r"\case-0")
    assert host.exists(PROFILE + r"\winsandbox-prove-mine")


def test_a_caller_that_cannot_have_a_sandbox_is_told_so() -> None:
    for host in (SimulatedHost.sandboxed(), SimulatedHost.administrator(elevated=True)):
        with host, pytest.raises(UnsupportedHost):
            prove(host=host)


@pytest.mark.usefixtures("few")
def test_an_elevated_caller_proves_the_lowered_token() -> None:
    with SimulatedHost.administrator(elevated=True) as host:
        proof = prove(Policy.read_only(elevated="lower"), host=host)
        assert proof.holds
        assert proof.recorded


def test_importing_it_loads_next_to_nothing() -> None:
    loaded = answer(
        "import json, winsandbox.prove\nprint(json.dumps([name for name in sys.modules if 'winsandbox' in name]))",
        path=ROOT,
    )
    assert [name for name in loaded if "._" in name] == []


@needs("wine")
@pytest.mark.usefixtures("few")
def test_wine_is_not_believed() -> None:
    proof = prove(Policy.read_only(elevated=elevation()), host=default_host())
    assert not proof.holds
    assert not proof.recorded
    assert level_of(proof, Aspect.WRITES_OUTSIDE)[1] is False


@needs("real windows")
def test_this_machine_enforces_what_it_should() -> None:
    proof = prove(Policy.read_only(elevated=elevation()), host=default_host(), record=False)
    assert proof.holds, proof.to_text()
    assert proof.notes == ()
