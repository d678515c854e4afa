"""Weights of neurons: whole numbers that each of their spikes counts for, laid out as a map of the neurons is."""

from __future__ import annotations

from functools import cached_property

import torch
from torch import Tensor

from coding.window.closed_form import memory_order


class NeuronWeights:
    """What a spike of each neuron of one sample counts for: whole numbers, so that sums do not depend on their order.

    Args:
        values: As the neurons of a sample, ``[...]``.

    Raises:
        ValueError: A number is not whole.
    """

    def __init__(self, values: Tensor) -> None:
        if bool((values != values.round()).any()):
            raise ValueError("weights of neurons are whole numbers")
        self.values = values
        self._laid_out: dict[tuple[torch.device, tuple[int, ...]], Tensor] = {}

    @cached_property
    def uniform(self) -> int | None:
        """What all neurons have; ``None`` where they differ."""
        lowest, highest = self.values.aminmax()
        return int(lowest) if bool(lowest == highest) else None

    def of_sum(self, spikes: float) -> float:
        """What so many spikes count for, whoever fired them; defined where all neurons have the same."""
        if self.uniform is None:
            raise ValueError("neurons have different weights")
        return self.uniform * spikes

    @cached_property
    def _dtype(self) -> torch.dtype:
        return torch.int32 if bool(self.values.abs().max() < 2**31) else torch.int64

    def along(self, sample: Tensor) -> Tensor:
        """The weights in a row, as neurons of ``sample`` lie in memory, in 32 bits each where these hold all."""
        key = sample.device, sample.stride()
        found = self._laid_out.get(key)
        if found is None:
            row = self.values.permute(memory_order(sample)).reshape(-1).to(sample.device, self._dtype).contiguous()
            # The first of several threads wins: jobs know where a tensor lies, so none may take another's place.
            found = self._laid_out.setdefault(key, row)
        return found

    def total(self, spikes: Tensor) -> float:
        """The sum of ``spikes``, one number for each neuron, by these weights."""
        row = spikes.permute(memory_order(spikes)).reshape(-1).double()
        if self.uniform is not None:
            return self.of_sum(float(row.sum()))
        return float(torch.dot(row, self.along(spikes).double()))
