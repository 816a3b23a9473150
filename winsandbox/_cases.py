"""The conformance cases, as data: ``CASES``. Those about protected places stand in ``_cases_protected``, those about
writing outside in ``_cases_writes`` and ``_cases_places``.

Read one as: under this policy, with this on disk, these operations must come to that. ``prove`` runs the quick ones on
the machine at hand, the tests run all on a simulated host, in every configuration, and on Windows what it can be asked.
Nothing here may do harm where it gets through: what is tried lies in directories made for the case.
"""

from __future__ import annotations

from typing import Final

from ._casebook import Case, Descriptor, Need, Phase, Try, by_user
from ._cases_places import PLACES
from ._cases_protected import PROTECTED
from ._cases_writes import NOTES, WRITES
from .enforcement import Aspect
from .limits import Limits
from .network import NetworkShim

__all__ = ["CASES"]

_MODEL: Final[frozenset[Need]] = frozenset({"model"})
_PYTHON: Final[frozenset[Need]] = frozenset({"python"})
_MODIFY_ONLY: Final = "D:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;0x1301bf;;;%USER%)"

_DELETES: Final = (
    Case(
        "delete outside",
        Aspect.DELETES_OUTSIDE,
        "the user has full control of the directory, and so FILE_DELETE_CHILD, which is no write right",
        (
            Phase(
                (
                    Try("delete notes.txt", "allowed"),
                    Try(r"delete %OUTSIDE%\notes.txt", "open", "FILE_DELETE_CHILD", low="denied"),
                    Try(r"rmdir %OUTSIDE%\empty", "open", "FILE_DELETE_CHILD", low="denied"),
                ),
                setup=(*NOTES, r"mkdir %OUTSIDE%\empty"),
            ),
        ),
        quick=True,
    ),
    Case(
        "rename outside",
        Aspect.DELETES_OUTSIDE,
        "a new name needs FILE_ADD_FILE, which is a write right",
        (
            Phase(
                (
                    Try("rename notes.txt renamed.txt", "allowed"),
                    Try(r"rename %OUTSIDE%\notes.txt %OUTSIDE%\renamed.txt", "denied"),
                ),
                setup=NOTES,
            ),
        ),
        quick=True,
    ),
    Case(
        "move into the workspace",
        Aspect.DELETES_OUTSIDE,
        "a file outside is taken away by moving it into the workspace",
        (
            Phase(
                (
                    Try("rename notes.txt moved.txt", "allowed"),
                    Try(r"rename %OUTSIDE%\notes.txt stolen.txt", "open", "FILE_DELETE_CHILD", low="denied"),
                ),
                setup=NOTES,
            ),
        ),
    ),
    Case(
        "delete where the directory gives no FILE_DELETE_CHILD",
        Aspect.DELETES_OUTSIDE,
        "the user has Modify only, as on a data drive",
        (
            Phase(
                (
                    Try("rename notes.txt renamed.txt", "allowed"),
                    Try("delete renamed.txt", "allowed"),
                    Try(r"delete %OUTSIDE%\made.txt", "denied"),
                    Try(r"rename %OUTSIDE%\other.txt stolen.txt", "denied"),
                    by_user(r"write %OUTSIDE%\third.txt"),
                    by_user(r"delete %OUTSIDE%\third.txt"),
                ),
                setup=(
                    "mkdir %OUTSIDE%",
                    "write notes.txt",
                    Descriptor("%OUTSIDE%", _MODIFY_ONLY),
                    r"write %OUTSIDE%\made.txt",
                    r"write %OUTSIDE%\other.txt",
                ),
            ),
        ),
        quick=True,
    ),
    Case(
        "delete in a place that is labelled Low",
        Aspect.DELETES_OUTSIDE,
        "as LocalLow is: no-write-up does not help there",
        (
            Phase(
                (
                    Try("write notes.txt", "allowed"),
                    Try("delete notes.txt", "allowed"),
                    Try(r"delete %OUTSIDE%\made.txt", "open", "labelled Low", "FILE_DELETE_CHILD"),
                    Try(r"write %OUTSIDE%\new.txt", "denied"),
                ),
                setup=(
                    *("mkdir %OUTSIDE%", "write notes.txt"),
                    Descriptor("%OUTSIDE%", "D:P(A;OICI;FA;;;SY)(A;OICI;FA;;;%USER%)S:(ML;OICI;NW;;;LW)"),
                    r"write %OUTSIDE%\made.txt",
                ),
            ),
        ),
    ),
)

_REST: Final = (
    Case(
        "read outside",
        Aspect.READS,
        "a write-restricted token reads what the user may read",
        (
            Phase(
                (
                    Try("read notes.txt", "allowed"),
                    Try(r"read %OUTSIDE%\notes.txt", "open", "reads whatever"),
                    Try("list %OUTSIDE%", "open", "reads whatever"),
                ),
                setup=NOTES,
            ),
        ),
        quick=True,
    ),
    Case(
        "a client that honours proxy variables",
        Aspect.NETWORK,
        "is led to a port where nobody listens; without the shim it gets out",
        (
            Phase(
                (
                    Try("http http://example.com/", "discouraged"),
                    Try("connect example.com 443", "open", "opens a socket itself"),
                ),
            ),
            Phase((Try("http http://example.com/", "allowed"),), changes={"network": NetworkShim.off()}),
        ),
        needs=_MODEL,
    ),
    Case(
        "a proxy of the user's that is kept",
        Aspect.NETWORK,
        "the policy leaves the variable as it is; and who asks nobody reaches the loopback",
        (
            Phase(
                (
                    Try("http http://example.com/", "allowed"),
                    Try("http http://%PROXY%/", "open", "opens a socket itself"),
                ),
                changes={"network": NetworkShim(keep=("HTTP_PROXY",))},
                environment={"HTTP_PROXY": "http://%PROXY%"},
            ),
            Phase((Try("http http://example.com/", "discouraged"),), environment={"HTTP_PROXY": "http://%PROXY%"}),
        ),
        needs=frozenset({"proxy", "python"}),
    ),
    Case(
        "set a registry value",
        Aspect.REGISTRY,
        "the user's own key names no restricting SID",
        (
            Phase(
                (
                    Try(r"registry-read HKCU\Environment", "allowed"),
                    Try(r"registry-set HKCU\Environment sandbox_case", "denied"),
                ),
            ),
        ),
        quick=True,
    ),
    Case(
        "a registry key that Everyone may write",
        Aspect.REGISTRY,
        "is open while Everyone is a restricting SID",
        (
            Phase(
                (
                    Try(r"registry-read HKCU\Software\Open", "allowed"),
                    Try(
                        *(r"registry-set HKCU\Software\Open value", "open", "keys that Everyone may write"),
                        low="denied",
                        alone="denied",
                    ),
                    Try(r"registry-set HKCU\Software\Microsoft value", "denied"),
                ),
            ),
        ),
        needs=_MODEL,
    ),
    Case(
        "change another process",
        Aspect.OTHER_PROCESSES,
        "writing its memory, threads and handles are write rights; ending and reading it are not",
        (
            Phase(
                (
                    Try("own-process vm-write", "allowed"),
                    Try("own-process dup-handle", "allowed"),
                    Try("own-process create-thread", "allowed"),
                    Try("process query", "allowed"),
                    Try("process vm-write", "denied"),
                    Try("process dup-handle", "denied"),
                    Try("process create-thread", "denied"),
                    Try("process terminate", "open", "PROCESS_TERMINATE"),
                    Try("process vm-read", "open", "PROCESS_VM_READ", low="denied"),
                ),
            ),
        ),
        quick=True,
        needs=_PYTHON,
    ),
    Case(
        "a named pipe of the user's",
        Aspect.OTHER_PROCESSES,
        "a server whose list names the user only",
        (Phase((Try("pipe of-the-session", "allowed"), Try("pipe of-the-user", "denied"))),),
        needs=_MODEL,
    ),
    Case(
        "the console",
        Aspect.CONSOLE,
        "the child is not on the console of the process that started it",
        (Phase((Try("process query", "allowed"), Try("console", "denied"))),),
        quick=True,
        needs=_PYTHON,
    ),
    Case(
        "a shared console",
        Aspect.CONSOLE,
        "only where the policy shares it is the child on the console of the process that started it",
        (
            Phase((Try("console", "open", "shares the console"),), changes={"console": "shared"}),
            Phase((Try("process query", "allowed"), Try("console", "denied"))),
        ),
        needs=frozenset({"python", "console"}),
    ),
    Case(
        "the desktop",
        Aspect.USER_INTERFACE,
        "the child has a desktop of its own",
        (
            Phase((Try("process query", "allowed"), Try("desktop", "denied")), changes={"desktop": "private"}),
            Phase((Try("desktop", "open", "shares the user's desktop"),), changes={"desktop": "shared"}),
        ),
        quick=True,
        needs=_PYTHON,
    ),
    Case(
        "a limit of processes",
        Aspect.LIMITS,
        "the job starts no more than the policy allows",
        (
            Phase((Try("spawn 8", "denied"),), changes={"limits": Limits(processes=4)}),
            Phase((Try("spawn 8", "allowed"),)),
        ),
        quick=True,
    ),
)

CASES: Final[tuple[Case, ...]] = (*WRITES, *PLACES, *_DELETES, *PROTECTED, *_REST)
