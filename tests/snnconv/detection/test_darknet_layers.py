"""Darknet's layers, each against the arithmetic it stands for."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from snnconv.detection.darknet.layers import (
    ACTIVATIONS,
    DarknetConvolution,
    DarknetMaxPool,
    DarknetRoute,
    DarknetShortcut,
    activation,
)


def pooled(values: Tensor, size: int, stride: int, padding: int) -> Tensor:
    """Padding in all, its floor half in front, the rest behind, and minus infinity in it."""
    before, after = padding // 2, padding - padding // 2
    padded = F.pad(values, (before, after, before, after), value=-math.inf)
    return padded.unfold(2, size, stride).unfold(3, size, stride).amax((-2, -1))


@pytest.mark.parametrize("length", [6, 12])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 9, 13])
def test_max_pooling_pads_as_darknet_and_padding_never_wins(size: int, stride: int, length: int) -> None:
    values = torch.rand(2, 3, length, length + 6, generator=torch.Generator().manual_seed(0)) - 2.0
    for padding in range(size):
        if length + padding >= size:
            found = DarknetMaxPool(size, stride, padding)(values)
            assert torch.equal(found, pooled(values, size, stride, padding))


def test_pooling_of_size_two_and_stride_one_keeps_the_length() -> None:
    found = DarknetMaxPool(2, 1, 1)(torch.tensor([[[[-3.0, -1.0, -2.0]]]]))
    assert found.tolist() == [[[[-1.0, -1.0, -2.0]]]]


def test_a_route_takes_the_same_part_of_every_map() -> None:
    first, second = torch.arange(4.0).view(1, 4, 1, 1), torch.arange(10.0, 12.0).view(1, 2, 1, 1)
    assert DarknetRoute(1, 0)(first, second).flatten().tolist() == [0, 1, 2, 3, 10, 11]
    assert DarknetRoute(2, 1)(first, second).flatten().tolist() == [2, 3, 11]
    assert DarknetRoute(2, 0)(first).flatten().tolist() == [0, 1]


def test_a_shortcut_adds_and_then_activates() -> None:
    found = DarknetShortcut(activation("leaky"))(torch.tensor([1.0, -3.0]), torch.tensor([1.0, 1.0]))
    assert torch.allclose(found, torch.tensor([2.0, -0.2]))


def test_activations_are_those_of_their_names() -> None:
    x = torch.linspace(-8.0, 8.0, 33)
    expected = {
        "linear": x,
        "leaky": torch.where(x > 0, x, 0.1 * x),
        "relu": x.clamp(min=0.0),
        "relu6": x.clamp(0.0, 6.0),
        "logistic": 1.0 / (1.0 + (-x).exp()),
        "mish": x * torch.tanh(torch.log1p(x.exp())),
        "swish": x / (1.0 + (-x).exp()),
    }
    assert set(expected) == set(ACTIVATIONS)
    for name, values in expected.items():
        assert torch.allclose(activation(name)(x), values, atol=1e-6)


def test_batch_normalisation_adds_1e_5_to_the_variance() -> None:
    layer = DarknetConvolution(
        1, 1, size=1, stride=1, padding=0, groups=1, normalized=True, activation=nn.Identity()
    ).eval()
    numbers = {"shift": 3.0, "scale": 2.0, "running mean": 0.5, "running variance": 1e-5, "kernel": 4.0}
    assert list(numbers) == list(layer.tensors())
    with torch.no_grad():
        for name, tensor in layer.tensors().items():
            tensor.fill_(numbers[name])
        found = layer(torch.full((1, 1, 1, 1), 0.25)).item()
    assert found == pytest.approx((4.0 * 0.25 - 0.5) / math.sqrt(2e-5) * 2.0 + 3.0)
