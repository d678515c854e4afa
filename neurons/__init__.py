"""How a spike is produced: neurons with explicit state, advanced one time step at a time."""

from neurons.adapters.norse import NorseNeuron
from neurons.adapters.snntorch import SnntorchNeuron
from neurons.corrective import CorrectiveIntegrateFire
from neurons.double_exponential import DoubleExponential
from neurons.double_exponential_output import DoubleExponentialOutput
from neurons.integrate_fire import IntegrateFire
from neurons.neuron import BiasedNeuron, Neuron, ScoringNeuron, UpdateCost, WindowNeuron
from neurons.registry import NEURONS, Negative, default_negative, register_neuron, signed_neuron
from neurons.signed_stream import SignedIntegrateFire
from neurons.signed_window import SignedWindow
from neurons.table_lookup import TableLookup

__all__ = [
    "NEURONS",
    "BiasedNeuron",
    "CorrectiveIntegrateFire",
    "DoubleExponential",
    "DoubleExponentialOutput",
    "IntegrateFire",
    "Negative",
    "Neuron",
    "NorseNeuron",
    "ScoringNeuron",
    "SignedIntegrateFire",
    "SignedWindow",
    "SnntorchNeuron",
    "TableLookup",
    "UpdateCost",
    "WindowNeuron",
    "default_negative",
    "register_neuron",
    "signed_neuron",
]
