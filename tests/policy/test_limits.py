"""Limits: what is accepted and what is refused."""

from __future__ import annotations

import math
from typing import Any

import pytest

from winsandbox.errors import PolicyError
from winsandbox.limits import Limits


def refused(**values: Any) -> list[tuple[str, str, str]]:
    with pytest.raises(PolicyError) as caught:
        Limits(**values)
    return [(mistake.path, mistake.code, str(mistake)) for mistake in caught.value.mistakes]


def test_no_limit_is_the_default() -> None:
    assert Limits() == Limits(memory=None, processes=None, cpu_time=None, wall_time=None)
    assert Limits().to_dict() == {}


def test_seconds_become_floats_so_that_equal_limits_are_equal() -> None:
    assert Limits(cpu_time=60, wall_time=1).to_dict() == {"cpu_time": 60.0, "wall_time": 1.0}
    assert hash(Limits(cpu_time=60)) == hash(Limits(cpu_time=60.0))


@pytest.mark.parametrize("value", [1, 2**32 - 1])
def test_the_ends_of_the_range_of_processes_are_accepted(value: int) -> None:
    assert Limits(processes=value).processes == value


@pytest.mark.parametrize("field", ["memory", "processes"])
@pytest.mark.parametrize("value", [0, -1, 2**63, pytest.param(10**400, id="huge")])
def test_a_count_out_of_range_is_refused(field: str, value: int) -> None:
    ((path, code, text),) = refused(**{field: value})
    assert (path, code) == (f"limits.{field}", "limits.range")
    assert "it is out of range. Give a number of" in text


@pytest.mark.parametrize("field", ["cpu_time", "wall_time"])
@pytest.mark.parametrize(
    "value", [0, 0.0, -1, -0.5, math.inf, -math.inf, math.nan, 1e300, pytest.param(10**400, id="huge"), 1e-9]
)
def test_seconds_out_of_range_are_refused(field: str, value: float) -> None:
    ((path, code, text),) = refused(**{field: value})
    assert (path, code) == (f"limits.{field}", "limits.range")
    assert "Give seconds from" in text


@pytest.mark.parametrize("field", ["memory", "processes", "cpu_time", "wall_time"])
@pytest.mark.parametrize("value", ["1", True, False, [1], 1j])
def test_another_type_is_refused(field: str, value: object) -> None:
    ((path, code, text),) = refused(**{field: value})
    assert (path, code) == (f"limits.{field}", "type")
    assert f"wrong type ({type(value).__name__})" in text


def test_a_fraction_of_a_process_is_refused() -> None:
    assert [code for _, code, _ in refused(processes=1.5)] == ["type"]


def test_the_largest_times_fit_the_fields_that_hold_them() -> None:
    limits = Limits(cpu_time=922337203685, wall_time=4294967)
    assert limits.cpu_time is not None
    assert limits.wall_time is not None
    assert int(limits.cpu_time * 10_000_000) < 2**63  # PerJobUserTimeLimit: a LARGE_INTEGER of 100 ns
    assert int(limits.wall_time * 1000) < 2**32 - 1  # INFINITE
    assert len(refused(cpu_time=922337203686, wall_time=4294968)) == 2


def test_every_mistake_is_reported() -> None:
    with pytest.raises(PolicyError) as caught:
        Limits.from_dict({"memory": "lots", "processes": 0, "cpu_time": "1", "wal_time": 3})
    assert [(mistake.path, mistake.code) for mistake in caught.value.mistakes] == [
        ("limits.memory", "limits.size"),
        ("limits.wal_time", "key"),
        ("limits.processes", "limits.range"),
        ("limits.cpu_time", "type"),
    ]
    assert str(caught.value.mistakes[0]) == (
        'limits.memory: \'lots\' is no size. Write a number of bytes, or text such as "512MiB" or "2GiB".'
    )
    assert 'did you mean "wall_time"?' in caught.value.mistakes[1].reason


@pytest.mark.parametrize(
    ("text", "size"),
    [("1B", 1), ("3KiB", 3072), ("512MiB", 512 << 20), ("2 GiB", 2 << 30), ("1TiB", 1 << 40)],
)
def test_sizes_may_be_written_with_a_unit(text: str, size: int) -> None:
    assert Limits.from_dict({"memory": text}) == Limits(memory=size)


@pytest.mark.parametrize(
    "text",
    ["", "512", "512MB", "512mib", "1.5GiB", "-1MiB", "MiB", "1  GiB", "٣MiB", pytest.param("9" * 5000, id="huge")],
)
def test_other_sizes_are_refused(text: str) -> None:
    with pytest.raises(PolicyError, match="is no size"):
        Limits.from_dict({"memory": text})


@pytest.mark.parametrize("wrong", [None, 3, "1GiB", [1]])
def test_limits_that_are_no_table_are_a_mistake(wrong: Any) -> None:
    with pytest.raises(PolicyError, match="limits: it is of the wrong type"):
        Limits.from_dict(wrong)
