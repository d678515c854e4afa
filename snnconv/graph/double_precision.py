"""Constants of a graph in double precision, in which checks and counts run, without holding all of them twice."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from snnconv.graph.graph import Graph, refs_in
from snnconv.graph.interpreter import Environment

#: Elements from which on a matrix keeps its precision: it is the larger part of its network.
_LARGE = 2**22


class Doubles(Environment):
    """An environment with the constants of ``graph`` in double precision, each made when it is needed and not kept.

    Large matrices that only linear layers take keep theirs, since these convert some rows at a time.
    """

    def __init__(self, graph: Graph, values: Mapping[str, Any] | None = None) -> None:
        super().__init__(values or {})
        self._constants = graph.constants
        self._large = _large_matrices(graph)

    def __missing__(self, name: str) -> Tensor:
        constant = self._constants[name]
        return constant.double() if constant.is_floating_point() and name not in self._large else constant


def doubled(graph: Graph) -> dict[str, Tensor]:
    """All constants of ``graph`` as ``Doubles`` has them."""
    doubles = Doubles(graph)
    return {name: doubles[name] for name in graph.constants}


def _large_matrices(graph: Graph) -> set[str]:
    large = {
        name
        for name, tensor in graph.constants.items()
        if tensor.dim() == 2 and tensor.numel() >= _LARGE and tensor.layout is torch.strided
    }
    if not large:
        return large
    elsewhere = set(refs_in(graph.output))
    for node in graph.nodes.values():
        taken = {key: value for key, value in node.arguments.items() if node.op != "linear" or key != "weight"}
        elsewhere.update(refs_in(list(taken.values())))
    return large - elsewhere
