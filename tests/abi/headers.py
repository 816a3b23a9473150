"""What mingw-w64's headers say, asked by ``_Static_assert``: nothing is run, only the syntax is checked.

Layouts and constants are compared for 64-bit and 32-bit Windows, each with its own compiler.
"""

from __future__ import annotations

import enum
import functools
import re
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import pytest

from winsandbox._win32 import constants, structs
from winsandbox._win32.ffi import Struct, layout

COMPILERS: Final = {8: "x86_64-w64-mingw32-gcc", 4: "i686-w64-mingw32-gcc"}

PRELUDE: Final = """
#define UNICODE
#define WIN32_LEAN_AND_MEAN
#define WINVER 0x0A00
#define _WIN32_WINNT 0x0A00
#define NTDDI_VERSION 0x0A00000B
#define WIN32_NO_STATUS
#include <windows.h>
#undef WIN32_NO_STATUS
#include <ntstatus.h>
#include <winternl.h>
#include <winioctl.h>
#include <aclapi.h>
#include <sddl.h>
#include <knownfolders.h>
#include <stddef.h>
#undef TEXT
#define TEXT(quoted) quoted
"""

# The shell's headers take as long as all others together; only what stands in them is compiled with these.
SHELL_PRELUDE: Final = "#include <windows.h>\n#include <shlobj.h>\n"

# The kernel's headers do not go together with windows.h.
KERNEL_PRELUDE: Final = """
#define _WIN32_WINNT 0x0A00
#define NTDDI_VERSION 0x0A00000B
#include <ntdef.h>
#include <ddk/ntifs.h>
#include <stddef.h>
"""


def all_structs() -> dict[str, type[Struct]]:
    """Every structure that is declared, by name."""
    return {
        name: value
        for name, value in vars(structs).items()
        if isinstance(value, type) and issubclass(value, Struct) and value is not Struct
    }


def all_constants() -> dict[str, int | str]:
    """Every constant that is declared, those of the enumerations included, by its Windows name."""
    found: dict[str, int | str] = {}
    for name, value in vars(constants).items():
        if isinstance(value, type) and issubclass(value, enum.IntEnum | enum.IntFlag) and value.__members__:
            found |= {member: int(number) for member, number in value.__members__.items()}
        elif name.isupper() and isinstance(value, int | str):
            found[name] = value
    return found


def layout_asserts(name: str, kind: type[Struct], pointer_size: int) -> list[str]:
    """One assertion for the size, one for each field's offset and one for its size."""
    expected = layout(kind, pointer_size)
    lines = [_assert(f"sizeof({name}) == {expected.size}", f"{name}: size {expected.size}")]
    for field, offset in expected.offsets.items():
        lines.append(_assert(f"offsetof({name}, {field}) == {offset}", f"{name}.{field}: offset {offset}"))
        size = expected.sizes[field]
        lines.append(_assert(f"sizeof((({name} *)0)->{field}) == {size}", f"{name}.{field}: size {size}"))
    return lines


def constant_assert(name: str, value: int | str) -> str:
    """Equality of a constant; numbers are compared as 32 bits, because headers differ in their signs."""
    if isinstance(value, str):
        return _assert(f'__builtin_strcmp({name}, "{value}") == 0', f"{name}: {value}")
    return _assert(f"(unsigned)({name}) == {value & 0xFFFFFFFF}u", f"{name}: {value:#x}")


def _assert(condition: str, label: str) -> str:
    return f'_Static_assert({condition}, "[{label}]");'


def complaints(compiler: str, lines: Iterable[str], prelude: str = PRELUDE) -> list[str]:
    """What the compiler says against `lines`: the labels of assertions that fail, and its errors as they stand."""
    done = _run(compiler, "-fsyntax-only", source=prelude + "\n".join(lines) + "\n")
    found = [
        label.group(1) if (label := re.search(r'static assertion failed: "\[(.*?)\]"', line)) else line
        for line in done.stderr.splitlines()
        # ours stand in <stdin>; the driver kit's headers disagree among themselves about REPARSE_DATA_BUFFER
        if "fatal error:" in line or ("error:" in line and line.startswith("<stdin>"))
    ]
    if done.returncode != 0 and "error:" not in done.stderr:
        found.append(f"the compiler ended with {done.returncode}: {done.stderr}")
    return found


@functools.cache
def preprocessed(compiler: str, prelude: str) -> str:
    """The headers as the compiler sees them, macros expanded."""
    done = _run(compiler, "-E", "-P", "-DINITGUID", source=prelude)
    if done.returncode != 0:
        pytest.fail(f"the headers do not go through {compiler}: {done.stderr[:400]}")
    return done.stdout


def prototype(text: str, name: str) -> list[str] | None:
    """The types of a function's parameters in preprocessed headers; the kernel's Zw twin stands in for an Nt name."""
    for spelling in (name, f"Zw{name[2:]}" if name.startswith("Nt") else name):
        if match := re.search(rf"\b{spelling}\s*\(([^()]*)\)\s*;", text):
            parameters = [" ".join(parameter.split()) for parameter in match[1].split(",")]
            # the last word is the parameter's name
            return [re.sub(r"\s*\b\w+$", "", parameter) for parameter in parameters]
    return None


@functools.cache
def kernel_includes(compiler: str) -> tuple[str, ...]:
    """The folder of the driver kit's headers, which include each other without naming it."""
    listing = _run(compiler, "-E", "-v", source="").stderr
    folders = [Path(line.strip(), "ddk") for line in listing.splitlines() if line.startswith(" /")]
    return tuple(f"-I{folder}" for folder in folders if folder.is_dir())


@functools.cache
def _program(compiler: str) -> str | None:
    return shutil.which(compiler)


def _run(compiler: str, *options: str, source: str) -> subprocess.CompletedProcess[str]:
    program = _program(compiler)
    if program is None:
        raise OSError(f"{compiler} is not installed (Debian: gcc-mingw-w64-x86-64, gcc-mingw-w64-i686)")
    if source.startswith(KERNEL_PRELUDE):
        options += kernel_includes(compiler)
    return subprocess.run(
        [program, *options, "-fmax-errors=0", "-w", "-x", "c", "-"],
        input=source,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
