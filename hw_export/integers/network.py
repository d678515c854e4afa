"""Integer networks: weights of at most 8 bits, integer thresholds, biases and payloads, as a machine holds them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from hw_export.explicit.maps import Array, integer_units
from hw_export.explicit.network import Connection, ExplicitNetwork
from neurons.integer_lookup import IntegerTables, LookupRule
from neurons.integer_rules import Rule, TableRule
from snnconv.network import SpikingNetwork

Per = Literal["channel", "population"]
#: Bits of a weight, its sign included.
FEWEST_WEIGHT_BITS, MOST_WEIGHT_BITS = 2, 8


def largest_weight(bits: int) -> int:
    """The largest weight of so many bits; the smallest is its negative."""
    return int(2 ** (bits - 1) - 1)


def over_channels(values: Array, dims: int) -> Array:
    """``values [channels]`` in a shape that broadcasts over samples with ``dims`` axes."""
    return values.reshape(-1, *[1] * (dims - 1))


@dataclass(frozen=True)
class IntegerPopulation:
    """Thresholds, initial potentials and biases of a population in integers, broadcastable to its shape.

    ``threshold`` is multiplied by the rule's thresholds; for neurons that look their spikes up it stands for the scale.
    ``saturated`` counts weights that were clipped at the largest there is.
    """

    rule: Rule
    threshold: Array
    initial: Array
    bias: Array
    saturated: int = 0

    @property
    def scale(self) -> Array:
        """The integer that stands for the population's scale in its membrane, by channel."""
        rule = self.rule
        if isinstance(rule, LookupRule):
            found: Array = self.threshold.reshape(-1)
            return found
        units = rule.resolution if isinstance(rule, TableRule) else 1.0 / rule.fraction
        found = self.threshold.reshape(-1) * units
        return found

    @cached_property
    def tables(self) -> IntegerTables:
        """What neurons that look their spikes up compare with and send, ``[channels, cells]``."""
        assert isinstance(self.rule, LookupRule)
        return self.rule.integers(self.scale)


@dataclass(frozen=True)
class IntegerOutput:
    """How a sum of integers is read: times ``step`` (by channel), plus ``offset``, in the shape of the output."""

    step: Array
    offset: Array


@dataclass(frozen=True)
class IntegerInput:
    """How an input becomes integers: divided by ``step``, rounded, and clipped to ``smallest`` and ``largest``.

    Both ends are those of what calibration saw, and one of them is 0 where it saw one side only.
    """

    step: float
    smallest: int
    largest: int

    @property
    def bits(self) -> int:
        """Bits of the integers, the sign included where there are negative ones."""
        return max(self.largest.bit_length(), (-self.smallest).bit_length()) + (self.smallest < 0)

    def taken(self, values: Array) -> Array:
        """``values`` as the integers that the network takes."""
        return integer_units(values, self.step, self.smallest, self.largest)


@dataclass(frozen=True)
class IntegerNetwork:
    """``explicit`` with integers: inputs, connections, populations and outputs, by node.

    Weights that a population or an output receives have ``weight_bits``, by node, the sign included.
    """

    explicit: ExplicitNetwork
    per: Per
    connections: tuple[Connection, ...]
    populations: Mapping[str, IntegerPopulation]
    outputs: Mapping[str, IntegerOutput]
    inputs: Mapping[str, IntegerInput]
    weight_bits: Mapping[str, int]

    @property
    def network(self) -> SpikingNetwork:
        """The network that was quantised."""
        return self.explicit.network

    @property
    def steps(self) -> int:
        """Time steps of one sample: of the stream, or the latency of the pipeline."""
        timing, schedule = self.network.timing, self.network.plan.schedule
        return timing.latency if timing is not None else int(getattr(schedule, "steps"))  # noqa: B009

    def into(self, target: str) -> list[Connection]:
        """Connections that end in ``target``."""
        return [connection for connection in self.connections if connection.target == target]

    def starts(self) -> Mapping[str, int]:
        """First step of every population's window; empty for a stream."""
        timing = self.network.timing
        return {} if timing is None else timing.starts
