"""Which pairs of positions are 0 wherever the key comes later than the query: what masks prove."""

from __future__ import annotations

from collections.abc import Set

import torch
from torch import Tensor

from snnconv.data.shapes import concrete
from snnconv.graph.graph import Argument, Graph, Node, Ref
from snnconv.graph.interpreter import Environment, Program
from snnconv.graph.positions import ALL, NEW, Axes

#: Operators that make 0 of a first operand that is 0, and those that only add up or pick what is.
_OF_ZERO = frozenset({"div", "neg", "ratio_population"})
PICKING = frozenset({"sum", "mean", "select", "slice", "index_select"})


class Masks:
    """The constants of a graph, and what they rule out in signals ``[..., NEW, ..., ALL, ...]``.

    ``fixed`` are the values of all that carries no signal, for one sample; ``zero_beyond`` names the signals that are 0
    wherever the one of ALL positions, of which there are ``length``, is later than the NEW one.
    """

    def __init__(self, graph: Graph, signals: Set[str], length: int) -> None:
        self.fixed, self.length = _fixed(graph, signals), length
        self.zero_beyond: set[str] = set()

    def note(self, node: Node, axes: Axes) -> None:
        """Find out whether the result of ``node``, which takes element by element, is 0 there."""
        if NEW in axes and ALL in axes and self._is_zero(node, axes):
            self.zero_beyond.add(node.name)

    def carry(self, node: Node, source: str) -> None:
        """The result of ``node`` is what it picks, or adds up, of ``source``."""
        if source in self.zero_beyond:
            self.zero_beyond.add(node.name)

    def forbid(self, constant: Argument, axes: Axes) -> bool:
        """Whether a constant, aligned with ``axes`` from the end, is 0, or false, there."""
        value = self.fixed.get(constant.name) if isinstance(constant, Ref) else None
        if not isinstance(value, Tensor) or axes.count(NEW) != 1 or axes.count(ALL) != 1:
            return False
        found = value.ne(0).view(*[1] * (len(axes) - value.dim()), *value.shape)
        new, every = axes.index(NEW), axes.index(ALL)
        sizes = [self.length if place in (new, every) else -1 for place in range(len(axes))]
        pairs = found.expand(sizes).movedim((new, every), (-2, -1))
        return not bool(pairs.triu(1).any())

    def _is_zero(self, node: Node, axes: Axes) -> bool:
        given = node.arguments
        if node.op == "where":
            return self._is_nothing(given["other"]) and self.forbid(given["condition"], axes)
        if node.op == "mul":
            factors = (each for each in given.values() if isinstance(each, Ref))
            return any(each.name in self.zero_beyond or self.forbid(each, axes) for each in factors)
        return node.op in _OF_ZERO and isinstance(given["self"], Ref) and given["self"].name in self.zero_beyond

    def _is_nothing(self, value: Argument) -> bool:
        found = self.fixed.get(value.name) if isinstance(value, Ref) else value
        if isinstance(found, Tensor):
            return not bool(found.any())
        return isinstance(found, (int, float)) and found == 0


def _fixed(graph: Graph, signals: Set[str]) -> Environment:
    fixed = [node for node in graph.nodes.values() if node.name not in signals]
    values: Environment = dict(graph.constants)
    for name in {name for node in fixed for name in node.refs()} & signals:  # their sizes are read
        shape = graph.inputs[name] if name in graph.inputs else graph.nodes[name].shape or ()
        values[name] = torch.empty((1, *concrete(shape[1:], {})), device="meta")
    Program(fixed, keep={node.name for node in fixed}).run(values)
    return {name: value for name, value in values.items() if name not in signals}
