"""The values that a window can carry, counted."""

from __future__ import annotations

from coding import OneSpike, Phase, Rate
from snnconv.plots.code_values import code_levels, levels_text


def test_values_are_counted_however_near_they_are_to_each_other() -> None:
    assert levels_text(code_levels(Rate(8))) == "9 values"
    small = code_levels(OneSpike(20, base=2.0))
    assert small.tolist() == [0.0, *(2.0**-power for power in reversed(range(20)))]
    assert levels_text(code_levels(Phase(16))) == "over 16,000 values"
