"""The second witness of an installation: a file that says that a ledger is here, and under which secret it began.

Without it an emptied or deleted ledger would look like a first use, and get a new secret without a word: every root
would have another SID, and what lies on disk under the old ones would be in no list.

    ledger-mark        64 hexadecimal digits: a hash of the secret

The order is what makes a crash between the two harmless. The ledger with its secret comes first; the mark is made by
whoever opens a ledger that has none, before anything is done with it. So a mark is never alone unless the ledger was
lost. The other way round for a rebuild: the mark stays the old one, and every other use of the new ledger an error,
until all that lies on disk has been entered.

It is a mark against accidents. Who can write to the state directory can change both.
"""

from __future__ import annotations

import hashlib
import ntpath
from typing import TYPE_CHECKING, Final

from ._ledger import NAME as LEDGER
from ._security.mask import DELETE, FILE_READ_DATA, FILE_WRITE_DATA, SYNCHRONIZE
from .errors import LedgerError

if TYPE_CHECKING:
    from ._host import Handle, Host
    from ._ledger import Ledger

NAME: Final = "ledger-mark"
_LENGTH: Final = 64
_DIGITS: Final = frozenset(b"0123456789abcdef")
_AT_ONCE: Final = 1 << 20


def used(host: Host, directory: str) -> bool:
    """Whether there is, or was, a ledger in a state directory; makes and changes nothing."""
    return any(host.files.query(ntpath.join(directory, name)) is not None for name in (LEDGER, NAME))


def mark_of(secret: bytes) -> bytes:
    """What the mark of a secret says."""
    return hashlib.sha256(b"winsandbox mark" + secret).hexdigest().encode()


def read_mark(host: Host, directory: Handle) -> bytes | None:
    """The mark in an open state directory; None: there is none; b"": it was never written in full."""
    try:
        with host.files.open_at(directory, NAME, FILE_READ_DATA | SYNCHRONIZE) as file:
            found = host.files.read(file, _LENGTH)
    except FileNotFoundError:
        return None
    # After a power loss a file can be there with nothing, or with zeros, in it.
    return found if len(found) == _LENGTH and _DIGITS.issuperset(found) else b""


def write_mark(host: Host, directory: Handle, secret: bytes) -> None:
    """Make the mark, or write over it."""
    access = FILE_WRITE_DATA | SYNCHRONIZE
    try:
        file = host.files.create_file(directory, NAME, access)
    except FileExistsError:
        file = host.files.open_at(directory, NAME, access)
    with file:
        host.files.write(file, mark_of(secret))


def confirm(host: Host, directory: Handle, ledger: Ledger, mark: bytes | None) -> None:
    """See that an opened ledger is the one that began here, whose mark was read before; make the mark if it has none.

    Raises:
        LedgerError: it has no secret, or another one.
    """
    secret = ledger.secret()
    if mark == mark_of(secret):
        return
    if mark:
        raise ledger.lost_secret("is not the one that this state directory began with")
    with ledger.transaction():  # one at a time; all of them write the same
        write_mark(host, directory, secret)


def set_aside(host: Host, directory: Handle, place: str) -> str | None:
    """Copy a damaged ledger and its journal under other names, then delete it (a Host has no rename). The mark stays.

    Returns the path of the copy, None where no ledger was left.

    Raises:
        LedgerError: another process keeps it open.
    """
    files = host.files
    stamp = int(host.processes.time())
    copy: str | None = None
    for name in (LEDGER, LEDGER + "-journal"):
        try:
            with files.open_at(directory, name, FILE_READ_DATA | DELETE | SYNCHRONIZE) as old:
                kept = _free(host, place, f"{name}.damaged-{stamp}")
                with files.create_file(directory, kept, FILE_WRITE_DATA | SYNCHRONIZE) as new:
                    while data := files.read(old, _AT_ONCE):
                        files.write(new, data)
                files.delete(old)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise LedgerError(
                f"the damaged ledger {ntpath.join(place, name)} could not be set aside: {error}.",
                remedy="Close every running sandbox, and run it again.",
                code="ledger.in-use",
            ) from error
        if name == LEDGER:
            copy = ntpath.join(place, kept)
    return copy


def _free(host: Host, place: str, name: str) -> str:
    found, number = name, 1
    while host.files.query(ntpath.join(place, found)) is not None:
        number += 1
        found = f"{name}-{number}"
    return found
