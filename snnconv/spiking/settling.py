"""The closed form of a population's windows: all that its neurons make of a summed current, at once."""

from __future__ import annotations

from torch import Tensor

from snnconv.kernels.settled_windows import Settled, Windows
from snnconv.spiking.population import Population


def windows_of(population: Population) -> Windows:
    """The windows of ``population``, ready for currents until its scale, shift, tables or neuron change."""
    axis = population.channel_axis
    return Windows(
        population.window_neuron(axis), population.window_neuron(1), axis, population.scale, population.shift
    )


def settle(population: Population, current: Tensor, counted: bool) -> Settled:
    """What the windows of ``population`` make of ``current``; spikes and updates too if ``counted``."""
    return windows_of(population).settle(current, counted)


def decode(population: Population, current: Tensor) -> Tensor:
    """What ``settle`` decodes ``current`` to, in one pass where a kernel can."""
    return windows_of(population).decode(current)


def normalise(population: Population, current: Tensor) -> Tensor:
    """The potentials, in units of the scale, of which ``settle`` makes windows."""
    return windows_of(population).normalised(current)
