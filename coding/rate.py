"""Rate code: the value is the share of time steps with a spike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from coding.firing_form import FixedThresholds
from coding.neural_code import Code, Fired, Memory, Quantized
from coding.threshold import reaches, tie_tolerance
from coding.window.closed_form import Levels, levels_of
from coding.window.counts import CountTable, counts


@dataclass(frozen=True)
class Rate(Code):
    """Firing rate over ``steps`` time steps (Rueckauer et al. 2017, the integrate-and-fire neuron of their eq. 5).

    A unit spike is fired whenever the potential reaches 1. With a constant drive z in [0, 1] and an initial potential
    of one half, the number of spikes is z * steps rounded half up; in a window, the first so many steps hold them.

    Args:
        steps: Time steps over which spikes are counted.

    Raises:
        ConfigurationError: ``steps`` is no integer of at least 1.
    """

    steps: int = 64

    name: ClassVar[str] = "rate"
    papers: ClassVar[tuple[str, ...]] = ("rueckauer2017",)
    unit_payload: ClassVar[bool] = True
    streams: ClassVar[bool] = True
    multiplications: ClassVar[int] = 0

    @property
    def period(self) -> int:
        return 1

    @property
    def payloads(self) -> tuple[float, ...]:
        return (1.0,) * self.steps

    @property
    def initial_potential(self) -> float:
        return 0.5

    def fire(self, potential: Tensor, t: int, memory: Memory, out: Tensor | None = None) -> Fired:
        spikes = reaches(potential, 1.0, out)
        return Fired(spikes, spikes, None)

    def firing_form(self, dtype: torch.dtype) -> FixedThresholds:
        return FixedThresholds((1.0,), (1.0 - tie_tolerance(dtype),))

    def quantize(self, values: Tensor, counted: bool = True) -> Quantized:
        spikes = counts(values, self.steps, self.initial_potential)
        updates = spikes.new_full(spikes.shape, self.steps)
        return Quantized(spikes / updates, spikes, updates)  # GPUs would multiply by the inverse of a mere number

    def tabulated(self, dtype: torch.dtype, device: torch.device) -> Levels | None:
        """What ``quantize`` computes, to be looked up; ``None`` where there are too many levels."""
        return levels_of(CountTable(self.steps, self.initial_potential), dtype, device)
