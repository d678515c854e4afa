"""The place of the largest value is that of torch, whatever finds it: of equal ones, zeros of both signs, NaN."""

from __future__ import annotations

import math

import pytest
import torch

from snnconv.kernels.backends import Backend, backend, launch, native
from snnconv.kernels.largest import place_of_largest
from tests.support.computing import COMPILERS, computed_by, device_of, some_of
from tests.support.windows import ODD


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", COMPILERS)
def test_backends_agree(name: Backend, dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(0)
    for case, shape in enumerate(((5, 1), (40, 3), (2, 3, 64), (3, 4, 1000), (7, 5000), (3000,))):
        for levels in some_of((3, 10**6), name, case):  # few, of which many are alike, and many
            values = (torch.randint(-levels, levels + 1, shape, generator=generator).to(dtype) / 7).to(device_of(name))
            for odd in (None, *some_of(ODD, name, case), math.nan):
                if odd is not None:
                    values.view(-1)[:: 1 + values.shape[-1] // 2] = odd
                with computed_by(name, values=2**10):
                    assert native("largest_numba", dtype, values.device) or launch("largest_triton", values)
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


@pytest.mark.parametrize("name", ["torch", *COMPILERS])
def test_values_that_ask_for_gradients_have_places(name: Backend) -> None:
    values = torch.tensor([[1.0, 3.0, 2.0]], device=device_of(name), requires_grad=True)
    with computed_by(name, values=2**4):
        assert place_of_largest(values).tolist() == [[1]]
