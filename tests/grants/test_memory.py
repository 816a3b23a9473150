"""What a walk that writes needs of memory does not grow with the tree: measured on trees that exist nowhere."""

from __future__ import annotations

import itertools
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from tests.grants import racer
from tests.grants.file_host import LOGON, USER, FileHost, Files
from winsandbox import _edits
from winsandbox._edits import Recipe
from winsandbox._findings import Findings
from winsandbox._give import Giver, Where
from winsandbox._host import Entry, FileId, FileInfo, Handle
from winsandbox._ledger import GrantRow
from winsandbox._security.descriptor import SecurityDescriptor
from winsandbox._security.sid import Sid
from winsandbox._security.token import Group, Token
from winsandbox._take import Taker
from winsandbox._undo import NOBODY
from winsandbox._walk import Counter, Walk

GRANT = Sid(5, 21, 0x57534258, 1, 2, 3)
PLAIN = SecurityDescriptor.from_sddl(f"O:{USER}G:{USER}D:AI(A;ID;FA;;;SY)(A;ID;FA;;;{USER})").to_bytes()
TOKEN = Token(USER, (Group(LOGON),), restricting=(GRANT,), write_restricted=True)
EACH = 50


class Generated(Files):
    """``C:\\root`` with `wide` directories of EACH files; the first tenth of them is ``C:\\root\\0``, protected."""

    def __init__(self, host: FileHost, wide: int, descriptor: bytes) -> None:
        super().__init__(host)
        self.wide = wide
        self.descriptor = descriptor
        self.written = 0
        self._values = itertools.count(1)
        self.most_open = 0

    def _number(self, path: str) -> int:
        parts = path.split("\\")[2:]
        return sum((int(part) + 1) * (10_000_000, 1000, 1)[n] for n, part in enumerate(parts)) + 1

    def _handle(self, path: str) -> Handle:
        value = next(self._values)
        self._paths[value] = path
        self.most_open = max(self.most_open, len(self._paths))
        return Handle(value, self._close)

    def _entry(self, path: str) -> tuple[FileId, int]:
        return FileId(1, self._number(path)), 0x10 if path.count("\\") < 4 else 0x20

    def info(self, handle: Handle) -> FileInfo:
        identity, attributes = self._entry(self._paths[handle.value])
        return FileInfo(identity, attributes, 0, 1, 0, 0, 0)

    def entries(self, handle: Handle) -> Iterator[Entry]:
        above = self._paths[handle.value]
        count = (10, self.wide // 10, EACH)[above.count("\\") - 1]
        for n in range(count):
            identity, attributes = self._entry(f"{above}\\{n}")
            yield Entry(str(n), identity, attributes, 0, 0, 0, 0)

    def query(self, path: str, *, follow: bool = True) -> FileInfo | None:
        return None

    def security(self, handle: Handle) -> bytes:
        return bytes(bytearray(self.descriptor))  # a copy of its own each time, as a real host gives

    def set_security(self, handle: Handle, descriptor: bytes, *, dacl: bool = True, label: bool = False) -> None:
        self.written += 1  # one at a time: in the ledger's transaction


def peak(base: Path, wide: int, *, take: bool, threads: int) -> tuple[int, Generated]:
    """Bytes at the highest, and the host, of one walk over ``11 + wide * (EACH + 1)`` objects."""
    base.mkdir()
    host = cast(Any, racer.make(base))
    ledger = racer.ledger_of(host)
    root = FileId(1, 1)
    state = "removing" if take else "applying"
    ledger.put_grant(GrantRow(GRANT, root, "C:\\root", (), cast(Any, state), "forever", False, 0, 0, 0, 0, NOBODY))
    recipe = Recipe(GRANT, LOGON, False)
    descriptor = PLAIN
    if take:
        given = _edits.give(SecurityDescriptor.from_bytes(PLAIN), _edits.want(recipe, "plain", False, False))
        assert given is not None
        descriptor = given.to_bytes()
    files = host.files = Generated(host, wide, descriptor)
    findings = Findings()
    visitor: Any = (
        Taker(host, ledger, GRANT, "C:\\root", root, findings, low=False)
        if take
        else Giver(host, ledger, recipe, {FileId(1, 10_000_001): "protected"}, TOKEN, findings)
    )
    handle = files._handle("C:\\root")
    context = visitor.start(handle) if take else Where("root", False)
    tracemalloc.start()
    try:
        Walk(host, visitor, Counter(host), threads=threads).run(handle, "C:\\root", context)
        highest = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert findings.objects == files.written == 11 + wide * (EACH + 1)
    assert not files._paths, "every handle is closed"
    ledger.close()
    return highest, files


@pytest.mark.parametrize("take", [False, True], ids=["giving", "taking"])
@pytest.mark.parametrize("threads", [1, 3])
def test_fifteen_times_the_objects_need_the_same_memory(tmp_path: Path, take: bool, threads: int) -> None:
    small, _ = peak(tmp_path / "small", 10, take=take, threads=threads)
    large, files = peak(tmp_path / "large", 150, take=take, threads=threads)
    # A path, an identity and a descriptor kept for each object more would be well over 2 MB. What differs from run to
    # run is how far three threads get ahead of the garbage collector.
    assert large < small + 400_000, (small, large)
    assert files.most_open <= threads * (64 + 4)
