"""The contract of a neural code: how a value becomes a train of spikes, and how the train is read back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from coding.errors import ConfigurationError

Memory = Tensor | None


@dataclass(frozen=True)
class Code(ABC):
    """Hyper-parameters of a neural code; everything else is a function of them.

    Values are normalised: 1.0 is the scale of the population that uses the code. Time is the first axis of a train,
    ``[T, ...]``, and steps count from 0. What is fitted to data (scales, tables) belongs to the population.
    """

    steps: int

    name: ClassVar[str]
    #: Payloads are 0 or 1, so that their sum counts spikes.
    unit_payload: ClassVar[bool]

    def __post_init__(self) -> None:
        if isinstance(self.steps, bool) or not isinstance(self.steps, int) or self.steps < 1:
            raise ConfigurationError(
                f"{type(self).__name__}: steps must be a whole number of at least 1, got {self.steps!r}"
            )

    @abstractmethod
    def fire(self, potential: Tensor, t: int, memory: Memory, out: Tensor | None = None) -> tuple[Tensor, Memory]:
        """The firing rule: the payload that membranes at ``potential`` emit at step ``t``, and the new memory.

        ``potential`` has any shape and is not changed; the payload has its shape and dtype, 0 where no spike is fired.
        ``out`` is storage that the payload may be written to.
        """

    @abstractmethod
    def quantize(self, values: Tensor) -> Tensor:
        """What is left of non-negative ``values`` of any shape after encoding and decoding."""

    @abstractmethod
    def decode(self, payloads: Tensor) -> Tensor:
        """The value ``[...]`` of a train of payloads ``[T, ...]``."""

    @abstractmethod
    def encode(self, values: Tensor) -> Tensor:
        """The train of payloads ``[T, ...]`` for ``values`` of any shape."""


def fire_repeatedly(code: Code, drive: Tensor, initial_potential: float) -> Tensor:
    """Train ``[T, ...]`` of a membrane that starts at ``initial_potential`` and receives ``drive`` at every step."""
    potential, memory = torch.full_like(drive, initial_potential), None
    payloads = []
    for t in range(code.steps):
        potential = potential + drive
        payload, memory = code.fire(potential, t, memory)
        potential = potential - payload
        payloads.append(payload)
    return torch.stack(payloads)
