"""What walks report: objects that could not be changed, lists that stay short and go on counting."""

from __future__ import annotations

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


@dataclass(frozen=True, slots=True)
class ObjectError:
    """An object that could not be read or written: its path, the Windows error code and what helps."""

    path: str
    winerror: int
    remedy: str

    def to_dict(self) -> dict[str, Any]:
        return {"path": self.path, "winerror": self.winerror, "remedy": self.remedy}


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
