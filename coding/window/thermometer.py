"""Thermometer code: equal pulses, as many as the value makes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from coding.window.closed_form import WindowTable
from coding.window.window_code import WindowCode


@dataclass(frozen=True)
class Thermometer(WindowCode):
    """Equal pulses, the first so many of a window that they make the value, each worth 1 / ``steps``.

    A value is rounded to the nearest multiple of 1 / ``steps``. A crossbar that is read once a pulse adds its noise as
    often, and the mean of the reads has less of it (``snnconv.CrossbarNoise``). It is the bit encoding of Kim et al.
    2022, whose pulses ``snnconv.optimize_pulses`` distributes among layers.

    Args:
        steps: Pulses of a window.

    Raises:
        ConfigurationError: ``steps`` is no integer of at least 1.
    """

    steps: int = 8

    name: ClassVar[str] = "thermometer"
    papers: ClassVar[tuple[str, ...]] = ("kim2022gbo",)

    def table(self) -> WindowTable:
        pulse = 1.0 / self.steps
        return WindowTable((pulse,) * self.steps, ((pulse / 2,) * self.steps,), None)
