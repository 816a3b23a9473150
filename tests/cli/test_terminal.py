"""Long ACL work as it is shown: a bar that is written over on a terminal, lines elsewhere, one warning for many."""

from __future__ import annotations

import io

import pytest

from winsandbox._terminal import GIVING, GIVING_FOR_ONE, LOOKING, MANY, TAKING, ProgressLine, fitted


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_on_a_terminal_one_line_is_written_over_and_gone_at_the_end() -> None:
    stream = Terminal()
    with ProgressLine(stream) as progress:
        progress(50, 200, r"C:\src\project\a.py", 0.5)
        progress(100, 200, r"C:\b", 1.0)
    first, second, wiped = stream.getvalue().split("\r")[1:4]
    assert " 25 % 50 objects" in first
    assert first.endswith("a.py")
    assert " 50 % 100 objects" in second
    assert len(second) >= len(first), "what was there before is written over"
    assert not wiped.strip()
    assert "\n" not in stream.getvalue()


def test_without_a_total_there_is_no_percentage() -> None:
    stream = Terminal()
    ProgressLine(stream)(50, None, "x", 0.5)
    assert "%" not in stream.getvalue()
    assert "50 objects" in stream.getvalue()


def test_elsewhere_a_line_comes_every_five_seconds() -> None:
    stream = io.StringIO()
    with ProgressLine(stream) as progress:
        for second in range(12):
            progress(second * 10, 1000, "x", float(second))
    assert stream.getvalue().splitlines() == [
        "winsandbox: 50 of about 1000 objects, 5 s",
        "winsandbox: 100 of about 1000 objects, 10 s",
    ]


def test_a_great_many_objects_are_announced_once() -> None:
    stream = io.StringIO()
    with ProgressLine(stream) as progress:
        progress(1, MANY, "x", 0.1)
        assert stream.getvalue() == ""
        progress(2, MANY + 1, "x", 0.2)
        progress(3, MANY + 1, "x", 0.3)
    assert stream.getvalue().count(f"more than {MANY} objects") == 1


@pytest.mark.parametrize(
    ("doing", "says"),
    [
        (GIVING, "kept for later runs"),
        (GIVING_FOR_ONE, "taken away"),
        (TAKING, "goes on"),
        (LOOKING, "nothing is changed"),
    ],
)
def test_it_says_what_is_being_done(doing: str, says: str) -> None:
    stream = io.StringIO()
    with ProgressLine(stream, doing) as progress:
        progress(1, MANY + 1, "x", 0.1)
    assert says in stream.getvalue()
    assert str(MANY) in stream.getvalue()


def test_a_total_that_only_grows_with_what_is_seen_is_no_share() -> None:
    stream = Terminal()
    with ProgressLine(stream) as progress:
        for done in range(10, 100, 10):
            progress(done, done + 3, "x", 0.5)
    assert "%" not in stream.getvalue()
    assert "#" not in stream.getvalue()


def test_a_known_total_stays_one_to_the_end() -> None:
    stream = Terminal()
    with ProgressLine(stream) as progress:
        for done in range(10, 101, 10):
            progress(done, 100, "x", 0.5)
    assert "] 100 % 100 objects" in stream.getvalue()
    assert stream.getvalue().count("%") == 10


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_no_line_is_longer_than_the_terminal(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    stream = Terminal()
    with ProgressLine(stream) as progress:
        for done in (1, 10_000, 19_000):
            progress(done, MANY, "C:\\" + "long\\" * 50 + "name.py", 100.0)
    lines = stream.getvalue().split("\r")
    assert max(map(len, lines)) < max(columns, 64), "a bar and its numbers need about 60"
    assert ("name.py" in stream.getvalue()) == (columns > 70)


TABLE = "\n".join(
    (
        "on a host:",
        "  network           advisory  (documented) " + "word " * 20 + "end",
        "                    except:   " + "another " * 12 + "end",
        "writable root C:\\" + "long name " * 12,
    )
)


def test_a_table_is_broken_to_a_terminals_width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    lines = fitted(TABLE, Terminal()).split("\n")
    assert lines[0] == "on a host:"
    assert lines[-1] == TABLE.split("\n")[-1], "a path is not broken"
    assert max(map(len, lines[:-1])) < 80
    assert all(line.startswith(" " * 30) for line in lines[2:-1] if "except:" not in line)
    assert " ".join(" ".join(lines).split()) == " ".join(TABLE.split())


def test_elsewhere_a_table_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert fitted(TABLE, io.StringIO()) == TABLE
    assert fitted(TABLE, None) == TABLE
    monkeypatch.setenv("COLUMNS", "30")
    assert fitted(TABLE, Terminal()) == TABLE, "there is no room for columns"
