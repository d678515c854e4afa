"""Chains for tests of netx: every kind of layer, and of bias, that its files hold."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial

import torch
from torch import Tensor, nn

from coding import Concurrent, Rate
from neurons import IntegrateFire
from snnconv import SpikingNetwork
from tests.support import conversion


class Shifted(nn.Module):
    """Adds a constant, of which a convolution with padding sees less at its borders."""

    def forward(self, x: Tensor) -> Tensor:
        return x + 0.25


def convolutional() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, stride=(2, 1), padding=(1, 2)),
        nn.ReLU(),
        nn.Conv2d(4, 6, (3, 2), dilation=(1, 2), groups=2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(6 * 2 * 8, 8),
        nn.ReLU(),
        nn.Linear(8, 3),
    )


def perceptron(inputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, 5), nn.ReLU(), nn.Linear(5, 3))


MODELS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], int]] = {
    "convolutional": (convolutional, (2, 8, 8), 12),
    "dense over a map": (lambda: nn.Sequential(nn.Flatten(), *perceptron(32)), (2, 4, 4), 9),
    "biases of neurons": (
        lambda: nn.Sequential(Shifted(), nn.Conv2d(2, 3, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(60, 3)),
        (2, 4, 5),
        9,
    ),
    "lines": (
        lambda: nn.Sequential(nn.Conv1d(2, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(28, 3)),
        (2, 7),
        9,
    ),
    "average pooling": (
        lambda: nn.Sequential(
            nn.Conv2d(2, 4, 3), nn.ReLU(), nn.AvgPool2d(2), nn.Conv2d(4, 3, 2), nn.ReLU(), nn.AdaptiveAvgPool2d(1),
            nn.Flatten(), nn.Linear(3, 3)
        ),
        (2, 8, 8),
        9,
    ),
    "output of a map": (lambda: nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU(), nn.Conv2d(4, 3, 1)), (2, 5, 4), 9),
    "convolution behind a matrix": (
        lambda: nn.Sequential(
            nn.Linear(6, 18), nn.ReLU(), nn.Unflatten(1, (2, 3, 3)), nn.Conv2d(2, 3, 2), nn.ReLU(), nn.Flatten(),
            nn.Linear(12, 3)
        ),
        (6,),
        9,
    ),
    "sums beyond a membrane": (lambda: nn.Sequential(nn.Linear(6, 90), nn.ReLU(), nn.Linear(90, 3)), (6,), 80),
}  # fmt: skip


#: Neurons that netx has.
HARD = partial(IntegrateFire, reset="zero", initial_potential=0.0)


@cache
def samples(name: str, count: int = 40) -> Tensor:
    shape = MODELS[name][1]
    return torch.randn(count, *shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64)


def _prepared(name: str) -> tuple[nn.Module, Tensor]:
    torch.manual_seed(5)
    return MODELS[name][0]().double().eval(), samples(name)


@cache
def hard(name: str) -> SpikingNetwork:
    """The network ``name`` with neurons that netx has; made once for all tests, which only read it."""
    steps = MODELS[name][2]
    return conversion.converted(
        ("netx", name), lambda: _prepared(name), coding=Rate(steps), schedule=Concurrent(steps), neuron=HARD
    )
