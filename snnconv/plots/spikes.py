"""Spikes over time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from snnconv.errors import ConfigurationError
from snnconv.plots.axes import COLUMN, MOST_ROWS, QUIET, cycled, new_axes, plain, short_name, text_size
from snnconv.simulators.run import Run
from snnconv.spiking.base import NetworkBase
from snnconv.surroundings import own_surroundings

if TYPE_CHECKING:
    from matplotlib.axes import Axes


#: The shortest and the longest line for a spike, as shares of its row.
_SHORTEST, _LONGEST = 0.25, 0.9


@own_surroundings()
def raster(
    run: Run,
    populations: str | Sequence[str] | None = None,
    *,
    network: NetworkBase | None = None,
    sample: int | None = 0,
    neurons: int = 10,
    axes: Axes | None = None,
) -> Axes:
    """Spikes over time of one sample: at most ``neurons`` of every population, evenly chosen among those that fire.

    Where spikes of a population carry different weights, a line is as long as its spike's, beside the largest. Negative
    spikes point down. In a pipeline the windows are shaded. Of more than 24 populations some are drawn, evenly chosen.

    Args:
        run: A run that recorded the rasters of the populations.
        populations: Names of one or more; by default all that were recorded.
        network: In a pipeline it tells when each window starts; without it only a single population can be drawn.
        sample: Which sample; ``None`` for a network that takes one sample per call.
        neurons: Number of neurons of a population that are drawn at most.
        axes: What to draw on; a new figure of a column's width if not given.

    Returns:
        The axes.

    Raises:
        ConfigurationError: The rasters were not recorded, there is no such sample, or windows cannot be placed; no
            matplotlib.

    Example:
        >>> axes = plots.raster(snn.run(images, record=["rasters"]), network=snn)
    """
    named = [populations] if isinstance(populations, str) else list(run.rasters if populations is None else populations)
    starts = _starts(run, named, network)
    if neurons < 1:
        raise ConfigurationError(f"neurons must be at least 1, got {neurons}")
    names = [named[place] for place in evenly(len(named), MOST_ROWS)]
    trains = {name: chosen_neurons(run.rasters[name], sample, neurons, run.samples) for name in names}
    rows = sum(train.shape[1] + 1 for train in trains.values())
    axes = new_axes(size=(COLUMN, min(0.7 + max(0.08 * rows, 0.14 * len(names)), 4.5)))[0] if axes is None else axes
    weighted, row, ticks, colours = False, 0, [], cycled(len(names))
    for colour, (name, train) in zip(colours, trains.items(), strict=True):
        steps, own = train.shape
        t, neuron = (indices.numpy() for indices in train.nonzero(as_tuple=True))
        lengths = _lengths(train[train != 0])
        weighted = weighted or len(torch.unique(lengths.abs())) > 1
        axes.vlines(
            starts[name] + t, row + neuron, row + neuron + lengths.numpy(), colors=colour, linewidth=1.2, label=name
        )
        if network is not None and network.timing is not None:
            window = [starts[name] - 0.5, starts[name] + steps - 0.5]
            axes.fill_between(window, row - 0.4, row + own, color=colour, alpha=0.1, linewidth=0.0)
        ticks.append(row + own / 2)
        row += own + 1
    axes.set_yticks(ticks, [short_name(name) for name in trains])
    for colour, label in zip(colours, axes.get_yticklabels(), strict=True):
        label.set_color(colour)
    axes.set_ylim(-1.0, row)
    axes.set_xlim(-0.5, max(starts[name] + train.shape[0] for name, train in trains.items()) - 0.5)
    axes.set_xlabel("time step")
    if len(names) < len(named):
        axes.set_ylabel(f"{len(names)} of {len(named):,} populations")
    if weighted:
        axes.set_title("length: weight of the spike", loc="right", color=QUIET, size=text_size(axes), pad=2.0)
    plain(axes)
    return axes


def _lengths(payloads: Tensor) -> Tensor:
    """Lengths of the lines of spikes, of their signs: linear in what they carry, and never too short to be seen."""
    if not len(payloads):
        return payloads
    share = payloads.abs() / payloads.abs().max()
    return payloads.sign() * (_SHORTEST + (_LONGEST - _SHORTEST) * share)


def evenly(count: int, most: int) -> list[int]:
    """At most so many of ``count`` places, evenly spaced, the first and the last among them."""
    chosen = min(count, most)
    return torch.linspace(0, count - 1, chosen, dtype=torch.float64).round().long().tolist() if chosen else []


def _starts(run: Run, names: Sequence[str], network: NetworkBase | None) -> dict[str, int]:
    """The step at which the raster of every population begins."""
    missing = [name for name in names if name not in run.rasters]
    if missing or not names:
        what = f"no raster of {missing[0]!r}" if missing else "no rasters"
        raise ConfigurationError(f'the run has {what}: record=["rasters"] keeps those of all populations')
    if network is not None and network.timing is not None:
        return {name: network.timing.starts[network.node_of(name)] for name in names}
    if len(names) > 1 and any(run.rasters[name].shape[0] < int(run.steps.max()) for name in names):
        raise ConfigurationError("in a pipeline populations fire one after the other: pass network=... to place them")
    return dict.fromkeys(names, 0)


def chosen_neurons(payloads: Tensor, sample: int | None, neurons: int, samples: int) -> Tensor:
    """Payloads ``[T, rows]`` of some neurons of one of ``samples``, evenly chosen among those that fire.

    The first neuron where none does. Raises ``ConfigurationError`` for a sample that there is not.
    """
    if sample is None and samples > 1:
        raise ConfigurationError(f"sample=None is for one sample per call, the run has {samples}: choose one of them")
    if sample is not None and payloads.shape[1] != samples:
        raise ConfigurationError("the network takes one sample per call, so no sample can be chosen: pass sample=None")
    if sample is not None and not 0 <= sample < samples:
        raise ConfigurationError(f"there is no sample {sample}: the run has {samples}")
    train = (payloads if sample is None else payloads[:, sample]).reshape(len(payloads), -1).cpu()
    firing = train.ne(0).any(0).nonzero().flatten()
    return train[:, firing[evenly(len(firing), neurons)]] if len(firing) else train[:, :1]
