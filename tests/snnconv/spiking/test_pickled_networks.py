"""Networks go through pickle, as processes and torch.save send them."""

from __future__ import annotations

import pickle

import pytest
import torch
from torch import nn

import snnconv
from coding import Code, FewSpike, Rate


@pytest.mark.parametrize("code", [Rate(16), FewSpike(4)])
def test_a_pickled_network_comes_back_with_the_same_output(code: Code) -> None:
    torch.manual_seed(0)
    samples = torch.rand(20, 3)
    network = snnconv.convert(nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 2)), samples, coding=code)
    again = pickle.loads(pickle.dumps(network))
    assert torch.equal(again(samples), network(samples))
