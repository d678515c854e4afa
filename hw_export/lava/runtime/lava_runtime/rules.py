"""Rules of populations and gates, read from a manifest."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from lava_runtime.errors import BundleError
from lava_runtime.fields import Fields
from lava_runtime.layout import Shape
from lava_runtime.network import (
    BundleGate,
    BundleLookupRule,
    BundlePopulation,
    BundleStreamRule,
    BundleTableRule,
    NegativeSide,
)

#: Elements of a pooling window, or of its padding, along one axis.
_WIDEST = 1 << 12
#: Of Lava's own neurons, in units of weights: what their models declare.
LARGEST_THRESHOLD, LARGEST_BIAS = 1 << 17, (1 << 12) - 1
#: Of tables: payloads and potentials have 24 bits with sign, the widths of places parts of a potential's unit as well.
_LARGEST_ENTRY, _LARGEST_WIDTH = (1 << 23) - 1, 1 << 28


def read_population(entry: Fields, arrays: Mapping[str, np.ndarray], declared: bool) -> BundlePopulation:
    """The population that ``entry`` describes; ``BundleError`` if it describes none.

    Lava's own neurons run it if the bundle says so, and is not so old that it did not keep what they have ``declared``.
    """
    shape = entry.shape()
    threshold = _values(entry, "threshold", arrays, shape)
    if threshold.min() < 1:
        raise BundleError(f"{entry.where}.threshold holds {threshold.min()}, thresholds are at least 1")
    kind = entry.choice("rule", ("stream", "table", "lookup"))
    rule: BundleStreamRule | BundleTableRule | BundleLookupRule
    if kind == "lookup":
        rule = _lookup(entry, arrays, shape[0])
    else:
        rule = _stream(entry) if kind == "stream" else _table(entry, arrays, int(threshold.max()))
    population = BundlePopulation(
        name=entry.name("name"),
        shape=shape,
        depth=entry.integer("depth", 1),
        unit=entry.boolean("unit"),
        rule=rule,
        threshold=threshold,
        initial=_values(entry, "initial", arrays, shape),
        bias=_values(entry, "bias", arrays, shape),
        bias_every_step=entry.boolean("bias_every_step"),
        built_in=entry.boolean("built_in") and declared,
    )
    if population.built_in and not _lava_can(population):
        raise BundleError(
            f"{entry.where} is said to run on Lava's own neurons, which reset to zero, start from zero, fire spikes "
            f"of 1, share one threshold up to {LARGEST_THRESHOLD} and hold biases up to {LARGEST_BIAS}"
        )
    return population


def _lava_can(population: BundlePopulation) -> bool:
    rule = population.rule
    alike = isinstance(rule, BundleStreamRule) and (rule.reset, rule.gain, rule.negative) == ("zero", 1, None)
    bounded = population.threshold.max() <= LARGEST_THRESHOLD and np.abs(population.bias).max() <= LARGEST_BIAS
    shared = population.threshold.min() == population.threshold.max()
    return bool(alike and bounded and shared and population.bias_every_step and not population.initial.any())


def _values(entry: Fields, key: str, arrays: Mapping[str, np.ndarray], shape: Shape) -> np.ndarray:
    array = entry.array(key, arrays, "int32")
    if array.ndim != len(shape) or any(size not in (1, full) for size, full in zip(array.shape, shape, strict=True)):
        raise BundleError(f"{entry.where}.{key} has shape {list(array.shape)}, it must broadcast to {list(shape)}")
    return array


def _stream(entry: Fields) -> BundleStreamRule:
    gain = entry.integer("gain", 1, 2)
    negative = None
    if entry.get("negative") is not None:
        side = entry.object("negative")
        negative = NegativeSide(
            side.choice("kind", ("graded", "imbalanced")),
            side.integer("reciprocal_slope", 1, 1 << 23),
            side.boolean("halved"),
        )
    return BundleStreamRule(
        entry.choice("reset", ("subtract", "zero")),
        gain,
        entry.optional_integer("largest_gain", 1),
        negative,
    )


def _table(entry: Fields, arrays: Mapping[str, np.ndarray], threshold: int) -> BundleTableRule:
    payloads = entry.array("payloads", arrays, "int32")
    thresholds = entry.array("thresholds", arrays, "int32")
    if payloads.ndim != 1 or payloads.size == 0:
        raise BundleError(f"{entry.where}.payloads has shape {list(payloads.shape)}, it must be one row")
    if thresholds.ndim != 2 or thresholds.shape[0] == 0 or thresholds.shape[1] != payloads.size:
        raise BundleError(f"{entry.where}.thresholds has shape {list(thresholds.shape)}, not rows of {payloads.size}")
    slope = entry.optional_integer("reciprocal_slope", 1)
    largest = max(int(abs(table.astype(np.int64)).max()) for table in (payloads, thresholds))
    if largest * threshold * (slope or 1) >= 1 << 62:
        raise BundleError(f"{entry.where}: thresholds times the table exceed 62 bits")
    return BundleTableRule(entry.integer("fire_from"), payloads, thresholds, entry.optional_integer("limit"), slope)


def _lookup(entry: Fields, arrays: Mapping[str, np.ndarray], channels: int) -> BundleLookupRule:
    tables = {}
    for key in ("thresholds", "payloads", "origins", "widths", "slopes"):
        rows = tables[key] = entry.array(key, arrays, "int32").astype(np.int64)
        cells = tables["thresholds"].shape[-1:]
        if rows.shape not in ((1, *cells), (channels, *cells)) or rows.size == 0:
            raise BundleError(f"{entry.where}.{key} has shape {list(rows.shape)}, not 1 or {channels} rows of cells")
        least, most = (1, _LARGEST_WIDTH) if key == "widths" else (-_LARGEST_ENTRY, _LARGEST_ENTRY)
        if rows.min() < least or rows.max() > most:
            raise BundleError(f"{entry.where}.{key} holds numbers outside {least} to {most}")
    if (np.diff(tables["thresholds"]) > 0).any():
        raise BundleError(f"{entry.where}.thresholds rise with time")
    rule = BundleLookupRule(entry.integer("fire_from"), entry.integer("window"), **tables)
    places = rule.window - rule.thresholds.shape[1]
    if not 0 <= places <= _LARGEST_ENTRY // max(1, int(np.abs(rule.slopes).max())):
        raise BundleError(f"{entry.where}.window is {rule.window}: it has no room for its cells, or too large payloads")
    return rule


def read_gate(entry: Fields) -> BundleGate:
    """The gate that ``entry`` describes; ``BundleError`` if it describes none."""
    padding = entry.get("padding")
    if type(padding) is not list or len(padding) != 2:
        raise entry.wrong("padding", "two pairs of integers")
    sides = Fields({"height": padding[0], "width": padding[1]}, f"{entry.where}.padding")
    return BundleGate(
        name=entry.name("name"),
        shape=entry.shape(),
        depth=entry.integer("depth"),
        unit=False,  # it may take back what it sent
        source=entry.name("source"),
        kernel=entry.pair("kernel", 1, _WIDEST),
        stride=entry.pair("stride", 1),
        padding=(sides.pair("height", 0, _WIDEST), sides.pair("width", 0, _WIDEST)),
        dilation=entry.pair("dilation", 1),
        mode=entry.choice("mode", ("accumulated", "ranked")),
    )
