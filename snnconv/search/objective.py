"""What a search aims at."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, get_args

from snnconv.errors import ConfigurationError, InputError
from snnconv.metrics.class_judge import ClassJudge
from snnconv.metrics.judge import Judge
from snnconv.spiking.logs import Cost


@dataclass(frozen=True)
class Goal:
    """The least ``minimize`` of all networks that are expected to lose at most ``max_loss`` points by ``judge``.

    Raises ``ConfigurationError``.
    """

    max_loss: float = 0.5
    minimize: Cost = "energy"
    judge: Judge = field(default_factory=ClassJudge)

    def __post_init__(self) -> None:
        if self.minimize not in get_args(Cost):
            raise ConfigurationError(f"minimize must be one of {', '.join(get_args(Cost))}, got {self.minimize!r}")
        if not 0.0 < self.max_loss < 100.0:
            raise ConfigurationError(
                f"max_loss is in percentage points and must lie in (0, 100), got {self.max_loss!r}"
            )

    def check_output(self, output: Any) -> None:
        """Raise ``InputError`` for an ``output`` of the original that ``judge`` cannot judge."""
        try:
            self.judge.decisions([output])
        except InputError as error:
            raise InputError(
                f'coding="auto" with the judge {type(self.judge).__name__}: {error}; say what an error of the output '
                "costs: judge=snnconv.ValueJudge() for values, judge=snnconv.LabelJudge() for labels that are 0 or 1, "
                "or a judge of your own"
            ) from error
