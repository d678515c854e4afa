"""What is said of times: ratios round by round, a verdict on the machine, and costs that rose; no times as such."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from benchmarks.forms import forms, with_folded_norms
from benchmarks.stored_ratios import slower, store, stored
from benchmarks.timing import MOST_NOISE, Quartiles, TooNoisy, Turns, answer, in_fresh_process, in_turns


def turns(fixed: list[float], **seconds: list[float]) -> Turns:
    return Turns(seconds, fixed, 1)


def test_a_ratio_is_of_one_rounds_times_so_that_a_slow_round_slows_both() -> None:
    """The median of quotients, with the rounds' quartiles; that of medians would be 2 / 3."""
    found = turns([1.0], ours=[2.0, 4.0, 30.0], other=[1.0, 6.0, 10.0])
    assert found.ratio("ours", "other") == Quartiles.of([2.0, 4.0 / 6.0, 3.0])
    assert found.ratio("ours", "other").median == 2.0
    assert found.fastest(["ours", "other"]) == "ours"


def test_a_spread_is_the_median_and_the_quartiles() -> None:
    assert Quartiles.of([4.0, 1.0, 3.0, 2.0, 5.0]) == Quartiles(3.0, 2.0, 4.0)
    assert Quartiles.of([7.0]) == Quartiles(7.0, 7.0, 7.0)
    assert Quartiles.of([4.0, 1.0, 3.0, 2.0, 5.0]).relative == pytest.approx(2 / 3)


def test_a_machine_is_too_noisy_by_the_fixed_work_alone() -> None:
    """Whatever else varied, and by quartiles: one slow turn among many is no verdict, and no number is no quiet."""
    turns([1.0, 1.0, 1.0, 1.0, 50.0], ours=[1.0, 9.0]).check()
    turns([1.0, 1.0 + MOST_NOISE], ours=[1.0]).check()
    for fixed in ([1.0, 1.0, 1.0, 1.5, 1.5], [float("nan")]):
        with pytest.raises(TooNoisy, match="fixed piece of work"):
            turns(fixed, ours=[1.0, 1.0]).check()


def test_works_take_turns_with_the_fixed_one_between_them() -> None:
    called: list[str] = []

    def work(name: str) -> None:
        if not called or called[-1] != name:  # repeated within its turn
            called.append(name)

    found = in_turns({"a": lambda: work("a"), "b": lambda: work("b"), "c": lambda: work("c")}, rounds=2)
    assert called in (["a", "b", "c", "a", "b", "c", "b", "c", "a"], ["a", "b", "c", "b", "c", "a"])
    assert {name: len(each) for name, each in found.seconds.items()} == {"a": 2, "b": 2, "c": 2}
    assert len(found.fixed) == 6 and found.threads == torch.get_num_threads()


def measured(rows: list[str]) -> dict[str, Any]:
    return {"turns": turns([1.0], **{row: [2.0] for row in rows}), "rows": rows}


def test_turns_come_back_from_another_process(tmp_path: Path) -> None:
    file = tmp_path / "result.json"
    answer(f"{__name__}:measured", json.dumps({"rows": ["ours"]}), str(file))
    assert json.loads(file.read_text())["turns"] == {"seconds": {"ours": [2.0]}, "fixed": [1.0], "threads": 1}
    assert in_fresh_process("torch:get_num_threads", threads=2) == 2


def test_costs_that_rose_by_over_a_quarter_are_flagged(tmp_path: Path) -> None:
    """Speed then fell by over a fifth. What is new, and other machines and threads, are not compared."""
    file = tmp_path / "ratios.json"
    store("a", 1, {"window": 1.0, "step": 2.0, "gone": 3.0}, file)
    store("a", 2, {"window": 9.0}, file)
    found = {"window": Quartiles(1.26, 1.2, 1.3), "step": Quartiles(2.49, 2.4, 2.6), "new": Quartiles(50.0, 50.0, 50.0)}
    (line,) = slower(found, stored("a", 1, file))
    assert line.startswith("window: 1.26") and line.endswith("21 % slower")
    assert slower(found, stored("a", 2, file)) == slower(found, stored("b", 1, file)) == []


def test_batch_norms_are_folded_where_a_convolution_is_in_front_and_the_output_stays() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        front, behind = nn.BatchNorm2d(2), nn.BatchNorm2d(3)
        model = nn.Sequential(front, nn.Conv2d(2, 3, 3), behind, nn.ReLU()).eval()
        images = torch.rand(4, 2, 8, 8)
    for norm in (front, behind):
        norm.running_mean, norm.running_var = torch.rand(norm.num_features), 1 + torch.rand(norm.num_features)
    kept = [type(each) for each in with_folded_norms(model, images)]  # type: ignore[attr-defined]
    assert kept == [nn.BatchNorm2d, nn.Conv2d, nn.Identity, nn.ReLU]
    found = forms(model, images)
    assert list(found) == ["raw", "folded", "folded, channels last"]
    with torch.no_grad():
        for form in found.values():
            torch.testing.assert_close(form(), model(images))
    assert type(model[2]) is nn.BatchNorm2d
