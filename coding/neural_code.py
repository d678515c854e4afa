"""The contract of a neural code: how a value becomes a train of spikes, and how the train is read back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from coding.errors import ConfigurationError
from coding.firing_form import FiringForm

Memory = Tensor | None


class Quantized(NamedTuple):
    """What a window makes of values: decoded values, spikes, and steps until the last spike allowed was fired.

    All three have the shape of the values; a neuron that keeps a spike is updated to the end of its window.

    Attributes:
        values: Decoded values.
        spikes: Number of spikes; ``None`` unless they were to be counted.
        updates: Number of steps in which the neuron was updated; ``None`` unless they were to be counted.
    """

    values: Tensor
    spikes: Tensor | None
    updates: Tensor | None


class Fired(NamedTuple):
    """What membranes do at one step: the payload ``emitted``, what is ``removed`` from the potential, the new memory.

    Payload and removal have the shape and dtype of the potential and are 0 where no spike is fired. They are one tensor
    where a spike takes off what it carries, as in most codes; few-spike neurons of Stoeckl and Maass (2021) emit d(t)
    and take off h(t). Neither is part of the memory, so both may be changed in place once they have been used.

    Attributes:
        emitted: Payload of the spike.
        removed: What the spike takes off the potential.
        memory: What the code remembers until the next step; ``None`` where it remembers nothing.
    """

    emitted: Tensor
    removed: Tensor
    memory: Memory


@dataclass(frozen=True)
class Code(ABC):
    """Hyper-parameters of a neural code; everything else is a function of them.

    Values are normalised: 1.0 is the scale of the population that uses the code. Time is the first axis of a train,
    ``[T, ...]``, and steps count from 0. What is fitted to data (scales, shifts) belongs to the population.

    Args:
        steps: Time steps of a train.

    Raises:
        ConfigurationError: ``steps`` is no integer of at least 1.
    """

    steps: int

    name: ClassVar[str]
    #: The papers that it is from, by their keys in the bibliography.
    papers: ClassVar[tuple[str, ...]] = ()
    #: A name says what the code is; one that is made of tables is known by name in files only.
    named: ClassVar[bool] = True
    #: Payloads are 0 or 1, so that their sum counts spikes.
    unit_payload: ClassVar[bool] = False
    #: Supports ``Concurrent``: all populations run at once, and every step carries an estimate.
    streams: ClassVar[bool] = False
    #: Supports ``Pipeline``: a value is known before its first spike and fills a window of ``steps``.
    windows: ClassVar[bool] = True
    #: A presentation carries ``maximum`` at most.
    bounded: ClassVar[bool] = True
    #: Multiplications of one membrane update: spikes whose weight changes with time are weighted in the membrane.
    multiplications: ClassVar[int] = 1

    def __post_init__(self) -> None:
        if isinstance(self.steps, bool) or not isinstance(self.steps, int) or self.steps < 1:
            raise ConfigurationError(
                f"{type(self).__name__}: steps must be an integer of at least 1, got {self.steps!r}"
            )

    @property
    def period(self) -> int:
        """Time steps over which a value is presented once; a train of ``steps`` presents it steps / period times."""
        return self.steps

    @property
    def presentation(self) -> int:
        """Time steps after which an input neuron is loaded with its value again."""
        return self.period

    @property
    def limit(self) -> int | None:
        """Most spikes that a neuron may fire in a window; ``None`` if only the steps limit it."""
        return None

    @property
    def initial_potential(self) -> float:
        """Membrane potential before step 0 that codes without a bias towards zero start from."""
        return 0.0

    @property
    def computes(self) -> str | None:
        """The function of its value that a window computes, by its name in ATen's operator library.

        ``None`` for codes whose windows stand for the value itself. Others serve populations of that function alone.
        """
        return None

    @property
    def free_parameter(self) -> str | None:
        """How the parameter that is no number yet is to be found: "fit", for instance; ``None`` if all are numbers."""
        return None

    @property
    def maximum(self) -> float:
        """Largest value that a train can carry."""
        return 1.0

    @property
    def payloads(self) -> tuple[float, ...] | None:
        """What a spike of each step carries; ``None`` where that is not one number for all neurons."""
        return None

    @property
    def full_scale(self) -> float:
        """The value that the largest activation of calibration data becomes."""
        return self.maximum

    @abstractmethod
    def fire(self, potential: Tensor, t: int, memory: Memory, out: Tensor | None = None) -> Fired:
        """The firing rule: what membranes at ``potential`` emit at step ``t``, and what that takes off them.

        ``potential`` has any shape and is not changed. ``out`` is storage that the payload may be written to.
        """

    def firing_form(self, dtype: torch.dtype) -> FiringForm | None:
        """The same as ``fire`` at potentials of ``dtype``, as data; ``None`` for a rule of another form."""
        return None

    def encode(self, values: Tensor) -> Tensor:
        """The train of payloads ``[T, ...]`` for ``values`` of any shape, by the firing rule."""
        potential = torch.full_like(values, self.initial_potential)
        memory, payloads = None, []
        for t in range(self.steps):
            if t % self.period == 0:
                potential = potential + values
            emitted, removed, memory = self.fire(potential, t, memory)
            potential = potential - removed
            payloads.append(emitted)
        return torch.stack(payloads)

    def decode(self, payloads: Tensor) -> Tensor:
        """The value ``[...]`` of a train of payloads ``[T, ...]``: their sum over the presentations."""
        return payloads.sum(0) * (self.period / payloads.shape[0])

    def quantize(self, values: Tensor, counted: bool = True) -> Quantized:
        """What a window makes of ``values`` of any shape when they are known before its first step."""
        potential = values * (self.steps // self.period) + self.initial_potential
        total, spikes, updates = torch.zeros_like(values), torch.zeros_like(values), torch.zeros_like(values)
        memory: Memory = None
        for t in range(self.steps):
            updates += 1.0 if self.limit is None else spikes < self.limit
            emitted, removed, memory = self.fire(potential, t, memory)
            potential = potential - removed
            total += emitted
            spikes += emitted != 0
        return Quantized(total * (self.period / self.steps), spikes, updates)
