"""Policy: its constructors, its refusals beside paths, and its files."""

from __future__ import annotations

import dataclasses
import os
import re
import subprocess
import sys
from pathlib import PureWindowsPath
from typing import Any

import pytest

from winsandbox.environment import Environment
from winsandbox.errors import PolicyError
from winsandbox.limits import Limits
from winsandbox.network import NetworkShim
from winsandbox.policy import UI_LIMITS, Policy, Protect

ROOT = r"C:\src\project"


def mistakes(call: Any, *args: Any, **kwargs: Any) -> list[tuple[str, str, str]]:
    with pytest.raises(PolicyError) as caught:
        call(*args, **kwargs)
    return [(mistake.path, mistake.code, str(mistake)) for mistake in caught.value.mistakes]


def test_a_workspace_is_writable_but_for_what_is_protected() -> None:
    policy = Policy.workspace(ROOT, writable_roots=[PureWindowsPath("D:/cache")])
    assert policy.cwd == ROOT
    assert policy.writable_roots == (ROOT, r"D:\cache")
    assert policy.protected_subpaths == (".git", ".codex", ".agents") == Protect.DEFAULT
    assert (policy.integrity, policy.guards, policy.elevated) == ("medium", True, "refuse")
    assert (policy.console, policy.desktop, policy.python_shim) == ("private", "private", False)
    assert policy.restricting == ("logon", "everyone")
    assert (policy.environment, policy.limits, policy.network) == (Environment(), Limits(), NetworkShim())


def test_read_only_has_no_writable_root() -> None:
    assert Policy.read_only() == Policy()
    assert Policy.read_only().cwd == ""
    assert Policy.read_only(PureWindowsPath("C:/Windows")).writable_roots == ()


@pytest.mark.parametrize("path", ["src", "/src", r"\\server\share", r"C:\a*", "C:x"])
def test_the_working_directory_of_a_read_only_policy_is_checked_as_text(path: str) -> None:
    ((where, code, _),) = mistakes(Policy.read_only, path)
    assert where == path
    assert code.startswith("cwd.")


def test_the_presets_can_be_added_to() -> None:
    policy = Policy.workspace(ROOT, protected_subpaths=(*Protect.GIT_HOOKS, "secrets/keys"))
    assert policy.protected_subpaths == (
        *(".git\\hooks", ".git\\config", ".git\\info", ".git\\modules", ".codex", ".agents"),
        "secrets\\keys",
    )
    assert Policy.workspace(ROOT, protected_subpaths=Protect.NONE).protected_subpaths == ()


def test_every_argument_of_the_constructors_reaches_its_field() -> None:
    chosen: dict[str, Any] = {
        "integrity": "low",
        "restricting": ["everyone"],
        "ui_limits": ["desktop", "clipboard-read"],
        "console": "shared",
        "desktop": "shared",
        "python_shim": True,
        "elevated": "lower",
        "environment": Environment(inherit="core"),
        "limits": Limits(processes=4),
        "network": NetworkShim.off(),
    }
    more: dict[str, Any] = {"guards": False, "protected_subpaths": ["x"], "writable_roots": [r"D:\y"]}
    kept = {**chosen, "restricting": ("everyone",), "ui_limits": ("clipboard-read", "desktop")}
    for policy in (Policy.workspace(ROOT, **chosen, **more), Policy.read_only(ROOT, **chosen)):
        assert {name: getattr(policy, name) for name in kept} == kept
    workspace = Policy.workspace(ROOT, **chosen, **more)
    assert (workspace.guards, workspace.protected_subpaths) == (False, ("x",))
    assert workspace.writable_roots == (ROOT, r"D:\y")
    names = {field.name for field in dataclasses.fields(Policy)}
    assert names == {*chosen, *more, "cwd"}


def test_words_are_kept_once_and_in_one_order_so_that_equal_policies_are_equal() -> None:
    one = Policy.workspace(ROOT, ui_limits=reversed(UI_LIMITS), restricting=["everyone", "logon", "logon"])
    other = Policy.workspace(ROOT, ui_limits=UI_LIMITS)
    assert one == other
    assert one.id == other.id


def test_reads_cannot_be_denied_and_the_error_says_why() -> None:
    paths: Any = [r"C:\Users\me\.ssh"]
    text = (
        "deny_read: reads cannot be denied: a write-restricted token is checked against its restricting SIDs for "
        "writes only. Leave it out; where reads matter use a virtual machine, an AppContainer or a separate account."
    )
    expected = [("deny_read", "deny-read", text)]
    assert mistakes(Policy.workspace, ROOT, deny_read=paths) == expected
    assert mistakes(Policy.workspace, ROOT, deny_read=[]) == expected
    assert mistakes(Policy.read_only, deny_read=paths) == expected
    assert mistakes(Policy().replace, deny_read=paths) == expected
    assert mistakes(Policy.from_dict, {"version": 1, "deny_read": []}) == expected
    assert mistakes(Policy.from_toml, "version = 1\ndeny_read = []\n") == expected


def test_all_mistakes_of_all_parts_are_in_one_error() -> None:
    wrong = {
        "version": 2,
        "cwd": "project",
        "writable_roots": ["project", "C:\\", r"C:\Users\me", 3],
        "writeable_roots": [],
        "protected_subpaths": ["..", ".git"],
        "integrity": "High",
        "guards": "yes",
        "restricting": ["logon", "users"],
        "ui_limits": "desktop",
        "console": None,
        "deny_read": ["x"],
        "environment": {"inherit": "some", "sets": {}},
        "limits": {"memory": -1},
        "network": {"prox": "x"},
    }
    found = mistakes(Policy.from_dict, wrong)
    assert {(path, code) for path, code, _ in found} == {
        ("version", "version"),
        ("environment.inherit", "choice"),
        ("environment.sets", "key"),
        ("limits.memory", "limits.range"),
        ("network.prox", "key"),
        ("deny_read", "deny-read"),
        ("writeable_roots", "key"),
        ("project", "root.relative"),
        ("C:\\", "root.drive"),
        (r"C:\Users\me", "root.profile"),
        ("writable_roots", "type"),
        ("..", "protected.outside"),
        ("integrity", "choice"),
        ("guards", "type"),
        ("restricting", "choice"),
        ("ui_limits", "type"),
        ("console", "type"),
    }
    assert len(found) == 17
    texts = {path: text for path, _, text in found}
    assert texts["version"] == (
        "version: it is unknown here. This winsandbox reads version 1: write version = 1, or use a newer winsandbox."
    )
    assert (
        'there is no such key; did you mean "writable_roots"? Known: cwd, writable_roots, ' in texts["writeable_roots"]
    )
    assert texts["restricting"] == 'restricting: \'users\' is no choice. Give one of "logon", "everyone".'
    with pytest.raises(PolicyError, match="the policy has 17 mistakes:\n"):
        Policy.from_dict(wrong)


@pytest.mark.parametrize("name", ["environment", "limits", "network"])
@pytest.mark.parametrize("wrong", [3, "x", {}, Policy])
def test_a_part_of_another_class_is_a_mistake(name: str, wrong: Any) -> None:
    ((path, code, _),) = mistakes(Policy.workspace, ROOT, **{name: wrong})
    assert (path, code) == (name, "type")


@pytest.mark.parametrize("name", ["integrity", "guards", "restricting", "ui_limits", "console", "desktop", "elevated"])
@pytest.mark.parametrize("wrong", [None, 3, ["nothing"], {}, "nothing", b"low"])
def test_another_value_of_an_option_is_a_mistake_and_no_traceback(name: str, wrong: Any) -> None:
    if name in ("restricting", "ui_limits") and wrong == {}:
        assert getattr(Policy.workspace(ROOT, **{name: wrong}), name) == ()
        return
    ((path, code, _),) = mistakes(Policy.workspace, ROOT, **{name: wrong})
    assert path == name
    assert code in ("type", "choice")


@pytest.mark.parametrize("version", [None, 0, 2, "1", True, 1.0, [1], pytest.param(16**5000, id="huge")])
def test_only_the_known_version_is_read(version: Any) -> None:
    ((path, code, _),) = mistakes(Policy.from_dict, {"version": version})
    assert (path, code) == ("version", "version")
    assert Policy.from_dict({"version": 1}) == Policy()


def test_a_file_that_names_roots_only_protects_the_default_places() -> None:
    policy = Policy.from_toml(f"version = 1\ncwd = '{ROOT}'\nwritable_roots = ['{ROOT}']\n")
    assert policy == Policy.workspace(ROOT)


def test_a_working_directory_alone_makes_nothing_writable() -> None:
    assert Policy.from_toml(f"version = 1\ncwd = '{ROOT}'\n") == Policy.read_only(ROOT)


def test_a_policy_as_a_person_writes_it() -> None:
    text = r"""
version = 1
cwd = 'C:\src\project'
writable_roots = ['C:\src\project', "D:/cache"]
protected_subpaths = [".git", "secrets"]
ui_limits = ["clipboard-read"]

[environment]
inherit = "core"
include = ["MY_*"]
set = { LANG = "C.UTF-8" }

[limits]
memory = "2GiB"
wall_time = 60

[network]
enabled = false
"""
    assert Policy.from_toml(text) == Policy.workspace(
        ROOT,
        writable_roots=[r"D:\cache"],
        protected_subpaths=[".git", "secrets"],
        ui_limits=["clipboard-read"],
        environment=Environment(inherit="core", include=("MY_*",), set={"LANG": "C.UTF-8"}),
        limits=Limits(memory=2 << 30, wall_time=60),
        network=NetworkShim.off(),
    )


def test_a_byte_order_mark_does_not_matter() -> None:
    policy = Policy.workspace(ROOT)
    assert Policy.from_json("\ufeff" + policy.to_json()) == policy
    assert Policy.from_toml("\ufeff" + policy.to_toml()) == policy


def test_an_empty_protected_path_is_told_how_to_write_one() -> None:
    with pytest.raises(PolicyError, match="relative to the root"):
        Policy.workspace(ROOT, protected_subpaths=[""])


def test_toml_is_written_so_that_paths_are_readable() -> None:
    lines = Policy.workspace(ROOT, environment=Environment(set={"A B'": "x\ny\"'\x7f"})).to_toml().splitlines()
    assert lines[:3] == ["version = 1", r"cwd = 'C:\src\project'", r"writable_roots = ['C:\src\project']"]
    assert r'''"A B'" = "x\u000ay\"'\u007f"''' in lines


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "Expecting value"),
        ("{", "Expecting property name"),
        pytest.param("[" * 100_000, "recursion", id="deep"),
        pytest.param('{"version": ' + "9" * 5000 + "}", "Exceeds the limit", id="huge"),
        ("\ufeff\ufeff{}", "BOM"),
    ],
)
def test_what_is_no_json_is_a_mistake(text: str, reason: str) -> None:
    ((path, code, message),) = mistakes(Policy.from_json, text)
    assert (path, code) == ("policy", "syntax")
    assert message.startswith("policy: this is no JSON: ")
    assert reason in message


@pytest.mark.parametrize(
    "text",
    ["x", "version = 1\nversion = 1", pytest.param("a = " + "[" * 100_000, id="deep"), "\ufeff\ufeff", "a = '\0'"],
)
def test_what_is_no_toml_is_a_mistake(text: str) -> None:
    ((path, code, message),) = mistakes(Policy.from_toml, text)
    assert (path, code) == ("policy", "syntax")
    assert message.startswith("policy: this is no TOML: ")


@pytest.mark.parametrize("text", ["[]", "null", "3", '"x"'])
def test_json_that_is_no_object_is_a_mistake(text: str) -> None:
    ((path, code, _),) = mistakes(Policy.from_json, text)
    assert (path, code) == ("policy", "type")


@pytest.mark.parametrize("text", [None, 3, b"{}", []])
def test_a_text_that_is_none_is_a_mistake(text: Any) -> None:
    for read in (Policy.from_json, Policy.from_toml):
        ((path, code, _),) = mistakes(read, text)
        assert (path, code) == ("policy", "type")


def test_a_json_key_that_stands_twice_is_a_mistake_wherever_it_stands() -> None:
    found = mistakes(
        Policy.from_json,
        '{"version": 1, "guards": true, "guards": false, "limits": {"memory": 1, "memory": 2}, "x": 1}',
    )
    assert [(path, code) for path, code, _ in found] == [
        ("memory", "key.duplicate"),
        ("guards", "key.duplicate"),
        ("x", "key"),
    ]
    assert found[0][2] == "memory: the key stands there twice. Keep one of the two."


def test_replace_checks_anew() -> None:
    policy = Policy.workspace(ROOT)
    assert policy.replace(guards=False) == Policy.workspace(ROOT, guards=False)
    assert policy.replace(guards=False) != policy
    ((path, code, text),) = mistakes(policy.replace, guard=True)
    assert (path, code) == ("guard", "key")
    assert 'did you mean "guards"?' in text
    assert mistakes(policy.replace, cwd="x")[0][1] == "cwd.relative"


def test_a_policy_cannot_be_changed() -> None:
    policy = Policy.workspace(ROOT)
    for name in ("cwd", "writable_roots", "new"):
        with pytest.raises((AttributeError, TypeError)):
            setattr(policy, name, "x")


def printed(code: str, pytestconfig: pytest.Config, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        cwd=pytestconfig.rootpath,
        env={**os.environ, **environment},
    )
    assert done.stderr == ""
    return done.stdout.strip()


def test_the_id_is_short_and_the_same_in_every_process(pytestconfig: pytest.Config) -> None:
    code = (
        "from winsandbox.environment import Environment; from winsandbox.policy import Policy;"
        "print(Policy.workspace('C:/a', environment=Environment(set={'A': '1', 'B': '2'})).id)"
    )
    here = Policy.workspace(r"C:\a", environment=Environment(set={"B": "2", "A": "1"})).id
    assert re.fullmatch("[0-9a-f]{16}", here)
    assert [printed(code, pytestconfig, PYTHONHASHSEED=seed) for seed in ("1", "2")] == [here, here]
    assert Policy.workspace(r"C:\b").id != Policy.workspace(r"C:\a").id


def test_the_ui_limits_stand_in_the_order_of_their_bits() -> None:
    # JOB_OBJECT_UILIMIT_HANDLES is 0x01, EXITWINDOWS 0x80 (winnt.h).
    bits = {name: 1 << index for index, name in enumerate(UI_LIMITS)}
    assert bits == {
        "handles": 0x01,
        "clipboard-read": 0x02,
        "clipboard-write": 0x04,
        "system-parameters": 0x08,
        "display-settings": 0x10,
        "global-atoms": 0x20,
        "desktop": 0x40,
        "exit-windows": 0x80,
    }


def test_making_a_policy_loads_no_reader_that_it_does_not_need(pytestconfig: pytest.Config) -> None:
    code = (
        "import sys; from winsandbox.policy import Policy; Policy.workspace('C:/a');"
        "print(*({'json', 'tomllib', 'ctypes', 'sqlite3', 'asyncio', 'logging', 'hashlib'} & set(sys.modules)))"
    )
    assert printed(code, pytestconfig) == ""
