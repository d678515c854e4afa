"""plot: a picture for a paper of what a network does, or of a sweep."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, get_args

import torch
import typer
from torch import Tensor

import snnconv
from snnconv import plots
from snnconv.cli.console import console
from snnconv.cli.given import refuse
from snnconv.cli.interruption import kept
from snnconv.cli.options import Device, Limit, WorkerCount, drawable, workers_of
from snnconv.cli.progress import progress_bars
from snnconv.cli.samples import Batch, batches_for
from snnconv.errors import ConfigurationError, InputError
from snnconv.spiking.logs import Cost

_BATCH = 100


@dataclass(frozen=True)
class _Drawn:
    """A network with the samples that it is drawn on, and what was asked for."""

    network: snnconv.SpikingNetwork
    batches: list[Batch]
    workers: Any
    population: str | None
    sample: int
    neurons: int

    def one(self) -> tuple[Tensor, int | None]:
        """The sample that is drawn, as a batch, and its place in that; ``None`` where a network takes no batches."""
        if self.network.batch_axis is None:
            if self.sample:
                raise InputError(f"--sample {self.sample}: the network takes no batches, so there is but one, 0")
            return self.batches[0][0], None
        inputs = torch.cat([each for each, _ in self.batches])
        if not 0 <= self.sample < len(inputs):
            raise InputError(f"--sample {self.sample}: there are {len(inputs)} samples, the first is 0")
        return inputs[self.sample : self.sample + 1], 0


def _evaluated(subject: _Drawn) -> Any:
    with progress_bars() as progress:
        return snnconv.evaluate(subject.network, subject.batches, progress=progress, workers=subject.workers)


def _verified(subject: _Drawn) -> Any:
    with progress_bars() as progress:
        return snnconv.verify(subject.network, subject.batches, progress=progress, workers=subject.workers)


def _counted(subject: _Drawn) -> Any:
    with progress_bars() as progress:
        return snnconv.spike_statistics(subject.network, subject.batches, progress=progress)


def _spikes(subject: _Drawn) -> Any:
    inputs, sample = subject.one()
    recorded = ["rasters"] if subject.population is None else [subject.population]
    run = subject.network.run(inputs, record=recorded)
    return plots.raster(run, network=subject.network, sample=sample, neurons=subject.neurons)


def _attention(subject: _Drawn) -> Any:
    inputs, _ = subject.one()
    return plots.attention(subject.network, inputs, subject.population)


def _membranes(subject: _Drawn) -> Any:
    return plots.membranes(subject.network, subject.one()[0], subject.population, neurons=subject.neurons)


_MEASURED = frozenset({"data", "limit", "device", "workers"})
_ONE_SAMPLE = frozenset({"data", "limit", "device", "population", "sample", "neurons"})
#: What is drawn of a network, by what users call it, and the options that it takes.
_OF_NETWORKS: dict[str, tuple[Callable[[_Drawn], Any], frozenset[str]]] = {
    "accuracy": (lambda subject: plots.accuracy_over_steps(_evaluated(subject)), _MEASURED),
    "energy": (lambda subject: plots.energy(_evaluated(subject)), _MEASURED),
    "verification": (lambda subject: plots.verification(_verified(subject)), _MEASURED),
    "intervals": (lambda subject: plots.intervals(_counted(subject)), _MEASURED - {"workers"}),
    "spikes": (_spikes, _ONE_SAMPLE),
    "membranes": (_membranes, _ONE_SAMPLE),
    "attention": (_attention, _ONE_SAMPLE - {"neurons"}),
}
_SWEEP, _OF_SWEEP = "pareto", frozenset({"cost"})
#: The options that only some pictures take.
_OPTIONS = sorted(_MEASURED | _ONE_SAMPLE | _OF_SWEEP)


def plot(
    context: typer.Context,
    kind: Annotated[
        str, typer.Argument(help=f"What to draw: {', '.join(_OF_NETWORKS)} of a network, {_SWEEP} of a sweep.")
    ],
    source: Annotated[Path, typer.Argument(help="A network that convert wrote; of a sweep its folder or sweep.json.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", callback=drawable, help="File to write: .png, .pdf, .svg and others.")
    ],
    data: Annotated[
        Path | None,
        typer.Option(help="Samples that a network is drawn on: .npz or .safetensors with 'inputs', or .npy."),
    ] = None,
    cost: Annotated[
        str, typer.Option(help=f"What {_SWEEP} draws accuracy against: {', '.join(get_args(Cost))}.")
    ] = "spikes",
    population: Annotated[
        str | None,
        typer.Option(help="The population of spikes, membranes and attention: by default all, and the first."),
    ] = None,
    sample: Annotated[int, typer.Option(help="The sample of spikes, membranes and attention, from 0.")] = 0,
    neurons: Annotated[int, typer.Option(help="Neurons of a population that spikes and membranes show at most.")] = 8,
    limit: Limit = None,
    device: Device = "cpu",
    workers: WorkerCount = None,
) -> None:
    """Draw a picture for a paper, as wide as a column; --json of the commands that measure has its figures."""
    if kind not in (*_OF_NETWORKS, _SWEEP):
        raise ConfigurationError(f"there is no picture {kind!r}; there are {', '.join([*_OF_NETWORKS, _SWEEP])}")
    draw, takes = _OF_NETWORKS.get(kind, (None, _OF_SWEEP))
    refuse(context, f"{kind} has no use for it: leave it out", *(name for name in _OPTIONS if name not in takes))
    if draw is None:
        axes = plots.pareto(snnconv.Sweep.load(source / "sweep.json" if source.is_dir() else source), cost)  # type: ignore[arg-type]
    else:
        axes = draw(_subject(source, data, limit, device, workers, population, sample, neurons))
    plots.save_figure(axes.figure, str(output))
    with kept(lambda: f"{output} is written"):
        console.print(f"written: {output}", markup=False)


def _subject(
    source: Path, data: Path | None, limit: int | None, device: str, workers: str | None, *asked: Any
) -> _Drawn:
    if data is None:
        raise ConfigurationError("--data is missing: a network is drawn on samples")
    processes = workers_of(workers)
    network = snnconv.load(source).to(device)
    batches = batches_for(network, data, limit, _BATCH, "auto", device)
    return _Drawn(network, batches, processes, *asked)
