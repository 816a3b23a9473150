"""Compared with Samba's C implementation: the access check, SDDL and binary conversion, SIDs.

Samba's bindings live in the system's Python, so each comparison sends one batch to a subprocess. What Samba does not
have is put around it from the rules as the documentation states them, not from our code: the restricted pass is a
second question with the restricting SIDs as the token's SIDs; privileges and the owner's implicit rights, which come
before both passes, are taken off the question, whose descriptor then has an owner whom nobody is; a deny-only SID is
one for which no entry allows anything.
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
from tests.security.oracle import REPORT, Filter, Translation, compare
from winsandbox._security import access
from winsandbox._security.ace import ALLOW, INHERIT_ONLY
from winsandbox._security.acl import Acl
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


def nothing_is_a_denial(case: Case, theirs: object) -> object:
    return None if case.desired & MAXIMUM_ALLOWED and theirs == 0 else theirs


PLAIN_FILTERS = (
    Filter[Case](
        "maximum-without-dacl",
        "Samba grants only the owner's rights when MAXIMUM_ALLOWED meets a NULL DACL; Windows grants all",
        asks_maximum_without_dacl,
    ),
)
PLAIN_TRANSLATIONS = (
    Translation[Case](
        "maximum-of-nothing",
        "Samba succeeds with an empty mask when MAXIMUM_ALLOWED finds nothing; Windows denies",
        nothing_is_a_denial,
    ),
)


def test_plain_tokens() -> None:
    some = cases(seed=20240601, count=6000)
    answers = ask([question(case, enabled(case), case.desired) for case in some])
    compare(
        "Samba, plain tokens",
        PLAIN_FILTERS,
        ((case, granted(case), theirs if theirs >= 0 else None) for case, theirs in zip(some, answers, strict=True)),
        at_least=5900,
        show=show,
        translations=PLAIN_TRANSLATIONS,
    )


# What counts as a write of a file (facts/semantics, 1.4), bit by bit: not taken from the code under test.
WRITES = sum(
    (
        0x2,  # FILE_WRITE_DATA, FILE_ADD_FILE
        0x4,  # FILE_APPEND_DATA, FILE_ADD_SUBDIRECTORY
        0x10,  # FILE_WRITE_EA
        0x100,  # FILE_WRITE_ATTRIBUTES
        0x10000,  # DELETE
        0x40000,  # WRITE_DAC
        0x80000,  # WRITE_OWNER
        0x1000000,  # ACCESS_SYSTEM_SECURITY
        # and neither FILE_DELETE_CHILD 0x40 nor READ_CONTROL 0x20000 nor SYNCHRONIZE 0x100000
    )
)
NOBODY = Sid.parse("S-1-0-0")
OWNER_RIGHTS = Sid.parse("S-1-3-4")


class Emulated:
    """One case as questions to Samba, and what their answers mean together."""

    def __init__(self, case: Case) -> None:
        self.case = case
        token, owner = case.token, case.descriptor.owner
        assert owner is not None
        effective = [ace for ace in case.descriptor.dacl or () if not ace.flags & INHERIT_ONLY]
        is_owner = owner in enabled(case) and (token.restricting is None or owner in token.restricting)
        self.before = 0 if any(ace.sid == OWNER_RIGHTS for ace in effective) or not is_owner else OWNER_BITS
        if "SeTakeOwnershipPrivilege" in token.privileges:
            self.before |= case.desired & WRITE_OWNER
        self.asked = case.desired & ~self.before

    def questions(self) -> list[list[Any]]:
        token = self.case.token
        deny_only = [group.sid for group in token.groups if group.attributes == GROUP_USE_FOR_DENY_ONLY]
        found = [self._question([*enabled(self.case), *deny_only], deny_only)]
        if token.restricting is not None:
            found.append(self._question(list(token.restricting), []))
        return found

    def _question(self, sids: list[Sid], deny_only: list[Sid]) -> list[Any]:
        descriptor = self.case.descriptor
        dacl = descriptor.dacl
        if dacl is not None:
            owner = descriptor.owner
            replaced = [ace._replace(sid=owner) if ace.sid == OWNER_RIGHTS else ace for ace in dacl]
            dacl = Acl(ace for ace in replaced if ace.type != ALLOW or ace.sid not in deny_only)
        nobodys = SecurityDescriptor(NOBODY, descriptor.group, descriptor.control, dacl)
        return ["check", nobodys.to_bytes().hex(), [str(sid) for sid in sids], self.asked, False]

    def answer(self, normal: int, restricted: int | None = None) -> int | None:
        maximum = self.case.desired & MAXIMUM_ALLOWED
        named = self.asked & ~MAXIMUM_ALLOWED
        if not self.asked:
            return self.case.desired
        if normal < 0:
            return None
        found = normal & ~self.before
        if restricted is not None and not (
            self.case.token.write_restricted and not (found if maximum else named) & WRITES
        ):
            if restricted < 0:
                return None
            found &= restricted
        if not maximum:
            return self.case.desired
        return None if named & ~found else found | self.before


def emulate(title: str, some: list[Case], *, at_least: int) -> None:
    emulations = [Emulated(case) for case in some]
    asked = [one.questions() for one in emulations]
    replies = iter(ask([one for questions in asked for one in questions]))
    compare(
        title,
        PLAIN_FILTERS,
        (
            (one.case, granted(one.case), one.answer(*(next(replies) for _ in questions)))
            for one, questions in zip(emulations, asked, strict=True)
        ),
        at_least=at_least,
        show=show,
        translations=PLAIN_TRANSLATIONS,
    )


def test_disabled_and_deny_only_groups() -> None:
    some = cases(seed=20240602, count=6000, states=True)
    emulate("Samba, disabled and deny-only groups", some, at_least=5900)


def test_restricted_tokens() -> None:
    some = cases(seed=20240603, count=12000, restricted=True)
    emulate("Samba, restricted and write-restricted tokens, two calls", some, at_least=11800)


def test_restricted_tokens_with_states() -> None:
    some = cases(seed=20240613, count=6000, restricted=True, states=True)
    emulate("Samba, restricted tokens with disabled and deny-only groups", some, at_least=5900)


def test_the_write_mask_is_the_one_of_the_table() -> None:
    assert FILE.write_mask == WRITES


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
    REPORT.append(f"Samba, layout: {compared} descriptors have the same bytes")
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
        (),
        (
            (text, ours(text), theirs)
            for text, theirs in zip(texts, ask([["sid", text] for text in texts]), strict=True)
        ),
        at_least=4000,
        show=repr,
        translations=(
            Translation(
                "revision",
                "Samba takes any revision in a SID's text; Windows knows 1",
                lambda text, theirs: theirs if text[2:3] == "1" else None,
            ),
        ),
    )
