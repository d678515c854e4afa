"""Settled windows are the same to the bit whatever computes them: every code and neuron, layout, dtype, odd number."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Literal

import pytest
import torch
from torch import Tensor

from coding import FunctionTable
from neurons import TableLookup
from snnconv.kernels.backends import backend, native
from snnconv.kernels.neuron_weights import NeuronWeights
from snnconv.kernels.settled_windows import Settled, summed
from snnconv.spiking.population import Population
from snnconv.spiking.settling import decode, settle, windows_of
from tests.support.windows import CODES, LAYOUTS, NEURONS, ODD, currents, population, same_bits


def of_dtype(found: Population, dtype: torch.dtype) -> Population:
    return dataclasses.replace(found, scale=found.scale.to(dtype), shift=found.shift.to(dtype))


def with_tables(steps: int, spikes: Literal[1, 2], channels: int, dtype: torch.dtype) -> Population:
    """Neurons with tables that fall and rise, one for each channel, some of which leave no silence."""
    code = FunctionTable(steps, spikes)
    generator = torch.Generator().manual_seed(steps)
    numbers = torch.rand(5, channels, code.cells, generator=generator, dtype=torch.float64) - 0.5
    thresholds = numbers[0].sort(1, descending=True).values
    thresholds[::2, -1] = -math.inf
    tables = torch.stack([thresholds, numbers[1], numbers[2], 10 * numbers[3].abs() + 1, numbers[4]]).to(dtype)
    found = of_dtype(population(code, TableLookup(code), True, None if channels == 1 else 1, channels), dtype)
    return dataclasses.replace(found, tables=tables)


def assert_backends_agree(found: Population, current: Tensor, what: str) -> None:
    kernel = "settled_windows_numba" if found.tables is None else "settled_tables_numba"
    assert native(kernel, current.dtype, current.device) is not None
    with backend("torch"):
        wanted, decoded = settle(found, current, counted=True), decode(found, current)
    given = settle(found, current, counted=True)
    uncounted = settle(found, current, counted=False)
    assert same_bits(decode(found, current), decoded) and decode(found, current).stride() == decoded.stride(), what
    assert same_bits(uncounted.decoded, decoded), what
    assert wanted.found.spikes is not None
    for batched in (True, False):
        weights = drawn_weights(current.shape[1:] if batched else current.shape)
        sums = windows_of(found).sum(current, batched, weights, by_neuron=True)
        assert sums.spikes is not None
        assert same_bits(sums.decoded, decoded) and torch.equal(sums.spikes, wanted.found.spikes), what
        assert sums.sums == summed(wanted.found, batched, weights), what
    mine = current.clone()
    in_place = windows_of(found).decode(mine, own=True)
    assert same_bits(in_place, decoded) and in_place.data_ptr() == mine.data_ptr(), what
    for mine, other in zip(everything(given), everything(wanted), strict=True):
        assert same_bits(mine, other) and mine.shape == other.shape, what


def drawn_weights(shape: Sequence[int]) -> tuple[NeuronWeights, ...]:
    """Weights that differ, up to the largest of 32 bits, and one for all."""
    generator = torch.Generator().manual_seed(2)
    drawn = [torch.randint(0, most, tuple(shape), generator=generator).double() for most in (2**31, 7)]
    return (*(NeuronWeights(each) for each in drawn), NeuronWeights(torch.full(tuple(shape), 3.0)))


def everything(settled: Settled) -> list[Tensor]:
    assert settled.found.spikes is not None and settled.found.updates is not None
    return [settled.decoded, settled.found.values, settled.found.spikes, settled.found.updates]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("neuron", NEURONS)
@pytest.mark.parametrize("code", CODES)
def test_backends_agree_where_trains_change(code: str, neuron: str, dtype: torch.dtype) -> None:
    for axis, shifted in ((1, True), (1, False), (None, True)):
        found = of_dtype(population(CODES[code], NEURONS[neuron](CODES[code]), shifted, axis), dtype)
        for name, laid_out in LAYOUTS.items():
            assert_backends_agree(found, laid_out(currents(CODES[code], found).to(dtype)), name)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("shape", [(3, 4, 5, 300), (2, 2500, 3, 1), (1, 1, 1, 5000), (70, 33, 1, 2), (2, 200, 11, 12)])
def test_backends_agree_on_random_and_odd_numbers(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    code = CODES["few-spike"]
    current = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64).to(dtype)
    current.view(-1)[: len(ODD)] = torch.tensor(ODD, dtype=torch.float64).to(dtype)
    for name in NEURONS:
        found = of_dtype(population(code, NEURONS[name](code), True, 1, shape[1]), dtype)
        for layout in (torch.contiguous_format, torch.channels_last):
            assert_backends_agree(found, current.contiguous(memory_format=layout), name)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("steps", "spikes"), [(1, 1), (7, 1), (2, 2), (31, 2), (60, 1)])
def test_backends_agree_on_tables(steps: int, spikes: Literal[1, 2], dtype: torch.dtype) -> None:
    for shape in ((4, 33, 5, 1), (3, 5, 30, 10), (6, 1, 700, 1)):
        found = with_tables(steps, spikes, shape[1], dtype)
        assert found.tables is not None
        current = torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64).to(dtype)
        ties = (found.tables[0] * found.scale[:, None] - found.shift[:, None])[:, :, None]  # on thresholds
        current[0, :, : found.tables.shape[2]] = ties[:, : shape[2]]
        current.view(-1)[: len(ODD)] = torch.tensor(ODD, dtype=torch.float64).to(dtype)
        for layout in (torch.contiguous_format, torch.channels_last):
            assert_backends_agree(found, current.contiguous(memory_format=layout), str(shape))


@pytest.mark.parametrize("neuron", ["few-spike", "table"])
def test_sums_over_more_samples_than_one_number_tallies(neuron: str) -> None:
    code = CODES["few-spike"]
    table = with_tables(31, 2, 5, torch.float32)
    found = table if neuron == "table" else population(code, NEURONS["leaky"](code), True, 1)
    current = torch.randn(9000, 5, generator=torch.Generator().manual_seed(3))
    jobs = windows_of(found)._jobs
    assert jobs is not None and len(current) > 2 * jobs.most_samples
    weights = drawn_weights([5])
    with backend("torch"):
        wanted = windows_of(found).sum(current, True, weights).sums
    assert windows_of(found).sum(current, True, weights).sums == wanted


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
