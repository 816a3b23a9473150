"""Sandbox: plan, apply, token, spawn, in that order, and the lifetime of what they made.

Above 500 lines only because `spawn`, `run` and `spawn_async` each spell out subprocess's parameters and explain them.
"""

from __future__ import annotations

import subprocess
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from typing import IO, TYPE_CHECKING, Any, Final, Literal, Self

from . import _log
from ._apply import Applied, apply
from ._audit_log import AuditLog, report_end, report_failure
from ._count import Survey, survey_walk
from ._desktop import desktop_for
from ._findings import GrantReport
from ._host import Handle, Host, default_host
from ._plan import Plan, make_plan, refuse_caller, session_sid
from ._spawn import arguments, limited_job, refusals, ui_mask
from ._spawn import spawn as _spawn
from ._state import Scratch, State
from ._surroundings import child_files, directory, environment, stub_files
from ._survey import open_places, survey
from ._token import Require, make_token
from ._verdicts import observed, unproven, with_exceptions, without_desktop, without_limits
from .enforcement import Aspect
from .errors import EnforcementError, SandboxClosed, SandboxError
from .limits import Limits
from .policy import Policy
from .process import Process, ProcessBase
from .process import run as _run

if TYPE_CHECKING:
    import os
    from types import TracebackType

    from ._async import AsyncProcess
    from ._violations import Snapshot
    from .enforcement import Enforcement
    from .explain import Decision

__all__ = ["Sandbox"]

Keep = Literal["forever", "session"]
Progress = Callable[[int, "int | None", str, float], object]

_REQUIRE: Final = ("best-effort", "full", "proven")
_KEEP: Final = ("forever", "session")


class Sandbox:
    """A place to run commands that can write only where a policy allows.

        with Sandbox(Policy.workspace(r"C:\\src\\project")) as sandbox:
            done = sandbox.run(["git", "status"], capture_output=True, text=True, timeout=60)

    Args:
        policy: what is allowed.
        require: ``"full"`` (the default) refuses to start where something that the policy asks for is not given;
            ``"best-effort"`` starts and says so in :attr:`enforcement`; ``"proven"`` also refuses what was not proven
            on this machine (``python -P -m winsandbox prove``). None of them excuses a failed deny write.
        keep: whether the grants on disk stay for the next sandbox (``"forever"``: it then starts without any ACL
            write) or go with this one (``"session"``).
        progress: called as ``progress(done, total or None, path, seconds)`` while ACLs are written, one call at a
            time, from the threads that write while :meth:`prepare` waits: it must not call this sandbox's methods.
        state_dir: another place than ``%LOCALAPPDATA%\\winsandbox`` for the ledger, the secret and the private TEMP.
        audit_log: append a JSON line for each command to ``audit.jsonl`` in the state directory.
        host: another host than this machine, such as a :class:`~winsandbox.testing.SimulatedHost`.

    Making one touches nothing. Entering it (``with``, ``async with``), :meth:`prepare` or the first :meth:`spawn`
    applies the policy. One sandbox may be used from several threads.
    """

    def __init__(
        self,
        policy: Policy,
        *,
        require: Require = "full",
        keep: Keep = "forever",
        progress: Progress | None = None,
        state_dir: str | os.PathLike[str] | None = None,
        audit_log: bool = False,
        host: Host | None = None,
    ) -> None:
        if not isinstance(policy, Policy):
            raise TypeError(f"policy must be a Policy, not {type(policy).__name__}; see Policy.workspace()")
        if require not in _REQUIRE:
            raise ValueError(f"require must be one of {', '.join(map(repr, _REQUIRE))}, not {require!r}")
        if keep not in _KEEP:
            raise ValueError(f"keep must be one of {', '.join(map(repr, _KEEP))}, not {keep!r}")
        self.policy: Final = policy
        self._require: Require = require
        self._keep: Keep = keep
        self._progress = progress
        self._state_dir = None if state_dir is None else str(state_dir)
        self._audit_log = audit_log
        self._host = host
        self._lock = threading.RLock()
        self._closed = False
        self._unwind = ExitStack()
        self._plan: Plan | None = None
        self._ready: _Ready | None = None
        self._enforcement: Enforcement | None = None
        # Weak: a process that its owner forgets is ended by its own __del__, as with Popen it would be reported. What
        # is left to do then, to look for violations and to record its end, waits for the next command or the close:
        # __del__ runs in the middle of anything, and append is all that it may do.
        self._processes: weakref.WeakSet[ProcessBase] = weakref.WeakSet()
        self._forgotten: deque[ProcessBase] = deque()

    # -- what will be, and what is

    def plan(self) -> Plan:
        """Decide what :meth:`prepare` will do, and change nothing.

        The grant SIDs in it are the real ones where this installation has been used before; else they are made under
        a secret that is thrown away, and the plan says so.

        Raises:
            PolicyError: roots that this host refuses (RootRefused), all of them.
            UnsupportedHost: not Windows and no `host`; an elevated, already sandboxed or Low caller.
        """
        with self._lock:
            if self._plan is not None:
                return self._plan
            host = self._real_host()
            # First of all: such a caller could not even open the state directory, and would be told that instead.
            with host.tokens.current() as own:
                refuse_caller(self.policy, host.tokens.inspect(own))
            path = State.location(host, self._state_dir)
            secret = State.peek_secret(host, path)
            facts = survey(host, self.policy, state_path=path)
            random = host.processes.random
            plan = make_plan(
                self.policy, facts, secret=secret or random(32), session=session_sid(random(12)), proven=None
            )
            if secret is None:
                plan = replace(plan, notes=(*plan.notes, "first use on this machine: the grant SIDs are provisional"))
            return plan

    @property
    def enforcement(self) -> Enforcement:
        """What is guaranteed, what is only advised, what is open; after :meth:`prepare`, of the token really made."""
        # Without the lock: `prepare` holds it, and another thread, an event loop's say, need not wait to read this.
        found = self._enforcement
        return found if found is not None else self.plan().enforcement

    @property
    def grant_report(self) -> GrantReport:
        """What was met on disk while the grants were put there: objects that could not be granted, each with its
        Windows error code and remedy, hard links, lists that inherit nothing, nested repositories, cloud placeholders.

        Empty before :meth:`prepare`, and after a start that had nothing to walk; ``grants.list()`` then still has the
        number of errors of each root's last walk.
        """
        ready = self._ready
        return GrantReport() if ready is None else ready.applied.report.report()

    def measure(self, *, time_limit: float | None = 5.0) -> tuple[Survey, ...]:
        """Count what a first start would walk in each root: objects, hard links, protected DACLs, nested repositories.

        Reads only; `time_limit` in seconds for each root, and each result says whether it is complete.

        Raises:
            PolicyError, UnsupportedHost: as :meth:`plan`.
        """
        plan = self.plan()
        return tuple(
            survey_walk(
                self._real_host(),
                grant.root,
                known=[place.identity for place in grant.protected if place.identity is not None],
                time_limit=time_limit,
            )
            for grant in plan.grants
        )

    def explain(self, path: str | os.PathLike[str], access: str = "write") -> Decision:
        """Why a child may or may not do `access` ("read", "write", "delete", ...) to `path`; see :func:`explain`.

        Of a prepared sandbox this tells what its own token and TEMP give on the disk as it is; before, what they will.
        """
        from .explain import decide

        with self._lock:
            ready = None if self._closed else self._ready
            plan = self.plan()
        return decide(self._real_host(), plan, path, access, temp=None if ready is None else ready.scratch.temp)

    # -- lifetime

    def prepare(self, *, cancel: threading.Event | None = None, time_limit: float | None = None) -> None:
        """Apply the policy: make the token, write the ACLs, take the pins. A second call does nothing.

        Args:
            cancel: an event; when it is set the walk stops, and a later call goes on where it stopped.
            time_limit: seconds for the ACL work.

        Raises:
            PolicyError, UnsupportedHost: as :meth:`plan`.
            EnforcementError: what `require` demands is not given.
            TokenError, AclError, LedgerError: a step failed; nothing is left running, and what was written is in the
                ledger (``grants``).
            SandboxClosed: after :meth:`close`.
        """
        with self._lock:
            if self._closed:
                raise SandboxClosed("the sandbox is closed.", remedy="Make a new one.")
            if self._ready is not None:
                return
            begun = time.monotonic()
            with ExitStack() as unwind:
                try:
                    ready, enforcement = self._prepare(unwind, cancel, time_limit)
                except Exception as error:
                    _log.record("prepare-failed", f"no sandbox: {error}", weight="warning", policy=self.policy.id)
                    raise
                self._unwind = unwind.pop_all()
            _log.record(
                "prepared",
                f"a sandbox is ready ({len(ready.plan.grants)} writable roots)",
                policy=self.policy.id,
                roots=[grant.root.path for grant in ready.plan.grants],
                levels={str(aspect): str(verdict.level) for aspect, verdict in enforcement.verdicts},
                seconds=time.monotonic() - begun,
            )
            self._plan, self._ready, self._enforcement = ready.plan, ready, enforcement

    def _prepare(
        self, unwind: ExitStack, cancel: threading.Event | None, time_limit: float | None
    ) -> tuple[_Ready, Enforcement]:
        host = self._real_host()
        # First of all, as in plan().
        with host.tokens.current() as own:
            refuse_caller(self.policy, host.tokens.inspect(own))
        state = State.open(host, self._state_dir)
        unwind.callback(state.close)
        facts = survey(host, self.policy, state_path=state.path, open_places=open_places(host, state, self.policy))
        plan = make_plan(
            self.policy,
            facts,
            secret=state.secret(),
            session=session_sid(host.processes.random(12)),
            # Of roots that are refused anyway nothing is asked: they may not exist.
            proven=None if facts.mistakes else state.proven(self.policy),
        )
        if self._require == "proven" and (missing := unproven(plan.enforcement)):
            raise EnforcementError(
                "not proven on this machine: " + ", ".join(missing) + ".",
                remedy=f"Run `python -P -m {__package__} prove` once, or use require='full'.",
                code="enforcement.unproven",
            )
        # The token comes before the first ACL write: a host that cannot make it is left as it was found.
        token, differences = make_token(host, plan.token, require=self._require)
        unwind.enter_context(token)
        enforcement = observed(plan.enforcement, differences)
        # Tried out now, so that a refusal is known before anything is written, and is in the report.
        job, refused = limited_job(host, self.policy.limits, ui_mask(self.policy.ui_limits))
        job.close()
        if refused:
            enforcement = without_limits(enforcement, refusals(refused, self._require))
        desktop = desktop_for(host, plan)
        if desktop.handle is not None:
            unwind.enter_context(desktop.handle)
        if desktop.remark is not None:
            enforcement = replace(enforcement, notes=(*enforcement.notes, desktop.remark))
        if desktop.missing is not None:
            if self._require != "best-effort":
                raise EnforcementError(
                    f"{desktop.missing}.",
                    remedy="Take desktop='shared' into the policy, or accept it with require='best-effort'.",
                    code="enforcement.desktop",
                )
            enforcement = without_desktop(enforcement, desktop.missing)
        applied = apply(
            host, plan, state, keep=self._keep, progress=self._progress, cancel=cancel, time_limit=time_limit
        )
        unwind.callback(applied.close)
        _log.record(
            "grants-found" if applied.warm else "grants-written",
            "all grants were there already" if applied.warm else "grants were written",
            policy=self.policy.id,
            roots={grant.root.path: str(grant.sid) for grant in plan.grants},
        )
        scratch = state.scratch(
            session=plan.session,
            user=plan.user,
            logon=plan.logon,
            stubs=stub_files(self.policy),
            child_files=child_files(plan),
            low=plan.low,
        )
        unwind.callback(scratch.remove)
        log = AuditLog(host, state) if self._audit_log else None
        if log is not None:
            unwind.callback(log.close)
        enforcement = with_exceptions(enforcement, Aspect.PROTECTED_PLACES, applied.exceptions)
        enforcement = replace(enforcement, notes=enforcement.notes + applied.notes)
        return _Ready(host, plan, token, applied, scratch, desktop.name, log), enforcement

    def close(self) -> None:
        """End every process started here, release what the sandbox holds. Twice is once.

        Whatever fails on the way, everything else is done first; the last failure is then raised.
        """
        with self._lock:
            self._closed = True
            processes, self._processes = list(self._processes), weakref.WeakSet()
            unwind, self._unwind = self._unwind, ExitStack()
        with ExitStack() as everything:
            everything.push(unwind)
            everything.callback(self._settle_forgotten)
            for process in processes:
                everything.callback(process.close)
            for process in processes:  # called last in, first out: all are ended before anything is released
                everything.callback(process.kill)

    def __enter__(self) -> Self:
        self.prepare()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        import asyncio

        await asyncio.to_thread(self.prepare)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        import asyncio

        await asyncio.to_thread(self.close)

    # -- commands

    def spawn(
        self,
        args: Sequence[str | os.PathLike[str]],
        *,
        stdin: int | IO[Any] | None = None,
        stdout: int | IO[Any] | None = None,
        stderr: int | IO[Any] | None = None,
        cwd: str | os.PathLike[str] | None = None,
        env: Mapping[str, str] | None = None,
        text: bool | None = None,
        encoding: str | None = None,
        errors: str | None = None,
        universal_newlines: bool | None = None,
        bufsize: int = -1,
        limits: Limits | None = None,
        shell: Literal[False] = False,
    ) -> Process:
        """Start a command; the parameters and the object returned are those of :class:`subprocess.Popen`.

        Args:
            args: the command and its arguments, a sequence. A line for the shell is written ``["cmd", "/c", line]``;
                cmd.exe gets that line as it is.
            stdin, stdout, stderr: None (this process's own), PIPE, DEVNULL, STDOUT (stderr only), a file descriptor or
                a file object. A stream of ours that is a console is pumped, never handed over.
            cwd: the working directory, absolute or relative to the workspace (not to this process's own); None: the
                workspace.
            env: the whole environment, as in Popen; None: this process's, through ``policy.environment``. TEMP, TMP
                and the network shim are set in either case.
            text, encoding, errors, universal_newlines, bufsize: as in Popen.
            limits: instead of ``policy.limits`` for this command.
            shell: refused, with what to write instead.

        Raises:
            TypeError: `args` is a string, or `shell` is set.
            ValueError: `args` is empty; a `cwd` that is relative to something else than the workspace.
            CommandNotFound, CommandRefused, SpawnError: it was not started; nothing is left of the attempt.
            WorkingDirectoryError: a SpawnError too; `cwd` does not exist or is no directory.
            EnforcementError: a limit that this host refuses.
            As :meth:`prepare`, when this is the first command.
        """
        ready, parameters = self._parameters(args, cwd, env, limits, shell)
        try:
            process = _spawn(
                ready.host,
                ready.token,
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
                text=text,
                encoding=encoding,
                errors=errors,
                universal_newlines=universal_newlines,
                bufsize=bufsize,
                **parameters,
            )
        except (SandboxError, OSError) as error:
            self._not_started(ready, args, parameters["cwd"], error)
            raise
        self._adopt(process)
        return process

    def run(
        self,
        args: Sequence[str | os.PathLike[str]],
        *,
        input: str | bytes | None = None,
        capture_output: bool = False,
        timeout: float | None = None,
        check: bool = False,
        stdin: int | IO[Any] | None = None,
        stdout: int | IO[Any] | None = None,
        stderr: int | IO[Any] | None = None,
        cwd: str | os.PathLike[str] | None = None,
        env: Mapping[str, str] | None = None,
        text: bool | None = None,
        encoding: str | None = None,
        errors: str | None = None,
        universal_newlines: bool | None = None,
        bufsize: int = -1,
        limits: Limits | None = None,
        shell: Literal[False] = False,
    ) -> subprocess.CompletedProcess[Any]:
        """Run a command to its end, as :func:`subprocess.run` does; its whole tree has ended when this returns.

        Args:
            input: sent to its stdin. `capture_output`: stdout and stderr are PIPEs.
            timeout: seconds. `check`: a non-zero return code raises.

        Raises:
            TypeError: `timeout` is no number; nothing was started.
            subprocess.TimeoutExpired: with the output so far; the tree has been ended.
            subprocess.CalledProcessError: with `check`.
            As :meth:`spawn`.
        """
        if timeout is not None and not hasattr(timeout, "__float__"):
            raise TypeError(f"timeout is a number of seconds or None, not {timeout!r}")
        if input is not None:
            if stdin is not None:
                raise ValueError("stdin and input arguments may not both be used.")
            stdin = subprocess.PIPE
        if capture_output:
            if stdout is not None or stderr is not None:
                raise ValueError("stdout and stderr arguments may not be used with capture_output.")
            stdout = stderr = subprocess.PIPE
        with self.spawn(
            args,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            cwd=cwd,
            env=env,
            text=text,
            encoding=encoding,
            errors=errors,
            universal_newlines=universal_newlines,
            bufsize=bufsize,
            limits=limits,
            shell=shell,
        ) as process:
            return _run(process, input=input, timeout=timeout, check=check)

    async def spawn_async(
        self,
        args: Sequence[str | os.PathLike[str]],
        *,
        stdin: int | IO[Any] | None = None,
        stdout: int | IO[Any] | None = None,
        stderr: int | IO[Any] | None = None,
        cwd: str | os.PathLike[str] | None = None,
        env: Mapping[str, str] | None = None,
        limits: Limits | None = None,
        shell: Literal[False] = False,
    ) -> AsyncProcess:
        """Start a command for asyncio; the object has the names of :class:`asyncio.subprocess.Process`.

        Raises:
            As :meth:`spawn`.
        """
        import asyncio

        from ._async import spawn_async

        ready, parameters = await asyncio.to_thread(self._parameters, args, cwd, env, limits, shell)
        try:
            return await spawn_async(
                ready.host,
                ready.token,
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
                started=self._adopt,
                **parameters,
            )
        except (SandboxError, OSError) as error:
            await asyncio.to_thread(self._not_started, ready, args, parameters["cwd"], error)
            raise

    def _parameters(
        self,
        args: Sequence[str | os.PathLike[str]],
        cwd: str | os.PathLike[str] | None,
        env: Mapping[str, str] | None,
        limits: Limits | None,
        shell: bool,
    ) -> tuple[_Ready, dict[str, Any]]:
        if shell:
            raise TypeError('shell=True is not supported; for a line of the shell write ["cmd", "/c", line]')
        # What is wrong with the call itself is told before anything is written to disk for it.
        words = arguments(args)
        place = directory(cwd, self.policy.cwd)
        self._settle_forgotten()
        self.prepare()
        with self._lock:
            ready = self._ready
            if ready is None or self._closed:
                raise SandboxClosed("the sandbox is closed.", remedy="Make a new one.")
        try:
            # What a command created under a protected name since the last one is denied before the next one starts.
            since = ready.applied.secure_new()
            variables = environment(self.policy, ready.scratch, ready.host.processes.environment(), env)
        except Exception as error:
            if self._closed:  # by another thread, which took away the pins and the token meanwhile
                raise SandboxClosed("the sandbox was closed meanwhile.", remedy="Make a new one.") from error
            if isinstance(error, (SandboxError, OSError)):
                self._not_started(ready, args, cwd, error)
            raise
        parameters = {
            "args": args,
            "environment": variables,
            "cwd": place or self.policy.cwd or ready.scratch.temp,
            "limits": limits if limits is not None else self.policy.limits,
            "ui_limits": self.policy.ui_limits,
            "console": self.policy.console,
            "desktop": ready.desktop,
            "require": self._require,
        }
        begun = ready.host.processes.clock()
        parameters["finished"] = partial(self._finished, ready=ready, cwd=parameters["cwd"], begun=begun, since=since)
        parameters["forgotten"] = self._forgotten.append
        _log.record("spawn", f"starting {words[0]}", policy=self.policy.id, argv=words)
        return ready, parameters

    def _not_started(self, ready: _Ready, args: object, cwd: object, error: Exception) -> None:
        report_failure(
            error,
            ready.log,
            policy=self.policy.id,
            argv=arguments(args),
            cwd=cwd,
            enforcement=self._enforcement,
        )

    def _settle_forgotten(self) -> None:
        """Close what processes left that were forgotten: they were ended, their end is not recorded yet."""
        while True:
            try:
                process = self._forgotten.popleft()
            except IndexError:
                return
            try:
                process.close()
            except OSError as error:  # it must not keep the next command from its start
                said = f"the end of process {process.pid}, which was forgotten, could not be seen: {error}"
                _log.record("end-unknown", said, weight="warning", policy=self.policy.id, pid=process.pid)

    def _adopt(self, process: ProcessBase) -> None:
        """Take over a process that was just started; end it where another thread has closed the sandbox meanwhile."""
        with self._lock:
            if not self._closed:
                self._processes.add(process)
                return
        with ExitStack() as end:
            end.callback(process.close)
            end.callback(process.kill)
        raise SandboxClosed("the sandbox was closed while the command was being started.", remedy="Make a new one.")

    def _finished(self, process: ProcessBase, *, ready: _Ready, cwd: object, begun: float, since: Snapshot) -> None:
        """Called once for each process when its tree is over. Raises nothing: the caller is ending things."""
        with self._lock:
            self._processes.discard(process)
            enforcement = self._enforcement
        report_end(
            process,
            ready.applied,
            since,
            ready.log,
            policy=self.policy.id,
            cwd=cwd,
            seconds=ready.host.processes.clock() - begun
            if process._tree.ended is None
            else process._tree.ended - begun,
            enforcement=enforcement,
        )

    def _real_host(self) -> Host:
        if self._host is None:
            self._host = default_host()
        return self._host


@dataclass(frozen=True, slots=True)
class _Ready:
    """What a prepared sandbox holds."""

    host: Host
    plan: Plan
    token: Handle
    applied: Applied
    scratch: Scratch
    desktop: str | None
    log: AuditLog | None
