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
    DarknetReorg,
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
    values = torch.tensor([1.0, -3.0]).view(1, 2, 1, 1)
    found = DarknetShortcut(activation("leaky"))(values, torch.ones(1, 2, 1, 1))
    assert torch.allclose(found.flatten(), torch.tensor([2.0, -0.2]))


@pytest.mark.parametrize("earlier", [1, 2, 5])
def test_a_shortcut_adds_the_channels_that_both_maps_have(earlier: int) -> None:
    own = torch.tensor([10.0, 20.0, 30.0]).view(1, 3, 1, 1)
    found = DarknetShortcut(activation("linear"))(own, torch.ones(1, earlier, 1, 1))
    assert found.flatten().tolist() == [10.0 + (earlier > 0), 20.0 + (earlier > 1), 30.0 + (earlier > 2)]


def reorganised(values: Tensor, stride: int) -> Tensor:
    """One image by darknet's loop: ``reorg_cpu`` with the sizes of the layer's input, number by number."""
    channels, height, width = values.shape
    flat, found = values.flatten().tolist(), []
    whole = channels // stride**2
    for k in range(channels):
        offset = k // whole
        for j in range(height):
            for i in range(width):
                column, row = i * stride + offset % stride, j * stride + offset // stride
                found.append(flat[column + width * stride * (row + height * stride * (k % whole))])
    return torch.tensor(found).view(channels * stride**2, height // stride, width // stride)


@pytest.mark.parametrize(("shape", "stride"), [((4, 4, 6), 2), ((8, 2, 2), 2), ((9, 3, 6), 3), ((3, 2, 2), 1)])
def test_a_reorg_is_that_of_a_loop_over_numbers(shape: tuple[int, int, int], stride: int) -> None:
    values = torch.arange(math.prod(shape), dtype=torch.float32).view(shape)
    found = DarknetReorg(stride)(torch.stack([values, values + 1000.0]))
    assert torch.equal(found[0], reorganised(values, stride)) and torch.equal(found[1], found[0] + 1000.0)


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
        1, 1, size=1, stride=1, padding=0, dilation=1, groups=1, normalized=True, activation=nn.Identity()
    ).eval()
    numbers = {"shift": 3.0, "scale": 2.0, "running mean": 0.5, "running variance": 1e-5, "kernel": 4.0}
    assert list(numbers) == list(layer.tensors())
    with torch.no_grad():
        for name, tensor in layer.tensors().items():
            tensor.fill_(numbers[name])
        found = layer(torch.full((1, 1, 1, 1), 0.25)).item()
    assert found == pytest.approx((4.0 * 0.25 - 0.5) / math.sqrt(2e-5) * 2.0 + 3.0)
