"""A network is the same to the last bit, whoever observed its activations, and whoever ran what a search tried."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

import snnconv
from coding import Concurrent, FewSpike, Rate
from tests.support.networks import make

OPTIONS: dict[str, dict[str, Any]] = {
    "windows": {"coding": FewSpike(4)},
    "stream": {"coding": Rate(6), "schedule": Concurrent(6)},
    "search": {"coding": "auto", "max_loss": 5.0},
    "tables": {},
}


def looked_up() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.SiLU(), nn.Linear(8, 8), nn.GELU(), nn.Linear(8, 3)).eval()


@pytest.mark.parametrize("name", OPTIONS)
def test_networks_of_workers_are_those_of_one_process(name: str, pool: snnconv.Workers) -> None:
    model, x = make("deep", samples=330, dtype=torch.float32)
    if name == "tables":
        model, x = looked_up(), torch.rand(330, 6, generator=torch.Generator().manual_seed(1))
    told: list[snnconv.Progress] = []
    here = snnconv.convert(model, x, **OPTIONS[name])
    there = snnconv.convert(model, x, executor=pool, progress=told.append, **OPTIONS[name])
    one, other = here.state_dict(), there.state_dict()
    assert one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)
    assert str(here.plan) == str(there.plan) and here.search_log == there.search_log
    observing = [each for each in told if each.what == "observing activations"]
    assert observing[-1].done == observing[-1].total == 2 * 9
