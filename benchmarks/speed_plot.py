"""The picture of the table of speed: what everything costs in passes of the original, with quartiles."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.timing import Quartiles
from snnconv.plots.axes import COLOURS, new_axes, plain


def draw(file: Path, costs: Mapping[int, Mapping[str, Quartiles]]) -> None:
    """Write ``costs``, by number of threads and work, as bars; raises ``ConfigurationError`` without matplotlib."""
    names = list(dict.fromkeys(name for found in costs.values() for name in found))
    axes = new_axes(size=(8.0, 0.4 + 0.3 * len(names)))[0]
    height = 0.8 / len(costs)
    for position, (threads, found) in enumerate(costs.items()):
        places = [names.index(name) + (position - (len(costs) - 1) / 2) * height for name in found]
        medians = [each.median for each in found.values()]
        below = [each.median - each.low for each in found.values()]
        above = [each.high - each.median for each in found.values()]
        colour, label = COLOURS[position % len(COLOURS)], f"{threads} thread{'s' if threads > 1 else ''}"
        axes.barh(places, medians, height, xerr=(below, above), color=colour, label=label)
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.set_xlabel("passes of the original in its fastest form")
    axes.legend(frameon=False)
    plain(axes)
    figure: Any = axes.figure
    figure.savefig(file, dpi=150)
    figure.clear()
