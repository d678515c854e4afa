"""Phase code: the binary expansion of a value, one digit a step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

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

    Raises:
        ConfigurationError: ``steps`` is no integer of at least 1, or there is no such base.
    """

    steps: int = 8
    base: float | Literal["fit"] = 2.0

    name: ClassVar[str] = "phase"
    streams: ClassVar[bool] = True

    def table(self) -> WindowTable:
        payloads = self.powers(1)
        return WindowTable(payloads, (payloads,), None)
