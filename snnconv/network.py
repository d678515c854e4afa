"""SpikingNetwork: populations, the affine regions between them, a schedule and a readout."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from coding import Code, CodingPlan, Pipeline, Timing
from coding.plan import check_codes, period_of
from neurons import ScoringNeuron
from snnconv.data.batches import Inputs, as_inputs, check_like
from snnconv.errors import ConfigurationError
from snnconv.gates import check_gates
from snnconv.graph import Graph, Ref
from snnconv.input_range import InputRange
from snnconv.interpreter import evaluate_graph, laid_out
from snnconv.operators import OPERATORS
from snnconv.operators.pooling import MaximumOperator
from snnconv.parts import Parts
from snnconv.population import Population, check_neurons_wait
from snnconv.report import network_report, summary
from snnconv.simulators import Run, Stop, simulate, simulator_for
from snnconv.storage import save
from snnconv.synapses import Synapses, count_synapses
from snnconv.tally import decisions, spike_decisions

if TYPE_CHECKING:
    from snnconv.learning.tuning import TuningLog
    from snnconv.search import SearchLog


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
        input_ranges: Sequence[InputRange],
        densities: Mapping[str, float],
        held_out: Sequence[Inputs] = (),
        tuned: bool = False,
    ) -> None:
        super().__init__()
        self.graph = replace(graph, constants={})
        self.plan = plan
        self.input_shapes = tuple(tuple(shape) for shape in input_shapes)
        #: What a search for codes tried, if one was made; never saved.
        self.search_log: SearchLog | None = None
        #: Whether the weights were tuned: ``reference`` is no longer the network that was converted.
        self.tuned = tuned
        #: What tuning came to, if the network was tuned; never saved.
        self.tuning_log: TuningLog | None = None
        #: Share of non-zero values of every source of events (inputs, populations, gates) on calibration data.
        self.densities = dict(densities)
        #: Calibration samples that no fitted number saw; kept in memory for ``verify``, never saved.
        self.held_out = tuple(held_out)
        self._constants = _Tensors(graph.constants)
        self._scales = _Tensors({name: population.scale for name, population in populations.items()})
        self._shifts = _Tensors({name: population.shift for name, population in populations.items()})
        self._ranges = _Tensors({f"{i}.{end}": t for i, pair in enumerate(input_ranges) for end, t in enumerate(pair)})
        self._populations = dict(populations)
        self.parts = Parts(graph, set(populations), constant_input=not plan.input.spiking)
        codes = [population.code for population in populations.values()]
        check_codes(codes, plan.input, plan.schedule)
        #: Steps over which concurrent populations present a value once, and the windows of a pipeline.
        self.period = 1 if isinstance(plan.schedule, Pipeline) else period_of(codes, plan.input)
        self.timing = self._timing(plan.schedule) if isinstance(plan.schedule, Pipeline) else None
        if self.timing is not None:
            check_neurons_wait(populations.values())
            spiking = zip(graph.inputs, input_ranges, strict=True) if plan.input.spiking else ()
            check_gates(graph, self.parts, populations, dict(spiking))
        self.requires_grad_(False)
        self.eval()

    def _timing(self, schedule: Pipeline) -> Timing:
        code = self.plan.input.code
        lengths = {} if code is None else dict.fromkeys(self.graph.inputs, code.steps)
        lengths |= {node: population.code.steps for node, population in self._populations.items()}
        return schedule.timing(self.parts.sources, lengths, self.parts.output_sources)

    def presentations(self, steps: int) -> int:
        """How often a concurrent network has begun to present its input after ``steps`` time steps."""
        return -(-steps // self.period)

    def decoded(self, node: str, payloads: Tensor, steps: int) -> Tensor:
        """The normalised value of a population whose payloads summed to ``payloads`` over ``steps`` time steps."""
        if self.timing is None:
            return payloads / self.presentations(steps)
        code = self._populations[node].code
        return payloads * (code.period / code.steps)

    @property
    def constants(self) -> dict[str, Tensor]:
        """Weights and biases by name."""
        return self._constants.by_name()

    @property
    def populations(self) -> dict[str, Population]:
        """Populations by node, in order of execution, with their tensors where the network is."""
        scales, shifts = self._scales.by_name(), self._shifts.by_name()
        return {
            node: replace(population, scale=scales[node], shift=shifts[node])
            for node, population in self._populations.items()
        }

    @property
    def input_ranges(self) -> list[InputRange]:
        """Smallest and largest value of every input on calibration data: what a spiking input maps to 0 and 1."""
        ranges = self._ranges.by_name()
        return [InputRange(ranges[f"{i}.0"], ranges[f"{i}.1"]) for i in range(len(self.input_shapes))]

    @property
    def batch_axis(self) -> int | None:
        """0, or ``None`` for a network that takes one sample a call."""
        return self.graph.batch_axis

    @property
    def like(self) -> Tensor:
        """A tensor on the network's device and in its precision."""
        return next(iter(self._scales.by_name().values()))

    @property
    def in_whole_numbers(self) -> bool:
        """Whether it is the twin of a network in whole numbers, which rounds its input."""
        return any(node.op == "whole_input" for node in self.graph.nodes.values())

    @property
    def learned(self) -> bool:
        """Whether it learned through its own spikes: its output neurons decide, and there is no original network."""
        output = self.graph.output
        population = self._populations.get(output.name) if isinstance(output, Ref) else None
        return population is not None and isinstance(population.neuron, ScoringNeuron)

    def decide(self, output: Any) -> Tensor:
        """The class that each sample (or position) of a decoded ``output`` is assigned to: the largest score.

        In a network that learned through its own spikes -1 for a sample in which no output neuron fired. Raises
        ``InputError`` for an output without class scores along axis 1.
        """
        return spike_decisions(output) if self.learned else decisions(output)

    def node_of(self, name: str) -> str:
        """Node of the population that reports call ``name``; raises ``ConfigurationError`` with the names there are."""
        for node, population in self._populations.items():
            if name in (population.name, node):
                return node
        known = ", ".join(population.name for population in self._populations.values())
        raise ConfigurationError(f"there is no population {name!r}; populations: {known}")

    def name_of(self, node: str) -> str:
        """What reports call ``node``: a population by its name, everything else by that of its node."""
        return self._populations[node].name if node in self._populations else node

    def recode(self, node: str, code: Code) -> None:
        """Give the population at ``node`` another ``code`` of as many steps."""
        population = self._populations[node]
        assert code.steps == population.code.steps and code.period == population.code.period
        if code != population.code:
            neuron = replace(population.neuron, code=code)  # type: ignore[type-var]
            self._populations[node] = replace(population, code=code, neuron=neuron)

    def check(self, inputs: Any, what: str = "input") -> Inputs:
        """``inputs`` as a tuple of tensors; raises ``InputError`` unless they fit the network."""
        tensors = as_inputs(inputs, what)
        check_like(tensors, self.input_shapes, self.like.dtype, self.like.device, what)
        return tensors

    def forward(self, *inputs: Tensor) -> Any:
        """The decoded output for a batch of inputs."""
        output, _ = simulator_for(self).run(self.check(inputs), [])
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
        """Simulate a batch.

        Args:
            inputs: One batch of input, or several where the network takes several.
            simulator: "clock" (step by step), "window" (the closed form of a pipeline) or "auto", which
                takes the closed form
                where there is one.
            steps: Number of time steps, instead of the network's own, under a concurrent schedule.
            record: "outputs" for the decoded output after every step, ``[T, N, ...]``, and names of
                populations whose rasters
                ``[T, N, ...]`` to keep, or "rasters" for all; in a pipeline T counts the steps of the
                population's window.
            stop: Ends a sample early under a concurrent schedule (see ``snnconv.Confidence``).
            seed: Fixes the draws of a stochastic input.

        Returns:
            The output, spikes and synaptic operations, and what was recorded.

        Raises:
            InputError: The inputs do not fit the network.
            ConfigurationError: An option is not supported for the network.
        """
        return simulate(self, inputs, simulator=simulator, steps=steps, record=record, stop=stop, seed=seed)

    @cached_property
    def synapses(self) -> Synapses:
        """Fan-out of every source of events, and the original network's multiply-accumulates; counted once."""
        constants = {name: tensor.cpu() for name, tensor in self.constants.items()}
        shapes = {
            name: tuple(1 if size == -1 else size for size in self.plan.input.step_shape(shape))
            for name, shape in zip(self.graph.inputs, self.input_shapes, strict=True)
        }
        return count_synapses(replace(self.graph, constants=constants), self._populations, shapes)

    def complete_graph(self) -> Graph:
        """The graph with its weights where the network is."""
        return replace(self.graph, constants=self.constants)

    def reference(self, *inputs: Tensor) -> Any:
        """Output of the original network: the same graph with its activations instead of neurons.

        Raises ``ConfigurationError`` for a network that learned through its own spikes.
        """
        self.check_original("its reference output")
        with torch.no_grad():
            output, _ = evaluate_graph(self.complete_graph(), self.check(inputs))
        return output

    def check_original(self, purpose: str) -> None:
        """Raise ``ConfigurationError`` where there is no original network that ``purpose`` needs."""
        if self.learned:
            raise ConfigurationError(
                f"{purpose}: the network learned through its own spikes, so there is no original network to compare it "
                "with; evaluate measures it against targets"
            )

    def report(self) -> str:
        """What became spiking, with scales and cost, as text."""
        return network_report(self)

    def __str__(self) -> str:
        return self.report()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({summary(self)})"

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the network to one file; see ``snnconv.load``. Raises ``StorageError``."""
        save(self, path)


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
