"""Neurons that look their spikes up, in integers: what they compare, send and keep where nothing divides or rounds."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from neurons.table_lookup import Tables

Array = NDArray[Any]

#: Membranes, thresholds and payloads have 24 bits, one of them for the sign.
MEMBRANE_LIMIT = 2**23 - 1
#: Widths of places are counted in parts of a membrane's unit, of which 2^PLACE_BITS make one.
PLACE_BITS = 4
#: How far a potential stands above its number in a simulation with fractions, and above it that of a place's origin.
_HALF, _ABOVE_ORIGIN = 0.5, 0.25 * 2.0**-PLACE_BITS


class IntegerTables(NamedTuple):
    """Tables of a population's channels in integers, each ``[channels, cells]``; cells fall with time.

    A neuron fires first at the step of the cell whose ``thresholds`` its potential reaches, a spike worth ``payloads``,
    and keeps what its potential exceeds ``origins`` by. A second spike comes n steps before the window's end and is
    worth n * ``slopes``, n being the largest number that n * ``widths`` leaves within 2^PLACE_BITS times what was kept.
    Where a slope is 0, none comes.
    """

    thresholds: Array
    payloads: Array
    origins: Array
    widths: Array
    slopes: Array


@dataclass(frozen=True, eq=False)
class LookupRule:
    """A window of ``steps`` whose first spike names a cell and whose second the place in it, by ``tables``.

    ``tables`` are those of the population (``neurons.table_lookup.Tables``), in units of its scale, a channel each, or
    one for all. ``resolution`` payloads of 1 make the scale.
    """

    steps: int
    tables: Tables
    resolution: int

    @classmethod
    def of(cls, tables: Tensor, steps: int, resolution: int) -> LookupRule:
        """The rule of a stack of tables, ``[5, channels, cells]``."""
        return cls(steps, Tables(*tables.detach().cpu().double()), resolution)

    @property
    def cells(self) -> int:
        """Steps that name a cell."""
        return int(self.tables.thresholds.shape[1])

    @property
    def levels(self) -> int:
        """The highest number of a place, which has as many steps; 0 where there is no second spike."""
        return self.steps - self.cells

    @property
    def unit(self) -> float:
        """What a payload of 1 stands for, in units of the population's scale."""
        return 1.0 / self.resolution

    @property
    def largest_threshold(self) -> Array:
        """The largest size of a threshold, ``[channels]``; a channel that is never silent has one without an end."""
        rows = self._row("thresholds")
        found: Array = np.abs(np.where(np.isfinite(rows), rows, 0.0)).max(1).clip(min=1e-300)
        return found

    @cached_property
    def slopes(self) -> Array:
        """What a place is worth more than the one before, ``[channels, cells]``: rounded away from zero.

        Places become as much wider, so that the line through the cell stays. A cell along which the line climbs less
        than half a payload has no second spike.
        """
        exact = self._row("slopes") / self.unit
        found: Array = np.where(self._climbs, np.sign(exact) * np.ceil(np.abs(exact)), 0.0).astype(np.int64)
        return found

    @cached_property
    def payloads(self) -> Array:
        """What the first spike is worth, ``[channels, cells]``; never 0, which would be no spike."""
        exact = self._first
        found: Array = np.where(np.rint(exact) == 0, np.where(exact < 0, -1, 1), np.rint(exact)).astype(np.int64)
        return found

    def integers(self, scale: Array) -> IntegerTables:
        """The tables where ``scale`` (integers, ``[channels]``) stands for the scale in a membrane."""
        units = scale.reshape(-1, 1).astype(np.float64)
        thresholds, rates = self._row("thresholds") * units, self._row("rates") / units
        # The line of a cell in payloads: the middle of a place is worth what the place is.
        climb = np.where(self._climbs, rates * self._row("slopes") / self.unit, 1.0)
        origins = self._row("origins") * units + (self.payloads - self._first) / climb
        widths = np.rint(2.0**PLACE_BITS * self.slopes / climb)
        rows = np.broadcast_arrays(
            np.ceil(thresholds).clip(-MEMBRANE_LIMIT, MEMBRANE_LIMIT),
            self.payloads,
            np.where(self._climbs, np.rint(origins).clip(-MEMBRANE_LIMIT, MEMBRANE_LIMIT), 0.0),
            np.where(self._climbs, widths.clip(1.0, 2.0 ** (PLACE_BITS + 1) * MEMBRANE_LIMIT), 1.0),
            self.slopes,
        )
        return IntegerTables(*(row.astype(np.int64) for row in rows))

    def with_fractions(self, scale: Array) -> Array:
        """Tables in units of the scale, ``[5, channels, cells]``, by which a neuron fires as by the integers.

        Its potential must stand half a unit above its number, so that rounding decides nothing.
        """
        units, found = scale.reshape(-1, 1).astype(np.float64), self.integers(scale)
        tables: Array = np.stack(
            [
                found.thresholds / units,
                found.payloads * self.unit,
                (found.origins + _HALF - _ABOVE_ORIGIN) / units,
                2.0**PLACE_BITS * units / found.widths,
                found.slopes * self.unit,
            ]
        )
        return tables

    @cached_property
    def _climbs(self) -> Array:
        """Whether a second spike may come."""
        found: Array = np.abs(self._row("slopes")) * self.levels >= self.unit / 2
        return found

    @cached_property
    def _first(self) -> Array:
        """What the first spike would be worth if payloads had fractions."""
        payloads, slopes = self._row("payloads") / self.unit, self._row("slopes") / self.unit
        found: Array = payloads + np.where(self._climbs, (self.slopes - slopes) / 2, slopes * self.levels / 2)
        return found

    def _row(self, name: str) -> Array:
        found: Array = getattr(self.tables, name).numpy()
        return found
