"""Multiply-accumulates: how many an original network makes for one sample, operation by operation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from snnconv.graph.double_precision import Doubles
from snnconv.graph.graph import Graph
from snnconv.graph.interpreter import Handler, Program, zero_inputs
from snnconv.graph.operators import OPERATORS, Operator, carried
from snnconv.graph.operators.base import Carries


def multiplications(graph: Graph, input_shapes: Mapping[str, tuple[int, ...]]) -> dict[str, int]:
    """Multiply-accumulates of every weighted operation that a signal reaches, by node in order of execution.

    ``input_shapes`` are those of one sample, with a batch of one. The graph runs once, on zeros in double precision,
    wherever its constants are; an operation of which no weight counts (a matrix of zeros) is left out.
    """
    signals = graph.signals()
    found: dict[str, int] = {}

    def counting(name: str, operator: Operator, carries: Carries) -> Handler:
        def handle(arguments: Mapping[str, Any]) -> Any:
            result = operator.evaluate(arguments)
            if count := operator.macs(arguments, carries, result):
                found[name] = count
            return result

        return handle

    weighted = [node for node in graph.nodes.values() if node.name in signals and OPERATORS[node.op].weighted]
    handlers = {node.name: counting(node.name, OPERATORS[node.op], carried(node, signals)) for node in weighted}
    device = next((tensor.device for tensor in graph.constants.values()), None)
    with torch.no_grad():
        zeros = zero_inputs(graph, torch.float64, device, input_shapes)
        Program([*graph.nodes.values()]).run(Doubles(graph, dict(zip(graph.taken, zeros, strict=True))), handlers)
    return found
