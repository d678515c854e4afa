"""Pulses of populations on noisy crossbars: the best distribution for its costs, and one that keeps more decisions."""

from __future__ import annotations

import itertools
import logging
from functools import cache

import pytest
import torch
from torch import Tensor, nn

import snnconv
from coding import FewSpike, Thermometer
from snnconv import CrossbarNoise
from snnconv.errors import ConfigurationError
from snnconv.network import SpikingNetwork
from snnconv.tuning.pulses import _distributed

PULSES = (2, 4, 8, 12, 16)
NOISE = CrossbarNoise(0.3)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("average", [2, 6, 8.4, 16])
def test_the_distribution_has_the_least_cost_of_all_that_may_be_paid_for(average: float, seed: int) -> None:
    costs = torch.rand(4, len(PULSES), generator=torch.Generator().manual_seed(seed))
    found = _distributed(costs, PULSES, average)

    def cost(numbers: tuple[int, ...] | list[int]) -> float:
        return float(sum(costs[row, PULSES.index(number)].double() for row, number in enumerate(numbers)))

    payable = [each for each in itertools.product(PULSES, repeat=4) if sum(each) <= 4 * average]
    assert sum(found) <= 4 * average
    assert cost(found) == pytest.approx(min(map(cost, payable)))


class Narrow(nn.Module):
    """Populations of 4, 60 and 60 neurons: noise of some is averaged more than that of others."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.third = nn.Linear(10, 4), nn.Linear(4, 60), nn.Linear(60, 60)
        self.last = nn.Linear(60, 6)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.third(self.second(self.first(x).relu()).relu()).relu()
        return self.last(hidden)  # type: ignore[no-any-return]


@cache
def narrow() -> tuple[nn.Module, Tensor, SpikingNetwork]:
    torch.manual_seed(0)
    model, samples = Narrow().eval(), torch.randn(600, 10)
    return model, samples, snnconv.convert(model, samples[:200], coding=Thermometer(8))


def test_as_many_pulses_keep_more_decisions_where_noise_hurts() -> None:
    model, samples, snn = narrow()
    told: list[snnconv.Progress] = []
    plan = snnconv.optimize_pulses(snn, samples[:400], noise=NOISE, average=8, seed=1, progress=told.append)
    numbers = [plan.code_for(population.name).steps for population in snn.populations.values()]
    assert len({*numbers}) > 1 and sum(numbers) <= 24
    found = snnconv.convert(model, samples[:200], coding=plan)
    before, after = (
        [snnconv.evaluate(each, samples[400:], reference=model, noise=NOISE, seed=seed).agreement for seed in range(5)]
        for each in (snn, found)
    )
    assert sum(after) > sum(before)
    again = snnconv.optimize_pulses(snn, samples[:400], noise=NOISE, average=8, seed=1)
    assert again.overrides == plan.overrides
    assert told and told[-1].done == told[-1].total


def test_where_noise_does_nothing_all_have_as_many(caplog: pytest.LogCaptureFixture) -> None:
    _, samples, snn = narrow()
    with caplog.at_level(logging.WARNING):
        plan = snnconv.optimize_pulses(snn, samples[:100], noise=CrossbarNoise(0.0), candidates=(2, 8), epochs=1)
    assert {plan.code_for(population.name).steps for population in snn.populations.values()} == {8}
    assert "smaller loss" not in caplog.text  # nothing else was found


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"candidates": (8,)}, "two numbers of pulses or more"),
        ({"candidates": 8}, r"such as \(4, 8, 16\), got 8"),
        ({"candidates": (2, 4)}, "average=8 lie between"),
        ({"average": "8"}, "average='8' lie between"),
        ({"candidates": (0, 8)}, r"candidates\[0\] must be an integer"),
        ({"targets": "outputs"}, "targets must be"),
        ({"epochs": 0}, "epochs must be"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, object], reason: str) -> None:
    _, samples, snn = narrow()
    with pytest.raises(ConfigurationError, match=reason):
        snnconv.optimize_pulses(snn, samples, noise=NOISE, **options)  # type: ignore[arg-type]


def test_another_code_is_refused_with_what_to_do() -> None:
    model, samples, _ = narrow()
    snn = snnconv.convert(model, samples[:50], coding=FewSpike(4))
    with pytest.raises(ConfigurationError, match=r"few-spike code; convert with coding=Thermometer\(8\)"):
        snnconv.optimize_pulses(snn, samples, noise=NOISE)
