"""Where the largest of some values is, on a GPU, compiled by Triton: bits of a float, read as integers, order it."""

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor

from snnconv.kernels import launches
from snnconv.kernels.triton_blocks import EXACT


@triton.jit
def find(
    values: tl.tensor,
    places: tl.tensor,
    rows: tl.tensor,
    width: tl.tensor,
    MOST: tl.constexpr,
    ROWS: tl.constexpr,
    WIDTH: tl.constexpr,
) -> None:
    """The place of the largest in each of ``rows`` of ``width`` values, ``WIDTH`` of ``ROWS`` rows at a time.

    ``MOST`` is the largest integer of as many bits.
    """
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    column = tl.arange(0, WIDTH)
    best = tl.full((ROWS,), ~MOST, places.dtype.element_ty)
    place = tl.zeros((ROWS,), places.dtype.element_ty)
    for start in range(0, width, WIDTH):
        inside = (row < rows)[:, None] & (start + column < width)[None, :]
        given = tl.load(values + row[:, None] * width + (start + column)[None, :], mask=inside, other=0.0)
        bits = (given + 0.0).to(
            tl.int32 if given.dtype == tl.float32 else tl.int64, bitcast=True
        )  # -0 is as large as 0
        ranks = tl.where(bits < 0, bits ^ MOST, bits)
        ranks = tl.where(given == given, ranks, MOST)
        ranks = tl.where(inside, ranks, ~MOST)
        highest = tl.max(ranks, 1)
        found = tl.min(tl.where(ranks == highest[:, None], column[None, :], WIDTH), 1)
        place = tl.where(highest > best, start + found, place)
        best = tl.maximum(highest, best)
    tl.store(places + row, place, mask=row < rows)


def launch(values: Tensor, places: Tensor) -> None:
    """Find the place of the largest along the last axis of ``values``, which are contiguous."""
    width, most = values.shape[-1], 2 ** (8 * values.itemsize - 1) - 1
    at_once = min(triton.next_power_of_2(width), launches.BLOCK)
    rows = launches.BLOCK // at_once
    find[(-(-places.numel() // rows),)](values, places, places.numel(), width, most, rows, at_once, **EXACT)
