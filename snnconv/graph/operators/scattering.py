"""Elements that are written or added to constant positions of another tensor: fixed sparse maps."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from snnconv.graph.graph import Node
from snnconv.graph.operators.base import Arguments, Carries, Classification, Role, Spread, register
from snnconv.graph.operators.indexing import ConstantIndexOperator, IndexedAxes, positions_along
from snnconv.graph.reach import NotAProductError, Reach, connecting


class _Scatter(ConstantIndexOperator):
    """``self`` with the elements of ``source`` at some positions of one axis, in place of its own or added to them."""

    source = "src"

    def adds(self, arguments: Arguments) -> bool:
        """Whether what is written is added to what is there."""
        return False

    def places(self, arguments: Arguments) -> tuple[int, Tensor]:
        """The axis, and the position along it that each entry of the source is written to.

        Raises ``NotAProductError`` where that is not one position along one axis.
        """
        raise NotAProductError

    def constant(self, node: Node) -> Classification:
        return Classification(Role.LINEAR if self.adds(node.arguments) else Role.SELECTION)

    def homogeneous(self, arguments: Arguments, carries: Carries) -> Arguments:
        zeros = {
            key: torch.zeros_like(arguments[key]) if isinstance(arguments[key], Tensor) else 0
            for key in ("self", self.source, "value")
            if key in arguments and not carries.get(key)
        }
        return {**arguments, **zeros}

    def reach(self, arguments: Arguments) -> Reach:
        dim, positions = self.places(arguments)
        into, source = arguments["self"], arguments.get(self.source)
        return _written(into, source, dim, positions, self.adds(arguments))


def _written(into: Any, source: Any, dim: int, positions: Tensor, adds: bool) -> Reach:
    """Reach of ``into`` after ``source`` was written to ``positions`` of its axis ``dim``; either may be no signal."""
    length = into.shape[dim]
    found = []
    if isinstance(into, Reach):
        found.append(into if adds else into.along(dim, _kept(positions, length)))
    if isinstance(source, Reach):
        if not adds and len({*positions.tolist()}) < len(positions):
            raise NotAProductError  # one of several that are written to the same place stays
        found.append(source.along(dim, connecting(positions, length)))
    return functools.reduce(Reach.union, found)


def _kept(positions: Tensor, length: int) -> Tensor:
    """Connects the positions along an axis that nothing is written to with themselves."""
    kept = torch.ones(length, dtype=torch.float32)
    kept[positions] = 0.0
    return kept.diag()


@register
class IndexWrite(_Scatter):
    """``index_copy`` and ``index_add``: slices along one axis, at the positions of a list."""

    names = ("index_copy", "index_add")
    source = "source"

    def adds(self, arguments: Arguments) -> bool:
        return self.op == "index_add"

    def places(self, arguments: Arguments) -> tuple[int, Tensor]:
        return arguments["dim"], arguments["index"].flatten()

    def evaluate(self, arguments: Arguments) -> Tensor:
        own = (arguments[key] for key in ("self", "dim", "index", "source"))
        if self.op == "index_add":
            return torch.index_add(*own, alpha=arguments["alpha"])
        return torch.index_copy(*own)

    def paths(self, arguments: Arguments, carries: Carries) -> Tensor:
        weights = {"alpha": 1} if self.op == "index_add" else {}
        return self.evaluate({**self.homogeneous(arguments, carries), **weights})


_ADDED = "add it up (scatter_add); for a mean divide by the constant number of elements at each position"
#: Remedies by what is reduced how.
_REDUCED = {
    "amax": "add up or average over neighbours instead (aggr='sum' or 'mean'); graph attention (GAT) takes it for a "
    "softmax over neighbours, and its coefficients are products of signals: weigh neighbours by constants, as GCNConv, "
    "SAGEConv and GINConv do",
}


@register
class Scatter(_Scatter):
    """``scatter`` and its sums: every element of the source goes to the index's position along one axis."""

    names = ("scatter", "scatter_add", "scatter_reduce")

    def adds(self, arguments: Arguments) -> bool:
        return self.op != "scatter" or arguments.get("reduce") == "add"

    def constant(self, node: Node) -> Classification:
        reduce = node.arguments.get("reduce", "sum")
        if reduce not in ("sum", "add") or not node.arguments.get("include_self", True):
            reason = f"it reduces what meets at one position by reduce={reduce!r}"
            return Classification(Role.REFUSED, reason, _REDUCED.get(str(reduce), _ADDED))
        return super().constant(node)

    def places(self, arguments: Arguments) -> tuple[int, Tensor]:
        into, index = arguments["self"], arguments["index"]
        source = arguments.get("src", index)
        dim = arguments["dim"] % len(into.shape)
        others = [axis for axis in range(len(into.shape)) if axis != dim]
        whole = all(into.shape[axis] == index.shape[axis] == source.shape[axis] for axis in others)
        if not whole or source.shape[dim] != index.shape[dim]:
            raise NotAProductError  # only a corner of the source, or of the result, takes part
        return dim, positions_along(index, dim)

    def evaluate(self, arguments: Arguments) -> Tensor:
        into, dim, index = (arguments[key] for key in ("self", "dim", "index"))
        written = arguments["src"] if "src" in arguments else arguments["value"]
        if self.adds(arguments) and not isinstance(written, Tensor):
            written = into.new_full(index.shape, written)
        function: Callable[..., Tensor] = torch.scatter_add if self.adds(arguments) else torch.scatter
        return function(into, dim, index, written)


@register
class SliceWrite(_Scatter):
    """``slice_scatter`` and ``select_scatter``: a range of positions along one axis, or one, taken by a tensor."""

    names = ("slice_scatter", "select_scatter")

    def classify(self, node: Node, carries: Carries) -> Classification:
        return self.constant(node)

    def places(self, arguments: Arguments) -> tuple[int, Tensor]:
        dim = arguments["dim"] % len(arguments["self"].shape)
        every = torch.arange(arguments["self"].shape[dim])
        if self.op == "select_scatter":
            return dim, every[arguments["index"]].view(1)
        return dim, every[slice(arguments["start"], arguments["end"], arguments["step"])]

    def reach(self, arguments: Arguments) -> Reach:
        source = arguments["src"]
        if self.op == "select_scatter" and isinstance(source, Reach):
            dim = arguments["dim"] % len(arguments["self"].shape)
            arguments = {**arguments, "src": source.view((*source.shape[:dim], 1, *source.shape[dim:]))}
        return super().reach(arguments)

    def evaluate(self, arguments: Arguments) -> Tensor:
        return getattr(torch, self.op)(*arguments.values())  # type: ignore[no-any-return]


@register
class IndexPut(_Scatter):
    """Values written to, or added at, what tensors of positions or masks index: ``x[:, [3, 1]] = values``."""

    names = ("index_put",)
    positions = "indices"
    source = "values"

    def adds(self, arguments: Arguments) -> bool:
        return bool(arguments["accumulate"])

    def reach(self, arguments: Arguments) -> Reach:
        into, values = arguments["self"], arguments["values"]
        axes = IndexedAxes.of(arguments["indices"], into.shape)
        merged = axes.merged(into if isinstance(into, Reach) else Reach((), tuple(into.shape)))
        if isinstance(values, Reach):
            before, after = merged.shape[: axes.first], merged.shape[axes.first + 1 :]
            values = values.broadcast_to((*before, *axes.positions.shape, *after))
            values = values.view((*before, axes.positions.numel(), *after))
            merged = merged if isinstance(into, Reach) else Reach(values.source, merged.shape)
        found = _written(merged, values, axes.first, axes.positions.flatten(), self.adds(arguments))
        return axes.restored(found, into.shape)

    def evaluate(self, arguments: Arguments) -> Tensor:
        return torch.ops.aten.index_put(*arguments.values())  # type: ignore[no-any-return]

    def spread(self, node: Node, before: tuple[int, ...], after: tuple[int, ...]) -> Spread:
        return Spread.ONE_TO_MANY
