# mypy: disable-error-code="empty-body"
"""user32.dll: desktops and the window station.

Each docstring names the header; the page on Microsoft Learn is ``windows/win32/api/<header>/nf-<header>-<function>``,
in small letters.
"""

from __future__ import annotations

from .ffi import Library
from .structs import SECURITY_ATTRIBUTES
from .types import (
    DESCRIPTOR,
    DWORD,
    HANDLE,
    HDESK,
    NEW_DESKTOP,
    NEW_HANDLE,
    OPTIONAL_OUT_DWORD,
    OPTIONAL_STR,
    OUT_DWORD,
    POINTER_TO,
    STR,
    SUCCEEDS,
)

user32 = Library("user32")


@user32.function
def CreateDesktopW(
    name: STR,
    device: OPTIONAL_STR,
    mode: POINTER_TO,
    flags: DWORD,
    access: DWORD,
    security: SECURITY_ATTRIBUTES | None,
    /,
) -> NEW_DESKTOP:
    """winuser.h"""


@user32.function
def CloseDesktop(desktop: HDESK, /) -> SUCCEEDS:
    """winuser.h"""


@user32.function
def GetProcessWindowStation() -> NEW_HANDLE:
    """winuser.h; not to be closed"""


@user32.function
def GetThreadDesktop(thread: DWORD, /) -> NEW_DESKTOP:
    """winuser.h; not to be closed"""


@user32.function
def GetUserObjectInformationW(
    handle: HANDLE, kind: DWORD, buffer: POINTER_TO, size: DWORD, needed: OPTIONAL_OUT_DWORD, /
) -> SUCCEEDS:
    """winuser.h"""


@user32.function
def GetUserObjectSecurity(
    handle: HANDLE, information: OUT_DWORD, descriptor: POINTER_TO, size: DWORD, needed: OUT_DWORD, /
) -> SUCCEEDS:
    """winuser.h"""


@user32.function
def SetUserObjectSecurity(handle: HANDLE, information: OUT_DWORD, descriptor: DESCRIPTOR, /) -> SUCCEEDS:
    """winuser.h"""
