"""verify(): how far each population's decoded spikes are from the activation they stand for."""

from __future__ import annotations

from typing import Any, Literal

from snnconv.data.passage import Passage
from snnconv.data.shards import shards
from snnconv.errors import InputError
from snnconv.metrics.tallying import tallied
from snnconv.metrics.verification_result import Verification
from snnconv.metrics.verification_task import VerificationTask
from snnconv.network import SpikingNetwork
from snnconv.progress import ProgressCallback
from snnconv.scaling.spreading import Executor, spread_over
from snnconv.surroundings import own_surroundings


@own_surroundings()
def verify(
    network: SpikingNetwork,
    data: Any = None,
    *,
    steps: int | None = None,
    seed: int = 0,
    before: int = 0,
    progress: ProgressCallback | None = None,
    workers: int | Literal["auto"] | None = None,
    executor: Executor | None = None,
) -> Verification:
    """Compare every population with the activation it stands for, on data that was not used for calibration.

    Args:
        network: A converted network.
        data: What ``evaluate`` takes; by default the calibration samples that ``convert`` held out.
        steps: Time steps, instead of the network's own, under a concurrent schedule.
        seed: Seed of a stochastic input.
        before: Samples of the data that come before these and are measured elsewhere, to be merged: what is drawn for a
            sample goes by ``seed`` and its position.
        progress: Called as the work comes on; what it raises ends the work (see ``Progress``).
        workers: As for ``evaluate``.
        executor: As for ``evaluate``.

    Returns:
        The errors of every population and of the output.

    Raises:
        InputError: There are no held-out samples, or the data do not fit.
        ConfigurationError: The network learned through its own spikes, so there is nothing to compare it with.
        WorkerError: A process that measured a part was killed, or cannot be started.

    Example:
        >>> print(snnconv.verify(snn))  # on the samples that convert held out
        >>> print(snnconv.verify(snn, images).reading)  # what hurts most, why, and what helps
    """
    network.check_original("verify")
    if data is None and not network.held_out:
        raise InputError("verify has no held-out samples (they are not saved with a network): pass data")
    like = network.like  # the network may have been moved since it was converted
    held_out = [
        tuple(t.to(like.device, like.dtype if t.is_floating_point() else t.dtype) for t in sample)
        for sample in network.held_out
    ]
    whole = [(sample, None) for sample in held_out] if data is None else data
    task = VerificationTask(network, steps, seed, entered=data is None)
    passage = Passage(progress, "verifying", whole, network.batch_axis)
    with spread_over(workers, executor) as spread:
        found = tallied(task, shards(whole, network.batch_axis, before), passage, spread)
    found.left.warn()
    return found.verification
