"""Pure: what may be promised about a plan, aspect by aspect, and what has to be taken back once the token was read.

The rules behind each verdict are Windows' access check (MS-DTYP 2.5.3, "Restricted Tokens" on Microsoft Learn) and the
recorded measurements of write-restricted tokens. A level is never higher than its weakest known case; a host that does
not tell is ``unknown``, which never counts as enforced.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from .enforcement import Aspect, Basis, Enforcement, Level, Verdict

if TYPE_CHECKING:
    from ._plan import Grant
    from ._survey import Facts
    from .policy import Policy

# What a difference of the token takes away: every promise that stands on the second pass, or makes it unknown; those
# that stand on the integrity level; or nothing that was promised.
Takes = Literal["restriction", "unknown", "integrity", "nothing"]


class Difference(NamedTuple):
    """One thing in which the token that was made is not the one of the recipe."""

    takes: Takes
    text: str


_BROKERS: Final = "brokers outside (COM servers, the shell, scheduled tasks, WMI) run what they are asked to"
# The aspects that stand on the second pass of the access check: without a restricted token nothing of them is left.
_ON_THE_TOKEN: Final = (Aspect.WRITES_OUTSIDE, Aspect.PROTECTED_PLACES, Aspect.REGISTRY, Aspect.OTHER_PROCESSES)


def promise(
    policy: Policy, facts: Facts, grants: Iterable[Grant], *, proven: Mapping[Aspect, str] | None = None
) -> Enforcement:
    """The verdicts for a plan that is carried out completely.

    `proven` names the aspects whose conformance cases passed on this machine and in this configuration, with a sentence
    about when; it raises no level, only the basis.
    """
    grants = tuple(grants)
    basis = Basis.SIMULATED if facts.capabilities.kind == "simulated" else Basis.DOCUMENTED
    verdicts = {
        Aspect.WRITES_OUTSIDE: _writes_outside(policy, facts),
        Aspect.DELETES_OUTSIDE: _deletes_outside(policy, facts),
        Aspect.PROTECTED_PLACES: _protected_places(policy, facts, grants),
        Aspect.READS: (Level.NONE, "a write-restricted token reads whatever the user may read.", ()),
        Aspect.NETWORK: _network(policy),
        Aspect.NETWORK_SHARES: (
            Level.NONE,
            "a file server checks access with a token of its own, which knows no restricting SIDs: the child writes to "
            "shares as the user.",
            tuple(drive.root for drive in facts.drives if drive.kind == "remote"),
        ),
        Aspect.REGISTRY: (
            Level.PARTIAL,
            "setting values and creating keys needs a restricting SID in the key's list, which ordinary keys of the "
            "user do not name.",
            ("keys that Everyone may write", "KEY_CREATE_LINK, which is no write right"),
        ),
        Aspect.OTHER_PROCESSES: _other_processes(policy),
        Aspect.CONSOLE: _console(policy),
        Aspect.USER_INTERFACE: _user_interface(policy),
        Aspect.LIMITS: (
            (Level.ENFORCED, "by the job object, wall-clock time by a timer of the host process.", ())
            if policy.limits.to_dict()
            else (Level.NONE, "the policy sets no limits.", ())
        ),
    }
    if facts.capabilities.kind == "wine":
        verdicts = {aspect: _under_wine(answer) for aspect, answer in verdicts.items()}
    proven = proven or {}
    return Enforcement(
        tuple(
            (aspect, Verdict(level, Basis.PROVEN if aspect in proven else basis, reason, exceptions))
            for aspect, (level, reason, exceptions) in verdicts.items()
        ),
        facts.capabilities.system,
        tuple(facts.notes) + tuple(proven.values()),
    )


_Answer = tuple[Level, str, tuple[str, ...]]


def _under_wine(answer: _Answer) -> _Answer:
    """Wine takes restricting SIDs, file ACLs, integrity levels, desktops and job limits, and enforces none of them."""
    if not answer[0].holds:
        return answer
    return Level.UNKNOWN, "Wine accepts what Windows would enforce here, and says nothing of what it does with it.", ()


def _writes_outside(policy: Policy, facts: Facts) -> _Answer:
    """Never ``enforced``: a file carries its grant along when the user moves it, and an audit sees what it looks at."""
    reason = "writing, creating and changing need a right for a restricting SID, which only the roots grant."
    exceptions = [
        "files that were moved out of a root keep its grant (`scan` finds them), those out of the private TEMP while "
        "the sandbox lives"
    ]
    exceptions += [
        f"{drive.root} ({drive.filesystem or 'no file system'}): the volume has no access control lists"
        for drive in facts.drives
        if not drive.persistent_acls and drive.kind in ("fixed", "removable", "ramdisk", "unknown")
    ]
    exceptions += [f"{drive.root}: a network drive" for drive in facts.drives if drive.kind == "remote"]
    everyone = "that everyone may write, or " if "everyone" in policy.restricting else ""
    places = f"places {everyone}that have no access control list"
    if facts.open_places is None:
        exceptions.append(f"{places}: they were not looked for (`audit` lists them)")
    else:
        exceptions += [*facts.open_places, f"{places}, made since the last audit or beyond its limits (`audit`)"]
    return Level.PARTIAL, reason, tuple(exceptions)


def _deletes_outside(policy: Policy, facts: Facts) -> _Answer:
    if policy.integrity != "low":
        return (
            Level.NONE,
            "deleting or renaming needs only FILE_DELETE_CHILD on the parent, which is no write right and which the "
            "user holds on his own directories. integrity='low' closes it.",
            (),
        )
    return (
        Level.PARTIAL,
        "a Low token gets no FILE_DELETE_CHILD on a directory of Medium integrity.",
        (f"{facts.folders.local_app_data_low} and other directories labelled Low",),
    )


def _protected_places(policy: Policy, facts: Facts, grants: tuple[Grant, ...]) -> _Answer:
    if not grants or not policy.protected_subpaths:
        return Level.NONE, "the policy protects no places.", ()
    exceptions = [
        f"{path} does not exist: its creation is noticed after each command, not prevented"
        for path in dict.fromkeys((*facts.watch, *(path for grant in grants for path in grant.watch)))
    ]
    if not policy.guards:
        exceptions.append("guards are off: what lies in a protected directory can be deleted through that directory")
    elif facts.caller.logon is None:
        exceptions.append("the caller has no logon SID: guards cannot be placed")
    if any(place.between for grant in grants for place in grant.protected):
        exceptions.append("what else lies in the directories that hold a protected place stays writable")
    reason = (
        "a deny ACE for the grant precedes every allow, guards deny deletes from inside, and handles pin the places "
        "while the sandbox lives. Repositories nested deeper are not covered."
    )
    return (Level.PARTIAL if exceptions else Level.ENFORCED), reason, tuple(exceptions)


def _network(policy: Policy) -> _Answer:
    shim = policy.network
    if not shim.enabled:
        return Level.NONE, "the policy leaves the network alone.", ()
    if not (shim.tools or shim.stubs):
        return Level.NONE, "the policy's network shim is empty: it has neither tools nor stubs.", ()
    return (
        Level.ADVISORY,
        "variables and stub commands ask common tools to stay offline; any program that opens a socket itself gets "
        "through.",
        tuple(shim._reservations()),
    )


def _other_processes(policy: Policy) -> _Answer:
    exceptions = ["PROCESS_TERMINATE: the child can end the user's other processes", _BROKERS]
    if policy.integrity != "low":
        exceptions.insert(1, "PROCESS_VM_READ: the child can read their memory")
    return (
        Level.PARTIAL,
        "writing to another process, starting threads in it and taking its handles are write rights.",
        tuple(exceptions),
    )


def _console(policy: Policy) -> _Answer:
    if policy.console == "shared":
        return Level.NONE, "the policy shares the console: the child can type into it.", ()
    return (
        Level.PARTIAL,
        "the child gets no window and no console handle; a standard stream that is a console goes through a pipe.",
        ("AttachConsole to the console of another process of the user is not refused",),
    )


def _user_interface(policy: Policy) -> _Answer:
    exceptions = tuple(
        f"the clipboard can be {done}"
        for limit, done in (("clipboard-read", "read"), ("clipboard-write", "written"))
        if limit not in policy.ui_limits
    )
    if policy.desktop == "private":
        return (
            Level.PARTIAL,
            "a desktop of its own keeps messages and hooks from the user's windows; the window station is shared.",
            exceptions,
        )
    if policy.ui_limits:
        return Level.PARTIAL, "the job's limits hold back: " + ", ".join(policy.ui_limits) + ".", exceptions
    return Level.NONE, "the child shares the user's desktop.", ()


def observed(enforcement: Enforcement, differences: Iterable[Difference]) -> Enforcement:
    """Take back what the token that was really made does not support, and note every difference."""
    differences = tuple(differences)
    taken: dict[Aspect, Verdict] = {}
    for takes, aspects, level in (
        ("unknown", (*_ON_THE_TOKEN, Aspect.DELETES_OUTSIDE), Level.UNKNOWN),
        ("integrity", (Aspect.DELETES_OUTSIDE, Aspect.OTHER_PROCESSES), Level.NONE),
        ("restriction", (*_ON_THE_TOKEN, Aspect.DELETES_OUTSIDE), Level.NONE),
    ):
        texts = [difference.text for difference in differences if difference.takes == takes]
        if texts:
            reason = f"the token that this host made is not the one that was asked for: {'; '.join(texts)}."
            taken |= dict.fromkeys(aspects, Verdict(level, Basis.OBSERVED, reason))
    verdicts = tuple(
        (aspect, taken[aspect] if aspect in taken and verdict.level is not Level.NONE else verdict)
        for aspect, verdict in enforcement.verdicts
    )
    notes = tuple(difference.text for difference in differences)
    return replace(enforcement, verdicts=verdicts, notes=enforcement.notes + notes)


def without_desktop(enforcement: Enforcement, note: str) -> Enforcement:
    """Take back the private desktop that this host could not make."""
    verdict = Verdict(Level.NONE, Basis.OBSERVED, "no private desktop could be made: the child shares the user's.")
    verdicts = tuple(
        (aspect, verdict if aspect is Aspect.USER_INTERFACE else old) for aspect, old in enforcement.verdicts
    )
    return replace(enforcement, verdicts=verdicts, notes=(*enforcement.notes, note))


def without_limits(enforcement: Enforcement, refused: Mapping[str, str]) -> Enforcement:
    """Take back the limits that this host refused: sentences by name, "ui" for those of the user interface."""
    others = tuple(text for name, text in refused.items() if name != "ui")
    verdicts = []
    for aspect, verdict in enforcement.verdicts:
        taken = verdict
        if aspect is Aspect.LIMITS and others:
            taken = Verdict(Level.PARTIAL, Basis.OBSERVED, "the host refused some of the limits.", others)
        elif aspect is Aspect.USER_INTERFACE and "ui" in refused:
            exceptions = (*verdict.exceptions, refused["ui"])
            taken = replace(verdict, basis=Basis.OBSERVED, exceptions=exceptions)
        verdicts.append((aspect, taken))
    return replace(enforcement, verdicts=tuple(verdicts), notes=enforcement.notes + tuple(refused.values()))


def with_exceptions(enforcement: Enforcement, aspect: Aspect, exceptions: Iterable[str]) -> Enforcement:
    """Add what was met while the plan was carried out: what was enforced is partial then."""
    found = tuple(exceptions)
    if not found:
        return enforcement
    verdicts = []
    for known, verdict in enforcement.verdicts:
        taken = verdict
        if known is aspect and verdict.level.holds:
            taken = replace(
                verdict, level=Level.PARTIAL, basis=Basis.OBSERVED, exceptions=(*verdict.exceptions, *found)
            )
        verdicts.append((known, taken))
    return replace(enforcement, verdicts=tuple(verdicts))


def unproven(enforcement: Enforcement) -> tuple[str, ...]:
    """The aspects that are promised to hold but were not proven on this machine."""
    return tuple(
        str(aspect)
        for aspect, verdict in enforcement.verdicts
        if verdict.level.holds and verdict.basis is not Basis.PROVEN
    )
