"""The range of an input on calibration data: what a spiking input maps to 0 and 1."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
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

    def leaving(self, values: Tensor) -> Leaving:
        """How far ``values`` leave the range."""
        excess = torch.maximum(self.low - values, values - self.high) / self.span
        outside = excess > 0
        if self.low.numel() > 1:
            outside = outside.movedim(1, 0).flatten(1)
        counts = outside.reshape(len(outside) if self.low.numel() > 1 else 1, -1).sum(1)
        return Leaving(tuple(counts.tolist()), outside.numel(), max(0.0, float(excess.max())))

    def filling(self, values: Tensor, samples: int) -> Filling:
        """How much of the range ``values``, those of so many ``samples``, take up."""
        low, high = _ends(values, self.low.numel() > 1)
        lows, highs = (((end - self.low) / self.span).flatten().tolist() for end in (low, high))
        return Filling(tuple(lows), tuple(highs), samples)

    def normalize(self, values: Tensor) -> Tensor:
        """``values`` mapped to [0, 1], clipped where they leave the range."""
        return ((values - self.low) / self.span).clamp(0.0, 1.0)

    def restore(self, normalized: Tensor) -> Tensor:
        """The values that ``normalized`` stands for."""
        return self.low + normalized * self.span


@dataclass(frozen=True)
class Leaving:
    """Values that leave a range: how many by channel (or in all) of ``total``, and by how many widths of it at most."""

    counts: tuple[int, ...]
    total: int
    farthest: float

    def merge(self, other: Leaving) -> Leaving:
        """Both together."""
        counts = tuple(a + b for a, b in zip(self.counts, other.counts, strict=True))
        return Leaving(counts, self.total + other.total, max(self.farthest, other.farthest))

    @property
    def share(self) -> float:
        """The share of values outside, in the channel where it is largest; 0 where there are none, as behind a mask."""
        return max(self.counts) * len(self.counts) / self.total if self.total else 0.0

    def text(self, name: str) -> str:
        """A clause on the input, or the population, called ``name``."""
        where = "" if len(self.counts) == 1 else f" of channel {self.counts.index(max(self.counts))}"
        return (
            f"{name} leaves the range seen in calibration: {self.share:.2%} of the values{where} are outside, by "
            f"up to {self.farthest:.2g} times its width"
        )


@dataclass(frozen=True)
class Filling:
    """How much of a range values take up: by channel, or in all, from where to where, in widths from its low end."""

    lows: tuple[float, ...]
    highs: tuple[float, ...]
    samples: int

    def merge(self, other: Filling) -> Filling:
        """Both together."""
        lows = tuple(map(min, self.lows, other.lows))
        return Filling(lows, tuple(map(max, self.highs, other.highs)), self.samples + other.samples)

    @property
    def share(self) -> float:
        """The part of the range from the lowest to the highest value, in the channel where it is largest."""
        return max(high - low for low, high in zip(self.lows, self.highs, strict=True))


def range_of(values: Tensor, by_channel: bool) -> InputRange:
    """The range of ``values``, channel by channel or altogether; it is never empty."""
    return ranges_of([(values,)], [by_channel])[0]


def ranges_of(chunks: Iterable[Sequence[Tensor]], by_channel: Sequence[bool]) -> list[InputRange]:
    """The ranges of inputs that come in ``chunks``, each channel by channel or altogether; none is empty.

    What a chunk holds beside as many inputs is left out.
    """
    found: list[tuple[Tensor, Tensor]] = []
    for chunk in chunks:
        ends = [_ends(values, apart) for values, apart in zip(chunk, by_channel, strict=False)]
        pairs = zip(found, ends, strict=True)
        found = [(torch.minimum(a, c), torch.maximum(b, d)) for (a, b), (c, d) in pairs] if found else ends
    return [InputRange(low, torch.where(high > low, high, low + 1.0)) for low, high in found]


def _ends(values: Tensor, by_channel: bool) -> tuple[Tensor, Tensor]:
    if not by_channel:
        return values.amin().reshape(1), values.amax().reshape(1)
    rest = [axis for axis in range(values.dim()) if axis != 1]
    return values.amin(rest, keepdim=True), values.amax(rest, keepdim=True)
