"""How one question of :mod:`explain` is answered: where the path leads, what it would be granted, who says so."""

from __future__ import annotations

import ntpath
from typing import TYPE_CHECKING, Final

from . import _rights
from ._asked import DISKS, Asked
from ._looking import Found, Looker, role_of
from ._paths import is_at_or_below
from ._rights import Obstacle
from ._security.mask import FILE_ADD_FILE, FILE_WRITE_ATTRIBUTES
from ._security.sid import EVERYONE
from .explain import Decision, _Access

if TYPE_CHECKING:
    from ._host import Host
    from ._plan import Plan

_ASKED: Final = {
    "read": _rights.READ,
    "write": _rights.WRITE,
    "create": _rights.WRITE,
    "delete": _rights.REMOVE,
    "execute": _rights.EXECUTE,
}
_CHANGING: Final = ("write", "create", "delete")


class Question:
    """One path, one access, one plan. `temp` is the private TEMP of the live sandbox whose plan it is, else None."""

    def __init__(self, host: Host, plan: Plan, asked: Asked, access: _Access, temp: str | None) -> None:
        self._host = host
        self._plan = plan
        self._asked = asked
        self._access: _Access = access
        self._temp = temp
        self._look = Looker(host, plan, live=temp is not None)

    def answer(self) -> Decision:
        kind, path = self._asked.kind, self._asked.path
        if kind == "device":
            return self._device(path)
        if kind == "temp":
            return self._future_temp(path)
        # A real server is not asked: connecting sends this user's credentials to whoever a path names.
        if kind == "share" and self._host.capabilities().kind != "simulated":
            return self._unasked_share()
        # Deleting is done to a link, everything else to what it leads to.
        found = self._look.find(path, follow=self._access != "delete")
        if kind == "share" and (found is None or found.info is None):
            return self._unasked_share()
        if found is None:
            return self._decide(False, path, "missing", "there is no such volume or directory.")
        target = ntpath.join(found.path, *found.missing)
        return self._existing(found, target) or self._granted(found, target)

    def _existing(self, found: Found, target: str) -> Decision | None:
        """The answers that follow from what exists and what does not."""
        access, stream = self._access, self._asked.stream
        if found.missing and found.info is not None and not found.directory:
            return self._held_up(target, _rights.BELOW_FILE)
        if stream and not found.streams:
            return self._held_up(target, _rights.NO_STREAMS)
        place = self._created_or_watched(target)
        if place is not None and access in _CHANGING:
            return place
        missing = bool(found.missing) or (stream != "" and not self._look.has_stream(found, stream))
        if missing and access in ("read", "execute", "delete"):
            return self._decide(False, target, "missing", "it does not exist.")
        if access == "create" and not missing:
            return self._decide(False, target, "exists", "it exists already.")
        return None

    def _granted(self, found: Found, target: str) -> Decision:
        """The answer of the access lists, and then of what else may stand in the way."""
        if self._access == "delete":
            pinned = next((place for place in self._pinned() if is_at_or_below(place, found.path)), None)
            if pinned is not None:
                return self._decide(
                    False,
                    target,
                    "pinned",
                    f"the sandbox holds {pinned} open without sharing deletes while it lives, so neither it nor a "
                    "directory above it can be deleted or renamed.",
                )
        rule, said = self._place(found, target)
        if found.missing:
            # The first missing name decides: a directory on the way has to be made, or the file itself.
            allowed = self._look.own(found, _rights.to_add(container=len(found.missing) > 1)) is not None
            said = f"{said} For {found.path}: "
        else:
            wanted = _ASKED[self._access]
            if found.directory and self._access == "read":
                wanted = _rights.LIST
            allowed, said, rule = self._combined(found, wanted, said, rule)
        if found.descriptor is None and not found.remote and not allowed:
            rule = "unreadable"
        if allowed and (obstacle := self._obstacle(found)) is not None:
            return self._held_up(target, obstacle, found)
        return self._decide(allowed, target, rule, f"{said}{self._look.said}")

    def _combined(self, found: Found, wanted: int, said: str, rule: str) -> tuple[bool, str, str]:
        above = self._look.find(ntpath.dirname(found.path)) if ntpath.dirname(found.path) != found.path else None
        own = ""

        def of_object(rights: int) -> int | None:
            nonlocal own
            granted = self._look.own(found, rights)
            own = self._look.said
            return granted

        granted, through = _rights.combined(
            wanted, of_object, None if above is None else lambda right: self._look.own(above, right) is not None
        )
        if granted is None:
            if above is not None and self._access == "delete":
                self._look.said = f"{own} {self._look.said}"
            else:
                self._look.said = own
        elif above is not None and self._access == "delete" and through & _rights.REMOVE:
            return (
                True,
                f"its own list does not grant DELETE, but {above.path} grants FILE_DELETE_CHILD, which is no write "
                "right and so is not held back by a write-restricted token. integrity='low' closes this outside the "
                "roots. ",
                "delete-child",
            )
        return granted is not None, f"{said} ", rule

    def _obstacle(self, found: Found) -> Obstacle | None:
        if found.info is None or self._asked.stream or found.missing:
            return None
        if self._access == "delete":
            volume = ntpath.dirname(found.path) == found.path
            return _rights.deleting(volume=volume, readonly=found.readonly, empty=lambda: self._look.empty(found))
        if self._access == "read":
            return None
        kind = _rights.kind(directory=found.directory, wanted=False)
        return kind or _rights.opening(_ASKED[self._access], directory=found.directory, readonly=found.readonly)

    def _held_up(self, target: str, obstacle: Obstacle, found: Found | None = None) -> Decision:
        more = ""
        if found is None:
            pass  # nothing more is known
        elif obstacle is _rights.READ_ONLY and self._look.own(found, FILE_WRITE_ATTRIBUTES) is not None:
            more = ", which the child may take off first" + (
                "; renaming it is not refused" * (self._access == "delete")
            )
        elif obstacle is _rights.NOT_EMPTY:
            more = "; it could be renamed, or deleted after what lies in it"
        elif obstacle is _rights.DIRECTORY and self._access == "write":
            allowed = self._look.own(found, FILE_ADD_FILE) is not None
            more = f"; a new file in it would be {'allowed' if allowed else 'denied'}. {self._look.said}".rstrip(".")
        return self._decide(False, target, obstacle.rule, f"{obstacle.text}{more}.")

    # -- what is no file on a drive of this machine

    def _device(self, name: str) -> Decision:
        if self._access in ("delete", "execute"):
            return self._decide(False, name, "device", "it is a device and no file.")
        if name == "NUL":
            if self._access == "create":
                return self._decide(False, name, "exists", "it exists always.")
            allowed = self._access == "read" or EVERYONE in self._plan.token.restricting
            how = "Everyone is" if allowed else "Everyone is not"
            text = f"the null device: Everyone may read and write it, and {how} among this token's restricting SIDs."
            return self._decide(allowed, name, "device", text)
        if DISKS.fullmatch(name):
            return self._decide(False, name, "device", "a disk or volume is opened raw by administrators only.")
        return self._decide(
            True,
            name,
            "device",
            "it is a device or pipe, whose own list decides; that is not looked at, because opening it could set it to "
            "work. It is not known to be refused.",
        )

    def _future_temp(self, path: str) -> Decision:
        if path != "%TEMP%":
            if self._access in ("read", "execute", "delete"):
                return self._decide(False, path, "missing", "the private TEMP is made empty when the sandbox starts.")
            text = "it lies in the private TEMP, which is made for this sandbox alone when it starts."
            return self._decide(True, path, "temp", text)
        if self._access in ("write", "execute"):
            return self._held_up(path, _rights.DIRECTORY)
        if self._access == "read":
            return self._decide(True, path, "temp", "it is the private TEMP.")
        rule, text = ("pinned", "the sandbox holds it open") if self._access == "delete" else ("exists", "it exists")
        return self._decide(False, path, rule, f"{text}: it is the private TEMP.")

    def _unasked_share(self) -> Decision:
        return self._decide(
            True,
            self._asked.path,
            "share",
            "it lies on a network share: the server checks access without the restricting SIDs, as for the user, and "
            "was not asked. Nothing here holds the child back.",
        )

    def _pinned(self) -> list[str]:
        pinned = [grant.root.path for grant in self._plan.grants]
        for grant in self._plan.grants:
            for place in grant.protected:
                pinned += [place.path, *(between.path for between in place.between)]
            pinned += [ntpath.join(grant.root.path, name) for name in grant.create]
        return pinned if self._temp is None else [*pinned, self._temp]

    # -- words

    def _created_or_watched(self, target: str) -> Decision | None:
        for grant in self._plan.grants:
            for name in grant.create:
                path = ntpath.join(grant.root.path, name)
                if is_at_or_below(target, path) and self._temp is None:
                    return self._decide(
                        False,
                        target,
                        "protected",
                        f"{path} is a protected place; it does not exist yet and is created empty, and denied, before "
                        "the first command starts.",
                    )
            for path in grant.watch:
                if is_at_or_below(target, path) and self._host.files.query(path, follow=False) is None:
                    return self._decide(
                        self._access != "delete",
                        target,
                        "watched",
                        f"{path} is a protected place that does not exist: a name that is not there cannot be denied. "
                        "Its creation is reported as a violation and denied before the next command.",
                    )
        return None

    def _place(self, found: Found, target: str) -> tuple[str, str]:
        """(rule, sentence) for where it lies."""
        if found.remote:
            text = "it lies on a network share: the server checks access without the restricting SIDs, as for the user."
            return "share", text
        if found.open:
            return "no-acls", "it lies on a volume without access control lists."
        if self._temp is not None and is_at_or_below(target, self._temp):
            return "temp", "it is, or lies in, the private TEMP of this sandbox."
        roles = [role for grant in self._plan.grants if (role := role_of(grant, target)) is not None]
        named = [
            path
            for grant in self._plan.grants
            for path in (*grant.watch, *(ntpath.join(grant.root.path, name) for name in grant.create))
        ]
        if not roles:
            rule, text = "outside", "it lies outside every writable root."
        elif {"protected", "inside"} & set(roles) or any(is_at_or_below(target, path) for path in named):
            rule, text = "protected", "it is, or lies in, a protected place."
        else:
            rule, text = "root", "it lies in a writable root."
        if self._access in ("read", "execute"):
            text = "a write-restricted token may read and execute what the user may."
        return rule, text

    def _decide(self, allowed: bool, target: str, rule: str, reason: str) -> Decision:
        writable = []
        for grant in self._plan.grants:
            names = sorted({place.name for place in grant.protected} | set(grant.create))
            writable.append(grant.root.path + (f" (but not {', '.join(names)} in it)" if names else ""))
        writable.append("the private TEMP directory (%TEMP%)" if self._temp is None else f"{self._temp} (%TEMP%)")
        stream = f":{self._asked.stream}" if self._asked.stream else ""
        return Decision(allowed, self._access, str(self._asked), target + stream, rule, reason, tuple(writable))
