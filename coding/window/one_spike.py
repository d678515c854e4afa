"""Single-spike phase code with threshold shift and base manipulation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from coding.window.closed_form import WindowTable
from coding.window.rounding import Rounding, check_rounding, thresholds_of
from coding.window.window_code import BaseCode


@dataclass(frozen=True)
class OneSpike(BaseCode):
    """Single-spike phase coding (Hwang and Kung 2024): one spike per window, worth ``base ** -t`` at step t.

    Args:
        steps: Time steps of a window.
        base: A number above 1, or "fit" to minimise the squared error on calibration data: the paper's base
            manipulation.
        rounding: The paper's threshold shift. "floor" is none, "arithmetic" fires midway between two levels (the
            paper's (1 + 1/base) / 2), "geometric" at their geometric mean, "lookahead" as "arithmetic" but at half a
            payload at the last step, behind which there is only silence.

    Raises:
        ConfigurationError: An argument is none of these.
    """

    steps: int = 24
    base: float | Literal["fit"] = "fit"
    rounding: Rounding = "lookahead"

    name: ClassVar[str] = "one-spike"
    papers: ClassVar[tuple[str, ...]] = ("hwang2024onespike",)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_rounding(self)

    @property
    def limit(self) -> int:
        return 1

    def table(self) -> WindowTable:
        payloads = self.powers(0)
        return WindowTable(payloads, thresholds_of(payloads, 1, self.rounding), 1)
