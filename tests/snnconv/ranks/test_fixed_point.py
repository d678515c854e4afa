"""Sums in fixed point: the same bits in every order, and as near to the true sum as double precision is."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor

from snnconv.ranks.fixed_point import as_integers, as_numbers, shift_for


def total(terms: list[Tensor], dtype: torch.dtype) -> Tensor:
    shift = shift_for(max(float(each.abs().max()) for each in terms), len(terms))
    integers = torch.stack([as_integers(each, shift) for each in terms])
    assert int(integers.abs().max()) <= 2**62 // len(terms)
    whole = torch.zeros_like(integers[0])
    for each in integers:
        whole += each
    return as_numbers(whole, shift, dtype)


@pytest.mark.parametrize("size", [1e-300, 1e-30, 1.0, 3e37])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_sums_do_not_depend_on_the_order_and_are_exact(size: float, dtype: torch.dtype) -> None:
    size = size if dtype == torch.float64 else max(size, 1e-30)
    generator = torch.Generator().manual_seed(0)
    terms = [
        (torch.randn(50, generator=generator, dtype=torch.float64) * size * 10.0 ** -(3 * place)).to(dtype)
        for place in range(5)
    ]
    found = {bytes(total([*each], dtype).numpy().tobytes()) for each in itertools.permutations(terms)}
    assert len(found) == 1
    for value, *column in zip(total(terms, torch.float64).tolist(), *(each.tolist() for each in terms), strict=True):
        largest = max(float(each.abs().max()) for each in terms)
        assert abs(value - math.fsum(column)) <= 2.0**-52 * largest


def test_nothing_at_all_and_numbers_that_are_integers() -> None:
    assert total([torch.zeros(3)] * 2, torch.float32).tolist() == [0.0] * 3
    thirds = [torch.tensor([7.0], dtype=torch.float64) / 3.0] * 3
    assert total(thirds, torch.int64).tolist() == [7], "to the nearest"
