"""Max pooling in a pipeline: a gate compares trains, so all that meets in one of its groups must share one scale."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from snnconv.data.shapes import BATCH, concrete
from snnconv.errors import ConfigurationError
from snnconv.graph.graph import Graph
from snnconv.graph.interpreter import Environment, Program, resolve, zero_inputs
from snnconv.graph.operators import OPERATORS
from snnconv.spiking.execution_plan import ExecutionPlan, Route
from snnconv.spiking.input_range import InputRange
from snnconv.spiking.population import Population

#: Kinds of candidates: constants never fire, an analog input is known before step 0, all others have trains.
_CONSTANT, _ANALOG, _FIRST = 0, 1, 2


class _Group(NamedTuple):
    """The smallest and the largest kind of candidate in every group of a gate, constants aside."""

    route: Route
    lowest: Tensor
    highest: Tensor


def meeting_channels(graph: Graph, execution_plan: ExecutionPlan, axes: Mapping[str, int | None]) -> set[str]:
    """Populations and spiking inputs (named with their channel axes) of which several channels meet in one group."""
    kinds, owners = _Kinds(), dict[int, str]()
    for name in _sources(execution_plan, axes):
        shape = _shape(graph, name)
        axis = axes[name]
        channels = 1 if axis is None else shape[axis]
        view = [channels if place == axis else 1 for place in range(len(shape))]
        owners |= dict.fromkeys(range(kinds.count, kinds.count + channels), name)
        kinds.add(name, torch.arange(channels).view(view).expand(shape))
    found = set()
    for group in _groups(graph, execution_plan, kinds):
        mixed = (group.lowest != group.highest) & (group.highest >= _FIRST)
        pairs = set(zip(group.lowest[mixed].tolist(), group.highest[mixed].tolist(), strict=True))
        found |= {owners[high] for low, high in pairs if owners.get(low) == owners[high]}
    return found


def check_max_pooling(
    graph: Graph,
    execution_plan: ExecutionPlan,
    populations: Mapping[str, Population],
    ranges: Mapping[str, InputRange],
) -> None:
    """Raise ``ConfigurationError`` where a gate would compare trains that do not stand for the same values.

    ``ranges`` are those of the spiking inputs.
    """
    kinds, owners, offsets = _Kinds(), dict[int, str](), dict[str, Tensor]()
    for name in _sources(execution_plan, {**populations, **ranges}):
        shape = _shape(graph, name)
        if name in populations:
            population = populations[name]
            worth, called = population.broadcast_scale(len(shape)), population.name
        else:
            worth, called = ranges[name].span, f"input {name}"
            offsets[name] = ranges[name].low.expand(shape).cpu().double()
        found, inverse = torch.unique(worth, return_inverse=True)
        owners |= dict.fromkeys(range(kinds.count, kinds.count + len(found)), called)
        kinds.add(name, inverse.cpu().expand(shape))
    for group in _groups(graph, execution_plan, kinds):
        spiking = group.highest >= _FIRST
        mixed = (group.lowest != group.highest) & spiking
        if bool(mixed.any()):
            first, last = int(group.lowest[mixed][0]), int(group.highest[mixed][0])
            names = " and ".join(dict.fromkeys([owners.get(first, "an analog input"), owners[last]]))
            raise _refusal(group.route, f"spikes of {names}, which stand for different values")
    for route, lowest, highest in _constants(graph, execution_plan, kinds, offsets):
        spiking = kinds.arrived[route.gate.name] >= _FIRST
        if bool((lowest != highest)[spiking].any()):
            raise _refusal(route, "spikes with constants")


def _refusal(route: Route, what: str) -> ConfigurationError:
    return ConfigurationError(
        f"max pooling {route.gate.name} ({route.gate.source}) would compare {what}; in a pipeline pool each of them by "
        "itself, or use schedule=Concurrent(steps) with rate, phase or burst code"
    )


class _Kinds:
    """Kinds of candidates by source, integers; what is pooled has the kind of its group."""

    def __init__(self) -> None:
        self.count = _FIRST
        self.arrived: dict[str, Tensor] = {}

    def add(self, name: str, numbers: Tensor) -> None:
        """Give ``name`` kinds of its own, one for each number (from 0) in ``numbers``."""
        self.arrived[name] = (numbers + self.count).double()
        self.count += int(numbers.max()) + 1


def _sources(execution_plan: ExecutionPlan, spiking: Mapping[str, object]) -> Sequence[str]:
    return [name for name in spiking if name in execution_plan.pooled]


def _shape(graph: Graph, name: str) -> tuple[int, ...]:
    if name in graph.inputs:
        return concrete(graph.inputs[name], {BATCH: 1})
    shape = graph.nodes[name].shape
    assert shape is not None
    return (1, *shape[1:]) if graph.batch_axis == 0 else shape


def _groups(graph: Graph, execution_plan: ExecutionPlan, kinds: _Kinds) -> Iterator[_Group]:
    surroundings = _surroundings(graph, execution_plan)
    for gate, route in execution_plan.routes.items():
        arrived = kinds.arrived
        for name in route.candidates - arrived.keys():
            arrived[name] = torch.full_like(surroundings[name], _ANALOG)
        mirrored = {
            name: torch.where(kind == _CONSTANT, kind, kinds.count - kind)
            for name, kind in arrived.items()
            if name in route.candidates
        }
        highest = _pooled(route, route.homogeneous, surroundings | arrived)
        lowest = kinds.count - _pooled(route, route.homogeneous, surroundings | mirrored)
        arrived[gate] = highest
        yield _Group(route, lowest, highest)


def _constants(
    graph: Graph, execution_plan: ExecutionPlan, kinds: _Kinds, offsets: dict[str, Tensor]
) -> Iterator[tuple[Route, Tensor, Tensor]]:
    """The smallest and the largest value in every group of each gate while nothing spikes."""
    surroundings = _surroundings(graph, execution_plan)
    for gate, route in execution_plan.routes.items():
        for name in route.candidates - offsets.keys():
            offsets[name] = torch.zeros_like(kinds.arrived[name])
        highest = _pooled(route, route.whole, surroundings | offsets)
        yield route, -_pooled(route, route.whole, surroundings | offsets, sign=-1), highest
        offsets[gate] = highest


def _pooled(route: Route, program: Program, environment: Environment, sign: int = 1) -> Tensor:
    program.run(environment)
    arguments = {key: resolve(value, environment) for key, value in route.gate.arguments.items()}
    arguments["self"] = arguments["self"] * sign
    pooled: Tensor = OPERATORS[route.gate.op].evaluate(arguments)
    return pooled


def _surroundings(graph: Graph, execution_plan: ExecutionPlan) -> Environment:
    """What the routes to all gates refer to, for inputs that are zero; in double precision."""
    wanted = {
        name for route in execution_plan.routes.values() for node in (*route.nodes, route.gate) for name in node.refs()
    } | execution_plan.pooled
    nodes = []
    for node in reversed(execution_plan.setup.nodes):
        if node.name in wanted:
            nodes.append(node)
            wanted.update(node.refs())
    environment: Environment = {
        name: tensor.cpu().double() if tensor.is_floating_point() else tensor.cpu()
        for name, tensor in graph.constants.items()
        if name in wanted
    }
    environment |= dict(zip(graph.taken, zero_inputs(graph, torch.float64), strict=True))
    Program(nodes[::-1], keep=wanted).run(environment)
    return environment
