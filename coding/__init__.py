"""What a spike means: neural codes that turn values into spike trains and back."""

from coding.burst import Burst as Burst
from coding.code import Code as Code
from coding.code import Quantized as Quantized
from coding.errors import ConfigurationError as ConfigurationError
from coding.errors import SnnconvError as SnnconvError
from coding.input import InputCode as InputCode
from coding.input import LatencyInput as LatencyInput
from coding.input import PoissonInput as PoissonInput
from coding.input import RealInput as RealInput
from coding.input import SpikeInput as SpikeInput
from coding.plan import CODES as CODES
from coding.plan import CodingPlan as CodingPlan
from coding.plan import register_code as register_code
from coding.rate import Rate as Rate
from coding.schedule import Concurrent as Concurrent
from coding.schedule import Pipeline as Pipeline
from coding.schedule import Schedule as Schedule
from coding.schedule import Timing as Timing
from coding.table_spike import TableSpike as TableSpike
from coding.whole_table import WholeTable as WholeTable
from coding.window import TTFS as TTFS
from coding.window import FewSpike as FewSpike
from coding.window import OneSpike as OneSpike
from coding.window import Phase as Phase
