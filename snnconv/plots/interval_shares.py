"""How long neurons are silent between two spikes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from snnconv.errors import ConfigurationError
from snnconv.metrics.spike_trains import SpikeStatistics, TrainStatistics
from snnconv.plots.axes import cycled, legend_above, new_axes, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Trains = SpikeStatistics | TrainStatistics


def intervals(statistics: Trains | Mapping[str, Trains], axes: Axes | None = None, *, longest: int = 10) -> Axes:
    """The shares of the steps from one spike of a neuron to its next, within a sample.

    Args:
        statistics: What ``snnconv.spike_statistics`` gave, for all populations together, one of its ``populations``, or
            several of either, by label.
        axes: What to draw on; a new figure of a column's width if not given.
        longest: The longest interval that has bars of its own; those for longer ones stand behind it.

    Returns:
        The axes.

    Raises:
        ConfigurationError: ``longest`` is below 1, or some have no intervals, as no neuron fired twice; no matplotlib.

    Example:
        >>> axes = plots.intervals(snnconv.spike_statistics(stream, images))
    """
    if longest < 1:
        raise ConfigurationError(f"longest must be at least 1, got {longest}")
    labelled = statistics if isinstance(statistics, Mapping) else {"": statistics}
    trains = {label: each.overall if isinstance(each, SpikeStatistics) else each for label, each in labelled.items()}
    silent = [label or each.name for label, each in trains.items() if not any(each.intervals)]
    if silent or not trains:
        what = f"{silent[0]}: no neuron fired twice in a sample" if silent else "there are no statistics"
        raise ConfigurationError(f"{what}, so there are no intervals to draw")
    axes = new_axes()[0] if axes is None else axes
    beyond = any(len(each.intervals) > longest + 1 and any(each.intervals[longest + 1 :]) for each in trains.values())
    last = longest if beyond else max(len(each.intervals) for each in trains.values()) - 1
    places = [*range(1, last + 1), *([last + 1] if beyond else [])]
    width = 0.8 / len(trains)
    for number, (colour, (label, each)) in enumerate(zip(cycled(len(trains)), trains.items(), strict=True)):
        shares = [100.0 * (each.interval_share(place, place) or 0.0) for place in range(1, last + 1)]
        shares += [100.0 * (each.interval_share(last + 1) or 0.0)] if beyond else []
        offset = (number - (len(trains) - 1) / 2) * width
        axes.bar([place + offset for place in places], shares, width, color=colour, label=label or None)
    apart, wide = 1 + last // 12, 2 if last > 9 else 1  # room for the label of what is longer
    marks = [place for place in places if place > last or (place % apart == 0 and place + max(apart, wide) <= last + 1)]
    axes.set_xticks(marks, [f"> {last}" if place > last else str(place) for place in marks])
    axes.set(xlabel="steps from one spike to the next", ylabel="share of intervals (%)")
    if any(trains):
        legend_above(axes)
    plain(axes)
    return axes
