"""From the command line's options to a policy, and to the host that it is about.

On Windows that is this machine. Elsewhere it is a model of Windows that holds the metadata of the given directories, so
that a policy can be checked where it is written: ``/home/me/project`` becomes ``C:\\home\\me\\project``, and both are
printed.
"""

from __future__ import annotations

import ntpath
import os
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ._asked import device
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


@dataclass(slots=True)
class Target:
    """A policy and where it is asked about. ``model`` is None for this machine; ``mapping`` is real -> model path.

    ``real_roots``: whether the roots were named by paths of this machine.
    """

    policy: Policy
    model: SimulatedHost | None = None
    mapping: dict[str, str] = field(default_factory=dict)
    real_roots: bool = True

    @property
    def host(self) -> Host | None:
        """The host to ask; None: this machine."""
        return self.model

    def translate(self, path: str) -> str:
        """A path as the user writes it -> as the host knows it."""
        if _windows(path):
            return path
        if self.model is None:
            return os.path.abspath(path)
        real = os.path.abspath(path)
        for source, at in self.mapping.items():
            if real == source or real.startswith(source.rstrip(os.sep) + os.sep):
                return ntpath.join(at, *os.path.relpath(real, source).split(os.sep)) if real != source else at
        # A relative path in Windows' writing, or where no directory of this machine was named as a root, is the
        # child's: it begins where the child does. Others are relative to where the user is.
        if not os.path.isabs(path) and ("\\" in path or not self.real_roots) and self.workspace:
            return ntpath.join(self.workspace, path.replace("/", "\\"))
        return "C:" + real.replace("/", "\\")

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
        """What stands for what, one line each."""
        return "".join(f"{real} stands for {at}\n" for real, at in self.mapping.items())


def target(options: argparse.Namespace, *, model: bool) -> Target:
    """The policy of the options. `model`: off Windows, make the model; else (``run``) leave the host to the Sandbox.

    Raises:
        PolicyError: every mistake of the policy; a policy file that the child could write.
    """
    if sys.platform == "win32":
        policy = _policy(options, [os.path.abspath(root) for root in options.root], os.path.abspath(os.curdir))
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
            f"on disk below {survey.root}: {found.objects} objects{more}; each gets one descriptor write at most"
        )
        for what, listing in (
            ("hard-linked files, which are left out", found.hard_links),
            ("objects with a protected DACL, which are left out with what lies below", found.protected_dacls),
            ("links, which are not followed", found.links),
            ("nested repositories, which are not protected", found.nested),
            ("objects that cannot be read", found.errors),
        ):
            if listing.count:
                lines.append(f"  {listing.count} {what}")
                lines.extend(f"    {getattr(item, 'path', item)}" for item in listing.items[:5])
    return "\n".join(lines)


def _modelled_target(options: argparse.Namespace, *, model: bool) -> Target:
    mapping = {os.path.abspath(root): _modelled(os.path.abspath(root)) for root in options.root if not _windows(root)}
    roots = [root if _windows(root) else mapping[os.path.abspath(root)] for root in options.root]
    policy = _policy(options, roots, _modelled(os.path.abspath(os.curdir)))
    if options.tree and policy.writable_roots:
        mapping = {os.path.abspath(options.tree): policy.writable_roots[0]}
    real_roots = options.policy is None and not all(map(_windows, options.root))
    found = Target(policy, mapping=mapping, real_roots=real_roots or not policy.writable_roots)
    if not model:
        return found
    from .testing import SimulatedHost

    missing = [
        Mistake(source, "is no directory here.", "Name an existing directory.", "root.missing")
        for source in mapping
        if not os.path.isdir(source)
    ]
    if missing:
        raise PolicyError(missing)
    found.model = host = SimulatedHost()
    _refuse_writable_file(options.policy, policy, options.policy and found.translate(options.policy))
    for source, at in mapping.items():
        host.mirror(source, at=at)
    for place in (*policy.writable_roots, policy.cwd):
        if place and not host.exists(place):
            host.mkdir(place)
    return found


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
        with open(path, encoding="utf-8") as file:
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
    return normal("C:" + path.replace("/", "\\"))
