"""Constants that a model repeats for every sample of a batch, such as masks that it makes for the batch at hand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from snnconv.capture.expansion import expanded
from snnconv.data.shapes import BATCH
from snnconv.graph.graph import Graph, Node, Ref
from snnconv.graph.interpreter import Environment, resolve
from snnconv.graph.operators import OPERATORS
from snnconv.graph.operators.arithmetic import CumulativeSum
from snnconv.graph.operators.base import Operator, SelectionOperator
from snnconv.graph.operators.choice import Choice, Comparison
from snnconv.graph.operators.constant import Fill
from snnconv.graph.operators.indexing import Index
from snnconv.graph.operators.look_up import Cast, Logic, LookUp

#: Lengths of a batch for which what repeats is computed and compared.
_LENGTHS = (1, 2, 3)
#: What makes masks and tables of numbers: without any of these, numbers stay what sizes make of them.
_CHOOSING = (Logic, Cast, Comparison, LookUp, CumulativeSum, Index, Choice)
#: The length of the batch in the shapes that nodes record.
_EXAMPLE = 2


def repeated_constants(graph: Graph, precisions: Sequence[torch.dtype] = ()) -> Graph:
    """``graph``, where what is computed for every sample alike is one constant, which ``expand`` repeats.

    That is what sizes and constants alone decide, by operations that move elements or take each by itself, sums along
    an axis and tables; places of samples, ``arange`` of the batch, may only pick among samples that are alike. For
    batches of three lengths every row must have the same value. ``precisions`` are those of inputs that are real.
    """
    if graph.batch_axis != 0:
        return graph
    rows = _rows(graph, precisions)
    constants, parameters, signals = dict(graph.constants), set(graph.parameters), graph.signals()
    trained = {constants[name].dtype for name in parameters}

    def made(node: Node) -> bool:
        before = [graph.nodes[name] for name in _leading_to(graph, node, signals) & graph.nodes.keys()]
        return any(isinstance(OPERATORS.get(each.op), _CHOOSING) for each in (node, *before))

    def expand(node: Node) -> Iterable[Node]:
        row = rows.get(node.name)
        if row is None or not made(node) or (node.op == "expand" and node.arguments["self"].name in constants):
            return [node]
        name, length = f"{node.name}.row", f"{node.name}_samples"
        constants[name] = row
        if row.dtype in trained and not parameters.isdisjoint(_leading_to(graph, node, signals)):
            parameters.add(name)
        size = {"self": Ref(next(iter(graph.inputs))), "dim": 0}
        given = {"self": Ref(name), "size": [Ref(length), *row.shape[1:]], "implicit": False}
        return [Node(length, "sym_size", size, None, node.source), replace(node, op="expand", arguments=given)]

    found = expanded(graph, expand)
    return replace(found, constants=constants, parameters=frozenset(parameters)).without_dead_nodes()


def _rows(graph: Graph, precisions: Sequence[torch.dtype]) -> Mapping[str, Tensor]:
    """What every sample has, ``[1, ...]``, by the name of the node that repeats it."""
    signals, found = graph.signals(), dict[str, Tensor]()
    batches = [_of_length(graph, length, precisions) for length in _LENGTHS]
    for node in graph.nodes.values():
        if node.name in signals or OPERATORS.get(node.op) is None:
            continue
        if _reads_length(graph, node, signals):
            for length, batch in zip(_LENGTHS, batches, strict=True):
                batch[node.name] = length
            continue
        try:
            for batch in batches:
                values = {key: resolve(value, batch) for key, value in node.arguments.items()}
                batch[node.name] = OPERATORS[node.op].evaluate(values)
        except (KeyError, IndexError, RuntimeError, TypeError, ValueError):  # it takes what is not known here
            continue
        results = [batch[node.name] for batch in batches]
        if _may_repeat(node, graph, found) and _repeats(results):
            found[node.name] = results[0]
    return found


def _of_length(graph: Graph, length: int, precisions: Sequence[torch.dtype]) -> Environment:
    """Constants, and inputs with this many samples of which the sizes alone are asked."""
    shapes = {name: [length if size == BATCH else size for size in shape] for name, shape in graph.inputs.items()}
    kinds = [*precisions, *(tensor.dtype for tensor in graph.constants.values() if tensor.is_floating_point())]
    dtype = kinds[0] if kinds else torch.get_default_dtype()
    sizes = {name: [size for size in shape if isinstance(size, int)] for name, shape in shapes.items()}
    known = {name: shape for name, shape in sizes.items() if len(shape) == len(shapes[name])}
    return {**graph.constants, **{name: torch.zeros((), dtype=dtype).expand(shape) for name, shape in known.items()}}


def _reads_length(graph: Graph, node: Node, signals: Set[str]) -> bool:
    """Whether ``node`` reads the length of the batch, 2 in the example, off a signal."""
    if node.op != "sym_size" or node.arguments["self"].name not in signals & graph.nodes.keys():
        return False
    shape = graph.nodes[node.arguments["self"].name].shape
    return shape is not None and shape[node.arguments["dim"]] == _EXAMPLE


def _may_repeat(node: Node, graph: Graph, rows: Mapping[str, Tensor]) -> bool:
    """Whether a result of ``node`` with equal rows follows from those of what it takes, whatever the batch."""
    operator = OPERATORS[node.op]
    if isinstance(operator, Fill):
        return node.op in ("zeros", "ones", "full")
    if isinstance(operator, Index) and isinstance(node.arguments["self"], Ref):
        places = node.arguments["indices"]
        others = [place for place in places[1:] if isinstance(place, Ref)]
        return node.arguments["self"].name in rows and all(place.name in graph.constants for place in others)
    if not _keeps_rows(operator):
        return False
    tensors = [name for name in node.refs() if not _is_size(graph, name)]
    return all(name in graph.constants or name in rows for name in tensors)


def _keeps_rows(operator: Operator) -> bool:
    kinds = (SelectionOperator, Logic, Cast, Comparison, LookUp, CumulativeSum)
    return operator.pointwise or isinstance(operator, kinds)


def _is_size(graph: Graph, name: str) -> bool:
    node = graph.nodes.get(name)
    return node is not None and (node.op == "sym_size" or node.op.startswith("size_"))


def _repeats(results: list[Any]) -> bool:
    """Whether results have as many rows as there are samples, all of them equal."""
    if not all(isinstance(result, Tensor) and result.dim() > 0 for result in results):
        return False
    row: Tensor = results[0]
    wanted = [row.expand(length, *row.shape[1:]) for length in _LENGTHS] if row.shape[0] == 1 else []
    return bool(wanted) and all(map(torch.equal, results, wanted))


def _leading_to(graph: Graph, node: Node, signals: Set[str]) -> set[str]:
    """Names of all that ``node`` is computed from but ``signals``, of which sizes alone are asked."""
    found, pending = set[str](), [node.name]
    while pending:
        each = graph.nodes.get(pending.pop())
        new = set() if each is None else {*each.refs()} - found - signals
        found |= new
        pending.extend(new)
    return found
