"""What is known of a network's structure: what it computes, what it is connected to, what it multiplies."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from snnconv import SpikingNetwork
from snnconv.graph.affine_regions import Regions
from snnconv.graph.interpreter import Handler, evaluate_graph
from snnconv.graph.operators import OPERATORS, Operator
from snnconv.graph.reach import NotAProductError
from snnconv.spiking.synapses import count_products, probe
from tests.properties.registry import assert_close, holds
from tests.support.random_networks.specimen import Specimen

#: Operators whose products torch's own counter of operations knows.
_COUNTED_BY_TORCH = {"conv1d", "conv2d", "conv3d", "linear", "matmul", "mm", "bmm"}


@holds("the graph is the model")
def graph_is_the_model(specimen: Specimen) -> None:
    """The graph in normal form computes what the model computes, for batches of any size."""
    for size in (1, 2, 5):
        inputs = specimen.script.samples(size, seed=size)
        assert_close(specimen.network.reference(*inputs), specimen.expected(inputs), f"a batch of {size}")


@holds("fan-out is the Jacobian")
def fan_out_is_the_jacobian(specimen: Specimen) -> None:
    """Every source of events drives as many targets as its column of the Jacobian has entries that are not zero.

    Only where the network names the count as a bound it may be larger. Both exact ways of counting are held to it, the
    one that the network did not need too.
    """
    network = specimen.network
    regions, synapses = _regions(network), network.synapses
    for name, entries in _connections(network, regions):
        counted = {"counted": synapses.fan_out[name], "by single spikes": probe(regions, name)}
        with contextlib.suppress(NotAProductError):
            counted["by products of sets"] = count_products(regions, name)
        for how, count in counted.items():
            kept = count >= entries if how == "counted" and name in synapses.bounds else count == entries
            assert bool(kept.all()), f"{name}, {how}: {count.tolist()} targets, not {entries.tolist()}"


def _regions(network: SpikingNetwork) -> Regions:
    graph = network.complete_graph()
    shapes = {name: (1, *shape[1:]) for name, shape in zip(graph.inputs, network.input_shapes, strict=True)}
    return Regions(graph, set(network.populations), shapes)


def _connections(network: SpikingNetwork, regions: Regions) -> Iterator[tuple[str, Tensor]]:
    """For every source of events, how many values further on each of its neurons changes, up to the next neurons.

    What lies between is affine, so that a column of the Jacobian is the difference that a single event makes.
    """
    graph = network.complete_graph()

    def arrivals(events: Mapping[str, Tensor]) -> list[Tensor]:
        found: list[Tensor] = []

        def station(name: str) -> Handler:
            def handle(arguments: Mapping[str, Any]) -> Tensor:
                found.extend(arguments[key] for key in regions.ends(graph.nodes[name]))
                return events[name]

            return handle

        handlers = {name: station(name) for name in regions.stations}
        _, values = evaluate_graph(graph, [events[name] for name in graph.inputs], regions.outputs, handlers)
        return [*found, *(values[name] for name in sorted(regions.outputs))]

    for source, shape in regions.sources.items():
        size = math.prod(shape[1:])
        silence = {
            name: torch.zeros(1 + size, *each[1:], dtype=torch.float64) for name, each in regions.sources.items()
        }
        single = torch.cat([torch.zeros(1, size), torch.eye(size)]).double().view(1 + size, *shape[1:])
        changed = [(each[1:] - each[:1]).abs() > 1e-9 for each in arrivals({**silence, source: single})]
        counts = sum((each.reshape(size, -1).sum(1) for each in changed), torch.zeros(size))
        yield source, counts.double().view(shape[1:])


def _all_counted_by_torch(specimen: Specimen) -> bool:
    nodes = specimen.network.complete_graph().nodes.values()
    return {node.op for node in nodes if type(OPERATORS[node.op]).macs is not Operator.macs} <= _COUNTED_BY_TORCH


@holds("MACs are those of torch", _all_counted_by_torch)
def macs_are_those_of_torch(specimen: Specimen) -> None:
    """Multiply-accumulates are half the operations that torch counts, where it counts all of them."""
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        specimen.model(*(x[:1] for x in specimen.inputs))
    found = specimen.network.synapses.macs
    assert 2 * found == counter.get_total_flops(), f"{found} MACs, {counter.get_total_flops()} operations"
