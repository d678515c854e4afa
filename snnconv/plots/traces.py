"""Membrane potentials over time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from torch import Tensor

from snnconv.errors import ConfigurationError
from snnconv.plots.axes import QUIET, cycled, new_axes, plain, text_size
from snnconv.plots.spikes import evenly
from snnconv.simulators.membranes import membrane_traces
from snnconv.spiking.base import NetworkBase
from snnconv.surroundings import own_surroundings

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Steps up to which each of them has a dot.
_MARKED = 24


@own_surroundings()
def membranes(
    network: NetworkBase,
    inputs: Tensor | Sequence[Tensor],
    population: str | None = None,
    *,
    sample: int = 0,
    neurons: int = 3,
    axes: Axes | None = None,
) -> Axes:
    """Membrane potentials of some neurons for one sample, after each time step, with their spikes above.

    Potentials are in units of the population's scale, and what spikes take off is off. In a pipeline neurons integrate
    first, and fire in their window, which is shaded; behind it they are not simulated. Neurons are chosen evenly among
    those that fire.

    Args:
        network: The network, which is simulated step by step.
        inputs: One batch of input, or several where the network takes several.
        population: Name of the population; the first if not given.
        sample: Which sample of the batch.
        neurons: Number of neurons that are drawn at most.
        axes: What to draw on; a new figure of a column's width if not given.

    Returns:
        The axes.

    Raises:
        InputError: The inputs do not fit the network.
        ConfigurationError: There is no such population or sample, or its neurons tell no potential; no matplotlib.

    Example:
        >>> axes = plots.membranes(stream, images)
    """
    if neurons < 1:
        raise ConfigurationError(f"neurons must be at least 1, got {neurons}")
    name = next(iter(network.populations.values())).name if population is None else population
    found = membrane_traces(network, inputs, name, sample)
    firing = found.payloads.ne(0).any(0).nonzero().flatten()
    places = firing[evenly(len(firing), neurons)] if len(firing) else found.payloads.new_zeros(1).long()
    axes = new_axes()[0] if axes is None else axes
    steps = range(len(found.potentials))
    chosen = found.potentials[:, places]
    low, high = min(0.0, float(chosen.min())), max(1.0, float(chosen.max()))
    row = 0.09 * (high - low)
    axes.axhline(0.0, color=QUIET, linewidth=0.6)
    axes.axhline(1.0, color=QUIET, linewidth=0.6, linestyle=":")
    for number, (colour, place) in enumerate(zip(cycled(len(places)), places.tolist(), strict=True)):
        marker = "." if len(steps) <= _MARKED else ""
        axes.plot(steps, found.potentials[:, place].numpy(), marker=marker, color=colour, linewidth=0.9, markersize=3.5)
        fired = found.payloads[:, place].nonzero().flatten().tolist()
        bottom = high + (number + 0.5) * row
        axes.vlines(fired, bottom, bottom + 0.8 * row, colors=colour, linewidth=1.2)
    if found.window is not None:
        axes.axvspan(found.window.start - 0.5, found.window.stop - 0.5, color=QUIET, alpha=0.1, linewidth=0.0)
    axes.set_yticks([mark for mark in axes.get_yticks() if low - row <= mark <= high + 0.1 * row])
    axes.set_ylim(low - 0.05 * (high - low), high + (len(places) + 0.6) * row)
    axes.set_xlim(-0.5, len(found.potentials) - 0.5)
    axes.set(xlabel="time step", ylabel="potential (1: scale)")
    axes.set_title(f"{name}, spikes above", loc="right", color=QUIET, size=text_size(axes), pad=2.0)
    plain(axes)
    return axes
