"""Owned handles, and the way between them and the typed numbers that the declarations take.

The owner is :class:`~._host.Handle`, the same for every host: closed once, by ``with``, ``close`` or when forgotten.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence

from .. import _host
from .advapi32 import RegCloseKey
from .constants import DuplicateFlags
from .kernel32 import CloseHandle, DuplicateHandle, GetCurrentProcess, LocalFree
from .types import DesktopHandle, Handle, JobHandle, KeyHandle, ProcessHandle, ThreadHandle, TokenHandle, taken
from .user32 import CloseDesktop


def own(value: Handle) -> _host.Handle:
    """Who makes a handle calls this at once; from here on it cannot leak."""
    return _host.Handle(value, lambda number: CloseHandle(Handle(number)))


def own_taken(out: ctypes.c_void_p) -> _host.Handle:
    """The handle that a call stored in `out`, owned."""
    return own(taken(out))


def own_desktop(value: DesktopHandle) -> _host.Handle:
    return _host.Handle(value, lambda number: CloseDesktop(DesktopHandle(Handle(number))))


def own_key(out: ctypes.c_void_p) -> _host.Handle:
    return _host.Handle(taken(out), lambda number: RegCloseKey(KeyHandle(Handle(number))))


def any_handle(handle: _host.Handle) -> Handle:
    return Handle(handle.value)


def token_handle(handle: _host.Handle) -> TokenHandle:
    return TokenHandle(Handle(handle.value))


def process_handle(handle: _host.Handle) -> ProcessHandle:
    return ProcessHandle(Handle(handle.value))


def thread_handle(handle: _host.Handle) -> ThreadHandle:
    return ThreadHandle(Handle(handle.value))


def job_handle(handle: _host.Handle) -> JobHandle:
    return JobHandle(Handle(handle.value))


def key_handle(handle: _host.Handle) -> KeyHandle:
    return KeyHandle(Handle(handle.value))


def duplicate(source: Handle, *, inheritable: bool = False) -> _host.Handle:
    """A second handle of this process to the same object, with the same access."""
    here = GetCurrentProcess()
    out = ctypes.c_void_p()
    DuplicateHandle(here, source, here, out, 0, int(inheritable), DuplicateFlags.DUPLICATE_SAME_ACCESS)
    return own_taken(out)


class LocalMemory:
    """A block that Windows allocated for the caller (LocalFree), for the length of a ``with``."""

    def __init__(self, out: ctypes.c_void_p) -> None:
        self._out = out

    def __enter__(self) -> int:
        if self._out.value is None:
            raise ValueError("no address was stored")
        return self._out.value

    def __exit__(self, *exception: object) -> None:
        LocalFree(self._out.value)


def array_of_handles(handles: Sequence[int]) -> ctypes.Array[ctypes.c_void_p]:
    return (ctypes.c_void_p * len(handles))(*handles)


def sized(call: Callable[[ctypes.Array[ctypes.c_char] | None, int], int | None], first: int = 0) -> bytes:
    """The size protocol of the Get... functions: `call` fills a buffer, or gives the size that it needs.

    The object may grow between two calls (another process writes its descriptor), so a too small answer is no error
    but another round; the rounds are bounded all the same.
    """
    size = first
    for _ in range(16):
        buffer = ctypes.create_string_buffer(size) if size else None
        needed = call(buffer, size)
        if needed is None:
            return b"" if buffer is None else buffer.raw
        size = max(needed, size + 1)
    raise OSError("an object grew faster than it could be read")
