"""What the survey finds on a host, and which roots it refuses on the real objects whatever their text said."""

from __future__ import annotations

import dataclasses
import ntpath
import re
from typing import Any

import pytest

from winsandbox import Policy, Protect, Sandbox
from winsandbox._host import FileInfo
from winsandbox._plan import SID_TAG, Plan
from winsandbox.enforcement import Aspect, Level
from winsandbox.errors import RootRefused, WinError
from winsandbox.testing import SimulatedHost

ROOT = r"C:\src\project"


@pytest.fixture
def host() -> SimulatedHost:
    host = SimulatedHost()
    host.mkdir(ROOT)
    return host


def plan(host: SimulatedHost, policy: Policy | None = None) -> Plan:
    return Sandbox(policy or Policy.workspace(ROOT), host=host).plan()


def protected(host: SimulatedHost, policy: Policy | None = None) -> set[str]:
    return {place.path for grant in plan(host, policy).grants for place in grant.protected}


def refusals(host: SimulatedHost, *roots: str) -> dict[str, str]:
    with pytest.raises(RootRefused) as caught:
        plan(host, Policy.workspace(roots[0], writable_roots=roots[1:]))
    return {mistake.path: mistake.code for mistake in caught.value.mistakes}


def test_planning_changes_nothing_on_disk(host: SimulatedHost) -> None:
    host.mkdir(rf"{ROOT}\.git")
    before = host.counts["descriptor-write"], host.descriptor(ROOT).to_bytes()
    plan(host)
    assert (host.counts["descriptor-write"], host.descriptor(ROOT).to_bytes()) == before
    assert not host.exists(rf"{ROOT}\.codex")


@pytest.mark.parametrize("winerror", [53, 67, 1231])
def test_a_redirected_folder_that_cannot_be_reached_is_no_local_root(
    host: SimulatedHost, monkeypatch: pytest.MonkeyPatch, winerror: int
) -> None:
    folders = dataclasses.replace(
        host.files.known_folders(), roaming_app_data=r"\\server\home\AppData", program_data="H:\\data"
    )
    ask = host.files.query

    def query(path: str, *, follow: bool = True) -> FileInfo | None:
        if path.startswith("\\\\"):
            raise AssertionError("a server that is away would be waited for")
        if path.startswith("H:"):
            raise WinError(winerror, "CreateFileW", path)
        return ask(path, follow=follow)

    monkeypatch.setattr(host.files, "known_folders", lambda: folders)
    monkeypatch.setattr(host.files, "query", query)
    notes = plan(host).notes
    assert any("server" in note and "not compared" in note for note in notes)
    assert any("H:" in note and "cannot be reached" in note for note in notes)
    folders = dataclasses.replace(folders, roaming_app_data=ROOT)
    assert refusals(host, ROOT) == {ROOT: "root.system"}, "what can be reached is still compared"


def test_another_failure_to_look_at_a_folder_is_none_of_these(
    host: SimulatedHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = dataclasses.replace(host.files.known_folders(), program_data="H:\\data")
    ask = host.files.query

    def query(path: str, *, follow: bool = True) -> FileInfo | None:
        if path.startswith("H:"):
            raise WinError(1117, "CreateFileW", path)
        return ask(path, follow=follow)

    monkeypatch.setattr(host.files, "known_folders", lambda: folders)
    monkeypatch.setattr(host.files, "query", query)
    with pytest.raises(WinError, match="1117"):
        plan(host)


def test_a_protected_place_is_found_in_any_case_and_at_any_depth(host: SimulatedHost) -> None:
    host.mkdir(rf"{ROOT}\.GiT\Hooks")
    assert protected(host) == {rf"{ROOT}\.GiT"}
    policy = Policy.workspace(ROOT, protected_subpaths=[r".git\hooks"])
    (place,) = plan(host, policy).grants[0].protected
    assert place.path == rf"{ROOT}\.GiT\Hooks"
    assert [between.path for between in place.between] == [rf"{ROOT}\.GiT"]


def test_a_git_file_protects_itself_and_what_it_points_to_in_a_root(host: SimulatedHost) -> None:
    host.write_file(rf"{ROOT}\sub\.git", b"gitdir: ../.git/modules/sub\n")
    host.mkdir(rf"{ROOT}\.git\modules\sub")
    policy = Policy.workspace(ROOT, protected_subpaths=[r"sub\.git"])
    assert protected(host, policy) == {rf"{ROOT}\sub\.git", rf"{ROOT}\.git\modules\sub"}


def test_a_worktrees_common_directory_is_protected_where_it_lies_in_a_root(host: SimulatedHost) -> None:
    main = rf"{ROOT}\main\.git"
    host.write_file(rf"{ROOT}\tree\.git", rf"gitdir: {main}\worktrees\tree".replace("\\", "/").encode())
    host.write_file(rf"{main}\worktrees\tree\commondir", b"../..\n")
    found = protected(host, Policy.workspace(rf"{ROOT}\tree", writable_roots=[rf"{ROOT}\main"]))
    assert {rf"{ROOT}\tree\.git", main, rf"{main}\worktrees\tree"} <= found


def test_a_git_pointer_that_leads_outside_is_said(host: SimulatedHost) -> None:
    host.write_file(rf"{ROOT}\.git", b"gitdir: C:/elsewhere/.git/worktrees/x\n")
    host.mkdir(r"C:\elsewhere\.git\worktrees\x")
    made = plan(host)
    assert any(r"C:\elsewhere\.git\worktrees\x, outside every root" in note for note in made.notes)


@pytest.mark.parametrize(
    "text",
    [
        r"\\evil.example\share\x",
        "//evil.example/share/x",
        r"\\.\pipe\x",
        r"\\?\UNC\evil.example\share",
        "Z:/repo/.git",
    ],
)
def test_a_git_pointer_to_a_share_or_device_is_never_opened(host: SimulatedHost, text: str) -> None:
    host.add_share(r"\\server\share", letter="Z:")
    host.write_file(rf"{ROOT}\.git", f"gitdir: {text}\n".encode())
    opened: list[str] = []
    real = host.files.open

    def watched(path: str, *arguments: Any, **keywords: Any) -> Any:
        opened.append(path)
        return real(path, *arguments, **keywords)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(host.files), "open", lambda self, path, *rest, **words: watched(path, *rest, **words))
        made = plan(host)
    assert opened
    assert not [path for path in opened if not path.upper().startswith("C:")]
    assert any("not followed" in text for text in made.enforcement[Aspect.PROTECTED_PLACES].exceptions)
    assert rf"{ROOT}\.git" in {place.path for place in made.grants[0].protected}


def test_under_git_hooks_a_git_file_is_protected_and_so_are_its_targets_hooks(host: SimulatedHost) -> None:
    host.write_file(rf"{ROOT}\.git", b"gitdir: real/worktrees/x\n")
    host.write_file(rf"{ROOT}\real\worktrees\x\commondir", b"../..\n")
    host.mkdir(rf"{ROOT}\real\hooks")
    found = protected(host, Policy.workspace(ROOT, protected_subpaths=Protect.GIT_HOOKS))
    assert {rf"{ROOT}\.git", rf"{ROOT}\real\hooks"} <= found


def test_one_directory_under_two_names_is_one_root(host: SimulatedHost) -> None:
    host.subst("S:", r"C:\src")
    (grant,) = plan(host, Policy.workspace(ROOT, writable_roots=[r"S:\project"])).grants
    assert grant.root.path == ROOT


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"gitdir:", b"gitdir: |?*<>", b"x" * 100_000])
def test_a_git_file_with_any_content_is_protected_and_never_an_error(host: SimulatedHost, content: bytes) -> None:
    host.write_file(rf"{ROOT}\.git", content)
    assert rf"{ROOT}\.git" in protected(host)


def test_a_protected_link_is_protected_and_so_is_its_target_in_a_root(host: SimulatedHost) -> None:
    host.mkdir(rf"{ROOT}\real")
    host.junction(rf"{ROOT}\real", rf"{ROOT}\.git")
    places = {place.path: place for place in plan(host).grants[0].protected}
    assert places[rf"{ROOT}\.git"].link
    assert places[rf"{ROOT}\real"].origin == "link target"


def test_a_link_on_the_way_to_a_protected_place_is_protected_with_what_lies_behind_it(host: SimulatedHost) -> None:
    host.mkdir(rf"{ROOT}\real\hooks")
    host.junction(rf"{ROOT}\real", rf"{ROOT}\.git")
    policy = Policy.workspace(ROOT, protected_subpaths=[r".git\hooks"])
    assert protected(host, policy) == {rf"{ROOT}\.git", rf"{ROOT}\real\hooks"}


@pytest.mark.parametrize("name", [".codex", ".git"])
def test_a_protected_link_to_the_root_itself_is_refused(host: SimulatedHost, name: str) -> None:
    host.junction(ROOT, rf"{ROOT}\{name}")
    assert refusals(host, ROOT) == {ROOT: "root.protected"}


def test_a_protected_link_to_what_holds_the_root_is_an_exception_and_no_false_note(host: SimulatedHost) -> None:
    host.junction(r"C:\src", rf"{ROOT}\.codex")
    made = plan(host)
    verdict = made.enforcement[Aspect.PROTECTED_PLACES]
    assert verdict.level is Level.PARTIAL
    assert any(rf"leads to C:\src, in which {ROOT} stays writable" in text for text in verdict.exceptions)
    assert not any("not writable there" in note for note in made.notes)


def test_the_root_as_a_repository_of_its_own_is_refused_and_a_bare_one_above_it_is_an_exception(
    host: SimulatedHost,
) -> None:
    host.write_file(rf"{ROOT}\.git", b"gitdir: .\n")
    assert refusals(host, ROOT) == {ROOT: "root.protected"}
    # git worktree add in a bare clone: the common directory is the one that holds the worktrees
    host.write_file(rf"{ROOT}\.git", b"gitdir: C:/src/worktrees/project\n")
    host.write_file(r"C:\src\worktrees\project\commondir", b"../..\n")
    assert any("stays writable" in text for text in plan(host).enforcement[Aspect.PROTECTED_PLACES].exceptions)


def test_a_folded_root_that_is_a_protected_place_under_another_name_is_refused(host: SimulatedHost) -> None:
    host.mkdir(rf"{ROOT}\docs\more")
    host.mkdir(rf"{ROOT}\src")
    host.junction(ROOT, r"C:\alias")
    for inside, wrong in (("docs", True), (r"docs\more", True), ("src", False)):
        policy = Policy.workspace(ROOT, writable_roots=[rf"C:\alias\{inside}"], protected_subpaths=["docs"])
        if wrong:
            with pytest.raises(RootRefused, match="at or below the protected place"):
                plan(host, policy)
        else:
            assert len(plan(host, policy).grants) == 1


def test_under_git_hooks_a_git_files_target_is_watched_for_what_is_missing_and_for_redirects(
    host: SimulatedHost,
) -> None:
    host.write_file(rf"{ROOT}\.git", b"gitdir: store\n")
    host.mkdir(rf"{ROOT}\store\hooks")
    host.write_file(rf"{ROOT}\store\commondir", b"\n")
    (grant,) = plan(host, Policy.workspace(ROOT, protected_subpaths=Protect.GIT_HOOKS)).grants
    assert {rf"{ROOT}\store\hooks", rf"{ROOT}\store\commondir"} <= {place.path for place in grant.protected}
    assert {rf"{ROOT}\store\config", rf"{ROOT}\store\gitdir"} <= set(grant.watch)
    assert not any(path.startswith(rf"{ROOT}\.git") for path in grant.watch), "nothing can appear behind a file"


def test_a_folded_root_keeps_its_protected_names(host: SimulatedHost) -> None:
    host.mkdir(rf"{ROOT}\sub\.git")
    made = plan(host, Policy.workspace(ROOT, writable_roots=[rf"{ROOT}\sub"]))
    (grant,) = made.grants
    assert grant.root.path == ROOT
    assert rf"{ROOT}\sub\.git" in {place.path for place in grant.protected}
    assert rf"{ROOT}\sub\.codex" in grant.watch


def test_under_git_hooks_the_redirecting_names_are_watched(host: SimulatedHost) -> None:
    host.mkdir(rf"{ROOT}\.git\hooks")
    host.write_file(rf"{ROOT}\.git\config")
    (grant,) = plan(host, Policy.workspace(ROOT, protected_subpaths=Protect.GIT_HOOKS)).grants
    assert {rf"{ROOT}\.git\commondir", rf"{ROOT}\.git\config.worktree", rf"{ROOT}\.git\gitdir"} <= set(grant.watch)


def test_the_grant_is_the_same_under_another_spelling_of_the_root(host: SimulatedHost) -> None:
    host.subst("S:", r"C:\src")
    sids = set()
    secret_kept = r"C:\state-of-test"
    with Sandbox(Policy.workspace(ROOT), host=host, state_dir=secret_kept):
        pass
    for spelling in (ROOT, ROOT.upper(), ROOT.replace("\\", "/"), r"S:\project"):
        sids.add(Sandbox(Policy.workspace(spelling), host=host, state_dir=secret_kept).plan().grants[0].sid)
    assert len(sids) == 1


def test_each_root_that_cannot_be_granted_is_refused_with_its_reason(host: SimulatedHost) -> None:
    host.write_file(r"C:\file")
    host.mkdir(r"C:\target")
    host.junction(r"C:\target", r"C:\link")
    host.mkdir(r"C:\null", "D:NO_ACCESS_CONTROL")
    host.mkdir(r"C:\foreign", "O:SYD:P(A;OICI;FA;;;SY)(A;OICI;0x1200a9;;;BU)", as_system=True)
    host.add_volume("E:", acls=False)
    host.mkdir(r"E:\stick")
    host.add_share(r"\\server\share", letter="Z:")
    wrong = [r"C:\file", r"C:\link", r"C:\null", r"C:\foreign", r"E:\stick", r"Z:\x", r"C:\missing"]
    found = refusals(host, *wrong)
    assert found[r"C:\file"] == "root.file"
    assert found[r"C:\link"] == "root.link"
    assert found[r"C:\null"] == "root.null-dacl"
    assert found[r"C:\foreign"] == "root.write-dac"
    assert found[r"E:\stick"] == "root.no-acls"
    assert found[r"C:\missing"] == "root.missing"
    assert set(found) == set(wrong)


def test_without_write_dac_the_icacls_line_is_printed(host: SimulatedHost) -> None:
    host.mkdir(r"C:\foreign", "O:SYD:P(A;OICI;FA;;;SY)(A;OICI;0x1200a9;;;BU)", as_system=True)
    with pytest.raises(
        RootRefused, match=r'icacls "C:\\foreign" /grant "\*S-1-5-21-[\d-]+:\(OI\)\(CI\)\(RC,WDAC\)" /T'
    ):
        plan(host, Policy.workspace(r"C:\foreign"))


def test_low_integrity_needs_write_owner_too(host: SimulatedHost) -> None:
    host.mkdir(r"C:\half", "O:SYD:P(A;OICI;FA;;;SY)(A;OICI;0x1701ff;;;U)", as_system=True)
    assert plan(host, Policy.workspace(r"C:\half")).grants
    with pytest.raises(RootRefused, match="WRITE_OWNER"):
        plan(host, Policy.workspace(r"C:\half", integrity="low"))


@pytest.mark.parametrize("integrity", ["medium", "low"])
def test_following_the_printed_icacls_line_makes_the_next_start_succeed(host: SimulatedHost, integrity: Any) -> None:
    root = r"C:\half"
    missing = 0x80000 if integrity == "low" else 0xC0000
    rights = f"O:SYD:(A;OICI;FA;;;SY)(A;OICI;0x{0x1F01FF & ~missing:x};;;U)"
    for name in (".git", "src"):
        host.mkdir(rf"{root}\{name}", rights, as_system=True)
        host.write_file(rf"{root}\{name}\file", b"", rights, as_system=True)
    host.set_sddl(root, rights)
    policy = Policy.workspace(root, integrity=integrity)
    with pytest.raises(RootRefused) as caught:
        plan(host, policy)
    line = caught.value.mistakes[0].remedy
    asked = re.fullmatch(r'.*:  icacls "(.*)" /grant "\*S-1-5-21-[\d-]+:\(OI\)\(CI\)\(([A-Z,]+)\)" /T', line)
    assert asked is not None, line
    letters = {"RC": 0x20000, "WDAC": 0x40000, "WO": 0x80000}
    granted = sum(letters[letter] for letter in asked[2].split(","))
    for name in host.tree(asked[1]):
        path = f"{asked[1]}\\{name}".rstrip("\\")
        host.set_sddl(path, f"{rights}(A;OICI;0x{granted:x};;;U)")
    with Sandbox(policy, host=host) as sandbox:
        assert not [note for note in sandbox.enforcement.notes if "could not be granted" in note]
    with Sandbox(policy, host=host):
        pass
    assert f"S-1-5-21-{SID_TAG}" in host.sddl(rf"{root}\src\file")


def test_a_forbidden_place_is_refused_under_another_name_too(host: SimulatedHost) -> None:
    folders = host.files.known_folders()
    host.subst("P:", ntpath.dirname(folders.profile))
    assert refusals(host, rf"P:\{ntpath.basename(folders.profile)}") != {}
    host.junction(folders.local_app_data, r"C:\innocent")
    host.mkdir(rf"{folders.local_app_data}\Programs")
    host.mkdir(rf"{folders.profile}\Documents")
    assert refusals(host, r"C:\innocent\Programs") != {}, "AppData by a junction on the way"
    assert plan(host, Policy.workspace(rf"{folders.profile}\Documents")).grants, "the twin: a directory of the profile"


@pytest.mark.parametrize("state", [rf"{ROOT}\state", ROOT, rf"{ntpath.dirname(ROOT)}"])
def test_a_root_at_above_or_below_the_state_directory_is_refused(host: SimulatedHost, state: str) -> None:
    host.mkdir(state)
    with pytest.raises(RootRefused) as caught:
        Sandbox(Policy.workspace(ROOT), host=host, state_dir=state).plan()
    assert {mistake.code for mistake in caught.value.mistakes} == {"root.state"}
    assert Sandbox(Policy.workspace(ROOT), host=host, state_dir=r"C:\other").plan().grants


def test_a_survey_leaves_no_handle_open(host: SimulatedHost) -> None:
    host.mkdir(rf"{ROOT}\.git")
    host.junction(ROOT, r"C:\link")
    before = len(host.open_handles())
    plan(host)
    refusals(host, r"C:\link", r"C:\missing")
    assert len(host.open_handles()) == before
