"""Pins: handles that keep roots, protected places and the directories between them where they are.

Opened with FILE_LIST_DIRECTORY (or FILE_READ_DATA, the same bit) and without FILE_SHARE_DELETE: while one is open, an
open for DELETE fails with a sharing violation, and no directory above it can be renamed (MS-FSA 2.1.5.1.2.1, 2.1.4.2,
2.1.5.15.12). Handles with attribute rights only take no part in share checks, so they would pin nothing. What lies
inside a pinned directory is not pinned by it: there the guards hold.
"""

from __future__ import annotations

import ntpath
import time
from typing import TYPE_CHECKING, Final

from ._host import SHARE_ALL, SHARE_READ, SHARE_WRITE, FileId, Handle, Host
from ._security.mask import FILE_LIST_DIRECTORY, FILE_READ_ATTRIBUTES, READ_CONTROL, SYNCHRONIZE
from .errors import AclError

if TYPE_CHECKING:
    from ._ledger import Ledger
    from ._plan import Place
    from ._security.sid import Sid

PIN: Final = FILE_LIST_DIRECTORY | READ_CONTROL | FILE_READ_ATTRIBUTES | SYNCHRONIZE
SHARE: Final = SHARE_READ | SHARE_WRITE
_BUSY: Final = (32, 33)
_PATIENCE: Final = 2.0  # seconds: scanners and indexers hold files with DELETE access for moments
_POLL: Final = 0.05


class Pins:
    """The pins of one sandbox, by identity."""

    def __init__(self, host: Host) -> None:
        self._files = host.files
        self._held: dict[FileId, tuple[str, Handle]] = {}

    def add(self, path: str, identity: FileId) -> None:
        """Pin what lies at `path`, which must be the object that was planned for.

        Raises:
            AclError: it is another object, or some program keeps it open for deletion.
        """
        if identity in self._held:
            return
        handle = self._open(path)
        if self._files.info(handle).identity != identity:
            handle.close()
            raise AclError(
                f"{path} is no longer what it was when the sandbox was planned; nothing was written.",
                path=path,
                remedy="Run again.",
                code="acl.changed",
            )
        self._held[identity] = (path, handle)

    def _open(self, path: str) -> Handle:
        waited = 0.0
        while True:
            try:
                return self._files.open(path, PIN, share=SHARE)
            except OSError as error:
                busy = getattr(error, "winerror", 0) in _BUSY
                if not busy or waited >= _PATIENCE:
                    raise AclError(
                        f"{path} cannot be held open, so that the child could rename or delete it: {error}.",
                        cause=error,
                        path=path,
                        remedy="Close the program that has it open, and run again." if busy else "Run again.",
                        code="acl.pin",
                    ) from error
            time.sleep(_POLL)
            waited += _POLL

    def take(self, path: str, identity: FileId, handle: Handle) -> None:
        """Hold a pin that was opened elsewhere (with PIN and SHARE)."""
        if identity in self._held:
            handle.close()
            return
        self._held[identity] = (path, handle)

    def handle(self, identity: FileId) -> Handle:
        return self._held[identity][1]

    def path(self, identity: FileId) -> str:
        return self._held[identity][0]

    def close(self) -> None:
        """Release all of them; a second call does nothing."""
        held, self._held = self._held, {}
        for _, handle in held.values():
            handle.close()


def create_placeholder(
    host: Host, ledger: Ledger, pins: Pins, root: Place, name: str, sid: Sid
) -> tuple[str, Handle, FileId]:
    """Make the directory `name` in the pinned root, or open what came into being there meanwhile, pinned.

    Noted before and after: a crash in between leaves a row without an identity.
    """
    path = ntpath.join(root.path, name)
    above = pins.handle(root.identity)
    try:
        ledger.put_placeholder(path, sid, None)
        try:
            handle = host.files.create_directory(above, name, PIN, share=SHARE)
        except FileExistsError:
            ledger.drop_placeholder(path)
            handle = host.files.open_at(above, name, PIN, share=SHARE)
            return path, handle, host.files.info(handle).identity
        identity = host.files.info(handle).identity
        ledger.put_placeholder(path, sid, identity)
    except OSError as error:
        if isinstance(error, AclError):
            raise
        raise AclError(
            f"{path} could not be created empty, so the child could create it: {error}.",
            cause=error,
            path=path,
            remedy="Create the directory yourself, or take its name out of protected_subpaths.",
            code="acl.placeholder",
        ) from error
    return path, handle, identity


def open_below(host: Host, pins: Pins, root: Place, path: str) -> tuple[str, Handle] | None:
    """Open what lies at `path` below the pinned root, pinned, with its path; None where nothing does.

    Component by component: the child owns these directories, and a link that it planted on the way leads nowhere here.
    A link or a file on the way is what is returned, in place of what would be behind it: whoever reads `path` goes
    where it leads.

    Raises:
        AclError: it is there and cannot be opened.
    """
    parts = ntpath.relpath(path, root.path).split("\\")
    step: Handle | None = None
    try:
        for index, part in enumerate(parts):
            above = pins.handle(root.identity) if step is None else step
            last = index == len(parts) - 1
            at = ntpath.join(root.path, *parts[: index + 1])
            try:
                below = host.files.open_at(above, part, PIN, share=SHARE if last else SHARE_ALL)
                info = host.files.info(below)
                if last:
                    return at, below
                if info.reparse or not info.directory:
                    below.close()
                    return at, host.files.open_at(above, part, PIN, share=SHARE)
            except (FileNotFoundError, NotADirectoryError):
                return None
            finally:
                if step is not None:
                    step.close()
            step = below
    except OSError as error:
        raise AclError(
            f"{path} came into being and cannot be opened to be denied: {error}.",
            cause=error,
            path=path,
            remedy="Look at it; remove it if it is not yours. No further command is started.",
            code="acl.new",
        ) from error
    return None
