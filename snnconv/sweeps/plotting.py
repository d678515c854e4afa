"""The picture of a sweep: accuracy against spikes, latency and energy, three panels with their Pareto fronts."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from snnconv.errors import ConfigurationError
from snnconv.plots.axes import new_axes
from snnconv.plots.fronts import COST_NAMES, draw_labels, draw_legend, draw_points, quality_name
from snnconv.plots.saving import save_figure
from snnconv.spiking.logs import Cost
from snnconv.sweeps.results import Measured

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot(
    results: Sequence[Measured],
    fronts: Mapping[Cost, Sequence[Measured]],
    target: str | os.PathLike[str] | Sequence[Any] | None = None,
) -> Sequence[Axes]:
    """Draw ``results`` with the Pareto front of every cost; see ``Sweep.plot``."""
    if not results:
        raise ConfigurationError("the sweep has no results to draw")
    file = os.fspath(target) if isinstance(target, (str, os.PathLike)) else None
    axes: Sequence[Any] = target if target is not None and not isinstance(target, (str, os.PathLike)) else _figure()
    if not hasattr(axes, "__len__") or len(axes) != len(COST_NAMES):
        got = len(axes) if hasattr(axes, "__len__") else type(axes).__name__
        raise ConfigurationError(f"a sweep is drawn on three axes, got {got}")
    for panel, cost in zip(axes, COST_NAMES, strict=True):
        draw_points(panel, results, fronts[cost], cost)
    lows, highs = zip(*(panel.get_ylim() for panel in axes), strict=True)
    for panel in axes:  # only the first axis is labelled, so all must mean the same
        panel.set_ylim(min(lows), max(highs))
    axes[0].set_ylabel(quality_name(results[0]))
    draw_legend(axes[0], results, next(iter(COST_NAMES)))
    for panel, cost in zip(axes, COST_NAMES, strict=True):
        draw_labels(panel, results, cost)
    if file is not None:
        save_figure(axes[0].figure, file)
    return axes


def _figure() -> Sequence[Axes]:
    return new_axes(len(COST_NAMES), (13.5, 4.4))
