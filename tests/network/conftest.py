"""Writes down what the proofs with real programs have seen, when it is asked to.

``WINSANDBOX_NETWORK_RECORD=1 pytest tests/network/test_real_tools.py`` rewrites winsandbox/_network_tested.py: the rows
that this run has seen to work are replaced, the others stay as they are. It is asked for by hand, after a look at the
results; no ordinary run changes the tracked file.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from winsandbox import _network_tested

HEAD = '''"""Which programs were seen to give up under the shim (on Linux): read by :mod:`.network`.

Written by the tests: row of the table -> programs and versions. A row that is not here is untested.
"""

from __future__ import annotations

__all__ = ["TESTED"]

TESTED: dict[str, str] = {
'''


def pytest_sessionfinish(session: pytest.Session) -> None:
    module = next((m for name, m in sys.modules.items() if name.endswith("test_real_tools")), None)
    if os.environ.get("WINSANDBOX_NETWORK_RECORD") != "1" or module is None or session.testsfailed:
        return
    tested = dict(_network_tested.TESTED)
    for row, programs in module.FOUND.items():
        tested[row] = ", ".join(sorted(programs))
    lines = "".join(f'    "{row}": "{text}",\n' for row, text in sorted(tested.items()))
    Path(_network_tested.__file__).resolve().write_text(HEAD + lines + "}\n", "utf-8")
