"""Count what a cold start would walk; reads only."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ._findings import Findings
from ._host import Entry, FileId, Host
from ._security.descriptor import DACL_PROTECTED, SecurityDescriptor
from ._security.mask import FILE_LIST_DIRECTORY
from ._walk import LOOK, PLACEHOLDER, Cancel, Counter, Item, Progress, Walk
from .errors import AclError

if TYPE_CHECKING:
    from ._plan import Place


class Counting:
    """Reads only: what a Giver would meet below a root."""

    access = LOOK

    def __init__(self, host: Host, known: Iterable[FileId], findings: Findings, limit: int | None) -> None:
        self._files = host.files
        self._known: Collection[FileId] = frozenset(known)
        self._findings = findings
        self._limit = limit

    def place(self, above: Any, entry: Entry, path: str) -> Any:
        if self._limit is not None and self._findings.objects >= self._limit:
            raise AclError(f"more than {self._limit} objects.", path=path, code="acl.limit")
        if entry.name.upper() == ".GIT" and entry.identity not in self._known:
            self._findings.nested.add(path)
        if entry.reparse:
            self._findings.links.add(path)
            return None
        if entry.attributes & PLACEHOLDER:
            self._findings.placeholders.add(path)
            return None
        return True

    def look(self, item: Item) -> bool:
        self._findings.objects += 1
        item.below = True
        if not item.info.directory and item.info.links > 1:
            self._findings.hard_links.add(item.path)
            return False
        old = SecurityDescriptor.from_bytes(self._files.security(item.handle))
        if old.dacl is None:
            self._findings.null_dacls.add(item.path)
        elif old.control & DACL_PROTECTED:
            self._findings.protected_dacls.add(item.path)
        return False

    def write(self, items: list[Item]) -> None:
        """Nothing: look never asks for it."""

    def failed(self, path: str, context: Any, error: OSError) -> None:
        self._findings.error(path, error)


@dataclass(frozen=True, slots=True)
class Survey:
    """What :func:`survey_walk` counted. ``complete``: it saw everything within its limits."""

    root: str
    findings: Findings
    complete: bool
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {"root": self.root, "complete": self.complete, "seconds": self.seconds, **self.findings.to_dict()}


def survey_walk(
    host: Host,
    root: Place,
    *,
    known: Sequence[FileId] = (),
    time_limit: float | None = 5.0,
    max_objects: int | None = 200_000,
    progress: Progress | None = None,
    cancel: Cancel | None = None,
) -> Survey:
    """Count what a cold start would walk below `root`; reads only. `known`: repositories that are protected anyway."""
    findings = Findings()
    counter = Counter(host, progress, cancel, time_limit)
    complete = True
    try:
        handle = host.files.open(root.path, LOOK | FILE_LIST_DIRECTORY)
        Walk(host, Counting(host, known, findings, max_objects), counter).run(handle, root.path, True)
    except AclError as error:
        if error.code not in ("acl.time-limit", "acl.limit"):
            raise
        complete = False
    return Survey(root.path, findings, complete, host.processes.clock() - counter.begun)
