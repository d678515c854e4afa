"""Channel axes: along which axis of a result the channels of the nearest weighted operator lie."""

from __future__ import annotations

from snnconv.graph.analysis import analysis_of
from snnconv.graph.graph import Graph
from snnconv.graph.operators import OPERATORS, first_signal


def channel_axes(graph: Graph, input_shapes: dict[str, tuple[int, ...]]) -> dict[str, int | None]:
    """Channel axis of every signal of ``graph`` (shapes recorded), ``None`` where a view or a sum lost it.

    A convolution's channels lie on axis 1, a linear layer's on the last axis; views and permutations are followed.
    """
    signals = analysis_of(graph).signals
    axes: dict[str, int | None] = {name: 1 if len(shape) > 1 else None for name, shape in input_shapes.items()}
    for node in graph.nodes.values():
        if node.name not in signals:
            continue
        name = first_signal(node, signals)
        source = graph.nodes.get(name)
        shape = input_shapes[name] if source is None else source.shape
        axis = axes.get(name)
        if shape is None:  # a list of tensors: its entry decides
            axes[node.name] = axis if node.shape and axis is not None and axis < len(node.shape) else None
            continue
        found = OPERATORS[node.op].channel_axis(node, axis, shape)
        axes[node.name] = found if node.shape is None or found is None or found < len(node.shape) else None
    return axes
