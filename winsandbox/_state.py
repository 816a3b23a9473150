"""The state directory: ledger, secret, private TEMP, stubs. The child must not be able to change, replace or delete it.

    %LOCALAPPDATA%\\winsandbox            D:P  SYSTEM and Administrators FA, the user 0x1F01BF
        ledger-1.sqlite                  (and its journal)
        ledger-mark                      that there is a ledger, and under which secret: see _installation
        <name>\\temp                      one sandbox's TEMP: the above with the user FA, and its session SID
        <name>\\denybin, <name>\\child     stubs and helper files, readable only

The user's own entry lacks FILE_DELETE_CHILD: that right is no write bit, so it would let a write-restricted child
delete here through the parent. The one step above, LocalAppData, still has it, so every live sandbox pins this
directory: an open handle without FILE_SHARE_DELETE keeps it from being deleted, renamed or moved into a writable root
(MS-FSA 2.1.5.1.2.1). Between two sandboxes no child runs that could try.
"""

from __future__ import annotations

import hashlib
import json
import ntpath
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Self

from . import __version__, _installation, _ledger
from ._host import SHARE_READ, SHARE_WRITE, FileId, Handle, Host
from ._ledger import Ledger
from ._security.ace import CONTAINER_INHERIT, INHERIT_ONLY, OBJECT_INHERIT, Ace, allow, deny, label
from ._security.acl import Acl
from ._security.descriptor import DACL_PROTECTED, SecurityDescriptor
from ._security.mask import (
    FILE_ADD_FILE,
    FILE_ADD_SUBDIRECTORY,
    FILE_ALL_ACCESS,
    FILE_DELETE_CHILD,
    FILE_LIST_DIRECTORY,
    FILE_READ_ATTRIBUTES,
    FILE_TRAVERSE,
    FILE_WRITE_DATA,
    READ_CONTROL,
    SYNCHRONIZE,
)
from ._security.sid import ADMINISTRATORS, SYSTEM, Sid
from ._security.token import LOW
from ._walk import Listing, remove_tree
from .enforcement import Aspect
from .errors import LedgerError, SandboxError, WinError

if TYPE_CHECKING:
    from types import TracebackType

    from .audit import AuditReport
    from .policy import Policy

NAME: Final = "winsandbox"
_KEEP_NAME: Final = SHARE_READ | SHARE_WRITE  # no FILE_SHARE_DELETE: the name stays ours while the handle is open
_LOOK: Final = FILE_LIST_DIRECTORY | FILE_TRAVERSE | FILE_READ_ATTRIBUTES | READ_CONTROL | SYNCHRONIZE
_MAKE: Final = _LOOK | FILE_ADD_FILE | FILE_ADD_SUBDIRECTORY
_AUDIT_HOLDS: Final = 86_400.0  # seconds
_TREE: Final = OBJECT_INHERIT | CONTAINER_INHERIT
_OWN: Final = FILE_ALL_ACCESS & ~FILE_DELETE_CHILD  # 0x1F01BF


def private_descriptor(user: Sid, logon: Sid | None = None) -> SecurityDescriptor:
    """Of the state directory and all in it that no child may change. With `logon` also a guard against 0x40."""
    aces = [
        allow(SYSTEM, FILE_ALL_ACCESS, _TREE),
        allow(ADMINISTRATORS, FILE_ALL_ACCESS, _TREE),
        allow(user, _OWN, _TREE),
    ]
    guard = [] if logon is None else [deny(logon, FILE_DELETE_CHILD, CONTAINER_INHERIT)]
    return SecurityDescriptor(control=DACL_PROTECTED, dacl=Acl([*guard, *aces]))


def temp_descriptor(user: Sid, session: Sid, *, low: bool) -> SecurityDescriptor:
    """Of a private TEMP: the session SID passes the second pass here and nowhere else. No walk: it is made empty."""
    aces: list[Ace] = [
        allow(SYSTEM, FILE_ALL_ACCESS, _TREE),
        allow(ADMINISTRATORS, FILE_ALL_ACCESS, _TREE),
        allow(user, FILE_ALL_ACCESS, _TREE),
        allow(session, 0x1201BF),
        allow(session, 0x1301BF, _TREE | INHERIT_ONLY),
    ]
    sacl = Acl([label(LOW, flags=_TREE)]) if low else None
    return SecurityDescriptor(control=DACL_PROTECTED, dacl=Acl(aces), sacl=sacl)


class State:
    """An open, checked and pinned state directory with its ledger. Use ``State.open``; close it."""

    def __init__(self, host: Host, path: str, handle: Handle, identity: FileId, user: Sid, ledger: Ledger) -> None:
        self._host = host
        self.path = path
        self.handle = handle
        self.identity = identity
        self.user = user
        self.ledger = ledger

    @staticmethod
    def location(host: Host, path: str | None = None) -> str:
        """Where the state directory is or will be. The known-folder API, not %LOCALAPPDATA%, which anyone may set."""
        if path is None:
            return ntpath.join(host.files.known_folders().local_app_data, NAME)
        if not ntpath.isabs(path) or not ntpath.splitdrive(path)[0]:
            raise LedgerError(
                f"the state directory {path!r} is no absolute path.",
                remedy="Name one with its drive.",
                code="state.path",
            )
        return ntpath.normpath(path)

    @staticmethod
    def peek_secret(host: Host, path: str) -> bytes | None:
        """The secret, if this installation has one yet; makes and changes nothing."""
        if not _installation.used(host, path):
            return None
        state = State.open(host, path)
        try:
            return state.secret()
        finally:
            state.close()

    @classmethod
    def open(cls, host: Host, path: str | None = None, *, rebuilding: bool = False) -> Self:
        """Open the state directory, make it where there is none.

        `rebuilding`: a new ledger may be made in the place of a lost one, and is not compared with the mark, which
        ``confirm_rebuilt`` renews at the end.

        Raises:
            LedgerError: it is a link, belongs to somebody else, others may change it, or the ledger in it cannot be
                used, or is not the one that began here; the remedy says how to go on. Nothing is repaired silently.
        """
        place = cls.location(host, path)
        with host.tokens.current() as token:
            user = host.tokens.inspect(token).token.user
        handle = open_directory(host, place, user)
        try:
            info = host.files.info(handle)
            real = host.files.final_path(handle)
            mark = None if rebuilding else _installation.read_mark(host, handle)
            ledger = Ledger(host, ntpath.join(real, _ledger.NAME), used=mark is not None)
            try:
                if not rebuilding:
                    _installation.confirm(host, handle, ledger, mark)
            except BaseException:
                ledger.close()
                raise
        except BaseException:
            handle.close()
            raise
        return cls(host, real, handle, info.identity, user, ledger)

    def confirm_rebuilt(self) -> None:
        """The new ledger lists what the old one did: from now on it is the one that began here."""
        _installation.write_mark(self._host, self.handle, self.secret())

    def secret(self) -> bytes:
        """The installation's secret, under which grant SIDs are made."""
        return self.ledger.secret()

    def close(self) -> None:
        """Release the pin and the ledger; a second call does nothing."""
        self.ledger.close()
        self.handle.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- private directories ------------------------------------------------------------------------------------------

    def scratch(
        self,
        *,
        session: Sid,
        user: Sid,
        logon: Sid | None = None,
        stubs: Mapping[str, bytes],
        child_files: Mapping[str, bytes],
        low: bool = False,
    ) -> Scratch:
        """Make one sandbox's private directories: TEMP for `session`, `stubs` in denybin, `child_files` in child.

        Raises:
            WinError: a step failed; what was made before it is removed again.
        """
        files = self._host.files
        private = private_descriptor(user, logon).to_bytes()
        name = self._host.processes.random(5).hex()
        self.ledger.add_scratch(name)  # first: what a crash leaves behind is found by this row
        scratch = Scratch(self, name)
        try:
            top = files.create_directory(self.handle, name, _MAKE, descriptor=private, share=_KEEP_NAME)
            scratch.handles.append(top)
            temp = temp_descriptor(user, session, low=low).to_bytes()
            scratch.handles.append(files.create_directory(top, "temp", _LOOK, descriptor=temp, share=_KEEP_NAME))
            for folder, contents in (("denybin", stubs), ("child", child_files)):
                if not contents:
                    continue
                inside = files.create_directory(top, folder, _MAKE, descriptor=private, share=_KEEP_NAME)
                scratch.handles.append(inside)
                _fill(self._host, inside, contents)
                setattr(scratch, folder, ntpath.join(self.path, name, folder))
        except BaseException:
            scratch.remove()
            raise
        return scratch

    def remove_left_overs(self) -> Listing:
        """Remove the private directories of processes that have ended; what cannot be removed is in the result."""
        left = Listing()
        for name, process in self.ledger.scratches():
            if not self._host.processes.alive(process):
                self.remove_scratch(name, left)
        return left

    def remove_scratch(self, name: str, left: Listing) -> None:
        if remove_tree(self._host, self.handle, name, left, path=ntpath.join(self.path, name)):
            self.ledger.drop_scratch(name)

    # -- what was found out before ------------------------------------------------------------------------------------

    def open_places(self) -> tuple[tuple[str, str], ...] | None:
        """What the last audit found writable by everyone: (reason, sentence); reason "gap" for what it did not see.

        None where none was made within a day, for these drives and this PATH: lists change, and sticks come and go.
        """
        found = self.ledger.proofs().get("open places")
        if found is None or not 0 <= self._host.processes.time() - found[1] < _AUDIT_HOLDS:
            return None
        data = _json(found[0])
        places = data.get("places")
        if data.get("surroundings") != self._surroundings() or not isinstance(places, list):
            return None
        if not all(isinstance(place, list) and len(place) == 2 for place in places):
            return None
        return tuple((str(reason), str(sentence)) for reason, sentence in places)

    def remember_open_places(self, report: AuditReport) -> None:
        """Keep an audit's result for the verdict of the next sandboxes."""
        places = [(place.reason, str(place)) for place in report.places if place.reason in ("everyone", "no list")]
        places += [("gap", sentence) for sentence in report.gaps]
        self.ledger.put_proof("open places", json.dumps({"surroundings": self._surroundings(), "places": places}))

    def _surroundings(self) -> str:
        drives = [(drive.root, drive.serial, drive.kind) for drive in self._host.files.drives()]
        path = {name.upper(): value for name, value in self._host.processes.environment().items()}.get("PATH", "")
        return hashlib.sha256(repr((drives, path)).encode("utf-8", "surrogatepass")).hexdigest()

    def proven(self, policy: Policy) -> dict[Aspect, str]:
        """The aspects that were proven on this machine for this configuration, each with a sentence."""
        found = self.ledger.proofs().get(self._configuration(policy))
        if found is None:
            return {}
        known = {aspect.value: aspect for aspect in Aspect}
        return {known[key]: str(text) for key, text in _json(found[0]).items() if key in known}

    def remember_proof(self, policy: Policy, aspects: Mapping[Aspect, str]) -> None:
        """Keep what ``prove`` found, for exactly this machine, Windows build, kind of volume and configuration."""
        data = json.dumps({aspect.value: text for aspect, text in aspects.items()})
        self.ledger.put_proof(self._configuration(policy), data)

    def _configuration(self, policy: Policy) -> str:
        host = self._host.capabilities()
        volumes = set()
        for root in policy.writable_roots:
            with self._host.files.open(root, FILE_READ_ATTRIBUTES) as handle:
                volume = self._host.files.volume(handle)
                volumes.add((volume.filesystem, volume.kind))
        parts = (
            (host.kind, host.system, host.build, host.machine),
            sorted(volumes),
            (sorted(policy.restricting), policy.integrity, policy.guards, policy.elevated, policy.desktop),
            (sorted(policy.protected_subpaths), policy.console, sorted(policy.ui_limits), policy.network.enabled),
            # What an older version did is no proof of what this one does.
            __version__,
        )
        return "proof " + hashlib.sha256(repr(parts).encode()).hexdigest()


class Scratch:
    """One sandbox's private directories. Paths: ``temp``; ``denybin`` and ``child`` or None. Pinned until removed."""

    def __init__(self, state: State, name: str) -> None:
        self._state = state
        self.name = name
        self.temp = ntpath.join(state.path, name, "temp")
        self.denybin: str | None = None
        self.child: str | None = None
        self.handles: list[Handle] = []
        self.left = Listing()

    def remove(self) -> None:
        """Delete it all, by handles. Call when no process of the sandbox runs any more. Twice is once.

        What cannot be deleted now (a file that some other program holds open) is in ``left`` and goes with the next
        ``recover``.
        """
        while self.handles:
            self.handles.pop().close()
        if self.name:
            name, self.name = self.name, ""
            try:
                self._state.remove_scratch(name, self.left)
            except SandboxError as error:
                self.left.add((self.temp, error))


def _json(text: str) -> dict[str, Any]:
    """A remembered object; empty where it cannot be read: it proves nothing then, and is made anew."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}


def _fill(host: Host, directory: Handle, contents: Mapping[str, bytes]) -> None:
    made: dict[str, Handle] = {"": directory}
    try:
        for path, data in contents.items():
            above, name = "", path
            # A name may have folders in it: the child helper is a package.
            while "\\" in name.replace("/", "\\"):
                first, _, name = name.replace("/", "\\").partition("\\")
                here = f"{above}\\{first}"
                if here not in made:
                    made[here] = host.files.create_directory(made[above], first, _MAKE)
                above = here
            with host.files.create_file(made[above], name, FILE_WRITE_DATA | SYNCHRONIZE) as handle:
                host.files.write(handle, data)
    finally:
        for name, handle in made.items():
            if name:
                handle.close()


def open_directory(host: Host, path: str, user: Sid) -> Handle:
    """The state directory, opened and pinned; made with its own descriptor, or checked."""
    parent, name = ntpath.split(path)
    descriptor = private_descriptor(user).to_bytes()
    try:
        with host.files.open(parent, FILE_LIST_DIRECTORY | FILE_TRAVERSE | FILE_READ_ATTRIBUTES) as above:
            try:
                handle = host.files.create_directory(above, name, _MAKE, descriptor=descriptor, share=_KEEP_NAME)
            except FileExistsError:
                handle = host.files.open_at(above, name, _MAKE, share=_KEEP_NAME)
    except WinError as error:
        raise LedgerError(
            f"the state directory {path} cannot be opened: {error}.",
            remedy="Check that it and the directory above it are yours, or name another one (state_dir).",
            code="state.open",
        ) from error
    try:
        _check(host, path, handle, user)
    except BaseException:
        handle.close()
        raise
    return handle


def _check(host: Host, path: str, handle: Handle, user: Sid) -> None:
    """Refuse a directory that somebody else prepared, or whose list was opened to others."""
    info = host.files.info(handle)
    volume = host.files.volume(handle)
    found = ""
    if info.reparse or not info.directory:
        found = "is a link or a file"
    elif volume.kind == "remote" or not volume.persistent_acls:
        # A new one too: its descriptor was dropped without a word, or is checked by a server that sees the user.
        found = "lies on a network share, or on a volume without access control lists, where nothing protects it"
    elif host.capabilities().stores_acls is not False:
        descriptor = SecurityDescriptor.from_bytes(host.files.security(handle))
        own = {user, SYSTEM, ADMINISTRATORS}
        if descriptor.owner not in own:
            found = f"belongs to {descriptor.owner}"
        elif descriptor.dacl is None:
            found = "can be changed by everyone: it has no access control list"
        elif not descriptor.control & DACL_PROTECTED:
            found = "inherits access from the directory above it"
        else:
            for ace in descriptor.dacl:
                if ace.type == 0 and ace.sid not in own:
                    found = f"grants access to {ace.sid}"
                elif ace.type == 0 and ace.sid == user and ace.mask & FILE_DELETE_CHILD:
                    found = "lets its user delete through it, and so a sandboxed child"
                elif ace.type not in (0, 1):
                    found = f"has an entry of type {ace.type} in its access control list"
    if found:
        raise LedgerError(
            f"the state directory {path} {found}.",
            remedy="If you did not change it yourself, look who did. Then delete it (the grants on disk can be found "
            "again with grants.rebuild), or name another one (state_dir).",
            code="state.unsafe",
        )
