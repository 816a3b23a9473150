"""The command line on a system that is not Windows: a model of Windows over a real directory."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

from tests.capabilities import needs
from tests.cli.commandline import winsandbox
from winsandbox._commandline import Target, absolute, target
from winsandbox._paths import REFUSALS
from winsandbox.errors import PolicyError
from winsandbox.policy import Policy

pytestmark = needs("no windows")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    project = tmp_path / "project"
    (project / ".git" / "hooks").mkdir(parents=True)
    (project / "src").mkdir()
    (project / "src" / "a.py").write_text("x")
    return project


@pytest.mark.parametrize(
    ("access", "path", "code", "word"),
    [
        ("--write", "src/a.py", 0, "writable root"),
        ("--create", "src/new.py", 0, "writable root"),
        ("--delete", "src/a.py", 0, "writable root"),
        ("--write", ".git/hooks/x", 1, "protected place"),
        ("--delete", ".git", 1, "holds"),
        ("--write", "../elsewhere", 1, "outside every writable root"),
        ("--read", "../elsewhere/..", 0, "may read"),
        ("--write", ".codex/config.toml", 1, "created empty"),
        ("--read", "src/missing", 1, "does not exist"),
    ],
)
def test_check_says_allowed_or_denied_and_why(project: Path, access: str, path: str, code: int, word: str) -> None:
    (project.parent / "elsewhere").mkdir()
    done = winsandbox("check", "--root", str(project), access, str(project / path))
    assert done.returncode == code, done.stderr
    assert word in done.stdout
    assert str(project) in done.stdout, "both names of the directory are printed"
    assert ("allowed" if code == 0 else "denied") in done.stdout


def test_check_asks_about_what_lies_outside_of_the_roots_too(project: Path) -> None:
    other = project.parent / "notes.txt"
    other.write_text("x")
    for access, code in (("--read", 0), ("--write", 1), ("--create", 1)):
        done = winsandbox("check", "--root", str(project), access, str(other))
        assert done.returncode == code, done.stdout
    assert "it exists already" in done.stdout


@pytest.mark.parametrize(
    ("path", "code", "target"),
    [
        (r".git\hooks\x", 1, r"C:\src\project\.git\hooks\x"),
        ("src/new", 0, r"C:\src\project\src\new"),
        (r"\\srv\share\x", 0, r"\\srv\share\x"),
        (r"C:\Windows\Temp\x", 1, r"C:\Windows\Temp\x"),
        (r"%TEMP%\x", 0, r"%TEMP%\x"),
        ("NUL", 0, "NUL"),
    ],
)
def test_a_path_in_windows_writing_is_the_childs(project: Path, path: str, code: int, target: str) -> None:
    roots = [[r"C:\src\project", "--tree", str(project)], [str(project)]]
    for root in roots if path.startswith(".git") else roots[:1]:
        done = winsandbox("check", "--root", *root, path, "--json")
        assert done.returncode == code, done.stderr
        found = json.loads(done.stdout)["target"]
        assert found == target or found.endswith(target.removeprefix(r"C:\src"))


def test_check_as_json(project: Path) -> None:
    done = winsandbox("check", "--root", str(project), str(project / ".git" / "config"), "--json")
    data = json.loads(done.stdout)
    assert data["allowed"] is False
    assert data["rule"] == "protected"
    assert data["mapping"][str(project)].endswith("\\project")
    assert any(place.endswith("in it)") for place in data["instead"])


def test_plan_counts_what_lies_there_and_changes_nothing(project: Path) -> None:
    (project / "b.py").hardlink_to(project / "src" / "a.py")
    (project / "vendor" / ".git").mkdir(parents=True)
    before = sorted(project.rglob("*"))
    done = winsandbox("plan", "--root", str(project))
    assert done.returncode == 0, done.stderr
    for wanted in ("writable root", "protected directory", "2 hard-linked files", "1 nested repository,", "0xd"):
        assert wanted in done.stdout
    data = json.loads(winsandbox("plan", "--root", str(project), "--json").stdout)
    assert data["disk"][0]["hard_links"]["count"] == 2
    assert data["grants"][0]["protected"][0]["path"].endswith(".git")
    assert sorted(project.rglob("*")) == before


def test_enforcement_has_every_aspect(project: Path) -> None:
    data = json.loads(winsandbox("enforcement", "--root", str(project), "--json").stdout)
    assert data["aspects"]["network"]["level"] == "advisory"
    assert data["aspects"]["reads"]["level"] == "none"
    assert "simulated" in winsandbox("enforcement", "--root", str(project)).stdout


@pytest.mark.parametrize("suffix", ["toml", "json"])
def test_a_policy_file_over_a_real_tree(project: Path, tmp_path: Path, suffix: str) -> None:
    texts = {
        "toml": "version = 1\nwritable_roots = ['C:\\src\\project']\nprotected_subpaths = ['src']\n",
        "json": json.dumps({"version": 1, "writable_roots": ["C:\\src\\project"], "protected_subpaths": ["src"]}),
    }
    file = tmp_path / f"policy.{suffix}"
    file.write_text(texts[suffix])
    options = ("--policy", str(file), "--tree", str(project))
    assert winsandbox("check", *options, str(project / "src" / "a.py")).returncode == 1
    assert winsandbox("check", *options, str(project / ".git" / "config")).returncode == 0
    assert winsandbox("check", *options, r"C:\src\project\src\a.py").returncode == 1


@pytest.mark.parametrize("command", ["check", "simulate"])
def test_a_policy_file_alone_is_asked_about_what_really_lies_there(project: Path, command: str) -> None:
    root = "C:" + str(project).replace("/", "\\")
    file = project.parent / "policy.json"
    file.write_text(json.dumps({"version": 1, "cwd": root, "writable_roots": [root]}), "utf-8-sig")
    script = project.parent / "script"
    script.write_text("delete src\\a.py\n")
    words = {"check": [str(project / "src" / "a.py"), "--delete"], "simulate": [str(script)]}[command]
    data = json.loads(winsandbox(command, *words, "--policy", str(file), "--json").stdout)
    assert data["mapping"] == {str(project): root}
    assert data["allowed"] if command == "check" else data["rows"][0]["verdict"] == "allowed", data
    file.write_text(json.dumps({"version": 1, "writable_roots": [r"C:\no\such\place"]}))
    done = winsandbox(command, *words, "--policy", str(file))
    assert done.returncode == 2
    assert "Give --tree DIR" in done.stderr
    assert "/no/such/place is no directory" in done.stderr
    assert done.stdout == "", "no answer about a model of nothing"


def asked(*roots: str, tree: str | None = None, model: bool = True) -> Target:
    """What the command line makes of these options."""
    others: dict[str, object] = dict.fromkeys(("protect", "policy", "elevated", "integrity"))
    return target(argparse.Namespace(root=list(roots), tree=tree, no_network_shim=False, **others), model=model)


@pytest.mark.parametrize("model", [True, False])
@pytest.mark.parametrize(
    ("roots", "words"),
    [
        ([""], "is empty"),
        (["/tmp/x", ""], "is empty"),
        (["name. "], "ends with a dot or a space"),
        ([r"\\server\share\a"], "network share"),
        ([r"\a"], "has no drive"),
        (["D:a"], "relative to the working directory of its drive"),
    ],
)
def test_the_text_of_a_root_is_judged_as_it_was_written(roots: list[str], words: str, model: bool) -> None:
    with pytest.raises(PolicyError, match=words):
        asked(*roots, model=model)


def test_a_tree_that_is_no_directory_is_told(project: Path) -> None:
    for tree in ("", str(project / "src" / "a.py")):
        with pytest.raises(PolicyError, match="is no directory here"):
            asked(r"C:\src\project", tree=tree)
    found = asked(r"C:\src\project", r"E:\cache", tree=str(project))
    assert found.mapping == {str(project): r"C:\src\project"}
    assert found.host is not None
    assert found.host.files.query(r"E:\cache") is not None


def test_it_is_said_when_nothing_real_was_looked_at(project: Path) -> None:
    done = winsandbox("check", str(project / "src" / "a.py"))
    assert "no real directory was looked at" in done.stdout
    file = project.parent / "policy.toml"
    file.write_text("version = 1\nwritable_roots = ['C:\\src\\project', 'D:\\cache']\n")
    done = winsandbox("enforcement", "--policy", str(file), "--tree", str(project))
    assert done.returncode == 0, done.stderr
    assert f"{project} stands for C:\\src\\project" in done.stdout
    assert "nothing here stands for D:\\cache" in done.stdout
    assert "no real directory" not in done.stdout


def test_low_integrity_can_be_tried_on_any_directory(project: Path) -> None:
    options = ("--root", str(project), "--integrity", "low")
    done = winsandbox("check", *options, str(project / "src" / "a.py"))
    assert done.returncode == 0, done.stderr
    assert "a folder that its user made in his profile" in done.stdout
    assert winsandbox("check", *options, str(project / ".git" / "config")).returncode == 1


@pytest.mark.parametrize(
    ("text", "below"),
    [
        ("a", r"C:\here\a"),
        (".", r"C:\here\."),
        ("a. ", "C:\\here\\a. "),
        ("", ""),
        (r"D:\a. ", r"D:\a. "),
        ("D:a", "D:a"),
        (r"\a", r"\a"),
        ("/a", "/a"),
        (r"\\server\share\a", r"\\server\share\a"),
        (r"\\?\C:\a.", r"\\?\C:\a."),
    ],
)
def test_on_windows_only_plainly_relative_paths_are_made_absolute(text: str, below: str) -> None:
    assert absolute(text, r"C:\here") == below


@pytest.mark.parametrize(("text", "rule"), [("", "empty"), ("a.", "trailing"), ("a ", "trailing"), ("D:a", None)])
def test_what_a_policy_must_refuse_reaches_it(text: str, rule: str | None) -> None:
    with pytest.raises(PolicyError) as caught:
        Policy.workspace(absolute(text, r"C:\here"))
    assert REFUSALS[rule or "drive-relative"][0] in str(caught.value)


def test_a_policy_file_that_the_command_could_rewrite_is_refused(project: Path) -> None:
    for place, code in ((project / "policy.json", 2), (project / ".git" / "policy.json", 0)):
        place.write_text(json.dumps({"version": 1, "writable_roots": ["C:\\src\\project"]}))
        done = winsandbox("enforcement", "--policy", str(place), "--tree", str(project))
        assert done.returncode == code, done.stderr
    place = project / "policy.json"
    assert "could rewrite it" in winsandbox("enforcement", "--policy", str(place), "--tree", str(project)).stderr


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["check", "--root", "/", "x"], 2, "is the root of a drive"),
        (["check", "--root", r"C:\Windows", "x"], 2, "Windows"),
        (["check", "--root", "/no/such/directory", "x"], 2, "is no directory here"),
        (["check", "--root", "", "x"], 2, "is empty"),
        (["check", "--root", "/tmp", "--protect", "", "x"], 2, 'such as ".git"'),
        (["check", "--root", "/tmp", ""], 2, "this one is empty"),
        (["check", "--policy", "/no/such/file.toml", "x"], 2, "cannot be read"),
        (["check", "--root", "/tmp/a", "--policy", "x", "y"], 2, "--policy"),
        (["check"], 2, "required"),
        (["nonsense"], 2, "invalid choice"),
        (["run", "--root", "/tmp"], 125, "no command given"),
        (["run", "--timeout", "nan", "--", "git"], 125, "'nan' is no number"),
        (["run", "--timeout", "-1", "--", "git"], 125, "'-1' is no number"),
        (["run", "--timeout", "0", "--", "git"], 125, "0 seconds"),
        (["prune", "--days", "inf"], 2, "'inf' is no number"),
        (["run", "--root", "/tmp", "--", "git", "status"], 125, "on Windows only"),
        (["forget"], 2, "a root or --all"),
        (["grants"], 125, "on Windows only"),
        (["audit"], 125, "on Windows only"),
    ],
)
def test_a_users_mistake_is_a_sentence_and_no_traceback(arguments: list[str], code: int, words: str) -> None:
    done = winsandbox(*arguments)
    assert done.returncode == code, done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_run_never_runs_the_command_unsandboxed(project: Path) -> None:
    proof = project / "proof"
    done = winsandbox("run", "--root", str(project), "--require", "best-effort", "--", "touch", str(proof))
    assert done.returncode == 125
    assert not proof.exists()


def test_a_policy_with_several_mistakes_names_all_of_them(tmp_path: Path) -> None:
    file = tmp_path / "policy.toml"
    file.write_text("version = 1\nwritable_roots = ['C:\\', 'relative']\ndeny_read = ['C:\\x']\nintegritty = 'low'\n")
    done = winsandbox("check", "--policy", str(file), "x")
    assert done.returncode == 2
    for wanted in ("root of a drive", "relative", "deny_read", "integrity"):
        assert wanted in done.stderr


def test_without_safe_path_it_refuses_and_names_the_remedy() -> None:
    done = winsandbox("--version", flags=())
    assert done.returncode == 125
    assert "python -P -m winsandbox" in done.stderr
    done = winsandbox("--version")
    assert (done.returncode, done.stdout.split()[0]) == (0, "winsandbox")


def test_doctor_says_that_this_is_no_windows() -> None:
    done = winsandbox("doctor", "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["findings"][0]["subject"] == "operating system"
