"""Networks and codes for the tests of pipelines, and what it means that two simulators agree."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils._pytree import tree_leaves

from coding import TTFS, Code, FewSpike, OneSpike, Phase, Rate, Thermometer
from snnconv import Run, SpikingNetwork
from snnconv.simulators import simulator_for
from snnconv.simulators.recorders import SpikeCounter
from tests.support.conversion import converted
from tests.support.networks import ZOO, draw, prepared

#: Every window code, with and without a limit on its spikes, and rate code filling a window.
CODES: dict[str, Code] = {
    "few-spike": FewSpike(),
    "few-spike, one spike": FewSpike(6, 1.5, 1),
    "few-spike, arithmetic": FewSpike(8, 1.4, 2, "arithmetic"),
    "few-spike, no limit": FewSpike(5, 2.0, 5),
    "one-spike": OneSpike(10),
    "one-spike, lookahead": OneSpike(8, 1.6, "lookahead"),
    "ttfs": TTFS(14, 4.0),
    "ttfs, geometric": TTFS(14, "fit", 1.5, "geometric"),
    "ttfs, gradient": TTFS(14, "gradient"),
    "phase": Phase(6),
    "phase, base 1.5": Phase(9, 1.5),
    "thermometer": Thermometer(7),
    "rate": Rate(9),
}


class Joined(nn.Module):
    """Two branches of different activations, joined along the channels and pooled."""

    def __init__(self, pool: nn.Module) -> None:
        super().__init__()
        self.left = nn.Conv2d(2, 3, 3, padding=1)
        self.right = nn.Conv2d(2, 2, 1)
        self.pool = pool
        self.conv = nn.Conv2d(5, 4, 2)
        self.last = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        both = torch.cat([F.relu(self.left(x)), F.relu6(self.right(x))], 1)
        scores: Tensor = self.last(F.relu(self.conv(self.pool(both))).mean((2, 3)))
        return scores


class Pooled(nn.Module):
    """A convolution, an activation, a pool, and another convolution."""

    def __init__(self, activation: nn.Module, pool: nn.Module) -> None:
        super().__init__()
        self.first = nn.Conv2d(2, 3, 3, padding=1)
        self.activation, self.pool = activation, pool
        self.second = nn.Conv2d(3, 4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.second(self.pool(self.activation(self.first(x))))).mean((2, 3))


class Late(nn.Module):
    """The input is added to the second layer and concatenated to the third."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(6, 8), nn.Linear(8, 6)
        self.third, self.last = nn.Linear(12, 8), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.second(F.relu(self.first(x))))
        scores: Tensor = self.last(F.relu(self.third(torch.cat([out + x, x], 1))))
        return scores


class Shortcut(nn.Module):
    """A shortcut from the first population past three others, and once more to the output."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(6, 8)
        self.middle = nn.ModuleList(nn.Linear(8, 8) for _ in range(3))
        self.last = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        out = start = F.relu(self.first(x))
        for layer in self.middle:
            out = F.relu(layer(out))
        scores: Tensor = self.last(F.relu(out + start) - start)
        return scores


class Sequence(nn.Module):
    """Convolutions over time with an overlapping, padded max pool."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.last = nn.Conv1d(2, 4, 3), nn.Conv1d(4, 5, 3), nn.Linear(5, 3)
        self.pool = nn.MaxPool1d(3, 2, 1, ceil_mode=True)

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.last(F.relu(self.second(self.pool(F.relu(self.first(x))))).mean(2))
        return scores


class Dense(nn.Module):
    """The input and two populations side by side, max pooled channel by channel."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.last = nn.Conv2d(2, 3, 1), nn.Conv2d(3, 2, 1), nn.Linear(7 * 9, 3)

    def forward(self, x: Tensor) -> Tensor:
        one = F.relu(self.first(x))
        pooled = F.max_pool2d(torch.cat([x, one, F.relu(self.second(one))], 1), 3, 2, 1)
        scores: Tensor = self.last(pooled.flatten(1))
        return scores


class Largest(nn.Module):
    """A maximum over all positions."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Conv2d(2, 4, 3), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.last(F.relu(self.first(x)).amax((2, 3)))
        return scores


#: Networks beyond the zoo, each with the shape of one sample; odd sizes, so that windows are cut at borders.
SHAPES: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    **ZOO,
    "overlapping pool": (lambda: Joined(nn.MaxPool2d(3, 2, 1)), (2, 9, 7)),
    "ceil-mode pool": (lambda: Joined(nn.MaxPool2d(2, 2, ceil_mode=True)), (2, 9, 7)),
    "adaptive pool": (lambda: Joined(nn.AdaptiveMaxPool2d((4, 3))), (2, 9, 7)),
    "dilated pool": (lambda: Joined(nn.MaxPool2d(2, 1, dilation=2)), (2, 9, 7)),
    "leaky pool": (lambda: Pooled(nn.LeakyReLU(0.1), nn.MaxPool2d(2)), (2, 6, 6)),
    "signed pool": (lambda: Pooled(nn.Identity(), nn.MaxPool2d(3, 1, 1)), (2, 5, 5)),
    "two pools": (lambda: Pooled(nn.ReLU(), nn.Sequential(nn.MaxPool2d(2, 1), nn.MaxPool2d(3, 1))), (2, 7, 5)),
    "late input": (Late, (6,)),
    "shortcut": (Shortcut, (6,)),
    "sequence": (Sequence, (2, 17)),
    "pooled input": (Dense, (2, 5, 5)),
    "largest": (Largest, (2, 6, 5)),
}


def shaped(name: str, samples: int, **options: Any) -> tuple[SpikingNetwork, Tensor]:
    """What ``snnconv.convert`` makes of the network ``name`` of ``SHAPES`` with ``options``, and its samples."""
    build, shape = SHAPES[name]
    x = draw(samples, *shape)
    return converted(("shapes", name, samples), lambda: (prepared(build), x), **options), x


def updates_of(network: SpikingNetwork, x: Any, simulator: str) -> dict[str, float]:
    """State updates by population."""
    counter = SpikeCounter(network)
    simulator_for(network, simulator).run(network.check(x), [counter])
    return counter.updates


def assert_simulators_agree(network: SpikingNetwork, x: Any) -> Run:
    """Spike for spike, with all that is counted; the run of the clock."""
    clock, window = (network.run(x, simulator=name, record=["rasters"]) for name in ("clock", "window"))
    assert list(clock.rasters) == list(window.rasters) == [p.name for p in network.populations.values()]
    for name, raster in clock.rasters.items():
        assert torch.equal(raster != 0, window.rasters[name] != 0), name
        assert torch.allclose(raster, window.rasters[name], rtol=1e-12, atol=0.0)
        assert clock.spikes[name] == int(raster.count_nonzero())
    for key in ("spikes", "synops", "synops_by_layer", "input_spikes", "neurons", "samples"):
        assert getattr(clock, key) == getattr(window, key), key
    assert updates_of(network, x, "clock") == updates_of(network, x, "window")
    assert torch.equal(clock.steps, window.steps)
    for one, other in zip(tree_leaves(clock.output), tree_leaves(window.output), strict=True):
        assert torch.allclose(one, other, rtol=1e-10, atol=1e-12)
    return clock
