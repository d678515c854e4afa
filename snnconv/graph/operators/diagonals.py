"""Diagonals, triangles and masks of signals: elements kept, moved onto a diagonal, or replaced by a constant."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from snnconv.graph.graph import Node
from snnconv.graph.operators.base import Arguments, Carries, Classification, Role, SelectionOperator, Spread, register
from snnconv.graph.reach import NotAProductError, Reach, connecting


@register
class Diagonal(SelectionOperator):
    """The elements on a diagonal of two axes, along a new last axis."""

    names = ("diagonal",)

    def evaluate(self, arguments: Arguments) -> Tensor:
        return torch.diagonal(arguments["self"], arguments["offset"], arguments["dim1"], arguments["dim2"])

    def reach(self, arguments: Arguments) -> Reach:
        found: Reach = arguments["self"]
        axes = len(found.shape)
        pair = [arguments[key] % axes for key in ("dim1", "dim2")]
        rest = [axis for axis in range(axes) if axis not in pair]
        rows, columns = (found.shape[axis] for axis in pair)
        places = torch.arange(rows * columns).view(rows, columns).diagonal(arguments["offset"])
        merged = found.permute([*rest, *pair]).view((*(found.shape[axis] for axis in rest), rows * columns))
        return merged.along(-1, connecting(places, rows * columns).t())

    def channel_axis(self, node: Node, axis: int | None, shape: tuple[int, ...]) -> int | None:
        pair = {node.arguments[key] % len(shape) for key in ("dim1", "dim2")}
        return None if axis is None or axis in pair else axis - sum(each < axis for each in pair)


@register
class DiagonalEmbedding(SelectionOperator):
    """The elements of the last axis on a diagonal of two new axes, zeros elsewhere."""

    names = ("diag_embed",)

    def evaluate(self, arguments: Arguments) -> Tensor:
        return torch.diag_embed(arguments["self"], arguments["offset"], arguments["dim1"], arguments["dim2"])

    def reach(self, arguments: Arguments) -> Reach:
        found: Reach = arguments["self"]
        *lead, length = found.shape
        square = torch.diag_embed(torch.ones(length, dtype=torch.float32), arguments["offset"])
        moved = found.along(-1, connecting(square.flatten().nonzero()[:, 0], square.numel())).view(
            (*lead, *square.shape)
        )
        axes = len(lead) + 2
        first, second = (arguments[key] % axes for key in ("dim1", "dim2"))
        order = [axis for axis in range(axes) if axis not in (first, second)]
        places = {axis: place for place, axis in enumerate([*order, first, second])}
        return moved.permute([places[axis] for axis in range(axes)])

    def channel_axis(self, node: Node, axis: int | None, shape: tuple[int, ...]) -> int | None:
        return None


@register
class TriangularPart(SelectionOperator):
    """The elements on one side of a diagonal of the last two axes, zeros on the other."""

    names = ("tril", "triu")

    def evaluate(self, arguments: Arguments) -> Tensor:
        return getattr(torch, self.op)(arguments["self"], arguments["diagonal"])  # type: ignore[no-any-return]


@register
class MaskedFill(SelectionOperator):
    """A number wherever a constant mask is true."""

    names = ("masked_fill",)

    def classify(self, node: Node, carries: Carries) -> Classification:
        if carries["mask"] or carries["value"]:
            return Classification(
                Role.READOUT,
                "where and what it fills in is computed from the input",
                "make mask and value constants of the network, or move it behind the last activation",
            )
        return super().classify(node, carries)

    def evaluate(self, arguments: Arguments) -> Tensor:
        return torch.masked_fill(arguments["self"], arguments["mask"], arguments["value"])

    def homogeneous(self, arguments: Arguments, carries: Carries) -> Arguments:
        value: Any = arguments["value"]
        return {**arguments, "value": torch.zeros_like(value) if isinstance(value, Tensor) else 0}

    def reach(self, arguments: Arguments) -> Reach:
        found: Reach = arguments["self"]
        mask: Tensor = arguments["mask"]
        if mask.dim() > len(found.shape) or sum(length > 1 for length in mask.shape) > 1:
            raise NotAProductError  # it may hide any set of places
        axis = next((axis for axis, length in enumerate(mask.shape) if length > 1), -1) - mask.dim()
        axis = axis if mask.numel() > 1 else -1
        kept = (~mask.flatten()).float().expand(found.shape[axis])
        return found.along(axis, kept.diag())

    def spread(self, node: Node, before: tuple[int, ...], after: tuple[int, ...]) -> Spread:
        return Spread.ELEMENTWISE if before == after else Spread.ONE_TO_MANY
