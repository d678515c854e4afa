"""Registry of neurons by name, and which neuron a population gets by default."""

from __future__ import annotations

from coding.code import Code
from neurons.corrective import CorrectiveIntegrateFire
from neurons.integrate_fire import IntegrateFire, SignedIntegrateFire
from neurons.neuron import Neuron
from neurons.signed_window import SignedWindow

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


def signed_neuron(code: Code, negative_slope: float, windowed: bool) -> Neuron:
    """The neuron for an activation with ``negative_slope`` below zero, in a window or under a stream."""
    if windowed:
        return SignedWindow(code, negative_slope)
    # Half a threshold to start from, where one sign prevails; the identity favours neither.
    start = code.initial_potential if negative_slope < 1.0 else 0.0
    return SignedIntegrateFire(code, negative_slope, initial_potential=start)
