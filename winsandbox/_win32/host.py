"""WindowsHost: the Host of this package made of the calls of :mod:`._win32`; Wine is one too, and says so."""

from __future__ import annotations

import functools
import sys

from .. import _host
from .constants import ProcessorArchitecture
from .ffi import size_of
from .host_files import HostFiles
from .host_processes import HostProcesses
from .host_tokens import HostTokens
from .kernel32 import GetNativeSystemInfo
from .ntdll import RtlGetVersion, wine_get_version
from .structs import OSVERSIONINFOEXW, SYSTEM_INFO

_MACHINES: dict[int, str] = {
    ProcessorArchitecture.PROCESSOR_ARCHITECTURE_INTEL: "x86",
    ProcessorArchitecture.PROCESSOR_ARCHITECTURE_ARM: "arm",
    ProcessorArchitecture.PROCESSOR_ARCHITECTURE_AMD64: "x64",
    ProcessorArchitecture.PROCESSOR_ARCHITECTURE_ARM64: "arm64",
}


class WindowsHost:
    """The Windows that this process runs on."""

    def __init__(self) -> None:
        self.files: _host.Files = HostFiles()
        self.tokens: _host.Tokens = HostTokens()
        self.processes: _host.Processes = HostProcesses()

    def capabilities(self) -> _host.Capabilities:
        return _capabilities()

    def __repr__(self) -> str:
        return f"<WindowsHost on {sys.platform}>"


@functools.cache
def _capabilities() -> _host.Capabilities:
    version = OSVERSIONINFOEXW()
    version.dwOSVersionInfoSize = size_of(version)
    RtlGetVersion(version)
    system = SYSTEM_INFO()
    GetNativeSystemInfo(system)
    # Wine reports success for restricting SIDs and for DACLs of files, and keeps neither. Only its ntdll has this
    # export; a Windows that lies in the same way is found out by reading back, each time.
    wine = wine_get_version.exists()
    system_name = f"Windows {version.dwMajorVersion}.{version.dwMinorVersion}.{version.dwBuildNumber}"
    return _host.Capabilities(
        kind="wine" if wine else "windows",
        system=f"Wine, which calls itself {system_name}" if wine else system_name,
        build=version.dwBuildNumber,
        machine=_MACHINES.get(system.wProcessorArchitecture, f"architecture {system.wProcessorArchitecture}"),
        restricts=False if wine else None,
        stores_acls=False if wine else None,
    )
