"""Any sequence of sandboxes, crashes, recoveries, forgetting and other people's edits, on a simulated machine.

The laws, checked after every step, for all objects at and below the roots:

* foreign_entries_stay: every entry that is not ours is where it was, byte for byte, with the control bits;
* nothing_unlisted: no grant is on disk that the ledger does not list;
* protected_stays_closed: no live sandbox can write a protected place of its policy, through whatever entry;
* roots_stay_open: what is not protected can be written (the positive twin), unless its grant was forgotten by force;

and at the end, after forget_all, every descriptor is the original again.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, field

from hypothesis import Phase, settings, stateful
from hypothesis import strategies as st

from tests.grants.scenes import ABOVE, ROOT, marked, plan_of, state_of, write_bits
from winsandbox import grants
from winsandbox._apply import Applied, apply
from winsandbox._edits import is_stale
from winsandbox._ledger import Keep
from winsandbox._plan import is_tagged
from winsandbox._security.acl import Acl
from winsandbox._security.descriptor import SecurityDescriptor
from winsandbox._state import State
from winsandbox.errors import GrantInUse
from winsandbox.policy import Policy
from winsandbox.testing import SimulatedCrash, SimulatedHost

OTHER = ABOVE + r"\other"
POLICIES = {
    "default": Policy.workspace(ROOT),
    "hooks only": Policy.workspace(ROOT, protected_subpaths=[r".git\hooks"]),
    "more": Policy.workspace(ROOT, protected_subpaths=[".git", "docs", r"src\deep\secret"]),
    "low": Policy.workspace(ROOT, integrity="low"),
    "unguarded": Policy.workspace(ROOT, guards=False),
    "two roots": Policy.workspace(ROOT, writable_roots=[OTHER]),
    "inner root": Policy.workspace(ROOT + r"\src", protected_subpaths=["deep"]),
}
FILES = (
    r"\a.txt",
    r"\.git\config",
    r"\.git\hooks\h",
    r"\docs\d.txt",
    r"\src\m.py",
    r"\src\deep\secret",
    r"\src\deep\x",
)
# None of these gives a write right to a restricting SID: that would be somebody opening a protected place on purpose,
# which a warm start cannot see.
FOREIGN = ("(D;;WD;;;BG)", "(A;;FR;;;WD)", "(A;OICI;0x1200a9;;;NS)", "(A;ID;FR;;;LS)", "(D;CI;DT;;;BG)")
DEEP = os.environ.get("HYPOTHESIS_PROFILE") == "deep"


def foreign(raw: bytes) -> SecurityDescriptor:
    """A descriptor without everything of ours, and without its label."""
    old = SecurityDescriptor.from_bytes(raw)
    kept = [
        ace
        for ace in old.dacl or ()
        if not (
            ace.sid is not None
            and (is_tagged(ace.sid) or (str(ace.sid)[:8] == "S-1-5-5-" and is_stale(ace, [ace.sid])))
        )
    ]
    return SecurityDescriptor(old.owner, old.group, old.control & ~0x2A30, None if old.dacl is None else Acl(kept))


@dataclass
class Live:
    """A sandbox that runs, in one of two processes."""

    host: SimulatedHost
    state: State
    applied: Applied
    policy: str
    forced: bool = False
    closed: list[str] = field(default_factory=list)


class Grants(stateful.RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.host = SimulatedHost()
        for name in FILES:
            self.host.write_file(ROOT + name, b"x")
        self.host.write_file(OTHER + r"\o.txt", b"x", "D:P(A;;FA;;;U)")
        self.host.write_file(OTHER + r"\.git\config", b"x")
        self.host.set_sddl(ROOT + r"\a.txt", "D:AI(D;;WD;;;BG)(A;;FA;;;U)(A;ID;FA;;;SY)S:(ML;;NR;;;ME)")
        self.second = self.host.second_process()
        self.live: list[Live] = []
        self.expected = {name: foreign(raw) for name, raw in self.disk().items()}
        self.original = self.disk()
        self.made = 0

    def disk(self) -> dict[str, bytes]:
        return {
            name: self.host.descriptor_bytes(f"{ABOVE}\\{name}" if name else ABOVE) for name in self.host.tree(ABOVE)
        }

    # -- what happens -------------------------------------------------------------------------------------------------

    def start(self, host: SimulatedHost, policy: str, keep: Keep) -> None:
        state = state_of(host)
        plan = plan_of(host, state, POLICIES[policy])
        self.live.append(Live(host, state, apply(host, plan, state, keep=keep), policy))

    @stateful.rule(
        policy=st.sampled_from(sorted(POLICIES)), keep=st.sampled_from(["forever", "session"]), other=st.booleans()
    )
    def open_sandbox(self, policy: str, keep: Keep, other: bool) -> None:
        if len(self.live) < 4:
            self.start(self.second if other else self.host, policy, keep)

    @stateful.rule(index=st.integers(0, 3))
    def close_sandbox(self, index: int) -> None:
        if index < len(self.live):
            one = self.live.pop(index)
            one.applied.close()
            one.state.close()

    @stateful.rule(
        policy=st.sampled_from(sorted(POLICIES)), n=st.integers(1, 400), new_logon=st.booleans(), session=st.booleans()
    )
    def crash_while_applying(self, policy: str, n: int, new_logon: bool, session: bool) -> None:
        self.host.crash_at(n)
        with suppress(SimulatedCrash):
            self.start(self.host, policy, "session" if session else "forever")
        self.restarted(new_logon)

    @stateful.rule(n=st.integers(1, 300), force=st.booleans())
    def crash_while_forgetting(self, n: int, force: bool) -> None:
        self.host.crash_at(n)
        try:
            self.forget(force)
        except SimulatedCrash:
            for one in self.live:
                one.forced = one.forced or force  # perhaps: it may have come to this one's grants, or not
        self.restarted(False)

    @stateful.rule(n=st.integers(1, 300))
    def crash_while_closing(self, n: int) -> None:
        mine = [one for one in self.live if one.host is self.host]
        if not mine:
            return
        self.host.crash_at(n)
        with suppress(SimulatedCrash):
            mine[0].applied.close()
        self.restarted(False)

    def restarted(self, new_logon: bool) -> None:
        dead = self.host
        self.host = dead.restart(new_logon=new_logon)
        self.live = [one for one in self.live if one.host is not dead]

    @stateful.rule()
    def recover(self) -> None:
        grants.recover(host=self.host)

    @stateful.rule(force=st.booleans())
    def forget(self, force: bool) -> None:
        try:
            grants.forget_all(host=self.host, force=force)
        except GrantInUse:
            assert self.live
            assert not force
            return
        if force:
            for one in self.live:
                one.forced = True
        assert force or not self.live or all(one.forced for one in self.live)

    @stateful.rule(
        name=st.sampled_from(FILES), entry=st.sampled_from(FOREIGN), at=st.integers(0, 6), above=st.booleans()
    )
    def somebody_edits(self, name: str, entry: str, at: int, above: bool) -> None:
        path = ROOT + (name.rpartition("\\")[0] if above else name)
        old = self.host.descriptor(path)
        new = SecurityDescriptor.from_sddl(f"D:{entry}").dacl
        if old.dacl is None or new is None:
            return
        at = min(at, len(old.dacl))
        dacl = old.dacl.with_aces([*old.dacl[:at], *new, *old.dacl[at:]])
        self.put(path, old.replace(dacl=dacl))

    def put(self, path: str, descriptor: SecurityDescriptor) -> None:
        self.host.set_sddl(path, descriptor.to_sddl())
        descriptor = self.host.descriptor(path)
        key = path[len(ABOVE) + 1 :]
        self.expected[key] = foreign(descriptor.to_bytes())
        before = SecurityDescriptor.from_bytes(self.original[key])
        mine = self.expected[key].dacl
        self.original[key] = before.replace(dacl=mine).to_bytes()

    @stateful.rule(where=st.sampled_from(["", r"\.git", r"\src", r"\docs"]))
    def somebody_makes_a_file(self, where: str) -> None:
        self.made += 1
        path = rf"{ROOT}{where}\new{self.made}"
        self.host.write_file(path, b"x")
        raw = self.host.descriptor_bytes(path)
        key = path[len(ABOVE) + 1 :]
        self.expected[key] = foreign(raw)
        self.original[key] = foreign(raw).to_bytes()

    # -- what always holds --------------------------------------------------------------------------------------------

    @stateful.invariant()
    def foreign_entries_stay(self) -> None:
        for name, raw in self.disk().items():
            if name in self.expected:
                now = foreign(raw)
                assert now == self.expected[name], (name, now.to_sddl(), self.expected[name].to_sddl())

    @stateful.invariant()
    def nothing_unlisted(self) -> None:
        listed = {record.sid for record in grants.list(host=self.host)}
        found: set[str] = set().union(*marked(self.host).values())
        assert found <= listed, found - listed

    @stateful.invariant()
    def protected_stays_closed(self) -> None:
        tree = self.host.tree(ABOVE)
        for one in self.live:
            plan = one.applied._plan
            for grant in plan.grants:
                places = [place.path for place in grant.protected]
                places += [f"{grant.root.path}\\{name}" for name in grant.create]
                for place in places:
                    inside = place[len(ABOVE) + 1 :]
                    for name in tree:
                        if name == inside or name.startswith(inside + "\\"):
                            directory = tree[name] == "directory"
                            bits = write_bits(
                                self.host.descriptor(f"{ABOVE}\\{name}"),
                                one.applied,
                                directory=directory and plan.guards,
                            )
                            assert not bits, (one.policy, name, hex(bits), self.host.sddl(f"{ABOVE}\\{name}"))

    @stateful.invariant()
    def roots_stay_open(self) -> None:
        for one in self.live:
            if one.forced:
                continue
            path = ROOT + (r"\src\m.py")
            bits = write_bits(self.host.descriptor(path), one.applied, directory=False)
            assert bits & 0x10116 == 0x10116, (one.policy, hex(bits), self.host.sddl(path))

    def teardown(self) -> None:
        for one in self.live:
            one.applied.close()
            one.state.close()
        grants.recover(host=self.host)
        grants.forget_all(host=self.host)
        left = self.disk()
        assert sorted(left) == sorted(self.original)
        for name, raw in left.items():
            now, then = SecurityDescriptor.from_bytes(raw), SecurityDescriptor.from_bytes(self.original[name])
            assert now == then, (name, now.to_sddl(), then.to_sddl())
        assert not grants.list(host=self.host)
        assert not self.host.open_handles()
        self.host.close()


TestGrants = Grants.TestCase
# Finding the shortest sequence takes minutes; the laws name the object and the entry anyway.
TestGrants.settings = settings(
    phases=[Phase.explicit, Phase.generate] if not DEEP else list(Phase),
    max_examples=400 if DEEP else 12,
    stateful_step_count=40 if DEEP else 20,
)
