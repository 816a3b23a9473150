"""Runs one conformance case on a host: lays its directories out, starts its sandboxes, judges what came of it.

What is judged is the disk, by the user's own eyes (``Host.files``), wherever it shows; the command's exit code says the
rest. A command that says "denied" while the thing was done counts as through, one that says "done" while nothing was
done counts as failed, and so does one that did not start.
"""

from __future__ import annotations

import ntpath
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ._casebook import Content, Descriptor, flags_of
from ._operations import Operation, Outcome, parse_line
from ._perform import variables
from ._scene import TIMEOUT, Executor, Scene, outcome_of
from .errors import PolicyError, SandboxError

if TYPE_CHECKING:
    from ._casebook import Case, Expected, Phase, Try
    from .enforcement import Verdict
    from .sandbox import Sandbox

__all__ = ["CaseResult", "Row", "run_case"]

_SEEN: Final = frozenset(
    {"write", "append", "mkdir", "delete", "rmdir", "rename", "replace", "link", "junction", "symlink", "dirlink"}
)
_FRESH: Final = frozenset(
    {"mkdir", "link", "junction", "symlink", "dirlink", "rename"}
)  # what they make must not be there
_SOURCED: Final = frozenset({"read", "list", "delete", "rmdir", "rename", "replace", "link"})  # ... and this must be


class Row(NamedTuple):
    """One operation of a case and its outcome."""

    phase: int
    attempt: Try
    operation: Operation
    expected: Expected
    wanted: str
    outcome: Outcome

    @property
    def as_expected(self) -> bool:
        """Whether the outcome is the one that has to be."""
        return self.outcome.verdict == self.wanted

    @property
    def through(self) -> bool:
        """Whether a sandboxed command did what it should not be able to do."""
        return self.expected in ("denied", "open") and self.outcome.verdict == "allowed"


@dataclass(frozen=True, slots=True)
class CaseResult:
    """What became of a case.

    Attributes:
        rows: each operation, in order.
        claims: for each phase whose sandbox started, what it said of the case's aspect.
        mistakes: sandboxes that started or were refused wrongly, violations that were not reported.
    """

    case: Case
    rows: tuple[Row, ...]
    claims: Mapping[int, Verdict]
    mistakes: tuple[str, ...] = ()

    @property
    def as_expected(self) -> bool:
        """Everything came out as it should."""
        return not self.mistakes and all(row.as_expected for row in self.rows)

    @property
    def through(self) -> tuple[Row, ...]:
        """What got through, known holes included."""
        return tuple(row for row in self.rows if row.through)

    @property
    def ran(self) -> bool:
        """Whether the positive twins worked, so that the denials mean something."""
        return all(row.as_expected for row in self.rows if row.expected == "allowed")


def run_case(
    executor: Executor,
    scene: Scene,
    case: Case,
    configuration: Mapping[str, Any],
    *,
    number: int = 0,
    more_places: Mapping[str, str] | None = None,
) -> CaseResult:
    """Run one case in a directory of its own in the scene.

    `configuration` are arguments for the policies; `more_places` further names for ``%NAME%``, such as FAT and SHARE.
    What a step of the arrangement raises is let through: then the case says nothing.
    """
    base = ntpath.join(scene.path, f"case-{number}")
    environment = {name.upper(): value for name, value in scene.host.processes.environment().items()}
    places = {
        "BASE": base,
        "ROOT": ntpath.join(base, "root"),
        "OUTSIDE": ntpath.join(base, "outside"),
        "SECOND": ntpath.join(base, "second"),
        "STATE": scene.state,
        "USERTEMP": environment.get("TEMP", ""),
        "DRIVE": ntpath.splitdrive(base)[0] + "\\",
        "STAMP": f"{ntpath.basename(scene.path)}-{number}",
        **(more_places or {}),
    }
    scene.make_directory(places["ROOT"])
    rows: list[Row] = []
    claims: dict[int, Verdict] = {}
    mistakes: list[str] = []
    for index, phase in enumerate(case.phases):
        run = _PhaseRun(executor, scene, places, phase, phase.policy(places, configuration).cwd)
        run.arrange()
        _run_phase(run, case, index, configuration, rows, claims, mistakes)
    return CaseResult(case, tuple(rows), claims, tuple(mistakes))


def _run_phase(
    run: _PhaseRun,
    case: Case,
    index: int,
    configuration: Mapping[str, Any],
    rows: list[Row],
    claims: dict[int, Verdict],
    mistakes: list[str],
) -> None:
    from .sandbox import Sandbox

    scene, phase = run.scene, run.phase
    policy = phase.policy(run.places, configuration)
    flags = flags_of(policy)

    def add(attempt: Try, outcome: Outcome) -> None:
        expected = attempt.expectation(flags)
        operation = attempt.operation.expanded(run.places)
        rows.append(Row(index, attempt, operation, expected, attempt.verdict(flags), outcome))

    # best-effort: whether this host really restricts is what the case is about to find out.
    sandbox = Sandbox(policy, require="best-effort", keep=phase.keep, state_dir=scene.state, host=scene.host)
    try:
        sandbox.prepare()
    except SandboxError as error:
        sandbox.close()
        if not phase.refused or not _has_code(error, phase.refused):
            mistakes.append(f"the sandbox did not start: {error}")
            for attempt in phase.tries:
                add(attempt, Outcome("failed", "the sandbox did not start"))
        return
    with sandbox:
        if phase.refused:
            mistakes.append(f"a sandbox started that should have been refused ({phase.refused})")
        claims[index] = sandbox.enforcement[case.aspect]
        found: set[str] = set()
        for attempt in phase.tries:
            outcome, violations = run.carry_out(sandbox, attempt)
            found.update(path.upper() for path in violations)
            add(attempt, outcome)
        for name in phase.violations:
            if ntpath.join(run.places["ROOT"], name).upper() not in found:
                mistakes.append(f"{name} was not reported as a violation")


def _expanded(word: str, places: Mapping[str, str]) -> str:
    return Operation("", (word,)).expanded(places).arguments[0]


def _has_code(error: SandboxError, wanted: str) -> bool:
    codes = {error.code} | ({mistake.code for mistake in error.mistakes} if isinstance(error, PolicyError) else set())
    return any(code == wanted or code.startswith(wanted + ".") for code in codes)


class _PhaseRun:
    """Carries the operations of one sandbox out."""

    def __init__(self, executor: Executor, scene: Scene, places: Mapping[str, str], phase: Phase, cwd: str) -> None:
        self.executor = executor
        self.scene = scene
        self.places = dict(places)
        self.phase = phase
        self._cwd = cwd
        self._count = 0

    def arrange(self) -> None:
        """What the user does before the sandbox starts."""
        for item in self.phase.setup:
            if isinstance(item, Content):
                self.scene.make_file(self._path(item.path), item.text.encode())
            elif isinstance(item, Descriptor):
                self.scene.set_descriptor(self._path(item.path), item.sddl)
            else:
                self._by_setup(item)

    def _by_setup(self, line: str) -> None:
        operation = parse_line(line).expanded(self.places)
        if operation.verb == "mkdir":
            self.scene.make_directory(self._path(operation.arguments[0]))
        elif operation.verb == "write":
            self.scene.make_file(self._path(operation.arguments[0]), b"before\r\n")
        else:
            outcome = self.executor.by_user(operation, self._cwd, self._text())
            if outcome.verdict != "allowed":
                raise SandboxError(f"the case could not be arranged: {operation}: {outcome.reason}", code="prove.setup")

    def carry_out(self, sandbox: Sandbox, attempt: Try) -> tuple[Outcome, tuple[str, ...]]:
        """One operation, by the sandboxed command or by the user; and the violations that were reported."""
        if any("%TEMP%" in word for word in attempt.operation.arguments) and "TEMP" not in self.places:
            self.places["TEMP"] = self._output(sandbox, self.executor.where_temp())
        operation = attempt.operation.expanded(self.places)
        if missing := self._missing(operation):
            return Outcome("failed", missing), ()
        text = self._text()
        violations: tuple[str, ...] = ()
        if attempt.user:
            said = self.executor.by_user(operation, self._cwd, text)
        else:
            said, violations = self._command(sandbox, operation, text)
            if said.verdict == "allowed" and attempt.expected == "denied":
                self.executor.undo(operation)
        outcome = self._judged(operation, said, text)
        if operation.verb == "write" and outcome.verdict == "allowed":
            self._tidy(self._path(operation.arguments[0]))
        return outcome, violations

    def _tidy(self, path: str) -> None:
        """Take back a file that was made outside of the scene, where nothing removes it at the end."""
        inside = self.scene.path.upper() + "\\"
        if self.places["STAMP"] in path and not path.upper().startswith(inside):
            self.executor.by_user(Operation("delete", (path,)), self._cwd, "")

    def _command(self, sandbox: Sandbox, operation: Operation, text: str) -> tuple[Outcome, tuple[str, ...]]:
        host = self.scene.host
        more = variables(operation, text=text, host=host.processes.current().pid)
        own = {name: _expanded(value, self.places) for name, value in self.phase.environment.items()}
        try:
            with sandbox.spawn(
                self.executor.words(operation),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env={**host.processes.environment(), **own, **more},
            ) as process:
                output = process.communicate(timeout=TIMEOUT)[0]
        except (SandboxError, OSError, subprocess.TimeoutExpired) as error:
            return Outcome("failed", f"the command was not started: {error}"), ()
        return outcome_of(process.returncode, output or b""), tuple(found.path for found in process.violations)

    def _output(self, sandbox: Sandbox, words: list[str]) -> str:
        done = sandbox.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=TIMEOUT)
        return str(bytes(done.stdout).decode("utf-8", "replace")).strip()

    # -- judging

    def _path(self, word: str) -> str:
        word = _expanded(word, self.places)
        return word if word.startswith("\\\\") else ntpath.join(self._cwd, word)

    def _paths(self, operation: Operation) -> Iterator[str]:
        return (self._path(word) for word in operation.arguments)

    def _missing(self, operation: Operation) -> str:
        """Why the operation could not show anything, whatever came of it."""
        look = self.scene.look
        if operation.verb not in _SEEN | _SOURCED:
            return ""
        paths = list(self._paths(operation))
        if operation.verb in _SOURCED and look(paths[0]) is None:
            return f"{paths[0]} is not there"
        if operation.verb in _FRESH and look(paths[-1]) is not None:
            return f"{paths[-1]} is there already"
        return ""

    def _judged(self, operation: Operation, said: Outcome, text: str) -> Outcome:
        if operation.verb not in _SEEN:
            return said
        happened = self._happened(operation, text)
        if happened and said.verdict != "allowed":
            return Outcome("allowed", f"the disk shows it, although the command said {said.verdict}. {said.reason}")
        if not happened and said.verdict == "allowed":
            return Outcome("failed", f"the command said it was done, but the disk does not show it. {said.reason}")
        return said

    def _happened(self, operation: Operation, text: str) -> bool:
        look = self.scene.look
        first, *rest = self._paths(operation)
        match operation.verb:
            case "write" | "append":
                content = (self.scene.content(first) or b"").strip()
                return content == text.encode() if operation.verb == "write" else content.endswith(text.encode())
            case "mkdir":
                return look(first) is not None
            case "delete" | "rmdir":
                return look(first) is None
            case "rename" | "replace":
                return look(first) is None and look(rest[0]) is not None
            case _:
                return look(rest[0]) is not None

    def _text(self) -> str:
        """What is written: another text each time, so that what lay there before is not taken for it."""
        self._count += 1
        return f"written by operation {self._count}"
