"""Maxima behind an activation: of how many of its values they pick one."""

from __future__ import annotations

import math

from snnconv.graph.analysis import analysis_of
from snnconv.graph.graph import Graph
from snnconv.graph.operators.pooling import MaximumOperator


def values_per_maximum(graph: Graph) -> dict[str, int]:
    """For every population: of about how many of its values a maximum behind it picks one; 1 without a maximum."""
    return graph.derived(_values_per_maximum)


def _values_per_maximum(graph: Graph) -> dict[str, int]:
    analysis = analysis_of(graph)
    behind: dict[str, int] = {}
    for node in reversed([*graph.nodes.values()]):  # those behind a node come before it
        users = [user for user in analysis.consumers[node.name] if user not in analysis.populations]
        found = max((behind.get(user, 1) for user in users), default=1)
        gate = analysis.gates.get(node.name)
        behind[node.name] = found if gate is None else found * _group_size(graph, node.name, gate)
    return {
        name: max((behind.get(user, 1) for user in users if user not in analysis.populations), default=1)
        for name, users in analysis.consumers.items()
        if name in analysis.populations
    }


def _group_size(graph: Graph, gate: str, operator: MaximumOperator) -> int:
    node = graph.nodes[gate]
    kernel = operator.kernel(node)
    if kernel is not None:
        return math.prod(kernel)
    source = graph.nodes.get(next(node.refs()))
    before, after = None if source is None else source.shape, node.shape  # in front of an input there is no population
    return -(-math.prod(before) // max(math.prod(after), 1)) if before and after else 1
