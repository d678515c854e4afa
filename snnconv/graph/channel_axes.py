"""Channel axes: along which axis of a result the channels of the nearest weighted operator lie."""

from __future__ import annotations

from collections.abc import Mapping

from snnconv.graph.analysis import analysis_of
from snnconv.graph.graph import Graph, Node, refs_in
from snnconv.graph.operators import OPERATORS, first_signal
from snnconv.graph.operators.bilinear import BilinearOperator, operands


def channel_axes(graph: Graph, input_shapes: Mapping[str, tuple[int, ...]]) -> dict[str, int | None]:
    """Channel axis of every signal of ``graph`` (shapes recorded), ``None`` where a view or a sum lost it.

    A convolution's channels lie on axis 1, those of a linear layer and of rows of tables on the last axis; views and
    permutations are followed.
    """
    signals = graph.signals()
    axes: dict[str, int | None] = {name: 1 if len(shape) > 1 else None for name, shape in input_shapes.items()}
    if graph.front is not None:
        given = {name: (2,) * len(shape) for name, shape in graph.front.inputs.items()}
        behind = channel_axes(graph.front, given)
        made = zip(graph.inputs, refs_in(graph.front.output), strict=False)  # masks are last
        axes |= {name: behind[source] for name, source in made}
    products = analysis_of(graph).products
    for node in graph.nodes.values():
        if node.name not in signals:
            continue
        if node.name in products:
            axes[node.name] = _of_product(products[node.name], node, graph, axes)
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


def _of_product(operator: BilinearOperator, node: Node, graph: Graph, axes: Mapping[str, int | None]) -> int | None:
    """Channel axis of a product of two signals; axes of either count from the end, as they broadcast."""
    sizes = {name: len(graph.nodes[name].shape or ()) for name in node.refs() if name in graph.nodes}
    found = []
    for key in operands(node):
        name = node.arguments[key].name
        axis, dims = axes.get(name), sizes.get(name)
        found.append(None if axis is None or not dims else axis - dims)
    axis = operator.channel_axis_of_two(found)
    return None if axis is None or node.shape is None else axis + len(node.shape)
