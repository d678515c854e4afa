"""Pictures with matplotlib: spikes over time, and the values that codes can represent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from coding import Code
from snnconv.errors import ConfigurationError
from snnconv.plots.axes import COLOURS, QUIET, new_axes, plain
from snnconv.simulators.run import Run
from snnconv.spiking.base import NetworkBase
from snnconv.surroundings import own_surroundings
from snnconv.text import code_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@own_surroundings()
def raster(
    run: Run,
    populations: str | Sequence[str] | None = None,
    *,
    network: NetworkBase | None = None,
    sample: int | None = 0,
    neurons: int = 20,
    axes: Axes | None = None,
) -> Axes:
    """Spikes over time of one sample: at most ``neurons`` of every population, evenly chosen among those that fire.

    ``run`` must have recorded the rasters of ``populations`` (names; by default all that were recorded). ``sample`` is
    ``None`` for a network that takes one sample per call. Negative spikes point down. In a pipeline ``network`` tells
    when each window starts, and the windows are shaded; without it only a single population can be drawn, over its own
    window. Raises ``ConfigurationError``.
    """
    names = [populations] if isinstance(populations, str) else list(run.rasters if populations is None else populations)
    starts = _starts(run, names, network)
    if neurons < 1:
        raise ConfigurationError(f"neurons must be at least 1, got {neurons}")
    trains = {name: _chosen(run.rasters[name], sample, neurons, run.samples) for name in names}
    height = 1.0 + 0.13 * sum(train.shape[1] for train in trains.values())
    axes = new_axes(size=(8.0, height))[0] if axes is None else axes
    row, ticks = 0, []
    for position, (name, train) in enumerate(trains.items()):
        colour, (steps, rows) = COLOURS[position % len(COLOURS)], train.shape
        t, neuron = (indices.numpy() for indices in train.nonzero(as_tuple=True))
        heights = 0.8 * train[train != 0].sign().numpy()
        axes.vlines(starts[name] + t, row + neuron, row + neuron + heights, colors=colour, linewidth=1.6, label=name)
        if network is not None and network.timing is not None:
            window = [starts[name] - 0.5, starts[name] + steps - 0.5]
            axes.fill_between(window, row - 0.4, row + rows, color=colour, alpha=0.1, linewidth=0.0)
        ticks.append(row + rows / 2)
        row += rows + 1
    axes.set_yticks(ticks, list(trains))
    for position, label in enumerate(axes.get_yticklabels()):
        label.set_color(COLOURS[position % len(COLOURS)])
    axes.set_ylim(-1.0, row)
    axes.set_xlim(-0.5, max(starts[name] + train.shape[0] for name, train in trains.items()) - 0.5)
    axes.set_xlabel("time step")
    plain(axes)
    return axes


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


def _chosen(payloads: Tensor, sample: int | None, neurons: int, samples: int) -> Tensor:
    """Payloads ``[T, rows]`` of some neurons of one of ``samples``."""
    if sample is None and samples > 1:
        raise ConfigurationError(f"sample=None is for one sample per call, the run has {samples}: choose one of them")
    if sample is not None and payloads.shape[1] != samples:
        raise ConfigurationError("the network takes one sample per call, so no sample can be chosen: pass sample=None")
    if sample is not None and not 0 <= sample < samples:
        raise ConfigurationError(f"there is no sample {sample}: the run has {samples}")
    train = (payloads if sample is None else payloads[:, sample]).reshape(len(payloads), -1).cpu()
    firing = train.ne(0).any(0).nonzero().flatten()
    count = min(neurons, len(firing))
    return (
        train[:, firing[torch.linspace(0, len(firing) - 1, count, dtype=torch.float32).round().long()]]
        if count
        else train[:, :1]
    )


@own_surroundings()
def levels(codes: Mapping[str, Code] | Sequence[Code], axes: Axes | None = None) -> Axes:
    """The values that a window of each code can carry, a row for each code, in units of its largest value.

    ``codes`` may be labelled; codes need numbers where "fit" may stand. Raises ``ConfigurationError``.
    """
    labelled = _labelled(codes)
    axes = new_axes(size=(8.0, 0.8 + 0.5 * len(labelled)))[0] if axes is None else axes
    for row, (colour, (_, code)) in enumerate(zip(_cycled(len(labelled)), labelled.items(), strict=True)):
        values = torch.unique(quantizer(code)[1])
        axes.vlines(values.numpy(), row - 0.32, row + 0.32, colors=colour, linewidth=1.0)
        axes.text(1.02, row, f"{len(values)} values", va="center", color=QUIET, fontsize="small")
    axes.set_yticks(range(len(labelled)), list(labelled))
    axes.set_ylim(len(labelled) - 0.5, -0.5)
    axes.set_xlim(-0.01, 1.15)
    axes.set_xticks([0.0, 0.25, 0.5, 0.75, 1.0])
    axes.set_xlabel("value, in units of the largest")
    plain(axes)
    return axes


@own_surroundings()
def staircase(codes: Mapping[str, Code] | Sequence[Code], axes: Axes | None = None) -> Axes:
    """What a window of each code makes of a value, beside the value itself; arguments as for ``levels``."""
    labelled = _labelled(codes)
    axes = new_axes(size=(5.0, 5.0))[0] if axes is None else axes
    axes.plot([0, 1], [0, 1], color=QUIET, linewidth=0.8)
    for colour, (label, code) in zip(_cycled(len(labelled)), labelled.items(), strict=True):
        values, decoded = quantizer(code)
        axes.plot(values.numpy(), decoded.numpy(), color=colour, linewidth=1.4, label=label)
    axes.set(xlabel="value, in units of the largest", ylabel="value that the spikes carry", xlim=(0, 1), ylim=(0, 1.02))
    axes.legend(frameon=False, loc="upper left")
    plain(axes)
    return axes


@own_surroundings()
def quantizer(code: Code) -> tuple[Tensor, Tensor]:
    """A fine grid of values from 0 to 1, and what a window of ``code`` carries for them; 1 is its largest value."""
    if not code.windows:
        raise ConfigurationError(f"{code.name} code has no window form, so it has no fixed set of values")
    values = torch.linspace(0.0, 1.0, 2**14 + 1, dtype=torch.float64)
    return values, code.quantize(values * code.maximum, counted=False).values / code.maximum


def _labelled(codes: Mapping[str, Code] | Sequence[Code]) -> dict[str, Code]:
    """Codes by label; those that name and steps do not tell apart are labelled by all their parameters."""
    listed = list(codes.values() if isinstance(codes, Mapping) else codes) if isinstance(codes, Iterable) else [codes]
    if not listed or not isinstance(codes, Iterable) or not all(isinstance(code, Code) for code in listed):
        raise ConfigurationError(f"codes must be listed, such as [Rate(8)], or labelled, got {codes!r}")
    if isinstance(codes, Mapping):
        return dict(codes)
    labels = [f"{code.name}, {code.steps} steps" for code in listed]
    return {
        label if labels.count(label) == 1 else code_text(code): code for label, code in zip(labels, listed, strict=True)
    }


def _cycled(count: int) -> list[str]:
    return [COLOURS[position % len(COLOURS)] for position in range(count)]
