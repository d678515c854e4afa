"""The meaning of a bundle, one neuron and one clock step at a time, without delays and without Lava."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np


@dataclass
class Reference:
    outputs: dict[str, np.ndarray] = field(default_factory=dict)
    rasters: dict[str, np.ndarray] = field(default_factory=dict)


def simulate(manifest: dict[str, Any], arrays: dict[str, np.ndarray], inputs: dict[str, np.ndarray]) -> Reference:
    count, steps = len(next(iter(inputs.values()))), manifest["steps"]
    result = Reference()
    for output in manifest["outputs"]:
        result.outputs[output["name"]] = np.zeros((count, *output["shape"]), np.int64)
    for population in manifest["populations"]:
        result.rasters[population["name"]] = np.zeros((count, steps, *population["shape"]), np.int64)
    gates = [p for p in manifest["populations"] if p["rule"] == "maximum"]
    neurons = [p for p in manifest["populations"] if p["rule"] != "maximum"]
    matrices = [_matrix(manifest, arrays, connection) for connection in manifest["connections"]]
    for sample in range(count):
        cells = {p["name"]: [_Cell(p, arrays, place) for place in np.ndindex(*p["shape"])] for p in neurons}
        pools = {gate["name"]: _Pool(gate) for gate in gates}
        for step in range(steps):
            sent: dict[str, np.ndarray] = {}
            for entry in manifest["inputs"]:
                values = inputs[entry["name"]][sample].astype(np.int64)
                sent[entry["name"]] = values if step == 0 or entry["repeat"] else np.zeros_like(values)
            pending = sorted(manifest["populations"], key=lambda p: (p["depth"], p["rule"] == "maximum"))
            while pending:
                part = pending.pop(0)
                name = part["name"]
                if part["rule"] == "maximum":
                    if part["source"] not in sent:
                        pending.append(part)
                        continue
                    sent[name] = pools[name].step(sent[part["source"]])
                else:
                    arriving = _arriving(manifest, matrices, sent, part)
                    payloads = [cell.step(int(a), step) for cell, a in zip(cells[name], arriving, strict=True)]
                    sent[name] = np.array(payloads, np.int64).reshape(part["shape"])
                result.rasters[name][sample, step] = sent[name]
            for output in manifest["outputs"]:
                result.outputs[output["name"]][sample] += _arriving(manifest, matrices, sent, output).reshape(
                    output["shape"]
                )
    return result


def _arriving(
    manifest: dict[str, Any], matrices: list[np.ndarray], sent: dict[str, np.ndarray], target: dict[str, Any]
) -> np.ndarray:
    total = np.zeros(int(np.prod(target["shape"])), np.int64)
    for connection, matrix in zip(manifest["connections"], matrices, strict=True):
        if connection["target"] == target["name"]:
            total += matrix @ sent[connection["source"]].reshape(-1)
    return total


def _shape(manifest: dict[str, Any], name: str) -> tuple[int, ...]:
    parts = [*manifest["inputs"], *manifest["populations"], *manifest["outputs"]]
    return next(tuple(part["shape"]) for part in parts if part["name"] == name)


def _matrix(manifest: dict[str, Any], arrays: dict[str, np.ndarray], connection: dict[str, Any]) -> np.ndarray:
    """Every kind of synapses as one matrix of integers, flattened in C order."""
    source, target = _shape(manifest, connection["source"]), _shape(manifest, connection["target"])
    matrix = np.zeros((int(np.prod(target)), int(np.prod(source))), np.int64)
    if connection["kind"] == "dense":
        return matrix + arrays[connection["weight"]]
    if connection["kind"] == "sparse":
        indptr = arrays[connection["indptr"]]
        for row in range(len(matrix)):
            for position in range(indptr[row], indptr[row + 1]):
                matrix[row, arrays[connection["indices"]][position]] += arrays[connection["data"]][position]
        return matrix
    weight = arrays[connection["weight"]].astype(np.int64)
    own, sources = weight.shape[0] // connection["groups"], weight.shape[1]
    for c, y, x in np.ndindex(*target):
        for i, row, column in product(range(sources), range(weight.shape[2]), range(weight.shape[3])):
            at_y = y * connection["stride"][0] - connection["padding"][0] + row * connection["dilation"][0]
            at_x = x * connection["stride"][1] - connection["padding"][1] + column * connection["dilation"][1]
            if 0 <= at_y < source[1] and 0 <= at_x < source[2]:
                seen = np.ravel_multi_index((c // own * sources + i, at_y, at_x), source)
                matrix[np.ravel_multi_index((c, y, x), target), seen] += weight[c, i, row, column]
    return matrix


class _Cell:
    """One neuron during one sample, in Python's own integers."""

    def __init__(self, population: dict[str, Any], arrays: dict[str, np.ndarray], place: tuple[int, ...]) -> None:
        def own(key: str) -> int:
            return int(np.broadcast_to(arrays[population[key]], population["shape"])[place])

        self.rule = population
        self.theta, self.v, self.bias = own("threshold"), own("initial"), own("bias")
        self.g = self.h = 1
        self.emitted = self.spikes = 0
        self.is_negative = False
        if population["rule"] == "table":
            self.payloads = [int(p) for p in arrays[population["payloads"]]]
            self.thresholds = [[int(t) for t in row] for row in arrays[population["thresholds"]]]
        if population["rule"] == "lookup":
            self.tables = {}
            for key in ("thresholds", "payloads", "origins", "widths", "slopes"):
                rows = arrays[population[key]]
                self.tables[key] = [int(number) for number in rows[place[0] if len(rows) > 1 else 0]]

    def step(self, arriving: int, step: int) -> int:
        self.v += arriving
        if step == 0 or self.rule["bias_every_step"]:
            self.v += self.bias
        assert abs(self.v) < 1 << 23
        rules = {"stream": self._stream, "table": self._table, "lookup": self._lookup}
        return rules[self.rule["rule"]](step)

    def _lookup(self, step: int) -> int:
        """The first spike fixes what the second, if any, will be: its number counts back from the window's end."""
        j, cells, window = step - self.rule["fire_from"], len(self.tables["payloads"]), self.rule["window"]
        if 0 <= j < cells and not self.spikes and self.v >= self.tables["thresholds"][j]:
            self.spikes = 1
            places = 16 * (self.v - self.tables["origins"][j]) // self.tables["widths"][j]
            self.number, self.slope = min(places, window - cells), self.tables["slopes"][j]
            return self.tables["payloads"][j]
        if cells <= j < window and self.spikes and window - j == self.number:
            return self.number * self.slope
        return 0

    def _stream(self, step: int) -> int:
        rule, side, v = self.rule, self.rule["negative"], self.v
        limit = rule["largest_gain"] or 1 << 60
        positive = negative = 0
        if v >= self.g * self.theta:
            positive = self.g
            self.v = self.v - self.g * self.theta if rule["reset"] == "subtract" else 0
            self.g = min(self.g * rule["gain"], limit)
        else:
            self.g = 1
        if side is None:
            return positive
        r = side["reciprocal_slope"]
        c = 1 if side["kind"] == "graded" else r
        m = ~v if side["halved"] else -v
        if m >= c * self.h * self.theta:
            negative = self.h
            self.v += c * self.h * self.theta
            self.h = min(self.h * rule["gain"], limit)
        else:
            self.h = 1
        f, e = positive - negative, self.emitted
        if side["kind"] == "imbalanced":
            return f
        self.emitted += f
        return r * (max(e + f, 0) - max(e, 0)) + (min(e + f, 0) - min(e, 0))

    def _table(self, step: int) -> int:
        rule, r = self.rule, self.rule["reciprocal_slope"]
        j = step - rule["fire_from"]
        if not 0 <= j < len(self.payloads):
            return 0
        if r is not None and self.spikes == 0:  # the first spike settles the sign
            self.is_negative = self.v < 0
        q, m, sign = (r, ~self.v, -1) if self.is_negative else (1, self.v, 1)
        row = self.thresholds[min(self.spikes, len(self.thresholds) - 1)]
        if (rule["limit"] is not None and self.spikes >= rule["limit"]) or m < q * self.theta * row[j]:
            return 0
        self.spikes += 1
        self.v -= sign * q * self.theta * self.payloads[j]
        return sign * self.payloads[j]


class _Pool:
    """A gate during one sample."""

    def __init__(self, gate: dict[str, Any]) -> None:
        self.gate = gate
        self.history: list[np.ndarray] = []

    def step(self, payload: np.ndarray) -> np.ndarray:
        self.history.append(payload)
        result = np.zeros(self.gate["shape"], np.int64)
        for place in np.ndindex(*self.gate["shape"]):
            result[place] = self._window([payload_of for payload_of in self._trains(place)])
        return result

    def _trains(self, place: tuple[int, int, int]) -> list[list[int]]:
        channel, *position = place
        gate, size = self.gate, self.history[0].shape[1:]
        trains = []
        for offset in product(range(gate["kernel"][0]), range(gate["kernel"][1])):
            at = [
                position[a] * gate["stride"][a] - gate["padding"][a][0] + offset[a] * gate["dilation"][a]
                for a in (0, 1)
            ]
            if all(0 <= at[a] < size[a] for a in (0, 1)):
                trains.append([int(step[channel, at[0], at[1]]) for step in self.history])
        return trains

    def _window(self, trains: list[list[int]]) -> int:
        now = [train[-1] for train in trains]
        if self.gate["mode"] == "accumulated":
            before = max(sum(train[:-1]) for train in trains)
            return max(sum(train) for train in trains) - before
        digits = [[int(np.sign(payload)) for payload in train] for train in trains]
        leader = max(digits)[-1]  # the largest train, first step first
        return max(now) if leader > 0 else min(now) if leader < 0 else 0
