"""evaluate: a network measured on samples."""

from __future__ import annotations

import typer

import snnconv
from coding import Concurrent
from snnconv.cli.given import refuse, refuse_batch, refuse_ignore_index
from snnconv.cli.models import reference_model
from snnconv.cli.options import (
    BELONG_TO_REFERENCE,
    BatchSize,
    Device,
    IgnoreIndex,
    Json,
    JudgeName,
    LabelledSamples,
    Limit,
    Network,
    Reference,
    RunSteps,
    SimulatorName,
    Trust,
    Weights,
    WorkerCount,
    judge_of,
    show,
    workers_of,
)
from snnconv.cli.progress import progress_bars
from snnconv.cli.samples import batches_for, check_size
from snnconv.cli.sharing import shared
from snnconv.data.batches import IGNORED_TARGET


def evaluate(
    context: typer.Context,
    network: Network,
    data: LabelledSamples,
    reference: Reference = "",
    weights: Weights = None,
    trust: Trust = False,
    simulator: SimulatorName = "auto",
    steps: RunSteps = None,
    judge: JudgeName = "auto",
    ignore_index: IgnoreIndex = IGNORED_TARGET,
    batch: BatchSize = 100,
    limit: Limit = None,
    device: Device = "cpu",
    workers: WorkerCount = None,
    json_file: Json = None,
) -> None:
    """Measure accuracy or errors, latency, spikes, synaptic operations and energy beside the original network.

    Integer targets are classes, or labels where there is a 0 or 1 for every number of the output; other numbers are
    values, of which relative error, squared error and R2 are measured.
    """
    check_size(batch)
    if not reference:
        refuse(context, BELONG_TO_REFERENCE, "weights", "trust")
    processes = workers_of(workers)
    if steps is not None:
        Concurrent(steps)
    with shared(device) as ranks, progress_bars() as progress:
        spiking = snnconv.load(network).to(ranks.device)
        refuse_batch(context, spiking.batch_axis)
        items = batches_for(spiking, data, limit, batch, judge, ranks.device)
        refuse_ignore_index(context, data, (targets for _, targets in items))
        original = reference_model(reference, weights, ranks.device, trust=trust)
        result = snnconv.evaluate(
            spiking,
            items,
            reference=original,
            simulator=simulator,
            steps=steps,
            judge=judge_of(judge),
            ignore_index=ignore_index,
            ranks=ranks,
            progress=progress,
            workers=processes,
        )
    show(str(result), json_file, result.to_dict())
