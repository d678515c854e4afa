"""Detectors on hardware: what integers keep of mean average precision, run as programs in C, and their boxes drawn."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL.Image import Image, fromarray
from torch import Tensor
from torch.utils._pytree import tree_map

import snnconv
from benchmarks.c_exports import COMPILER, OPTIONS
from benchmarks.c_programs import CompiledProgram
from benchmarks.datasets import data_file
from benchmarks.results import FOLDER, keep, note, publish
from coding import FewSpike
from hw_export.c.program import program
from hw_export.integers.network import IntegerNetwork, over_channels
from hw_export.integers.quantization import quantize
from snnconv.detection import (
    Detections,
    Detector,
    Truth,
    draw_shapes,
    load_detector,
    load_shapes_detector,
    mean_average_precision,
    read_yolo_folder,
    side_by_side,
)

#: Pictures of shapes that calibrate, those of coco128 that do, and height and width at which Yolo-Fastest runs.
CALIBRATION, COCO_CALIBRATION, SIZE = 100, 64, (160, 160)
#: Scores above which boxes count for the precision, and are drawn.
COUNTED, DRAWN = 0.005, 0.25
#: How large a picture is drawn, beside its own size.
MAGNIFIED = 5
TITLE = "Detectors in integers, as programs in C: mean average precision at an overlap of 0.5"
HEAD = (
    "detector",
    "code",
    "pictures",
    "original",
    "spiking, real numbers",
    "in C, 8 bits",
    "kept of spiking %",
    "boxes of the original found by C %",
    "input bits",
    "ms a picture",
    "RAM KiB",
    "tables KiB",
)


@dataclass(frozen=True)
class _Task:
    """A detector, inputs that calibrate it and that are measured, and the pictures with what is on them."""

    detector: Detector
    calibration: Tensor
    inputs: Tensor
    pictures: Sequence[Image]
    truths: Sequence[Truth]
    code: FewSpike


def run(images: int | None = None, rows: Sequence[str] = ("*",)) -> None:
    """Publish the table ``integer_detection`` (up to ``images`` pictures), and draw what is found on one picture."""
    table: list[list[Any]] = []
    for name, make in TASKS.items():
        if any(fnmatchcase(name, pattern) for pattern in rows):
            table.append([name, *_row(name, make(images))])
            note(f"{name}: {dict(zip(HEAD, table[-1], strict=True))}")
            keep("integer_detection", TITLE, HEAD, table)
    publish("integer_detection", TITLE, HEAD, table)


def _row(name: str, task: _Task) -> list[Any]:
    network = snnconv.convert(task.detector.network, task.calibration, coding=task.code)
    integers = quantize(network)
    written = program(integers, "detector")
    ((node, taken),) = integers.inputs.items()
    with tempfile.TemporaryDirectory() as folder:
        compiled = CompiledProgram(written, Path(folder), COMPILER, OPTIONS)
        done = compiled.run({node: taken.taken(task.inputs.numpy())})
    spiking = task.detector.with_network(network)
    outputs = [
        task.detector.outputs(task.inputs),
        tree_map(lambda *parts: torch.cat(parts), *_outputs(spiking, task.inputs)),
        _decoded(integers, done.sums, task.inputs),
    ]
    sizes = [(picture.height, picture.width) for picture in task.pictures]
    found = [task.detector.decode(each, sizes, COUNTED, most=100) for each in outputs]
    classes = len(task.detector.names)
    exact, floating, whole = (mean_average_precision(each, task.truths, classes).ap50 for each in found)
    seen = [task.detector.decode(each, sizes, DRAWN) for each in outputs]
    _draw(name, task, seen[0], seen[2])
    return [
        repr(task.code),
        len(task.inputs),
        exact,
        floating,
        whole,
        100 * whole / floating,
        _found_again(seen[0], seen[2]),
        taken.bits,
        1000 * done.seconds / len(task.inputs),
        written.ram / 1024,
        written.flash / 1024,
    ]


def _outputs(detector: Detector, inputs: Tensor) -> list[Any]:
    return [detector.outputs(part) for part in torch.split(inputs, 16)]


def _decoded(integers: IntegerNetwork, sums: Mapping[str, Any], inputs: Tensor) -> Any:
    """What the network returns for the sums of a program in C."""
    network = integers.network
    environment: dict[str, Any] = {**network.constants, **dict(zip(network.graph.inputs, (inputs,), strict=True))}
    network.execution_plan.setup.run(environment)
    for node, output in integers.outputs.items():
        values = sums[node] * over_channels(output.step, output.offset.ndim) + output.offset
        environment[node] = torch.from_numpy(np.asarray(values)).to(inputs.dtype)
    return network.execution_plan.decode(environment)


def _found_again(expected: Sequence[Detections], found: Sequence[Detections]) -> float:
    """Percent of the boxes ``expected`` that have one of their class in ``found`` which overlaps them by half."""
    again = total = 0
    for one, two in zip(expected, found, strict=True):
        total += len(one)
        for box, label in zip(one.boxes, one.classes, strict=True):
            alike = two.boxes[two.classes == label]
            corners = torch.maximum(alike[:, :2], box[:2]), torch.minimum(alike[:, 2:], box[2:])
            common = (corners[1] - corners[0]).clamp(min=0).prod(1)
            both = (alike[:, 2:] - alike[:, :2]).prod(1) + (box[2:] - box[:2]).prod() - common
            again += bool((common >= 0.5 * both).any())
    return 100 * again / max(1, total)


def _draw(name: str, task: _Task, original: Sequence[Detections], in_c: Sequence[Detections]) -> None:
    """The picture on which most is found, with the boxes of the original and of the program in C."""
    position = max(range(len(original)), key=lambda index: len(original[index]))
    picture, factor = task.pictures[position], MAGNIFIED if task.pictures[position].width < 100 else 1
    large = picture.resize((picture.width * factor, picture.height * factor))
    left, right = (replace(each[position], boxes=each[position].boxes * factor) for each in (original, in_c))
    sheet = side_by_side(large, left, right, task.detector.names, ("original", "in C, 8 bits"))
    path = FOLDER / f"{name.replace(' ', '_')}_in_c.png"
    FOLDER.mkdir(exist_ok=True)
    sheet.save(path)
    note(f"{path} has the boxes of picture {position}")


def _shapes(images: int | None) -> _Task:
    count = images or 500
    pictures, truths = draw_shapes(CALIBRATION + count, seed=1)
    inputs, truths = pictures[CALIBRATION:], truths[CALIBRATION:]
    drawn = [fromarray((each * 255).byte().permute(1, 2, 0).numpy()) for each in inputs]
    return _Task(load_shapes_detector(), pictures[:CALIBRATION], inputs, drawn, truths, FewSpike(8, spikes=3))


def _yolo_fastest(images: int | None) -> _Task:
    config, weights = (data_file(f"yolo_fastest/yolo-fastest-1.1.{kind}") for kind in ("cfg", "weights"))
    detector = load_detector(config, weights, data_file("coco.names"), size=SIZE)
    everything = read_yolo_folder(data_file("coco.names").parent / "coco128", detector.names)
    items = [everything[position] for position in range(len(everything))]
    measured = items[COCO_CALIBRATION:][:images]
    return _Task(
        detector,
        detector.inputs([item.image() for item in items[:COCO_CALIBRATION]]),
        detector.inputs([item.image() for item in measured]),
        [item.image() for item in measured],
        [item.truth() for item in measured],
        FewSpike(8, spikes=3),
    )


TASKS: Mapping[str, Callable[[int | None], _Task]] = {
    "shapes detector": _shapes,
    f"Yolo-Fastest at {SIZE[0]}": _yolo_fastest,
}
