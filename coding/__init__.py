"""What a spike means: neural codes that turn values into spike trains and back."""

from coding.burst import Burst
from coding.code import Code, Fired, Quantized
from coding.errors import ConfigurationError, InputError, SnnconvError
from coding.input import BernoulliInput, EventInput, InputCode, LatencyInput, PoissonInput, RealInput, SpikeInput
from coding.plan import CODES, CodingPlan, register_code
from coding.rate import Rate
from coding.schedule import Concurrent, Pipeline, Schedule, Timing
from coding.table_spike import TableSpike
from coding.whole_table import WholeTable
from coding.window import TTFS, FewSpike, OneSpike, Phase

__all__ = [
    "CODES",
    "TTFS",
    "BernoulliInput",
    "Burst",
    "Code",
    "CodingPlan",
    "Concurrent",
    "ConfigurationError",
    "EventInput",
    "FewSpike",
    "Fired",
    "InputCode",
    "InputError",
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
    "Timing",
    "WholeTable",
    "register_code",
]
