"""Integrate-and-fire neurons: a sum of currents that fires when it reaches a threshold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from coding.code import Code, Memory
from coding.errors import ConfigurationError
from neurons.neuron import UpdateCost, integrate


class MembraneState(NamedTuple):
    """Membrane potential (normalised) and what the code remembers between steps."""

    potential: Tensor
    memory: Memory


@dataclass(frozen=True)
class IntegrateFire:
    """Integrate-and-fire neuron without leak (Rueckauer et al. 2017, eq. 2 to 5).

    ``reset="subtract"`` takes the emitted payload off the potential, which keeps what exceeded the threshold;
    ``reset="zero"`` sets the potential to 0. ``initial_potential`` of one half makes the spike count round to the
    nearest instead of down. Raises ``ConfigurationError`` for another reset or a potential outside [0, 1).
    """

    code: Code
    reset: Literal["subtract", "zero"] = "subtract"
    initial_potential: float = 0.5

    update_cost = UpdateCost(words=1, additions=3, multiplications=0)  # integrate, compare, reset

    def __post_init__(self) -> None:
        if self.reset not in ("subtract", "zero"):
            raise ConfigurationError(f"reset must be 'subtract' or 'zero', got {self.reset!r}")
        if not 0.0 <= self.initial_potential < 1.0:
            raise ConfigurationError(f"initial_potential must lie in [0, 1), got {self.initial_potential!r}")

    @property
    def unit_payload(self) -> bool:
        return self.code.unit_payload

    def initial(self, like: Tensor) -> MembraneState:
        return MembraneState(torch.full_like(like, self.initial_potential, requires_grad=False), None)

    def step(
        self, current: Tensor, state: MembraneState, t: int, gain: Tensor | float = 1.0
    ) -> tuple[Tensor, MembraneState]:
        potential = integrate(state.potential, current, gain)
        payload, memory = self.code.fire(potential, t, state.memory, out=current)
        if self.reset == "subtract":
            potential.sub_(payload)
        else:
            potential.masked_fill_(payload != 0, 0.0)
        return payload, MembraneState(potential, memory)


@dataclass(frozen=True)
class SignedIntegrateFire:
    """Integrate-and-fire neuron with positive and negative spikes, which realises leaky ReLU (Spiking-YOLO, eq. 8).

    ``negative_slope`` is the slope below zero: 0.1 for a typical leaky ReLU, 1 for the identity.
    ``negative="graded"`` fires below -1 and emits ``-negative_slope``; ``negative="imbalanced"`` is the paper's
    neuron with imbalanced thresholds: it fires below ``-1 / negative_slope`` and emits -1. Both take what a spike
    stands for off the potential. The initial potential is ``initial_potential`` (0 favours neither sign).
    """

    code: Code
    negative_slope: float
    negative: Literal["graded", "imbalanced"] = "graded"
    initial_potential: float = 0.0

    unit_payload = False
    update_cost = UpdateCost(words=1, additions=4, multiplications=0)  # as above, and a second comparison

    def __post_init__(self) -> None:
        if not 0.0 < self.negative_slope <= 1.0:
            raise ConfigurationError(f"negative_slope must lie in (0, 1], got {self.negative_slope!r}")
        if self.negative not in ("graded", "imbalanced"):
            raise ConfigurationError(f"negative must be 'graded' or 'imbalanced', got {self.negative!r}")

    def initial(self, like: Tensor) -> tuple[MembraneState, Memory]:
        potential = torch.full_like(like, self.initial_potential, requires_grad=False)
        return MembraneState(potential, None), None

    def step(
        self, current: Tensor, state: tuple[MembraneState, Memory], t: int, gain: Tensor | float = 1.0
    ) -> tuple[Tensor, tuple[MembraneState, Memory]]:
        membrane, negative_memory = state
        potential = integrate(membrane.potential, current, gain)
        # One firing rule serves both signs: the negative side is the mirrored potential, measured in its own units.
        charge = 1.0 if self.negative == "graded" else 1.0 / self.negative_slope
        positive, memory = self.code.fire(potential, t, membrane.memory, out=current)
        negative, negative_memory = self.code.fire(potential / -charge, t, negative_memory)
        potential.sub_(positive).add_(negative, alpha=charge)
        payload = positive.sub_(negative, alpha=charge * self.negative_slope)
        return payload, (MembraneState(potential, memory), negative_memory)
