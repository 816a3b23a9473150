"""The words of the declarations: each names a Python type for mypy and a C type of fixed width for ctypes.

C's own names keep their meaning (DWORD is 32 bits everywhere). Handles are integers with a type of their own, so that a
process handle, a SID's address or a plain number cannot be passed where a token is wanted. How arguments are passed:

* a parameter for a structure takes the structure itself; ctypes takes its address;
* ``OUT_...`` takes a fresh ``ctypes`` object (``c_void_p()``, ``c_uint32()``), whose value is read afterwards;
* text is ``str``; a NUL inside it is refused (``ctypes.ArgumentError``), never cut off silently;
* a buffer that Windows fills is an array (``create_string_buffer``, ``create_unicode_buffer``).
"""

from __future__ import annotations

import ctypes
from ctypes import (
    POINTER,
    c_char,
    c_int32,
    c_int64,
    c_size_t,
    c_uint8,
    c_uint16,
    c_uint32,
    c_uint64,
    c_void_p,
    c_wchar_p,
)
from typing import TYPE_CHECKING, Annotated, Any, Final, NewType, TypeAlias

from .ffi import AnyPointer, Code, HandleValue, Mark, OptionalHandleValue, Returns, WideText

# --- handles ---------------------------------------------------------------------------------------------------------

Handle = NewType("Handle", int)
TokenHandle = NewType("TokenHandle", Handle)
ProcessHandle = NewType("ProcessHandle", Handle)
ThreadHandle = NewType("ThreadHandle", Handle)
JobHandle = NewType("JobHandle", Handle)
DesktopHandle = NewType("DesktopHandle", Handle)
KeyHandle = NewType("KeyHandle", Handle)

HANDLE: TypeAlias = Annotated[Handle, HandleValue]
OPTIONAL_HANDLE: TypeAlias = Annotated[Handle | None, OptionalHandleValue]
TOKEN: TypeAlias = Annotated[TokenHandle, HandleValue]
OPTIONAL_TOKEN: TypeAlias = Annotated[TokenHandle | None, OptionalHandleValue]
PROCESS: TypeAlias = Annotated[ProcessHandle, HandleValue]
THREAD: TypeAlias = Annotated[ThreadHandle, HandleValue]
JOB: TypeAlias = Annotated[JobHandle, HandleValue]
OPTIONAL_JOB: TypeAlias = Annotated[JobHandle | None, OptionalHandleValue]
HDESK: TypeAlias = Annotated[DesktopHandle, HandleValue]
HKEY: TypeAlias = Annotated[KeyHandle, HandleValue]

# A handle is as wide as a pointer; ctypes gives -1 back as the largest unsigned number.
INVALID_HANDLE: Final = Handle((1 << (8 * ctypes.sizeof(c_void_p))) - 1)

# --- numbers ---------------------------------------------------------------------------------------------------------

BOOL: TypeAlias = Annotated[int, c_int32]
BOOLEAN: TypeAlias = Annotated[int, c_uint8]
BYTE: TypeAlias = Annotated[int, c_uint8]
CCHAR: TypeAlias = Annotated[int, ctypes.c_int8]
USHORT: TypeAlias = Annotated[int, c_uint16]
WORD: TypeAlias = Annotated[int, c_uint16]
DWORD: TypeAlias = Annotated[int, c_uint32]
ULONG: TypeAlias = Annotated[int, c_uint32]
UINT: TypeAlias = Annotated[int, c_uint32]
LONG: TypeAlias = Annotated[int, c_int32]
LARGE_INTEGER: TypeAlias = Annotated[int, c_int64]
DWORD64: TypeAlias = Annotated[int, c_uint64]
SIZE_T: TypeAlias = Annotated[int, c_size_t, Mark.POINTER_SIZED]
ULONG_PTR: TypeAlias = Annotated[int, c_size_t, Mark.POINTER_SIZED]
NTSTATUS: TypeAlias = Annotated[int, c_int32]
ACCESS_MASK: TypeAlias = Annotated[int, c_uint32]

# --- text ------------------------------------------------------------------------------------------------------------

STR: TypeAlias = Annotated[str, WideText]
OPTIONAL_STR: TypeAlias = Annotated[str | None, WideText]
PATH: TypeAlias = Annotated[str, WideText, Mark.PATH]
OPTIONAL_PATH: TypeAlias = Annotated[str | None, WideText, Mark.PATH]
# create_unicode_buffer(); a call may write into it, as CreateProcess does into its command line
TEXT_BUFFER: TypeAlias = Annotated[ctypes.Array[ctypes.c_wchar], c_wchar_p]
OPTIONAL_TEXT_BUFFER: TypeAlias = Annotated[ctypes.Array[ctypes.c_wchar] | None, c_wchar_p]

# --- addresses -------------------------------------------------------------------------------------------------------

# What a pointer parameter takes: bytes that are only read, an array, a structure, a simple C object, an address.
if TYPE_CHECKING:
    Memory: TypeAlias = (
        bytes | ctypes.Array[Any] | ctypes.Structure | ctypes._SimpleCData[Any] | ctypes._Pointer[Any] | int | None
    )
else:
    Memory = object  # two of these have type parameters in typeshed only
POINTER_TO: TypeAlias = Annotated[Memory, AnyPointer]
# An address in a structure; who fills it keeps the object alive for as long as the structure is used.
ADDRESS: TypeAlias = Annotated[int | None, c_void_p]
# Self-relative security descriptors, SIDs, ACLs: their bytes, or an address that Windows gave
DESCRIPTOR: TypeAlias = Annotated[bytes | ctypes.Array[c_char] | int | None, AnyPointer]
SID: TypeAlias = Annotated[bytes | ctypes.Array[c_char] | int | None, AnyPointer]
ACL: TypeAlias = Annotated[bytes | ctypes.Array[c_char] | int | None, AnyPointer]

OUT_HANDLE: TypeAlias = Annotated[c_void_p, POINTER(c_void_p)]
OUT_ADDRESS: TypeAlias = Annotated[c_void_p, POINTER(c_void_p)]
OPTIONAL_OUT_ADDRESS: TypeAlias = Annotated[c_void_p | None, POINTER(c_void_p)]
OUT_DWORD: TypeAlias = Annotated[c_uint32, POINTER(c_uint32)]
OPTIONAL_OUT_DWORD: TypeAlias = Annotated[c_uint32 | None, POINTER(c_uint32)]
OUT_LONG: TypeAlias = Annotated[c_int32, POINTER(c_int32)]
OUT_BOOL: TypeAlias = Annotated[c_int32, POINTER(c_int32)]
OUT_SIZE_T: TypeAlias = Annotated[c_size_t, POINTER(c_size_t)]
OPTIONAL_OUT_SIZE_T: TypeAlias = Annotated[c_size_t | None, POINTER(c_size_t)]
OUT_ULONG_PTR: TypeAlias = Annotated[c_size_t, POINTER(c_size_t)]
OUT_USHORT: TypeAlias = Annotated[c_uint16, POINTER(c_uint16)]
OPTIONAL_LARGE_INTEGER: TypeAlias = Annotated[c_int64 | None, POINTER(c_int64)]

# --- error conventions: the return types -----------------------------------------------------------------------------


def _is_false(result: int) -> bool:
    return result == 0


def _is_nonzero(result: int) -> bool:
    return result != 0


def _is_negative(result: int) -> bool:
    return result < 0


def _is_null(result: int | None) -> bool:
    return not result  # ctypes gives NULL back as None


def _is_invalid_handle(result: int | None) -> bool:
    return result is None or result == INVALID_HANDLE


def _is_all_ones(result: int) -> bool:
    return result == 0xFFFFFFFF


# BOOL: FALSE raises the last error
SUCCEEDS: TypeAlias = Annotated[None, Returns(c_int32, _is_false, Code.LAST_ERROR)]
# DWORD, LSTATUS: the result is the code, 0 is success
ERROR_CODE: TypeAlias = Annotated[None, Returns(c_uint32, _is_nonzero, Code.RESULT)]
# NTSTATUS: warnings and errors (both negative) raise; the success and informational ones are told apart by the caller
NT_STATUS: TypeAlias = Annotated[int, Returns(c_int32, _is_negative, Code.STATUS)]
# HRESULT: negative raises
H_RESULT: TypeAlias = Annotated[int, Returns(c_int32, _is_negative, Code.HRESULT)]
# HANDLE: NULL raises the last error
NEW_HANDLE: TypeAlias = Annotated[Handle, Returns(c_void_p, _is_null, Code.LAST_ERROR)]
NEW_PROCESS: TypeAlias = Annotated[ProcessHandle, Returns(c_void_p, _is_null, Code.LAST_ERROR)]
NEW_JOB: TypeAlias = Annotated[JobHandle, Returns(c_void_p, _is_null, Code.LAST_ERROR)]
NEW_DESKTOP: TypeAlias = Annotated[DesktopHandle, Returns(c_void_p, _is_null, Code.LAST_ERROR)]
# HANDLE: INVALID_HANDLE_VALUE raises the last error
FILE_HANDLE: TypeAlias = Annotated[Handle, Returns(c_void_p, _is_invalid_handle, Code.LAST_ERROR)]
# DWORD: all ones raise the last error (a wait, a resume count, file attributes)
COUNT: TypeAlias = Annotated[int, Returns(c_uint32, _is_all_ones, Code.LAST_ERROR)]
# DWORD: a number of characters or bytes; 0 raises the last error
LENGTH: TypeAlias = Annotated[int, Returns(c_uint32, _is_false, Code.LAST_ERROR)]


def taken(out: c_void_p) -> Handle:
    """The handle that a call stored in `out`."""
    if out.value is None:
        raise ValueError("no handle was stored")
    return Handle(out.value)
