"""What a protected tree looks like, or did when it was last checked object by object: digests of directory listings.

A warm start reads no descriptor inside a protected place. Two things could have opened one there since: a tree that was
moved in (a rename changes no descriptor, so it brings along what it was granted outside), and a list that somebody
wrote for an object inside. The first changes names and file ids, the second the object's change time (FILE_BASIC_INFO's
ChangeTime, which NTFS sets with every change of attributes or security; a directory lists it). So while the digest is
the stored one, the stored check still counts; else the place is walked again, which writes only where it must.

What this leaves open: who may write an object's attributes may set its change time back, which in a protected place is
nobody in a sandbox; and a file with several names whose list was changed through another name, because NTFS renews the
listed times only under the name that was used.

The digest is a sum over the entries, each hashed with the directory that it lies in. So it is taken in one pass, in
whatever order a volume lists, and needs no more memory for a large place than for a small one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from ._host import Entry, FileId, Handle, Host
from ._security.mask import FILE_LIST_DIRECTORY, FILE_READ_ATTRIBUTES, SYNCHRONIZE
from .errors import AclError

LIMIT: Final = 20_000  # entries of one place that a warm start looks at: some tenths of a second
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


def fingerprint(
    host: Host,
    handle: Handle,
    check: Callable[[str], object],
    path: str,
    *,
    limit: int | None = None,
    links: Callable[[str], object] | None = None,
) -> Fingerprint:
    """Look at everything below the directory `handle` (opened with :data:`LOOK`); no descriptor is read.

    Each directory is opened relative to the one that lists it, so a link that is planted meanwhile leads nowhere.
    `check` is called with the path of each directory below it; the AclError that it raises ends the look. With more
    than `limit` entries the answer is :data:`LARGE`. `links` is called with the path of each link below it, and may end
    the look likewise.
    """
    stack: list[tuple[Handle, str, FileId, Iterator[Entry]]] = []
    try:
        info = host.files.info(handle)
        digest = _Digest(info.identity, info.changed)
        stack.append((handle, path, info.identity, host.files.entries(handle)))
        while stack:
            directory, at, above, entries = stack[-1]
            entry = next(entries, None)
            if entry is None:
                stack.pop()
                if stack:
                    directory.close()
                continue
            digest.add(above, entry)
            if limit is not None and digest.count > limit:
                return LARGE
            if entry.reparse:
                if links is not None:
                    links(f"{at}\\{entry.name}")
                continue
            if not entry.directory:
                continue
            inside = f"{at}\\{entry.name}"
            check(inside)
            inner = host.files.open_at(directory, entry.name, LOOK)
            stack.append((inner, inside, entry.identity, iter(())))
            if host.files.info(inner).identity != entry.identity:
                return UNREADABLE  # another one took the name meanwhile
            stack[-1] = (inner, inside, entry.identity, host.files.entries(inner))
    except OSError as error:
        if isinstance(error, AclError):
            raise
        return UNREADABLE
    finally:
        for inner, _, _, _ in stack[1:]:
            inner.close()
    return digest.done()


class _Digest:
    """Sums modulo 2**512 of what identifies each entry, without and with its change time.

    So wide because sums are easier to hit than hashes are; what it guards against is a tree that was prepared.
    """

    def __init__(self, top: FileId, changed: int) -> None:
        self.count = 0
        self._names = self._state = 0
        self._take(str(top), changed)

    def add(self, above: FileId, entry: Entry) -> None:
        self.count += 1
        kind = f"{entry.directory:d}{entry.reparse:d}{entry.reparse_tag:x}"
        self._take(f"{above}\0{entry.name}\0{entry.identity}\0{kind}", entry.changed)

    def _take(self, text: str, changed: int) -> None:
        # Lone surrogates are names on NTFS. No name holds a NUL, so no two entries give the same text.
        data = text.encode("utf-16-le", "surrogatepass")
        self._names += int.from_bytes(hashlib.sha512(data).digest())
        self._state += int.from_bytes(hashlib.sha512(data + changed.to_bytes(9, "little", signed=True)).digest())

    def done(self) -> Fingerprint:
        return Fingerprint(_packed(self._names), _packed(self._state))


def _packed(total: int) -> bytes:
    return (total % (1 << 512)).to_bytes(64)


def settled(before: Fingerprint, after: Fingerprint, *, wrote: bool) -> bool:
    """Whether nobody else changed a place while it was walked, so that `after` stands for what the walk has checked.

    Our own writes move change times; then names and file ids have to do. What was not looked through never settles.
    """
    if not after or LARGE in (before, after):
        return False
    return before.names == after.names if wrote else before == after
