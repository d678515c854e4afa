"""Configurations of a sweep by what they keep and what they cost, with their Pareto front."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from snnconv.errors import ConfigurationError
from snnconv.metrics.binomial import binomial_interval
from snnconv.plots.axes import COLOURS, COLUMN, MARKERS, QUIET, new_axes, plain, text_size
from snnconv.plots.labels import label_points, pixels
from snnconv.spiking.logs import Cost
from snnconv.tables import Column

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: What an axis says of a cost.
COST_NAMES: dict[Cost, str] = {
    "spikes": "spikes per neuron",
    "latency": "latency (time steps)",
    "energy": "energy of a sample (model E3)",
}


class CostedPoint(Protocol):
    """A configuration as it is drawn; figures are those of ``snnconv.sweeps.results.Measured``."""

    @property
    def label(self) -> str:
        """What stands beside it."""

    @property
    def code(self) -> str:
        """What it shares colour and line by."""

    @property
    def accuracy(self) -> float | None:
        """Percent of right decisions."""

    @property
    def reference_accuracy(self) -> float | None:
        """That of the original network."""

    @property
    def judged(self) -> int | None:
        """Number of decisions that accuracy counts; ``None`` where it is not known."""

    @property
    def decided(self) -> int | None:
        """Number of decisions that agreement counts; ``None`` for values, and where it is not known."""

    @property
    def deviation(self) -> float | None:
        """Of values, how far they are from the original's."""

    @property
    def synops_are_bound(self) -> bool | None:
        """Whether its energy is an upper bound; ``None`` where that is not known."""

    @property
    def e3_reference(self) -> float:
        """Joules of the original network."""

    @property
    def quality(self) -> float:
        """Where it is from bottom to top, in percent."""

    def cost(self, cost: Cost) -> float:
        """Where it is from left to right."""


class CostedSweep(Protocol):
    """A sweep as it is drawn."""

    @property
    def results(self) -> Sequence[CostedPoint]:
        """All configurations."""

    def pareto(self, cost: Cost = "spikes") -> Sequence[CostedPoint]:
        """Those that none beats."""


def pareto(sweep: CostedSweep, cost: Cost = "spikes", axes: Axes | None = None) -> Axes:
    """What configurations keep against what they cost; a broad line leads along those that none beats.

    Bars are 95 % intervals of the accuracy. Points on the front are filled; a configuration that costs nothing has no
    place on the logarithmic axis, and a label that finds none is left out.

    Args:
        sweep: What ``snnconv.sweep`` gave.
        cost: "spikes", "latency" or "energy" (model E3).
        axes: What to draw on; a new figure of a column's width if not given.

    Returns:
        The axes.

    Raises:
        ConfigurationError: There are no results, or no such cost; no matplotlib.

    Example:
        >>> found = snnconv.sweep(model, images, (images, labels), {name: name for name in ("rate", "few-spike")})
        >>> axes = plots.pareto(found, "energy")
    """
    if not sweep.results:
        raise ConfigurationError("the sweep has no results to draw")
    front = sweep.pareto(cost)
    axes = new_axes(size=(COLUMN, 2.6))[0] if axes is None else axes
    draw_points(axes, sweep.results, front, cost)
    axes.set_ylabel(quality_name(sweep.results[0]))
    draw_legend(axes, sweep.results, cost)
    draw_labels(axes, sweep.results, cost)
    return axes


def quality_name(result: CostedPoint) -> str:
    """What the axis from bottom to top says."""
    if result.deviation is not None:
        return "100 % less the deviation from the original"
    return "decides as the original (%)" if result.accuracy is None else "accuracy (%)"


def cost_name(results: Sequence[CostedPoint], cost: Cost) -> str:
    """What the axis from left to right says of ``cost``, and whether that is an upper bound."""
    bound = cost == "energy" and any(result.synops_are_bound for result in results)
    return Column(COST_NAMES[cost], bounds=bound).head


def draw_points(axes: Axes, results: Sequence[CostedPoint], best: Sequence[CostedPoint], cost: Cost) -> None:
    """Points, Pareto front and original network; what costs nothing has no place."""
    front = _costly(best, cost)
    steps = axes.step([r.cost(cost) for r in front], [r.quality for r in front], where="post", color=QUIET, zorder=1)
    steps[0].set(linewidth=5.0, alpha=0.25, label="Pareto front", solid_capstyle="round")
    for number, members in enumerate(families(results).values()):
        members, colour = _costly(members, cost), COLOURS[number % len(COLOURS)]
        for result in members:
            axes.plot(
                result.cost(cost),
                result.quality,
                linestyle="none",
                marker=MARKERS[number % len(MARKERS)],
                color=colour,
                markerfacecolor=colour if result in front else "white",
                label=result.label,
                zorder=3,
            )
            if (interval := _interval(result)) is not None:
                axes.vlines(result.cost(cost), *interval, colors=colour, linewidth=0.7, alpha=0.4, zorder=2)
        ordered = sorted(members, key=lambda result: result.cost(cost))
        xs, ys = [r.cost(cost) for r in ordered], [r.quality for r in ordered]
        axes.plot(xs, ys, color=colour, linewidth=0.8, alpha=0.5, zorder=2)
    _original(axes, results[0], cost)
    axes.margins(x=0.12, y=0.08)
    if _costly(results, cost):
        axes.set_xscale("log")
        _ticks(axes, cost)
    else:
        axes.set_xticks([])
    axes.set_xlabel(cost_name(results, cost))
    plain(axes)


def draw_legend(axes: Axes, results: Sequence[CostedPoint], cost: Cost) -> None:
    """What the broad line is, below on the right unless a point is there; then the layout of the figure is known."""
    figure: Any = axes.figure
    points = [(result.cost(cost), result.quality) for result in _costly(results, cost)]
    for place in ("lower right", "best"):
        legend = axes.legend(handles=axes.lines[:1], frameon=False, loc=place, fontsize=text_size(axes))
        figure.figure.draw_without_rendering()  # a subfigure's figure is the whole one
        box = legend.get_window_extent()
        if not any(box.contains(x, y) for x, y in pixels(axes, points)):
            return


def draw_labels(axes: Axes, results: Sequence[CostedPoint], cost: Cost) -> None:
    """A label beside every point, in the colour of its family."""
    points, labels, colours = [], [], []
    for number, members in enumerate(families(results).values()):
        members = _costly(members, cost)
        points += [(result.cost(cost), result.quality) for result in members]
        labels += short_labels(members)
        colours += [COLOURS[number % len(COLOURS)]] * len(members)
    label_points(axes, points, labels, colours)


def families(results: Sequence[CostedPoint]) -> dict[str, list[CostedPoint]]:
    """Results by the code that they use, in order."""
    found: dict[str, list[CostedPoint]] = {}
    for result in results:
        found.setdefault(result.code, []).append(result)
    return found


def short_labels(members: Sequence[CostedPoint]) -> list[str]:
    """Labels of one family: the last in full, the others without the words that all of them begin with."""
    if not members:
        return []
    words = [member.label.split() for member in members]
    shared = 0
    while all(len(own) > shared + 1 and own[shared] == words[0][shared] for own in words):
        shared += 1
    return [" ".join(own[shared:]) for own in words[:-1]] + [members[-1].label]


def _costly(results: Sequence[CostedPoint], cost: Cost) -> list[CostedPoint]:
    """Those that have a place on a logarithmic axis."""
    return [result for result in results if result.cost(cost) > 0]


def _interval(result: CostedPoint) -> tuple[float, float] | None:
    """That of as many decisions as were counted; values have none, nor has what an older file says no count of."""
    if result.deviation is not None:
        return None
    count = result.decided if result.accuracy is None else result.judged
    return binomial_interval(result.quality, count) if count else None


def _original(axes: Axes, result: CostedPoint, cost: Cost) -> None:
    """The original network: a line at its accuracy, and a star where it has a cost of the same kind."""
    reference = 100.0 if result.accuracy is None else result.reference_accuracy
    if reference is None:
        return
    axes.axhline(reference, color="black", linestyle="--", linewidth=0.8, zorder=1)
    if cost == "energy":
        axes.plot(result.e3_reference, reference, "*", color="black", markersize=11, label="ANN", zorder=3)
    name = "ANN" if result.accuracy is None else f"ANN\n{reference:.2f}"
    edge: Any = ("axes fraction", "data")
    size = text_size(axes)
    axes.annotate(name, (1.0, reference), (3, 0), xycoords=edge, textcoords="offset points", size=size, va="center")


def _ticks(axes: Axes, cost: Cost) -> None:
    """A label at 1, 2 and 5 of every decade, in plain numbers; energies with a prefix such as micro."""
    from matplotlib.ticker import EngFormatter, FuncFormatter, LogLocator, NullLocator

    low, high = axes.get_xlim()
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if high < 300 * low else (1.0,)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(EngFormatter("J") if cost == "energy" else FuncFormatter(lambda x, _: f"{x:g}"))
