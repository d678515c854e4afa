"""Inlining: the operations of one graph of torch, copied into another in the place of a node."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch.fx import Graph
from torch.fx import Node as FxNode
from torch.fx.node import map_arg


def inlined(inner: Graph, graph: Graph, given: Sequence[Any]) -> Any:
    """What ``inner`` returns for what it is ``given``, by copies of its nodes in ``graph``."""
    arguments, values = iter(given), dict[FxNode, Any]()
    for node in inner.nodes:
        if node.op == "placeholder":
            values[node] = next(arguments)
        elif node.op != "output":
            values[node] = graph.node_copy(node, values.__getitem__)
    return map_arg(inner.output_node().args[0], values.__getitem__)
