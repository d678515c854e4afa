"""snnconv converts trained PyTorch networks into spiking neural networks, and measures what comes out."""

import snnconv.shadowing  # noqa: F401 # first: it says so where another file stands in the way of a package

# isort: split
from snnconv import coding, neurons
from snnconv.checking import preflight
from snnconv.convert import convert
from snnconv.errors import ConfigurationError, InputError, ModelError, SnnconvError, StorageError
from snnconv.evaluation import Evaluation, evaluate
from snnconv.learning.tuning import tune
from snnconv.logs import TuningLog
from snnconv.network import SpikingNetwork, load
from snnconv.problems import Preflight, UnsupportedModelError
from snnconv.progress import Progress
from snnconv.simulators import Confidence, FirstSpike
from snnconv.simulators.run import Run
from snnconv.statistics import SpikeStatistics, spike_statistics
from snnconv.sweep import Sweep, sweep
from snnconv.verification import Verification, verify
from snnconv.version import __version__

__all__ = [
    "Confidence",
    "ConfigurationError",
    "Evaluation",
    "FirstSpike",
    "InputError",
    "ModelError",
    "Preflight",
    "Progress",
    "Run",
    "SnnconvError",
    "SpikeStatistics",
    "SpikingNetwork",
    "StorageError",
    "Sweep",
    "TuningLog",
    "UnsupportedModelError",
    "Verification",
    "__version__",
    "coding",
    "convert",
    "evaluate",
    "load",
    "neurons",
    "preflight",
    "spike_statistics",
    "sweep",
    "tune",
    "verify",
]
