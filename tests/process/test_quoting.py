"""Command lines: what Windows' and cmd.exe's readers make of them is what was meant, or they are refused."""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from winsandbox._resolve import MAX_CMD_LINE, MAX_COMMAND_LINE, command_line
from winsandbox.errors import CommandRefused, SpawnError

PROGRAM = "C:\\Program Files\\x\\tool.exe"
SCRIPT = "C:\\tools (x86)\\a&b\\npm.cmd"

# Dense in what matters: quotes, backslashes, separators, cmd's own characters.
text = st.text(st.sampled_from('ab\\\\\\"""  \t\n\r\'%^&|<>()!=,;@/-.é𝄞\u00a0'), max_size=12) | st.text(
    st.characters(exclude_characters="\0"), max_size=12
)


def read_by_windows(line: str) -> list[str]:
    """CommandLineToArgvW, from its description: a program name without escapes, then 2n and 2n+1 backslashes."""
    if line.startswith('"'):
        end = line.index('"', 1)
        first, rest = line[1:end], line[end + 1 :]
    else:
        end = next((at for at, char in enumerate(line) if char in " \t"), len(line))
        first, rest = line[:end], line[end:]
    words, word, quoted, begun, slashes = [first], "", False, False, 0
    position = 0
    while position < len(rest):
        char = rest[position]
        position += 1
        if char == "\\":
            slashes, begun = slashes + 1, True
        elif char == '"':
            word += "\\" * (slashes // 2)
            begun = True
            if slashes % 2:
                word += '"'
            elif quoted and rest[position : position + 1] == '"':
                word += '"'  # two quotes within quotes: one, and the quotes go on
                position += 1
            else:
                quoted = not quoted
            slashes = 0
        else:
            word += "\\" * slashes
            slashes = 0
            if char in " \t" and not quoted:
                if begun:
                    words.append(word)
                word, begun = "", False
            else:
                word, begun = word + char, True
    word += "\\" * slashes
    return [*words, word] if begun else words


@given(st.lists(text, max_size=5))
@example(["", "a b", 'say "hi"', "C:\\dir\\", "C:\\a b\\", '\\\\"', "line\nend\\", "\t", "\\\\\\"])
def test_what_windows_reads_back_is_what_was_given(arguments: list[str]) -> None:
    assert read_by_windows(command_line(PROGRAM, arguments)) == [PROGRAM, *arguments]


@given(st.lists(text, max_size=5))
def test_it_is_what_subprocess_writes_but_for_line_ends(arguments: list[str]) -> None:
    plain = [word for word in arguments if not set(word) & set("\n\r\v\f")]
    assert command_line("C:\\x.exe", plain) == subprocess.list2cmdline(["C:\\x.exe", *plain])


@pytest.mark.parametrize("word", ["a\nb", "\n", "a\r\nb\\"])
def test_a_line_end_is_between_quotes(word: str) -> None:
    assert command_line("C:\\x.exe", [word]).startswith('C:\\x.exe "')


def test_nul_is_refused() -> None:
    with pytest.raises(ValueError, match="NUL"):
        command_line(PROGRAM, ["a\0b"])


def test_the_longest_line_is_windows_own() -> None:
    room = MAX_COMMAND_LINE - len("C:\\x.exe ")
    assert len(command_line("C:\\x.exe", ["a" * room])) == MAX_COMMAND_LINE == 32766
    with pytest.raises(SpawnError, match="32,767 characters; Windows takes 32,766") as caught:
        command_line("C:\\x.exe", ["a" * (room + 1)])
    assert caught.value.winerror == 206
    assert "file or standard input" in caught.value.remedy
    with pytest.raises(SpawnError):  # characters beyond the BMP count twice
        command_line("C:\\x.exe", ["𝄞" * (room // 2 + 1)])


def test_the_longest_line_for_a_batch_file_is_cmds() -> None:
    room = MAX_CMD_LINE - len(command_line("C:\\x.cmd", ["a"])) + 1
    assert len(command_line("C:\\x.cmd", ["a" * room])) == MAX_CMD_LINE
    with pytest.raises(SpawnError, match=r"cmd\.exe takes 8,191"):
        command_line("C:\\x.cmd", ["a" * (room + 1)])


# --- a line for the shell ---------------------------------------------------------------------------------------------

CMD = "C:\\Windows\\System32\\cmd.exe"


@given(text.filter(lambda line: "\0" not in line))
@example('echo "a b" & echo c')
def test_a_line_for_cmd_is_passed_on_as_it_is(line: str) -> None:
    assert command_line(CMD, ["/c", line]) == f'cmd.exe /c "{line}"'
    assert command_line(CMD.upper(), ["/D", "/V:off", "/K", line]) == f'cmd.exe /D /V:off /K "{line}"'


@pytest.mark.parametrize(
    ("application", "arguments"),
    [
        (CMD, ["/c", "a b", "c"]),
        (CMD, ["a b", "/c", "c d"]),
        (CMD, ["/c"]),
        (CMD, ["/d", "a b"]),
        (CMD, ["/c", "/c", "a b"]),
        ("C:\\tools\\cmd.exe", ["/c", "a b"]),
        ("C:\\Windows\\System32\\tool.exe", ["/c", "a b"]),
    ],
)
def test_what_is_no_such_line_is_quoted_as_ever(application: str, arguments: list[str]) -> None:
    assert read_by_windows(command_line(application, arguments)) == [application, *arguments]


def test_the_longest_line_for_the_shell_is_cmds() -> None:
    with pytest.raises(SpawnError, match=r"cmd\.exe takes 8,191"):
        command_line(CMD, ["/c", "a" * MAX_CMD_LINE])


# --- cmd.exe ---------------------------------------------------------------------------------------------------------


class Injected(Exception):
    """cmd.exe would have read more than one plain command."""


def read_by_cmd(line: str, variables: dict[str, str]) -> tuple[str, list[str]]:
    """A model of what cmd.exe does with the line: (batch file, its %1 to %n with their quotes).

    In cmd's order: the switches; for /s the outermost quotes; %NAME%; the end at a line end; then the characters, of
    which ``& | < > ( ) ^`` are special outside of quotes; last the splitting into arguments at blanks, tabs, and = , ;.
    """
    head = "cmd.exe /d /v:off /s /c "
    assert line.startswith(head)
    command = line.removeprefix(head)
    assert command.startswith('"')
    assert command.endswith('"')
    command = command[1:-1]
    command = expanded(command, variables)
    for end in "\n\r\0\x1a":
        command = command.split(end)[0]
    quoted, words, word, begun = False, [], "", False
    for char in command:
        if char == '"':
            quoted = not quoted
        elif not quoted and char in "&|<>()^":
            raise Injected(char)
        if not quoted and char in " \t=,;\v\f\xa0\xff":
            if begun:
                words.append(word)
            word, begun = "", False
        else:
            word, begun = word + char, True
    if begun:
        words.append(word)
    return words[0].strip('"'), words[1:]


def expanded(command: str, variables: dict[str, str]) -> str:
    result, rest = "", command
    while "%" in rest:
        before, _, after = rest.partition("%")
        name, sign, tail = after.partition("%")
        if sign and name.partition(":")[0].upper() in variables:
            result, rest = result + before + variables[name.partition(":")[0].upper()], tail
        else:
            result, rest = result + before + "%", after
    return result + rest


VARIABLES = {"A": '" & calc & "', "B": "x", "AB": "&calc", "CD": "C:\\work"}


@given(st.lists(text, max_size=5))
@example(['" & calc & "'])
@example(["%CD:~,1%"])
@example(["%A%"])
@example(["a\r\ncalc"])
@example(["C:\\dir\\"])
@example(["foo@^1.2.3", "a&b", "(x)", "<y>", "", "=", ",", "!PATH!"])
def test_a_batch_file_gets_what_was_given_or_is_not_started(arguments: list[str]) -> None:
    try:
        line = command_line(SCRIPT, arguments)
    except CommandRefused:
        dangerous = [a for a in arguments if set(a) & set('"%\r\n') or a.endswith("\\") or any(c < " " for c in a)]
        assert dangerous or any("\x7f" in a for a in arguments)
        return
    script, received = read_by_cmd(line, VARIABLES)
    assert script == SCRIPT
    # %~1 takes the quotes off; a program that the batch file starts with %* reads the words by Windows' rules.
    assert [word.strip('"') for word in received] == arguments
    assert read_by_windows("x.exe " + " ".join(received))[1:] == arguments


@pytest.mark.parametrize(
    "argument", ['"', 'a"b', "%PATH%", "100%", "a\nb", "a\rb", "\x1a", "\x08", "dir\\", "a b\\", "\x7f"]
)
def test_what_cmd_could_misread_is_refused_with_a_remedy(argument: str) -> None:
    with pytest.raises(CommandRefused, match="batch file") as caught:
        command_line(SCRIPT, ["fine", argument])
    assert caught.value.code == "command.batch-argument"
    assert "Start the program" in caught.value.remedy
    command_line(PROGRAM, ["fine", argument])  # the twin: a program gets it


@pytest.mark.parametrize("path", ["C:\\100%\\x.bat", "C:\\%PATH%\\x.cmd"])
def test_a_batch_file_whose_path_cmd_would_change_is_refused(path: str) -> None:
    with pytest.raises(CommandRefused, match="its path"):
        command_line(path, [])


def test_the_model_of_cmd_sees_an_injection() -> None:
    head = "cmd.exe /d /v:off /s /c "
    with pytest.raises(Injected):
        read_by_cmd(f'{head}""C:\\x.cmd" a & calc"', VARIABLES)
    with pytest.raises(Injected):
        read_by_cmd(f'{head}""C:\\x.cmd" "%A%""', VARIABLES)
