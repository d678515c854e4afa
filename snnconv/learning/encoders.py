"""Encoders: what input spikes the values of a sample become, once for the whole simulation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from snnconv.errors import ConfigurationError, InputError
from snnconv.surroundings import own_surroundings
from snnconv.training.options import check_integers


class Encoder(Protocol):
    """Values in [0, 1] to spikes; ``steps`` is the length of the simulation."""

    @property
    def steps(self) -> int:
        """Number of time steps T."""
        ...

    def __call__(self, values: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Spikes ``[T, N, ...]`` of 0 and 1 for ``values`` ``[N, ...]``; ``generator`` makes the draws, if any."""
        ...


@dataclass(frozen=True)
class LatencyEncoder:
    """One spike per value, at step int(``last`` (1 - x)): the larger the earlier; 0 stays silent (Kim et al. 2020).

    Raises ``ConfigurationError`` unless 0 <= ``last`` < ``steps``, ``InputError`` for values outside [0, 1].
    """

    steps: int = 300
    last: int = 24

    def __post_init__(self) -> None:
        check_integers(0, last=self.last, steps=self.steps)
        if not 0 <= self.last < self.steps:
            raise ConfigurationError(
                f"LatencyEncoder: last must lie in 0 to steps - 1, got last {self.last!r} and steps {self.steps!r}"
            )

    @own_surroundings()
    def __call__(self, values: Tensor, generator: torch.Generator | None = None) -> Tensor:
        check_unit(values)
        at = (self.last * (1.0 - values)).long()
        events = values.new_zeros(self.steps, *values.shape)
        return events.scatter_(0, at.unsqueeze(0), (values > 0.0).to(values.dtype).unsqueeze(0))


@dataclass(frozen=True)
class RateEncoder:
    """A spike at each of the first ``last`` steps with probability ``largest`` times the value (Bernoulli trains).

    ``last=None`` is all steps. Raises ``ConfigurationError`` for numbers out of range, ``InputError`` for values
    outside [0, 1].
    """

    steps: int = 300
    largest: float = 0.2
    last: int | None = None

    def __post_init__(self) -> None:
        check_integers(0, last=self._firing, steps=self.steps)
        if self.steps < 1 or not 0.0 < self.largest <= 1.0 or not 1 <= self._firing <= self.steps:
            raise ConfigurationError(
                "RateEncoder: steps must be 1 or more, largest in (0, 1] and last in 1 to steps, got "
                f"{self.steps!r}, {self.largest!r} and {self.last!r}"
            )

    @property
    def _firing(self) -> int:
        return self.steps if self.last is None else self.last

    @own_surroundings()
    def __call__(self, values: Tensor, generator: torch.Generator | None = None) -> Tensor:
        check_unit(values)
        firing = self._firing
        # Drawn where the generator is, so that the same seed means the same spikes on every device.
        draws = torch.rand(firing, *values.shape, generator=generator, dtype=values.dtype)
        events = values.new_zeros(self.steps, *values.shape)
        events[:firing] = (draws.to(values.device) < self.largest * values).to(values.dtype)
        return events


def check_unit(values: Tensor) -> None:
    """Raise ``InputError`` unless ``values`` are floating-point numbers in [0, 1]."""
    if not values.is_floating_point():
        raise InputError(f"values are {values.dtype}; divide by the largest possible one, such as 255, for [0, 1]")
    if values.numel() and not (float(values.min()) >= 0.0 and float(values.max()) <= 1.0):
        raise InputError("values lie outside 0 to 1, or are NaN; scale them to [0, 1]")
