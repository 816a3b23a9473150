"""Runs the benchmarks and prints their figures: ``python tests/bench/run.py [NAME]...``, all of them by default.

A benchmark is a script ``bench_NAME.py`` here that prints its report. Every figure is a ratio to something measured in
the same run, taken in turns, because seconds of one machine say nothing about another.
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main(names: list[str]) -> int:
    known = {path.stem.removeprefix("bench_"): path for path in sorted(HERE.glob("bench_*.py"))}
    unknown = sorted(set(names) - set(known))
    if unknown:
        print(f"no benchmark {', '.join(unknown)}; there are {', '.join(known)}", file=sys.stderr)
        return 2
    for name in names or known:
        print(f"== {name}", flush=True)
        runpy.run_path(str(known[name]), run_name="__main__")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
