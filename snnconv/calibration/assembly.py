"""From calibrated statistics to a spiking network: populations with codes, neurons and scales."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from functools import cached_property
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

from coding import Code, CodingPlan, InputCode, Pipeline
from neurons import NEURONS, Negative, Neuron, default_negative
from snnconv.calibration.activation_statistics import ActivationStatistics
from snnconv.calibration.bias_correction import corrected
from snnconv.calibration.computing_codes import check_computing
from snnconv.calibration.current_statistics import CurrentStatistics
from snnconv.calibration.fitting import Statistics, fitted
from snnconv.calibration.naming import population_names
from snnconv.calibration.observing import observe
from snnconv.calibration.options import Options
from snnconv.calibration.original_currents import MOST_CHUNKS, OriginalCurrents, presented
from snnconv.calibration.samples import Calibration, arrange, collect
from snnconv.calibration.scales import Scaling
from snnconv.calibration.silence import warn_of_silence
from snnconv.capture.capturing import Captured, captured
from snnconv.capture.output_populations import output_as_spikes
from snnconv.data.batches import Inputs
from snnconv.errors import ConfigurationError
from snnconv.graph.analysis import analysis_of
from snnconv.graph.channel_axes import channel_axes
from snnconv.graph.divisors import axes_of_divisor
from snnconv.graph.front import entered
from snnconv.graph.graph import Graph
from snnconv.graph.maxima import values_per_maximum
from snnconv.graph.operators import OPERATORS, ActivationFunction
from snnconv.graph.operators.activation import IdentityPopulation
from snnconv.graph.operators.tabulated import Tabulated
from snnconv.network import SpikingNetwork
from snnconv.progress import PartsDone, ProgressCallback, told
from snnconv.scaling.spreading import Spreading
from snnconv.spiking.execution_plan import ExecutionPlan
from snnconv.spiking.input_range import InputRange, ranges_of
from snnconv.spiking.max_pooling import meeting_channels
from snnconv.spiking.population import Population, check_neurons_wait


@dataclass(frozen=True)
class Calibrated:
    """A captured model in normal form with its calibration samples and what was observed on them, by node.

    Where the output is decoded from spike counts, the graph has neurons there. It does not depend on codes, so that
    many networks can be assembled from one. ``names`` are those of populations, ``negative`` is how their neurons fire
    below zero. ``currents`` are what the original's populations receive, by the input code of who asked for them.
    """

    graph: Graph
    samples: Calibration
    activations: dict[str, ActivationFunction]
    observed: dict[str, Statistics]
    names: dict[str, str]
    input_ranges: list[InputRange]
    negative: Negative
    currents: dict[InputCode, OriginalCurrents] = field(default_factory=dict)


class Calibrator:
    """A model with its calibration data: captured once, and observed once for every way in which it can be coded.

    Nothing is computed before it is asked for; what is raised then is what ``convert`` raises.
    """

    def __init__(
        self,
        model: nn.Module | ExportedProgram,
        calibration: Any,
        constants: Mapping[str, Tensor] | None,
        progress: ProgressCallback | None = None,
        analog: Sequence[str] = (),
    ) -> None:
        self._model, self._calibration, self._constants, self._progress = model, calibration, constants, progress
        self._analog = analog
        self._calibrated: dict[tuple[object, ...], Calibrated] = {}

    @cached_property
    def captured(self) -> Captured:
        """The model as a graph, checked."""
        parts, targets = self._collected
        capturing = PartsDone(self._progress, "capturing", None)
        found = captured(self._model, parts[0], "calibration", self._constants, self._analog, targets)
        capturing.more()
        capturing.end()
        return found

    @cached_property
    def samples(self) -> Calibration:
        """The calibration samples, arranged, as the graph takes them."""
        graph = self.captured.graph
        return arrange(self._collected[0], graph.batch_axis).through(lambda chunk: entered(graph, chunk, "calibration"))

    @cached_property
    def _collected(self) -> tuple[Sequence[Inputs], Tensor | None]:
        return collect(self._calibration, self._progress)

    def calibrated(
        self,
        plan: CodingPlan,
        options: Options,
        progress: ProgressCallback | None = None,
        spread: Spreading | None = None,
    ) -> Calibrated:
        """The model with its activations as they are coded under ``plan``: only schedule and kind of input matter.

        They are observed by ``spread``, if it is given.
        """
        options.check()
        if not plan.input.carries_values:
            raise ConfigurationError(
                f"{plan.input.name} input does not add up to the values that a trained network computes with: convert "
                "with real input, poisson input or a neural code; a network that learned from such spikes is made by "
                "snnconv.learning.spiking_network"
            )
        windowed = isinstance(plan.schedule, Pipeline)
        negative = options.negative or default_negative(windowed)
        key = (options.normalization, options.decoding, negative, windowed, plan.input.spiking)
        if key not in self._calibrated:
            found = self.captured
            if options.decoding == "spike-count":
                found = replace(found, graph=output_as_spikes(found.graph, found.example))
            settings = plan, options.normalization, negative
            self._calibrated[key] = _calibrate(found, self.samples, *settings, progress, spread)
        return self._calibrated[key]


def _calibrate(
    captured: Captured,
    samples: Calibration,
    plan: CodingPlan,
    normalization: Literal["channel", "layer"],
    negative: Negative,
    progress: ProgressCallback | None,
    spread: Spreading | None,
) -> Calibrated:
    graph = captured.graph
    analysis = analysis_of(graph)
    activations = {
        name: operator.activation(graph.nodes[name].arguments) for name, operator in analysis.populations.items()
    }
    given = dict(zip(graph.taken, captured.example, strict=True))
    shapes = {name: tuple(given[name].shape) for name in graph.inputs}
    by_channel = normalization == "channel"
    found = channel_axes(graph, shapes)
    channels = found if by_channel else dict.fromkeys([*shapes, *activations])
    on_axis_1 = {
        name for name, shape in shapes.items() if graph.batch_axis == 0 and len(shape) > 2 and found[name] == 1
    }
    input_axes = {name: 1 if name in on_axis_1 else None for name in shapes}
    meeting: set[str] = set()
    if isinstance(plan.schedule, Pipeline):
        # Trains that meet in a max pooling group are compared, so they must stand for the same values.
        execution_plan = ExecutionPlan(graph, set(activations), constant_input=not plan.input.spiking)
        axes = {name: channels[name] for name in activations} | (input_axes if plan.input.spiking else {})
        meeting = meeting_channels(graph, execution_plan, axes)
    batched = graph.batch_axis == 0
    observed: dict[str, Statistics] = {name: ActivationStatistics(None) for name in analysis.gates}
    for name, activation in activations.items():
        axis = None if name in meeting else channels[name]
        observed[name] = (
            CurrentStatistics(axis, activation, batched, axes_of_divisor(graph, graph.nodes[name]))
            if isinstance(activation, Tabulated)
            else ActivationStatistics(axis, activation, negative, batched)
        )
    observe(graph, observed, samples.fitted, progress, spread)
    by_axis = [input_axes[name] is not None and name not in meeting for name in graph.inputs]  # masks are last
    ranges = ranges_of(samples.fitted, by_axis)
    return Calibrated(graph, samples, activations, observed, population_names(graph, activations), ranges, negative)


def assemble(
    calibrated: Calibrated, plan: CodingPlan, options: Options, progress: ProgressCallback | None = None
) -> SpikingNetwork:
    """The spiking network of ``plan``; raises ``ConfigurationError``."""
    names = calibrated.names
    plan.check_names([(names[node], node) for node in calibrated.activations])
    if options.decoding == "spike-count":
        _check_counted(calibrated, plan)
    windowed = isinstance(plan.schedule, Pipeline)
    scalings = scalings_of(calibrated, options, windowed)
    populations = {}
    for node, scaling in told(progress, "fitting scales", scalings.items(), len(scalings)):
        code = plan.code_for(names[node], node)
        populations[node] = population(calibrated, node, code, scaling, windowed, options)
        if windowed:
            chosen = populations[node]
            warn_of_silence(names[node], calibrated.observed[node], scaling, chosen.code, chosen.scale)
    return network_of(calibrated, plan, populations, options, progress)


def scalings_of(calibrated: Calibrated, options: Options, windowed: bool) -> dict[str, Scaling]:
    """How the scale of every population is chosen; those of tables end where currents did, whatever a maximum picks."""
    picked_from, found = values_per_maximum(calibrated.graph), {}
    for node, name in calibrated.names.items():
        looked_up = isinstance(calibrated.observed[node], CurrentStatistics)
        found[node] = (
            options.scaling(windowed) if looked_up else options.scaling_before(picked_from[node], windowed, name)
        )
    return found


def _check_counted(calibrated: Calibrated, plan: CodingPlan) -> None:
    """Raise ``ConfigurationError`` unless the spikes that the output is decoded from can be counted."""
    nodes = set(calibrated.activations)
    for node in ExecutionPlan(calibrated.graph, nodes, constant_input=not plan.input.spiking).output_sources:
        if node in nodes and not (code := plan.code_for(calibrated.names[node], node)).unit_payload:
            raise ConfigurationError(
                f'decoding="spike-count": the spikes of {calibrated.names[node]} in {code.name} code stand for '
                'different amounts, and their number is no value: give it rate code, or leave decoding at "potential"'
            )


def network_of(
    calibrated: Calibrated,
    plan: CodingPlan,
    populations: Mapping[str, Population],
    options: Options,
    progress: ProgressCallback | None = None,
) -> SpikingNetwork:
    """The spiking network of ``populations`` under ``plan``, with bias correction in a pipeline."""
    graph, samples = calibrated.graph, calibrated.samples
    if isinstance(plan.schedule, Pipeline) and options.bias_correction:
        check_neurons_wait(populations.values())
        populations = corrected(populations, _currents(calibrated, plan.input), progress)
    densities = {name: found.active / max(found.total, 1) for name, found in calibrated.observed.items()}
    densities.update({name: 1.0 for name in graph.inputs})
    ranges = calibrated.input_ranges
    return SpikingNetwork(graph, populations, plan, [*graph.inputs.values()], ranges, densities, samples.held_out)


def _currents(calibrated: Calibrated, input_code: InputCode) -> OriginalCurrents:
    """The currents on samples as ``input_code`` presents them, the same for all networks that have it."""
    found = calibrated.currents.get(input_code)
    if found is None:
        ranges, fitted = calibrated.input_ranges, calibrated.samples.fitted[:MOST_CHUNKS]
        chunks = [presented(chunk, input_code.code, ranges) for chunk in fitted]
        found = calibrated.currents[input_code] = OriginalCurrents(calibrated.graph, calibrated.activations, chunks)
    return found


def population(
    calibrated: Calibrated,
    node: str,
    code: Code,
    scaling: Scaling,
    windowed: bool,
    options: Options,
) -> Population:
    """The population of ``node`` where ``code`` is asked for, fitted to what was observed."""
    at, activation, observed = calibrated.graph.nodes[node], calibrated.activations[node], calibrated.observed[node]
    try:
        check_computing(calibrated.names[node], activation, observed, code, options.initial_potential)
        code, scale, silent, tables = fitted(observed, code, scaling)
        neuron = activation.neuron(code, windowed, calibrated.negative) or _neuron(options.neuron, code)
    except ConfigurationError as error:
        raise ConfigurationError(f"{calibrated.names[node]} ({at.source}): {error}") from error
    assert at.shape is not None
    return Population(
        name=calibrated.names[node],
        node=node,
        activation=activation,
        code=code,
        neuron=_started(neuron, options.initial_potential),
        scale=scale,
        shift=torch.zeros_like(scale),
        channel_axis=observed.channel_axis,
        shape=at.shape[1:] if calibrated.graph.batch_axis == 0 else at.shape,
        source=at.source,
        inserted=isinstance(OPERATORS[at.op], IdentityPopulation),
        silent_channels=silent,
        tables=tables,
    )


def _neuron(neuron: str | Neuron | Callable[[Code], Neuron], code: Code) -> Neuron:
    if isinstance(neuron, str):
        neuron = NEURONS[neuron]
    if isinstance(neuron, type) or not isinstance(neuron, Neuron):
        try:
            neuron = neuron(code) if callable(neuron) else neuron
        except TypeError as error:
            raise ConfigurationError(f"the neuron cannot be made from a code alone: {error}") from error
    if not isinstance(neuron, Neuron):
        raise ConfigurationError(f"neuron must follow the contract neurons.Neuron, got {type(neuron).__name__}")
    return neuron


def _started(neuron: Neuron, potential: float | None) -> Neuron:
    """``neuron`` with this potential before its first step, its own by default; raises ``ConfigurationError``."""
    if potential is None:
        return neuron
    if not is_dataclass(neuron) or "initial_potential" not in {field.name for field in fields(neuron)}:
        raise ConfigurationError(
            f"initial_potential: {type(neuron).__name__} has none to be set; leave it out, or use another neuron"
        )
    return replace(neuron, initial_potential=potential)
