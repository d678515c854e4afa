"""evaluate(): accuracy, latency, spikes, synaptic operations and energy of a spiking network beside the original."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import is_dataclass
from typing import Any, Literal

from torch import Tensor, nn

from snnconv.capture.binding import bound
from snnconv.capture.inference_copy import inference_copy
from snnconv.data.batches import IGNORED_TARGET
from snnconv.data.passage import Passage
from snnconv.data.shards import shards
from snnconv.metrics.comparing import check_ranks, compare_ranks
from snnconv.metrics.costs import Costs
from snnconv.metrics.evaluation_result import Evaluation
from snnconv.metrics.evaluation_task import EvaluationTask
from snnconv.metrics.judge import TargetJudge
from snnconv.metrics.judge_choice import check_judge
from snnconv.metrics.tallying import tallied
from snnconv.network import SpikingNetwork
from snnconv.progress import ProgressCallback
from snnconv.ranks import ALONE, Ranks
from snnconv.scaling.spreading import Executor, spread_over
from snnconv.simulators import CrossbarNoise, Stop
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
    workers: int | Literal["auto"] | None = None,
    executor: Executor | None = None,
    ranks: Ranks = ALONE,
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
        workers: Processes of this machine that pieces are spread over, or "auto" for one a core (see ``Workers``).
        executor: Does the pieces instead: ``snnconv.Workers(2)``, an executor of ``concurrent.futures``, or a client of
            Dask. Figures do not depend on who measures.
        ranks: Processes that share the pieces (``snnconv.ranks.ranks``); every one of them reads all data.

    Returns:
        Accuracy or errors, latency, spikes, synaptic operations and energy beside those of the original.

    Raises:
        InputError: The data do not fit the network, or targets are no classes of it.
        ConfigurationError: An option is out of range, the constants do not fit the reference, or the judge does not
            compare with targets, such as that of detections: ``snnconv.detection.evaluate`` measures them.
        WorkerError: A process that measured a part was killed, or cannot be started.
        RankError: A rank is gone, has failed, or has another network, other data or settings.

    Example:
        >>> result = snnconv.evaluate(snn, (images, labels), reference=model)
        >>> print(result)
        >>> result.accuracy, result.agreement, result.spikes_per_neuron, result.energy.e3
    """
    check_judge(judge)
    check_ranks(ranks, workers, executor)
    reference = None if reference is None else inference_copy(bound(reference, constants))
    settings = (simulator, steps, stop, seed, noise, rate_reference, judge, ignore_index)
    task = EvaluationTask(network, reference, *settings)
    told = f"{simulator} {steps} {_text(stop)} {seed} {before} {noise} {_text(judge)} {ignore_index} {rate_reference!r}"
    compare_ranks(ranks, network, reference, data, told)
    passage = Passage(progress, "evaluating", data, network.batch_axis)
    with spread_over(workers, executor) as spread:
        found = tallied(task, shards(data, network.batch_axis, before), passage, spread, ranks)
    found.left.warn()
    if network.tuned and reference is None:
        _logger.warning(
            "the network was tuned, so it is compared with its own tuned weights; pass the model as reference to "
            "compare it with the original"
        )
    return found.evaluation()


def _text(option: object) -> str:
    """``option`` as text that is the same on every rank: of functions and objects of other classes the class alone."""
    return repr(option) if option is None or is_dataclass(option) else type(option).__qualname__
