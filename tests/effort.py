"""How much a test repeats, by the profile of the run (see conftest.py)."""

from __future__ import annotations

import os
from typing import Final

_PROFILE: Final = os.environ.get("HYPOTHESIS_PROFILE", "ci")
DEEP: Final = _PROFILE == "deep"
IN_WINE: Final = _PROFILE == "wine"


def every(steps: range, *, quick: int = 1) -> range:
    """All of `steps`; each `quick`-th one but in the deep run; in Wine each seventh.

    What is repeated on the simulated host is the same Python on every OS, and is done in full on Linux in the same CI
    run. Seven, and no divisor of what a scenario repeats: then it would be the same step of each round.
    """
    stride = 1 if DEEP else 7 if IN_WINE else quick
    return steps[::stride]
