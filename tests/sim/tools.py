"""Short ways to ask the simulated host what a program with a certain token may do."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from typing import TYPE_CHECKING

from winsandbox._host import Handle
from winsandbox._security.sid import Sid
from winsandbox.testing import SimulatedHost, SimulatedProcess

if TYPE_CHECKING:
    from collections.abc import Iterator

GRANT = Sid.parse("S-1-5-21-9-9-9-9")
WORK = r"D:\work"
# A root as the library makes one, and a protected place in it.
ROOT = f"D:AI(A;;0x1201bf;;;{GRANT})(A;OICIIO;0x1301bf;;;{GRANT})(A;OICI;FA;;;U)"
PROTECTED = f"D:AI(D;OICI;0xd0156;;;{GRANT})(A;OICIID;0x1301bf;;;{GRANT})(A;OICIID;FA;;;U)"

Call = Callable[[SimulatedProcess], object]


def attempt(host: SimulatedHost, call: Call, token: Handle | None = None) -> int:
    """0 if a program that does `call` succeeds, else the winerror that it gets."""
    got: list[int] = []

    def program(process: SimulatedProcess) -> None:
        process.cwd = WORK if host.exists(WORK) else process.cwd
        try:
            call(process)
        except OSError as error:
            got.append(getattr(error, "winerror", -1))

    host.run_program(program, token=token)
    return got[0] if got else 0


@contextmanager
def restricted(host: SimulatedHost, *sids: Sid, low: bool = False) -> Iterator[Handle]:
    """A write-restricted token as a sandbox has it."""
    with host.tokens.current() as token, host.tokens.restrict(token, flags=0xD, restrict=sids or [GRANT]) as made:
        if low:
            host.tokens.set_integrity(made, 0x1000)
        yield made


def host_with_root() -> SimulatedHost:
    host = SimulatedHost()
    host.mkdir(WORK, ROOT)
    return host
