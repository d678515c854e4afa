"""quantize(): a network in integers, with as many bits for payloads and weights as membranes of 24 bits allow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import get_args

import numpy as np
import torch

from hw_export.explicit.maps import Array
from hw_export.explicit.network import Connection, ExplicitNetwork, explicit
from hw_export.integers.network import IntegerNetwork, IntegerOutput, IntegerPopulation, Per, over_channels
from hw_export.integers.ranges import arriving, check_ranges, payloads_of, reaches
from neurons.integer_lookup import MEMBRANE_LIMIT, LookupRule
from neurons.integer_rules import Rule, StreamRule, TableRule, integer_rule
from neurons.table_lookup import Tables
from snnconv.errors import ConfigurationError
from snnconv.network import SpikingNetwork
from snnconv.progress import ProgressCallback
from snnconv.spiking.population import Population
from snnconv.surroundings import own_surroundings

LARGEST_WEIGHT = 127
#: Thresholds have 17 bits on Loihi 2; larger ones would add nothing to weights of 8 bits.
_LARGEST_THRESHOLD = 2**16 - 1
#: The largest threshold of a table at first, and the largest constant current: the membrane needs room beyond.
_LARGEST_OF_TABLE = 2**21
#: The most that stands for the scale of a population with tables, however small its thresholds are.
_LARGEST_SCALE = 2**28
#: The least share of its scale to which that of a population with tables is brought down: an integer stands for it.
_LEAST_RESCALING = 2.0**-8
#: Parts of a scale that a payload of a window code may count, tried from the finest to the coarsest.
_RESOLUTIONS = tuple(2**bits for bits in range(12, 5, -1))
#: The share of 127 that the largest weights may be cut down to for the sake of finer payloads.
_FINE_SHARE = 0.7
#: The least share of 127 that is left to the largest weight of a channel, and how often shares are made smaller.
_LEAST_SHARE, _MOST_ROUNDS = 1 / 16, 8


@own_surroundings()
def quantize(
    network: SpikingNetwork,
    *,
    per: Per = "channel",
    input_bits: int = 10,
    membrane_limit: int = MEMBRANE_LIMIT,
    progress: ProgressCallback | None = None,
) -> IntegerNetwork:
    """``network`` with integers: a step for the weights of every output channel, or of every population.

    ``input_bits`` are those of an input, its sign included. The payloads of window codes get as many bits as membranes
    of 24 bits allow, in the worst case of what could arrive; where that is not enough, weights get fewer. A smaller
    ``membrane_limit`` is kept by all populations that weights of at least 4 bits allow to. Raises
    ``ConfigurationError`` for what integers cannot represent, and where a membrane could still overflow.
    """
    if per not in get_args(Per):
        raise ConfigurationError(f"per must be one of {', '.join(get_args(Per))}, got {per!r}")
    if not 2 <= input_bits <= 16:
        raise ConfigurationError(f"input_bits must lie between 2 and 16, got {input_bits!r}")
    if network.batch_axis is None:
        raise ConfigurationError(
            "a network that takes one sample per call, such as a graph network, cannot be exported yet"
        )
    if membrane_limit < 1:
        raise ConfigurationError(f"membrane_limit must be positive, got {membrane_limit}")
    if network.period != 1:
        raise ConfigurationError(f"a stream that presents a value over {network.period} steps cannot be exported")
    found, largest_input = explicit(_with_full_payloads(network), progress), 2 ** (input_bits - 1) - 1
    for name in found.outputs:
        if not found.currents[name].shape:
            raise ConfigurationError(f"output {name} has no axis beside that of the batch: leave the squeeze out")
        if name not in network.graph.nodes or name in network.populations:
            raise ConfigurationError(
                f"output {name.removesuffix(' decoded')} is the spikes of a population and cannot be exported; let the "
                "network end in a layer without an activation"
            )
    for node, population in found.populations.items():
        if not found.currents[node].shape:
            raise ConfigurationError(
                f"{population.name} has no axis beside that of the batch: keep it where the model sums, keepdim=True"
            )
    resolution, integers = _with_fine_payloads(found, per, largest_input)
    # Membranes that could leave their limit get smaller thresholds, with weights of fewer bits.
    shares: dict[str, float] = {}
    limits = dict.fromkeys(found.populations, membrane_limit)
    for _ in range(_MOST_ROUNDS):
        far = [reach for reach in reaches(integers) if reach.size > limits.get(reach.node, MEMBRANE_LIMIT)]
        if not far:
            break
        for reach in far:
            share = shares.get(reach.node, 1.0) * 0.98 * limits.get(reach.node, MEMBRANE_LIMIT) / reach.size
            if share < _LEAST_SHARE and limits.get(reach.node, MEMBRANE_LIMIT) < MEMBRANE_LIMIT:
                limits[reach.node], share = MEMBRANE_LIMIT, 1.0
            shares[reach.node] = max(share, _LEAST_SHARE)
        integers = _quantized(found, per, largest_input, resolution, shares)
    check_ranges(integers)
    return integers


def _with_full_payloads(network: SpikingNetwork) -> SpikingNetwork:
    """``network`` where the largest value of each table is 1, so that all channels have the payloads there are.

    The scale of a population with tables changes no spike. It is the larger of currents and values, and values may be
    much the smaller, as those of a sigmoid are; a payload counts a part of the scale.
    """
    rescaled = {}
    for node, population in network.populations.items():
        if population.tables is None:
            continue
        tables = Tables(*population.tables)
        levels = population.code.steps - tables.payloads.shape[1]
        ends = torch.stack([tables.payloads, tables.payloads + levels * tables.slopes])
        share = ends.abs().amax((0, 2)).clamp(min=_LEAST_RESCALING)
        parts = share[:, None]
        changed = Tables(*(row * parts if name == "rates" else row / parts for name, row in tables._asdict().items()))
        rescaled[node] = replace(population, scale=population.scale * share, tables=torch.stack([*changed]))
    return network.with_(populations={**network.populations, **rescaled}) if rescaled else network


def _with_fine_payloads(found: ExplicitNetwork, per: Per, largest_input: int) -> tuple[int, IntegerNetwork]:
    """The finest resolution with which membranes hold weights of nearly 8 bits, or the coarsest that all codes have."""
    kept: tuple[int, IntegerNetwork] | None = None
    for resolution in _RESOLUTIONS if found.network.timing is not None else _RESOLUTIONS[:1]:
        try:
            kept = resolution, _quantized(found, per, largest_input, resolution, {})
        except ConfigurationError:  # the smallest payload of a code would be none
            if kept is None:
                raise
            break
        if all(_FINE_SHARE * reach.size <= MEMBRANE_LIMIT for reach in reaches(kept[1])):
            break
    assert kept is not None
    return kept


def _quantized(
    found: ExplicitNetwork, per: Per, largest_input: int, resolution: int, shares: Mapping[str, float]
) -> IntegerNetwork:
    network, windowed = found.network, found.network.timing is not None
    steps = {
        name: float(max(seen.low.abs().max(), seen.high.abs().max())) / largest_input
        for name, seen in zip(found.inputs, network.input_ranges, strict=True)
    }
    rules = {node: _rule(population, windowed, resolution) for node, population in found.populations.items()}
    units = {**steps, **{node: rule.unit for node, rule in rules.items()}}
    for gate, described in found.gates.items():
        units[gate] = units[described.source]
    connections: list[Connection] = []
    populations: dict[str, IntegerPopulation] = {}
    outputs: dict[str, IntegerOutput] = {}
    for target in (*found.populations, *found.outputs):
        into = [_per_payload(each, units[each.source]) for each in found.into(target)]
        channels = found.currents[target].shape[0]
        largest = np.max([np.zeros(channels), *(each.map.by_target(_largest) for each in into)], axis=0)
        if per == "population":
            largest = np.full(channels, largest.max())
        if target in rules:
            constant = np.abs(found.currents[target]).reshape(channels, -1).max(1)
            threshold, step = _thresholds(rules[target], largest, constant, shares.get(target, 1.0))
        else:
            step = np.where(largest > 0.0, largest, 1.0) / (LARGEST_WEIGHT * shares.get(target, 1.0))
        quantized = [replace(each, map=each.map.scaled(1.0 / step).mapped(np.rint)) for each in into]
        saturated = sum(int((np.abs(each.map.weights) > LARGEST_WEIGHT).sum()) for each in quantized)
        connections += [replace(each, map=each.map.mapped(_as_int8)) for each in quantized]
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
    return _without_needless_biases(
        IntegerNetwork(found, per, tuple(connections), populations, outputs, steps, largest_input)
    )


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


def _thresholds(rule: Rule, largest: Array, constant: Array, share: float) -> tuple[Array, Array]:
    """Integer thresholds, and the steps of weights that they stand for, by channel, for the ``largest`` weights.

    ``constant`` is the size of the constant current, for which a table leaves room. ``share`` is what is used of the
    largest threshold and weight that there are.
    """
    if isinstance(rule, LookupRule):
        most = np.minimum(_LARGEST_OF_TABLE / np.maximum(rule.largest_threshold, constant), _LARGEST_SCALE)
        scale = np.floor(share * np.minimum(LARGEST_WEIGHT / np.maximum(largest, 1e-300), most)).clip(min=1)
        return scale.astype(np.int64), 1.0 / scale
    unrounded = share * LARGEST_WEIGHT / np.where(largest > 0.0, largest, 1.0)  # what would stand for the scale
    if isinstance(rule, TableRule):
        threshold = np.clip(np.floor(unrounded / rule.resolution), 1, share * _LARGEST_THRESHOLD // 1)
        return threshold.astype(np.int64), 1.0 / (threshold * rule.resolution)
    threshold = np.clip(np.floor(unrounded * rule.fraction), 1, share * _LARGEST_THRESHOLD // 1)
    threshold -= 1 - threshold % 2  # odd, so that half of it lies between two integers
    return threshold.astype(np.int64), rule.fraction / threshold


def _initial(rule: Rule, threshold: Array) -> Array:
    halved = isinstance(rule, StreamRule) and rule.halved
    return threshold // 2 if halved else np.zeros_like(threshold)


def _largest(rows: Array) -> Array:
    return np.abs(rows).max(1) if rows.shape[1] else np.zeros(len(rows))


def _as_int8(weights: Array) -> Array:
    return np.clip(weights, -LARGEST_WEIGHT, LARGEST_WEIGHT).astype(np.int8)


def _by_channel(bias: Array) -> Array:
    """``bias`` with one number per channel where its neurons have the same, which borders may prevent."""
    first = bias[(slice(None), *[slice(0, 1)] * (bias.ndim - 1))]
    return first if bool((bias == first).all()) else bias
