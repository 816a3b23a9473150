"""Prints, as JSON, what PyPI's win32more (generated from Microsoft's win32metadata) says of functions and constants.

A program of its own, because win32more needs a ctypes that looks like Windows': nothing of that may reach the tests.

    python metadata.py < {"functions": [name, ...], "constants": [name, ...]}

A function comes out as ``{"dll": ..., "result": type, "parameters": [type, ...]}``; a type as one of

    "void"   "int8" ... "int64"   "word" (as wide as a pointer)   "text"   "pointer" (void *)
    "pointer to " + one of these or the name of a structure
"""

from __future__ import annotations

import ctypes
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import json
import re
import sys
import types
from _ctypes import CFuncPtr
from pathlib import Path
from typing import Any


def pretend() -> Path:
    """Make the package importable here; returns its folder."""
    spec = importlib.util.find_spec("win32more")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("win32more is not installed")
    folder = Path(next(iter(spec.submodule_search_locations)))
    if sys.platform != "win32":
        vars(ctypes).update(WINFUNCTYPE=ctypes.CFUNCTYPE, windll=None, WinError=OSError)
        sys.version += " (AMD64)"
    package = types.ModuleType("win32more")  # its __init__ calls COM
    package.__path__ = [str(folder)]
    sys.modules["win32more"] = package
    sys.meta_path.append(Absent())
    return folder


class Absent(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Empty modules for the parts (WinRT) that other distributions hold and some modules import."""

    def find_spec(
        self, fullname: str, path: object = None, target: object = None
    ) -> importlib.machinery.ModuleSpec | None:
        if not fullname.startswith("win32more."):
            return None
        return importlib.machinery.ModuleSpec(fullname, self, is_package=True)

    def exec_module(self, module: types.ModuleType) -> None:
        """Leave it empty."""


def homes(folder: Path, names: set[str]) -> dict[str, str]:
    """In which module each name is defined."""
    found: dict[str, str] = {}
    definition = re.compile(r"^(?:def (\w+)\(|(\w+)(?:: [^=\n]+)? = )", re.MULTILINE)
    for path in sorted((folder / "Windows").rglob("*.py")):
        for match in definition.finditer(path.read_text(encoding="utf-8")):
            name = match[1] or match[2]
            if name in names and name not in found:
                parts = path.relative_to(folder.parent).with_suffix("").parts
                found[name] = ".".join(part for part in parts if part != "__init__")
    return found


def describe(ctype: Any, annotation: str = "") -> str:
    """A ctypes type as one of the words above."""
    if ctype is None:
        return "void"
    if annotation in {"UIntPtr", "IntPtr"}:
        return "word"
    if issubclass(ctype, ctypes._Pointer):
        return f"pointer to {describe(ctype._type_)}"
    if issubclass(ctype, (ctypes.Structure, ctypes.Union)):
        return "GUID" if ctype.__name__ == "Guid" else ctype.__name__
    if issubclass(ctype, ctypes.c_wchar_p):
        return "text"
    if issubclass(ctype, (ctypes.c_void_p, ctypes.c_char_p, CFuncPtr)):
        return "pointer"
    return f"int{8 * ctypes.sizeof(ctype)}"


def main() -> None:
    asked = json.load(sys.stdin)
    where = homes(pretend(), {*asked["functions"], *asked["constants"]})
    hints_of = importlib.import_module("win32more._win32").get_type_hints
    functions = {}
    for name in asked["functions"]:
        if name not in where:
            continue
        function = getattr(importlib.import_module(where[name]), name)
        prototype = function._prototype
        hints = hints_of(prototype)
        texts = prototype.__annotations__
        functions[name] = {
            "dll": function._library,
            "result": describe(hints.pop("return"), texts["return"]),
            "parameters": [describe(hint, texts[parameter]) for parameter, hint in hints.items()],
        }
    constants = {}
    for name in asked["constants"]:
        if name in where:
            value = getattr(importlib.import_module(where[name]), name)
            constants[name] = getattr(value, "value", value)
    json.dump({"functions": functions, "constants": constants}, sys.stdout, default=str)


if __name__ == "__main__":
    main()
