"""What rounding adds to the currents of a pipeline on average, taken back by the biases of its integers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hw_export.explicit.maps import Array
from hw_export.integers.network import IntegerNetwork, over_channels
from hw_export.integers.ranges import reaches
from hw_export.integers.simulation import integer_simulation
from neurons.integer_lookup import MEMBRANE_LIMIT
from snnconv.calibration.bias_correction import mean_error
from snnconv.data.batches import Inputs
from snnconv.graph.graph import Node
from snnconv.graph.interpreter import Handler, Program
from snnconv.graph.operators.activation import activation_at
from snnconv.network import SpikingNetwork
from snnconv.spiking.settling import decode

#: Samples that means are taken over at most, and values of neurons that they have together, unless they are few.
_MOST_SAMPLES, _MOST_VALUES, _FEWEST_SAMPLES = 128, 2**25, 8


def corrected(integers: IntegerNetwork, samples: Sequence[Inputs]) -> IntegerNetwork:
    """``integers`` of a pipeline with biases that take back the mean error of their currents, channel by channel.

    The error is against the network that was rounded, on ``samples``, chunks of a batch. Populations are taken in
    order, each behind the corrected ones, as the bias correction of ``convert`` does. What may be chance is left, and
    so is what a membrane has no room for. Streams, and networks without samples, stay as they are.
    """
    network, populations = integers.network, dict(integers.populations)
    if network.timing is None or not samples:
        return integers
    simulation, inputs = integer_simulation(integers), _few(network, samples)
    room = {reach.node: MEMBRANE_LIMIT - reach.size for reach in reaches(integers)}
    exact: dict[str, Tensor] = {}

    def keep(node: str, current: Tensor) -> Tensor:
        population = network.populations[node]
        shifted = current + population.broadcast(population.shift, current.dim())
        exact[node] = shifted.double().cpu()
        return decode(population, current)

    def correct(node: str, current: Tensor) -> Tensor:
        while node not in exact:
            next(rounded_from)
        population, own, quantized = network.populations[node], simulation.populations[node], populations[node]
        wanted = exact.pop(node)
        if population.channel_axis not in (None, 1):  # integers have a number for each place along axis 1
            return decode(own, current)
        scale = np.broadcast_to(population.scale.detach().cpu().double().numpy(), own.scale.shape)
        unit, step = scale / own.scale.numpy(), scale / quantized.scale  # of the simulation's currents, of a bias
        error = mean_error(wanted, current * _by_channel(unit, current), replace(population, channel_axis=1), True)
        taken = np.clip(np.rint(error.numpy() / step), -room[node], room[node])
        bias = quantized.bias + over_channels(taken.astype(np.int64), quantized.bias.ndim)
        populations[node] = replace(quantized, bias=bias)
        return decode(own, current + _by_channel(taken * step / unit, current))

    rounded_from = _run(network, inputs, keep)
    with torch.no_grad():
        for _ in _run(simulation, inputs, correct):
            pass
    return replace(integers, populations=populations)


def _run(network: SpikingNetwork, inputs: Inputs, fire: Callable[[str, Tensor], Tensor]) -> Iterator[Node]:
    """The nodes of ``network`` in order, its populations decoded by ``fire`` from their names and currents."""
    graph = network.complete_graph()

    def handler(node: str) -> Handler:
        operator = activation_at(graph.nodes[node])

        def handle(arguments: Mapping[str, Any]) -> Tensor:
            return fire(node, operator.current(arguments))

        return handle

    environment = {**graph.constants, **dict(zip(graph.taken, inputs, strict=True))}
    like = next(iter(network.populations.values())).scale
    environment = {name: each.to(like) if each.is_floating_point() else each for name, each in environment.items()}
    handlers = {node: handler(node) for node in network.populations}
    yield from Program([*graph.nodes.values()]).steps(environment, handlers)


def _few(network: SpikingNetwork, samples: Sequence[Inputs]) -> Inputs:
    """As many of ``samples`` as their neurons allow."""
    neurons = sum(population.neurons for population in network.populations.values())
    most = max(_FEWEST_SAMPLES, min(_MOST_SAMPLES, _MOST_VALUES // neurons))
    return tuple(torch.cat(column)[:most] for column in zip(*samples, strict=True))


def _by_channel(numbers: Array, current: Tensor) -> Tensor:
    """``numbers``, one a channel, broadcastable to a batch of currents."""
    return torch.from_numpy(over_channels(numbers, current.dim() - 1)[None])
