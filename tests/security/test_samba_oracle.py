"""Compared with Samba's C implementation: the access check, SDDL and binary conversion, SIDs.

Samba's bindings live in the system's Python, so each comparison sends one batch to a subprocess. The restricted pass,
which Samba does not have, is emulated by asking a second time with the restricting SIDs as the token's SIDs.
"""

from __future__ import annotations

import json
import random
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.capabilities import needs, samba_python
from tests.security.cases import Case, cases, rich_descriptor
from tests.security.oracle import Filter, compare
from winsandbox._security import access
from winsandbox._security.ace import DENY, INHERIT_ONLY
from winsandbox._security.descriptor import SecurityDescriptor
from winsandbox._security.errors import SecurityDataError
from winsandbox._security.mask import FILE, MAXIMUM_ALLOWED, READ_CONTROL, WRITE_DAC, WRITE_OWNER
from winsandbox._security.sid import Sid
from winsandbox._security.token import GROUP_ENABLED, GROUP_USE_FOR_DENY_ONLY

pytestmark = [pytest.mark.oracle, needs("samba")]

DOMAIN = Sid.parse("S-1-5-21-1-2-3")
OWNER_BITS = READ_CONTROL | WRITE_DAC


def ask(questions: list[list[Any]]) -> list[Any]:
    python = samba_python()
    assert python is not None
    worker = Path(__file__).with_name("samba_worker.py")
    done = subprocess.run(
        [python, str(worker)], input=json.dumps(questions), capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    answers: list[Any] = json.loads(done.stdout)
    assert len(answers) == len(questions)
    return answers


def question(case: Case, sids: list[Sid], desired: int) -> list[Any]:
    return [
        "check",
        case.descriptor.to_bytes().hex(),
        [str(sid) for sid in sids],
        desired,
        "SeTakeOwnershipPrivilege" in case.token.privileges,
    ]


def enabled(case: Case) -> list[Sid]:
    return [case.token.user, *(group.sid for group in case.token.groups if group.attributes & GROUP_ENABLED)]


def granted(case: Case) -> int | None:
    result = access.check(case.descriptor, case.token, case.desired)
    return result.granted if result.allowed else None


def show(case: Case) -> str:
    return f"{case.descriptor.to_sddl()} {case.token} {case.desired:#x}"


def asks_maximum_without_dacl(case: Case) -> bool:
    return case.descriptor.dacl is None and bool(case.desired & MAXIMUM_ALLOWED)


def gets_nothing(case: Case) -> bool:
    return case.desired == MAXIMUM_ALLOWED and granted(case) is None


PLAIN_FILTERS = (
    Filter[Case](
        "maximum-without-dacl",
        "Samba grants only the owner's rights when MAXIMUM_ALLOWED meets a NULL DACL; Windows grants all",
        asks_maximum_without_dacl,
    ),
    Filter[Case](
        "maximum-of-nothing",
        "Samba succeeds with an empty mask when MAXIMUM_ALLOWED finds nothing; Windows denies",
        gets_nothing,
    ),
)


def test_plain_tokens() -> None:
    some = cases(seed=20240601, count=6000)
    answers = ask([question(case, enabled(case), case.desired) for case in some])
    compare(
        "Samba, plain tokens",
        PLAIN_FILTERS,
        ((case, granted(case), theirs if theirs >= 0 else None) for case, theirs in zip(some, answers, strict=True)),
        at_least=5000,
        show=show,
    )


def denied_by_deny_only(case: Case) -> bool:
    """An effective deny entry names a deny-only group of the token."""
    deny_only = {
        group.sid
        for group in case.token.groups
        if group.attributes & GROUP_USE_FOR_DENY_ONLY and not group.attributes & GROUP_ENABLED
    }
    return any(
        ace.type == DENY and not ace.flags & INHERIT_ONLY and ace.sid in deny_only for ace in case.descriptor.dacl or ()
    ) or any(str(ace.sid) == "S-1-3-4" and case.descriptor.owner in deny_only for ace in case.descriptor.dacl or ())


def test_disabled_and_deny_only_groups() -> None:
    some = cases(seed=20240602, count=6000, states=True)
    answers = ask([question(case, enabled(case), case.desired) for case in some])
    compare(
        "Samba, disabled and deny-only groups",
        (
            *PLAIN_FILTERS,
            Filter(
                "deny-only",
                "Samba has no deny-only SIDs: it is not told of them, so their deny entries are lost (vector P16)",
                denied_by_deny_only,
            ),
        ),
        ((case, granted(case), theirs if theirs >= 0 else None) for case, theirs in zip(some, answers, strict=True)),
        at_least=3000,
        show=show,
    )


def owner_is_told_apart(case: Case) -> bool:
    """The owner is an enabled SID of the token but no restricting SID, or the other way round, so that its implicit
    rights, which Samba hands out in each call by itself, make a difference.
    """
    restricting = case.token.restricting or ()
    return (case.descriptor.owner in enabled(case)) != (case.descriptor.owner in restricting) and bool(
        case.desired & (OWNER_BITS | MAXIMUM_ALLOWED)
    )


def emulated(case: Case, normal: int, restricted: int) -> int | None:
    """What two calls to Samba say about a restricted token; FILE's write mask is 0x10D0116 (vectors)."""
    if normal < 0:
        return None
    asked = case.desired & ~MAXIMUM_ALLOWED
    if "SeTakeOwnershipPrivilege" in case.token.privileges:
        asked &= ~WRITE_OWNER
    if case.token.write_restricted:
        if case.desired & MAXIMUM_ALLOWED:
            if not normal & 0x010D0116:
                return normal
        elif not asked & 0x010D0116:
            return normal
    if restricted < 0:
        return None
    if case.desired & MAXIMUM_ALLOWED:
        both = normal & restricted
        return both if both and not asked & ~both else None
    return normal


def owned_write_bits(case: Case) -> bool:
    """A write-restricted token whose restricting SIDs hold the owner: WRITE_DAC, which it has before both passes, is
    a write bit for the emulation and none for the check.
    """
    return (
        case.token.write_restricted
        and case.descriptor.owner in (case.token.restricting or ())
        and case.descriptor.owner in enabled(case)
        and bool(case.desired & (WRITE_DAC | MAXIMUM_ALLOWED))
    )


def test_restricted_tokens() -> None:
    some = cases(seed=20240603, count=12000, restricted=True)
    normal = ask([question(case, enabled(case), case.desired) for case in some])
    second = ask([question(case, list(case.token.restricting or ()), case.desired) for case in some])
    compare(
        "Samba, restricted and write-restricted tokens, two calls",
        (
            *PLAIN_FILTERS,
            Filter(
                "owner-told-apart",
                "two calls hand out the owner's implicit rights separately; Windows asks once, for both (vector R07)",
                owner_is_told_apart,
            ),
            Filter(
                "owned-write-bits",
                "the owner's implicit WRITE_DAC is granted before the passes and starts no second one",
                owned_write_bits,
            ),
        ),
        ((case, granted(case), emulated(case, one, two)) for case, one, two in zip(some, normal, second, strict=True)),
        at_least=6000,
        show=show,
    )


def parts(raw: str | None) -> object:
    """A descriptor as far as Samba and we should agree on it: without the revision of its lists."""
    if raw is None:
        return None
    descriptor = SecurityDescriptor.from_bytes(bytes.fromhex(raw))
    lists = (descriptor.dacl, descriptor.sacl)
    return (
        descriptor.owner,
        descriptor.group,
        descriptor.control,
        *(None if acl is None else tuple(acl) for acl in lists),
    )


TEXT_FILTERS = (
    Filter[str](
        "key-letters", "Samba 4.17 does not know KA, KR, KW and KX", lambda text: bool(re.search(";K[ARWX];", text))
    ),
    Filter[str]("file-all", "Samba 4.17 reads FA as 0x1ff", lambda text: ";FA;" in strip(text)),
    Filter[str](
        "flags-then-sacl",
        "Samba 4.17 takes the S of S: for a flag of an empty DACL",
        lambda text: bool(re.search("D:(P|AI|AR)+S:", text)),
    ),
)


def strip(text: str) -> str:
    """The text with the flags of its entries taken out: FA is a flag of audit entries too."""
    return re.sub(r"\((\w+);\w*;", r"(\1;;", text)


def test_sddl_to_binary() -> None:
    rng = random.Random(20240604)
    texts = [rich_descriptor(rng).to_sddl() for _ in range(3000)]
    answers = ask([["to bytes", text] for text in texts])
    compare(
        "Samba, SDDL to binary",
        TEXT_FILTERS,
        (
            (text, parts(SecurityDescriptor.from_sddl(text).to_bytes().hex()), parts(theirs))
            for text, theirs in zip(texts, answers, strict=True)
        ),
        at_least=1500,
        show=str,
    )


def test_binary_to_sddl() -> None:
    """Samba's text of our bytes means the descriptor we started from; no filter is needed."""
    rng = random.Random(20240605)
    descriptors = [rich_descriptor(rng) for _ in range(3000)]
    answers = ask([["to sddl", descriptor.to_bytes().hex()] for descriptor in descriptors])
    compare(
        "Samba, binary to SDDL",
        (),
        (
            (descriptor, descriptor, None if text is None else SecurityDescriptor.from_sddl(text, DOMAIN))
            for descriptor, text in zip(descriptors, answers, strict=True)
        ),
        at_least=3000,
        show=lambda descriptor: descriptor.to_sddl(),
    )


def test_layout_is_sambas() -> None:
    """The bytes themselves agree, offsets included, once the lists have the revision that Samba always writes."""
    rng = random.Random(20240606)
    texts = [rich_descriptor(rng).to_sddl() for _ in range(2000)]
    compared = 0
    for text, theirs in zip(texts, ask([["to bytes", text] for text in texts]), strict=True):
        descriptor = SecurityDescriptor.from_sddl(text)
        same_revision = all(acl is None or acl.revision == 4 for acl in (descriptor.dacl, descriptor.sacl))
        if same_revision and not any(known.applies(text) for known in TEXT_FILTERS):
            assert descriptor.to_bytes().hex() == theirs, text
            compared += 1
    print(f"Samba, layout: {compared} descriptors have the same bytes")
    assert compared > 200


def some_sid_text(rng: random.Random) -> str:
    """Mostly well-formed SIDs, near every limit, and texts that are none."""
    authority = rng.choice(["0", "1", "5", "4294967295", "281474976710655", "281474976710656", "0x5", "x", "", "-1"])
    count = rng.choice((0, 1, 2, 5, 14, 15, 16))
    tail = [str(rng.choice((0, 1, 544, 4294967295, rng.getrandbits(32)))) for _ in range(count)]
    if rng.random() < 0.2:
        tail.append(rng.choice(("4294967296", "", "x", "99999999999999999999")))
    return "-".join([rng.choice(("S", "S", "S", "s", "X")), rng.choice(("1", "1", "1", "2")), authority, *tail])


def test_sid_texts() -> None:
    rng = random.Random(20240607)
    texts = [some_sid_text(rng) for _ in range(4000)]

    def ours(text: str) -> str | None:
        try:
            return Sid.parse(text).raw.hex()
        except SecurityDataError:
            return None

    compare(
        "Samba, SID texts",
        (Filter[str]("revision", "Samba takes any revision in a SID's text", lambda text: text[2:3] != "1"),),
        (
            (text, ours(text), theirs)
            for text, theirs in zip(texts, ask([["sid", text] for text in texts]), strict=True)
        ),
        at_least=1500,
        show=repr,
    )


def test_the_write_mask_is_the_one_emulated() -> None:
    assert FILE.write_mask == 0x010D0116
