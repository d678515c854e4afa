"""Operators that say with other words what a registered operator says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import replace

from snnconv.capture.expansion import expanded
from snnconv.graph.graph import Argument, Graph, Node, Ref


def synonyms_replaced(graph: Graph) -> Graph:
    """``max`` and ``min`` of two tensors, ``amin`` as -amax(-x), instance norm by running statistics as batch norm.

    And a linear layer whose weights are a signal, as a product of two signals.
    """
    signals = graph.signals()
    return expanded(graph, lambda node: _plainer(node, signals))


def _plainer(node: Node, signals: Set[str]) -> Iterable[Node]:
    arguments = node.arguments
    if node.op == "linear" and arguments["weight"].name in signals:
        return _product(node, arguments["weight"], arguments["bias"])
    if node.op in ("_softmax", "_log_softmax") and not arguments["half_to_float"]:
        return [replace(node, op=node.op[1:], arguments={**_without(arguments, "half_to_float"), "dtype": None})]
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
        others = _without(arguments, "use_input_stats")
        return [replace(node, op="batch_norm", arguments={**others, "training": False})]
    return [node]


def _without(arguments: Mapping[str, Argument], name: str) -> dict[str, Argument]:
    return {key: value for key, value in arguments.items() if key != name}


def _product(node: Node, weight: Ref, bias: Ref | None) -> list[Node]:
    turned, product = f"{node.name}_turned", node.name if bias is None else f"{node.name}_product"
    factors = {"self": node.arguments["input"], "other": Ref(turned)}
    nodes = [
        replace(node, name=turned, op="t", arguments={"self": weight}),
        replace(node, name=product, op="matmul", arguments=factors),
    ]
    if bias is not None:
        nodes.append(replace(node, op="add", arguments={"self": Ref(product), "other": bias, "alpha": 1}))
    return nodes
