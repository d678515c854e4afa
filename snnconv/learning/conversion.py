"""A network that has learned, as a ``SpikingNetwork``: simulated, evaluated, stored and drawn like a converted one."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import nn

from coding import CODES, CodingPlan, Concurrent, InputCode
from neurons.double_exponential_output import deciding
from snnconv.capture.capturing import captured
from snnconv.data.shapes import BATCH
from snnconv.errors import ConfigurationError
from snnconv.graph.operators import PiecewiseLinear
from snnconv.learning.encoders import Encoder
from snnconv.learning.input_codes import input_code
from snnconv.learning.network import LayeredNetwork
from snnconv.learning.samples import SpikeSamples
from snnconv.network import SpikingNetwork
from snnconv.spiking.input_range import InputRange
from snnconv.spiking.population import Population
from snnconv.surroundings import own_surroundings


@own_surroundings()
def spiking_network(
    network: LayeredNetwork, input: InputCode | Encoder | SpikeSamples, steps: int | None = None
) -> SpikingNetwork:
    """The ``SpikingNetwork`` with the synapses, biases and neurons of ``network``.

    ``input`` is what it learned from: samples or their encoder, which say the number of ``steps`` too, or an input code
    of spikes, such as ``coding.LatencyInput``, with the number of steps to simulate. The result takes values
    ``[N, inputs]`` in [0, 1]; after ``EventSamples`` or with ``coding.EventInput()`` spikes of 0 and 1, samples first
    ``[N, steps, inputs]``. Latencies and events are the spikes of learning, those of a ``RateEncoder`` are drawn anew.

    It decides as ``measure`` does: the decoded output ``[N, classes]`` holds scores, whose whole part is the number of
    spikes and whose fraction grows the earlier the first of them came, and in one step with the potential. ``run`` and
    ``evaluate`` with ``stop=snnconv.FirstSpike()`` decide by the first spike, and count the spikes until then. A sample
    without an output spike has the score 0 everywhere, and ``evaluate`` counts it as wrong. Populations go by
    ``hidden_1`` to ``output``. There is no original network. Later training of ``network`` does not change the result.

    Raises ``ConfigurationError`` for an input that is analog, has no input code, has spikes behind the last step, or is
    not of the network's size, and for an output of one class, which leaves nothing to decide.
    """
    code, steps = input_code(input, steps)
    if network.classes < 2:
        raise ConfigurationError("the network has one output neuron, which leaves nothing to decide; use two or more")
    found = getattr(input, "inputs", network.sizes[0])
    if found != network.sizes[0]:
        raise ConfigurationError(f"samples have {found} input neurons, the network {network.sizes[0]}")
    weight = network.linear[0].weight
    modules: dict[str, nn.Module] = {}
    for number, layer in enumerate(network.linear, 1):
        copied = nn.Linear(layer.in_features, layer.out_features, bias=False, dtype=weight.dtype)
        copied.load_state_dict({"weight": layer.weight})
        modules[f"synapses_{number}"] = copied
        modules["output" if number == len(network.linear) else f"hidden_{number}"] = nn.ReLU()
    example = (torch.zeros(2, network.sizes[0], dtype=weight.dtype),)
    graph = captured(nn.Sequential(OrderedDict(modules)), example).graph
    rate = CODES["rate"](steps)
    one, zero = torch.ones(1, dtype=weight.dtype), torch.zeros(1, dtype=weight.dtype)
    activations = [node for node in graph.nodes.values() if node.op == "relu"]
    populations = {}
    for node, layer in zip(activations, network.linear, strict=True):
        bias = None if layer.bias is None else layer.bias.detach().cpu()
        neuron = network.neuron
        populations[node.name] = Population(
            name=node.source.module or node.name,
            node=node.name,
            activation=PiecewiseLinear(),
            code=rate,
            neuron=neuron if layer is not network.linear[-1] else deciding(neuron),
            scale=one.clone() if bias is None else torch.ones_like(bias),
            shift=zero.clone() if bias is None else bias.clone(),
            channel_axis=None if bias is None else 1,
            shape=(node.shape or ())[1:],
            source=node.source,
        )
    plan = CodingPlan(rate, code, schedule=Concurrent(steps))
    shape = (BATCH, network.sizes[0]) if code.of_values else (BATCH, steps, network.sizes[0])
    densities = dict.fromkeys([*graph.inputs, *populations], 1.0)
    return SpikingNetwork(graph, populations, plan, [shape], [InputRange(zero, one)], densities).to(weight.device)
