"""How the command line shows long ACL work: a bar on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from types import TracebackType
    from typing import TextIO

# Above this many objects people wonder whether the program hangs; say what is going on, and how to shorten it.
MANY: Final = 20_000
_WIDTH: Final = 30
_PLAIN_SECONDS: Final = 5.0


class ProgressLine:
    """A progress callback for :class:`~winsandbox.sandbox.Sandbox` that writes to a text stream."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._terminal = stream.isatty()
        self._shown = 0
        self._next = _PLAIN_SECONDS
        self._warned = False

    def __call__(self, done: int, total: int | None, path: str, elapsed: float) -> None:
        """Called by the walker; `elapsed` in seconds."""
        if not self._warned and max(done, total or 0) > MANY:
            self._warned = True
            self._line(
                f"winsandbox: writing access control entries on more than {MANY} objects; this is needed once for each "
                "root and kept for later runs"
            )
        if self._terminal:
            self._bar(done, total, path, elapsed)
        elif elapsed >= self._next:
            self._next = elapsed + _PLAIN_SECONDS
            of = "" if total is None else f" of about {total}"
            self._line(f"winsandbox: {done}{of} objects, {elapsed:.0f} s")

    def _bar(self, done: int, total: int | None, path: str, elapsed: float) -> None:
        if total:
            full = min(_WIDTH, _WIDTH * done // total)
            head = f"[{'#' * full}{'.' * (_WIDTH - full)}] {min(100, 100 * done // total):3d} % "
        else:
            head = ""
        text = f"{head}{done} objects, {elapsed:.0f} s  {path[-40:]}"
        # Written over the line before, so that it must be at least as long.
        self._stream.write("\r" + text.ljust(self._shown))
        self._stream.flush()
        self._shown = len(text)

    def _line(self, text: str) -> None:
        self._clear()
        self._stream.write(text + "\n")
        self._stream.flush()

    def _clear(self) -> None:
        if self._shown:
            self._stream.write("\r" + " " * self._shown + "\r")
            self._stream.flush()
            self._shown = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._clear()
