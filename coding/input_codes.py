"""Input codes: how an analog input is presented to the network at each time step."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from coding.draws import Draws
from coding.errors import ConfigurationError, InputError
from coding.neural_code import Code

#: A nest of tensors whose first axis is the batch, or ``None``.
State = Any


@dataclass(frozen=True)
class InputCode(ABC):
    """How input values become one payload per time step; the payloads of ``period`` steps sum to a value."""

    name: ClassVar[str]
    #: The papers that it is from, by their keys in the bibliography.
    papers: ClassVar[tuple[str, ...]] = ()
    #: Payloads are spikes; otherwise the input is an analog current and costs multiplications.
    spiking: ClassVar[bool]
    #: What it takes are values; otherwise spikes over time.
    of_values: ClassVar[bool] = True
    #: Payloads add up to the values, which a converted network computes with; others serve networks that learned.
    carries_values: ClassVar[bool] = True

    @property
    def code(self) -> Code | None:
        """The code of the spikes, if they follow one."""
        return None

    @property
    def period(self) -> int:
        """Time steps over which a value is presented once."""
        return 1

    @property
    def least_steps(self) -> int:
        """The shortest simulation in which nothing of a value's presentation is missing."""
        return self.period

    def step_shape(self, shape: tuple[int | str, ...]) -> tuple[int | str, ...]:
        """Shape of the payload of one step for values of ``shape``."""
        return shape

    def initial(self, values: Tensor) -> State:
        """The state before step 0."""
        return None

    @abstractmethod
    def step(self, values: Tensor, state: State, t: int, draws: Draws | None) -> tuple[Tensor, State]:
        """What ``values`` (any shape, in [0, 1] for a spiking input) present at step ``t``, and the next state.

        What is drawn comes from ``draws``, so that samples do not influence each other.
        """


@dataclass(frozen=True)
class RealInput(InputCode):
    """The value itself as a constant current at every step (Rueckauer et al. 2017)."""

    name: ClassVar[str] = "real"
    papers: ClassVar[tuple[str, ...]] = ("rueckauer2017",)
    spiking: ClassVar[bool] = False

    def step(self, values: Tensor, state: State, t: int, draws: Draws | None) -> tuple[Tensor, State]:
        return values, None


@dataclass(frozen=True)
class PoissonInput(InputCode):
    """A unit spike with probability ``value``, drawn anew for every element and step (Bernoulli trains)."""

    name: ClassVar[str] = "poisson"
    spiking: ClassVar[bool] = True

    def step(self, values: Tensor, state: State, t: int, draws: Draws | None) -> tuple[Tensor, State]:
        return (_drawn(draws, values) < values).to(values.dtype), None


@dataclass(frozen=True)
class BernoulliInput(InputCode):
    """At each of the first ``last`` steps a unit spike with probability ``largest`` times the value, then silence.

    It serves networks that learned from such trains, not those that decode values.

    Args:
        largest: Probability of a spike for a value of 1, in (0, 1].
        last: Number of steps with spikes; ``None`` is all steps.

    Raises:
        ConfigurationError: ``largest`` lies outside (0, 1], or ``last`` is no integer of at least 1.
    """

    largest: float = 0.2
    last: int | None = None

    name: ClassVar[str] = "bernoulli"
    spiking: ClassVar[bool] = True
    carries_values: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not 0.0 < self.largest <= 1.0:
            raise ConfigurationError(f"BernoulliInput: largest must lie in (0, 1], got {self.largest!r}")
        last = 1 if self.last is None else self.last
        if isinstance(last, bool) or not isinstance(last, int) or last < 1:
            raise ConfigurationError(f"BernoulliInput: last must be an integer of at least 1, got {self.last!r}")

    @property
    def least_steps(self) -> int:
        return 1 if self.last is None else self.last

    def step(self, values: Tensor, state: State, t: int, draws: Draws | None) -> tuple[Tensor, State]:
        if self.last is not None and t >= self.last:
            return torch.zeros_like(values), None
        return (_drawn(draws, values) < self.largest * values).to(values.dtype), None


@dataclass(frozen=True)
class LatencyInput(InputCode):
    """One spike an element, at step int(``last`` (1 - value)), the larger the earlier; none for 0 (Kim et al. 2020).

    It is fired once, whatever the number of steps, so it serves networks whose neurons remember.

    Args:
        last: The last step at which a spike may come, from 0.

    Raises:
        ConfigurationError: ``last`` is no integer of at least 0.
    """

    last: int = 24

    name: ClassVar[str] = "latency"
    papers: ClassVar[tuple[str, ...]] = ("kim2020antlr",)
    spiking: ClassVar[bool] = True
    carries_values: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if isinstance(self.last, bool) or not isinstance(self.last, int) or self.last < 0:
            raise ConfigurationError(f"LatencyInput: last must be an integer of at least 0, got {self.last!r}")

    @property
    def least_steps(self) -> int:
        return self.last + 1

    def initial(self, values: Tensor) -> State:
        return torch.where(values > 0.0, self.last * (1.0 - values), torch.inf).floor_()

    def step(self, values: Tensor, state: State, t: int, draws: Draws | None) -> tuple[Tensor, State]:
        return (state == t).to(values.dtype), state


@dataclass(frozen=True)
class EventInput(InputCode):
    """Input that already is spikes: 0 and 1 over time, ``[N, T, ...]``, samples first; silent from step T on.

    Raises ``InputError`` for other numbers.
    """

    name: ClassVar[str] = "events"
    spiking: ClassVar[bool] = True
    of_values: ClassVar[bool] = False
    carries_values: ClassVar[bool] = False

    def step_shape(self, shape: tuple[int | str, ...]) -> tuple[int | str, ...]:
        return (shape[0], *shape[2:])

    def initial(self, values: Tensor) -> State:
        if not bool(((values == 0.0) | (values == 1.0)).all()):
            raise InputError("the input holds numbers other than 0 and 1; give the spikes of every step, [N, T, ...]")
        return None

    def step(self, values: Tensor, state: State, t: int, draws: Draws | None) -> tuple[Tensor, State]:
        return values[:, t] if t < values.shape[1] else torch.zeros_like(values[:, 0]), None


@dataclass(frozen=True)
class SpikeInput(InputCode):
    """Every input element is a neuron with a hidden population's code, loaded with its value again and again.

    It starts from the code's initial potential, and what is left over stays in the membrane (phase: Kim et al. 2018;
    burst: Park et al. 2019).

    Args:
        spikes: The code, with all its parameters.
        every: Time steps after which a neuron is loaded again; ``None`` is as often as the code allows. Hidden codes
            that present values less often need the input to wait for them.

    Raises:
        ConfigurationError: A parameter of the code is still to be fitted, or ``every`` leaves no time for a value.
    """

    spikes: Code
    every: int | None = None

    name: ClassVar[str] = "spikes"
    spiking: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.spikes.free_parameter is not None:
            raise ConfigurationError(
                f"{type(self.spikes).__name__} as input: nothing is fitted to an input, so all its parameters must be "
                f"numbers, not {self.spikes.free_parameter!r}"
            )
        least, unit = self.spikes.presentation, self.spikes.period
        if self.every is not None and (self.every < least or self.every % unit):
            multiple = f", and a multiple of {unit}" if unit > 1 else ""
            raise ConfigurationError(
                f"{type(self.spikes).__name__} as input: a value takes {least} steps, so every must be at least "
                f"that{multiple}; got {self.every!r}"
            )

    @property
    def code(self) -> Code:
        return self.spikes

    @property
    def period(self) -> int:
        return self.spikes.presentation if self.every is None else self.every

    def initial(self, values: Tensor) -> State:
        return torch.full_like(values, self.spikes.initial_potential), None

    def step(self, values: Tensor, state: State, t: int, draws: Draws | None) -> tuple[Tensor, State]:
        potential, memory = state
        if t % self.period == 0:
            potential = potential + values
        emitted, removed, memory = self.spikes.fire(potential, t, memory)
        return emitted, (potential - removed, memory)


def _drawn(draws: Draws | None, values: Tensor) -> Tensor:
    assert draws is not None  # whoever runs an input says what is drawn
    return draws.uniform(values)
