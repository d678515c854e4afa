"""neurobench(): footprint, sparsity and operations as the benchmark NeuroBench defines them, for comparison with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor

from snnconv.data.batches import Inputs, batches
from snnconv.data.passage import Passage
from snnconv.graph.analysis import analysis_of
from snnconv.graph.graph import Node, Ref
from snnconv.graph.interpreter import Handler, evaluate_graph
from snnconv.graph.operators import OPERATORS, carried
from snnconv.graph.sparse import is_sparse, stored_values
from snnconv.metrics.totals import check_alike
from snnconv.network import SpikingNetwork
from snnconv.progress import ProgressCallback
from snnconv.simulators.recorders import SpikeCounter
from snnconv.simulators.registry import simulator_for
from snnconv.surroundings import own_surroundings
from snnconv.tables import Column, ResultTable, Tabular

#: What is the same for all data.
_STATIC = ("footprint", "weights", "zero_weights", "is_bound")


@dataclass(frozen=True)
class NeuroBench(Tabular):
    """NeuroBench's metrics, those of correctness aside (Yik et al. 2025, arXiv 2304.04640), as sums over samples.

    Attributes:
        samples: Number of samples.
        footprint: Bytes of all tensors of the network.
        weights: Number of weights of its synapses, without biases.
        zero_weights: How many of them are 0.
        activations: Neurons times the steps at which they may fire.
        spikes: How many of these activations are not 0.
        macs: Multiply-accumulates of real inputs that are not 0, and of what stays real-valued.
        accumulations: Synaptic operations of spikes, counted layer by layer.
        dense: Both, if no input and no weight were 0, at every step.
        updates: Updates of membrane potentials.
        is_bound: Whether ``accumulations`` is an upper bound: zeros among the weights count as synapses, or several
            paths join.
    """

    samples: int
    footprint: int
    weights: int
    zero_weights: int
    activations: float
    spikes: float
    macs: float
    accumulations: float
    dense: float
    updates: float
    is_bound: bool

    def merge(self, other: NeuroBench) -> NeuroBench:
        """Both together. Raises ``InputError`` for figures of another network."""
        check_alike(self, other, _STATIC)
        summed = {each.name: getattr(self, each.name) for each in fields(self)}
        summed |= {name: value + getattr(other, name) for name, value in summed.items() if name not in _STATIC}
        return NeuroBench(**summed)

    def to_dict(self) -> dict[str, Any]:
        """The metrics by NeuroBench's names, operations and updates as means for one sample; no weights: none is 0.

        ``synops_are_bound`` is no metric: it says whether ``Effective_ACs`` is an upper bound.
        """
        return {
            "Footprint": self.footprint,
            "ConnectionSparsity": self.zero_weights / max(self.weights, 1),
            "ActivationSparsity": 1.0 - self.spikes / self.activations,
            "SynapticOperations": {
                "Effective_MACs": self.macs / self.samples,
                "Effective_ACs": self.accumulations / self.samples,
                "Dense": self.dense / self.samples,
            },
            "MembraneUpdates": self.updates / self.samples,
            "synops_are_bound": self.is_bound,
        }

    def to_table(self) -> ResultTable:
        """The metrics of ``to_dict``, one a row."""
        found = self.to_dict()
        found |= found.pop("SynapticOperations")
        names = {"Effective_ACs": Column("Effective_ACs", bounds=found.pop("synops_are_bound")).head}
        rows = [("Footprint (bytes)", found.pop("Footprint"))]
        rows += [(names.get(name, name), value) for name, value in found.items()]
        return ResultTable((Column("metric"), Column("value", form=".4g")), tuple(rows))


@own_surroundings()
def neurobench(
    network: SpikingNetwork,
    data: Any,
    *,
    simulator: str = "auto",
    steps: int | None = None,
    seed: int = 0,
    before: int = 0,
    progress: ProgressCallback | None = None,
) -> NeuroBench:
    """Footprint, sparsity and operations of ``network`` on ``data`` in the definitions of NeuroBench.

    Args:
        network: The network to run.
        data: What ``evaluate`` takes.
        simulator: As for ``SpikingNetwork.run``.
        steps: As for ``SpikingNetwork.run``.
        seed: Seed of a stochastic input.
        before: Samples of the data that come before these and are measured elsewhere, to be merged: what is drawn for a
            sample goes by ``seed`` and its position.
        progress: Called as the work comes on; what it raises ends the work (see ``Progress``).

    Returns:
        The figures; ``to_dict()`` has NeuroBench's names.

    Raises:
        InputError: The data do not fit the network.
        ConfigurationError: The simulator or the steps are not supported for the network.

    Example:
        >>> figures = snnconv.neurobench(snn, images).to_dict()
        >>> figures["Footprint"], figures["ActivationSparsity"]
    """
    counter, synapses = SpikeCounter(network), network.synapses
    operations = _RealOperations(network)
    passage = Passage(progress, "counting operations", data, network.batch_axis)
    macs, dense_macs, taken = 0.0, 0.0, 0
    chosen = simulator_for(network, simulator, steps=steps, seed=seed)
    for inputs, _ in batches(data, "data"):
        given = network.check(inputs, "data")
        _, lengths = chosen.run(given, [counter], passage.samples, before + counter.samples)
        taken += int(lengths.sum())
        if not network.plan.input.spiking:
            active, whole = operations.of(given)
            macs, dense_macs = macs + active, dense_macs + whole
        passage.batch()
    passage.end()
    streams = network.timing is None
    presented = taken / counter.samples if streams else 1.0  # a stream takes its input in at every step
    windows = _steps_of_windows(network, taken / counter.samples)
    neurons = {node: each.neurons for node, each in network.populations.items()}
    dense = sum(float(synapses.fan_out_by_layer[name].sum()) * steps for name, steps in windows.items())
    analog = synapses.analog_macs * counter.samples
    updates = sum(counter.updates.values()) if not streams else float(sum(neurons.values()) * taken)
    weights, zeros = _weights(network)
    return NeuroBench(
        samples=counter.samples,
        footprint=sum(tensor.numel() * tensor.element_size() for tensor in (*network.parameters(), *network.buffers())),
        weights=weights,
        zero_weights=zeros,
        activations=sum(count * windows[node] for node, count in neurons.items()) * counter.samples,
        spikes=sum(counter.spikes().values()),
        macs=macs * presented + analog,
        accumulations=sum(counter.synops_by_layer().values()),
        dense=dense * counter.samples + dense_macs * presented + analog,
        updates=updates,
        is_bound=zeros > 0 or bool(synapses.bounds),
    )


def _active(values: Tensor) -> Tensor:
    """One where a value is not 0."""
    return values.ne(0).to(values.dtype)


#: What counts of real numbers: those that are not 0, and all.
_EVENTS: tuple[Callable[[Tensor], Tensor], ...] = (_active, torch.ones_like)


class _RealOperations:
    """Counts the multiply-accumulates between the inputs of ``network`` and its first populations, layer by layer."""

    def __init__(self, network: SpikingNetwork) -> None:
        graph = network.complete_graph()
        self._signals = graph.signals()
        spiking = graph.behind(network.populations) | analysis_of(graph).readout
        self._weighted = [
            node
            for node in graph.nodes.values()
            if node.name in self._signals - spiking and OPERATORS[node.op].weighted
        ]
        output = [Ref(node.name) for node in self._weighted]
        self._graph = replace(graph, output=output, output_type=None).without_dead_nodes()

    def of(self, inputs: Inputs) -> tuple[float, float]:
        """Those of what is not 0, for a batch, and all."""
        counts = torch.zeros(2, dtype=torch.float64)

        def counting(node: Node) -> Handler:
            operator, carries = OPERATORS[node.op], carried(node, self._signals)

            def handle(arguments: Mapping[str, Any]) -> Any:
                for place, like in enumerate(_EVENTS):
                    events = {key: like(value) if carries[key] is True else value for key, value in arguments.items()}
                    counts[place] += operator.paths(events, carries).double().sum().cpu()
                return operator.evaluate(arguments)

            return handle

        with torch.no_grad():
            evaluate_graph(self._graph, inputs, handlers={node.name: counting(node) for node in self._weighted})
        active, whole = counts.tolist()
        return active, whole


def _steps_of_windows(network: SpikingNetwork, steps: float) -> dict[str, float]:
    """At how many steps each source of spikes may fire for one sample; a stream's at all of its ``steps``."""
    spiking = network.graph.inputs if network.plan.input.spiking else ()
    sources = [*spiking, *network.populations]
    lengths = None if network.timing is None else network.timing.lengths
    return {name: steps if lengths is None else float(lengths[name]) for name in sources}


def _weights(network: SpikingNetwork) -> tuple[int, int]:
    """How many weights there are, and how many of them are 0; biases are none."""
    graph, constants = network.graph, network.constants
    signals = graph.signals()
    names = {
        name
        for node in graph.nodes.values()
        if node.name in signals and OPERATORS[node.op].weighted
        for name in node.refs()
        if name in constants and constants[name].dim() > 1
    }
    found: Sequence[Tensor] = [constants[name] for name in sorted(names)]
    count = sum(tensor.numel() for tensor in found)
    kept = sum(
        int(torch.count_nonzero(stored_values(tensor) if is_sparse(tensor) else tensor).item()) for tensor in found
    )
    return count, count - kept
