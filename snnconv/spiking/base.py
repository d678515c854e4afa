"""NetworkBase: populations, the affine regions between them, a schedule and a readout, as data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from coding import Code, CodingPlan, Pipeline, Timing
from coding.plan import check_codes, period_of
from neurons import ScoringNeuron, WindowNeuron
from snnconv.data.batches import Inputs, as_inputs, check_like
from snnconv.data.shapes import BATCH, Shape, concrete
from snnconv.errors import ConfigurationError
from snnconv.graph.front import check_given, entered
from snnconv.graph.graph import Graph, Ref
from snnconv.graph.interpreter import evaluate_graph
from snnconv.graph.output_types import typed
from snnconv.kernels.settled_windows import Windows
from snnconv.spiking.decisions import decisions, spike_decisions
from snnconv.spiking.execution_plan import ExecutionPlan
from snnconv.spiking.input_range import InputRange
from snnconv.spiking.logs import SearchLog, TuningLog
from snnconv.spiking.max_pooling import check_max_pooling
from snnconv.spiking.named_tensors import NamedTensors, check_precision, copied
from snnconv.spiking.population import Population, check_neurons_wait
from snnconv.spiking.prepared_windows import PreparedWindows
from snnconv.spiking.products import check_products
from snnconv.spiking.ratios import check_ratios
from snnconv.spiking.structure import from_state, structure_of, to_state
from snnconv.spiking.synapses import Synapses, count_synapses
from snnconv.surroundings import own_surroundings

N = TypeVar("N", bound="NetworkBase")


class NetworkBase(nn.Module):
    """A network of spiking populations as data: graph, populations, plan and timing, and what follows from them.

    Weights are those of the original (batch norms folded where safe); scales belong to the populations. Nothing here
    runs time: see ``SpikingNetwork``.
    """

    def __init__(
        self,
        graph: Graph,
        populations: Mapping[str, Population],
        plan: CodingPlan,
        input_shapes: Sequence[Shape],
        input_ranges: Sequence[InputRange],
        densities: Mapping[str, float],
        held_out: Sequence[Inputs] = (),
        tuned: bool = False,
    ) -> None:
        super().__init__()
        front = graph.front
        self.graph = replace(graph, constants={}, front=None if front is None else replace(front, constants={}))
        self.plan = plan
        self.input_shapes = tuple(tuple(shape) for shape in input_shapes)
        #: What a search for codes tried, if one was made; never saved.
        self.search_log: SearchLog | None = None
        #: Whether the weights were tuned: ``reference`` is no longer the network that was converted.
        self.tuned = tuned
        #: The losses of tuning, if the network was tuned; never saved.
        self.tuning_log: TuningLog | None = None
        #: Share of non-zero values of every source of events (inputs, populations, gates) on calibration data.
        self.densities = dict(densities)
        #: Calibration samples that no fitted number saw; kept in memory for ``verify``, never saved.
        self.held_out = tuple(held_out)
        for population in populations.values():
            check_precision(population.scale.dtype)
        self._constants = NamedTensors(graph.constants)
        self._tables = NamedTensors({} if front is None else front.constants)
        self._scales = NamedTensors({name: population.scale for name, population in populations.items()})
        #: Tables of populations whose neurons look their spikes up.
        self._lookups = NamedTensors({name: p.tables for name, p in populations.items() if p.tables is not None})
        self._shifts = NamedTensors({name: population.shift for name, population in populations.items()})
        ends = {f"{i}.{end}": t for i, pair in enumerate(input_ranges) for end, t in enumerate(pair)}
        self._ranges = NamedTensors(ends)
        self._populations = dict(populations)
        self._windows = PreparedWindows()
        self.execution_plan = ExecutionPlan(graph, set(populations), constant_input=not plan.input.spiking)
        codes = [population.code for population in populations.values()]
        check_codes(codes, plan.input, plan.schedule)
        check_products(graph, self.execution_plan, plan.schedule)
        #: Steps over which concurrent populations present a value once, and the windows of a pipeline.
        self.period = 1 if isinstance(plan.schedule, Pipeline) else period_of(codes, plan.input)
        self.timing = self._timing(plan.schedule) if isinstance(plan.schedule, Pipeline) else None
        if self.timing is not None:
            check_neurons_wait(populations.values())
            spiking = zip(graph.inputs, input_ranges, strict=True) if plan.input.spiking else ()
            check_max_pooling(graph, self.execution_plan, populations, dict(spiking))
        check_ratios(graph, self.execution_plan, self.timing)
        self.requires_grad_(False)
        self.eval()

    def with_(
        self: N,
        *,
        graph: Graph | None = None,
        constants: Mapping[str, Tensor] | None = None,
        populations: Mapping[str, Population] | None = None,
        plan: CodingPlan | None = None,
        input_shapes: Sequence[Shape] | None = None,
        input_ranges: Sequence[InputRange] | None = None,
        densities: Mapping[str, float] | None = None,
        held_out: Sequence[Inputs] | None = None,
        tuned: bool | None = None,
    ) -> N:
        """A copy with tensors of its own and what is given replaced; everything else stays, flags and logs included.

        The arguments are those of the constructor; ``constants`` are the weights and biases of ``graph``. Held-out
        samples are shared. Raises ``ConfigurationError`` for codes and neurons that do not fit the schedule.
        """
        graph = self.complete_graph() if graph is None else graph
        constants = graph.constants if constants is None else constants
        populations = self.populations if populations is None else populations
        input_ranges = self.input_ranges if input_ranges is None else input_ranges
        made = type(self)(
            replace(graph, constants={name: copied(tensor) for name, tensor in constants.items()}),
            {
                node: replace(
                    population,
                    scale=copied(population.scale),
                    shift=copied(population.shift),
                    tables=None if population.tables is None else copied(population.tables),
                )
                for node, population in populations.items()
            },
            self.plan if plan is None else plan,
            self.input_shapes if input_shapes is None else input_shapes,
            [InputRange(copied(seen.low), copied(seen.high)) for seen in input_ranges],
            self.densities if densities is None else densities,
            self.held_out if held_out is None else held_out,
            self.tuned if tuned is None else tuned,
        )
        made.search_log, made.tuning_log = self.search_log, self.tuning_log
        return made

    def get_extra_state(self) -> Tensor:
        """What goes with the tensors of a state dict: the structure that they fit, and what was measured of them."""
        return to_state(self._structure(), {"tuned": self.tuned, "densities": self.densities})

    def set_extra_state(self, state: Tensor) -> None:
        """Take over what was measured of the tensors that are loaded.

        Raises ``ModelError`` for the state of a network that would compute something else with the same tensors.
        """
        content = from_state(state, self._structure())
        self.tuned, self.densities = bool(content["tuned"]), dict(content["densities"])
        self.search_log = self.tuning_log = None
        vars(self).pop("synapses", None)  # counted from the weights that were

    def _structure(self) -> dict[str, str]:
        return structure_of(self.graph, self.plan, self._populations, self.input_shapes)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Any:
        check_precision(fn(self.like.new_empty(0)).dtype)
        return super()._apply(fn, recurse)  # type: ignore[no-untyped-call]

    def _timing(self, schedule: Pipeline) -> Timing:
        code = self.plan.input.code
        lengths = {} if code is None else dict.fromkeys(self.graph.inputs, code.steps)
        lengths |= {node: population.code.steps for node, population in self._populations.items()}
        return schedule.timing(self.execution_plan.sources, lengths, self.execution_plan.output_sources)

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
        scales, shifts, tables = self._scales.by_name(), self._shifts.by_name(), self._lookups.by_name()
        for node, population in self._populations.items():  # tensors are others after a move, or a copy of modules
            scale, shift, table = scales[node], shifts[node], tables.get(node)
            if population.scale is not scale or population.shift is not shift or population.tables is not table:
                self._populations[node] = replace(population, scale=scale, shift=shift, tables=table)
        return dict(self._populations)

    @property
    def windows(self) -> Mapping[str, Windows]:
        """The windows of the populations of a pipeline by node, ready for currents."""
        return self._windows.of(self.populations)

    @property
    def input_ranges(self) -> list[InputRange]:
        """Smallest and largest value of every input on calibration data: what a spiking input maps to 0 and 1."""
        ranges = self._ranges.by_name()
        return [InputRange(ranges[f"{i}.0"], ranges[f"{i}.1"]) for i in range(len(self.input_shapes))]

    @property
    def batch_axis(self) -> int | None:
        """0, or ``None`` for a network that takes one sample per call."""
        return self.graph.batch_axis

    @property
    def like(self) -> Tensor:
        """A tensor on the network's device and in its precision."""
        return next(iter(self._scales.by_name().values()))

    @cached_property
    def has_closed_form(self) -> bool:
        """Whether every window is a function of its summed input that its neurons can tell at once."""
        return (
            self.timing is not None
            and self.timing.closed
            and all(
                isinstance(population.neuron, WindowNeuron) and population.neuron.closed_form
                for population in self._populations.values()
            )
        )

    @property
    def is_integer_simulation(self) -> bool:
        """Whether it simulates an integer network, and so rounds its input."""
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
            vars(self).pop("has_closed_form", None)

    def check(self, inputs: Any, what: str = "input") -> Inputs:
        """What the graph takes for ``inputs`` (see ``Graph.front``); raises ``InputError`` unless they fit."""
        tensors = as_inputs(inputs, what)
        if self.graph.front is None:  # an input of events has other shapes than the graph sees in a step
            check_like(tensors, self.input_shapes, [self.like.dtype] * len(self.input_shapes), self.like.device, what)
            return tensors
        check_given(self.graph, tensors, self.like.dtype, self.like.device, what)
        return entered(self.complete_graph(), tensors, what)

    @cached_property
    @own_surroundings()
    def synapses(self) -> Synapses:
        """Fan-out of every source of events, and the original network's multiply-accumulates; counted once."""
        constants = {name: tensor.cpu() for name, tensor in self.constants.items()}
        shapes = {
            name: concrete(self.plan.input.step_shape(shape), {BATCH: 1})
            for name, shape in zip(self.graph.inputs, self.input_shapes, strict=True)
        }
        return count_synapses(replace(self.graph, constants=constants), self._populations, shapes)

    def complete_graph(self) -> Graph:
        """The graph with its weights where the network is."""
        front = self.graph.front
        whole = None if front is None else replace(front, constants=self._tables.by_name())
        return replace(self.graph, constants=self.constants, front=whole)

    @own_surroundings()
    def reference(self, *inputs: Tensor) -> Any:
        """Output of the original network: the same graph with its activations instead of neurons.

        Raises ``ConfigurationError`` for a network that learned through its own spikes.
        """
        return self.original(self.check(inputs))

    def original(self, inputs: Inputs) -> Any:
        """The same for what ``check`` gave; raises ``ConfigurationError``, too."""
        self.check_original("its reference output")
        with torch.no_grad():
            output, _ = evaluate_graph(self.complete_graph(), inputs)
        return typed(output, self.graph.output_type)

    def check_original(self, purpose: str) -> None:
        """Raise ``ConfigurationError`` where there is no original network that ``purpose`` needs."""
        if self.learned:
            raise ConfigurationError(
                f"{purpose}: the network learned through its own spikes, so there is no original network to compare it "
                "with; evaluate measures it against targets"
            )
