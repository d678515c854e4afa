"""Pictures of detections: what is drawn where."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from snnconv import InputError
from snnconv.detection.boxes import Detections
from snnconv.detection.data.datasets import read_names, read_yolo_folder
from snnconv.detection.drawing import class_colour, draw, side_by_side

NAMES = ("cat", "dog")
NONE = Detections(torch.zeros(0, 4), torch.zeros(0), torch.zeros(0).long())


def grey() -> Image.Image:
    return Image.new("RGB", (200, 100), (90, 90, 90))


def at(*corners: float, label: int = 0) -> Detections:
    return Detections(torch.tensor([corners]), torch.tensor([0.87]), torch.tensor([label]))


def marked(image: Image.Image) -> np.ndarray:
    return (np.asarray(image) != np.asarray(grey())).any(2)


def test_a_box_has_the_colour_of_its_class_and_a_label_above() -> None:
    image = grey()
    drawn = draw(image, at(50, 40, 120, 80, label=1), NAMES)
    assert not marked(image).any() and drawn.size == image.size
    for place in ((50, 60), (120, 60), (80, 40), (80, 80)):
        assert drawn.getpixel(place) == class_colour(1)
    inside, above = marked(drawn)[42:79, 52:119], marked(drawn)[20:40, 50:120]
    assert not inside.any() and above.any()
    assert not marked(drawn)[:, :50].any() and not marked(drawn)[81:].any()


def test_a_label_without_room_above_lies_inside_and_stays_on_the_picture() -> None:
    drawn = marked(draw(grey(), at(190, 2, 199, 80), NAMES))
    assert drawn[3:12, 150:189].any() and not drawn[:2].any()


@pytest.mark.parametrize("box", [(-50, -50, 1e30, 1e30), (300, 300, 400, 400), (5, 5, 5, 5)])
def test_a_box_over_the_border_is_drawn_on_it(box: tuple[float, ...]) -> None:
    assert marked(draw(grey(), at(*box), NAMES)).any()


def test_the_best_detection_lies_on_top() -> None:
    twice = Detections(torch.tensor([[50.0, 40, 120, 80]] * 2), torch.tensor([0.9, 0.1]), torch.tensor([1, 0]))
    assert draw(grey(), twice, NAMES).getpixel((50, 60)) == class_colour(1)


def test_no_detection_leaves_the_picture_alone() -> None:
    assert not marked(draw(grey(), NONE, NAMES)).any()
    assert draw(Image.new("L", (1, 1)), at(0, 0, 1, 1), NAMES).mode == "RGB"


def test_a_class_without_a_name_is_an_error() -> None:
    with pytest.raises(InputError, match="classes outside 0 to 1"):
        draw(grey(), at(1, 1, 5, 5, label=2), NAMES)


def test_eighty_classes_have_eighty_colours() -> None:
    assert len({class_colour(label) for label in range(80)}) == 80


def test_two_networks_side_by_side() -> None:
    sheet = side_by_side(grey(), at(50, 40, 120, 80), NONE, NAMES, ("original", "spiking"))
    strip = sheet.height - 100
    assert sheet.width == 2 * 200 + 8 and strip > 0
    left, right = sheet.crop((0, strip, 200, strip + 100)), sheet.crop((208, strip, 408, strip + 100))
    assert left.tobytes() == draw(grey(), at(50, 40, 120, 80), NAMES).tobytes() and not marked(right).any()
    for start in (0, 208):
        assert (np.asarray(sheet)[:strip, start : start + 200] < 128).any()


def test_the_objects_of_a_real_picture(data_dir: Path) -> None:
    names = read_names(data_dir / "coco.names")
    item = read_yolo_folder(data_dir / "coco128", names)[0]
    truth, image = item.truth(), item.image()
    drawn = draw(image, Detections(truth.boxes, torch.ones(len(truth.classes)), truth.classes), names)
    changed = (np.asarray(drawn) != np.asarray(image)).any(2)
    assert 0.005 < changed.mean() < 0.2
