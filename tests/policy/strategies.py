"""Paths, environments and whole policies for the property tests."""

from __future__ import annotations

from typing import Literal

from hypothesis import strategies as st

from winsandbox.environment import Environment, folded
from winsandbox.limits import Limits
from winsandbox.network import ALL, NetworkShim
from winsandbox.policy import UI_LIMITS, Policy, Protect

# Everything that Windows takes in a name, with the letters whose case is special.
_LETTERS = st.one_of(
    st.sampled_from("aAbBzZ09 ._-+()[]{}'~!@#$%&=,;µßıſςΣǅǆÿŸᾳ𐐀\x7f"),
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters='<>"|?*:/\\'),
)


def _is_name(text: str) -> bool:
    stem = folded(text.partition(".")[0].rstrip(" "))
    device = stem in {"CON", "PRN", "AUX", "NUL"} or (len(stem) == 4 and stem.startswith(("COM", "LPT")))
    return bool(text) and text[-1] not in ". " and not device and folded(text) != "APPDATA"


names = st.text(_LETTERS, min_size=1, max_size=12).filter(_is_name)
relative_paths = st.lists(names, min_size=1, max_size=3).map("\\".join)
# Below a first name that is no system directory.
root_paths = st.tuples(st.sampled_from("CDEZ"), st.lists(names, max_size=3)).map(
    lambda drawn: f"{drawn[0]}:\\" + "\\".join(["work", *drawn[1]])
)

variable_names = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="=\0"), min_size=1, max_size=8
) | st.sampled_from(["Path", "PATH", "path", "SystemRoot", "GITHUB_TOKEN", "ß", "SS", "ı", "I", "i", "=C:"])
values = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=10)
variables = st.dictionaries(variable_names, values, max_size=6)
spelled_once = st.lists(st.tuples(variable_names, values), max_size=6, unique_by=lambda item: folded(item[0])).map(dict)
patterns = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="=\0"), min_size=1, max_size=6)


@st.composite
def environments(draw: st.DrawFn) -> Environment:
    inherit: Literal["all", "core", "none"] = draw(st.sampled_from(("all", "core", "none")))
    return Environment(
        inherit=inherit,
        include=() if inherit == "all" else tuple(draw(st.lists(patterns, max_size=3))),
        exclude=(*draw(st.sampled_from(((), Environment.SECRETS))), *draw(st.lists(patterns, max_size=3))),
        set=draw(spelled_once),
        redirect_caches=draw(st.booleans()),
    )


limits = st.builds(
    Limits,
    memory=st.none() | st.integers(1, 2**63 - 1),
    processes=st.none() | st.integers(1, 2**32 - 1),
    cpu_time=st.none() | st.floats(1e-7, 922337203685.0),
    wall_time=st.none() | st.floats(0.001, 4294967.0) | st.integers(1, 4294967),
)

networks = st.builds(
    NetworkShim,
    enabled=st.booleans(),
    allow_loopback=st.booleans(),
    stubs=st.sampled_from([(), ("ssh",), ("ssh", "telnet")]),
    tools=st.permutations(ALL).map(tuple) | st.sampled_from([(), ("uv", "git")]),
    extra=st.sampled_from([{}, {"PIP_INDEX_URL": "http://localhost:3141/"}, {"A'B": 'c"d\\e\n'}]),
)


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    protected = draw(st.sampled_from((Protect.DEFAULT, Protect.GIT_HOOKS, Protect.NONE)) | st.lists(relative_paths))
    # Each root has a first name of its own, so that none lies at a protected place of another.
    roots = [
        f"{path[0]}:\\root{number}{path[2:]}" for number, path in enumerate(draw(st.lists(root_paths, max_size=3)))
    ]
    return Policy(
        cwd=draw(st.sampled_from(["", *roots]) | root_paths),
        writable_roots=tuple(roots),
        protected_subpaths=tuple(protected),
        integrity=draw(st.sampled_from(("medium", "low"))),
        guards=draw(st.booleans()),
        restricting=tuple(draw(st.sets(st.sampled_from(("logon", "everyone"))))),
        ui_limits=tuple(draw(st.sets(st.sampled_from(UI_LIMITS)))),
        console=draw(st.sampled_from(("private", "shared"))),
        desktop=draw(st.sampled_from(("private", "shared"))),
        python_shim=draw(st.booleans()),
        elevated=draw(st.sampled_from(("refuse", "lower"))),
        environment=draw(environments()),
        limits=draw(limits),
        network=draw(networks),
    )
