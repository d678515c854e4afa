"""Registry of neurons by name: the only way from a name in a file to a class."""

from __future__ import annotations

from neurons.corrective import CorrectiveIntegrateFire
from neurons.integrate_fire import IntegrateFire, SignedIntegrateFire

#: Neurons that can be stored; their constructors take numbers, text and codes only.
NEURONS: dict[str, type] = {
    "integrate-fire": IntegrateFire,
    "signed": SignedIntegrateFire,
    "corrective": CorrectiveIntegrateFire,
}


def register_neuron(name: str, neuron: type) -> None:
    """Make a frozen dataclass that follows the contract ``Neuron`` storable under ``name``."""
    NEURONS[name] = neuron
