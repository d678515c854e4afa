"""The double-exponential neuron of an output: it remembers by what its class is preferred to another."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from coding.errors import ConfigurationError
from coding.threshold import reaches
from neurons.double_exponential import DoubleExponential, SynapseState, erased
from neurons.neuron import UpdateCost


class DecidingState(NamedTuple):
    """State of the synapses, step of the first spike (infinite before) and potential in that step."""

    synapses: SynapseState
    first: Tensor
    height: Tensor


@dataclass(frozen=True)
class DoubleExponentialOutput:
    """``DoubleExponential`` for an output ``[N, classes]``, which decides for the neuron that fires most.

    Of several, for the one that fired first; of several in one step, for the one with the highest potential in it. A
    score is the number of spikes and a share below 1 that grows with this preference, so that its whole part is the
    count. Reading a decision off is not charged as an update.

    Args:
        current_decay: Factor of the current from one step to the next, in [0, 1).
        potential_decay: Factor of the potential from one step to the next, in [0, 1).
        scale: Factor of the current; ``None`` is that with which the response to one unit spike peaks at 1.

    Raises:
        ConfigurationError: A decay lies outside [0, 1), or the scale is not positive.
    """

    current_decay: float = 0.99
    potential_decay: float = 0.99
    scale: float | None = None

    papers = ("kim2020antlr",)

    def __post_init__(self) -> None:
        _ = self.neuron  # raises for a number out of range

    @cached_property
    def neuron(self) -> DoubleExponential:
        """What fires."""
        return DoubleExponential(self.current_decay, self.potential_decay, self.scale)

    @property
    def unit_payload(self) -> bool:
        return True

    @property
    def update_cost(self) -> UpdateCost:
        return self.neuron.update_cost

    def initial(self, like: Tensor) -> DecidingState:
        never = torch.full_like(like, torch.inf, requires_grad=False)
        return DecidingState(self.neuron.initial(like), never, -never)

    def step(
        self, current: Tensor, state: DecidingState, t: int, inverse_scale: Tensor | float = 1.0
    ) -> tuple[Tensor, DecidingState]:
        return self.biased_step(current, state, t, inverse_scale, None)

    def biased_step(
        self, current: Tensor, state: DecidingState, t: int, inverse_scale: Tensor | float, bias: Tensor | None
    ) -> tuple[Tensor, DecidingState]:
        reached = self.neuron.integrated(current, state.synapses, inverse_scale, bias)
        spikes = reaches(reached.potential, 1.0, out=current)
        fired = spikes != 0
        new = fired & state.first.isinf()
        height = torch.where(new, reached.potential, state.height)
        return spikes, DecidingState(erased(reached, fired), state.first.masked_fill_(new, t), height)

    def score(self, counts: Tensor, state: DecidingState, steps: int) -> Tensor:
        """Raises ``ConfigurationError`` for more steps and classes than the precision can tell apart."""
        classes = counts.shape[1]
        if steps * (classes + 1) * 2.0 * torch.finfo(counts.dtype).eps > 1.0:
            raise ConfigurationError(
                f"{counts.dtype} cannot tell apart the scores of {classes} classes after {steps} steps; "
                "use network.double(), or fewer steps"
            )
        # Stable sorts by one key after the other, the most important last; what is still equal goes by its index.
        order = (-state.height).argsort(dim=1, stable=True)
        order = order.gather(1, state.first.gather(1, order).argsort(dim=1, stable=True))
        places = torch.arange(classes, device=order.device).expand_as(order)
        rank = torch.empty_like(order).scatter_(1, order, places)
        share = (classes - rank).to(counts.dtype) / (classes + 1)
        return torch.where(counts > 0, counts + share, 0.0)


def deciding(neuron: DoubleExponential) -> DoubleExponentialOutput:
    """``neuron`` as one of an output."""
    return DoubleExponentialOutput(neuron.current_decay, neuron.potential_decay, neuron.scale)
