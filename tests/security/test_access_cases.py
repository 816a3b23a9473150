"""Cases of the access check, each worked out by hand from the rules (facts: steps 0 to 7 of access.py's docstring).

A row: token, descriptor, what is asked, what is granted under the reading "whole" (a mask, or a status), and under
"write-bits" where that differs. U is the user, V another one; C1 is a restricting SID that is no group; the descriptors
have BU as their group unless they name one, and V as their owner unless they name one.
"""

from __future__ import annotations

import dataclasses

import pytest

from winsandbox._security import access
from winsandbox._security.access import Status
from winsandbox._security.descriptor import SecurityDescriptor
from winsandbox._security.mask import EVENT, FILE, KEY, MUTANT, PROCESS, SECTION, THREAD, TOKEN, GenericMapping
from winsandbox._security.sid import Sid
from winsandbox._security.token import Group, Token

NAMES = {"$U": "S-1-5-21-1-2-3-1001", "$V": "S-1-5-21-1-2-3-1002", "$L": "S-1-5-5-0-12345",
         "$C1": "S-1-5-21-11-22-33-44", "$OFF": "S-1-5-21-1-2-3-2000"}  # fmt: skip
U, LOGON, C1 = (Sid.parse(NAMES[name]) for name in ("$U", "$L", "$C1"))
WD = Sid.parse("WD")

PLAIN = Token(
    U,
    (*(Group(Sid.parse(name)) for name in ("WD", "BU", "AU", "IU")), Group(LOGON), Group(Sid.parse("BA"), 0x10),
     Group(Sid.parse(NAMES["$OFF"]), 0)),
)  # fmt: skip


def with_privileges(token: Token, *names: str) -> Token:
    return dataclasses.replace(token, privileges=frozenset(f"Se{name}Privilege" for name in names))


def at(token: Token, level: int) -> Token:
    return dataclasses.replace(token, integrity=level)


R = dataclasses.replace(PLAIN, restricting=(WD, LOGON, C1))
W = dataclasses.replace(R, write_restricted=True)
TOKENS = {
    "plain": PLAIN,
    "nobody": dataclasses.replace(PLAIN, user_deny_only=True),
    "both": Token(U, (Group(WD), Group(Sid.parse("BU"), 0x14))),
    "admin": with_privileges(PLAIN, "TakeOwnership", "Security"),
    "takeown": with_privileges(PLAIN, "TakeOwnership"),
    "low": at(PLAIN, 0x1000),
    "untrusted": at(PLAIN, 0),
    "low relabel": at(with_privileges(PLAIN, "Relabel"), 0x1000),
    "low takeown": at(with_privileges(PLAIN, "TakeOwnership"), 0x1000),
    "r": R,
    "r user": dataclasses.replace(R, restricting=(U, C1)),
    "r empty": dataclasses.replace(R, restricting=()),
    "w": W,
    "w user": dataclasses.replace(W, restricting=(U, C1)),
    "w empty": dataclasses.replace(W, restricting=()),
    "w takeown": with_privileges(W, "TakeOwnership"),
    "w low": at(dataclasses.replace(W, restricting=(WD, C1)), 0x1000),
}
MAX = 0x2000000
DENIED, NO_PRIVILEGE = Status.ACCESS_DENIED, Status.PRIVILEGE_NOT_HELD
INVALID, NOT_MAPPED = Status.INVALID_SECURITY_DESCR, Status.GENERIC_NOT_MAPPED

Answer = int | Status
CASES: list[tuple[str, str, int, Answer, Answer | None]] = [
    # The owner's implicit rights.
    ("plain", "O:$UD:", 0x60000, 0x60000, None),
    ("plain", "O:$UD:", 0x60001, DENIED, None),
    ("plain", "O:$UD:", 0x20000, 0x20000, None),
    ("plain", "O:$UD:", 0x10000, DENIED, None),
    ("plain", "O:$UD:", MAX, 0x60000, None),
    ("plain", "O:$UD:(D;;FA;;;$U)(D;;FA;;;WD)", 0x60000, 0x60000, None),
    ("plain", "O:$UD:(D;;FA;;;$U)(A;;FA;;;WD)", 0x60001, DENIED, None),
    ("plain", "O:$UD:(D;;FA;;;$U)", MAX, 0x60000, None),
    ("plain", "O:$UD:(D;;FA;;;$U)", MAX | 0x1, DENIED, None),
    ("plain", "O:BUD:", 0x40000, 0x40000, None),
    ("plain", "O:BAD:", 0x40000, DENIED, None),
    ("plain", "O:$OFFD:", 0x40000, DENIED, None),
    ("nobody", "O:$UD:", 0x40000, DENIED, None),
    ("both", "O:BUD:", 0x40000, DENIED, None),
    ("r", "O:$UD:", 0x20000, DENIED, None),
    ("r", "O:$LD:", 0x60000, 0x60000, None),
    ("w", "O:$UD:", 0x20000, DENIED, None),
    ("w user", "O:$UD:", 0x60000, 0x60000, None),
    ("w user", "O:$UD:(A;;FR;;;WD)", 0x60001, 0x60001, None),
    ("w user", "O:$UD:(A;;FR;;;WD)", MAX, 0x160089, None),
    # OWNER RIGHTS.
    ("plain", "O:$UD:(A;;RC;;;OW)", 0x40000, DENIED, None),
    ("plain", "O:$UD:(A;;RC;;;OW)", 0x20000, 0x20000, None),
    ("plain", "O:$UD:(A;;WD;;;OW)(A;;RC;;;OW)", 0x60000, 0x60000, None),
    ("plain", "O:$UD:(D;;WD;;;OW)(A;;FA;;;$U)", 0x40000, DENIED, None),
    ("plain", "O:$UD:(D;;WD;;;OW)(A;;FA;;;$U)", MAX, 0x1B01FF, None),
    ("plain", "O:$UD:(A;;FA;;;$U)(D;;WD;;;OW)", 0x40000, 0x40000, None),
    ("plain", "O:$UD:(A;;FA;;;$U)(D;;WD;;;OW)", MAX, 0x1F01FF, None),
    ("plain", "D:(A;;FA;;;OW)", 0x1, DENIED, None),
    ("plain", "D:(D;;FA;;;OW)(A;;FA;;;WD)", 0x1, 0x1, None),
    ("plain", "O:BAD:(A;;FA;;;OW)", 0x1, DENIED, None),
    ("plain", "O:BAD:(D;;0x1;;;OW)(A;;FA;;;WD)", 0x1, DENIED, None),
    ("r", "O:$UD:(A;;FA;;;OW)", 0x1, DENIED, None),
    ("r user", "O:$UD:(A;;FA;;;OW)", 0x2, 0x2, None),
    ("w", "O:$UD:(A;;FA;;;OW)", 0x1, 0x1, None),
    ("w", "O:$UD:(A;;FA;;;OW)", 0x2, DENIED, None),
    ("w", "O:$UD:(A;;FA;;;OW)", 0x40, 0x40, None),
    ("w user", "O:$UD:(A;;FA;;;OW)", 0x2, 0x2, None),
    # Deny-only and disabled SIDs.
    ("nobody", "O:$UD:(A;;FA;;;$U)(A;;FR;;;WD)", MAX, 0x120089, None),
    ("nobody", "O:$UD:(D;;0x1;;;$U)(A;;FA;;;WD)", 0x1, DENIED, None),
    ("nobody", "O:$UD:(D;;0x1;;;$U)(A;;FA;;;WD)", 0x2, 0x2, None),
    ("plain", "D:(A;;FA;;;BA)", 0x1, DENIED, None),
    ("plain", "D:(D;;0x2;;;BA)(A;;FA;;;WD)", MAX, 0x1F01FD, None),
    ("plain", "D:(D;;0x2;;;BA)(A;;FA;;;WD)", 0x2, DENIED, None),
    ("plain", "D:(A;;FA;;;WD)(D;;0x2;;;BA)", 0x2, 0x2, None),
    ("both", "D:(A;;FA;;;BU)", 0x1, DENIED, None),
    ("both", "D:(D;;FA;;;BU)(A;;FA;;;WD)", 0x1, DENIED, None),
    ("plain", "D:(D;;FA;;;$OFF)(A;;FR;;;WD)", 0x1, 0x1, None),
    ("plain", "D:(A;;FA;;;$OFF)", 0x1, DENIED, None),
    # MAXIMUM_ALLOWED.
    ("plain", "D:(A;;0x1;;;WD)(D;;0x3;;;WD)(A;;FA;;;WD)", MAX, 0x1F01FD, None),
    ("plain", "D:(D;;FA;;;$V)(A;;FR;;;WD)", MAX, 0x120089, None),
    ("plain", "D:(D;OICIIO;FA;;;WD)(A;;FR;;;WD)", MAX, 0x120089, None),
    ("plain", "D:(A;;0x2;;;WD)", MAX | 0x1, DENIED, None),
    ("plain", "D:(A;;0x2;;;WD)", MAX | 0x2, 0x2, None),
    ("plain", "D:(D;;0x2;;;WD)(A;;FA;;;WD)", MAX | 0x2, DENIED, None),
    ("plain", "D:", MAX, DENIED, None),
    ("plain", "D:(A;;;;;WD)", MAX, DENIED, None),
    ("plain", "", MAX, 0x1F01FF, None),
    ("w", "D:NO_ACCESS_CONTROL", MAX, 0x1F01FF, None),
    ("plain", "D:(A;;FA;;;WD)", 0, 0, None),
    ("plain", "D:", 0, 0, None),
    # Empty lists of restricting SIDs.
    ("r empty", "D:(A;;FA;;;WD)", 0x1, DENIED, None),
    ("r empty", "D:(A;;FA;;;WD)", MAX, DENIED, None),
    ("r empty", "", 0x2, 0x2, None),
    ("w empty", "D:(A;;FA;;;WD)", 0x1200A9, 0x1200A9, None),
    ("w empty", "D:(A;;FA;;;WD)", 0x2, DENIED, None),
    ("w empty", "D:(A;;FA;;;WD)", 0x40, 0x40, None),
    ("w empty", "D:(A;;FA;;;WD)", MAX, DENIED, 0x1200E9),
    ("w empty", "D:(A;;FR;;;WD)", MAX, 0x120089, None),
    ("w empty", "", 0x2, 0x2, None),
    # The two readings of the second pass.
    ("w", "D:(A;;FA;;;$U)(A;;0x2;;;$C1)", 0x3, DENIED, 0x3),
    ("w", "D:(A;;FA;;;$U)(A;;0x3;;;$C1)", 0x3, 0x3, None),
    ("w", "D:(A;;FA;;;$U)(D;;0x1;;;$C1)(A;;FA;;;$C1)", 0x3, DENIED, 0x3),
    ("w", "D:(A;;FA;;;$U)(D;;0x1;;;$C1)(A;;FA;;;$C1)", 0x2, 0x2, None),
    ("w", "D:(A;;FA;;;$U)(D;;0x2;;;$C1)(A;;FA;;;$C1)", 0x1, 0x1, None),
    ("w", "D:(A;;FA;;;$U)(D;;0x2;;;$C1)(A;;FA;;;$C1)", 0x3, DENIED, None),
    ("r", "D:(A;;FA;;;$U)(A;;0x2;;;$C1)", 0x3, DENIED, None),
    ("r", "D:(A;;FA;;;$U)(A;;0x2;;;$C1)", MAX, 0x2, None),
    ("w", "D:(A;;FR;;;$U)", MAX, 0x120089, None),
    ("w", "D:(A;;FA;;;$U)(A;;0x2;;;$C1)", MAX, 0x2, 0x1200EB),
    ("w", "D:(A;;FA;;;$U)(A;;0x2;;;$C1)", MAX | 0x1, DENIED, 0x1200EB),
    ("w", "D:(A;;FA;;;$U)(A;;0x41;;;$C1)", MAX | 0x41, 0x41, 0x1200E9),
    # Integrity labels.
    ("low", "D:(A;;FA;;;WD)", 0x2, DENIED, None),
    ("low", "D:(A;;FA;;;WD)", 0x1200A9, 0x1200A9, None),
    ("low", "D:(A;;FA;;;WD)", MAX, 0x1200A9, None),
    ("low", "D:(A;;FA;;;WD)", MAX | 0x2, DENIED, None),
    ("low", "", MAX, 0x1200A9, None),
    ("low", "", 0x40, DENIED, None),
    ("low", "O:$UD:", MAX, 0x20000, None),
    ("low", "O:$UD:", 0x40000, DENIED, None),
    ("low", "D:(A;;FA;;;WD)S:(ML;;NWNRNX;;;HI)", MAX, DENIED, None),
    ("low", "S:(ML;;NWNRNX;;;HI)", MAX, DENIED, None),
    ("low", "D:(A;;FA;;;WD)S:(ML;;NWNR;;;ME)", MAX, 0x1200A0, None),
    ("low", "D:(A;;FA;;;WD)S:(ML;;;;;ME)", MAX, 0x1201BF, None),
    ("low", "D:(A;;FA;;;WD)S:(ML;;NW;;;LW)", MAX, 0x1F01FF, None),
    ("plain", "D:(A;;FA;;;WD)S:(ML;;NX;;;HI)", MAX, 0x12019F, None),
    ("plain", "D:(A;;FA;;;WD)S:(ML;;NW;;;MP)", 0x2, DENIED, None),
    ("plain", "D:(A;;FA;;;WD)S:(ML;;NW;;;ME)", 0x2, 0x2, None),
    ("untrusted", "D:(A;;FA;;;WD)S:(ML;;NW;;;LW)", 0x2, DENIED, None),
    ("untrusted", "D:(A;;FA;;;WD)S:(ML;;NW;;;S-1-16-0)", 0x2, 0x2, None),
    ("low relabel", "D:(A;;FA;;;WD)", MAX, 0x1A00A9, None),
    ("low relabel", "D:(A;;FR;;;WD)", 0x80000, 0x80000, None),
    ("low relabel", "D:(A;;FR;;;WD)S:(ML;;NWNRNX;;;HI)", 0x80000, 0x80000, None),
    ("low takeown", "D:(A;;FA;;;WD)", 0x80000, DENIED, None),
    # The label comes before the passes: no write bit comes up, so no second pass is made.
    ("w low", "O:$UD:(A;;FA;;;$U)", MAX, 0x1200A9, None),
    ("w low", "O:$UD:(A;;FA;;;$U)S:(ML;;NW;;;LW)", MAX, DENIED, 0x1200E9),
    ("w", "O:$UD:(A;;FA;;;$U)", MAX, DENIED, 0x1200E9),
    ("w low", "O:$UD:(A;;FA;;;$U)S:(ML;;NR;;;ME)", MAX, DENIED, 0x1200A0),
    # Privileges.
    ("plain", "D:(A;;0x1000000;;;WD)", 0x1000000, NO_PRIVILEGE, None),
    ("plain", "", 0x1000000, NO_PRIVILEGE, None),
    ("plain", "D:(A;;FA;;;WD)", MAX | 0x1000000, NO_PRIVILEGE, None),
    ("admin", "D:", 0x1000000, 0x1000000, None),
    ("admin", "D:", 0x1080000, 0x1080000, None),
    ("admin", "D:(A;;FR;;;WD)", MAX | 0x1000000, 0x1120089, None),
    ("admin", "D:(A;;FR;;;WD)", MAX, 0x120089, None),
    ("takeown", "D:(D;;WO;;;WD)", 0x80000, 0x80000, None),
    ("takeown", "D:(A;;FR;;;WD)", MAX | 0x80000, 0x1A0089, None),
    ("takeown", "D:", MAX | 0x80000, 0x80000, None),
    ("w takeown", "D:(A;;FA;;;$U)", 0x80001, 0x80001, None),
    ("w takeown", "D:(A;;FA;;;$U)", 0x80002, DENIED, None),
    # No list, no owner, generic rights, creators.
    ("plain", "", 0x1F01FF, 0x1F01FF, None),
    ("r", "D:NO_ACCESS_CONTROL", 0x1F01FF, 0x1F01FF, None),
    ("plain", "D:", 0x1, DENIED, None),
    ("plain", "D:(A;;GA;;;WD)", 0x1, DENIED, None),
    ("plain", "D:(D;;GA;;;WD)(A;;FA;;;WD)", 0x1, 0x1, None),
    ("plain", "D:(A;;FA;;;WD)", 0x80000000, NOT_MAPPED, None),
    ("plain", "D:(A;;FA;;;WD)", MAX | 0x10000000, NOT_MAPPED, None),
    ("plain", "", 0x40000000, NOT_MAPPED, None),
    ("plain", "O:$UD:(A;;FA;;;CO)", 0x1, DENIED, None),
    ("plain", "G:WDD:(A;;FA;;;CG)", 0x1, DENIED, None),
    ("plain", "O:$UD:(D;;FA;;;CO)(A;;FA;;;WD)", 0x1, 0x1, None),
    ("plain", "D:(A;;FA;;;PS)", 0x1, DENIED, None),
]  # fmt: skip


def descriptor(text: str) -> SecurityDescriptor:
    for name, sid in NAMES.items():
        text = text.replace(name, sid)
    owner = "" if text.startswith("O:") else f"O:{NAMES['$V']}"
    group = "" if "G:" in text else "G:BU"
    return SecurityDescriptor.from_sddl(f"{owner}{group}{text}")


def said(result: access.AccessResult) -> Answer:
    return result.granted if result.allowed else result.status


@pytest.mark.parametrize(("token", "text", "desired", "whole", "per_bit"), CASES)
def test_case(token: str, text: str, desired: int, whole: Answer, per_bit: Answer | None) -> None:
    one, who = descriptor(text), TOKENS[token]
    answers = [access.check(one, who, desired), access.check(one, who, desired, second_pass="write-bits")]
    assert [said(answer) for answer in answers] == [whole, whole if per_bit is None else per_bit]
    most = access.could(one, who, desired)
    if not any(generic in text for generic in ("GA", "GR", "GW", "GX")):
        assert said(most) == said(answers[1])
    assert most.allowed or not any(answers)
    for answer in (*answers, most):
        assert answer.reason.startswith("step")


@pytest.mark.parametrize(
    ("mapping", "text", "desired", "allowed"),
    [
        (KEY, "D:(A;;KA;;;$U)", 0x20019, True),
        (KEY, "D:(A;;KA;;;$U)", 0x2, False),
        (KEY, "D:(A;;KA;;;$U)", 0x4, False),
        (KEY, "D:(A;;KA;;;$U)", 0x20, True),
        (PROCESS, "D:(A;;0x1fffff;;;$U)", 0x1, True),
        (PROCESS, "D:(A;;0x1fffff;;;$U)", 0x10, True),
        (PROCESS, "D:(A;;0x1fffff;;;$U)", 0x2, False),
        (PROCESS, "D:(A;;0x1fffff;;;$U)", 0x40, False),
        (PROCESS, "D:(A;;0x1fffff;;;$U)", 0x2000, False),
        (THREAD, "D:(A;;0x1fffff;;;$U)", 0x1, False),
        (THREAD, "D:(A;;0x1fffff;;;$U)", 0x200, True),
        (THREAD, "D:(A;;0x1fffff;;;$U)", 0x400, False),
        (TOKEN, "D:(A;;0xf01ff;;;$U)", 0xE, True),
        (TOKEN, "D:(A;;0xf01ff;;;$U)", 0x20, False),
        (TOKEN, "D:(A;;0xf01ff;;;$U)", 0x100, False),
        (EVENT, "D:(A;;0x1f0003;;;$U)", 0x100001, True),
        (EVENT, "D:(A;;0x1f0003;;;$U)", 0x2, False),
        (MUTANT, "D:(A;;0x1f0001;;;$U)", 0x120001, True),
        (MUTANT, "D:(A;;0x1f0001;;;$U)", 0x1F0001, False),
        (SECTION, "D:(A;;0xf001f;;;$U)", 0x2, False),
        (SECTION, "D:(A;;0xf001f;;;$U)", 0x1D, True),
        (FILE, "D:(A;;FA;;;$U)", 0x1200E9, True),
        *((FILE, "D:(A;;FA;;;$U)", bit, False) for bit in (0x2, 0x4, 0x10, 0x100, 0x10000, 0x40000, 0x80000)),
    ],
)
def test_what_counts_as_a_write(mapping: GenericMapping, text: str, desired: int, allowed: bool) -> None:
    assert access.check(descriptor(text), W, desired, mapping).allowed is allowed
    assert access.check(descriptor(text), PLAIN, desired, mapping)
    everything = descriptor(text.replace("(A", "(A", 1) + text[2:].replace("$U", "$C1"))
    assert access.check(everything, W, desired, mapping)


@pytest.mark.parametrize("text", ["G:BUD:(A;;FA;;;WD)", "O:BUD:(A;;FA;;;WD)", "G:BU", "O:BU", "D:(A;;FA;;;WD)"])
@pytest.mark.parametrize("desired", [0x1, MAX, 0, 0x1000000])
def test_without_owner_or_group_nothing_is_granted(text: str, desired: int) -> None:
    result = access.check(SecurityDescriptor.from_sddl(text), TOKENS["admin"], desired)
    assert (result.status, result.granted) == (INVALID, 0)
    assert result.status.winerror == 1338


@pytest.mark.parametrize(
    ("entry", "sure", "possible"),
    [
        # The owner's WRITE_DAC, where an entry for OWNER RIGHTS may or may not take it away.
        ("(A;;RC;;;OW)", False, False),
        ("(D;;RC;;;OW)", False, False),
        ("(XA;;RC;;;OW;(a))", False, True),
        ("(XD;;RC;;;OW;(a))", False, True),
        ("(XD;;WD;;;OW;(a))", False, True),
        ("(OA;;RC;bf967aba-0de6-11d0-a285-00aa003049e2;;OW)", False, True),
        ("(OD;;WD;;;OW)", False, True),
        ("(XA;;RC;;;OW;(a))(A;;RC;;;OW)", False, False),
        ("(XA;IO;RC;;;OW;(a))", True, True),
        ("(XA;;WD;;;OW;(a))(A;;RC;;;OW)", False, True),
    ],
)
def test_an_uncertain_owner_rights_entry_is_taken_for_both(entry: str, sure: bool, possible: bool) -> None:
    one = descriptor(f"O:$UD:{entry}")
    assert access.check(one, PLAIN, 0x40000).allowed is sure
    assert access.could(one, PLAIN, 0x40000).allowed is possible
    assert access.could(one, PLAIN, MAX).granted & 0x40000 == (0x40000 if possible else 0)


LOW_TEXT = "step 2, integrity: a token at level 0x1000 is below the object's"


@pytest.mark.parametrize(
    ("token", "text", "desired", "says"),
    [
        ("low", "D:(A;;FA;;;WD)S:(ML;;NWNRNX;;;HI)", MAX,
         f"{LOW_TEXT} 0x3000, whose policy (0x7) leaves it no right at all; the DACL is not looked at"),
        ("low", "", MAX, f"{LOW_TEXT} 0x2000, whose policy (0x1) leaves it 0x1200a9 at most; step 6, maximum allowed: "
         "the object has no DACL, so 0x1200a9"),
        ("low", "D:(A;;FA;;;WD)", MAX, f"{LOW_TEXT} 0x2000, whose policy (0x1) leaves it 0x1200a9 at most; "
         "steps 6 and 7, maximum allowed: the first matching entry for each bit gives 0x1200a9; normal pass: "
         "ACE 0 (allow 0x1f01ff for S-1-1-0)"),
        ("low", "D:(A;;0x2;;;WD)", MAX, f"{LOW_TEXT} 0x2000, whose policy (0x1) leaves it 0x1200a9 at most; "
         f"steps 6 and 7, maximum allowed: no right of these is granted to the token's SIDs (user {U})"),
        ("low", "D:(A;;FA;;;WD)", MAX | 0x2, f"{LOW_TEXT} 0x2000, whose policy (0x1) does not leave it 0x2"),
        ("takeown", "D:", 0x80000,
         "step 3, privileges: SeTakeOwnershipPrivilege grants 0x80000, before the DACL is looked at"),
        ("admin", "D:", 0x1080000, "step 3, privileges: SeSecurityPrivilege grants 0x1000000; step 3, privileges: "
         "SeTakeOwnershipPrivilege grants 0x80000, before the DACL is looked at"),
        ("low relabel", "D:", 0x80000, "step 3, privileges: SeRelabelPrivilege grants 0x80000"),
        ("takeown", "O:$UD:", 0xC0000, "step 3, privileges: SeTakeOwnershipPrivilege grants 0x80000; step 4, owner: "
         f"0x40000 is granted to {U}, which owns the object, before the DACL is looked at"),
        ("plain", "O:$UD:(A;;FR;;;WD)", 0x60001, f"step 4, owner: 0x60000 is granted to {U}, which owns the object; "
         "step 6, normal pass: ACE 0 (allow 0x120089 for S-1-1-0) grants what was still missing"),
        ("plain", "O:$U", 0x60001, f"step 4, owner: 0x60000 is granted to {U}, which owns the object; "
         "step 6: the object has no DACL"),
        ("plain", "O:$UD:", MAX, f"step 4, owner: 0x60000 is granted to {U}, which owns the object; steps 6 and 7"),
        ("plain", "D:(D;;0x2;;;WD)(A;;FA;;;WD)", MAX | 0x2,
         "step 6, normal pass: ACE 0 (deny 0x2 for S-1-1-0) denies 0x2, which was named besides MAXIMUM_ALLOWED"),
        ("plain", "D:(A;;FR;;;WD)", MAX | 0x2,
         f"step 6, normal pass: no entry of the 1 grants 0x2 to the token's SIDs (user {U}), which was named besides"),
        ("r", "D:(A;;FA;;;$U)(D;;0x2;;;$C1)", MAX | 0x2,
         f"step 7, restricted pass: ACE 1 (deny 0x2 for {C1}) denies 0x2, which was named besides MAXIMUM_ALLOWED"),
        ("w", "D:(A;;FA;;;$U)(A;;0x2;;;$C1)", MAX | 0x3,
         "step 7, restricted pass: no entry of the 2 grants 0x1 to a restricting SID (S-1-1-0, "),
        ("plain", "D:", MAX,
         f"steps 6 and 7, maximum allowed: no right at all is granted to the token's SIDs (user {U})"),
        ("plain", "D:(A;;FA;;;WD)", MAX | 0x4000000, "0x4000000"),
    ],
)  # fmt: skip
def test_a_reason_names_what_did_it(token: str, text: str, desired: int, says: str) -> None:
    assert says in access.check(descriptor(text), TOKENS[token], desired).reason
