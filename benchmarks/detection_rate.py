"""Rate code with signed neurons on a real detector: precision over time, normalised by channel and by layer."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any, Literal, NamedTuple

import snnconv
from benchmarks.detection_data import yolo_fastest
from benchmarks.results import keep, note, publish
from coding import CodingPlan, Concurrent, Rate
from snnconv.detection import evaluate

PICTURES = 32


class Variant(NamedTuple):
    """How the scales are found, how negative spikes are fired, and how long it is run."""

    normalization: Literal["channel", "layer"]
    percentile: float
    negative: Literal["graded", "imbalanced"]
    steps: int

    @property
    def name(self) -> str:
        scales = "maximum" if self.percentile == 100.0 else f"{self.percentile}th percentile"
        return f"{self.normalization}-wise {scales}, {self.negative}"


#: Behind a leak of 0.1 an imbalanced threshold takes ten times the charge for a negative spike, and so longer.
VARIANTS = (
    Variant("channel", 100.0, "graded", 384),
    Variant("layer", 100.0, "graded", 384),
    Variant("channel", 99.9, "graded", 384),
    Variant("layer", 99.9, "graded", 384),
    Variant("channel", 100.0, "imbalanced", 2048),
    Variant("layer", 100.0, "imbalanced", 2048),
)
#: The steps after which precision is taken.
MARKS = (16, 32, 48, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 512, 768, 1024, 1536, 2048)
HEAD = (
    "variant",
    "pictures",
    "steps",
    "ANN mAP@0.5",
    "SNN mAP@0.5",
    "kept %",
    "spikes per neuron",
)


def run(images: int | None = PICTURES, steps: int | None = None, rows: Sequence[str] = ("*",)) -> None:
    """Publish the table ``detection_rate``: precision over time, of at most ``steps`` steps."""
    task = yolo_fastest(images)
    table: list[list[Any]] = []
    title = f"Yolo-Fastest 1.1, {len(task.others)} pictures of coco128, rate code"
    for variant in VARIANTS:
        if not any(fnmatchcase(variant.name, pattern) for pattern in rows):
            continue
        last = variant.steps if steps is None else min(steps, variant.steps)
        marks = sorted({step for step in MARKS if step < last} | {last})
        network = snnconv.convert(
            task.detector.network,
            task.calibration,
            coding=CodingPlan(Rate(), schedule=Concurrent(last)),
            normalization=variant.normalization,
            percentile=variant.percentile,
            negative=variant.negative,
        )
        result = evaluate(task.detector.with_network(network), task.others, reference=task.detector, at=marks)
        assert result.precision_by_step is not None and result.spikes_by_step is not None
        for step, precision in result.precision_by_step.items():
            table.append(
                [
                    variant.name,
                    result.samples,
                    step,
                    round(result.reference_precision.ap50, 2),
                    round(precision.ap50, 2),
                    round(100.0 * precision.ap50 / result.reference_precision.ap50, 1),
                    round(result.spikes_by_step[step - 1] / result.neurons, 2),
                ]
            )
        note(f"{variant.name}: 97.8 % kept from step {result.latency(97.8)} on, 90 % from {result.latency(90.0)} on")
        keep("detection_rate", title, HEAD, table)
    publish("detection_rate", title, HEAD, table)
