"""A simulated workspace, and the calls with which the tests of this folder apply policies to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from winsandbox._apply import Applied, apply
from winsandbox._plan import Plan, is_tagged, make_plan, model_token, session_sid
from winsandbox._security import access
from winsandbox._security.descriptor import SecurityDescriptor
from winsandbox._security.mask import FILE, FILE_DELETE_CHILD, MAXIMUM_ALLOWED
from winsandbox._security.token import Token
from winsandbox._state import State
from winsandbox._survey import survey
from winsandbox.policy import Policy
from winsandbox.testing import SimulatedHost

ABOVE = r"C:\Users\alice\src"
ROOT = ABOVE + r"\project"


def workspace(**options: Any) -> SimulatedHost:
    """A machine with a small project: sources, a repository, foreign ACEs of several kinds."""
    host = SimulatedHost(**options)
    host.mkdir(ROOT)
    host.write_file(ROOT + r"\README.md", b"hello")
    host.write_file(ROOT + r"\src\main.py", b"print()")
    host.write_file(ROOT + r"\src\deep\er\module.py", b"pass")
    host.write_file(ROOT + r"\.git\config", b"[core]")
    host.write_file(ROOT + r"\.git\hooks\pre-commit", b"#!/bin/sh")
    host.write_file(ROOT + r"\.git\objects\aa\bb", b"blob")
    host.write_file(ROOT + r"\odd\protected.txt", b"p", "D:P(A;;FA;;;U)(A;;FA;;;SY)")
    host.write_file(ROOT + r"\odd\foreign.txt", b"f", "D:AI(D;;WD;;;BG)(A;;FR;;;WD)(A;;FA;;;U)(A;ID;FA;;;SY)")
    host.mkdir(ROOT + r"\odd\noncanonical", "D:(A;OICI;FA;;;U)(D;OICI;WP;;;AN)(A;OICI;FA;;;SY)")
    return host


def state_of(host: SimulatedHost) -> State:
    return State.open(host)


def plan_of(host: SimulatedHost, state: State, policy: Policy | None = None) -> Plan:
    policy = Policy.workspace(ROOT) if policy is None else policy
    facts = survey(host, policy, state_path=state.path)
    return make_plan(policy, facts, secret=state.secret(), session=session_sid(host.processes.random(12)))


def applied(host: SimulatedHost, state: State, policy: Policy | None = None, **options: Any) -> tuple[Plan, Applied]:
    plan = plan_of(host, state, policy)
    return plan, apply(host, plan, state, **options)


def writes(host: SimulatedHost, action: Callable[..., object], *arguments: object) -> int:
    """How many descriptors an action writes."""
    before = host.counts["set_security"]
    action(*arguments)
    return host.counts["set_security"] - before


def write_bits(descriptor: SecurityDescriptor, done: Applied, *, directory: bool) -> int:
    """The write bits that the child may get, for a directory FILE_DELETE_CHILD included; the most that may be."""
    watched = FILE.write_mask | (FILE_DELETE_CHILD if directory else 0)
    token = model_token(done._plan, _caller(done))
    return access.could(descriptor, token, MAXIMUM_ALLOWED).granted & watched


def _caller(done: Applied) -> Token:
    with done._host.tokens.current() as handle:
        return done._host.tokens.inspect(handle).token


def disk(host: SimulatedHost, path: str = ABOVE) -> dict[str, bytes]:
    """Everything at and below `path` with its descriptor, to the byte."""
    return {name: host.descriptor_bytes(f"{path}\\{name}" if name else path) for name in host.tree(path)}


def marked(host: SimulatedHost, path: str = ABOVE) -> dict[str, set[str]]:
    """Objects with entries of ours -> the SIDs of ours on them."""
    found = {}
    for name, raw in disk(host, path).items():
        dacl = SecurityDescriptor.from_bytes(raw).dacl or ()
        sids = {str(ace.sid) for ace in dacl if ace.sid is not None and is_tagged(ace.sid)}
        if sids:
            found[name] = sids
    return found
