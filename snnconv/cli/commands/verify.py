"""verify: the error of every population of a network, and what hurts most."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import snnconv
from snnconv.cli.given import refuse_batch
from snnconv.cli.options import BatchSize, Device, Json, Limit, Network, WorkerCount, show, workers_of
from snnconv.cli.progress import progress_bars
from snnconv.cli.samples import batches_for, check_size


def verify(
    context: typer.Context,
    network: Network,
    data: Annotated[Path, typer.Option(help="Samples that were not used to calibrate: .npz or .safetensors, or .npy.")],
    steps: Annotated[int | None, typer.Option(help="Time steps of a stream, instead of the network's own.")] = None,
    seed: Annotated[int, typer.Option(help="Fixes the draws of a random input.")] = 0,
    batch: BatchSize = 100,
    limit: Limit = None,
    device: Device = "cpu",
    workers: WorkerCount = None,
    json_file: Json = None,
) -> None:
    """Compare every population with the activation that it stands for, and say what hurts most and what helps."""
    check_size(batch)
    processes = workers_of(workers)
    spiking = snnconv.load(network).to(device)
    refuse_batch(context, spiking.batch_axis)
    items = batches_for(spiking, data, limit, batch, "auto", device)
    with progress_bars() as progress:
        found = snnconv.verify(spiking, items, steps=steps, seed=seed, progress=progress, workers=processes)
    show(str(found), json_file, found.to_dict())
