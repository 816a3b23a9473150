"""One set of small programs, and the ways to start them: subprocess.Popen, a simulated host, this Windows.

Each program exists twice, as source for a real Python and as a function for a simulated process, and does the same in
both. So a case can be run against Popen and against us, and has to come out the same.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from winsandbox._host import Handle, Host, default_host
from winsandbox._spawn import spawn
from winsandbox.limits import Limits
from winsandbox.testing import SimulatedHost, SimulatedProcess

SLOW = 3600.0  # no case waits for it: the end has to come from somewhere else


def eventually(true: Callable[[], bool], seconds: float = 20) -> bool:
    """Whether it becomes true while only real time passes."""
    until = time.monotonic() + seconds
    while not true():
        if time.monotonic() > until:
            return False
        time.sleep(0.01)
    return True


@dataclass(frozen=True)
class Program:
    """`source` for Python (``sys.argv[1:]`` are the arguments), `simulated` for a simulated process."""

    source: str
    simulated: Callable[[SimulatedProcess], int | None]


def _cat(p: SimulatedProcess) -> None:
    while data := p.stdin.readline():
        p.stdout.write(data)


def _say(p: SimulatedProcess) -> int:
    p.stdout.write(p.argv[1])
    p.stderr.write(p.argv[2])
    return int(p.argv[3])


def _exit(p: SimulatedProcess) -> int:
    return int(p.argv[1])


def _arguments(p: SimulatedProcess) -> None:
    p.stdout.write(json.dumps(list(p.argv[1:])))


def _hang(p: SimulatedProcess) -> None:
    p.stdout.write(p.argv[1])
    p.stderr.write(p.argv[2])
    p.sleep(SLOW)


def _block(p: SimulatedProcess) -> None:
    reader, _writer = p.pipe()
    p.stdout.write(p.argv[1])
    reader.read()


def _flood(p: SimulatedProcess) -> None:
    for _ in range(int(p.argv[1])):
        p.stdout.write(b"o" * 1000)
        p.stderr.write(b"e" * 1000)


def _upper(p: SimulatedProcess) -> None:
    for line in p.stdin:
        p.stdout.write(line.upper())


def _raw(p: SimulatedProcess) -> None:
    p.stdout.write(bytes.fromhex(p.argv[1]))


def _variable(p: SimulatedProcess) -> None:
    p.stdout.write(f"{p.env.get(p.argv[1])}|{p.cwd}")


def _leave_child(p: SimulatedProcess) -> None:
    child = p.spawn(["hang.exe", "", ""])
    p.stdout.write(f"{child.pid}\n")


def _closed_outputs(p: SimulatedProcess) -> None:
    p.stdout.close()
    p.stderr.close()
    p.sleep(0.2)


_PRELUDE = "import sys, os, time, json, subprocess; o, e = sys.stdout.buffer, sys.stderr.buffer; a = sys.argv[1:]\n"

PROGRAMS = {
    "cat": Program("for line in sys.stdin.buffer: o.write(line); o.flush()", _cat),
    "say": Program("o.write(a[0].encode()); e.write(a[1].encode()); sys.exit(int(a[2]))", _say),
    "exit": Program("sys.exit(int(a[0]))", _exit),
    "arguments": Program("o.write(json.dumps(a).encode())", _arguments),
    "hang": Program(f"o.write(a[0].encode()); o.flush(); e.write(a[1].encode()); e.flush(); time.sleep({SLOW})", _hang),
    # For ever, whatever the time: a simulated clock goes on while everybody only sleeps.
    "block": Program("o.write(a[0].encode()); o.flush(); os.read(os.pipe()[0], 1)", _block),
    "flood": Program("for _ in range(int(a[0])): o.write(b'o' * 1000); e.write(b'e' * 1000)", _flood),
    "upper": Program("for line in sys.stdin.buffer: o.write(line.upper()); o.flush()", _upper),
    "raw": Program("o.write(bytes.fromhex(a[0]))", _raw),
    "variable": Program("o.write(f'{os.environ.get(a[0])}|{os.getcwd()}'.encode())", _variable),
    "leave_child": Program(
        f"c = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep({SLOW})']); "
        "o.write(b'%d\\n' % c.pid); o.flush(); os._exit(0)",
        _leave_child,
    ),
    "closed_outputs": Program("o.flush(); os.close(1); os.close(2); time.sleep(0.2); os._exit(0)", _closed_outputs),
}


class Launcher:
    """Starts programs in one way, and says what a test needs to know about it."""

    name = "subprocess"

    @property
    def cwd(self) -> str:
        return os.getcwd()

    def start(self, program: str, *arguments: str, **options: Any) -> Any:
        options.setdefault("stdin", subprocess.DEVNULL)
        return subprocess.Popen(self.command(program, *arguments), **options)

    def command(self, program: str, *arguments: str) -> list[str]:
        return [sys.executable, "-c", _PRELUDE + PROGRAMS[program].source, *arguments]

    def missing(self) -> Any:
        """Start something that does not exist."""
        return subprocess.Popen([os.path.join(os.getcwd(), "no-such-command")])

    def run(self, program: str, *arguments: str, **options: Any) -> subprocess.CompletedProcess[Any]:
        options.setdefault("stdin", None if options.get("input") is not None else subprocess.DEVNULL)
        options.setdefault("check", False)
        return subprocess.run(self.command(program, *arguments), **options)  # noqa: PLW1510 - it is in the options


class Sandboxed(Launcher):
    """With :func:`winsandbox._spawn.spawn` and the caller's own token: the token is not what is tried here."""

    name = "winsandbox"

    def __init__(self, host: Host, token: Handle) -> None:
        self.host = host
        self.token = token

    def environment(self) -> dict[str, str]:
        return self.host.processes.environment()

    def missing(self) -> Any:
        return self.spawn(["no-such-command"])

    def start(self, program: str, *arguments: str, **options: Any) -> Any:
        options.setdefault("stdin", subprocess.DEVNULL)
        return self.spawn(self.command(program, *arguments), **options)

    def spawn(self, command: Sequence[str | os.PathLike[str]], **options: Any) -> Any:
        environment = options.pop("env", None)
        options.setdefault("limits", Limits())
        return spawn(
            self.host,
            self.token,
            command,
            environment=self.environment() if environment is None else environment,
            cwd=options.pop("cwd", self.cwd),
            **options,
        )

    def run(self, program: str, *arguments: str, **options: Any) -> subprocess.CompletedProcess[Any]:
        from winsandbox.process import run

        carried = {name: options.pop(name) for name in ("input", "timeout", "check") if name in options}
        if options.pop("capture_output", False):
            options["stdout"] = options["stderr"] = subprocess.PIPE
        if carried.get("input") is not None:
            options["stdin"] = subprocess.PIPE
        return run(self.start(program, *arguments, **options), **carried)


class Simulated(Sandboxed):
    """On a simulated host, whose handles and processes can be counted."""

    name = "simulated"

    def __init__(self, host: SimulatedHost) -> None:
        super().__init__(host, host.tokens.current())
        self.machine = host
        host.mkdir("C:\\work")
        for name, program in PROGRAMS.items():
            host.add_program(f"C:\\Program Files\\programs\\{name}.exe", program.simulated)

    @property
    def cwd(self) -> str:
        return "C:\\work"

    def environment(self) -> dict[str, str]:
        return {**super().environment(), "PATH": "C:\\Program Files\\programs;C:\\Windows\\System32"}

    def command(self, program: str, *arguments: str) -> list[str]:
        return [program, *arguments]

    def left(self) -> list[str]:
        """What is left beside the token: handles and running programs."""
        return [*self.machine.open_handles()[1:], *map(str, self.machine.running())]


@contextmanager
def launcher(kind: str, **host: Any) -> Iterator[Launcher]:
    """The launcher of that kind; a simulated host's options may be given."""
    if kind == "subprocess":
        yield Launcher()
    elif kind == "windows":
        real = default_host()
        with real.tokens.current() as token:
            yield Sandboxed(real, token)
    else:
        with ExitStack() as undo:
            simulated = SimulatedHost(**host)
            undo.callback(simulated.close)
            started = Simulated(simulated)
            undo.enter_context(started.token)
            yield started
