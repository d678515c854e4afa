"""Heads: decoding against a loop over cells, anchors and classes."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from snnconv import ConfigurationError, InputError
from snnconv.detection import Head, RegionHead, YoloHead

ANCHORS = ((12.0, 18.0), (37.5, 49.0), (52.0, 132.0))
HEADS = [
    YoloHead(ANCHORS, 4, 16),
    YoloHead(ANCHORS[:1], 1, 32, scale_x_y=1.2),
    YoloHead(ANCHORS, 2, 16, scale_x_y=2.0, activated=True),
    RegionHead(((1.08, 1.19), (3.42, 4.41)), 4, 32),
    RegionHead(((0.5, 2.0),), 1, 8),
]


def sigmoid(x: float) -> float:
    return 1.0 / (1.0 + math.exp(-x))


def literally(head: Head, raw: Tensor) -> tuple[list[list[float]], list[list[float]]]:
    """Boxes and scores of one image, one number at a time."""
    height, width = raw.shape[1:]
    entries = 5 + head.classes
    boxes, scores = [], []
    for row in range(height):
        for column in range(width):
            for number, (anchor_w, anchor_h) in enumerate(head.anchors):
                numbers = raw[entries * number : entries * (number + 1), row, column].tolist()
                if isinstance(head, YoloHead) and head.activated:
                    x, y, w, h, objectness, *classes = numbers
                    place = [head.scale_x_y * value - (head.scale_x_y - 1.0) / 2.0 for value in (x, y)]
                    size = [(2.0 * w) ** 2 * anchor_w / head.stride, (2.0 * h) ** 2 * anchor_h / head.stride]
                    boxes.append(
                        [(column + place[0]) / width, (row + place[1]) / height, size[0] / width, size[1] / height]
                    )
                    scores.append([objectness * value for value in classes])
                    continue
                x, y, w, h, objectness, *logits = numbers
                inside = [sigmoid(x), sigmoid(y)]
                if isinstance(head, YoloHead):
                    inside = [value * head.scale_x_y - (head.scale_x_y - 1.0) / 2.0 for value in inside]
                    anchor_w, anchor_h = anchor_w / head.stride, anchor_h / head.stride
                    classes = [sigmoid(value) for value in logits]
                else:
                    total = sum(math.exp(value) for value in logits)
                    classes = [math.exp(value) / total for value in logits]
                centre = [(column + inside[0]) / width, (row + inside[1]) / height]
                boxes.append([*centre, anchor_w * math.exp(w) / width, anchor_h * math.exp(h) / height])
                scores.append([sigmoid(objectness) * value for value in classes])
    return boxes, scores


@pytest.mark.parametrize("head", HEADS, ids=str)
def test_decoding_is_that_of_a_loop_over_cells(head: Head) -> None:
    raw = 2.0 * torch.randn(2, head.channels, 3, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    if isinstance(head, YoloHead) and head.activated:
        raw = raw.sigmoid()
    boxes, scores = head.decode(raw)
    count = 3 * 5 * len(head.anchors)
    assert boxes.shape == (2, count, 4) and scores.shape == (2, count, head.classes)
    for image in range(2):
        expected = literally(head, raw[image])
        assert torch.allclose(boxes[image], torch.tensor(expected[0], dtype=torch.float64))
        assert torch.allclose(scores[image], torch.tensor(expected[1], dtype=torch.float64))


@pytest.mark.parametrize("head", HEADS, ids=str)
@pytest.mark.parametrize("value", [-3e38, -100.0, 100.0, 3e38])
def test_any_finite_map_gives_finite_boxes_areas_and_scores(head: Head, value: float) -> None:
    boxes, scores = head.decode(torch.full((1, head.channels, 2, 2), value))
    assert bool(torch.isfinite(boxes).all()) and bool(torch.isfinite(scores).all())
    pixels = boxes[..., 2:] * 1e4
    assert bool(torch.isfinite(pixels.prod(-1)).all()) and bool((pixels >= 0.0).all())
    assert bool((scores >= 0.0).all()) and bool((scores <= 1.0).all())


def test_sizes_saturate_at_a_bound_far_above_any_image() -> None:
    boxes, _ = HEADS[0].decode(torch.full((1, HEADS[0].channels, 1, 1), 20.0))
    assert torch.allclose(boxes[0, :, 2], torch.tensor([w / 16 for w, _ in ANCHORS]) * math.exp(20.0))
    boxes, _ = HEADS[0].decode(torch.full((1, HEADS[0].channels, 1, 1), 90.0))
    assert bool((boxes[..., 2:] == 2.0**40).all())


def test_half_precision_is_decoded_in_single() -> None:
    head = HEADS[0]
    raw = torch.randn(1, head.channels, 2, 2, generator=torch.Generator().manual_seed(0)).half()
    boxes, scores = head.decode(raw)
    assert boxes.dtype == scores.dtype == torch.float32
    assert torch.equal(boxes, head.decode(raw.float())[0])


def test_no_images_give_no_boxes() -> None:
    boxes, scores = HEADS[0].decode(torch.zeros(0, HEADS[0].channels, 2, 2))
    assert boxes.shape == (0, 12, 4) and scores.shape == (0, 12, 4)


@pytest.mark.parametrize(
    "raw",
    [
        torch.zeros(1, 26, 2, 2),
        torch.zeros(27, 2, 2),
        torch.zeros(1, 27, 2, 2, dtype=torch.int64),
        torch.full((1, 27, 2, 2), math.nan),
        torch.full((1, 27, 2, 2), math.inf),
    ],
    ids=["channels", "axes", "type", "NaN", "infinity"],
)
def test_a_map_that_is_none_of_the_heads_is_refused(raw: Tensor) -> None:
    with pytest.raises(InputError, match="the map"):
        HEADS[0].decode(raw)


@pytest.mark.parametrize(
    ("anchors", "classes", "stride", "scale"),
    [
        ((), 2, 8, 1.0),
        (((0.0, 1.0),), 2, 8, 1.0),
        (((1.0, -1.0),), 2, 8, 1.0),
        (((math.nan, 1.0),), 2, 8, 1.0),
        (((math.inf, 1.0),), 2, 8, 1.0),
        (((1.0, 1.0),), 0, 8, 1.0),
        (((1.0, 1.0),), 2, 0, 1.0),
        (((1.0, 1.0),), 2, 8, 0.0),
        (((1.0, 1.0),), 2, 8, math.nan),
    ],
)
def test_a_head_that_cannot_be_is_refused(
    anchors: tuple[tuple[float, float], ...], classes: int, stride: int, scale: float
) -> None:
    with pytest.raises(ConfigurationError, match=r"anchors are|classes are|scale_x_y is"):
        YoloHead(anchors, classes, stride, scale)
