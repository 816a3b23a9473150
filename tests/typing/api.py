"""Right and wrong uses of the public surface, for the type checker alone: this file is never run.

Each wrong use carries the error that a user must be shown; mypy --strict reports an ignore that is not needed, so a use
that stopped being an error fails the check. It is checked against the code (mypy) and against stubs/ (test_surface.py).
"""

from __future__ import annotations

from pathlib import PureWindowsPath
from typing import assert_type

from winsandbox.environment import Environment
from winsandbox.errors import AclError, Mistake, PolicyError, SandboxError, WinError
from winsandbox.limits import Limits
from winsandbox.network import NetworkShim
from winsandbox.policy import Policy, Protect


def policies_are_made(text: str) -> None:
    policy = Policy.workspace(
        PureWindowsPath(r"C:\src\project"),
        writable_roots=[r"D:\cache"],
        protected_subpaths=(*Protect.DEFAULT, "secrets"),
        integrity="low",
        elevated="lower",
        environment=Environment(),
        limits=Limits(),
        network=NetworkShim(),
    )
    assert_type(policy, Policy)
    assert_type(policy.writable_roots, tuple[str, ...])
    assert_type(Policy.read_only(), Policy)
    assert_type(Policy.from_json(text).to_json(), str)


def policies_are_not_made_so(policy: Policy) -> None:
    Policy.workspace()  # type: ignore[call-arg]
    Policy.workspace(b"C:\\src")  # type: ignore[arg-type]
    Policy.workspace(r"C:\src", integrity="high")  # type: ignore[arg-type]
    Policy.workspace(r"C:\src", writable_root=r"D:\cache")  # type: ignore[call-arg]
    Policy.workspace(r"C:\src", [r"D:\cache"])  # type: ignore[call-arg]
    policy.integrity = "low"  # type: ignore[misc]


def errors_are_caught_as_builtins(error: AclError | PolicyError) -> str:
    if isinstance(error, PolicyError):
        assert_type(error.mistakes, tuple[Mistake, ...])
        as_value_error: ValueError = error
        return str(as_value_error)
    as_os_error: OSError = error
    assert_type(error.function, str)
    return f"{as_os_error.errno} {error.remedy} {error.code}"


def errors_are_made(mistake: Mistake) -> None:
    assert_type(WinError(5, "OpenProcessToken").winerror, int)
    assert_type(WinError(5, "CreateFileW", r"C:\src", status=0).status, int | None)
    SandboxError("This cannot be.", remedy="Do that.", code="some.code")
    PolicyError([mistake])
    PolicyError((mistake,), code="root")


def errors_are_not_made_so(mistake: Mistake) -> None:
    WinError("OpenProcessToken", 5)  # type: ignore[arg-type]
    SandboxError("This cannot be.", "Do that.")  # type: ignore[call-arg]
    PolicyError("no such folder")  # type: ignore[arg-type]
    PolicyError(mistake)  # type: ignore[arg-type]
    mistake.reason = "another"  # type: ignore[misc]
