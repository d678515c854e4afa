"""Windows are prepared once a network, and anew whenever something that they are made of is another."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable

import pytest
import torch
from torch import nn

import snnconv
from coding import FewSpike
from snnconv import SpikingNetwork
from tests.support.networks import draw


def network() -> SpikingNetwork:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(48, 8), nn.SiLU(), nn.Linear(8, 2))
    return snnconv.convert(model, draw(20, 1, 6, 6, dtype=torch.float32), coding=FewSpike(8, 1.5, 2))


def other_tables(made: SpikingNetwork) -> None:
    for population in made.populations.values():
        if population.tables is not None:
            population.tables.data.mul_(1.5)


CHANGES: dict[str, Callable[[SpikingNetwork], object]] = {
    "scales, behind torch's back": lambda made: [each.scale.data.mul_(1.5) for each in made.populations.values()],
    "shifts in place": lambda made: [each.shift.add_(0.3) for each in made.populations.values()],
    "tables": other_tables,
    "a state dict": lambda made: made.load_state_dict(changed(network(), "shifts in place").state_dict()),
    "another code": lambda made: made.recode(next(iter(made.populations)), FewSpike(8, 1.9, 2)),
    "precision": lambda made: made.double(),
}


def changed(made: SpikingNetwork, change: str) -> SpikingNetwork:
    CHANGES[change](made)
    return made


@pytest.mark.parametrize("change", CHANGES)
def test_a_network_that_is_changed_computes_what_one_does_that_was_so_from_the_start(change: str) -> None:
    used, x = network(), draw(5, 1, 6, 6, dtype=torch.float32)
    before = used(x)
    assert used.windows is used.windows
    found, fresh = changed(used, change), changed(network(), change)
    x = x.to(found.like.dtype)
    assert torch.equal(found(x), fresh(x)) and not torch.equal(found(x), before.to(x.dtype))


def test_copies_prepare_their_own() -> None:
    used, x = network(), draw(5, 1, 6, 6, dtype=torch.float32)
    before = used(x)
    copied = copy.deepcopy(used)
    assert copied.windows is not used.windows
    assert pickle.loads(pickle.dumps(used._windows))._kept is None  # addresses mean nothing in another process
    changed(copied, "shifts in place")
    assert torch.equal(used(x), before) and not torch.equal(copied(x), before)
