"""The manifest of a network: all but its tensors as JSON, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from coding import CodingPlan
from neurons import Neuron
from snnconv.data.shapes import Shape
from snnconv.errors import StorageError
from snnconv.graph.analysis import analysis_of
from snnconv.graph.graph import Graph, Node, refs_in
from snnconv.graph.operators import OPERATORS
from snnconv.graph.operators.activation import IdentityPopulation
from snnconv.graph.operators.roles import misplaced
from snnconv.graph.sparse import from_parts, is_sparse, stored_values, to_parts
from snnconv.spiking.base import NetworkBase
from snnconv.spiking.input_range import InputRange
from snnconv.spiking.population import Population
from snnconv.storage.manifest_parts import (
    decoded,
    decoded_object,
    decoded_source,
    encoded,
    encoded_object,
    encoded_source,
)
from snnconv.storage.manifest_versions import batch_axis_of
from snnconv.storage.stored_checks import (
    check_densities,
    check_front,
    check_run,
    check_shapes,
    check_tables,
    check_tensors,
)


def manifest_of(network: NetworkBase) -> dict[str, Any]:
    """All of ``network`` but its tensors, ready for JSON. Raises ``StorageError`` for what is not registered."""
    graph = network.graph
    front = {} if graph.front is None else {"front": {**_straight(graph.front), "whole": dict(graph.front.whole)}}
    return {
        **_straight(graph),
        **front,
        **({"masks": [[name, list(shape)] for name, shape in graph.masks.items()]} if graph.masks else {}),
        "parameters": sorted(graph.parameters),
        "populations": [
            {
                "name": population.name,
                "node": population.node,
                "activation": encoded_object("activation", population.activation),
                "code": encoded_object("code", population.code),
                "neuron": encoded_object("neuron", population.neuron),
                "channel_axis": population.channel_axis,
                "shape": list(population.shape),
                "inserted": population.inserted,
                "silent_channels": list(population.silent_channels),
            }
            for population in network.populations.values()
        ],
        "hidden": encoded_object("code", network.plan.hidden),
        "input": encoded_object("input", network.plan.input),
        "overrides": [[key, encoded_object("code", code)] for key, code in network.plan.overrides.items()],
        "schedule": encoded_object("schedule", network.plan.schedule),
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
                {key: encoded(value) for key, value in node.arguments.items()},
                None if node.shape is None else list(node.shape),
                encoded_source(node.source),
            ]
            for node in graph.nodes.values()
        ],
        "output": encoded(graph.output),
    }


def tensors_of(network: NetworkBase) -> dict[str, Tensor]:
    """The tensors of ``network`` by the names that they have in a file."""
    tensors: dict[str, Tensor] = {}
    for name, tensor in network.constants.items():
        tensors |= to_parts(f"sparse.{name}", tensor) if is_sparse(tensor) else {f"constant.{name}": tensor}
    front = network.complete_graph().front
    tensors |= {} if front is None else {f"front.{name}": tensor for name, tensor in front.constants.items()}
    tensors |= {f"scale.{node}": population.scale for node, population in network.populations.items()}
    tensors |= {f"tables.{node}": p.tables for node, p in network.populations.items() if p.tables is not None}
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
            activation=decoded_object("activation", entry["activation"]),
            code=decoded_object("code", entry["code"]),
            neuron=decoded_object("neuron", entry["neuron"]),
            scale=tensors[f"scale.{node.name}"],
            shift=tensors[f"shift.{node.name}"],
            channel_axis=entry["channel_axis"],
            shape=tuple(int(size) for size in entry["shape"]),
            source=node.source,
            inserted=bool(entry["inserted"]),
            silent_channels=tuple(int(channel) for channel in entry["silent_channels"]),
            tables=tensors.get(f"tables.{node.name}"),
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
        decoded_object("code", manifest["hidden"]),
        decoded_object("input", manifest["input"]),
        {str(key): decoded_object("code", code) for key, code in manifest["overrides"]},
        decoded_object("schedule", manifest["schedule"]),
    )
    shapes = [_shape(shape) for shape in manifest["input_shapes"]]
    ranges = [InputRange(tensors[f"range.{i}.0"], tensors[f"range.{i}.1"]) for i in range(len(shapes))]
    densities = {str(name): float(share) for name, share in manifest["densities"].items()}
    check_densities(densities, {*graph.inputs, *populations})
    check_tensors(tensors, graph, populations, len(shapes))
    step_shapes = [plan.input.step_shape(shape) for shape in shapes]
    if check_front(graph, populations) & check_shapes(graph, populations, step_shapes):
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
    masks = {str(name): _shape(shape) for name, shape in manifest.get("masks", ())}
    known, nodes = {*inputs, *masks, *constants}, {}
    for name, op, arguments, shape, source in manifest["nodes"]:
        if op not in OPERATORS:
            raise StorageError(f"operator {op!r} is not in the vocabulary")
        if name in known:
            raise StorageError(f"node {name!r} occurs twice")
        values = {str(key): decoded(value) for key, value in arguments.items()}
        sizes = None if shape is None else tuple(int(size) for size in shape)
        nodes[name] = Node(str(name), op, values, sizes, decoded_source(source))
        missing = set(nodes[name].refs()) - known
        if missing:
            raise StorageError(f"node {name!r} uses unknown values {sorted(missing)}")
        known.add(name)
    output = decoded(manifest["output"])
    missing = set(refs_in(output)) - known
    if missing:
        raise StorageError(f"the output uses unknown values {sorted(missing)}")
    return Graph(inputs, constants, nodes, output, batch_axis_of({**inputs, **masks}), masks=masks)


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
    check_tables(population)
    _ = population.code.maximum  # raises where a parameter was never fitted
    if not isinstance(population.neuron, Neuron):
        raise StorageError(f"population {population.name!r} has no neuron")
    if population.inserted is not isinstance(OPERATORS[op], IdentityPopulation):
        raise StorageError(f"population {population.name!r} is said to be inserted={population.inserted}, as {op}")
