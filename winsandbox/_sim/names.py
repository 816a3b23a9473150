"""Names and paths as Windows takes them: what is refused, what is the same name, what the Win32 layer rewrites.

Sources: "Naming Files, Paths, and Namespaces", "Maximum Path Length Limitation" (Microsoft Learn); MS-FSA 2.1.5.1.
"""

from __future__ import annotations

import ntpath
from typing import Final

from ..environment import folded
from ..errors import WinError

__all__ = ["check", "folded", "split", "split_stream", "verbatim", "win32"]

_REFUSED: Final = frozenset('<>"/\\|?*') | frozenset(map(chr, range(32)))
_LONGEST_NAME: Final = 255
_LONGEST_PATH: Final = 32767
_MAX_PATH: Final = 260


def check(name: str, function: str) -> str:
    """`name` if it can name an entry of a directory; else winerror 123. A stream's name is split off before."""
    if not name or name in (".", "..") or len(name) > _LONGEST_NAME or ":" in name or not _REFUSED.isdisjoint(name):
        raise WinError(123, function, name)
    return name


def split_stream(name: str, function: str) -> tuple[str, str]:
    """``file:stream:$DATA`` -> (file, stream); the unnamed stream is ``""``."""
    if ":" not in name:
        return name, ""
    head, *rest = name.split(":")
    stream = rest[0]
    if len(rest) > 2 or (len(rest) == 2 and folded(rest[1]) != "$DATA") or (len(rest) == 1 and not stream):
        raise WinError(123, function, name)
    return head, stream


def split(path: str, function: str) -> tuple[str, list[str]]:
    r"""(root, names) of an absolute path: ``C:`` or ``\\server\share``, upper-cased drive; no name is looked at.

    Winerror 123 where it is not absolute, 206 where it is too long for any call.
    """
    if len(path) > _LONGEST_PATH:
        raise WinError(206, function, path)
    if path.startswith("\\\\?\\UNC\\"):
        path = "\\" + path[7:]
    elif path.startswith("\\\\?\\"):
        path = path[4:]
    if path.startswith("\\\\"):
        server, _, rest = path[2:].partition("\\")
        share, _, rest = rest.partition("\\")
        if not server or not share or server in ("?", "."):
            raise WinError(123, function, path)
        return f"\\\\{server}\\{share}", [name for name in rest.split("\\") if name]
    if len(path) < 3 or path[1:3] != ":\\" or not (path[0].isascii() and path[0].isalpha()):
        raise WinError(123, function, path)
    return path[0].upper() + ":", [name for name in path[3:].split("\\") if name]


def verbatim(path: str) -> str:
    """What a host hands to the kernel: ``.``, ``..`` and slashes resolved in the text, names taken literally."""
    return ntpath.normpath(path) if path[1:3] in (":\\", ":/") else path


def win32(path: str, cwd: str, function: str, *, directory: bool = False) -> str:
    """What CreateFileW and its like make of `path` in the working directory `cwd` before the kernel sees it.

    Slashes turned, ``.`` and ``..`` resolved in the text, dots and spaces at the end of a name dropped, unless the
    path begins with ``\\\\?\\``. A process without long-path awareness is refused more than MAX_PATH characters: with
    206 where it makes a directory, with 3 elsewhere.
    """
    if "\0" in path:
        raise ValueError("embedded null character")
    if not path:
        raise WinError(3, function, path)
    if path.startswith("\\\\?\\"):
        return path
    full = ntpath.normpath(ntpath.join(cwd, path))
    drive, tail = ntpath.splitdrive(full)
    full = drive + "\\".join(name if set(name) <= {"."} else name.rstrip(". ") for name in tail.split("\\"))
    if full.endswith(":"):
        full += "\\"
    if len(full) >= _MAX_PATH - (12 if directory else 0):
        raise WinError(206 if directory else 3, function, path)
    return full
