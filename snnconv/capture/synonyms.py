"""Operators that say with other words what a registered operator says."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from snnconv.capture.expansion import expanded
from snnconv.graph.graph import Graph, Node, Ref


def synonyms_replaced(graph: Graph) -> Graph:
    """``max`` and ``min`` of two tensors, ``amin`` as -amax(-x), instance norm by running statistics as batch norm."""
    return expanded(graph, _plainer)


def _plainer(node: Node) -> Iterable[Node]:
    arguments = node.arguments
    if node.op in ("max", "min") and "other" in arguments:
        return [replace(node, op=f"{node.op}imum")]
    if node.op == "amin":
        negative, largest = f"{node.name}_negative", f"{node.name}_largest"
        return [
            replace(node, name=negative, op="neg", arguments={"self": arguments["self"]}),
            replace(node, name=largest, op="amax", arguments={**arguments, "self": Ref(negative)}),
            replace(node, op="neg", arguments={"self": Ref(largest)}),
        ]
    if node.op == "instance_norm" and not arguments["use_input_stats"]:
        others = {key: value for key, value in arguments.items() if key != "use_input_stats"}
        return [replace(node, op="batch_norm", arguments={**others, "training": False})]
    return [node]
