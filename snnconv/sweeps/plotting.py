"""The picture of a sweep: accuracy against spikes, latency and energy, three panels with their Pareto fronts."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from snnconv.errors import ConfigurationError
from snnconv.plots.axes import COLOURS, QUIET, new_axes, plain
from snnconv.plots.saving import save_figure
from snnconv.spiking.logs import Cost
from snnconv.sweeps.results import Measured

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MARKERS = ("o", "s", "^", "D", "v", "P", "X")
PANELS: tuple[tuple[Cost, str], ...] = (
    ("spikes", "spikes per neuron"),
    ("latency", "latency (time steps)"),
    ("energy", "energy of a sample (model E3)"),
)
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
Box = tuple[float, float, float, float]


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
    if not hasattr(axes, "__len__") or len(axes) != len(PANELS):
        got = len(axes) if hasattr(axes, "__len__") else type(axes).__name__
        raise ConfigurationError(f"a sweep is drawn on three axes, got {got}")
    for panel, (cost, title) in zip(axes, PANELS, strict=True):
        _panel(panel, results, fronts[cost], cost, title)
    lows, highs = zip(*(panel.get_ylim() for panel in axes), strict=True)
    for panel in axes:  # only the first axis is labelled, so all must mean the same
        panel.set_ylim(min(lows), max(highs))
    first = results[0]
    axes[0].set_ylabel(_quality_name(first))
    _legend(axes[0], results)
    for panel, (cost, _) in zip(axes, PANELS, strict=True):
        _label(panel, results, cost)
    if file is not None:
        save_figure(axes[0].figure, file)
    return axes


def _quality_name(result: Measured) -> str:
    if result.deviation is not None:
        return "100 % less the deviation from the original"
    return "decides as the original (%)" if result.accuracy is None else "accuracy (%)"


def _legend(axes: Axes, results: Sequence[Measured]) -> None:
    """What the broad line is, below on the right unless a point is there; then the layout of the figure is known."""
    figure: Any = axes.figure
    for place in ("lower right", "best"):
        legend = axes.legend(handles=axes.lines[:1], frameon=False, loc=place, fontsize=8)
        figure.figure.draw_without_rendering()  # a subfigure's figure is the whole one
        box = legend.get_window_extent()
        if not any(box.contains(x, y) for x, y in _pixels(axes, results, "spikes")):
            return


def _figure() -> Sequence[Axes]:
    return new_axes(len(PANELS), (13.5, 4.4))


def _panel(axes: Axes, results: Sequence[Measured], best: Sequence[Measured], cost: Cost, title: str) -> None:
    """Points, Pareto front and original network of one panel; what costs nothing has no place on it."""
    front = _costly(best, cost)
    steps = axes.step([r.cost(cost) for r in front], [r.quality for r in front], where="post", color=QUIET, zorder=1)
    steps[0].set(linewidth=5.0, alpha=0.25, label="Pareto front", solid_capstyle="round")
    for number, members in enumerate(families(results).values()):
        members = _costly(members, cost)
        for result in members:
            axes.plot(
                result.cost(cost),
                result.quality,
                linestyle="none",
                marker=MARKERS[number % len(MARKERS)],
                color=COLOURS[number % len(COLOURS)],
                markerfacecolor=COLOURS[number % len(COLOURS)] if result in front else "white",
                label=result.label,
                zorder=3,
            )
        ordered = sorted(members, key=lambda result: result.cost(cost))
        xs, ys = [r.cost(cost) for r in ordered], [r.quality for r in ordered]
        axes.plot(xs, ys, color=COLOURS[number % len(COLOURS)], linewidth=0.8, alpha=0.5, zorder=2)
    _original(axes, results[0], cost)
    axes.margins(x=0.12, y=0.08)
    if _costly(results, cost):
        axes.set_xscale("log")
        _ticks(axes, cost)
    else:
        axes.set_xticks([])
    axes.set_xlabel(title)
    plain(axes)


def _costly(results: Sequence[Measured], cost: Cost) -> list[Measured]:
    """Those that have a place on a logarithmic axis."""
    return [result for result in results if result.cost(cost) > 0]


def _original(axes: Axes, result: Measured, cost: Cost) -> None:
    """The original network: a line at its accuracy, and a star where it has a cost of the same kind."""
    reference = 100.0 if result.accuracy is None else result.reference_accuracy
    if reference is None:
        return
    axes.axhline(reference, color="black", linestyle="--", linewidth=0.8, zorder=1)
    if cost == "energy":
        axes.plot(result.e3_reference, reference, "*", color="black", markersize=11, label="ANN", zorder=3)
    name = "ANN" if result.accuracy is None else f"ANN\n{reference:.2f}"
    edge: Any = ("axes fraction", "data")
    axes.annotate(name, (1.0, reference), (3, 0), xycoords=edge, textcoords="offset points", size=8, va="center")


def _ticks(axes: Axes, cost: Cost) -> None:
    """A label at 1, 2 and 5 of every decade, in plain numbers; energies with a prefix such as micro."""
    from matplotlib.ticker import EngFormatter, FuncFormatter, LogLocator, NullLocator

    low, high = axes.get_xlim()
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if high < 300 * low else (1.0,)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(EngFormatter("J") if cost == "energy" else FuncFormatter(lambda x, _: f"{x:g}"))


def families(results: Sequence[Measured]) -> dict[str, list[Measured]]:
    """Results by the code that they use, in order."""
    found: dict[str, list[Measured]] = {}
    for result in results:
        found.setdefault(result.code, []).append(result)
    return found


def short_labels(members: Sequence[Measured]) -> list[str]:
    """Labels of one family: the last in full, the others without the words that all of them begin with."""
    if not members:
        return []
    words = [member.label.split() for member in members]
    shared = 0
    while all(len(own) > shared + 1 and own[shared] == words[0][shared] for own in words):
        shared += 1
    return [" ".join(own[shared:]) for own in words[:-1]] + [members[-1].label]


def _label(axes: Axes, results: Sequence[Measured], cost: Cost) -> None:
    """A label beside every point, where it covers least of the points and of the labels that are there already."""
    from matplotlib.patheffects import withStroke

    taken: list[Any] = [(x - 5.0, y - 5.0, x + 5.0, y + 5.0) for x, y in _pixels(axes, results, cost)]
    legend = axes.get_legend()
    taken += [part.get_window_extent().extents for part in (*axes.texts, *([legend] if legend else []))]
    for number, members in enumerate(families(results).values()):
        members = _costly(members, cost)
        for result, label in zip(members, short_labels(members), strict=True):
            text = axes.annotate(label, (result.cost(cost), result.quality), (0, 0), textcoords="offset points", size=8)
            text.set_parse_math(False)  # a dollar in a label is a dollar
            text.set(color=COLOURS[number % len(COLOURS)], path_effects=[withStroke(linewidth=2.5, foreground="white")])
            text.set_zorder(4)
            text.set_in_layout(False)
            found = [(_covered(_placed(text, place), taken, axes.bbox.extents), place) for place in PLACES]
            taken.append(_placed(text, min(found, key=lambda item: item[0])[1]))


def _pixels(axes: Axes, results: Sequence[Measured], cost: Cost) -> Sequence[Any]:
    """Where the points of a panel are in pixels."""
    points = [(result.cost(cost), result.quality) for result in _costly(results, cost)]
    return list(axes.transData.transform(points)) if points else []


def _placed(text: Any, place: tuple[float, float, str, str]) -> Box:
    """Where ``text`` is in pixels once it stands at ``place``."""
    text.xyann = place[:2]
    text.set(horizontalalignment=place[2], verticalalignment=place[3])
    left, bottom, right, top = text.get_window_extent().extents
    return left, bottom, right, top


def _covered(box: Box, taken: Sequence[Any], frame: Any) -> float:
    """Area of ``box`` that lies over what is taken or outside the frame, in square pixels, to a tenth."""
    area = (box[2] - box[0]) * (box[3] - box[1])
    return round(sum(_common(box, other) for other in taken) + area - _common(box, frame), 1)


def _common(one: Box, other: Any) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return float(max(width, 0.0) * max(height, 0.0))
