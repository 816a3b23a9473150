"""The README's test of a policy, as it is printed there, is run: a newcomer has nothing else to go by."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from winsandbox.testing import SimulatedHost, SimulatedProcess

README = Path(__file__).resolve().parents[2] / "README.md"


def example() -> dict[str, object]:
    blocks = re.findall(r"```python\n(.*?)```", README.read_text("utf-8"), re.DOTALL)
    (block,) = [block for block in blocks if "def test_" in block]
    names: dict[str, object] = {}
    exec(block, names)  # the project's own README
    return names


def test_the_table_of_the_simulation_names_what_there_is() -> None:
    _, table = README.read_text("utf-8").split("<!-- simulation table: begin -->")
    rows = [line.split("|")[2:4] for line in table.split("<!--")[0].strip().splitlines()[2:]]
    said = [set(re.findall(r"`([a-z_]+)`", " ".join(column))) for column in zip(*rows, strict=True)]
    with SimulatedHost() as host:
        seen: list[SimulatedProcess] = []
        host.run_program(seen.append)
        for words, thing in zip(said, (host, seen[0]), strict=True):
            missing = {word for word in words - {"mkdir", "winerror"} if not hasattr(thing, word)}
            assert missing == set()
            assert len(words) > 25


@pytest.mark.parametrize("name", ["test_hooks_are_closed_and_sources_open", "test_it_really_happens_so"])
def test_the_example_passes(name: str) -> None:
    test = example()[name]
    assert callable(test)
    test()
