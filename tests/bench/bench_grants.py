"""What grants cost: descriptor writes and time, cold, warm and at a change of policy. On a simulated machine.

    python tests/bench/bench_grants.py [OBJECTS]

100,000 objects in three roots, two policies. The reference's way is one propagating write (SetEntriesInAcl and
SetNamedSecurityInfo) for each SID and path: each rewrites the whole tree below that path. Its writes are counted, not
made. Counts are exact; times are ratios of one run, of a simulated disk: the walker's share is what this library adds
to the calls that it makes (open, information, read, write of one descriptor, made here in a plain loop).

Prints one line a measurement. Measures, asserts nothing.
"""

from __future__ import annotations

import sys
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from winsandbox import grants
from winsandbox._apply import Applied, apply, survey_walk
from winsandbox._host import Handle
from winsandbox._plan import Plan, make_plan, session_sid
from winsandbox._security.mask import FILE_LIST_DIRECTORY
from winsandbox._state import State
from winsandbox._survey import survey
from winsandbox._walk import EDIT
from winsandbox.policy import Policy
from winsandbox.testing import SimulatedHost

ABOVE = r"C:\Users\alice\src"
ROOTS = tuple(rf"{ABOVE}\{name}" for name in ("app", "library", "data"))
FIRST = Policy.workspace(ROOTS[0], writable_roots=ROOTS[1:])
SECOND = Policy.workspace(ROOTS[0], writable_roots=ROOTS[1:], protected_subpaths=[".git", "vendor"])


def machine(objects: int) -> SimulatedHost:
    """Three equal trees: a tenth of each is .git, a tenth vendor, the rest sources; ten files a directory."""
    host = SimulatedHost()
    each = objects // len(ROOTS)
    for root in ROOTS:
        for n in range(each * 10 // 11):
            part = (".git\\objects", "vendor", *["src"] * 8)[n // 10 % 10]
            host.write_file(rf"{root}\{part}\{n // 1000}\{n // 10 % 100}\{n}")
    return host


def count(host: SimulatedHost, path: str) -> int:
    return len(host.tree(path))


def plan_of(host: SimulatedHost, state: State, policy: Policy) -> Plan:
    facts = survey(host, policy, state_path=state.path)
    return make_plan(policy, facts, secret=state.secret(), session=session_sid(host.processes.random(12)))


def measured(host: SimulatedHost, action: Callable[[], Applied]) -> tuple[float, int, int, Applied]:
    """(seconds of CPU, descriptor writes, descriptor reads, what it returned)."""
    before, begun = host.counts.copy(), time.process_time()
    done = action()
    seconds = time.process_time() - begun
    writes, reads = (host.counts[kind] - before[kind] for kind in ("set_security", "security"))
    return seconds, writes, reads, done


def bare(host: SimulatedHost, path: str) -> float:
    """Seconds of the same calls in a plain loop: open, information, read, write back, list."""
    begun = time.process_time()
    files = host.files

    def visit(handle: Handle) -> None:
        for entry in files.entries(handle):
            access = EDIT | (FILE_LIST_DIRECTORY if entry.directory else 0)
            with files.open_at(handle, entry.name, access) as child:
                files.info(child)
                files.security(child)  # a descriptor that is written is read twice: see winsandbox/_give.py
                files.set_security(child, files.security(child))
                if entry.directory:
                    visit(child)

    with files.open(path, EDIT | FILE_LIST_DIRECTORY) as handle:
        visit(handle)
    return time.process_time() - begun


def main(objects: int) -> None:
    host = machine(objects)
    total = sum(count(host, root) for root in ROOTS)
    print(f"{total} objects in {len(ROOTS)} roots, one simulated disk")
    plain = sum(bare(host, root) for root in ROOTS)
    with State.open(host) as state:
        reference = 0
        ours = 0
        for name, policy in (("first", FIRST), ("second", SECOND)):
            plan = plan_of(host, state, policy)
            way = 0
            for grant in plan.grants:
                way += count(host, grant.root.path)
                way += sum(count(host, place.path) for place in grant.protected) + len(grant.create)
            if name == "first":
                # Its guards would be one more propagating write for each protected path.
                print(f"  (the reference has no guards; with them its way would take {2 * way - total} writes)")
            spent, writes, reads, done = measured(host, lambda plan=plan: apply(host, plan, state))  # type: ignore[misc]
            done.close()
            reference, ours = reference + way, ours + writes
            print(
                f"cold, {name} policy: {writes} descriptor writes, the reference's way {way} "
                f"({way / max(1, writes):.2f} times); {reads / total:.2f} reads an object; "
                f"{spent / plain:.2f} times the bare calls, so the walker adds "
                f"{(spent - plain) / total * 1e6:.0f} microseconds an object"
            )
        print(f"both policies: {ours} writes, the reference's way {reference} ({reference / ours:.2f} times)")
        for name, policy in (("warm start", SECOND), ("change to the first policy", FIRST), ("and back", SECOND)):
            plan = plan_of(host, state, policy)
            spent, writes, reads, done = measured(host, lambda plan=plan: apply(host, plan, state))  # type: ignore[misc]
            done.close()
            places = sum(1 + len(grant.protected) for grant in plan.grants)
            print(f"{name}: {writes} writes, {reads} reads for {places} roots and places, {spent * 1000:.0f} ms")
        tracemalloc.start()
        for grant in plan.grants:
            survey_walk(host, grant.root, time_limit=None, max_objects=None)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        print(f"memory at its peak while {total} objects are walked: {peak / 1e3:.0f} kB")
        print(f"forget: {grants.forget_all(host=host).changed.count} objects written")
    host.close()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
