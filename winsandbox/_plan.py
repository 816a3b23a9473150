"""Pure planning: a Policy and the facts about a host make a Plan; nothing here touches an operating system.

A plan says everything that will be done, in the words of Windows: which object gets which ACEs, how the token is made,
how the process is started, and what may be promised about it. It can be printed, compared and tested on any OS. What
the facts are and how they are found stands in ``_survey``.
"""

from __future__ import annotations

import hashlib
import hmac
import ntpath
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, Literal

from ._security.ace import allow
from ._security.acl import Acl
from ._security.mask import GENERIC_ALL
from ._security.sid import EVERYONE, SYSTEM, Sid
from ._security.token import GROUP_USE_FOR_DENY_ONLY, LOW, MEDIUM, Group, Token
from ._verdicts import promise, with_exceptions
from .enforcement import Aspect
from .errors import Mistake, RootRefused, UnsupportedHost
from .policy import is_below

if TYPE_CHECKING:
    from ._host import FileId, TokenInfo
    from ._survey import Facts, RootFacts
    from .enforcement import Enforcement
    from .policy import Policy

# The second sub-authority of every SID that this library makes (S-1-5-21-T-b-c-d). It is how our ACEs are found on a
# disk whose ledger is lost. The value means nothing else; changing it would orphan every grant ever placed.
SID_TAG: Final = 0x57534258

# CreateRestrictedToken's flags (Microsoft Learn, "CreateRestrictedToken function").
DISABLE_MAX_PRIVILEGE: Final = 0x1
LUA_TOKEN: Final = 0x4
WRITE_RESTRICTED: Final = 0x8

# Created empty before they are denied, where they are missing: nothing but agents looks for them. An empty .git would
# end the search for the repository above, so .git never is.
_CREATED: Final = frozenset({".CODEX", ".AGENTS"})

# Groups that make their members administrators in effect: built-in ones by RID of S-1-5-32, then domain groups by RID.
_ADMINISTRATIVE_ALIASES: Final = frozenset({544, 547, 548, 549, 550, 551, 552, 556, 578})
_ADMINISTRATIVE_RIDS: Final = frozenset({498, 512, 516, 517, 518, 519, 520, 521, 526, 527})

Origin = Literal["policy", "git pointer", "link target"]


@dataclass(frozen=True, slots=True)
class Place:
    """A directory or file that exists: its final path and its identity at the time of the survey."""

    path: str
    identity: FileId
    directory: bool = True


@dataclass(frozen=True, slots=True)
class Protected:
    """One protected place of one root, as found.

    Attributes:
        name: relative to the root, as the policy writes it; for other origins the relative path.
        path: the absolute final path (of the link itself for a link).
        identity: None where nothing lies there yet.
        directory: whether it is a directory (a junction counts as one).
        link: whether it is a reparse point: denied as link and never descended into.
        between: the directories strictly between the root and it, outermost first. They get a guard and a deny of
            DELETE, and are pinned, so that the child cannot rename one away and put its own in its place.
        origin: ``"policy"``, or why it is protected although the policy does not name it.
    """

    name: str
    path: str
    identity: FileId | None
    directory: bool = True
    link: bool = False
    between: tuple[Place, ...] = ()
    origin: Origin = "policy"


@dataclass(frozen=True, slots=True)
class Grant:
    """A writable root together with what the policy excludes at or below it, and the SID that stands for both.

    Attributes:
        root: the root.
        sid: the grant's SID.
        exclusions: the excluded names that went into the SID: normalised, sorted.
        protected: the places found for them.
        create: protected names that are missing and will be created empty before they are denied (workspace root only).
        watch: absolute paths that do not exist and whose creation by the child is reported as a violation.
        descriptor: the root's security descriptor as the survey read it; empty: it did not.
    """

    root: Place
    sid: Sid
    exclusions: tuple[str, ...]
    protected: tuple[Protected, ...] = ()
    create: tuple[str, ...] = ()
    watch: tuple[str, ...] = ()
    descriptor: bytes = field(default=b"", repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class TokenRecipe:
    """How the child's token is made from the caller's: CreateRestrictedToken's arguments and what is set afterwards.

    ``flags`` are CreateRestrictedToken's; ``deny_only`` SIDs are disabled (an elevated caller's administrative groups);
    ``restricting`` is the list of the second pass; ``default_dacl`` is ACL bytes of constant size; ``owner`` and
    ``integrity`` are None where the caller's stay; ``privileges`` are the ones left enabled.
    """

    flags: int
    restricting: tuple[Sid, ...]
    deny_only: tuple[Sid, ...]
    default_dacl: bytes
    owner: Sid | None
    integrity: int | None
    privileges: tuple[str, ...] = ("SeChangeNotifyPrivilege",)


@dataclass(frozen=True, slots=True)
class Plan:
    """What a Sandbox will do, complete.

    Attributes:
        policy: the policy it was made from.
        grants: the writable roots with their SIDs and protected places.
        user: the caller's SID.
        logon: the caller's logon SID, None if it has none; the guards name it.
        session: the SID made for this sandbox alone: its TEMP, its default DACL.
        guards: whether guard ACEs are placed inside protected places.
        low: whether roots are labelled Low and protected places Medium.
        token: how the token is made.
        desktop: the name of the desktop to use or to make; None: the ordinary one.
        enforcement: what may be promised if everything in this plan is carried out.
        notes: what else the user should know before it is carried out.
    """

    policy: Policy
    grants: tuple[Grant, ...]
    user: Sid
    logon: Sid | None
    session: Sid
    guards: bool
    low: bool
    token: TokenRecipe
    desktop: str | None
    enforcement: Enforcement
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON: the grants, the token and what is promised."""
        return {
            "version": 1,
            "policy": self.policy.to_dict(),
            "grants": [_grant_dict(grant) for grant in self.grants],
            "token": {
                "flags": f"0x{self.token.flags:x}",
                "restricting": [str(sid) for sid in self.token.restricting],
                "deny_only": [str(sid) for sid in self.token.deny_only],
                "default_dacl": [f"(A;;GA;;;{ace.sid})" for ace in Acl.from_bytes(self.token.default_dacl)],
                "owner": None if self.token.owner is None else str(self.token.owner),
                "integrity": None if self.token.integrity is None else f"0x{self.token.integrity:x}",
                "privileges": list(self.token.privileges),
            },
            "session": str(self.session),
            "guards": self.guards,
            "integrity": "low" if self.low else "medium",
            "desktop": self.desktop,
            "enforcement": self.enforcement.to_dict(),
            "notes": list(self.notes),
        }

    def to_text(self) -> str:
        """For a terminal."""
        lines = []
        for grant in self.grants:
            lines.append(f"writable root {grant.root.path}")
            lines.append(f"  grant {grant.sid}")
            for place in grant.protected:
                kind = "link" if place.link else "directory" if place.directory else "file"
                why = "" if place.origin == "policy" else f" ({place.origin})"
                lines.append(f"  protected {kind} {place.path}{why}: write denied")
            lines.extend(f"  will be created empty, then denied: {path}" for path in grant.create)
            lines.extend(f"  watched (does not exist): {path}" for path in grant.watch)
        if not self.grants:
            lines.append("no writable root: nothing but a private TEMP can be written")
        names = ", ".join(map(str, self.token.restricting))
        lines.append(f"token: CreateRestrictedToken flags 0x{self.token.flags:x}, restricting SIDs {names}")
        if self.token.deny_only:
            lines.append("  made deny-only: " + ", ".join(map(str, self.token.deny_only)))
        if self.token.integrity is not None:
            lines.append(f"  integrity level 0x{self.token.integrity:x}")
        lines.extend(f"note: {note}" for note in self.notes)
        lines.append(self.enforcement.to_text())
        return "\n".join(lines)


def _grant_dict(grant: Grant) -> dict[str, Any]:
    return {
        "root": grant.root.path,
        "sid": str(grant.sid),
        "exclusions": list(grant.exclusions),
        "protected": [
            {"path": place.path, "kind": "link" if place.link else "directory" if place.directory else "file"}
            | {"origin": place.origin}
            for place in grant.protected
        ],
        "create": list(grant.create),
        "watch": list(grant.watch),
    }


def make_plan(
    policy: Policy, facts: Facts, *, secret: bytes, session: Sid, proven: Mapping[Aspect, str] | None = None
) -> Plan:
    """Decide everything.

    Args:
        policy: what is asked.
        facts: what the survey found.
        secret: the installation's secret, under which grant SIDs are made.
        session: the SID of this one sandbox (:func:`session_sid`).
        proven: aspects proven on this machine, with a sentence about when.

    Raises:
        RootRefused: roots that this host cannot grant, all of them.
        UnsupportedHost: an elevated, already sandboxed, Low or app-container caller.
    """
    grants = tuple(_grant(root, policy, facts, secret) for root in facts.roots)
    mistakes = [*facts.mistakes, *_conflicts(facts)]
    if mistakes:
        raise RootRefused(mistakes)
    caller = facts.caller
    refuse_caller(policy, caller)
    user = caller.token.user
    notes = list(facts.notes)
    restricting = [*(grant.sid for grant in grants), session]
    if "logon" in policy.restricting:
        if caller.logon is None:
            notes.append("the caller's token has no logon SID; the child may fail to start programs with a window")
        else:
            restricting.append(caller.logon)
    if "everyone" in policy.restricting:
        restricting.append(EVERYONE)
    lowered = caller.elevated or caller.token.integrity > MEDIUM
    if lowered:
        notes.append("the caller is elevated: the child runs with administrative groups deny-only at Medium integrity")
    recipe = TokenRecipe(
        flags=DISABLE_MAX_PRIVILEGE | LUA_TOKEN | WRITE_RESTRICTED,
        restricting=tuple(restricting),
        deny_only=tuple(_administrative(caller.token)) if lowered else (),
        default_dacl=default_dacl(user, session, caller.logon if caller.logon in restricting else None),
        owner=user if caller.owner != user else None,
        integrity=LOW if policy.integrity == "low" else MEDIUM if lowered else None,
    )
    return Plan(
        policy=policy,
        grants=grants,
        user=user,
        logon=caller.logon,
        session=session,
        guards=policy.guards and caller.logon is not None,
        low=policy.integrity == "low",
        token=recipe,
        desktop="winsandbox" if policy.desktop == "private" else None,
        enforcement=with_exceptions(
            promise(policy, facts, grants, proven=proven), Aspect.PROTECTED_PLACES, facts.exceptions
        ),
        notes=tuple(notes),
    )


def grant_sid(secret: bytes, root: FileId, exclusions: Iterable[str], *, low: bool = False) -> Sid:
    """The SID of a root with these exclusions: the same on every run of one installation, and no other's.

    With labels it is another grant: labels open the root to every Low process of the user, so how long they stay is
    decided for themselves, and not by whoever uses the root without them.

    Nothing about it is secret in use (a restricting SID only narrows a token); the key keeps two installations that
    share a disk from meeting in one SID.
    """
    names = "\0".join(sorted({name.upper() for name in exclusions}))
    text = (
        (b"grant-1-low\0" if low else b"grant-1\0")
        + struct.pack("<Q", root.volume)
        + root.file.to_bytes(16, "little")
        + names.encode("utf-16-le")
    )
    return _tagged(hmac.new(secret, text, hashlib.sha256).digest())


def session_sid(random: bytes) -> Sid:
    """The SID of one sandbox, from at least 12 random bytes."""
    return _tagged(random)


def _tagged(data: bytes) -> Sid:
    return Sid(5, 21, SID_TAG, *struct.unpack_from("<3I", data))


def is_tagged(sid: Sid) -> bool:
    """Whether this library made the SID."""
    return sid.authority == 5 and sid.subauthorities[:2] == (21, SID_TAG) and len(sid.subauthorities) == 5


def default_dacl(user: Sid, session: Sid, logon: Sid | None = None) -> bytes:
    """What objects get that the child makes without a descriptor: the user, SYSTEM and this sandbox, all access.

    Both passes must grant: the user passes the first, the session SID the second. `logon`, where it is a restricting
    SID: console programs under tokens like this one were reported to die at their start (0xC0000142) where the list
    named made-up SIDs only; by the access check alone it would not be needed. Its price: the user's other sandboxes of
    the same logon can open such objects. Everyone is not in it, so other logons cannot. The size is constant, because
    a token's quota for it ends near 100 entries (winerror 1344).
    """
    sids = [user, SYSTEM, session] + ([logon] if logon is not None else [])
    return Acl([allow(sid, GENERIC_ALL) for sid in sids]).to_bytes()


def model_token(plan: Plan, caller: Token) -> Token:
    """The child's token as the security model takes it: what CreateRestrictedToken makes of the caller's."""
    recipe = plan.token
    disabled = set(recipe.deny_only)
    return replace(
        caller,
        groups=tuple(
            Group(group.sid, GROUP_USE_FOR_DENY_ONLY) if group.sid in disabled else group for group in caller.groups
        ),
        restricting=recipe.restricting,
        write_restricted=True,
        privileges=frozenset(recipe.privileges),
        integrity=caller.integrity if recipe.integrity is None else recipe.integrity,
        owner=recipe.owner or caller.owner,
        default_dacl=Acl.from_bytes(recipe.default_dacl),
    )


def _grant(root: RootFacts, policy: Policy, facts: Facts, secret: bytes) -> Grant:
    names = [*policy.protected_subpaths]
    names += [ntpath.join(inner, name) for inner in root.folded for name in policy.protected_subpaths]
    create = [name for name in root.missing if root.workspace and name.upper() in _CREATED]
    missing = [name for name in root.missing if name not in create]
    below = [path for path in facts.watch if is_below(path, root.place.path)]
    return Grant(
        root=root.place,
        sid=grant_sid(secret, root.place.identity, names, low=policy.integrity == "low"),
        exclusions=tuple(sorted(names, key=str.upper)),
        protected=tuple(place for place in facts.protected if is_below(place.path, root.place.path)),
        create=tuple(create),
        watch=tuple(dict.fromkeys([ntpath.join(root.place.path, name) for name in missing] + below)),
        descriptor=root.descriptor,
    )


def _conflicts(facts: Facts) -> list[Mistake]:
    """A root at or below a protected place: the grant would open what the policy closes.

    Also one that is folded into another root: that it is one directory with a protected place, or lies in one, shows
    on final paths only.
    """
    asked: list[tuple[str, str, FileId | None]] = []
    for root in facts.roots:
        asked.append((root.asked, root.place.path, root.place.identity))
        folded = [ntpath.join(root.place.path, name) for name in root.folded]
        asked += [(path, path, None) for path in folded]
    return [
        Mistake(
            text,
            f"lies at or below the protected place {place.path}.",
            "Take one of the two out of the policy.",
            "root.protected",
        )
        for text, path, identity in asked
        for place in facts.protected
        if place.identity == identity or path.upper() == place.path.upper() or is_below(path, place.path)
    ]


def refuse_caller(policy: Policy, caller: TokenInfo) -> None:
    """Raise UnsupportedHost where no sandbox can, or should, be made from the caller's own token."""
    if caller.app_container:
        raise UnsupportedHost(
            "this process runs in an app container, whose token cannot be restricted further.",
            remedy="Start it outside.",
            code="host.app-container",
        )
    if caller.restricted or caller.token.restricting is not None:
        raise UnsupportedHost(
            "this process already runs under a restricted token (a sandbox): a token made from it could write nothing.",
            remedy="Use the sandbox that is there, or start this program outside of it.",
            code="host.nested",
        )
    if caller.token.integrity < MEDIUM:
        raise UnsupportedHost(
            "this process (the caller) runs at Low integrity: it may change no access list and keep no ledger.",
            remedy="Start it at Medium integrity, as programs ordinarily are.",
            code="host.low",
        )
    elevated = caller.elevated or caller.token.integrity > MEDIUM
    if elevated and policy.elevated != "lower":
        raise UnsupportedHost(
            "this process is elevated (an administrator's full token): a child of it could reach too much.",
            remedy="Start it as a standard user, or accept a lowered token with elevated='lower' (--elevated lower).",
            code="host.elevated",
        )


def _administrative(token: Token) -> Iterable[Sid]:
    for group in token.groups:
        parts = group.sid.subauthorities
        if group.sid.authority != 5 or len(parts) < 2:
            continue
        if (parts[0] == 32 and parts[1] in _ADMINISTRATIVE_ALIASES) or (
            parts[0] == 21 and len(parts) == 5 and parts[-1] in _ADMINISTRATIVE_RIDS
        ):
            yield group.sid
