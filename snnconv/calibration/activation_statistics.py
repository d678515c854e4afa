"""What is observed of a population's activation on calibration data: maxima, histograms, and how maxima scatter."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from coding import Code
from neurons import Negative
from snnconv.graph.operators import ActivationFunction, PiecewiseLinear

#: Largest values to carry that are tried, in units of the maximum of calibration data: beyond it, for samples that
#: exceed it, and below it.
_CANDIDATES = (*(64.0 ** (step / 48) for step in range(48, 0, -1)), *(1.0 - step / 80 for step in range(77)))
#: Factor of the maximum beyond which no value of an unbounded activation is expected.
_FARTHEST = 64.0
#: Bounds of a tail index: constant values have none, and a few samples cannot tell a heavier one.
_SMALLEST_INDEX, _LARGEST_INDEX = 1e-3, 0.2
#: How many of the samples' largest values are kept for each channel.
HIGHEST = 3
#: Bins of a channel's histogram from 0 to its maximum.
BINS = 2048


def rows_of_channels(values: Tensor, axis: int | None) -> Tensor:
    """``values``, whose channels lie along ``axis``, as ``[channels, values per channel]``; one row without an axis."""
    if axis is None:
        return values.reshape(1, -1)
    by_channel = values.movedim(axis, 0)
    return by_channel.reshape(len(by_channel), -1)


@dataclass
class ActivationStatistics:
    """Statistics of one population's activation, channel by channel; sums are exact, so order does not matter.

    Values are counted as the code sees them, which depends on how the neurons fire below zero. Of every sample's
    largest value ``peaks`` is the sum, ``[channels]``, and ``highest`` are the largest few, ``[channels, HIGHEST]``, in
    falling order: they say how far samples to come will exceed the maximum. Where ``present``, which broadcasts over
    the values of the batch that is observed, is false, no neuron is needed, and its 0 does not count.
    """

    channel_axis: int | None
    activation: ActivationFunction = field(default_factory=PiecewiseLinear)
    negative: Negative = "graded"
    batched: bool = True
    present: Tensor | None = None
    maximum: Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.float32))
    highest: Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.float32))
    peaks: Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.float32))
    samples: int = 0
    active: int = 0
    total: int = 0
    histogram: Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.float32))

    def by_channel(self, values: Tensor) -> Tensor:
        """What the code sees of the values, as ``[channels, values per channel]``."""
        return rows_of_channels(self.activation.coded_size(values, self.negative), self.channel_axis)

    def observe_maximum(self, values: Tensor) -> None:
        sizes = self.by_channel(values)
        samples = len(values) if self.batched and self.channel_axis != 0 else 1
        largest = sizes.reshape(len(sizes), samples, -1).amax(2)
        if self.total == 0:
            self.highest = torch.zeros(len(largest), HIGHEST, dtype=largest.dtype, device=largest.device)
            self.peaks = torch.zeros(len(largest), dtype=torch.float64, device=largest.device)
        self.highest = torch.cat([largest, self.highest], 1).topk(HIGHEST, 1).values
        self.maximum = self.highest[:, 0].clone()
        self.peaks = self.peaks + largest.double().sum(1)
        self.samples += samples
        self.active += int(torch.count_nonzero(values))
        self.total += values.numel() if self.present is None else int(self.present.expand_as(values).sum())

    def observe_histogram(self, values: Tensor) -> None:
        rows = self.by_channel(values)
        channels = rows.shape[0]
        if self.histogram.numel() == 0:
            self.histogram = torch.zeros(channels, BINS, dtype=torch.int64, device=values.device)
        width = torch.where(self.maximum > 0, self.maximum, 1.0) / BINS
        bins = (rows / width[:, None]).long().clamp_(0, BINS - 1)
        bins += torch.arange(channels, device=values.device)[:, None] * BINS
        if self.present is not None:
            bins = bins[rows_of_channels(self.present.expand_as(values), self.channel_axis)]
        self.histogram += torch.bincount(bins.flatten(), minlength=channels * BINS).view(channels, BINS)

    def percentile(self, percent: float) -> Tensor:
        """Smallest value that ``percent`` of a channel's values do not exceed, to a histogram's bin; ``[channels]``.

        A channel whose percentile falls into the lowest bin, because it is nearly always silent, gets its maximum.
        """
        if percent == 100.0:
            return self.maximum.clone()
        wanted = self.histogram.sum(1, keepdim=True).float() * (percent / 100.0)
        bin_index = (self.histogram.cumsum(1) < wanted).sum(1)
        edge = self.maximum * ((bin_index.float() + 1.0).clamp(max=BINS) / BINS)
        return torch.where(bin_index == 0, self.maximum, edge)

    def centres(self) -> Tensor:
        """Middles of the histogram's bins, in units of a channel's maximum."""
        return (torch.arange(BINS, dtype=torch.float32, device=self.maximum.device) + 0.5) / BINS

    def least_squares(self, code: Code) -> Tensor:
        """The largest value for ``code`` to carry, by channel, for the least squared error of rounding and clipping.

        What samples to come exceed the maximum by is clipped too (see ``_clipped_beyond``).
        """
        centres = self.centres()
        candidates = torch.tensor(_CANDIDATES, dtype=torch.float32, device=self.maximum.device)
        weights = self.histogram.to(torch.float64)
        weights[:, 0] = 0.0  # values next to zero stay silent under every candidate
        scales = (candidates / code.full_scale)[:, None]
        levels = code.quantize(centres / scales, counted=False).values * scales
        rounding = weights @ ((centres - levels) ** 2).to(torch.float64).T
        errors = rounding + self._clipped_beyond(candidates.double())
        return candidates[errors.argmin(1)] * self.maximum

    def _clipped_beyond(self, candidates: Tensor) -> Tensor:
        """Squared error of what as many samples to come exceed the maximum by, cut at each of ``candidates``.

        Of n samples any is as likely the one that holds the maximum, so the next exceeds it with probability
        1 / (n + 1). The factor by which it does has a tail r^(-1 / index), up to the bound of the activation, and as
        many values reach there as those of a sample that exceed the mean of all samples' largest values. In units of
        the maximum, ``[channels, candidates]``. One sample says nothing of others.
        """
        if self.samples < 2:
            return candidates.new_zeros(len(self.maximum), len(candidates))
        unit = self.maximum.double().clamp(min=1e-300)[:, None]
        bound = _FARTHEST if self.activation.bound is None else self.activation.bound / unit
        start = candidates[None].clamp(min=1.0)
        end = torch.as_tensor(bound, dtype=torch.float64, device=unit.device).clamp(min=1.0).maximum(start)
        power = -1.0 / self._tail_index()

        def integral(r: Tensor) -> Tensor:  # of 2 (r - start) r^power
            return 2.0 * (r ** (power + 2.0) / (power + 2.0) - start * r ** (power + 1.0) / (power + 1.0))

        below = (1.0 - candidates[None]).clamp(min=0.0)  # the whole way from a candidate below the maximum
        mean_excess = (end ** (power + 1.0) - start ** (power + 1.0)) / (power + 1.0)
        cut = below**2 + 2.0 * below * mean_excess + integral(end) - integral(start)
        bins = (self.peaks[:, None] / self.samples / unit * BINS).long().clamp(max=BINS - 1)
        above = self.histogram.flip(1).cumsum(1).flip(1).gather(1, bins)
        values = (above.float() / (self.samples / 2)).clamp(min=1.0)  # about half of the samples exceed the mean
        clipped: Tensor = values * (self.samples / (self.samples + 1)) * cut
        return clipped

    def _tail_index(self) -> float:
        """Tail index of the samples' largest values (Hill 1975), a mean over the channels of the population."""
        known = self.highest > 0
        count = known.sum(1)
        if not bool((count > 1).any()):
            return _LARGEST_INDEX
        logs = torch.where(known, self.highest, 1.0).double().log()
        lowest = logs.gather(1, (count - 1).clamp(min=0)[:, None])
        above = torch.where(known, logs - lowest, 0.0).sum(1) / (count - 1).clamp(min=1)
        return min(max(float(above[count > 1].mean()), _SMALLEST_INDEX), _LARGEST_INDEX)
