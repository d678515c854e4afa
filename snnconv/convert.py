"""convert(): a trained network becomes a spiking one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

from torch import Tensor, nn
from torch.export import ExportedProgram

from coding import Code, CodingPlan, InputCode, Schedule
from coding.plan import as_plan
from neurons import Negative, Neuron
from snnconv.assembly import Calibrator, Options, assemble
from snnconv.judge import ClassJudge, Judge
from snnconv.logs import Cost
from snnconv.network import SpikingNetwork
from snnconv.progress import ProgressCallback
from snnconv.search import search


def convert(
    model: nn.Module | ExportedProgram,
    calibration: Any,
    *,
    coding: str | Code | Mapping[str, str | Code] | CodingPlan = "few-spike",
    input: str | Code | InputCode | None = None,
    schedule: Schedule | None = None,
    normalization: Literal["channel", "layer"] = "channel",
    percentile: float | Literal["mse"] | None = None,
    neuron: str | Neuron | Callable[[Code], Neuron] = "integrate-fire",
    negative: Negative | None = None,
    bias_correction: bool = True,
    max_loss: float = 0.5,
    minimize: Cost = "energy",
    judge: Judge | None = None,
    constants: Mapping[str, Tensor] | None = None,
    progress: ProgressCallback | None = None,
) -> SpikingNetwork:
    """Convert a trained network into a spiking network that computes the same function with spikes.

    ``model`` is an ``nn.Module`` (left exactly as it is) or an exported program. ``calibration`` is sample input: a
    tensor, a (inputs, targets) tuple, or an iterable of batches; every fifth sample is held out for ``verify``.

    ``coding`` is a code's name, a code such as ``coding.FewSpike(6, spikes=2)``, a mapping of patterns of population
    names to codes ("*" is the rest), or a ``CodingPlan``. "auto" searches for the codes with the least ``minimize``
    ("energy", "spikes" or "latency") that are expected to lose at most ``max_loss`` points; the network's
    ``search_log`` says what was tried. ``judge`` says what an error of the output costs; without one the output must be
    class scores. ``input`` is "real" (constant current), "poisson", or a code of spikes.
    ``schedule`` is ``coding.Pipeline()`` or ``coding.Concurrent(steps)`` where a code has a meaning under both.

    Scales are found per ``channel`` or per ``layer`` as a ``percentile`` of the activations (100 is the maximum), or
    with "mse" for the least squared error; the default is "mse" in a pipeline and 99.9 otherwise. ``bias_correction``
    takes back the mean error of every channel's current in a pipeline. ``neuron`` is "integrate-fire", or
    "corrective", which takes back spikes fired too early in rate code; or a function that makes a neuron from the code,
    such as ``functools.partial(neurons.IntegrateFire, reset="zero")``; or a neuron of your own, for instance
    ``neurons.SnntorchNeuron(...)``. Populations with negative values use signed neurons;
    ``negative`` says how they fire below zero, a fraction of a spike as soon as there is one ("graded", the default of
    a stream) or with imbalanced thresholds ("imbalanced", Spiking-YOLO, the default of a pipeline).

    ``constants`` names arguments of forward that become part of the synapses, such as the adjacency (dense or sparse)
    of a graph network: ``constants={"adj": adj}``; the spiking network takes the remaining inputs.

    ``progress`` is called as calibration and search come on; what it raises ends them (see ``Progress``).

    Raises ``UnsupportedModelError`` with every reason at once, ``ModelError``, ``InputError`` or
    ``ConfigurationError``.
    """
    options = Options(percentile, neuron, bias_correction, normalization, negative)
    plan = as_plan("few-spike" if coding == "auto" else coding, input, schedule)
    calibrated = Calibrator(model, calibration, constants, progress).calibrated(plan, options, progress)
    if coding == "auto":
        return search(calibrated, options, plan, max_loss, minimize, judge or ClassJudge(), progress)
    return assemble(calibrated, plan, options, progress)
