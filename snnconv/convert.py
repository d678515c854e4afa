"""convert(): a trained network becomes a spiking one."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

from coding import Code, CodingPlan, InputCode, Pipeline, Schedule
from coding.plan import as_plan
from neurons import NEURONS, Neuron, signed_neuron
from snnconv.calibration import Observed, Scaling, arrange, collect, fitted_code, observe, scale_of
from snnconv.capture import capture
from snnconv.channels import channel_axes
from snnconv.data.batches import Inputs
from snnconv.errors import ConfigurationError, ModelError, UnsupportedModelError
from snnconv.gates import meeting_channels
from snnconv.graph import Graph, Node
from snnconv.network import SpikingNetwork, gate_nodes
from snnconv.operators import OPERATORS, Activation
from snnconv.operators.activation import ActivationOperator
from snnconv.parts import Parts
from snnconv.population import Population
from snnconv.preflight import inspect
from snnconv.probing import check_capture, prepared
from snnconv.tracing import runnable


def convert(
    model: nn.Module | ExportedProgram,
    calibration: Any,
    *,
    coding: str | Code | Mapping[str, str | Code] | CodingPlan = "few-spike",
    input: str | Code | InputCode | None = None,
    schedule: Schedule | None = None,
    normalization: Literal["channel", "layer"] = "channel",
    percentile: float | Literal["mse"] = 99.9,
    neuron: str | Neuron | Callable[[Code], Neuron] = "integrate-fire",
    constants: Mapping[str, Tensor] | None = None,
) -> SpikingNetwork:
    """Convert a trained network into a spiking network that computes the same function with spikes.

    ``model`` is an ``nn.Module`` (left exactly as it is) or an exported program. ``calibration`` is sample input: a
    tensor, a (inputs, targets) tuple, or an iterable of batches; every fifth sample is held out for ``verify``.
    ``coding`` is a code's name, a code such as ``coding.Rate(64)``, or a ``CodingPlan``; ``input`` is "real" (constant
    current) or "poisson". Scales are found per ``channel`` or per ``layer`` as a ``percentile`` of the activations (100
    is the maximum; "mse" minimises the squared rounding error). ``neuron`` is "integrate-fire", or "corrective", which
    takes back spikes fired too early and lets deep networks decide in fewer steps; or a function that makes a neuron
    from the code, such as ``functools.partial(neurons.IntegrateFire, reset="zero")``; or a neuron of your own, for
    instance ``neurons.SnntorchNeuron(...)``. Populations with negative values use ``neurons.SignedIntegrateFire``.
    ``constants`` names arguments of forward that become part of the synapses, such as the adjacency (dense or sparse)
    of a graph network: ``constants={"adj": adj}``; the spiking network takes the remaining inputs.

    Raises ``UnsupportedModelError`` with every reason at once, ``ModelError``, ``InputError`` or
    ``ConfigurationError``.
    """
    plan = as_plan(coding, input, schedule)
    scaling = Scaling(normalization, percentile)
    batches = collect(calibration)
    captured = capture(model, batches[0], "calibration", constants)
    report = inspect(captured)
    if not report.ok:
        raise UnsupportedModelError(report)
    samples = arrange(batches, captured.batch_axis)
    example = samples.fitted[0]
    check_capture(captured, runnable(model, constants), example)
    graph = prepared(captured, example)
    shapes = {name: tuple(tensor.shape) for name, tensor in zip(graph.inputs, example, strict=True)}
    nodes = _activation_nodes(graph)
    windowed = isinstance(plan.schedule, Pipeline)
    channels = channel_axes(graph, shapes) if normalization == "channel" else dict.fromkeys([*shapes, *nodes])
    spiking_inputs = {name: 1 if _has_channels(graph, shape) else None for name, shape in shapes.items()}
    parts = Parts(graph, set(nodes), constant_input=not plan.input.spiking)
    # Trains that meet in a max pooling group are compared, so they must stand for the same values.
    axes = {name: channels[name] for name in nodes} | (spiking_inputs if plan.input.spiking else {})
    meeting = meeting_channels(graph, parts, axes) if windowed else set()
    observed = {
        name: Observed(None if name in meeting else channels[name], activation) for name, activation in nodes.items()
    }
    observed |= {name: Observed(None) for name in gate_nodes(graph)}
    observe(graph, observed, samples.fitted)
    names = _names(graph, nodes)
    plan.check_names([(names[name], name) for name in nodes])
    populations = {}
    for name in nodes:
        code = fitted_code(plan.code_for(names[name], name), observed[name], scaling)
        populations[name] = _population(
            names[name],
            graph.nodes[name],
            nodes[name],
            observed[name],
            scaling,
            code,
            _neuron(neuron, code),
            windowed,
            graph,
        )
    free = -1 if graph.batch_axis == 0 else None
    densities = {name: found.active / found.total for name, found in observed.items()}
    densities.update({name: 1.0 for name in graph.inputs})
    input_shapes = [(free or shape[0], *shape[1:]) for shape in shapes.values()]
    by_channel = [spiking_inputs[name] is not None and name not in meeting for name in graph.inputs]
    ranges = _ranges(samples.fitted, by_channel)
    return SpikingNetwork(graph, populations, plan, input_shapes, ranges, densities, samples.held_out)


def _neuron(neuron: str | Neuron | Callable[[Code], Neuron], code: Code) -> Neuron:
    if isinstance(neuron, str):
        if neuron not in NEURONS:
            raise ConfigurationError(f"unknown neuron {neuron!r}; known: {', '.join(NEURONS)}")
        neuron = NEURONS[neuron]
    if isinstance(neuron, type) or not isinstance(neuron, Neuron):
        try:
            neuron = neuron(code) if callable(neuron) else neuron
        except TypeError as error:
            raise ConfigurationError(f"the neuron cannot be made from a code alone: {error}") from error
    if not isinstance(neuron, Neuron):
        raise ConfigurationError(f"neuron must follow the contract neurons.Neuron, got {type(neuron).__name__}")
    return neuron


def _activation_nodes(graph: Graph) -> dict[str, Activation]:
    signals = graph.signals()
    found = {}
    for node in graph.nodes.values():
        operator = OPERATORS[node.op]
        if node.name in signals and isinstance(operator, ActivationOperator):
            found[node.name] = operator.activation(node.arguments)
    if not found:
        raise ModelError("the model has no activation that depends on its input")
    return found


def _population(
    name: str,
    node: Node,
    activation: Activation,
    observed: Observed,
    scaling: Scaling,
    code: Code,
    unsigned: Neuron,
    windowed: bool,
    graph: Graph,
) -> Population:
    scale, silent = scale_of(observed, scaling, code)
    slope = activation.negative_slope
    assert node.shape is not None
    return Population(
        name=name,
        node=node.name,
        activation=activation,
        code=code,
        neuron=unsigned if slope == 0.0 else signed_neuron(code, slope, windowed),
        scale=scale,
        shift=torch.zeros_like(scale),
        channel_axis=observed.channel_axis,
        shape=node.shape[1:] if graph.batch_axis == 0 else node.shape,
        source=node.source,
        inserted=node.op == "identity_population",
        silent_channels=silent,
    )


def _names(graph: Graph, nodes: Iterable[str]) -> dict[str, str]:
    """A name for every population: the path of its module, with the operator's name unless it is a module itself."""
    names: dict[str, str] = {}
    taken: set[str] = set()
    for name in nodes:
        node = graph.nodes[name]
        own_module = node.source.module_type.startswith("torch.nn.modules.activation.")
        parts = [node.source.module] if own_module else [node.source.module, _plain_op(node)]
        wanted = ".".join(part for part in parts if part)
        candidates = itertools.chain([wanted], (f"{wanted}_{number}" for number in itertools.count(1)))
        names[name] = next(candidate for candidate in candidates if candidate not in taken)
        taken.add(names[name])
    return names


def _plain_op(node: Node) -> str:
    return {"bounded_relu": "clamp", "identity_population": "pool_input"}.get(node.op, node.op)


def _has_channels(graph: Graph, shape: tuple[int, ...]) -> bool:
    return graph.batch_axis == 0 and len(shape) > 2


def _ranges(chunks: Sequence[Inputs], by_channel: Sequence[bool]) -> list[tuple[Tensor, Tensor]]:
    """Smallest and largest value of each input, or a pair for each channel (axis 1) of it."""
    ranges = []
    for column, channels in zip(zip(*chunks, strict=True), by_channel, strict=True):
        values = torch.cat(column)
        if channels:
            rest = [axis for axis in range(values.dim()) if axis != 1]
            low, high = values.amin(rest, keepdim=True), values.amax(rest, keepdim=True)
        else:
            low, high = values.amin().reshape(1), values.amax().reshape(1)
        ranges.append((low, torch.where(high > low, high, low + 1.0)))
    return ranges
