"""The conformance cases about places of a special kind outside of the writable roots, and links that lead there."""

from __future__ import annotations

from typing import Final

from ._casebook import Case, Descriptor, Need, Phase, Try, by_user
from .enforcement import Aspect

__all__ = ["PLACES"]

_LINKS: Final[frozenset[Need]] = frozenset({"links"})
# Three times what a path may have without the verbatim prefix.
_LONG: Final = "\\".join(["a-name-of-fifty-characters-that-makes-the-path-longer"] * 15)

PLACES: Final = (
    Case(
        "a place that Everyone may write",
        Aspect.WRITES_OUTSIDE,
        "a directory outside grants Everyone full control",
        (
            Phase(
                (
                    Try("write ok.txt", "allowed"),
                    Try(
                        *(r"write %OUTSIDE%\blocked.txt", "open", "everyone may write"),
                        low="denied",
                        alone="denied",
                    ),
                ),
                setup=("mkdir %OUTSIDE%", Descriptor("%OUTSIDE%", "D:P(A;OICI;FA;;;WD)(A;OICI;FA;;;%USER%)")),
            ),
        ),
        quick=True,
    ),
    Case(
        "a place without an access control list",
        Aspect.WRITES_OUTSIDE,
        "a directory outside has a NULL DACL",
        (
            Phase(
                (
                    Try("write ok.txt", "allowed"),
                    Try(r"write %OUTSIDE%\blocked.txt", "open", "have no access control list", low="denied"),
                ),
                setup=("mkdir %OUTSIDE%", Descriptor("%OUTSIDE%", "D:NO_ACCESS_CONTROL")),
            ),
        ),
    ),
    Case(
        "a volume without access control lists",
        Aspect.WRITES_OUTSIDE,
        "a FAT drive is mounted",
        (
            Phase(
                (
                    Try("write ok.txt", "allowed"),
                    Try(r"write %FAT%\open.txt", "open", "the volume has no access control lists"),
                    Try(r"write %OUTSIDE%\no.txt", "denied"),
                ),
                setup=("mkdir %OUTSIDE%",),
            ),
        ),
        needs=frozenset({"no acls"}),
    ),
    Case(
        "a network share",
        Aspect.NETWORK_SHARES,
        "a server does not know the restricting SIDs",
        (
            Phase(
                (
                    Try("write ok.txt", "allowed"),
                    Try(r"write %SHARE%\open.txt", "open", "writes to shares"),
                    Try(r"write %OUTSIDE%\no.txt", "denied"),
                ),
                setup=("mkdir %OUTSIDE%",),
            ),
        ),
        needs=frozenset({"share"}),
    ),
    Case(
        "a root that is a link",
        Aspect.WRITES_OUTSIDE,
        "a policy whose workspace is a junction is refused, the directory itself is not",
        (
            Phase(
                setup=("mkdir %OUTSIDE%", r"junction %OUTSIDE% %BASE%\linked"),
                roots=(r"%BASE%\linked",),
                refused="root.link",
            ),
            Phase((Try("write ok.txt", "allowed"), Try(r"write %ROOT%\no.txt", "denied")), roots=("%OUTSIDE%",)),
        ),
        needs=_LINKS,
    ),
    Case(
        "a root that leads to a drive",
        Aspect.WRITES_OUTSIDE,
        "a symbolic link to the root of the volume is no workspace: everything would be granted",
        (
            Phase(
                setup=(r"dirlink %DRIVE% %BASE%\linked",),
                roots=(r"%BASE%\linked",),
                refused="root.link",
            ),
            Phase(
                (Try("write ok.txt", "allowed"), Try(r"write leads\outside\no.txt", "denied")),
                setup=("mkdir %OUTSIDE%", r"dirlink %BASE% %ROOT%\leads"),
            ),
        ),
        needs=frozenset({"symlinks"}),
    ),
    Case(
        "the user's own TEMP",
        Aspect.WRITES_OUTSIDE,
        "the child has a TEMP of its own; the user's is outside, whatever the policy",
        (
            Phase(
                (
                    Try(r"write %TEMP%\ok.txt", "allowed"),
                    Try(r"write %USERTEMP%\%STAMP%.txt", "denied"),
                    by_user(r"write %USERTEMP%\%STAMP%.txt"),
                ),
                roots=(),
            ),
            Phase((Try(r"write %TEMP%\ok.txt", "allowed"), Try(r"write %USERTEMP%\%STAMP%.txt", "denied"))),
        ),
    ),
    Case(
        "the state directory",
        Aspect.WRITES_OUTSIDE,
        "ledger, secret and stubs are neither changed, replaced nor deleted",
        (
            Phase(
                (
                    Try("append notes.txt", "allowed"),
                    Try("rename notes.txt renamed.txt", "allowed"),
                    Try("delete renamed.txt", "allowed"),
                    by_user(r"write %STATE%\%STAMP%-1"),
                    by_user(r"write %STATE%\%STAMP%-2"),
                    Try(r"write %STATE%\%STAMP%-3", "denied"),
                    Try(r"append %STATE%\%STAMP%-1", "denied"),
                    Try(r"delete %STATE%\%STAMP%-1", "denied"),
                    Try(r"rename %STATE%\%STAMP%-2 stolen.txt", "denied"),
                    Try(r"append %STATE%\ledger-1.sqlite", "denied"),
                    Try(r"delete %STATE%\ledger-1.sqlite", "denied"),
                    Try(r"rename %STATE% %BASE%\away", "denied"),
                ),
                setup=("write notes.txt",),
            ),
        ),
        quick=True,
    ),
    Case(
        "through a link to another volume",
        Aspect.WRITES_OUTSIDE,
        "what a junction leads to is asked, on another drive too",
        (
            Phase(
                (
                    Try(r"junction %ROOT%\real inside", "allowed"),
                    Try(r"write inside\ok.txt", "allowed"),
                    Try(r"junction %VOLUME% leads", "allowed"),
                    Try(r"write leads\%STAMP%.txt", "denied"),
                ),
                setup=("mkdir real",),
            ),
        ),
        needs=frozenset({"links", "second volume"}),
    ),
    Case(
        "through a link to a share",
        Aspect.NETWORK_SHARES,
        "the server does not know the restricting SIDs, by whatever name it is reached",
        (
            Phase(
                (
                    Try("write ok.txt", "allowed"),
                    Try(r"write shared\linked.txt", "open", "writes to shares"),
                    Try(r"write %OUTSIDE%\no.txt", "denied"),
                ),
                setup=("mkdir %OUTSIDE%", r"dirlink %SHARE% %ROOT%\shared"),
            ),
        ),
        needs=frozenset({"share", "symlinks"}),
    ),
    Case(
        "long paths",
        Aspect.WRITES_OUTSIDE,
        "the walk and the check go as deep as a path can be",
        (
            Phase(
                (
                    Try(rf"write \\?\%ROOT%\{_LONG}\new.txt", "allowed"),
                    Try(rf"append \\?\%ROOT%\{_LONG}\old.txt", "allowed"),
                    Try(rf"write \\?\%OUTSIDE%\{_LONG}\new.txt", "denied"),
                    Try(rf"append \\?\%OUTSIDE%\{_LONG}\old.txt", "denied"),
                ),
                setup=(rf"write %ROOT%\{_LONG}\old.txt", rf"write %OUTSIDE%\{_LONG}\old.txt"),
            ),
        ),
        needs=frozenset({"model"}),  # cmd.exe's redirection knows no path of that length
    ),
)
