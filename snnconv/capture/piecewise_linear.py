"""Functions made of straight pieces become populations in ReLU form between affine maps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from snnconv.capture.expansion import expanded, sums_currents, uniform_number
from snnconv.graph.analysis import analysis_of
from snnconv.graph.graph import Argument, Graph, Node, Ref
from snnconv.graph.operators import OPERATORS, Role
from snnconv.graph.operators.activation import Clamp
from snnconv.graph.operators.piecewise_linear import Extremum, Prelu

#: A bound of a clipping function: a number, a constant or a signal; none where it is open.
Bound = Argument


def piecewise_linear_as_relu(graph: Graph) -> Graph:
    """Every function of straight pieces as what relu, bounded_relu and leaky_relu make of it.

    max(x, a) = a + relu(x - a), min(x, b) = b - relu(b - x), and what is clipped to [a, b] is one bounded population;
    any slope below zero is relu(x) - slope * relu(-x), unless it lies in [0, 1] and is the same for all channels. Of
    two signals the one that is added in max(x, y) = y + relu(x - y) is carried by spikes: where it is a sum of currents
    a population of signed neurons relays it, so that no current passes by a population.
    """
    added: dict[str, Tensor] = {}
    parameters = set(graph.parameters)

    def expand(node: Node) -> list[Node]:
        if analysis_of(graph).role(node.name) is not Role.ACTIVATION:
            return [node]
        pieces = _Pieces(graph, node)
        pieces.build()
        added.update(pieces.constants)
        if not graph.parameters.isdisjoint(node.refs()):
            parameters.update(pieces.constants)
        return pieces.nodes or [node]

    nodes = expanded(graph, expand).nodes
    return replace(graph, nodes=nodes, constants={**graph.constants, **added}, parameters=frozenset(parameters))


class _Pieces:
    """The nodes that together compute what one node does; the last of them has its name. None where it stays."""

    def __init__(self, graph: Graph, node: Node) -> None:
        self.graph, self.node = graph, node
        self.nodes: list[Node] = []
        self.constants: dict[str, Tensor] = {}
        self.signals = analysis_of(graph).signals

    def build(self) -> None:
        """Fill ``nodes`` and the ``constants`` that they use."""
        node, arguments = self.node, self.node.arguments
        operator, values = OPERATORS[node.op], arguments["self"]
        if isinstance(operator, Clamp):
            self._clip(values, *operator.bounds(arguments))
        elif isinstance(operator, Extremum):
            self._extremum(values, arguments["other"], larger=node.op.endswith("max") or node.op == "maximum")
        elif isinstance(operator, Prelu):
            self._prelu(operator, values, arguments["weight"])
        elif node.op == "rrelu":
            self._leaky(values, (arguments["lower"] + arguments["upper"]) / 2)
        elif node.op == "leaky_relu" and not 0.0 < arguments["negative_slope"] <= 1.0:
            self._leaky(values, arguments["negative_slope"])
        elif node.op == "abs":
            self._add(self._relu(values), self._relu(self._negative(values)))
        elif node.op == "softshrink":
            above = self._relu(self._subtract(values, arguments["lambd"]))
            self._subtract(above, self._relu(self._subtract(self._negative(values), arguments["lambd"])))
        elif node.op == "hardsigmoid":
            self._bounded(self._add(self._scale(values, 1 / 6), 0.5), 1.0)
        if self.nodes:
            self.nodes[-1] = replace(self.nodes[-1], name=node.name, shape=node.shape)

    def _leaky(self, values: Ref, slope: float) -> Ref:
        if slope == 0.0:
            return self._relu(values)
        if 0.0 < slope <= 1.0:
            return self._node("leaky_relu", {"self": values, "negative_slope": slope})
        return self._two_slopes(values, slope)

    def _two_slopes(self, values: Ref, slope: Argument) -> Ref:
        return self._subtract(self._relu(values), self._scale(self._relu(self._negative(values)), slope))

    def _prelu(self, operator: Prelu, values: Ref, weight: Ref) -> Ref:
        slopes = self.graph.constants.get(weight.name)
        if slopes is None:  # made for the size of the batch
            return self._two_slopes(values, weight)
        uniform = uniform_number(self.graph, weight)
        if uniform is not None:
            return self._leaky(values, uniform)
        assert self.node.shape is not None
        return self._two_slopes(values, self._constant("slopes", operator.slopes(slopes, len(self.node.shape))))

    def _extremum(self, one: Ref, other: Ref, larger: bool) -> Ref:
        if not {one.name, other.name} <= self.signals:
            values, bound = (one, other) if one.name in self.signals else (other, one)
            return self._clip(values, bound, None) if larger else self._clip(values, None, bound)
        if sums_currents(self.graph, [other.name]):
            one, other = other, one
        if sums_currents(self.graph, [other.name]):
            other = self._node("identity_population", {"self": other})
        if larger:
            return self._add(self._relu(self._subtract(one, other)), other)
        return self._subtract(other, self._relu(self._subtract(other, one)))

    def _clip(self, values: Ref, lower: Bound, upper: Bound) -> Ref:
        values, lower, upper = self._joined(values, self._plain(values, lower), self._plain(values, upper))
        if upper is None:
            return self._raised(values, lower)
        if lower is None:
            return self._subtract(upper, self._relu(self._subtract(upper, values)))
        width = self._width(lower, upper)
        if width is None:
            return self._clip(self._raised(values, lower), None, upper)
        above = values if lower == 0 else self._subtract(values, lower)
        if isinstance(width, Tensor):
            share = self._scale(above, self._constant("inverse_width", 1 / width))
            active = self._scale(self._bounded(share, 1.0), self._constant("width", width))
        else:
            active = self._bounded(above, width)
        return active if lower == 0 else self._add(active, lower)

    def _raised(self, values: Ref, lower: Bound) -> Ref:
        if lower == 0:
            return self._relu(values)
        return self._add(self._relu(self._subtract(values, lower)), lower)

    def _width(self, lower: Bound, upper: Bound) -> float | Tensor | None:
        """Distance of two constant bounds; none where it is not known to be above zero everywhere."""
        low, high = (self.graph.constants.get(each.name) if isinstance(each, Ref) else each for each in (lower, upper))
        if low is None or high is None:
            return None
        width: float | Tensor = high - low
        return width if bool((torch.as_tensor(width, dtype=torch.float64) > 0).all()) else None

    def _joined(self, values: Ref, lower: Bound, upper: Bound) -> tuple[Ref, Bound, Bound]:
        """Both bounds of what is clipped on one side, and before, for this use alone, on the other side."""
        before = self.graph.nodes.get(values.name)
        analysis = analysis_of(self.graph)
        if (lower is None) == (upper is None) or before is None or analysis.role(before.name) is not Role.ACTIVATION:
            return values, lower, upper
        inner, low, high = self._bounds(before)
        if inner is None or analysis.consumers[before.name] != (self.node.name,):
            return values, lower, upper
        if lower is None and low is not None and high is None and self._width(low, upper) is not None:
            return inner, low, upper
        if upper is None and high is not None and low is None and self._width(lower, high) is not None:
            return inner, lower, high
        return values, lower, upper

    def _bounds(self, node: Node) -> tuple[Ref | None, Bound, Bound]:
        """What a clipping node clips, and its constant bounds; ``None`` for any other node."""
        operator, values = OPERATORS[node.op], node.arguments["self"]
        if node.op == "relu":
            return values, 0.0, None
        if isinstance(operator, Clamp):
            lower, upper = operator.bounds(node.arguments)
            return values, self._plain(values, lower), self._plain(values, upper)
        if not isinstance(operator, Extremum):
            return None, None, None
        bound = node.arguments["other"]
        if values.name not in self.signals:
            values, bound = bound, values
        if bound.name in self.signals:
            return None, None, None
        bound = self._plain(values, bound)
        return (values, bound, None) if node.op in ("maximum", "fmax") else (values, None, bound)

    def _plain(self, values: Ref, bound: Bound) -> Bound:
        """``bound`` as a number where it is one, repeated, that gives the result no other shape than ``values``."""
        if not isinstance(bound, Ref):
            return bound
        own = self.graph.nodes.get(values.name)
        if own is not None and own.shape != self.node.shape:
            return bound
        number = uniform_number(self.graph, bound)
        return bound if number is None else number

    def _relu(self, values: Argument) -> Ref:
        return self._node("relu", {"self": values})

    def _bounded(self, values: Ref, maximum: float) -> Ref:
        return self._node("bounded_relu", {"self": values, "maximum": float(maximum)})

    def _negative(self, values: Ref) -> Ref:
        return self._node("neg", {"self": values})

    def _scale(self, values: Ref, by: Argument) -> Ref:
        return self._node("mul", {"self": values, "other": by})

    def _add(self, values: Ref, other: Argument) -> Ref:
        return self._node("add", {"self": values, "other": other, "alpha": 1})

    def _subtract(self, values: Argument, other: Argument) -> Ref:
        if not isinstance(values, Ref):
            return self._node("rsub", {"self": other, "other": values, "alpha": 1})
        return self._node("sub", {"self": values, "other": other, "alpha": 1})

    def _node(self, op: str, arguments: Mapping[str, Any]) -> Ref:
        name = f"{self.node.name}_part{len(self.nodes)}"
        self.nodes.append(Node(name, op, arguments, source=self.node.source))
        return Ref(name)

    def _constant(self, what: str, tensor: Tensor) -> Ref:
        name = f"{self.node.name}.{what}"
        self.constants[name] = tensor
        return Ref(name)
