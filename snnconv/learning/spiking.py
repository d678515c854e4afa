"""A network that has learned, as a ``SpikingNetwork``: simulated, evaluated, stored and drawn like a converted one."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import nn

from coding import CODES, CodingPlan, Concurrent, InputCode
from snnconv.capture import capture
from snnconv.errors import ConfigurationError
from snnconv.input_range import InputRange
from snnconv.learning.network import LayeredNetwork
from snnconv.network import SpikingNetwork
from snnconv.operators import Activation
from snnconv.population import Population
from snnconv.probing import prepared


def spiking_network(network: LayeredNetwork, input: InputCode, steps: int) -> SpikingNetwork:
    """The ``SpikingNetwork`` with the synapses and neurons of ``network``, for values ``[N, inputs]`` in [0, 1].

    ``input`` is a code of spikes, such as ``coding.LatencyInput``; ``steps`` is the length of the simulation. All
    populations, ``hidden_1`` to ``output``, have scale 1: the decoded output ``[N, classes]`` is the share of steps in
    which each output fired, so its largest is the decision by count. ``run`` and ``evaluate`` with
    ``stop=snnconv.FirstSpike()`` decide by the first spike, and count the spikes until then. What stands beside it as
    the original network, the same layers with ReLU, was never trained. Later training of ``network`` does not change
    the result.

    Raises ``ConfigurationError`` for an analog input, and for biases: ``LayeredNetwork`` adds them to the potential,
    a ``SpikingNetwork`` to the current.
    """
    if not input.spiking:
        raise ConfigurationError(f"{input.name} input has no spikes; use a code of spikes, such as LatencyInput")
    if any(layer.bias is not None for layer in network.linear):
        raise ConfigurationError(
            "the network has biases, which its neurons add to their potential and a SpikingNetwork to their current; "
            "train LayeredNetwork(..., bias=False)"
        )
    weight = network.linear[0].weight
    modules: dict[str, nn.Module] = {}
    for number, layer in enumerate(network.linear, 1):
        copied = nn.Linear(layer.in_features, layer.out_features, bias=False, dtype=weight.dtype)
        copied.load_state_dict(layer.state_dict())
        modules[f"synapses_{number}"] = copied
        modules["output" if number == len(network.linear) else f"hidden_{number}"] = nn.ReLU()
    example = (torch.zeros(2, network.sizes[0], dtype=weight.dtype),)
    graph = prepared(capture(nn.Sequential(OrderedDict(modules)), example), example)
    code = CODES["rate"](steps)
    one, zero = torch.ones(1, dtype=weight.dtype), torch.zeros(1, dtype=weight.dtype)
    populations = {
        node.name: Population(
            name=node.source.module or node.name,
            node=node.name,
            activation=Activation(),
            code=code,
            neuron=network.neuron,
            scale=one.clone(),
            shift=zero.clone(),
            channel_axis=None,
            shape=(node.shape or ())[1:],
            source=node.source,
        )
        for node in graph.nodes.values()
        if node.op == "relu"
    }
    plan = CodingPlan(code, input, schedule=Concurrent(steps))
    densities = dict.fromkeys([*graph.inputs, *populations], 1.0)
    return SpikingNetwork(graph, populations, plan, [(-1, network.sizes[0])], [InputRange(zero, one)], densities).to(
        weight.device
    )
