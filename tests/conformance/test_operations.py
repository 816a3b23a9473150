"""The language of operations: what is read back, what is refused and how it is said; and the programs that speak it."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.capabilities import needs
from winsandbox._operations import VERBS, Operation, parse, parse_line
from winsandbox._perform import BATCH, BATCH_VERBS, CODES, PYTHON, PYTHON_VERBS, variables
from winsandbox.errors import Mistake, PolicyError, ScriptError

# What a name on Windows cannot hold: a quote, a line end; and NUL, which no text file should.
_NAME = st.text(st.characters(blacklist_characters='"\0', blacklist_categories=["Cs", "Cc", "Zl", "Zp"]), min_size=1)
_PATHS = [name for name, verb in VERBS.items() if verb.parameters and verb.check(("x", "x")) == ""]


@given(st.sampled_from(_PATHS), st.data())
def test_round_trip_of_operations_through_their_text(verb: str, data: st.DataObject) -> None:
    arguments = tuple(data.draw(_NAME) for _ in VERBS[verb].parameters)
    operation = Operation(verb, arguments)
    assert parse_line(str(operation)) == operation
    assert parse(f"\n  {operation}  # what for\n") == (Operation(verb, arguments, 2),)


def _mistakes(text: str) -> list[Mistake]:
    try:
        operations = parse(text)
    except ScriptError as error:
        return list(error.mistakes)
    lines = [operation.line for operation in operations]
    return [] if lines == sorted(set(lines)) else [Mistake("order", "", "")]


@given(st.text(st.sampled_from('write delete.git\\config"# \t\n%x0')) | st.text())
def test_any_text_is_read_or_refused_with_a_place(text: str) -> None:
    for mistake in _mistakes(text):
        assert re.match(r"line \d+, column \d+$", mistake.path)
        assert mistake.remedy


@pytest.mark.parametrize(
    ("line", "place", "reason", "remedy"),
    [
        ("wrte a", "line 1, column 1", "no operation 'wrte'", "write FILE"),
        ("  Delete a", "line 1, column 3", "no operation 'Delete'", "delete FILE"),
        ("write", "line 1, column 6", "takes 1 argument, not 0", "write FILE"),
        ("rename a", "line 1, column 9", "takes 2 arguments, not 1", "rename FROM TO"),
        ("write a b", "line 1, column 9", "takes 1 argument, not 2", "quote names"),
        ('write "a b', "line 1, column 7", "a quote without its end", '"a name with spaces"'),
        ('write ""', "line 1, column 7", "an empty name", "write the name"),
        ("connect host 70000", "line 1, column 9", "'70000' is no whole number", "connect HOST PORT"),
        ("connect host ²", "line 1, column 9", "is no whole number", "connect HOST PORT"),
        ("http ftp://x", "line 1, column 6", "no http or https URL", "http URL"),
        ("process everything", "line 1, column 9", "is none of", "process RIGHT"),
        ("xyzzy", "line 1, column 1", "no operation 'xyzzy'", "There are: write"),
        ("write a\0b", "line 1, column 7", "a NUL character", ""),
    ],
)
def test_a_mistake_names_its_place_and_what_was_meant(line: str, place: str, reason: str, remedy: str) -> None:
    with pytest.raises(ScriptError) as caught:
        parse(line)
    (mistake,) = caught.value.mistakes
    assert mistake.path == place
    assert reason in mistake.reason
    assert remedy in mistake.remedy


def test_every_mistake_of_a_script_is_reported_at_once() -> None:
    with pytest.raises(PolicyError) as caught:
        parse("wrte a\nwrite ok\n# nothing\nmkdirr b\n")
    assert [mistake.path for mistake in caught.value.mistakes] == ["line 1, column 1", "line 4, column 1"]
    assert str(caught.value).startswith("the script has 2 mistakes:")


def test_comments_and_a_byte_order_mark_do_not_count_and_a_hash_in_a_name_does() -> None:
    assert parse('\ufeff# one\nwrite a#b # two\n\nwrite "#c"\n') == (
        Operation("write", ("a#b",), 2),
        Operation("write", ("#c",), 4),
    )


def test_variables_are_expanded_without_case_and_unknown_ones_stay() -> None:
    operation = parse_line(r"rename %temp%\a %OTHER%\b").expanded({"TEMP": r"C:\T", "X": "no"})
    assert operation.arguments == (r"C:\T\a", r"%OTHER%\b")


# -- the programs


def _blocks() -> dict[str, str]:
    found = {}
    for block in re.split(r"^:", BATCH.replace("\r\n", "\n"), flags=re.MULTILINE)[1:]:
        name, _, body = block.partition("\n")
        found[name] = body
    return found


def test_the_batch_file_has_a_block_for_each_of_its_operations_and_none_runs_on() -> None:
    blocks = _blocks()
    # One that no script can say takes back what "registry-set" leaves where it gets through.
    assert set(blocks) == BATCH_VERBS | {"registry-unset"}
    assert BATCH.startswith("@echo off\r\ngoto %1\r\n:")
    codes = {str(code) for code in CODES}
    for name, body in blocks.items():
        last = body.strip().splitlines()[-1].split()
        assert last[0] == "exit", name
        assert last[1] in codes, name
        assert "exit 70" in body, name
        assert "exit 77" in body, name


def test_the_batch_file_is_ascii_with_windows_line_ends() -> None:
    assert BATCH.isascii()
    assert BATCH.count("\n") == BATCH.count("\r\n")


def test_every_operation_has_a_program_on_windows_but_waiting() -> None:
    assert set(VERBS) - {"sleep"} == BATCH_VERBS | PYTHON_VERBS
    assert not BATCH_VERBS & PYTHON_VERBS
    compile(PYTHON, "operation", "exec")
    for verb in PYTHON_VERBS:
        assert f'"{verb}"' in PYTHON


def _batch(directory: Path, operation: Operation, before: str) -> int:
    """The exit code of the batch file, as a real cmd.exe gives it, after the line `before`."""
    (directory / "operation.cmd").write_bytes(BATCH.encode("ascii"))
    (directory / "first.cmd").write_bytes(f'@{before}\r\n@"{directory}\\operation.cmd" %1\r\n'.encode())
    return subprocess.run(
        f'"{os.environ["COMSPEC"]}" /d /v:off /s /c ""{directory}\\first.cmd" {operation.verb}"',
        env={**os.environ, **variables(operation, text="x", host=0)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        check=False,
    ).returncode


@needs("windows")
@pytest.mark.parametrize("line", ["open-up operation.cmd", r"registry-read HKCU\Software", r"registry-set HKCU\X x"])
def test_a_tool_that_does_not_start_has_been_refused_nothing(line: str, tmp_path: Path) -> None:
    operation = parse_line(line)
    if operation.verb == "open-up":
        operation = Operation("open-up", (str(tmp_path / "operation.cmd"),))
    assert _batch(tmp_path, operation, r"set SystemRoot=C:\nowhere") == 78
    if operation.verb != "registry-set":  # nothing is left behind
        assert _batch(tmp_path, operation, "rem") in (70, 78)  # 78: Wine's icacls does nothing, or is none


@needs("windows")
def test_processes_that_do_not_start_are_no_limit(tmp_path: Path) -> None:
    operation = parse_line("spawn 3")
    assert _batch(tmp_path, operation, "rem") == 70
