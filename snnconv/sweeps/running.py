"""sweep(): one network under many codings, measured into one table and one picture, resumable."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Literal

from torch import Tensor, nn
from torch.export import ExportedProgram

from coding import Code, InputCode, Schedule
from snnconv.data.batches import IGNORED_TARGET
from snnconv.metrics.comparing import check_ranks
from snnconv.metrics.judge import TargetJudge
from snnconv.progress import ProgressCallback, tell
from snnconv.ranks import ALONE, Ranks
from snnconv.scaling.spreading import Executor, spread_over
from snnconv.surroundings import own_surroundings
from snnconv.sweeps.preparing import prepared
from snnconv.sweeps.rows import rows
from snnconv.sweeps.table import Failed, Sweep, measured_of


@own_surroundings()
def sweep(
    model: nn.Module | ExportedProgram,
    calibration: Any,
    data: Any,
    codings: Mapping[str, Any],
    *,
    input: str | Code | InputCode | None = None,
    schedule: Schedule | None = None,
    constants: Mapping[str, Tensor] | None = None,
    analog: Sequence[str] = (),
    path: str | os.PathLike[str] | None = None,
    reference: nn.Module | None = None,
    judge: TargetJudge | None = None,
    ignore_index: int = IGNORED_TARGET,
    progress: ProgressCallback | None = None,
    workers: int | Literal["auto"] | None = None,
    executor: Executor | None = None,
    ranks: Ranks = ALONE,
    **convert_options: Any,
) -> Sweep:
    """Convert ``model`` with every one of ``codings`` and evaluate it on ``data``, all else being equal.

    Every number of steps is a run of its own: spikes could be read off a longer run, synaptic operations could not. A
    coding that the network does not support (``ConfigurationError`` or ``ModelError``) is recorded with its reason, and
    the sweep goes on.

    Args:
        model: The network, or an exported program, as for ``convert``.
        calibration: What ``convert`` takes.
        data: What ``evaluate`` takes.
        codings: What ``convert`` takes as ``coding``, a search ("auto") excepted, by a label of your own.
        input: What ``convert`` takes, for all codings, as the next two.
        schedule: What ``convert`` takes.
        constants: What ``convert`` takes.
        analog: What ``convert`` takes.
        path: File that is written after each configuration, whole or not at all. A later sweep with the same path reads
            finished configurations back and measures the others, those whose coding changed and those that failed.
            Calibration samples may come in another order or in other batches, the data set may not.
        reference: The original network if it is not ``model`` itself.
        judge: What ``evaluate`` takes, as the next.
        ignore_index: What ``evaluate`` takes.
        progress: Called as the work comes on; what it raises ends the work (see ``Progress``).
        workers: Processes of this machine that configurations are spread over, or "auto" for one a core (see
            ``Workers``). Each holds the data set, so that it must be picklable; tensors are shared.
        executor: Does the configurations instead, as for ``evaluate``. The file is written here alone.
        ranks: Processes that share the data of every configuration (``snnconv.ranks.ranks``); the first alone reads and
            writes the file.
        **convert_options: Further options of ``convert``, for all codings: how scales, neurons and biases are chosen.

    Returns:
        The measured configurations, and those that failed.

    Raises:
        StorageError: The file is from another version of snnconv, or for another model, calibration, data set,
            reference or set of options, so that rows could not be compared.
        ConfigurationError: There are no codings, or labels or options cannot be used.
        WorkerError: A process was killed, or cannot be started. The file holds what was measured until then.
        RankError: A rank is gone, has failed, or has another model, other data or options.
        SnnconvError: Whatever else ``convert`` and ``evaluate`` raise.

    Example:
        >>> codings = {name: name for name in ("rate", "one-spike", "few-spike")}
        >>> found = snnconv.sweep(model, images, (images, labels), codings, path="sweep.json")
        >>> print(found)
        >>> [result.label for result in found.pareto("energy")]
    """
    check_ranks(ranks, workers, executor)
    found = prepared(
        model,
        calibration,
        data,
        codings,
        input=input,
        schedule=schedule,
        constants=constants,
        analog=analog,
        path=path,
        reference=reference,
        judge=judge,
        ignore_index=ignore_index,
        progress=progress,
        ranks=ranks,
        **convert_options,
    )
    ranks.first("the file of the sweep", found.file.begin)
    entries, plans = dict(found.entries), found.plans
    tell(progress, "sweeping", len(entries), len(plans))
    with spread_over(workers, executor) as spread:
        for label, outcome in rows(found, spread, progress, ranks):
            entry = entries[label] = {"fingerprint": plans[label][1], **outcome}
            ranks.first("the file of the sweep", partial(found.file.add, label, entry))
            tell(progress, "sweeping", len(entries), len(plans))
    results = [measured_of(label, entries[label]) for label in plans]
    failures = tuple(Failed(label, entries[label]["failure"]) for label in plans if "failure" in entries[label])
    return Sweep(tuple(result for result in results if result is not None), failures)
