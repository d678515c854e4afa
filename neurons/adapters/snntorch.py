"""A neuron of snntorch as a neuron of a converted network; snntorch is loaded when one is adapted."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from coding.errors import ConfigurationError
from coding.optional import imported
from neurons.neuron import UpdateCost


@dataclass(frozen=True)
class SnntorchNeuron:
    """A snntorch neuron of the ``Leaky`` family, for instance ``snn.Leaky(beta=1.0, reset_mechanism="subtract")``.

    Its membrane must be its only state, its threshold and its spikes 1, because currents arrive normalised and a spike
    stands for one scale.

    Args:
        module: The snntorch neuron.
        initial_potential: Membrane before step 0.

    Raises:
        ConfigurationError: It is no such neuron, or snntorch is not installed.
    """

    module: Any
    initial_potential: float = 0.5

    unit_payload = True
    update_cost = UpdateCost(words=1, additions=3, multiplications=1)  # the decay beta

    def __post_init__(self) -> None:
        snntorch = imported("snntorch", "snnconv[snntorch]")
        if not isinstance(self.module, snntorch.Leaky):
            raise ConfigurationError(
                f"SnntorchNeuron takes a snntorch.Leaky neuron, got {type(self.module).__name__}; "
                "a neuron with more states needs an adapter of its own (see neurons.Neuron)"
            )
        threshold = torch.as_tensor(self.module.threshold)
        if not bool((threshold == 1).all()):
            raise ConfigurationError(
                f"SnntorchNeuron: the threshold must be 1 (currents are normalised by the scale), got {threshold}"
            )
        if not bool((torch.as_tensor(self.module.graded_spikes_factor) == 1).all()):
            raise ConfigurationError(
                "SnntorchNeuron: graded_spikes_factor must be 1 (a spike stands for one scale), got "
                f"{self.module.graded_spikes_factor}"
            )
        if not 0.0 <= self.initial_potential < 1.0:
            raise ConfigurationError(f"initial_potential must lie in [0, 1), got {self.initial_potential!r}")
        # The adapter keeps a copy without hidden state, so that the user's module is never changed by a simulation.
        module = copy.deepcopy(self.module)
        module.init_hidden, module.output = False, False
        object.__setattr__(self, "module", module)

    def initial(self, like: Tensor) -> Tensor:
        return torch.full_like(like, self.initial_potential)

    def step(
        self, current: Tensor, state: Tensor, t: int, inverse_scale: Tensor | float = 1.0
    ) -> tuple[Tensor, Tensor]:
        # snntorch resets at the beginning of the next step, so a potential above threshold at step 0 would be reset
        # although no spike was emitted; initial potentials below 1 exclude that.
        payload, potential = self.module(current * inverse_scale, state)
        return payload.to(current.dtype), potential  # snntorch's spikes are in single precision
