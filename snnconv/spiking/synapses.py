"""Synapses: how many connections each neuron drives, counted on the structure of the network, borders included."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch import Tensor

from snnconv.graph.affine_regions import Regions, resolved
from snnconv.graph.analysis import analysis_of
from snnconv.graph.graph import Graph, Node, Ref
from snnconv.graph.multiplications import multiplications
from snnconv.graph.operators import OPERATORS, Spread, carried
from snnconv.graph.operators.bilinear import operands
from snnconv.graph.reach import NotAProductError, Reach
from snnconv.kernels.neuron_weights import NeuronWeights

#: Elements and multiply-accumulates that counting by single spikes may evaluate in one network; seconds on one core.
PROBE_LIMIT = 4 * 10**9
_PROBE_BATCH = 64
#: What a call of an operator takes of that by itself.
_CALL = 10**4
_EVERY_AXIS = frozenset(range(-64, 0))


class FanOut(NamedTuple):
    """The fan-out of a source as weights of its spikes: to the next stations, and to weighted operators on the way."""

    whole: NeuronWeights
    by_layer: NeuronWeights

    @classmethod
    def of(cls, whole: Tensor, by_layer: Tensor) -> FanOut:
        """Those of tensors of one sample; one for both where they are alike."""
        found = NeuronWeights(whole)
        return cls(found, found if torch.equal(whole, by_layer) else NeuronWeights(by_layer))


@dataclass(frozen=True)
class Synapses:
    """Fan-out of every source of events by node: inputs, populations, gates and products; tensors of one sample.

    ``fan_out`` counts the structural non-zeros of the map to the next populations, gates, operands of products and
    outputs, and for what a pair of spikes adds to a product the elements that take it. ``bounds`` names the sources
    whose count is an upper bound, because several paths join the same pair of neurons, its targets are no products of
    sets (see ``reach``), and the map is too large to be probed. ``fan_out_by_layer`` counts each weighted operator on
    the way by itself. ``meetings`` counts, at products, the neurons of the other operand that a spike meets. ``macs``
    are the multiply-accumulates of the original network for one sample, ``input_macs`` those between the inputs and the
    first populations, ``analog_macs`` those that stay real-valued behind functions that are not affine,
    ``product_macs`` those of two signals. All others have become synapses.
    """

    fan_out: dict[str, Tensor]
    fan_out_by_layer: dict[str, Tensor]
    meetings: dict[str, Tensor]
    bounds: tuple[str, ...]
    macs: int
    input_macs: int
    analog_macs: int
    product_macs: int

    @cached_property
    def fan_outs(self) -> dict[str, FanOut]:
        """``fan_out`` and ``fan_out_by_layer`` as weights of spikes, by node."""
        return {node: FanOut.of(whole, self.fan_out_by_layer[node]) for node, whole in self.fan_out.items()}


def count_synapses(
    graph: Graph, populations: Mapping[str, Any], input_shapes: Mapping[str, tuple[int, ...]]
) -> Synapses:
    """Count the synapses of ``graph``; ``input_shapes`` with a batch of one."""
    regions = Regions(graph, set(populations), input_shapes)
    macs = multiplications(graph, input_shapes)
    with torch.enable_grad():
        leaves = {
            name: torch.ones(shape, dtype=torch.float64, requires_grad=True) for name, shape in regions.sources.items()
        }
        arrivals, layers, meetings = path_counts(regions, leaves)
        batched = graph.batch_axis == 0
        fan_out, by_layer, met = (
            _gradients(_total(counts), leaves, batched) for counts in (arrivals, layers, meetings)
        )
    bounds: list[str] = []
    with torch.no_grad():
        left = []
        for name in regions.sources:
            if not may_join(regions, name):
                continue
            try:
                fan_out[name] = count_products(regions, name)
            except NotAProductError:
                left.append(name)
        budget = float(PROBE_LIMIT)
        for cost, name in sorted((_probe_cost(regions, name, macs), name) for name in left):  # as many as possible
            if cost <= budget:
                fan_out[name] = probe(regions, name)
                budget -= cost
            else:
                bounds.append(name)
    analysis = analysis_of(graph)
    for name in regions.products:
        by_layer[name] = fan_out[name].ne(0).double()  # no weights follow: each pair that is used is an operation
    in_order = tuple(name for name in regions.sources if name in bounds)
    spiking = graph.behind(populations) | analysis.readout
    input_macs = sum(cost for name, cost in macs.items() if name not in spiking)
    analog_macs = sum(cost for name, cost in macs.items() if name in analysis.readout)
    product_macs = sum(cost for name, cost in macs.items() if name in regions.products)
    return Synapses(fan_out, by_layer, met, in_order, sum(macs.values()), input_macs, analog_macs, product_macs)


def _total(counts: Sequence[Tensor]) -> Tensor:
    return sum((count.sum() for count in counts), torch.zeros((), dtype=torch.float64))


def _gradients(total: Tensor, leaves: dict[str, Tensor], batched: bool) -> dict[str, Tensor]:
    if not total.requires_grad:
        return {
            name: torch.zeros(leaf.shape[1:] if batched else leaf.shape, dtype=torch.float64)
            for name, leaf in leaves.items()
        }
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


def path_counts(
    regions: Regions,
    leaves: Mapping[str, Tensor],
    only: set[str] | None = None,
    masks: Mapping[str, Tensor] | None = None,
) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
    """Path counts that arrive at stations and outputs, those at weighted operators, and pairs with one of each partner.

    ``only`` restricts the walk to these nodes. Without ``masks`` nothing is forbidden.
    """
    width = next(iter(leaves.values())).shape[0]
    values: dict[str, Any] = {**regions.constants(width, masks), **leaves}
    arrivals: list[Tensor] = []
    layers: list[Tensor] = []
    meetings: list[Tensor] = []
    walked = regions.signals if only is None else only

    def value_of(ref: Ref) -> Any:
        return values[ref.name] if ref.name in values else regions.no_events(ref.name, width)

    for node in regions.nodes:
        if node.name not in walked:
            continue
        arguments = resolved(node, value_of)
        if node.name in regions.stations:
            arrivals.extend(arguments[key] for key in regions.ends(node))
            if node.name in regions.products:
                meetings += _with_partners(node, arguments)
            continue
        operator = OPERATORS[node.op]
        values[node.name] = operator.paths(arguments, carried(node, regions.signals))
        if operator.weighted:
            layers.append(values[node.name])
        if node.name in regions.outputs:
            arrivals.append(values[node.name])
    return arrivals, layers, meetings


def _with_partners(node: Node, arguments: Mapping[str, Any]) -> list[Tensor]:
    """Pairs at a product if all neurons of one operand fire as counted, and those of the other once; either way."""
    slots = operands(node)
    ones = {key: torch.ones_like(arguments[key]) for key in slots}
    return [OPERATORS[node.op].evaluate({**ones, key: arguments[key]}) for key in slots]


def may_join(regions: Regions, source: str) -> bool:
    """Whether two paths could join ``source`` to one target neuron, judged by the operators on the way.

    They cannot if no branches meet again and what mixes behind the first operator that spreads mixes along another
    axis, as an adjacency and a weight matrix do: then where a path ends says which way it went.
    """
    mixed: dict[str, frozenset[int]] = {source: frozenset()}
    region = regions.behind(source)
    for node in regions.nodes:
        if node.name not in region:
            continue
        if node.name in regions.stations:
            continue
        arriving = [name for name in node.refs() if name in mixed and (name == source or name not in regions.stations)]
        if len(arriving) > 1:
            return True
        before = mixed[arriving[0]]
        old, new = regions.sample_shape(arriving[0]), regions.sample_shape(node.name)
        kind = OPERATORS[node.op].spread(node, old, new)
        axis = OPERATORS[node.op].mixed_axis(carried(node, set(arriving)))
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


def count_products(regions: Regions, source: str) -> Tensor:
    """Exact fan-out of every neuron of ``source`` where its targets are products of sets (see ``reach``)."""
    shape = regions.sources[source]
    reached: dict[str, Any] = {source: Reach.identity(shape)}
    constants = regions.constants()
    region = regions.behind(source)
    found = torch.zeros(shape, dtype=torch.float64)

    def value_of(ref: Ref) -> Any:
        if ref.name in reached:
            return reached[ref.name]
        return Reach(shape, regions.shape(ref.name)) if ref.name in regions.signals else constants[ref.name]

    for node in regions.nodes:
        if node.name not in region:
            continue
        arguments = resolved(node, value_of)
        if node.name in regions.stations:
            found += sum(arguments[key].fan_out() for key in regions.ends(node))
            continue
        reached[node.name] = OPERATORS[node.op].reach(arguments)
        if node.name in regions.outputs:
            found += reached[node.name].fan_out()
    return found[0] if regions.graph.batch_axis == 0 else found


def _probe_cost(regions: Regions, source: str, macs: Mapping[str, int]) -> float:
    """Elements and multiply-accumulates that ``probe`` evaluates, given those of each node for one sample."""
    costs = (math.prod(regions.shape(name)) + macs.get(name, 0) for name in regions.behind(source))
    if regions.graph.batch_axis is None:  # a spike a call, and each call of an operator takes its time
        costs = (cost + _CALL for cost in costs)
    return float(math.prod(regions.sources[source]) * sum(costs))


def probe(regions: Regions, source: str) -> Tensor:
    """Exact fan-out of every neuron of ``source`` by sending one spike at a time."""
    shape = regions.sources[source]
    count = math.prod(shape)
    region = regions.behind(source)
    found = torch.zeros(count, dtype=torch.float64)
    batched = regions.graph.batch_axis == 0
    for start in range(0, count, _PROBE_BATCH if batched else 1):
        width = min(_PROBE_BATCH, count - start) if batched else 1
        spikes = torch.zeros(width, count, dtype=torch.float64)
        spikes[torch.arange(width), torch.arange(start, start + width)] = 1.0
        alone = spikes.view(width, *shape[1:]) if batched else spikes.view(shape)
        arrivals, *_ = path_counts(regions, {source: alone}, only=region)
        for arrived in arrivals:
            found[start : start + width] += arrived.ne(0).reshape(width, -1).sum(1)
    return found.view(shape[1:] if batched else shape)
