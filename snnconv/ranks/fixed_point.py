"""Sums in fixed point: the same bits in whatever order, and on however many ranks, their terms are added.

Sums of floating-point numbers depend on the order of their terms; those of integers do not. All terms of a sum become
multiples of one power of two, which is 2^-62 of the largest of them or less, so that no sum of them exceeds 63 bits
(as in reproducible summation, Demmel and Nguyen 2013): what is cut off is far below the rounding of double precision.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

#: Bits of a sum.
_BITS = 62


def shift_for(largest: float, terms: int) -> int:
    """By how many bits to shift up to ``terms`` terms, of which none is larger than ``largest``."""
    exponent = math.frexp(largest)[1]  # largest < 2^exponent
    return _BITS - math.ceil(math.log2(terms)) - exponent


def as_integers(values: Tensor, shift: int) -> Tensor:
    """``values`` times 2^``shift``, as int64."""
    return _shifted(values.double(), shift).round_().to(torch.int64)


def as_numbers(integers: Tensor, shift: int, dtype: torch.dtype) -> Tensor:
    """``integers`` by 2^``shift``, as ``dtype``; of a type of integers the nearest ones."""
    found = _shifted(integers.double(), -shift)
    return (found if dtype.is_floating_point else found.round_()).to(dtype)


def _shifted(values: Tensor, shift: int) -> Tensor:
    half = shift // 2  # in two steps, as a large power of two is no number
    return values * 2.0**half * 2.0 ** (shift - half)
