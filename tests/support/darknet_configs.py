"""Detectors as darknet's ``.cfg`` describes them, written from tables of their layers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

VOC_ANCHORS = "1.08,1.19, 3.42,4.41, 6.63,11.38, 9.42,5.11, 16.62,10.52"
COCO_ANCHORS = "0.57273,0.677385, 1.87446,2.06253, 3.33843,5.47434, 7.88282,3.52778, 9.77052,9.16828"
PIXEL_ANCHORS = "10,14, 23,27, 37,58, 81,82, 135,169, 344,319"


def section(name: str, **options: object) -> str:
    lines = [f"[{name}]", *(f"{key.rstrip('_')}={value}" for key, value in options.items())]
    return "\n".join(lines) + "\n\n"


def net(size: int = 32, channels: int = 3) -> str:
    return section("net", width=size, height=size, channels=channels)


def leaky(filters: int, size: int = 3, **options: object) -> str:
    return section(
        "convolutional", batch_normalize=1, filters=filters, size=size, stride=1, pad=1, activation="leaky", **options
    )


def linear(filters: int) -> str:
    return section("convolutional", filters=filters, size=1, stride=1, pad=1, activation="linear")


def pool(size: int, stride: int) -> str:
    return section("maxpool", size=size, stride=stride)


def region(classes: int, anchors: str = "1,1,2,3", num: int = 2) -> str:
    return section("region", anchors=anchors, num=num, classes=classes, coords=4, softmax=1)


def yolo(classes: int, mask: str, anchors: str = PIXEL_ANCHORS, num: int = 6) -> str:
    return section("yolo", mask=mask, anchors=anchors, num=num, classes=classes)


def _backbone(widths: Sequence[int]) -> str:
    """Convolutions with a pooling of stride 2 behind each but the last, whose pooling has stride 1."""
    strides = [2] * (len(widths) - 1) + [1]
    return "".join(leaky(width) + pool(2, stride) for width, stride in zip(widths, strides, strict=True))


def tiny_yolo_v2(classes: int, anchors: str, last: int, widths: Sequence[int], wide: int) -> str:
    body = _backbone(widths) + leaky(wide) + leaky(last) + linear(5 * (5 + classes))
    return net(416) + body + region(classes, anchors, num=5)


WIDTHS = (16, 32, 64, 128, 256, 512)
TINY_V2_VOC = tiny_yolo_v2(20, VOC_ANCHORS, 1024, WIDTHS, 1024)
TINY_V2_COCO = tiny_yolo_v2(80, COCO_ANCHORS, 512, WIDTHS, 1024)
TINY_V3 = (
    net(416)
    + _backbone(WIDTHS)
    + leaky(1024)
    + leaky(256, 1)
    + leaky(512)
    + linear(255)
    + yolo(80, "3,4,5")
    + section("route", layers="-4")
    + leaky(128, 1)
    + section("upsample", stride=2)
    + section("route", layers="-1, 8")
    + leaky(256)
    + linear(255)
    + yolo(80, "0,1,2")
)
#: Every kind of layer, small: pooling of both strides, a shortcut, part of a map, upsampling, both heads.
SMALL = (
    net(32)
    + leaky(8)
    + pool(2, 2)
    + leaky(8)
    + section("shortcut", from_=-2, activation="leaky")
    + section("dropout", probability=0.25)
    + section("route", layers="-1", groups=2, group_id=1)
    + leaky(8, groups=4)
    + pool(2, 1)
    + section("route", layers="-1,-3")
    + linear(14)
    + region(2)
    + section("route", layers=-3)
    + section("upsample", stride=2)
    + linear(7)
    + yolo(2, "1", "4,6,10,8", num=2)
)


def written(folder: Path, text: str) -> Path:
    """The file that holds ``text``."""
    path = folder / "network.cfg"
    path.write_bytes(text.encode())
    return path
