"""Burst code: spikes on consecutive steps carry exponentially growing payloads."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from coding.errors import ConfigurationError
from coding.firing_form import GrowingThreshold
from coding.neural_code import Code, Fired, Memory
from coding.threshold import reaches, tie_tolerance


@dataclass(frozen=True)
class Burst(Code):
    """Burst spikes of Park et al. 2019 (DAC): a spike carries g * threshold, and g grows by ``gain`` within a burst.

    g[t] = gain * g[t-1] after a spike and 1 after a silent step; a spike is fired when the potential reaches
    g * ``threshold``. From rest, k spikes in a row carry (gain^k - 1) / (gain - 1) thresholds. Half a threshold as
    initial potential rounds instead of flooring; the paper starts from 0.

    Args:
        steps: Time steps of the stream.
        threshold: What the first spike of a burst carries, a fraction of the population's scale, in (0, 1].
        gain: Factor from one spike of a burst to the next, above 1.
        largest_gain: Cap of g, for hardware with few bits of payload; ``None`` is no cap.

    Raises:
        ConfigurationError: An argument lies outside its range.
    """

    steps: int = 256
    threshold: float = 0.125
    gain: float = 2.0
    largest_gain: float | None = None

    name: ClassVar[str] = "burst"
    papers: ClassVar[tuple[str, ...]] = ("park2019burst",)
    streams: ClassVar[bool] = True
    windows: ClassVar[bool] = False
    bounded: ClassVar[bool] = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0.0 < self.threshold <= 1.0:
            raise ConfigurationError(f"Burst: threshold must lie in (0, 1], got {self.threshold!r}")
        if not self.gain > 1.0:
            raise ConfigurationError(f"Burst: gain must be above 1, got {self.gain!r}; with 1 it is rate code")
        if self.largest_gain is not None and not self.largest_gain >= 1.0:
            raise ConfigurationError(f"Burst: largest_gain must be at least 1, got {self.largest_gain!r}")

    @property
    def period(self) -> int:
        return 1

    @property
    def presentation(self) -> int:
        # Long enough for a value of 1 to be fired in bursts, down to less than a threshold.
        potential, threshold, steps = 1.0, self.threshold, 0
        while potential >= self.threshold:
            fires = potential >= threshold
            potential -= threshold if fires else 0.0
            threshold = (
                min(threshold * self.gain, (self.largest_gain or math.inf) * self.threshold)
                if fires
                else self.threshold
            )
            steps += 1
        return steps

    @property
    def initial_potential(self) -> float:
        return self.threshold / 2

    def fire(self, potential: Tensor, t: int, memory: Memory, out: Tensor | None = None) -> Fired:
        # The memory is the threshold itself, g * threshold.
        threshold = torch.full_like(potential, self.threshold) if memory is None else memory
        spikes = reaches(potential, threshold, out)
        payload = spikes.mul_(threshold)
        grown = threshold * self.gain
        if self.largest_gain is not None:
            grown = grown.clamp_(max=self.largest_gain * self.threshold)
        return Fired(payload, payload, grown.masked_fill_(payload == 0, self.threshold))

    def firing_form(self, dtype: torch.dtype) -> GrowingThreshold:
        largest = math.inf if self.largest_gain is None else self.largest_gain * self.threshold
        return GrowingThreshold(self.threshold, self.gain, largest, 1.0 - tie_tolerance(dtype))
