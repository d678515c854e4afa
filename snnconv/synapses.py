"""Synapses: how many connections each neuron drives, counted on the structure of the network, borders included."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from snnconv.graph import Graph, Node, Ref, map_refs, refs_in
from snnconv.operators import OPERATORS, Role, Spread, carried
from snnconv.operators.pooling import MaximumOperator
from snnconv.preflight import classify

#: Elements that exact counting by single spikes may evaluate for one population before an upper bound is given instead.
PROBE_LIMIT = 2 * 10**10
_PROBE_BATCH = 64
_EVERY_AXIS = frozenset(range(-64, 0))


@dataclass(frozen=True)
class Synapses:
    """Fan-out of every source of events: inputs, populations and max-pooling gates, by node; tensors of one sample.

    ``fan_out`` counts the structural non-zeros of the map to the next populations, gates and outputs. ``bounds`` names
    the sources whose count is an upper bound, because several paths join the same pair of neurons and the map is too
    large to be probed. ``fan_out_by_layer`` counts each weighted operator on the way by itself. ``macs`` are the
    multiply-accumulates of the original network for one sample, ``input_macs`` those between the inputs and the first
    populations.
    """

    fan_out: dict[str, Tensor]
    fan_out_by_layer: dict[str, Tensor]
    bounds: tuple[str, ...]
    macs: int
    input_macs: int


def count_synapses(
    graph: Graph, populations: Mapping[str, Any], input_shapes: Mapping[str, tuple[int, ...]]
) -> Synapses:
    """Count the synapses of ``graph``; ``input_shapes`` with a batch of one."""
    walk = _Walk(graph, set(populations), input_shapes)
    with torch.enable_grad():
        leaves = {
            name: torch.ones(shape, dtype=torch.float64, requires_grad=True) for name, shape in walk.sources.items()
        }
        arrivals, layers, macs = walk.run(leaves)
        batched = graph.batch_axis == 0
        fan_out = _gradients(sum((a.sum() for a in arrivals), torch.zeros(())), leaves, batched)
        by_layer = _gradients(sum((layer.sum() for layer in layers), torch.zeros(())), leaves, batched)
    bounds = []
    with torch.no_grad():
        for name in walk.sources:
            if walk.may_join(name):
                exact = walk.probe(name)
                if exact is None:
                    bounds.append(name)
                else:
                    fan_out[name] = exact
    behind_spikes = set(populations)
    for node in walk.nodes:
        if any(name in behind_spikes for name in node.refs()):
            behind_spikes.add(node.name)
    input_macs = sum(cost for name, cost in macs.items() if name not in behind_spikes)
    return Synapses(fan_out, by_layer, tuple(bounds), sum(macs.values()), input_macs)


def _gradients(total: Tensor, leaves: dict[str, Tensor], batched: bool) -> dict[str, Tensor]:
    if not total.requires_grad:
        return {name: torch.zeros(leaf.shape[1:] if batched else leaf.shape) for name, leaf in leaves.items()}
    found = torch.autograd.grad(total, list(leaves.values()), retain_graph=True, allow_unused=True)
    whole = (
        torch.zeros_like(leaf) if gradient is None else gradient
        for leaf, gradient in zip(leaves.values(), found, strict=True)
    )
    return {name: values[0] if batched else values for name, values in zip(leaves, whole, strict=True)}


def _differ_along(axis: int, one: tuple[int, ...], other: tuple[int, ...]) -> bool:
    """Whether two shapes are alike but for the length of one axis, counted from the end."""
    same = [a == b for a, b in zip(one, other, strict=False)]
    return len(one) == len(other) >= -axis and all(same[:axis] + same[len(one) + axis + 1 :])


class _Walk:
    """Evaluates path counts through the affine regions, each source of events standing for itself."""

    def __init__(self, graph: Graph, populations: set[str], input_shapes: Mapping[str, tuple[int, ...]]) -> None:
        self.graph, self.inputs = graph, input_shapes
        self.signals = graph.signals()
        self.nodes: list[Node] = []
        self.sources: dict[str, tuple[int, ...]] = dict(input_shapes)
        self.stations = set(populations)
        self.readout: set[str] = set()
        for node in graph.nodes.values():
            role = classify(node, self.signals).role
            if role is Role.READOUT or any(name in self.readout for name in node.refs()):
                self.readout.add(node.name)
                continue
            self.nodes.append(node)
            is_gate = isinstance(OPERATORS[node.op], MaximumOperator) and node.name in self.signals
            if node.name in populations or is_gate:
                self.stations.add(node.name)
                assert node.shape is not None
                self.sources[node.name] = (1, *node.shape[1:]) if graph.batch_axis == 0 else node.shape
        decoded = {name for node in graph.nodes.values() if node.name in self.readout for name in node.refs()}
        decoded |= set(refs_in(graph.output))
        self.outputs = decoded & {node.name for node in self.nodes} & self.signals - set(self.sources)

    def run(
        self, leaves: Mapping[str, Tensor], only: set[str] | None = None
    ) -> tuple[list[Tensor], list[Tensor], dict[str, int]]:
        """Path counts that arrive at populations, gates and outputs; those at weighted operators; MACs by node.

        ``only`` restricts the walk to these nodes and to what carries no signal.
        """
        constants = {name: t.double() if t.is_floating_point() else t for name, t in self.graph.constants.items()}
        values: dict[str, Any] = {**constants, **leaves}
        arrivals: list[Tensor] = []
        layers: list[Tensor] = []
        macs: dict[str, int] = {}
        signals = self.signals if only is None else only
        width = next(iter(leaves.values())).shape[0]

        def value_of(ref: Ref) -> Any:
            if ref.name in values:
                return values[ref.name]
            shape = self.graph.nodes[ref.name].shape  # a signal from outside the region walked
            return torch.zeros(width, *(shape or ())[1:], dtype=torch.float64)

        for node in self.nodes:
            if node.name in self.signals and node.name not in signals:
                continue
            arguments = {key: map_refs(value, value_of) for key, value in node.arguments.items()}
            if node.name in self.stations:
                arrivals.append(arguments["self"])
                continue
            operator = OPERATORS[node.op]
            if node.name not in self.signals:
                values[node.name] = operator.evaluate(arguments)
                continue
            carries = carried(node, self.signals)
            values[node.name] = operator.paths(arguments, carries)
            cost = operator.macs(arguments, carries, values[node.name])
            if cost:
                macs[node.name] = cost
                layers.append(values[node.name])
            if node.name in self.outputs:
                arrivals.append(values[node.name])
        return arrivals, layers, macs

    def region(self, source: str) -> set[str]:
        """Nodes that the events of ``source`` reach, up to and with the next populations, gates and outputs."""
        reached = {source}
        for node in self.nodes:
            passes = any(name in reached and (name == source or name not in self.stations) for name in node.refs())
            if passes and node.name in self.signals:
                reached.add(node.name)
        return reached - {source}

    def may_join(self, source: str) -> bool:
        """Whether two paths could join ``source`` to one target neuron, judged by the operators on the way.

        They cannot if no branches meet again and what mixes behind the first operator that spreads mixes along another
        axis, as an adjacency and a weight matrix do: then where a path ends says which way it went.
        """
        mixed: dict[str, frozenset[int]] = {source: frozenset()}
        region = self.region(source)
        for node in self.nodes:
            if node.name not in region:
                continue
            arriving = [name for name in node.refs() if name in mixed and (name == source or name not in self.stations)]
            if len(arriving) > 1:
                return True
            if node.name in self.stations:
                continue
            before = mixed[arriving[0]]
            old, new = self._sample_shape(arriving[0]), self._sample_shape(node.name)
            kind = OPERATORS[node.op].spread(node, old, new)
            axis = OPERATORS[node.op].mixed_axis(carried(node, self.signals))
            if kind is Spread.ELEMENTWISE:
                mixed[node.name] = before
            elif kind is Spread.ONE_TO_ONE:
                mixed[node.name] = _EVERY_AXIS if before else before
            elif axis is not None and _differ_along(axis, old, new):
                if axis in before:
                    return True
                mixed[node.name] = before | {axis}
            elif before:
                return True
            else:
                mixed[node.name] = _EVERY_AXIS if kind is Spread.ONE_TO_MANY else before
        return False

    def _sample_shape(self, name: str) -> tuple[int, ...]:
        shape = self.graph.nodes[name].shape if name in self.graph.nodes else self.inputs[name]
        return (shape or ())[1:] if self.graph.batch_axis == 0 else shape or ()

    def probe(self, source: str) -> Tensor | None:
        """Exact fan-out of every neuron of ``source`` by sending one spike at a time; ``None`` if that is too much."""
        shape = self.sources[source]
        count = int(torch.Size(shape).numel())
        region = self.region(source)
        sizes = {node.name: int(torch.Size(node.shape or ()).numel()) for node in self.nodes}
        if self.graph.batch_axis is None or count * sum(sizes[name] for name in region) > PROBE_LIMIT:
            return None
        found = torch.zeros(count, dtype=torch.float64)
        for start in range(0, count, _PROBE_BATCH):
            width = min(_PROBE_BATCH, count - start)
            spikes = torch.zeros(width, count, dtype=torch.float64)
            spikes[torch.arange(width), torch.arange(start, start + width)] = 1.0
            leaves: dict[str, Tensor] = {
                name: torch.zeros(width, *s[1:], dtype=torch.float64) for name, s in self.sources.items()
            }
            leaves[source] = spikes.view(width, *shape[1:])
            arrivals, _, _ = self.run(leaves, only=region)
            found[start : start + width] = torch.stack([a.ne(0).flatten(1).sum(1) for a in arrivals]).sum(0).double()
        return found.view(shape[1:])
