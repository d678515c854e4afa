"""A neuron that computes any function of what it integrated: one spike, by a table of its channel."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from coding.neural_code import Code, Quantized
from coding.threshold import at_least, tie_tolerance
from neurons.integrate_fire import MembraneState
from neurons.neuron import UpdateCost, integrate

#: Most of the way from a threshold down to the next that its slack takes (see ``coding.threshold``).
_SHARE_OF_GAP = 0.25


@dataclass(frozen=True)
class TableLookup:
    """Integrate-and-fire neuron that fires once in a window, a spike whose worth a table tells by its step.

    Potentials below every threshold are silent, worth 0. Tables belong to the population, one for each channel
    (``with_tables``); without any, it is the integrate-and-fire neuron of its code.

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
        """The same neuron with ``tables`` ``[2, channels, steps]``: thresholds, falling with time, and payloads.

        Channels lie along ``axis`` of potentials; ``None`` where one table serves all of them.
        """
        return _WithTables(self.code, tables, axis)

    def initial(self, like: Tensor) -> MembraneState:
        return MembraneState(torch.full_like(like, self.code.initial_potential, requires_grad=False), None)

    def listen(self, current: Tensor, state: MembraneState, inverse_scale: Tensor | float = 1.0) -> MembraneState:
        return state._replace(potential=integrate(state.potential, current, inverse_scale))

    def fire(self, state: MembraneState, t: int, out: Tensor | None = None) -> tuple[Tensor, MembraneState]:
        emitted, removed, memory = self.code.fire(state.potential, t, state.memory, out=out)
        return emitted, MembraneState(state.potential.sub_(removed), memory)

    def step(
        self, current: Tensor, state: MembraneState, t: int, inverse_scale: Tensor | float = 1.0
    ) -> tuple[Tensor, MembraneState]:
        return self.fire(self.listen(current, state, inverse_scale), t, out=current)

    def window(self, values: Tensor, counted: bool = True) -> Quantized:
        return self.code.quantize(values, counted)


@dataclass(frozen=True, eq=False)
class _WithTables(TableLookup):
    """The neuron of one population, with its tables."""

    tables: Tensor
    axis: int | None

    @property
    def unit_payload(self) -> bool:
        return False

    @cached_property
    def bounds(self) -> Tensor:
        """The potentials from which on each threshold is reached, ``[channels, steps]``.

        The slack is relative to the largest threshold of a channel: potentials are sums and differences of numbers of
        that size, however near to 0 a threshold is.
        """
        thresholds = self.tables[0]
        finite = torch.where(thresholds.isfinite(), thresholds, 0.0)
        slack = tie_tolerance(thresholds.dtype) * finite.abs().amax(1, keepdim=True)
        gaps = torch.cat([thresholds[:, :-1] - thresholds[:, 1:], torch.full_like(slack, torch.inf)], 1)
        return thresholds - torch.minimum(slack, _SHARE_OF_GAP * gaps)

    def fire(self, state: MembraneState, t: int, out: Tensor | None = None) -> tuple[Tensor, MembraneState]:
        potential, silent = state
        spikes = at_least(potential, self._by_channel(self.bounds[:, t], potential.dim()), out)
        if silent is not None:
            spikes.mul_(silent)  # 1 while the only spike has not been fired
        still = (1.0 - spikes) if silent is None else (1.0 - spikes).mul_(silent)
        spikes.mul_(self._by_channel(self.tables[1][:, t], potential.dim()))
        return spikes, MembraneState(potential, still)

    def window(self, values: Tensor, counted: bool = True) -> Quantized:
        by_channel = values.reshape(1, -1) if self.axis is None else values.movedim(self.axis, 0)
        rows = by_channel.reshape(len(self.bounds), -1).contiguous()
        reached = torch.searchsorted(self._rising, rows, right=True)
        found = self._from_silence.gather(1, reached).view(by_channel.shape)
        decoded = found.view(values.shape) if self.axis is None else found.movedim(0, self.axis)
        if not counted:
            return Quantized(decoded, None, None)
        steps = self.tables.shape[2]
        updates = (steps + 1 - reached).clamp_(max=steps)  # a spike at step t ends them, behind t + 1 updates
        counts = [each.to(values.dtype).view(by_channel.shape) for each in ((reached > 0), updates)]
        spikes, updated = (
            each.view(values.shape) if self.axis is None else each.movedim(0, self.axis) for each in counts
        )
        return Quantized(decoded, spikes, updated)

    @cached_property
    def _rising(self) -> Tensor:
        return self.bounds.flip(1).contiguous()

    @cached_property
    def _from_silence(self) -> Tensor:
        """Worth of each number of bounds that a potential reaches, from none."""
        payloads = self.tables[1]
        return torch.cat([torch.zeros_like(payloads[:, :1]), payloads.flip(1)], 1)

    def _by_channel(self, row: Tensor, dims: int) -> Tensor:
        if self.axis is None:
            return row.reshape(())
        shape = [1] * dims
        shape[self.axis] = -1
        return row.view(shape)
