"""What this machine can do, found out by trying it; and the marks by which tests say what they need.

A test asks for what it needs and never for a platform's name::

    from tests.capabilities import needs

    @needs("restricting tokens")
    def test_a_write_outside_is_refused() -> None: ...

Where a capability is missing the test is skipped and the reason is printed. Each probe runs once, when the first test
that needs it is about to run. The probes use ctypes themselves and not winsandbox._win32, because a mistake in the code
under test must make tests fail and not make them disappear.
"""

from __future__ import annotations

import ctypes
import functools
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest

ROOT = str(Path(__file__).resolve().parents[1])

# One group, S-1-5-21-1-2-3-4, that no token and no default ACL contains.
_STRANGER = bytes.fromhex("0105000000000005 15000000 01000000 02000000 03000000 04000000")


@dataclass(frozen=True)
class Capability:
    """Something that a machine may lack: how to find out, and what to say to a reader whose test was skipped."""

    name: str
    probe: Callable[[], bool]
    missing: str


def _library(name: str) -> Any:
    """The DLL *name* where there are DLLs, else None. Any: typeshed has WinDLL on one platform only."""
    loader = getattr(ctypes, "WinDLL", None)
    return None if loader is None else loader(name, use_last_error=True, winmode=0x800)


def wine_version() -> str | None:
    """Wine's version where this Python runs in Wine; None elsewhere. Only Wine's ntdll exports the function."""
    ntdll = _library("ntdll.dll")
    try:
        function = None if ntdll is None else ntdll.wine_get_version
    except AttributeError:
        return None
    if function is None:
        return None
    function.restype = ctypes.c_char_p
    return str(function().decode("ascii"))


def _windows() -> bool:
    return _library("ntdll.dll") is not None


def _process_token(access: int) -> ctypes.c_void_p:
    """The token of this process; the handle is left to the end of the process (a handful of probes, once each)."""
    advapi32, kernel32 = _library("advapi32.dll"), _library("kernel32.dll")
    kernel32.GetCurrentProcess.restype = ctypes.c_void_p
    advapi32.OpenProcessToken.argtypes = [ctypes.c_void_p, ctypes.c_uint32, ctypes.c_void_p]
    token = ctypes.c_void_p()
    if not advapi32.OpenProcessToken(kernel32.GetCurrentProcess(), access, ctypes.byref(token)):
        raise OSError(f"OpenProcessToken: {_last_error()}")
    return token


def _last_error() -> int:
    return int(getattr(ctypes, "get_last_error", lambda: 0)())


def _restricting_tokens() -> bool:
    """Whether CreateRestrictedToken makes a token that really is restricted (Wine's says yes and makes a plain one)."""
    if not _windows():
        return False
    advapi32 = _library("advapi32.dll")
    sid = ctypes.create_string_buffer(_STRANGER, len(_STRANGER))
    # SID_AND_ATTRIBUTES is a pointer and a DWORD padded to a pointer, on x86 as on x64.
    restricting = (ctypes.c_void_p * 2)(ctypes.addressof(sid), 0)
    made = ctypes.c_void_p()
    advapi32.CreateRestrictedToken.argtypes = [
        ctypes.c_void_p,
        *(ctypes.c_uint32, ctypes.c_uint32, ctypes.c_void_p, ctypes.c_uint32, ctypes.c_void_p, ctypes.c_uint32),
        ctypes.c_void_p,
        ctypes.c_void_p,
    ]
    advapi32.IsTokenRestricted.argtypes = [ctypes.c_void_p]
    token = _process_token(0x000A)  # TOKEN_DUPLICATE | TOKEN_QUERY
    if not advapi32.CreateRestrictedToken(token, 0, 0, None, 0, None, 1, ctypes.byref(restricting), ctypes.byref(made)):
        return False
    return bool(advapi32.IsTokenRestricted(made))


def _elevated() -> bool:
    if not _windows():
        return False
    advapi32 = _library("advapi32.dll")
    advapi32.GetTokenInformation.argtypes = [
        *(ctypes.c_void_p, ctypes.c_uint32, ctypes.c_void_p, ctypes.c_uint32, ctypes.c_void_p)
    ]
    value, needed = ctypes.c_uint32(), ctypes.c_uint32()
    if not advapi32.GetTokenInformation(
        _process_token(0x0008),  # TOKEN_QUERY
        20,  # TokenElevation
        ctypes.byref(value),
        4,
        ctypes.byref(needed),
    ):
        raise OSError(f"GetTokenInformation(TokenElevation): {_last_error()}")
    return bool(value.value)


def elevation() -> Literal["refuse", "lower"]:
    """What a policy of this process has to say for ``elevated=``: hosted runners and Wine are elevated, people not."""
    return "lower" if has("elevated") else "refuse"


def stores_acls(directory: str | os.PathLike[str]) -> bool:
    """Whether a file in *directory* gives back a descriptor with a SID that nobody else knows (Wine's files do not)."""
    if not _windows():
        return False
    advapi32 = _library("advapi32.dll")
    advapi32.SetFileSecurityW.argtypes = [ctypes.c_wchar_p, ctypes.c_uint32, ctypes.c_void_p]
    advapi32.GetFileSecurityW.argtypes = [
        *(ctypes.c_wchar_p, ctypes.c_uint32, ctypes.c_void_p, ctypes.c_uint32, ctypes.c_void_p)
    ]
    everyone = bytes.fromhex("010100000000000100000000")
    aces = b"".join(
        b"\x00\x00" + (8 + len(sid)).to_bytes(2, "little") + (0x1F01FF).to_bytes(4, "little") + sid
        for sid in (everyone, _STRANGER)
    )
    acl = b"\x02\x00" + (8 + len(aces)).to_bytes(2, "little") + b"\x02\x00\x00\x00" + aces
    # Self-relative, DACL present at offset 20, no owner, group or SACL.
    header = b"\x01\x00\x04\x80" + bytes(12) + (20).to_bytes(4, "little")
    descriptor = ctypes.create_string_buffer(header + acl, len(header + acl))
    handle, name = tempfile.mkstemp(dir=directory)
    os.close(handle)
    try:
        if not advapi32.SetFileSecurityW(name, 4, descriptor):  # DACL_SECURITY_INFORMATION
            return False
        answer, needed = ctypes.create_string_buffer(4096), ctypes.c_uint32()
        if not advapi32.GetFileSecurityW(name, 4, answer, len(answer), ctypes.byref(needed)):
            return False
        return _STRANGER in answer.raw
    finally:
        Path(name).unlink()


def _symlinks() -> bool:
    """Whether this user may make symbolic links (a privilege on Windows; Wine says yes and makes nothing)."""
    with tempfile.TemporaryDirectory() as directory:
        link = Path(directory, "link")
        try:
            link.symlink_to(directory, target_is_directory=True)
        except OSError:
            return False
        return link.is_symlink()


def _runs(*command: str) -> bool:
    try:
        done = subprocess.run(command, capture_output=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def samba_python() -> str | None:
    """The interpreter that has Samba's bindings: Debian puts them into its own Python and no other."""
    # Not on Windows: Wine would start the Linux program, with a process handle that is none.
    others = () if _windows() else ("/usr/bin/python3",)
    for candidate in (sys.executable, *others):
        if _runs(candidate, "-c", "from samba.dcerpc import security"):
            return str(candidate)
    return None


def _wine_lab() -> bool:
    """Whether .ci/wine has been set up here, so that a test on the Linux side may start Windows' Python through it."""
    lab = os.environ.get("WINSANDBOX_WINE_LAB") or Path.home() / ".cache" / "winsandbox" / "wine"
    return not _windows() and shutil.which("wine") is not None and Path(lab, "ready").exists()


def _module(name: str) -> Callable[[], bool]:
    return lambda: importlib.util.find_spec(name) is not None


CAPABILITIES = {
    capability.name: capability
    for capability in (
        Capability("windows", _windows, "there are no Windows DLLs here"),
        Capability("no windows", lambda: not _windows(), "this is about the other systems"),
        Capability("wine", lambda: wine_version() is not None, "this Python does not run in Wine"),
        Capability("not wine", lambda: wine_version() is None, "slow in Wine, and the same on every other system"),
        Capability("real windows", lambda: _windows() and wine_version() is None, "Wine or another OS, not Windows"),
        Capability("restricting tokens", _restricting_tokens, "restricting SIDs are ignored here (Wine) or unknown"),
        Capability("stored acls", lambda: stores_acls(tempfile.gettempdir()), "files here do not keep their ACLs"),
        Capability("elevated", _elevated, "this process is not elevated"),
        Capability("standard user", lambda: _windows() and not _elevated(), "not Windows, or the process is elevated"),
        Capability("symlinks", _symlinks, "symbolic links cannot be made here"),
        Capability("posix", lambda: hasattr(os, "fork"), "there is no fork here"),
        Capability("wine lab", _wine_lab, "Windows' Python is not set up here; .ci/wine --setup-only makes it"),
        Capability("mingw x64", lambda: _runs("x86_64-w64-mingw32-gcc", "--version"), "no gcc-mingw-w64-x86-64"),
        Capability("mingw x86", lambda: _runs("i686-w64-mingw32-gcc", "--version"), "no gcc-mingw-w64-i686"),
        Capability("samba", lambda: samba_python() is not None, "no Python with Samba's bindings (python3-samba)"),
        Capability("win32more", _module("win32more"), "the package win32more is not installed (extra 'oracles')"),
        Capability("winacl", _module("winacl"), "the package winacl is not installed (extra 'oracles')"),
        Capability("mypy", _module("mypy"), "mypy is not installed for this Python"),
        Capability("flit_core", _module("flit_core"), "flit_core is not installed for this Python"),
        Capability("git", lambda: _runs("git", "--version"), "git cannot be started here"),
        Capability("git checkout", lambda: _runs("git", "-C", ROOT, "rev-parse", "HEAD"), "no git, or no git checkout"),
    )
}


@functools.cache
def has(name: str) -> bool:
    """Whether this machine has the capability *name*; a name that does not exist is a KeyError."""
    return CAPABILITIES[name].probe()


def needs(*names: str) -> pytest.MarkDecorator:
    """A mark: skip the test, and print why, where one of the named capabilities is missing."""
    for name in names:
        if name not in CAPABILITIES:
            raise KeyError(f"no capability {name!r}; there are {', '.join(sorted(CAPABILITIES))}")
    return pytest.mark.needs(*names)


def missing(*names: str) -> str | None:
    """Why a test that needs *names* cannot run here; None where it can."""
    reasons = [f"needs {name!r}: {CAPABILITIES[name].missing}" for name in names if not has(name)]
    return "; ".join(reasons) or None
