"""The ends of affine regions, at which spikes are sent and currents arrive, in units of the populations' scales."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hw_export.explicit.maps import Array, Shape
from snnconv.errors import ConfigurationError
from snnconv.graph.affine_regions import Regions, resolved
from snnconv.graph.graph import Ref, refs_in
from snnconv.graph.operators import OPERATORS, carried
from snnconv.network import SpikingNetwork


def decoded(regions: Regions) -> set[str]:
    """What the output and the readout operators use of what runs in time."""
    timed = {node.name for node in regions.nodes}
    used = {name for node in regions.graph.nodes.values() if node.name not in timed for name in node.refs()} | set(
        refs_in(regions.graph.output)
    )
    return used & timed & regions.signals


class Ends:
    """Responses between the ends of regions, in units of scales, in double precision."""

    def __init__(self, regions: Regions, network: SpikingNetwork) -> None:
        self._regions, self._network = regions, network
        self._batched = network.batch_axis == 0
        self._populations = network.populations
        self._outputs = decoded(regions)

    def shape(self, node: str) -> Shape:
        return tuple(self._regions.sample_shape(node))

    def behind(self, source: str) -> list[str]:
        """Populations, gates and outputs that the events of ``source`` reach, in order of execution."""
        reached = self._regions.behind(source)
        ends = self._regions.stations | (self._outputs - self._regions.stations)
        return [node.name for node in self._regions.nodes if node.name in reached and node.name in ends]

    def emitted(self, source: str) -> Tensor:
        """What a payload of 1 stands for, in the shape of ``source`` or broadcastable to it."""
        if source in self._populations:
            population, dims = self._populations[source], len(self.shape(source)) + self._batched
            windowed = self._network.timing is not None
            scale = population.window_scale(dims) if windowed else population.broadcast_scale(dims)
            scale = scale.cpu().double()
            return scale[0] if self._batched and scale.dim() == dims else scale
        gate = self._regions.graph.nodes.get(source)
        if gate is None:
            return torch.ones((), dtype=torch.float64)
        before = self.emitted(gate.arguments["self"].name)
        if before.dim() == 3 and before.shape[1:] != (1, 1):
            raise ConfigurationError(f"max pooling {source} compares different scales; use one scale per channel")
        return before

    def response(self, source: str, target: str) -> Callable[[Tensor], Tensor]:
        """Normalised currents that events (payloads in units of the source's scale) cause at ``target``."""
        emitted, inverse_scale = self.emitted(source), self._inverse_scale(target)

        def respond(events: Tensor) -> Tensor:
            sent = events * emitted
            if self._batched:
                return self._arriving(source, target, sent, len(sent)) * inverse_scale
            return torch.stack([self._arriving(source, target, each, 1) for each in sent]) * inverse_scale

        return respond

    def written(self, source: str, target: str) -> Array | None:
        """The matrix of the one linear layer between two ends, if it fits both, in the units of ``response``.

        What else lies between them may make another map of it.
        """
        regions, sizes = self._regions, [math.prod(self.shape(target)), math.prod(self.shape(source))]
        behind = regions.behind(source) - regions.stations
        passed = {node.name: node for node in regions.nodes if node.name in behind and node.op == "linear"}
        layers = [node for name, node in passed.items() if name == target or target in regions.behind(name)]
        if len(layers) != 1 or not isinstance(weight := layers[0].arguments["weight"], Ref):
            return None
        matrix = regions.graph.constants.get(weight.name)
        if matrix is None or matrix.layout is not torch.strided or list(matrix.shape) != sizes:
            return None
        arriving, sent = self._inverse_scale(target), self.emitted(source)
        rows, columns = (
            scale.expand(self.shape(end)).reshape(-1) for scale, end in ((arriving, target), (sent, source))
        )
        written: Array = (matrix.double() * rows[:, None]).mul_(columns).numpy()
        return written

    def _inverse_scale(self, target: str) -> Tensor:
        return 1.0 / self.emitted(target) if target in self._populations else torch.ones((), dtype=torch.float64)

    def _arriving(self, source: str, target: str, events: Tensor, width: int) -> Tensor:
        regions = self._regions
        values: dict[str, Any] = {**regions.constants(width), source: events}
        region = regions.behind(source)

        def value_of(ref: Ref) -> Any:
            return values[ref.name] if ref.name in values else regions.no_events(ref.name, width)

        for node in regions.nodes:
            if node.name not in region:
                continue
            arguments = resolved(node, value_of)
            if node.name in regions.stations:
                if node.name == target:
                    return torch.as_tensor(arguments["self"])
                continue
            operator = OPERATORS[node.op]
            values[node.name] = operator.evaluate(operator.homogeneous(arguments, carried(node, regions.signals)))
            if node.name == target:
                return torch.as_tensor(values[node.name])
        raise AssertionError(f"{source} does not reach {target}")

    def currents(self, outputs: tuple[str, ...]) -> dict[str, Array]:
        """Constant currents of all populations and outputs while every source is silent."""
        regions = self._regions
        values: dict[str, Any] = dict(regions.constants(1))
        found: dict[str, Array] = {}

        def value_of(ref: Ref) -> Any:
            return values[ref.name] if ref.name in values else regions.no_events(ref.name, 1)

        for node in regions.nodes:
            if node.name not in regions.signals:
                continue
            arguments = resolved(node, value_of)
            if node.name in self._populations:
                population, current = self._populations[node.name], arguments["self"]
                current = current + population.broadcast(population.shift, current.dim()).cpu().double()
                found[node.name] = self._sample(current * self._inverse_scale(node.name), node.name)
            elif node.name not in regions.stations:
                values[node.name] = OPERATORS[node.op].evaluate(arguments)
                if node.name in outputs:
                    found[node.name] = self._sample(values[node.name], node.name)
        for name in outputs:
            if name in regions.stations:
                found[f"{name} decoded"] = np.zeros(self.shape(name))
        return found

    def _sample(self, values: Tensor, node: str) -> Array:
        current: Array = values.expand(self._regions.shape(node)).numpy()
        return np.array(current[0] if self._batched else current)
