"""Explicit maps of linear operators: written out between two populations, they are the operator itself."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import snnconv
from coding import FewSpike
from hw_export.explicit import explicit
from tests.support.linear_operators import INDEXED, RESIZED, TENSOR_CODE, TRANSPOSED, Case

CASES: dict[str, Case] = {
    "transposed convolution": TRANSPOSED["2-d, stride 2"],
    "bilinear": RESIZED["bilinear"],
    "gather": INDEXED["gather"],
    "scatter_add": INDEXED["scatter_add"],
    "cumsum": TENSOR_CODE["cumsum"],
    "columns": TENSOR_CODE["windows as columns"],
}


@pytest.mark.parametrize("name", CASES)
def test_the_map_between_two_populations_is_the_operator_of_their_scales(name: str) -> None:
    make, shape = CASES[name]
    torch.manual_seed(0)
    operator = make().double()
    model = nn.Sequential(nn.ReLU(), operator, nn.ReLU()).eval()
    samples = torch.randn(8, *shape, dtype=torch.float64)
    network = snnconv.convert(model, samples, coding=FewSpike(8, spikes=3))
    written = explicit(network)
    first, second = network.populations
    (connection,) = written.into(second)
    events = torch.randn(3, *shape, dtype=torch.float64)
    sent = network.populations[first].window_scale(events.dim()) * events
    with torch.no_grad():
        expected = operator(sent) - operator(torch.zeros_like(sent))
    found = torch.from_numpy(connection.map.apply(events.numpy()))
    scale = network.populations[second].window_scale(found.dim())
    assert connection.source == first
    torch.testing.assert_close(found * scale, expected.reshape(found.shape), rtol=1e-9, atol=1e-9)
    assert connection.map.synapses == int(network.synapses.fan_out[first].sum())
