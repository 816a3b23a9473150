"""The words for an answer of the access check: which step, which pass, which entry, which SID.

Built only when somebody reads them: a check leaves behind what was asked and a short note why it ended where it did
(``Why``: the kind of end, then what the sentence for that kind needs). The steps are those of ``access``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from .ace import ALLOW, ALLOW_TYPES, DENY, DENY_TYPES, INHERITED, NO_WRITE_UP, Ace
from .acl import Acl, Step
from .descriptor import SecurityDescriptor
from .mask import ACCESS_SYSTEM_SECURITY, GENERIC, READ_CONTROL, WRITE_DAC, WRITE_OWNER, GenericMapping
from .token import MEDIUM, Token

__all__ = ["Asked", "Pass", "Why", "sentence", "warnings"]

Asked = tuple[SecurityDescriptor, Token, int, GenericMapping, bool]
"""Descriptor, token, desired access, mapping, and whether doubt was taken in favour of access."""

Why = tuple[Any, ...]


class Pass(NamedTuple):
    """One pass for MAXIMUM_ALLOWED: the bits asked of it, and the binary SIDs that match."""

    name: str
    wanted: int
    allows: frozenset[bytes]
    denies: frozenset[bytes]


def sentence(asked: Asked, why: Why) -> str:
    """One sentence: how the check came to its answer."""
    dacl = asked[0].dacl
    kind, *rest = why
    if kind == "descriptor":
        return "step 0: the descriptor has no owner or no group, which Windows refuses"
    if kind == "generic":
        return f"step 0: generic rights {rest[0]:#x} were asked for without having been mapped"
    if kind == "integrity":
        left = f"does not leave it {rest[0]:#x}" if rest[0] else "leaves it no right at all"
        return f"{_label(asked)} {left}; the DACL is not looked at"
    if kind == "privilege":
        return "step 3, privileges: ACCESS_SYSTEM_SECURITY needs SeSecurityPrivilege, whatever the DACL says"
    if kind == "before":
        given = _given(asked, rest[0])
        return f"{'; '.join(given)}, before the DACL is looked at" if given else "step 5: no right was asked for"
    if kind == "no dacl":
        return "; ".join(
            (*_given(asked, rest[0]), "step 6: the object has no DACL, which grants everything in both passes")
        )
    if kind == "refused":
        name, missing, index = rest
        if index >= 0:
            return f"{_step(name)}: {_entry(dacl, index)} denies {missing & dacl[index].mask if dacl else 0:#x}"
        return f"{_step(name)}: no entry of the {len(dacl or ())} grants {missing:#x} to {_who(asked[1], name)}"
    if kind == "granted":
        return _granted(asked, *rest)
    if kind == "maximum refused":
        return _maximum_refused(asked, *rest)
    return _maximum(asked, *rest)


def _granted(asked: Asked, before: int, index: int, second_index: int | None, reads: int) -> str:
    dacl, mapping = asked[0].dacl, asked[3]
    parts = _given(asked, before)
    parts.append(f"{_step('normal')}: {_entry(dacl, index)} grants what was still missing")
    if second_index is not None:
        parts.append(f"{_step('restricted')}: {_entry(dacl, second_index)} does so too")
    elif reads:
        parts.append(f"{_step('restricted')}: not made, {reads:#x} has no write bit of {mapping.write_mask:#x}")
    return "; ".join(parts)


def _maximum(
    asked: Asked, granted: int, before: int, surviving: int, steps: tuple[Step, ...] | None, passes: tuple[Pass, ...]
) -> str:
    dacl = asked[0].dacl
    parts = [f"{_label(asked)} leaves it {surviving:#x} at most"] if _is_cut(surviving) else []
    parts += _given(asked, before)
    if steps is None:
        parts.append(f"step 6, maximum allowed: the object has no DACL, so {granted:#x}")
        return "; ".join(parts)
    parts.append(f"steps 6 and 7, maximum allowed: the first matching entry for each bit gives {granted:#x}")
    for one in passes:
        entries = ", ".join(_entry(dacl, index) for index in _givers(steps, granted & one.wanted, one))
        if entries:
            parts.append(f"{one.name} pass: {entries}")
    return "; ".join(parts)


def _maximum_refused(
    asked: Asked, missing: int, surviving: int, steps: tuple[Step, ...], passes: tuple[Pass, ...]
) -> str:
    """Either ``missing`` bits that were named besides, or nothing at all was found."""
    dacl, token = asked[0].dacl, asked[1]
    label = f"{_label(asked)} leaves it {surviving:#x} at most; " if _is_cut(surviving) else ""
    for one in passes:
        refused, index = _first_refusal(steps, missing & one.wanted, one)
        if refused:
            by = (
                f"{_entry(dacl, index)} denies {refused:#x}"
                if index >= 0
                else f"no entry of the {len(dacl or ())} grants {refused:#x} to {_who(token, one.name)}"
            )
            return f"{label}{_step(one.name)}: {by}, which was named besides MAXIMUM_ALLOWED"
    if missing:
        return f"steps 6 and 7, maximum allowed: {missing:#x}, which was named besides, no entry can grant"
    who = " and ".join(_who(token, one.name) for one in passes)
    what = "no right of these" if label else "no right at all"
    return f"{label}steps 6 and 7, maximum allowed: {what} is granted to {who}"


def _first_refusal(steps: tuple[Step, ...], bits: int, one: Pass) -> tuple[int, int]:
    """(bits that this pass does not grant, the entry that denies them); -1 when the list ended first."""
    for mask, sid, is_deny, index in steps:
        if mask & bits and sid in (one.denies if is_deny else one.allows):
            if is_deny:
                return mask & bits, index
            bits &= ~mask
    return bits, -1


def _givers(steps: tuple[Step, ...], undecided: int, one: Pass) -> Iterator[int]:
    """The numbers of the entries by which this pass came to grant these bits."""
    for mask, sid, is_deny, index in steps:
        if mask & undecided and sid in (one.denies if is_deny else one.allows):
            undecided &= ~mask
            if not is_deny:
                yield index


def _given(asked: Asked, before: int) -> list[str]:
    """Steps 3 and 4 in words: what was granted by a privilege or to the owner. Only what was asked for."""
    descriptor, token, desired, _, _ = asked
    parts = []
    if before & ACCESS_SYSTEM_SECURITY:
        parts.append(f"step 3, privileges: SeSecurityPrivilege grants {ACCESS_SYSTEM_SECURITY:#x}")
    if before & WRITE_OWNER:
        taking = "SeTakeOwnershipPrivilege"
        name = taking if taking in token.privileges else "SeRelabelPrivilege"
        parts.append(f"step 3, privileges: {name} grants {WRITE_OWNER:#x}")
    owned = before & (READ_CONTROL | WRITE_DAC)
    if not desired & 0x02000000:  # with MAXIMUM_ALLOWED everything is asked for
        owned &= desired
    if owned:
        parts.append(f"step 4, owner: {owned:#x} is granted to {descriptor.owner}, which owns the object")
    return parts


def _is_cut(surviving: int) -> bool:
    return surviving != 0xFFFFFFFF


def _label(asked: Asked) -> str:
    sacl = asked[0].sacl
    level, policy = (sacl.integrity_label if sacl is not None else None) or (MEDIUM, NO_WRITE_UP)
    return (
        f"step 2, integrity: a token at level {asked[1].integrity:#x} is below the object's {level:#x}, "
        f"whose policy ({policy:#x})"
    )


def _step(name: str) -> str:
    return "step 6, normal pass" if name == "normal" else "step 7, restricted pass"


def _entry(dacl: Acl | None, index: int) -> str:
    if dacl is None:
        return "no entry"
    ace: Ace = dacl[index]
    kind = "deny" if ace.type in DENY_TYPES else "allow"
    if ace.type not in (ALLOW, DENY):
        kind += f" (type {ace.type:#x})"
    inherited = " inherited" if ace.flags & INHERITED else ""
    return f"ACE {index} ({kind}{inherited} {ace.mask:#x} for {ace.sid})"


def _who(token: Token, name: str) -> str:
    if name == "normal":
        return f"the token's SIDs (user {token.user})"
    return f"a restricting SID ({', '.join(map(str, token.restricting or ())) or 'there is none'})"


def warnings(dacl: Acl, generous: bool) -> tuple[str, ...]:
    """What in the list makes an answer less than certain, one sentence an entry."""
    taken = "in favour of access" if generous else "against access"
    found = []
    for index, ace in enumerate(dacl):
        if ace.sid is None:
            found.append(f"ACE {index} is of type {ace.type:#x}, which is not interpreted")
        elif ace.type not in (ALLOW, DENY) and (ace.type in ALLOW_TYPES or ace.type in DENY_TYPES):
            found.append(f"ACE {index} is conditional or for an object type (type {ace.type:#x}): taken {taken}")
        if ace.mask & GENERIC:
            found.append(f"ACE {index} has generic rights {ace.mask & GENERIC:#x} that were never mapped")
    return tuple(found)
