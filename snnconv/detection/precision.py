"""Mean average precision: how well detections and their scores agree with what is true."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from snnconv.detection.boxes import Detections
from snnconv.detection.data.ground_truth import Truth
from snnconv.errors import ConfigurationError, InputError

#: Detections with a lower score do not take part in precision.
SCORE_THRESHOLD = 0.005

_Instance = dict[str, object]


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
    parts = (_objects(truths), _found(detections, sought))
    truth_set, found = (COCO(_instances(part, len(truths), classes), print_function=_silent) for part in parts)
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


def _objects(truths: Sequence[Truth]) -> Iterator[_Instance]:
    for image, truth in enumerate(truths):
        rows = zip(truth.boxes.tolist(), truth.classes.tolist(), truth.ignored.tolist(), strict=True)
        for box, label, ignored in rows:
            yield _instance(image, box, label) | {"iscrowd": int(ignored)}


def _found(detections: Sequence[Detections], sought: Sequence[int]) -> Iterator[_Instance]:
    """The detections of classes that have an object; others cannot change the mean."""
    wanted = set(sought)
    for image, found in enumerate(detections):
        rows = zip(found.boxes.tolist(), found.scores.tolist(), found.classes.tolist(), strict=True)
        for box, score, label in rows:
            if label in wanted:
                yield _instance(image, box, label) | {"score": score}


def _instance(image: int, box: Sequence[float], label: int) -> _Instance:
    x1, y1, x2, y2 = box
    width, height = x2 - x1, y2 - y1
    return {"image_id": image, "category_id": label, "bbox": [x1, y1, width, height], "area": width * height}


def _instances(annotations: Iterator[_Instance], images: int, classes: int) -> dict[str, list[_Instance]]:
    return {
        "images": [{"id": image} for image in range(images)],
        "categories": [{"id": label} for label in range(classes)],
        # The evaluation takes 0 for "not matched", so ids count from 1.
        "annotations": [annotation | {"id": identity} for identity, annotation in enumerate(annotations, 1)],
    }


def _silent(*_: object) -> None:
    """Takes what faster-coco-eval would report."""
