"""Blocks that switch autocast off, sums that add up in another type, and masks that are cast: what they are in fact."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import snnconv
from snnconv.capture.translation import capture
from snnconv.graph.interpreter import evaluate_graph


class _Blocks(nn.Module):
    """Two linear layers, and a function of the model between them."""

    def __init__(self, between: Callable[[_Blocks, Tensor], Tensor]) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 3)
        self.between = between

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.c(self.between(self, self.a(x)).relu())
        return result


def _autocast_off(model: _Blocks, x: Tensor) -> Tensor:
    with torch.autocast(device_type=x.device.type, enabled=False):
        y: Tensor = model.b(x.float())
        z = y * 2
    return y + z


def _autocast_off_in_each_other(model: _Blocks, x: Tensor) -> Tensor:
    for _ in range(2):
        with torch.autocast(device_type="cpu", enabled=False):
            x = model.b(x)
    return x


def _places_of_a_mask(model: _Blocks, x: Tensor) -> Tensor:
    """As of position embeddings for pictures with borders."""
    inside = ~torch.zeros(x.shape[0], 4).to(dtype=torch.bool)
    places = inside.cumsum(1, dtype=torch.float32)
    return x + places / (places[:, -1:] + 1e-6) + (inside.to(torch.int64).cumsum(1, dtype=torch.float32) // 2)


def _sums_in_its_own_type(model: _Blocks, x: Tensor) -> Tensor:
    return x + x.sum(1, keepdim=True, dtype=torch.float32) - x.softmax(1, dtype=torch.float32)


def _attention_behind_a_change_in_place(model: _Blocks, x: Tensor) -> Tensor:
    """What torch's attention gives lies otherwise in memory than a product of matrices does."""
    heads = x.clone().view(-1, 2, 1, 2).transpose(1, 2)
    heads += 1
    return x + F.scaled_dot_product_attention(heads, heads, heads).transpose(1, 2).reshape(-1, 4)


@pytest.mark.parametrize(
    "between",
    [
        _autocast_off,
        _autocast_off_in_each_other,
        _places_of_a_mask,
        _sums_in_its_own_type,
        _attention_behind_a_change_in_place,
    ],
)
def test_they_convert_and_compute_the_same(between: Callable[[_Blocks, Tensor], Tensor]) -> None:
    torch.manual_seed(0)
    model, x = _Blocks(between).eval(), torch.randn(5, 4)
    report = snnconv.preflight(model, x)
    assert report.ok, report
    graph = capture(model, (x,))
    torch.testing.assert_close(evaluate_graph(graph, (x,))[0], model(x))
