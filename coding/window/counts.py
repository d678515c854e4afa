"""Spike counts of rate code over a window, computed, and as trains that are looked up."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from coding.threshold import reaches
from coding.window.closed_form import BITS, Train

#: Steps of windows whose counts are looked up: of more, too many lie in one cell of the table.
MOST_STEPS = 2**14


def counts(values: Tensor, steps: int, initial_potential: float) -> Tensor:
    """Unit spikes that a constant drive of each of ``values`` makes within so many ``steps``."""
    potential = values * steps + initial_potential
    spikes = potential.floor()
    return spikes.add_(reaches(potential.sub_(spikes), 1.0)).clamp_(0, steps)


class CountTable(NamedTuple):
    """``counts`` as trains; of values that are numbers, since a count that is looked up cannot be NaN."""

    steps: int
    initial_potential: float

    def trains_in(self, dtype: torch.dtype) -> list[Train] | None:
        """See ``TrainTable``; ``None`` also where a value of 0 fires, or one of 2 does not at every step."""
        ends = counts(torch.tensor([0.0, 2.0], dtype=dtype), *self).tolist()
        if self.steps > MOST_STEPS or ends != [0.0, self.steps]:
            return None
        lowest = [0.0, *self._lowest(dtype).tolist()]
        return [Train(value, count / self.steps, count, self.steps) for count, value in enumerate(lowest)]

    def _lowest(self, dtype: torch.dtype) -> Tensor:
        """The smallest number of ``dtype`` for each count from 1 on: what lies between the bits of two is halved."""
        wanted = torch.arange(1, self.steps + 1, dtype=dtype)
        below = torch.zeros(self.steps, dtype=BITS[dtype][0])  # the bits of numbers whose counts are smaller
        above = torch.full((self.steps,), 2.0, dtype=dtype).view(BITS[dtype][0])
        while bool((above - below > 1).any()):
            middle = below + (above - below) // 2
            reached = counts(middle.view(dtype), *self) >= wanted
            above, below = torch.where(reached, middle, above), torch.where(reached, below, middle)
        return above.view(dtype)
