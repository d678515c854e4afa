"""The place of the largest value is that of torch, whatever finds it: of equal ones, zeros of both signs, NaN."""

from __future__ import annotations

import math

import pytest
import torch

from snnconv.kernels.backends import backend, native
from snnconv.kernels.largest import place_of_largest
from tests.support.windows import ODD


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_backends_agree(dtype: torch.dtype) -> None:
    assert native("largest_numba", dtype, torch.device("cpu")) is not None
    generator = torch.Generator().manual_seed(0)
    for shape in ((5, 1), (40, 3), (2, 3, 64), (3, 4, 1000), (7, 5000), (3000,)):
        for levels in (3, 10**6):  # few, of which many are alike, and many
            values = torch.randint(-levels, levels + 1, shape, generator=generator).to(dtype) / 7
            for odd in (None, *ODD):
                if odd is not None:
                    values.view(-1)[:: 1 + values.shape[-1] // 2] = odd
                found = place_of_largest(values)
                with backend("torch"):
                    wanted = place_of_largest(values)
                assert torch.equal(found, wanted) and found.shape == (*shape[:-1], 1), (shape, odd)


@pytest.mark.parametrize(
    ("values", "place"),
    [([-0.0, 0.0], 0), ([1.0, math.nan, math.inf, math.nan], 1), ([-math.inf, -math.inf], 0), ([-2.0, -1.0, -1.0], 1)],
)
def test_the_first_of_the_largest_is_found(values: list[float], place: int) -> None:
    assert place_of_largest(torch.tensor(values)).item() == place
