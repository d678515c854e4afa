"""A converted network with the map between every two populations made explicit, in units of the populations' scales."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hw_export.explicit.linearity import check_sums
from hw_export.explicit.maps import Array, LinearMap, Shape
from hw_export.explicit.probing import linear_map
from snnconv.data.shapes import BATCH, concrete
from snnconv.errors import ConfigurationError
from snnconv.graph.affine_regions import Regions, resolved
from snnconv.graph.front import front_text, masks_text
from snnconv.graph.graph import Node, Ref, refs_in
from snnconv.graph.operators import OPERATORS, carried
from snnconv.network import SpikingNetwork
from snnconv.progress import ProgressCallback, told
from snnconv.spiking.population import Population
from snnconv.surroundings import own_surroundings


@dataclass(frozen=True)
class Connection:
    """The synapses from a source (input, population or gate) to a target (population or output), by node."""

    source: str
    target: str
    map: LinearMap


@dataclass(frozen=True)
class Gate:
    """A max pooling over the spikes of one ``source``, in two dimensions; padding, before and after, never wins."""

    source: str
    shape: Shape
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[tuple[int, int], tuple[int, int]]
    dilation: tuple[int, int]


@dataclass(frozen=True)
class ExplicitNetwork:
    """Populations, gates and outputs of ``network`` and the synapses between them, by node in order of execution.

    A payload of 1 stands for a source's scale, and a current of 1 for the scale of its target; outputs have the units
    of the original network, inputs are taken as they are. ``currents`` are the constants that arrive once in a
    presentation (biases, and the population's shift), in the shape of their target.
    """

    network: SpikingNetwork
    inputs: Mapping[str, Shape]
    shapes: Mapping[str, Shape]
    gates: Mapping[str, Gate]
    outputs: tuple[str, ...]
    connections: tuple[Connection, ...]
    currents: Mapping[str, Array]

    @property
    def populations(self) -> Mapping[str, Population]:
        """The populations of the network, by node."""
        return self.network.populations

    def into(self, target: str) -> list[Connection]:
        """Connections that end in ``target``."""
        return [connection for connection in self.connections if connection.target == target]

    def name(self, node: str) -> str:
        """What reports call ``node``."""
        return self.network.name_of(node)

    def depths(self) -> dict[str, int]:
        """Connections on the longest way from an input, by node; a gate is as deep as its source."""
        depths = dict.fromkeys(self.inputs, 0)
        for node in (*self.shapes, *self.outputs):
            if node in self.gates:
                depths[node] = depths[self.gates[node].source]
            else:
                depths[node] = 1 + max((depths[each.source] for each in self.into(node)), default=0)
        return depths

    def __str__(self) -> str:
        rows = [
            f"{self.name(each.source)} -> {self.name(each.target)}: {type(each.map).__name__.lower()}, "
            f"{each.map.synapses} synapses"
            for each in self.connections
        ]
        return "\n".join(rows)


def check_converted(network: SpikingNetwork) -> None:
    """Raise ``ConfigurationError`` for a network that learned through its own spikes, which no export knows."""
    if network.learned:
        names = sorted({type(population.neuron).__name__ for population in network.populations.values()})
        raise ConfigurationError(
            f"a network that learned through its own spikes cannot be exported: Lava, NIR, snntorch and norse get "
            f"integrate-and-fire neurons only, and its neurons are {' and '.join(names)}; train a network of ReLU and "
            "convert it with snnconv.convert"
        )


def check_real_inputs(network: SpikingNetwork) -> None:
    """Raise ``ConfigurationError`` for a network that takes whole numbers, such as those of tokens."""
    if masks := masks_text(network.graph):
        raise ConfigurationError(
            f"masks that come with every sample, made by {masks}, cannot be exported: synapses of a target are the "
            "same for all samples; name one mask for all of them in constants="
        )
    if network.graph.front is not None:
        raise ConfigurationError(
            f"{front_text(network.graph)} in front, which makes real inputs of whole numbers, cannot be exported: no "
            "target has tables; convert what follows it, a module that takes its result as input, and export that"
        )


@own_surroundings()
def explicit(network: SpikingNetwork, progress: ProgressCallback | None = None) -> ExplicitNetwork:
    """Make the affine maps of ``network`` explicit; ``progress`` is told of their sources.

    Raises ``ConfigurationError`` for what has no such form: a network that learned through its own spikes, a
    spiking input, a product of two signals, a max pooling over anything but the spikes of one population, and a map
    that is neither a convolution nor small enough for a matrix.
    """
    check_converted(network)
    check_real_inputs(network)
    if network.plan.input.spiking:
        raise ConfigurationError(
            f"a spiking input cannot be exported: spikes of {network.plan.input.name} input are made "
            "outside the network; convert with the default input, a constant current"
        )
    if network.is_integer_simulation:
        raise ConfigurationError("the network is an integer simulation already: export the network that it was made of")
    graph = network.complete_graph()
    graph = replace(graph, constants={name: tensor.cpu() for name, tensor in graph.constants.items()})
    shapes = {name: concrete(shape, {BATCH: 1}) for name, shape in zip(graph.inputs, network.input_shapes, strict=True)}
    regions = Regions(graph, set(network.populations), shapes)
    check_sums(regions)
    stations = [name for name in graph.nodes if name in regions.stations]
    gates = {name: _gate(graph.nodes[name], regions, network) for name in stations if name not in network.populations}
    outputs = tuple(name for name in graph.nodes if name in _decoded(regions))
    ends = _Ends(regions, network)
    connections = []
    sources = (*graph.inputs, *stations)
    for source in told(progress, "writing out connections", sources, len(sources)):
        for target in ends.behind(source):
            if target in gates:
                continue
            between = f"from {network.name_of(source)} to {network.name_of(target)}"
            found = linear_map(ends.response(source, target), ends.shape(source), ends.shape(target), between)
            connections.append(Connection(source, target, found))
    for name in outputs:  # an output that is a population's own spikes
        if name in stations:
            shape, scale = ends.shape(name), ends.emitted(name)
            identity = linear_map(scale.mul, shape, shape, f"at output {name}")
            connections.append(Connection(name, f"{name} decoded", identity))
    return ExplicitNetwork(
        network,
        {name: ends.shape(name) for name in graph.inputs},
        {name: ends.shape(name) for name in stations},
        gates,
        tuple(f"{name} decoded" if name in stations else name for name in outputs),
        tuple(connections),
        ends.currents(outputs),
    )


def _decoded(regions: Regions) -> set[str]:
    """What the output and the readout operators use of what runs in time."""
    timed = {node.name for node in regions.nodes}
    used = {name for node in regions.graph.nodes.values() if node.name not in timed for name in node.refs()} | set(
        refs_in(regions.graph.output)
    )
    return used & timed & regions.signals


def _gate(node: Node, regions: Regions, network: SpikingNetwork) -> Gate:
    argument = node.arguments["self"]
    place = f"max pooling {node.name} ({node.source})"
    if node.op != "max_pool2d":
        raise ConfigurationError(f"{place}: only max_pool2d can be exported, got {node.op}")
    if not isinstance(argument, Ref) or argument.name not in regions.stations:
        raise ConfigurationError(
            f"{place} pools more than the spikes of one population, which cannot be exported; "
            "pool right behind an activation"
        )

    def pair(key: str) -> tuple[int, int]:
        value = node.arguments[key] or (node.arguments["kernel_size"] if key == "stride" else 0)
        sizes = [value] if isinstance(value, int) else list(value)
        return (sizes[0], sizes[-1])

    kernel, stride, before, dilation = (pair(key) for key in ("kernel_size", "stride", "padding", "dilation"))
    shape, size = regions.sample_shape(node.name), regions.sample_shape(argument.name)[1:]
    padding = []
    for axis in (0, 1):  # with ceil_mode the last window may hang over the border
        end = (shape[1 + axis] - 1) * stride[axis] + dilation[axis] * (kernel[axis] - 1) + 1
        padding.append((before[axis], max(before[axis], end - size[axis] - before[axis])))
    return Gate(argument.name, shape, kernel, stride, (padding[0], padding[1]), dilation)


class _Ends:
    """Responses between the ends of regions, in units of scales, in double precision."""

    def __init__(self, regions: Regions, network: SpikingNetwork) -> None:
        self._regions, self._network = regions, network
        self._batched = network.batch_axis == 0
        self._populations = network.populations
        self._outputs = _decoded(regions)

    def shape(self, node: str) -> Shape:
        return tuple(self._regions.sample_shape(node))

    def behind(self, source: str) -> list[str]:
        """Populations, gates and outputs that the events of ``source`` reach, in order of execution."""
        reached = self._regions.behind(source)
        ends = self._regions.stations | (self._outputs - self._regions.stations)
        return [node.name for node in self._regions.nodes if node.name in reached and node.name in ends]

    def emitted(self, source: str) -> Tensor:
        """What a payload of 1 stands for, in the shape of ``source`` or broadcastable to it."""
        if source in self._populations:
            population, dims = self._populations[source], len(self.shape(source)) + self._batched
            windowed = self._network.timing is not None
            scale = population.window_scale(dims) if windowed else population.broadcast_scale(dims)
            scale = scale.cpu().double()
            return scale[0] if self._batched and scale.dim() == dims else scale
        gate = self._regions.graph.nodes.get(source)
        if gate is None:
            return torch.ones((), dtype=torch.float64)
        before = self.emitted(gate.arguments["self"].name)
        if before.dim() == 3 and before.shape[1:] != (1, 1):
            raise ConfigurationError(f"max pooling {source} compares different scales; use one scale per channel")
        return before

    def response(self, source: str, target: str) -> Callable[[Tensor], Tensor]:
        """Normalised currents that events (payloads in units of the source's scale) cause at ``target``."""
        emitted, inverse_scale = self.emitted(source), self._inverse_scale(target)

        def respond(events: Tensor) -> Tensor:
            sent = events * emitted
            if self._batched:
                return self._arriving(source, target, sent, len(sent)) * inverse_scale
            return torch.stack([self._arriving(source, target, each, 1) for each in sent]) * inverse_scale

        return respond

    def _inverse_scale(self, target: str) -> Tensor:
        return 1.0 / self.emitted(target) if target in self._populations else torch.ones((), dtype=torch.float64)

    def _arriving(self, source: str, target: str, events: Tensor, width: int) -> Tensor:
        regions = self._regions
        values: dict[str, Any] = {**regions.constants(width), source: events}
        region = regions.behind(source)

        def value_of(ref: Ref) -> Any:
            return values[ref.name] if ref.name in values else regions.no_events(ref.name, width)

        for node in regions.nodes:
            if node.name not in region:
                continue
            arguments = resolved(node, value_of)
            if node.name in regions.stations:
                if node.name == target:
                    return torch.as_tensor(arguments["self"])
                continue
            operator = OPERATORS[node.op]
            values[node.name] = operator.evaluate(operator.homogeneous(arguments, carried(node, regions.signals)))
            if node.name == target:
                return torch.as_tensor(values[node.name])
        raise AssertionError(f"{source} does not reach {target}")

    def currents(self, outputs: tuple[str, ...]) -> dict[str, Array]:
        """Constant currents of all populations and outputs while every source is silent."""
        regions = self._regions
        values: dict[str, Any] = dict(regions.constants(1))
        found: dict[str, Array] = {}

        def value_of(ref: Ref) -> Any:
            return values[ref.name] if ref.name in values else regions.no_events(ref.name, 1)

        for node in regions.nodes:
            if node.name not in regions.signals:
                continue
            arguments = resolved(node, value_of)
            if node.name in self._populations:
                population, current = self._populations[node.name], arguments["self"]
                current = current + population.broadcast(population.shift, current.dim()).cpu().double()
                found[node.name] = self._sample(current * self._inverse_scale(node.name), node.name)
            elif node.name not in regions.stations:
                values[node.name] = OPERATORS[node.op].evaluate(arguments)
                if node.name in outputs:
                    found[node.name] = self._sample(values[node.name], node.name)
        for name in outputs:
            if name in regions.stations:
                found[f"{name} decoded"] = np.zeros(self.shape(name))
        return found

    def _sample(self, values: Tensor, node: str) -> Array:
        current: Array = values.expand(self._regions.shape(node)).numpy()
        return np.array(current[0] if self._batched else current)
