"""Sliding windows written out: copies of overlapping pieces of a signal, and pieces added up where they overlap."""

from __future__ import annotations

import torch
from torch import Tensor

from snnconv.graph.graph import Node
from snnconv.graph.operators.base import (
    Arguments,
    Carries,
    Classification,
    Operator,
    Role,
    SelectionOperator,
    Spread,
    register,
)
from snnconv.graph.reach import Reach, unit_vectors


@register
class SlidingWindows(SelectionOperator):
    """Windows along one axis, whose elements lie on a new last axis: ``Tensor.unfold``."""

    names = ("unfold",)

    def evaluate(self, arguments: Arguments) -> Tensor:
        return arguments["self"].unfold(arguments["dimension"], arguments["size"], arguments["step"])  # type: ignore[no-any-return]

    def reach(self, arguments: Arguments) -> Reach:
        found: Reach = arguments["self"]
        shape = found.shape
        dim, size = arguments["dimension"] % len(shape), arguments["size"]
        windows = unit_vectors(shape[dim]).unfold(1, size, arguments["step"])  # [length, windows, size]
        split = found.along(dim, windows.flatten(1)).view((*shape[:dim], windows.shape[1], size, *shape[dim + 1 :]))
        order = [axis for axis in range(len(shape) + 1) if axis != dim + 1]
        return split.permute([*order, dim + 1])

    def spread(self, node: Node, before: tuple[int, ...], after: tuple[int, ...]) -> Spread:
        return Spread.ONE_TO_MANY if node.arguments["step"] < node.arguments["size"] else Spread.ONE_TO_ONE


@register
class ImageToColumns(SelectionOperator):
    """Windows of images as columns ``[N, C * kernel, windows]``: ``torch.nn.functional.unfold``."""

    names = ("im2col",)

    def evaluate(self, arguments: Arguments) -> Tensor:
        return torch.ops.aten.im2col(*arguments.values())  # type: ignore[no-any-return]

    def reach(self, arguments: Arguments) -> Reach:
        found: Reach = arguments["self"]
        *lead, height, width = found.shape
        lengths, kernel, first = [], arguments["kernel_size"], len(lead)
        for axis, length in enumerate((height, width)):
            windows = _windows(length, arguments, axis)
            lengths += [kernel[axis], windows.shape[1] // kernel[axis]]
            found = found.along(first + axis, windows)
        moved = found.view((*lead, *lengths)).permute((*range(first), *(first + axis for axis in (0, 2, 1, 3))))
        return moved.view((*lead[:-1], lead[-1] * kernel[0] * kernel[1], lengths[1] * lengths[3]))

    def spread(self, node: Node, before: tuple[int, ...], after: tuple[int, ...]) -> Spread:
        return Spread.ONE_TO_MANY

    def channel_axis(self, node: Node, axis: int | None, shape: tuple[int, ...]) -> int | None:
        return None


@register
class ColumnsToImage(Operator):
    """Columns ``[N, C * kernel, windows]`` added up where their windows lie: ``torch.nn.functional.fold``."""

    names = ("col2im",)

    def classify(self, node: Node, carries: Carries) -> Classification:
        return Classification(Role.LINEAR)

    def evaluate(self, arguments: Arguments) -> Tensor:
        return torch.ops.aten.col2im(*arguments.values())  # type: ignore[no-any-return]

    def reach(self, arguments: Arguments) -> Reach:
        found: Reach = arguments["self"]
        *lead, columns, _ = found.shape
        kernel, first = arguments["kernel_size"], len(lead) + 1
        matrices = [_windows(length, arguments, axis) for axis, length in enumerate(arguments["output_size"])]
        counts = [matrix.shape[1] // size for matrix, size in zip(matrices, kernel, strict=True)]
        channels = columns // (kernel[0] * kernel[1])
        split = found.view((*lead, channels, *kernel, *counts))
        moved = split.permute((*range(first), *(first + axis for axis in (0, 2, 1, 3))))
        found = moved.view((*lead, channels, *(matrix.shape[1] for matrix in matrices)))
        for axis, matrix in enumerate(matrices):
            found = found.along(first + axis, matrix.t())
        return found

    def spread(self, node: Node, before: tuple[int, ...], after: tuple[int, ...]) -> Spread:
        return Spread.MANY_TO_ONE

    def channel_axis(self, node: Node, axis: int | None, shape: tuple[int, ...]) -> int | None:
        return None


def _windows(length: int, arguments: Arguments, axis: int) -> Tensor:
    """What the windows along one axis of an image hold, ``[length, kernel * windows]``."""
    options = (
        [arguments[key][axis], rest]
        for key, rest in (("kernel_size", 1), ("dilation", 1), ("padding", 0), ("stride", 1))
    )
    each_alone = unit_vectors(length)[:, None, :, None]
    columns: Tensor = torch.ops.aten.im2col(each_alone, *options)  # [length, kernel, windows]
    return columns.flatten(1)
