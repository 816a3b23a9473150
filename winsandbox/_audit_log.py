"""The end of a command, or of the attempt to start one: what got through, log records, a line in the audit log.

The audit log has one JSON line for each command; it is in the state directory, where no child can write or delete.

A line is written when a command ended: what ran, under which policy, what was promised, how it ended, what got through.
One that could not be started has ``error`` and ``code`` instead. The file only grows; the user removes it. The
environment is not in it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from . import _log
from ._host import SHARE_READ, SHARE_WRITE, Handle
from ._security.mask import FILE_APPEND_DATA, FILE_READ_ATTRIBUTES, SYNCHRONIZE
from .errors import SandboxError

if TYPE_CHECKING:
    from ._apply import Applied
    from ._host import Host
    from ._state import State
    from ._violations import Snapshot
    from .enforcement import Enforcement
    from .process import ProcessBase

NAME: Final = "audit.jsonl"
# Append only: every write goes to the end in one call, so the lines of several processes never mix.
_APPEND: Final = FILE_APPEND_DATA | FILE_READ_ATTRIBUTES | SYNCHRONIZE


class AuditLog:
    """An open audit log; made where there is none."""

    def __init__(self, host: Host, state: State) -> None:
        self._host = host
        files = host.files
        try:
            self._handle: Handle = files.open_at(state.handle, NAME, _APPEND, share=SHARE_READ | SHARE_WRITE)
        except FileNotFoundError:
            try:
                self._handle = files.create_file(state.handle, NAME, _APPEND, share=SHARE_READ | SHARE_WRITE)
            except FileExistsError:  # another process of ours was faster
                self._handle = files.open_at(state.handle, NAME, _APPEND, share=SHARE_READ | SHARE_WRITE)

    def record(self, entry: Mapping[str, object]) -> None:
        """Append one line."""
        import json

        line = json.dumps({"version": 1, "time": self._host.processes.time(), **entry}, ensure_ascii=False)
        self._host.files.write(self._handle, line.encode("utf-8", "surrogatepass") + b"\n")

    def close(self) -> None:
        """Close the file."""
        self._handle.close()


def report_end(
    process: ProcessBase,
    applied: Applied,
    since: Snapshot,
    log: AuditLog | None,
    *,
    policy: str,
    cwd: object,
    seconds: float,
    enforcement: Enforcement | None,
) -> None:
    """Look for violations since the command started, and record how it ended.

    Raises nothing that the host can cause: the caller is ending things, and a full disk must not keep it from that.
    """
    try:
        process.violations = applied.violations(since)
    except (SandboxError, OSError) as error:
        process.notes = (*process.notes, f"it could not be looked for violations: {error}")
    facts: dict[str, object] = {
        "policy": policy,
        "argv": [str(word) for word in process.args],
        "cwd": str(cwd),
        "pid": process.pid,
        "returncode": process.returncode,
        "seconds": seconds,
        "limit": process.limit,
        "violations": [str(violation) for violation in process.violations],
    }
    for violation in process.violations:
        _log.record(
            "violation", str(violation), weight="warning", policy=policy, pid=process.pid, **violation.to_dict()
        )
    _log.record("ended", f"process {process.pid} ended with {process.returncode}", weight="info", **facts)
    failed = _write(log, {**facts, "enforcement": None if enforcement is None else enforcement.to_dict()})
    if failed:
        process.notes = (*process.notes, failed)


def report_failure(
    error: Exception,
    log: AuditLog | None,
    *,
    policy: str,
    argv: Sequence[str],
    cwd: object,
    enforcement: Enforcement | None,
) -> None:
    """Record a command that could not be started. Raises nothing that the host can cause: `error` is to be raised."""
    facts: dict[str, object] = {
        "policy": policy,
        "argv": list(argv),
        "cwd": str(cwd),
        "returncode": None,
        "error": str(error),
        "code": getattr(error, "code", "") or type(error).__name__,
        "winerror": getattr(error, "winerror", None) or None,
    }
    # No warning: the caller gets the error, and where logging is not set up a warning is printed.
    _log.record("spawn-failed", f"{argv[0]} was not started: {error}", weight="info", **facts)
    _write(log, {**facts, "enforcement": None if enforcement is None else enforcement.to_dict()})


def _write(log: AuditLog | None, entry: Mapping[str, object]) -> str:
    """Append the line if there is a log; what went wrong, in words, or ""."""
    if log is None:
        return ""
    try:
        log.record(entry)
    except OSError as error:
        said = f"the audit log was not written: {error}"
        _log.record("audit-log-failed", said, weight="warning", policy=entry["policy"], argv=entry["argv"])
        return said
    return ""
