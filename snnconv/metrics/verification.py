"""verify(): how far each population's decoded spikes are from the activation they stand for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from snnconv.data.batches import Inputs, batches
from snnconv.data.passage import Passage
from snnconv.errors import InputError
from snnconv.graph.graph import Graph
from snnconv.graph.interpreter import Handler, evaluate_graph
from snnconv.graph.operators.activation import activation_at
from snnconv.metrics.error_sums import ErrorSums, PopulationError, VerificationSums
from snnconv.metrics.reading import Reading, read
from snnconv.metrics.totals import check_alike
from snnconv.network import SpikingNetwork
from snnconv.progress import ProgressCallback
from snnconv.simulators import simulator_for
from snnconv.simulators.observers import Observer, Samples, room_for
from snnconv.simulators.window_trains import PopulationWindow
from snnconv.spiking.base import NetworkBase
from snnconv.spiking.population import Population
from snnconv.surroundings import own_surroundings
from snnconv.text import table


@dataclass(frozen=True)
class Verification:
    """Errors of all populations in order of execution, and of the output. Prints as a table with a reading of it.

    Attributes:
        steps: Time steps of the simulation.
        samples: Number of samples.
        populations: The errors of every population.
        output: The error of the output; decisions, as of argmax, count as vectors of zeros with a one each.
        sums: The sums behind all errors.
        waits: Whether populations fire in windows of their own, when all that they receive is there.
        looked_up: The populations whose spikes are looked up in tables.
    """

    steps: int
    samples: int
    populations: tuple[PopulationError, ...]
    output: float
    sums: VerificationSums = field(repr=False)
    waits: bool = field(repr=False)
    looked_up: frozenset[str] = field(repr=False)

    @property
    def reading(self) -> Reading:
        """What hurts most, why, and what helps."""
        return read(self.sums, self.waits, self.looked_up)

    def merge(self, other: Verification) -> Verification:
        """The verification on the data of both; counts are exact, sums of squares to rounding.

        Both must be of one network under one setting. Raises ``InputError`` where they cannot be.
        """
        check_alike(self, other, ("steps", "waits", "looked_up"))
        return _verification(self.steps, self.sums.merge(other.sums), self.waits, self.looked_up)

    def to_dict(self) -> dict[str, Any]:
        """All figures as plain data, ready for JSON."""
        return {
            "steps": self.steps,
            "samples": self.samples,
            "output": self.output,
            "populations": [vars(population) for population in self.populations],
            "reading": vars(self.reading),
        }

    def __repr__(self) -> str:
        what = f"{self.samples} samples, {self.steps} steps, {len(self.populations)} populations"
        return f"Verification({what}, relative error of the output {self.output:.4f})"

    def __str__(self) -> str:
        rows = [
            [p.name, f"{p.relative:.4f}", f"{p.own:.4f}", f"{p.bias:+.4f}", f"{p.saturated:.2%}", f"{p.spurious:.2%}"]
            for p in self.populations
        ]
        rows.append(["output", f"{self.output:.4f}", "", "", "", ""])
        head = ["population", "relative error", "own", "bias", "saturated", "spurious"]
        return f"{self.samples} samples, {self.steps} steps\n{table(head, rows)}\n{self.reading}"


@own_surroundings()
def verify(
    network: SpikingNetwork,
    data: Any = None,
    *,
    steps: int | None = None,
    seed: int = 0,
    before: int = 0,
    progress: ProgressCallback | None = None,
) -> Verification:
    """Compare every population with the activation it stands for, on data that was not used for calibration.

    Args:
        network: A converted network.
        data: What ``evaluate`` takes; by default the calibration samples that ``convert`` held out.
        steps: Time steps, instead of the network's own, under a concurrent schedule.
        seed: Seed of a stochastic input.
        before: Samples of the data that come before these and are measured elsewhere, to be merged: what is drawn for a
            sample goes by ``seed`` and its position.
        progress: Called as the work comes on; what it raises ends the work (see ``Progress``).

    Returns:
        The errors of every population and of the output.

    Raises:
        InputError: There are no held-out samples, or the data do not fit.
        ConfigurationError: The network learned through its own spikes, so there is nothing to compare it with.
    """
    network.check_original("verify")
    if data is None and not network.held_out:
        raise InputError("verify has no held-out samples (they are not saved with a network): pass data")
    like = network.like  # the network may have been moved since it was converted
    held_out = [
        tuple(t.to(like.device, like.dtype if t.is_floating_point() else t.dtype) for t in sample)
        for sample in network.held_out
    ]
    source = held_out if data is None else (network.check(inputs, "data") for inputs, _ in batches(data, "data"))
    whole = [(sample, None) for sample in held_out] if data is None else data
    passage = Passage(progress, "verifying", whole, network.batch_axis)
    found = verified(network, source, steps=steps, seed=seed, before=before, passage=passage)
    passage.end()
    return found


def verified(
    network: SpikingNetwork,
    source: Iterable[Inputs],
    *,
    steps: int | None = None,
    seed: int = 0,
    before: int = 0,
    passage: Passage | None = None,
) -> Verification:
    """The same on the batches of ``source``, which are as the graph takes them; ``passage`` is told of them."""
    found: VerificationSums | None = None
    simulator = simulator_for(network, steps=steps, seed=seed)
    for inputs in source:
        decoded = _Decoder(network)
        told = None if passage is None else passage.samples
        seen = before + (found.samples if found else 0)
        output, lengths = simulator.run(inputs, [decoded], told, seen)
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
        one = VerificationSums(lengths.numel(), populations, _output_sums(output, wanted))
        found = one if found is None else found.merge(one)
        if passage is not None:
            passage.batch()
    assert found is not None  # data without batches was refused
    looked_up = frozenset(each.name for each in network.populations.values() if each.tables is not None)
    return _verification(simulator.steps, found, network.timing is not None, looked_up)


def output_error(network: SpikingNetwork, inputs: Inputs) -> float:
    """The error of the output alone, as ``verified`` finds it, of ``inputs`` as the graph takes them."""
    output, _ = simulator_for(network, seed=0).run(inputs, [])
    with torch.no_grad():
        wanted, _ = evaluate_graph(network.complete_graph(), inputs)
    return _output_sums(output, wanted).relative


def _verification(steps: int, sums: VerificationSums, waits: bool, looked_up: frozenset[str]) -> Verification:
    errors = tuple(each.error(name) for name, each in sums.populations.items())
    return Verification(steps, sums.samples, errors, sums.output.relative, sums, waits, looked_up)


class _Decoder(Observer):
    """Sum of the payloads of every population over time."""

    of_windows = "everything"

    def __init__(self, network: NetworkBase) -> None:
        self.payloads: dict[str, Tensor] = {}
        self._samples = 0

    def begin(self, samples: int) -> None:
        self._samples = samples

    def payload(self, node: str, t: int, payload: Tensor, samples: Samples) -> None:
        if node not in self.payloads:
            self.payloads[node] = room_for(payload, samples, self._samples)
        self.payloads[node][samples] += payload

    def window(self, node: str, window: PopulationWindow, samples: Samples) -> None:
        code = window.population.code
        self.payload(node, 0, window.found.values * (code.steps // code.period), samples)


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
