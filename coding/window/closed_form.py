"""The closed form of window codes: which values share a spike train, and a table that finds a value's train at once."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from coding.kept import Kept
from coding.neural_code import Quantized
from coding.threshold import bounds, tie_tolerance

#: Trains that a table may hold; codes with more are encoded step by step.
MOST_TRAINS = 2**16
_MOST_CELLS = 2**15
#: Levels that are kept, more than a search tries on one population and anew on the next, and bytes of their tensors.
_KEPT, _KEPT_BYTES = 512, 2**26
#: Values that are looked up together on a CPU, so that what is computed on the way stays in its caches.
_PIECE = 2**16
#: Integers of as many bits as a number, and the bits of its fraction, by its dtype.
BITS = {torch.float32: (torch.int32, 23), torch.float64: (torch.int64, 52)}


class WindowTable(NamedTuple):
    """A window code in numbers, in units of a population's scale; neither payloads nor thresholds rise with time.

    Attributes:
        payloads: What a spike carries, by step.
        thresholds: ``thresholds[fired][t]``, from which on a potential fires at step t after ``fired`` spikes: a row
            for every number of spikes below the limit; a single row holds always.
        limit: Most spikes of a window; ``None`` is one every step.
    """

    payloads: tuple[float, ...]
    thresholds: tuple[tuple[float, ...], ...]
    limit: int | None

    @property
    def largest(self) -> float:
        """Largest value that a train can carry."""
        return math.fsum(self.payloads[: self.limit])

    def bounds(self, tolerance: float) -> tuple[tuple[float, ...], ...]:
        """The potentials from which on each of ``thresholds`` is reached."""
        return tuple(bounds(row, self.payloads, self.largest, tolerance) for row in self.thresholds)

    def trains_in(self, dtype: torch.dtype) -> list[Train] | None:
        """See ``TrainTable``."""
        found: list[Train] = []
        for train in trains(self, tie_tolerance(dtype)):
            found.append(train)
            if len(found) > MOST_TRAINS:
                return None
        return found[::-1] if len(found) > 1 else None


class TrainTable(Protocol):
    """What knows the trains of a code, and is equal to what knows the same."""

    def trains_in(self, dtype: torch.dtype) -> list[Train] | None:
        """All trains from the smallest values to the largest, as ``dtype`` has them; ``None`` for too many or one."""
        ...


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
    steps, rows = len(table.payloads), table.bounds(tolerance)

    def continued(low: float, high: float, t: int, value: float, fired: int) -> Iterator[Train]:
        # Residuals in [low, high) at step t, after `fired` spikes worth `value`.
        if table.limit is not None and fired == table.limit:
            yield Train(_sum_upwards(value, low), value, fired, t)
            return
        row = rows[min(fired, len(rows) - 1)]
        for step in range(t, steps):
            threshold = max(row[step], low)
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
    """Trains of a window code from the smallest values to the largest, found through the bits of a value.

    The bits of a positive float grow with it. Its leading bits name a cell of neighbouring values; ``carry`` holds for
    every cell the train of its smallest value above ``shift`` bits that make a carry of the value's low bits as soon as
    they reach those of the next train. Where a cell holds more trains, ``corrections`` comparisons follow, of bits as
    integers: the sign of a difference is faster than a truth value.
    """

    dtype: torch.dtype
    shift: int
    lowest_cell: int
    carry: Tensor
    corrections: int
    #: Bits of the smallest value of the train behind this one; for the last what not even infinity reaches.
    following: Tensor
    values: Tensor
    spikes: Tensor
    updates: Tensor

    @property
    def bytes(self) -> int:
        """What their tensors take in memory."""
        return sum(each.nbytes for each in (self.carry, self.following, self.values, self.spikes, self.updates))

    def __call__(self, values: Tensor, counted: bool) -> Quantized:
        """Decoded values for ``values`` of any shape; spikes and updates too if ``counted``."""
        order = memory_order(values)
        bits = values.detach().permute(order).reshape(-1).view(BITS[self.dtype][0])
        tables = (self.values, self.spikes, self.updates) if counted else (self.values,)
        found = [torch.empty(bits.shape, dtype=table.dtype, device=table.device) for table in tables]
        piece = _PIECE if bits.device.type == "cpu" else max(1, bits.numel())
        for start in range(0, bits.numel(), piece):
            train = self._trains(bits[start : start + piece])
            for table, result in zip(tables, found, strict=True):
                torch.index_select(table, 0, train, out=result[start : start + piece])
        shape, back = [values.shape[axis] for axis in order], [order.index(axis) for axis in range(values.dim())]
        columns = [result.view(shape).permute(back) for result in found]
        return Quantized(columns[0], *(columns[1:] if counted else (None, None)))

    def trains(self, values: Tensor) -> Tensor:
        """Numbers of the trains of ``values`` of any shape, flat and in the order of their axes."""
        return self._trains(values.detach().reshape(-1).view(BITS[self.dtype][0]))

    def inside(self) -> Tensor:
        """A value of every train, well away from its ends."""
        lowest = torch.cat([self.values.new_zeros(1), self.following[:-1].view(self.dtype)])
        return torch.cat([lowest[:1], (lowest[1:-1] + lowest[2:]) / 2, 2.0 * lowest[-1:]])

    def _trains(self, bits: Tensor) -> Tensor:
        """Numbers of the trains of values given by their ``bits``."""
        cells = (bits >> self.shift).sub_(self.lowest_cell - 1).clamp_(0, len(self.carry) - 1)
        train = (
            (bits & ((1 << self.shift) - 1)).add_(self.carry.index_select(0, cells)).bitwise_right_shift_(self.shift)
        )
        if self.corrections:
            bits = bits.clamp(min=0)  # negative values have the lowest train, as zero has
            sign = torch.iinfo(bits.dtype).bits - 1
            for _ in range(self.corrections):
                below = bits - self.following.index_select(0, train)
                train += below.bitwise_right_shift_(sign).add_(1)
        return train


def memory_order(values: Tensor) -> list[int]:
    """Axes of ``values`` from the one that varies slowest in memory to the fastest."""
    strides = [int(stride) for stride in values.stride()]
    return sorted(range(values.dim()), key=lambda axis: (-strides[axis], axis))


@partial(Kept, most=_KEPT, limit=_KEPT_BYTES, size=lambda levels: 0 if levels is None else levels.bytes)
def levels_of(table: TrainTable, dtype: torch.dtype, device: torch.device) -> Levels | None:
    """The levels of ``table``, or ``None`` where there are too many trains or no bits to go by."""
    found = table.trains_in(dtype) if dtype in BITS else None
    if found is None:
        return None
    integer, mantissa = BITS[dtype]
    exact = torch.tensor([train.lowest for train in found[1:]], dtype=torch.float64)
    following = exact.to(dtype)  # the smallest number of the dtype that is not below the exact one
    following = torch.where(following < exact, following.nextafter(torch.full_like(following, math.inf)), following)
    bits = following.view(integer)
    width = torch.iinfo(integer).bits - 1
    for shift in range(mantissa - 4, -1, -1):
        cells = bits >> shift
        most = int(torch.unique(cells, return_counts=True)[1].max())
        number = int(cells[-1] - cells[0]) + 1
        if len(found) << shift < 1 << width and (most == 1 or 2 * number > _MOST_CELLS):
            break
    lowest = int(cells[0])
    inside = torch.arange(lowest, lowest + number, dtype=integer)
    first = torch.searchsorted(cells.contiguous(), inside)
    own = bits[first.clamp(max=len(bits) - 1)]
    low = torch.where(own >> shift == inside, own & ((1 << shift) - 1), 1 << shift)
    # Below the lowest cell there is no train but silence, above the highest only the last.
    carry = torch.cat(
        [first.new_zeros(1), (first << shift) + (1 << shift) - low, first.new_tensor([len(bits) << shift])]
    )

    def column(name: str) -> Tensor:
        return torch.tensor([getattr(train, name) for train in found], dtype=torch.float64).to(device, dtype)

    return Levels(
        dtype,
        shift,
        lowest,
        carry.to(device, integer),
        most - 1,
        torch.cat([bits, bits.new_tensor([torch.iinfo(integer).max])]).to(device),
        column("value"),
        column("spikes"),
        column("updates"),
    )
