"""Any sequence of sandboxes, crashes, recoveries, forgetting and other people's edits, on a simulated machine.

The laws, checked after every step, for all objects at and below the roots:

* foreign_entries_stay: every entry that is not ours is where it was, byte for byte, with the control bits;
* nothing_unlisted: no grant is on disk that the ledger does not list;
* protected_stays_closed: no live sandbox can write a protected place of its policy, through whatever entry: by the
  descriptors, and by a child with the real token that tries;
* roots_stay_open: what is not protected can be written (the positive twin), unless its grant was forgotten by force;

and at the end, after forget_all, every descriptor is the original again.

The exceptions are the ones that the report of a sandbox names: what the user himself opens or moves into a protected
place while a sandbox runs is open for that one (``Live.opened``), and closed for each that starts later; and what is
moved out of its root keeps its entries there (``strayed``), where `scan` finds them. A guard that is moved out of its
protected place is not found again (``moved``): it names the logon session, and dies with it.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

from hypothesis import Phase, settings, stateful
from hypothesis import strategies as st

from tests.effort import DEEP, IN_WINE
from tests.grants.scenes import ABOVE, ROOT, marked, plan_of, state_of, write_bits
from winsandbox import grants
from winsandbox._apply import Applied, apply
from winsandbox._edits import is_stale
from winsandbox._host import Handle
from winsandbox._ledger import Keep
from winsandbox._plan import is_tagged
from winsandbox._security.ace import INHERITED
from winsandbox._security.acl import Acl
from winsandbox._security.descriptor import DACL_AUTO_INHERITED, DACL_PROTECTED, SecurityDescriptor
from winsandbox._security.inherit import inherited_aces
from winsandbox._security.sid import EVERYONE
from winsandbox._state import State
from winsandbox._token import make_token
from winsandbox.errors import GrantInUse
from winsandbox.policy import Policy
from winsandbox.testing import SimulatedCrash, SimulatedHost, SimulatedProcess

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
# None of these gives a write right to a restricting SID.
FOREIGN = ("(D;;WD;;;BG)", "(A;;FR;;;WD)", "(A;OICI;0x1200a9;;;NS)", "(A;ID;FR;;;LS)", "(D;CI;DT;;;BG)")
# These do: to everyone, and (GRANT) to some other grant that is on disk.
OPENING = ("(A;;FA;;;WD)", "(A;OICI;0x1301bf;;;WD)", "(A;;0x1301bf;;;GRANT)")
INSIDE = ("", r"\.git", r"\.git\hooks", r"\docs", r"\src", r"\src\deep")
BOUNDS = ("project", "other", r"project\src")  # the roots of the policies
# What a child may ask for, one by one: data, append, EA, attributes, DELETE, WRITE_DAC, WRITE_OWNER.
RIGHTS = (0x2, 0x4, 0x10, 0x100, 0x10000, 0x40000, 0x80000)


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
    token: Handle
    policy: str
    forced: bool = False
    opened: set[str] = field(default_factory=set)

    def close(self) -> None:
        self.token.close()
        self.applied.close()
        self.state.close()


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
        self.movable: list[str] = []
        self.strayed: set[str] = set()
        self.moved: set[str] = set()
        self.starts = 0

    def disk(self) -> dict[str, bytes]:
        return {
            name: self.host.descriptor_bytes(f"{ABOVE}\\{name}" if name else ABOVE) for name in self.host.tree(ABOVE)
        }

    # -- what happens -------------------------------------------------------------------------------------------------

    def start(self, host: SimulatedHost, policy: str, keep: Keep) -> None:
        state = state_of(host)
        plan = plan_of(host, state, POLICIES[policy])
        token, _ = make_token(host, plan.token, require="full")
        self.live.append(Live(host, state, apply(host, plan, state, keep=keep), token, policy))
        self.starts += 1

    @stateful.initialize(policy=st.sampled_from(sorted(POLICIES)))
    def first_sandbox(self, policy: str) -> None:
        self.start(self.host, policy, "forever")

    @stateful.rule(
        policy=st.sampled_from(sorted(POLICIES)), keep=st.sampled_from(["forever", "session"]), other=st.booleans()
    )
    def open_sandbox(self, policy: str, keep: Keep, other: bool) -> None:
        if len(self.live) < 3:
            self.start(self.second if other else self.host, policy, keep)

    @stateful.precondition(lambda self: self.live)
    @stateful.rule(index=st.integers(0, 2))
    def close_sandbox(self, index: int) -> None:
        self.live.pop(index % len(self.live)).close()

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
        for record in grants.list(host=self.host):
            assert record.users or (record.state, record.keep) == ("complete", "forever"), record

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
        name=st.sampled_from(FILES), entry=st.sampled_from(FOREIGN + OPENING), at=st.integers(0, 6), above=st.booleans()
    )
    def somebody_edits(self, name: str, entry: str, at: int, above: bool) -> None:
        path = ROOT + (name.rpartition("\\")[0] if above else name)
        old = self.host.descriptor(path)
        opening = entry in OPENING
        if "GRANT" in entry:
            # Not a foreign entry for the other laws: it goes with its grant, wherever it stands below its root.
            records = grants.list(host=self.host)
            sids = sorted(record.sid for record in records if inside(self.key(path), self.key(record.root)))
            if not sids:
                return
            entry = entry.replace("GRANT", sids[at % len(sids)])
        new = SecurityDescriptor.from_sddl(f"D:{entry}").dacl
        if old.dacl is None or new is None:
            return
        at = min(at, len(old.dacl))
        dacl = old.dacl.with_aces([*old.dacl[:at], *new, *old.dacl[at:]])
        self.put(path, old.replace(dacl=dacl))
        if opening:
            self.opens(self.key(path))

    @stateful.rule(where=st.sampled_from(["", r"\.git", r"\src"]))
    def somebody_lets_inherit(self, where: str) -> None:
        """Any program that writes a list with SetNamedSecurityInfo: what is inherited below is computed anew."""
        top = ROOT + where
        tree = self.host.tree(top)
        for name in sorted(name for name in tree if name):
            path = f"{top}\\{name}"
            old, above = self.host.descriptor(path), self.host.descriptor(path.rpartition("\\")[0])
            info = self.host.files.query(path, follow=False)
            if old.dacl is None or old.control & DACL_PROTECTED or info is None or info.links > 1:
                continue
            explicit = [ace for ace in old.dacl if not ace.flags & INHERITED]
            inherited = inherited_aces(above.dacl, is_container=info.directory, owner=old.owner, group=old.group)
            dacl = old.dacl.with_aces([*explicit, *inherited])
            self.put(path, old.replace(dacl=dacl, control=old.control | DACL_AUTO_INHERITED))
        # What an earlier edit opened for everyone is handed down as well. Without such an edit nothing may open.
        for key in [key for key in self.disk() if self.everyone(key)]:
            self.opens(key)
            for below in self.below(key):
                self.opens(below)

    def everyone(self, key: str) -> bool:
        dacl = self.host.descriptor(f"{ABOVE}\\{key}" if key else ABOVE).dacl or ()
        sids = {grant.sid for one in self.live for grant in one.applied._plan.grants}
        return any(
            ace.type == 0
            and ace.mask & 0x10116
            and (ace.sid == EVERYONE or (ace.sid in sids and ace.mask == 0x1301BF and not ace.flags))
            for ace in dacl
        )

    def key(self, path: str) -> str:
        return path[len(ABOVE) + 1 :]

    def below(self, key: str) -> list[str]:
        return [name for name in self.disk() if name == key or name.startswith(key + "\\")]

    def names(self, key: str) -> list[str]:
        """All names of a file."""
        info = self.host.files.query(f"{ABOVE}\\{key}", follow=False)
        assert info is not None
        if info.links < 2:
            return [key]
        found = {name: self.host.files.query(f"{ABOVE}\\{name}", follow=False) for name in self.disk() if name}
        return [name for name, other in found.items() if other is not None and other.identity == info.identity]

    def opens(self, key: str) -> None:
        """The user has opened an object himself: for the sandboxes that run, and with all its names."""
        for one in self.live:
            one.opened.update(self.names(key))

    def put(self, path: str, descriptor: SecurityDescriptor) -> None:
        self.host.set_sddl(path, descriptor.to_sddl())
        descriptor = self.host.descriptor(path)
        for key in self.names(self.key(path)):
            if key not in self.original:
                continue  # a directory that was made empty to be protected
            now = foreign(descriptor.to_bytes())
            before = SecurityDescriptor.from_bytes(self.original[key])
            control = before.control | (descriptor.control & DACL_AUTO_INHERITED)
            self.expected[key] = now
            self.original[key] = before.replace(dacl=now.dacl, control=control).to_bytes()

    def note(self, path: str) -> None:
        """Something new: it is as it is, without what is ours."""
        for key in self.below(self.key(path)):
            self.expected[key] = foreign(self.host.descriptor_bytes(f"{ABOVE}\\{key}"))
            self.original[key] = self.expected[key].to_bytes()

    @stateful.rule(where=st.sampled_from(INSIDE))
    def somebody_makes_a_file(self, where: str) -> None:
        self.made += 1
        path = rf"{ROOT}{where}\new{self.made}"
        self.host.write_file(path, b"x")
        self.note(path)
        self.movable.append(self.key(path))
        for one in self.live:
            if self.key(ROOT + where) in one.opened:
                one.opened.add(self.key(path))

    @stateful.rule(where=st.sampled_from(INSIDE), entry=st.sampled_from(["", "D:(A;OICI;FA;;;WD)"]))
    def somebody_moves_a_tree_in(self, where: str, entry: str) -> None:
        self.made += 1
        name = f"tree{self.made}"
        self.host.mkdir(rf"{ABOVE}\pool\{name}", entry or None)
        self.host.write_file(rf"{ABOVE}\pool\{name}\deep\file", b"x")
        self.move(rf"pool\{name}", rf"project{where}\{name}", is_new=True)

    @stateful.precondition(lambda self: self.movable)
    @stateful.rule(index=st.integers(0, 20), where=st.sampled_from((*INSIDE, "away")))
    def somebody_moves_something(self, index: int, where: str) -> None:
        old = self.movable[index % len(self.movable)]
        name = old.rpartition("\\")[2]
        self.move(old, rf"away\{name}" if where == "away" else rf"project{where}\{name}")

    def move(self, old: str, new: str, *, is_new: bool = False) -> None:
        if old == new or self.host.exists(f"{ABOVE}\\{new}"):
            return
        self.host.rename(f"{ABOVE}\\{old}", f"{ABOVE}\\{new}")
        if is_new:
            self.note(f"{ABOVE}\\{new}")
        else:
            self.movable.remove(old)
        left = [root for root in BOUNDS if inside(old, root) and not inside(new, root)]
        for key in self.below(new):
            then = old + key[len(new) :]
            for table in (self.expected, self.original):
                if then in table:
                    table[key] = table.pop(then)  # type: ignore[assignment]
            if then in self.strayed or left:
                self.strayed.discard(then)
                self.strayed.add(key)
            if not is_new:
                self.moved.discard(then)
                self.moved.add(key)
            for one in self.live:
                one.opened.discard(then)
                one.opened.add(key)  # by a move; closed for those that start from now on
        if not new.startswith("away"):
            self.movable.append(new)

    @stateful.rule(name=st.sampled_from(FILES), where=st.sampled_from(INSIDE))
    def somebody_links(self, name: str, where: str) -> None:
        if name == r"\src\m.py":
            return  # it shows that roots stay open
        self.made += 1
        path = rf"{ROOT}{where}\link{self.made}"
        self.host.link(ROOT + name, path)
        source = self.key(ROOT + name)
        self.expected[self.key(path)] = self.expected[source]
        self.original[self.key(path)] = self.original[source]
        self.opens(source)

    @stateful.rule(where=st.sampled_from(INSIDE), to=st.sampled_from([ROOT + r"\.git", OTHER, ROOT]))
    def somebody_makes_a_junction(self, where: str, to: str) -> None:
        self.made += 1
        path = rf"{ROOT}{where}\junction{self.made}"
        self.host.junction(to, path)
        self.note(path)
        for one in self.live:
            if self.key(ROOT + where) in one.opened:
                one.opened.add(self.key(path))

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
        for name, sids in marked(self.host).items():
            if name not in self.strayed:
                assert sids <= listed, (name, sids - listed)

    def closed(self, one: Live) -> dict[str, bool]:
        """What a live sandbox must not be able to write, and whether it is a directory."""
        tree = self.host.tree(ABOVE)
        plan = one.applied._plan
        places = [place.path for grant in plan.grants for place in grant.protected]
        places += [f"{grant.root.path}\\{name}" for grant in plan.grants for name in grant.create]
        return {
            name: kind == "directory"
            for name, kind in tree.items()
            if kind in ("directory", "file")  # what a link is cannot be written to, only what it leads to
            and name not in one.opened
            and any(inside(name, self.key(place)) for place in places)
        }

    @stateful.invariant()
    def protected_stays_closed(self) -> None:
        for one in self.live:
            guards = one.applied._plan.guards
            for name, directory in self.closed(one).items():
                path = f"{ABOVE}\\{name}"
                bits = write_bits(self.host.descriptor(path), one.applied, directory=directory and guards)
                assert not bits, (one.policy, name, hex(bits), self.host.sddl(path))

    @stateful.invariant()
    def a_child_that_tries_is_refused(self) -> None:
        for one in self.live:
            done: list[str] = []
            child = partial(try_all, closed=self.closed(one), one=one, done=done)
            assert one.host.run_program(child, token=one.token) == 0, self.host.stderr
            assert not done, (one.policy, done)

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
            one.close()
        grants.recover(host=self.host)
        grants.forget_all(host=self.host)
        left = self.disk()
        assert sorted(left) == sorted(self.original.keys() | {name for name in ("pool", "away") if name in left})
        for name in self.original.keys() - self.strayed:
            now, then = SecurityDescriptor.from_bytes(left[name]), SecurityDescriptor.from_bytes(self.original[name])
            if name in self.moved:
                now, then = foreign(left[name]), foreign(self.original[name])
            assert now == then, (name, now.to_sddl(), then.to_sddl())
        assert not grants.list(host=self.host)
        assert not self.host.open_handles()
        self.host.close()


def try_all(process: SimulatedProcess, closed: dict[str, bool], one: Live, done: list[str]) -> None:
    """The child: what it could write is in `done`."""
    for name, directory in closed.items():
        path = f"{ABOVE}\\{name}"
        for right in (0,) if directory else RIGHTS:
            if right == 0x10000 and not one.applied._plan.guards:
                continue  # the report says that only guards keep it from deleting
            with suppress(PermissionError):
                if directory:
                    process.mkdir(path + r"\planted")
                else:
                    process.open(path, "r+", access=right).close()
                done.append(f"{right:x} {name}")
    if not one.forced:
        process.open(ROOT + r"\src\m.py", "r+", access=0x6).close()


def inside(name: str, place: str) -> bool:
    return name == place or name.startswith(place + "\\")


TestGrants = Grants.TestCase
# Finding the shortest sequence takes minutes; the laws name the object and the entry anyway.
TestGrants.settings = settings(
    phases=[Phase.explicit, Phase.generate] if not DEEP else list(Phase),
    max_examples=200 if DEEP else 5 if IN_WINE else 50,
    stateful_step_count=50 if DEEP else 40,
)
