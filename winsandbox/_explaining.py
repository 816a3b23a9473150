"""How one question of :mod:`explain` is answered: where the path leads, what it would be granted, who says so."""

from __future__ import annotations

import ntpath
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple

from ._edits import Recipe, Role, give, want
from ._paths import is_at_or_below, is_below
from ._plan import model_token
from ._security.access import AccessResult, check
from ._security.descriptor import DACL_PROTECTED, SecurityDescriptor
from ._security.mask import (
    DELETE,
    FILE_ADD_FILE,
    FILE_ADD_SUBDIRECTORY,
    FILE_DELETE_CHILD,
    FILE_GENERIC_EXECUTE,
    FILE_GENERIC_READ,
    FILE_GENERIC_WRITE,
    FILE_READ_ATTRIBUTES,
    READ_CONTROL,
)
from ._security.token import Token
from .explain import Decision, _Access

if TYPE_CHECKING:
    from ._host import Host, Volume
    from ._plan import Grant, Plan

_ASKED: Final = {
    "read": FILE_GENERIC_READ,
    "write": FILE_GENERIC_WRITE,
    "execute": FILE_GENERIC_EXECUTE,
}


class _Found(NamedTuple):
    """An existing object: its final path, the names below it that do not exist, and what it is granted."""

    path: str
    missing: tuple[str, ...]
    directory: bool
    descriptor: SecurityDescriptor
    volume: Volume


class Question:
    """One path, one access, one plan."""

    def __init__(self, host: Host, plan: Plan, path: str, access: _Access) -> None:
        self._host = host
        self._plan = plan
        self._path = path
        self._access: _Access = access
        with host.tokens.current() as own:
            caller = host.tokens.inspect(own).token
        self._token = model_token(plan, caller)
        self._unrestricted: Token = caller

    def answer(self) -> Decision:
        # Deleting is done to a link, everything else to what it leads to.
        found = self._find(self._path, follow=self._access != "delete")
        if found is None:
            return self._decide(False, self._path, "missing", "there is no such volume or directory.")
        target = ntpath.join(found.path, *found.missing)
        if found.volume.kind == "remote":
            text = "it lies on a network share: the server checks access without the restricting SIDs, as for the user"
            result = check(found.descriptor, self._unrestricted, self._mask(found))
            return self._decide(result.allowed, target, "share", f"{text}. {result.reason}")
        if not found.volume.persistent_acls:
            return self._decide(
                True, target, "no-acls", "the volume has no access control lists, so nothing on it is protected."
            )
        place = self._created_or_watched(target)
        if place is not None and self._access in ("write", "create", "delete"):
            return place
        if found.missing and self._access in ("read", "execute", "delete"):
            return self._decide(False, target, "missing", "it does not exist.")
        if self._access == "create" and not found.missing:
            return self._decide(False, target, "exists", "it exists already.")
        if self._access == "delete":
            return self._delete(found)
        result = check(found.descriptor, self._token, self._mask(found))
        return self._decide(result.allowed, target, self._rule(target), self._reason(target, found, result))

    # -- the object

    def _find(self, path: str, *, follow: bool = True) -> _Found | None:
        """The nearest existing object on the way, links resolved, with what the plan would put on it."""
        missing: list[str] = []
        files = self._host.files
        while True:
            try:
                handle = files.open(path, READ_CONTROL | FILE_READ_ATTRIBUTES, follow=follow)
            except FileNotFoundError:
                above, name = ntpath.split(path)
                if not name:
                    return None
                missing.insert(0, name)
                path, follow = above, True
                continue
            with handle:
                info, final, volume = files.info(handle), files.final_path(handle), files.volume(handle)
                descriptor = SecurityDescriptor.from_bytes(files.security(handle))
            given = self._given(final, descriptor, info.directory)
            return _Found(final, tuple(missing), info.directory, given, volume)

    def _given(self, path: str, descriptor: SecurityDescriptor, directory: bool) -> SecurityDescriptor:
        for grant in self._plan.grants:
            role = _role(grant, path)
            if role is not None:
                recipe = Recipe(grant.sid, self._plan.logon if self._plan.guards else None, self._plan.low)
                sealed = role != "root" and self._sealed(grant, path, descriptor)
                return give(descriptor, want(recipe, role, directory, sealed)) or descriptor
        return descriptor

    def _sealed(self, grant: Grant, path: str, descriptor: SecurityDescriptor) -> bool:
        """Whether a protected DACL stands between the root and the object: the grant does not pass it."""
        if descriptor.control & DACL_PROTECTED:
            return True
        above = ntpath.dirname(path)
        while is_below(above, grant.root.path):
            with suppress(OSError), self._host.files.open(above, READ_CONTROL) as handle:
                control = SecurityDescriptor.from_bytes(self._host.files.security(handle)).control
                if control & DACL_PROTECTED:
                    return True
            above = ntpath.dirname(above)
        return False

    def _mask(self, found: _Found) -> int:
        if found.missing:
            # The first missing name decides: a directory on the way has to be made, or the file itself.
            return FILE_ADD_FILE if len(found.missing) == 1 else FILE_ADD_SUBDIRECTORY
        return _ASKED.get(self._access, FILE_GENERIC_WRITE)

    # -- deleting

    def _delete(self, found: _Found) -> Decision:
        path = found.path
        pinned = next((place for place in self._pinned() if is_at_or_below(place, path)), None)
        if pinned is not None:
            return self._decide(
                False,
                path,
                "pinned",
                f"the sandbox holds {pinned} open without sharing deletes while it lives, so neither it nor a "
                "directory above it can be deleted or renamed.",
            )
        own = check(found.descriptor, self._token, DELETE)
        if own.allowed:
            return self._decide(True, path, self._rule(path), self._reason(path, found, own))
        above = self._find(ntpath.dirname(path))
        parent = None if above is None else check(above.descriptor, self._token, FILE_DELETE_CHILD)
        if above is not None and parent is not None and parent.allowed:
            return self._decide(
                True,
                path,
                "delete-child",
                f"its own list does not grant DELETE, but {above.path} grants FILE_DELETE_CHILD, which is no write "
                "right and so is not held back by a write-restricted token. integrity='low' closes this outside the "
                f"roots. {parent.reason}",
            )
        reason = self._reason(path, found, own)
        return self._decide(False, path, self._rule(path), reason + ("" if parent is None else f" {parent.reason}"))

    def _pinned(self) -> list[str]:
        pinned = [grant.root.path for grant in self._plan.grants]
        for grant in self._plan.grants:
            for place in grant.protected:
                pinned += [place.path, *(between.path for between in place.between)]
        return pinned

    # -- words

    def _created_or_watched(self, target: str) -> Decision | None:
        for grant in self._plan.grants:
            for name in grant.create:
                path = ntpath.join(grant.root.path, name)
                if is_at_or_below(target, path):
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

    def _rule(self, target: str) -> str:
        roles = [role for grant in self._plan.grants if (role := _role(grant, target)) is not None]
        if not roles:
            return "outside"
        return "protected" if {"protected", "inside"} & set(roles) else "root"

    def _reason(self, target: str, found: _Found, result: AccessResult) -> str:
        rule = self._rule(target)
        if self._access in ("read", "execute"):
            said = "a write-restricted token may read and execute what the user may."
        elif rule == "protected":
            said = "it is, or lies in, a protected place."
        elif rule == "root":
            said = "it lies in a writable root."
        else:
            said = "it lies outside every writable root."
        place = f"For {found.path}: " if found.missing else ""
        return f"{said} {place}{result.reason}"

    def _decide(self, allowed: bool, target: str, rule: str, reason: str) -> Decision:
        writable = []
        for grant in self._plan.grants:
            names = sorted({place.name for place in grant.protected} | set(grant.create))
            writable.append(grant.root.path + (f" (but not {', '.join(names)} in it)" if names else ""))
        writable.append("the private TEMP directory (%TEMP%)")
        return Decision(allowed, self._access, self._path, target, rule, reason, tuple(writable))


def _role(grant: Grant, path: str) -> Role | None:
    """What the object at a final path is to a grant; None: it does not lie in its root."""
    if path.upper() == grant.root.path.upper():
        return "root"
    if not is_below(path, grant.root.path):
        return None
    for place in grant.protected:
        if path.upper() == place.path.upper():
            return "protected"
        if is_below(path, place.path) and not place.link:
            return "inside"
    between = {item.path.upper() for place in grant.protected for item in place.between}
    return "between" if path.upper() in between else "plain"
