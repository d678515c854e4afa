"""What a run of the clock simulator records, and what its results do not depend on."""

from __future__ import annotations

import gc

import pytest
import torch
from torch import Tensor, nn

import snnconv
from coding import Rate
from snnconv.simulators import Clock
from tests.snnconv.simulators.test_clock import STEPS
from tests.support.networks import ZOO, Between, Perceptron, draw, fitted_part, make, network_of, prepared


@pytest.mark.parametrize("name", ZOO)
def test_recorded_outputs_end_with_the_output(name: str) -> None:
    _, x = make(name)
    network = network_of(name, STEPS)
    run = network.run(x, record=["outputs"])
    assert run.outputs.shape == (STEPS, *run.output.shape)
    assert torch.equal(run.outputs[-1], run.output)
    assert torch.equal(network(x), run.output)


def test_the_output_is_the_mean_of_what_arrives_at_each_step() -> None:
    model, x = make("perceptron")
    network = network_of("perceptron", STEPS)
    run = network.run(x, record=["outputs", "rasters"])
    (population,) = network.populations.values()
    with torch.no_grad():
        arriving = model.get_submodule("second")(run.rasters[population.name] * population.scale)
    assert torch.allclose(run.output, arriving.mean(0), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", ZOO)
@pytest.mark.parametrize("neuron", ["integrate-fire", "corrective"])
def test_the_first_steps_of_a_longer_run_are_a_shorter_run(name: str, neuron: str) -> None:
    _, x = make(name)
    network = network_of(name, STEPS, neuron=neuron)
    long = network.run(x, record=["outputs", "rasters"])
    for steps in (1, 7):
        short = network.run(x, steps=steps, record=["outputs", "rasters"])
        assert torch.equal(short.outputs, long.outputs[:steps])
        assert all(torch.equal(short.rasters[key], long.rasters[key][:steps]) for key in long.rasters)
        assert short.steps.tolist() == [steps] * len(x)


@pytest.mark.parametrize("name", ZOO)
def test_results_do_not_depend_on_the_batch(name: str) -> None:
    _, x = make(name)
    network = network_of(name, STEPS)
    whole = network.run(x, record=["rasters"])
    parts = [network.run(part, record=["rasters"]) for part in (x[:1], x[1:13], x[13:])]
    for key, raster in whole.rasters.items():
        assert torch.equal(raster, torch.cat([part.rasters[key] for part in parts], 1))
        assert whole.spikes[key] == sum(part.spikes[key] for part in parts)
    assert torch.allclose(whole.output, torch.cat([part.output for part in parts]), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("potentials", [1, 300, 10**9])
@pytest.mark.parametrize("name", ["residual", "max pooling", "leaky relu"])
def test_results_do_not_depend_on_how_a_batch_is_cut(
    name: str, potentials: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, x = make(name)
    network = network_of(name, STEPS)
    whole = network.run(x, record=["outputs", "rasters"])
    monkeypatch.setattr(Clock, "together", potentials)
    cut = network.run(x, record=["outputs", "rasters"])
    assert all(torch.equal(cut.rasters[key], whole.rasters[key]) for key in whole.rasters)
    assert torch.allclose(cut.outputs, whole.outputs, rtol=1e-12, atol=1e-14)
    assert cut.spikes == whole.spikes and cut.synops == pytest.approx(whole.synops, rel=1e-12)
    assert cut.samples == whole.samples and torch.equal(cut.steps, whole.steps)


@pytest.mark.parametrize("name", ZOO)
def test_nothing_is_left_over_from_a_run(name: str) -> None:
    _, x = make(name)
    network = network_of(name, STEPS)
    before = {key: tensor.clone() for key, tensor in network.state_dict().items()}
    inputs = x.clone()
    first = network(x)
    network(x.flip(0))
    assert torch.equal(network(x), first)
    assert torch.equal(x, inputs)
    assert all(torch.equal(tensor, before[key]) for key, tensor in network.state_dict().items())


@pytest.mark.parametrize("potentials", [1, 10**9])
@pytest.mark.parametrize("name", ["deep", "residual", "max pooling", "leaky relu"])
def test_a_sample_that_stops_keeps_the_output_it_had(
    name: str, potentials: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Clock, "together", potentials)
    _, x = make(name)
    network = network_of(name, STEPS)
    full = network.run(x, record=["outputs", "rasters"])
    certainty = full.outputs.softmax(2).amax(2)
    threshold = float(certainty[STEPS // 2].median())
    reached = (certainty >= threshold) & (torch.arange(1, STEPS + 1) >= 3)[:, None]
    wanted = torch.where(reached.any(0), reached.int().argmax(0) + 1, STEPS)
    stop = snnconv.Confidence(threshold, minimum_steps=3)
    run = network.run(x, stop=stop, record=["outputs", "rasters"])
    assert torch.equal(run.steps, wanted)
    assert int(wanted.min()) < STEPS and len(wanted.unique()) > 2
    at_stop = full.outputs[wanted - 1, torch.arange(len(x))]
    assert torch.allclose(run.output, at_stop, rtol=1e-12, atol=1e-14)
    running = torch.arange(STEPS)[:, None] < wanted
    for key, raster in full.rasters.items():
        mask = running.view(*running.shape, *[1] * (raster.dim() - 2))
        assert torch.equal(run.rasters[key], (raster * mask)[: len(run.rasters[key])])
    for t in range(len(run.outputs)):
        held = full.outputs[torch.minimum(torch.tensor(t), wanted - 1), torch.arange(len(x))]
        assert torch.allclose(run.outputs[t], held, rtol=1e-12, atol=1e-14)


def test_when_all_samples_stop_the_simulation_ends() -> None:
    _, x = make("deep")
    network = network_of("deep", STEPS)
    run = network.run(x, stop=snnconv.Confidence(1e-6, minimum_steps=5), record=["outputs"])
    assert run.steps.tolist() == [5] * len(x) and len(run.outputs) == 5
    assert torch.equal(run.output, network.run(x, steps=5).output)


def test_poisson_input_repeats_with_its_seed() -> None:
    model, x = make("deep")
    network = snnconv.convert(model, x, coding=Rate(STEPS), input="poisson")
    first, again, other = (network.run(x, seed=seed, record=["rasters"]) for seed in (3, 3, 4))
    assert all(torch.equal(first.rasters[key], again.rasters[key]) for key in first.rasters)
    assert first.input_spikes == again.input_spikes
    assert any(not torch.equal(first.rasters[key], other.rasters[key]) for key in first.rasters)
    assert not torch.equal(network(x), network(x))


def test_poisson_input_approaches_the_network() -> None:
    model, x = make("perceptron", samples=25)
    network = snnconv.convert(model, x, coding=Rate(2000), input="poisson", percentile=100)
    x = fitted_part(network, x)
    with torch.no_grad():
        wanted = model(x)
    outputs = network.run(x, seed=0, record=["outputs"]).outputs
    errors = [float((outputs[steps - 1] - wanted).norm() / wanted.norm()) for steps in (20, 200, 2000)]
    assert errors[0] > errors[1] > errors[2] and errors[2] < 0.05


def test_poisson_input_spikes_as_often_as_its_values_say() -> None:
    model, x = make("perceptron", samples=20)
    network = snnconv.convert(model, x, coding=Rate(500), input="poisson")
    ((low, high),) = network.input_ranges
    chance = ((x - low) / (high - low)).clamp(0, 1)
    mean, deviation = float(500 * chance.sum()), float((500 * chance * (1 - chance)).sum().sqrt())
    assert abs(network.run(x, seed=1).input_spikes - mean) < 5 * deviation


def test_memory_does_not_grow_with_steps() -> None:
    _, x = make("residual")
    network = network_of("residual", 64)
    elements: list[int] = []

    def count(output: Tensor, steps: int) -> Tensor:
        if steps in (4, 63):
            tensors = [value for value in gc.get_objects() if issubclass(type(value), Tensor)]
            elements.append(sum(tensor.numel() for tensor in tensors))
        return torch.zeros(len(output), dtype=torch.bool)

    gc.collect()
    network.run(x, stop=count)
    early, late = elements
    assert late <= early


def test_a_population_is_recorded_by_its_name() -> None:
    _, x = make("deep")
    network = network_of("deep", STEPS)
    every = network.run(x, record=["rasters"]).rasters
    assert list(every) == ["layers.1", "layers.3"]
    one = network.run(x, record=["layers.3"]).rasters
    assert list(one) == ["layers.3"] and torch.equal(one["layers.3"], every["layers.3"])


def test_spikes_per_neuron_is_the_mean_of_the_rasters() -> None:
    _, x = make("residual")
    network = network_of("residual", STEPS)
    run = network.run(x, record=["rasters"])
    neurons = sum(raster[0, 0].numel() for raster in run.rasters.values())
    spikes = sum(float(raster.sum()) for raster in run.rasters.values())
    assert run.spikes_per_neuron == pytest.approx(spikes / neurons / len(x), rel=1e-12)


def test_synaptic_operations_are_spikes_times_fan_out() -> None:
    _, x = make("deep")
    network = network_of("deep", STEPS)
    run = network.run(x)
    assert run.synops == {"layers.1": 16 * run.spikes["layers.1"], "layers.3": 4 * run.spikes["layers.3"]}


def test_single_precision_decides_nearly_all_spikes_as_double() -> None:
    x = draw(200, 6).float()
    network = snnconv.convert(prepared(lambda: Between(nn.ReLU()), torch.float32), x, coding=Rate(64))
    (single,) = network.run(x, record=["rasters"]).rasters.values()
    (double,) = network.double().run(x.double(), record=["rasters"]).rasters.values()
    assert float((single.sum(0) != double.sum(0)).double().mean()) < 1e-3


def test_a_network_runs_under_no_grad_and_with_grad_alike() -> None:
    model, x = prepared(Perceptron), draw(20, 6)
    network = snnconv.convert(model, x, coding=Rate(STEPS))
    with torch.no_grad():
        without = network(x)
    assert torch.equal(network(x), without)
