"""What is observed of a population's activation on calibration data: maxima, histograms, and how maxima scatter."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property, lru_cache

import numpy as np
import torch
from torch import Tensor

from coding import Code
from coding.window.staircase import decoded, staircase_of
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


@lru_cache(maxsize=16)
def _rounding(code: Code) -> Tensor:
    """Squared errors, in units of a channel's maximum, of its bins' middles: ``[candidates, bins]``.

    They are the same for all channels, and for all populations that ask for this very code.
    """
    stairs = staircase_of(code)
    centres = np.arange(0.5, BINS) / BINS
    candidates = np.array(_CANDIDATES, dtype=np.float32).astype(np.float64)[:, None]
    if stairs is None:
        scales = torch.from_numpy(candidates / code.full_scale).float()
        found = decoded(code, torch.from_numpy(centres).float() / scales) * scales
        return (found - torch.from_numpy(centres)).square().float()
    # From which bin on each of the values is taken: runs of equal levels along every row.
    begin = np.clip(np.ceil(candidates * stairs.lowest * BINS - 0.5), 0, BINS).astype(np.int64)
    lengths = np.diff(begin, append=np.full_like(begin[:, :1], BINS))
    levels = np.repeat((candidates * stairs.values).ravel(), lengths.ravel()).reshape(len(candidates), BINS)
    return torch.from_numpy(np.square(levels - centres)).float()


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

    def observe_maximum(self, values: Tensor) -> None:
        """Take the range of a batch in."""
        sizes = self.activation.coded_size(values, self.negative)
        largest = self._largest(sizes)
        if self.total == 0:
            self.highest = torch.zeros(len(largest), HIGHEST, dtype=largest.dtype, device=largest.device)
            self.peaks = torch.zeros(len(largest), dtype=torch.float64, device=largest.device)
        self.highest = torch.cat([largest, self.highest], 1).topk(HIGHEST, 1).values
        self.maximum = self.highest[:, 0].clone()
        self.peaks = self.peaks + largest.double().sum(1)
        self.samples += largest.shape[1]
        self.active += int(torch.count_nonzero(values))
        self.total += values.numel() if self.present is None else int(self.present.expand_as(values).sum())

    def _largest(self, sizes: Tensor) -> Tensor:
        """The largest of ``sizes`` in every channel of every sample, ``[channels, samples]``."""
        apart = self.batched and self.channel_axis != 0
        if self.channel_axis is None:
            return sizes.reshape(1, len(sizes) if apart else 1, -1).amax(2)
        kept = sizes.movedim(self.channel_axis, 1 if apart else 0)
        within = [*range(2 if apart else 1, kept.dim())]
        largest = kept.amax(within) if within else kept
        return largest.T if apart else largest[:, None]

    def observe_histogram(self, values: Tensor) -> None:
        """Count a batch whose range was taken in."""
        sizes = self.activation.coded_size(values, self.negative)
        channels = len(self.maximum)
        if self.histogram.numel() == 0:
            self.histogram = torch.zeros(channels, BINS, dtype=torch.int32, device=values.device)
        if self.total > torch.iinfo(torch.int32).max:  # and a count may be
            self.histogram = self.histogram.long()
        along = [1] * values.dim()
        if self.channel_axis is not None:
            along[self.channel_axis] = channels
        per_unit = BINS / torch.where(self.maximum > 0, self.maximum, 1.0)
        bins = (sizes * per_unit.view(along)).clamp_(max=BINS - 1).int()
        bins += (torch.arange(channels, dtype=torch.int32, device=values.device) * BINS).view(along)
        bins = bins.flatten() if self.present is None else bins[self.present.expand_as(bins)]
        self.histogram.view(-1).index_add_(0, bins, self.histogram.new_ones(()).expand(len(bins)))

    def fresh(self) -> ActivationStatistics:
        """The same before anything was observed."""
        return ActivationStatistics(self.channel_axis, self.activation, self.negative, self.batched)

    def add_maximum(self, other: ActivationStatistics) -> None:
        """Take in the ranges of batches that ``other`` saw."""
        first = self.samples == 0
        self.highest = other.highest if first else torch.cat([self.highest, other.highest], 1).topk(HIGHEST, 1).values
        self.maximum = self.highest[:, 0].clone()
        self.peaks = other.peaks if first else self.peaks + other.peaks
        self.samples, self.active = self.samples + other.samples, self.active + other.active
        self.total += other.total

    def percentile(self, percent: float) -> Tensor:
        """Smallest value that ``percent`` of a channel's values do not exceed, to a histogram's bin; ``[channels]``.

        A channel whose percentile falls into the lowest bin, because it is nearly always silent, gets its maximum.
        """
        if percent == 100.0:
            return self.maximum.clone()
        upto = self._upto()
        bin_index = torch.searchsorted(upto, (upto[:, -1:].float() * (percent / 100.0)).ceil().to(upto))[:, 0]
        edge = self.maximum * ((bin_index.float() + 1.0).clamp(max=BINS) / BINS)
        return torch.where(bin_index == 0, self.maximum, edge)

    def _upto(self) -> Tensor:
        """How many values lie up to the end of each bin."""
        return self.histogram.cumsum(1, dtype=self.histogram.dtype)

    def centres(self) -> Tensor:
        """Middles of the histogram's bins, in units of a channel's maximum."""
        return (torch.arange(BINS, dtype=torch.float32, device=self.maximum.device) + 0.5) / BINS

    def least_squares(self, code: Code, counts: Tensor | None = None) -> Tensor:
        """The largest value for ``code`` to carry, by channel, for the least squared error of rounding and clipping.

        What samples to come exceed the maximum by is clipped too (see ``_clipped_beyond``). ``counts``, for whoever
        asks for many codes, are those of the bins, ``[channels, bins]``, in single precision. It is asked for when all
        has been observed.
        """
        squares = _rounding(code).to(self.maximum.device)
        # Values in the lowest bin, next to zero, stay silent under every candidate.
        rounding = (self.histogram.float() if counts is None else counts)[:, 1:] @ squares[:, 1:].T
        errors = rounding.double() + self._beyond
        candidates = torch.tensor(_CANDIDATES, dtype=torch.float32, device=self.maximum.device)
        return candidates[errors.argmin(1)] * self.maximum

    @cached_property
    def _beyond(self) -> Tensor:
        candidates = torch.tensor(_CANDIDATES, dtype=torch.float32, device=self.maximum.device)
        return self._clipped_beyond(candidates.double())

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
        starts: Tensor  # candidates below the maximum all start at it
        starts, place = torch.unique(candidates.clamp(min=1.0), return_inverse=True)
        bound = _FARTHEST if self.activation.bound is None else self.activation.bound / unit
        ends = torch.as_tensor(bound, dtype=torch.float64, device=unit.device).clamp(min=1.0).maximum(starts[None])
        power = -1.0 / self._tail_index()
        at_start, at_end = starts[None] ** (power + 1.0), ends ** (power + 1.0)

        def integral(r: Tensor, risen: Tensor) -> Tensor:  # of 2 (r - start) r^power
            return 2.0 * (r ** (power + 2.0) / (power + 2.0) - starts[None] * risen / (power + 1.0))

        below = (1.0 - candidates[None]).clamp(min=0.0)  # the whole way from a candidate below the maximum
        mean_excess = ((at_end - at_start) / (power + 1.0))[:, place]
        whole, before = integral(ends, at_end)[:, place], integral(starts[None], at_start)[:, place]
        cut = below**2 + 2.0 * below * mean_excess + whole - before
        bins = (self.peaks[:, None] / self.samples / unit * BINS).long().clamp(max=BINS - 1)
        upto = self._upto()
        above = upto[:, -1:] - upto.gather(1, bins) + self.histogram.gather(1, bins)
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
