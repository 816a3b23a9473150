"""The declaration machinery, on any OS: prototypes without a DLL, error conventions, argument checks, structures."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, cast

import pytest

from tests.abi.headers import all_structs
from tests.capabilities import needs
from winsandbox._win32 import advapi32, ffi, kernel32, ntdll, shell32, structs, types, user32
from winsandbox._win32.ffi import Code, Library, Returns, Struct, layout, plain, struct
from winsandbox._win32.types import (
    COUNT,
    DWORD,
    ERROR_CODE,
    FILE_HANDLE,
    H_RESULT,
    HANDLE,
    LENGTH,
    NEW_HANDLE,
    NT_STATUS,
    OUT_DWORD,
    PATH,
    POINTER_TO,
    STR,
    SUCCEEDS,
    ULONG_PTR,
    Handle,
)
from winsandbox.errors import UnsupportedHost, WinError

LIBRARIES = (kernel32.kernel32, advapi32.advapi32, ntdll.ntdll, user32.user32, shell32.shell32, shell32.ole32)


class FakeExport:
    """Stands for a ctypes function object: checks its arguments as ctypes does, records them, answers."""

    def __init__(self, answer: int | None, code: int = 0) -> None:
        self.argtypes: list[Any] = []
        self.restype: Any = None
        self.calls: list[tuple[Any, ...]] = []
        self._answer, self._code = answer, code

    def __call__(self, *args: Any) -> int | None:
        if len(args) != len(self.argtypes):
            raise TypeError("wrong number of arguments")
        for kind, value in zip(self.argtypes, args, strict=True):
            kind.from_param(value)
        self.calls.append(args)
        set_code(self._code)
        return self._answer


def set_code(code: int) -> None:
    if sys.platform == "win32":
        ctypes.set_last_error(code)
    else:
        ctypes.set_errno(code)


class FakeDll:
    """A library with the exports it is given."""

    def __init__(self, **exports: FakeExport) -> None:
        self.exports = exports
        self.opened: list[str] = []

    def load(self, name: str) -> ctypes.CDLL:
        self.opened.append(name)
        return cast("ctypes.CDLL", self)

    def __getitem__(self, name: str) -> FakeExport:
        try:
            return self.exports[name]
        except KeyError:
            raise AttributeError(name) from None


def library(**exports: FakeExport) -> Library:
    return Library("fake", loader=FakeDll(**exports).load)


# --- prototypes ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lib", LIBRARIES, ids=lambda lib: lib.name)
def test_prototypes_resolve_without_a_dll(lib: Library) -> None:
    assert lib.functions
    for name, function in lib.functions.items():
        assert function.prototype.name == name == function.__name__
        assert function.prototype.library == lib.name
        assert function.prototype is function.prototype


def test_a_prototype_says_what_was_declared() -> None:
    prototype = advapi32.OpenProcessToken.prototype
    assert [parameter.name for parameter in prototype.parameters] == ["process", "access", "token"]
    assert [parameter.ctype for parameter in prototype.parameters] == [
        ffi.HandleValue,
        ctypes.c_uint32,
        ctypes.POINTER(ctypes.c_void_p),
    ]
    assert prototype.returns.ctype is ctypes.c_int32
    assert prototype.returns.code is Code.LAST_ERROR


def test_a_structure_is_passed_by_address_and_may_be_none_where_declared() -> None:
    parameters = {parameter.name: parameter.ctype for parameter in kernel32.CreatePipe.prototype.parameters}
    assert parameters["security"] is ctypes.POINTER(structs.SECURITY_ATTRIBUTES)


def test_every_result_without_a_check_has_a_reason() -> None:
    for lib in LIBRARIES:
        for function in lib.functions.values():
            returns = function.prototype.returns
            assert (returns.failed is None) == bool(returns.reason), function


def test_a_declaration_without_a_convention_is_refused() -> None:
    fake = library()

    @fake.function
    def Forgetful(handle: HANDLE, /) -> int:
        return 0

    with pytest.raises(TypeError, match="names no error convention"):
        _ = Forgetful.prototype


def test_a_parameter_without_a_c_type_is_refused() -> None:
    fake = library()

    @fake.function
    def Vague(number: int, /) -> SUCCEEDS: ...

    with pytest.raises(TypeError, match=r"Vague.*number.*names no C type"):
        _ = Vague.prototype


def test_a_second_declaration_of_a_function_is_refused() -> None:
    fake = library()

    @fake.function
    def Once() -> SUCCEEDS: ...

    with pytest.raises(TypeError, match="declared twice"):
        fake.function(cast("Callable[[], None]", Once))


def test_a_convention_is_whole() -> None:
    with pytest.raises(TypeError, match="either a check"):
        Returns(ctypes.c_int32, None, Code.LAST_ERROR)
    with pytest.raises(TypeError, match="either a check"):
        Returns(ctypes.c_int32, None, Code.NONE)
    assert plain(ctypes.c_int32, "cannot fail").code is Code.NONE


# --- loading ---------------------------------------------------------------------------------------------------------


@needs("no windows")
def test_a_call_elsewhere_says_that_it_needs_windows() -> None:
    with pytest.raises(UnsupportedHost, match=r"kernel32\.dll exists on Windows only") as caught:
        kernel32.GetCurrentProcessId()
    assert caught.value.code == "host.os"
    assert not kernel32.GetCurrentProcessId.exists()


def test_a_library_is_opened_at_the_first_call_and_once() -> None:
    dll = FakeDll(SetEvent=FakeExport(1), CloseHandle=FakeExport(1))
    fake = Library("fake", loader=dll.load)

    @fake.function
    def SetEvent(event: HANDLE, /) -> SUCCEEDS: ...

    @fake.function
    def CloseHandle(handle: HANDLE, /) -> SUCCEEDS: ...

    _ = SetEvent.prototype
    assert dll.opened == []
    SetEvent(Handle(1))
    CloseHandle(Handle(1))
    SetEvent(Handle(1))
    assert dll.opened == ["fake"]


def test_a_library_is_opened_once_by_many_threads() -> None:
    opened: list[str] = []
    gate = threading.Barrier(8)
    slow = threading.Event()

    def load(name: str) -> ctypes.CDLL:
        opened.append(name)
        slow.wait(0.05)
        return FakeDll(SetEvent=FakeExport(1)).load(name)

    fake = Library("fake", loader=load)

    @fake.function
    def SetEvent(event: HANDLE, /) -> SUCCEEDS: ...

    failures: list[BaseException] = []

    def run() -> None:
        gate.wait()
        try:
            SetEvent(Handle(1))
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert opened == ["fake"]


def test_a_missing_export_fails_only_when_called_and_says_which() -> None:
    fake = library()

    @fake.function
    def AddConditionalAce(acl: POINTER_TO, /) -> SUCCEEDS: ...

    assert len(AddConditionalAce.prototype.parameters) == 1
    assert not AddConditionalAce.exists()
    with pytest.raises(WinError, match=r"AddConditionalAce.*no such function in fake\.dll") as caught:
        AddConditionalAce(None)
    assert caught.value.winerror == 127


# --- conventions -----------------------------------------------------------------------------------------------------


def declare(fake: Library, convention: Any) -> ffi.Function[[str], Any]:
    def Call(name: str, /) -> Any: ...

    Call.__annotations__ = {"name": PATH, "return": convention}
    return fake.function(Call)


INVALID = types.INVALID_HANDLE


@pytest.mark.parametrize(
    ("convention", "good", "bad", "left_code", "winerror"),
    [
        pytest.param(SUCCEEDS, 1, 0, 5, 5, id="SUCCEEDS"),
        pytest.param(SUCCEEDS, -1, 0, 87, 87, id="SUCCEEDS-any-nonzero"),
        pytest.param(ERROR_CODE, 0, 2, 9999, 2, id="ERROR_CODE"),
        pytest.param(NEW_HANDLE, 0x44, None, 8, 8, id="NEW_HANDLE"),
        pytest.param(FILE_HANDLE, 0x44, INVALID, 32, 32, id="FILE_HANDLE"),
        pytest.param(FILE_HANDLE, 0x44, None, 6, 6, id="FILE_HANDLE-null"),
        pytest.param(COUNT, 0, 0xFFFFFFFF, 6, 6, id="COUNT"),
        pytest.param(LENGTH, 7, 0, 3, 3, id="LENGTH"),
        pytest.param(H_RESULT, 0, ctypes.c_int32(0x80070002).value, 9999, 2, id="H_RESULT-win32"),
        pytest.param(H_RESULT, 1, ctypes.c_int32(0x80004005).value, 9999, 0x80004005, id="H_RESULT"),
    ],
)
def test_a_convention_tells_success_from_failure(
    convention: Any, good: int, bad: int | None, left_code: int, winerror: int
) -> None:
    # a code that an earlier call left behind is no failure
    succeeding = declare(library(Call=FakeExport(good, code=5)), convention)
    assert succeeding("C:\\x") == good
    failing = declare(library(Call=FakeExport(bad, code=left_code)), convention)
    with pytest.raises(WinError) as caught:
        failing("C:\\x")
    assert caught.value.winerror == winerror
    assert caught.value.function == "Call"
    assert caught.value.filename == "C:\\x"
    assert caught.value.status is None


@pytest.mark.parametrize(
    ("status", "winerror"), [(0xC0000022, 5), (0xC0000034, 2), (0x80000006, 18), (0xC0000056, 5), (0xC0000035, 183)]
)
def test_a_status_is_kept_and_mapped(status: int, winerror: int) -> None:
    failing = declare(library(Call=FakeExport(ctypes.c_int32(status).value)), NT_STATUS)
    with pytest.raises(WinError) as caught:
        failing("C:\\x")
    assert caught.value.status == status
    # the mapping is ntdll's own, so elsewhere the code is the one for "no message"
    assert caught.value.winerror == (winerror if sys.platform == "win32" else ffi.ERROR_MR_MID_NOT_FOUND)
    assert f"NTSTATUS 0x{status:08X}" in str(caught.value)


@pytest.mark.parametrize("status", [0, 0x103, 0x40000000])
def test_an_informational_status_is_handed_out(status: int) -> None:
    assert declare(library(Call=FakeExport(status)), NT_STATUS)("C:\\x") == status


def test_a_failure_of_the_right_kind_is_the_builtin_that_fits() -> None:
    with pytest.raises(PermissionError):
        declare(library(Call=FakeExport(0, code=5)), SUCCEEDS)("C:\\x")
    with pytest.raises(FileNotFoundError):
        declare(library(Call=FakeExport(2)), ERROR_CODE)("C:\\x")


def test_the_code_of_a_failure_is_read_per_thread() -> None:
    entered, left = threading.Event(), threading.Event()

    class Slow(FakeExport):
        def __call__(self, *args: Any) -> int | None:
            answer = super().__call__(*args)
            entered.set()
            assert left.wait(10)
            return answer

    slow = declare(library(Call=Slow(0, code=5)), SUCCEEDS)
    quick = declare(library(Call=FakeExport(0, code=87)), SUCCEEDS)
    caught: list[int] = []

    def run() -> None:
        try:
            slow("a")
        except WinError as error:
            caught.append(error.winerror)

    thread = threading.Thread(target=run)
    thread.start()
    assert entered.wait(10)
    with pytest.raises(WinError):
        quick("b")
    left.set()
    thread.join()
    assert caught == [5]


# --- arguments -------------------------------------------------------------------------------------------------------


@needs("posix")
def test_the_same_machinery_binds_a_real_library() -> None:
    libc = Library("c", loader=lambda name: ctypes.CDLL(None, use_errno=True))

    @libc.function
    def wcslen(text: STR, /) -> Annotated[int, plain(ctypes.c_size_t, "every length is an answer")]:
        return 0

    @libc.function
    def memcmp(
        one: POINTER_TO, two: POINTER_TO, size: ULONG_PTR, /
    ) -> Annotated[int, plain(ctypes.c_int32, "every number is an answer")]:
        return 0

    @libc.function
    def chdir(
        name: Annotated[bytes, ctypes.c_char_p], /
    ) -> Annotated[None, Returns(ctypes.c_int32, bool, Code.LAST_ERROR)]: ...

    assert wcslen("grün") == 4
    zero = structs.LUID()
    assert memcmp(zero, bytes(8), 8) == 0
    zero.HighPart = -1
    assert memcmp(zero, bytes(8), 8) != 0
    assert memcmp(ctypes.create_string_buffer(b"ab"), (ctypes.c_char * 2)(b"a", b"b"), 2) == 0
    with pytest.raises(WinError) as caught:
        chdir(b"/nothing/here")
    assert caught.value.winerror == 2
    for wrong in (5, b"bytes"):
        with pytest.raises(ctypes.ArgumentError):
            wcslen(wrong)  # type: ignore[arg-type]
    with pytest.raises(ctypes.ArgumentError):
        memcmp("text", bytes(8), 8)  # type: ignore[arg-type]


def open_token() -> tuple[ffi.Function[..., Any], FakeExport]:
    export = FakeExport(1)
    fake = library(OpenProcessToken=export)

    @fake.function
    def OpenProcessToken(process: HANDLE, access: DWORD, token: OUT_DWORD, /) -> SUCCEEDS: ...

    return OpenProcessToken, export


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param(("handle", 1, ctypes.c_uint32()), id="text-for-a-handle"),
        pytest.param((None, 1, ctypes.c_uint32()), id="none-for-a-handle"),
        pytest.param((True, 1, ctypes.c_uint32()), id="truth-for-a-handle"),
        pytest.param((1, "1", ctypes.c_uint32()), id="text-for-a-number"),
        pytest.param((1, 2.5, ctypes.c_uint32()), id="float-for-a-number"),
        pytest.param((1, 1, ctypes.c_uint16()), id="narrower-out"),
        pytest.param((1, 1, 7), id="number-for-a-pointer"),
        pytest.param((1, 1), id="one-missing"),
        pytest.param((1, 1, ctypes.c_uint32(), 1), id="one-too-many"),
    ],
)
def test_wrong_arguments_are_refused_before_the_call(wrong: tuple[Any, ...]) -> None:
    function, export = open_token()
    with pytest.raises((TypeError, ctypes.ArgumentError)):
        function(*wrong)
    assert export.calls == []
    function(1, 1, ctypes.c_uint32())
    assert len(export.calls) == 1


def test_arguments_have_no_names() -> None:
    function, export = open_token()
    with pytest.raises(TypeError, match="positional"):
        function(process=1, access=1, token=ctypes.c_uint32())
    assert export.calls == []


@pytest.mark.parametrize("wrong", ["text", True, 1.5, object(), ctypes.c_wchar_p("text"), ctypes.c_char_p(b"text")])
def test_a_pointer_takes_no_text_and_no_truth_value(wrong: Any) -> None:
    with pytest.raises(TypeError):
        ffi.AnyPointer.from_param(wrong)


def test_text_with_a_nul_is_refused_and_not_cut_off() -> None:
    # Windows would see another file than the check that came before
    export = FakeExport(1)
    function = declare(library(Call=export), SUCCEEDS)
    with pytest.raises(ValueError, match="null"):
        function("C:\\work\0\\..\\secret")
    assert export.calls == []
    function("C:\\work")
    assert len(export.calls) == 1


def test_a_handle_may_be_missing_only_where_declared() -> None:
    assert ffi.OptionalHandleValue.from_param(None) is None
    assert ffi.OptionalHandleValue.from_param(4) is not None
    for wrong in ("text", True, b"bytes", ctypes.create_string_buffer(4)):
        with pytest.raises(TypeError):
            ffi.OptionalHandleValue.from_param(wrong)


# --- structures ------------------------------------------------------------------------------------------------------


def test_a_structure_needs_c_types_and_fields() -> None:
    class Vague(Struct):
        number: int

    class Empty(Struct):
        pass

    with pytest.raises(TypeError, match=r"Vague\.number"):
        struct(Vague)
    with pytest.raises(TypeError, match="no fields"):
        struct(Empty)


def test_a_new_structure_is_all_zeros() -> None:
    assert bytes(structs.STARTUPINFOEXW()) == bytes(ctypes.sizeof(structs.STARTUPINFOEXW))


@pytest.mark.parametrize("name", sorted(all_structs()))
def test_the_layout_rules_agree_with_ctypes_for_the_running_interpreter(name: str) -> None:
    kind = getattr(structs, name)
    expected = layout(kind, ctypes.sizeof(ctypes.c_void_p))
    assert expected.size == ctypes.sizeof(kind)
    assert expected.offsets == {field: getattr(kind, field).offset for field in expected.offsets}
    assert expected.sizes == {field: getattr(kind, field).size for field in expected.sizes}


def test_the_layout_for_32_bit_windows_needs_no_32_bit_python() -> None:
    wide, narrow = layout(structs.SID_AND_ATTRIBUTES, 8), layout(structs.SID_AND_ATTRIBUTES, 4)
    assert (wide.size, narrow.size) == (16, 8)
    assert (wide.offsets, narrow.offsets) == ({"Sid": 0, "Attributes": 8}, {"Sid": 0, "Attributes": 4})


MISTAKES = """
from __future__ import annotations

from ctypes import byref, c_uint32, c_void_p

from winsandbox._win32.advapi32 import AdjustTokenPrivileges, GetTokenInformation, OpenProcessToken
from winsandbox._win32.kernel32 import CloseHandle, CreateFileW, GetCurrentProcess, ResumeThread
from winsandbox._win32.structs import LUID, STARTUPINFOEXW
from winsandbox._win32.types import Handle, TokenHandle

out = c_void_p()
token = TokenHandle(Handle(4))
OpenProcessToken(GetCurrentProcess(), 8, out)  # right
CloseHandle(token)  # right
OpenProcessToken(GetCurrentProcess(), 8)  # 1
OpenProcessToken(token, 8, out)  # 2
OpenProcessToken(GetCurrentProcess(), "8", out)  # 3
OpenProcessToken(GetCurrentProcess(), 8, c_uint32())  # 4
CloseHandle(4)  # 5
GetTokenInformation(Handle(4), 1, None, 0, c_uint32())  # 6
CreateFileW(b"x", 0, 0, None, 0, 0, None)  # 7
CloseHandle(handle=token)  # 8
luid = LUID()
luid.LowPart = 1  # right
luid.Lowpart = 1  # 9
print(luid.Highpart)  # 10
luid.LowPart = "1"  # 11
STARTUPINFOEXW(cb=1)  # 12
number: str = ResumeThread(token)  # 13
"""


@needs("mypy")
def test_mypy_finds_wrong_calls_and_unknown_fields_on_both_platforms(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.py"
    wrong.write_text(textwrap.dedent(MISTAKES), encoding="utf-8")
    root = Path(__file__).resolve().parents[2]
    for platform in ("linux", "win32"):
        done = subprocess.run(
            [
                *(sys.executable, "-m", "mypy", "--strict", "--platform", platform, "--no-error-summary"),
                *("--config-file", "", "--cache-dir", str(tmp_path / "cache"), "--follow-imports", "silent"),
                str(wrong),
            ],
            cwd=root,
            env={**os.environ, "MYPYPATH": str(root)},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        reported = {
            int(line.split(":")[1]) for line in done.stdout.splitlines() if "wrong.py:" in line and ": error:" in line
        }
        expected = {
            number
            for number, line in enumerate(wrong.read_text(encoding="utf-8").splitlines(), 1)
            if line.rpartition("# ")[2].isdigit()
        }
        assert len(expected) == 13
        assert reported == expected, done.stdout + done.stderr
