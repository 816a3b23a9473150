"""The caller's known folders, as Windows has them and not as the environment says.

Source: Microsoft Learn, "SHGetKnownFolderPath function" and "KNOWNFOLDERID".
"""

from __future__ import annotations

import ctypes
import functools
import uuid

from .. import _host
from ..errors import WinError
from .constants import KF_FLAG_DONT_VERIFY, KNOWN_FOLDERS, SystemError_
from .shell32 import CoTaskMemFree, SHGetKnownFolderPath
from .structs import GUID


@functools.cache
def known_folders() -> _host.KnownFolders:
    def all_of(*names: str) -> tuple[str, ...]:
        found = (_known_folder(name) for name in names)
        return tuple(dict.fromkeys(path for path in found if path is not None))

    def one(name: str) -> str:
        path = _known_folder(name)
        if path is None:
            raise WinError(SystemError_.ERROR_FILE_NOT_FOUND, "SHGetKnownFolderPath", name)
        return path

    return _host.KnownFolders(
        windows=one("Windows"),
        system=one("System"),
        program_files=all_of("ProgramFiles", "ProgramFilesX86", "ProgramFilesX64"),
        program_data=one("ProgramData"),
        profiles=one("UserProfiles"),
        profile=one("Profile"),
        local_app_data=one("LocalAppData"),
        roaming_app_data=one("RoamingAppData"),
        local_app_data_low=one("LocalAppDataLow"),
        startup=all_of("Startup", "CommonStartup"),
        public=one("Public"),
    )


def _known_folder(name: str) -> str | None:
    """None where this Windows, or this account, has no such folder."""
    out = ctypes.c_void_p()
    identifier = GUID.from_buffer_copy(uuid.UUID(KNOWN_FOLDERS[name]).bytes_le)
    try:
        SHGetKnownFolderPath(identifier, KF_FLAG_DONT_VERIFY, None, out)
        return None if out.value is None else ctypes.wstring_at(out.value)
    except WinError:
        return None
    finally:
        CoTaskMemFree(out.value)
