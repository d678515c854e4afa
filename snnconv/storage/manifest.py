"""The manifest of a network: all but its tensors as JSON, and back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from coding import Code, CodingPlan
from coding.registry import CODES, INPUT_CODES
from coding.schedule import SCHEDULES
from neurons import NEURONS, Neuron
from snnconv.data.shapes import Shape
from snnconv.errors import StorageError
from snnconv.graph.analysis import analysis_of
from snnconv.graph.graph import Argument, Graph, Node, Ref, Source, refs_in
from snnconv.graph.operators import ACTIVATION_FUNCTIONS, OPERATORS
from snnconv.graph.operators.activation import IdentityPopulation
from snnconv.graph.operators.roles import misplaced
from snnconv.graph.output_types import OutputMapping, OutputTuple
from snnconv.graph.sparse import from_parts, is_sparse, stored_values, to_parts
from snnconv.spiking.base import NetworkBase
from snnconv.spiking.input_range import InputRange
from snnconv.spiking.population import Population
from snnconv.storage.manifest_versions import batch_axis_of
from snnconv.storage.stored_checks import (
    check_densities,
    check_front,
    check_length,
    check_run,
    check_shapes,
    check_tensors,
)

_REGISTRIES: dict[str, Mapping[str, type]] = {
    "activation": ACTIVATION_FUNCTIONS,
    "code": CODES,
    "input": INPUT_CODES,
    "neuron": NEURONS,
    "schedule": SCHEDULES,
}

#: How a user makes a member of a registry known.
_REGISTER = {
    "activation": "snnconv.graph.operators.register_activation_function",
    "code": "snnconv.coding.register_code",
    "neuron": "snnconv.neurons.register_neuron",
}


def manifest_of(network: NetworkBase) -> dict[str, Any]:
    """All of ``network`` but its tensors, ready for JSON. Raises ``StorageError`` for what is not registered."""
    graph = network.graph
    front = {} if graph.front is None else {"front": {**_straight(graph.front), "whole": dict(graph.front.whole)}}
    return {
        **_straight(graph),
        **front,
        "parameters": sorted(graph.parameters),
        "populations": [
            {
                "name": population.name,
                "node": population.node,
                "activation": _encode_object("activation", population.activation),
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
        "flags": ["tuned"] if network.tuned else [],
    }


def _straight(graph: Graph) -> dict[str, Any]:
    """Inputs, nodes and output of ``graph``."""
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
    }


def tensors_of(network: NetworkBase) -> dict[str, Tensor]:
    """The tensors of ``network`` by the names that they have in a file."""
    tensors: dict[str, Tensor] = {}
    for name, tensor in network.constants.items():
        tensors |= to_parts(f"sparse.{name}", tensor) if is_sparse(tensor) else {f"constant.{name}": tensor}
    front = network.complete_graph().front
    tensors |= {} if front is None else {f"front.{name}": tensor for name, tensor in front.constants.items()}
    tensors |= {f"scale.{node}": population.scale for node, population in network.populations.items()}
    tensors |= {f"shift.{node}": population.shift for node, population in network.populations.items()}
    tensors |= {f"range.{i}.{e}": t for i, pair in enumerate(network.input_ranges) for e, t in enumerate(pair)}
    return tensors


def parsed(manifest: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """The arguments of ``NetworkBase`` that a manifest and tensors stand for.

    Raises ``StorageError`` where they do not belong together, and errors of any kind where they are no manifest.
    """
    constants = {name.removeprefix("constant."): t for name, t in tensors.items() if name.startswith("constant.")}
    for name in sorted({name.rpartition(".")[0] for name in tensors if name.startswith("sparse.")}):
        constants[name.removeprefix("sparse.")] = from_parts(name, tensors)
    graph = _graph(manifest, constants)
    if "front" in manifest:
        tables = {name.removeprefix("front."): t for name, t in tensors.items() if name.startswith("front.")}
        whole = {str(name): str(dtype) for name, dtype in manifest["front"]["whole"].items()}
        graph = replace(graph, front=replace(_graph(manifest["front"], tables), whole=whole))
    nodes, batch_axis = graph.nodes, graph.batch_axis
    parameters = frozenset(str(name) for name in manifest["parameters"])
    if not parameters <= constants.keys():
        raise StorageError(f"parameters {sorted(parameters - constants.keys())} are missing")
    graph = replace(graph, parameters=parameters)
    populations = {}
    for entry in manifest["populations"]:
        node = nodes[entry["node"]]
        populations[node.name] = Population(
            name=str(entry["name"]),
            node=node.name,
            activation=_decode_object("activation", entry["activation"]),
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
        _check_population(populations[node.name], node.op, batch_axis)
    active = set(analysis_of(graph).populations)
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
    shapes = [_shape(shape) for shape in manifest["input_shapes"]]
    ranges = [InputRange(tensors[f"range.{i}.0"], tensors[f"range.{i}.1"]) for i in range(len(shapes))]
    densities = {str(name): float(share) for name, share in manifest["densities"].items()}
    check_densities(densities, {*graph.inputs, *populations})
    check_tensors(tensors, graph, populations)
    check_front(graph)
    step_shapes = [plan.input.step_shape(shape) for shape in shapes]
    if check_shapes(graph, populations, step_shapes):
        check_run(graph, populations, step_shapes)
    return {
        "graph": graph,
        "populations": populations,
        "plan": plan,
        "input_shapes": shapes,
        "input_ranges": ranges,
        "densities": densities,
        "tuned": "tuned" in manifest["flags"],
    }


def _graph(manifest: Mapping[str, Any], constants: Mapping[str, Tensor]) -> Graph:
    """The graph that inputs, nodes and output of a manifest stand for."""
    inputs = {str(name): _shape(shape) for name, shape in manifest["inputs"]}
    known, nodes = {*inputs, *constants}, {}
    for name, op, arguments, shape, source in manifest["nodes"]:
        if op not in OPERATORS:
            raise StorageError(f"operator {op!r} is not in the vocabulary")
        if name in known:
            raise StorageError(f"node {name!r} occurs twice")
        decoded = {str(key): _decode(value) for key, value in arguments.items()}
        sizes = None if shape is None else tuple(int(size) for size in shape)
        nodes[name] = Node(str(name), op, decoded, sizes, _decode_source(source))
        missing = set(nodes[name].refs()) - known
        if missing:
            raise StorageError(f"node {name!r} uses unknown values {sorted(missing)}")
        known.add(name)
    output = _decode(manifest["output"])
    missing = set(refs_in(output)) - known
    if missing:
        raise StorageError(f"the output uses unknown values {sorted(missing)}")
    return Graph(inputs, constants, nodes, output, batch_axis_of(inputs))


def _shape(sizes: Sequence[Any]) -> Shape:
    return tuple(size if isinstance(size, str) else int(size) for size in sizes)


def _check_population(population: Population, op: str, batch_axis: int | None) -> None:
    axis, scale = population.channel_axis, population.scale
    sizes = population.shape if batch_axis is None else (0, *population.shape)
    channels = 1 if axis is None else sizes[axis]
    if scale.shape != (channels,) or not bool(torch.isfinite(scale).all()) or not bool((scale > 0).all()):
        raise StorageError(f"population {population.name!r} has scales that are not positive, one per channel")
    if population.shift.shape != (channels,) or not bool(torch.isfinite(population.shift).all()):
        raise StorageError(f"population {population.name!r} has shifts that are not finite, one per channel")
    if getattr(population.neuron, "code", population.code) != population.code:
        raise StorageError(f"population {population.name!r} has a neuron of another code")
    _ = population.code.maximum  # raises where a parameter was never fitted
    if not isinstance(population.neuron, Neuron):
        raise StorageError(f"population {population.name!r} has no neuron")
    if population.inserted is not isinstance(OPERATORS[op], IdentityPopulation):
        raise StorageError(f"population {population.name!r} is said to be inserted={population.inserted}, as {op}")


def _encode(value: Argument) -> Any:
    """An argument as JSON: references, tuples, dicts and floats that JSON lacks are marked."""
    if isinstance(value, Ref):
        return {"ref": value.name}
    if isinstance(value, OutputTuple):
        return {"names": [[name, _encode(item)] for name, item in zip(value.names, value, strict=True)]}
    if isinstance(value, OutputMapping):
        return {"attributes": [[_encode(key), _encode(item)] for key, item in value.items()]}
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
        if kind == "names":
            return OutputTuple([_decode(item) for _, item in content], [str(name) for name, _ in content])
        if kind == "attributes":
            return OutputMapping({_decode(key): _decode(item) for key, item in content})
        if kind == "float":
            return float(content)
        raise StorageError(f"argument of unknown kind {kind!r}")
    return value


def _encode_source(source: Source) -> list[Any]:
    # Where the user's code lay is nobody else's business; its file name and line are enough to find it again.
    return [Path(source.file).name, source.line, source.text, source.module, source.module_type]


def _decode_source(entry: Sequence[Any]) -> Source:
    file, line, text, module, kind = entry
    if type(line) is not int or not all(isinstance(part, str) for part in (file, text, module, kind)):
        raise StorageError(f"the source of a node is {entry}, which is no place in a file")
    return Source(file, line, text, module, kind)


def _encode_object(kind: str, value: Any) -> dict[str, Any]:
    for name, known in _REGISTRIES[kind].items():
        if type(value) is known and is_dataclass(value):
            return {"name": name, "fields": dict(_encoded_fields(kind, value))}
    cure = f"register it with {_REGISTER[kind]}, or convert" if kind in _REGISTER else "convert"
    raise StorageError(
        f"{kind} {type(value).__name__} is not registered, so it cannot be stored; {cure} with a built-in one"
    )


def _encoded_fields(kind: str, value: Any) -> Iterator[tuple[str, Any]]:
    for field in fields(value):
        content = getattr(value, field.name)
        if isinstance(content, Code):
            yield field.name, {"code": _encode_object("code", content)}
        elif isinstance(content, float):
            yield field.name, _encode(content)
        elif content is None or isinstance(content, (bool, int, str)) or _is_table(content):
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
        key: _decode_object("code", value["code"]) if isinstance(value, dict) and "code" in value else _decode(value)
        for key, value in entry["fields"].items()
    }
    if any(isinstance(value, (Ref, dict)) for value in values.values()):
        raise StorageError(f"{kind} {name!r} has a field that is no plain value")
    found = _REGISTRIES[kind][name](**values)
    check_length(found)
    return found
