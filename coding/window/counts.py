"""Spike counts of rate code over a window, computed, and as levels that are looked up to the same bit."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from coding.kept import Kept
from coding.threshold import reaches
from coding.window.closed_form import BITS, MOST_KEPT, MOST_KEPT_BYTES, Levels, Train, levels_from

#: Steps of windows whose counts are looked up: of more, too many lie in one cell of the table.
MOST_STEPS = 2**14


def counts(values: Tensor, steps: int, initial_potential: float) -> Tensor:
    """Unit spikes that a constant drive of each of ``values`` makes within so many ``steps``."""
    potential = values * steps + initial_potential
    spikes = potential.floor()
    return spikes.add_(reaches(potential.sub_(spikes), 1.0)).clamp_(0, steps)


@partial(Kept, most=MOST_KEPT, limit=MOST_KEPT_BYTES, size=lambda levels: 0 if levels is None else levels.bytes)
def levels_of_counts(steps: int, initial_potential: float, dtype: torch.dtype, device: torch.device) -> Levels | None:
    """``counts`` as levels, or ``None`` where there are too many or no bits to go by."""
    if dtype not in BITS or steps > MOST_STEPS or counts(torch.zeros((), dtype=dtype), steps, initial_potential):
        return None
    lowest = _lowest(steps, initial_potential, dtype).tolist()
    found = [Train(lowest[count], count / steps, count, steps) for count in range(steps + 1)]
    return levels_from(found, dtype, device)


def _lowest(steps: int, initial_potential: float, dtype: torch.dtype) -> Tensor:
    """The smallest number of ``dtype`` that each count belongs to, from 0 on: halving what lies between two bits."""
    wanted = torch.arange(1, steps + 1, dtype=dtype)
    below = torch.zeros(steps, dtype=BITS[dtype][0])  # the bits of numbers whose counts are smaller
    above = torch.full((steps,), 2.0, dtype=dtype).view(BITS[dtype][0])
    while bool((above - below > 1).any()):
        middle = below + (above - below) // 2
        reached = counts(middle.view(dtype), steps, initial_potential) >= wanted
        above, below = torch.where(reached, middle, above), torch.where(reached, below, middle)
    return torch.cat([wanted.new_zeros(1), above.view(dtype)])
