"""A neuron that computes any function of what it integrated: one spike or two, by a table of its channel."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from coding.neural_code import Code, Quantized
from coding.threshold import at_least, tie_tolerance
from neurons.integrate_fire import MembraneState
from neurons.neuron import State, UpdateCost, integrate
from neurons.window_form import LevelForm, TableForm, WindowForm, levels_in


class Tables(NamedTuple):
    """Tables of a population's channels, each ``[channels, cells]``, in units of its scale; cells fall with time.

    A neuron whose potential reaches ``thresholds`` fires at the step of that cell, a spike worth ``payloads``. Where
    a second spike may follow, (potential - ``origins``) * ``rates`` is its level in the cell, and it is worth the level
    times ``slopes``.
    """

    thresholds: Tensor
    payloads: Tensor
    origins: Tensor
    rates: Tensor
    slopes: Tensor


class TableState(NamedTuple):
    """Potential, whether a neuron is still silent, and the level in its cell and the slope there of one that fired."""

    potential: Tensor
    silent: Tensor
    level: Tensor
    slope: Tensor


@dataclass(frozen=True)
class TableLookup:
    """Integrate-and-fire neuron whose first spike names the cell that its potential lies in, and a second the place.

    What spikes are worth a table tells, one for each channel, which belongs to the population (``with_tables``).
    Potentials below every threshold are silent, worth 0. Without tables it is the integrate-and-fire neuron of its
    code.

    Args:
        code: The code of its spikes.
    """

    code: Code

    @property
    def unit_payload(self) -> bool:
        return self.code.unit_payload

    @property
    def update_cost(self) -> UpdateCost:
        return UpdateCost(words=2, additions=2, multiplications=self.code.multiplications)  # integrate, compare

    @property
    def closed_form(self) -> bool:
        return True

    def with_tables(self, tables: Tensor, axis: int | None) -> TableLookup:
        """The same neuron with ``tables``, a stack ``[5, channels, cells]`` of ``Tables``.

        Channels lie along ``axis`` of potentials; ``None`` where one table serves all of them.
        """
        return _WithTables(self.code, Tables(*tables), axis)

    def initial(self, like: Tensor) -> State:
        return MembraneState(torch.full_like(like, self.code.initial_potential, requires_grad=False), None)

    def listen(self, current: Tensor, state: State, inverse_scale: Tensor | float = 1.0) -> State:
        return state._replace(potential=integrate(state.potential, current, inverse_scale))

    def fire(self, state: State, t: int, out: Tensor | None = None) -> tuple[Tensor, State]:
        emitted, removed, memory = self.code.fire(state.potential, t, state.memory, out=out)
        return emitted, MembraneState(state.potential.sub_(removed), memory)

    def step(self, current: Tensor, state: State, t: int, inverse_scale: Tensor | float = 1.0) -> tuple[Tensor, State]:
        return self.fire(self.listen(current, state, inverse_scale), t, out=current)

    def window(self, values: Tensor, counted: bool = True) -> Quantized:
        return self.code.quantize(values, counted)

    def window_form(self, dtype: torch.dtype, device: torch.device) -> WindowForm | None:
        """What ``window`` looks up; see ``neurons.window_form``."""
        levels = levels_in(self.code, dtype, device)
        return None if levels is None else LevelForm(levels, None)


@dataclass(frozen=True, eq=False)
class _WithTables(TableLookup):
    """The neuron of one population, with its tables."""

    tables: Tables
    axis: int | None

    @property
    def unit_payload(self) -> bool:
        return False

    @cached_property
    def _cells(self) -> int:
        return self.tables.thresholds.shape[1]

    @cached_property
    def _levels(self) -> int:
        """The highest level of a second spike, which has as many steps; 0 where there is none."""
        return self.code.steps - self._cells

    @cached_property
    def _slack(self) -> Tensor:
        """What potentials are raised by before they are compared, ``[channels]``, far less than a cell.

        It is relative to the largest threshold of a channel: potentials are sums and differences of numbers of that
        size, however near to 0 a threshold is.
        """
        largest = torch.maximum(self.tables.origins.abs().amax(1), self.tables.thresholds[:, 0].abs())
        return tie_tolerance(largest.dtype) * largest

    def initial(self, like: Tensor) -> State:
        zero = torch.zeros_like(like, requires_grad=False)
        return TableState(zero, torch.ones_like(zero), zero.clone(), zero.clone())

    def fire(self, state: State, t: int, out: Tensor | None = None) -> tuple[Tensor, State]:
        potential, silent, level, slope = state
        if t < self._cells:
            threshold, payload, origin, rate, own = (self._of_channel(row[:, t], potential) for row in self.tables)
            raised = potential + self._of_channel(self._slack, potential)
            spikes = at_least(raised, threshold, out).mul_(silent)
            if self._levels:
                level.add_(spikes * ((raised - origin) * rate))
                slope.add_(spikes * own)
            silent.sub_(spikes)
            return spikes.mul_(payload), state
        number = self.code.steps - t
        spikes = at_least(level, float(number), out)
        level.mul_(1.0 - spikes)  # the last one
        return spikes.mul_(number * slope), state

    def window(self, values: Tensor, counted: bool = True) -> Quantized:
        by_channel = values.reshape(1, -1) if self.axis is None else values.movedim(self.axis, 0)
        rows = (by_channel.reshape(len(self._slack), -1) + self._slack[:, None]).contiguous()
        reached = torch.searchsorted(self._rising, rows, right=True)
        found = self._from_silence.payloads.gather(1, reached)
        spikes = (reached > 0).to(values.dtype) if counted else rows
        updates = (self._cells + 1 - reached).to(values.dtype) if counted else rows
        if self._levels:
            _, _, origins, rates, slopes = self._from_silence
            level = rows.sub_(origins.gather(1, reached)).mul_(rates.gather(1, reached)).floor_()
            level.clamp_(0.0, float(self._levels))
            slope = slopes.gather(1, reached)
            found.add_(level * slope)
            if counted:
                second = (level > 0) & (slope != 0)
                updates = torch.where(second, self.code.steps + 1 - level, float(self.code.steps))
                spikes = spikes + second.to(values.dtype)
        if not counted:
            return Quantized(self._laid_out(found, by_channel, values), None, None)
        updates.clamp_(max=float(self.code.steps))
        return Quantized(*(self._laid_out(each, by_channel, values) for each in (found, spikes, updates)))

    def window_form(self, dtype: torch.dtype, device: torch.device) -> WindowForm | None:
        """What ``window`` looks up, of tables that have this dtype and are there."""
        tables = self._from_silence
        if tables.payloads.dtype != dtype or tables.payloads.device != device:
            return None
        return TableForm(self._rising, *tables[1:], self._slack, self._levels, self.code.steps)

    def _laid_out(self, rows: Tensor, by_channel: Tensor, values: Tensor) -> Tensor:
        shaped = rows.view(by_channel.shape)
        return shaped.view(values.shape) if self.axis is None else shaped.movedim(0, self.axis)

    @cached_property
    def _rising(self) -> Tensor:
        return self.tables.thresholds.flip(1).contiguous()

    @cached_property
    def _from_silence(self) -> Tables:
        """Tables by the number of thresholds that a potential reaches, from none."""
        return Tables(*(torch.cat([torch.zeros_like(row[:, :1]), row.flip(1)], 1) for row in self.tables))

    def _of_channel(self, row: Tensor, like: Tensor) -> Tensor:
        if self.axis is None:
            return row.reshape(())
        shape = [1] * like.dim()
        shape[self.axis] = -1
        return row.view(shape)
