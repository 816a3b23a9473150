"""The command line on Windows, Wine included: a real command through CreateProcessAsUserW."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.capabilities import elevation, has, needs
from tests.cli.commandline import winsandbox

pytestmark = needs("windows")


@pytest.fixture
def scratch() -> Iterator[Path]:
    """A directory that may be a root: pytest's own lies in AppData. os.mkdir, so that it inherits its descriptor."""
    import shutil

    place = Path.home() / f"winsandbox-test-{os.urandom(6).hex()}"
    os.mkdir(place)
    yield place
    shutil.rmtree(place)


def options(scratch: Path) -> list[str]:
    # Where the token does not restrict, that has to be accepted beforehand; where it does, nothing is excused.
    require = "full" if has("restricting tokens") else "best-effort"
    state = str(scratch / "state")
    (scratch / "root").mkdir(exist_ok=True)
    root = str(scratch / "root")
    return ["--root", root, "--require", require, "--elevated", elevation(), "--state-dir", state, "--keep", "session"]


def test_run_gives_the_commands_output_and_exit_code(scratch: Path) -> None:
    done = winsandbox("run", *options(scratch), "--", "cmd", "/c", "echo hello& echo warned 1>&2& exit 7")
    assert done.returncode == 7, done.stderr
    assert done.stdout.strip() == "hello"
    assert "warned" in done.stderr


def test_an_exit_code_beyond_a_signed_int_comes_through(scratch: Path) -> None:
    done = winsandbox("run", *options(scratch), "--", "cmd", "/c", "exit -1073741502")
    assert done.returncode & 0xFFFFFFFF == 0xC0000142, done.stderr
    assert "desktop" in done.stderr


def test_run_works_in_the_root_and_the_file_is_there(scratch: Path) -> None:
    done = winsandbox("run", *options(scratch), "--", "cmd", "/c", "echo hello> a.txt")
    assert done.returncode == 0, done.stderr
    assert (scratch / "root" / "a.txt").read_text().strip() == "hello"


@needs("wine")
def test_under_wine_it_says_that_nothing_is_restricted(scratch: Path) -> None:
    chosen = options(scratch)
    done = winsandbox("run", *chosen, "--report", "--", "cmd", "/c", "echo hello")
    assert done.returncode == 0, done.stderr
    assert "Wine" in done.stderr
    for aspect in ("writes outside", "protected places"):
        line = next(line for line in done.stderr.splitlines() if line.strip().startswith(aspect))
        assert "unknown" in line or "none" in line
        assert "(observed)" in line
    strict = [word if word != "best-effort" else "full" for word in chosen]
    refused = winsandbox("run", *strict, "--", "cmd", "/c", "echo hello")
    assert refused.returncode == 125
    assert "restricted" in refused.stderr
    assert refused.stdout == "", "nothing was run"


@needs("restricting tokens", "stored acls")
def test_on_windows_writes_outside_are_refused(scratch: Path) -> None:
    (scratch / "outside").mkdir()
    target = scratch / "outside" / "x.txt"
    done = winsandbox("run", *options(scratch), "--", "cmd", "/c", f'echo x> "{target}"')
    assert done.returncode != 0
    assert not target.exists()
    inside = winsandbox("run", *options(scratch), "--", "cmd", "/c", "echo x> x.txt")
    assert inside.returncode == 0, "the twin"


def test_exit_codes_of_commands_that_do_not_start(scratch: Path) -> None:
    done = winsandbox("run", *options(scratch), "--", "no-such-command-here")
    assert done.returncode == 127
    assert "no-such-command-here" in done.stderr
    (scratch / "root" / "text.exe").write_text("no program")
    assert winsandbox("run", *options(scratch), "--", str(scratch / "root" / "text.exe")).returncode == 126


def test_a_users_mistake_is_told_once_and_names_what_is_wrong(scratch: Path) -> None:
    chosen = options(scratch)
    place = str(scratch / "root")
    for changed, code, words in (
        ([*chosen, "--cwd", "nope"], 126, rf"{place}\nope does not exist"),
        ([word if word != place else str(scratch / "none") for word in chosen], 125, "none: does not exist"),
        ([word if word != place else "" for word in chosen], 125, "is empty"),
        ([word if word != place else "name. " for word in chosen], 125, "ends with a dot or a space"),
    ):
        done = winsandbox("run", *changed, "--", "cmd", "/c", "exit 0")
        assert done.returncode == code, done.stderr
        assert done.stderr.count(words) == 1, done.stderr


def test_a_relative_working_directory_lies_in_the_first_root(scratch: Path) -> None:
    chosen = options(scratch)
    (scratch / "root" / "src").mkdir()
    done = winsandbox("run", *chosen, "--cwd", "src", "--", "cmd", "/c", "echo x> here.txt")
    assert done.returncode == 0, done.stderr
    assert (scratch / "root" / "src" / "here.txt").exists()


def test_a_timeout_ends_the_command(scratch: Path) -> None:
    done = winsandbox("run", *options(scratch), "--timeout", "1", "--", "cmd", "/c", "ping -n 60 127.0.0.1 >NUL")
    assert done.returncode == 124
    assert "after 1 second\n" in done.stderr.replace("\r\n", "\n")


def test_grants_and_forget(scratch: Path) -> None:
    chosen = [word if word != "session" else "forever" for word in options(scratch)]
    assert winsandbox("run", *chosen, "--", "cmd", "/c", "exit 0").returncode == 0
    state = ["--state-dir", str(scratch / "state")]
    listed = json.loads(winsandbox("grants", *state, "--json").stdout)
    assert [Path(grant["root"]).name for grant in listed["grants"]] == ["root"]
    assert winsandbox("forget", *state, str(scratch / "root")).returncode == 0
    assert json.loads(winsandbox("grants", *state, "--json").stdout)["grants"] == []


def test_doctor_looks_at_this_host_and_a_command() -> None:
    data = json.loads(winsandbox("doctor", "--json", "--", "cmd", "/c", "exit").stdout)
    assert ("Wine" in data["system"]) == has("wine")
    assert all(finding["severity"] in ("error", "warning", "info") for finding in data["findings"])


def test_the_other_commands_about_what_lies_on_disk(scratch: Path) -> None:
    (scratch / "root").mkdir()
    state = ["--state-dir", str(scratch / "state"), "--json"]
    for command in (["recover"], ["prune", "--days", "1"], ["scan", str(scratch / "root")]):
        done = winsandbox(*command, *state)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["version"] == 1
    report = json.loads(winsandbox("audit", "--time-limit", "0.2", "--json").stdout)
    assert report["time_limit"] == 0.2
    assert isinstance(report["complete"], bool)
