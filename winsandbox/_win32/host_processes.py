"""WindowsHost's processes: CreateProcessAsUserW with exactly the handles and the job that the request names.

Sources: Microsoft Learn, "CreateProcessAsUserW function", "UpdateProcThreadAttribute function", "Job Objects", "Nested
Jobs", "CreateDesktopW function". Pipes and standard streams stand in :mod:`.host_pipes`.
"""

from __future__ import annotations

import ctypes
import os
import time
from contextlib import ExitStack
from typing import Final

from .. import _host
from ..environment import block
from ..errors import WinError
from .advapi32 import CreateProcessAsUserW
from .constants import (
    CTRL_BREAK_EVENT,
    INFINITE,
    WSF_VISIBLE,
    CreationFlags,
    DesktopRights,
    ProcessRights,
    ProcThreadAttribute,
    StandardRights,
    StartupFlags,
    SystemError_,
    UserObjectInformation,
    Wait,
)
from .ffi import size_of
from .handles import any_handle, array_of_handles, duplicate, own, own_desktop, process_handle, token_handle
from .host_jobs import HostJobs
from .host_pipes import HostPipes
from .kernel32 import (
    DeleteProcThreadAttributeList,
    GenerateConsoleCtrlEvent,
    GetCurrentProcess,
    GetCurrentProcessId,
    GetCurrentThreadId,
    GetExitCodeProcess,
    GetProcessTimes,
    InitializeProcThreadAttributeList,
    OpenProcess,
    UpdateProcThreadAttribute,
    WaitForSingleObject,
)
from .structs import FILETIME, PROCESS_INFORMATION, SECURITY_ATTRIBUTES, STARTUPINFOEXW, USEROBJECTFLAGS
from .types import Handle, ProcessHandle
from .user32 import CreateDesktopW, GetProcessWindowStation, GetThreadDesktop, GetUserObjectInformationW

_LONGEST_COMMAND_LINE: Final = 32767  # UTF-16 code units with the NUL, "CreateProcessAsUserW function"
# CreateDesktopW makes a window through the handle, so it insists on DESKTOP_CREATEWINDOW.
_DESKTOP_ACCESS: Final = DesktopRights.DESKTOP_CREATEWINDOW | DesktopRights.DESKTOP_READOBJECTS


class HostProcesses(HostPipes, HostJobs):
    """``Processes`` on Windows."""

    def environment(self) -> dict[str, str]:
        return dict(os.environ)

    def start(self, request: _host.StartRequest) -> _host.Started:
        line = _command_line(request.command_line)
        environment = block(request.environment).encode("utf-16-le", "surrogatepass")
        made = PROCESS_INFORMATION()
        with ExitStack() as undo:
            # Inheritable copies that live for this call only. Children of others that are started in between by
            # somebody who inherits everything could still get them; no child of ours does, it has a list.
            copies = _inheritable(request.handles, undo)
            passed = list(dict.fromkeys(copy for copy in copies if copy is not None))
            attributes = _Attributes(2, undo)
            attributes.add(ProcThreadAttribute.PROC_THREAD_ATTRIBUTE_JOB_LIST, [request.job.value])
            if passed:  # an empty list is an error
                attributes.add(ProcThreadAttribute.PROC_THREAD_ATTRIBUTE_HANDLE_LIST, passed)
            startup = STARTUPINFOEXW()
            startup.StartupInfo.cb = size_of(startup)
            startup.StartupInfo.lpDesktop = request.desktop
            startup.StartupInfo.dwFlags = StartupFlags.STARTF_USESTDHANDLES
            startup.StartupInfo.hStdInput, startup.StartupInfo.hStdOutput, startup.StartupInfo.hStdError = copies
            startup.lpAttributeList = attributes.address
            CreateProcessAsUserW(
                *(token_handle(request.token), request.application, line, None, None, int(bool(passed))),
                request.flags | CreationFlags.CREATE_UNICODE_ENVIRONMENT | CreationFlags.EXTENDED_STARTUPINFO_PRESENT,
                *(environment, request.cwd, startup, made),
            )
        process = own(Handle(made.hProcess or 0))
        own(Handle(made.hThread or 0)).close()
        return _host.Started(process, made.dwProcessId)

    def wait(self, process: _host.Handle, timeout: float | None) -> bool:
        return _wait(any_handle(process), timeout)

    def exit_code(self, process: _host.Handle) -> int:
        code = ctypes.c_uint32()
        GetExitCodeProcess(process_handle(process), code)
        return code.value

    def control_break(self, pid: int) -> None:
        GenerateConsoleCtrlEvent(CTRL_BREAK_EVENT, pid)

    def station(self) -> _host.Station:
        station = GetProcessWindowStation()
        flags = USEROBJECTFLAGS()
        GetUserObjectInformationW(station, UserObjectInformation.UOI_FLAGS, flags, size_of(flags), None)
        return _host.Station(
            _object_name(station),
            bool(flags.dwFlags & WSF_VISIBLE),
            _object_name(GetThreadDesktop(GetCurrentThreadId())),
        )

    def create_desktop(self, name: str, descriptor: bytes) -> _host.Handle:
        buffer = ctypes.create_string_buffer(descriptor, len(descriptor))
        security = SECURITY_ATTRIBUTES()
        security.nLength = size_of(security)
        security.lpSecurityDescriptor = ctypes.addressof(buffer)
        return own_desktop(CreateDesktopW(name, None, None, 0, _DESKTOP_ACCESS, security))

    def current(self) -> _host.ProcessId:
        return _host.ProcessId(GetCurrentProcessId(), _created(GetCurrentProcess()))

    def alive(self, process: _host.ProcessId) -> bool:
        access = ProcessRights.PROCESS_QUERY_LIMITED_INFORMATION | StandardRights.SYNCHRONIZE
        try:
            found = own(OpenProcess(access, 0, process.pid))
        except WinError as error:
            if error.winerror == SystemError_.ERROR_ACCESS_DENIED:
                return True  # something has that number and does not say what: what it may hold is left alone
            if error.winerror == SystemError_.ERROR_INVALID_PARAMETER:
                return False  # no process has that number
            raise
        with found:
            return not _wait(any_handle(found), 0) and _created(process_handle(found)) == process.created

    def clock(self) -> float:
        return time.monotonic()

    def time(self) -> float:
        return time.time()

    def random(self, size: int) -> bytes:
        return os.urandom(size)


class _Attributes:
    """A list of attributes for STARTUPINFOEX; it and the values that it points to live until `undo` ends."""

    def __init__(self, count: int, undo: ExitStack) -> None:
        size = ctypes.c_size_t()
        try:
            InitializeProcThreadAttributeList(None, count, 0, size)
        except WinError as error:
            if error.winerror != SystemError_.ERROR_INSUFFICIENT_BUFFER:
                raise
        self._list = ctypes.create_string_buffer(size.value)
        InitializeProcThreadAttributeList(self._list, count, 0, size)
        undo.callback(DeleteProcThreadAttributeList, self._list)
        self._values: list[ctypes.Array[ctypes.c_void_p]] = []
        self.address = ctypes.addressof(self._list)

    def add(self, attribute: ProcThreadAttribute, handles: list[int]) -> None:
        values = array_of_handles(handles)
        self._values.append(values)
        UpdateProcThreadAttribute(self._list, 0, attribute, values, ctypes.sizeof(values), None, None)


def _inheritable(
    handles: tuple[_host.Handle | None, _host.Handle | None, _host.Handle | None], undo: ExitStack
) -> tuple[int | None, int | None, int | None]:
    """An inheritable copy of each handle, one copy where two are the same."""
    copies: dict[int, int] = {}

    def copy(handle: _host.Handle | None) -> int | None:
        if handle is None:
            return None
        if handle.value not in copies:
            copies[handle.value] = undo.enter_context(duplicate(any_handle(handle), inheritable=True)).value
        return copies[handle.value]

    return copy(handles[0]), copy(handles[1]), copy(handles[2])


def _command_line(text: str) -> ctypes.Array[ctypes.c_wchar]:
    """A buffer of its own, because CreateProcess writes into it."""
    if "\0" in text:
        raise WinError(SystemError_.ERROR_INVALID_PARAMETER, "CreateProcessAsUserW", message="a NUL in an argument")
    if len(text.encode("utf-16-le", "surrogatepass")) // 2 >= _LONGEST_COMMAND_LINE:
        raise WinError(
            SystemError_.ERROR_FILENAME_EXCED_RANGE,
            "CreateProcessAsUserW",
            message="the command line is longer than 32766 characters",
        )
    return ctypes.create_unicode_buffer(text)


def _object_name(handle: Handle) -> str:
    """The name of a window station or desktop; the handle is not ours to close."""
    size, needed = 512, ctypes.c_uint32()
    for _ in range(2):
        buffer = ctypes.create_string_buffer(size)
        try:
            GetUserObjectInformationW(handle, UserObjectInformation.UOI_NAME, buffer, size, needed)
        except WinError as error:
            if error.winerror != SystemError_.ERROR_INSUFFICIENT_BUFFER or needed.value <= size:
                raise
            size = needed.value
        else:
            return buffer.raw.decode("utf-16-le").partition("\0")[0]
    raise WinError(SystemError_.ERROR_INSUFFICIENT_BUFFER, "GetUserObjectInformationW")


def _wait(handle: Handle, timeout: float | None) -> bool:
    deadline = None if timeout is None else time.monotonic() + timeout
    while True:
        # Rounded up: a wait that ends early would be followed by a busy loop of waits of 0 ms. One wait can be 49 days
        # long; INFINITE itself is never the result of the arithmetic.
        left = INFINITE if deadline is None else min(int(max(0.0, deadline - time.monotonic()) * 1000 + 0.999), 2**31)
        if WaitForSingleObject(handle, left) == Wait.WAIT_OBJECT_0:
            return True
        if deadline is not None and time.monotonic() >= deadline:
            return False


def _created(process: ProcessHandle) -> int:
    created, other = FILETIME(), FILETIME()
    GetProcessTimes(process, created, other, other, other)
    return created.dwHighDateTime << 32 | created.dwLowDateTime
