"""Layouts, constants and native prototypes against mingw-w64's headers, for 64-bit and 32-bit Windows."""

from __future__ import annotations

import ctypes
import re
from typing import Final

import pytest

from tests.abi.headers import (
    COMPILERS,
    KERNEL_PRELUDE,
    PRELUDE,
    SHELL_PRELUDE,
    all_constants,
    all_structs,
    complaints,
    constant_assert,
    layout_asserts,
    preprocessed,
    prototype,
)
from tests.capabilities import needs
from winsandbox._win32 import constants, ffi, ntdll
from winsandbox._win32.types import DWORD, LARGE_INTEGER, ULONG_PTR

pytestmark = [pytest.mark.oracle, needs("mingw x64", "mingw x86")]

# Newer than the headers of Debian 12; test_metadata holds them against Microsoft's metadata.
NEWER_THAN_THE_HEADERS: Final = {
    "FILE_ATTRIBUTE_RECALL_ON_OPEN",
    "FILE_ATTRIBUTE_RECALL_ON_DATA_ACCESS",
    "FileDispositionInfoEx",
    "FileRenameInfoEx",
}
KERNEL_ONLY: Final = {
    "FILE_REMOTE_DEVICE",
    "FileIdExtdDirectoryInformation",
    "TOKEN_IS_RESTRICTED",
    "TOKEN_WRITE_RESTRICTED",
}
SHELL_ONLY: Final = {"KF_FLAG_DONT_VERIFY"}


@pytest.fixture(params=sorted(COMPILERS), ids=lambda size: f"{8 * size}-bit")
def pointer_size(request: pytest.FixtureRequest) -> int:
    size: int = request.param
    return size


def test_every_layout_is_the_compilers(pointer_size: int) -> None:
    kinds = all_structs()
    assert len(kinds) > 45
    lines = [line for name, kind in kinds.items() for line in layout_asserts(name, kind, pointer_size)]
    assert complaints(COMPILERS[pointer_size], lines) == []


def test_every_constant_is_the_headers(pointer_size: int) -> None:
    everything = all_constants()
    assert len(everything) > 250
    windows = everything.keys() - NEWER_THAN_THE_HEADERS - KERNEL_ONLY - SHELL_ONLY
    compiler = COMPILERS[pointer_size]
    assert complaints(compiler, [constant_assert(name, everything[name]) for name in sorted(windows)]) == []
    kernel = [constant_assert(name, everything[name]) for name in sorted(KERNEL_ONLY)]
    assert complaints(compiler, kernel, KERNEL_PRELUDE) == []
    shell = [constant_assert(name, everything[name]) for name in sorted(SHELL_ONLY)]
    assert complaints(compiler, shell, SHELL_PRELUDE) == []


def test_constants_left_out_are_really_absent() -> None:
    said = complaints(COMPILERS[8], [constant_assert(name, 0) for name in sorted(NEWER_THAN_THE_HEADERS)])
    absent = {name for name in NEWER_THAN_THE_HEADERS if any("undeclared" in line and name in line for line in said)}
    assert absent == NEWER_THAN_THE_HEADERS, "the headers know the others now: take them off the list"


def test_known_folder_identifiers_are_the_headers() -> None:
    text = preprocessed(COMPILERS[8], PRELUDE)
    number = r"\s*(0x[0-9a-fA-F]+|\d+)\s*"
    for name, identifier in constants.KNOWN_FOLDERS.items():
        match = re.search(
            rf"\bFOLDERID_{name} = {{{number},{number},{number},\s*{{" + ",".join([number] * 8) + r"\}\s*\}", text
        )
        assert match is not None, name
        one, two, three, *rest = (int(group, 0) for group in match.groups())
        digits = f"{one:08x}{two:04x}{three:04x}" + "".join(f"{byte:02x}" for byte in rest)
        assert digits == identifier.replace("-", ""), name


def native_asserts(name: str, types: list[str], pointer_size: int) -> list[str]:
    """For each parameter of a native function: the same size, and a pointer where ours is one."""
    lines = []
    for place, (parameter, theirs) in enumerate(
        zip(ntdll.ntdll.functions[name].prototype.parameters, types, strict=True)
    ):
        is_pointer = issubclass(parameter.ctype, (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_wchar_p, ctypes._Pointer))
        size = pointer_size if is_pointer else ctypes.sizeof(parameter.ctype)
        label = f"{name}, parameter {place} ({parameter.name}): {theirs}"
        # __builtin_classify_type: 5 is a pointer, 1 an integer or (in C) an enumeration
        lines.append(
            f"_Static_assert(sizeof({theirs}) == {size} && "
            f'(__builtin_classify_type(({theirs})0) == 5) == {int(is_pointer)}, "[{label}]");'
        )
    return lines


# RtlNtStatusToDosError stands in Microsoft's metadata, and is compared there too
COMPARED_HERE: Final = sorted(ntdll.ntdll.functions.keys() - {"wine_get_version"})


def test_every_native_prototype_is_the_headers(pointer_size: int) -> None:
    compiler = COMPILERS[pointer_size]
    left = list(COMPARED_HERE)
    assert len(left) >= 10
    for prelude in (KERNEL_PRELUDE, PRELUDE):
        text = preprocessed(compiler, prelude)
        lines: list[str] = []
        for name in list(left):
            types = prototype(text, name)
            if types is not None:
                left.remove(name)
                assert len(types) == len(ntdll.ntdll.functions[name].prototype.parameters), name
                lines += native_asserts(name, types, pointer_size)
        assert complaints(compiler, lines, prelude) == []
    assert left == [], "no header declares these"


# --- the checks can fail ---------------------------------------------------------------------------------------------


@ffi.struct
class _Misdrawn(ffi.Struct):
    """JOBOBJECT_BASIC_LIMIT_INFORMATION with two fields exchanged and one too narrow."""

    PerProcessUserTimeLimit: LARGE_INTEGER
    LimitFlags: DWORD
    PerJobUserTimeLimit: LARGE_INTEGER
    MinimumWorkingSetSize: DWORD
    MaximumWorkingSetSize: ULONG_PTR
    ActiveProcessLimit: DWORD
    Affinity: ULONG_PTR
    PriorityClass: DWORD
    SchedulingClass: DWORD


def test_a_wrong_layout_is_reported(pointer_size: int) -> None:
    said = complaints(
        COMPILERS[pointer_size], layout_asserts("JOBOBJECT_BASIC_LIMIT_INFORMATION", _Misdrawn, pointer_size)
    )
    assert "JOBOBJECT_BASIC_LIMIT_INFORMATION.LimitFlags: offset 8" in said
    assert "JOBOBJECT_BASIC_LIMIT_INFORMATION.PerJobUserTimeLimit: offset 16" in said
    assert ("JOBOBJECT_BASIC_LIMIT_INFORMATION.MinimumWorkingSetSize: size 4" in said) == (pointer_size == 8)


def test_the_other_pointer_size_is_reported() -> None:
    lines = [line for name, kind in all_structs().items() for line in layout_asserts(name, kind, 8)]
    said = complaints(COMPILERS[4], lines)
    assert "STARTUPINFOW: size 104" in said
    assert len(said) > 60


def test_a_wrong_or_unknown_constant_is_reported(pointer_size: int) -> None:
    wrong: dict[str, int | str] = {
        "WRITE_RESTRICTED": 4,
        "SE_CHANGE_NOTIFY_NAME": "SeBackupPrivilege",
        "WRITE_RESTRICTD": 8,
        "LUA_TOKEN": 4,
    }
    said = complaints(COMPILERS[pointer_size], [constant_assert(name, value) for name, value in wrong.items()])
    assert said[:2] == ["WRITE_RESTRICTED: 0x4", "SE_CHANGE_NOTIFY_NAME: SeBackupPrivilege"]
    assert "undeclared" in said[2]
    assert not any("LUA_TOKEN" in line for line in said)


def test_a_wrong_native_prototype_is_reported(pointer_size: int) -> None:
    wrong = ["ULONG", "ULONG", "PVOID", "ULONG", "PULONG"]  # the handle is a pointer
    said = complaints(
        COMPILERS[pointer_size], native_asserts("NtQuerySecurityObject", wrong, pointer_size), KERNEL_PRELUDE
    )
    assert said == ["NtQuerySecurityObject, parameter 0 (handle): ULONG"]
