"""Neurons that look their spikes up, by hand, and their closed form against the clock on random tables."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from coding import FunctionTable
from neurons import TableLookup, WindowNeuron

INFINITE = float("inf")


def neuron(tables: list[list[float]], steps: int, spikes: int) -> WindowNeuron:
    """With one table for all: thresholds, payloads, origins, rates and slopes by cell."""
    stacked = torch.tensor(tables, dtype=torch.float64).unsqueeze(1)
    return TableLookup(FunctionTable(steps, spikes)).with_tables(stacked, None)  # type: ignore[arg-type]


def clock(cell: WindowNeuron, values: Tensor, steps: int) -> Tensor:
    state = cell.listen(values.clone(), cell.initial(values))
    payloads = []
    for t in range(steps):
        payload, state = cell.fire(state, t)
        payloads.append(payload.clone())
    return torch.stack(payloads)


def test_one_spike_is_worth_what_its_cell_holds() -> None:
    cell = neuron([[2.0, 0.5, -1.0], [4.0, -3.0, 0.25], [2.0, 0.5, -1.0], [0.0] * 3, [0.0] * 3], 3, 1)
    values = torch.tensor([5.0, 2.0, 1.9, 0.5, 0.0, -1.0, -1.1], dtype=torch.float64)
    found = cell.window(values)
    assert found.values.tolist() == [4.0, 4.0, -3.0, -3.0, 0.25, 0.25, 0.0]
    assert found.spikes is not None and found.spikes.tolist() == [1, 1, 1, 1, 1, 1, 0]
    assert found.updates is not None and found.updates.tolist() == [1, 1, 2, 2, 3, 3, 3]
    assert clock(cell, values, 3)[:, 2].tolist() == [0.0, -3.0, 0.0]


def test_a_second_spike_says_where_in_the_cell() -> None:
    # Cells [1, 2) and below 1, where no silence is left; four places each, worth 10 and -1 a place.
    cell = neuron([[1.0, -INFINITE], [5.0, 7.0], [1.0, 0.0], [4.0, 4.0], [10.0, -1.0]], 5, 2)
    values = torch.tensor([1.0, 1.3, 1.99, 99.0, 0.0, 0.6, -99.0], dtype=torch.float64)
    found = cell.window(values)
    assert found.values.tolist() == [5.0, 15.0, 35.0, 35.0, 7.0, 5.0, 7.0]
    assert found.spikes is not None and found.spikes.tolist() == [1, 2, 2, 2, 1, 2, 1]
    assert found.updates is not None and found.updates.tolist() == [5, 5, 3, 3, 5, 4, 5]
    assert clock(cell, values, 5)[:, 5].tolist() == [0.0, 7.0, 0.0, -2.0, 0.0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("steps", "spikes"), [(1, 1), (7, 1), (2, 2), (7, 2), (12, 2)])
def test_the_closed_form_is_what_the_clock_fires_channel_by_channel(
    steps: int, spikes: int, dtype: torch.dtype
) -> None:
    code = FunctionTable(steps, spikes)  # type: ignore[arg-type]
    generator = torch.Generator().manual_seed(steps)
    numbers = torch.rand(5, 3, code.cells, generator=generator, dtype=torch.float64) - 0.5
    thresholds = numbers[0].sort(1, descending=True).values
    tables = torch.stack([thresholds, numbers[1], thresholds, 10 * numbers[3].abs() + 1, numbers[4]]).to(dtype)
    cell = TableLookup(code).with_tables(tables, 1)
    ties = tables[0].T.repeat(2, 1)[:8]  # on thresholds
    values = torch.cat([torch.rand(200, 3, generator=generator).to(dtype) - 0.5, ties])
    payloads, found = clock(cell, values, steps), cell.window(values)
    torch.testing.assert_close(payloads.sum(0), found.values, rtol=0, atol=8 * torch.finfo(dtype).eps)
    assert found.spikes is not None and torch.equal((payloads != 0).to(dtype).sum(0), found.spikes)
    assert torch.equal(cell.window(values, counted=False).values, found.values)
