"""Divisions move behind products: a weighted mean is a sum of products, divided by the sum of the weights."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

from snnconv.capture.expansion import expanded
from snnconv.capture.quotients import RATIO
from snnconv.graph.graph import Graph, Node, Ref
from snnconv.graph.operators import OPERATORS
from snnconv.graph.operators.affine import MatrixProduct
from snnconv.graph.operators.shape import Permute, View

#: Along which axis a matrix product sums, by the place of the operand.
_SUMMED = (-1, -2)


def divisions_behind_products(graph: Graph) -> Graph:
    """``(e / z) @ v`` of signals as ``(e @ v) / z``, where z is one number along the axis that the product sums over.

    Views and permutations between the quotient and the product are followed. So the softmax of attention divides what
    it weighs, once for each sum, and not the weights.
    """
    signals = graph.signals()

    def expand(node: Node) -> Iterable[Node]:
        if not isinstance(OPERATORS.get(node.op), MatrixProduct) or len(node.arguments) != 2:
            return [node]
        left, right = node.arguments.values()
        shapes = [graph.nodes[each.name].shape if each.name in graph.nodes else None for each in (left, right)]
        if not {left.name, right.name} <= signals or any(shape is not None and len(shape) < 2 for shape in shapes):
            return [node]  # of a vector the result has an axis less, along which divisors lie
        for key, operand, axis in zip(node.arguments, (left, right), _SUMMED, strict=True):
            found = _Undivided(graph, f"{node.name}_{key}").of(operand, axis)
            if found is not None:
                values, divisor, nodes = found
                total = replace(node, name=f"{node.name}_sum", arguments={**node.arguments, key: values})
                quotient = {"self": Ref(total.name), "divisor": divisor}
                return [*nodes, total, replace(node, op=RATIO, arguments=quotient)]
        return [node]

    return expanded(graph, expand).without_dead_nodes()


class _Undivided:
    """An operand without its division, by nodes that are called ``name`` and counted."""

    def __init__(self, graph: Graph, name: str) -> None:
        self._graph, self._name = graph, name
        self._nodes: list[Node] = []

    def of(self, operand: Ref, axis: int) -> tuple[Ref, Ref, list[Node]] | None:
        """What is divided, by what, and new nodes; ``None`` unless the divisor is one number along ``axis``."""
        found = self._followed(operand, axis)
        return None if found is None else (*found, self._nodes)

    def _followed(self, operand: Ref, axis: int) -> tuple[Ref, Ref] | None:
        node = self._graph.nodes.get(operand.name)
        if node is None or node.shape is None:
            return None
        axis %= len(node.shape)
        if node.op == RATIO:
            values, divisor = node.arguments["self"], node.arguments["divisor"]
            return (values, divisor) if self._is_single(divisor, axis, len(node.shape)) else None
        before = self._graph.nodes.get(node.arguments["self"].name) if "self" in node.arguments else None
        if before is None or before.shape is None or len([*node.refs()]) == 0:
            return None
        operator = OPERATORS[node.op]
        if isinstance(operator, Permute):
            order = [operator.channel_axis(node, place, before.shape) for place in range(len(before.shape))]
            inner = self._followed(Ref(before.name), order.index(axis))
            return None if inner is None else (self._again(node, inner[0]), self._again(node, inner[1]))
        place = _same_axis(before.shape, node.shape, axis)
        if (isinstance(operator, View) or node.op == "expand") and place is not None:
            inner = self._followed(Ref(before.name), place)
            narrow = self._narrow(node, axis)
            return None if inner is None else (self._again(node, inner[0]), self._again(narrow, inner[1]))
        return None

    def _is_single(self, divisor: Ref, axis: int, axes: int) -> bool:
        node = self._graph.nodes.get(divisor.name)
        if node is None:
            return False
        if node.shape is not None:
            return len(node.shape) == axes and node.shape[axis] == 1
        given = node.arguments  # a sum that this capture made
        return node.op == "sum" and given["keepdim"] and [dim % axes for dim in given["dim"]] == [axis]

    def _again(self, node: Node, values: Ref) -> Ref:
        name = f"{self._name}{len(self._nodes)}"
        before = node.arguments["self"].name
        again = node.mapped(lambda ref: values if ref.name == before else ref)
        self._nodes.append(replace(again, name=name))
        return Ref(name)

    def _narrow(self, node: Node, axis: int) -> Node:
        """``node`` for a divisor, which has length 1 along ``axis`` of the result."""
        given = dict(node.arguments)
        key = next((key for key in ("size", "shape", "sizes") if key in given), None)
        if key is not None and node.op != "unflatten":
            given[key] = [1 if place == axis else size for place, size in enumerate(given[key])]
        return replace(node, arguments=given)


def _same_axis(before: tuple[int, ...], after: tuple[int, ...], axis: int) -> int | None:
    """Which axis of ``before`` a view made ``axis`` of ``after`` of, if it is one alone."""
    behind = math.prod(after[axis + 1 :])
    for place, size in enumerate(before):
        if size == after[axis] and math.prod(before[place + 1 :]) == behind:
            return place
    return None
