"""Networks that integrate-and-fire simulators can run: rate code, unit spikes, all populations at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from coding.threshold import tie_tolerance
from hw_export.explicit.maps import Array, ConvolutionMap, LinearMap, Shape, SparseMap
from hw_export.explicit.network import Connection, ExplicitNetwork, check_converted, check_real_inputs, explicit
from hw_export.explicit.probing import MATRIX_LIMIT
from neurons import IntegrateFire
from snnconv.errors import ConfigurationError
from snnconv.graph.graph import Ref
from snnconv.graph.real_valued import readout_text
from snnconv.network import SpikingNetwork
from snnconv.spiking.population import Population

_REMEDY = "convert with coding=coding.Rate(steps) and schedule=coding.Concurrent(steps)"
#: Elements of the responses that are held at once.
_AT_ONCE = 2**22


@dataclass(frozen=True)
class RatePopulation:
    """Integrate-and-fire neurons with threshold 1 and unit spikes; ``scale`` broadcasts to the shape of one sample."""

    name: str
    shape: Shape
    reset: Literal["subtract", "zero"]
    initial_potential: float
    scale: Array


@dataclass(frozen=True)
class RateNetwork:
    """A network of ``populations``, by node in order of execution, with one analog input and one output.

    Currents are in units of the target's scale, so that every threshold is 1; the output has the units of the original
    network, and is the mean over time of what arrives at it.
    """

    explicit: ExplicitNetwork
    populations: dict[str, RatePopulation]
    input: str
    output: str
    steps: int

    @property
    def dtype(self) -> torch.dtype:
        """The network's precision."""
        return self.explicit.network.like.dtype

    @property
    def targets(self) -> tuple[str, ...]:
        """Populations and the output, in order of execution."""
        return (*self.populations, self.output)

    def into(self, target: str) -> list[Connection]:
        """Connections that end in ``target``."""
        return self.explicit.into(target)

    def current(self, target: str) -> Array:
        """The current that arrives at ``target`` at every step, in the shape of one sample."""
        return self.explicit.currents[target]


def strict_threshold(dtype: torch.dtype) -> float:
    """The number that a potential exceeds, in ``dtype``, if and only if it reaches the threshold 1."""
    one = torch.tensor(1.0 - tie_tolerance(dtype), dtype=dtype)
    return float(torch.nextafter(one, torch.zeros_like(one)))


def rate_network(network: SpikingNetwork, format: str) -> RateNetwork:
    """``network`` as integrate-and-fire simulators know it.

    Raises ``ConfigurationError`` for whatever else it holds, saying what ``format`` cannot represent, where, and what
    to do.
    """
    _check(network, format)
    found = explicit(network)
    reference = network.graph.output
    decoded = reference.name if isinstance(reference, Ref) else None
    if len(found.outputs) != 1 or found.outputs[0] not in (decoded, f"{decoded} decoded"):
        readout = readout_text(network.complete_graph())
        behind = f" (behind it run {readout}, in real numbers)" if readout else ""
        raise ConfigurationError(
            f"the output is more than one affine map of spikes{behind}, which {format} cannot represent; export a "
            "model that returns a single tensor, without softmax or another function behind its last layer"
        )
    populations = {node: _population(each, found) for node, each in found.populations.items()}
    steps = int(getattr(network.plan.schedule, "steps"))  # noqa: B009
    return RateNetwork(found, populations, next(iter(network.graph.inputs)), found.outputs[0], steps)


def _check(network: SpikingNetwork, format: str) -> None:
    check_converted(network)
    check_real_inputs(network)
    if network.batch_axis is None:
        raise ConfigurationError(
            f"{format} cannot represent a network that takes one sample per call, such as a graph network; "
            "convert a model whose first axis counts samples"
        )
    for product in network.execution_plan.products:
        node = network.graph.nodes[product]
        raise ConfigurationError(
            f"{format} cannot represent {product} ({node.source}), which multiplies two signals: it is "
            "simulation only; keep one factor constant, or move the product behind the last weights"
        )
    for ratio in network.execution_plan.ratios:
        node = network.graph.nodes[ratio]
        raise ConfigurationError(
            f"{format} cannot represent {ratio} ({node.source}), which divides one signal by another: it is simulation "
            "only; divide by a constant, or move the division behind the last weights"
        )
    for population in network.populations.values():
        if population.computes_function:
            raise ConfigurationError(
                f"{population.name}: {format} cannot represent {population.activation}, since its neurons look nothing "
                "up; use a piecewise linear function such as ReLU or hard sigmoid, or export to Lava, which gets tables"
            )
        if network.timing is not None:
            raise ConfigurationError(
                f"{population.name}: {format} cannot represent {population.code.name} code in a pipeline, since its "
                f"neurons all run at every step; {_REMEDY}"
            )
        neuron = population.neuron
        if not isinstance(neuron, IntegrateFire) or neuron.code.name != "rate":
            raise ConfigurationError(
                f"{population.name}: {format} cannot represent {type(neuron).__name__} neurons with "
                f"{population.code.name} code; it knows integrate-and-fire neurons with unit spikes; {_REMEDY}, "
                "neuron='integrate-fire', and relu instead of signed activations"
            )
    if network.plan.input.spiking:
        raise ConfigurationError(
            f"{format} cannot represent an input that spikes: its spikes are made outside the network; convert "
            "with the default input, a constant current"
        )
    for gate in network.execution_plan.gates:
        node = network.graph.nodes[gate]
        raise ConfigurationError(
            f"{format} cannot represent max pooling {gate} ({node.source}), as it has no neuron for it; use "
            "average pooling or a convolution with stride, and fine-tune"
        )
    if len(network.graph.inputs) != 1:
        raise ConfigurationError(
            f"{format} cannot represent a network with {len(network.graph.inputs)} inputs "
            f"({', '.join(network.graph.inputs)}), as its readers feed one; join them into one tensor in front of the "
            "model"
        )
    if len(network.input_shapes[0]) < 2:
        raise ConfigurationError(
            f"input {next(iter(network.graph.inputs))} has one number per sample, which {format} cannot represent; "
            "give it an axis of size 1"
        )
    if network.is_integer_simulation:
        raise ConfigurationError(
            f"{format} cannot represent an input that is rounded to integers; export the network that was quantised"
        )
    if network.like.dtype not in (torch.float32, torch.float64):
        raise ConfigurationError(f"{format} cannot represent a network in {network.like.dtype}; export network.float()")


def _population(population: Population, found: ExplicitNetwork) -> RatePopulation:
    neuron = population.neuron
    assert isinstance(neuron, IntegrateFire)
    shape = found.shapes[population.node]
    start = neuron.code.initial_potential if neuron.initial_potential is None else neuron.initial_potential
    scale = population.broadcast_scale(len(shape) + 1).cpu().double()
    each: Array = np.atleast_1d((scale[0] if scale.dim() > len(shape) else scale).numpy())
    return RatePopulation(population.name, shape, neuron.reset, float(start), each)


def as_matrix(one: LinearMap, between: str) -> Array:
    """The matrix ``[target neurons, source neurons]`` of a map, both flattened in C order.

    Raises ``ConfigurationError`` naming ``between`` where it would be too large.
    """
    sources, targets = int(np.prod(one.source_shape)), int(np.prod(one.target_shape))
    if sources * targets > MATRIX_LIMIT:
        raise ConfigurationError(
            f"the map {between} has to be written as a matrix of {targets} x {sources} neurons, which is too large; "
            "make it a convolution whose constant is the same at all positions of a channel"
        )
    if not isinstance(one, ConvolutionMap):
        return np.asarray(one.matrix.toarray() if isinstance(one, SparseMap) else one.weights, dtype=np.float64)
    matrix = np.empty((targets, sources))
    width = max(1, _AT_ONCE // (sources * one.weight.shape[2] * one.weight.shape[3]))
    for start in range(0, sources, width):
        stop = min(start + width, sources)
        events = np.zeros((stop - start, sources))
        events[np.arange(stop - start), np.arange(start, stop)] = 1.0
        matrix[:, start:stop] = one.apply(events.reshape(-1, *one.source_shape)).reshape(stop - start, targets).T
    return matrix
