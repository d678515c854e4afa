"""What divisors are made of: functions that are summed into them, as squares are in a norm, and weights."""

from __future__ import annotations

from snnconv.graph.analysis import analysis_of
from snnconv.graph.graph import Graph, Node
from snnconv.graph.operators import OPERATORS
from snnconv.graph.operators.activation import IdentityPopulation
from snnconv.graph.operators.base import SelectionOperator
from snnconv.graph.operators.ratio import RatioPopulation


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


def weights_of_divisors(graph: Graph) -> set[str]:
    """Names of parameters that decide whether the divisor of a ratio is above 0, with what populations say.

    They stand between it and populations that keep no sign, such as those of exp and of ReLU.
    """
    populations = analysis_of(graph).populations
    pending = [node.arguments["divisor"].name for node in graph.nodes.values() if node.op == "ratio_population"]
    seen, found = set[str](), set[str]()
    while pending:
        name = pending.pop()
        if name in seen:
            continue
        seen.add(name)
        if name in graph.parameters:
            found.add(name)
        node = graph.nodes.get(name)
        keeps = name not in populations or isinstance(populations[name], (IdentityPopulation, RatioPopulation))
        if node is not None and keeps:
            pending.extend(node.refs())
    return found


def _divides(graph: Graph, name: str) -> bool:
    """Whether all that ``name`` leads to are tables whose values divide, past what is added or multiplied to it."""
    users = analysis_of(graph).consumers[name]
    return bool(users) and all(user in graph.nodes and _leads_on(graph, graph.nodes[user]) for user in users)


def _leads_on(graph: Graph, node: Node) -> bool:
    if node.op == "tabulated":
        return bool(node.arguments.get("divides", False))
    moves = isinstance(OPERATORS.get(node.op), SelectionOperator) or node.op in ("add", "mul", "div")
    return moves and _divides(graph, node.name)
