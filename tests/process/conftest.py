"""Fixtures: a simulated launcher, and each launcher that this machine has."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.capabilities import needs
from tests.process.launchers import Launcher, Simulated, eventually, launcher


@pytest.fixture
def simulated() -> Iterator[Simulated]:
    """A launcher on a simulated host; what a test leaves behind is an error of that test."""
    with launcher("simulated") as made:
        assert isinstance(made, Simulated)
        yield made
        assert eventually(lambda: made.left() == []), made.left()


@pytest.fixture(
    params=["subprocess", "simulated", pytest.param("windows", marks=needs("windows"))],
)
def launch(request: pytest.FixtureRequest) -> Iterator[Launcher]:
    """Each way to start a program."""
    with launcher(request.param) as made:
        yield made
        if isinstance(made, Simulated):
            assert eventually(lambda: made.left() == []), made.left()
