"""Linear layers between two ends are read, not probed, and are the maps that probing finds."""

from __future__ import annotations

from unittest.mock import patch

import numpy as np
import pytest
import torch
from torch import nn

import snnconv
from coding import FewSpike
from hw_export.explicit import explicit, probing
from hw_export.explicit.ends import Ends
from hw_export.explicit.maps import DenseMap
from snnconv.errors import ConfigurationError
from snnconv.network import SpikingNetwork


def perceptron() -> nn.Module:
    """A convolution, average pooling, and linear layers of which all but the first stand alone between two ends."""
    front = [nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(36, 12), nn.ReLU()]
    return nn.Sequential(*front, nn.Linear(12, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3)).eval()


@pytest.fixture(scope="module")
def network() -> SpikingNetwork:
    torch.manual_seed(0)
    return snnconv.convert(perceptron(), torch.rand(12, 1, 6, 6), coding=FewSpike(6))


def test_what_is_read_is_what_probing_finds(network: SpikingNetwork) -> None:
    read = explicit(network)
    with patch.object(Ends, "written", lambda self, source, target: None):
        probed = explicit(network)
    for one, other in zip(read.connections, probed.connections, strict=True):
        assert type(one.map) is type(other.map)
        np.testing.assert_allclose(one.map.weights, other.map.weights, rtol=1e-12, atol=0)


def test_only_maps_that_are_not_one_layer_are_probed(network: SpikingNetwork) -> None:
    probed = []

    def matrix(respond: object, source: object, target: tuple[int, ...], between: str) -> object:
        probed.append(target)
        return found(respond, source, target, between)  # type: ignore[arg-type]

    found = probing._matrix
    with patch.object(probing, "_matrix", matrix):
        maps = [each.map for each in explicit(network).connections]
    assert probed == [(12,)]  # the average and the layer behind it
    assert [type(each) for each in maps[2:]] == [DenseMap, DenseMap]


def test_a_layer_that_is_too_large_to_be_probed_is_read() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 9), nn.ReLU(), nn.Linear(9, 4))
    network = snnconv.convert(model, torch.rand(8, 6), coding=FewSpike(4))
    with patch.object(probing, "MATRIX_LIMIT", 0):
        assert [each.map.synapses for each in explicit(network).connections] == [54, 36]
    averaging = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Unflatten(1, (2, 4)), nn.AvgPool1d(2), nn.Flatten())
    other = snnconv.convert(nn.Sequential(averaging, nn.Linear(4, 3)), torch.rand(8, 6), coding=FewSpike(4))
    with patch.object(probing, "MATRIX_LIMIT", 0), pytest.raises(ConfigurationError, match="nor small enough"):
        explicit(other)
