"""Laws of policies, paths and environments."""

from __future__ import annotations

import copy
import json
import ntpath
import pickle
import tomllib
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.policy.strategies import (
    environments,
    limits,
    names,
    policies,
    relative_paths,
    root_paths,
    values,
    variable_names,
    variables,
)
from winsandbox.environment import Environment, block, folded, merged
from winsandbox.errors import Mistake, PolicyError
from winsandbox.limits import Limits
from winsandbox.policy import Policy, disjoint_roots, is_at_or_below, is_below, normal, root_mistakes

changes = st.dictionaries(variable_names, st.none() | values, max_size=6)
# What somebody may write in a path, right or wrong.
paths = st.one_of(
    root_paths,
    st.text(max_size=12),
    st.lists(
        st.sampled_from(
            ["C:", "c:", "\\", "/", "..", ".", "\\\\?\\", "Windows", "Users", "me", "AppData", "a", "nul", "x ", ":s"]
        ),
        max_size=8,
    ).map("".join),
)
# Anything that JSON or TOML can bring.
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)


def spellings(environment: Mapping[str, str]) -> list[str]:
    return [folded(name) for name in environment]


# Environments


@given(variables, changes)
def test_merged_never_has_two_spellings_of_a_name(base: dict[str, str], laid: dict[str, str | None]) -> None:
    found = spellings(merged(base, laid))
    assert len(found) == len(set(found))


@given(variables, changes)
def test_merged_is_idempotent(base: dict[str, str], laid: dict[str, str | None]) -> None:
    once = merged(base, laid)
    assert list(merged(once, laid).items()) == list(once.items())
    assert list(merged({}, once).items()) == list(once.items())


@given(variables, changes)
def test_merged_lets_the_later_win(base: dict[str, str], laid: dict[str, str | None]) -> None:
    expected = {folded(name): value for name, value in [*base.items(), *laid.items()]}
    result = merged(base, laid)
    assert {folded(name): value for name, value in result.items()} == {
        name: value for name, value in expected.items() if value is not None
    }


@given(variables, changes)
def test_merged_keeps_the_order_of_the_base(base: dict[str, str], laid: dict[str, str | None]) -> None:
    removed = {folded(name) for name, value in laid.items() if value is None}
    kept = [name for name in dict.fromkeys(spellings(base)) if name not in removed]
    assert spellings(merged(base, laid))[: len(kept)] == kept


@given(variables)
def test_block_is_sorted_and_ends_with_two_nuls(environment: dict[str, str]) -> None:
    text = block(environment)
    assert text.endswith("\0\0")
    entries = text[:-2].split("\0") if environment else []
    pairs = [(entry[: entry.index("=", 1)], entry[entry.index("=", 1) + 1 :]) for entry in entries]
    assert dict(pairs) == merged({}, environment)
    order = [folded(name).encode("utf-16-be") for name, _ in pairs]
    assert order == sorted(set(order))


@given(st.text())
def test_folded_is_idempotent_and_keeps_the_length(text: str) -> None:
    assert folded(folded(text)) == folded(text)
    assert len(folded(text)) == len(text)


@given(environments(), variables)
def test_apply_is_idempotent_and_ignores_the_case_of_what_it_gets(
    environment: Environment, base: dict[str, str]
) -> None:
    once = environment.apply(base)
    assert environment.apply(once) == once
    assert set(spellings(environment.apply({folded(n): v for n, v in merged({}, base).items()}))) == set(
        spellings(once)
    )


@given(environments(), variables)
def test_apply_gives_only_what_was_there_or_set(environment: Environment, base: dict[str, str]) -> None:
    assert merged(merged({}, base), environment.set).items() >= environment.apply(base).items()


# Round trips


@given(policies())
def test_round_trip_of_dict_json_and_toml(policy: Policy) -> None:
    assert Policy.from_dict(policy.to_dict()) == policy
    assert Policy.from_json(policy.to_json()) == policy
    assert Policy.from_toml(policy.to_toml()) == policy
    assert json.loads(policy.to_json()) == policy.to_dict()
    assert tomllib.loads(policy.to_toml()) == policy.to_dict()


@given(policies())
def test_making_a_policy_from_its_own_values_changes_nothing(policy: Policy) -> None:
    for same in (policy.replace(), copy.deepcopy(policy), pickle.loads(pickle.dumps(policy))):
        assert same == policy
        assert hash(same) == hash(policy)
        assert same.id == policy.id


@given(environments(), limits)
def test_round_trip_of_the_parts(environment: Environment, limit: Limits) -> None:
    assert Environment.from_dict(environment.to_dict()) == environment
    assert hash(Environment.from_dict(environment.to_dict())) == hash(environment)
    assert Limits.from_dict(limit.to_dict()) == limit


@given(policies(), policies())
def test_the_id_tells_policies_apart(one: Policy, other: Policy) -> None:
    assert (one.id == other.id) == (one == other)


# Input that may be anything


def outcome(mapping: dict[str, object]) -> tuple[Policy | None, tuple[Mistake, ...]]:
    try:
        return Policy.from_dict(mapping), ()
    except PolicyError as error:
        return None, error.mistakes


@given(st.dictionaries(st.sampled_from(list(Policy.workspace(r"C:\a").to_dict())) | st.text(max_size=6), plain))
def test_no_plain_value_gives_anything_but_a_policy_or_a_policy_error(mapping: dict[str, object]) -> None:
    policy, mistakes = outcome(mapping)
    assert all(mistake.reason and mistake.remedy and mistake.code for mistake in mistakes)
    if policy is None:
        assert mistakes
    else:
        assert Policy.from_dict(policy.to_dict()) == policy


@given(paths)
def test_no_text_gives_anything_but_a_root_or_mistakes(text: str) -> None:
    mistakes = root_mistakes(text)
    assert all(mistake.path == text and mistake.code.startswith("root.") for mistake in mistakes)
    if not mistakes:
        assert Policy(writable_roots=(text,)).writable_roots == (normal(text),)
    else:
        with pytest.raises(PolicyError):
            Policy(writable_roots=(text,))


# Paths


@given(paths)
def test_normal_is_idempotent_and_agrees_with_ntpath(text: str) -> None:
    try:
        path = normal(text)
    except PolicyError:
        return
    assert normal(path) == path
    assert normal("\\\\?\\" + path) == path
    # splitroot and normpath are CPython's own account of the same rules.
    assert ntpath.normcase(ntpath.normpath(text.removeprefix("\\\\?\\"))) == ntpath.normcase(path)


@given(paths)
def test_refusal_is_independent_of_case_and_of_the_slash(text: str) -> None:
    codes = [mistake.code for mistake in root_mistakes(text)]
    assert [mistake.code for mistake in root_mistakes(folded(text))] == codes
    if not text.startswith(("/", "\\")):
        assert [mistake.code for mistake in root_mistakes(text.replace("\\", "/"))] == codes


@given(root_paths, relative_paths)
def test_a_path_with_detours_is_judged_by_where_it_leads(root: str, detour: str) -> None:
    ups = "\\..".join([""] + [""] * len(detour.split("\\")))
    assert normal(f"{root}\\{detour}{ups}") == root
    deep = "\\.." * len(root.split("\\")[1:])
    assert [mistake.code for mistake in root_mistakes(f"{root}{deep}\\Windows")] == ["root.windows"]
    assert [mistake.code for mistake in root_mistakes(f"{root}{deep}\\..\\x")] == ["root.dot-dot"]


@given(root_paths, names, st.booleans())
def test_below_is_a_strict_order_by_components(root: str, name: str, shout: bool) -> None:
    child = f"{root}\\{name}"
    other = folded(child) if shout else child
    assert is_below(other, root)
    assert is_at_or_below(other, root)
    assert not is_below(root, other)
    assert not is_below(other, child)
    assert is_at_or_below(other, child)
    assert not is_at_or_below(f"{root}{name.strip()}x", root)


@given(st.lists(root_paths, max_size=5), st.lists(relative_paths, max_size=3))
def test_disjoint_roots_cover_the_same_and_are_disjoint(roots: list[str], protected: list[str]) -> None:
    result = disjoint_roots(roots, protected)
    outer = [root for root, _ in result]
    assert not [(a, b) for a in outer for b in outer if a != b and is_at_or_below(a, b)]
    assert all(any(is_at_or_below(root, kept) for kept in outer) for root in roots)
    assert set(outer) <= set(roots)
    # Every protected place of every root given is still one.
    places = {folded(f"{root}\\{name}") for root, found in result for name in found}
    assert places == {folded(f"{root}\\{name}") for root in roots for name in protected}
