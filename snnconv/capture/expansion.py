"""What rewrites share: nodes that become several, sums of currents, and constants that are one number."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from snnconv.graph.analysis import analysis_of
from snnconv.graph.graph import Argument, Graph, Node, Ref
from snnconv.graph.operators import OPERATORS, Role
from snnconv.graph.operators.tabulated import TabulatedFunction
from snnconv.graph.sparse import is_sparse


def expanded(graph: Graph, expand: Callable[[Node], Iterable[Node]]) -> Graph:
    """A copy in which ``expand`` gives the nodes that stand for each node."""
    nodes = (new for node in graph.nodes.values() for new in expand(node))
    return replace(graph, nodes={node.name: node for node in nodes})


def sums_currents(graph: Graph, names: Iterable[str]) -> bool:
    """Whether, from ``names`` back through selections, some signal is a sum of currents, not spikes or an input."""
    role = analysis_of(graph).role
    return any(role(node.name) in (Role.LINEAR, Role.PRODUCT) for node in _selected_from(graph, names))


def looked_up(graph: Graph, names: Iterable[str]) -> bool:
    """Whether, from ``names`` back through selections, some signal is spikes that are worth what a table holds."""
    return any(isinstance(OPERATORS[node.op], TabulatedFunction) for node in _selected_from(graph, names))


def _selected_from(graph: Graph, names: Iterable[str]) -> Iterator[Node]:
    """Nodes whose results reach ``names`` through selections alone."""
    analysis = analysis_of(graph)
    pending = [name for name in names if name in analysis.signals]
    while pending:
        node = graph.nodes.get(pending.pop())
        if node is None:
            continue
        if analysis.role(node.name) is Role.SELECTION:
            pending.extend(name for name in node.refs() if name in analysis.signals)
        else:
            yield node


def uniform_number(graph: Graph, value: Argument) -> float | None:
    """The number that a constant argument holds everywhere; ``None`` for any other argument."""
    if not isinstance(value, Ref):
        return float(value) if isinstance(value, (int, float)) else None
    made = graph.nodes.get(value.name)
    if made is not None and made.op in ("zeros", "ones", "full"):
        return uniform_number(graph, made.arguments.get("fill_value", float(made.op == "ones")))
    tensor = graph.constants.get(value.name)
    if tensor is None or is_sparse(tensor) or not tensor.numel() or bool((tensor != tensor.flatten()[0]).any()):
        return None
    return float(tensor.flatten()[0])
