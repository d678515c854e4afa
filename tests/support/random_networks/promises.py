"""What every converted network keeps, as checks of one network that is given as a small script."""

from __future__ import annotations

import contextlib
import math
import tempfile
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

import snnconv
from coding import Code, FewSpike, Pipeline
from snnconv import SpikingNetwork
from snnconv.graph.affine_regions import Regions
from snnconv.graph.interpreter import Handler, evaluate_graph
from snnconv.graph.operators import OPERATORS, Operator
from snnconv.graph.reach import NotAProductError
from snnconv.spiking.synapses import count_products, probe
from tests.support.pipelines import assert_simulators_agree
from tests.support.random_networks.script import Script

#: Samples that networks are compared on.
_SAMPLES = 12
#: Operators whose products torch's own counter of operations knows.
_COUNTED_BY_TORCH = {"conv1d", "conv2d", "conv3d", "linear", "matmul", "mm", "bmm"}


class Specimen:
    """One script with what becomes of it, each made when it is first asked for."""

    def __init__(self, script: Script, code: Code | None = None) -> None:
        self.script, self.code = script, code or FewSpike(6, 1.5, 2)
        self.model = script.module()
        self.inputs = script.samples(_SAMPLES)

    @cached_property
    def network(self) -> SpikingNetwork:
        """The spiking network in a pipeline; scales below the maximum keep values off the levels of the code."""
        given = self.inputs[0] if len(self.inputs) == 1 else (self.inputs, torch.zeros(_SAMPLES))
        options: dict[str, Any] = {"percentile": 99.0, "bias_correction": False}
        return snnconv.convert(self.model, given, coding=self.code, schedule=Pipeline(), **options)

    def expected(self, inputs: tuple[Tensor, ...]) -> Any:
        """What the model computes."""
        with torch.no_grad():
            return self.model(*inputs)


def _assert_close(found: Any, expected: Any, what: str) -> None:
    leaves, wanted = tree_leaves(found), tree_leaves(expected)
    assert len(leaves) == len(wanted), what
    for one, other in zip(leaves, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9, msg=lambda text: f"{what}: {text}")


def graph_is_the_model(specimen: Specimen) -> None:
    """The graph in normal form computes what the model computes, for batches of any size."""
    for size in (1, 2, 5):
        inputs = specimen.script.samples(size, seed=size)
        _assert_close(specimen.network.reference(*inputs), specimen.expected(inputs), f"a batch of {size}")


def samples_stay_apart(specimen: Specimen) -> None:
    """A sample's spikes and output are the same whatever stands beside it, and by itself."""
    whole = specimen.network(*specimen.inputs)
    others = specimen.script.samples(5, seed=1)
    changed = tuple(torch.cat([x[:1], other, x[:1]]) for x, other in zip(specimen.inputs, others, strict=True))
    beside = specimen.network(*changed)
    alone = specimen.network(*(x[:1] for x in specimen.inputs))
    for one, two, three in zip(*map(tree_leaves, (whole, beside, alone)), strict=True):
        _assert_close(two[[0, -1]], torch.cat([one[:1], one[:1]]), "beside other samples")
        _assert_close(three, one[:1], "a batch of one")


def simulators_agree(specimen: Specimen) -> None:
    """The closed form of windows fires the clock's spikes."""
    inputs = specimen.inputs if len(specimen.inputs) > 1 else specimen.inputs[0]
    assert_simulators_agree(specimen.network, inputs)


def files_keep_the_network(specimen: Specimen) -> None:
    """A network that was saved and loaded gives the same output, bit for bit."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.snn"
        specimen.network.save(path)
        loaded = snnconv.load(path)
    found, expected = loaded(*specimen.inputs), specimen.network(*specimen.inputs)
    for one, other in zip(tree_leaves(found), tree_leaves(expected), strict=True):
        assert torch.equal(one, other), "output after loading"


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
                found.append(arguments["self"])
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


def macs_are_those_of_torch(specimen: Specimen) -> None:
    """Multiply-accumulates are half the operations that torch counts, where it counts all of them."""
    graph = specimen.network.complete_graph()
    multiplying = {node.op for node in graph.nodes.values() if type(OPERATORS[node.op]).macs is not Operator.macs}
    if not multiplying <= _COUNTED_BY_TORCH:
        return
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        specimen.model(*(x[:1] for x in specimen.inputs))
    found = specimen.network.synapses.macs
    assert 2 * found == counter.get_total_flops(), f"{found} MACs, {counter.get_total_flops()} operations"


#: Everything that a converted network keeps, by what a failure is called.
PROMISES: dict[str, Callable[[Specimen], None]] = {
    "the graph is the model": graph_is_the_model,
    "samples stay apart": samples_stay_apart,
    "the simulators agree": simulators_agree,
    "files keep the network": files_keep_the_network,
    "fan-out is the Jacobian": fan_out_is_the_jacobian,
    "MACs are those of torch": macs_are_those_of_torch,
}
