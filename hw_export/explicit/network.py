"""A converted network with the map between every two populations made explicit, in units of the populations' scales."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from hw_export.explicit.ends import Ends, decoded
from hw_export.explicit.linearity import check_sums
from hw_export.explicit.maps import Array, LinearMap, Shape, plane
from hw_export.explicit.probing import linear_map
from snnconv.data.shapes import BATCH, concrete
from snnconv.errors import ConfigurationError
from snnconv.graph.affine_regions import Regions
from snnconv.graph.front import front_text, masks_text
from snnconv.graph.graph import Node, Ref
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
    """A max pooling over the spikes of one ``source``, in two dimensions; padding, before and after, never wins.

    ``shape`` is that of a map ``[C, H, W]``; lines ``[C, L]`` are pooled as maps of height 1.
    """

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
    outputs = tuple(name for name in graph.nodes if name in decoded(regions))
    ends = Ends(regions, network)
    connections = []
    sources = (*graph.inputs, *stations)
    for source in told(progress, "writing out connections", sources, len(sources)):
        for target in ends.behind(source):
            if target in gates:
                continue
            between = f"from {network.name_of(source)} to {network.name_of(target)}"
            written = ends.written(source, target)
            found = linear_map(ends.response(source, target), ends.shape(source), ends.shape(target), between, written)
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


def _gate(node: Node, regions: Regions, network: SpikingNetwork) -> Gate:
    argument = node.arguments["self"]
    place = f"max pooling {node.name} ({node.source})"
    if node.op not in ("max_pool1d", "max_pool2d"):
        raise ConfigurationError(
            f"{place}: max pooling of one and two dimensions can be exported, got {node.op}; take a stride or an "
            "average in its place"
        )
    if not isinstance(argument, Ref) or argument.name not in regions.stations:
        raise ConfigurationError(
            f"{place} pools more than the spikes of one population, which cannot be exported; "
            "pool right behind an activation"
        )

    def pair(key: str) -> tuple[int, int]:
        value = node.arguments[key] or (node.arguments["kernel_size"] if key == "stride" else 0)
        sizes = [value] if isinstance(value, int) else list(value)
        if node.op == "max_pool1d":  # a line is as high as 1
            sizes.insert(0, 0 if key == "padding" else 1)
        return (sizes[0], sizes[-1])

    kernel, stride, before, dilation = (pair(key) for key in ("kernel_size", "stride", "padding", "dilation"))
    shape, size = (plane(regions.sample_shape(name)) for name in (node.name, argument.name))
    size, padding = size[1:], []
    for axis in (0, 1):  # with ceil_mode the last window may hang over the border
        end = (shape[1 + axis] - 1) * stride[axis] + dilation[axis] * (kernel[axis] - 1) + 1
        padding.append((before[axis], max(before[axis], end - size[axis] - before[axis])))
    return Gate(argument.name, shape, kernel, stride, (padding[0], padding[1]), dilation)
