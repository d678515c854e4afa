"""The integer reference: an integer network computed step by step in numpy, as the machine has to compute it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hw_export.explicit.maps import Array, Shape
from hw_export.explicit.network import Gate
from hw_export.integers.network import IntegerNetwork, IntegerPopulation, over_channels
from neurons.integer_lookup import MEMBRANE_LIMIT, PLACE_BITS, LookupRule
from neurons.integer_rules import StreamRule, TableRule


@dataclass(frozen=True)
class IntegerRun:
    """What a simulation yielded, by node.

    ``sums`` arrived at the outputs, ``[N, ...]``; ``spikes`` are counted over all neurons, ``rasters`` the payloads
    recorded, ``[N, T, ...]``; ``potentials`` are the lowest and the highest that membranes held before they fired.
    """

    sums: Mapping[str, Array]
    spikes: Mapping[str, int]
    rasters: Mapping[str, Array]
    potentials: Mapping[str, tuple[int, int]]


def run_reference(integers: IntegerNetwork, inputs: Mapping[str, Array], record: Sequence[str] = ()) -> IntegerRun:
    """Simulate integer ``inputs [N, ...]`` (see ``IntegerInput.taken``) and record the nodes named in ``record``."""
    explicit, windowed = integers.explicit, integers.network.timing is not None
    count = len(next(iter(inputs.values())))
    stations: dict[str, _Stream | _Table | _Lookup | _Accumulated | _Ranked] = {}
    for node, shape in explicit.shapes.items():
        if node in explicit.gates:
            stations[node] = (_Ranked if windowed else _Accumulated)(explicit.gates[node])
            continue
        population = integers.populations[node]
        if isinstance(population.rule, TableRule):
            stations[node] = _Table(population, population.rule, (count, *shape), integers.starts()[node])
        elif isinstance(population.rule, LookupRule):
            stations[node] = _Lookup(population, population.rule, (count, *shape), integers.starts()[node])
        else:
            stations[node] = _Stream(population, population.rule, (count, *shape))
    sums = {node: np.zeros((count, *explicit.currents[node].shape), np.int64) for node in integers.outputs}
    spikes = dict.fromkeys(stations, 0)
    rasters = {
        node: np.zeros((count, integers.steps, *explicit.shapes[node]), np.int32) for node in stations if node in record
    }
    for step in range(integers.steps):
        sent: dict[str, Array] = {
            name: values if step == 0 or not windowed else np.zeros_like(values) for name, values in inputs.items()
        }
        for node, station in stations.items():
            if node in explicit.gates:
                arriving = sent[explicit.gates[node].source]
            else:
                arriving = _arriving(integers, node, sent, (count, *explicit.shapes[node]))
            sent[node] = station.advance(arriving, step)
            spikes[node] += int(np.count_nonzero(sent[node]))
            if node in rasters:
                rasters[node][:, step] = sent[node]
        for node in sums:
            sums[node] += _arriving(integers, node, sent, sums[node].shape)
    potentials = {node: (each.lowest, each.highest) for node, each in stations.items() if isinstance(each, _Membrane)}
    return IntegerRun(sums, spikes, rasters, potentials)


def _arriving(integers: IntegerNetwork, target: str, sent: Mapping[str, Array], shape: Shape) -> Array:
    total = np.zeros(shape, np.int64)
    for connection in integers.into(target):
        if sent[connection.source].any():
            total += np.rint(connection.map.apply(sent[connection.source])).astype(np.int64)
    return total


class _Membrane:
    """Membrane potentials of 24 bits, which saturate, and how far they went."""

    def __init__(self, start: Array, shape: Shape) -> None:
        self.potential = np.broadcast_to(start, shape).astype(np.int64)
        self.lowest, self.highest = int(self.potential.min(initial=0)), int(self.potential.max(initial=0))

    def integrate(self, current: Array) -> None:
        self.potential += current
        np.clip(self.potential, -MEMBRANE_LIMIT, MEMBRANE_LIMIT, out=self.potential)
        self.lowest = min(self.lowest, int(self.potential.min(initial=0)))
        self.highest = max(self.highest, int(self.potential.max(initial=0)))


class _Stream(_Membrane):
    def __init__(self, population: IntegerPopulation, rule: StreamRule, shape: Shape) -> None:
        super().__init__(population.initial, shape)
        self.rule, self.bias, self.threshold = rule, population.bias, population.threshold
        self.gain, self.negative_gain = np.ones(shape, np.int64), np.ones(shape, np.int64)
        self.emitted = np.zeros(shape, np.int64)

    def advance(self, current: Array, step: int) -> Array:
        rule = self.rule
        self.integrate(current + self.bias)
        fires = self.potential >= self.gain * self.threshold
        payload = fires * self.gain
        if rule.negative is None:
            self.gain = self._grown(self.gain, fires)
            if rule.reset == "zero":
                self.potential[fires] = 0
            else:
                self.potential -= payload * self.threshold
            return payload
        charge = rule.reciprocal_slope if rule.negative == "imbalanced" else 1
        below = ~self.potential if rule.halved else -self.potential
        falls = below >= charge * self.negative_gain * self.threshold
        taken = falls * self.negative_gain
        self.potential += (charge * taken - payload) * self.threshold
        self.gain, self.negative_gain = self._grown(self.gain, fires), self._grown(self.negative_gain, falls)
        if rule.negative == "imbalanced":
            return payload - taken
        before, self.emitted = self.emitted, self.emitted + payload - taken
        above = np.maximum(self.emitted, 0) - np.maximum(before, 0)
        return rule.positive * above + np.minimum(self.emitted, 0) - np.minimum(before, 0)

    def _grown(self, gain: Array, fires: Array) -> Array:
        grown = gain * self.rule.gain
        if self.rule.largest_gain is not None:
            grown = np.minimum(grown, self.rule.largest_gain)
        found: Array = np.where(fires, grown, 1)
        return found


class _Table(_Membrane):
    def __init__(self, population: IntegerPopulation, rule: TableRule, shape: Shape, start: int) -> None:
        super().__init__(population.bias + population.initial, shape)
        self.rule, self.threshold, self.start = rule, population.threshold, start
        self.fired = np.zeros(shape, np.int64)
        self.negative = np.zeros(shape, bool)
        self.thresholds = np.array(rule.thresholds, np.int64)

    def advance(self, current: Array, step: int) -> Array:
        rule, step = self.rule, step - self.start
        self.integrate(current)
        if not 0 <= step < len(rule.payloads):
            return np.zeros_like(self.potential)
        if rule.reciprocal_slope is not None:  # the sign is settled by the first spike
            self.negative = np.where(self.fired == 0, self.potential < 0, self.negative)
        direction = np.where(self.negative, -1, 1)
        factor = np.where(self.negative, rule.reciprocal_slope or 1, 1) * self.threshold
        # The potential stands half a unit above its number, on the negative side that much nearer to 0.
        size = self.potential * direction - self.negative
        row = np.minimum(self.fired, len(self.thresholds) - 1)
        fires = size >= factor * self.thresholds[row, step]
        if rule.limit is not None:
            fires &= self.fired < rule.limit
        self.fired += fires
        payload: Array = fires * rule.payloads[step] * direction
        self.potential -= factor * payload
        return payload


class _Lookup(_Membrane):
    """The first spike says in which cell of its channel's table the potential lies, the second how far in it."""

    def __init__(self, population: IntegerPopulation, rule: LookupRule, shape: Shape, start: int) -> None:
        super().__init__(population.bias + population.initial, shape)
        self.rule, self.tables, self.start = rule, population.tables, start
        self.silent = np.ones(shape, bool)
        self.rest, self.width, self.slope = (np.zeros(shape, np.int64) for _ in range(3))

    def advance(self, current: Array, step: int) -> Array:
        rule, step = self.rule, step - self.start
        self.integrate(current)
        if not 0 <= step < rule.steps:
            return np.zeros_like(self.potential)
        if step < rule.cells:
            cell = (over_channels(row[:, step], self.potential.ndim - 1) for row in self.tables)
            threshold, payload, origin, width, slope = cell
            fires = self.silent & (self.potential >= threshold)
            kept = np.where(fires, self.potential - origin, 0)
            self.lowest, self.highest = min(self.lowest, int(kept.min())), max(self.highest, int(kept.max()))
            self.rest, self.width, self.slope = self.rest + kept, self.width + fires * width, self.slope + fires * slope
            self.silent &= ~fires
            first: Array = fires * payload
            return first
        place = rule.steps - step
        fires = (self.rest << PLACE_BITS) >= place * self.width
        second: Array = fires * place * self.slope
        self.slope = np.where(fires, 0, self.slope)  # it was the last
        return second


class _Accumulated:
    """Emits what the largest sum of every window rises by."""

    def __init__(self, gate: Gate) -> None:
        self.gate = gate
        self.total: Array | None = None
        self.passed: Array | None = None

    def advance(self, payload: Array, step: int) -> Array:
        self.total = payload if self.total is None else self.total + payload
        largest = pooled(self.gate, self.total)
        before, self.passed = self.passed, largest
        return largest if before is None else largest - before


class _Ranked:
    """Lets the train of every window through that comes last in the lexicon."""

    def __init__(self, gate: Gate) -> None:
        self.gate = gate
        self.ranks: Array | None = None

    def advance(self, payload: Array, step: int) -> Array:
        if self.ranks is None:
            self.ranks = np.zeros(payload.shape, np.int64)
        _, dense = np.unique(self.ranks, return_inverse=True)
        ranks = dense.reshape(payload.shape).astype(np.int64)
        before = pooled(self.gate, ranks)
        self.ranks = 3 * ranks + np.sign(payload)
        passes = pooled(self.gate, self.ranks) - 3 * before
        smallest = -pooled(self.gate, -payload)
        found: Array = np.where(passes > 0, pooled(self.gate, payload), np.where(passes < 0, smallest, 0))
        return found


def pooled(gate: Gate, values: Array) -> Array:
    """Largest of ``values [N, C, H, W]``, or of lines ``[N, C, L]``, in every window of ``gate``."""
    if values.ndim == 3:
        return pooled(gate, values[:, :, None])[:, :, 0]
    (down, right), (vertical, horizontal) = gate.stride, gate.dilation
    padded = np.pad(values, ((0, 0), (0, 0), *gate.padding), constant_values=np.iinfo(np.int64).min)
    reach = (vertical * (gate.kernel[0] - 1) + 1, horizontal * (gate.kernel[1] - 1) + 1)
    windows = np.lib.stride_tricks.sliding_window_view(padded, reach, (2, 3))
    rows, columns = gate.shape[1:]
    found: Array = windows[:, :, ::down, ::right, ::vertical, ::horizontal][:, :, :rows, :columns].max((4, 5))
    return found
