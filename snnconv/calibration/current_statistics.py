"""What is observed of the currents of a population that looks its spikes up: their range, and how often each occurs."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from snnconv.graph.operators import ActivationFunction
from snnconv.graph.operators.tabulated import Tabulated

#: Bins of a channel's histogram from its smallest to its largest current, and on either side for samples to come.
BINS, BEYOND = 512, 24
#: How much smaller than the largest a divisor may be, in powers of 2, for its parts to count ever more.
_SMALLEST_DIVISOR = 12
#: Length of either side, in mean excesses over the largest current.
_REACH = 4.0


def _none() -> Tensor:
    return torch.zeros(0, dtype=torch.float64)


@dataclass
class CurrentStatistics:
    """Statistics of the currents of one population, channel by channel; sums are exact, so order does not matter.

    Of every sample's largest and smallest current ``peaks`` and ``troughs`` are the sums, ``[channels]``: they say how
    far samples to come will leave the range. Where ``present``, which broadcasts over the currents of the batch that is
    observed, is false, no neuron is needed, and what is there does not count. Values that are summed into a divisor
    along ``axes`` count by the square of one over it, which is what their errors do; in powers of 4, so that sums are
    exact.
    """

    channel_axis: int | None
    activation: ActivationFunction
    batched: bool = True
    axes: tuple[int, ...] | None = None
    present: Tensor | None = None
    lowest: Tensor = field(default_factory=_none)
    highest: Tensor = field(default_factory=_none)
    peaks: Tensor = field(default_factory=_none)
    troughs: Tensor = field(default_factory=_none)
    samples: int = 0
    active: int = 0
    total: int = 0
    histogram: Tensor = field(default_factory=_none)
    divisor: float = 0.0
    least_divisor: float = math.inf

    def by_channel(self, currents: Tensor) -> Tensor:
        """Currents as ``[channels, values per channel]``."""
        if self.channel_axis is None:
            return currents.reshape(1, -1)
        channels = currents.movedim(self.channel_axis, 0)
        return channels.reshape(len(channels), -1)

    def observe_maximum(self, currents: Tensor) -> None:
        """Take the range of a batch in."""
        samples = len(currents) if self.batched and self.channel_axis != 0 else 1
        largest = self._reaching(currents, samples, 1.0)
        smallest = -self._reaching(currents, samples, -1.0)
        if self.total == 0:
            self.highest, self.lowest = largest.amax(1), smallest.amin(1)
            self.peaks = torch.zeros(len(largest), dtype=torch.float64, device=largest.device)
            self.troughs = torch.zeros_like(self.peaks)
        self.highest = torch.maximum(self.highest, largest.amax(1))
        self.lowest = torch.minimum(self.lowest, smallest.amin(1))
        self.peaks = self.peaks + largest.double().sum(1)
        self.troughs = self.troughs + smallest.double().sum(1)
        if self.axes is not None:
            divisors = self._divisors(currents, self.axes)
            self.divisor = max(self.divisor, float(divisors.amax()))
            self.least_divisor = min(self.least_divisor, float(divisors.amin()))
        self.samples += samples
        self.active += int(torch.count_nonzero(self.activation(currents)))
        self.total += currents.numel() if self.present is None else int(self.present.expand_as(currents).sum())

    def _reaching(self, currents: Tensor, samples: int, sign: float) -> Tensor:
        """How far the currents of every sample reach, ``[channels, samples]``, in the direction of ``sign``."""
        currents = currents * sign
        if self.present is not None:
            currents = torch.where(self.present, currents, -torch.inf)
        rows = self.by_channel(currents)
        found = rows.reshape(len(rows), samples, -1).amax(2)
        return found if self.present is None else torch.where(found > -torch.inf, found, 0.0)  # a channel without any

    def fresh(self) -> CurrentStatistics:
        """The same before anything was observed."""
        return CurrentStatistics(self.channel_axis, self.activation, self.batched, self.axes)

    def add_maximum(self, other: CurrentStatistics) -> None:
        """Take in the ranges of batches that ``other`` saw."""
        first = self.samples == 0
        self.highest = other.highest if first else torch.maximum(self.highest, other.highest)
        self.lowest = other.lowest if first else torch.minimum(self.lowest, other.lowest)
        self.peaks = other.peaks if first else self.peaks + other.peaks
        self.troughs = other.troughs if first else self.troughs + other.troughs
        self.divisor = max(self.divisor, other.divisor)
        self.least_divisor = min(self.least_divisor, other.least_divisor)
        self.samples, self.active = self.samples + other.samples, self.active + other.active
        self.total += other.total

    def observe_histogram(self, currents: Tensor) -> None:
        """Count a batch whose range was taken in."""
        rows = self.by_channel(currents)
        channels = len(rows)
        if self.histogram.numel() == 0:
            self.histogram = torch.zeros(channels, BINS, dtype=torch.int64, device=rows.device)
        bins = self._bins(rows)
        bins += torch.arange(channels, device=rows.device)[:, None] * BINS
        weights = None if self.axes is None else self.by_channel(self._weights(currents, self.axes))
        if self.present is not None:
            kept = self.by_channel(self.present.expand_as(currents))
            bins, weights = bins[kept], None if weights is None else weights[kept]
        counted = torch.bincount(
            bins.flatten(), None if weights is None else weights.flatten(), minlength=channels * BINS
        )
        self.histogram += counted.view(channels, BINS).to(torch.int64)

    def _bins(self, rows: Tensor) -> Tensor:
        """The bin of every current."""
        if self.divides:
            return torch.searchsorted(self._edges()[:, 1:-1].contiguous(), rows.double().contiguous(), right=True)
        lowest, width = self.lowest[:, None], (self.highest - self.lowest)[:, None]
        return ((rows - lowest) * (BINS / torch.where(width > 0, width, 1.0))).long().clamp_(0, BINS - 1)

    @property
    def divides(self) -> bool:
        """Whether the function's values divide others, so that its relative error counts."""
        return isinstance(self.activation, Tabulated) and self.activation.divides

    def _edges(self) -> Tensor:
        """Edges ``[channels, BINS + 1]`` of the bins of the range: as wide as each other.

        Of what divides the relative error counts, so half of them narrow with the current, down to a millionth.
        """
        low, high = self.lowest.double()[:, None], self.highest.double()[:, None]
        high = torch.maximum(high, low + self._least)
        inner = torch.linspace(0.0, 1.0, BINS + 1, dtype=torch.float64, device=low.device)
        if not self.divides:
            return low + (high - low) * inner
        start = torch.maximum(low + 1e-9 * (high - low), 1e-6 * high.abs())
        share = torch.linspace(0.0, 1.0, BINS // 2, dtype=torch.float64, device=low.device)
        ratio = torch.where(high > start, high / start, 1.0)
        narrowing = torch.where(high > start, start * ratio**share, low + (high - low) * (1e-9 + share * (1 - 1e-9)))
        even = low + (high - low) * (torch.arange(1, BINS // 2 + 1, device=low.device) - 0.5) / (BINS // 2)
        return torch.cat([low, narrowing, even], 1).sort(1).values

    @property
    def _least(self) -> Tensor:
        """The least width of a range, since constant currents have one too, ``[channels, 1]``."""
        return 1e-6 * self.unit.double()[:, None]

    def _divisors(self, currents: Tensor, axes: tuple[int, ...]) -> Tensor:
        return self.activation(currents).double().mean(axes, keepdim=True)

    def _weights(self, currents: Tensor, axes: tuple[int, ...]) -> Tensor:
        """What each of ``currents`` counts: 1 where its divisor is the largest."""
        divisors = self._divisors(currents, axes) / max(self.divisor, torch.finfo(torch.float64).tiny)
        powers = -divisors.clamp(min=2.0**-_SMALLEST_DIVISOR).log2().round()
        return torch.exp2(2.0 * powers).expand_as(currents)

    @property
    def unit(self) -> Tensor:
        """The largest size of a current, ``[channels]``; 1 where all are 0."""
        largest = torch.maximum(self.highest.abs(), self.lowest.abs())
        return torch.where(largest > 0, largest, 1.0)

    def distribution(self) -> tuple[Tensor, Tensor]:
        """Edges ``[channels, bins + 1]`` of bins of currents, and the weight of each, in double precision.

        The bins go on beyond the range on both sides, for samples to come. Of n samples any is as likely the one that
        holds the maximum, so one of n more is expected beyond it, by an exponentially distributed excess: its mean is
        what the largest of n exceeds the mean of all their largest by, over log n. One sample says nothing of others.
        """
        inner, counts, least = self._edges(), self.histogram.double(), self._least
        if self.divides or self.axes is not None:
            counts = counts + self._between(inner)
        low, high = inner[:, :1], inner[:, -1:]
        below, its_weights = self._beyond(low[:, 0] - self.troughs / max(self.samples, 1), counts.flip(1), least)
        above, weights = self._beyond(high[:, 0] - self.peaks / max(self.samples, 1), counts, least)
        edges = [low - below.flip(1), inner, high + above]
        return torch.cat(edges, 1), torch.cat([its_weights.flip(1), counts, weights], 1)

    def _between(self, edges: Tensor) -> Tensor:
        """What samples to come may bring between values that were seen: what one of n + 1 brings, at any size alike.

        Often one divisor of a sample is unlike all others, as a class token's is, and few values say where it may lie.
        Nothing bounds a quotient by one that falls between those that were seen, so relative errors are kept small
        there, too. A value that is summed counts as one does that is as large as its divisor.
        """
        values = self.activation(edges).clamp(min=torch.finfo(torch.float64).tiny)
        if self.axes is not None:
            values = values.clamp(min=max(self.least_divisor, self.divisor * 2.0**-_SMALLEST_DIVISOR))
        share = values.log().diff().abs()
        whole = share.sum(1, keepdim=True)
        share = share / torch.where(whole > 0, whole, 1.0) * (self.total / len(edges) / (self.samples + 1))
        if self.axes is not None:
            share = share * (self.divisor / torch.minimum(values[:, 1:], values[:, :-1])).clamp(min=1.0).square()
        return share

    def _beyond(self, excess: Tensor, counts: Tensor, least: Tensor) -> tuple[Tensor, Tensor]:
        """Distances from the range of the ends of the bins beyond it, from the nearest, and their weights.

        ``excess`` is how far the range ends beyond the mean of the samples' extremes, ``counts`` end there.
        """
        steps = torch.linspace(0.0, _REACH, BEYOND + 1, dtype=torch.float64, device=excess.device)
        mean = torch.maximum(excess.abs()[:, None] / math.log(max(self.samples, 2)), least)
        width = (self.highest - self.lowest).double()[:, None]
        from_end = (excess.abs()[:, None] / torch.where(width > 0, width, 1.0) * BINS).long().clamp(max=BINS - 1)
        reaching = counts.flip(1).cumsum(1).gather(1, from_end)  # half of the samples exceed the mean
        values = (reaching / max(self.samples / 2, 1)).clamp(min=1.0)
        share = torch.exp(-steps[:-1]) - torch.exp(-steps[1:])
        return mean * steps[1:], (values * share if self.samples > 1 else torch.zeros_like(mean * share))
