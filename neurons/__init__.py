"""How a spike is produced: neurons with explicit state, advanced one time step at a time."""

from neurons.adapters import NorseNeuron as NorseNeuron
from neurons.adapters import SnntorchNeuron as SnntorchNeuron
from neurons.corrective import CorrectiveIntegrateFire as CorrectiveIntegrateFire
from neurons.deciding import DoubleExponentialOutput as DoubleExponentialOutput
from neurons.double_exponential import DoubleExponential as DoubleExponential
from neurons.integrate_fire import IntegrateFire as IntegrateFire
from neurons.neuron import BiasedNeuron as BiasedNeuron
from neurons.neuron import Neuron as Neuron
from neurons.neuron import ScoringNeuron as ScoringNeuron
from neurons.neuron import UpdateCost as UpdateCost
from neurons.neuron import WindowNeuron as WindowNeuron
from neurons.registry import NEURONS as NEURONS
from neurons.registry import Negative as Negative
from neurons.registry import default_negative as default_negative
from neurons.registry import register_neuron as register_neuron
from neurons.registry import signed_neuron as signed_neuron
from neurons.signed import SignedIntegrateFire as SignedIntegrateFire
from neurons.signed_window import SignedWindow as SignedWindow
