"""Sums of what windows count: spikes and updates of all neurons and samples, and spikes by weights of their neurons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from coding import Quantized
from coding.window.closed_form import memory_order
from snnconv.kernels.layouts import over_samples
from snnconv.kernels.neuron_weights import NeuronWeights


class Sums(NamedTuple):
    """Spikes and updates of all neurons and samples, and these spikes by weights of their neurons."""

    spikes: float
    updates: float
    weighted: Mapping[NeuronWeights, float]


def summed(found: Quantized, batched: bool, weights: Sequence[NeuronWeights]) -> Sums:
    """Sums of what was counted of every neuron; axis 0 is that of samples if ``batched``."""
    assert found.spikes is not None and found.updates is not None
    spikes = over_samples(found.spikes) if batched else found.spikes
    total, updates = (float(each.sum(dtype=torch.float64)) for each in (spikes, found.updates))
    return Sums(total, updates, {each: each.total(spikes) for each in weights})


class Summing:
    """How a kernel sums windows of a current: ``samples`` lie behind each other, and weights as the neurons do."""

    def __init__(self, samples: int, weights: Sequence[NeuronWeights], rows: Mapping[NeuronWeights, Tensor]) -> None:
        self.samples = samples
        self._weights, self._rows = weights, rows

    @classmethod
    def of(cls, current: Tensor, batched: bool, weights: Sequence[NeuronWeights]) -> Summing | None:
        """That of a current without gaps; ``None`` where a kernel cannot sum by these weights."""
        differing = [each for each in weights if each.uniform is None]
        behind_each_other = batched and (len(current) == 1 or memory_order(current)[0] == 0)
        if batched and differing and not behind_each_other:
            return None
        rows = {each: each.along(current[0] if batched else current) for each in differing}
        if any(row.dtype != torch.int32 for row in rows.values()):
            return None
        return cls(len(current) if behind_each_other else 1, weights, rows)

    @property
    def kinds(self) -> int:
        """How many weights differ by neuron."""
        return len(self._rows)

    @cached_property
    def addresses(self) -> np.ndarray[Any, Any]:
        """Where the weights of each kind are."""
        return np.array([row.data_ptr() for row in self._rows.values()], np.int64)

    @cached_property
    def rows(self) -> Tensor:
        """The weights of all kinds, ``[kinds, neurons]``."""
        rows = list(self._rows.values())
        return rows[0][None] if len(rows) == 1 else torch.stack(rows)

    def sums(self, totals: Sequence[float]) -> Sums:
        """The sums of ``totals``: updates, spikes, and these by each kind of weights."""
        updates, spikes, *weighted = map(float, totals)
        found = dict(zip(self._rows, weighted, strict=True))
        return Sums(spikes, updates, found | {each: each.of_sum(spikes) for each in self._weights if each not in found})
