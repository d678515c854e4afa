"""What a network of spikes is judged by: decisions, spikes until the decision, and how learning changes trains."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from snnconv.learning.layer import LayerSpikes
from snnconv.learning.losses import first_spikes
from snnconv.learning.rule import GradientRule


@dataclass(frozen=True)
class Measures:
    """Means over samples; accuracies in percent, spikes per sample, latency in steps.

    ``by_first`` decides for the output that fires first (of several in one step, the one with the highest potential),
    ``by_count`` for the one that fires most (of several, the one of them that fires first). A sample without an output
    spike has no decision, is wrong, and has the whole simulation as its latency. ``spikes`` are those of all layers,
    outputs included and inputs not; ``necessary_spikes`` those up to and including the step of the first output spike.
    Accuracies of samples without labels are NaN.
    """

    samples: int
    by_first: float
    by_count: float
    spikes: float
    necessary_spikes: float
    latency: float
    silent: float

    def merge(self, other: Measures) -> Measures:
        """The measures of the samples of both, exact to the last count; both must be of one network."""
        samples = self.samples + other.samples

        def mean(name: str, unit: float = 1.0) -> float:
            sums = [getattr(each, name) / unit * each.samples for each in (self, other)]  # integers, but for rounding
            return math.nan if math.isnan(sum(sums)) else unit * (sum(map(round, sums)) / samples)

        return Measures(
            samples=samples,
            by_first=mean("by_first", 100.0),
            by_count=mean("by_count", 100.0),
            spikes=mean("spikes"),
            necessary_spikes=mean("necessary_spikes"),
            latency=mean("latency"),
            silent=mean("silent", 100.0),
        )


@dataclass
class Tally:
    """Sums up ``Measures`` batch by batch: ``sums`` of all samples; not all are ``labelled`` where one batch is not."""

    sums: list[int] = field(default_factory=lambda: [0] * 7)
    labelled: bool = True

    def add(self, layers: Sequence[LayerSpikes], labels: Tensor | None) -> None:
        """Count the spikes of all layers of one batch, the last being the output, under ``labels`` ``[N]``, if any."""
        if labels is None:
            self.labelled = False
            labels = torch.full(layers[-1].events.shape[1:2], -1, device=layers[-1].events.device)
        output = layers[-1]
        steps = len(output.events)
        first = first_spikes(output.events)
        earliest = first.amin(1)
        decided = earliest < steps
        by_first = decide_by_first(output.events, output.potential)
        by_count = decide_by_count(output.events, output.potential)
        running = torch.arange(steps, device=labels.device).unsqueeze(1) <= earliest
        per_step = sum(layer.events.detach().sum(2) for layer in layers)
        assert isinstance(per_step, Tensor)
        found = (
            torch.ones_like(labels),
            (by_first == labels) & decided,
            (by_count == labels) & decided,
            per_step.sum(0),
            (per_step * running).sum(0),
            earliest,
            ~decided,
        )
        for position, values in enumerate(found):
            self.sums[position] += round(float(values.double().sum()))

    def measures(self) -> Measures:
        """The means over all batches added."""
        samples, *sums = self.sums
        first, count, spikes, necessary, latency, silent = (value / samples for value in sums)
        by_first, by_count = (100.0 * first, 100.0 * count) if self.labelled else (math.nan, math.nan)
        return Measures(samples, by_first, by_count, spikes, necessary, latency, 100.0 * silent)


def merged(tallies: Sequence[Tally]) -> Tally:
    """All of ``tallies`` together, exact to the last count."""
    sums = [sum(counts) for counts in zip(*(each.sums for each in tallies), strict=True)]
    return Tally(sums, all(each.labelled for each in tallies))


def decide_by_first(events: Tensor, potential: Tensor) -> Tensor:
    """The output ``[N]`` that fires first, ties going to the higher potential; for ``[T, N, classes]``."""
    first = first_spikes(events)
    return _preferred(first == first.amin(1, keepdim=True), first, potential)


def decide_by_count(events: Tensor, potential: Tensor) -> Tensor:
    """The output ``[N]`` that fires most, ties going to the earlier first spike, then to the higher potential."""
    counts, first = events.detach().sum(0), first_spikes(events)
    most = counts == counts.amax(1, keepdim=True)
    first = torch.where(most, first, len(events))
    return _preferred(most & (first == first.amin(1, keepdim=True)), first, potential)


def _preferred(candidates: Tensor, first: Tensor, potential: Tensor) -> Tensor:
    at = first.clamp(max=len(potential) - 1).unsqueeze(0)
    height = potential.gather(0, at).squeeze(0)
    return torch.where(candidates, height, -torch.inf).argmax(1)


@dataclass(frozen=True)
class Change:
    """How the trains of a fixed batch differ from those before: spikes per sample, and steps.

    Where a neuron fires more often than before, the difference is ``created``, where less often ``removed``; ``moved``
    is by how many steps first spikes moved, a mean over the neurons that fired before and after.
    """

    created: float
    removed: float
    moved: float


def change(before: Sequence[Tensor], after: Sequence[Tensor]) -> Change:
    """The change between two lists of layers' ``events`` ``[T, N, n]`` for the same input."""
    created = removed = moved = 0.0
    both_fired = 0
    for old, new in zip(before, after, strict=True):
        difference = new.sum(0) - old.sum(0)
        created += float(difference.clamp(min=0).sum())
        removed += float(difference.clamp(max=0).sum().neg())
        first, other = first_spikes(old), first_spikes(new)
        both = (first < len(old)) & (other < len(old))
        moved += float((first - other).abs()[both].sum())
        both_fired += int(both.sum())
    samples = before[0].shape[1]
    return Change(created / samples, removed / samples, moved / max(1, both_fired))


def clamped_share(layers: Sequence[LayerSpikes], rule: GradientRule) -> float:
    """Share of spikes at which the rise of the potential is below the clamp of ``rule``; 0 where no spike is."""
    clamped = spikes = 0.0
    for layer in layers:
        events = layer.events.detach()
        below = (rule.rise(events, layer.potential) < rule.clamp).to(events.dtype)
        clamped += float((below * events).sum())
        spikes += float(events.sum())
    return clamped / max(1.0, spikes)
