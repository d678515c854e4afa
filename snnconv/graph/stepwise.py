"""A causal network for some positions of its sequence at a time.

Operators that take every position by itself run on NEW positions, those that a step is given. Where two signals are
paired by their positions (queries with keys, weights with values), one of them is taken at ALL positions: what leads to
it from the last populations is computed again, on what these have sent so far.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from torch import Tensor

from snnconv.data.shapes import BATCH as SAMPLE_AXIS
from snnconv.data.shapes import concrete
from snnconv.errors import ConfigurationError
from snnconv.graph.causality import PICKING
from snnconv.graph.graph import Graph, Node, Ref, refs_in
from snnconv.graph.operators import OPERATORS
from snnconv.graph.operators.activation import ActivationOperator
from snnconv.graph.operators.affine import Linear, MatrixProduct
from snnconv.graph.operators.choice import MaskedScores
from snnconv.graph.operators.look_up import Embedding, OneHot
from snnconv.graph.operators.shape import Permute, View
from snnconv.graph.positions import ALL, BATCH, NEW, OTHER, Axes, is_joined, kinds, viewed
from snnconv.graph.step_nodes import COUNT, END, SAMPLES, StepNodes, Stored, refuse, step_numbers

#: Operators along the axes that ``dim`` names: those that may drop these axes, and those that keep them.
_DROPPING = frozenset({"sum", "mean", "amax", "masked_amax", "argmax", "argmin", "select", "unbind"})
_KEEPING = frozenset(
    {"softmax", "_safe_softmax", "log_softmax", "cumsum", "slice", "narrow", "split", "split_with_sizes", "chunk"}
    | {"tensor_split", "cat", "roll", "flip", "index_select"}
)


class Stepwise(NamedTuple):
    """A causal graph for some positions at a time (see ``stepwise``).

    ``graph`` has the nodes of the original by name, further ones, a further input for each of ``stored``, by name, and
    the constants of ``step_numbers``. ``axes`` tell what every axis of a signal is.
    """

    graph: Graph
    axes: dict[str, Axes]
    stored: dict[str, Stored]


def stepwise(graph: Graph, length: int) -> Stepwise:
    """``graph``, whose inputs have ``length`` positions on axis 1, for some of these positions at a time.

    Raises ``ConfigurationError`` where an earlier position could depend on a later one, and for what is not understood.
    """
    swapped: frozenset[str] = frozenset()
    while True:
        try:
            return _Steps(graph, length, swapped).made()
        except _OtherOperandError as found:
            swapped |= {found.product}


class _OtherOperandError(Exception):
    """The positions that are reduced are those of the operand that ``product`` takes at NEW positions."""

    def __init__(self, product: str) -> None:
        self.product = product


class _Steps(StepNodes):
    """Nodes for some positions at a time: what every operator makes of the axes of its operands."""

    def made(self) -> Stepwise:
        graph, inner = self.graph, self.graph.front
        front = None if inner is None else _Steps(inner, self.length, frozenset()).made()
        made_in_front = [] if front is None else [*refs_in(front.graph.output)]
        for place, (name, shape) in enumerate(graph.inputs.items()):
            self.shapes[name] = concrete(shape, {SAMPLE_AXIS: 2})
            if front is None:
                self.axes[name] = (BATCH, NEW, *[OTHER] * (len(shape) - 2))
            else:
                self.axes[name] = front.axes[made_in_front[place]]
        for node in graph.nodes.values():
            if node.name in self.signals:
                self.place(node)
            else:
                self._fix(node)
        for name in refs_in(graph.output):
            axes = self.axes.get(name, ())
            if axes.count(NEW) != 1 or ALL in kinds(axes) or any(map(is_joined, axes)):
                raise ConfigurationError(
                    f"the output {name} has not one entry for every position, as a decoder gives them: convert a model "
                    "that returns the scores of all positions"
                )
        inputs = dict(graph.inputs)
        for name, (source, axis) in self.stored.items():
            sizes = [0 if place == axis else size for place, size in enumerate(self.shapes[source])]
            inputs[name] = (SAMPLE_AXIS, *sizes[1:])
        constants = {**graph.constants, **step_numbers(0, self.length, 1)}
        whole = replace(
            graph, inputs=inputs, constants=constants, nodes=self.nodes, front=None if front is None else front.graph
        )
        return Stepwise(whole, self.axes, self.stored)

    def _fix(self, node: Node) -> None:
        """Add ``node``, which carries no signal and may read the size of one."""
        for name in self.operands(node):
            at = node.arguments["dim"] if node.op == "sym_size" else None
            if at is None or self.axes[name][at] not in (BATCH, OTHER):
                refuse(node, "reads the number of positions")
        self.nodes[node.name] = node

    def place(self, node: Node) -> None:
        """Add ``node``, whose operands are placed."""
        operator = OPERATORS[node.op]
        if isinstance(operator, View):
            placed, axes = self._viewed(node)
        elif isinstance(operator, Permute):
            placed, axes = self._permuted(node, operator)
        elif node.op == "expand":
            placed, axes = self._expanded(node)
        elif isinstance(operator, MatrixProduct):
            placed, axes = self._multiplied(node)
        elif isinstance(operator, Linear):
            placed, axes = self._along(node, [-1])
        elif isinstance(operator, (Embedding, OneHot)):
            placed, axes = node, (*self.axes[self.operands(node)[0]], OTHER)
        elif node.op == "getitem":
            placed, axes = node, self.axes[node.arguments["self"].name]
        elif node.op in _DROPPING | _KEEPING:
            dims = node.arguments.get("dim")
            placed, axes = self._along(node, dims if isinstance(dims, (list, tuple)) else [dims])
        elif operator.pointwise or isinstance(operator, (ActivationOperator, MaskedScores)):
            placed, axes = self._pointwise(node)
        else:
            refuse(node, "is not understood along a sequence")
        sizes = placed.shape or ()
        if sizes and any(axis in (NEW, ALL) and size != self.length for axis, size in zip(axes, sizes, strict=True)):
            refuse(node, "has another number of positions than the input")
        if placed.name in self.stations and (axes[0] != BATCH or any(map(is_joined, axes))):
            refuse(node, "has spikes of several samples, or positions, on one axis")
        for name in self.operands(placed):
            if name in self.paired_by and NEW in axes and ALL in axes:
                self.paired_by.setdefault(placed.name, self.paired_by[name])
        self.nodes[placed.name], self.axes[placed.name], self.shapes[placed.name] = placed, axes, sizes

    def _viewed(self, node: Node) -> tuple[Node, Axes]:
        (source,) = self.operands(node)
        assert node.shape is not None
        found = viewed(self.axes[source], self.shapes[source], node.shape)
        if found is None:
            refuse(node, "is a view that is not understood along a sequence")
        given = {BATCH: Ref(SAMPLES), NEW: Ref(COUNT), ALL: Ref(END)}
        shape = [given.get(axis, -1 if is_joined(axis) else size) for axis, size in zip(found, node.shape, strict=True)]
        if shape.count(-1) > 1:
            refuse(node, "is a view that is not understood along a sequence")
        self.masks.carry(node, source)
        return replace(node, op="reshape", arguments={"self": Ref(source), "shape": shape}), found

    def _permuted(self, node: Node, operator: Permute) -> tuple[Node, Axes]:
        (source,) = self.operands(node)
        before, shape = self.axes[source], self.shapes[source]
        found = [OTHER] * len(before)
        for place, axis in enumerate(before):
            moved = operator.channel_axis(node, place, shape)
            assert moved is not None
            found[moved] = axis
        self.masks.carry(node, source)
        return node, tuple(found)

    def _expanded(self, node: Node) -> tuple[Node, Axes]:
        (source,) = self.operands(node)
        assert node.shape is not None
        axes = (*[OTHER] * (len(node.shape) - len(self.axes[source])), *self.axes[source])
        size = [size if axis == OTHER else -1 for axis, size in zip(axes, node.shape, strict=True)]
        self.masks.carry(node, source)
        return replace(node, arguments={**node.arguments, "size": size}), axes

    def _along(self, node: Node, dims: Sequence[int | None]) -> tuple[Node, Axes]:
        node, axes = self._concatenated(node) if node.op == "cat" else (node, self.axes[self.operands(node)[0]])
        source = self.operands(node)[0]
        if None in dims:
            refuse(node, "mixes positions, or samples")
        named = {dim % len(axes) for dim in dims if dim is not None}
        for dim in named:
            axis = axes[dim]
            if axis == OTHER or (node.op == "slice" and _takes_all(node, self.length)):
                continue
            if axis == NEW and source in self.paired_by and self.paired_by[source] not in self.swapped:
                raise _OtherOperandError(self.paired_by[source])
            if axis == NEW and node.op in ("select", "slice", "narrow", "index_select"):
                refuse(node, "reads some positions alone, and not all of them alike")
            if axis != ALL:
                refuse(node, "mixes positions, or samples")
            summed = node.op == "sum" and source in self.masks.zero_beyond
            if not summed and not (node.op == "masked_amax" and self.masks.forbid(node.arguments["allowed"], axes)):
                refuse(node, "takes in positions that come later: no mask forbids them")
        if node.op == "masked_amax":
            node = self.cut(node, axes, ["allowed"])
        if node.op in PICKING and ALL not in {axes[dim] for dim in named}:
            self.masks.carry(node, source)
        if node.op in _DROPPING:
            if node.arguments.get("keepdim"):
                return node, tuple(OTHER if place in named else axis for place, axis in enumerate(axes))
            return node, tuple(axis for place, axis in enumerate(axes) if place not in named)
        return node, axes

    def _concatenated(self, node: Node) -> tuple[Node, Axes]:
        node, axes = self.aligned(node, len(node.shape or ()))
        return self.cut(node, axes, ["tensors"]), axes

    def _pointwise(self, node: Node) -> tuple[Node, Axes]:
        node, axes = self.aligned(node, len(node.shape or ()))
        self.masks.note(node, axes)
        return self.cut(node, axes, [*node.arguments]), axes

    def _multiplied(self, node: Node) -> tuple[Node, Axes]:
        keys = [key for key, value in node.arguments.items() if isinstance(value, Ref)]
        left, right = (node.arguments[key].name for key in keys)
        if left not in self.axes or right not in self.axes:
            return self._weighted(node, left, right)
        rows, columns = self.axes[left][-2:], self.axes[right][-2:]
        if {rows[1], columns[0]} == {NEW, ALL}:
            return self._multiplied(self.with_whole(node, left if rows[1] == NEW else right))
        if rows[0] == columns[1] == NEW:
            self.paired_by[node.name] = node.name
            return self._multiplied(self.with_whole(node, left if node.name in self.swapped else right))
        if rows[1] != columns[0] or NEW in (rows[1], columns[0]) or any(map(is_joined, (*rows, *columns))):
            for name, reduced in ((left, rows[1]), (right, columns[0])):
                paired = self.paired_by.get(name)
                if reduced == NEW and paired is not None and paired not in self.swapped:
                    raise _OtherOperandError(paired)
            refuse(node, "sums over all positions")
        if rows[1] == ALL and self.masks.zero_beyond.isdisjoint((left, right)):
            refuse(node, "takes in positions that come later: no mask forbids them")
        axes = (*self.axes[left][:-2], rows[0], columns[1])
        if len(self.axes[left]) != len(self.axes[right]) or self.axes[left][:-2] != self.axes[right][:-2]:
            refuse(node, "is a product that is not understood along a sequence")
        return node, axes

    def _weighted(self, node: Node, left: str, right: str) -> tuple[Node, Axes]:
        """A product with a constant matrix, which sums up the last axis of a signal or the one before."""
        signal, constant, summed = (left, right, -1) if left in self.axes else (right, left, -2)
        value = self.masks.fixed[constant]
        if not isinstance(value, Tensor) or value.dim() != 2 or self.axes[signal][summed] != OTHER:
            refuse(node, "mixes positions with weights")
        return node, self.axes[signal]


def _takes_all(node: Node, length: int) -> bool:
    given = node.arguments
    ends = given["end"] is None or (isinstance(given["end"], int) and given["end"] >= length)
    return given["start"] in (None, 0) and ends and given["step"] == 1
