"""Regions that put values exactly on thresholds: both simulators fire the same spikes there."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from coding import TTFS, Code, FewSpike, OneSpike, Phase, Pipeline, Rate, TableSpike
from tests.support.conversion import converted
from tests.support.networks import draw
from tests.support.pipelines import assert_simulators_agree

CODES: list[Code] = [
    Phase(8),
    Phase(12),
    Phase(12, 1.5),
    FewSpike(6, 1.5, 3),
    FewSpike(12, 2.0, 4, "floor"),
    FewSpike(12, 4.0),
    OneSpike(12, 2.0, "floor"),
    TTFS(20, 5.0),
    TableSpike(5, (1.0, 0.5, 0.25, 1e-3, 1e-6)),
    Rate(64),
]


def centred(x: Tensor) -> Tensor:
    groups = x.view(-1, 4, 8)
    return F.leaky_relu(groups - groups.mean(-1, keepdim=True), 0.5).flatten(1)


#: What stands between two populations, which gives each of its results a population more.
REGIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "identity": lambda x: F.relu(x),
    "signed identity": lambda x: F.leaky_relu(x - 0.5 * x.flip(1), 0.25),
    "mean of two": lambda x: F.relu(0.5 * x + 0.5 * x.flip(1)),
    "residual": lambda x: F.relu(x - x.roll(1, 1) + x.roll(1, 1) + F.relu(0.25 * x)),
    "centring": centred,
}


class AroundRegion(nn.Module):
    """A layer, the region, and two layers more."""

    def __init__(self, region: str) -> None:
        super().__init__()
        self.first, self.second, self.last = nn.Linear(8, 32), nn.Linear(32, 16), nn.Linear(16, 3)
        self.region = REGIONS[region]

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.last(F.relu(self.second(self.region(F.relu(self.first(x))))))
        return scores


def made(region: str) -> tuple[nn.Module, Tensor]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        return AroundRegion(region).double().eval(), draw(40, 8)


@pytest.mark.parametrize("code", CODES, ids=str)
@pytest.mark.parametrize("region", REGIONS)
def test_values_on_thresholds_have_the_same_spikes_in_both_simulators(region: str, code: Code) -> None:
    # Scales of the maximum, without corrections: what one population sends lies on the levels of the next.
    options = {"percentile": 100.0, "bias_correction": False}
    network = converted(("between", region), lambda: made(region), coding=code, schedule=Pipeline(), **options)
    assert assert_simulators_agree(network, draw(40, 8)).spikes
