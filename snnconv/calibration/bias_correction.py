"""Bias correction: a shift per channel that takes back the mean error of the currents that quantised sources cause."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from snnconv.data.batches import Inputs
from snnconv.graph.divisors import axes_of_divisor
from snnconv.graph.graph import Graph
from snnconv.graph.interpreter import Handler, Program
from snnconv.graph.operators.activation import activation_at
from snnconv.graph.operators.ratio import RatioPopulation
from snnconv.graph.operators.sample_masks import fires_if_shifted
from snnconv.graph.operators.tabulated import Tabulated
from snnconv.progress import PartsDone, ProgressCallback
from snnconv.spiking.population import Population
from snnconv.spiking.settling import decode

#: Samples that means are taken over (their error is then far below that of a spike), and activations held at once.
_MOST_SAMPLES, _MOST_ACTIVATIONS = 128, 2**27


def corrected(
    graph: Graph,
    populations: Mapping[str, Population],
    chunks: Sequence[Inputs],
    progress: ProgressCallback | None = None,
) -> dict[str, Population]:
    """``populations`` of a pipeline with shifts that remove the mean error of their currents, channel by channel.

    Populations are taken in order of execution, each behind the corrected ones before it (light calibration of Li et
    al. 2021, for currents instead of outputs). Neurons weigh by the square of their activation's slope, since an error
    counts by what it does to the output: neurons that both networks keep silent weigh nothing, those below zero of a
    leaky ReLU little. As far as it may be chance, because samples differ in it, the mean is not taken back.
    ``chunks`` are calibration samples; as many are used as memory allows.
    """
    samples = _samples(populations, chunks, graph.batch_axis == 0)
    parts = PartsDone(progress, "correcting biases", 2 * len(populations))  # two passes
    wanted: dict[str, Tensor] = {}
    found: dict[str, Population] = {}

    def listen(node: str, population: Population) -> Handler:
        operator = activation_at(graph.nodes[node])

        def keep(arguments: Mapping[str, Any]) -> Tensor:
            wanted[node] = operator.current(arguments)
            parts.more()
            return population.activation(wanted[node])

        return keep

    def fire(node: str, population: Population) -> Handler:
        operator = activation_at(graph.nodes[node])
        # A shift would make neurons fire at pairs that a mask forbids, and those of a ratio whose divisor says that
        # they are silent; in a divisor a shift that suits large ones is too much for small ones.
        divides = isinstance(population.activation, Tabulated) and population.activation.divides
        divides = divides or axes_of_divisor(graph, graph.nodes[node]) is not None
        absent = fires_if_shifted(graph, graph.nodes[node])
        shifted = not (divides or absent or isinstance(operator, RatioPopulation))

        def correct(arguments: Mapping[str, Any]) -> Tensor:
            current = operator.current(arguments)
            parts.more()
            if not shifted:
                found[node] = population
                return decode(population, current)
            difference = wanted.pop(node) - current
            weight_of = population.activation.error_weight
            weights = torch.maximum(weight_of(current + difference), weight_of(current))
            shift = _mean_error(difference * weights, weights, population, graph.batch_axis == 0)
            found[node] = replace(population, shift=shift.to(population.shift))
            return decode(found[node], current)

        return correct

    program = Program([*graph.nodes.values()])
    runs = [
        program.steps(
            {**graph.constants, **dict(zip(graph.taken, samples, strict=True))},
            {node: make(node, population) for node, population in populations.items()},
        )
        for make in (listen, fire)
    ]
    with torch.no_grad():
        for _ in zip(*runs, strict=True):  # side by side, so that no more than a current waits for the other
            pass
    parts.end()
    return found


def _samples(populations: Mapping[str, Population], chunks: Sequence[Inputs], batched: bool) -> Inputs:
    if len(chunks) == 1 or not batched:
        return chunks[0]
    neurons = sum(population.neurons for population in populations.values())
    most = min(_MOST_SAMPLES, max(1, _MOST_ACTIVATIONS // neurons))
    return tuple(torch.cat(column)[:most] for column in zip(*chunks, strict=True))


def _mean_error(errors: Tensor, weights: Tensor, population: Population, batched: bool) -> Tensor:
    """Mean of weighted ``errors``, ``[channels]``, shrunk by its uncertainty (James and Stein 1961)."""
    sums, counts = _by_sample(errors, population, batched), _by_sample(weights, population, batched)
    count = counts.sum(0)
    count = torch.where(count > 0.0, count, 1.0)
    mean = sums.sum(0) / count
    samples = len(sums)
    if samples < 2:
        return mean
    # The variance of the mean follows from how far every sample's sum is from what the mean would make of it.
    variance = ((sums - mean * counts) / count).square().sum(0) * (samples / (samples - 1))
    return mean * (1.0 - variance / mean.square().clamp(min=1e-30)).clamp(min=0.0)


def _by_sample(values: Tensor, population: Population, batched: bool) -> Tensor:
    """Sums of every channel in every sample, ``[samples, channels]``."""
    axis = population.channel_axis
    channels = values.unsqueeze(-1) if axis is None else values.movedim(axis, -1)
    return channels.reshape(len(values) if batched else 1, -1, channels.shape[-1]).sum(1)
