"""What a child inherits, and how names are put together."""

from __future__ import annotations

import ntpath
import pickle
import struct
from pathlib import Path
from typing import Any

import pytest

from winsandbox.environment import ALWAYS, Environment, block, folded, merged
from winsandbox.errors import PolicyError

WINDOWS = {
    "SystemRoot": r"C:\Windows",
    "Path": r"C:\Windows\system32",
    "ComSpec": r"C:\Windows\system32\cmd.exe",
    "PROCESSOR_ARCHITECTURE": "AMD64",
    "ProgramFiles(x86)": r"C:\Program Files (x86)",
    "TEMP": r"C:\Users\me\AppData\Local\Temp",
    "TMP": r"C:\Users\me\AppData\Local\Temp",
    "GITHUB_TOKEN": "ghp",
    "MY_APP": "1",
}


def mistakes(call: Any, *args: Any, **kwargs: Any) -> list[tuple[str, str, str]]:
    with pytest.raises(PolicyError) as caught:
        call(*args, **kwargs)
    return [(mistake.path, mistake.code, str(mistake)) for mistake in caught.value.mistakes]


# merged and block


def test_the_later_spelling_and_value_win_in_the_earlier_place() -> None:
    result = merged({"Path": "a", "X": "1", "path": "b"}, {"PATH": "c", "x": None, "New": "n"})
    assert list(result.items()) == [("PATH", "c"), ("New", "n")]


def test_a_name_removed_and_given_again_is_there() -> None:
    assert merged({"A": "1"}, {"a": None, "A": "2"}) == {"A": "2"}


def test_the_arguments_are_left_alone() -> None:
    base = {"Path": "a"}
    merged(base, {"PATH": None})
    assert base == {"Path": "a"}


def test_block_sorts_by_upper_case_and_takes_the_hidden_names() -> None:
    # "_" stands between upper and lower case in ASCII: sorting by lower case would put it first.
    text = block({"a_": "1", "=C:": r"C:\src", "aB": "2", "Path": "x", "PATH": "y", "E": ""})
    assert text == "=C:=C:\\src\0aB=2\0a_=1\0E=\0PATH=y\0\0"


def test_an_empty_block_is_two_nuls() -> None:
    assert block({}) == "\0\0"


def test_block_sorts_by_utf16_code_units() -> None:
    # U+10000 is D800 DC00 for Windows and stands before U+FFFD; by code point it would stand behind.
    assert block({"\ufffd": "1", "\U00010000": "2"}) == "\U00010000=2\0\ufffd=1\0\0"


def test_block_refuses_every_bad_entry_at_once() -> None:
    found = mistakes(block, {"": "x", "A=B": "1", "=": "2", "C\0D": "3", "E": "4\0", "=D:": "D:\\", "OK": "="})
    assert [(path, code) for path, code, _ in found] == [
        ("env['']", "environment.name"),
        ("env['A=B']", "environment.name"),
        ("env['=']", "environment.name"),
        (r"env['C\x00D']", "environment.nul"),
        ("env['E']", "environment.nul"),
    ]
    assert found[1][2] == 'env[\'A=B\']: a name cannot hold "=". Only the value may hold "=".'
    assert found[4][2] == "env['E']: it holds a NUL, which would end the entry. Remove the NUL."


@pytest.mark.parametrize("wrong", [{"A": 1}, {b"A": "1"}, {"A": None}])
def test_block_refuses_what_is_no_string_as_popen_does(wrong: Any) -> None:
    with pytest.raises(TypeError, match="the environment can only contain strings"):
        block(wrong)


# folded


@pytest.mark.parametrize(
    ("text", "upper"),
    [("path", "PATH"), ("ä", "Ä"), ("ÿ", "Ÿ"), ("ᾳ", "ᾼ"), ("ß", "ß"), ("ı", "ı"), ("ſ", "ſ"), ("µ", "µ"), ("𐐨", "𐐨")],
)
def test_folded_is_windows_upper_case(text: str, upper: str) -> None:
    assert folded(text) == upper


def test_folded_equals_the_table_of_an_independent_implementation() -> None:
    table = Path("/usr/share/wine/nls/l_intl.nls")
    if not table.is_file():
        pytest.skip("no l_intl.nls of Wine here (Debian: libwine)")
    data = table.read_bytes()
    # Header, then the upper-case table: three levels of offsets (RtlUpcaseUnicodeChar).
    upper = struct.unpack(f"<{len(data) // 2}H", data)[2:]

    def upcase(code: int) -> int:
        return int(code + upper[upper[upper[code >> 8] + ((code >> 4) & 15)] + (code & 15)]) & 0xFFFF

    assert [hex(code) for code in range(0x10000) if ord(folded(chr(code))) != upcase(code)] == []


# Environment


def test_all_is_the_default_and_takes_everything() -> None:
    assert Environment().apply(WINDOWS) == WINDOWS


def test_core_takes_what_windows_programs_need_whatever_the_spelling() -> None:
    spelled = {name.lower(): value for name, value in WINDOWS.items()}
    for base in (WINDOWS, spelled):
        names = {name.upper() for name in Environment(inherit="core").apply(base)}
        assert names == {"SYSTEMROOT", "PATH", "COMSPEC", "PROCESSOR_ARCHITECTURE", "PROGRAMFILES(X86)"}


def test_core_leaves_temp_to_the_sandbox_and_holds_no_secret() -> None:
    assert not {"TEMP", "TMP", "TMPDIR"} & set(Environment.CORE)
    plain = [pattern for pattern in Environment.CORE if "*" not in pattern]
    kept = Environment(exclude=Environment.SECRETS).apply(dict.fromkeys(plain, "x"))
    assert list(kept) == plain


def test_none_takes_only_what_is_included_and_set() -> None:
    environment = Environment(inherit="none", include=("my_*", "PATH"), exclude=("*x*",), set={"A": "b"})
    assert environment.apply({**WINDOWS, "MY_X": "1"}) == {"Path": r"C:\Windows\system32", "MY_APP": "1", "A": "b"}


def test_exclude_beats_include_and_set_beats_exclude() -> None:
    environment = Environment(inherit="core", include=("A", "B"), exclude=("a", "B"), set={"b": "set"})
    assert environment.apply({"A": "1", "B": "2"}) == {"b": "set"}


@pytest.mark.parametrize(
    "name",
    [
        *("GITHUB_TOKEN", "gh_token", "NPM_TOKEN", "AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID", "AWS_SESSION_TOKEN"),
        *(
            "OPENAI_API_KEY",
            "ANTHROPIC_API_KEY",
            "APIKEY",
            "SSH_PRIVATE_KEY_FILE",
            "PGPASSWORD",
            "MYSQL_PWD",
            "DB_PASS",
        ),
        *("GOOGLE_APPLICATION_CREDENTIALS", "AZURE_CLIENT_SECRET", "GITLAB_PAT", "NPM_CONFIG__AUTH", "DATABASE_URL"),
        *("AZURE_STORAGE_CONNECTION_STRING", "SENTRY_DSN", "SIGNING_KEY", "SESSION_COOKIE", "JWT", "GPG_PASSPHRASE"),
    ],
)
def test_secrets_are_left_out(name: str) -> None:
    assert Environment(exclude=Environment.SECRETS).apply({name: "x", "PATH": "y"}) == {"PATH": "y"}


@pytest.mark.parametrize(
    "name",
    [
        "PATH",
        "PATHEXT",
        "KEYBOARD",
        "MONKEY",
        "OLDPWD",
        "PWD",
        "SSL_CERT_FILE",
        "COMPASS",
        "GIT_CONFIG_KEY_0",
        "AUTHOR",
    ],
)
def test_what_only_looks_like_a_secret_stays(name: str) -> None:
    assert Environment(exclude=Environment.SECRETS).apply({name: "x"}) == {name: "x"}


def test_caches_lie_below_the_directory_and_nothing_is_linked_out_of_them() -> None:
    found = Environment.caches(r"C:\private")
    assert found.pop("UV_LINK_MODE") == "copy"
    assert {"PIP_CACHE_DIR", "UV_CACHE_DIR", "NPM_CONFIG_CACHE", "GOCACHE"} <= set(found)
    assert {ntpath.dirname(path) for path in found.values()} == {r"C:\private"}
    assert len(set(found.values())) == len(found)


def test_what_every_child_gets_cannot_be_changed() -> None:
    assert dict(ALWAYS) == {"NoDefaultCurrentDirectoryInExePath": "1"}
    with pytest.raises(TypeError):
        ALWAYS["X"] = "1"  # type: ignore[index]


def test_an_environment_cannot_be_changed_through_what_it_was_made_from() -> None:
    given = {"A": "1"}
    environment = Environment(set=given)
    given["A"] = "2"
    assert environment.set["A"] == "1"
    assert hash(environment) == hash(pickle.loads(pickle.dumps(environment)))
    one, other = Environment(set={"A": "1", "B": "2"}), Environment(set={"B": "2", "A": "1"})
    assert (one, hash(one)) == (other, hash(other))
    with pytest.raises(TypeError):
        environment.set["A"] = "2"  # type: ignore[index]


def test_the_repr_shows_names_but_no_value_that_was_set() -> None:
    text = repr(Environment(set={"API_TOKEN": "hush"}))
    assert "API_TOKEN" in text
    assert "hush" not in text


def test_every_mistake_of_an_environment_is_reported_with_its_message() -> None:
    wrong: dict[str, Any] = {
        "inherit": "cor",
        "include": "PATH",
        "exclude": ["", "A=*", 3],
        "set": {"a": "1", "A": "2", "B": 3, "C=": "x", "D": "\0", "E": "\ud800"},
        "redirect_caches": 1,
        "exlude": [],
    }
    found = mistakes(Environment.from_dict, wrong)
    assert [(path, code) for path, code, _ in found] == [
        ("environment.exlude", "key"),
        ("environment.inherit", "choice"),
        ("environment.include", "type"),
        ("environment.exclude", "type"),
        ("environment.exclude['']", "environment.pattern"),
        ("environment.exclude['A=*']", "environment.pattern"),
        ("environment.set['A']", "environment.duplicate"),
        ("environment.set['B']", "type"),
        ("environment.set['C=']", "environment.name"),
        ("environment.set['D']", "environment.nul"),
        ("environment.set['E']", "environment.text"),
        ("environment.redirect_caches", "type"),
    ]
    assert found[0][2].startswith('environment.exlude: there is no such key; did you mean "exclude"? Known: inherit, ')
    assert found[1][2] == (
        'environment.inherit: \'cor\' is no choice; did you mean "core"? Give one of "all", "core", "none".'
    )
    assert found[2][2] == "environment.include: it is of the wrong type (str). Give a list of strings."
    assert "stands there twice, also as 'a'; Windows ignores case." in found[6][2]


def test_include_with_all_is_refused_since_it_would_do_nothing() -> None:
    ((path, code, text),) = mistakes(Environment, include=("A",))
    assert (path, code) == ("environment.include", "environment.include")
    assert 'Use inherit="core" or "none"' in text


@pytest.mark.parametrize("wrong", [None, 3, "core", ["core"], {1: 2}])
def test_an_environment_that_is_no_table_is_a_mistake(wrong: Any) -> None:
    assert {code for _, code, _ in mistakes(Environment.from_dict, wrong)} <= {"type", "key"}


@pytest.mark.parametrize("wrong", [None, 3, "A=1", [("A", "1")], {1: "2"}, {"A": 1}])
def test_variables_that_are_no_table_of_strings_are_a_mistake(wrong: Any) -> None:
    ((path, code, _),) = mistakes(Environment, set=wrong)
    assert code == "type"
    assert path.startswith("environment.set")
