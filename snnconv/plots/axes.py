"""Axes and colours that all plots share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from snnconv.errors import ConfigurationError

if TYPE_CHECKING:
    from matplotlib.axes import Axes


#: Colours that colour-blind readers tell apart (Okabe and Ito 2008).
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")


QUIET = "#707070"


def new_axes(columns: int = 1, size: tuple[float, float] = (7.0, 4.0)) -> Sequence[Axes]:
    """Axes of a new figure, side by side. Raises ``ConfigurationError`` without matplotlib."""
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise ConfigurationError("plots need matplotlib: pip install 'snnconv[plots]'") from error
    _, axes = pyplot.subplots(1, columns, figsize=size, squeeze=False, layout="constrained")
    return list(axes[0])


def plain(axes: Axes) -> None:
    """Without the frame's upper and right line."""
    axes.spines[["top", "right"]].set_visible(False)
