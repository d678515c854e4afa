"""The window simulator against the clock, spike for spike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor

import snnconv
from coding import TTFS, CodingPlan, Concurrent, FewSpike, OneSpike, Phase, Pipeline, Rate
from snnconv.graph.interpreter import Handler, evaluate_graph
from snnconv.simulators import Clock, Window, simulator_for
from snnconv.simulators.recorders import SpikeCounter
from snnconv.simulators.window_trains import PopulationWindow
from tests.support.networks import GraphConvolution, TwoInputs, draw, make, prepared
from tests.support.pipelines import CODES, SHAPES, assert_simulators_agree, shaped

SAMPLES = 12
MANY = ["few-spike", "one-spike", "ttfs", "rate"]
FEW = ["residual", "overlapping pool", "leaky pool", "late input", "shortcut"]


def network_and_input(name: str, **options: object) -> tuple[snnconv.SpikingNetwork, Tensor]:
    # Shifts have a test of their own; scales from a maximum put values on ties, which sums that cancel would break.
    options = {"schedule": Pipeline(), "percentile": 99.0, "bias_correction": False, **options}
    return shaped(name, SAMPLES, **options)


@pytest.mark.parametrize("code", MANY)
@pytest.mark.parametrize("name", SHAPES)
def test_both_simulators_fire_the_same_spikes(name: str, code: str) -> None:
    network, x = network_and_input(name, coding=CODES[code])
    run = assert_simulators_agree(network, x)
    assert sum(run.spikes.values()) > 0
    assert run.steps.tolist() == [network.timing.latency] * SAMPLES  # type: ignore[union-attr]


@pytest.mark.parametrize("code", [code for code in CODES if code not in MANY])
@pytest.mark.parametrize("name", FEW)
def test_every_code_fires_the_same_spikes(name: str, code: str) -> None:
    assert_simulators_agree(*network_and_input(name, coding=CODES[code]))


@pytest.mark.parametrize("given", [Phase(5), TTFS(9, 3.0), Rate(6)])
@pytest.mark.parametrize("name", [name for name in SHAPES if name not in ("deep", "average pooling")])
def test_spiking_input_is_no_exception(name: str, given: Phase | TTFS | Rate) -> None:
    network, x = network_and_input(name, coding=FewSpike(6, 1.5, 2), input=given)
    assert assert_simulators_agree(network, x).input_spikes > 0


@pytest.mark.parametrize("name", ["residual", "overlapping pool", "shortcut", "pooled input"])
def test_codes_and_lengths_may_differ_from_population_to_population(name: str) -> None:
    codes = [FewSpike(6, 1.5, 2), TTFS(14, 4.0), Rate(5), Phase(7), OneSpike(9, 1.4)]
    named = [p.name for p in network_and_input(name)[0].populations.values()]
    mixed = dict(zip(named, codes, strict=False))
    network, x = network_and_input(name, coding=CodingPlan(Phase(4), Phase(8), mixed, Pipeline()), schedule=None)
    assert [p.code for p in network.populations.values()] == codes[: len(named)]
    assert_simulators_agree(network, x)


@pytest.mark.parametrize("percentile", [100, "mse", 90.0])
def test_scales_at_the_maximum_put_values_on_levels(percentile: float | str) -> None:
    for code in (FewSpike(8, 2.0, 3), OneSpike(8, 2.0), Phase(6), Rate(8)):
        assert_simulators_agree(*network_and_input("residual", coding=code, percentile=percentile))


def test_shifts_are_part_of_the_current() -> None:
    network, x = network_and_input("overlapping pool", coding=FewSpike(6, 1.5, 2))
    before = network.run(x)
    for shift in network._shifts.by_name().values():
        shift.add_(0.05 * torch.arange(1, len(shift) + 1))
    after = assert_simulators_agree(network, x)
    assert after.spikes != before.spikes


def test_one_sample_and_any_chunks_of_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    network, x = network_and_input("overlapping pool", coding=CODES["few-spike"])
    whole = assert_simulators_agree(network, x)
    assert_simulators_agree(network, x[:1])
    for simulator in (Clock, Window):
        monkeypatch.setattr(simulator, "together", 300)
    cut = assert_simulators_agree(network, x)
    assert all(torch.equal(cut.rasters[name], whole.rasters[name]) for name in whole.rasters)


def test_a_network_without_a_batch_axis() -> None:
    parts = [draw(6, 5, seed=seed) for seed in range(4)]
    for given in ("real", Phase(5)):
        network = snnconv.convert(prepared(GraphConvolution), parts, coding=FewSpike(), input=given)
        assert network.batch_axis is None
        run = assert_simulators_agree(network, parts[0])
        assert run.rasters["relu"].shape == (8, 6, 7) and run.steps.tolist() == [network.timing.latency]  # type: ignore[union-attr]


def test_two_inputs() -> None:
    x, y = draw(20, 6), draw(20, 3, seed=1)
    for given in ("real", TTFS(9, 3.0)):
        network = snnconv.convert(prepared(TwoInputs), ((x, y), torch.zeros(20)), coding=FewSpike(), input=given)
        assert_simulators_agree(network, (x, y))


def test_nothing_is_left_over_from_a_run() -> None:
    network, x = network_and_input("leaky pool", coding=CODES["few-spike"])
    inputs, before = x.clone(), {key: tensor.clone() for key, tensor in network.state_dict().items()}
    for simulator in ("clock", "window"):
        first = network.run(x, simulator=simulator).output
        network.run(x.flip(0), simulator=simulator)
        assert torch.equal(network.run(x, simulator=simulator).output, first)
    assert torch.equal(x, inputs)
    assert all(torch.equal(tensor, before[key]) for key, tensor in network.state_dict().items())


@pytest.mark.parametrize("schedule", [Pipeline(), Concurrent(4)])
def test_counters_that_listen_together_count_what_one_does(schedule: Pipeline | Concurrent) -> None:
    network, x = network_and_input("residual", coding=Rate(4), schedule=schedule)
    together, alone = [SpikeCounter(network), SpikeCounter(network)], SpikeCounter(network)
    for observers in (together, [alone]):
        for _ in range(2):
            simulator_for(network).run((x,), observers)
    assert [each.spikes() for each in together] == [alone.spikes()] * 2 and sum(alone.spikes().values())


def decided_otherwise(network: snnconv.SpikingNetwork, x: Tensor) -> tuple[int, int]:
    """Spikes that closed forms fed with the clock's input place otherwise, and all spikes of the clock."""
    run = network.run(x, simulator="clock", record=["rasters"])
    other = []

    def handler(node: str) -> Handler:
        population = network.populations[node]
        raster = run.rasters[population.name]

        def compare(arguments: Mapping[str, Any]) -> Tensor:
            current = arguments["self"] + population.broadcast(population.shift, arguments["self"].dim())
            values = current * (1.0 / population.broadcast_scale(current.dim()))
            found = population.neuron.window(values)  # type: ignore[attr-defined]
            train = PopulationWindow(population, values, found).payloads()
            assert torch.allclose(train.sum(0) * population.code.period / population.code.steps, found.values)
            other.append(int((train.sign() != raster.sign()).sum()))
            return raster.sum(0) * population.window_scale(raster.dim() - 1)

        return compare

    evaluate_graph(network.complete_graph(), [x], handlers={node: handler(node) for node in network.populations})
    return sum(other), int(sum(run.spikes.values()))


@pytest.mark.parametrize(("name", "samples"), [("residual", 300), ("leaky relu", 6000)])
def test_in_single_precision_a_population_hardly_ever_decides_otherwise(name: str, samples: int) -> None:
    model, x = make(name, samples, torch.float32)
    other = spikes = 0
    for code in ("few-spike", "ttfs", "one-spike", "phase", "rate"):
        network = snnconv.convert(model, x[:100], coding=CODES[code], schedule=Pipeline())
        found = decided_otherwise(network, x)
        other, spikes = other + found[0], spikes + found[1]
    assert spikes > 300_000 and other < 1e-5 * spikes


def test_the_closed_form_is_taken_where_there_is_one() -> None:
    assert simulator_for(network_and_input("deep", coding=FewSpike())[0]).name == "window"
    assert simulator_for(network_and_input("deep", coding=Rate(8), schedule=None)[0]).name == "clock"
