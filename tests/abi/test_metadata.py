"""Prototypes and constants against PyPI's win32more, which is generated from Microsoft's metadata."""

from __future__ import annotations

import ctypes
import functools
import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Final, TypedDict, cast

import pytest

from tests.abi.headers import all_constants
from tests.abi.metadata import describe
from tests.abi.test_headers import COMPARED_HERE as COMPARED_WITH_HEADERS
from tests.capabilities import needs
from winsandbox._win32 import advapi32, constants, ffi, kernel32, ntdll, shell32, user32

pytestmark = [pytest.mark.oracle, needs("win32more")]

LIBRARIES: Final = (
    kernel32.kernel32,
    advapi32.advapi32,
    ntdll.ntdll,
    user32.user32,
    shell32.shell32,
    shell32.ole32,
)

# The native functions are in the driver kit's metadata, which win32more does not carry: test_headers compares them.
NOT_IN_THE_METADATA: Final = dict.fromkeys(COMPARED_WITH_HEADERS, "native; compared with the driver kit's headers")
NOT_IN_THE_METADATA.pop("RtlNtStatusToDosError")
# Compared with nothing.
UNCOMPARED: Final = {"wine_get_version": "Wine's own export; no Windows has it"}

# Constants of NtCreateFile and its like: the driver kit's, held against its headers
NATIVE_CONSTANTS: Final = {
    "FILE_SUPERSEDE",
    "FILE_OPEN",
    "FILE_CREATE",
    "FILE_OPEN_IF",
    "FILE_DIRECTORY_FILE",
    "FILE_SYNCHRONOUS_IO_NONALERT",
    "FILE_NON_DIRECTORY_FILE",
    "FILE_OPEN_FOR_BACKUP_INTENT",
    "FILE_OPEN_REPARSE_POINT",
    "FILE_OPEN_NO_RECALL",
    "FileIdBothDirectoryInformation",
    "FileIdExtdDirectoryInformation",
    "FileFsDeviceInformation",
    "FILE_REMOTE_DEVICE",
    "TOKEN_IS_RESTRICTED",
    "TOKEN_WRITE_RESTRICTED",
}


class Theirs(TypedDict):
    dll: str
    result: str
    parameters: list[str]


def declared() -> dict[str, ffi.Function[..., Any]]:
    return {name: function for library in LIBRARIES for name, function in library.functions.items()}


@functools.cache
def oracle() -> tuple[dict[str, Theirs], dict[str, int | str]]:
    asked = {
        "functions": sorted(declared()),
        "constants": [*all_constants(), *(f"FOLDERID_{name}" for name in constants.KNOWN_FOLDERS)],
    }
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("metadata.py"))],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    return answer["functions"], answer["constants"]


def ours(parameter: ffi.Parameter) -> str:
    return "word" if ffi.Mark.POINTER_SIZED in parameter.marks else describe(parameter.ctype)


def fits(mine: str, theirs: str) -> bool:
    """Whether our type crosses the ABI as theirs does, and means the same where both say what they mean.

    ``void *`` fits every pointer that is not text (structures of several kinds, buffers); a number stands for an
    enumeration of its size. A handle is a pointer in both.
    """
    if mine == "pointer":
        return theirs == "pointer" or theirs.startswith("pointer to ")
    if mine == "pointer to word" or theirs == "pointer to word":
        return {mine, theirs} <= {"pointer to word", "pointer to int64"}  # no width of its own behind a pointer
    if mine == "pointer to pointer":
        return theirs in {"pointer to pointer", "pointer to text"} or theirs.startswith("pointer to pointer to ")
    return mine == theirs


def differences(mine: ffi.Prototype, theirs: Theirs) -> list[str]:
    found = []
    if theirs["dll"].lower() != f"{mine.library}.dll":
        found.append(f"is in {theirs['dll']}")
    if len(theirs["parameters"]) != len(mine.parameters):
        found.append(f"has {len(theirs['parameters'])} parameters")
    else:
        found += [
            f"parameter {place} ({parameter.name}): {ours(parameter)}, theirs {wanted}"
            for place, (parameter, wanted) in enumerate(zip(mine.parameters, theirs["parameters"], strict=True))
            if not fits(ours(parameter), wanted)
        ]
    if not fits(describe(mine.returns.ctype), theirs["result"]):
        found.append(f"result: {describe(mine.returns.ctype)}, theirs {theirs['result']}")
    return found


@pytest.mark.parametrize("name", sorted(declared().keys() - NOT_IN_THE_METADATA - UNCOMPARED.keys()))
def test_a_prototype_is_the_metadatas(name: str) -> None:
    functions, _ = oracle()
    assert name in functions, "the metadata does not know it"
    assert differences(declared()[name].prototype, functions[name]) == []


def test_no_declared_function_is_left_uncompared() -> None:
    functions, _ = oracle()
    everything = set(declared())
    assert len(everything) > 110
    assert everything == (functions.keys() | NOT_IN_THE_METADATA.keys() | UNCOMPARED.keys())
    # a name that the metadata has learned in the meantime must leave the lists
    assert functions.keys().isdisjoint(NOT_IN_THE_METADATA.keys() | UNCOMPARED.keys())


def test_every_constant_is_the_metadatas() -> None:
    _, known = oracle()
    everything = all_constants()
    assert everything.keys() - known.keys() <= NATIVE_CONSTANTS
    wrong: dict[str, tuple[int | str, int | str]] = {}
    for name, value in everything.items():
        theirs = known.get(name, value)
        if isinstance(theirs, int) and isinstance(value, int):
            # the metadata has some with a sign
            if theirs & 0xFFFFFFFF != value & 0xFFFFFFFF:
                wrong[name] = (value, theirs)
        elif theirs != value:
            wrong[name] = (value, theirs)
    assert wrong == {}


def test_known_folders_are_the_metadatas() -> None:
    _, known = oracle()
    assert {name: known[f"FOLDERID_{name}"] for name in constants.KNOWN_FOLDERS} == {
        name: f"{{{identifier}}}" for name, identifier in constants.KNOWN_FOLDERS.items()
    }


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"dll": "NTDLL.dll"}, "is in NTDLL.dll"),
        ({"parameters": ["pointer", "int32"]}, "has 2 parameters"),
        ({"parameters": ["int32", "int32", "pointer to pointer"]}, "parameter 0 (process): pointer, theirs int32"),
        ({"parameters": ["pointer", "word", "pointer to pointer"]}, "parameter 1 (access): int32, theirs word"),
        ({"parameters": ["pointer", "int32", "pointer"]}, "parameter 2 (token): pointer to pointer, theirs pointer"),
        ({"result": "pointer"}, "result: int32, theirs pointer"),
    ],
)
def test_a_difference_is_reported(change: dict[str, Any], said: str) -> None:
    right = Theirs(dll="ADVAPI32.dll", result="int32", parameters=["pointer", "int32", "pointer to pointer"])
    mine = advapi32.OpenProcessToken.prototype
    assert differences(mine, right) == []
    assert differences(mine, cast(Theirs, {**right, **change})) == [said]


def test_structures_are_told_apart() -> None:
    assert fits("pointer to LUID", "pointer to LUID")
    assert not fits("pointer to LUID", "pointer to FILETIME")
    assert not fits("pointer", "text")
    assert not fits("text", "pointer")
    assert describe(ctypes.POINTER(ctypes.c_uint32)) == "pointer to int32"
