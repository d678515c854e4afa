"""What is observed of a population's activation on calibration data: maxima, histograms, and how maxima scatter."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from coding import Code
from neurons import Negative
from snnconv.graph.operators import ActivationFunction, PiecewiseLinear

#: How far beyond the maximum of calibration data the largest value to carry may lie, for samples that exceed it.
_HEADROOM = 1.5
#: Bins of a channel's histogram from 0 to its maximum.
BINS = 2048


@dataclass
class ActivationStatistics:
    """Statistics of one population's activation, channel by channel; sums are exact, so order does not matter.

    Values are counted as the code sees them, which depends on how the neurons fire below zero. ``peaks`` are the sum
    and the sum of squares of every sample's largest value, ``[2, channels]``: from how much these differ follows what
    samples to come will exceed the maximum by.
    """

    channel_axis: int | None
    activation: ActivationFunction = field(default_factory=PiecewiseLinear)
    negative: Negative = "graded"
    batched: bool = True
    maximum: Tensor = field(default_factory=lambda: torch.zeros(0))
    peaks: Tensor = field(default_factory=lambda: torch.zeros(0))
    samples: int = 0
    active: int = 0
    total: int = 0
    histogram: Tensor = field(default_factory=lambda: torch.zeros(0))

    def by_channel(self, values: Tensor) -> Tensor:
        """What the code sees of the values, as ``[channels, values per channel]``."""
        sizes = self.activation.coded_size(values, self.negative)
        if self.channel_axis is None:
            return sizes.reshape(1, -1)
        by_channel = sizes.movedim(self.channel_axis, 0)
        return by_channel.reshape(len(by_channel), -1)

    def observe_maximum(self, values: Tensor) -> None:
        sizes = self.by_channel(values)
        samples = len(values) if self.batched and self.channel_axis != 0 else 1
        largest = sizes.reshape(len(sizes), samples, -1).amax(2)
        peaks = torch.stack([largest.double().sum(1), largest.double().square().sum(1)])
        maximum = largest.amax(1)
        self.maximum = maximum if self.total == 0 else torch.maximum(self.maximum, maximum)
        self.peaks = peaks if self.total == 0 else self.peaks + peaks
        self.samples += samples
        self.active += int(torch.count_nonzero(values))
        self.total += values.numel()

    def observe_histogram(self, values: Tensor) -> None:
        rows = self.by_channel(values)
        channels = rows.shape[0]
        if self.histogram.numel() == 0:
            self.histogram = torch.zeros(channels, BINS, dtype=torch.int64, device=values.device)
        width = torch.where(self.maximum > 0, self.maximum, 1.0) / BINS
        bins = (rows / width[:, None]).long().clamp_(0, BINS - 1)
        bins += torch.arange(channels, device=values.device)[:, None] * BINS
        self.histogram += torch.bincount(bins.flatten(), minlength=channels * BINS).view(channels, BINS)

    def percentile(self, percent: float) -> Tensor:
        """Smallest value that ``percent`` of a channel's values do not exceed, to a histogram's bin; ``[channels]``.

        A channel whose percentile falls into the lowest bin, because it is nearly always silent, gets its maximum.
        """
        if percent == 100.0:
            return self.maximum.clone()
        wanted = self.histogram.sum(1, keepdim=True) * (percent / 100.0)
        bin_index = (self.histogram.cumsum(1) < wanted).sum(1)
        edge = self.maximum * ((bin_index + 1.0).clamp(max=BINS) / BINS)
        return torch.where(bin_index == 0, self.maximum, edge)

    def centres(self) -> Tensor:
        """Middles of the histogram's bins, in units of a channel's maximum."""
        return (torch.arange(BINS, device=self.maximum.device) + 0.5) / BINS

    def least_squares(self, code: Code) -> Tensor:
        """The largest value for ``code`` to carry, by channel, for the least squared error of rounding and clipping.

        What samples to come exceed the maximum by is clipped too; see ``_tail``.
        """
        centres = self.centres()
        candidates = torch.linspace(_HEADROOM, 0.05, 117, device=self.maximum.device)
        weights = self.histogram.to(torch.float64)
        weights[:, 0] = 0.0  # values next to zero stay silent under every candidate
        scales = (candidates / code.full_scale)[:, None]
        levels = code.quantize(centres / scales, counted=False).values * scales
        rounding = weights @ ((centres - levels) ** 2).to(torch.float64).T
        errors = rounding + self._clipped_beyond(candidates.double(), *self._tail())
        return candidates[errors.argmin(1)] * self.maximum

    def _tail(self) -> tuple[Tensor, Tensor]:
        """Of as many samples to come: mean excess over the maximum, in its unit, and the values that exceed it.

        Of n samples n / (n + 1) are expected to exceed the maximum of n, each with as many values as exceed the mean of
        all samples' largest values in a sample that does. What by falls off exponentially, as in a Gumbel distribution
        with the deviation of these largest values. Both are ``[channels]``.
        """
        if self.samples < 2:
            nothing = torch.zeros_like(self.maximum, dtype=torch.float64)
            return nothing + 1.0, nothing
        unit = self.maximum.double().clamp(min=1e-300)
        mean, square = self.peaks / self.samples
        deviation = (square - mean.square()).clamp(min=0.0).sqrt() / unit
        bins = (mean / unit * BINS).long().clamp(max=BINS - 1)
        above = self.histogram.flip(1).cumsum(1).flip(1).gather(1, bins[:, None])[:, 0]
        values = (above / (self.samples / 2)).clamp(min=1.0)  # about half of the samples exceed the mean
        excess = (deviation * (math.sqrt(6.0) / math.pi)).clamp(min=1e-12)
        return excess, values * (self.samples / (self.samples + 1))

    @staticmethod
    def _clipped_beyond(largest: Tensor, excess: Tensor, exceeding: Tensor) -> Tensor:
        """Squared error, ``[channels, candidates]``, of what lies beyond the maximum and is cut at ``largest``."""
        excess, exceeding = excess[:, None], exceeding[:, None]
        reached = exceeding * torch.exp((1.0 - largest.clamp(min=1.0)) / excess)
        below = (1.0 - largest).clamp(min=0.0)
        clipped: Tensor = reached * (below**2 + 2 * below * excess + 2 * excess.square())
        return clipped
