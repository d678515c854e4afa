"""A rate-coded neuron that takes back spikes it should not have fired."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from coding.errors import ConfigurationError
from coding.neural_code import Code, Memory
from neurons.neuron import UpdateCost, integrate
from neurons.step_form import StepForm, firing_form_of


class CorrectiveState(NamedTuple):
    """Membrane potential, payload emitted so far, and what the code remembers of positive and negative spikes."""

    potential: Tensor
    emitted: Tensor
    memory: Memory
    negative_memory: Memory


@dataclass(frozen=True)
class CorrectiveIntegrateFire:
    """Integrate-and-fire neuron with reset by subtraction and corrective negative spikes.

    Currents do not arrive evenly, so a neuron may fire on early input that later input cancels. Once its potential
    falls to ``-margin``, and while it has emitted more than it has taken back, it fires a spike of -1 (the signed
    neuron with memory of Wang et al. 2022, IJCAI). Its output never falls below zero: it is still a ReLU.

    Args:
        code: The code of its spikes.
        initial_potential: Potential before step 0; the code's unless given.
        margin: How far below zero the potential falls before a spike is taken back, in (0, 1].

    Raises:
        ConfigurationError: The potential lies outside [0, 1), or the margin outside (0, 1].
    """

    code: Code
    initial_potential: float = 0.5
    margin: float = 0.5

    papers = ("wang2022signed",)
    unit_payload = False
    update_cost = UpdateCost(words=2, additions=6, multiplications=0)  # a second comparison, and the balance kept

    def __post_init__(self) -> None:
        if not 0.0 <= self.initial_potential < 1.0:
            raise ConfigurationError(f"initial_potential must lie in [0, 1), got {self.initial_potential!r}")
        if not 0.0 < self.margin <= 1.0:
            raise ConfigurationError(f"margin must lie in (0, 1], got {self.margin!r}")

    def initial(self, like: Tensor) -> CorrectiveState:
        potential = torch.full_like(like, self.initial_potential, requires_grad=False)
        return CorrectiveState(potential, torch.zeros_like(potential), None, None)

    def step(
        self, current: Tensor, state: CorrectiveState, t: int, inverse_scale: Tensor | float = 1.0
    ) -> tuple[Tensor, CorrectiveState]:
        potential = integrate(state.potential, current, inverse_scale)
        payload, removed, memory = self.code.fire(potential, t, state.memory, out=current)
        # The same firing rule on the mirrored potential, shifted so that its threshold of 1 lies at -margin.
        mirrored = (1.0 - self.margin) - potential
        asked, restored, negative_memory = self.code.fire(mirrored, t, state.negative_memory)
        taken_back = torch.minimum(asked, state.emitted)
        if removed is payload and restored is asked:
            removed = payload.sub_(taken_back)
        else:  # of a spike that is taken back in part, as large a share returns to the potential
            removed = removed - restored * torch.where(asked > 0, taken_back / asked, 0.0)
            payload.sub_(taken_back)
        potential.sub_(removed)
        return payload, CorrectiveState(potential, state.emitted.add_(payload), memory, negative_memory)

    def step_form(self, dtype: torch.dtype) -> StepForm | None:
        """``step`` as data; see ``neurons.step_form``."""
        firing = firing_form_of(self.code, dtype)
        return None if firing is None else StepForm(firing, "corrective", offset=1.0 - self.margin)
