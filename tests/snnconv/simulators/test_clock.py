"""The clock simulator against loops written out by hand, spike for spike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import snnconv
from coding import Rate
from neurons import IntegrateFire
from tests.support.networks import draw, make, network_of, prepared

STEPS = 24

EPS = 2.0**-44  # the tie tolerance in double precision


class NeuronsNet:
    """Integrate-and-fire neurons in the plainest form: integrate, compare, subtract."""

    def __init__(self, scale: Tensor, axis: int = 1, slope: float = 0.0) -> None:
        self.scale, self.axis, self.slope = scale, axis, slope
        self.potential: Tensor | float = 0.5
        self.train: list[Tensor] = []

    def __call__(self, current: Tensor) -> Tensor:
        shape = [1] * current.dim()
        shape[self.axis] = -1
        scale = self.scale.view(shape)
        potential = self.potential + current / scale
        spikes = (potential >= 1.0 - EPS).to(current.dtype)
        negative = (potential <= -(1.0 - EPS)).to(current.dtype) if self.slope else torch.zeros_like(spikes)
        self.potential = potential - spikes + negative
        self.train.append(spikes - self.slope * negative)
        return self.train[-1] * scale


class GateNet:
    """Max pooling over 2 x 2 windows: passes by how much the largest sum of payloads of a window has grown."""

    def __init__(self) -> None:
        self.total: Tensor | float = 0.0
        self.passed: Tensor | float = 0.0

    def __call__(self, values: Tensor) -> Tensor:
        self.total = self.total + values
        samples, channels, height, width = values.shape
        largest = values.new_zeros(samples, channels, height // 2, width // 2)
        for n in range(samples):
            for c in range(channels):
                for i in range(height // 2):
                    for j in range(width // 2):
                        window = self.total[n, c, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2]
                        largest[n, c, i, j] = max(window.flatten().tolist())
        payload = largest - self.passed
        self.passed = largest
        return payload


Step = Callable[[Any, Tensor, list[NeuronsNet]], Tensor]


def perceptron(m: Any, x: Tensor, n: list[NeuronsNet]) -> Tensor:
    return m.second(n[0](m.first(x)))  # type: ignore[no-any-return]


def deep(m: Any, x: Tensor, n: list[NeuronsNet]) -> Tensor:
    return m.layers[4](n[1](m.layers[2](n[0](m.layers[0](x)))))  # type: ignore[no-any-return]


def residual(m: Any, x: Tensor, n: list[NeuronsNet]) -> Tensor:
    skip = n[0](m.bn1(m.conv1(x)))
    return m.linear(n[1](m.bn2(m.conv2(skip)) + skip).flatten(1))  # type: ignore[no-any-return]


def concatenation(m: Any, x: Tensor, n: list[NeuronsNet]) -> Tensor:
    return m.last(n[2](m.join(torch.cat([n[0](m.left(x)), n[1](m.right(x))], 1))))  # type: ignore[no-any-return]


def shared(m: Any, x: Tensor, n: list[NeuronsNet]) -> Tensor:
    return m.last(n[1](m.linear(n[0](m.linear(x)))))  # type: ignore[no-any-return]


def average_pooling(m: Any, x: Tensor, n: list[NeuronsNet]) -> Tensor:
    return n[1](m.conv2(F.avg_pool2d(n[0](m.conv1(x)), 2))).mean((2, 3))


LOOPS: dict[str, Step] = {
    "perceptron": perceptron,
    "deep": deep,
    "residual": residual,
    "concatenation": concatenation,
    "shared": shared,
    "average pooling": average_pooling,
    "leaky relu": perceptron,
    "relu6": perceptron,
}


def by_hand(
    model: nn.Module, network: snnconv.SpikingNetwork, x: Tensor, step: Step
) -> tuple[Tensor, list[NeuronsNet]]:
    populations = list(network.populations.values())
    neurons = [NeuronsNet(p.scale, slope=float(p.activation.slope(torch.tensor(-1.0).double()))) for p in populations]
    with torch.no_grad():
        outputs = [step(model, x, neurons) for _ in range(STEPS)]
    return torch.stack(outputs).cumsum(0) / torch.arange(1, STEPS + 1).view(-1, 1, 1), neurons


@pytest.mark.parametrize("percentile", [100, 95.0])
@pytest.mark.parametrize("name", LOOPS)
def test_every_spike_is_that_of_a_loop_by_hand(name: str, percentile: float) -> None:
    model, x = make(name)
    network = network_of(name, STEPS, percentile)
    outputs, neurons = by_hand(model, network, x, LOOPS[name])
    run = network.run(x, record=["outputs", "rasters"])
    for population, own in zip(network.populations.values(), neurons, strict=True):
        assert torch.equal(run.rasters[population.name], torch.stack(own.train))
        assert run.spikes[population.name] == int(torch.stack(own.train).count_nonzero())
    assert torch.allclose(run.outputs, outputs, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("bias", [0.0, -0.5])
def test_a_max_pool_passes_what_raises_the_largest_sum_so_far(bias: float) -> None:
    model, x = make("max pooling", samples=6)
    with torch.no_grad():
        model.get_parameter("conv1.bias").add_(bias)  # with fewer spikes, ties are common
    network = snnconv.convert(model, x, coding=Rate(STEPS))
    gate = GateNet()

    def step(m: Any, x: Tensor, n: list[NeuronsNet]) -> Tensor:
        return n[1](m.conv2(gate(n[0](m.conv1(x))))).mean((2, 3))

    outputs, neurons = by_hand(model, network, x, step)
    run = network.run(x, record=["outputs", "rasters"])
    for population, own in zip(network.populations.values(), neurons, strict=True):
        assert torch.equal(run.rasters[population.name], torch.stack(own.train))
    assert torch.allclose(run.outputs, outputs, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("neuron", ["integrate-fire", "corrective"])
def test_max_pooling_is_exact_on_decoded_values_at_every_step(neuron: str) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(2, 3, 3), nn.ReLU(), nn.MaxPool2d(3, 1, 1), nn.Flatten()).double()
    x = torch.randn(20, 2, 8, 8, dtype=torch.float64)
    network = snnconv.convert(model, x, coding=Rate(12), neuron=neuron)
    run = network.run(x, record=["outputs", "rasters"])
    (population,) = network.populations.values()
    (raster,) = run.rasters.values()
    for t, output in enumerate(run.outputs, start=1):
        decoded = raster[:t].mean(0) * population.scale.view(1, -1, 1, 1)
        pooled = nn.functional.max_pool2d(decoded, 3, 1, 1).flatten(1)
        assert torch.allclose(output, pooled, rtol=1e-12, atol=1e-12)


def test_a_tie_fires() -> None:
    model = nn.Sequential(nn.Linear(1, 1, bias=False), nn.ReLU()).double()
    with torch.no_grad():
        model.get_parameter("0.weight").fill_(1.0)
    x = torch.tensor([[0.1], [0.2], [0.5], [0.7], [1.0]], dtype=torch.float64).repeat(5, 1)
    network = snnconv.convert(
        model, x, coding=Rate(10), percentile=100, neuron=lambda code: IntegrateFire(code, initial_potential=0.0)
    )
    # Ten times 0.1 falls short of 1 in floating point; the tolerance makes every integer number of charges count.
    total = 0.0
    for _ in range(10):
        total += 0.1
    assert total < 1.0
    assert torch.allclose(network(x), x, rtol=1e-12, atol=0.0)


def test_reset_to_zero_loses_what_exceeds_the_threshold() -> None:
    model, x = prepared(lambda: nn.Sequential(nn.Linear(6, 9), nn.ReLU())), draw(50, 6)
    network = snnconv.convert(
        model, x, coding=Rate(30), neuron=lambda code: IntegrateFire(code, reset="zero", initial_potential=0.0)
    )
    (population,) = network.populations.values()
    with torch.no_grad():
        drive = model.get_submodule("0")(x) / population.scale
    period = torch.where(drive > 0, torch.ceil(1.0 / drive.clamp(min=1e-9) - 1e-9), torch.inf)
    run = network.run(x, record=["rasters"])
    assert torch.equal(run.rasters[population.name].sum(0), torch.floor(30 / period))
