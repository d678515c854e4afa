"""Warning where a network that was just converted is far from the original on samples that no fitted number saw."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from snnconv.data.batches import Inputs
from snnconv.data.passage import Passage
from snnconv.data.shards import shards
from snnconv.metrics.reading import WORTH_A_CURE
from snnconv.metrics.tallying import tallied
from snnconv.metrics.verification_result import Verification
from snnconv.metrics.verification_task import VerificationTask, output_error
from snnconv.network import SpikingNetwork
from snnconv.progress import ProgressCallback
from snnconv.simulators import simulator_for

#: Samples that are measured at most, values of populations that are held for them, and neurons that are stepped.
_MOST_SAMPLES, _MOST_VALUES, _MOST_STEPS = 32, 2**25, 2**28
#: Ratio of the error on held-out samples to that on fitted ones from which on the samples are too few.
_FEW = 2.0

_logger = logging.getLogger(__name__)


def warn_of_error(
    network: SpikingNetwork, fitted: Sequence[Inputs], given: int, progress: ProgressCallback | None = None
) -> None:
    """Log a warning with the error of the output on held-out samples, where it is large, and with what would help.

    ``fitted`` are the samples that scales were fitted to, of so many that were ``given`` in all: where the error is
    much smaller on them, more are needed. A few samples are measured, as many as time and memory allow.
    """
    if not network.held_out:
        _logger.warning(
            "%d calibration samples are too few to hold one out, so the error on other data is unknown: give 64 or "
            "more, or verify the network on other data",
            given,
        )
        return
    # What a reading needs costs several passes, and is seldom needed; a run of the clock costs more than that.
    if network.has_closed_form and output_error(network, _few(network, network.held_out)[0]) <= WORTH_A_CURE:
        return
    found = _measured(network, progress)
    if found.output <= WORTH_A_CURE:
        return
    own = output_error(network, _few(network, fitted)[0])
    remedy = str(found.reading)
    if found.output > _FEW * own:
        remedy = (
            f"on samples that scales were fitted to it is {own:.2%}, so {given} calibration samples are too few: give "
            f"more; {remedy}"
        )
    _logger.warning(
        "the output differs from the original's by %.2f %% (2-norm) on samples held out from calibration; %s",
        100.0 * found.output,
        remedy,
    )


def _measured(network: SpikingNetwork, progress: ProgressCallback | None) -> Verification:
    few, axis = [(inputs, None) for inputs in _few(network, network.held_out)], network.batch_axis
    passage = Passage(progress, "measuring the error", few, axis)
    return tallied(VerificationTask(network, entered=True), shards(few, axis), passage, None).verification


def _few(network: SpikingNetwork, chunks: Sequence[Inputs]) -> list[Inputs]:
    """Some of the samples in ``chunks`` as one batch; one sample of a network without a batch axis."""
    first = chunks[0]
    if network.batch_axis is not None:
        neurons = sum(population.neurons for population in network.populations.values())
        steps = 1 if network.has_closed_form else simulator_for(network, seed=0).steps
        most = min(_MOST_SAMPLES, _MOST_VALUES // neurons, _MOST_STEPS // (neurons * steps))
        first = tuple(tensor[: max(2, most)] for tensor in first)
    return [first]
