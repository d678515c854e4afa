"""snnconv converts trained PyTorch networks into spiking neural networks, and measures what comes out."""

from snnconv.convert import convert as convert
from snnconv.errors import ConfigurationError as ConfigurationError
from snnconv.errors import InputError as InputError
from snnconv.errors import ModelError as ModelError
from snnconv.errors import SnnconvError as SnnconvError
from snnconv.errors import StorageError as StorageError
from snnconv.errors import UnsupportedModelError as UnsupportedModelError
from snnconv.evaluation import Evaluation as Evaluation
from snnconv.evaluation import evaluate as evaluate
from snnconv.learning.tuning import TuningLog as TuningLog
from snnconv.learning.tuning import tune as tune
from snnconv.network import SpikingNetwork as SpikingNetwork
from snnconv.preflight import Preflight as Preflight
from snnconv.preflight import preflight as preflight
from snnconv.progress import Progress as Progress
from snnconv.simulators import Confidence as Confidence
from snnconv.simulators import FirstSpike as FirstSpike
from snnconv.simulators.run import Run as Run
from snnconv.statistics import SpikeStatistics as SpikeStatistics
from snnconv.statistics import spike_statistics as spike_statistics
from snnconv.storage import load as load
from snnconv.sweep import Sweep as Sweep
from snnconv.sweep import sweep as sweep
from snnconv.verification import Verification as Verification
from snnconv.verification import verify as verify

__version__ = "0.1.0"
