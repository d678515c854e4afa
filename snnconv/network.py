"""SpikingNetwork: populations, the affine regions between them, a schedule and a readout."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from coding import CodingPlan
from snnconv.data.batches import Inputs, as_inputs, check_like
from snnconv.errors import ConfigurationError
from snnconv.graph import Graph, Node, refs_in
from snnconv.interpreter import Program, evaluate_graph, laid_out, resolve
from snnconv.operators import OPERATORS, Role
from snnconv.operators.pooling import MaximumOperator
from snnconv.population import Population
from snnconv.preflight import classify
from snnconv.report import network_report
from snnconv.simulators import Clock, Run, Stop, simulate
from snnconv.storage import save
from snnconv.synapses import Synapses, count_synapses


class SpikingNetwork(nn.Module):
    """A network of spiking populations that computes what a trained network computed.

    Calling it gives the decoded output, the same nest of tuples, lists and dicts as the original's. Weights are those
    of the original (batch norms folded where safe); scales belong to the populations. Nothing has to be reset.
    """

    def __init__(
        self,
        graph: Graph,
        populations: Mapping[str, Population],
        plan: CodingPlan,
        input_shapes: Sequence[tuple[int, ...]],
        input_ranges: Sequence[tuple[Tensor, Tensor]],
        densities: Mapping[str, float],
        held_out: Sequence[Inputs] = (),
    ) -> None:
        super().__init__()
        self.graph = replace(graph, constants={})
        self.plan = plan
        self.input_shapes = tuple(tuple(shape) for shape in input_shapes)
        #: Share of non-zero values of every source of events (inputs, populations, gates) on calibration data.
        self.densities = dict(densities)
        #: Calibration samples that no fitted number saw; kept in memory for ``verify``, never saved.
        self.held_out = tuple(held_out)
        self._constants = _Tensors(graph.constants)
        self._scales = _Tensors({name: population.scale for name, population in populations.items()})
        self._ranges = _Tensors({f"{i}.{end}": t for i, pair in enumerate(input_ranges) for end, t in enumerate(pair)})
        self._populations = dict(populations)
        self.parts = Parts(graph, set(populations), constant_input=not plan.input.spiking)
        self.requires_grad_(False)
        self.eval()

    @property
    def constants(self) -> dict[str, Tensor]:
        """Weights and biases by name."""
        return self._constants.by_name()

    @property
    def populations(self) -> dict[str, Population]:
        """Populations by node, in order of execution, with their scales where the network is."""
        scales = self._scales.by_name()
        return {node: replace(population, scale=scales[node]) for node, population in self._populations.items()}

    @property
    def input_ranges(self) -> list[tuple[Tensor, Tensor]]:
        """Smallest and largest value of every input on calibration data: what a spiking input maps to 0 and 1."""
        ranges = self._ranges.by_name()
        return [(ranges[f"{i}.0"], ranges[f"{i}.1"]) for i in range(len(self.input_shapes))]

    @property
    def batch_axis(self) -> int | None:
        """0, or ``None`` for a network that takes one sample a call."""
        return self.graph.batch_axis

    @property
    def like(self) -> Tensor:
        """A tensor on the network's device and in its precision."""
        return next(iter(self._scales.by_name().values()))

    def node_of(self, name: str) -> str:
        """Node of the population that reports call ``name``; raises ``ConfigurationError`` with the names there are."""
        for node, population in self._populations.items():
            if name in (population.name, node):
                return node
        known = ", ".join(population.name for population in self._populations.values())
        raise ConfigurationError(f"there is no population {name!r}; populations: {known}")

    def check(self, inputs: Any, what: str = "input") -> Inputs:
        """``inputs`` as a tuple of tensors; raises ``InputError`` unless they fit the network."""
        tensors = as_inputs(inputs, what)
        check_like(tensors, self.input_shapes, self.like.dtype, self.like.device, what)
        return tensors

    def forward(self, *inputs: Tensor) -> Any:
        """The decoded output for a batch of inputs."""
        output, _ = Clock(self, steps=None, stop=None, seed=None).run(self.check(inputs), [])
        return output

    def run(
        self,
        inputs: Tensor | Sequence[Tensor],
        *,
        simulator: str = "auto",
        steps: int | None = None,
        record: Sequence[str] = (),
        stop: Stop | None = None,
        seed: int | None = None,
    ) -> Run:
        """Simulate a batch and return a ``Run``: output, spikes and synaptic operations.

        ``steps`` overrides the schedule's number of time steps. ``record`` may hold ``"outputs"`` (the decoded output
        after every step, ``[T, N, ...]``) and names of populations whose rasters ``[T, N, ...]`` to keep, or
        ``"rasters"`` for all. ``stop`` ends a sample early (see ``snnconv.Confidence``). ``seed`` fixes the draws of a
        stochastic input. Raises ``InputError`` and ``ConfigurationError``.
        """
        return simulate(self, inputs, simulator=simulator, steps=steps, record=record, stop=stop, seed=seed)

    @cached_property
    def synapses(self) -> Synapses:
        """Fan-out of every source of events, and the original network's multiply-accumulates; counted once."""
        constants = {name: tensor.cpu() for name, tensor in self.constants.items()}
        shapes = {
            name: tuple(1 if size == -1 else size for size in shape)
            for name, shape in zip(self.graph.inputs, self.input_shapes, strict=True)
        }
        return count_synapses(replace(self.graph, constants=constants), self._populations, shapes)

    def complete_graph(self) -> Graph:
        """The graph with its weights where the network is."""
        return replace(self.graph, constants=self.constants)

    def reference(self, *inputs: Tensor) -> Any:
        """Output of the original network: the same graph with its activations instead of neurons."""
        with torch.no_grad():
            output, _ = evaluate_graph(self.complete_graph(), self.check(inputs))
        return output

    def report(self) -> str:
        """What became spiking, with scales and cost, as text."""
        return network_report(self)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the network to one file; see ``snnconv.load``. Raises ``StorageError``."""
        save(self, path)


class Parts:
    """The nodes of a graph by when they run: once a batch, once a time step, once on the decoded output.

    ``gates`` are the max-pooling nodes over spikes. ``frontier`` names the results that are decoded: what the output
    and the readout operators use. Results that no spike reaches are computed once, so a constant input costs the first
    affine region once.
    """

    def __init__(self, graph: Graph, populations: set[str], constant_input: bool) -> None:
        signals = graph.signals()
        timed: set[str] = set() if constant_input else set(graph.inputs)
        readout: set[str] = set()
        lists: dict[str, list[Node]] = {"setup": [], "step": [], "readout": []}
        self.gates: dict[str, MaximumOperator] = {}
        for node in graph.nodes.values():
            names = set(node.refs())
            operator = OPERATORS[node.op]
            role = classify(node, signals).role
            if role is Role.READOUT or names & readout:
                readout.add(node.name)
                lists["readout"].append(node)
            elif node.name in populations or (names & timed and node.name in signals):
                timed.add(node.name)
                lists["step"].append(node)
                if isinstance(operator, MaximumOperator):
                    self.gates[node.name] = operator
            else:
                lists["setup"].append(node)
        used = [name for node in lists["readout"] for name in node.refs() if name not in readout]
        used += [name for name in refs_in(graph.output) if name not in readout]
        computed = {node.name for node in lists["setup"] + lists["step"]} | set(graph.inputs)
        #: Populations whose current is a sum made for them alone, so that a neuron may reuse its storage.
        users = graph.consumers()
        sums = {node.name for node in lists["step"] if classify(node, signals).role is Role.LINEAR}
        currents = {node.name: node.arguments["self"].name for node in lists["step"] if node.name in populations}
        self.own_currents = {node for node, name in currents.items() if name in sums and users[name] == [node]}
        self.frontier = tuple(name for name in dict.fromkeys(used) if name in timed)
        self._output = graph.output
        shared = {name for node in lists["step"] + lists["readout"] for name in node.refs()} | set(used)
        self.setup = Program(lists["setup"], keep=shared & computed)
        self.step = Program(lists["step"], keep=self.frontier)
        self.readout = Program(lists["readout"], keep=set(refs_in(graph.output)))

    def decode(self, environment: dict[str, Any]) -> Any:
        """The network's output from an environment that holds the decoded frontier."""
        values = dict(environment)
        self.readout.run(values)
        return resolve(self._output, values)


class _Tensors(nn.Module):
    """Tensors by any name (module buffers cannot hold dots), moved with the network."""

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        super().__init__()
        self._names = tuple(tensors)
        for position, tensor in enumerate(tensors.values()):
            self.register_buffer(str(position), laid_out(tensor))

    def by_name(self) -> dict[str, Tensor]:
        return {name: getattr(self, str(position)) for position, name in enumerate(self._names)}


def gate_nodes(graph: Graph) -> list[str]:
    """Names of the max-pooling nodes that act on signals."""
    signals = graph.signals()
    return [n.name for n in graph.nodes.values() if n.name in signals and isinstance(OPERATORS[n.op], MaximumOperator)]
