"""Pictures of detections: boxes in the colours of their classes, with names and scores."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from snnconv.detection.boxes import Detections
from snnconv.errors import InputError

if TYPE_CHECKING:
    from PIL.Image import Image


def draw(image: Image, detections: Detections, names: Sequence[str]) -> Image:
    """A copy of ``image`` in RGB with every detection on it; ``names`` are those of the classes.

    A low score is drawn below a high one. Raises ``InputError`` for a class without a name.
    """
    from PIL import ImageDraw, ImageFont

    if len(detections) and not 0 <= int(detections.classes.min()) <= int(detections.classes.max()) < len(names):
        raise InputError(f"detections have classes outside 0 to {len(names) - 1}; pass the names of all classes")
    drawn = image.convert("RGB")
    canvas = ImageDraw.Draw(drawn)
    line, font = max(1, min(drawn.size) // 200), ImageFont.load_default(max(10, min(drawn.size) // 30))
    limit = detections.boxes.new_tensor([drawn.width - 1, drawn.height - 1])
    corners = detections.boxes.view(-1, 2, 2).clamp(min=0).minimum(limit).view(-1, 4)
    rows = zip(corners.tolist(), detections.scores.tolist(), detections.classes.tolist(), strict=True)
    for (x1, y1, x2, y2), score, label in reversed(list(rows)):
        colour = class_colour(label)
        canvas.rectangle((x1, y1, x2, y2), outline=colour, width=line)
        text = f"{names[label]} {score:.2f}"
        left, top, right, bottom = canvas.textbbox((0, 0), text, font=font)
        width, height = right - left + 4, bottom - top + 4
        # Above the box where there is room, else inside it; never over the picture's right border.
        x = max(0.0, min(x1, drawn.width - width))
        y = y1 - height if y1 >= height else y1
        canvas.rectangle((x, y, x + width, y + height), fill=colour)
        canvas.text((x + 2 - left, y + 2 - top), text, fill="black", font=font)
    return drawn


def side_by_side(
    image: Image, left: Detections, right: Detections, names: Sequence[str], titles: tuple[str, str]
) -> Image:
    """``image`` with the detections of two networks, beside each other below ``titles``; errors as for ``draw``."""
    from PIL import Image as pillow
    from PIL import ImageDraw, ImageFont

    size, gap = max(12, min(image.size) // 24), 8
    font, strip = ImageFont.load_default(size), 2 * size
    sheet = pillow.new("RGB", (2 * image.width + gap, image.height + strip), "white")
    canvas = ImageDraw.Draw(sheet)
    for position, (detections, title) in enumerate(zip((left, right), titles, strict=True)):
        start = position * (image.width + gap)
        sheet.paste(draw(image, detections, names), (start, strip))
        canvas.text((start + image.width / 2, strip / 2), title, fill="black", font=font, anchor="mm")
    return sheet


def class_colour(label: int) -> tuple[int, int, int]:
    """A light colour for a class; neighbours differ, because hues advance by the golden ratio."""
    red, green, blue = colorsys.hsv_to_rgb(label * 0.618034 % 1.0, 0.75, 1.0)
    return round(255 * red), round(255 * green), round(255 * blue)
