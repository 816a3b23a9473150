"""The conformance cases about protected places in a writable root."""

from __future__ import annotations

from typing import Final

from ._casebook import Case, Content, Descriptor, Need, Phase, Try
from .enforcement import Aspect
from .policy import Protect

__all__ = ["PROTECTED"]

_REPOSITORY: Final = (
    *(r"mkdir .git\hooks", r"mkdir .git\info", r"mkdir .git\modules", r"mkdir .git\objects", r"write .git\config"),
    *(r"write .git\HEAD", "write settings.txt"),
)


def _case(
    name: str, text: str, *phases: Phase, quick: bool = False, links: bool = False, streams: bool = False
) -> Case:
    needs: frozenset[Need] = frozenset({"links"} if links else {"streams"} if streams else ())
    return Case(name, Aspect.PROTECTED_PLACES, text, phases, quick, needs)


PROTECTED: Final = (
    _case(
        "write in a protected directory",
        "files in .git are changed, made and given streams",
        Phase(
            (
                Try("write settings.txt", "allowed"),
                Try("append settings.txt", "allowed"),
                Try("mkdir made", "allowed"),
                Try(r"write .git\config", "denied"),
                Try(r"append .git\HEAD", "denied"),
                Try(r"write .git\hooks\pre-commit", "denied"),
                Try(r"mkdir .git\made", "denied"),
            ),
            setup=_REPOSITORY,
        ),
        quick=True,
    ),
    _case(
        "write under another spelling",
        "the list hangs on the object, not on its name",
        Phase(
            (
                Try("write SETTINGS.TXT", "allowed"),
                Try(r"write .GiT\config", "denied"),
                Try(r"write .git.\config", "denied"),
                Try(r"write objects\..\.git\config", "denied"),
                Try(r"write \\?\%ROOT%\.git\config", "denied"),
            ),
            setup=(*_REPOSITORY, "mkdir objects"),
        ),
        quick=True,
    ),
    _case(
        "streams of protected files",
        "a stream of a protected file, and of the directory itself",
        Phase(
            (
                Try("write settings.txt:stream", "allowed"),
                Try("write other:stream", "allowed"),
                Try(r"write .git\config:stream", "denied"),
                Try("write .git:stream", "denied"),
            ),
            setup=(*_REPOSITORY, "mkdir other"),
        ),
        streams=True,
    ),
    _case(
        "delete inside a protected directory",
        "through FILE_DELETE_CHILD of the directory, where no guard denies it",
        Phase(
            (
                Try("rename settings.txt renamed.txt", "allowed"),
                Try("delete renamed.txt", "allowed"),
                Try(r"delete .git\HEAD", "denied", "guards are off", low="denied", unguarded="open"),
                Try(r"rmdir .git\hooks", "denied", "guards are off", low="denied", unguarded="open"),
                Try(r"rename .git\config stolen", "denied", "guards are off", low="denied", unguarded="open"),
            ),
            setup=_REPOSITORY,
        ),
        quick=True,
    ),
    _case(
        "delete an empty protected directory",
        "pinned: it is held open without sharing deletes",
        Phase((Try("rmdir other", "allowed"), Try("rmdir .git", "denied")), setup=("mkdir .git", "mkdir other")),
        quick=True,
    ),
    _case(
        "rename a protected directory",
        "to make room for another one",
        Phase(
            (
                Try("rename other another", "allowed"),
                Try("rename .git .old", "denied"),
                Try(r"rename .git another\.git", "denied"),
            ),
            setup=(*_REPOSITORY, "mkdir other"),
        ),
        quick=True,
    ),
    _case(
        "rename a directory above a protected place",
        "what lies between the root and it is pinned too",
        Phase(
            (
                Try(r"write config\open.txt", "allowed"),
                Try("rename other another", "allowed"),
                Try("rmdir another", "allowed"),
                Try("rename config elsewhere", "denied"),
                Try(r"write config\deep\secret\key", "denied"),
                Try(r"rename config\deep config\shallow", "denied"),
                Try(r"rmdir config\deep\secret", "denied"),
            ),
            setup=(r"mkdir config\deep\secret", "mkdir other"),
            protect=(r"config\deep\secret",),
        ),
    ),
    _case(
        "a protected file",
        "it is neither written, replaced, renamed nor deleted",
        Phase(
            (
                Try("write free.txt", "allowed"),
                Try("link free.txt linked.txt", "allowed"),
                Try("rename linked.txt renamed.txt", "allowed"),
                Try("append settings.txt", "denied"),
                Try("replace free.txt settings.txt", "denied"),
                Try("rename settings.txt old.txt", "denied"),
                Try("delete settings.txt", "denied"),
                Try("link settings.txt second.txt", "denied"),
                Try("delete free.txt", "allowed"),
            ),
            setup=("write settings.txt",),
            protect=("settings.txt",),
        ),
        quick=True,
    ),
    _case(
        "the root itself",
        "a root is not moved into another one, nor away",
        Phase(
            (
                Try("rename other another", "allowed"),
                Try("rmdir another", "allowed"),
                Try(r"rename %ROOT% %SECOND%\moved", "denied"),
                Try(r"rename %ROOT% %BASE%\moved", "denied"),
                Try("rmdir %SECOND%", "denied"),
            ),
            setup=("mkdir other", "mkdir %SECOND%"),
            roots=("%ROOT%", "%SECOND%"),
        ),
    ),
    _case(
        ".codex and .agents",
        "are made empty and denied where they are missing",
        Phase(
            (
                Try("mkdir made", "allowed"),
                Try(r"write made\policy.json", "allowed"),
                Try("mkdir more", "allowed"),
                Try("rename more moved", "allowed"),
                Try("rmdir moved", "allowed"),
                Try(r"mkdir .codex\more", "denied"),
                Try(r"write .codex\policy.json", "denied"),
                Try(r"mkdir .agents\more", "denied"),
                Try("rmdir .agents", "denied"),
                Try("rename .agents other", "denied"),
            ),
            setup=("mkdir .git",),
        ),
        quick=True,
    ),
    _case(
        "a repository that is made while the sandbox lives",
        "the name cannot be denied before it exists; it is reported, and denied before the next command",
        Phase(
            (
                Try("mkdir other", "allowed"),
                Try("mkdir .git", "open", r"\.git does not exist"),
                Try(r"write other\config", "allowed"),
                Try(r"write .git\config", "denied"),
                Try("mkdir third", "allowed"),
                Try("rmdir third", "allowed"),
                Try("rmdir .git", "denied"),
            ),
            violations=(".git",),
        ),
        quick=True,
    ),
    _case(
        "a .git file",
        "it is protected, and so is the directory in the root that it points to",
        Phase(
            (
                Try("write free.txt", "allowed"),
                Try("rename free.txt renamed.txt", "allowed"),
                Try("delete renamed.txt", "allowed"),
                Try("append .git", "denied"),
                Try("delete .git", "denied"),
                Try(r"write store\config", "denied"),
                Try("rename store other", "denied"),
            ),
            setup=("mkdir store", Content(".git", "gitdir: store")),
        ),
    ),
    _case(
        "a .git link",
        "it is protected as a link, and its target too",
        Phase(
            (
                Try(r"write free\file.txt", "allowed"),
                Try(r"rename free\file.txt free\renamed.txt", "allowed"),
                Try(r"delete free\renamed.txt", "allowed"),
                Try(r"write .git\config", "denied"),
                Try(r"write store\config", "denied"),
                Try("rmdir .git", "denied"),
                Try("rename .git other", "denied"),
            ),
            setup=("mkdir store", "mkdir free", "junction %ROOT%\\store .git"),
        ),
        links=True,
    ),
    _case(
        "hooks only",
        "with GIT_HOOKS the repository is written, what git runs is not",
        Phase(
            (
                Try(r"write .git\index", "allowed"),
                Try(r"rename .git\index .git\other", "allowed"),
                Try(r"delete .git\other", "allowed"),
                Try(r"write .git\hooks\pre-commit", "denied"),
                Try(r"append .git\config", "denied"),
                Try(r"replace settings.txt .git\config", "denied"),
                Try(r"delete .git\config", "denied"),
                Try(r"rename .git\hooks .git\old", "denied"),
                Try("rename .git .old", "denied"),
            ),
            setup=_REPOSITORY,
            protect=Protect.GIT_HOOKS,
        ),
        quick=True,
    ),
    _case(
        "commondir",
        "a file that leads git to other hooks can be planted under GIT_HOOKS; it is reported",
        Phase(
            (Try(r"write .git\index", "allowed"), Try(r"write .git\commondir", "open", r"\commondir does not exist")),
            setup=_REPOSITORY,
            protect=Protect.GIT_HOOKS,
            violations=(r".git\commondir",),
        ),
        quick=True,
    ),
    _case(
        "an explicit entry in a protected directory",
        "Everyone is granted write on one file there: the deny is put before it",
        Phase(
            (Try("append settings.txt", "allowed"), Try(r"append .git\config", "denied")),
            setup=(*_REPOSITORY, Descriptor(r".git\config", "D:(A;;FA;;;WD)(A;;FA;;;%USER%)")),
        ),
    ),
    _case(
        "a tree that was moved into a protected directory",
        "between two sandboxes; it brought its grant along, which the next start denies",
        Phase((Try(r"write tree\file.txt", "allowed"),), setup=(*_REPOSITORY, "mkdir tree"), keep="forever"),
        Phase(
            (Try("append settings.txt", "allowed"), Try(r"append .git\tree\file.txt", "denied")),
            setup=(r"rename tree .git\tree",),
            keep="forever",
        ),
    ),
    _case(
        "a protected directory without an access control list",
        "cannot be denied anything without taking all access away: the sandbox does not start",
        Phase(setup=(*_REPOSITORY, Descriptor(r".git\hooks", "D:NO_ACCESS_CONTROL")), refused="acl"),
        Phase(
            (Try("append settings.txt", "allowed"), Try(r"write .git\hooks\new", "denied")),
            setup=(Descriptor(r".git\hooks", "D:(A;OICI;FA;;;%USER%)"),),
        ),
    ),
    _case(
        "a nested repository",
        "only the roots' own protected names are closed; the first start's walk finds it, and every report names it",
        Phase(
            (
                Try("write settings.txt", "allowed"),
                Try(r"append .git\config", "denied"),
                Try(r"write sub\.git\hooks\pre-commit", "open", r"\sub\.git"),
            ),
            setup=(*_REPOSITORY, r"mkdir sub\.git\hooks"),
            keep="forever",
        ),
        Phase(
            (
                Try("write settings.txt", "allowed"),
                Try(r"append .git\config", "denied"),
                Try(r"write sub\.git\hooks\post-commit", "open", r"\sub\.git"),
            ),
            keep="forever",
        ),
    ),
    _case(
        "protected names of each root",
        "they count in every root, in nested ones too",
        Phase(
            (
                Try(r"write inner\file.txt", "allowed"),
                Try(r"write %SECOND%\file.txt", "allowed"),
                Try(r"write inner\.git\config", "denied"),
                Try(r"write %SECOND%\.git\config", "denied"),
            ),
            setup=(r"mkdir .git", r"mkdir inner\.git", r"mkdir %SECOND%\.git"),
            roots=("%ROOT%", r"%ROOT%\inner", "%SECOND%"),
        ),
    ),
)
