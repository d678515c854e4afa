"""Mean average precision: how well detections and their scores agree with what is true."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from snnconv.detection.boxes import Detections
from snnconv.detection.ground_truth import Truth
from snnconv.errors import ConfigurationError, InputError


@dataclass(frozen=True)
class Precision:
    """Mean average precision in percent: ``ap50`` at an overlap of 0.5, ``ap`` over 0.5, 0.55, ... 0.95."""

    ap50: float
    ap: float


def mean_average_precision(detections: Sequence[Detections], truths: Sequence[Truth], classes: int) -> Precision:
    """Of the detections in every image, as COCO defines it (Lin et al. 2014), evaluated by faster-coco-eval.

    Per class, precision is made to fall with recall and averaged at the recalls 0, 0.01, ... 1; the mean is over those
    of the ``classes`` that have an object. An image counts its 100 best detections of a class. An ignored object takes
    any number of detections of its class that lie in it by the overlap in question, relative to their own area; they
    count neither for nor against. Raises ``InputError`` if the numbers of images differ, a class is out of range or
    there is no object to be found, and ``ConfigurationError`` without faster-coco-eval.
    """
    try:
        from faster_coco_eval import COCO, COCOeval_faster
    except ImportError as error:
        raise ConfigurationError("precision needs faster-coco-eval: pip install 'snnconv[detection]'") from error
    _check(detections, truths, classes)
    sought = sorted({label for truth in truths for label in truth.classes[~truth.ignored].tolist()})
    truth_set = COCO(_annotations(truths, classes), print_function=_silent)
    found = truth_set.loadRes(_results(detections, sought))
    evaluation = COCOeval_faster(truth_set, found, iouType="bbox", print_function=_silent)
    parameters = evaluation.params
    parameters.catIds = sought
    # The other ranges of areas and numbers of detections are for figures that nobody asked for.
    parameters.areaRng, parameters.areaRngLbl, parameters.maxDets = parameters.areaRng[:1], ["all"], [100]
    evaluation.evaluate()
    evaluation.accumulate()
    # [overlaps, recalls, classes, 1, 1]; each class has an object, so none is marked as undefined.
    averages = 100.0 * evaluation.eval["precision"].mean(axis=(1, 2, 3, 4))
    return Precision(float(averages[0]), float(averages.mean()))


def _check(detections: Sequence[Detections], truths: Sequence[Truth], classes: int) -> None:
    if len(detections) != len(truths):
        raise InputError(f"detections are of {len(detections)} images, truths of {len(truths)}; give both of each")
    for position, (found, truth) in enumerate(zip(detections, truths, strict=True)):
        labels = torch.cat([found.classes, truth.classes])
        if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < classes:
            raise InputError(f"image {position} has detections or objects of classes outside 0 to {classes - 1}")
    if all(bool(truth.ignored.all()) for truth in truths):
        raise InputError("no image has an object to be found, so precision is not defined; give images with objects")


def _annotations(truths: Sequence[Truth], classes: int) -> dict[str, list[dict[str, object]]]:
    annotations: list[dict[str, object]] = []
    for image, truth in enumerate(truths):
        rows = zip(truth.boxes.tolist(), truth.classes.tolist(), truth.ignored.tolist(), strict=True)
        for (x1, y1, x2, y2), label, ignored in rows:
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image,
                    "category_id": label,
                    "bbox": [x1, y1, x2 - x1, y2 - y1],
                    "area": (x2 - x1) * (y2 - y1),
                    "iscrowd": int(ignored),
                }
            )
    return {
        "images": [{"id": image} for image in range(len(truths))],
        "categories": [{"id": label} for label in range(classes)],
        "annotations": annotations,
    }


def _results(
    detections: Sequence[Detections], sought: Sequence[int]
) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Image, x, y, width, height, score and class of every detection of a class that has an object, ``[K, 7]``."""
    rows = []
    for image, found in enumerate(detections):
        corners = found.boxes.double()
        start = torch.full((len(found), 1), image)
        numbers = (
            start,
            corners[:, :2],
            corners[:, 2:] - corners[:, :2],
            found.scores[:, None],
            found.classes[:, None],
        )
        rows.append(torch.cat([part.double() for part in numbers], 1))
    table = torch.cat(rows)
    kept: npt.NDArray[np.float64] = table[torch.isin(table[:, 6], torch.tensor(sought, dtype=torch.float64))].numpy()
    return kept


def _silent(*_: object) -> None:
    """Takes what faster-coco-eval would report."""
