"""Results on parts of a data set, merged, are those on the whole of it, to the last count."""

from __future__ import annotations

import pickle
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import snnconv
from coding import TTFS, Burst, Code, Concurrent, FewSpike, Phase, Pipeline, PoissonInput, Rate, Schedule
from snnconv import Confidence, InputError, SpikingNetwork


@dataclass(frozen=True)
class Family:
    """A coding, and how its network is run."""

    code: Code
    schedule: Schedule
    options: dict[str, Any] = field(default_factory=dict)
    input: Any = None


FAMILIES = {
    "rate, stream": Family(Rate(12), Concurrent(12)),
    "burst, stream": Family(Burst(12), Concurrent(12)),
    "rate, early stop": Family(Rate(24), Concurrent(24), {"stop": Confidence(0.5)}),
    "rate, spiking input": Family(Rate(12), Concurrent(12), input=PoissonInput()),
    "few-spike, pipeline": Family(FewSpike(4, spikes=2), Pipeline()),
    "phase, pipeline": Family(Phase(6), Pipeline()),
    "ttfs, pipeline by the clock": Family(TTFS(8), Pipeline(), {"simulator": "clock"}),
}
CUT = 23


@cache
def network_of(name: str) -> SpikingNetwork:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(2, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(16, 12), nn.ReLU(), nn.Linear(12, 4)
    )
    family = FAMILIES[name]
    return snnconv.convert(
        model.eval(), torch.rand(40, 2, 6, 6), coding=family.code, schedule=family.schedule, input=family.input
    )


def data() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    targets = torch.randint(4, (50,), generator=generator)
    return torch.rand(50, 2, 6, 6, generator=generator), targets.where(torch.arange(50) % 7 > 0, -100)


def halves() -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    x, targets = data()
    return (x[:CUT], targets[:CUT]), (x[CUT:], targets[CUT:])


@pytest.mark.parametrize("labelled", [True, False])
@pytest.mark.parametrize("name", FAMILIES)
def test_merged_evaluations_are_the_evaluation_of_the_whole(name: str, labelled: bool) -> None:
    network, options = network_of(name), FAMILIES[name].options
    parts: list[Any] = [part if labelled else part[0] for part in halves()]
    whole = snnconv.evaluate(network, parts, seed=3, **options)
    shards = [
        snnconv.evaluate(network, part, seed=3, before=CUT * number, **options) for number, part in enumerate(parts)
    ]
    first, second = pickle.loads(pickle.dumps(shards))  # as they come from other processes
    assert first.merge(second) == second.merge(first) == whole
    assert first != whole
    assert whole.samples == 50 and whole.totals.samples == 50 and whole.counts.decided == 50
    if labelled:
        correct = round(whole.accuracy / 100.0 * whole.judged)
        assert correct == sum(round(each.accuracy / 100.0 * each.judged) for each in shards)
        assert whole.judged == int((data()[1] != -100).sum())


def test_energy_beside_a_rate_coded_run_is_merged_too() -> None:
    rate = snnconv.evaluate(network_of("rate, stream"), data())
    network = network_of("few-spike, pipeline")
    one, other = (snnconv.evaluate(network, part, rate_reference=rate) for part in halves())
    assert one.merge(other) == snnconv.evaluate(network, data(), rate_reference=rate)


@pytest.mark.parametrize("name", FAMILIES)
def test_merged_spike_statistics_are_those_of_the_whole(name: str) -> None:
    network = network_of(name)
    parts = [part[0] for part in halves()]
    whole = snnconv.spike_statistics(network, parts, seed=3)
    one, other = (
        snnconv.spike_statistics(network, part, seed=3, before=CUT * number) for number, part in enumerate(parts)
    )
    assert one.merge(other) == other.merge(one) == whole
    assert whole.overall.spikes == one.overall.spikes + other.overall.spikes > 0


@pytest.mark.parametrize("name", FAMILIES)
def test_merged_verifications_are_that_of_the_whole(name: str) -> None:
    network = network_of(name)
    parts = [part[0] for part in halves()]
    whole = snnconv.verify(network, parts, seed=3)
    one, other = (snnconv.verify(network, part, seed=3, before=CUT * number) for number, part in enumerate(parts))
    assert one.merge(other) == other.merge(one) == whole  # a batch each, so that the sums are the same sums


def test_results_that_do_not_belong_together_are_refused() -> None:
    (x, targets), _ = halves()
    rate, burst = network_of("rate, stream"), network_of("few-spike, pipeline")
    with pytest.raises(InputError, match="setting"):
        snnconv.evaluate(rate, x).merge(snnconv.evaluate(burst, x))
    with pytest.raises(InputError, match="steps"):
        snnconv.evaluate(rate, x).merge(snnconv.evaluate(rate, x, steps=5))
    with pytest.raises(InputError, match="has_targets"):
        snnconv.evaluate(rate, x).merge(snnconv.evaluate(rate, (x, targets)))
    with pytest.raises(InputError, match="steps"):
        snnconv.spike_statistics(rate, x).merge(snnconv.spike_statistics(rate, x, steps=5))
    with pytest.raises(InputError, match="steps"):
        snnconv.verify(rate, x).merge(snnconv.verify(burst, x))
    with pytest.raises(InputError, match="two kinds, Evaluation and Verification, cannot be merged"):
        snnconv.evaluate(rate, x).merge(snnconv.verify(rate, x))


def test_a_stream_and_a_pipeline_of_as_many_steps_are_not_merged() -> None:
    torch.manual_seed(0)
    model, x = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3)).eval(), torch.rand(20, 4)
    windows = snnconv.convert(model, x, coding=Rate(16), schedule=Pipeline())
    steps = snnconv.evaluate(windows, x).steps
    stream = snnconv.convert(model, x, coding=Rate(steps), schedule=Concurrent(steps))
    with pytest.raises(InputError, match="setting"):
        snnconv.evaluate(windows, x).merge(snnconv.evaluate(stream, x))
