"""What a child gets besides its token: its environment and the helper files of the policy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from .environment import ALWAYS, Environment, folded, merged

if TYPE_CHECKING:
    from ._plan import Plan
    from ._state import Scratch
    from .policy import Policy


def environment(
    policy: Policy, scratch: Scratch, own: Mapping[str, str], env: Mapping[str, str] | None
) -> dict[str, str]:
    """The child's environment.

    The order is the contract: `env` or `own` (the caller's, through ``policy.environment``), then TEMP, then the shim,
    which `env` cannot take away.
    """
    if env is None:
        base = policy.environment.apply(own)
        if policy.environment.redirect_caches:
            chosen = {folded(name) for name in policy.environment.set}
            caches = Environment.caches(scratch.temp)
            base = merged(base, {name: value for name, value in caches.items() if folded(name) not in chosen})
    else:
        base = dict(env)
    # Not TMPDIR: no Windows program needs it, and MSYS tools misread a Windows path in it.
    result = merged(base, {**ALWAYS, "TEMP": scratch.temp, "TMP": scratch.temp})
    if scratch.child is not None:
        old = next((value for name, value in result.items() if folded(name) == "PYTHONPATH"), "")
        result = merged(result, {"PYTHONPATH": f"{scratch.child};{old}" if old else scratch.child})
    if policy.network.enabled:
        # Last, so that nothing above takes the shim's variables away again.
        result = policy.network.environment(result, denybin=scratch.denybin)
    return result


def stub_files(policy: Policy) -> Mapping[str, bytes]:
    """The network shim's stub commands, by file name."""
    return policy.network.stub_files() if policy.network.enabled else {}


def child_files(plan: Plan) -> Mapping[str, bytes]:
    """The helper for Python children, by file name."""
    if not plan.policy.python_shim:
        return {}
    from ._child import files

    return files(str(plan.session), str(plan.user), None if plan.logon is None else str(plan.logon))
