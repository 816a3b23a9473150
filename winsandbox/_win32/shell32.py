# mypy: disable-error-code="empty-body"
"""shell32.dll and ole32.dll: the known folders.

Each docstring names the header; the page on Microsoft Learn is ``windows/win32/api/<header>/nf-<header>-<function>``,
in small letters.
"""

from __future__ import annotations

from typing import Annotated

from .ffi import Library, plain
from .structs import GUID
from .types import DWORD, H_RESULT, OPTIONAL_TOKEN, OUT_ADDRESS, POINTER_TO

shell32 = Library("shell32")
ole32 = Library("ole32")


@shell32.function
def SHGetKnownFolderPath(folder: GUID, flags: DWORD, token: OPTIONAL_TOKEN, path: OUT_ADDRESS, /) -> H_RESULT:
    """shlobj_core.h; freed by CoTaskMemFree, on failure too"""


@ole32.function
def CoTaskMemFree(memory: POINTER_TO, /) -> Annotated[None, plain(None, "returns nothing")]:
    """combaseapi.h"""
