"""convert(): a trained network becomes a spiking one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from torch import Tensor, nn
from torch.export import ExportedProgram

from coding import Code, CodingPlan, InputCode, Schedule
from coding.plan import as_plan
from neurons import Negative, Neuron
from snnconv.calibration.assembly import Calibrator, assemble
from snnconv.calibration.options import Decoding, Options
from snnconv.errors import ConfigurationError
from snnconv.metrics.held_out_error import warn_of_error
from snnconv.metrics.judge import Judge
from snnconv.network import SpikingNetwork
from snnconv.progress import ProgressCallback
from snnconv.scaling.spreading import Executor, spread_over
from snnconv.search.error_budget import default_network
from snnconv.search.objective import Goal
from snnconv.search.searching import search
from snnconv.spiking.logs import Cost
from snnconv.surroundings import own_surroundings


@own_surroundings()
def convert(
    model: nn.Module | ExportedProgram,
    calibration: Any,
    *,
    coding: str | Code | Mapping[str, str | Code] | CodingPlan | None = None,
    input: str | Code | InputCode | None = None,
    schedule: Schedule | None = None,
    normalization: Literal["channel", "layer"] = "channel",
    percentile: float | Literal["mse"] | None = None,
    neuron: str | Neuron | Callable[[Code], Neuron] = "integrate-fire",
    negative: Negative | None = None,
    initial_potential: float | None = None,
    bias_correction: bool = True,
    decoding: Decoding = "potential",
    max_loss: float | None = None,
    minimize: Cost | None = None,
    judge: Judge | None = None,
    constants: Mapping[str, Tensor] | None = None,
    analog: Sequence[str] = (),
    progress: ProgressCallback | None = None,
    workers: int | Literal["auto"] | None = None,
    executor: Executor | None = None,
) -> SpikingNetwork:
    """Convert a trained network into a spiking network that computes the same function with spikes.

    Args:
        model: The network, which is left exactly as it is, or an exported program.
        calibration: Sample input: a tensor, a (inputs, targets) tuple, or an iterable of batches. Every fifth sample is
            held out for ``verify``.
        coding: A code's name, a code such as ``coding.FewSpike(6, spikes=2)``, a mapping of patterns of population
            names to codes ("*" is the rest), or a plan. "auto" searches for the codes with the least ``minimize`` that
            are expected to lose at most ``max_loss`` points; the network's ``search_log`` says what was tried. Without
            one it is few-spike code; in a network with functions that are looked up, or signals that are multiplied or
            divided, every population has a code of its own, with as few spikes as keep the expected error of the output
            within 1.5 % on calibration samples.
        input: "real" (constant current), "poisson", or a code of spikes.
        schedule: ``coding.Pipeline()`` or ``coding.Concurrent(steps)`` where a code supports both.
        normalization: One scale per "channel", or one per "layer".
        percentile: Percentile of the activations that scales are (100 is the maximum), or "mse" for the least squared
            error; by default "mse" in a pipeline and 99.9 otherwise, or 100 where a maximum picks one of many values.
        neuron: "integrate-fire"; "corrective", which takes back spikes fired too early in rate code; a function that
            makes a neuron from the code, such as ``functools.partial(neurons.IntegrateFire, reset="zero")``; or a
            neuron of your own, for instance ``neurons.SnntorchNeuron(...)``.
        negative: How populations with negative values fire below zero: a fraction of a spike as soon as there is one
            ("graded", the default of a stream), or with imbalanced thresholds ("imbalanced", Spiking-YOLO, the default
            of a pipeline).
        initial_potential: Potential of all neurons before their first step, as a share of the scale; by default the
            code's, half of its smallest payload in rate and burst code, which rounds instead of flooring.
        bias_correction: Take back the mean error of every channel's current in a pipeline.
        decoding: What the output is decoded from: what arrived at it, in full ("potential"), or the spikes of output
            neurons in rate code, which are inserted unless it is spikes already ("spike-count", Spiking-YOLO's other
            way; coarser by up to a spike, which is a scale divided by the number of steps).
        max_loss: Points of the judge's measure that a search may lose, 0.5 by default. This and the next two are for
            "auto" only.
        minimize: What a search makes small: "energy" (the default), "spikes" or "latency".
        judge: What an error of the output costs: ``ClassJudge()``, for which the output must be class scores, is the
            default; ``LabelJudge(threshold)``, ``ValueJudge()``, or your own (see ``snnconv.metrics.judge.Judge``).
        constants: Arguments of forward that become part of the synapses, by name, such as the adjacency (dense or
            sparse) of a graph network: ``constants={"adj": adj}``. The spiking network takes the remaining inputs.
        analog: Names of modules, with all inside, or of operations as ``preflight`` calls them, whose weights may stay
            real-valued: those behind the last population and a function that is not affine, such as
            ``analog=["head"]``. Their multiply-accumulates are in all reports, and in the energy of both networks.
        progress: Called as the work comes on; what it raises ends the work (see ``Progress``).
        workers: Processes of this machine that observe activations, and that run the networks which a search tries, on
            samples between them; or "auto" for one a core (see ``Workers``). The network is the same.
        executor: Does that instead, as for ``evaluate``.

    Returns:
        The spiking network, on the device and in the precision of the model. A warning is logged where its output is
        more than 2 % off on samples held out, or where none could be held out; it says what would help.

    Raises:
        UnsupportedModelError: The model has operations that cannot be converted; all of them are listed.
        ModelError: Its weights, device or precision cannot be used.
        InputError: The calibration samples do not fit.
        ConfigurationError: An option is out of range, or options cannot be combined.
        WorkerError: A process that did a part of the work was killed, or cannot be started.

    Example:
        >>> snn = snnconv.convert(model, images)  # a few hundred inputs, as the network takes them
        >>> snn = snnconv.convert(model, loader, coding="rate")  # a DataLoader, whose targets are left aside
        >>> snn = snnconv.convert(model, images, coding="auto", max_loss=0.5)  # the cheapest codes within half a point
    """
    options = Options(percentile, neuron, bias_correction, normalization, negative, initial_potential, decoding)
    asked = {"max_loss": max_loss, "minimize": minimize, "judge": judge}
    aims: dict[str, Any] = {name: value for name, value in asked.items() if value is not None}
    if coding != "auto" and aims:
        raise ConfigurationError(
            f'{", ".join(aims)} would be ignored: give coding="auto", which searches, or leave it out'
        )
    if coding == "auto" and decoding == "spike-count":
        raise ConfigurationError(
            'decoding="spike-count" needs rate code at the output, and coding="auto" chooses among many: give the '
            'codes, such as coding="rate", or leave decoding at "potential"'
        )
    goal = Goal(**aims)
    plan = as_plan("few-spike" if coding in (None, "auto") else coding, input, schedule)
    calibrator = Calibrator(model, calibration, constants, progress, analog)
    if coding == "auto":
        goal.check_output(calibrator.captured.output)
    with spread_over(workers, executor) as spread:
        calibrated = calibrator.calibrated(plan, options, progress, spread)
        if coding == "auto":
            return search(calibrated, options, plan, goal, progress, spread)
    make = default_network if coding is None else assemble
    network = make(calibrated, options=options, plan=plan, progress=progress)
    warn_of_error(network, calibrated.samples.fitted, calibrated.samples.given, progress)
    return network
