"""Window codes: payloads and thresholds fixed per step, and a limit on the spikes of a window."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal, Self

import torch
from torch import Tensor

from coding.errors import ConfigurationError
from coding.firing_form import FixedThresholds
from coding.neural_code import Code, Fired, Memory, Quantized
from coding.threshold import at_least, tie_tolerance
from coding.window.closed_form import Levels, WindowTable, levels_of


@dataclass(frozen=True)
class WindowCode(Code):
    """A code that is a table, payload and threshold of every step; phase, TTFS, one-spike and few-spike fill it.

    A code of your own gives ``table``; firing rule, closed form and integers for exports follow from it.

    Args:
        steps: Time steps of a window.

    Raises:
        ConfigurationError: ``steps`` is no integer of at least 1.
    """

    @abstractmethod
    def table(self) -> WindowTable:
        """Payloads and thresholds of the window."""

    @property
    def payloads(self) -> tuple[float, ...] | None:
        return table_of(self).payloads

    @property
    def maximum(self) -> float:
        return table_of(self).largest

    def fire(self, potential: Tensor, t: int, memory: Memory, out: Tensor | None = None) -> Fired:
        table = table_of(self)
        t %= self.steps
        if t == 0:
            memory = None  # a window starts afresh
        payload, bounds = table.payloads[t], bounds_of(table, potential.dtype)
        if len(bounds) == 1:
            spikes = at_least(potential, bounds[0][t], out)
            if self.limit is None:
                spikes.mul_(payload)
                return Fired(spikes, spikes, None)
            if memory is not None:
                spikes.mul_(memory)  # 1 while the only spike allowed has not been fired
            silent = 1.0 - spikes
            spikes.mul_(payload)
            return Fired(spikes, spikes, silent if memory is None else silent.mul_(memory))
        # The memory counts the spikes fired; it selects the row of bounds, and nothing reaches the row
        # behind the last, not even infinity.
        fired = torch.zeros(potential.shape, dtype=torch.int32, device=potential.device) if memory is None else memory
        column = torch.tensor([row[t] for row in bounds] + [math.nan], dtype=potential.dtype, device=potential.device)
        spikes = at_least(potential, column.index_select(0, fired.reshape(-1)).view(potential.shape), out)
        count = fired + spikes.to(torch.int32)
        spikes = spikes * payload
        return Fired(spikes, spikes, count)

    def firing_form(self, dtype: torch.dtype) -> FixedThresholds | None:
        table = table_of(self)
        bounds = bounds_of(table, dtype)
        return FixedThresholds(table.payloads, bounds[0]) if len(bounds) == 1 and self.limit is None else None

    def tabulated(self, dtype: torch.dtype, device: torch.device) -> Levels | None:
        """What ``quantize`` looks its values up in; ``None`` where it encodes them step by step."""
        return levels_of(table_of(self), dtype, device)

    def quantize(self, values: Tensor, counted: bool = True) -> Quantized:
        levels = self.tabulated(values.dtype, values.device)
        return super().quantize(values) if levels is None else levels(values, counted)


@dataclass(frozen=True)
class PowerCode(WindowCode):
    """A window code whose payloads are powers of one base."""

    @abstractmethod
    def with_base(self, base: float) -> Self:
        """The same code with levels that are powers of ``base``."""


@dataclass(frozen=True)
class BaseCode(PowerCode):
    """A power code whose ``base`` is a parameter of its own: a number above 1, or "fit"."""

    base: float | Literal["fit"] = "fit"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_base(self, self.base)

    @property
    def free_parameter(self) -> str | None:
        return fitted_parameter(self.base)

    def with_base(self, base: float) -> Self:
        return replace(self, base=base)

    def powers(self, first: int) -> tuple[float, ...]:
        """``base``^-first and the powers that follow it, one per step."""
        base = fixed(self, "base")
        return tuple(base ** -(first + t) for t in range(self.steps))


@lru_cache(maxsize=1024)
def table_of(code: WindowCode) -> WindowTable:
    """The table of ``code``, made once."""
    return code.table()


@lru_cache(maxsize=1024)
def bounds_of(table: WindowTable, dtype: torch.dtype) -> tuple[tuple[float, ...], ...]:
    """The potentials from which on the thresholds of ``table`` are reached in ``dtype``, computed once."""
    return table.bounds(tie_tolerance(dtype))


def fitted_parameter(value: float | str) -> str | None:
    """How what is still no number is to be fitted; ``None`` where ``value`` is a number."""
    return value if isinstance(value, str) else None


def fixed(code: WindowCode, field: str) -> float:
    """The number in ``field``; raises ``ConfigurationError`` while it is still to be fitted."""
    value = getattr(code, field)
    if isinstance(value, str):
        raise ConfigurationError(
            f"{type(code).__name__}: {field}={value!r} is fitted by convert(); give a number to use the code by itself"
        )
    return float(value)


def check_base(code: WindowCode, base: object) -> None:
    """Raise ``ConfigurationError`` unless ``base`` is "fit" or a number above 1."""
    number = isinstance(base, (int, float)) and not isinstance(base, bool)
    if base != "fit" and not (number and 1.0 < float(base) <= 64.0):  # type: ignore[arg-type]
        raise ConfigurationError(
            f"{type(code).__name__}: base must be 'fit' or a number above 1 (at most 64), got {base!r}; "
            "payloads are powers of 1 / base"
        )
