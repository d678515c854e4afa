"""Rate code: the value is the share of time steps with a spike."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from coding.code import Code, Memory, fire_repeatedly
from coding.threshold import reaches


@dataclass(frozen=True)
class Rate(Code):
    """Firing rate over ``steps`` time steps (Rueckauer et al. 2017, the integrate-and-fire neuron of their eq. 5).

    A unit spike is fired whenever the potential reaches 1. With a constant drive z in [0, 1] and an initial potential
    of one half, the number of spikes is z * steps rounded half up.
    """

    name: ClassVar[str] = "rate"
    unit_payload: ClassVar[bool] = True

    def fire(self, potential: Tensor, t: int, memory: Memory, out: Tensor | None = None) -> tuple[Tensor, Memory]:
        return reaches(potential, 1.0, out), None

    def quantize(self, values: Tensor) -> Tensor:
        return torch.clamp(torch.floor(values * self.steps + 0.5), 0, self.steps) / self.steps

    def decode(self, payloads: Tensor) -> Tensor:
        return payloads.mean(0)

    def encode(self, values: Tensor) -> Tensor:
        return fire_repeatedly(self, values, initial_potential=0.5)
