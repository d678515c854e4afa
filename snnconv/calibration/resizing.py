"""A network for samples of another size than it was calibrated with: pictures, signals, sequences of tokens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

from snnconv.capture.capturing import captured
from snnconv.capture.output_populations import OUTPUT, output_as_spikes
from snnconv.data.batches import as_inputs
from snnconv.data.shapes import Shape
from snnconv.errors import ConfigurationError, InputError
from snnconv.graph.analysis import analysis_of
from snnconv.graph.graph import Graph
from snnconv.graph.operators.activation import activation_at
from snnconv.graph.sparse import is_sparse
from snnconv.network import SpikingNetwork
from snnconv.spiking.input_range import InputRange
from snnconv.spiking.population import Population
from snnconv.surroundings import own_surroundings

#: How much weights may differ, relative to the largest: captures fold them in double precision.
_ROUNDING = 1e-5


@own_surroundings()
def resized(
    network: SpikingNetwork,
    model: nn.Module | ExportedProgram,
    samples: Any,
    constants: Mapping[str, Tensor] | None = None,
) -> SpikingNetwork:
    """The same network for samples of another size: larger pictures, longer signals, sequences of another length.

    Operations and weights are those of ``network``, tuned or not; codes, scales, shifts and tables, one a channel, stay
    as they were calibrated. ``model`` is captured anew, since sizes may stand anywhere in its forward: masks and
    positions are those that it has for that size.

    Args:
        network: A network that was made from ``model``.
        model: The original.
        samples: A batch of the new size, or a tuple of inputs.
        constants: Arguments of forward that became constants, by name, as ``convert`` took them.

    Returns:
        A network of its own; ``network`` stays as it is.

    Raises:
        UnsupportedModelError: The model cannot be converted at this size.
        InputError: The model does not run on the samples.
        ConfigurationError: The model has other operations, activations, weights or constants than the network, or
            populations whose scales belong to a size; the network was tuned and has no weights for so many positions.

    Example:
        >>> filters = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 3))
        >>> small = snnconv.convert(filters, torch.rand(100, 1, 8, 8))
        >>> large = snnconv.resized(small, filters, torch.rand(2, 1, 32, 32))
    """
    before = network.complete_graph()
    analog = analysis_of(before).analog_operations
    try:
        found = captured(model, as_inputs(samples, "samples"), "samples", constants, analog)
    except InputError as error:
        given = ", ".join(str([*shape]) for shape in (before.front or before).inputs.values())
        raise InputError(
            f"{error}; the network takes {given}. A model takes other sizes where its forward does, and no more "
            "positions than it learned"
        ) from error
    graph = found.graph
    if any(node.op == OUTPUT for node in network.graph.nodes.values()):
        graph = output_as_spikes(graph, found.example)
    _check_operations(network.graph, graph)
    front = graph.front
    whole = model.state_dict if isinstance(model, ExportedProgram) else model.state_dict(keep_vars=True)
    if front is not None and before.front is not None:
        front = replace(front, constants=_constants(network, before.front, front, whole))
    graph = replace(graph, constants=_constants(network, before, graph, whole), front=front)
    populations = {node: _resized(population, graph) for node, population in network.populations.items()}
    shapes = [*graph.inputs.values()]
    ranges = [_range(network, *each) for each in zip(network.input_ranges, shapes, strict=True)]
    return network.with_(graph=graph, populations=populations, input_shapes=shapes, input_ranges=ranges, held_out=())


def _check_operations(before: Graph, after: Graph) -> None:
    """Raise ``ConfigurationError`` unless both graphs have the same operations by name."""
    for own, other in ((before, after), (after, before)):
        for node in own.nodes.values():
            if other.nodes.get(node.name) is None or other.nodes[node.name].op != node.op:
                raise ConfigurationError(
                    f"the model computes something else at this size: {node.op} ({node.source}) is not in both; "
                    "convert it with samples of that size"
                )


def _constants(network: SpikingNetwork, before: Graph, after: Graph, whole: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The constants of ``after`` where the network is and in its precision, with those of ``before`` that it shares.

    Weights of a network that was tuned differ from the model's. Another size may have what is no weight, and what the
    model makes of its ``whole`` weights for a size, such as the positions of a sequence.
    """
    found = {}
    for name, tensor in after.constants.items():
        weights, own = name in after.parameters, before.constants.get(name)
        tensor = tensor.to(network.like.device, network.like.dtype if tensor.is_floating_point() else tensor.dtype)
        if own is None or (own.shape != tensor.shape and not (weights and (name in whole or network.tuned))):
            found[name] = tensor
            continue
        if own.shape != tensor.shape and name not in whole:
            found[name] = _tuned_part(name, own, tensor)
            continue
        if own.shape != tensor.shape or not ((network.tuned and weights) or _alike(own, tensor)):
            what = "weights" if weights else "constants"
            raise ConfigurationError(f"the {what} {name} of the model are not those of the network")
        found[name] = own
    return found


def _tuned_part(name: str, own: Tensor, wanted: Tensor) -> Tensor:
    """The first places of tuned weights, as many as ``wanted`` has; the model's own have no part in them."""
    if own.dim() != wanted.dim() or any(new > old for new, old in zip(wanted.shape, own.shape, strict=True)):
        raise ConfigurationError(
            f"the network was tuned, and its weights {name} have the shape {list(own.shape)}; the model has "
            f"{list(wanted.shape)} at this size: make the network that size first, and tune it there"
        )
    return own[tuple(slice(size) for size in wanted.shape)]


def _range(network: SpikingNetwork, seen: InputRange, shape: Shape) -> InputRange:
    """The range of an input of this ``shape``: that of all its values where axis 1 holds no channels but positions."""
    channels = seen.low.numel()
    if channels == 1 or shape[1] == channels:
        return seen
    if network.plan.input.spiking:
        raise ConfigurationError(
            f"a spiking input has a range for each of {channels} places of axis 1, and {shape[1]} at this size: "
            'convert the model with samples of that size, or with input="real"'
        )
    return InputRange(seen.low.amin().reshape(1), seen.high.amax().reshape(1))


def _alike(own: Tensor, other: Tensor) -> bool:
    if is_sparse(own):
        own, other = own.to_dense(), other.to_dense()
    if not own.is_floating_point() or not own.numel():
        return torch.equal(own, other)
    return bool((own - other).abs().max() <= _ROUNDING * own.abs().max())


def _resized(population: Population, graph: Graph) -> Population:
    node = graph.nodes[population.node]
    shape = node.shape
    assert shape is not None
    own = shape[1:] if graph.batch_axis == 0 else shape
    axis = population.channel_axis
    if activation_at(node).activation(node.arguments) != population.activation:
        raise ConfigurationError(f"the model has another activation than the network at {population.name}")
    if axis is not None and shape[axis] != len(population.scale):
        raise ConfigurationError(
            f"{population.name} has scales for {len(population.scale)} channels and {shape[axis]} at this size: "
            "convert the model with samples of that size, or with normalization='layer', one scale for all"
        )
    return replace(population, shape=own)
