"""A neuron of window codes with positive and negative spikes, for leaky ReLU and for the identity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import leaky_relu

from coding.neural_code import Code, Memory, Quantized
from neurons.neuron import UpdateCost, integrate
from neurons.signed_stream import check_negative_side
from neurons.window_form import BelowZero, LevelForm, WindowForm, levels_in


class SignedWindowState(NamedTuple):
    """Membrane potential, what the code remembers, and the sign of the window's first spike (0 before it)."""

    potential: Tensor
    memory: Memory
    sign: Tensor


@dataclass(frozen=True)
class SignedWindow:
    """Integrate-and-fire neuron whose window holds spikes of one sign: the sign of what it integrated.

    Args:
        code: The code of its spikes.
        negative_slope: Slope below zero: 0.1 for a typical leaky ReLU, 1 for the identity.
        negative: "graded" encodes the size of the potential and emits payloads times ``-negative_slope``; "imbalanced"
            encodes the negative value itself, so that values below the last level stay silent and cost no spike
            (imbalanced thresholds, Spiking-YOLO, Kim et al. 2020, eq. 8).

    Raises:
        ConfigurationError: The slope lies outside (0, 1], or there is no such way of firing.
    """

    code: Code
    negative_slope: float
    negative: Literal["graded", "imbalanced"] = "imbalanced"

    papers = ("kim2020spikingyolo",)
    unit_payload = False

    def __post_init__(self) -> None:
        check_negative_side(self.negative_slope, self.negative)

    @property
    def update_cost(self) -> UpdateCost:
        return UpdateCost(words=1, additions=4, multiplications=self.code.multiplications)  # a second comparison

    @property
    def closed_form(self) -> bool:
        return True

    @property
    def _sensitivity(self) -> float:
        """How much of a negative potential the code sees."""
        return 1.0 if self.negative == "graded" else self.negative_slope

    def initial(self, like: Tensor) -> SignedWindowState:
        potential = torch.zeros_like(like, requires_grad=False)
        return SignedWindowState(potential, None, torch.zeros_like(potential))

    def listen(
        self, current: Tensor, state: SignedWindowState, inverse_scale: Tensor | float = 1.0
    ) -> SignedWindowState:
        return state._replace(potential=integrate(state.potential, current, inverse_scale))

    def fire(self, state: SignedWindowState, t: int, out: Tensor | None = None) -> tuple[Tensor, SignedWindowState]:
        potential, memory, sign = state
        negative = (sign < 0) | ((sign == 0) & (potential < 0))
        # Filled tensors have the precision of the potential; a choice between two numbers has the default precision.
        direction = torch.ones_like(potential).masked_fill_(negative, -1.0)
        share = torch.ones_like(potential).masked_fill_(negative, self._sensitivity)
        size = potential * direction * share + self.code.initial_potential
        payload, removed, memory = self.code.fire(size, t, memory)
        sign = torch.where(payload != 0, direction, sign)
        potential.sub_(removed * direction / share)
        worth = direction.masked_fill_(negative, -self.negative_slope / self._sensitivity)
        return payload * worth, SignedWindowState(potential, memory, sign)

    def step(
        self, current: Tensor, state: SignedWindowState, t: int, inverse_scale: Tensor | float = 1.0
    ) -> tuple[Tensor, SignedWindowState]:
        return self.fire(self.listen(current, state, inverse_scale), t)

    def window(self, values: Tensor, counted: bool = True) -> Quantized:
        seen = leaky_relu(values, self._sensitivity)
        found = self.code.quantize(seen.abs(), counted)
        signed = torch.copysign(found.values, values)
        return found._replace(values=leaky_relu(signed, self.negative_slope / self._sensitivity, inplace=True))

    def window_form(self, dtype: torch.dtype, device: torch.device) -> WindowForm | None:
        """What ``window`` looks up; see ``neurons.window_form``."""
        levels = levels_in(self.code, dtype, device)
        seen = self._sensitivity
        return None if levels is None else LevelForm(levels, BelowZero(seen, self.negative_slope / seen))
