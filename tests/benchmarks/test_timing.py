"""What is said of times: ratios round by round, a verdict on the machine, and costs that rose; no times as such."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from benchmarks import disturbance, timing
from benchmarks.disturbance import Watch, seconds_of_all
from benchmarks.forms import forms, with_folded_norms
from benchmarks.stored_ratios import slower, store, stored
from benchmarks.timing import (
    MOST_DISTURBED,
    MOST_ERROR,
    Quartiles,
    TooNoisy,
    Turns,
    answer,
    in_fresh_process,
    in_turns,
)


def turns(fixed: list[float], **seconds: list[float]) -> Turns:
    return Turns(seconds, fixed, 1)


def test_a_ratio_is_of_one_rounds_times_so_that_a_slow_round_slows_both() -> None:
    """The median of quotients, with the rounds' quartiles; that of medians would be 2 / 3."""
    found = turns([1.0], ours=[2.0, 4.0, 30.0], other=[1.0, 6.0, 10.0])
    assert found.ratio("ours", "other") == Quartiles.of([2.0, 4.0 / 6.0, 3.0])
    assert found.ratio("ours", "other").median == 2.0
    assert found.fastest(["ours", "other"]) == "ours"


def test_a_spread_is_the_median_and_the_quartiles() -> None:
    assert Quartiles.of([4.0, 1.0, 3.0, 2.0, 5.0]) == Quartiles(3.0, 2.0, 4.0, 5)
    assert Quartiles.of([7.0]) == Quartiles(7.0, 7.0, 7.0)
    assert Quartiles.of([4.0, 1.0, 3.0, 2.0, 5.0]).relative == pytest.approx(2 / 3)


def test_the_control_is_the_fixed_work_beside_itself_within_a_round() -> None:
    """A round that is slower throughout says nothing; one place that is slower than another does."""
    slower_rounds = turns([1.0, 1.0, 4.0, 4.0, 9.0, 9.0], ours=[1.0, 4.0, 9.0], other=[2.0, 8.0, 18.0])
    assert slower_rounds.control == Quartiles(1.0, 1.0, 1.0, 3)
    assert turns([1.0, 1.2, 0.8] * 3, a=[1.0] * 3, b=[1.0] * 3, c=[1.0] * 3).control.rounds == 3
    slower_rounds.check()
    uneven, later_is_slower = [1.0, 1.2, 1.0, 1.0, 1.0, 1.6], [1.0, 1.0 + 2 * MOST_ERROR] * 3
    for fixed in (uneven, later_is_slower, [float("nan")] * 6):
        with pytest.raises(TooNoisy, match="a fixed piece of work took"):
            turns(fixed, ours=[1.0, 1.0, 1.0], other=[2.0, 2.0, 2.0]).check()


def test_a_ratio_is_trusted_by_the_standard_error_of_its_median() -> None:
    """More rounds of the same spread say more."""
    few, many = Quartiles(1.0, 0.9, 1.1, 4), Quartiles(1.0, 0.9, 1.1, 36)
    assert few.error == pytest.approx(3 * many.error) and few.error > MOST_ERROR > many.error
    draws = torch.randn(4000, 101, generator=torch.Generator().manual_seed(0), dtype=torch.float64) + 10
    quarters = draws.quantile(torch.tensor([0.25, 0.5, 0.75], dtype=torch.float64), 1).mean(1).tolist()
    said = Quartiles(quarters[1], quarters[0], quarters[2], 101).error
    assert said == pytest.approx(float(draws.median(1).values.std()) / 10, rel=0.05)
    quiet = turns([1.0] * 4, ours=[1.0, 1.0])
    quiet.check({"ours": many})
    with pytest.raises(TooNoisy, match=r"ours: 1 .* is known to 9 %, not to 5 %"):
        quiet.check({"other": many}, {"ours": few})


def test_turns_that_stay_disturbed_speak_against_all_others() -> None:
    Turns({"ours": [1.0]}, [1.0], 1, MOST_DISTURBED).check()
    with pytest.raises(TooNoisy, match="26 % of the turns"):
        Turns({"ours": [1.0]}, [1.0], 1, MOST_DISTURBED + 0.01).check()


class Taken:
    """Takes the place of the kernel's counters: the part of the processors that others take from each turn."""

    def __init__(self, *shares: float) -> None:
        self.shares: Iterator[float] = iter(shares)

    def share_of_others(self) -> float:
        return next(self.shares, 0.0)


def test_disturbed_turns_are_taken_again_as_far_as_retakes_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    """The turns of a round are the fixed work's and the work's: the first is taken three times, the fourth stays."""
    watch = Taken(0.9, 0.5, 0.0, 0.0, 0.0, 0.9)
    monkeypatch.setattr(timing, "Watch", lambda: watch)
    found = in_turns({"ours": lambda: None}, rounds=2, retakes=2)
    assert found.disturbed == 0.25 and len(found.fixed) == len(found.seconds["ours"]) == 2
    watch.shares = iter([0.9, 0.0, 0.9])
    assert in_turns({"ours": lambda: None}, rounds=1, retakes=9).disturbed == 0.0


def test_seconds_of_all_are_busy_and_stolen_ones() -> None:
    """user, nice, system, idle, iowait, irq, softirq, steal, guest, as proc(5) names them; guest is in user already."""
    assert seconds_of_all("cpu  100 20 30 9000 500 4 5 41 60 0", 100) == 2.0
    assert seconds_of_all("cpu  100 20 30 9000", 100) == 1.5


@pytest.mark.parametrize(("busy", "share"), [(14.0, 0.25), (11.0, 0.0), (99.0, 1.0)])
def test_a_watch_counts_what_others_take_and_not_this_process(
    busy: float, share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 8 s of 4 processors in 2 s, all were busy for ``busy`` - 10, and this process for 2."""
    clocks = SimpleNamespace(process_time=iter([1.0, 3.0]).__next__, perf_counter=iter([5.0, 7.0]).__next__)
    monkeypatch.setattr(disturbance, "time", clocks)
    monkeypatch.setattr(disturbance, "_busy", iter([10.0, busy]).__next__)
    monkeypatch.setattr("os.cpu_count", lambda: 4)
    assert Watch().share_of_others() == share


def test_the_call_that_compiles_does_not_say_how_many_calls_a_turn_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    """5 s for the first call, and a tenth of a turn for each later one."""
    now = [0.0]
    seconds = iter([5.0, timing.LEAST_SECONDS / 10])
    monkeypatch.setattr(timing, "time", SimpleNamespace(perf_counter=lambda: now[0]))
    assert timing._calls(lambda: now.__setitem__(0, now[0] + next(seconds))) in (10, 11)


def test_works_take_turns_with_the_fixed_one_between_them() -> None:
    called: list[str] = []

    def work(name: str) -> None:
        if not called or called[-1] != name:  # repeated within its turn
            called.append(name)

    found = in_turns({"a": lambda: work("a"), "b": lambda: work("b"), "c": lambda: work("c")}, rounds=2)
    assert called in (["a", "b", "c", "a", "b", "c", "b", "c", "a"], ["a", "b", "c", "b", "c", "a"])
    assert {name: len(each) for name, each in found.seconds.items()} == {"a": 2, "b": 2, "c": 2}
    assert len(found.fixed) == 6 and found.threads == torch.get_num_threads()


@pytest.mark.parametrize(("most", "expected"), [(9, 5), (4, 4)])
def test_rounds_are_added_until_the_condition_holds_or_there_are_enough(most: int, expected: int) -> None:
    found = in_turns({"a": lambda: None}, rounds=2, until=(most, lambda turns: len(turns.fixed) >= 5))
    assert len(found.seconds["a"]) == expected


def measured(rows: list[str]) -> dict[str, Any]:
    return {"turns": turns([1.0], **{row: [2.0] for row in rows}), "rows": rows}


def test_turns_come_back_from_another_process(tmp_path: Path) -> None:
    file = tmp_path / "result.json"
    answer(f"{__name__}:measured", json.dumps({"rows": ["ours"]}), str(file))
    assert json.loads(file.read_text())["turns"] == {
        "seconds": {"ours": [2.0]},
        "fixed": [1.0],
        "threads": 1,
        "disturbed": 0.0,
    }
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
