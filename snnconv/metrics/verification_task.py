"""The verification of one shard of a data set, in any process."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from snnconv.data.batches import Inputs
from snnconv.data.shards import Shard
from snnconv.graph.graph import Graph
from snnconv.graph.interpreter import Handler, evaluate_graph
from snnconv.graph.operators.activation import activation_at
from snnconv.metrics.calibrated_range import CalibratedRange, LeftRanges
from snnconv.metrics.error_sums import ErrorSums, VerificationSums
from snnconv.metrics.verification_result import Verification, verification_of
from snnconv.network import SpikingNetwork
from snnconv.simulators import simulator_for
from snnconv.simulators.recorders import PayloadSums
from snnconv.spiking.base import NetworkBase
from snnconv.spiking.population import Population
from snnconv.storage.carried import Carried


@dataclass(frozen=True)
class VerificationTally:
    """What was found on some shards, and how far they left the ranges of calibration."""

    verification: Verification
    left: LeftRanges

    def merge(self, other: VerificationTally) -> VerificationTally:
        """Both together. Raises ``InputError`` where they do not belong to one verification."""
        return VerificationTally(self.verification.merge(other.verification), self.left.merge(other.left))


@dataclass(frozen=True)
class VerificationTask:
    """What ``verify`` does with a shard, by its arguments: see there.

    ``entered`` says that inputs are as the graph takes them.
    """

    network: SpikingNetwork
    steps: int | None = None
    seed: int = 0
    entered: bool = False

    def settled(self, first: Shard) -> VerificationTask:
        """The same task for all shards."""
        return self

    def __call__(self, shard: Shard, finished: Callable[[int], object] | None = None) -> VerificationTally:
        """The errors on ``shard``; ``finished`` is told of samples as they end."""
        network, decoded = self.network, PayloadSums(self.network.populations)
        inputs = shard.inputs if self.entered else network.check(shard.inputs, "data")
        calibrated = CalibratedRange(network)
        calibrated.see(inputs)
        simulator = simulator_for(network, steps=self.steps, seed=self.seed)
        output, lengths = simulator.run(inputs, [decoded, calibrated], finished, shard.before)
        graph = network.complete_graph()
        wanted, values = evaluate_graph(graph, inputs, keep=network.populations)
        populations, found_values = {}, {}
        for node, population in network.populations.items():
            scale = population.broadcast_scale(values[node].dim())
            value = network.decoded(node, decoded.payloads[node], simulator.steps) * scale
            found_values[node] = value
            populations[population.name] = _sums(population, values[node], value, scale)
        own = _own_sums(network, graph, inputs, found_values)
        populations = {name: sums.merge(own[name]) for name, sums in populations.items()}
        sums = VerificationSums(lengths.numel(), populations, _output_sums(output, wanted))
        looked_up = frozenset(each.name for each in network.populations.values() if each.tables is not None)
        limited = frozenset(each.name for each in network.populations.values() if each.code.limit is not None)
        found = verification_of(simulator.steps, sums, network.timing is not None, looked_up, limited)
        return VerificationTally(found, calibrated.left)

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "network": Carried(self.network)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)


def output_error(network: SpikingNetwork, inputs: Inputs) -> float:
    """The error of the output alone, as a verification finds it, of ``inputs`` as the graph takes them."""
    output, _ = simulator_for(network, seed=0).run(inputs, [])
    with torch.no_grad():
        wanted, _ = evaluate_graph(network.complete_graph(), inputs)
    return _output_sums(output, wanted).relative


def _sums(population: Population, wanted: Tensor, found: Tensor, scale: Tensor) -> ErrorSums:
    difference = (found - wanted).double()
    largest = scale * (population.largest * (1 + 1e-6))
    exact = wanted.double()
    return ErrorSums(
        error2=float(difference.square().sum()),
        norm2=float(exact.square().sum()),
        difference=float(difference.sum()),
        magnitude=float(exact.abs().sum()),
        saturated=int((population.coded_size(wanted) > largest).sum()),
        spurious=int(((wanted == 0) & (found != 0)).sum()),
        inactive=int((wanted == 0).sum()),
        total=wanted.numel(),
    )


def _own_sums(
    network: NetworkBase, graph: Graph, inputs: Inputs, decoded: Mapping[str, Tensor]
) -> dict[str, ErrorSums]:
    """What every population adds itself: it receives what those before it said, as ``decoded``."""
    found: dict[str, ErrorSums] = {}

    def heard(node: str, population: Population) -> Handler:
        operator = activation_at(graph.nodes[node])

        def compare(arguments: Mapping[str, Any]) -> Tensor:
            current, said = operator.current(arguments), decoded[node]
            received = current + population.broadcast(population.shift, current.dim())
            wanted = population.activation(received)
            sizes = population.sizes(received, wanted)
            largest = population.broadcast_scale(current.dim()) * (population.largest * (1 + 1e-6))
            squared, cut = (said - wanted).double().square(), sizes > largest
            above = (said.abs() > wanted.abs()) & ~cut
            found[population.name] = ErrorSums(
                own2=float(squared.sum()),
                received2=float(wanted.double().square().sum()),
                cut2=float((squared * cut).sum()),
                above2=float((squared * above).sum()),
            )
            return said

        return compare

    with torch.no_grad():
        evaluate_graph(graph, inputs, handlers={node: heard(node, p) for node, p in network.populations.items()})
    return found


def _output_sums(found: Any, wanted: Any) -> ErrorSums:
    """Of all real outputs; where there are none, of decisions as vectors of zeros with a one each."""
    leaves = zip(tree_leaves(found), tree_leaves(wanted), strict=True)
    pairs = [(mine, theirs) for mine, theirs in leaves if isinstance(theirs, Tensor)]
    real = [(mine.double(), theirs.double()) for mine, theirs in pairs if theirs.is_floating_point()]
    whole = ErrorSums()
    for mine, theirs in real:
        whole = whole.merge(ErrorSums(float(((mine - theirs) ** 2).sum()), float((theirs**2).sum())))
    for mine, theirs in [] if real else pairs:
        whole = whole.merge(ErrorSums(2.0 * int((mine != theirs).sum()), float(theirs.numel())))
    return whole
