"""Facts about a host made by hand, for the pure planner's tests."""

from __future__ import annotations

from typing import Any

from winsandbox._host import Capabilities, FileId, KnownFolders, TokenInfo, Volume
from winsandbox._plan import Place, Protected
from winsandbox._security.sid import ADMINISTRATORS, AUTHENTICATED_USERS, EVERYONE, USERS, Sid
from winsandbox._security.token import GROUP_ENABLED, GROUP_USE_FOR_DENY_ONLY, Group, Token
from winsandbox._survey import Facts, RootFacts

USER = Sid.parse("S-1-5-21-1-2-3-1001")
LOGON = Sid.parse("S-1-5-5-0-12345")
ROOT = r"C:\src\project"
SECRET = bytes(range(32))

FOLDERS = KnownFolders(
    windows=r"C:\Windows",
    system=r"C:\Windows\System32",
    program_files=(r"C:\Program Files", r"C:\Program Files (x86)"),
    program_data=r"C:\ProgramData",
    profiles=r"C:\Users",
    profile=r"C:\Users\me",
    local_app_data=r"C:\Users\me\AppData\Local",
    roaming_app_data=r"C:\Users\me\AppData\Roaming",
    local_app_data_low=r"C:\Users\me\AppData\LocalLow",
    startup=(r"C:\Users\me\AppData\Roaming\Microsoft\Windows\Start Menu\Programs\Startup",),
    public=r"C:\Users\Public",
)
SYSTEM_DRIVE = Volume("C:\\", 1, "NTFS", 0x8, "fixed")


def identity(number: int) -> FileId:
    return FileId(1, number)


def caller(**changes: Any) -> TokenInfo:
    groups = [Group(sid, GROUP_ENABLED) for sid in (EVERYONE, USERS, AUTHENTICATED_USERS, LOGON)]
    token = changes.pop("token", None) or Token(
        user=USER, groups=(*groups, Group(ADMINISTRATORS, GROUP_USE_FOR_DENY_ONLY)), owner=USER
    )
    fields: dict[str, Any] = {
        "token": token,
        "logon": LOGON,
        "owner": USER,
        "primary_group": USERS,
        "default_dacl": None,
        "restricted": False,
        "elevated": False,
        "elevation": "limited",
        "app_container": False,
        "session": 1,
    }
    return TokenInfo(**{**fields, **changes})


def protected(name: str, number: int, root: str = ROOT, **changes: Any) -> Protected:
    return Protected(name=name, path=f"{root}\\{name}", identity=identity(number), **changes)


def root(path: str = ROOT, number: int = 10, **changes: Any) -> RootFacts:
    fields: dict[str, Any] = {"asked": path, "place": Place(path, identity(number)), "volume": SYSTEM_DRIVE}
    return RootFacts(**{**fields, "workspace": True, **changes})


def facts(**changes: Any) -> Facts:
    fields: dict[str, Any] = {
        "capabilities": Capabilities("windows", "Windows 10.0.22631", 22631, "AMD64", None, None),
        "caller": caller(),
        "folders": FOLDERS,
        "roots": (root(missing=(".codex", ".agents")),),
        "protected": (protected(".git", 11),),
        "watch": (),
        "drives": (SYSTEM_DRIVE,),
        "mistakes": (),
        "notes": (),
        "open_places": (),
    }
    return Facts(**{**fields, **changes})
