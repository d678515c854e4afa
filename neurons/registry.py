"""Registry of neurons by name, and which neuron a population gets by default."""

from __future__ import annotations

from typing import Literal

from coding.code import Code
from neurons.corrective import CorrectiveIntegrateFire
from neurons.integrate_fire import IntegrateFire, SignedIntegrateFire
from neurons.neuron import Neuron
from neurons.signed_window import SignedWindow

#: How a signed neuron fires below zero.
Negative = Literal["graded", "imbalanced"]
#: Neurons that can be stored; their constructors take numbers, text and codes only.
NEURONS: dict[str, type] = {
    "integrate-fire": IntegrateFire,
    "signed": SignedIntegrateFire,
    "signed-window": SignedWindow,
    "corrective": CorrectiveIntegrateFire,
}


def register_neuron(name: str, neuron: type) -> None:
    """Make a frozen dataclass that follows the contract ``Neuron`` storable under ``name``."""
    NEURONS[name] = neuron


def signed_neuron(code: Code, negative_slope: float, windowed: bool, negative: Negative | None = None) -> Neuron:
    """The neuron for an activation with ``negative_slope`` below zero, in a window or under a stream.

    ``negative`` is how it fires below zero; by default "imbalanced" in a window, where small values then cost no spike,
    and "graded" under a stream, where imbalanced thresholds take many steps to reach.
    """
    if windowed:
        return SignedWindow(code, negative_slope, negative or "imbalanced")
    # Half a threshold to start from, where one sign prevails; the identity favours neither.
    start = code.initial_potential if negative_slope < 1.0 else 0.0
    return SignedIntegrateFire(code, negative_slope, negative or "graded", start)
