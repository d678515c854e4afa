"""Pictures with what the original detector and the spiking one find in them, and which boxes differ."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from snnconv.detection.boxes import Detections, match

if TYPE_CHECKING:
    from PIL.Image import Image

#: Boxes of one class that overlap by this or more are one and the same.
SAME = 0.5
#: Detections with a lower score are not shown.
SCORE = 0.25
#: Pixels of a picture's longer side, at most, and how well it is kept, of 100.
_SIDE, _QUALITY = 480, 78


@dataclass(frozen=True)
class FoundBox:
    """One detection, its corners as shares of the picture; ``alone`` if the other network has none like it."""

    corners: tuple[float, float, float, float]
    name: str
    score: float
    alone: bool


@dataclass(frozen=True)
class ComparedPicture:
    """A picture as a JPEG in text, its size in pixels as it was, and the boxes of both networks by falling score."""

    label: str
    content: str
    size: tuple[int, int]
    original: tuple[FoundBox, ...]
    spiking: tuple[FoundBox, ...]

    @property
    def differing(self) -> int:
        """Boxes that only one of the networks has."""
        return sum(box.alone for box in (*self.original, *self.spiking))


def compared(
    label: str, image: Image, original: Detections, spiking: Detections, names: Sequence[str]
) -> ComparedPicture:
    """``image`` with the detections of both networks in its pixels; ``names`` are those of the classes."""
    pairs = match(original, spiking, SAME)
    size = (image.width, image.height)
    return ComparedPicture(
        label,
        _jpeg(image),
        size,
        _boxes(original, {left for left, _ in pairs}, names, size),
        _boxes(spiking, {right for _, right in pairs}, names, size),
    )


def _boxes(found: Detections, matched: set[int], names: Sequence[str], size: tuple[int, int]) -> tuple[FoundBox, ...]:
    rows = zip(found.boxes.tolist(), found.scores.tolist(), found.classes.tolist(), strict=True)
    return tuple(
        FoundBox(
            (
                _within(box[0] / size[0]),
                _within(box[1] / size[1]),
                _within(box[2] / size[0]),
                _within(box[3] / size[1]),
            ),
            str(names[label]),
            score,
            position not in matched,
        )
        for position, (box, score, label) in enumerate(rows)
    )


def _within(value: float) -> float:
    return min(max(value, 0.0), 1.0)


def _jpeg(image: Image) -> str:
    small = image.convert("RGB")
    small.thumbnail((_SIDE, _SIDE))
    content = io.BytesIO()
    small.save(content, "JPEG", quality=_QUALITY)
    return base64.b64encode(content.getvalue()).decode()
