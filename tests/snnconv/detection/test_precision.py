"""Precision by hand, and against a literal 101-point average."""

from __future__ import annotations

import logging
import sys

import numpy as np
import pytest
import torch
from torch import Tensor

from snnconv import ConfigurationError, InputError
from snnconv.detection.boxes import Detections, iou
from snnconv.detection.data.ground_truth import Truth
from snnconv.detection.precision import Precision, mean_average_precision

BOX = (0.0, 0.0, 10.0, 10.0)
AWAY = (50.0, 50.0, 60.0, 60.0)
Row = tuple[tuple[float, float, float, float], int]


def truth(*rows: Row, ignored: tuple[int, ...] = ()) -> Truth:
    boxes = torch.tensor([box for box, _ in rows]).view(-1, 4)
    classes = torch.tensor([label for _, label in rows], dtype=torch.int64)
    return Truth(boxes, classes, torch.tensor([i in ignored for i in range(len(rows))], dtype=torch.bool))


def found(*rows: tuple[tuple[float, float, float, float], int, float]) -> Detections:
    boxes = torch.tensor([box for box, _, _ in rows]).view(-1, 4)
    classes = torch.tensor([label for _, label, _ in rows], dtype=torch.int64)
    return Detections(boxes, torch.tensor([score for _, _, score in rows]), classes)


def covers(detected: Tensor, true: Tensor, ignored: Tensor) -> Tensor:
    """Overlap of every detection with every object: with an ignored one, relative to the detection's area."""
    overlap = iou(detected, true)
    shared = (
        torch.minimum(detected[:, None, 2:], true[None, :, 2:])
        - torch.maximum(detected[:, None, :2], true[None, :, :2])
    ).clamp(min=0)
    area = (detected[:, 2:] - detected[:, :2]).prod(1)
    return torch.where(ignored[None], shared.prod(2) / area[:, None], overlap)


def literal_average(detections: list[Detections], truths: list[Truth], label: int, threshold: float) -> float | None:
    """Average precision of one class at one overlap, at 101 recalls; ``None`` for a class without objects."""
    judged = []
    objects = 0
    for image, true in zip(detections, truths, strict=True):
        mine, theirs = image.classes == label, true.classes == label
        scores, ignored = image.scores[mine][:100].tolist(), true.ignored[theirs]
        overlap = covers(image.boxes[mine][:100].double(), true.boxes[theirs].double(), ignored)
        objects += int((~ignored).sum())
        taken = [False] * len(ignored)
        for i, score in enumerate(scores):
            best, place = threshold - 1e-10, None
            for j in range(len(taken)):
                if not taken[j] and not ignored[j] and overlap[i, j] >= best:
                    best, place = float(overlap[i, j]), j
            if place is not None:
                taken[place] = True
                judged.append((score, True))
            elif not any(ignored[j] and overlap[i, j] >= threshold - 1e-10 for j in range(len(taken))):
                judged.append((score, False))
    if not objects:
        return None
    judged.sort(key=lambda pair: -pair[0])
    right = np.cumsum([hit for _, hit in judged])
    precision, recall = right / np.arange(1, len(judged) + 1), right / objects
    points = [float(max(precision[recall >= r - 1e-12], default=0.0)) for r in np.linspace(0, 1, 101)]
    return 100 * float(np.mean(points))


def literal(detections: list[Detections], truths: list[Truth], classes: int) -> Precision:
    rows = []
    for threshold in np.linspace(0.5, 0.95, 10):
        averages = [literal_average(detections, truths, label, float(threshold)) for label in range(classes)]
        rows.append(float(np.mean([average for average in averages if average is not None])))
    return Precision(rows[0], float(np.mean(rows)))


def random_scene(seed: int, *, ignored: float) -> tuple[list[Detections], list[Truth]]:
    """Twelve images of four classes, of which class 3 has no object; most objects are found, not quite in place."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator)

    detections, truths = [], []
    for image in range(12):
        count = image % 5
        corner = 100 * draw(count, 2)
        boxes = torch.cat([corner, corner + 10 + 60 * draw(count, 2)], 1)
        classes = torch.randint(0, 3, (count,), generator=generator)
        truths.append(Truth(boxes, classes, draw(count) < ignored))
        moved = torch.cat([boxes, boxes, boxes]) + 6 * draw(3 * count, 4) - 3
        guesses = torch.cat([moved, torch.tensor([[5.0, 5.0, 30.0, 30.0]] * 3)])
        labels = torch.cat([classes, classes, torch.randint(0, 4, (count + 3,), generator=generator)])
        scores, order = draw(len(labels)).sort(descending=True)
        detections.append(Detections(guesses[order], scores, labels[order]))
    return detections, truths


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("ignored", [0.0, 0.4])
def test_precision_is_the_literal_average(seed: int, ignored: float) -> None:
    detections, truths = random_scene(seed, ignored=ignored)
    measured, wanted = mean_average_precision(detections, truths, 4), literal(detections, truths, 4)
    assert 5.0 < wanted.ap < wanted.ap50 < 95.0
    assert measured.ap50 == pytest.approx(wanted.ap50) and measured.ap == pytest.approx(wanted.ap)


@pytest.mark.parametrize(
    ("detections", "ap50", "ap"),
    [
        # Overlap 1; overlap 0.8 counts at 0.5, 0.55 ... 0.8; overlap 0.4 never.
        (found((BOX, 0, 0.9)), 100.0, 100.0),
        (found(((0, 0, 10, 8), 0, 0.9)), 100.0, 70.0),
        (found(((0, 0, 10, 4), 0, 0.9)), 0.0, 0.0),
        # A wrong one below the right one costs nothing, above it half; a second one of the same object is wrong.
        (found((BOX, 0, 0.9), (AWAY, 0, 0.1)), 100.0, 100.0),
        (found((AWAY, 0, 0.9), (BOX, 0, 0.1)), 50.0, 50.0),
        (found((BOX, 0, 0.9), (BOX, 0, 0.8)), 100.0, 100.0),
        # The right place, another class; nothing at all.
        (found((BOX, 1, 0.9)), 0.0, 0.0),
        (found(), 0.0, 0.0),
    ],
)
def test_precision_of_one_object(detections: Detections, ap50: float, ap: float) -> None:
    measured = mean_average_precision([detections], [truth((BOX, 0))], 2)
    assert (measured.ap50, measured.ap) == pytest.approx((ap50, ap))


def test_half_of_the_objects_is_half_of_the_recalls() -> None:
    measured = mean_average_precision([found((BOX, 0, 0.9)), found()], [truth((BOX, 0)), truth((BOX, 0))], 1)
    # Recalls 0, 0.01, ... 0.5 are reached, 51 of 101.
    assert measured.ap50 == pytest.approx(100 * 51 / 101)


def test_the_mean_is_over_the_classes_that_have_objects() -> None:
    measured = mean_average_precision([found((BOX, 0, 0.9), (AWAY, 5, 0.8))], [truth((BOX, 0), (AWAY, 1))], 80)
    assert (measured.ap50, measured.ap) == (50.0, 50.0)


def test_an_ignored_object_is_neither_missed_nor_found() -> None:
    scene = truth((BOX, 0), ((20, 20, 40, 40), 0), ignored=(1,))
    alone = mean_average_precision([found((BOX, 0, 0.5))], [scene], 1)
    assert alone.ap50 == 100.0
    inside = found(((20, 20, 30, 30), 0, 0.9), ((25, 25, 40, 40), 0, 0.8), (BOX, 0, 0.5))
    assert mean_average_precision([inside], [scene], 1).ap50 == 100.0
    outside = found(((45, 45, 60, 60), 0, 0.9), (BOX, 0, 0.5))
    assert mean_average_precision([outside], [scene], 1).ap50 == pytest.approx(50.0)


def test_an_image_without_objects_makes_detections_wrong() -> None:
    detections = [found((BOX, 0, 0.9)), found((BOX, 0, 0.5))]
    assert mean_average_precision(detections, [truth(), truth((BOX, 0))], 1).ap50 == pytest.approx(50.0)


@pytest.mark.parametrize("truths", [[truth()], [truth((BOX, 0), ignored=(0,))]])
def test_without_objects_precision_is_not_defined(truths: list[Truth]) -> None:
    with pytest.raises(InputError, match="no image has an object to be found"):
        mean_average_precision([found((BOX, 0, 0.9))], truths, 1)


def test_nothing_to_judge_is_an_error() -> None:
    with pytest.raises(InputError, match="no image has an object"):
        mean_average_precision([], [], 1)
    with pytest.raises(InputError, match="detections are of 1 images, truths of 2"):
        mean_average_precision([found()], [truth((BOX, 0))] * 2, 1)


@pytest.mark.parametrize(
    ("detections", "true"),
    [(found((BOX, 3, 0.9)), truth((BOX, 0))), (found(), truth((BOX, 3))), (found(), truth((BOX, -1)))],
)
def test_a_class_out_of_range_is_an_error(detections: Detections, true: Truth) -> None:
    with pytest.raises(InputError, match="image 1 has detections or objects of classes outside 0 to 2"):
        mean_average_precision([found(), detections], [truth((BOX, 0)), true], 3)


def test_judging_says_and_changes_nothing(capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    detections, truths = random_scene(0, ignored=0.4)
    before = [image.boxes.clone() for image in detections]
    first = mean_average_precision(detections, truths, 4)
    assert first == mean_average_precision(detections, truths, 4)
    assert all(torch.equal(old, image.boxes) for old, image in zip(before, detections, strict=True))
    assert capsys.readouterr() == ("", "") and caplog.records == []


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faster_coco_eval", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'snnconv\[detection\]'"):
        mean_average_precision([found()], [truth((BOX, 0))], 1)
