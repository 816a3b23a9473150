"""What would a command under this policy come to? Runs a script of operations in a sandbox on a model of Windows.

Every line of the library is run, from the plan to the process; only the calls to Windows are simulated. Each operation
is a command of its own, one after the other in one sandbox, so that what the library does between two commands (a
protected name that was just made is denied before the next one) shows as well. Nothing real is read but the metadata of
the roots, and nothing real is changed.
"""

from __future__ import annotations

import functools
import ntpath
import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from ._operations import VERDICTS, Operation, Outcome, Verdict, parse
from ._perform import CODES, simulated_tool
from .errors import Mistake, ScriptError, UnsupportedHost

if TYPE_CHECKING:
    from ._host import Host
    from ._sim.host import SimulatedHost
    from .explain import Decision, _Access
    from .policy import Policy
    from .sandbox import Sandbox

__all__ = ["ExpectedRow", "SimulatedRow", "SimulationReport", "expectation", "simulate"]

_TOOL: Final = r"C:\Program Files\operation\operation.exe"
# What `explain` is asked about each argument of an operation.
_QUESTIONS: Final[dict[str, tuple[tuple[int, _Access], ...]]] = {
    "write": ((0, "write"),),
    "append": ((0, "write"),),
    "read": ((0, "read"),),
    "list": ((0, "read"),),
    "delete": ((0, "delete"),),
    "rmdir": ((0, "delete"),),
    "mkdir": ((0, "create"),),
    "rename": ((0, "delete"), (1, "create")),
    "replace": ((0, "delete"), (1, "write")),
    "link": ((0, "write"), (1, "create")),
    "junction": ((1, "create"),),
    "symlink": ((1, "create"),),
    "dirlink": ((1, "create"),),
}


@dataclass(frozen=True, slots=True)
class SimulatedRow:
    """One operation and what came of it.

    Attributes:
        line: where it stands in the script.
        operation: as in the script.
        verdict: ``"allowed"``, ``"denied"``, ``"discouraged"`` (the network shim; no refusal) or ``"failed"`` (neither:
            a file that is not there).
        reason: which rule, which entry, which pass of the access check.
        violations: what was reported after it.
    """

    line: int
    operation: str
    verdict: Verdict
    reason: str
    violations: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "line": self.line,
            "operation": self.operation,
            "verdict": self.verdict,
            "reason": self.reason,
            "violations": list(self.violations),
        }


@dataclass(frozen=True, slots=True)
class ExpectedRow:
    """A verdict that is expected; ``operation`` is empty where any will do."""

    verdict: Verdict
    operation: str = ""


@dataclass(frozen=True, slots=True)
class SimulationReport:
    """The verdicts of a script. ``host`` is what they were found on."""

    rows: tuple[SimulatedRow, ...]
    host: str

    def differences(self, expected: Sequence[ExpectedRow]) -> tuple[str, ...]:
        """What is other than expected, a sentence each; nothing if all is as expected."""
        found = []
        for row, wanted in zip(self.rows, expected, strict=False):
            if wanted.operation and wanted.operation != row.operation:
                found.append(f"line {row.line}: {row.operation}: expected was another operation, {wanted.operation}")
            elif wanted.verdict != row.verdict:
                found.append(f"line {row.line}: {row.operation}: expected {wanted.verdict}, is {row.verdict}")
        if len(expected) != len(self.rows):
            found.append(f"{len(expected)} verdicts are expected, the script has {len(self.rows)} operations")
        return tuple(found)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; :func:`expectation` reads it."""
        return {"version": 1, "host": self.host, "rows": [row.to_dict() for row in self.rows]}

    def to_text(self) -> str:
        """A table for a terminal: verdict, operation, reason."""
        width = max((len(verdict) for verdict in VERDICTS), default=0)
        lines = [f"on {self.host}:"]
        for row in self.rows:
            lines.append(f"  {row.verdict:<{width}}  {row.operation}")
            lines.extend(f"  {'':<{width}}    {line}" for line in row.reason.splitlines())
            lines.extend(f"  {'':<{width}}    violation: {violation}" for violation in row.violations)
        counts = [f"{count} {verdict}" for verdict in VERDICTS if (count := self._count(verdict))]
        lines.append("together: " + (", ".join(counts) or "no operations"))
        return "\n".join(lines)

    def _count(self, verdict: Verdict) -> int:
        return sum(row.verdict == verdict for row in self.rows)


def simulate(policy: Policy, script: str, *, host: Host | None = None) -> SimulationReport:
    """Carry out the operations of `script` in a sandbox on a simulated host.

    Args:
        policy: the policy.
        script: operations, one a line (see ``_operations``).
        host: a :class:`~winsandbox.testing.SimulatedHost` with the files that the script speaks of, to which all of it
            is done. None: one that holds the metadata of the policy's roots, as far as they exist here.

    Raises:
        ScriptError: lines that are no operations, all of them.
        UnsupportedHost: `host` is a real one, on which nothing is to be tried.
        PolicyError, EnforcementError: as :meth:`Sandbox.prepare <winsandbox.sandbox.Sandbox.prepare>`.
    """
    from ._sim.host import SimulatedHost
    from .sandbox import Sandbox

    operations = parse(script)
    model = _model(policy) if host is None else host
    if not isinstance(model, SimulatedHost):
        raise UnsupportedHost(
            "a simulation runs on a SimulatedHost, never on a real machine.",
            remedy="Leave the host out, or use prove() to try this machine.",
            code="host.simulate",
        )
    model.add_program(_TOOL, functools.partial(simulated_tool, host=model.processes.current().pid))
    try:
        with Sandbox(policy, keep="session", host=model) as sandbox:
            rows = tuple(_row(sandbox, operation) for operation in operations)
    finally:
        model.remove(ntpath.dirname(_TOOL))
    return SimulationReport(rows, model.capabilities().system)


def expectation(text: str) -> tuple[ExpectedRow, ...]:
    """What is expected: the JSON of a former run, or a verdict a line, with or without the operation behind it.

    Raises:
        ScriptError: it is neither; every line that is none.
    """
    if text.lstrip().startswith("{"):
        return _from_json(text)
    found: list[ExpectedRow] = []
    mistakes: list[Mistake] = []
    for number, line in enumerate(text.removeprefix("\ufeff").splitlines(), 1):
        word, _, rest = line.strip().partition(" ")
        if not word or word.startswith("#"):
            continue
        verdict = next((known for known in VERDICTS if known == word), None)
        if verdict is None:
            remedy = f"A verdict is one of {', '.join(VERDICTS)}."
            mistakes.append(Mistake(f"line {number}, column 1", f"{word!r} is no verdict.", remedy, "script"))
            continue
        if rest.strip():
            try:
                (operation,) = parse(rest)
            except ScriptError as error:
                mistakes += [
                    Mistake(f"line {number}", mistake.reason, mistake.remedy, "script") for mistake in error.mistakes
                ]
                continue
            except ValueError:
                operation = None
            found.append(ExpectedRow(verdict, "" if operation is None else str(operation)))
        else:
            found.append(ExpectedRow(verdict))
    if mistakes:
        raise ScriptError(mistakes)._about("expectation")
    return tuple(found)


def _from_json(text: str) -> tuple[ExpectedRow, ...]:
    import json

    try:
        rows = json.loads(text)["rows"]
        found = tuple(ExpectedRow(row["verdict"], str(row["operation"])) for row in rows)
        if any(row.verdict not in VERDICTS for row in found):
            raise ValueError("an unknown verdict")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        remedy = "Give what `simulate --json` printed, or one verdict a line."
        mistake = Mistake("the whole", f"no report of a simulation: {error}.", remedy, "script")
        raise ScriptError([mistake])._about("expectation") from error
    return found


def _row(sandbox: Sandbox, operation: Operation) -> SimulatedRow:
    decisions = list(_decisions(sandbox, operation))
    with sandbox.spawn(
        [_TOOL, operation.verb, *operation.arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        said = bytes(process.communicate()[0] or b"").decode("utf-8", "replace")
    code = process.returncode
    verdict = CODES.get(-1 if code is None else code, "failed")
    outcome = Outcome(verdict, said if verdict != "failed" or code in CODES else f"it ended with {code}. {said}")
    return SimulatedRow(
        operation.line,
        str(operation),
        outcome.verdict,
        _reason(outcome, decisions),
        tuple(map(str, process.violations)),
    )


def _reason(outcome: Outcome, decisions: Iterable[Decision]) -> str:
    """The sentence of `explain` that fits what happened, else what the command was told."""
    agreeing = [decision for decision in decisions if decision.allowed == (outcome.verdict == "allowed")]
    if outcome.verdict in ("allowed", "denied") and agreeing:
        return agreeing[0].reason
    return outcome.reason


def _decisions(sandbox: Sandbox, operation: Operation) -> Iterable[Decision]:
    for index, access in _QUESTIONS.get(operation.verb, ()):
        path = operation.arguments[index]
        with suppress(OSError, ValueError):  # a name that cannot be asked about; the command still tells
            yield sandbox.explain(path, access)


def _model(policy: Policy) -> SimulatedHost:
    """A simulated machine with the policy's directories, and on Windows with what really lies in them."""
    from ._sim.host import SimulatedHost

    profile = ntpath.basename(os.environ.get("USERPROFILE", "") if sys.platform == "win32" else "")
    host = SimulatedHost(user=profile or "alice")
    for path in (*policy.writable_roots, policy.cwd):
        drive = ntpath.splitdrive(path)[0].upper()
        if drive and drive not in ("C:", "D:") and not host.exists(drive + "\\"):
            host.add_volume(drive)
        if sys.platform == "win32" and path and os.path.isdir(path):
            host.mirror(path, at=path)
        elif path and not host.exists(path):
            host.mkdir(path)
    return host
