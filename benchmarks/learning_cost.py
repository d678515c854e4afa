"""Time of a training step of spiking neurons: forward and backward pass, beside loops over time in Python."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import snntorch
import torch
from torch import Tensor

from benchmarks.datasets import UNIT_1, mnist_train
from benchmarks.results import publish
from benchmarks.timing import in_turns
from neurons.double_exponential import DoubleExponential
from snnconv.learning import CountLoss, GradientRule, LatencyEncoder, LatencyLoss, LayeredNetwork, SpikeLoss, Spikes

#: Sizes, steps, batch and neuron of the networks of ``benchmarks.antlr``.
SETTINGS = (
    ((784, 800, 10), 300, 16, DoubleExponential()),
    ((784, 200, 10), 100, 32, DoubleExponential(0.97, 0.97)),
)
HEAD = ("network", "steps", "batch", "training step", "ms", "ratio", "gradient apart")
_COUNT = CountLoss(3.0)

#: What arrives at a layer and its state before a step (``None`` at first), to its spikes and its state after.
Cell = Callable[[Tensor, Any], tuple[Tensor, Any]]


def run() -> None:
    """Publish the table ``learning_cost``: medians of steps, turn by turn; ratios are to the first row.

    Encoding and the optimiser's step are left out. ANTLR learns from latencies, the others from counts. "gradient
    apart" is the relative distance of the first weights' gradient to the first row's, where theory says they are equal.
    """
    table = [row for setting in SETTINGS for row in _rows(*setting)]
    publish("learning_cost", "Milliseconds of a forward and backward pass on MNIST", HEAD, table)


def _rows(sizes: tuple[int, ...], steps: int, batch: int, neuron: DoubleExponential) -> list[list[Any]]:
    images, targets = mnist_train(batch, UNIT_1)
    events = LatencyEncoder(steps)(images.flatten(1))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = LayeredNetwork(sizes, neuron=neuron, bias=False, weight_offset=1.0)
    by_hand = "torch, loop over time"
    works: dict[str, Callable[[], Tensor]] = {
        "snnconv, activation": partial(_whole, network, events, targets, GradientRule("activation"), _COUNT),
        "snnconv, ANTLR": partial(_whole, network, events, targets, GradientRule(), LatencyLoss()),
        by_hand: partial(_loop, network, events, targets, _written_out),
        # Its reset comes a step later, and leaves the current.
        "snntorch, Synaptic (other reset)": partial(_loop, network, events, targets, _synaptic),
    }
    expected, found = works["snnconv, activation"](), works[by_hand]()
    apart = {by_hand: float((found - expected).norm() / expected.norm())}
    turns, first, network_name = in_turns(works), next(iter(works)), "-".join(map(str, sizes))
    return [
        [
            *(network_name, steps, batch, name, round(1e3 * turns.time(name).median, 1)),
            turns.ratio(name, first).median,
            apart.get(name),
        ]
        for name in works
    ]


# A step returns the gradient of the first weights, and computes that of all.
def _whole(network: LayeredNetwork, events: Tensor, targets: Tensor, rule: GradientRule, loss: SpikeLoss) -> Tensor:
    network.rule = rule
    with torch.enable_grad():
        value = loss(network(events)[-1].spikes, targets)
        return torch.autograd.grad(value, list(network.parameters()))[0]


def _loop(network: LayeredNetwork, events: Tensor, targets: Tensor, of: Callable[[DoubleExponential], Cell]) -> Tensor:
    cells = [of(network.neuron) for _ in network.linear]
    states: list[Any] = [None] * len(cells)
    found = []
    with torch.enable_grad():
        for spikes in events:
            for position, (layer, cell) in enumerate(zip(network.linear, cells, strict=True)):
                spikes, states[position] = cell(layer(spikes), states[position])
            found.append(spikes)
        output = torch.stack(found)
        return torch.autograd.grad(_COUNT(Spikes(output, output), targets), list(network.parameters()))[0]


def _written_out(neuron: DoubleExponential) -> Cell:
    def step(arriving: Tensor, state: Any) -> tuple[Tensor, Any]:
        current, potential = state or (torch.zeros_like(arriving), torch.zeros_like(arriving))
        current = neuron.current_decay * current + arriving
        potential = neuron.potential_decay * potential + neuron.gain * current
        spikes: Tensor = _SurrogateSpike.apply(potential - 1.0)  # type: ignore[no-untyped-call]
        kept = 1.0 - spikes.detach()
        return spikes, (kept * current, kept * potential)

    return step


def _synaptic(neuron: DoubleExponential) -> Cell:
    decays = (neuron.current_decay, neuron.potential_decay)
    cell = snntorch.Synaptic(*decays, spike_grad=_SurrogateSpike.apply, reset_mechanism="zero")

    def step(arriving: Tensor, state: Any) -> tuple[Tensor, Any]:
        spikes, *state = cell(neuron.gain * arriving, *(state or ()))
        return spikes, state

    return step


class _SurrogateSpike(torch.autograd.Function):
    """1 where the distance to the threshold is 0 or more; backward the surrogate of the activation rule."""

    @staticmethod
    def forward(context: Any, distance: Tensor) -> Tensor:
        context.save_for_backward(distance)
        return (distance >= 0).to(distance.dtype)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> Tensor:
        (distance,) = context.saved_tensors
        return gradients[0] * torch.exp(-3.0 * distance.abs())
