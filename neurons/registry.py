"""Registry of neurons by name, and which neuron a population gets by default."""

from __future__ import annotations

from typing import Literal

from coding.code import Code
from neurons.corrective import CorrectiveIntegrateFire
from neurons.deciding import DoubleExponentialOutput
from neurons.double_exponential import DoubleExponential
from neurons.integrate_fire import IntegrateFire
from neurons.neuron import Neuron
from neurons.signed import SignedIntegrateFire
from neurons.signed_window import SignedWindow

#: How a signed neuron fires below zero.
Negative = Literal["graded", "imbalanced"]
#: Neurons that can be stored; their constructors take numbers, text and codes only.
NEURONS: dict[str, type] = {
    "integrate-fire": IntegrateFire,
    "signed": SignedIntegrateFire,
    "signed-window": SignedWindow,
    "corrective": CorrectiveIntegrateFire,
    "double-exponential": DoubleExponential,
    "double-exponential-output": DoubleExponentialOutput,
}


def register_neuron(name: str, neuron: type) -> None:
    """Make a frozen dataclass that follows the contract ``Neuron`` storable under ``name``."""
    NEURONS[name] = neuron


def default_negative(windowed: bool) -> Negative:
    """How neurons fire below zero unless asked otherwise.

    In a window with imbalanced thresholds, so that small values cost no spike; under a stream these take many steps to
    reach, and graded spikes few.
    """
    return "imbalanced" if windowed else "graded"


def signed_neuron(code: Code, negative_slope: float, windowed: bool, negative: Negative | None = None) -> Neuron:
    """The neuron for an activation with ``negative_slope`` below zero, in a window or under a stream."""
    negative = negative or default_negative(windowed)
    if windowed:
        return SignedWindow(code, negative_slope, negative)
    # Half a threshold to start from, where one sign prevails; the identity favours neither.
    start = code.initial_potential if negative_slope < 1.0 else 0.0
    return SignedIntegrateFire(code, negative_slope, negative, start)
