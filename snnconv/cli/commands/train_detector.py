"""The command that trains a detector, and without arguments of the user's own the one that comes with the project."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import torch
import typer

from snnconv.cli import detectors
from snnconv.cli.console import console
from snnconv.cli.interruption import kept
from snnconv.cli.options import writable
from snnconv.cli.progress import progress_bars
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
    learning_rate: Annotated[float, typer.Option(help="Highest learning rate.")] = 5e-3,
    letterbox: detectors.Letterbox = None,
    checkpoint: Annotated[
        Path | None, typer.Option(help="Written after every epoch; training resumes from it if it exists.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Fixes first weights, order and augmentation.")] = 0,
    device: Annotated[str, typer.Option(help="Where to train, such as cpu or cuda.")] = "cpu",
) -> None:
    """Train a detector on labelled pictures, write its weights, and measure it on pictures that it has not seen.

    Every tenth picture is held out. Without --config and --data this trains the detector of shapes that comes with
    snnconv, on pictures that it draws.
    """
    if (config is None) != (data is None):
        raise ConfigurationError("--config and --data go together; without both, the detector of shapes is trained")
    if not output.parent.is_dir():
        raise StorageError(f"{output} cannot be written: {output.parent} is no folder; make it first")
    if output.is_dir():
        raise StorageError(f"{output} cannot be written: it is a folder; name a file")
    writable(output)
    network = load_darknet(config or SHAPES_CONFIG, weights, seed=seed).to(_device(device))
    pictures: LabelledPictures
    held_out: LabelledPictures
    if data is None:
        pictures, held_out = draw_shapes(*detectors.SHAPES), draw_shapes(*detectors.HELD_OUT_SHAPES)
    else:
        pictures, held_out = _divided(detectors.labelled_pictures(data, layout, names, annotations, split))
    with kept(lambda: _kept(checkpoint)), progress_bars() as progress:
        log = train(
            network,
            pictures,
            epochs=epochs,
            batch=batch,
            learning_rate=learning_rate,
            letterbox=letterbox,
            checkpoint=checkpoint,
            seed=seed,
            progress=progress,
        )
    save_weights(network, output)
    with kept(lambda: f"{output} is written"):
        if log.resumed:
            console.print(f"resumed after epoch {log.resumed} of {epochs}", markup=False)
        console.print(f"loss: {log.losses[0]:.3f} in the first epoch, {log.losses[-1]:.3f} in the last", markup=False)
        console.print(f"written: {output}", markup=False)
        precision = held_out_precision(network, held_out, letterbox=letterbox)
        console.print(
            f"on pictures held out: mAP@0.5 {precision.ap50:.2f} %, mAP@[.5:.95] {precision.ap:.2f} %", markup=False
        )


def _kept(checkpoint: Path | None) -> str:
    """What an interrupted training has come to."""
    if checkpoint is None:
        return "no epoch is kept; with --checkpoint FILE the same command goes on where it stopped"
    return f"the epochs that were finished are in {checkpoint}; the same command goes on from there"


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


def _device(name: str) -> torch.device:
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:
        raise ConfigurationError(f"--device {name} cannot be used: {str(error).splitlines()[0]}") from error
