"""The error tree: which built-in class each error is, what it prints, what survives pickling and copying."""

from __future__ import annotations

import copy
import errno
import pickle
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from winsandbox import errors
from winsandbox.errors import (
    AclError,
    CommandNotFound,
    CommandRefused,
    EnforcementError,
    GrantInUse,
    LedgerError,
    Mistake,
    PolicyError,
    RootRefused,
    SandboxClosed,
    SandboxError,
    ScriptError,
    SpawnError,
    TokenError,
    UnsupportedHost,
    WinError,
    WorkingDirectoryError,
)

# What CPython on Windows makes of these codes (PC/errmap.h's table is the C runtime's); 999 stands for all others.
BUILTIN = [
    (2, FileNotFoundError, errno.ENOENT),
    (3, FileNotFoundError, errno.ENOENT),
    (5, PermissionError, errno.EACCES),
    (19, PermissionError, errno.EACCES),
    (32, PermissionError, errno.EACCES),
    (33, PermissionError, errno.EACCES),
    (80, FileExistsError, errno.EEXIST),
    (109, BrokenPipeError, errno.EPIPE),
    (145, OSError, errno.ENOTEMPTY),
    (161, FileNotFoundError, errno.ENOENT),
    (183, FileExistsError, errno.EEXIST),
    (232, BrokenPipeError, errno.EPIPE),
    (267, NotADirectoryError, errno.ENOTDIR),
    (999, OSError, errno.EINVAL),
]


@pytest.mark.parametrize(("code", "builtin", "number"), BUILTIN)
def test_a_win32_code_makes_the_fitting_builtin_error(code: int, builtin: type[OSError], number: int) -> None:
    error = WinError(code, "CreateFileW", r"C:\src")
    assert isinstance(error, WinError)
    assert isinstance(error, builtin)
    assert (error.winerror, error.errno, error.function, error.filename) == (code, number, "CreateFileW", r"C:\src")


def test_a_code_is_only_one_kind_of_error() -> None:
    kinds = (FileNotFoundError, PermissionError, FileExistsError, BrokenPipeError, NotADirectoryError)
    for code, builtin, _ in BUILTIN:
        assert [kind for kind in kinds if isinstance(WinError(code, "f"), kind)] == [k for k in kinds if k is builtin]


def test_win_error_prints_function_code_message_and_path() -> None:
    assert str(WinError(5, "OpenProcess")) == "OpenProcess: [WinError 5] Access is denied"
    assert str(WinError(9999, "OpenProcess")) == "OpenProcess: [WinError 9999]"
    assert str(WinError(5, "CreateFileW", r"C:\x")) == r"CreateFileW: [WinError 5] Access is denied: 'C:\x'"
    assert str(WinError(2, "CreateFileW", "a\nb")).endswith(r": 'a\nb'"), "on one line"
    full = WinError(32, "NtCreateFile", r"C:\x", message="In use.\r\n", status=0xC0000043)
    assert str(full) == r"NtCreateFile: [WinError 32] In use (NTSTATUS 0xC0000043): 'C:\x'"
    assert "0xC0000043" in str(WinError(32, "NtCreateFile", status=0xC0000043 - (1 << 32)))  # as a signed NTSTATUS


def test_strerror_and_filename_are_those_of_an_os_error() -> None:
    assert WinError(5, "OpenProcess").strerror == "OpenProcess failed"
    assert WinError(5, "OpenProcess", message="Access is denied.").strerror == "Access is denied."
    assert WinError(5, "OpenProcess").filename is None


@given(
    st.sampled_from([code for code, _, _ in BUILTIN]),
    st.text(min_size=1),
    st.none() | st.text(),
    st.text(),
    st.none() | st.integers(0, 0xFFFFFFFF),
)
def test_round_trip_of_win_errors_through_pickle(
    code: int, function: str, path: str | None, message: str, status: int | None
) -> None:
    error = WinError(code, function, path, message=message, status=status)
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert type(again) is type(error)
        assert str(again) == str(error)
        for name in ("winerror", "errno", "strerror", "filename", "function", "status"):
            assert getattr(again, name) == getattr(error, name)


CAUSE = WinError(5, "SetNamedSecurityInfoW", r"C:\src")
MISTAKES = (Mistake("roots", "is empty.", "Name a folder."), Mistake(r"C:\\", "is a drive.", "Name a folder in it."))

# Every class, how one of it is made, the built-in classes that it must be caught by, and its default code.
TREE: list[tuple[type[SandboxError], Callable[..., SandboxError], tuple[type[Exception], ...], str]] = [
    (SandboxError, lambda **more: SandboxError("No.", **more), (Exception,), "sandbox"),
    (PolicyError, lambda **more: PolicyError(MISTAKES, **more), (ValueError,), "policy"),
    (RootRefused, lambda **more: RootRefused(MISTAKES, **more), (PolicyError, ValueError), "root"),
    (ScriptError, lambda **more: ScriptError(MISTAKES, **more), (PolicyError, ValueError), "script"),
    (UnsupportedHost, lambda **more: UnsupportedHost("No.", **more), (RuntimeError,), "host"),
    (EnforcementError, lambda **more: EnforcementError("No.", **more), (RuntimeError,), "enforcement"),
    (LedgerError, lambda **more: LedgerError("No.", **more), (RuntimeError,), "ledger"),
    (GrantInUse, lambda **more: GrantInUse("No.", **more), (RuntimeError,), "grants.in-use"),
    (SandboxClosed, lambda **more: SandboxClosed("No.", **more), (RuntimeError,), "closed"),
    (AclError, lambda **more: AclError("No.", cause=CAUSE, **more), (OSError,), "acl"),
    (TokenError, lambda **more: TokenError("No.", cause=CAUSE, **more), (OSError,), "token"),
    (SpawnError, lambda **more: SpawnError("No.", cause=CAUSE, **more), (OSError,), "spawn"),
    (
        WorkingDirectoryError,
        lambda **more: WorkingDirectoryError("No.", cause=CAUSE, **more),
        (SpawnError, FileNotFoundError, NotADirectoryError),
        "spawn.cwd",
    ),
    (CommandNotFound, lambda **more: CommandNotFound("No.", **more), (FileNotFoundError,), "command.not-found"),
    (CommandRefused, lambda **more: CommandRefused("No.", **more), (PermissionError,), "command.refused"),
]


def test_the_tree_is_complete() -> None:
    classes = {getattr(errors, name) for name in errors.__all__} - {Mistake, WinError}
    assert classes == {cls for cls, *_ in TREE}


@pytest.mark.parametrize(("cls", "make", "builtins", "code"), TREE)
def test_each_error_is_caught_by_its_builtin_class_and_by_ours(
    cls: type[SandboxError], make: Callable[..., SandboxError], builtins: tuple[type[Exception], ...], code: str
) -> None:
    error = make()
    assert type(error) is cls
    assert isinstance(error, (SandboxError, *builtins))
    for builtin in builtins:
        assert isinstance(error, builtin)
    assert error.code == code
    assert make(code="acl.write-dac").code == "acl.write-dac"
    assert make().code == code  # a code that is given stays with that one error


@pytest.mark.parametrize(("cls", "make", "builtins", "code"), TREE)
def test_each_error_survives_pickle_and_copy(
    cls: type[SandboxError], make: Callable[..., SandboxError], builtins: tuple[type[Exception], ...], code: str
) -> None:
    error = make(code="some.code")
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(again) is cls
        assert str(again) == str(error)
        names = ["args", "message", "remedy", "code"]
        names += ["errno", "strerror", "filename", "winerror", "function"] if isinstance(error, OSError) else []
        names += ["mistakes"] if isinstance(error, PolicyError) else []
        for name in names:
            assert getattr(again, name) == getattr(error, name), name


def test_an_error_prints_what_to_do() -> None:
    assert str(UnsupportedHost("This is Linux.", remedy="Give a host.")) == "This is Linux. Give a host."
    assert str(UnsupportedHost("This is Linux.")) == "This is Linux."
    assert UnsupportedHost("This is Linux.").remedy == ""


def test_a_failed_step_carries_the_call_that_failed() -> None:
    error = AclError("The ACL could not be written.", cause=CAUSE, remedy="Choose a folder of your own.")
    assert (error.winerror, error.errno, error.function) == (5, errno.EACCES, "SetNamedSecurityInfoW")
    assert error.filename == r"C:\src"
    assert error.__cause__ is CAUSE
    assert str(error) == "The ACL could not be written. Choose a folder of your own."
    assert AclError("No.", cause=CAUSE, path="").filename == ""  # an empty path is a path
    without = TokenError("No.")
    assert (without.winerror, without.errno, without.function, without.filename) == (0, None, "", None)


def test_a_policy_error_names_every_mistake() -> None:
    error = PolicyError(MISTAKES)
    assert error.mistakes == MISTAKES
    lines = str(error).splitlines()
    assert lines[0] == "the policy has 2 mistakes:"
    assert [line.strip() for line in lines[1:]] == [str(mistake) for mistake in MISTAKES]
    assert str(PolicyError(MISTAKES[:1])).splitlines()[0] == "the policy has a mistake:"
    assert PolicyError(list(MISTAKES)).mistakes == MISTAKES


def test_a_mistake_prints_path_reason_and_remedy() -> None:
    assert str(Mistake("roots", "is empty.", "Name a folder.")) == "roots: is empty. Name a folder."
    assert str(Mistake("", "is empty.", "Name a folder.")) == "(empty): is empty. Name a folder."
    assert str(Mistake("roots", "is empty.", "")) == "roots: is empty."
