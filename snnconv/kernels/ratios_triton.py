"""Ratios of two signals on a GPU, compiled by Triton."""

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor

from snnconv.kernels import launches
from snnconv.kernels.triton_blocks import EXACT, quotient


@triton.jit
def divide(
    signal: tl.tensor, divisor: tl.tensor, result: tl.tensor, number: tl.tensor, width: tl.tensor, BLOCK: tl.constexpr
) -> None:
    """Divide ``number`` values by one divisor for ``width`` of them."""
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = at < number
    given = tl.load(signal + at, mask=inside, other=0.0)
    own = tl.load(divisor + at // width, mask=inside, other=1.0)
    tl.store(result + at, tl.where(own > 0.0, quotient(given, own), 0.0), mask=inside)


def launch(signal: Tensor, divisor: Tensor, width: int, result: Tensor) -> None:
    """Divide ``signal`` by divisors of which each serves ``width`` values, as the signal lies in memory."""
    grid = (launches.programs_for(signal.numel()),)
    divide[grid](signal, divisor, result, signal.numel(), width, launches.BLOCK, **EXACT)
