"""Runs in the Python that has Samba's bindings, started by test_samba_oracle.py; reads JSON, answers JSON.

Questions are lists [kind, ...]:
    ["check", descriptor as hex, [SIDs], desired, takes ownership] -> granted mask, or minus the NTSTATUS
    ["to bytes", SDDL] -> hex, or null when Samba refuses the text
    ["to sddl", hex] -> SDDL, or null when Samba refuses the bytes
    ["sid", text] -> hex, or null
"""

from __future__ import annotations

import importlib
import json
import sys
from typing import Any

# Any, and no import statement: type checkers see Samba's bindings on some machines and not on others.
checks: Any = importlib.import_module("samba.security")
security: Any = importlib.import_module("samba.dcerpc.security")
ndr: Any = importlib.import_module("samba.ndr")
NTSTATUSError: Any = importlib.import_module("samba").NTSTATUSError

DOMAIN = security.dom_sid("S-1-5-21-1-2-3")
SIDS: dict[str, Any] = {}


def sid(text: str) -> Any:
    if text not in SIDS:
        SIDS[text] = security.dom_sid(text)
    return SIDS[text]


def check(raw: str, sids: list[str], desired: int, takes_ownership: bool) -> int:
    descriptor = ndr.ndr_unpack(security.descriptor, bytes.fromhex(raw))
    token = security.token()
    token.num_sids = len(sids)  # before the SIDs themselves: they are cut to this number
    token.sids = [sid(text) for text in sids]
    if takes_ownership:
        token.set_privilege(security.SEC_PRIV_TAKE_OWNERSHIP)
    try:
        return int(checks.access_check(descriptor, token, desired))
    except NTSTATUSError as error:
        return -(int(error.args[0]) & 0xFFFFFFFF)


def to_bytes(text: str) -> str | None:
    try:
        return str(ndr.ndr_pack(security.descriptor.from_sddl(text, DOMAIN)).hex())
    except (TypeError, ValueError, RuntimeError):
        return None


def to_sddl(raw: str) -> str | None:
    try:
        return str(ndr.ndr_unpack(security.descriptor, bytes.fromhex(raw)).as_sddl(DOMAIN))
    except (TypeError, ValueError, RuntimeError):
        return None


def sid_bytes(text: str) -> str | None:
    try:
        return str(ndr.ndr_pack(security.dom_sid(text)).hex())
    except (TypeError, ValueError, RuntimeError):
        return None


ANSWERS: dict[str, Any] = {"check": check, "to bytes": to_bytes, "to sddl": to_sddl, "sid": sid_bytes}

if __name__ == "__main__":
    json.dump([ANSWERS[question[0]](*question[1:]) for question in json.load(sys.stdin)], sys.stdout)
