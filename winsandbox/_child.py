"""The opt-in helper for Python children: a ``sitecustomize`` that makes two things work under the restricted token.

* ``os.mkdir(path, 0o700)`` (and so ``tempfile.mkdtemp``, pytest's ``tmp_path``) gives the directory a protected DACL of
  its own since the fixes for CVE-2024-4030. It names no restricting SID, so the child cannot write into what it has
  just made. The helper leaves the mode out: the directory inherits from its parent, which is inside a root.
* A named pipe made without a descriptor does not get the token's default DACL but a built-in one, which lets the child
  open its own pipe for reading only; ``multiprocessing`` and asyncio's subprocesses need both. The helper passes a
  descriptor with the contents of the token's default DACL.

It is found through PYTHONPATH, so not by ``python -I``, ``-E`` or ``-S``, nor by an embeddable Python with a ``._pth``
file; it changes nothing but these two calls, and runs the ``sitecustomize`` that it hides.

Sources: "Named Pipe Security and Access Rights" and "CreateNamedPipeW" (Microsoft Learn); ``os.mkdir`` (Python's
documentation).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ._security.descriptor import SecurityDescriptor

__all__ = ["VERSION", "files"]

VERSION: Final = 1

_FILE_ALL_ACCESS: Final = "0x1f01ff"

# For CPython 3.8 and later, by itself: whatever it imports, every Python child imports at its start.
_SITECUSTOMIZE: Final = '''\
"""Placed by winsandbox: Python under a write-restricted token. Changes os.mkdir and _winapi.CreateNamedPipe."""
import os
import sys

WINSANDBOX_CHILD_VERSION = {version}

_PIPE_DESCRIPTOR = bytes.fromhex(
    "{descriptor}"
)


def _let_directories_inherit():
    mkdir_with_mode = os.mkdir

    def mkdir(path, mode=0o777, *, dir_fd=None):
        # On Windows this mode, and no other, means a DACL for the owner alone.
        return mkdir_with_mode(path, 0o777 if mode == 0o700 else mode, dir_fd=dir_fd)

    mkdir.__doc__ = mkdir_with_mode.__doc__
    os.mkdir = mkdir


def _let_pipes_be_opened():
    import _winapi

    create_named_pipe = _winapi.CreateNamedPipe
    kept = []

    def attributes():
        if not kept:
            import ctypes  # only when a pipe is made: most children make none

            class SECURITY_ATTRIBUTES(ctypes.Structure):
                _fields_ = [
                    ("nLength", ctypes.c_uint32),
                    ("lpSecurityDescriptor", ctypes.c_void_p),
                    ("bInheritHandle", ctypes.c_int32),
                ]

            descriptor = ctypes.create_string_buffer(_PIPE_DESCRIPTOR, len(_PIPE_DESCRIPTOR))
            made = SECURITY_ATTRIBUTES(ctypes.sizeof(SECURITY_ATTRIBUTES), ctypes.addressof(descriptor), 0)
            kept.append((ctypes.addressof(made), made, descriptor))
        return kept[0][0]

    def CreateNamedPipe(*arguments):
        if len(arguments) == 8 and not arguments[7]:
            arguments = arguments[:7] + (attributes(),)
        return create_named_pipe(*arguments)

    CreateNamedPipe.__doc__ = create_named_pipe.__doc__
    _winapi.CreateNamedPipe = CreateNamedPipe


def _run_the_hidden_one():
    from importlib.machinery import PathFinder
    from importlib.util import module_from_spec

    def same(path):
        return os.path.normcase(os.path.abspath(path)) == here

    here = os.path.normcase(os.path.dirname(os.path.abspath(__file__)))
    spec = PathFinder.find_spec("sitecustomize", [path for path in sys.path if not same(path)])
    if spec is None or spec.loader is None:
        return
    ours, theirs = sys.modules.get(__name__), module_from_spec(spec)
    sys.modules["sitecustomize"] = theirs
    try:
        spec.loader.exec_module(theirs)
    except BaseException:
        if ours is not None:
            sys.modules["sitecustomize"] = ours
        raise  # site tells, as it would have without this file


if sys.platform == "win32":
    _let_directories_inherit()
    _let_pipes_be_opened()
_run_the_hidden_one()
'''


def files(session_sid: str, user_sid: str) -> Mapping[str, bytes]:
    """The helper's files by name, for a directory of their own that goes in front of PYTHONPATH.

    Args:
        session_sid: the sandbox's own SID, which its token has as a restricting one.
        user_sid: the user's SID, for the ordinary pass of the access check.

    The logon SID gets nothing: every other sandbox of the logon session has it as well.
    """
    sddl = "D:P" + "".join(f"(A;;{_FILE_ALL_ACCESS};;;{sid})" for sid in (user_sid, "SY", session_sid))
    descriptor = SecurityDescriptor.from_sddl(sddl).to_bytes().hex()
    text = _SITECUSTOMIZE.replace("{version}", str(VERSION)).replace("{descriptor}", descriptor)
    return {"sitecustomize.py": text.encode("utf-8")}
