"""The command line: parse, call the public API, print.

    python -P -m winsandbox run --root C:\\src\\project -- git status

Exit codes. `run`: the child's own; 124 when --timeout ended it, 125 for a failure of winsandbox itself, 126 for a
command that cannot be started, 127 for one that is not found. The others: 0; 1 for "denied", "different" or "not
proven"; 2 for wrong usage or a wrong policy (125 in `run`); 125 for a failure. All: 141, without a word, where the
reader of the output has closed it.
"""

from __future__ import annotations

import sys

# The package's __init__ refuses `python -m` without -P, before it imports anything. This refuses the other ways here
# (runpy, a vendored copy under -m of the package around it), too late for what was imported by then.
if not sys.flags.safe_path:
    sys.stderr.write(
        "winsandbox: started without -P. Python would import modules from the working directory, where a sandboxed "
        f"command may have put its own. Use: python -P -m {__package__} ...\n"
    )
    raise SystemExit(125)

import argparse
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

from . import __version__
from ._terminal import end_silently, fitted, print_everything, reader_gone, unread
from .errors import CommandNotFound, CommandRefused, PolicyError, SandboxError, SpawnError

if TYPE_CHECKING:
    from ._commandline import Target
    from ._findings import GrantReport

_ERRORS_SHOWN = 5
TIMED_OUT, FAILED, NOT_STARTED, NOT_FOUND = 124, 125, 126, 127
_EXITS_OF_RUN = "the command's code; 124 timeout, 125 winsandbox failed,\n126 not startable, 127 not found"
_EXIT_CODES = f"""Exit codes: `run` exits with {_EXITS_OF_RUN}.
Others: 0; 1 denied, different or not proven; 2 wrong usage or policy;
125 failure."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code."""
    print_everything()
    parser = _parser()
    try:
        arguments = parser.parse_args(argv)
    except SystemExit:
        if unread():
            return end_silently()
        raise
    try:
        code: int = arguments.call(arguments)
        if unread():
            return end_silently()
    except PolicyError as error:
        return _fail(error, 2 if arguments.call is not _run else FAILED)
    except CommandNotFound as error:
        return _fail(error, NOT_FOUND)
    except (CommandRefused, SpawnError) as error:
        return _fail(error, NOT_STARTED)
    except (SandboxError, OSError, ValueError) as error:
        if reader_gone(error):
            return end_silently()
        return _fail(error, FAILED)
    except KeyboardInterrupt:
        return _fail("interrupted", 130)
    return code


def _fail(error: object, code: int) -> int:
    print(f"winsandbox: {error}", file=sys.stderr)
    return code


class _Help(argparse.RawDescriptionHelpFormatter):
    """Keeps the lines of an epilog, and names what stands after ``--`` in the usage too, where argparse has ``...``."""

    def _format_args(self, action: argparse.Action, default_metavar: str) -> str:
        if action.nargs == argparse.REMAINDER and isinstance(action.metavar, str):
            return action.metavar
        return super()._format_args(action, default_metavar)


class _Parser(argparse.ArgumentParser):
    """One whose exit code for wrong usage can be chosen."""

    usage_code = 2

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(self.usage_code, f"{self.prog}: error: {message}\n")


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number) or number < 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of that kind")
    return number


def _seconds(text: str) -> float:
    if not (number := _number(text)):
        raise argparse.ArgumentTypeError("nothing can be done in 0 seconds")
    return number


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog=f"python -P -m {__package__}",
        description="Run commands on Windows so that they can write only where they were allowed to.",
        epilog=f"On other systems check, plan, enforcement and simulate work on a model of Windows.\n\n{_EXIT_CODES}",
        formatter_class=_Help,
    )
    parser.add_argument("--version", action="version", version=f"winsandbox {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def add(name: str, call: Callable[[argparse.Namespace], int], text: str, epilog: str | None = None) -> _Parser:
        command = commands.add_parser(name, help=text, description=text, epilog=epilog, formatter_class=_Help)
        command.set_defaults(call=call)
        return command

    run = add("run", _run, "run a command in a sandbox", f"Exit codes: {_EXITS_OF_RUN}.")
    _policy_options(run)
    run.usage_code = FAILED  # 2 would be taken for the command's own
    run.add_argument("--cwd", metavar="DIR", help="working directory, from the first root (the first root itself)")
    run.add_argument("--timeout", type=_seconds, metavar="SECONDS", help="end the whole tree after that time")
    run.add_argument("--require", choices=("best-effort", "full", "proven"), default="full")
    run.add_argument("--keep", choices=("forever", "session"), default="forever", help="what happens to the grants")
    run.add_argument("--report", action="store_true", help="print what is enforced to stderr before the command runs")
    run.add_argument("command", nargs=argparse.REMAINDER, metavar="-- COMMAND ...")

    plan = add("plan", _plan, "show what would be changed on disk, and the token; changes nothing")
    _policy_options(plan)
    plan.add_argument("--json", action="store_true")

    check = add("check", _check, "say whether a path could be written, deleted ... and why")
    check.add_argument("path")
    _policy_options(check)
    what = check.add_mutually_exclusive_group()
    for access in ("read", "write", "create", "delete", "execute"):
        what.add_argument(f"--{access}", dest="access", action="store_const", const=access)
    check.set_defaults(access="write")
    check.add_argument("--json", action="store_true")

    enforcement = add("enforcement", _enforcement, "say what is guaranteed, advised and open under a policy")
    _policy_options(enforcement)
    enforcement.add_argument("--json", action="store_true")

    def state(command: argparse.ArgumentParser) -> argparse.ArgumentParser:
        command.add_argument("--state-dir", metavar="DIR", help="the state directory, if not the usual one")
        command.add_argument("--json", action="store_true")
        return command

    def verbose(command: argparse.ArgumentParser) -> None:
        command.add_argument(
            "--verbose", action="store_true", help="print every object that is changed (with --json to stderr)"
        )

    state(add("grants", _grants, "list what lies on disk"))
    forget = state(add("forget", _forget, "take grants off the disk"))
    forget.add_argument("root", nargs="?", help="the root whose grants go")
    forget.add_argument("--all", action="store_true", help="all grants")
    verbose(forget)
    forget.add_argument("--force", action="store_true", help="even under a running sandbox, whose writes then fail")
    prune = state(add("prune", _prune, "forget grants that were not used for a while"))
    verbose(prune)
    prune.add_argument("--days", type=_number, default=30.0, help="unused for so many days (30)")
    recover = state(add("recover", _recover, "finish or undo what a crash left half done"))
    verbose(recover)
    recover.add_argument(
        "--rebuild", nargs="+", metavar="ROOT", help="the ledger is damaged: make it anew from the disk"
    )
    scan = state(add("scan", _scan, "find our entries below a directory without the ledger, moved files too"))
    scan.add_argument("path")
    doctor = add("doctor", _doctor, "look for what keeps this host, or a command, from working in a sandbox")
    doctor.add_argument("--json", action="store_true")
    doctor.add_argument("command", nargs=argparse.REMAINDER, metavar="-- COMMAND ...")
    audit = add("audit", _audit, "look for places that Everyone may write")
    audit.add_argument("--time-limit", type=_seconds, default=2.0, metavar="SECONDS")
    audit.add_argument("--json", action="store_true")
    from ._trying import add_prove, add_simulate

    add_simulate(add, _policy_options)
    add_prove(add, _policy_options)
    return parser


def _policy_options(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--root",
        action="append",
        default=[],
        metavar="DIR",
        help="a writable root, the workspace first; none: read-only",
    )
    command.add_argument("--protect", action="append", metavar="NAME", help="instead of .git, .codex, .agents")
    command.add_argument("--policy", metavar="FILE", help="a policy in JSON or TOML instead of the options")
    command.add_argument("--elevated", choices=("refuse", "lower"), help="what an elevated caller's child gets")
    command.add_argument("--integrity", choices=("medium", "low"), help="the child's integrity level")
    command.add_argument("--no-network-shim", action="store_true", help="leave the network variables alone")
    command.add_argument("--state-dir", metavar="DIR", help="another place for the ledger and the private TEMP")
    command.add_argument("--tree", metavar="DIR", help="not on Windows: the directory that stands for the first root")


# -- commands


def _run(arguments: argparse.Namespace) -> int:
    import subprocess

    from ._terminal import GIVING, GIVING_FOR_ONE, ProgressLine
    from .process import explain_exit
    from .sandbox import Sandbox

    command = _command(arguments)
    if not command:
        return _fail("no command given; write it after --, as in: run --root . -- git status", FAILED)
    policy = _target(arguments, model=False).policy
    with ProgressLine(sys.stderr, GIVING if arguments.keep == "forever" else GIVING_FOR_ONE) as progress:
        sandbox = Sandbox(
            policy, require=arguments.require, keep=arguments.keep, progress=progress, state_dir=arguments.state_dir
        )
        sandbox.prepare()
    with sandbox:
        found = sandbox.grant_report
        if arguments.report:
            report = "\n".join(filter(None, (sandbox.enforcement.to_text(), found.to_text())))
            print(fitted(report, sys.stderr), file=sys.stderr)
        elif arguments.require == "best-effort":
            for note in sandbox.enforcement.notes:
                print(f"winsandbox: note: {note}", file=sys.stderr)
        if not arguments.report:
            _tell_errors(found)
        with sandbox.spawn(command, cwd=arguments.cwd) as process:
            try:
                code = process.wait(arguments.timeout)
            except subprocess.TimeoutExpired:
                process.kill()
                return _fail(
                    f"the command was ended after {arguments.timeout:g} second{'' if arguments.timeout == 1 else 's'}",
                    TIMED_OUT,
                )
        for violation in process.violations:
            print(f"winsandbox: violation: {violation}", file=sys.stderr)
        if code and (said := explain_exit(code)):
            print(f"winsandbox: {said}", file=sys.stderr)
        return code


def _plan(arguments: argparse.Namespace) -> int:
    from ._commandline import survey_text
    from .sandbox import Sandbox

    target = _target(arguments)
    sandbox = Sandbox(target.policy, state_dir=arguments.state_dir, host=target.host)
    plan, disk = sandbox.plan(), sandbox.measure()
    data = plan.to_dict() | target.to_dict() | {"disk": [survey.to_dict() for survey in disk]}
    return _show(arguments, data, "\n".join((target.to_text() + plan.to_text(), survey_text(disk))).rstrip())


def _check(arguments: argparse.Namespace) -> int:
    from .explain import explain

    if not arguments.path:
        return _fail("check takes a path, and this one is empty", 2)
    target = _target(arguments)
    path = target.add(arguments.path)
    decision = explain(target.policy, path, arguments.access, host=target.host, state_dir=arguments.state_dir)
    _show(arguments, decision.to_dict() | target.to_dict(), target.to_text() + decision.to_text())
    return 0 if decision.allowed else 1


def _enforcement(arguments: argparse.Namespace) -> int:
    from .sandbox import Sandbox

    target = _target(arguments)
    enforcement = Sandbox(target.policy, state_dir=arguments.state_dir, host=target.host).enforcement
    return _show(arguments, enforcement.to_dict() | target.to_dict(), target.to_text() + enforcement.to_text())


def _grants(arguments: argparse.Namespace) -> int:
    from . import grants

    found = grants.list(state_dir=arguments.state_dir)
    return _show(arguments, found.to_dict(), found.to_text())


def _forget(arguments: argparse.Namespace) -> int:
    from . import grants
    from ._terminal import TAKING

    if bool(arguments.root) == arguments.all:
        return _fail("forget takes a root or --all", 2)
    with _shown(arguments, TAKING) as options:
        if arguments.all:
            result = grants.forget_all(force=arguments.force, **options)
        else:
            result = grants.forget(arguments.root, force=arguments.force, **options)
    _show(arguments, result.to_dict(), result.to_text())
    return FAILED if result.left else 0


def _prune(arguments: argparse.Namespace) -> int:
    from . import grants
    from ._terminal import TAKING

    with _shown(arguments, TAKING) as options:
        result = grants.prune(unused_for=arguments.days * 86_400.0, **options)
    _show(arguments, result.to_dict(), result.to_text())
    return FAILED if result.left else 0


def _recover(arguments: argparse.Namespace) -> int:
    from . import grants
    from ._terminal import LOOKING, TAKING

    if arguments.rebuild:
        with _shown(arguments, LOOKING) as options:
            options.pop("touched", None)  # it changes nothing on any object
            rebuilt = grants.rebuild(arguments.rebuild, **options)
        return _show(arguments, rebuilt.to_dict(), rebuilt.to_text())
    with _shown(arguments, TAKING) as options:
        result = grants.recover(**options)
    _show(arguments, result.to_dict(), result.to_text())
    return FAILED if result.finished.left else 0


def _scan(arguments: argparse.Namespace) -> int:
    from . import grants
    from ._terminal import LOOKING

    with _shown(arguments, LOOKING) as options:
        result = grants.scan(arguments.path, **options)
    return _show(arguments, result.to_dict(), result.to_text())


@contextmanager
def _shown(arguments: argparse.Namespace, doing: str) -> Iterator[dict[str, Any]]:
    """The arguments that all of these calls have: the state directory, and how their work is shown meanwhile."""
    from ._terminal import ProgressLine

    with ProgressLine(sys.stderr, doing) as progress:
        options: dict[str, Any] = {"state_dir": arguments.state_dir, "progress": progress}
        if getattr(arguments, "verbose", False):
            # With --json stdout holds one document and nothing else.
            stream = sys.stderr if arguments.json else sys.stdout

            def touched(path: str) -> None:
                progress.clear()
                print(path, file=stream, flush=True)

            options["touched"] = touched
        yield options


def _tell_errors(found: GrantReport) -> None:
    """The first objects that could not be granted: the command is about to fail on them."""
    for error in found.errors[:_ERRORS_SHOWN]:
        print(f"winsandbox: not writable for the command: {error}", file=sys.stderr)
    more = found.counts.get("errors", 0) - len(found.errors[:_ERRORS_SHOWN])
    if more > 0:
        print(f"winsandbox: and {more} more (--report)", file=sys.stderr)


def _audit(arguments: argparse.Namespace) -> int:
    from .audit import audit

    result = audit(time_limit=arguments.time_limit)
    return _show(arguments, result.to_dict(), result.to_text())


def _doctor(arguments: argparse.Namespace) -> int:
    from .doctor import doctor

    diagnosis = doctor(_command(arguments) or None)
    _show(arguments, diagnosis.to_dict(), diagnosis.to_text())
    return 0 if diagnosis.ok else 1


def _command(arguments: argparse.Namespace) -> list[str]:
    words: list[str] = arguments.command
    return words[1:] if words[:1] == ["--"] else words


def _target(arguments: argparse.Namespace, *, model: bool = True) -> Target:
    from ._commandline import target

    return target(arguments, model=model)


def _show(arguments: argparse.Namespace, data: Mapping[str, object], text: str) -> int:
    if arguments.json:
        import json

        text = json.dumps(data, indent=2)  # in ASCII: whatever the output's code page is
    else:
        text = fitted(text, sys.stdout)
    print(text)
    return 0


def _exit_status(code: int) -> int:
    """`code` as a signed C int, as which Windows' Python hands it on: above 2**31 it would come out as -1."""
    return code - 2**32 if code >= 2**31 else code


if __name__ == "__main__":
    raise SystemExit(_exit_status(main()))
