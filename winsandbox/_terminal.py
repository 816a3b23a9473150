"""How the command line shows things on a terminal, and how elsewhere.

Long ACL work: a bar on a terminal, a plain line now and then elsewhere. Tables: broken to a terminal's width. Names
that the output's code page lacks: with escapes. An output that its reader has closed: without a word.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import sys
import textwrap
from typing import TYPE_CHECKING, Final, Self

from .errors import SandboxError, WinError

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

# A line of a table: what stands before its last column, where two blanks or more part the columns.
_COLUMNS: Final = re.compile(r" *(?:\S+(?: \S+)* {2,})+")
_LEAST: Final = 20
PIPE_CLOSED: Final = 141  # as a shell tells of a program that SIGPIPE ended


def print_everything() -> None:
    """A name that the output's code page lacks is printed with escapes, instead of being an error halfway."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)  # none at all, or another object put in its place
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def reader_gone(error: BaseException) -> bool:
    """Whether an output's reader has closed it (`| head -1`): EPIPE, and EINVAL where Windows' C runtime says that."""
    told = error.__cause__ if isinstance(error, SandboxError) and error.code == "acl.callback" else error
    # Never one of our own errors, some of which are OSErrors with EINVAL: a refusal must not end without a word.
    if not isinstance(told, OSError) or isinstance(told, (WinError, SandboxError)) or told.filename is not None:
        return False
    return told.errno == errno.EPIPE or (sys.platform == "win32" and told.errno == errno.EINVAL)


def unread() -> bool:
    """Write out what is left of the output; whether its reader is gone, which Python's own end would call an error."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as error:
        if not reader_gone(error):
            raise
        return True
    return False


def end_silently() -> int:
    """As a program ends by SIGPIPE. What is left in the buffers must not fail again when Python ends."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, stream.fileno())
            os.close(null)
        except (AttributeError, ValueError):
            continue  # there is none, or it is closed
    return PIPE_CLOSED


def fitted(text: str, stream: TextIO | None) -> str:
    """The last columns of a table's lines broken to the width of a terminal; elsewhere `text` as it is, for programs.

    Other lines, which may hold a path or a command to be copied, are left to the terminal.
    """
    if stream is None or not stream.isatty():
        return text
    width = shutil.get_terminal_size().columns - 1
    return "\n".join(_broken(line, width) for line in text.split("\n"))


def _broken(line: str, width: int) -> str:
    columns = _COLUMNS.match(line)
    if len(line) <= width or columns is None:
        return line
    head = columns[0]
    room = width - len(head)
    if room < _LEAST:
        return line
    lines = textwrap.wrap(line[len(head) :], room, break_long_words=False, break_on_hyphens=False)
    return head + f"\n{' ' * len(head)}".join(lines)


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
