"""Which functions are summed into a divisor, as squares are in a norm."""

from __future__ import annotations

from snnconv.graph.analysis import analysis_of
from snnconv.graph.graph import Graph, Node
from snnconv.graph.operators import OPERATORS
from snnconv.graph.operators.base import SelectionOperator


def axes_of_divisor(graph: Graph, population: Node) -> tuple[int, ...] | None:
    """Axes along which all values of ``population`` are summed into divisors; ``None`` where they go elsewhere, too.

    What an error of such a value does is relative to the sum that it is part of.
    """
    consumers, shape = analysis_of(graph).consumers, population.shape
    if population.op != "tabulated" or shape is None:
        return None
    found = set()
    for user in consumers[population.name]:
        node = graph.nodes.get(user)
        if node is None or node.op not in ("sum", "mean") or not _divides(graph, user):
            return None
        found.add(tuple(sorted(axis % len(shape) for axis in node.arguments["dim"])))
    return found.pop() if len(found) == 1 else None


def _divides(graph: Graph, name: str) -> bool:
    """Whether all that ``name`` leads to are tables whose values divide, past what is added or multiplied to it."""
    users = analysis_of(graph).consumers[name]
    return bool(users) and all(user in graph.nodes and _leads_on(graph, graph.nodes[user]) for user in users)


def _leads_on(graph: Graph, node: Node) -> bool:
    if node.op == "tabulated":
        return bool(node.arguments.get("divides", False))
    moves = isinstance(OPERATORS.get(node.op), SelectionOperator) or node.op in ("add", "mul", "div")
    return moves and _divides(graph, node.name)
