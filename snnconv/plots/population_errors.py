"""The errors of a verification."""

from __future__ import annotations

from typing import TYPE_CHECKING

from snnconv.errors import ConfigurationError
from snnconv.metrics.verification_result import Verification
from snnconv.plots.axes import COLOURS, COLUMN, MOST_ROWS, QUIET, legend_above, new_axes, plain, short_name, text_size
from snnconv.text import MOST_ERROR

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: The largest relative error, in percent, that a bar shows in full.
_MOST = 100.0 * MOST_ERROR


def verification(found: Verification, axes: Axes | None = None, *, most: int = MOST_ROWS) -> Axes:
    """A bar for the relative error of every population and of the output; that of its own is filled.

    The population that adds the largest error of its own is marked, with the cause that its reading names. Of more than
    ``most`` populations those with the largest errors of their own are drawn, in their order.

    Args:
        found: What ``snnconv.verify`` gave.
        axes: What to draw on; a new figure of a column's width if not given.
        most: Number of populations that are drawn at most.

    Returns:
        The axes.

    Raises:
        ConfigurationError: ``most`` is below 1; no matplotlib.

    Example:
        >>> axes = plots.verification(snnconv.verify(snn, images))
    """
    if most < 1:
        raise ConfigurationError(f"most must be at least 1, got {most}")
    populations = found.populations
    if len(populations) > most:
        largest = sorted(range(len(populations)), key=lambda place: -populations[place].own)[:most]
        populations = tuple(populations[place] for place in sorted(largest))
    rows = [(each.name, 100.0 * each.relative, 100.0 * each.own) for each in populations]
    rows.append(("output", 100.0 * found.output, 0.0))
    axes = new_axes(size=(COLUMN, 0.9 + 0.16 * len(rows)))[0] if axes is None else axes
    reading, places = found.reading, range(len(rows))
    colours = [COLOURS[1] if name == reading.population else COLOURS[0] for name, _, _ in rows[:-1]] + [QUIET]
    whole, own = [min(error, _MOST) for _, error, _ in rows], [min(error, _MOST) for _, _, error in rows]
    axes.barh(places, whole, 0.72, color=colours, alpha=0.3, label="in all")
    axes.barh(places, own, 0.72, color=colours, label="its own")
    for place, (name, error, _) in enumerate(rows):
        notes = [f"over {_MOST:.0f}"] if error > _MOST else []
        notes += [reading.cause] if name == reading.population else []
        if notes:
            axes.annotate(
                ", ".join(notes),
                (max(whole[place], own[place]), place),
                (3, 0),
                textcoords="offset points",
                color=COLOURS[1],
                va="center",
                size=text_size(axes),
            )
    axes.set_yticks(places, [short_name(name) for name, _, _ in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlim(0.0, 1.05 * max(*whole, *own) or 1.0)
    axes.set_xlabel("relative error (%)")
    if len(found.populations) > most:
        axes.set_ylabel(f"{most} largest of {len(found.populations):,}")
    legend_above(axes)
    plain(axes)
    return axes
