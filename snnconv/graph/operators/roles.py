"""Roles: what each operation of a graph is to the spiking network, and where sparse constants may not stand."""

from __future__ import annotations

from collections.abc import Set

from snnconv.graph.graph import Graph, Node
from snnconv.graph.operators.affine import MatrixProduct
from snnconv.graph.operators.base import OPERATORS, Classification, Role, carried
from snnconv.graph.operators.shape import Permute
from snnconv.graph.sparse import is_sparse


def classify(node: Node, signals: Set[str]) -> Classification:
    """Role of one node; nodes that no signal reaches are constants."""
    operator = OPERATORS.get(node.op)
    if operator is None:
        return Classification(
            Role.REFUSED,
            "the operator is not in the vocabulary",
            "write it with supported operators, or move it out of the model",
        )
    if node.name not in signals:
        return Classification(Role.CONSTANT)
    return operator.classify(node, carried(node, signals))


def misplaced(graph: Graph) -> list[Node]:
    """Nodes that take a sparse constant although they are no product with it, nor a transposition."""
    sparse = {name for name, tensor in graph.constants.items() if is_sparse(tensor)}
    found = []
    for node in graph.nodes.values():
        used = [name in sparse for name in node.refs()]
        operator = OPERATORS.get(node.op)
        if isinstance(operator, (MatrixProduct, Permute)):
            if used and all(used):
                sparse.add(node.name)
        elif any(used):
            found.append(node)
    return found
