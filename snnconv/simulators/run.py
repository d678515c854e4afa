"""Run: what one simulation of a batch gives back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from torch import Tensor


@dataclass(frozen=True)
class Run:
    """Output, spikes and synaptic operations of one batch.

    Attributes:
        output: The decoded output.
        steps: The time steps that each sample took, ``[N]``.
        samples: Number of samples in the batch.
        spikes: Spikes by population, in the whole batch.
        input_spikes: Spikes of the input, in the whole batch.
        synops: Synaptic operations by population, gate, product or spiking input, in the whole batch.
        synops_by_layer: Synaptic operations, every weighted operator between two populations counted by itself.
        synops_are_bound: Whether ``synops`` are upper bounds.
        neurons: Number of neurons, for one sample.
        outputs: The decoded output of every step ``[T, N, ...]``, if recorded.
        rasters: Payloads ``[T, N, ...]`` by population, if recorded.
    """

    output: Any
    steps: Tensor
    samples: int
    spikes: dict[str, float]
    input_spikes: float
    synops: dict[str, float]
    synops_by_layer: dict[str, float]
    synops_are_bound: bool
    neurons: dict[str, int]
    outputs: Any = None
    rasters: dict[str, Tensor] = field(default_factory=dict)

    @property
    def spikes_per_neuron(self) -> float:
        """Mean number of spikes of a hidden neuron for one sample."""
        return sum(self.spikes.values()) / (self.samples * sum(self.neurons.values()))

    def __repr__(self) -> str:
        spikes, neurons = sum(self.spikes.values()), sum(self.neurons.values())
        return f"Run({self.samples} samples, {self.steps.max()} steps, {spikes:.0f} spikes of {neurons} neurons)"
