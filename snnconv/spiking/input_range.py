"""The range of an input on calibration data: what a spiking input maps to 0 and 1."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class InputRange(NamedTuple):
    """Smallest and largest value of an input, or of each channel (axis 1) of it; both broadcast to the input."""

    low: Tensor
    high: Tensor

    @property
    def span(self) -> Tensor:
        """What a normalised value of 1 adds to the lowest value."""
        return self.high - self.low

    def covers(self, values: Tensor) -> bool:
        """Whether all ``values`` lie in the range."""
        return not bool(((values < self.low) | (values > self.high)).any())

    def normalize(self, values: Tensor) -> Tensor:
        """``values`` mapped to [0, 1], clipped where they leave the range."""
        return ((values - self.low) / self.span).clamp(0.0, 1.0)

    def restore(self, normalized: Tensor) -> Tensor:
        """The values that ``normalized`` stands for."""
        return self.low + normalized * self.span


def range_of(values: Tensor, by_channel: bool) -> InputRange:
    """The range of ``values``, channel by channel or altogether; it is never empty."""
    if by_channel:
        rest = [axis for axis in range(values.dim()) if axis != 1]
        low, high = values.amin(rest, keepdim=True), values.amax(rest, keepdim=True)
    else:
        low, high = values.amin().reshape(1), values.amax().reshape(1)
    return InputRange(low, torch.where(high > low, high, low + 1.0))
