"""Small networks that together use every rule and every kind of synapses of a bundle."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.hw_export.lava.lava_bundles import Builder, negative, stream

STREAM_RULES = {
    "plain": stream(),
    "zero": stream("zero"),
    "burst": stream(gain=2, largest_gain=8),
    "burst-zero": stream("zero", gain=2),
    "graded": stream(negative=negative("graded", 4)),
    "graded-halved": stream(negative=negative("graded", 3, True)),
    "graded-burst": stream(gain=2, largest_gain=4, negative=negative("graded", 10)),
    "imbalanced": stream(negative=negative("imbalanced", 2)),
    "imbalanced-halved": stream(gain=2, negative=negative("imbalanced", 1, True)),
    "imbalanced-zero": stream("zero", negative=negative("imbalanced", 3)),
}


def streams() -> Builder:
    """Every stream rule behind a convolution, all in front of one population and one output."""
    net = Builder(steps=9, interval=11, seed=1)
    net.input("image", (2, 4, 3))
    net.population("last", (5,), 2, stream(), theta=300)
    net.output("sum", (3,), 3)
    for name, rule in STREAM_RULES.items():
        unit = name in ("plain", "zero")
        net.population(name, (2, 4, 3), 1, rule, theta=90, unit=unit)
        net.convolution("image", name, largest=20)
        (net.dense if unit else net.sparse)(name, "last", -20, 20)
    net.dense("last", "sum")
    return net


def table(
    net: Builder, fire_from: int, payloads: list[int], rows: list[list[int]], limit: int | None, slope: int | None
):
    return {
        "rule": "table",
        "fire_from": fire_from,
        "payloads": net.array(payloads, "int32"),
        "thresholds": net.array(rows, "int32"),
        "limit": limit,
        "reciprocal_slope": slope,
    }


def tables() -> Builder:
    """Table rules with and without limits, rows and a negative side, in windows one after the other."""
    net = Builder(steps=12, seed=2)
    net.input("image", (2, 3, 3), repeat=False)
    net.input("vector", (4,), repeat=False)
    binary = [16, 8, 4, 2, 1]
    rules = {
        "phase": table(net, 1, binary, [binary], None, None),
        "single": table(net, 0, binary, [binary], 1, None),
        "two": table(net, 2, binary, [binary, [17, 9, 5, 3, 1]], 2, None),
        "signed": table(net, 1, binary, [binary], None, 5),
        "signed-two": table(net, 1, binary, [binary, [20, 10, 4, 2, 1]], 2, 2),
        "silent": table(net, 1, binary, [binary], 0, 1),
        "late": table(net, 10, binary, [binary], None, 1),
    }
    net.population("last", (2, 2, 2), 2, table(net, 7, [4, 2, 1], [[4, 2, 1]], None, 1), theta=500)
    net.output("sum", (2, 2, 2), 4)
    for name, rule in rules.items():
        net.population(name, (3, 3, 3), 1, rule, theta=7)
        net.convolution("image", name, largest=30)
        net.dense("vector", name)
        net.dense(name, "last")
    net.convolution("last", "sum", kernel=(1, 1), padding=(0, 0))
    return net


def lookup(net: Builder, fire_from: int, cells: int, window: int, channels: int, size: int = 200) -> dict[str, Any]:
    """Random tables; payloads and slopes of either sign, some lines level, and channels that are never silent."""
    shape = (channels, cells)
    thresholds = -np.sort(-net.random.integers(-size, size, shape), axis=1)
    thresholds[::2, -1] = -(1 << 23) + 1
    payloads = net.random.integers(-9, 9, shape)
    return {
        "rule": "lookup",
        "fire_from": fire_from,
        "window": window,
        "thresholds": net.array(thresholds, "int32"),
        "payloads": net.array(np.where(payloads == 0, 9, payloads), "int32"),
        "origins": net.array(thresholds.clip(-size) - net.random.integers(-3, 9, shape), "int32"),
        "widths": net.array(net.random.integers(1, 16 * size // 4, shape), "int32"),
        "slopes": net.array(net.random.integers(-3, 4, shape), "int32"),
    }


def lookups() -> Builder:
    """Tables of one spike and of two, a table for each channel or one for all, in windows that currents run into."""
    net = Builder(steps=14, seed=6)
    net.input("image", (2, 3, 3))
    rules = {
        "one": lookup(net, 1, cells=5, window=5, channels=3),
        "two": lookup(net, 2, cells=4, window=7, channels=3),
        "shared": lookup(net, 0, cells=3, window=6, channels=1),
        "late": lookup(net, 12, cells=4, window=8, channels=3),
    }
    net.population("last", (6,), 2, lookup(net, 7, cells=3, window=6, channels=6, size=900))
    net.output("sum", (2, 2, 2), 3)
    for name, rule in rules.items():
        net.population(name, (3, 3, 3), 1, rule)
        net.convolution("image", name, largest=30)
        net.dense(name, "last")
    net.dense("last", "sum")
    return net


def geometries() -> Builder:
    """Convolutions of all kinds, skips of unequal delays, flat and shaped populations, several outputs."""
    net = Builder(steps=6, interval=7, seed=3)
    net.input("image", (4, 9, 7))
    net.input("other", (6,), repeat=False)
    signed = stream(negative=negative("imbalanced", 1))
    net.population("strided", (6, 5, 4), 1, stream(), theta=200, unit=True)
    net.convolution("image", "strided", stride=(2, 2))
    net.population("grouped", (6, 3, 4), 2, signed, theta=100)
    net.convolution("strided", "grouped", kernel=(3, 1), padding=(0, 0), groups=2)
    net.population("dilated", (4, 3, 4), 4, stream(), theta=100, unit=True)
    net.convolution("grouped", "dilated", kernel=(2, 3), padding=(1, 2), dilation=(2, 2))
    net.convolution("image", "dilated", kernel=(3, 2), stride=(4, 2), padding=(1, 2), dilation=(1, 3))
    net.convolution("strided", "dilated", kernel=(3, 1), padding=(0, 0))
    net.population("depthwise", (6, 5, 4), 3, signed, theta=100)
    net.convolution("strided", "depthwise", groups=6)
    net.population("flat", (5,), 4, signed, theta=300)
    net.dense("depthwise", "flat")
    net.dense("other", "flat", 1, 127)
    net.population("shaped", (2, 2, 3), 7, stream(), theta=300, unit=True)
    net.dense("flat", "shaped", -128, -1)
    net.sparse("dilated", "shaped", wide=True)
    net.sparse("other", "shaped")
    net.output("map", (3, 2, 3), 8)
    net.convolution("shaped", "map", kernel=(1, 1), padding=(0, 0))
    net.output("vector", (4,), 9)
    net.dense("shaped", "vector", 0, 127)
    net.sparse("flat", "vector", -128, -1)
    net.dense("other", "vector")
    net.output("image sum", (2, 9, 7), 1)
    net.convolution("image", "image sum")
    return net


def gates() -> Builder:
    """Both kinds of gates behind neurons, inputs and each other; wide windows, strides, dilation and padding."""
    net = Builder(steps=40, seed=4)
    net.input("image", (2, 6, 5))
    net.population("signed", (2, 6, 5), 1, stream(negative=negative("graded", 4)), theta=60)
    net.population("table", (2, 6, 5), 1, table(net, 0, [3, 2, 1] * 12, [[2, 2, 1] * 12], None, 2), theta=25)
    net.gate("first", "image", "accumulated")
    net.gate("growth", "signed", "accumulated", (3, 2), (2, 1), ((1, 1), (0, 1)))
    net.gate("leader", "table", "ranked", (2, 3), (2, 1), ((0, 1), (1, 1)), (2, 1))
    net.gate("again", "leader", "ranked", (2, 2), (1, 2))
    net.output("sum", (3,), 3)
    net.convolution("image", "signed", largest=20)
    net.convolution("image", "table", largest=20)
    for gate in ("first", "growth", "leader", "again"):
        net.sparse(gate, "sum")
    return net


def parts() -> Builder:
    """Parts that nothing connects: two networks in one, a population without sources, an output without any."""
    net = Builder(steps=5, seed=5)
    net.input("left", (3,))
    net.input("right", (2, 2, 2))
    net.input("unused", (2,))
    net.population("left neurons", (4,), 1, stream(), unit=True)
    net.dense("left", "left neurons")
    net.population("right neurons", (2, 2, 2), 1, stream())
    net.convolution("right", "right neurons")
    net.population("alone", (3,), 2, stream(), theta=4)
    net.manifest["populations"][-1] |= {"bias": net.array([3, 2, 1], "int32"), "bias_every_step": True}
    net.population("dead end", (2, 1, 1), 3, stream(negative=negative("graded")))
    net.dense("alone", "dead end")
    net.output("left sum", (2,), 2)
    net.dense("left neurons", "left sum")
    net.output("right sum", (2,), 5)
    net.dense("right neurons", "right sum")
    net.output("nothing", (2,), 1)
    return net


NETWORKS: dict[str, Callable[[], Builder]] = {
    "streams": streams,
    "tables": tables,
    "lookups": lookups,
    "geometries": geometries,
    "gates": gates,
    "parts": parts,
}
