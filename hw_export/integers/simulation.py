"""The spiking network that computes what an integer network computes, so that it can be measured as any other."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hw_export.explicit.maps import Array, ConvolutionMap, LinearMap, SparseMap
from hw_export.integers.network import IntegerNetwork, IntegerPopulation, over_channels
from hw_export.integers.parallel import merged
from neurons.integer_lookup import LookupRule
from neurons.integer_rules import TableRule
from snnconv.errors import ConfigurationError
from snnconv.graph.graph import Graph, Node, Ref
from snnconv.network import SpikingNetwork
from snnconv.spiking.population import Population
from snnconv.surroundings import own_surroundings

#: Elements of a sparse map above which it is not written out as a matrix.
_DENSE_LIMIT = 2**27


@own_surroundings()
def integer_simulation(integers: IntegerNetwork) -> SpikingNetwork:
    """A ``SpikingNetwork`` in double precision whose populations fire spike for spike as those of ``integers``.

    Its scales are the integers that stand for them, so that currents are integers too, but for functions that are
    looked up, whose currents keep the units of the original. Half a unit is added where a potential could meet a
    threshold exactly, which no integer notices. Raises ``ConfigurationError`` for a sparse map that is too large to be
    written out.
    """
    network, graph = integers.network, _GraphWriter(integers).graph()
    populations = {node: _population(integers, node) for node in integers.populations}
    ranges = [type(seen)(*(end.cpu().double() for end in seen)) for seen in network.input_ranges]
    kept = {*graph.inputs, *graph.nodes}
    densities = {name: value for name, value in network.densities.items() if name in kept}
    held_out = [tuple(tensor.cpu().double() for tensor in inputs) for inputs in network.held_out]
    return network.with_(
        graph=graph, populations=populations, input_ranges=ranges, densities=densities, held_out=held_out
    )


def _population(integers: IntegerNetwork, node: str) -> Population:
    population, quantized = integers.network.populations[node], integers.populations[node]
    scale = torch.from_numpy(_scale(population, quantized))
    shift = torch.zeros_like(scale)
    changed = replace(population, scale=scale, shift=shift, channel_axis=1)
    rule = quantized.rule
    if isinstance(rule, LookupRule):
        half = scale / (2 * torch.from_numpy(quantized.scale))
        return replace(changed, shift=half, tables=torch.from_numpy(rule.with_fractions(quantized.scale)))
    if not isinstance(rule, TableRule):
        return changed
    neuron = replace(population.neuron, code=rule.code)  # type: ignore[type-var]
    return replace(changed, code=rule.code, neuron=neuron, shift=shift + 0.5)


def _scale(population: Population, quantized: IntegerPopulation) -> Array:
    """The scale of ``population`` in the simulation, by channel: its own where a function is looked up."""
    whole = quantized.scale.astype(np.float64)
    if not isinstance(quantized.rule, LookupRule):
        return whole
    return np.broadcast_to(population.scale.detach().cpu().double().numpy(), whole.shape).copy()


class _GraphWriter:
    """Writes an integer network as a graph: payloads back to integers, synapses, biases, populations."""

    def __init__(self, integers: IntegerNetwork) -> None:
        self._integers, self._original = integers, integers.network.complete_graph()
        self._constants = {
            name: t.cpu().double() if t.is_floating_point() else t.cpu() for name, t in self._original.constants.items()
        }
        self._nodes: dict[str, Node] = {}
        self._taken = {*self._original.inputs, *self._original.nodes, *self._constants}

    def graph(self) -> Graph:
        """The original graph with every region between populations replaced."""
        original, integers = self._original, self._integers
        integer_payloads: dict[str, Ref] = {}
        for name, taken in integers.inputs.items():
            arguments = {"self": Ref(name), "step": taken.step, "smallest": taken.smallest, "largest": taken.largest}
            integer_payloads[name] = self._add("whole_input", arguments, (2, *integers.explicit.inputs[name]))
        for node in original.nodes.values():
            if node.name in integers.populations:
                self._nodes[node.name] = replace(
                    node, arguments={**node.arguments, "self": self._sum(node.name, integer_payloads)}
                )
                integer_payloads[node.name] = self._unscaled(node.name, node.name)
            elif node.name in integers.explicit.gates:
                self._nodes[node.name] = node
                integer_payloads[node.name] = self._unscaled(node.name, self._fires(node.name))
            elif node.name in integers.outputs:
                self._output(node, integer_payloads)
            else:
                self._nodes[node.name] = node
        changed = Graph(original.inputs, self._constants, self._nodes, original.output, original.batch_axis)
        return changed.without_dead_nodes()

    def _fires(self, gate: str) -> str:
        source = self._integers.explicit.gates[gate].source
        return source if source in self._integers.populations else self._fires(source)

    def _unscaled(self, source: str, population: str) -> Ref:
        """What ``source`` sends as integers: the network multiplies payloads by the scale of ``population``."""
        quantized = self._integers.populations[population]
        shape = self._integers.explicit.shapes[source]
        scale = _scale(self._integers.network.populations[population], quantized)
        worth = over_channels(scale, len(shape))[None] * quantized.rule.unit
        other = self._constant(f"{source}.scale", torch.from_numpy(worth))
        return self._add("div", {"self": Ref(source), "other": other}, (2, *shape))

    def _sum(self, target: str, integer_payloads: dict[str, Ref]) -> Ref:
        terms = self._terms(target, integer_payloads)
        quantized = self._integers.populations[target]
        bias = torch.from_numpy(quantized.bias[None].astype(np.float64))
        shape = (2, *self._integers.explicit.shapes[target])
        total = self._total(terms, self._constant(f"{target}.bias", bias), shape)
        if not isinstance(quantized.rule, LookupRule):
            return total
        steps = _scale(self._integers.network.populations[target], quantized) / quantized.scale
        step = self._constant(f"{target}.step", torch.from_numpy(over_channels(steps, len(shape) - 1)[None]))
        return self._add("mul", {"self": total, "other": step}, shape)

    def _output(self, node: Node, integer_payloads: dict[str, Ref]) -> None:
        output = self._integers.outputs[node.name]
        shape = (2, *output.offset.shape)
        total = self._total(self._terms(node.name, integer_payloads), None, shape)
        step = torch.from_numpy(over_channels(output.step, output.offset.ndim)[None])
        product = self._add("mul", {"self": total, "other": self._constant(f"{node.name}.step", step)}, shape)
        offset = self._constant(f"{node.name}.offset", torch.from_numpy(output.offset[None]))
        arguments = {"self": product, "other": offset, "alpha": 1}
        self._nodes[node.name] = Node(node.name, "add", arguments, shape, node.source)

    def _terms(self, target: str, integer_payloads: dict[str, Ref]) -> list[Ref]:
        into = merged(self._integers.into(target))
        return [self._synapses(each.map, integer_payloads[each.source]) for each in into]

    def _total(self, terms: list[Ref], bias: Ref | None, shape: tuple[int, ...]) -> Ref:
        total, *others = [*terms, *([bias] if bias is not None else [])]
        for other in others:
            total = self._add("add", {"self": total, "other": other, "alpha": 1}, shape)
        return total

    def _synapses(self, one: LinearMap, sent: Ref) -> Ref:
        shape = (2, *one.target_shape)
        if isinstance(one, ConvolutionMap):
            line = len(one.source_shape) == 2
            arguments = {
                "input": sent,
                "weight": self._constant("weight", _tensor(one.weight[:, :, 0] if line else one.weight)),
                "bias": None,
                "stride": list(one.stride[line:]),
                "padding": list(one.padding[line:]),
                "dilation": list(one.dilation[line:]),
                "groups": one.groups,
            }
            return self._add("conv1d" if line else "conv2d", arguments, shape)
        weight = one.weights
        if isinstance(one, SparseMap):
            if one.matrix.shape[0] * one.matrix.shape[1] > _DENSE_LIMIT:
                raise ConfigurationError(
                    f"a sparse map of {one.matrix.shape} neurons is too large to be simulated here"
                )
            weight = one.matrix.toarray()
        flat = sent
        if len(one.source_shape) > 1:
            size = (2, weight.shape[1])
            flat = self._add("flatten", {"self": sent, "start_dim": 1, "end_dim": -1}, size)
        arguments = {"input": flat, "weight": self._constant("weight", _tensor(weight)), "bias": None}
        result = self._add("linear", arguments, (2, weight.shape[0]))
        if len(one.target_shape) == 1:
            return result
        return self._add("unflatten", {"self": result, "dim": 1, "sizes": list(one.target_shape)}, shape)

    def _add(self, op: str, arguments: dict[str, Any], shape: tuple[int, ...]) -> Ref:
        name = self._free(op)
        self._nodes[name] = Node(name, op, arguments, shape)
        return Ref(name)

    def _constant(self, wanted: str, value: Tensor) -> Ref:
        name = self._free(wanted)
        self._constants[name] = value
        return Ref(name)

    def _free(self, wanted: str) -> str:
        name = next(name for name in _candidates(f"integer_{wanted}") if name not in self._taken)
        self._taken.add(name)
        return name


def _candidates(wanted: str) -> Iterator[str]:
    yield wanted
    for number in itertools.count(1):
        yield f"{wanted}_{number}"


def _tensor(weight: Array) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(weight, dtype=np.float64))
