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
        axes = node.arguments.get("dim")
        axes = range(len(shape)) if axes is None else [axes] if isinstance(axes, int) else axes
        found.add(tuple(sorted(int(axis) % len(shape) for axis in axes)))
    return found.pop() if len(found) == 1 else None


def _divides(graph: Graph, name: str) -> bool:
    """Whether all that ``name`` leads to are tables whose values divide, past what is added or multiplied to it."""
    users = analysis_of(graph).consumers[name]
    for user in users:
        node = graph.nodes.get(user)
        if node is None:
            return False
        if node.op == "tabulated":
            if not node.arguments.get("divides", False):
                return False
        elif (
            not isinstance(OPERATORS.get(node.op), SelectionOperator) and node.op not in ("add", "mul", "div")
        ) or not _divides(graph, user):
            return False
    return bool(users)
