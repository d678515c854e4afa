"""A window code of integers, as a machine without fractions runs it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from coding.errors import ConfigurationError
from coding.window.closed_form import WindowTable
from coding.window.window_code import WindowCode


@dataclass(frozen=True)
class IntegerTable(WindowCode):
    """A window code whose payloads and thresholds are integers, of which ``resolution`` make 1.0.

    What other window codes become when they are quantised for export.

    Args:
        steps: Time steps of a window.
        payloads: What a spike carries, by step.
        thresholds: ``thresholds[fired][step]`` holds after ``fired`` spikes, the last row ever after.
        most_spikes: Most spikes of a window; ``None`` is one every step.
        resolution: The integer that stands for 1.0.

    Raises:
        ConfigurationError: The table has no such form.
    """

    steps: int = 1
    payloads: tuple[int, ...] = (1,)
    thresholds: tuple[tuple[int, ...], ...] = ((1,),)
    most_spikes: int | None = None
    resolution: int = 1

    name: ClassVar[str] = "whole-table"
    named: ClassVar[bool] = False

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "payloads", tuple(self.payloads))
        object.__setattr__(self, "thresholds", tuple(tuple(row) for row in self.thresholds))
        rows = (self.payloads, *self.thresholds, (self.resolution,) * self.steps)
        integers = all(type(number) is int and number >= 1 for row in rows for number in row)
        if not integers or not self.thresholds or any(len(row) != self.steps for row in rows):
            raise ConfigurationError(
                f"IntegerTable: payloads and every row of thresholds must be {self.steps} positive integers, one a "
                f"step, and resolution another, got {self!r}"
            )

    @property
    def limit(self) -> int | None:
        return self.most_spikes

    def table(self) -> WindowTable:
        payloads, *rows = (
            tuple(number / self.resolution for number in row) for row in (self.payloads, *self.thresholds)
        )
        return WindowTable(payloads, tuple(rows), self.limit)
