"""Augmentation of labelled pictures: objects move, mirror and are clipped with them."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from snnconv import ConfigurationError
from snnconv.detection import Augmentation
from snnconv.detection.samples import Objects
from tests.snnconv.detection.test_training import extent


def block(box: tuple[int, int, int, int], count: int = 1) -> tuple[Tensor, Objects]:
    """Black pictures with one white block."""
    x1, y1, x2, y2 = box
    images = torch.zeros(count, 3, 64, 64)
    images[:, :, y1:y2, x1:x2] = 1.0
    middle = torch.tensor([[(x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1]]) / 64
    ignored = torch.zeros(count, dtype=torch.bool)
    return images, Objects(torch.arange(count), middle.repeat(count, 1), torch.arange(count), ignored)


def test_objects_move_with_their_pictures() -> None:
    torch.manual_seed(0)
    images, objects = Augmentation(flip=0.5, zoom=0.5, shift=0.2, colour=0.0)(*block((20, 22, 30, 38), 50))
    assert len(objects.boxes) == 50 and len(objects.boxes[:, 0].unique()) == 50 and not bool(objects.ignored.any())
    for image, box in zip(images, objects.boxes, strict=True):
        assert torch.allclose(extent(image, 0.75), box, atol=2.5 / 64)


def test_a_flip_mirrors_and_no_augmentation_changes_nothing() -> None:
    images, objects = block((4, 8, 20, 30))
    still, same_objects = Augmentation(0.0, 0.0, 0.0, 0.0)(images, objects)
    assert torch.allclose(still, images, atol=1e-5) and torch.allclose(same_objects.boxes, objects.boxes)
    mirrored, moved = Augmentation(1.0, 0.0, 0.0, 0.0)(images, objects)
    assert torch.allclose(mirrored, images.flip(3), atol=1e-4)
    assert torch.allclose(moved.boxes, torch.tensor([[52 / 64, 19 / 64, 16 / 64, 22 / 64]]))


def test_objects_at_the_border_are_clipped_ignored_or_left_out() -> None:
    torch.manual_seed(0)
    _, objects = Augmentation(flip=0.0, zoom=0.0, shift=0.5, colour=0.0)(*block((0, 24, 16, 40), 200))
    width = objects.boxes[:, 2] * 64
    assert len(objects.boxes) < 200 and bool((width > 0).all()) and float(width.max()) <= 16.0 + 1e-4
    corners = torch.cat(
        [objects.boxes[:, :2] - objects.boxes[:, 2:] / 2, objects.boxes[:, :2] + objects.boxes[:, 2:] / 2]
    )
    assert float(corners.min()) >= -1e-6 and float(corners.max()) <= 1.0 + 1e-6
    left = (objects.boxes[:, 2:] * 64).prod(1) / 256
    assert torch.equal(objects.ignored, (left < 0.25) | (objects.boxes[:, 2:] * 64 < 2.0).any(1))
    assert bool(objects.ignored.any()) and not bool(objects.ignored.all())


def test_colours_change_by_channel() -> None:
    torch.manual_seed(0)
    images, objects = block((0, 0, 64, 64), 100)
    changed, _ = Augmentation(0.0, 0.0, 0.0, colour=0.3)(images * 0.5, objects)
    gains = 2.0 * changed[:, :, 32, 32]
    assert float(gains.min()) >= 0.7 and float(gains.max()) <= 1.3 and len(gains.flatten().unique()) > 250


@pytest.mark.parametrize("options", [{"flip": -0.1}, {"zoom": 1.1}, {"shift": math.nan}, {"colour": 1.0}])
def test_amounts_out_of_range_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError, match="must be from 0 to 1"):
        Augmentation(**options)
