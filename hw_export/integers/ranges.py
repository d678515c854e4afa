"""The worst case: how far membranes and currents could go, whatever the input, against the bits there are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from hw_export.explicit.maps import Array
from hw_export.explicit.network import ExplicitNetwork
from hw_export.integers.network import IntegerNetwork, over_channels
from neurons.integer_lookup import MEMBRANE_LIMIT, LookupRule
from neurons.integer_rules import Rule, TableRule
from snnconv.errors import ConfigurationError


@dataclass(frozen=True)
class Payloads:
    """Bounds of what one neuron sends: smallest and largest payload of a step, and their sums over a sample."""

    smallest: int
    largest: int
    smallest_sum: int
    largest_sum: int


@dataclass(frozen=True)
class NeuronLimits:
    """The largest numbers that a machine's neurons hold: potentials, what arrives in one step, and biases."""

    membrane: int = MEMBRANE_LIMIT
    current: int = MEMBRANE_LIMIT
    bias: int = MEMBRANE_LIMIT

    @property
    def threshold(self) -> int:
        """The largest threshold at which a membrane that saturates holds a remainder below it and a spike's worth."""
        return self.membrane // 2


@dataclass(frozen=True)
class MembraneReach:
    """How far the membrane of a population (or the sum of an output in one step) could go either way.

    ``current`` is the largest size of what arrives: in one step, or over a sample where a pipeline sums it first.
    """

    node: str
    lowest: int
    highest: int
    current: int

    @property
    def size(self) -> int:
        """The farther of the two ends from 0."""
        return max(-self.lowest, self.highest)


def payloads_of(integers: IntegerNetwork) -> dict[str, Payloads]:
    """Bounds of the payloads of every source that has any; bursts without a largest gain have none."""
    steps, windowed = integers.steps, integers.network.timing is not None
    found: dict[str, Payloads] = {}
    for name, taken in integers.inputs.items():
        times = 1 if windowed else steps
        found[name] = Payloads(taken.smallest, taken.largest, times * taken.smallest, times * taken.largest)
    for node in integers.explicit.shapes:
        if node in integers.populations:
            bounds = _of_rule(integers.populations[node].rule, steps)
        else:
            bounds = found.get(integers.explicit.gates[node].source)
        if bounds is not None:
            found[node] = bounds
    return found


def _of_rule(rule: Rule, steps: int) -> Payloads | None:
    if isinstance(rule, LookupRule):
        second = rule.levels * rule.slopes  # the largest of a cell
        return Payloads(*_ends(rule.payloads, second), *_ends(rule.payloads, rule.payloads + second))
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


def steady(network: ExplicitNetwork, target: str) -> bool:
    """Whether the same current arrives at the population ``target`` at every step: that of inputs in a stream."""
    return network.network.timing is None and all(each.source in network.inputs for each in network.into(target))


def reaches(integers: IntegerNetwork, limits: Mapping[str, NeuronLimits] | None = None) -> list[MembraneReach]:
    """The worst case of every population and output; raises ``ConfigurationError`` where payloads have no bound.

    Where saturation changes no spike (docs/concepts/integers.md), a membrane reaches no farther than it saturates:
    at 24 bits, or where the ``limits`` of its node say.
    """
    payloads = payloads_of(integers)
    found = []
    for target in (*integers.populations, *integers.outputs):
        lowest, highest = arriving(integers, target, payloads)
        current = int(max(-lowest.min(), highest.max()))
        if target in integers.populations:
            limit = (limits or {}).get(target, NeuronLimits())
            lowest, highest = _of_membrane(integers, target, lowest, highest, limit)
        found.append(MembraneReach(target, int(lowest.min()), int(highest.max()), current))
    return found


def arriving(integers: IntegerNetwork, target: str, payloads: Mapping[str, Payloads]) -> tuple[Array, Array]:
    """Bounds of what arrives at each neuron of ``target``, in its shape.

    For the populations of a pipeline it is the sum over a sample, for outputs and in a stream that of one step.
    """
    summed = integers.network.timing is not None and target in integers.populations
    lowest, highest = (np.zeros(integers.explicit.currents[target].shape) for _ in range(2))
    for connection in integers.into(target):
        if connection.source not in payloads:
            name = integers.explicit.name(connection.source)
            raise ConfigurationError(
                f"{name}: the payload of its bursts has no bound, so a membrane could overflow; "
                "give the code a largest_gain, for instance Burst(largest_gain=16)"
            )
        sent = payloads[connection.source]
        low, high = (sent.smallest_sum, sent.largest_sum) if summed else (sent.smallest, sent.largest)
        ones = np.ones((1, *connection.map.source_shape))
        excited, inhibited = (connection.map.mapped(part).apply(ones)[0] for part in (_positive, _negative))
        lowest += excited * low + inhibited * high
        highest += excited * high + inhibited * low
    return lowest, highest


def _of_membrane(
    integers: IntegerNetwork, target: str, lowest: Array, highest: Array, limit: NeuronLimits
) -> tuple[Array, Array]:
    population = integers.populations[target]
    rule, bias = population.rule, population.bias
    start = population.initial.astype(np.float64)
    if isinstance(rule, LookupRule):
        # After the first spike there is what the potential exceeds the origin of its cell by.
        origins = population.tables.origins
        above, below = -origins.min(1).clip(max=0), -origins.max(1).clip(min=0)
        lowest, highest = lowest + over_channels(below, bias.ndim), highest + over_channels(above, bias.ndim)
        return start + bias + lowest, start + bias + highest
    if isinstance(rule, TableRule):
        factor = (rule.reciprocal_slope or 1) * population.threshold
        # The largest threshold is compared with whatever arrives; a payload above its threshold leaves the other sign.
        beyond = max(p - t for row in rule.thresholds for p, t in zip(rule.payloads, row, strict=True))
        over = factor * max(0, beyond)
        signed = over if rule.reciprocal_slope else 0.0
        top = factor * max(map(max, rule.thresholds))
        first = start + bias
        least, most = first, first
        timing = integers.network.timing
        if timing is not None and not timing.closed:  # spikes may have spent it before the rest arrives
            least, most = np.minimum(first, 0), np.maximum(first, 0) if rule.reciprocal_slope else first
        return np.minimum(least + lowest, 0) - over, np.maximum(most + highest + signed, top)
    steps = integers.steps
    top = population.threshold * rule.widest
    low, high = np.minimum(0, bias + lowest), np.maximum(0, bias + highest)
    far = start + steps * low, np.maximum(start + steps * high, top)
    if not steady(integers.explicit, target) or rule.gain > 1 or int(top.max()) > limit.threshold:
        return far
    near = start + low, np.maximum(start + high, top)  # after one step; farther on, saturation changes no spike
    lowest = np.maximum(far[0], np.minimum(near[0], -limit.membrane))
    return lowest, np.minimum(far[1], np.maximum(near[1], limit.membrane))


def _ends(*numbers: Array) -> tuple[int, int]:
    """The smallest and the largest of ``numbers`` and of silence."""
    return min(0, *(int(each.min()) for each in numbers)), max(0, *(int(each.max()) for each in numbers))


def _positive(weights: Array) -> Array:
    found: Array = weights.astype(np.float64).clip(min=0)
    return found


def _negative(weights: Array) -> Array:
    found: Array = weights.astype(np.float64).clip(max=0)
    return found


def overflows(integers: IntegerNetwork) -> list[MembraneReach]:
    """Populations and outputs that could leave 24 bits."""
    return [reach for reach in reaches(integers) if reach.size > MEMBRANE_LIMIT]


def check_ranges(integers: IntegerNetwork) -> None:
    """Raise ``ConfigurationError`` where a membrane could overflow, with how far it could go."""
    found = overflows(integers)
    if not found:
        return
    found.sort(key=lambda reach: -reach.size)
    bits = max(taken.bits for taken in integers.inputs.values())
    names = "; ".join(
        f"{integers.explicit.name(reach.node)} from {reach.lowest} to {reach.highest}" for reach in found[:5]
    )
    raise ConfigurationError(
        f"{len(found)} membranes could overflow 24 bits (+-{MEMBRANE_LIMIT}) if everything that excites them fired: "
        f"{names}; use fewer steps, a smaller burst gain, or input_bits below {bits}"
    )
