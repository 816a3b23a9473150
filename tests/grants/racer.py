"""One of several processes that apply and forget grants: ``python -m tests.grants.racer BASE SEED ROUNDS MODE``."""

from __future__ import annotations

import random
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from tests.grants.file_host import LOGON, USER, FileHost
from winsandbox import _edits, _undo
from winsandbox._apply import apply
from winsandbox._host import FileId
from winsandbox._ledger import Ledger
from winsandbox._plan import Grant, Place, Plan, Protected, TokenRecipe, default_dacl, grant_sid, session_sid
from winsandbox._security.ace import allow
from winsandbox._security.acl import add, remove
from winsandbox._security.descriptor import SecurityDescriptor
from winsandbox._security.sid import Sid
from winsandbox._walk import Counter
from winsandbox.errors import GrantInUse

ROOT = "C:\\root"
NAMES = ("one", "two", "one\\inner")


def make(base: Path) -> FileHost:
    """A tree of a dozen objects, and an empty state directory."""
    host = FileHost(base)
    for name in ("root/one/inner/deep", "root/two", "root/three", "local/winsandbox"):
        (host.tree / name).mkdir(parents=True)
    for name in ("root/a", "root/one/b", "root/one/inner/c", "root/two/d"):
        (host.tree / name).write_bytes(b"")
    host.security_of.mkdir()
    return host


def ledger_of(host: FileHost) -> Ledger:
    return Ledger(cast(Any, host), "C:\\local\\winsandbox\\ledger-1.sqlite", timeout=120)


def plan_for(host: FileHost, ledger: Ledger, names: tuple[str, ...]) -> Plan:
    identity = _identity(host, ROOT)
    places = []
    for name in names:
        between = tuple(
            Place(f"{ROOT}\\{part}", _identity(host, f"{ROOT}\\{part}")) for part in (name.rpartition("\\")[0],) if part
        )
        path = f"{ROOT}\\{name}"
        places.append(Protected(name, path, _identity(host, path), between=between))
    grant = Grant(Place(ROOT, identity), grant_sid(ledger.secret(), identity, names), names, tuple(places))
    session = session_sid(host.processes.random(12))
    recipe = TokenRecipe(0xD, (grant.sid, session), (), default_dacl(USER, session), None, None)
    nothing = cast(Any, None)
    return Plan(nothing, (grant,), USER, LOGON, session, True, False, recipe, None, nothing)


def _identity(host: FileHost, path: str) -> FileId:
    info = host.files.query(path)
    assert info is not None
    return cast(FileId, info.identity)


def whole(host: FileHost, seed: int, rounds: int) -> None:
    """Sandboxes of three policies: after each apply everything that it needs is there, whatever the others do."""
    chance = random.Random(seed)
    ledger = ledger_of(host)
    state = cast(Any, SimpleNamespace(ledger=ledger, remove_left_overs=lambda: None))
    for _ in range(rounds):
        names = chance.choice((NAMES[:1], NAMES[:2], NAMES[2:]))
        plan = plan_for(host, ledger, names)
        grant = plan.grants[0]
        if chance.random() < 0.3:
            try:
                claimed = _undo.claim(cast(Any, host), ledger, grant.sid)
                if claimed is not None:
                    _undo.remove(cast(Any, host), ledger, claimed, Counter(cast(Any, host)))
            except GrantInUse:
                pass
        done = apply(cast(Any, host), plan, state, keep=chance.choice(("forever", "session")))
        recipe = _edits.Recipe(grant.sid, LOGON, False)
        check(host, ROOT, recipe, "root", True)
        check(host, f"{ROOT}\\a", recipe, "plain", False)
        check(host, f"{ROOT}\\{names[0]}", recipe, "protected", True)
        done.close()
    ledger.close()


def check(host: FileHost, path: str, recipe: _edits.Recipe, role: _edits.Role, directory: bool) -> None:
    with host.files.open(path, 0) as handle:
        now = SecurityDescriptor.from_bytes(host.files.security(handle))
    wanted = _edits.want(recipe, role, directory, False)
    assert now.dacl is not None
    assert _edits.satisfied(now.dacl, wanted), (path, role, now.to_sddl())


def counter(host: FileHost, seed: int, rounds: int) -> None:
    """Read, change, write one list, again and again: the classic lost update."""
    ledger = ledger_of(host)
    mine = [Sid(5, 21, 9, seed, n, 0) for n in range(rounds)]
    for n, sid in enumerate(mine):
        with ledger.transaction(), host.files.open(ROOT, 0) as handle:
            old = SecurityDescriptor.from_bytes(host.files.security(handle))
            assert old.dacl is not None
            dacl = add(old.dacl, [allow(sid, 1)])
            if n % 2:
                dacl = remove(dacl, [mine[n - 1]])
            host.files.set_security(handle, old.rewritten(dacl=dacl).to_bytes())
    ledger.close()


def main() -> None:
    base, seed, rounds, mode = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    host = FileHost(base)
    host.processes.begin()
    (whole if mode == "whole" else counter)(host, seed, rounds)
    host.processes.end()


if __name__ == "__main__":
    main()
