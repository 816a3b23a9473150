"""What lies at a path, and what its access list, with the plan's entries on it, grants to the child of a plan."""

from __future__ import annotations

import ntpath
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple

from ._edits import Recipe, Role, give, want
from ._paths import is_at_or_below, is_below
from ._plan import model_token
from ._security.access import check
from ._security.descriptor import DACL_PROTECTED, SecurityDescriptor
from ._security.mask import FILE, FILE_DELETE_CHILD, FILE_LIST_DIRECTORY, FILE_READ_ATTRIBUTES, READ_CONTROL

if TYPE_CHECKING:
    from ._host import FileInfo, Host, Volume
    from ._plan import Grant, Plan

_READONLY: Final = 0x1  # FILE_ATTRIBUTE_READONLY
_NAMED_STREAMS: Final = 0x40000  # of GetVolumeInformation's flags


class Found(NamedTuple):
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

    @property
    def readonly(self) -> bool:
        return self.info is not None and bool(self.info.attributes & _READONLY)

    @property
    def streams(self) -> bool:
        """Whether its volume has named streams."""
        return self.volume is None or bool(self.volume.flags & _NAMED_STREAMS)


class Looker:
    """Looks for one plan. `live`: it was carried out, so that all is on disk that will be.

    ``said`` is what the last look at a list came to, for people.
    """

    def __init__(self, host: Host, plan: Plan, *, live: bool) -> None:
        self._host = host
        self._plan = plan
        self._live = live
        with host.tokens.current() as own:
            caller = host.tokens.inspect(own).token
        self._token = model_token(plan, caller)
        self._unrestricted = caller
        self.said = ""

    def find(self, path: str, *, follow: bool = True) -> Found | None:
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
            return Found(final, tuple(missing), info, given, volume)

    def _unreadable(self, path: str, missing: tuple[str, ...], follow: bool) -> Found:
        """Its list may not be read, or it cannot be opened at all: what is known of it nevertheless."""
        files = self._host.files
        try:
            with files.open(path, FILE_READ_ATTRIBUTES, follow=follow) as handle:
                return Found(files.final_path(handle), missing, files.info(handle), None, files.volume(handle))
        except OSError:
            drive = next((drive for drive in files.drives() if is_at_or_below(path, drive.root)), None)
            return Found(path, missing, None, None, drive)

    def own(self, found: Found, wanted: int) -> int | None:
        """What the object's own list grants the child of `wanted`, None where it refuses; `_said` has the reason."""
        if found.open:
            self.said = "the volume has no access control lists, so nothing on it is protected."
            return wanted
        if found.descriptor is None:
            return self._by_trying(found, wanted)
        result = check(found.descriptor, self._unrestricted if found.remote else self._token, wanted)
        self.said = result.reason
        return result.granted if result.allowed else None

    def _by_trying(self, found: Found, wanted: int) -> int | None:
        """Without the list: what the user himself is refused is refused to his child; reading is as his."""
        try:
            self._host.files.open(found.path, wanted).close()
        except OSError as error:
            self.said = f"the access list of {found.path} cannot be read, and the user himself is refused: {error}."
            return None
        if found.remote or not (wanted & ~(FILE.read | FILE.execute | FILE_DELETE_CHILD) or self._plan.low):
            self.said = f"the access list of {found.path} cannot be read, but the user is granted this."
            return wanted
        self.said = (
            f"the access list of {found.path} cannot be read. The user may do this; the child may only if the list "
            "names Everyone or the logon session too, which is not known."
        )
        return None

    def _given(self, path: str, descriptor: SecurityDescriptor, directory: bool) -> SecurityDescriptor:
        if self._live:
            return descriptor
        for grant in self._plan.grants:
            role = role_of(grant, path)
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

    def has_stream(self, found: Found, stream: str) -> bool:
        """Whether the file has it; True where that cannot be told."""
        try:
            return self._host.files.query(f"{found.path}:{stream}") is not None
        except OSError:
            return True

    def empty(self, found: Found) -> bool:
        """Whether nothing lies in it; True where that cannot be told, and for a link."""
        if not found.directory or (found.info is not None and found.info.reparse):
            return True
        try:
            with self._host.files.open(found.path, FILE_LIST_DIRECTORY) as handle:
                return next(iter(self._host.files.entries(handle)), None) is None
        except OSError:
            return True


def role_of(grant: Grant, path: str) -> Role | None:
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
