"""Where conformance cases run, and by whom their operations are carried out on each kind of host."""

from __future__ import annotations

import ntpath
import subprocess
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Protocol

from ._host import FileInfo, Handle, Host, Volume
from ._operations import Operation, Outcome
from ._perform import BATCH, BATCH_VERBS, CODES, PYTHON, PYTHON_VERBS, perform, simulated_tool, variables
from ._security.descriptor import SecurityDescriptor
from ._security.mask import (
    FILE_ADD_FILE,
    FILE_ADD_SUBDIRECTORY,
    FILE_LIST_DIRECTORY,
    FILE_READ_ATTRIBUTES,
    FILE_READ_DATA,
    FILE_TRAVERSE,
    FILE_WRITE_DATA,
    READ_CONTROL,
    SYNCHRONIZE,
    WRITE_DAC,
    WRITE_OWNER,
)
from ._security.sid import EVERYONE

if TYPE_CHECKING:
    from ._casebook import Need
    from ._sim.host import SimulatedHost
    from ._sim.program import SimulatedProcess

__all__ = ["TIMEOUT", "CommandPrompt", "Executor", "Scene", "SimulatedPrograms", "executor_for", "outcome_of"]

TIMEOUT: Final = 60.0  # seconds for one operation; an operation takes milliseconds
_IN: Final = FILE_LIST_DIRECTORY | FILE_TRAVERSE | FILE_READ_ATTRIBUTES | SYNCHRONIZE
_MAKE: Final = _IN | FILE_ADD_FILE | FILE_ADD_SUBDIRECTORY


# -- who carries an operation out


class Executor(Protocol):
    """How commands are run on one kind of host."""

    needs: frozenset[Need]

    def offers(self, verb: str) -> bool:
        """Whether it can carry out such operations."""
        ...

    def install(self, scene: Scene) -> None:
        """Put the programs into the scene's directory of tools."""
        ...

    def words(self, operation: Operation) -> list[str]:
        """The command that carries it out."""
        ...

    def where_temp(self) -> list[str]:
        """The command that prints %TEMP%."""
        ...

    def by_user(self, operation: Operation, cwd: str, text: str) -> Outcome:
        """Carry it out as the user, outside of any sandbox."""
        ...

    def undo(self, operation: Operation) -> None:
        """Take back what an operation left outside of the scene that should not have got through."""
        ...


class SimulatedPrograms:
    """On a simulated host: a Python function."""

    def __init__(self, host: SimulatedHost) -> None:
        self._host = host
        self._tool = ""
        needs: set[Need] = {"links", "streams", "python", "model"}
        if host.processes.has_console():
            needs.add("console")
        self.needs: frozenset[Need] = frozenset(needs)

    def offers(self, verb: str) -> bool:
        return True

    def install(self, scene: Scene) -> None:
        self._tool = ntpath.join(scene.tools, "operation.exe")
        self._host.add_program(self._tool, simulated_tool)
        self._host.add_program(ntpath.join(scene.tools, "temp.exe"), _say_temp)

    def words(self, operation: Operation) -> list[str]:
        return [self._tool, operation.verb, *operation.arguments]

    def where_temp(self) -> list[str]:
        return [ntpath.join(ntpath.dirname(self._tool), "temp.exe")]

    def by_user(self, operation: Operation, cwd: str, text: str) -> Outcome:
        found: list[Outcome] = []

        def program(process: SimulatedProcess) -> int:
            process.cwd = cwd
            found.append(perform(process, operation, text=text, host=0))
            return 0

        self._host.run_program(program)
        return found[0] if found else Outcome("failed", "the program did not run")

    def undo(self, operation: Operation) -> None:
        """Nothing: a simulated registry goes with its host."""


def _say_temp(process: SimulatedProcess) -> int:
    process.stdout.write(process.env.get("TEMP") or "")
    return 0


class CommandPrompt:
    """On Windows: System32's cmd.exe with a batch file, and Python where it can be started."""

    needs: frozenset[Need]

    def __init__(self, host: Host) -> None:
        self._host = host
        self._batch = ""
        # A frozen program is its own interpreter: starting it again would start the program.
        name = ntpath.basename(sys.executable or "").lower()
        self._python = sys.executable if name.startswith("python") and not getattr(sys, "frozen", False) else ""
        needs: set[Need] = {"links", "streams"}
        if self._python:
            needs.add("python")
        if host.processes.has_console():
            needs.add("console")
        self.needs = frozenset(needs)

    def offers(self, verb: str) -> bool:
        return verb in BATCH_VERBS or (bool(self._python) and verb in PYTHON_VERBS)

    def install(self, scene: Scene) -> None:
        self._batch = ntpath.join(scene.tools, "operation.cmd")
        scene.make_file(self._batch, BATCH.encode("ascii"))
        scene.make_file(ntpath.join(scene.tools, "temp.cmd"), b"@echo %TEMP%\r\n")

    def words(self, operation: Operation) -> list[str]:
        if operation.verb in BATCH_VERBS:
            return [self._batch, operation.verb]
        return [self._python, "-I", "-c", PYTHON, operation.verb]

    def where_temp(self) -> list[str]:
        return [ntpath.join(ntpath.dirname(self._batch), "temp.cmd")]

    def by_user(self, operation: Operation, cwd: str, text: str) -> Outcome:
        shell = ntpath.join(self._host.files.known_folders().system, "cmd.exe")
        done = subprocess.run(
            f'"{shell}" /d /v:off /s /c ""{self._batch}" {operation.verb}"',
            executable=shell,
            cwd=cwd,
            env={**self._host.processes.environment(), **variables(operation, text=text, host=0)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=TIMEOUT,
            check=False,
        )
        return outcome_of(done.returncode, done.stdout + done.stderr)

    def undo(self, operation: Operation) -> None:
        if operation.verb == "registry-set":
            self.by_user(Operation("registry-unset", operation.arguments), ntpath.dirname(self._batch), "")


def executor_for(host: Host) -> Executor:
    """The executor of a host's kind."""
    if host.capabilities().kind == "simulated":
        from ._sim.host import SimulatedHost

        if isinstance(host, SimulatedHost):
            return SimulatedPrograms(host)
    return CommandPrompt(host)


def outcome_of(code: int | None, output: bytes) -> Outcome:
    said = output.decode("utf-8", "replace").strip()
    if code is not None and code in CODES:
        return Outcome(CODES[code], said)
    return Outcome("failed", f"the command did not run to its end: exit code {code} {said}".strip())


# -- where


class Scene:
    """A directory with the tools, the state directory and the directories of the cases in it.

    Everything in it is made through handles, by inheritance, as the user.
    """

    def __init__(self, host: Host, path: str) -> None:
        self.host = host
        self.path = path
        self.tools = ntpath.join(path, "tools")
        self.state = ntpath.join(path, "state")

    def make_directory(self, path: str) -> None:
        """Make a directory and those above it that are missing."""
        if self.look(path) is not None:
            return
        above, name = ntpath.split(path)
        self.make_directory(above)
        with self._open(above, _MAKE) as handle:
            self.host.files.create_directory(handle, name, _IN).close()

    def make_file(self, path: str, data: bytes) -> None:
        """Make a file that is not there yet."""
        above, name = ntpath.split(path)
        self.make_directory(above)
        with (
            self._open(above, _MAKE) as handle,
            self.host.files.create_file(handle, name, FILE_WRITE_DATA | SYNCHRONIZE) as file,
        ):
            self.host.files.write(file, data)

    def set_descriptor(self, path: str, sddl: str) -> None:
        """Store the DACL of `sddl`, and its label if it has one, on this one object."""
        with self.host.tokens.current() as token:
            own = self.host.tokens.inspect(token)
        logon = EVERYONE if own.logon is None else own.logon
        text = sddl.replace("%USER%", str(own.token.user)).replace("%LOGON%", str(logon))
        descriptor = SecurityDescriptor.from_sddl(text)
        label = descriptor.sacl is not None
        with self._open(path, READ_CONTROL | WRITE_DAC | (WRITE_OWNER if label else 0)) as handle:
            self.host.files.set_security(handle, descriptor.to_bytes(), dacl=True, label=label)

    def look(self, path: str) -> FileInfo | None:
        """What lies there, seen by the user; None where nothing can be seen."""
        with suppress(OSError):
            return self.host.files.query(_plain(path), follow=False)
        return None

    def content(self, path: str) -> bytes | None:
        """The content of a file, links followed."""
        with suppress(OSError), self.host.files.open(_plain(path), FILE_READ_DATA, follow=True) as handle:
            return b"".join(iter(lambda: self.host.files.read(handle, 1 << 16), b""))
        return None

    def volume(self) -> Volume:
        """The volume that the scene lies on."""
        with self._open(self.path, FILE_READ_ATTRIBUTES) as handle:
            return self.host.files.volume(handle)

    def _open(self, path: str, access: int) -> Handle:
        return self.host.files.open(path, access)


def _plain(path: str) -> str:
    """As Win32 takes a name: without the verbatim prefix, or else without dots and blanks at the ends of its parts."""
    if path.startswith("\\\\?\\"):
        return path[4:]
    drive, rest = ntpath.splitdrive(ntpath.normpath(path))
    return drive + "\\".join(part.rstrip(". ") for part in rest.split("\\"))
