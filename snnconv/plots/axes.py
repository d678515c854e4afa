"""Axes, colours and sizes that all plots share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from snnconv.errors import ConfigurationError

if TYPE_CHECKING:
    from matplotlib.axes import Axes


#: Colours that colour-blind readers tell apart (Okabe and Ito 2008).
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
#: What tells curves and points apart where colours come again.
MARKERS = ("o", "s", "^", "D", "v", "P", "X")

QUIET = "#707070"

#: Width of a paper's column in inches.
COLUMN = 3.3
#: Points of text in a figure of that width: of labels, and of what stands inside.
_LABEL, _TEXT = 8.0, 7.0
#: Rows and names that a picture has room for.
MOST_ROWS = 24
_LONGEST_NAME = 24
#: How far a legend may stand out on the right, in widths of its axes.
_BESIDE = 0.08


def new_axes(columns: int = 1, size: tuple[float, float] = (COLUMN, 2.3)) -> Sequence[Axes]:
    """Axes of a new figure of so many inches, side by side. Raises ``ConfigurationError`` without matplotlib.

    Narrow axes have the small text of a paper; the settings of matplotlib stay as they are.
    """
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise ConfigurationError("plots need matplotlib: pip install 'snnconv[plots]'") from error
    _, found = pyplot.subplots(1, columns, figsize=size, squeeze=False, layout="constrained")
    if size[0] <= COLUMN * columns:
        for axes in found[0]:
            axes.tick_params(which="both", labelsize=_TEXT)
            for text in (axes.xaxis.label, axes.yaxis.label, axes.title):
                text.set_size(_LABEL)
            for text in (axes.xaxis.get_offset_text(), axes.yaxis.get_offset_text()):
                text.set_size(_TEXT)
    return list(found[0])


def text_size(axes: Axes) -> float:
    """Points of what is written inside ``axes``: a little smaller than their labels."""
    return min(_LABEL, float(axes.xaxis.label.get_fontsize()) - 1.0)


def plain(axes: Axes) -> None:
    """Without the frame's upper and right line."""
    axes.spines[["top", "right"]].set_visible(False)


def legend_above(axes: Axes) -> None:
    """What colours mean, above the axes, where it covers nothing: in two columns, or in one if these are too wide."""
    figure: Any = axes.figure.figure  # a subfigure's figure is the whole one
    for columns in (2, 1):
        legend = axes.legend(
            frameon=False,
            fontsize=text_size(axes),
            loc="lower left",
            bbox_to_anchor=(0.0, 1.0),
            borderaxespad=0.2,
            borderpad=0.1,
            ncols=columns,
            columnspacing=1.0,
            handlelength=1.4,
        )
        figure.draw_without_rendering()
        if legend.get_window_extent().x1 <= min(axes.bbox.x1 + _BESIDE * axes.bbox.width, figure.bbox.x1):
            return


def short_name(name: str) -> str:
    """``name``, without its middle where it is long."""
    if len(name) <= _LONGEST_NAME:
        return name
    return f"{name[:11]}…{name[12 - _LONGEST_NAME :]}"


def cycled(count: int) -> list[str]:
    """So many colours, from the first on again where they end."""
    return [COLOURS[position % len(COLOURS)] for position in range(count)]
