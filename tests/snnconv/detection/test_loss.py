"""The loss of a detector: against a loop over objects and predictions, finite differences, and cases by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from snnconv.detection import Head, RegionHead, YoloHead
from snnconv.detection.loss import BOX_WEIGHT, IGNORE_OVERLAP, assign, detection_loss
from snnconv.detection.samples import Objects

Rectangle = tuple[float, float, float, float]
HEADS: list[list[Head]] = [
    [YoloHead(((8.0, 8.0), (20.0, 14.0)), 3, 16)],
    [YoloHead(((30.0, 40.0),), 2, 32, scale_x_y=1.2), YoloHead(((8.0, 8.0), (12.0, 20.0)), 2, 16)],
    [RegionHead(((0.5, 0.8), (1.5, 1.2), (2.0, 3.0)), 3, 16)],
]


def objects(*rows: tuple[int, Rectangle, int], ignored: tuple[int, ...] = ()) -> Objects:
    return Objects(
        torch.tensor([image for image, _, _ in rows], dtype=torch.int64),
        torch.tensor([box for _, box, _ in rows], dtype=torch.float64).view(-1, 4),
        torch.tensor([label for _, _, label in rows], dtype=torch.int64),
        torch.tensor([row in ignored for row in range(len(rows))], dtype=torch.bool),
    )


def test_a_map_behind_a_sigmoid_pays_for_objectness_and_classes_as_the_map_before_it() -> None:
    anchors = ((8.0, 8.0), (20.0, 14.0))
    plain, activated = YoloHead(anchors, 3, 16), YoloHead(anchors, 3, 16, activated=True)
    (raw,) = maps_of([plain], 2, (48, 64), seed=0)
    raw.requires_grad_()
    some, none = drawn(5, 2, 3, seed=0), objects()
    for part, truth in (("classes", some), ("objectness", none)):
        losses = [
            getattr(detection_loss([values], [head], truth), part)
            for head, values in ((plain, raw), (activated, raw.sigmoid()))
        ]
        slopes = [torch.autograd.grad(loss, raw)[0] for loss in losses]
        assert torch.allclose(*losses) and torch.allclose(*slopes) and losses[0] > 0.1


def drawn(count: int, images: int, classes: int, seed: int) -> Objects:
    generator = torch.Generator().manual_seed(seed)
    centre = 0.15 + 0.7 * torch.rand(count, 2, generator=generator, dtype=torch.float64)
    size = 0.05 + 0.4 * torch.rand(count, 2, generator=generator, dtype=torch.float64)
    return Objects(
        torch.randint(images, (count,), generator=generator),
        torch.cat([centre, size], 1),
        torch.randint(classes, (count,), generator=generator),
        torch.rand(count, generator=generator) < 0.2,
    )


def maps_of(heads: list[Head], images: int, input_size: tuple[int, int], seed: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [
        torch.randn(
            images,
            head.channels,
            input_size[0] // head.stride,
            input_size[1] // head.stride,
            generator=generator,
            dtype=torch.float64,
        )
        for head in heads
    ]


def cross_entropy(probability: float, wanted: float) -> float:
    return -math.log(probability if wanted else 1.0 - probability)


def sigmoid(x: float) -> float:
    return 1.0 / (1.0 + math.exp(-x))


def overlaps(a: Rectangle, b: Rectangle) -> tuple[float, float]:
    """Intersection over union of two boxes, and its generalized form."""
    sides = [
        (centre - size / 2, centre + size / 2) for box in (a, b) for centre, size in zip(box, box[2:], strict=False)
    ]
    (ax1, ax2), (ay1, ay2), (bx1, bx2), (by1, by2) = sides
    shared = max(0.0, min(ax2, bx2) - max(ax1, bx1)) * max(0.0, min(ay2, by2) - max(ay1, by1))
    union = a[2] * a[3] + b[2] * b[3] - shared
    hull = (max(ax2, bx2) - min(ax1, bx1)) * (max(ay2, by2) - min(ay1, by1))
    return shared / union, shared / union - (hull - union) / hull


def literal_loss(maps: list[Tensor], heads: list[Head], true: Objects) -> tuple[float, float, float]:
    rows = list(zip(*(part.tolist() for part in (true.images, true.boxes, true.classes, true.ignored)), strict=True))
    found: dict[tuple[int, int, int], list[int]] = {}  # objects by head, image and prediction
    for number, (image, (x, y, w, h), _, ignored) in enumerate(rows):
        candidates = []
        for position, (head, values) in enumerate(zip(heads, maps, strict=True)):
            height, width = values.shape[2:]
            for anchor, (anchor_w, anchor_h) in enumerate(head.relative_anchors(height, width)):
                overlap, _ = overlaps((0, 0, w, h), (0, 0, anchor_w, anchor_h))
                cell = int(y * height) * width + int(x * width)
                candidates.append((-overlap, position, cell * len(head.anchors) + anchor))
        if not ignored:
            _, position, prediction = min(candidates, key=lambda candidate: candidate[0])
            found.setdefault((position, image, prediction), []).append(number)
    boxes = objectness = classes = 0.0
    for position, (head, values) in enumerate(zip(heads, maps, strict=True)):
        height, width = values.shape[2:]
        entries = 5 + head.classes
        decoded = head.decode(values)[0].tolist()
        for image in range(len(values)):
            for prediction, box in enumerate(decoded[image]):
                cell, anchor = divmod(prediction, len(head.anchors))
                row, column = divmod(cell, width)
                numbers = values[image, entries * anchor : entries * (anchor + 1), row, column].tolist()
                assigned = found.get((position, image, prediction), [])
                for number in assigned:
                    boxes += 1.0 - overlaps(box, rows[number][1])[1]
                    logits, label = numbers[5:], rows[number][2]
                    if isinstance(head, RegionHead):
                        classes += math.log(sum(map(math.exp, logits))) - logits[label]
                    else:
                        classes += sum(cross_entropy(sigmoid(v), i == label) for i, v in enumerate(logits))
                mine = [(true_box, ignored) for at, true_box, _, ignored in rows if at == image]
                excused = any(overlaps(box, other)[0] > IGNORE_OVERLAP for other, _ in mine) or any(
                    abs(box[0] - x) <= w / 2 and abs(box[1] - y) <= h / 2 for (x, y, w, h), ignored in mine if ignored
                )
                if assigned or not excused:
                    objectness += cross_entropy(sigmoid(numbers[4]), bool(assigned))
    count = max(1, sum(not ignored for *_, ignored in rows))
    return boxes / count, objectness / count, classes / count


@pytest.mark.parametrize("heads", HEADS, ids=["yolo", "two heads", "region"])
@pytest.mark.parametrize("seed", range(3))
def test_the_loss_is_that_of_a_loop_over_objects(heads: list[Head], seed: int) -> None:
    maps = maps_of(heads, 3, (64, 96), seed)
    true = drawn(12, 3, heads[0].classes, seed)
    loss = detection_loss(maps, heads, true)
    expected = literal_loss(maps, heads, true)
    assert [float(loss.boxes), float(loss.objectness), float(loss.classes)] == pytest.approx(expected)
    assert float(loss.total) == pytest.approx(BOX_WEIGHT * expected[0] + expected[1] + expected[2])


@pytest.mark.parametrize("heads", HEADS, ids=["yolo", "two heads", "region"])
def test_gradients_are_those_of_finite_differences(heads: list[Head]) -> None:
    maps = [values.requires_grad_() for values in maps_of(heads, 1, (32, 32), 0)]
    true = drawn(3, 1, heads[0].classes, 0)
    assert torch.autograd.gradcheck(lambda *values: detection_loss(values, heads, true).total, maps)


def test_an_object_belongs_to_its_cell_and_the_anchor_of_its_shape() -> None:
    heads = HEADS[1]
    # Inputs of 64 by 64 pixels: 2 by 2 cells with one anchor of 30 by 40, and 4 by 4 with 8 by 8 and 12 by 20.
    grids = [(2, 2), (4, 4)]
    large, small, tall = (0.75, 0.25, 0.5, 0.5), (0.3, 0.6, 0.1, 0.1), (1.0, 1.0, 0.2, 0.3)
    first, second = assign(
        heads, grids, objects((0, large, 0), (1, small, 0), (1, tall, 1), (0, small, 1), ignored=(3,))
    )
    assert [part.tolist() for part in first] == [[0], [1]]
    assert [part.tolist() for part in second] == [[1, 2], [2 * (2 * 4 + 1), 2 * 15 + 1]]


def test_a_perfect_prediction_costs_no_box_and_other_anchors_that_overlap_are_excused() -> None:
    head = YoloHead(((16.0, 16.0), (17.0, 16.0)), 1, 16)
    values = torch.full((1, head.channels, 2, 2), -30.0, dtype=torch.float64)
    values[0, :, 1, 0] = torch.tensor([0.0, 0.0, 0.0, 0.0, 30.0, 30.0, 0.0, 0.0, 0.0, 0.0, 30.0, 30.0])
    loss = detection_loss([values], [head], objects((0, (0.25, 0.75, 0.5, 0.5), 0)))
    assert float(loss.total) == pytest.approx(0.0, abs=1e-9)


def test_without_objects_every_prediction_pays_its_objectness() -> None:
    heads = HEADS[0]
    maps = [torch.zeros_like(values) for values in maps_of(heads, 2, (64, 64), 0)]
    loss = detection_loss(maps, heads, objects())
    assert float(loss.boxes) == float(loss.classes) == 0.0
    assert float(loss.objectness) == pytest.approx(2 * 16 * 2 * math.log(2.0))


def test_an_ignored_object_excuses_the_predictions_inside_it() -> None:
    heads = HEADS[0]
    maps = [torch.zeros_like(values) for values in maps_of(heads, 1, (64, 64), 0)]
    # The left half of the picture: centres of 2 of 4 columns.
    loss = detection_loss(maps, heads, objects((0, (0.25, 0.5, 0.5, 1.0), 0), ignored=(0,)))
    assert float(loss.total) == pytest.approx(4 * 2 * 2 * math.log(2.0))


def test_objects_of_one_cell_and_anchor_share_its_prediction() -> None:
    heads = HEADS[0]
    maps = maps_of(heads, 1, (32, 32), 1)
    a, b = (0.2, 0.2, 0.25, 0.25), (0.25, 0.25, 0.3, 0.3)
    both = detection_loss(maps, heads, objects((0, a, 0), (0, b, 1)))
    alone = [detection_loss(maps, heads, objects((0, box, label))) for box, label in ((a, 0), (b, 1))]
    assert 2 * float(both.boxes) == pytest.approx(sum(float(loss.boxes) for loss in alone))
    assert 2 * float(both.classes) == pytest.approx(sum(float(loss.classes) for loss in alone))


def test_empty_objects_and_huge_predictions_have_a_finite_loss_and_gradient() -> None:
    heads = HEADS[0]
    maps = [torch.full((1, heads[0].channels, 2, 2), size, requires_grad=True) for size in (-80.0, 80.0)]
    for values in maps:
        loss = detection_loss([values], heads, objects((0, (0.5, 0.5, 0.0, 0.0), 0))).total
        loss.backward()
        assert values.grad is not None and bool(loss.isfinite()) and bool(values.grad.isfinite().all())
