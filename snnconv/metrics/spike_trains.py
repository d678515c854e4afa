"""spike_statistics(): when neurons fire, inter-spike intervals and bursts (Park et al. 2019, DAC), counted by step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import torch
from torch import Tensor

from snnconv.data.batches import batches
from snnconv.data.passage import Passage
from snnconv.metrics.totals import check_alike, summed_counts
from snnconv.network import SpikingNetwork
from snnconv.progress import ProgressCallback
from snnconv.simulators import simulator_for
from snnconv.simulators.observers import Observer, Samples, room_for
from snnconv.simulators.window_trains import PopulationWindow
from snnconv.spiking.base import NetworkBase
from snnconv.surroundings import own_surroundings
from snnconv.tables import Cell, Column, ResultTable, Tabular


@dataclass(frozen=True)
class TrainStatistics:
    """Spike trains of one population, or of all, over all samples; a spike is any payload that is not 0.

    ``intervals[d]`` counts pairs of successive spikes of a neuron, within one sample, that lie ``d`` steps apart
    (``intervals[0]`` is 0). A burst is a longest run of at least two spikes of a neuron on consecutive steps;
    ``bursts`` counts them and ``burst_spikes`` the spikes that belong to one. ``steps_total`` sums the steps of all
    spikes, from 0 at the start of the run, or of the population's own window in a pipeline.
    """

    name: str
    neurons: int
    samples: int
    spikes: int
    bursts: int
    burst_spikes: int
    steps_total: int
    intervals: tuple[int, ...]

    def merge(self, other: TrainStatistics) -> TrainStatistics:
        """The trains of both, of one population. Raises ``InputError`` for those of another."""
        check_alike(self, other, ("name", "neurons"))
        return TrainStatistics(
            self.name,
            self.neurons,
            self.samples + other.samples,
            self.spikes + other.spikes,
            self.bursts + other.bursts,
            self.burst_spikes + other.burst_spikes,
            self.steps_total + other.steps_total,
            summed_counts(self.intervals, other.intervals),
        )

    @property
    def spikes_per_neuron(self) -> float:
        """Mean number of spikes of a neuron for one sample."""
        return self.spikes / (self.neurons * self.samples)

    @property
    def burst_share(self) -> float | None:
        """Share of the spikes that belong to bursts; ``None`` without spikes."""
        return self.burst_spikes / self.spikes if self.spikes else None

    @property
    def mean_burst_length(self) -> float | None:
        """Mean number of spikes of a burst; ``None`` without bursts."""
        return self.burst_spikes / self.bursts if self.bursts else None

    @property
    def mean_step(self) -> float | None:
        """Mean step at which a spike is fired; ``None`` without spikes."""
        return self.steps_total / self.spikes if self.spikes else None

    def interval_share(self, first: int, last: int | None = None) -> float | None:
        """Share of the intervals from ``first`` to ``last`` steps (``None``: and longer); ``None`` without any."""
        chosen = self.intervals[first : None if last is None else last + 1]
        return sum(chosen) / sum(self.intervals) if any(self.intervals) else None

    def to_dict(self) -> dict[str, Any]:
        """All figures as plain data, ready for JSON."""
        return {
            **vars(self),
            "intervals": list(self.intervals),
            "spikes_per_neuron": self.spikes_per_neuron,
            "burst_share": self.burst_share,
            "mean_burst_length": self.mean_burst_length,
            "mean_step": self.mean_step,
        }


@dataclass(frozen=True)
class SpikeStatistics(Tabular):
    """Spike trains of all populations in order of execution, and of all together. Prints as a table.

    Attributes:
        steps: Time steps of a train.
        samples: Number of samples.
        populations: The statistics of every population.
    """

    steps: int
    samples: int
    populations: tuple[TrainStatistics, ...]

    def merge(self, other: SpikeStatistics) -> SpikeStatistics:
        """The statistics on the data of both, exact to the last count.

        Both must be of one network under one setting. Raises ``InputError`` where they cannot be.
        """
        check_alike(self, other, ("steps",))
        check_alike(self.overall, other.overall, ("neurons",))
        pairs = zip(self.populations, other.populations, strict=True)
        return SpikeStatistics(self.steps, self.samples + other.samples, tuple(one.merge(two) for one, two in pairs))

    @property
    def overall(self) -> TrainStatistics:
        """All populations together; in a pipeline steps still count from the start of each population's window."""
        columns = zip_longest(*(population.intervals for population in self.populations), fillvalue=0)

        def total(name: str) -> int:
            return sum(getattr(population, name) for population in self.populations)

        return TrainStatistics(
            name="all",
            neurons=total("neurons"),
            samples=self.samples,
            spikes=total("spikes"),
            bursts=total("bursts"),
            burst_spikes=total("burst_spikes"),
            steps_total=total("steps_total"),
            intervals=tuple(sum(column) for column in columns),
        )

    def to_dict(self) -> dict[str, Any]:
        """All figures as plain data, ready for JSON."""
        return {
            "steps": self.steps,
            "samples": self.samples,
            "populations": [population.to_dict() for population in self.populations],
            "overall": self.overall.to_dict(),
        }

    def to_table(self) -> ResultTable:
        """The trains of every population and of all together; of intervals the shares."""
        columns = (
            Column("population"),
            Column("spikes per neuron", form=".3f"),
            Column("in bursts", form=".1%"),
            Column("burst length", form=".2f"),
            Column("mean step", form=".2f"),
            *(Column(name, form=".1%") for name in _INTERVALS),
        )
        return ResultTable(columns, tuple(_row(train) for train in (*self.populations, self.overall)))

    def __str__(self) -> str:
        return f"{self.samples} samples, {self.steps} steps\n{self.to_table()}"


#: Columns of intervals, in steps from a spike to the next.
_INTERVALS = ("interval of 1 step", *(f"of {d}" for d in ("2", "3", "4", "5 to 8")), "of 9 or more")


def _row(train: TrainStatistics) -> tuple[Cell, ...]:
    shares = [train.interval_share(d, d) for d in (1, 2, 3, 4)] + [train.interval_share(5, 8), train.interval_share(9)]
    bursts = (train.burst_share, train.mean_burst_length, train.mean_step)
    return train.name, train.spikes_per_neuron, *bursts, *shares


@own_surroundings()
def spike_statistics(
    network: SpikingNetwork,
    data: Any,
    *,
    simulator: str = "clock",
    steps: int | None = None,
    seed: int = 0,
    before: int = 0,
    progress: ProgressCallback | None = None,
) -> SpikeStatistics:
    """Inter-spike intervals, bursts and firing steps of ``network`` on ``data``; no raster is kept.

    Args:
        network: The network to run.
        data: What ``evaluate`` takes.
        simulator: As for ``SpikingNetwork.run``.
        steps: As for ``SpikingNetwork.run``.
        seed: Seed of a stochastic input.
        before: Samples of the data that come before these and are measured elsewhere, to be merged: what is drawn for a
            sample goes by ``seed`` and its position.
        progress: Called as the work comes on; what it raises ends the work (see ``Progress``).

    Returns:
        The statistics of every population.

    Raises:
        InputError: The data do not fit the network.
        ConfigurationError: The simulator or the steps are not supported for the network.

    Example:
        >>> statistics = snnconv.spike_statistics(stream, images)
        >>> print(statistics)
        >>> statistics.overall.intervals  # how often a neuron fired again after so many steps
    """
    trains = TrainObserver(network)
    passage = Passage(progress, "counting spikes", data, network.batch_axis)
    chosen = simulator_for(network, simulator, steps=steps, seed=seed)
    for inputs, _ in batches(data, "data"):
        chosen.run(network.check(inputs, "data"), [trains], passage.samples, before + trains.samples)
        passage.batch()
    passage.end()
    return SpikeStatistics(chosen.steps, trains.samples, trains.result())


class TrainObserver(Observer):
    """Folds spikes into statistics of trains as they come; of a train only its last spike is remembered."""

    of_windows = "everything"

    def __init__(self, network: NetworkBase) -> None:
        self.network = network
        self.samples = 0
        self._batch = 0
        self._last: dict[str, Tensor] = {}
        self._in_burst: dict[str, Tensor] = {}
        self._sums = {node: _Sums() for node in network.populations}

    def begin(self, samples: int) -> None:
        self.samples += samples
        self._batch = samples
        self._last, self._in_burst = {}, {}

    def payload(self, node: str, t: int, payload: Tensor, samples: Samples) -> None:
        spikes = payload != 0
        if node not in self._last:
            self._in_burst[node] = room_for(spikes, samples, self._batch)
            self._last[node] = torch.full_like(self._in_burst[node], -1, dtype=torch.int32)
        last, in_burst = self._last[node][samples], self._in_burst[node][samples]
        consecutive = spikes & (last == t - 1) & (last >= 0)
        self._sums[node].add(t, spikes, consecutive, in_burst, (t - last)[spikes & (last >= 0)])
        self._last[node][samples] = last.masked_fill(spikes, t)
        self._in_burst[node][samples] = consecutive

    def window(self, node: str, window: PopulationWindow, samples: Samples) -> None:
        for t, payload in enumerate(window.payloads()):
            self.payload(node, t, payload, samples)

    def result(self) -> tuple[TrainStatistics, ...]:
        """Statistics of every population."""
        return tuple(
            self._sums[node].statistics(population.name, population.neurons, self.samples)
            for node, population in self.network.populations.items()
        )


class _Sums:
    def __init__(self) -> None:
        self.spikes = self.bursts = self.burst_spikes = self.steps_total = 0
        self.intervals: tuple[int, ...] = ()

    def add(self, t: int, spikes: Tensor, consecutive: Tensor, in_burst: Tensor, intervals: Tensor) -> None:
        """Spikes of step ``t``, which of them follow one of the step before, and whether that one was in a burst."""
        fired, following = int(spikes.sum()), int(consecutive.sum())
        begun = int((consecutive & ~in_burst).sum())
        self.spikes += fired
        self.steps_total += t * fired
        self.bursts += begun
        self.burst_spikes += following + begun
        counts: Sequence[int] = torch.bincount(intervals).tolist()
        self.intervals = summed_counts(self.intervals, counts)

    def statistics(self, name: str, neurons: int, samples: int) -> TrainStatistics:
        return TrainStatistics(
            name,
            neurons,
            samples,
            self.spikes,
            self.bursts,
            self.burst_spikes,
            self.steps_total,
            self.intervals,
        )
