"""What walks report: objects that could not be changed, lists that stay short and go on counting."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from ._walk import Listing
from .errors import AclError

if TYPE_CHECKING:
    from ._security.sid import Sid

_LISTS: Final = (
    "touched",
    "hard_links",
    "protected_dacls",
    "null_dacls",
    "links",
    "placeholders",
    "nested",
    "errors",
)
# What of them a user is told, the worst first.
_REPORTED: Final = {
    "errors": (
        "object could not be granted; it is not writable",
        "objects could not be granted; they are not writable",
    ),
    "null_dacls": (
        "object has no access control list and is writable for everyone",
        "objects have no access control list and are writable for everyone",
    ),
    "hard_links": ("file with several names is not writable", "files with several names are not writable"),
    "protected_dacls": (
        "object that inherits nothing is left as it is, with all below it",
        "objects that inherit nothing are left as they are, with all below them",
    ),
    "nested": ("nested repository is not protected", "nested repositories are not protected"),
    "placeholders": ("cloud placeholder was not touched", "cloud placeholders were not touched"),
    "links": ("link was not followed", "links were not followed"),
}


def counted(count: int, one: str, many: str) -> str:
    """``1 object``, ``2 objects``."""
    return f"{count} {one if count == 1 else many}"


@dataclass(frozen=True, slots=True)
class ObjectError:
    """An object that could not be read or written: its path, the Windows error code and what helps."""

    path: str
    winerror: int
    remedy: str

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {"path": self.path, "winerror": self.winerror, "remedy": self.remedy}

    def __str__(self) -> str:
        return f"{self.path}: winerror {self.winerror}. {self.remedy}"


@dataclass(frozen=True, slots=True)
class GrantReport:
    """What was met while the grants of a sandbox were put on disk (``Sandbox.grant_report``).

    Empty where nothing was walked: before the start, and after one that found everything in place. Lists keep the
    first 200 entries; ``counts`` has the number of all, by the name of the list.

    Attributes:
        objects: objects seen. ``written``: descriptors written.
        errors: objects that could not be granted: the child cannot write them.
        hard_links: files with several names, left as they are: the other names may lie outside.
        protected_dacls: objects that inherit nothing, left as they are with all below them.
        null_dacls: objects without an access control list, left as they are: everyone may write them.
        links: links and other reparse points, which are not followed.
        placeholders: files whose content is in a cloud only, left as they are.
        nested: repositories below the root's own, which are not protected.
    """

    objects: int = 0
    written: int = 0
    errors: tuple[ObjectError, ...] = ()
    hard_links: tuple[str, ...] = ()
    protected_dacls: tuple[str, ...] = ()
    null_dacls: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    placeholders: tuple[str, ...] = ()
    nested: tuple[str, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        result: dict[str, Any] = {"version": 1, "objects": self.objects, "written": self.written}
        for name in _REPORTED:
            items = [item.to_dict() if isinstance(item, ObjectError) else item for item in getattr(self, name)]
            result[name] = {"count": self.counts.get(name, 0), "items": items}
        return result

    def to_text(self, most: int = 5) -> str:
        """For a terminal: each list with its count and its first `most` entries; "" where there is nothing to tell."""
        lines: list[str] = []
        for name, (one, many) in _REPORTED.items():
            count, items = self.counts.get(name, 0), getattr(self, name)[:most]
            if count:
                lines.append(counted(count, one, many))
                lines.extend(f"  {item}" for item in items)
                if count > len(items):
                    lines.append(f"  and {count - len(items)} more")
        return "\n".join(lines)


@dataclass(slots=True)
class Findings:
    """What a walk met. Lists keep the first entries and go on counting."""

    objects: int = 0
    written: int = 0
    touched: Listing = field(default_factory=Listing)
    hard_links: Listing = field(default_factory=Listing)
    protected_dacls: Listing = field(default_factory=Listing)
    null_dacls: Listing = field(default_factory=Listing)
    links: Listing = field(default_factory=Listing)
    placeholders: Listing = field(default_factory=Listing)
    nested: Listing = field(default_factory=Listing)
    errors: Listing = field(default_factory=Listing)

    def add(self, other: Findings) -> None:
        """Join what another walk met."""
        self.objects += other.objects
        self.written += other.written
        for name in _LISTS:
            getattr(self, name).extend(getattr(other, name))

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON: each list with its count."""
        result: dict[str, Any] = {"objects": self.objects, "written": self.written}
        for name in _LISTS:
            listing: Listing = getattr(self, name)
            items = [item.to_dict() if isinstance(item, ObjectError) else str(item) for item in listing.items]
            result[name] = {"count": listing.count, "items": items}
        return result

    def report(self) -> GrantReport:
        """The same as a value for the user."""
        lists = {name: tuple(getattr(self, name).items) for name in _REPORTED}
        counts = {name: int(getattr(self, name).count) for name in _REPORTED}
        return GrantReport(self.objects, self.written, counts=counts, **lists)

    def error(self, path: str, error: OSError, *, label: bool = False) -> None:
        code = int(getattr(error, "winerror", 0) or 0)
        self.errors.add(ObjectError(path, code, remedy_for(path, code, label=label)))


def rights_remedy(path: str, *, user: Sid | None = None, label: bool = False, tree: bool = False) -> str:
    """Who may write an object's list, or with `label` its integrity label too, decides its owner; how, says this.

    `user`: named by SID where it is known: an administrator has another ``%USERNAME%``, and PowerShell has none.
    `tree`: for all that lies in it, and what will; else for this one object.
    """
    rights = "(RC,WDAC,WO)" if label else "(RC,WDAC)"
    inherit, below = ("(OI)(CI)", " /T") if tree else ("", "")
    whom = "%USERNAME%" if user is None else f"*{user}"
    return f'Let its owner or an administrator run:  icacls "{path}" /grant "{whom}:{inherit}{rights}"{below}'


def remedy_for(path: str, code: int, *, label: bool = False) -> str:
    """What a user can do about a failed descriptor read or write."""
    if code == 5:
        return rights_remedy(path, label=label)
    if code in (32, 33):
        return "Another program holds it; close that program and run again."
    if code == 206:
        return "Its path is too long for this call; move it closer to the root."
    return "Look at the object with icacls, or leave it out."


def closed(path: str, what: str, error: OSError | None = None, remedy: str = "") -> AclError:
    """The error for a protected place, or something in one, that is not denied: the sandbox does not start."""
    code = int(getattr(error, "winerror", 0) or 0)
    return AclError(
        f"{path}: {what}; it lies in a protected place, so the sandbox is not started.",
        cause=error,
        path=path,
        remedy=remedy or remedy_for(path, code),
        code="acl.protected",
    )
