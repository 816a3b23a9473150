"""The promise that the README makes about the cost of ``import winsandbox``; the benchmark that measures it."""

from __future__ import annotations

import pytest

from tests.bench import bench_import, run
from tests.capabilities import needs


@needs("not wine")
def test_importing_costs_no_more_than_promised() -> None:
    # Few samples, and the best of three: a machine that is busy with something else is not what is measured.
    assert min(bench_import.ratio(samples=9) for _ in range(3)) <= bench_import.LIMIT


@needs("not wine")
def test_a_costlier_import_would_be_noticed() -> None:
    baseline = bench_import.sample(bench_import.BASELINE)
    assert (
        min(bench_import.sample(f"{bench_import.BASELINE}, asyncio") for _ in range(3)) > baseline * bench_import.LIMIT
    )


def test_an_unknown_benchmark_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert run.main(["nonsense"]) == 2
    said = capsys.readouterr().err
    assert "no benchmark nonsense; there are " in said
    assert "import" in said
