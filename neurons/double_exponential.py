"""The double-exponential neuron: a synaptic current and a membrane potential that both decay, and both reset."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from coding.errors import ConfigurationError
from coding.threshold import reaches
from neurons.neuron import UpdateCost, integrate


class SynapseState(NamedTuple):
    """Synaptic current and membrane potential after the reset, both shaped as the neurons."""

    current: Tensor
    potential: Tensor


@dataclass(frozen=True)
class DoubleExponential:
    """Leaky neuron whose response to one spike is a difference of exponentials (Kim, Kim and Kim 2020, section 2).

    With input z[t], the current is I[t] = ``current_decay`` (1 - S[t-1]) I[t-1] + z[t] and the potential is
    V[t] = ``potential_decay`` (1 - S[t-1]) V[t-1] + ``scale`` (I[t] + b); a spike S[t] is fired where V[t] reaches 1,
    and erases both. The bias b is the population's shift.

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
        for name in ("current_decay", "potential_decay"):
            if not 0.0 <= getattr(self, name) < 1.0:
                raise ConfigurationError(f"DoubleExponential: {name} must lie in [0, 1), got {getattr(self, name)!r}")
        if self.scale is not None and not 0.0 < self.scale < float("inf"):
            raise ConfigurationError(f"DoubleExponential: scale must be positive or None, got {self.scale!r}")

    @property
    def unit_payload(self) -> bool:
        return True

    @property
    def update_cost(self) -> UpdateCost:
        return UpdateCost(words=2, additions=4, multiplications=3)  # two states; two sums, comparison and reset

    @cached_property
    def gain(self) -> float:
        """What the potential takes of the current and of a bias: ``scale``, or one over the peak of the response."""
        if self.scale is not None:
            return self.scale
        response, decayed = 1.0, 1.0
        while True:  # the response has one peak
            decayed *= self.current_decay
            following = self.potential_decay * response + decayed
            if following <= response:
                return 1.0 / response
            response = following

    def kernel(self, steps: int) -> Tensor:
        """The potential ``[steps]`` (float64) after one unit spike at step 0, without resets."""
        values, current, potential = [], 1.0, 0.0
        for _ in range(steps):
            potential = self.potential_decay * potential + self.gain * current
            values.append(potential)
            current *= self.current_decay
        return torch.tensor(values, dtype=torch.float64)

    def initial(self, like: Tensor) -> SynapseState:
        return SynapseState(torch.zeros_like(like, requires_grad=False), torch.zeros_like(like, requires_grad=False))

    def step(
        self, current: Tensor, state: SynapseState, t: int, inverse_scale: Tensor | float = 1.0
    ) -> tuple[Tensor, SynapseState]:
        return self.biased_step(current, state, t, inverse_scale, None)

    def biased_step(
        self, current: Tensor, state: SynapseState, t: int, inverse_scale: Tensor | float, bias: Tensor | None
    ) -> tuple[Tensor, SynapseState]:
        reached = self.integrated(current, state, inverse_scale, bias)
        spikes = reaches(reached.potential, 1.0, out=current)
        return spikes, erased(reached, spikes != 0)

    def integrated(
        self, current: Tensor, state: SynapseState, inverse_scale: Tensor | float, bias: Tensor | None
    ) -> SynapseState:
        """Current and potential before the reset; ``state`` is consumed."""
        synaptic = integrate(state.current.mul_(self.current_decay), current, inverse_scale)
        potential = state.potential.mul_(self.potential_decay).add_(synaptic, alpha=self.gain)
        if bias is not None:
            potential.add_(self.gain * bias)
        return SynapseState(synaptic, potential)


def erased(state: SynapseState, fired: Tensor) -> SynapseState:
    """``state``, which is consumed, after the reset where ``fired``."""
    return SynapseState(state.current.masked_fill_(fired, 0.0), state.potential.masked_fill_(fired, 0.0))
