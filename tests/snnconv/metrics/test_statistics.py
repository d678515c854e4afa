"""Statistics of spike trains against a count by brute force over recorded rasters."""

from __future__ import annotations

import itertools
import json

import pytest
import torch
from torch import Tensor

import snnconv
from coding import Burst, Code, FewSpike, Phase, Rate
from snnconv import SpikingNetwork
from snnconv.metrics.spike_trains import TrainObserver, TrainStatistics
from snnconv.simulators import Clock, simulator_for
from tests.support.networks import GraphConvolution, draw, make, prepared

CODES: dict[str, Code] = {"burst": Burst(24), "rate": Rate(17), "few-spike": FewSpike(8), "phase": Phase(6)}


def counted(name: str, neurons: int, samples: int, raster: Tensor) -> TrainStatistics:
    """The definitions written out: every train as a list of steps, cut into runs."""
    spikes = bursts = burst_spikes = steps_total = 0
    intervals: list[int] = []
    for train in raster.flatten(1).ne(0).T:
        steps = train.nonzero().flatten().tolist()
        spikes += len(steps)
        steps_total += sum(steps)
        for before, after in itertools.pairwise(steps):
            intervals += [0] * (after - before + 1 - len(intervals))
            intervals[after - before] += 1
        runs = [len(list(run)) for fires, run in itertools.groupby(train.tolist()) if fires]
        bursts += sum(length > 1 for length in runs)
        burst_spikes += sum(length for length in runs if length > 1)
    return TrainStatistics(name, neurons, samples, spikes, bursts, burst_spikes, steps_total, tuple(intervals))


def expected(network: SpikingNetwork, x: Tensor, samples: int) -> tuple[TrainStatistics, ...]:
    rasters = network.run(x, simulator="clock", record=["rasters"], seed=0).rasters
    return tuple(counted(p.name, p.neurons, samples, rasters[p.name]) for p in network.populations.values())


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("model", ["deep", "residual", "leaky relu"])
def test_statistics_are_those_of_the_recorded_rasters(model: str, code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    original, x = make(model, samples=23)
    network = snnconv.convert(original, x, coding=CODES[code])
    wanted = expected(network, x, 23)
    found = snnconv.spike_statistics(network, x)
    assert found.populations == wanted and found.samples == 23
    assert found.overall.spikes == sum(population.spikes for population in wanted) > 0
    assert sum(found.overall.intervals) == sum(sum(population.intervals) for population in wanted) > 0
    # Neither batches nor the chunks of a simulator make a train longer or shorter.
    assert snnconv.spike_statistics(network, list(torch.split(x, 9))).populations == wanted
    monkeypatch.setattr(Clock, "together", 100)
    assert snnconv.spike_statistics(network, x).populations == wanted
    assert snnconv.spike_statistics(network, x, simulator="auto").populations == wanted


def test_a_network_without_a_batch_axis_is_one_sample() -> None:
    x = draw(6, 5)
    network = snnconv.convert(prepared(GraphConvolution), x, coding=Burst(20))
    assert network.batch_axis is None
    assert snnconv.spike_statistics(network, x).populations == expected(network, x, 1)


def test_samples_that_stop_early_end_their_trains() -> None:
    original, x = make("deep", samples=8)
    network = snnconv.convert(original, x, coding=Burst(12))
    stops = torch.arange(8) % 3 * 4 + 4

    class Stop:
        left = torch.arange(8)

        def __call__(self, output: Tensor, steps: int) -> Tensor:
            done = stops[self.left] <= steps
            self.left = self.left[~done]
            return done

    observer = TrainObserver(network)
    simulator_for(network, "clock", stop=Stop()).run((x,), [observer])
    rasters = network.run(x, record=["rasters"]).rasters
    for population, found in zip(network.populations.values(), observer.result(), strict=True):
        raster = rasters[population.name].clone()
        for sample, steps in enumerate(stops.tolist()):
            raster[steps:, sample] = 0.0
        assert found == counted(population.name, population.neurons, 8, raster)


def test_figures_of_a_train_by_hand() -> None:
    raster = torch.tensor([1, 1, 1, 0, 1, 0, 0, 2, -1, 0])[:, None, None]
    train = counted("a", 1, 1, raster)
    assert train == TrainStatistics("a", 1, 1, 6, 2, 5, 0 + 1 + 2 + 4 + 7 + 8, (0, 3, 1, 1))
    assert train.burst_share == 5 / 6 and train.mean_burst_length == 2.5
    assert train.mean_step == 22 / 6 and train.spikes_per_neuron == 6.0
    assert train.interval_share(1, 1) == 3 / 5 and train.interval_share(2) == 2 / 5


def test_a_silent_population_has_no_means() -> None:
    train = TrainStatistics("a", 3, 2, 0, 0, 0, 0, ())
    assert train.spikes_per_neuron == 0.0
    assert train.burst_share is train.mean_burst_length is train.mean_step is train.interval_share(1) is None


def test_statistics_print_as_a_table_and_go_into_json() -> None:
    original, x = make("deep")
    found = snnconv.spike_statistics(snnconv.convert(original, x, coding=Burst(16)), x)
    lines = str(found).splitlines()
    assert lines[0] == "40 samples, 16 steps" and len(lines) == 2 + 2 + 1
    assert lines[-1].startswith("all ") and f"{found.overall.burst_share:.1%}" in lines[-1]
    plain = json.loads(json.dumps(found.to_dict()))
    assert plain["overall"]["spikes"] == found.overall.spikes
    assert [p["name"] for p in plain["populations"]] == ["layers.1", "layers.3"]


def test_a_smaller_threshold_makes_more_bursts() -> None:
    # Park et al. 2019: the share of spikes in bursts grows as the threshold shrinks.
    original, x = make("deep")
    networks = (snnconv.convert(original, x, coding=Burst(128, threshold)) for threshold in (0.5, 0.125, 0.03125))
    shares = [snnconv.spike_statistics(network, x).overall.burst_share or 0.0 for network in networks]
    assert shares == sorted(shares) and shares[0] < shares[-1]
