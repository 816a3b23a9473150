"""What a child gets besides its token: its environment, its directory and the helper files of the policy."""

from __future__ import annotations

import ntpath
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from .environment import ALWAYS, Environment, check, folded, merged

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

    Raises:
        TypeError, PolicyError: `env` holds what no environment can; see ``environment.block``.
    """
    if env is None:
        base = policy.environment.apply(own)
        if policy.environment.redirect_caches:
            chosen = {folded(name) for name in policy.environment.set}
            caches = Environment.caches(scratch.temp)
            base = merged(base, {name: value for name, value in caches.items() if folded(name) not in chosen})
    else:
        check(env)  # before names are compared
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


def directory(cwd: object, workspace: str | None) -> str | None:
    """`cwd` as an absolute path, None for None; a relative `cwd` is taken from the workspace, on every host.

    Not from this process's own directory: what a model writes as a path would then depend on where the host program
    happened to be started.

    Raises:
        TypeError: neither str nor a path.
        ValueError: empty, with a NUL, or a path that depends on the current drive or its directory; relative, and
            there is no workspace.
    """
    if cwd is None:
        return None
    text = os.fspath(cwd) if isinstance(cwd, os.PathLike) else cwd
    if not isinstance(text, str):
        raise TypeError(f"cwd must be str or os.PathLike[str], not {type(text).__name__}")
    if not text or "\0" in text:
        raise ValueError("cwd holds a NUL character" if text else "cwd is empty; leave it out for the workspace")
    drive, rest = ntpath.splitdrive(text.replace("/", "\\"))
    if drive.startswith("\\\\") or (drive and rest.startswith("\\")):
        return drive + rest
    if drive or rest.startswith("\\"):
        raise ValueError(f"cwd {text!r} depends on the current drive or its directory: write the whole path")
    if not workspace:
        raise ValueError(f"cwd must be absolute where the policy has no workspace, which {text!r} is not")
    return ntpath.normpath(ntpath.join(workspace, rest))


def stub_files(policy: Policy) -> Mapping[str, bytes]:
    """The network shim's stub commands, by file name."""
    return policy.network.stub_files() if policy.network.enabled else {}


def child_files(plan: Plan) -> Mapping[str, bytes]:
    """The helper for Python children, by file name."""
    if not plan.policy.python_shim:
        return {}
    from ._child import files

    return files(str(plan.session), str(plan.user))
