"""What a conversion gives back: closed forms of the rate code, falling errors, and an untouched model."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch import nn

import snnconv
from coding import TTFS, Burst, FewSpike, OneSpike, Phase, Rate
from neurons import CorrectiveIntegrateFire, IntegrateFire
from tests.support.networks import (
    ZOO,
    Between,
    GraphConvolution,
    Named,
    TwoInputs,
    draw,
    fitted_part,
    make,
    network_of,
    prepared,
    zoo,
)

STEPS = 32


def one_layer() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 9), nn.ReLU())


@pytest.mark.parametrize("initial", [0.0, 0.5, 0.9])
@pytest.mark.parametrize(("normalization", "percentile"), [("channel", 100), ("layer", 90.0), ("channel", "mse")])
def test_a_single_layer_counts_its_drive_rounded(initial: float, normalization: str, percentile: float | str) -> None:
    model, x = prepared(one_layer), draw(50, 6)
    neuron = partial(IntegrateFire, initial_potential=initial)
    network = snnconv.convert(
        model,
        x,
        coding=Rate(STEPS),
        neuron=neuron,
        normalization=normalization,  # type: ignore[arg-type]
        percentile=percentile,  # type: ignore[arg-type]
    )
    (population,) = network.populations.values()
    with torch.no_grad():
        drive = model[0](x) / population.scale  # type: ignore[index]
    expected = torch.floor(STEPS * drive + initial + 1e-9).clamp(0, STEPS)
    run = network.run(x, record=["rasters"])
    assert torch.equal(run.rasters[population.name].sum(0), expected)
    assert torch.allclose(run.output, expected / STEPS * population.scale, rtol=1e-12, atol=0.0)
    assert run.spikes == {population.name: float(expected.sum())}


def test_scales_at_the_maximum_lose_at_most_half_a_step() -> None:
    model, x = prepared(one_layer), draw(50, 6)
    network = snnconv.convert(model, (x, torch.zeros(50)), coding=Rate(STEPS), percentile=100)
    (population,) = network.populations.values()
    fitted = fitted_part(network, x)
    with torch.no_grad():
        error = (network(fitted) - model(fitted)).abs()
    assert len(fitted) == 40
    assert bool((error <= 0.5 * population.scale / STEPS + 1e-12).all())


@pytest.mark.parametrize("neuron", ["integrate-fire", "corrective"])
@pytest.mark.parametrize("name", ZOO)
def test_the_error_falls_as_steps_grow(name: str, neuron: str) -> None:
    model, x = make(name)
    network = network_of(name, 256, 100, neuron)
    with torch.no_grad():
        wanted = model(x)
    outputs = network.run(x, record=["outputs"]).outputs
    errors = [float((outputs[steps - 1] - wanted).norm() / wanted.norm()) for steps in (16, 64, 256)]
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 0.05


def test_the_reference_is_the_model() -> None:
    for name in ZOO:
        model, x = make(name)
        network = network_of(name)
        with torch.no_grad():
            assert torch.allclose(network.reference(x), model(x), rtol=1e-10, atol=1e-12)


def test_calibration_in_batches_gives_the_same_network() -> None:
    model, x = make("residual")
    whole = snnconv.convert(model, x, coding=Rate(8))
    parts = snnconv.convert(model, [x[:7], x[7:30], x[30:]], coding=Rate(8))
    for mine, theirs in zip(whole.state_dict().values(), parts.state_dict().values(), strict=True):
        assert torch.equal(mine, theirs)
    assert torch.equal(whole(x), parts(x))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"coding": OneSpike(9), "input": Phase(5), "percentile": 90.0, "bias_correction": False},
        {"coding": Rate(9), "normalization": "layer", "neuron": "corrective"},
        {"coding": Burst(16), "negative": "graded"},
    ],
    ids=str,
)
@pytest.mark.parametrize("name", ["residual", "leaky relu"])
def test_networks_that_share_a_calibration_are_those_converted_one_by_one(name: str, options: Any) -> None:
    """So are the networks of a search and most networks of these tests, which capture and calibrate a model once."""
    zoo(name, coding=TTFS(9), input=options.get("input"), normalization=options.get("normalization", "channel"))
    shared, alone = zoo(name, **options), snnconv.convert(*make(name), **options)
    assert shared.plan == alone.plan and shared.report() == alone.report()
    assert shared.state_dict().keys() == alone.state_dict().keys()
    assert all(torch.equal(tensor, alone.state_dict()[key]) for key, tensor in shared.state_dict().items())
    for mine, theirs in zip(shared.populations.values(), alone.populations.values(), strict=True):
        assert (mine.name, mine.code, mine.neuron) == (theirs.name, theirs.code, theirs.neuron)


def test_every_fifth_sample_is_held_out() -> None:
    model, x = make("perceptron", samples=37)
    network = snnconv.convert(model, x)
    held_out = torch.cat([part[0] for part in network.held_out])
    assert len(held_out) == 37 // 5
    assert all(bool((x == sample).all(1).any()) for sample in held_out)


def test_two_inputs_make_one_network() -> None:
    model = prepared(TwoInputs)
    x, y = draw(30, 6), draw(30, 3, seed=1)
    network = snnconv.convert(model, ((x, y), torch.zeros(30)), coding=Rate(512), percentile=100)
    fitted = x[:, 0][:, None].ne(torch.cat([part[0][:, 0] for part in network.held_out])).all(1)
    x, y = x[fitted], y[fitted]
    with torch.no_grad():
        wanted = model(x, y)
    assert network.input_shapes == (("batch", 6), ("batch", 3))
    assert float((network(x, y) - wanted).norm() / wanted.norm()) < 0.01
    assert torch.equal(network.run((x, y)).output, network(x, y))


def test_the_output_keeps_its_structure() -> None:
    model, x = prepared(Named), draw(30, 6)
    network = snnconv.convert(model, x, coding=Rate(512), percentile=100)
    x = fitted_part(network, x)
    with torch.no_grad():
        wanted = model(x)
    found = network(x)
    assert list(found) == ["scores", "more"] and type(found["more"]) is tuple
    assert torch.allclose(found["more"][0].sum(1), torch.ones(24, dtype=torch.float64))
    assert torch.equal(found["more"][0], found["scores"].softmax(1))
    for mine, theirs in ((found["scores"], wanted["scores"]), (found["more"][1], wanted["more"][1])):
        assert float((mine - theirs).norm() / theirs.norm()) < 0.01


def test_a_graph_network_has_no_batch_axis() -> None:
    model = prepared(GraphConvolution)
    parts = [draw(6, 5, seed=seed) for seed in range(5)]
    network = snnconv.convert(model, parts, coding=Rate(512), percentile=100)
    assert network.batch_axis is None
    assert len(network.held_out) == 1
    with torch.no_grad():
        wanted = model(parts[0])
    run = network.run(parts[0], record=["outputs", "rasters"])
    assert float((run.output - wanted).norm() / wanted.norm()) < 0.02
    assert run.samples == 1 and run.steps.tolist() == [512]
    assert torch.equal(run.outputs[-1], run.output)
    (raster,) = run.rasters.values()
    assert raster.shape == (512, 6, 7)
    assert run.spikes == {name: float(raster.sum()) for name in run.rasters}


def test_synaptic_operations_of_a_graph_network_weigh_each_node_by_its_own_fan_out() -> None:
    class Uneven(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Linear(3, 4)
            self.second = nn.Linear(4, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            hidden = torch.relu(self.first(x).view(5, 4))
            scores: torch.Tensor = self.second(hidden[2:])
            return scores

    x = draw(5, 3)
    network = snnconv.convert(prepared(Uneven), x, coding=Rate(16))
    assert network.batch_axis is None
    run = network.run(x, record=["rasters"])
    (raster,) = run.rasters.values()
    assert sum(run.synops.values()) == 2 * float(raster[:, 2:].sum())  # nodes 0 and 1 drive nothing


def test_a_named_neuron_is_the_neuron_of_that_name() -> None:
    model, x = make("deep")
    named = snnconv.convert(model, x, coding=Rate(16), neuron="corrective")
    made = snnconv.convert(model, x, coding=Rate(16), neuron=CorrectiveIntegrateFire)
    assert torch.equal(named(x), made(x))
    assert all(type(p.neuron) is CorrectiveIntegrateFire for p in named.populations.values())


def test_a_bounded_activation_never_has_a_scale_beyond_its_bound() -> None:
    model = prepared(lambda: Between(nn.ReLU6(), gain=30.0))
    for code in (Rate(8), Phase(6), FewSpike(6, 1.5, 2), TTFS(20, 5.0, 1.0)):
        (population,) = snnconv.convert(model, draw(40, 6), coding=code, percentile=100).populations.values()
        assert float(population.scale.max()) * code.maximum == pytest.approx(6.0, rel=1e-12)


def test_a_network_moves_to_double_precision_whole() -> None:
    model, x = make("residual", dtype=torch.float32)
    network = snnconv.convert(model, x, coding=Rate(16)).to(torch.float64)
    tensors = [tensor for tensor in network.state_dict().values() if tensor.is_floating_point()]
    assert len(tensors) > 4 and all(tensor.dtype == torch.float64 for tensor in tensors)
    assert network(x.double()).dtype == torch.float64
    assert torch.allclose(network.reference(x.double()), model.double()(x.double()), rtol=1e-4, atol=1e-5)
    assert snnconv.verify(network).samples == 8


def test_a_network_asks_for_no_gradients_and_stays_in_eval_mode() -> None:
    model, x = make("residual")
    network = snnconv.convert(model, x, coding=Rate(4))
    assert isinstance(network, nn.Module) and not network.training
    assert not any(tensor.requires_grad for tensor in network.buffers())
    assert not network(x.requires_grad_()).requires_grad


def test_the_report_names_every_population_and_what_is_approximate() -> None:
    network = network_of("max pooling")
    report = network.report()
    assert all(population.name in report for population in network.populations.values())
    assert "max pooling passes what raises the largest accumulated payload" in report
