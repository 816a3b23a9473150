"""The asyncio twin: the names of asyncio.subprocess.Process, cancellation that ends the tree, no thread a stream."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import threading
from collections.abc import Awaitable, Callable, Iterator
from subprocess import DEVNULL, PIPE
from typing import Any

import pytest

from tests.capabilities import needs
from tests.effort import every
from tests.process.launchers import SLOW, Sandboxed, Simulated, eventually, launcher
from winsandbox._async import AsyncProcess, spawn_async
from winsandbox.errors import SpawnError, UnsupportedHost
from winsandbox.limits import Limits

# A proactor cannot use the simulated host's pipes; there the real host is tried.
NOT_PROACTOR = needs("no windows")


@pytest.fixture(params=[pytest.param("simulated", marks=NOT_PROACTOR), pytest.param("windows", marks=needs("windows"))])
def sandboxed(request: pytest.FixtureRequest) -> Iterator[Sandboxed]:
    """Each way to start a program for asyncio."""
    with launcher(request.param) as made:
        assert isinstance(made, Sandboxed)
        yield made
        gc.collect()
        if isinstance(made, Simulated):
            assert eventually(lambda: made.left() == []), made.left()


async def start(sandboxed: Sandboxed, program: str, *arguments: str, **options: Any) -> AsyncProcess:
    for name, value in (("stdin", DEVNULL), ("stdout", DEVNULL), ("stderr", DEVNULL), ("limits", Limits())):
        options.setdefault(name, value)
    return await spawn_async(
        sandboxed.host,
        sandboxed.token,
        sandboxed.command(program, *arguments),
        environment=sandboxed.environment(),
        cwd=sandboxed.cwd,
        **options,
    )


def run(case: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        async with asyncio.timeout(120):
            await case()

    asyncio.run(main())


def test_communicate_both_ways(sandboxed: Sandboxed) -> None:
    async def case() -> None:
        data = b"0123456789" * 30_000
        process = await start(sandboxed, "cat", stdin=PIPE, stdout=PIPE, stderr=PIPE)
        assert await process.communicate(data) == (data, b"")
        assert process.returncode == 0
        assert await process.wait() == 0

    run(case)


def test_exit_codes_and_both_outputs(sandboxed: Sandboxed) -> None:
    async def case() -> None:
        process = await start(sandboxed, "say", "out", "err", "7", stdout=PIPE, stderr=PIPE)
        assert await process.communicate() == (b"out", b"err")
        assert process.returncode == 7
        process = await start(sandboxed, "exit", "3")
        assert await process.wait() == 3
        assert (process.stdin, process.stdout, process.stderr) == (None, None, None)
        process = await start(sandboxed, "say", "o", "e", "0", stdout=PIPE, stderr=subprocess.STDOUT)
        assert sorted((await process.communicate())[0] or b"") == sorted(b"oe")

    run(case)


def test_lines_can_be_exchanged(sandboxed: Sandboxed) -> None:
    async def case() -> None:
        async with await start(sandboxed, "upper", stdin=PIPE, stdout=PIPE) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            for word in (b"one\n", b"two\n"):
                process.stdin.write(word)
                await process.stdin.drain()
                assert await process.stdout.readline() == word.upper()
            process.stdin.close()
            assert await process.stdout.read() == b""
        assert process.returncode == 0

    run(case)


def test_output_without_an_end_of_the_reading(sandboxed: Sandboxed) -> None:
    async def case() -> None:
        process = await start(sandboxed, "flood", "300", stdout=PIPE, stderr=PIPE)
        output, error = await process.communicate()
        assert (output, error) == (b"o" * 300_000, b"e" * 300_000)

    run(case)


def test_input_that_nobody_reads(sandboxed: Sandboxed) -> None:
    async def case() -> None:
        process = await start(sandboxed, "say", "done", "", "0", stdin=PIPE, stdout=PIPE)
        assert (await process.communicate(b"x" * 1_000_000))[0] == b"done"

    run(case)


@pytest.mark.parametrize("method", ["wait", "communicate"])
def test_cancellation_ends_the_tree(sandboxed: Sandboxed, method: str) -> None:
    async def case() -> None:
        process = await start(sandboxed, "block", "partial", stdout=PIPE, stdin=PIPE)
        task = asyncio.create_task(getattr(process, method)())
        await asyncio.sleep(0.2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await process.wait() == 1

    run(case)


def test_wait_for_ends_what_takes_too_long(sandboxed: Sandboxed) -> None:
    async def case() -> None:
        process = await start(sandboxed, "block", "")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(process.wait(), 0.2)
        assert await process.wait() == 1

    run(case)


def test_kill_terminate_and_signals(sandboxed: Sandboxed) -> None:
    async def case() -> None:
        ends: list[Callable[[AsyncProcess], None]] = [
            AsyncProcess.kill,
            AsyncProcess.terminate,
            lambda process: process.send_signal(15),
        ]
        for end in ends:
            async with await start(sandboxed, "block", "") as process:
                end(process)
                assert await process.wait() == 1
                end(process)

    run(case)


def test_the_block_waits_and_ends_what_is_left(sandboxed: Sandboxed) -> None:
    async def case() -> None:
        async with await start(sandboxed, "leave_child", stdout=PIPE) as process:
            assert process.stdout is not None
            assert int(await process.stdout.readline()) > 0
        assert process.returncode == 0
        with pytest.raises(KeyError):
            async with await start(sandboxed, "block", ""):
                raise KeyError

    run(case)


def test_a_descendant_with_the_pipe_does_not_hold_communicate_up(sandboxed: Sandboxed) -> None:
    async def case() -> None:
        process = await start(sandboxed, "leave_child", stdout=PIPE)
        output, _ = await process.communicate()
        assert (output or b"").strip().isdigit()
        process.kill()
        process.close()

    run(case)


def test_the_wall_time_ends_the_tree() -> None:
    async def case() -> None:
        with launcher("simulated") as made:
            assert isinstance(made, Sandboxed)
            process = await start(made, "hang", "", "", limits=Limits(wall_time=30))
            assert await process.wait() == 1816
            assert process.limit == "wall_time"

    run(case)


def test_started_and_finished_are_called_once(sandboxed: Sandboxed) -> None:
    async def case() -> None:
        calls: list[Any] = []
        process = await start(sandboxed, "exit", "0", started=calls.append, finished=calls.append)
        assert calls == [process]
        await process.wait()
        await asyncio.to_thread(process.close)
        assert calls == [process, process]

    run(case)


def test_input_of_a_wrong_type_is_refused_and_nothing_is_lost(sandboxed: Sandboxed) -> None:
    async def case() -> None:
        process = await start(sandboxed, "upper", stdin=PIPE, stdout=PIPE)
        for wrong in ("text", 5, ["x"]):
            with pytest.raises(TypeError, match="bytes-like"):
                await process.communicate(wrong)  # type: ignore[arg-type]
        assert await process.communicate(bytearray(b"text")) == (b"TEXT", None)
        with pytest.raises(ValueError, match="Cannot send input"):
            await process.communicate(b"more")
        assert await process.communicate() == (b"", None)

    run(case)


def test_communicate_beside_another_reader_is_an_error_of_the_caller(sandboxed: Sandboxed) -> None:
    async def case() -> None:
        process = await start(sandboxed, "upper", stdin=PIPE, stdout=PIPE, stderr=PIPE)
        assert process.stdin is not None
        assert process.stdout is not None
        readers = [asyncio.create_task(process.stdout.readline())]
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="already waiting"):
            await process.communicate()
        for reader in readers:
            assert await reader == b""  # communicate closed stdin; the process went on to its end
        assert await process.wait() == 0

    run(case)


def test_what_follows_the_end_does_not_run_on_the_loops_thread(sandboxed: Sandboxed) -> None:
    async def case() -> None:
        threads: list[threading.Thread] = []
        for method in ("wait", "communicate"):
            process = await start(sandboxed, "exit", "0", finished=lambda _: threads.append(threading.current_thread()))
            await asyncio.sleep(0.2)  # so that it has ended by now, more often than not
            await getattr(process, method)()
        await asyncio.to_thread(process.close)
        assert len(threads) == 2
        assert threading.main_thread() not in threads

    run(case)


def test_a_process_that_outlives_its_loop_is_closed_without_a_warning(sandboxed: Sandboxed) -> None:
    left: list[AsyncProcess] = []

    async def case() -> None:
        left.append(await start(sandboxed, "block", "", stdin=PIPE, stdout=PIPE, stderr=PIPE))

    run(case)
    process = left.pop()
    process.close()
    assert process.returncode == 1
    assert all(transport.is_closing() for transport in process._ends.transports)
    del process
    gc.collect()  # warnings are errors here, also those of what is collected


def test_twenty_at_once_and_close_from_another_thread(sandboxed: Sandboxed) -> None:
    async def one(number: int) -> bytes | None:
        process = await start(sandboxed, "upper", stdin=PIPE, stdout=PIPE)
        return (await process.communicate(b"text %d" % number))[0]

    async def case() -> None:
        results = await asyncio.gather(*(one(number) for number in range(20)))
        assert results == [b"TEXT %d" % number for number in range(20)]
        process = await start(sandboxed, "block", "", stdout=PIPE)
        waiting = asyncio.create_task(process.communicate())
        await asyncio.to_thread(process.close)
        assert await waiting == (b"", None)

    run(case)


def test_no_thread_for_streams(sandboxed: Sandboxed) -> None:
    async def case() -> None:
        before = threading.active_count()
        processes = [await start(sandboxed, "upper", stdin=PIPE, stdout=PIPE, stderr=PIPE) for _ in range(5)]
        # On a real Windows none at all; a simulated host has one a program, and one to wait for its end.
        allowed = 10 if isinstance(sandboxed, Simulated) else 0
        assert threading.active_count() <= before + allowed
        for process in processes:
            await process.communicate(b"x")

    run(case)


def test_a_forgotten_process_is_ended() -> None:
    with launcher("simulated") as made:
        assert isinstance(made, Simulated)

        async def case() -> None:
            process = await start(made, "block", "", limits=Limits(wall_time=SLOW))
            with pytest.warns(ResourceWarning, match="still running"):
                del process
            assert made.machine.running() == []

        run(case)
        assert eventually(lambda: made.left() == [])


@NOT_PROACTOR
def test_a_failure_at_any_step_leaves_nothing() -> None:
    failures, steps = 0, every(range(1, 30))
    for step in steps:
        with launcher("simulated") as made:
            assert isinstance(made, Simulated)
            threads = threading.active_count()
            failures += fails(made, step)
            gc.collect()
            assert eventually(lambda made=made: made.left() == []), (step, made.left())  # type: ignore[misc]
            assert eventually(lambda most=threads: threading.active_count() <= most), step  # type: ignore[misc]
    assert failures > len(steps) // 4


def fails(made: Simulated, step: int) -> bool:
    failed = False

    async def case() -> None:
        nonlocal failed
        made.machine.fail("all", step, 5)
        process = None
        try:
            process = await start(made, "say", "o", "e", "0", stdin=PIPE, stdout=PIPE, stderr=PIPE)
            await process.communicate(b"x")
        except OSError:
            failed = True
        if process is not None:
            await asyncio.to_thread(process.close)
        await asyncio.sleep(0)

    run(case)
    return failed


@NOT_PROACTOR
def test_a_start_that_fails_closes_the_pipes() -> None:
    async def case() -> None:
        with launcher("simulated") as made:
            assert isinstance(made, Simulated)
            made.machine.fail("start", 1, 740)
            with pytest.raises(SpawnError, match="administrator"):
                await start(made, "exit", "0", stdin=PIPE, stdout=PIPE)
            await asyncio.sleep(0)
            assert made.left() == []

    run(case)


@needs("windows")
def test_a_loop_without_pipes_is_told() -> None:
    async def case() -> None:
        with launcher("windows") as made:
            assert isinstance(made, Sandboxed)
            with pytest.raises(UnsupportedHost, match="ProactorEventLoop"):
                await start(made, "exit", "0", stdout=PIPE)

    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        runner.run(case())
