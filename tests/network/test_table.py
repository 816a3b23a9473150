"""The README's table of tools says what the code does."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.network.table import BEGIN, END, table
from winsandbox._network_table import ROWS

README = Path(__file__).resolve().parents[2] / "README.md"


def test_the_table_has_a_line_for_each_row_and_no_broken_cell() -> None:
    lines = table().splitlines()
    assert len(lines) == len(ROWS) + 2
    assert {line.count("|") for line in lines} == {5}
    assert "block" not in table().lower()
    assert all(tool in table() for tool in ("untested", "`GIT_ALLOW_PROTOCOL`", "raw sockets"))


def test_the_readme_holds_the_table_that_the_code_gives() -> None:
    text = README.read_text("utf-8") if README.exists() else ""
    if BEGIN not in text:
        pytest.skip("README.md has no network table yet")
    between = text.split(BEGIN, 1)[1].split(END, 1)[0]
    assert between.strip() == table().strip(), "run: python -m tests.network.table"
