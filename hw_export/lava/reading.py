"""The integer network in a bundle, for what is to be made of it elsewhere."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from scipy import sparse

from hw_export.explicit.maps import Array, ConvolutionMap, DenseMap, LinearMap, Shape, SparseMap, plane
from hw_export.explicit.network import Connection, ExplicitNetwork, Gate
from hw_export.integers.network import MOST_WEIGHT_BITS, IntegerNetwork, IntegerOutput, IntegerPopulation
from hw_export.integers.ranges import check_ranges
from hw_export.lava.bundle import describe, read_network
from hw_export.lava.decoding import Decoding
from neurons.integer_lookup import PLACE_BITS, IntegerTables, LookupRule
from neurons.integer_rules import Rule, StreamRule, TableRule
from neurons.table_lookup import Tables
from snnconv.errors import ConfigurationError, StorageError
from snnconv.surroundings import own_surroundings

Entry = Mapping[str, Any]


@own_surroundings()
def read_integers(path: str | os.PathLike[str]) -> IntegerNetwork:
    """The integer network in the bundle ``path``; see ``hw_export.lava.read``."""
    network, manifest, arrays = read_network(path)
    try:
        decoding = Decoding.of(manifest, arrays, network)
        shapes = {node: tuple(count.shape) for node, count in network.synapses.fan_out.items()}
        stations = {entry["name"]: entry for entry in manifest["populations"]}
        outputs = {name: IntegerOutput(*pair) for name, pair in decoding.outputs.items()}
        connections = tuple(_connection(entry, arrays, shapes, outputs) for entry in manifest["connections"])
        explicit = ExplicitNetwork(
            network,
            {name: shapes[name] for name in decoding.inputs},
            {node: shapes[node] for node in stations},
            {node: _gate(entry, shapes) for node, entry in stations.items() if entry["rule"] == "maximum"},
            tuple(outputs),
            connections,
            {node: np.zeros(shapes[node]) for node in stations}
            | {name: output.offset for name, output in outputs.items()},
        )
        populations = {
            node: _population(entry, arrays, shapes[node], decoding.units[node])
            for node, entry in stations.items()
            if entry["rule"] != "maximum"
        }
        weight_bits = dict.fromkeys((*populations, *outputs), MOST_WEIGHT_BITS)
        found = IntegerNetwork(explicit, "channel", connections, populations, outputs, decoding.inputs, weight_bits)
        if not _is_described(found, manifest, arrays):
            raise StorageError("it describes what no export writes")
        check_ranges(found)
    except (StorageError, ConfigurationError) as error:
        raise StorageError(f"{path} holds no valid bundle: {error}") from error
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, AssertionError) as error:
        raise StorageError(f"{path} holds no valid bundle: {type(error).__name__} {error}") from error
    return found


def _is_described(found: IntegerNetwork, manifest: Entry, arrays: Mapping[str, Array]) -> bool:
    """Whether the bundle of ``found`` would be the one that it was read from."""
    own, own_arrays = describe(found)
    alike = all(
        [{**entry, "built_in": None} for entry in own[part]]
        == [{**entry, "built_in": None} for entry in manifest[part]]
        for part in ("populations", "connections", "outputs")
    )
    same = own_arrays.keys() == arrays.keys() and all(np.array_equal(own_arrays[name], arrays[name]) for name in arrays)
    return alike and same and own["steps"] == manifest["steps"] == manifest["interval"]


def _connection(
    entry: Entry, arrays: Mapping[str, Array], shapes: Mapping[str, Shape], outputs: Mapping[str, IntegerOutput]
) -> Connection:
    source, target = entry["source"], entry["target"]
    ends = shapes[source], outputs[target].offset.shape if target in outputs else shapes[target]
    return Connection(source, target, _map(entry, arrays, *ends))


def _map(entry: Entry, arrays: Mapping[str, Array], source: Shape, target: Shape) -> LinearMap:
    size = (math.prod(target), math.prod(source))
    if entry["kind"] == "sparse":
        data, indices, pointers = (arrays[entry[name]] for name in ("data", "indices", "indptr"))
        matrix = sparse.csr_array((data.astype(np.int8), indices, pointers), size)
        matrix.check_format(full_check=True)
        return SparseMap(source, target, matrix)
    weight = arrays[entry["weight"]].astype(np.int8)
    if entry["kind"] == "dense":
        _require(weight.shape == size, f"a matrix of shape {weight.shape} between {source} and {target}")
        return DenseMap(source, target, weight)
    groups = _whole(entry, "groups", 1)
    stride, padding, dilation = (_pair(entry, name, least) for name, least in _LEAST.items())
    fits = weight.ndim == 4 and weight.shape[1] * groups == source[0] and len(source) == len(target) in (2, 3)
    fits = fits and weight.shape[0] == target[0] and len(weight) % groups == 0 and 0 not in weight.shape
    _require(fits, f"a kernel of shape {weight.shape} in {groups} groups between {source} and {target}")
    return ConvolutionMap(source, target, weight, stride, padding, dilation, groups)


#: The least numbers of a geometry.
_LEAST = {"stride": 1, "padding": 0, "dilation": 1}


def _gate(entry: Entry, shapes: Mapping[str, Shape]) -> Gate:
    kernel, stride, dilation = (_pair(entry, name, 1) for name in ("kernel", "stride", "dilation"))
    first, second = ({"side": side} for side in entry["padding"])
    padding = (_pair(first, "side", 0), _pair(second, "side", 0))
    shape, source = plane(shapes[entry["name"]]), plane(shapes[entry["source"]])
    _require(len(shape) == len(source) == 3 and shape[0] == source[0], f"max pooling from {source} to {shape}")
    return Gate(entry["source"], shape, kernel, stride, padding, dilation)


def _require(fits: bool, what: str) -> None:
    if not fits:
        raise StorageError(f"it has {what}")


def _whole(entry: Entry, name: str, least: int) -> int:
    """The integer ``name`` of ``entry``; raises ``StorageError`` for what is none, or below ``least``."""
    value = entry[name]
    _require(type(value) is int and least <= value < 2**31, f"{value!r} in the place of {name}")
    return int(value)


def _pair(entry: Entry, name: str, least: int) -> tuple[int, int]:
    first, second = ({name: value} for value in entry[name])
    return _whole(first, name, least), _whole(second, name, least)


def _population(entry: Entry, arrays: Mapping[str, Array], shape: Shape, unit: float) -> IntegerPopulation:
    def numbers(name: str) -> Array:
        values = arrays[entry[name]].astype(np.int64)
        by_channel = (len(values), *[1] * (len(shape) - 1))
        return values.reshape(by_channel if values.size == len(values) == shape[0] else shape)

    threshold = numbers("threshold")
    _require(bool((threshold > 0).all()), "thresholds that are not positive")
    return IntegerPopulation(_rule(entry, arrays, unit), threshold, numbers("initial"), numbers("bias"))


def _rule(entry: Entry, arrays: Mapping[str, Array], unit: float) -> Rule:
    if entry["rule"] == "lookup":
        return _lookup(entry, arrays, unit)
    if entry["rule"] == "table":
        payloads, rows = (arrays[entry[name]].astype(np.int64) for name in ("payloads", "thresholds"))
        _require(rows.ndim == 2 and rows.shape[1] == len(payloads), f"thresholds of shape {rows.shape}")
        _require(bool((payloads > 0).all() and (rows > 0).all()), "a table with numbers that are not positive")
        limit, slope = (
            None if entry[name] is None else _whole(entry, name, 1) for name in ("limit", "reciprocal_slope")
        )
        return TableRule(tuple(payloads.tolist()), tuple(map(tuple, rows.tolist())), limit, slope, round(1.0 / unit))
    negative = entry["negative"] or {"kind": None, "reciprocal_slope": 1, "halved": False}
    kind, reset, halved = negative["kind"], entry["reset"], negative["halved"]
    known = kind in (None, "graded", "imbalanced") and reset in ("subtract", "zero") and isinstance(halved, bool)
    _require(known, f"neurons with spikes {kind!r} below zero, reset {reset!r} and a start {halved!r}")
    most = None if entry["largest_gain"] is None else _whole(entry, "largest_gain", 1)
    rule = StreamRule(
        reset, _whole(entry, "gain", 1), most, kind, _whole(negative, "reciprocal_slope", 1), halved, unit
    )
    return replace(rule, fraction=unit * rule.positive)


def _lookup(entry: Entry, arrays: Mapping[str, Array], unit: float) -> LookupRule:
    """The rule whose integers are those of the bundle, where its number stands for the scale."""
    scale = arrays[entry["threshold"]].reshape(-1, 1).astype(np.float64)
    whole = IntegerTables(*(arrays[entry[name]].astype(np.float64) for name in IntegerTables._fields))
    _require(whole.thresholds.ndim == 2 and bool((whole.widths > 0).all()), "places that are not positive")
    tables = {
        "thresholds": (whole.thresholds - 0.5) / scale,  # which are rounded up
        "payloads": whole.payloads * unit,
        "origins": whole.origins / scale,
        "rates": 2.0**PLACE_BITS * scale / whole.widths,
        "slopes": whole.slopes * unit,
    }
    rows = np.broadcast_arrays(*(tables[name] for name in Tables._fields))
    steps = _whole(entry, "window", whole.thresholds.shape[1])
    return LookupRule.of(torch.from_numpy(np.stack(rows)), steps, round(1.0 / unit))
