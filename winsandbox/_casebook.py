"""What a conformance case is: a policy, what a command tries under it, and what must come of it.

Every case carries the proof that it could have failed: beside each denial stands a positive twin, the same operation
where it is allowed. A host on which nothing starts fails the twins.

Some cases show a known hole. Their expectation is ``open``: the operation gets through, and then no sandbox of that
configuration may say ``enforced`` for the aspect, and its report has to name the hole (``named``). Where one of a
policy's switches closes the hole, the expectation says so: ``Try("delete ...", "open", low="denied")``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple

from ._operations import Operation, Verdict, parse_line
from .enforcement import Aspect
from .policy import Policy, Protect

__all__ = ["VARIANTS", "Case", "Content", "Descriptor", "Expected", "Need", "Phase", "Try", "by_user", "flags_of"]

Expected = Literal["allowed", "denied", "open", "discouraged"]
Flag = Literal["low", "unguarded", "alone"]
# What a host must have for a case, beside cmd.exe. "model": what only a simulated host can be asked.
Need = Literal[
    "links",
    "symlinks",
    "streams",
    "no acls",
    "second volume",
    "share",
    "proxy",
    "console",
    "python",
    "model",
]

VARIANTS: Final[Mapping[str, Mapping[str, Any]]] = {
    "default": {},
    "low": {"integrity": "low"},
    "unguarded": {"guards": False},
    "without Everyone": {"restricting": ("logon",)},
    "low, without Everyone": {"integrity": "low", "restricting": ("logon",)},
}
"""The configurations in which every case runs: arguments of Policy.workspace."""


def flags_of(policy: Policy) -> frozenset[Flag]:
    """What of a policy changes what a case must come to."""
    found: list[tuple[Flag, bool]] = [
        ("low", policy.integrity == "low"),
        ("unguarded", not policy.guards),
        ("alone", "everyone" not in policy.restricting),
    ]
    return frozenset(flag for flag, holds in found if holds)


@dataclass(frozen=True, slots=True, init=False)
class Try:
    """One operation and what must come of it.

    Attributes:
        operation: in the language of ``_operations``; ``%ROOT%``, ``%OUTSIDE%``, ``%SECOND%`` and ``%BASE%`` are
            directories of the case, ``%STATE%`` the state directory, ``%USERTEMP%`` the user's own TEMP, ``%DRIVE%``
            the root of the volume, ``%STAMP%`` a name that nobody else has.
        expected: what must happen.
        instead: for a policy with that flag (the first one that holds counts), what must happen.
        user: it is the user who does it, outside of any sandbox, while the sandbox lives.
        named: where it is ``open``: words of which the report must have one, in an exception where the level holds, in
            the reason where nothing is promised.
    """

    operation: Operation
    expected: Expected
    instead: tuple[tuple[str, Expected], ...]
    user: bool
    named: tuple[str, ...]

    def __init__(
        self, operation: str, expected: Expected, *named: str, user: bool = False, **instead: Expected
    ) -> None:
        object.__setattr__(self, "operation", parse_line(operation))
        object.__setattr__(self, "expected", expected)
        object.__setattr__(self, "instead", tuple(instead.items()))
        object.__setattr__(self, "user", user)
        object.__setattr__(self, "named", named)

    def expectation(self, flags: frozenset[Flag]) -> Expected:
        """What must happen under a policy with these flags."""
        return next((expected for flag, expected in self.instead if flag in flags), self.expected)

    def verdict(self, flags: frozenset[Flag]) -> Verdict:
        """The same as the outcome that has to be seen."""
        expected = self.expectation(flags)
        return "allowed" if expected == "open" else expected


def by_user(operation: str) -> Try:
    """Something that the user himself does meanwhile, and that must work."""
    return Try(operation, "allowed", user=True)


class Content(NamedTuple):
    """A file that is made with this content."""

    path: str
    text: str


class Descriptor(NamedTuple):
    """A descriptor that is set on something that exists, as SDDL; ``%USER%`` and ``%LOGON%`` are the user's SIDs."""

    path: str
    sddl: str


@dataclass(frozen=True, slots=True)
class Phase:
    """One sandbox: what lies there before it starts, its policy, what is tried in it.

    Attributes:
        tries: in this order, each in a process of its own.
        setup: what the user does before: operations, files with a content, descriptors.
        roots: the writable roots, the workspace first; none: a read-only policy in %ROOT%.
        protect: instead of the default protected names.
        changes: further arguments of the policy.
        environment: variables that the user has besides.
        keep: whether the grant stays on disk for the next phase.
        refused: the code with which the sandbox must refuse to start; then nothing is tried.
        violations: names below %ROOT% of which each must be reported after some command.
    """

    tries: tuple[Try, ...] = ()
    setup: tuple[str | Content | Descriptor, ...] = ()
    roots: tuple[str, ...] = ("%ROOT%",)
    protect: tuple[str, ...] = Protect.DEFAULT
    changes: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    keep: Literal["session", "forever"] = "session"
    refused: str = ""
    violations: tuple[str, ...] = ()

    def policy(self, places: Mapping[str, str], configuration: Mapping[str, Any]) -> Policy:
        """The policy of this sandbox in one configuration."""
        options = {**configuration, **self.changes}
        roots = [Operation("", (root,)).expanded(places).arguments[0] for root in self.roots]
        if roots:
            return Policy.workspace(roots[0], writable_roots=roots[1:], protected_subpaths=self.protect, **options)
        options.pop("guards", None)
        return Policy.read_only(places["ROOT"], **options)


@dataclass(frozen=True, slots=True)
class Case:
    """One behaviour.

    Attributes:
        name: stable, for people and programs.
        aspect: what it is about; where it gets through, no report may say ``enforced`` for this aspect.
        text: what is shown.
        phases: the sandboxes, one after the other.
        quick: ``prove`` runs it.
        needs: what a host must have.
    """

    name: str
    aspect: Aspect
    text: str
    phases: tuple[Phase, ...]
    quick: bool = False
    needs: frozenset[Need] = frozenset()

    def verbs(self) -> frozenset[str]:
        """The operations that it tries."""
        return frozenset(attempt.operation.verb for phase in self.phases for attempt in phase.tries)
