"""Schedules: when each population of a network is active."""

from dataclasses import dataclass

from torch import Tensor

from coding.errors import ConfigurationError


@dataclass(frozen=True)
class Concurrent:
    """All populations run at once, and every one of ``steps`` time steps carries an estimate of the output."""

    steps: int

    def __post_init__(self) -> None:
        if isinstance(self.steps, bool) or not isinstance(self.steps, int) or self.steps < 1:
            raise ConfigurationError(f"Concurrent: steps must be a whole number of at least 1, got {self.steps!r}")

    def decode(self, total: Tensor, steps: int) -> Tensor:
        """The value that payloads summing to ``total`` after ``steps`` time steps stand for: their mean."""
        return total / steps
