"""What ``import winsandbox`` costs, against what a program that starts processes has imported anyway.

    python tests/bench/bench_import.py

Each sample is a fresh interpreter (-I, bytecode already written) that times the one import statement from inside, so
that neither the start of Python nor this machine's process creation is in it. The two are taken in turns, so that
whatever slows the machine down for a while slows both.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

LIMIT = 1.25  # of the baseline
OURS = "import winsandbox"
BASELINE = "import subprocess, dataclasses, enum, typing"

_TIMER = """
import sys
from time import perf_counter
sys.path.insert(0, {root!r})
began = perf_counter()
{statement}
print(perf_counter() - began)
"""


def sample(statement: str) -> float:
    """Seconds that *statement* takes in an interpreter that has run nothing else."""
    code = _TIMER.format(root=str(ROOT), statement=statement)
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    return float(done.stdout)


def ratio(samples: int = 41) -> float:
    """The median cost of ``import winsandbox``, divided by the median cost of the baseline."""
    ours, baseline = [], []
    sample(OURS), sample(BASELINE)  # writes the bytecode
    for _ in range(samples):
        ours.append(sample(OURS))
        baseline.append(sample(BASELINE))
    return statistics.median(ours) / statistics.median(baseline)


if __name__ == "__main__":
    print(f"{OURS}: {ratio():.2f} times {BASELINE} (limit {LIMIT})")
