"""An integer network as the chain of layers that netx has, or the reason why it is none."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from hw_export.explicit.maps import Array, ConvolutionMap, Shape, plane
from hw_export.explicit.network import Connection
from hw_export.explicit.rate import as_matrix
from hw_export.integers.built_in import built_in_reaches, obstacle
from hw_export.integers.declared import LARGEST_LIF_THRESHOLD, LIF
from hw_export.integers.network import IntegerNetwork
from hw_export.integers.ranges import MembraneReach
from snnconv.errors import ConfigurationError

#: What no membrane reaches that keeps within its bits.
NEVER = LARGEST_LIF_THRESHOLD


@dataclass(frozen=True)
class Geometry:
    """How a convolution moves over its source: rows first, columns second."""

    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    groups: int


@dataclass(frozen=True)
class ChainLayer:
    """A layer of netx: synapses, a convolution where they have a ``geometry`` and else a matrix, and their neurons.

    ``shape`` is ``[C, H, W]`` or ``[neurons]``. ``flattens`` says that a map before it is read as a vector, in C order.
    ``bias`` is that of a channel or of each neuron, at every step; none for an output. A neuron fires at ``fires_at``;
    one of an output never does. Neurons with ``memory`` add up what arrives, others hold that of one step.
    """

    name: str
    shape: Shape
    weight: Array
    geometry: Geometry | None
    flattens: bool
    bias: Array | None
    fires_at: int
    memory: bool = True


@dataclass(frozen=True)
class LayerChain:
    """Layers one behind the other, the first of which gets the input, in ``shape``, at every step."""

    shape: Shape
    layers: tuple[ChainLayer, ...]

    @property
    def output(self) -> ChainLayer:
        """The last layer, whose membranes are the output."""
        return self.layers[-1]


def chain(integers: IntegerNetwork) -> LayerChain:
    """``integers`` in layers of netx; raises ``ConfigurationError`` with the reason where they are no such chain."""
    explicit, bounds = integers.explicit, built_in_reaches(integers)
    connections = tuple(_in_order(integers))
    for node, population in integers.populations.items():
        reason = obstacle(population, bounds[node])
        if reason is not None:
            raise ConfigurationError(f"{explicit.name(node)} cannot run on the neurons of netx: {reason}")
    layers: list[ChainLayer] = []
    shape = first = _first_shape(integers, connections[0])
    for connection in connections:
        layers.append(_layer(integers, connection, shape, bounds))
        shape = layers[-1].shape
    return LayerChain(first, tuple(layers))


def _in_order(integers: IntegerNetwork) -> Iterator[Connection]:
    """The connections from the input to the output, one behind the other."""
    explicit = integers.explicit
    if len(explicit.inputs) > 1:
        raise ConfigurationError(
            f"netx takes one input, this network has {len(explicit.inputs)} ({', '.join(explicit.inputs)})"
        )
    if len(integers.outputs) > 1:
        raise ConfigurationError(
            f"netx has one output, the membranes of its last layer, this network has {len(integers.outputs)}; convert "
            "a model that returns one tensor"
        )
    for gate in explicit.gates:
        raise ConfigurationError(
            f"{explicit.name(gate)}: netx has no max pooling; take a convolution with a stride, or average pooling"
        )
    sources = [*explicit.inputs, *explicit.shapes]
    for source, target in zip(sources, [*explicit.shapes, *integers.outputs], strict=True):
        into, behind = integers.into(target), [each for each in integers.connections if each.source == source]
        if [each.source for each in into] != [source] or len(behind) != 1:
            where = explicit.name(target if len(into) != 1 or into[0].source != source else source)
            raise ConfigurationError(
                f"netx chains layers one behind the other, and at {where} ways part or meet: skips, sums and "
                f"concatenations cannot be written (from {', '.join(explicit.name(each.source) for each in into)} "
                f"to {explicit.name(target)})"
            )
        yield into[0]


def _first_shape(integers: IntegerNetwork, connection: Connection) -> Shape:
    """The shape that the first layer takes: a map where it is a convolution, else a vector."""
    shape = integers.explicit.inputs[connection.source]
    return plane(shape) if isinstance(connection.map, ConvolutionMap) else (math.prod(shape),)


def _layer(
    integers: IntegerNetwork, connection: Connection, source_shape: Shape, bounds: dict[str, MembraneReach]
) -> ChainLayer:
    one, target = connection.map, connection.target
    names = [integers.explicit.name(node) for node in (connection.source, target)]
    convolves = isinstance(one, ConvolutionMap) and len(source_shape) == 3
    shape = plane(one.target_shape) if convolves else (math.prod(one.target_shape),)
    geometry, flattens = None, False
    if isinstance(one, ConvolutionMap) and convolves:
        weight, geometry = one.weight, Geometry(one.stride, one.padding, one.dilation, one.groups)
    else:
        weight, flattens = as_matrix(one, f"from {names[0]} to {names[1]}"), len(source_shape) == 3
        if not weight.any():
            raise ConfigurationError(
                f"all weights from {names[0]} to {names[1]} are zero as integers, which netx cannot scale"
            )
    weight = weight.astype(np.int8)
    if target in integers.outputs:
        _check_output(names[1], bounds[target])
        adds_up = bounds[target].current * integers.steps <= LIF.membrane
        return ChainLayer(names[1], shape, weight, geometry, flattens, None, NEVER, adds_up)
    population = integers.populations[target]
    bias = _bias(np.broadcast_to(population.bias, one.target_shape), shape)
    return ChainLayer(names[1], shape, weight, geometry, flattens, bias, int(population.threshold.flat[0]))


def _bias(values: Array, shape: Shape) -> Array:
    """Biases ``values`` of neurons as a layer of ``shape`` holds them: one a channel of a map where it has such."""
    values = values.reshape(shape)
    if len(shape) == 1:
        return values
    first = values[:, :1, :1]
    return first.reshape(-1) if bool((values == first).all()) else values


def _check_output(name: str, bound: MembraneReach) -> None:
    if bound.current > LIF.current:
        raise ConfigurationError(
            f"{name}: up to {bound.current} may arrive in one step, beyond the +-{LIF.current} that neurons of netx "
            "take; put a smaller layer in front of the output"
        )
