"""Membrane potentials that are told step by step."""

from __future__ import annotations

import torch
from torch import nn

import snnconv
from coding import Phase
from snnconv.simulators.membranes import membrane_traces
from tests.support.networks import draw


def test_neurons_hold_their_bias_until_something_arrives() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        layers = [part for _ in range(3) for part in (nn.Linear(4, 4), nn.ReLU())]
        model = nn.Sequential(*layers, nn.Linear(4, 2)).double()
    x = draw(12, 4)
    network = snnconv.convert(model, x, coding=Phase(5))
    third = list(network.populations.values())[2]
    assert network.timing is not None and isinstance(layers[4], nn.Linear)
    # Its sources fire in steps 5 to 9, and some of them at once where values are large.
    bias = (layers[4].bias.detach() + third.shift) / third.window_scale(2).flatten()
    changed = False
    for sample in range(6):
        potentials = membrane_traces(network, 4.0 * x, third.name, sample).potentials
        assert torch.allclose(potentials[:5], bias.float().expand(5, 4), atol=1e-6)
        changed |= not torch.equal(potentials[5], potentials[4])
    assert changed
