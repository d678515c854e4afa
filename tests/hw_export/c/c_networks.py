"""Networks for tests of programs in C: all codes, neurons, maps and gates, each small enough to compile at once."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

import snnconv
from coding import TTFS, Burst, Concurrent, FewSpike, OneSpike, Pipeline, Rate
from hw_export.integers.network import IntegerNetwork
from hw_export.integers.quantization import quantize
from hw_export.integers.reference import IntegerRun, run_reference
from neurons import IntegrateFire
from tests.support.exported import CODES, LOOKUPS, NETWORKS, Joint, assembled, converted, images, looked_up

SAMPLES, BITS = 3, 8


class Geometries(nn.Module):
    """Asymmetric kernels, strides and dilations, a depthwise convolution, a concatenation, and a wide pool."""

    def __init__(self) -> None:
        super().__init__()
        self.tall = nn.Conv2d(2, 4, (3, 1), stride=(2, 1), padding=(2, 0))
        self.wide = nn.Conv2d(2, 2, (1, 4), stride=(2, 1), padding=(1, 2), dilation=(1, 2))
        self.depthwise = nn.Conv2d(6, 6, 3, padding=1, groups=6)
        self.grouped = nn.Conv2d(6, 4, (2, 3), stride=(1, 2), groups=2)
        self.last = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        tall, wide = torch.relu(self.tall(x)), torch.relu(self.wide(x))
        joined = torch.cat([tall, functional.pad(wide, (0, tall.shape[3] - wide.shape[3]))], 1)
        depthwise = torch.relu(self.depthwise(joined))
        pooled = functional.max_pool2d(depthwise, (5, 7), stride=(1, 1), padding=(2, 3))
        return self.last(torch.relu(self.grouped(pooled)).mean((2, 3)))  # type: ignore[no-any-return]


class Sequences(nn.Module):
    """Populations of two axes: convolutions and max pooling along time, and what is cut out of it."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv1d(2, 4, 5, stride=2, padding=2)
        self.second = nn.Conv1d(4, 3, 3)

    def forward(self, x: Tensor) -> Tensor:
        first = functional.max_pool1d(torch.relu(self.first(x.flatten(2))), 3, stride=2, padding=1)
        return self.second(torch.relu(first[:, :, 3:13]))  # type: ignore[no-any-return]


def built(model: Callable[[], nn.Module], **options: Any) -> snnconv.SpikingNetwork:
    torch.manual_seed(0)
    return snnconv.convert(model().double(), images(40), **options)


def joint(code: Any) -> snnconv.SpikingNetwork:
    torch.manual_seed(0)
    y = torch.randn(40, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    schedule = Pipeline() if isinstance(code, FewSpike) else Concurrent(16)
    return snnconv.convert(Joint().double(), ((images(40), y), torch.zeros(40)), coding=code, schedule=schedule)


FAMILIES: dict[str, Callable[[], snnconv.SpikingNetwork]] = {
    **{f"{name}, {code}": functools.partial(converted, name, code) for name in NETWORKS for code in CODES},
    **{f"smooth, {codes}": functools.partial(looked_up, codes) for codes in LOOKUPS},
    "leaky, early": lambda: assembled("leaky", coding=OneSpike(8), schedule=Pipeline(stride=2)),
    "smooth, early": lambda: looked_up("both", schedule=Pipeline(stride=3)),
    "residual, early": lambda: assembled("residual", coding=OneSpike(8), schedule=Pipeline(stride=1)),
    "leaky, graded rate": lambda: converted("leaky", "rate", negative="graded"),
    "leaky, graded burst": lambda: converted("leaky", "burst", negative="graded"),
    "residual, reset to zero": lambda: converted(
        "residual", "burst", neuron=lambda code: IntegrateFire(code, reset="zero", initial_potential=0.0)
    ),
    "geometries, rate": lambda: built(Geometries, coding=Rate(16), schedule=Concurrent(16)),
    "geometries, TTFS": lambda: built(Geometries, coding=TTFS(20)),
    "sequences, burst": lambda: built(Sequences, coding=Burst(8, largest_gain=4), schedule=Concurrent(8)),
    "sequences, few-spike": lambda: built(Sequences, coding=FewSpike(6)),
    "joint, rate": lambda: joint(Rate()),
    "joint, few-spike": lambda: joint(FewSpike(6)),
}


@dataclass(frozen=True)
class Expected:
    """An integer network, integer inputs, and what the reference makes of them, all spikes included."""

    integers: IntegerNetwork
    inputs: Mapping[str, np.ndarray]
    run: IntegerRun


@functools.cache
def integer(family: str) -> IntegerNetwork:
    return quantize(FAMILIES[family](), input_bits=BITS)


@functools.cache
def expected(family: str) -> Expected:
    """What ``SAMPLES`` samples come to; made once for all tests, which only read it."""
    integers = integer(family)
    inputs = {}
    for position, (node, shape) in enumerate(integers.explicit.inputs.items()):
        generator = torch.Generator().manual_seed(5 + position)
        values = torch.randn(SAMPLES, *shape, generator=generator, dtype=torch.float64)
        inputs[node] = integers.inputs[node].taken(values.numpy())
    return Expected(integers, inputs, run_reference(integers, inputs, list(integers.explicit.shapes)))
