r"""Paths as a question may name them: what a policy refuses as text, a child can still ask Windows for.

``\\server\share\x``, ``a.txt:stream``, ``NUL`` and ``%TEMP%\x`` are no places for a writable root, but "may the child
write there" has an answer for each. Names are read as CreateFileW reads them: dots and spaces at their end dropped.

Sources: "Naming Files, Paths, and Namespaces", "File Streams", "CreateFileW" (Microsoft Learn).
"""

from __future__ import annotations

import ntpath
import os
import re
from dataclasses import dataclass
from typing import Final, Literal

from ._paths import RESERVED, normal, path_text
from .environment import folded

__all__ = ["DISKS", "Asked", "asked", "device"]

# Opened raw these take an administrator, which no child's token is ("CreateFileW": Physical Disks and Volumes).
DISKS: Final = re.compile(r"\\\\[.?]\\([A-Z]:|PhysicalDrive\d+|Harddisk.*|Volume\{[^\\]*\})\\?", re.IGNORECASE)
_VARIABLE: Final = re.compile(r"%([^%\\/:]+)%(?=$|[\\/])")
_TEMP: Final = ("TEMP", "TMP")


@dataclass(frozen=True, slots=True)
class Asked:
    """What a question is about.

    Attributes:
        path: absolute; of a device, its name; of the private TEMP of a sandbox that is still to be, ``%TEMP%\\...``.
        stream: the stream of the file, "" for its content.
        kind: a path of a drive, of a share, a device, or that TEMP.
    """

    path: str
    stream: str = ""
    kind: Literal["drive", "share", "device", "temp"] = "drive"

    def __str__(self) -> str:
        return f"{self.path}:{self.stream}" if self.stream else self.path


def asked(path: str | os.PathLike[str], *, cwd: str, temp: str | None) -> Asked:
    r"""Read a question's path.

    Args:
        path: absolute, or relative to `cwd`. ``%TEMP%`` and ``%TMP%`` at its beginning are the private TEMP; other
            variables are the child's, and are refused: a name with such signs is written ``.\%name%``.
        cwd: the child's working directory, "" if there is none.
        temp: the private TEMP, None where there is none yet.

    Raises:
        ValueError: it is no path.
    """
    text = path_text(path)
    if text is None:
        raise ValueError(f"the path must be a str or a path, not {type(path).__name__}")
    if not text or "\0" in text:
        raise ValueError("the path is empty." if not text else "the path holds a NUL character.")
    variable = _VARIABLE.match(text)
    if variable is not None:
        if variable[1].upper() not in _TEMP:
            raise ValueError(
                f"{text!r} begins with a variable of the child's, and only %TEMP% and %TMP% are known beforehand. "
                f"Write the path itself, or .\\{text} for a file of that name."
            )
        rest = text[variable.end() :].replace("/", "\\")
        if temp is None:
            # On a stand-in, so that "..", streams and impossible names are read as on any drive.
            stood = _drive("T:\\T" + rest)
            inside = ntpath.relpath(stood.path, "T:\\T")
            if inside.split("\\")[0] == "..":
                raise ValueError(f"{text!r} leads out of the private TEMP, which is not made yet.")
            return Asked("%TEMP%" + ("" if inside == "." else "\\" + inside), stood.stream, "temp")
        text = temp + rest
    if text.startswith("/") and not text.startswith("//"):
        normal(text)  # says that this is a POSIX path; Windows would take it from the root of the current drive
    text = text.replace("/", "\\") if not text.startswith("\\\\?\\") else text
    if name := device(text):
        return Asked(name, kind="device")
    if text.startswith("\\\\.\\"):
        text = text[4:]
    elif text[:8].upper() == "\\\\?\\UNC\\":
        text = "\\\\" + text[8:]
    if text.startswith("\\\\") and not text.startswith("\\\\?\\"):
        return _share(text)
    if not text.startswith("\\\\?\\"):
        text = ntpath.join(cwd, text) if cwd else text
        if text.startswith("\\\\"):
            return _share(text)
    return _drive(text)


def device(path: str) -> str:
    r"""The device that a path names ("NUL", "COM1", ``\\.\PhysicalDrive0``), or "".

    A device's name counts behind any directory, and not with an extension: so Windows 11 takes ``C:\x\NUL`` and leaves
    ``NUL.txt`` a file; earlier ones took both, and took all devices so.
    """
    if path.startswith(("\\\\?\\", "\\\\.\\")):
        rest = path[4:]
        if re.match(r"[A-Za-z]:\\|UNC\\", rest, re.IGNORECASE):
            return ""
        bare = folded(rest.rstrip(":\\"))
        return bare if path[2] == "." and bare in RESERVED else path
    if path.startswith("\\\\"):
        return ""
    name = folded(re.split(r"[\\/]", path)[-1].rstrip(". ").removesuffix(":").rstrip(" "))
    return name if name in RESERVED else ""


def _share(text: str) -> Asked:
    head, stream = _stream(ntpath.normpath(text))
    parts = head[2:].split("\\")
    if len(parts) < 2 or not all(parts[:2]):
        raise ValueError(f"{text!r} names no share: write \\\\server\\share\\...")
    return Asked("\\\\" + "\\".join(parts[:2] + [_bare(part) for part in parts[2:]]), stream, "share")


def _drive(text: str) -> Asked:
    head, stream = _stream(text)
    if not text.startswith("\\\\?\\"):
        drive, tail = ntpath.splitdrive(ntpath.normpath(head))
        head = drive + "\\".join(_bare(name) for name in tail.split("\\"))
    return Asked(normal(head), stream)


def _bare(name: str) -> str:
    return name if set(name) <= {"."} else name.rstrip(". ")


def _stream(path: str) -> tuple[str, str]:
    """(file, stream): ``a.txt::$DATA`` is the content of ``a.txt`` itself."""
    above, name = ntpath.split(path)
    if ":" not in name:
        return path, ""
    file, stream, *kind = name.split(":")
    if not file or len(kind) > 1 or (kind and folded(kind[0]) != "$DATA") or not (stream or kind):
        raise ValueError(f"{name!r} names no stream of a file: write file:stream.")
    return ntpath.join(above, file), stream
