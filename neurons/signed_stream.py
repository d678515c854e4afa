"""Integrate-and-fire neurons with positive and negative spikes, for activations that go below zero."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from coding.errors import ConfigurationError
from coding.neural_code import Code, Memory
from neurons.neuron import UpdateCost, integrate
from neurons.step_form import StepForm, firing_form_of


class SignedState(NamedTuple):
    """Membrane potential, what the spikes so far stand for (graded neurons), and what the code remembers."""

    potential: Tensor
    emitted: Tensor | None
    memory: Memory
    negative_memory: Memory


def check_negative_side(negative_slope: float, negative: str) -> None:
    """Raise ``ConfigurationError`` for a slope below zero or a way of firing there that signed neurons have not."""
    if not 0.0 < negative_slope <= 1.0:
        raise ConfigurationError(f"negative_slope must lie in (0, 1], got {negative_slope!r}")
    if negative not in ("graded", "imbalanced"):
        raise ConfigurationError(f"negative must be 'graded' or 'imbalanced', got {negative!r}")


@dataclass(frozen=True)
class SignedIntegrateFire:
    """Integrate-and-fire neuron with positive and negative spikes, which realises leaky ReLU (Spiking-YOLO, eq. 8).

    Both kinds take what a spike stands for off the potential.

    Args:
        code: The code of its spikes.
        negative_slope: Slope below zero: 0.1 for a typical leaky ReLU, 1 for the identity.
        negative: "graded" fires below -1; its payload is what the leaky ReLU of all its charge changes by, so that it
            takes back whole spikes before it emits fractions of ``-negative_slope``. "imbalanced" is the paper's neuron
            with imbalanced thresholds: it fires below ``-1 / negative_slope`` and emits -1.
        initial_potential: Potential before step 0; 0 favours neither sign.

    Raises:
        ConfigurationError: The slope lies outside (0, 1], or there is no such way of firing.
    """

    code: Code
    negative_slope: float
    negative: Literal["graded", "imbalanced"] = "graded"
    initial_potential: float = 0.0

    papers = ("kim2020spikingyolo",)
    unit_payload = False

    def __post_init__(self) -> None:
        check_negative_side(self.negative_slope, self.negative)

    @property
    def update_cost(self) -> UpdateCost:
        # Integrate, compare twice, reset; a graded neuron keeps its charge and looks at its sign before and after.
        graded = self.negative == "graded"
        return UpdateCost(words=1 + graded, additions=4 + 3 * graded, multiplications=self.code.multiplications)

    @property
    def _charge(self) -> float:
        return 1.0 if self.negative == "graded" else 1.0 / self.negative_slope

    def initial(self, like: Tensor) -> SignedState:
        potential = torch.full_like(like, self.initial_potential, requires_grad=False)
        emitted = torch.zeros_like(potential) if self.negative == "graded" else None
        return SignedState(potential, emitted, None, None)

    def step(
        self, current: Tensor, state: SignedState, t: int, inverse_scale: Tensor | float = 1.0
    ) -> tuple[Tensor, SignedState]:
        potential = integrate(state.potential, current, inverse_scale)
        # One firing rule serves both signs: the negative side is the mirrored potential, measured in its own units.
        charge = self._charge
        fired, removed, memory = self.code.fire(potential, t, state.memory, out=current)
        # By a tensor: a number torch turns into a factor on a GPU, so that quotients would be rounded twice there.
        mirrored = potential / potential.new_full((), -charge)
        negative, restored, negative_memory = self.code.fire(mirrored, t, state.negative_memory)
        potential.sub_(removed).add_(restored * charge)
        if state.emitted is None:
            payload = fired.sub_(negative.mul_(charge * self.negative_slope))
        else:
            fired.sub_(negative)
            above = state.emitted.clamp(min=0.0).neg_()
            above.add_(state.emitted.add_(fired).clamp(min=0.0))  # how far the part above zero moves
            payload = above.add_(fired.sub_(above).mul_(self.negative_slope))
        return payload, SignedState(potential, state.emitted, memory, negative_memory)

    def step_form(self, dtype: torch.dtype) -> StepForm | None:
        """``step`` as data; see ``neurons.step_form``."""
        firing = firing_form_of(self.code, dtype)
        if firing is None:
            return None
        sent = self.negative_slope if self.negative == "graded" else self._charge * self.negative_slope
        return StepForm(firing, self.negative, charge=self._charge, sent=sent)
