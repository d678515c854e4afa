"""How maps lie in memory: blocks that compiled kernels take, constants of channels along rows, sums over samples."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from coding.window.closed_form import memory_order

#: Values that a kernel takes at once.
BLOCK = 1024
#: Values of which rows of a map are made, and up to which channels with few values each go into one.
_ROW, _LONGEST_ROW, _FEW = 1024, 2**14, 128
#: Parts of a map that a thread takes one after the other, so that none waits long for another.
_PARTS = 4


class MapRows(NamedTuple):
    """Whether constants repeat along rows, the width of these, and values of a channel in turn."""

    along: bool
    width: int
    each: int


class ChannelConstants:
    """Constants ``[kinds, channels]`` of a map whose channels lie along ``axis``, as rows of the map meet them."""

    def __init__(self, axis: int | None, constants: Tensor) -> None:
        self._axis, self._constants = axis if constants.shape[1] > 1 else None, constants
        self._arranged: dict[MapRows, Tensor] = {}

    def along(self, values: Tensor) -> tuple[MapRows, Tensor]:
        """The rows of a map like ``values``, and the constants ``[kinds, period]`` along them, or one for each."""
        rows = _rows(values, self._axis)
        if rows not in self._arranged:
            constants = self._constants
            if rows.along:
                repeats = rows.width // (rows.each * constants.shape[1])
                constants = constants.repeat_interleave(rows.each, 1).repeat(1, repeats)
            # The first of several threads wins: jobs know where a tensor lies, so none may take another's place.
            self._arranged.setdefault(rows, constants.contiguous())
        return rows, self._arranged[rows]


def _rows(values: Tensor, axis: int | None) -> MapRows:
    if axis is None:
        return MapRows(True, _ROW, 1)
    each, channels = turns_of(values, axis)
    if each > 1 and (each >= _FEW or each * channels > _LONGEST_ROW):
        return MapRows(False, each, each)
    return MapRows(True, each * channels * max(1, _ROW // (each * channels)), each)


def turns_of(values: Tensor, axis: int) -> tuple[int, int]:
    """How many ``values`` of a channel lie behind each other, and of how many channels along ``axis`` in turn."""
    order = memory_order(values)
    inner = order[order.index(axis % values.dim()) + 1 :]
    return math.prod(values.shape[other] for other in inner), values.shape[axis]


def parts_of(size: int, rows: MapRows, threads: int) -> tuple[int, int]:
    """Into how many parts ``threads`` cut a map of ``size`` values, and the blocks of each."""
    blocks = -(-size // rows.width) * -(-rows.width // BLOCK)
    parts = 1 if threads == 1 else min(blocks, threads * _PARTS)
    return parts, -(-blocks // parts)


def along_axis(values: Tensor, axis: int | None, dims: int) -> Tensor:
    """``values`` of channels in a shape that broadcasts over ``dims`` axes; of one value where there is no ``axis``."""
    if axis is None:
        return values.reshape(())
    shape = [1] * dims
    shape[axis] = -1
    return values.view(shape)


def over_samples(values: Tensor) -> Tensor:
    """Sum over the first axis, along memory: torch takes several times longer over images with channels last."""
    dtype = torch.promote_types(values.dtype, torch.float32)  # half precision cannot count past a few hundred
    if values.dim() == 4 and values.is_contiguous(memory_format=torch.channels_last):
        return values.permute(0, 2, 3, 1).sum(0, dtype=dtype).permute(2, 0, 1)
    return values.sum(0, dtype=dtype)


def alike(first: Tensor, second: Tensor) -> bool:
    """Whether values of both lie in the same order, without gaps."""
    return first.stride() == second.stride() and without_gaps(first)


def without_gaps(values: Tensor) -> bool:
    """Whether ``values`` fill their memory, in whatever order of the axes."""
    if values.is_contiguous() or (values.dim() == 4 and values.is_contiguous(memory_format=torch.channels_last)):
        return True
    return values.permute(memory_order(values)).is_contiguous()


def dense(current: Tensor) -> Tensor:
    """``current`` without gaps, as it lies, or as memory made for it would; a copy where it had some."""
    if without_gaps(current):
        return current
    steps = [step for size, step in zip(current.shape, current.stride(), strict=True) if size > 1]
    return current.contiguous() if 0 in steps or len({*steps}) < len(steps) else current.clone()
