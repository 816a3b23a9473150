"""Why may a sandboxed command do something to a path, or not, and what it may do instead.

The answer is made from the same plan, the same entries and the same access check that enforcement stands on: the
object's descriptor is read, what the policy would put on it is added in memory, and the child's token is checked
against it. Nothing on disk is changed. A model of Windows is asked like the real one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

if TYPE_CHECKING:
    import os

    from ._host import Host
    from ._plan import Plan
    from .policy import Policy

__all__ = ["Decision", "explain"]

_Access = Literal["read", "write", "create", "delete", "execute"]


@dataclass(frozen=True, slots=True)
class Decision:
    """An answer.

    Attributes:
        allowed: whether the child could do it.
        access: what was asked.
        path: the path as it was asked for, made absolute.
        target: where that leads, with links and other names resolved.
        rule: a stable word for what decided. The place: "root", "protected", "outside", "temp" (the private TEMP),
            "share", "no-acls" (a volume without access lists), "device". What holds back besides access lists:
            "missing", "exists", "directory" (written as a file), "below-file", "read-only", "not-empty", "volume" (its
            root), "pinned", "watched" (a protected name that does not exist), "no-streams". How it gets through:
            "delete-child" (by the directory's list). "unreadable": the list cannot be read, so of writing no more is
            known than that nothing of the sandbox's allows it.
        reason: for people: the rule of the policy, the ACE and the pass of the access check that decided.
        instead: what is writable.
    """

    allowed: bool
    access: _Access
    path: str
    target: str
    rule: str
    reason: str
    instead: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "version": 1,
            "allowed": self.allowed,
            "access": self.access,
            "path": self.path,
            "target": self.target,
            "rule": self.rule,
            "reason": self.reason,
            "instead": list(self.instead),
        }

    def to_text(self) -> str:
        """For a terminal."""
        lines = [f"{'allowed' if self.allowed else 'denied '}  {self.access} {self.path}"]
        if self.target.upper() != self.path.upper():
            lines.append(f"  leads to {self.target}")
        lines.append(f"  {self.reason}")
        if not self.allowed:
            lines.extend(f"  writable: {place}" for place in self.instead)
        return "\n".join(lines)


def explain(
    policy: Policy,
    path: str | os.PathLike[str],
    access: str = "write",
    *,
    host: Host | None = None,
    state_dir: str | os.PathLike[str] | None = None,
) -> Decision:
    """Say whether a child under `policy` could do `access` to `path`, and why.

    Args:
        policy: the policy.
        path: absolute, or relative to the policy's workspace; it need not exist. Shares, streams (``a.txt:s``),
            devices (``NUL``) and the private TEMP (``%TEMP%\\x``) can be asked about too. No share is connected to for
            an answer: its server would be sent this user's credentials.
        access: ``"read"``, ``"write"`` (creates what does not exist), ``"create"``, ``"delete"`` (and renaming away)
            or ``"execute"``.
        host: the host to ask; None: this machine.
        state_dir: as for :class:`~winsandbox.sandbox.Sandbox`.

    Raises:
        ValueError: an unknown access, a path that is not one.
        PolicyError, UnsupportedHost: as :meth:`Sandbox.plan <winsandbox.sandbox.Sandbox.plan>`.
    """
    if access not in get_args(_Access):
        raise ValueError(f"access must be one of {', '.join(get_args(_Access))}, not {access!r}")
    from ._host import default_host
    from .sandbox import Sandbox

    host = default_host() if host is None else host
    return decide(host, Sandbox(policy, host=host, state_dir=state_dir).plan(), path, access)


def decide(host: Host, plan: Plan, path: str | os.PathLike[str], access: str, *, temp: str | None = None) -> Decision:
    """Answer from a plan; `temp` is the private TEMP of the sandbox that carried it out, None where none has yet."""
    from ._asked import asked
    from ._explaining import Question

    if access not in get_args(_Access):
        raise ValueError(f"access must be one of {', '.join(get_args(_Access))}, not {access!r}")
    question = asked(path, cwd=plan.policy.cwd, temp=temp)
    return Question(host, plan, question, cast("_Access", access), temp).answer()
