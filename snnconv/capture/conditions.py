"""Choices by a comparison with a constant that do not jump are leaky ReLUs, however they are written."""

from __future__ import annotations

import math
from typing import NamedTuple

from snnconv.capture.expansion import expanded, uniform_number
from snnconv.graph.graph import Argument, Graph, Node, Ref

_ABOVE, _BELOW = {"gt", "ge"}, {"lt", "le"}
_CASTS = {"to", "_to_copy", "type_as", "whole_cast"}


class _Line(NamedTuple):
    """slope * x + offset of a signal x; the slope may be a constant tensor."""

    slope: float | Ref
    offset: float


def conditions_as_leaky_relu(graph: Graph) -> Graph:
    """``where(x > c, p, q)`` with lines p and q in x that meet at c, ``x * (x > 0)`` and filled masks as leaky ReLU.

    With y = x - c and slopes s above and t below, it is p(c) + s * leaky_relu(y, t / s), or p(c) - t * relu(-y) where
    s is 0. What jumps at c stays what it is, and is refused.
    """

    def expand(node: Node) -> list[Node]:
        found = _choice(graph, node)
        if found is None:
            return [node]
        signal, threshold, above, below = found
        if above == _Line(1.0, 0.0) and isinstance(below.slope, Ref) and threshold == 0 == below.offset:
            return [_again(node, "_prelu_kernel", {"self": signal, "weight": below.slope})]
        if isinstance(above.slope, Ref) or isinstance(below.slope, Ref):
            return [node]
        meeting = above.slope * threshold + above.offset
        if not math.isclose(meeting, below.slope * threshold + below.offset, rel_tol=1e-6, abs_tol=1e-12):
            return [node]
        return _leaky(node, signal, threshold, above.slope, below.slope, meeting)

    return expanded(graph, expand).without_dead_nodes()


def _leaky(node: Node, x: Ref, threshold: float, above: float, below: float, meeting: float) -> list[Node]:
    nodes: list[Node] = []

    def step(op: str, arguments: dict[str, Argument]) -> Ref:
        nodes.append(_again(node, op, arguments, f"{node.name}_step{len(nodes)}"))
        return Ref(nodes[-1].name)

    if above != 0:
        x = x if threshold == 0 else step("sub", {"self": x, "other": threshold, "alpha": 1})
        x = step("leaky_relu", {"self": x, "negative_slope": below / above})
    else:
        x = step("rsub", {"self": x, "other": threshold, "alpha": 1})
        x = step("relu", {"self": x})
    factor = above or -below
    x = x if factor == 1 else step("mul", {"self": x, "other": factor})
    if meeting != 0:
        step("add", {"self": x, "other": meeting, "alpha": 1})
    return [*nodes[:-1], _again(node, nodes[-1].op, nodes[-1].arguments)]


def _again(node: Node, op: str, arguments: object, name: str = "") -> Node:
    return Node(name or node.name, op, arguments, source=node.source)  # type: ignore[arg-type]


def _choice(graph: Graph, node: Node) -> tuple[Ref, float, _Line, _Line] | None:
    """The signal, the threshold, and the lines above and below it, of a node that chooses by a comparison."""
    arguments = node.arguments
    if node.op == "where":
        condition, chosen, other = arguments["condition"], arguments["self"], arguments["other"]
    elif node.op == "masked_fill":
        condition, chosen, other = arguments["mask"], arguments["value"], arguments["self"]
    elif node.op == "mul":
        condition, chosen, other = arguments["other"], arguments["self"], 0.0
        if _compared(graph, condition) is None:
            condition, chosen = chosen, condition
    else:
        return None
    compared = _compared(graph, condition)
    if compared is None:
        return None
    signal, threshold, above = compared
    lines = _line(graph, chosen, signal), _line(graph, other, signal)
    if lines[0] is None or lines[1] is None:
        return None
    return (signal, threshold, lines[0], lines[1]) if above else (signal, threshold, lines[1], lines[0])


def _compared(graph: Graph, condition: Argument) -> tuple[Ref, float, bool] | None:
    """The signal and the number that a mask compares, and whether it holds above the number."""
    node = graph.nodes.get(condition.name) if isinstance(condition, Ref) else None
    while node is not None and node.op in _CASTS:
        node = graph.nodes.get(node.arguments["self"].name)
    if node is None or node.op not in _ABOVE | _BELOW:
        return None
    left, right = node.arguments["self"], node.arguments["other"]
    signals, above = graph.signals(), node.op in _ABOVE
    if left.name not in signals:
        left, right, above = right, left, not above
    number = _number(graph, right)
    if not isinstance(left, Ref) or left.name not in signals or number is None:
        return None
    return left, number, above


def _line(graph: Graph, value: Argument, signal: Ref) -> _Line | None:
    """``value`` as a line in ``signal``; ``None`` where it is another function, or not known to be one."""
    if value == signal:
        return _Line(1.0, 0.0)
    number = _number(graph, value)
    if number is not None:
        return _Line(0.0, number)
    node = graph.nodes.get(value.name) if isinstance(value, Ref) else None
    if node is None or "self" not in node.arguments:
        return None
    if node.op == "neg":
        inner = _line(graph, node.arguments["self"], signal)
        return None if inner is None or isinstance(inner.slope, Ref) else _Line(-inner.slope, -inner.offset)
    if node.op not in ("mul", "div", "add", "sub", "rsub") or node.arguments.get("alpha", 1) != 1:
        return None
    one, other = node.arguments["self"], node.arguments["other"]
    if node.op == "rsub":
        one, other = other, one
    if node.op == "mul" and signal in (one, other):
        factor = other if one == signal else one
        if isinstance(factor, Ref) and factor.name in graph.constants and _number(graph, factor) is None:
            return _Line(factor, 0.0)
    left, right = _line(graph, one, signal), _line(graph, other, signal)
    if left is None or right is None or isinstance(left.slope, Ref) or isinstance(right.slope, Ref):
        return None
    if node.op == "add":
        return _Line(left.slope + right.slope, left.offset + right.offset)
    if node.op in ("sub", "rsub"):
        return _Line(left.slope - right.slope, left.offset - right.offset)
    if node.op == "mul" and left.slope == 0:
        return _Line(right.slope * left.offset, right.offset * left.offset)
    if right.slope != 0 or (node.op == "div" and right.offset == 0):
        return None
    by = right.offset if node.op == "mul" else 1 / right.offset
    return _Line(left.slope * by, left.offset * by)


def _number(graph: Graph, value: Argument) -> float | None:
    """The number that ``value`` is, unless its shape might spread a signal."""
    tensor = graph.constants.get(value.name) if isinstance(value, Ref) else None
    return None if tensor is not None and tensor.numel() > 1 else uniform_number(graph, value)
