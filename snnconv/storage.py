"""Storage: a network in one file, safetensors with a JSON manifest, read without pickle or the model's class."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from coding import Code, CodingPlan, SnnconvError
from coding.plan import CODES, INPUT_CODES
from coding.schedule import SCHEDULES
from neurons import NEURONS, Neuron
from snnconv.errors import StorageError
from snnconv.files import write_whole
from snnconv.graph import Argument, Graph, Node, Ref, Source, refs_in
from snnconv.input_range import InputRange
from snnconv.operators import OPERATORS, Activation
from snnconv.operators.activation import ActivationOperator
from snnconv.population import Population
from snnconv.sparse import from_parts, is_sparse, misplaced, stored_values, to_parts

if TYPE_CHECKING:
    from snnconv.network import SpikingNetwork

FORMAT, VERSION = "snnconv", 3
_REGISTRIES: dict[str, Mapping[str, type]] = {
    "code": CODES,
    "input": INPUT_CODES,
    "neuron": NEURONS,
    "schedule": SCHEDULES,
}


def save(network: SpikingNetwork, path: str | os.PathLike[str]) -> None:
    """Write ``network`` to ``path``, whole or not at all.

    Raises ``StorageError`` for a neuron or code that is not registered, and where the file cannot be written.
    """
    tensors: dict[str, Tensor] = {}
    for name, tensor in network.constants.items():
        tensors |= to_parts(f"sparse.{name}", tensor) if is_sparse(tensor) else {f"constant.{name}": tensor}
    tensors |= {f"scale.{node}": population.scale for node, population in network.populations.items()}
    tensors |= {f"shift.{node}": population.shift for node, population in network.populations.items()}
    tensors |= {f"range.{i}.{e}": t for i, pair in enumerate(network.input_ranges) for e, t in enumerate(pair)}
    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    manifest = json.dumps(_manifest(network), allow_nan=False)
    metadata = {
        "format": FORMAT,
        "version": str(VERSION),
        "manifest": manifest,
        "sha256": _digest(manifest, tensors),
    }
    write_whole(path, safetensors.torch.save(tensors, metadata))


def load(path: str | os.PathLike[str]) -> SpikingNetwork:
    """Read a network from the file that ``SpikingNetwork.save`` wrote; neither the model's class nor pickle is needed.

    Args:
        path: The file.

    Returns:
        The network, on the CPU.

    Raises:
        StorageError: The file is missing, truncated, altered, from a future version, or not one of ours.
    """
    source = Path(path)
    try:
        with safetensors.safe_open(source, framework="pt") as file:
            metadata = file.metadata() or {}
            _check_version(source, metadata)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
    except (OSError, safetensors.SafetensorError) as error:
        raise StorageError(f"{source} cannot be read: {error}; it is truncated or no snnconv file") from error
    manifest = metadata.get("manifest", "")
    if metadata.get("sha256") != _digest(manifest, tensors):
        raise StorageError(f"{source} was altered after it was saved: its checksum does not match")
    try:
        return _network(json.loads(manifest), tensors)
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RuntimeError, SnnconvError) as error:
        raise StorageError(f"{source} holds no valid network: {error}") from error


def _check_version(source: Path, metadata: Mapping[str, str]) -> None:
    version = metadata.get("version", "")
    if metadata.get("format") != FORMAT or not (version.isascii() and version.isdigit() and len(version) < 10):
        raise StorageError(f"{source} is a safetensors file, but not one that snnconv saved")
    if int(version) < VERSION:
        raise StorageError(f"{source} has format version {version}, of an earlier snnconv: convert the model again")
    if int(version) > VERSION:
        raise StorageError(
            f"{source} has format version {version}, this snnconv reads up to {VERSION}: update snnconv to read it"
        )


def _digest(manifest: str, tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256(manifest.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes() if tensor.numel() else b"")
    return digest.hexdigest()


def _manifest(network: SpikingNetwork) -> dict[str, Any]:
    graph = network.graph
    return {
        "inputs": [[name, list(shape)] for name, shape in graph.inputs.items()],
        "nodes": [
            [
                node.name,
                node.op,
                {key: _encode(value) for key, value in node.arguments.items()},
                None if node.shape is None else list(node.shape),
                _encode_source(node.source),
            ]
            for node in graph.nodes.values()
        ],
        "output": _encode(graph.output),
        "batch_axis": graph.batch_axis,
        "parameters": sorted(graph.parameters),
        "populations": [
            {
                "name": population.name,
                "node": population.node,
                "activation": asdict(population.activation),
                "code": _encode_object("code", population.code),
                "neuron": _encode_object("neuron", population.neuron),
                "channel_axis": population.channel_axis,
                "shape": list(population.shape),
                "inserted": population.inserted,
                "silent_channels": list(population.silent_channels),
            }
            for population in network.populations.values()
        ],
        "hidden": _encode_object("code", network.plan.hidden),
        "input": _encode_object("input", network.plan.input),
        "overrides": [[key, _encode_object("code", code)] for key, code in network.plan.overrides.items()],
        "schedule": _encode_object("schedule", network.plan.schedule),
        "input_shapes": [list(shape) for shape in network.input_shapes],
        "densities": network.densities,
        "tuned": network.tuned,
    }


def _network(manifest: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> SpikingNetwork:
    from snnconv.network import SpikingNetwork

    constants = {name.removeprefix("constant."): t for name, t in tensors.items() if name.startswith("constant.")}
    for name in sorted({name.rpartition(".")[0] for name in tensors if name.startswith("sparse.")}):
        constants[name.removeprefix("sparse.")] = from_parts(name, tensors)
    inputs = {str(name): tuple(int(size) for size in shape) for name, shape in manifest["inputs"]}
    known, nodes = {*inputs, *constants}, {}
    for name, op, arguments, shape, source in manifest["nodes"]:
        if op not in OPERATORS:
            raise StorageError(f"operator {op!r} is not in the vocabulary")
        if name in known:
            raise StorageError(f"node {name!r} occurs twice")
        decoded = {str(key): _decode(value) for key, value in arguments.items()}
        sizes = None if shape is None else tuple(int(size) for size in shape)
        nodes[name] = Node(str(name), op, decoded, sizes, Source(*source))
        missing = set(nodes[name].refs()) - known
        if missing:
            raise StorageError(f"node {name!r} uses unknown values {sorted(missing)}")
        known.add(name)
    batch_axis = manifest["batch_axis"]
    if batch_axis not in (0, None):
        raise StorageError(f"batch axis {batch_axis!r} is neither 0 nor absent")
    output = _decode(manifest["output"])
    missing = set(refs_in(output)) - known
    if missing:
        raise StorageError(f"the output uses unknown values {sorted(missing)}")
    parameters = frozenset(str(name) for name in manifest["parameters"])
    if not parameters <= constants.keys():
        raise StorageError(f"parameters {sorted(parameters - constants.keys())} are missing")
    graph = Graph(inputs, constants, nodes, output, batch_axis, parameters)
    populations = {}
    for entry in manifest["populations"]:
        node = nodes[entry["node"]]
        populations[node.name] = Population(
            name=str(entry["name"]),
            node=node.name,
            activation=Activation(**entry["activation"]),
            code=_decode_object("code", entry["code"]),
            neuron=_decode_object("neuron", entry["neuron"]),
            scale=tensors[f"scale.{node.name}"],
            shift=tensors[f"shift.{node.name}"],
            channel_axis=entry["channel_axis"],
            shape=tuple(int(size) for size in entry["shape"]),
            source=node.source,
            inserted=bool(entry["inserted"]),
            silent_channels=tuple(int(channel) for channel in entry["silent_channels"]),
        )
        _check_population(populations[node.name], batch_axis)
    signals = graph.signals()
    active = {n.name for n in nodes.values() if isinstance(OPERATORS[n.op], ActivationOperator) and n.name in signals}
    if active != set(populations):
        raise StorageError(f"activations and populations differ: {sorted(active ^ set(populations))}")
    for name, tensor in constants.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(stored_values(tensor)).all()):
            raise StorageError(f"{name} holds NaN or infinite values")
    if misplaced(graph):
        raise StorageError(f"node {misplaced(graph)[0].name!r} takes a sparse constant, and is no product with it")
    plan = CodingPlan(
        _decode_object("code", manifest["hidden"]),
        _decode_object("input", manifest["input"]),
        {str(key): _decode_object("code", code) for key, code in manifest["overrides"]},
        _decode_object("schedule", manifest["schedule"]),
    )
    shapes = [tuple(int(size) for size in shape) for shape in manifest["input_shapes"]]
    ranges = [InputRange(tensors[f"range.{i}.0"], tensors[f"range.{i}.1"]) for i in range(len(shapes))]
    densities = {str(name): float(share) for name, share in manifest["densities"].items()}
    missing = {*inputs, *populations} - densities.keys()
    if missing:
        raise StorageError(f"densities of {sorted(missing)} are missing")
    return SpikingNetwork(graph, populations, plan, shapes, ranges, densities, tuned=bool(manifest["tuned"]))


def _check_population(population: Population, batch_axis: int | None) -> None:
    axis, scale = population.channel_axis, population.scale
    sizes = population.shape if batch_axis is None else (0, *population.shape)
    channels = 1 if axis is None else sizes[axis]
    if scale.shape != (channels,) or not bool(torch.isfinite(scale).all()) or not bool((scale > 0).all()):
        raise StorageError(f"population {population.name!r} has scales that are not positive, one a channel")
    if population.shift.shape != (channels,) or not bool(torch.isfinite(population.shift).all()):
        raise StorageError(f"population {population.name!r} has shifts that are not finite, one a channel")
    if getattr(population.neuron, "code", population.code) != population.code:
        raise StorageError(f"population {population.name!r} has a neuron of another code")
    _ = population.code.maximum  # raises where a parameter was never fitted
    if not isinstance(population.neuron, Neuron):
        raise StorageError(f"population {population.name!r} has no neuron")


def _encode(value: Argument) -> Any:
    """An argument as JSON: references, tuples, dicts and floats that JSON lacks are marked."""
    if isinstance(value, Ref):
        return {"ref": value.name}
    if isinstance(value, tuple):
        return {"tuple": [_encode(item) for item in value]}
    if isinstance(value, list):
        return [_encode(item) for item in value]
    if isinstance(value, dict):
        return {"dict": [[_encode(key), _encode(item)] for key, item in value.items()]}
    if isinstance(value, float) and value - value != 0.0:
        return {"float": repr(value)}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise StorageError(f"an argument of type {type(value).__name__} cannot be stored")


def _decode(value: Any) -> Argument:
    if isinstance(value, list):
        return [_decode(item) for item in value]
    if isinstance(value, dict):
        ((kind, content),) = value.items()
        if kind == "ref":
            return Ref(str(content))
        if kind == "tuple":
            return tuple(_decode(item) for item in content)
        if kind == "dict":
            return {_decode(key): _decode(item) for key, item in content}
        if kind == "float":
            return float(content)
        raise StorageError(f"argument of unknown kind {kind!r}")
    return value


def _encode_source(source: Source) -> list[Any]:
    # Where the user's code lay is nobody else's business; its file name and line are enough to find it again.
    return [Path(source.file).name, source.line, source.text, source.module, source.module_type]


def _encode_object(kind: str, value: Any) -> dict[str, Any]:
    for name, known in _REGISTRIES[kind].items():
        if type(value) is known and is_dataclass(value):
            return {"name": name, "fields": dict(_encoded_fields(kind, value))}
    raise StorageError(
        f"{kind} {type(value).__name__} is not registered, so it cannot be stored; "
        "register it (coding.register_code, neurons.register_neuron) or convert with a built-in one"
    )


def _encoded_fields(kind: str, value: Any) -> Iterator[tuple[str, Any]]:
    for field in fields(value):
        content = getattr(value, field.name)
        if isinstance(content, Code):
            yield field.name, {"code": _encode_object("code", content)}
        elif content is None or isinstance(content, (bool, int, float, str)) or _is_table(content):
            yield field.name, content
        else:
            raise StorageError(f"{kind} {type(value).__name__}: field {field.name} cannot be stored")


def _is_table(content: Any) -> bool:
    """Whether ``content`` is a nest of tuples of numbers, which JSON writes as lists."""
    return isinstance(content, tuple) and all(isinstance(item, (int, float)) or _is_table(item) for item in content)


def _decode_object(kind: str, entry: Mapping[str, Any]) -> Any:
    name = entry["name"]
    if name not in _REGISTRIES[kind]:
        raise StorageError(f"{kind} {name!r} is not registered; import the package that defines it first")
    codes = [value for key, value in entry["fields"].items() if key == "code" or (kind, key) == ("input", "spikes")]
    if not all(isinstance(value, dict) for value in codes):
        raise StorageError(f"{kind} {name!r} has no code")
    values = {
        key: _decode_object("code", value["code"]) if isinstance(value, dict) else value
        for key, value in entry["fields"].items()
    }
    return _REGISTRIES[kind][name](**values)
