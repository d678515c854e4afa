"""Weights that several synapses in parallel hold, so that a skip leaves a convolution its bits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import sparse
from torch import Tensor, nn

import snnconv
from coding import Concurrent, FewSpike, Rate
from hw_export.explicit.maps import ConvolutionMap, DenseMap, LinearMap, SparseMap
from hw_export.explicit.network import Connection
from hw_export.integers.parallel import MOST_PARALLEL, merged, parallel_synapses, split
from hw_export.integers.quantization import quantize
from tests.support.exported import images

_GENERATOR = np.random.default_rng(0)
_LARGEST = 127


def _weights(*shape: int) -> np.ndarray:
    return _GENERATOR.integers(-4 * _LARGEST, 4 * _LARGEST, shape, endpoint=True)


def _convolution(weight: np.ndarray, groups: int = 1, kernel: int = 3) -> ConvolutionMap:
    return ConvolutionMap((4, 8, 8), (4, 8, 8), weight, (1, 1), (kernel // 2, kernel // 2), (1, 1), groups)


MAPS: dict[str, LinearMap] = {
    "convolution": _convolution(_weights(4, 4, 3, 3)),
    "skip": _convolution(_weights(4, 1, 1, 1), groups=4, kernel=1),
    "matrix": DenseMap((5,), (3,), _weights(3, 5)),
    "sparse matrix": SparseMap((5,), (3,), sparse.csr_array(_weights(3, 5) * (_weights(3, 5) > 0))),
}


@pytest.mark.parametrize("kind", MAPS)
def test_synapses_in_parallel_are_the_weight_that_they_hold(kind: str) -> None:
    whole = Connection("source", "target", MAPS[kind])
    parts = [*split(whole, _LARGEST)]
    assert 1 < len(parts) <= MOST_PARALLEL
    assert all(part.map.weights.dtype == np.int8 and np.abs(part.map.weights).max() <= _LARGEST for part in parts)
    values = _GENERATOR.integers(0, 9, (2, *whole.map.source_shape))
    np.testing.assert_array_equal(sum(part.map.apply(values) for part in parts), whole.map.apply(values))
    (one,) = merged(parts)
    np.testing.assert_array_equal(one.map.weights, whole.map.weights)


def test_maps_of_other_geometry_are_not_merged() -> None:
    one = Connection("source", "target", MAPS["convolution"])
    other = replace(one, map=replace(MAPS["convolution"], padding=(2, 2)))  # type: ignore[type-var]
    assert len(merged([one, other])) == 2
    assert len(merged([one, replace(one, target="another")])) == 2


def test_few_synapses_beside_many_may_be_in_parallel() -> None:
    many, few = Connection("a", "t", MAPS["convolution"]), Connection("b", "t", MAPS["skip"])
    assert parallel_synapses([many, few]) == [1, MOST_PARALLEL]
    assert parallel_synapses([many, many]) == [1, 1]
    assert parallel_synapses([few]) == [1]
    assert parallel_synapses([]) == []


class _Skip(nn.Module):
    """A skip of weight 1 beside a convolution of small weights that has another source."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(2, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.last = nn.Linear(4, 3)
        with torch.no_grad():
            self.second.weight.uniform_(-0.1, 0.1)

    def forward(self, x: Tensor) -> Tensor:
        first = torch.relu(self.first(x))
        second = torch.relu(self.second(first))
        return self.last(torch.relu(self.second(second) + first).mean((2, 3)))  # type: ignore[no-any-return]


@pytest.mark.parametrize("coding", [FewSpike(6), Rate(16)])
def test_a_skip_leaves_a_convolution_its_bits(coding: FewSpike | Rate) -> None:
    torch.manual_seed(0)
    schedule = Concurrent(16) if isinstance(coding, Rate) else None
    network = snnconv.convert(_Skip().double(), images(40), coding=coding, schedule=schedule)
    integers = quantize(network, input_bits=6)
    last = [*integers.populations][-1]
    into = merged(integers.into(last))
    skip = min(into, key=lambda each: each.map.weights.size)
    largest = int(np.abs(skip.map.weights.astype(int)).max())
    assert largest > 2 * _LARGEST and len(integers.into(last)) == 1 + -(-largest // _LARGEST)
    exact = {each.source: each.map for each in integers.explicit.into(last)}
    units = {node: population.rule.unit for node, population in integers.populations.items()}
    scale = integers.populations[last].scale
    for each in into:  # both in the step of their channel
        wanted = exact[each.source].scaled(units[each.source] * scale)
        np.testing.assert_allclose(each.map.weights, wanted.weights, rtol=0, atol=0.5)
