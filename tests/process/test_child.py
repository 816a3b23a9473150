"""The helper for Python children: what it changes there, and that it hides nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.capabilities import needs
from winsandbox._child import VERSION, files
from winsandbox._security.access import check
from winsandbox._security.descriptor import SecurityDescriptor
from winsandbox._security.sid import Sid
from winsandbox._security.token import Group, Token

SESSION, USER, LOGON = "S-1-5-21-1461936728-1-2-3", "S-1-5-21-9-8-7-1000", "S-1-5-5-0-7"
GENERIC_READ_AND_WRITE = 0x120089 | 0x120116
CREATE_PIPE_INSTANCE = 0x4

# What the helper meets on Windows, reduced to what it was called with.
FAKE_WINDOWS = """
import os, sys, types
sys.platform = "win32"
calls = []
def mkdir(path, mode=0o777, *, dir_fd=None):
    calls.append(("mkdir", path, oct(mode)))
os.mkdir = mkdir
def CreateNamedPipe(*arguments):
    calls.append(("pipe", len(arguments), arguments[7]))
    return 5
sys.modules["_winapi"] = winapi = types.ModuleType("_winapi")
winapi.CreateNamedPipe = CreateNamedPipe
"""


@pytest.fixture
def helper(tmp_path: Path) -> Path:
    directory = tmp_path / "helper"
    directory.mkdir()
    for name, content in files(SESSION, USER).items():
        (directory / name).write_bytes(content)
    return directory


def run(script: str, *path: Path) -> str:
    # Not through PYTHONPATH: an embeddable Python, which the suite runs on in Wine, does not read it.
    head = f"import sys; sys.path[:0] = {[str(one) for one in path]!r}\n"
    done = subprocess.run(
        [sys.executable, "-c", head + script], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def granted(restricting: str, desired: int) -> bool:
    """Whether a write-restricted token of the user with that restricting SID may open the helper's pipes."""
    content = files(SESSION, USER)["sitecustomize.py"].decode()
    start = content.index('bytes.fromhex(\n    "') + len('bytes.fromhex(\n    "')
    descriptor = SecurityDescriptor.from_bytes(bytes.fromhex(content[start : content.index('"', start)]))
    named = SecurityDescriptor.from_sddl(f"O:{USER}G:{USER}" + descriptor.to_sddl())
    token = Token(
        user=Sid.parse(USER),
        groups=(Group(Sid.parse(LOGON), 7), Group(Sid.parse("S-1-1-0"), 7)),
        restricting=tuple(Sid.parse(sid) for sid in (restricting, LOGON, "S-1-1-0")),
        write_restricted=True,
    )
    return bool(check(named, token, desired).allowed)


@pytest.mark.parametrize("desired", [GENERIC_READ_AND_WRITE, CREATE_PIPE_INSTANCE])
def test_the_pipes_descriptor_lets_this_sandbox_in_and_no_other(desired: int) -> None:
    assert granted(SESSION, desired)
    assert not granted("S-1-5-21-1461936728-9-9-9", desired)


def test_mkdir_leaves_out_the_owners_mode_and_no_other(helper: Path) -> None:
    printed = run(
        FAKE_WINDOWS
        + "import sitecustomize\n"
        + "os.mkdir('a', 0o700); os.mkdir('b', mode=0o700); os.mkdir('c', 0o755); os.mkdir('d')\n"
        + "os.makedirs('e', 0o700)\n"
        + "print(calls)",
        helper,
    )
    expected = [("mkdir", name, oct(mode)) for name, mode in zip("abcde", (511, 511, 0o755, 511, 511), strict=True)]
    assert printed.strip() == repr(expected)


def test_a_pipe_without_a_descriptor_gets_one_and_another_keeps_its_own(helper: Path) -> None:
    printed = run(
        FAKE_WINDOWS
        + "import sitecustomize, ctypes\n"
        + "one = (r'\\\\.\\pipe\\x', 3, 0, 1, 1, 1, 0)\n"
        + "winapi.CreateNamedPipe(*one, 0); winapi.CreateNamedPipe(*one, 77); winapi.CreateNamedPipe(*one, 0)\n"
        + "address = calls[0][2]\n"
        + "assert calls[1][2] == 77 and calls[2][2] == address\n"
        + "size = ctypes.c_uint32.from_address(address).value\n"
        + "pointer = ctypes.c_void_p.from_address(address + ctypes.sizeof(ctypes.c_void_p)).value\n"
        + "print(size, ctypes.string_at(pointer, len(sitecustomize._PIPE_DESCRIPTOR)).hex())",
        helper,
    )
    size, descriptor = printed.split()
    assert int(size) == (24 if sys.maxsize > 2**32 else 12)
    assert SecurityDescriptor.from_bytes(bytes.fromhex(descriptor)).to_sddl().startswith("D:P(A;;FA;;;" + USER)


def test_an_existing_sitecustomize_still_runs_as_the_module_of_that_name(helper: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "sitecustomize.py").write_text("value = 'theirs'\nname = __name__\n")
    printed = run("import sitecustomize as s; print(s.value, s.name, s.__file__)", helper, other)
    assert printed.split() == ["theirs", "sitecustomize", str(other / "sitecustomize.py")]
    assert run("import sitecustomize as s; print(s.WINSANDBOX_CHILD_VERSION)", helper).strip() == str(VERSION)


def test_an_error_in_the_hidden_one_is_told_and_does_not_undo_the_helper(helper: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "sitecustomize.py").write_text("raise RuntimeError('theirs')\n")
    printed = run(
        FAKE_WINDOWS
        + "try:\n    import sitecustomize\nexcept RuntimeError as error:\n    print(error, os.mkdir is mkdir)\n",
        helper,
        other,
    )
    assert printed.split() == ["theirs", "False"]


@needs("posix")
def test_python_finds_it_through_pythonpath(helper: Path) -> None:
    env = {**os.environ, "PYTHONPATH": str(helper)}
    command = [sys.executable, "-c", "import sys; print('sitecustomize' in sys.modules)"]
    assert subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout.strip() == "True"
    command.insert(1, "-I")
    isolated = subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout.strip()
    assert isolated == "False" or "sitecustomize" in _imported_anyway()


def _imported_anyway() -> str:
    """What an isolated Python imports by itself: some distributions ship a sitecustomize."""
    done = subprocess.run(
        [sys.executable, "-I", "-c", "import sys; print(*sys.modules)"], capture_output=True, text=True, check=True
    )
    return done.stdout


@needs("windows")
def test_windows_own_calls_get_the_descriptor_and_no_mode(helper: Path, tmp_path: Path) -> None:
    printed = run(
        f"""
import ctypes, os, sys, tempfile
modes = []
sys.addaudithook(lambda event, args: modes.append(oct(args[1])) if event == "os.mkdir" else None)
import sitecustomize
os.chdir({str(tmp_path)!r})
os.rmdir(tempfile.mkdtemp(dir={str(tmp_path)!r}))
import _winapi
pipe = _winapi.CreateNamedPipe(r"\\\\.\\pipe\\winsandbox-test-%d" % os.getpid(), 3, 0, 1, 4096, 4096, 0, _winapi.NULL)
advapi32 = ctypes.WinDLL("advapi32.dll", winmode=0x800)
needed = ctypes.c_uint32()
buffer = ctypes.create_string_buffer(4096)
assert advapi32.GetKernelObjectSecurity(ctypes.c_void_p(pipe), 4, buffer, 4096, ctypes.byref(needed))
print(modes, "|", buffer.raw[: needed.value].hex())
""",
        helper,
    )
    modes, descriptor = printed.split("|")
    assert modes.strip() == "['0o777']"
    sddl = SecurityDescriptor.from_bytes(bytes.fromhex(descriptor.strip())).to_sddl()
    for sid in (USER, SESSION):
        assert f"(A;;FA;;;{sid})" in sddl


@needs("windows")
def test_multiprocessing_and_asyncio_work_with_it(helper: Path) -> None:
    printed = run(
        """
import sitecustomize, asyncio, sys
from multiprocessing import Pipe
ours, theirs = Pipe()
ours.send("hello"); print(theirs.recv())
async def main():
    made = await asyncio.create_subprocess_exec(sys.executable, "-c", "print(input()[::-1])", stdin=-1, stdout=-1)
    print((await made.communicate(b"olleh\\n"))[0].decode().strip())
asyncio.run(main())
""",
        helper,
    )
    assert printed.split() == ["hello", "hello"]
