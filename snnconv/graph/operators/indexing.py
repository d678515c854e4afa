"""Elements picked by constant indices: fixed sparse maps, of which every output is one input element."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from snnconv.graph.graph import Node
from snnconv.graph.operators.base import (
    Arguments,
    Carries,
    Classification,
    Operator,
    Role,
    Spread,
    register,
)
from snnconv.graph.reach import NotAProductError, Reach, connecting

_INDICES_FROM_DATA = Classification(
    Role.READOUT,
    "its positions are computed from the input",
    "make the indices constants of the network: a buffer, or an argument named in constants=",
)


class ConstantIndexOperator(Operator):
    """An operator one of whose arguments, ``positions``, says where elements come from or go, and is constant."""

    positions = "index"

    def classify(self, node: Node, carries: Carries) -> Classification:
        given = carries[self.positions]
        computed = any(given) if isinstance(given, list) else given
        return _INDICES_FROM_DATA if computed else self.constant(node)

    def constant(self, node: Node) -> Classification:
        """What ``node`` is, given that its positions are constant."""
        return Classification(Role.SELECTION)

    def spread(self, node: Node, before: tuple[int, ...], after: tuple[int, ...]) -> Spread:
        return Spread.ONE_TO_MANY


def positions_along(index: Tensor, dim: int) -> Tensor:
    """The positions along axis ``dim`` that ``index`` holds, the same for all places along the other axes.

    Raises ``NotAProductError`` where they are not the same.
    """
    lines = index.movedim(dim, 0).flatten(1)
    if bool((lines != lines[:, :1]).any()):
        raise NotAProductError
    return lines[:, 0]


@dataclass(frozen=True)
class IndexedAxes:
    """The axes of a tensor that are indexed, brought side by side and seen as one.

    ``order`` are all axes such that the ``count`` indexed ones follow each other from place ``first`` on, ``positions``
    the position in all of them together, in the shape that indexing gives them.
    """

    order: list[int]
    first: int
    count: int
    positions: Tensor

    @staticmethod
    def of(indices: Sequence[Tensor | None], shape: Sequence[int]) -> IndexedAxes:
        """What indexing with ``indices`` does to a tensor of ``shape``; a mask is the places where it is true."""
        each: list[Tensor | None] = []
        for index in indices:
            each += [index] if index is None or index.dtype is not torch.bool else [*index.nonzero().unbind(1)]
        placed = {axis: index for axis, index in enumerate(each) if index is not None}
        positions = torch.zeros((), dtype=torch.int64)
        for axis, index in placed.items():
            positions = positions * shape[axis] + torch.remainder(index, shape[axis])
        axes = [*placed]
        first = axes[0] if axes == [*range(axes[0], axes[-1] + 1)] else 0
        rest = [axis for axis in range(len(shape)) if axis not in placed]
        return IndexedAxes([*rest[:first], *axes, *rest[first:]], first, len(axes), positions)

    def merged(self, found: Reach) -> Reach:
        """With the indexed axes as the single axis ``first``."""
        moved = found.permute(self.order)
        last = self.first + self.count
        length = math.prod(moved.shape[self.first : last])
        return moved.view((*moved.shape[: self.first], length, *moved.shape[last:]))

    def restored(self, merged: Reach, shape: Sequence[int]) -> Reach:
        """What ``merged`` made one axis, as the axes that it was in a tensor of ``shape``."""
        split = merged.view([shape[axis] for axis in self.order])
        return split.permute([self.order.index(axis) for axis in range(len(shape))])


@register
class IndexSelect(ConstantIndexOperator):
    """Positions along one axis, in any order and with repetition."""

    names = ("index_select",)

    def evaluate(self, arguments: Arguments) -> Tensor:
        return torch.index_select(arguments["self"], arguments["dim"], arguments["index"])

    def reach(self, arguments: Arguments) -> Reach:
        found: Reach = arguments["self"]
        dim = arguments["dim"]
        return found.along(dim, connecting(arguments["index"].flatten(), found.shape[dim]).t())


@register
class Gather(ConstantIndexOperator):
    """For every place of the index, the element that lies there but at the index's position along one axis."""

    names = ("gather",)

    def evaluate(self, arguments: Arguments) -> Tensor:
        return torch.gather(arguments["self"], arguments["dim"], arguments["index"])

    def reach(self, arguments: Arguments) -> Reach:
        found: Reach = arguments["self"]
        index: Tensor = arguments["index"]
        dim = arguments["dim"] % len(found.shape)
        found = found.along(dim, connecting(positions_along(index, dim), found.shape[dim]).t())
        for axis, length in enumerate(index.shape):
            if axis != dim and length != found.shape[axis]:  # only the first places are looked at
                found = found.along(axis, torch.eye(found.shape[axis], length, dtype=torch.float32))
        return found


@register
class Index(ConstantIndexOperator):
    """Indexing with tensors of positions, or masks, for some of the axes: ``x[:, [3, 1], mask]``."""

    names = ("index", "_unsafe_index")
    positions = "indices"

    def evaluate(self, arguments: Arguments) -> Tensor:
        indices = tuple(slice(None) if index is None else index for index in arguments["indices"])
        return arguments["self"][indices]  # type: ignore[no-any-return]

    def reach(self, arguments: Arguments) -> Reach:
        found: Reach = arguments["self"]
        axes = IndexedAxes.of(arguments["indices"], found.shape)
        merged = axes.merged(found)
        picked = merged.along(axes.first, connecting(axes.positions.flatten(), merged.shape[axes.first]).t())
        return picked.view((*picked.shape[: axes.first], *axes.positions.shape, *picked.shape[axes.first + 1 :]))

    def channel_axis(self, node: Node, axis: int | None, shape: tuple[int, ...]) -> int | None:
        return axis if node.shape is not None and len(node.shape) == len(shape) else None
