"""What the contract suite needs of a host: an empty directory, a program, and whether it keeps what Wine does not."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from winsandbox._host import SHARE_ALL, Handle, Host, JobLimits, StartRequest
from winsandbox._security import mask
from winsandbox.testing import SimulatedProcess

# What the program does, in Windows' Python; ``simulated_program`` is the same for the simulated host. It is given a
# word and a value.
PROGRAM = """
import os, subprocess, sys, time
word, value = sys.argv[1], sys.argv[2]
if word == "exit":
    os._exit(int(value))
if word == "copy":
    sys.stdout.buffer.write(sys.stdin.buffer.read())
if word == "sleep":
    time.sleep(float(value))
if word == "say":
    sys.stdout.write(value)
if word == "variable":
    sys.stdout.write(os.environ.get(value, "(none)"))
if word == "cwd":
    sys.stdout.write(os.getcwd())
if word == "child":
    code = "import time; time.sleep(" + value + ")"
    subprocess.Popen([sys.executable, "-I", "-c", code], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
"""


def simulated_program(process: SimulatedProcess) -> int:
    word, value = process.argv[1:]
    if word == "exit":
        return int(value)
    if word == "copy":
        process.stdout.write(process.stdin.read())
    elif word == "sleep":
        process.sleep(float(value))
    elif word == "say":
        process.stdout.write(value)
    elif word == "variable":
        process.stdout.write(process.env.get(value, "(none)"))
    elif word == "cwd":
        process.stdout.write(process.cwd)
    elif word == "child":
        process.env["PATH"] = r"C:\tools"
        process.spawn(["tool", "sleep", value])
    return 0


@dataclass
class Place:
    """A host and where to work on it."""

    host: Host
    path: str
    program: str
    command: tuple[str, ...]
    stores: bool
    restricts: bool
    limits: bool
    variables: dict[str, str] = field(default_factory=dict)

    def need(self, *, stores: bool = False, restricts: bool = False, limits: bool = False) -> None:
        """Skip where this host says yes and does nothing."""
        if stores and not self.stores:
            pytest.skip("files here do not keep their descriptors")
        if restricts and not self.restricts:
            pytest.skip("restricting SIDs are ignored here")
        if limits and not self.limits:
            pytest.skip("limits of jobs are not kept here")

    def open(self, name: str = "", access: int = mask.FILE_GENERIC_READ, share: int = SHARE_ALL) -> Handle:
        """Open something below the directory, or itself, by path."""
        return self.host.files.open(f"{self.path}\\{name}" if name else self.path, access, share=share)

    def make_file(self, name: str, data: bytes = b"") -> None:
        with self.open() as parent, self.host.files.create_file(parent, name, mask.FILE_GENERIC_WRITE) as made:
            if data:
                self.host.files.write(made, data)

    def make_directory(self, name: str) -> None:
        with self.open() as parent:
            self.host.files.create_directory(parent, name, mask.FILE_LIST_DIRECTORY).close()

    @contextmanager
    def started(
        self,
        word: str,
        value: str = "",
        *,
        handles: tuple[Handle | None, Handle | None, Handle | None] | None = None,
        limits: JobLimits | None = None,
        environment: Mapping[str, str] | None = None,
        cwd: str | None = None,
        token: Handle | None = None,
    ) -> Iterator[Run]:
        """A process that does `word`, in a job of its own; both are closed at the end."""
        processes = self.host.processes
        own = self.host.tokens.current() if token is None else token
        with own, processes.create_job(limits or JobLimits()) as job, processes.null(write=True) as null:
            started = processes.start(
                StartRequest(
                    application=self.program,
                    command_line=subprocess.list2cmdline([*self.command, word, value]),
                    environment={**processes.environment(), **(environment or {})},
                    cwd=cwd or self.path,
                    token=own,
                    job=job,
                    handles=handles or (null, null, null),
                    flags=0x8000000,
                )
            )
            with started.process as process:
                yield Run(self.host, process, started.pid, job)

    def output(self, word: str, value: str = "", *, data: bytes | None = None, **options: object) -> bytes:
        """What a process that does `word` prints."""
        processes = self.host.processes
        ours, theirs = processes.pipe(child_reads=False)
        feed, their_input = processes.pipe(child_reads=True)
        with processes.null(write=True) as null, theirs, their_input:
            context = self.started(word, value, handles=(their_input, theirs, null), **options)  # type: ignore[arg-type]
            with context as run:
                theirs.close()
                their_input.close()
                with os.fdopen(processes.descriptor(feed, write=True), "wb") as writer:
                    writer.write(data or b"")
                with os.fdopen(processes.descriptor(ours, write=False), "rb") as reader:
                    printed = reader.read()
                assert processes.wait(run.process, 60)
        return printed


@dataclass
class Run:
    """A started process."""

    host: Host
    process: Handle
    pid: int
    job: Handle
