"""The worst case: how far membranes and currents could go, whatever the input, against the bits there are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hw_export.maps import Array
from neurons.whole_rule import Rule, TableRule
from snnconv.errors import ConfigurationError

if TYPE_CHECKING:
    from hw_export.integers import IntegerNetwork

#: Membranes and currents have 24 bits, one of them for the sign.
MEMBRANE_LIMIT = 2**23 - 1


@dataclass(frozen=True)
class Payloads:
    """Bounds of what one neuron sends: smallest and largest payload of a step, and their sums over a sample."""

    smallest: int
    largest: int
    smallest_sum: int
    largest_sum: int


@dataclass(frozen=True)
class Reach:
    """How far the membrane of a population (or the sum of an output in one step) could go either way."""

    node: str
    lowest: int
    highest: int

    @property
    def size(self) -> int:
        """The farther of the two ends from 0."""
        return max(-self.lowest, self.highest)


def payloads_of(integers: IntegerNetwork) -> dict[str, Payloads]:
    """Bounds of the payloads of every source that has any; bursts without a largest gain have none."""
    steps, windowed = integers.steps, integers.network.timing is not None
    found: dict[str, Payloads] = {}
    for name in integers.explicit.inputs:
        largest = integers.largest_input
        total = largest if windowed else largest * steps
        found[name] = Payloads(-largest, largest, -total, total)
    for node in integers.explicit.shapes:
        if node in integers.populations:
            bounds = _of_rule(integers.populations[node].rule, steps)
        else:
            bounds = found.get(integers.explicit.gates[node].source)
        if bounds is not None:
            found[node] = bounds
    return found


def _of_rule(rule: Rule, steps: int) -> Payloads | None:
    if isinstance(rule, TableRule):
        total = sum(sorted(rule.payloads, reverse=True)[: rule.limit])
        signed = rule.reciprocal_slope is not None
        largest = max(rule.payloads)
        return Payloads(-largest if signed else 0, largest, -total if signed else 0, total)
    if rule.gain > 1 and rule.largest_gain is None:
        return None
    largest = rule.positive * (rule.largest_gain or 1)
    lowest = 0 if rule.negative is None else -largest
    return Payloads(lowest, largest, lowest * steps, largest * steps)


def reaches(integers: IntegerNetwork) -> list[Reach]:
    """The worst case of every population and output; raises ``ConfigurationError`` where payloads have no bound."""
    payloads = payloads_of(integers)
    found = []
    for target in (*integers.populations, *integers.outputs):
        each_step = target in integers.outputs
        lowest, highest = 0.0, 0.0
        bounds: list[tuple[Array, Array]] = []
        for connection in integers.into(target):
            if connection.source not in payloads:
                name = integers.explicit.name(connection.source)
                raise ConfigurationError(
                    f"{name}: the payload of its bursts has no bound, so a membrane could overflow; "
                    "give the code a largest_gain, for instance Burst(largest_gain=16)"
                )
            sent = payloads[connection.source]
            low, high = (sent.smallest, sent.largest) if each_step else (sent.smallest_sum, sent.largest_sum)
            above, below = connection.map.by_target(_positive), connection.map.by_target(_negative)
            bounds.append((above * low + below * high, above * high + below * low))
        lowest, highest = (float(each) for each in _extremes(bounds))
        if target in integers.populations:
            population = integers.populations[target]
            times = 1 if integers.network.timing is not None else integers.steps
            lowest += min(0.0, float(population.bias.min()) * times)
            highest += max(0.0, float(population.bias.max()) * times) + float(population.initial.max())
            rule = population.rule
            if isinstance(rule, TableRule):  # the largest threshold is compared with, whatever arrives
                factor = rule.reciprocal_slope or 1
                top = factor * float(population.threshold.max()) * max(map(max, rule.thresholds))
                highest = max(highest, top)
        found.append(Reach(target, int(lowest), int(highest)))
    return found


def _extremes(bounds: list[tuple[Array, Array]]) -> tuple[float, float]:
    if not bounds:
        return 0.0, 0.0
    lowest, highest = (np.sum([pair[side] for pair in bounds], axis=0) for side in (0, 1))
    return min(0.0, float(lowest.min())), max(0.0, float(highest.max()))


def _positive(rows: Array) -> Array:
    found: Array = rows.clip(min=0).sum(1, dtype=np.float64)
    return found


def _negative(rows: Array) -> Array:
    found: Array = rows.clip(max=0).sum(1, dtype=np.float64)
    return found


def overflows(integers: IntegerNetwork) -> list[Reach]:
    """Populations and outputs that could leave 24 bits."""
    return [reach for reach in reaches(integers) if reach.size > MEMBRANE_LIMIT]


def check_ranges(integers: IntegerNetwork) -> None:
    """Raise ``ConfigurationError`` where a membrane could overflow, with how far it could go."""
    found = overflows(integers)
    if not found:
        return
    found.sort(key=lambda reach: -reach.size)
    names = "; ".join(
        f"{integers.explicit.name(reach.node)} from {reach.lowest} to {reach.highest}" for reach in found[:5]
    )
    raise ConfigurationError(
        f"{len(found)} membranes could overflow 24 bits (+-{MEMBRANE_LIMIT}) if everything that excites them fired: "
        f"{names}; use fewer steps, a smaller burst gain, or input_bits below {1 + integers.largest_input.bit_length()}"
    )
