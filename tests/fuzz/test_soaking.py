"""A soak finds memory, descriptors and threads that rounds leave behind, and goes on where its file says."""

from __future__ import annotations

import mmap
import os
from pathlib import Path
from typing import Any

import pytest

from tests.fuzz import soak
from tests.fuzz.soak import MOST, ROUNDS, SETTLED, WARM, SoakResults, growth, points, verdict

Points = list[dict[str, float]]


def part(rate: float, rounds: int = 400, filling: float = 0.0, **others: Any) -> Points:
    """Points of rounds that each keep so many MiB; those of the beginning, in which caches fill, keep more."""
    return [
        {
            "round": number,
            "resident": 300.0 + min(number, WARM) + filling * min(number, SETTLED) / SETTLED + rate * number,
            "descriptors": 6,
            "threads": 1,
            **others,
        }
        for number in range(10, rounds + 1, 10)
    ]


@pytest.mark.parametrize("rate", [0.0, 0.5])
def test_growth_is_that_behind_the_first_rounds(rate: float) -> None:
    assert growth(part(rate)) == pytest.approx(ROUNDS * rate, abs=1e-6)
    assert growth(part(rate, rounds=SETTLED + 10)) is None


def test_what_fills_caches_counts_once() -> None:
    assert growth(part(0.1, filling=8.0)) == pytest.approx(0.1 * ROUNDS + 8.0 * (SETTLED - WARM) / SETTLED, abs=1e-6)


def test_conversions_may_grow_as_exports_do_and_little_more() -> None:
    shared = 0.1
    faults, told = verdict({"convert": [part(shared + 0.9 * MOST / ROUNDS)], "export": [part(shared)]})
    assert faults == [] and "convert +109.0, export +100.0" in told
    faults, _ = verdict({"convert": [part(0.0), part(2 * (shared + 1.1 * MOST / ROUNDS))], "export": [part(shared)]})
    assert len(faults) == 1 and "more memory" in faults[0]


@pytest.mark.parametrize("what", ["descriptors", "threads"])
def test_descriptors_and_threads_are_constant(what: str) -> None:
    found = part(0.0)
    found[-1] = found[-1] | {what: 7}
    faults, _ = verdict({"convert": [part(0.0)], "export": [found]})
    assert len(faults) == 1 and f"export: {what}" in faults[0]


def test_what_rounds_leave_behind_is_measured() -> None:
    left: list[Any] = []
    size = 9 << 19  # 4.5 MiB

    def leak(number: int) -> None:
        block = mmap.mmap(-1, size)  # from the system itself: what others have freed is not used again
        block.write(os.urandom(size))
        left.append((block, os.open(os.devnull, os.O_RDONLY)))

    try:
        found = list(points(leak, 0, 30))
    finally:
        for _, file in left:
            os.close(file)
    assert found[-1]["resident"] - found[0]["resident"] == pytest.approx(90.0, abs=10.0)
    assert found[-1]["descriptors"] - found[0]["descriptors"] == 20


def test_a_soak_goes_on_where_its_file_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "soak.json"
    first = SoakResults(path, 0)
    first.segments["convert"].append(part(0.0))
    first.write()
    again = SoakResults(path, 0)
    assert again.done("convert") == 400 and again.done("export") == 0 and again.segments == first.segments
    with pytest.raises(SystemExit, match="seed"):
        SoakResults(path, 1)


@pytest.mark.parametrize("kind", soak.WORK)
def test_a_round_of_every_kind_runs(kind: str) -> None:
    (point,) = points(soak.WORK[kind], 0, 1)
    assert point["round"] == 1 and point["resident"] > 0
