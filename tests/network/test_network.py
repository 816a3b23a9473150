"""NetworkShim as a value: its laws, its mistakes, what it says about itself."""

from __future__ import annotations

import copy
import dataclasses
import json
import pickle
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from winsandbox import network
from winsandbox._network_table import DEFAULT_STUBS, ROWS, Variable
from winsandbox._network_tested import TESTED
from winsandbox.environment import folded
from winsandbox.errors import PolicyError
from winsandbox.network import ALL, MARKER, NetworkShim, ToolNote, shim_active

DENYBIN = r"C:\Users\ann\AppData\Local\winsandbox\denybin"
EXTRA = ["NO_PROXY", "MINE", "PIP_PROXY", "UV_OFFLINE", "GIT_CONFIG_NOSYSTEM", "Http_Proxy"]
OURS = sorted({v.name for row in ROWS for v in row.variables if v.how != "git-config"})


def _spellings(name: str) -> st.SearchStrategy[str]:
    return st.sampled_from([name, name.upper(), name.lower(), name.title()])


NAMES = st.one_of(
    st.sampled_from(
        [*OURS, "PATH", "PATHEXT", MARKER, "GIT_CONFIG_COUNT", "GIT_CONFIG_KEY_0", "GIT_CONFIG_PARAMETERS"]
    ).flatmap(_spellings),
    st.text("abAB_ßıſ", min_size=1, max_size=4),
)
VALUES = st.one_of(
    st.sampled_from(
        ["", "*", "0", "1", "2", " 1", "+1", "http://corp:3128", "-Xmx1g", "'http.proxy=http://corp:3128'"]
    ),
    st.text(max_size=8),
)
BASES = st.dictionaries(NAMES, VALUES, max_size=12)


@st.composite
def shims(draw: st.DrawFn) -> NetworkShim:
    keep = draw(
        st.lists(st.sampled_from([*OURS, "GIT_CONFIG_COUNT", "GIT_CONFIG_PARAMETERS"]), max_size=3, unique=True)
    )
    kept = {folded(name) for name in keep}
    extra = draw(st.dictionaries(st.sampled_from(EXTRA), VALUES, max_size=2))
    return NetworkShim(
        allow_loopback=draw(st.booleans()),
        stubs=tuple(draw(st.lists(st.sampled_from(DEFAULT_STUBS), max_size=3, unique=True))),
        tools=tuple(draw(st.permutations(ALL) | st.lists(st.sampled_from(ALL), max_size=4, unique=True))),
        proxy=draw(
            st.sampled_from(["http://127.0.0.1:9", "http://127.0.0.1:9/", "http://corp:3128", "http://[::1]:9"])
        ),
        keep=tuple(keep),
        extra={n: v for n, v in extra.items() if folded(n) not in kept and "\0" not in v and v.isprintable()},
        enabled=draw(st.integers(0, 5)) > 0,
    )


def _fold(environment: Mapping[str, str]) -> dict[str, str]:
    return {folded(name): value for name, value in environment.items()}


@given(shims(), BASES, st.sampled_from([None, DENYBIN, "/var/denybin"]))
def test_law_environment_is_idempotent(shim: NetworkShim, base: dict[str, str], denybin: str | None) -> None:
    once = shim.environment(base, denybin=denybin)
    assert shim.environment(once, denybin=denybin) == once


@given(shims(), BASES, st.sampled_from([None, DENYBIN, "/var/denybin"]))
def test_law_environment_never_yields_two_spellings_of_one_name(
    shim: NetworkShim, base: dict[str, str], denybin: str | None
) -> None:
    result = shim.environment(base, denybin=denybin)
    assert len({folded(name) for name in result}) == len(result)


@given(shims(), BASES, st.sampled_from([None, DENYBIN]))
def test_law_environment_never_drops_or_changes_unrelated_variables(
    shim: NetworkShim, base: dict[str, str], denybin: str | None
) -> None:
    result = _fold(shim.environment(base, denybin=denybin))
    related = {folded(name) for name in (*OURS, MARKER, *shim.extra)}
    for name, value in _fold(base).items():
        if name in related or name.startswith("GIT_CONFIG_") or name in {"PATH", "PATHEXT"}:
            continue
        assert result[name] == value


@given(shims(), BASES)
def test_law_kept_variables_are_as_the_user_set_them(shim: NetworkShim, base: dict[str, str]) -> None:
    before, after = _fold(base), _fold(shim.environment(base))
    for name in shim.keep:
        assert after.get(folded(name)) == before.get(folded(name))


@given(BASES)
def test_law_the_users_proxy_never_survives_unless_kept(base: dict[str, str]) -> None:
    result = NetworkShim().environment(base)
    for name in ("http_proxy", "https_proxy", "ftp_proxy", "all_proxy", "npm_config_proxy", "PIP_PROXY"):
        assert result[name] == "http://127.0.0.1:9"
        assert [spelling for spelling in result if folded(spelling) == folded(name)] == [name]
    assert result["no_proxy"] == "localhost,127.0.0.1,::1"


@given(BASES)
def test_law_a_shim_that_is_off_changes_nothing_but_second_spellings(base: dict[str, str]) -> None:
    shim = NetworkShim.off()
    assert _fold(shim.environment(base, denybin=DENYBIN)) == _fold(base)
    assert shim.stub_files() == {}
    assert not any(note.covered for note in shim.explain())


@given(shims())
def test_law_from_dict_reverses_to_dict(shim: NetworkShim) -> None:
    assert NetworkShim.from_dict(json.loads(json.dumps(shim.to_dict()))) == shim
    assert pickle.loads(pickle.dumps(shim)) == shim == copy.deepcopy(shim)
    assert len({shim, copy.copy(shim)}) == 1


def test_the_order_of_the_tools_makes_no_difference() -> None:
    assert NetworkShim(tools=ALL[::-1]) == NetworkShim()
    assert NetworkShim(tools=("npm", "git")) == NetworkShim(tools=("git", "npm"))
    assert NetworkShim.from_dict(NetworkShim(tools=ALL[::-1]).to_dict()) == NetworkShim(tools=ALL[::-1])


def test_a_stored_shim_for_all_tools_includes_those_of_a_later_version() -> None:
    assert NetworkShim().to_dict()["tools"] == "all"
    assert NetworkShim(tools=("git",)).to_dict()["tools"] == ["git"]


def test_the_users_git_configuration_is_kept_in_front_of_ours() -> None:
    base = {"git_config_count": "1", "GIT_CONFIG_KEY_0": "core.longpaths", "GIT_CONFIG_VALUE_0": "true"}
    result = NetworkShim().environment(base)
    assert result["GIT_CONFIG_COUNT"] == "2"
    assert (result["GIT_CONFIG_KEY_0"], result["GIT_CONFIG_VALUE_0"]) == ("core.longpaths", "true")
    assert (result["GIT_CONFIG_KEY_1"], result["GIT_CONFIG_VALUE_1"]) == ("http.proxy", "http://127.0.0.1:9")


REFUSED = [
    "x",
    "-1",
    "1x",
    "1 ",
    "1\n",
    " ",
    "+",
    "0x1",
    "2147483648",
    "99999999999999999999",
    "\N{ARABIC-INDIC DIGIT ONE}",
]


@pytest.mark.parametrize("count", ["1", "+1", "0000000001", " 1", "\t\n+01", "0" * 5000 + "1"])
def test_a_count_is_read_as_git_reads_it(count: str) -> None:
    base = {"GIT_CONFIG_COUNT": count, "GIT_CONFIG_KEY_0": "a.b", "GIT_CONFIG_VALUE_0": "c"}
    result = NetworkShim().environment(base)
    assert (result["GIT_CONFIG_COUNT"], result["GIT_CONFIG_KEY_0"]) == ("2", "a.b")
    assert result["GIT_CONFIG_KEY_1"] == "http.proxy"


@pytest.mark.parametrize("count", ["", "0", "-0", "+00"])
def test_a_count_of_nothing_is_no_count(count: str) -> None:
    result = NetworkShim().environment({"GIT_CONFIG_COUNT": count})
    assert (result["GIT_CONFIG_COUNT"], result["GIT_CONFIG_KEY_0"]) == ("1", "http.proxy")


def test_the_settings_of_git_minus_c_stay_in_front_of_ours() -> None:
    base = {"GIT_CONFIG_PARAMETERS": "'http.proxy'='http://corp:3128' 'core.longpaths=true'"}
    result = NetworkShim().environment(base)
    ours = "'http.proxy=http://127.0.0.1:9'"
    assert result["GIT_CONFIG_PARAMETERS"] == f"{base['GIT_CONFIG_PARAMETERS']} {ours}"
    assert result["GIT_CONFIG_COUNT"] == "1"
    assert "GIT_CONFIG_PARAMETERS" not in NetworkShim().environment({})
    kept = NetworkShim(keep=("git_config_parameters",))
    assert kept.environment(base)["GIT_CONFIG_PARAMETERS"] == base["GIT_CONFIG_PARAMETERS"]
    assert "dead proxy for http and https [kept: GIT_CONFIG_PARAMETERS]" in kept.explain()[0].means


@pytest.mark.parametrize("count", REFUSED)
def test_a_count_that_git_refuses_is_left_so_that_git_goes_on_refusing(count: str) -> None:
    assert NetworkShim().environment({"GIT_CONFIG_COUNT": count})["GIT_CONFIG_COUNT"] == count


def test_option_variables_are_appended_to_so_that_the_users_options_stay_and_ours_win() -> None:
    result = NetworkShim().environment({"JAVA_TOOL_OPTIONS": "-Dhttp.proxyHost=corp -Xmx1g", "maven_args": "-ntp"})
    assert result["JAVA_TOOL_OPTIONS"].startswith("-Dhttp.proxyHost=corp -Xmx1g -Dhttp.proxyHost=127.0.0.1 ")
    assert result["MAVEN_ARGS"] == "-ntp --offline"
    assert "|" not in "".join(result.values()), "a batch file that prints it would take it for a pipe"


def test_shims_laid_over_each_other_do_not_pile_up_options() -> None:
    first = NetworkShim(proxy="http://corp:3128", allow_loopback=False)
    second = NetworkShim()
    user = {"JAVA_TOOL_OPTIONS": "-Xmx1g", "MAVEN_ARGS": "-ntp"}
    assert second.environment(first.environment(user)) | {MARKER: "1"} == {
        **second.environment(user),
        # The entry of another shim is not told from the user's own: it stays, and ours behind it wins.
        **{n: v for n, v in second.environment(first.environment(user)).items() if n.startswith("GIT_CONFIG_")},
    }
    inside = first.environment(user)["JAVA_TOOL_OPTIONS"] + " -Dmine=1"
    assert second.environment({"JAVA_TOOL_OPTIONS": inside})["JAVA_TOOL_OPTIONS"].startswith("-Xmx1g -Dmine=1 -Dhttp.")
    quoted = {"MAVEN_ARGS": '"-Dx=a --offline b"'}
    assert second.environment(quoted)["MAVEN_ARGS"] == '"-Dx=a --offline b" --offline'


def test_without_loopback_no_address_is_excepted() -> None:
    result = NetworkShim(allow_loopback=False).environment({"NO_PROXY": "*"})
    assert "NO_PROXY" not in result
    assert "no_proxy" not in result
    assert "-Dhttp.nonProxyHosts= " in result["JAVA_TOOL_OPTIONS"]


def test_a_proxy_of_the_callers_is_used_everywhere() -> None:
    result = NetworkShim(proxy="http://[::1]:8080/").environment({})
    assert result["https_proxy"] == "http://[::1]:8080"
    assert result["DOCKER_HOST"] == "tcp://[::1]:8080"
    assert result["CLOUDSDK_PROXY_ADDRESS"] == "::1"
    assert "127.0.0.1:9" not in "".join(result.values())


def test_denybin_comes_first_in_path_and_its_extensions_first_in_pathext() -> None:
    base = {"Path": r"C:\Windows;C:\Tools", "PathExt": ".COM;.EXE;.BAT;.CMD;.PY"}
    result = NetworkShim().environment(base, denybin=DENYBIN)
    assert result["PATH"] == DENYBIN + r";C:\Windows;C:\Tools"
    assert result["PATHEXT"] == ".CMD;.BAT;.COM;.EXE;.PY"
    assert NetworkShim().environment({}, denybin=DENYBIN)["PATHEXT"] == ".CMD;.BAT;.COM;.EXE"
    assert NetworkShim().environment({"PATH": "/bin"}, denybin="/d")["PATH"] == "/d:/bin"
    assert "PATHEXT" not in NetworkShim().environment({"PATH": "/bin"}, denybin="/d")


def test_without_stubs_or_directory_path_stays() -> None:
    base = {"Path": r"C:\Windows", "PathExt": ".EXE"}
    assert NetworkShim(stubs=()).environment(base, denybin=DENYBIN)["Path"] == r"C:\Windows"
    assert NetworkShim().environment(base)["PathExt"] == ".EXE"


@pytest.mark.parametrize("denybin", ["", "bin", r"\bin", "C:bin", r".\bin", r"C:\a;b", 'C:\\a"b', "/a:b", "/a\0b"])
def test_a_denybin_that_path_cannot_hold_is_refused(denybin: str) -> None:
    with pytest.raises(PolicyError) as caught:
        NetworkShim().environment({}, denybin=denybin)
    assert caught.value.mistakes[0].code == "network.denybin"


SCRIPTS = ("a.js", "a.VBS", "a.ps1", "a.wsf", "a.py", "a.lnk")


@pytest.mark.parametrize(
    ("arguments", "paths"),
    [
        ({"proxy": "127.0.0.1:9"}, ["network.proxy"]),
        ({"proxy": "http://user:secret@h:1"}, ["network.proxy"]),
        ({"proxy": "http://h:0"}, ["network.proxy"]),
        ({"proxy": "http://h:65536"}, ["network.proxy"]),
        ({"proxy": "http://h:1/x y"}, ["network.proxy"]),
        ({"proxy": "http://h&calc:1"}, ["network.proxy"]),
        ({"proxy": "http://h:1\n"}, ["network.proxy"]),
        ({"proxy": None}, ["network.proxy"]),
        ({"proxy": "http://[:::::]:9"}, ["network.proxy"]),
        ({"proxy": "http://h..h:9"}, ["network.proxy"]),
        ({"proxy": "http://.h:9"}, ["network.proxy"]),
        ({"proxy": "http://h.:9"}, ["network.proxy"]),
        ({"proxy": "http://-h:9"}, ["network.proxy"]),
        ({"proxy": "http://h.256:9"}, ["network.proxy"]),
        ({"proxy": "http://127.0.0.256:9"}, ["network.proxy"]),
        ({"proxy": f"http://{'a' * 64}.h:9"}, ["network.proxy"]),
        ({"allow_loopback": 1}, ["network.allow_loopback"]),
        ({"enabled": "no"}, ["network.enabled"]),
        ({"stubs": "ssh"}, ["network.stubs"]),
        ({"stubs": ("ssh.exe", "con", "")}, [f"network.stubs[{n!r}]" for n in ("ssh.exe", "con", "")]),
        ({"stubs": ("a b", "..", "a&b", "a/b")}, [f"network.stubs[{n!r}]" for n in ("a b", "..", "a&b", "a/b")]),
        ({"stubs": SCRIPTS}, [f"network.stubs[{n!r}]" for n in SCRIPTS]),
        ({"stubs": ("a" * 65,)}, [f"network.stubs[{'a' * 65!r}]"]),
        ({"stubs": ("ssh", "SSH")}, ["network.stubs['SSH']"]),
        ({"tools": ("gti",)}, ["network.tools['gti']"]),
        ({"tools": ("raw sockets",)}, ["network.tools['raw sockets']"]),
        ({"keep": ("HTTP_PROX", "path", MARKER)}, [f"network.keep[{n!r}]" for n in ("HTTP_PROX", "path", MARKER)]),
        ({"extra": {"A=B": "x", "PATH": "y", "": "z"}}, [f"network.extra[{n!r}]" for n in ("A=B", "PATH", "")]),
        ({"extra": {"A": 1}}, ["network.extra['A']"]),
        *[({"extra": {f"GIT_CONFIG_{n}": "1"}}, [f"network.extra['GIT_CONFIG_{n}']"])
          for n in ("COUNT", "PARAMETERS", "KEY_0", "VALUE_12")],
        ({"extra": {"winsandbox_network_shim_v9": "1"}}, ["network.extra['winsandbox_network_shim_v9']"]),
        ({"extra": {"A": "\ud800"}}, ["network.extra['A']"]),
        ({"extra": {"\udfff": "a"}}, ["network.extra['\\udfff']"]),
        ({"keep": ("NO_PROXY",), "extra": {"no_proxy": "x"}}, ["network.extra['no_proxy']"]),
        ({"extra": ["A"]}, ["network.extra"]),
        ({"proxy": "x", "tools": 1, "extra": 2}, ["network.proxy", "network.tools", "network.extra"]),
    ],
)  # fmt: skip
def test_all_mistakes_are_told_together(arguments: dict[str, Any], paths: list[str]) -> None:
    with pytest.raises(PolicyError) as caught:
        NetworkShim(**arguments)
    assert [mistake.path for mistake in caught.value.mistakes] == paths
    for mistake in caught.value.mistakes:
        assert mistake.remedy[-1] in ".?"
        assert mistake.remedy[-2] not in ".?"
    assert "secret" not in str(caught.value)


def test_near_what_is_refused_something_is_allowed() -> None:
    for proxy in ("http://h.h:9", "http://a-1.corp:65535/", "http://10.0.0.1:1", "http://[::ffff:1.2.3.4]:9"):
        assert NetworkShim(proxy=proxy).proxy == proxy
    assert NetworkShim(stubs=("js", "ssh2.5", "a" * 64)).stubs == ("js", "ssh2.5", "a" * 64)
    extra = {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null", "EMOJI": "\U0001f600"}
    assert NetworkShim(extra=extra).environment({}).items() >= extra.items()


def test_a_wrong_type_in_extra_is_named() -> None:
    for extra, got in (({None: "a"}, "null"), ({1: "a"}, "int"), ({"A": 1.0}, "float")):
        with pytest.raises(PolicyError) as caught:
            NetworkShim(extra=extra)  # type: ignore[arg-type]
        assert f"({got})" in caught.value.mistakes[0].reason


@pytest.mark.parametrize("given_", [None, [], {"prox": 1}, {"stubs": 1}, {"tools": "git"}, {"extra": {"A": None}}])
def test_from_dict_tells_mistakes_and_never_fails_otherwise(given_: Any) -> None:
    with pytest.raises(PolicyError):
        NetworkShim.from_dict(given_)


def test_a_shim_cannot_be_changed() -> None:
    shim = NetworkShim(extra={"A": "b"})
    with pytest.raises(dataclasses.FrozenInstanceError):
        shim.proxy = "x"  # type: ignore[misc]
    with pytest.raises(TypeError):
        shim.extra["A"] = "c"  # type: ignore[index]
    with pytest.raises(TypeError):
        shim.stub_files()["x"] = b""  # type: ignore[index]


def test_a_child_learns_that_the_shim_is_active() -> None:
    assert shim_active(NetworkShim().environment({}))
    assert shim_active({"winsandbox_network_shim_v7": "1"})
    assert MARKER.endswith("_V1")
    assert NetworkShim().environment({})[MARKER] == "1"
    assert not shim_active({})
    assert not shim_active({MARKER + "X": "1"})
    assert not shim_active({MARKER: "0"})
    assert not shim_active(NetworkShim.off().environment({"A": "b"}))


def test_an_empty_shim_sets_no_marker_but_one_with_stubs_or_tools_does() -> None:
    assert NetworkShim(tools=(), stubs=(), extra={"A": "b"}).environment({}) == {"A": "b"}
    assert shim_active(NetworkShim(tools=()).environment({}))
    assert shim_active(NetworkShim(stubs=()).environment({}))


def test_it_is_advisory_and_never_called_a_wall() -> None:
    assert NetworkShim().guarantee == "advisory"
    said = "".join(map(str, NetworkShim().explain())) + (network.__doc__ or "") + str(NetworkShim().stub_files())
    assert "block" not in said.lower()


def test_explain_says_of_every_row_by_what_it_works_and_what_gets_around_it() -> None:
    notes = NetworkShim().explain()
    assert [note.tool for note in notes] == [row.tool for row in ROWS]
    assert len({note.tool for note in notes}) == len(notes)
    environment = NetworkShim().environment({})
    for note in notes:
        assert note.means
        assert note.bypass
        assert note.source
        assert note.tested == TESTED.get(note.tool, "untested")
        assert note.covered == bool(note.variables or note.stubs)
        for name, value in note.variables:
            assert value == "" or name.endswith("(git configuration)") or environment[name] == value
    assert [note.tool for note in notes if not note.covered] == ["WinHTTP and WinINet", "raw sockets"]
    assert set(TESTED) <= set(ALL) | {"ssh"}


def note(tool: str, **arguments: Any) -> ToolNote:
    return next(note for note in NetworkShim(**arguments).explain() if note.tool == tool)


def without(*tools: str) -> tuple[str, ...]:
    return tuple(tool for tool in ALL if tool not in tools)


DOCKER = "the address of the dead proxy in place of the daemon's"
DOTNET = "no revocation checks over the network, no telemetry"
KEPT = "dead proxy [kept: http_proxy, https_proxy]"
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "ALL_PROXY")


@pytest.mark.parametrize(
    ("tool", "arguments", "covered", "means"),
    [
        # What another tool's row sets stops it as well.
        ("pip", {"tools": without("pip")}, True, "dead proxy"),
        ("pip", {"tools": ("git",)}, True, "dead proxy"),
        ("uv", {"tools": (), "extra": {"UV_OFFLINE": "1"}}, True, "offline setting"),
        ("maven", {"tools": without("maven")}, False, "none: left out"),
        ("pip", {"tools": ()}, False, "none: left out"),
        ("pip", {"enabled": False}, False, "none: it is off"),
        ("raw sockets", {}, False, "none"),
        # What is left spares prompts and the like, and stops nothing.
        ("docker", {"keep": ("DOCKER_HOST",)}, False, f"{DOCKER} [kept: DOCKER_HOST]"),
        ("docker", {"keep": ("DOCKER_CONTEXT",)}, False, f"{DOCKER} [kept: DOCKER_CONTEXT]"),
        ("gh", {"keep": PROXIES}, False, f"{KEPT}; no prompts"),
        ("deno", {"keep": PROXIES}, False, f"{KEPT}; no update check"),
        ("dotnet", {"keep": PROXIES}, False, f"{KEPT}; {DOTNET}"),
        ("aws", {"keep": ("HTTPS_PROXY",)}, False, "dead proxy [kept: https_proxy]; no metadata service, one attempt"),
        ("curl", {"keep": ("no_proxy",)}, False, "dead proxy [kept: no_proxy]"),
        ("curl", {"keep": ("all_proxy", "ftp_proxy")}, True, "dead proxy"),
        ("pip", {"keep": PROXIES}, True, "no index; dead proxy; no retries"),
        ("pip", {"keep": ("PIP_PROXY", "PIP_NO_INDEX")}, False,
         "no index [kept: PIP_NO_INDEX]; dead proxy [kept: PIP_PROXY]; no retries"),
        ("git", {"keep": ("GIT_ALLOW_PROTOCOL", "GIT_CONFIG_COUNT")}, False,
         "transports other than file are refused [kept: GIT_ALLOW_PROTOCOL]; "
         "dead proxy for http and https [kept: GIT_CONFIG_COUNT]; ssh command that fails; no prompts"),
        ("git", {"keep": ("GIT_ALLOW_PROTOCOL",)}, True,
         "transports other than file are refused [kept: GIT_ALLOW_PROTOCOL]; "
         "dead proxy for http and https; ssh command that fails; no prompts"),
        ("uv", {"keep": PROXIES}, True, f"offline setting; {KEPT}"),
        # What is overridden does not count, and is marked.
        ("uv", {"extra": {"UV_OFFLINE": "0"}}, True, "offline setting [overridden: UV_OFFLINE]; dead proxy"),
        ("uv", {"extra": {"UV_OFFLINE": "0", "HTTP_PROXY": "http://c:1"}}, False,
         "offline setting [overridden: UV_OFFLINE]; dead proxy [overridden: http_proxy]"),
        ("curl", {"extra": {"http_proxy": "http://corp:3128"}}, False, "dead proxy [overridden: http_proxy]"),
        ("curl", {"extra": {"http_proxy": "http://127.0.0.1:9"}}, True, "dead proxy"),
        ("curl", {"extra": {"NO_PROXY": "db.corp"}}, True, "dead proxy"),
        ("curl", {"extra": {"NO_PROXY": "a, *"}}, False, "dead proxy [overridden: no_proxy]"),
        # Another proxy is not known to be dead.
        ("curl", {"proxy": "http://corp:3128"}, False, "proxy http://corp:3128"),
        ("curl", {"proxy": "http://127.0.0.1:9/"}, True, "dead proxy"),
        ("pip", {"proxy": "http://corp:3128"}, True, "no index; proxy http://corp:3128; no retries"),
        ("docker", {"proxy": "http://corp:3128"}, False, DOCKER.replace("dead proxy", "proxy http://corp:3128")),
        ("ssh", {"tools": ()}, True, "stubs in front of PATH"),
        ("ssh", {"stubs": ("scp",)}, False, "stubs in front of PATH"),
        ("ssh", {"stubs": ()}, False, "none: left out"),
    ],
)  # fmt: skip
def test_explain_counts_only_what_stops_the_tool(
    tool: str, arguments: dict[str, Any], covered: bool, means: str
) -> None:
    found = note(tool, **arguments)
    assert (found.covered, found.means) == (covered, means)


@pytest.mark.parametrize(
    ("tool", "name"),
    [("node", "NODE_USE_ENV_PROXY"), ("gradle", "_JAVA_OPTIONS"), ("gradle", "GRADLE_OPTS"), ("java", "_JAVA_OPTIONS"),
     ("maven", "MAVEN_ARGS"), ("yarn-berry", "YARN_HTTP_PROXY")],
)  # fmt: skip
def test_a_means_counts_only_whole(tool: str, name: str) -> None:
    assert note(tool).covered
    keep = (name, "YARN_ENABLE_NETWORK") if tool == "yarn-berry" else (name,)
    found = note(tool, keep=keep)
    assert not found.covered
    assert f"kept: {name}]" in found.means
    assert f"{name}, which is kept as the user has it" in found.bypass


def test_explain_names_what_is_overridden_and_what_another_proxy_means() -> None:
    assert "UV_OFFLINE, to which extra gives another value" in note("uv", extra={"uv_offline": "0"}).bypass
    assert dict(note("uv", extra={"uv_offline": "0"}).variables)["UV_OFFLINE"] == "0"
    assert "no_proxy, to which extra gives another value" in note("curl", extra={"NO_PROXY": "db.corp"}).bypass
    assert note("curl", proxy="http://corp:3128").bypass.endswith("; whatever the proxy http://corp:3128 lets through")
    assert "corp" not in note("docker", tools=("git",), proxy="http://corp:3128").bypass
    assert "scp, which has no stub" in note("ssh", stubs=("ssh",)).bypass


@given(shims())
def test_law_explain_says_what_the_environment_has(shim: NetworkShim) -> None:
    made = _fold(shim.environment({}))
    for row, told in zip(ROWS, shim.explain(), strict=True):
        for name, value in told.variables:
            if name.endswith("(git configuration)"):
                assert (made["GIT_CONFIG_KEY_0"], made["GIT_CONFIG_VALUE_0"]) == ("http.proxy", value)
            else:
                assert made.get(folded(name), "") == value
        if told.covered and row.means:
            names = {name for name, _ in told.variables}
            stops = [{v.name for v in means.stops} for means in row.means if means.stops]
            assert any({n for n in stop if n != "http.proxy"} <= names for stop in stops)
        missing = {v.name for v in row.variables if folded(v.name) in made} - {name for name, _ in told.variables}
        assert not missing


def test_one_name_has_one_meaning_in_all_rows() -> None:
    known: dict[str, Variable] = {}
    for row in ROWS:
        for variable in row.variables:
            assert known.setdefault(folded(variable.name), variable) == variable


def test_explain_follows_what_was_chosen() -> None:
    shim = NetworkShim(tools=("git",), stubs=("ssh",), keep=("GIT_TERMINAL_PROMPT",))
    notes = {note.tool: note for note in shim.explain()}
    assert notes["git"].covered
    assert "GIT_TERMINAL_PROMPT" not in dict(notes["git"].variables)
    assert notes["git"].bypass.endswith("; GIT_TERMINAL_PROMPT, which is kept as the user has it")
    assert "kept" not in notes["npm"].bypass
    git = NetworkShim(keep=("git_config_count",)).explain()[0]
    assert "http.proxy (git configuration)" not in dict(git.variables)
    assert git.bypass.endswith("; GIT_CONFIG_COUNT, which is kept as the user has it")
    assert notes["ssh"].stubs == ("ssh",)
    assert notes["npm"].covered, "by the proxy variables that git has set"
    assert not notes["docker"].covered
    assert dict(NetworkShim(extra={"NO_PROXY": "db.corp"}).explain()[0].variables)["no_proxy"] == "db.corp"


def test_stubs_have_the_line_ends_of_their_readers() -> None:
    files = NetworkShim(stubs=("ssh",)).stub_files()
    assert sorted(files) == ["ssh", "ssh.bat", "ssh.cmd"]
    for name in ("ssh.bat", "ssh.cmd"):
        assert files[name].endswith(b'\r\n@"%ComSpec%" /d /c exit 1\r\n'), "cmd's && sees the last command only"
        assert files[name].count(b"\r\n") == files[name].count(b"\n") == 2
        assert b"\\r" not in files[name]
        assert not set(b"%^!&|<()").intersection(files[name].splitlines()[0].replace(b"1>&2", b""))
    assert files["ssh"].startswith(b"#!/bin/sh\n")
    assert b"\r" not in files["ssh"]
