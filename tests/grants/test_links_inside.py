"""Links, pointers and chains that lead out of a protected place into a root: named in the report, never silent."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.grants.scenes import ROOT, workspace
from winsandbox import Policy, Sandbox
from winsandbox.enforcement import Aspect, Level
from winsandbox.errors import AclError
from winsandbox.testing import SimulatedHost, SimulatedProcess

TOOL = r"C:\tools\tool.exe"


@pytest.fixture
def host() -> Iterator[SimulatedHost]:
    with workspace() as made:
        yield made


def verdict(host: SimulatedHost) -> tuple[Level, str]:
    with Sandbox(Policy.workspace(ROOT), host=host) as sandbox:
        found = sandbox.enforcement[Aspect.PROTECTED_PLACES]
        return found.level, "; ".join(found.exceptions)


def test_without_links_the_protected_places_are_enforced(host: SimulatedHost) -> None:
    for _ in range(2):
        assert verdict(host) == (Level.ENFORCED, "")


def test_a_link_inside_a_protected_directory_is_an_exception_at_every_start(host: SimulatedHost) -> None:
    host.mkdir(ROOT + r"\tools\hooks")
    host.junction(ROOT + r"\tools\hooks", ROOT + r"\.git\linked")
    for _ in range(3):
        level, text = verdict(host)
        assert level is Level.PARTIAL
        assert ROOT + r"\.git\linked: a link" in text


def test_a_common_directory_that_a_repository_names_is_protected(host: SimulatedHost) -> None:
    host.write_file(ROOT + r"\.git\commondir", b"../common\n")
    host.write_file(ROOT + r"\common\config")
    host.write_file(ROOT + r"\beside\config")
    seen: dict[str, int] = {}

    def tool(process: SimulatedProcess) -> None:
        for name in ("common", "beside"):
            try:
                process.write(rf"{name}\config", b"x")
                seen[name] = 0
            except PermissionError as error:
                seen[name] = getattr(error, "winerror", -1)

    host.add_program(TOOL, tool)
    with Sandbox(Policy.workspace(ROOT), host=host) as sandbox:
        sandbox.run([TOOL], check=True)
    assert seen == {"common": 5, "beside": 0}


@pytest.mark.parametrize("text", [b"gitdir: //server/share/r", b"gitdir: a:b:c"])
def test_a_pointer_that_is_not_followed_is_an_exception(host: SimulatedHost, text: bytes) -> None:
    host.remove(ROOT + r"\.git")
    host.write_file(ROOT + r"\.git", text)
    level, found = verdict(host)
    assert level is Level.PARTIAL
    assert "not followed" in found


def test_a_pointer_ends_at_a_nul_as_git_reads_it(host: SimulatedHost) -> None:
    host.remove(ROOT + r"\.git")
    host.write_file(ROOT + r"\.git", b"gitdir: real\0zzz\n")
    host.write_file(ROOT + r"\real\config")
    sandbox = Sandbox(Policy.workspace(ROOT), host=host)
    with sandbox:
        assert not sandbox.explain(r"real\config", "write").allowed
        assert sandbox.explain(r"src\x", "write").allowed


def test_a_chain_of_links_is_an_exception(host: SimulatedHost) -> None:
    host.rename(ROOT + r"\.git", ROOT + r"\real")
    host.junction(ROOT + r"\real", ROOT + r"\mid")
    host.junction(ROOT + r"\mid", ROOT + r"\.git")
    level, text = verdict(host)
    assert level is Level.PARTIAL
    assert "links on the way there are not protected" in text


@pytest.mark.parametrize("hole", ["link", "commondir", "commondir to nothing", ""])
def test_no_command_follows_one_that_made_a_repository_with_a_way_out(host: SimulatedHost, hole: str) -> None:
    host.remove(ROOT + r"\.git")
    host.mkdir(ROOT + r"\evil")

    def first(process: SimulatedProcess) -> None:
        process.mkdir(".git")
        process.write(r".git\HEAD", b"ref: refs/heads/main")
        if hole == "link":
            process.junction("evil", r".git\hooks")
        elif hole:
            process.write(r".git\commondir", b"../evil" if hole == "commondir" else b"../none")

    def second(process: SimulatedProcess) -> int:
        try:
            process.write(r"evil\config", b"x")
        except PermissionError as error:
            return int(getattr(error, "winerror", -1))
        return 0

    host.add_program(TOOL, first)
    host.add_program(r"C:\tools\second.exe", second)
    with Sandbox(Policy.workspace(ROOT), host=host) as sandbox:
        sandbox.run([TOOL], check=True)
        if hole in ("", "commondir"):
            assert sandbox.run([r"C:\tools\second.exe"]).returncode == (5 if hole else 0)
        else:
            with pytest.raises(AclError, match="was created"):
                sandbox.run([r"C:\tools\second.exe"])


def test_of_many_links_the_first_are_named(host: SimulatedHost) -> None:
    host.mkdir(ROOT + r"\tools\hooks")
    for number in range(30):
        host.junction(ROOT + r"\tools\hooks", rf"{ROOT}\.git\link{number:02}")
    level, text = verdict(host)
    assert level is Level.PARTIAL
    assert text.count("a link; what it leads to") == 20
