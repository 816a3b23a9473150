"""How one question of :mod:`explain` is answered: where the path leads, what it would be granted, who says so."""

from __future__ import annotations

import ntpath
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple

from . import _rights
from ._asked import DISKS, Asked
from ._edits import Recipe, Role, give, want
from ._paths import is_at_or_below, is_below
from ._plan import model_token
from ._rights import Obstacle
from ._security.access import check
from ._security.descriptor import DACL_PROTECTED, SecurityDescriptor
from ._security.mask import (
    FILE,
    FILE_ADD_FILE,
    FILE_DELETE_CHILD,
    FILE_LIST_DIRECTORY,
    FILE_READ_ATTRIBUTES,
    FILE_WRITE_ATTRIBUTES,
    READ_CONTROL,
)
from ._security.sid import EVERYONE
from .explain import Decision, _Access

if TYPE_CHECKING:
    from ._host import FileInfo, Host, Volume
    from ._plan import Grant, Plan

_ASKED: Final = {
    "read": _rights.READ,
    "write": _rights.WRITE,
    "create": _rights.WRITE,
    "delete": _rights.REMOVE,
    "execute": _rights.EXECUTE,
}
_CHANGING: Final = ("write", "create", "delete")
_READONLY: Final = 0x1  # FILE_ATTRIBUTE_READONLY
_NAMED_STREAMS: Final = 0x40000  # of GetVolumeInformation's flags


class _Found(NamedTuple):
    """An existing object: its final path, the names below it that do not exist, and what it is granted.

    ``info`` and ``volume`` are None where nothing at all can be opened, ``descriptor`` where it cannot be read.
    """

    path: str
    missing: tuple[str, ...]
    info: FileInfo | None
    descriptor: SecurityDescriptor | None
    volume: Volume | None

    @property
    def directory(self) -> bool:
        return self.info is not None and self.info.directory

    @property
    def remote(self) -> bool:
        return self.volume is not None and self.volume.kind == "remote"

    @property
    def open(self) -> bool:
        """Whether its volume has no access lists."""
        return self.volume is not None and not self.remote and not self.volume.persistent_acls


class Question:
    """One path, one access, one plan. `temp` is the private TEMP of the live sandbox whose plan it is, else None."""

    def __init__(self, host: Host, plan: Plan, asked: Asked, access: _Access, temp: str | None) -> None:
        self._host = host
        self._plan = plan
        self._asked = asked
        self._access: _Access = access
        self._temp = temp
        with host.tokens.current() as own:
            caller = host.tokens.inspect(own).token
        self._token = model_token(plan, caller)
        self._unrestricted = caller
        self._said = ""  # what the last look at a list said

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
        found = self._find(path, follow=self._access != "delete")
        if kind == "share" and (found is None or found.info is None):
            return self._unasked_share()
        if found is None:
            return self._decide(False, path, "missing", "there is no such volume or directory.")
        target = ntpath.join(found.path, *found.missing)
        return self._existing(found, target) or self._granted(found, target)

    def _existing(self, found: _Found, target: str) -> Decision | None:
        """The answers that follow from what exists and what does not."""
        access, stream = self._access, self._asked.stream
        if found.missing and found.info is not None and not found.directory:
            return self._held_up(target, _rights.BELOW_FILE)
        if stream and found.volume is not None and not found.volume.flags & _NAMED_STREAMS:
            return self._held_up(target, _rights.NO_STREAMS)
        place = self._created_or_watched(target)
        if place is not None and access in _CHANGING:
            return place
        missing = bool(found.missing) or not self._has_stream(found)
        if missing and access in ("read", "execute", "delete"):
            return self._decide(False, target, "missing", "it does not exist.")
        if access == "create" and not missing:
            return self._decide(False, target, "exists", "it exists already.")
        return None

    def _granted(self, found: _Found, target: str) -> Decision:
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
            allowed = self._own(found, _rights.to_add(container=len(found.missing) > 1)) is not None
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
        return self._decide(allowed, target, rule, f"{said}{self._said}")

    def _combined(self, found: _Found, wanted: int, said: str, rule: str) -> tuple[bool, str, str]:
        above = self._find(ntpath.dirname(found.path)) if ntpath.dirname(found.path) != found.path else None
        own = ""

        def of_object(rights: int) -> int | None:
            nonlocal own
            granted = self._own(found, rights)
            own = self._said
            return granted

        granted, through = _rights.combined(
            wanted, of_object, None if above is None else lambda right: self._own(above, right) is not None
        )
        if granted is None:
            if above is not None and self._access == "delete":
                self._said = f"{own} {self._said}"
            else:
                self._said = own
        elif above is not None and self._access == "delete" and through & _rights.REMOVE:
            return (
                True,
                f"its own list does not grant DELETE, but {above.path} grants FILE_DELETE_CHILD, which is no write "
                "right and so is not held back by a write-restricted token. integrity='low' closes this outside the "
                "roots. ",
                "delete-child",
            )
        return granted is not None, f"{said} ", rule

    def _obstacle(self, found: _Found) -> Obstacle | None:
        if found.info is None or self._asked.stream or found.missing:
            return None
        readonly = bool(found.info.attributes & _READONLY)
        if self._access == "delete":
            volume = ntpath.dirname(found.path) == found.path
            return _rights.deleting(volume=volume, readonly=readonly, empty=lambda: self._empty(found))
        if self._access == "read":
            return None
        kind = _rights.kind(directory=found.directory, wanted=False)
        return kind or _rights.opening(_ASKED[self._access], directory=found.directory, readonly=readonly)

    def _held_up(self, target: str, obstacle: Obstacle, found: _Found | None = None) -> Decision:
        more = ""
        if found is not None and obstacle is _rights.READ_ONLY and self._own(found, FILE_WRITE_ATTRIBUTES) is not None:
            more = ", which the child may take off first" + (
                "; renaming it is not refused" * (self._access == "delete")
            )
        elif found is not None and obstacle is _rights.NOT_EMPTY:
            more = "; it could be renamed, or deleted after what lies in it"
        elif found is not None and obstacle is _rights.DIRECTORY and self._access == "write":
            allowed = self._own(found, FILE_ADD_FILE) is not None
            more = f"; a new file in it would be {'allowed' if allowed else 'denied'}. {self._said}".rstrip(".")
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

    # -- the object

    def _find(self, path: str, *, follow: bool = True) -> _Found | None:
        """The nearest existing object on the way, links resolved, with what the plan would put on it."""
        missing: list[str] = []
        files = self._host.files
        while True:
            try:
                handle = files.open(path, READ_CONTROL | FILE_READ_ATTRIBUTES, follow=follow)
            except (FileNotFoundError, NotADirectoryError):
                above, name = ntpath.split(path)
                if not name:
                    return None
                missing.insert(0, name)
                path, follow = above, True
                continue
            except OSError:
                return self._unreadable(path, tuple(missing), follow)
            with handle:
                info, final, volume = files.info(handle), files.final_path(handle), files.volume(handle)
                descriptor = SecurityDescriptor.from_bytes(files.security(handle))
            given = self._given(final, descriptor, info.directory)
            return _Found(final, tuple(missing), info, given, volume)

    def _unreadable(self, path: str, missing: tuple[str, ...], follow: bool) -> _Found:
        """Its list may not be read, or it cannot be opened at all: what is known of it nevertheless."""
        files = self._host.files
        try:
            with files.open(path, FILE_READ_ATTRIBUTES, follow=follow) as handle:
                return _Found(files.final_path(handle), missing, files.info(handle), None, files.volume(handle))
        except OSError:
            drive = next((drive for drive in files.drives() if is_at_or_below(path, drive.root)), None)
            return _Found(path, missing, None, None, drive)

    def _own(self, found: _Found, wanted: int) -> int | None:
        """What the object's own list grants the child of `wanted`, None where it refuses; `_said` has the reason."""
        if found.open:
            self._said = "the volume has no access control lists, so nothing on it is protected."
            return wanted
        if found.descriptor is None:
            return self._by_trying(found, wanted)
        result = check(found.descriptor, self._unrestricted if found.remote else self._token, wanted)
        self._said = result.reason
        return result.granted if result.allowed else None

    def _by_trying(self, found: _Found, wanted: int) -> int | None:
        """Without the list: what the user himself is refused is refused to his child; reading is as his."""
        try:
            self._host.files.open(found.path, wanted).close()
        except OSError as error:
            self._said = f"the access list of {found.path} cannot be read, and the user himself is refused: {error}."
            return None
        if found.remote or not (wanted & ~(FILE.read | FILE.execute | FILE_DELETE_CHILD) or self._plan.low):
            self._said = f"the access list of {found.path} cannot be read, but the user is granted this."
            return wanted
        self._said = (
            f"the access list of {found.path} cannot be read. The user may do this; the child may only if the list "
            "names Everyone or the logon session too, which is not known."
        )
        return None

    def _given(self, path: str, descriptor: SecurityDescriptor, directory: bool) -> SecurityDescriptor:
        if self._temp is not None:
            return descriptor  # all is on disk that will be
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

    def _has_stream(self, found: _Found) -> bool:
        if not self._asked.stream or found.missing:
            return True
        try:
            return self._host.files.query(f"{found.path}:{self._asked.stream}") is not None
        except OSError:
            return True

    def _empty(self, found: _Found) -> bool:
        if not found.directory or (found.info is not None and found.info.reparse):
            return True
        try:
            with self._host.files.open(found.path, FILE_LIST_DIRECTORY) as handle:
                return next(iter(self._host.files.entries(handle)), None) is None
        except OSError:
            return True  # not known

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

    def _place(self, found: _Found, target: str) -> tuple[str, str]:
        """(rule, sentence) for where it lies."""
        if found.remote:
            text = "it lies on a network share: the server checks access without the restricting SIDs, as for the user."
            return "share", text
        if found.open:
            return "no-acls", "it lies on a volume without access control lists."
        if self._temp is not None and is_at_or_below(target, self._temp):
            return "temp", "it is, or lies in, the private TEMP of this sandbox."
        roles = [role for grant in self._plan.grants if (role := _role(grant, target)) is not None]
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
