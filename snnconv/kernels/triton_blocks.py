"""What Triton's kernels do with a block of a map: where its values lie, potentials before a window, quotients, sums.

Every kernel is launched with ``EXACT``: nothing is fused that torch rounds in between.
"""

from __future__ import annotations

import triton
import triton.language as tl

#: Options of every launch.
EXACT = {"enable_fp_fusion": False}


@triton.jit
def places_in(first: tl.tensor, period: tl.tensor, BLOCK: tl.constexpr) -> tl.tensor:
    """Where a block's values from ``first`` on lie in what comes again after ``period``."""
    return (first % period + tl.arange(0, BLOCK)) % period


@triton.jit
def potentials_of(x: tl.tensor, shift: tl.tensor, inverse: tl.tensor, channel: tl.tensor) -> tl.tensor:
    """``(x + shift) * inverse_scale``; there may be no shift."""
    if shift is not None:
        x = x + tl.load(shift + channel)
    return x * tl.load(inverse + channel)


@triton.jit
def quotient(dividend: tl.tensor, divisor: tl.tensor) -> tl.tensor:
    """``dividend / divisor``, rounded to nearest: in single precision the operator itself is not."""
    if dividend.dtype == tl.float32:
        return tl.div_rn(dividend, divisor)
    else:
        return dividend / divisor


@triton.jit
def add_up(
    totals: tl.tensor,
    spikes: tl.tensor,
    updates: tl.tensor,
    weights: tl.tensor,
    inside: tl.tensor,
    size: tl.tensor,
    kinds: tl.tensor,
    BLOCK: tl.constexpr,
) -> None:
    """Write this program's row of ``totals``: updates, spikes, and these by each of ``kinds`` weights of neurons."""
    row = totals + tl.program_id(0) * (2 + kinds)
    fired = tl.where(inside, spikes, 0).to(tl.int64)
    tl.store(row, tl.sum(tl.where(inside, updates, 0).to(tl.int64), 0))
    tl.store(row + 1, tl.sum(fired, 0))
    if weights is not None:
        own = weights + places_in(tl.program_id(0) * BLOCK, size, BLOCK)
        for kind in range(kinds):
            tl.store(row + 2 + kind, tl.sum(fired * tl.load(own).to(tl.int64), 0))
            own += size
