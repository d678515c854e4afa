"""Integrate-and-fire neurons: a sum of currents that fires when it reaches a threshold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from coding.errors import ConfigurationError
from coding.neural_code import Code, Memory, Quantized
from neurons.neuron import UpdateCost, integrate
from neurons.step_form import StepForm, firing_form_of
from neurons.window_form import LevelForm, WindowForm, levels_in


class MembraneState(NamedTuple):
    """Membrane potential (normalised) and what the code remembers between steps."""

    potential: Tensor
    memory: Memory


@dataclass(frozen=True)
class IntegrateFire:
    """Integrate-and-fire neuron without leak (Rueckauer et al. 2017, eq. 2 to 5).

    Args:
        code: The code of its spikes.
        reset: "subtract" takes off the potential what the code removes, the payload as a rule, and keeps the rest;
            "zero" sets the potential to 0.
        initial_potential: Potential before step 0, the code's unless given: for rate code one half, which makes the
            spike count round to the nearest instead of down.

    Raises:
        ConfigurationError: There is no such reset, or the potential lies outside [0, 1).
    """

    code: Code
    reset: Literal["subtract", "zero"] = "subtract"
    initial_potential: float | None = None

    papers = ("rueckauer2017",)

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

    def listen(self, current: Tensor, state: MembraneState, inverse_scale: Tensor | float = 1.0) -> MembraneState:
        return state._replace(potential=integrate(state.potential, current, inverse_scale))

    def fire(self, state: MembraneState, t: int, out: Tensor | None = None) -> tuple[Tensor, MembraneState]:
        potential = state.potential
        emitted, removed, memory = self.code.fire(potential, t, state.memory, out=out)
        if self.reset == "subtract":
            potential.sub_(removed)
        else:
            potential.masked_fill_(emitted != 0, 0.0)
        return emitted, MembraneState(potential, memory)

    def step(
        self, current: Tensor, state: MembraneState, t: int, inverse_scale: Tensor | float = 1.0
    ) -> tuple[Tensor, MembraneState]:
        return self.fire(self.listen(current, state, inverse_scale), t, out=current)

    def step_form(self, dtype: torch.dtype) -> StepForm | None:
        """``step`` as data; see ``neurons.step_form``."""
        firing = firing_form_of(self.code, dtype)
        return None if firing is None else StepForm(firing, self.reset)

    def window(self, values: Tensor, counted: bool = True) -> Quantized:
        return self.code.quantize(values, counted)

    def window_form(self, dtype: torch.dtype, device: torch.device) -> WindowForm | None:
        """What ``window`` looks up; see ``neurons.window_form``."""
        levels = levels_in(self.code, dtype, device)
        return None if levels is None else LevelForm(levels, None)
