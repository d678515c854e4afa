"""What tuning may change, and how far: what must stay above 0 does."""

from __future__ import annotations

import torch
from torch import Tensor, nn

import snnconv
from snnconv.coding import OneSpike
from snnconv.tuning.trained_tensors import TrainedTensors, weights_of


class _Quotient(nn.Module):
    """A quotient of sums of exponentials, weighted by parameters above 0."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.head = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 2)
        self.shares = nn.Parameter(torch.tensor([0.5, 1.0, 0.0, 2.0]))

    def forward(self, x: Tensor) -> Tensor:
        divisor = (self.shares * torch.exp(self.a(x))).sum(-1, keepdim=True) + 0.1
        result: Tensor = self.head(self.b(x) / divisor)
        return result


def test_weights_of_a_divisor_stay_where_it_is_above_0() -> None:
    torch.manual_seed(0)
    network = snnconv.convert(_Quotient(), torch.randn(20, 4), coding=OneSpike(12))
    assert network.execution_plan.ratios
    trained, weights = TrainedTensors(network), weights_of(network)
    with torch.no_grad():
        for weight in weights.values():
            weight.fill_(-1.0)
    trained.settle()
    assert torch.allclose(weights["shares"], torch.tensor([5e-4, 1e-3, 0.0, 2e-3]))
    assert all(bool((weight == -1.0).all()) for name, weight in weights.items() if name != "shares")
