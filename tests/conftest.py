"""How every test runs: hypothesis' profiles, and skipping by capability (see capabilities.py).

``HYPOTHESIS_PROFILE`` chooses the profile: ``ci`` (the default), ``wine`` (few examples, for the slow run in Windows'
Python) or ``deep`` (the full counts). All three are derandomized: the same checkout tries the same examples everywhere,
so a failure on one machine is a failure on the next.
"""

from __future__ import annotations

import os
import sys

import hypothesis
import pytest

from tests import capabilities
from tests.security import oracle

for _name, _examples in (("ci", 100), ("wine", 10), ("deep", 5000)):
    hypothesis.settings.register_profile(
        _name,
        max_examples=_examples,
        derandomize=True,
        database=None,
        deadline=None,  # CI's machines are slow and shared: time says nothing about correctness
        suppress_health_check=[hypothesis.HealthCheck.too_slow],
    )
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


def pytest_report_header() -> str:
    wine = capabilities.wine_version()
    return f"python: {sys.version.split()[0]} on {sys.platform}" + (f", Wine {wine}" if wine else "")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What was compared with other implementations: how many cases were left, and what was excused."""
    if oracle.REPORT:
        terminalreporter.section("compared with other implementations")
        for line in oracle.REPORT:
            terminalreporter.write_line(line)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # Last, so that nothing is probed for tests that were deselected.
    for item in items:
        reason = capabilities.missing(*(name for mark in item.iter_markers("needs") for name in mark.args))
        if reason is not None:
            item.add_marker(pytest.mark.skip(reason=reason))
