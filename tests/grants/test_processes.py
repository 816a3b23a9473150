"""Real processes, a real SQLite ledger, one tree: nothing gets lost, whoever comes in between."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from tests.capabilities import wine_version
from tests.grants import racer
from tests.grants.file_host import FIRST, FileHost
from winsandbox import _undo
from winsandbox._security.descriptor import SecurityDescriptor
from winsandbox._walk import Counter

ROOT = Path(racer.__file__).resolve().parents[2]
# Starting a process takes a second under Wine, and a lock of a file a millisecond.
PROCESSES, SMALL, LARGE = (3, 10, 3) if wine_version() else (8, 100, 100)


@pytest.fixture
def base(tmp_path: Path) -> Iterator[Path]:
    """In memory where that can be had: each round waits for the disk several times, and what races is not the disk."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=memory) as place:
        yield Path(place)


def race(base: Path, mode: str, rounds: int) -> None:
    running = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.grants.racer", str(base), str(seed), str(rounds), mode],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        for seed in range(PROCESSES)
    ]
    try:
        ended = [
            (process.communicate(timeout=300)[0].decode(errors="replace"), process.returncode) for process in running
        ]
    finally:
        for process in running:
            if process.poll() is None:
                process.kill()
                process.communicate()
    assert [(text, code) for text, code in ended if code] == []


def descriptors(host: FileHost) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in host.security_of.iterdir()}


def test_no_update_of_one_list_is_lost(base: Path) -> None:
    host = racer.make(base)
    racer.ledger_of(host).close()
    race(base, "counter", SMALL)
    with host.files.open(racer.ROOT, 0) as handle:
        now = SecurityDescriptor.from_bytes(host.files.security(handle))
    # Each process removed every second entry of its own in the round after it was added: n // 2 of n stay.
    assert now.dacl is not None
    assert len(now.dacl) == 2 + PROCESSES * (SMALL // 2)


def test_sandboxes_of_many_processes_find_what_they_need_and_nothing_stays(base: Path) -> None:
    host = racer.make(base)
    racer.ledger_of(host).close()
    race(base, "whole", LARGE)
    ledger = racer.ledger_of(host)
    assert not ledger.leases()
    host.processes.begin()
    for row in ledger.grants():
        claimed = _undo.claim(cast(Any, host), ledger, row.sid)
        assert claimed is not None
        assert _undo.remove(cast(Any, host), ledger, claimed, Counter(cast(Any, host))).complete
    assert not ledger.grants()
    ledger.close()
    assert descriptors(host)
    assert set(descriptors(host).values()) == {FIRST}
