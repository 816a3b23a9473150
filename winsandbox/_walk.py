"""One pass over a tree through handles: every object opened relative to its parent, no reparse point ever followed.

The child may have planted links, and may be running in another sandbox of the same root while this walks. So nothing
below a root is opened by path; what is opened is asked for its own attributes and identity, and what the directory
said before is only a hint. A directory that is moved away in the middle stays the directory we hold.

Memory is bounded: a worker holds one open directory for each level it is deep, one batch of objects that are to be
written, and hands a subdirectory over only to a worker that has nothing to do.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Protocol

from ._counter import KEPT, LISTED, Cancel, Counter, Listing, Progress, Touched
from ._host import (
    ATTRIBUTE_OFFLINE,
    ATTRIBUTE_RECALL_ON_DATA_ACCESS,
    ATTRIBUTE_RECALL_ON_OPEN,
    Entry,
    FileInfo,
    Handle,
    Host,
)
from ._security.ace import allow
from ._security.acl import Acl
from ._security.descriptor import DACL_PROTECTED, SecurityDescriptor
from ._security.mask import (
    DELETE,
    FILE_ALL_ACCESS,
    FILE_LIST_DIRECTORY,
    FILE_READ_ATTRIBUTES,
    FILE_WRITE_ATTRIBUTES,
    READ_CONTROL,
    SYNCHRONIZE,
    WRITE_DAC,
    WRITE_OWNER,
)
from .errors import AclError

__all__ = [
    "EDIT",
    "KEPT",
    "LISTED",
    "LOOK",
    "PLACEHOLDER",
    "RELABEL",
    "Cancel",
    "Counter",
    "Item",
    "Listing",
    "Progress",
    "Touched",
    "Visitor",
    "Walk",
    "remove_tree",
]

BATCH: Final = 64
PLACEHOLDER: Final = ATTRIBUTE_OFFLINE | ATTRIBUTE_RECALL_ON_OPEN | ATTRIBUTE_RECALL_ON_DATA_ACCESS
LOOK: Final = READ_CONTROL | FILE_READ_ATTRIBUTES | SYNCHRONIZE
EDIT: Final = LOOK | WRITE_DAC
RELABEL: Final = EDIT | WRITE_OWNER
_SLICE: Final = 0.25  # seconds between two looks for Ctrl+C
# The object went away between listing and opening: not found, or its deletion is pending (NTSTATUS 0xC0000056, which
# Win32 shows as access denied; 303 where the host tells them apart).
_GONE: Final = (2, 3, 303)
_DELETE_PENDING: Final = 0xC0000056


@dataclass(slots=True, eq=False)
class Item:
    """One opened object on the way. ``context`` is the visitor's word for where it lies.

    ``below`` is the context of what lies in it, set by ``look``; ``refused`` the error that kept it from being opened
    for writing: it was then opened for reading, and must not be written; ``unlabelled`` the error that kept it from
    being opened for a change of its label: only its DACL may be written.
    """

    handle: Handle
    path: str
    info: FileInfo
    context: Any
    below: Any = None
    refused: OSError | None = None
    unlabelled: OSError | None = None
    data: Any = None
    framed: bool = False


class Visitor(Protocol):
    """What is done on the way. Called by several threads at once, except for one object at a time."""

    access: int

    def place(self, above: Any, entry: Entry, path: str) -> Any:
        """The context of an entry below a directory whose ``below`` is `above`; None: leave it, it was dealt with."""
        ...

    def look(self, item: Item) -> bool:
        """Read it, set ``item.below``; True: keep it open, it comes back in ``write``."""
        ...

    def write(self, items: list[Item]) -> None:
        """Write a batch."""
        ...

    def failed(self, path: str, context: Any, error: OSError) -> None:
        """An object that could not be opened or listed."""
        ...


@dataclass(slots=True, eq=False)
class _Frame:
    item: Item
    entries: Iterator[Entry]


class Walk:
    """Takes one tree apart. One instance a tree; ``run`` once."""

    def __init__(self, host: Host, visitor: Visitor, counter: Counter, *, threads: int = 1) -> None:
        self._files = host.files
        self._visitor = visitor
        self._counter = counter
        self._threads = max(1, threads)
        self._wake = threading.Condition()
        self._offered: deque[_Frame] = deque()
        self._idle = 0
        self._error: BaseException | None = None
        self._over = threading.Condition()  # of its own: a worker that is offered something must not wake the caller
        self._ended: set[threading.Thread] = set()

    def run(self, handle: Handle, path: str, context: Any) -> None:
        """Visit the object behind `handle` and everything below it. Takes the handle over and closes it."""
        frame: _Frame | None = None
        try:
            item = Item(handle, path, self._files.info(handle), context)
            self._counter.seen += 1
            batch: list[Item] = []
            frame = self._visit(item, batch)
            self._flush(batch)
        finally:
            if frame is None:
                handle.close()
        if frame is None:
            return
        if self._threads == 1:
            self._work(frame)
            return
        self._idle = self._threads
        self._offered.append(frame)
        workers = [threading.Thread(target=self._serve, name="winsandbox walk") for _ in range(self._threads)]
        try:
            for worker in workers:
                worker.start()
            self._wait_for(workers)
        except BaseException as error:  # Ctrl+C in the caller's thread: the workers stop at their next object
            self._stop(error)
            self._wait_for(workers)
            raise
        for worker in workers:
            worker.join(_SLICE)
        if self._error is not None:
            raise self._error

    # -- several workers ----------------------------------------------------------------------------------------------

    def _wait_for(self, workers: list[threading.Thread]) -> None:
        """Until all that were started have ended, in slices: on Windows what waits without a limit does not let Ctrl+C
        through (cpython #139689). Not by `join`: interrupted in Python 3.11, it takes a thread that runs for ended."""
        with self._over:
            while any(worker.ident is not None and worker not in self._ended for worker in workers):
                self._over.wait(_SLICE)

    def _serve(self) -> None:
        try:
            self._serve_on()
        except BaseException as error:  # raised again in the caller's thread
            self._stop(error)
        finally:
            with self._over:
                self._ended.add(threading.current_thread())
                self._over.notify_all()

    def _serve_on(self) -> None:
        while True:
            with self._wake:
                while not self._offered:
                    if self._idle == self._threads or self._error is not None:
                        self._wake.notify_all()
                        return
                    self._wake.wait()
                frame = self._offered.popleft()
                self._idle -= 1
            try:
                self._work(frame)
            finally:
                with self._wake:
                    self._idle += 1
                    self._wake.notify_all()

    def _stop(self, error: BaseException) -> None:
        with self._wake:
            self._error = self._error or error
            while self._offered:
                _close(self._offered.pop())
            self._wake.notify_all()

    def _wanted(self) -> bool:
        """Whether another worker has nothing to do."""
        return len(self._offered) < self._idle

    def _offer(self, frame: _Frame) -> bool:
        with self._wake:
            if self._error is not None or not self._wanted():
                return False
            self._offered.append(frame)
            self._wake.notify()
            return True

    # -- one worker ---------------------------------------------------------------------------------------------------

    def _work(self, first: _Frame) -> None:
        stack = [first]
        batch: list[Item] = []
        try:
            while stack:
                frame = stack[-1]
                below = self._next(frame, batch)
                if below is None:
                    stack.pop()
                    if frame.item in batch:
                        # Its own write still waits, with this very handle: the batch closes it.
                        frame.item.framed = False
                        _end(frame.entries)
                    else:
                        _close(frame)
                    continue
                stack.append(below)
                if self._wanted():
                    if below.item in batch:
                        self._flush(batch)
                    if self._offer(below):
                        stack.pop()
            self._flush(batch)
        finally:
            for frame in stack:
                _close(frame)
            for item in batch:
                item.handle.close()

    def _next(self, frame: _Frame, batch: list[Item]) -> _Frame | None:
        """Go on in one directory until there is a subdirectory to go down into; None at its end."""
        above = frame.item
        try:
            for entry in frame.entries:
                if self._error is not None:
                    raise self._error
                path = f"{above.path}\\{entry.name}"
                self._counter.check(path)
                self._counter.seen += 1
                context = self._visitor.place(above.below, entry, path)
                if context is None:
                    self._counter.step(path)
                    continue
                below = self._open(above, entry, path, context, batch)
                if below is not None:
                    return below
        except OSError as error:
            if isinstance(error, AclError):
                raise
            self._visitor.failed(above.path, above.context, error)
        return None

    def _open(self, above: Item, entry: Entry, path: str, context: Any, batch: list[Item]) -> _Frame | None:
        visitor = self._visitor
        listing = FILE_LIST_DIRECTORY if entry.directory and not entry.reparse else 0
        refused: OSError | None = None
        unlabelled: OSError | None = None
        try:
            try:
                handle = self._files.open_at(above.handle, entry.name, visitor.access | listing)
            except PermissionError as error:
                if visitor.access == LOOK or getattr(error, "status", None) == _DELETE_PENDING:
                    raise
                try:
                    # Whoever owns an object may write its DACL, but not its label: entries can be put there and taken
                    # away all the same.
                    if not visitor.access & WRITE_OWNER:
                        raise
                    handle = self._files.open_at(above.handle, entry.name, visitor.access & ~WRITE_OWNER | listing)
                    unlabelled = error
                except PermissionError:
                    # Not ours to write. It can still be looked at, and what lies in it may be.
                    refused = error
                    handle = self._files.open_at(above.handle, entry.name, LOOK | listing)
        except OSError as error:
            self._counter.step(path)
            if getattr(error, "winerror", 0) not in _GONE and getattr(error, "status", None) != _DELETE_PENDING:
                visitor.failed(path, context, error)
            return None
        item: Item | None = None
        frame: _Frame | None = None
        try:
            info = self._files.info(handle)
            if info.identity != entry.identity or info.reparse != entry.reparse or info.directory != entry.directory:
                # Another object took the name since the directory was read: judge what was opened, not what was listed.
                tag = info.reparse_tag
                entry = Entry(entry.name, info.identity, info.attributes, tag, info.size, info.modified, info.changed)
                context = visitor.place(above.below, entry, path)
                if context is None:
                    self._counter.step(path)
                    return None
            item = Item(handle, path, info, context, refused=refused, unlabelled=unlabelled)
            frame = self._visit(item, batch)
        finally:
            if frame is None and (item is None or item not in batch):
                handle.close()
        if len(batch) >= BATCH:
            self._flush(batch)
        return frame

    def _visit(self, item: Item, batch: list[Item]) -> _Frame | None:
        try:
            if self._visitor.look(item):
                batch.append(item)
            self._counter.step(item.path)
            if item.below is None or not item.info.directory or item.info.reparse:
                return None
            frame = _Frame(item, self._files.entries(item.handle))
        except OSError as error:
            if isinstance(error, AclError):
                raise
            self._visitor.failed(item.path, item.context, error)
            return None
        item.framed = True
        return frame

    def _flush(self, batch: list[Item]) -> None:
        """Write what waits; close what no frame goes on reading."""
        if not batch:
            return
        items = batch.copy()
        batch.clear()
        try:
            self._visitor.write(items)
        finally:
            for item in items:
                if not item.framed:
                    item.handle.close()
        if self._counter.after_write is not None:
            self._counter.after_write()


def _close(frame: _Frame) -> None:
    _end(frame.entries)
    frame.item.handle.close()


def _end(entries: Iterator[Entry]) -> None:
    close = getattr(entries, "close", None)  # a generator's search handle, if the host's is one
    if close is not None:
        close()


# -- removing a tree --------------------------------------------------------------------------------------------------

# FILE_WRITE_ATTRIBUTES: where a host cannot delete a read-only file as it is, the attribute has to be cleared first.
_REMOVE: Final = DELETE | FILE_LIST_DIRECTORY | FILE_WRITE_ATTRIBUTES | LOOK
_READ_AT_ONCE: Final = 512


def remove_tree(host: Host, parent: Handle, name: str, left: Listing, *, path: str) -> bool:
    """Delete the entry `name` of `parent` and all below it, by handles; links are deleted, never followed.

    What cannot be deleted is added to `left` as (path, error). True when it is gone.
    """
    files = host.files
    try:
        handle = _open_for_removal(host, parent, name)
    except FileNotFoundError:
        return True
    except OSError as error:
        left.add((path, error))
        return False
    with handle:
        try:
            info = files.info(handle)
            if info.directory and not info.reparse:
                _empty(host, handle, path, left)
            files.delete(handle)
        except OSError as error:
            left.add((path, error))
            return False
    return True


def _empty(host: Host, handle: Handle, path: str, left: Listing) -> None:
    stuck: set[str] = set()
    while True:
        # Names first, in portions: deleting while a listing is open may skip entries, so it is read again until dry.
        names: list[str] = []
        for entry in host.files.entries(handle):
            if entry.name not in stuck:
                names.append(entry.name)
            if len(names) >= _READ_AT_ONCE:
                break
        if not names:
            return
        stuck.update(name for name in names if not remove_tree(host, handle, name, left, path=f"{path}\\{name}"))


def _open_for_removal(host: Host, parent: Handle, name: str) -> Handle:
    try:
        return host.files.open_at(parent, name, _REMOVE)
    except PermissionError as denied:
        if getattr(denied, "status", None) == _DELETE_PENDING:
            raise
        # A child may leave objects whose own DACL shuts their owner out. The owner may always rewrite it.
        with host.files.open_at(parent, name, READ_CONTROL | WRITE_DAC) as handle:
            old = SecurityDescriptor.from_bytes(host.files.security(handle))
            if old.owner is None:
                raise
            open_to_owner = Acl([allow(old.owner, FILE_ALL_ACCESS)])
            new = SecurityDescriptor(control=DACL_PROTECTED, dacl=open_to_owner)
            host.files.set_security(handle, new.to_bytes())
        return host.files.open_at(parent, name, _REMOVE)
