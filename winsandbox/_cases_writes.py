"""The conformance cases about writing outside of the writable roots."""

from __future__ import annotations

from typing import Final

from ._casebook import Case, Descriptor, Need, Phase, Try, by_user
from .enforcement import Aspect

__all__ = ["NOTES", "WRITES"]

_LINKS: Final[frozenset[Need]] = frozenset({"links"})
# The user's own directory: full control, and with it FILE_DELETE_CHILD.
NOTES: Final = ("mkdir %OUTSIDE%", r"write %OUTSIDE%\notes.txt", "write notes.txt")

WRITES: Final = (
    Case(
        "write outside",
        Aspect.WRITES_OUTSIDE,
        "a file is made beside the workspace",
        (
            Phase(
                (
                    Try("write ok.txt", "allowed"),
                    Try(r"write %OUTSIDE%\blocked.txt", "denied"),
                    Try(r"write %BASE%\blocked.txt", "denied"),
                ),
                setup=("mkdir %OUTSIDE%",),
            ),
        ),
        quick=True,
    ),
    Case(
        "change a file outside",
        Aspect.WRITES_OUTSIDE,
        "a file outside is appended to or overwritten",
        (
            Phase(
                (
                    Try("append notes.txt", "allowed"),
                    Try(r"append %OUTSIDE%\notes.txt", "denied"),
                    Try("write notes.txt", "allowed"),
                    Try(r"write %OUTSIDE%\notes.txt", "denied"),
                ),
                setup=NOTES,
            ),
        ),
        quick=True,
    ),
    Case(
        "make a directory outside",
        Aspect.WRITES_OUTSIDE,
        "a directory is made outside; one in another inside",
        (
            Phase(
                (
                    Try("mkdir deep", "allowed"),
                    Try(r"mkdir deep\nest", "allowed"),
                    Try(r"write deep\nest\file.txt", "allowed"),
                    Try(r"mkdir %OUTSIDE%\deep", "denied"),
                ),
                setup=("mkdir %OUTSIDE%",),
            ),
        ),
        quick=True,
    ),
    Case(
        "replace a file outside",
        Aspect.WRITES_OUTSIDE,
        "a file of the workspace is moved over one outside",
        (
            Phase(
                (
                    Try("write new.txt", "allowed"),
                    Try("replace new.txt notes.txt", "allowed"),
                    Try("write second.txt", "allowed"),
                    Try(r"replace notes.txt %OUTSIDE%\notes.txt", "denied"),
                    Try(r"rename second.txt %OUTSIDE%\new.txt", "denied"),
                ),
                setup=NOTES,
            ),
        ),
        quick=True,
    ),
    Case(
        "write through a hard link",
        Aspect.WRITES_OUTSIDE,
        "a file outside gets a second name in the workspace",
        (
            Phase(
                (
                    Try("link notes.txt second.txt", "allowed"),
                    Try("append second.txt", "allowed"),
                    Try(r"link %OUTSIDE%\notes.txt borrowed.txt", "denied"),
                    by_user(r"link %OUTSIDE%\notes.txt given.txt"),
                    Try("append given.txt", "denied"),
                ),
                setup=NOTES,
            ),
        ),
    ),
    Case(
        "read-only policy",
        Aspect.WRITES_OUTSIDE,
        "without writable roots only the private TEMP can be written",
        (
            Phase(
                (
                    Try(r"write %TEMP%\ok.txt", "allowed"),
                    Try(r"append %TEMP%\log.txt", "allowed"),
                    Try("write blocked.txt", "denied"),
                    Try("append notes.txt", "denied"),
                    Try(r"write %OUTSIDE%\blocked.txt", "denied"),
                ),
                setup=NOTES,
                roots=(),
            ),
        ),
        quick=True,
    ),
    Case(
        "private TEMP",
        Aspect.WRITES_OUTSIDE,
        "the child writes, makes directories and deletes in its own TEMP",
        (
            Phase(
                (
                    Try(r"write %TEMP%\a.txt", "allowed"),
                    Try(r"mkdir %TEMP%\sub", "allowed"),
                    Try(r"rename %TEMP%\a.txt %TEMP%\sub\b.txt", "allowed"),
                    Try(r"delete %TEMP%\sub\b.txt", "allowed"),
                    Try(r"write %OUTSIDE%\blocked.txt", "denied"),
                ),
                setup=("mkdir %OUTSIDE%",),
            ),
        ),
    ),
    Case(
        "a grant that is on disk but not in the token",
        Aspect.WRITES_OUTSIDE,
        "a root of an earlier policy is written without it",
        (
            Phase(
                (Try("write here.txt", "allowed"), Try(r"write %SECOND%\there.txt", "allowed")),
                setup=("mkdir %SECOND%",),
                roots=("%ROOT%", "%SECOND%"),
                keep="forever",
            ),
            Phase(
                (Try("write again.txt", "allowed"), Try(r"write %SECOND%\again.txt", "denied")),
                keep="forever",
            ),
            Phase(
                (
                    Try(r"write %TEMP%\ok.txt", "allowed"),
                    Try("write third.txt", "denied"),
                    Try(r"append %SECOND%\there.txt", "denied"),
                ),
                roots=(),
            ),
        ),
        quick=True,
    ),
    Case(
        "a file that was moved out of a root",
        Aspect.WRITES_OUTSIDE,
        "the user moves a file away; it carries its grant along",
        (
            Phase(
                (
                    Try("write carried.txt", "allowed"),
                    by_user(r"rename carried.txt %OUTSIDE%\carried.txt"),
                    Try(r"append %OUTSIDE%\carried.txt", "open", "moved out of a root"),
                    Try(r"append %OUTSIDE%\notes.txt", "denied"),
                ),
                setup=NOTES,
            ),
        ),
    ),
    Case(
        "a file that was moved out of the private TEMP",
        Aspect.WRITES_OUTSIDE,
        "with a read-only policy too: while the sandbox lives it carries the sandbox's own grant along",
        (
            Phase(
                (
                    Try(r"write %TEMP%\carried.txt", "allowed"),
                    by_user(r"rename %TEMP%\carried.txt %OUTSIDE%\carried.txt"),
                    Try(r"append %OUTSIDE%\carried.txt", "open", "out of the private TEMP"),
                    Try(r"append %OUTSIDE%\notes.txt", "denied"),
                ),
                setup=NOTES,
                roots=(),
            ),
            Phase(
                (Try(r"write %TEMP%\other.txt", "allowed"), Try(r"append %OUTSIDE%\carried.txt", "denied")),
                roots=(),
            ),
        ),
    ),
    Case(
        "change a security descriptor",
        Aspect.WRITES_OUTSIDE,
        "Everyone is granted full control: outside, on the child's own file, and where the list lets it",
        (
            Phase(
                (
                    Try("write own.txt", "allowed"),
                    Try("open-up own.txt", "denied"),
                    Try("open-up notes.txt", "denied"),
                    Try(r"open-up %OUTSIDE%\notes.txt", "denied"),
                    Try("open-up %OUTSIDE%", "denied"),
                    # Everyone, or the logon SID where Everyone restricts nothing, has full control: WRITE_DAC too.
                    Try(r"open-up open\file.txt", "allowed"),
                    by_user("open-up notes.txt"),
                ),
                setup=(
                    *(*NOTES, "mkdir open"),
                    Descriptor("open", "D:(A;OICI;FA;;;WD)(A;OICI;FA;;;%LOGON%)(A;OICI;FA;;;%USER%)"),
                    r"write open\file.txt",
                ),
            ),
        ),
        quick=True,
    ),
    Case(
        "write through a junction",
        Aspect.WRITES_OUTSIDE,
        "the child makes a junction to the outside and writes through it",
        (
            Phase(
                (
                    Try(r"junction %ROOT%\real inside", "allowed"),
                    Try(r"write inside\ok.txt", "allowed"),
                    Try("junction %OUTSIDE% leads", "allowed"),
                    Try(r"write leads\poisoned.txt", "denied"),
                    Try(r"append leads\notes.txt", "denied"),
                ),
                setup=(*NOTES, "mkdir real"),
            ),
        ),
        quick=True,
        needs=_LINKS,
    ),
    Case(
        "a junction that lay there before",
        Aspect.WRITES_OUTSIDE,
        "the walk does not follow links, so what they lead to gets no grant",
        (
            Phase(
                (
                    Try(r"write deep\ok.txt", "allowed"),
                    Try(r"write deep\leads\poisoned.txt", "denied"),
                    Try(r"write deep\leads\sub\poisoned.txt", "denied"),
                ),
                setup=(r"mkdir %OUTSIDE%\sub", "mkdir deep", r"junction %OUTSIDE% deep\leads"),
            ),
        ),
        needs=_LINKS,
    ),
    Case(
        "write through a symbolic link",
        Aspect.WRITES_OUTSIDE,
        "a link is turned to the outside while the sandbox lives",
        (
            Phase(
                (
                    by_user(r"symlink %ROOT%\notes.txt turning"),
                    Try("append turning", "allowed"),
                    by_user("delete turning"),
                    by_user(r"symlink %OUTSIDE%\notes.txt turning"),
                    Try("append turning", "denied"),
                ),
                setup=NOTES,
            ),
        ),
        needs=frozenset({"symlinks"}),
    ),
    Case(
        "alternate streams",
        Aspect.WRITES_OUTSIDE,
        "a stream has the file's descriptor",
        (
            Phase(
                (
                    Try("write base.txt:stream", "allowed"),
                    Try("write notes.txt:stream", "allowed"),
                    Try(r"write %OUTSIDE%\notes.txt:stream", "denied"),
                ),
                setup=NOTES,
            ),
        ),
        needs=frozenset({"streams"}),
    ),
    Case(
        "names of many kinds",
        Aspect.WRITES_OUTSIDE,
        "blanks, other scripts, the verbatim prefix",
        (
            Phase(
                (
                    Try('write "a name with spaces (1) & more.txt"', "allowed"),
                    Try('write "Überprüfung ñ 名前.txt"', "allowed"),
                    Try(r"write \\?\%ROOT%\verbatim.txt", "allowed"),
                    Try(r'write "%OUTSIDE%\a name with spaces.txt"', "denied"),
                    Try(r"write \\?\%OUTSIDE%\verbatim.txt", "denied"),
                    Try(r"write %ROOT%\..\outside\dots.txt", "denied"),
                ),
                setup=("mkdir %OUTSIDE%",),
            ),
        ),
    ),
)
