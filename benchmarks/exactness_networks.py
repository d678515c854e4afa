"""Twelve small networks, one of each kind of map, gate and activation that exports know, with random weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

CHANNELS, SIZE = 2, 8


class _GroupedResidual(nn.Module):
    """A residual block whose shortcut has no weights, beside a grouped convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Conv2d(6, 6, 3, padding=1, groups=2)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.inner(x) + x)


class _Dense(nn.Module):
    """What came in beside what became of it, half as large and enlarged again."""

    def __init__(self) -> None:
        super().__init__()
        self.coarse = nn.Conv2d(6, 4, 3, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        enlarged = functional.interpolate(torch.relu(self.coarse(x)), scale_factor=2.0)
        return torch.cat([enlarged, x[:, :4]], 1)


class _Lines(nn.Module):
    """Convolutions and max pooling along one axis."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv1d(CHANNELS, 6, 5, stride=2, padding=2)
        self.second = nn.Conv1d(6, 4, 3)
        self.last = nn.Linear(56, 3)

    def forward(self, x: Tensor) -> Tensor:
        first = functional.max_pool1d(torch.relu(self.first(x.flatten(2))), 3, stride=2, padding=1)
        return self.last(torch.relu(self.second(first)).flatten(1))  # type: ignore[no-any-return]


class _TwoOutputs(nn.Module):
    """Two heads behind one trunk, as a detector has them."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Conv2d(CHANNELS, 6, 3, padding=1)
        self.fine = nn.Conv2d(6, 3, 1)
        self.down = nn.Conv2d(6, 6, 3, stride=2, padding=1)
        self.coarse = nn.Conv2d(6, 3, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        trunk = torch.relu(self.trunk(x))
        return self.fine(trunk), self.coarse(torch.relu(self.down(trunk)))


def _chain(*between: nn.Module) -> nn.Module:
    """Two convolutions with ``between`` behind the first, and a linear layer."""
    return nn.Sequential(
        nn.Conv2d(CHANNELS, 6, 3, padding=1),
        *between,
        nn.Conv2d(6, 4, 3, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, 3),
    )


def _perceptron() -> nn.Module:
    size = CHANNELS * SIZE * SIZE
    return nn.Sequential(nn.Flatten(), nn.Linear(size, 24), nn.ReLU(), nn.Linear(24, 12), nn.ReLU(), nn.Linear(12, 3))


NETWORKS: Mapping[str, Callable[[], nn.Module]] = {
    "perceptron": _perceptron,
    "batch norm, average pooling": lambda: _chain(nn.BatchNorm2d(6), nn.ReLU(), nn.AvgPool2d(2)),
    "max pooling, overlapping": lambda: _chain(nn.ReLU(), nn.MaxPool2d(3, stride=2, ceil_mode=True)),
    "depthwise, dilated": lambda: _chain(
        nn.ReLU(), nn.Conv2d(6, 6, 3, padding=1, groups=6), nn.ReLU(), nn.Conv2d(6, 6, 3, dilation=2), nn.ReLU()
    ),
    "asymmetric kernels": lambda: _chain(
        nn.ReLU(), nn.Conv2d(6, 6, (3, 1), stride=(2, 1), padding=(2, 0)), nn.ReLU(), nn.Conv2d(6, 6, (1, 4)), nn.ReLU()
    ),
    "transposed convolution": lambda: _chain(nn.ReLU(), nn.ConvTranspose2d(6, 6, 3, stride=2), nn.ReLU()),
    "residual": lambda: _chain(nn.ReLU(), _GroupedResidual()),
    "concatenation, enlarged": lambda: nn.Sequential(_chain(nn.ReLU(), _Dense(), nn.Conv2d(8, 6, 1), nn.ReLU())),
    "leaky ReLU": lambda: _chain(nn.LeakyReLU(0.25)),
    "SiLU, ReLU6": lambda: _chain(nn.SiLU(), nn.Conv2d(6, 6, 3), nn.ReLU6()),
    "lines": _Lines,
    "two outputs": _TwoOutputs,
}


def pictures(count: int, seed: int) -> Tensor:
    """Random inputs for all of them."""
    return torch.randn(count, CHANNELS, SIZE, SIZE, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def network(name: str) -> nn.Module:
    """The network ``name``, its norms having seen data, always with the same weights."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = NETWORKS[name]().double()
    with torch.no_grad():
        made.train()(pictures(64, seed=2))
    return made.eval()
