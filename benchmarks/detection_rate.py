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
STEPS = 1024


class Variant(NamedTuple):
    """How the scales are found, and how negative spikes are fired."""

    name: str
    normalization: Literal["channel", "layer"]
    negative: Literal["graded", "imbalanced"]


VARIANTS = (
    Variant("channel-wise, graded", "channel", "graded"),
    Variant("channel-wise, imbalanced thresholds", "channel", "imbalanced"),
    Variant("layer-wise, graded", "layer", "graded"),
    Variant("layer-wise, imbalanced thresholds", "layer", "imbalanced"),
)
HEAD = (
    "variant",
    "pictures",
    "steps",
    "ANN mAP@0.5",
    "SNN mAP@0.5",
    "kept %",
    "spikes per neuron",
)


def run(images: int | None = PICTURES, steps: int = STEPS, rows: Sequence[str] = ("*",)) -> None:
    """Publish the table ``detection_rate``: precision after doubling numbers of steps."""
    task = yolo_fastest(images)
    marks = sorted({*(2**power for power in range(4, 14) if 2**power <= steps), *range(32, steps + 1, 32), steps})
    table: list[list[Any]] = []
    title = f"Yolo-Fastest 1.1, {len(task.others)} pictures of coco128, rate code"
    for variant in VARIANTS:
        if not any(fnmatchcase(variant.name, pattern) for pattern in rows):
            continue
        network = snnconv.convert(
            task.detector.network,
            task.calibration,
            coding=CodingPlan(Rate(), schedule=Concurrent(steps)),
            normalization=variant.normalization,
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
