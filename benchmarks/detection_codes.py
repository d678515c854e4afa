"""Window codes on a real detector: mean average precision kept, spikes, operations and energy."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any

import snnconv
from benchmarks.detection_data import DetectionTask, yolo_fastest
from benchmarks.results import keep, note, publish
from coding import Code, FewSpike, OneSpike, Phase, TableSpike
from snnconv.detection import DetectionEvaluation, DetectionJudge, evaluate

#: A graphics card of 250 W and 14 TFLOPS, and a spike on TrueNorth: the convention behind a published factor of 280
#: (Spiking-YOLO, Kim et al. 2020), which counts floating-point operations on one side and spikes on the other.
JOULES_A_FLOP, JOULES_A_SPIKE = 250.0 / 14e12, 26e-12
SETTINGS: dict[str, Code | str] = {
    "FewSpike T=16 k=3": FewSpike(16, spikes=3),
    "FewSpike T=8 k=3": FewSpike(8, spikes=3),
    "FewSpike T=12 k=2": FewSpike(12, spikes=2),
    "Phase T=10": Phase(10),
    "OneSpike T=32, base 1.15": OneSpike(32, base=1.15),
    "OneSpike T=48, base 1.08": OneSpike(48, base=1.08),
    "OneSpike T=32": OneSpike(32),
    "OneSpike T=48": OneSpike(48),
    "TableSpike T=32": TableSpike(32),
    "TableSpike T=48": TableSpike(48),
    "auto, max_loss 3": "auto",
    "auto, max_loss 3.5": "auto",
}
#: Percentage points that a search may lose.
BOUNDS = {"auto, max_loss 3": 3.0, "auto, max_loss 3.5": 3.5}
HEAD = (
    "code",
    "pictures",
    "latency",
    "ANN mAP@0.5",
    "SNN mAP@0.5",
    "kept %",
    "ANN mAP@0.5:0.95",
    "SNN mAP@0.5:0.95",
    "spikes per neuron",
    "SynOps",
    "MACs",
    "E2 / ANN",
    "E3 / ANN",
    "published convention",
)


def run(images: int | None = None, rows: Sequence[str] = ("*",)) -> None:
    """Publish the table ``detection_codes``: every code on the pictures not calibrated on, and on all."""
    task = yolo_fastest(images)
    table: list[list[Any]] = []
    title = "Yolo-Fastest 1.1 on coco128, calibrated on the first 64 pictures"
    for name, code in SETTINGS.items():
        if not any(fnmatchcase(name, pattern) for pattern in rows):
            continue
        network = convert(task, code, BOUNDS.get(name, 0.5))
        for data in (task.others, task.everything):
            result = evaluate(task.detector.with_network(network), data, reference=task.detector)
            table.append(_row(name, result))
            note(f"{name}, {result.samples} pictures: {result.kept:.2f} % kept")
        keep("detection_codes", title, HEAD, table)
    publish("detection_codes", title, HEAD, table)


def convert(task: DetectionTask, code: Code | str, max_loss: float = 0.5) -> snnconv.SpikingNetwork:
    """The task's network in one code; "auto" searches by what the original finds on the pictures held out."""
    aims: dict[str, Any] = {}
    if code == "auto":
        aims = {"max_loss": max_loss, "minimize": "spikes", "judge": DetectionJudge(task.detector.heads)}
    return snnconv.convert(task.detector.network, task.calibration, coding=code, **aims)


def _row(name: str, result: DetectionEvaluation) -> list[Any]:
    e, activity = result.energy, result.activity
    published = 2 * activity.reference_macs * JOULES_A_FLOP / (activity.spikes * JOULES_A_SPIKE)
    return [
        name,
        result.samples,
        result.steps,
        round(result.reference_precision.ap50, 2),
        round(result.precision.ap50, 2),
        round(result.kept, 2),
        round(result.reference_precision.ap, 2),
        round(result.precision.ap, 2),
        round(result.spikes_per_neuron, 3),
        result.synops,
        activity.reference_macs,
        e.e2 / e.e2_reference,
        e.e3 / e.e3_reference,
        published,
    ]
