"""The volumes of a default installation of Windows 11, with its descriptors, as far as policies meet them.

The DACLs are those that ``icacls`` shows on such a machine, without the entries for app packages and the trusted
installer's own, which no token here has. U stands for the user.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from .._security.descriptor import SecurityDescriptor

if TYPE_CHECKING:
    from .machine import Machine

__all__ = ["DATA_DRIVE", "PROFILE", "SYSTEM_DRIVE", "expand", "install", "make_profile", "null_device", "with_user"]

_FULL: Final = "(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)"
_SYSTEM_FILES: Final = (
    "O:SYG:SYD:PAI(A;OICIIO;GA;;;CO)(A;OICIIO;GA;;;SY)(A;;0x1301bf;;;SY)(A;OICIIO;GA;;;BA)(A;;0x1301bf;;;BA)"
    "(A;OICIIO;GXGR;;;BU)(A;;0x1200a9;;;BU)"
)
# Authenticated users may make directories on the system drive, which they then own; files below C:\ get a High label.
SYSTEM_DRIVE: Final = (
    f"O:SYG:SYD:PAI{_FULL}(A;OICI;0x1200a9;;;BU)(A;OICIIO;SDGXGWGR;;;AU)(A;;LC;;;AU)S:(ML;OINPIO;NW;;;HI)"
)
DATA_DRIVE: Final = f"O:BAG:SYD:AI{_FULL}(A;OICIIO;SDGXGWGR;;;AU)(A;;0x1301bf;;;AU)(A;OICI;0x1200a9;;;BU)"
PROFILE: Final = f"O:SYG:SYD:PAI{_FULL}(A;OICI;FA;;;U)"

# (path, descriptor); None: inherited.
_DIRECTORIES: Final[tuple[tuple[str, str | None], ...]] = (
    (r"C:\Windows", _SYSTEM_FILES),
    (r"C:\Windows\System32", _SYSTEM_FILES),
    (r"C:\Windows\System32\WindowsPowerShell", None),
    (r"C:\Windows\System32\WindowsPowerShell\v1.0", None),
    (r"C:\Windows\SysWOW64", _SYSTEM_FILES),
    # Users may make files in it but not list it.
    (r"C:\Windows\Temp", f"O:SYG:SYD:PAI(A;OICIIO;FA;;;CO){_FULL}(A;CI;0x100026;;;BU)"),
    (r"C:\Program Files", _SYSTEM_FILES),
    (r"C:\Program Files\Git", None),
    (r"C:\Program Files\Git\cmd", None),
    (r"C:\Program Files (x86)", _SYSTEM_FILES),
    (r"C:\ProgramData", f"O:SYG:SYD:PAI(A;OICIIO;GA;;;CO){_FULL}(A;OICI;0x1200a9;;;BU)(A;CI;DCLCRPCR;;;BU)"),
    (r"C:\ProgramData\Microsoft", None),
    (r"C:\ProgramData\Microsoft\Windows", None),
    (
        r"C:\ProgramData\Microsoft\Windows\Start Menu",
        f"O:BAG:SYD:PAI{_FULL}(A;OICI;0x1200a9;;;BU)(A;OICI;0x1200a9;;;WD)",
    ),
    (r"C:\ProgramData\Microsoft\Windows\Start Menu\Programs", None),
    (r"C:\ProgramData\Microsoft\Windows\Start Menu\Programs\Startup", None),
    (
        r"C:\Users",
        f"O:SYG:SYD:PAI{_FULL}(A;;0x1200a9;;;BU)(A;OICIIO;GXGR;;;BU)(A;;0x1200a9;;;WD)(A;OICIIO;GXGR;;;WD)",
    ),
    # Whoever is logged on interactively may write in Public; Everyone is not named.
    (
        r"C:\Users\Public",
        f"O:SYG:SYD:PAI(A;OICIIO;FA;;;CO){_FULL}(A;OICI;0x1200a9;;;BU)(A;OICIIO;SDGXGWGR;;;IU)(A;;0x1201bf;;;IU)"
        "(A;OICIIO;SDGXGWGR;;;SU)(A;;0x1201bf;;;SU)",
    ),
    (r"C:\Users\Public\Documents", None),
    (r"C:\Users\Public\Desktop", f"O:SYG:SYD:PAI{_FULL}(A;OICI;0x1200a9;;;BU)(A;OICI;0x1200a9;;;IU)"),
)

_FILES: Final = (
    r"C:\Windows\System32\cmd.exe",
    r"C:\Windows\System32\where.exe",
    r"C:\Windows\System32\curl.exe",
    r"C:\Windows\System32\kernel32.dll",
    r"C:\Windows\System32\WindowsPowerShell\v1.0\powershell.exe",
    r"C:\Windows\explorer.exe",
    r"C:\Program Files\Git\cmd\git.exe",
)

_PROFILE_DIRECTORIES: Final[tuple[tuple[str, str | None], ...]] = (
    ("", PROFILE),
    ("AppData", None),
    (r"AppData\Local", None),
    (r"AppData\Local\Temp", None),
    (r"AppData\Local\Microsoft", None),
    # The one place of a profile that Low processes may write to.
    (r"AppData\LocalLow", f"O:UG:SYD:PAI{_FULL}(A;OICI;FA;;;U)S:AI(ML;OICI;NW;;;LW)"),
    (r"AppData\Roaming", None),
    (r"AppData\Roaming\Microsoft", None),
    (r"AppData\Roaming\Microsoft\Windows", None),
    (r"AppData\Roaming\Microsoft\Windows\Start Menu", None),
    (r"AppData\Roaming\Microsoft\Windows\Start Menu\Programs", None),
    (r"AppData\Roaming\Microsoft\Windows\Start Menu\Programs\Startup", None),
    ("Desktop", None),
    ("Documents", None),
    ("Downloads", None),
    ("source", None),
)

# HKCU and HKLM\SOFTWARE (the latter's DACL as on a default installation, without app packages).
_KEYS: Final = {
    "HKCU": "O:UG:SYD:AI(A;CI;KA;;;U)(A;CI;KA;;;SY)(A;CI;KA;;;BA)(A;CI;KR;;;RC)",
    "HKLM": "O:BAG:SYD:PAI(A;CI;KR;;;BU)(A;CI;KA;;;BA)(A;CI;KA;;;SY)(A;CIIO;GA;;;CO)",
}
_SUBKEYS: Final = (
    r"HKCU\Software\Microsoft\Windows\CurrentVersion\Run",
    r"HKCU\Environment",
    r"HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Run",
    r"HKLM\SYSTEM\CurrentControlSet\Services",
)


@lru_cache(maxsize=1)
def null_device() -> bytes:
    r"""Of ``\\Device\\Null``: Everyone may read and write it. Low processes too: not measured; it errs towards open."""
    return SecurityDescriptor.from_sddl(
        "O:BAG:SYD:(A;;0x12019f;;;WD)(A;;FA;;;SY)(A;;FA;;;BA)(A;;0x1200a9;;;RC)S:(ML;;NW;;;LW)"
    ).to_bytes()


def with_user(sddl: str, user: str) -> str:
    """SDDL in which the letter U stands for the user."""
    return re.sub(r"^O:U(?=[GDS]:|$)", f"O:{user}", sddl.replace(";;;U)", f";;;{user})"))


@lru_cache(maxsize=512)
def expand(sddl: str, user: str) -> bytes:
    """SDDL in which U stands for the user, as bytes; owner and group are the user's where the text names none."""
    text = with_user(sddl, user)
    if "G:" not in text.partition("D:")[0]:
        owner, found, rest = text.partition("D:")
        text = f"{owner}G:{user}{found}{rest}" if owner.startswith("O:") else f"O:{user}G:{user}{text}"
    return SecurityDescriptor.from_sddl(text).to_bytes()


def install(machine: Machine) -> None:
    """Lay out the system drive and the registry."""
    for path, sddl in _DIRECTORIES:
        machine.add_directory(path, sddl)
    for path in _FILES:
        machine.add_file(path, b"MZ")
    user = str(machine.user)
    for hive, sddl in _KEYS.items():
        machine.objects.add_hive(hive, expand(sddl, user))
    for key in _SUBKEYS:
        machine.objects.add_key(key)


def make_profile(machine: Machine, path: str) -> None:
    """Lay out the user's profile."""
    for name, sddl in _PROFILE_DIRECTORIES:
        machine.add_directory(path + ("\\" + name if name else ""), sddl, as_user=True)
