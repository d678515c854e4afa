"""estimate_sweep(): what a sweep will cost on this machine, before it measures."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from torch import nn
from torch.export import ExportedProgram

from snnconv.calibration.assembly import assemble
from snnconv.data.batches import batches, number_of_samples
from snnconv.errors import ConfigurationError, ModelError
from snnconv.progress import Inner, ProgressCallback, told
from snnconv.scaling.spreading import Executor, spread_over
from snnconv.simulators import simulator_for
from snnconv.simulators.recorders import SpikeCounter
from snnconv.surroundings import own_surroundings
from snnconv.sweeps.preparing import PreparedSweep, prepared
from snnconv.text import duration_text

#: Samples, and time steps of a stream, of the run that is timed for a configuration.
_SAMPLES, _STEPS = 16, 4


@dataclass(frozen=True)
class SweepEstimate:
    """What a sweep is expected to cost on this machine. Prints as a sentence.

    Attributes:
        passes: By the label of every configuration that is left to measure, passes of one sample through the network:
            one where windows have a closed form, however long they are, else one a time step. A configuration that the
            network does not support has none.
        stored: Configurations that are read back from the file.
        seconds: The expected time, from a conversion and a short run of every configuration.
    """

    passes: Mapping[str, int]
    stored: int
    seconds: float

    def __str__(self) -> str:
        return (
            f"{len(self.passes)} configurations to measure, {self.stored} stored: {sum(self.passes.values())} passes "
            f"of a sample, about {duration_text(self.seconds)}: an estimate, from a short run of each on this machine"
        )


@own_surroundings()
def estimate_sweep(
    model: nn.Module | ExportedProgram,
    calibration: Any,
    data: Any,
    codings: Mapping[str, Any],
    *,
    progress: ProgressCallback | None = None,
    workers: int | Literal["auto"] | None = None,
    executor: Executor | None = None,
    **options: Any,
) -> SweepEstimate:
    """Say what ``sweep`` with the same arguments will cost: every network is made, and a few samples of the data run.

    Nothing is written. Codings that the network does not support are expected to cost nothing.

    Args:
        model: What ``sweep`` takes, as the next three.
        calibration: What ``sweep`` takes.
        data: What ``sweep`` takes.
        codings: What ``sweep`` takes.
        progress: Called as the work comes on; what it raises ends the work (see ``Progress``).
        workers: What ``sweep`` takes: so many configurations at once are taken to last as long as one.
        executor: What ``sweep`` takes, likewise.
        **options: All further arguments of ``sweep``; what is in the file ``path`` is not measured again.

    Returns:
        Passes by configuration, and the expected time.

    Raises:
        SnnconvError: Whatever ``sweep`` raises before its first measurement.

    Example:
        >>> print(snnconv.estimate_sweep(model, images, (images, labels), {"rate": "rate", "phase": "phase"}))
    """
    start = time.perf_counter()
    found = prepared(model, calibration, data, codings, progress=progress, **options)
    samples = _number_of_samples(found)
    with spread_over(workers, executor) as spread:
        at_once = 1 if spread is None else max(1, min(spread.at_once, len(found.pending)))
    passes, seconds = {}, time.perf_counter() - start  # which the sweep takes too
    for label in told(progress, "estimating", found.pending, len(found.pending)):
        passes[label], taken = _cost(found, label, samples, None if progress is None else Inner(progress, label))
        seconds += taken / at_once
    return SweepEstimate(passes, len(found.entries), seconds)


def _number_of_samples(found: PreparedSweep) -> int:
    axis = found.calibrator.captured.graph.batch_axis
    known = number_of_samples(found.data, axis)
    if known is not None:
        return known
    return sum(1 if axis is None else len(inputs[0]) for inputs, _ in batches(found.data, "data"))


def _cost(found: PreparedSweep, label: str, samples: int, progress: Inner | None) -> tuple[int, float]:
    """Passes and seconds of one configuration."""
    start = time.perf_counter()
    plan, _ = found.plans[label]
    try:
        if isinstance(plan, Exception):
            raise plan
        network = assemble(found.calibrator.calibrated(plan, found.options, progress), plan, found.options, progress)
        converted = time.perf_counter() - start
        inputs = network.check(next(batches(found.data, "data"))[0], "data")
        if network.batch_axis is not None:
            inputs = tuple(tensor[:_SAMPLES] for tensor in inputs)
        each = 1 if network.has_closed_form else simulator_for(network, seed=0).steps
        short = min(_STEPS, each) if network.timing is None else None
        counter = SpikeCounter(network, by_step=network.timing is None)
        run = partial(simulator_for(network, steps=short, seed=0).run, inputs, [counter])
        run()  # what is computed once for a network
        timed = _seconds(run) / (1 if network.batch_axis is None else len(inputs[0]))
    except (ConfigurationError, ModelError):
        if progress is not None and progress.cancelled:
            raise
        return 0, time.perf_counter() - start
    return samples * each, converted + samples * timed * each / (short or each)


def _seconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start
