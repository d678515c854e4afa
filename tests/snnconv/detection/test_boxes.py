"""Overlaps by hand, suppression against a literal loop, and matches."""

from __future__ import annotations

import itertools
import time

import pytest
import torch
from torch import Tensor

from snnconv import InputError
from snnconv.detection.boxes import Detections, iou, match, suppress


def detections(*rows: tuple[float, float, float, float, float, int]) -> Detections:
    """From x1, y1, x2, y2, score, class."""
    table = torch.tensor(rows, dtype=torch.float64).view(-1, 6)
    return Detections(table[:, :4].float(), table[:, 4].float(), table[:, 5].long())


def crowded(boxes: int, classes: int, seed: int, levels: int) -> tuple[Tensor, Tensor]:
    """Random boxes that overlap a good deal, on whole pixels, with scores from few levels: ties of every kind."""
    generator = torch.Generator().manual_seed(seed)
    corner = torch.randint(0, 40, (boxes, 2), generator=generator)
    extent = torch.randint(1, 30, (boxes, 2), generator=generator)
    scores = torch.randint(0, levels, (boxes, classes), generator=generator) / levels
    return torch.cat([corner, corner + extent], 1).float(), scores


def literal(boxes: Tensor, scores: Tensor, score_threshold: float, iou_threshold: float) -> list[tuple[int, int]]:
    """Box and class of what stays, by falling score: one class after the other, one box after the other."""
    overlap = iou(boxes.double(), boxes.double())
    kept = []
    for label in range(scores.shape[1]):
        left = [i for i in range(len(boxes)) if scores[i, label] > score_threshold]
        left.sort(key=lambda i, label=label: -float(scores[i, label]))
        while left:
            best = left.pop(0)
            kept.append((best, label))
            left = [i for i in left if overlap[best, i] <= iou_threshold]
    return sorted(kept, key=lambda pair: (-float(scores[pair]), pair))


@pytest.mark.parametrize(
    ("a", "b", "wanted"),
    [
        ((0, 0, 2, 2), (0, 0, 2, 2), 1.0),
        ((0, 0, 2, 2), (1, 1, 3, 3), 1 / 7),
        ((0, 0, 4, 4), (1, 1, 3, 3), 0.25),
        ((0, 0, 2, 2), (2, 0, 4, 2), 0.0),
        ((0, 0, 2, 2), (5, 5, 6, 6), 0.0),
        ((1, 1, 1, 1), (1, 1, 1, 1), 0.0),
        ((0, 1, 3, 1), (0, 0, 3, 3), 0.0),
    ],
)
def test_an_overlap_is_intersection_over_union(a: tuple[int, ...], b: tuple[int, ...], wanted: float) -> None:
    first, second = torch.tensor([a], dtype=torch.float64), torch.tensor([b], dtype=torch.float64)
    assert iou(first, second).item() == pytest.approx(wanted) == iou(second, first).item()


def test_overlaps_are_of_every_box_with_every_other() -> None:
    boxes, _ = crowded(7, 1, seed=1, levels=2)
    table = iou(boxes[:3], boxes)
    assert table.shape == (3, 7)
    for i, j in itertools.product(range(3), range(7)):
        assert table[i, j] == iou(boxes[i : i + 1], boxes[j : j + 1])
    assert iou(boxes[:0], boxes).shape == (0, 7) and iou(boxes, boxes[:0]).shape == (7, 0)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("levels", [3, 10**6])
@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.45, 1.0])
def test_suppression_is_the_literal_loop(seed: int, levels: int, threshold: float) -> None:
    boxes, scores = crowded(40, 3, seed, levels)
    wanted = literal(boxes, scores, 0.2, threshold)
    found = suppress(boxes, scores, score_threshold=0.2, iou_threshold=threshold, most=1000)
    assert found.classes.tolist() == [label for _, label in wanted]
    assert torch.equal(found.boxes, boxes[[i for i, _ in wanted]])
    assert found.scores.tolist() == [float(scores[pair]) for pair in wanted]
    few = suppress(boxes, scores, score_threshold=0.2, iou_threshold=threshold, most=5)
    assert torch.equal(few.boxes, found.boxes[:5]) and torch.equal(few.classes, found.classes[:5])


def test_a_box_is_found_for_each_class_whose_score_suffices() -> None:
    found = suppress(torch.tensor([[0.0, 0.0, 4.0, 4.0]]), torch.tensor([[0.3, 0.1, 0.6]]), score_threshold=0.1)
    assert found.classes.tolist() == [2, 0] and found.boxes.tolist() == [[0, 0, 4, 4]] * 2


@pytest.mark.parametrize(
    ("box", "score"),
    [
        ((0, 0, float("inf"), 4), 0.9),
        ((float("nan"), 0, 4, 4), 0.9),
        ((2, 0, 2, 4), 0.9),
        ((4, 0, 2, 4), 0.9),
        ((0, 0, 4, 4), float("nan")),
        ((0, 0, 4, 4), float("inf")),
    ],
)
def test_what_is_not_finite_or_without_area_is_dropped(box: tuple[float, ...], score: float) -> None:
    boxes = torch.tensor([box, (0, 0, 3, 3)], dtype=torch.float32)
    found = suppress(boxes, torch.tensor([[score], [0.5]]), score_threshold=0.1)
    assert found.boxes.tolist() == [[0, 0, 3, 3]]


@pytest.mark.parametrize("boxes", [0, 5])
def test_nothing_above_the_threshold_is_no_detection(boxes: int) -> None:
    found = suppress(torch.ones(boxes, 4), torch.zeros(boxes, 3), score_threshold=0.0)
    assert len(found) == 0 and found.boxes.shape == (0, 4) and found.classes.dtype == torch.int64


def test_suppression_refuses_other_shapes() -> None:
    with pytest.raises(InputError, match=r"boxes \[3, 4\], scores \[2, 5\]"):
        suppress(torch.zeros(3, 4), torch.zeros(2, 5), score_threshold=0.1)
    with pytest.raises(InputError, match=r"scores \[3\]"):
        suppress(torch.zeros(3, 4), torch.zeros(3), score_threshold=0.1)


def test_a_detector_that_finds_everything_everywhere_costs_little() -> None:
    boxes, scores = crowded(1500, 80, seed=0, levels=10**6)
    start = time.perf_counter()
    assert len(suppress(boxes, scores, score_threshold=0.005)) == 300
    # About 0.05 s on one core; a walk that compares all pairs would take minutes.
    assert time.perf_counter() - start < 5.0


def test_matches_are_one_to_one_by_falling_overlap() -> None:
    a = detections((0, 0, 10, 10, 0.9, 1), (0, 0, 10, 9, 0.8, 1), (20, 20, 30, 30, 0.7, 0), (50, 50, 60, 60, 0.6, 2))
    b = detections((0, 0, 10, 9, 0.5, 1), (0, 0, 10, 8, 0.4, 1), (20, 20, 30, 30, 0.3, 2), (50, 50, 60, 58, 0.2, 2))
    assert match(a, b, 0.5) == [(1, 0), (0, 1), (3, 3)]
    assert match(a, b, 0.8) == [(1, 0), (0, 1), (3, 3)]
    assert match(a, b, 0.85) == [(1, 0)]
    assert match(a, detections(), 0.5) == [] == match(detections(), a, 0.5)


def test_equal_overlaps_are_matched_in_the_order_of_the_scores() -> None:
    twice = detections((0, 0, 4, 4, 0.9, 0), (0, 0, 4, 4, 0.8, 0))
    assert match(twice, twice, 0.5) == [(0, 0), (1, 1)]


def test_above_keeps_the_better_ones() -> None:
    found = detections((0, 0, 4, 4, 0.9, 0), (0, 0, 4, 4, 0.5, 1), (0, 0, 4, 4, 0.1, 2))
    assert found.above(0.5).classes.tolist() == [0] and found.above(0.0).classes.tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("boxes", "scores", "classes", "message"),
    [
        (torch.zeros(2, 4), torch.ones(3), torch.zeros(3).long(), r"are \[2, 4\], \[3\], \[3\]"),
        (torch.zeros(1, 4), torch.ones(1), torch.zeros(1), "must be int64"),
        (torch.full((1, 4), torch.nan), torch.ones(1), torch.zeros(1).long(), "NaN or infinite"),
        (torch.zeros(1, 4), torch.tensor([torch.inf]), torch.zeros(1).long(), "NaN or infinite"),
        (torch.tensor([[2.0, 0.0, 1.0, 1.0]]), torch.ones(1), torch.zeros(1).long(), "ends before it begins"),
        (torch.zeros(2, 4), torch.tensor([0.1, 0.2]), torch.zeros(2).long(), "scores of detections rise"),
    ],
)
def test_detections_that_contradict_themselves_are_refused(
    boxes: Tensor, scores: Tensor, classes: Tensor, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        Detections(boxes, scores, classes)
