"""evaluate(): accuracy, latency, spikes, synaptic operations and energy of a spiking network beside the original."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from snnconv.capture.binding import bound, check_call
from snnconv.capture.inference_copy import inference_copy
from snnconv.data.batches import IGNORED_TARGET, Inputs, batches, pieces
from snnconv.data.passage import Passage
from snnconv.graph.graph import refs_in
from snnconv.metrics.calibrated_range import CalibratedRange
from snnconv.metrics.class_judge import ClassJudge
from snnconv.metrics.costs import Costs
from snnconv.metrics.evaluation_result import Evaluation
from snnconv.metrics.judge import TargetJudge
from snnconv.metrics.judge_choice import check_judge, judge_for
from snnconv.metrics.totals import totals_of
from snnconv.network import SpikingNetwork
from snnconv.progress import ProgressCallback
from snnconv.simulators import CrossbarNoise, Stop, simulator_for
from snnconv.simulators.recorders import SpikeCounter
from snnconv.surroundings import own_surroundings

_logger = logging.getLogger(__name__)


@own_surroundings()
def evaluate(
    network: SpikingNetwork,
    data: Any,
    *,
    reference: nn.Module | None = None,
    simulator: str = "auto",
    steps: int | None = None,
    stop: Stop | None = None,
    seed: int = 0,
    before: int = 0,
    noise: CrossbarNoise | None = None,
    rate_reference: Costs | None = None,
    judge: TargetJudge | None = None,
    ignore_index: int = IGNORED_TARGET,
    progress: ProgressCallback | None = None,
    constants: Mapping[str, Tensor] | None = None,
) -> Evaluation:
    """Measure ``network`` on ``data``, batch by batch; nothing is stored whole.

    Args:
        network: The network to measure. One that learned through its own spikes has no original, and is wrong where no
            output neuron fires.
        data: (inputs, targets), a tensor of inputs, or an iterable of batches; it is cut into pieces of 256
            samples. Targets belong to the first output. Class scores lie along its axis 1, and targets are class
            indices of the shape that is left. Targets of 0 and 1 for every number of the output (one or several) are
            labels, and other real numbers are values.
        reference: The original model; without it the captured graph stands in.
        simulator: As for ``SpikingNetwork.run``.
        steps: As for ``SpikingNetwork.run``.
        stop: As for ``SpikingNetwork.run``.
        seed: Seed of a stochastic input, and of noise.
        before: Samples of the data that come before these and are measured elsewhere, to be merged: what is drawn for a
            sample goes by ``seed`` and its position.
        noise: As for ``SpikingNetwork.run``.
        rate_reference: Figures of a rate-coded run, for energy E1.
        judge: What is measured, where targets do not tell: ``snnconv.ClassJudge()``, ``snnconv.LabelJudge(threshold)``
            or ``snnconv.ValueJudge()``. Without targets class scores are judged by decisions, one column by its values.
        ignore_index: Integer target that leaves its sample, or position, out, such as a void class of a label map.
        progress: Called as the work comes on; what it raises ends the work (see ``Progress``).
        constants: Arguments of the reference's forward that ``convert`` was given.

    Returns:
        Accuracy or errors, latency, spikes, synaptic operations and energy beside those of the original.

    Raises:
        InputError: The data do not fit the network, or targets are no classes of it.
        ConfigurationError: An option is out of range, the constants do not fit the reference, or the judge does not
            compare with targets, such as that of detections: ``snnconv.detection.evaluate`` measures them.
    """
    reference = None if reference is None else inference_copy(bound(reference, constants))
    counter = SpikeCounter(network, by_step=network.timing is None)
    calibrated = CalibratedRange(network)
    tally = None
    lengths = 0
    check_judge(judge)
    passage = Passage(progress, "evaluating", data, network.batch_axis)
    chosen = simulator_for(network, simulator, steps=steps, stop=stop, seed=seed, noise=noise)
    for batch in batches(data, "data"):
        for inputs, targets in pieces(*batch, network.batch_axis):
            given, inputs = inputs, network.check(inputs, "data")
            calibrated.see(inputs)
            exact = _exact(network, reference, inputs, given)
            if tally is None:
                own = ClassJudge() if network.learned else None
                chosen_judge = judge or own or judge_for(network.complete_graph(), exact, targets)
                tally = chosen_judge.tally(network.decide, ignore_index)
            tally.batch(exact, targets)
            _, taken = chosen.run(inputs, [counter, tally, calibrated], passage.samples, before + counter.samples)
            lengths += int(taken.sum())
        passage.batch()
    passage.end()
    calibrated.warn()
    compared = reference is not None or not network.learned
    if network.tuned and reference is None:
        _logger.warning(
            "the network was tuned, so it is compared with its own tuned weights; pass the model as reference to "
            "compare it with the original"
        )
    rate_run = None if rate_reference is None else (rate_reference.activity.spikes, rate_reference.activity.latency)
    totals = totals_of(network, counter, chosen.steps, lengths, rate_run, stop is not None)
    assert tally is not None  # data without batches was refused
    return Evaluation.of(totals, tally.counted(chosen.steps, compared))


def _exact(network: SpikingNetwork, reference: nn.Module | None, inputs: Inputs, given: Inputs) -> Any:
    """The output of the original for ``given``, which is ``inputs`` to the graph; scores of 0 where there is none."""
    if reference is None:
        if network.learned:
            (population,) = [network.populations[name] for name in refs_in(network.graph.output)]
            return network.like.new_zeros(len(inputs[0]), *population.shape)
        return network.original(inputs)
    check_call(reference, given, "reference")
    with torch.no_grad():
        return reference(*given)
