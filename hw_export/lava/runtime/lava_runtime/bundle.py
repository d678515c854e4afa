"""Bundles: a network in one .npz file, a JSON manifest and the arrays that it names, hostile until checked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from lava_runtime.archive import read_arrays
from lava_runtime.digest import digest
from lava_runtime.errors import BundleError
from lava_runtime.fields import Fields
from lava_runtime.network import BundleGate, BundleNetwork, BundlePopulation, Input, Output
from lava_runtime.rules import read_gate, read_population
from lava_runtime.synapses import read_connection

FORMAT, VERSION = "snnconv-lava", 3
#: The array for who reads the results; it has a checksum of its own.
_NOT_RUN = "network"
#: A process of the operating system each.
_MOST_PROCESSES = 10_000
#: Lava moves every payload of every step through memory: more cannot be meant.
_MOST_NEURONS = 100_000_000
#: Payloads and potentials have 24 bits with sign.
LARGEST_VALUE = (1 << 23) - 1


def read_bundle(path: str) -> BundleNetwork:
    """The network in the file ``path``.

    Raises ``BundleError`` for a file that is missing, truncated, altered, from a future version, or no bundle.
    """
    manifest = _manifest(path, read_arrays(path, ("manifest",)))
    declared = manifest.object("arrays")
    arrays = read_arrays(path)
    text, expected = str(arrays.pop("manifest")), str(arrays.pop("digest", ""))
    if set(arrays) != set(declared.value):
        difference = sorted(set(arrays) ^ set(declared.value))
        raise BundleError(f"{path}: the manifest and the file differ in the arrays {', '.join(difference[:5])}")
    for name, array in arrays.items():
        entry = declared.object(name)
        if entry.get("shape") != list(array.shape) or entry.get("dtype") != array.dtype.name:
            raise BundleError(f"{entry.where} does not describe array {name!r}: {array.dtype.name} {array.shape}")
    try:
        network = _network(manifest, arrays)
    except RecursionError as error:
        raise BundleError(f"{path}: gates follow on gates too deeply") from error
    if expected != digest(text, {name: array for name, array in arrays.items() if name != _NOT_RUN}):
        raise BundleError(f"{path} was altered after it was written: its digest does not match")
    return network


def _manifest(path: str, arrays: Mapping[str, np.ndarray]) -> Fields:
    text = arrays.get("manifest")
    if text is None or text.shape != () or text.dtype.kind != "U":
        raise BundleError(f"{path} is an .npz file, but no bundle: it holds no manifest")
    try:
        manifest = Fields(json.loads(str(text), parse_constant=_refuse), "manifest")
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{path}: the manifest is not valid JSON: {error}") from error
    if manifest.get("format") != FORMAT:
        raise manifest.wrong("format", repr(FORMAT))
    if manifest.integer("version", 1) > VERSION:
        raise BundleError(
            f"{path} has version {manifest.get('version')}, this runtime reads up to {VERSION}: "
            "update snnconv to run it"
        )
    return manifest


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no number of JSON")


def _network(manifest: Fields, arrays: Mapping[str, np.ndarray]) -> BundleNetwork:
    steps, newer = manifest.integer("steps", 1), manifest.integer("version", 1) >= 3
    inputs, populations, gates, outputs = {}, {}, {}, {}
    for entry in manifest.objects("inputs"):
        ends = (-LARGEST_VALUE, LARGEST_VALUE)
        if newer:
            ends = entry.integer("smallest", -LARGEST_VALUE, 0), entry.integer("largest", 0, LARGEST_VALUE)
        inputs[entry.name("name")] = Input(entry.name("name"), entry.shape(), entry.boolean("repeat"), *ends)
    for entry in manifest.objects("populations"):
        if entry.get("rule") == "maximum":
            gates[entry.name("name")] = read_gate(entry)
        else:
            populations[entry.name("name")] = read_population(entry, arrays, newer)
    for entry in manifest.objects("outputs"):
        outputs[entry.name("name")] = Output(entry.name("name"), entry.shape(), entry.integer("depth", 1))
    names = [entry.name("name") for key in ("inputs", "populations", "outputs") for entry in manifest.objects(key)]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise BundleError(f"the name {twice!r} occurs twice in the manifest")
    interval = manifest.integer("interval", steps)
    network = BundleNetwork(interval, steps, inputs, populations, gates, [], outputs)
    _check_sizes(network, manifest)
    for name in gates:
        _check_gate(network, name)
    for entry in manifest.objects("connections"):
        network.connections.append(read_connection(entry, arrays, network))
    _check_processes(network)
    return network


def _check_sizes(network: BundleNetwork, manifest: Fields) -> None:
    parts: list[Input | BundlePopulation | BundleGate | Output] = [
        *network.inputs.values(),
        *network.populations.values(),
    ]
    parts += [*network.gates.values(), *network.outputs.values()]
    neurons = 0
    for part in parts:
        size = 1
        for length in part.shape:
            size *= length
        neurons += size
        if neurons > _MOST_NEURONS:
            raise BundleError(f"{part.name!r} has {size} neurons: with it the network exceeds {_MOST_NEURONS}")
    if not network.outputs:
        raise manifest.wrong("outputs", "a list of at least one output")


def _check_gate(network: BundleNetwork, name: str, inner: tuple[str, ...] = ()) -> None:
    gate = network.gates[name]
    if name in inner:
        raise BundleError(f"gate {name!r} is its own source: {' <- '.join((*inner, name))}")
    if gate.source in network.gates:
        _check_gate(network, gate.source, (*inner, name))
    try:
        source = network.source(gate.source)
    except KeyError:
        raise BundleError(f"gate {name!r} has the unknown source {gate.source!r}") from None
    if source.depth != gate.depth:
        raise BundleError(f"gate {name!r} has depth {gate.depth}, its source {gate.source!r} {source.depth}")
    if len(source.shape) != 3:
        raise BundleError(f"gate {name!r} pools {gate.source!r} of shape {source.shape}, not channels, height, width")
    sizes = [source.shape[0]]
    for axis, size in enumerate(source.shape[1:]):
        reach = gate.dilation[axis] * (gate.kernel[axis] - 1) + 1
        before, after = gate.padding[axis]
        if max(before, after) >= reach:
            raise BundleError(f"gate {name!r} has padding {gate.padding[axis]}, wider than its window of {reach}")
        sizes.append((size + before + after - reach) // gate.stride[axis] + 1)
        # windows that begin within the map hold its element there, and none begins behind it
        for start in range(-before, min(0, size + after - reach + 1), gate.stride[axis]):
            first = -(start // gate.dilation[axis])
            if first >= gate.kernel[axis] or start + first * gate.dilation[axis] >= size:
                raise BundleError(f"gate {name!r} has a window that holds nothing but padding")
    if tuple(sizes) != gate.shape:
        raise BundleError(f"gate {name!r} has shape {gate.shape}, its source and window make {tuple(sizes)}")


def _check_processes(network: BundleNetwork) -> None:
    relays: dict[str, int] = {}
    for connection in network.connections:
        relays[connection.source] = max(relays.get(connection.source, 0), connection.delay - 1)
    parts = len(network.inputs) + len(network.populations) + len(network.gates) + len(network.outputs)
    processes = parts + len(network.connections) + sum(relays.values())
    if processes > _MOST_PROCESSES:
        raise BundleError(f"the network needs {processes} processes, more than {_MOST_PROCESSES}")


def read_inputs(path: str, network: BundleNetwork) -> dict[str, np.ndarray]:
    """The samples in the file ``path`` by input, [N, *shape] int32, as many for every input.

    Raises ``BundleError`` for a wrong shape, type or value, or where an input is missing or unknown.
    """
    arrays = read_arrays(path)
    if set(arrays) != set(network.inputs):
        raise BundleError(f"{path} holds the inputs {sorted(arrays)}, the network takes {sorted(network.inputs)}")
    checked = {}
    for name, array in arrays.items():
        part = network.inputs[name]
        shape, smallest, largest = part.shape, part.smallest, part.largest
        if array.ndim == 0 or array.shape[1:] != shape or len(array) == 0:
            raise BundleError(f"input {name!r} has shape {list(array.shape)}, it must be one or more of {list(shape)}")
        if array.dtype.kind not in "iu":
            raise BundleError(f"input {name!r} is {array.dtype.name}, it must hold integers")
        if int(array.min()) < smallest or int(array.max()) > largest:
            raise BundleError(
                f"input {name!r} has values from {array.min()} to {array.max()}, "
                f"the network takes {smallest} to {largest}"
            )
        checked[name] = array.astype(np.int32)
    if len({len(array) for array in checked.values()}) > 1:
        raise BundleError(f"the inputs hold different numbers of samples: { {n: len(a) for n, a in checked.items()} }")
    if not checked:
        raise BundleError("the network has no input, so there is no number of samples")
    return checked
