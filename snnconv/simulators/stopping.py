"""Early stopping: when a sample's decision is clear enough to end its simulation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from snnconv.errors import ConfigurationError


@dataclass(frozen=True)
class FirstSpike:
    """Stop a sample once a neuron of the output has fired: a decision by the first spike.

    A network that learned through its own spikes decides among several of one step for the highest potential.
    The output must be one tensor ``[N, classes]`` of spikes, that of a network whose output is a population.

    Example:
        >>> result = snnconv.evaluate(learned, (trains, labels), stop=snnconv.FirstSpike())
    """

    def __call__(self, output: Any, steps: int) -> Tensor:
        """Which samples may stop after ``steps`` time steps, ``[N]`` of bool."""
        if not isinstance(output, Tensor) or output.dim() != 2:
            raise ConfigurationError("FirstSpike needs an output of spikes [N, classes]")
        return (output != 0).any(1)


@dataclass(frozen=True)
class Confidence:
    """Stop a sample once its most probable class reaches ``probability`` under a softmax of the decoded output.

    The output must be one tensor of class scores ``[N, classes]``.

    Args:
        probability: What the softmax of the most probable class must reach.
        minimum_steps: Time steps before which no sample stops.

    Raises:
        ConfigurationError: The probability lies outside (0, 1], or ``minimum_steps`` is below 1.

    Example:
        >>> result = snnconv.evaluate(stream, (images, labels), stop=snnconv.Confidence(0.99))
    """

    probability: float
    minimum_steps: int = 1

    def __post_init__(self) -> None:
        if not 0.0 < self.probability <= 1.0:
            raise ConfigurationError(f"probability must lie in (0, 1], got {self.probability!r}")
        if self.minimum_steps < 1:
            raise ConfigurationError(f"minimum_steps must be at least 1, got {self.minimum_steps!r}")

    def __call__(self, output: Any, steps: int) -> Tensor:
        """Which samples may stop after ``steps`` time steps, ``[N]`` of bool."""
        if not isinstance(output, Tensor) or output.dim() != 2:
            raise ConfigurationError("Confidence needs an output of class scores [N, classes]")
        if steps < self.minimum_steps:
            return torch.zeros(output.shape[0], dtype=torch.bool, device=output.device)
        return output.softmax(1).amax(1) >= self.probability
