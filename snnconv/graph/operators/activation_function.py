"""Activation functions: what a population computes of its currents, as a family of small classes."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from coding import Code, ConfigurationError
from neurons import Negative, Neuron, signed_neuron


class ActivationFunction(ABC):
    """The function of its currents that a population stands for; frozen dataclasses of numbers and text.

    Everything that calibration, conversion, tuning, reports and files want to know of an activation they ask here.
    ``name`` is what files call the class (see ``ACTIVATION_FUNCTIONS``).
    """

    name: ClassVar[str]

    @abstractmethod
    def __call__(self, currents: Tensor) -> Tensor:
        """The activation's values for ``currents``, elementwise."""

    @property
    @abstractmethod
    def bound(self) -> float | None:
        """The largest value; ``None`` where there is none."""

    @abstractmethod
    def unbounded(self, currents: Tensor, unit: Tensor | float = 1.0) -> Tensor:
        """The values as if there were no bound; ``currents`` and values are in multiples of ``unit``."""

    @abstractmethod
    def slope(self, currents: Tensor) -> Tensor:
        """Derivative at ``currents`` as if there were no bound: that is kept by the largest value of the code."""

    @abstractmethod
    def error_weight(self, currents: Tensor) -> Tensor:
        """What a squared error of each of ``currents`` counts in the output: the square of the slope."""

    @abstractmethod
    def coded_size(self, values: Tensor, negative: Negative) -> Tensor:
        """What the code of a neuron that fires like ``negative`` below zero sees of each of this activation's values.

        Graded spikes encode the size of the current, which a slope has made small; imbalanced thresholds the value.
        """

    @abstractmethod
    def neuron(self, code: Code, windowed: bool, negative: Negative) -> Neuron | None:
        """The neuron that this function needs, in a window or under a stream; ``None`` where any neuron serves."""


#: Activation functions by name. The only way from a name in a file to code.
ACTIVATION_FUNCTIONS: dict[str, type[ActivationFunction]] = {}


def register_activation_function(function: type[ActivationFunction]) -> type[ActivationFunction]:
    """Class decorator that makes an activation function known by its ``name``, so that it can be stored."""
    ACTIVATION_FUNCTIONS[function.name] = function
    return function


@register_activation_function
@dataclass(frozen=True)
class PiecewiseLinear(ActivationFunction):
    """Slope 1 above zero, ``negative_slope`` in [0, 1] below, cut at ``maximum``: ReLU, leaky ReLU, ReLU6, identity.

    Raises ``ConfigurationError`` for a slope outside [0, 1] and for a maximum that is not finite and above 0.
    """

    negative_slope: float = 0.0
    maximum: float | None = None
    name: ClassVar[str] = "piecewise-linear"

    def __post_init__(self) -> None:
        if not 0.0 <= self.negative_slope <= 1.0:
            raise ConfigurationError(f"negative_slope must lie in [0, 1], got {self.negative_slope!r}")
        if self.maximum is not None and not 0.0 < self.maximum < math.inf:
            raise ConfigurationError(f"maximum must be finite and above 0, or None, got {self.maximum!r}")

    def __call__(self, currents: Tensor) -> Tensor:
        active = self.unbounded(currents)
        return active if self.maximum is None else active.clamp(max=self.maximum)

    @property
    def bound(self) -> float | None:
        return self.maximum

    def unbounded(self, currents: Tensor, unit: Tensor | float = 1.0) -> Tensor:
        above = currents.clamp(min=0.0)
        return above + self.negative_slope * currents.clamp(max=0.0) if self.negative_slope else above  # in any unit

    def slope(self, currents: Tensor) -> Tensor:
        above = (currents > 0).to(currents.dtype)
        return above + (1.0 - above) * self.negative_slope if self.negative_slope else above

    def error_weight(self, currents: Tensor) -> Tensor:
        above = (currents > 0).to(currents.dtype)
        return above + (1.0 - above) * self.negative_slope**2 if self.negative_slope else above

    def coded_size(self, values: Tensor, negative: Negative) -> Tensor:
        if negative == "graded" and 0.0 < self.negative_slope < 1.0:
            return torch.where(values < 0, values / -self.negative_slope, values)
        return values.abs()

    def neuron(self, code: Code, windowed: bool, negative: Negative) -> Neuron | None:
        return signed_neuron(code, self.negative_slope, windowed, negative) if self.negative_slope else None
