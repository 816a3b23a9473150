"""The README's test of a policy, as it is printed there, is run: a newcomer has nothing else to go by."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

README = Path(__file__).resolve().parents[2] / "README.md"


def example() -> dict[str, object]:
    blocks = re.findall(r"```python\n(.*?)```", README.read_text("utf-8"), re.DOTALL)
    (block,) = [block for block in blocks if "def test_" in block]
    names: dict[str, object] = {}
    exec(block, names)  # the project's own README
    return names


@pytest.mark.parametrize("name", ["test_hooks_are_closed_and_sources_open", "test_it_really_happens_so"])
def test_the_example_passes(name: str) -> None:
    test = example()[name]
    assert callable(test)
    test()
