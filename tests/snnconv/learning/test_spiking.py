"""A network that has learned as a SpikingNetwork: the same spikes in the clock, and everything else unchanged."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import snnconv
from coding import LatencyInput, RealInput
from neurons.double_exponential import DoubleExponential
from snnconv import ConfigurationError
from snnconv.learning import EncodedSamples, GradientRule, LatencyEncoder, LayeredNetwork, measure, spiking_network

STEPS, LAST = 40, 12


def learned(dtype: torch.dtype = torch.float64, bias: bool = False) -> LayeredNetwork:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        sizes, neuron = [16, 12, 8, 4], DoubleExponential(0.9, 0.85)
        return LayeredNetwork(sizes, neuron=neuron, bias=bias, weight_offset=3.0).to(dtype)


def values(dtype: torch.dtype = torch.float64) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    found = torch.rand(30, 16, generator=generator, dtype=dtype)
    return torch.where(found < 0.3, 0.0, found)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_the_clock_fires_the_spikes_that_learning_saw(dtype: torch.dtype) -> None:
    network, images = learned(dtype), values(dtype)
    layers = network(LatencyEncoder(STEPS, LAST)(images))
    spiking = spiking_network(network, LatencyInput(LAST), STEPS)
    run = spiking.run(images, record=("rasters",))
    assert run.rasters is not None
    rasters = [run.rasters[name] for name in run.rasters]
    for raster, layer in zip(rasters, layers, strict=True):
        assert layer.events.detach().any()
        assert torch.equal(raster.to(dtype), layer.events.detach())
    assert torch.allclose(run.output, layers[-1].events.detach().mean(0))


def test_evaluation_agrees_with_what_learning_measures(tmp_path: Path) -> None:
    network, images = learned(), values()
    labels = torch.arange(30) % 4
    found = measure(network, EncodedSamples(images, labels, LatencyEncoder(STEPS, LAST)))
    spiking = spiking_network(network, LatencyInput(LAST), STEPS)
    whole = snnconv.evaluate(spiking, (images, labels))
    assert sum(whole.spikes.values()) == pytest.approx(found.spikes)
    until = snnconv.evaluate(spiking, (images, labels), stop=snnconv.FirstSpike())
    assert sum(until.spikes.values()) == pytest.approx(found.necessary_spikes)
    spiking.save(tmp_path / "learned.snn")
    again = snnconv.load(tmp_path / "learned.snn")
    assert torch.equal(again(images), spiking(images))
    assert spiking.report() == again.report()
    assert [population.name for population in again.populations.values()] == ["hidden_1", "hidden_2", "output"]
    assert snnconv.spike_statistics(spiking, images)


def test_training_on_does_not_change_it() -> None:
    network, images = learned(), values()
    spiking = spiking_network(network, LatencyInput(LAST), STEPS)
    before = spiking(images)
    with torch.no_grad():
        network.linear[0].weight.zero_()
    assert torch.equal(spiking(images), before)


def test_what_a_spiking_network_cannot_be_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="bias=False"):
        spiking_network(learned(bias=True), LatencyInput(LAST), STEPS)
    with pytest.raises(ConfigurationError, match="has no spikes"):
        spiking_network(learned(), RealInput(), STEPS)
    with pytest.raises(ConfigurationError, match="last"):
        LatencyInput(-1)
    with pytest.raises(ConfigurationError, match=r"\[N, classes\]"):
        snnconv.FirstSpike()(torch.zeros(3), 1)


def test_the_input_code_is_the_encoder() -> None:
    code, images = LatencyInput(LAST), values()
    state, steps = code.initial(images), []
    for t in range(STEPS):
        payload, state = code.step(images, state, t, None)
        steps.append(payload)
    assert torch.equal(torch.stack(steps), LatencyEncoder(STEPS, LAST)(images))


def test_the_rule_is_no_part_of_it() -> None:
    network = learned()
    network.rule = GradientRule("timing")
    assert spiking_network(network, LatencyInput(LAST), STEPS).like.dtype == torch.float64
