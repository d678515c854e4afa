"""Operators that say with other words what a registered operator says."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Set
from dataclasses import replace

from snnconv.capture.expansion import expanded
from snnconv.graph.graph import Argument, Graph, Node, Ref
from snnconv.graph.operators import OPERATORS
from snnconv.graph.operators.base import per_axis
from snnconv.graph.operators.pooling import MaxPool


def synonyms_replaced(graph: Graph) -> Graph:
    """``max`` and ``min`` of two tensors, ``amin`` as -amax(-x), instance norm by running statistics as batch norm.

    A linear layer whose weights are a signal is a product of two signals, and padding by minus infinity in front of a
    max pooling that by the values of the border: where a window meets padding it holds the border next to it.
    """
    signals, users = graph.signals(), graph.consumers()

    def expand(node: Node) -> Iterable[Node]:
        if _pads_below_all(node) and all(_covers(graph.nodes.get(user), node) for user in users[node.name]):
            return [replace(node, op="pad", arguments={**node.arguments, "mode": "replicate", "value": None})]
        return _plainer(node, signals)

    return expanded(graph, expand)


def _pads_below_all(node: Node) -> bool:
    return node.op in ("pad", "constant_pad_nd") and node.arguments.get("value") == -math.inf


def _covers(node: Node | None, padding: Node) -> bool:
    """Whether ``node`` is a max pooling of which no window lies in the padding alone."""
    if node is None or not isinstance(OPERATORS.get(node.op), MaxPool) or "kernel_size" not in node.arguments:
        return False
    given, lengths = node.arguments, padding.arguments["pad"]
    number = len(lengths) // 2
    if min(lengths) < 0 or given.get("ceil_mode", False):  # whose last windows may begin in the padding
        return False
    return number == int(node.op[-2]) and all(
        max(lengths[2 * place : 2 * place + 2]) < per_axis(given["kernel_size"], number - 1 - place)
        and per_axis(given["dilation"], number - 1 - place) == 1
        for place in range(number)
    )


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
