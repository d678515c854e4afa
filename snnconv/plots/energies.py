"""Where the energy of a sample goes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from snnconv.errors import ConfigurationError
from snnconv.metrics.costs import Costs
from snnconv.metrics.energy_models import PARTS, energy_parts
from snnconv.plots.axes import COLOURS, COLUMN, QUIET, legend_above, new_axes, plain, short_name, text_size

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: What all networks have is grey.
_COLOURS = dict(zip(PARTS, (QUIET, "#BBBBBB", COLOURS[0], COLOURS[4]), strict=True))

#: Joules with the prefixes that samples need.
_UNITS = ((1.0, "J"), (1e-3, "mJ"), (1e-6, "µJ"), (1e-9, "nJ"), (1e-12, "pJ"))


def energy(evaluation: Costs | Mapping[str, Costs], axes: Axes | None = None, *, model: str = "E3") -> Axes:
    """The energy of a sample by what it is spent on: a bar for the original network, and one for every evaluation.

    Energies are those of a published model, not of a chip (docs/concepts/energy.md).

    Args:
        evaluation: What ``snnconv.evaluate`` or ``snnconv.detection.evaluate`` gave, or several, by label.
        axes: What to draw on; a new figure of a column's width if not given.
        model: "E2" for arithmetic alone, "E3" with memory.

    Returns:
        The axes.

    Raises:
        ConfigurationError: There is no evaluation, or no such model; no matplotlib.
    """
    labelled = evaluation if isinstance(evaluation, Mapping) else {"spiking": evaluation}
    if not labelled:
        raise ConfigurationError("there is no evaluation to draw")
    bars: dict[str, Mapping[str, float]] = {}
    originals: set[str] = set()
    for label, found in labelled.items():
        spiking, original = energy_parts(found.activity, model)
        told = f"{sum(original.values()):.3g}"  # calibrations of one network differ in later digits
        if told not in originals:
            bars[f"original of {label}" if bars else "original"] = original
            originals.add(told)
        bars[label] = spiking
    axes = new_axes(size=(COLUMN, 0.9 + 0.26 * len(bars)))[0] if axes is None else axes
    ends = dict.fromkeys(bars, 0.0)
    for part, colour in _COLOURS.items():
        widths = [parts.get(part, 0.0) for parts in bars.values()]
        if any(widths):
            axes.barh(range(len(bars)), widths, 0.66, [*ends.values()], color=colour, label=part)
        ends = {label: end + width for (label, end), width in zip(ends.items(), widths, strict=True)}
    _said(axes, ends, model)
    return axes


def _said(axes: Axes, ends: Mapping[str, float], model: str) -> None:
    """Totals at the ends of bars, in the unit of the longest, and what the axes are."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    longest = max(ends.values())
    factor, unit = next((each for each in _UNITS if longest >= each[0]), _UNITS[-1])
    for place, end in enumerate(ends.values()):
        text = f"{end / factor:.3g}"
        axes.annotate(text, (end, place), (3, 0), textcoords="offset points", va="center", size=text_size(axes))
    axes.set_yticks(range(len(ends)), [short_name(label) for label in ends])
    axes.set_ylim(len(ends) - 0.4, -0.6)
    axes.set_xlim(0.0, 1.15 * longest or 1.0)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda joules, _: f"{joules / factor:g}"))
    axes.set_xlabel(f"energy of a sample ({unit}, model {model})")
    legend_above(axes)
    plain(axes)
