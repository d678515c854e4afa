"""The front of a network: what makes real inputs of whole numbers, such as rows of tables of the numbers of tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from snnconv.data.batches import Inputs, check_like
from snnconv.errors import InputError
from snnconv.graph.graph import WHOLE_TYPES, Graph, Node
from snnconv.graph.interpreter import Handler, evaluate_graph
from snnconv.graph.operators import OPERATORS
from snnconv.graph.operators.look_up import LookUp
from snnconv.graph.real_valued import listed, operation_text

#: What reports say where ``Graph.masks`` are.
MASKS_ARE_STRUCTURE = "masks come with every sample: what they forbid has no synapse, no spike and no part in a maximum"


def check_given(graph: Graph, inputs: Sequence[Tensor], dtype: torch.dtype, device: torch.device, what: str) -> None:
    """Raise ``InputError`` unless ``inputs`` are such as the user of ``graph`` gives: number, shapes, types, device."""
    taken = graph.front or graph
    types = [WHOLE_TYPES[taken.whole[name]] if name in taken.whole else dtype for name in taken.inputs]
    check_like(inputs, [*taken.inputs.values()], types, device, what)


def entered(graph: Graph, inputs: Sequence[Tensor], what: str = "input") -> Inputs:
    """What ``graph`` takes, real numbers, where the user gives ``inputs``, which fit it.

    Raises ``InputError`` for numbers that a table does not have.
    """
    if graph.front is None:
        return tuple(inputs)
    nodes = graph.front.nodes.values()
    handlers = {node.name: _look_up(node, what) for node in nodes if isinstance(OPERATORS[node.op], LookUp)}
    try:
        with torch.no_grad():
            return tuple(evaluate_graph(graph.front, inputs, handlers=handlers)[0])
    except (IndexError, RuntimeError) as error:  # positions that are computed from whole numbers
        raise InputError(f"{what}: the network does not take these whole numbers: {error}") from error


def _look_up(node: Node, what: str) -> Handler:
    def handle(arguments: Mapping[str, Any]) -> Tensor:
        indices, rows = arguments["indices"], len(arguments["weight"])
        outside = indices[(indices < 0) | (indices >= rows)]
        if outside.numel():
            raise InputError(
                f"{what}: {operation_text(node)} has a table of {rows} rows, numbered 0 to {rows - 1}, and is given "
                f"the number {int(outside[0])}, one of {outside.numel()} that it does not have"
            )
        result: Tensor = OPERATORS[node.op].evaluate(arguments)
        return result

    return handle


def nodes_in_front(graph: Graph) -> tuple[list[Node], list[Node]]:
    """What makes real inputs in front of ``graph``, and what makes masks alone."""
    if graph.front is None:
        return [], []
    real = replace(graph.front, output=graph.front.output[: len(graph.inputs)]).without_dead_nodes().nodes
    nodes = graph.front.nodes.values()
    return [node for node in nodes if node.name in real], [node for node in nodes if node.name not in real]


def front_text(graph: Graph) -> str:
    """The operations that make real inputs in front of ``graph``; empty where there are none."""
    return listed([*dict.fromkeys(map(operation_text, nodes_in_front(graph)[0]))])


def masks_text(graph: Graph) -> str:
    """The operations that make masks of what comes with every sample; empty where there are none."""
    return listed([*dict.fromkeys(map(operation_text, nodes_in_front(graph)[1]))]) if graph.masks else ""
