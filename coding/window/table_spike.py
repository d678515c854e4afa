"""One spike per window, worth a level of a table that follows the distribution of a population's values."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

from coding.errors import ConfigurationError
from coding.window.closed_form import WindowTable
from coding.window.rounding import thresholds_of
from coding.window.window_code import WindowCode


@dataclass(frozen=True)
class TableSpike(WindowCode):
    """Single-spike code whose levels are free: a spike at step t carries ``levels[t]``, which fall with t from 1.

    A neuron fires where its value is nearer to this level than to the next, or to 0 at the last step.

    Args:
        steps: Time steps of a window.
        levels: What a spike carries, by step; "fit" places them for the least squared error on calibration data (the
            optimal quantiser of Lloyd 1982 and Max 1960), where ``OneSpike`` has powers of one base.

    Raises:
        ConfigurationError: The levels do not fall.
    """

    steps: int = 16
    levels: tuple[float, ...] | Literal["fit"] = "fit"

    name: ClassVar[str] = "table-spike"
    papers: ClassVar[tuple[str, ...]] = ("lloyd1982",)

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.levels, str):
            if self.levels != "fit":
                raise ConfigurationError(f"TableSpike: levels must be 'fit' or numbers, got {self.levels!r}")
            return
        object.__setattr__(self, "levels", tuple(float(level) for level in self.levels))
        falling = all(upper > lower for upper, lower in zip(self.levels, (*self.levels[1:], 0.0), strict=True))
        if len(self.levels) != self.steps or self.levels[0] != 1.0 or not falling:
            raise ConfigurationError(
                f"TableSpike: levels must be {self.steps} positive numbers, one per step, falling from 1, "
                f"got {self.levels!r}"
            )

    @property
    def limit(self) -> int:
        return 1

    @property
    def free_parameter(self) -> str | None:
        return "fit" if isinstance(self.levels, str) else None

    @property
    def maximum(self) -> float:
        return 1.0

    def with_levels(self, levels: tuple[float, ...]) -> TableSpike:
        """The same code with these levels."""
        return replace(self, levels=levels)

    def table(self) -> WindowTable:
        if isinstance(self.levels, str):
            raise ConfigurationError(
                "TableSpike: levels='fit' is fitted by convert(); give numbers to use the code by itself"
            )
        return WindowTable(self.levels, thresholds_of(self.levels, 1, "lookahead"), 1)
