"""Prints what the proofs with real programs have seen, and writes it down when it is asked to.

``WINSANDBOX_NETWORK_RECORD=1 pytest tests/network/test_real_tools.py`` rewrites winsandbox/_network_tested.py: the rows
that this run has seen to work are replaced, the others stay as they are. It is asked for by hand, after a look at the
results; no ordinary run changes the tracked file.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import ModuleType

import pytest

from winsandbox import _network_tested

HEAD = '''"""Which programs were seen to give up under the shim (on Linux): read by :mod:`.network`.

Written by the tests: row of the table -> programs and versions. A row that is not here is untested.
"""

from __future__ import annotations

__all__ = ["TESTED"]

TESTED: dict[str, str] = {
'''


def _proofs() -> ModuleType | None:
    return next((module for name, module in sys.modules.items() if name.endswith("test_real_tools")), None)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Which tools with which versions this run has seen to give up, and which were not there to be seen."""
    module = _proofs()
    if module is None or not (module.FOUND or module.MISSING):
        return
    terminalreporter.section("tools under the network shim")
    for row, programs in sorted(module.FOUND.items()):
        seen = ", ".join(sorted(programs))
        recorded = _network_tested.TESTED.get(row, "nothing")
        terminalreporter.line(f"{row}: gave up: {seen}" + ("" if seen == recorded else f" [on record: {recorded}]"))
    for row, programs in sorted(module.MISSING.items()):
        terminalreporter.line(f"{row}: not installed here: {', '.join(sorted(programs))}")


def pytest_sessionfinish(session: pytest.Session) -> None:
    module = _proofs()
    if os.environ.get("WINSANDBOX_NETWORK_RECORD") != "1" or module is None or session.testsfailed:
        return
    tested = dict(_network_tested.TESTED)
    for row, programs in module.FOUND.items():
        tested[row] = ", ".join(sorted(programs))
    lines = "".join(f'    "{row}": "{text}",\n' for row, text in sorted(tested.items()))
    Path(_network_tested.__file__).resolve().write_text(HEAD + lines + "}\n", "utf-8")
