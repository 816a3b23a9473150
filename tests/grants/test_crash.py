"""A process that ends at any operation whatever: nothing is left that is not listed, and all can be taken back."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.effort import every
from tests.grants.scenes import ROOT, applied, disk, marked, state_of, write_bits
from winsandbox import grants
from winsandbox.policy import Policy
from winsandbox.testing import SimulatedCrash, SimulatedHost

PLAIN = Policy.workspace(ROOT)
LOW = Policy.workspace(ROOT, protected_subpaths=[".git\\hooks"], integrity="low")


def small() -> SimulatedHost:
    """As few objects as have every role: the scenario is run once for each of its operations."""
    host = SimulatedHost()
    host.mkdir(ROOT)
    host.write_file(ROOT + r"\a.txt", b"a", "D:AI(D;;WD;;;BG)(A;;FA;;;U)(A;ID;FA;;;SY)S:(ML;;NW;;;ME)")
    host.write_file(ROOT + r"\.git\hooks\h", b"h", "D:AI(A;;FA;;;WD)(A;ID;FA;;;U)")
    return host


def first_use(host: SimulatedHost) -> None:
    with state_of(host) as state:
        _, done = applied(host, state, PLAIN)
        scratch = state.scratch(
            session=done._plan.session, user=done._plan.user, stubs={"ssh.cmd": b"exit 1"}, child_files={}
        )
        scratch.remove()
        done.close()


def beside(host: SimulatedHost) -> None:
    """A grant whose protected place lies around that of the session at Low."""
    with state_of(host) as state:
        applied(host, state, Policy.workspace(ROOT, protected_subpaths=[".git"]))[1].close()


def one_session_at_low(host: SimulatedHost) -> None:
    with state_of(host) as state:
        applied(host, state, LOW, keep="session")[1].close()


def forget_it_all(host: SimulatedHost) -> None:
    grants.forget_all(host=host)


def every_step(host: SimulatedHost) -> None:
    first_use(host)
    one_session_at_low(host)
    forget_it_all(host)


def operations(prepare: Callable[[SimulatedHost], None], scenario: Callable[[SimulatedHost], None]) -> int:
    host = small()
    prepare(host)
    before = host.counts["all"]
    scenario(host)
    total = host.counts["all"] - before
    host.close()
    return total


def nothing(host: SimulatedHost) -> None:
    pass


def both(host: SimulatedHost) -> None:
    """Two grants on one root that share a protected place and its guards."""
    first_use(host)
    with state_of(host) as state:
        applied(host, state, Policy.workspace(ROOT, protected_subpaths=[".git", "a.txt"]))[1].close()


@pytest.mark.parametrize(
    ("prepare", "scenario"),
    [(nothing, first_use), (beside, one_session_at_low), (both, forget_it_all)],
    ids=["first use", "a session at Low beside another grant", "forget"],
)
def test_after_a_crash_at_any_operation_all_is_listed_and_can_be_taken_back(
    prepare: Callable[[SimulatedHost], None], scenario: Callable[[SimulatedHost], None]
) -> None:
    total = operations(prepare, scenario)
    assert total > 100
    wrong: list[str] = []
    for n in every(range(1, total + 1)):
        host = small()
        original = disk(host)
        prepare(host)
        host.crash_at(n)
        with pytest.raises(SimulatedCrash):
            scenario(host)
        host = host.restart(new_logon=n % 2 == 0)
        listed = {record.sid for record in grants.list(host=host)}
        unlisted = set().union(*marked(host).values()) - listed
        if unlisted:
            wrong.append(f"operation {n}: on disk and not listed: {unlisted}")
        grants.recover(host=host)
        partial = [
            record for record in grants.list(host=host) if record.state != "complete" or record.keep != "forever"
        ]
        if partial:
            wrong.append(f"operation {n}: left after recover: {partial}")
        grants.forget_all(host=host)
        left = disk(host)
        if left != original:
            names = [name for name in {*left, *original} if left.get(name) != original.get(name)]
            wrong.append(f"operation {n}: changed for good: {sorted(names)}")
        if leftovers(host):
            wrong.append(f"operation {n}: left in the state directory: {leftovers(host)}")
        if host.open_handles():
            wrong.append(f"operation {n}: handles {host.open_handles()}")
        host.close()
    assert not wrong, "\n".join(wrong[:20])


def leftovers(host: SimulatedHost) -> list[str]:
    state = r"C:\Users\alice\AppData\Local\winsandbox"
    return [name for name in host.tree(state) if name and "ledger" not in name] if host.exists(state) else []


def test_after_a_crash_the_next_sandbox_of_the_policy_protects() -> None:
    """The other way on: no recover by hand, just the same policy again, which goes on where the dead one stopped."""
    total = operations(nothing, first_use)
    for n in every(range(1, total + 1), quick=5):
        host = small()
        host.crash_at(n)
        with pytest.raises(SimulatedCrash):
            first_use(host)
        host = host.restart(new_logon=n % 2 == 1)
        with state_of(host) as state:
            _, done = applied(host, state, PLAIN)
            assert not done.violations()
            for name in (r"\.git", r"\.git\hooks", r"\.git\hooks\h", r"\.codex"):
                descriptor = host.descriptor(ROOT + name)
                assert not write_bits(descriptor, done, directory=name[-1] != "h"), (n, name, descriptor.to_sddl())
            assert write_bits(host.descriptor(ROOT + r"\a.txt"), done, directory=False)
            done.close()
        host.close()


def test_the_scenario_itself_leaves_everything_as_it_was() -> None:
    """The positive twin: without a crash the disk is the same to the byte."""
    host = small()
    original = disk(host)
    every_step(host)
    assert disk(host) == original
    assert not leftovers(host)
    assert not host.open_handles()
