"""Networks for tests of export: every kind of map, gate and skip, small enough to be simulated in an instant."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from coding import (
    Burst,
    Code,
    Concurrent,
    FewSpike,
    FunctionTable,
    OneSpike,
    Phase,
    Pipeline,
    Rate,
    TableSpike,
    Thermometer,
)
from snnconv import SpikingNetwork
from tests.support import conversion


class ResidualNet(nn.Module):
    """Two convolutions around a shortcut without weights, which drops every second pixel and adds channels."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(2, 4, 3, padding=1)
        self.second = nn.Conv2d(4, 6, 3, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(6)
        self.third = nn.Conv2d(6, 6, 3, padding=1, groups=2)
        self.last = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        first = torch.relu(self.first(x))
        second = torch.relu(self.norm(self.second(first)))
        shortcut = functional.pad(first[:, :, ::2, ::2], (0, 0, 0, 0, 1, 1))
        third = torch.relu(self.third(second) + shortcut)
        return self.last(third.mean((2, 3)))  # type: ignore[no-any-return]


class Leaky(nn.Module):
    """Leaky ReLU, max pooling and two outputs, as a detector has them."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(2, 4, 3, padding=1)
        self.second = nn.Conv2d(4, 5, 3, padding=1)
        self.coarse = nn.Conv2d(5, 3, 1)
        self.fine = nn.Conv2d(9, 2, 1)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        first = functional.leaky_relu(self.first(x), 0.1)
        pooled = functional.max_pool2d(first, 3, stride=2, ceil_mode=True)
        second = functional.leaky_relu(self.second(pooled), 0.125)
        joined = torch.cat([functional.interpolate(second, scale_factor=2.0), first], 1)
        return {"coarse": self.coarse(second), "fine": self.fine(joined)}


class PooledNet(nn.Module):
    """Average and overlapping max pooling, dilation, and a dense layer over a flattened map."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(2, 4, 3, padding=2, dilation=2)
        self.second = nn.Conv2d(4, 4, 3)
        self.hidden = nn.Linear(16, 8)
        self.last = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        first = functional.max_pool2d(torch.relu(self.first(x)), 3, stride=1, padding=1)
        second = functional.avg_pool2d(torch.relu(self.second(first)), 3, stride=2)
        return torch.log_softmax(self.last(torch.relu(self.hidden(second.flatten(1)))), 1)


class SmoothNet(nn.Module):
    """Functions that are looked up, with a table for each channel or one for all, among ReLUs and a skip."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(2, 4, 3, padding=1)
        self.second = nn.Conv2d(4, 6, 3, stride=2, padding=1)
        self.third = nn.Conv2d(6, 6, 3, padding=1, groups=2)
        self.hidden = nn.Linear(96, 8)
        self.more = nn.Linear(8, 8)
        self.last = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        first = functional.silu(self.first(x))
        second = functional.gelu(self.second(first))
        third = torch.relu(self.third(second) + second)
        hidden = torch.sigmoid(self.hidden(third.flatten(1)))
        return self.last(torch.tanh(self.more(hidden) + hidden))  # type: ignore[no-any-return]


class Joint(nn.Module):
    """Two inputs, of which one reaches the output directly, a module used twice, and a channel that never fires."""

    def __init__(self) -> None:
        super().__init__()
        self.image = nn.Linear(128, 6)
        self.other = nn.Linear(5, 6)
        self.hidden = nn.Linear(6, 6)
        self.last = nn.Linear(6, 3)
        self.direct = nn.Linear(5, 3, bias=False)
        with torch.no_grad():
            self.hidden.bias[2] = -300.0

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        hidden = torch.relu(self.image(x.flatten(1)) + self.other(y))
        hidden = torch.relu(self.hidden(torch.relu(self.hidden(hidden)) + hidden))
        return self.last(hidden) + self.direct(y)  # type: ignore[no-any-return]


#: What streams and windows can do.
NETWORKS: dict[str, Callable[[], nn.Module]] = {"residual": ResidualNet, "leaky": Leaky, "pooled": PooledNet}
_MODELS = NETWORKS | {"smooth": SmoothNet}
CODES: dict[str, Code] = {
    "rate": Rate(24),
    "burst": Burst(24, largest_gain=8),
    "few-spike": FewSpike(6),
    "one-spike": OneSpike(10),
    "phase": Phase(6),
    "table-spike": TableSpike(8),
    "thermometer": Thermometer(8),
}


def images(count: int, seed: int = 1) -> Tensor:
    return torch.randn(count, 2, 8, 8, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def model(name: str) -> nn.Module:
    """The network ``name`` in double precision, its batch norms having seen data."""
    torch.manual_seed(0)
    made = _MODELS[name]().double()
    with torch.no_grad():
        made.train()(images(64, seed=2))
    return made.eval()


def assembled(name: str, **options: Any) -> SpikingNetwork:
    """What ``snnconv.convert`` makes of the network ``name`` with ``options``; a new network, to be changed freely."""
    return conversion.converted(("exported", name), lambda: (model(name), images(40)), **options)


@functools.cache
def converted(name: str, code: str, **options: Any) -> SpikingNetwork:
    """The network ``name`` in spikes of ``code``; made once for all tests: one that changes it takes a copy."""
    chosen = CODES[code]
    schedule = Concurrent(chosen.steps) if code in ("rate", "burst") else Pipeline()
    return assembled(name, coding=chosen, schedule=schedule, **options)


#: Codes by population of the network "smooth": tables of one spike and of two beside codes of other populations.
LOOKUPS: dict[str, Code | dict[str, Code]] = {
    "one spike": OneSpike(16),
    "two spikes": FunctionTable(15, spikes=2),
    "both": {
        "silu": FunctionTable(9, spikes=2),
        "gelu": FunctionTable(8),
        "relu": FewSpike(6),
        "sigmoid": FunctionTable(6, spikes=2),
        "tanh": FunctionTable(12),
    },
}


@functools.cache
def looked_up(codes: str, **options: Any) -> SpikingNetwork:
    """The network "smooth" with ``LOOKUPS[codes]``; made once for all tests, which only read it."""
    return assembled("smooth", coding=LOOKUPS[codes], **options)
