"""What paths a policy refuses, with the message that the user sees, and what it accepts."""

from __future__ import annotations

from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import pytest

from winsandbox.errors import PolicyError
from winsandbox.policy import (
    REFUSALS,
    Places,
    Policy,
    disjoint_roots,
    is_at_or_below,
    is_below,
    normal,
    root_mistakes,
)

# Each path with the one code that it gets.
REFUSED_ROOTS = {
    "empty": [""],
    "relative": ["project", r"src\project", ".", "..", "~", r"~\src", "foo:bar", "é:\\x", "1:\\x", "%USERPROFILE%\\x"],
    "drive-relative": ["C:", "C:project", "c:.."],
    "no-drive": [r"\src", "\\"],
    "posix": ["/home/me/project", "/", "/c/src", "/mnt/c/src"],
    "unc": [r"\\server\share", r"\\server\share\x", "//server/share", r"\\?\UNC\server\share", r"\\wsl$\Debian\home"],
    "device": [
        *(r"\\.\C:\x", r"\\.\PhysicalDrive0", r"\\?\Volume{b75e2c83-0000-0000-0000-602f00000000}\x", r"\??\C:\x"),
        *(r"\\?\GLOBALROOT\Device\x", r"\\?\C:\a\..\b", r"\\?\C:/x", r"\\?\C:\a/b", "//?/C:/x", r"\\?\C:", "\\\\?\\"),
    ],
    "dot-dot": [r"C:\..", r"C:\a\..\..\b"],
    "stream": [r"C:\a:b", r"C:\a\b::$DATA", r"C:\C:\a"],
    "reserved": [
        r"C:\nul",
        r"C:\src\CON\x",
        r"C:\aux.txt",
        r"C:\COM1",
        r"C:\lpt9.log",
        "C:\\com¹",
        r"C:\nul .txt",
        r"C:\CONIN$",
    ],
    "trailing": ["C:\\a.", "C:\\a ", r"C:\a \b", r"C:\...", r"C:\a\.. \b"],
    "character": ["C:\\a*", "C:\\a?", 'C:\\"a"', "C:\\<a>", "C:\\a|b", "C:\\a\nb", "C:\\a\0b", "C:\\a\ud800"],
    "too-long": ["C:\\" + "a" * 256, "C:\\" + "\\".join(["a" * 250] * 140), "C:\\" + "𐐀" * 128],
    "drive": ["C:\\", "c:/", r"D:\.", r"D:\a\..", "\\\\?\\C:\\"],
    "windows": [r"C:\Windows", r"c:\WINDOWS\System32\drivers", r"D:\Windows\x", r"C:\src\..\windows"],
    "program-files": [r"C:\Program Files", r"C:\Program Files (x86)\Git", r"E:\PROGRAM FILES\x"],
    "program-data": [r"C:\ProgramData", r"C:\programdata\chocolatey"],
    "profiles": [r"C:\Users", "C:\\users\\"],
    "profile": [r"C:\Users\me", r"C:\Users\Public", r"D:\users\Me", "C:/Users/me/."],
    "app-data": [
        *(r"C:\Users\me\AppData", r"C:\Users\me\appdata\Local\Temp\x", r"C:\Users\me\AppData\Roaming"),
        r"D:\Profiles\me\AppData\Local",
    ],
    "startup": [
        r"C:\Users\me\AppData\Roaming\Microsoft\Windows\Start Menu\Programs\Startup",
        r"C:\ProgramData\Microsoft\Windows\Start Menu\Programs\StartUp\x",
    ],
}

REFUSED_PROTECTED = {
    "empty": [""],
    "root-itself": [".", "./.", "a\\.."],
    "outside": ["..", r"..\x", r"a\..\..\b"],
    "absolute": [r"C:\src\.git", "/etc", r"\x", r"\\server\share", "C:x"],
    "glob": ["*.pem", "secrets/*", "a?"],
    "stream": ["ab:c", r".git\config::$DATA"],
    "reserved": ["nul", r"a\con.txt"],
    "trailing": ["a.", "a ", r"a \b"],
    "character": ["a|b", "a\nb", "<a>"],
    "too-long": ["a" * 256, "\\".join(["a" * 250] * 140)],
}

WHOLE = r'Write the whole path with its drive, such as "C:\src\project".'
PROJECT = r'Choose a directory made for the work, such as "C:\src\project".'
MESSAGES = {
    "": f"(empty): is empty. {WHOLE}",
    "project": f"project: is relative, and what it means would depend on the working directory. {WHOLE}",
    "C:project": "C:project: is relative to the working directory of its drive. Write a backslash behind the colon.",
    r"\src": rf"\src: has no drive. {WHOLE}",
    "/c/src": f"/c/src: is a POSIX path, or one without a drive. {WHOLE}",
    r"\\server\share": r"\\server\share: is on a network share, where the restrictions of a local token do not count. "
    "Use a local disk.",
    r"\\.\C:\x": rf"\\.\C:\x: is a path of a device or of the NT namespace. {WHOLE}",
    r"C:\..": r'C:\..: leads above its drive with "..". Take the ".." out.',
    r"C:\a:b": r'C:\a:b: holds ":", which names a stream of a file. Name the file or directory itself.',
    r"C:\nul": r"C:\nul: holds the name of a device (CON, NUL, COM1 ...). Use another name.",
    r"C:\a.": r"C:\a.: holds a name that ends with a dot or a space, which Windows takes off. Write it without.",
    r"C:\a*": r'C:\a*: holds a control character, an unpaired surrogate or one of < > " | ? *. No Windows name does.',
    "C:\\": f"C:\\: is the root of a drive. {PROJECT}",
    r"C:\Windows": rf"C:\Windows: is the Windows directory, or lies in it or above it. {PROJECT}",
    r"C:\Program Files": r"C:\Program Files: is a directory for installed programs, or lies in one or above one. "
    + PROJECT,
    r"C:\ProgramData": r"C:\ProgramData: is ProgramData, which programs of all users trust, or lies in it or above it. "
    + PROJECT,
    r"C:\Users": r"C:\Users: is the directory of the users' profiles, or lies above it. "
    "Choose a directory inside a profile.",
    r"C:\Users\me": r"C:\Users\me: is a user's profile, or lies above it. "
    r'Choose a directory inside it, such as "src\project".',
    r"C:\Users\me\AppData": r"C:\Users\me\AppData: is AppData, where the user's programs keep what they run and trust, "
    "or lies in it or above it. Choose another directory; for temporary files the sandbox has its own.",
}


def shortened(value: object) -> str | None:
    """An id for a test; the paths that are too long would not fit the variable in which pytest keeps it."""
    return value[:40] if isinstance(value, str) else None


def mistakes(call: Any, *args: Any, **kwargs: Any) -> list[tuple[str, str]]:
    with pytest.raises(PolicyError) as caught:
        call(*args, **kwargs)
    return [(mistake.path, mistake.code) for mistake in caught.value.mistakes]


@pytest.mark.parametrize(
    ("rule", "path"), [(rule, path) for rule, paths in REFUSED_ROOTS.items() for path in paths], ids=shortened
)
def test_a_root_is_refused_for_one_reason_by_every_way_in(rule: str, path: str) -> None:
    expected = [(path, f"root.{rule}")]
    assert mistakes(Policy.workspace, path) == expected
    assert mistakes(Policy.workspace, r"C:\src\project", writable_roots=[path]) == expected
    assert mistakes(Policy.from_dict, {"version": 1, "cwd": r"C:\src", "writable_roots": [path]}) == expected
    assert [(mistake.path, mistake.code) for mistake in root_mistakes(path)] == expected


@pytest.mark.parametrize(
    ("rule", "path"), [(rule, path) for rule, paths in REFUSED_PROTECTED.items() for path in paths], ids=shortened
)
def test_a_protected_path_is_refused_for_one_reason(rule: str, path: str) -> None:
    expected = [(path, f"protected.{rule}")]
    assert mistakes(Policy.workspace, r"C:\src\project", protected_subpaths=[path]) == expected


@pytest.mark.parametrize("path", MESSAGES)
def test_the_message_says_what_is_wrong_and_what_to_do(path: str) -> None:
    assert [str(mistake) for mistake in root_mistakes(path)] == [MESSAGES[path]]


def test_every_refusal_of_the_table_is_shown() -> None:
    shown = {*REFUSED_ROOTS, *REFUSED_PROTECTED, "protected"}
    assert shown == set(REFUSALS)
    # Reasons stand behind a path and end a sentence, as remedies do.
    assert [rule for rule, texts in REFUSALS.items() if not all(text.endswith((".", "?")) for text in texts)] == []


def test_several_faults_of_one_path_are_all_reported() -> None:
    assert [mistake.code for mistake in root_mistakes("C:\\con.txt\\b:c\\d \\e*")] == [
        "root.reserved",
        "root.stream",
        "root.trailing",
        "root.character",
    ]


@pytest.mark.parametrize(
    "path",
    [
        *(r"C:\src", r"C:\Users\me\src", r"D:\work\my project (1)", r"C:\Users\Public\x", r"C:\Windows2", r"C:\Users2"),
        *(
            r"C:\src\Windows",
            r"C:\src\Program Files",
            r"C:\src\Users",
            r"C:\a.b\c..d",
            "C:\\ä\\𐐀",
            r"C:\COM",
            r"C:\COM10",
        ),
        *(
            r"C:\nulls",
            r"C:\console.txt",
            r"C:\-[]{}'~!@#$%^&=,;`",
            r"C:\AppData2\x",
            r"Z:\deep\er\and\deeper",
            r"C:\.git",
        ),
    ],
)
def test_an_ordinary_directory_is_accepted_as_it_is(path: str) -> None:
    assert root_mistakes(path) == []
    assert Policy.workspace(path).writable_roots == (path,)
    assert normal(path) == path


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("c:/src/project/", r"C:\src\project"),
        (r"C:\src\.\project\\", r"C:\src\project"),
        (r"C:\src\old\..\project", r"C:\src\project"),
        (r"\\?\C:\src\project", r"C:\src\project"),
        (PureWindowsPath("C:/src/project"), r"C:\src\project"),
        (PurePosixPath(r"C:\src\project"), r"C:\src\project"),
        (Path(r"C:\src\project"), r"C:\src\project"),
    ],
)
def test_spellings_of_a_path_are_brought_to_one(given: Any, kept: str) -> None:
    policy = Policy.workspace(given)
    assert (policy.cwd, policy.writable_roots) == (kept, (kept,))
    assert normal(given) == kept


@pytest.mark.parametrize("wrong", [None, 3, b"C:\\src", ["C:\\src"], object()])
def test_what_is_no_path_is_a_mistake(wrong: Any) -> None:
    assert mistakes(normal, wrong) == [("path", "type")]
    assert ("writable_roots", "type") in mistakes(Policy.workspace, wrong)


def test_a_path_object_that_gives_bytes_is_a_mistake() -> None:
    class Odd:
        def __fspath__(self) -> bytes:
            return b"C:\\src"

    assert mistakes(normal, Odd()) == [("path", "type")]


def test_a_lone_string_is_no_list_of_roots() -> None:
    roots: Any = r"D:\cache"
    assert mistakes(Policy.workspace, r"C:\src", writable_roots=roots) == [("writable_roots", "type")]
    assert mistakes(Policy.workspace, r"C:\src", protected_subpaths=".git") == [("protected_subpaths", "type")]


def test_roots_given_twice_are_kept_once_in_the_first_spelling() -> None:
    policy = Policy.workspace(r"C:\Src", writable_roots=["c:/src", r"D:\x", r"D:\X\\"])
    assert policy.writable_roots == (r"C:\Src", r"D:\x")
    assert Policy.workspace(r"C:\a", protected_subpaths=[".git", ".GIT", "./.git"]).protected_subpaths == (".git",)


# Places of a host

HOST = Places(
    windows=r"D:\WINNT",
    program_files=(r"D:\Programme", ""),
    program_data=r"E:\Shared\ProgramData",
    profiles_directory=r"E:\Profiles",
    profile=r"E:\Profiles\home\me",
    app_data=(r"E:\Profiles\home\me\AppData\Local", r"F:\Roaming\me"),
    startup=(r"F:\Menu\Startup",),
)


@pytest.mark.parametrize(
    ("path", "code"),
    [
        (r"D:\winnt\temp", "root.windows"),
        (r"D:\Programme", "root.program-files"),
        (r"E:\Shared\ProgramData\x", "root.program-data"),
        (r"E:\Shared", "root.program-data"),
        (r"E:\profiles", "root.profiles"),
        (r"E:\Profiles\home", "root.profile"),
        (r"E:\Profiles\home\ME", "root.profile"),
        (r"E:\Profiles\home\me\AppData", "root.app-data"),
        (r"F:\Roaming\me\x", "root.app-data"),
        (r"F:\Roaming", "root.app-data"),
        (r"F:\Menu\Startup", "root.startup"),
        (r"F:\Menu", "root.startup"),
        ("D:\\", "root.drive"),
    ],
)
def test_the_real_places_of_a_host_are_refused_wherever_they_lie(path: str, code: str) -> None:
    assert [mistake.code for mistake in root_mistakes(path, HOST)] == [code]
    assert [mistake.code for mistake in root_mistakes(path.upper(), HOST)] == [code]


@pytest.mark.parametrize(
    "path", [r"E:\Profiles\home\me\src", r"E:\Profiles\other", r"C:\Windows", r"F:\x", r"E:\Sharedx"]
)
def test_other_places_of_that_host_are_not(path: str) -> None:
    assert root_mistakes(path, HOST) == []


# Protected places and nested roots


@pytest.mark.parametrize("root", [r"C:\src\.git", r"c:\SRC\.GIT\hooks", r"C:\src\.agents\x\y"])
def test_a_root_at_or_below_a_protected_place_is_refused(root: str) -> None:
    with pytest.raises(PolicyError) as caught:
        Policy.workspace(r"C:\src", writable_roots=[root])
    (mistake,) = caught.value.mistakes
    assert mistake.code == "root.protected"
    assert mistake.reason.startswith(r"lies at or below C:\src\.")


def test_a_root_beside_or_above_a_protected_place_is_allowed() -> None:
    policy = Policy.workspace(r"C:\src", writable_roots=[r"C:\src\sub", r"C:\src\.github"])
    assert policy.writable_roots == (r"C:\src", r"C:\src\sub", r"C:\src\.github")
    assert Policy.workspace(r"C:\src", writable_roots=[r"C:\src\.git"], protected_subpaths=()).writable_roots[1:]


def test_a_nested_root_is_folded_and_keeps_its_protected_names() -> None:
    assert disjoint_roots((r"C:\a\B", r"D:\x", r"c:\A"), (".git", r"docs\plans")) == (
        (r"c:\A", (r"B\.git", r"B\docs\plans", ".git", r"docs\plans")),
        (r"D:\x", (".git", r"docs\plans")),
    )
    assert disjoint_roots((r"C:\a", r"c:\A", r"C:\a\b"), (r"b\.GIT", ".git")) == (
        (r"C:\a", (r"b\.GIT", ".git", r"b\b\.GIT")),
    )
    assert disjoint_roots((r"C:\a",), ()) == ((r"C:\a", ()),)
    assert disjoint_roots((), (".git",)) == ()


def test_below_compares_whole_components() -> None:
    assert is_below(r"C:\a\b", r"c:\A")
    assert not is_below(r"C:\ab", r"C:\a")
    assert not is_below(r"C:\a", r"C:\a")
    assert is_at_or_below(r"C:\a", r"C:\A")
    assert is_below(r"C:\a", "C:\\")
    assert not is_below(r"D:\a", "C:\\")
    assert not is_below(r"C:\a\b", r"C:\*")  # only Places know a wildcard
