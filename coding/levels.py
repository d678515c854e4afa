"""The closed form of window codes: which values share a spike train, and a table that finds a value's train at once."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from coding.code import Quantized
from coding.threshold import tie_tolerance

#: Trains that a table may hold; codes with more are encoded step by step.
MOST_TRAINS = 2**16
_MOST_CELLS = 2**15
_BITS = {torch.float32: (torch.int32, 23), torch.float64: (torch.int64, 52)}


class WindowTable(NamedTuple):
    """A window code in numbers: payload of every step, thresholds, and the most spikes (``None``: one every step).

    ``thresholds[fired][t]`` holds after ``fired`` spikes; a single row holds always. Thresholds fall with time.
    """

    payloads: tuple[float, ...]
    thresholds: tuple[tuple[float, ...], ...]
    limit: int | None


class Train(NamedTuple):
    """The spike train of all values from ``lowest`` up to the next train's: what it decodes to, spikes, updates."""

    lowest: float
    value: float
    spikes: int
    updates: int


def trains(table: WindowTable, tolerance: float) -> Iterator[Train]:
    """Every train that some value has, from the largest values to the smallest.

    A larger value fires at the same step or earlier, and leaves the larger residual if it fires at the same step; so
    values with one train form an interval, and trains are ordered as values are.
    """
    steps = len(table.payloads)

    def continued(low: float, high: float, t: int, value: float, fired: int) -> Iterator[Train]:
        # Residuals in [low, high) at step t, after `fired` spikes worth `value`.
        if table.limit is not None and fired == table.limit:
            yield Train(_sum_upwards(value, low), value, fired, t)
            return
        row = table.thresholds[min(fired, len(table.thresholds) - 1)]
        for step in range(t, steps):
            threshold = max(row[step] * (1.0 - tolerance), low)
            if threshold < high:
                payload = table.payloads[step]
                yield from continued(threshold - payload, high - payload, step + 1, value + payload, fired + 1)
                high = threshold
            if low >= high:
                return
        yield Train(_sum_upwards(value, low), value, fired, steps)

    return continued(-math.inf, math.inf, 0, 0.0, 0)


def _sum_upwards(value: float, residual: float) -> float:
    """``value + residual``, rounded up: a value on a boundary belongs to the train above it."""
    total = value + residual
    return math.nextafter(total, math.inf) if total - value < residual else total


@dataclass(frozen=True)
class Levels:
    """Trains of a window code from the smallest values to the largest, found through the leading bits of a value.

    The bits of a positive float grow with it, so a value's leading bits name a cell of neighbouring values;
    ``first[cell]`` is the train of the cell's smallest value, and ``corrections`` comparisons find its own.
    """

    dtype: torch.dtype
    shift: int
    lowest_cell: int
    first: Tensor
    corrections: int
    #: Smallest value of the train behind this one; not a number for the last, which not even infinity exceeds.
    following: Tensor
    values: Tensor
    spikes: Tensor
    updates: Tensor

    def __call__(self, values: Tensor, counted: bool) -> Quantized:
        """Decoded values for ``values`` of any shape; spikes and updates too if ``counted``."""
        order = memory_order(values)
        flat = values.detach().permute(order).reshape(-1)
        cells = (flat.view(_BITS[self.dtype][0]) >> self.shift).sub_(self.lowest_cell)
        cells.clamp_(0, len(self.first) - 1)

        def shaped(found: Tensor) -> Tensor:
            found = found.view([values.shape[axis] for axis in order])
            return found.permute([order.index(axis) for axis in range(values.dim())])

        if self.corrections == 1 and not counted:  # in floating point throughout, which is several times faster
            following, below, difference = (table.index_select(0, cells) for table in self._by_cell)
            return Quantized(shaped(below.addcmul_(torch.ge(flat, following, out=following), difference)), None, None)
        train = self.first.index_select(0, cells)
        for _ in range(self.corrections):
            train += flat >= self.following.index_select(0, train)
        tables = (self.values, self.spikes, self.updates) if counted else (self.values,)
        found = [shaped(table.index_select(0, train)) for table in tables]
        return Quantized(*found) if counted else Quantized(found[0], None, None)

    @cached_property
    def _by_cell(self) -> tuple[Tensor, Tensor, Tensor]:
        below = self.values[self.first]
        above = self.values[(self.first + 1).clamp(max=len(self.values) - 1)]
        return self.following[self.first], below, above - below


def memory_order(values: Tensor) -> list[int]:
    """Axes of ``values`` from the one that varies slowest in memory to the fastest."""
    strides = [int(stride) for stride in values.stride()]
    return sorted(range(values.dim()), key=lambda axis: (-strides[axis], axis))


@lru_cache(maxsize=256)
def levels_of(table: WindowTable, dtype: torch.dtype, device: torch.device) -> Levels | None:
    """The levels of ``table``, or ``None`` where there are too many trains or no bits to go by."""
    if dtype not in _BITS:
        return None
    found: list[Train] = []
    for train in trains(table, tie_tolerance(dtype)):
        found.append(train)
        if len(found) > MOST_TRAINS:
            return None
    found.reverse()
    integer, mantissa = _BITS[dtype]
    exact = torch.tensor([train.lowest for train in found[1:]], dtype=torch.float64)
    following = exact.to(dtype)  # the smallest number of the dtype that is not below the exact one
    following = torch.where(following < exact, following.nextafter(torch.full_like(following, math.inf)), following)
    bits = following.view(integer)
    for leading in range(4, mantissa + 1):
        shift = mantissa - leading
        cells = bits >> shift
        _, counts = torch.unique(cells, return_counts=True)
        number = int(cells[-1] - cells[0]) + 2 if len(cells) else 1
        corrections = int(counts.max()) if len(cells) else 0
        if corrections <= 1 or 2 * number > _MOST_CELLS:
            break
    lowest = int(cells[0]) if len(cells) else 0
    starts = torch.searchsorted(cells.contiguous(), torch.arange(lowest, lowest + number, dtype=cells.dtype))
    none = torch.tensor([math.nan], dtype=dtype)

    def column(name: str) -> Tensor:
        return torch.tensor([getattr(train, name) for train in found], dtype=torch.float64).to(device, dtype)

    return Levels(
        dtype,
        shift,
        lowest,
        starts.to(device, torch.int32),
        corrections,
        torch.cat([following, none]).to(device),
        column("value"),
        column("spikes"),
        column("updates"),
    )
