"""What numba's kernels do with a block of a map: potentials before a window, and what follows from it behind it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import carray, njit

from snnconv.kernels.layouts import BLOCK
from snnconv.kernels.numba_memory import at, next_part
from snnconv.kernels.window_jobs import TALLY_BITS


@njit(error_model="numpy")
def blocks_of(pointer: Any, job: Any) -> Any:
    """The blocks that this thread is to take: number of the part, row, place in the row, and length of each."""
    size, width = job.size, job.width
    pieces = (width + BLOCK - 1) // BLOCK
    blocks = ((size + width - 1) // width) * pieces
    part = next_part(pointer)
    while part < job.parts:
        for block in range(part * job.blocks, min(blocks, (part + 1) * job.blocks)):
            row, first = block // pieces, (block % pieces) * BLOCK
            length = min(BLOCK, min(width, size - row * width) - first)
            if length > 0:
                yield part, row, first, length
        part = next_part(pointer)


@njit(error_model="numpy")
def potentials_of(x: Any, constants: Any, job: Any, row: int, first: int, potential: Any) -> None:
    """Fill ``potential`` with ``(x + shift) * inverse_scale``, for ``x`` of ``row`` from ``first`` on."""
    period, length = job.period, len(x)
    if job.along:
        shift = constants[first : first + length]
        inverse = constants[period + first : period + first + length]
        if job.shifted:
            for i in range(length):
                potential[i] = (x[i] + shift[i]) * inverse[i]
        else:
            for i in range(length):
                potential[i] = x[i] * inverse[i]
    else:
        own_shift, own_inverse = constants[row % period], constants[period + row % period]
        if job.shifted:
            for i in range(length):
                potential[i] = (x[i] + own_shift) * own_inverse
        else:
            for i in range(length):
                potential[i] = x[i] * own_inverse


@njit(error_model="numpy")
def scale_into(found: Any, constants: Any, job: Any, row: int, first: int, decoded: Any) -> None:
    """Fill ``decoded``, a piece of ``row`` from ``first`` on, with ``found * scale``."""
    scales, length = 2 * job.period, len(decoded)
    if job.along:
        scale = constants[scales + first : scales + first + length]
        for i in range(length):
            decoded[i] = found[i] * scale[i]
    else:
        own = constants[scales + row % job.period]
        for i in range(length):
            decoded[i] = found[i] * own


@njit(error_model="numpy")
def look_up(table: Any, numbers: Any, found: Any) -> None:
    """Fill ``found`` with what ``table`` holds at ``numbers``."""
    for i in range(len(found)):
        found[i] = table[np.uint64(numbers[i])]


@njit(error_model="numpy")
def add_totals(tallied: Any, job: Any, start: int, totals: Any) -> None:
    """Add what is ``tallied`` of neurons from ``start`` on to ``totals``, and forget it."""
    length, size, low = len(tallied), job.size, tallied.dtype.type((1 << TALLY_BITS) - 1)
    updates, spikes = np.int64(0), np.int64(0)
    for i in range(length):
        updates += tallied[i] >> TALLY_BITS
        spikes += tallied[i] & low
    totals[0] += updates
    totals[1] += spikes
    weights = carray(at(job.weights, np.int64), job.kinds)
    for kind in range(job.kinds):
        weight, weighted = carray(at(weights[kind], np.int32), size)[start : start + length], np.int64(0)
        for i in range(length):
            weighted += np.int64(tallied[i] & low) * np.int64(weight[i])
        totals[2 + kind] += weighted
    tallied[:] = 0
