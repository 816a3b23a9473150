"""From the command line's options to a policy, and to the host that it is about.

On Windows that is this machine. Elsewhere it is a model of Windows that holds the metadata of the given directories, so
that a policy can be checked where it is written: ``/home/me/project`` becomes ``C:\\home\\me\\project``, and both are
printed. The roots of a policy file are looked for the other way round.
"""

from __future__ import annotations

import ntpath
import os
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from ._asked import device
from ._findings import counted
from ._paths import is_at_or_below, normal
from .errors import Mistake, PolicyError
from .network import NetworkShim
from .policy import Policy, Protect

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable

    from ._count import Survey
    from ._host import Host
    from .testing import SimulatedHost


# A Linux tree has no Windows access lists. Its roots get in the model what a folder has that its user made in his
# profile, where most projects lie: there he may change its label, which integrity="low" needs.
_OWN_FOLDER: Final = "O:UG:SYD:AI(A;OICIID;FA;;;SY)(A;OICIID;FA;;;BA)(A;OICIID;FA;;;U)"


@dataclass(slots=True)
class Target:
    """A policy and where it is asked about.

    ``model`` is None for this machine; ``mapping`` is real -> model path; ``real_roots``: whether the roots were named
    by paths of this machine; ``remarks`` say how far the model is real.
    """

    policy: Policy
    model: SimulatedHost | None = None
    mapping: dict[str, str] = field(default_factory=dict)
    real_roots: bool = True
    remarks: tuple[str, ...] = ()

    @property
    def host(self) -> Host | None:
        """The host to ask; None: this machine."""
        return self.model

    def translate(self, path: str) -> str:
        """A path as the user writes it -> as the host knows it."""
        if not path or _windows(path):
            return path
        if self.model is None:
            return absolute(path, os.getcwd())
        real = os.path.abspath(path)
        for source, at in self.mapping.items():
            if real == source or real.startswith(source.rstrip(os.sep) + os.sep):
                return ntpath.join(at, *os.path.relpath(real, source).split(os.sep)) if real != source else at
        # A relative path in Windows' writing, or where no directory of this machine was named as a root, is the
        # child's: it begins where the child does. Others are relative to where the user is.
        if not os.path.isabs(path) and ("\\" in path or not self.real_roots) and self.workspace:
            return ntpath.join(self.workspace, path.replace("/", "\\"))
        return _modelled(path)

    @property
    def workspace(self) -> str:
        """Where the child begins."""
        return self.policy.cwd or next(iter(self.policy.writable_roots), "")

    def add(self, path: str) -> str:
        """Put what lies at a path into the model, where it is not there yet; the path as the host knows it."""
        at = self.translate(path)
        if self.model is not None and not _windows(path) and os.path.lexists(path) and not self.model.exists(at):
            if os.path.isdir(path):
                self.model.mkdir(at)
            else:
                self.model.write_file(at)
        return at

    def to_text(self) -> str:
        """What stands for what, and what stands for nothing, one line each."""
        lines = [f"{real} stands for {at}" for real, at in self.mapping.items()]
        return "".join(f"{line}\n" for line in (*lines, *self.remarks))

    def to_dict(self) -> dict[str, Any]:
        """The same as plain data for JSON."""
        return {"mapping": self.mapping, "model": list(self.remarks)}


def target(options: argparse.Namespace, *, model: bool) -> Target:
    """The policy of the options. `model`: off Windows, make the model; else (``run``) leave the host to the Sandbox.

    Raises:
        PolicyError: every mistake of the policy; a policy file that the child could write.
    """
    if sys.platform == "win32":
        here = os.getcwd()
        policy = _policy(options, [absolute(root, here) for root in options.root], here)
        if options.policy:
            # By final paths: a SUBST drive, a junction or an 8.3 name must not hide that the file lies in a root.
            real = policy.replace(writable_roots=tuple(map(os.path.realpath, policy.writable_roots)))
            _refuse_writable_file(options.policy, real, os.path.realpath(options.policy))
        return Target(policy)
    else:  # noqa: RET505 - mypy follows a platform test only with both branches in place
        return _modelled_target(options, model=model)


def survey_text(surveys: Iterable[Survey]) -> str:
    """What a first start would walk, for a terminal."""
    lines = []
    for survey in surveys:
        found = survey.findings
        more = "" if survey.complete else ", and more (not all was counted)"
        lines.append(
            f"on disk below {survey.root}: {counted(found.objects, 'object', 'objects')}{more}; "
            "each gets one descriptor write at most"
        )
        for one, many, listing in (
            ("hard-linked file, which is left out", "hard-linked files, which are left out", found.hard_links),
            (
                "object with a protected DACL, which is left out with what lies below",
                "objects with a protected DACL, which are left out with what lies below",
                found.protected_dacls,
            ),
            ("link, which is not followed", "links, which are not followed", found.links),
            (
                "nested repository, which is not protected",
                "nested repositories, which are not protected",
                found.nested,
            ),
            ("object that cannot be read", "objects that cannot be read", found.errors),
        ):
            if listing.count:
                lines.append(f"  {counted(listing.count, one, many)}")
                lines.extend(f"    {getattr(item, 'path', item)}" for item in listing.items[:5])
    return "\n".join(lines)


def absolute(path: str, here: str) -> str:
    """A plainly relative Windows path, below `here`; any other text as it is, for the policy to judge.

    os.path.abspath would turn "" into the working directory, and on Windows it takes the dots and spaces off the ends
    of names: what the policy has to refuse would be gone before it looks.
    """
    drive, rest = ntpath.splitdrive(path)
    return ntpath.join(here, path) if path and not drive and rest[0] not in "\\/" else path


def _modelled_target(options: argparse.Namespace, *, model: bool) -> Target:
    texts = [root if root[:1] == "\\" else _modelled(root) for root in options.root]
    policy = _policy(options, texts, _modelled(os.getcwd()))
    real_roots = options.policy is None and not all(map(_windows, options.root))
    found = Target(policy, real_roots=real_roots or not policy.writable_roots)
    if not model:
        return found
    from .testing import SimulatedHost

    given = {
        normal(text): os.path.abspath(root)
        for root, text in zip(options.root, texts, strict=True)
        if not _windows(root)
    }
    found.mapping, found.remarks = _sources(policy, given, options.tree)
    found.model = host = SimulatedHost()
    _refuse_writable_file(options.policy, policy, options.policy and found.translate(options.policy))
    for place in (*policy.writable_roots, policy.cwd):
        drive = ntpath.splitdrive(place)[0]
        if drive and not host.exists(drive + "\\"):
            host.add_volume(drive)
    for source, at in found.mapping.items():
        host.mirror(source, at, _OWN_FOLDER)
    for place in policy.writable_roots:
        if not host.exists(place):
            host.mkdir(place, _OWN_FOLDER)
    if policy.cwd and not host.exists(policy.cwd):
        host.mkdir(policy.cwd)
    return found


def _sources(policy: Policy, given: dict[str, str], tree: str | None) -> tuple[dict[str, str], tuple[str, ...]]:
    """The real directory for each place of the policy that has one, and remarks about the model.

    `given` are the roots that were named by their real paths; for others ``C:\\a\\b`` is looked for as ``/a/b``.
    """
    mapping: dict[str, str] = {}
    remarks: list[str] = []
    mistakes: list[Mistake] = []
    places = policy.writable_roots or ((policy.cwd,) if tree is not None and policy.cwd else ())
    for number, place in enumerate(places):
        named = tree if tree is not None and number == 0 else given.get(place)
        source = _real(place) if named is None else os.path.abspath(named)
        if source is not None and named != "" and os.path.isdir(source):
            mapping[source] = place
        elif named is not None:
            mistakes.append(Mistake(named, "is no directory here.", "Name an existing directory.", "root.missing"))
        elif number == 0:
            remedy = "Give --tree DIR, the directory that is to stand for it."
            mistakes.append(Mistake(place, f"stands for nothing here{_looked(source)}.", remedy, "root.missing"))
        else:
            remarks.append(f"nothing here stands for {place}{_looked(source)}: it is empty in the model")
    if tree is not None and not places:
        remedy = "Leave it out, or give the policy a root or a working directory."
        mistakes.append(Mistake("--tree", "there is nothing that it could stand for.", remedy, "usage"))
    if mistakes:
        raise PolicyError(mistakes)
    if mapping:
        remarks.append("each has, in the model, the access list of a folder that its user made in his profile")
    else:
        remarks.append("no real directory was looked at: this is the answer of a freshly installed Windows")
    return mapping, tuple(remarks)


def _looked(source: str | None) -> str:
    return "" if source is None else f" ({source} is no directory)"


def _policy(options: argparse.Namespace, roots: list[str], here: str) -> Policy:
    changes: dict[str, Any] = {}
    for name in ("elevated", "integrity"):
        if getattr(options, name) is not None:
            changes[name] = getattr(options, name)
    if options.no_network_shim:
        changes["network"] = NetworkShim.off()
    if options.policy is not None:
        if roots or options.protect is not None:
            raise PolicyError(
                [
                    Mistake(
                        "--policy",
                        "is given together with --root or --protect.",
                        "Write the roots and protected names into the policy file.",
                        "usage",
                    )
                ]
            )
        return _read(options.policy).replace(**changes) if changes else _read(options.policy)
    protect = Protect.DEFAULT if options.protect is None else tuple(options.protect)
    if not roots:
        return Policy.read_only(here, **changes)
    return Policy.workspace(roots[0], writable_roots=roots[1:], protected_subpaths=protect, **changes)


def _read(path: str) -> Policy:
    try:
        # With the mark that Notepad and PowerShell put first, or without it.
        with open(path, encoding="utf-8-sig") as file:
            text = file.read()
    except (OSError, UnicodeDecodeError) as error:
        raise PolicyError(
            [Mistake(path, f"cannot be read: {error}.", "Name a JSON or TOML file in UTF-8.", "usage")]
        ) from error
    return Policy.from_toml(text) if path.lower().endswith(".toml") else Policy.from_json(text)


def _refuse_writable_file(given: str | None, policy: Policy, path: str | None) -> None:
    """A policy that its own child can rewrite would hold only until the next run."""
    if not given or not path:
        return
    for root in policy.writable_roots:
        if is_at_or_below(path, root) and not any(
            is_at_or_below(path, ntpath.join(root, name)) for name in policy.protected_subpaths
        ):
            raise PolicyError(
                [
                    Mistake(
                        given,
                        f"lies in the writable root {root}, where the command could rewrite it for the next run.",
                        "Move the policy file out of the roots, or into a protected place.",
                        "policy.writable-file",
                    )
                ]
            )


def _windows(path: str) -> bool:
    """Whether it is for Windows to read: a drive, a share or device, %TEMP%, NUL."""
    return path.startswith(("\\\\", "%")) or (path[1:2] == ":" and path[0].isalpha()) or device(path) != ""


def _modelled(path: str) -> str:
    """A real path as the model has it; what is empty or Windows' own stays as it is, for the policy to judge."""
    return path if not path or _windows(path) else "C:" + os.path.abspath(path).replace("/", "\\")


def _real(place: str) -> str | None:
    """The reverse, where there can be one."""
    drive, rest = ntpath.splitdrive(place)
    return rest.replace("\\", "/") if drive == "C:" else None
