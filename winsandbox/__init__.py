"""Run a command on Windows so that it can write only where it was allowed to, and be told what is enforced.

See README.md for what this protects and what it does not. Importing works, and touches nothing, on every OS.
"""

# The map. A request goes through these files, in this order; the pure ones know nothing of Windows calls:
#
#   policy.py            what is allowed (environment.py, limits.py, network.py: its parts)
#   _survey.py           reads from a host the facts that the policy needs (_places.py: what has to be protected)
#   _plan.py             pure: policy + facts -> plan (with _verdicts.py: what may be promised about it)
#   _token.py            token recipe -> restricted token, read back
#   _apply.py            puts the plan's ACEs on disk (_placing.py, _edits.py, _walk.py) through the ledger (_ledger.py,
#                        _state.py), and watches what comes up meanwhile (_watch.py)
#   _spawn.py            process recipe -> process in a job (_resolve.py, _pipes.py, _desktop.py, _async.py)
#   sandbox.py           those calls and the lifetime; process.py: what spawn returns
#
#   enforcement.py explain.py grants.py audit.py doctor.py prove.py    what can be asked about it
#   testing.py           SimulatedHost (_sim/), to test all of it on any OS
#
#   _host.py             the seam: all that the above ask of an operating system
#   _security/           the security model: SIDs, ACLs, access check, inheritance; pure
#   _win32/              the bindings; the only place with ctypes

# First of all, and before any other module is imported: `python -m` imports this file before __main__, and without -P
# the working directory comes first on sys.path, so that a dataclasses.py or typing.py left there by a sandboxed child
# would be run, unsandboxed, by the imports below. That is also why there is no `from __future__` here: it imports a
# module of that name. What this leaves open: what Python's own start imports (runpy and what it needs), the packages
# around a vendored copy, and a directory of this package's own name.
import sys


def _started_as_command() -> bool:
    """Whether this is ``python -m`` looking for this package: then, and only then, argv[0] is "-m"."""
    if sys.argv[:1] != ["-m"]:
        return False
    words = iter(sys.orig_argv[1:])
    for word in words:
        flags, found, name = word.partition("m")
        if found and flags[:1] == "-" and set(flags[1:]) <= set("bBdEhiIOqRsSuvVx"):
            return (name or next(words, "")) in (__name__, __name__ + ".__main__")
    return False


if not sys.flags.safe_path and _started_as_command():
    sys.stderr.write(
        "winsandbox: started without -P. Python would import modules from the working directory, where a sandboxed "
        f"command may have put its own. Use: python -P -m {__name__} ...\n"
    )
    raise SystemExit(125)

from typing import TYPE_CHECKING

# These three bear the name of their module, so they are bound here and not on demand: importing the module later would
# put the module in the function's place.
from .doctor import doctor
from .explain import explain
from .prove import prove

if TYPE_CHECKING:
    from . import audit, grants, testing
    from .enforcement import Aspect, Basis, Enforcement, Level, Verdict
    from .environment import Environment
    from .errors import (
        AclError,
        CommandNotFound,
        CommandRefused,
        EnforcementError,
        GrantInUse,
        LedgerError,
        Mistake,
        PolicyError,
        RootRefused,
        SandboxClosed,
        SandboxError,
        SpawnError,
        TokenError,
        UnsupportedHost,
        WinError,
    )
    from .explain import Decision
    from .limits import Limits
    from .network import NetworkShim
    from .policy import Policy, Protect
    from .process import Process
    from .sandbox import Sandbox

__version__ = "0.1.0"

__all__ = [
    "AclError",
    "Aspect",
    "Basis",
    "CommandNotFound",
    "CommandRefused",
    "Decision",
    "Enforcement",
    "EnforcementError",
    "Environment",
    "GrantInUse",
    "LedgerError",
    "Level",
    "Limits",
    "Mistake",
    "NetworkShim",
    "Policy",
    "PolicyError",
    "Process",
    "Protect",
    "RootRefused",
    "Sandbox",
    "SandboxClosed",
    "SandboxError",
    "SpawnError",
    "TokenError",
    "UnsupportedHost",
    "Verdict",
    "WinError",
    "WorkingDirectoryError",
    "__version__",
    "audit",
    "doctor",
    "explain",
    "grants",
    "prove",
    "testing",
]

# Public name -> the module that has it, loaded when it is first asked for: an agent that only checks whether it could
# sandbox should not pay for all of this at its start.
_HOMES = {
    **dict.fromkeys(("Aspect", "Basis", "Enforcement", "Level", "Verdict"), "enforcement"),
    **dict.fromkeys(
        (
            *("AclError", "CommandNotFound", "CommandRefused", "EnforcementError", "GrantInUse", "LedgerError"),
            *("Mistake", "PolicyError", "RootRefused", "SandboxClosed", "SandboxError", "SpawnError", "TokenError"),
            *("UnsupportedHost", "WinError", "WorkingDirectoryError"),
        ),
        "errors",
    ),
    **dict.fromkeys(("Policy", "Protect"), "policy"),
    "Decision": "explain",
    "Environment": "environment",
    "Limits": "limits",
    "NetworkShim": "network",
    "Process": "process",
    "Sandbox": "sandbox",
}
_MODULES = ("audit", "grants", "testing")


def __getattr__(name: str) -> object:
    from importlib import import_module

    if name in _HOMES:
        value: object = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    elif name in _MODULES:
        value = import_module(f".{name}", __name__)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
