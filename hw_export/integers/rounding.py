"""One choice of bits for inputs: the integer network of an explicit one, with weights and payloads as fine as fit."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from hw_export.explicit.maps import Array
from hw_export.explicit.network import Connection, ExplicitNetwork
from hw_export.integers.network import (
    IntegerInput,
    IntegerNetwork,
    IntegerOutput,
    IntegerPopulation,
    Per,
    largest_weight,
    over_channels,
)
from hw_export.integers.parallel import parallel_synapses, split
from hw_export.integers.ranges import NeuronLimits, arriving, check_ranges, payloads_of, reaches, steady
from neurons.integer_lookup import MEMBRANE_LIMIT, LookupRule
from neurons.integer_rules import Rule, StreamRule, TableRule, integer_rule
from snnconv.errors import ConfigurationError
from snnconv.spiking.population import Population

#: Thresholds for spikes: larger ones would add nothing to weights of 8 bits, and biases grow with them.
_LARGEST_THRESHOLD = 2**16 - 1
#: The largest threshold of a table at first, and the largest constant current: the membrane needs room beyond.
_LARGEST_OF_TABLE = 2**21
#: The most that stands for the scale of a population with tables, however small its thresholds are.
_LARGEST_SCALE = 2**28
#: Parts of a scale that a payload of a window code may count, tried from the finest to the coarsest.
_RESOLUTIONS = tuple(2**bits for bits in range(12, 5, -1))
#: The share of its range that the largest weights may be cut down to for the sake of finer payloads.
_FINE_SHARE = 0.7
#: The least share of its range that is left to the largest weight of a channel, and how often shares are made smaller.
_LEAST_SHARE, _MOST_ROUNDS = 1 / 16, 8


def rounded(
    found: ExplicitNetwork, per: Per, input_bits: int, limits: NeuronLimits, weight_bits: Mapping[str, int]
) -> IntegerNetwork:
    """``found`` in integers whose membranes keep within 24 bits, and within ``limits`` where weights of 4 bits do.

    No weight that a population or an output receives has more bits than ``weight_bits`` says, by node. Payloads become
    coarser first, then weights. Raises ``ConfigurationError`` where a membrane could still overflow.
    """
    wanted = _Wanted(found, per, input_bits, dict.fromkeys(found.populations, limits), weight_bits)
    resolution, integers = _with_fine_payloads(wanted)
    # Membranes that could leave their limit get smaller thresholds, with weights of fewer bits.
    shares: dict[str, float] = {}
    for _ in range(_MOST_ROUNDS):
        far = {node: over for node, over in _overdrawn(integers, wanted.limits).items() if over > 1.0}
        narrow = [node for node, limit in wanted.limits.items() if limit != NeuronLimits()]
        coarse = [node for node in narrow if _is_coarse(wanted, integers, node)]
        if not far and not coarse:
            break
        for node, over in far.items():
            share = shares.get(node, 1.0) * 0.98 / over
            if share < wanted.least_share(node) and node in narrow:
                coarse.append(node)
            shares[node] = max(share, wanted.least_share(node))
        for node in coarse:
            wanted.limits[node], shares[node] = NeuronLimits(), 1.0
        integers = _quantized(wanted, resolution, shares)
    check_ranges(integers)
    return integers


@dataclass(frozen=True)
class _Wanted:
    """What is to be quantised and how: ``limits`` of the neurons that populations should run on, by node."""

    found: ExplicitNetwork
    per: Per
    input_bits: int
    limits: dict[str, NeuronLimits]
    weight_bits: Mapping[str, int]

    def largest(self, target: str) -> int:
        """The largest weight that ``target`` receives."""
        return largest_weight(self.weight_bits[target])

    def least_share(self, target: str) -> float:
        """The least share of ``largest`` that is left to a channel: no less than a weight of 1."""
        return max(_LEAST_SHARE, 1 / self.largest(target))

    def inputs(self) -> dict[str, IntegerInput]:
        """Integers of ``input_bits`` for what calibration saw of every input."""
        pairs = zip(self.found.inputs, self.found.network.input_ranges, strict=True)
        return {
            name: _integer_input(float(seen.low.min()), float(seen.high.max()), self.input_bits) for name, seen in pairs
        }


def _integer_input(low: float, high: float, bits: int) -> IntegerInput:
    most = int(2 ** (bits - (low < 0.0)) - 1)  # a sign takes one bit
    step = max(-low, high) / most
    ends = max(-most, math.floor(low / step)), min(most, math.ceil(high / step))
    return IntegerInput(step, min(0, ends[0]), max(0, ends[1]))


def _is_coarse(wanted: _Wanted, integers: IntegerNetwork, node: str) -> bool:
    """Whether weights that ``node`` receives have fewer than 4 bits left."""
    largest = max(
        (int(np.abs(each.map.weights.astype(np.int64)).max(initial=0)) for each in integers.into(node)), default=0
    )
    few = largest < wanted.least_share(node) * wanted.largest(node)
    return few and any(each.map.weights.any() for each in wanted.found.into(node))


def _overdrawn(integers: IntegerNetwork, limits: Mapping[str, NeuronLimits]) -> dict[str, float]:
    """How many times the limits of its neurons each population and output needs in the worst case."""
    found = {}
    for reach in reaches(integers, limits):
        limit, population = limits.get(reach.node, NeuronLimits()), integers.populations.get(reach.node)
        parts = [reach.size / limit.membrane, reach.current / limit.current]
        if population is not None:
            parts.append(float(np.abs(population.bias).max()) / limit.bias)
        found[reach.node] = max(parts)
    return found


def _with_fine_payloads(wanted: _Wanted) -> tuple[int, IntegerNetwork]:
    """The finest resolution with which membranes hold weights of nearly 8 bits, or the coarsest that all codes have."""
    kept: tuple[int, IntegerNetwork] | None = None
    for resolution in _RESOLUTIONS if wanted.found.network.timing is not None else _RESOLUTIONS[:1]:
        try:
            kept = resolution, _quantized(wanted, resolution, {})
        except ConfigurationError:  # the smallest payload of a code would be none
            if kept is None:
                raise
            break
        if all(_FINE_SHARE * reach.size <= MEMBRANE_LIMIT for reach in reaches(kept[1])):
            break
    assert kept is not None
    return kept


def _quantized(wanted: _Wanted, resolution: int, shares: Mapping[str, float]) -> IntegerNetwork:
    found, inputs, windowed = wanted.found, wanted.inputs(), wanted.found.network.timing is not None
    rules = {node: _rule(population, windowed, resolution) for node, population in found.populations.items()}
    units = {name: taken.step for name, taken in inputs.items()} | {node: rule.unit for node, rule in rules.items()}
    for gate, described in found.gates.items():
        units[gate] = units[described.source]
    connections: list[Connection] = []
    populations: dict[str, IntegerPopulation] = {}
    outputs: dict[str, IntegerOutput] = {}
    for target in (*found.populations, *found.outputs):
        into = [_per_payload(each, units[each.source]) for each in found.into(target)]
        channels, most_weight = found.currents[target].shape[0], wanted.largest(target)
        synapses = parallel_synapses(into)
        parts = [each.map.by_target(_largest) / count for each, count in zip(into, synapses, strict=True)]
        largest = np.max([np.zeros(channels), *parts], axis=0)
        if wanted.per == "population":
            largest = np.full(channels, largest.max())
        if target in rules:
            constant = np.abs(found.currents[target]).reshape(channels, -1).max(1)
            rule, most = rules[target], _LARGEST_THRESHOLD
            if isinstance(rule, StreamRule) and steady(found, target):
                # Steps of inputs are so fine that weights of 8 bits need larger ones.
                most = wanted.limits[target].threshold // rule.widest
            threshold, step = _thresholds(rule, largest, constant, most_weight, shares.get(target, 1.0), most)
        else:
            step = np.where(largest > 0.0, largest, 1.0) / (most_weight * shares.get(target, 1.0))
        quantized = [replace(each, map=each.map.scaled(1.0 / step).mapped(np.rint)) for each in into]
        most_of = [most_weight * count for count in synapses]
        pairs = [*zip(quantized, most_of, strict=True)]
        saturated = sum(int((np.abs(each.map.weights) > most).sum()) for each, most in pairs)
        for each, most in pairs:
            connections += split(replace(each, map=each.map.mapped(partial(_clipped, most))), most_weight)
        if target not in rules:
            outputs[target] = IntegerOutput(step, found.currents[target])
            continue
        bias = np.rint(found.currents[target] / over_channels(step, found.currents[target].ndim)).astype(np.int64)
        populations[target] = IntegerPopulation(
            rules[target],
            over_channels(threshold, bias.ndim),
            over_channels(_initial(rules[target], threshold), bias.ndim),
            _by_channel(bias),
            saturated,
        )
    written = IntegerNetwork(found, wanted.per, tuple(connections), populations, outputs, inputs, wanted.weight_bits)
    return _without_needless_biases(written)


def _without_needless_biases(integers: IntegerNetwork) -> IntegerNetwork:
    """``integers`` with biases no lower than what keeps a neuron silent whatever excites it.

    Channels that never fire may have biases of thousands of thresholds, which would need the bits of all others.
    """
    payloads, populations = payloads_of(integers), dict(integers.populations)
    for node, population in integers.populations.items():
        rule = population.rule
        if isinstance(rule, LookupRule):  # silence is no end of what it sends
            continue
        signed = rule.reciprocal_slope if isinstance(rule, TableRule) else rule.negative
        if not signed:
            _, excited = arriving(integers, node, payloads)
            kept = np.maximum(population.bias, -np.ceil(excited).astype(np.int64))
            populations[node] = replace(population, bias=_by_channel(kept))
    return replace(integers, populations=populations)


def _rule(population: Population, windowed: bool, resolution: int) -> Rule:
    if population.tables is not None and population.channel_axis not in (None, 1):
        raise ConfigurationError(
            f"{population.name}: it has a table for each place along axis {population.channel_axis}, exports have one "
            "for each place along axis 1: permute the axes in front of it, and back behind it"
        )
    try:
        return integer_rule(population.neuron, windowed, resolution, population.tables)
    except ConfigurationError as error:
        raise ConfigurationError(f"{population.name}: {error}") from error


def _per_payload(connection: Connection, unit: float) -> Connection:
    """The connection for payloads in integers, of which one stands for ``unit``."""
    return replace(connection, map=connection.map.mapped(lambda weights: weights * unit))


def _thresholds(
    rule: Rule, largest: Array, constant: Array, largest_integer: int, share: float, most: int
) -> tuple[Array, Array]:
    """Integer thresholds, and the steps of weights that they stand for, by channel, for the ``largest`` weights.

    ``constant`` is the size of the constant current, for which a table leaves room. ``share`` is what is used of
    ``largest_integer``, the largest weight that there is, and of ``most``, the largest threshold.
    """
    if isinstance(rule, LookupRule):
        room = np.minimum(_LARGEST_OF_TABLE / np.maximum(rule.largest_threshold, constant), _LARGEST_SCALE)
        scale = np.floor(share * np.minimum(largest_integer / np.maximum(largest, 1e-300), room)).clip(min=1)
        return scale.astype(np.int64), 1.0 / scale
    unrounded = share * largest_integer / np.where(largest > 0.0, largest, 1.0)  # what would stand for the scale
    if isinstance(rule, TableRule):
        threshold = np.clip(np.floor(unrounded / rule.resolution), 1, share * most // 1)
        return threshold.astype(np.int64), 1.0 / (threshold * rule.resolution)
    threshold = np.clip(np.floor(unrounded * rule.fraction), 1, max(1, share * most // 1))
    threshold -= 1 - threshold % 2  # odd, so that half of it lies between two integers
    return threshold.astype(np.int64), rule.fraction / threshold


def _initial(rule: Rule, threshold: Array) -> Array:
    halved = isinstance(rule, StreamRule) and rule.halved
    return threshold // 2 if halved else np.zeros_like(threshold)


def _largest(rows: Array) -> Array:
    return np.abs(rows).max(1) if rows.shape[1] else np.zeros(len(rows))


def _clipped(most: int, weights: Array) -> Array:
    return np.clip(weights, -most, most).astype(np.int32)


def _by_channel(bias: Array) -> Array:
    """``bias`` with one number per channel where its neurons have the same, which borders may prevent."""
    first = bias[(slice(None), *[slice(0, 1)] * (bias.ndim - 1))]
    return first if bool((bias == first).all()) else bias
