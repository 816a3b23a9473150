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
    if not README.exists():
        pytest.skip("there is no README here: this is a vendored copy")
    assert_holds_the_table(README.read_text("utf-8"))


def assert_holds_the_table(text: str) -> None:
    assert (text.count(BEGIN), text.count(END)) == (1, 1), "the README has lost the marks of its network table"
    between = text.split(BEGIN, 1)[1].split(END, 1)[0]
    assert between.strip() == table().strip(), "run: python -m tests.network.table"


@pytest.mark.parametrize("text", ["", BEGIN, END, f"{END}{BEGIN}", f"{BEGIN}\nold\n{END}", f"{BEGIN}{END}" * 2])
def test_a_readme_without_marks_or_with_another_table_fails(text: str) -> None:
    assert_holds_the_table(f"# x\n{BEGIN}\n{table()}{END}\n")
    with pytest.raises(AssertionError):
        assert_holds_the_table(text)
