"""What a protected tree looked like when it was last checked object by object: one digest, from directory listings.

A warm start reads no descriptor inside a protected place. Two things could have opened one there since: a tree that was
moved in (a rename changes no descriptor, so it brings along what it was granted outside), and a list that somebody
wrote for an object inside. The first changes names and file ids, the second the object's change time (FILE_BASIC_INFO's
ChangeTime, which NTFS sets with every change of attributes or security; a directory lists it). So while the digest is
the stored one, the stored check still counts; else the place is walked again, which writes only where it must.

What this leaves open: who may write an object's attributes may set its change time back, which in a protected place is
nobody in a sandbox; and a file with several names whose list was changed through another name, because NTFS renews the
listed times only under the name that was used.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from ._host import Entry, Handle, Host
from ._security.mask import FILE_LIST_DIRECTORY, FILE_READ_ATTRIBUTES, SYNCHRONIZE
from .errors import AclError

LIMIT: Final = 20_000  # entries of one place: some tenths of a second
LOOK: Final = FILE_LIST_DIRECTORY | FILE_READ_ATTRIBUTES | SYNCHRONIZE


class Fingerprint(NamedTuple):
    """``names``: names, file ids and kinds only; ``state``: with the change times. Empty: could not be taken."""

    names: bytes
    state: bytes

    def __bool__(self) -> bool:
        return bool(self.state)


UNREADABLE: Final = Fingerprint(b"", b"")
ALONE: Final = Fingerprint(b"alone", b"alone")  # a file, or a link: its own descriptor is all there is
LARGE: Final = Fingerprint(b"large", b"large")


def fingerprint(host: Host, handle: Handle, check: Callable[[str], object], path: str) -> Fingerprint:
    """Look at everything below the directory `handle` (opened with :data:`LOOK`); no descriptor is read.

    Each directory is opened relative to the one that lists it, so a link that is planted meanwhile leads nowhere.
    `check` is called with the path of each directory below it; the AclError that it raises ends the look.
    """
    digest = _Digest()
    stack: list[tuple[Handle, str, Iterator[Entry]]] = []
    try:
        info = host.files.info(handle)
        digest.add(str(info.identity), info.changed)
        stack.append((handle, path, digest.listing(host, handle)))
        while stack:
            directory, at, below = stack[-1]
            entry = next(below, None)
            if entry is None:
                stack.pop()
                if stack:
                    directory.close()
                continue
            inside = f"{at}\\{entry.name}"
            check(inside)
            inner = host.files.open_at(directory, entry.name, LOOK)
            stack.append((inner, inside, iter(())))
            if host.files.info(inner).identity != entry.identity:
                return UNREADABLE  # another one took the name meanwhile
            stack[-1] = (inner, inside, digest.listing(host, inner))
    except _TooManyError:
        return LARGE
    except OSError as error:
        if isinstance(error, AclError):
            raise
        return UNREADABLE
    finally:
        for inner, _, _ in stack[1:]:
            inner.close()
    return digest.done()


class _Digest:
    def __init__(self) -> None:
        self._names, self._state = hashlib.sha256(), hashlib.sha256()
        self._count = 0

    def add(self, text: str, changed: int) -> None:
        # Lone surrogates are names on NTFS. No name holds a NUL or a slash, so no two trees give the same text.
        data = f"{text}\0".encode("utf-16-le", "surrogatepass")
        self._names.update(data)
        self._state.update(data + changed.to_bytes(8, "little", signed=True))

    def listing(self, host: Host, directory: Handle) -> Iterator[Entry]:
        """Take in one directory; returns the directories in it."""
        entries: list[Entry] = []
        for entry in host.files.entries(directory):
            self._count += 1
            if self._count > LIMIT:
                raise _TooManyError
            entries.append(entry)
        entries.sort(key=lambda entry: entry.name)
        self.add(f"/{len(entries)}", 0)
        for entry in entries:
            kind = f"{entry.directory:d}{entry.reparse:d}{entry.reparse_tag:x}"
            self.add(f"{entry.name}\0{entry.identity}\0{kind}", entry.changed)
        return iter([entry for entry in entries if entry.directory and not entry.reparse])

    def done(self) -> Fingerprint:
        return Fingerprint(self._names.digest(), self._state.digest())


def settled(before: Fingerprint, after: Fingerprint, *, wrote: bool) -> bool:
    """Whether nobody else changed a place while it was walked, so that `after` stands for what the walk has checked.

    Our own writes move change times; then names and file ids have to do.
    """
    return bool(after) and (before.names == after.names if wrote else before == after)


class _TooManyError(Exception):
    """The place holds more than LIMIT entries."""
