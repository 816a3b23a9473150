"""Can this host, and this command, work in a sandbox? Questions that are answered before anything is changed.

``doctor`` only reads: it makes no token, writes no ACL and starts nothing. So it tells what is known to stand in the
way; what is really enforced is told by ``Sandbox.enforcement``, and proven by ``prove``.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import os

    from ._host import Host

__all__ = ["Diagnosis", "Finding", "doctor"]

Severity = Literal["error", "warning", "info"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing found.

    Attributes:
        severity: "error": a sandbox cannot work here, or not with this command; "warning": something will not, or is
            not confined; "info": worth knowing.
        subject: what it is about, a stable word or two, such as ``"session 0"``.
        text: what was found.
        remedy: what to do about it, or ``""``.
    """

    severity: Severity
    subject: str
    text: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.severity}: {self.subject}: {self.text}" + (f" {self.remedy}" if self.remedy else "")


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """All that was found, the worst first.

    Attributes:
        system: the host, in words.
        findings: the findings.
    """

    system: str
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether there is no error among them."""
        return all(finding.severity != "error" for finding in self.findings)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; ``version`` rises when their meaning changes."""
        names = ("severity", "subject", "text", "remedy")
        return {
            "version": 1,
            "system": self.system,
            "ok": self.ok,
            "findings": [{name: getattr(finding, name) for name in names} for finding in self.findings],
        }

    def to_text(self) -> str:
        """For people: a line for the system, then one for each finding."""
        lines = [str(finding) for finding in self.findings] or ["nothing stands in the way, as far as can be read"]
        return "\n".join([self.system, *lines])


def doctor(
    command: Sequence[str | os.PathLike[str]] | None = None,
    *,
    cwd: str | os.PathLike[str] | None = None,
    host: Host | None = None,
) -> Diagnosis:
    """Look at the host, and at `command` (only its first item is looked for) if one is given.

    Nothing is raised for what is found, on any OS: what cannot be read is itself a finding.

    Args:
        command: a command as for ``Sandbox.spawn``.
        cwd: the directory from which a relative command (``.\\tool``) is taken. None: this process's own; of a
            simulated host, which has none, the user's profile.
        host: another host than this machine.

    Raises:
        TypeError: `command` is no sequence of str and paths.
    """
    from ._diagnosis import findings
    from ._host import default_host
    from ._spawn import arguments
    from .errors import UnsupportedHost

    words: list[str] | None = None
    wrong: tuple[Finding, ...] = ()
    if command is not None and not (isinstance(command, list | tuple) and not command):
        try:
            words = arguments(command)
        except ValueError as error:
            wrong = (Finding("error", "command", f"{error}.", "Name a program."),)
    try:
        host = default_host() if host is None else host
    except UnsupportedHost as error:
        return Diagnosis(sys.platform, (Finding("error", "operating system", error.message, error.remedy),))
    capabilities = host.capabilities()
    return Diagnosis(f"{capabilities.system}, {capabilities.machine}", (*findings(host, words, cwd), *wrong))
