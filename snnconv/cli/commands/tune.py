"""tune: a converted network, trained through its own spikes."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

import snnconv
from snnconv.cli.given import refuse
from snnconv.cli.interruption import kept
from snnconv.cli.options import (
    CheckpointFile,
    Device,
    IgnoreIndex,
    Json,
    Limit,
    Network,
    NetworkOutput,
    Parts,
    kept_by_checkpoint,
    show,
)
from snnconv.cli.progress import progress_bars
from snnconv.cli.samples import in_precision, samples_of
from snnconv.cli.sharing import shared
from snnconv.data.batches import IGNORED_TARGET
from snnconv.errors import ConfigurationError
from snnconv.spiking.logs import TuningLog
from snnconv.tuning.loss import TARGETS
from snnconv.tuning.surrogate_gradients import RULES


def tune(
    context: typer.Context,
    network: Network,
    data: Annotated[Path, typer.Option(help="Samples: .npz or .safetensors with 'inputs' (and 'targets'), or .npy.")],
    output: NetworkOutput,
    rule: Annotated[str, typer.Option(help=f"Derivative of a window: {', '.join(RULES)}.")] = "activation",
    targets: Annotated[
        str, typer.Option(help=f"What the output is compared with: {', '.join(TARGETS)} (of the original, but labels).")
    ] = "decisions",
    epochs: Annotated[int, typer.Option(help="How often all samples are seen.")] = 3,
    batch: Annotated[int, typer.Option(help="Samples of one step.")] = 50,
    parts: Parts = 1,
    learning_rate: Annotated[float, typer.Option(help="Highest learning rate.")] = 1e-4,
    held_out: Annotated[float, typer.Option(help="Share of the samples that is only measured.")] = 0.1,
    patience: Annotated[int | None, typer.Option(help="Epochs without a smaller loss that end tuning.")] = None,
    ignore_index: IgnoreIndex = IGNORED_TARGET,
    checkpoint: CheckpointFile = None,
    seed: Annotated[int, typer.Option(help="Fixes order and draws.")] = 0,
    limit: Limit = None,
    device: Device = "cpu",
    json_file: Json = None,
) -> None:
    """Train a converted network through its own spikes, and write the network of the best epoch.

    It learns the decisions of what it was made from, and needs no labels unless --targets labels asks for them.
    """
    if targets != "labels":
        refuse(context, "leaves out labels, of which only --targets labels learns: leave it out", "ignore_index")
    with shared(device) as ranks:
        spiking = snnconv.load(network)
        inputs, labels = samples_of(data, limit)
        inputs = in_precision(inputs, spiking, "data").to(ranks.device)
        if targets == "labels" and labels is None:
            raise ConfigurationError(f"--targets labels: {data} holds no 'targets'")
        with kept(lambda: kept_by_checkpoint(checkpoint)), progress_bars() as progress:
            tuned = snnconv.tune(
                spiking.to(ranks.device),
                (inputs, labels) if targets == "labels" else inputs,
                rule=rule,  # type: ignore[arg-type] # what is no rule is refused there
                targets=targets,  # type: ignore[arg-type]
                epochs=epochs,
                batch=batch,
                parts=parts,
                learning_rate=learning_rate,
                held_out=held_out,
                patience=patience,
                ignore_index=ignore_index,
                checkpoint=checkpoint,
                seed=seed,
                ranks=ranks,
                progress=progress,
            )
        ranks.first("writing the network", lambda: tuned.save(output))
        log = tuned.tuning_log
        assert log is not None  # of a network that was tuned
        with kept(lambda: f"{output} is written"):
            show(f"{_told(log)}\nwritten: {output}", json_file, asdict(log))


def _told(log: TuningLog) -> str:
    before = f"loss on held-out samples: {log.initial_loss:.4g} before tuning"
    if not log.best_epoch:
        return f"{before}, and no less after any of {len(log.losses)} epochs: the network is as it was"
    resumed = f", resumed after epoch {log.resumed}" if log.resumed else ""
    return f"{before}, {log.held_out_losses[log.best_epoch - 1]:.4g} after epoch {log.best_epoch}{resumed}"
