"""Few-spike code: at most so many spikes in a window, between one-spike and phase code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from coding.errors import ConfigurationError
from coding.window.closed_form import WindowTable
from coding.window.rounding import Rounding, check_rounding, thresholds_of
from coding.window.window_code import BaseCode


@dataclass(frozen=True)
class FewSpike(BaseCode):
    """At most ``spikes`` spikes in a window, each worth ``base ** -t`` at step t: between one-spike and phase code.

    Args:
        steps: Time steps of a window.
        base: A number above 1, or "fit" to minimise the squared error on calibration data.
        spikes: Most spikes of a window.
        rounding: "lookahead" fires where the value is nearer to this payload than to the best that the later steps
            could still carry, so a neuron with one spike left rounds to the nearest level. "arithmetic" and "geometric"
            put the last spike and the last step midway between levels and floor the others; "floor" floors all.

    Raises:
        ConfigurationError: An argument is none of these.
    """

    steps: int = 8
    base: float | Literal["fit"] = "fit"
    spikes: int = 3
    rounding: Rounding = "lookahead"

    name: ClassVar[str] = "few-spike"
    papers: ClassVar[tuple[str, ...]] = ("hwang2024onespike",)

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
