"""The command that finds objects in pictures with a converted detector, beside the original."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from snnconv.cli import detectors
from snnconv.cli.console import console
from snnconv.cli.conversion_options import CodeOptions, CodingOptions, ConversionOptions, SearchOptions
from snnconv.cli.given import refuse
from snnconv.cli.interruption import kept
from snnconv.cli.option_sets import takes
from snnconv.cli.options import ClassNames, Device, Json, Limit, WorkerCount, folder, write_json
from snnconv.cli.progress import items_with_progress
from snnconv.detection import Detections, side_by_side
from snnconv.detection.boxes import match
from snnconv.errors import ConfigurationError, InputError
from snnconv.storage.atomic import write_whole

#: Boxes that overlap by more than this are one and the same.
_SAME = 0.9


@takes(coding=CodingOptions, search=SearchOptions, parameters=CodeOptions, options=ConversionOptions)
def detect(
    context: typer.Context,
    images: Annotated[
        list[Path], typer.Argument(help="Pictures, folders of pictures, or quoted patterns such as 'photos/*.jpg'.")
    ],
    model: detectors.Model = "",
    names: ClassNames = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for pictures and detections.json.")] = Path(
        "detections"
    ),
    calibration: detectors.Calibration = None,
    samples: detectors.Samples = 64,
    score: Annotated[float, typer.Option(help="Lowest score of a detection.")] = 0.25,
    letterbox: detectors.Letterbox = None,
    save: detectors.Save = None,
    limit: Limit = None,
    device: Device = "cpu",
    workers: WorkerCount = None,
    json_file: Json = None,
    *,
    coding: CodingOptions,
    search: SearchOptions,
    parameters: CodeOptions,
    options: ConversionOptions,
) -> None:
    """Find objects in pictures with a spiking detector: pictures with both networks' boxes, and detections.json.

    A picture that cannot be read is named, the others are not lost; the command then ends with 1. Pictures of the
    folder to calibrate on are only named. --json writes what detections.json holds to another file, too.
    """
    if not 0.0 <= score < 1.0:
        raise ConfigurationError(f"--score must lie in [0, 1), got {score}")
    detectors.check_samples(samples)
    if calibration is None:
        refuse(context, "counts pictures of --calibration: give that too, or leave it out", "samples")
    original = detectors.detector_of(model, names, letterbox, device)
    code = detectors.coding_of(original, coding, search, parameters)
    readable, failures = detectors.read_pictures(detectors.pictures_in(images)[:limit])
    if not readable:
        raise InputError("no picture can be read: " + "; ".join(failures.values()))
    detectors.warn_of("left out", failures)
    folder(output)
    chosen = [image for _, image in readable]
    if calibration is not None:
        chosen = detectors.calibration_pictures(calibration, samples)
    inputs = original.inputs(chosen)
    network = detectors.converted(original, inputs, code, options, save, workers)
    spiking = original.with_network(network)
    table = Table(title=f"{coding.name} code, {len(network.populations)} populations")
    for column in ("picture", "original", "spiking", f"matched (overlap above {_SAME})", "spikes per neuron", "steps"):
        table.add_column(column, justify="left" if column == "picture" else "right", overflow="fold")
    figures: list[dict[str, Any]] = []
    paths = [path for path, _ in readable]
    items = list(zip(readable, _labels(paths), _shortest(paths), strict=True))
    with kept(lambda: f"{len(figures)} pictures are in {output}; the same command draws all again"):
        for (path, image), label, name in items_with_progress(items, "detecting"):
            wanted = original.detect([image], score_threshold=score)[0]
            run = network.run(spiking.inputs([image]))
            got = spiking.decode(run.output, [(image.height, image.width)], score)[0]
            alike, taken = len(match(wanted, got, _SAME)), int(run.steps[0])
            drawn = output / f"{label}.png"
            sheet = side_by_side(
                image, wanted, got, original.names, ("original", f"spiking, {coding.name}, {taken} steps")
            )
            _save(sheet, drawn)
            table.add_row(
                escape(name), *map(str, (len(wanted), len(got), alike)), f"{run.spikes_per_neuron:.3f}", str(taken)
            )
            figures.append(
                {
                    "picture": str(path),
                    "size": [image.width, image.height],
                    "drawn": str(drawn),
                    "original": _rows(wanted, original.names),
                    "spiking": _rows(got, original.names),
                    "alike": alike,
                    "spikes_per_neuron": run.spikes_per_neuron,
                    "steps": taken,
                }
            )
    for file in (output / "detections.json", json_file):
        write_json(file, {"pictures": figures, "failed": failures})
    with kept(lambda: f"{len(figures)} pictures and detections.json are in {output}"):
        console.print(table)
        console.print(f"written: {output / 'detections.json'} and {len(figures)} pictures", markup=False)
    if failures:
        raise typer.Exit(1)


def _labels(paths: Sequence[Path]) -> list[str]:
    """A file name for every picture; pictures of the same name in different folders are numbered."""
    found: dict[str, int] = {}  # and how many pictures have the name
    for path in paths:
        label = path.stem
        while label in found:
            found[path.stem] += 1
            label = f"{path.stem}_{found[path.stem]}"
        found[label] = 1
    return [*found]


def _shortest(paths: Sequence[Path]) -> list[str]:
    """What a table calls every picture: its file, or its path where several files have that name."""
    names = Counter(path.name for path in paths)
    return [path.name if names[path.name] == 1 else str(path) for path in paths]


def _rows(found: Detections, names: Sequence[str]) -> list[dict[str, Any]]:
    rows = zip(found.boxes.tolist(), found.scores.tolist(), found.classes.tolist(), strict=True)
    return [{"class": names[label], "score": score, "box": box} for box, score, label in rows]


def _save(image: Any, path: Path) -> None:
    content = io.BytesIO()
    image.save(content, "PNG")
    write_whole(path, content.getvalue())
