"""Does it hold here? Runs the quick conformance cases on this very machine, and records what was shown.

    python -P -m winsandbox prove

Each case tries, in a sandbox of its own, what must not work, and beside it what must; so neither a system that differs
from its documentation nor one on which nothing starts is believed. What is tried lies in a directory made for it,
directly in the user's profile, and removed at the end. The proof is kept with the Windows build, the kind of volume,
the version and the configuration; reports then say ``proven``, and ``Sandbox(..., require="proven")`` starts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from ._casebook import Case
    from ._host import Handle, Host, Volume
    from ._scene import Executor, Scene
    from ._trial import CaseResult, Row
    from .enforcement import Aspect, Level
    from .policy import Policy

__all__ = ["AspectProof", "CaseProof", "Proof", "prove"]

_PREFIX: Final = "winsandbox-prove-"


@dataclass(frozen=True, slots=True)
class CaseProof:
    """What became of one case.

    Attributes:
        name: the case's name.
        text: what was tried.
        result: ``"held"``: what must be refused was; ``"open"``: nothing is promised, and it got through; ``"got
            through"``: what must be refused was done; ``"not shown"``: not even what is allowed worked; ``"not
            tried"``: this host lacks what it takes.
        details: the operations that came out otherwise, or that are known to get through, and why.
    """

    name: str
    text: str
    result: str
    details: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {"name": self.name, "text": self.text, "result": self.result, "details": list(self.details)}


@dataclass(frozen=True, slots=True)
class AspectProof:
    """What was shown about one aspect.

    Attributes:
        aspect: which.
        level: the most that a sandbox of this configuration says about it, if the cases bear it out; ``none`` where
            something got through, ``unknown`` where it could not be shown.
        proven: whether all cases came out as they should, and the level holds something back at all.
        cases: what was tried.
    """

    aspect: Aspect
    level: Level
    proven: bool
    cases: tuple[CaseProof, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "aspect": str(self.aspect),
            "level": str(self.level),
            "proven": self.proven,
            "cases": [case.to_dict() for case in self.cases],
        }


@dataclass(frozen=True, slots=True)
class Proof:
    """What :func:`prove` found.

    Attributes:
        host: the system, such as ``"Windows 10.0.22631"``.
        volume: the volume on which the cases ran: file system and kind.
        aspects: one entry for each aspect that has cases.
        recorded: whether it was kept, so that sandboxes of this configuration report ``proven``.
        seconds: how long it took.
        notes: what else is to be known, such as directories that could not be removed.
    """

    host: str
    volume: str
    aspects: tuple[AspectProof, ...]
    recorded: bool
    seconds: float
    notes: tuple[str, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether nothing that had to be refused got through and something was refused at all."""
        results = [case.result for entry in self.aspects for case in entry.cases]
        return "held" in results and not {"got through", "not shown"} & set(results)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; ``version`` rises when a reader of the old form would misread the new one."""
        return {
            "version": 1,
            "host": self.host,
            "volume": self.volume,
            "holds": self.holds,
            "recorded": self.recorded,
            "seconds": round(self.seconds, 3),
            "aspects": [entry.to_dict() for entry in self.aspects],
            "notes": list(self.notes),
        }

    def to_text(self) -> str:
        """A table for a terminal: aspect, level, basis, what happened."""
        count = sum(len(entry.cases) for entry in self.aspects)
        lines = [f"on {self.host}, {self.volume}: {count} cases in {self.seconds:.1f} s"]
        width = max((len(entry.aspect) for entry in self.aspects), default=0)
        for entry in self.aspects:
            results = [case.result for case in entry.cases]
            counted = ", ".join(f"{results.count(result)} {result}" for result in dict.fromkeys(results))
            basis = "proven" if entry.proven else "not proven"
            lines.append(f"  {entry.aspect:<{width}}  {entry.level:<8}  {basis:<10}  {counted}")
            for case in entry.cases:
                if case.details:
                    lines.append(f"  {'':<{width}}    {case.result}: {case.name} ({case.text})")
                    lines.extend(f"  {'':<{width}}      {detail}" for detail in case.details)
        lines.extend(f"  note: {note}" for note in self.notes)
        if self.recorded:
            lines.append("recorded: sandboxes of this configuration report it, and require='proven' starts")
        else:
            lines.append("nothing was recorded")
        return "\n".join(lines)


def prove(
    policy: Policy | None = None,
    *,
    host: Host | None = None,
    state_dir: str | os.PathLike[str] | None = None,
    record: bool = True,
    progress: Callable[[int, int, str], object] | None = None,
) -> Proof:
    """Run the quick cases on a host and record what they show.

    Args:
        policy: the configuration to prove: its integrity, guards, restricting SIDs, desktop and what an elevated caller
            gets. Its roots are not touched; they say for which kinds of volume the proof counts. None: the default.
        host: the host; None: this machine.
        state_dir: where the proof is kept, as for :class:`~winsandbox.sandbox.Sandbox`.
        record: False only shows.
        progress: called as ``progress(done, total, case)``.

    Returns:
        the proof. On a host that restricts nothing (Wine) it says so, and nothing is recorded.

    Raises:
        UnsupportedHost: not Windows and no `host`; an elevated or already sandboxed caller.
        WinError, SandboxError: the scratch directory could not be made. What was made is removed again.
    """
    import time

    from ._cases import CASES
    from ._host import default_host
    from ._plan import refuse_caller
    from ._scene import executor_for
    from .policy import Policy

    host = default_host() if host is None else host
    begun = time.monotonic()
    wanted = Policy.read_only() if policy is None else policy
    with host.tokens.current() as own:
        refuse_caller(wanted, host.tokens.inspect(own))
    configuration = _configuration(wanted)
    notes: list[str] = []
    cases = [case for case in CASES if case.quick]
    results: dict[str, CaseResult | str] = {}
    with _Scratch(host, notes) as scene:
        executor = executor_for(host)
        scene.make_directory(scene.tools)
        executor.install(scene)
        for number, case in enumerate(cases):
            if progress is not None:
                progress(number, len(cases), case.name)
            results[case.name] = _tried(executor, scene, case, configuration, number)
        aspects = _aspects(cases, results)
        volume = scene.volume()
        recorded = record and _record(host, scene, policy, configuration, aspects, state_dir, notes)
    return Proof(
        host=host.capabilities().system,
        volume=f"{volume.filesystem or 'no file system'} ({volume.kind})",
        aspects=aspects,
        recorded=recorded,
        seconds=time.monotonic() - begun,
        notes=tuple(notes),
    )


def _configuration(policy: Policy) -> dict[str, Any]:
    """What of a policy the cases depend on; the rest of it changes nothing about what holds."""
    names = ("integrity", "guards", "restricting", "elevated", "desktop")
    return {name: getattr(policy, name) for name in names}


def _tried(
    executor: Executor, scene: Scene, case: Case, configuration: Mapping[str, Any], number: int
) -> CaseResult | str:
    from ._trial import run_case
    from .errors import UnsupportedHost

    needs: list[str] = sorted(case.needs - executor.needs)
    if lacking := needs or sorted(verb for verb in case.verbs() if not executor.offers(verb)):
        return "this host lacks what it takes: " + ", ".join(lacking)
    try:
        return run_case(executor, scene, case, configuration, number=number)
    except UnsupportedHost:
        raise
    except OSError as error:
        return f"it could not be arranged: {error}"


# -- judging


def _aspects(cases: Sequence[Case], results: Mapping[str, CaseResult | str]) -> tuple[AspectProof, ...]:
    from .enforcement import Aspect

    found = []
    for aspect in Aspect:
        mine = [case for case in cases if case.aspect is aspect]
        if mine:
            found.append(_aspect(aspect, mine, results))
    return tuple(found)


def _aspect(aspect: Aspect, cases: Sequence[Case], results: Mapping[str, CaseResult | str]) -> AspectProof:
    from .enforcement import Level

    proofs = tuple(_judged(case, results[case.name]) for case in cases)
    kinds = {proof.result for proof in proofs}
    claims = [
        claim.level
        for case in cases
        if not isinstance(found := results[case.name], str)
        for claim in found.claims.values()
    ]
    order = (Level.ENFORCED, Level.PARTIAL, Level.ADVISORY, Level.NONE, Level.UNKNOWN)
    claimed = min(claims, key=order.index, default=Level.UNKNOWN)
    good = kinds <= {"held", "open"} and "held" in kinds
    level = claimed if kinds <= {"held", "open"} else Level.NONE if "got through" in kinds else Level.UNKNOWN
    if level is Level.ENFORCED and any(proof.details for proof in proofs):
        level = Level.PARTIAL  # the sandboxes in which a known hole was shown do not say enforced
    return AspectProof(aspect, level, good and level.holds, proofs)


def _judged(case: Case, found: CaseResult | str) -> CaseProof:
    if isinstance(found, str):
        result = "not tried" if found.startswith("this host") else "not shown"
        return CaseProof(case.name, case.text, result, (found,))
    rows = found.rows
    broken = [row for row in rows if row.expected == "denied" and row.outcome.verdict == "allowed"]
    opened = [row for row in rows if row.expected == "open" and row.outcome.verdict == "allowed"]
    # A known hole that is closed on this machine is no fault of it.
    other = [row for row in rows if not row.as_expected and row not in broken and row.expected != "open"]
    details = tuple(map(_told, (*broken, *other))) + found.mistakes + tuple(f"known: {_told(row)}" for row in opened)
    if broken:
        return CaseProof(case.name, case.text, "got through", details)
    if other or found.mistakes:
        return CaseProof(case.name, case.text, "not shown", details)
    held = not opened or any(row.expected == "denied" for row in rows)
    return CaseProof(case.name, case.text, "held" if held else "open", details)


def _told(row: Row) -> str:
    reason = row.outcome.reason.splitlines()
    return f"{row.attempt.operation}: {row.outcome.verdict}" + (f" ({reason[0]})" if reason else "")


# -- recording


def _record(
    host: Host,
    scene: Scene,
    policy: Policy | None,
    configuration: Mapping[str, Any],
    aspects: Sequence[AspectProof],
    state_dir: str | os.PathLike[str] | None,
    notes: list[str],
) -> bool:
    """Keep the proven aspects; nothing where a plain write outside was not refused."""
    import time

    from . import __version__
    from ._state import State
    from .enforcement import Aspect
    from .policy import Policy

    proven = [entry for entry in aspects if entry.proven]
    if not any(entry.aspect is Aspect.WRITES_OUTSIDE for entry in proven):
        notes.append("this host does not enforce a policy: writes outside were not shown to be refused")
        return False
    volume = scene.volume()
    day = time.strftime("%Y-%m-%d", time.gmtime(host.processes.time()))
    said = f"proven on {day}, {host.capabilities().system}, {volume.filesystem} ({volume.kind}), version {__version__}"
    texts = {entry.aspect: f"{entry.aspect}: {said}, {len(entry.cases)} cases" for entry in proven}
    root = scene.path + "\\root"
    scene.make_directory(root)  # what a proof counts for is asked of the policy's directories
    counted = [
        Policy.workspace(root, **configuration),
        Policy.read_only(**_unguarded(configuration)),
    ]
    if policy is not None:
        others = _other_volumes(host, policy, volume)
        if others:
            notes.append("the cases ran in the profile; they say nothing about the roots on " + ", ".join(others))
        else:
            counted.append(policy)
    with State.open(host, None if state_dir is None else str(state_dir)) as state:
        for each in counted:
            state.remember_proof(each, texts)
    return True


def _unguarded(configuration: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in configuration.items() if name != "guards"}


def _other_volumes(host: Host, policy: Policy, proven: Volume) -> list[str]:
    """The policy's volumes that are of another kind than the one of the scratch directory."""
    from ._security.mask import FILE_READ_ATTRIBUTES

    found = []
    for root in policy.writable_roots:
        with host.files.open(root, FILE_READ_ATTRIBUTES) as handle:
            volume = host.files.volume(handle)
        if (volume.filesystem, volume.kind) != (proven.filesystem, proven.kind):
            found.append(f"{volume.root} ({volume.filesystem}, {volume.kind})")
    return found


# -- the scratch directory


class _Scratch:
    """A directory of this run in the user's profile: made, and removed by handles whatever happens.

    Its name holds this process's id and creation time. What a run leaves that was ended for good in the middle is found
    by that name, and removed by the next one.
    """

    def __init__(self, host: Host, notes: list[str]) -> None:
        self._host = host
        self._notes = notes
        self._profile = host.files.known_folders().profile
        process = host.processes.current()
        self._name = f"{_PREFIX}{process.pid}-{process.created}"
        self._handle: Handle | None = None

    def __enter__(self) -> Scene:
        from ._scene import Scene
        from ._security.mask import FILE_ADD_SUBDIRECTORY, FILE_LIST_DIRECTORY, FILE_READ_ATTRIBUTES, FILE_TRAVERSE

        look = FILE_LIST_DIRECTORY | FILE_TRAVERSE | FILE_READ_ATTRIBUTES
        self._handle = self._host.files.open(self._profile, look | FILE_ADD_SUBDIRECTORY)
        try:
            for name in (*self._left_over(), self._name):
                self._remove(name)
            self._host.files.create_directory(self._handle, self._name, look).close()
        except BaseException:
            self._handle.close()
            raise
        return Scene(self._host, f"{self._profile}\\{self._name}")

    def __exit__(self, *error: object) -> None:
        handle, self._handle = self._handle, None
        if handle is not None:
            with handle:
                self._remove(self._name, handle)

    def _left_over(self) -> Iterator[str]:
        import re

        from ._host import ProcessId

        if self._handle is None:
            return
        for entry in list(self._host.files.entries(self._handle)):
            found = re.fullmatch(re.escape(_PREFIX) + r"(\d{1,10})-(\d{1,20})", entry.name)
            if found and not self._host.processes.alive(ProcessId(int(found[1]), int(found[2]))):
                yield entry.name

    def _remove(self, name: str, handle: Handle | None = None) -> None:
        from ._walk import Listing, remove_tree

        left = Listing()
        parent = handle or self._handle
        if parent is not None and not remove_tree(self._host, parent, name, left, path=f"{self._profile}\\{name}"):
            self._notes.extend(f"could not be removed: {path}: {error}" for path, error in left.items)
