"""A cell of norse as a neuron of a converted network; norse is loaded when one is adapted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from coding.errors import ConfigurationError
from coding.optional import imported
from neurons.neuron import UpdateCost


@dataclass(frozen=True)
class NorseNeuron:
    """A norse cell with a membrane state ``v``, as a neuron whose spikes each stand for one scale.

    Args:
        cell: The cell, for instance ``IAFCell()`` or ``LIFBoxCell(...)``.
        initial_potential: Membrane before step 0.

    Raises:
        ConfigurationError: It is no such cell, or norse is not installed.
    """

    cell: Any
    initial_potential: float = 0.5

    unit_payload = True
    update_cost = UpdateCost(words=1, additions=3, multiplications=1)  # the integration constant dt / tau

    def __post_init__(self) -> None:
        imported("norse", "snnconv[norse]")
        if not callable(getattr(self.cell, "state_fallback", None)):
            raise ConfigurationError(f"NorseNeuron takes a norse cell, got {type(self.cell).__name__}")

    def initial(self, like: Tensor) -> Any:
        # norse asks for gradients on its default reset potential, a tensor that all cells share, and once it has them
        # fails to move it to another device. Leave it as it was.
        parameters = getattr(self.cell, "p", None) or ()
        shared = [each for each in parameters if isinstance(each, Tensor) and each.is_leaf]
        asked = [each.requires_grad for each in shared]
        try:
            for tensor in shared:
                tensor.requires_grad_(False)
            state = self.cell.state_fallback(like)
        finally:
            for tensor, before in zip(shared, asked, strict=True):
                tensor.requires_grad_(before)
        if "v" not in getattr(state, "_fields", ()):
            raise ConfigurationError(f"NorseNeuron: {type(self.cell).__name__} has no membrane potential 'v'")
        return state._replace(v=torch.full_like(like, self.initial_potential))

    def step(self, current: Tensor, state: Any, t: int, inverse_scale: Tensor | float = 1.0) -> tuple[Tensor, Any]:
        payload, state = self.cell(current * inverse_scale, state)
        payload = payload.clone()  # some cells keep their spikes in the state, and a caller may change a payload
        return payload, state
