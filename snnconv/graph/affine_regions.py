"""Regions: what lies between the neurons that send events and the next ones that take them in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from snnconv.data.shapes import BATCH, concrete
from snnconv.graph.analysis import analysis_of
from snnconv.graph.double_precision import doubled
from snnconv.graph.graph import Graph, Node, Ref, map_refs, refs_in
from snnconv.graph.operators import OPERATORS


class Regions:
    """A graph as affine regions between the sources and the targets of events.

    ``sources`` are the inputs, populations, max-pooling gates and products of two signals with their shapes in a batch
    of one; ``stations`` all of them but the inputs, at which a region ends, ``outputs`` the other nodes at which one
    does, as they are decoded.
    ``nodes`` are in order of execution, without the readout.
    """

    def __init__(self, graph: Graph, populations: set[str], input_shapes: Mapping[str, tuple[int, ...]]) -> None:
        self.graph, self._input_shapes = graph, input_shapes
        analysis = analysis_of(graph)
        self.signals = analysis.signals
        self.nodes = [node for node in graph.nodes.values() if node.name not in analysis.readout]
        self.products = analysis.products.keys()
        self.stations = populations | analysis.gates.keys() | self.products
        self.sources: dict[str, tuple[int, ...]] = dict(input_shapes)
        self.sources |= {node.name: self.shape(node.name) for node in self.nodes if node.name in self.stations}
        decoded = {name for node in analysis.readout for name in graph.nodes[node].refs()}
        decoded |= set(refs_in(graph.output))
        self.outputs = decoded & {node.name for node in self.nodes} & self.signals - set(self.sources)
        self._constants = doubled(graph)

    def shape(self, name: str, width: int = 1) -> tuple[int, ...]:
        """Shape of a signal in a batch of ``width``."""
        shape = (self.graph.nodes[name].shape if name in self.graph.nodes else self._input_shapes[name]) or ()
        return (width, *shape[1:]) if self.graph.batch_axis == 0 else shape

    def sample_shape(self, name: str) -> tuple[int, ...]:
        """Shape of a signal in one sample."""
        return self.shape(name)[1:] if self.graph.batch_axis == 0 else self.shape(name)

    def constants(self, width: int = 1, masks: Mapping[str, Tensor] | None = None) -> dict[str, Any]:
        """Everything that carries no signal, for a batch of ``width``; numbers in double precision.

        ``masks`` are those of its samples; without them nothing is forbidden, and all that may be connected is.
        """
        values: dict[str, Any] = dict(self._constants)
        for name, shape in self.graph.masks.items():
            values[name] = torch.zeros(concrete(shape, {BATCH: width}), dtype=torch.bool)
        values |= masks or {}

        def value_of(ref: Ref) -> Any:
            return values[ref.name] if ref.name in values else self.no_events(ref.name, width)

        for node in self.nodes:
            if node.name not in self.signals:
                values[node.name] = OPERATORS[node.op].evaluate(resolved(node, value_of))
        return values

    def no_events(self, name: str, width: int) -> Tensor:
        """Zeros in the shape of a signal in a batch of ``width``; all show the same element of memory."""
        return torch.zeros((), dtype=torch.float64).expand(self.shape(name, width))

    def ends(self, node: Node) -> list[str]:
        """The arguments of a station at which signals arrive: of a product of one signal with itself only one."""
        keys = [key for key in OPERATORS[node.op].ends(node) if node.arguments[key].name in self.signals]
        return [*{node.arguments[key].name: key for key in keys}.values()] if node.name in self.products else keys

    def behind(self, source: str) -> set[str]:
        """Nodes that the events of ``source`` reach, up to and with the next populations, gates and outputs."""
        reached = {source}
        for node in self.nodes:
            passes = any(name in reached and (name == source or name not in self.stations) for name in node.refs())
            if passes and node.name in self.signals:
                reached.add(node.name)
        return reached - {source}


def resolved(node: Node, value_of: Callable[[Ref], Any]) -> dict[str, Any]:
    """Arguments of a node with values in place of references."""
    return {key: map_refs(argument, value_of) for key, argument in node.arguments.items()}
