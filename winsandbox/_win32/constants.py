"""Constants, under their Windows names, grouped by the call that takes them; each group names its Microsoft Learn page.

Every name and value is held against the headers of mingw-w64 in the tests. Long because it is a list.
"""

from __future__ import annotations

import enum
from typing import Final


class SystemError_(enum.IntEnum):
    """System error codes that this library reacts to ("System Error Codes")."""

    ERROR_SUCCESS = 0
    ERROR_INVALID_FUNCTION = 1
    ERROR_FILE_NOT_FOUND = 2
    ERROR_PATH_NOT_FOUND = 3
    ERROR_ACCESS_DENIED = 5
    ERROR_INVALID_HANDLE = 6
    ERROR_NOT_ENOUGH_MEMORY = 8
    ERROR_NO_MORE_FILES = 18
    ERROR_NOT_READY = 21
    ERROR_SHARING_VIOLATION = 32
    ERROR_HANDLE_EOF = 38
    ERROR_NOT_SUPPORTED = 50
    ERROR_FILE_EXISTS = 80
    ERROR_INVALID_PARAMETER = 87
    ERROR_BROKEN_PIPE = 109
    ERROR_CALL_NOT_IMPLEMENTED = 120
    ERROR_INSUFFICIENT_BUFFER = 122
    ERROR_INVALID_NAME = 123
    ERROR_PROC_NOT_FOUND = 127
    ERROR_DIR_NOT_EMPTY = 145
    ERROR_BAD_PATHNAME = 161
    ERROR_BUSY = 170
    ERROR_ALREADY_EXISTS = 183
    ERROR_FILENAME_EXCED_RANGE = 206
    ERROR_PIPE_BUSY = 231
    ERROR_NO_DATA = 232
    ERROR_MORE_DATA = 234
    ERROR_DIRECTORY = 267
    ERROR_MR_MID_NOT_FOUND = 317
    ERROR_PIPE_CONNECTED = 535
    ERROR_OPERATION_ABORTED = 995
    ERROR_IO_PENDING = 997
    ERROR_NO_TOKEN = 1008
    ERROR_NOT_FOUND = 1168
    ERROR_NOT_ALL_ASSIGNED = 1300
    ERROR_NO_SUCH_PRIVILEGE = 1313
    ERROR_PRIVILEGE_NOT_HELD = 1314
    ERROR_NONE_MAPPED = 1332
    ERROR_INVALID_SID = 1337
    ERROR_ALLOTTED_SPACE_EXCEEDED = 1344
    ERROR_TIMEOUT = 1460
    ERROR_NOT_A_REPARSE_POINT = 4390


class NtStatus(enum.IntEnum):
    """NTSTATUS values, unsigned as in ``WinError.status`` ([MS-ERREF] 2.3)."""

    STATUS_PENDING = 0x00000103
    STATUS_BUFFER_OVERFLOW = 0x80000005
    STATUS_NO_MORE_FILES = 0x80000006
    STATUS_INVALID_INFO_CLASS = 0xC0000003
    STATUS_INVALID_PARAMETER = 0xC000000D
    STATUS_NO_SUCH_FILE = 0xC000000F
    STATUS_ACCESS_DENIED = 0xC0000022
    STATUS_BUFFER_TOO_SMALL = 0xC0000023
    STATUS_OBJECT_NAME_INVALID = 0xC0000033
    STATUS_OBJECT_NAME_NOT_FOUND = 0xC0000034
    STATUS_OBJECT_NAME_COLLISION = 0xC0000035
    STATUS_OBJECT_PATH_NOT_FOUND = 0xC000003A
    STATUS_SHARING_VIOLATION = 0xC0000043
    STATUS_DELETE_PENDING = 0xC0000056
    STATUS_NOT_A_DIRECTORY = 0xC0000103
    STATUS_CANNOT_DELETE = 0xC0000121
    STATUS_DLL_INIT_FAILED = 0xC0000142


# --- access rights ---------------------------------------------------------------------------------------------------


class StandardRights(enum.IntFlag):
    """See "ACCESS_MASK" and "Standard Access Rights"."""

    DELETE = 0x00010000
    READ_CONTROL = 0x00020000
    WRITE_DAC = 0x00040000
    WRITE_OWNER = 0x00080000
    SYNCHRONIZE = 0x00100000
    ACCESS_SYSTEM_SECURITY = 0x01000000
    MAXIMUM_ALLOWED = 0x02000000
    GENERIC_ALL = 0x10000000
    GENERIC_EXECUTE = 0x20000000
    GENERIC_WRITE = 0x40000000
    GENERIC_READ = 0x80000000


class FileRights(enum.IntFlag):
    """See "File Access Rights Constants"."""

    FILE_READ_DATA = 0x0001
    FILE_LIST_DIRECTORY = 0x0001
    FILE_WRITE_DATA = 0x0002
    FILE_ADD_FILE = 0x0002
    FILE_APPEND_DATA = 0x0004
    FILE_ADD_SUBDIRECTORY = 0x0004
    FILE_CREATE_PIPE_INSTANCE = 0x0004
    FILE_READ_EA = 0x0008
    FILE_WRITE_EA = 0x0010
    FILE_EXECUTE = 0x0020
    FILE_TRAVERSE = 0x0020
    FILE_DELETE_CHILD = 0x0040
    FILE_READ_ATTRIBUTES = 0x0080
    FILE_WRITE_ATTRIBUTES = 0x0100
    FILE_GENERIC_READ = 0x00120089
    FILE_GENERIC_WRITE = 0x00120116
    FILE_GENERIC_EXECUTE = 0x001200A0
    FILE_ALL_ACCESS = 0x001F01FF


class TokenRights(enum.IntFlag):
    """See "Access Rights for Access-Token Objects"."""

    TOKEN_ASSIGN_PRIMARY = 0x0001
    TOKEN_DUPLICATE = 0x0002
    TOKEN_IMPERSONATE = 0x0004
    TOKEN_QUERY = 0x0008
    TOKEN_QUERY_SOURCE = 0x0010
    TOKEN_ADJUST_PRIVILEGES = 0x0020
    TOKEN_ADJUST_GROUPS = 0x0040
    TOKEN_ADJUST_DEFAULT = 0x0080
    TOKEN_ADJUST_SESSIONID = 0x0100


class ProcessRights(enum.IntFlag):
    """See "Process Security and Access Rights"."""

    PROCESS_TERMINATE = 0x0001
    PROCESS_VM_READ = 0x0010
    PROCESS_DUP_HANDLE = 0x0040
    PROCESS_SET_QUOTA = 0x0100
    PROCESS_QUERY_INFORMATION = 0x0400
    PROCESS_QUERY_LIMITED_INFORMATION = 0x1000
    PROCESS_ALL_ACCESS = 0x001FFFFF


class DesktopRights(enum.IntFlag):
    """See "Desktop Security and Access Rights"."""

    DESKTOP_READOBJECTS = 0x0001
    DESKTOP_CREATEWINDOW = 0x0002
    DESKTOP_CREATEMENU = 0x0004
    DESKTOP_HOOKCONTROL = 0x0008
    DESKTOP_JOURNALRECORD = 0x0010
    DESKTOP_JOURNALPLAYBACK = 0x0020
    DESKTOP_ENUMERATE = 0x0040
    DESKTOP_WRITEOBJECTS = 0x0080
    DESKTOP_SWITCHDESKTOP = 0x0100


class KeyRights(enum.IntFlag):
    """See "Registry Key Security and Access Rights"."""

    KEY_QUERY_VALUE = 0x0001
    KEY_SET_VALUE = 0x0002
    KEY_READ = 0x00020019
    KEY_ALL_ACCESS = 0x000F003F


class EventRights(enum.IntFlag):
    """See "Synchronization Object Security and Access Rights"."""

    EVENT_MODIFY_STATE = 0x0002
    EVENT_ALL_ACCESS = 0x001F0003


# --- tokens ----------------------------------------------------------------------------------------------------------


class RestrictFlags(enum.IntFlag):
    """See "CreateRestrictedToken function"."""

    DISABLE_MAX_PRIVILEGE = 0x1
    SANDBOX_INERT = 0x2
    LUA_TOKEN = 0x4
    WRITE_RESTRICTED = 0x8


class TokenInformationClass(enum.IntEnum):
    """See "TOKEN_INFORMATION_CLASS enumeration"."""

    TokenUser = 1
    TokenGroups = 2
    TokenPrivileges = 3
    TokenOwner = 4
    TokenPrimaryGroup = 5
    TokenDefaultDacl = 6
    TokenSource = 7
    TokenType = 8
    TokenImpersonationLevel = 9
    TokenStatistics = 10
    TokenRestrictedSids = 11
    TokenSessionId = 12
    TokenElevationType = 18
    TokenLinkedToken = 19
    TokenElevation = 20
    TokenHasRestrictions = 21
    TokenAccessInformation = 22
    TokenIntegrityLevel = 25
    TokenUIAccess = 26
    TokenMandatoryPolicy = 27
    TokenLogonSid = 28
    TokenIsAppContainer = 29
    TokenCapabilities = 30
    TokenAppContainerSid = 31
    TokenIsRestricted = 40


class TokenFlags(enum.IntFlag):
    """See TOKEN_ACCESS_INFORMATION's Flags (Windows Driver Kit: ntifs.h)."""

    TOKEN_WRITE_RESTRICTED = 0x0008
    TOKEN_IS_RESTRICTED = 0x0010


class TokenElevationType(enum.IntEnum):
    """See "TOKEN_ELEVATION_TYPE enumeration"."""

    TokenElevationTypeDefault = 1
    TokenElevationTypeFull = 2
    TokenElevationTypeLimited = 3


class TokenType(enum.IntEnum):
    """See "TOKEN_TYPE enumeration"."""

    TokenPrimary = 1
    TokenImpersonation = 2


class ImpersonationLevel(enum.IntEnum):
    """See "SECURITY_IMPERSONATION_LEVEL enumeration"."""

    SecurityAnonymous = 0
    SecurityIdentification = 1
    SecurityImpersonation = 2
    SecurityDelegation = 3


class GroupAttributes(enum.IntFlag):
    """See "TOKEN_GROUPS structure" and "SID_AND_ATTRIBUTES structure"."""

    SE_GROUP_MANDATORY = 0x00000001
    SE_GROUP_ENABLED_BY_DEFAULT = 0x00000002
    SE_GROUP_ENABLED = 0x00000004
    SE_GROUP_OWNER = 0x00000008
    SE_GROUP_USE_FOR_DENY_ONLY = 0x00000010
    SE_GROUP_INTEGRITY = 0x00000020
    SE_GROUP_INTEGRITY_ENABLED = 0x00000040
    SE_GROUP_RESOURCE = 0x20000000
    SE_GROUP_LOGON_ID = 0xC0000000


class PrivilegeAttributes(enum.IntFlag):
    """See "TOKEN_PRIVILEGES structure"."""

    SE_PRIVILEGE_ENABLED_BY_DEFAULT = 0x00000001
    SE_PRIVILEGE_ENABLED = 0x00000002
    SE_PRIVILEGE_REMOVED = 0x00000004


SE_CHANGE_NOTIFY_NAME: Final = "SeChangeNotifyPrivilege"  # "Privilege Constants (Authorization)"


# --- security descriptors --------------------------------------------------------------------------------------------


class SecurityInformation(enum.IntFlag):
    """See "SECURITY_INFORMATION"."""

    OWNER_SECURITY_INFORMATION = 0x00000001
    GROUP_SECURITY_INFORMATION = 0x00000002
    DACL_SECURITY_INFORMATION = 0x00000004
    SACL_SECURITY_INFORMATION = 0x00000008
    LABEL_SECURITY_INFORMATION = 0x00000010
    UNPROTECTED_SACL_SECURITY_INFORMATION = 0x10000000
    UNPROTECTED_DACL_SECURITY_INFORMATION = 0x20000000
    PROTECTED_SACL_SECURITY_INFORMATION = 0x40000000
    PROTECTED_DACL_SECURITY_INFORMATION = 0x80000000


class SeObjectType(enum.IntEnum):
    """See "SE_OBJECT_TYPE enumeration"."""

    SE_FILE_OBJECT = 1
    SE_SERVICE = 2
    SE_PRINTER = 3
    SE_REGISTRY_KEY = 4
    SE_LMSHARE = 5
    SE_KERNEL_OBJECT = 6
    SE_WINDOW_OBJECT = 7


SDDL_REVISION_1: Final = 1  # "ConvertStringSecurityDescriptorToSecurityDescriptorW function"
SECURITY_MAX_SID_SIZE: Final = 68


# --- files -----------------------------------------------------------------------------------------------------------


class ShareMode(enum.IntFlag):
    """See "CreateFileW function", dwShareMode."""

    FILE_SHARE_READ = 0x1
    FILE_SHARE_WRITE = 0x2
    FILE_SHARE_DELETE = 0x4


class Disposition(enum.IntEnum):
    """See "CreateFileW function", dwCreationDisposition."""

    CREATE_NEW = 1
    CREATE_ALWAYS = 2
    OPEN_EXISTING = 3
    OPEN_ALWAYS = 4
    TRUNCATE_EXISTING = 5


class FileFlags(enum.IntFlag):
    """See "CreateFileW function", dwFlagsAndAttributes; "CreateNamedPipeW function", dwOpenMode."""

    FILE_FLAG_FIRST_PIPE_INSTANCE = 0x00080000
    FILE_FLAG_OPEN_REPARSE_POINT = 0x00200000
    FILE_FLAG_BACKUP_SEMANTICS = 0x02000000
    FILE_FLAG_DELETE_ON_CLOSE = 0x04000000
    FILE_FLAG_OVERLAPPED = 0x40000000
    SECURITY_SQOS_PRESENT = 0x00100000
    SECURITY_IDENTIFICATION = 0x00010000


class FileAttributes(enum.IntFlag):
    """See "File Attribute Constants"."""

    FILE_ATTRIBUTE_READONLY = 0x00000001
    FILE_ATTRIBUTE_HIDDEN = 0x00000002
    FILE_ATTRIBUTE_SYSTEM = 0x00000004
    FILE_ATTRIBUTE_DIRECTORY = 0x00000010
    FILE_ATTRIBUTE_ARCHIVE = 0x00000020
    FILE_ATTRIBUTE_NORMAL = 0x00000080
    FILE_ATTRIBUTE_TEMPORARY = 0x00000100
    FILE_ATTRIBUTE_REPARSE_POINT = 0x00000400
    FILE_ATTRIBUTE_OFFLINE = 0x00001000
    FILE_ATTRIBUTE_RECALL_ON_OPEN = 0x00040000
    FILE_ATTRIBUTE_RECALL_ON_DATA_ACCESS = 0x00400000


INVALID_FILE_ATTRIBUTES: Final = 0xFFFFFFFF


class FileInfoByHandleClass(enum.IntEnum):
    """See "FILE_INFO_BY_HANDLE_CLASS enumeration"."""

    FileBasicInfo = 0
    FileStandardInfo = 1
    FileNameInfo = 2
    FileRenameInfo = 3
    FileDispositionInfo = 4
    FileAttributeTagInfo = 9
    FileIdBothDirectoryInfo = 10
    FileIdBothDirectoryRestartInfo = 11
    FileIdInfo = 18
    FileIdExtdDirectoryInfo = 19
    FileIdExtdDirectoryRestartInfo = 20
    FileDispositionInfoEx = 21
    FileRenameInfoEx = 22


class DispositionFlags(enum.IntFlag):
    """See "FILE_DISPOSITION_INFO_EX structure"."""

    FILE_DISPOSITION_FLAG_DELETE = 0x1
    FILE_DISPOSITION_FLAG_POSIX_SEMANTICS = 0x2
    FILE_DISPOSITION_FLAG_IGNORE_READONLY_ATTRIBUTE = 0x10


class ReparseTag(enum.IntEnum):
    """See "Reparse Point Tags" ([MS-FSCC] 2.1.2.1)."""

    IO_REPARSE_TAG_MOUNT_POINT = 0xA0000003
    IO_REPARSE_TAG_SYMLINK = 0xA000000C
    IO_REPARSE_TAG_APPEXECLINK = 0x8000001B


class VolumeFlags(enum.IntFlag):
    """See "GetVolumeInformationW function", lpFileSystemFlags."""

    FILE_PERSISTENT_ACLS = 0x00000008
    FILE_SUPPORTS_REPARSE_POINTS = 0x00000080
    FILE_SUPPORTS_HARD_LINKS = 0x00400000
    FILE_READ_ONLY_VOLUME = 0x00080000


class DriveType(enum.IntEnum):
    """See "GetDriveTypeW function"."""

    DRIVE_UNKNOWN = 0
    DRIVE_NO_ROOT_DIR = 1
    DRIVE_REMOVABLE = 2
    DRIVE_FIXED = 3
    DRIVE_REMOTE = 4
    DRIVE_CDROM = 5
    DRIVE_RAMDISK = 6


class FinalPathFlags(enum.IntFlag):
    """See "GetFinalPathNameByHandleW function"."""

    FILE_NAME_NORMALIZED = 0x0
    VOLUME_NAME_DOS = 0x0
    VOLUME_NAME_GUID = 0x1
    VOLUME_NAME_NT = 0x2
    VOLUME_NAME_NONE = 0x4
    FILE_NAME_OPENED = 0x8


class FileType(enum.IntEnum):
    """See "GetFileType function"."""

    FILE_TYPE_UNKNOWN = 0
    FILE_TYPE_DISK = 1
    FILE_TYPE_CHAR = 2
    FILE_TYPE_PIPE = 3


class FsControl(enum.IntEnum):
    """See "Volume Management Control Codes", "FSCTL_GET_REPARSE_POINT" and its like."""

    FSCTL_SET_REPARSE_POINT = 0x000900A4
    FSCTL_GET_REPARSE_POINT = 0x000900A8
    FSCTL_DELETE_REPARSE_POINT = 0x000900AC


MAXIMUM_REPARSE_DATA_BUFFER_SIZE: Final = 16384

SEM_FAILCRITICALERRORS: Final = 0x1  # "SetThreadErrorMode function"


# --- the native API --------------------------------------------------------------------------------------------------


class ObjectFlags(enum.IntFlag):
    """See "OBJECT_ATTRIBUTES structure (ntdef.h)"."""

    OBJ_INHERIT = 0x00000002
    OBJ_CASE_INSENSITIVE = 0x00000040
    OBJ_DONT_REPARSE = 0x00001000


class NtDisposition(enum.IntEnum):
    """See "NtCreateFile function (winternl.h)", CreateDisposition."""

    FILE_SUPERSEDE = 0
    FILE_OPEN = 1
    FILE_CREATE = 2
    FILE_OPEN_IF = 3


class NtCreateOptions(enum.IntFlag):
    """See "NtCreateFile function (winternl.h)", CreateOptions."""

    FILE_DIRECTORY_FILE = 0x00000001
    FILE_SYNCHRONOUS_IO_NONALERT = 0x00000020
    FILE_NON_DIRECTORY_FILE = 0x00000040
    FILE_OPEN_FOR_BACKUP_INTENT = 0x00004000
    FILE_OPEN_REPARSE_POINT = 0x00200000
    FILE_OPEN_NO_RECALL = 0x00400000


class FileInformationClass(enum.IntEnum):
    """See "FILE_INFORMATION_CLASS enumeration (wdm.h)"."""

    FileIdBothDirectoryInformation = 37
    FileIdExtdDirectoryInformation = 60


class FsInformationClass(enum.IntEnum):
    """See "FS_INFORMATION_CLASS", ZwQueryVolumeInformationFile."""

    FileFsDeviceInformation = 4


class DeviceType(enum.IntEnum):
    """See "Specifying Device Types"."""

    FILE_DEVICE_CONSOLE = 0x50


class DeviceCharacteristics(enum.IntFlag):
    """See "FILE_FS_DEVICE_INFORMATION structure (wdm.h)", Characteristics."""

    FILE_REMOTE_DEVICE = 0x00000010


# --- processes -------------------------------------------------------------------------------------------------------


class CreationFlags(enum.IntFlag):
    """See "Process Creation Flags"."""

    CREATE_SUSPENDED = 0x00000004
    DETACHED_PROCESS = 0x00000008
    CREATE_NEW_CONSOLE = 0x00000010
    CREATE_NEW_PROCESS_GROUP = 0x00000200
    CREATE_UNICODE_ENVIRONMENT = 0x00000400
    EXTENDED_STARTUPINFO_PRESENT = 0x00080000
    CREATE_BREAKAWAY_FROM_JOB = 0x01000000
    CREATE_DEFAULT_ERROR_MODE = 0x04000000
    CREATE_NO_WINDOW = 0x08000000


class StartupFlags(enum.IntFlag):
    """See "STARTUPINFOW structure"."""

    STARTF_USESHOWWINDOW = 0x001
    STARTF_USESTDHANDLES = 0x100


class ProcThreadAttribute(enum.IntEnum):
    """See "UpdateProcThreadAttribute function"."""

    PROC_THREAD_ATTRIBUTE_HANDLE_LIST = 0x00020002
    PROC_THREAD_ATTRIBUTE_JOB_LIST = 0x0002000D


class HandleFlags(enum.IntFlag):
    """See "SetHandleInformation function"."""

    HANDLE_FLAG_INHERIT = 0x1
    HANDLE_FLAG_PROTECT_FROM_CLOSE = 0x2


class DuplicateFlags(enum.IntFlag):
    """See "DuplicateHandle function"."""

    DUPLICATE_CLOSE_SOURCE = 0x1
    DUPLICATE_SAME_ACCESS = 0x2


class Wait(enum.IntEnum):
    """See "WaitForSingleObject function"."""

    WAIT_OBJECT_0 = 0
    WAIT_ABANDONED = 0x80
    WAIT_TIMEOUT = 258
    WAIT_FAILED = 0xFFFFFFFF


INFINITE: Final = 0xFFFFFFFF
MAXIMUM_WAIT_OBJECTS: Final = 64
STILL_ACTIVE: Final = 259


class StandardHandle(enum.IntEnum):
    """See "GetStdHandle function"; the numbers as DWORDs."""

    STD_INPUT_HANDLE = 0xFFFFFFF6
    STD_OUTPUT_HANDLE = 0xFFFFFFF5
    STD_ERROR_HANDLE = 0xFFFFFFF4


CTRL_BREAK_EVENT: Final = 1  # "GenerateConsoleCtrlEvent function"


class ProcessorArchitecture(enum.IntEnum):
    """See "SYSTEM_INFO structure"."""

    PROCESSOR_ARCHITECTURE_INTEL = 0
    PROCESSOR_ARCHITECTURE_ARM = 5
    PROCESSOR_ARCHITECTURE_AMD64 = 9
    PROCESSOR_ARCHITECTURE_ARM64 = 12


# --- pipes -----------------------------------------------------------------------------------------------------------


class PipeMode(enum.IntFlag):
    """See "CreateNamedPipeW function"."""

    PIPE_ACCESS_INBOUND = 0x00000001
    PIPE_ACCESS_OUTBOUND = 0x00000002
    PIPE_ACCESS_DUPLEX = 0x00000003
    PIPE_TYPE_BYTE = 0x00000000
    PIPE_WAIT = 0x00000000
    PIPE_REJECT_REMOTE_CLIENTS = 0x00000008


# --- jobs ------------------------------------------------------------------------------------------------------------


class JobInformationClass(enum.IntEnum):
    """See "SetInformationJobObject function" and "QueryInformationJobObject function"."""

    JobObjectBasicAccountingInformation = 1
    JobObjectBasicLimitInformation = 2
    JobObjectBasicProcessIdList = 3
    JobObjectBasicUIRestrictions = 4
    JobObjectEndOfJobTimeInformation = 6
    JobObjectAssociateCompletionPortInformation = 7
    JobObjectBasicAndIoAccountingInformation = 8
    JobObjectExtendedLimitInformation = 9
    JobObjectLimitViolationInformation = 13


class JobLimit(enum.IntFlag):
    """See "JOBOBJECT_BASIC_LIMIT_INFORMATION structure"."""

    JOB_OBJECT_LIMIT_PROCESS_TIME = 0x00000002
    JOB_OBJECT_LIMIT_JOB_TIME = 0x00000004
    JOB_OBJECT_LIMIT_ACTIVE_PROCESS = 0x00000008
    JOB_OBJECT_LIMIT_PROCESS_MEMORY = 0x00000100
    JOB_OBJECT_LIMIT_JOB_MEMORY = 0x00000200
    JOB_OBJECT_LIMIT_DIE_ON_UNHANDLED_EXCEPTION = 0x00000400
    JOB_OBJECT_LIMIT_BREAKAWAY_OK = 0x00000800
    JOB_OBJECT_LIMIT_SILENT_BREAKAWAY_OK = 0x00001000
    JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE = 0x00002000


class JobUiLimit(enum.IntFlag):
    """See "JOBOBJECT_BASIC_UI_RESTRICTIONS structure"."""

    JOB_OBJECT_UILIMIT_HANDLES = 0x01
    JOB_OBJECT_UILIMIT_READCLIPBOARD = 0x02
    JOB_OBJECT_UILIMIT_WRITECLIPBOARD = 0x04
    JOB_OBJECT_UILIMIT_SYSTEMPARAMETERS = 0x08
    JOB_OBJECT_UILIMIT_DISPLAYSETTINGS = 0x10
    JOB_OBJECT_UILIMIT_GLOBALATOMS = 0x20
    JOB_OBJECT_UILIMIT_DESKTOP = 0x40
    JOB_OBJECT_UILIMIT_EXITWINDOWS = 0x80


class JobMessage(enum.IntEnum):
    """See "JOBOBJECT_ASSOCIATE_COMPLETION_PORT structure"."""

    JOB_OBJECT_MSG_END_OF_JOB_TIME = 1
    JOB_OBJECT_MSG_END_OF_PROCESS_TIME = 2
    JOB_OBJECT_MSG_ACTIVE_PROCESS_LIMIT = 3
    JOB_OBJECT_MSG_ACTIVE_PROCESS_ZERO = 4
    JOB_OBJECT_MSG_NEW_PROCESS = 6
    JOB_OBJECT_MSG_EXIT_PROCESS = 7
    JOB_OBJECT_MSG_ABNORMAL_EXIT_PROCESS = 8
    JOB_OBJECT_MSG_PROCESS_MEMORY_LIMIT = 9
    JOB_OBJECT_MSG_JOB_MEMORY_LIMIT = 10


class EndOfJobTimeAction(enum.IntEnum):
    """See "JOBOBJECT_END_OF_JOB_TIME_INFORMATION structure"."""

    JOB_OBJECT_TERMINATE_AT_END_OF_JOB = 0
    JOB_OBJECT_POST_AT_END_OF_JOB = 1


# --- user interface and shell ----------------------------------------------------------------------------------------


class UserObjectInformation(enum.IntEnum):
    """See "GetUserObjectInformationW function"."""

    UOI_FLAGS = 1
    UOI_NAME = 2
    UOI_TYPE = 3
    UOI_USER_SID = 4
    UOI_HEAPSIZE = 5


WSF_VISIBLE: Final = 0x1  # "USEROBJECTFLAGS structure": the window station has a display

KF_FLAG_DONT_VERIFY: Final = 0x4000  # "KNOWN_FOLDER_FLAG enumeration"

# "KNOWNFOLDERID": the identifiers as text, by the constants' names without FOLDERID_
KNOWN_FOLDERS: Final = {
    "Windows": "f38bf404-1d43-42f2-9305-67de0b28fc23",
    "System": "1ac14e77-02e7-4e5d-b744-2eb1ae5198b7",
    "ProgramFiles": "905e63b6-c1bf-494e-b29c-65b732d3d21a",
    "ProgramFilesX86": "7c5a40ef-a0fb-4bfc-874a-c0f2e0b9fa8e",
    "ProgramFilesX64": "6d809377-6af0-444b-8957-a3773f02200e",
    "ProgramData": "62ab5d82-fdc1-4dc3-a9dd-070d1d495d97",
    "UserProfiles": "0762d272-c50a-4bb0-a382-697dcd729b80",
    "Profile": "5e6c858f-0e22-4760-9afe-ea3317b67173",
    "LocalAppData": "f1b32785-6fba-4fcf-9d55-7b8e7f157091",
    "RoamingAppData": "3eb685db-65f9-4cf6-a03a-e3ef65729f3d",
    "LocalAppDataLow": "a520a1a4-1780-4ff6-bd18-167343c5af16",
    "Startup": "b97d20bb-f46a-4c97-ba10-5e3608430854",
    "CommonStartup": "82a5ea35-d9cd-47c5-9629-e15d2f714e6e",
    "Public": "dfdf76a2-c82a-4d63-906a-5644ac457385",
}

HKEY_CURRENT_USER: Final = 0x80000001  # "Predefined Keys"
REG_OPTION_NON_VOLATILE: Final = 0
REG_OPTION_VOLATILE: Final = 1
