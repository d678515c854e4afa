"""What the content of a stored network must fulfil beyond being readable, so that no network that loads fails later."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from coding import Code
from coding.window.function_table import cells_of
from neurons import TableLookup
from neurons.table_lookup import Tables
from snnconv.data.shapes import BATCH, Shape, concrete
from snnconv.errors import StorageError
from snnconv.graph.front import nodes_in_front
from snnconv.graph.graph import WHOLE_TYPES, Graph, Node, refs_in
from snnconv.graph.interpreter import Environment, Handler, evaluate_graph, zero_inputs
from snnconv.graph.operators.activation import activation_at
from snnconv.graph.operators.expression import expression
from snnconv.graph.operators.ratio import RatioPopulation
from snnconv.graph.operators.tabulated import Tabulated
from snnconv.graph.sparse import is_sparse, to_parts
from snnconv.spiking.population import Population

#: Steps of the longest window that is read, and sums of payloads in the largest table: tables of a code grow with both.
_LONGEST_WINDOW, _LARGEST_TABLE = 2**20, 2**25
#: Numbers of the largest result of a node, for a batch of two, and what such a batch may take where it is tried out:
#: floating-point operations, about a second, and numbers of all results.
_LARGEST_RESULT, _MOST_OPERATIONS, _MOST_NUMBERS = 2**30, 2**34, 2**26


def check_length(found: object) -> None:
    """Raise ``StorageError`` for a code or a schedule with more steps, or spikes, than are of any use."""
    for name in ("steps", "stride"):
        length = getattr(found, name, None)
        if isinstance(length, int) and length > _LONGEST_WINDOW:
            kind = "a window" if isinstance(found, Code) else f"a {name} of a schedule"
            raise StorageError(f"{kind} of {length} steps is longer than {_LONGEST_WINDOW}")
    steps, spikes = getattr(found, "steps", None), getattr(found, "spikes", None)
    if isinstance(steps, int) and isinstance(spikes, int):
        rows = spikes if spikes < steps else 1
        if rows * spikes * steps > _LARGEST_TABLE:
            raise StorageError(f"a window of {steps} steps with up to {spikes} spikes is more than is computed")


def check_tensors(tensors: Iterable[str], graph: Graph, populations: Mapping[str, Population], inputs: int) -> None:
    """Raise ``StorageError`` for tensors that nothing uses, and for numbers that are not of the network's one type.

    The network takes ``inputs``, each with a range.
    """
    used = {f"range.{each}.{end}" for each in range(inputs) for end in range(2)}
    for name in _used_constants(graph):
        constant = graph.constants[name]
        used |= to_parts(f"sparse.{name}", constant).keys() if is_sparse(constant) else {f"constant.{name}"}
    used |= set() if graph.front is None else {f"front.{name}" for name in _used_constants(graph.front)}
    used |= {f"{kind}.{node}" for node in populations for kind in ("scale", "shift")}
    used |= {f"tables.{node}" for node, population in populations.items() if population.tables is not None}
    unused = sorted(name for name in tensors if name not in used)
    if unused:
        raise StorageError(f"unknown tensors {unused}")
    numbers = {f"scale of {node}": population.scale for node, population in populations.items()}
    numbers |= {f"shift of {node}": population.shift for node, population in populations.items()}
    numbers |= {name: graph.constants[name] for name in sorted(graph.parameters)}
    dtype = next(iter(numbers.values())).dtype if numbers else torch.float32
    if not dtype.is_floating_point:
        raise StorageError(f"scales are of type {dtype}")
    for name, tensor in numbers.items():
        if tensor.dtype != dtype:
            raise StorageError(f"{name} is of type {tensor.dtype}, other numbers of the network are {dtype}")


def _used_constants(graph: Graph) -> set[str]:
    """The constants of ``graph`` that a node or the output names."""
    named = {name for node in graph.nodes.values() for name in node.refs()} | {*refs_in(graph.output)}
    return named & graph.constants.keys()


def check_front(graph: Graph, populations: Mapping[str, Population]) -> bool:
    """Raise ``StorageError`` unless what stands in front of ``graph`` gives inputs of the shapes and types it takes.

    It runs on shapes alone; what does not fit raises what torch raises. Returns whether ``check_run`` takes about a
    second at most, as far as the front goes.
    """
    front = graph.front
    if front is None:
        if graph.masks:
            raise StorageError(f"nothing in front makes the masks {[*graph.masks]}")
        return True
    known = front.whole.keys() <= front.inputs.keys() and WHOLE_TYPES.keys() >= {*front.whole.values()}
    if not front.whole or not known or front.batch_axis != graph.batch_axis:
        raise StorageError(f"the front takes {[*front.inputs]}, and as whole numbers {dict(front.whole)}")
    real = {name for node in nodes_in_front(graph)[0] for name in node.refs()}
    for name, tensor in front.constants.items():
        infinite = torch.isnan(tensor) if name not in real else torch.isfinite(tensor).logical_not()  # -inf masks
        if tensor.is_floating_point() and bool(infinite.any()):
            raise StorageError(f"{name} in front holds NaN or infinite values")
    bare = replace(front, constants={name: tensor.to("meta") for name, tensor in front.constants.items()})
    batch = {BATCH: 2}
    made, _, cheap = _run_on_shapes(bare, _front_inputs(front, _precision(populations), 2, "meta"))
    found = [(tuple(tensor.shape), tensor.dtype) for tensor in made]
    wanted = [
        (concrete(shape, batch), torch.bool if name in graph.masks else _precision(populations))
        for name, shape in graph.taken.items()
    ]
    if found != wanted:
        raise StorageError(f"the front makes inputs of the shapes and types {found}, the network takes {wanted}")
    return cheap


def _precision(populations: Mapping[str, Population]) -> torch.dtype:
    return next(iter(populations.values())).scale.dtype if populations else torch.float32


def _run_on_shapes(
    graph: Graph, inputs: Sequence[Tensor], handlers: Mapping[str, Handler] | None = None
) -> tuple[Any, Environment, bool]:
    """Output and results of ``graph``, none too large, and whether values would run through it in about a second."""
    from torch.utils.flop_counter import FlopCounterMode  # which imports triton: a third of what all of snnconv takes

    with FlopCounterMode(display=False) as counter:
        output, results = evaluate_graph(graph, inputs, keep=graph.nodes, handlers=handlers)
    shapes = {name: tuple(results[name].shape) for name in graph.nodes if isinstance(results[name], Tensor)}
    for name, shape in shapes.items():
        if math.prod(shape) > _LARGEST_RESULT:
            raise StorageError(f"node {name!r} has the shape {shape}, more than {_LARGEST_RESULT} numbers")
    numbers = sum(math.prod(shape) * _steps(graph.nodes[name]) for name, shape in shapes.items())
    return output, results, bool(counter.get_total_flops() <= _MOST_OPERATIONS and numbers <= _MOST_NUMBERS)


def _steps(node: Node) -> int:
    """How many results of the node's shape are computed for its own."""
    return len(expression(node.arguments["function"]).steps) if node.op == "tabulated" else 1


def _front_inputs(front: Graph, dtype: torch.dtype, batch: int, device: str) -> list[Tensor]:
    return [
        torch.zeros(
            concrete(shape, {BATCH: batch}), dtype=WHOLE_TYPES.get(front.whole.get(name, ""), dtype), device=device
        )
        for name, shape in front.inputs.items()
    ]


def check_tables(population: Population) -> None:
    """Raise ``StorageError`` unless ``population`` has tables where its activation is looked up, of the right form.

    A code that computes the activation itself does so in the units of the network, without tables.
    """
    tables, name = population.tables, population.name
    computed, function = population.code.computes is not None, isinstance(population.activation, Tabulated)
    if computed and not (function and bool((population.scale == 1).all())):
        raise StorageError(f"population {name!r} has a code that computes no function of its currents")
    if (function and not computed) is not (tables is not None):
        raise StorageError(f"population {name!r} has tables, or its activation is looked up, but not both")
    if tables is None:
        return
    if not isinstance(population.neuron, TableLookup):
        raise StorageError(f"population {name!r} has tables, and {type(population.neuron).__name__} neurons")
    cells = cells_of(population.code)
    if tables.shape != (len(Tables._fields), len(population.scale), cells) or tables.dtype != population.scale.dtype:
        raise StorageError(f"population {name!r} has tables of shape {list(tables.shape)} and type {tables.dtype}")
    thresholds, payloads, *others = tables
    finite = torch.isfinite(thresholds)
    finite[:, -1] |= thresholds[:, -1] == -math.inf
    # Cells narrower than the precision of their network share a threshold: the first of them fires for all.
    if not bool(finite.all()) or not bool((thresholds[:, 1:] <= thresholds[:, :-1]).all()):
        raise StorageError(f"population {name!r} has thresholds that rise with time, or are no numbers")
    if not bool(torch.isfinite(torch.stack([payloads, *others])).all()) or not bool((payloads != 0).all()):
        raise StorageError(f"population {name!r} has spikes that are worth nothing, or no number")


def check_densities(densities: Mapping[str, float], sources: Iterable[str]) -> None:
    """Raise ``StorageError`` unless all ``sources`` have a density, and densities are shares."""
    missing = set(sources) - densities.keys()
    if missing:
        raise StorageError(f"densities of {sorted(missing)} are missing")
    for name, share in densities.items():
        if not 0.0 <= share <= 1.0:
            raise StorageError(f"the density of {name!r} is {share!r}, which is no share")


def check_run(graph: Graph, populations: Mapping[str, Population], input_shapes: Sequence[Shape]) -> None:
    """Raise what torch raises unless zeros run through ``graph`` and what stands in front of it; shapes were checked.

    Of tensors without values torch lets pass what it refuses of others, such as strides of too many axes.
    """
    dtype = _precision(populations)
    with torch.no_grad():
        if graph.front is not None:
            evaluate_graph(graph.front, _front_inputs(graph.front, dtype, 1, "cpu"))
        shapes = dict(zip(graph.inputs, input_shapes, strict=True))
        evaluate_graph(graph, zero_inputs(graph, dtype, shapes=shapes))


def check_shapes(graph: Graph, populations: Mapping[str, Population], input_shapes: Sequence[Shape]) -> bool:
    """Raise ``StorageError`` unless inputs of these shapes (at one step) run through ``graph`` and fit ``populations``.

    All nodes must have the shapes that they say, of a bounded size, and the output at least one tensor. Shapes and
    types alone are computed, without memory for values. What does not fit raises what torch raises. Returns whether
    ``check_run`` takes about a second at most, as far as ``graph`` goes.
    """
    if [*graph.inputs.values()] != [*input_shapes]:
        raise StorageError(f"inputs have the shapes {[*input_shapes]}, those of the graph {[*graph.inputs.values()]}")
    batch = 1 if graph.batch_axis is None else 2

    def checked(population: Population) -> Handler:
        operator = activation_at(graph.nodes[population.node])

        def check(arguments: Mapping[str, Any]) -> Tensor:
            current = operator.current(arguments)
            shape = current.shape if graph.batch_axis is None else current.shape[1:]
            if shape != population.shape or current.dtype != population.scale.dtype:
                raise StorageError(
                    f"population {population.name!r} is of shape {list(population.shape)} and type "
                    f"{population.scale.dtype}, its currents of shape {list(shape)} and type {current.dtype}"
                )
            if operator.activation(arguments) != population.activation:
                raise StorageError(f"population {population.name!r} has another activation than its node")
            if isinstance(operator, RatioPopulation) and bool(population.shift.any()):
                raise StorageError(f"population {population.name!r} is a ratio with a shift")
            return operator.evaluate(arguments)  # type: ignore[no-any-return]

        return check

    def empty(shape: Sequence[int], dtype: torch.dtype) -> Tensor:
        return torch.empty(shape, dtype=dtype, device="meta")

    constants = {name: empty(tensor.shape, tensor.dtype) for name, tensor in graph.constants.items()}
    dtype = _precision(populations)
    bare = Graph(graph.inputs, constants, graph.nodes, graph.output, graph.batch_axis, masks=graph.masks)
    handlers = {node: checked(population) for node, population in populations.items()}
    inputs = zero_inputs(graph, dtype, "meta", samples=batch)
    _, results, cheap = _run_on_shapes(bare, inputs, handlers)
    for node in graph.nodes.values():
        result = results[node.name]
        shape = tuple(result.shape) if isinstance(result, Tensor) else None
        if not _alike(node.shape, shape, graph.batch_axis):
            raise StorageError(f"node {node.name!r} is said to have the shape {node.shape}, and has {shape}")
    if not any(isinstance(results[name], Tensor) for name in refs_in(graph.output)):
        raise StorageError("the output holds no tensor")
    return cheap


def _alike(said: tuple[int, ...] | None, shape: tuple[int, ...] | None, batch_axis: int | None) -> bool:
    """Whether two shapes are the same, but for the size of the batch, that of the example which was converted."""
    if said == shape or said is None or shape is None or batch_axis is None:
        return said == shape
    return len(said) == len(shape) > 0 < said[0] and said[1:] == shape[1:]
