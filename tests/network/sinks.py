"""A server on a loopback address that no_proxy does not name: what reaches it would have left the machine."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

ADDRESS = "127.0.0.2"


class Sink:
    """Accepts connections, keeps what came first on each, answers HTTP with 404 and closes."""

    def __init__(self, host: str = ADDRESS) -> None:
        self.host = host
        self._server = socket.create_server((host, 0))
        self.port: int = self._server.getsockname()[1]
        self.seen: list[bytes] = []
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"

    def _serve(self) -> None:
        while True:
            connection, _ = self._server.accept()
            with connection:
                if self._closing.is_set():
                    return
                connection.settimeout(0.5)
                data = b""
                with contextlib.suppress(OSError):
                    data = connection.recv(4096)
                self.seen.append(data)
                with contextlib.suppress(OSError):
                    if b"HTTP/" in data:
                        connection.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    def reached(self) -> list[bytes]:
        """What came since the last call, with what still waits to be accepted: connections are served in order."""
        last = b"the last"
        with socket.create_connection((self.host, self.port), timeout=5) as connection:
            connection.sendall(last)
            end = time.monotonic() + 30
            while last not in self.seen and time.monotonic() < end:
                time.sleep(0.01)
        came = [data for data in self.seen if data != last]
        self.seen.clear()
        return came

    def __enter__(self) -> Sink:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        with contextlib.suppress(OSError), socket.create_connection((self.host, self.port), timeout=1):
            pass
        self._thread.join(5)
        self._server.close()


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended: its exit code (None: stopped by us), its output, the seconds it took."""

    returncode: int | None
    output: str
    seconds: float


def run(
    argv: Sequence[str], environment: Mapping[str, str], cwd: Path, limit: float, sink: Sink | None = None
) -> Ended:
    """Run a command with stdin closed; with `sink`, only until something has reached it. Ends its whole session."""
    log = cwd / "output.log"
    start = time.monotonic()
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*argv], env={**environment}, cwd=cwd, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            start_new_session=True,
        )  # fmt: skip
        try:
            while process.poll() is None and time.monotonic() - start < limit:
                if sink is not None and sink.seen:
                    break
                time.sleep(0.01)
            returncode = process.poll()
            seconds = time.monotonic() - start
        finally:
            if sys.platform != "win32":
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)
    return Ended(returncode, log.read_text("utf-8", "replace"), seconds)


def search_path() -> str:
    """PATH with the directory of additional tools (``WINSANDBOX_NETWORK_TOOLS``) in front."""
    return os.pathsep.join(filter(None, (os.environ.get("WINSANDBOX_NETWORK_TOOLS"), os.environ.get("PATH"))))


def find(name: str) -> str | None:
    return shutil.which(name, path=search_path())


def version(argv: Sequence[str]) -> str:
    """The first thing in the output of a version command that looks like a version."""
    done = subprocess.run([*argv], capture_output=True, timeout=60, stdin=subprocess.DEVNULL, check=False)
    found = re.search(rb"\d+\.\d+(\.\d+)*", done.stdout + done.stderr)
    return found.group().decode() if found else "unknown"
