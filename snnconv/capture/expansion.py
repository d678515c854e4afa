"""What rewrites share: nodes that become several, sums of currents, and constants that are one number."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from snnconv.graph.analysis import analysis_of
from snnconv.graph.graph import Argument, Graph, Node, Ref
from snnconv.graph.operators import Role
from snnconv.graph.sparse import is_sparse


def expanded(graph: Graph, expand: Callable[[Node], Iterable[Node]]) -> Graph:
    """A copy in which ``expand`` gives the nodes that stand for each node."""
    nodes = (new for node in graph.nodes.values() for new in expand(node))
    return replace(graph, nodes={node.name: node for node in nodes})


def sums_currents(graph: Graph, names: Iterable[str]) -> bool:
    """Whether, from ``names`` back through selections, some signal is a sum of currents, not spikes or an input."""
    analysis = analysis_of(graph)
    pending = [name for name in names if name in analysis.signals]
    while pending:
        node = graph.nodes.get(pending.pop())
        if node is None:
            continue
        role = analysis.role(node.name)
        if role in (Role.LINEAR, Role.PRODUCT):
            return True
        if role is Role.SELECTION:
            pending.extend(name for name in node.refs() if name in analysis.signals)
    return False


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
