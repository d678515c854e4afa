"""The reading of a verification: which population hurts most, why, and what helps, in plain sentences."""

from __future__ import annotations

import math
from collections.abc import Set
from dataclasses import dataclass
from typing import Literal

from snnconv.metrics.error_sums import ErrorSums, VerificationSums
from snnconv.text import error_text

#: Relative error of an output that is worth a cure.
WORTH_A_CURE = 0.02
#: Growth of errors on their way to the output from which on it is a cause of its own.
_GROWS = 3.0
#: From here on how often they grow is not told.
_VERY_MANY = 1e4

Cause = Literal["saturation", "too early", "too few spikes"]

_WHY: dict[Cause, str] = {
    "saturation": "{cut:.0%} of it from saturation: values beyond the largest that its scale carries are cut",
    "too early": "{above:.0%} of it from neurons that say too much: they fire early, before what inhibits them arrives",
    "too few spikes": "{rest:.0%} of it from values that its spikes are too few to tell apart",
}
_STREAM_CURES: dict[Cause, str] = {
    "saturation": "convert with percentile=100, with more calibration samples, or with samples like these",
    "too early": "more steps, neuron='corrective', or schedule=Pipeline() where the code supports it",
    "too few spikes": "more steps",
}
_WINDOW_CURES: dict[Cause, str] = {
    "saturation": "convert with more calibration samples, with samples like these, or with percentile=100",
    "too early": "",  # neurons wait for all that they receive
    "too few spikes": "a code of more steps for it, or for all populations",
}
#: Of a population in a window that has a limit of spikes.
_MORE_SPIKES = "a code of more steps or spikes for it, or for all populations"
#: Of a population that looks its spikes up; scales, and so percentiles, do not concern it.
_TABLE_WHY = "{cut:.0%} of it from saturation: currents leave the range that its table was fitted to, and are cut"
_TABLE_CURES: dict[Cause, str] = {
    "saturation": "convert with more calibration samples, or with samples like these",
    "too early": "",
    "too few spikes": "a table of more levels for it, FunctionTable(steps, spikes=2) with more steps",
}


@dataclass(frozen=True)
class Reading:
    """What a verification says.

    Attributes:
        output: The relative error of the output.
        population: The name of the population that adds the largest error of its own; "" where there is none.
        own: That error, relative to what the population should have said.
        cause: "saturation", "too early" or "too few spikes".
        growth: How many times the output's error is what all populations add, as independent errors sum up. A deep
            network with random or badly scaled weights multiplies small differences, whatever makes them.
        cure: What helps; "" where the output is near enough to the original's.
        text: All of it in a sentence.
    """

    output: float
    population: str
    own: float
    cause: str
    growth: float
    cure: str
    text: str

    def __str__(self) -> str:
        return self.text


def read(
    sums: VerificationSums, waits: bool, looked_up: Set[str] = frozenset(), limited: Set[str] = frozenset()
) -> Reading:
    """The reading of ``sums``; ``waits`` says whether populations fire in windows, when all has arrived.

    ``looked_up`` are the populations with tables, ``limited`` those whose code limits the spikes of a window.
    """
    name, worst = max(sums.populations.items(), key=lambda item: item[1].own, default=("", ErrorSums()))
    output = sums.output.relative
    if worst.own2 <= 0.0:
        return Reading(output, "", 0.0, "", 0.0, "", "every population says what it should")
    shares = {"cut": worst.cut2 / worst.own2, "above": worst.above2 / worst.own2}
    shares["rest"] = 1.0 - shares["cut"] - (0.0 if waits else shares["above"])
    cause: Cause = "too few spikes"
    if shares["cut"] >= 0.5:
        cause = "saturation"
    elif not waits and shares["above"] > shares["rest"]:
        cause = "too early"
    cures = _TABLE_CURES if name in looked_up else _WINDOW_CURES if waits else _STREAM_CURES
    cure = _MORE_SPIKES if cures is _WINDOW_CURES and cause == "too few spikes" and name in limited else cures[cause]
    cure = cure if output > WORTH_A_CURE else ""
    why = _TABLE_WHY if name in looked_up and cause == "saturation" else _WHY[cause]
    what = f"population {name} adds the largest error of its own, {error_text(worst.own)}, {why.format(**shares)}"
    together = math.sqrt(sum(each.own**2 for each in sums.populations.values()))
    growth = output / together
    if cure and growth > _GROWS:
        times = f"{growth:.0f}" if growth < _VERY_MANY else f"over {_VERY_MANY:,.0f}"
        what += (
            f"; all add {error_text(together)} together, which the network's layers make {times} times larger on the "
            "way: it multiplies any small difference"
        )
    fine = f"the output differs from the original's by {error_text(output)} on these samples, so nothing is amiss"
    ends = f"what helps: {cure}" if cure else fine
    return Reading(output, name, worst.own, cause, growth, cure, f"{what}; {ends}")
