"""Start one command: find it, open its standard streams, make its job, start it with a token. Or leave nothing behind.

The order is chosen so that all that can fail for reasons of the caller's comes before the process exists; what fails
after that ends the tree. Every step is undone by the ``ExitStack`` of :func:`spawn` until the process is handed out.

Source: "CreateProcessAsUserW", "Process Creation Flags" and "JOBOBJECT_BASIC_UI_RESTRICTIONS" (Microsoft Learn).
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal

from . import _log
from ._host import JobLimits, StartRequest
from ._pipes import Pump, Redirection, Stream, TextMode, open_end, open_streams, text_mode
from ._resolve import command_line, plain, resolve, shell_line
from ._tree import Tree
from .environment import check
from .errors import EnforcementError, SpawnError, WinError, WorkingDirectoryError
from .policy import UI_LIMITS as _UI_NAMES
from .process import Arguments, Process

if TYPE_CHECKING:
    from ._host import Handle, Host, Started
    from .limits import Limits

__all__ = ["UI_LIMITS", "spawn"]

Require = Literal["best-effort", "full", "proven"]
Console = Literal["private", "shared"]

_CREATE_NEW_PROCESS_GROUP: Final = 0x200
_CREATE_NO_WINDOW: Final = 0x8000000

# JOB_OBJECT_UILIMIT_*: the policy lists its names in the order of the bits, from 0x1 to 0x80.
UI_LIMITS: Final[Mapping[str, int]] = {name: 1 << bit for bit, name in enumerate(_UI_NAMES)}

_REMEDIES: Final = {
    2: "The program was there a moment ago: look for whoever removes it (an antivirus, an update).",
    3: "The program was there a moment ago: look for whoever removes it (an antivirus, an update).",
    5: "The program or the working directory is not open to the restricted token; under job limits of the user "
    "interface, the host's own job may forbid them.",
    87: "Windows found one of the arguments wrong; a policy of this machine may forbid jobs of one's own.",
    193: "The file is no Windows program.",
    206: "The command line or the environment is too long.",
    216: "The program is built for another processor.",
    225: "The antivirus holds the program back.",
    740: "The program asks for administrator rights, or Windows takes it for an installer by its name: run it outside.",
    1260: "A policy of this machine (AppLocker, Software Restriction) forbids the program.",
    1312: "It is a packaged app (Microsoft Store): install the ordinary version.",
    1314: "The token is no restricted form of the caller's own.",
    1455: "The machine is out of memory.",
    1920: "It is an app-execution alias (Microsoft Store): install the ordinary version.",
    4551: "A policy of this machine (Application Control) forbids the program.",
}


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything about a process but its streams: found, quoted, checked."""

    token: Handle
    application: str
    line: str
    environment: Mapping[str, str]
    cwd: str
    limits: Limits
    ui: int
    console: Console
    desktop: str | None
    require: Require
    notes: tuple[str, ...]


def spawn(
    host: Host,
    token: Handle,
    args: Arguments,
    *,
    environment: Mapping[str, str],
    cwd: str,
    stdin: Redirection = None,
    stdout: Redirection = None,
    stderr: Redirection = None,
    text: bool | None = None,
    encoding: str | None = None,
    errors: str | None = None,
    universal_newlines: bool | None = None,
    bufsize: int = -1,
    limits: Limits,
    ui_limits: Sequence[str] = (),
    console: Console = "private",
    desktop: str | None = None,
    require: Require = "full",
    finished: Callable[[Any], None] | None = None,
    forgotten: Callable[[Any], None] | None = None,
) -> Process:
    """Start `args` with `token` in a job of its own.

    Args:
        environment: the child's, complete; it also decides where the command is found.
        cwd: the child's working directory, an absolute path.
        stdin, stdout, stderr: as in :class:`subprocess.Popen`; None is the caller's own stream.
        limits, ui_limits: what the job holds; the names in `ui_limits` are the keys of ``UI_LIMITS``.
        console: "private": the child has no window and no handle of the caller's console.
        desktop: ``station\\name``, or None for the caller's.
        require: whether a limit that the host refuses is an error, or a note ("best-effort").
        finished: called once with the process when nothing of its tree is left.
        forgotten: called instead when the process is collected before that, with a stand-in whose ``close`` calls
            `finished`. It must do next to nothing: it runs in the middle of anything.

    Raises:
        CommandNotFound, CommandRefused: see ``_resolve.resolve``.
        WorkingDirectoryError: `cwd` does not exist or is no directory.
        EnforcementError: the host refused a limit.
        SpawnError: Windows did not start the process.
        TypeError, ValueError: arguments that subprocess.Popen refuses too.
    """
    mode = text_mode(text, encoding, errors, universal_newlines)
    bufsize = _checked_bufsize(bufsize, mode)
    recipe = prepare(host, token, args, environment, cwd, limits, ui_limits, console, desktop, require)
    with ExitStack() as undo:
        streams = open_streams(host, stdin, stdout, stderr, shared=console == "shared", overlapped=False, undo=undo)
        files = [
            None
            if stream.ours is None or stream.console is not None
            else open_end(host, stream.ours, write=number == 0, bufsize=bufsize, mode=mode, undo=undo)
            for number, stream in enumerate(streams)
        ]
        tree, pumps, notes = start(host, recipe, streams, undo)
        process = Process(
            host,
            tree,
            args,
            (files[0], files[1], files[2]),
            mode,
            pumps=pumps,
            notes=notes,
            shared_console=console == "shared",
            finished=finished,
            forgotten=forgotten,
        )
        undo.pop_all()
    return process


# --- the steps ------------------------------------------------------------------------------------------------------


def _checked_bufsize(bufsize: object, mode: TextMode | None) -> int:
    if not isinstance(bufsize, int):
        raise TypeError("bufsize must be an integer")
    if bufsize == 1 and mode is None:
        warnings.warn(
            "line buffering (bufsize=1) is for text; the default buffer size is used", RuntimeWarning, stacklevel=3
        )
        return -1
    return bufsize


def prepare(
    host: Host,
    token: Handle,
    args: object,
    environment: Mapping[str, str],
    cwd: str,
    limits: Limits,
    ui_limits: Sequence[str],
    console: Console,
    desktop: str | None,
    require: Require,
) -> Recipe:
    words = arguments(args)
    if console not in ("private", "shared"):
        raise ValueError(f'console must be "private" or "shared", not {console!r}')
    ui = ui_mask(ui_limits)
    check(environment)  # on every host alike: Windows' block is made only at the start
    _check_directory(host, cwd)
    found = resolve(host, words[0], environment, cwd=cwd)
    line = command_line(found.application, words[1:])
    application, notes = found.application, found.warnings
    if "\n" in line and line == shell_line(application, words[1:]):
        notes += ("cmd.exe reads the line up to its first line end: join commands with &, or write a batch file.",)
    if found.kind == "batch":
        # Windows' own cmd.exe whatever COMSPEC says: the child's environment may come from the workspace.
        application = host.files.known_folders().system + "\\cmd.exe"
    return Recipe(*(token, application, line, environment, plain(cwd), limits, ui, console, desktop, require, notes))


def _check_directory(host: Host, cwd: str) -> None:
    """Before anything is made, and by name: CreateProcess would name the program."""
    try:
        found = host.files.query(plain(cwd))
    except OSError:
        return  # it may be closed to us in this way only; whether the child can go there is seen at the start
    if found is None or not found.directory:
        raise _no_directory(cwd, "does not exist" if found is None else "is no directory")


def _no_directory(cwd: str, what: str) -> WorkingDirectoryError:
    return WorkingDirectoryError(
        f"the working directory {cwd} {what}.",
        cause=WinError(267, "CreateProcessAsUserW", cwd),
        path=cwd,
        remedy="Create it first, or leave cwd out for the workspace.",
    )


def ui_mask(names: Sequence[str]) -> int:
    """JOB_OBJECT_UILIMIT_* bits. ValueError for a name that is none."""
    unknown = [name for name in names if name not in UI_LIMITS]
    if unknown:
        raise ValueError(f"no such limit of the user interface: {unknown[0]!r}; there are {', '.join(UI_LIMITS)}")
    return sum(UI_LIMITS[name] for name in dict.fromkeys(names))


def arguments(args: object) -> list[str]:
    """`args` as text.

    Raises:
        TypeError: a string (which a shell would have to split), or items that are neither str nor paths.
        ValueError: nothing to start, or a NUL.
    """
    if isinstance(args, (str, bytes, os.PathLike)):
        raise TypeError(
            'args must be a sequence such as ["git", "status"]; for a line of the shell write ["cmd", "/c", line]'
        )
    if not isinstance(args, Sequence):
        raise TypeError(f"args must be a sequence of str or os.PathLike, not {type(args).__name__}")
    words = [os.fspath(word) if isinstance(word, os.PathLike) else word for word in args]
    for word in words:
        if not isinstance(word, str):
            raise TypeError(f"args must hold str or os.PathLike[str], not {type(word).__name__}")
    if not words:
        raise ValueError("args is empty: there is no command to start")
    if not words[0]:
        raise ValueError("the command is empty")
    if any("\0" in word for word in words):
        raise ValueError("an argument holds a NUL character")
    return words


def start(
    host: Host, recipe: Recipe, streams: tuple[Stream, Stream, Stream], undo: ExitStack
) -> tuple[Tree, list[Pump], list[str]]:
    pumps = []
    for number, stream in enumerate(streams):
        if stream.console is not None:
            pumps.append(Pump(host, stream, write=number != 0))
            undo.callback(pumps[-1].discard)
    notes = list(recipe.notes)
    job = undo.enter_context(_job(host, recipe, notes))
    try:
        started = _create(host, recipe, job, streams)
    except SpawnError as error:
        # Whether nested jobs may have limits of the user interface is not always known beforehand.
        if not recipe.ui or recipe.require != "best-effort" or error.winerror not in (5, 87):
            raise
        plain_recipe = replace(recipe, ui=0)
        job = undo.enter_context(_job(host, plain_recipe, notes))
        started = _create(host, plain_recipe, job, streams)
        notes.append(f"limits of the user interface cannot be set on this host: {error.__cause__}.")
    tree = Tree(host, job, started, recipe.limits.wall_time)
    undo.callback(tree.abandon)
    for stream in streams:
        stream.child.close()  # or the end of the output would never be seen
    tree.watch()
    for pump in pumps:
        pump.start(lambda seconds: not tree.wait(seconds))
    return tree, pumps, notes


def _create(host: Host, recipe: Recipe, job: Handle, streams: tuple[Stream, Stream, Stream]) -> Started:
    request = StartRequest(
        application=recipe.application,
        command_line=recipe.line,
        environment=recipe.environment,
        cwd=recipe.cwd,
        token=recipe.token,
        job=job,
        handles=(streams[0].child, streams[1].child, streams[2].child),
        # A group of its own, so that CTRL_BREAK_EVENT reaches this command and not the host as well. Its price: Ctrl+C
        # is ignored in it ("Process Creation Flags").
        # No CREATE_DEFAULT_ERROR_MODE: what this process has chosen with SetErrorMode holds for the child too.
        flags=_CREATE_NO_WINDOW if recipe.console == "private" else _CREATE_NEW_PROCESS_GROUP,
        desktop=recipe.desktop,
    )
    try:
        return host.processes.start(request)
    except OSError as error:
        code = getattr(error, "winerror", None) or 0
        if code == 267:  # ERROR_DIRECTORY: it went away a moment ago
            raise _no_directory(recipe.cwd, "does not exist or is no directory") from error
        raise SpawnError(
            f"{recipe.application} could not be started ({error}).",
            cause=error,
            path=recipe.application,
            remedy=_REMEDIES.get(code, ""),
        ) from error


def _job(host: Host, recipe: Recipe, notes: list[str]) -> Handle:
    """The job with all its limits; what the host refuses is an error, or is left out with a note."""
    job, refused = limited_job(host, recipe.limits, recipe.ui)
    try:
        notes += refusals(refused, recipe.require).values()
    except EnforcementError:
        job.close()
        raise
    return job


def limited_job(host: Host, limits: Limits, ui: int) -> tuple[Handle, list[tuple[str, str]]]:
    """A job with as many of the limits as the host takes, and those that it refuses: (name, reason)."""
    refused = []
    wanted = {"memory": limits.memory, "processes": limits.processes, "cpu_time": limits.cpu_time, "ui": ui}
    if ui and host.processes.job_refuses_ui_limits():
        # Windows nests jobs only where none of them has limits of the user interface ("Nested Jobs").
        refused.append(("ui", "the host runs in a job that allows no such limits in another"))
        wanted["ui"] = 0
    try:
        return host.processes.create_job(_limits(wanted)), refused
    except OSError as error:
        if not any(wanted.values()):
            raise SpawnError("the job object could not be made.", cause=error) from error
    job, more = _job_without(host, wanted)
    return job, refused + more


def refusals(refused: Sequence[tuple[str, str]], require: Require) -> dict[str, str]:
    """Limits that the host refused, as sentences by name; under anything but best effort the first is an error."""
    texts = {}
    for name, reason in refused:
        _log.record("limit-refused", f"the host refused the limit {name}", limit=name, reason=reason)
        what = "limits of the user interface" if name == "ui" else f"the limit {name!r}"
        texts[name] = f"{what} cannot be set on this host: {reason}."
        if require != "best-effort":
            raise EnforcementError(
                texts[name],
                remedy='Leave it out of the policy, or accept less with require="best-effort".',
                code="limits",
            )
    return texts


def _limits(wanted: Mapping[str, float | None]) -> JobLimits:
    return JobLimits(**{name: value for name, value in wanted.items() if value})  # type: ignore[arg-type]


def _job_without(host: Host, wanted: Mapping[str, float | None]) -> tuple[Handle, list[tuple[str, str]]]:
    """A job with as many of the limits as the host takes, and those that it does not, with reasons."""
    taken: dict[str, float | None] = {}
    refused = []
    try:
        job = host.processes.create_job(JobLimits())
        for name, value in wanted.items():
            if not value:
                continue
            try:
                better = host.processes.create_job(_limits({**taken, name: value}))
            except OSError as error:
                refused.append((name, str(error)))
                continue
            job.close()
            job, taken[name] = better, value
    except OSError as error:
        raise SpawnError("the job object could not be made.", cause=error) from error
    return job, refused
