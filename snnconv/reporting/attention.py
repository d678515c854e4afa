"""Attention maps: what every query of an attention gives to every key, in spikes and in the original."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from snnconv.data.batches import Inputs
from snnconv.graph.attention_parts import attention_parts
from snnconv.graph.graph import Graph
from snnconv.graph.interpreter import evaluate_graph
from snnconv.simulators.recorders import PayloadSums
from snnconv.simulators.simulator import Simulator

#: Queries and keys that a map has at most; more are taken together as means.
MOST_TOKENS = 24
#: Maps that are shown at most, of all heads and layers.
MOST_MAPS = 16
#: Operators that take the largest score of a query.
_LARGEST = ("amax", "masked_amax")


@dataclass(frozen=True)
class AttentionMap:
    """Weights ``[queries, keys]`` of one head for one sample, each query's adding up to 1, of both networks.

    ``tokens`` are the queries and keys before neighbours were taken together.
    """

    name: str
    head: int
    spiking: Tensor
    original: Tensor
    tokens: tuple[int, int]


def attention_nodes(graph: Graph) -> dict[str, int]:
    """Nodes whose values are the weights of an attention before they are divided by their sum, with its axis."""
    parts = attention_parts(graph)
    found = {}
    for node, part in parts.items():
        if part != "exp" or len(graph.nodes[node].shape or ()) < 3:
            continue
        axis = _axis(graph, node)
        if axis is not None and axis % len(graph.nodes[node].shape or ()) >= len(graph.nodes[node].shape or ()) - 2:
            found[node] = axis
    return found


def _axis(graph: Graph, node: str) -> int | None:
    """The axis along which the softmax behind ``node`` adds up to 1."""
    pending, seen = [*graph.nodes[node].refs()], set[str]()
    while pending:
        name = pending.pop()
        if name in seen or name not in graph.nodes:
            continue
        seen.add(name)
        before = graph.nodes[name]
        if before.op in _LARGEST:
            (axis,) = before.arguments["dim"]
            return int(axis)
        if len(seen) < 8:
            pending.extend(before.refs())
    return None


def attention_maps(simulator: Simulator, inputs: Inputs) -> tuple[AttentionMap, ...]:
    """The maps of the first of the samples ``inputs``, as the graph takes them; none for a network without attention.

    Layers and heads are chosen evenly where there are more than can be shown.
    """
    network = simulator.network
    graph = network.complete_graph()
    nodes = attention_nodes(graph)
    if not nodes or network.batch_axis is None:
        return ()
    first = tuple(tensor[:1] for tensor in inputs)
    sums = PayloadSums([*nodes])
    simulator.run(first, [sums])
    with torch.no_grad():
        _, exact = evaluate_graph(graph, first, keep=[*nodes])
    found = []
    for node, axis in nodes.items():
        population = network.populations[node]
        scale = population.broadcast_scale(exact[node].dim())
        value = network.decoded(node, sums.payloads[node], simulator.steps) * scale
        both = [_weights(each, axis) for each in (value, exact[node])]
        found += [(population.name, head, both[0][head], both[1][head]) for head in range(len(both[0]))]
    step = -(-len(found) // MOST_MAPS)
    return tuple(
        AttentionMap(name, head, _fewer(spiking), _fewer(original), (original.shape[0], original.shape[1]))
        for name, head, spiking, original in found[::step]
    )


def _weights(values: Tensor, axis: int) -> Tensor:
    """Weights ``[heads, queries, keys]`` of the one sample in ``values``; 0 where nothing of a query fired."""
    weights = values / values.sum(axis, keepdim=True).clamp(min=torch.finfo(values.dtype).tiny)
    if axis % values.dim() == values.dim() - 2:
        weights = weights.transpose(-2, -1)
    return weights.reshape(-1, *weights.shape[-2:]).double().cpu()


def _fewer(weights: Tensor) -> Tensor:
    """``weights`` of at most so many queries and keys: means over neighbouring queries, sums over neighbouring keys."""
    blocks = [-(-size // MOST_TOKENS) for size in weights.shape]
    sums = _block_sums(_block_sums(weights, blocks[0]).T, blocks[1]).T
    return sums / _block_sums(torch.ones_like(weights[:, :1]), blocks[0])


def _block_sums(values: Tensor, size: int) -> Tensor:
    """Sums of ``size`` rows each; the last may be of fewer."""
    missing = -len(values) % size
    return F.pad(values, (0, 0, 0, missing)).reshape(-1, size, values.shape[1]).sum(1)
