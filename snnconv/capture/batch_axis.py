"""The batch on an axis of its own, the first, where a model puts it elsewhere or folds it into heads or windows."""

from __future__ import annotations

import math
import sys
from collections.abc import Set
from dataclasses import replace
from typing import NamedTuple

from torch import Tensor

from snnconv.data.shapes import BATCH
from snnconv.graph.graph import SHAPE_ONLY, Argument, Graph, Node, Ref, map_refs, refs_in
from snnconv.graph.operators import OPERATORS, Role
from snnconv.graph.operators.affine import BatchNorm, Convolution, Linear, MatrixProduct, TransposedConvolution
from snnconv.graph.operators.indexing import Index
from snnconv.graph.operators.pooling import AdaptiveAveragePool, AveragePool, MaxPool
from snnconv.graph.operators.roles import classify
from snnconv.graph.operators.shape import Permute, View

#: Operators that work along axes that an argument names, by the argument; and those that add or drop such an axis.
_ALONG = {
    **dict.fromkeys(("sum", "mean", "amax"), "dim"),
    **dict.fromkeys(
        ("softmax", "_safe_softmax", "log_softmax", "cumsum", "slice", "narrow", "select", "unbind"), "dim"
    ),
    **dict.fromkeys(("split", "split_with_sizes", "chunk", "tensor_split", "cat"), "dim"),
    **dict.fromkeys(("roll", "flip"), "dims"),
}
#: Operators whose result is a list.
_LISTS = frozenset({"unbind", "split", "split_with_sizes", "chunk", "tensor_split"})
#: Affine operators that take every row of the first axis by itself, and poolings, which take every channel by itself.
_BY_ROWS = (Convolution, TransposedConvolution, BatchNorm)
_BY_CHANNELS = (MaxPool, AveragePool, AdaptiveAveragePool)
_PADS = frozenset({"pad", "constant_pad_nd"})


class _Layout(NamedTuple):
    """Where the batch is: on this ``axis`` of ``shape``, between ``before`` and ``behind`` places folded with it."""

    shape: tuple[int, ...]
    axis: int
    before: int = 1
    behind: int = 1

    @property
    def plain(self) -> bool:
        return self.axis == 0 and self.before == self.behind == 1

    @property
    def folded(self) -> tuple[int, ...]:
        """Lengths of the axes that stand for this one once the batch has left it."""
        return tuple(size for size in (self.before, self.behind) if size != 1)

    @property
    def inner_shape(self) -> tuple[int, ...]:
        """The shape once the batch comes first."""
        return (2, *self.shape[: self.axis], *self.folded, *self.shape[self.axis + 1 :])

    def inner(self, axis: int) -> int:
        """Which axis ``axis`` is where the batch comes first; it is not that of the batch."""
        return axis + 1 if axis < self.axis else axis + len(self.folded)


class _NoRuleError(Exception):
    """Nothing is known of an operation where the batch is not on the first axis."""


def batch_first(graph: Graph) -> Graph:
    """``graph`` with all that is no affine map computed with the batch on the first axis, by itself.

    As far as views, permutations, products of matrices, sums, and functions along other axes lead: ``[n * heads,
    tokens, width]`` becomes ``[n, heads, tokens, width]``. Where anything else takes a folded tensor, it gets one. A
    graph in which only affine maps have the batch elsewhere stays as it is.
    """
    if graph.batch_axis != 0 or not graph.inputs or not all(shape[:1] == (BATCH,) for shape in graph.inputs.values()):
        return graph
    moved = _Moved(graph)
    moved.run()
    if not moved.stations:
        return graph
    constants = {**graph.constants, **moved.constants}
    output = map_refs(graph.output, moved.as_written)
    return replace(graph, nodes=moved.nodes, constants=constants, output=output).without_dead_nodes()


class _Moved:
    """The nodes of a graph with the batch first, and whether stations among them had it elsewhere.

    ``layouts`` says where results have the batch, as far as is known; of a list of tensors, where each of them has it.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.signals = graph.signals()
        self.nodes: dict[str, Node] = {}
        self.constants: dict[str, Tensor] = {}
        self.stations = False
        self.layouts = {name: _Layout((2, *(1,) * (len(shape) - 1)), 0) for name, shape in graph.inputs.items()}

    def run(self) -> None:
        """Rewrite all nodes in order."""
        for node in self.graph.nodes.values():
            taken = [name for name in node.refs() if name in self.signals]
            layouts = [self.layouts[name] for name in taken if name in self.layouts]
            self.nodes[node.name] = node
            if len(layouts) < len(taken) or not taken or node.op in SHAPE_ONLY:
                self._keep(node)
                continue
            try:
                self.nodes[node.name] = self._rewritten(node, layouts)
            except _NoRuleError:
                self._keep(node)
                continue
            if not all(each.plain for each in layouts):
                role = classify(node, self.signals).role
                self.stations |= role not in (Role.LINEAR, Role.SELECTION)

    def _keep(self, node: Node) -> None:
        del self.nodes[node.name]
        kept = node.mapped(self.as_written)  # makes nodes that stand before this one
        self.nodes[node.name] = kept

    def as_written(self, ref: Ref) -> Ref:
        """What stands for a result with the batch where the model has it."""
        layout = self.layouts.get(ref.name)
        if layout is None or layout.plain:
            return ref
        name, moved = f"{ref.name}_written", f"{ref.name}_moved"
        if name not in self.nodes:
            source = self.graph.nodes[ref.name].source
            ahead = layout.axis + (layout.before != 1)
            dims = [*range(1, ahead + 1), 0, *range(ahead + 1, len(layout.shape) + len(layout.folded))]
            shape = [-1 if place == layout.axis else size for place, size in enumerate(layout.shape)]
            self.nodes[moved] = Node(moved, "permute", {"self": ref, "dims": dims}, None, source)
            self.nodes[name] = Node(name, "reshape", {"self": Ref(moved), "shape": shape}, layout.shape, source)
        return Ref(name)

    def _rewritten(self, node: Node, layouts: list[_Layout]) -> Node:
        """``node`` with the batch first; raises ``_NoRuleError`` where nothing is known of it."""
        first, operator = layouts[0], OPERATORS.get(node.op)
        if isinstance(operator, View):
            return self._view(node, first)
        if isinstance(operator, Permute):
            return self._permuted(node, operator, first)
        if node.op == "getitem":
            return self._same(node, first)
        if any(each[1:] != first[1:] or len(each.shape) != len(first.shape) for each in layouts) and not all(
            each.plain for each in layouts
        ):
            raise _NoRuleError
        if node.op in _ALONG:
            return self._along(node, first)
        if all(layout.plain for layout in layouts):
            if node.shape is None or node.shape[:1] != (2,) or node.op == "stack":
                raise _NoRuleError
            return self._same(node, first)
        axes = len(first.shape)
        if isinstance(operator, Linear) and first.axis < axes - 1:
            return self._same(node, first)
        if isinstance(operator, MatrixProduct) and len(layouts) == 2 and first.axis < axes - 2:
            return replace(self._same(node, first), op="matmul")
        if node.op == "layer_norm" and first.axis < axes - len(node.arguments["normalized_shape"]):
            return self._same(node, first)
        if node.op in _PADS and first.axis < axes - len(node.arguments["pad"]) // 2:
            return self._same(node, first)
        if node.op == "expand" and node.shape is not None and len(node.shape) == axes:
            moved = self._same(node, first)
            return replace(moved, arguments={"self": node.arguments["self"], "size": [-1, *(moved.shape or ())[1:]]})
        if operator is not None and (operator.pointwise or node.op == "masked_fill"):
            return self._same(self._with_constants(node, first), first)
        if isinstance(operator, _BY_CHANNELS) or _takes_rows(node, self.signals):
            return self._by_rows(node, first)
        raise _NoRuleError

    def _by_rows(self, node: Node, layout: _Layout) -> Node:
        """``node`` of what is folded into the rows, or, for a pooling, into the channels of a sample."""
        if layout.axis != 0 or layout.before != 1 or node.shape is None or node.shape[0] != layout.shape[0]:
            raise _NoRuleError
        (source,) = (name for name in node.refs() if name in self.signals)
        parts, pools = layout.behind, isinstance(OPERATORS[node.op], _BY_CHANNELS)
        taken, made = (
            [-1, parts * each[1], *each[2:]] if pools else [-1, *each[1:]] for each in (layout.shape, node.shape)
        )
        rows, folded = f"{node.name}_rows", f"{node.name}_folded"
        del self.nodes[node.name]  # what it takes stands before it
        self.nodes[rows] = Node(rows, "reshape", {"self": Ref(source), "shape": taken}, None, node.source)
        of_rows = node.mapped(lambda ref: Ref(rows) if ref.name == source else ref)
        shape = (2, *made[1:]) if pools else node.shape
        self.nodes[folded] = replace(of_rows, name=folded, shape=shape)
        found = self.layouts[node.name] = _Layout(node.shape, 0, 1, parts)
        given = {"self": Ref(folded), "shape": [-1, *found.inner_shape[1:]]}
        return replace(node, op="reshape", arguments=given, shape=found.inner_shape)

    def _same(self, node: Node, layout: _Layout, fewer: int = 0) -> Node:
        """``node``, whose result has the batch where its operand has it, but for so many axes fewer before it."""
        shape = node.shape
        if shape is None and (layout.plain or node.op in _LISTS):  # a list
            self.layouts[node.name] = layout._replace(shape=(), axis=layout.axis - fewer)
            return node
        if shape is None:
            raise _NoRuleError
        found = self.layouts[node.name] = layout._replace(shape=shape, axis=layout.axis - fewer)
        return replace(node, shape=found.inner_shape)

    def _view(self, node: Node, layout: _Layout) -> Node:
        """The view that does to all other axes what ``node`` does, the batch aside."""
        if node.shape is None:
            raise _NoRuleError
        (source,) = (name for name in node.refs() if name in self.signals)
        ahead = math.prod(layout.shape[: layout.axis]) * layout.before  # places before the batch
        behind_all = math.prod(node.shape) // (2 * ahead)
        for axis, size in enumerate(node.shape):
            before, odd = divmod(ahead, math.prod(node.shape[:axis]))
            behind, rest = divmod(behind_all, math.prod(node.shape[axis + 1 :]))
            if odd or rest or size != 2 * before * behind:
                continue
            found = self.layouts[node.name] = _Layout(node.shape, axis, before, behind)
            if found.plain and layout.plain:
                return node
            shape = found.inner_shape
            return replace(node, op="reshape", arguments={"self": Ref(source), "shape": [-1, *shape[1:]]}, shape=shape)
        raise _NoRuleError

    def _permuted(self, node: Node, operator: Permute, layout: _Layout) -> Node:
        if node.shape is None:
            raise _NoRuleError
        places = [operator.channel_axis(node, axis, node.shape) for axis in range(len(node.shape))]
        order = [places.index(axis) for axis in range(len(places))]
        found = layout._replace(shape=node.shape, axis=order.index(layout.axis))
        self.layouts[node.name] = found
        if layout.plain and found.plain:
            return node
        dims = [0]
        for axis in order:
            folded = range(1 + axis, 1 + axis + len(layout.folded))
            dims.extend(folded if axis == layout.axis else [layout.inner(axis)])
        (source,) = (name for name in node.refs() if name in self.signals)
        return replace(node, op="permute", arguments={"self": Ref(source), "dims": dims}, shape=found.inner_shape)

    def _along(self, node: Node, layout: _Layout) -> Node:
        key, axes = _ALONG[node.op], len(layout.shape)
        given = node.arguments.get(key)
        if not layout.plain and any(name not in self.signals for name in node.refs()):
            raise _NoRuleError  # a constant that is joined
        named = [axis % axes for axis in (given if isinstance(given, (list, tuple)) else [given or 0])]
        if (layout.axis in named and not _takes_all(node)) or not named:
            raise _NoRuleError
        inner = [0 if axis == layout.axis else layout.inner(axis) for axis in named]
        moved = replace(node, arguments={**node.arguments, key: inner[0] if isinstance(given, int) else inner})
        dropped = node.op in ("select", "unbind") or node.arguments.get("keepdim") is False
        fewer = sum(axis < layout.axis for axis in named) if dropped else 0
        return self._same(node if layout.plain else moved, layout, fewer)

    def _with_constants(self, node: Node, layout: _Layout) -> Node:
        """``node`` with constants whose axes are those of the signal with the batch first."""

        def moved(ref: Ref) -> Argument:
            tensor = self.graph.constants.get(ref.name)
            if ref.name in self.signals or (tensor is not None and tensor.dim() == 0):
                return ref
            if tensor is None:
                raise _NoRuleError
            shape = [1] * (len(layout.shape) - tensor.dim()) + [*tensor.shape]
            if len(shape) > len(layout.shape) or shape[layout.axis] != 1:
                raise _NoRuleError
            inner = [1, *shape[: layout.axis], *[1] * len(layout.folded), *shape[layout.axis + 1 :]]
            name = f"{ref.name}.{node.name}"
            self.constants[name] = tensor.reshape(inner)
            return Ref(name)

        return node.mapped(moved)


def _takes_rows(node: Node, signals: Set[str]) -> bool:
    """Whether it is affine, and takes every row of the first axis by itself."""
    if isinstance(OPERATORS.get(node.op), Index):
        places = node.arguments["indices"]
        return places[0] is None and signals.isdisjoint(refs_in(places))
    return isinstance(OPERATORS.get(node.op), _BY_ROWS)


def _takes_all(node: Node) -> bool:
    """Whether it is a slice of everything."""
    given = node.arguments
    return (
        node.op == "slice"
        and given["start"] in (None, 0)
        and given["end"] in (None, sys.maxsize)
        and given["step"] == 1
    )
