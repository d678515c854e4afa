"""Networks for the tests of NIR and of other simulators, in numbers that every precision holds exactly."""

from __future__ import annotations

import functools
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from coding import Concurrent, Rate
from neurons import IntegrateFire
from snnconv import SpikingNetwork
from tests.support import conversion
from tests.support.networks import ConcatenationNet, Deep, draw, prepared

STEPS = 32
#: What every reader of NIR can do.
STANDARD = functools.partial(IntegrateFire, reset="zero", initial_potential=0.0)
NEURONS: dict[str, Callable[..., IntegrateFire]] = {
    "subtract": IntegrateFire,
    "zero": functools.partial(IntegrateFire, reset="zero"),
    "standard": STANDARD,
}


class DigitsNet(nn.Module):
    """Convolutions, one behind an average pooling, one with stride, and two linear layers."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 4, 3, padding=1)
        self.conv2 = nn.Conv2d(4, 6, 3, padding=1)
        self.conv3 = nn.Conv2d(6, 6, 3, padding=1, stride=2)
        self.linear1 = nn.Linear(24, 10)
        self.linear2 = nn.Linear(10, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = F.avg_pool2d(F.relu(self.conv1(x)), 2)
        x = F.relu(self.conv3(F.relu(self.conv2(x))))
        scores: Tensor = self.linear2(F.relu(self.linear1(x.flatten(1))))
        return scores


class Skip(nn.Module):
    """Two convolutions with a shortcut around them that starts and ends at spikes."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(2, 4, 3, padding=1)
        self.conv2 = nn.Conv2d(4, 4, 3, padding=1)
        self.conv3 = nn.Conv2d(4, 4, 3, padding=1)
        self.linear = nn.Linear(4 * 6 * 6, 3)

    def forward(self, x: Tensor) -> Tensor:
        skip = F.relu(self.conv1(x))
        out = F.relu(self.conv3(F.relu(self.conv2(skip))) + skip)
        scores: Tensor = self.linear(out.flatten(1))
        return scores


class Odd(nn.Module):
    """Kernels that NIR takes only in another form: grouped, higher than wide, of even width, with uneven borders."""

    def __init__(self) -> None:
        super().__init__()
        self.tall = nn.Conv2d(2, 4, (3, 1), padding=(1, 0))
        self.depthwise = nn.Conv2d(4, 4, 3, padding=1, groups=4)
        self.even = nn.Conv2d(4, 3, (1, 4), padding=(0, 1))
        self.first = nn.Conv2d(3, 3, 3, padding=1)
        self.second = nn.Conv2d(3, 2, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.depthwise(F.relu(self.tall(x))))
        x = F.relu(self.even(x))
        # The constant that the first adds reaches the borders of the second less often.
        x = F.relu(self.second(self.first(x)))
        return x.sum((2, 3))


class JoinedNet(nn.Module):
    """An output that two populations reach, in the shape of a map."""

    def __init__(self) -> None:
        super().__init__()
        self.left = nn.Conv2d(2, 3, 3, padding=1)
        self.right = nn.Conv2d(2, 3, 1)
        self.last = nn.Conv2d(6, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        both = torch.cat([F.relu(self.left(x)), F.relu(self.right(x))], 1)
        maps: Tensor = self.last(both)
        return maps


class SpikesNet(nn.Module):
    """An output that is the rates of a population."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.linear(x))


class Straight(nn.Module):
    """An input that reaches the output past the spikes too."""

    def __init__(self) -> None:
        super().__init__()
        self.around = nn.Linear(6, 4)
        self.first = nn.Linear(6, 9)
        self.second = nn.Linear(9, 4)

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.around(x) + self.second(F.relu(self.first(x)))
        return scores


class Rows(nn.Module):
    """Samples with two axes, of which the layers transform the last."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(5, 7)
        self.second = nn.Linear(7, 3)

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.second(F.relu(self.first(x)))
        return scores


MODELS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "digits": (DigitsNet, (1, 8, 8)),
    "skip": (Skip, (2, 6, 6)),
    "deep": (Deep, (6,)),
    "odd": (Odd, (2, 6, 6)),
    "joined": (JoinedNet, (2, 5, 5)),
    "spikes": (SpikesNet, (6,)),
    "straight": (Straight, (6,)),
    "rows": (Rows, (4, 5)),
    "concatenation": (ConcatenationNet, (6,)),
}


@functools.cache
def converted(
    name: str, neuron: str = "standard", dtype: torch.dtype = torch.float32, exact: bool = True
) -> tuple[SpikingNetwork, Tensor]:
    """A network and four samples; if ``exact``, all numbers are small multiples of powers of two, with many ties.

    Potentials are then the same in single and double precision and in any order of summation, and often exactly on the
    threshold, where a reader must still decide as the clock does. Made once for all tests: leave it as it is.
    """
    build, shape = MODELS[name]
    model, x = prepared(build), draw(40, *shape)
    if exact:
        x = (x * 8).round() / 8
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.copy_((parameter * 32).round() / 32)
    network = conversion.converted(
        ("nir", name, exact),
        lambda: (model, x),
        coding=Rate(STEPS),
        schedule=Concurrent(STEPS),
        neuron=(NEURONS | {"from zero": functools.partial(IntegrateFire, initial_potential=0.0)})[neuron],
    )
    if exact:
        for population in network.populations.values():
            population.scale.copy_(population.scale.log2().round().exp2())
    return network.to(dtype), x[:4].to(dtype)


def clock(network: SpikingNetwork, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """Output and rasters by the clock."""
    run = network.run(x, simulator="clock", steps=STEPS, record=["rasters"])
    return run.output, run.rasters


def assert_same_spikes(found: dict[str, Tensor], wanted: dict[str, Tensor]) -> None:
    assert found.keys() == wanted.keys()
    for name, raster in wanted.items():
        assert 0 < raster.sum() < raster.numel(), f"{name} tells nothing"
        assert torch.equal(found[name].to(raster.dtype), raster), name
