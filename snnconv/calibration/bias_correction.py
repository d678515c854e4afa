"""Bias correction: a shift per channel that takes back the mean error of the currents that quantised sources cause."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from snnconv.calibration.original_currents import OriginalCurrents
from snnconv.graph.divisors import axes_of_divisor
from snnconv.graph.interpreter import Handler, Program
from snnconv.graph.operators.activation import activation_at
from snnconv.graph.operators.ratio import RatioPopulation
from snnconv.graph.operators.sample_masks import fires_if_shifted
from snnconv.graph.operators.tabulated import Tabulated
from snnconv.progress import PartsDone, ProgressCallback
from snnconv.spiking.population import Population
from snnconv.spiking.settling import decode

#: Values of a current whose errors are summed at once, so that they stay in the cache.
_BLOCK = 2**17


def corrected(
    populations: Mapping[str, Population], original: OriginalCurrents, progress: ProgressCallback | None = None
) -> dict[str, Population]:
    """``populations`` of a pipeline with shifts that remove the mean error of their currents, channel by channel.

    Populations are taken in order of execution, each behind the corrected ones before it (light calibration of Li et
    al. 2021, for currents instead of outputs). Neurons weigh by the square of their activation's slope, since an error
    counts by what it does to the output: neurons that both networks keep silent weigh nothing, those below zero of a
    leaky ReLU little. As far as it may be chance, because samples differ in it, the mean is not taken back.
    ``original`` has the samples.
    """
    graph = original.graph
    parts = PartsDone(progress, "correcting biases", len(populations))
    found: dict[str, Population] = {}

    def fire(node: str, population: Population) -> Handler:
        operator = activation_at(graph.nodes[node])
        # A shift would make neurons fire at pairs that a mask forbids, and those of a ratio whose divisor says that
        # they are silent; in a divisor a shift that suits large ones is too much for small ones.
        divides = isinstance(population.activation, Tabulated) and population.activation.divides
        divides = divides or axes_of_divisor(graph, graph.nodes[node]) is not None
        absent = fires_if_shifted(graph, graph.nodes[node])
        shifted = not (divides or absent or isinstance(operator, RatioPopulation))

        def correct(arguments: Mapping[str, Any]) -> Tensor:
            current, exact = operator.current(arguments), original.take(node)
            parts.more()
            if not shifted:
                found[node] = population
                return decode(population, current)
            shift = mean_error(exact, current, population, graph.batch_axis == 0)
            found[node] = replace(population, shift=shift.to(population.shift))
            return decode(found[node], current)

        return correct

    program = Program([*graph.nodes.values()])
    handlers = {node: fire(node, population) for node, population in populations.items()}
    with torch.no_grad():
        for _ in zip(original.run(), program.steps(original.environment(), handlers), strict=True):
            pass  # side by side: what the original computes need not be held for longer than the node before it
    parts.end()
    return found


def mean_error(exact: Tensor, current: Tensor, population: Population, batched: bool) -> Tensor:
    """Mean of the weighted errors of ``current``, ``[channels]``, shrunk by its uncertainty (James and Stein 1961)."""
    sums, counts = _weighted_errors(exact, current, population, batched)
    count = counts.sum(0)
    count = torch.where(count > 0.0, count, 1.0)
    mean = sums.sum(0) / count
    samples = len(sums)
    if samples < 2:
        return mean
    # The variance of the mean follows from how far every sample's sum is from what the mean would make of it.
    variance = ((sums - mean * counts) / count).square().sum(0) * (samples / (samples - 1))
    return mean * (1.0 - variance / mean.square().clamp(min=1e-30)).clamp(min=0.0)


def _weighted_errors(exact: Tensor, current: Tensor, population: Population, batched: bool) -> tuple[Tensor, Tensor]:
    """Sums of weighted errors, and of weights, of every channel in every sample, both ``[samples, channels]``."""
    weight_of, samples = population.activation.error_weight, len(exact) if batched else 1
    together = max(1, _BLOCK * samples // max(1, exact.numel())) if batched else max(1, len(exact))
    sums, counts = [], []
    for wanted, found in zip(torch.split(exact, together), torch.split(current, together), strict=True):
        weights = torch.maximum(weight_of(wanted), weight_of(found))
        counts.append(_by_sample(weights, population, batched))
        sums.append(_by_sample((wanted - found).mul_(weights), population, batched))
    return torch.cat(sums), torch.cat(counts)


def _by_sample(values: Tensor, population: Population, batched: bool) -> Tensor:
    """Sums of every channel in every sample, ``[samples, channels]``."""
    axis = population.channel_axis
    channels = values.unsqueeze(-1) if axis is None else values.movedim(axis, -1)
    return channels.reshape(len(values) if batched else 1, -1, channels.shape[-1]).sum(1)
