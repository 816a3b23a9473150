"""AsyncProcess: the twin of :class:`.process.Process` for asyncio, with the names of ``asyncio.subprocess.Process``.

On Windows it needs the ProactorEventLoop (the default there): the pipes are overlapped, so that no stream needs a
thread, and the end of the process is waited for by the loop itself. Cancelling ``wait`` or ``communicate`` ends the
tree, because nobody else would; shield them where the process is to run on.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self, cast

from ._pipes import DRAIN_SECONDS, Redirection, Stream, open_streams
from ._spawn import Console, Require, prepare, start
from .errors import UnsupportedHost
from .process import Arguments, ProcessBase

if TYPE_CHECKING:
    from types import TracebackType

    from ._host import Handle, Host
    from ._pipes import Pump
    from ._tree import Tree
    from .limits import Limits

__all__ = ["AsyncProcess", "spawn_async"]


async def spawn_async(
    host: Host,
    token: Handle,
    args: Arguments,
    *,
    environment: Mapping[str, str],
    cwd: str,
    stdin: Redirection = None,
    stdout: Redirection = None,
    stderr: Redirection = None,
    limit: int = 65536,
    limits: Limits,
    ui_limits: Sequence[str] = (),
    console: Console = "private",
    desktop: str | None = None,
    require: Require = "full",
    finished: Callable[[Any], None] | None = None,
    forgotten: Callable[[Any], None] | None = None,
    started: Callable[[Any], None] | None = None,
) -> AsyncProcess:
    """What :func:`._spawn.spawn` is for threads: the pipes are overlapped, and no stream needs a thread.

    As with :func:`asyncio.create_subprocess_exec` the streams are binary; `limit` is the readers' limit in bytes.
    `started` is called with the process before the caller gets it, so that a cancelled caller loses none.

    Raises:
        What ``spawn`` raises.
        UnsupportedHost: the running loop has no pipes (a SelectorEventLoop on Windows).
    """
    recipe = prepare(host, token, args, environment, cwd, limits, ui_limits, console, desktop, require)
    with ExitStack() as undo:
        streams = open_streams(host, stdin, stdout, stderr, shared=console == "shared", overlapped=True, undo=undo)
        ends = await _connect(host, streams, limit, undo)
        tree, pumps, notes = start(host, recipe, streams, undo)
        process = AsyncProcess(
            host,
            tree,
            args,
            ends,
            pumps=pumps,
            notes=notes,
            shared_console=console == "shared",
            finished=finished,
            forgotten=forgotten,
        )
        if started is not None:
            started(process)
        undo.pop_all()
    return process


class _Protocol(asyncio.StreamReaderProtocol):
    def eof_received(self) -> bool:
        super().eof_received()
        return False  # let the transport close itself: a pipe has nothing more to say


@dataclass(slots=True)
class _Ends:
    """Our ends of the pipes: streams, and the transports below them."""

    stdin: asyncio.StreamWriter | None = None
    stdout: asyncio.StreamReader | None = None
    stderr: asyncio.StreamReader | None = None
    transports: tuple[asyncio.BaseTransport, ...] = ()

    def close(self) -> None:
        for transport in self.transports:
            transport.close()

    def close_without_loop(self) -> None:
        """When the loop is closed: it would call this method of its transports soon, and no longer does."""
        for transport in self.transports:
            with contextlib.suppress(RuntimeError):  # "Event loop is closed", after it was marked as closing
                transport.close()
            lost: Callable[[object], None] | None = getattr(transport, "_call_connection_lost", None)
            if lost is not None:
                with contextlib.suppress(Exception):  # by others' callbacks on that loop; the pipe is closed first
                    lost(None)


async def _connect(host: Host, streams: Sequence[Stream], limit: int, undo: ExitStack) -> _Ends:
    """Hand our ends of the pipes to the running loop; `undo` closes them."""
    loop = asyncio.get_running_loop()
    ends = _Ends()
    undo.callback(ends.close)
    for number, stream in enumerate(streams):
        if stream.ours is None or stream.console is not None:
            continue
        endpoint = host.processes.endpoint(stream.ours)
        reader = asyncio.StreamReader(limit=limit, loop=loop)
        protocol = _Protocol(reader, loop=loop)
        connecting = loop.connect_write_pipe if number == 0 else loop.connect_read_pipe
        try:
            transport, _ = await connecting(lambda made=protocol: made, endpoint)  # type: ignore[misc]
        except BaseException as error:
            cast("Any", endpoint).close()
            if isinstance(error, NotImplementedError):
                raise UnsupportedHost(
                    "the running event loop has no pipes.",
                    remedy="Use asyncio.run as it is, or a ProactorEventLoop.",
                    code="host.event-loop",
                ) from error
            raise
        ends.transports += (transport,)
        if number == 0:
            ends.stdin = asyncio.StreamWriter(cast("asyncio.WriteTransport", transport), protocol, None, loop)
        elif number == 1:
            ends.stdout = reader
        else:
            ends.stderr = reader
    return ends


class AsyncProcess(ProcessBase):
    """A running command. As a context manager (``async with``) it waits for the first process and ends what it left.

    Attributes:
        stdin: a StreamWriter, stdout, stderr: StreamReaders, for the streams asked for with PIPE; else None.
    """

    def __init__(
        self,
        host: Host,
        tree: Tree,
        args: Arguments,
        ends: _Ends,
        *,
        pumps: Sequence[Pump] = (),
        notes: Sequence[str] = (),
        shared_console: bool = False,
        finished: Callable[[Any], None] | None = None,
        forgotten: Callable[[Any], None] | None = None,
    ) -> None:
        super().__init__(
            host,
            tree,
            args,
            pumps=pumps,
            notes=notes,
            shared_console=shared_console,
            finished=finished,
            forgotten=forgotten,
        )
        self.stdin, self.stdout, self.stderr = ends.stdin, ends.stdout, ends.stderr
        self._ends = ends
        self._loop = asyncio.get_running_loop()
        self._end_seen = asyncio.Event()
        self._communicating = False
        self._watch_end()

    # --- the end of the first process -----------------------------------------------------------------------------

    def _watch_end(self) -> None:
        proactor = getattr(self._loop, "_proactor", None)
        if proactor is None or self._host.capabilities().kind == "simulated":
            threading.Thread(
                target=_wait_in_thread,
                args=(self._tree, self._loop, self._end_seen),
                name=f"winsandbox wait {self.pid}",
                daemon=True,
            ).start()
            return
        using, seen = self._tree.using(), self._end_seen
        using.__enter__()

        def ended(_: object) -> None:
            using.__exit__(None, None, None)
            seen.set()

        try:
            proactor.wait_for_handle(self._tree.process_handle()).add_done_callback(ended)
        except BaseException:
            using.__exit__(None, None, None)
            raise

    async def _until_end(self) -> None:
        await self._end_seen.wait()
        while not self._tree.wait(0):  # the wait was given up, as by a loop that is closing: look now and then
            await asyncio.sleep(0.05)

    async def wait(self) -> int:
        """Wait for the first process and return its exit code. Cancelled: the tree is ended."""
        try:
            await self._until_end()
        except BaseException:
            self.kill()
            raise
        await self._over()
        return self._code()

    async def communicate(
        self, input: bytes | bytearray | memoryview | None = None
    ) -> tuple[bytes | None, bytes | None]:
        """Send `input`, close stdin, read both outputs to their ends, and wait for the first process.

        A descendant that holds a pipe is waited for ``DRAIN_SECONDS`` at most. Cancelled: the tree is ended.

        Returns:
            (stdout, stderr): None for a stream that is no pipe.

        Raises:
            TypeError: `input` is neither bytes, bytearray nor memoryview; nothing was sent.
            ValueError: input at a second call.
            RuntimeError: another task is reading one of the streams. The process goes on running.
        """
        if input is not None and not isinstance(input, (bytes, bytearray, memoryview)):
            raise TypeError(f"input must be a bytes-like object, not {type(input).__name__}")
        if input and self._communicating:
            raise ValueError("Cannot send input after starting communication")
        self._communicating = True
        chunks: tuple[list[bytes], list[bytes]] = ([], [])
        tasks: list[asyncio.Task[None]] = []
        try:
            tasks += [
                asyncio.create_task(_collect(reader, into))
                for reader, into in zip((self.stdout, self.stderr), chunks, strict=True)
                if reader is not None
            ]
            if self.stdin is not None:
                tasks.append(asyncio.create_task(_feed(self.stdin, input)))
            await self._carried(tasks)
        except BaseException as error:
            if not isinstance(error, Exception):
                self.kill()
            raise
        finally:
            for task in tasks:
                task.cancel()
                task.add_done_callback(_ignored)
        await self._over()
        return (
            None if self.stdout is None else b"".join(chunks[0]),
            None if self.stderr is None else b"".join(chunks[1]),
        )

    async def _carried(self, tasks: Sequence[asyncio.Task[None]]) -> None:
        """Wait for the end of the process, and then a little for what carries its streams; raise what that raises."""
        end = asyncio.create_task(self._until_end())
        try:
            waiting: set[asyncio.Task[None]] = {end, *tasks}
            while not end.done():
                done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                _raise_first(done)
            if waiting:
                done, _ = await asyncio.wait(waiting, timeout=DRAIN_SECONDS, return_when=asyncio.FIRST_EXCEPTION)
                _raise_first(done)
        finally:
            end.cancel()

    async def _over(self) -> None:
        """Off the loop's thread: a job is nothing that the loop can wait for, and what follows its end takes a while.

        That is the look for violations and the line in the audit log.
        """
        if self.stdin is not None:
            self.stdin.close()
        if not self._reported:
            await asyncio.to_thread(self._ended, None)

    # --- the whole tree -------------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                if self.stdin is not None:
                    self.stdin.close()
                await self._until_end()
        finally:
            self.kill()
            await asyncio.to_thread(self.close)

    def _release(self) -> None:
        # The transports belong to the loop's thread; close may be called from any.
        try:
            self._loop.call_soon_threadsafe(self._ends.close)
        except RuntimeError:  # the loop is closed, and nobody else will
            self._ends.close_without_loop()


def _wait_in_thread(tree: Tree, loop: asyncio.AbstractEventLoop, seen: asyncio.Event) -> None:
    # What goes wrong here goes wrong again in _until_end, where somebody can be told.
    with contextlib.suppress(BaseException):
        tree.wait(None)
    with contextlib.suppress(RuntimeError):  # the loop was closed before: nobody waits any more
        loop.call_soon_threadsafe(seen.set)


def _raise_first(tasks: Iterable[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.result()


def _ignored(task: asyncio.Task[None]) -> None:
    # Asked for, or asyncio would complain: one error was raised already, the others say the same.
    if not task.cancelled():
        task.exception()


async def _collect(reader: asyncio.StreamReader, into: list[bytes]) -> None:
    while chunk := await reader.read(65536):
        into.append(chunk)


async def _feed(writer: asyncio.StreamWriter, data: bytes | bytearray | memoryview | None) -> None:
    try:
        if data:
            writer.write(data)
            await writer.drain()
    except (BrokenPipeError, ConnectionResetError):
        pass  # the child has closed its input or ended: its right
    finally:
        writer.close()
