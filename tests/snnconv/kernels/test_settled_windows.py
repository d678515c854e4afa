"""Settled windows are the same to the bit whatever computes them: every code and neuron, layout, dtype, odd number."""

from __future__ import annotations

from itertools import product
from typing import Literal

import pytest
import torch
from torch import Tensor

from snnconv.kernels.backends import Backend, backend
from snnconv.kernels.neuron_weights import NeuronWeights
from snnconv.kernels.settled_windows import Settled, Windows
from snnconv.kernels.window_sums import summed
from snnconv.spiking.population import Population
from snnconv.spiking.settling import decode, settle, windows_of
from tests.support.computing import COMPILERS, computed_by, device_of, some_of
from tests.support.windows import (
    CODES,
    LAYOUTS,
    NEURONS,
    ODD,
    currents,
    drawn_weights,
    placed,
    population,
    same_bits,
    with_tables,
)


def assert_backends_agree(found: Population, current: Tensor, what: str, name: Backend, case: int = 0) -> None:
    """Whatever windows are asked for is what torch computes; one of two ways to ask, if it is slow."""
    with backend("torch"):
        wanted, decoded = settle(found, current, counted=True), decode(found, current)
    assert wanted.found.spikes is not None
    windows = windows_of(found)
    assert_compiled(windows, current, name)
    for batched in some_of((True, False), name, case):
        weights = drawn_weights(current.shape[1:] if batched else current.shape)
        sums = windows.sum(current, batched, weights, by_neuron=True)
        assert sums.spikes is not None
        assert same_bits(sums.decoded, decoded) and torch.equal(sums.spikes, wanted.found.spikes), what
        assert sums.sums == summed(wanted.found, batched, weights), what
    for counted in some_of((True, False), name, case):
        given = settle(found, current, counted)
        for mine, other in zip(everything(given), everything(wanted), strict=False):
            assert same_bits(mine, other) and mine.shape == other.shape, what
    for own in some_of((True, False), name, case):
        mine = current.clone() if own else current
        again = windows.decode(mine, own)
        assert same_bits(again, decoded), what
        assert again.data_ptr() == mine.data_ptr() if own else again.stride() == decoded.stride(), what
    assert_compiled(windows, current, name)


def assert_compiled(windows: Windows, current: Tensor, name: Backend) -> None:
    """Torch computes no windows that are data, nor did it take over."""
    kernel = windows._kernel(current.contiguous())
    assert kernel is (windows._jobs if name == "numba" else windows._tensors)
    assert kernel is not None or windows._form is None


def everything(settled: Settled) -> list[Tensor]:
    found = [settled.decoded, settled.found.values, settled.found.spikes, settled.found.updates]
    return [each for each in found if each is not None]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("neuron", NEURONS)
@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("name", COMPILERS)
def test_backends_agree_where_trains_change(name: Backend, code: str, neuron: str, dtype: torch.dtype) -> None:
    case = 3 * list(CODES).index(code) + list(NEURONS).index(neuron)
    kinds: list[tuple[tuple[int | None, bool], str]] = list(product([(1, True), (1, False), (None, True)], LAYOUTS))
    for (axis, shifted), layout in some_of(kinds, name, 5 * case):
        found = population(CODES[code], NEURONS[neuron](CODES[code]), shifted, axis)
        current = currents(CODES[code], found).to(device_of(name), dtype)
        found = placed(found, dtype, current.device)
        with computed_by(name):
            assert_backends_agree(found, LAYOUTS[layout](current), layout, name, case)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("shape", [(3, 4, 5, 300), (2, 2500, 3, 1), (1, 1, 1, 5000), (70, 33, 1, 2), (2, 200, 11, 12)])
@pytest.mark.parametrize("name", COMPILERS)
def test_backends_agree_on_random_and_odd_numbers(name: Backend, shape: tuple[int, ...], dtype: torch.dtype) -> None:
    code = CODES["few-spike"]
    current = with_odd_numbers(shape, 0, dtype, device_of(name))
    formats = (torch.contiguous_format, torch.channels_last)
    for neuron, layout in some_of(list(product(NEURONS, formats)), name, sum(shape)):
        found = placed(population(code, NEURONS[neuron](code), True, 1, shape[1]), dtype, current.device)
        with computed_by(name, values=2**12):
            assert_backends_agree(found, current.contiguous(memory_format=layout), neuron, name, shape[0])


def with_odd_numbers(shape: tuple[int, ...], seed: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    current = torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    current.view(-1)[: len(ODD)] = torch.tensor(ODD, dtype=torch.float64)
    return current.to(device, dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("steps", "spikes"), [(1, 1), (7, 1), (2, 2), (31, 2), (60, 1)])
@pytest.mark.parametrize("name", COMPILERS)
def test_backends_agree_on_tables(name: Backend, steps: int, spikes: Literal[1, 2], dtype: torch.dtype) -> None:
    shapes, formats = ((4, 33, 5, 1), (3, 5, 30, 10), (6, 1, 700, 1)), (torch.contiguous_format, torch.channels_last)
    for shape, layout in some_of(list(product(shapes, formats)), name, steps):
        found = placed(with_tables(steps, spikes, shape[1]), dtype, device_of(name))
        assert found.tables is not None
        current = with_odd_numbers(shape, 1, dtype, found.scale.device)
        ties = (found.tables[0] * found.scale[:, None] - found.shift[:, None])[:, :, None]  # on thresholds
        current[0, :, : found.tables.shape[2]] = ties[:, : shape[2]]
        with computed_by(name, values=2**12):
            assert_backends_agree(found, current.contiguous(memory_format=layout), str(shape), name, steps)


@pytest.mark.parametrize("neuron", ["few-spike", "table"])
@pytest.mark.parametrize("name", COMPILERS)
def test_sums_over_more_samples_than_one_number_tallies(name: Backend, neuron: str) -> None:
    code = CODES["few-spike"]
    found = with_tables(31, 2, 5) if neuron == "table" else population(code, NEURONS["leaky"](code), True, 1)
    current = torch.randn(9000, 5, generator=torch.Generator().manual_seed(3)).to(device_of(name))
    windows = windows_of(placed(found, torch.float32, current.device))
    assert windows._jobs is not None and len(current) > 2 * windows._jobs.most_samples
    weights = drawn_weights([5])
    with backend("torch"):
        wanted = windows.sum(current, True, weights).sums
    with computed_by(name):
        assert windows.sum(current, True, weights).sums == wanted


def test_weights_are_whole_numbers_and_may_take_more_than_32_bits() -> None:
    code = CODES["few-spike"]
    found = population(code, NEURONS["leaky"](code), True, 1)
    current = torch.randn(3, 5, 3, 7, generator=torch.Generator().manual_seed(3))
    large = NeuronWeights(2.0**31 + torch.arange(105).view(5, 3, 7).double())
    sums = windows_of(found).sum(current, True, (large,)).sums
    counts = settle(found, current, counted=True).found.spikes
    assert counts is not None and sums.weighted[large] == float((counts.double() * large.values).sum())
    with pytest.raises(ValueError, match="whole"):
        NeuronWeights(torch.tensor([0.5]))
    with pytest.raises(ValueError, match="different"):
        large.of_sum(1.0)
