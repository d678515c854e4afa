"""Bundles for tests: networks put together part by part, with random weights, and written as files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np


class Builder:
    """A manifest and its arrays, while they grow; depths follow from the connections."""

    def __init__(self, steps: int, interval: int | None = None, seed: int = 0) -> None:
        self.random = np.random.default_rng(seed)
        self.arrays: dict[str, np.ndarray] = {}
        self.manifest: dict[str, Any] = {
            "format": "snnconv-lava",
            "version": 1,
            "interval": interval or steps,
            "steps": steps,
            "inputs": [],
            "populations": [],
            "connections": [],
            "outputs": [],
        }
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.depths: dict[str, int] = {}
        self.units: set[str] = set()

    def array(self, values: Any, dtype: str) -> str:
        name = f"array{len(self.arrays)}"
        self.arrays[name] = np.asarray(values, dtype)
        return name

    def input(self, name: str, shape: tuple[int, ...], repeat: bool = True) -> str:
        self.manifest["inputs"].append({"name": name, "shape": list(shape), "repeat": repeat})
        self.shapes[name], self.depths[name] = shape, 0
        return name

    def per_neuron(self, shape: tuple[int, ...], low: int, high: int, every: bool = False) -> str:
        """One value per neuron, or one per channel."""
        size = shape if every else (shape[0], *(1 for _ in shape[1:]))
        return self.array(self.random.integers(low, high, size), "int32")

    def population(
        self, name: str, shape: tuple[int, ...], depth: int, rule: dict[str, Any], theta: int = 40, unit: bool = False
    ) -> str:
        every = bool(self.random.integers(2))
        self.manifest["populations"].append(
            {
                "name": name,
                "shape": list(shape),
                "depth": depth,
                "unit": unit,
                "threshold": self.per_neuron(shape, theta, 2 * theta, every),
                "initial": self.per_neuron(shape, -theta // 2, theta, not every),
                "bias": self.per_neuron(shape, -theta // 4, theta // 2, every),
                "bias_every_step": bool(self.random.integers(2)),
                "built_in": False,
                **rule,
            }
        )
        self.shapes[name], self.depths[name] = shape, depth
        if unit:
            self.units.add(name)
        return name

    def gate(
        self,
        name: str,
        source: str,
        mode: str,
        kernel: tuple[int, int] = (2, 2),
        stride: tuple[int, int] = (2, 2),
        padding: tuple[tuple[int, int], tuple[int, int]] = ((0, 0), (0, 0)),
        dilation: tuple[int, int] = (1, 1),
    ) -> str:
        sizes = [
            (size + sum(p) - d * (k - 1) - 1) // s + 1
            for size, p, d, k, s in zip(self.shapes[source][1:], padding, dilation, kernel, stride, strict=True)
        ]
        shape = (self.shapes[source][0], *sizes)
        self.manifest["populations"].append(
            {
                "name": name,
                "shape": list(shape),
                "depth": self.depths[source],
                "rule": "maximum",
                "source": source,
                "kernel": list(kernel),
                "stride": list(stride),
                "padding": [list(side) for side in padding],
                "dilation": list(dilation),
                "mode": mode,
            }
        )
        self.shapes[name], self.depths[name] = shape, self.depths[source]
        return name

    def output(self, name: str, shape: tuple[int, ...], depth: int) -> str:
        self.manifest["outputs"].append({"name": name, "shape": list(shape), "depth": depth})
        self.shapes[name], self.depths[name] = shape, depth
        return name

    def _connect(self, source: str, target: str, **synapses: Any) -> None:
        delay = self.depths[target] - self.depths[source]
        self.manifest["connections"].append({"source": source, "target": target, "delay": delay, **synapses})

    def convolution(
        self,
        source: str,
        target: str,
        kernel: Sequence[int] = (3, 3),
        stride: Sequence[int] = (1, 1),
        padding: Sequence[int] = (1, 1),
        dilation: Sequence[int] = (1, 1),
        groups: int = 1,
        largest: int = 127,
    ) -> None:
        shape = (self.shapes[target][0], self.shapes[source][0] // groups, *kernel)
        weight = self.array(self.random.integers(-largest - 1, largest + 1, shape), "int8")
        self._connect(
            source,
            target,
            kind="convolution",
            weight=weight,
            stride=list(stride),
            padding=list(padding),
            dilation=list(dilation),
            groups=groups,
        )

    def _matrix(self, source: str, target: str, low: int, high: int) -> np.ndarray:
        size = (int(np.prod(self.shapes[target])), int(np.prod(self.shapes[source])))
        return self.random.integers(low, high + 1, size)

    def dense(self, source: str, target: str, low: int = -128, high: int = 127) -> None:
        weight = self.array(self._matrix(source, target, low, high), "int8")
        self._connect(source, target, kind="dense", weight=weight)

    def sparse(self, source: str, target: str, low: int = -128, high: int = 127, wide: bool = False) -> None:
        matrix = self._matrix(source, target, low, high)
        matrix[self.random.random(matrix.shape) < 0.7] = 0
        rows, columns = np.nonzero(matrix)
        counts = np.cumsum(np.bincount(rows, minlength=len(matrix)))
        self._connect(
            source,
            target,
            kind="sparse",
            data=self.array(matrix[rows, columns], "int8"),
            indices=self.array(columns, "int32"),
            indptr=self.array([0, *counts], "int64" if wide else "int32"),
        )

    def save(self, path: Path, **changed: Any) -> Path:
        """Write the file; ``changed`` replaces fields of the manifest."""
        described = {n: {"shape": list(a.shape), "dtype": a.dtype.name} for n, a in self.arrays.items()}
        manifest = {**self.manifest, "arrays": described, **changed}
        text = json.dumps(manifest)
        found = hashlib.sha256(text.encode())
        for name in sorted(self.arrays):
            array = np.ascontiguousarray(self.arrays[name])
            found.update(f"{name} {array.dtype.name} {list(array.shape)}".encode() + array.tobytes())
        np.savez_compressed(path, manifest=np.array(text), digest=np.array(found.hexdigest()), **self.arrays)
        return path

    def samples(self, count: int, low: int = -3, high: int = 4) -> dict[str, np.ndarray]:
        return {
            entry["name"]: self.random.integers(low, high, (count, *entry["shape"]))
            for entry in self.manifest["inputs"]
        }


def stream(
    reset: str = "subtract", gain: int = 1, largest_gain: int | None = None, negative: dict[str, Any] | None = None
) -> dict[str, Any]:
    return {"rule": "stream", "reset": reset, "gain": gain, "largest_gain": largest_gain, "negative": negative}


def negative(kind: str, slope: int = 1, halved: bool = False) -> dict[str, Any]:
    return {"kind": kind, "reciprocal_slope": slope, "halved": halved}
