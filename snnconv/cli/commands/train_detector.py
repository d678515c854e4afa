"""The command that trains a detector, and without arguments of the user's own the one that comes with the project."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated

import typer

from snnconv.cli import detectors
from snnconv.cli.console import is_first
from snnconv.cli.given import refuse
from snnconv.cli.interruption import kept
from snnconv.cli.options import (
    CheckpointFile,
    Device,
    Json,
    Limit,
    Parts,
    kept_by_checkpoint,
    show,
    writable,
)
from snnconv.cli.progress import progress_bars
from snnconv.cli.sharing import shared
from snnconv.detection.darknet import load_darknet, save_weights
from snnconv.detection.data.datasets import BoxDataset
from snnconv.detection.held_out import held_out_precision
from snnconv.detection.samples import LabelledPictures
from snnconv.detection.shapes import SHAPES_CONFIG, draw_shapes
from snnconv.detection.training import train_detector as train
from snnconv.errors import ConfigurationError, InputError, StorageError

#: One picture of so many is held out.
_HELD_OUT = 10


def train_detector(
    context: typer.Context,
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write, for instance net.weights.")],
    config: Annotated[Path | None, typer.Option(help="The network as darknet describes it, a .cfg.")] = None,
    data: detectors.Data = None,
    layout: detectors.Layout = "yolo",
    names: detectors.Names = None,
    annotations: detectors.Annotations = None,
    split: detectors.Split = "trainval",
    weights: Annotated[Path | None, typer.Option(help="Weights to start from, instead of random ones.")] = None,
    epochs: Annotated[int, typer.Option(help="How many times each picture is seen.")] = 14,
    batch: Annotated[int, typer.Option(help="Pictures per training step.")] = 32,
    parts: Parts = 1,
    learning_rate: Annotated[float, typer.Option(help="Highest learning rate.")] = 5e-3,
    letterbox: detectors.Letterbox = None,
    checkpoint: CheckpointFile = None,
    seed: Annotated[int, typer.Option(help="Fixes first weights, order and augmentation.")] = 0,
    limit: Limit = None,
    device: Device = "cpu",
    json_file: Json = None,
) -> None:
    """Train a detector on labelled pictures, write its weights, and measure it on pictures that it has not seen.

    Every tenth picture is held out. Without --config and --data this trains the detector of shapes that comes with
    snnconv, on pictures that it draws.
    """
    if (config is None) != (data is None):
        raise ConfigurationError("--config and --data go together; without both, the detector of shapes is trained")
    detectors.check_layout_options(context, data, layout)
    if data is None:
        refuse(
            context, "belongs to data of your own: give --config and --data too, or leave it out", "names", "letterbox"
        )
    elif layout == "coco":
        refuse(context, "the layout coco has the names of its classes: leave it out", "names")
    if not output.parent.is_dir():
        raise StorageError(f"{output} cannot be written: {output.parent} is no folder; make it first")
    if output.is_dir():
        raise StorageError(f"{output} cannot be written: it is a folder; name a file")
    writable(output)
    network = load_darknet(config or SHAPES_CONFIG, weights, seed=seed)
    pictures: LabelledPictures
    held_out: LabelledPictures
    if data is None:
        (drawn, truths), held_out = draw_shapes(*detectors.SHAPES), draw_shapes(*detectors.HELD_OUT_SHAPES)
        pictures = drawn[:limit], truths[:limit]
    else:
        pictures, held_out = _divided(detectors.labelled_pictures(data, layout, names, annotations, split, limit))
    with shared(device) as ranks:
        network.to(ranks.device)
        with kept(lambda: kept_by_checkpoint(checkpoint)), progress_bars() as progress:
            log = train(
                network,
                pictures,
                epochs=epochs,
                batch=batch,
                parts=parts,
                learning_rate=learning_rate,
                letterbox=letterbox,
                checkpoint=checkpoint,
                seed=seed,
                ranks=ranks,
                progress=progress,
            )
        ranks.first("writing the weights", lambda: save_weights(network, output))
    if not is_first():
        return
    with kept(lambda: f"{output} is written"):
        precision = held_out_precision(network, held_out, letterbox=letterbox)
        told = [f"resumed after epoch {log.resumed} of {epochs}"] if log.resumed else []
        told += [
            f"loss: {log.losses[0]:.3f} in the first epoch, {log.losses[-1]:.3f} in the last",
            f"written: {output}",
            f"on pictures held out: mAP@0.5 {precision.ap50:.2f} %, mAP@[.5:.95] {precision.ap:.2f} %",
        ]
        show("\n".join(told), json_file, {**asdict(log), "precision": vars(precision)})


def _divided(dataset: BoxDataset) -> tuple[BoxDataset, BoxDataset]:
    """Pictures to learn from, and every tenth to measure on."""
    items = dataset.items
    held_out = items[_HELD_OUT - 1 :: _HELD_OUT]
    if not any(not box.ignored for item in held_out for box in item.boxes):
        raise InputError(
            f"none of the {len(held_out)} pictures held out of {len(items)}, every tenth, has an object; the trained "
            "network could not be measured: give more pictures"
        )
    rest = tuple(item for position, item in enumerate(items, 1) if position % _HELD_OUT)
    return replace(dataset, items=rest), replace(dataset, items=held_out)
