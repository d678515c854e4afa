"""The rewrite behind ``decoding="spike-count"``: what is decoded is spikes of output neurons, not what they receive."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from torch import Tensor

from snnconv.capture.expansion import expanded, sums_currents
from snnconv.capture.normal_form import with_shapes
from snnconv.graph.analysis import analysis_of
from snnconv.graph.graph import Argument, Graph, Node, Ref, map_refs

OUTPUT = "output_population"


def output_as_spikes(graph: Graph, example: Sequence[Tensor]) -> Graph:
    """A graph in normal form with a population of signed neurons wherever a sum of currents is decoded.

    What is spikes already, such as a ReLU behind which nothing is weighted, is decoded as it is.
    """
    analysis = analysis_of(graph)
    currents = {name for name in analysis.decoded if sums_currents(graph, [name])}

    def decoded(ref: Ref) -> Argument:
        return Ref(f"{ref.name}_{OUTPUT}") if ref.name in currents else ref

    def expand(node: Node) -> list[Node]:
        if node.name in analysis.readout:
            node = node.mapped(decoded)
        if node.name not in currents:
            return [node]
        return [node, Node(f"{node.name}_{OUTPUT}", OUTPUT, {"self": Ref(node.name)}, None, node.source)]

    spiking = expanded(graph, expand)
    return with_shapes(replace(spiking, output=map_refs(spiking.output, decoded)), example)
