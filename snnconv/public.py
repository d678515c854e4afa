"""The public names of snnconv, which the package itself loads when the first of them is asked for."""

from snnconv import coding, neurons
from snnconv.calibration.resizing import resized
from snnconv.capture.problems import Preflight, UnsupportedModelError
from snnconv.checking import preflight
from snnconv.citing.citations import Citations, citations
from snnconv.conversion import convert
from snnconv.errors import (
    ConfigurationError,
    InputError,
    ModelError,
    RankError,
    SnnconvError,
    StorageError,
    WorkerError,
)
from snnconv.metrics.class_judge import ClassJudge
from snnconv.metrics.evaluation import evaluate
from snnconv.metrics.evaluation_result import Evaluation
from snnconv.metrics.label_judge import LabelJudge
from snnconv.metrics.neurobench_metrics import NeuroBench, neurobench
from snnconv.metrics.spike_trains import SpikeStatistics, spike_statistics
from snnconv.metrics.value_judge import ValueJudge
from snnconv.metrics.verification import verify
from snnconv.metrics.verification_result import Verification
from snnconv.network import SpikingNetwork, load
from snnconv.progress import Progress, ProgressCallback
from snnconv.reporting.making import Report, report
from snnconv.scaling.workers import Workers
from snnconv.simulators import Confidence, CrossbarNoise, FirstSpike
from snnconv.simulators.decoding import Decoder
from snnconv.simulators.run import Run
from snnconv.spiking.logs import SearchLog, TuningLog
from snnconv.sweeps.estimating import SweepEstimate, estimate_sweep
from snnconv.sweeps.running import sweep
from snnconv.sweeps.table import Sweep
from snnconv.tuning.pulses import optimize_pulses
from snnconv.tuning.tuning import tune
from snnconv.version import __version__

__all__ = [
    "Citations",
    "ClassJudge",
    "Confidence",
    "ConfigurationError",
    "CrossbarNoise",
    "Decoder",
    "Evaluation",
    "FirstSpike",
    "InputError",
    "LabelJudge",
    "ModelError",
    "NeuroBench",
    "Preflight",
    "Progress",
    "ProgressCallback",
    "RankError",
    "Report",
    "Run",
    "SearchLog",
    "SnnconvError",
    "SpikeStatistics",
    "SpikingNetwork",
    "StorageError",
    "Sweep",
    "SweepEstimate",
    "TuningLog",
    "UnsupportedModelError",
    "ValueJudge",
    "Verification",
    "WorkerError",
    "Workers",
    "__version__",
    "citations",
    "coding",
    "convert",
    "estimate_sweep",
    "evaluate",
    "load",
    "neurobench",
    "neurons",
    "optimize_pulses",
    "preflight",
    "report",
    "resized",
    "spike_statistics",
    "sweep",
    "tune",
    "verify",
]
