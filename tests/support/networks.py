"""Small networks that the tests convert; each covers one way in which people write networks."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from coding import Rate
from snnconv import SpikingNetwork
from tests.support.conversion import converted


class Perceptron(nn.Module):
    """Two linear layers with a ReLU between them."""

    def __init__(self, inputs: int = 6, hidden: int = 12, outputs: int = 4) -> None:
        super().__init__()
        self.first = nn.Linear(inputs, hidden)
        self.second = nn.Linear(hidden, outputs)

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.second(F.relu(self.first(x)))
        return scores


class Deep(nn.Module):
    """Three linear layers with a ReLU module after each but the last."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 4))

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.layers(x)
        return scores


class Residual(nn.Module):
    """A convolutional block with batch normalisation whose input is added before the second ReLU."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(2, 4, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(4)
        self.conv2 = nn.Conv2d(4, 4, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(4)
        self.linear = nn.Linear(4 * 6 * 6, 3)

    def forward(self, x: Tensor) -> Tensor:
        skip = F.relu(self.bn1(self.conv1(x)))
        out = F.relu(self.bn2(self.conv2(skip)) + skip)
        scores: Tensor = self.linear(out.flatten(1))
        return scores


class ConcatenationNet(nn.Module):
    """Two branches of different activations, joined along the channels."""

    def __init__(self) -> None:
        super().__init__()
        self.left = nn.Linear(6, 5)
        self.right = nn.Linear(6, 7)
        self.join = nn.Linear(12, 8)
        self.last = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        both = torch.cat([F.relu(self.left(x)), F.relu(self.right(x))], 1)
        scores: Tensor = self.last(F.relu(self.join(both)))
        return scores


class Shared(nn.Module):
    """One linear layer and one ReLU module, each used twice."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(6, 6)
        self.relu = nn.ReLU()
        self.last = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.last(self.relu(self.linear(self.relu(self.linear(x)))))
        return scores


class Pooling(nn.Module):
    """A convolution, a ReLU, a pool of the kind asked for, another convolution with ReLU, and a mean."""

    def __init__(self, pool: nn.Module) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 4, 3, padding=1)
        self.pool = pool
        self.conv2 = nn.Conv2d(4, 5, 3)

    def forward(self, x: Tensor) -> Tensor:
        out = self.pool(F.relu(self.conv1(x)))
        return F.relu(self.conv2(out)).mean((2, 3))


class Between(nn.Module):
    """Two linear layers with the activation asked for between them."""

    def __init__(self, activation: Callable[[Tensor], Tensor], gain: float = 1.0) -> None:
        super().__init__()
        self.first = nn.Linear(6, 12)
        self.second = nn.Linear(12, 4)
        self.activation = activation
        with torch.no_grad():
            self.first.weight.mul_(gain)

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.second(self.activation(self.first(x)))
        return scores


class TwoInputs(nn.Module):
    """Two inputs of different shapes."""

    def __init__(self) -> None:
        super().__init__()
        self.left = nn.Linear(6, 8)
        self.right = nn.Linear(3, 8)
        self.last = nn.Linear(8, 3)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        scores: Tensor = self.last(F.relu(self.left(x) + self.right(y)))
        return scores


class Named(nn.Module):
    """An output that is a dict with a tuple in it, one entry behind a softmax."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(6, 8)
        self.second = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> dict[str, Any]:
        features = F.relu(self.first(x))
        scores = self.second(features)
        return {"scores": scores, "more": (scores.softmax(1), features)}


class GraphConvolution(nn.Module):
    """Two graph convolutions with a fixed adjacency: the first axis counts nodes, so there is no batch."""

    def __init__(self, nodes: int = 6) -> None:
        super().__init__()
        self.first = nn.Linear(5, 7)
        self.second = nn.Linear(7, 3)
        adjacency = torch.eye(nodes) + torch.diag(torch.ones(nodes - 1), 1)
        self.adjacency: Tensor
        self.register_buffer("adjacency", adjacency / adjacency.sum(1, keepdim=True))

    def forward(self, x: Tensor) -> Tensor:
        hidden = F.relu(self.adjacency @ self.first(x))
        return self.adjacency @ self.second(hidden)


#: Models by what they show, each with the shape of one sample.
ZOO: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "perceptron": (Perceptron, (6,)),
    "deep": (Deep, (6,)),
    "residual": (Residual, (2, 6, 6)),
    "concatenation": (ConcatenationNet, (6,)),
    "shared": (Shared, (6,)),
    "max pooling": (lambda: Pooling(nn.MaxPool2d(2)), (1, 8, 8)),
    "average pooling": (lambda: Pooling(nn.AvgPool2d(2)), (1, 8, 8)),
    "leaky relu": (lambda: Between(nn.LeakyReLU(0.1)), (6,)),
    "relu6": (lambda: Between(nn.ReLU6(), gain=8.0), (6,)),
}


@functools.cache
def network_of(
    name: str, steps: int = 24, percentile: float | Literal["mse"] = 99.99, neuron: str = "integrate-fire"
) -> SpikingNetwork:
    """What ``make(name)`` becomes; made once for all tests, which is sound because a network keeps no state."""
    return zoo(name, coding=Rate(steps), percentile=percentile, neuron=neuron)


def zoo(name: str, **options: Any) -> SpikingNetwork:
    """What ``snnconv.convert`` makes of ``make(name)`` with ``options``."""
    return converted(("zoo", name), lambda: make(name), **options)


def make(name: str, samples: int = 40, dtype: torch.dtype = torch.float64, seed: int = 0) -> tuple[nn.Module, Tensor]:
    """A model of the zoo in eval mode, with batch statistics of random data, and random samples for it."""
    build, shape = ZOO[name]
    return prepared(build, dtype, seed), draw(samples, *shape, dtype=dtype, seed=seed)


def prepared(build: Callable[[], nn.Module], dtype: torch.dtype = torch.float64, seed: int = 0) -> nn.Module:
    """The model that ``build`` makes under ``seed``, in eval mode, its batch norms with statistics of their own."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = build().to(dtype)
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                assert module.running_mean is not None and module.running_var is not None
                module.running_mean.uniform_(-0.2, 0.2)
                module.running_var.uniform_(0.5, 1.5)
    return model.eval()


def draw(*shape: int, dtype: torch.dtype = torch.float64, seed: int = 0) -> Tensor:
    """Standard normal values, the same for the same seed."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(1000 + seed), dtype=dtype)


def fitted_part(network: SpikingNetwork, x: Tensor) -> Tensor:
    """The samples of ``x`` that scales were fitted to, so that at percentile 100 none is cut off."""
    held_out = torch.cat([part[0] for part in network.held_out]).flatten(1)
    return x[(x.flatten(1)[:, None] != held_out).any(2).all(1)]
