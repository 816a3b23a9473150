"""What a plan promises: never more than its weakest known case."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.plan.facts import ROOT, SECRET, SYSTEM_DRIVE, USER, caller, facts, root
from winsandbox._host import Capabilities, Volume
from winsandbox._plan import make_plan, model_token, session_sid
from winsandbox._survey import Facts
from winsandbox._token import differences
from winsandbox._verdicts import Difference, observed, unproven, without_desktop
from winsandbox.enforcement import Aspect, Basis, Enforcement, Level
from winsandbox.limits import Limits
from winsandbox.network import ALL, NetworkShim
from winsandbox.policy import Policy


def promised(policy: Policy | None = None, found: Facts | None = None, **keywords: dict[Aspect, str]) -> Enforcement:
    found = found or facts(roots=(root(missing=()),))
    return make_plan(
        policy or Policy.workspace(ROOT), found, secret=SECRET, session=session_sid(bytes(12)), **keywords
    ).enforcement


def test_every_aspect_has_a_verdict_with_a_reason() -> None:
    enforcement = promised()
    assert set(enforcement) == set(Aspect)
    assert all(verdict.reason for verdict in enforcement.values())


def test_reads_and_shares_are_never_promised_and_the_network_is_advisory() -> None:
    enforcement = promised()
    assert enforcement[Aspect.READS].level is Level.NONE
    assert enforcement[Aspect.NETWORK_SHARES].level is Level.NONE
    assert enforcement[Aspect.NETWORK].level is Level.ADVISORY
    assert promised(Policy.workspace(ROOT, network=NetworkShim.off()))[Aspect.NETWORK].level is Level.NONE


def test_deletes_outside_are_open_in_the_plain_design_and_say_what_closes_them() -> None:
    verdict = promised()[Aspect.DELETES_OUTSIDE]
    assert verdict.level is Level.NONE
    assert "integrity='low'" in verdict.reason
    assert promised(Policy.workspace(ROOT, integrity="low"))[Aspect.DELETES_OUTSIDE].level is Level.PARTIAL


def test_what_the_shim_keeps_is_an_exception() -> None:
    policy = Policy.workspace(ROOT, network=NetworkShim(keep=("HTTP_PROXY",)))
    assert any("http_proxy" in exception.lower() for exception in promised(policy)[Aspect.NETWORK].exceptions)
    assert promised()[Aspect.NETWORK].exceptions == ()


@pytest.mark.parametrize(
    ("shim", "words"),
    [
        (NetworkShim(extra={"uv_offline": "0"}), ["uv_offline has the value that extra gives it"]),
        (NetworkShim(proxy="http://corp:3128"), ["led to the proxy http://corp:3128, which may let them through"]),
        (NetworkShim(tools=()), ["no tool's variables are set"]),
        (NetworkShim(tools=tuple(tool for tool in ALL if tool not in ("pip", "uv"))), ["left out: pip, uv"]),
        (NetworkShim(tools=("pip", "git")), ["variables are set for git, pip only"]),
        (NetworkShim(stubs=("ssh", "scp")), ["commands without a stub: sftp, "]),
        (NetworkShim(keep=("GIT_CONFIG_COUNT",)), ["GIT_CONFIG_COUNT is kept as the user has it"]),
    ],
)
def test_what_weakens_the_shim_is_an_exception(shim: NetworkShim, words: list[str]) -> None:
    verdict = promised(Policy.workspace(ROOT, network=shim))[Aspect.NETWORK]
    assert verdict.level is Level.ADVISORY
    assert len(verdict.exceptions) == len(words)
    assert all(word in told for word, told in zip(words, verdict.exceptions, strict=True))


@pytest.mark.parametrize(
    "shim",
    [
        NetworkShim(extra={"MINE": "1", "UV_OFFLINE": "1"}, proxy="http://127.0.0.1:9/"),
        NetworkShim(tools=ALL[::-1]),
        NetworkShim(stubs=(*NetworkShim().stubs, "mine")),
    ],
)
def test_what_does_not_weaken_the_shim_is_none(shim: NetworkShim) -> None:
    assert promised(Policy.workspace(ROOT, network=shim))[Aspect.NETWORK].exceptions == ()


def test_a_variable_is_reported_as_kept_only_where_the_shim_would_have_set_it() -> None:
    policy = Policy.workspace(ROOT, network=NetworkShim(tools=("git",), keep=("UV_OFFLINE", "GIT_ALLOW_PROTOCOL")))
    told = [text for text in promised(policy)[Aspect.NETWORK].exceptions if "kept" in text]
    assert told == ["GIT_ALLOW_PROTOCOL is kept as the user has it"]


def test_an_empty_shim_promises_nothing() -> None:
    verdict = promised(Policy.workspace(ROOT, network=NetworkShim(tools=(), stubs=())))[Aspect.NETWORK]
    assert verdict.level is Level.NONE
    assert "empty" in verdict.reason


FAT = Volume("E:\\", 2, "FAT32", 0, "removable")
SHARE = Volume("Z:\\", 3, "NTFS", 8, "remote")


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"drives": (SYSTEM_DRIVE, FAT)}, "E:\\"),
        ({"drives": (SYSTEM_DRIVE, SHARE)}, "Z:\\"),
        ({"open_places": (r"C:\open",)}, r"C:\open"),
        ({"open_places": None}, "were not looked for"),
    ],
)
def test_a_known_or_possible_open_place_is_an_exception(changes: dict[str, object], word: str) -> None:
    assert not any(word in exception for exception in promised()[Aspect.WRITES_OUTSIDE].exceptions)
    verdict = promised(found=facts(roots=(root(missing=()),), **changes))[Aspect.WRITES_OUTSIDE]
    assert verdict.level is Level.PARTIAL
    assert any(word in exception for exception in verdict.exceptions)


@pytest.mark.parametrize("policy", [Policy.workspace(ROOT), Policy.read_only(ROOT)])
def test_writes_outside_always_except_what_was_moved_away_and_what_no_audit_saw(policy: Policy) -> None:
    found = facts(roots=(root(missing=()),) if policy.writable_roots else (), open_places=())
    verdict = promised(policy, found)[Aspect.WRITES_OUTSIDE]
    assert verdict.level is Level.PARTIAL
    moved, places = verdict.exceptions
    assert "moved out of a root" in moved
    assert "private TEMP" in moved
    assert "everyone may write" in places
    assert "no access control list" in places


def test_without_everyone_only_what_has_no_list_is_an_exception() -> None:
    verdict = promised(Policy.workspace(ROOT, restricting=("logon",)))[Aspect.WRITES_OUTSIDE]
    assert not any("everyone" in exception for exception in verdict.exceptions)
    assert any("no access control list" in exception for exception in verdict.exceptions)


@pytest.mark.parametrize("changes", [{}, {"integrity": "low"}, {"limits": Limits(processes=5)}, {"desktop": "shared"}])
def test_nothing_is_enforced_that_has_a_standing_exception(changes: dict[str, Any]) -> None:
    enforcement = promised(Policy.workspace(ROOT, **changes))
    for aspect, verdict in enforcement.verdicts:
        assert (verdict.level is Level.ENFORCED) <= (aspect in (Aspect.PROTECTED_PLACES, Aspect.LIMITS))
        assert not (verdict.level is Level.ENFORCED and verdict.exceptions)


def test_a_missing_protected_place_is_an_exception() -> None:
    assert promised()[Aspect.PROTECTED_PLACES].level is Level.ENFORCED
    verdict = promised(found=facts(roots=(root(missing=(".git",)),), protected=()))[Aspect.PROTECTED_PLACES]
    assert verdict.level is Level.PARTIAL
    assert any(rf"{ROOT}\.git" in exception for exception in verdict.exceptions)


def test_without_guards_or_a_logon_sid_protected_places_are_partial() -> None:
    assert promised(Policy.workspace(ROOT, guards=False))[Aspect.PROTECTED_PLACES].level is Level.PARTIAL
    found = facts(roots=(root(missing=()),), caller=caller(logon=None))
    assert promised(found=found)[Aspect.PROTECTED_PLACES].level is Level.PARTIAL


def test_limits_are_promised_only_where_asked_for() -> None:
    assert promised()[Aspect.LIMITS].level is Level.NONE
    assert promised(Policy.workspace(ROOT, limits=Limits(processes=5)))[Aspect.LIMITS].level is Level.ENFORCED


TOKEN_ASPECTS = (Aspect.WRITES_OUTSIDE, Aspect.PROTECTED_PLACES, Aspect.REGISTRY, Aspect.OTHER_PROCESSES)


def made(**changes: Any) -> tuple[Difference, ...]:
    """How a token differs that is as the plan wants it but for these changes."""
    plan = make_plan(Policy.workspace(ROOT, integrity="low"), facts(), secret=SECRET, session=session_sid(bytes(12)))
    token = replace(model_token(plan, caller().token), **changes.pop("token", {}))
    info = caller(token=token, **{"restricted": True, "default_dacl": plan.token.default_dacl, **changes})
    return differences(plan.token, info)


def test_the_right_token_has_no_difference_and_keeps_the_promises() -> None:
    assert made() == ()
    assert observed(promised(), made()).verdicts == promised().verdicts


@pytest.mark.parametrize(
    ("changes", "level", "word"),
    [
        ({"restricted": False}, Level.NONE, "not restricted"),
        ({"restricted": None}, Level.UNKNOWN, "does not tell"),
        ({"token": {"write_restricted": False}}, Level.NONE, "not write-restricted"),
        ({"token": {"restricting": (USER,)}}, Level.NONE, "restricting SIDs"),
        ({"token": {"privileges": frozenset({"SeChangeNotifyPrivilege", "SeRestorePrivilege"})}}, Level.NONE, "SeRest"),
        ({"token": {"integrity": 0x3000}}, Level.NONE, "integrity"),
    ],
)
def test_a_token_that_restricts_less_takes_every_promise_back(changes: Any, level: Level, word: str) -> None:
    found = made(**changes)
    enforcement = observed(promised(Policy.workspace(ROOT, integrity="low")), found)
    for aspect in (*TOKEN_ASPECTS, Aspect.DELETES_OUTSIDE):
        assert enforcement[aspect].level is level
        assert enforcement[aspect].basis is Basis.OBSERVED
        assert not enforcement[aspect].level.holds
    assert any(word in note for note in enforcement.notes)


def test_a_medium_token_instead_of_a_low_one_takes_the_deletes_back() -> None:
    enforcement = observed(promised(Policy.workspace(ROOT, integrity="low")), made(token={"integrity": 0x2000}))
    assert enforcement[Aspect.DELETES_OUTSIDE].level is Level.NONE
    assert enforcement[Aspect.WRITES_OUTSIDE].level is Level.PARTIAL


def test_another_default_dacl_is_noted_and_takes_nothing_back() -> None:
    found = made(default_dacl=b"")
    assert observed(promised(), found).verdicts == promised().verdicts
    assert observed(promised(), found).notes == ("its default DACL is another",)


@pytest.mark.parametrize(
    ("limits", "excepted"),
    [
        ((), ("the clipboard can be read", "the clipboard can be written")),
        (("clipboard-read",), ("the clipboard can be written",)),
        (("clipboard-read", "clipboard-write"), ()),
    ],
)
def test_what_is_open_of_the_clipboard_is_a_sentence_each(limits: tuple[str, ...], excepted: tuple[str, ...]) -> None:
    assert promised(Policy.workspace(ROOT, ui_limits=limits))[Aspect.USER_INTERFACE].exceptions == excepted


def test_a_desktop_that_could_not_be_made_is_taken_back() -> None:
    enforcement = without_desktop(promised(), "the heap is full")
    assert enforcement[Aspect.USER_INTERFACE].level is Level.NONE
    assert enforcement.notes[-1] == "the heap is full"


def test_a_proof_raises_the_basis_and_not_the_level() -> None:
    proof = {Aspect.WRITES_OUTSIDE: "proven today", Aspect.READS: "proven today"}
    enforcement = promised(proven=proof)
    assert enforcement[Aspect.WRITES_OUTSIDE].basis is Basis.PROVEN
    assert enforcement[Aspect.READS].level is Level.NONE
    assert str(Aspect.WRITES_OUTSIDE) not in unproven(enforcement)
    assert str(Aspect.PROTECTED_PLACES) in unproven(enforcement)


def test_nothing_holds_under_wine() -> None:
    found = facts(
        roots=(root(missing=()),), capabilities=Capabilities("wine", "Wine 8.0", 18362, "AMD64", False, False)
    )
    enforcement = promised(Policy.workspace(ROOT, limits=Limits(processes=5)), found)
    assert not any(verdict.level.holds for verdict in enforcement.values())
    assert enforcement[Aspect.LIMITS].level is Level.UNKNOWN


def test_a_simulated_host_says_so() -> None:
    found = facts(
        roots=(root(missing=()),), capabilities=Capabilities("simulated", "simulated", 0, "AMD64", True, True)
    )
    assert {verdict.basis for verdict in promised(found=found).values()} == {Basis.SIMULATED}
