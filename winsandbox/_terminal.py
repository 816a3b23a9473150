"""How the command line shows long ACL work: a bar on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from types import TracebackType
    from typing import TextIO

# Above this many objects people wonder whether the program hangs; say what is going on, and how to shorten it.
MANY: Final = 20_000
_WIDTH: Final = 30
_PLAIN_SECONDS: Final = 5.0
_KNOWN: Final = 16  # a total that is so far ahead of what is done was known before, and not only seen on the way

# What goes on, and what an interruption would mean; {0} is MANY.
GIVING: Final = (
    "writing access control entries on more than {0} objects; this is needed once for each root and kept for later runs"
)
GIVING_FOR_ONE: Final = (
    "writing access control entries on more than {0} objects, which are taken away again when the command has ended; "
    "with --keep forever the next run starts without that"
)
TAKING: Final = (
    "taking access control entries off more than {0} objects; if you interrupt it, the next `forget` or `recover` "
    "goes on from there"
)
LOOKING: Final = "reading the access control lists of more than {0} objects; nothing is changed on them"


class ProgressLine:
    """A progress callback that writes to a text stream; `doing` is one of the texts above, for many objects."""

    def __init__(self, stream: TextIO, doing: str = GIVING) -> None:
        self._stream = stream
        self._doing = doing
        self._total: int | None = None
        self._known = False
        self._terminal = stream.isatty()
        self._shown = 0
        self._next = _PLAIN_SECONDS
        self._warned = False

    def __call__(self, done: int, total: int | None, path: str, elapsed: float) -> None:
        """Called by the walker; `elapsed` in seconds."""
        if not self._warned and max(done, total or 0) > MANY:
            self._warned = True
            self._line(f"winsandbox: {self._doing.format(MANY)}")
        self._known = total is not None and (total - done > _KNOWN or (self._known and total == self._total))
        self._total = total
        if self._terminal:
            self._bar(done, total, path, elapsed)
        elif elapsed >= self._next:
            self._next = elapsed + _PLAIN_SECONDS
            of = f" of about {total}" if self._known else ""
            self._line(f"winsandbox: {done}{of} objects, {elapsed:.0f} s")

    def _bar(self, done: int, total: int | None, path: str, elapsed: float) -> None:
        head = ""
        if total and self._known:
            full = min(_WIDTH, _WIDTH * done // total)
            head = f"[{'#' * full}{'.' * (_WIDTH - full)}] {min(100, 100 * done // total):3d} % "
        head += f"{done} objects, {elapsed:.0f} s"
        # One line: what a terminal breaks is not written over by what comes next. The last column stays free too.
        room = shutil.get_terminal_size().columns - 1 - len(head) - 2
        text = f"{head}  {path[-min(room, 60) :]}" if path and room >= 8 else head
        # Written over the line before, so that it must be at least as long.
        self._stream.write("\r" + text.ljust(self._shown))
        self._stream.flush()
        self._shown = len(text)

    def _line(self, text: str) -> None:
        self.clear()
        self._stream.write(text + "\n")
        self._stream.flush()

    def clear(self) -> None:
        """Take the bar away, for something else to be printed."""
        if self._shown:
            self._stream.write("\r" + " " * self._shown + "\r")
            self._stream.flush()
            self._shown = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.clear()
