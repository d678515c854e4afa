"""What a spike means: neural codes that turn values into spike trains and back."""

from coding.burst import Burst
from coding.draws import Draws
from coding.errors import ConfigurationError, InputError, SnnconvError
from coding.input_codes import BernoulliInput, EventInput, InputCode, LatencyInput, PoissonInput, RealInput, SpikeInput
from coding.neural_code import Code, Fired, Quantized
from coding.plan import CodingPlan
from coding.rate import Rate
from coding.registry import CODES, register_code
from coding.schedule import Concurrent, Pipeline, Schedule, Timing
from coding.window.closed_form import WindowTable
from coding.window.few_spike import FewSpike
from coding.window.few_spike_neuron import FewSpikeNeuron
from coding.window.function_table import FunctionTable
from coding.window.integer_table import IntegerTable
from coding.window.one_spike import OneSpike
from coding.window.phase import Phase
from coding.window.table_spike import TableSpike
from coding.window.thermometer import Thermometer
from coding.window.ttfs import TTFS
from coding.window.window_code import WindowCode

__all__ = [
    "CODES",
    "TTFS",
    "BernoulliInput",
    "Burst",
    "Code",
    "CodingPlan",
    "Concurrent",
    "ConfigurationError",
    "Draws",
    "EventInput",
    "FewSpike",
    "FewSpikeNeuron",
    "Fired",
    "FunctionTable",
    "InputCode",
    "InputError",
    "IntegerTable",
    "LatencyInput",
    "OneSpike",
    "Phase",
    "Pipeline",
    "PoissonInput",
    "Quantized",
    "Rate",
    "RealInput",
    "Schedule",
    "SnnconvError",
    "SpikeInput",
    "TableSpike",
    "Thermometer",
    "Timing",
    "WindowCode",
    "WindowTable",
    "register_code",
]
