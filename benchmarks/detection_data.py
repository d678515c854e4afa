"""The detector that benchmarks convert: Yolo-Fastest 1.1 on the 128 pictures of coco128.

The files ``yolo_fastest/yolo-fastest-1.1.cfg`` and ``.weights``, ``coco.names`` and ``coco128/`` (images, labels) are
looked for in the directory that the environment variable ``SNNCONV_DATA`` names.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from benchmarks.datasets import data_file
from snnconv.detection import BoxDataset, Detector, load_detector, read_yolo_folder

#: The first pictures calibrate, the others are measured.
CALIBRATION_PICTURES = 64


@dataclass(frozen=True)
class DetectionTask:
    """A detector, the input of its calibration pictures, and labelled pictures: those left, and all."""

    detector: Detector
    calibration: Tensor
    others: BoxDataset
    everything: BoxDataset


def yolo_fastest(pictures: int | None = None) -> DetectionTask:
    """The task; ``pictures`` limits those that are measured."""
    detector = load_detector(
        data_file("yolo_fastest/yolo-fastest-1.1.cfg"),
        data_file("yolo_fastest/yolo-fastest-1.1.weights"),
        data_file("coco.names"),
    )
    everything = read_yolo_folder(data_file("coco.names").parent / "coco128", detector.names)
    items = [everything[position] for position in range(len(everything))]
    calibration, others = items[:CALIBRATION_PICTURES], items[CALIBRATION_PICTURES:]
    return DetectionTask(
        detector,
        detector.inputs([item.image() for item in calibration]),
        BoxDataset(tuple(others[:pictures]), everything.names),
        BoxDataset(tuple(items[:pictures]), everything.names),
    )
