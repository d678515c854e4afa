"""What the commands with detectors share: options, detectors from darknet's files, pictures and labelled data."""

from __future__ import annotations

import glob
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

import snnconv
from snnconv.cli.console import console, errors
from snnconv.cli.conversion_options import CodeOptions, CodingOptions, ConversionOptions, SearchOptions
from snnconv.cli.given import refuse
from snnconv.cli.interruption import kept
from snnconv.cli.options import workers_of, writable
from snnconv.cli.progress import progress_bars, search_announced
from snnconv.detection import DetectionJudge, Detector, load_detector, load_shapes_detector, read_image
from snnconv.detection.data.datasets import VOC_NAMES, BoxDataset, read_coco, read_names, read_voc, read_yolo_folder
from snnconv.detection.data.images import SUFFIXES
from snnconv.errors import ConfigurationError, InputError
from snnconv.network import SpikingNetwork

Model = Annotated[
    str, typer.Option(help="Darknet's files: net.cfg,net.weights; by default a small detector of shapes.")
]
Calibration = Annotated[
    Path | None,
    typer.Option(
        help="Pictures to calibrate on: a folder, or a quoted pattern; by default those that are drawn or given."
    ),
]
Samples = Annotated[int, typer.Option(help="Pictures of the folder to calibrate on, at most.")]
Names = Annotated[Path | None, typer.Option(help="Class names, one per line; yolo needs them.")]
Save = Annotated[
    Path | None, typer.Option(callback=writable, help="File to write the network to, for instance network.snn.")
]
Letterbox = Annotated[
    bool | None,
    typer.Option("--letterbox/--no-letterbox", help="Keep the aspect ratio of pictures; by default as the .cfg says."),
]
Data = Annotated[Path | None, typer.Option(help="Folder of the data set; of COCO the folder with the pictures.")]
Layout = Annotated[str, typer.Option(help="Layout of the data: yolo, coco or voc.")]
Annotations = Annotated[Path | None, typer.Option(help="The file of instances, for coco.")]
Split = Annotated[str, typer.Option(help="The list of pictures, for voc.")]

#: How many shapes are drawn, and their seed: to learn from and calibrate on, and to measure on.
SHAPES, HELD_OUT_SHAPES = (3000, 1), (500, 2)


def detector_of(model: str, names: Path | None, letterbox: bool | None, device: str) -> Detector:
    """The detector in the two files that ``model`` names, or that of shapes, on ``device``.

    Raises ``ConfigurationError``.
    """
    found = _read_detector(model, names, letterbox)
    return found.with_network(found.network.to(device))


def _read_detector(model: str, names: Path | None, letterbox: bool | None) -> Detector:
    if not model:
        if names is not None or letterbox is not None:
            raise ConfigurationError("--names and --letterbox belong to a detector of your own: give --model too")
        return load_shapes_detector()
    config, comma, weights = model.partition(",")
    if not comma or not config or not weights:
        raise ConfigurationError(f"--model takes two files, net.cfg,net.weights, got {model!r}")
    return load_detector(config, weights, names, letterbox=letterbox)


def converted(
    detector: Detector,
    calibration: Any,
    coding: Mapping[str, Any],
    options: ConversionOptions,
    save: Path | None,
    workers: str | None,
) -> SpikingNetwork:
    """The spiking network of ``detector``, written to ``save``; ``coding`` is what ``coding_of`` gives."""
    common: dict[str, Any] = {**coding, **options.arguments(), "workers": workers_of(workers)}
    with search_announced(), progress_bars() as progress:
        network = snnconv.convert(detector.network, calibration, progress=progress, **common)
    if save is not None:
        network.save(save)
        with kept(lambda: f"{save} is written; the same command measures again"):
            console.print(f"written: {save}", markup=False)
    return network


def coding_of(
    detector: Detector, coding: CodingOptions, search: SearchOptions, parameters: CodeOptions
) -> dict[str, Any]:
    """Arguments of convert(); "auto" searches for codes that find what the detector finds, less 2 points by default."""
    return coding.arguments(parameters, search, max_loss=2.0, judge=DetectionJudge(detector.heads))


def read_pictures(paths: Sequence[Path]) -> tuple[list[tuple[Path, Any]], dict[str, str]]:
    """The pictures that can be read, and what is wrong with the others."""
    found, failures = [], {}
    for path in paths:
        try:
            found.append((path, read_image(path)))
        except InputError as error:
            failures[str(path)] = str(error)
    return found, failures


def check_samples(samples: int) -> None:
    """Raise ``ConfigurationError`` unless so many pictures can be calibrated on."""
    if samples < 1:
        raise ConfigurationError(f"--samples must be at least 1, got {samples}")


def pictures_in(paths: Sequence[Path]) -> list[Path]:
    """``paths``, in which folders, and patterns such as ``photos/**/*.jpg``, stand for the pictures in them, by name.

    A file that is meant several times is there once, where it comes first.

    What exists under a name with the characters of patterns is meant by it. Raises ``InputError`` for a folder or a
    pattern without a picture.
    """
    found: dict[str, Path] = {}
    for path in paths:
        if path.is_dir():
            inside = _pictures_of(path)
        elif _is_pattern(path):
            inside = sorted(filter(_is_picture, map(Path, glob.glob(str(path), recursive=True))))
        else:
            inside = [path]
        if not inside:
            raise InputError(f"{path} holds no picture; pictures end with {', '.join(sorted(SUFFIXES))}")
        for each in inside:
            found.setdefault(os.path.abspath(each), each)
    return [*found.values()]


def _pictures_of(folder: Path) -> list[Path]:
    try:
        return sorted(filter(_is_picture, folder.iterdir()))
    except OSError as error:
        raise InputError(f"{folder} is no folder of pictures: {error.strerror or error}") from error


def _is_pattern(path: Path) -> bool:
    return glob.has_magic(str(path)) and not path.exists()


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES


def warn_of(what: str, failures: Mapping[str, str]) -> None:
    """Say on standard error, however quiet a command is, what is wrong with pictures that are left out."""
    for message in failures.values():
        errors.print(f"{what}: {message}", style="yellow", markup=False)


def calibration_pictures(folder: Path, most: int) -> list[Any]:
    """The first ``most`` pictures of a folder or a pattern but those that cannot be read, of which it warns."""
    found, failures = read_pictures((pictures_in([folder]) if _is_pattern(folder) else _pictures_of(folder))[:most])
    if not found:
        raise InputError(f"{folder}: no picture can be read")
    warn_of("left out of calibration", failures)
    return [image for _, image in found]


def check_layout_options(context: typer.Context, data: Path | None, layout: str) -> None:
    """Raise ``ConfigurationError`` for options of another layout of labelled pictures, or of any without ``data``."""
    if data is None:
        refuse(context, "belongs to --data: give that too, or leave it out", "layout", "annotations", "split")
    if layout != "coco":
        refuse(context, "is for --layout coco: leave it out", "annotations")
    if layout != "voc":
        refuse(context, "is for --layout voc: leave it out", "split")


def labelled_pictures(
    data: Path, layout: str, names: Path | None, annotations: Path | None, split: str, limit: int | None
) -> BoxDataset:
    """The first ``limit`` pictures of a folder of the given layout.

    Raises ``ConfigurationError`` for what the layout lacks.
    """
    found = _all_labelled_pictures(data, layout, names, annotations, split)
    return found if limit is None else found[:limit]


def _all_labelled_pictures(
    data: Path, layout: str, names: Path | None, annotations: Path | None, split: str
) -> BoxDataset:
    if layout == "coco":
        if annotations is None:
            raise ConfigurationError("--annotations is missing; the layout coco needs the file of instances")
        return read_coco(data, annotations)
    if layout == "voc":
        return read_voc(data, split, VOC_NAMES if names is None else read_names(names))
    if layout != "yolo":
        raise ConfigurationError(f"unknown layout {layout!r}; known layouts: yolo, coco, voc")
    if names is None:
        raise ConfigurationError("--names is missing; the layout yolo needs the file of class names")
    return read_yolo_folder(data, read_names(names))
