# mypy: disable-error-code="empty-body"
"""kernel32.dll: handles, files and volumes, pipes, processes, jobs, the console, system facts.

Each docstring names the header; the page on Microsoft Learn is ``windows/win32/api/<header>/nf-<header>-<function>``,
in small letters. Long because it is a list: one declaration a function, nothing else.
"""

from __future__ import annotations

from ctypes import c_uint32, c_void_p
from typing import Annotated

from .ffi import Library, plain
from .structs import (
    BY_HANDLE_FILE_INFORMATION,
    FILETIME,
    OVERLAPPED,
    PROCESS_INFORMATION,
    SECURITY_ATTRIBUTES,
    STARTUPINFO,
    SYSTEM_INFO,
)
from .types import (
    BOOL,
    COUNT,
    DWORD,
    ERROR_CODE,
    FILE_HANDLE,
    HANDLE,
    JOB,
    LENGTH,
    NEW_HANDLE,
    NEW_JOB,
    NEW_PROCESS,
    OPTIONAL_HANDLE,
    OPTIONAL_JOB,
    OPTIONAL_OUT_DWORD,
    OPTIONAL_OUT_SIZE_T,
    OPTIONAL_PATH,
    OPTIONAL_STR,
    OPTIONAL_TEXT_BUFFER,
    OUT_ADDRESS,
    OUT_BOOL,
    OUT_DWORD,
    OUT_HANDLE,
    OUT_SIZE_T,
    OUT_ULONG_PTR,
    PATH,
    POINTER_TO,
    PROCESS,
    SIZE_T,
    STR,
    SUCCEEDS,
    TEXT_BUFFER,
    THREAD,
    UINT,
    ULONG_PTR,
    Handle,
    ProcessHandle,
    ThreadHandle,
)

kernel32 = Library("kernel32")


# --- handles ---------------------------------------------------------------------------------------------------------


@kernel32.function
def CloseHandle(handle: HANDLE, /) -> SUCCEEDS:
    """handleapi.h"""


@kernel32.function
def DuplicateHandle(
    source_process: PROCESS,
    source: HANDLE,
    target_process: PROCESS,
    target: OUT_HANDLE,
    access: DWORD,
    inherit: BOOL,
    options: DWORD,
    /,
) -> SUCCEEDS:
    """handleapi.h"""


@kernel32.function
def GetHandleInformation(handle: HANDLE, flags: OUT_DWORD, /) -> SUCCEEDS:
    """handleapi.h"""


@kernel32.function
def SetHandleInformation(handle: HANDLE, mask: DWORD, flags: DWORD, /) -> SUCCEEDS:
    """handleapi.h"""


@kernel32.function
def GetProcessHandleCount(process: PROCESS, count: OUT_DWORD, /) -> SUCCEEDS:
    """processthreadsapi.h"""


@kernel32.function
def LocalFree(memory: POINTER_TO, /) -> Annotated[int | None, plain(c_void_p, "gives the block back on failure")]:
    """winbase.h"""


# --- files and volumes -----------------------------------------------------------------------------------------------


@kernel32.function
def CreateFileW(
    name: PATH,
    access: DWORD,
    share: DWORD,
    security: SECURITY_ATTRIBUTES | None,
    disposition: DWORD,
    flags: DWORD,
    template: OPTIONAL_HANDLE,
    /,
) -> FILE_HANDLE:
    """fileapi.h"""


@kernel32.function
def CreateDirectoryW(name: PATH, security: SECURITY_ATTRIBUTES | None, /) -> SUCCEEDS:
    """fileapi.h"""


@kernel32.function
def ReadFile(
    file: HANDLE, buffer: POINTER_TO, size: DWORD, done: OPTIONAL_OUT_DWORD, overlapped: OVERLAPPED | None, /
) -> SUCCEEDS:
    """fileapi.h"""


@kernel32.function
def WriteFile(
    file: HANDLE, buffer: POINTER_TO, size: DWORD, done: OPTIONAL_OUT_DWORD, overlapped: OVERLAPPED | None, /
) -> SUCCEEDS:
    """fileapi.h"""


@kernel32.function
def GetFileInformationByHandle(file: HANDLE, information: BY_HANDLE_FILE_INFORMATION, /) -> SUCCEEDS:
    """fileapi.h"""


@kernel32.function
def GetFileInformationByHandleEx(file: HANDLE, kind: DWORD, information: POINTER_TO, size: DWORD, /) -> SUCCEEDS:
    """winbase.h"""


@kernel32.function
def SetFileInformationByHandle(file: HANDLE, kind: DWORD, information: POINTER_TO, size: DWORD, /) -> SUCCEEDS:
    """fileapi.h"""


@kernel32.function
def GetFinalPathNameByHandleW(file: HANDLE, buffer: TEXT_BUFFER, size: DWORD, flags: DWORD, /) -> LENGTH:
    """fileapi.h; a result that is not less than `size` is the size needed"""


@kernel32.function
def GetFileAttributesW(name: PATH, /) -> COUNT:
    """fileapi.h"""


@kernel32.function
def GetFileType(file: HANDLE, /) -> Annotated[int, plain(c_uint32, "FILE_TYPE_UNKNOWN (0) is an answer and a failure")]:
    """fileapi.h"""


@kernel32.function
def GetLongPathNameW(name: PATH, buffer: TEXT_BUFFER, size: DWORD, /) -> LENGTH:
    """fileapi.h; a result that is not less than `size` is the size needed"""


@kernel32.function
def GetVolumeInformationW(
    root: OPTIONAL_PATH,
    name: OPTIONAL_TEXT_BUFFER,
    name_size: DWORD,
    serial: OPTIONAL_OUT_DWORD,
    longest: OPTIONAL_OUT_DWORD,
    flags: OPTIONAL_OUT_DWORD,
    filesystem: OPTIONAL_TEXT_BUFFER,
    filesystem_size: DWORD,
    /,
) -> SUCCEEDS:
    """fileapi.h"""


@kernel32.function
def GetVolumeInformationByHandleW(
    file: HANDLE,
    name: OPTIONAL_TEXT_BUFFER,
    name_size: DWORD,
    serial: OPTIONAL_OUT_DWORD,
    longest: OPTIONAL_OUT_DWORD,
    flags: OPTIONAL_OUT_DWORD,
    filesystem: OPTIONAL_TEXT_BUFFER,
    filesystem_size: DWORD,
    /,
) -> SUCCEEDS:
    """fileapi.h"""


@kernel32.function
def GetVolumePathNameW(name: PATH, buffer: TEXT_BUFFER, size: DWORD, /) -> SUCCEEDS:
    """fileapi.h"""


@kernel32.function
def GetDriveTypeW(
    root: OPTIONAL_STR, /
) -> Annotated[int, plain(c_uint32, "every number is an answer (DRIVE_NO_ROOT_DIR)")]:
    """fileapi.h"""


@kernel32.function
def GetLogicalDrives() -> LENGTH:
    """fileapi.h; a bit for each letter"""


@kernel32.function
def QueryDosDeviceW(device: OPTIONAL_STR, buffer: TEXT_BUFFER, size: DWORD, /) -> LENGTH:
    """fileapi.h"""


@kernel32.function
def DeviceIoControl(
    device: HANDLE,
    code: DWORD,
    sent: POINTER_TO,
    sent_size: DWORD,
    buffer: POINTER_TO,
    size: DWORD,
    done: OPTIONAL_OUT_DWORD,
    overlapped: OVERLAPPED | None,
    /,
) -> SUCCEEDS:
    """ioapiset.h"""


@kernel32.function
def SetThreadErrorMode(mode: DWORD, previous: OPTIONAL_OUT_DWORD, /) -> SUCCEEDS:
    """errhandlingapi.h"""


# --- pipes and asynchronous input and output -------------------------------------------------------------------------


@kernel32.function
def CreatePipe(
    reader: OUT_HANDLE, writer: OUT_HANDLE, security: SECURITY_ATTRIBUTES | None, size: DWORD, /
) -> SUCCEEDS:
    """namedpipeapi.h"""


@kernel32.function
def CreateNamedPipeW(
    name: PATH,
    open_mode: DWORD,
    pipe_mode: DWORD,
    instances: DWORD,
    out_size: DWORD,
    in_size: DWORD,
    timeout: DWORD,
    security: SECURITY_ATTRIBUTES | None,
    /,
) -> FILE_HANDLE:
    """namedpipeapi.h"""


@kernel32.function
def ConnectNamedPipe(pipe: HANDLE, overlapped: OVERLAPPED | None, /) -> SUCCEEDS:
    """namedpipeapi.h; 535 says that the client was there already"""


@kernel32.function
def PeekNamedPipe(
    pipe: HANDLE,
    buffer: POINTER_TO,
    size: DWORD,
    done: OPTIONAL_OUT_DWORD,
    available: OPTIONAL_OUT_DWORD,
    left: OPTIONAL_OUT_DWORD,
    /,
) -> SUCCEEDS:
    """namedpipeapi.h"""


@kernel32.function
def CancelIoEx(file: HANDLE, overlapped: OVERLAPPED | None, /) -> SUCCEEDS:
    """ioapiset.h"""


@kernel32.function
def CreateIoCompletionPort(file: HANDLE, port: OPTIONAL_HANDLE, key: ULONG_PTR, threads: DWORD, /) -> NEW_HANDLE:
    """ioapiset.h"""


@kernel32.function
def GetQueuedCompletionStatus(
    port: HANDLE, done: OUT_DWORD, key: OUT_ULONG_PTR, overlapped: OUT_ADDRESS, milliseconds: DWORD, /
) -> SUCCEEDS:
    """ioapiset.h; 258 says that the time is over"""


@kernel32.function
def CreateEventW(
    security: SECURITY_ATTRIBUTES | None, manual: BOOL, signalled: BOOL, name: OPTIONAL_STR, /
) -> NEW_HANDLE:
    """synchapi.h"""


@kernel32.function
def OpenEventW(access: DWORD, inherit: BOOL, name: STR, /) -> NEW_HANDLE:
    """synchapi.h"""


@kernel32.function
def SetEvent(event: HANDLE, /) -> SUCCEEDS:
    """synchapi.h"""


@kernel32.function
def WaitForSingleObject(handle: HANDLE, milliseconds: DWORD, /) -> COUNT:
    """synchapi.h; WAIT_FAILED is all ones"""


@kernel32.function
def WaitForMultipleObjects(count: DWORD, handles: POINTER_TO, every: BOOL, milliseconds: DWORD, /) -> COUNT:
    """synchapi.h; WAIT_FAILED is all ones"""


# --- processes -------------------------------------------------------------------------------------------------------


@kernel32.function
def GetCurrentProcess() -> Annotated[ProcessHandle, plain(c_void_p, "a pseudo handle; cannot fail")]:
    """processthreadsapi.h"""


@kernel32.function
def GetCurrentThread() -> Annotated[ThreadHandle, plain(c_void_p, "a pseudo handle; cannot fail")]:
    """processthreadsapi.h"""


@kernel32.function
def GetCurrentThreadId() -> Annotated[int, plain(c_uint32, "the result is the answer")]:
    """processthreadsapi.h"""


@kernel32.function
def GetCurrentProcessId() -> Annotated[int, plain(c_uint32, "cannot fail")]:
    """processthreadsapi.h"""


@kernel32.function
def OpenProcess(access: DWORD, inherit: BOOL, pid: DWORD, /) -> NEW_PROCESS:
    """processthreadsapi.h"""


@kernel32.function
def CreateProcessW(
    application: OPTIONAL_PATH,
    command_line: OPTIONAL_TEXT_BUFFER,
    process: SECURITY_ATTRIBUTES | None,
    thread: SECURITY_ATTRIBUTES | None,
    inherit: BOOL,
    flags: DWORD,
    environment: POINTER_TO,
    directory: OPTIONAL_STR,
    startup: STARTUPINFO,
    made: PROCESS_INFORMATION,
    /,
) -> SUCCEEDS:
    """processthreadsapi.h"""


@kernel32.function
def InitializeProcThreadAttributeList(
    attributes: POINTER_TO, count: DWORD, flags: DWORD, size: OUT_SIZE_T, /
) -> SUCCEEDS:
    """processthreadsapi.h"""


@kernel32.function
def UpdateProcThreadAttribute(
    attributes: POINTER_TO,
    flags: DWORD,
    attribute: ULONG_PTR,
    value: POINTER_TO,
    size: SIZE_T,
    previous: POINTER_TO,
    previous_size: OPTIONAL_OUT_SIZE_T,
    /,
) -> SUCCEEDS:
    """processthreadsapi.h"""


@kernel32.function
def DeleteProcThreadAttributeList(attributes: POINTER_TO, /) -> Annotated[None, plain(None, "returns nothing")]:
    """processthreadsapi.h"""


@kernel32.function
def ResumeThread(thread: THREAD, /) -> COUNT:
    """processthreadsapi.h"""


@kernel32.function
def TerminateProcess(process: PROCESS, code: UINT, /) -> SUCCEEDS:
    """processthreadsapi.h"""


@kernel32.function
def GetExitCodeProcess(process: PROCESS, code: OUT_DWORD, /) -> SUCCEEDS:
    """processthreadsapi.h"""


@kernel32.function
def GetProcessTimes(
    process: PROCESS, created: FILETIME, ended: FILETIME, kernel: FILETIME, user: FILETIME, /
) -> SUCCEEDS:
    """processthreadsapi.h"""


@kernel32.function
def ProcessIdToSessionId(pid: DWORD, session: OUT_DWORD, /) -> SUCCEEDS:
    """processthreadsapi.h"""


@kernel32.function
def QueryFullProcessImageNameW(process: PROCESS, flags: DWORD, buffer: TEXT_BUFFER, size: OUT_DWORD, /) -> SUCCEEDS:
    """winbase.h"""


# --- jobs ------------------------------------------------------------------------------------------------------------


@kernel32.function
def CreateJobObjectW(security: SECURITY_ATTRIBUTES | None, name: OPTIONAL_STR, /) -> NEW_JOB:
    """jobapi2.h"""


@kernel32.function
def AssignProcessToJobObject(job: JOB, process: PROCESS, /) -> SUCCEEDS:
    """jobapi2.h"""


@kernel32.function
def SetInformationJobObject(job: JOB, kind: DWORD, information: POINTER_TO, size: DWORD, /) -> SUCCEEDS:
    """jobapi2.h"""


@kernel32.function
def QueryInformationJobObject(
    job: OPTIONAL_JOB, kind: DWORD, information: POINTER_TO, size: DWORD, needed: OPTIONAL_OUT_DWORD, /
) -> SUCCEEDS:
    """jobapi2.h"""


@kernel32.function
def TerminateJobObject(job: JOB, code: UINT, /) -> SUCCEEDS:
    """jobapi2.h"""


@kernel32.function
def IsProcessInJob(process: PROCESS, job: OPTIONAL_JOB, result: OUT_BOOL, /) -> SUCCEEDS:
    """jobapi.h"""


# --- the console and the standard handles ----------------------------------------------------------------------------


@kernel32.function
def GetStdHandle(
    number: DWORD, /
) -> Annotated[Handle | None, plain(c_void_p, "NULL means that there is none; -1 is a failure")]:
    """processenv.h"""


@kernel32.function
def GetConsoleMode(console: HANDLE, mode: OUT_DWORD, /) -> SUCCEEDS:
    """consoleapi.h"""


@kernel32.function
def GetConsoleCP() -> LENGTH:
    """consoleapi.h; 0: no console"""


@kernel32.function
def GetConsoleWindow() -> Annotated[Handle | None, plain(c_void_p, "NULL means that there is no console")]:
    """wincon.h"""


@kernel32.function
def GenerateConsoleCtrlEvent(event: DWORD, group: DWORD, /) -> SUCCEEDS:
    """wincon.h"""


# --- facts about the system ------------------------------------------------------------------------------------------


@kernel32.function
def GetACP() -> LENGTH:
    """winnls.h"""


@kernel32.function
def GetOEMCP() -> LENGTH:
    """winnls.h"""


@kernel32.function
def GetSystemTimeAsFileTime(time: FILETIME, /) -> Annotated[None, plain(None, "returns nothing")]:
    """sysinfoapi.h"""


@kernel32.function
def GetNativeSystemInfo(information: SYSTEM_INFO, /) -> Annotated[None, plain(None, "returns nothing")]:
    """sysinfoapi.h"""


@kernel32.function
def GetSystemDirectoryW(buffer: TEXT_BUFFER, size: UINT, /) -> LENGTH:
    """sysinfoapi.h"""


@kernel32.function
def GetSystemWindowsDirectoryW(buffer: TEXT_BUFFER, size: UINT, /) -> LENGTH:
    """sysinfoapi.h"""


@kernel32.function
def ExpandEnvironmentStringsW(text: STR, buffer: TEXT_BUFFER, size: DWORD, /) -> LENGTH:
    """processenv.h"""


@kernel32.function
def GetCurrentPackageFullName(size: OUT_DWORD, buffer: OPTIONAL_TEXT_BUFFER, /) -> ERROR_CODE:
    """appmodel.h; 15700: not a packaged program"""
