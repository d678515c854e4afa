"""Ratios are the same to the bit whatever computes them, however the divisor broadcasts and both lie in memory."""

from __future__ import annotations

import pytest
import torch

from snnconv.kernels.backends import Backend, backend, launch, native
from snnconv.kernels.ratios import ratio
from tests.support.computing import COMPILERS, computed_by, device_of
from tests.support.windows import LAYOUTS, ODD, same_bits

SHAPES = [(6, 5, 3, 50), (6, 5, 3, 1), (6, 1, 1, 50), (1, 5, 1, 1), (6, 1, 1, 1), (5, 3, 1), (3, 50), ()]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("layout", ["contiguous", "channels last", "transposed", "with gaps", "one sample"])
@pytest.mark.parametrize("name", COMPILERS)
def test_backends_agree(name: Backend, layout: str, dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(0)
    odd = torch.tensor(ODD, dtype=torch.float64).to(dtype)
    drawn = torch.randn(6, 5, 3, 50, generator=generator, dtype=torch.float64).to(dtype)
    drawn.view(-1)[: len(odd)] = odd
    drawn = drawn.to(device_of(name))
    signal = LAYOUTS[layout](drawn).expand(6, -1, -1, -1)  # of one sample: the same memory for all
    for shape in SHAPES:
        divisor = torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)
        divisor.view(-1)[: len(odd)] = odd[: divisor.numel()]
        divisor = divisor.to(signal.device)
        with backend("torch"):
            wanted = ratio(signal, divisor)
        with computed_by(name, values=2**10):
            assert native("ratios_numba", dtype, signal.device) or launch("ratios_triton", signal)
            assert same_bits(ratio(signal, divisor), wanted), (layout, shape)


def test_one_divisor_of_a_single_row() -> None:
    assert ratio(torch.tensor([[1.0, 2.0, 3.0]]), torch.tensor([[2.0]])).tolist() == [[0.5, 1.0, 1.5]]
    assert ratio(torch.ones(1, 40), torch.tensor([[4.0]])).tolist() == [[0.25] * 40]


def test_a_signal_broadcasts_over_a_larger_divisor() -> None:
    signal, divisor = torch.tensor([[1.0], [3.0]]), torch.tensor([[1.0, 2.0], [4.0, 0.0]])
    assert ratio(signal, divisor).tolist() == [[1.0, 0.5], [0.75, 0.0]]
    assert ratio(signal[0], divisor).tolist() == [[1.0, 0.5], [0.25, 0.0]]


def test_it_is_zero_where_the_divisor_is_not_above_zero() -> None:
    divisor = torch.tensor([2.0, 0.0, -1.0, float("nan"), float("inf")])
    found = ratio(torch.tensor([1.0, float("inf"), 1.0, 1.0, 1.0]), divisor)
    assert found.tolist() == [0.5, 0.0, 0.0, 0.0, 0.0]


def test_gradients_pass_and_stay_finite() -> None:
    signal, divisor = torch.ones(3, requires_grad=True), torch.tensor([2.0, 0.0, -1.0], requires_grad=True)
    ratio(signal, divisor).sum().backward()
    assert signal.grad is not None and signal.grad.tolist() == [0.5, 0.0, 0.0]
    assert divisor.grad is not None and divisor.grad.tolist() == [-0.25, 0.0, 0.0]
