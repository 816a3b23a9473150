"""Places outside the writable roots that a sandboxed command could write all the same. Looks, and changes nothing.

Everyone is a restricting SID by default (many programs do not start without), so what Everyone may write the child may
write; so may it on volumes without access control lists, and on network shares, whose server knows no restricting SIDs.
The search is bounded by time and count, and says what it did not get to.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from ._host import Handle, Host, default_host
from ._paths import normal
from ._plan import DISABLE_MAX_PRIVILEGE, LUA_TOKEN, WRITE_RESTRICTED
from ._security import access
from ._security.descriptor import SecurityDescriptor
from ._security.mask import (
    DELETE,
    FILE,
    FILE_ADD_FILE,
    FILE_ADD_SUBDIRECTORY,
    FILE_LIST_DIRECTORY,
    MAXIMUM_ALLOWED,
    WRITE_DAC,
    WRITE_OWNER,
)
from ._security.sid import EVERYONE
from ._security.token import Token
from ._walk import LOOK
from .errors import PolicyError

if TYPE_CHECKING:
    import os

    from ._host import Entry

__all__ = ["AuditReport", "OpenPlace", "audit"]

_FLAGS: Final = DISABLE_MAX_PRIVILEGE | LUA_TOKEN | WRITE_RESTRICTED
# One by one: how AccessCheck answers MAXIMUM_ALLOWED for a write-restricted token has never been measured in public.
_BITS: Final = (FILE_ADD_FILE, FILE_ADD_SUBDIRECTORY, DELETE, WRITE_DAC, WRITE_OWNER)
_MASK: Final = FILE_ADD_FILE | FILE_ADD_SUBDIRECTORY | DELETE | WRITE_DAC | WRITE_OWNER
_CACHE: Final = 4096
# A bit has one name for files and another for directories.
_NAMES: Final = (
    (FILE_ADD_FILE, "FILE_WRITE_DATA/ADD_FILE"),
    (FILE_ADD_SUBDIRECTORY, "FILE_APPEND_DATA/ADD_SUBDIRECTORY"),
    (DELETE, "DELETE"),
    (WRITE_DAC, "WRITE_DAC"),
    (WRITE_OWNER, "WRITE_OWNER"),
)


def _named(rights: int) -> str:
    named = [name for bit, name in _NAMES if rights & bit]
    others = rights & ~_MASK
    return ", ".join(named + ([f"0x{others:x}"] if others or not named else []))


@dataclass(frozen=True, slots=True)
class OpenPlace:
    """A place that the child could write.

    Attributes:
        path: the topmost directory, file or drive; what lies below it is not looked at.
        reason: ``"everyone"`` (its list lets Everyone, or this logon, write), ``"no list"`` (a NULL DACL),
            ``"no ACLs"`` (a volume without access control lists) or ``"network"`` (a network drive).
        rights: the access mask that was granted; 0 for volumes.
    """

    path: str
    reason: str
    rights: int = 0

    def __str__(self) -> str:
        why = {
            "everyone": f"everyone may write ({_named(self.rights)})",
            "no list": "it has no access control list",
            "no ACLs": "the volume has no access control lists",
            "network": "a network drive: the server does not know the sandbox",
        }
        return f"{self.path}: {why.get(self.reason, self.reason)}"

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {"path": self.path, "reason": self.reason, "rights": self.rights}


@dataclass(frozen=True, slots=True)
class AuditReport:
    """What :func:`audit` found, and how far it got.

    Attributes:
        places: where the child could write.
        looked: the places that were looked into. ``objects``: how many directories and files were looked at.
        unreadable: how many of them could not be read, and so are not known to be closed.
        complete: everything in ``looked`` was seen; else the time or the count ran out (directories come first, then
            files, each from the top down).
        seconds: how long it took. ``time_limit``, ``max_objects``: the limits.
        basis: ``"token"`` (Windows' own check with a restricted token) or ``"model"``.
    """

    places: tuple[OpenPlace, ...]
    looked: tuple[str, ...]
    objects: int
    unreadable: int
    complete: bool
    seconds: float
    time_limit: float
    max_objects: int
    basis: str

    @property
    def gaps(self) -> tuple[str, ...]:
        """What is not known to be closed, in sentences: the search was cut, or objects could not be read."""
        found = []
        if not self.complete:
            found.append(
                f"places that the search did not get to: it ended after {self.objects} objects and "
                f"{self.seconds:.1f} seconds (`audit --time-limit` looks longer)"
            )
        if self.unreadable:
            found.append(f"{self.unreadable} objects whose access control list cannot be read")
        return tuple(found)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "version": 1,
            "places": [place.to_dict() for place in self.places],
            "looked": list(self.looked),
            "objects": self.objects,
            "unreadable": self.unreadable,
            "complete": self.complete,
            "seconds": self.seconds,
            "time_limit": self.time_limit,
            "max_objects": self.max_objects,
            "basis": self.basis,
        }

    def to_text(self) -> str:
        """For a terminal."""
        lines = [str(place) for place in self.places]
        if not lines:
            lines.append("no place found that everyone may write")
        end = "all of it" if self.complete else "NOT all of it: the limit was reached"
        lines.append(
            f"looked at {self.objects} objects below {len(self.looked)} places, {end} "
            f"({self.seconds:.1f} of {self.time_limit:g} seconds, at most {self.max_objects} objects"
            + (f", {self.unreadable} unreadable)" if self.unreadable else ")")
        )
        return "\n".join(lines)


def audit(
    *,
    host: Host | None = None,
    places: Iterable[str | os.PathLike[str]] | None = None,
    time_limit: float = 2.0,
    max_objects: int = 50_000,
    token: Handle | Token | None = None,
) -> AuditReport:
    """Look for places that a sandboxed command could write although no policy names them.

    Args:
        host: another host than this machine.
        places: where to look; None: the drives' roots, the profile, Public, ProgramData, TEMP and the PATH.
        time_limit: seconds, by the host's clock. ``max_objects``: directories and files.
        token: a restricted token (a Host's handle, asked through AccessCheck) or a model of one; None: one is made
            like a sandbox's without any root, and thrown away.

    Raises:
        UnsupportedHost: not Windows, and no `host`.
        PolicyError: a place is no absolute path.
        ValueError: a limit that is not positive.
    """
    if not time_limit > 0 or max_objects <= 0:
        raise ValueError("time_limit and max_objects must be positive")
    real = default_host() if host is None else host
    starts = _usual(real) if places is None else [normal(place) for place in places]
    begun = real.processes.clock()
    with ExitStack() as stack:
        granted, basis = _asker(real, token, stack)
        search = _Search(real, granted, begun + time_limit, max_objects)
        found = _volumes(real) if places is None else []
        complete = search.run(starts)
    return AuditReport(
        places=(*found, *search.found),
        looked=tuple(starts),
        objects=search.objects,
        unreadable=search.unreadable,
        complete=complete,
        seconds=real.processes.clock() - begun,
        time_limit=time_limit,
        max_objects=max_objects,
        basis=basis,
    )


def _usual(host: Host) -> list[str]:
    folders = host.files.known_folders()
    environment = {name.upper(): value for name, value in host.processes.environment().items()}
    wanted = [
        volume.root
        for volume in host.files.drives()
        if volume.kind not in ("remote", "cdrom") and volume.persistent_acls  # a stick with NTFS has lists too
    ]
    wanted += [folders.public, folders.program_data, environment.get("TEMP", ""), environment.get("TMP", "")]
    wanted += environment.get("PATH", "").split(";")
    wanted.append(folders.profile)
    usual: dict[str, str] = {}
    for path in wanted:
        try:
            text = normal(path.strip('"'))
        except PolicyError:
            continue  # a relative or remote PATH entry: nothing that could be opened by this name alone
        usual.setdefault(text.upper(), text)
    return list(usual.values())


def _volumes(host: Host) -> list[OpenPlace]:
    found = []
    for volume in host.files.drives():
        if volume.kind == "remote":
            found.append(OpenPlace(volume.root, "network"))
        elif not volume.persistent_acls and volume.kind != "cdrom":
            found.append(OpenPlace(volume.root, "no ACLs"))
    return found


def _asker(host: Host, token: Handle | Token | None, stack: ExitStack) -> tuple[Callable[[bytes], int], str]:
    """How to find out which write bits a descriptor gives the child, and what that answer stands on."""
    if isinstance(token, Token):
        return _model(token), "model"
    if token is not None:
        return _real(host, token), "token"
    with host.tokens.current() as current:
        caller = host.tokens.inspect(current)
        everyone = (EVERYONE,) if caller.logon is None else (EVERYONE, caller.logon)
        if host.capabilities().restricts is not False:
            try:
                made = host.tokens.restrict(current, flags=_FLAGS, restrict=everyone)
            except OSError:
                pass  # an already restricted caller, for one: the model answers
            else:
                stack.enter_context(made)
                if host.tokens.inspect(made).restricted:
                    return _real(host, made), "token"
    return _model(replace(caller.token, restricting=everyone, write_restricted=True, privileges=frozenset())), "model"


def _model(token: Token) -> Callable[[bytes], int]:
    def granted(raw: bytes) -> int:
        descriptor = SecurityDescriptor.from_bytes(raw)
        owner, group = descriptor.owner or token.user, descriptor.group or token.user
        whole = descriptor.replace(owner=owner, group=group)
        return access.could(whole, token, MAXIMUM_ALLOWED).granted & _MASK & FILE.write_mask

    return granted


def _real(host: Host, token: Handle) -> Callable[[bytes], int]:
    def granted(raw: bytes) -> int:
        mask = 0
        for bit in _BITS:
            mask |= host.tokens.access(token, raw, bit) or 0
        return mask & _MASK

    return granted


class _Search:
    """Breadth first, so that what lies high is seen before the time is over."""

    def __init__(self, host: Host, granted: Callable[[bytes], int], end: float, limit: int) -> None:
        self.found: list[OpenPlace] = []
        self.objects = 0
        self.unreadable = 0
        self._host = host
        self._granted = granted
        self._end = end
        self._limit = limit
        self._cache: dict[bytes, int] = {}
        self._seen: set[object] = set()
        self._later: list[str] = []

    def run(self, starts: Sequence[str]) -> bool:
        """True when everything was seen."""
        waiting = deque(starts)
        top = len(waiting)
        while waiting:
            path = waiting.popleft()
            top -= 1
            if self._over():
                return False
            try:
                with self._host.files.open(path, LOOK | FILE_LIST_DIRECTORY) as handle:
                    if not self._look(handle, path):
                        continue
                    for entry in self._host.files.entries(handle):
                        if self._over():
                            return False
                        if entry.reparse:
                            continue
                        name = f"{path.rstrip(chr(92))}\\{entry.name}"
                        if not entry.directory and top >= 0:
                            self._look_at(handle, entry, name)
                        elif len(waiting) + len(self._later) + self.objects >= self._limit:
                            return False  # more than may be looked at wait already
                        else:
                            (waiting if entry.directory else self._later).append(name)
            except FileNotFoundError:
                continue
            except OSError:
                self.unreadable += 1
        for path in self._later:
            if self._over():
                return False
            try:
                with self._host.files.open(path, LOOK) as handle:
                    self._look(handle, path)
            except FileNotFoundError:
                continue
            except OSError:
                self.unreadable += 1
        return True

    def _over(self) -> bool:
        return self.objects >= self._limit or self._host.processes.clock() >= self._end

    def _look_at(self, parent: Handle, entry: Entry, path: str) -> None:
        try:
            with self._host.files.open_at(parent, entry.name, LOOK) as handle:
                self._look(handle, path)
        except FileNotFoundError:
            return
        except OSError:
            self.unreadable += 1

    def _look(self, handle: Handle, path: str) -> bool:
        """True for a directory that is closed and has not been seen: worth looking into."""
        info = self._host.files.info(handle)
        if info.reparse or info.identity in self._seen:
            return False
        self._seen.add(info.identity)
        self.objects += 1
        raw = self._host.files.security(handle)
        if raw not in self._cache:
            if len(self._cache) >= _CACHE:
                self._cache.clear()
            self._cache[raw] = self._granted(raw)
        rights = self._cache[raw]
        if rights:
            null = SecurityDescriptor.from_bytes(raw).dacl is None
            self.found.append(OpenPlace(path, "no list" if null else "everyone", rights))
            return False
        return info.directory
