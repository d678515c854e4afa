"""The bundle: one file with an integer network for the Lava runtime, and the same network for reading its results."""

from __future__ import annotations

import importlib.util
import io
import json
import math
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from hw_export.explicit.maps import Array, ConvolutionMap, DenseMap, Shape, SparseMap, plane
from hw_export.explicit.network import Connection, Gate
from hw_export.integers.built_in import built_in_reaches, obstacle
from hw_export.integers.network import IntegerNetwork, IntegerPopulation
from hw_export.integers.simulation import integer_simulation
from neurons.integer_lookup import LookupRule
from neurons.integer_rules import TableRule, WindowRule
from snnconv.data.arrays import array_archive
from snnconv.data.file_kinds import BUNDLE, unreadable
from snnconv.errors import StorageError
from snnconv.network import SpikingNetwork, load
from snnconv.storage.atomic import temporary_file, write_whole
from snnconv.storage.saving import content_of

#: Since 2 there are populations that look their spikes up, since 3 inputs have a smallest and a largest integer each.
VERSION = 3
#: The array that holds the network itself; the runtime does not look at it.
NETWORK = "network"


def write_bundle(integers: IntegerNetwork, path: str | os.PathLike[str]) -> None:
    """Write ``integers`` to ``path``, whole or not at all; raises ``StorageError`` where it cannot be written."""
    manifest, arrays = describe(integers)
    arrays[NETWORK] = np.frombuffer(content_of(integer_simulation(integers)), np.uint8)
    manifest["arrays"] = {name: {"shape": list(a.shape), "dtype": a.dtype.name} for name, a in arrays.items()}
    text, buffer = json.dumps(manifest), io.BytesIO()
    arrays["digest"] = np.array(
        _runtime_module("digest").digest(text, {name: array for name, array in arrays.items() if name != NETWORK})
    )
    np.savez_compressed(buffer, manifest=np.array(text), **arrays)  # type: ignore[arg-type]
    write_whole(path, buffer.getvalue())


def _runtime_module(name: str) -> Any:
    """A module of the runtime, which is a program of its own and no part of this package."""
    path = Path(__file__).parent / "runtime" / "lava_runtime" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"lava_runtime_{name}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def read_network(path: str | os.PathLike[str]) -> tuple[SpikingNetwork, dict[str, Any], dict[str, Array]]:
    """The network in the bundle ``path``, the manifest, and the arrays it names; raises ``StorageError``."""
    try:
        with array_archive(path) as file:
            manifest = json.loads(str(file["manifest"]))
            if manifest.get("format") != BUNDLE.format:
                raise StorageError(f"{path} is no Lava bundle of snnconv")
            if manifest.get("version") not in range(1, VERSION + 1):
                raise StorageError(
                    f"{path} has bundle version {manifest.get('version')}, this snnconv reads up to {VERSION}: "
                    "export the network again, or update snnconv"
                )
            arrays = {name: file[name] for name in file if name not in ("manifest", "digest")}
            content = arrays.pop(NETWORK).tobytes()
            if str(file["digest"]) != _runtime_module("digest").digest(str(file["manifest"]), arrays):
                raise StorageError(f"{path} was altered after it was written: its digest does not match")
    except StorageError:
        raise
    except Exception as error:  # a zip, a JSON or an array that is damaged fails in many ways
        raise StorageError(unreadable(path, BUNDLE, error)) from error
    with temporary_file(content) as saved:
        try:
            return load(saved), manifest, arrays
        except StorageError as error:
            raise StorageError(f"{path}: the network in it cannot be read: {error}") from error


def describe(integers: IntegerNetwork) -> tuple[dict[str, Any], dict[str, Array]]:
    """The runtime's manifest, and the arrays it names."""
    arrays: dict[str, Array] = {}
    depths = integers.explicit.depths()

    def keep(name: str, values: Array, dtype: type) -> str:
        arrays[name] = np.ascontiguousarray(values.astype(dtype))
        return name

    bounds = built_in_reaches(integers)
    stations = []
    for node, shape in integers.explicit.shapes.items():
        entry: dict[str, Any] = {"name": node, "shape": list(lava_form(shape)), "depth": depths[node]}
        if node in integers.populations:
            entry |= _population(integers, node, integers.populations[node], keep)
            entry["built_in"] = obstacle(integers.populations[node], bounds[node]) is None
        else:
            entry |= _gate(integers.explicit.gates[node], integers.network.timing is not None)
        stations.append(entry)
    connections = [
        {
            "source": each.source,
            "target": each.target,
            "delay": depths[each.target] - depths[each.source],
            **_map(each, f"connection.{position}", keep),
        }
        for position, each in enumerate(integers.connections)
    ]
    outputs = [
        {
            "name": node,
            "shape": list(lava_form(output.offset.shape)),
            "depth": depths[node],
            "step": keep(f"output.{node}.step", output.step, np.float64),
            "offset": keep(f"output.{node}.offset", output.offset, np.float64),
        }
        for node, output in integers.outputs.items()
    ]
    repeat = integers.network.timing is None
    manifest = {
        "format": BUNDLE.format,
        "version": VERSION,
        "interval": integers.steps,
        "steps": integers.steps,
        "inputs": [
            {"name": name, "shape": list(lava_form(shape)), "repeat": repeat, **asdict(integers.inputs[name])}
            for name, shape in integers.explicit.inputs.items()
        ],
        "populations": stations,
        "connections": connections,
        "outputs": outputs,
        "units": {node: population.rule.unit for node, population in integers.populations.items()},
    }
    return manifest, arrays


def lava_form(shape: Shape) -> Shape:
    """The shape in which Lava holds neurons of ``shape``: vectors and maps as they are, lines as maps of height 1.

    What has more axes is unrolled behind its channels: synapses to and from it are matrices.
    """
    return plane(shape) if len(shape) <= 3 else (shape[0], shape[1], math.prod(shape[2:]))


def _formed(values: Array) -> Array:
    """Numbers of a population, one for each channel or neuron, in the form of Lava."""
    return values.reshape(lava_form(values.shape))


def _population(integers: IntegerNetwork, node: str, population: IntegerPopulation, keep: Any) -> Mapping[str, Any]:
    rule = population.rule
    windowed = isinstance(rule, WindowRule)
    entry: dict[str, Any] = {
        "unit": not isinstance(rule, WindowRule) and rule.gain == 1 and rule.negative is None,
        "threshold": keep(f"{node}.threshold", _formed(population.threshold), np.int32),
        "initial": keep(f"{node}.initial", _formed(population.initial), np.int32),
        "bias": keep(f"{node}.bias", _formed(population.bias), np.int32),
        "bias_every_step": not windowed,
    }
    if isinstance(rule, LookupRule):
        tables = population.tables._asdict()
        return entry | {
            "rule": "lookup",
            "fire_from": integers.starts()[node],
            "window": rule.steps,
            **{name: keep(f"{node}.{name}", rows, np.int32) for name, rows in tables.items()},
        }
    if isinstance(rule, TableRule):
        return entry | {
            "rule": "table",
            "fire_from": integers.starts()[node],
            "payloads": keep(f"{node}.payloads", np.array(rule.payloads), np.int32),
            "thresholds": keep(f"{node}.thresholds", np.array(rule.thresholds), np.int32),
            "limit": rule.limit,
            "reciprocal_slope": rule.reciprocal_slope,
        }
    negative = None
    if rule.negative is not None:
        negative = {"kind": rule.negative, "reciprocal_slope": rule.reciprocal_slope, "halved": rule.halved}
    return entry | {
        "rule": "stream",
        "reset": rule.reset,
        "gain": rule.gain,
        "largest_gain": rule.largest_gain,
        "negative": negative,
    }


def _gate(gate: Gate, windowed: bool) -> Mapping[str, Any]:
    return {
        "rule": "maximum",
        "source": gate.source,
        "kernel": list(gate.kernel),
        "stride": list(gate.stride),
        "padding": [list(ends) for ends in gate.padding],
        "dilation": list(gate.dilation),
        "mode": "ranked" if windowed else "accumulated",
    }


def _map(connection: Connection, name: str, keep: Any) -> Mapping[str, Any]:
    one = connection.map
    if isinstance(one, ConvolutionMap):
        return {
            "kind": "convolution",
            "weight": keep(f"{name}.weight", one.weight, np.int8),
            "stride": list(one.stride),
            "padding": list(one.padding),
            "dilation": list(one.dilation),
            "groups": one.groups,
        }
    if isinstance(one, DenseMap):
        return {"kind": "dense", "weight": keep(f"{name}.weight", one.weight, np.int8)}
    assert isinstance(one, SparseMap)
    return {
        "kind": "sparse",
        "data": keep(f"{name}.data", one.matrix.data, np.int8),
        "indices": keep(f"{name}.indices", one.matrix.indices, np.int32),
        "indptr": keep(f"{name}.indptr", one.matrix.indptr, np.int32),
    }
