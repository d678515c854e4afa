"""Phase code: the binary expansion of a value, one digit a step."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

from coding.errors import ConfigurationError
from coding.window.closed_form import WindowTable
from coding.window.window_code import BaseCode


@dataclass(frozen=True)
class Phase(BaseCode):
    """Weighted spikes of Kim et al. 2018: the binary expansion, a spike at phase t carrying 2^-(1 + t).

    Under ``Concurrent`` the phases repeat and residuals carry over to the next period; in a window the value is floored
    to the last phase.

    Args:
        steps: The period, 8 in the paper.
        base: Another base than 2.
        threshold: What the first spike of a period carries, as a share of the largest activation: 1 / base unless
            given, the paper's weight. With 1.0, as in the code of Park et al., a period carries up to twice the largest
            activation (with a base of 2), in steps twice as coarse.

    Raises:
        ConfigurationError: ``steps`` is no integer of at least 1, there is no such base, or the threshold lies outside
            (0, 1].
    """

    steps: int = 8
    base: float | Literal["fit"] = 2.0
    threshold: float | None = None

    name: ClassVar[str] = "phase"
    papers: ClassVar[tuple[str, ...]] = ("kim2018weighted",)
    streams: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.threshold is not None and not 0.0 < self.threshold <= 1.0:
            raise ConfigurationError(f"Phase: threshold must lie in (0, 1], got {self.threshold!r}")

    @property
    def full_scale(self) -> float:
        return math.fsum(self.powers(1))

    def table(self) -> WindowTable:
        payloads = self.powers(1)
        if self.threshold is not None:
            payloads = tuple(self.threshold * power for power in self.powers(0))
        return WindowTable(payloads, (payloads,), None)
