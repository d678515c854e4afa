"""Run: what one simulation of a batch gives back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from torch import Tensor


@dataclass(frozen=True)
class Run:
    """Output, spikes and synaptic operations of one batch.

    ``output`` is the decoded output; ``steps`` the time steps each sample took, ``[N]``. ``spikes`` (by population)
    and ``synops`` (by population, gate or spiking input) are totals over the ``samples`` of the batch.
    ``synops_by_layer`` counts every weighted operator between two populations by itself. ``neurons`` is for one sample.
    ``outputs`` ``[T, N, ...]`` and ``rasters`` (payloads ``[T, N, ...]`` by population) only if recorded.
    """

    output: Any
    steps: Tensor
    samples: int
    spikes: dict[str, float]
    input_spikes: float
    synops: dict[str, float]
    synops_by_layer: dict[str, float]
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
