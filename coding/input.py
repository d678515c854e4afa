"""Input codes: how an analog input is presented to the network at each time step."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor


@dataclass(frozen=True)
class InputCode(ABC):
    """How input values in [0, 1] become one payload per time step whose mean over time is the value."""

    name: ClassVar[str]
    #: Payloads are spikes; otherwise the input is an analog current and costs multiplications.
    spiking: ClassVar[bool]

    @abstractmethod
    def payload(self, values: Tensor, t: int, generator: torch.Generator | None) -> Tensor:
        """What ``values`` (any shape, in [0, 1] for a spiking input) present at step ``t``; same shape and dtype."""


@dataclass(frozen=True)
class RealInput(InputCode):
    """The value itself as a constant current at every step (Rueckauer et al. 2017)."""

    name: ClassVar[str] = "real"
    spiking: ClassVar[bool] = False

    def payload(self, values: Tensor, t: int, generator: torch.Generator | None) -> Tensor:
        return values


@dataclass(frozen=True)
class PoissonInput(InputCode):
    """A unit spike with probability ``value``, drawn anew for every element and step (Bernoulli trains)."""

    name: ClassVar[str] = "poisson"
    spiking: ClassVar[bool] = True

    def payload(self, values: Tensor, t: int, generator: torch.Generator | None) -> Tensor:
        draws = torch.rand(values.shape, generator=generator, dtype=values.dtype, device=values.device)
        return (draws < values).to(values.dtype)
