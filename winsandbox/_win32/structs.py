"""Structures, under their Windows names, with the fields' Windows names, in the order of the headers.

Where C has a union, the member that this library uses stands (the comment names it); sizes and offsets are the same.
Text inside structures is UTF-16 code units (``c_uint16``), because ctypes' wide character has another size elsewhere.
``[1]`` at the end stands for as many as the count says; :mod:`._win32.host` reads those from the buffer.
Long because it is a list.
"""

from __future__ import annotations

import ctypes
from ctypes import c_uint8, c_uint16
from typing import Annotated, TypeAlias

from .ffi import AnyPointer, Struct, struct
from .types import (
    ADDRESS,
    BOOL,
    BOOLEAN,
    BYTE,
    CCHAR,
    DWORD,
    LARGE_INTEGER,
    LONG,
    SIZE_T,
    ULONG,
    ULONG_PTR,
    USHORT,
    WORD,
)

WCHARS_1: TypeAlias = Annotated[ctypes.Array[c_uint16], c_uint16 * 1]

# --- security (winnt.h, wtypesbase.h) --------------------------------------------------------------------------------


@struct
class LUID(Struct):
    LowPart: DWORD
    HighPart: LONG


@struct
class LUID_AND_ATTRIBUTES(Struct):
    Luid: LUID
    Attributes: DWORD


@struct
class SID_AND_ATTRIBUTES(Struct):
    Sid: ADDRESS
    Attributes: DWORD


@struct
class TOKEN_USER(Struct):
    User: SID_AND_ATTRIBUTES


@struct
class TOKEN_GROUPS(Struct):
    GroupCount: DWORD
    Groups: Annotated[ctypes.Array[SID_AND_ATTRIBUTES], SID_AND_ATTRIBUTES * 1]


@struct
class TOKEN_PRIVILEGES(Struct):
    PrivilegeCount: DWORD
    Privileges: Annotated[ctypes.Array[LUID_AND_ATTRIBUTES], LUID_AND_ATTRIBUTES * 1]


@struct
class TOKEN_OWNER(Struct):
    Owner: ADDRESS


@struct
class TOKEN_PRIMARY_GROUP(Struct):
    PrimaryGroup: ADDRESS


@struct
class TOKEN_DEFAULT_DACL(Struct):
    DefaultDacl: ADDRESS


@struct
class TOKEN_MANDATORY_LABEL(Struct):
    Label: SID_AND_ATTRIBUTES


@struct
class TOKEN_ELEVATION(Struct):
    TokenIsElevated: DWORD


@struct
class TOKEN_LINKED_TOKEN(Struct):
    LinkedToken: ADDRESS


@struct
class TOKEN_MANDATORY_POLICY(Struct):
    Policy: DWORD


@struct
class TOKEN_STATISTICS(Struct):
    TokenId: LUID
    AuthenticationId: LUID
    ExpirationTime: LARGE_INTEGER
    TokenType: DWORD
    ImpersonationLevel: DWORD
    DynamicCharged: DWORD
    DynamicAvailable: DWORD
    GroupCount: DWORD
    PrivilegeCount: DWORD
    ModifiedId: LUID


@struct
class TOKEN_ACCESS_INFORMATION(Struct):
    """Newer Windows have two pointers more at the end."""

    SidHash: ADDRESS
    RestrictedSidHash: ADDRESS
    Privileges: ADDRESS
    AuthenticationId: LUID
    TokenType: DWORD
    ImpersonationLevel: DWORD
    MandatoryPolicy: TOKEN_MANDATORY_POLICY
    Flags: DWORD
    AppContainerNumber: DWORD
    PackageSid: ADDRESS
    CapabilitiesHash: ADDRESS


@struct
class SECURITY_ATTRIBUTES(Struct):
    nLength: DWORD
    lpSecurityDescriptor: ADDRESS
    bInheritHandle: BOOL


@struct
class GENERIC_MAPPING(Struct):
    GenericRead: DWORD
    GenericWrite: DWORD
    GenericExecute: DWORD
    GenericAll: DWORD


@struct
class PRIVILEGE_SET(Struct):
    PrivilegeCount: DWORD
    Control: DWORD
    Privilege: Annotated[ctypes.Array[LUID_AND_ATTRIBUTES], LUID_AND_ATTRIBUTES * 1]


# --- files (minwinbase.h, fileapi.h, winbase.h) ----------------------------------------------------------------------


@struct
class FILETIME(Struct):
    dwLowDateTime: DWORD
    dwHighDateTime: DWORD


@struct
class BY_HANDLE_FILE_INFORMATION(Struct):
    dwFileAttributes: DWORD
    ftCreationTime: FILETIME
    ftLastAccessTime: FILETIME
    ftLastWriteTime: FILETIME
    dwVolumeSerialNumber: DWORD
    nFileSizeHigh: DWORD
    nFileSizeLow: DWORD
    nNumberOfLinks: DWORD
    nFileIndexHigh: DWORD
    nFileIndexLow: DWORD


@struct
class FILE_BASIC_INFO(Struct):
    CreationTime: LARGE_INTEGER
    LastAccessTime: LARGE_INTEGER
    LastWriteTime: LARGE_INTEGER
    ChangeTime: LARGE_INTEGER
    FileAttributes: DWORD


@struct
class FILE_STANDARD_INFO(Struct):
    AllocationSize: LARGE_INTEGER
    EndOfFile: LARGE_INTEGER
    NumberOfLinks: DWORD
    DeletePending: BOOLEAN
    Directory: BOOLEAN


@struct
class FILE_ATTRIBUTE_TAG_INFO(Struct):
    FileAttributes: DWORD
    ReparseTag: DWORD


@struct
class FILE_ID_128(Struct):
    Identifier: Annotated[ctypes.Array[c_uint8], c_uint8 * 16]


@struct
class FILE_ID_INFO(Struct):
    VolumeSerialNumber: Annotated[int, ctypes.c_uint64]
    FileId: FILE_ID_128


@struct
class FILE_ID_BOTH_DIR_INFO(Struct):
    NextEntryOffset: DWORD
    FileIndex: DWORD
    CreationTime: LARGE_INTEGER
    LastAccessTime: LARGE_INTEGER
    LastWriteTime: LARGE_INTEGER
    ChangeTime: LARGE_INTEGER
    EndOfFile: LARGE_INTEGER
    AllocationSize: LARGE_INTEGER
    FileAttributes: DWORD
    FileNameLength: DWORD
    EaSize: DWORD
    ShortNameLength: CCHAR
    ShortName: Annotated[ctypes.Array[c_uint16], c_uint16 * 12]
    FileId: LARGE_INTEGER
    FileName: WCHARS_1


@struct
class FILE_ID_EXTD_DIR_INFO(Struct):
    NextEntryOffset: ULONG
    FileIndex: ULONG
    CreationTime: LARGE_INTEGER
    LastAccessTime: LARGE_INTEGER
    LastWriteTime: LARGE_INTEGER
    ChangeTime: LARGE_INTEGER
    EndOfFile: LARGE_INTEGER
    AllocationSize: LARGE_INTEGER
    FileAttributes: ULONG
    FileNameLength: ULONG
    EaSize: ULONG
    ReparsePointTag: ULONG
    FileId: FILE_ID_128
    FileName: WCHARS_1


@struct
class FILE_DISPOSITION_INFO(Struct):
    DeleteFile: BOOLEAN


@struct
class FILE_DISPOSITION_INFO_EX(Struct):
    Flags: DWORD


@struct
class FILE_RENAME_INFO(Struct):
    Flags: DWORD  # a union with BOOLEAN ReplaceIfExists
    RootDirectory: ADDRESS
    FileNameLength: DWORD
    FileName: WCHARS_1


@struct
class OVERLAPPED(Struct):
    Internal: ULONG_PTR
    InternalHigh: ULONG_PTR
    Offset: DWORD  # Offset and OffsetHigh: a union with PVOID Pointer
    OffsetHigh: DWORD
    hEvent: ADDRESS


# --- the native API (winternl.h, ntdef.h, Windows Driver Kit: ntifs.h) -----------------------------------------------


@struct
class UNICODE_STRING(Struct):
    Length: USHORT
    MaximumLength: USHORT
    Buffer: ADDRESS


@struct
class OBJECT_ATTRIBUTES(Struct):
    Length: ULONG
    RootDirectory: ADDRESS
    ObjectName: ADDRESS
    Attributes: ULONG
    SecurityDescriptor: ADDRESS
    SecurityQualityOfService: ADDRESS


@struct
class IO_STATUS_BLOCK(Struct):
    Pointer: ADDRESS  # a union with NTSTATUS Status
    Information: ULONG_PTR


@struct
class FILE_ID_BOTH_DIR_INFORMATION(Struct):
    NextEntryOffset: ULONG
    FileIndex: ULONG
    CreationTime: LARGE_INTEGER
    LastAccessTime: LARGE_INTEGER
    LastWriteTime: LARGE_INTEGER
    ChangeTime: LARGE_INTEGER
    EndOfFile: LARGE_INTEGER
    AllocationSize: LARGE_INTEGER
    FileAttributes: ULONG
    FileNameLength: ULONG
    EaSize: ULONG  # for a reparse point: its tag
    ShortNameLength: CCHAR
    ShortName: Annotated[ctypes.Array[c_uint16], c_uint16 * 12]
    FileId: LARGE_INTEGER
    FileName: WCHARS_1


@struct
class FILE_FS_DEVICE_INFORMATION(Struct):
    DeviceType: DWORD
    Characteristics: ULONG


@struct
class OSVERSIONINFOEXW(Struct):
    dwOSVersionInfoSize: DWORD
    dwMajorVersion: DWORD
    dwMinorVersion: DWORD
    dwBuildNumber: DWORD
    dwPlatformId: DWORD
    szCSDVersion: Annotated[ctypes.Array[c_uint16], c_uint16 * 128]
    wServicePackMajor: WORD
    wServicePackMinor: WORD
    wSuiteMask: WORD
    wProductType: BYTE
    wReserved: BYTE


# --- processes (processthreadsapi.h, winbase.h, sysinfoapi.h) --------------------------------------------------------


@struct
class STARTUPINFOW(Struct):
    cb: DWORD
    lpReserved: ADDRESS
    lpDesktop: Annotated[str | None, ctypes.c_wchar_p]
    lpTitle: Annotated[str | None, ctypes.c_wchar_p]
    dwX: DWORD
    dwY: DWORD
    dwXSize: DWORD
    dwYSize: DWORD
    dwXCountChars: DWORD
    dwYCountChars: DWORD
    dwFillAttribute: DWORD
    dwFlags: DWORD
    wShowWindow: WORD
    cbReserved2: WORD
    lpReserved2: ADDRESS
    hStdInput: ADDRESS
    hStdOutput: ADDRESS
    hStdError: ADDRESS


@struct
class STARTUPINFOEXW(Struct):
    StartupInfo: STARTUPINFOW
    lpAttributeList: ADDRESS


# What the calls take: the extended one goes with EXTENDED_STARTUPINFO_PRESENT among the flags
STARTUPINFO: TypeAlias = Annotated[STARTUPINFOW | STARTUPINFOEXW, AnyPointer]


@struct
class PROCESS_INFORMATION(Struct):
    hProcess: ADDRESS
    hThread: ADDRESS
    dwProcessId: DWORD
    dwThreadId: DWORD


@struct
class SYSTEM_INFO(Struct):
    wProcessorArchitecture: WORD  # this and wReserved: a union with DWORD dwOemId
    wReserved: WORD
    dwPageSize: DWORD
    lpMinimumApplicationAddress: ADDRESS
    lpMaximumApplicationAddress: ADDRESS
    dwActiveProcessorMask: ULONG_PTR
    dwNumberOfProcessors: DWORD
    dwProcessorType: DWORD
    dwAllocationGranularity: DWORD
    wProcessorLevel: WORD
    wProcessorRevision: WORD


# --- jobs (winnt.h) --------------------------------------------------------------------------------------------------


@struct
class IO_COUNTERS(Struct):
    ReadOperationCount: Annotated[int, ctypes.c_uint64]
    WriteOperationCount: Annotated[int, ctypes.c_uint64]
    OtherOperationCount: Annotated[int, ctypes.c_uint64]
    ReadTransferCount: Annotated[int, ctypes.c_uint64]
    WriteTransferCount: Annotated[int, ctypes.c_uint64]
    OtherTransferCount: Annotated[int, ctypes.c_uint64]


@struct
class JOBOBJECT_BASIC_LIMIT_INFORMATION(Struct):
    PerProcessUserTimeLimit: LARGE_INTEGER
    PerJobUserTimeLimit: LARGE_INTEGER
    LimitFlags: DWORD
    MinimumWorkingSetSize: SIZE_T
    MaximumWorkingSetSize: SIZE_T
    ActiveProcessLimit: DWORD
    Affinity: ULONG_PTR
    PriorityClass: DWORD
    SchedulingClass: DWORD


@struct
class JOBOBJECT_EXTENDED_LIMIT_INFORMATION(Struct):
    BasicLimitInformation: JOBOBJECT_BASIC_LIMIT_INFORMATION
    IoInfo: IO_COUNTERS
    ProcessMemoryLimit: SIZE_T
    JobMemoryLimit: SIZE_T
    PeakProcessMemoryUsed: SIZE_T
    PeakJobMemoryUsed: SIZE_T


@struct
class JOBOBJECT_BASIC_UI_RESTRICTIONS(Struct):
    UIRestrictionsClass: DWORD


@struct
class JOBOBJECT_BASIC_ACCOUNTING_INFORMATION(Struct):
    TotalUserTime: LARGE_INTEGER
    TotalKernelTime: LARGE_INTEGER
    ThisPeriodTotalUserTime: LARGE_INTEGER
    ThisPeriodTotalKernelTime: LARGE_INTEGER
    TotalPageFaultCount: DWORD
    TotalProcesses: DWORD
    ActiveProcesses: DWORD
    TotalTerminatedProcesses: DWORD


@struct
class JOBOBJECT_BASIC_AND_IO_ACCOUNTING_INFORMATION(Struct):
    BasicInfo: JOBOBJECT_BASIC_ACCOUNTING_INFORMATION
    IoInfo: IO_COUNTERS


@struct
class JOBOBJECT_BASIC_PROCESS_ID_LIST(Struct):
    NumberOfAssignedProcesses: DWORD
    NumberOfProcessIdsInList: DWORD
    ProcessIdList: Annotated[ctypes.Array[ctypes.c_void_p], ctypes.c_void_p * 1]


@struct
class JOBOBJECT_ASSOCIATE_COMPLETION_PORT(Struct):
    CompletionKey: ADDRESS
    CompletionPort: ADDRESS


@struct
class JOBOBJECT_END_OF_JOB_TIME_INFORMATION(Struct):
    EndOfJobTimeAction: DWORD


@struct
class JOBOBJECT_LIMIT_VIOLATION_INFORMATION(Struct):
    LimitFlags: DWORD
    ViolationLimitFlags: DWORD
    IoReadBytes: Annotated[int, ctypes.c_uint64]
    IoReadBytesLimit: Annotated[int, ctypes.c_uint64]
    IoWriteBytes: Annotated[int, ctypes.c_uint64]
    IoWriteBytesLimit: Annotated[int, ctypes.c_uint64]
    PerJobUserTime: LARGE_INTEGER
    PerJobUserTimeLimit: LARGE_INTEGER
    JobMemory: Annotated[int, ctypes.c_uint64]
    JobMemoryLimit: Annotated[int, ctypes.c_uint64]
    RateControlTolerance: DWORD
    RateControlToleranceLimit: DWORD


# --- user interface (winuser.h), shell (guiddef.h) -------------------------------------------------------------------


@struct
class USEROBJECTFLAGS(Struct):
    fInherit: BOOL
    fReserved: BOOL
    dwFlags: DWORD


@struct
class GUID(Struct):
    Data1: DWORD
    Data2: WORD
    Data3: WORD
    Data4: Annotated[ctypes.Array[c_uint8], c_uint8 * 8]
