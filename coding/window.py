"""Window codes: payloads and thresholds fixed per step, and a limit on the spikes of a window."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import ClassVar, Literal, Self

import torch
from torch import Tensor

from coding.code import Code, Fired, Memory, Quantized
from coding.errors import ConfigurationError
from coding.levels import WindowTable, levels_of
from coding.threshold import reaches

Rounding = Literal["floor", "arithmetic", "geometric", "lookahead"]
ROUNDINGS = ("floor", "arithmetic", "geometric", "lookahead")


@dataclass(frozen=True)
class WindowCode(Code):
    """A code that is a table, payload and threshold of every step; phase, TTFS, one-spike and few-spike fill it."""

    @abstractmethod
    def table(self) -> WindowTable:
        """Payloads and thresholds of the window."""

    @property
    def maximum(self) -> float:
        payloads = table_of(self).payloads
        return math.fsum(payloads[: self.limit])

    def fire(self, potential: Tensor, t: int, memory: Memory, out: Tensor | None = None) -> Fired:
        table = table_of(self)
        t %= self.steps
        if t == 0:
            memory = None  # a window starts afresh
        payload = table.payloads[t]
        if len(table.thresholds) == 1:
            threshold: float | Tensor = table.thresholds[0][t]
            spikes = reaches(potential, threshold, out)
            if self.limit is None:
                spikes.mul_(payload)
                return Fired(spikes, spikes, None)
            if memory is not None:
                spikes.mul_(memory)  # 1 while the only spike allowed has not been fired
            silent = 1.0 - spikes
            spikes.mul_(payload)
            return Fired(spikes, spikes, silent if memory is None else silent.mul_(memory))
        # The memory counts the spikes fired; it selects the row of thresholds, and nothing reaches the row
        # behind the last, not even infinity.
        fired = torch.zeros(potential.shape, dtype=torch.int32, device=potential.device) if memory is None else memory
        column = [row[t] for row in table.thresholds] + [math.nan]
        thresholds = torch.tensor(column, dtype=potential.dtype, device=potential.device)
        spikes = reaches(potential, thresholds.index_select(0, fired.reshape(-1)).view(potential.shape), out)
        count = fired + spikes.to(torch.int32)
        spikes = spikes * payload
        return Fired(spikes, spikes, count)

    def quantize(self, values: Tensor, counted: bool = True) -> Quantized:
        levels = levels_of(table_of(self), values.dtype, values.device)
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
        return _free(self.base)

    def with_base(self, base: float) -> Self:
        return replace(self, base=base)

    def powers(self, first: int) -> tuple[float, ...]:
        """``base``^-first and the powers that follow it, one a step."""
        base = fixed(self, "base")
        return tuple(base ** -(first + t) for t in range(self.steps))


@dataclass(frozen=True)
class Phase(BaseCode):
    """Weighted spikes of Kim et al. 2018: the binary expansion, a spike at phase t carrying 2^-(1 + t).

    ``steps`` is the period (8 in the paper), ``base`` another base than 2. Under ``Concurrent`` the phases repeat
    and residuals carry over to the next period; in a window the value is floored to the last phase.
    """

    steps: int = 8
    base: float | Literal["fit"] = 2.0

    name: ClassVar[str] = "phase"
    streams: ClassVar[bool] = True

    def table(self) -> WindowTable:
        payloads = self.powers(1)
        return WindowTable(payloads, (payloads,), None)


@dataclass(frozen=True)
class TTFS(PowerCode):
    """Time to first spike with an exponential kernel (T2FSNN, Park et al. 2020): earlier means larger.

    A neuron fires once, at the first step where its potential reaches exp(-(t - delay) / tau), which is also what the
    spike is worth. ``tau`` is a number; "fit" minimises the squared error on calibration data; "gradient" is the
    paper's optimisation of tau and delay, from steps / 4 and ``delay``. ``rounding`` "floor" is the paper's threshold,
    "geometric" fires half a step earlier, "arithmetic" midway between two levels. Raises ``ConfigurationError``.
    """

    steps: int = 80
    tau: float | Literal["fit", "gradient"] = 20.0
    delay: float = 0.0
    rounding: Rounding = "floor"

    name: ClassVar[str] = "ttfs"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.tau not in ("fit", "gradient") and not (isinstance(self.tau, (int, float)) and 0.0 < self.tau < 1e6):
            raise ConfigurationError(f"TTFS: tau must be 'fit', 'gradient' or a positive number, got {self.tau!r}")
        if not abs(self.delay) < self.steps:
            raise ConfigurationError(f"TTFS: delay must lie within the {self.steps} steps, got {self.delay!r}")
        check_rounding(self)

    @property
    def limit(self) -> int:
        return 1

    @property
    def free_parameter(self) -> str | None:
        return _free(self.tau)

    def with_base(self, base: float) -> Self:
        return replace(self, tau=1.0 / math.log(base))

    def table(self) -> WindowTable:
        tau = fixed(self, "tau")
        payloads = tuple(math.exp(-(t - self.delay) / tau) for t in range(self.steps))
        return WindowTable(payloads, thresholds_of(payloads, 1, self.rounding), 1)


@dataclass(frozen=True)
class FewSpike(BaseCode):
    """At most ``spikes`` spikes in a window, a spike at step t carrying ``base``^-t: between one-spike and phase code.

    ``rounding="lookahead"`` fires where the value is nearer to this payload than to the best that the later steps
    could still carry, so a neuron with one spike left rounds to the nearest level. "arithmetic" and "geometric" put
    the last spike and the last step midway between levels and floor the others; "floor" floors all. ``base`` is a
    number above 1, or "fit" to minimise the squared error on calibration data. Raises ``ConfigurationError``.
    """

    steps: int = 8
    base: float | Literal["fit"] = "fit"
    spikes: int = 3
    rounding: Rounding = "lookahead"

    name: ClassVar[str] = "few-spike"

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.spikes, bool) or not isinstance(self.spikes, int) or not 1 <= self.spikes <= self.steps:
            raise ConfigurationError(
                f"{type(self).__name__}: spikes must lie between 1 and the {self.steps} steps of the window, "
                f"got {self.spikes!r}"
            )
        check_rounding(self)

    @property
    def limit(self) -> int | None:
        return self.spikes if self.spikes < self.steps else None

    def table(self) -> WindowTable:
        payloads = self.powers(0)
        return WindowTable(payloads, thresholds_of(payloads, self.spikes, self.rounding), self.limit)


@dataclass(frozen=True)
class OneSpike(BaseCode):
    """Single-spike phase coding (Hwang and Kung 2024): one spike a window, worth ``base``^-t at step t.

    Base manipulation: ``base`` is a number above 1, or "fit". Threshold shift: ``rounding`` "floor" is none,
    "arithmetic" fires midway between two levels (the paper's (1 + 1/base) / 2), "geometric" at their geometric mean,
    "lookahead" as "arithmetic" but at half a payload at the last step, behind which there is only silence.
    Raises ``ConfigurationError``.
    """

    steps: int = 24
    base: float | Literal["fit"] = "fit"
    rounding: Rounding = "lookahead"

    name: ClassVar[str] = "one-spike"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_rounding(self)

    @property
    def limit(self) -> int:
        return 1

    def table(self) -> WindowTable:
        payloads = self.powers(0)
        return WindowTable(payloads, thresholds_of(payloads, 1, self.rounding), 1)


@lru_cache(maxsize=1024)
def table_of(code: WindowCode) -> WindowTable:
    """The table of ``code``, made once."""
    return code.table()


def thresholds_of(payloads: tuple[float, ...], limit: int, rounding: Rounding) -> tuple[tuple[float, ...], ...]:
    """Thresholds by spikes already fired and by step; one row where the limit cannot bind.

    Levels are taken to go on geometrically behind the last step, except by "lookahead", for which nothing follows.
    """
    steps = len(payloads)
    ratio = payloads[1] / payloads[0] if steps > 1 else 0.5
    following = (*payloads[1:], payloads[-1] * ratio)
    rows = []
    for left in range(min(limit, steps), 0, -1):
        if rounding == "floor":
            rows.append(payloads)
        elif rounding == "lookahead":
            # What `left` later spikes could carry at most, cut at this payload: values in between go to the nearer.
            later = [math.fsum(payloads[t + 1 : t + 1 + left]) for t in range(steps)]
            rows.append(tuple((own + min(own, best)) / 2 for own, best in zip(payloads, later, strict=True)))
        else:
            middle = [_middle(own, after, rounding) for own, after in zip(payloads, following, strict=True)]
            last = [left == 1 or t == steps - 1 for t in range(steps)]
            rows.append(tuple(m if is_last else p for m, is_last, p in zip(middle, last, payloads, strict=True)))
        if limit >= steps:
            break  # every later row could only be reached after the last step
    return tuple(rows)


def _middle(upper: float, lower: float, rounding: Rounding) -> float:
    return math.sqrt(upper * lower) if rounding == "geometric" else (upper + lower) / 2


def _free(value: float | str) -> str | None:
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


def check_rounding(code: WindowCode) -> None:
    """Raise ``ConfigurationError`` for a rounding that there is not."""
    if getattr(code, "rounding") not in ROUNDINGS:  # noqa: B009 - only some window codes round
        raise ConfigurationError(
            f"{type(code).__name__}: rounding must be one of {', '.join(ROUNDINGS)}, got {code.rounding!r}"  # type: ignore[attr-defined]
        )
