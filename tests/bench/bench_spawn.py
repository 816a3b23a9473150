"""What a sandboxed spawn costs beside subprocess.Popen, and how fast its pipes are. Needs Windows, or Wine's.

Everything is a ratio of medians of the same run, the two taken in turns. The token is the caller's own, so that the
first figure is the cost of finding, quoting, job, lists and waiting, and not that of making a token, which a sandbox
does once.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from subprocess import DEVNULL, PIPE
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from winsandbox._host import Handle, Host, default_host
from winsandbox._spawn import spawn
from winsandbox.errors import UnsupportedHost
from winsandbox.limits import Limits
from winsandbox.process import run

TRIVIAL = ["cmd", "/d", "/c", "exit 0"]
QUIET: dict[str, Any] = {"stdin": DEVNULL, "stdout": DEVNULL, "stderr": DEVNULL}
SIZE = int(os.environ.get("WINSANDBOX_BENCH_MIB", "256")) << 20
POUR = "import os\nb = b'x' * 65536\nfor _ in range({}): os.write(1, b)"


def timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def in_turns(first: Callable[[], object], second: Callable[[], object], times: int) -> tuple[float, float]:
    """The medians of both, after one warm-up each."""
    first(), second()
    pairs = [(timed(first), timed(second)) for _ in range(times)]
    return statistics.median(one for one, _ in pairs), statistics.median(two for _, two in pairs)


def main() -> int:
    try:
        host: Host = default_host()
    except UnsupportedHost as error:
        print(f"not run: {error.message}")
        return 0
    environment = host.processes.environment()
    cwd = os.getcwd()
    with host.tokens.current() as token:

        def start(args: list[str], **streams: Any) -> subprocess.CompletedProcess[Any]:
            return run(_spawned(host, token, args, environment, cwd, streams))

        def spawned() -> None:
            start(TRIVIAL, **QUIET)

        def popen() -> None:
            # The window flag is ours by default; without it Popen would start no console host and not be comparable.
            subprocess.run(TRIVIAL, check=True, creationflags=0x8000000, **QUIET)

        ours, theirs = in_turns(spawned, popen, int(os.environ.get("WINSANDBOX_BENCH_SPAWNS", "30")))
        print(f"spawn to exit: {ours / theirs:.2f} times subprocess.run ({ours * 1000:.1f} ms, {theirs * 1000:.1f} ms)")

        pour = [sys.executable, "-c", POUR.format(SIZE // 65536)]

        def poured() -> None:
            assert len(start(pour, stdin=DEVNULL, stdout=PIPE, stderr=DEVNULL).stdout) == SIZE

        def popen_poured() -> None:
            done = subprocess.run(pour, stdin=DEVNULL, stdout=PIPE, stderr=DEVNULL, check=True)
            assert len(done.stdout) == SIZE

        ours, theirs = in_turns(poured, popen_poured, 3)
        print(
            f"pipe, {SIZE >> 20} MiB: {theirs / ours:.2f} times subprocess.run's throughput "
            f"({SIZE / ours / 2**20:.0f} MiB/s, {SIZE / theirs / 2**20:.0f} MiB/s)"
        )
    return 0


def _spawned(
    host: Host, token: Handle, args: list[str], environment: dict[str, str], cwd: str, streams: dict[str, Any]
) -> Any:
    return spawn(host, token, args, environment=environment, cwd=cwd, limits=Limits(), **streams)


if __name__ == "__main__":
    raise SystemExit(main())
