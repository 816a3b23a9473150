"""The three standard streams of a child, and the threads that carry their bytes.

A child gets exactly three handles, and none of a console (unless ``console="shared"``): a program that holds the user's
console can type into his terminal. A standard stream that is a console is therefore a pipe for the child, and a thread
here copies between the two.

No thread here refers to the process object, so that a forgotten process is collected and its tree ended, which is what
ends the threads: the pipes break. A stream that a thread is reading is never closed by another one (the C runtime and
Windows would make that close wait for the read).
"""

from __future__ import annotations

import codecs
import io
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, Final, Literal, cast

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

    from ._host import Handle, Host

# How long output is still read after the first process has ended while a descendant holds the pipe. Real seconds.
DRAIN_SECONDS: Final = 2.0
_CHUNK: Final = 65536

Redirection = int | IO[Any] | None


@dataclass(slots=True)
class Stream:
    """One standard stream: the child's handle, our end of its pipe, and the caller's console behind that pipe."""

    child: Handle
    ours: Handle | None = None
    console: Handle | None = None


def open_streams(
    host: Host,
    stdin: Redirection,
    stdout: Redirection,
    stderr: Redirection,
    *,
    shared: bool,
    overlapped: bool,
    undo: ExitStack,
) -> tuple[Stream, Stream, Stream]:
    """Open what the child gets; `undo` closes every handle that is not taken over.

    Raises:
        ValueError: STDOUT for another stream than stderr, or a number that is no file descriptor.
        TypeError: something without a file descriptor.
        OSError: the descriptor is not open, or the host refused.
    """
    for name, value in (("stdin", stdin), ("stdout", stdout)):
        if value == subprocess.STDOUT:
            raise ValueError(f"STDOUT can only be used for stderr, not for {name}")

    def make(number: Literal[0, 1, 2], wanted: Redirection) -> Stream:
        return _open_stream(host, number, wanted, shared=shared, overlapped=overlapped, undo=undo)

    first, second = make(0, stdin), make(1, stdout)
    # The same handle twice, not a duplicate: the list of inherited handles then holds each object once.
    third = Stream(second.child) if stderr == subprocess.STDOUT else make(2, stderr)
    return first, second, third


def _open_stream(
    host: Host, number: Literal[0, 1, 2], wanted: Redirection, *, shared: bool, overlapped: bool, undo: ExitStack
) -> Stream:
    processes, write = host.processes, number != 0
    if wanted == subprocess.PIPE:
        ours, child = map(undo.enter_context, processes.pipe(child_reads=not write, overlapped=overlapped))
        return Stream(child, ours)
    if wanted == subprocess.DEVNULL:
        return Stream(undo.enter_context(processes.null(write=write)))
    handle = processes.standard(number) if wanted is None else processes.duplicate_descriptor(_descriptor(wanted))
    if handle is None:  # a caller without a console and without redirections (a service, a GUI program)
        return Stream(undo.enter_context(processes.null(write=write)))
    undo.enter_context(handle)
    if shared or not processes.is_console(handle):
        return Stream(handle)
    ours, child = map(undo.enter_context, processes.pipe(child_reads=not write))
    return Stream(child, ours, handle)


def _descriptor(wanted: int | IO[Any]) -> int:
    number = wanted if isinstance(wanted, int) else getattr(wanted, "fileno", None)
    if callable(number):
        number = number()
    if not isinstance(number, int):
        raise TypeError(f"a standard stream must be None, PIPE, DEVNULL, a descriptor or a file, not {wanted!r}")
    if number < 0:
        raise ValueError(f"{number} is no file descriptor")
    return number


# --- Python's side of a pipe -----------------------------------------------------------------------------------------


class _Reader(io.BufferedReader):
    """A pipe's reader that knows whether anything was read from it before ``communicate``."""

    touched = False

    def read1(self, size: int = -1, /) -> bytes:
        self.touched = True
        return super().read1(size)


@dataclass(frozen=True, slots=True)
class TextMode:
    """How text is read and written; None where the streams are binary."""

    encoding: str
    errors: str

    def decode(self, data: bytes, *, final: bool = True) -> str:
        """With universal newlines, as a text file does; not `final`: leave an unfinished character out."""
        decoder = io.IncrementalNewlineDecoder(codecs.getincrementaldecoder(self.encoding)(self.errors), translate=True)
        return decoder.decode(data, final)


def text_mode(
    text: bool | None, encoding: str | None, errors: str | None, universal_newlines: bool | None
) -> TextMode | None:
    """Whether the streams are text, by subprocess's rules.

    Raises:
        SubprocessError: `text` and `universal_newlines` contradict each other.
        LookupError: no such encoding.
    """
    if text is not None and universal_newlines is not None and bool(text) != bool(universal_newlines):
        raise subprocess.SubprocessError("text and universal_newlines are the same setting, and they differ")
    if not (text or universal_newlines or encoding or errors):
        return None
    if encoding is None:
        import locale

        encoding = "utf-8" if sys.flags.utf8_mode else locale.getencoding()
    return TextMode(codecs.lookup(encoding).name, errors or "strict")


def open_end(
    host: Host, handle: Handle, *, write: bool, bufsize: int, mode: TextMode | None, undo: ExitStack
) -> IO[Any]:
    """Our end of a pipe as the file that subprocess.Popen would offer; `undo` closes it."""
    descriptor = host.processes.descriptor(handle, write=write)
    try:
        file: Any = io.FileIO(descriptor, "wb" if write else "rb")
    except BaseException:
        os.close(descriptor)
        raise
    try:
        if bufsize != 0:
            size = bufsize if bufsize > 1 else io.DEFAULT_BUFFER_SIZE
            file = io.BufferedWriter(file, size) if write else _Reader(file, size)
        if mode is not None:
            file = io.TextIOWrapper(
                file,
                encoding=mode.encoding,
                errors=mode.errors,
                write_through=write,
                line_buffering=write and bufsize == 1,
            )
    finally:
        undo.callback(close_quietly, file)  # the outermost one, or it would complain when it is forgotten
    return cast("IO[Any]", file)


def close_quietly(stream: Any) -> None:
    """Close a file whose other end may be gone: what is still buffered is lost with it."""
    try:
        stream.close()
    except (OSError, ValueError):
        return


class Collector:
    """A thread that reads one stream to its end, so that the child never waits for a full pipe."""

    def __init__(self, stream: IO[Any], mode: TextMode | None) -> None:
        self._mode = mode
        self._chunks: list[Any] = []
        self._dropping = False
        self._error: UnicodeError | None = None
        self._empty: Any = b""
        read: Callable[[], Any]
        if mode is None:
            read = _reading(stream)
        elif not getattr(stream.buffer, "touched", True):  # type: ignore[attr-defined]
            # Straight from the bytes, so that partial output has the line that is not finished yet.
            read = _reading(stream.buffer)  # type: ignore[attr-defined]
        else:
            read, self._mode, self._empty = stream.readline, None, ""  # the text layer holds part of it already
        self._thread = threading.Thread(target=self._run, args=(stream, read), name="winsandbox output", daemon=True)
        self._thread.start()

    def _run(self, stream: IO[Any], read: Callable[[], Any]) -> None:
        try:
            while chunk := read():
                if not self._dropping:
                    self._chunks.append(chunk)
        except UnicodeError as error:
            self._error = error
        except (OSError, ValueError):
            pass  # the pipe was broken, or the caller closed the file: there is no more output
        finally:
            close_quietly(stream)

    def join(self, timeout: float) -> bool:
        """Wait (real seconds) for the end of the stream."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def drop(self) -> None:
        """Keep nothing from here on; the pipe is still emptied so that nobody blocks on it."""
        self._dropping = True

    def result(self, *, final: bool = True) -> Any:
        """What was read so far, decoded in text mode.

        Raises:
            UnicodeError: it is not text in that encoding.
        """
        if self._error is not None:
            raise self._error
        data = self._empty.join(list(self._chunks))
        return data if self._mode is None else self._mode.decode(data, final=final)


def _reading(stream: Any) -> Callable[[], bytes]:
    read = getattr(stream, "read1", None) or stream.read
    return lambda: read(_CHUNK)


class Feeder:
    """A thread that writes the input and closes the pipe, however slowly the child reads."""

    def __init__(self, stream: IO[Any], data: str | ReadableBuffer) -> None:
        self.error: Exception | None = None
        self._thread = threading.Thread(target=self._run, args=(stream, data), name="winsandbox input", daemon=True)
        self._thread.start()

    def _run(self, stream: IO[Any], data: str | ReadableBuffer) -> None:
        try:
            if isinstance(stream, io.RawIOBase):  # bufsize=0: a single write may take only part of it
                view = memoryview(cast("bytes", data)).cast("B")
                while view:
                    view = view[stream.write(view) or 0 :]
            else:
                stream.write(data)
        except OSError:
            pass  # the child has closed its input or ended: its right
        except Exception as error:
            self.error = error  # raised by communicate: an encoding that cannot say this, for one
        finally:
            close_quietly(stream)

    def join(self, timeout: float) -> None:
        self._thread.join(timeout)


# --- consoles --------------------------------------------------------------------------------------------------------


class Pump:
    """Copies between a pipe of the child and the caller's console, in a thread of its own once started."""

    def __init__(self, host: Host, stream: Stream, *, write: bool) -> None:
        if stream.ours is None or stream.console is None:
            raise ValueError("only a stream with a console is pumped")
        self.output = write
        self._host = host
        self._thread: threading.Thread | None = None
        pipe = host.processes.descriptor(stream.ours, write=not write)
        try:
            console = host.processes.descriptor(stream.console, write=write)
        except BaseException:
            os.close(pipe)
            raise
        self._source, self._sink = (pipe, console) if write else (console, pipe)

    def start(self, running: Callable[[float], bool]) -> None:
        """Start copying; `running` waits some seconds and says whether the child still runs (for its input only)."""
        work = self._copy if self.output else self._type
        thread = threading.Thread(target=work, args=(running,), name="winsandbox console", daemon=True)
        thread.start()
        self._thread = thread

    def discard(self) -> None:
        """Close both ends of a pump that was never started; a started one closes them itself."""
        if self._thread is None:
            self._close()

    def join(self, timeout: float) -> None:
        if self._thread is not None:
            self._thread.join(timeout)

    def _close(self) -> None:
        for descriptor in (self._source, self._sink):
            try:
                os.close(descriptor)
            except OSError:
                continue

    def _copy(self, running: Callable[[float], bool]) -> None:
        try:
            while data := os.read(self._source, _CHUNK):
                while data:
                    data = data[os.write(self._sink, data) :]
        except OSError:
            pass  # one of the two ends is gone
        finally:
            self._close()

    def _type(self, running: Callable[[float], bool]) -> None:
        # A read of the console cannot be taken back, and would take the user's next line away from whoever reads after
        # the child has ended. So reading starts only when a key was pressed while the child runs.
        pressed = self._key_pressed()
        try:
            while True:
                while pressed is not None and not pressed():
                    if not running(0.05):
                        return
                data = os.read(self._source, _CHUNK)
                if not data:
                    return
                while data:
                    data = data[os.write(self._sink, data) :]
        except OSError:
            pass
        finally:
            self._close()

    def _key_pressed(self) -> Callable[[], bool] | None:
        if sys.platform == "win32" and self._host.capabilities().kind != "simulated":
            import msvcrt

            return msvcrt.kbhit
        return None
