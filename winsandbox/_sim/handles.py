"""What a simulated program holds: its standard streams, environment, open files, the processes that it started."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from typing import TYPE_CHECKING, NamedTuple, Self

from ..environment import folded
from ..errors import WinError
from .filesystem import FileObject

if TYPE_CHECKING:
    from types import TracebackType

    from .jobs import ProcessRecord, StreamObject

__all__ = ["Completed", "Connection", "Environment", "SimulatedFile", "SpawnedProcess", "StandardStream"]


class Connection(NamedTuple):
    """A connection that a program made, or would have made: what left the machine if it were a real one."""

    pid: int
    program: str
    host: str
    port: int

    @property
    def loopback(self) -> bool:
        """It stayed on the machine."""
        return _loopback(self.host)


class Completed(NamedTuple):
    """What :meth:`SimulatedProcess.run` returns."""

    returncode: int
    stdout: bytes


class Environment(MutableMapping[str, str]):
    """The variables of a process: names compare without case, as everywhere on Windows, and keep their spelling."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables: dict[str, tuple[str, str]] = {}
        self.update(variables)

    def __getitem__(self, name: str) -> str:
        try:
            return self._variables[folded(name)][1]
        except KeyError:
            raise KeyError(name) from None

    def __setitem__(self, name: str, value: str) -> None:
        self._variables[folded(name)] = (name, value)

    def __delitem__(self, name: str) -> None:
        del self._variables[folded(name)]

    def __iter__(self) -> Iterator[str]:
        return iter([name for name, _ in self._variables.values()])

    def __len__(self) -> int:
        return len(self._variables)


class StandardStream:
    """stdin, stdout or stderr of a process: bytes; text is encoded as UTF-8."""

    def __init__(self, record: ProcessRecord, number: int) -> None:
        self._record = record
        self._number = number
        self._rest = b""

    def read(self, size: int = -1) -> bytes:
        """`size` bytes, or all up to the end."""
        while size < 0 or len(self._rest) < size:
            data = self._some()
            if not data:
                break
            self._rest += data
        cut = len(self._rest) if size < 0 else size
        data, self._rest = self._rest[:cut], self._rest[cut:]
        return data

    def readline(self) -> bytes:
        """One line with its end; ``b""`` at the end of the stream."""
        while b"\n" not in self._rest:
            data = self._some()
            if not data:
                break
            self._rest += data
        cut = self._rest.find(b"\n") + 1 or len(self._rest)
        data, self._rest = self._rest[:cut], self._rest[cut:]
        return data

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.readline, b"")

    def write(self, data: str | bytes) -> int:
        """All of `data`; winerror 232 when nobody reads any more."""
        raw = data.encode() if isinstance(data, str) else data
        self._record.check()
        stream = self._stream()
        if isinstance(stream, FileObject):
            with self._record.machine.lock:
                stream.filesystem.write(stream, raw)
        else:
            stream.write(raw, self._record)
        self._record.written_bytes += len(raw)
        return len(data)

    def flush(self) -> None:
        """Nothing is held back."""
        self._record.check()

    def close(self) -> None:
        """Close this end, so that whoever reads the other one sees the end."""
        with self._record.machine.lock:
            stream, self._record.streams[self._number] = self._record.streams[self._number], None
        if stream is not None:
            stream.closed()

    def _complain(self, text: str) -> None:
        """Write if anybody listens; what the interpreter does with a last message."""
        try:
            self.write(text)
        except OSError:
            return

    def _stream(self) -> StreamObject:
        stream = self._record.streams[self._number]
        if stream is None:
            raise WinError(6, "GetStdHandle")
        return stream

    def _some(self) -> bytes:
        self._record.check()
        stream = self._stream()
        if isinstance(stream, FileObject):
            with self._record.machine.lock:
                data = stream.filesystem.read(stream, 65536)
        else:
            try:
                data = stream.read(65536, self._record)
            except BrokenPipeError:
                data = b""
        self._record.read_bytes += len(data)
        return data


class SimulatedFile:
    """An open file of a simulated process. A ``with`` block closes it; so does the end of the process."""

    def __init__(self, record: ProcessRecord, opened: FileObject) -> None:
        self._record = record
        self._opened: FileObject | None = opened
        record.files.add(opened)

    @property
    def _file(self) -> FileObject:
        if self._opened is None:
            raise ValueError("I/O operation on closed file")
        return self._opened

    def read(self, size: int = -1) -> bytes:
        """`size` bytes from the position on, or all."""
        with self._record.machine.lock:
            self._record.check()
            data = self._file.filesystem.read(self._file, size if size >= 0 else 1 << 62)
            self._record.read_bytes += len(data)
            return data

    def write(self, data: bytes | str) -> int:
        """Write at the position."""
        raw = data.encode() if isinstance(data, str) else data
        with self._record.machine.lock:
            self._record.check()
            self._file.filesystem.write(self._file, raw)
            self._record.written_bytes += len(raw)
        return len(data)

    def seek(self, position: int) -> None:
        """Go to `position`, from the beginning."""
        with self._record.machine.lock:
            self._record.check()
            self._file.position = position

    def truncate(self) -> None:
        """End the file at the position."""
        with self._record.machine.lock:
            self._record.check()
            self._file.filesystem.truncate(self._file)

    def delete(self) -> None:
        """Mark for deletion (opened with DELETE)."""
        with self._record.machine.lock:
            self._record.check()
            self._file.filesystem.delete(self._file)

    def set_security(self, sddl: str) -> None:
        """Store a DACL through this handle (opened with WRITE_DAC, or made by this process with that access)."""
        with self._record.machine.lock:
            self._record.check()
            given = self._record.machine.descriptor(sddl)
            self._file.filesystem.set_security(self._file, given, dacl=True, label=False)

    def close(self) -> None:
        """Close it; a second call does nothing."""
        with self._record.machine.lock:
            opened, self._opened = self._opened, None
            if opened is not None and opened in self._record.files:
                self._record.files.discard(opened)
                opened.closed()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class NullFile(SimulatedFile):
    """The null device: what is written to it is gone, and there is nothing to read."""

    def __init__(self, record: ProcessRecord) -> None:
        self._record = record
        self._opened = None

    def read(self, size: int = -1) -> bytes:
        """Nothing."""
        self._record.check()
        return b""

    def write(self, data: bytes | str) -> int:
        """Gone."""
        self._record.check()
        return len(data)

    def seek(self, position: int) -> None:
        """No position to go to."""

    def truncate(self) -> None:
        """No end to set."""

    def delete(self) -> None:
        """Winerror 87: a device stays."""
        raise WinError(87, "SetFileInformationByHandle", "NUL")

    def set_security(self, sddl: str) -> None:
        """Winerror 5: it belongs to the system."""
        raise WinError(5, "SetSecurityInfo", "NUL")


class SpawnedProcess:
    """A process that a simulated program started."""

    def __init__(self, parent: ProcessRecord, record: ProcessRecord) -> None:
        self._parent = parent
        self._record = record
        self.pid = record.pid

    @property
    def returncode(self) -> int | None:
        """The exit code; None while it runs."""
        return self._record.exit_code

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end (simulated seconds); ``TimeoutError`` when they are over."""
        machine = self._parent.machine
        with machine.lock:
            self._parent.check()
            machine.clock.wait(
                lambda: self._record.ended or self._parent.ended, timeout, None if self._parent.ended else self._parent
            )
            self._parent.check()
            if self._record.exit_code is None:
                raise TimeoutError(f"process {self.pid} still runs after {timeout} seconds")
            return self._record.exit_code


def _loopback(host: str) -> bool:
    return host in ("localhost", "::1") or host.startswith("127.")
