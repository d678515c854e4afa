"""Labels beside points, where they cover neither points nor each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from snnconv.plots.axes import text_size

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Where a label may stand beside its point, in points: offset and alignment; the first that is free is taken.
PLACES = (
    (6, 0, "left", "center"),
    (0, 6, "center", "bottom"),
    (0, -6, "center", "top"),
    (-6, 0, "right", "center"),
    (5, 5, "left", "bottom"),
    (5, -5, "left", "top"),
    (-5, 5, "right", "bottom"),
    (-5, -5, "right", "top"),
)
#: Share of a label that may lie over another one, as its box is larger than its letters.
_MAY_TOUCH = 0.1

Box = tuple[float, float, float, float]


def label_points(
    axes: Axes, points: Sequence[tuple[float, float]], labels: Sequence[str], colours: Sequence[str]
) -> None:
    """A label beside every point, where it covers least; none where it would lie over another label.

    Limits and layout of the axes must be those that they end with. Labels are drawn as they are written.
    """
    from matplotlib.patheffects import withStroke

    taken: list[Any] = [(x - 5.0, y - 5.0, x + 5.0, y + 5.0) for x, y in pixels(axes, points)]
    legend = axes.get_legend()
    texts = [part.get_window_extent().extents for part in (*axes.texts, *([legend] if legend else []))]
    for point, label, colour in zip(points, labels, colours, strict=True):
        text = axes.annotate(label, point, (0, 0), textcoords="offset points", size=text_size(axes))
        text.set_parse_math(False)  # a dollar in a label is a dollar
        text.set(color=colour, path_effects=[withStroke(linewidth=2.5, foreground="white")])
        text.set_zorder(4)
        text.set_in_layout(False)
        found = [(_covered(_placed(text, place), [*taken, *texts], axes.bbox.extents), place) for place in PLACES]
        box = _placed(text, min(found, key=lambda item: item[0])[1])
        if sum(_common(box, other) for other in texts) > _MAY_TOUCH * _area(box):
            text.remove()
        else:
            texts.append(box)


def pixels(axes: Axes, points: Sequence[tuple[float, float]]) -> Sequence[Any]:
    """Where ``points`` are in pixels."""
    return list(axes.transData.transform(points)) if points else []


def _placed(text: Any, place: tuple[float, float, str, str]) -> Box:
    """Where ``text`` is in pixels once it stands at ``place``."""
    text.xyann = place[:2]
    text.set(horizontalalignment=place[2], verticalalignment=place[3])
    left, bottom, right, top = text.get_window_extent().extents
    return left, bottom, right, top


def _covered(box: Box, taken: Sequence[Any], frame: Any) -> float:
    """Area of ``box`` that lies over what is taken or outside the frame, in square pixels, to a tenth."""
    return round(sum(_common(box, other) for other in taken) + _area(box) - _common(box, frame), 1)


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def _common(one: Box, other: Any) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return float(max(width, 0.0) * max(height, 0.0))
