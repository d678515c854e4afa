"""Where the energy of a sample goes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from snnconv.errors import ConfigurationError
from snnconv.metrics.costs import Costs
from snnconv.metrics.energy_models import PARTS, energy_parts
from snnconv.metrics.evaluation_result import Evaluation
from snnconv.plots.axes import COLOURS, COLUMN, QUIET, legend_above, new_axes, plain, short_name, text_size
from snnconv.text import PREFIXES, at_most

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: What all networks have is grey.
_COLOURS = dict(zip(PARTS, (QUIET, "#BBBBBB", COLOURS[0], COLOURS[4]), strict=True))

#: Widths of the longest bar that the axis has, for totals behind bars: without bounds, and with.
_ROOM = (1.15, 1.35)

#: Joules with the prefixes that samples need.
_UNITS = tuple((10.0 ** (3 * power), f"{prefix}J") for power, prefix in PREFIXES.items() if power <= 0)


@dataclass(frozen=True)
class _EnergyBar:
    """Joules by what they are spent on, ``bound`` where the network spends so much at most."""

    label: str
    parts: Mapping[str, float]
    bound: bool = False


def energy(evaluation: Costs | Mapping[str, Costs], axes: Axes | None = None, *, model: str = "E3") -> Axes:
    """The energy of a sample by what it is spent on: a bar for the original network, and one for every evaluation.

    A network that learned through its own spikes has no original, and stands beside itself without spikes. Where
    synaptic operations are an upper bound, so is the energy, and "at most" says so. Energies are those of a published
    model, not of a chip (docs/concepts/energy.md).

    Args:
        evaluation: What ``snnconv.evaluate`` or ``snnconv.detection.evaluate`` gave, or several, by label.
        axes: What to draw on; a new figure of a column's width if not given.
        model: "E2" for arithmetic alone, "E3" with memory.

    Returns:
        The axes.

    Raises:
        ConfigurationError: There is no evaluation, or no such model; no matplotlib.

    Example:
        >>> axes = plots.energy({"rate": snnconv.evaluate(stream, images), "few-spike": snnconv.evaluate(snn, images)})
    """
    labelled = evaluation if isinstance(evaluation, Mapping) else {"spiking": evaluation}
    if not labelled:
        raise ConfigurationError("there is no evaluation to draw")
    bars: list[_EnergyBar] = []
    originals: set[str] = set()
    for label, found in labelled.items():
        spiking, original = energy_parts(found.activity, model)
        told = f"{sum(original.values()):.3g}"  # calibrations of one network differ in later digits
        if told not in originals:
            name = "without spikes" if isinstance(found, Evaluation) and not found.compared else "original"
            bars.append(_EnergyBar(f"{name} of {label}" if bars or name in labelled else name, original))
            originals.add(told)
        bars.append(_EnergyBar(label, spiking, found.synops_are_bound))
    axes = new_axes(size=(COLUMN, 0.9 + 0.26 * len(bars)))[0] if axes is None else axes
    ends = [0.0] * len(bars)
    for part, colour in _COLOURS.items():
        widths = [bar.parts.get(part, 0.0) for bar in bars]
        if any(widths):
            axes.barh(range(len(bars)), widths, 0.66, ends, color=colour, label=part)
        ends = [end + width for end, width in zip(ends, widths, strict=True)]
    _said(axes, bars, ends, model)
    return axes


def _said(axes: Axes, bars: Sequence[_EnergyBar], ends: Sequence[float], model: str) -> None:
    """Totals at the ends of bars, in the unit of the longest, and what the axes are."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    longest = max(ends)
    factor, unit = next((each for each in _UNITS if longest >= each[0]), _UNITS[-1])
    for place, (bar, end) in enumerate(zip(bars, ends, strict=True)):
        text = at_most(f"{end / factor:.3g}", bar.bound)
        axes.annotate(text, (end, place), (3, 0), textcoords="offset points", va="center", size=text_size(axes))
    axes.set_yticks(range(len(ends)), [short_name(bar.label) for bar in bars])
    axes.set_ylim(len(ends) - 0.4, -0.6)
    axes.set_xlim(0.0, _ROOM[any(bar.bound for bar in bars)] * longest or 1.0)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda joules, _: f"{joules / factor:g}"))
    axes.set_xlabel(f"energy of a sample ({unit}, model {model})")
    legend_above(axes)
    plain(axes)
