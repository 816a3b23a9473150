"""The commands that try things: ``simulate`` on a model of Windows, ``prove`` on this machine."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from .errors import Mistake, ScriptError

if TYPE_CHECKING:
    import argparse

__all__ = ["add_prove", "add_simulate"]


class _Add(Protocol):
    def __call__(self, name: str, call: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser: ...


Options = Callable[["argparse.ArgumentParser"], None]


def add_simulate(add: _Add, policy_options: Options) -> None:
    """Add ``simulate``: exit code 0, 1 where something differs from --expect, 2 for a wrong script or policy."""
    command = add(
        "simulate", _simulate, "try a script of operations on a model of Windows, and say why each is refused"
    )
    command.add_argument("script", nargs="?", default="-", metavar="FILE", help="one operation a line; -: stdin")
    policy_options(command)
    command.add_argument(
        "--expect",
        metavar="FILE",
        help="one verdict a line, or what --json printed before; a difference is exit code 1",
    )
    command.add_argument("--operations", action="store_true", help="list the operations and end")
    command.add_argument("--json", action="store_true")


def add_prove(add: _Add, policy_options: Options) -> None:
    """Add ``prove``: exit code 0 where everything that must be refused was, else 1."""
    command = add("prove", _prove, "try on this machine what a sandbox must refuse, and record what was shown")
    policy_options(command)
    command.add_argument("--no-record", action="store_true", help="only show")
    command.add_argument("--json", action="store_true")


def _simulate(arguments: argparse.Namespace) -> int:
    from ._commandline import target
    from ._operations import VERBS
    from ._simulate import expectation, simulate

    if arguments.operations:
        for name, verb in VERBS.items():
            print(f"{' '.join((name, *verb.parameters)):<22} {verb.text}")
        return 0
    expected = None if arguments.expect is None else expectation(_text(arguments.expect, "expectation"))
    found = target(arguments, model=True)
    report = simulate(found.policy, _text(arguments.script), host=found.host)
    differences = () if expected is None else report.differences(expected)
    data = report.to_dict() | found.to_dict() | {"differences": list(differences)}
    _show(arguments, data, found.to_text() + report.to_text())
    for difference in differences:
        print(f"different: {difference}", file=sys.stderr)
    return 1 if differences else 0


def _prove(arguments: argparse.Namespace) -> int:
    from ._commandline import target
    from .prove import prove

    # Off Windows `prove` refuses by itself: a model of Windows proves nothing about a machine.
    policy = target(arguments, model=False).policy
    proof = prove(policy, state_dir=arguments.state_dir, record=not arguments.no_record)
    _show(arguments, proof.to_dict(), proof.to_text())
    return 0 if proof.holds else 1


def _text(path: str, what: str = "script") -> str:
    try:
        if path == "-":
            return sys.stdin.buffer.read().decode("utf-8-sig")
        with open(path, encoding="utf-8-sig") as file:
            return file.read()
    except (OSError, UnicodeDecodeError) as error:
        mistake = Mistake(path, f"cannot be read: {error}.", "Name a text file in UTF-8.", "usage")
        raise ScriptError([mistake])._about(what) from error


def _show(arguments: argparse.Namespace, data: dict[str, Any], text: str) -> None:
    if arguments.json:
        import json

        text = json.dumps(data, indent=2)  # in ASCII: whatever the output's code page is
    print(text)
