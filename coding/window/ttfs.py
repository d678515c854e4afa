"""Time-to-first-spike code with an exponential kernel: the earlier the spike, the larger the value."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar, Literal, Self

from coding.errors import ConfigurationError
from coding.window.closed_form import WindowTable
from coding.window.rounding import Rounding, check_rounding, thresholds_of
from coding.window.window_code import PowerCode, fitted_parameter, fixed

#: How tau can be found on calibration data.
FITS = ("fit", "gradient", "sample-gradient")


@dataclass(frozen=True)
class TTFS(PowerCode):
    """Time to first spike with an exponential kernel (T2FSNN, Park et al. 2020): earlier means larger.

    A neuron fires once, at the first step where its potential reaches exp(-(t - delay) / tau), which is also what the
    spike is worth.

    Args:
        steps: Time steps of a window.
        tau: A number; "fit" minimises the squared error on calibration data; "gradient" is the paper's optimisation of
            tau and delay, from steps / 4 and ``delay``; "sample-gradient" the same to the letter of its code, where the
            largest value is that of every sample and zeros count among the smallest. It has the larger squared error.
        delay: Time steps by which the kernel starts later.
        rounding: "floor" is the paper's threshold, "geometric" fires half a step earlier, "arithmetic" midway between
            two levels.

    Raises:
        ConfigurationError: An argument is none of these.
    """

    steps: int = 80
    tau: float | Literal["fit", "gradient", "sample-gradient"] = 20.0
    delay: float = 0.0
    rounding: Rounding = "floor"

    name: ClassVar[str] = "ttfs"
    papers: ClassVar[tuple[str, ...]] = ("park2020t2fsnn",)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.tau not in FITS and not (isinstance(self.tau, (int, float)) and 0.0 < self.tau < 1e6):
            raise ConfigurationError(f"TTFS: tau must be {', '.join(FITS)} or a positive number, got {self.tau!r}")
        if not abs(self.delay) < self.steps:
            raise ConfigurationError(f"TTFS: delay must lie within the {self.steps} steps, got {self.delay!r}")
        check_rounding(self)

    @property
    def limit(self) -> int:
        return 1

    @property
    def free_parameter(self) -> str | None:
        return fitted_parameter(self.tau)

    def with_base(self, base: float) -> Self:
        return replace(self, tau=1.0 / math.log(base))

    def table(self) -> WindowTable:
        tau = fixed(self, "tau")
        payloads = tuple(math.exp(-(t - self.delay) / tau) for t in range(self.steps))
        return WindowTable(payloads, thresholds_of(payloads, 1, self.rounding), 1)
