"""Integrate-and-fire neurons: a sum of currents that fires when it reaches a threshold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from coding.code import Code, Memory, Quantized
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
    ``reset="zero"`` sets the potential to 0. ``initial_potential`` is the code's unless given: for rate code one half,
    which makes the spike count round to the nearest instead of down. Raises ``ConfigurationError`` for another reset or
    a potential outside [0, 1).
    """

    code: Code
    reset: Literal["subtract", "zero"] = "subtract"
    initial_potential: float | None = None

    def __post_init__(self) -> None:
        if self.reset not in ("subtract", "zero"):
            raise ConfigurationError(f"reset must be 'subtract' or 'zero', got {self.reset!r}")
        if self.initial_potential is not None and not 0.0 <= self.initial_potential < 1.0:
            raise ConfigurationError(f"initial_potential must lie in [0, 1), got {self.initial_potential!r}")

    @property
    def unit_payload(self) -> bool:
        return self.code.unit_payload

    @property
    def update_cost(self) -> UpdateCost:
        return UpdateCost(words=1, additions=3, multiplications=self.code.multiplications)  # integrate, compare, reset

    @property
    def closed_form(self) -> bool:
        return self.reset == "subtract" and self.initial_potential in (None, self.code.initial_potential)

    def initial(self, like: Tensor) -> MembraneState:
        start = self.code.initial_potential if self.initial_potential is None else self.initial_potential
        return MembraneState(torch.full_like(like, start, requires_grad=False), None)

    def listen(self, current: Tensor, state: MembraneState, gain: Tensor | float = 1.0) -> MembraneState:
        return state._replace(potential=integrate(state.potential, current, gain))

    def fire(self, state: MembraneState, t: int, out: Tensor | None = None) -> tuple[Tensor, MembraneState]:
        potential = state.potential
        payload, memory = self.code.fire(potential, t, state.memory, out=out)
        if self.reset == "subtract":
            potential.sub_(payload)
        else:
            potential.masked_fill_(payload != 0, 0.0)
        return payload, MembraneState(potential, memory)

    def step(
        self, current: Tensor, state: MembraneState, t: int, gain: Tensor | float = 1.0
    ) -> tuple[Tensor, MembraneState]:
        return self.fire(self.listen(current, state, gain), t, out=current)

    def window(self, values: Tensor, counted: bool = True) -> Quantized:
        return self.code.quantize(values, counted)


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
